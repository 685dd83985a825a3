/*
 * upload.h - what netproc asks to be read, from READ to its answer.
 *
 * The loop's own.  READs are answered in the order in which they came, by the
 * one worker of the read lane: that order is how netproc knows whose bytes come
 * out of the conveyor next (conveyor.h).  A READ is
 *
 *	wanted    it came                     upload_on_read()
 *	busy      a worker moves its bytes    upload_run()
 *
 * and forgotten with DATA or READ_FAILED, which upload_on_done() says.  netproc
 * asks for no more than the pipe holds; if it does, its bytes find no room, and
 * that is the end of the conversation.
 */
#ifndef DISKPROC_UPLOAD_H
#define DISKPROC_UPLOAD_H

#include "channel.h"
#include "conveyor.h"
#include "work.h"

struct upload {
	const struct metainfo *m;
	struct work *work;
	struct pool *pool;
	struct channel *net;       /* answers go here; fd -1 when nobody listens */
	const uint8_t *have;       /* bitfield of verified pieces: the store's */
	int own;                   /* a reading end: what one that died has left in the pipe goes */
	struct upload_read {
		struct job job;    /* first: a job that comes back is its read */
		uint32_t tag;
	} read[CONVEYOR_READS];
	uint32_t free_count;
	struct upload_read *free[CONVEYOR_READS];
	struct job *wanted, **wanted_end; /* in order */
	uint32_t busy;             /* reads in a worker */
	struct fault fault;        /* the first that a read met */
	const char *why;           /* of the last broken contract: a constant string */
};

/* All borrowed.  The channel may be closed. */
void upload_init(struct upload *u, int own, const struct metainfo *m, struct work *work, struct pool *pool, struct channel *net,
		 const uint8_t *have);

/* A new conversation: nothing is asked for, the pipe is empty.  Nothing may be busy. */
void upload_reset(struct upload *u);

/* 0, or -1: netproc broke the contract (u->why).  `hold`: nothing is read any more, READ_FAILED is the answer. */
int upload_on_read(struct upload *u, const struct msg_read *m, bool hold) MUST_CHECK;

/* After each packet: has read what it wants. */
void upload_run(struct upload *u);

/* A JOB_READ came back.  -1: netproc broke the contract (u->why). */
int upload_on_done(struct upload *u, struct job *j) MUST_CHECK;

#endif
