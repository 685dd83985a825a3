/*
 * fastset.h - which pieces a peer may ask for while we choke it (BEP 6, "allowed fast").
 *
 * They follow from the peer's network and the info-hash, so that one who
 * connects again and again, or from many addresses of one network, is given no
 * others.  IPv4: the /24, as BEP 6 says.  BEP 6 knows no IPv6: its /64 stands in
 * for it (some clients take the whole address, which anybody has 2^64 of).
 */
#ifndef NETPROC_FASTSET_H
#define NETPROC_FASTSET_H

#include "messages.h"

#define FASTSET_MAX 10u

/* Before the lock: libcrypto reads its configuration and loads its provider on first use. */
void fastset_warm_up(void);

/* Writes at most `most` (<= FASTSET_MAX) pieces below `pieces`, none twice, in the order of BEP 6; returns how many. */
uint32_t fastset_make(uint32_t out[FASTSET_MAX], uint32_t most, const uint8_t info_hash[20], const struct net_addr *addr, uint32_t pieces);

/* Whether it is one of these `count` pieces. */
static inline bool fastset_has(const uint32_t *set, uint32_t count, uint32_t piece)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (set[i] == piece)
			return true;
	return false;
}

#endif
