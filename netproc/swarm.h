/*
 * swarm.h - all peers of one torrent: whom to connect to, whom to drop, what
 * diskproc's verdicts mean for whom.
 *
 * Owns the picker, the table of known addresses and every struct peer.  Its
 * files are listed in swarm_state.h.
 */
#ifndef NETPROC_SWARM_H
#define NETPROC_SWARM_H

#include "dial.h"
#include "disk.h"
#include "loop.h"
#include "metainfo.h"
#include "peer.h"
#include "wanted.h"

struct swarm;

/* What the swarm tells main.c. */
struct swarm_hooks {
	void *arg;
	void (*on_ready)(void *arg);      /* diskproc told what is there: the download may begin (or is complete) */
	void (*on_complete)(void *arg);   /* the last wanted piece verified */
	void (*on_disk_lost)(void *arg);
	void (*need_peers)(void *arg, uint32_t have); /* peers run short */
};

/* wanted: checked against the form; looked at now only. */
struct swarm *swarm_new(struct loop *l, struct dials *dials, const struct slots *slots, const struct metainfo *info, const struct wanted *wanted,
			const struct msg_net_options *options, const uint8_t peer_id[20], const struct swarm_hooks *hooks);
/* After swarm_shutdown() and a turn's end. */
void swarm_free(struct swarm *s);

/* diskproc's channel and conveyor: at start, and again when it was restarted.  Both are taken. */
void swarm_attach_disk(struct swarm *s, int fd, uint32_t epoch, int conveyor);

/* An address that somebody named; the user's are tried sooner and never forgotten. */
void swarm_add_address(struct swarm *s, const struct net_addr *addr, enum peer_source source);
/* A peer that a tracker named by host. */
void swarm_add_name(struct swarm *s, const char *host, uint16_t port);

/* Somebody connected to us.  Takes fd. */
void swarm_add_incoming(struct swarm *s, int fd, const struct net_addr *addr);

/* After each turn of the loop: hands blocks over, asks starved peers for more, frees the dead.  `idle`: nothing else was ready. */
void swarm_end_turn(struct swarm *s, bool idle);
/* How long the next turn may wait, at most: 0 when there is more to send at once. */
uint32_t swarm_wait_ms(const struct swarm *s);

/* Drops all peers and dials; nothing is connected any more. */
void swarm_shutdown(struct swarm *s);

void swarm_stats(struct swarm *s, struct msg_net_stats *out);
/* What -v and --json show of peer number i, 0 to max_peers - 1.  False: there is none, or it has not shaken hands. */
bool swarm_peer_info(struct swarm *s, uint32_t i, struct msg_peer_info *out);
/*
 * For trackers.  left: of the wanted pieces what is not verified; when all of
 * them are, of the torrent: who does not have all of it is no seed.
 */
void swarm_totals(const struct swarm *s, uint64_t *uploaded, uint64_t *downloaded, uint64_t *left);
/* All that is wanted is here, and something else is not (BEP 21). */
bool swarm_is_partial_seed(const struct swarm *s);

/* ---- uploads, for peer*.c (swarm_upload.c) */

/* It has something to ask of diskproc: a turn for it, once, behind those that wait. */
void swarm_upload_turn_for(struct peer *p);
/* Room or tokens came back: the line moves at the end of this turn of the loop. */
void swarm_upload_kick(struct swarm *s);
/* Somebody became interested, or left a place: who is unchoked is looked at again soon. */
void swarm_choke_soon(struct swarm *s);
/* Whether diskproc, and --max-up, let so many bytes be read out now; otherwise the line moves when they do. */
bool swarm_may_read_out(struct swarm *s, uint32_t length);
/* Asks diskproc, after that; the answer goes to peer_on_data() or peer_on_read_failed(), while the peer is there. */
void swarm_read(struct peer *p, uint32_t serial, uint32_t piece, uint32_t begin, uint32_t length);
/* Bytes of blocks that a peer's buffer holds, since its socket had no room; or no more, below 0. */
void swarm_hold_bytes(struct swarm *s, int32_t change);
/* How many of `want` bytes --max-down lets be read now; never 0 once swarm_may_read() let it read. */
size_t swarm_may_receive(struct swarm *s, size_t want);
/* Bytes that went out or came in, of any kind; payload that a peer got. */
void swarm_count_sent(struct swarm *s, size_t bytes);
void swarm_count_received(struct swarm *s, size_t bytes);
void swarm_count_uploaded(struct peer *p, size_t payload);
/* Whether a choked peer may have so many bytes more of what it is allowed all the same (BEP 6); and that it is to have them. */
bool swarm_may_give_fast(const struct swarm *s, uint32_t bytes);
void swarm_count_fast(struct swarm *s, uint32_t bytes);

/* ---- super-seeding, for peer*.c (swarm_super.c) */

/* Whoever is greeted now is told of no piece. */
bool swarm_super_seeds(const struct swarm *s);
/* Whether it was told of the piece, as far as super-seeding decides that. */
bool swarm_may_ask(const struct peer *p, uint32_t piece);
/* It has this piece too; or these, but not all, of which p->pick.have has what was known. */
void swarm_super_on_have(struct peer *p, uint32_t piece);
void swarm_super_on_bitfield(struct peer *p, const uint8_t *bits);
/* It is gone, or a seed; p->pick.have is still what was known. */
void swarm_super_leave(struct peer *p);

/* ---- for peer*.c */
uint16_t swarm_port(struct swarm *s); /* where we listen; 0: nowhere */
uint32_t swarm_told(const struct swarm *s); /* a greeting tells all that came up to here */
struct picker *swarm_picker(struct swarm *s);
struct disk *swarm_disk(struct swarm *s);
struct loop *swarm_loop(struct swarm *s);
const struct slots *swarm_slots(struct swarm *s);
const struct metainfo *swarm_info(struct swarm *s);
const uint8_t *swarm_peer_id(struct swarm *s);
uint64_t swarm_now(struct swarm *s);
uint32_t swarm_bitfield_bytes(struct swarm *s);
const uint8_t *swarm_have(struct swarm *s); /* our own bitfield */
uint32_t swarm_have_count(const struct swarm *s); /* bits of it that are set */
const char *swarm_client(struct swarm *s);  /* our name for extended handshakes; NULL: not told */

/* Memory for a peer's bitfield within the budget of all (32 MiB); NULL: too much.  peer_free gives it back. */
uint8_t *swarm_bitfield_new(struct swarm *s);
void swarm_bitfield_free(struct swarm *s, uint8_t *bits);

/* Blocks that hold slots while they arrive are limited: whether one more may. */
bool swarm_may_hold_slot(struct swarm *s);
void swarm_holds_slot(struct swarm *s, int change);

/* Reads from the peer, or lets it wait behind others for slots. */
void swarm_may_read(struct peer *p);
/* The peer cannot go on without a slot: peer_read() is called when it is its turn. */
void swarm_wait_for_slots(struct peer *p);
/* Blocks or memory became free: peers that the picker had too little for are asked again at the end of the turn. */
void swarm_kick(struct swarm *s);

/* No peer is read for want of slots: what comes late is not theirs to answer for. */
bool swarm_is_held(const struct swarm *s);
/* All payload, in bytes a second, and how many peers it comes from. */
uint64_t swarm_rate(const struct swarm *s);
uint32_t swarm_sending(const struct swarm *s);
/* A peer that owes blocks for this long is snubbed. */
uint32_t swarm_request_timeout(const struct swarm *s);

/* A handshake was received: false when it is ourselves or a second connection (p was dropped). */
bool swarm_admit(struct peer *p);
/* Payload that came, and how much of it was of no use. */
void swarm_count(struct swarm *s, uint32_t received, uint32_t wasted);

/* Marks p dead; `why` is for the log.  Frees it at the end of the turn. */
void swarm_drop(struct peer *p, enum drop_reason reason, const char *why);

#endif
