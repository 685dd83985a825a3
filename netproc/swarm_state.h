/*
 * swarm_state.h - what the files of the swarm share; nobody else includes it.
 *
 *	swarm.c           its life, peers that come and go, what time brings
 *	swarm_dial.c      whom to connect to, and when again
 *	swarm_incoming.c  who connected to us
 *	swarm_disk.c      what diskproc says: pieces, verdicts, whom they ban
 *	swarm_slots.c     memory and slots that peers share, and the queue for slots
 */
#ifndef NETPROC_SWARM_STATE_H
#define NETPROC_SWARM_STATE_H

#include "candidates.h"
#include "strangers.h"
#include "swarm.h"

#define DIALS_MOST 40u
#define HAVE_BATCH 512u

/* One address being dialled. */
struct dialing {
	struct dial_request request;
	struct swarm *swarm;
	uint32_t candidate; /* NO_CANDIDATE: free, or a host name */
	bool used;
};

struct swarm {
	struct loop *loop;
	struct dials *dials;
	struct disk *disk;
	struct picker *picker;
	struct candidates *candidates;
	struct strangers strangers;
	const struct slots *slots;
	const struct metainfo *info;
	struct msg_net_options options;
	struct swarm_hooks hooks;
	uint8_t peer_id[20];
	struct peer **peers; /* owned array of owned peers, options.max_peers of room */
	uint32_t count, dead, shaken, sending;
	struct dialing dialing[DIALS_MOST];
	uint32_t dials_under_way;
	uint8_t *have; /* our own bitfield */
	uint32_t bitfield_bytes, held_slots;
	size_t bitfield_memory;
	uint32_t fresh[HAVE_BATCH], fresh_count; /* verified in this turn, to be told */
	struct peer *waiting, **waiting_end; /* for slots, first come first served */
	uint64_t held_ms; /* since when no peer is read; 0: they are */
	bool ready, kick, connect;
	bool disk_held; /* this diskproc takes no more: nobody is dialled until another comes */
	bool down; /* for good */
	struct loop_timer tick;
	uint64_t flushed_us, needed_ms, replaced_ms;
	uint64_t received, wasted, verified_bytes;
	uint64_t rate, rate_received, rate_ms;
	uint32_t banned;
};

/* swarm_dial.c */

/* fd is connected to the candidate, which was taken: a peer, or closed when there is no room for one. */
void swarm_connected(struct swarm *s, uint32_t candidate, int fd);
/* The connection ended, or was none; failed: nothing of use came of it. */
void swarm_disconnected(struct swarm *s, uint32_t candidate, enum drop_reason reason, bool failed);
/* Dials while there is room for peers and somebody to dial. */
void swarm_connect_more(struct swarm *s);
void swarm_cancel_dials(struct swarm *s);

/* swarm_incoming.c */

/* It sent wrong data: whoever comes from its host is refused from now on. */
void swarm_ban_stranger(struct swarm *s, uint32_t id, const char *why);

/* swarm_disk.c */
extern const struct disk_hooks swarm_disk_hooks; /* arg is left to be set */

/* swarm_slots.c */

/* Peers read again whose turn for slots has come. */
void swarm_serve_waiting(struct swarm *s);
/* Before dead peers are freed. */
void swarm_forget_waiting(struct swarm *s);

#endif
