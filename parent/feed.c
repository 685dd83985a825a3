/*
 * feed.c - see feed.h.
 */
#include "feed.h"

#include <unistd.h>

#include "peers.h"
#include "slots.h"

#define BIT(what) (1u << (what))
#define ROLE(r) (1u << (r))

/*
 * Clamps of each socket (P7).  The kernel doubles them and caps them by
 * net.core.rmem_max; 200 peers at 1 MiB are the most that the kernel may hold
 * for us.
 */
#define RECEIVE_BUFFER (512u << 10)
#define SEND_BUFFER (256u << 10)
#define CONNECT_TIMEOUT_MS 10000u
#define DIALS_IN_FLIGHT 64u
#define DIALS_PER_SECOND 30u
#define ACCEPTS_PER_SECOND 30u
#define REQUEST_TIMEOUT_MS 60000u
#define NUMWANT_MAX 200u
#define DISK_OPEN_FILES 128u

static const struct {
	enum setup_fd what;
	enum role ends[2];
} edges[EDGES] = {
	[EDGE_DISK] = { SETUP_DISK, { ROLE_NETPROC, ROLE_DISKPROC } },
	[EDGE_DIAL] = { SETUP_DIAL, { ROLE_NETPROC, ROLE_DIALER } },
	[EDGE_RESOLVE] = { SETUP_RESOLVE, { ROLE_DIALER, ROLE_RESOLVER } },
};

uint32_t feed_roles(const struct download *d)
{
	return d->disk_only ? ROLE(ROLE_DISKPROC) : ROLE(ROLE_RESOLVER) | ROLE(ROLE_DIALER) | ROLE(ROLE_NETPROC) | ROLE(ROLE_DISKPROC);
}

void feed_close_edge(struct edge *e)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		if (e->fd[i] >= 0)
			close(e->fd[i]);
		e->fd[i] = -1;
	}
	e->tag = 0;
}

static void ask_pair(struct download *d, struct edge *e)
{
	feed_close_edge(e);
	do
		random_bytes(&e->epoch, sizeof e->epoch);
	while (e->epoch == 0);
	e->tag = launcher_ask_pair(&d->x->launcher);
	if (!e->tag)
		download_fail(d, STATUS_FAILED, "the launcher is gone");
}

void feed_launch(struct download *d, uint32_t without)
{
	uint32_t roles = feed_roles(d) & ~without;
	/* The slowest to come up first. */
	static const enum role order[] = { ROLE_NETPROC, ROLE_DISKPROC, ROLE_DIALER, ROLE_RESOLVER };
	size_t i;

	for (i = 0; i < ARRAY_LEN(order); i++) {
		struct child *c = &d->child[order[i]];
		int id = d->x->root ? (int)d->ids[c->role] : LAUNCH_STAYS, gid = id;

		if (id != LAUNCH_STAYS && c->role == ROLE_DISKPROC && d->disk_gid)
			gid = (int)d->disk_gid;
		if (roles & ROLE(c->role) && c->state == CHILD_NONE && d->state < DOWNLOAD_FINISHING &&
		    child_launch(c, &d->x->launcher, id, gid, d->x->now_ms) < 0)
			download_fail(d, STATUS_FAILED, "the launcher is gone");
	}
	for (i = 0; i < EDGES && !d->disk_only; i++)
		if (!d->edge[i].epoch && d->state < DOWNLOAD_FINISHING)
			ask_pair(d, &d->edge[i]);
}

void feed_renew(struct download *d, enum role role)
{
	size_t i, k;

	if (d->disk_only)
		return;
	for (i = 0; i < EDGES; i++) {
		if (edges[i].ends[0] != role && edges[i].ends[1] != role)
			continue;
		for (k = 0; k < 2; k++)
			d->child[edges[i].ends[k]].stale |= d->child[edges[i].ends[k]].given & BIT(edges[i].what);
		ask_pair(d, &d->edge[i]);
	}
}

bool feed_on_pair(struct download *d, const struct launcher_answer *a)
{
	size_t i;

	if (a->kind != LAUNCHER_PAIR && a->kind != LAUNCHER_FAILED)
		return false;
	for (i = 0; i < EDGES; i++) {
		struct edge *e = &d->edge[i];

		if (!e->tag || e->tag != a->tag)
			continue;
		if (a->kind == LAUNCHER_FAILED) {
			e->tag = 0;
			download_fail(d, STATUS_FAILED, "cannot make a channel: %s", strerror(a->error));
			return true;
		}
		if (e->fd[a->end] >= 0)
			close(e->fd[a->end]);
		e->fd[a->end] = a->fd;
		return true;
	}
	return false;
}

bool feed_has_edge(const struct download *d, enum role a, enum role b, uint32_t *epoch)
{
	size_t i;

	for (i = 0; i < EDGES; i++)
		if ((edges[i].ends[0] == a && edges[i].ends[1] == b) || (edges[i].ends[0] == b && edges[i].ends[1] == a)) {
			*epoch = d->edge[i].epoch;
			return true;
		}
	return false;
}

/* Whoever checks and reports asks it only when that is wanted, and never writes it. */
static bool uses_record(const struct download *d)
{
	return !d->checking.active || d->x->o->quick;
}

/* What a role needs before its set-up can end. */
static uint32_t needs(const struct download *d, enum role role)
{
	uint32_t wanted = d->selection.fd >= 0 ? BIT(SETUP_WANTED) : 0, n;

	switch (role) {
	case ROLE_RESOLVER:
		return BIT(SETUP_RESOLVE);
	case ROLE_DIALER:
		return BIT(SETUP_FORM) | BIT(SETUP_DIAL) | BIT(SETUP_RESOLVE);
	case ROLE_NETPROC:
		return BIT(SETUP_FORM) | BIT(SETUP_DIAL) | BIT(SETUP_DISK) | BIT(SETUP_CONVEYOR) | (d->x->ca >= 0 ? BIT(SETUP_CA) : 0) | wanted;
	case ROLE_DISKPROC:
		n = BIT(SETUP_FORM) | (d->out.single ? BIT(SETUP_FILE) : BIT(SETUP_ROOT)) | (d->out.state.have >= 0 && uses_record(d) ? BIT(SETUP_RECORD) : 0) | wanted;
		/* Who only reads needs none of them. */
		if (!d->checking.active)
			n |= (d->out.spill >= 0 ? BIT(SETUP_SPILL) : 0) | (d->out.parts >= 0 ? BIT(SETUP_PARTS) : 0);
		return n | (d->disk_only ? 0 : BIT(SETUP_DISK) | BIT(SETUP_SLOTS));
	default:
		return 0;
	}
}

/* The end of a channel for this role, or -1 when it is not there (yet).  It is the caller's. */
static int take_end(struct download *d, enum role role, enum setup_fd what, uint32_t *epoch)
{
	size_t i, k;

	for (i = 0; i < EDGES; i++)
		for (k = 0; k < 2; k++)
			if (edges[i].what == what && edges[i].ends[k] == role) {
				int fd = d->edge[i].fd[k];

				d->edge[i].fd[k] = -1;
				*epoch = d->edge[i].epoch;
				return fd;
			}
	return -1;
}

/* Descriptors that the parent keeps, for a process that is started anew. */
static int kept_fd(const struct download *d, enum setup_fd what)
{
	switch (what) {
	case SETUP_FORM:
		return d->form;
	case SETUP_CA:
		return d->x->ca;
	case SETUP_FILE:
		return d->out.root;
	case SETUP_ROOT:
		return d->mount >= 0 ? d->mount : d->out.root;
	case SETUP_SPILL:
		return d->out.spill;
	case SETUP_RECORD:
		return d->out.state.have;
	case SETUP_WANTED:
		return d->selection.fd;
	case SETUP_PARTS:
		return d->out.parts;
	case SETUP_SLOTS:
		return d->slots;
	case SETUP_CONVEYOR:
		return d->conveyor;
	default:
		return -1;
	}
}

/* A limit of all sources together, for one of them; 0 stays "no limit". */
static uint64_t share_of(uint64_t limit, uint32_t sources)
{
	return limit ? max_u64(1, limit / sources) : 0;
}

static void send_net_options(struct download *d, struct child *c)
{
	const struct options *o = d->x->o;
	uint32_t share = max_u32(1, o->source_count);
	struct msg_net_options m = {
		.budget_bytes = max_u64(o->memory_bytes / share, 4ull * d->m.h->piece_length),
		.max_peers = max_u32(1, o->max_peers / share),
		.numwant = min_u32(NUMWANT_MAX, max_u32(1, o->max_peers / share)),
		.request_timeout_ms = REQUEST_TIMEOUT_MS,
		.port = o->port_first,
		.verbose = (uint8_t)o->verbose,
		.use_trackers = o->trackers,
		.use_ipv4 = o->use_ipv4,
		.use_ipv6 = o->use_ipv6,
		.anonymous = o->anonymous,
		.use_http = peers_from_http(&d->m, o),
		.super_seed = o->super_seed,
		.peer_info = d->peers.rows != NULL,
		.seed = d->seeds,
		.order = (uint8_t)((o->sequential ? NET_IN_SEQUENCE : 0) | (o->ends_first ? NET_ENDS_FIRST : 0)),
		.max_up = share_of(o->max_up, share),
		.max_down = share_of(o->max_down, share),
		.max_uploads = (uint32_t)share_of(o->max_uploads, share),
	};

	child_send(c, MSG_NET_OPTIONS, &m);
}

/* --check is about what was there at the start, and is done once. */
static uint32_t what_to_check(const struct download *d)
{
	if (!d->out.existed && !d->out.finished)
		return CHECK_NOTHING;
	if (d->checking.active)
		return d->x->o->quick ? CHECK_DOUBTFUL : CHECK_ALL;
	return (d->x->o->check || d->x->o->repair) && !d->was_checked ? CHECK_ALL : CHECK_DOUBTFUL;
}

static void send_disk_options(struct download *d, struct child *c)
{
	const struct options *o = d->x->o;
	struct msg_disk_options m = {
		.budget_bytes = max_u64(o->memory_bytes / max_u32(1, o->source_count), 4ull * d->m.h->piece_length),
		.threads = o->threads,
		.check_existing = what_to_check(d),
		.read_only = d->out.finished || d->checking.active,
		.max_open_files = DISK_OPEN_FILES,
		.report = d->checking.active,
		.allocate = o->allocate,
		.file_mode = o->mode,
		.wait_space = o->wait_space,
		.cut = o->repair,
	};

	child_send(c, MSG_DISK_OPTIONS, &m);
}

static void send_dialer_options(struct download *d, struct child *c)
{
	const struct options *o = d->x->o;
	struct msg_dialer_options m = {
		.bind4 = o->bind4,
		.bind6 = o->bind6,
		.system_dns = o->system_dns,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.max_in_flight = DIALS_IN_FLIGHT,
		.dials_per_second = DIALS_PER_SECOND,
		.receive_buffer = RECEIVE_BUFFER,
		.send_buffer = SEND_BUFFER,
		.port_first = o->listen ? o->port_first : 0,
		.port_last = o->listen ? o->port_last : 0,
		/* A source address of one family rules the other out. */
		.listen4 = o->use_ipv4 && (o->bind4.family || !o->bind6.family),
		.listen6 = o->use_ipv6 && (o->bind6.family || !o->bind4.family),
		.accepts_per_second = ACCEPTS_PER_SECOND,
	};
	uint32_t i;

	memcpy(m.bind_interface, o->bind_interface, sizeof m.bind_interface);
	child_send(c, MSG_DIALER_OPTIONS, &m);
	for (i = 0; i < o->net_count; i++)
		child_send(c, MSG_ALLOW_NET, &o->nets[i]);
	for (i = 0; i < o->peer_count; i++) {
		struct msg_allow_addr a = { .addr = o->peers[i] };

		child_send(c, MSG_ALLOW_ADDR, &a);
	}
}

void feed_listen_port(struct download *d)
{
	struct msg_listen_port m = { .port = d->port };

	child_send(&d->child[ROLE_NETPROC], MSG_LISTEN_PORT, &m);
}

/* Gives `what` if it is there. */
static void give(struct download *d, struct child *c, enum setup_fd what)
{
	uint32_t epoch = 0;
	int fd = kept_fd(d, what);

	if (fd >= 0) {
		child_give(c, what, fd, 0, false);
		return;
	}
	fd = take_end(d, c->role, what, &epoch);
	if (fd >= 0)
		child_give(c, what, fd, epoch, true);
}

#define OF_THE_OTHER (BIT(SETUP_SLOTS) | BIT(SETUP_CONVEYOR))

/* What this role reads from: slots or conveyor of whoever is at the other end of DISK. */
static uint32_t source_of(enum role role)
{
	return role == ROLE_DISKPROC ? BIT(SETUP_SLOTS) : role == ROLE_NETPROC ? BIT(SETUP_CONVEYOR) : 0;
}

/*
 * New ends of channels for one that RUNs.  netproc and diskproc take a new
 * channel and then slots or conveyor of whoever is at its other end: once the channel
 * was passed, those that they have are an old one's, whenever they were
 * given them.
 */
static void give_stale(struct download *d, struct child *c)
{
	uint32_t what;

	for (what = 1; what < SETUP_FD_COUNT; what++) {
		if (!(c->stale & BIT(what)) || (OF_THE_OTHER & BIT(what) && c->stale & BIT(SETUP_DISK)))
			continue;
		give(d, c, (enum setup_fd)what);
		if (what == SETUP_DISK && !(c->stale & BIT(SETUP_DISK)))
			c->stale |= source_of(c->role);
	}
}

static void feed(struct download *d, struct child *c)
{
	uint32_t need = needs(d, c->role), what;

	if (c->state == CHILD_SETUP) {
		for (what = 1; what < SETUP_FD_COUNT; what++)
			/* Slots after the channel, here too: whose they are is known by it when one of the two dies meanwhile. */
			if (need & ~c->given & BIT(what) && !(OF_THE_OTHER & BIT(what) && need & ~c->given & BIT(SETUP_DISK)))
				give(d, c, (enum setup_fd)what);
		if (need & ~c->given || c->state != CHILD_SETUP)
			return;
		if (c->role == ROLE_NETPROC)
			send_net_options(d, c);
		else if (c->role == ROLE_DISKPROC)
			send_disk_options(d, c);
		else if (c->role == ROLE_DIALER)
			send_dialer_options(d, c);
		child_setup_end(c);
	} else if (c->state == CHILD_RUNNING && c->stale) {
		give_stale(d, c);
	}
}

void feed_all(struct download *d)
{
	uint32_t roles = feed_roles(d);
	size_t i;

	for (i = 0; i < ROLE_COUNT; i++)
		if (roles & ROLE(i))
			feed(d, &d->child[i]);
}
