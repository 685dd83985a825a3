/*
 * policy.c - what each process may ask of the kernel, a reason beside each line.
 *
 * Rows permit; there is no row that forbids, because an int argument with high
 * bits set would slip past a comparison that denies, while here it merely
 * fails to match.  What is in no row gets ENOSYS in a release, so that a new
 * libc is no outage, and ends the process in the test build (SANDBOX_KILL).
 * Removing a line should make a test fail; adding one should make a reviewer
 * ask.  Warmed before the lock, and so in no row: opening libraries, making
 * threads, sockets and pairs.
 *
 * Rows without argument conditions are answered by the kernel from its cache
 * of actions without running the filter: that is why the calls of the data path
 * (read, write, readv, writev, recvfrom, epoll_wait, pread64, pwrite64) have none.
 */
#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "slots.h"

#define PARENT (1u << ROLE_PARENT)
#define INSPECT (1u << ROLE_INSPECT)
#define RESOLVER (1u << ROLE_RESOLVER)
#define DIALER (1u << ROLE_DIALER)
#define NETPROC (1u << ROLE_NETPROC)
#define DISKPROC (1u << ROLE_DISKPROC)
#define CREATE (1u << ROLE_CREATE)
#define ALL (PARENT | INSPECT | RESOLVER | DIALER | NETPROC | DISKPROC | CREATE)

#define ALLOW(roles, call, why, ...) { roles, SCMP_SYS(call), #call, 0, why, { __VA_ARGS__ } }
#define ANSWER(roles, call, error, why) { roles, SCMP_SYS(call), #call, error, why, { { 0, 0, 0, 0 } } }

/* Argument n is v, in all of its 64 bits. */
#define IS(n, v) { n, SCMP_CMP_EQ, (uint64_t)(v), 0 }
/* Argument n has no bit outside `bits`. */
#define WITHIN(n, bits) { n, SCMP_CMP_MASKED_EQ, ~(uint64_t)(bits), 0 }
/* Argument n has all of `must` and nothing outside must | bits. */
#define WITH(n, must, bits) { n, SCMP_CMP_MASKED_EQ, ~(uint64_t)(bits), (uint64_t)(must) }
/* Argument n is a mode within that of what is made (POLICY_FILE_MODE, POLICY_DIR_MODE). */
#define MODE(n, of) { n, SCMP_CMP_MASKED_EQ, of, 0 }
/* Argument n is a descriptor, and so not AT_FDCWD in any width. */
#define FD(n) WITHIN(n, 0x7fffffff)

/* The kernel's own O_LARGEFILE, which F_GETFL shows; glibc defines it as 0 on 64-bit machines. */
#define KERNEL_O_LARGEFILE 0100000

#define DISK_OPEN_BITS (O_ACCMODE | O_CREAT | O_EXCL | O_CLOEXEC | O_DIRECTORY | O_NONBLOCK | KERNEL_O_LARGEFILE)
#define READ_OPEN_BITS (O_CLOEXEC | O_DIRECTORY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | KERNEL_O_LARGEFILE)
#define SOCK_BITS (SOCK_CLOEXEC | SOCK_NONBLOCK)

const struct policy_row policy_rows[] = {
	/* ---- life and death ---- */
	ALLOW(ALL, exit_group, "ending"),
	ALLOW(RESOLVER | DISKPROC | CREATE, exit, "a thread ends"),
	ALLOW(ALL, rt_sigreturn, "return from a handler"),
	ALLOW(ALL, rt_sigprocmask, "abort(), pthread internals"),
	ALLOW(ALL, rt_sigaction, "abort() resets its handler"),
	ALLOW(ALL, restart_syscall, "the kernel resumes a poll after a stop signal"),
	ALLOW(ALL, getpid, "abort(); OpenSSL's fork check"),
	ALLOW(ALL, gettid, "abort()"),
	ALLOW(ALL, tgkill, "abort(): only to itself, and only SIGABRT", IS(0, POLICY_SELF), IS(2, SIGABRT)),
	ALLOW(PARENT, kill, "ending compartments; the kernel cannot be told whose children they are"),
	ALLOW(PARENT, waitid, "reaping"),
	ALLOW(PARENT, wait4, "reaping"),

	/* ---- time and chance ---- */
	ALLOW(ALL, clock_gettime, "where the vDSO cannot answer"),
	ALLOW(ALL, gettimeofday, "the same, of older callers"),
	ALLOW(RESOLVER, clock_nanosleep, "libc waits between attempts"),
	ALLOW(ALL, getrandom, "OpenSSL's generator, peer ids, keys of hash tables"),

	/* ---- memory ---- */
	ALLOW(ALL, brk, "malloc"),
	ALLOW(ALL, mmap, "malloc: anonymous, never executable", WITHIN(2, PROT_READ | PROT_WRITE),
	      WITH(3, MAP_PRIVATE | MAP_ANONYMOUS, MAP_NORESERVE | MAP_STACK | MAP_POPULATE)),
	ALLOW(DISKPROC, mmap, "netproc's slots, also when it was restarted: to read, whole",
	      IS(1, (uint64_t)SLOT_COUNT * SLOT_BYTES), IS(2, PROT_READ), IS(3, MAP_SHARED), IS(5, 0)),
	ALLOW(DISKPROC | PARENT, mmap, "the normal form: to read", IS(2, PROT_READ), IS(3, MAP_PRIVATE)),
	ALLOW(PARENT, mmap, "the text of inspect, sealed: to read", IS(2, PROT_READ), IS(3, MAP_SHARED)),
	/* The loader: what is executable is a file's, unchanged; what is writable is never executable. */
	ALLOW(RESOLVER, mmap, "name service modules are loaded when they are first needed: code", WITHIN(2, PROT_READ | PROT_EXEC),
	      WITH(3, MAP_PRIVATE, MAP_FIXED | MAP_DENYWRITE)),
	ALLOW(RESOLVER, mmap, "name service modules: data", WITHIN(2, PROT_READ | PROT_WRITE),
	      WITH(3, MAP_PRIVATE, MAP_FIXED | MAP_DENYWRITE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK)),
	ALLOW(ALL, munmap, "free() of large blocks"),
	ALLOW(ALL, mremap, "realloc of large blocks"),
	ALLOW(ALL, mprotect, "growing a thread's arena; never executable", WITHIN(2, PROT_READ | PROT_WRITE)),
	ALLOW(ALL, madvise, "free gives pages back", IS(2, MADV_DONTNEED)),

	/* ---- waiting ---- */
	ALLOW(ALL, poll, "waiting for GO; the loops of all but netproc; libcurl"),
	ALLOW(ALL, ppoll, "the same, where libc prefers it"),
	ALLOW(NETPROC, epoll_wait, "the loop"),
	ALLOW(NETPROC, epoll_pwait, "the loop, on machines without epoll_wait"),
	ALLOW(NETPROC, epoll_ctl, "the loop"),
	ALLOW(ALL, futex, "locks: libc's, OpenSSL's, our threads'"),
	ALLOW(ALL, sched_yield, "contended locks"),

	/* ---- bytes over descriptors that are there ---- */
	ALLOW(ALL, read, "channels, sockets, event counters"),
	ALLOW(ALL, write, "channels, sockets, event counters"),
	ALLOW(ALL, close, "what was handed over and is done with"),
	ALLOW(ALL, recvmsg, "channels that carry descriptors"),
	ALLOW(DIALER | PARENT, sendmsg, "handing descriptors over"),
	ALLOW(NETPROC, readv, "payload straight into slots"),
	ALLOW(NETPROC, splice, "what is uploaded, from diskproc's pipe into a socket, neither at a place", IS(1, 0), IS(3, 0),
	      WITHIN(5, SPLICE_F_NONBLOCK | SPLICE_F_MORE)),
	ALLOW(DISKPROC, splice, "what is uploaded, from a file into the pipe to netproc", IS(3, 0), IS(5, SPLICE_F_NONBLOCK)),
	ALLOW(NETPROC, fcntl, "what a new diskproc's pipe holds", IS(1, F_GETPIPE_SZ)),
	ALLOW(RESOLVER, writev, "a question over TCP"),
	ALLOW(ALL, fcntl, "channel_init", IS(1, F_GETFL)),
	ALLOW(ALL, fcntl, "channel_init: O_NONBLOCK only; O_ASYNC would send signals", IS(1, F_SETFL),
	      WITHIN(2, O_ACCMODE | O_NONBLOCK | KERNEL_O_LARGEFILE)),
	ALLOW(ALL, fcntl, "the list of open descriptors", IS(1, F_GETFD)),
	ALLOW(ALL, fcntl, "channel_init: FD_CLOEXEC", IS(1, F_SETFD), WITHIN(2, FD_CLOEXEC)),
	ALLOW(DIALER | PARENT | RESOLVER, fcntl, "a queued message keeps a copy of its descriptor", IS(1, F_DUPFD_CLOEXEC)),

	/* ---- files ---- */
	ALLOW(ALL & ~DIALER, fstat, "sizes, by descriptor"),
	ALLOW(DISKPROC | CREATE | RESOLVER, pread64, "what is there, what was spilled, the record; what is shared; the loader"),
	ALLOW(DISKPROC, fadvise64, "what is checked or uploaded next is fetched meanwhile", IS(3, POSIX_FADV_WILLNEED)),
	ALLOW(DISKPROC, preadv2, "whether what is uploaded is in the page cache", IS(5, RWF_NOWAIT)),
	ALLOW(DISKPROC, pwrite64, "a part of a piece that is to be spilled; the record of what is verified; what the parts file has of a file"),
	ALLOW(PARENT, pwrite64, "the totals, in place, into the record of the download"),
	ALLOW(DISKPROC, pwritev, "pieces"),
	ALLOW(DISKPROC, ftruncate, "a file has its length before its first byte; parts that nobody needs go"),
	ALLOW(DISKPROC, fallocate, "--allocate full: space for what is still to be written; mode 0 changes no byte that is there", IS(1, 0)),
	ALLOW(DISKPROC | PARENT, fsync, "a piece is recorded only after it; the output directory, the record"),
	ALLOW(DISKPROC, fdatasync, "a piece is recorded only after it; the record"),
	ALLOW(DISKPROC, syncfs, "many files are synced at once: each by itself is a commit of the journal"),
	ALLOW(DISKPROC, fstatfs, "space that is left"),
	ALLOW(RESOLVER, lseek, "libc's streams"),
	ALLOW(DISKPROC, lseek, "holes of what is there are not read", IS(2, SEEK_DATA)),
	ALLOW(DISKPROC, openat, "below the root, one component at a time, no symlink, no truncation, never executable", FD(0),
	      WITH(2, O_NOFOLLOW, DISK_OPEN_BITS), MODE(3, POLICY_FILE_MODE)),
	ALLOW(CREATE, openat, "below the root, one component at a time, no symlink, to read", FD(0),
	      WITH(2, O_NOFOLLOW, READ_OPEN_BITS & ~O_NOFOLLOW), IS(3, 0)),
	ALLOW(CREATE, getdents64, "names in a directory"),
	ALLOW(DISKPROC, mkdirat, "below the root", FD(0), MODE(2, POLICY_DIR_MODE)),
	ALLOW(NETPROC | DISKPROC | PARENT, fcntl, "slots and forms are checked before they are mapped", IS(1, F_GET_SEALS)),

	/* ---- netproc: names no address to the kernel ---- */
	ALLOW(NETPROC, recvfrom, "recv()"),
	ALLOW(NETPROC, sendto, "send(): without an address", IS(4, 0), IS(5, 0)),
	ALLOW(NETPROC, setsockopt, "libcurl; never at IP level, where a routing header is an address", IS(1, IPPROTO_TCP),
	      IS(2, TCP_NODELAY)),
	ALLOW(NETPROC | DIALER, getsockopt, "after a connect, libcurl's too; no option of TCP, one of which maps what came",
	      IS(1, SOL_SOCKET), IS(2, SO_ERROR)),
	ALLOW(NETPROC, getsockopt, "how much of an upload a socket has room for", IS(1, SOL_SOCKET), IS(2, SO_MEMINFO)),
	ALLOW(DIALER, getsockopt, "--bind INTERFACE: which one the name was", IS(1, SOL_SOCKET), IS(2, SO_BINDTOIFINDEX)),
	ALLOW(RESOLVER, getsockopt, "modules of the name service"),
	ALLOW(NETPROC | DIALER | RESOLVER, getsockname, "libcurl; own address for the tracker and for the policy"),
	ALLOW(NETPROC | RESOLVER, getpeername, "libcurl; libc"),
	ANSWER(NETPROC, socket, EPERM, "libcurl probes for IPv6"),
	ANSWER(NETPROC, connect, EINPROGRESS, "libcurl 7.88 connects a connected socket; nothing is connected"),

	/* ---- dialer ---- */
	ALLOW(DIALER, socket, "peers, trackers, web seeds", IS(0, AF_INET), WITH(1, SOCK_STREAM, SOCK_BITS), WITHIN(2, IPPROTO_TCP)),
	ALLOW(DIALER, socket, "peers, trackers, web seeds", IS(0, AF_INET6), WITH(1, SOCK_STREAM, SOCK_BITS), WITHIN(2, IPPROTO_TCP)),
	ALLOW(DIALER | RESOLVER, connect, "what they are for"),
	/* It listens before the lock: no row for listen. */
	ALLOW(DIALER, accept4, "who connects to us: never blocking, never inherited", IS(3, SOCK_NONBLOCK | SOCK_CLOEXEC)),
	ALLOW(DIALER | RESOLVER, bind, "--bind ADDRESS; libc's netlink socket"),
	ALLOW(DIALER, setsockopt, "clamped buffers", IS(1, SOL_SOCKET), IS(2, SO_RCVBUF)),
	ALLOW(DIALER, setsockopt, "clamped buffers", IS(1, SOL_SOCKET), IS(2, SO_SNDBUF)),
	ALLOW(DIALER, setsockopt, "--bind INTERFACE", IS(1, SOL_SOCKET), IS(2, SO_BINDTODEVICE)),
	ALLOW(DIALER, setsockopt, "small messages at once", IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)),
	ALLOW(DIALER, setsockopt, "mapped addresses never", IS(1, IPPROTO_IPV6), IS(2, IPV6_V6ONLY)),
	ALLOW(DIALER, setsockopt, "a bound source picks its port when it connects", IS(1, IPPROTO_IP), IS(2, IP_BIND_ADDRESS_NO_PORT)),
	ALLOW(DIALER | RESOLVER, sendto, "route look-up by netlink; questions to name servers"),
	ALLOW(DIALER | RESOLVER, recvfrom, "the answers"),

	/* ---- resolver: whatever getaddrinfo does ---- */
	ALLOW(RESOLVER, socket, "name servers", IS(0, AF_INET), WITH(1, SOCK_STREAM, SOCK_BITS)),
	ALLOW(RESOLVER, socket, "name servers", IS(0, AF_INET), WITH(1, SOCK_DGRAM, SOCK_BITS)),
	ALLOW(RESOLVER, socket, "name servers", IS(0, AF_INET6), WITH(1, SOCK_STREAM, SOCK_BITS)),
	ALLOW(RESOLVER, socket, "name servers", IS(0, AF_INET6), WITH(1, SOCK_DGRAM, SOCK_BITS)),
	ALLOW(RESOLVER, socket, "nscd, systemd-resolved, avahi", IS(0, AF_UNIX), WITH(1, SOCK_STREAM, SOCK_BITS)),
	ALLOW(RESOLVER, socket, "nscd, systemd-resolved, avahi", IS(0, AF_UNIX), WITH(1, SOCK_DGRAM, SOCK_BITS)),
	ALLOW(RESOLVER, socket, "the machine's own addresses, for sorting", IS(0, AF_NETLINK), WITH(1, SOCK_RAW, SOCK_BITS),
	      IS(2, 0 /* NETLINK_ROUTE */)),
	ALLOW(RESOLVER, setsockopt, "errors of UDP", IS(1, IPPROTO_IP), IS(2, IP_RECVERR)),
	ALLOW(RESOLVER, setsockopt, "errors of UDP", IS(1, IPPROTO_IPV6), IS(2, IPV6_RECVERR)),
	ALLOW(RESOLVER, setsockopt, "answers that would be fragments", IS(1, IPPROTO_IP), IS(2, IP_MTU_DISCOVER)),
	ALLOW(RESOLVER, setsockopt, "nss-resolve", IS(1, SOL_SOCKET), IS(2, SO_PASSCRED)),
	ALLOW(RESOLVER, sendmmsg, "two questions at once"),
	ALLOW(RESOLVER, sendmsg, "nscd, varlink"),
	ALLOW(RESOLVER, recvmmsg, "answers"),
	ALLOW(RESOLVER, ioctl, "how long the answer is", IS(1, FIONREAD)),
	ALLOW(RESOLVER, openat, "resolv.conf, nsswitch.conf, hosts, modules: to read", WITHIN(2, READ_OPEN_BITS)),
	ALLOW(RESOLVER, newfstatat, "whether resolv.conf changed"),
	ALLOW(RESOLVER, readlink, "the loader"),
	ALLOW(RESOLVER, access, "the loader"),
	ALLOW(RESOLVER, faccessat, "the loader"),
	ALLOW(RESOLVER, uname, "the local host's name"),
	ALLOW(RESOLVER, getuid, "libraries that ask who they are"),
	ALLOW(RESOLVER, geteuid, "libraries that ask who they are"),
	ALLOW(RESOLVER, getgid, "libraries that ask who they are"),
	ALLOW(RESOLVER, getegid, "libraries that ask who they are"),

	/* ---- parent ---- */
	ALLOW(PARENT, fcntl, "sealing them", IS(1, F_ADD_SEALS)),
	ALLOW(PARENT, renameat2, "the one rename, which replaces nothing", FD(0), FD(2), IS(4, 1 /* RENAME_NOREPLACE */)),
	ALLOW(PARENT, newfstatat, "whether NAME.part is still what was downloaded; libc's fstat"),
	ALLOW(PARENT, ioctl, "which call was forbidden", IS(1, SECCOMP_IOCTL_NOTIF_RECV)),
	ALLOW(PARENT, ioctl, "the width of the terminal", IS(1, TIOCGWINSZ)),
	ALLOW(PARENT, ioctl, "whether it is a terminal", IS(1, TCGETS)),
};
const size_t policy_row_count = ARRAY_LEN(policy_rows);

#define C(call) { SCMP_SYS(call), #call }

const struct policy_call policy_attacks[] = {
	/* other programs, other processes */
	C(execve), C(execveat), C(fork), C(vfork), C(clone), C(clone3), C(ptrace), C(process_vm_readv), C(process_vm_writev),
	C(process_madvise), C(kcmp), C(pidfd_getfd), C(pidfd_open), C(pidfd_send_signal),
	/* the view of the file system */
	C(mount), C(umount2), C(pivot_root), C(chroot), C(open_tree), C(move_mount), C(fsopen), C(fsconfig), C(fsmount), C(fspick),
	C(mount_setattr), C(open_by_handle_at), C(name_to_handle_at), C(unshare), C(setns),
	/* ways into the kernel that few programs need and many exploits use */
	C(bpf), C(io_uring_setup), C(io_uring_enter), C(io_uring_register), C(keyctl), C(add_key), C(request_key), C(init_module),
	C(finit_module), C(delete_module), C(kexec_load), C(kexec_file_load), C(perf_event_open), C(userfaultfd), C(personality),
	C(modify_ldt), C(memfd_secret), C(vmsplice),
	/* the machine */
	C(swapon), C(swapoff), C(reboot), C(iopl), C(ioperm),
};
const size_t policy_attack_count = ARRAY_LEN(policy_attacks);

/* None of these is in the attack set: an ERRNO here would outrank the notification of a child's filter 1. */
const struct policy_call policy_launcher_denies[] = {
	C(acct),	 C(quotactl),	   C(quotactl_fd),    C(nfsservctl), C(syslog),	       C(settimeofday),  C(clock_settime), C(adjtimex),
	C(clock_adjtime), C(stime),	   C(lookup_dcookie), C(uselib),     C(vhangup),	       C(migrate_pages), C(move_pages),	 C(mbind),
	C(set_mempolicy), C(fanotify_init), C(sethostname),   C(setdomainname), C(afs_syscall),    C(_sysctl),	 C(sysfs),	 C(ustat),
	C(mknod),	 C(mknodat),	   C(shmget),	      C(semget),     C(msgget),	       C(mq_open),	 C(get_kernel_syms), C(create_module),
	C(query_module),
};
const size_t policy_launcher_deny_count = ARRAY_LEN(policy_launcher_denies);

const char *policy_call_name(int call)
{
	static char name[48];
	char *found = call < 0 ? NULL : seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);

	snprintf(name, sizeof name, "%s", found ? found : "unknown");
	free(found);
	return name;
}

bool policy_is_attack(int call)
{
	size_t i;

	for (i = 0; i < policy_attack_count; i++)
		if (call >= 0 && policy_attacks[i].call == call)
			return true;
	return false;
}

static scmp_filter_ctx new_filter(uint32_t otherwise)
{
	scmp_filter_ctx f = seccomp_init(otherwise);

	/*
	 * Bad architectures die: a 32-bit or x32 call has other numbers, and so would be judged by the wrong row.
	 * TSYNC: all threads.  no_new_privs was set long ago, and must not be touched here.
	 */
	if (f && (seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) || seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1))) {
		seccomp_release(f);
		errno = EINVAL;
		return NULL;
	}
	return f;
}

static uint32_t file_mode = FILE_MODE;

void policy_set_mode(uint32_t mode)
{
	file_mode = mode ? mode & FILE_MODES : FILE_MODE;
}

static int add_row(scmp_filter_ctx f, const struct policy_row *row)
{
	struct scmp_arg_cmp arg[POLICY_ARGS];
	unsigned n = 0;

	while (n < POLICY_ARGS && row->arg[n].op) {
		arg[n] = row->arg[n];
		if (arg[n].datum_a == POLICY_SELF && arg[n].op == SCMP_CMP_EQ)
			arg[n].datum_a = (uint64_t)getpid();
		if (arg[n].datum_a == POLICY_FILE_MODE)
			arg[n].datum_a = ~(uint64_t)file_mode;
		if (arg[n].datum_a == POLICY_DIR_MODE)
			arg[n].datum_a = ~(uint64_t)dir_mode(file_mode);
		n++;
	}
	return seccomp_rule_add_array(f, row->error ? SCMP_ACT_ERRNO((unsigned)row->error) : SCMP_ACT_ALLOW, row->call, n, arg);
}

static int add_calls(scmp_filter_ctx f, uint32_t action, const struct policy_call *calls, size_t n)
{
	size_t i;
	int r = 0;

	/* A call that this machine does not have is a negative number, which libseccomp skips or refuses. */
	for (i = 0; i < n && !r; i++)
		if (calls[i].call >= 0)
			r = seccomp_rule_add_array(f, action, calls[i].call, 0, NULL);
	return r;
}

static scmp_filter_ctx checked(scmp_filter_ctx f, int r)
{
	if (r) {
		seccomp_release(f);
		errno = -r;
		return NULL;
	}
	return f;
}

scmp_filter_ctx policy_filter(enum role role, bool named)
{
#ifdef SANDBOX_KILL
	uint32_t otherwise = SCMP_ACT_TRAP;
#else
	uint32_t otherwise = SCMP_ACT_ERRNO(ENOSYS);
#endif
	scmp_filter_ctx f = new_filter(otherwise);
	size_t i;
	int r = 0;

	if (!f)
		return NULL;
	for (i = 0; i < policy_row_count && !r; i++)
		if (policy_rows[i].roles >> role & 1 && policy_rows[i].call >= 0)
			r = add_row(f, &policy_rows[i]);
	if (!r)
		r = add_calls(f, named ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS, policy_attacks, policy_attack_count);
	return checked(f, r);
}

scmp_filter_ctx policy_attack_filter(void)
{
	scmp_filter_ctx f = new_filter(SCMP_ACT_ALLOW);

	return f ? checked(f, add_calls(f, SCMP_ACT_NOTIFY, policy_attacks, policy_attack_count)) : NULL;
}

scmp_filter_ctx policy_launcher_filter(void)
{
	scmp_filter_ctx f = new_filter(SCMP_ACT_ALLOW);

	return f ? checked(f, add_calls(f, SCMP_ACT_ERRNO(EPERM), policy_launcher_denies, policy_launcher_deny_count)) : NULL;
}
