/*
 * store.h - open pieces: from blocks in slots to verified pieces on disk.
 *
 * The loop's own; workers see only the job inside a piece.  A piece is
 *
 *	open        some blocks are in its private buffer             store_on_block()
 *	spilled     it has no buffer; its blocks are in a region      after SPILL
 *	complete    all blocks are in its buffer; it waits a moment for others (gather.h)  piece_next()
 *	            and is hashed and written
 *
 * and then VERIFIED (store_on_done(): hash matched and write done) or REJECTED;
 * either way it is gone from here.  A block that is there is never overwritten:
 * what was hashed is what is written.  Memory: budget_bytes, mapped at start.
 */
#ifndef DISKPROC_STORE_H
#define DISKPROC_STORE_H

#include "blame.h"
#include "buffers.h"
#include "channel.h"
#include "gather.h"
#include "slots.h"
#include "spill.h"
#include "stall.h"
#include "work.h"

/* Pieces above this are hashed while they grow, in steps of at least PREFIX_STEP. */
#define PREFIX_PIECE (4u << 20)
#define PREFIX_STEP (1u << 20)

struct piece;

struct store {
	const struct metainfo *m;
	struct pool *pool;
	struct work *work;
	struct channel *net;       /* verdicts go here; fd -1 when nobody listens */
	const struct slots *slots; /* blocks come from here */
	struct buffers buffers;
	struct spill spill;
	struct gather gather;
	struct stall stall;        /* pieces of which something could not be written; and disk.c's PREPARE */
	struct blame blame;
	const struct wanted *wanted; /* checked; borrowed */
	uint32_t wanted_pieces;
	uint64_t budget_bytes;
	uint64_t memory_bytes;     /* of pieces that have a buffer */
	struct piece **map;        /* open pieces by index; chained */
	uint32_t map_mask;
	struct piece *spare;       /* free structs, LIFO; owned */
	uint32_t words;            /* of a bitmap of blocks */
	uint32_t open_count;
	uint32_t busy_count;       /* their job is in a worker, or waits in `gather` for one */
	uint64_t backlog_bytes;    /* in the workers, to be hashed and written */
	uint64_t backlog_most;     /* blocks are not taken while more is there */
	uint8_t *have;             /* bitfield: verified */
	uint32_t verified_pieces, rejected_pieces;
	uint32_t wanted_verified;       /* of the verified pieces, those that are wanted */
	uint64_t wanted_bytes;          /* that are wanted, in those */
	uint64_t unsynced_bytes;   /* written since this was last set to 0 */
	struct fault fault;        /* the first that a job met */
	bool hold;                 /* blocks are dropped */
	const char *why;           /* of the last broken contract: a constant string */
};

/* Maps the memory.  budget_bytes is raised to four pieces.  All borrowed. */
void store_init(struct store *s, const struct metainfo *m, const struct wanted *wanted, uint64_t budget_bytes, struct work *work, struct pool *pool, int spill_fd);
/* Frees all; no job may be busy.  For tests. */
void store_release(struct store *s);

/* A piece that is there already. */
void store_set_have(struct store *s, uint32_t piece);

/*
 * Blocks are not taken while more than this, and two groups of pieces, wait for
 * the workers: memory that is used again soon is still in the cache.
 */
#ifndef STORE_BACKLOG
#define STORE_BACKLOG (4u << 20)
#endif

/* Every wanted piece is verified. */
static inline bool store_is_complete(const struct store *s) { return s->wanted_verified == s->wanted_pieces; }

/* Whether a packet of blocks can be taken now; false: wait for jobs. */
bool store_has_room(const struct store *s);

/* 0, or -1: netproc broke the contract (s->why). */
int store_on_block(struct store *s, const struct msg_block *m) MUST_CHECK;
int store_on_spill(struct store *s, const struct msg_spill *m) MUST_CHECK;

/* A job of a piece, or of several, came back. */
void store_on_done(struct store *s, struct job *j);

/* Sends off the pieces that waited for others, when it is time.  Call in each turn. */
void store_tick(struct store *s, uint64_t now_ms);
/* When store_tick() is due; UINT64_MAX: nothing waits. */
static inline uint64_t store_due_ms(const struct store *s)
{
	return min_u64(s->gather.due_ms ? s->gather.due_ms : UINT64_MAX, s->stall.first ? s->stall.due_ms : UINT64_MAX);
}

/* Nothing waits for space any more: those pieces are dropped.  At the end. */
void store_give_up(struct store *s);

/* Drops what is open; busy pieces are dropped when they come back (a verified one still counts). */
void store_forget(struct store *s);

/* Pieces in a worker, or waiting to be hashed with others. */
static inline uint32_t store_busy(const struct store *s) { return s->busy_count; }

#endif
