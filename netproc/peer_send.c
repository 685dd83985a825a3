/*
 * peer_send.c - what waits to be sent to a peer.
 *
 * One buffer per peer, there only while something waits; it holds at most our
 * own bitfield and TX_MAX bytes.  A peer that reads nothing for TX_STUCK_MS, or
 * lets it overflow, is dropped.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "peer.h"
#include "swarm.h"

#define TX_FIRST 4096u
#define TX_MAX (64u * 1024u)

bool peer_put(struct peer *p, const uint8_t *bytes, size_t n)
{
	struct peer_tx *t = &p->tx;
	uint32_t used = t->end - t->begin;
	uint32_t most = TX_MAX + swarm_bitfield_bytes(p->swarm);

	if (p->dead)
		return false;
	if (n > most - used) {
		swarm_drop(p, DROP_LIAR, "it does not read what we send");
		return false;
	}
	if (n > t->room - t->end) {
		uint32_t room = max_u32(TX_FIRST, t->room);
		uint8_t *grown;

		while (room < used + n)
			room *= 2;
		grown = room > t->room ? malloc(room) : t->bytes;
		if (!grown) {
			swarm_drop(p, DROP_CLOSED, "no memory to send");
			return false;
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
	memcpy(t->bytes + t->end, bytes, n);
	t->end += (uint32_t)n;
	return true;
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
		swarm_count_sent(p->swarm, (size_t)n);
	}
	t->begin = t->end = 0;
	if (t->room > TX_FIRST) { /* a burst should not keep its memory */
		free(t->bytes);
		t->bytes = NULL;
		t->room = 0;
	}
	return true;
}

/*
 * A block's message that is partly sent is finished before anything else; then
 * what waits in the buffer; then one batch of blocks.
 */
void peer_flush(struct peer *p)
{
	struct peer_tx *t = &p->tx;
	bool waits = false, blocks = true;

	if (p->dead)
		return;
	if (requests_midway(&p->up.requests)) {
		waits = peer_send_blocks(p) == PEER_SENT_WAITS;
		blocks = false;
	}
	if (!waits && !p->dead && !requests_midway(&p->up.requests)) {
		waits = !flush_bytes(p);
		if (!waits && !p->dead && blocks)
			waits = peer_send_blocks(p) == PEER_SENT_WAITS;
	}
	if (p->dead)
		return;
	t->waits = waits || p->up.stalled; /* without slots too it is room in the socket that it goes on with */
	if (t->waits && !t->stuck_ms)
		t->stuck_ms = swarm_now(p->swarm);
	peer_watch(p);
	/* More to send, or, when all that was read is sent, to ask for. */
	if (!waits && requests_count(&p->up.requests))
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
