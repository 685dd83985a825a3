/*
 * sandbox.c - raises the walls around one process: see sandbox.h and docs/sandbox.md.
 *
 * Assumes: called from main's thread, in the order of sandbox.h, before any
 * byte of a stranger was read.  Must never: go on without a required wall.
 * With SANDBOX_WIDE (sanitizers, coverage) namespaces, Landlock and seccomp
 * are left out, and the walls that are reported say so.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "channel.h"
#include "log.h"
#include "policy.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif
#define MDWE_REFUSE_EXEC_GAIN 1ul

#define CONTROL 3 /* CONTROL_FD of compartment.h, which includes this module's header */

const char *const wall_names[WALLS] = {
	[WALL_NO_NEW_PRIVS] = "no new privileges",
	[WALL_NON_DUMPABLE] = "non-dumpable",
	[WALL_RLIMITS] = "resource limits",
	[WALL_FDS_CLOSED] = "descriptors closed",
	[WALL_PARENT_DEATH] = "dies with its parent",
	[WALL_USER_NS] = "user namespace",
	[WALL_PID_NS] = "pid namespace",
	[WALL_MOUNT_NS] = "mount namespace",
	[WALL_IPC_NS] = "ipc namespace",
	[WALL_NET_NS] = "network namespace",
	[WALL_UTS_NS] = "uts namespace",
	[WALL_EMPTY_ROOT] = "empty root",
	[WALL_DETACHED_ROOT] = "detached directory",
	[WALL_OWN_UID] = "own uid",
	[WALL_NO_CAPS] = "no capabilities",
	[WALL_LANDLOCK_FS] = "Landlock files",
	[WALL_LANDLOCK_NET] = "Landlock network",
	[WALL_LANDLOCK_SCOPE] = "Landlock scope",
	[WALL_SECCOMP_NAMED] = "forbidden calls named",
	[WALL_SECCOMP] = "seccomp",
	[WALL_MDWE] = "no writable code",
};

#define NAMESPACES                                                                                                               \
	(WALL_BIT(WALL_USER_NS) | WALL_BIT(WALL_PID_NS) | WALL_BIT(WALL_MOUNT_NS) | WALL_BIT(WALL_IPC_NS) | WALL_BIT(WALL_UTS_NS))
#define FIRST                                                                                                                    \
	(WALL_BIT(WALL_NO_NEW_PRIVS) | WALL_BIT(WALL_NON_DUMPABLE) | WALL_BIT(WALL_RLIMITS) | WALL_BIT(WALL_PARENT_DEATH) |      \
	 WALL_BIT(WALL_FDS_CLOSED) | WALL_BIT(WALL_NO_CAPS))
#define LANDLOCK (WALL_BIT(WALL_LANDLOCK_FS) | WALL_BIT(WALL_LANDLOCK_NET) | WALL_BIT(WALL_LANDLOCK_SCOPE))
#define SECCOMP (WALL_BIT(WALL_SECCOMP) | WALL_BIT(WALL_SECCOMP_NAMED))

uint32_t walls_required(enum role role)
{
	uint32_t w = WALL_BIT(WALL_NO_NEW_PRIVS) | WALL_BIT(WALL_NON_DUMPABLE);

	if (role == ROLE_LAUNCHER)
		return w;
	if (role != ROLE_PARENT)
		w |= WALL_BIT(WALL_FDS_CLOSED);
#ifndef SANDBOX_WIDE
	w |= WALL_BIT(WALL_SECCOMP);
	if (role == ROLE_DISKPROC || role == ROLE_CREATE || role == ROLE_RESOLVER || role == ROLE_PARENT)
		w |= WALL_BIT(WALL_LANDLOCK_FS);
#endif
	return w;
}

uint32_t walls_wanted(enum role role)
{
	uint32_t w = walls_required(role);

	switch (role) {
	case ROLE_PARENT:
		/* No scope: it must be able to end its children, which are outside of its domain. */
		return w | WALL_BIT(WALL_RLIMITS) | WALL_BIT(WALL_MDWE) |
		       (w & WALL_BIT(WALL_SECCOMP) ? WALL_BIT(WALL_LANDLOCK_NET) : 0);
	case ROLE_LAUNCHER:
		return w | WALL_BIT(WALL_PARENT_DEATH);
	default:
		break;
	}
	w |= FIRST;
#ifndef SANDBOX_WIDE
	w |= NAMESPACES | LANDLOCK | SECCOMP;
	/* It connects by TCP: that is all it is for. */
	if (role == ROLE_DIALER)
		w &= ~WALL_BIT(WALL_LANDLOCK_NET);
	/* It has no root of its own, which is what root's children need a user namespace for. */
	if (role == ROLE_RESOLVER)
		w &= ~WALL_BIT(WALL_USER_NS);
	else
		w |= WALL_BIT(WALL_MDWE) | WALL_BIT(WALL_EMPTY_ROOT);
	if (role != ROLE_RESOLVER && role != ROLE_DIALER)
		w |= WALL_BIT(WALL_NET_NS);
#endif
	return w;
}

/* Ends a process that cannot be walled in. */
NORETURN static void cannot(const char *what)
{
	log_now(LOG_ERROR, "cannot raise a wall: %s: %s", what, strerror(errno));
	_exit(6);
}

/* Both limits of `what` become at most n. */
static bool limit(int what, rlim_t n)
{
	struct rlimit r;

	if (getrlimit((__rlimit_resource_t)what, &r) < 0)
		return false;
	if (r.rlim_max == RLIM_INFINITY || r.rlim_max > n)
		r.rlim_max = n;
	r.rlim_cur = r.rlim_max;
	return setrlimit((__rlimit_resource_t)what, &r) == 0;
}

static bool limit_files(enum role role)
{
	switch (role) {
	case ROLE_NETPROC:
		return limit(RLIMIT_NOFILE, 5120); /* the most that --max-peers allows, and trackers, web seeds, channels */
	case ROLE_DISKPROC:
	case ROLE_DIALER:
		return limit(RLIMIT_NOFILE, 1024);
	case ROLE_RESOLVER:
	case ROLE_CREATE:
		return limit(RLIMIT_NOFILE, 256);
	case ROLE_INSPECT:
		return limit(RLIMIT_NOFILE, 64);
	default:
		return true;
	}
}

static bool raise_limits(enum role role)
{
	bool ok = limit(RLIMIT_CORE, 0) && limit_files(role);

	if (role == ROLE_PARENT)
		return ok;
	return ok && limit(RLIMIT_MEMLOCK, 0) && limit(RLIMIT_STACK, 8u << 20) && limit(RLIMIT_MSGQUEUE, 0) && limit(RLIMIT_NICE, 0) &&
	       limit(RLIMIT_RTPRIO, 0);
}

/* Limits that set-up itself would hit: threads are made, memory files are sized before this. */
static bool raise_last_limits(enum role role)
{
	if (role == ROLE_PARENT)
		return true;
	if (!limit(RLIMIT_NPROC, 0))
		return false;
	if (role == ROLE_NETPROC || role == ROLE_DIALER || role == ROLE_RESOLVER)
		return limit(RLIMIT_FSIZE, 0);
	return true;
}

bool sandbox_drop_caps(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
	struct __user_cap_data_struct d[2];
	int cap;

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* Needs CAP_SETPCAP; who does not have it has a bounding set that no exec can draw from (no_new_privs). */
	for (cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			break;
	memset(d, 0, sizeof d);
	if (syscall(SYS_capset, &h, d) < 0 || syscall(SYS_capget, &h, d) < 0)
		return false;
	return !(d[0].effective | d[0].permitted | d[0].inheritable | d[1].effective | d[1].permitted | d[1].inheritable);
}

bool sandbox_keep_caps(uint64_t keep)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
	struct __user_cap_data_struct d[2];
	int i;

	if (syscall(SYS_capget, &h, d) < 0)
		return false;
	for (i = 0; i < 2; i++) {
		d[i].permitted &= (uint32_t)(keep >> 32 * i);
		d[i].effective = d[i].permitted;
		d[i].inheritable = 0;
	}
	return syscall(SYS_capset, &h, d) == 0 && !(keep ? 0 : d[0].permitted | d[1].permitted);
}

/* What a change of credentials undoes: non-dumpable, and the signal at the parent's death. */
void sandbox_rearm(uint32_t *walls)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		cannot("non-dumpable");
	*walls |= WALL_BIT(WALL_NON_DUMPABLE);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0)
		*walls |= WALL_BIT(WALL_PARENT_DEATH);
}

/* Everything above the control channel. */
static bool close_rest(void)
{
	struct rlimit r;
	int fd;

	if (syscall(SYS_close_range, (unsigned)CONTROL + 1, ~0u, 0) == 0)
		return true;
	/* Before Linux 5.9. */
	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur > 1u << 20)
		return false;
	for (fd = CONTROL + 1; fd < (int)r.rlim_cur; fd++)
		(void)close(fd);
	return true;
}

#ifdef SANDBOX_KILL
/* The test build: an unlisted call is named to the parent, and ends the process. */
static enum role trapped_role;

static void on_trap(int sig, siginfo_t *info, void *context)
{
	struct {
		struct packet_header h;
		struct msg_violation m;
	} p = { { .type = MSG_VIOLATION, .count = 1, .epoch = 0 }, { .syscall = (uint32_t)info->si_syscall } };

	(void)sig;
	(void)context;
	if (trapped_role == ROLE_PARENT)
		log_now(LOG_BUG, "unlisted system call %d", info->si_syscall);
	else
		(void)!write(CONTROL, &p, sizeof p);
	_exit(159);
}

static void catch_traps(enum role role)
{
	struct sigaction a = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

	trapped_role = role;
	if (sigaction(SIGSYS, &a, NULL) < 0)
		cannot("the handler of SIGSYS");
}
#else
static void catch_traps(enum role role)
{
	(void)role;
}
#endif

uint32_t sandbox_begin(enum role role)
{
	uint32_t walls = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		cannot("no_new_privs");
	walls |= WALL_BIT(WALL_NO_NEW_PRIVS);
	if (role != ROLE_PARENT && close_rest())
		walls |= WALL_BIT(WALL_FDS_CLOSED);
	if (role == ROLE_PARENT) {
		if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
			cannot("non-dumpable");
		walls |= WALL_BIT(WALL_NON_DUMPABLE);
	} else {
		sandbox_rearm(&walls);
		if (sandbox_drop_caps())
			walls |= WALL_BIT(WALL_NO_CAPS);
	}
	if (raise_limits(role))
		walls |= WALL_BIT(WALL_RLIMITS);
#ifndef SANDBOX_WIDE
	/* Not the resolver: name service modules are other people's code, some with a compiler inside. */
	if (role != ROLE_RESOLVER && prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0)
		walls |= WALL_BIT(WALL_MDWE);
#endif
	return walls;
}

#ifndef SANDBOX_WIDE
static bool named; /* filter 1 is up and has a listener */
#endif

int sandbox_listener(enum role role)
{
#ifdef SANDBOX_WIDE
	(void)role;
	errno = ENOSYS;
	return -1;
#else
	scmp_filter_ctx f;
	int fd, kept, r;

	(void)role;
	f = policy_attack_filter();
	if (!f)
		return -1;
	r = seccomp_load(f);
	if (r < 0) {
		seccomp_release(f);
		errno = -r;
		return -1;
	}
	/* libseccomp keeps one listener for itself, and closes it when the last filter is released. */
	fd = seccomp_notify_fd(f);
	kept = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, CONTROL + 1);
	seccomp_release(f);
	if (fd >= 0 && fd != kept)
		close(fd);
	named = kept >= 0;
	return kept;
#endif
}

/* Started as root it must be able to end compartments of other uids, and to rename in somebody's directory. */
static void keep_parents_caps(uint32_t *walls)
{
	if (!sandbox_keep_caps(1ull << CAP_KILL | 1ull << CAP_DAC_OVERRIDE))
		cannot("capabilities");
	if (geteuid() != 0)
		*walls |= WALL_BIT(WALL_NO_CAPS);
}

void sandbox_end(enum role role, uint32_t *walls)
{
	if (!raise_last_limits(role))
		*walls &= ~WALL_BIT(WALL_RLIMITS);
	catch_traps(role);
	if (role == ROLE_PARENT)
		keep_parents_caps(walls);
#ifndef SANDBOX_WIDE
	{
		scmp_filter_ctx f = policy_filter(role, named);
		int r;

		if (!f)
			cannot("the seccomp filter");
		r = seccomp_load(f);
		if (r < 0) {
			errno = -r;
			cannot("seccomp");
		}
		/* Released into malloc, not unmapped: the call to free is one of those that are permitted. */
		seccomp_release(f);
		*walls |= WALL_BIT(WALL_SECCOMP);
		if (named)
			*walls |= WALL_BIT(WALL_SECCOMP_NAMED);
	}
#endif
	if (walls_required(role) & ~*walls) {
		errno = ENOTSUP;
		cannot("a required one is missing");
	}
}
