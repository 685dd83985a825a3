/*
 * test_stream.c - a stream whose reader is slow, or gone: nobody waits for it.
 * The pipes block, as those that a shell makes do: what would wait is ended by
 * the alarm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <stdbool.h>

/* Nothing can be opened anew, as with the terminal of another user. */
static bool foreign;
static int foreign_open(const char *path, int flags, ...);
#define open foreign_open
#include "../../parent/stream.c"
#undef open

static int foreign_open(const char *path, int flags, ...)
{
	errno = EACCES;
	return foreign ? -1 : open(path, flags);
}

#define RESULT SIZE_MAX

static int ends[2];
static struct stream s;
static char got[8 << 20];

static int begin(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	alarm(20);
	assert_int_equal(pipe(ends), 0);
	s = (struct stream){ .fd = ends[1] };
	return 0;
}

static int end(void **state)
{
	(void)state;
	alarm(0);
	empty(&s);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static size_t put_line(uint32_t number, char mark, size_t most)
{
	char line[128];
	int n = snprintf(line, sizeof line, "%c%09u........................................................................................\n", mark, number);

	stream_put(&s, line, (size_t)n, most);
	return (size_t)n;
}

/* Reads all that there is and comes by flushing. */
static size_t read_all(void)
{
	size_t at = 0;
	ssize_t n;

	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	do {
		n = read(ends[0], got + at, min_u64(777, sizeof got - at));
		at += n > 0 ? (size_t)n : 0;
		stream_flush(&s);
	} while (n > 0 || stream_waiting(&s));
	return at;
}

static void fill(void)
{
	uint32_t i;

	for (i = 0; !stream_waiting(&s); i++)
		put_line(i, 'f', RESULT);
}

static void test_what_is_not_taken_waits_and_comes_whole_and_in_order(void **state)
{
	size_t bytes = 0, line = 0;
	uint32_t i;

	(void)state;
	for (i = 0; i < 20000; i++)
		bytes += line = put_line(i, 'r', RESULT);
	assert_true(stream_waiting(&s) > bytes / 2);
	assert_int_equal(read_all(), bytes);
	for (i = 0; i < 20000; i++)
		assert_int_equal(strtoul(got + i * line + 1, NULL, 10), i);
	assert_null(s.bytes);
}

static void test_lines_of_less_worth_are_left_out_first_and_none_is_cut(void **state)
{
	size_t i, bytes, count[256] = { 0 }, line = 0;

	(void)state;
	fill();
	for (i = 0; i < 1000; i++) {
		line = put_line((uint32_t)i, 'p', 0);
		put_line((uint32_t)i, 't', 10000);
		put_line((uint32_t)i, 'r', RESULT);
	}
	bytes = read_all();
	assert_int_equal(bytes % line, 0);
	for (i = 0; i < bytes; i += line) {
		assert_int_equal(got[i + line - 1], '\n');
		count[(uint8_t)got[i]]++;
	}
	assert_int_equal(count['p'], 0);
	assert_in_range(count['t'], 30, 101);
	assert_int_equal(count['r'], 1000);
	/* And again, once it is read. */
	put_line(7, 'p', 0);
	assert_int_equal(read_all(), line);
	assert_int_equal(got[0], 'p');
}

static void test_a_reader_that_goes_away_is_not_waited_for(void **state)
{
	(void)state;
	fill();
	close(ends[0]);
	stream_flush(&s);
	assert_true(s.gone);
	assert_int_equal(s.error, EPIPE);
	assert_int_equal(stream_waiting(&s), 0);
	put_line(1, 'r', RESULT);
	assert_int_equal(stream_waiting(&s), 0);
	assert_int_equal(stream_write(&s, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	ends[0] = dup(ends[1]);
}

static void test_a_whole_text_waits_for_its_reader(void **state)
{
	static char text[1 << 20];
	char in[4096];
	size_t at = 0, line;
	ssize_t n;
	int status;
	pid_t pid;

	(void)state;
	memset(text, 'x', sizeof text);
	line = put_line(1, 'r', RESULT);
	pid = fork();
	if (pid == 0)
		_exit(stream_write(&s, text, sizeof text) < 0);
	assert_true(pid > 0);
	close(ends[1]);
	ends[1] = dup(ends[0]);
	while ((n = read(ends[0], in, sizeof in)) > 0)
		at += (size_t)n;
	assert_int_equal(at, sizeof text + line);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_the_flags_of_the_inherited_descriptor_stay(void **state)
{
	size_t line;

	(void)state;
	stream_open(&s, ends[1]);
	assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	assert_int_not_equal(s.fd, ends[1]);
	assert_int_equal(fcntl(s.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(s.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	line = put_line(3, 'r', RESULT);
	assert_int_equal(read_all(), line);
	close(s.fd);
}

static void test_a_terminal_of_somebody_else_that_is_unread_is_not_waited_for(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), terminal, flags;
	uint32_t i;

	(void)state;
	assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(terminal >= 0);
	flags = fcntl(terminal, F_GETFL);
	foreign = true;
	stream_open(&s, terminal);
	foreign = false;
	assert_true(s.shared && s.fd == terminal);
	for (i = 0; i < 20000; i++)
		put_line(i, 'r', RESULT);
	assert_true(stream_waiting(&s) > 20000 * 50);
	assert_int_equal(fcntl(terminal, F_GETFL), flags);
	assert_true(read(master, got, 100) == 100 && got[0] == 'r' && strtoul(got + 1, NULL, 10) == 0);
	close(terminal);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_not_taken_waits_and_comes_whole_and_in_order, begin, end),
		cmocka_unit_test_setup_teardown(test_lines_of_less_worth_are_left_out_first_and_none_is_cut, begin, end),
		cmocka_unit_test_setup_teardown(test_a_reader_that_goes_away_is_not_waited_for, begin, end),
		cmocka_unit_test_setup_teardown(test_a_whole_text_waits_for_its_reader, begin, end),
		cmocka_unit_test_setup_teardown(test_the_flags_of_the_inherited_descriptor_stay, begin, end),
		cmocka_unit_test_setup_teardown(test_a_terminal_of_somebody_else_that_is_unread_is_not_waited_for, begin, end),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
