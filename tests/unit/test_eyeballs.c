/*
 * test_eyeballs.c - the order and the times of attempts (RFC 8305), by simulated time.
 */
#include "../../parent/dialer/eyeballs.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct net_addr host(uint8_t family, uint8_t last)
{
	struct net_addr a = { .family = family, .ip = { 1, 2, 3, last } };

	return a;
}

/* "6a 4b": families and last bytes in order. */
static void assert_order(const struct eyeballs *e, const char *want)
{
	char got[8 * EYEBALLS_MAX] = "";
	size_t n = 0;
	uint8_t i;

	for (i = 0; i < e->count; i++)
		n += (size_t)snprintf(got + n, sizeof got - n, "%s%u%c", i ? " " : "", e->addr[i].family, e->addr[i].ip[3]);
	assert_string_equal(got, want);
}

static void test_families_alternate_and_six_is_first(void **state)
{
	const struct net_addr in[] = { host(4, 'a'), host(4, 'b'), host(4, 'c'), host(6, 'd'), host(6, 'e') };
	struct eyeballs e;

	(void)state;
	eyeballs_init(&e, in, 5, 0, 80, 0);
	assert_order(&e, "6d 4a 6e 4b 4c");
	assert_int_equal(e.addr[4].port, 80);
	eyeballs_init(&e, in, 5, 4, 80, 0);
	assert_order(&e, "4a 4b 4c");
	eyeballs_init(&e, in, 5, 6, 80, 0);
	assert_order(&e, "6d 6e");
	eyeballs_init(&e, in, 3, 0, 80, 0);
	assert_order(&e, "4a 4b 4c");
	eyeballs_init(&e, in + 3, 2, 0, 80, 0);
	assert_order(&e, "6d 6e");
	eyeballs_init(&e, in, 3, 6, 80, 0);
	assert_order(&e, "");
	assert_true(eyeballs_over(&e));
}

static void test_full_list_keeps_its_bound(void **state)
{
	struct net_addr in[EYEBALLS_MAX];
	struct eyeballs e;
	uint8_t i;

	(void)state;
	for (i = 0; i < EYEBALLS_MAX; i++)
		in[i] = host(i % 3 ? 4 : 6, (uint8_t)('a' + i));
	eyeballs_init(&e, in, EYEBALLS_MAX, 0, 1, 0);
	assert_int_equal(e.count, EYEBALLS_MAX);
}

static void test_next_attempt_after_250_ms(void **state)
{
	const struct net_addr in[] = { host(6, 'a'), host(4, 'b') };
	struct eyeballs e;

	(void)state;
	eyeballs_init(&e, in, 2, 0, 80, 1000);
	assert_int_equal(eyeballs_due(&e, 1000)->family, 6);
	eyeballs_started(&e, 1000);
	assert_null(eyeballs_due(&e, 1249));
	assert_int_equal(eyeballs_due(&e, 1250)->family, 4);
	eyeballs_started(&e, 1250);
	assert_null(eyeballs_due(&e, 9999));
	assert_false(eyeballs_over(&e));
	eyeballs_failed(&e, 2000);
	eyeballs_failed(&e, 2001);
	assert_true(eyeballs_over(&e));
}

static void test_failure_makes_the_next_due_at_once(void **state)
{
	const struct net_addr in[] = { host(6, 'a'), host(4, 'b') };
	struct eyeballs e;

	(void)state;
	eyeballs_init(&e, in, 2, 0, 80, 1000);
	eyeballs_started(&e, 1000);
	eyeballs_failed(&e, 1003);
	assert_int_equal(eyeballs_due(&e, 1003)->ip[3], 'b');
}

static void test_skipped_address_costs_no_time(void **state)
{
	const struct net_addr in[] = { host(6, 'a'), host(4, 'b') };
	struct eyeballs e;

	(void)state;
	eyeballs_init(&e, in, 2, 0, 80, 1000);
	eyeballs_skipped(&e);
	assert_int_equal(eyeballs_due(&e, 1000)->ip[3], 'b');
	eyeballs_skipped(&e);
	assert_true(eyeballs_over(&e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families_alternate_and_six_is_first),
		cmocka_unit_test(test_full_list_keeps_its_bound),
		cmocka_unit_test(test_next_attempt_after_250_ms),
		cmocka_unit_test(test_failure_makes_the_next_due_at_once),
		cmocka_unit_test(test_skipped_address_costs_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
