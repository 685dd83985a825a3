/* Both ends treat the other as compromised: what a channel takes, refuses, holds and lets go. */
#include "../../ipc/channel.c"

#include <setjmp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <stdarg.h>

#include <cmocka.h>

struct ends {
	struct channel ours;
	int theirs; /* a raw socket: the compromised end */
};

static void open_ends(struct ends *e, bool takes_fds)
{
	int fds[2];

	assert_int_equal(channel_pair(fds), 0);
	channel_init(&e->ours, fds[0], 7, takes_fds, "test");
	e->theirs = fds[1];
}

static void close_ends(struct ends *e)
{
	channel_close(&e->ours);
	if (e->theirs >= 0)
		close(e->theirs);
}

/* A packet of `bytes` bytes in all, with `fds` descriptors. */
static void throw(int sock, uint16_t type, uint16_t count, uint32_t epoch, size_t bytes, int fds)
{
	static uint8_t buf[3 * PACKET_MAX];
	struct packet_header h = { .type = type, .count = count, .epoch = epoch };
	union {
		char space[CMSG_SPACE(sizeof(int) * 200)];
		struct cmsghdr align;
	} control;
	struct iovec v = { .iov_base = buf, .iov_len = bytes };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	int i, fd = 0;

	memset(buf, 0, sizeof buf);
	memcpy(buf, &h, sizeof h);
	if (fds) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof control);
		m.msg_control = control.space;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fds);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fds);
		for (i = 0; i < fds; i++)
			memcpy(CMSG_DATA(c) + (size_t)i * sizeof fd, &fd, sizeof fd);
	}
	assert_int_equal(sendmsg(sock, &m, 0), (ssize_t)bytes);
}

#define BYTES(s, n) (sizeof(struct packet_header) + sizeof(struct msg_##s) * (n))

static int open_descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void assert_violation(bool takes_fds, uint16_t type, uint16_t count, uint32_t epoch, size_t bytes, int fds)
{
	struct ends e;
	struct packet p;
	int before;

	open_ends(&e, takes_fds);
	before = open_descriptors();
	throw(e.theirs, type, count, epoch, bytes, fds);
	assert_int_equal(channel_receive(&e.ours, &p), CHANNEL_VIOLATION);
	assert_int_equal(p.fd, -1);
	assert_int_equal(open_descriptors(), before);
	close_ends(&e);
}

static void test_messages_arrive_in_order_and_in_batches(void **state)
{
	struct channel a, b;
	struct packet p;
	uint32_t i, seen = 0;
	int fds[2];

	(void)state;
	assert_int_equal(channel_pair(fds), 0);
	channel_init(&a, fds[0], 7, false, "a");
	channel_init(&b, fds[1], 7, false, "b");
	for (i = 0; i < 100; i++) {
		struct msg_block m = { .piece = i };

		assert_int_equal(channel_push(&a, MSG_BLOCK, &m), 0);
	}
	assert_int_equal(channel_flush(&a), 0);
	assert_int_equal(channel_receive(&b, &p), CHANNEL_OK);
	assert_int_equal(p.count, 64);
	for (i = 0; i < p.count; i++)
		assert_int_equal(((const struct msg_block *)packet_message(&p, i))->piece, seen++);
	assert_int_equal(channel_receive(&b, &p), CHANNEL_OK);
	assert_int_equal(p.count, 36);
	assert_int_equal(((const struct msg_block *)packet_message(&p, 0))->piece, 64);
	assert_int_equal(channel_receive(&b, &p), CHANNEL_EMPTY);
	channel_close(&a);
	assert_int_equal(channel_receive(&b, &p), CHANNEL_CLOSED);
	channel_close(&b);
}

static void test_each_type_is_taken_at_its_exact_length_only(void **state)
{
	unsigned type;

	(void)state;
	for (type = 1; type < MSG_TYPES; type++) {
		const struct message_row *row = &message_rows[type];
		size_t exact = sizeof(struct packet_header) + row->size;
		struct ends e;
		struct packet p;

		assert_violation(true, (uint16_t)type, 1, 7, exact - 1, row->fd);
		assert_violation(true, (uint16_t)type, 1, 7, exact + 1, row->fd);
		assert_violation(true, (uint16_t)type, 0, 7, exact, row->fd);
		assert_violation(true, (uint16_t)type, (uint16_t)(row->batch + 1), 7,
				 sizeof(struct packet_header) + (size_t)row->size * (row->batch + 1u), row->fd);
		assert_violation(true, (uint16_t)type, 65535, 7, exact, row->fd);
		assert_violation(true, (uint16_t)type, 1, 8, exact, row->fd);
		open_ends(&e, true);
		throw(e.theirs, (uint16_t)type, 1, 7, exact, row->fd);
		assert_int_equal(channel_receive(&e.ours, &p), CHANNEL_OK);
		assert_int_equal(p.fd >= 0, row->fd);
		if (p.fd >= 0)
			close(p.fd);
		close_ends(&e);
	}
}

static void test_unknown_types_and_short_packets_are_violations(void **state)
{
	size_t n;

	(void)state;
	assert_violation(true, MSG_NONE, 1, 7, 16, 0);
	assert_violation(true, MSG_TYPES, 1, 7, 16, 0);
	assert_violation(true, 65535, 1, 7, 16, 0);
	for (n = 1; n < sizeof(struct packet_header); n++)
		assert_violation(true, MSG_GO, 1, 7, n, 0);
	assert_violation(true, MSG_GO, 1, 7, PACKET_MAX + 1, 0);
	assert_violation(true, MSG_GO, 1, 7, 2 * PACKET_MAX, 0);
}

static void test_a_descriptor_comes_only_with_a_message_that_carries_one(void **state)
{
	(void)state;
	assert_violation(true, MSG_GO, 1, 7, BYTES(go, 1), 1);
	assert_violation(true, MSG_SETUP_FD, 1, 7, BYTES(setup_fd, 1), 0);
}

static void test_more_descriptors_than_one_are_a_violation_and_none_leaks(void **state)
{
	(void)state;
	assert_violation(true, MSG_SETUP_FD, 1, 7, BYTES(setup_fd, 1), 2);
	assert_violation(true, MSG_SETUP_FD, 1, 7, BYTES(setup_fd, 1), 3);
	assert_violation(true, MSG_SETUP_FD, 1, 7, BYTES(setup_fd, 1), 200);
}

static void test_a_channel_that_takes_no_descriptors_never_gets_one(void **state)
{
	struct ends e;
	struct packet p;
	int before;

	(void)state;
	open_ends(&e, false);
	before = open_descriptors();
	throw(e.theirs, MSG_GO, 1, 7, BYTES(go, 1), 3);
	assert_int_equal(channel_receive(&e.ours, &p), CHANNEL_OK);
	assert_int_equal(p.fd, -1);
	assert_int_equal(open_descriptors(), before);
	close_ends(&e);
}

static void test_no_room_for_a_descriptor_is_a_violation_not_a_message_without_it(void **state)
{
	struct rlimit_guard {
		int fds[1024];
		int n;
	} g = { .n = 0 };
	struct ends e;
	struct packet p;
	int fd;

	(void)state;
	open_ends(&e, true);
	throw(e.theirs, MSG_SETUP_FD, 1, 7, BYTES(setup_fd, 1), 1);
	while (g.n < 1024 && (fd = dup(0)) >= 0)
		g.fds[g.n++] = fd;
	if (g.n < 1024)
		assert_int_equal(channel_receive(&e.ours, &p), CHANNEL_VIOLATION);
	while (g.n > 0)
		close(g.fds[--g.n]);
	close_ends(&e);
}

static void test_what_the_other_end_does_not_take_is_bounded(void **state)
{
	struct ends e;
	struct msg_have_bits m = { 0 };
	size_t n = 0, taken = 0;
	uint8_t buf[PACKET_MAX];

	(void)state;
	open_ends(&e, false);
	while (channel_push(&e.ours, MSG_HAVE_BITS, &m) == 0)
		assert_true(++n < 4096);
	assert_int_equal(errno, EAGAIN);
	assert_true(channel_wants_write(&e.ours));
	assert_true(channel_room(&e.ours) < sizeof m + 64);
	assert_int_equal(channel_flush(&e.ours), 1);
	/* It is all there, once the other end reads again. */
	for (;;) {
		ssize_t r = read(e.theirs, buf, sizeof buf);

		if (r > 0) {
			assert_int_equal(r, (ssize_t)BYTES(have_bits, 1));
			taken++;
			continue;
		}
		if (!channel_wants_write(&e.ours) && channel_flush(&e.ours) == 0)
			break;
		assert_true(channel_flush(&e.ours) >= 0);
	}
	while (read(e.theirs, buf, sizeof buf) > 0)
		taken++;
	assert_int_equal(taken, n);
	close_ends(&e);
}

static void test_queued_descriptors_are_bounded_and_closed_with_the_channel(void **state)
{
	struct ends e;
	struct msg_setup_fd m = { .what = SETUP_FORM };
	int before, n = 0;

	(void)state;
	open_ends(&e, false);
	before = open_descriptors();
	while (channel_push_fd(&e.ours, MSG_SETUP_FD, &m, 0, false) == 0)
		assert_true(++n < 4096);
	assert_true(n > (int)CHANNEL_QUEUE_FDS);
	assert_int_equal(open_descriptors(), before + (int)CHANNEL_QUEUE_FDS);
	channel_close(&e.ours);
	assert_int_equal(open_descriptors(), before - 1);
	close(e.theirs);
}

/* In a process of its own, whose user may have few descriptors in flight.  0: all is as it should be. */
static int fill_the_users_flight(void)
{
	struct rlimit few = { 16, 16 };
	struct msg_setup_fd m = { .what = SETUP_FORM };
	struct channel reader;
	struct ends e;
	struct pollfd pf;
	struct packet p;
	int i, n = 0, got = 0;

	if (geteuid() == 0 && (setresgid(54321, 54321, 54321) < 0 || setresuid(54321, 54321, 54321) < 0))
		return 77;
	open_ends(&e, false);
	channel_init(&reader, e.theirs, 7, true, "reader");
	e.theirs = -1;
	if (setrlimit(RLIMIT_NOFILE, &few) < 0)
		return 77;
	for (i = 0; i < 200 && !channel_is_stuck(&e.ours); i++, n++)
		if (channel_push_fd(&e.ours, MSG_SETUP_FD, &m, 0, false) < 0)
			return 1;
	if (!channel_is_stuck(&e.ours))
		return 2;
	/* The socket has room, and would be reported writable for ever. */
	pf = (struct pollfd){ .fd = e.ours.fd, .events = POLLOUT };
	if (poll(&pf, 1, 0) != 1 || !(pf.revents & POLLOUT))
		return 3;
	if (channel_wants_write(&e.ours) || channel_flush(&e.ours) != 1 || !channel_is_stuck(&e.ours))
		return 4;
	for (i = 0; i < 1000 && got < n; i++) {
		if (channel_receive(&reader, &p) == CHANNEL_OK) {
			got++;
			close(p.fd);
		}
		if (channel_flush(&e.ours) < 0)
			return 5;
	}
	if (got != n || channel_is_stuck(&e.ours) || channel_flush(&e.ours) != 0)
		return 6;
	return 0;
}

static void test_too_many_descriptors_in_flight_are_not_waited_for_by_pollout(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(fill_the_users_flight());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_a_descriptor_keeps_its_place_behind_what_was_queued(void **state)
{
	struct ends e;
	struct msg_have_bits big = { 0 };
	struct msg_setup_fd m = { .what = SETUP_FORM };
	struct channel reader;
	struct packet p;
	int i, n = 0, last = 0;

	(void)state;
	open_ends(&e, false);
	channel_init(&reader, e.theirs, 7, true, "reader");
	e.theirs = -1;
	for (i = 0; i < 4096 && !channel_wants_write(&e.ours); i++, n++)
		assert_int_equal(channel_push(&e.ours, MSG_HAVE_BITS, &big), 0);
	assert_int_equal(channel_push_fd(&e.ours, MSG_SETUP_FD, &m, 0, false), 0);
	for (i = 0; i < 8192 && !last; i++) {
		enum channel_result r = channel_receive(&reader, &p);

		assert_true(channel_flush(&e.ours) >= 0);
		if (r == CHANNEL_EMPTY)
			continue;
		assert_int_equal(r, CHANNEL_OK);
		if (p.type == MSG_HAVE_BITS)
			n--;
		else
			last = p.fd;
	}
	assert_int_equal(n, 0);
	assert_true(last > 0);
	close(last);
	channel_close(&reader);
	close_ends(&e);
}

static void test_writing_to_one_that_is_gone_fails(void **state)
{
	struct ends e;
	struct msg_go m = { 0 };

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	open_ends(&e, false);
	close(e.theirs);
	e.theirs = -1;
	assert_int_equal(channel_push(&e.ours, MSG_GO, &m), 0);
	assert_int_equal(channel_flush(&e.ours), -1);
	channel_close(&e.ours);
	assert_int_equal(channel_push(&e.ours, MSG_GO, &m), -1);
	assert_int_equal(channel_flush(&e.ours), -1);
}

/* ---- the permit table ---- */
struct receiver {
	uint32_t state, seen;
	int fd;
};

static int take_go(void *self, const void *message, int fd)
{
	struct receiver *r = self;

	(void)message;
	assert_int_equal(fd, -1);
	r->seen++;
	r->state = 1; /* once only */
	return 0;
}

static int take_block(void *self, const void *message, int fd)
{
	struct receiver *r = self;
	const struct msg_block *m = message;

	(void)fd;
	if (m->piece == 99)
		return -1;
	r->seen++;
	if (m->piece == 98)
		r->state = 2;
	return 0;
}

static int take_fd(void *self, const void *message, int fd)
{
	struct receiver *r = self;

	(void)message;
	r->fd = fd;
	return 0;
}

static const struct permit table[] = {
	{ MSG_GO, 1u << 0, take_go },
	{ MSG_BLOCK, 1u << 1, take_block },
	{ MSG_SETUP_FD, 1u << 0, take_fd },
};

static enum channel_result dispatch(struct ends *e, struct receiver *r)
{
	return channel_dispatch(&e->ours, table, ARRAY_LEN(table), &r->state, r, 100);
}

static void test_a_message_out_of_its_state_is_a_violation(void **state)
{
	struct receiver r = { 0 };
	struct ends e;

	(void)state;
	open_ends(&e, true);
	throw(e.theirs, MSG_BLOCK, 1, 7, BYTES(block, 1), 0);
	assert_int_equal(dispatch(&e, &r), CHANNEL_VIOLATION);
	throw(e.theirs, MSG_GO, 1, 7, BYTES(go, 1), 0);
	assert_int_equal(dispatch(&e, &r), CHANNEL_EMPTY);
	throw(e.theirs, MSG_GO, 1, 7, BYTES(go, 1), 0);
	assert_int_equal(dispatch(&e, &r), CHANNEL_VIOLATION);
	assert_int_equal(r.seen, 1);
	close_ends(&e);
}

static void test_a_descriptor_out_of_its_state_is_closed(void **state)
{
	struct receiver r = { .state = 1, .fd = -1 };
	struct ends e;
	int before;

	(void)state;
	open_ends(&e, true);
	before = open_descriptors();
	throw(e.theirs, MSG_SETUP_FD, 1, 7, BYTES(setup_fd, 1), 1);
	assert_int_equal(dispatch(&e, &r), CHANNEL_VIOLATION);
	throw(e.theirs, MSG_LISTENER, 1, 7, BYTES(listener, 1), 1);
	assert_int_equal(dispatch(&e, &r), CHANNEL_VIOLATION);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(r.fd, -1);
	close_ends(&e);
}

static void test_a_type_that_is_not_in_the_table_is_a_violation(void **state)
{
	struct receiver r = { 0 };
	struct ends e;

	(void)state;
	open_ends(&e, true);
	throw(e.theirs, MSG_READY, 1, 7, BYTES(ready, 1), 0);
	assert_int_equal(dispatch(&e, &r), CHANNEL_VIOLATION);
	close_ends(&e);
}

static void send_blocks(struct ends *e, const uint32_t *pieces, uint32_t n)
{
	struct {
		struct packet_header h;
		struct msg_block m[64];
	} p = { .h = { .type = MSG_BLOCK, .count = (uint16_t)n, .epoch = 7 } };
	uint32_t i;

	for (i = 0; i < n; i++)
		p.m[i].piece = pieces[i];
	assert_int_equal(write(e->theirs, &p, BYTES(block, n)), (ssize_t)BYTES(block, n));
}

static void test_the_state_is_read_anew_before_each_message_of_a_packet(void **state)
{
	struct receiver r = { .state = 1 };
	struct ends e;

	(void)state;
	open_ends(&e, true);
	send_blocks(&e, (const uint32_t[]){ 1, 98, 2 }, 3);
	assert_int_equal(dispatch(&e, &r), CHANNEL_VIOLATION);
	assert_int_equal(r.seen, 2);
	close_ends(&e);
}

static void test_a_handler_that_refuses_ends_the_conversation(void **state)
{
	struct receiver r = { .state = 1 };
	struct ends e;

	(void)state;
	open_ends(&e, true);
	send_blocks(&e, (const uint32_t[]){ 1, 99, 2 }, 3);
	assert_int_equal(dispatch(&e, &r), CHANNEL_VIOLATION);
	assert_int_equal(r.seen, 1);
	assert_string_equal(channel_violation(), "BLOCK");
	close_ends(&e);
}

static void test_a_flood_is_taken_a_few_packets_at_a_time(void **state)
{
	struct receiver r = { .state = 1 };
	struct ends e;
	int i;

	(void)state;
	open_ends(&e, true);
	for (i = 0; i < 50; i++)
		throw(e.theirs, MSG_BLOCK, 1, 7, BYTES(block, 1), 0);
	assert_int_equal(channel_dispatch(&e.ours, table, ARRAY_LEN(table), &r.state, &r, 8), CHANNEL_OK);
	assert_int_equal(r.seen, 8);
	close_ends(&e);
}

static void test_waiting_ends_in_time(void **state)
{
	struct ends e;
	struct packet p;
	uint64_t start = now_ms();

	(void)state;
	open_ends(&e, true);
	assert_int_equal(channel_wait(&e.ours, &p, 50), CHANNEL_EMPTY);
	assert_in_range(now_ms() - start, 45, 5000);
	close(e.theirs);
	e.theirs = -1;
	assert_int_equal(channel_wait(&e.ours, &p, 50), CHANNEL_CLOSED);
	close_ends(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_arrive_in_order_and_in_batches),
		cmocka_unit_test(test_each_type_is_taken_at_its_exact_length_only),
		cmocka_unit_test(test_unknown_types_and_short_packets_are_violations),
		cmocka_unit_test(test_a_descriptor_comes_only_with_a_message_that_carries_one),
		cmocka_unit_test(test_more_descriptors_than_one_are_a_violation_and_none_leaks),
		cmocka_unit_test(test_a_channel_that_takes_no_descriptors_never_gets_one),
		cmocka_unit_test(test_no_room_for_a_descriptor_is_a_violation_not_a_message_without_it),
		cmocka_unit_test(test_what_the_other_end_does_not_take_is_bounded),
		cmocka_unit_test(test_queued_descriptors_are_bounded_and_closed_with_the_channel),
		cmocka_unit_test(test_too_many_descriptors_in_flight_are_not_waited_for_by_pollout),
		cmocka_unit_test(test_a_descriptor_keeps_its_place_behind_what_was_queued),
		cmocka_unit_test(test_writing_to_one_that_is_gone_fails),
		cmocka_unit_test(test_a_message_out_of_its_state_is_a_violation),
		cmocka_unit_test(test_a_descriptor_out_of_its_state_is_closed),
		cmocka_unit_test(test_a_type_that_is_not_in_the_table_is_a_violation),
		cmocka_unit_test(test_the_state_is_read_anew_before_each_message_of_a_packet),
		cmocka_unit_test(test_a_handler_that_refuses_ends_the_conversation),
		cmocka_unit_test(test_a_flood_is_taken_a_few_packets_at_a_time),
		cmocka_unit_test(test_waiting_ends_in_time),
	};

	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
