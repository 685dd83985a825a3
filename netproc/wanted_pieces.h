/*
 * wanted_pieces.h - from wanted files (ipc/wanted.h) to levels of pieces (rarity.h): pure.
 *
 * A piece is of the highest level of the files that have a byte in it; of none
 * when none of them is wanted.
 */
#ifndef NETPROC_WANTED_PIECES_H
#define NETPROC_WANTED_PIECES_H

#include "rarity.h"
#include "wanted.h"

/* With `ends_first`, so much of the beginning and of the end of each wanted file is of the highest level. */
#define ENDS_BYTES (1u << 20)

/*
 * The bitfields for picker_set_order(), which are the caller's; all NULL when
 * all is wanted alike.  Linear in files and pieces; the form and w were checked.
 */
void wanted_pieces(uint8_t *level[RARITY_LEVELS], const struct wanted *w, const struct metainfo *m, bool ends_first);

#endif
