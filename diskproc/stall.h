/*
 * stall.h - jobs that found no room on the file system (--wait-space): they wait, and are tried again.
 *
 * The loop's own.  What waits stays busy in the eyes of everybody else: its
 * memory is not free, so netproc opens no more pieces than the budget holds,
 * and stops reading from peers.
 */
#ifndef DISKPROC_STALL_H
#define DISKPROC_STALL_H

#include "work.h"

#define STALL_RETRY_MS 2000u

struct stall {
	bool wanted;       /* otherwise want of space is a fault like any other */
	struct job *first; /* those that wait, by `others` */
	uint32_t count;    /* those that wait, and those that are being tried again */
	uint64_t due_ms;   /* the next attempt */
};

/* A job that came back.  True: for want of space, and it waits here; it is written only, when it was verified already. */
bool stall_takes(struct stall *s, struct job *j, uint64_t now_ms) MUST_CHECK;
/* All that waits, as a list by `others`, when it is time to try again; NULL. */
struct job *stall_due(struct stall *s, uint64_t now_ms) MUST_CHECK;
/* All that waits, for whoever gives it up; nothing waits from now on. */
struct job *stall_end(struct stall *s) MUST_CHECK;

#endif
