/*
 * test_dial_limits.c - the dialer's rates, by simulated time.
 */
#include "../../parent/dialer/limits.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECOND 1000000ull

static struct limits limits; /* large */

static struct net_addr v4(uint32_t ip)
{
	struct net_addr a = { .family = 4, .port = 6881 };

	put_be32(a.ip, ip);
	return a;
}

/* How many of `n` dials to addresses base, base + step, ... are let through at once. */
static uint32_t let_through(uint32_t base, uint32_t step, uint32_t n, enum limit_reach reach, uint64_t now)
{
	uint32_t i, count = 0;

	for (i = 0; i < n; i++) {
		struct net_addr a = v4(base + i * step);

		count += limits_take(&limits, &a, reach, now) == 0;
	}
	return count;
}

static void test_burst_over_all_then_the_rate(void **state)
{
	uint64_t now = 1000 * SECOND;

	(void)state;
	limits_init(&limits, &limits_of_dials, 30);
	assert_int_equal(let_through(0x01000000, 0x10000, 200, LIMIT_NET, now), limits_of_dials.burst);
	assert_int_equal(let_through(0x02000000, 0x10000, 200, LIMIT_NET, now), 0);
	assert_in_range(let_through(0x03000000, 0x10000, 200, LIMIT_NET, now + SECOND), 29, 31);
	assert_int_equal(let_through(0x04000000, 0x10000, 200, LIMIT_NET, now + 10 * SECOND), limits_of_dials.burst);
}

static void test_one_address_four_at_once_then_one_each_five_seconds(void **state)
{
	struct net_addr a = v4(0x01020304);
	uint64_t now = 5;
	uint32_t wait;

	(void)state;
	limits_init(&limits, &limits_of_dials, 30);
	assert_int_equal(let_through(0x01020304, 0, 10, LIMIT_NET, now), limits_of_dials.addr_burst);
	wait = limits_take(&limits, &a, LIMIT_NET, now);
	assert_int_equal(wait, limits_of_dials.addr_every_ms);
	assert_int_not_equal(limits_take(&limits, &a, LIMIT_NET, now + (wait - 1) * 1000ull), 0);
	assert_int_equal(limits_take(&limits, &a, LIMIT_NET, now + wait * 1000ull), 0);
	assert_int_not_equal(limits_take(&limits, &a, LIMIT_NET, now + wait * 1000ull), 0);
	/* Full again after a pause. */
	assert_int_equal(let_through(0x01020304, 0, 10, LIMIT_NET, now + 60 * SECOND), limits_of_dials.addr_burst);
}

static void test_port_does_not_make_another_destination(void **state)
{
	struct net_addr a = v4(0x01020304);
	uint32_t i;

	(void)state;
	limits_init(&limits, &limits_of_dials, 30);
	for (i = 0; i < limits_of_dials.addr_burst; i++) {
		a.port = (uint16_t)(7000 + i);
		assert_int_equal(limits_take(&limits, &a, LIMIT_NET, 0), 0);
	}
	a.port = 9999;
	assert_int_not_equal(limits_take(&limits, &a, LIMIT_NET, 0), 0);
}

static void test_neighbours_share_a_looser_limit(void **state)
{
	struct net_addr a = { .family = 6, .port = 6881, .ip = { 0x2a, 1, 2, 3, 4, 5 } };
	uint32_t i, count = 0;

	(void)state;
	limits_init(&limits, &limits_of_dials, 30);
	assert_int_equal(let_through(0x01020300, 1, 64, LIMIT_NET, 0), limits_of_dials.net_burst);
	assert_int_equal(let_through(0x01020400, 1, 1, LIMIT_NET, 0), 1);
	/* IPv6: a /48, whatever comes after it. */
	for (i = 0; i < 40; i++) {
		a.ip[7] = (uint8_t)i;
		count += limits_take(&limits, &a, LIMIT_NET, 0) == 0;
	}
	assert_int_equal(count, limits_of_dials.net_burst);
}

static void test_allowed_by_the_user_only_the_rate_over_all_holds(void **state)
{
	(void)state;
	limits_init(&limits, &limits_of_dials, 30);
	assert_int_equal(let_through(0x7f000001, 0, 200, LIMIT_ALL, 0), limits_of_dials.burst);
	assert_in_range(let_through(0x7f000001, 0, 200, LIMIT_ALL, SECOND), 29, 31);
}

static void test_network_named_by_the_user_is_counted_by_address_and_altogether(void **state)
{
	(void)state;
	limits_init(&limits, &limits_of_accepts, 30);
	assert_int_equal(let_through(0x7f000001, 0, 1000, LIMIT_ADDR, 0), limits_of_accepts.addr_burst);
	assert_int_equal(let_through(0x7f000002, 1, 1000, LIMIT_ADDR, 0), limits_of_accepts.burst - limits_of_accepts.addr_burst);
	/* They took nothing of their network's share. */
	assert_int_equal(let_through(0x7f000002, 1, 100, LIMIT_NET, 10 * SECOND), limits_of_accepts.net_burst);
}

static void test_what_waits_is_not_counted(void **state)
{
	struct net_addr a = v4(0x01020304);

	(void)state;
	limits_init(&limits, &limits_of_dials, 30);
	assert_int_equal(let_through(0x01020304, 0, 1000, LIMIT_NET, 0), limits_of_dials.addr_burst);
	/* The 996 refusals took nothing from the others, nor from this one's next turn. */
	assert_int_equal(let_through(0x01030000, 0x10000, 100, LIMIT_NET, 0), limits_of_dials.burst - limits_of_dials.addr_burst);
	assert_int_equal(limits_take(&limits, &a, LIMIT_NET, limits_of_dials.addr_every_ms * 1000ull), 0);
}

static void test_flood_of_destinations_buys_no_extra_dial(void **state)
{
	struct net_addr target = v4(0x08080808);
	uint64_t now = SECOND, end = now + 100 * SECOND;
	uint32_t got = 0, n = 0;

	(void)state;
	limits_init(&limits, &limits_of_dials, 10000);
	/* 2,000 others a second, far more than the table holds, to push the target's row out. */
	for (; now < end; now += SECOND / 100) {
		uint32_t i;

		for (i = 0; i < 20; i++, n++) {
			struct net_addr a = v4(0x20000000 + n * 0x101u);

			(void)limits_take(&limits, &a, LIMIT_NET, now);
		}
		got += limits_take(&limits, &target, LIMIT_NET, now) == 0;
	}
	assert_in_range(got, 1, limits_of_dials.addr_burst + 100 * 1000 / limits_of_dials.addr_every_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_over_all_then_the_rate),
		cmocka_unit_test(test_one_address_four_at_once_then_one_each_five_seconds),
		cmocka_unit_test(test_port_does_not_make_another_destination),
		cmocka_unit_test(test_neighbours_share_a_looser_limit),
		cmocka_unit_test(test_allowed_by_the_user_only_the_rate_over_all_holds),
		cmocka_unit_test(test_network_named_by_the_user_is_counted_by_address_and_altogether),
		cmocka_unit_test(test_what_waits_is_not_counted),
		cmocka_unit_test(test_flood_of_destinations_buys_no_extra_dial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
