/*
 * main.c - bulkhead-dialer: the only process that connects, and to which others connect.
 *
 * It holds the address policy, hands over connected sockets, and reads nothing
 * from any of them.  What strangers influence here is which addresses, ports
 * and names are asked for: through netproc, which may be compromised, and
 * through name servers.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "compartment.h"
#include "dialer.h"

#define STATS_EVERY_MS 1000u

static struct compartment self;
static struct dialer dialer;

/* A netproc or resolver that was started anew gets a new channel. */
static int on_setup_fd(void *arg, const void *message, int fd)
{
	struct dialer *d = arg;
	const struct msg_setup_fd *m = message;

	if (m->what == SETUP_RESOLVE) {
		serve_resolver(d, fd, m->epoch);
		return 0;
	}
	if (m->what == SETUP_DIAL && serve_client(d, fd, m->epoch))
		return 0;
	close(fd);
	return -1;
}

static int on_shutdown(void *arg, const void *message, int fd)
{
	struct dialer *d = arg;

	(void)message;
	(void)fd;
	d->shutdown = true;
	return 0;
}

static const struct permit control_permits[] = {
	{ MSG_SETUP_FD, 1, on_setup_fd },
	{ MSG_SHUTDOWN, 1, on_shutdown },
};

NORETURN static void fail(const char *why)
{
	log_now(LOG_ERROR, "dialer: %s", why);
	_exit(1);
}

/* What the form says of hosts and ports comes from a stranger, and is read behind all walls. */
static const void *map_form(size_t *bytes)
{
	int fd = compartment_take(&self, SETUP_FORM);
	const void *base;
	const char *wrong = metainfo_map_unread(&base, bytes, fd);

	if (wrong)
		fail(wrong);
	close(fd);
	return base;
}

static void tell_listening(struct dialer *d)
{
	struct msg_listening m = { .port4 = d->listeners[0].port, .port6 = d->listeners[1].port };

	if (channel_push(d->control, MSG_LISTENING, &m) < 0 || channel_flush(d->control) != 0)
		fail("cannot tell the parent the port");
}

static void begin(struct dialer *d)
{
	const void *form = NULL;
	size_t form_bytes = 0;
	const char *wrong;
	uint32_t i;

	compartment_begin(&self, ROLE_DIALER);
	dialer_init(d, &self.dialer);
	d->control = &self.control;
	d->now_ms = now_ms();
	for (i = 0; i < self.net_count; i++)
		if (!egress_allow_net(&d->egress, &self.nets[i]))
			fail("an allowed network is out of range");
	for (i = 0; i < self.allowed_count; i++)
		if (!egress_allow_addr(&d->egress, &self.allowed[i].addr))
			fail("an allowed address is out of range");
	if (self.fds[SETUP_FORM] >= 0)
		form = map_form(&form_bytes);
	serve_resolver(d, compartment_take(&self, SETUP_RESOLVE), self.epochs[SETUP_RESOLVE]);
	if (!serve_client(d, compartment_take(&self, SETUP_DIAL), self.epochs[SETUP_DIAL]))
		bug("no room for the first netproc");
	/* No netlink socket can be made after the lock. */
	if (routes_open(&d->routes) < 0)
		fail("cannot ask for routes");
	/* Nor can anything listen. */
	if (d->options.port_first) {
		listeners_open(d);
		tell_listening(d);
	}
	compartment_lock(&self);
	wrong = form ? metainfo_open(&d->egress.form, form, form_bytes) : NULL;
	if (wrong)
		fail(wrong);
}

/* At most once a second, and only news. */
static void tell_stats(struct dialer *d)
{
	if (d->now_ms - d->told_ms < STATS_EVERY_MS || memcmp(&d->stats, &d->told, sizeof d->stats) == 0)
		return;
	if (channel_push(d->control, MSG_DIALER_STATS, &d->stats) < 0)
		return;
	d->told = d->stats;
	d->told_ms = d->now_ms;
}

static int timeout(const struct dialer *d)
{
	uint64_t at = min_u64(dials_deadline(d), listeners_deadline(d));
	size_t i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (channel_is_stuck(&d->clients[i].channel))
			at = min_u64(at, d->now_ms + CHANNEL_RETRY_MS);
	if (memcmp(&d->stats, &d->told, sizeof d->stats) != 0)
		at = min_u64(at, d->told_ms + STATS_EVERY_MS);
	if (at == UINT64_MAX)
		return -1;
	return at <= d->now_ms ? 0 : (int)min_u64(at - d->now_ms, 60000);
}

static void add(struct pollfd *p, nfds_t *n, int fd, int events)
{
	p[(*n)++] = (struct pollfd){ .fd = fd, .events = (short)events };
}

static int channel_events(const struct channel *c, bool reads)
{
	return (reads ? POLLIN : 0) | (channel_wants_write(c) ? POLLOUT : 0);
}

/* The fixed slots of the poll set; those of attempts follow. */
enum {
	SLOT_CONTROL,
	SLOT_RESOLVER,
	SLOT_CLIENT,
	SLOT_LISTENER = SLOT_CLIENT + CLIENTS_MAX,
	SLOT_ATTEMPT = SLOT_LISTENER + 2,
	SLOTS = SLOT_ATTEMPT + IN_FLIGHT_MAX
};

static void turn(struct dialer *d)
{
	struct pollfd p[SLOTS];
	nfds_t n = 0;
	size_t i;

	add(p, &n, d->control->fd, channel_events(d->control, true));
	add(p, &n, d->resolver.fd, d->resolver.fd < 0 ? 0 : channel_events(&d->resolver, true));
	for (i = 0; i < CLIENTS_MAX; i++)
		add(p, &n, d->clients[i].channel.fd, channel_events(&d->clients[i].channel, client_is_served(&d->clients[i])));
	for (i = 0; i < ARRAY_LEN(d->listeners); i++)
		add(p, &n, listeners_are_served(d) ? d->listeners[i].fd : -1, POLLIN);
	/* Never POLLIN: what a peer says is for netproc to read. */
	for (i = 0; i < IN_FLIGHT_MAX; i++)
		add(p, &n, d->attempts[i].dial ? d->attempts[i].fd : -1, POLLOUT);
	if (poll(p, n, timeout(d)) < 0 && errno != EINTR && errno != EAGAIN)
		bug("poll: errno %d", errno);
	d->now_ms = now_ms();

	if (p[SLOT_CONTROL].revents & ~POLLOUT)
		compartment_hear(&self, control_permits, ARRAY_LEN(control_permits), &d->state, d);
	for (i = 0; i < IN_FLIGHT_MAX; i++)
		if (p[SLOT_ATTEMPT + i].revents && d->attempts[i].dial)
			attempt_ready(d, &d->attempts[i]);
	if (p[SLOT_RESOLVER].revents & ~POLLOUT && d->resolver.fd == p[SLOT_RESOLVER].fd)
		serve_resolver_ready(d);
	for (i = 0; i < CLIENTS_MAX; i++)
		if (p[SLOT_CLIENT + i].revents & ~POLLOUT && d->clients[i].channel.fd == p[SLOT_CLIENT + i].fd)
			serve_client_ready(d, &d->clients[i]);
	for (i = 0; i < ARRAY_LEN(d->listeners); i++)
		if (p[SLOT_LISTENER + i].revents)
			listener_ready(d, &d->listeners[i]);
	dials_turn(d);
	tell_stats(d);
	serve_flush(d);
	if (channel_flush(d->control) < 0)
		_exit(0);
}

int main(void)
{
	begin(&dialer);
	while (!dialer.shutdown)
		turn(&dialer);
	compartment_end(&self, 0);
}
