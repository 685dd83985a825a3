/*
 * test_seeding.c - when a seed has given enough.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../parent/seeding.c"

static uint64_t until;

static enum seeding_end check(struct seeding_rule rule, struct seeding s, uint64_t now)
{
	return seeding_check(&rule, &s, now, &until);
}

static void test_without_a_rule_it_never_ends(void **state)
{
	(void)state;
	assert_int_equal(check((struct seeding_rule){ .wanted = true }, (struct seeding){ 0, 0, UINT64_MAX, 1 }, UINT64_MAX - 1), SEEDING_GOES_ON);
	assert_true(until == UINT64_MAX);
}

static void test_the_ratio_is_reached_at_the_byte(void **state)
{
	const struct seeding_rule rule = { .ratio_milli = 1500 };

	(void)state;
	assert_int_equal(check(rule, (struct seeding){ 0, 0, 1499, 1000 }, 5), SEEDING_GOES_ON);
	assert_true(until == UINT64_MAX);
	assert_int_equal(check(rule, (struct seeding){ 0, 0, 1500, 1000 }, 5), SEEDING_RATIO);
	assert_int_equal(check(rule, (struct seeding){ 0, 0, UINT64_MAX, 1 }, 5), SEEDING_RATIO);
	assert_int_equal(check(rule, (struct seeding){ 0, 0, 5, 0 }, 5), SEEDING_GOES_ON);
}

static void test_time_counts_from_the_begin_and_idleness_from_the_last_gift(void **state)
{
	const struct seeding_rule time = { .time_s = 60 }, idle = { .idle_s = 10 }, both = { .time_s = 60, .idle_s = 10 };
	const struct seeding s = { .began_ms = 5000, .gave_ms = 50000, .uploaded = 1, .bytes = 1000 };

	(void)state;
	assert_int_equal(check(time, s, 64999), SEEDING_GOES_ON);
	assert_int_equal(until, 65000);
	assert_int_equal(check(time, s, 65000), SEEDING_TIME);
	assert_int_equal(check(idle, s, 59999), SEEDING_GOES_ON);
	assert_int_equal(until, 60000);
	assert_int_equal(check(idle, s, 60000), SEEDING_IDLE);
	assert_int_equal(check(both, s, 59999), SEEDING_GOES_ON);
	assert_int_equal(until, 60000);
	assert_int_equal(check(both, s, 60000), SEEDING_IDLE);
	assert_int_equal(check(both, s, 65000), SEEDING_TIME);
}

static void test_the_longest_time_does_not_wrap(void **state)
{
	(void)state;
	assert_int_equal(check((struct seeding_rule){ .time_s = UINT32_MAX, .idle_s = UINT32_MAX }, (struct seeding){ 1, 1, 0, 1 }, 1000000000),
			 SEEDING_GOES_ON);
	assert_true(until == 1 + UINT32_MAX * 1000ull);
}

static void test_ratios_are_rounded_down_and_never_wrap(void **state)
{
	uint64_t huge = (uint64_t)INT64_MAX;

	(void)state;
	assert_int_equal(seeding_ratio_milli(0, 0), 0);
	assert_int_equal(seeding_ratio_milli(7, 0), 0);
	assert_int_equal(seeding_ratio_milli(1, 3), 333);
	assert_int_equal(seeding_ratio_milli(1999, 1000), 1999);
	assert_int_equal(seeding_ratio_milli(huge - 1, huge), 999);
	assert_int_equal(seeding_ratio_milli(huge / 2, huge), 499);
	assert_int_equal(seeding_ratio_milli(huge, huge), 1000);
	assert_true(seeding_ratio_milli(UINT64_MAX, 1) == UINT64_MAX);
	assert_true(seeding_ratio_milli(UINT64_MAX, 1001) == UINT64_MAX / 1001 * 1000 + UINT64_MAX % 1001 * 1000 / 1001);
}

static void test_sums_saturate(void **state)
{
	struct totals t = totals_sum((struct totals){ UINT64_MAX - 1, 2 }, (struct totals){ 5, 3 });

	(void)state;
	assert_true(t.uploaded == UINT64_MAX);
	assert_int_equal(t.downloaded, 5);
}

static void test_every_end_has_a_name(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < SEEDING_ENDS; i++)
		assert_non_null(seeding_end_name((enum seeding_end)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_rule_it_never_ends),
		cmocka_unit_test(test_the_ratio_is_reached_at_the_byte),
		cmocka_unit_test(test_time_counts_from_the_begin_and_idleness_from_the_last_gift),
		cmocka_unit_test(test_the_longest_time_does_not_wrap),
		cmocka_unit_test(test_ratios_are_rounded_down_and_never_wrap),
		cmocka_unit_test(test_sums_saturate),
		cmocka_unit_test(test_every_end_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
