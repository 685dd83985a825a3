/*
 * seeding.h - when a seed has given enough.
 *
 * Pure: totals and times in; "go on" and until when, or the reason to end out.
 * What netproc says of uploads may be a lie: the sums saturate, and the worst
 * that a lie can do is to end the seeding early or late.
 */
#ifndef PARENT_SEEDING_H
#define PARENT_SEEDING_H

#include "common.h"

/* Payload bytes. */
struct totals {
	uint64_t uploaded, downloaded;
};

/* a + b; what is too much is UINT64_MAX. */
struct totals totals_sum(struct totals a, struct totals b);

/* Times of what was given for each that is there, in thousandths; 0 when nothing is there. */
uint64_t seeding_ratio_milli(uint64_t uploaded, uint64_t bytes);

/* As the user gave it.  Without any of the three: until the user ends it. */
struct seeding_rule {
	bool wanted;          /* goes on when all is there */
	uint32_t ratio_milli; /* enough at this ratio; 0: no ratio is */
	uint32_t time_s;      /* enough after so long; 0: never */
	uint32_t idle_s;      /* enough when nothing was given for so long; 0: never */
};

struct seeding {
	uint64_t began_ms; /* since all is there and is offered */
	uint64_t gave_ms;  /* payload was last given; began_ms until there was some */
	uint64_t uploaded; /* payload bytes, those of earlier runs too */
	uint64_t bytes;    /* of the torrent; what a ratio of 1 is */
};

enum seeding_end { SEEDING_GOES_ON, SEEDING_RATIO, SEEDING_TIME, SEEDING_IDLE, SEEDING_INTERRUPTED, SEEDING_ENDS };

/* *until_ms: when time alone will end it, UINT64_MAX: never. */
enum seeding_end seeding_check(const struct seeding_rule *r, const struct seeding *s, uint64_t now_ms, uint64_t *until_ms);

/* "ratio", "time", "idle", "interrupted": as the JSON events have it. */
const char *seeding_end_name(enum seeding_end end);

#endif
