/*
 * gather.h - whole pieces that wait a moment, so that many are hashed at once (ipc/sha1_lanes.h).
 *
 * Waiting pays only while pieces come fast: they are counted, and none waits
 * unless enough of them came within the last GATHER_WAIT_MS.  On a slow line a
 * piece waits for nobody.  Owns no clock: time goes in, and when to come back
 * out.
 */
#ifndef DISKPROC_GATHER_H
#define DISKPROC_GATHER_H

#include "work.h"

#define GATHER_WAIT_MS 20u  /* the first of a group waits no longer */

struct gather {
	uint32_t most;         /* jobs in a group; 0: never waits */
	uint32_t piece_length; /* only pieces of this length */
	uint32_t count;
	struct job *first;     /* they wait; a list by `others` */
	uint64_t due_ms;       /* when those that wait go; 0: not known yet, or nobody waits */
	bool fast;             /* pieces come fast enough */
	uint32_t came;         /* pieces since since_ms */
	uint64_t since_ms;
};

/* piece_length in bytes; a group never takes more than a quarter of budget_bytes. */
void gather_init(struct gather *g, bool lanes, uint32_t piece_length, uint64_t budget_bytes);

/* Whether a piece of this length would wait for others now: then nobody need hash it block by block. */
static inline bool gather_wants(const struct gather *g, uint32_t piece_bytes)
{
	return g->most && g->fast && piece_bytes == g->piece_length;
}

/* All blocks of a piece are there, whether it waits or not. */
static inline void gather_on_piece(struct gather *g) { g->came++; }

/* It waits.  True: the group is full, and must be taken before the next is added. */
bool gather_add(struct gather *g, struct job *j) MUST_CHECK;

/* Those that wait, as one job; NULL when there are none. */
struct job *gather_take(struct gather *g) MUST_CHECK;

/* Whether those that wait should be taken now.  Call in each turn, and at due_ms. */
bool gather_tick(struct gather *g, uint64_t now_ms) MUST_CHECK;

#endif
