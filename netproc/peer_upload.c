/*
 * peer_upload.c - what a peer asks of us, and how it gets it.
 *
 *	REQUEST ─► requests.c ─► READ (swarm_upload.c) ─► DATA: a slot ─► writev ─► DATA_DONE
 *
 * The order of blocks, and what of them is where, is requests.c's; whose turn it
 * is, the rate and the reads under way are swarm_upload.c's.  A block is sent
 * straight out of diskproc's slot.  Between the first and the last byte of a
 * block's message nothing else may be written: see peer_flush().
 *
 * Bounded: requests by REQUESTS_MAX, slots by the window; a peer that takes
 * nothing for a second gives its slots up, and gets no new ones until there is
 * room in its socket again.
 */
#include <errno.h>
#include <sys/uio.h>

#include "bitfield.h"
#include "peer.h"
#include "swarm.h"

#define SEND_BLOCKS 16u         /* in one writev */
#define MESSAGE_BYTES (SLOT_BYTES + WIRE_PIECE_HEAD)
#define SLOT_PATIENCE_MS 1000u  /* slots are given up after so long without a byte taken */

/* Of a request that costs patience: so many such messages a second are a flood (peer.c). */
#define COST_OF_NO_USE 5
#define COST_OF_OVERRUN 20
#define COST_OF_CANCEL 2 /* an endgame has some hundreds */

static void give_back(struct peer *p, const struct requests_freed *freed)
{
	uint32_t i;

	for (i = 0; i < freed->count; i++)
		disk_done_slot(swarm_disk(p->swarm), freed->slot[i]);
	if (freed->count)
		swarm_upload_kick(p->swarm);
}

/* BEP 6: a request that will not be answered is told; without it, it is forgotten (BEP 3). */
static void reject(struct peer *p, uint32_t piece, uint32_t begin, uint32_t length)
{
	uint8_t out[WIRE_HEAD_MAX];

	if (p->fast && !p->dead)
		peer_put(p, out, wire_put_triple(out, WIRE_REJECT, piece, begin, length));
}

/* ---- what it says */

static bool is_allowed_fast(const struct peer *p, uint32_t piece)
{
	uint32_t i;

	for (i = 0; i < p->up.fast_count; i++)
		if (p->up.fast[i] == piece)
			return true;
	return false;
}

void peer_on_request(struct peer *p, const struct wire_head *m)
{
	const struct metainfo *info = swarm_info(p->swarm);
	bool exists = m->piece < info->h->piece_count;
	bool have = exists && bitfield_get(swarm_have(p->swarm), m->piece) && swarm_may_ask(p, m->piece);
	uint32_t bytes = exists ? metainfo_piece_bytes(info, m->piece) : 0;

	if (!requests_possible(m->begin, m->length, bytes)) {
		peer_liar(p, "a request for what does not exist");
		return;
	}
	if (!p->up.choke.unchoked && !(have && is_allowed_fast(p, m->piece))) {
		/* Asked before our choke came there, as a rule. */
		peer_tire(p, 1);
		reject(p, m->piece, m->begin, m->length);
		return;
	}
	switch (requests_add(&p->up.requests, m->piece, m->begin, m->length, bytes, have)) {
	case REQUESTS_TAKEN:
		swarm_upload_turn_for(p);
		break;
	case REQUESTS_DUPLICATE:
		peer_tire(p, COST_OF_NO_USE);
		break;
	case REQUESTS_FULL:
		peer_tire(p, COST_OF_OVERRUN);
		reject(p, m->piece, m->begin, m->length);
		break;
	case REQUESTS_NOT_HAD:
		peer_tire(p, COST_OF_OVERRUN);
		reject(p, m->piece, m->begin, m->length);
		break;
	case REQUESTS_NO_MEMORY:
		reject(p, m->piece, m->begin, m->length);
		break;
	case REQUESTS_LIE:
		bug("a request that is possible is taken for none");
	}
}

void peer_on_cancel(struct peer *p, const struct wire_head *m)
{
	struct requests_freed freed = { 0 };

	switch (requests_cancel(&p->up.requests, m->piece, m->begin, m->length, &freed)) {
	case REQUESTS_CANCELLED:
		peer_tire(p, COST_OF_CANCEL);
		reject(p, m->piece, m->begin, m->length);
		break;
	case REQUESTS_FINISHES:
		break;
	case REQUESTS_UNKNOWN:
		peer_tire(p, COST_OF_NO_USE);
		break;
	}
	give_back(p, &freed);
}

void peer_on_interested(struct peer *p, bool interested)
{
	peer_tire(p, 5);
	if (p->up.choke.interested == interested)
		return;
	p->up.choke.interested = interested;
	swarm_choke_soon(p->swarm);
}

/* ---- what we decide */

void peer_tell_choke(struct peer *p)
{
	static struct request dropped[REQUESTS_MAX];
	struct requests_freed freed = { 0 };
	bool choked = !p->up.choke.unchoked;
	uint8_t out[8];
	uint32_t i, n;

	if (!peer_put(p, out, wire_put_plain(out, choked ? WIRE_CHOKE : WIRE_UNCHOKE)))
		return;
	if (choked) {
		n = requests_choke(&p->up.requests, p->up.fast, p->fast ? p->up.fast_count : 0, dropped, &freed);
		for (i = 0; i < n; i++)
			reject(p, dropped[i].piece, dropped[i].begin, dropped[i].length);
		give_back(p, &freed);
	}
	peer_flush(p);
}

/* ---- reads and blocks */

bool peer_ask_disk(struct peer *p, uint32_t window)
{
	struct requests_read r;

	/* Whoever takes nothing gets no slots. */
	while (!p->up.stalled && disk_read_room(swarm_disk(p->swarm))) {
		if (!requests_next_read(&p->up.requests, window, &r))
			return true;
		swarm_read(p, r.serial, r.piece, r.begin, r.length);
	}
	return p->up.stalled;
}

void peer_on_data(struct peer *p, uint32_t serial, uint32_t slot)
{
	if (requests_on_data(&p->up.requests, serial, slot))
		swarm_upload_turn_for(p);
	else
		disk_done_slot(swarm_disk(p->swarm), slot);
}

void peer_on_read_failed(struct peer *p, uint32_t serial)
{
	struct requests_freed freed = { 0 };
	struct request r;

	switch (requests_on_failed(&p->up.requests, serial, &r, &freed)) {
	case REQUESTS_DROPPED:
		reject(p, r.piece, r.begin, r.length);
		break;
	case REQUESTS_STUCK:
		swarm_drop(p, DROP_USELESS, "a block that it was being sent cannot be read");
		break;
	case REQUESTS_GONE:
		break;
	}
	give_back(p, &freed);
}

enum peer_sent peer_send_blocks(struct peer *p)
{
	static struct requests_iov iov;
	struct requests *q = &p->up.requests;
	struct requests_freed freed = { 0 };
	size_t allowed, offered, blocks;
	ssize_t n;

	if (!requests_sendable(q))
		return PEER_SENT_NOTHING;
	allowed = swarm_may_send(p->swarm, (size_t)SEND_BLOCKS * MESSAGE_BYTES);
	if (!allowed)
		return PEER_SENT_NOTHING; /* its turn comes again */
	/* Whole blocks, the last of them on credit: until one that is begun is sent, we can ask this peer for nothing. */
	blocks = (allowed + MESSAGE_BYTES - 1) / MESSAGE_BYTES;
	offered = requests_iov(q, swarm_upload_slots(p->swarm), (uint32_t)blocks, SIZE_MAX, &iov);
	do {
		n = writev(p->fd, iov.vec, iov.count);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN) {
		swarm_drop(p, DROP_CLOSED, "it closed the connection");
		return PEER_SENT_NOTHING;
	}
	if (n <= 0)
		return PEER_SENT_WAITS;
	p->sent_ms = p->up.moved_ms = p->up.took_ms = swarm_now(p->swarm);
	p->up.stalled = false;
	p->tx.stuck_ms = 0;
	swarm_count_sent(p->swarm, (size_t)n);
	swarm_count_uploaded(p, requests_sent(q, (size_t)n, &freed));
	give_back(p, &freed);
	/* Also when it was not its turn (the socket had room again): what left the window makes room for the next reads. */
	if (q->next != q->count)
		swarm_upload_turn_for(p);
	return (size_t)n < offered ? PEER_SENT_WAITS : PEER_SENT_ALL;
}

/* ---- time */

void peer_upload_tick(struct peer *p, uint64_t now)
{
	struct requests_freed freed = { 0 };

	meter_look(&p->up.meter, p->up.choke.sent_bytes, now);
	if (!requests_sendable(&p->up.requests)) {
		p->up.moved_ms = now; /* it is not the peer that keeps us waiting */
		return;
	}
	if (p->up.stalled || !p->tx.stuck_ms || now - p->up.moved_ms <= SLOT_PATIENCE_MS)
		return;
	p->up.stalled = p->tx.waits = true; /* peer_upload_resume() */
	peer_watch(p);
	requests_release(&p->up.requests, &freed);
	give_back(p, &freed);
}

void peer_upload_resume(struct peer *p)
{
	if (!p->up.stalled)
		return;
	p->up.stalled = false;
	p->up.moved_ms = swarm_now(p->swarm);
	p->tx.stuck_ms = 0;
	swarm_upload_turn_for(p);
}

void peer_upload_forget(struct peer *p)
{
	requests_forget(&p->up.requests);
	p->up.stalled = false;
}

void peer_upload_again(struct peer *p)
{
	static struct request dropped[REQUESTS_MAX];
	uint32_t i, n;
	bool stuck;

	if (p->dead || !requests_count(&p->up.requests))
		return;
	n = requests_keep_had(&p->up.requests, swarm_have(p->swarm), dropped, &stuck);
	if (stuck) {
		swarm_drop(p, DROP_USELESS, "a block that it was being sent is not here any more");
		return;
	}
	for (i = 0; i < n; i++)
		reject(p, dropped[i].piece, dropped[i].begin, dropped[i].length);
	if (n)
		peer_flush(p);
	if (requests_count(&p->up.requests))
		swarm_upload_turn_for(p);
}

void peer_upload_end(struct peer *p)
{
	struct requests_freed freed = { 0 };

	requests_release(&p->up.requests, &freed);
	give_back(p, &freed);
}
