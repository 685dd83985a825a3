/*
 * supervise.c - see supervise.h.
 *
 * Before anything untrusted: the launcher is forked, the SOURCEs are copied
 * into memory files, directories, records and certificates are opened.  Then one loop:
 * launcher, signals, control channels, forbidden calls, timers.  When every
 * SOURCE was inspected and its output is open, the parent raises its own
 * walls; only then does any compartment hear GO, but for inspect: that one has
 * to be done before the output can be opened, so while it reads a stranger's
 * bytes the parent is not locked yet (for `show`, which opens nothing, it is,
 * and for `create`, whose output is open before).
 *
 * Must never: parse what a stranger sent, wait for one compartment alone.
 */
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "download.h"
#include "screen.h"
#include "source.h"

/* The launcher's answers and each child's packets in one turn. */
#define ANSWERS_A_TURN 64
#define LAUNCHER_END_MS 200u
#define INTERRUPTED_DRAIN_MS 1000
#define MAX_POLL (3u + OPTIONS_MAX_SOURCES * ROLE_COUNT * 2u)

struct supervisor {
	struct context x;
	struct download *downloads; /* of o->source_count */
	int signals;      /* signalfd */
	uint32_t interrupts;
	bool launcher_gone;
};

static void log_sink(enum role role, enum log_level level, enum log_topic topic, const char *text)
{
	screen_log(UINT32_MAX, role, level, topic, text, strlen(text));
}

/* ---- before anything untrusted */

static int open_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction a;
	sigset_t set;
	size_t i;

	(void)signal(SIGPIPE, SIG_IGN); /* a pipe that is closed is an error of write */
	(void)signal(SIGCHLD, SIG_DFL); /* ignored, it would let the kernel reap the compartments */
	sigemptyset(&set);
	/* What whoever started us has ignored (nohup, a shell's background job) stays ignored: blocked, it would be read. */
	for (i = 0; i < ARRAY_LEN(ends); i++)
		if (sigaction(ends[i], NULL, &a) == 0 && a.sa_handler != SIG_IGN)
			sigaddset(&set, ends[i]);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* Directories and certificates.  0, or an exit status. */
static int open_files(struct supervisor *s)
{
	const struct options *o = s->x.o;
	char name[400], why[700];

	if (o->command == COMMAND_SHOW)
		return 0;
	if (o->command == COMMAND_CREATE)
		return creating_open(&s->downloads[0]);
	s->x.dir = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->x.dir < 0) {
		int error = errno;

		screen_error("cannot open the directory '%s': %s", screen_safe(name, sizeof name, o->dir, strlen(o->dir)), strerror(error));
		return STATUS_STORAGE;
	}
	if (o->command == COMMAND_CHECK && !o->repair && !o->quick)
		return 0;
	s->x.states = state_directory(o->state_dir, why, sizeof why);
	if (s->x.states < 0) {
		screen_error("%s", why);
		return STATUS_STORAGE;
	}
	if (o->ca_file && o->trackers) {
		s->x.ca = open(o->ca_file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (s->x.ca < 0) {
			int error = errno;

			screen_error("cannot open '%s': %s", screen_safe(name, sizeof name, o->ca_file, strlen(o->ca_file)), strerror(error));
			return STATUS_FAILED;
		}
	}
	return 0;
}

static void read_sources(struct supervisor *s)
{
	const struct options *o = s->x.o;
	uint32_t i;

	for (i = 0; i < o->source_count && o->command != COMMAND_CREATE; i++) {
		struct download *d = &s->downloads[i];
		char error[600];
		int fd = source_read(o->sources[i], o->max_torrent_bytes, error, sizeof error);

		if (fd >= 0) {
			d->input = fd;
			continue;
		}
		screen_error("%s", error);
		json_begin("error", i);
		json_number("status", (uint64_t)-fd);
		json_word("text", error);
		json_end_result();
		d->status = -fd;
		d->state = DOWNLOAD_ENDED;
	}
}

/* 0, or an exit status: what failed was said. */
static int prepare(struct supervisor *s, const struct options *o)
{
	struct launcher_programs programs;
	uint32_t i;
	int r;

	s->x.o = o;
#ifndef SANDBOX_WIDE
	s->x.root = geteuid() == 0;
#endif
	s->x.dir = s->x.states = s->x.ca = s->signals = -1;
	hook_init(&s->x.hook);
	s->downloads = must_calloc(o->source_count, sizeof *s->downloads);
	for (i = 0; i < o->source_count; i++)
		download_init(&s->downloads[i], &s->x, i, o->sources[i], -1);
	log_to_sink(log_sink, o->verbose > 1 ? LOG_TRACE : o->verbose ? LOG_DETAIL : LOG_INFO);
	json_begin("start", UINT32_MAX);
	json_word("version", BULKHEAD_VERSION);
	json_number("sources", o->source_count);
	json_end();
	/* First of all: it is to have nothing that comes later, and no umask but the user's. */
	if (o->on_complete[0] && hook_start(&s->x.hook, o) < 0) {
		screen_error("cannot start a process for --on-complete: %s", strerror(errno));
		return STATUS_FAILED;
	}
	/* For all that is made from now on, here and by diskproc, which cannot change a mode. */
	if (o->mode)
		(void)umask(0);
	launcher_find_programs(&programs);
	if (launcher_start(&s->x.launcher, &programs) < 0) {
		screen_error("cannot start the launcher: %s", strerror(errno));
		return STATUS_FAILED;
	}
	r = open_files(s);
	if (r)
		return r;
	read_sources(s);
	s->signals = open_signals();
	if (s->signals < 0) {
		screen_error("cannot watch signals: %s", strerror(errno));
		return STATUS_FAILED;
	}
	return 0;
}

/* The parent's own walls.  Ends the process when a required one cannot be raised, unless the user allowed it. */
static void lock(struct supervisor *s)
{
	uint32_t walls = sandbox_begin(ROLE_PARENT);

	hook_seal(&s->x.hook);
	/* Each record that is needed is open. */
	if (s->x.states >= 0)
		close(s->x.states);
	s->x.states = -1;
	sandbox_landlock(ROLE_PARENT, s->x.dir, &walls);
	sandbox_end(ROLE_PARENT, &walls);
	s->x.locked = true;
}

/* ---- the loop */

static void on_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;
	uint32_t i;
	bool children = false;

	while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			children = true;
			break;
		case SIGWINCH:
			screen_resize();
			break;
		case SIGHUP:
			/* A terminal that is closed sends several, which are no impatience: goodbyes go on. */
			if (s->interrupts)
				break;
			/* fall through */
		default:
			s->interrupts++;
			for (i = 0; i < s->x.o->source_count; i++)
				if (s->downloads[i].state != DOWNLOAD_ENDED)
					download_interrupt(&s->downloads[i], s->interrupts > 1);
		}
	}
	for (i = 0; children && i < s->x.o->source_count; i++)
		download_reap(&s->downloads[i]);
}

static void on_launcher(struct supervisor *s)
{
	struct launcher_answer a;
	uint32_t i;
	int n, r = 1;

	for (n = 0; n < ANSWERS_A_TURN; n++) {
		r = launcher_answer(&s->x.launcher, &a, 0);
		if (r)
			break;
		for (i = 0; i < s->x.o->source_count && !download_on_answer(&s->downloads[i], &a); i++)
			;
		/* Of a request that nobody waits for any more. */
		if (i == s->x.o->source_count && a.fd >= 0)
			close(a.fd);
	}
	if (r >= 0 || s->launcher_gone)
		return;
	s->launcher_gone = true;
	for (i = 0; i < s->x.o->source_count; i++)
		if (s->downloads[i].state != DOWNLOAD_ENDED)
			download_without_launcher(&s->downloads[i]);
	launcher_stop(&s->x.launcher);
}

/* One inspect at a time; when all were inspected, the walls and the downloads. */
static void advance(struct supervisor *s)
{
	const struct options *o = s->x.o;
	uint32_t i, unprepared = 0;
	bool inspecting = false;

	for (i = 0; i < o->source_count; i++)
		inspecting |= s->downloads[i].state == DOWNLOAD_INSPECTING;
	for (i = 0; i < o->source_count; i++) {
		struct download *d = &s->downloads[i];

		if (d->state == DOWNLOAD_WAITING && !inspecting) {
			/* A single one: the rest comes up while inspect works.  Many would wait for each other too long. */
			download_inspect(d, o->command != COMMAND_SHOW && o->source_count == 1);
			inspecting = d->state == DOWNLOAD_INSPECTING;
		}
		unprepared += d->state == DOWNLOAD_WAITING || d->state == DOWNLOAD_INSPECTING;
		download_advance(d);
	}
	if (unprepared && o->command != COMMAND_SHOW && o->command != COMMAND_CREATE)
		return;
	for (i = 0; i < o->source_count; i++)
		if (s->downloads[i].state == DOWNLOAD_PREPARED) {
			download_start(&s->downloads[i]);
			download_advance(&s->downloads[i]);
		}
	/* While the others raise theirs: they hear GO after it.  inspect has heard it, unless this is `show`; create has not. */
	if (!s->x.locked) {
		lock(s);
		for (i = 0; i < o->source_count; i++)
			download_advance(&s->downloads[i]);
	}
}

static bool all_ended(const struct supervisor *s)
{
	uint32_t i;

	for (i = 0; i < s->x.o->source_count; i++)
		if (s->downloads[i].state != DOWNLOAD_ENDED)
			return false;
	return true;
}

/* What is polled: a place in the array and whose it is. */
struct watch {
	struct pollfd pf[MAX_POLL + SCREEN_STREAMS];
	struct child *child[MAX_POLL];
	nfds_t count;
};

static void watch_fd(struct watch *w, int fd, short events, struct child *c)
{
	if (fd < 0)
		return;
	w->pf[w->count] = (struct pollfd){ .fd = fd, .events = events };
	w->child[w->count++] = c;
}

static void watch_all(struct supervisor *s, struct watch *w)
{
	uint32_t i, k;

	w->count = 0;
	watch_fd(w, s->signals, POLLIN, NULL);
	watch_fd(w, s->launcher_gone ? -1 : s->x.launcher.channel.fd, POLLIN, NULL);
	watch_fd(w, s->x.hook.channel.fd, POLLIN, NULL);
	for (i = 0; i < s->x.o->source_count; i++)
		for (k = 0; k < ROLE_COUNT; k++) {
			struct child *c = &s->downloads[i].child[k];

			watch_fd(w, c->control.fd, (short)(POLLIN | (channel_wants_write(&c->control) ? POLLOUT : 0)), c);
			watch_fd(w, c->listener, POLLIN, c);
		}
}

static void draw(struct supervisor *s)
{
	struct screen_row rows[OPTIONS_MAX_SOURCES];
	uint32_t i, n = 0;

	for (i = 0; i < s->x.o->source_count; i++)
		n += download_row(&s->downloads[i], &rows[n]);
	screen_progress(rows, n, s->x.now_ms);
}

/* Until when nothing has to happen by itself. */
static int wait_ms(struct supervisor *s)
{
	uint64_t next = UINT64_MAX, now = s->x.now_ms;
	struct screen_row row;
	bool drawn = false;
	uint32_t i;

	for (i = 0; i < s->x.o->source_count; i++) {
		next = min_u64(next, download_timers(&s->downloads[i]));
		drawn |= download_row(&s->downloads[i], &row);
	}
	if (drawn)
		next = min_u64(next, screen_due());
	return next == UINT64_MAX ? -1 : next <= now ? 0 : (int)min_u64(next - now, 60000);
}

static void serve(struct supervisor *s, struct watch *w)
{
	nfds_t i;

	for (i = 0; i < w->count; i++) {
		struct child *c = w->child[i];

		if (!w->pf[i].revents)
			continue;
		if (!c && w->pf[i].fd == s->signals)
			on_signals(s);
		else if (!c && w->pf[i].fd == s->x.hook.channel.fd)
			hook_hear(&s->x.hook);
		else if (!c)
			on_launcher(s);
		else if (w->pf[i].fd == c->listener)
			child_on_notification(c, w->pf[i].revents & (POLLHUP | POLLERR | POLLNVAL));
		else if (w->pf[i].fd == c->control.fd)
			download_on_control(&s->downloads[c->source], c->role);
		/* else: closed by what was served before it in this turn */
	}
}

static void loop(struct supervisor *s)
{
	static struct watch w;

	while (!all_ended(s)) {
		int timeout;

		s->x.now_ms = now_ms();
		advance(s);
		timeout = wait_ms(s);
		/* A timer may have ended something: what follows from that is not to wait. */
		advance(s);
		if (all_ended(s))
			break;
		draw(s);
		watch_all(s, &w);
		if (poll(w.pf, w.count + screen_watch(w.pf + w.count), timeout) < 0 && errno != EINTR)
			bug("poll: errno %d", errno);
		s->x.now_ms = now_ms();
		serve(s, &w);
	}
}

/* What --on-complete has started is waited for, unless the user is tired of it: it runs on then. */
static void wait_for_hook(struct supervisor *s)
{
	while (hook_is_busy(&s->x.hook) && !s->interrupts) {
		struct pollfd pf[2 + SCREEN_STREAMS] = { { .fd = s->x.hook.channel.fd, .events = POLLIN }, { .fd = s->signals, .events = POLLIN } };

		(void)poll(pf, 2 + screen_watch(pf + 2), -1);
		if (pf[0].revents)
			hook_hear(&s->x.hook);
		if (pf[1].revents)
			on_signals(s);
	}
	hook_close(&s->x.hook);
}

/* The launcher ends when its channel does. */
static void end_launcher(struct supervisor *s)
{
	struct pollfd pf = { .fd = s->signals, .events = POLLIN };
	uint64_t end = now_ms() + LAUNCHER_END_MS;

	if (s->x.launcher.pid <= 0)
		return;
	launcher_stop(&s->x.launcher);
	while (waitpid(s->x.launcher.pid, NULL, WNOHANG) == 0) {
		struct signalfd_siginfo info;
		uint64_t now = now_ms();

		if (now >= end || s->signals < 0) {
			(void)kill(s->x.launcher.pid, SIGKILL);
			(void)waitpid(s->x.launcher.pid, NULL, 0);
			return;
		}
		if (poll(&pf, 1, (int)(end - now)) > 0)
			(void)!read(s->signals, &info, sizeof info);
	}
}

/* Results wait for their reader; whoever interrupts does not. */
static void drain(struct supervisor *s)
{
	uint32_t before = s->interrupts;

	while (!screen_drain(s->signals, before ? INTERRUPTED_DRAIN_MS : -1)) {
		if (before)
			return;
		on_signals(s);
		if (s->interrupts)
			return;
	}
}

int supervise(const struct options *o)
{
	static struct supervisor s;
	uint32_t i;
	int status = prepare(&s, o);

	if (!status) {
		loop(&s);
		screen_end();
		wait_for_hook(&s);
		for (i = 0; i < o->source_count; i++)
			status = options_worst_status(status, s.downloads[i].status);
	}
	end_launcher(&s);
	json_begin("exit", UINT32_MAX);
	json_number("status", (uint64_t)status);
	json_end_result();
	drain(&s);
	/* No success that nobody was told of; show has said it already. */
	if (status == STATUS_COMPLETE && screen_lost()) {
		screen_error("cannot write to standard output: %s", strerror(screen_lost()));
		status = STATUS_FAILED;
		drain(&s);
	}
	for (i = 0; i < o->source_count; i++)
		download_close(&s.downloads[i]);
	free(s.downloads);
	return status;
}
