/*
 * meter.h - bytes a second, smoothed, of a counter that only grows.
 */
#ifndef NETPROC_METER_H
#define NETPROC_METER_H

#include "common.h"

#define METER_LEAST_MS 250u

struct meter {
	uint64_t rate;     /* bytes a second; an eighth of it is new at each look */
	uint64_t seen;     /* the counter at the last look */
	uint64_t seen_ms;  /* and when that was; 0: never */
};

/* A look at the counter; does nothing when the last one was less than METER_LEAST_MS ago. */
static inline void meter_look(struct meter *m, uint64_t counter, uint64_t now_ms)
{
	uint64_t passed = now_ms - m->seen_ms, instant;

	if (m->seen_ms && passed < METER_LEAST_MS)
		return;
	if (m->seen_ms) {
		instant = (counter - m->seen) * 1000 / passed;
		m->rate = m->rate ? (m->rate * 7 + instant) / 8 : instant;
	}
	m->seen = counter;
	m->seen_ms = now_ms;
}

#endif
