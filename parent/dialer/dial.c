/*
 * dial.c - the life of a request: see the states in dialer.h.
 *
 *	dial_addr, dial_name   admission: policy, names            -> NAMING, RACING, or the answer
 *	dials_named            NAMING -> RACING, or the answer
 *	dials_turn             starts attempts within the limits, ends what is overdue
 *	attempt_ready          connected: the socket is handed over; failed: the next address
 *	dial_end               the one answer; frees the request
 *
 * The policy is asked twice: at admission, so that what is refused waits for
 * nothing, and again with the socket at hand just before connect, when its
 * interface is known and the routes may have changed.
 */
#include <errno.h>
#include <netdb.h>
#include <unistd.h>

#include "connect.h"
#include "dialer.h"
#include "log.h"

#define REFUSALS_LOGGED 20u /* a second */

static uint32_t clamp(uint32_t v, uint32_t least, uint32_t most)
{
	return max_u32(least, min_u32(v, most));
}

void dialer_init(struct dialer *d, const struct msg_dialer_options *o)
{
	size_t i;

	memset(d, 0, sizeof *d);
	d->options = *o;
	d->options.connect_timeout_ms = clamp(o->connect_timeout_ms ? o->connect_timeout_ms : 10000, 100, 120000);
	d->options.max_in_flight = clamp(o->max_in_flight ? o->max_in_flight : 64, 1, IN_FLIGHT_MAX);
	d->options.dials_per_second = clamp(o->dials_per_second ? o->dials_per_second : 30, 1, 10000);
	d->egress.only4 = o->bind4.family && !o->bind6.family;
	d->egress.only6 = o->bind6.family && !o->bind4.family;
	d->options.accepts_per_second = clamp(o->accepts_per_second ? o->accepts_per_second : 30, 1, 10000);
	limits_init(&d->limits, &limits_of_dials, d->options.dials_per_second);
	limits_init(&d->accepts, &limits_of_accepts, d->options.accepts_per_second);
	d->listeners[0].fd = d->listeners[1].fd = -1;
	d->routes.fd = -1;
	d->resolver.fd = -1;
	TAILQ_INIT(&d->waiting);
	TAILQ_INIT(&d->spare);
	for (i = 0; i < DIALS_MAX; i++)
		TAILQ_INSERT_TAIL(&d->spare, &d->dials[i], link);
	for (i = 0; i < CLIENTS_MAX; i++)
		d->clients[i].channel.fd = -1;
}

/* An answer without a socket.  A client whose channel takes no more was not read from either, so there is room. */
static void answer_failed(struct dialer *d, struct client *c, uint32_t tag, enum dial_failure reason, int error, const struct net_addr *addr)
{
	struct msg_dial_failed m = { .tag = tag, .reason = reason, .error = error };

	if (addr)
		m.addr = *addr;
	if (reason != DIAL_REFUSED_BY_POLICY && reason != DIAL_CANCELLED)
		d->stats.failed++;
	if (channel_push(&c->channel, MSG_DIAL_FAILED, &m) < 0)
		log_line(LOG_WARN, TOPIC_IPC, "netproc takes no answers");
}

static void attempt_free(struct dialer *d, struct attempt *a, bool close_it)
{
	if (close_it)
		close(a->fd);
	a->fd = -1;
	a->dial = NULL;
	d->in_flight--;
}

static void dial_free(struct dialer *d, struct dial *r)
{
	size_t i;

	for (i = 0; i < IN_FLIGHT_MAX; i++)
		if (d->attempts[i].dial == r)
			attempt_free(d, &d->attempts[i], true);
	r->client->dials--;
	r->state = DIAL_FREE;
	r->name = NULL;
	TAILQ_REMOVE(&d->waiting, r, link);
	TAILQ_INSERT_HEAD(&d->spare, r, link);
}

/* Ends a request that connected to nothing. */
static void dial_end(struct dialer *d, struct dial *r, enum dial_failure reason, int error)
{
	answer_failed(d, r->client, r->tag, reason, error, r->last.family ? &r->last : NULL);
	dial_free(d, r);
}

static void note(struct dial *r, enum dial_failure reason, int error, const struct net_addr *addr)
{
	/* A connection that failed says more than an address that was refused. */
	if (reason == DIAL_REFUSED_BY_POLICY && r->reason && r->reason != DIAL_REFUSED_BY_POLICY)
		return;
	r->reason = reason;
	r->error = error;
	r->last = *addr;
}

void dialer_log_refusal(struct dialer *d, const char *what, const struct net_addr *a, const char *why)
{
	char text[64];

	if (d->now_ms / 1000 != d->lines_ms) {
		d->lines_ms = d->now_ms / 1000;
		d->lines = 0;
	}
	if (d->lines++ < REFUSALS_LOGGED)
		log_line(LOG_DETAIL, TOPIC_DIAL, "%s %s: %s", what, net_addr_text(text, sizeof text, a), why);
}

static void refused(struct dialer *d, struct dial *r, const struct net_addr *a, enum egress_verdict v)
{
	d->stats.refused++;
	note(r, DIAL_REFUSED_BY_POLICY, (int)v, a);
	dialer_log_refusal(d, "refused", a, egress_verdict_name(v));
}

int dialer_ask_routes(struct dialer *d, const struct net_addr *a, int interface, enum egress_verdict *v)
{
	const struct net_addr *from = a->family == 4 ? &d->options.bind4 : &d->options.bind6;
	struct route_query q = { .to = a };
	bool bound = d->options.bind_interface[0] != 0;
	int error;

	/* First as any socket would go: own and attached networks are refused by whatever way they would be reached. */
	error = routes_ask(&d->routes, &q, v);
	if (error == 0 && *v != EGRESS_OK)
		return 0;
	/* Then as this one goes.  Its interface may have a route where there is no other; before there is a socket that is not known. */
	if (bound && !interface) {
		*v = EGRESS_OK;
		return 0;
	}
	if (bound || from->family) {
		q.interface = interface;
		q.from = from;
		error = routes_ask(&d->routes, &q, v);
	}
	return error;
}

/*
 * Policy and routes for one address; a refusal or a failure is noted in r.
 * interface: of the socket, 0 before there is one.
 */
static bool may_dial(struct dialer *d, struct dial *r, const struct net_addr *a, int interface)
{
	enum egress_verdict v = egress_judge(&d->egress, a, r->listed);
	int error = 0;

	if (v == EGRESS_OK && !egress_is_allowed(&d->egress, a))
		error = dialer_ask_routes(d, a, interface, &v);
	if (error)
		note(r, DIAL_FAILED, error, a);
	else if (v != EGRESS_OK)
		refused(d, r, a, v);
	return !error && v == EGRESS_OK;
}

/* Into the race with those of `addrs` that may be dialled; ends r when there is none. */
static void race_begin(struct dialer *d, struct dial *r, const struct net_addr *addrs, uint32_t count)
{
	struct eyeballs *e = &r->race;
	uint8_t i, kept = 0;

	r->state = DIAL_RACING;
	r->name = NULL;
	eyeballs_init(e, addrs, count, r->family, r->port, d->now_ms);
	for (i = 0; i < e->count; i++)
		if (may_dial(d, r, &e->addr[i], 0))
			e->addr[kept++] = e->addr[i];
	e->count = kept;
	r->give_up_ms = d->now_ms + DIAL_WAIT_MS;
	if (!kept)
		dial_end(d, r, r->reason ? r->reason : DIAL_NO_NAME, r->error);
}

/* A free request of this client, or NULL: too many wait (answered). */
static struct dial *dial_new(struct dialer *d, struct client *c, uint32_t tag)
{
	struct dial *r = TAILQ_FIRST(&d->spare);

	if (!r || c->dials >= DIALS_PER_CLIENT) {
		answer_failed(d, c, tag, DIAL_LIMIT, 0, NULL);
		return NULL;
	}
	TAILQ_REMOVE(&d->spare, r, link);
	memset(r, 0, sizeof *r);
	r->client = c;
	r->tag = tag;
	c->dials++;
	TAILQ_INSERT_TAIL(&d->waiting, r, link);
	return r;
}

void dial_addr(struct dialer *d, struct client *c, uint32_t tag, const struct net_addr *addr)
{
	struct dial *r = dial_new(d, c, tag);

	if (!r)
		return;
	r->port = addr->port;
	r->listed = egress_port_is_listed(&d->egress, NULL, addr, addr->port);
	race_begin(d, r, addr, 1);
}

/* Asks the resolver, or joins who asked already. */
static void name_begin(struct dialer *d, struct dial *r, const char *host)
{
	struct msg_resolve m;
	struct name *row;
	bool ask;

	if (d->options.bind_interface[0] && !d->options.system_dns) {
		/* The question would go to the name server by any interface, and tell who asks for what. */
		if (!d->told_no_names)
			log_line(LOG_WARN, TOPIC_DIAL, "names are not resolved with --bind INTERFACE: see --system-dns");
		d->told_no_names = true;
		dial_end(d, r, DIAL_NO_NAME, EPERM);
		return;
	}
	row = d->resolver.fd >= 0 ? names_find(&d->names, host, d->now_ms, &ask) : NULL;
	if (!row) {
		dial_end(d, r, d->resolver.fd >= 0 ? DIAL_LIMIT : DIAL_NO_NAME, EAGAIN);
		return;
	}
	r->state = DIAL_NAMING;
	r->name = row;
	if (!ask) {
		if (row->state != NAME_ASKED)
			dials_named(d, row);
		return;
	}
	memset(&m, 0, sizeof m);
	m.tag = row->tag;
	memcpy(m.host, row->host, sizeof m.host);
	if (channel_push(&d->resolver, MSG_RESOLVE, &m) < 0) {
		names_forget(row);
		dial_end(d, r, DIAL_LIMIT, EAGAIN);
	}
}

void dial_name(struct dialer *d, struct client *c, const struct msg_dial_name *m)
{
	const char *host = (const char *)m->host;
	struct dial *r = dial_new(d, c, m->tag);
	struct net_addr literal;

	if (!r)
		return;
	r->port = m->port;
	r->family = m->family;
	r->listed = egress_port_is_listed(&d->egress, host, NULL, m->port);
	if (egress_literal(&literal, host, m->port)) {
		r->listed |= egress_port_is_listed(&d->egress, NULL, &literal, m->port);
		race_begin(d, r, &literal, 1);
	} else if (names_host_is_sound(host)) {
		name_begin(d, r, host);
	} else {
		dial_end(d, r, DIAL_NO_NAME, 0);
	}
}

void dials_named(struct dialer *d, struct name *row)
{
	struct dial *r, *next;

	TAILQ_FOREACH_SAFE(r, &d->waiting, link, next)
	{
		if (r->state != DIAL_NAMING || r->name != row)
			continue;
		if (row->state == NAME_KNOWN)
			race_begin(d, r, row->addr, row->count);
		else if (row->state == NAME_FAILED && row->status == 0)
			dial_end(d, r, DIAL_TIMEOUT, ETIMEDOUT);
		else
			dial_end(d, r, DIAL_NO_NAME, row->status == (uint32_t)-EAI_AGAIN ? EAGAIN : 0);
	}
}

struct dial *dial_find(struct dialer *d, const struct client *c, uint32_t tag)
{
	struct dial *r;

	TAILQ_FOREACH(r, &d->waiting, link)
	if (r->client == c && r->tag == tag)
		return r;
	return NULL;
}

void dial_cancel(struct dialer *d, struct dial *r)
{
	dial_end(d, r, DIAL_CANCELLED, 0);
}

void dials_drop(struct dialer *d, struct client *c)
{
	struct dial *r, *next;

	TAILQ_FOREACH_SAFE(r, &d->waiting, link, next)
	if (r->client == c)
		dial_free(d, r);
}

/* The end of a race that nothing won, if it is that. */
static bool race_over(struct dialer *d, struct dial *r)
{
	if (!eyeballs_over(&r->race))
		return false;
	dial_end(d, r, r->reason ? r->reason : DIAL_FAILED, r->error);
	return true;
}

/* A socket on its way to `to`, or -1 and the reason noted. */
static int attempt_socket(struct dialer *d, struct dial *r, const struct net_addr *to)
{
	int interface, error, fd = connect_socket(&d->options, to->family, &interface);

	if (fd < 0) {
		note(r, DIAL_FAILED, errno, to);
		return -1;
	}
	if (!may_dial(d, r, to, interface))
		goto fail;
	d->stats.dialed++;
	error = connect_start(fd, to);
	if (error) {
		note(r, DIAL_FAILED, error, to);
		goto fail;
	}
	return fd;
fail:
	close(fd);
	return -1;
}

/* Starts as many of r's attempts as are due and permitted.  False: r has ended. */
static bool race_go(struct dialer *d, struct dial *r)
{
	const struct net_addr *to;
	struct attempt *a = d->attempts;
	uint32_t wait;
	int fd;

	while (d->in_flight < d->options.max_in_flight && d->now_ms >= r->not_before_ms && (to = eyeballs_due(&r->race, d->now_ms))) {
		wait = limits_take(&d->limits, to, egress_is_allowed(&d->egress, to) ? LIMIT_ALL : LIMIT_NET, d->now_ms * 1000);
		if (wait) {
			r->not_before_ms = d->now_ms + wait;
			break;
		}
		fd = attempt_socket(d, r, to);
		if (fd < 0) {
			eyeballs_skipped(&r->race);
			continue;
		}
		while (a->dial)
			a++;
		*a = (struct attempt){ .dial = r, .fd = fd, .to = *to, .deadline_ms = d->now_ms + d->options.connect_timeout_ms };
		d->in_flight++;
		eyeballs_started(&r->race, d->now_ms);
	}
	return !race_over(d, r);
}

static void attempt_failed(struct dialer *d, struct attempt *a, enum dial_failure reason, int error)
{
	struct dial *r = a->dial;

	note(r, reason, error, &a->to);
	attempt_free(d, a, true);
	eyeballs_failed(&r->race, d->now_ms);
	(void)race_over(d, r);
}

void attempt_ready(struct dialer *d, struct attempt *a)
{
	struct dial *r = a->dial;
	struct client *c = r->client;
	struct msg_dialed m = { .tag = r->tag, .addr = a->to };
	int error = connect_result(a->fd);

	if (error) {
		attempt_failed(d, a, DIAL_FAILED, error);
		return;
	}
	if (!connect_local(a->fd, &a->to, &m.local)) {
		attempt_failed(d, a, DIAL_FAILED, ECONNREFUSED);
		return;
	}
	if (channel_push_fd(&c->channel, MSG_DIALED, &m, a->fd, true) < 0) {
		attempt_failed(d, a, DIAL_FAILED, ENOBUFS);
		return;
	}
	d->stats.connected++;
	attempt_free(d, a, false); /* the channel has closed it, or will when it is sent */
	dial_free(d, r);
}

void dials_turn(struct dialer *d)
{
	struct dial *r, *next;
	struct name *row;
	size_t i;

	while ((row = names_expire(&d->names, d->now_ms)))
		dials_named(d, row);
	for (i = 0; i < IN_FLIGHT_MAX; i++)
		if (d->attempts[i].dial && d->now_ms >= d->attempts[i].deadline_ms)
			attempt_failed(d, &d->attempts[i], DIAL_TIMEOUT, ETIMEDOUT);
	TAILQ_FOREACH_SAFE(r, &d->waiting, link, next)
	{
		if (r->state != DIAL_RACING || !client_is_served(r->client))
			continue;
		if (race_go(d, r) && r->race.flying == 0 && d->now_ms >= r->give_up_ms)
			dial_end(d, r, r->reason ? r->reason : DIAL_LIMIT, r->error);
	}
}

uint64_t dials_deadline(const struct dialer *d)
{
	uint64_t at = names_deadline(&d->names);
	const struct dial *r;
	size_t i;

	for (i = 0; i < IN_FLIGHT_MAX; i++)
		if (d->attempts[i].dial)
			at = min_u64(at, d->attempts[i].deadline_ms);
	TAILQ_FOREACH(r, &d->waiting, link)
	{
		if (r->state != DIAL_RACING || !client_is_served(r->client))
			continue;
		/* While all places fly there is nothing to start: one of them ends first. */
		if (r->race.next < r->race.count && d->in_flight < d->options.max_in_flight)
			at = min_u64(at, max_u64(r->race.next_ms, r->not_before_ms));
		if (r->race.flying == 0)
			at = min_u64(at, r->give_up_ms);
	}
	return at;
}
