/*
 * loop.c - see loop.h.
 *
 * Two epolls: one with every source, one without those that can be held back;
 * a turn waits on one of them.  Sources are known to epoll by their place in a table and that place's
 * generation, so that an event for a source that was removed in the same turn
 * is dropped.  Timers are a binary heap in an array that grows by doubling; the
 * number of timers is bounded by what they are embedded in.
 */
#include "loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_PER_TURN 64

struct entry {
	struct loop_source *source; /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

struct loop {
	int all, front; /* front: without holdable sources */
	bool held;
	uint64_t now;
	struct entry *table; /* owned */
	uint32_t size, free_head;
	struct loop_timer **heap; /* owned array of borrowed timers */
	uint32_t timers, heap_size;
};

#define NO_ENTRY UINT32_MAX

struct loop *loop_new(uint32_t sources)
{
	struct loop *l = must_calloc(1, sizeof *l);
	uint32_t i;

	l->all = epoll_create1(EPOLL_CLOEXEC);
	l->front = epoll_create1(EPOLL_CLOEXEC);
	if (l->all < 0 || l->front < 0)
		bug("epoll_create1: errno %d", errno);
	l->table = must_calloc(sources, sizeof *l->table);
	l->size = sources;
	for (i = 0; i < sources; i++)
		l->table[i].next_free = i + 1 < sources ? i + 1 : NO_ENTRY;
	l->heap_size = 64;
	l->heap = must_calloc(l->heap_size, sizeof(struct loop_timer *));
	l->now = now_ms();
	return l;
}

void loop_free(struct loop *l)
{
	close(l->all);
	close(l->front);
	free(l->heap);
	free(l->table);
	free(l);
}

static uint64_t entry_key(const struct loop *l, uint32_t slot)
{
	return (uint64_t)l->table[slot].generation << 32 | slot;
}

static int add(struct loop *l, struct loop_source *s, int fd, uint32_t events, bool holdable)
{
	uint32_t slot = l->free_head;
	struct epoll_event e = { .events = events };

	if (slot == NO_ENTRY) {
		errno = EMFILE;
		return -1;
	}
	e.data.u64 = entry_key(l, slot);
	if (epoll_ctl(l->all, EPOLL_CTL_ADD, fd, &e) < 0)
		return -1;
	if (!holdable && epoll_ctl(l->front, EPOLL_CTL_ADD, fd, &e) < 0) {
		(void)epoll_ctl(l->all, EPOLL_CTL_DEL, fd, &e);
		return -1;
	}
	l->free_head = l->table[slot].next_free;
	l->table[slot].source = s;
	*s = (struct loop_source){ .fd = fd, .events = events, .slot = slot, .holdable = holdable };
	return 0;
}

int loop_add(struct loop *l, struct loop_source *s, int fd, uint32_t events, void (*ready)(void *, uint32_t), void *arg)
{
	if (add(l, s, fd, events, false) < 0)
		return -1;
	s->ready = ready;
	s->arg = arg;
	return 0;
}

int loop_add_holdable(struct loop *l, struct loop_source *s, int fd, uint32_t events, void (*ready)(void *, uint32_t), void *arg)
{
	if (add(l, s, fd, events, true) < 0)
		return -1;
	s->ready = ready;
	s->arg = arg;
	return 0;
}

void loop_hold(struct loop *l, bool held)
{
	l->held = held;
}

void loop_change(struct loop *l, struct loop_source *s, uint32_t events)
{
	struct epoll_event e = { .events = events };

	if (s->fd < 0 || s->events == events)
		return;
	e.data.u64 = entry_key(l, s->slot);
	if (epoll_ctl(l->all, EPOLL_CTL_MOD, s->fd, &e) < 0 || (!s->holdable && epoll_ctl(l->front, EPOLL_CTL_MOD, s->fd, &e) < 0))
		bug("epoll_ctl: errno %d", errno);
	s->events = events;
}

void loop_remove(struct loop *l, struct loop_source *s)
{
	struct entry *e;
	struct epoll_event none = { 0 };

	if (s->fd < 0)
		return;
	(void)epoll_ctl(l->all, EPOLL_CTL_DEL, s->fd, &none);
	if (!s->holdable)
		(void)epoll_ctl(l->front, EPOLL_CTL_DEL, s->fd, &none);
	e = &l->table[s->slot];
	e->source = NULL;
	e->generation++;
	e->next_free = l->free_head;
	l->free_head = s->slot;
	s->fd = -1;
	s->events = 0;
}

static void heap_put(struct loop *l, uint32_t i, struct loop_timer *t)
{
	l->heap[i] = t;
	t->heap = i + 1;
}

static void heap_up(struct loop *l, uint32_t i)
{
	struct loop_timer *t = l->heap[i];

	while (i && l->heap[(i - 1) / 2]->due_ms > t->due_ms) {
		heap_put(l, i, l->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_put(l, i, t);
}

static void heap_down(struct loop *l, uint32_t i)
{
	struct loop_timer *t = l->heap[i];

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= l->timers)
			break;
		if (child + 1 < l->timers && l->heap[child + 1]->due_ms < l->heap[child]->due_ms)
			child++;
		if (l->heap[child]->due_ms >= t->due_ms)
			break;
		heap_put(l, i, l->heap[child]);
		i = child;
	}
	heap_put(l, i, t);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t due_ms, void (*fire)(void *), void *arg)
{
	t->fire = fire;
	t->arg = arg;
	if (!t->heap) {
		if (l->timers == l->heap_size) {
			struct loop_timer **grown = must_calloc((size_t)l->heap_size * 2, sizeof(struct loop_timer *));

			memcpy(grown, l->heap, l->timers * sizeof(struct loop_timer *));
			free(l->heap);
			l->heap = grown;
			l->heap_size *= 2;
		}
		heap_put(l, l->timers++, t);
	}
	t->due_ms = due_ms;
	heap_up(l, t->heap - 1);
	heap_down(l, t->heap - 1);
}

void loop_timer_clear(struct loop *l, struct loop_timer *t)
{
	uint32_t i = t->heap;
	struct loop_timer *last;

	if (!i)
		return;
	t->heap = 0;
	last = l->heap[--l->timers];
	if (last != t) {
		heap_put(l, i - 1, last);
		heap_up(l, i - 1);
		heap_down(l, last->heap - 1);
	}
}

uint64_t loop_now(const struct loop *l)
{
	return l->now;
}

static void fire_timers(struct loop *l)
{
	uint32_t most = l->timers;

	/* A timer that sets itself anew for a moment that has passed waits for the next turn. */
	while (most-- && l->timers && l->heap[0]->due_ms <= l->now) {
		struct loop_timer *t = l->heap[0];

		loop_timer_clear(l, t);
		t->fire(t->arg);
	}
}

uint32_t loop_turn(struct loop *l, uint32_t max_ms)
{
	struct epoll_event ev[EVENTS_PER_TURN];
	uint64_t wait = max_ms, until;
	int i, n;

	if (l->timers) {
		l->now = now_ms();
		until = l->heap[0]->due_ms > l->now ? l->heap[0]->due_ms - l->now : 0;
		wait = min_u64(wait, until);
	}
	n = epoll_wait(l->held ? l->front : l->all, ev, EVENTS_PER_TURN, (int)min_u64(wait, 60000));
	l->now = now_ms();
	fire_timers(l);
	for (i = 0; i < n; i++) {
		uint32_t slot = (uint32_t)ev[i].data.u64;
		struct entry *e = &l->table[slot];

		if (e->source && e->generation == (uint32_t)(ev[i].data.u64 >> 32))
			e->source->ready(e->source->arg, ev[i].events);
	}
	return n > 0 ? (uint32_t)n : 0;
}
