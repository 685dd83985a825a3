/*
 * run_probe.c - starts the probe by the real launcher in a role's place, once for each attempt, and judges.
 *
 *	run_probe ROLE FOLDER [ATTEMPT]     FOLDER holds probe-inspect, probe-netproc, ...
 *
 * The parent's own walls are tried too (ROLE parent), in a child that raises them as the parent does.
 *
 * One JSON line for each attempt that says something about the role, one with
 * the walls that were raised.  Exit status 1 when an attack worked, when
 * something that must work did not, or when a required wall is missing; 77 in
 * a build with the wider policy, where a probe proves nothing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../parent/launcher.h"
#include "conveyor.h"
#include "log.h"
#include "policy.h"
#include "probe.h"
#include "slots.h"

#define ATTEMPT_MS 15000

struct run {
	enum role role;
	struct launcher launcher;
	int uid; /* -1: not root */
	pid_t sibling;
	int tcp, udp, abstract;
	char base[64];
	int root; /* the directory below base that diskproc or create gets */
	struct slots slots;
	uint32_t walls; /* of the last start */
	uint32_t fd_count;
	uint64_t caps;
};

struct verdict {
	bool decided, worked, broken;
	char by[96];
};

NORETURN static void die(const char *what)
{
	fprintf(stderr, "run_probe: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void say_log(enum role role, enum log_level level, enum log_topic topic, const char *text)
{
	(void)role;
	(void)topic;
	if (level <= LOG_WARN)
		fprintf(stderr, "run_probe: %s\n", text);
}

static void find_probes(struct launcher_programs *p, const char *folder)
{
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < ROLE_COUNT; i++) {
		p->fd[i] = -1;
		if (i == ROLE_PARENT || i == ROLE_LAUNCHER)
			continue;
		snprintf(path, sizeof path, "%s/probe-%s", folder, role_name((enum role)i));
		p->fd[i] = open(path, O_PATH | O_CLOEXEC);
		if (p->fd[i] < 0)
			die(path);
	}
}

/* A process of the same uid, without walls: what signals and /proc would reach. */
static pid_t start_sibling(int uid)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (uid >= 0 && (setresgid((gid_t)uid, (gid_t)uid, (gid_t)uid) < 0 || setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) < 0))
		_exit(1);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	for (;;)
		pause();
}

static int bound(int type, struct sockaddr_in *a)
{
	socklen_t n = sizeof *a;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	memset(a, 0, sizeof *a);
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)a, sizeof *a) < 0 || getsockname(fd, (struct sockaddr *)a, &n) < 0)
		die("loopback");
	return fd;
}

static void make_sockets(struct run *r)
{
	struct sockaddr_in tcp, udp;
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "\0bulkhead-probe" };
	int server = bound(SOCK_STREAM, &tcp);

	(void)bound(SOCK_DGRAM, &udp);
	r->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (listen(server, 4) < 0 || connect(r->tcp, (struct sockaddr *)&tcp, sizeof tcp) < 0 ||
	    connect(r->udp, (struct sockaddr *)&udp, sizeof udp) < 0)
		die("sockets");
	r->abstract = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* Another run may have it; then it is there all the same. */
	(void)bind(r->abstract, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 15));
}

static void make_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, "text\n", 5) != 5)
		die(name);
	close(fd);
}

static void make_folder(struct run *r)
{
	int base;

	snprintf(r->base, sizeof r->base, "/tmp/bulkhead-probe-XXXXXX");
	if (!mkdtemp(r->base) || (base = open(r->base, O_DIRECTORY | O_CLOEXEC)) < 0)
		die("folder");
	(void)fchmod(base, 0777);
	make_file(base, "secret");
	if (mkdirat(base, "root", 0755) < 0 || (r->root = openat(base, "root", O_DIRECTORY | O_CLOEXEC)) < 0)
		die("folder");
	make_file(r->root, "existing");
	if (symlinkat("../secret", r->root, "link") < 0 || symlinkat("..", r->root, "linkdir") < 0)
		die("links");
	close(base);
}

/* The folder as this start of diskproc or create gets it: what an earlier attempt may have made is gone. */
static void tidy_folder(const struct run *r)
{
	static const char *const files[] = { "made", "outer/inner", "set-id", "executable", "world", "following", "second", "sym", "other", "fifo", "up" };
	static const char *const folders[] = { "made-directory", "outer", "sticky", "open" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(files); i++)
		(void)unlinkat(r->root, files[i], 0);
	for (i = 0; i < ARRAY_LEN(folders); i++)
		(void)unlinkat(r->root, folders[i], AT_REMOVEDIR);
}

static void remove_folder(const struct run *r)
{
	char path[128];

	tidy_folder(r);
	(void)unlinkat(r->root, "existing", 0);
	(void)unlinkat(r->root, "link", 0);
	(void)unlinkat(r->root, "linkdir", 0);
	snprintf(path, sizeof path, "%s/root", r->base);
	(void)rmdir(path);
	snprintf(path, sizeof path, "%s/secret", r->base);
	(void)unlink(path);
	(void)rmdir(r->base);
}

static void send_fd(struct channel *c, enum setup_fd what, int fd)
{
	struct msg_setup_fd m = { .what = what };

	if (fd < 0 || channel_push_fd(c, MSG_SETUP_FD, &m, fd, false) < 0)
		die("set-up");
}

/* What the real role would be given, as far as an attempt wants it. */
static void send_setup(struct run *r, struct channel *c, int far_end, int slots_fd)
{
	struct msg_setup_end end = { 0 };
	int fd, ends[2];

	switch (r->role) {
	case ROLE_NETPROC:
		send_fd(c, SETUP_DIAL, far_end);
		send_fd(c, SETUP_DISK, r->tcp);
		send_fd(c, SETUP_CA, r->udp);
		if (conveyor_make(ends) < 0 || write(ends[1], "some bytes", 10) != 10)
			die("conveyor");
		send_fd(c, SETUP_CONVEYOR, ends[0]);
		close(ends[0]);
		close(ends[1]);
		break;
	case ROLE_DIALER:
		send_fd(c, SETUP_DIAL, far_end);
		send_fd(c, SETUP_RESOLVE, r->tcp);
		send_fd(c, SETUP_FORM, r->udp);
		break;
	case ROLE_RESOLVER:
		send_fd(c, SETUP_RESOLVE, far_end);
		break;
	case ROLE_INSPECT:
		fd = memfd_create("form", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		send_fd(c, SETUP_FORM, fd);
		close(fd);
		break;
	default:
		tidy_folder(r);
		fd = r->uid >= 0 ? idmap_directory(r->root, (uint32_t)r->uid, r->role == ROLE_CREATE) : -1;
		if (fd < 0) {
			/* Where the directory cannot be mapped, the role is its owner. */
			if (r->uid >= 0 && (fchown(r->root, (uid_t)r->uid, (gid_t)r->uid) < 0 ||
					    fchownat(r->root, "existing", (uid_t)r->uid, (gid_t)r->uid, AT_SYMLINK_NOFOLLOW) < 0))
				die("chown");
			fd = fcntl(r->root, F_DUPFD_CLOEXEC, 3);
		}
		send_fd(c, SETUP_ROOT, fd);
		close(fd);
		fd = openat(r->root, "existing", (r->role == ROLE_CREATE ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		send_fd(c, SETUP_FILE, fd);
		close(fd);
		if (r->role == ROLE_DISKPROC) {
			send_fd(c, SETUP_SLOTS, slots_fd);
			break;
		}
		fd = memfd_create("form", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		send_fd(c, SETUP_FORM, fd);
		close(fd);
		break;
	}
	if (channel_push(c, MSG_SETUP_END, &end) < 0 || channel_flush(c) != 0)
		die("set-up");
}

static void decide(struct verdict *v, bool worked, bool broken, const char *text)
{
	if (v->decided)
		return;
	v->decided = true;
	v->worked = worked;
	v->broken = broken;
	snprintf(v->by, sizeof v->by, "%s", text);
}

static void on_notification(int listener, pid_t pid, struct verdict *v)
{
	struct seccomp_notif n;
	char text[96];

	memset(&n, 0, sizeof n);
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
		return;
	snprintf(text, sizeof text, "seccomp: %s named, killed", policy_call_name((int)n.data.nr));
	decide(v, false, !policy_is_attack((int)n.data.nr) || (pid_t)n.pid != pid, text);
	(void)kill(pid, SIGKILL);
}

/* GO was given: the attempt's number, the parent, the sibling. */
static void send_attempt(struct run *r, struct channel *c, size_t number)
{
	const uint32_t told[3] = { (uint32_t)number, (uint32_t)getpid(), (uint32_t)r->sibling };
	struct msg_go go = { 0 };
	size_t i;

	if (channel_push(c, MSG_GO, &go) < 0)
		die("GO");
	for (i = 0; i < 3; i++) {
		struct msg_shutdown m = { .grace_ms = told[i] };

		if (channel_push(c, MSG_SHUTDOWN, &m) < 0)
			die("attempt");
	}
	(void)channel_flush(c);
}

static void on_packet(struct run *r, struct channel *c, struct packet *p, pid_t pid, size_t number, int *listener, struct verdict *v)
{
	struct msg_process_status status;
	char text[96];
	uint32_t s;

	switch (p->type) {
	case MSG_LISTENER:
		*listener = p->fd;
		p->fd = -1;
		break;
	case MSG_READY:
		r->walls |= ((const struct msg_ready *)packet_message(p, 0))->walls;
		r->fd_count = ((const struct msg_ready *)packet_message(p, 0))->fd_count;
		if (launcher_check(&r->launcher, pid, &status, 2000) < 0 || status.seccomp != 2 || status.no_new_privs != 1 || status.caps)
			decide(v, true, true, "the launcher's check of /proc failed");
		r->caps = status.caps;
		send_attempt(r, c, number);
		break;
	case MSG_VIOLATION:
		snprintf(text, sizeof text, "seccomp: %s trapped",
			 policy_call_name((int)((const struct msg_violation *)packet_message(p, 0))->syscall));
		decide(v, false, false, text);
		break;
	case MSG_BYE:
		s = ((const struct msg_bye *)packet_message(p, 0))->status;
		snprintf(text, sizeof text, "%s", s == ENOSYS ? "seccomp: ENOSYS" : s ? strerrorname_np((int)s) : "nothing");
		decide(v, s == 0, false, text);
		break;
	case MSG_LOG:
		if (getenv("PROBE_VERBOSE"))
			fprintf(stderr, "  %.*s\n", (int)((const struct msg_log *)packet_message(p, 0))->length,
				(const char *)((const struct msg_log *)packet_message(p, 0))->text);
		break;
	default:
		break;
	}
}

/* Until the other end is gone, named or out of time. */
static void watch(struct run *r, struct channel *c, pid_t pid, size_t number, struct verdict *v)
{
	uint64_t end = now_ms() + ATTEMPT_MS;
	int listener = -1;

	while (now_ms() < end) {
		struct pollfd pf[2] = { { .fd = c->fd, .events = POLLIN }, { .fd = listener, .events = POLLIN } };
		enum channel_result got = CHANNEL_EMPTY;
		struct packet p;

		(void)poll(pf, 2, 100);
		if (listener >= 0 && pf[1].revents & POLLIN)
			on_notification(listener, pid, v);
		while ((got = channel_receive(c, &p)) == CHANNEL_OK) {
			on_packet(r, c, &p, pid, number, &listener, v);
			if (p.fd >= 0)
				close(p.fd);
		}
		if (got == CHANNEL_VIOLATION)
			decide(v, true, true, channel_violation());
		if (got != CHANNEL_EMPTY)
			break;
	}
	if (listener >= 0)
		close(listener);
}

/* How it ended, when it did not say so itself. */
static void reap(pid_t pid, struct verdict *v)
{
	char text[96];
	siginfo_t si;
	int i;

	memset(&si, 0, sizeof si);
	for (i = 0; i < 200 && !si.si_pid; i++) {
		if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG) < 0)
			break;
		if (!si.si_pid)
			(void)usleep(10000);
	}
	if (!si.si_pid) {
		(void)kill(pid, SIGKILL);
		(void)waitid(P_PID, (id_t)pid, &si, WEXITED);
		decide(v, true, true, "it hung");
		return;
	}
	if (si.si_code == CLD_EXITED)
		snprintf(text, sizeof text, "exit %d", si.si_status);
	else
		snprintf(text, sizeof text, "seccomp: SIG%s", sigabbrev_np(si.si_status));
	/* The test build's parent says it on 2, and exits as if by SIGSYS. */
	if (si.si_code == CLD_EXITED && si.si_status == 159 && !v->decided)
		snprintf(text, sizeof text, "seccomp: trapped");
	decide(v, false, (si.si_code == CLD_EXITED && si.si_status != 159) || (si.si_code != CLD_EXITED && si.si_status != SIGSYS), text);
}

static struct verdict try(struct run *r, size_t number, int slots_fd)
{
	struct verdict v = { 0 };
	struct launcher_answer a;
	struct channel c;
	int ends[2];

	if (launcher_launch(&r->launcher, r->role, r->uid, r->uid, &a, 5000) < 0 || channel_pair(ends) < 0)
		die("launch");
	r->walls |= a.spaces;
	channel_init(&c, a.fd, 0, true, role_name(r->role));
	send_setup(r, &c, ends[1], slots_fd);
	watch(r, &c, a.pid, number, &v);
	channel_close(&c);
	close(ends[0]);
	close(ends[1]);
	reap(a.pid, &v);
	return v;
}

static void hide_folder(const struct run *r)
{
	/* An earlier attempt may have renamed it. */
	(void)renameat2(r->root, "other", r->root, "existing", 1 /* RENAME_NOREPLACE */);
	tidy_folder(r);
}

/* The parent's walls around a child: what it reports over the pipe is the errno, 0, or nothing when it was killed. */
static struct verdict try_parent(struct run *r, size_t number)
{
	struct verdict v = { 0 };
	int result[2], answer = -1;
	pid_t pid;

	hide_folder(r);
	if (pipe2(result, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		die("pipe");
	if (pid == 0) {
		/* The report is on another number than an attempt's guess. */
		int out = fcntl(result[1], F_DUPFD_CLOEXEC, 50), file = openat(r->root, "existing", O_RDWR | O_CLOEXEC);
		uint32_t walls = sandbox_begin(ROLE_PARENT);

		sandbox_landlock(ROLE_PARENT, r->root, &walls);
		sandbox_end(ROLE_PARENT, &walls);
		probe.role = ROLE_PARENT;
		probe.parent = probe.sibling = (int)r->sibling;
		probe.root = r->root;
		probe.file = file;
		probe.tcp = r->tcp;
		probe.udp = r->udp;
		errno = 0;
		answer = attempts[number].make() >= 0 ? 0 : errno ? errno : 9999;
		(void)!write(out, &answer, sizeof answer);
		(void)!write(out, &walls, sizeof walls);
		_exit(0);
	}
	close(result[1]);
	if (read(result[0], &answer, sizeof answer) == (ssize_t)sizeof answer) {
		decide(&v, answer == 0, false, answer == ENOSYS ? "seccomp: ENOSYS" : answer ? strerrorname_np(answer) : "nothing");
		(void)!read(result[0], &r->walls, sizeof r->walls);
	}
	close(result[0]);
	reap(pid, &v);
	return v;
}

/* The line about the walls.  False when a required one is missing, or more is open than there should be. */
static bool report_walls(const struct run *r)
{
	uint32_t required = walls_required(r->role), wanted = walls_wanted(r->role), w;
	const char *comma = "";

	printf("{\"role\":\"%s\",\"descriptors\":%u,\"walls\":[", role_name(r->role), r->fd_count);
	for (w = 0; w < WALLS; w++)
		if (r->walls >> w & 1) {
			printf("%s\"%s\"", comma, wall_names[w]);
			comma = ",";
		}
	printf("],\"missing\":[");
	comma = "";
	for (w = 0; w < WALLS; w++)
		if (wanted & ~r->walls & WALL_BIT(w)) {
			printf("%s\"%s\"", comma, wall_names[w]);
			comma = ",";
		}
	printf("]}\n");
	return !(required & ~r->walls) && r->fd_count <= 10;
}

int main(int argc, char **argv)
{
	struct launcher_programs programs;
	struct run r = { .uid = -1 };
	bool good = true;
	uint32_t id;
	int slots_fd;
	size_t i;

	if (argc < 3) {
		fprintf(stderr, "usage: run_probe ROLE FOLDER [ATTEMPT]\n");
		return 2;
	}
	if (!(walls_required(ROLE_NETPROC) & WALL_BIT(WALL_SECCOMP))) {
		printf("{\"wider\":true}\n");
		return 77;
	}
	for (r.role = ROLE_PARENT; r.role < ROLE_COUNT && strcmp(role_name(r.role), argv[1]) != 0; r.role++)
		;
	if (r.role == ROLE_COUNT || r.role == ROLE_LAUNCHER)
		die(argv[1]);
	log_to_sink(say_log, LOG_WARN);
	find_probes(&programs, argv[2]);
	if (launcher_start(&r.launcher, &programs) < 0)
		die("launcher");
	if (geteuid() == 0) {
		if (launcher_unused_ids(&id, 1) < 0)
			die("no unused uid");
		r.uid = (int)id;
	}
	r.sibling = start_sibling(r.uid);
	make_sockets(&r);
	make_folder(&r);
	slots_fd = slots_create(&r.slots, SLOT_COUNT);
	for (i = 0; i < attempt_count; i++) {
		const struct attempt *a = &attempts[i];
		bool refused = a->refused >> r.role & 1, allowed = a->allowed >> r.role & 1, ok;
		struct verdict v;

		if (!(refused || allowed) || (argc > 3 && strcmp(argv[3], a->name) != 0))
			continue;
		v = r.role == ROLE_PARENT ? try_parent(&r, i) : try(&r, i, slots_fd);
		ok = v.decided && !v.broken && v.worked == allowed;
		good = good && ok;
		printf("{\"role\":\"%s\",\"attempt\":\"%s\",\"expect\":\"%s\",\"worked\":%s,\"by\":\"%s\",\"ok\":%s}\n", role_name(r.role), a->name,
		       allowed ? "works" : "refused", v.worked ? "true" : "false", v.by, ok ? "true" : "false");
		fflush(stdout);
	}
	good = report_walls(&r) && good;
	launcher_stop(&r.launcher);
	(void)kill(r.sibling, SIGKILL);
	remove_folder(&r);
	while (wait(NULL) > 0)
		;
	return good ? 0 : 1;
}
