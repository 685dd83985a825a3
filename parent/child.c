/*
 * child.c - see child.h.
 *
 * Runs before and after the parent's lock.  Nothing here waits.
 */
#include "child.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "compartment.h"
#include "policy.h"
#include "screen.h"

/* From LAUNCH (launched ahead: from when there is something to feed it) to GO; a machine that swaps is slow, but not that slow. */
#define START_MS 20000u
/* A child whose channel is closed, or that said BYE, has so long to be gone. */
#define GONE_MS 1000u
/* Packets of one child in one turn, so that none starves the others. */
#define PACKETS_A_TURN 32
/* EXIT_WALL of sandbox.c: a wall could not be raised. */
#define EXIT_NO_WALL 6

void child_init(struct child *c, enum role role, uint32_t source)
{
	memset(c, 0, sizeof *c);
	c->role = role;
	c->source = source;
	c->control.fd = -1;
	c->listener = -1;
	c->log_tokens = CHILD_LOG_BURST;
}

int child_launch(struct child *c, struct launcher *l, int uid, int gid, uint64_t now_ms)
{
	if (c->state != CHILD_NONE)
		bug("%s is started in state %u", role_name(c->role), c->state);
	child_init(c, c->role, c->source);
	c->launch_tag = launcher_ask_launch(l, c->role, uid, gid);
	if (!c->launch_tag)
		return -1;
	c->state = CHILD_LAUNCHING;
	c->deadline_ms = now_ms + START_MS;
	return 0;
}

void child_patience(struct child *c, uint64_t now_ms)
{
	if (c->state > CHILD_NONE && c->state < CHILD_RUNNING)
		c->deadline_ms = now_ms + START_MS;
}

void child_forget_launch(struct child *c)
{
	if (!c->launch_tag)
		return;
	c->launch_tag = 0;
	c->state = CHILD_NONE;
}

void child_launched(struct child *c, const struct launcher_answer *a)
{
	c->launch_tag = 0;
	c->pid = a->pid;
	c->walls = a->spaces;
	channel_init(&c->control, a->fd, CONTROL_EPOCH, true, role_name(c->role));
	/* It may have been given up meanwhile. */
	if (c->state == CHILD_DYING)
		(void)kill(c->pid, SIGKILL);
	else
		c->state = CHILD_HELLO;
}

void child_kill(struct child *c, const char *cause, ...)
{
	if (c->state == CHILD_NONE)
		return;
	if (cause && !c->cause[0]) {
		va_list ap;

		va_start(ap, cause);
		vsnprintf(c->cause, sizeof c->cause, cause, ap);
		va_end(ap);
	}
	c->state = CHILD_DYING;
	c->deadline_ms = 0;
	/* Not reaped yet, so the number is still its own. */
	if (c->pid > 0)
		(void)kill(c->pid, SIGKILL);
}

void child_send(struct child *c, enum message_type type, const void *message)
{
	if (c->state == CHILD_NONE || c->state == CHILD_LAUNCHING || c->state >= CHILD_DONE)
		return;
	if (channel_push(&c->control, type, message) == 0 && channel_flush(&c->control) >= 0)
		return;
	/* Gone already: EOF and its exit status tell more than this failure. */
	if (errno != EPIPE && errno != ECONNRESET)
		child_kill(c, "does not take messages");
}

void child_give(struct child *c, enum setup_fd what, int fd, uint32_t epoch, bool give)
{
	struct msg_setup_fd m = { .what = (uint32_t)what, .epoch = epoch };

	c->given |= 1u << what;
	c->stale &= ~(1u << what);
	if (channel_push_fd(&c->control, MSG_SETUP_FD, &m, fd, give) == 0)
		return;
	if (give)
		close(fd);
	if (errno != EPIPE && errno != ECONNRESET)
		child_kill(c, "does not take descriptors");
}

void child_setup_end(struct child *c)
{
	struct msg_setup_end m = { 0 };

	if (c->state != CHILD_SETUP)
		return;
	child_send(c, MSG_SETUP_END, &m);
	if (c->state == CHILD_SETUP)
		c->state = CHILD_LOCKING;
}

int child_on_hello(void *self, const void *message, int fd)
{
	const struct msg_hello *m = message;
	struct child *c = self;
	uint8_t ours[sizeof m->build];

	(void)fd;
	build_hash(ours);
	if (memcmp(m->build, ours, sizeof ours)) {
		child_kill(c, "is of another build");
		return 0;
	}
	if (m->role != (uint32_t)c->role) {
		child_kill(c, "says that it is another");
		return 0;
	}
	c->state = CHILD_SETUP;
	return 0;
}

int child_on_listener(void *self, const void *message, int fd)
{
	struct child *c = self;

	(void)message;
	if (c->listener >= 0) {
		close(fd);
		return -1;
	}
	c->listener = fd;
	return 0;
}

int child_on_ready(void *self, const void *message, int fd)
{
	const struct msg_ready *m = message;
	struct child *c = self;

	(void)fd;
	c->walls |= m->walls;
	c->fd_count = m->fd_count;
	c->fd_map = m->fd_map;
	c->state = CHILD_CHECKING;
	return 0;
}

bool child_ask_check(struct child *c, struct launcher *l)
{
	c->check_tag = launcher_ask_status(l, c->pid);
	return c->check_tag != 0;
}

/* Names of the walls in a set, with commas between. */
static void name_walls(char *out, size_t room, uint32_t walls)
{
	struct text t;
	unsigned w;

	text_init(&t, out, room);
	for (w = 0; w < WALLS; w++)
		if (walls & WALL_BIT(w))
			text_addf(&t, "%s%s", t.length ? ", " : "", wall_names[w]);
}

#define KEPT(what) (1u << SETUP_##what)

/*
 * The descriptors with which a role stands behind its walls, beside 0, 1 and 2
 * (/dev/null) and 3 (control): those that it was passed and keeps, and some of
 * its own.  Whatever is open beyond is a way out that nobody thought of.
 */
static const struct {
	uint32_t keeps;       /* of what it was given; the others were read or mapped, and closed */
	uint32_t least, most; /* of its own */
} holdings[ROLE_COUNT] = {
	[ROLE_INSPECT] = { KEPT(FORM) | KEPT(INPUT) | KEPT(TEXT), 0, 0 }, /* read and written after GO */
	[ROLE_RESOLVER] = { KEPT(RESOLVE), 1, 1 },                      /* an eventfd: its threads have answers */
	[ROLE_DIALER] = { KEPT(DIAL) | KEPT(RESOLVE), 1, 1 },            /* a netlink socket: asks for routes; what listens is counted apart */
	/* Two epolls: peers, and all others.  libcurl's way to wake itself: a pair of sockets, an eventfd, or none. */
	[ROLE_NETPROC] = { KEPT(DISK) | KEPT(DIAL) | KEPT(CONVEYOR), 2, 4 },
	/* The form is mapped after GO, so are the slots; an eventfd: its threads have results; both ends of the conveyor. */
	[ROLE_DISKPROC] = { KEPT(FORM) | KEPT(ROOT) | KEPT(FILE) | KEPT(SPILL) | KEPT(DISK) | KEPT(SLOTS) | KEPT(RECORD) | KEPT(PARTS), 3, 3 },
	[ROLE_CREATE] = { KEPT(FORM) | KEPT(ROOT) | KEPT(FILE), 1, 1 }, /* an eventfd: its threads have results */
};

static uint32_t ones(uint64_t bits)
{
	return (uint32_t)__builtin_popcountll(bits);
}

/* Whether it holds what its role may, as it says; otherwise *why tells. */
static bool holdings_are_right(const struct child *c, char *why, size_t room)
{
	uint32_t base = 4 + ones(c->given & holdings[c->role].keeps) + c->listens, least = base + holdings[c->role].least;
	uint32_t most = base + holdings[c->role].most;
	/* A number once taken by what was passed and closed may stay unused, but none is far above. */
	uint32_t numbers = 4 + ones(c->given) + c->listens + holdings[c->role].most;

	if (c->fd_count >= least && c->fd_count <= most && ones(c->fd_map) == c->fd_count && (c->fd_map & 15) == 15 && !(c->fd_map >> numbers))
		return true;
	snprintf(why, room, " (it holds %u, of which %u below 64, the highest of these %d; expected: %u to %u, none above %u)", c->fd_count,
		 ones(c->fd_map), c->fd_map ? 63 - __builtin_clzll(c->fd_map) : -1, least, most, numbers - 1);
	return false;
}

void child_checked(struct child *c, const struct msg_process_status *s, bool weak)
{
	uint32_t missing = walls_required(c->role) & ~c->walls, wanted = walls_wanted(c->role) & ~c->walls & ~missing;
	char names[400], holds[130] = "";

	c->check_tag = 0;
	if (c->state != CHILD_CHECKING)
		return;
#ifndef SANDBOX_WIDE
	/* What it says of itself, and what the kernel says of it. */
	if (s->seccomp != 2)
		missing |= WALL_BIT(WALL_SECCOMP);
	if (!s->no_new_privs)
		missing |= WALL_BIT(WALL_NO_NEW_PRIVS);
	if (s->caps)
		missing |= WALL_BIT(WALL_NO_CAPS);
	if (!holdings_are_right(c, holds, sizeof holds))
		missing |= WALL_BIT(WALL_FDS_CLOSED);
#else
	(void)s;
	(void)holdings_are_right;
#endif
	if (wanted) {
		char line[440];

		name_walls(names, sizeof names, wanted);
		snprintf(line, sizeof line, "not to be had here: %s", names);
		screen_log(c->source, c->role, LOG_DETAIL, TOPIC_WALL, line, strlen(line));
	}
	name_walls(names, sizeof names, missing);
	if (missing && !weak) {
		c->wall_missing = true;
		child_kill(c, "lacks a required wall: %s%s", names, holds);
		return;
	}
	if (missing)
		screen_warn("%s runs without a required wall: %s%s", role_name(c->role), names, holds);
	c->state = CHILD_HELD;
}

void child_go(struct child *c)
{
	struct msg_go m = { 0 };
	char names[400];

	if (c->state != CHILD_HELD)
		return;
	child_send(c, MSG_GO, &m);
	if (c->state != CHILD_HELD)
		return;
	c->state = CHILD_RUNNING;
	c->deadline_ms = 0;
	c->was_running = true;
	name_walls(names, sizeof names, c->walls);
	json_begin("compartment", c->source);
	json_word("compartment", role_name(c->role));
	json_word("state", "running");
	json_number("pid", (uint64_t)c->pid);
	json_word("walls", names);
	json_end();
}

void child_shutdown(struct child *c, uint32_t grace_ms, uint64_t now_ms)
{
	struct msg_shutdown m = { .grace_ms = grace_ms };

	if (c->state == CHILD_RUNNING) {
		child_send(c, MSG_SHUTDOWN, &m);
		if (c->state == CHILD_RUNNING)
			c->state = CHILD_ENDING;
		c->deadline_ms = now_ms + grace_ms;
	} else if (c->state != CHILD_ENDING && c->state != CHILD_DONE) {
		child_kill(c, NULL);
	}
}

int child_on_log(void *self, const void *message, int fd)
{
	const struct msg_log *m = message;
	struct child *c = self;
	uint64_t now = now_ms(), refill = (now - c->log_ms) * CHILD_LOG_PER_SECOND / 1000;
	uint32_t level;

	(void)fd;
	if (m->level >= LOG_LEVELS || m->topic >= TOPICS || m->length > sizeof m->text)
		return -1;
	if (refill) {
		c->log_tokens = (uint32_t)min_u64(CHILD_LOG_BURST, c->log_tokens + refill);
		c->log_ms = now;
	}
	if (!c->log_tokens) {
		c->log_dropped++;
		return 0;
	}
	c->log_tokens--;
	if (c->log_dropped) {
		screen_warn("%s: %u log lines were left out", role_name(c->role), c->log_dropped);
		c->log_dropped = 0;
	}
	/* At the end its siblings leave one by one, which is no news. */
	level = c->state >= CHILD_ENDING && m->level > LOG_BUG ? max_u32(m->level, LOG_DETAIL) : m->level;
	screen_log(c->source, c->role, (enum log_level)level, (enum log_topic)m->topic, m->text, m->length);
	return 0;
}

int child_on_violation(void *self, const void *message, int fd)
{
	const struct msg_violation *m = message;

	(void)fd;
	child_kill(self, "made an unlisted system call: %s (%u)", policy_call_name((int)(m->syscall & 0x7fffffff)), m->syscall);
	return 0;
}

int child_on_bye(void *self, const void *message, int fd)
{
	const struct msg_bye *m = message;
	struct child *c = self;

	(void)fd;
	if (m->status && !c->cause[0])
		snprintf(c->cause, sizeof c->cause, "ended with status %u", m->status);
	c->state = CHILD_DONE;
	c->deadline_ms = now_ms() + GONE_MS;
	return 0;
}

void child_dispatch(struct child *c, const struct permit *table, size_t rows)
{
	enum channel_result r;

	if (c->control.fd < 0)
		return;
	r = channel_dispatch(&c->control, table, rows, &c->state, c, PACKETS_A_TURN);
	if (r == CHANNEL_VIOLATION) {
		/* What is on its way from a child that we killed is no news. */
		if (c->state != CHILD_DYING)
			child_kill(c, "broke its contract: %s", channel_violation());
		channel_close(&c->control);
	} else if (r == CHANNEL_CLOSED) {
		channel_close(&c->control);
		if (c->state != CHILD_DYING) {
			/* Its exit status comes with SIGCHLD. */
			if (c->state != CHILD_DONE)
				c->state = CHILD_DYING;
			c->deadline_ms = now_ms() + GONE_MS;
		}
	}
}

void child_on_notification(struct child *c, bool hung_up)
{
	/* The kernel's struct may be larger than the header's; what it does not fill must be zero. */
	union {
		struct seccomp_notif notification;
		uint8_t room[1024];
	} u;

	memset(&u, 0, sizeof u);
	if (ioctl(c->listener, SECCOMP_IOCTL_NOTIF_RECV, &u.notification) == 0) {
		child_kill(c, "made a forbidden system call: %s", policy_call_name(u.notification.data.nr));
		return;
	}
	/* ENOENT: whoever made the call is dead already. */
	if (!hung_up && (errno == EINTR || errno == ENOENT))
		return;
	close(c->listener);
	c->listener = -1;
}

void child_reaped(struct child *c, const siginfo_t *how)
{
	if (!c->cause[0] && how->si_code == CLD_EXITED) {
		c->wall_missing = how->si_status == EXIT_NO_WALL && !c->was_running;
		snprintf(c->cause, sizeof c->cause, c->wall_missing ? "could not raise a wall (status %d)" : "exited with status %d", how->si_status);
	} else if (!c->cause[0]) {
		snprintf(c->cause, sizeof c->cause, "was ended by signal %d (%s)", how->si_status, strsignal(how->si_status));
	}
	channel_close(&c->control);
	if (c->listener >= 0)
		close(c->listener);
	c->listener = -1;
	c->pid = 0;
	c->deadline_ms = 0;
	c->state = CHILD_NONE;
}
