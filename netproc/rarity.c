/*
 * rarity.c - see rarity.h.  10.1 bytes a piece, 10.5 with levels; nothing here scans all pieces
 * for a block, and nothing allocates after rarity_init().
 *
 * Layout: order[] holds the idle pieces sorted by bucket (the number of peers
 * that have the piece, seeds apart), the most common first, so that the rarest
 * stand at the end: pieces are taken from there, and closing the gap costs one
 * swap for each bucket that is rarer still, usually none.  Within a bucket the
 * order means nothing: the search starts at a random place in it.
 *
 * Levels are further buckets: those of level 0 are the rarest of all, whatever
 * their number of peers.  In sequence nobody looks at the order, so it may stay
 * stale; the next piece is the first bit that three bitfields share.
 *
 * A bitfield that comes or goes changes all counts at once; then the order is
 * only marked stale and built anew by one counting sort when it is next searched.
 *
 * Invariants (tests/unit/picker_check.h):
 *  1. idle counts the pieces whose at[] lacks RARITY_OUT; idle_bits says which.
 *  2. end[] falls from end[0] == idle to 0 behind the last bucket.
 *  3. unless stale, at[order[i]] == i for i < idle, and a piece stands within its bucket.
 *  4. in sequence, no idle piece of a level stands before first[level].
 */
#include "rarity.h"

#include <endian.h>

#include "bitfield.h"

/* Neighbours are taken in runs of this many bytes: kind to disks, still random across peers. */
#define RUN_BYTES (4u << 20)
/*
 * But only while there are this many runs for each peer that fetches too: two
 * that are in the same run get the same pieces from a lone seed until its end.
 */
#define RUNS_PER_RIVAL 16u
/* Pieces looked at among the rarest before a sparse bitfield is searched itself. */
#define LOOK_RARE 192u
/* Candidates from the peer's own bitfield of which the rarest is taken. */
#define LOOK_SPARSE 8u

/* Of a piece that is wanted. */
static uint32_t level_of(const struct rarity *r, uint32_t piece)
{
	if (r->levels == 1 || bitfield_get(r->level[0], piece))
		return 0;
	return bitfield_get(r->level[1], piece) ? 1 : 2;
}

static uint32_t bucket_of(const struct rarity *r, uint32_t piece)
{
	return level_of(r, piece) * RARITY_BUCKETS + min_u32(r->peers[piece], RARITY_BUCKETS - 1);
}

bool rarity_is_wanted(const struct rarity *r, uint32_t piece)
{
	return r->levels == 1 || bitfield_get(r->level[level_of(r, piece)], piece);
}

static uint32_t random_below(struct rarity *r, uint32_t n)
{
	r->chance ^= r->chance << 13;
	r->chance ^= r->chance >> 7;
	r->chance ^= r->chance << 17;
	return (uint32_t)((r->chance >> 32) * n >> 32);
}

void rarity_init(struct rarity *r, uint32_t pieces, uint32_t piece_length, uint64_t chance)
{
	uint32_t i;

	if (pieces >= RARITY_OUT)
		bug("rarity: %u pieces", pieces);
	memset(r, 0, sizeof *r);
	r->pieces = pieces;
	/* Whatever the caller has: bits spread (splitmix64), never zero. */
	r->chance = (chance + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
	r->chance = (r->chance ^ r->chance >> 31) | 1;
	r->turn = 1;
	for (r->run = 1; r->run <= RUN_BYTES / 2 / max_u32(piece_length, 1); r->run *= 2)
		;
	r->idle = pieces;
	r->levels = 1;
	r->order = must_calloc(pieces, sizeof *r->order);
	r->at = must_calloc(pieces, sizeof *r->at);
	r->peers = must_calloc(pieces, sizeof *r->peers);
	r->idle_bits = must_calloc(bitfield_bytes(pieces), 1);
	for (i = 0; i < pieces; i++)
		r->order[i] = r->at[i] = i;
	memset(r->idle_bits, 0xff, pieces / 8);
	for (i = pieces / 8 * 8; i < pieces; i++)
		bitfield_set(r->idle_bits, i);
	r->end[0] = pieces;
}

void rarity_set_order(struct rarity *r, uint8_t *const level[RARITY_LEVELS], bool in_sequence)
{
	r->in_sequence = in_sequence;
	if (!level[0])
		return;
	r->levels = RARITY_LEVELS;
	memcpy(r->level, level, sizeof r->level);
	r->stale = true;
}

void rarity_release(struct rarity *r)
{
	uint32_t i;

	free(r->order);
	free(r->at);
	free(r->peers);
	free(r->idle_bits);
	for (i = 0; i < RARITY_LEVELS; i++)
		free(r->level[i]);
	memset(r, 0, sizeof *r);
}

/* One counting sort by availability. */
static void rebuild(struct rarity *r)
{
	uint32_t next[RARITY_LEVELS * RARITY_BUCKETS], count[RARITY_LEVELS * RARITY_BUCKETS] = { 0 }, i, b, sum = 0;
	uint32_t buckets = r->levels * RARITY_BUCKETS;

	for (i = 0; i < r->pieces; i++)
		if (rarity_is_idle(r, i))
			count[bucket_of(r, i)]++;
	r->end[buckets] = 0;
	for (b = buckets; b-- > 0;) {
		next[b] = sum;
		sum += count[b];
		r->end[b] = sum;
	}
	for (i = 0; i < r->pieces; i++)
		if (rarity_is_idle(r, i)) {
			b = bucket_of(r, i);
			r->order[next[b]] = i;
			r->at[i] = next[b]++;
		}
	r->stale = false;
}

static inline void place(struct rarity *r, uint32_t piece, uint32_t position)
{
	r->order[position] = piece;
	r->at[piece] = position;
}

void rarity_take(struct rarity *r, uint32_t piece, uint32_t value)
{
	uint32_t b, hole = r->at[piece];

	/* The gap wanders to the end: the last of each rarer bucket fills the one before. */
	for (b = r->stale ? 0 : bucket_of(r, piece) + 1; b-- > 0;) {
		uint32_t last = --r->end[b];
		if (last != hole)
			place(r, r->order[last], hole);
		hole = last;
	}
	r->idle--;
	r->at[piece] = value | RARITY_OUT;
	bitfield_clear(r->idle_bits, piece);
}

void rarity_put(struct rarity *r, uint32_t piece)
{
	uint32_t b, bucket = bucket_of(r, piece), hole = r->end[0];

	if (r->stale)
		r->at[piece] = 0;
	else {
		r->end[0]++;
		for (b = 0; b < bucket; b++) {
			uint32_t first = r->end[b + 1]++;
			if (first != hole)
				place(r, r->order[first], hole);
			hole = first;
		}
		place(r, piece, hole);
	}
	r->idle++;
	r->turn++;
	r->first[level_of(r, piece)] = min_u32(r->first[level_of(r, piece)], piece);
	bitfield_set(r->idle_bits, piece);
}

/* Exchanges two places of the order. */
static void swap(struct rarity *r, uint32_t a, uint32_t b)
{
	uint32_t piece = r->order[a];

	place(r, r->order[b], a);
	place(r, piece, b);
}

void rarity_more(struct rarity *r, uint32_t piece)
{
	uint32_t b = bucket_of(r, piece);

	if (r->peers[piece] == UINT16_MAX)
		bug("rarity: more than %u peers", UINT16_MAX);
	r->peers[piece]++;
	if (r->stale || !rarity_is_idle(r, piece) || b % RARITY_BUCKETS == RARITY_BUCKETS - 1)
		return;
	swap(r, r->at[piece], r->end[b + 1]);
	r->end[b + 1]++;
}

static void rarity_less(struct rarity *r, uint32_t piece)
{
	uint32_t b = bucket_of(r, piece);

	if (!r->peers[piece])
		bug("rarity: piece %u is had by less than no peer", piece);
	r->peers[piece]--;
	if (r->stale || !rarity_is_idle(r, piece) || bucket_of(r, piece) == b)
		return;
	swap(r, r->at[piece], r->end[b] - 1);
	r->end[b]--;
}

/* For each piece of a bitfield, one by one when they are few, in bulk otherwise. */
static void for_bits(struct rarity *r, const uint8_t *have, void (*one)(struct rarity *, uint32_t), int step)
{
	uint32_t i, k, whole = r->pieces / 8;

	if (!r->stale && bitfield_count(have, r->pieces) <= r->pieces / 64 + 16) {
		for (i = 0; i < bitfield_bytes(r->pieces); i++)
			for (k = i * 8; have[i] && k < i * 8 + 8 && k < r->pieces; k++)
				if (bitfield_get(have, k))
					one(r, k);
		return;
	}
	r->stale = true;
	/* No branch for a bit: a torrent of 4 million pieces is 4 ms. */
	for (i = 0; i < whole; i++)
		for (k = 0; k < 8; k++)
			r->peers[i * 8 + k] = (uint16_t)(r->peers[i * 8 + k] + step * (have[i] >> (7 - k) & 1));
	for (k = whole * 8; k < r->pieces; k++)
		r->peers[k] = (uint16_t)(r->peers[k] + step * bitfield_get(have, k));
}

void rarity_join(struct rarity *r, const uint8_t *have)
{
	for_bits(r, have, rarity_more, 1);
}

void rarity_leave(struct rarity *r, const uint8_t *have)
{
	for_bits(r, have, rarity_less, -1);
}

/* Eight bytes of the AND of two bitfields from byte i on; bit 63 is the first piece. */
static uint64_t both_word(const uint8_t *a, const uint8_t *b, size_t i, size_t bytes)
{
	uint64_t x = 0, y = 0;
	size_t n = bytes - i < 8 ? bytes - i : 8;

	memcpy(&x, a + i, n);
	memcpy(&y, b + i, n);
	return be64toh(x & y);
}

uint32_t rarity_both(const uint8_t *a, const uint8_t *b, uint32_t pieces, uint32_t from)
{
	size_t bytes = bitfield_bytes(pieces), words = (bytes + 7) / 8, w, k;

	if (!pieces)
		return RARITY_NONE;
	if (from >= pieces)
		from = 0;
	w = from / 64;
	/* The word of `from` is looked at twice: its later part first, its earlier part last. */
	for (k = 0; k <= words; k++, w = w + 1 == words ? 0 : w + 1) {
		uint64_t v = both_word(a, b, w * 8, bytes);
		if (k == 0)
			v &= UINT64_MAX >> from % 64;
		if (v) {
			uint64_t piece = (uint64_t)w * 64 + (uint64_t)__builtin_clzll(v);
			if (piece < pieces)
				return (uint32_t)piece;
		}
	}
	return RARITY_NONE;
}

/* The rarest of a few pieces of a peer that has little of what is rare in the swarm. */
static uint32_t find_sparse(struct rarity *r, const struct rarity_want *w)
{
	uint32_t best = RARITY_NONE, from = *w->sparse_at, i, found, first = RARITY_NONE;

	for (i = 0; i < LOOK_SPARSE; i++) {
		found = rarity_both(w->have, r->idle_bits, r->pieces, from);
		if (found == RARITY_NONE || found == first)
			break;
		if (first == RARITY_NONE)
			first = found;
		from = found + 1;
		if (w->shared_only && rarity_sources(r, found) <= 1)
			continue;
		if (best == RARITY_NONE || bucket_of(r, found) < bucket_of(r, best))
			best = found;
	}
	*w->sparse_at = from < r->pieces ? from : 0;
	return best;
}

static bool fits(const struct rarity *r, const struct rarity_want *w, uint32_t piece, uint32_t bucket)
{
	return piece < r->pieces && rarity_is_idle(r, piece) && bucket_of(r, piece) == bucket &&
	       (!w->have || bitfield_get(w->have, piece));
}

/* The first idle piece from `from` on that is set in both of these too; each may be NULL: all are. */
static uint32_t next_idle(const struct rarity *r, const uint8_t *a, const uint8_t *b, uint32_t from)
{
	size_t bytes = bitfield_bytes(r->pieces), w;

	for (w = from / 64; w * 8 < bytes; w++) {
		uint64_t v = both_word(r->idle_bits, a ? a : r->idle_bits, w * 8, bytes);

		if (v && b)
			v &= both_word(b, b, w * 8, bytes);
		if (w == from / 64)
			v &= UINT64_MAX >> from % 64;
		if (v)
			return (uint32_t)(w * 64) + (uint32_t)__builtin_clzll(v);
	}
	return RARITY_NONE;
}

/* In sequence: the first idle piece of a level that the peer has. */
static uint32_t next_of_level(struct rarity *r, const struct rarity_want *w, uint32_t level)
{
	uint32_t piece = next_idle(r, r->level[level], NULL, r->first[level]), look = LOOK_RARE;

	r->first[level] = min_u32(piece, r->pieces);
	while (piece != RARITY_NONE && look--) {
		if ((!w->have || bitfield_get(w->have, piece)) && !(w->shared_only && rarity_sources(r, piece) <= 1))
			return piece;
		piece = next_idle(r, r->level[level], w->have, piece + 1);
	}
	return RARITY_NONE;
}

static uint32_t find_in_sequence(struct rarity *r, const struct rarity_want *w)
{
	uint32_t level, found = RARITY_NONE;

	for (level = 0; level < r->levels && found == RARITY_NONE; level++)
		found = next_of_level(r, w, level);
	return found;
}

uint32_t rarity_find(struct rarity *r, const struct rarity_want *w)
{
	uint32_t b, i, look = LOOK_RARE, begin, size, at, piece;
	bool runs;

	if (r->in_sequence)
		return find_in_sequence(r, w);
	if (r->stale)
		rebuild(r);
	for (b = 0; b < r->levels * RARITY_BUCKETS && look; b++) {
		begin = r->end[b + 1];
		size = r->end[b] - begin;
		/* A piece that no peer has is had by seeds only. */
		if (!size || (w->have && b % RARITY_BUCKETS == 0) || (w->shared_only && b % RARITY_BUCKETS + r->seeds <= 1))
			continue;
		runs = size / r->run >= RUNS_PER_RIVAL * w->rivals;
		if (runs && fits(r, w, w->neighbour, b) && w->neighbour & (r->run - 1))
			return w->neighbour;
		at = random_below(r, size);
		for (i = 0; i < size && look; i++, look--) {
			piece = r->order[begin + at];
			if (!w->have || bitfield_get(w->have, piece)) {
				uint32_t start = piece & ~(r->run - 1);
				return runs && fits(r, w, start, b) ? start : piece;
			}
			at = at + 1 == size ? 0 : at + 1;
		}
	}
	return w->have && !look ? find_sparse(r, w) : RARITY_NONE;
}
