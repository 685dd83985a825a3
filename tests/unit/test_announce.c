/*
 * test_announce.c - the schedule of announces: time and outcomes are made up
 * here, and every announce that it asks for is looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../netproc/announce.c"

static struct announce *a;
static uint64_t now = 1000000;

static int setup(void **state)
{
	(void)state;
	a = announce_new(16, 42);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	announce_free(a);
	return 0;
}

static void add(uint32_t n, uint32_t tier)
{
	while (n--)
		announce_add(a, tier, ANNOUNCE_V4);
}

/* The next announce, which must be there now. */
static struct announce_action expect_next(void)
{
	struct announce_action x;

	assert_true(announce_deadline(a, now) <= now);
	assert_true(announce_next(a, now, &x));
	return x;
}

static void expect_none(void)
{
	struct announce_action x;

	assert_false(announce_next(a, now, &x));
}

static bool answer(struct announce_action x, uint32_t interval_s, uint32_t min_interval_s)
{
	struct announce_outcome o = { .ok = true, .interval_s = interval_s, .min_interval_s = min_interval_s };

	return announce_done(a, now, x.id, x.family, &o);
}

static bool refuse(struct announce_action x, uint32_t retry_s)
{
	struct announce_outcome o = { .retry_s = retry_s };

	return announce_done(a, now, x.id, x.family, &o);
}

static void test_nothing_before_start_and_nothing_without_trackers(void **state)
{
	(void)state;
	add(1, 0);
	expect_none();
	assert_true(announce_deadline(a, now) == ANNOUNCE_NEVER);
	announce_free(a);
	a = announce_new(0, 1);
	announce_start(a, now);
	expect_none();
	assert_true(announce_deadline(a, now) == ANNOUNCE_NEVER);
	announce_stop(a);
	assert_true(announce_idle(a));
}

static void test_started_then_regular_announces_at_the_interval(void **state)
{
	struct announce_action x;

	(void)state;
	add(1, 0);
	announce_start(a, now);
	x = expect_next();
	assert_int_equal(x.event, TRACKER_STARTED);
	expect_none();
	assert_true(announce_deadline(a, now) == ANNOUNCE_NEVER);
	assert_false(answer(x, 900, 0));
	expect_none();
	assert_int_equal(announce_deadline(a, now) - now, 900000);
	now += 899999;
	expect_none();
	now += 1;
	x = expect_next();
	assert_int_equal(x.event, TRACKER_NONE);
	assert_false(answer(x, 900, 0));
}

static void test_next_tier_only_when_all_of_this_tier_failed(void **state)
{
	struct announce_action x;
	uint32_t i, seen = 0;

	(void)state;
	add(3, 0);
	add(2, 1);
	announce_start(a, now);
	for (i = 0; i < 3; i++) {
		x = expect_next();
		expect_none(); /* one at a time */
		assert_true(x.id < 3);
		seen |= 1u << x.id;
		assert_true(refuse(x, 0));
	}
	assert_int_equal(seen, 7);
	x = expect_next();
	assert_true(x.id >= 3);
	answer(x, 1800, 0);
	expect_none();
	/* From the top again, and back to the first tier as soon as it answers. */
	now += 1800000;
	x = expect_next();
	assert_true(x.id < 3);
	answer(x, 1800, 0);
	now += 1800000;
	assert_int_equal(expect_next().id, x.id);
}

static void test_tiers_are_shuffled_within_and_never_across(void **state)
{
	uint32_t round, first[4] = { 0 }, i;

	(void)state;
	for (round = 0; round < 400; round++) {
		announce_free(a);
		a = announce_new(6, round * 7919 + 1);
		add(4, 0);
		add(2, 1);
		announce_start(a, now);
		assert_true(a->order[0] < 4 && a->order[1] < 4 && a->order[2] < 4 && a->order[3] < 4);
		assert_true(a->order[4] >= 4 && a->order[5] >= 4 && a->order[4] != a->order[5]);
		first[a->order[0]]++;
	}
	for (i = 0; i < 4; i++)
		assert_in_range(first[i], 50, 150);
}

static void test_who_answers_moves_to_the_front_of_its_tier(void **state)
{
	struct announce_action x, y;

	(void)state;
	add(3, 0);
	announce_start(a, now);
	x = expect_next();
	refuse(x, 0);
	y = expect_next();
	answer(y, 60, 30);
	assert_int_equal(a->order[0], y.id);
	now += 60000; /* the other one's back-off is over, and it is not asked */
	x = expect_next();
	assert_int_equal(x.id, y.id);
}

static void test_back_off_doubles_to_an_hour_and_never_gives_up(void **state)
{
	uint64_t nominal = ANNOUNCE_BACKOFF_FIRST_MS, wait;
	uint32_t i;

	(void)state;
	add(1, 0);
	announce_start(a, now);
	for (i = 0; i < 200; i++) {
		assert_true(refuse(expect_next(), 0));
		wait = announce_deadline(a, now) - now;
		assert_in_range(wait, nominal - nominal / 4, nominal + nominal / 4);
		expect_none();
		now += wait;
		nominal = min_u64(nominal * 2, ANNOUNCE_BACKOFF_MOST_MS);
	}
	answer(expect_next(), 1800, 0);
	now += 1800000;
	refuse(expect_next(), 0);
	assert_true(announce_deadline(a, now) - now < 20000);
}

static void test_failure_with_least_interval_waits_that_long(void **state)
{
	struct announce_action x;
	struct announce_outcome o = { .min_interval_s = 600 };

	(void)state;
	add(1, 0);
	announce_start(a, now);
	x = expect_next();
	announce_done(a, now, x.id, x.family, &o);
	assert_int_equal(announce_deadline(a, now) - now, 600000);
}

static void test_retry_in_is_honoured_and_never_silences(void **state)
{
	(void)state;
	add(1, 0);
	announce_start(a, now);
	refuse(expect_next(), 7200);
	assert_int_equal(announce_deadline(a, now) - now, 7200000);
	now += 7200000;
	refuse(expect_next(), TRACKER_RETRY_NEVER);
	assert_true(announce_deadline(a, now) == ANNOUNCE_NEVER);
	now += 1000000000;
	announce_need_peers(a, now, 0);
	expect_none();
	announce_stop(a);
	assert_true(announce_idle(a));
}

static void test_each_family_is_announced_once_a_round(void **state)
{
	struct announce_action x, y;

	(void)state;
	announce_add(a, 0, ANNOUNCE_V4 | ANNOUNCE_V6);
	announce_start(a, now);
	x = expect_next();
	y = expect_next();
	expect_none();
	assert_int_equal(x.family | y.family, 3);
	assert_true(x.first && !y.first);
	assert_int_equal(y.event, TRACKER_STARTED);
	assert_false(refuse(x, 0)); /* no address: the other one decides */
	assert_false(answer(y, 1800, 0));
	assert_int_equal(announce_deadline(a, now) - now, 1800000);
	now += 1800000;
	x = expect_next();
	y = expect_next();
	/* Whoever never answered is still told "started". */
	assert_int_equal(x.event, TRACKER_STARTED);
	assert_int_equal(y.event, TRACKER_NONE);
	assert_false(refuse(x, 0));
	assert_true(refuse(y, 0) == true);
	assert_true(announce_deadline(a, now) - now < 20000);
}

static void test_the_stricter_interval_of_two_families_counts(void **state)
{
	struct announce_action x, y;

	(void)state;
	announce_add(a, 0, ANNOUNCE_V4 | ANNOUNCE_V6);
	announce_start(a, now);
	x = expect_next();
	y = expect_next();
	answer(x, 600, 100);
	answer(y, 1200, 50);
	assert_int_equal(announce_deadline(a, now) - now, 1200000);
	announce_need_peers(a, now, 3);
	assert_int_equal(announce_deadline(a, now) - now, 100000);
}

static void test_peers_running_short_never_undercuts_the_least_interval(void **state)
{
	(void)state;
	add(1, 0);
	announce_start(a, now);
	answer(expect_next(), 1800, 120);
	announce_need_peers(a, now, 5);
	assert_int_equal(announce_deadline(a, now) - now, 120000);
	announce_need_peers(a, now, 0);
	assert_int_equal(announce_deadline(a, now) - now, 120000);
	expect_none();
	now += 119999;
	announce_need_peers(a, now, 0);
	expect_none();
	now += 1;
	answer(expect_next(), 1800, 0); /* says none now: five minutes */
	announce_need_peers(a, now, 0);
	assert_int_equal(announce_deadline(a, now) - now, 300000);
}

static void test_least_interval_above_the_interval_wins(void **state)
{
	(void)state;
	add(1, 0);
	announce_start(a, now);
	answer(expect_next(), 30, 3600);
	assert_int_equal(announce_deadline(a, now) - now, 3600000);
}

static void test_tracker_that_knows_nobody_does_not_starve_us(void **state)
{
	struct announce_action x;

	(void)state;
	add(1, 0);
	add(1, 1);
	announce_start(a, now);
	x = expect_next();
	assert_int_equal(x.id, 0);
	answer(x, 86400, 3600);
	announce_need_peers(a, now, 4); /* there are some: the order of tiers holds */
	expect_none();
	announce_need_peers(a, now, 0);
	x = expect_next();
	assert_int_equal(x.id, 1);
	answer(x, 1800, 900);
	announce_need_peers(a, now, 0);
	expect_none();
	assert_int_equal(announce_deadline(a, now) - now, 900000);
}

static void test_completed_is_told_once_to_those_who_know_us(void **state)
{
	struct announce_action x;

	(void)state;
	add(1, 0);
	add(1, 1);
	announce_start(a, now);
	refuse(expect_next(), 0);
	answer(expect_next(), 1800, 900);
	now += 1000;
	announce_completed(a, now);
	x = expect_next(); /* at once, whatever the least interval is */
	assert_int_equal(x.id, 1);
	assert_int_equal(x.event, TRACKER_COMPLETED);
	answer(x, 1800, 900);
	announce_completed(a, now);
	expect_none();
	now += 1800000;
	x = expect_next();
	assert_int_equal(x.id, 0);
	assert_int_equal(x.event, TRACKER_STARTED); /* it hears left=0 from the first: no completion */
	answer(x, 1800, 900);
	now += 1800000;
	assert_int_equal(expect_next().event, TRACKER_NONE);
}

static void test_completed_that_failed_is_told_again(void **state)
{
	struct announce_action x;

	(void)state;
	add(1, 0);
	announce_start(a, now);
	answer(expect_next(), 1800, 900);
	announce_completed(a, now);
	x = expect_next();
	refuse(x, 0);
	expect_none();
	now = announce_deadline(a, now);
	x = expect_next();
	assert_int_equal(x.event, TRACKER_COMPLETED);
	answer(x, 1800, 0);
	now += 1800000;
	assert_int_equal(expect_next().event, TRACKER_NONE);
}

static void test_completion_while_started_is_on_its_way(void **state)
{
	struct announce_action x;

	(void)state;
	add(1, 0);
	announce_start(a, now);
	x = expect_next();
	announce_completed(a, now);
	expect_none();
	answer(x, 1800, 900);
	assert_int_equal(expect_next().event, TRACKER_COMPLETED);
}

static void test_stopped_goes_to_all_who_know_us_and_nobody_else(void **state)
{
	struct announce_action x, y;

	(void)state;
	add(3, 0);
	add(1, 1);
	announce_start(a, now);
	x = expect_next();
	answer(x, 30, 30);
	now += 30000;
	refuse(expect_next(), 0);
	y = expect_next();
	answer(y, 30, 30);
	announce_stop(a);
	assert_false(announce_idle(a));
	assert_int_equal(expect_next().event, TRACKER_STOPPED);
	assert_int_equal(expect_next().event, TRACKER_STOPPED);
	expect_none();
	assert_true(announce_deadline(a, now) == ANNOUNCE_NEVER);
	answer(x, 30, 30);
	assert_false(announce_idle(a));
	refuse(y, 0); /* not tried again */
	assert_true(announce_idle(a));
	expect_none();
}

static void test_stop_tells_who_may_have_read_a_cancelled_announce(void **state)
{
	struct announce_action x;

	(void)state;
	add(1, 0);
	announce_start(a, now);
	x = expect_next();
	announce_abandon(a, x.id, x.family, true);
	announce_stop(a);
	x = expect_next();
	assert_int_equal(x.event, TRACKER_STOPPED);
	announce_abandon(a, x.id, x.family, true);
	assert_true(announce_idle(a));
	expect_none();
}

static void test_completed_comes_before_stopped(void **state)
{
	struct announce_action x;

	(void)state;
	add(1, 0);
	announce_start(a, now);
	answer(expect_next(), 1800, 900);
	announce_completed(a, now);
	announce_stop(a);
	x = expect_next();
	assert_int_equal(x.event, TRACKER_COMPLETED);
	expect_none();
	assert_false(announce_idle(a));
	refuse(x, 0);
	x = expect_next();
	assert_int_equal(x.event, TRACKER_STOPPED);
	answer(x, 1800, 0);
	assert_true(announce_idle(a));
}

static void test_completed_in_flight_at_the_stop_is_waited_for(void **state)
{
	struct announce_action x, y;

	(void)state;
	announce_add(a, 0, ANNOUNCE_V4 | ANNOUNCE_V6);
	announce_start(a, now);
	x = expect_next();
	y = expect_next();
	answer(x, 1800, 900);
	answer(y, 1800, 900);
	announce_completed(a, now);
	x = expect_next();
	y = expect_next();
	answer(y, 1800, 900);
	announce_stop(a);
	assert_int_equal(expect_next().event, TRACKER_STOPPED); /* of the other family */
	answer(y, 1800, 0);
	assert_false(announce_idle(a));
	answer(x, 1800, 900);
	assert_int_equal(expect_next().event, TRACKER_STOPPED);
	answer(x, 1800, 900);
	assert_true(announce_idle(a));
}

static void test_at_most_four_in_flight_at_the_farewell(void **state)
{
	struct announce_action x[6];
	uint32_t i;

	(void)state;
	add(6, 0);
	announce_start(a, now);
	for (i = 0; i < 6; i++) {
		x[i] = expect_next();
		answer(x[i], 1800, 900);
		announce_need_peers(a, now, 0);
	}
	announce_stop(a);
	for (i = 0; i < ANNOUNCE_MAX_IN_FLIGHT; i++)
		x[i] = expect_next();
	expect_none();
	assert_true(announce_deadline(a, now) == ANNOUNCE_NEVER);
	for (i = 0; i < ANNOUNCE_MAX_IN_FLIGHT; i++)
		answer(x[i], 1800, 900);
	assert_int_equal(expect_next().event, TRACKER_STOPPED);
	assert_int_equal(expect_next().event, TRACKER_STOPPED);
	expect_none();
}

/* Whatever happens in whatever order, the invariants hold and the deadline tells the truth. */
static void test_random_walk_keeps_the_invariants(void **state)
{
	uint32_t walk, step;

	(void)state;
	for (walk = 0; walk < 300; walk++) {
		struct announce_action flying[ANNOUNCE_MAX_IN_FLIGHT], x;
		uint32_t n = 0, i;

		announce_free(a);
		a = announce_new(8, walk + 1);
		srand(walk + 1);
		for (i = 0; i < 8; i++)
			announce_add(a, i / 3, 1u + (uint32_t)rand() % 3);
		announce_start(a, now);
		for (step = 0; step < 500; step++) {
			bool promised = announce_deadline(a, now) <= now, got = announce_next(a, now, &x);

			assert_int_equal(promised, got);
			if (got)
				flying[n++] = x;
			assert_int_equal(n, a->in_flight);
			switch (rand() % 8) {
			case 0:
				now += (uint64_t)rand() % 100000;
				break;
			case 1:
				announce_need_peers(a, now, (uint32_t)rand() % 2);
				break;
			case 2:
				if (step > 200)
					announce_completed(a, now);
				break;
			default:
				if (!n)
					break;
				i = (uint32_t)rand() % n;
				x = flying[i];
				flying[i] = flying[--n];
				if (rand() % 2)
					answer(x, 30 + (uint32_t)rand() % 100, (uint32_t)rand() % 2 * 60);
				else
					refuse(x, rand() % 20 ? 0 : rand() % 2 ? 60 : TRACKER_RETRY_NEVER);
			}
		}
		for (i = 0; i < n; i++)
			announce_abandon(a, flying[i].id, flying[i].family, rand() % 2);
		announce_stop(a);
		for (step = 0; step < 100 && announce_next(a, now, &x); step++)
			(rand() % 2 ? answer(x, 30, 0) : refuse(x, 0));
		assert_true(announce_idle(a));
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_nothing_before_start_and_nothing_without_trackers),
		T(test_started_then_regular_announces_at_the_interval),
		T(test_next_tier_only_when_all_of_this_tier_failed),
		T(test_tiers_are_shuffled_within_and_never_across),
		T(test_who_answers_moves_to_the_front_of_its_tier),
		T(test_back_off_doubles_to_an_hour_and_never_gives_up),
		T(test_failure_with_least_interval_waits_that_long),
		T(test_retry_in_is_honoured_and_never_silences),
		T(test_each_family_is_announced_once_a_round),
		T(test_the_stricter_interval_of_two_families_counts),
		T(test_peers_running_short_never_undercuts_the_least_interval),
		T(test_least_interval_above_the_interval_wins),
		T(test_tracker_that_knows_nobody_does_not_starve_us),
		T(test_completed_is_told_once_to_those_who_know_us),
		T(test_completed_that_failed_is_told_again),
		T(test_completion_while_started_is_on_its_way),
		T(test_stopped_goes_to_all_who_know_us_and_nobody_else),
		T(test_stop_tells_who_may_have_read_a_cancelled_announce),
		T(test_completed_comes_before_stopped),
		T(test_completed_in_flight_at_the_stop_is_waited_for),
		T(test_at_most_four_in_flight_at_the_farewell),
		T(test_random_walk_keeps_the_invariants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
