/*
 * test_disk_client.c - netproc's side of what is read for uploads: READ out, DATA and READ_FAILED in, bytes through the
 * conveyor, by an honest diskproc and by lying ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../netproc/disk.c"

#define PIECES 8u

static struct {
	struct loop *loop;
	struct disk *disk;
	struct slots slots;
	int conveyor;               /* diskproc's end */
	struct channel far;         /* diskproc's end */
	struct channel control, parent;
	uint32_t epoch;
	uint32_t data_count, data_tag[1024], data_left[1024];
	uint8_t data[1024];         /* first byte of each */
	uint32_t failed_count, failed_tag;
	int32_t failed_error;
	uint32_t lost;
	bool leave;                 /* what on_data() does: takes nothing */
	uint32_t read_count;
	struct msg_read read[1024]; /* what diskproc heard, in order */
	uint32_t packets;
} t;

static void ignore(void *arg) { (void)arg; }
static void ignore_have(void *arg, uint32_t piece) { (void)arg, (void)piece; }
static bool ignore_piece(void *arg, uint32_t piece) { (void)arg, (void)piece; return true; }
static bool ignore_blame(void *arg, const struct msg_blame *m) { (void)arg, (void)m; return true; }
static void count_lost(void *arg) { (void)arg; t.lost++; }

static void on_data_hook(void *arg, uint32_t tag)
{
	uint8_t rest[SLOT_BYTES];
	uint32_t n = disk_data_left(t.disk);

	(void)arg;
	t.data_tag[t.data_count] = tag;
	t.data_left[t.data_count] = n;
	if (!t.leave && disk_data_read(t.disk, rest, min_u32(n, sizeof rest)))
		t.data[t.data_count] = rest[0];
	t.data_count++;
}

static void on_failed_hook(void *arg, uint32_t tag, int32_t error)
{
	(void)arg;
	t.failed_tag = tag;
	t.failed_error = error;
	t.failed_count++;
}

/* A diskproc that begins, with this conveyor or one of its own. */
static void attach(int reading_end)
{
	int pair[2], end[2];

	assert_int_equal(channel_pair(pair), 0);
	channel_close(&t.far);
	if (reading_end < 0) {
		if (t.conveyor >= 0)
			close(t.conveyor);
		assert_int_equal(conveyor_make(end), 0);
		reading_end = end[0];
		t.conveyor = end[1];
	}
	t.epoch++;
	channel_init(&t.far, pair[1], t.epoch, false, "netproc");
	disk_attach(t.disk, pair[0], t.epoch, reading_end);
}

static void say(enum message_type type, const void *m)
{
	assert_int_equal(channel_push(&t.far, type, m), 0);
}

/* diskproc's words arrive; netproc's are read. */
static void turn(void)
{
	struct packet p;
	uint32_t i;

	if (t.far.fd >= 0)
		(void)channel_flush(&t.far);
	loop_turn(t.loop, 0);
	disk_flush(t.disk);
	while (t.far.fd >= 0 && channel_receive(&t.far, &p) == CHANNEL_OK) {
		t.packets++;
		for (i = 0; i < p.count; i++)
			if (p.type == MSG_READ)
				memcpy(&t.read[t.read_count++], packet_message(&p, i), sizeof t.read[0]);
	}
}

static void tell_all(void)
{
	struct msg_have_bits bits = { .pieces = PIECES, .bits = { 0xff } };
	struct msg_have_end last = { .verified_pieces = PIECES };

	say(MSG_HAVE_BITS, &bits);
	say(MSG_HAVE_END, &last);
	turn();
}

static int begin(void **state)
{
	struct disk_hooks hooks = { NULL, ignore_have, ignore, ignore_piece, ignore_piece, ignore_piece, ignore_blame, ignore, ignore, on_data_hook,
				    on_failed_hook, count_lost };
	int pair[2], fd;

	(void)state;
	memset(&t, 0, sizeof t);
	t.far.fd = t.conveyor = -1;
	t.loop = loop_new(16);
	fd = slots_create(&t.slots, SLOT_COUNT);
	close(fd);
	if (channel_pair(pair))
		return -1;
	channel_init(&t.control, pair[0], 0, false, "parent");
	channel_init(&t.parent, pair[1], 0, false, "netproc");
	accuse_to_channel(&t.control);
	t.disk = disk_new(t.loop, &t.slots, PIECES, &hooks);
	attach(-1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	accuse_to_channel(NULL);
	disk_free(t.disk);
	loop_free(t.loop);
	slots_detach(&t.slots);
	close(t.conveyor);
	channel_close(&t.far);
	channel_close(&t.control);
	channel_close(&t.parent);
	return 0;
}

static void put(uint8_t first, uint32_t n)
{
	static uint8_t bytes[CONVEYOR_READ_MAX];

	bytes[0] = first;
	assert_int_equal(write(t.conveyor, bytes, n), n);
}

static void say_data(uint32_t tag)
{
	struct msg_data m = { .tag = tag };

	say(MSG_DATA, &m);
}

static void say_failed(uint32_t tag, uint32_t bytes)
{
	struct msg_read_failed m = { .tag = tag, .error = 5, .bytes = bytes };

	say(MSG_READ_FAILED, &m);
}

static bool is_accused(void)
{
	struct packet p;

	(void)channel_flush(&t.control);
	if (channel_receive(&t.parent, &p) != CHANNEL_OK)
		return false;
	assert_int_equal(p.type, MSG_ACCUSE);
	assert_int_equal(((const struct msg_accuse *)packet_message(&p, 0))->role, ROLE_DISKPROC);
	assert_int_equal(((const struct msg_accuse *)packet_message(&p, 0))->epoch, t.epoch);
	return true;
}

/* ---- an honest one */

static void test_data_comes_with_the_tag_of_who_asked(void **state)
{
	(void)state;
	assert_false(disk_may_read(t.disk, 1)); /* nobody told what is there */
	tell_all();
	assert_int_equal(disk_conveyor_pages(t.disk), CONVEYOR_BYTES / 4096);
	disk_send_read(t.disk, 0xdeadbeef, 3, 100, 50);
	disk_send_read(t.disk, 0xfeed, 4, 200, 60);
	assert_int_equal(disk_pending(t.disk), 2);
	assert_true(disk_waits_for_reads(t.disk));
	turn();
	assert_false(disk_waits_for_reads(t.disk));
	assert_int_equal(disk_pending(t.disk), 0);
	assert_int_equal(t.read_count, 2);
	assert_int_equal(t.packets, 1);
	assert_int_equal(t.read[1].piece, 4);
	assert_int_equal(t.read[1].begin, 200);
	assert_int_equal(t.read[1].length, 60);
	put(42, 50);
	put(43, 60);
	say_data(t.read[0].tag);
	say_data(t.read[1].tag);
	turn();
	assert_int_equal(t.data_count, 2);
	assert_int_equal(t.data_tag[0], 0xdeadbeef);
	assert_int_equal(t.data_tag[1], 0xfeed);
	assert_int_equal(t.data_left[0], 50);
	assert_int_equal(t.data_left[1], 60);
	assert_int_equal(t.data[0], 42);
	assert_int_equal(t.data[1], 43);
}

static void test_a_read_that_failed_frees_its_room_and_what_was_put_of_it_goes(void **state)
{
	uint32_t i;

	(void)state;
	tell_all();
	for (i = 0; disk_may_read(t.disk, SLOT_BYTES); i++)
		disk_send_read(t.disk, 77 + i, 0, 0, SLOT_BYTES);
	assert_int_equal(i, disk_conveyor_pages(t.disk) / conveyor_cost(SLOT_BYTES));
	turn();
	put(1, 1000);
	say_failed(t.read[0].tag, 1000);
	put(2, SLOT_BYTES);
	say_data(t.read[1].tag);
	turn();
	assert_int_equal(t.failed_count, 1);
	assert_int_equal(t.failed_tag, 77);
	assert_int_equal(t.failed_error, 5);
	assert_int_equal(t.data[0], 2);
	assert_true(disk_may_read(t.disk, SLOT_BYTES));
	assert_false(is_accused());
}

static void test_what_nobody_takes_does_not_come_to_the_next_one(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 10000);
	disk_send_read(t.disk, 2, 0, 0, 1);
	turn();
	put(1, 10000);
	put(2, 1);
	t.leave = true;
	say_data(t.read[0].tag);
	turn();
	t.leave = false;
	say_data(t.read[1].tag);
	turn();
	assert_int_equal(t.data_count, 2);
	assert_int_equal(t.data[1], 2);
	assert_false(is_accused());
}

/* The pages of a block go into a socket, as many as it takes; the rest can be read. */
static void test_a_socket_takes_what_it_has_room_for(void **state)
{
	int pair[2], small = 4096;
	uint8_t rest[100000];
	uint32_t n;

	(void)state;
	tell_all();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
	put(9, 100000);
	t.disk->due = 100000; /* as in on_data() */
	while (disk_data_splice(t.disk, pair[0], true) > 0)
		;
	n = disk_data_left(t.disk);
	assert_in_range(n, 1, 99999);
	assert_int_equal(read(pair[1], rest, sizeof rest) > 0, 1);
	assert_int_equal(rest[0], 9);
	assert_true(disk_data_read(t.disk, rest, n));
	assert_int_equal(disk_data_left(t.disk), 0);
	put(1, 10);
	t.disk->due = 10;
	close(pair[1]);
	signal(SIGPIPE, SIG_IGN);
	assert_true(disk_data_splice(t.disk, pair[0], false) < 0);
	assert_int_equal(errno, EPIPE);
	close(pair[0]);
}

static void test_blocks_and_uploads_do_not_break_up_each_others_packets(void **state)
{
	uint32_t i;

	(void)state;
	tell_all();
	for (i = 0; i < 30; i++) {
		disk_send_read(t.disk, i, 0, i, 1);
		disk_send_block(t.disk, 1, i * SLOT_BYTES, SLOT_BYTES, disk_take_slot(t.disk));
	}
	assert_int_equal(disk_pending(t.disk), 60);
	turn();
	assert_int_equal(t.packets, 2);
	assert_int_equal(t.read_count, 30);
}

static void test_after_a_hold_nothing_is_asked_and_answers_come(void **state)
{
	struct msg_hold hold = { 0 };

	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 1);
	disk_send_read(t.disk, 2, 0, 0, 1);
	turn();
	put(1, 1);
	say_data(t.read[0].tag);
	say(MSG_HOLD, &hold);
	say_failed(t.read[1].tag, 0);
	turn();
	assert_int_equal(t.data_count, 1);
	assert_int_equal(t.failed_count, 1);
	assert_false(disk_may_read(t.disk, 1));
	assert_false(is_accused());
}

static void test_another_diskproc_begins_with_an_empty_conveyor(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, 3, 0, 0, 100);
	turn();
	disk_send_read(t.disk, 5, 0, 0, 1); /* is not sent any more */
	put(1, 100);
	channel_close(&t.far);
	loop_turn(t.loop, 0);
	assert_int_equal(t.lost, 1);
	assert_false(disk_may_read(t.disk, 1));
	assert_int_equal(disk_pending(t.disk), 0);
	attach(-1);
	tell_all();
	t.read_count = 0;
	turn();
	assert_int_equal(t.read_count, 0);
	disk_send_read(t.disk, 6, 0, 0, 1);
	turn();
	put(7, 1);
	say_data(t.read[0].tag);
	turn();
	assert_int_equal(t.data[0], 7);
	say_data(3); /* an answer to what the old one was asked */
	turn();
	assert_true(is_accused());
}

/* ---- lying ones */

static void expect_lie(uint32_t data)
{
	turn();
	assert_true(is_accused());
	assert_int_equal(t.lost, 1);
	assert_false(disk_may_read(t.disk, 1));
	assert_int_equal(disk_free_slots(t.disk), 0);
	assert_int_equal(t.data_count, data);
}

static void test_data_that_nobody_asked_for_breaks_the_contract(void **state)
{
	(void)state;
	tell_all();
	say_data(0);
	expect_lie(0);
}

static void test_data_out_of_order_breaks_the_contract(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 1);
	disk_send_read(t.disk, 2, 0, 0, 1);
	turn();
	put(1, 1);
	say_data(t.read[1].tag);
	expect_lie(0);
}

static void test_a_second_answer_breaks_the_contract(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 1);
	turn();
	put(1, 1);
	put(1, 1);
	say_data(t.read[0].tag);
	say_data(t.read[0].tag);
	expect_lie(1);
}

static void test_an_answer_to_what_was_not_sent_yet_breaks_the_contract(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 1);
	put(1, 1);
	say_data(t.disk->serial);
	expect_lie(0);
}

static void test_less_than_it_said_breaks_the_contract(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 100);
	turn();
	put(1, 99);
	say_data(t.read[0].tag);
	expect_lie(1);
}

static void test_a_failed_read_of_more_than_all_breaks_the_contract(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 100);
	turn();
	put(1, 100);
	say_failed(t.read[0].tag, 100);
	expect_lie(0);
	assert_int_equal(t.failed_count, 0);
}

static void test_data_before_it_told_what_is_there_breaks_the_contract(void **state)
{
	(void)state;
	say_data(0);
	expect_lie(0);
}

static void test_a_conveyor_that_is_none_is_not_used(void **state)
{
	int end[2];
	uint32_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		t.lost = 0;
		assert_int_equal(pipe2(end, O_CLOEXEC), 0); /* 64 KiB */
		if (i == 1)
			assert_true(fcntl(end[0], F_SETPIPE_SZ, CONVEYOR_BYTES) > 0);
		/* Too small; the writing end; no pipe. */
		attach(i == 0 ? end[0] : i == 1 ? end[1] : memfd_create("no pipe", MFD_CLOEXEC));
		assert_int_equal(t.lost, 1);
		assert_true(is_accused());
		assert_false(disk_may_read(t.disk, 1));
		if (i != 0)
			close(end[0]);
		if (i != 1)
			close(end[1]);
	}
	/* The next one is served. */
	attach(-1);
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 1);
	turn();
	put(1, 1);
	say_data(t.read[0].tag);
	turn();
	assert_int_equal(t.data_count, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_data_comes_with_the_tag_of_who_asked),
		T(test_a_read_that_failed_frees_its_room_and_what_was_put_of_it_goes),
		T(test_what_nobody_takes_does_not_come_to_the_next_one),
		T(test_a_socket_takes_what_it_has_room_for),
		T(test_blocks_and_uploads_do_not_break_up_each_others_packets),
		T(test_after_a_hold_nothing_is_asked_and_answers_come),
		T(test_another_diskproc_begins_with_an_empty_conveyor),
		T(test_data_that_nobody_asked_for_breaks_the_contract),
		T(test_data_out_of_order_breaks_the_contract),
		T(test_a_second_answer_breaks_the_contract),
		T(test_an_answer_to_what_was_not_sent_yet_breaks_the_contract),
		T(test_less_than_it_said_breaks_the_contract),
		T(test_a_failed_read_of_more_than_all_breaks_the_contract),
		T(test_data_before_it_told_what_is_there_breaks_the_contract),
		T(test_a_conveyor_that_is_none_is_not_used),
	};

	return cmocka_run_group_tests_name("disk client", tests, NULL, NULL);
}
