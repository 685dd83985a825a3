/*
 * hook.c - see hook.h: first its own process, then the parent's side of it.
 */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metainfo.h"
#include "screen.h"

#define KEPT_FD 3
/* HOOK_DONE.status of one that a signal ended: this and its number. */
#define BY_SIGNAL 256
#define PACKETS_A_TURN 32

/* ---- the process */

enum { HOOK_OPEN, HOOK_SEALED };

struct server {
	struct channel channel;
	const char *program, *dir; /* absolute */
	sigset_t mask;             /* of whoever started bulkhead */
	uint32_t state;
	uint32_t count;      /* of SOURCEs */
	uint32_t named, ran; /* bit i: download i */
	struct msg_hook_name names[OPTIONS_MAX_SOURCES];
};

static int on_name(void *self, const void *message, int fd)
{
	struct server *s = self;
	const struct msg_hook_name *m = message;

	(void)fd;
	if (m->index >= s->count || s->named >> m->index & 1 || m->length > METAINFO_MAX_NAME || m->name[m->length] ||
	    !metainfo_name_is_safe((const char *)m->name, m->length))
		return -1;
	s->names[m->index] = *m;
	s->named |= 1u << m->index;
	return 0;
}

static int on_seal(void *self, const void *message, int fd)
{
	struct server *s = self;

	(void)message;
	(void)fd;
	s->state = HOOK_SEALED;
	return 0;
}

static bool set_variable(const char *name, const char *value)
{
	return setenv(name, value, 1) == 0;
}

/* What the program is told beside its argument. */
static bool set_environment(const struct msg_hook_name *m, const char *path)
{
	char hash[41], bytes[24];

	hex_text(hash, m->info_hash, sizeof m->info_hash);
	snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)m->bytes);
	return set_variable("BULKHEAD_NAME", (const char *)m->name) && set_variable("BULKHEAD_PATH", path) &&
	       set_variable("BULKHEAD_INFO_HASH", hash) && set_variable("BULKHEAD_BYTES", bytes);
}

/* In the new process.  What it prints goes where talk goes: standard output is bulkhead's own. */
NORETURN static void become(const struct server *s, const struct msg_hook_name *m)
{
	char path[PATH_MAX + METAINFO_MAX_NAME + 2];
	int null = open("/dev/null", O_RDONLY);
	char *argv[] = { (char *)(uintptr_t)s->program, path, NULL };
	extern char **environ;

	snprintf(path, sizeof path, "%s/%s", strcmp(s->dir, "/") ? s->dir : "", (const char *)m->name);
	if (null < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0 || !set_environment(m, path))
		_exit(126);
	(void)syscall(SYS_close_range, 3u, ~0u, 0u);
	(void)sigprocmask(SIG_SETMASK, &s->mask, NULL);
	(void)execve(s->program, argv, environ);
	_exit(errno == ENOENT ? 127 : 126);
}

static int on_run(void *self, const void *message, int fd)
{
	struct server *s = self;
	const struct msg_hook_run *m = message;
	struct msg_hook_done done = { .index = m->index, .status = -1 };
	int how = 0;
	pid_t pid;

	(void)fd;
	if (m->index >= s->count || !(s->named >> m->index & 1) || s->ran >> m->index & 1)
		return -1;
	s->ran |= 1u << m->index;
	pid = fork();
	if (pid == 0)
		become(s, &s->names[m->index]);
	if (pid > 0) {
		while (waitpid(pid, &how, 0) < 0 && errno == EINTR)
			;
		done.status = WIFEXITED(how) ? WEXITSTATUS(how) : BY_SIGNAL + WTERMSIG(how);
	}
	/* Nobody may be there any more. */
	(void)!channel_push(&s->channel, MSG_HOOK_DONE, &done);
	(void)channel_flush(&s->channel);
	return 0;
}

NORETURN static void serve(struct server *s, int sock)
{
	static const struct permit table[] = {
		{ MSG_HOOK_NAME, 1u << HOOK_OPEN, on_name },
		{ MSG_HOOK_SEAL, 1u << HOOK_OPEN, on_seal },
		{ MSG_HOOK_RUN, 1u << HOOK_SEALED, on_run },
	};
	enum channel_result r = CHANNEL_OK;
	sigset_t all;

	/* Signals are meant for bulkhead, and for the program while it runs. */
	(void)signal(SIGCHLD, SIG_DFL); /* ignored, it would let the kernel reap the program */
	sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &s->mask);
	if (dup2(sock, KEPT_FD) < 0 || syscall(SYS_close_range, KEPT_FD + 1u, ~0u, 0u) < 0)
		_exit(1);
	channel_init(&s->channel, KEPT_FD, 0, false, "parent");
	log_to_channel(NULL, LOG_BUG);
	while (r == CHANNEL_OK || r == CHANNEL_EMPTY) {
		struct pollfd pf = { .fd = KEPT_FD, .events = POLLIN };

		(void)poll(&pf, 1, -1);
		r = channel_dispatch(&s->channel, table, ARRAY_LEN(table), &s->state, s, 1);
	}
	_exit(r == CHANNEL_VIOLATION);
}

/* ---- the parent's side */

void hook_init(struct hook *h)
{
	memset(h, 0, sizeof *h);
	h->channel.fd = -1;
}

int hook_start(struct hook *h, const struct options *o)
{
	struct server *s;
	int ends[2], saved;
	char *dir;
	pid_t pid;

	if (channel_pair(ends) < 0)
		return -1;
	dir = realpath(o->dir, NULL);
	pid = fork();
	if (pid == 0) {
		s = must_calloc(1, sizeof *s);
		s->program = o->on_complete;
		/* One that is not there is found out before anything is downloaded. */
		s->dir = dir ? dir : "/";
		s->count = o->source_count;
		serve(s, ends[1]);
	}
	saved = errno;
	free(dir);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		errno = saved;
		return -1;
	}
	channel_init(&h->channel, ends[0], 0, false, "hook");
	return 0;
}

static void hook_say(struct hook *h, enum message_type type, const void *message)
{
	/* Bounded: a name and a run for each SOURCE. */
	if (h->channel.fd >= 0 && (channel_push(&h->channel, type, message) < 0 || channel_flush(&h->channel) < 0))
		hook_close(h);
}

void hook_name(struct hook *h, uint32_t index, const char *name, size_t length, const uint8_t *info_hash, uint64_t bytes)
{
	struct msg_hook_name m = { .index = index, .length = (uint32_t)min_u64(length, METAINFO_MAX_NAME), .bytes = bytes };

	memcpy(m.name, name, m.length);
	memcpy(m.info_hash, info_hash, sizeof m.info_hash);
	hook_say(h, MSG_HOOK_NAME, &m);
}

void hook_seal(struct hook *h)
{
	struct msg_hook_seal m = { 0 };

	hook_say(h, MSG_HOOK_SEAL, &m);
}

void hook_run(struct hook *h, uint32_t index)
{
	struct msg_hook_run m = { .index = index };

	if (h->channel.fd < 0)
		return;
	h->asked |= 1u << index;
	hook_say(h, MSG_HOOK_RUN, &m);
}

static int on_done(void *self, const void *message, int fd)
{
	struct hook *h = self;
	const struct msg_hook_done *m = message;

	(void)fd;
	if (m->index >= OPTIONS_MAX_SOURCES || !(h->asked >> m->index & 1) || m->status < -1 || m->status > BY_SIGNAL + 127)
		return -1;
	h->asked &= ~(1u << m->index);
	json_begin("on-complete", m->index);
	json_bool("started", m->status >= 0);
	json_number("status", m->status < 0 ? 0 : (uint64_t)m->status);
	json_end();
	if (m->status < 0)
		screen_error("the program of --on-complete could not be started");
	else if (m->status >= BY_SIGNAL)
		screen_error("the program of --on-complete was ended by signal %d", m->status - BY_SIGNAL);
	else if (m->status)
		screen_error("the program of --on-complete ended with status %d", m->status);
	else
		log_line(LOG_DETAIL, TOPIC_IPC, "the program of --on-complete ended with status 0");
	return 0;
}

void hook_hear(struct hook *h)
{
	static const struct permit table[] = { { MSG_HOOK_DONE, 1, on_done } };
	const uint32_t state = 0;
	enum channel_result r = channel_dispatch(&h->channel, table, ARRAY_LEN(table), &state, h, PACKETS_A_TURN);

	if (r == CHANNEL_OK || r == CHANNEL_EMPTY)
		return;
	screen_error("whoever was to start the program of --on-complete is gone");
	hook_close(h);
}

void hook_close(struct hook *h)
{
	if (h->channel.fd >= 0)
		channel_close(&h->channel);
	h->channel.fd = -1;
	h->asked = 0;
}
