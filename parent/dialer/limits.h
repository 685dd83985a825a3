/*
 * limits.h - how often may be dialled, and how often may others dial us: in
 * all, one address, one network.
 *
 * Pure: the time is passed in.  A compromised netproc may bother public hosts
 * only within these limits (P3), and strangers us; every limit refills, so that
 * an honest one is delayed and never locked out.
 */
#ifndef DIALER_LIMITS_H
#define DIALER_LIMITS_H

#include "messages.h"

/* The numbers of one direction. */
struct limit_rates {
	uint32_t burst;                 /* of all together, at once after a pause; their rate is the options' */
	uint32_t addr_burst;            /* of one address */
	uint32_t addr_every_ms;         /* and then one each */
	uint32_t net_burst;             /* of one network: a /24 or /48 */
	uint32_t net_every_ms;
	size_t addr6_bytes;             /* how much of an IPv6 address names a host */
};
extern const struct limit_rates limits_of_dials;
extern const struct limit_rates limits_of_accepts; /* who has one IPv6 address has a /64 of them */

#define LIMITS_SETS 512u
#define LIMITS_WAYS 4u

/* A bucket is the moment at which it is full again (us); one that was never used is full. */
struct limit_row {
	uint8_t key[17]; /* family and prefix */
	uint64_t full_us;
};

struct limits {
	const struct limit_rates *rates;
	uint64_t seed;     /* of the hash: which rows share a set is not for others to know */
	uint64_t every_us; /* of all together */
	uint64_t full_us;
	struct limit_row addrs[LIMITS_SETS][LIMITS_WAYS];
	struct limit_row nets[LIMITS_SETS][LIMITS_WAYS];
};

/* per_second >= 1. */
void limits_init(struct limits *l, const struct limit_rates *rates, uint32_t per_second);

/* Which limits hold, each with those before it. */
enum limit_reach {
	LIMIT_ALL,  /* over all together: whom the user named, by --allow-net or --peer, and we dial */
	LIMIT_ADDR, /* of an address: whom the user named, and who connects to us */
	LIMIT_NET,  /* of a network: that is against a stranger who owns one */
};

/* 0: it may be now, and was counted.  Otherwise milliseconds to wait, and nothing was counted. */
uint32_t limits_take(struct limits *l, const struct net_addr *a, enum limit_reach reach, uint64_t now_us);

#endif
