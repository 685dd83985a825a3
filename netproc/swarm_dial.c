/*
 * swarm_dial.c - see swarm.h: whom to connect to, and when again.
 *
 * The addresses are candidates.c's, the connections the dialer's; this file
 * takes from the one and asks the other.
 */
#include <unistd.h>

#include "swarm_state.h"

#define NAME_DIALS 16u
#define LIES_FORGIVEN 3u

void swarm_disconnected(struct swarm *s, uint32_t candidate, enum drop_reason reason, bool failed)
{
	struct candidate *c;
	uint64_t now = loop_now(s->loop);

	if (candidate == NO_CANDIDATE) /* it connected to us */
		return;
	c = candidates_at(s->candidates, candidate);
	switch (reason) {
	case DROP_SELF:
	case DROP_BANNED:
		candidates_never(s->candidates, candidate);
		break;
	case DROP_LIAR:
		if (c->failures >= LIES_FORGIVEN)
			candidates_never(s->candidates, candidate);
		else
			candidates_retry(s->candidates, candidate, true, 120000, now);
		break;
	case DROP_USELESS:
		candidates_retry(s->candidates, candidate, failed, 300000, now);
		break;
	case DROP_CLOSED:
	case DROP_TIMEOUT:
	case DROP_SHUTDOWN:
		candidates_retry(s->candidates, candidate, failed, 0, now);
		break;
	}
}

void swarm_connected(struct swarm *s, uint32_t candidate, int fd)
{
	struct candidate *c = candidates_at(s->candidates, candidate);
	struct peer *p;

	if (s->down || c->banned || s->count >= s->options.max_peers) {
		close(fd);
		candidates_retry(s->candidates, candidate, false, 0, loop_now(s->loop));
		return;
	}
	p = peer_new(s, fd, &c->addr, candidate, c->id, loop_now(s->loop));
	if (!p) {
		candidates_retry(s->candidates, candidate, true, 0, loop_now(s->loop));
		return;
	}
	c->state = CANDIDATE_CONNECTED;
	c->peer = p;
	s->peers[s->count++] = p;
}

static void on_dial_done(void *arg, int fd, const struct net_addr *addr, const struct net_addr *local, enum dial_failure why, int error)
{
	struct dialing *d = arg;
	struct swarm *s = d->swarm;
	uint32_t i = d->candidate;

	(void)local;
	(void)error;
	d->used = false;
	s->dials_under_way--;
	s->connect = true;
	if (i == NO_CANDIDATE && fd >= 0) { /* a host name: the address that answered */
		i = candidates_add(s->candidates, addr, PEER_FROM_TRACKER, loop_now(s->loop));
		if (i == NO_CANDIDATE || candidates_at(s->candidates, i)->state != CANDIDATE_IDLE) {
			close(fd);
			return;
		}
		candidates_take(s->candidates, i);
	}
	if (fd >= 0)
		swarm_connected(s, i, fd);
	else if (i != NO_CANDIDATE && why == DIAL_REFUSED_BY_POLICY)
		candidates_refused(s->candidates, i);
	else if (i != NO_CANDIDATE)
		candidates_retry(s->candidates, i, why != DIAL_LIMIT, 0, loop_now(s->loop));
}

static struct dialing *free_dialing(struct swarm *s, uint32_t most)
{
	uint32_t i;

	for (i = 0; i < DIALS_MOST && s->dials_under_way < most; i++)
		if (!s->dialing[i].used)
			return &s->dialing[i];
	return NULL;
}

static void began(struct swarm *s, struct dialing *d, uint32_t candidate)
{
	d->used = true;
	d->candidate = candidate;
	s->dials_under_way++;
}

static void prepare(struct swarm *s, struct dialing *d)
{
	*d = (struct dialing){ .swarm = s, .request = { .done = on_dial_done, .arg = d } };
}

void swarm_connect_more(struct swarm *s)
{
	uint64_t wait;

	s->connect = false;
	while (s->ready && !s->disk_held && !s->down && (s->options.seed || !picker_complete(s->picker)) && s->count + s->dials_under_way < s->options.max_peers) {
		struct dialing *d = free_dialing(s, DIALS_MOST);
		uint32_t i = d ? candidates_next(s->candidates, loop_now(s->loop), &wait) : NO_CANDIDATE;

		if (i == NO_CANDIDATE)
			return;
		prepare(s, d);
		if (dial_addr(s->dials, &d->request, NET_PEER, &candidates_at(s->candidates, i)->addr) < 0)
			return;
		candidates_take(s->candidates, i);
		began(s, d, i);
	}
}

void swarm_add_address(struct swarm *s, const struct net_addr *addr, enum peer_source source)
{
	if (addr->family == 4 ? !s->options.use_ipv4 : !s->options.use_ipv6)
		return;
	if (candidates_add(s->candidates, addr, source, loop_now(s->loop)) != NO_CANDIDATE)
		s->connect = true;
}

void swarm_add_name(struct swarm *s, const char *host, uint16_t port)
{
	struct dialing *d = free_dialing(s, NAME_DIALS);
	uint8_t family = s->options.use_ipv4 ? s->options.use_ipv6 ? 0 : 4 : 6;

	/* Names are few and not worth a queue: one that finds no room will be named again. */
	if (!d || s->disk_held || s->down || s->count >= s->options.max_peers)
		return;
	prepare(s, d);
	if (dial_name(s->dials, &d->request, NET_PEER, host, port, family) == 0)
		began(s, d, NO_CANDIDATE);
}

void swarm_cancel_dials(struct swarm *s)
{
	uint32_t i;

	for (i = 0; i < DIALS_MOST; i++)
		if (s->dialing[i].used) {
			dial_cancel(s->dials, &s->dialing[i].request);
			s->dialing[i].used = false;
			s->dials_under_way--;
		}
}
