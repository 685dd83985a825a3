/*
 * strangers.h - those that connected to us: a pure core.
 *
 * Of them only the address is known, and not where they could be dialled: they
 * are no candidates.  Each gets an id for blame, and the last STRANGERS_KEPT of
 * them are remembered, since blame may come when they are gone.  Whoever is
 * banned, dialled or not, is refused here by host: an IPv4 address, or the /64
 * of an IPv6 one.
 */
#ifndef NETPROC_STRANGERS_H
#define NETPROC_STRANGERS_H

#include "messages.h"

#define STRANGERS_KEPT 1024u  /* a power of two */
#define STRANGERS_BANNED 256u /* hosts; then the first is forgotten */

/* A bit of every id of a stranger and of no candidate's. */
#define STRANGER_ID 0x80000000u

struct stranger {
	uint32_t id; /* 0: none yet */
	struct net_addr addr;
};

struct strangers {
	uint32_t last; /* number of the last id */
	struct stranger recent[STRANGERS_KEPT];
	struct net_addr banned[STRANGERS_BANNED]; /* a ring */
	uint32_t bans;
};

/* The same host: all ports; of IPv6, the /64. */
bool strangers_same_host(const struct net_addr *a, const struct net_addr *b);

/* The id of a new one. */
uint32_t strangers_add(struct strangers *s, const struct net_addr *addr);

/* Its address; NULL when that is forgotten. */
const struct net_addr *strangers_by_id(const struct strangers *s, uint32_t id);

void strangers_ban(struct strangers *s, const struct net_addr *addr);
bool strangers_is_banned(const struct strangers *s, const struct net_addr *addr);

#endif
