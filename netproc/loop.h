/*
 * loop.h - the one loop of netproc: descriptors and timers.
 *
 * epoll, level-triggered.  Sources and timers are embedded in what they serve
 * and owned by it.  A source that is removed while the loop walks its events is
 * never called again.  No handler blocks, and none loops until it is empty.
 */
#ifndef NETPROC_LOOP_H
#define NETPROC_LOOP_H

#include "common.h"

struct loop;

struct loop_source {
	int fd; /* not owned; -1 when not in the loop */
	uint32_t events;
	void (*ready)(void *arg, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP */
	void *arg;
	uint32_t slot; /* the loop's own */
	bool holdable;
};

struct loop_timer {
	uint64_t due_ms; /* of now_ms() */
	void (*fire)(void *arg);
	void *arg;
	uint32_t heap; /* the loop's own: position + 1, 0 when it is not set */
};

/* Makes the loop, for at most `sources` descriptors; before the lock. */
struct loop *loop_new(uint32_t sources);
void loop_free(struct loop *l);

/*
 * Adds fd with EPOLLIN and/or EPOLLOUT.  0, or -1 with errno when there are too
 * many.  The second kind is not looked at while the loop is held.
 */
int loop_add(struct loop *l, struct loop_source *s, int fd, uint32_t events, void (*ready)(void *, uint32_t), void *arg) MUST_CHECK;
int loop_add_holdable(struct loop *l, struct loop_source *s, int fd, uint32_t events, void (*ready)(void *, uint32_t), void *arg) MUST_CHECK;
/*
 * Held, only sources of the first kind are waited for: back-pressure that costs
 * no system call for each peer.
 */
void loop_hold(struct loop *l, bool held);
/* Changes what it waits for; no system call when nothing changes. */
void loop_change(struct loop *l, struct loop_source *s, uint32_t events);
/* Takes it out, before its fd is closed.  Harmless when it is not in. */
void loop_remove(struct loop *l, struct loop_source *s);

/* Sets or moves a timer; one shot. */
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t due_ms, void (*fire)(void *), void *arg);
void loop_timer_clear(struct loop *l, struct loop_timer *t);

/* Time at the start of this turn. */
uint64_t loop_now(const struct loop *l);

/*
 * One turn: waits for at most max_ms, calls timers that are due, then sources
 * that are ready.  Returns how many sources were.
 */
uint32_t loop_turn(struct loop *l, uint32_t max_ms);

#endif
