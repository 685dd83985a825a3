/*
 * test_blame.c - bad copies are remembered, capped, and told block by block.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../diskproc/blame.c"
#include "../../diskproc/siphash.c"

struct heard {
	struct msg_blame m[64];
	uint32_t count;
};

static void hear(void *arg, const struct msg_blame *m)
{
	struct heard *h = arg;

	assert_in_range(h->count, 0, 63);
	h->m[h->count++] = *m;
}

/* Sums of a copy whose block `bad` differs from the good one. */
static uint64_t *copy(uint32_t blocks, uint32_t bad)
{
	uint64_t *s = calloc(blocks, sizeof *s);
	uint32_t i;

	for (i = 0; i < blocks; i++)
		s[i] = i + 1000u * (i == bad);
	return s;
}

static struct heard verify(struct blame *b, uint32_t piece, uint32_t blocks)
{
	static struct heard h;
	uint64_t *good = copy(blocks, UINT32_MAX);

	memset(&h, 0, sizeof h);
	blame_verified(b, piece, good, blocks, hear, &h);
	free(good);
	return h;
}

static void test_siphash_gives_the_numbers_of_the_paper(void **state)
{
	uint8_t key[16], data[64];
	uint32_t i;

	(void)state;
	for (i = 0; i < 64; i++)
		data[i] = (uint8_t)i;
	memcpy(key, data, 16);
	/* Appendix A of the paper, and vectors.h of its authors. */
	assert_int_equal(siphash(key, data, 15), 0xa129ca6149be45e5u);
	assert_int_equal(siphash(key, data, 0), 0x726fdb47dd0e0e31u);
	assert_int_equal(siphash(key, data, 1), 0x74f839c593dc67fdu);
	assert_int_equal(siphash(key, data, 8), 0x93f5f5799a932462u);
	assert_int_equal(siphash(key, data, 63), 0x958a324ceb064572u);
}

static void test_only_blocks_that_differ_are_told(void **state)
{
	struct blame b;
	struct heard h;

	(void)state;
	blame_init(&b, 10);
	assert_false(blame_has(&b, 3));
	blame_rejected(&b, 3, copy(64, 17), 64);
	blame_rejected(&b, 3, copy(64, UINT32_MAX), 64); /* the same as the good one: nobody is told of */
	blame_rejected(&b, 3, copy(64, 63), 64);
	assert_true(blame_has(&b, 3));
	h = verify(&b, 3, 64);
	assert_int_equal(h.count, 2);
	assert_int_equal(h.m[0].piece, 3);
	assert_int_equal(h.m[0].attempt, 0);
	assert_int_equal(h.m[0].blocks, 64);
	assert_int_equal(bitfield_count(h.m[0].bad, 64), 1);
	assert_true(bitfield_get(h.m[0].bad, 17));
	assert_int_equal(h.m[1].attempt, 2);
	assert_true(bitfield_get(h.m[1].bad, 63));
	assert_false(blame_has(&b, 3));
	assert_int_equal(b.bytes, 0);
	blame_clear(&b);
}

static void test_large_pieces_are_told_in_parts_of_1024_blocks(void **state)
{
	struct blame b;
	struct heard h;

	(void)state;
	blame_init(&b, 1);
	blame_rejected(&b, 0, copy(3000, 2500), 3000);
	h = verify(&b, 0, 3000);
	assert_int_equal(h.count, 1);
	assert_int_equal(h.m[0].first_block, 2048);
	assert_int_equal(h.m[0].blocks, 952);
	assert_true(bitfield_get(h.m[0].bad, 2500 - 2048));
	blame_clear(&b);
}

static void test_ninth_copy_forgets_the_first_and_keeps_the_count(void **state)
{
	struct blame b;
	struct heard h;
	uint32_t i;

	(void)state;
	blame_init(&b, 1);
	for (i = 0; i < 9; i++)
		blame_rejected(&b, 0, copy(16, i), 16);
	h = verify(&b, 0, 16);
	assert_int_equal(h.count, 8);
	for (i = 0; i < 8; i++) {
		assert_int_equal(h.m[i].attempt, i + 1);
		assert_true(bitfield_get(h.m[i].bad, i + 1));
	}
	blame_clear(&b);
}

static void test_memory_is_capped_and_forgotten_pieces_are_never_blamed(void **state)
{
	struct blame b;
	uint32_t i;

	(void)state;
	blame_init(&b, 100);
	for (i = 0; i < 100; i++) {
		blame_rejected(&b, i, copy(16384, 5), 16384);
		assert_in_range(b.bytes, 1, BLAME_BYTES);
	}
	assert_false(blame_has(&b, 0));
	assert_true(blame_has(&b, 99));
	/* Its number of attempts is lost: a wrong number would blame the wrong peer. */
	blame_rejected(&b, 0, copy(16384, 6), 16384);
	assert_false(blame_has(&b, 0));
	assert_int_equal(verify(&b, 0, 16384).count, 0);
	assert_int_equal(verify(&b, 99, 16384).count, 1);
	blame_clear(&b);
	assert_int_equal(b.bytes, 0);
	/* A new netproc counts anew. */
	blame_rejected(&b, 0, copy(16, 6), 16);
	assert_int_equal(verify(&b, 0, 16).count, 1);
	blame_clear(&b);
}

static void test_lost_sums_blame_nobody(void **state)
{
	struct blame b;

	(void)state;
	blame_init(&b, 2);
	blame_rejected(&b, 0, NULL, 64);
	assert_int_equal(verify(&b, 0, 64).count, 0);
	blame_rejected(&b, 0, copy(64, 1), 64);
	blame_verified(&b, 0, NULL, 64, hear, NULL);
	assert_false(blame_has(&b, 0));
	blame_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash_gives_the_numbers_of_the_paper),
		cmocka_unit_test(test_only_blocks_that_differ_are_told),
		cmocka_unit_test(test_large_pieces_are_told_in_parts_of_1024_blocks),
		cmocka_unit_test(test_ninth_copy_forgets_the_first_and_keeps_the_count),
		cmocka_unit_test(test_memory_is_capped_and_forgotten_pieces_are_never_blamed),
		cmocka_unit_test(test_lost_sums_blame_nobody),
	};

	return cmocka_run_group_tests_name("blame", tests, NULL, NULL);
}
