/*
 * spill.h - regions of the unnamed file where open pieces wait.
 *
 * A region is one piece_length.  Whatever is read back is hashed like anything
 * else: this file is memory that costs no memory, and is trusted no more than a
 * peer.
 */
#ifndef DISKPROC_SPILL_H
#define DISKPROC_SPILL_H

#include "common.h"

#define SPILL_MAX_PIECES 16384u /* that may wait at once */
#define SPILL_NONE UINT32_MAX

struct spill {
	int fd; /* owned by the caller */
	uint32_t piece_length;
	uint32_t *freed; /* regions that were given back, a stack */
	uint32_t freed_count, top; /* regions from top on were never used */
};

void spill_init(struct spill *s, int fd, uint32_t piece_length);
void spill_release(struct spill *s);

/* A region, or SPILL_NONE when SPILL_MAX_PIECES wait. */
uint32_t spill_take(struct spill *s);
void spill_give(struct spill *s, uint32_t region);

/*
 * Writes the blocks of `blocks` (bit set; a piece of `bytes` bytes at `buffer`)
 * to the region, or reads them back.  Called by workers.  0 or -1 with errno.
 */
int spill_write(int fd, uint32_t piece_length, uint32_t region, const uint8_t *buffer, uint32_t bytes, const uint64_t *blocks) MUST_CHECK;
int spill_read(int fd, uint32_t piece_length, uint32_t region, uint8_t *buffer, uint32_t bytes, const uint64_t *blocks) MUST_CHECK;

#endif
