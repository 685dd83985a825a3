/*
 * peer_read.c - from a peer's socket to messages, and to blocks in slots.
 *
 * Two ways to read.  Predicted: a peer that answers in order will send, for each
 * request, 13 bytes of head and then the block; so one readv puts the heads here
 * and the blocks straight into free slots, without a copy.  Where a head is not
 * the one that was expected, the rest of the read is laid end to end and parsed
 * like any other bytes.  Generic: one large read, parsed, blocks copied.
 *
 * Runs on bytes of strangers after the lock.  Memory for each peer: one block
 * (private), one message body of at most a bitfield or 16 KiB, and, when slots
 * ran out in the middle of a read, the rest of that read.  One read for each
 * peer in each turn of the loop: a flood from one starves no other.
 */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "log.h"
#include "peer.h"
#include "swarm.h"

#define READ_BLOCKS 16u
#define READ_BYTES (READ_BLOCKS * (SLOT_BYTES + WIRE_PIECE_HEAD))
#define GENERIC_BYTES (128u * 1024u)
#define GENERIC_SLOTS (GENERIC_BYTES / SLOT_BYTES + 2) /* free slots before a generic read of full size */
#define LEAST_READ 4096u /* where --max-down allows less: a debt */
#define PREDICT_PAUSE 8u /* generic reads after a wrong prediction */

/* Shared by all peers: nothing in it outlives one call. */
static uint8_t scratch[READ_BYTES > GENERIC_BYTES ? READ_BYTES : GENERIC_BYTES];

static struct disk *disk_of(struct peer *p)
{
	return swarm_disk(p->swarm);
}

static void begin_head(struct peer *p)
{
	p->rx.state = RX_HEAD;
	p->rx.have = 0;
}

/* ---- blocks */

/* Whether the block of rx.body_head was asked of this peer: only such bytes are progress. */
static bool was_asked(const struct peer *p)
{
	const struct wire_head *h = &p->rx.body_head;
	uint32_t i;

	for (i = 0; i < p->pick.queue_count; i++) {
		struct picker_request r = picker_queued(&p->pick, i);

		if (r.piece == h->piece && h->begin == r.block * BLOCK_BYTES)
			return true;
	}
	return false;
}

/* Where the block of rx.body_head goes: a free slot, or private memory when slots are short. */
static bool begin_block(struct peer *p)
{
	struct peer_rx *rx = &p->rx;

	rx->state = RX_PIECE;
	rx->left = rx->body_head.body;
	rx->asked = was_asked(p);
	if (disk_free_slots(disk_of(p)) && swarm_may_hold_slot(p->swarm)) {
		rx->slot = disk_take_slot(disk_of(p));
		swarm_holds_slot(p->swarm, 1);
		rx->into = slot_at(swarm_slots(p->swarm), rx->slot);
		return true;
	}
	rx->slot = NO_SLOT;
	if (!rx->private)
		rx->private = malloc(SLOT_BYTES);
	if (!rx->private) {
		swarm_drop(p, DROP_CLOSED, "no memory for a block");
		return false;
	}
	rx->into = rx->private;
	return true;
}

/* All bytes of the block are there.  False: it waits for a slot (rx.blocked), or the peer is dead. */
static bool end_block(struct peer *p)
{
	struct peer_rx *rx = &p->rx;
	uint32_t slot = rx->slot;

	if (slot == NO_SLOT) {
		if (!disk_free_slots(disk_of(p))) {
			rx->blocked = true;
			swarm_wait_for_slots(p);
			return false;
		}
		slot = disk_take_slot(disk_of(p));
		memcpy(slot_at(swarm_slots(p->swarm), slot), rx->private, rx->body_head.body);
	} else {
		swarm_holds_slot(p->swarm, -1);
	}
	rx->slot = NO_SLOT;
	rx->blocked = false;
	begin_head(p);
	peer_on_block(p, rx->body_head.piece, rx->body_head.begin, rx->body_head.body, slot);
	return !p->dead;
}

void peer_release_slot(struct peer *p)
{
	struct peer_rx *rx = &p->rx;
	uint32_t got;

	if (rx->state != RX_PIECE || rx->slot == NO_SLOT)
		return;
	got = rx->body_head.body - rx->left;
	if (!rx->private)
		rx->private = malloc(SLOT_BYTES);
	if (!rx->private)
		return; /* it keeps the slot */
	memcpy(rx->private, slot_at(swarm_slots(p->swarm), rx->slot), got);
	disk_put_slot(disk_of(p), rx->slot);
	swarm_holds_slot(p->swarm, -1);
	rx->slot = NO_SLOT;
	rx->into = rx->private + got;
}

void peer_forget_slot(struct peer *p)
{
	struct peer_rx *rx = &p->rx;

	if (rx->state != RX_PIECE || rx->slot == NO_SLOT)
		return;
	swarm_holds_slot(p->swarm, -1);
	rx->slot = NO_SLOT;
	rx->state = RX_SKIP;
}

/* ---- generic */

static bool begin_body(struct peer *p)
{
	struct peer_rx *rx = &p->rx;
	const struct wire_head *h = &rx->body_head;

	rx->left = h->body;
	switch (h->id) {
	case WIRE_PIECE:
		return begin_block(p);
	case WIRE_BITFIELD:
		rx->body = swarm_bitfield_new(p->swarm);
		if (!rx->body) {
			swarm_drop(p, DROP_USELESS, "no memory left for bitfields");
			return false;
		}
		rx->state = RX_BODY;
		break;
	case WIRE_EXTENDED:
		if (h->extended == 0 && h->body <= WIRE_MAX_EXTENDED) {
			rx->body = malloc(h->body ? h->body : 1);
			if (!rx->body) {
				swarm_drop(p, DROP_CLOSED, "no memory for a message");
				return false;
			}
			rx->state = RX_BODY;
			break;
		}
		peer_on_message(p, h); /* an extension that we did not offer */
		rx->state = RX_SKIP;
		break;
	default:
		peer_on_message(p, h);
		rx->state = RX_SKIP;
		break;
	}
	return !p->dead;
}

static bool end_body(struct peer *p)
{
	uint8_t *body = p->rx.body;

	p->rx.body = NULL;
	begin_head(p);
	peer_on_body(p, &p->rx.body_head, body); /* takes a bitfield's memory */
	if (p->rx.body_head.id == WIRE_EXTENDED)
		free(body);
	return !p->dead;
}

/* A head from p[0..n): how many bytes it took; the state says what follows. */
static size_t feed_head(struct peer *p, const uint8_t *data, size_t n)
{
	struct peer_rx *rx = &p->rx;
	const uint8_t *at = data;
	size_t have = n, took = 0, top;
	enum wire_step step;

	if (rx->have) { /* a head that began in an earlier read */
		top = WIRE_HEAD_MAX - rx->have;
		took = n < top ? n : top;
		memcpy(rx->head + rx->have, data, took);
		at = rx->head;
		have = rx->have + took;
	}
	step = wire_head(at, have, swarm_bitfield_bytes(p->swarm), &rx->body_head);
	switch (step) {
	case WIRE_NEED:
		if (!rx->have)
			memcpy(rx->head, data, n);
		rx->have = (uint32_t)have;
		return n;
	case WIRE_BAD:
		peer_liar(p, rx->body_head.why);
		return n;
	case WIRE_WHOLE:
	case WIRE_BODY:
		break;
	}
	took = rx->body_head.bytes - rx->have; /* what came before was not enough, so this does not wrap */
	rx->have = 0;
	if (step == WIRE_WHOLE)
		peer_on_message(p, &rx->body_head);
	else
		begin_body(p);
	return took;
}

static size_t feed_handshake(struct peer *p, const uint8_t *data, size_t n)
{
	struct peer_rx *rx = &p->rx;
	size_t took = min_u64(n, WIRE_HANDSHAKE_BYTES - rx->have);
	struct wire_handshake h;

	memcpy(rx->head + rx->have, data, took);
	rx->have += (uint32_t)took;
	if (rx->have < WIRE_HANDSHAKE_BYTES) {
		/* Something else than BitTorrent is told by its first byte. */
		if (rx->head[0] != 19)
			peer_liar(p, "it does not speak BitTorrent");
		return took;
	}
	begin_head(p);
	if (wire_parse_handshake(rx->head, &h))
		peer_on_handshake(p, &h);
	else
		peer_liar(p, "it does not speak BitTorrent");
	return took;
}

/* Takes bytes until all are taken, the peer is dead, or a block waits for a slot.  Returns how many were taken. */
static size_t feed(struct peer *p, const uint8_t *data, size_t n)
{
	struct peer_rx *rx = &p->rx;
	size_t at = 0;

	while (!p->dead && !rx->blocked) {
		size_t took = min_u64(n - at, rx->left);

		switch (rx->state) {
		case RX_HANDSHAKE:
			if (at == n)
				return n;
			at += feed_handshake(p, data + at, n - at);
			continue;
		case RX_HEAD:
			if (at == n)
				return n;
			at += feed_head(p, data + at, n - at);
			continue;
		case RX_PIECE:
			memcpy(rx->into, data + at, took);
			rx->into += took;
			rx->payload += rx->asked ? (uint32_t)took : 0;
			break;
		case RX_BODY:
			memcpy(rx->body + (rx->body_head.body - rx->left), data + at, took);
			break;
		case RX_SKIP:
			break;
		}
		at += took;
		rx->left -= (uint32_t)took;
		if (rx->left)
			return at;
		if (rx->state == RX_PIECE)
			end_block(p);
		else if (rx->state == RX_BODY)
			end_body(p);
		else
			begin_head(p);
	}
	return p->dead ? n : at;
}

/* Feeds, and keeps what could not be taken for want of a slot. */
static void feed_all(struct peer *p, const uint8_t *data, size_t n)
{
	size_t took = feed(p, data, n);

	if (took == n || p->dead)
		return;
	p->rx.stash = malloc(n - took);
	if (!p->rx.stash) {
		swarm_drop(p, DROP_CLOSED, "no memory to wait for a slot");
		return;
	}
	memcpy(p->rx.stash, data + took, n - took);
	p->rx.stash_bytes = (uint32_t)(n - took);
}

void peer_feed(struct peer *p, const uint8_t *bytes, size_t n)
{
	feed_all(p, bytes, n);
}

/* What waited for a slot.  False: it waits still, or the peer is dead. */
static bool take_stash(struct peer *p)
{
	struct peer_rx *rx = &p->rx;
	uint8_t *stash = rx->stash;
	size_t n = rx->stash_bytes;

	if (rx->blocked && !end_block(p))
		return false;
	rx->stash = NULL;
	rx->stash_bytes = 0;
	if (stash)
		feed_all(p, stash, n);
	free(stash);
	return !p->dead && !rx->blocked;
}

/* The connection ended or failed: n is read's answer, 0 or -1. */
static void ended(struct peer *p, ssize_t n)
{
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	swarm_drop(p, DROP_CLOSED, n == 0 ? "it closed the connection" : "the connection failed");
}

static void count_payload(struct peer *p)
{
	if (p->rx.payload)
		rate_on_bytes(&p->rate, p->rx.payload, now_us());
}

static void read_generic(struct peer *p)
{
	uint32_t slots = disk_free_slots(disk_of(p));
	size_t most = slots >= GENERIC_SLOTS ? GENERIC_BYTES : SLOT_BYTES;
	ssize_t n = read(p->fd, scratch, max_u64(swarm_may_receive(p->swarm, most), LEAST_READ));

	if (n <= 0) {
		ended(p, n);
		return;
	}
	if (p->rx.predict_after)
		p->rx.predict_after--;
	swarm_count_received(p->swarm, (size_t)n);
	p->rx.last_ms = swarm_now(p->swarm);
	p->rx.payload = 0;
	feed_all(p, scratch, (size_t)n);
	count_payload(p);
}

/* ---- predicted */

struct plan {
	struct iovec iov[2 * READ_BLOCKS + 1];
	int iovs;
	uint32_t blocks;
	struct {
		uint8_t head[WIRE_PIECE_HEAD], expected[WIRE_PIECE_HEAD];
		uint32_t piece, begin, length, slot;
	} block[READ_BLOCKS];
};
static struct plan plan;

/* Lays out the read.  False when there is nothing to predict. */
static bool make_plan(struct peer *p)
{
	struct peer_rx *rx = &p->rx;
	struct picker_request r;
	uint32_t skip = 0, i, most, slots = disk_free_slots(disk_of(p));

	plan.iovs = 0;
	plan.blocks = 0;
	if (rx->state == RX_PIECE) {
		/* A block in private memory needs a slot when it ends; end_block() must not wait while a plan is taken. */
		if (rx->slot == NO_SLOT && slots)
			slots--;
		plan.iov[plan.iovs++] = (struct iovec){ .iov_base = rx->into, .iov_len = rx->left };
		if (p->pick.queue_count) {
			r = picker_queued(&p->pick, 0);
			skip = r.piece == rx->body_head.piece && r.block * BLOCK_BYTES == rx->body_head.begin;
		}
	}
	most = min_u32(READ_BLOCKS, p->pick.queue_count - skip);
	most = min_u32(most, slots);
	most = min_u32(most, max_u32(1, (uint32_t)(swarm_may_receive(p->swarm, READ_BYTES) / SLOT_BYTES)));
	for (i = 0; i < most; i++) {
		uint32_t begin, length, left;

		r = picker_queued(&p->pick, skip + i);
		begin = r.block * BLOCK_BYTES;
		left = metainfo_piece_bytes(swarm_info(p->swarm), r.piece) - begin;
		length = min_u32(left, BLOCK_BYTES);
		plan.block[i].piece = r.piece;
		plan.block[i].begin = begin;
		plan.block[i].length = length;
		plan.block[i].slot = disk_take_slot(disk_of(p));
		put_be32(plan.block[i].expected, 9 + length);
		plan.block[i].expected[4] = WIRE_PIECE;
		put_be32(plan.block[i].expected + 5, r.piece);
		put_be32(plan.block[i].expected + 9, begin);
		plan.iov[plan.iovs++] = (struct iovec){ .iov_base = plan.block[i].head, .iov_len = WIRE_PIECE_HEAD };
		plan.iov[plan.iovs++] = (struct iovec){ .iov_base = slot_at(swarm_slots(p->swarm), plan.block[i].slot), .iov_len = length };
	}
	plan.blocks = most;
	return most > 0;
}

/* Gives back the slots from block i on that the plan took and nobody filled; in reverse, so that the next read gets the same. */
static void put_back(struct peer *p, uint32_t i)
{
	uint32_t k;

	for (k = plan.blocks; k > i; k--)
		disk_put_slot(disk_of(p), plan.block[k - 1].slot);
}

/* From block i on, n bytes were read that are not what was expected: end to end into scratch. */
static void flatten(struct peer *p, uint32_t i, size_t n)
{
	size_t at = 0, part;
	uint32_t k;

	for (k = i; at < n; k++) {
		part = min_u64(n - at, WIRE_PIECE_HEAD);
		memcpy(scratch + at, plan.block[k].head, part);
		at += part;
		part = min_u64(n - at, plan.block[k].length);
		memcpy(scratch + at, slot_at(swarm_slots(p->swarm), plan.block[k].slot), part);
		at += part;
	}
	put_back(p, i);
	p->rx.predict_after = PREDICT_PAUSE;
	feed_all(p, scratch, n);
}

/* The read ended inside block i: n bytes of it (of its head too) are there, and the head is right as far as it goes. */
static void partial_block(struct peer *p, uint32_t i, size_t n)
{
	struct peer_rx *rx = &p->rx;

	if (n < WIRE_PIECE_HEAD) {
		memcpy(rx->head, plan.block[i].head, n);
		rx->have = (uint32_t)n;
		put_back(p, i);
		return;
	}
	n -= WIRE_PIECE_HEAD;
	rx->payload += (uint32_t)n;
	rx->asked = true;
	rx->state = RX_PIECE;
	rx->body_head = (struct wire_head){ .id = WIRE_PIECE, .bytes = WIRE_PIECE_HEAD, .body = plan.block[i].length,
					    .piece = plan.block[i].piece, .begin = plan.block[i].begin };
	rx->slot = plan.block[i].slot;
	rx->left = plan.block[i].length - (uint32_t)n;
	rx->into = slot_at(swarm_slots(p->swarm), rx->slot) + n;
	swarm_holds_slot(p->swarm, 1);
	put_back(p, i + 1);
	if (!swarm_may_hold_slot(p->swarm))
		peer_release_slot(p);
}

static void take_plan(struct peer *p, size_t n)
{
	struct peer_rx *rx = &p->rx;
	uint32_t i;

	if (rx->state == RX_PIECE) {
		size_t part = min_u64(n, rx->left);

		rx->into += part;
		rx->left -= (uint32_t)part;
		rx->payload += rx->asked ? (uint32_t)part : 0;
		n -= part;
		if (rx->left || !end_block(p)) {
			put_back(p, 0);
			return;
		}
	}
	for (i = 0; i < plan.blocks && n; i++) {
		size_t head = min_u64(n, WIRE_PIECE_HEAD);

		if (memcmp(plan.block[i].head, plan.block[i].expected, head)) {
			flatten(p, i, n);
			return;
		}
		if (n < WIRE_PIECE_HEAD + plan.block[i].length) {
			partial_block(p, i, n);
			return;
		}
		n -= WIRE_PIECE_HEAD + plan.block[i].length;
		rx->payload += plan.block[i].length;
		peer_on_block(p, plan.block[i].piece, plan.block[i].begin, plan.block[i].length, plan.block[i].slot);
		if (p->dead) {
			put_back(p, i + 1);
			return;
		}
	}
	put_back(p, i);
}

static void read_predicted(struct peer *p)
{
	ssize_t n = readv(p->fd, plan.iov, plan.iovs);

	if (n <= 0) {
		put_back(p, 0);
		ended(p, n);
		return;
	}
	swarm_count_received(p->swarm, (size_t)n);
	p->rx.last_ms = swarm_now(p->swarm);
	p->rx.payload = 0;
	take_plan(p, (size_t)n);
	count_payload(p);
}

void peer_read(struct peer *p)
{
	struct peer_rx *rx = &p->rx;
	bool between;

	if ((rx->blocked || rx->stash) && !take_stash(p))
		return;
	between = rx->state == RX_HEAD && !rx->have;
	if (!rx->predict_after && p->pick.queue_count && (between || rx->state == RX_PIECE) && make_plan(p))
		read_predicted(p);
	else
		read_generic(p);
	if (!p->dead)
		peer_request(p);
	peer_flush(p);
}
