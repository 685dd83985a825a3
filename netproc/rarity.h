/*
 * rarity.h - which pieces nobody works on yet, in order of how many peers have them.
 *
 * A pure core for the picker.  A piece is idle (in the order) until it is taken
 * out because it is opened or had.  Seeds have every piece and so change no
 * order: they are counted in one number.  See rarity.c for the layout.
 *
 * Pieces may be of several levels: those of level 0 come before all others, and
 * so on; rarity decides within a level, or, in sequence, the number of the piece.
 */
#ifndef NETPROC_RARITY_H
#define NETPROC_RARITY_H

#include "common.h"

/* Pieces that RARITY_BUCKETS - 1 or more peers have are all equally common. */
#define RARITY_BUCKETS 64u
#define RARITY_LEVELS 3u
#define RARITY_NONE UINT32_MAX

struct rarity {
	uint32_t pieces;
	uint32_t seeds;
	uint32_t run;       /* pieces in a run of neighbours that one peer takes in order; a power of two */
	uint64_t chance;    /* state of the generator */
	uint32_t turn;      /* changes when a piece becomes idle again: old knowledge about what a peer lacks is void */
	bool stale;         /* the order must be built anew before it is used */
	uint32_t idle;      /* how many are idle */
	uint32_t *order;    /* idle pieces, most common first; owned, as all below */
	uint32_t *at;       /* by piece: position in order; the picker's own number when it is not idle */
	uint16_t *peers;    /* by piece: peers that have it, seeds apart */
	uint8_t *idle_bits; /* bitfield of idle pieces */
	uint32_t levels;    /* 1: all pieces are of level 0; else RARITY_LEVELS */
	uint8_t *level[RARITY_LEVELS]; /* bitfields: the pieces of each level; NULL when levels is 1; a piece that is in none is never idle */
	bool in_sequence;   /* within a level by number: the order is not looked at */
	uint32_t first[RARITY_LEVELS]; /* in sequence: no piece of the level before this one is idle */
	uint32_t end[RARITY_LEVELS * RARITY_BUCKETS + 1]; /* bucket b is order[end[b + 1] .. end[b] - 1]; after the last bucket it is 0 */
};

/* at[] of a piece that is not idle has this bit. */
#define RARITY_OUT 0x80000000u

void rarity_init(struct rarity *r, uint32_t pieces, uint32_t piece_length, uint64_t chance);
void rarity_release(struct rarity *r);
/*
 * At once after rarity_init().  level: a bitfield for each level, of which no
 * two have a piece in common; owned by r from now on; all NULL: one level.  A
 * piece that is in none is to be taken out now, and never put back.
 */
void rarity_set_order(struct rarity *r, uint8_t *const level[RARITY_LEVELS], bool in_sequence);
/* Whether it is of any level: wanted at all. */
bool rarity_is_wanted(const struct rarity *r, uint32_t piece);

static inline bool rarity_is_idle(const struct rarity *r, uint32_t piece) { return !(r->at[piece] & RARITY_OUT); }
/* How many connected peers have the piece. */
static inline uint32_t rarity_sources(const struct rarity *r, uint32_t piece) { return r->peers[piece] + r->seeds; }

/* Takes an idle piece out; `value` (with RARITY_OUT) stands in at[] from then on. */
void rarity_take(struct rarity *r, uint32_t piece, uint32_t value);
/* Puts a piece that was taken back into the order. */
void rarity_put(struct rarity *r, uint32_t piece);

/* One more peer has the piece; a peer comes or goes, with a whole bitfield of them. */
void rarity_more(struct rarity *r, uint32_t piece);
void rarity_join(struct rarity *r, const uint8_t *have);
void rarity_leave(struct rarity *r, const uint8_t *have);

/* What a search may pick: */
struct rarity_want {
	const uint8_t *have; /* of this peer; NULL: all */
	uint32_t neighbour;  /* preferred when it is as rare as what is found */
	bool shared_only;    /* only pieces that more than one peer has */
	uint32_t rivals;     /* peers that fetch too, maybe from the same source: what they take in runs they should not take alike */
	uint32_t *sparse_at; /* where the search in a sparse bitfield goes on */
};
/* An idle piece that the peer has, among those that come first, or RARITY_NONE when it has none. */
uint32_t rarity_find(struct rarity *r, const struct rarity_want *w);

/* First piece at or after `from`, going round once, that is set in both bitfields; RARITY_NONE when there is none. */
uint32_t rarity_both(const uint8_t *a, const uint8_t *b, uint32_t pieces, uint32_t from);

#endif
