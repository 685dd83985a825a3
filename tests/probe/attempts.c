/*
 * attempts.c - what a compromised compartment would try, and what it must still be able to do.
 *
 * Each is one raw system call or a short sequence, so that what refuses it is
 * the wall and not the C library.  Nothing here may do harm where a wall is
 * missing: signals are number 0, modules and kernels are NULL.
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define I (1u << ROLE_INSPECT)
#define R (1u << ROLE_RESOLVER)
#define D (1u << ROLE_DIALER)
#define N (1u << ROLE_NETPROC)
#define K (1u << ROLE_DISKPROC)
#define C (1u << ROLE_CREATE)
#define ALL (I | R | D | N | K | C)
#define P (1u << ROLE_PARENT) /* behind its walls: what run_probe does in a child of its own */

struct probe probe = { .tcp = -1, .udp = -1, .channel = -1, .root = -1, .file = -1, .memory = -1,
			 .conveyor = -1 };

/* An attempt that is one expression. */
#define TRY(name, expression)                  \
	static long name(void)                 \
	{                                      \
		return (long)(expression);     \
	}

static struct sockaddr_in loopback(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

/* ---- other programs and processes ---- */
static char *const sh[] = { (char[]){ "sh" }, NULL };
TRY(exec, syscall(SYS_execve, "/bin/sh", sh, sh + 1))
TRY(execat, syscall(SYS_execveat, AT_FDCWD, "/bin/sh", sh, sh + 1, 0))
TRY(exec_empty, syscall(SYS_execveat, 0, "", sh, sh + 1, AT_EMPTY_PATH))
#ifdef SYS_fork
TRY(forks, syscall(SYS_fork))
#endif
TRY(clones, syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))
TRY(clones_high, syscall(SYS_clone, 1ul << 33 | SIGCHLD, 0, 0, 0, 0))
static long clones3(void)
{
	struct clone_args a = { .exit_signal = SIGCHLD };

	return syscall(SYS_clone3, &a, sizeof a);
}
TRY(trace_parent, syscall(SYS_ptrace, PTRACE_ATTACH, probe.parent, 0, 0))
TRY(trace_me, syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0))
static long read_memory(void)
{
	char c;
	struct iovec here = { &c, 1 }, there = { &probe, 1 };

	return syscall(SYS_process_vm_readv, probe.sibling, &here, 1, &there, 1, 0);
}
static long write_memory(void)
{
	char c = 0;
	struct iovec here = { &c, 1 }, there = { &probe, 1 };

	return syscall(SYS_process_vm_writev, probe.sibling, &here, 1, &there, 1, 0);
}
TRY(kill_parent, syscall(SYS_kill, probe.parent, 0))
TRY(kill_sibling, syscall(SYS_kill, probe.sibling, 0))
TRY(kill_all, syscall(SYS_kill, -1, 0))
TRY(tgkill_sibling, syscall(SYS_tgkill, probe.sibling, probe.sibling, 0))
TRY(tgkill_other_signal, syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1))
TRY(tkill_sibling, syscall(SYS_tkill, probe.sibling, 0))
TRY(queue_signal, syscall(SYS_rt_sigqueueinfo, probe.sibling, 0, 0))
TRY(pidfd, syscall(SYS_pidfd_open, probe.sibling, 0))
TRY(renice_sibling, syscall(SYS_setpriority, PRIO_PROCESS, probe.sibling, 19))
static long pin_sibling(void)
{
	unsigned long one = 1;

	return syscall(SYS_sched_setaffinity, probe.sibling, sizeof one, &one);
}
static long limit_sibling(void)
{
	struct rlimit r = { 1 << 20, 1 << 20 };

	return syscall(SYS_prlimit64, probe.sibling, RLIMIT_CPU, &r, NULL);
}
static long raise_limit(void)
{
	struct rlimit r = { 1 << 20, 1 << 20 };

	return syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &r, NULL);
}
static long set_owner(void)
{
	return fcntl(CONTROL_FD, F_SETOWN, probe.sibling);
}
static long set_owner_ex(void)
{
	struct f_owner_ex o = { F_OWNER_PID, probe.sibling };

	return fcntl(CONTROL_FD, F_SETOWN_EX, &o);
}
TRY(set_signal, fcntl(CONTROL_FD, F_SETSIG, SIGKILL))
TRY(set_async, fcntl(CONTROL_FD, F_SETFL, O_ASYNC | O_NONBLOCK | O_RDWR))
TRY(set_async_high, syscall(SYS_fcntl, CONTROL_FD, 1ul << 32 | F_SETFL, O_ASYNC))
TRY(set_lease, fcntl(CONTROL_FD, F_SETLEASE, F_WRLCK))

/* ---- files by name ---- */
#ifdef SYS_open
TRY(open_passwd_old, syscall(SYS_open, "/etc/passwd", O_RDONLY))
#endif
TRY(open_passwd, syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY | O_NOFOLLOW))
TRY(open_shadow, syscall(SYS_openat, AT_FDCWD, "/etc/shadow", O_RDONLY))
TRY(open_absolute, syscall(SYS_openat, CONTROL_FD, "/etc/passwd", O_RDONLY | O_NOFOLLOW))
static long open2(void)
{
	uint64_t how[3] = { O_RDONLY, 0, 0 };

	return syscall(SYS_openat2, AT_FDCWD, "/etc/hostname", how, sizeof how);
}
TRY(create, syscall(SYS_openat, AT_FDCWD, "/tmp/bulkhead-probe", O_CREAT | O_WRONLY | O_NOFOLLOW, 0600))
TRY(create_here, syscall(SYS_openat, AT_FDCWD, "bulkhead-probe", O_CREAT | O_WRONLY | O_NOFOLLOW, 0600))
TRY(temporary, syscall(SYS_openat, AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR, 0600))
TRY(write_etc, syscall(SYS_openat, AT_FDCWD, "/etc/resolv.conf", O_WRONLY))
TRY(write_shm, syscall(SYS_openat, AT_FDCWD, "/dev/shm/bulkhead-probe", O_CREAT | O_RDWR, 0600))
TRY(read_home, syscall(SYS_openat, AT_FDCWD, "/home", O_RDONLY | O_DIRECTORY))
TRY(read_tmp, syscall(SYS_openat, AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY))
TRY(read_proc, syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY))
static long open_proc(int pid, const char *what)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
	return syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
}
TRY(sibling_memory, open_proc(probe.sibling, "mem"))
TRY(sibling_descriptors, open_proc(probe.sibling, "fd/3"))
TRY(sibling_environment, open_proc(probe.sibling, "environ"))
TRY(parent_root, open_proc(probe.parent, "root/etc/passwd"))
static long stat_shadow(void)
{
	struct stat st;

	return syscall(SYS_newfstatat, AT_FDCWD, "/etc/shadow", &st, 0);
}
static long statx_shadow(void)
{
	char buf[256];

	return syscall(SYS_statx, AT_FDCWD, "/etc/shadow", 0, 0x7ff, buf);
}
TRY(change_directory, syscall(SYS_chdir, "/tmp"))
TRY(change_mode, syscall(SYS_fchmodat, AT_FDCWD, "/tmp", 0777))
TRY(change_mode_fd, syscall(SYS_fchmod, CONTROL_FD, 0777))
TRY(change_owner, syscall(SYS_fchownat, AT_FDCWD, "/tmp/x", 0, 0, 0))
TRY(make_link, syscall(SYS_linkat, AT_FDCWD, "/etc/passwd", AT_FDCWD, "/tmp/bulkhead-probe", 0))
TRY(make_symlink, syscall(SYS_symlinkat, "/etc/passwd", AT_FDCWD, "/tmp/bulkhead-probe"))
TRY(make_directory, syscall(SYS_mkdirat, AT_FDCWD, "/tmp/bulkhead-probe", 0700))
TRY(make_node, syscall(SYS_mknodat, AT_FDCWD, "/tmp/bulkhead-probe", S_IFIFO | 0600, 0))
TRY(remove_file, syscall(SYS_unlinkat, AT_FDCWD, "/tmp/bulkhead-probe-none", 0))
TRY(rename_file, syscall(SYS_renameat2, AT_FDCWD, "/tmp/bulkhead-probe-a", AT_FDCWD, "/tmp/bulkhead-probe-b", 0))
TRY(truncate_file, syscall(SYS_truncate, "/tmp/bulkhead-probe-none", 0))
TRY(watch, syscall(SYS_inotify_init1, 0))

/* ---- memory ---- */
#define MAP_ANON_PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
TRY(map_wx, syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_ANON_PRIVATE, -1, 0))
TRY(map_x, syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_ANON_PRIVATE, -1, 0))
TRY(map_x_high, syscall(SYS_mmap, 0, 4096, 1ul << 32 | PROT_READ | PROT_EXEC, MAP_ANON_PRIVATE, -1, 0))
static long protect(unsigned long bits, long call)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_ANON_PRIVATE, -1, 0);

	if (p == MAP_FAILED)
		return -1;
	return syscall(call, p, 4096, bits, -1);
}
TRY(protect_x, protect(PROT_READ | PROT_EXEC, SYS_mprotect))
TRY(protect_x_high, protect(1ul << 32 | PROT_READ | PROT_EXEC, SYS_mprotect))
TRY(protect_x_key, protect(PROT_READ | PROT_EXEC, SYS_pkey_mprotect))
TRY(memory_file, syscall(SYS_memfd_create, "x", 0))
TRY(shared_segment, syscall(SYS_shmget, 0, 4096, 0600))
TRY(fault_handler, syscall(SYS_userfaultfd, 0))

/* ---- slots ---- */
TRY(slots_grow, syscall(SYS_ftruncate, probe.memory, probe.slots_bytes * 2))
TRY(slots_shrink, syscall(SYS_ftruncate, probe.memory, 0))
TRY(slots_punch, syscall(SYS_fallocate, probe.memory, 3 /* PUNCH_HOLE | KEEP_SIZE */, 0, 4096))
TRY(slots_allocate, syscall(SYS_fallocate, probe.memory, 0, 0, probe.slots_bytes * 2))
TRY(slots_remove, syscall(SYS_madvise, probe.slots, 4096, MADV_REMOVE))
TRY(slots_map_again, syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, probe.memory, 0))
TRY(slots_map_exec, syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, probe.memory, 0))
TRY(slots_protect_exec, syscall(SYS_mprotect, probe.slots, 4096, PROT_READ | PROT_EXEC))
TRY(slots_write_call, syscall(SYS_write, probe.memory, "x", 1))
TRY(slots_pwrite, syscall(SYS_pwrite64, probe.memory, "x", 1, 0))
TRY(slots_seals, syscall(SYS_fcntl, probe.memory, F_ADD_SEALS, F_SEAL_WRITE))
static long reopen(int fd)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return syscall(SYS_openat, AT_FDCWD, path, O_RDWR);
}
TRY(slots_reopen, reopen(probe.memory))
/* Those of the other one: to be read, and nothing else. */
TRY(other_grow, syscall(SYS_ftruncate, probe.other_memory, probe.slots_bytes * 2))
TRY(other_shrink, syscall(SYS_ftruncate, probe.other_memory, 0))
TRY(other_punch, syscall(SYS_fallocate, probe.other_memory, 3 /* PUNCH_HOLE | KEEP_SIZE */, 0, 4096))
TRY(other_remove, syscall(SYS_madvise, probe.other_slots, 4096, MADV_REMOVE))
TRY(other_map_writable, syscall(SYS_mmap, 0, probe.slots_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, probe.other_memory, 0))
TRY(other_map_private, syscall(SYS_mmap, 0, probe.slots_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, probe.other_memory, 0))
TRY(other_map_exec, syscall(SYS_mmap, 0, probe.slots_bytes, PROT_READ | PROT_EXEC, MAP_SHARED, probe.other_memory, 0))
TRY(other_map_over, syscall(SYS_mmap, probe.slots, probe.slots_bytes, PROT_READ, MAP_SHARED | MAP_FIXED, probe.other_memory, 0))
TRY(other_writable, syscall(SYS_mprotect, probe.other_slots, 4096, PROT_READ | PROT_WRITE))
TRY(other_write_call, syscall(SYS_write, probe.other_memory, "x", 1))
TRY(other_pwrite, syscall(SYS_pwrite64, probe.other_memory, "x", 1, 0))
TRY(other_seals, syscall(SYS_fcntl, probe.other_memory, F_ADD_SEALS, F_SEAL_WRITE))
TRY(other_reopen, reopen(probe.other_memory))
static long slots_use(void)
{
	volatile uint8_t *p = probe.slots;

	p[0] = 1;
	return p[0] == 1 ? 0 : -1;
}
static long other_read(void)
{
	volatile uint8_t *p = probe.other_slots;

	return p[0];
}

/* ---- sockets ---- */
#define SOCKET(name, family, type) TRY(name, syscall(SYS_socket, family, type, 0))
SOCKET(socket_tcp, AF_INET, SOCK_STREAM)
SOCKET(socket_tcp6, AF_INET6, SOCK_STREAM)
SOCKET(socket_udp, AF_INET, SOCK_DGRAM)
SOCKET(socket_raw, AF_INET, SOCK_RAW)
SOCKET(socket_unix, AF_UNIX, SOCK_STREAM)
SOCKET(socket_netlink, AF_NETLINK, SOCK_RAW)
SOCKET(socket_packet, AF_PACKET, SOCK_DGRAM)
SOCKET(socket_alg, AF_ALG, SOCK_SEQPACKET)
SOCKET(socket_vsock, AF_VSOCK, SOCK_STREAM)
SOCKET(socket_can, AF_CAN, SOCK_RAW)
TRY(socket_high, syscall(SYS_socket, 1ul << 32 | AF_INET, SOCK_STREAM, 0))
TRY(socket_unix_high, syscall(SYS_socket, 1ul << 32 | AF_UNIX, SOCK_STREAM, 0))
TRY(socket_audit, syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 9))
TRY(socket_mptcp, syscall(SYS_socket, AF_INET, SOCK_STREAM, 262))
TRY(socket_sctp, syscall(SYS_socket, AF_INET, SOCK_STREAM, 132))
static long socket_pair(void)
{
	int fds[2];

	return syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds);
}
static long connect_it(int fd)
{
	struct sockaddr_in a = loopback(9);

	return syscall(SYS_connect, fd, &a, sizeof a);
}
TRY(connect_udp, connect_it(probe.udp))
TRY(connect_control, connect_it(CONTROL_FD))
static long bind_it(void)
{
	struct sockaddr_in a = loopback(0);

	return syscall(SYS_bind, probe.udp, &a, sizeof a);
}
TRY(listen_it, syscall(SYS_listen, probe.tcp, 1))
TRY(accept_it, syscall(SYS_accept4, probe.tcp, 0, 0, 0))
TRY(accept_inherited, syscall(SYS_accept4, probe.tcp, 0, 0, SOCK_NONBLOCK))
TRY(accept_blocking, syscall(SYS_accept4, probe.tcp, 0, 0, SOCK_CLOEXEC))
#ifdef SYS_accept
TRY(accept_old, syscall(SYS_accept, probe.tcp, 0, 0))
#endif
/* The socket does not listen: EINVAL is the kernel's own answer, behind the filter. */
static long accept_as_dialer(void)
{
	return syscall(SYS_accept4, probe.tcp, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC) >= 0 || errno == EINVAL ? 0 : -1;
}
static long listen_anew(void)
{
	struct sockaddr_in a = loopback(0);
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	(void)syscall(SYS_bind, fd, &a, sizeof a);
	return syscall(SYS_listen, fd, 1);
}
static long send_to(void)
{
	struct sockaddr_in a = loopback(9);

	return syscall(SYS_sendto, probe.udp, "x", 1, 0, &a, sizeof a);
}
static long send_to_length(void)
{
	return syscall(SYS_sendto, probe.udp, "x", 1, 0, 0, sizeof(struct sockaddr_in));
}
static long send_message(void)
{
	struct sockaddr_in a = loopback(9);
	struct iovec v = { (char[]){ "x" }, 1 };
	struct msghdr m = { .msg_name = &a, .msg_namelen = sizeof a, .msg_iov = &v, .msg_iovlen = 1 };

	return syscall(SYS_sendmsg, probe.udp, &m, 0);
}
static long send_messages(void)
{
	struct sockaddr_in a = loopback(9);
	struct iovec v = { (char[]){ "x" }, 1 };
	struct mmsghdr m = { .msg_hdr = { .msg_name = &a, .msg_namelen = sizeof a, .msg_iov = &v, .msg_iovlen = 1 } };

	return syscall(SYS_sendmmsg, probe.udp >= 0 ? probe.udp : CONTROL_FD, &m, 1, 0);
}
static long send_descriptor(void)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .buf = { 0 } };
	struct iovec v = { (char[]){ "x" }, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof control.buf };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	int fd = CONTROL_FD;

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(h), &fd, sizeof fd);
	return syscall(SYS_sendmsg, CONTROL_FD, &m, 0);
}
static long send_plain(void)
{
	return syscall(SYS_sendto, probe.udp, "x", 1, 0, 0, 0);
}
static long option(int fd, unsigned long level, unsigned long name, const void *value, socklen_t bytes)
{
	return syscall(SYS_setsockopt, fd, level, name, value, bytes);
}
static long asked_option(int fd, unsigned long level, unsigned long name)
{
	uint8_t value[64] = { 0 };
	socklen_t bytes = sizeof value;

	return syscall(SYS_getsockopt, fd, level, name, value, &bytes);
}
TRY(ask_error, asked_option(probe.tcp, SOL_SOCKET, SO_ERROR))
TRY(ask_error_high, asked_option(probe.tcp, 1ul << 32 | SOL_SOCKET, SO_ERROR))
TRY(ask_type, asked_option(probe.tcp, SOL_SOCKET, SO_TYPE))
TRY(ask_who, asked_option(CONTROL_FD, SOL_SOCKET, SO_PEERCRED))
TRY(ask_tcp_info, asked_option(probe.tcp, IPPROTO_TCP, TCP_INFO))
TRY(ask_same_number, asked_option(probe.tcp, IPPROTO_TCP, SO_ERROR /* the same number */))
static const int one = 1;
static long routing_header(void)
{
	static const uint8_t rthdr[24] = { 0, 2, 0, 1 };

	return option(probe.udp, IPPROTO_IPV6, IPV6_RTHDR, rthdr, sizeof rthdr);
}
static long source_route(void)
{
	static const uint8_t o[8] = { 0x83, 7, 4, 127, 9, 9, 9, 0 };

	return option(probe.udp, IPPROTO_IP, IP_OPTIONS, o, sizeof o);
}
TRY(source_route_high, option(probe.udp, 1ul << 32 | IPPROTO_TCP, IP_OPTIONS, "\203\007\004\177\011\011\011", 8))
TRY(bind_to_device, option(probe.udp, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3))
TRY(set_mark, option(probe.udp, SOL_SOCKET, SO_MARK, &one, sizeof one))
TRY(attach_filter, option(probe.udp, SOL_SOCKET, SO_ATTACH_FILTER, &one, sizeof one))
TRY(upper_protocol, option(probe.tcp, IPPROTO_TCP, TCP_ULP, "tls", 4))
TRY(repair, option(probe.tcp, IPPROTO_TCP, TCP_REPAIR, &one, sizeof one))
TRY(fast_open, option(probe.tcp, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one))
TRY(no_delay, option(probe.tcp, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one))
TRY(packet_info, option(probe.udp, IPPROTO_IP, IP_PKTINFO, &one, sizeof one))
static long unix_abstract(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "\0bulkhead-probe" };
	int fd = (int)syscall(SYS_socket, AF_UNIX, SOCK_DGRAM, 0);

	/* The runner listens there, outside of every wall. */
	return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 15));
}

/* ---- ways into the kernel ---- */
static char nothing[256];
TRY(ring, syscall(SYS_io_uring_setup, 1, nothing))
TRY(ring_enter, syscall(SYS_io_uring_enter, 0, 0, 0, 0, 0, 0))
TRY(bpf_call, syscall(SYS_bpf, 0, nothing, 64))
TRY(keys, syscall(SYS_keyctl, 0, -3, 0, 0, 0))
TRY(key_add, syscall(SYS_add_key, "user", "x", "y", 1, -2))
TRY(perf, syscall(SYS_perf_event_open, nothing, 0, -1, -1, 0))
TRY(module, syscall(SYS_finit_module, CONTROL_FD, "", 0))
TRY(kexec, syscall(SYS_kexec_load, 0, 0, 0, 0))
TRY(new_user_space, syscall(SYS_unshare, CLONE_NEWUSER))
TRY(new_mount_space, syscall(SYS_unshare, CLONE_NEWNS))
TRY(enter_space, syscall(SYS_setns, CONTROL_FD, 0))
TRY(mount_it, syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, 0))
TRY(unmount_it, syscall(SYS_umount2, "/proc", 2))
TRY(root_change, syscall(SYS_chroot, "/tmp"))
TRY(root_pivot, syscall(SYS_pivot_root, ".", "."))
TRY(tree_open, syscall(SYS_open_tree, AT_FDCWD, "/", 1))
TRY(handle_open, syscall(SYS_open_by_handle_at, AT_FDCWD, nothing, 0))
TRY(handle_name, syscall(SYS_name_to_handle_at, AT_FDCWD, "/", nothing, nothing, 0))
TRY(persona, syscall(SYS_personality, 0xffffffff))
TRY(swap_on, syscall(SYS_swapon, NULL, 0))
TRY(restart_machine, syscall(SYS_reboot, 0, 0, 0, 0))
TRY(kernel_log, syscall(SYS_syslog, 10, 0, 0))
TRY(set_clock, syscall(SYS_clock_settime, CLOCK_REALTIME, NULL))
TRY(set_host_name, syscall(SYS_sethostname, "x", 1))
TRY(become_root, syscall(SYS_setresuid, 0, 0, 0))
TRY(become_other, syscall(SYS_setresuid, 1, 1, 1))
static long take_caps(void)
{
	uint32_t h[2] = { 0x20080522, 0 }, d[6] = { 1, 1, 1, 0, 0, 0 };

	return syscall(SYS_capset, h, d);
}
TRY(be_dumpable, syscall(SYS_prctl, 4 /* PR_SET_DUMPABLE */, 1, 0, 0, 0))
TRY(outlive_parent, syscall(SYS_prctl, 1 /* PR_SET_PDEATHSIG */, 0, 0, 0, 0))
TRY(terminal_input, syscall(SYS_ioctl, 0, TIOCSTI, "x"))
TRY(ioctl_high, syscall(SYS_ioctl, 0, 1ul << 32 | FIONREAD, nothing))
TRY(splice_pages, syscall(SYS_vmsplice, CONTROL_FD, nothing, 0, 0))
#ifdef __x86_64__
static long int80(void)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20 /* getpid */) : "memory");
	return r;
}
TRY(x32, syscall(0x40000000 | SYS_getpid))
TRY(x32_high, syscall(0x40000000 | SYS_read, 0, nothing, 0))
#endif

/* ---- diskproc: below its root ---- */
#define AT(name, path, flags, mode) TRY(name, syscall(SYS_openat, probe.root, path, flags, mode))
#define NF O_NOFOLLOW
AT(up_secret, "../secret", O_RDONLY | NF, 0)
AT(up_far, "../../../../../../../../etc/passwd", O_RDONLY | NF, 0)
/* ".." of a detached mount is the mount itself: what was made is inside then, which is no escape. */
static long up_create(void)
{
	if (syscall(SYS_openat, probe.root, "../up", O_CREAT | O_RDWR | NF, 0600) < 0)
		return -1;
	if (syscall(SYS_openat, probe.root, "up", O_RDWR | NF, 0) < 0)
		return 0;
	errno = EXDEV;
	return -1;
}
AT(absolute, "/etc/passwd", O_RDONLY | NF, 0)
AT(link_last, "link", O_RDONLY | NF, 0)
AT(link_followed, "link", O_RDONLY, 0)
AT(link_middle, "linkdir/secret", O_RDONLY | NF, 0)
AT(set_id, "set-id", O_CREAT | O_RDWR | NF, 06755)
AT(executable, "executable", O_CREAT | O_RDWR | NF, 0755)
AT(world_writable, "world", O_CREAT | O_RDWR | NF, 0666)
AT(truncating, "existing", O_RDWR | O_TRUNC | NF, 0)
AT(create_following, "following", O_CREAT | O_RDWR, 0600)
AT(unnamed, ".", O_TMPFILE | O_RDWR | NF, 0600)
AT(path_only, ".", O_PATH | NF, 0)
AT(async_open, "existing", O_RDWR | O_ASYNC | NF, 0)
TRY(cwd_open, syscall(SYS_openat, AT_FDCWD, "existing", O_RDONLY | NF))
TRY(cwd_open_wide, syscall(SYS_openat, (unsigned long)(unsigned)AT_FDCWD, "existing", O_RDONLY | NF))
TRY(cwd_open_odd, syscall(SYS_openat, 0x1ffffff9cul, "existing", O_RDONLY | NF))
static long root_open2(void)
{
	uint64_t how[3] = { O_CREAT | O_RDWR, 06600, 0 };

	return syscall(SYS_openat2, probe.root, "by-openat2", how, sizeof how);
}
TRY(root_stat, syscall(SYS_newfstatat, probe.root, "../secret", nothing, 0))
TRY(root_statx, syscall(SYS_statx, probe.root, "../secret", 0, 0x7ff, nothing))
TRY(root_link, syscall(SYS_linkat, probe.root, "existing", probe.root, "second", 0))
TRY(root_link_fd, syscall(SYS_linkat, probe.file, "", probe.root, "second", AT_EMPTY_PATH))
TRY(root_symlink, syscall(SYS_symlinkat, "/etc", probe.root, "sym"))
TRY(root_rename, syscall(SYS_renameat2, probe.root, "existing", probe.root, "other", 0))
TRY(root_unlink, syscall(SYS_unlinkat, probe.root, "existing", 0))
TRY(root_chmod, syscall(SYS_fchmodat, probe.root, "existing", 06755))
TRY(file_chmod, syscall(SYS_fchmod, probe.file, 06755))
TRY(file_chown, syscall(SYS_fchown, probe.file, 1, 1))
TRY(file_attribute, syscall(SYS_fsetxattr, probe.file, "user.x", "y", 1, 0))
TRY(file_ioctl, syscall(SYS_ioctl, probe.file, 0x40086602 /* FS_IOC_SETFLAGS */, nothing))
TRY(file_exec, syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, probe.file, 0))
TRY(file_lease, fcntl(probe.file, F_SETLEASE, F_RDLCK))
TRY(root_mknod, syscall(SYS_mknodat, probe.root, "fifo", S_IFIFO | 0600, 0))
TRY(root_mkdir_sticky, syscall(SYS_mkdirat, probe.root, "sticky", 01777))
TRY(root_mkdir_open, syscall(SYS_mkdirat, probe.root, "open", 0777))
TRY(root_chdir, syscall(SYS_fchdir, probe.root))
AT(may_create, "made", O_CREAT | O_EXCL | O_RDWR | NF | O_CLOEXEC, 0644)
AT(may_open, "existing", O_RDWR | NF | O_CLOEXEC, 0)
TRY(may_mkdir, syscall(SYS_mkdirat, probe.root, "made-directory", 0755))
static long may_nest(void)
{
	int d;

	if (syscall(SYS_mkdirat, probe.root, "outer", 0755) < 0)
		return -1;
	d = (int)syscall(SYS_openat, probe.root, "outer", O_RDONLY | O_DIRECTORY | NF | O_CLOEXEC, 0);
	return d < 0 ? -1 : syscall(SYS_openat, d, "inner", O_CREAT | O_RDWR | NF | O_CLOEXEC, 0644);
}
static long may_write(void)
{
	struct stat st;

	return pwrite(probe.file, "data", 4, 0) == 4 && ftruncate(probe.file, 8192) == 0 &&
			       fdatasync(probe.file) == 0 && fsync(probe.root) == 0 && syscall(SYS_fstat, probe.file, &st) == 0 &&
			       st.st_size == 8192
		       ? 0
		       : -1;
}
/* The conveyor: netproc passes on what is in it, diskproc fills it from its files; neither does the other's part. */
static long splice_by(int in, off_t *in_at, int out, off_t *out_at, unsigned flags)
{
	return syscall(SYS_splice, in, in_at, out, out_at, 4, flags);
}
TRY(conveyor_write, syscall(SYS_write, probe.conveyor, "x", 1))
TRY(conveyor_fill, splice_by(probe.tcp, NULL, probe.conveyor, NULL, SPLICE_F_NONBLOCK))
TRY(conveyor_gift, splice_by(probe.conveyor, NULL, probe.tcp, NULL, SPLICE_F_GIFT))
TRY(conveyor_move, splice_by(probe.conveyor, NULL, probe.tcp, NULL, SPLICE_F_MOVE | SPLICE_F_NONBLOCK))
TRY(conveyor_high, syscall(SYS_splice, probe.conveyor, NULL, probe.tcp, NULL, 4, UINT64_C(0x100000000)))
static long conveyor_at(void)
{
	off_t at = 0;

	return splice_by(probe.conveyor, NULL, probe.memory, &at, SPLICE_F_NONBLOCK);
}
static long conveyor_from(void)
{
	off_t at = 0;

	return splice_by(probe.memory, &at, probe.conveyor, NULL, SPLICE_F_NONBLOCK);
}
TRY(conveyor_into_slots, splice_by(probe.conveyor, NULL, probe.memory, NULL, SPLICE_F_NONBLOCK))
TRY(conveyor_tee, syscall(SYS_tee, probe.conveyor, probe.conveyor, 4, 0))
TRY(conveyor_resize, syscall(SYS_fcntl, probe.conveyor, F_SETPIPE_SZ, 4096))
TRY(conveyor_reopen, reopen(probe.conveyor))
TRY(conveyor_send_file, syscall(SYS_sendfile, probe.tcp, probe.memory, NULL, 4))
TRY(may_ask_size, syscall(SYS_fcntl, probe.conveyor, F_GETPIPE_SZ) >= 4096 ? 0 : -1)
TRY(may_pass_on, splice_by(probe.conveyor, NULL, probe.tcp, NULL, SPLICE_F_NONBLOCK | SPLICE_F_MORE) == 4 ? 0 : -1)
static long may_put(void)
{
	off_t at = 0;

	return splice_by(probe.file, &at, probe.conveyor, NULL, SPLICE_F_NONBLOCK) == 4 ? 0 : -1;
}
static long put_at(void)
{
	off_t at = 0;

	return splice_by(probe.file, NULL, probe.conveyor, &at, SPLICE_F_NONBLOCK);
}
static long put_waiting(void)
{
	off_t at = 0;

	return splice_by(probe.file, &at, probe.conveyor, NULL, 0);
}
static long ask_memory(void)
{
	uint32_t info[16];
	socklen_t n = sizeof info;

	return syscall(SYS_getsockopt, probe.tcp, SOL_SOCKET, SO_MEMINFO, info, &n);
}
TRY(may_map_slots, syscall(SYS_mmap, 0, probe.slots_bytes, PROT_READ, MAP_SHARED, probe.other_memory, 0))
static long read_vector(int flags)
{
	char bytes[16];
	struct iovec v = { .iov_base = bytes, .iov_len = sizeof bytes };

	return flags < 0 ? preadv(probe.file, &v, 1, 0) : syscall(SYS_preadv2, probe.file, &v, 1, 0, 0, flags);
}
TRY(read_several, read_vector(-1))
TRY(read_waiting, read_vector(0))
TRY(read_polling, read_vector(RWF_NOWAIT | RWF_HIPRI))
/* Not every file system knows what it would have to wait for. */
TRY(may_read_cached, read_vector(RWF_NOWAIT) >= 0 || errno == EAGAIN || errno == EOPNOTSUPP ? 0 : -1)
AT(may_open_to_read, "existing", O_RDONLY | NF | O_NONBLOCK | O_CLOEXEC, 0)
static long may_list(void)
{
	char entries[4096], text[4];
	int fd = (int)syscall(SYS_openat, probe.root, "existing", O_RDONLY | NF | O_CLOEXEC, 0);

	if (fd < 0 || pread(fd, text, 4, 0) != 4 || memcmp(text, "text", 4))
		return -1;
	return syscall(SYS_getdents64, probe.root, entries, sizeof entries) > 0 ? 0 : -1;
}

/* ---- what everybody must be able to do ---- */
static long may_allocate(void)
{
	size_t n = 32u << 20;
	char *volatile p = malloc(n), *volatile q;

	if (!p)
		return -1;
	memset(p, 1, n);
	q = realloc(p, 2 * n);
	if (!q)
		return -1;
	free(q);
	return 0;
}
static long may_random(void)
{
	uint8_t b[16];

	random_bytes(b, sizeof b);
	return now_us() ? 0 : -1;
}
static long may_write_control(void)
{
	struct {
		struct packet_header h;
		struct msg_log m;
	} p = { { .type = MSG_LOG, .count = 1, .epoch = 0 }, { .level = LOG_INFO, .length = 1, .text = "x" } };

	return write(CONTROL_FD, &p, sizeof p) == (ssize_t)sizeof p ? 0 : -1;
}
static long may_read_resolv(void)
{
	int fd = open("/etc/nsswitch.conf", O_RDONLY | O_CLOEXEC);
	char c;

	return fd >= 0 && read(fd, &c, 1) == 1 ? 0 : -1;
}
static long may_fill(void)
{
	return write(probe.memory, "form", 4) == 4 ? 0 : -1;
}
static long may_dial(void)
{
	struct sockaddr_in a = loopback(9);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &one, sizeof one) < 0)
		return -1;
	return connect(fd, (struct sockaddr *)&a, sizeof a) == 0 || errno == EINPROGRESS || errno == ECONNREFUSED ? 0 : -1;
}

#define RENAME(name, from, to, flags) TRY(name, syscall(SYS_renameat2, probe.root, from, probe.root, to, flags))
RENAME(may_rename, "existing", "other", 1 /* RENAME_NOREPLACE */)
RENAME(rename_over, "existing", "link", 0)
RENAME(rename_exchange, "existing", "link", 2 /* RENAME_EXCHANGE */)
static long may_reap(void)
{
	siginfo_t si;

	return waitid(P_ALL, 0, &si, WEXITED | WNOHANG) == 0 || errno == ECHILD ? kill(getpid(), 0) : -1;
}
static long may_resolve(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;

	if (getaddrinfo("localhost", NULL, &hints, &list) != 0 || !list)
		return -1;
	freeaddrinfo(list);
	return 0;
}

#define REFUSED(roles, f) { #f, roles, 0, f }
#define ALLOWED(roles, f) { #f, 0, roles, f }

const struct attempt attempts[] = {
	/* programs and processes */
	REFUSED(ALL | P, exec), REFUSED(ALL | P, execat), REFUSED(ALL | P, exec_empty),
#ifdef SYS_fork
	REFUSED(ALL | P, forks),
#endif
	REFUSED(ALL | P, clones), REFUSED(ALL | P, clones_high), REFUSED(ALL | P, clones3), REFUSED(ALL | P, trace_parent), REFUSED(ALL | P, trace_me),
	REFUSED(ALL | P, read_memory), REFUSED(ALL | P, write_memory), REFUSED(ALL, kill_parent), REFUSED(ALL, kill_sibling), REFUSED(ALL, kill_all),
	REFUSED(ALL | P, tgkill_sibling), REFUSED(ALL, tgkill_other_signal), REFUSED(ALL | P, tkill_sibling), REFUSED(ALL | P, queue_signal),
	REFUSED(ALL | P, pidfd), REFUSED(ALL | P, renice_sibling), REFUSED(ALL | P, pin_sibling), REFUSED(ALL | P, limit_sibling), REFUSED(ALL, raise_limit),
	REFUSED(ALL | P, set_owner), REFUSED(ALL | P, set_owner_ex), REFUSED(ALL | P, set_signal), REFUSED(ALL | P, set_async), REFUSED(ALL | P, set_async_high),
	REFUSED(ALL | P, set_lease),
	/* files; the resolver may read configuration */
	REFUSED((ALL & ~R) | P, open_passwd), REFUSED(ALL | P, open_shadow), REFUSED((ALL & ~R) | P, open_absolute), REFUSED(ALL | P, open2),
#ifdef SYS_open
	REFUSED(ALL | P, open_passwd_old),
#endif
	REFUSED(ALL | P, create), REFUSED(ALL | P, create_here), REFUSED(ALL | P, temporary), REFUSED(ALL | P, write_etc), REFUSED(ALL | P, write_shm),
	REFUSED(ALL | P, read_home), REFUSED(ALL | P, read_tmp), REFUSED(ALL | P, read_proc), REFUSED(ALL | P, sibling_memory), REFUSED(ALL | P, sibling_descriptors),
	REFUSED(ALL | P, sibling_environment), REFUSED(ALL | P, parent_root), REFUSED(ALL & ~R, stat_shadow), REFUSED(ALL | P, statx_shadow),
	REFUSED(ALL | P, change_directory), REFUSED(ALL | P, change_mode), REFUSED(ALL | P, change_mode_fd), REFUSED(ALL | P, change_owner),
	REFUSED(ALL | P, make_link), REFUSED(ALL | P, make_symlink), REFUSED(ALL | P, make_directory), REFUSED(ALL | P, make_node), REFUSED(ALL | P, remove_file),
	REFUSED(ALL | P, rename_file), REFUSED(ALL | P, truncate_file), REFUSED(ALL | P, watch),
	/* memory */
	REFUSED(ALL | P, map_wx), REFUSED(ALL | P, map_x), REFUSED(ALL | P, map_x_high), REFUSED(ALL | P, protect_x), REFUSED(ALL | P, protect_x_high),
	REFUSED(ALL | P, protect_x_key), REFUSED(ALL | P, memory_file), REFUSED(ALL | P, shared_segment), REFUSED(ALL | P, fault_handler),
	/* slots */
	REFUSED(N | K, slots_grow), REFUSED(N | K, slots_shrink), REFUSED(N | K, slots_punch), REFUSED(N | K, slots_allocate),
	REFUSED(N | K, slots_remove), REFUSED(N | K, slots_map_again), REFUSED(N | K, slots_map_exec), REFUSED(N | K, slots_protect_exec),
	REFUSED(N | K, slots_write_call), REFUSED(N | K, slots_pwrite), REFUSED(N | K, slots_seals), REFUSED(N | K, slots_reopen),
	ALLOWED(N | K, slots_use), REFUSED(K, other_grow), REFUSED(K, other_shrink), REFUSED(K, other_punch),
	REFUSED(K, other_remove), REFUSED(K, other_map_writable), REFUSED(K, other_map_private), REFUSED(K, other_map_exec),
	REFUSED(K, other_map_over), REFUSED(K, other_writable), REFUSED(K, other_write_call), REFUSED(K, other_pwrite),
	REFUSED(K, other_seals), REFUSED(K, other_reopen), ALLOWED(K, other_read), ALLOWED(K, may_map_slots),
	/* the conveyor */
	REFUSED(N, conveyor_write), REFUSED(N, conveyor_fill), REFUSED(N, conveyor_gift), REFUSED(N, conveyor_move), REFUSED(N, conveyor_high),
	REFUSED(N, conveyor_at), REFUSED(N, conveyor_from), REFUSED(N, conveyor_into_slots), REFUSED(N | K, conveyor_tee),
	REFUSED(N | K, conveyor_resize), REFUSED(N | K, conveyor_reopen), REFUSED(N | K, conveyor_send_file), ALLOWED(N, may_ask_size),
	ALLOWED(N, may_pass_on), ALLOWED(K, may_put), REFUSED(K, put_at), REFUSED(K, put_waiting), ALLOWED(N, ask_memory),
	REFUSED(D, ask_memory),
	/* sockets */
	REFUSED(I | N | K | C | P, socket_tcp), REFUSED(I | N | K | C | P, socket_tcp6), REFUSED((ALL & ~R) | P, socket_udp),
	REFUSED(ALL | P, socket_raw),
	REFUSED((ALL & ~R) | P, socket_unix), REFUSED((ALL & ~R) | P, socket_netlink), REFUSED(ALL | P, socket_packet), REFUSED(ALL | P, socket_alg),
	REFUSED(ALL | P, socket_vsock), REFUSED(ALL | P, socket_can), REFUSED(ALL | P, socket_high), REFUSED(ALL | P, socket_unix_high),
	REFUSED(ALL | P, socket_audit), REFUSED(ALL & ~R, socket_mptcp), REFUSED(ALL & ~R, socket_sctp), REFUSED(ALL | P, socket_pair),
	REFUSED(I | N | K | C, connect_udp), REFUSED(ALL | P, connect_control), REFUSED(I | N | K | C, bind_it), REFUSED(ALL | P, listen_it),
	REFUSED(ALL | P, accept_it), REFUSED(ALL | P, accept_inherited), REFUSED(ALL | P, accept_blocking), REFUSED(ALL | P, listen_anew),
#ifdef SYS_accept
	REFUSED(ALL | P, accept_old),
#endif
	{ "accept_as_dialer", (ALL & ~D) | P, D, accept_as_dialer },
	REFUSED(I | N | K | C | P, send_to), REFUSED(I | N | K | C, send_to_length), REFUSED(I | N | K | C, send_message),
	REFUSED(ALL & ~R, send_messages), REFUSED(I | N | K | C, send_descriptor), REFUSED(N | D, routing_header), REFUSED(N | D, source_route),
	REFUSED(N | D, source_route_high), REFUSED(N, bind_to_device), REFUSED(N | D, set_mark), REFUSED(N | D, attach_filter),
	REFUSED(N | D, upper_protocol), REFUSED(N | D, repair), REFUSED(N | D, fast_open), REFUSED(N | D, packet_info),
	REFUSED(ALL | P, unix_abstract), ALLOWED(N | D, no_delay), ALLOWED(N | D, ask_error),
	REFUSED(I | N | D | K | C, ask_error_high), REFUSED(N | D, ask_type), REFUSED(ALL & ~R, ask_who), REFUSED(N | D, ask_tcp_info), REFUSED(N | D, ask_same_number),
	ALLOWED(N | D, send_plain),
	/* the kernel */
	REFUSED(ALL | P, ring), REFUSED(ALL | P, ring_enter), REFUSED(ALL | P, bpf_call), REFUSED(ALL | P, keys), REFUSED(ALL | P, key_add), REFUSED(ALL | P, perf),
	REFUSED(ALL | P, module), REFUSED(ALL | P, kexec), REFUSED(ALL | P, new_user_space), REFUSED(ALL | P, new_mount_space), REFUSED(ALL | P, enter_space),
	REFUSED(ALL | P, mount_it), REFUSED(ALL | P, unmount_it), REFUSED(ALL | P, root_change), REFUSED(ALL | P, root_pivot), REFUSED(ALL | P, tree_open),
	REFUSED(ALL | P, handle_open), REFUSED(ALL | P, handle_name), REFUSED(ALL | P, persona), REFUSED(ALL | P, swap_on), REFUSED(ALL | P, restart_machine),
	REFUSED(ALL | P, kernel_log), REFUSED(ALL | P, set_clock), REFUSED(ALL | P, set_host_name), REFUSED(ALL | P, become_root), REFUSED(ALL | P, become_other),
	REFUSED(ALL | P, take_caps), REFUSED(ALL | P, be_dumpable), REFUSED(ALL | P, outlive_parent), REFUSED(ALL | P, terminal_input), REFUSED(ALL | P, ioctl_high),
	REFUSED(ALL | P, splice_pages),
#ifdef __x86_64__
	REFUSED(ALL | P, int80), REFUSED(ALL | P, x32), REFUSED(ALL | P, x32_high),
#endif
	/* the directory of diskproc and create */
	REFUSED(K | C | P, up_secret), REFUSED(K | C | P, up_far), REFUSED(K | C | P, up_create), REFUSED(K | C | P, absolute),
	REFUSED(K | C | P, link_last), REFUSED(K | C | P, link_followed),
	REFUSED(K | C | P, link_middle), REFUSED(K | C | P, set_id), REFUSED(K | C | P, executable), REFUSED(K | C | P, world_writable),
	REFUSED(K | C | P, truncating),
	REFUSED(K | C | P, create_following), REFUSED(K | C | P, unnamed), REFUSED(K | C | P, path_only), REFUSED(K | C | P, async_open),
	REFUSED(K | C | P, cwd_open),
	REFUSED(K | C | P, cwd_open_wide), REFUSED(K | C | P, cwd_open_odd), REFUSED(K | C | P, root_open2), REFUSED(K | C, root_stat),
	REFUSED(K | C | P, root_statx),
	REFUSED(K | C | P, root_link), REFUSED(K | C | P, root_link_fd), REFUSED(K | C | P, root_symlink), REFUSED(K | C, root_rename),
	REFUSED(K | C | P, root_unlink),
	REFUSED(K | C | P, root_chmod), REFUSED(K | C | P, file_chmod), REFUSED(K | C | P, file_chown),
	REFUSED(K | C | P, file_attribute), REFUSED(K | C | P, file_ioctl),
	REFUSED(K | C | P, file_exec), REFUSED(K | C | P, file_lease), REFUSED(K | C | P, root_mknod),
	REFUSED(K | C | P, root_mkdir_sticky), REFUSED(K | C, root_mkdir_open),
	REFUSED(K | C | P, root_chdir), { "may_create", P | C, K, may_create }, { "may_open", P | C, K, may_open },
	{ "may_mkdir", C, K, may_mkdir }, { "may_nest", C, K, may_nest }, { "may_write", C, K, may_write },
	{ "may_list", K, C, may_list }, ALLOWED(K | C, may_open_to_read),
	REFUSED(K | C, read_several), { "may_read_cached", C, K, may_read_cached }, REFUSED(K | C, read_waiting),
	REFUSED(K | C, read_polling),
	/* what must work */
	ALLOWED(ALL | P, may_allocate), ALLOWED(ALL | P, may_random), ALLOWED(ALL, may_write_control), ALLOWED(R, may_read_resolv),
	ALLOWED(I | C, may_fill),
	ALLOWED(D, may_dial), ALLOWED(R, may_resolve), ALLOWED(P, may_rename),
	REFUSED(P, rename_over), REFUSED(P, rename_exchange), ALLOWED(P, may_reap),
};
const size_t attempt_count = ARRAY_LEN(attempts);
