/*
 * incoming.c - who connects to us: accepted, judged, handed over to netproc, or closed at once.
 *
 * Nothing is read from them, and none waits here: as with the sockets that it
 * connects, the dialer knows their address and nothing else.  While netproc
 * leaves what it was given lying, nobody is accepted; the kernel then keeps a
 * short queue (connect.c), and refuses the others by itself.
 */
#include <errno.h>
#include <unistd.h>

#include "connect.h"
#include "dialer.h"
#include "log.h"

#define ACCEPTS_PER_TURN 16
#define PAUSE_MS 1000u /* without descriptors or memory: whoever waits cannot be closed either */

static bool is_lacking(int error)
{
	return error == EAFNOSUPPORT || error == EPROTONOSUPPORT || error == EADDRNOTAVAIL;
}

void listeners_close(struct dialer *d)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(d->listeners); i++) {
		if (d->listeners[i].fd >= 0)
			close(d->listeners[i].fd);
		d->listeners[i] = (struct listener){ .fd = -1 };
	}
}

/* 0: it listens on this port in each family that is wanted and there; or an errno, and in none. */
static int open_port(struct dialer *d, uint16_t port)
{
	const bool wanted[] = { d->options.listen4, d->options.listen6 };
	int result = EAFNOSUPPORT, error;
	size_t i;

	for (i = 0; i < ARRAY_LEN(wanted); i++) {
		struct listener *l = &d->listeners[i];

		if (!wanted[i])
			continue;
		l->fd = listen_socket(&d->options, i ? 6 : 4, port, &l->interface);
		if (l->fd >= 0) {
			l->port = port;
			result = 0;
			continue;
		}
		error = errno;
		if (is_lacking(error))
			continue;
		listeners_close(d);
		return error;
	}
	return result;
}

void listeners_open(struct dialer *d)
{
	uint32_t port;
	int error = 0;

	for (port = d->options.port_first; port && port <= d->options.port_last; port++) {
		error = open_port(d, (uint16_t)port);
		if (error != EADDRINUSE && error != EACCES)
			break;
	}
	if (error)
		log_line(LOG_DETAIL, TOPIC_DIAL, "cannot listen on ports %u to %u: errno %d", d->options.port_first, d->options.port_last,
			 error);
}

bool listeners_are_served(const struct dialer *d)
{
	return d->newest && client_is_served(d->newest) && d->now_ms >= d->accept_after_ms;
}

uint64_t listeners_deadline(const struct dialer *d)
{
	return d->now_ms < d->accept_after_ms ? d->accept_after_ms : UINT64_MAX;
}

/* Why it may not stay, or NULL.  What costs least is asked first: routes only as often as anybody is let in. */
static const char *judge(struct dialer *d, const struct listener *l, const struct net_addr *a)
{
	enum egress_verdict v;
	bool allowed;

	v = egress_judge_incoming(&d->egress, a, &allowed);
	if (v == EGRESS_OK && limits_take(&d->accepts, a, allowed ? LIMIT_ADDR : LIMIT_NET, d->now_ms * 1000))
		return "too many connections";
	if (v == EGRESS_OK && !allowed && dialer_ask_routes(d, a, l->interface, &v))
		return "no route leads there";
	if (v == EGRESS_OK)
		return NULL;
	d->stats.refused++;
	return egress_verdict_name(v);
}

/* Takes fd. */
static void arrived(struct dialer *d, const struct listener *l, int fd, const struct net_addr *from)
{
	struct msg_incoming m = { .addr = *from };
	const char *why = judge(d, l, from);

	if (why)
		dialer_log_refusal(d, "turned away", from, why);
	else if (connect_local(fd, from, &m.local) && channel_push_fd(&d->newest->channel, MSG_INCOMING, &m, fd, true) == 0) {
		d->stats.accepted++;
		return;
	}
	d->stats.turned_away++;
	close(fd);
}

void listener_ready(struct dialer *d, struct listener *l)
{
	struct net_addr from;
	int i, fd;

	for (i = 0; i < ACCEPTS_PER_TURN && listeners_are_served(d); i++) {
		fd = accept_socket(l->fd, &from);
		if (fd >= 0) {
			arrived(d, l, fd, &from);
			continue;
		}
		switch (errno) {
		case EAGAIN:
			return;
		/* Gone before it was accepted; or an error of the network that waited on it (accept(2)). */
		case ECONNABORTED:
		case EINTR:
		case EPERM:
		case EPROTO:
		case ENETDOWN:
		case ENETUNREACH:
		case ENOPROTOOPT:
		case EHOSTDOWN:
		case EHOSTUNREACH:
		case ENONET:
		case EOPNOTSUPP:
			continue;
		default: /* EMFILE, ENFILE, ENOBUFS, ENOMEM */
			d->accept_after_ms = d->now_ms + PAUSE_MS;
			dialer_log_refusal(d, "nobody is accepted for a second; port of",
					   &(struct net_addr){ .family = l == d->listeners ? 4 : 6, .port = l->port },
					   errno == EMFILE || errno == ENFILE ? "no descriptors are left" : "the system has no room");
			return;
		}
	}
}
