/* test_bucket.c - token buckets at rates from 1 KiB/s to 1 TB/s, and under strange clocks. */
#include "../../netproc/bucket.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define START (UINT64_C(77) * SECOND)

static struct bucket b;

/* Moves all that is allowed, looking every step_us; returns the bytes of `us` microseconds, and the most in one window of 100 ms. */
static uint64_t drain(uint64_t us, uint64_t step_us, uint64_t want, uint64_t *most)
{
	uint64_t now, sum = 0, window = 0, window_end = START + SECOND / 10;

	*most = 0;
	for (now = START; now < START + us; now += step_us) {
		uint64_t n = bucket_allow(&b, now, want);

		while (now >= window_end) {
			*most = max_u64(*most, window);
			window = 0;
			window_end += SECOND / 10;
		}
		bucket_take(&b, n);
		sum += n;
		window += n;
	}
	return sum;
}

static void test_no_limit_allows_all(void **state)
{
	(void)state;
	bucket_init(&b, 0, START);
	assert_int_equal(bucket_allow(&b, START, UINT64_MAX), UINT64_MAX);
	bucket_take(&b, UINT64_MAX);
	assert_int_equal(bucket_allow(&b, START, 5), 5);
	assert_true(bucket_ready_us(&b, 5) <= START);
}

static void test_long_term_rate_is_kept_within_a_hundredth(void **state)
{
	static const uint64_t rates[] = { 1024, 50000, 1000000, 123456789, UINT64_C(10000000000), UINT64_C(1000000000000) };
	static const uint64_t steps[] = { 1, 37, 1000, 9999 };
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rates); i++)
		for (k = 0; k < ARRAY_LEN(steps); k++) {
			/* Long enough for 600 blocks at the lowest rates, short when looked at every microsecond. */
			uint64_t us = rates[i] < 100000 ? 600 * SECOND : 20 * SECOND, most, sum, due;

			if (steps[k] < 1000)
				us = SECOND;
			bucket_init(&b, rates[i], START);
			bucket_take(&b, (uint64_t)b.full / MILLION); /* without the first burst */
			sum = drain(us, steps[k], UINT64_MAX, &most);
			due = us / 1000 * rates[i] / 1000;
			assert_in_range(sum + b.least, due - due / 100, due + due / 100 + b.least);
			assert_true(sum <= due + due / 100);
		}
}

static void test_bytes_flow_smoothly(void **state)
{
	uint64_t most;

	(void)state;
	bucket_init(&b, 1000000, START);
	bucket_take(&b, 100000);
	drain(10 * SECOND, 1000, UINT64_MAX, &most);
	assert_in_range(most, 80000, 120000);
	/* A slow one sends a KiB at a time, not a block every 16 seconds. */
	bucket_init(&b, 1024, START);
	bucket_take(&b, BUCKET_BLOCK);
	assert_int_equal(bucket_allow(&b, START + SECOND - 1, 16384), 0);
	assert_int_equal(bucket_allow(&b, START + SECOND, 16384), 1024);
	/* But what is smaller than that goes at once. */
	assert_int_equal(bucket_allow(&b, START + SECOND, 17), 17);
}

static void test_a_pause_is_not_made_up_for(void **state)
{
	(void)state;
	bucket_init(&b, 1000000, START);
	bucket_take(&b, 100000);
	assert_int_equal(bucket_allow(&b, START + 3600 * SECOND, UINT64_MAX), 100000);
	bucket_take(&b, 100000);
	assert_int_equal(bucket_allow(&b, START + 3600 * SECOND, UINT64_MAX), 0);
	bucket_init(&b, UINT64_MAX, START);
	bucket_take(&b, UINT64_C(1) << 40);
	assert_true(bucket_allow(&b, UINT64_MAX, UINT64_MAX) <= (UINT64_C(1) << 40) / 10);
}

static void test_a_clock_that_goes_back_gives_nothing_and_harms_nothing(void **state)
{
	(void)state;
	bucket_init(&b, 1000000, START);
	bucket_take(&b, 100000);
	assert_int_equal(bucket_allow(&b, START - 50 * SECOND, 1000), 0);
	assert_int_equal(bucket_allow(&b, 0, 1000), 0);
	assert_int_equal(bucket_allow(&b, SECOND / 20, UINT64_MAX), 50000);
}

static void test_a_debt_is_paid_before_anything_is_allowed(void **state)
{
	uint64_t ready;

	(void)state;
	bucket_init(&b, 10000, START);
	assert_int_equal(bucket_allow(&b, START, 1000), 1000);
	bucket_take(&b, BUCKET_BLOCK + 20000);
	assert_int_equal(bucket_allow(&b, START + 2 * SECOND, 1), 0);
	assert_int_equal(bucket_allow(&b, START + 2 * SECOND + 100, 1), 1);
	/* However much it is, it is a number. */
	bucket_take(&b, UINT64_MAX);
	bucket_take(&b, UINT64_MAX);
	bucket_take(&b, UINT64_MAX);
	assert_int_equal(bucket_allow(&b, START + 3 * SECOND, 1), 0);
	ready = bucket_ready_us(&b, 1);
	assert_true(ready > START + 3 * SECOND);
}

static void test_ready_is_the_very_microsecond(void **state)
{
	static const uint64_t rates[] = { 1, 1024, 333333, 1000000007, UINT64_C(1000000000000) };
	static const uint64_t wants[] = { 1, 500, 16384, 1 << 20 };
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rates); i++)
		for (k = 0; k < ARRAY_LEN(wants); k++) {
			uint64_t ready;

			bucket_init(&b, rates[i], START);
			bucket_take(&b, (uint64_t)b.full / MILLION + 12345);
			ready = bucket_ready_us(&b, wants[k]);
			assert_true(ready > START);
			assert_int_equal(bucket_allow(&b, ready - 1, wants[k]), 0);
			assert_true(bucket_allow(&b, ready, wants[k]) > 0);
			assert_true(bucket_ready_us(&b, wants[k]) <= ready);
		}
}

static void test_peers_that_take_turns_get_the_same(void **state)
{
	uint64_t got[5] = { 0 }, now, n;
	uint32_t turn = 0, i;

	(void)state;
	bucket_init(&b, 200000, START);
	for (now = START; now < START + 60 * SECOND; now += 1000)
		for (i = 0; i < 5; i++) {
			n = bucket_allow(&b, now, 16384);
			if (!n)
				break;
			bucket_take(&b, n);
			got[turn++ % 5] += n;
		}
	for (i = 1; i < 5; i++)
		assert_in_range(got[i], got[0] * 95 / 100, got[0] * 105 / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_limit_allows_all),
		cmocka_unit_test(test_long_term_rate_is_kept_within_a_hundredth),
		cmocka_unit_test(test_bytes_flow_smoothly),
		cmocka_unit_test(test_a_pause_is_not_made_up_for),
		cmocka_unit_test(test_a_clock_that_goes_back_gives_nothing_and_harms_nothing),
		cmocka_unit_test(test_a_debt_is_paid_before_anything_is_allowed),
		cmocka_unit_test(test_ready_is_the_very_microsecond),
		cmocka_unit_test(test_peers_that_take_turns_get_the_same),
	};

	return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
