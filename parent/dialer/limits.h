/*
 * limits.h - how often may be dialled: in all, one destination, one network.
 *
 * Pure: the time is passed in.  A compromised netproc may bother public hosts
 * only within these limits (P3); every limit refills, so that an honest one
 * is delayed and never locked out.
 */
#ifndef DIALER_LIMITS_H
#define DIALER_LIMITS_H

#include "messages.h"

#define LIMITS_BURST 64u          /* dials at once after a pause */
#define LIMITS_ADDR_BURST 4u      /* to one address */
#define LIMITS_ADDR_EVERY_MS 5000u /* and then one each */
#define LIMITS_NET_BURST 16u      /* to one /24 or /48 */
#define LIMITS_NET_EVERY_MS 1000u

#define LIMITS_SETS 512u
#define LIMITS_WAYS 4u

/* A bucket is the moment at which it is full again (us); one that was never used is full. */
struct limit_row {
	uint8_t key[17]; /* family and prefix */
	uint64_t full_us;
};

struct limits {
	uint64_t seed;     /* of the hash: which rows share a set is not for others to know */
	uint64_t every_us; /* of all dials together */
	uint64_t full_us;
	struct limit_row addrs[LIMITS_SETS][LIMITS_WAYS];
	struct limit_row nets[LIMITS_SETS][LIMITS_WAYS];
};

/* per_second >= 1. */
void limits_init(struct limits *l, uint32_t per_second);

/*
 * 0: it may be dialled now, and was counted.  Otherwise milliseconds to wait,
 * and nothing was counted.  allowed: by the user (--allow-net, --peer): only the
 * limit over all dials holds.
 */
uint32_t limits_take(struct limits *l, const struct net_addr *a, bool allowed, uint64_t now_us);

#endif
