/*
 * dialer.h - the dialer as a whole: who asks, what is waiting, what flies.
 *
 *	serve.c     packets -> requests: checks what netproc and the resolver say
 *	dial.c      the life of a request, from its admission to its one answer
 *	incoming.c  who connects to us: judged, and handed over or closed
 *	main.c      set-up and the loop
 *
 * All of it is one struct of fixed size: nothing grows with what netproc asks.
 */
#ifndef DIALER_DIALER_H
#define DIALER_DIALER_H

#include <sys/queue.h>

#include "channel.h"
#include "egress.h"
#include "eyeballs.h"
#include "limits.h"
#include "names.h"
#include "routes.h"

/* As in the BSDs; glibc's sys/queue.h lacks it. */
#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, next) \
	for ((var) = TAILQ_FIRST(head); (var) && ((next) = TAILQ_NEXT(var, field), true); (var) = (next))
#endif

#define CLIENTS_MAX 4u
#define DIALS_PER_CLIENT 256u /* unanswered ones */
#define DIALS_MAX (CLIENTS_MAX * DIALS_PER_CLIENT)
#define IN_FLIGHT_MAX 96u     /* below CHANNEL_QUEUE_FDS: all may connect while netproc takes none */
#define DIAL_WAIT_MS 30000u   /* for the limits to let the first attempt start; then DIAL_LIMIT */

/* One netproc. */
struct client {
	struct channel channel; /* fd -1: no client */
	uint32_t state;         /* of the permit table: one state only */
	uint32_t dials;         /* unanswered */
	struct dialer *dialer;
};

/*
 * A request.  DIAL_NAMING: waits for the resolver, `name` is the row that it
 * waits for.  DIAL_RACING: `race` holds the addresses that passed the policy;
 * some may fly.  It ends in dial_end(), which answers: once, in any case.
 */
enum dial_state { DIAL_FREE, DIAL_NAMING, DIAL_RACING };

struct dial {
	TAILQ_ENTRY(dial) link; /* of `waiting` in the order of admission, or of `spare` */
	enum dial_state state;
	struct client *client; /* borrowed */
	struct name *name;     /* borrowed */
	uint32_t tag;
	uint16_t port;
	uint8_t family;
	bool listed;            /* host:port is in the torrent */
	struct eyeballs race;
	uint64_t give_up_ms;    /* when it ends if nothing flies */
	uint64_t not_before_ms; /* the limits do not let the next attempt start earlier */
	/* What to answer when all fails: the last reason. */
	enum dial_failure reason;
	int error;
	struct net_addr last;
};
TAILQ_HEAD(dial_list, dial);

/* One socket that is connecting. */
struct attempt {
	struct dial *dial; /* NULL: free */
	int fd;            /* owned */
	struct net_addr to;
	uint64_t deadline_ms;
};

/* A socket that listens. */
struct listener {
	int fd;        /* owned; -1: none */
	uint16_t port;
	int interface; /* that it is bound to, 0: none */
};

struct dialer {
	struct msg_dialer_options options;
	struct egress egress;
	struct routes routes;
	struct limits limits, accepts;
	struct names names;
	struct channel *control; /* borrowed */
	struct channel resolver; /* fd -1: gone */
	uint32_t state;          /* of the permit tables of control and resolver */
	bool shutdown;
	bool told_no_names;      /* the line about --bind and names was logged */
	struct client clients[CLIENTS_MAX];
	struct client *newest;   /* gets who connects to us; NULL: gone */
	struct listener listeners[2]; /* IPv4, IPv6 */
	uint64_t accept_after_ms; /* a pause: no descriptors are left */
	struct dial_list waiting, spare;
	struct dial dials[DIALS_MAX];
	struct attempt attempts[IN_FLIGHT_MAX];
	uint32_t in_flight;
	struct msg_dialer_stats stats, told;
	uint64_t told_ms;
	uint64_t lines_ms; /* the second in which `lines` refusals were logged */
	uint32_t lines;
	uint64_t now_ms; /* of this turn */
};

/* ---- dial.c ---- */

/* Takes the options in their permitted ranges; channels are added by serve.c. */
void dialer_init(struct dialer *d, const struct msg_dialer_options *o);

/* A request of netproc.  Answers at once when it cannot be.  host is sound text or a literal; tag is not in use. */
void dial_addr(struct dialer *d, struct client *c, uint32_t tag, const struct net_addr *addr);
void dial_name(struct dialer *d, struct client *c, const struct msg_dial_name *m);

/* The request with this tag, or NULL. */
struct dial *dial_find(struct dialer *d, const struct client *c, uint32_t tag);

void dial_cancel(struct dialer *d, struct dial *r);

/* The resolver answered, failed or was silent: whoever waits for this row goes on. */
void dials_named(struct dialer *d, struct name *row);

/* Drops all of a client's requests, unanswered. */
void dials_drop(struct dialer *d, struct client *c);

/* An attempt polls as writable. */
void attempt_ready(struct dialer *d, struct attempt *a);

/* Time has passed: ends what is overdue, starts what may start. */
void dials_turn(struct dialer *d);

/* When dials_turn() has something to do; UINT64_MAX: never. */
uint64_t dials_deadline(const struct dialer *d);

/*
 * What the kernel's routes say of `a` (EGRESS_OK, OWN, ATTACHED, RESERVED) for a
 * socket that is bound to `interface`, 0 before there is one.  0, or an errno.
 */
int dialer_ask_routes(struct dialer *d, const struct net_addr *a, int interface, enum egress_verdict *v) MUST_CHECK;

/* A line about somebody who was refused: a few a second. */
void dialer_log_refusal(struct dialer *d, const char *what, const struct net_addr *a, const char *why);

/* ---- incoming.c */

/* Before the lock: listens on the first port of the range that is free in all families there are; or on none. */
void listeners_open(struct dialer *d);
void listeners_close(struct dialer *d);

/* Whether somebody may be accepted now: netproc takes what it is given, and no pause is on. */
bool listeners_are_served(const struct dialer *d);

/* It polls as readable: accepts a few. */
void listener_ready(struct dialer *d, struct listener *l);

/* When a pause ends; UINT64_MAX: there is none. */
uint64_t listeners_deadline(const struct dialer *d);

/* ---- serve.c ---- */

/* Take a channel's descriptor.  A second resolver replaces the first; false: no room for one more client. */
bool serve_client(struct dialer *d, int fd, uint32_t epoch) MUST_CHECK;
void serve_resolver(struct dialer *d, int fd, uint32_t epoch);

/* The channel polls as readable (or is to be tried): a fair number of packets. */
void serve_client_ready(struct dialer *d, struct client *c);
void serve_resolver_ready(struct dialer *d);

/* Whether requests may be read: not while the client leaves its answers lying. */
bool client_is_served(const struct client *c);

/* Sends what the kernel takes; whoever is gone is dropped. */
void serve_flush(struct dialer *d);

#endif
