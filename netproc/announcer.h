/*
 * announcer.h - one torrent's talk with its HTTP and HTTPS trackers: the glue of
 * schedule (announce.h), requests and replies (tracker.h), libcurl (http.h) and
 * the loop.
 *
 * Runs after the lock.  At most ANNOUNCE_MAX_IN_FLIGHT announces at a time,
 * each of bounded time and size.  UDP trackers are none of its business: they
 * are left out, and never count as failed.  URLs hold passkeys: only hosts are
 * ever logged.
 */
#ifndef NETPROC_ANNOUNCER_H
#define NETPROC_ANNOUNCER_H

#include "http.h"
#include "metainfo.h"

struct announcer;

/* Called from the loop only, never from within announcer_*(). */
struct announcer_hooks {
	void *arg;
	void (*on_peer)(void *arg, const struct net_addr *addr);               /* each peer of a reply, at most TRACKER_PEERS_MAX */
	void (*on_peer_name)(void *arg, const char *host, uint16_t port);      /* at most TRACKER_NAMES_MAX of a reply */
	void (*totals)(void *arg, uint64_t *uploaded, uint64_t *downloaded, uint64_t *left); /* bytes */
	void (*on_event)(void *arg, const struct msg_tracker_event *e);        /* an answer, or a tracker that failed */
	void (*on_idle)(void *arg);                                            /* after announcer_stop(): all is said or given up */
};

/*
 * After the lock: it reads the form.  Takes http, which http_new() made and
 * warmed up before the lock; NULL: no tracker is asked.  Borrows the metainfo
 * and what hooks->arg points to; copies the rest.
 */
struct announcer *announcer_new(struct loop *l, struct http *http, const struct metainfo *m, const struct msg_net_options *o,
	const uint8_t peer_id[20], const struct announcer_hooks *hooks);
void announcer_free(struct announcer *a);

/* What is told from now on: where others can connect to us. */
void announcer_set_port(struct announcer *a, uint16_t port);

/* Announces begin; "started" goes to whoever answers first (BEP 12). */
void announcer_start(struct announcer *a);

/* Peers run short: re-announces as early as the trackers allow.  have: known and usable peers.  May be called at any rate. */
void announcer_need_peers(struct announcer *a, uint32_t have);

/* The download is complete.  Sent once, unless nothing was left at the start. */
void announcer_completed(struct announcer *a);
/* All that is wanted is here, and it is not all of the torrent: trackers hear it with the announces that follow. */
void announcer_partial_seed(struct announcer *a);

/* Gives up what is in flight, tells "stopped" to each tracker that knows us, and calls on_idle within grace_ms. */
void announcer_stop(struct announcer *a, uint32_t grace_ms);

#endif
