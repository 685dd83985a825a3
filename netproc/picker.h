/*
 * picker.h - which block to ask of whom: a pure core, without descriptor or clock.
 *
 * Knows pieces, blocks of 16 KiB, availability, open pieces within diskproc's
 * memory budget, who was asked for what, who sent what (for blame), endgame.
 * Events go in, requests come out.  See the invariants at the top of picker.c.
 */
#ifndef NETPROC_PICKER_H
#define NETPROC_PICKER_H

#include "rarity.h"

#define BLOCK_BYTES 16384u

struct picker;

/* A block: `block` is its number in the piece; bytes begin at block * BLOCK_BYTES. */
struct picker_request {
	uint32_t piece, block;
	uint32_t asked_ms; /* low 32 bits of the time at which it was picked */
};

#define PICKER_QUEUE_MAX 2048u /* outstanding requests of one peer */

/*
 * What the picker keeps for each connected peer; embedded in struct peer.
 * The queue holds outstanding requests in the order in which they were sent.
 */
struct picker_peer {
	uint32_t id;        /* of whoever is blamed: stays the same for one address over reconnects; chosen by the caller */
	uint8_t *have;      /* bitfield, owned by the caller; NULL for a seed (has all) or for one that has none */
	bool all;           /* a seed */
	bool fast;          /* the caller's verdict (rate_is_fast): fast peers open pieces of their own, slow ones join open pieces first */
	uint32_t have_count;
	struct picker_request *queue; /* ring, owned by the picker */
	uint32_t queue_head, queue_count, queue_cap;
	struct picker_peer *prev, *next; /* the picker's own */
	uint32_t last_piece; /* the picker's own: the open piece it works on */
	uint32_t expected_ms; /* the caller's (rate_expected_ms, before picker_pick): when a block asked for now would be here; 0: unknown */
	bool snubbed;         /* the caller's (rate): it answers nothing; what it was asked for may be asked of others at once */
	/* From here on the picker's own. */
	bool proven;          /* it took part in a piece that verified */
	bool counted_all;     /* joined as a seed */
	bool barren;          /* has no piece that is neither here nor open, as of barren_turn */
	bool useless;         /* has no piece that is missing here, as of useless_turn */
	bool hungry;          /* in the list of those who found too little to ask for */
	uint16_t slot;        /* its number among the connected peers */
	uint32_t late;        /* requests taken back whose blocks may still come */
	uint32_t trial;       /* blocks asked for before it was proven */
	uint32_t next_piece;  /* after the one it opened last: the neighbour to prefer */
	uint32_t sparse_at, witness; /* where to search on in its bitfield */
	uint32_t barren_turn, useless_turn, hungry_supply;
	uint64_t first_ms, heard_ms, steal_ms, walk_ms;
	struct picker_peer *hungry_prev, *hungry_next;
};

/* The i-th outstanding request, 0 being the oldest. */
static inline struct picker_request picker_queued(const struct picker_peer *peer, uint32_t i)
{
	return peer->queue[(peer->queue_head + i) & (peer->queue_cap - 1)];
}

enum picker_block {
	PICKER_TAKE,      /* wanted: it must go to diskproc now, or be given back */
	PICKER_DUPLICATE, /* asked for, but another peer was faster */
	PICKER_UNWANTED,  /* never asked of this peer, or no block at all */
};

/* budget_bytes >= 4 * piece_length (the caller sees to it).  `chance` seeds the random start. */
struct picker *picker_new(uint32_t piece_count, uint32_t piece_length, uint64_t total_length, uint64_t budget_bytes, uint64_t chance);
void picker_free(struct picker *p);

/*
 * At once after picker_new(): which pieces are wanted, which of them first, and
 * whether in sequence; as rarity_set_order(), but nothing is left to be done.
 * What is not wanted is not missing: it is never asked for, and whoever has
 * nothing else is not interesting.  It may be here all the same (picker_have()).
 */
void picker_set_order(struct picker *p, uint8_t *const level[RARITY_LEVELS], bool in_sequence);

/* Start: a piece that diskproc has already.  Also used when a whole new diskproc reports what it has (after picker_reset()). */
void picker_have(struct picker *p, uint32_t piece);
/* Diskproc was restarted: every open piece is lost, what was verified will be told anew; outstanding requests stay. */
void picker_reset(struct picker *p);

uint32_t picker_missing(const struct picker *p);  /* wanted pieces that are not verified yet */
uint32_t picker_open(const struct picker *p);     /* open pieces */
bool picker_complete(const struct picker *p);

/* A peer joins with what it has (have/all/have_count set).  Its availability is counted until it leaves. */
void picker_join(struct picker *p, struct picker_peer *peer);
/* Outstanding requests are given back; who sent what is remembered by id. */
void picker_leave(struct picker *p, struct picker_peer *peer);
/* HAVE: the caller checked that it is new and sets the bit itself. */
void picker_peer_has(struct picker *p, struct picker_peer *peer, uint32_t piece);
/* Whether the peer has any piece that is missing here.  O(1) amortised. */
bool picker_interesting(struct picker *p, struct picker_peer *peer);

/*
 * Picks up to `want` blocks for this peer, appends them to its queue and to
 * out[].  Open pieces first, then rarest first.  now_ms for endgame and spill.
 */
uint32_t picker_pick(struct picker *p, struct picker_peer *peer, uint32_t want, uint64_t now_ms, struct picker_request *out);

/* The same, but blocks of this piece only, whatever is rarer: one that a peer lets us ask for while it chokes us. */
uint32_t picker_pick_piece(struct picker *p, struct picker_peer *peer, uint32_t piece, uint32_t want, uint64_t now_ms, struct picker_request *out);

/*
 * A block came from this peer.  On PICKER_TAKE `others` gets the peers (at most
 * `room`, *count in all) that were asked for it too: the caller cancels them
 * there and picker has already taken it off their queues.
 */
enum picker_block picker_on_block(struct picker *p, struct picker_peer *peer, uint32_t piece, uint32_t begin, uint32_t length,
				  uint64_t now_ms, struct picker_peer **others, uint32_t room, uint32_t *count);

/* The block could not be passed on after all, or the request will not be answered (choked, rejected, timed out). */
void picker_give_back(struct picker *p, struct picker_peer *peer, uint32_t piece, uint32_t block);
/* All outstanding requests of the peer are off (choke without fast extension). */
void picker_give_back_all(struct picker *p, struct picker_peer *peer);

/* diskproc's verdicts.  False: a piece that was not complete and waiting for one (a broken contract). */
bool picker_on_verified(struct picker *p, uint32_t piece);
bool picker_on_rejected(struct picker *p, uint32_t piece);
/*
 * Who sent `block` in rejected copy `attempt` of `piece`; 0 when unknown.  The
 * last 8 copies are kept, until the piece is verified.
 */
uint32_t picker_sender(const struct picker *p, uint32_t piece, uint32_t attempt, uint32_t block);
/* All ids that sent a block of rejected copy `attempt`; returns how many are in out[]. */
uint32_t picker_suspects(const struct picker *p, uint32_t piece, uint32_t attempt, uint32_t *out, uint32_t room);
/* When one peer sent the whole rejected copy: its id, to be banned at once; else 0. */
uint32_t picker_sole_sender(const struct picker *p, uint32_t piece, uint32_t attempt);
/* How many copies of the piece were rejected. */
uint32_t picker_attempts(const struct picker *p, uint32_t piece);

/*
 * Nothing was read from any peer for the last ms because of us (no free slot,
 * the process was stopped): nobody is late by that time.
 */
void picker_paused(struct picker *p, uint32_t ms);

/*
 * After verdicts, give-backs and leaves: the peer that has waited longest of
 * those whose last picker_pick() found less than they wanted, when there may be
 * something for it now; it leaves the list (the next pick puts it back).  NULL:
 * nobody waits, or there is nothing to be had.  Call it until NULL.
 */
struct picker_peer *picker_hungry(struct picker *p);

/* An open piece that should wait on disk (no progress for 10 s while others wait for memory), or UINT32_MAX. */
uint32_t picker_spill_candidate(struct picker *p, uint64_t now_ms);
bool picker_on_spilled(struct picker *p, uint32_t piece);

#endif
