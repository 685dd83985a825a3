/*
 * check.c - see check.h.
 */
#include "check.h"

#include "bitfield.h"
#include "sha1_lanes.h"

void check_init(struct check *c, const struct metainfo *m, uint32_t threads)
{
	uint32_t length = max_u32(m->h->piece_length, 1);

	memset(c, 0, sizeof *c);
	c->ahead = min_u32(2 * max_u32(threads, 1), CHECK_AHEAD);
	/* At least as many as are hashed side by side, unless that is a great many bytes. */
	c->per_job = max_u32(CHECK_BYTES / length, min_u32(SHA1_LANES, CHECK_BYTES_MOST / length));
	c->per_job = max_u32(1, min_u32(c->per_job, CHECK_MAX_PIECES));
}

static void skip_known(struct check *c, const struct metainfo *m)
{
	while (c->next < m->h->piece_count && !bitfield_get(c->doubtful, c->next))
		c->next++;
}

void check_begin(struct check *c, const struct metainfo *m, const uint8_t *doubtful)
{
	c->doubtful = doubtful;
	skip_known(c, m);
}

void check_more(struct check *c, struct store *s, struct pool *pool, bool stop)
{
	uint32_t i;

	for (i = 0; i < c->ahead && !stop && !c->fault.act && c->next < s->m->h->piece_count; i++) {
		struct job *j = &c->job[i];

		if (c->used[i])
			continue;
		memset(j, 0, sizeof *j);
		j->kind = JOB_CHECK;
		j->piece = c->next;
		j->pieces = min_u32(c->per_job, s->m->h->piece_count - c->next);
		j->link.bytes = POOL_BATCH_BYTES; /* one at a time */
		c->next += j->pieces;
		skip_known(c, s->m);
		c->used[i] = true;
		c->out++;
		pool_add(pool, POOL_FAST, &j->link);
	}
}

void check_on_done(struct check *c, struct store *s, struct job *j)
{
	uint32_t i;

	for (i = 0; i < j->pieces; i++) {
		if (!bitfield_get(c->doubtful, j->piece + i))
			continue;
		c->checked_bytes += metainfo_piece_bytes(s->m, j->piece + i);
		if (j->found[i / 64] >> i % 64 & 1)
			store_set_have(s, j->piece + i);
	}
	if (j->fault.act && !c->fault.act)
		c->fault = j->fault;
	c->used[j - c->job] = false;
	c->out--;
}
