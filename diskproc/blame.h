/*
 * blame.h - what is remembered of pieces whose hash did not match.
 *
 * For each bad copy a keyed 64-bit sum of each of its blocks, so that the good
 * copy later tells which blocks differed (whose senders netproc bans, and
 * nobody else).  Capped: BLAME_COPIES for a piece, BLAME_BYTES in all; the
 * oldest are forgotten.
 */
#ifndef DISKPROC_BLAME_H
#define DISKPROC_BLAME_H

#include "messages.h"

#define BLAME_COPIES 8u
#define BLAME_BYTES (1u << 20)

struct blame_record;

struct blame {
	struct blame_record *oldest, *newest; /* by first rejection; owned */
	size_t bytes;       /* held now */
	uint32_t pieces;    /* of the torrent */
	uint8_t *forgotten; /* bitfield, NULL until needed: pieces whose attempts were lost count */
};

void blame_init(struct blame *b, uint32_t pieces);
/* Forgets everything: a new netproc counts attempts anew. */
void blame_clear(struct blame *b);

/* Whether copies of this piece are remembered: its good copy needs sums. */
bool blame_has(const struct blame *b, uint32_t piece);

/* A copy was rejected.  Takes sums (malloc, one for each block; may be NULL when there was no memory). */
void blame_rejected(struct blame *b, uint32_t piece, uint64_t *sums, uint32_t blocks);

/*
 * The good copy's sums.  Calls tell() for each 1024 blocks of each remembered
 * copy in which some differ, then forgets the piece.
 */
void blame_verified(struct blame *b, uint32_t piece, const uint64_t *sums, uint32_t blocks,
		    void (*tell)(void *arg, const struct msg_blame *m), void *arg);

#endif
