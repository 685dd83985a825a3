/*
 * strangers.c - see strangers.h.
 */
#include "strangers.h"

bool strangers_same_host(const struct net_addr *a, const struct net_addr *b)
{
	return a->family == b->family && !memcmp(a->ip, b->ip, a->family == 4 ? 4 : 8);
}

uint32_t strangers_add(struct strangers *s, const struct net_addr *addr)
{
	uint32_t id;

	s->last = s->last == STRANGER_ID - 1 ? 1 : s->last + 1;
	id = STRANGER_ID | s->last;
	s->recent[id % STRANGERS_KEPT] = (struct stranger){ .id = id, .addr = *addr };
	return id;
}

const struct net_addr *strangers_by_id(const struct strangers *s, uint32_t id)
{
	const struct stranger *x = &s->recent[id % STRANGERS_KEPT];

	return id & STRANGER_ID && x->id == id ? &x->addr : NULL;
}

void strangers_ban(struct strangers *s, const struct net_addr *addr)
{
	if (!strangers_is_banned(s, addr))
		s->banned[s->bans++ % STRANGERS_BANNED] = *addr;
}

bool strangers_is_banned(const struct strangers *s, const struct net_addr *addr)
{
	uint32_t i;

	for (i = 0; i < min_u32(s->bans, STRANGERS_BANNED); i++)
		if (strangers_same_host(&s->banned[i], addr))
			return true;
	return false;
}
