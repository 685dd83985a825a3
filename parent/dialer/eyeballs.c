/*
 * eyeballs.c - see eyeballs.h.
 */
#include "eyeballs.h"

/* The next of `family` at or after *at, or NULL. */
static const struct net_addr *next_of(const struct net_addr *addrs, uint32_t count, uint32_t *at, uint8_t family)
{
	while (*at < count) {
		const struct net_addr *a = &addrs[(*at)++];

		if (a->family == family)
			return a;
	}
	return NULL;
}

void eyeballs_init(struct eyeballs *e, const struct net_addr *addrs, uint32_t count, uint8_t family, uint16_t port, uint64_t now_ms)
{
	uint32_t at4 = 0, at6 = 0;
	bool six = true;

	memset(e, 0, sizeof *e);
	e->next_ms = now_ms;
	while (e->count < EYEBALLS_MAX) {
		const struct net_addr *a = NULL;

		if (six && family != 4)
			a = next_of(addrs, count, &at6, 6);
		if (!six && family != 6)
			a = next_of(addrs, count, &at4, 4);
		six = !six;
		if (!a && (at4 >= count || family == 6) && (at6 >= count || family == 4))
			break;
		if (!a)
			continue;
		e->addr[e->count] = *a;
		e->addr[e->count++].port = port;
	}
}

const struct net_addr *eyeballs_due(const struct eyeballs *e, uint64_t now_ms)
{
	return e->next < e->count && now_ms >= e->next_ms ? &e->addr[e->next] : NULL;
}

void eyeballs_started(struct eyeballs *e, uint64_t now_ms)
{
	e->next++;
	e->flying++;
	e->next_ms = now_ms + EYEBALLS_DELAY_MS;
}

void eyeballs_skipped(struct eyeballs *e)
{
	e->next++;
}

void eyeballs_failed(struct eyeballs *e, uint64_t now_ms)
{
	if (!e->flying)
		bug("an attempt failed that never started");
	e->flying--;
	e->next_ms = now_ms;
}

bool eyeballs_over(const struct eyeballs *e)
{
	return e->next >= e->count && e->flying == 0;
}
