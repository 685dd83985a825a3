/* test_choker.c - who is unchoked: rules one by one, and small swarms that run for minutes of made-up time. */
#include "../../netproc/choker.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START UINT64_C(1000000)
#define TICK 250u
#define MB UINT64_C(1000000)
#define PEERS 60u

static struct choker c;
static struct choker_input in;
static struct choker_peer peer[PEERS];
static struct choker_peer *list[PEERS];
static uint64_t now;
static uint32_t count;

/* `n` peers that are interested, connected long ago. */
static void begin(uint32_t n, bool seeding)
{
	uint32_t i;

	choker_init(&c, 42);
	memset(&in, 0, sizeof in);
	memset(peer, 0, sizeof peer);
	in.seeding = seeding;
	in.piece_bytes = 262144;
	in.max_uploads = 4;
	now = START;
	count = n;
	for (i = 0; i < n; i++) {
		peer[i].interested = true;
		peer[i].connected_ms = START - 100000 + i;
		list[i] = &peer[i];
	}
}

static uint32_t unchoked(void)
{
	uint32_t n = 0, i;

	for (i = 0; i < count; i++)
		n += peer[i].unchoked;
	return n;
}

static void turn(void)
{
	bool was[PEERS];
	uint32_t i;

	for (i = 0; i < count; i++)
		was[i] = peer[i].unchoked;
	choker_turn(&c, list, count, &in, now);
	assert_true(unchoked() <= c.slots);
	for (i = 0; i < count; i++) {
		assert_int_equal(peer[i].changed, was[i] != peer[i].unchoked);
		assert_false(peer[i].optimistic && !peer[i].unchoked);
		assert_false(peer[i].optimistic && in.seeding && !peer[i].owes);
		assert_false(peer[i].changed && peer[i].unchoked && (!peer[i].interested || peer[i].upload_only));
	}
}

/* Runs for so long; peer i gives give[i] and, while unchoked, takes take[i] bytes a second. */
static uint64_t give[PEERS], take[PEERS];
static uint32_t flips[PEERS];
static void run(uint64_t ms)
{
	uint64_t end = now + ms;
	uint32_t i;

	memset(flips, 0, sizeof flips);
	for (; now < end; now += TICK) {
		turn();
		in.sent_rate = 0;
		for (i = 0; i < count; i++) {
			flips[i] += peer[i].changed;
			peer[i].received_bytes += give[i] * TICK / 1000;
			if (peer[i].unchoked && peer[i].interested) {
				peer[i].sent_bytes += take[i] * TICK / 1000;
				in.sent_rate += take[i];
			}
		}
	}
}

static void everybody(uint64_t gives, uint64_t takes)
{
	uint32_t i;

	for (i = 0; i < PEERS; i++) {
		give[i] = gives;
		take[i] = takes;
	}
}

static void test_only_who_wants_something_is_unchoked(void **state)
{
	(void)state;
	begin(3, false);
	peer[0].interested = false;
	peer[1].upload_only = true;
	turn();
	assert_false(peer[0].unchoked || peer[1].unchoked);
	assert_true(peer[2].unchoked);
	begin(3, true);
	peer[0].interested = false;
	peer[1].upload_only = true;
	turn();
	assert_false(peer[0].unchoked || peer[1].unchoked);
	assert_true(peer[2].unchoked);
	choker_turn(&c, list, 0, &in, now);
}

static void test_those_that_give_most_have_the_slots(void **state)
{
	uint32_t i;

	(void)state;
	begin(20, false);
	everybody(0, 50000);
	for (i = 0; i < 20; i++)
		give[i] = 10000 * (i + 1);
	run(600000);
	/* Three by merit, one by lot. */
	for (i = 17; i < 20; i++)
		assert_true(peer[i].unchoked && !peer[i].optimistic);
	assert_int_equal(unchoked(), 4);
	/* Who stops giving loses its slot within three rounds. */
	give[19] = 0;
	run(30000);
	assert_true(!peer[19].unchoked || peer[19].optimistic);
	assert_true(peer[16].unchoked);
}

static void test_the_optimistic_slot_moves_every_thirty_seconds_and_finds_everybody(void **state)
{
	bool had[PEERS] = { false };
	uint32_t i, moves = 0, missing = 0;

	(void)state;
	begin(12, false);
	everybody(0, 10000);
	for (i = 0; i < 3; i++)
		give[i] = 100000;
	for (i = 0; i < 6000; i++) {
		uint32_t k;

		run(TICK);
		for (k = 3; k < 12; k++) {
			if (peer[k].optimistic)
				had[k] = true;
			moves += peer[k].changed && peer[k].optimistic;
		}
	}
	for (i = 3; i < 12; i++)
		missing += !had[i];
	assert_int_equal(missing, 0);
	assert_in_range(moves, 40, 55); /* 1500 s */
}

static void test_new_peers_are_three_times_as_likely(void **state)
{
	uint32_t i, round, fresh = 0, old = 0;

	(void)state;
	for (round = 0; round < 2000; round++) {
		begin(10, false);
		in.max_uploads = 2;
		choker_init(&c, round);
		peer[0].received_bytes = MB;
		for (i = 1; i < 10; i++)
			peer[i].snubs = true; /* cannot have the other slot by merit */
		for (i = 1; i < 4; i++)
			peer[i].connected_ms = START - 1000;
		turn();
		for (i = 1; i < 10; i++)
			*(i < 4 ? &fresh : &old) += peer[i].unchoked;
	}
	assert_int_equal(fresh + old, 2000);
	assert_in_range(fresh, 1100, 1300); /* 9 of 15 lots */
}

static void test_who_snubs_us_is_only_unchoked_by_lot(void **state)
{
	uint32_t i;

	(void)state;
	begin(10, false);
	everybody(0, 10000);
	for (i = 0; i < 10; i++) {
		give[i] = i < 5 ? 1000 : 0;
		peer[i].received_bytes = 50 * MB * (i >= 5);
		peer[i].snubs = i >= 5;
	}
	for (i = 0; i < 200; i++) {
		uint32_t k, regular = 0;

		run(TICK * 4);
		for (k = 5; k < 10; k++)
			assert_true(!peer[k].unchoked || peer[k].optimistic);
		for (k = 0; k < 5; k++)
			regular += peer[k].unchoked && !peer[k].optimistic;
		assert_int_equal(regular, 3);
	}
	/* Snubbed by all: all slots are optimistic. */
	begin(10, false);
	for (i = 0; i < 10; i++)
		peer[i].snubs = true;
	turn();
	assert_int_equal(unchoked(), 4);
}

static void test_equal_peers_keep_their_slots(void **state)
{
	uint32_t i, sum = 0;

	(void)state;
	begin(20, false);
	everybody(100000, 100000);
	run(60000);
	/* A twentieth more or less from round to round changes nothing but the optimistic slot. */
	for (i = 0; i < 30; i++) {
		uint32_t k;

		for (k = 0; k < 20; k++)
			give[k] = 100000 + (i * 7 + k * 13) % 11 * 500;
		run(10000);
		for (k = 0; k < 20; k++)
			sum += flips[k];
	}
	assert_in_range(sum, 0, 30 * 2);
	begin(3, true);
	everybody(0, 100000);
	run(600000);
	assert_int_equal(flips[0] + flips[1] + flips[2], 3); /* each unchoked once, for good: nobody waits */
}

static void test_a_slot_that_is_free_is_filled_at_once(void **state)
{
	uint32_t i, gone;

	(void)state;
	for (i = 0; i < 2; i++) {
		begin(8, i);
		everybody(1000, 1000);
		run(15000);
		assert_int_equal(unchoked(), 4);
		for (gone = 0; !peer[gone].unchoked; gone++)
			;
		list[gone] = list[--count]; /* it left, in the middle of a round */
		choker_turn(&c, list, count, &in, now);
		for (gone = 0; gone < count && !list[gone]->changed; gone++)
			;
		assert_true(gone < count && list[gone]->unchoked);
	}
}

static void test_who_lost_interest_keeps_its_slot_until_another_wants_it(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		begin(5, i);
		peer[4].interested = false;
		turn();
		assert_int_equal(unchoked(), 4);
		peer[0].interested = false;
		now += TICK;
		turn();
		assert_true(peer[0].unchoked);
		peer[4].interested = true;
		now += TICK;
		turn();
		assert_false(peer[0].unchoked);
		assert_true(peer[4].unchoked);
	}
}

static void test_who_only_takes_gets_a_small_share_on_any_line(void **state)
{
	static const uint64_t lines[] = { 100000, 10 * MB, 1000 * MB };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lines); i++) {
		begin(6, false);
		everybody(lines[i], lines[i]);
		give[5] = 0;
		in.max_uploads = 0; /* there are more slots than peers */
		run(600000);
		assert_in_range(peer[5].sent_bytes, c.credit, peer[0].sent_bytes / 4 + 2 * (c.credit + lines[i] * TICK / 1000));
		assert_true(peer[0].unchoked && !peer[0].optimistic);
	}
}

static void test_spent_tells_before_the_tick(void **state)
{
	(void)state;
	begin(1, false);
	turn();
	assert_true(peer[0].unchoked);
	peer[0].sent_bytes = c.credit;
	assert_false(choker_spent(&c, &peer[0]));
	peer[0].sent_bytes++;
	assert_true(choker_spent(&c, &peer[0]));
	turn();
	assert_false(peer[0].unchoked);
	assert_false(choker_spent(&c, &peer[0]));
	/* Losing interest and finding it again is no way to a turn. */
	peer[0].interested = false;
	now += 1000;
	turn();
	peer[0].interested = true;
	turn();
	assert_false(peer[0].unchoked);
	/* Giving is, but not a byte at a time. */
	peer[0].received_bytes = c.credit / 16;
	turn();
	assert_false(peer[0].unchoked);
	peer[0].received_bytes++;
	turn();
	assert_true(peer[0].unchoked && !peer[0].optimistic);
}

static void test_a_seed_serves_fifty_alike(void **state)
{
	uint64_t least = UINT64_MAX, most = 0;
	uint32_t i;

	(void)state;
	begin(50, true);
	in.max_uploads = 5;
	everybody(0, 200000);
	run(3600000);
	for (i = 0; i < 50; i++) {
		least = min_u64(least, peer[i].sent_bytes);
		most = max_u64(most, peer[i].sent_bytes);
	}
	assert_true(least > 0 && most <= 2 * least);
	/* Turns are not shorter than 20 s. */
	for (i = 0; i < 50; i++)
		assert_in_range(flips[i], 4, 2 * 3600 / (20 * 10) + 2);
}

static void test_a_turn_lasts_twenty_seconds_on_a_fast_line_and_a_minute_on_a_slow_one(void **state)
{
	uint32_t i, changes[2];

	(void)state;
	for (i = 0; i < 2; i++) {
		uint32_t k;

		begin(8, true);
		everybody(0, i ? 20000 : 20 * MB);
		run(600000);
		for (k = 0, changes[i] = 0; k < 8; k++)
			changes[i] += flips[k];
	}
	/* Each turn is one UNCHOKE and one CHOKE; four go on at the end. */
	assert_in_range(changes[0], 2 * 4 * 600 / 30, 2 * 4 * 600 / 20);
	assert_in_range(changes[1], 2 * 4 * 600 / 70, 2 * 4 * 600 / 60);
}

static void test_a_seed_takes_the_slot_of_a_slow_reader(void **state)
{
	uint32_t i;

	(void)state;
	begin(12, true);
	everybody(0, MB);
	for (i = 0; i < 4; i++)
		take[i] = 100;
	run(20000);
	for (i = 0; i < 4; i++)
		assert_false(peer[i].unchoked);
	assert_int_equal(unchoked(), 4);
	/* And of an automatic number of slots they use none. */
	begin(12, true);
	in.max_uploads = 0;
	in.max_up = 10000;
	run(35000);
	assert_int_equal(c.slots, 4);
	begin(4, true);
	in.max_uploads = 0;
	in.max_up = 10000;
	run(20000);
	assert_int_equal(c.slots, 8);
}

static void test_slots_follow_the_line(void **state)
{
	uint32_t i;

	(void)state;
	begin(50, true);
	in.max_uploads = 0;
	everybody(0, 10 * MB);
	run(1000);
	assert_int_equal(unchoked(), 50); /* at once */
	run(60000);
	assert_int_equal(unchoked(), 50);
	begin(50, true);
	in.max_uploads = 0;
	in.max_up = 100000;
	turn();
	assert_int_equal(c.slots, 7);
	in.max_up = MB;
	turn();
	assert_int_equal(c.slots, 23);
	/* Fewer only when a round is due. */
	for (i = 0; i < 50; i++)
		peer[i].sent_bytes += MB;
	in.max_up = 100000;
	now += TICK;
	turn();
	assert_int_equal(unchoked(), 23);
	now += CHOKER_ROUND_MS;
	turn();
	assert_int_equal(unchoked(), 7);
	begin(50, true);
	for (i = 1; i < 60; i++) {
		in.max_uploads = i;
		now += TICK;
		turn();
		assert_int_equal(unchoked(), min_u32(i, 50));
	}
}

static void test_a_download_that_ends_goes_on_as_a_seed(void **state)
{
	(void)state;
	begin(10, false);
	everybody(1000, 100000);
	run(35000);
	in.seeding = true;
	turn();
	assert_int_equal(unchoked(), 4);
}

/* Peer 0 gives nothing of what it has; peer 1 has nothing yet that could be wanted. */
static void test_who_owes_when_a_download_ends_gets_little_for_five_minutes(void **state)
{
	uint64_t before[3], owed;
	uint32_t i, k;

	(void)state;
	begin(6, false);
	in.max_uploads = 7;
	everybody(100000, 100000);
	give[0] = give[1] = 0;
	for (i = 0; i < count; i++)
		peer[i].wanted = i != 1;
	run(40000);
	assert_true(peer[0].overdrawn && peer[0].owes);
	assert_true(peer[1].overdrawn && !peer[1].owes);
	in.seeding = true;
	for (i = 0; i < count; i++)
		peer[i].wanted = false;
	for (k = 0; k < 2; k++) { /* the second time, debts are forgotten */
		for (i = 0; i < 3; i++)
			before[i] = peer[i].sent_bytes;
		everybody(0, 1000000);
		run(120000);
		owed = peer[0].sent_bytes - before[0];
		assert_int_equal(peer[1].sent_bytes - before[1], 120 * MB);
		assert_int_equal(peer[2].sent_bytes - before[2], 120 * MB);
		if (k == 0)
			assert_in_range(owed, c.credit, 5 * (c.credit + 1000000 * TICK / 1000));
		else
			assert_int_equal(owed, 120 * MB);
		run(OWES_MS - 120000);
	}
	/* It never has the slot that another wants. */
	begin(2, false);
	in.max_uploads = 1;
	peer[0].wanted = true;
	peer[0].sent_bytes = 100 * MB;
	turn();
	in.seeding = true;
	everybody(0, 1000000);
	run(200000);
	assert_true(peer[0].owes);
	assert_int_equal(peer[0].sent_bytes, 100 * MB);
}

/* ---- a swarm: 11 that share and leave or stay when they are complete, one that only takes, and a seed */

#define MEMBERS 13u
#define TAKER 11u
#define SEED 12u
#define PIECES 400u
#define PIECE 262144u

static struct member {
	struct choker choker;
	struct choker_peer of[MEMBERS]; /* what it knows of the others */
	bool has[PIECES], pending[PIECES];
	uint32_t count, piece[MEMBERS]; /* that it gets from each; PIECES: none */
	uint64_t got[PIECES], done_ms;
} member[MEMBERS];
static uint64_t dice;

static uint32_t copies[PIECES];

/* The rarest piece that b has and a wants, by lot among equals; PIECES: none. */
static uint32_t wanted_piece(const struct member *a, const struct member *b, bool pending_too)
{
	uint32_t from = lot(&(struct choker){ .chance = dice++ }, PIECES), i, p, best = PIECES;

	for (i = 0; i < PIECES; i++) {
		p = (from + i) % PIECES;
		if (!a->has[p] && b->has[p] && (pending_too || !a->pending[p]) && (best == PIECES || copies[p] < copies[best]))
			best = p;
	}
	return best;
}

/* `bytes` go from b to a. */
static void transfer(uint32_t a, uint32_t b, uint64_t bytes, uint64_t at_ms)
{
	struct member *to = &member[a];
	uint32_t p;

	to->of[b].received_bytes += bytes;
	member[b].of[a].sent_bytes += bytes;
	while ((p = to->piece[b]) < PIECES && bytes >= PIECE - to->got[p]) {
		bytes -= PIECE - to->got[p];
		to->pending[p] = false;
		to->has[p] = true;
		to->count++;
		copies[p]++;
		if (to->count == PIECES)
			to->done_ms = at_ms;
		to->piece[b] = wanted_piece(to, &member[b], false);
		if (to->piece[b] < PIECES)
			to->pending[to->piece[b]] = true;
	}
	if (p < PIECES)
		to->got[p] += bytes;
}

static void swarm_tick(uint64_t at_ms, uint64_t line, uint64_t seed_line, bool stay)
{
	struct choker_peer *others[MEMBERS];
	uint32_t a, b, n, takers;

	for (b = 0; b < MEMBERS; b++) {
		struct choker_input options = { .sent_rate = b == SEED ? seed_line : line, .piece_bytes = PIECE, .seeding = member[b].count == PIECES };

		if (b == TAKER)
			continue;
		for (a = 0, n = 0; a < MEMBERS; a++) {
			struct choker_peer *p = &member[b].of[a];

			p->interested = a != b && member[a].count < PIECES && wanted_piece(&member[a], &member[b], true) < PIECES;
			p->upload_only = member[a].count == PIECES;
			p->wanted = a != TAKER ? wanted_piece(&member[b], &member[a], true) < PIECES : member[a].count > 0;
			if (a != b && !(member[a].done_ms && member[a].count == PIECES))
				others[n++] = p;
		}
		choker_turn(&member[b].choker, others, n, &options, at_ms);
		for (a = 0, takers = 0; a < MEMBERS; a++) {
			if (!member[b].of[a].unchoked || !member[b].of[a].interested || (member[b].done_ms && !stay)) {
				if (member[a].piece[b] < PIECES)
					member[a].pending[member[a].piece[b]] = false;
				member[a].piece[b] = PIECES;
				continue;
			}
			if (member[a].piece[b] == PIECES && (member[a].piece[b] = wanted_piece(&member[a], &member[b], false)) < PIECES)
				member[a].pending[member[a].piece[b]] = true;
			takers += member[a].piece[b] < PIECES;
		}
		for (a = 0; a < MEMBERS; a++)
			if (member[a].piece[b] < PIECES)
				transfer(a, b, (b == SEED ? seed_line : line) * TICK / 1000 / takers, at_ms);
	}
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void test_who_gives_nothing_waits_longer_than_the_others(void **state)
{
	/* least: of the median's time, in hundredths.  A seed with a line like all others together serves everybody alike. */
	static const struct { uint64_t line, seed; uint32_t least; bool stay; } rows[] = { { MB / 4, MB / 4, 120, false }, { MB, MB, 120, false },
		{ 20 * MB, 40 * MB, 120, false }, { MB, 4 * MB, 110, false }, { MB / 4, 2 * MB, 103, false },
		{ MB / 4, MB / 4, 115, true }, { MB, MB, 120, true }, { 4 * MB, 4 * MB, 120, true } };
	uint64_t at_ms, done[TAKER], taker;
	size_t k;
	uint32_t a, b;

	(void)state;
	for (k = 0; k < ARRAY_LEN(rows); k++) {
		memset(member, 0, sizeof member);
		memset(copies, 0, sizeof copies);
		for (a = 0; a < MEMBERS; a++) {
			choker_init(&member[a].choker, a);
			for (b = 0; b < MEMBERS; b++) {
				member[a].piece[b] = PIECES;
				member[a].of[b].connected_ms = START;
			}
		}
		memset(member[SEED].has, true, sizeof member[SEED].has);
		member[SEED].count = PIECES;
		for (at_ms = START; at_ms < START + 7200000 && !member[TAKER].done_ms; at_ms += TICK)
			swarm_tick(at_ms, rows[k].line, rows[k].seed, rows[k].stay);
		for (a = 0; a < TAKER; a++) {
			assert_true(member[a].done_ms > 0);
			done[a] = member[a].done_ms - START;
		}
		qsort(done, TAKER, sizeof *done, by_time);
		taker = member[TAKER].done_ms - START;
		print_message("lines %llu%s: median %llu ms, last %llu ms, the one that gives nothing %llu ms\n", (unsigned long long)rows[k].line,
			      rows[k].stay ? ", and they stay" : "", (unsigned long long)done[TAKER / 2], (unsigned long long)done[TAKER - 1],
			      (unsigned long long)taker);
		assert_true(member[TAKER].done_ms && taker * 100 >= done[TAKER / 2] * rows[k].least);
		/* Nobody who shares is left behind. */
		assert_true(done[TAKER - 1] <= done[TAKER / 2] * 3 / 2);
		/* The lines are used: the ideal is a little more than one copy over each. */
		assert_true(done[TAKER / 2] <= 2 * (uint64_t)PIECES * PIECE * 1000 / min_u64(rows[k].line, rows[k].seed));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_who_wants_something_is_unchoked),
		cmocka_unit_test(test_those_that_give_most_have_the_slots),
		cmocka_unit_test(test_the_optimistic_slot_moves_every_thirty_seconds_and_finds_everybody),
		cmocka_unit_test(test_new_peers_are_three_times_as_likely),
		cmocka_unit_test(test_who_snubs_us_is_only_unchoked_by_lot),
		cmocka_unit_test(test_equal_peers_keep_their_slots),
		cmocka_unit_test(test_a_slot_that_is_free_is_filled_at_once),
		cmocka_unit_test(test_who_lost_interest_keeps_its_slot_until_another_wants_it),
		cmocka_unit_test(test_who_only_takes_gets_a_small_share_on_any_line),
		cmocka_unit_test(test_spent_tells_before_the_tick),
		cmocka_unit_test(test_a_seed_serves_fifty_alike),
		cmocka_unit_test(test_a_turn_lasts_twenty_seconds_on_a_fast_line_and_a_minute_on_a_slow_one),
		cmocka_unit_test(test_a_seed_takes_the_slot_of_a_slow_reader),
		cmocka_unit_test(test_slots_follow_the_line),
		cmocka_unit_test(test_a_download_that_ends_goes_on_as_a_seed),
		cmocka_unit_test(test_who_owes_when_a_download_ends_gets_little_for_five_minutes),
		cmocka_unit_test(test_who_gives_nothing_waits_longer_than_the_others),
	};

	return cmocka_run_group_tests_name("choker", tests, NULL, NULL);
}
