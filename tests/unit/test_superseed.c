/* test_superseed.c - which piece is shown to whom, and a swarm that is seeded that way. */
#include "../../netproc/superseed.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PIECES 100u
#define PEERS 8u
#define START UINT64_C(500000)

static struct superseed s;
static struct superseed_peer peer[PEERS];
static uint8_t have[PEERS][(PIECES + 7) / 8];

static int set_up(void **state)
{
	(void)state;
	superseed_init(&s, PIECES, 7);
	memset(peer, 0, sizeof peer);
	memset(have, 0, sizeof have);
	return 0;
}

/* Everything is counted as often as it is there. */
static void check(void)
{
	uint32_t i, k, seen, shown, unseen = 0, peers = 0;

	for (i = 0; i < PIECES; i++) {
		for (k = 0, seen = 0, shown = 0; k < PEERS; k++) {
			seen += peer[k].joined && bitfield_get(have[k], i);
			shown += superseed_was_shown(&peer[k], i);
			assert_false(superseed_was_shown(&peer[k], i) && bitfield_get(have[k], i));
		}
		assert_int_equal(s.seen[i], seen);
		assert_int_equal(s.shown[i], shown);
		unseen += !seen;
	}
	for (k = 0; k < PEERS; k++)
		peers += peer[k].joined;
	assert_int_equal(s.unseen, unseen);
	assert_int_equal(s.peers, peers);
}

static int tear_down(void **state)
{
	(void)state;
	check();
	superseed_release(&s);
	return 0;
}

static void has(uint32_t k, uint32_t piece)
{
	if (bitfield_get(have[k], piece))
		return;
	bitfield_set(have[k], piece);
	superseed_on_have(&s, &peer[k], piece);
}

static uint32_t next(uint32_t k, uint64_t now)
{
	return superseed_next(&s, &peer[k], have[k], now);
}

static void test_each_peer_is_shown_one_piece_and_each_another(void **state)
{
	uint32_t k, piece[PEERS], i;

	(void)state;
	for (k = 0; k < PEERS; k++) {
		assert_int_equal(next(k, START), SUPERSEED_NONE); /* it has not joined */
		superseed_join(&s, &peer[k], NULL);
		piece[k] = next(k, START);
		assert_true(piece[k] < PIECES);
		for (i = 0; i < k; i++)
			assert_int_not_equal(piece[i], piece[k]);
		assert_true(superseed_was_shown(&peer[k], piece[k]));
		assert_int_equal(next(k, START + 1000), SUPERSEED_NONE);
	}
	/* To have it is not enough: it must be seen elsewhere. */
	has(0, piece[0]);
	assert_int_equal(next(0, START + 1000), SUPERSEED_NONE);
	assert_false(superseed_was_shown(&peer[0], piece[0]));
	has(1, piece[0]);
	assert_true(next(0, START + 1000) < PIECES);
	assert_int_equal(next(1, START + 1000), SUPERSEED_NONE);
	/* Seen elsewhere first, by one who had it of another: as good. */
	has(2, piece[3]);
	assert_true(next(3, START + 1000) < PIECES);
}

static void test_a_peer_that_cannot_pass_on_gets_one_a_minute_up_to_four(void **state)
{
	uint32_t i;

	(void)state;
	superseed_join(&s, &peer[0], NULL);
	superseed_join(&s, &peer[1], NULL);
	for (i = 0; i < SUPERSEED_SHOWN; i++) {
		assert_true(next(0, START + i * SUPERSEED_WAIT_MS) < PIECES);
		assert_int_equal(next(0, START + (i + 1) * SUPERSEED_WAIT_MS - 1), SUPERSEED_NONE);
	}
	assert_int_equal(next(0, START + 99 * SUPERSEED_WAIT_MS), SUPERSEED_NONE);
	has(0, peer[0].shown[0]);
	assert_true(next(0, START + 99 * SUPERSEED_WAIT_MS) < PIECES);
}

static void test_a_peer_alone_does_not_wait(void **state)
{
	uint32_t i, piece;

	(void)state;
	superseed_join(&s, &peer[0], NULL);
	for (i = 0; i < PIECES; i++) {
		assert_false(superseed_done(&s));
		piece = next(0, START);
		assert_true(piece < PIECES);
		assert_int_equal(next(0, START), SUPERSEED_NONE);
		has(0, piece);
	}
	assert_true(superseed_done(&s));
	assert_int_equal(next(0, START), SUPERSEED_NONE);
}

static void test_pieces_that_nobody_has_come_first(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < PIECES; i++)
		if (i != 57)
			bitfield_set(have[0], i);
	superseed_join(&s, &peer[0], have[0]);
	superseed_join(&s, &peer[1], NULL);
	assert_int_equal(next(1, START), 57);
	/* The one who needs it is not shown another one's. */
	assert_int_equal(next(0, START), 57);
	assert_int_equal(next(0, START + SUPERSEED_WAIT_MS), SUPERSEED_NONE);
	superseed_leave(&s, &peer[0], have[0]);
	superseed_leave(&s, &peer[0], have[0]);
	assert_int_equal(s.unseen, PIECES);
	assert_false(superseed_done(&s));
}

static void test_it_ends_when_every_piece_is_out_there_and_stays_so(void **state)
{
	uint32_t i;

	(void)state;
	superseed_join(&s, &peer[0], NULL);
	superseed_join(&s, &peer[1], NULL);
	for (i = 0; i < PIECES; i++)
		has(i % 2, i);
	assert_true(superseed_done(&s));
	superseed_leave(&s, &peer[0], have[0]);
	assert_true(superseed_done(&s));
}

/* Peers that pass on what they have: what the seed sends until it is done is little more than one copy. */
static void test_a_swarm_is_seeded_with_little_more_than_one_copy(void **state)
{
	uint64_t now = START, chance = 1;
	uint32_t sent = 0, step, k, i, j;

	(void)state;
	for (k = 0; k < PEERS; k++)
		superseed_join(&s, &peer[k], NULL);
	for (step = 0; step < 10000 && !superseed_done(&s); step++) {
		k = step % PEERS;
		now += 100;
		(void)next(k, now);
		/* The seed sends one piece in this step, the peers one each among themselves. */
		if (peer[k].shown_count) {
			has(k, peer[k].shown[0]);
			sent++;
		}
		for (j = 0; j < PEERS; j++) {
			chance = chance * UINT64_C(6364136223846793005) + 1;
			for (i = 0; i < PIECES; i++) {
				uint32_t piece = ((uint32_t)(chance >> 33) + i) % PIECES;

				if (bitfield_get(have[j], piece) && !bitfield_get(have[(j + step) % PEERS], piece)) {
					has((j + step) % PEERS, piece);
					break;
				}
			}
		}
		check();
	}
	assert_true(superseed_done(&s));
	assert_in_range(sent, PIECES, PIECES * 11 / 10);
}

static void test_random_comings_and_goings_keep_the_counts(void **state)
{
	uint64_t chance = 99, now = START;
	uint32_t i, k, piece;

	(void)state;
	for (i = 0; i < 20000; i++) {
		chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		k = (uint32_t)(chance >> 60) % PEERS;
		piece = (uint32_t)(chance >> 40) % PIECES;
		now += (chance >> 33) % 1000;
		if (!peer[k].joined) {
			memset(have[k], 0, sizeof have[k]);
			bitfield_set(have[k], piece);
			superseed_join(&s, &peer[k], have[k]);
		} else if (i % 50 == 0) {
			superseed_leave(&s, &peer[k], have[k]);
			memset(have[k], 0, sizeof have[k]);
		} else if (i % 3) {
			has(k, peer[k].shown_count && i % 2 ? peer[k].shown[0] : piece);
		} else {
			(void)next(k, now);
		}
		if (i % 10 == 0)
			check();
		if (s.done)
			s.done = false; /* go on */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_peer_is_shown_one_piece_and_each_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_peer_that_cannot_pass_on_gets_one_a_minute_up_to_four, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_peer_alone_does_not_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pieces_that_nobody_has_come_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_it_ends_when_every_piece_is_out_there_and_stays_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_swarm_is_seeded_with_little_more_than_one_copy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_random_comings_and_goings_keep_the_counts, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("superseed", tests, NULL, NULL);
}
