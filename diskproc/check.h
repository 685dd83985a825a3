/*
 * check.h - the first look at what is there: every piece that is doubtful (recall.h) read and hashed, by all workers.
 */
#ifndef DISKPROC_CHECK_H
#define DISKPROC_CHECK_H

#include "store.h"

#define CHECK_AHEAD (2 * POOL_MAX_THREADS)

struct check {
	struct job job[CHECK_AHEAD];
	bool used[CHECK_AHEAD];
	const uint8_t *doubtful; /* bitfield; borrowed */
	uint32_t ahead;      /* jobs to keep under way */
	uint32_t out;        /* that are under way */
	uint32_t next;       /* the first piece not handed out */
	uint32_t per_job;    /* pieces */
	uint64_t checked_bytes;
	struct fault fault;  /* the first */
};

void check_init(struct check *c, const struct metainfo *m, uint32_t threads);
/* What is doubtful is known, and does not change from now on. */
void check_begin(struct check *c, const struct metainfo *m, const uint8_t *doubtful);
/* Hands out what the workers can take.  Nothing after a fault or when `stop`. */
void check_more(struct check *c, struct store *s, struct pool *pool, bool stop);
/* A JOB_CHECK came back: its pieces are counted in the store. */
void check_on_done(struct check *c, struct store *s, struct job *j);

static inline bool check_ended(const struct check *c, const struct metainfo *m)
{
	return !c->out && (c->next == m->h->piece_count || c->fault.act);
}

#endif
