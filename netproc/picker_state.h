/*
 * picker_state.h - what picker.c (events), picker_verdict.c and picker_pick.c (choice) share; nobody else includes it.
 */
#ifndef NETPROC_PICKER_STATE_H
#define NETPROC_PICKER_STATE_H

#include "picker.h"

#define ATTEMPTS_MAX 8u
#define ASKERS_MAX 3u
#define NO_PEER UINT16_MAX
#define NO_OPEN UINT32_MAX
/* In rarity's at[]: had; and neither wanted nor had. */
#define AT_HAD UINT32_MAX
#define AT_UNWANTED (UINT32_MAX - 1)

struct block {
	uint32_t sender;            /* id of who sent it, when received */
	uint16_t asker[ASKERS_MAX]; /* slots of the peers that were asked; asker[0]: who sent it, when received */
	uint8_t asked;              /* how many are in asker[] */
	uint8_t received;
};

/* A rejected copy: who sent which block, and the same ids without repetition. */
struct copy {
	uint32_t *sender;   /* owned, one for each block */
	uint32_t *suspect;  /* owned */
	uint32_t suspects;
};

/* A piece that is being fetched.  Its memory at diskproc is reserved from its first request on. */
struct open {
	uint32_t piece;
	uint32_t bytes, blocks;
	uint32_t free;        /* blocks neither received nor asked for */
	uint32_t missing;     /* blocks not received; 0: waits for the verdict */
	uint32_t hint;        /* no free block stands before this one */
	uint32_t prev, next;  /* list of those with free blocks, by index; NO_OPEN ends it */
	bool listed;
	bool again;           /* listed at the head: was begun and given back, or rejected */
	bool reserved;        /* counted in the budget */
	bool spilling;        /* diskproc was told to spill it */
	bool taken_since;     /* a block went there after that */
	bool parked;          /* its memory was given up though blocks of it are asked for or on disk */
	bool single;          /* counted in single_bytes: one peer alone works on it */
	bool trial;           /* opened by a peer that was not proven yet */
	uint16_t opener;      /* slot */
	uint16_t owner;       /* slot of the one peer that fetches the new copy of a rejected piece; NO_PEER */
	uint64_t opened_ms, progress_ms;
	struct copy copy[ATTEMPTS_MAX]; /* the last ones, in order */
	uint32_t copies;
	uint32_t attempts;    /* rejected copies in all */
	struct block *block;  /* owned; kept when the struct is used again */
};

struct picker {
	struct rarity rarity;
	uint32_t pieces, piece_length, last_length, blocks_per_piece;
	uint32_t missing;         /* wanted pieces that are not verified */
	uint8_t *missing_bits;    /* bitfield; owned */
	uint64_t budget, reserved, single_bytes;
	struct open **open;       /* by index; owned, as all they point to */
	uint32_t open_count, open_room, open_used; /* in use, slots of the array, slots ever made */
	uint32_t *unused;         /* stack of indexes that are made but not in use */
	uint32_t unused_count;
	uint32_t free_first, free_last; /* open pieces with free blocks; those to be finished first at the head */
	uint32_t unreserved;      /* open pieces whose memory is not reserved */
	struct picker_peer **peer; /* by slot; owned array */
	uint16_t *peer_unused;     /* stack of free slots */
	uint32_t peer_room, peer_unused_count, peer_count;
	struct picker_peer *first_peer;
	struct picker_peer *hungry_first, *hungry_last;
	uint64_t now_ms;          /* the latest time that was told */
	uint64_t starved_ms;      /* when somebody last found no memory for another piece */
	uint32_t turn;            /* changes when pieces become missing again */
	uint32_t supply;          /* changes when there may be more to ask for than before */
};

static inline struct open *open_of(const struct picker *p, uint32_t piece)
{
	uint32_t at = p->rarity.at[piece];

	return at & RARITY_OUT && at < AT_UNWANTED ? p->open[at & ~RARITY_OUT] : NULL;
}
static inline bool is_had(const struct picker *p, uint32_t piece) { return p->rarity.at[piece] == AT_HAD; }
/* Wanted, and not verified. */
static inline bool is_missing(const struct picker *p, uint32_t piece) { return p->rarity.at[piece] < AT_UNWANTED; }
static inline uint32_t open_index(const struct picker *p, const struct open *o) { return p->rarity.at[o->piece] & ~RARITY_OUT; }
static inline uint32_t piece_bytes(const struct picker *p, uint32_t piece)
{
	return piece == p->pieces - 1 ? p->last_length : p->piece_length;
}
static inline bool peer_has(const struct picker_peer *peer, uint32_t piece)
{
	return peer->counted_all || (peer->have && peer->have[piece / 8] >> (7 - piece % 8) & 1);
}

/* picker.c: pieces open and close, blocks change state. */
/* By whom it is opened; no memory is reserved yet. */
struct open *open_begin(struct picker *p, uint32_t piece, struct picker_peer *by);
/* Takes the piece out of the open ones: it is had, or idle again.  No block of it may be in a queue. */
void open_end(struct picker *p, struct open *o, bool had);
void open_forget_copies(struct open *o);
/* Memory at diskproc; false when the budget is full. */
bool open_reserve(struct picker *p, struct open *o);
void open_unreserve(struct picker *p, struct open *o);
/* The list of those with free blocks; first: what was begun goes on before anything else. */
void open_list(struct picker *p, struct open *o, bool first);
void open_unlist(struct picker *p, struct open *o);
bool open_is_suspect(const struct open *o, uint32_t id);
/* Puts the block into the peer's queue; false when the queue is full. */
bool block_ask(struct picker *p, struct open *o, uint32_t block, struct picker_peer *peer);
/* Takes the request off the queues of all who were asked for the block; they go to others[]. */
void block_drop_askers(struct picker *p, struct open *o, uint32_t block, struct picker_peer **others, uint32_t room, uint32_t *count);

/* picker_pick.c: whether anything could be asked for now by somebody. */
void hungry_remove(struct picker *p, struct picker_peer *peer);

#endif
