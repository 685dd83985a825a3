/*
 * pool.h - the threads of a compartment that hash, read, write and sync, and how jobs get to them and back.
 *
 * Three lanes: the fast one (hash, write, read what is to be hashed) is served by
 * `threads` workers; the slow one (fsync and what may take seconds) and that of
 * uploads by one thread each, so that a sync stalls nobody, and hashing no peer
 * that waits for data.  Jobs are handed over in batches under one lock;
 * a worker that is busy is not woken, and the loop is only woken when it said
 * that it would sleep.  Threads live as long as the process.
 */
#ifndef IPC_POOL_H
#define IPC_POOL_H

#include "common.h"

#define POOL_MAX_THREADS 16u
#define POOL_WORKERS (POOL_MAX_THREADS + POOL_LANES - 1u) /* most threads of all lanes */
#define POOL_BATCH_JOBS 32u
#define POOL_BATCH_BYTES (512u << 10) /* a worker takes no more than this at once, or one job */

enum pool_lane { POOL_FAST, POOL_SLOW, POOL_READ, POOL_LANES };

/* Embedded at the start of what is to be done.  Owned by the loop, the worker, and the loop again. */
struct pool_job {
	struct pool_job *next;
	uint32_t bytes; /* weight: how much work it is */
};

/* Does all jobs of the list, in any order; `worker` is 0 .. threads + 1 (the last two: of the lanes with one). */
typedef void pool_work(void *self, uint32_t worker, struct pool_job *list);

struct pool;

/* Makes the threads, each of which calls warm(self, worker) first; returns when all have.  Exits when it cannot. */
struct pool *pool_new(uint32_t threads, pool_work *work, void (*warm)(void *self, uint32_t worker), void *self);
/* Joins the threads; nothing may be busy.  For tests. */
void pool_free(struct pool *p);

/* Puts a job in the loop's own list; pool_kick() hands the list over. */
void pool_add(struct pool *p, enum pool_lane lane, struct pool_job *job);
void pool_kick(struct pool *p);

/* All jobs that are done, as a list; NULL when there are none. */
struct pool_job *pool_collect(struct pool *p);

/* Jobs added and not collected. */
uint32_t pool_busy(const struct pool *p);

/* An eventfd that becomes readable when a job is done after pool_sleep(). */
int pool_event(const struct pool *p);
/* It was readable: makes it unreadable again.  Before pool_collect(). */
void pool_clear_event(struct pool *p);
/* The loop is about to wait: false when results are there already. */
bool pool_sleep(struct pool *p);

#endif
