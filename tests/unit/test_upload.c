/*
 * test_upload.c - what netproc may ask diskproc to read, what it gets, and what becomes of it when the world or a
 * conversation ends meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "disk_rig.h"

#define PIECE (64u * 1024u)
#define BUDGET (4u * PIECE)

/* Pieces 0 to 8; 6 begins with padding and ends in "fourth", by way of a file of one byte. */
static const struct fixture_file many[] = {
	{ "a/first", 100000, 0 }, { "a/empty", 0, 0 }, { "a/b/second", 300000, 0 }, { ".pad/9", 57536, METAINFO_FILE_PAD },
	{ "third", 1, 0 }, { "fourth", 70000, 0 },
};

static struct rig rig;

static void fetch_pieces(struct rig *r)
{
	uint32_t i;

	for (i = 0; i < r->m.h->piece_count; i++) {
		rig_piece(r, i);
		assert_true(rig_until(r, rig_idle));
	}
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
	r->heard_count = 0;
}

/* A complete download. */
static int begin(void **state)
{
	*state = &rig;
	rig_make(&rig, many, ARRAY_LEN(many), PIECE, false);
	rig_start(&rig, false, false, BUDGET);
	assert_true(rig_until(&rig, rig_told));
	fetch_pieces(&rig);
	return 0;
}

static int end(void **state)
{
	rig_free(*state);
	return 0;
}

static void ask(struct rig *r, uint32_t tag, uint32_t piece, uint32_t at, uint32_t length)
{
	assert_true(rig_ask(r, tag, piece, at, length));
}

static bool rig_read(const struct rig *r) { return !r->d.upload.busy && !r->net_end.batch_count; }

/* The answer with this tag, of which there must be exactly one. */
static const struct heard_message *answer_of(const struct rig *r, uint32_t tag)
{
	const struct heard_message *found = NULL;
	uint32_t i;

	for (i = 0; i < r->heard_count; i++)
		if ((r->heard[i].type == MSG_DATA || r->heard[i].type == MSG_READ_FAILED) && r->heard[i].piece == tag) {
			assert_null(found);
			found = &r->heard[i];
		}
	assert_non_null(found);
	return found;
}

/* The answer with this tag is the payload. */
static void check_data(struct rig *r, uint32_t tag, uint32_t piece, uint32_t at, uint32_t length)
{
	const struct heard_message *h = answer_of(r, tag);
	static uint8_t ought[CONVEYOR_READ_MAX];

	assert_int_equal(h->type, MSG_DATA);
	fixture_payload(&r->m, ought, (uint64_t)piece * PIECE + at, length);
	assert_memory_equal(r->data + h->detail, ought, length);
}

/* ---- what is read */

static void read_everything(struct rig *r)
{
	uint32_t total = (uint32_t)r->m.h->total_length, at, n, k;

	/* Backwards, 48 at a time, in blocks of a size that divides nothing. */
	for (at = 0; at < total;) {
		struct { uint32_t piece, begin, length; } part[48];

		for (n = 0; n < 48 && at < total; n++) {
			part[n].piece = at / PIECE;
			part[n].begin = at % PIECE;
			part[n].length = min_u32(min_u32(n % 3 ? SLOT_BYTES : 1000 + n, PIECE - part[n].begin), total - at);
			at += part[n].length;
		}
		r->heard_count = 0;
		for (k = n; k; k--)
			ask(r, k, part[k - 1].piece, part[k - 1].begin, part[k - 1].length);
		assert_true(rig_until(r, rig_read));
		assert_int_equal(r->heard_count, n);
		for (k = 0; k < n; k++)
			check_data(r, k + 1, part[k].piece, part[k].begin, part[k].length);
	}
	assert_true(rig_turn(r));
	assert_int_equal(r->d.upload.free_count, CONVEYOR_READS);
	assert_int_equal(r->accusations, 0);
	assert_int_equal(r->errors, 0);
}

static void test_all_of_the_payload_is_read_as_it_was_verified(void **state)
{
	read_everything(*state);
}

static void test_a_part_may_be_padding_and_several_files(void **state)
{
	struct rig *r = *state;
	uint32_t at = 457536 - 6 * PIECE, rest = PIECE - (at - SLOT_BYTES / 2), k; /* "third" begins here, in piece 6 */

	for (k = 0; k < 10; k++)
		ask(r, k, 6, at - 3 - k, 5 + 2 * k);
	ask(r, 10, 6, at - SLOT_BYTES / 2, rest); /* 8192 zeros, "third", and a part of "fourth" */
	ask(r, 11, 6, 10000, SLOT_BYTES); /* nothing but padding */
	assert_true(rig_until(r, rig_read));
	for (k = 0; k < 10; k++)
		check_data(r, k, 6, at - 3 - k, 5 + 2 * k);
	check_data(r, 10, 6, at - SLOT_BYTES / 2, rest);
	check_data(r, 11, 6, 10000, SLOT_BYTES);
}

static void test_a_packet_is_one_job_and_neighbours_one_move(void **state)
{
	struct rig *r = *state;
	struct stretch run;
	uint32_t k;

	/* Blocks 0 to 15 of the first four pieces; the file ends in the seventh. */
	for (k = 0; k < 16; k++)
		ask(r, k, k / 4, k % 4 * SLOT_BYTES, SLOT_BYTES);
	ask(r, 16, 5, 0, SLOT_BYTES);
	assert_true(channel_flush(&r->net_end) == 0);
	assert_int_equal(disk_serve_net(&r->d), CHANNEL_EMPTY);
	assert_int_equal(pool_busy(r->d.pool), 1);
	assert_int_equal(r->d.upload.busy, 17);
	assert_true(rig_until(r, rig_read));
	for (k = 0; k < 16; k++)
		check_data(r, k, k / 4, k % 4 * SLOT_BYTES, SLOT_BYTES);
	check_data(r, 16, 5, 0, SLOT_BYTES);
	/* What the worker makes of it: 6 in the first file, one in two, the rest. */
	assert_int_equal(find_stretch(&r->d.work, &r->d.upload.read[0].job, &run), 6);
	assert_int_equal(run.span.length, 6 * SLOT_BYTES);
	assert_int_equal(find_stretch(&r->d.work, &r->d.upload.read[6].job, &run), 0);
	assert_int_equal(find_stretch(&r->d.work, &r->d.upload.read[7].job, &run), 9);
}

static void test_answers_come_in_the_order_of_the_reads(void **state)
{
	struct rig *r = *state;
	uint32_t k;

	/* In one file, in several, backwards, forwards, twice. */
	for (k = 0; k < 20; k++)
		ask(r, k, k % 2 ? 6 : 4 - k / 5, k * 700, 1 + k * 500);
	assert_true(rig_until(r, rig_read));
	assert_int_equal(r->heard_count, 20);
	for (k = 0; k < 20; k++) {
		assert_int_equal(r->heard[k].piece, k);
		check_data(r, k, k % 2 ? 6 : 4 - k / 5, k * 700, 1 + k * 500);
	}
}

static void test_a_finished_download_that_is_only_read_is_served(void **state)
{
	struct rig *r = *state;

	rig_stop(r);
	rig_start(r, true, true, BUDGET);
	assert_true(rig_until(r, rig_completed));
	assert_true(rig_until(r, rig_told));
	assert_int_equal(r->completes, 1);
	read_everything(r);
}

static void test_a_single_file_is_read_by_its_descriptor(void **state)
{
	static const struct fixture_file one[] = { { "name", 5 * PIECE + 77, 0 } };
	struct rig *r = *state;

	end(state);
	rig_make(r, one, 1, PIECE, true);
	r->single = openat(r->root, "elsewhere.part", O_CREAT | O_EXCL | O_RDWR, 0644);
	rig_start(r, false, false, BUDGET);
	assert_true(rig_until(r, rig_told));
	fetch_pieces(r);
	read_everything(r);
}

static void test_what_is_verified_is_read_while_the_rest_comes(void **state)
{
	struct rig *r = *state;

	end(state);
	rig_make(r, many, ARRAY_LEN(many), PIECE, false);
	rig_start(r, false, false, BUDGET);
	assert_true(rig_until(r, rig_told));
	rig_piece(r, 6);
	assert_true(rig_until(r, rig_idle));
	rig_block(r, 0, 1, 0);
	ask(r, 1, 6, 100, 5000);
	rig_block(r, 0, 2, 0);
	assert_true(rig_until(r, rig_read));
	check_data(r, 1, 6, 100, 5000);
	rig_block(r, 0, 0, 0);
	rig_block(r, 0, 3, 0);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(rig_count(r, MSG_VERIFIED, 0), 1);
}

/* ---- what netproc may not ask for */

static void assert_accused(struct rig *r, const char *why)
{
	assert_true(rig_until(r, rig_accused));
	assert_int_equal(r->accused.length, strlen(why));
	assert_memory_equal(r->accused.text, why, r->accused.length);
}

static void test_a_part_that_is_not_in_a_piece_breaks_the_contract(void **state)
{
	static const struct { struct msg_read m; const char *why; } bad[] = {
		{ { 1, 9, 0, 1 }, "READ: a piece that does not exist" },
		{ { 1, UINT32_MAX, 0, 1 }, "READ: a piece that does not exist" },
		{ { 1, 0, 0, 0 }, "READ: a part that is not in the piece" },
		{ { 1, 0, 0, CONVEYOR_READ_MAX + 1 }, "READ: a part that is not in the piece" },
		{ { 1, 0, 0, UINT32_MAX }, "READ: a part that is not in the piece" },
		{ { 1, 0, PIECE, 1 }, "READ: a part that is not in the piece" },
		{ { 1, 0, PIECE - 1, 2 }, "READ: a part that is not in the piece" },
		{ { 1, 0, UINT32_MAX, 2 }, "READ: a part that is not in the piece" },
		{ { 1, 8, 3248, 2 }, "READ: a part that is not in the piece" }, /* the last piece has 3249 bytes */
	};
	struct rig *r = *state;
	uint32_t i;

	assert_int_equal(metainfo_piece_bytes(&r->m, 8), 3249);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		if (i) {
			rig_stop(r);
			rig_start(r, true, true, BUDGET);
			assert_true(rig_until(r, rig_told));
		}
		r->accusations = 0;
		ask(r, 0, bad[i].m.piece ? 0 : 1, 0, 100);
		assert_int_equal(channel_push(&r->net_end, MSG_READ, &bad[i].m), 0);
		assert_accused(r, bad[i].why);
		/* Not even the good one before it is answered. */
		assert_int_equal(rig_count(r, MSG_DATA, UINT32_MAX), 0);
		assert_int_equal(r->errors, 0);
	}
}

static void test_a_piece_that_is_not_verified_is_not_read(void **state)
{
	struct rig *r = *state;

	end(state);
	rig_make(r, many, ARRAY_LEN(many), PIECE, false);
	rig_start(r, false, false, BUDGET);
	assert_true(rig_until(r, rig_told));
	rig_piece(r, 0);
	assert_true(rig_until(r, rig_idle));
	rig_block(r, 1, 0, 0);
	assert_true(rig_until(r, rig_idle));
	ask(r, 1, 1, 0, 100);
	assert_accused(r, "READ: a piece that is not verified");
}

static void test_nothing_is_asked_before_it_was_told_what_is_there(void **state)
{
	struct rig *r = *state;

	rig_stop(r);
	rig_start(r, true, false, BUDGET);
	ask(r, 1, 0, 0, 100);
	(void)rig_turn(r);
	assert_accused(r, "a message that is not permitted now");
}

static void test_one_more_than_may_be_under_way_breaks_the_contract(void **state)
{
	struct msg_read more = { .length = 1 };
	struct rig *r = *state;
	uint32_t i;

	/* Two places in the pipe each: it is full, and they fit. */
	for (i = 0; i < CONVEYOR_BYTES / 4096 / 2; i++)
		ask(r, i, i % 6, i * 100 + 4000, 100);
	assert_true(rig_until(r, rig_read));
	for (i = 0; i < CONVEYOR_BYTES / 4096 / 2; i++)
		check_data(r, i, i % 6, i * 100 + 4000, 100);
	for (i = 0; i < CONVEYOR_READS; i++)
		ask(r, 1000 + i, 0, 0, 1);
	assert_int_equal(channel_push(&r->net_end, MSG_READ, &more), 0);
	(void)channel_flush(&r->net_end);
	assert_int_equal(disk_serve_net(&r->d), CHANNEL_VIOLATION);
	assert_string_equal(r->d.upload.why, "more of them than may be under way");
}

/* It is nobody's fault that netproc does not take what it asked for; that it asks for more is. */
static void test_more_than_the_conveyor_holds_breaks_the_contract(void **state)
{
	struct rig *r = *state;
	uint32_t i;

	for (i = 0; i < 80; i++)
		ask(r, i, i % 5, 0, SLOT_BYTES);
	/* Nothing is taken out meanwhile. */
	(void)channel_flush(&r->net_end);
	assert_int_equal(disk_serve_net(&r->d), CHANNEL_EMPTY);
	for (i = 0; i < 2000 && r->d.net.fd >= 0; i++) {
		disk_results(&r->d);
		usleep(1000);
	}
	assert_int_equal(r->d.net.fd, -1);
	r->asked_count = 0;
	(void)channel_flush(&r->control);
	assert_accused(r, "READ: more than the conveyor holds");
	assert_int_equal(r->errors, 0);
}

/* ---- what goes wrong */

static void test_a_file_that_was_cut_is_told_and_ends_the_use_of_storage(void **state)
{
	struct rig *r = *state;
	int fd = openat(r->root, "a/b/second", O_WRONLY);

	assert_int_equal(ftruncate(fd, 100000), 0); /* payload 200000, in piece 3 */
	close(fd);
	ask(r, 1, 2, 0, 100);
	ask(r, 2, 3, 200000 - 3 * PIECE - 50, 100);
	ask(r, 3, 4, 0, 100);
	assert_true(rig_until(r, rig_failed));
	assert_int_equal(r->errors, 1);
	assert_int_equal(r->error.act, DISK_ACT_READ);
	assert_int_equal(r->error.error, EIO);
	assert_int_equal(r->error.file, 2);
	assert_true(rig_until(r, rig_read));
	check_data(r, 1, 2, 0, 100);
	assert_int_equal(answer_of(r, 2)->type, MSG_READ_FAILED);
	assert_int_equal(answer_of(r, 2)->detail, EIO);
	assert_int_equal(answer_of(r, 3)->type, MSG_READ_FAILED);
	assert_int_equal(rig_count(r, MSG_HOLD, UINT32_MAX), 1);
	/* As for writes: what is whole is not served either. */
	ask(r, 4, 0, 0, 100);
	assert_true(rig_until(r, rig_read));
	assert_true(rig_turn(r));
	assert_int_equal(answer_of(r, 4)->type, MSG_READ_FAILED);
	assert_int_equal(answer_of(r, 4)->detail, ECANCELED);
	assert_int_equal(r->errors, 1);
	assert_int_equal(r->accusations, 0);
	assert_int_equal(r->d.upload.free_count, CONVEYOR_READS);
}

static void test_reads_after_a_shutdown_are_cancelled(void **state)
{
	struct msg_shutdown m = { .grace_ms = 10000 };
	struct rig *r = *state;

	r->d.sync.kind = JOB_SYNC;
	ask(r, 1, 0, 0, 100);
	(void)channel_flush(&r->net_end);
	assert_int_equal(channel_push(&r->control_end, MSG_SHUTDOWN, &m), 0);
	assert_true(rig_until(r, rig_ended));
	assert_int_equal(r->turn, DISK_ENDED);
	assert_int_equal(r->status, 0);
	assert_int_equal(answer_of(r, 1)->type, MSG_READ_FAILED);
	assert_int_equal(answer_of(r, 1)->detail, ECANCELED);
}

static void pass(struct rig *r, uint32_t what, int fd)
{
	struct msg_setup_fd m = { .what = what, .epoch = what == SETUP_DISK ? r->epoch : 0 };

	assert_int_equal(channel_push_fd(&r->control_end, MSG_SETUP_FD, &m, fd, true), 0);
}

static void test_what_an_old_netproc_asked_for_never_reaches_the_new_one(void **state)
{
	struct rig *r = *state;
	uint32_t i;
	int net, slots;

	for (i = 0; i < 100; i++)
		ask(r, i, i % 5, i * 100, 100);
	(void)channel_flush(&r->net_end);
	assert_int_equal(disk_serve_net(&r->d), CHANNEL_EMPTY); /* all are in a worker, no result was looked at */
	assert_int_equal(r->d.upload.busy, 100);
	rig_netproc(r, &net, &slots);
	pass(r, SETUP_DISK, net);
	pass(r, SETUP_SLOTS, slots);
	assert_true(rig_until(r, rig_told));
	assert_int_equal(r->d.upload.busy, 0);
	assert_int_equal(rig_count(r, MSG_DATA, UINT32_MAX) + rig_count(r, MSG_READ_FAILED, UINT32_MAX), 0);
	assert_int_equal(r->have_end, 9);
	/* Nothing is in the conveyor. */
	for (i = 0; i < 100; i++)
		ask(r, i, i % 5, i * 64, 50);
	assert_true(rig_until(r, rig_read));
	for (i = 0; i < 100; i++)
		check_data(r, i, i % 5, i * 64, 50);
	assert_int_equal(r->accusations, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_all_of_the_payload_is_read_as_it_was_verified),
		T(test_a_part_may_be_padding_and_several_files),
		T(test_a_packet_is_one_job_and_neighbours_one_move),
		T(test_answers_come_in_the_order_of_the_reads),
		T(test_a_finished_download_that_is_only_read_is_served),
		T(test_a_single_file_is_read_by_its_descriptor),
		T(test_what_is_verified_is_read_while_the_rest_comes),
		T(test_a_part_that_is_not_in_a_piece_breaks_the_contract),
		T(test_a_piece_that_is_not_verified_is_not_read),
		T(test_nothing_is_asked_before_it_was_told_what_is_there),
		T(test_one_more_than_may_be_under_way_breaks_the_contract),
		T(test_more_than_the_conveyor_holds_breaks_the_contract),
		T(test_a_file_that_was_cut_is_told_and_ends_the_use_of_storage),
		T(test_reads_after_a_shutdown_are_cancelled),
		T(test_what_an_old_netproc_asked_for_never_reaches_the_new_one),
	};

	return cmocka_run_group_tests_name("upload", tests, NULL, NULL);
}
