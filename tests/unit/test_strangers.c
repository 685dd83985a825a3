/* test_strangers.c - who connected to us: ids, what is remembered, who is banned; and their places in the swarm. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "swarm_fixture.h"

#define PIECES 8u
#define PIECE_BYTES (2u * BLOCK_BYTES)
#define MAX_PEERS 64u /* of the fixture */

static struct fixture f;
static struct strangers strangers;
static int ends[2 * MAX_PEERS];
static uint32_t end_count;

static int begin(void **state)
{
	(void)state;
	memset(&strangers, 0, sizeof strangers);
	fixture_new(&f, PIECES, PIECE_BYTES, PIECES * PIECE_BYTES);
	fixture_begin(&f);
	end_count = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	while (end_count)
		close(ends[--end_count]);
	fixture_free(&f);
	return 0;
}

static struct net_addr host(uint32_t ip, uint16_t port)
{
	struct net_addr a = { .family = 4, .port = port };

	put_be32(a.ip, ip);
	return a;
}

/* Somebody connects: the peer, or NULL when it was not let in.  Its own end is ends[end_count - 1]. */
static struct peer *come(struct net_addr a)
{
	uint32_t before = f.swarm->count;
	int sv[2];

	assert_true(end_count < ARRAY_LEN(ends));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	swarm_add_incoming(f.swarm, sv[0], &a);
	ends[end_count++] = sv[1];
	return f.swarm->count > before ? f.swarm->peers[before] : NULL;
}

static struct peer *come_from(uint32_t ip)
{
	struct peer *p = come(host(ip, 40000));

	assert_non_null(p);
	return p;
}

/* Bytes that were sent to the last one; -1: nothing yet; 0: it was closed. */
static ssize_t heard(uint8_t *out, size_t room)
{
	ssize_t n = recv(ends[end_count - 1], out, room, MSG_DONTWAIT);

	return n < 0 && errno == EAGAIN ? -1 : n;
}

static void say_hello(const char *peer_id, uint8_t hash)
{
	uint8_t hello[68] = "\023BitTorrent protocol\0\0\0\0\0\020\0\004";

	memset(hello + 28, hash, 20);
	memcpy(hello + 48, peer_id, 20);
	assert_int_equal(write(ends[end_count - 1], hello, sizeof hello), (ssize_t)sizeof hello);
	fixture_turn(&f);
}

/* ---- the core */

static void test_ids_are_no_candidates_ids_and_differ(void **state)
{
	struct net_addr a = host(0x01020304, 1), b = host(0x05060708, 2);
	uint32_t first = strangers_add(&strangers, &a), second = strangers_add(&strangers, &b), i;

	(void)state;
	assert_int_not_equal(first, second);
	assert_true(first & STRANGER_ID && second & STRANGER_ID);
	assert_memory_equal(strangers_by_id(&strangers, first), &a, sizeof a);
	assert_memory_equal(strangers_by_id(&strangers, second), &b, sizeof b);
	assert_null(strangers_by_id(&strangers, first & ~STRANGER_ID));
	assert_null(strangers_by_id(&strangers, 0));
	/* The number comes round to 1, never to 0: that would be the greatest id of a candidate. */
	strangers.last = STRANGER_ID - 2;
	assert_int_equal(strangers_add(&strangers, &a), UINT32_MAX);
	assert_int_equal(strangers_add(&strangers, &a), STRANGER_ID | 1);
	for (i = 0; i < 5000; i++)
		assert_true(candidates_at(f.swarm->candidates,
					  candidates_add(f.swarm->candidates,
							 &(struct net_addr){
							     .family = 4, .port = 1, .ip = { 1, (uint8_t)(i >> 6), (uint8_t)(i & 63) } },
							 PEER_FROM_USER, 0) &
					      (CANDIDATES_MAX - 1))
				->id <= STRANGER_ID);
}

static void test_the_last_ones_are_remembered(void **state)
{
	struct net_addr a = host(0x01020304, 1);
	uint32_t old = strangers_add(&strangers, &a), recent, i;

	(void)state;
	recent = strangers_add(&strangers, &a);
	for (i = 0; i < STRANGERS_KEPT - 1; i++)
		(void)strangers_add(&strangers, &a);
	assert_null(strangers_by_id(&strangers, old));
	assert_non_null(strangers_by_id(&strangers, recent));
}

static void test_bans_are_by_host_and_bounded(void **state)
{
	struct net_addr a = host(0x01020304, 1), b = a, c = { .family = 6, .port = 5, .ip = { 0x2a, 1, 2, 3, 4, 5, 6, 7, 8 } }, e = c;
	uint32_t i;

	(void)state;
	strangers_ban(&strangers, &a);
	strangers_ban(&strangers, &a);
	assert_int_equal(strangers.bans, 1);
	b.port = 2;
	assert_true(strangers_is_banned(&strangers, &b));
	b.ip[3]++;
	assert_false(strangers_is_banned(&strangers, &b));
	strangers_ban(&strangers, &c);
	e.ip[8]++;
	assert_true(strangers_is_banned(&strangers, &e)); /* the same /64 */
	e.ip[7]++;
	assert_false(strangers_is_banned(&strangers, &e));
	for (i = 0; i < STRANGERS_BANNED - 1; i++)
		strangers_ban(&strangers, &(struct net_addr){ .family = 4, .ip = { 9, 9, (uint8_t)(i >> 8), (uint8_t)i } });
	assert_false(strangers_is_banned(&strangers, &a)); /* the first is forgotten */
	assert_true(strangers_is_banned(&strangers, &c));
}

/* ---- in the swarm */

static void test_who_connects_speaks_first_and_then_hears_all(void **state)
{
	struct peer *p = come_from(0x01010101);
	uint8_t in[512];
	ssize_t n;

	(void)state;
	fixture_turn(&f);
	assert_int_equal(heard(in, sizeof in), -1);
	say_hello("-PE0000-abcdefghijkl", 0x5a);
	assert_false(p->dead);
	assert_true(p->shook && p->incoming);
	n = heard(in, sizeof in);
	assert_true(n > 68 + 5);
	assert_memory_equal(in, "\023BitTorrent protocol", 20);
	assert_memory_equal(in + 48, "-XX0000-", 8);
	assert_int_equal(in[72], WIRE_HAVE_NONE);
}

static void test_who_wants_another_torrent_hears_nothing(void **state)
{
	struct peer *p = come_from(0x01010101);
	uint8_t in[512];

	(void)state;
	say_hello("-PE0000-abcdefghijkl", 0x5b);
	(void)p;
	assert_int_equal(f.swarm->count, 0);
	assert_int_equal(heard(in, sizeof in), 0);
}

static void test_ourselves_are_dropped_without_an_answer(void **state)
{
	uint8_t in[512];

	(void)state;
	(void)come_from(0x01010101);
	say_hello("-XX0000-abcdefghijkl", 0x5a);
	assert_int_equal(f.swarm->count, 0);
	assert_int_equal(heard(in, sizeof in), 0);
}

static void test_silence_is_borne_for_ten_seconds(void **state)
{
	struct peer *p = come_from(0x01010101);
	uint64_t now = loop_now(f.loop);

	(void)state;
	assert_int_equal(write(ends[0], "\023BitTorrent", 11), 11);
	fixture_turn(&f);
	peer_tick(p, now + 9900);
	assert_false(p->dead);
	peer_tick(p, now + 10500);
	assert_true(p->dead);
}

static void test_an_address_has_two_connections(void **state)
{
	struct net_addr six = { .family = 6, .port = 5, .ip = { 0x2a, 1, 2, 3, 4, 5, 6, 7 } };
	int other;

	(void)state;
	(void)fixture_peer(&f, 1, &other); /* 1.0.0.1, which we dialled, is one of them */
	assert_non_null(come(host(0x01000001, 7)));
	assert_null(come(host(0x01000001, 8)));
	assert_non_null(come(host(0x01000002, 8)));
	assert_non_null(come(six));
	six.ip[15] = 1;
	assert_non_null(come(six));
	six.ip[15] = 2;
	assert_null(come(six));
	six.ip[7] = 8;
	assert_non_null(come(six));
	close(other);
}

static void test_a_quarter_of_the_places_is_for_those_that_said_nothing_yet(void **state)
{
	uint8_t in[512];
	char id[21];
	uint32_t i;

	(void)state;
	for (i = 0; i < MAX_PEERS / 4; i++)
		(void)come_from(0x01010101 + i);
	assert_null(come(host(0x02000000, 1)));
	assert_int_equal(heard(in, sizeof in), 0);
	end_count = 1; /* the first one speaks */
	snprintf(id, sizeof id, "-PE0000-%012u", 1);
	say_hello(id, 0x5a);
	end_count = MAX_PEERS / 4 + 1;
	assert_non_null(come(host(0x02000000, 1)));
}

static void test_silence_makes_room_when_others_come(void **state)
{
	struct peer *p[MAX_PEERS / 4];
	uint32_t i;

	(void)state;
	for (i = 0; i < MAX_PEERS / 4; i++) {
		p[i] = come_from(0x01010101 + i);
		p[i]->connected_ms -= i == 3 ? 2100 : 2000;
	}
	assert_non_null(come(host(0x02000000, 1)));
	for (i = 0; i < MAX_PEERS / 4; i++)
		assert_int_equal(p[i]->dead, i == 3);
	fixture_turn(&f);
	assert_int_equal(f.swarm->count, MAX_PEERS / 4);
}

/* As many as there may be, of which the i-th is at first + i * step; for long. */
static void fill(uint32_t first, uint32_t step, uint64_t age_ms)
{
	uint32_t i;
	char id[21];

	for (i = 0; i < MAX_PEERS * 3 / 4; i++) {
		struct peer *p = come_from(first + i * step);

		snprintf(id, sizeof id, "-PE0000-%012u", i);
		say_hello(id, 0x5a);
		assert_true(p->shook);
		p->connected_ms -= age_ms;
	}
}

static void test_a_network_that_has_most_places_makes_room_for_others(void **state)
{
	struct peer *worst;
	uint32_t i;

	(void)state;
	fill(0x01010101, 1, 10000);
	worst = f.swarm->peers[7];
	for (i = 0; i < f.swarm->count; i++) {
		f.swarm->peers[i]->received_bytes = 1;
		f.swarm->peers[i]->block_ms = loop_now(f.loop);
	}
	assert_null(come(host(0x05000001, 1))); /* all of them give something */
	worst->received_bytes = 0;
	assert_null(come(host(0x010101f0, 1))); /* of the same network */
	assert_non_null(come(host(0x05000001, 1)));
	assert_true(worst->dead);
	fixture_turn(&f);
	assert_int_equal(f.swarm->count, MAX_PEERS * 3 / 4);
	/* Not all at once, and not one that has just come. */
	for (i = 0; i < f.swarm->count; i++)
		f.swarm->peers[i]->connected_ms = loop_now(f.loop);
	assert_null(come(host(0x06000001, 1)));
}

static void test_in_one_turn_a_few_make_room(void **state)
{
	uint32_t i;

	(void)state;
	fill(0x01010101, 1, 10000);
	for (i = 0; i < 14; i++) /* the places for those that say nothing yet are sixteen */
		assert_non_null(come(host(0x05000001 + (i << 8), 1)));
	assert_int_equal(f.swarm->dead, 14);
	assert_int_equal(f.swarm->count, MAX_PEERS * 3 / 4 + 14);
	fixture_turn(&f);
	assert_int_equal(f.swarm->count, MAX_PEERS * 3 / 4);
}

static void test_who_was_of_no_use_makes_room_for_one_who_was_turned_away(void **state)
{
	uint32_t i;

	(void)state;
	fill(0x01010101, 256, 200000); /* each has a network of its own */
	for (i = 0; i < 60; i++) { /* more than a tick */
		usleep(5000);
		fixture_turn(&f);
	}
	assert_int_equal(f.swarm->count, MAX_PEERS * 3 / 4); /* nobody waits */
	assert_null(come(host(0x05000001, 1)));
	for (i = 0; i < 400 && f.swarm->count == MAX_PEERS * 3 / 4; i++) {
		usleep(5000);
		fixture_turn(&f);
	}
	assert_int_equal(f.swarm->count, MAX_PEERS * 3 / 4 - 1);
	assert_non_null(come(host(0x05000001, 1)));
}

static void test_a_quarter_of_the_places_is_kept_for_those_that_we_look_for(void **state)
{
	struct msg_net_stats stats;
	uint32_t i, in = 0;
	char id[21];

	(void)state;
	for (i = 0; i < MAX_PEERS; i++) {
		struct peer *p = come(host(0x01010101 + i, 1));

		in += p != NULL;
		snprintf(id, sizeof id, "-PE0000-%012u", i);
		if (p)
			say_hello(id, 0x5a);
	}
	assert_int_equal(in, MAX_PEERS * 3 / 4);
	swarm_stats(f.swarm, &stats);
	assert_int_equal(stats.incoming, in);
	assert_int_equal(stats.peers, in);
}

static void test_nobody_is_let_in_before_it_is_known_what_is_there_nor_after_the_end(void **state)
{
	(void)state;
	f.swarm->ready = false;
	assert_null(come(host(0x01010101, 1)));
	f.swarm->ready = true;
	f.swarm->disk_held = true;
	assert_null(come(host(0x01010101, 1)));
	f.swarm->disk_held = false;
	assert_non_null(come(host(0x01010101, 1)));
	f.swarm->down = true;
	assert_null(come(host(0x01010102, 1)));
	f.swarm->down = false;
}

static void test_who_sent_wrong_data_is_dropped_and_its_host_refused(void **state)
{
	struct peer *p = come_from(0x01010101);
	uint32_t id = p->pick.id;

	(void)state;
	swarm_ban_stranger(f.swarm, id, "it sent wrong data");
	assert_true(p->dead);
	assert_int_equal(f.swarm->banned, 1);
	fixture_turn(&f);
	swarm_ban_stranger(f.swarm, id, "it sent wrong data"); /* blame that comes late, again */
	assert_int_equal(f.swarm->banned, 1);
	assert_null(come(host(0x01010101, 9)));
	assert_non_null(come(host(0x01010102, 9)));
	swarm_ban_stranger(f.swarm, STRANGER_ID | 77777, "nobody remembers it");
	assert_int_equal(f.swarm->banned, 1);
}

static void test_a_stranger_that_leaves_is_no_candidate(void **state)
{
	struct peer *p = come_from(0x01010101);

	(void)state;
	say_hello("-PE0000-abcdefghijkl", 0x5a);
	assert_int_equal(f.swarm->shaken, 1);
	close(ends[0]);
	end_count = 0;
	fixture_turn(&f);
	(void)p;
	assert_int_equal(f.swarm->count, 0);
	assert_int_equal(f.swarm->shaken, 0);
	assert_int_equal(candidates_known(f.swarm->candidates), 0);
}

/* ---- both dialled each other */

/* A peer at 1.0.0.1 that we dialled, and that connected to us: who is left when both shook hands, the incoming last or first. */
static void meet(const char *id, bool incoming_last, bool incoming_stays)
{
	struct peer *out, *in;
	int other;

	out = fixture_peer(&f, 1, &other);
	in = come(host(0x01000001, 40000));
	assert_non_null(in);
	if (!incoming_last)
		say_hello(id, 0x5a);
	ends[end_count++] = other;
	say_hello(id, 0x5a);
	end_count--;
	if (incoming_last)
		say_hello(id, 0x5a);
	assert_int_equal(f.swarm->count, 1);
	assert_int_equal(f.swarm->shaken, 1);
	assert_ptr_equal(f.swarm->peers[0], incoming_stays ? in : out);
	/* The address may be dialled again later, unless it is connected. */
	assert_int_equal(candidates_idle(f.swarm->candidates), incoming_stays ? 1 : 0);
	close(other);
}

static void test_of_two_that_met_the_greater_ids_connection_stays(void **state)
{
	/* Ours is -XX0000-abcdefghijkl. */
	static const struct {
		const char *id;
		bool last, stays;
	} all[] = {
		{ "-AA0000-abcdefghijkl", true, false },
		{ "-AA0000-abcdefghijkl", false, false },
		{ "-ZZ0000-abcdefghijkl", true, true },
		{ "-ZZ0000-abcdefghijkl", false, true },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(all); i++) {
		meet(all[i].id, all[i].last, all[i].stays);
		assert_int_equal(end(state), 0);
		assert_int_equal(begin(state), 0);
	}
}

static void test_one_that_is_there_for_long_is_not_pushed_out(void **state)
{
	struct peer *out;
	int other;

	(void)state;
	out = fixture_peer(&f, 1, &other);
	ends[end_count++] = other;
	say_hello("-ZZ0000-abcdefghijkl", 0x5a);
	out->connected_ms -= 60000;
	assert_non_null(come(host(0x01000001, 40000)));
	say_hello("-ZZ0000-abcdefghijkl", 0x5a);
	assert_int_equal(f.swarm->count, 1);
	assert_ptr_equal(f.swarm->peers[0], out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ids_are_no_candidates_ids_and_differ, begin, end),
		cmocka_unit_test_setup_teardown(test_the_last_ones_are_remembered, begin, end),
		cmocka_unit_test_setup_teardown(test_bans_are_by_host_and_bounded, begin, end),
		cmocka_unit_test_setup_teardown(test_who_connects_speaks_first_and_then_hears_all, begin, end),
		cmocka_unit_test_setup_teardown(test_who_wants_another_torrent_hears_nothing, begin, end),
		cmocka_unit_test_setup_teardown(test_ourselves_are_dropped_without_an_answer, begin, end),
		cmocka_unit_test_setup_teardown(test_silence_is_borne_for_ten_seconds, begin, end),
		cmocka_unit_test_setup_teardown(test_an_address_has_two_connections, begin, end),
		cmocka_unit_test_setup_teardown(test_a_quarter_of_the_places_is_for_those_that_said_nothing_yet, begin, end),
		cmocka_unit_test_setup_teardown(test_silence_makes_room_when_others_come, begin, end),
		cmocka_unit_test_setup_teardown(test_a_network_that_has_most_places_makes_room_for_others, begin, end),
		cmocka_unit_test_setup_teardown(test_in_one_turn_a_few_make_room, begin, end),
		cmocka_unit_test_setup_teardown(test_who_was_of_no_use_makes_room_for_one_who_was_turned_away, begin, end),
		cmocka_unit_test_setup_teardown(test_a_quarter_of_the_places_is_kept_for_those_that_we_look_for, begin, end),
		cmocka_unit_test_setup_teardown(test_nobody_is_let_in_before_it_is_known_what_is_there_nor_after_the_end, begin, end),
		cmocka_unit_test_setup_teardown(test_who_sent_wrong_data_is_dropped_and_its_host_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_a_stranger_that_leaves_is_no_candidate, begin, end),
		cmocka_unit_test_setup_teardown(test_of_two_that_met_the_greater_ids_connection_stays, begin, end),
		cmocka_unit_test_setup_teardown(test_one_that_is_there_for_long_is_not_pushed_out, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
