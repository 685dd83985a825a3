/*
 * compartment.c - how a compartment comes up: see compartment.h.
 *
 * Order, and why: the cheap walls come first; the set-up is received; what is
 * loaded lazily is warmed by the caller; then the empty root, since libraries
 * open files by name until here; then Landlock, before threads, because it
 * binds only the calling thread; then filter 1, which names what the empty
 * root needed; its listener goes to the parent; last the allow-list, on all
 * threads.  Only after GO does a byte of a stranger come.
 */
#include "compartment.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "accuse.h"
#include "conveyor.h"
#include "slots.h"

/*
 * How long the parent may take, between two of its messages: longer than its
 * own patience with whatever it waits for (inspect: two minutes; a start: 20
 * s).  It measures; its death is noticed at once, as the channel's end.
 */
#define PARENT_MS 600000
#define BYE_MS 2000
#define PACKETS_PER_TURN 16

static bool landlocked;

/* A set-up that went wrong: nothing of a stranger was seen, so the reason may be said plainly. */
NORETURN static void fail(const struct compartment *c, const char *what, const char *detail)
{
	log_now(LOG_ERROR, "%s: %s: %s", role_name(c->role), what, detail);
	_exit(1);
}

static const char *result_text(enum channel_result r)
{
	switch (r) {
	case CHANNEL_VIOLATION:
		return channel_violation();
	case CHANNEL_EMPTY:
		return "no answer in time";
	case CHANNEL_CLOSED:
		return "the parent is gone";
	default:
		return "out of order";
	}
}

/* Which descriptors a role is given; any other is refused. */
static uint32_t expected_fds(enum role role)
{
	switch (role) {
	case ROLE_INSPECT:
		return 1u << SETUP_FORM | 1u << SETUP_INPUT | 1u << SETUP_TEXT;
	case ROLE_RESOLVER:
		return 1u << SETUP_RESOLVE;
	case ROLE_DIALER:
		return 1u << SETUP_FORM | 1u << SETUP_DIAL | 1u << SETUP_RESOLVE;
	case ROLE_NETPROC:
		return 1u << SETUP_FORM | 1u << SETUP_DISK | 1u << SETUP_DIAL | 1u << SETUP_CA | 1u << SETUP_CONVEYOR |
		       1u << SETUP_WANTED;
	case ROLE_DISKPROC:
		return 1u << SETUP_FORM | 1u << SETUP_ROOT | 1u << SETUP_FILE | 1u << SETUP_SPILL | 1u << SETUP_DISK | 1u << SETUP_SLOTS |
		       1u << SETUP_RECORD | 1u << SETUP_WANTED | 1u << SETUP_PARTS;
	case ROLE_CREATE:
		return 1u << SETUP_FORM | 1u << SETUP_ROOT | 1u << SETUP_FILE;
	default:
		return 0;
	}
}

static void keep_fd(struct compartment *c, struct packet *p)
{
	const struct msg_setup_fd *m = packet_message(p, 0);

	if (m->what >= SETUP_FD_COUNT || !(expected_fds(c->role) >> m->what & 1) || c->fds[m->what] >= 0)
		fail(c, "set-up", "a descriptor that is not expected");
	c->fds[m->what] = p->fd;
	c->epochs[m->what] = m->epoch;
	p->fd = -1;
}

static void keep_allowed(struct compartment *c, const struct packet *p)
{
	uint32_t i;

	for (i = 0; i < p->count; i++) {
		if (p->type == MSG_ALLOW_NET && c->net_count < COMPARTMENT_MAX_NETS)
			memcpy(&c->nets[c->net_count++], packet_message(p, i), sizeof c->nets[0]);
		else if (p->type == MSG_ALLOW_ADDR && c->allowed_count < COMPARTMENT_MAX_NETS)
			memcpy(&c->allowed[c->allowed_count++], packet_message(p, i), sizeof c->allowed[0]);
		else
			fail(c, "set-up", "too many addresses are allowed");
	}
}

/* The options of one role; true when the message was them. */
static bool keep_options(struct compartment *c, const struct packet *p)
{
	const void *m = packet_message(p, 0);

	if (p->type == MSG_INSPECT_OPTIONS && c->role == ROLE_INSPECT)
		memcpy(&c->inspect, m, sizeof c->inspect);
	else if (p->type == MSG_NET_OPTIONS && c->role == ROLE_NETPROC)
		memcpy(&c->net, m, sizeof c->net);
	else if (p->type == MSG_DISK_OPTIONS && c->role == ROLE_DISKPROC)
		memcpy(&c->disk, m, sizeof c->disk);
	else if (p->type == MSG_CREATE_OPTIONS && c->role == ROLE_CREATE)
		memcpy(&c->create, m, sizeof c->create);
	else if (p->type == MSG_DIALER_OPTIONS && c->role == ROLE_DIALER)
		memcpy(&c->dialer, m, sizeof c->dialer);
	else
		return false;
	return true;
}

void compartment_receive(struct compartment *c)
{
	for (;;) {
		struct packet p;
		enum channel_result r = channel_wait(&c->control, &p, PARENT_MS);

		if (r != CHANNEL_OK)
			fail(c, "set-up", result_text(r));
		if (p.type == MSG_SETUP_END)
			return;
		if (p.type == MSG_SETUP_FD)
			keep_fd(c, &p);
		else if ((p.type == MSG_ALLOW_NET || p.type == MSG_ALLOW_ADDR) && c->role == ROLE_DIALER)
			keep_allowed(c, &p);
		else if (!keep_options(c, &p))
			fail(c, "set-up", message_rows[p.type].name);
	}
}

static void say(struct compartment *c, enum message_type type, const void *message)
{
	if (channel_push(&c->control, type, message) < 0 || channel_flush(&c->control) != 0)
		fail(c, message_rows[type].name, "the parent is gone");
}

static void say_hello(struct compartment *c)
{
	struct msg_hello m = { .role = (uint32_t)c->role };

	build_hash(m.build);
	say(c, MSG_HELLO, &m);
}

void compartment_hello(struct compartment *c, enum role role)
{
	size_t i;

	memset(c, 0, sizeof *c);
	c->role = role;
	/* What a peer or a full disk does is an errno, not a signal. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	for (i = 0; i < ARRAY_LEN(c->fds); i++)
		c->fds[i] = -1;
	channel_init(&c->control, CONTROL_FD, CONTROL_EPOCH, true, "parent");
	log_to_channel(&c->control, LOG_DETAIL);
	accuse_to_channel(&c->control);
	c->walls = sandbox_begin(role);
	say_hello(c);
}

void compartment_begin(struct compartment *c, enum role role)
{
	compartment_hello(c, role);
	compartment_receive(c);
}

int compartment_take(struct compartment *c, enum setup_fd what)
{
	int fd = c->fds[what];

	if (fd < 0)
		fail(c, "set-up", "a descriptor was not passed");
	c->fds[what] = -1;
	return fd;
}

void compartment_make_slots(struct compartment *c, struct slots *slots)
{
	struct msg_slots m = { .count = SLOT_COUNT };
	int fd = slots_create(slots, SLOT_COUNT);

	if (fd < 0)
		fail(c, "cannot make the slots", strerror(errno));
	if (channel_push_fd(&c->control, MSG_SLOTS, &m, fd, true) < 0 || channel_flush(&c->control) != 0)
		fail(c, "SLOTS", "the parent is gone");
}

int compartment_make_conveyor(struct compartment *c, int *own)
{
	struct msg_conveyor m = { 0 };
	int end[2], passed;

	if (conveyor_make(end) < 0)
		fail(c, "cannot make the pipe for uploads", errno == EPERM ? "the pipes of this user take too many pages (pipe-user-pages-soft)" : strerror(errno));
	passed = fcntl(end[0], F_DUPFD_CLOEXEC, 0);
	if (passed < 0)
		fail(c, "cannot make the pipe for uploads", strerror(errno));
	if (channel_push_fd(&c->control, MSG_CONVEYOR, &m, passed, true) < 0 || channel_flush(&c->control) != 0)
		fail(c, "CONVEYOR", "the parent is gone");
	*own = end[0];
	return end[1];
}

void compartment_landlock(struct compartment *c, int root)
{
	if (landlocked)
		bug("Landlock a second time");
	landlocked = true;
	sandbox_root(c->role, c->role == ROLE_DISKPROC || c->role == ROLE_CREATE ? root : -1, &c->walls);
	sandbox_landlock(c->role, root, &c->walls);
}

/* Sends filter 1's listener.  Without one the allow-list kills by itself, and nobody says why. */
static void name_attacks(struct compartment *c)
{
	struct msg_listener m = { 0 };
	int fd = sandbox_listener(c->role);

	if (fd < 0) {
		log_line(LOG_DETAIL, TOPIC_WALL, "forbidden calls will not be named: errno %d", errno);
		return;
	}
	if (channel_push_fd(&c->control, MSG_LISTENER, &m, fd, true) < 0 || channel_flush(&c->control) != 0)
		fail(c, "LISTENER", "the parent is gone");
}

static void count_fds(struct msg_ready *m)
{
	struct rlimit r = { .rlim_cur = 1024 };
	int fd, last;

	(void)getrlimit(RLIMIT_NOFILE, &r);
	last = r.rlim_cur > 1u << 16 ? 1 << 16 : (int)r.rlim_cur;
	for (fd = 0; fd < last; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			continue;
		m->fd_count++;
		if (fd < 64)
			m->fd_map |= 1ull << fd;
	}
}

/* GO, or no return. */
static void wait_for_go(struct compartment *c)
{
	struct packet p;
	enum channel_result r;

	for (;;) {
		r = channel_wait(&c->control, &p, PARENT_MS);
		if (r == CHANNEL_OK && p.type == MSG_GO)
			return;
		if (r == CHANNEL_CLOSED || (r == CHANNEL_OK && p.type == MSG_SHUTDOWN))
			_exit(0);
		if (r != CHANNEL_OK || p.type != MSG_LISTEN_PORT || c->role != ROLE_NETPROC)
			fail(c, "waiting for GO", result_text(r));
		if (((const struct msg_listen_port *)packet_message(&p, 0))->port > UINT16_MAX)
			fail(c, "LISTEN_PORT", "there is no such port");
		c->listen_port = ((const struct msg_listen_port *)packet_message(&p, 0))->port;
	}
}

void compartment_lock(struct compartment *c)
{
	struct msg_ready ready = { 0 };

	if (!landlocked)
		compartment_landlock(c, -1);
	name_attacks(c);
	count_fds(&ready);
	sandbox_end(c->role, &c->walls);
	ready.walls = c->walls;
	say(c, MSG_READY, &ready);
	wait_for_go(c);
}

void compartment_hear(struct compartment *c, const struct permit *table, size_t rows, const uint32_t *state, void *self)
{
	switch (channel_dispatch(&c->control, table, rows, state, self, PACKETS_PER_TURN)) {
	case CHANNEL_OK:
	case CHANNEL_EMPTY:
		break;
	case CHANNEL_CLOSED:
		_exit(0);
	case CHANNEL_VIOLATION:
		log_now(LOG_ERROR, "parent broke the contract: %s", channel_violation());
		_exit(1);
	}
}

void compartment_end(struct compartment *c, uint32_t status)
{
	struct msg_bye m = { .status = status };
	uint64_t end = now_ms() + BYE_MS;
	bool pushed = false;

	for (;;) {
		struct pollfd pf = { .fd = c->control.fd, .events = POLLOUT };
		uint64_t now = now_ms();
		int r;

		if (!pushed && channel_push(&c->control, MSG_BYE, &m) == 0)
			pushed = true;
		r = channel_flush(&c->control);
		if (r < 0 || (pushed && r == 0) || now >= end)
			break;
		(void)poll(&pf, 1, (int)(end - now));
	}
	_exit(status ? 1 : 0);
}
