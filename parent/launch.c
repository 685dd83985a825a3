/*
 * launch.c - the launcher's process: starts programs as the parent's children, nothing else.
 *
 * Runs forked from the parent, without its walls but no_new_privs, an empty
 * environment for what it starts, and as root only four capabilities.  It reads
 * fixed messages of the parent and /proc/PID/status, and never a stranger's
 * byte.  What it starts gets /dev/null as 0, 1 and 2 and its control channel
 * as 3; every namespace that the system lets one have; and no privilege.
 */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "policy.h"

#define CHILD_CONTROL 3
#define CHILD_MS 5000

/* Where the launcher keeps what must survive the closing of everything else. */
#define FIRST_KEPT 10

struct server {
	struct channel channel;
	struct launcher_programs programs;
	int null; /* /dev/null */
	uint64_t own_filters; /* how many seccomp filters its children inherit; 0 when the kernel does not count */
	bool root;
};

/* From the most walls to the fewest: each step gives up the one named last. */
static const struct {
	uint64_t flag;
	enum wall wall;
} spaces[] = {
	{ CLONE_NEWUSER, WALL_USER_NS }, { CLONE_NEWPID, WALL_PID_NS }, { CLONE_NEWNS, WALL_MOUNT_NS },
	{ CLONE_NEWIPC, WALL_IPC_NS },	 { CLONE_NEWUTS, WALL_UTS_NS }, { CLONE_NEWNET, WALL_NET_NS },
};

static uint32_t wall_bits(uint64_t flags)
{
	uint32_t walls = 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(spaces); i++)
		if (flags & spaces[i].flag)
			walls |= WALL_BIT(spaces[i].wall);
	return walls;
}

/* The namespaces that a role should have. */
static uint64_t wanted_flags(enum role role, bool root)
{
#ifdef SANDBOX_WIDE
	(void)role;
	(void)root;
	return 0;
#else
	uint64_t flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;

	/* Root becomes a uid of its own instead; that uid can still make a namespace of its own for its empty root. */
	if (!root)
		flags |= CLONE_NEWUSER;
	if (role != ROLE_DIALER && role != ROLE_RESOLVER)
		flags |= CLONE_NEWNET;
	/*
	 * Who has a directory makes its mount namespace itself (sandbox_root): only what is in the namespace that it comes
	 * from can be copied as a detached mount, and the directory was opened in the parent's.
	 */
	if (role == ROLE_DISKPROC || role == ROLE_CREATE)
		flags &= ~(uint64_t)CLONE_NEWNS;
	return flags;
#endif
}

/* Without the last one that is still in it. */
static uint64_t fewer_flags(uint64_t flags)
{
	size_t i = ARRAY_LEN(spaces);

	while (i-- > 0)
		if (flags & spaces[i].flag)
			return flags & ~spaces[i].flag;
	return 0;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t n = strlen(text);
	bool ok = fd >= 0 && write(fd, text, n) == (ssize_t)n;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* In the new user namespace its owner is who he was, and nobody else exists. */
static bool map_self(uid_t uid, gid_t gid)
{
	char line[64];

	/* The files below /proc/self belong to root as long as the process is not dumpable; exec would set it anyway. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || !write_file("/proc/self/setgroups", "deny"))
		return false;
	snprintf(line, sizeof line, "%u %u 1", (unsigned)uid, (unsigned)uid);
	if (!write_file("/proc/self/uid_map", line))
		return false;
	snprintf(line, sizeof line, "%u %u 1", (unsigned)gid, (unsigned)gid);
	return write_file("/proc/self/gid_map", line);
}

/* Root becomes somebody of no importance. */
static bool become(int uid, int gid)
{
	return setgroups(0, NULL) == 0 && setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid) == 0 &&
	       setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) == 0 && getuid() == (uid_t)uid && geteuid() == (uid_t)uid;
}

/* The bounding set goes while there is still CAP_SETPCAP; the rest when the uid is the final one. */
static void drop_bounding_set(void)
{
	int cap;

	for (cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			break;
}

static bool place_descriptors(int null, int control)
{
#ifdef SANDBOX_WIDE
	/* Sanitizers report on 2. */
	int last = 1;
#else
	int last = 2;
#endif
	int fd;

	for (fd = 0; fd <= last; fd++)
		if (dup2(null, fd) < 0)
			return false;
	/* Both are FIRST_KEPT or above, so that nothing is overwritten before it is used. */
	return dup2(control, CHILD_CONTROL) == CHILD_CONTROL;
}

static void reset_signals(void)
{
	sigset_t none;
	int s;

	for (s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Sanitizers and coverage are told by the environment what to do; a release passes nothing. */
static char **child_environment(void)
{
	static char *none[] = { NULL };
#ifdef SANDBOX_WIDE
	static const char *const names[] = { "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS", "GCOV_PREFIX", "GCOV_PREFIX_STRIP",
					     "LLVM_PROFILE_FILE" };
	static char *some[ARRAY_LEN(names) + 1];
	size_t i, n = 0;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i]);
		size_t room = value ? strlen(names[i]) + strlen(value) + 2 : 0;
		char *s = value ? malloc(room) : NULL;

		if (s) {
			snprintf(s, room, "%s=%s", names[i], value);
			some[n++] = s;
		}
	}
	some[n] = NULL;
	return n ? some : none;
#else
	return none;
#endif
}

/* The new process, up to its exec.  Only returns when something failed (errno). */
static void child(const struct server *s, const struct msg_launch *m, uint64_t flags, int control, uid_t uid, gid_t gid)
{
	static const char *const names[ROLE_COUNT] = { [ROLE_INSPECT] = "bulkhead-inspect",   [ROLE_RESOLVER] = "bulkhead-resolver",
						       [ROLE_DIALER] = "bulkhead-dialer",     [ROLE_NETPROC] = "bulkhead-netproc",
						       [ROLE_DISKPROC] = "bulkhead-diskproc",   [ROLE_CREATE] = "bulkhead-create" };
	char name[32];
	char *argv[] = { name, NULL };

	snprintf(name, sizeof name, "%s", names[m->role]);
	if (flags & CLONE_NEWUSER && !map_self(uid, gid))
		return;
	drop_bounding_set();
	if (s->root && m->uid != LAUNCH_STAYS && !become(m->uid, m->gid))
		return;
	if (!sandbox_drop_caps() || !place_descriptors(s->null, control))
		return;
	/* A session of its own: the terminal's signals are the parent's affair. */
	(void)setsid();
	reset_signals();
	/* After the uid: a change of it clears this.  The compartment arms it again. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return;
	if (syscall(SYS_close_range, CHILD_CONTROL + 1u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) < 0 && errno != ENOSYS && errno != EINVAL)
		return;
	(void)syscall(SYS_execveat, s->programs.fd[m->role], "", argv, child_environment(), AT_EMPTY_PATH);
}

/* The errno that the child wrote before it gave up; 0 when its exec closed the pipe. */
static int child_verdict(int pipe_end, pid_t pid)
{
	struct pollfd pf = { .fd = pipe_end, .events = POLLIN };
	int error = 0, r;

	do
		r = poll(&pf, 1, CHILD_MS);
	while (r < 0 && errno == EINTR);
	if (r <= 0) {
		(void)kill(pid, SIGKILL);
		return ETIMEDOUT;
	}
	return read(pipe_end, &error, sizeof error) == (ssize_t)sizeof error ? error : 0;
}

/* One attempt with these namespaces.  The pid, or -1 with errno. */
static pid_t try_launch(const struct server *s, const struct msg_launch *m, uint64_t flags, int control)
{
	uid_t uid = geteuid(); /* asked before the clone: inside, nobody is mapped yet */
	gid_t gid = getegid();
	int verdict[2], error;
	pid_t pid;

	if (pipe2(verdict, O_CLOEXEC) < 0)
		return -1;
	/* As fork would, with namespaces.  Not clone3, which the filters of containers answer with ENOSYS. */
	pid = (pid_t)syscall(SYS_clone, flags | CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		int up = fcntl(verdict[1], F_DUPFD_CLOEXEC, FIRST_KEPT);

		child(s, m, flags, control, uid, gid);
		error = errno ? errno : EPERM;
		(void)!write(up, &error, sizeof error);
		_exit(127);
	}
	error = errno;
	close(verdict[1]);
	if (pid > 0) {
		error = child_verdict(verdict[0], pid);
		if (error)
			pid = -1; /* the parent reaps it without having heard of it */
	}
	close(verdict[0]);
	errno = error;
	return pid;
}

static int refuse(struct server *s, uint32_t tag, int error)
{
	struct msg_launch_failed f = { .tag = tag, .error = error };

	return channel_push(&s->channel, MSG_LAUNCH_FAILED, &f);
}

/* Never root; and an id beyond the range of the message is not mistaken for "stays who it is". */
static bool ids_are_sound(const struct msg_launch *m)
{
	if (m->uid == LAUNCH_STAYS || m->gid == LAUNCH_STAYS)
		return m->uid == m->gid;
	return m->uid > 0 && m->gid > 0;
}

static int on_launch(void *self, const void *message, int fd)
{
	struct server *s = self;
	const struct msg_launch *m = message;
	struct msg_launched answer = { .tag = m->tag };
	uint64_t flags;
	int ends[2], control;
	pid_t pid;

	(void)fd;
	if (m->role < ROLE_INSPECT || m->role >= ROLE_COUNT || !ids_are_sound(m))
		return -1;
	if (s->programs.fd[m->role] < 0)
		return refuse(s, m->tag, ENOENT);
	if (channel_pair(ends) < 0)
		return refuse(s, m->tag, errno);
	control = fcntl(ends[1], F_DUPFD_CLOEXEC, FIRST_KEPT);
	close(ends[1]);
	flags = wanted_flags((enum role)m->role, s->root);
	for (;;) {
		pid = control < 0 ? -1 : try_launch(s, m, flags, control);
		/* What cannot be helped by fewer namespaces. */
		if (pid > 0 || !flags || control < 0 || errno == ENOEXEC || errno == ENOMEM)
			break;
		flags = fewer_flags(flags);
	}
	if (control >= 0)
		close(control);
	if (pid < 0) {
		int error = errno;

		close(ends[0]);
		return refuse(s, m->tag, error);
	}
	answer.pid = (int32_t)pid;
	answer.spaces = wall_bits(flags) | (s->root && m->uid != LAUNCH_STAYS ? WALL_BIT(WALL_OWN_UID) : 0);
	return channel_push_fd(&s->channel, MSG_LAUNCHED, &answer, ends[0], true);
}

static int on_pair(void *self, const void *message, int fd)
{
	struct server *s = self;
	struct msg_pair_end answer = { .tag = ((const struct msg_pair *)message)->tag };
	int ends[2];

	(void)fd;
	if (channel_pair(ends) < 0)
		return refuse(s, answer.tag, errno);
	for (answer.end = 0; answer.end < 2; answer.end++)
		if (channel_push_fd(&s->channel, MSG_PAIR_END, &answer, ends[answer.end], true) < 0)
			return -1;
	return 0;
}

/* The number after "Name:", in `base`; 0 when the line is not there. */
static uint64_t status_number(const char *text, const char *name, int base)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, base) : 0;
}

/* The text of /proc/PID/status ("self" for 0).  0 or an errno. */
static int read_status(pid_t pid, char *text, size_t room)
{
	char path[64];
	ssize_t n;
	int fd;

	if (pid)
		snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	else
		snprintf(path, sizeof path, "/proc/self/status");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	n = read(fd, text, room - 1);
	close(fd);
	if (n <= 0)
		return ESRCH;
	text[n] = 0;
	return 0;
}

static int on_inspect_process(void *self, const void *message, int fd)
{
	struct server *s = self;
	const struct msg_inspect_process *m = message;
	struct msg_process_status answer = { .tag = m->tag };
	char text[8192];
	uint64_t filters;
	int error;

	(void)fd;
	if (m->pid <= 0)
		return -1;
	error = read_status(m->pid, text, sizeof text);
	if (error)
		return refuse(s, m->tag, error);
	/* The first line is the process's name, which it may choose: 15 bytes, escaped by the kernel, no line break. */
	answer.seccomp = (uint32_t)status_number(text, "\nSeccomp:", 10);
	/* The launcher's own filter is inherited and proves nothing.  The kernel counts them since Linux 5.9. */
	filters = status_number(text, "\nSeccomp_filters:", 10);
	if (filters && filters <= s->own_filters)
		answer.seccomp = 0;
	answer.no_new_privs = (uint32_t)status_number(text, "\nNoNewPrivs:", 10);
	answer.threads = (uint32_t)status_number(text, "\nThreads:", 10);
	answer.caps = status_number(text, "\nCapInh:", 16) | status_number(text, "\nCapPrm:", 16) | status_number(text, "\nCapEff:", 16) |
		      status_number(text, "\nCapAmb:", 16);
	return channel_push(&s->channel, MSG_PROCESS_STATUS, &answer);
}

/* What starting others under other ids and in namespaces needs. */
#define OWN_CAPS (1ull << CAP_SYS_ADMIN | 1ull << CAP_SETUID | 1ull << CAP_SETGID | 1ull << CAP_SETPCAP)

static bool raise_own_walls(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || !sandbox_keep_caps(OWN_CAPS) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return false;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)setsid();
	(void)!chdir("/");
	(void)signal(SIGPIPE, SIG_IGN);
#ifndef SANDBOX_WIDE
	{
		scmp_filter_ctx f = policy_launcher_filter();
		int r = f ? seccomp_load(f) : -1;

		seccomp_release(f);
		if (r)
			return false;
	}
#endif
	return true;
}

/* Moves a descriptor out of the way of 0 to 3 and marks it close-on-exec. */
static int keep(int fd)
{
	int up = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_KEPT);

	if (fd >= 0)
		close(fd);
	return up;
}

/* Closes every descriptor from 3 on that is not in the list. */
static void close_others(const int *kept, size_t n)
{
	unsigned from = 3;

	for (;;) {
		unsigned next = ~0u;
		size_t i;

		for (i = 0; i < n; i++)
			if (kept[i] >= (int)from && (unsigned)kept[i] < next)
				next = (unsigned)kept[i];
		if (next > from)
			(void)syscall(SYS_close_range, from, next == ~0u ? ~0u : next - 1, 0);
		if (next == ~0u)
			return;
		from = next + 1;
	}
}

void launch_serve(int sock, struct launcher_programs *programs)
{
	static const struct permit table[] = {
		{ MSG_LAUNCH, 1, on_launch },
		{ MSG_PAIR, 1, on_pair },
		{ MSG_INSPECT_PROCESS, 1, on_inspect_process },
	};
	struct server s = { .root = geteuid() == 0 };
	int kept[ROLE_COUNT + 2];
	const uint32_t state = 0;
	char text[8192];
	size_t i;

	s.null = keep(open("/dev/null", O_RDWR | O_CLOEXEC));
	sock = keep(sock);
	for (i = 0; i < ROLE_COUNT; i++)
		s.programs.fd[i] = kept[i] = keep(programs->fd[i]);
	kept[ROLE_COUNT] = s.null;
	kept[ROLE_COUNT + 1] = sock;
	if (s.null < 0 || sock < 0)
		_exit(1);
	close_others(kept, ARRAY_LEN(kept));
	/* It says nothing: a failure is an answer.  2 stays the terminal in builds whose sanitizer writes there. */
	(void)dup2(s.null, 0);
	(void)dup2(s.null, 1);
#ifndef SANDBOX_WIDE
	(void)dup2(s.null, 2);
#endif
	channel_init(&s.channel, sock, 0, false, "parent");
	log_to_channel(NULL, LOG_BUG);
	if (!raise_own_walls())
		_exit(6);
	if (read_status(0, text, sizeof text) == 0)
		s.own_filters = status_number(text, "\nSeccomp_filters:", 10);
	for (;;) {
		struct pollfd pf = { .fd = s.channel.fd, .events = POLLIN };
		enum channel_result r;

		if (channel_wants_write(&s.channel))
			pf.events |= POLLOUT;
		(void)poll(&pf, 1, channel_is_stuck(&s.channel) ? (int)CHANNEL_RETRY_MS : -1);
		/* A violation is as good a reason to end as the parent's end: nothing else will come that makes sense. */
		r = channel_dispatch(&s.channel, table, ARRAY_LEN(table), &state, &s, 8);
		if (r == CHANNEL_CLOSED || r == CHANNEL_VIOLATION || channel_flush(&s.channel) < 0)
			_exit(r == CHANNEL_VIOLATION);
	}
}
