/* test_candidates.c - the addresses of a swarm: order, back-off, bounds, ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../netproc/candidates.c"

static struct net_addr addr(uint32_t n)
{
	struct net_addr a = { .family = 4, .port = 6881 };

	put_be32(a.ip, 0x0b000000u + n);
	return a;
}

static void test_an_address_is_known_once(void **state)
{
	struct candidates *c = candidates_new(1);
	struct net_addr a = addr(1), none = { 0 }, portless = addr(2);
	uint32_t i = candidates_add(c, &a, PEER_FROM_TRACKER, 0);

	(void)state;
	portless.port = 0;
	assert_int_equal(candidates_add(c, &a, PEER_FROM_USER, 0), i);
	assert_true(candidates_at(c, i)->forced);
	assert_int_equal(candidates_known(c), 1);
	assert_int_equal(candidates_add(c, &none, PEER_FROM_TRACKER, 0), NO_CANDIDATE);
	assert_int_equal(candidates_add(c, &portless, PEER_FROM_TRACKER, 0), NO_CANDIDATE);
	candidates_free(c);
}

static void test_the_users_own_peers_are_dialled_first(void **state)
{
	struct candidates *c = candidates_new(1);
	struct net_addr a = addr(1), b = addr(2);
	uint64_t wait;
	uint32_t i;

	(void)state;
	candidates_add(c, &a, PEER_FROM_TRACKER, 0);
	i = candidates_add(c, &b, PEER_FROM_USER, 0);
	assert_int_equal(candidates_next(c, 0, &wait), i);
	candidates_take(c, i);
	assert_int_not_equal(candidates_next(c, 0, &wait), i);
	assert_int_equal(candidates_idle(c), 1);
	candidates_free(c);
}

static void test_back_off_doubles_and_forgets_after_success(void **state)
{
	struct candidates *c = candidates_new(1);
	struct net_addr a = addr(1);
	uint32_t i = candidates_add(c, &a, PEER_FROM_TRACKER, 0), n;
	uint64_t now = 0, wait, last = 0;

	(void)state;
	for (n = 0; n < 20; n++) {
		assert_int_equal(candidates_next(c, now, &wait), i);
		candidates_take(c, i);
		candidates_retry(c, i, true, 0, now);
		assert_int_equal(candidates_next(c, now, &wait), NO_CANDIDATE);
		assert_true(wait >= last);
		assert_true(wait <= RETRY_MOST_MS);
		last = wait;
		now += wait;
	}
	candidates_take(c, i);
	candidates_retry(c, i, false, 0, now);
	assert_int_equal(candidates_next(c, now, &wait), NO_CANDIDATE);
	assert_int_equal(wait, RETRY_FIRST_MS);
	candidates_free(c);
}

static void test_a_banned_address_never_comes_back(void **state)
{
	struct candidates *c = candidates_new(1);
	struct net_addr a = addr(1);
	uint32_t i = candidates_add(c, &a, PEER_FROM_TRACKER, 0);
	uint64_t wait;

	(void)state;
	candidates_take(c, i);
	candidates_never(c, i);
	candidates_retry(c, i, true, 0, 0);
	assert_int_equal(candidates_add(c, &a, PEER_FROM_USER, 0), i);
	assert_int_equal(candidates_next(c, UINT64_MAX, &wait), NO_CANDIDATE);
	assert_int_equal(candidates_idle(c), 0);
	candidates_free(c);
}

static void test_the_table_is_bounded_and_ids_are_not_reused(void **state)
{
	struct candidates *c = candidates_new(7);
	struct net_addr a;
	uint32_t i, first_id, k;

	(void)state;
	for (i = 0; i < CANDIDATES_MAX; i++) {
		a = addr(i);
		assert_int_not_equal(candidates_add(c, &a, PEER_FROM_TRACKER, 0), NO_CANDIDATE);
	}
	a = addr(CANDIDATES_MAX);
	assert_int_equal(candidates_add(c, &a, PEER_FROM_TRACKER, 0), NO_CANDIDATE);
	assert_int_equal(candidates_known(c), CANDIDATES_MAX);
	/* One that failed twice makes room; whoever blames it later finds nobody. */
	k = 99;
	first_id = candidates_at(c, k)->id;
	for (i = 0; i < 2; i++) {
		candidates_take(c, k);
		candidates_retry(c, k, true, 0, 0);
	}
	assert_int_equal(candidates_add(c, &a, PEER_FROM_TRACKER, 0), k);
	assert_null(candidates_by_id(c, first_id));
	assert_ptr_equal(candidates_by_id(c, candidates_at(c, k)->id), candidates_at(c, k));
	assert_null(candidates_by_id(c, 0));
	candidates_free(c);
}

static void test_addresses_that_are_never_dialled_do_not_fill_the_table(void **state)
{
	struct candidates *c = candidates_new(7);
	struct net_addr a;
	uint32_t i, banned = 5, failed = 6, refused = 4000;

	(void)state;
	/* What a hostile tracker names: addresses of the LAN, of itself, and one that failed. */
	for (i = 0; i < CANDIDATES_MAX; i++) {
		a = addr(i);
		assert_int_equal(candidates_add(c, &a, PEER_FROM_TRACKER, 0), i);
		candidates_take(c, i);
		if (i != failed && i != refused)
			candidates_never(c, i);
	}
	candidates_retry(c, failed, true, 0, 0);
	candidates_take(c, failed);
	candidates_retry(c, failed, true, 0, 0);
	candidates_refused(c, refused);
	/* In that order: refused, failed, banned. */
	a = addr(CANDIDATES_MAX);
	assert_int_equal(candidates_add(c, &a, PEER_FROM_TRACKER, 0), refused);
	candidates_take(c, refused);
	assert_int_equal(candidates_at(c, banned)->state, CANDIDATE_NEVER);
	a = addr(CANDIDATES_MAX + 1);
	assert_int_equal(candidates_add(c, &a, PEER_FROM_TRACKER, 0), failed);
	candidates_take(c, failed);
	a = addr(CANDIDATES_MAX + 2);
	assert_int_not_equal(candidates_add(c, &a, PEER_FROM_TRACKER, 0), NO_CANDIDATE);
	assert_int_equal(candidates_idle(c), 1);
	assert_int_equal(candidates_known(c), CANDIDATES_MAX);
	candidates_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_address_is_known_once),
		cmocka_unit_test(test_the_users_own_peers_are_dialled_first),
		cmocka_unit_test(test_back_off_doubles_and_forgets_after_success),
		cmocka_unit_test(test_a_banned_address_never_comes_back),
		cmocka_unit_test(test_the_table_is_bounded_and_ids_are_not_reused),
		cmocka_unit_test(test_addresses_that_are_never_dialled_do_not_fill_the_table),
	};

	return cmocka_run_group_tests_name("candidates", tests, NULL, NULL);
}
