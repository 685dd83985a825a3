/*
 * launcher.c - the parent's side of the launcher: finds the programs, forks it, asks and hears.
 *
 * launcher_find_programs() and launcher_start() run before the parent's walls,
 * everything else behind them.
 */
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch.h"
#include "log.h"

static const char *const program_names[ROLE_COUNT] = { [ROLE_INSPECT] = "bulkhead-inspect",   [ROLE_RESOLVER] = "bulkhead-resolver",
						       [ROLE_DIALER] = "bulkhead-dialer",     [ROLE_NETPROC] = "bulkhead-netproc",
						       [ROLE_DISKPROC] = "bulkhead-diskproc",   [ROLE_CREATE] = "bulkhead-create" };

/* A plain file that not everybody may change, of root, the user or whoever made the main program; or -1. */
static int open_program(const char *folder, const char *name, uid_t maker)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, n = snprintf(path, sizeof path, "%s/%s", folder, name);

	if (n < 0 || n >= (int)sizeof path)
		return -1;
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_mode & S_IWOTH || (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != maker)) {
		log_line(LOG_WARN, TOPIC_WALL, "%s is no program that can be trusted: writable for others, or somebody else's", path);
		close(fd);
		return -1;
	}
	return fd;
}

void launcher_find_programs(struct launcher_programs *p)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	uid_t maker = geteuid();
	struct stat st;
	char *slash;
	size_t i;

	if (stat("/proc/self/exe", &st) == 0)
		maker = st.st_uid;
	self[n > 0 ? n : 0] = 0;
	slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	for (i = 0; i < ROLE_COUNT; i++) {
		p->fd[i] = -1;
		if (!program_names[i])
			continue;
		if (slash)
			p->fd[i] = open_program(self, program_names[i], maker);
		if (p->fd[i] < 0)
			p->fd[i] = open_program(LIBEXECDIR, program_names[i], maker);
	}
}

static void close_programs(struct launcher_programs *p)
{
	size_t i;

	for (i = 0; i < ROLE_COUNT; i++) {
		if (p->fd[i] >= 0)
			close(p->fd[i]);
		p->fd[i] = -1;
	}
}

int launcher_start(struct launcher *l, struct launcher_programs *p)
{
	int ends[2], saved;
	pid_t pid;

	if (channel_pair(ends) < 0) {
		saved = errno;
		close_programs(p);
		errno = saved;
		return -1;
	}
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		launch_serve(ends[1], p);
	}
	saved = errno;
	close(ends[1]);
	close_programs(p);
	if (pid < 0) {
		close(ends[0]);
		errno = saved;
		return -1;
	}
	l->pid = pid;
	l->next_tag = 1;
	channel_init(&l->channel, ends[0], 0, true, "launcher");
	return 0;
}

static uint32_t new_tag(struct launcher *l)
{
	uint32_t tag = l->next_tag++;

	if (!l->next_tag)
		l->next_tag = 1;
	return tag;
}

static uint32_t ask(struct launcher *l, enum message_type type, const void *message, uint32_t tag)
{
	if (channel_push(&l->channel, type, message) < 0 || channel_flush(&l->channel) < 0)
		return 0;
	return tag;
}

uint32_t launcher_ask_launch(struct launcher *l, enum role role, int uid, int gid)
{
	struct msg_launch m = { .role = (uint32_t)role, .tag = new_tag(l), .uid = uid, .gid = gid };

	return ask(l, MSG_LAUNCH, &m, m.tag);
}

uint32_t launcher_ask_pair(struct launcher *l)
{
	struct msg_pair m = { .tag = new_tag(l) };

	return ask(l, MSG_PAIR, &m, m.tag);
}

uint32_t launcher_ask_status(struct launcher *l, pid_t pid)
{
	struct msg_inspect_process m = { .pid = (int32_t)pid, .tag = new_tag(l) };

	return ask(l, MSG_INSPECT_PROCESS, &m, m.tag);
}

/* Fills *a from a packet.  False: a message that a launcher does not send. */
static bool understand(struct packet *p, struct launcher_answer *a)
{
	const void *m = packet_message(p, 0);

	switch (p->type) {
	case MSG_LAUNCHED:
		a->kind = LAUNCHER_LAUNCHED;
		a->tag = ((const struct msg_launched *)m)->tag;
		a->pid = ((const struct msg_launched *)m)->pid;
		a->spaces = ((const struct msg_launched *)m)->spaces;
		return a->pid > 1;
	case MSG_PAIR_END:
		a->kind = LAUNCHER_PAIR;
		a->tag = ((const struct msg_pair_end *)m)->tag;
		a->end = ((const struct msg_pair_end *)m)->end;
		return a->end < 2;
	case MSG_PROCESS_STATUS:
		a->kind = LAUNCHER_STATUS;
		memcpy(&a->status, m, sizeof a->status);
		a->tag = a->status.tag;
		return true;
	case MSG_LAUNCH_FAILED:
		a->kind = LAUNCHER_FAILED;
		a->tag = ((const struct msg_launch_failed *)m)->tag;
		a->error = ((const struct msg_launch_failed *)m)->error;
		return true;
	default:
		return false;
	}
}

int launcher_answer(struct launcher *l, struct launcher_answer *a, int timeout_ms)
{
	struct packet p;

	memset(a, 0, sizeof *a);
	a->fd = -1;
	switch (channel_wait(&l->channel, &p, timeout_ms)) {
	case CHANNEL_OK:
		break;
	case CHANNEL_EMPTY:
		return 1;
	default:
		return -1;
	}
	if (!understand(&p, a)) {
		if (p.fd >= 0)
			close(p.fd);
		return -1;
	}
	a->fd = p.fd;
	return 0;
}

/* The answer with this tag and kind.  0, or -1 with errno. */
static int expect(struct launcher *l, uint32_t tag, enum launcher_kind kind, struct launcher_answer *a, int timeout_ms)
{
	int r;

	if (!tag) {
		errno = EPIPE;
		return -1;
	}
	r = launcher_answer(l, a, timeout_ms);
	if (r == 0 && a->tag == tag && a->kind == kind)
		return 0;
	if (r == 0 && a->fd >= 0)
		close(a->fd);
	if (r == 0)
		errno = a->kind == LAUNCHER_FAILED && a->error > 0 ? a->error : EPROTO;
	else
		errno = r > 0 ? ETIMEDOUT : EPIPE;
	return -1;
}

int launcher_launch(struct launcher *l, enum role role, int uid, int gid, struct launcher_answer *a, int timeout_ms)
{
	return expect(l, launcher_ask_launch(l, role, uid, gid), LAUNCHER_LAUNCHED, a, timeout_ms);
}

int launcher_pair(struct launcher *l, int fds[2], int timeout_ms)
{
	uint32_t tag = launcher_ask_pair(l);
	struct launcher_answer a;

	if (expect(l, tag, LAUNCHER_PAIR, &a, timeout_ms) < 0)
		return -1;
	fds[0] = a.fd;
	if (expect(l, tag, LAUNCHER_PAIR, &a, timeout_ms) < 0) {
		close(fds[0]);
		return -1;
	}
	fds[1] = a.fd;
	return 0;
}

int launcher_check(struct launcher *l, pid_t pid, struct msg_process_status *s, int timeout_ms)
{
	struct launcher_answer a;

	if (expect(l, launcher_ask_status(l, pid), LAUNCHER_STATUS, &a, timeout_ms) < 0)
		return -1;
	*s = a.status;
	return 0;
}

void launcher_stop(struct launcher *l)
{
	channel_close(&l->channel);
}
