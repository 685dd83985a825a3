/*
 * test_picker.c - each event of the picker by itself; every step is followed by
 * picker_check().  Swarms in simulated time are test_picker_swarm.c's.
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
#define PEERS 300u

static struct picker *p;
static struct picker_peer peer[PEERS];
static uint8_t bits[PEERS][64];
static struct picker_request out[PICKER_QUEUE_MAX];
static struct picker_peer *others[8];
static uint32_t others_count;

/* Pieces of four blocks unless said otherwise. */
static void begin(uint32_t pieces, uint32_t piece_length, uint64_t budget)
{
	p = picker_new(pieces, piece_length, (uint64_t)pieces * piece_length, budget, 42);
	memset(peer, 0, sizeof peer);
	memset(bits, 0, sizeof bits);
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

static struct picker_peer *seed(uint32_t i)
{
	peer[i].id = i + 1;
	peer[i].all = true;
	peer[i].fast = true;
	picker_join(p, &peer[i]);
	return &peer[i];
}
/* A peer that has the pieces named, UINT32_MAX ends the list. */
static struct picker_peer *partial(uint32_t i, const uint32_t *pieces)
{
	peer[i].id = i + 1;
	peer[i].have = bits[i];
	peer[i].fast = true;
	for (; *pieces != UINT32_MAX; pieces++, peer[i].have_count++)
		bitfield_set(bits[i], *pieces);
	picker_join(p, &peer[i]);
	return &peer[i];
}
#define PARTIAL(i, ...) partial(i, (const uint32_t[]){ __VA_ARGS__, UINT32_MAX })

static uint32_t pick(struct picker_peer *q, uint32_t want, uint64_t now)
{
	uint32_t n = picker_pick(p, q, want, now, out);

	picker_check(p);
	return n;
}
static enum picker_block block(struct picker_peer *q, uint32_t piece, uint32_t number, uint64_t now)
{
	enum picker_block v = picker_on_block(p, q, piece, number * BLOCK_BYTES, BLOCK_BYTES, now, others, 8, &others_count);

	picker_check(p);
	return v;
}
/* Everything that the peer was asked for comes. */
static void answer_all(struct picker_peer *q, uint64_t now)
{
	while (q->queue_count) {
		struct picker_request r = picker_queued(q, 0);
		assert_int_equal(block(q, r.piece, r.block, now), PICKER_TAKE);
	}
}

static void test_blocks_come_in_runs_of_one_piece(void **state)
{
	uint32_t i;

	(void)state;
	begin(16, 65536, 4 * MIB);
	assert_int_equal(pick(seed(0), 6, 0), 6);
	for (i = 0; i < 6; i++) {
		assert_int_equal(out[i].block, i % 4);
		assert_int_equal(out[i].piece, out[i / 4 * 4].piece);
	}
	assert_int_equal(pick(&peer[0], 2, 0), 2);
	assert_int_equal(out[0].block, 2);
}

static void test_rarest_piece_is_first(void **state)
{
	(void)state;
	begin(8, 16384, MIB);
	PARTIAL(0, 0, 1, 2, 3, 4, 5, 6, 7);
	PARTIAL(1, 0, 1, 2, 3, 4, 6, 7);
	PARTIAL(2, 0, 1, 3, 4, 6, 7);
	assert_int_equal(pick(&peer[0], 1, 0), 1);
	assert_int_equal(out[0].piece, 5);
	assert_int_equal(pick(&peer[0], 1, 0), 1);
	assert_int_equal(out[0].piece, 2);
	assert_int_equal(pick(&peer[2], 8, 0), 6);
}

static void test_have_and_leaving_change_rarity(void **state)
{
	(void)state;
	begin(4, 16384, MIB);
	PARTIAL(0, 0, 1, 2, 3);
	PARTIAL(1, 0, 1, 2);
	PARTIAL(2, 0, 1);
	bitfield_set(bits[2], 3);
	picker_peer_has(p, &peer[2], 3);
	picker_leave(p, &peer[1]);
	picker_check(p);
	/* Now 0, 1 and 3 are had by two, 2 by one. */
	assert_int_equal(pick(&peer[0], 1, 0), 1);
	assert_int_equal(out[0].piece, 2);
}

static void test_start_is_random_and_goes_on_with_neighbours(void **state)
{
	uint32_t first[20], i, differ = 0, neighbours = 0;

	(void)state;
	for (i = 0; i < 20; i++) {
		p = picker_new(4096, 65536, 4096ull * 65536, 64 * MIB, 1000 + i * 77777);
		memset(peer, 0, sizeof peer);
		seed(0);
		assert_int_equal(pick(&peer[0], 64, 0), 64);
		first[i] = out[0].piece;
		differ += i && first[i] != first[i - 1];
		neighbours += out[63].piece == out[0].piece + 15;
		picker_free(p);
	}
	p = NULL;
	assert_true(differ >= 18);
	assert_int_equal(neighbours, 20);
}

/* 64 runs are enough for three others; with five, each piece is taken by lot, so that they and we ask a seed for different ones. */
static void test_who_is_one_of_many_takes_no_runs(void **state)
{
	static const uint32_t none[] = { UINT32_MAX };
	uint32_t rivals, i, neighbours;

	(void)state;
	for (rivals = 3; rivals <= 5; rivals += 2) {
		begin(4096, 65536, 64 * MIB);
		seed(0);
		for (i = 1; i <= rivals; i++)
			partial(i, none);
		assert_int_equal(pick(&peer[0], 64, 0), 64);
		for (i = 4, neighbours = 0; i < 64; i += 4)
			neighbours += out[i].piece == out[i - 4].piece + 1;
		assert_in_range(neighbours, rivals == 3 ? 15 : 0, rivals == 3 ? 15 : 1);
		end(state);
	}
}

static void test_two_seeds_work_on_pieces_of_their_own(void **state)
{
	uint32_t piece;

	(void)state;
	begin(64, 65536, 4 * MIB);
	pick(seed(0), 2, 0);
	piece = out[0].piece;
	pick(seed(1), 2, 0);
	assert_int_not_equal(out[0].piece, piece);
}

static void test_slow_peer_joins_before_it_opens(void **state)
{
	uint32_t piece;

	(void)state;
	begin(64, 65536, 4 * MIB);
	seed(0)->proven = true;
	pick(&peer[0], 2, 0);
	piece = out[0].piece;
	seed(1)->fast = false;
	assert_int_equal(pick(&peer[1], 3, 0), 3);
	assert_int_equal(out[0].piece, piece);
	assert_int_equal(out[0].block, 2);
	assert_int_not_equal(out[2].piece, piece);
}

static uint32_t pick_piece(struct picker_peer *q, uint32_t piece, uint32_t want)
{
	uint32_t n = picker_pick_piece(p, q, piece, want, 0, out);

	picker_check(p);
	return n;
}

static void test_a_named_piece_is_picked_from_and_no_other(void **state)
{
	uint32_t i;

	(void)state;
	begin(16, 65536, 4 * MIB);
	seed(0);
	assert_int_equal(pick_piece(&peer[0], 11, 3), 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(out[i].piece, 11);
		assert_int_equal(out[i].block, i);
	}
	assert_int_equal(pick_piece(&peer[0], 11, 100), 1); /* what is left of it */
	assert_int_equal(pick_piece(&peer[0], 11, 100), 0);
	assert_int_equal(peer[0].queue_count, 4);
	assert_int_equal(pick_piece(&peer[0], 12, 0), 0);
	assert_int_equal(picker_open(p), 1);
	answer_all(&peer[0], 0);
	assert_true(picker_on_verified(p, 11));
	assert_int_equal(pick_piece(&peer[0], 11, 4), 0);
}

static void test_a_named_piece_that_the_peer_lacks_or_that_is_none_is_not_asked_for(void **state)
{
	(void)state;
	begin(8, 65536, 4 * MIB);
	PARTIAL(0, 1, 2);
	assert_int_equal(pick_piece(&peer[0], 3, 4), 0);
	assert_int_equal(pick_piece(&peer[0], 8, 4), 0);
	assert_int_equal(pick_piece(&peer[0], UINT32_MAX, 4), 0);
	assert_int_equal(picker_open(p), 0);
	assert_int_equal(pick_piece(&peer[0], 2, 4), 4);
}

static void test_a_named_piece_takes_no_more_memory_than_there_is_and_no_more_blocks_than_a_trial(void **state)
{
	uint32_t i, n = 0;

	(void)state;
	begin(64, 65536, 4 * 65536);
	for (i = 0; i < 64; i++)
		n += pick_piece(seed(i), i, 1);
	assert_in_range(n, 1, 4);
	assert_int_equal(picker_open(p), n);
	picker_free(p);
	begin(4096, 65536, 1024 * MIB);
	seed(0);
	for (n = i = 0; i < 4096; i++)
		n += pick_piece(&peer[0], i, 4);
	assert_int_equal(n, TRIAL_BLOCKS);
}

static void test_memory_is_never_exceeded_and_the_hungry_get_what_is_freed(void **state)
{
	uint32_t piece;

	(void)state;
	begin(64, 65536, 4 * 65536);
	seed(0)->proven = true;
	assert_int_equal(pick(&peer[0], 100, 0), 16);
	assert_int_equal(pick(seed(1), 4, 0), 0);
	assert_null(picker_hungry(p));
	answer_all(&peer[0], 1);
	assert_int_equal(pick(&peer[1], 4, 1), 0);
	for (piece = 0; piece < 64 && !open_of(p, piece); piece++)
		;
	assert_true(picker_on_verified(p, piece));
	assert_ptr_equal(picker_hungry(p), &peer[0]);
	assert_ptr_equal(picker_hungry(p), &peer[1]);
	assert_null(picker_hungry(p));
	assert_int_equal(pick(&peer[1], 100, 1), 4);
	assert_int_equal(pick(&peer[0], 100, 1), 0);
	assert_null(picker_hungry(p));
}

static void test_half_of_the_memory_is_kept_from_single_sources(void **state)
{
	uint32_t i;

	(void)state;
	begin(64, 65536, 8 * 65536);
	PARTIAL(0, 0, 1, 2, 3, 4, 5, 6, 7, 20, 21);
	PARTIAL(1, 20, 21);
	peer[0].proven = true;
	assert_int_equal(pick(&peer[0], 100, 0), 6 * 4);
	/* Four pieces that nobody else has, then the shared ones although they are less rare. */
	for (i = 0; i < 24; i++)
		assert_true(i < 16 ? out[i].piece < 8 : out[i].piece >= 20);
}

static void test_blocks_nobody_asked_for_are_unwanted(void **state)
{
	uint32_t n;

	(void)state;
	begin(4, 65536, MIB);
	seed(0);
	seed(1);
	pick(&peer[0], 1, 0);
	assert_int_equal(block(&peer[1], out[0].piece, 0, 0), PICKER_UNWANTED);
	assert_int_equal(block(&peer[0], out[0].piece, 1, 0), PICKER_UNWANTED);
	assert_int_equal(picker_on_block(p, &peer[0], 4, 0, BLOCK_BYTES, 0, others, 8, &n), PICKER_UNWANTED);
	assert_int_equal(picker_on_block(p, &peer[0], UINT32_MAX, 0, BLOCK_BYTES, 0, others, 8, &n), PICKER_UNWANTED);
	assert_int_equal(picker_on_block(p, &peer[0], out[0].piece, 1, BLOCK_BYTES, 0, others, 8, &n), PICKER_UNWANTED);
	assert_int_equal(picker_on_block(p, &peer[0], out[0].piece, 0, BLOCK_BYTES - 1, 0, others, 8, &n), PICKER_UNWANTED);
	assert_int_equal(picker_on_block(p, &peer[0], out[0].piece, 65536, BLOCK_BYTES, 0, others, 8, &n), PICKER_UNWANTED);
	assert_int_equal(picker_on_block(p, &peer[0], out[0].piece, 0xffffc000u, BLOCK_BYTES, 0, others, 8, &n), PICKER_UNWANTED);
	assert_int_equal(block(&peer[0], out[0].piece, 0, 0), PICKER_TAKE);
	assert_int_equal(block(&peer[0], out[0].piece, 0, 0), PICKER_UNWANTED);
}

static void test_late_block_of_an_open_piece_is_used(void **state)
{
	uint32_t piece;

	(void)state;
	begin(4, 65536, MIB);
	seed(0);
	pick(&peer[0], 2, 0);
	piece = out[0].piece;
	picker_give_back_all(p, &peer[0]);
	picker_check(p);
	assert_int_equal(peer[0].queue_count, 0);
	pick(seed(1), 1, 0);
	assert_int_equal(out[0].piece, piece);
	/* Peer 1 was asked for it meanwhile and is cancelled. */
	assert_int_equal(block(&peer[0], piece, 0, 0), PICKER_TAKE);
	assert_int_equal(others_count, 1);
	assert_ptr_equal(others[0], &peer[1]);
	assert_int_equal(peer[1].queue_count, 0);
	assert_int_equal(block(&peer[1], piece, 0, 0), PICKER_DUPLICATE);
	assert_int_equal(block(&peer[0], piece, 1, 0), PICKER_TAKE);
	assert_int_equal(block(&peer[0], piece, 2, 0), PICKER_UNWANTED);
}

static void test_blocks_are_taken_off_in_any_order(void **state)
{
	uint32_t piece, i;

	(void)state;
	begin(1, 64 * BLOCK_BYTES, 4 * MIB);
	assert_int_equal(pick(seed(0), 64, 0), 64);
	piece = out[0].piece;
	for (i = 0; i < 64; i++)
		assert_int_equal(block(&peer[0], piece, i * 29 % 64, 0), PICKER_TAKE);
	assert_true(picker_on_verified(p, piece));
	assert_true(picker_complete(p));
	assert_false(picker_interesting(p, &peer[0]));
	assert_int_equal(pick(&peer[0], 5, 0), 0);
}

static void test_queue_grows_to_its_cap_and_wraps(void **state)
{
	uint32_t i;

	(void)state;
	begin(1, 4096 * BLOCK_BYTES, 256ull * MIB);
	seed(0)->proven = true;
	for (i = 0; i < 20; i++)
		pick(&peer[0], 1, 0);
	for (i = 0; i < 15; i++)
		assert_int_equal(block(&peer[0], 0, i, 0), PICKER_TAKE);
	assert_int_equal(pick(&peer[0], 4000, 0), PICKER_QUEUE_MAX - 5);
	assert_int_equal(pick(&peer[0], 1, 0), 0);
	for (i = 0; i < PICKER_QUEUE_MAX; i++)
		assert_int_equal(picker_queued(&peer[0], i).block, 15 + i);
}

static void test_verdict_for_a_piece_that_is_not_waiting_is_refused(void **state)
{
	(void)state;
	begin(4, 65536, MIB);
	seed(0);
	pick(&peer[0], 4, 0);
	assert_false(picker_on_verified(p, out[0].piece));
	assert_false(picker_on_rejected(p, out[0].piece));
	assert_false(picker_on_verified(p, 99));
	assert_false(picker_on_rejected(p, UINT32_MAX));
	assert_false(picker_on_spilled(p, 0));
	answer_all(&peer[0], 0);
	assert_true(picker_on_verified(p, out[0].piece));
	assert_false(picker_on_verified(p, out[0].piece));
}

/* One piece of four blocks: 0 and 1 by peer 0, 2 and 3 by peer 1; rejected. */
static void reject_shared(void)
{
	seed(0)->proven = true;
	seed(1)->fast = false;
	pick(&peer[0], 2, 0);
	pick(&peer[1], 2, 0);
	answer_all(&peer[0], 0);
	answer_all(&peer[1], 0);
	assert_true(picker_on_rejected(p, 0));
	picker_check(p);
}

static void test_senders_of_a_rejected_copy_are_remembered(void **state)
{
	uint32_t ids[4];

	(void)state;
	begin(1, 65536, MIB);
	reject_shared();
	assert_int_equal(picker_attempts(p, 0), 1);
	assert_int_equal(picker_sender(p, 0, 0, 1), 1);
	assert_int_equal(picker_sender(p, 0, 0, 3), 2);
	assert_int_equal(picker_sender(p, 0, 0, 4), 0);
	assert_int_equal(picker_sender(p, 0, 1, 0), 0);
	assert_int_equal(picker_suspects(p, 0, 0, ids, 4), 2);
	assert_int_equal(ids[0], 1);
	assert_int_equal(ids[1], 2);
	assert_int_equal(picker_sole_sender(p, 0, 0), 0);
	/* They are still known when the peers are gone. */
	picker_leave(p, &peer[0]);
	assert_int_equal(picker_sender(p, 0, 0, 0), 1);
}

static void test_new_copy_comes_from_one_peer_beyond_doubt(void **state)
{
	(void)state;
	begin(1, 65536, MIB);
	reject_shared();
	seed(2);
	assert_int_equal(pick(&peer[0], 4, 10), 0);
	assert_int_equal(pick(&peer[2], 1, 10), 1);
	seed(3);
	/* Neither a suspect nor another one meddles while it works. */
	assert_int_equal(pick(&peer[1], 4, 20), 0);
	assert_int_equal(pick(&peer[3], 4, 20), 0);
	assert_int_equal(pick(&peer[2], 3, 20), 3);
	answer_all(&peer[2], 30);
	assert_true(picker_on_rejected(p, 0));
	assert_int_equal(picker_sole_sender(p, 0, 1), 3);
}

static void test_late_block_does_not_mix_into_a_new_copy(void **state)
{
	(void)state;
	begin(1, 65536, MIB);
	seed(0);
	pick(&peer[0], 4, 0);
	picker_give_back(p, &peer[0], 0, 3);
	seed(1)->fast = false;
	assert_int_equal(pick(&peer[1], 1, 0), 1);
	answer_all(&peer[1], 0);
	answer_all(&peer[0], 0);
	assert_true(picker_on_rejected(p, 0));
	assert_int_equal(block(&peer[0], 0, 3, 1), PICKER_DUPLICATE);
	assert_int_equal(open_of(p, 0)->missing, 4);
}

static void test_suspects_fetch_the_new_copy_when_there_is_nobody_else(void **state)
{
	(void)state;
	begin(1, 65536, MIB);
	reject_shared();
	assert_int_equal(pick(&peer[0], 4, 10), 4);
}

static void test_owner_that_stops_is_replaced(void **state)
{
	(void)state;
	begin(1, 65536, MIB);
	reject_shared();
	seed(2);
	assert_int_equal(pick(&peer[2], 1, 10), 1);
	seed(3);
	assert_int_equal(pick(&peer[3], 4, 20), 0);
	assert_int_equal(pick(&peer[3], 4, 10 + OWNER_IDLE_MS), 4); /* three that are free, one that is overdue */
	picker_leave(p, &peer[3]);
	picker_leave(p, &peer[2]);
	assert_int_equal(pick(seed(4), 4, 2020), 4);
}

static void test_last_eight_bad_copies_are_remembered(void **state)
{
	uint32_t i;

	(void)state;
	begin(1, 65536, MIB);
	for (i = 0; i < 10; i++) {
		seed(i);
		assert_int_equal(pick(&peer[i], 4, i * 10), 4);
		answer_all(&peer[i], i * 10);
		assert_true(picker_on_rejected(p, 0));
	}
	assert_int_equal(picker_attempts(p, 0), 10);
	assert_int_equal(picker_sole_sender(p, 0, 1), 0);
	assert_int_equal(picker_sole_sender(p, 0, 2), 3);
	assert_int_equal(picker_sole_sender(p, 0, 9), 10);
	assert_int_equal(picker_sole_sender(p, 0, 10), 0);
	seed(10);
	assert_int_equal(pick(&peer[10], 4, 200), 4);
	answer_all(&peer[10], 200);
	assert_true(picker_on_verified(p, 0));
	assert_int_equal(picker_attempts(p, 0), 0);
}

static void test_block_that_could_not_be_passed_on_is_wanted_again(void **state)
{
	uint32_t piece;

	(void)state;
	begin(1, 65536, MIB);
	seed(0);
	pick(&peer[0], 4, 0);
	piece = out[0].piece;
	answer_all(&peer[0], 0);
	picker_give_back(p, &peer[0], piece, 3);
	picker_check(p);
	assert_false(picker_on_verified(p, piece));
	assert_int_equal(pick(&peer[0], 4, 0), 1);
	assert_int_equal(out[0].block, 3);
	/* Nobody else can give it back. */
	picker_give_back(p, seed(1), piece, 0);
	picker_give_back(p, &peer[1], 9, 0);
	picker_give_back(p, &peer[1], piece, 77);
	assert_int_equal(pick(&peer[1], 4, 0), 0);
}

static void test_what_was_given_back_is_asked_for_first(void **state)
{
	uint32_t piece;

	(void)state;
	begin(64, 65536, 4 * MIB);
	seed(0);
	pick(&peer[0], 4, 0);
	piece = out[0].piece;
	seed(1);
	picker_leave(p, &peer[0]);
	assert_int_equal(pick(&peer[1], 8, 0), 8);
	assert_int_equal(out[0].piece, piece);
	assert_int_not_equal(out[4].piece, piece);
}

static void test_a_peer_on_trial_gets_little_until_a_piece_is_good(void **state)
{
	uint32_t first;

	(void)state;
	begin(64, MIB / 2, 64 * MIB);
	assert_int_equal(pick(seed(0), 1000, 0), 64);
	first = out[0].piece;
	answer_all(&peer[0], 10);
	assert_int_equal(pick(&peer[0], 1000, 10), 0);
	assert_true(picker_on_verified(p, first));
	assert_ptr_equal(picker_hungry(p), &peer[0]);
	assert_int_equal(pick(&peer[0], 1000, 10), 1000);
	/* Time proves it, too. */
	assert_int_equal(pick(seed(1), 1000, 10), 64);
	assert_int_equal(pick(&peer[1], 1000, 10 + TRIAL_MS), 920);
}

static void test_endgame_doubles_only_what_is_late(void **state)
{
	(void)state;
	begin(1, 8 * BLOCK_BYTES, MIB);
	seed(0)->expected_ms = 100;
	seed(1)->expected_ms = 100;
	assert_int_equal(pick(&peer[0], 8, 1000), 8);
	assert_int_equal(pick(&peer[1], 8, 1010), 0);
	assert_int_equal(pick(&peer[1], 8, 1400), 0);
	assert_int_equal(pick(&peer[1], 3, 1501), 3);
	/* From the end of the queue. */
	assert_int_equal(out[0].block, 7);
	assert_int_equal(out[2].block, 5);
	assert_int_equal(block(&peer[1], 0, 7, 1510), PICKER_TAKE);
	assert_int_equal(others_count, 1);
	assert_ptr_equal(others[0], &peer[0]);
	assert_int_equal(block(&peer[0], 0, 7, 1520), PICKER_DUPLICATE);
	/* Of 5 and 6 two were asked; a third is asked only when both are silent. */
	seed(2)->expected_ms = 1;
	assert_int_equal(pick(&peer[2], 8, 1600), 5);
	assert_int_equal(out[0].block, 4);
	assert_int_equal(pick(&peer[2], 8, 2500), 2);
	assert_int_equal(out[0].block, 5);
	assert_int_equal(out[1].block, 6);
	seed(3);
	assert_int_equal(pick(&peer[3], 8, 9000), 5);
	assert_int_equal(pick(seed(4), 8, 20000), 0);
}

static void test_slow_peer_keeps_only_what_it_answers_soon(void **state)
{
	uint32_t i;

	(void)state;
	begin(1, 8 * BLOCK_BYTES, MIB);
	seed(0)->expected_ms = 1600; /* 200 ms a block */
	seed(1)->expected_ms = 10;
	assert_int_equal(pick(&peer[0], 8, 1000), 8);
	assert_int_equal(pick(&peer[1], 8, 1001), 6);
	for (i = 0; i < 6; i++)
		assert_int_equal(out[i].block, 7 - i);
}

static void test_snubbed_peer_holds_nothing_hostage_when_memory_is_full(void **state)
{
	(void)state;
	begin(64, 65536, 4 * 65536);
	seed(0)->proven = true;
	assert_int_equal(pick(&peer[0], 16, 0), 16);
	seed(1);
	assert_int_equal(pick(&peer[1], 16, 0), 0);
	peer[0].snubbed = true;
	assert_int_equal(pick(&peer[1], 16, 100), 16);
	assert_int_equal(pick(&peer[0], 16, 200), 0);
}

static void test_a_sound_peer_gets_a_block_however_many_unknown_ones_sit_on_it(void **state)
{
	struct picker_peer *good, *idle[3];
	uint32_t i, n;

	(void)state;
	begin(2, 2 * BLOCK_BYTES, 1 << 20);
	good = seed(0);
	n = pick(good, 2, 0);
	assert_int_equal(n, 2);
	answer_all(good, 1);
	assert_true(picker_on_verified(p, out[0].piece));
	assert_true(good->proven);
	/* Three that have shown nothing are asked for both blocks of the other piece, and answer none. */
	for (i = 0; i < 3; i++) {
		idle[i] = seed(1 + i);
		idle[i]->expected_ms = 3600000;
		pick(idle[i], 2, 2 + 9000ull * i);
	}
	assert_int_equal(idle[0]->queue_count, 2);
	/* The last was asked just now: it is not waited for longer than a second. */
	assert_int_equal(pick(good, 2, 2 + 18000 + 1500), 2);
	assert_int_equal(good->queue_count, 2);
	for (i = n = 0; i < 3; i++)
		n += idle[i]->queue_count;
	assert_true(n <= 4);
}

static void test_idle_piece_waits_on_disk_while_others_need_memory(void **state)
{
	uint32_t piece, i;

	(void)state;
	begin(64, 65536, 4 * 65536);
	seed(0)->proven = true;
	assert_int_equal(pick(&peer[0], 13, 0), 13);
	piece = out[0].piece;
	assert_int_equal(picker_spill_candidate(p, 50), UINT32_MAX); /* nobody waits */
	assert_int_equal(block(&peer[0], piece, 0, 100), PICKER_TAKE);
	assert_int_equal(pick(&peer[0], 100, 20000), 3);
	assert_int_equal(picker_spill_candidate(p, 20000), piece);
	picker_check(p);
	/* Of the other three diskproc has nothing: they gave up their memory without a word. */
	assert_int_equal(picker_spill_candidate(p, 20000), UINT32_MAX);
	picker_check(p);
	assert_int_equal(p->reserved, 65536);
	assert_true(picker_on_spilled(p, piece));
	assert_false(picker_on_spilled(p, piece));
	assert_int_equal(p->reserved, 0);
	seed(1)->proven = true;
	assert_int_equal(pick(&peer[1], 16, 20000), 16);
	/* No memory for late blocks now: they are dropped and wanted again. */
	for (i = 1; i < 4; i++)
		assert_int_equal(block(&peer[0], piece, i, 20001), PICKER_DUPLICATE);
	answer_all(&peer[1], 20002);
	assert_true(picker_on_verified(p, out[0].piece));
	assert_int_equal(pick(&peer[1], 3, 20003), 3);
	assert_int_equal(out[0].piece, piece);
	answer_all(&peer[1], 20004);
	assert_true(picker_on_verified(p, piece));
}

static void test_block_after_the_spill_message_takes_memory_again(void **state)
{
	uint32_t piece;

	(void)state;
	begin(64, 65536, 4 * 65536);
	seed(0)->proven = true;
	assert_int_equal(pick(&peer[0], 16, 0), 16);
	piece = out[0].piece;
	assert_int_equal(block(&peer[0], piece, 0, 100), PICKER_TAKE);
	pick(&peer[0], 1, 10100);
	assert_int_equal(picker_spill_candidate(p, 10100), piece);
	assert_int_equal(block(&peer[0], piece, 1, 10101), PICKER_TAKE);
	assert_true(picker_on_spilled(p, piece));
	picker_check(p);
	assert_true(open_of(p, piece)->reserved);
}

static void test_restart_of_diskproc_loses_open_pieces_but_no_request(void **state)
{
	uint32_t a, b;

	(void)state;
	begin(8, 65536, MIB);
	picker_have(p, 3);
	picker_have(p, 3);
	assert_int_equal(picker_missing(p), 7);
	seed(0)->proven = true;
	pick(&peer[0], 8, 0);
	a = out[0].piece;
	b = out[4].piece;
	assert_int_equal(block(&peer[0], a, 0, 0), PICKER_TAKE);
	picker_reset(p);
	picker_check(p);
	assert_int_equal(picker_missing(p), 8);
	assert_int_equal(peer[0].queue_count, 7);
	assert_int_equal(picker_open(p), 2);
	/* It says that it has b: what was asked for of it is off. */
	picker_have(p, b);
	picker_check(p);
	assert_int_equal(peer[0].queue_count, 3);
	assert_int_equal(block(&peer[0], b, 0, 0), PICKER_DUPLICATE);
	assert_int_equal(pick(&peer[0], 1, 0), 1);
	assert_int_equal(out[0].piece, a);
	assert_int_equal(out[0].block, 0);
	answer_all(&peer[0], 0);
	assert_true(picker_on_verified(p, a));
	picker_reset(p);
	picker_check(p);
	assert_int_equal(picker_missing(p), 8);
	assert_true(picker_interesting(p, &peer[0]));
}

static void test_interest_follows_what_is_missing(void **state)
{
	(void)state;
	begin(8, 16384, MIB);
	PARTIAL(0, 2, 5);
	peer[1].id = 2;
	picker_join(p, &peer[1]); /* has nothing */
	assert_false(picker_interesting(p, &peer[1]));
	assert_true(picker_interesting(p, &peer[0]));
	picker_have(p, 2);
	assert_true(picker_interesting(p, &peer[0]));
	picker_have(p, 5);
	assert_false(picker_interesting(p, &peer[0]));
	bitfield_set(bits[0], 2);
	bitfield_set(bits[0], 1);
	picker_peer_has(p, &peer[0], 1);
	assert_true(picker_interesting(p, &peer[0]));
	picker_have(p, 1);
	assert_false(picker_interesting(p, &peer[0]));
	picker_reset(p);
	assert_true(picker_interesting(p, &peer[0]));
	assert_int_equal(pick(&peer[1], 4, 0), 0);
}

static void test_last_short_piece_has_its_own_lengths(void **state)
{
	uint32_t n;

	(void)state;
	p = picker_new(2, 65536, 65536 + 16385, MIB, 1);
	memset(peer, 0, sizeof peer);
	picker_have(p, 0);
	assert_int_equal(pick(seed(0), 9, 0), 2);
	assert_int_equal(out[1].piece, 1);
	assert_int_equal(picker_on_block(p, &peer[0], 1, 16384, 16384, 0, others, 8, &n), PICKER_UNWANTED);
	assert_int_equal(picker_on_block(p, &peer[0], 1, 16384, 1, 0, others, 8, &n), PICKER_TAKE);
	assert_int_equal(picker_on_block(p, &peer[0], 1, 0, 16384, 0, others, 8, &n), PICKER_TAKE);
	assert_true(picker_on_verified(p, 1));
	assert_true(picker_complete(p));
}

static void test_many_peers_with_few_pieces_find_them(void **state)
{
	uint32_t i, found = 0;

	(void)state;
	/* 500 pieces; 250 peers have piece 2i only; 50 have 300 of them, which makes these common. */
	begin(500, 16384, 500ull * 16384);
	for (i = 0; i < 250; i++)
		PARTIAL(i, 2 * i);
	for (; i < PEERS; i++) {
		uint32_t k;
		for (k = 0; k < 300; k++)
			bitfield_set(bits[i], k);
		PARTIAL(i, 300);
	}
	for (i = 0; i < 250; i++) {
		if (pick(&peer[i], 5, 0) == 1 && out[0].piece == 2 * i)
			found++;
	}
	assert_int_equal(found, 250);
}

static void test_torrent_without_pieces_is_complete(void **state)
{
	(void)state;
	p = picker_new(0, 16384, 0, MIB, 1);
	memset(peer, 0, sizeof peer);
	assert_true(picker_complete(p));
	assert_int_equal(pick(seed(0), 5, 0), 0);
	assert_false(picker_interesting(p, &peer[0]));
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, end)
	const struct CMUnitTest tests[] = {
		T(test_blocks_come_in_runs_of_one_piece),
		T(test_rarest_piece_is_first),
		T(test_have_and_leaving_change_rarity),
		T(test_start_is_random_and_goes_on_with_neighbours),
		T(test_who_is_one_of_many_takes_no_runs),
		T(test_two_seeds_work_on_pieces_of_their_own),
		T(test_slow_peer_joins_before_it_opens),
		T(test_a_named_piece_is_picked_from_and_no_other),
		T(test_a_named_piece_that_the_peer_lacks_or_that_is_none_is_not_asked_for),
		T(test_a_named_piece_takes_no_more_memory_than_there_is_and_no_more_blocks_than_a_trial),
		T(test_memory_is_never_exceeded_and_the_hungry_get_what_is_freed),
		T(test_half_of_the_memory_is_kept_from_single_sources),
		T(test_blocks_nobody_asked_for_are_unwanted),
		T(test_late_block_of_an_open_piece_is_used),
		T(test_blocks_are_taken_off_in_any_order),
		T(test_queue_grows_to_its_cap_and_wraps),
		T(test_verdict_for_a_piece_that_is_not_waiting_is_refused),
		T(test_senders_of_a_rejected_copy_are_remembered),
		T(test_new_copy_comes_from_one_peer_beyond_doubt),
		T(test_late_block_does_not_mix_into_a_new_copy),
		T(test_suspects_fetch_the_new_copy_when_there_is_nobody_else),
		T(test_owner_that_stops_is_replaced),
		T(test_last_eight_bad_copies_are_remembered),
		T(test_block_that_could_not_be_passed_on_is_wanted_again),
		T(test_what_was_given_back_is_asked_for_first),
		T(test_a_peer_on_trial_gets_little_until_a_piece_is_good),
		T(test_endgame_doubles_only_what_is_late),
		T(test_slow_peer_keeps_only_what_it_answers_soon),
		T(test_snubbed_peer_holds_nothing_hostage_when_memory_is_full),
		T(test_a_sound_peer_gets_a_block_however_many_unknown_ones_sit_on_it),
		T(test_idle_piece_waits_on_disk_while_others_need_memory),
		T(test_block_after_the_spill_message_takes_memory_again),
		T(test_restart_of_diskproc_loses_open_pieces_but_no_request),
		T(test_interest_follows_what_is_missing),
		T(test_last_short_piece_has_its_own_lengths),
		T(test_many_peers_with_few_pieces_find_them),
		T(test_torrent_without_pieces_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
