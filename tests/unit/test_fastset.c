/* test_fastset.c - the allowed-fast sets of BEP 6. */
#include "../../netproc/fastset.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint8_t hash[20];
static uint32_t set[FASTSET_MAX], other[FASTSET_MAX];

static struct net_addr v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct net_addr){ .family = 4, .port = 6881, .ip = { a, b, c, d } };
}

/* The two examples at the end of BEP 6. */
static void test_sets_of_the_bep(void **state)
{
	static const uint32_t nine[] = { 1059, 431, 808, 1217, 287, 376, 1188, 353, 508 };
	struct net_addr addr = v4(80, 4, 4, 200);

	(void)state;
	memset(hash, 0xaa, sizeof hash);
	assert_int_equal(fastset_make(set, 7, hash, &addr, 1313), 7);
	assert_memory_equal(set, nine, 7 * sizeof *set);
	assert_int_equal(fastset_make(set, 9, hash, &addr, 1313), 9);
	assert_memory_equal(set, nine, sizeof nine);
}

static void test_one_network_has_one_set(void **state)
{
	struct net_addr a = v4(192, 0, 2, 1), b = v4(192, 0, 2, 250), c = v4(192, 0, 3, 1);

	(void)state;
	b.port = 1;
	assert_int_equal(fastset_make(set, 10, hash, &a, 100000), 10);
	assert_int_equal(fastset_make(other, 10, hash, &b, 100000), 10);
	assert_memory_equal(set, other, sizeof set);
	assert_int_equal(fastset_make(other, 10, hash, &c, 100000), 10);
	assert_memory_not_equal(set, other, sizeof set);
	a = (struct net_addr){ .family = 6, .ip = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 7, 1 } };
	b = a;
	b.ip[15] = 99;
	c = a;
	c.ip[7] = 8;
	assert_int_equal(fastset_make(set, 10, hash, &a, 100000), 10);
	assert_int_equal(fastset_make(other, 10, hash, &b, 100000), 10);
	assert_memory_equal(set, other, sizeof set);
	assert_int_equal(fastset_make(other, 10, hash, &c, 100000), 10);
	assert_memory_not_equal(set, other, sizeof set);
}

static void test_small_torrents_and_no_piece_twice(void **state)
{
	uint32_t pieces, i, k, n;
	struct net_addr a = v4(198, 51, 100, 7);

	(void)state;
	for (pieces = 0; pieces < 200; pieces++) {
		n = fastset_make(set, 99, hash, &a, pieces);
		assert_int_equal(n, min_u32(pieces, FASTSET_MAX));
		for (i = 0; i < n; i++) {
			assert_true(set[i] < pieces);
			for (k = 0; k < i; k++)
				assert_int_not_equal(set[i], set[k]);
		}
	}
	assert_int_equal(fastset_make(set, 0, hash, &a, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sets_of_the_bep),
		cmocka_unit_test(test_one_network_has_one_set),
		cmocka_unit_test(test_small_torrents_and_no_piece_twice),
	};

	return cmocka_run_group_tests_name("fastset", tests, NULL, NULL);
}
