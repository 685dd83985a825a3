/*
 * limits.c - see limits.h.
 *
 * Fixed tables, set-associative.  A new destination takes the row of its set
 * that is nearest to full and inherits its debt: at worst somebody waits, and
 * filling the table with other destinations never buys an extra dial.  At 30
 * dials a second some 660 rows of 2048 are in debt at once, so honest use does
 * not come near that.
 */
#include "limits.h"

const struct limit_rates limits_of_dials = {
	.burst = 64, .addr_burst = 4, .addr_every_ms = 5000, .net_burst = 16, .net_every_ms = 1000, .addr6_bytes = 16,
};

/* Behind one IPv4 address there may be many: a household, a provider's customers. */
const struct limit_rates limits_of_accepts = {
	.burst = 64, .addr_burst = 8, .addr_every_ms = 4000, .net_burst = 32, .net_every_ms = 500, .addr6_bytes = 8,
};

void limits_init(struct limits *l, const struct limit_rates *rates, uint32_t per_second)
{
	memset(l, 0, sizeof *l);
	l->rates = rates;
	random_bytes(&l->seed, sizeof l->seed);
	l->every_us = 1000000u / (per_second ? per_second : 1);
}

/* 0 when one more fits into the bucket, else us to wait. */
static uint64_t bucket_wait(uint64_t full_us, uint32_t burst, uint64_t every_us, uint64_t now_us)
{
	uint64_t debt = full_us > now_us ? full_us - now_us : 0, most = (burst - 1) * every_us;

	return debt > most ? debt - most : 0;
}

static uint64_t bucket_take(uint64_t full_us, uint64_t every_us, uint64_t now_us)
{
	return (full_us > now_us ? full_us : now_us) + every_us;
}

static void make_key(uint8_t key[17], const struct net_addr *a, size_t bytes)
{
	memset(key, 0, 17);
	key[0] = a->family;
	memcpy(key + 1, a->ip, bytes);
}

static uint32_t set_of(const struct limits *l, const uint8_t key[17])
{
	uint64_t h = l->seed, w;
	size_t i;

	for (i = 0; i < 17; i += 8) {
		w = 0;
		memcpy(&w, key + i, i + 8 <= 17 ? 8 : 1);
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	h *= 0xbf58476d1ce4e5b9ull;
	return (uint32_t)(h >> 40) % LIMITS_SETS;
}

/* The row of this key: its own, or the one that it would take over (its key is not changed here). */
static struct limit_row *row_of(struct limit_row *set, const uint8_t key[17])
{
	struct limit_row *best = set;
	size_t i;

	for (i = 0; i < LIMITS_WAYS; i++) {
		if (memcmp(set[i].key, key, sizeof set[i].key) == 0)
			return &set[i];
		if (set[i].full_us < best->full_us)
			best = &set[i];
	}
	return best;
}

/* One bucket of a table: its row, and what it is to be called when the row is taken. */
struct share {
	struct limit_row *row;
	uint8_t key[17];
	uint64_t every_us;
};

static struct share share_of(const struct limits *l, struct limit_row (*table)[LIMITS_WAYS], const struct net_addr *a, size_t bytes,
			     uint32_t every_ms)
{
	struct share s = { .every_us = every_ms * 1000ull };

	make_key(s.key, a, bytes);
	s.row = row_of(table[set_of(l, s.key)], s.key);
	return s;
}

static void share_take(struct share *s, uint64_t now_us)
{
	memcpy(s->row->key, s->key, sizeof s->key);
	s->row->full_us = bucket_take(s->row->full_us, s->every_us, now_us);
}

uint32_t limits_take(struct limits *l, const struct net_addr *a, enum limit_reach reach, uint64_t now_us)
{
	const struct limit_rates *r = l->rates;
	uint64_t wait = bucket_wait(l->full_us, r->burst, l->every_us, now_us);
	struct share addr, net;

	if (reach >= LIMIT_ADDR) {
		addr = share_of(l, l->addrs, a, a->family == 4 ? 4 : r->addr6_bytes, r->addr_every_ms);
		wait = max_u64(wait, bucket_wait(addr.row->full_us, r->addr_burst, addr.every_us, now_us));
	}
	if (reach >= LIMIT_NET) {
		net = share_of(l, l->nets, a, a->family == 4 ? 3 : 6, r->net_every_ms);
		wait = max_u64(wait, bucket_wait(net.row->full_us, r->net_burst, net.every_us, now_us));
	}
	if (wait)
		return (uint32_t)((wait + 999) / 1000);
	l->full_us = bucket_take(l->full_us, l->every_us, now_us);
	if (reach >= LIMIT_ADDR)
		share_take(&addr, now_us);
	if (reach >= LIMIT_NET)
		share_take(&net, now_us);
	return 0;
}
