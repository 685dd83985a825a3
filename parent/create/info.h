/*
 * info.h - the info dictionary of a torrent (BEP 3): how long its pieces are, and its bytes.
 *
 * Pure: no file, no clock.
 */
#ifndef CREATE_INFO_H
#define CREATE_INFO_H

#include "bencode_write.h"
#include "tree.h"

#define INFO_LEAST_PIECE (16u << 10)
#define INFO_MOST_PIECE (64u << 20) /* that may be asked for */

/*
 * The piece length for so many bytes: the smallest power of two with which
 * there are at most 2048 pieces, from 16 KiB to 16 MiB.
 *
 * libtorrent 2 makes the pieces grow with the square root of the size (its
 * table: 16 KiB to 2.6 MB, 256 KiB to 655 MB, 1 MiB to 10 GB, 8 MiB above
 * 670 GB), Transmission 3 by a table that ends with 2 MiB at 2 GiB; both
 * come out between a few hundred and some thousand pieces for what is usual.
 */
uint32_t info_piece_length(uint64_t total_bytes);

/* What the dictionary is made of.  Borrows everything. */
struct info {
	const struct tree *t;
	const uint8_t *name, *source;      /* valid UTF-8 */
	size_t name_length, source_length; /* source_length 0: no such key */
	bool is_private;
	uint32_t piece_length, pieces;
	const uint8_t (*digests)[20]; /* NULL while only the size is wanted */
};

void info_put(struct bencode_out *o, const struct info *info);

#endif
