/*
 * test_disk_client.c - netproc's side of what is read for uploads: READ and DATA_DONE out, DATA and READ_FAILED in, by
 * an honest diskproc and by lying ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../netproc/disk.c"

#define PIECES 8u

static struct {
	struct loop *loop;
	struct disk *disk;
	struct slots slots, upload; /* netproc's; diskproc's, as it has them itself */
	struct channel far;         /* diskproc's end */
	struct channel control, parent;
	uint32_t epoch;
	uint32_t data_count, data_tag[1024], data_slot[1024];
	uint32_t failed_count, failed_tag;
	int32_t failed_error;
	uint32_t lost;
	bool refuse, ask_again;     /* what on_data() does */
	uint32_t read_count, done_count;
	struct msg_read read[1024]; /* what diskproc heard, in order */
	uint32_t done[1024];
	uint32_t packets;
} t;

static void ignore(void *arg) { (void)arg; }
static void ignore_have(void *arg, uint32_t piece) { (void)arg, (void)piece; }
static bool ignore_piece(void *arg, uint32_t piece) { (void)arg, (void)piece; return true; }
static bool ignore_blame(void *arg, const struct msg_blame *m) { (void)arg, (void)m; return true; }
static void count_lost(void *arg) { (void)arg; t.lost++; }

static bool on_data_hook(void *arg, uint32_t tag, uint32_t slot)
{
	(void)arg;
	if (t.refuse)
		return false;
	t.data_tag[t.data_count] = tag;
	t.data_slot[t.data_count++] = slot;
	if (t.ask_again) {
		disk_done_slot(t.disk, slot);
		disk_send_read(t.disk, tag + 1, 0, 0, 1);
	}
	return true;
}

static bool on_failed_hook(void *arg, uint32_t tag, int32_t error)
{
	(void)arg;
	t.failed_tag = tag;
	t.failed_error = error;
	t.failed_count++;
	return true;
}

/* A diskproc that begins, with these slots or its own. */
static void attach(int slots_fd)
{
	int pair[2];

	assert_int_equal(channel_pair(pair), 0);
	channel_close(&t.far);
	if (slots_fd < 0) {
		slots_detach(&t.upload);
		slots_fd = slots_create(&t.upload, SLOT_COUNT);
	}
	assert_true(slots_fd >= 0);
	t.epoch++;
	channel_init(&t.far, pair[1], t.epoch, false, "netproc");
	disk_attach(t.disk, pair[0], t.epoch, slots_fd);
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
		for (i = 0; i < p.count; i++) {
			if (p.type == MSG_READ)
				memcpy(&t.read[t.read_count++], packet_message(&p, i), sizeof t.read[0]);
			else if (p.type == MSG_DATA_DONE)
				memcpy(&t.done[t.done_count++], packet_message(&p, i), sizeof t.done[0]);
		}
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
	t.far.fd = -1;
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
	slots_detach(&t.upload);
	channel_close(&t.far);
	channel_close(&t.control);
	channel_close(&t.parent);
	return 0;
}

static void say_data(uint32_t tag, uint32_t slot)
{
	struct msg_data m = { .tag = tag, .slot = slot };

	say(MSG_DATA, &m);
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
	assert_int_equal(disk_read_room(t.disk), 0); /* nobody told what is there */
	tell_all();
	assert_int_equal(disk_read_room(t.disk), SLOT_COUNT);
	disk_send_read(t.disk, 0xdeadbeef, 3, 100, 50);
	disk_send_read(t.disk, 0xdeadbeef, 4, 200, 60);
	assert_int_equal(disk_pending(t.disk), 2);
	assert_int_equal(disk_read_room(t.disk), SLOT_COUNT - 2);
	turn();
	assert_int_equal(disk_pending(t.disk), 0);
	assert_int_equal(t.read_count, 2);
	assert_int_equal(t.packets, 1);
	assert_int_equal(t.read[1].piece, 4);
	assert_int_equal(t.read[1].begin, 200);
	assert_int_equal(t.read[1].length, 60);
	slot_at(&t.upload, 7)[3] = 42;
	say_data(t.read[1].tag, 7);
	turn();
	assert_int_equal(t.data_count, 1);
	assert_int_equal(t.data_tag[0], 0xdeadbeef);
	assert_int_equal(t.data_slot[0], 7);
	assert_int_equal(slot_at(disk_upload_slots(t.disk), 7)[3], 42);
	assert_int_equal(disk_read_room(t.disk), SLOT_COUNT - 2);
	disk_done_slot(t.disk, 7);
	assert_int_equal(disk_pending(t.disk), 1);
	turn();
	assert_int_equal(t.done_count, 1);
	assert_int_equal(t.done[0], 7);
	assert_int_equal(disk_read_room(t.disk), SLOT_COUNT - 1);
}

static void test_a_read_that_failed_frees_its_room(void **state)
{
	struct msg_read_failed m = { .error = 5 };

	(void)state;
	tell_all();
	disk_send_read(t.disk, 77, 0, 0, 1);
	turn();
	m.tag = t.read[0].tag;
	say(MSG_READ_FAILED, &m);
	turn();
	assert_int_equal(t.failed_count, 1);
	assert_int_equal(t.failed_tag, 77);
	assert_int_equal(t.failed_error, 5);
	assert_int_equal(disk_read_room(t.disk), SLOT_COUNT);
}

/* Whoever counts at the other end must never see more than there are. */
static void test_a_slot_is_given_back_before_it_is_asked_for_again(void **state)
{
	uint32_t i;

	(void)state;
	tell_all();
	for (i = 0; i < SLOT_COUNT; i++)
		disk_send_read(t.disk, i, 0, i, 1);
	assert_int_equal(disk_read_room(t.disk), 0);
	turn();
	assert_int_equal(t.read_count, SLOT_COUNT);
	assert_int_equal(t.packets, SLOT_COUNT / 64);
	for (i = 0; i < SLOT_COUNT; i++)
		say_data(t.read[i].tag, i);
	t.ask_again = true; /* gives back and asks in turns: on the wire all that go back come first */
	t.packets = t.read_count = 0;
	turn();
	assert_int_equal(t.data_count, SLOT_COUNT);
	assert_int_equal(t.done_count, SLOT_COUNT);
	assert_int_equal(t.read_count, SLOT_COUNT);
	assert_int_equal(t.packets, 1 + SLOT_COUNT / 64);
	assert_int_equal(disk_read_room(t.disk), 0);
	assert_false(is_accused());
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

static void test_after_a_hold_nothing_is_asked_and_slots_go_back(void **state)
{
	struct msg_hold hold = { 0 };

	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 1);
	disk_send_read(t.disk, 2, 0, 0, 1);
	turn();
	say_data(t.read[0].tag, 0);
	say(MSG_HOLD, &hold);
	say_data(t.read[1].tag, 1);
	turn();
	assert_int_equal(t.data_count, 2);
	assert_int_equal(disk_read_room(t.disk), 0);
	disk_done_slot(t.disk, 1);
	turn();
	assert_int_equal(t.done_count, 1);
	assert_false(is_accused());
}

static void test_another_diskproc_begins_with_every_slot_and_the_old_ones_stay_until_then(void **state)
{
	const uint8_t *old;
	uint32_t i;

	(void)state;
	tell_all();
	for (i = 0; i < SLOT_COUNT; i++)
		disk_send_read(t.disk, i, 0, i, 1);
	turn();
	slot_at(&t.upload, 9)[0] = 99;
	say_data(t.read[3].tag, 9);
	turn();
	old = slot_at(disk_upload_slots(t.disk), 9);
	disk_done_slot(t.disk, 9);
	disk_send_read(t.disk, 5, 0, 0, 1); /* neither is sent any more */
	channel_close(&t.far);
	loop_turn(t.loop, 0);
	assert_int_equal(t.lost, 1);
	assert_int_equal(disk_read_room(t.disk), 0);
	assert_int_equal(disk_pending(t.disk), 0);
	assert_int_equal(old[0], 99);
	attach(-1);
	tell_all();
	assert_int_equal(disk_read_room(t.disk), SLOT_COUNT);
	t.read_count = t.done_count = 0;
	turn();
	assert_int_equal(t.read_count + t.done_count, 0);
	say_data(3, 0); /* an answer to what the old one was asked */
	turn();
	assert_true(is_accused());
}

/* ---- lying ones */

static void expect_lie(void)
{
	turn();
	assert_true(is_accused());
	assert_int_equal(t.lost, 1);
	assert_int_equal(disk_read_room(t.disk), 0);
	assert_int_equal(disk_free_slots(t.disk), 0);
}

static void test_data_that_nobody_asked_for_breaks_the_contract(void **state)
{
	(void)state;
	tell_all();
	say_data(0, 0);
	expect_lie();
	assert_int_equal(t.data_count, 0);
}

static void test_data_with_a_tag_that_cannot_be_breaks_the_contract(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, SLOT_COUNT, 0, 0, 1);
	turn();
	say_data(SLOT_COUNT, 0);
	expect_lie();
	assert_int_equal(t.data_count, 0);
}

static void test_a_second_answer_breaks_the_contract(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 1);
	turn();
	say_data(t.read[0].tag, 0);
	say_data(t.read[0].tag, 1);
	expect_lie();
	assert_int_equal(t.data_count, 1);
}

static void test_an_answer_to_what_was_not_sent_yet_breaks_the_contract(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 1);
	say_data(t.disk->ask[0].tag, 0);
	expect_lie();
	assert_int_equal(t.data_count, 0);
}

static void test_a_slot_that_does_not_exist_breaks_the_contract(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 1);
	turn();
	say_data(t.read[0].tag, SLOT_COUNT);
	expect_lie();
	assert_int_equal(t.data_count, 0);
}

static void test_a_slot_that_is_ours_breaks_the_contract(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 1);
	disk_send_read(t.disk, 2, 0, 0, 1);
	turn();
	say_data(t.read[0].tag, 4);
	say_data(t.read[1].tag, 4);
	expect_lie();
	assert_int_equal(t.data_count, 1);
}

static void test_a_slot_whose_return_was_not_sent_yet_is_still_ours(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 1);
	disk_send_read(t.disk, 2, 0, 0, 1);
	turn();
	say_data(t.read[0].tag, 4);
	say_data(t.read[1].tag, 4);
	t.ask_again = true;
	expect_lie();
	assert_int_equal(t.data_count, 1);
}

static void test_data_before_it_told_what_is_there_breaks_the_contract(void **state)
{
	(void)state;
	say_data(0, 0);
	expect_lie();
}

static void test_what_the_caller_refuses_breaks_the_contract(void **state)
{
	(void)state;
	tell_all();
	disk_send_read(t.disk, 1, 0, 0, 1);
	turn();
	t.refuse = true;
	say_data(t.read[0].tag, 0);
	expect_lie();
}

static void test_slots_that_are_not_sealed_are_not_mapped(void **state)
{
	int fd = memfd_create("slots", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, SLOT_COUNT * SLOT_BYTES), 0);
	attach(fd);
	assert_int_equal(t.lost, 1);
	assert_true(is_accused());
	assert_int_equal(disk_read_room(t.disk), 0);
	/* The next one is served. */
	attach(-1);
	tell_all();
	assert_int_equal(disk_read_room(t.disk), SLOT_COUNT);
	disk_send_read(t.disk, 1, 0, 0, 1);
	turn();
	say_data(t.read[0].tag, 255);
	turn();
	assert_int_equal(t.data_count, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_data_comes_with_the_tag_of_who_asked),
		T(test_a_read_that_failed_frees_its_room),
		T(test_a_slot_is_given_back_before_it_is_asked_for_again),
		T(test_blocks_and_uploads_do_not_break_up_each_others_packets),
		T(test_after_a_hold_nothing_is_asked_and_slots_go_back),
		T(test_another_diskproc_begins_with_every_slot_and_the_old_ones_stay_until_then),
		T(test_data_that_nobody_asked_for_breaks_the_contract),
		T(test_data_with_a_tag_that_cannot_be_breaks_the_contract),
		T(test_a_second_answer_breaks_the_contract),
		T(test_an_answer_to_what_was_not_sent_yet_breaks_the_contract),
		T(test_a_slot_that_does_not_exist_breaks_the_contract),
		T(test_a_slot_that_is_ours_breaks_the_contract),
		T(test_a_slot_whose_return_was_not_sent_yet_is_still_ours),
		T(test_data_before_it_told_what_is_there_breaks_the_contract),
		T(test_what_the_caller_refuses_breaks_the_contract),
		T(test_slots_that_are_not_sealed_are_not_mapped),
	};

	return cmocka_run_group_tests_name("disk client", tests, NULL, NULL);
}
