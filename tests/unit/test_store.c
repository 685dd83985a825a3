/*
 * test_store.c - blocks to verified pieces: nothing unverified is written, every
 * broken contract ends the conversation, spilled pieces come back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "disk_rig.h"

#define PIECE (64u * 1024u)
#define BUDGET (4u * PIECE)

static const struct fixture_file many[] = {
	{ "a/first", 100000, 0 }, { "a/empty", 0, 0 },   { "a/b/second", 300000, 0 }, { ".pad/9", 57536, METAINFO_FILE_PAD },
	{ "link", 0, METAINFO_FILE_SYMLINK }, { "third", 1, 0 }, { "fourth", 70000, 0 },
};

static struct rig rig;

static int start_many(void **state)
{
	*state = &rig;
	rig_make(&rig, many, ARRAY_LEN(many), PIECE, false);
	rig_start(&rig, false, false, BUDGET);
	return rig_until(&rig, rig_told) && rig.have_end == 0 ? 0 : -1;
}

static int stop(void **state)
{
	rig_free(*state);
	return 0;
}

static void test_all_blocks_in_any_order_complete_the_files(void **state)
{
	struct rig *r = *state;
	uint32_t i, k;

	for (i = r->m.h->piece_count; i--;) {
		for (k = rig_blocks(r, i); k--;)
			rig_block(r, i, k, 0);
		assert_true(rig_until(r, rig_idle));
		assert_int_equal(rig_count(r, MSG_VERIFIED, i), 1);
	}
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
	assert_int_equal(r->errors, 0);
	assert_int_equal(rig_count(r, MSG_REJECTED, UINT32_MAX), 0);
	assert_true(rig_files_good(r));
	assert_int_equal(r->progress.verified_bytes, r->m.h->total_length);
	assert_int_equal(r->progress.phase, DISK_COMPLETE);
	assert_int_equal(r->d.store.memory_bytes, 0);
}

static void test_nothing_is_written_before_the_hash_matched(void **state)
{
	struct rig *r = *state;
	uint32_t i;

	for (i = 0; i + 1 < rig_blocks(r, 0); i++)
		rig_block(r, 0, i, 0);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(rig_written(r, "a/first"), 0);
	rig_block(r, 0, rig_blocks(r, 0) - 1, 1);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(rig_count(r, MSG_REJECTED, 0), 1);
	assert_int_equal(rig_count(r, MSG_VERIFIED, 0), 0);
	assert_int_equal(rig_written(r, "a/first"), 0);
	assert_int_equal(r->d.store.memory_bytes, 0);
}

static void test_blame_names_the_bad_blocks_of_each_copy_before_verified(void **state)
{
	struct rig *r = *state;
	uint32_t i;

	for (i = 0; i < 4; i++)
		rig_block(r, 1, i, i == 2);
	assert_true(rig_until(r, rig_idle));
	for (i = 0; i < 4; i++)
		rig_block(r, 1, i, i == 0 || i == 3);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(rig_count(r, MSG_REJECTED, 1), 2);
	rig_piece(r, 1);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(r->heard_count, 5);
	assert_int_equal(r->heard[2].type, MSG_BLAME);
	assert_int_equal(r->heard[2].blame.attempt, 0);
	assert_int_equal(r->heard[2].blame.bad[0], 0x20);
	assert_int_equal(r->heard[2].blame.blocks, 4);
	assert_int_equal(r->heard[3].blame.attempt, 1);
	assert_int_equal(r->heard[3].blame.bad[0], 0x90);
	assert_int_equal(r->heard[4].type, MSG_VERIFIED);
	assert_int_equal(r->d.store.rejected_pieces, 2);
}

/* Sends one message as it is; true when diskproc called it a broken contract. */
static bool is_violation(struct rig *r, struct msg_block m)
{
	assert_int_equal(channel_push(&r->net_end, MSG_BLOCK, &m), 0);
	return rig_until(r, rig_accused); /* false after a bounded time is the other answer */
}

static void test_blocks_out_of_range_end_the_conversation(void **state)
{
	static const struct msg_block bad[] = {
		{ 9, 0, SLOT_BYTES, 0 },                     /* piece past the last */
		{ UINT32_MAX, 0, SLOT_BYTES, 0 },
		{ 0, 0, SLOT_BYTES, SLOT_COUNT },            /* slot */
		{ 0, 0, SLOT_BYTES, UINT32_MAX },
		{ 0, 1, SLOT_BYTES, 0 },                     /* begin */
		{ 0, PIECE, SLOT_BYTES, 0 },
		{ 0, UINT32_MAX - SLOT_BYTES + 1, SLOT_BYTES, 0 },
		{ 0, 0, 0, 0 },                              /* length */
		{ 0, 0, SLOT_BYTES - 1, 0 },
		{ 0, 0, SLOT_BYTES + 1, 0 },
		{ 0, 0, UINT32_MAX, 0 },
		{ 8, 0, SLOT_BYTES, 0 },                     /* the last piece is shorter than a block */
		{ 8, SLOT_BYTES, 3249, 0 },
	};
	uint32_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct rig *r = *state;

		assert_true(is_violation(r, bad[i]));
		assert_int_equal(r->d.store.open_count, 0);
		stop(state);
		assert_int_equal(start_many(state), 0);
	}
}

static void test_block_sent_twice_ends_the_conversation(void **state)
{
	struct rig *r = *state;

	rig_block(r, 0, 1, 0);
	assert_true(rig_until(r, rig_idle));
	assert_true(is_violation(r, (struct msg_block){ 0, SLOT_BYTES, SLOT_BYTES, 7 }));
}

static void test_block_of_a_verified_piece_ends_the_conversation(void **state)
{
	struct rig *r = *state;

	rig_piece(r, 0);
	assert_true(rig_until(r, rig_idle));
	assert_true(is_violation(r, (struct msg_block){ 0, 0, SLOT_BYTES, 7 }));
}

static void test_more_open_pieces_than_the_budget_end_the_conversation(void **state)
{
	struct rig *r = *state;
	uint32_t i;

	for (i = 0; i < 4; i++)
		rig_block(r, i, 0, 0);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(r->d.store.memory_bytes, BUDGET);
	assert_true(is_violation(r, (struct msg_block){ 4, 0, SLOT_BYTES, 7 }));
}

static void test_block_before_have_end_ends_the_conversation(void **state)
{
	struct rig *r = *state;

	stop(state);
	rig_make(r, many, ARRAY_LEN(many), PIECE, false);
	rig_start(r, false, false, BUDGET);
	assert_true(is_violation(r, (struct msg_block){ 0, 0, SLOT_BYTES, 0 }));
}

static void test_message_of_another_conversation_ends_it(void **state)
{
	struct rig *r = *state;
	struct msg_go go = { 0 };

	assert_int_equal(channel_push(&r->net_end, MSG_GO, &go), 0);
	assert_true(rig_until(r, rig_accused));
}

static void spill(struct rig *r, uint32_t piece)
{
	struct msg_spill m = { .piece = piece };

	assert_int_equal(channel_push(&r->net_end, MSG_SPILL, &m), 0);
}

static uint32_t wanted_spills;
static bool spilled(const struct rig *r) { return rig_count(r, MSG_SPILLED, UINT32_MAX) == wanted_spills; }

static void test_spilled_piece_frees_its_memory_and_verifies_later(void **state)
{
	struct rig *r = *state;
	uint32_t i;

	for (i = 0; i < 4; i++)
		rig_block(r, i, 2, 0);
	rig_block(r, 0, 0, 0);
	spill(r, 0);
	wanted_spills = 1;
	assert_true(rig_until(r, spilled));
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(r->d.store.memory_bytes, BUDGET - PIECE);
	rig_piece(r, 5); /* its place is free for another */
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(rig_count(r, MSG_VERIFIED, 5), 1);
	rig_block(r, 0, 1, 0);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(r->d.store.memory_bytes, BUDGET);
	spill(r, 0); /* and again */
	wanted_spills = 2;
	assert_true(rig_until(r, spilled));
	rig_block(r, 0, 3, 0);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(rig_count(r, MSG_VERIFIED, 0), 1);
	assert_int_equal(r->d.store.spill.freed_count, r->d.store.spill.top);
}

static void test_block_that_crosses_the_spill_is_not_lost(void **state)
{
	struct rig *r = *state;
	uint32_t round;

	for (round = 0; round < 8; round++) {
		rig_block(r, round, 0, 0);
		rig_block(r, round, 1, 0);
		spill(r, round);
		rig_block(r, round, 3, 0); /* in the same turn: the job is under way */
		wanted_spills = round + 1;
		assert_true(rig_until(r, spilled));
		rig_block(r, round, 2, 0);
		assert_true(rig_until(r, rig_idle));
		assert_int_equal(rig_count(r, MSG_VERIFIED, round), 1);
	}
}

static void test_last_block_that_crosses_the_spill_verifies(void **state)
{
	struct rig *r = *state;

	rig_block(r, 2, 0, 0);
	rig_block(r, 2, 1, 0);
	rig_block(r, 2, 3, 0);
	spill(r, 2);
	rig_block(r, 2, 2, 0);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(rig_count(r, MSG_VERIFIED, 2), 1);
	assert_int_equal(r->d.store.memory_bytes, 0);
}

static void test_spill_of_what_is_not_in_memory_is_answered(void **state)
{
	struct rig *r = *state;

	spill(r, 6);
	wanted_spills = 1;
	assert_true(rig_until(r, spilled));
	assert_int_equal(r->d.store.open_count, 0);
}

static void test_spilled_bytes_that_were_changed_are_rejected(void **state)
{
	struct rig *r = *state;

	rig_block(r, 1, 0, 0);
	rig_block(r, 1, 1, 0);
	spill(r, 1);
	wanted_spills = 1;
	assert_true(rig_until(r, spilled));
	assert_int_equal(pwrite(r->spill, "!", 1, 100), 1);
	rig_block(r, 1, 2, 0);
	rig_block(r, 1, 3, 0);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(rig_count(r, MSG_REJECTED, 1), 1);
	assert_int_equal(rig_written(r, "a/b/second"), 0);
}

static void test_spill_twice_ends_the_conversation(void **state)
{
	struct rig *r = *state;

	rig_block(r, 0, 0, 0);
	spill(r, 0);
	spill(r, 0);
	spill(r, 100);
	assert_true(rig_until(r, rig_accused));
}

static void test_large_piece_is_hashed_as_it_grows(void **state)
{
	static const struct fixture_file one[] = { { "large", (9u << 20) + 5, 0 } };
	struct rig *r = *state;
	uint32_t i, blocks;

	stop(state);
	rig_make(r, one, 1, 8u << 20, false);
	rig_start(r, false, false, 0);
	assert_true(rig_until(r, rig_told));
	blocks = rig_blocks(r, 0);
	for (i = 0; i < blocks; i++)
		if (i != 300)
			rig_block(r, 0, i, 0);
	assert_true(rig_until(r, rig_idle));
	/* Up to the gap, in whole steps. */
	assert_in_range(find(&r->d.store, 0)->job.hashed, 4u << 20, 300 * SLOT_BYTES);
	spill(r, 0); /* what was hashed does not count for what comes back */
	wanted_spills = 1;
	assert_true(rig_until(r, spilled));
	assert_int_equal(pwrite(r->spill, "!", 1, 100), 1);
	rig_block(r, 0, 300, 0);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(rig_count(r, MSG_REJECTED, 0), 1);
	assert_int_equal(rig_written(r, "large"), 0);
	rig_piece(r, 0);
	rig_piece(r, 1);
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
	assert_int_equal(rig_count(r, MSG_BLAME, 0), 1);
	assert_true(rig_files_good(r));
}

static void test_thousands_of_tiny_pieces_never_break_the_budget(void **state)
{
	static const struct fixture_file two[] = { { "x", 30001, 0 }, { "y", 20000, 0 } };
	struct rig *r = *state;
	uint32_t i;

	stop(state);
	rig_make(r, two, 2, 17, false);
	rig_start(r, false, false, 0);
	assert_true(rig_until(r, rig_told));
	for (i = 0; i < r->m.h->piece_count; i++)
		rig_block(r, i * 7 % r->m.h->piece_count, 0, 0);
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
	assert_true(rig_files_good(r));
}

static void test_slot_that_changes_after_the_copy_changes_nothing(void **state)
{
	struct rig *r = *state;
	uint32_t i;

	for (i = 0; i < 3; i++)
		rig_block(r, 0, i, 0);
	assert_true(rig_until(r, rig_idle));
	memset(r->slots.base, 0xee, SLOT_COUNT * SLOT_BYTES);
	rig_block(r, 0, 3, 0);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(rig_count(r, MSG_VERIFIED, 0), 1);
}

static void test_pieces_that_are_hashed_together_are_judged_one_by_one(void **state)
{
	struct rig *r = *state;
	uint32_t i, k;

	stop(state);
	rig_make(r, many, ARRAY_LEN(many), PIECE, false);
	rig_start(r, false, false, 32 * PIECE);
	assert_true(rig_until(r, rig_told));
	if (!r->d.store.gather.most)
		skip(); /* this processor hashes one by one */
	/* As if pieces had come fast; none is due meanwhile. */
	r->d.store.gather.fast = true;
	r->d.store.gather.since_ms = r->d.store.gather.due_ms = now_ms() + 60000;
	for (i = 0; i < 7; i++)
		for (k = 0; k < rig_blocks(r, i); k++)
			rig_block(r, i, k, i == 3 && k == 2);
	for (i = 0; i < 1000 && r->d.store.gather.count < 7; i++)
		rig_turn(r);
	assert_int_equal(r->d.store.gather.count, 7);
	assert_int_equal(r->heard_count, 0);
	assert_int_equal(rig_written(r, "a/first"), 0);
	r->d.store.gather.due_ms = now_ms();
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(rig_count(r, MSG_VERIFIED, UINT32_MAX), 6);
	assert_int_equal(rig_count(r, MSG_REJECTED, UINT32_MAX), 1);
	assert_int_equal(rig_count(r, MSG_REJECTED, 3), 1);
	for (i = 0; i < r->m.h->piece_count; i++)
		if (i == 3 || i >= 7)
			rig_piece(r, i);
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
	assert_int_equal(rig_count(r, MSG_BLAME, 3), 1);
	assert_true(rig_files_good(r));
	assert_int_equal(r->d.store.backlog_bytes, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start_many, stop)
	const struct CMUnitTest tests[] = {
		T(test_all_blocks_in_any_order_complete_the_files),
		T(test_nothing_is_written_before_the_hash_matched),
		T(test_blame_names_the_bad_blocks_of_each_copy_before_verified),
		T(test_blocks_out_of_range_end_the_conversation),
		T(test_block_sent_twice_ends_the_conversation),
		T(test_block_of_a_verified_piece_ends_the_conversation),
		T(test_more_open_pieces_than_the_budget_end_the_conversation),
		T(test_block_before_have_end_ends_the_conversation),
		T(test_message_of_another_conversation_ends_it),
		T(test_spilled_piece_frees_its_memory_and_verifies_later),
		T(test_block_that_crosses_the_spill_is_not_lost),
		T(test_last_block_that_crosses_the_spill_verifies),
		T(test_spill_of_what_is_not_in_memory_is_answered),
		T(test_spilled_bytes_that_were_changed_are_rejected),
		T(test_spill_twice_ends_the_conversation),
		T(test_large_piece_is_hashed_as_it_grows),
		T(test_thousands_of_tiny_pieces_never_break_the_budget),
		T(test_slot_that_changes_after_the_copy_changes_nothing),
		T(test_pieces_that_are_hashed_together_are_judged_one_by_one),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
