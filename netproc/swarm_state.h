/*
 * swarm_state.h - what the files of the swarm share; nobody else includes it.
 *
 *	swarm.c           its life, peers that come and go, what time brings
 *	swarm_dial.c      whom to connect to, and when again
 *	swarm_incoming.c  who connected to us
 *	swarm_disk.c      what diskproc says: pieces, verdicts, whom they ban
 *	swarm_slots.c     memory and slots that peers share, and the queue for slots
 *	swarm_upload.c    whose turn it is to be sent to, and the rates: --max-up, --max-down
 *	swarm_choke.c     whom we unchoke
 *	swarm_super.c     which pieces whom is told of while we super-seed
 */
#ifndef NETPROC_SWARM_STATE_H
#define NETPROC_SWARM_STATE_H

#include "bucket.h"
#include "candidates.h"
#include "strangers.h"
#include "swarm.h"

#define DIALS_MOST 40u
#define HAVE_BATCH 512u /* HAVEs in one go to one peer */
#define USELESS_AFTER_MS 120000u
#define PEERS_LEAVING 16u /* that are dead, beside as many living ones as there may be, until the turn ends */

/* One address being dialled. */
struct dialing {
	struct dial_request request;
	struct swarm *swarm;
	uint32_t candidate; /* NO_CANDIDATE: free, or a host name */
	bool used;
};

enum super_state { SUPER_NO, SUPER_ON, SUPER_OVER };

/* A READ that is out.  peer NULL: free, or whoever asked is gone. */
struct upload_read {
	struct peer *peer;
	uint32_t serial, length;
};

struct swarm_up {
	struct peer *line, **line_end; /* who has something to ask or to send */
	uint32_t in_line;
	bool kick; /* the line should be walked at the end of this turn */
	bool dry;  /* --max-up allowed nothing in this walk: the timer goes on */
	struct bucket bucket; /* of all that is sent */
	struct bucket down;   /* of all that is received */
	struct loop_timer timer, down_timer;
	uint32_t down_first; /* where the next round of those that are paused begins */
	uint64_t bytes;       /* payload sent */
	uint64_t fast_bytes;  /* asked for by the choked, and not refused */
	struct meter meter;
	struct upload_read read[CONVEYOR_READS];
	uint32_t free_read[CONVEYOR_READS], free_reads;
	uint32_t out_bytes;   /* of all reads that are out */
	uint32_t held_bytes;  /* of blocks that wait in peers' buffers */
};

struct swarm {
	struct loop *loop;
	struct swarm_up up;
	struct choker choker;
	struct choker_peer **chokes; /* scratch of one choker_turn(): options.max_peers of room; owned */
	bool choke_soon;
	enum super_state super_state;
	struct superseed super; /* while SUPER_ON */
	bool super_kick;        /* somebody may be shown another piece */
	uint32_t super_turn;    /* where the next pass begins */
	uint64_t super_ms;      /* of the last */
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
	struct peer **peers; /* owned array of owned peers, options.max_peers + PEERS_LEAVING of room */
	uint32_t count, dead, shaken, sending;
	struct dialing dialing[DIALS_MOST];
	uint32_t dials_under_way;
	uint8_t *have; /* our own bitfield */
	uint32_t have_count;
	uint8_t *unwanted; /* bitfield; owned; NULL: every piece is wanted */
	uint32_t bitfield_bytes, held_slots;
	size_t bitfield_memory;
	uint32_t *come, come_count, come_room; /* pieces that were verified since the start, in that order; owned */
	uint32_t told;                          /* of them; each peer has a place of its own in it */
	struct peer *waiting, **waiting_end; /* for slots, first come first served */
	uint64_t held_ms; /* since when no peer is read; 0: they are */
	bool ready, kick, connect;
	bool said_complete; /* peers were told that we need nothing any more */
	bool disk_held; /* this diskproc takes no more: nobody is dialled until another comes */
	bool down; /* for good */
	struct loop_timer tick;
	uint64_t flushed_us, needed_ms, replaced_ms;
	uint64_t turned_away_ms; /* when somebody who came found no room; 0: never */
	uint64_t network_key;    /* of swarm_incoming.c; odd */
	uint64_t received, wasted, verified_bytes;
	uint64_t missing_bytes; /* of wanted pieces, not verified */
	struct meter down_meter; /* of received */
	uint32_t banned;
};

/* swarm.c: when the peer last was of use to either side. */
uint64_t swarm_useful_ms(const struct peer *p);

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

/* swarm.c */

/* We have one piece more; none any more. */
void swarm_gained(struct swarm *s, uint32_t piece);
void swarm_lost_all(struct swarm *s);

/* swarm_disk.c */
extern const struct disk_hooks swarm_disk_hooks; /* arg is left to be set */

/* swarm_upload.c */

void swarm_upload_init(struct swarm *s);
/* Walks the line once; at the end of a turn when up.kick. */
void swarm_upload_turn(struct swarm *s);
void swarm_on_data(void *arg, uint32_t tag);
void swarm_on_read_failed(void *arg, uint32_t tag, int32_t error);
/* The peer is dead: what it asked for has no taker, what waits for it is not counted any more. */
void swarm_upload_gone(struct peer *p);
/* Before dead peers are freed. */
void swarm_upload_forget_dead(struct swarm *s);
/* Another diskproc has told what is there: what was asked for before is read from it, or rejected. */
void swarm_upload_resume(struct swarm *s);
/* diskproc is gone, with its slots. */
void swarm_upload_lost(struct swarm *s);
/* More came than --max-down allows: the peer is not read for a while. */
void swarm_pause(struct peer *p);

/* swarm_choke.c: at each tick, and at the end of a turn when choke_soon. */
void swarm_choke(struct swarm *s);

/* swarm_super.c */

/* diskproc has told what is there. */
void swarm_super_begin(struct swarm *s);
/* A pass over the peers, unless one was just now: at each tick, and at the end of a turn when super_kick. */
void swarm_super_show(struct swarm *s);
/* It is over: tells a veiled peer of what it lacks, as far as it takes it. */
void swarm_super_unveil(struct swarm *s, struct peer *p);
void swarm_super_free(struct swarm *s);

/* swarm_slots.c */

/* Peers read again whose turn for slots has come. */
void swarm_serve_waiting(struct swarm *s);
/* Before dead peers are freed. */
void swarm_forget_waiting(struct swarm *s);

#endif
