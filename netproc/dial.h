/*
 * dial.h - netproc's side of the dialer: asks for connections, gets sockets;
 * also those of who connected to us.
 *
 * A request is embedded in what wants the connection.  Its `done` is called
 * exactly once, from the loop, unless it is cancelled first.
 */
#ifndef NETPROC_DIAL_H
#define NETPROC_DIAL_H

#include "channel.h"
#include "loop.h"

struct dials;

struct dial_request {
	uint32_t tag; /* 0 when it is not waiting */
	struct dial_request *next; /* dial.c's own */
	/*
	 * fd >= 0: connected, non-blocking, now the callee's; addr and local are
	 * set.  fd < 0: why says the reason; addr is the last address tried.
	 */
	void (*done)(void *arg, int fd, const struct net_addr *addr, const struct net_addr *local, enum dial_failure why, int error);
	void *arg;
};

/* Takes the channel's descriptor. */
struct dials *dials_new(struct loop *l, int fd, uint32_t epoch);

/*
 * Whom to give those that connect to us: fd is non-blocking, and the callee's;
 * local is this end's address.  Until then they are closed.
 */
typedef void (*incoming_fn)(void *arg, int fd, const struct net_addr *addr, const struct net_addr *local);
void dials_on_incoming(struct dials *d, incoming_fn fn, void *arg);

/* Tells nobody. */
void dials_free(struct dials *d);

/* 0, or -1 when the channel has no room now (done is not called). */
int dial_addr(struct dials *d, struct dial_request *r, enum net_kind kind, const struct net_addr *addr) MUST_CHECK;
/* family: 0 any, 4 or 6.  host: 1..255 bytes, a name or the text of an address. */
int dial_name(struct dials *d, struct dial_request *r, enum net_kind kind, const char *host, uint16_t port, uint8_t family) MUST_CHECK;
/* Harmless when it is not waiting. */
void dial_cancel(struct dials *d, struct dial_request *r);

/* How many connections the policy refused so far. */
uint32_t dials_refused(const struct dials *d);

#endif
