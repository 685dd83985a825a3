/*
 * The table of permitted calls, judged by running the filters that libseccomp
 * makes of it in a small interpreter of classic BPF: nothing is loaded here.
 */
#include "../../ipc/policy.c"

#include <linux/audit.h>
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include <cmocka.h>

static struct sock_filter program[8192];
static size_t program_length;

static void compile(scmp_filter_ctx f)
{
	int fd = memfd_create("bpf", MFD_CLOEXEC);
	ssize_t n;

	assert_non_null(f);
	assert_int_equal(seccomp_export_bpf(f, fd), 0);
	n = pread(fd, program, sizeof program, 0);
	assert_true(n > 0 && (size_t)n < sizeof program);
	program_length = (size_t)n / sizeof program[0];
	close(fd);
	seccomp_release(f);
}

/* The part of classic BPF that libseccomp emits. */
static uint32_t run(const struct seccomp_data *d)
{
	uint32_t a = 0;
	size_t pc = 0;

	while (pc < program_length) {
		const struct sock_filter *i = &program[pc++];
		bool yes;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(i->k + 4 <= sizeof *d);
			memcpy(&a, (const uint8_t *)d + i->k, 4);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > i->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			yes = (a & i->k) != 0;
			break;
		default:
			fail_msg("unknown instruction %x", i->code);
			return 0;
		}
		pc += yes ? i->jt : i->jf;
	}
	fail_msg("ran off the end");
	return 0;
}

static uint32_t ask(enum role role, long call, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct seccomp_data d = { .nr = (int)call, .arch = seccomp_arch_native(),
				  .args = { a0, a1, a2, a3, a4, a5 } };

	compile(policy_filter(role, true));
	return run(&d);
}

#define ALLOWED SECCOMP_RET_ALLOW
#define assert_allowed(...) assert_int_equal(ask(__VA_ARGS__), ALLOWED)
#define assert_refused(...) assert_int_not_equal(ask(__VA_ARGS__), ALLOWED)
#define HIGH (1ull << 32)

static const enum role roles[] = { ROLE_PARENT, ROLE_INSPECT, ROLE_RESOLVER, ROLE_DIALER, ROLE_NETPROC, ROLE_DISKPROC, ROLE_CREATE };

static void test_every_row_has_a_reason_and_a_role(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < policy_row_count; i++) {
		assert_true(strlen(policy_rows[i].why) > 5);
		assert_true(policy_rows[i].roles != 0);
		assert_false(policy_rows[i].roles >> ROLE_LAUNCHER & 1);
	}
}

static void test_no_row_permits_a_call_of_the_attack_set(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < policy_row_count; i++)
		assert_false(policy_is_attack(policy_rows[i].call));
}

static void test_launcher_refuses_nothing_that_a_child_should_name(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < policy_launcher_deny_count; i++)
		assert_false(policy_is_attack(policy_launcher_denies[i].call));
	compile(policy_launcher_filter());
}

static void test_attack_filter_notifies_and_lets_the_rest_pass(void **state)
{
	struct seccomp_data d = { .arch = seccomp_arch_native() };
	size_t i;

	(void)state;
	compile(policy_attack_filter());
	for (i = 0; i < policy_attack_count; i++) {
		d.nr = policy_attacks[i].call;
		if (d.nr >= 0)
			assert_int_equal(run(&d), SECCOMP_RET_USER_NOTIF);
	}
	d.nr = SYS_read;
	assert_int_equal(run(&d), ALLOWED);
}

static void test_attacks_kill_where_nobody_listens(void **state)
{
	struct seccomp_data d = { .arch = seccomp_arch_native(), .nr = SYS_execve };

	(void)state;
	compile(policy_filter(ROLE_PARENT, false));
	assert_int_equal(run(&d), SECCOMP_RET_KILL_PROCESS);
}

static void test_other_architectures_are_killed(void **state)
{
	struct seccomp_data d = { .arch = AUDIT_ARCH_I386, .nr = SYS_read };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(roles); i++) {
		compile(policy_filter(roles[i], true));
		d.arch = AUDIT_ARCH_I386;
		d.nr = 3;
		assert_int_equal(run(&d), SECCOMP_RET_KILL_PROCESS);
		d.arch = AUDIT_ARCH_X86_64;
		d.nr = 0x40000000 | SYS_read;
		assert_int_not_equal(run(&d), ALLOWED);
	}
}

static void test_unlisted_call_is_not_made(void **state)
{
	uint32_t otherwise;

	(void)state;
	otherwise = ask(ROLE_NETPROC, SYS_getcwd, 0, 0, 0, 0, 0, 0);
#ifdef SANDBOX_KILL
	assert_int_equal(otherwise, SECCOMP_RET_TRAP);
#else
	assert_int_equal(otherwise, SECCOMP_RET_ERRNO | ENOSYS);
#endif
}

/* Then the kernel answers from its cache, and the filter costs nothing. */
static void test_calls_of_the_data_path_do_not_depend_on_arguments(void **state)
{
	static const long net[] = { SYS_read, SYS_write, SYS_readv, SYS_recvfrom, SYS_recvmsg, SYS_epoll_wait, SYS_epoll_ctl },
			  disk[] = { SYS_read, SYS_write, SYS_pread64, SYS_pwrite64, SYS_pwritev, SYS_fdatasync, SYS_futex };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(net); i++)
		assert_allowed(ROLE_NETPROC, net[i], ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull);
	for (i = 0; i < ARRAY_LEN(disk); i++)
		assert_allowed(ROLE_DISKPROC, disk[i], ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull);
}

static void test_netproc_never_names_an_address(void **state)
{
	(void)state;
	assert_allowed(ROLE_NETPROC, SYS_sendto, 5, 1, 1, MSG_NOSIGNAL, 0, 0);
	assert_refused(ROLE_NETPROC, SYS_sendto, 5, 1, 1, 0, 0x7fff0000, 16);
	assert_refused(ROLE_NETPROC, SYS_sendto, 5, 1, 1, 0, HIGH, 0);
	assert_refused(ROLE_NETPROC, SYS_sendto, 5, 1, 1, 0, 0, 16);
	assert_refused(ROLE_NETPROC, SYS_sendmsg, 5, 1, 0, 0, 0, 0);
	assert_refused(ROLE_NETPROC, SYS_sendmmsg, 5, 1, 1, 0, 0, 0);
	assert_refused(ROLE_NETPROC, SYS_bind, 5, 1, 16, 0, 0, 0);
	assert_int_equal(ask(ROLE_NETPROC, SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0, 0), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(ask(ROLE_NETPROC, SYS_connect, 5, 1, 16, 0, 0, 0), SECCOMP_RET_ERRNO | EINPROGRESS);
}

static void test_netproc_sets_no_option_at_ip_level(void **state)
{
	(void)state;
	assert_allowed(ROLE_NETPROC, SYS_setsockopt, 5, IPPROTO_TCP, TCP_NODELAY, 1, 4, 0);
	assert_refused(ROLE_NETPROC, SYS_setsockopt, 5, IPPROTO_IP, 4 /* IP_OPTIONS */, 1, 8, 0);
	assert_refused(ROLE_NETPROC, SYS_setsockopt, 5, IPPROTO_IPV6, 57 /* IPV6_RTHDR */, 1, 24, 0);
	assert_refused(ROLE_NETPROC, SYS_setsockopt, 5, SOL_SOCKET, SO_BINDTODEVICE, 1, 4, 0);
	assert_refused(ROLE_NETPROC, SYS_setsockopt, 5, HIGH | IPPROTO_TCP, TCP_NODELAY, 1, 4, 0);
	assert_refused(ROLE_NETPROC, SYS_setsockopt, 5, IPPROTO_TCP, TCP_REPAIR, 1, 4, 0);
	/* Two rows of one argument each would be alternatives: level TCP with any name. */
	assert_refused(ROLE_NETPROC, SYS_setsockopt, 5, SOL_SOCKET, TCP_NODELAY, 1, 4, 0);
}

static void test_sockets_are_asked_for_little(void **state)
{
	static const enum role with_sockets[] = { ROLE_NETPROC, ROLE_DIALER };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(with_sockets); i++) {
		assert_allowed(with_sockets[i], SYS_getsockopt, 5, SOL_SOCKET, SO_ERROR, 1, 1, 0);
		assert_refused(with_sockets[i], SYS_getsockopt, 5, SOL_SOCKET, SO_ERROR - 1, 1, 1, 0);
		assert_refused(with_sockets[i], SYS_getsockopt, 5, SOL_SOCKET, SO_ERROR + 1, 1, 1, 0);
		assert_refused(with_sockets[i], SYS_getsockopt, 5, SOL_SOCKET, SO_PEERCRED, 1, 1, 0);
		assert_refused(with_sockets[i], SYS_getsockopt, 5, IPPROTO_TCP, SO_ERROR, 1, 1, 0);
		assert_refused(with_sockets[i], SYS_getsockopt, 5, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, 1, 1, 0);
		assert_refused(with_sockets[i], SYS_getsockopt, 5, HIGH | SOL_SOCKET, SO_ERROR, 1, 1, 0);
	}
	assert_allowed(ROLE_DIALER, SYS_getsockopt, 5, SOL_SOCKET, SO_BINDTOIFINDEX, 1, 1, 0);
	assert_refused(ROLE_NETPROC, SYS_getsockopt, 5, SOL_SOCKET, SO_BINDTOIFINDEX, 1, 1, 0);
	assert_refused(ROLE_DISKPROC, SYS_getsockopt, 5, SOL_SOCKET, SO_ERROR, 1, 1, 0);
}

static void test_fcntl_sends_no_signals(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(roles); i++) {
		assert_allowed(roles[i], SYS_fcntl, 5, F_SETFL, O_RDWR | O_NONBLOCK, 0, 0, 0);
		assert_refused(roles[i], SYS_fcntl, 5, F_SETFL, O_ASYNC, 0, 0, 0);
		assert_refused(roles[i], SYS_fcntl, 5, HIGH | F_SETFL, O_ASYNC, 0, 0, 0);
		assert_refused(roles[i], SYS_fcntl, 5, F_SETOWN, 1, 0, 0, 0);
		assert_refused(roles[i], SYS_fcntl, 5, F_SETSIG, SIGKILL, 0, 0, 0);
		assert_refused(roles[i], SYS_fcntl, 5, F_SETLEASE, 0, 0, 0, 0);
	}
}

static void test_abort_reaches_only_oneself(void **state)
{
	uint64_t self = (uint64_t)getpid();

	(void)state;
	assert_allowed(ROLE_NETPROC, SYS_tgkill, self, self, SIGABRT, 0, 0, 0);
	assert_refused(ROLE_NETPROC, SYS_tgkill, self + 1, self + 1, SIGABRT, 0, 0, 0);
	assert_refused(ROLE_NETPROC, SYS_tgkill, self, self, SIGKILL, 0, 0, 0);
	assert_refused(ROLE_NETPROC, SYS_tgkill, HIGH | self, self, SIGABRT, 0, 0, 0);
}

static void test_diskproc_opens_only_below_a_descriptor_and_follows_nothing(void **state)
{
	const uint64_t ok = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, cwd = (uint64_t)(int64_t)AT_FDCWD;

	(void)state;
	assert_allowed(ROLE_DISKPROC, SYS_openat, 4, 1, ok, 0644, 0, 0);
	assert_allowed(ROLE_DISKPROC, SYS_openat, 4, 1, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_openat, cwd, 1, ok, 0644, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_openat, cwd & 0xffffffff, 1, ok, 0644, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_openat, HIGH | (cwd & 0xffffffff), 1, ok, 0644, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_openat, 4, 1, ok & ~(uint64_t)O_NOFOLLOW, 0644, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_openat, 4, 1, ok | O_TRUNC, 0644, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_openat, 4, 1, ok | O_TMPFILE, 0644, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_openat, 4, 1, ok | O_PATH, 0644, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_openat, 4, 1, ok | O_ASYNC, 0644, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_openat, 4, 1, ok | HIGH, 0644, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_openat, 4, 1, ok, 04644, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_openat, 4, 1, ok, 0755, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_openat, 4, 1, ok, 0666, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_openat2, 4, 1, 1, 24, 0, 0);
	assert_allowed(ROLE_DISKPROC, SYS_mkdirat, 4, 1, 0755, 0, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_mkdirat, 4, 1, 01755, 0, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_mkdirat, cwd & 0xffffffff, 1, 0755, 0, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_newfstatat, 4, 1, 1, AT_EMPTY_PATH, 0, 0);
}

static void test_create_only_reads_below_its_root(void **state)
{
	const uint64_t cwd = (uint64_t)(int64_t)AT_FDCWD, ok = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	static const long never[] = { SYS_pwrite64, SYS_pwritev, SYS_ftruncate, SYS_mkdirat, SYS_unlinkat, SYS_renameat2, SYS_linkat,
				      SYS_symlinkat, SYS_fchmod, SYS_fchmodat, SYS_newfstatat, SYS_readlinkat, SYS_openat2, SYS_socket, SYS_connect,
				      SYS_sendto, SYS_sendmsg, SYS_kill, SYS_fsetxattr, SYS_memfd_create };
	size_t i;

	(void)state;
	assert_allowed(ROLE_CREATE, SYS_openat, 4, 1, ok, 0, 0, 0);
	assert_allowed(ROLE_CREATE, SYS_openat, 4, 1, ok | O_DIRECTORY, 0, 0, 0);
	assert_refused(ROLE_CREATE, SYS_openat, cwd, 1, ok, 0, 0, 0);
	assert_refused(ROLE_CREATE, SYS_openat, cwd & 0xffffffff, 1, ok, 0, 0, 0);
	assert_refused(ROLE_CREATE, SYS_openat, 4, 1, ok & ~(uint64_t)O_NOFOLLOW, 0, 0, 0);
	assert_refused(ROLE_CREATE, SYS_openat, 4, 1, ok | O_WRONLY, 0, 0, 0);
	assert_refused(ROLE_CREATE, SYS_openat, 4, 1, ok | O_RDWR, 0, 0, 0);
	assert_refused(ROLE_CREATE, SYS_openat, 4, 1, ok | O_CREAT, 0, 0, 0);
	assert_refused(ROLE_CREATE, SYS_openat, 4, 1, ok | O_TRUNC, 0, 0, 0);
	assert_refused(ROLE_CREATE, SYS_openat, 4, 1, ok | O_PATH, 0, 0, 0);
	assert_refused(ROLE_CREATE, SYS_openat, 4, 1, ok | O_TMPFILE, 0, 0, 0);
	assert_refused(ROLE_CREATE, SYS_openat, 4, 1, ok | HIGH, 0, 0, 0);
	assert_allowed(ROLE_CREATE, SYS_getdents64, 4, 1, 1, 0, 0, 0);
	for (i = 0; i < ARRAY_LEN(roles); i++)
		if (roles[i] != ROLE_CREATE)
			assert_refused(roles[i], SYS_getdents64, 4, 1, 1, 0, 0, 0);
	for (i = 0; i < ARRAY_LEN(never); i++)
		assert_refused(ROLE_CREATE, never[i], 4, 1, 1, 0, 0, 0);
}

static void test_no_role_maps_code_but_the_resolver(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(roles); i++) {
		assert_allowed(roles[i], SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, ~0ull, 0);
		assert_refused(roles[i], SYS_mprotect, 0, 4096, PROT_READ | PROT_EXEC, 0, 0, 0);
		assert_refused(roles[i], SYS_mmap, 0, 4096, HIGH | PROT_READ | PROT_EXEC, MAP_PRIVATE, 4, 0);
		if (roles[i] == ROLE_RESOLVER)
			continue;
		assert_refused(roles[i], SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 4, 0);
		assert_refused(roles[i], SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~0ull, 0);
	}
	assert_allowed(ROLE_RESOLVER, SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE, 4, 0);
	assert_refused(ROLE_RESOLVER, SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, 4, 0);
	assert_refused(ROLE_RESOLVER, SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~0ull, 0);
}

static void test_diskproc_maps_netprocs_slots_whole_and_to_read(void **state)
{
	static const enum role both[] = { ROLE_NETPROC, ROLE_DISKPROC };
	const uint64_t all = (uint64_t)SLOT_COUNT * SLOT_BYTES;
	size_t i;

	(void)state;
	assert_allowed(ROLE_DISKPROC, SYS_mmap, 0, all, PROT_READ, MAP_SHARED, 4, 0);
	assert_refused(ROLE_NETPROC, SYS_mmap, 0, all, PROT_READ, MAP_SHARED, 4, 0);
	for (i = 0; i < ARRAY_LEN(both); i++) {
		assert_refused(both[i], SYS_mmap, 0, all, PROT_READ | PROT_WRITE, MAP_SHARED, 4, 0);
		assert_refused(both[i], SYS_mmap, 0, all, PROT_WRITE, MAP_SHARED, 4, 0);
		assert_refused(both[i], SYS_mmap, 0, all, PROT_READ | PROT_EXEC, MAP_SHARED, 4, 0);
		assert_refused(both[i], SYS_mmap, 0, all, HIGH | PROT_READ | PROT_WRITE, MAP_SHARED, 4, 0);
		assert_refused(both[i], SYS_mmap, 0, all, PROT_READ, MAP_SHARED | MAP_FIXED, 4, 0);
		assert_refused(both[i], SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, 4, 0);
		assert_refused(both[i], SYS_mmap, 0, all, PROT_READ, MAP_SHARED, 4, 4096);
		assert_refused(both[i], SYS_mprotect, 0, all, PROT_READ | PROT_EXEC, 0, 0, 0);
		assert_allowed(both[i], SYS_fcntl, 4, F_GET_SEALS, 0, 0, 0, 0);
		assert_refused(both[i], SYS_fcntl, 4, F_ADD_SEALS, 0, 0, 0, 0);
		assert_refused(both[i], SYS_memfd_create, 1, 0, 0, 0, 0, 0);
	}
	assert_refused(ROLE_DIALER, SYS_mmap, 0, all, PROT_READ, MAP_SHARED, 4, 0);
}

/* A place (an offset) is for whoever has files; waiting, or giving pages away, for nobody. */
static void test_the_conveyor_is_filled_by_one_and_emptied_by_the_other(void **state)
{
	(void)state;
	assert_allowed(ROLE_NETPROC, SYS_splice, 4, 0, 5, 0, 100, SPLICE_F_NONBLOCK);
	assert_allowed(ROLE_NETPROC, SYS_splice, 4, 0, 5, 0, 100, SPLICE_F_NONBLOCK | SPLICE_F_MORE);
	assert_refused(ROLE_NETPROC, SYS_splice, 4, 4096, 5, 0, 100, SPLICE_F_NONBLOCK);
	assert_refused(ROLE_NETPROC, SYS_splice, 4, 0, 5, 4096, 100, SPLICE_F_NONBLOCK);
	assert_refused(ROLE_NETPROC, SYS_splice, 4, HIGH, 5, 0, 100, SPLICE_F_NONBLOCK);
	assert_refused(ROLE_NETPROC, SYS_splice, 4, 0, 5, 0, 100, SPLICE_F_NONBLOCK | SPLICE_F_GIFT);
	assert_allowed(ROLE_DISKPROC, SYS_splice, 4, 4096, 5, 0, 100, SPLICE_F_NONBLOCK);
	assert_refused(ROLE_DISKPROC, SYS_splice, 4, 4096, 5, 4096, 100, SPLICE_F_NONBLOCK);
	assert_refused(ROLE_DISKPROC, SYS_splice, 4, 4096, 5, 0, 100, 0);
	assert_refused(ROLE_DIALER, SYS_splice, 4, 0, 5, 0, 100, SPLICE_F_NONBLOCK);
	assert_refused(ROLE_CREATE, SYS_splice, 4, 0, 5, 0, 100, SPLICE_F_NONBLOCK);
	assert_allowed(ROLE_NETPROC, SYS_fcntl, 4, F_GETPIPE_SZ, 0, 0, 0, 0);
	assert_refused(ROLE_NETPROC, SYS_fcntl, 4, F_SETPIPE_SZ, 1 << 20, 0, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_fcntl, 4, F_SETPIPE_SZ, 1 << 20, 0, 0, 0);
	assert_refused(ROLE_NETPROC, SYS_tee, 4, 5, 100, 0, 0, 0);
}

static void test_the_loop_of_diskproc_reads_files_only_without_waiting(void **state)
{
	(void)state;
	assert_allowed(ROLE_DISKPROC, SYS_preadv2, 4, 1, 64, 4096, 0, RWF_NOWAIT);
	assert_refused(ROLE_DISKPROC, SYS_preadv2, 4, 1, 64, 4096, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_preadv2, 4, 1, 64, 4096, 0, RWF_NOWAIT | RWF_HIPRI);
	assert_refused(ROLE_DISKPROC, SYS_preadv2, 4, 1, 64, 4096, 0, HIGH | RWF_NOWAIT);
	assert_refused(ROLE_DISKPROC, SYS_pwritev2, 4, 1, 64, 4096, 0, RWF_NOWAIT);
	assert_refused(ROLE_NETPROC, SYS_preadv2, 4, 1, 64, 4096, 0, RWF_NOWAIT);
	assert_refused(ROLE_NETPROC, SYS_preadv, 4, 1, 64, 4096, 0, 0);
	assert_refused(ROLE_NETPROC, SYS_pread64, 4, 1, 64, 4096, 0, 0);
}

static void test_only_dialer_and_resolver_make_sockets(void **state)
{
	(void)state;
	assert_allowed(ROLE_DIALER, SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0, 0, 0);
	assert_allowed(ROLE_DIALER, SYS_socket, AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP, 0, 0, 0);
	assert_refused(ROLE_DIALER, SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0, 0, 0);
	assert_allowed(ROLE_DIALER, SYS_accept4, 5, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0);
	assert_refused(ROLE_DIALER, SYS_accept4, 5, 0, 0, SOCK_NONBLOCK, 0, 0);
	assert_refused(ROLE_DIALER, SYS_accept4, 5, 0, 0, SOCK_CLOEXEC, 0, 0);
	assert_refused(ROLE_DIALER, SYS_accept4, 5, 0, 0, 0, 0, 0);
	assert_refused(ROLE_NETPROC, SYS_accept4, 5, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0);
	assert_refused(ROLE_DIALER, SYS_listen, 5, 1, 0, 0, 0, 0);
	assert_refused(ROLE_DIALER, SYS_socket, AF_NETLINK, SOCK_RAW, 0, 0, 0, 0);
	assert_refused(ROLE_DIALER, SYS_socket, AF_INET, SOCK_RAW, IPPROTO_TCP, 0, 0, 0);
	assert_refused(ROLE_DIALER, SYS_socket, AF_INET, SOCK_STREAM, 262 /* MPTCP */, 0, 0, 0);
	assert_refused(ROLE_DIALER, SYS_socket, AF_INET, 5 | SOCK_CLOEXEC, 0, 0, 0, 0);
	assert_refused(ROLE_RESOLVER, SYS_socket, AF_NETLINK, SOCK_RAW, 9 /* audit */, 0, 0, 0);
	assert_refused(ROLE_RESOLVER, SYS_socket, AF_INET, SOCK_RAW, 1, 0, 0, 0);
	assert_refused(ROLE_DISKPROC, SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0, 0);
	assert_refused(ROLE_INSPECT, SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0, 0);
	assert_refused(ROLE_PARENT, SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0, 0);
}

static void test_resolver_opens_nothing_for_writing(void **state)
{
	(void)state;
	assert_allowed(ROLE_RESOLVER, SYS_openat, (uint64_t)(int64_t)AT_FDCWD, 1, O_RDONLY | O_CLOEXEC, 0, 0, 0);
	assert_refused(ROLE_RESOLVER, SYS_openat, (uint64_t)(int64_t)AT_FDCWD, 1, O_WRONLY, 0, 0, 0);
	assert_refused(ROLE_RESOLVER, SYS_openat, (uint64_t)(int64_t)AT_FDCWD, 1, O_RDWR, 0, 0, 0);
	assert_refused(ROLE_RESOLVER, SYS_openat, (uint64_t)(int64_t)AT_FDCWD, 1, O_CREAT, 0644, 0, 0);
	assert_refused(ROLE_RESOLVER, SYS_openat, (uint64_t)(int64_t)AT_FDCWD, 1, O_TRUNC, 0, 0, 0);
}

static void test_parent_renames_without_replacing(void **state)
{
	(void)state;
	assert_allowed(ROLE_PARENT, SYS_renameat2, 4, 1, 4, 1, 1, 0);
	assert_refused(ROLE_PARENT, SYS_renameat2, 4, 1, 4, 1, 0, 0);
	assert_refused(ROLE_PARENT, SYS_renameat2, 4, 1, 4, 1, 2 /* exchange */, 0);
	assert_refused(ROLE_PARENT, SYS_renameat, 4, 1, 4, 1, 0, 0);
	assert_refused(ROLE_PARENT, SYS_openat, (uint64_t)(int64_t)AT_FDCWD, 1, O_RDONLY | O_NOFOLLOW, 0, 0, 0);
	assert_refused(ROLE_PARENT, SYS_unlinkat, 4, 1, 0, 0, 0, 0);
	assert_refused(ROLE_PARENT, SYS_ftruncate, 4, 0, 0, 0, 0, 0);
	assert_allowed(ROLE_PARENT, SYS_pwrite64, 4, 1, 104, 0, 0, 0);
}

static void test_calls_have_names(void **state)
{
	(void)state;
	assert_string_equal(policy_call_name(SYS_execve), "execve");
	assert_string_equal(policy_call_name(SYS_getcwd), "getcwd");
	assert_string_equal(policy_call_name(-3), "unknown");
	assert_string_equal(policy_call_name(99999), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_has_a_reason_and_a_role),
		cmocka_unit_test(test_no_row_permits_a_call_of_the_attack_set),
		cmocka_unit_test(test_launcher_refuses_nothing_that_a_child_should_name),
		cmocka_unit_test(test_attack_filter_notifies_and_lets_the_rest_pass),
		cmocka_unit_test(test_attacks_kill_where_nobody_listens),
		cmocka_unit_test(test_other_architectures_are_killed),
		cmocka_unit_test(test_unlisted_call_is_not_made),
		cmocka_unit_test(test_calls_of_the_data_path_do_not_depend_on_arguments),
		cmocka_unit_test(test_netproc_never_names_an_address),
		cmocka_unit_test(test_netproc_sets_no_option_at_ip_level),
		cmocka_unit_test(test_sockets_are_asked_for_little),
		cmocka_unit_test(test_fcntl_sends_no_signals),
		cmocka_unit_test(test_abort_reaches_only_oneself),
		cmocka_unit_test(test_diskproc_opens_only_below_a_descriptor_and_follows_nothing),
		cmocka_unit_test(test_create_only_reads_below_its_root),
		cmocka_unit_test(test_no_role_maps_code_but_the_resolver),
		cmocka_unit_test(test_diskproc_maps_netprocs_slots_whole_and_to_read),
		cmocka_unit_test(test_the_conveyor_is_filled_by_one_and_emptied_by_the_other),
		cmocka_unit_test(test_the_loop_of_diskproc_reads_files_only_without_waiting),
		cmocka_unit_test(test_only_dialer_and_resolver_make_sockets),
		cmocka_unit_test(test_resolver_opens_nothing_for_writing),
		cmocka_unit_test(test_parent_renames_without_replacing),
		cmocka_unit_test(test_calls_have_names),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
