/*
 * dialer_fake.h - the dialer in a world of its own: its real source, but nothing
 * is connected and no route is asked.  For test_dialer.c and fuzz_dialer_ipc.c.
 */
#ifndef TESTS_DIALER_FAKE_H
#define TESTS_DIALER_FAKE_H

#include "../../parent/dialer/egress.c"
#include "../../parent/dialer/limits.c"
#include "../../parent/dialer/eyeballs.c"
#include "../../parent/dialer/names.c"
#include "../../parent/dialer/dial.c"
#include "../../parent/dialer/serve.c"
#include "../../parent/dialer/incoming.c"

#include <fcntl.h>

#define FAKE_EPOCH 7u

struct fake {
	struct dialer d;
	struct channel net, resolver; /* the far ends */
	/* What happens to a connection. */
	int socket_error, start_error, result_error, route_error;
	enum egress_verdict route_verdict;
	uint32_t sockets; /* made so far */
	/* Listening: what befalls it in each family, and who waits there. */
	int listen_error[2];
	uint16_t taken_up_to[2]; /* ports that others have */
	uint32_t waiting;
	int accept_error;
	uint32_t accepts; /* tried so far */
	struct net_addr from;
};
static struct fake fake;

int listen_socket(const struct msg_dialer_options *o, uint8_t family, uint16_t port, int *interface)
{
	size_t i = family == 6;

	*interface = o->bind_interface[0] ? 5 : 0;
	errno = port <= fake.taken_up_to[i] ? EADDRINUSE : fake.listen_error[i];
	return errno ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);
}

int accept_socket(int listening, struct net_addr *from)
{
	(void)listening;
	fake.accepts++;
	errno = fake.accept_error ? fake.accept_error : EAGAIN;
	if (fake.accept_error || !fake.waiting)
		return -1;
	fake.waiting--;
	*from = fake.from;
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

int connect_socket(const struct msg_dialer_options *o, uint8_t family, int *interface)
{
	(void)family;
	*interface = o->bind_interface[0] ? 5 : 0;
	if (fake.socket_error) {
		errno = fake.socket_error;
		return -1;
	}
	fake.sockets++;
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

int connect_start(int fd, const struct net_addr *to)
{
	(void)fd;
	(void)to;
	return fake.start_error;
}

int connect_result(int fd)
{
	(void)fd;
	return fake.result_error;
}

bool connect_local(int fd, const struct net_addr *to, struct net_addr *local)
{
	(void)fd;
	*local = *to;
	local->port ^= 1;
	return true;
}

int routes_ask(struct routes *r, const struct route_query *q, enum egress_verdict *verdict)
{
	(void)r;
	(void)q;
	*verdict = fake.route_verdict;
	return fake.route_error;
}

static void fake_client(void)
{
	int fds[2];

	if (channel_pair(fds) < 0 || !serve_client(&fake.d, fds[0], FAKE_EPOCH))
		bug("no pair");
	channel_init(&fake.net, fds[1], FAKE_EPOCH, true, "dialer");
}

static void fake_resolver(void)
{
	int fds[2];

	if (channel_pair(fds) < 0)
		bug("no pair");
	serve_resolver(&fake.d, fds[0], FAKE_EPOCH);
	channel_init(&fake.resolver, fds[1], FAKE_EPOCH, false, "dialer");
}

static void fake_begin(const struct msg_dialer_options *o)
{
	memset(&fake, 0, sizeof fake);
	dialer_init(&fake.d, o);
	fake.d.now_ms = 1000000;
	fake_client();
	fake_resolver();
}

static void fake_end(void)
{
	size_t i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (fake.d.clients[i].channel.fd >= 0)
			client_close(&fake.d, &fake.d.clients[i]);
	resolver_close(&fake.d);
	listeners_close(&fake.d);
	channel_close(&fake.net);
	channel_close(&fake.resolver);
}

/* One turn of the loop of main.c, `ms` later.  ready: attempts poll as writable. */
static void fake_turn(uint64_t ms, bool ready)
{
	size_t i;

	fake.d.now_ms += ms;
	for (i = 0; ready && i < IN_FLIGHT_MAX; i++)
		if (fake.d.attempts[i].dial)
			attempt_ready(&fake.d, &fake.d.attempts[i]);
	if (fake.d.resolver.fd >= 0)
		serve_resolver_ready(&fake.d);
	for (i = 0; i < CLIENTS_MAX; i++)
		if (fake.d.clients[i].channel.fd >= 0)
			serve_client_ready(&fake.d, &fake.d.clients[i]);
	for (i = 0; i < ARRAY_LEN(fake.d.listeners) && (fake.waiting || fake.accept_error); i++)
		if (fake.d.listeners[i].fd >= 0 && listeners_are_served(&fake.d))
			listener_ready(&fake.d, &fake.d.listeners[i]);
	dials_turn(&fake.d);
	serve_flush(&fake.d);
}

/* What must hold whatever comes: stops the process when it does not. */
static void fake_check(void)
{
	const struct dialer *d = &fake.d;
	uint32_t flying = 0, used = 0, counted = 0, races = 0;
	const struct dial *r;
	size_t i;

	for (i = 0; i < IN_FLIGHT_MAX; i++)
		flying += d->attempts[i].dial != NULL;
	TAILQ_FOREACH(r, &d->waiting, link)
	{
		used++;
		races += r->race.flying;
		if (r->state == DIAL_FREE || r->client->channel.fd < 0 || r->tag == 0)
			bug("a request that nobody waits for");
		if (r->state == DIAL_NAMING && (!r->name || r->name->state != NAME_ASKED))
			bug("a request waits for a name that nobody was asked for");
		if (r->state == DIAL_RACING && eyeballs_over(&r->race))
			bug("a race is over and was not answered");
	}
	for (i = 0; i < CLIENTS_MAX; i++)
		counted += d->clients[i].channel.fd >= 0 ? d->clients[i].dials : 0;
	if (flying != d->in_flight || flying > d->options.max_in_flight || races != flying)
		bug("in flight: %u, counted %u, in races %u", flying, d->in_flight, races);
	if (used != counted)
		bug("requests: %u, counted %u", used, counted);
}

#endif
