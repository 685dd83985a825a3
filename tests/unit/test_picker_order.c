/*
 * test_picker_order.c - which pieces are wanted, which of them first, and in
 * sequence; every step is followed by picker_check().
 */
#include "../../netproc/picker.c"
#include "../../netproc/picker_pick.c"
#include "../../netproc/picker_verdict.c"
#include "../../netproc/rarity.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "picker_check.h"

#define MIB (1024u * 1024u)
#define PIECE 65536u /* four blocks */
#define NO_LEVEL 3u

static struct picker *p;
static struct picker_peer peer[8];
static uint8_t bits[8][1024];
static struct picker_request out[PICKER_QUEUE_MAX];

/* levels: of each piece a digit, '0' the first to be fetched, '-' is not wanted; NULL: all alike. */
static void begin(uint32_t pieces, const char *levels, bool in_sequence)
{
	uint8_t *level[RARITY_LEVELS] = { NULL };
	uint32_t i;

	p = picker_new(pieces, PIECE, (uint64_t)pieces * PIECE, (uint64_t)pieces * PIECE + MIB, 42);
	memset(peer, 0, sizeof peer);
	memset(bits, 0, sizeof bits);
	for (i = 0; levels && i < RARITY_LEVELS; i++)
		level[i] = must_calloc(bitfield_bytes(pieces), 1);
	for (i = 0; levels && i < pieces; i++)
		if (levels[i] != '-')
			bitfield_set(level[levels[i] - '0'], i);
	picker_set_order(p, level, in_sequence);
	picker_check(p);
}

static int end(void **state)
{
	(void)state;
	if (p)
		picker_check(p);
	picker_free(p);
	p = NULL;
	return 0;
}

static struct picker_peer *joins(uint32_t i, bool all)
{
	peer[i].id = i + 1;
	peer[i].all = all;
	peer[i].have = all ? NULL : bits[i];
	peer[i].fast = true;
	picker_join(p, &peer[i]);
	peer[i].proven = true;
	return &peer[i];
}

/* Asks for one piece more, which is whole; its number. */
static uint32_t next_piece(struct picker_peer *q)
{
	uint32_t n = picker_pick(p, q, PIECE / BLOCK_BYTES, 1000, out), i;

	picker_check(p);
	if (!n)
		return UINT32_MAX;
	assert_int_equal(n, PIECE / BLOCK_BYTES);
	for (i = 1; i < n; i++)
		assert_int_equal(out[i].piece, out[0].piece);
	return out[0].piece;
}

static void arrives(struct picker_peer *q, uint32_t piece)
{
	struct picker_peer *others[4];
	uint32_t i, count;

	for (i = 0; i < PIECE / BLOCK_BYTES; i++)
		assert_int_equal(picker_on_block(p, q, piece, i * BLOCK_BYTES, BLOCK_BYTES, 1000, others, 4, &count), PICKER_TAKE);
	assert_true(picker_on_verified(p, piece));
	picker_check(p);
}

static void test_only_what_is_wanted_is_asked_for_and_missed(void **state)
{
	struct picker_peer *q;
	uint32_t i, piece, seen = 0;

	(void)state;
	begin(8, "-1--1--1", false);
	q = joins(0, true);
	assert_int_equal(picker_missing(p), 3);
	for (i = 0; i < 3; i++) {
		piece = next_piece(q);
		seen |= 1u << piece;
		arrives(q, piece);
	}
	assert_int_equal(seen, 1u << 1 | 1u << 4 | 1u << 7);
	assert_int_equal(next_piece(q), UINT32_MAX);
	assert_true(picker_complete(p));
	assert_false(picker_interesting(p, q));
}

static void test_whoever_has_only_unwanted_pieces_is_not_interesting(void **state)
{
	struct picker_peer *q;

	(void)state;
	begin(8, "-1--1--1", false);
	bitfield_set(bits[0], 0);
	bitfield_set(bits[0], 3);
	q = joins(0, false);
	assert_false(picker_interesting(p, q));
	assert_int_equal(next_piece(q), UINT32_MAX);
	bitfield_set(bits[0], 2);
	picker_peer_has(p, q, 2);
	assert_false(picker_interesting(p, q));
	bitfield_set(bits[0], 4);
	picker_peer_has(p, q, 4);
	assert_true(picker_interesting(p, q));
	assert_int_equal(next_piece(q), 4);
}

static void test_what_a_choking_peer_allows_is_asked_for_only_if_wanted(void **state)
{
	struct picker_peer *q;

	(void)state;
	begin(4, "-1-1", false);
	q = joins(0, true);
	assert_int_equal(picker_pick_piece(p, q, 0, 4, 1000, out), 0);
	assert_int_equal(picker_pick_piece(p, q, 1, 4, 1000, out), 4);
	picker_check(p);
}

static void test_an_unwanted_piece_that_is_here_counts_for_nothing(void **state)
{
	(void)state;
	begin(4, "-1-1", false);
	picker_have(p, 0);
	picker_have(p, 0);
	picker_check(p);
	assert_int_equal(picker_missing(p), 2);
	picker_have(p, 1);
	picker_have(p, 3);
	assert_true(picker_complete(p));
	/* Another diskproc has nothing. */
	picker_reset(p);
	picker_check(p);
	assert_int_equal(picker_missing(p), 2);
	assert_int_equal(next_piece(joins(0, true)) % 2, 1);
}

static void test_levels_come_before_rarity(void **state)
{
	struct picker_peer *q;
	uint32_t i;

	(void)state;
	/* Pieces 0 to 3 are rare, and of the last level; 4 to 7 common, and of the first. */
	begin(12, "222200001111", false);
	q = joins(0, true);
	for (i = 0; i < 12; i++)
		if (i >= 4) {
			bitfield_set(bits[1], i);
			bitfield_set(bits[2], i);
		} else {
			bitfield_set(bits[1], i);
		}
	joins(1, false);
	joins(2, false);
	for (i = 0; i < 12; i++) {
		uint32_t piece = next_piece(q);

		assert_true(piece < 12);
		assert_in_range(piece, i < 4 ? 4 : i < 8 ? 8 : 0, i < 4 ? 7 : i < 8 ? 11 : 3);
		arrives(q, piece);
	}
	assert_true(picker_complete(p));
}

static void test_within_a_level_the_rarest_comes_first(void **state)
{
	struct picker_peer *q;
	uint32_t i;

	(void)state;
	begin(6, "110011", false);
	for (i = 0; i < 6; i++)
		bitfield_set(bits[1], i);
	bitfield_set(bits[2], 2);
	bitfield_set(bits[2], 5);
	joins(1, false);
	joins(2, false);
	q = joins(0, true);
	/* A piece that arrives at one more peer moves within its level only. */
	assert_int_equal(next_piece(q), 3);
	assert_int_equal(next_piece(q), 2);
	bitfield_set(bits[2], 0);
	picker_peer_has(p, &peer[2], 0);
	picker_check(p);
	i = 1u << next_piece(q);
	i |= 1u << next_piece(q);
	assert_int_equal(i, 1u << 1 | 1u << 4);
}

static void test_in_sequence_pieces_come_by_number_within_each_level(void **state)
{
	static const uint32_t wanted[] = { 2, 3, 6, 7, 0, 5, 9, 1, 8 };
	struct picker_peer *q;
	uint32_t i;

	(void)state;
	begin(10, "1200-10021", true);
	q = joins(0, true);
	for (i = 0; i < ARRAY_LEN(wanted); i++)
		assert_int_equal(next_piece(q), wanted[i]);
	assert_int_equal(next_piece(q), UINT32_MAX);
}

static void test_in_sequence_a_peer_gives_the_first_that_it_has(void **state)
{
	struct picker_peer *q, *r;

	(void)state;
	begin(5000, NULL, true);
	bitfield_set(bits[0], 70);
	bitfield_set(bits[0], 4000);
	bitfield_set(bits[0], 4999);
	q = joins(0, false);
	r = joins(1, true);
	assert_int_equal(next_piece(q), 70);
	assert_int_equal(next_piece(r), 0);
	assert_int_equal(next_piece(r), 1);
	assert_int_equal(next_piece(q), 4000);
	assert_int_equal(next_piece(q), 4999);
	assert_int_equal(next_piece(q), UINT32_MAX);
	assert_int_equal(next_piece(r), 2);
	/* One that is idle again is the next. */
	picker_leave(p, r);
	picker_reset(p);
	picker_check(p);
	r = joins(2, true);
	assert_int_equal(next_piece(r), 0);
}

static void test_in_sequence_open_pieces_are_joined_first(void **state)
{
	struct picker_peer *q, *r;

	(void)state;
	begin(100, NULL, true);
	q = joins(0, true);
	r = joins(1, true);
	assert_int_equal(picker_pick(p, q, 2, 1000, out), 2);
	assert_int_equal(out[1].piece, 0);
	assert_int_equal(picker_pick(p, r, 3, 1000, out), 3);
	assert_int_equal(out[0].piece, 0);
	assert_int_equal(out[1].piece, 0);
	assert_int_equal(out[2].piece, 1);
	picker_check(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_only_what_is_wanted_is_asked_for_and_missed, end),
		cmocka_unit_test_teardown(test_whoever_has_only_unwanted_pieces_is_not_interesting, end),
		cmocka_unit_test_teardown(test_what_a_choking_peer_allows_is_asked_for_only_if_wanted, end),
		cmocka_unit_test_teardown(test_an_unwanted_piece_that_is_here_counts_for_nothing, end),
		cmocka_unit_test_teardown(test_levels_come_before_rarity, end),
		cmocka_unit_test_teardown(test_within_a_level_the_rarest_comes_first, end),
		cmocka_unit_test_teardown(test_in_sequence_pieces_come_by_number_within_each_level, end),
		cmocka_unit_test_teardown(test_in_sequence_a_peer_gives_the_first_that_it_has, end),
		cmocka_unit_test_teardown(test_in_sequence_open_pieces_are_joined_first, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
