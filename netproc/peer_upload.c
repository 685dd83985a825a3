/*
 * peer_upload.c - what a peer asks of us, and how it gets it.
 *
 *	REQUEST ─► requests.c ─► READ (swarm_upload.c) ─► DATA: bytes in the conveyor ─► splice
 *
 * The order of blocks is requests.c's; whose turn it is, the rate and the reads
 * under way are swarm_upload.c's.  A block goes from diskproc's pipe into the
 * socket at once when it comes, as the pages that it is: nothing waits in the
 * pipe, so no peer can hold up another.  For that no more is asked for than the
 * socket has room for.  What finds none all the same waits in the peer's buffer.
 *
 * Bounded: requests by REQUESTS_MAX, reads by the window and the conveyor.
 */
#include <errno.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include "bitfield.h"
#include "peer.h"
#include "swarm.h"

/* What costs the peer patience, see peer.c. */
#define COST_OF_NO_USE 5   /* repeats a request, cancels none */
#define COST_OF_OVERRUN 20 /* asks for more than we told it, or for what it was not told of */
#define COST_OF_CANCEL 2   /* an endgame has some hundreds */

/* BEP 6: a request that will not be answered is told; without it, it is forgotten (BEP 3). */
static void reject(struct peer *p, uint32_t piece, uint32_t begin, uint32_t length)
{
	uint8_t out[WIRE_HEAD_MAX];

	if (p->fast && !p->dead)
		peer_put(p, out, wire_put_triple(out, WIRE_REJECT, piece, begin, length));
}

/* ---- what it says */

void peer_on_request(struct peer *p, const struct wire_head *m)
{
	const struct metainfo *info = swarm_info(p->swarm);
	bool exists = m->piece < info->h->piece_count;
	bool have = exists && bitfield_get(swarm_have(p->swarm), m->piece) && swarm_may_ask(p, m->piece);
	bool unchoked = p->up.choke.unchoked;
	uint32_t bytes = exists ? metainfo_piece_bytes(info, m->piece) : 0;

	if (!requests_possible(m->begin, m->length, bytes)) {
		peer_liar(p, "a request for what does not exist");
		return;
	}
	if (!unchoked && !(have && fastset_has(p->up.fast, p->up.fast_count, m->piece) && swarm_may_give_fast(p->swarm, m->length))) {
		/* Asked before our choke came there, as a rule; or the choked have had their share. */
		peer_tire(p, 1);
		reject(p, m->piece, m->begin, m->length);
		return;
	}
	switch (requests_add(&p->up.requests, m->piece, m->begin, m->length, bytes, have)) {
	case REQUESTS_TAKEN:
		if (!unchoked)
			swarm_count_fast(p->swarm, m->length);
		swarm_upload_turn_for(p);
		break;
	case REQUESTS_DUPLICATE:
		peer_tire(p, COST_OF_NO_USE);
		break;
	case REQUESTS_FULL:
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
	if (requests_cancel(&p->up.requests, m->piece, m->begin, m->length)) {
		peer_tire(p, COST_OF_CANCEL);
		reject(p, m->piece, m->begin, m->length);
	} else {
		peer_tire(p, COST_OF_NO_USE);
	}
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

static void reject_all(struct peer *p, const struct request *dropped, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		reject(p, dropped[i].piece, dropped[i].begin, dropped[i].length);
}

void peer_tell_choke(struct peer *p)
{
	static struct request dropped[REQUESTS_MAX];
	bool choked = !p->up.choke.unchoked;
	uint8_t out[8];

	if (!peer_put(p, out, wire_put_plain(out, choked ? WIRE_CHOKE : WIRE_UNCHOKE)))
		return;
	if (choked)
		reject_all(p, dropped, requests_choke(&p->up.requests, p->up.fast, p->fast ? p->up.fast_count : 0, dropped));
	peer_flush(p);
}

/* ---- reads */

/* What the kernel counts for so many bytes that wait in a socket: about the bytes, the heads of packets, and some more. */
static uint32_t room_taken(uint32_t bytes)
{
	return bytes + bytes / 8 + 2048;
}

/* Whether its socket will be told of as writable; *room: what it takes now, as the kernel counts it. */
static bool has_room(const struct peer *p, uint32_t *room)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 }, queued;
	socklen_t length = sizeof info;

	if (getsockopt(p->fd, SOL_SOCKET, SO_MEMINFO, info, &length) < 0) {
		*room = 0;
		return true; /* it is closed, as a rule: sending will tell */
	}
	queued = max_u32(info[SK_MEMINFO_WMEM_QUEUED], info[SK_MEMINFO_WMEM_ALLOC]);
	*room = info[SK_MEMINFO_SNDBUF] - min_u32(queued, info[SK_MEMINFO_SNDBUF]);
	return *room >= queued / 2;
}

enum peer_asked peer_ask_disk(struct peer *p, uint32_t window)
{
	struct requests *q = &p->up.requests;
	const struct request *r = requests_next_read(q);
	uint32_t room = 0, taken, asked = 0;

	if (!r || p->tx.waits || q->out_bytes >= window)
		return PEER_ASKED;
	if (!swarm_may_read_out(p->swarm, r->length))
		return PEER_ASKED_NONE;
	if (!has_room(p, &room) && !q->out_bytes) {
		peer_wait_for_room(p);
		return PEER_ASKED;
	}
	/* One at least, once there is room for something, however small the buffer is; the rest only where it fits. */
	taken = q->out_bytes ? room_taken(q->out_bytes) : 0;
	for (; r && q->out_bytes < window; r = requests_next_read(q), asked++) {
		if (q->out_bytes && taken + room_taken(r->length) > room)
			break;
		if (!swarm_may_read_out(p->swarm, r->length))
			return asked ? PEER_ASKED_SOME : PEER_ASKED_NONE;
		taken += room_taken(r->length);
		swarm_read(p, requests_asked(q), r->piece, r->begin, r->length);
	}
	return PEER_ASKED;
}

/* Whether or not anybody waited for it: it was counted against the reads that other requests of this peer wait for. */
static void read_ended(struct peer *p)
{
	if (requests_waiting(&p->up.requests))
		swarm_upload_turn_for(p);
}

/* The head of the block's message.  True: it is in the socket, and so may the block be. */
static bool send_head(struct peer *p, const struct request *r)
{
	uint8_t head[WIRE_PIECE_HEAD];
	ssize_t n = 0;

	wire_put_piece_head(head, r->piece, r->begin, r->length);
	if (p->tx.begin == p->tx.end && !p->tx.waits) {
		do {
			n = send(p->fd, head, sizeof head, MSG_MORE | MSG_NOSIGNAL);
		} while (n < 0 && errno == EINTR);
		if (n < 0 && errno != EAGAIN) {
			swarm_drop(p, DROP_CLOSED, "it closed the connection");
			return false;
		}
		n = n < 0 ? 0 : n;
		swarm_count_sent(p->swarm, (size_t)n);
		if (n == sizeof head)
			return true;
	}
	(void)!peer_put(p, head + n, sizeof head - (size_t)n);
	return false;
}

static void send_block(struct peer *p, const struct request *r)
{
	struct disk *d = swarm_disk(p->swarm);
	bool more = requests_count(&p->up.requests) > requests_waiting(&p->up.requests);
	uint32_t before = disk_data_left(d), left;
	uint8_t *rest;

	if (send_head(p, r))
		while (disk_data_left(d)) {
			ssize_t n = disk_data_splice(d, p->fd, more);

			if (n < 0) {
				swarm_drop(p, DROP_CLOSED, "it closed the connection");
				return;
			}
			if (n == 0)
				break;
		}
	if (p->dead)
		return;
	left = disk_data_left(d);
	if (left < before) {
		p->sent_ms = p->up.took_ms = swarm_now(p->swarm);
		p->tx.stuck_ms = 0;
		swarm_count_sent(p->swarm, before - left);
	}
	if (left) {
		rest = peer_put_block(p, left);
		if (!rest)
			return;
		if (!disk_data_read(d, rest, left)) {
			swarm_drop(p, DROP_USELESS, "a block that it was being sent is not there");
			return;
		}
		peer_wait_for_room(p);
	}
	swarm_count_uploaded(p, r->length);
}

void peer_on_data(struct peer *p, uint32_t serial, uint32_t length)
{
	struct request r;

	if (requests_answered(&p->up.requests, serial, length, &r))
		send_block(p, &r);
	read_ended(p);
}

void peer_on_read_failed(struct peer *p, uint32_t serial, uint32_t length)
{
	struct request r;

	if (requests_answered(&p->up.requests, serial, length, &r))
		reject(p, r.piece, r.begin, r.length);
	read_ended(p);
}

/* ---- time */

void peer_upload_tick(struct peer *p, uint64_t now)
{
	meter_look(&p->up.meter, p->up.choke.sent_bytes, now);
}

void peer_upload_again(struct peer *p)
{
	static struct request dropped[REQUESTS_MAX];
	uint32_t n;

	if (p->dead || !requests_count(&p->up.requests))
		return;
	n = requests_keep_had(&p->up.requests, swarm_have(p->swarm), dropped);
	reject_all(p, dropped, n);
	if (n)
		peer_flush(p);
	if (requests_count(&p->up.requests))
		swarm_upload_turn_for(p);
}
