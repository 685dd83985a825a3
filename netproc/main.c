/*
 * main.c - netproc: talks to strangers, and holds nothing but sockets.
 *
 * Makes its slots, takes its descriptors, warms up libcurl, locks itself down,
 * reads the normal form, and then runs one loop: control, diskproc, dialer,
 * trackers, peers.  It can open no file, make no socket and name no address:
 * see docs/sandbox.md.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "announcer.h"
#include "compartment.h"
#include "fastset.h"
#include "slots.h"
#include "swarm.h"

#define STATS_MS 250u
#define PEERS_MS 2000u
#define OTHER_SOURCES 64u /* control, diskproc, dialer, trackers' sockets */
#define CA_BYTES_MAX (8u << 20)
#define GOODBYE_MS 3000u

enum net_state { NET_RUNNING, NET_ENDING };
#define IN(s) (1u << (s))

struct net {
	struct compartment c;
	struct loop *loop;
	struct loop_source control;
	struct loop_timer stats, goodbye;
	struct wanted wanted;
	const void *form; /* mapped */
	size_t form_bytes;
	struct metainfo info;
	struct slots slots;
	struct dials *dials;
	struct http *http; /* NULL: no HTTP tracker is asked; the announcer's, once there is one */
	struct swarm *swarm;
	struct announcer *announcer; /* NULL: --no-trackers */
	uint8_t peer_id[20];
	uint32_t state;
	uint32_t tracker_ok, tracker_failed;
	struct msg_net_stats told;
	uint32_t snapshot; /* of PEER_INFO */
	uint64_t peers_told_ms;
	bool started, complete, done;
	/* A new diskproc's channel, until its conveyor is there too; -1. */
	int next_disk;
	uint32_t next_epoch;
};

/* ---- to the parent */

static void flush_control(struct net *n)
{
	if (channel_flush(&n->c.control) < 0)
		_exit(0); /* the parent is gone: so are we */
	loop_change(n->loop, &n->control, EPOLLIN | (channel_wants_write(&n->c.control) ? EPOLLOUT : 0u));
}

/* Who is there, while the parent takes it: what finds no room is told the next time. */
static void tell_peers(struct net *n)
{
	struct msg_peer_info m;
	uint32_t i;

	if (!n->c.net.peer_info || loop_now(n->loop) - n->peers_told_ms < PEERS_MS)
		return;
	n->peers_told_ms = loop_now(n->loop);
	n->snapshot++;
	for (i = 0; i < n->c.net.max_peers; i++) {
		if (!swarm_peer_info(n->swarm, i, &m))
			continue;
		m.snapshot = n->snapshot;
		if (channel_push(&n->c.control, MSG_PEER_INFO, &m) < 0)
			break;
	}
	flush_control(n);
}

static void send_stats(struct net *n)
{
	struct msg_net_stats m;

	swarm_stats(n->swarm, &m);
	m.tracker_ok = n->tracker_ok;
	m.tracker_failed = n->tracker_failed;
	if (!memcmp(&m, &n->told, sizeof m))
		return;
	n->told = m;
	if (channel_push(&n->c.control, MSG_NET_STATS, &m) == 0)
		flush_control(n);
}

static void tell_stats(void *arg)
{
	struct net *n = arg;

	loop_timer_set(n->loop, &n->stats, loop_now(n->loop) + STATS_MS, tell_stats, n);
	tell_peers(n);
	send_stats(n);
}

/* ---- swarm and trackers */

static void on_ready(void *arg)
{
	struct net *n = arg;
	uint64_t up, down, left;

	swarm_totals(n->swarm, &up, &down, &left);
	if (n->started || n->state != NET_RUNNING)
		return;
	n->complete = left == 0 || swarm_is_partial_seed(n->swarm);
	if (n->announcer && swarm_is_partial_seed(n->swarm))
		announcer_partial_seed(n->announcer);
	/* All is here already: there is nothing to ask of anyone, unless it is to be given. */
	if (n->complete && !n->c.net.seed)
		return;
	n->started = true;
	if (n->announcer)
		announcer_start(n->announcer);
}

static void on_complete(void *arg)
{
	struct net *n = arg;

	n->complete = true;
	if (!n->announcer || !n->started)
		return;
	/* A part of it is no completion of the torrent. */
	if (swarm_is_partial_seed(n->swarm))
		announcer_partial_seed(n->announcer);
	else
		announcer_completed(n->announcer);
}

static void on_disk_lost(void *arg)
{
	struct net *n = arg;

	if (n->state == NET_RUNNING && !n->complete)
		log_line(LOG_WARN, TOPIC_DISK, "diskproc is gone: waiting for a new one");
}

static void need_peers(void *arg, uint32_t have)
{
	struct net *n = arg;

	if (n->announcer && n->started && n->state == NET_RUNNING)
		announcer_need_peers(n->announcer, have);
}

static void on_tracker_peer(void *arg, const struct net_addr *addr)
{
	struct net *n = arg;

	swarm_add_address(n->swarm, addr, PEER_FROM_TRACKER);
}

static void on_tracker_peer_name(void *arg, const char *host, uint16_t port)
{
	struct net *n = arg;

	swarm_add_name(n->swarm, host, port);
}

static void on_tracker_totals(void *arg, uint64_t *uploaded, uint64_t *downloaded, uint64_t *left)
{
	struct net *n = arg;

	swarm_totals(n->swarm, uploaded, downloaded, left);
}

static void on_tracker_event(void *arg, const struct msg_tracker_event *e)
{
	struct net *n = arg;

	if (e->result)
		n->tracker_failed++;
	else
		n->tracker_ok++;
	if (channel_push(&n->c.control, MSG_TRACKER_EVENT, e) == 0)
		flush_control(n);
}

static void on_goodbye(void *arg)
{
	struct net *n = arg;

	n->done = true;
}

static void on_incoming(void *arg, int fd, const struct net_addr *addr, const struct net_addr *local)
{
	struct net *n = arg;

	(void)local;
	swarm_add_incoming(n->swarm, fd, addr);
}

/* ---- from the parent */

/* The dialer was restarted: perhaps on another port.  0: on none, and trackers keep what they know. */
static int on_listen_port(void *self, const void *message, int fd)
{
	struct net *n = self;
	const struct msg_listen_port *m = message;

	(void)fd;
	if (m->port > UINT16_MAX)
		return -1;
	if (m->port && n->announcer)
		announcer_set_port(n->announcer, (uint16_t)m->port);
	return 0;
}

static int on_shutdown(void *self, const void *message, int fd)
{
	struct net *n = self;
	const struct msg_shutdown *m = message;
	uint32_t grace = min_u32(m->grace_ms, GOODBYE_MS);

	(void)fd;
	n->state = NET_ENDING;
	swarm_shutdown(n->swarm);
	loop_timer_clear(n->loop, &n->stats);
	send_stats(n); /* what was moved since the last time counts too */
	if (!n->announcer || !n->started || !grace) {
		n->done = true;
		return 0;
	}
	announcer_stop(n->announcer, grace);
	loop_timer_set(n->loop, &n->goodbye, loop_now(n->loop) + grace, on_goodbye, n);
	return 0;
}

static int on_peer_add(void *self, const void *message, int fd)
{
	struct net *n = self;
	const struct msg_peer_add *m = message;

	(void)fd;
	swarm_add_address(n->swarm, &m->addr, PEER_FROM_USER);
	return 0;
}

/* A new diskproc, after the old one died: its channel, then its conveyor. */
static int on_setup_fd(void *self, const void *message, int fd)
{
	struct net *n = self;
	const struct msg_setup_fd *m = message;

	if (m->what == SETUP_DISK) {
		if (n->next_disk >= 0) /* of one that died before it was served */
			close(n->next_disk);
		n->next_disk = fd;
		n->next_epoch = m->epoch;
		return 0;
	}
	if (m->what != SETUP_CONVEYOR || n->next_disk < 0) {
		close(fd);
		return -1;
	}
	swarm_attach_disk(n->swarm, n->next_disk, n->next_epoch, fd);
	n->next_disk = -1;
	return 0;
}

static const struct permit permits[] = {
	{ MSG_SHUTDOWN, IN(NET_RUNNING), on_shutdown },
	{ MSG_PEER_ADD, IN(NET_RUNNING) | IN(NET_ENDING), on_peer_add },
	{ MSG_SETUP_FD, IN(NET_RUNNING), on_setup_fd },
	{ MSG_LISTEN_PORT, IN(NET_RUNNING) | IN(NET_ENDING), on_listen_port },
};

static void on_control(void *arg, uint32_t events)
{
	struct net *n = arg;

	(void)events;
	compartment_hear(&n->c, permits, ARRAY_LEN(permits), &n->state, n);
	flush_control(n);
}

/* ---- start */

/* The authorities as the parent passed them, read whole; NULL when there are none. */
static uint8_t *read_authorities(struct compartment *c, size_t *bytes)
{
	struct stat st;
	uint8_t *pem;
	size_t at = 0;
	int fd = c->fds[SETUP_CA];

	*bytes = 0;
	if (fd < 0)
		return NULL;
	c->fds[SETUP_CA] = -1;
	if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > CA_BYTES_MAX) {
		log_line(LOG_WARN, TOPIC_TRACKER, "the file of certificate authorities is not of a usable size");
		close(fd);
		return NULL;
	}
	pem = must_alloc((size_t)st.st_size + 1);
	while (at < (size_t)st.st_size) {
		ssize_t k = pread(fd, pem + at, (size_t)st.st_size - at, (off_t)at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			break;
		at += (size_t)k;
	}
	close(fd);
	pem[at] = 0;
	*bytes = at;
	return pem;
}

/* Azureus style: "-BH" and the version, then chance. */
static void make_peer_id(struct net *n)
{
	static const char set[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	uint8_t chance[20];
	size_t i;

	random_bytes(chance, sizeof chance);
	for (i = 0; i < sizeof chance; i++)
		n->peer_id[i] = (uint8_t)set[chance[i] % (sizeof set - 1)];
	if (!n->c.net.anonymous)
		memcpy(n->peer_id, "-BH0100-", 8);
}

NORETURN static void refuse_form(const char *why)
{
	log_now(LOG_ERROR, "the normal form, or what is wanted of it, is not valid: %s", why);
	_exit(1);
}

/* Before the lock: what opens, maps or makes a descriptor.  Of the form nothing is read yet. */
static void warm_up(struct net *n)
{
	struct compartment *c = &n->c;
	const char *wrong;
	uint8_t *ca = NULL;
	size_t ca_bytes = 0;
	int fd;

	log_to_channel(&c->control, c->net.verbose >= 2 ? LOG_TRACE : c->net.verbose ? LOG_DETAIL : LOG_INFO);
	fd = compartment_take(c, SETUP_FORM);
	wrong = metainfo_map_unread(&n->form, &n->form_bytes, fd);
	close(fd);
	if (wrong)
		refuse_form(wrong);
	wrong = wanted_read(&n->wanted, c->fds[SETUP_WANTED]);
	if (wrong)
		refuse_form(wrong);
	if (c->fds[SETUP_WANTED] >= 0)
		close(compartment_take(c, SETUP_WANTED));
	fastset_warm_up(); /* libcrypto reads its configuration */
	n->loop = loop_new(c->net.max_peers + OTHER_SOURCES);
	n->dials = dials_new(n->loop, compartment_take(c, SETUP_DIAL), c->epochs[SETUP_DIAL]);
	if (c->net.use_trackers && c->net.use_http) {
		ca = read_authorities(c, &ca_bytes); /* for http too: it may redirect to https */
		n->http = http_new(n->loop, n->dials, ca, ca_bytes);
	}
	fd = c->fds[SETUP_CA];
	if (fd >= 0) {
		c->fds[SETUP_CA] = -1;
		close(fd);
	}
}

/* After the lock: the form, and what is made of it. */
static void set_up(struct net *n)
{
	struct compartment *c = &n->c;
	struct swarm_hooks swarm_hooks = { n, on_ready, on_complete, on_disk_lost, need_peers };
	struct announcer_hooks tracker_hooks = { n, on_tracker_peer, on_tracker_peer_name, on_tracker_totals, on_tracker_event, on_goodbye };
	const char *wrong = metainfo_open(&n->info, n->form, n->form_bytes);

	if (wrong || n->info.h->flags & METAINFO_MAGNET)
		refuse_form(wrong ? wrong : "a magnet");
	wrong = wanted_check(&n->wanted, &n->info);
	if (wrong)
		refuse_form(wrong);
	make_peer_id(n);
	if (c->listen_port)
		c->net.port = (uint16_t)c->listen_port;
	n->swarm = swarm_new(n->loop, n->dials, &n->slots, &n->info, &n->wanted, &c->net, n->peer_id, &swarm_hooks);
	wanted_release(&n->wanted);
	if (c->net.use_trackers)
		n->announcer = announcer_new(n->loop, n->http, &n->info, &c->net, n->peer_id, &tracker_hooks);
	dials_on_incoming(n->dials, on_incoming, n);
	swarm_attach_disk(n->swarm, compartment_take(c, SETUP_DISK), c->epochs[SETUP_DISK], compartment_take(c, SETUP_CONVEYOR));
}

int main(void)
{
	static struct net n;

	n.next_disk = -1;
	compartment_hello(&n.c, ROLE_NETPROC);
	compartment_make_slots(&n.c, &n.slots);
	compartment_receive(&n.c);
	warm_up(&n);
	compartment_lock(&n.c);
	set_up(&n);
	if (loop_add(n.loop, &n.control, CONTROL_FD, EPOLLIN, on_control, &n) < 0)
		bug("no room for control in the loop");
	loop_timer_set(n.loop, &n.stats, now_ms() + STATS_MS, tell_stats, &n);
	while (!n.done) {
		uint32_t ready = loop_turn(n.loop, swarm_wait_ms(n.swarm));

		swarm_end_turn(n.swarm, ready == 0);
		if (n.c.control.batch_count) /* log lines of this turn */
			flush_control(&n);
	}
	compartment_end(&n.c, 0);
}
