/*
 * picker.c - the events of picker.h: pieces open and close, peers come and go,
 * blocks arrive.  What diskproc decides is picker_verdict.c, what is asked of
 * whom picker_pick.c, the order of the pieces that nobody works on rarity.c.
 *
 * Assumes that the caller checked piece numbers of HAVE and bitfield; blocks are
 * checked here.  Nothing here allocates for a block or, in the steady state, for
 * a piece; nothing scans all pieces or all peers for a block, except for one
 * that was asked of two or three peers.
 *
 * A piece is
 *	idle     nobody was asked for any of it        in rarity's order
 *	open     blocks free, asked for or received    struct open, memory reserved
 *	parked   open, but without memory: spilled, or rejected and not asked for again
 *	waiting  open, every block received: diskproc hashes it
 *	had      verified                              at[] == AT_HAD
 *	unwanted nobody will be asked for it           at[] == AT_UNWANTED
 * idle -> open: open_begin; open -> waiting: picker_on_block; waiting -> had:
 * picker_on_verified; waiting -> parked: picker_on_rejected; open -> parked:
 * picker_on_spilled; parked -> open: open_reserve; had -> idle: picker_reset;
 * open -> idle: picker_reset; idle -> unwanted: picker_set_order, before all
 * else; unwanted -> had: picker_have, and back: picker_reset.
 *
 * Invariants (tests/unit/picker_check.h checks them in tests and fuzzing):
 *  1. reserved is the sum of the bytes of open pieces whose memory is reserved,
 *     and never above the budget.
 *  2. open->free counts its blocks neither asked for nor received, open->missing
 *     those not received; it is in the free list exactly when free > 0; no block
 *     before its hint is free.
 *  3. A block in a peer's queue has that peer among its askers, once, and the
 *     other way round; a received block has no asker.
 *  4. A block that was asked for or received belongs to a piece whose memory is
 *     reserved, or that was spilled.
 *  5. missing counts pieces that are neither had nor unwanted; missing_bits says which.
 *  6. What rarity.c promises.
 */
#include "picker.h"

#include "bitfield.h"
#include "picker_state.h"

/* ---- pieces ---- */

struct picker *picker_new(uint32_t piece_count, uint32_t piece_length, uint64_t total_length, uint64_t budget_bytes, uint64_t chance)
{
	struct picker *p = must_calloc(1, sizeof *p);
	uint64_t before = (uint64_t)piece_length * (piece_count ? piece_count - 1 : 0);

	if (!piece_length || (piece_count && (total_length <= before || total_length - before > piece_length)))
		bug("picker: %u pieces of %u are not %llu", piece_count, piece_length, (unsigned long long)total_length);
	p->pieces = p->missing = piece_count;
	p->piece_length = piece_length;
	p->last_length = (uint32_t)(total_length - before);
	p->blocks_per_piece = (uint32_t)(((uint64_t)piece_length + BLOCK_BYTES - 1) / BLOCK_BYTES);
	p->budget = budget_bytes;
	p->free_first = p->free_last = NO_OPEN;
	p->turn = 1;
	p->now_ms = 1; /* 0 stands for never */
	rarity_init(&p->rarity, piece_count, piece_length, chance);
	p->missing_bits = must_alloc(bitfield_bytes(piece_count));
	memcpy(p->missing_bits, p->rarity.idle_bits, bitfield_bytes(piece_count));
	return p;
}

void picker_set_order(struct picker *p, uint8_t *const level[RARITY_LEVELS], bool in_sequence)
{
	uint32_t i;

	rarity_set_order(&p->rarity, level, in_sequence);
	for (i = 0; i < p->pieces; i++)
		if (!rarity_is_wanted(&p->rarity, i)) {
			rarity_take(&p->rarity, i, AT_UNWANTED);
			bitfield_clear(p->missing_bits, i);
			p->missing--;
		}
}

void open_forget_copies(struct open *o)
{
	uint32_t i;

	for (i = 0; i < o->copies; i++) {
		free(o->copy[i].sender);
		free(o->copy[i].suspect);
	}
	o->copies = o->attempts = 0;
}

void picker_free(struct picker *p)
{
	uint32_t i;

	if (!p)
		return;
	while (p->first_peer)
		picker_leave(p, p->first_peer);
	for (i = 0; i < p->open_used; i++) {
		open_forget_copies(p->open[i]);
		free(p->open[i]->block);
		free(p->open[i]);
	}
	free(p->open);
	free(p->unused);
	free(p->peer);
	free(p->peer_unused);
	free(p->missing_bits);
	rarity_release(&p->rarity);
	free(p);
}

uint32_t picker_missing(const struct picker *p) { return p->missing; }
uint32_t picker_open(const struct picker *p) { return p->open_count; }
bool picker_complete(const struct picker *p) { return !p->missing; }

/* An unused struct open from the pool. */
static uint32_t open_take(struct picker *p)
{
	struct open *o;

	if (p->unused_count)
		return p->unused[--p->unused_count];
	if (p->open_used == p->open_room) {
		p->open_room = p->open_room ? p->open_room * 2 : 16;
		p->open = realloc(p->open, p->open_room * sizeof *p->open);
		p->unused = realloc(p->unused, p->open_room * sizeof *p->unused);
		if (!p->open || !p->unused)
			bug("picker: no memory for %u open pieces", p->open_room);
	}
	o = must_calloc(1, sizeof *o);
	o->block = must_calloc(p->blocks_per_piece, sizeof *o->block);
	p->open[p->open_used] = o;
	return p->open_used++;
}

struct open *open_begin(struct picker *p, uint32_t piece, struct picker_peer *by)
{
	uint32_t i = open_take(p);
	struct open *o = p->open[i];
	struct block *block = o->block;

	memset(o, 0, sizeof *o);
	o->block = block;
	o->piece = piece;
	o->bytes = piece_bytes(p, piece);
	o->blocks = o->free = o->missing = (uint32_t)(((uint64_t)o->bytes + BLOCK_BYTES - 1) / BLOCK_BYTES);
	memset(block, 0, o->blocks * sizeof *block);
	o->opener = by->slot;
	o->owner = NO_PEER;
	o->trial = !by->proven;
	o->opened_ms = o->progress_ms = p->now_ms;
	rarity_take(&p->rarity, piece, i);
	p->open_count++;
	p->unreserved++;
	open_list(p, o, false);
	return o;
}

void open_end(struct picker *p, struct open *o, bool had)
{
	uint32_t i = open_index(p, o);

	open_unlist(p, o);
	open_unreserve(p, o);
	open_forget_copies(o);
	p->unreserved--;
	p->open_count--;
	p->unused[p->unused_count++] = i;
	p->rarity.at[o->piece] = AT_HAD;
	if (!had)
		rarity_put(&p->rarity, o->piece);
}

bool open_reserve(struct picker *p, struct open *o)
{
	if (o->reserved)
		return true;
	if (o->bytes > p->budget - p->reserved) {
		p->starved_ms = p->now_ms;
		return false;
	}
	p->reserved += o->bytes;
	p->unreserved--;
	o->reserved = true;
	o->progress_ms = p->now_ms;
	return true;
}

void open_unreserve(struct picker *p, struct open *o)
{
	if (o->single)
		p->single_bytes -= o->bytes;
	o->single = false;
	if (!o->reserved)
		return;
	p->reserved -= o->bytes;
	p->supply++;
	p->unreserved++;
	o->reserved = false;
}

void open_list(struct picker *p, struct open *o, bool first)
{
	uint32_t i = open_index(p, o);

	if (o->listed && !first)
		return;
	open_unlist(p, o);
	o->listed = true;
	o->again = first;
	o->prev = first ? NO_OPEN : p->free_last;
	o->next = first ? p->free_first : NO_OPEN;
	if (o->prev == NO_OPEN)
		p->free_first = i;
	else
		p->open[o->prev]->next = i;
	if (o->next == NO_OPEN)
		p->free_last = i;
	else
		p->open[o->next]->prev = i;
}

void open_unlist(struct picker *p, struct open *o)
{
	if (!o->listed)
		return;
	o->listed = false;
	if (o->prev == NO_OPEN)
		p->free_first = o->next;
	else
		p->open[o->prev]->next = o->next;
	if (o->next == NO_OPEN)
		p->free_last = o->prev;
	else
		p->open[o->next]->prev = o->prev;
}

bool open_is_suspect(const struct open *o, uint32_t id)
{
	uint32_t i, k;

	for (i = 0; i < o->copies; i++)
		for (k = 0; k < o->copy[i].suspects; k++)
			if (o->copy[i].suspect[k] == id)
				return true;
	return false;
}

/* ---- queues: the outstanding requests of a peer ---- */

bool block_ask(struct picker *p, struct open *o, uint32_t block, struct picker_peer *peer)
{
	struct block *b = &o->block[block];
	uint32_t i, cap;

	if (peer->queue_count == peer->queue_cap) {
		struct picker_request *queue;
		if (peer->queue_cap >= PICKER_QUEUE_MAX)
			return false;
		cap = peer->queue_cap ? peer->queue_cap * 2 : 32;
		queue = must_alloc(cap * sizeof *queue);
		for (i = 0; i < peer->queue_count; i++)
			queue[i] = picker_queued(peer, i);
		free(peer->queue);
		peer->queue = queue;
		peer->queue_head = 0;
		peer->queue_cap = cap;
	}
	peer->queue[(peer->queue_head + peer->queue_count++) & (peer->queue_cap - 1)] =
		(struct picker_request){ o->piece, block, (uint32_t)p->now_ms };
	if (!b->asked)
		o->free--;
	b->asker[b->asked++] = peer->slot;
	return true;
}

/* Where the request stands in the peer's queue; queue_count when it does not. */
static uint32_t queue_find(const struct picker_peer *peer, uint32_t piece, uint32_t block)
{
	uint32_t i;

	for (i = 0; i < peer->queue_count; i++) {
		struct picker_request r = picker_queued(peer, i);
		if (r.piece == piece && r.block == block)
			break;
	}
	return i;
}

/* Takes the i-th request out; the shorter side moves up. */
static void queue_remove(struct picker_peer *peer, uint32_t i)
{
	uint32_t mask = peer->queue_cap - 1, head = peer->queue_head;

	if (i < peer->queue_count / 2) {
		for (; i > 0; i--)
			peer->queue[(head + i) & mask] = peer->queue[(head + i - 1) & mask];
		peer->queue_head = (head + 1) & mask;
	} else {
		for (; i + 1 < peer->queue_count; i++)
			peer->queue[(head + i) & mask] = peer->queue[(head + i + 1) & mask];
	}
	peer->queue_count--;
}

static void late_more(struct picker_peer *peer)
{
	if (peer->late < 2 * PICKER_QUEUE_MAX)
		peer->late++;
}

/* The piece has a free block (again). */
static void block_freed(struct picker *p, struct open *o, uint32_t block)
{
	o->free++;
	o->hint = min_u32(o->hint, block);
	p->supply++;
	/* What was begun is to be finished first. */
	open_list(p, o, true);
}

/* The peer is no asker of the block any more; its queue and open->free are the caller's business. */
static void block_unask(struct open *o, uint32_t block, const struct picker_peer *peer)
{
	struct block *b = &o->block[block];
	uint32_t i;

	for (i = 0; i < b->asked && b->asker[i] != peer->slot; i++)
		;
	if (i == b->asked)
		bug("picker: %u/%u was not asked of slot %u", o->piece, block, peer->slot);
	b->asker[i] = b->asker[--b->asked];
}

/* A request, already off the queue, that will not be answered. */
static void request_lost(struct picker *p, struct picker_peer *peer, uint32_t piece, uint32_t block)
{
	struct open *o = open_of(p, piece);

	block_unask(o, block, peer);
	if (!o->block[block].asked)
		block_freed(p, o, block);
	if (o->owner == peer->slot)
		o->owner = NO_PEER;
	o->trial = false;
	late_more(peer);
	peer->trial -= peer->trial > 0;
}

/* ---- peers ---- */

static uint16_t take_slot(struct picker *p)
{
	uint32_t i, room;

	if (!p->peer_unused_count) {
		room = p->peer_room ? p->peer_room * 2 : 64;
		if (room > NO_PEER)
			bug("picker: %u peers", room);
		p->peer = realloc(p->peer, room * sizeof *p->peer);
		p->peer_unused = realloc(p->peer_unused, room * sizeof *p->peer_unused);
		if (!p->peer || !p->peer_unused)
			bug("picker: no memory for %u peers", room);
		for (i = room; i-- > p->peer_room;) {
			p->peer[i] = NULL;
			p->peer_unused[p->peer_unused_count++] = (uint16_t)i;
		}
		p->peer_room = room;
	}
	return p->peer_unused[--p->peer_unused_count];
}

void picker_join(struct picker *p, struct picker_peer *peer)
{
	peer->slot = take_slot(p);
	p->peer[peer->slot] = peer;
	p->peer_count++;
	peer->queue = NULL;
	peer->queue_head = peer->queue_count = peer->queue_cap = 0;
	peer->last_piece = peer->next_piece = UINT32_MAX;
	peer->proven = peer->barren = peer->useless = peer->hungry = false;
	peer->late = peer->trial = peer->sparse_at = peer->witness = 0;
	peer->first_ms = peer->heard_ms = peer->steal_ms = peer->walk_ms = 0;
	peer->prev = NULL;
	peer->next = p->first_peer;
	if (peer->next)
		peer->next->prev = peer;
	p->first_peer = peer;
	peer->counted_all = peer->all;
	if (peer->all)
		p->rarity.seeds++;
	else if (peer->have)
		rarity_join(&p->rarity, peer->have);
}

void picker_leave(struct picker *p, struct picker_peer *peer)
{
	picker_give_back_all(p, peer);
	hungry_remove(p, peer);
	if (peer->counted_all)
		p->rarity.seeds--;
	else if (peer->have)
		rarity_leave(&p->rarity, peer->have);
	if (peer->next)
		peer->next->prev = peer->prev;
	if (peer->prev)
		peer->prev->next = peer->next;
	else
		p->first_peer = peer->next;
	peer->prev = peer->next = NULL;
	p->peer[peer->slot] = NULL;
	p->peer_unused[p->peer_unused_count++] = peer->slot;
	p->peer_count--;
	free(peer->queue);
	peer->queue = NULL;
	peer->queue_cap = 0;
}

void picker_peer_has(struct picker *p, struct picker_peer *peer, uint32_t piece)
{
	if (peer->counted_all)
		return;
	rarity_more(&p->rarity, piece);
	peer->barren = false;
	if (is_missing(p, piece)) {
		peer->useless = false;
		peer->witness = piece;
	}
}

bool picker_interesting(struct picker *p, struct picker_peer *peer)
{
	uint32_t found;

	if (!p->missing || (!peer->counted_all && !peer->have) || (peer->useless && peer->useless_turn == p->turn))
		return false;
	if (peer->counted_all)
		return true;
	if (peer->witness < p->pieces && is_missing(p, peer->witness) && peer_has(peer, peer->witness))
		return true;
	/* Pieces only cease to be missing, so the search goes on where it stopped. */
	found = rarity_both(peer->have, p->missing_bits, p->pieces, peer->witness);
	if (found != RARITY_NONE) {
		peer->witness = found;
		return true;
	}
	peer->useless = true;
	peer->useless_turn = p->turn;
	return false;
}

/* ---- blocks ---- */

void block_drop_askers(struct picker *p, struct open *o, uint32_t block, struct picker_peer **others, uint32_t room, uint32_t *count)
{
	struct block *b = &o->block[block];

	while (b->asked) {
		struct picker_peer *other = p->peer[b->asker[--b->asked]];
		uint32_t i = queue_find(other, o->piece, block);
		if (i == other->queue_count)
			bug("picker: %u/%u is not in the queue of slot %u", o->piece, block, other->slot);
		queue_remove(other, i);
		late_more(other);
		if (others && *count < room)
			others[(*count)++] = other;
	}
}

/* A block that is not in the peer's queue.  True: it was asked for once, and is still missing. */
static enum picker_block late_block(const struct open *o, uint32_t block, struct picker_peer *peer)
{
	if (!peer->late)
		return PICKER_UNWANTED;
	peer->late--;
	/* The new copy of a rejected piece has one sender if possible. */
	if (!o || o->block[block].received || (o->copies && o->owner != peer->slot))
		return PICKER_DUPLICATE;
	return PICKER_TAKE;
}

enum picker_block picker_on_block(struct picker *p, struct picker_peer *peer, uint32_t piece, uint32_t begin, uint32_t length,
				  uint64_t now_ms, struct picker_peer **others, uint32_t room, uint32_t *count)
{
	uint32_t block = begin / BLOCK_BYTES, bytes, at;
	enum picker_block verdict = PICKER_TAKE;
	struct open *o;
	struct block *b;
	bool was_free;

	*count = 0;
	p->now_ms = max_u64(p->now_ms, now_ms);
	if (piece >= p->pieces || begin % BLOCK_BYTES)
		return PICKER_UNWANTED;
	bytes = piece_bytes(p, piece);
	if (begin >= bytes || length != min_u32(BLOCK_BYTES, bytes - begin))
		return PICKER_UNWANTED;
	o = open_of(p, piece);
	at = queue_find(peer, piece, block);
	if (at == peer->queue_count)
		verdict = late_block(o, block, peer);
	if (verdict != PICKER_UNWANTED)
		peer->heard_ms = p->now_ms;
	if (verdict != PICKER_TAKE)
		return verdict;
	b = &o->block[block];
	was_free = !b->asked;
	if (at < peer->queue_count) {
		queue_remove(peer, at);
		block_unask(o, block, peer);
	}
	/* Without memory for it at diskproc it cannot be used, and is asked for again. */
	if (!open_reserve(p, o)) {
		if (!was_free && !b->asked)
			block_freed(p, o, block);
		return PICKER_DUPLICATE;
	}
	if (was_free && !--o->free)
		open_unlist(p, o);
	block_drop_askers(p, o, block, others, room, count);
	b->received = 1;
	b->sender = peer->id;
	b->asker[0] = peer->slot;
	o->missing--;
	o->progress_ms = p->now_ms;
	o->taken_since |= o->spilling;
	return PICKER_TAKE;
}

void picker_paused(struct picker *p, uint32_t ms)
{
	struct picker_peer *peer;
	uint32_t i;

	for (peer = p->first_peer; peer; peer = peer->next) {
		for (i = 0; i < peer->queue_count; i++)
			peer->queue[(peer->queue_head + i) & (peer->queue_cap - 1)].asked_ms += ms;
		if (peer->heard_ms)
			peer->heard_ms += ms;
	}
}

void picker_give_back(struct picker *p, struct picker_peer *peer, uint32_t piece, uint32_t block)
{
	struct open *o = piece < p->pieces ? open_of(p, piece) : NULL;
	uint32_t at;
	struct block *b;

	if (!o || block >= o->blocks)
		return;
	b = &o->block[block];
	at = queue_find(peer, piece, block);
	if (at < peer->queue_count) {
		queue_remove(peer, at);
		request_lost(p, peer, piece, block);
	} else if (b->received && b->sender == peer->id) {
		b->received = 0;
		b->sender = 0;
		o->missing++;
		block_freed(p, o, block);
	}
}

void picker_give_back_all(struct picker *p, struct picker_peer *peer)
{
	while (peer->queue_count) {
		struct picker_request r = picker_queued(peer, peer->queue_count - 1);
		peer->queue_count--;
		request_lost(p, peer, r.piece, r.block);
	}
}
