/*
 * test_picker_swarm.c - picker.c and rate.c together, in swarms of simulated time.
 */
#include "../../netproc/picker.c"
#include "../../netproc/picker_pick.c"
#include "../../netproc/picker_verdict.c"
#include "../../netproc/rarity.c"
#include "../../netproc/rate.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "picker_check.h"
#include "swarm_sim.h"

#define MIB (1024u * 1024u)

static void report(const char *name, const struct sim *s, uint32_t ms)
{
	print_message("           %-10s %5u ms, sent %.4f of the payload, wasted %llu, cancels %llu, rejected %u, bans %u, open %u\n", name, ms,
		      (double)s->sent / (double)s->total_length, (unsigned long long)s->wasted, (unsigned long long)s->cancels, s->rejected,
		      s->bans, s->most_open);
}

static void test_one_unlimited_seed_is_limited_by_the_reader_only(void **state)
{
	struct sim *s = sim_new(1024ull * MIB, MIB, 1);
	uint32_t ms;

	(void)state;
	ms = sim_run(s, 20000);
	report("bulk", s, ms);
	assert_in_range(ms, 1, 905); /* 895 at 1.2 GB/s */
	assert_int_equal(s->wasted, 0);
	assert_int_equal(s->sent, s->total_length);
	sim_free(s);
}

static void test_tiny_pieces_are_limited_by_the_reader_only(void **state)
{
	struct sim *s = sim_new(1024ull * MIB, 16384, 1);
	uint32_t ms;

	(void)state;
	s->check_every = 4000;
	ms = sim_run(s, 20000);
	report("pieces", s, ms);
	assert_in_range(ms, 1, 905);
	assert_int_equal(s->sent, s->total_length);
	sim_free(s);
}

static void test_fifty_seeds_send_hardly_more_than_the_payload(void **state)
{
	struct sim *s = sim_new(1024ull * MIB, MIB, 50);
	uint32_t ms;

	(void)state;
	ms = sim_run(s, 20000);
	report("swarm", s, ms);
	assert_in_range(ms, 1, 905);
	assert_true(s->sent <= s->total_length + s->total_length / 100);
	sim_free(s);
}

static void test_eight_distant_seeds_fill_the_pipe_soon(void **state)
{
	struct sim *s = sim_new(256ull * MIB, MIB / 2, 8);
	uint32_t i, ms;

	(void)state;
	for (i = 0; i < 8; i++)
		s->peer[i].delay_us = 100000;
	ms = sim_run(s, 20000);
	report("latency", s, ms + 60);
	assert_in_range(ms + 60, 1, 910); /* 1.4 times 0.65 s, 60 ms of it for the start */
	assert_int_equal(s->wasted, 0);
	sim_free(s);
}

static void test_a_pause_of_ours_makes_nobody_late(void **state)
{
	struct sim *s = sim_new(1024ull * MIB, MIB, 50);
	uint32_t ms;

	(void)state;
	s->pause_us = 880000; /* everything is asked for by then */
	s->pause_for_us = 2000000;
	ms = sim_run(s, 20000);
	report("pause", s, ms);
	assert_in_range(ms, 1, 2905);
	assert_true(s->sent <= s->total_length + s->total_length / 100);
	sim_free(s);
}

static struct sim *slowmix(uint32_t slow, uint32_t stalled, uint32_t fast)
{
	struct sim *s = sim_new(256ull * MIB, MIB / 2, slow + stalled + fast);
	uint32_t i;

	for (i = 0; i < slow; i++)
		s->peer[i].rate = 65536;
	for (; i < slow + stalled; i++)
		s->peer[i].stall = true;
	for (; i < slow + stalled + fast; i++)
		s->peer[i].rate = 20000000;
	return s;
}

static void test_slow_and_silent_seeds_do_not_hold_up_fast_ones(void **state)
{
	struct sim *alone = slowmix(0, 0, 5), *s = slowmix(30, 5, 5);
	uint32_t alone_ms, ms;

	(void)state;
	alone_ms = sim_run(alone, 20000);
	ms = sim_run(s, 20000);
	report("fast five", alone, alone_ms);
	report("slowmix", s, ms);
	assert_in_range(ms, 1, alone_ms * 11 / 10);
	assert_true(s->sent <= s->total_length + s->total_length / 50);
	sim_free(alone);
	sim_free(s);
}

static void test_seeds_of_garbage_are_found_soon(void **state)
{
	struct sim *s = sim_new(256ull * MIB, MIB / 2, 10);
	uint32_t i, ms;

	(void)state;
	for (i = 0; i < 3; i++)
		s->peer[i].corrupt = true;
	ms = sim_run(s, 20000);
	report("hostile", s, ms);
	assert_in_range(ms, 1, 360);
	assert_int_equal(s->bans, 3);
	assert_true(s->sent <= s->total_length + s->total_length / 25);
	sim_free(s);
}

static void test_a_seed_that_stops_with_250_requests_holds_nothing_hostage(void **state)
{
	struct sim *s = sim_new(256ull * MIB, MIB, 4);
	uint32_t i, ms;

	(void)state;
	for (i = 0; i < 4; i++)
		s->peer[i].rate = 20000000;
	s->peer[0].stall_after = 1000;
	ms = sim_run(s, 60000);
	report("stops", s, ms);
	/* 16384 blocks less 1000 at 60 MB/s: 4200 ms, and what the dead one was waited for. */
	assert_in_range(ms, 1, 4800);
	assert_true(s->wasted < 2u * MIB);
	sim_free(s);
}

static void test_a_choke_in_the_middle_loses_nothing(void **state)
{
	struct sim *s = sim_new(64ull * MIB, MIB, 2);
	uint32_t ms;

	(void)state;
	s->peer[0].rate = s->peer[1].rate = 20000000;
	s->peer[0].choke_us = 500000;
	s->peer[0].unchoke_us = 1000000;
	ms = sim_run(s, 20000);
	report("choke", s, ms);
	assert_in_range(ms, 1, 2100); /* 67 MB at 40 MB/s with half a second at half speed: 1930 */
	assert_true(s->wasted <= 2 * BLOCK_BYTES);
	sim_free(s);
}

static void test_partial_peers_complete_each_other(void **state)
{
	struct sim *s = sim_new(100ull * MIB + 5000, MIB / 4, 24);
	uint32_t i, k, ms, seed = 7;

	(void)state;
	for (i = 0; i < 24; i++) {
		s->peer[i].rate = 5000000;
		s->peer[i].join_us = i * 20000;
		s->peer[i].have = must_calloc(bitfield_bytes(s->pieces), 1);
		for (k = 0; k < s->pieces; k++) {
			seed = seed * 1664525 + 1013904223;
			/* A quarter each; every piece somewhere. */
			if (seed >> 30 == 0 || k % 24 == i)
				bitfield_set(s->peer[i].have, k);
		}
	}
	ms = sim_run(s, 20000);
	report("partial", s, ms);
	assert_in_range(ms, 1, 2000);
	assert_true(s->wasted <= s->total_length / 100);
	sim_free(s);
}

static void test_many_slow_peers_share_open_pieces(void **state)
{
	struct sim *s = sim_new(64ull * MIB, 4 * MIB, 100);
	uint32_t i, ms;

	(void)state;
	s->budget = 16 * MIB;
	picker_free(s->p);
	s->p = picker_new(s->pieces, s->piece_length, s->total_length, s->budget, 5);
	for (i = 0; i < 100; i++)
		s->peer[i].rate = 100000;
	ms = sim_run(s, 60000);
	report("slow 100", s, ms);
	/* 67 MB at 10 MB/s: 6700 ms; with memory for four pieces the last blocks of each are waited for. */
	assert_in_range(ms, 1, 9000);
	assert_int_equal(s->most_open, 4);
	assert_true(s->wasted <= s->total_length / 50);
	sim_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_unlimited_seed_is_limited_by_the_reader_only),
		cmocka_unit_test(test_tiny_pieces_are_limited_by_the_reader_only),
		cmocka_unit_test(test_fifty_seeds_send_hardly_more_than_the_payload),
		cmocka_unit_test(test_eight_distant_seeds_fill_the_pipe_soon),
		cmocka_unit_test(test_a_pause_of_ours_makes_nobody_late),
		cmocka_unit_test(test_slow_and_silent_seeds_do_not_hold_up_fast_ones),
		cmocka_unit_test(test_seeds_of_garbage_are_found_soon),
		cmocka_unit_test(test_a_seed_that_stops_with_250_requests_holds_nothing_hostage),
		cmocka_unit_test(test_a_choke_in_the_middle_loses_nothing),
		cmocka_unit_test(test_partial_peers_complete_each_other),
		cmocka_unit_test(test_many_slow_peers_share_open_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
