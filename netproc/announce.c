/*
 * announce.c - see announce.h.
 *
 * Invariants:
 *  1. order[] is a permutation of the ids in which tiers never decrease.
 *  2. in_flight is the number of bits in all `running`, at most ANNOUNCE_MAX_IN_FLIGHT.
 *  3. Until announce_stop() at most one tracker (current) has todo or running bits.
 *  4. A tracker is in `knows` for a family from its answer to an announce until
 *     it was told "stopped"; "started" goes to families outside of it.
 */
#include "announce.h"

#define NOBODY UINT32_MAX
#define FAMILIES 3u

struct tracker {
	uint32_t tier;
	uint32_t families;      /* worth asking */
	uint64_t earliest_ms;   /* not asked before: back-off after a failure, min interval after an answer */
	uint32_t failures;      /* rounds in a row */
	bool never;             /* BEP 31: it wants no further announce */
	bool tell_completed;    /* a round for "completed" is due */
	uint8_t knows, told;    /* families: answered us; were told that we are complete */
	uint8_t todo, running;  /* of its round */
	uint8_t answered;       /* of its round */
	bool fresh;             /* nothing of the round was handed out yet */
	uint8_t events[FAMILIES]; /* enum tracker_event in flight; index: the family bit */
	struct announce_outcome round; /* the strictest of the round's answers */
};

struct announce {
	struct tracker *t; /* owned */
	uint32_t *order;   /* owned; ids in the order of asking */
	uint32_t count, room;
	uint32_t in_flight;
	uint32_t current;  /* id whose round it is, or NOBODY */
	uint32_t latest;   /* id that answered last, or NOBODY */
	uint64_t due_ms;   /* of the next regular round */
	uint64_t chance;   /* state of the generator */
	bool started, completed, stopping;
};

struct announce *announce_new(uint32_t trackers, uint64_t seed)
{
	struct announce *a = must_calloc(1, sizeof *a);

	a->t = must_calloc(trackers, sizeof *a->t);
	a->order = must_calloc(trackers, sizeof *a->order);
	a->room = trackers;
	a->current = a->latest = NOBODY;
	a->due_ms = ANNOUNCE_NEVER;
	a->chance = seed | 1;
	return a;
}

void announce_free(struct announce *a)
{
	if (!a)
		return;
	free(a->t);
	free(a->order);
	free(a);
}

/* xorshift64*: the choice needs to be even, not secret. */
static uint32_t chance(struct announce *a, uint32_t below)
{
	a->chance ^= a->chance >> 12;
	a->chance ^= a->chance << 25;
	a->chance ^= a->chance >> 27;
	return (uint32_t)((a->chance * 0x2545f4914f6cdd1dull >> 32) % below);
}

uint32_t announce_add(struct announce *a, uint32_t tier, uint32_t families)
{
	uint32_t id = a->count;

	if (id == a->room || !(families & FAMILIES) || (id && tier < a->t[id - 1].tier))
		bug("tracker %u of %u in tier %u, families %u", id, a->room, tier, families);
	a->t[id] = (struct tracker){ .tier = tier, .families = families & FAMILIES };
	a->order[id] = id;
	a->count++;
	return id;
}

void announce_start(struct announce *a, uint64_t now_ms)
{
	uint32_t begin, end, i;

	for (begin = 0; begin < a->count; begin = end) {
		for (end = begin + 1; end < a->count && a->t[a->order[end]].tier == a->t[a->order[begin]].tier;)
			end++;
		for (i = end - begin; i > 1; i--) {
			uint32_t j = begin + chance(a, i), last = a->order[begin + i - 1];

			a->order[begin + i - 1] = a->order[j];
			a->order[j] = last;
		}
	}
	a->started = true;
	a->due_ms = now_ms;
}

void announce_need_peers(struct announce *a, uint64_t now_ms, uint32_t have)
{
	uint64_t due = now_ms;

	if (!a->started || a->stopping)
		return;
	if (have && a->latest != NOBODY)
		due = max_u64(due, a->t[a->latest].earliest_ms);
	a->due_ms = min_u64(a->due_ms, due);
}

void announce_completed(struct announce *a, uint64_t now_ms)
{
	uint32_t i;

	(void)now_ms;
	if (a->completed || a->stopping)
		return;
	a->completed = true;
	for (i = 0; i < a->count; i++)
		if (a->t[i].knows | a->t[i].running)
			a->t[i].tell_completed = true;
}

void announce_stop(struct announce *a)
{
	uint32_t i;

	a->stopping = true;
	a->current = NOBODY;
	for (i = 0; i < a->count; i++) {
		struct tracker *t = &a->t[i];

		t->todo = t->knows & (uint8_t)~t->running;
		t->answered = 0;
		t->fresh = true;
	}
}

static enum tracker_event event_for(struct announce *a, struct tracker *t, uint8_t bit)
{
	if (a->stopping)
		return a->completed && !(t->told & bit) ? TRACKER_COMPLETED : TRACKER_STOPPED;
	if (!(t->knows & bit)) {
		/* Whoever first hears of us when all is there (left=0) sees no completion by us. */
		if (a->completed)
			t->told |= bit;
		return TRACKER_STARTED;
	}
	return a->completed && !(t->told & bit) ? TRACKER_COMPLETED : TRACKER_NONE;
}

/* Hands out one family of the tracker's round. */
static void take(struct announce *a, uint32_t id, struct announce_action *out)
{
	struct tracker *t = &a->t[id];
	uint8_t bit = t->todo & ANNOUNCE_V4 ? ANNOUNCE_V4 : ANNOUNCE_V6;

	*out = (struct announce_action){ .id = id, .family = bit, .event = event_for(a, t, bit), .first = t->fresh };
	t->fresh = false;
	t->events[bit] = (uint8_t)out->event;
	t->todo &= (uint8_t)~bit;
	t->running |= bit;
	a->in_flight++;
}

static bool next_farewell(struct announce *a, struct announce_action *out)
{
	uint32_t i;

	for (i = 0; i < a->count; i++)
		if (a->t[a->order[i]].todo) {
			take(a, a->order[i], out);
			return true;
		}
	return false;
}

static void begin_round(struct announce *a, uint32_t id, uint32_t families)
{
	struct tracker *t = &a->t[id];

	a->current = id;
	t->todo = (uint8_t)families;
	t->answered = 0;
	t->fresh = true;
	t->round = (struct announce_outcome){ 0 };
}

/* Families that know us as still downloading. */
static uint32_t untold(const struct tracker *t)
{
	return t->knows & ~(uint32_t)t->told;
}

/* The tracker whose turn it is, and which of its families; NOBODY when none may be asked now. */
static uint32_t pick(const struct announce *a, uint64_t now_ms, uint32_t *families)
{
	uint32_t i;

	for (i = 0; i < a->count; i++) {
		const struct tracker *t = &a->t[a->order[i]];

		if (t->tell_completed && untold(t)) {
			*families = untold(t);
			return a->order[i];
		}
	}
	if (now_ms < a->due_ms)
		return NOBODY;
	for (i = 0; i < a->count; i++) {
		const struct tracker *t = &a->t[a->order[i]];

		if (!t->never && t->earliest_ms <= now_ms) {
			*families = t->families;
			return a->order[i];
		}
	}
	return NOBODY;
}

bool announce_next(struct announce *a, uint64_t now_ms, struct announce_action *out)
{
	uint32_t id, families = 0;

	if (!a->started || a->in_flight == ANNOUNCE_MAX_IN_FLIGHT)
		return false;
	if (a->stopping)
		return next_farewell(a, out);
	if (a->current == NOBODY) {
		id = pick(a, now_ms, &families);
		if (id == NOBODY)
			return false;
		a->t[id].tell_completed = false;
		begin_round(a, id, families);
	}
	if (!a->t[a->current].todo)
		return false;
	take(a, a->current, out);
	return true;
}

static void move_to_front(struct announce *a, uint32_t id)
{
	uint32_t at = 0;

	while (a->order[at] != id)
		at++;
	for (; at > 0 && a->t[a->order[at - 1]].tier == a->t[id].tier; at--)
		a->order[at] = a->order[at - 1];
	a->order[at] = id;
}

/* 15 s, doubling to an hour, each up to a quarter shorter or longer. */
static uint64_t backoff_ms(struct announce *a, uint32_t failures)
{
	uint32_t shift = min_u32(failures - 1, 16);
	uint64_t ms = min_u64((uint64_t)ANNOUNCE_BACKOFF_FIRST_MS << shift, ANNOUNCE_BACKOFF_MOST_MS);

	return ms - ms / 4 + chance(a, (uint32_t)(ms / 2));
}

static void round_succeeded(struct announce *a, uint64_t now_ms, uint32_t id)
{
	struct tracker *t = &a->t[id];
	uint64_t interval = 1000ull * t->round.interval_s, least = 1000ull * t->round.min_interval_s;

	/* Who names no least interval is not asked more often than every five minutes. */
	if (!least)
		least = min_u64(interval, 300000);
	t->failures = 0;
	t->earliest_ms = now_ms + least;
	a->due_ms = now_ms + max_u64(interval, least);
	a->latest = id;
	move_to_front(a, id);
}

static void round_failed(struct announce *a, uint64_t now_ms, uint32_t id)
{
	struct tracker *t = &a->t[id];
	uint64_t wait;

	t->failures++;
	wait = max_u64(backoff_ms(a, t->failures), 1000ull * t->round.min_interval_s);
	if (t->round.retry_s == TRACKER_RETRY_NEVER) {
		t->never = true;
		t->knows = 0; /* not even a farewell is wanted */
	}
	if (t->round.retry_s)
		wait = 1000ull * t->round.retry_s;
	t->earliest_ms = now_ms + wait;
	/* The next one in order is asked at once; a round for "completed" that failed is made up for by the next regular one. */
	a->due_ms = now_ms;
}

bool announce_done(struct announce *a, uint64_t now_ms, uint32_t id, uint32_t family, const struct announce_outcome *outcome)
{
	struct tracker *t = &a->t[id];
	uint8_t bit = (uint8_t)family;
	enum tracker_event event = (enum tracker_event)t->events[bit];

	announce_abandon(a, id, family, false);
	t->round.min_interval_s = max_u32(t->round.min_interval_s, outcome->min_interval_s);
	if (outcome->ok) {
		t->answered |= bit;
		t->round.interval_s = max_u32(t->round.interval_s, outcome->interval_s);
		if (event == TRACKER_STOPPED)
			t->knows &= (uint8_t)~bit;
		else
			t->knows |= bit;
		if (event == TRACKER_COMPLETED)
			t->told |= bit;
	} else {
		t->round.retry_s = max_u32(t->round.retry_s, outcome->retry_s);
	}
	if (a->stopping) {
		/* "completed" came first; whatever became of it, "stopped" follows. */
		if (event == TRACKER_COMPLETED) {
			t->told |= bit;
			t->todo |= bit & t->knows;
		}
		return false;
	}
	if (t->todo | t->running)
		return false;
	a->current = NOBODY;
	if (t->answered)
		round_succeeded(a, now_ms, id);
	else
		round_failed(a, now_ms, id);
	return !t->answered;
}

void announce_abandon(struct announce *a, uint32_t id, uint32_t family, bool sent)
{
	struct tracker *t = &a->t[id];

	if (id >= a->count || !(t->running & family))
		bug("tracker %u of %u is not being asked over family %u", id, a->count, family);
	t->running &= (uint8_t)~family;
	a->in_flight--;
	if (sent)
		t->knows |= (uint8_t)family;
}

uint64_t announce_deadline(const struct announce *a, uint64_t now_ms)
{
	uint64_t earliest = ANNOUNCE_NEVER;
	uint32_t i;

	if (!a->started || a->in_flight == ANNOUNCE_MAX_IN_FLIGHT)
		return ANNOUNCE_NEVER;
	if (a->stopping) {
		for (i = 0; i < a->count; i++)
			if (a->t[i].todo)
				return now_ms;
		return ANNOUNCE_NEVER;
	}
	if (a->current != NOBODY)
		return a->t[a->current].todo ? now_ms : ANNOUNCE_NEVER;
	for (i = 0; i < a->count; i++) {
		const struct tracker *t = &a->t[i];

		if (t->never)
			continue;
		if (t->tell_completed && untold(t))
			return now_ms;
		earliest = min_u64(earliest, t->earliest_ms);
	}
	return earliest == ANNOUNCE_NEVER ? earliest : max_u64(earliest, a->due_ms);
}

bool announce_idle(const struct announce *a)
{
	uint32_t i;

	if (!a->stopping || a->in_flight)
		return false;
	for (i = 0; i < a->count; i++)
		if (a->t[i].todo)
			return false;
	return true;
}
