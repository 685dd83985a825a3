/*
 * choker.c - see choker.h.
 *
 * At any time at most `slots` peers are unchoked, whether they are interested
 * or not: one that lost its interest keeps its slot until another wants it.
 *
 * The rotation of a seed.  A turn lasts 20 s, and until the peer has had 16 MiB
 * or 60 s passed: short turns cost the round trips and the slow start of every
 * change, long ones the patience of those who wait.  (libtorrent: 20 pieces and
 * a minute; Transmission: the fastest first, and one by lot for four rounds.)
 * A peer that takes less than 1 KiB/s ends its turn after 10 s, and its slot
 * does not count when the number of slots follows the line.
 */
#include "choker.h"

#define OPTIMISTIC_TURN_MS 30000u /* BEP 3 */
#define REST_SHARE 4u             /* what others get, each, before one that gives nothing gets more */
#define REST_LEAST_MS 30000u
#define REST_MOST_MS 300000u
#define OPTIMISTIC_OF 9u /* one in so many slots */
#define NEW_MS 60000u    /* new peers are three times as likely (BEP 3) for this long */
#define NEW_WEIGHT 3u
#define GIVES_ONE_IN 8u /* a peer that gives an eighth of what it takes goes on */
#define SEED_TURN_MS 20000u
#define SEED_TURN_MOST_MS 60000u
#define SEED_TURN_BYTES (UINT64_C(16) << 20)
#define OWES_MS 300000u /* debts are forgotten when we have seeded for so long */
#define SLOW_MS 10000u
#define SLOW_PER_SECOND 1024u
#define SLOT_STEP 2048u /* bytes a second: the n-th slot is worth while when n times this is left for it */

/* One call of choker_turn(). */
struct turn {
	struct choker *c;
	struct choker_peer *const *peers;
	uint32_t count;
	uint64_t now;
	bool round;
};

void choker_init(struct choker *c, uint64_t chance)
{
	memset(c, 0, sizeof *c);
	c->chance = chance;
}

/* splitmix64 */
static uint32_t lot(struct choker *c, uint32_t below)
{
	uint64_t z = c->chance += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ z >> 31) % below);
}

static uint64_t credit_of(uint32_t piece_bytes)
{
	return min_u64(max_u64(2 * (uint64_t)piece_bytes, CHOKER_CREDIT_LEAST), CHOKER_CREDIT_MOST);
}

static bool may_have(const struct choker_peer *p)
{
	return p->interested && !p->upload_only;
}

static void set(struct turn *t, struct choker_peer *p, bool unchoked)
{
	if (p->unchoked == unchoked)
		return;
	/* Who would have gone on without giving anything waits for its next turn, however this one ended. */
	if (!unchoked && (p->overdrawn || p->snubs)) {
		uint64_t got = p->sent_bytes - p->turn_sent;

		p->rest_ms = t->now + REST_LEAST_MS;
		/* What it got in an earned slot it paid for, but for a credit. */
		p->rest_given = t->c->given + REST_SHARE * (p->optimistic ? got : min_u64(got, t->c->credit));
	}
	if (!unchoked)
		p->optimistic = false;
	p->unchoked = unchoked;
	p->changed = !p->changed;
	p->since_ms = t->now;
	p->turn_received = p->received_bytes;
	p->turn_sent = p->sent_bytes;
}

/* ---- how many */

static uint32_t root(uint64_t n)
{
	uint32_t r = 0;

	while (r < CHOKER_SLOTS_MOST && (uint64_t)(r + 1) * (r + 1) <= n)
		r++;
	return r;
}

static bool is_slow(const struct choker_peer *p, uint64_t now)
{
	uint64_t passed = now - min_u64(p->since_ms, now);

	return p->unchoked && passed >= SLOW_MS && p->sent_bytes - p->turn_sent < passed * SLOW_PER_SECOND / 1000;
}

/* n slots share the line equally: each has rate / n, and that is to be n * SLOT_STEP. */
static void count_slots(struct turn *t, const struct choker_input *in)
{
	struct choker *c = t->c;
	uint32_t n, i;

	if (in->max_uploads) {
		c->slots = in->max_uploads;
		return;
	}
	n = max_u32(root((in->max_up ? in->max_up : in->sent_rate) / SLOT_STEP) + 1, CHOKER_SLOTS_LEAST);
	for (i = 0; i < t->count; i++)
		n += is_slow(t->peers[i], t->now);
	n = min_u32(n, CHOKER_SLOTS_MOST);
	/* More at once, fewer when a round is due. */
	if (t->round || n > c->slots)
		c->slots = n;
}

/* ---- while we download */

/* Whether it took more than it gave pays for; who did comes back when it owes half a credit. */
static bool overdraws(const struct choker *c, const struct choker_peer *p)
{
	return p->sent_bytes > (p->overdrawn ? c->credit / 2 : c->credit) + GIVES_ONE_IN * p->received_bytes;
}

static bool turn_is_spent(const struct choker *c, const struct choker_peer *p)
{
	return p->sent_bytes - p->turn_sent > c->credit + GIVES_ONE_IN * (p->received_bytes - p->turn_received);
}

/* Whether it may have a slot that is not given by lot. */
static bool has_earned(const struct choker *c, const struct choker_peer *p)
{
	return may_have(p) && (c->seeding ? !p->owes : !p->snubs && !p->overdrawn);
}

/* What it gave in the last two rounds; an eighth more for who has a slot, so that equals do not change places. */
static uint64_t merit(const struct choker_peer *p)
{
	uint64_t gave = p->received_bytes - p->received_at[1];

	return p->unchoked && !p->optimistic ? gave + gave / 8 : gave;
}

/* Since when it waits for a slot. */
static uint64_t waits_since(const struct choker_peer *p)
{
	return p->since_ms ? p->since_ms : p->connected_ms;
}

/* Who of two comes first while we download: gave more, has a slot and uses it, waits longer. */
static bool gave_more(const struct turn *t, const struct choker_peer *a, const struct choker_peer *b)
{
	uint64_t x = merit(a), y = merit(b);
	bool a_uses = a->unchoked && !is_slow(a, t->now), b_uses = b->unchoked && !is_slow(b, t->now);

	if (x != y)
		return x > y;
	if (a_uses != b_uses)
		return a_uses;
	if (a->unchoked != b->unchoked)
		return b->unchoked; /* b is slow */
	return waits_since(a) < waits_since(b);
}

/* Ends optimistic turns that are over. */
static void end_optimistic_turns(struct turn *t)
{
	uint32_t i;

	for (i = 0; i < t->count; i++) {
		struct choker_peer *p = t->peers[i];
		uint64_t passed = t->now - min_u64(p->since_ms, t->now);

		if (p->unchoked && p->optimistic && (passed >= OPTIMISTIC_TURN_MS || turn_is_spent(t->c, p)))
			set(t, p, false);
	}
}

static bool rests(const struct turn *t, const struct choker_peer *p)
{
	if (t->now < p->rest_ms)
		return true;
	return t->c->earners && t->c->given < p->rest_given && t->now - p->rest_ms < REST_MOST_MS - REST_LEAST_MS;
}

static uint32_t weight(const struct turn *t, const struct choker_peer *p)
{
	if (!may_have(p) || p->unchoked || p->chosen || rests(t, p))
		return 0;
	return t->now - min_u64(p->connected_ms, t->now) < NEW_MS ? NEW_WEIGHT : 1;
}

/* Draws lots for up to `most` optimistic turns. */
static void draw_optimistic(struct turn *t, uint32_t most)
{
	uint32_t sum, i, drawn;

	for (; most; most--) {
		for (sum = 0, i = 0; i < t->count; i++)
			sum += weight(t, t->peers[i]);
		if (!sum)
			return;
		drawn = lot(t->c, sum);
		for (i = 0; drawn >= weight(t, t->peers[i]); i++)
			drawn -= weight(t, t->peers[i]);
		set(t, t->peers[i], true);
		t->peers[i]->optimistic = true;
	}
}

/* ---- while we seed */

static bool turn_is_over(const struct turn *t, const struct choker_peer *p)
{
	uint64_t passed = t->now - min_u64(p->since_ms, t->now);

	if (is_slow(p, t->now))
		return true;
	return passed >= SEED_TURN_MS && (passed >= SEED_TURN_MOST_MS || p->sent_bytes - p->turn_sent >= SEED_TURN_BYTES);
}

/* Who of two comes first while we seed: in its turn, waits longer; last those whose turn is over, of them the later ones first. */
static bool is_due(const struct turn *t, const struct choker_peer *a, const struct choker_peer *b)
{
	int x = !a->unchoked ? 1 : turn_is_over(t, a) ? 2 : 0, y = !b->unchoked ? 1 : turn_is_over(t, b) ? 2 : 0;

	if (x != y)
		return x < y;
	return x == 1 ? waits_since(a) < waits_since(b) : a->since_ms > b->since_ms;
}

/* ---- both */

/* Marks the first ones until `most` are marked; returns how many more that are. */
static uint32_t choose(struct turn *t, uint32_t marked, uint32_t most)
{
	struct choker_peer *best;
	uint32_t n, i;

	for (n = 0; marked + n < most; n++) {
		best = NULL;
		for (i = 0; i < t->count; i++) {
			struct choker_peer *p = t->peers[i];

			if (p->chosen || !has_earned(t->c, p))
				continue;
			if (!best || (t->c->seeding ? is_due(t, p, best) : gave_more(t, p, best)))
				best = p;
		}
		if (!best)
			break;
		best->chosen = true;
	}
	return n;
}

/* Between rounds who has a slot keeps it, unless it has overdrawn. */
static uint32_t keep(struct turn *t)
{
	uint32_t n = 0, i;

	for (i = 0; i < t->count; i++) {
		struct choker_peer *p = t->peers[i];

		if (!p->unchoked || p->optimistic || !has_earned(t->c, p))
			continue;
		p->chosen = true;
		n++;
	}
	return n;
}

/* Chokes, one by one until at most `most` are left, those that are not chosen and (not) interested.  Returns how many are left. */
static uint32_t choke_down_to(struct turn *t, uint32_t most, bool interested)
{
	uint32_t n = 0, i;

	for (i = 0; i < t->count; i++)
		n += t->peers[i]->unchoked && !t->peers[i]->chosen && may_have(t->peers[i]) == interested;
	for (i = 0; i < t->count && n > most; i++) {
		struct choker_peer *p = t->peers[i];

		if (p->unchoked && !p->chosen && may_have(p) == interested) {
			set(t, p, false);
			n--;
		}
	}
	return n;
}

/* Chosen are those that get a regular slot.  The other slots: turns that go on, new ones, and who lost its interest. */
static void hand_out(struct turn *t, uint32_t chosen)
{
	uint32_t left = t->c->slots - min_u32(chosen, t->c->slots), i;

	for (i = 0; i < t->count; i++) {
		struct choker_peer *p = t->peers[i];

		/* A regular slot that was lost. */
		if (p->unchoked && !p->chosen && !p->optimistic && may_have(p))
			set(t, p, false);
	}
	left -= choke_down_to(t, left, true);
	draw_optimistic(t, left);
	for (i = 0, left = t->c->slots; i < t->count; i++)
		left -= min_u32(left, t->peers[i]->chosen || (t->peers[i]->unchoked && may_have(t->peers[i])));
	choke_down_to(t, left, false);
	for (i = 0; i < t->count; i++)
		if (t->peers[i]->chosen) {
			set(t, t->peers[i], true);
			t->peers[i]->optimistic = false;
		}
}

static void begin_turn(struct turn *t)
{
	uint64_t sent = 0;
	uint32_t i, earners = 0;

	for (i = 0; i < t->count; i++) {
		struct choker_peer *p = t->peers[i];

		if (p->unchoked && !p->optimistic && merit(p)) {
			sent += p->sent_bytes - p->sent_at;
			earners++;
		}
		p->sent_at = p->sent_bytes;
		p->changed = p->chosen = false;
		p->overdrawn = overdraws(t->c, p);
		if (t->c->seeding)
			p->owes &= t->now - t->c->seeding_ms < OWES_MS;
		else if (p->wanted || !p->overdrawn)
			p->owes = p->overdrawn;
		p->optimistic &= !t->c->seeding || p->owes;
	}
	t->c->earners = earners > 0;
	t->c->given += sent / max_u32(earners, 1);
}

static void close_round(struct turn *t)
{
	uint32_t i;

	for (i = 0; i < t->count; i++) {
		struct choker_peer *p = t->peers[i];

		p->received_at[1] = p->received_at[0];
		p->received_at[0] = p->received_bytes;
	}
}

void choker_turn(struct choker *c, struct choker_peer *const *peers, uint32_t count, const struct choker_input *in, uint64_t now_ms)
{
	struct turn t = { c, peers, count, now_ms, now_ms >= c->round_ms || c->seeding != in->seeding };
	uint32_t spare, chosen = 0;

	if (in->seeding && !c->seeding)
		c->seeding_ms = now_ms;
	c->seeding = in->seeding;
	c->credit = credit_of(in->piece_bytes);
	count_slots(&t, in);
	begin_turn(&t);
	end_optimistic_turns(&t);
	spare = c->seeding || c->slots == 1 ? 0 : (c->slots - 1) / OPTIMISTIC_OF + 1;
	if (!t.round)
		chosen = keep(&t);
	chosen += choose(&t, chosen, c->slots - spare);
	hand_out(&t, chosen);
	if (t.round) {
		close_round(&t);
		c->round_ms = now_ms + CHOKER_ROUND_MS;
	}
}

bool choker_spent(const struct choker *c, const struct choker_peer *p)
{
	if (!p->unchoked)
		return false;
	return p->optimistic ? turn_is_spent(c, p) : !c->seeding && overdraws(c, p);
}
