/*
 * peer_send.c - what waits to be sent to a peer.
 *
 * One buffer per peer, there only while something waits; it holds at most our
 * own bitfield, TX_MAX bytes, and blocks that came when the socket had no room
 * for them, which is rare (peer_upload.c) and bounded for all together.  A peer
 * that reads nothing for STUCK_TIMEOUT_MS, or lets it overflow, is dropped.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "peer.h"
#include "swarm.h"

#define TX_FIRST 4096u
#define TX_MAX (64u * 1024u)

/* Room for n bytes more behind what waits, of at most `most`; NULL: it was dropped. */
static uint8_t *put_room(struct peer *p, size_t n, uint32_t most)
{
	struct peer_tx *t = &p->tx;
	uint32_t used = t->end - t->begin;

	if (p->dead)
		return NULL;
	if (used > most || n > most - used) {
		swarm_drop(p, DROP_LIAR, "it does not read what we send");
		return NULL;
	}
	if (n > t->room - t->end) {
		uint32_t room = max_u32(TX_FIRST, t->room);
		uint8_t *grown;

		while (room < used + n)
			room *= 2;
		grown = room > t->room ? malloc(room) : t->bytes;
		if (!grown) {
			swarm_drop(p, DROP_CLOSED, "no memory to send");
			return NULL;
		}
		if (used)
			memmove(grown, t->bytes + t->begin, used);
		if (grown != t->bytes) {
			free(t->bytes);
			t->bytes = grown;
			t->room = room;
		}
		t->begin = 0;
		t->end = used;
	}
	t->end += (uint32_t)n;
	return t->bytes + t->end - n;
}

bool peer_put(struct peer *p, const uint8_t *bytes, size_t n)
{
	uint8_t *to = put_room(p, n, TX_MAX + swarm_bitfield_bytes(p->swarm) + p->tx.block_bytes);

	if (to)
		memcpy(to, bytes, n);
	return to != NULL;
}

uint8_t *peer_put_block(struct peer *p, uint32_t n)
{
	uint8_t *to = put_room(p, n, TX_MAX + swarm_bitfield_bytes(p->swarm) + p->tx.block_bytes + n);

	if (to) {
		p->tx.block_bytes += n;
		swarm_hold_bytes(p->swarm, (int32_t)n);
	}
	return to;
}

/* False: the socket takes no more, or the peer is dead. */
static bool flush_bytes(struct peer *p)
{
	struct peer_tx *t = &p->tx;

	while (t->begin < t->end) {
		ssize_t n = send(p->fd, t->bytes + t->begin, t->end - t->begin, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			swarm_drop(p, DROP_CLOSED, "it closed the connection");
			return false;
		}
		if (n <= 0)
			return false;
		t->begin += (uint32_t)n;
		t->stuck_ms = 0;
		p->sent_ms = swarm_now(p->swarm);
		if (t->block_bytes)
			p->up.took_ms = p->sent_ms;
		swarm_count_sent(p->swarm, (size_t)n);
	}
	t->begin = t->end = 0;
	swarm_hold_bytes(p->swarm, -(int32_t)t->block_bytes);
	t->block_bytes = 0;
	if (t->room > TX_FIRST) { /* a burst should not keep its memory */
		free(t->bytes);
		t->bytes = NULL;
		t->room = 0;
	}
	return true;
}

void peer_wait_for_room(struct peer *p)
{
	p->tx.waits = true;
	if (!p->tx.stuck_ms)
		p->tx.stuck_ms = swarm_now(p->swarm);
	peer_watch(p);
}

void peer_flush(struct peer *p)
{
	if (p->dead)
		return;
	if (!flush_bytes(p)) {
		if (!p->dead)
			peer_wait_for_room(p);
		return;
	}
	p->tx.waits = false;
	peer_watch(p);
	if (requests_waiting(&p->up.requests))
		swarm_upload_turn_for(p);
}

bool peer_is_behind(const struct peer *p)
{
	return p->tx.end - p->tx.begin > TX_MAX / 4;
}

void peer_watch(struct peer *p)
{
	loop_change(swarm_loop(p->swarm), &p->source, (p->paused ? 0u : EPOLLIN) | (p->tx.waits ? EPOLLOUT : 0u));
}
