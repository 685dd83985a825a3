/*
 * main.c - bulkhead-resolver: names to addresses by the machine's own name
 * service, for the dialer.
 *
 * The names come from strangers, by way of netproc and the dialer, and so do
 * the answers of name servers.  This process knows no torrent, holds no file
 * and no socket of ours but its two channels.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <unistd.h>

#include "accuse.h"
#include "compartment.h"
#include "work.h"

#define PACKETS_PER_TURN 16

struct resolver {
	struct channel dialer; /* fd -1: gone */
	uint32_t asker;        /* which dialer this is: answers for an earlier one are dropped */
	uint32_t state;        /* of the permit tables: one state only */
	bool shutdown;
	struct work *work;
};

static struct compartment self;
static struct resolver resolver = { .dialer.fd = -1 };

static void dialer_close(struct resolver *r, const char *why)
{
	log_line(LOG_DETAIL, TOPIC_IPC, "dialer: %s", why);
	channel_close(&r->dialer);
}

/* The dialer keeps 64 questions open at most, and the channel holds 64 KiB: one that lets them pile up goes without. */
static void answer(struct resolver *r, const struct msg_resolved *m)
{
	if (channel_push(&r->dialer, MSG_RESOLVED, m) < 0)
		log_line(LOG_DETAIL, TOPIC_IPC, "the dialer takes no answers");
}

static int on_resolve(void *arg, const void *message, int fd)
{
	struct resolver *r = arg;
	const struct msg_resolve *m = message;
	struct msg_resolved failed = { .tag = m->tag };

	(void)fd;
	if (!work_host_is_sound(m->host))
		failed.status = (uint32_t)-EAI_NONAME;
	else if (!work_ask(r->work, m, r->asker))
		failed.status = (uint32_t)-EAI_AGAIN;
	if (failed.status)
		answer(r, &failed);
	return 0;
}

static void take_dialer(struct resolver *r, int fd, uint32_t epoch)
{
	if (r->dialer.fd >= 0)
		channel_close(&r->dialer);
	channel_init(&r->dialer, fd, epoch, false, "dialer");
	r->asker++;
}

/* A dialer that was started anew. */
static int on_setup_fd(void *arg, const void *message, int fd)
{
	struct resolver *r = arg;
	const struct msg_setup_fd *m = message;

	if (m->what != SETUP_RESOLVE) {
		close(fd);
		return -1;
	}
	take_dialer(r, fd, m->epoch);
	return 0;
}

static int on_shutdown(void *arg, const void *message, int fd)
{
	struct resolver *r = arg;

	(void)message;
	(void)fd;
	r->shutdown = true;
	return 0;
}

static const struct permit control_permits[] = {
	{ MSG_SETUP_FD, 1, on_setup_fd },
	{ MSG_SHUTDOWN, 1, on_shutdown },
};

static const struct permit dialer_permits[] = {
	{ MSG_RESOLVE, 1, on_resolve },
};

static void dialer_ready(struct resolver *r)
{
	switch (channel_dispatch(&r->dialer, dialer_permits, ARRAY_LEN(dialer_permits), &r->state, r, PACKETS_PER_TURN)) {
	case CHANNEL_OK:
	case CHANNEL_EMPTY:
		break;
	case CHANNEL_CLOSED:
		dialer_close(r, "the channel is closed");
		break;
	case CHANNEL_VIOLATION:
		accuse(ROLE_DIALER, &r->dialer, channel_violation(), NULL);
		dialer_close(r, "dropped");
		break;
	}
}

static void give_answers(struct resolver *r)
{
	struct msg_resolved m;
	uint32_t asker;

	while (work_take(r->work, &m, &asker))
		if (asker == r->asker && r->dialer.fd >= 0)
			answer(r, &m);
}

static void begin(struct resolver *r)
{
	int fd;

	compartment_begin(&self, ROLE_RESOLVER);
	fd = compartment_take(&self, SETUP_RESOLVE);
	take_dialer(r, fd, self.epochs[SETUP_RESOLVE]);
	work_warm_up();
	compartment_landlock(&self, -1);
	r->work = work_new();
	compartment_lock(&self);
}

static void turn(struct resolver *r)
{
	bool reads = !channel_wants_write(&r->dialer);
	struct pollfd p[3] = {
		{ .fd = self.control.fd, .events = (short)(POLLIN | (channel_wants_write(&self.control) ? POLLOUT : 0)) },
		{ .fd = r->dialer.fd, .events = reads ? POLLIN : POLLOUT }, /* not read while it leaves its answers lying */
		{ .fd = work_fd(r->work), .events = POLLIN },
	};

	if (poll(p, 3, -1) < 0 && errno != EINTR && errno != EAGAIN)
		bug("poll: errno %d", errno);
	if (p[1].revents & ~POLLOUT)
		dialer_ready(r);
	if (p[2].revents)
		give_answers(r);
	if (p[0].revents & ~POLLOUT)
		compartment_hear(&self, control_permits, ARRAY_LEN(control_permits), &r->state, r);
	if (r->dialer.fd >= 0 && channel_flush(&r->dialer) < 0)
		dialer_close(r, "the channel is closed");
	if (channel_flush(&self.control) < 0)
		_exit(0);
}

int main(void)
{
	begin(&resolver);
	while (!resolver.shutdown)
		turn(&resolver);
	compartment_end(&self, 0);
}
