/*
 * bulkhead-inspect behind its real walls: a child runs its main with a control
 * channel at descriptor 3, and this process plays the parent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "inspect_test.h"

#define main inspect_main
#include "../../parent/inspect/main.c"
#undef main

#define WAIT_MS 20000

struct session {
	struct msg_inspected answer;
	bool answered;
	uint32_t walls;
	int form, text, status;
};

static void pass_fd(struct channel *c, enum setup_fd what, int fd)
{
	struct msg_setup_fd m = { .what = (uint32_t)what };

	assert_int_equal(channel_push_fd(c, MSG_SETUP_FD, &m, fd, false), 0);
}

static void set_up(struct channel *c, struct session *s, int input, const struct msg_inspect_options *o)
{
	struct msg_setup_end end = { 0 };

	pass_fd(c, SETUP_INPUT, input);
	pass_fd(c, SETUP_FORM, s->form);
	if (s->text >= 0)
		pass_fd(c, SETUP_TEXT, s->text);
	assert_int_equal(channel_push(c, MSG_INSPECT_OPTIONS, o), 0);
	assert_int_equal(channel_push(c, MSG_SETUP_END, &end), 0);
	assert_int_equal(channel_flush(c), 0);
}

/* Plays the parent until the child is gone. */
static void converse(struct channel *c, struct session *s, int input, const struct msg_inspect_options *o)
{
	struct packet p;

	while (channel_wait(c, &p, WAIT_MS) == CHANNEL_OK) {
		struct msg_go go = { 0 };

		if (p.fd >= 0)
			close(p.fd); /* the listener: no forbidden call is expected */
		if (p.type == MSG_HELLO)
			set_up(c, s, input, o);
		if (p.type == MSG_READY) {
			s->walls = ((const struct msg_ready *)packet_message(&p, 0))->walls;
			assert_int_equal(channel_push(c, MSG_GO, &go), 0);
			assert_int_equal(channel_flush(c), 0);
		}
		if (p.type == MSG_INSPECTED) {
			memcpy(&s->answer, packet_message(&p, 0), sizeof s->answer);
			s->answered = true;
		}
		if (p.type == MSG_BYE)
			return;
	}
}

static void inspect_fd(struct session *s, int input, struct msg_inspect_options o)
{
	static struct channel c;
	int pair[2];
	pid_t pid;

	memset(s, 0, sizeof *s);
	s->form = memfd_create("form", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	s->text = o.mode == INSPECT_FORM ? -1 : memfd_create("text", MFD_CLOEXEC);
	assert_int_equal(channel_pair(pair), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (dup2(pair[1], CONTROL_FD) != CONTROL_FD)
			_exit(99);
		_exit(inspect_main());
	}
	close(pair[1]);
	channel_init(&c, pair[0], CONTROL_EPOCH, true, "inspect");
	converse(&c, s, input, &o);
	channel_close(&c);
	assert_int_equal(waitpid(pid, &s->status, 0), pid);
	close(input);
	assert_true(s->answered);
	assert_int_equal(s->status, 0);
}

static int input_of(const void *bytes, size_t length)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	assert_int_equal(write(fd, bytes, length), (ssize_t)length);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void session_end(struct session *s)
{
	close(s->form);
	if (s->text >= 0)
		close(s->text);
}

static const char example[] = "d8:announce18:http://t.example/a4:infod6:lengthi5e4:name1:x12:piece lengthi16384e6:pieces20:" HASH20 "ee";

static void test_a_torrent_becomes_a_form_that_can_be_sealed_and_mapped(void **state)
{
	struct metainfo m;
	struct session s;
	struct stat st;

	(void)state;
	inspect_fd(&s, input_of(example, sizeof example - 1), (struct msg_inspect_options){ .mode = INSPECT_FORM });
	assert_int_equal(s.answer.status, INSPECT_OK);
	assert_int_equal(s.walls & walls_required(ROLE_INSPECT), walls_required(ROLE_INSPECT));
	assert_int_equal(fstat(s.form, &st), 0);
	assert_true((uint64_t)st.st_size == s.answer.form_bytes);
	assert_int_equal(fcntl(s.form, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	assert_null(metainfo_map(&m, s.form));
	assert_string_equal(metainfo_str(&m, metainfo_trackers(&m)[0].host), "t.example");
	munmap((void *)(uintptr_t)m.base, m.bytes);
	session_end(&s);
}

static void test_show_writes_text_and_form(void **state)
{
	char text[4096];
	struct session s;
	ssize_t n;

	(void)state;
	inspect_fd(&s, input_of(example, sizeof example - 1), (struct msg_inspect_options){ .mode = INSPECT_SHOW_JSON });
	assert_int_equal(s.answer.status, INSPECT_OK);
	assert_true(s.answer.form_bytes > 0);
	n = pread(s.text, text, sizeof text - 1, 0);
	assert_true(n > 0 && (uint64_t)n == s.answer.text_bytes);
	text[n] = 0;
	assert_non_null(strstr(text, "\"saved_as\":\"x\""));
	session_end(&s);
}

static void test_a_pipe_that_dribbles_is_read_to_its_end(void **state)
{
	struct session s;
	int ends[2];
	pid_t writer;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	writer = fork();
	assert_true(writer >= 0);
	if (!writer) {
		size_t i;

		for (i = 0; i < sizeof example - 1; i += 10) {
			(void)!write(ends[1], example + i, sizeof example - 1 - i < 10 ? sizeof example - 1 - i : 10);
			usleep(1000);
		}
		_exit(0);
	}
	close(ends[1]);
	inspect_fd(&s, ends[0], (struct msg_inspect_options){ .mode = INSPECT_FORM });
	assert_int_equal(s.answer.status, INSPECT_OK);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	session_end(&s);
}

static void test_a_refusal_says_why_and_where(void **state)
{
	static const char bad[] = "d4:infod6:lengthi-5e4:name1:x12:piece lengthi16384e6:pieces20:" HASH20 "ee";
	struct session s;

	(void)state;
	inspect_fd(&s, input_of(bad, sizeof bad - 1), (struct msg_inspect_options){ .mode = INSPECT_FORM });
	assert_int_equal(s.answer.status, INSPECT_MALFORMED);
	assert_int_equal(s.answer.where, 16);
	assert_int_equal(s.answer.length, strlen("file 0 has a negative length"));
	assert_memory_equal(s.answer.text, "file 0 has a negative length", s.answer.length);
	assert_int_equal(s.answer.form_bytes, 0);
	session_end(&s);
}

static void test_input_above_the_limit_is_refused_and_at_the_limit_read(void **state)
{
	struct session s;
	int zero;

	(void)state;
	inspect_fd(&s, input_of(example, sizeof example - 1), (struct msg_inspect_options){ .mode = INSPECT_FORM, .max_bytes = sizeof example - 1 });
	assert_int_equal(s.answer.status, INSPECT_OK);
	session_end(&s);
	inspect_fd(&s, input_of(example, sizeof example - 1), (struct msg_inspect_options){ .mode = INSPECT_FORM, .max_bytes = sizeof example - 2 });
	assert_int_equal(s.answer.status, INSPECT_TOO_LARGE);
	session_end(&s);
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC); /* endless */
	assert_true(zero >= 0);
	inspect_fd(&s, zero, (struct msg_inspect_options){ .mode = INSPECT_FORM, .max_bytes = 3u << 20 });
	assert_int_equal(s.answer.status, INSPECT_TOO_LARGE);
	session_end(&s);
}

static void test_input_that_cannot_be_read_is_an_answer(void **state)
{
	struct session s;

	(void)state;
	inspect_fd(&s, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), (struct msg_inspect_options){ .mode = INSPECT_FORM });
	assert_int_equal(s.answer.status, INSPECT_INTERNAL);
	session_end(&s);
	inspect_fd(&s, input_of("", 0), (struct msg_inspect_options){ .mode = INSPECT_FORM });
	assert_int_equal(s.answer.status, INSPECT_MALFORMED);
	session_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_torrent_becomes_a_form_that_can_be_sealed_and_mapped),
		cmocka_unit_test(test_show_writes_text_and_form),
		cmocka_unit_test(test_a_pipe_that_dribbles_is_read_to_its_end),
		cmocka_unit_test(test_a_refusal_says_why_and_where),
		cmocka_unit_test(test_input_above_the_limit_is_refused_and_at_the_limit_read),
		cmocka_unit_test(test_input_that_cannot_be_read_is_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
