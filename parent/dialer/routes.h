/*
 * routes.h - what the kernel says of a destination: this machine itself, a
 * directly attached network, or somewhere behind a router.
 *
 * Asked anew for each dial, since addresses and routes come and go.
 */
#ifndef DIALER_ROUTES_H
#define DIALER_ROUTES_H

#include "egress.h"

/*
 * A route without a gateway means an attached network, unless its prefix is
 * shorter than this: `default dev tun0` and its halves (0.0.0.0/1 and
 * 128.0.0.0/1, 2000::/3) lead into a tunnel and not to neighbours.  No network
 * segment has 2^25 addresses; no site has an IPv6 /15.
 */
#define ROUTES_ATTACHED_BITS4 8u
#define ROUTES_ATTACHED_BITS6 16u

struct routes {
	int fd; /* NETLINK_ROUTE; owned */
	uint32_t sequence;
};

/* What was asked: the interface that the socket is bound to (0: any) and its source address (family 0: any). */
struct route_query {
	const struct net_addr *to;
	const struct net_addr *from;
	int interface;
};

/* 0, or -1 with errno. */
int routes_open(struct routes *r) MUST_CHECK;
void routes_close(struct routes *r);

/*
 * EGRESS_OK, EGRESS_OWN, EGRESS_ATTACHED or EGRESS_RESERVED (a broadcast,
 * anycast or multicast route) in *verdict and 0; or an errno: ENETUNREACH and
 * the like when there is no route, EPROTO when the answer cannot be read.
 */
int routes_ask(struct routes *r, const struct route_query *q, enum egress_verdict *verdict) MUST_CHECK;

/* The answer to such a question, as bytes: the same results.  Pure. */
int routes_read(const void *bytes, size_t length, uint32_t sequence, uint8_t family, enum egress_verdict *verdict) MUST_CHECK;

#endif
