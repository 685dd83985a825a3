/*
 * upload.h - what netproc asks to be read, from READ to DATA_DONE.
 *
 * The loop's own.  An upload slot is
 *
 *	free
 *	wanted    a READ took it                     upload_on_read()
 *	busy      a worker reads into it             upload_run()
 *	at netproc  DATA was said                    upload_run(), upload_on_done()
 *
 * and free again with DATA_DONE, or when READ_FAILED was said.  What is in the
 * page cache is read by the loop itself, without waiting (fetch.h): to hand it to
 * a worker costs more than the copy.
 */
#ifndef DISKPROC_UPLOAD_H
#define DISKPROC_UPLOAD_H

#include "channel.h"
#include "slots.h"
#include "work.h"

struct upload {
	const struct slots *slots; /* we alone write them */
	const struct metainfo *m;
	struct work *work;
	struct pool *pool;
	struct channel *net;       /* answers go here; fd -1 when nobody listens */
	const uint8_t *have;       /* bitfield of verified pieces: the store's */
	struct upload_read {       /* one for each slot */
		struct job job;    /* first: a job that comes back is its read */
		uint32_t tag;
		bool at_net;
	} read[SLOT_COUNT];
	uint32_t free_count;
	uint32_t free[SLOT_COUNT]; /* LIFO: the cache is warm */
	uint32_t wanted_count;
	struct upload_read *wanted[SLOT_COUNT];
	uint32_t busy;             /* reads in a worker */
	bool asks_cache;           /* fetch_cached() is of use here */
	struct fault fault;        /* the first that a read met */
	const char *why;           /* of the last broken contract: a constant string */
};

/* All borrowed.  The channel may be closed. */
void upload_init(struct upload *u, const struct slots *slots, const struct metainfo *m, struct work *work, struct pool *pool,
		 struct channel *net, const uint8_t *have);

/* A new conversation: every slot is free.  None may be busy. */
void upload_reset(struct upload *u);

/* 0, or -1: netproc broke the contract (u->why).  `hold`: nothing is read any more, READ_FAILED is the answer. */
int upload_on_read(struct upload *u, const struct msg_read *m, bool hold) MUST_CHECK;
int upload_on_done_slot(struct upload *u, const struct msg_data_done *m) MUST_CHECK;

/* After each packet: reads what it wants, or has it read. */
void upload_run(struct upload *u);

/* A JOB_READ came back. */
void upload_on_done(struct upload *u, struct job *j);

#endif
