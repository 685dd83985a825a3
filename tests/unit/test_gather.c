/*
 * test_gather.c - which pieces wait for each other, how long, and how many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../diskproc/gather.c"

static struct job jobs[SHA1_LANES + 1];

static void test_a_full_group_is_taken_at_once_in_one_list(void **state)
{
	struct gather g;
	struct job *j;
	uint32_t i, n = 0;

	(void)state;
	gather_init(&g, true, 1u << 20, 64u << 20);
	assert_int_equal(g.most, SHA1_LANES);
	for (i = 0; i < SHA1_LANES; i++)
		assert_int_equal(gather_add(&g, &jobs[i]), i + 1 == SHA1_LANES);
	for (j = gather_take(&g); j; j = j->others)
		n++;
	assert_int_equal(n, SHA1_LANES);
	assert_null(gather_take(&g));
}

static void test_pieces_wait_only_while_they_come_fast_and_not_for_long(void **state)
{
	struct gather g;
	uint64_t now = 1000;
	uint32_t i;

	(void)state;
	gather_init(&g, true, 1u << 20, 64u << 20);
	assert_false(gather_tick(&g, now));
	assert_false(gather_wants(&g, 1u << 20));
	for (i = 0; i < SHA1_LANES_LEAST; i++)
		gather_on_piece(&g);
	assert_false(gather_tick(&g, now += GATHER_WAIT_MS));
	assert_true(gather_wants(&g, 1u << 20));
	assert_false(gather_wants(&g, (1u << 20) - 1)); /* the last piece is shorter */
	assert_false(gather_add(&g, &jobs[0]));
	assert_false(gather_tick(&g, ++now));
	assert_int_equal(g.due_ms, now + GATHER_WAIT_MS);
	assert_false(gather_tick(&g, now + GATHER_WAIT_MS - 1));
	assert_true(gather_tick(&g, now + GATHER_WAIT_MS));
	assert_ptr_equal(gather_take(&g), &jobs[0]);
	assert_int_equal(g.due_ms, 0);
	/* Nothing came meanwhile. */
	assert_false(gather_wants(&g, 1u << 20));
}

static void test_a_late_tick_does_not_take_slow_pieces_for_fast_ones(void **state)
{
	struct gather g;
	uint32_t i;

	(void)state;
	gather_init(&g, true, 1u << 20, 64u << 20);
	assert_false(gather_tick(&g, 1000));
	for (i = 0; i < 2 * SHA1_LANES_LEAST; i++)
		gather_on_piece(&g);
	assert_false(gather_tick(&g, 1000 + 10 * GATHER_WAIT_MS));
	assert_false(gather_wants(&g, 1u << 20));
}

static void test_large_pieces_small_budgets_and_other_processors_never_wait(void **state)
{
	struct gather g;

	(void)state;
	gather_init(&g, true, 16u << 20, 64u << 20);
	assert_int_equal(g.most, 0);
	gather_init(&g, true, 1u << 20, 4u << 20);
	assert_int_equal(g.most, 0);
	gather_init(&g, true, 1u << 20, 32u << 20);
	assert_int_equal(g.most, 8);
	gather_init(&g, true, 0, 64u << 20);
	assert_int_equal(g.most, SHA1_LANES);
	gather_init(&g, false, 1u << 20, 64u << 20);
	assert_int_equal(g.most, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_full_group_is_taken_at_once_in_one_list),
		cmocka_unit_test(test_pieces_wait_only_while_they_come_fast_and_not_for_long),
		cmocka_unit_test(test_a_late_tick_does_not_take_slow_pieces_for_fast_ones),
		cmocka_unit_test(test_large_pieces_small_budgets_and_other_processors_never_wait),
	};

	return cmocka_run_group_tests_name("gather", tests, NULL, NULL);
}
