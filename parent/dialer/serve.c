/*
 * serve.c - the dialer's ears: requests of netproc, answers of the resolver.
 *
 * Whoever speaks here may be compromised.  What cannot come from an honest
 * sender ends its channel, and the parent is told; what an honest one merely
 * passes on from strangers (a port 0, odd text as a host) gets an answer.
 */
#include <netdb.h>
#include <sys/socket.h>

#include "accuse.h"
#include "dialer.h"
#include "log.h"

#define PACKETS_PER_TURN 8
#define UNREAD_BYTES (24 << 10) /* the kernel doubles it, and counts some 768 for a packet of one message */

static bool kind_is_sound(uint32_t kind)
{
	return kind == NET_PEER || kind == NET_TRACKER || kind == NET_WEBSEED;
}

static int on_dial(void *self, const void *message, int fd)
{
	struct client *c = self;
	const struct msg_dial *m = message;

	(void)fd;
	if (m->tag == 0 || !kind_is_sound(m->kind) || !net_addr_is_sound(&m->addr) || dial_find(c->dialer, c, m->tag))
		return -1;
	dial_addr(c->dialer, c, m->tag, &m->addr);
	return 0;
}

static int on_dial_name(void *self, const void *message, int fd)
{
	struct client *c = self;
	const struct msg_dial_name *m = message;

	(void)fd;
	if (m->tag == 0 || !kind_is_sound(m->kind) || (m->family != 0 && m->family != 4 && m->family != 6))
		return -1;
	if (m->host[0] == 0 || m->host[HOST_MAX - 1] != 0 || dial_find(c->dialer, c, m->tag))
		return -1;
	dial_name(c->dialer, c, m);
	return 0;
}

static int on_dial_cancel(void *self, const void *message, int fd)
{
	struct client *c = self;
	const struct msg_dial_cancel *m = message;
	struct dial *r;

	(void)fd;
	if (m->tag == 0)
		return -1;
	/* One that is not there was answered while the cancel was on its way. */
	r = dial_find(c->dialer, c, m->tag);
	if (r)
		dial_cancel(c->dialer, r);
	return 0;
}

static int on_resolved(void *self, const void *message, int fd)
{
	struct dialer *d = self;
	struct name *row;
	bool bad;

	(void)fd;
	row = names_answer(&d->names, message, d->now_ms, &bad);
	if (row)
		dials_named(d, row);
	return bad ? -1 : 0;
}

static const struct permit client_permits[] = {
	{ MSG_DIAL, 1, on_dial },
	{ MSG_DIAL_NAME, 1, on_dial_name },
	{ MSG_DIAL_CANCEL, 1, on_dial_cancel },
};

static const struct permit resolver_permits[] = {
	{ MSG_RESOLVED, 1, on_resolved },
};

bool serve_client(struct dialer *d, int fd, uint32_t epoch)
{
	size_t i;

	for (i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &d->clients[i];

		if (c->channel.fd >= 0)
			continue;
		channel_init(&c->channel, fd, epoch, false, "netproc");
		/* Bounds the sockets that lie in the channel of one who does not take them: to some 64, each with what a stranger sent. */
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ UNREAD_BYTES }, sizeof(int));
		c->state = 0;
		c->dialer = d;
		d->newest = c;
		return true;
	}
	return false;
}

/* Nobody will answer: whoever waits for a name is told so. */
static void resolver_close(struct dialer *d)
{
	size_t i;

	if (d->resolver.fd < 0)
		return;
	channel_close(&d->resolver);
	for (i = 0; i < NAMES_MAX; i++) {
		struct name *row = &d->names.row[i];

		if (row->state != NAME_ASKED)
			continue;
		row->state = NAME_FAILED;
		row->status = (uint32_t)-EAI_AGAIN;
		row->until_ms = d->now_ms; /* asked anew by the next dial */
		dials_named(d, row);
	}
}

void serve_resolver(struct dialer *d, int fd, uint32_t epoch)
{
	resolver_close(d);
	channel_init(&d->resolver, fd, epoch, false, "resolver");
}

static void client_close(struct dialer *d, struct client *c)
{
	dials_drop(d, c);
	channel_close(&c->channel);
	if (d->newest == c)
		d->newest = NULL;
}

bool client_is_served(const struct client *c)
{
	return c->channel.fd >= 0 && !channel_wants_write(&c->channel) && !channel_is_stuck(&c->channel);
}

void serve_client_ready(struct dialer *d, struct client *c)
{
	int i;

	/* One packet at a time: a client that stops taking its answers is not read from any further. */
	for (i = 0; i < PACKETS_PER_TURN && client_is_served(c); i++)
		switch (channel_dispatch(&c->channel, client_permits, ARRAY_LEN(client_permits), &c->state, c, 1)) {
		case CHANNEL_OK:
			break;
		case CHANNEL_EMPTY:
			return;
		case CHANNEL_CLOSED:
			log_line(LOG_DETAIL, TOPIC_IPC, "netproc closed its channel");
			client_close(d, c);
			return;
		case CHANNEL_VIOLATION:
			accuse(ROLE_NETPROC, &c->channel, channel_violation(), NULL);
			client_close(d, c);
			return;
		}
}

void serve_resolver_ready(struct dialer *d)
{
	switch (channel_dispatch(&d->resolver, resolver_permits, ARRAY_LEN(resolver_permits), &d->state, d, PACKETS_PER_TURN)) {
	case CHANNEL_OK:
	case CHANNEL_EMPTY:
		break;
	case CHANNEL_CLOSED:
		log_line(LOG_WARN, TOPIC_IPC, "resolver closed its channel");
		resolver_close(d);
		break;
	case CHANNEL_VIOLATION:
		accuse(ROLE_RESOLVER, &d->resolver, channel_violation(), NULL);
		resolver_close(d);
		break;
	}
}

void serve_flush(struct dialer *d)
{
	size_t i;

	for (i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &d->clients[i];

		if (c->channel.fd >= 0 && channel_flush(&c->channel) < 0)
			client_close(d, c);
	}
	if (d->resolver.fd >= 0 && channel_flush(&d->resolver) < 0)
		resolver_close(d);
}
