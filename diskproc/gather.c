/*
 * gather.c - see gather.h.
 */
#include "gather.h"

#include "sha1_lanes.h"

void gather_init(struct gather *g, bool lanes, uint32_t piece_length, uint64_t budget_bytes)
{
	*g = (struct gather){ .piece_length = piece_length };
	if (lanes)
		g->most = (uint32_t)min_u64(SHA1_LANES, budget_bytes / 4 / max_u32(piece_length, 1));
	if (g->most < SHA1_LANES_LEAST)
		g->most = 0;
}

bool gather_add(struct gather *g, struct job *j)
{
	if (g->count == g->most)
		bug("a group of %u", g->count);
	j->others = g->first;
	g->first = j;
	return ++g->count == g->most;
}

struct job *gather_take(struct gather *g)
{
	struct job *first = g->first;

	g->first = NULL;
	g->count = 0;
	g->due_ms = 0;
	return first;
}

bool gather_tick(struct gather *g, uint64_t now_ms)
{
	uint64_t passed = now_ms - g->since_ms;

	if (passed >= GATHER_WAIT_MS) {
		g->fast = (uint64_t)g->came * GATHER_WAIT_MS / passed >= SHA1_LANES_LEAST;
		g->came = 0;
		g->since_ms = now_ms;
	}
	if (!g->count)
		return false;
	if (!g->due_ms)
		g->due_ms = now_ms + GATHER_WAIT_MS;
	return now_ms >= g->due_ms;
}
