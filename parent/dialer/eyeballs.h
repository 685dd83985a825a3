/*
 * eyeballs.h - in which order and when the addresses of one host are tried:
 * RFC 8305, "Happy Eyeballs", from its section 4 on (the resolver returns both
 * families at once).
 *
 * Pure: the time is passed in, and whoever owns this does the connecting.
 */
#ifndef DIALER_EYEBALLS_H
#define DIALER_EYEBALLS_H

#include "messages.h"

#define EYEBALLS_MAX RESOLVED_MAX
#define EYEBALLS_DELAY_MS 250u /* RFC 8305, section 8: Connection Attempt Delay */

struct eyeballs {
	struct net_addr addr[EYEBALLS_MAX]; /* [next, count) were not tried yet */
	uint8_t count, next;
	uint8_t flying;   /* attempts that are neither connected nor failed */
	uint64_t next_ms; /* when the next may start */
};

/*
 * Takes the addresses of `family` (0: any) in their order, families interleaved,
 * IPv6 first; each gets `port`.  At most EYEBALLS_MAX.
 */
void eyeballs_init(struct eyeballs *e, const struct net_addr *addrs, uint32_t count, uint8_t family, uint16_t port, uint64_t now_ms);

/* The address to try now, or NULL: wait until next_ms, or for one that flies. */
const struct net_addr *eyeballs_due(const struct eyeballs *e, uint64_t now_ms);

/* What became of the address that was due: its attempt flies, or none was made and the next is due at once. */
void eyeballs_started(struct eyeballs *e, uint64_t now_ms);
void eyeballs_skipped(struct eyeballs *e);

/* One that flew has failed: the next is due at once (RFC 8305, section 5). */
void eyeballs_failed(struct eyeballs *e, uint64_t now_ms);

/* Nothing flies and nothing is left. */
bool eyeballs_over(const struct eyeballs *e);

#endif
