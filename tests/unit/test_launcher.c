/*
 * The launcher starts this very program as a role; started so, it reports over
 * its control channel in what state it was born.
 */
#include "../../parent/ids.c"
#include "../../parent/launch.c"
#undef FIRST_KEPT
#include "../../parent/launcher.c"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

#define ROLE ROLE_INSPECT

struct birth {
	struct packet_header header;
	struct msg_bye padding; /* so that it is longer than any header; not a packet of the house */
	int argc, environment, descriptors, nulls, death_signal, caps, uid, own_session, signals_default, mask_empty, no_new_privs, cwd_is_root;
	char name[32];
};

static int open_count(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int null_count(void)
{
	struct stat null, st;
	int fd, n = 0;

	if (stat("/dev/null", &null) < 0)
		return -1;
	for (fd = 0; fd < 3; fd++)
		n += fstat(fd, &st) == 0 && st.st_rdev == null.st_rdev && S_ISCHR(st.st_mode);
	return n;
}

/* Never returns: what the launched program does. */
static void report(int argc, char **argv)
{
	struct birth b = { .argc = argc };
	char text[8192], cwd[256] = "";
	sigset_t mask;
	int s;

	while (environ[b.environment])
		b.environment++;
	b.descriptors = open_count();
	b.nulls = null_count();
	(void)prctl(PR_GET_PDEATHSIG, &b.death_signal);
	b.uid = (int)getuid();
	b.own_session = getsid(0) == getpid();
	b.signals_default = 1;
	for (s = 1; s < 32; s++) {
		struct sigaction a;

		if (s != SIGKILL && s != SIGSTOP && (sigaction(s, NULL, &a) < 0 || a.sa_handler != SIG_DFL))
			b.signals_default = 0;
	}
	(void)sigprocmask(SIG_BLOCK, NULL, &mask);
	b.mask_empty = sigisemptyset(&mask);
	b.cwd_is_root = getcwd(cwd, sizeof cwd) && strcmp(cwd, "/") == 0;
	snprintf(b.name, sizeof b.name, "%s", argv[0]);
	if (read_status(0, text, sizeof text) == 0) {
		b.no_new_privs = (int)status_number(text, "\nNoNewPrivs:", 10);
		b.caps = (status_number(text, "\nCapInh:", 16) | status_number(text, "\nCapPrm:", 16) | status_number(text, "\nCapEff:", 16) |
			  status_number(text, "\nCapAmb:", 16) | status_number(text, "\nCapBnd:", 16)) != 0;
	}
	(void)!write(3, &b, sizeof b);
	_exit(7);
}

static void start(struct launcher *l, bool with_program)
{
	struct launcher_programs p;
	size_t i;

	for (i = 0; i < ROLE_COUNT; i++)
		p.fd[i] = -1;
	if (with_program)
		p.fd[ROLE] = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	assert_int_equal(launcher_start(l, &p), 0);
	assert_int_equal(p.fd[ROLE], -1);
}

static void stop(struct launcher *l)
{
	int status;

	launcher_stop(l);
	assert_int_equal(waitpid(l->pid, &status, 0), l->pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void hear(int fd, struct birth *b)
{
	struct pollfd pf = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&pf, 1, 5000), 1);
	assert_int_equal(read(fd, b, sizeof *b), (ssize_t)sizeof *b);
	close(fd);
}

static void test_what_is_started_is_born_with_nothing(void **state)
{
	struct launcher l;
	struct launcher_answer a;
	struct birth b;
	sigset_t term, old;
	siginfo_t si;
	uint32_t id = 0;
	int extra;

	(void)state;
	/* What could leak: a variable, a descriptor without CLOEXEC, an ignored and a blocked signal. */
	setenv("LD_PRELOAD_OF_A_USER", "x", 1);
	extra = dup(0);
	(void)signal(SIGUSR1, SIG_IGN);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &old);
	start(&l, true);
	if (geteuid() == 0)
		assert_int_equal(launcher_unused_ids(&id, 1), 0);
	assert_int_equal(launcher_launch(&l, ROLE, id ? (int)id : -1, id ? (int)id : -1, &a, 5000), 0);
	hear(a.fd, &b);
	assert_int_equal(b.argc, 1);
	assert_string_equal(b.name, "bulkhead-inspect");
#ifndef SANDBOX_WIDE
	assert_int_equal(b.environment, 0);
	assert_int_equal(b.nulls, 3);
	assert_true(b.signals_default); /* sanitizers have handlers of their own */
#endif
	assert_int_equal(b.descriptors, 4);
	assert_int_equal(b.death_signal, SIGKILL);
	assert_int_equal(b.caps, 0);
	assert_true(b.own_session);
	assert_true(b.mask_empty);
	assert_true(b.cwd_is_root);
	assert_int_equal(b.no_new_privs, 1);
	if (geteuid() == 0) {
		assert_int_equal(b.uid, id);
		assert_true(a.spaces & WALL_BIT(WALL_OWN_UID));
	} else {
		assert_int_equal(b.uid, getuid());
	}
	/* It is this process's own child. */
	assert_int_equal(waitid(P_PID, (id_t)a.pid, &si, WEXITED), 0);
	assert_int_equal(si.si_code, CLD_EXITED);
	assert_int_equal(si.si_status, 7);
	stop(&l);
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(extra);
}

static void test_a_program_that_is_not_there_is_an_answer(void **state)
{
	struct launcher l;
	struct launcher_answer a;

	(void)state;
	start(&l, false);
	assert_int_equal(launcher_launch(&l, ROLE_NETPROC, -1, -1, &a, 5000), -1);
	assert_int_equal(errno, ENOENT);
	stop(&l);
}

static void test_answers_are_matched_by_tag_and_come_side_by_side(void **state)
{
	struct launcher l;
	struct launcher_answer a;
	uint32_t tags[4], seen = 0;
	int i, k;

	(void)state;
	start(&l, true);
	for (i = 0; i < 4; i++)
		tags[i] = launcher_ask_launch(&l, ROLE, -1, -1);
	for (i = 0; i < 4; i++) {
		assert_int_equal(launcher_answer(&l, &a, 5000), 0);
		assert_int_equal(a.kind, LAUNCHER_LAUNCHED);
		for (k = 0; k < 4; k++)
			if (a.tag == tags[k])
				seen |= 1u << k;
		close(a.fd);
		assert_int_equal(waitpid(a.pid, NULL, 0), a.pid);
	}
	assert_int_equal(seen, 15);
	assert_int_equal(launcher_answer(&l, &a, 20), 1);
	stop(&l);
}

static void test_a_pair_is_connected(void **state)
{
	struct launcher l;
	int fds[2];
	char c;

	(void)state;
	start(&l, false);
	assert_int_equal(launcher_pair(&l, fds, 5000), 0);
	assert_int_equal(write(fds[0], "x", 1), 1);
	assert_int_equal(read(fds[1], &c, 1), 1);
	close(fds[0]);
	close(fds[1]);
	stop(&l);
}

static void test_status_of_a_process_is_what_proc_says(void **state)
{
	struct launcher l;
	struct msg_process_status s;
	pid_t pid;

	(void)state;
	start(&l, false);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			pause();
	}
	assert_int_equal(launcher_check(&l, pid, &s, 5000), 0);
	assert_int_equal(s.seccomp, 0);
	assert_int_equal(s.no_new_privs, 0);
#ifndef SANDBOX_WIDE
	assert_int_equal(s.threads, 1); /* a sanitizer may have one of its own */
#else
	assert_true(s.threads >= 1);
#endif
	assert_int_equal(s.caps != 0, geteuid() == 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(launcher_check(&l, pid, &s, 5000), -1);
	stop(&l);
}

/* A launcher is no way to uid 0, to another launcher, or to anything else. */
static void assert_ends_it(const struct msg_launch *m)
{
	struct launcher l;
	struct launcher_answer a;
	int status;

	start(&l, true);
	assert_int_equal(channel_push(&l.channel, MSG_LAUNCH, m), 0);
	assert_int_equal(channel_flush(&l.channel), 0);
	assert_int_equal(launcher_answer(&l, &a, 5000), -1);
	assert_int_equal(waitpid(l.pid, &status, 0), l.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	launcher_stop(&l);
}

static void test_a_request_out_of_range_ends_the_launcher(void **state)
{
	(void)state;
	assert_ends_it(&(struct msg_launch){ .role = ROLE_INSPECT, .uid = 0, .gid = 0 });
	assert_ends_it(&(struct msg_launch){ .role = ROLE_INSPECT, .uid = 5, .gid = 0 });
	assert_ends_it(&(struct msg_launch){ .role = ROLE_INSPECT, .uid = -1, .gid = 5 });
	assert_ends_it(&(struct msg_launch){ .role = ROLE_INSPECT, .uid = 5, .gid = -1 });
	/* An id of 2^31 and above, cast: it must not mean "stays root". */
	assert_ends_it(&(struct msg_launch){ .role = ROLE_INSPECT, .uid = (int32_t)3000000000u, .gid = (int32_t)3000000000u });
	assert_ends_it(&(struct msg_launch){ .role = ROLE_INSPECT, .uid = INT32_MIN, .gid = INT32_MIN });
	assert_ends_it(&(struct msg_launch){ .role = ROLE_INSPECT, .uid = -2, .gid = -2 });
	assert_ends_it(&(struct msg_launch){ .role = ROLE_PARENT, .uid = -1, .gid = -1 });
	assert_ends_it(&(struct msg_launch){ .role = ROLE_LAUNCHER, .uid = -1, .gid = -1 });
	assert_ends_it(&(struct msg_launch){ .role = ROLE_COUNT, .uid = -1, .gid = -1 });
	assert_ends_it(&(struct msg_launch){ .role = UINT32_MAX, .uid = -1, .gid = -1 });
}

static void test_it_ends_with_its_channel(void **state)
{
	struct launcher l;

	(void)state;
	start(&l, false);
	stop(&l);
}

static void test_namespaces_are_given_up_from_the_last(void **state)
{
	uint64_t flags = wanted_flags(ROLE_NETPROC, false), before = flags;
	int steps = 0;

	(void)state;
	while (flags) {
		assert_int_equal(fewer_flags(flags) & ~flags, 0);
		flags = fewer_flags(flags);
		assert_true(++steps < 10);
	}
#ifndef SANDBOX_WIDE
	assert_int_equal(steps, 6);
	assert_int_equal(before & ~fewer_flags(before), CLONE_NEWNET);
	assert_false(wanted_flags(ROLE_DIALER, false) & CLONE_NEWNET);
	assert_false(wanted_flags(ROLE_RESOLVER, true) & CLONE_NEWNET);
	assert_false(wanted_flags(ROLE_DISKPROC, false) & CLONE_NEWNS);
	assert_false(wanted_flags(ROLE_NETPROC, true) & CLONE_NEWUSER);
#else
	assert_int_equal(before, 0);
#endif
}

static void test_unused_ids_are_nobodys_and_all_different(void **state)
{
	uint32_t ids[32];
	size_t i, k;

	(void)state;
	assert_int_equal(launcher_unused_ids(ids, 32), 0);
	for (i = 0; i < 32; i++) {
		assert_null(getpwuid(ids[i]));
		assert_null(getgrgid(ids[i]));
		assert_int_not_equal(ids[i], 0);
		assert_int_not_equal(ids[i], 65534);
		for (k = 0; k < i; k++)
			assert_int_not_equal(ids[i], ids[k]);
	}
}

static void test_ids_in_use_or_not_mapped_are_not_taken(void **state)
{
	struct known k = { .uids = { { 0, 5000 } }, .uid_count = 1, .gids = { { 0, 4000 } }, .gid_count = 1,
			   .subuids = { { 3000, 100 } }, .subuid_count = 1 };

	(void)state;
	assert_true(is_unused(2999, &k));
	assert_false(is_unused(3000, &k));
	assert_false(is_unused(3099, &k));
	assert_false(is_unused(4500, &k)); /* no such gid */
	assert_false(is_unused(5000, &k));
	assert_false(is_unused(0, &k)); /* root */
	assert_false(is_unused(65534, &k));
}

static void test_a_mapped_directory_keeps_its_owner(void **state)
{
	char folder[] = "/tmp/bulkhead-idmap-XXXXXX", path[64];
	struct stat st;
	uint32_t id;
	int dir, mapped, status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(folder));
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fchown(dir, 1234, 1235), 0);
	assert_int_equal(launcher_unused_ids(&id, 1), 0);
	mapped = idmap_directory(dir, id, false);
	if (mapped < 0) {
		close(dir);
		rmdir(folder);
		skip(); /* the file system cannot */
	}
	pid = fork();
	if (pid == 0) {
		int fd;

		if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
			_exit(2);
		fd = openat(mapped, "made", O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0644);
		_exit(fd < 0 ? 1 : 0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	snprintf(path, sizeof path, "%s/made", folder);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(st.st_gid, 1235);
	unlink(path);
	rmdir(folder);
	close(mapped);
	close(dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_started_is_born_with_nothing),
		cmocka_unit_test(test_a_program_that_is_not_there_is_an_answer),
		cmocka_unit_test(test_answers_are_matched_by_tag_and_come_side_by_side),
		cmocka_unit_test(test_a_pair_is_connected),
		cmocka_unit_test(test_status_of_a_process_is_what_proc_says),
		cmocka_unit_test(test_a_request_out_of_range_ends_the_launcher),
		cmocka_unit_test(test_it_ends_with_its_channel),
		cmocka_unit_test(test_namespaces_are_given_up_from_the_last),
		cmocka_unit_test(test_unused_ids_are_nobodys_and_all_different),
		cmocka_unit_test(test_ids_in_use_or_not_mapped_are_not_taken),
		cmocka_unit_test(test_a_mapped_directory_keeps_its_owner),
	};

	if (strncmp(argv[0], "bulkhead-", 9) == 0)
		report(argc, argv);
	return cmocka_run_group_tests_name("launcher", tests, NULL, NULL);
}
