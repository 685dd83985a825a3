/*
 * peer.h - one connection to a peer.
 *
 * Four files serve it: peer_read.c turns bytes of the socket into messages and
 * blocks in slots; peer.c is what each message means to us and what we ask for;
 * peer_upload.c what it asks of us; peer_send.c is what waits to be sent.
 * Decisions across peers are swarm*.c's.
 *
 * A peer that is dropped is marked dead at once and freed at the end of the
 * loop's turn (reap() in swarm.c), so that whoever walks over peers may go on walking.
 */
#ifndef NETPROC_PEER_H
#define NETPROC_PEER_H

#include "choker.h"
#include "fastset.h"
#include "loop.h"
#include "messages.h"
#include "meter.h"
#include "picker.h"
#include "rate.h"
#include "requests.h"
#include "slots.h"
#include "superseed.h"
#include "wire.h"

struct swarm;

/* Why a peer was dropped: decides whether and when its address is tried again. */
enum drop_reason {
	DROP_CLOSED,   /* the other end, or the network: tried again later */
	DROP_TIMEOUT,  /* silent for too long: tried again later */
	DROP_USELESS,  /* no use to each other for now: tried again much later */
	DROP_LIAR,     /* broke the protocol: tried again much later, and not forever */
	DROP_SELF,     /* ourselves, or a second connection to the same peer: never again */
	DROP_BANNED,   /* sent wrong data: never again */
	DROP_SHUTDOWN
};

enum rx_state {
	RX_HANDSHAKE, /* 68 bytes into rx.head */
	RX_HEAD,      /* between messages, or part of a head in rx.head */
	RX_PIECE,     /* a block's payload into rx.into */
	RX_BODY,      /* a bitfield or extended handshake into rx.body */
	RX_SKIP,      /* bytes that nobody reads */
};

struct peer_rx {
	enum rx_state state;
	uint8_t head[WIRE_HANDSHAKE_BYTES];
	uint32_t have;           /* bytes in head */
	struct wire_head body_head;
	uint32_t left;           /* bytes of the body or block still to come */
	uint8_t *into;           /* RX_PIECE: where the next byte goes */
	uint32_t slot;           /* RX_PIECE: NO_SLOT when into is in `private` */
	uint8_t *private;        /* SLOT_BYTES for a block that may hold no slot; owned; NULL until needed */
	uint8_t *body;           /* owned while RX_BODY */
	uint8_t *stash;          /* bytes read but not parsed because no slot was free; owned */
	uint32_t stash_bytes;
	uint32_t payload;        /* bytes of blocks that it was asked for, in the read that is being taken */
	bool asked;              /* RX_PIECE: the block under way is one of those */
	uint32_t predict_after;  /* reads until reads are predicted again */
	uint64_t last_ms;        /* of the last byte */
	bool blocked;            /* a whole block waits in `private` for a slot */
};
#define NO_SLOT UINT32_MAX

struct peer_tx {
	uint8_t *bytes; /* owned; NULL when nothing waits */
	uint32_t begin, end, room;
	uint32_t block_bytes; /* of blocks, that found no room in the socket: swarm_hold_bytes() has them */
	uint64_t stuck_ms; /* since when the peer has taken nothing; 0: not stuck */
	bool waits;        /* for room in the socket */
};

/* What it asks of us, and what it got. */
struct peer_up {
	struct requests requests;
	uint32_t fast[FASTSET_MAX], fast_count; /* pieces that it may ask for while choked (BEP 6) */
	struct choker_peer choke; /* whether it is unchoked, and why */
	bool queued;             /* in the swarm's line */
	struct peer *next;       /* in that line */
	uint64_t took_ms;        /* when it took a byte of a block; 0: never */
	struct meter meter;      /* of choke.sent_bytes */
};

struct peer {
	struct picker_peer pick;
	struct rate rate;
	struct swarm *swarm;
	struct loop_source source;
	int fd; /* owned */
	struct net_addr addr;
	uint32_t candidate; /* index of its address in swarm's table; NO_CANDIDATE: it connected to us */
	uint8_t peer_id[20];
	char client[64];    /* printable */
	struct peer_rx rx;
	struct peer_tx tx;
	struct peer_up up;
	uint32_t reqq;      /* as the peer named it, 0: did not */
	bool dead;
	bool waits; /* in swarm's queue for slots */
	struct peer *next_waiting;
	bool incoming;      /* it connected to us, and says first what it wants */
	bool shook;         /* handshake received */
	bool fast, extended; /* both sides offered it */
	bool choking;       /* it chokes us */
	bool interested;    /* we told it that we are */
	bool upload_only;
	uint32_t allowed[FASTSET_MAX], allowed_count; /* what it lets us ask for while it chokes us (BEP 6) */
	bool paused;        /* not read: more came than --max-down allows */
	uint16_t port;      /* where it listens, as it says; 0: did not */
	uint32_t told;      /* how many of the swarm's new pieces it was told of */
	bool veiled;        /* greeted while we super-seed, and not told of all since */
	uint32_t unveiled;  /* then: of the pieces below this one it was told since that is over */
	struct superseed_peer shown; /* while we super-seed */
	bool said_have;      /* a bitfield, HAVE_ALL or HAVE_NONE came */
	uint32_t late_blocks; /* blocks that may still come though they are not asked for any more */
	uint32_t strikes;     /* blocks that nobody asked for */
	int32_t patience;     /* messages that it may still send without use; refilled with time */
	uint64_t connected_ms, patience_ms, block_ms, sent_ms;
	uint64_t received_bytes;
};

/* candidate: NO_CANDIDATE for one that connected to us.  Takes fd.  NULL when there is no memory or no place in the loop (fd is closed). */
struct peer *peer_new(struct swarm *s, int fd, const struct net_addr *addr, uint32_t candidate, uint32_t id, uint64_t now_ms);
/* At the end of the turn only. */
void peer_free(struct peer *p);

/* peer_read.c: the socket is readable, and there are slots; parses what was stashed for want of slots first. */
void peer_read(struct peer *p);
/* Gives back the slot that it holds for a block under way. */
void peer_release_slot(struct peer *p);
/* Forgets slots after diskproc was restarted: the block under way is thrown away. */
void peer_forget_slot(struct peer *p);
/* For tests and fuzzing: bytes as if they came from the socket. */
void peer_feed(struct peer *p, const uint8_t *bytes, size_t n);

/* peer.c: events, called by peer_read.c. */
void peer_on_handshake(struct peer *p, const struct wire_handshake *h);
void peer_on_message(struct peer *p, const struct wire_head *m);
void peer_on_body(struct peer *p, const struct wire_head *m, const uint8_t *body);
/* A whole block stands in the slot, which is now the callee's. */
void peer_on_block(struct peer *p, uint32_t piece, uint32_t begin, uint32_t length, uint32_t slot);
void peer_liar(struct peer *p, const char *why);
/* A message of no use: costs patience, and at its end the connection. */
void peer_tire(struct peer *p, int32_t cost);

/* peer.c: decisions. */
void peer_update_interest(struct peer *p);
void peer_request(struct peer *p);      /* fills the pipeline */
void peer_cancel(struct peer *p, uint32_t piece, uint32_t block);
void peer_tick(struct peer *p, uint64_t now_ms); /* four times a second */
void peer_excuse(struct peer *p, uint64_t passed_ms); /* nobody was read for so long */

/* Tells (again) who we are by BEP 10: port, that nothing is needed any more. */
void peer_say_hello(struct peer *p);

/* peer_upload.c: events. */
void peer_on_request(struct peer *p, const struct wire_head *m);
void peer_on_cancel(struct peer *p, const struct wire_head *m);
void peer_on_interested(struct peer *p, bool interested);
/* The answer to a read with this serial and length: its bytes can be taken (disk.h); or cannot be had. */
void peer_on_data(struct peer *p, uint32_t serial, uint32_t length);
void peer_on_read_failed(struct peer *p, uint32_t serial, uint32_t length);

/* peer_upload.c: decisions. */
/* The choker decided otherwise than before: it is told, and what it asked for is dropped when it is choked. */
void peer_tell_choke(struct peer *p);
enum peer_asked {
	PEER_ASKED,      /* what there is to ask, as far as there is room for it in its socket */
	PEER_ASKED_SOME, /* diskproc or the rate allows no more now */
	PEER_ASKED_NONE, /* the same, and not even one */
};
/* Asks diskproc for its next blocks, as many bytes at once as `window` says and its socket has room for. */
enum peer_asked peer_ask_disk(struct peer *p, uint32_t window);
void peer_upload_tick(struct peer *p, uint64_t now_ms);
/* Another diskproc told what it has: what it asked for of other pieces is rejected, the rest read anew. */
void peer_upload_again(struct peer *p);

/* peer_send.c.  False: the peer takes too little, it was dropped. */
bool peer_put(struct peer *p, const uint8_t *bytes, size_t n);
/* The same for n bytes of a block, which the caller writes there; NULL: it was dropped.  They are counted by swarm_hold_bytes(). */
uint8_t *peer_put_block(struct peer *p, uint32_t n);
/* Its socket takes no more now: peer_flush() comes when it does. */
void peer_wait_for_room(struct peer *p);
void peer_flush(struct peer *p);
/* So much waits for it that what can wait should. */
bool peer_is_behind(const struct peer *p);
/* Waits for what it should wait for. */
void peer_watch(struct peer *p);

#endif
