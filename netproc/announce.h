/*
 * announce.h - which tracker is asked when: tiers, intervals, back-off (BEP 3,
 * 7, 12, 31).
 *
 * Pure: time, chance and outcomes come in; announces to make and the next
 * deadline go out.  Owns no descriptor and no clock.
 *
 * A round asks one tracker once for each address family (BEP 7); it has
 * succeeded when one family was answered.  One round at a time; only the
 * farewell asks all trackers that know us side by side.
 *
 * The order is BEP 12's: tiers in order, shuffled within, whoever answers moves
 * to the front of its tier, and a later tracker is asked only when all before
 * it have failed (they are in back-off).  One case more: when an answer left us
 * without a single peer, the trackers behind it are asked as well, since a
 * tracker that knows nobody must not starve the download.
 *
 * States of a tracker: free (may be asked from earliest_ms on), in its round
 * (todo or running is not 0), silenced (never: BEP 31).
 */
#ifndef NETPROC_ANNOUNCE_H
#define NETPROC_ANNOUNCE_H

#include "tracker.h"

#define ANNOUNCE_MAX_IN_FLIGHT 4u
#define ANNOUNCE_BACKOFF_FIRST_MS 15000u
#define ANNOUNCE_BACKOFF_MOST_MS 3600000u
#define ANNOUNCE_NEVER UINT64_MAX

/* Bits: address families. */
#define ANNOUNCE_V4 1u
#define ANNOUNCE_V6 2u

struct announce;

/* An announce to make. */
struct announce_action {
	uint32_t id;    /* as announce_add() gave it */
	uint32_t family; /* ANNOUNCE_V4 or ANNOUNCE_V6 */
	enum tracker_event event;
	bool first;      /* of its round */
};

/* What became of it. */
struct announce_outcome {
	bool ok;
	uint32_t interval_s, min_interval_s; /* as in tracker_reply; min also of failures */
	uint32_t retry_s;
};

/* Room for `trackers`; `seed` is for the shuffle and the jitter. */
struct announce *announce_new(uint32_t trackers, uint64_t seed);
void announce_free(struct announce *a);

/* Adds a tracker; tiers never decrease; families: bits, not 0.  Returns its id: 0, 1, 2 ... */
uint32_t announce_add(struct announce *a, uint32_t tier, uint32_t families);

/* Shuffles each tier; from now on announces are due. */
void announce_start(struct announce *a, uint64_t now_ms);

/* Peers run short: the next announce is due as early as trackers allow.  have: peers that are known. */
void announce_need_peers(struct announce *a, uint64_t now_ms, uint32_t have);

/* The download is complete: trackers that know us are told so at once.  Only the first call counts. */
void announce_completed(struct announce *a, uint64_t now_ms);

/*
 * From now on only "stopped" is sent, to those who know us (after "completed",
 * where that is still owed).  Abandon what is in flight first, "completed" aside.
 */
void announce_stop(struct announce *a);

/* The next announce to make now; false when there is none.  Whoever takes it owes announce_done() or announce_abandon(). */
bool announce_next(struct announce *a, uint64_t now_ms, struct announce_action *out);

/* True when this ended its round and no family was answered: the tracker has failed.  Never after announce_stop(). */
bool announce_done(struct announce *a, uint64_t now_ms, uint32_t id, uint32_t family, const struct announce_outcome *outcome);

/* It was cancelled; sent: the tracker may have read it, and so may know us. */
void announce_abandon(struct announce *a, uint32_t id, uint32_t family, bool sent);

/* When announce_next() is worth calling again (a moment that may have passed), or ANNOUNCE_NEVER: only after an outcome. */
uint64_t announce_deadline(const struct announce *a, uint64_t now_ms);

/* After announce_stop(): nothing is in flight and nobody is left to tell. */
bool announce_idle(const struct announce *a);

#endif
