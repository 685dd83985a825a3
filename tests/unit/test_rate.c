/*
 * test_rate.c - rates, distances and pipelines of peers that behave in known ways.
 */
#include "../../netproc/rate.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define B 16384u
#define MS UINT64_C(1000)
#define START (UINT64_C(5000) * MS)

static struct rate r;

static void begin(void)
{
	rate_init(&r);
	rate_on_unchoke(&r, START);
}

/* Asks for what the pipeline lacks; returns what is outstanding then. */
static uint32_t ask(uint32_t outstanding, uint64_t now, uint32_t reqq)
{
	uint32_t target = rate_pipeline(&r, now / 1000, reqq);

	if (target <= outstanding)
		return outstanding;
	rate_on_requests(&r, target - outstanding, outstanding, now);
	return target;
}

/* A peer that sends at `rate` bytes a second after rtt_us; every block is asked for anew.  Returns the time at the end. */
static uint64_t steady(uint64_t rate, uint64_t rtt_us, uint64_t seconds, uint32_t *outstanding)
{
	uint64_t now = START, block_us = B * 1000000ull / rate, next = START + max_u64(rtt_us, block_us);

	*outstanding = ask(0, now, 0);
	while (next < START + seconds * 1000 * MS) {
		now = next;
		rate_on_bytes(&r, B, now);
		--*outstanding;
		*outstanding = ask(*outstanding, now, 0);
		next = now + block_us;
	}
	return now;
}

static void test_pipeline_starts_at_sixteen(void **state)
{
	(void)state;
	begin();
	assert_int_equal(rate_pipeline(&r, START / MS, 0), 16);
	assert_int_equal(rate_pipeline(&r, START / MS, 10), 10);
	assert_int_equal(rate_expected_ms(&r, 16, START), 0);
	assert_true(rate_is_fast(&r, 1000000000, 10, START));
}

static void test_first_burst_says_what_to_ask_for_next(void **state)
{
	(void)state;
	begin();
	assert_int_equal(ask(0, START, 0), 16);
	rate_on_bytes(&r, 16 * B, START + 100 * MS);
	/* 2.6 MB/s for 1.1 s: 176 blocks. */
	assert_int_equal(r.rtt_us, 100 * MS);
	assert_in_range(rate_pipeline(&r, (START + 100 * MS) / MS, 0), 170, 180);
}

/* All that is outstanding is answered rtt later, round after round. */
static void test_full_pipeline_of_a_distant_peer_raises_its_ceiling(void **state)
{
	uint64_t now = START;
	uint32_t n[6], i;

	(void)state;
	begin();
	for (i = 0; i < 6; i++) {
		n[i] = ask(0, now, 0);
		now += 100 * MS;
		rate_on_bytes(&r, n[i] * B, now);
	}
	assert_int_equal(n[0], 16);
	assert_in_range(n[1], 170, 180);
	assert_int_equal(n[2], 250);
	assert_int_equal(n[3], 500);
	assert_int_equal(n[4], 1000);
	assert_int_equal(n[5], 1000);
	rate_on_lost(&r);
	for (i = 0; i < 6; i++) {
		assert_int_equal(ask(0, now, 0), 250);
		now += 100 * MS;
		rate_on_bytes(&r, 250 * B, now);
	}
	/* Who names a number is believed, up to our own limit. */
	assert_int_equal(rate_pipeline(&r, now / MS, 100), 100);
	assert_true(rate_pipeline(&r, now / MS, 5000) <= PIPELINE_MOST);
}

static void test_near_fast_peer_keeps_its_ceiling(void **state)
{
	uint32_t outstanding;

	(void)state;
	begin();
	steady(20000000, 500, 3, &outstanding);
	/* 20 MB/s for a second would be 1220 blocks. */
	assert_int_equal(outstanding, 250);
	assert_int_equal(r.unnamed, 250);
}

static void test_slow_peer_gets_a_second_of_work(void **state)
{
	uint32_t outstanding;
	uint64_t now;

	(void)state;
	begin();
	now = steady(65536, 50 * MS, 30, &outstanding);
	assert_in_range(rate_now(&r, now), 58000, 67000); /* 7 or 8 blocks in 2 s */
	assert_in_range(outstanding, 4, 6);
	assert_in_range(rate_expected_ms(&r, outstanding, now), 1000, 2000);
	assert_false(rate_is_fast(&r, 100000000, 40, now));
	assert_true(rate_is_fast(&r, 65536 * 40, 40, now));
}

static void test_a_full_queue_is_not_taken_for_distance(void **state)
{
	uint32_t outstanding;

	(void)state;
	begin();
	steady(2000000, 100 * MS, 120, &outstanding);
	assert_in_range(r.rtt_us, 50 * MS, 200 * MS);
	/* 2 MB/s for 1.1 s: 134 blocks. */
	assert_in_range(outstanding, 115, 150);
}

static void test_distance_that_grows_is_followed(void **state)
{
	uint64_t now = START;
	uint32_t i, n;

	(void)state;
	begin();
	for (i = 0; i < 60; i++) {
		uint64_t rtt = i < 10 ? 50 * MS : 300 * MS;
		n = ask(0, now, 0);
		now += rtt;
		rate_on_bytes(&r, B, now);
		rate_on_bytes(&r, (n - 1) * B, now + 1);
		now += 10;
	}
	assert_in_range(r.rtt_us, 250 * MS, 301 * MS);
}

static void test_rate_falls_to_nothing_in_silence(void **state)
{
	uint32_t outstanding;
	uint64_t now;

	(void)state;
	begin();
	now = steady(1000000, 10 * MS, 10, &outstanding);
	assert_in_range(rate_now(&r, now), 900000, 1100000);
	assert_in_range(rate_now(&r, now + 1000 * MS), 300000, 700000);
	assert_int_equal(rate_now(&r, now + 3000 * MS), 0);
	assert_int_equal(rate_now(&r, now + 3000000 * MS), 0);
	assert_int_equal(rate_expected_ms(&r, 5, now + 3000 * MS), 3600000);
}

static void test_silence_is_snubbing_and_one_block_lifts_it(void **state)
{
	uint32_t n;

	(void)state;
	begin();
	n = ask(0, START, 0);
	assert_false(rate_timed_out(&r, n, 10000, START + 9999 * MS));
	assert_false(rate_timed_out(&r, 0, 10000, START + 10000 * MS));
	assert_true(rate_timed_out(&r, n, 10000, START + 10000 * MS));
	assert_true(rate_snubbed(&r));
	assert_false(rate_is_fast(&r, 0, 0, START + 10000 * MS));
	assert_int_equal(rate_pipeline(&r, START / MS + 10000, 0), 1);
	assert_false(rate_timed_out(&r, n, 10000, START + 10001 * MS));
	assert_true(rate_timed_out(&r, n, 10000, START + 20000 * MS));
	rate_on_bytes(&r, B, START + 20100 * MS);
	assert_false(rate_snubbed(&r));
	assert_in_range(rate_pipeline(&r, START / MS + 20100, 0), 1, 4);
}

static void test_a_byte_a_second_is_silence(void **state)
{
	uint32_t i;

	(void)state;
	begin();
	rate_on_requests(&r, 16, 0, START);
	for (i = 1; i < 10; i++) {
		rate_on_bytes(&r, 1000, START + i * 1000 * MS);
		assert_false(rate_timed_out(&r, 16, 10000, START + i * 1000 * MS));
	}
	assert_true(rate_timed_out(&r, 16, 10000, START + 10000 * MS));
}

static void test_requests_after_an_idle_time_start_the_clock_anew(void **state)
{
	(void)state;
	begin();
	rate_on_requests(&r, 1, 0, START);
	rate_on_bytes(&r, B, START + 10 * MS);
	rate_on_requests(&r, 1, 0, START + 60000 * MS);
	assert_false(rate_timed_out(&r, 1, 10000, START + 60001 * MS));
	assert_true(rate_timed_out(&r, 1, 10000, START + 70000 * MS));
}

static void test_pause_of_ours_changes_nothing(void **state)
{
	uint32_t outstanding;
	uint64_t now, before;

	(void)state;
	begin();
	now = steady(1000000, 10 * MS, 10, &outstanding);
	before = rate_now(&r, now);
	now += 30000 * MS;
	rate_on_pause(&r, 30000 * MS, now);
	assert_in_range(rate_now(&r, now), before * 9 / 10, before * 11 / 10);
	assert_false(rate_timed_out(&r, outstanding, 10000, now));
}

static void test_absurd_numbers_stay_in_bounds(void **state)
{
	uint32_t i;

	(void)state;
	begin();
	for (i = 0; i < 1000; i++) {
		rate_on_requests(&r, UINT32_MAX, UINT32_MAX, START);
		rate_on_bytes(&r, UINT32_MAX, START);
		assert_in_range(rate_pipeline(&r, START / MS, i % 2 ? UINT32_MAX : 0), 4, PIPELINE_MOST);
		(void)rate_expected_ms(&r, UINT32_MAX, START);
	}
	/* Time that stands still, goes back and leaps. */
	rate_on_bytes(&r, 1, 0);
	rate_on_bytes(&r, 1, UINT64_MAX / 2000);
	assert_in_range(rate_pipeline(&r, UINT64_MAX / 2000000, 0), 4, PIPELINE_MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipeline_starts_at_sixteen),
		cmocka_unit_test(test_first_burst_says_what_to_ask_for_next),
		cmocka_unit_test(test_full_pipeline_of_a_distant_peer_raises_its_ceiling),
		cmocka_unit_test(test_near_fast_peer_keeps_its_ceiling),
		cmocka_unit_test(test_slow_peer_gets_a_second_of_work),
		cmocka_unit_test(test_a_full_queue_is_not_taken_for_distance),
		cmocka_unit_test(test_distance_that_grows_is_followed),
		cmocka_unit_test(test_rate_falls_to_nothing_in_silence),
		cmocka_unit_test(test_silence_is_snubbing_and_one_block_lifts_it),
		cmocka_unit_test(test_a_byte_a_second_is_silence),
		cmocka_unit_test(test_requests_after_an_idle_time_start_the_clock_anew),
		cmocka_unit_test(test_pause_of_ours_changes_nothing),
		cmocka_unit_test(test_absurd_numbers_stay_in_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
