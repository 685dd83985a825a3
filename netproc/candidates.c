/*
 * candidates.c - see candidates.h.
 *
 * A table of CANDIDATES_MAX places and a hash of chains over it, keyed so that
 * a tracker cannot choose addresses that share a chain.
 */
#include "candidates.h"

#define BUCKETS 4096u
#define RETRY_FIRST_MS 10000u
#define RETRY_MOST_MS 1800000u
#define FORCED_FIRST_MS 1000u
#define FORCED_MOST_MS 60000u

struct candidates {
	uint64_t key;
	uint32_t used, known, idle, generation;
	uint32_t bucket[BUCKETS];        /* index + 1 */
	uint32_t next[CANDIDATES_MAX];   /* index + 1, of the chain */
	struct candidate all[CANDIDATES_MAX];
};

static uint32_t hash(const struct candidates *c, const struct net_addr *a)
{
	uint64_t h = c->key, part;
	size_t i;

	for (i = 0; i < sizeof a->ip; i += 8) {
		memcpy(&part, a->ip + i, 8);
		h = (h ^ part) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	h = (h ^ a->port ^ (uint64_t)a->family << 32) * 0xbf58476d1ce4e5b9ull;
	return (uint32_t)(h >> 40) % BUCKETS;
}

struct candidates *candidates_new(uint64_t key)
{
	struct candidates *c = must_calloc(1, sizeof *c);

	c->key = key;
	return c;
}

void candidates_free(struct candidates *c)
{
	free(c);
}

static bool same(const struct net_addr *a, const struct net_addr *b)
{
	return a->family == b->family && a->port == b->port && !memcmp(a->ip, b->ip, sizeof a->ip);
}

static void unlink_from(struct candidates *c, uint32_t index)
{
	uint32_t *at = &c->bucket[hash(c, &c->all[index].addr)];

	while (*at && *at != index + 1)
		at = &c->next[*at - 1];
	if (*at)
		*at = c->next[index];
}

/* How little is lost without it; 0: it stays. */
static uint64_t worth_little(const struct candidate *x)
{
	if (x->state == CANDIDATE_NEVER)
		return x->refused ? UINT64_MAX : 1;
	return x->state == CANDIDATE_IDLE && !x->forced && x->failures > 1 ? x->failures : 0;
}

/*
 * A place for a new one: free, or that of an address that was refused, failed
 * most, or (a table full of those would end the search for peers) is banned.
 * NO_CANDIDATE when all may be of use.
 */
static uint32_t make_room(struct candidates *c)
{
	uint32_t i, worst = NO_CANDIDATE;
	uint64_t most = 0;

	if (c->used < CANDIDATES_MAX)
		return c->used++;
	for (i = 0; i < CANDIDATES_MAX; i++)
		if (worth_little(&c->all[i]) > most) {
			most = worth_little(&c->all[i]);
			worst = i;
		}
	if (worst != NO_CANDIDATE) {
		unlink_from(c, worst);
		c->idle -= c->all[worst].state == CANDIDATE_IDLE;
		c->known--;
	}
	return worst;
}

uint32_t candidates_add(struct candidates *c, const struct net_addr *addr, enum peer_source source, uint64_t now_ms)
{
	uint32_t b, i;

	if ((addr->family != 4 && addr->family != 6) || !addr->port)
		return NO_CANDIDATE;
	b = hash(c, addr);
	for (i = c->bucket[b]; i; i = c->next[i - 1])
		if (same(&c->all[i - 1].addr, addr)) {
			c->all[i - 1].sources |= 1u << source;
			c->all[i - 1].forced |= source == PEER_FROM_USER;
			return i - 1;
		}
	i = make_room(c);
	if (i == NO_CANDIDATE)
		return i;
	/* An id names its place and how often the table gave a place away: a late blame never hits a newcomer. */
	c->generation = (c->generation + 1) & 0x7ffff;
	c->all[i] = (struct candidate){ .addr = *addr, .id = (c->generation << 12 | i) + 1, .state = CANDIDATE_IDLE,
					.sources = 1u << source, .forced = source == PEER_FROM_USER, .next_ms = now_ms };
	c->next[i] = c->bucket[b];
	c->bucket[b] = i + 1;
	c->known++;
	c->idle++;
	return i;
}

struct candidate *candidates_at(struct candidates *c, uint32_t index)
{
	return &c->all[index];
}

struct candidate *candidates_by_id(struct candidates *c, uint32_t id)
{
	uint32_t i = (id - 1) & (CANDIDATES_MAX - 1);

	return id && i < c->used && c->all[i].id == id ? &c->all[i] : NULL;
}

static bool better(const struct candidate *a, const struct candidate *b)
{
	if (a->forced != b->forced)
		return a->forced;
	return a->failures < b->failures;
}

uint32_t candidates_next(struct candidates *c, uint64_t now_ms, uint64_t *wait_ms)
{
	uint32_t i, best = NO_CANDIDATE;
	uint64_t soonest = UINT64_MAX;

	*wait_ms = UINT64_MAX;
	if (!c->idle)
		return NO_CANDIDATE;
	for (i = 0; i < c->used; i++) {
		const struct candidate *x = &c->all[i];

		if (x->state != CANDIDATE_IDLE)
			continue;
		if (x->next_ms > now_ms)
			soonest = min_u64(soonest, x->next_ms - now_ms);
		else if (best == NO_CANDIDATE || better(x, &c->all[best]))
			best = i;
	}
	*wait_ms = soonest;
	return best;
}

void candidates_take(struct candidates *c, uint32_t index)
{
	if (c->all[index].state == CANDIDATE_IDLE)
		c->idle--;
	c->all[index].state = CANDIDATE_DIALING;
}

void candidates_retry(struct candidates *c, uint32_t index, bool failed, uint64_t least_ms, uint64_t now_ms)
{
	struct candidate *x = &c->all[index];
	uint64_t first = x->forced ? FORCED_FIRST_MS : RETRY_FIRST_MS, most = x->forced ? FORCED_MOST_MS : RETRY_MOST_MS, wait;

	if (x->banned)
		candidates_never(c, index);
	if (x->state == CANDIDATE_NEVER)
		return;
	x->failures = failed ? x->failures + 1 : 0;
	wait = min_u64(most, first << min_u32(x->failures, 12));
	x->next_ms = now_ms + (x->forced ? wait : max_u64(wait, least_ms));
	x->state = CANDIDATE_IDLE;
	x->peer = NULL;
	c->idle++;
}

void candidates_never(struct candidates *c, uint32_t index)
{
	struct candidate *x = &c->all[index];

	if (x->state == CANDIDATE_IDLE)
		c->idle--;
	x->state = CANDIDATE_NEVER;
	x->peer = NULL;
}

void candidates_refused(struct candidates *c, uint32_t index)
{
	candidates_never(c, index);
	c->all[index].refused = true;
}

uint32_t candidates_known(const struct candidates *c)
{
	return c->known;
}

uint32_t candidates_idle(const struct candidates *c)
{
	return c->idle;
}
