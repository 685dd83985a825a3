/*
 * dial.c - see dial.h.
 *
 * At most DIALS_MAX requests wait at once.  A tag names a place in the table
 * and its generation, so that an answer to a cancelled request is recognised:
 * its socket is closed and nobody is called.  The dialer may be compromised: an
 * answer with a tag that was never given is a broken contract.
 */
#include "dial.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "accuse.h"
#include "log.h"

#define DIALS_MAX 256u
#define PACKETS_PER_TURN 64

struct place {
	struct dial_request *request; /* NULL: free, or cancelled and still to be answered */
	uint32_t generation;
	bool awaited;
};

struct dials {
	struct loop *loop;
	struct channel channel;
	struct loop_source source;
	struct place places[DIALS_MAX];
	uint32_t refused;
	incoming_fn on_incoming; /* NULL: nobody wants them yet */
	void *incoming_arg;
	uint32_t state; /* of the permit table: one state only */
};

static uint32_t tag_of(const struct dials *d, uint32_t i)
{
	return (d->places[i].generation << 8 | i) + 1;
}

/* The place that a tag names, or NULL. */
static struct place *place_of(struct dials *d, uint32_t tag)
{
	struct place *p;

	if (!tag)
		return NULL;
	p = &d->places[(tag - 1) & 0xff];
	return p->awaited && (tag - 1) >> 8 == (p->generation & 0xffffff) ? p : NULL;
}

/* Frees the place and gives back who waited there. */
static struct dial_request *answered(struct place *p)
{
	struct dial_request *r = p->request;

	p->request = NULL;
	p->awaited = false;
	p->generation = (p->generation + 1) & 0x7fffff;
	if (r)
		r->tag = 0;
	return r;
}

static int on_dialed(void *self, const void *message, int fd)
{
	struct dials *d = self;
	const struct msg_dialed *m = message;
	struct place *p = place_of(d, m->tag);
	struct dial_request *r;

	if (!p) {
		close(fd);
		return -1;
	}
	r = answered(p);
	if (r)
		r->done(r->arg, fd, &m->addr, &m->local, 0, 0);
	else
		close(fd);
	return 0;
}

static int on_failed(void *self, const void *message, int fd)
{
	struct dials *d = self;
	const struct msg_dial_failed *m = message;
	struct place *p = place_of(d, m->tag);
	struct dial_request *r;

	(void)fd;
	if (!p || m->reason == 0 || m->reason >= DIAL_FAILURES)
		return -1;
	if (m->reason == DIAL_REFUSED_BY_POLICY)
		d->refused++;
	r = answered(p);
	if (r)
		r->done(r->arg, -1, &m->addr, NULL, (enum dial_failure)m->reason, m->error);
	return 0;
}

static int on_incoming(void *self, const void *message, int fd)
{
	struct dials *d = self;
	const struct msg_incoming *m = message;
	bool sound = net_addr_is_sound(&m->addr) && net_addr_is_sound(&m->local);

	if (sound && d->on_incoming)
		d->on_incoming(d->incoming_arg, fd, &m->addr, &m->local);
	else
		close(fd);
	return sound ? 0 : -1;
}

static const struct permit permits[] = {
	{ MSG_DIALED, 1, on_dialed },
	{ MSG_DIAL_FAILED, 1, on_failed },
	{ MSG_INCOMING, 1, on_incoming },
};

/* The dialer is gone, or (why) broke the contract: whoever waits is told so.  The parent replaces both of us. */
static void lost(struct dials *d, const char *why)
{
	uint32_t i;

	if (why)
		accuse(ROLE_DIALER, &d->channel, why, NULL);
	else
		log_line(LOG_ERROR, TOPIC_IPC, "dialer: the channel is closed");
	loop_remove(d->loop, &d->source);
	channel_close(&d->channel);
	for (i = 0; i < DIALS_MAX; i++)
		if (d->places[i].awaited) {
			struct dial_request *r = answered(&d->places[i]);

			if (r)
				r->done(r->arg, -1, NULL, NULL, DIAL_FAILED, 0);
		}
}

static void arm(struct dials *d)
{
	if (channel_flush(&d->channel) < 0)
		lost(d, NULL);
	else
		loop_change(d->loop, &d->source, EPOLLIN | (channel_wants_write(&d->channel) ? EPOLLOUT : 0u));
}

static void ready(void *arg, uint32_t events)
{
	struct dials *d = arg;

	(void)events;
	switch (channel_dispatch(&d->channel, permits, ARRAY_LEN(permits), &d->state, d, PACKETS_PER_TURN)) {
	case CHANNEL_OK:
	case CHANNEL_EMPTY:
		arm(d);
		break;
	case CHANNEL_CLOSED:
		lost(d, NULL);
		break;
	case CHANNEL_VIOLATION:
		lost(d, channel_violation());
		break;
	}
}

struct dials *dials_new(struct loop *l, int fd, uint32_t epoch)
{
	struct dials *d = must_calloc(1, sizeof *d);

	d->loop = l;
	channel_init(&d->channel, fd, epoch, true, "dialer");
	if (loop_add(l, &d->source, fd, EPOLLIN, ready, d) < 0)
		bug("no room for the dialer in the loop");
	return d;
}

void dials_on_incoming(struct dials *d, incoming_fn fn, void *arg)
{
	d->on_incoming = fn;
	d->incoming_arg = arg;
}

void dials_free(struct dials *d)
{
	loop_remove(d->loop, &d->source);
	channel_close(&d->channel);
	free(d);
}

/* A free place, or DIALS_MAX. */
static uint32_t reserve(const struct dials *d)
{
	uint32_t i;

	for (i = 0; i < DIALS_MAX; i++)
		if (!d->places[i].awaited)
			return i;
	return DIALS_MAX;
}

static int sent(struct dials *d, uint32_t i, struct dial_request *r, enum message_type type, const void *message)
{
	if (channel_push(&d->channel, type, message) < 0)
		return -1;
	d->places[i].request = r;
	d->places[i].awaited = true;
	r->tag = tag_of(d, i);
	/* A dialer that is gone is noticed in the loop, so that nobody is called back from here. */
	if (channel_flush(&d->channel) > 0)
		loop_change(d->loop, &d->source, EPOLLIN | EPOLLOUT);
	return 0;
}

int dial_addr(struct dials *d, struct dial_request *r, enum net_kind kind, const struct net_addr *addr)
{
	uint32_t i = reserve(d);
	struct msg_dial m = { .kind = kind, .addr = *addr };

	if (i == DIALS_MAX || d->channel.fd < 0)
		return -1;
	m.tag = tag_of(d, i);
	return sent(d, i, r, MSG_DIAL, &m);
}

int dial_name(struct dials *d, struct dial_request *r, enum net_kind kind, const char *host, uint16_t port, uint8_t family)
{
	uint32_t i = reserve(d);
	struct msg_dial_name m = { .kind = kind, .port = port, .family = family };
	size_t length = strlen(host);

	if (i == DIALS_MAX || d->channel.fd < 0 || length == 0 || length >= sizeof m.host)
		return -1;
	memcpy(m.host, host, length);
	m.tag = tag_of(d, i);
	return sent(d, i, r, MSG_DIAL_NAME, &m);
}

void dial_cancel(struct dials *d, struct dial_request *r)
{
	struct place *p = place_of(d, r->tag);
	struct msg_dial_cancel m = { .tag = r->tag };

	r->tag = 0;
	if (!p || p->request != r)
		return;
	p->request = NULL; /* the place stays taken until the answer, which comes in any case */
	if (channel_push(&d->channel, MSG_DIAL_CANCEL, &m) == 0 && channel_flush(&d->channel) > 0)
		loop_change(d->loop, &d->source, EPOLLIN | EPOLLOUT);
}

uint32_t dials_refused(const struct dials *d)
{
	return d->refused;
}
