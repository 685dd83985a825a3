/*
 * picker_pick.c - the choice: which blocks this peer is asked for next.
 *
 * In this order, until the peer has what it wanted:
 *  1. the piece that it works on already;
 *  2. what was begun and given back, spilled or rejected (head of the free list);
 *  3. a fast peer, while less than half of the budget is taken, unless pieces
 *     are wanted in sequence: a piece of its own (one sender for each piece makes
 *     blame exact); a peer that has not
 *     taken part in a good piece yet: likewise, while there is any memory;
 *  4. any other open piece with free blocks, the oldest first;
 *  5. a new piece, the rarest of the highest level first, or in sequence the
 *     next one (rarity.c), while there is memory;
 *  6. blocks that others were asked for (take_over): in endgame, or when the
 *     budget is full and they do not come.
 *
 * A pick that ends short puts the peer into the list of the hungry, so that
 * memory that becomes free finds somebody without asking every peer.
 */
#include "picker_state.h"

/* A peer may take over a block that was asked for this long ago, or 4 times longer than was expected. */
#define OVERDUE_MS 500u
/* However slow it was said to be. */
#define OVERDUE_MOST_MS 8000u
/* The same while nothing is known about the peer that was asked: many first answers take this long. */
#define OVERDUE_UNKNOWN_MS 1000u
/* A block that is expected earlier than this is waited for. */
#define SOON_MS 400u
/* Outside endgame, when memory is short: what will be here in this time is waited for. */
#define SOON_FULL_MS 2000u
/* After a search for blocks to take over that left the peer short, not again before. */
#define TAKE_OVER_EVERY_MS 30u
/* Of a peer that has proved nothing: at most this many blocks, or two pieces, for this long. */
#define TRIAL_BLOCKS 64u
#define TRIAL_MS 1000u
/* How long the one fetcher of a rejected piece may be waited for. */
#define OWNER_IDLE_MS 2000u
#define OWNER_WAIT_MS 3000u
/* Open pieces looked at in one go for one that the peer has; after a longer walk in vain it pauses. */
#define WALK_SHORT 64u
#define WALK_PAUSE_MS 100u
/* DESIGN.md, the data path, 5. */
#define SPILL_AFTER_MS 10000u
#define SPILLED_MAX_FACTOR 4u
/* Diskproc has places for this many; a piece may keep its place after it was read back. */
#define SPILLED_MAX 16384u

/* ---- the hungry: first in, first out ---- */

static void hungry_add(struct picker *p, struct picker_peer *peer)
{
	if (peer->hungry)
		return;
	peer->hungry = true;
	peer->hungry_supply = p->supply;
	peer->hungry_next = NULL;
	peer->hungry_prev = p->hungry_last;
	if (p->hungry_last)
		p->hungry_last->hungry_next = peer;
	else
		p->hungry_first = peer;
	p->hungry_last = peer;
}

void hungry_remove(struct picker *p, struct picker_peer *peer)
{
	if (!peer->hungry)
		return;
	peer->hungry = false;
	if (peer->hungry_prev)
		peer->hungry_prev->hungry_next = peer->hungry_next;
	else
		p->hungry_first = peer->hungry_next;
	if (peer->hungry_next)
		peer->hungry_next->hungry_prev = peer->hungry_prev;
	else
		p->hungry_last = peer->hungry_prev;
	peer->hungry_prev = peer->hungry_next = NULL;
}

static bool has_room(const struct picker *p, uint32_t bytes) { return bytes <= p->budget - p->reserved; }

/* ---- a piece for this peer ---- */

/*
 * A new copy of a rejected piece comes from one peer that had no part in the bad
 * ones, where such a peer is to be had: then it is good, or its sender is known.
 */
static bool may_refetch(struct picker *p, struct open *o, const struct picker_peer *peer)
{
	uint64_t idle = p->now_ms - o->progress_ms;
	const struct picker_peer *other;

	if (o->owner != NO_PEER && p->peer[o->owner] && o->owner != peer->slot && !p->peer[o->owner]->snubbed && idle < OWNER_IDLE_MS)
		return false;
	if (idle >= OWNER_WAIT_MS)
		return true;
	if (!open_is_suspect(o, peer->id))
		return peer->fast || idle >= OWNER_IDLE_MS;
	for (other = p->first_peer; other; other = other->next)
		if (!other->snubbed && peer_has(other, o->piece) && !open_is_suspect(o, other->id))
			return false;
	return true;
}

static bool may_use(struct picker *p, struct open *o, const struct picker_peer *peer)
{
	if (!o->free || !peer_has(peer, o->piece))
		return false;
	if (!o->reserved && !has_room(p, o->bytes)) {
		p->starved_ms = p->now_ms;
		return false;
	}
	return !o->copies || may_refetch(p, o, peer);
}

/* The first open piece with free blocks for this peer; begun: only such as were given back, spilled or rejected. */
static struct open *find_open(struct picker *p, struct picker_peer *peer, bool begun)
{
	bool room = has_room(p, p->piece_length) && p->rarity.idle;
	uint32_t i, walked = 0, limit = room ? WALK_SHORT : UINT32_MAX;

	if (!room && p->now_ms < peer->walk_ms)
		limit = WALK_SHORT;
	for (i = p->free_first; i != NO_OPEN && walked < limit; i = p->open[i]->next, walked++) {
		struct open *o = p->open[i];
		if (begun && !o->again)
			return NULL;
		/* A piece of a peer on trial stays its own, so that a bad one has one sender. */
		if (room && o->trial && o->opener != peer->slot && p->now_ms - o->opened_ms < TRIAL_MS)
			continue;
		if (may_use(p, o, peer))
			return o;
	}
	if (walked > WALK_SHORT)
		peer->walk_ms = p->now_ms + WALK_PAUSE_MS;
	return NULL;
}

/* A piece that nobody works on yet, or NULL. */
static struct open *find_new(struct picker *p, struct picker_peer *peer)
{
	bool crowded = p->peer_count > 1 && p->single_bytes + p->piece_length > p->budget / 2;
	struct rarity_want want = {
		.have = peer->counted_all ? NULL : peer->have,
		.neighbour = peer->next_piece,
		.shared_only = crowded,
		.rivals = p->peer_count - p->rarity.seeds,
		.sparse_at = &peer->sparse_at,
	};
	uint32_t piece;
	struct open *o;

	if (!p->rarity.idle || (!peer->counted_all && !peer->have) || (peer->barren && peer->barren_turn == p->rarity.turn))
		return NULL;
	if (!has_room(p, p->piece_length)) {
		p->starved_ms = p->now_ms;
		return NULL;
	}
	/* At most half of the memory to pieces that one peer alone works on. */
	if (crowded && !peer->fast)
		return NULL;
	piece = rarity_find(&p->rarity, &want);
	if (piece == RARITY_NONE) {
		peer->barren = !want.shared_only;
		peer->barren_turn = p->rarity.turn;
		return NULL;
	}
	peer->next_piece = piece + 1;
	o = open_begin(p, piece, peer);
	if (p->peer_count > 1 && (!peer->fast || rarity_sources(&p->rarity, piece) <= 1)) {
		o->single = true;
		p->single_bytes += o->bytes;
	}
	return o;
}

static struct open *choose(struct picker *p, struct picker_peer *peer)
{
	struct open *o = peer->last_piece < p->pieces ? open_of(p, peer->last_piece) : NULL;
	bool own;

	if (o && may_use(p, o, peer))
		return o;
	o = find_open(p, peer, true);
	if (o)
		return o;
	own = peer->fast && (!peer->proven || (!p->rarity.in_sequence && p->reserved + p->piece_length <= p->budget / 2));
	o = own ? find_new(p, peer) : find_open(p, peer, false);
	if (o)
		return o;
	return own ? find_open(p, peer, false) : find_new(p, peer);
}

/* Asks for free blocks of the piece, in order. */
static uint32_t take_blocks(struct picker *p, struct open *o, struct picker_peer *peer, uint32_t want, struct picker_request *out)
{
	uint32_t i, n = 0;

	if (!open_reserve(p, o))
		return 0;
	if (o->single && o->opener != peer->slot) {
		o->single = false;
		p->single_bytes -= o->bytes;
	}
	if (o->copies)
		o->owner = peer->slot;
	for (i = o->hint; i < o->blocks && n < want; i++) {
		const struct block *b = &o->block[i];
		if (b->received || b->asked)
			continue;
		if (!block_ask(p, o, i, peer))
			break;
		out[n++] = (struct picker_request){ o->piece, i, (uint32_t)p->now_ms };
	}
	o->hint = i;
	if (!o->free)
		open_unlist(p, o);
	peer->last_piece = o->piece;
	return n;
}

/* ---- blocks that others were asked for ---- */

/* What a peer that was asked may be expected to do. */
struct victim {
	struct picker_peer *peer;
	bool gone;            /* it answers nothing */
	uint32_t overdue_ms;  /* a request older than this is overdue */
	uint32_t soon_ms;     /* what it will answer within this is left to it */
};

/* Since a time of which the low 32 bits are kept; 0 when picker_paused() moved it past now. */
static uint32_t age_ms(const struct picker *p, uint32_t then)
{
	uint32_t age = (uint32_t)p->now_ms - then;

	return age > INT32_MAX ? 0 : age;
}

static struct victim judge(const struct picker *p, struct picker_peer *peer, const struct picker_peer *asker, bool endgame)
{
	struct victim v = { .peer = peer };
	uint32_t slack = endgame ? SOON_MS : SOON_FULL_MS, silent = age_ms(p, picker_queued(peer, 0).asked_ms);

	v.overdue_ms = peer->expected_ms ? max_u32(OVERDUE_MS, min_u32(peer->expected_ms, OVERDUE_MOST_MS / 4) * 4) : OVERDUE_UNKNOWN_MS;
	if (peer->heard_ms)
		silent = min_u32(silent, age_ms(p, (uint32_t)peer->heard_ms));
	v.gone = peer->snubbed || silent > v.overdue_ms;
	v.soon_ms = max_u32(slack, min_u32(asker->expected_ms, 1u << 28) * 2 + 50);
	return v;
}

/* Whether the i-th request of a peer should rather be asked of somebody else, too. */
static bool is_late(const struct picker *p, const struct victim *v, uint32_t i)
{
	const struct picker_peer *peer = v->peer;

	if (v->gone || age_ms(p, picker_queued(peer, i).asked_ms) > v->overdue_ms)
		return true;
	return (uint64_t)peer->expected_ms * (i + 1) / peer->queue_count > v->soon_ms;
}

/* It took part in a good piece, and answers. */
static bool is_sound(const struct picker_peer *peer) { return peer->proven && !peer->snubbed; }

/* Late, or in the hands of one that has shown nothing for a while, when one that has asks for it. */
static bool is_due(const struct picker *p, const struct victim *v, uint32_t i, const struct picker_peer *asker)
{
	return is_late(p, v, i) ||
	       (is_sound(asker) && !is_sound(v->peer) && age_ms(p, picker_queued(v->peer, i).asked_ms) > OVERDUE_UNKNOWN_MS);
}

static bool no_asker_is_sound(const struct picker *p, const struct block *b)
{
	uint32_t i;

	for (i = 0; i < b->asked; i++)
		if (is_sound(p->peer[b->asker[i]]))
			return false;
	return true;
}

/* A block that the most peers allowed were asked for: one of them makes room, not the victim, whose queue is being walked. */
static void make_room(struct picker *p, const struct open *o, uint32_t block, const struct picker_peer *victim)
{
	const struct block *b = &o->block[block];

	if (b->asked == ASKERS_MAX)
		picker_give_back(p, p->peer[b->asker[p->peer[b->asker[0]] == victim]], o->piece, block);
}

static bool may_double(struct picker *p, const struct victim *v, const struct picker_request *r, const struct picker_peer *peer)
{
	struct open *o = open_of(p, r->piece);
	const struct block *b = &o->block[r->block];
	/* However many were asked that have shown nothing: one that has is asked too. */
	bool rescue = is_sound(peer) && no_asker_is_sound(p, b);
	uint32_t i;

	if (!peer_has(peer, r->piece) || (!rescue && (b->asked >= ASKERS_MAX || (b->asked == 2 && !v->gone))))
		return false;
	/* A parked piece needs memory, a rejected one somebody beyond doubt. */
	if ((!o->reserved && !has_room(p, o->bytes)) || (o->copies && open_is_suspect(o, peer->id) && p->now_ms - o->progress_ms < OWNER_WAIT_MS))
		return false;
	for (i = 0; i < b->asked; i++) {
		const struct picker_peer *other = p->peer[b->asker[i]];
		if (other == peer)
			return false;
		/* A third is asked only when both others are silent. */
		if (!rescue && b->asked == 2 && other != v->peer && !judge(p, p->peer[b->asker[i]], peer, true).gone)
			return false;
	}
	return true;
}

/*
 * From the end of the queue of whoever is late, because its head may be on the
 * way already.  Overdue ones stand at the head; a peer that is late with its
 * last is looked at only.
 */
static uint32_t take_from(struct picker *p, const struct victim *v, struct picker_peer *peer, uint32_t want, struct picker_request *out)
{
	uint32_t i, n = 0;

	if (!is_due(p, v, v->peer->queue_count - 1, peer) && !is_due(p, v, 0, peer))
		return 0;
	for (i = v->peer->queue_count; i-- > 0 && n < want;) {
		struct picker_request r = picker_queued(v->peer, i);
		if (!is_due(p, v, i, peer) || !may_double(p, v, &r, peer))
			continue;
		make_room(p, open_of(p, r.piece), r.block, v->peer);
		if (!open_reserve(p, open_of(p, r.piece)) || !block_ask(p, open_of(p, r.piece), r.block, peer))
			break;
		r.asked_ms = (uint32_t)p->now_ms;
		out[n++] = r;
	}
	return n;
}

static uint32_t take_over(struct picker *p, struct picker_peer *peer, uint32_t want, struct picker_request *out)
{
	bool endgame = !p->rarity.idle, full = !has_room(p, p->piece_length);
	struct picker_peer *other;
	uint32_t n = 0, round;

	/* A slow or silent peer has nothing to offer here. */
	if ((!endgame && !full) || p->now_ms < peer->steal_ms || peer->snubbed)
		return 0;
	/* First from those who answer nothing, then from those who answer late. */
	for (round = 0; round < 2 && n < want; round++)
		for (other = p->first_peer; other && n < want; other = other->next) {
			struct victim v;
			if (other == peer || !other->queue_count)
				continue;
			v = judge(p, other, peer, endgame);
			if (v.gone == (round == 0))
				n += take_from(p, &v, peer, want - n, out + n);
		}
	if (n < want)
		peer->steal_ms = p->now_ms + TAKE_OVER_EVERY_MS;
	return n;
}

/* ---- the interface ---- */

/* How many blocks a peer may be asked for while nothing good has come from it. */
static uint32_t on_trial(const struct picker *p, struct picker_peer *peer, uint32_t want)
{
	uint32_t limit = max_u32(TRIAL_BLOCKS, 2 * p->blocks_per_piece);

	if (peer->proven)
		return want;
	if (!peer->first_ms)
		peer->first_ms = p->now_ms;
	if (p->now_ms - peer->first_ms >= TRIAL_MS)
		return want;
	return min_u32(want, limit - min_u32(limit, peer->trial));
}

uint32_t picker_pick(struct picker *p, struct picker_peer *peer, uint32_t want, uint64_t now_ms, struct picker_request *out)
{
	uint32_t n = 0, limit;

	p->now_ms = max_u64(p->now_ms, now_ms);
	hungry_remove(p, peer);
	want = min_u32(want, PICKER_QUEUE_MAX - peer->queue_count);
	limit = on_trial(p, peer, want);
	while (n < limit && p->missing) {
		struct open *o = choose(p, peer);
		uint32_t got = o ? take_blocks(p, o, peer, limit - n, out + n) : 0;
		if (!got)
			break;
		n += got;
	}
	if (n < limit && p->missing)
		n += take_over(p, peer, limit - n, out + n);
	if (!peer->proven)
		peer->trial += n;
	if (n < want && p->missing)
		hungry_add(p, peer);
	return n;
}

uint32_t picker_pick_piece(struct picker *p, struct picker_peer *peer, uint32_t piece, uint32_t want, uint64_t now_ms, struct picker_request *out)
{
	struct open *o;
	uint32_t n;

	p->now_ms = max_u64(p->now_ms, now_ms);
	want = on_trial(p, peer, min_u32(want, PICKER_QUEUE_MAX - peer->queue_count));
	if (!want || piece >= p->pieces || !is_missing(p, piece) || !peer_has(peer, piece))
		return 0;
	o = open_of(p, piece);
	if (!o && !has_room(p, p->piece_length))
		return 0;
	if (!o)
		o = open_begin(p, piece, peer);
	n = may_use(p, o, peer) ? take_blocks(p, o, peer, want, out) : 0;
	if (!peer->proven)
		peer->trial += n;
	return n;
}

struct picker_peer *picker_hungry(struct picker *p)
{
	struct picker_peer *peer = p->hungry_first;

	/* Whoever looked since the last change of supply has seen what there is. */
	if (!peer || peer->hungry_supply == p->supply || (p->free_first == NO_OPEN && (!p->rarity.idle || !has_room(p, p->piece_length))))
		return NULL;
	hungry_remove(p, peer);
	return peer;
}

uint32_t picker_spill_candidate(struct picker *p, uint64_t now_ms)
{
	uint32_t i, most = (uint32_t)min_u64(p->budget / p->piece_length * SPILLED_MAX_FACTOR, UINT32_MAX);

	p->now_ms = max_u64(p->now_ms, now_ms);
	if (!p->starved_ms || p->now_ms - p->starved_ms > 1000 || p->unreserved >= most || p->open_count >= SPILLED_MAX)
		return UINT32_MAX;
	for (i = 0; i < p->open_used; i++) {
		struct open *o = p->open[i];
		/* A struct in the pool is not what its old piece is open as. */
		if (open_of(p, o->piece) != o || !o->reserved || !o->missing || o->spilling || p->now_ms - o->progress_ms < SPILL_AFTER_MS)
			continue;
		o->parked = true;
		if (o->missing == o->blocks) {
			/* Diskproc has nothing of it: there is nothing to write, only memory to give up. */
			open_unreserve(p, o);
			continue;
		}
		o->spilling = true;
		o->taken_since = false;
		return o->piece;
	}
	return UINT32_MAX;
}
