/* test_peer.c - what the messages of a peer do: the real reader, swarm, picker and disk client, no network. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../netproc/swarm_disk.c"
#include "swarm_fixture.h"

#define PIECES 8u
#define PIECE_BYTES (2u * BLOCK_BYTES)
#define TOTAL ((PIECES - 1) * (uint64_t)PIECE_BYTES + BLOCK_BYTES + 100)

static const uint8_t greeting[68] = "\023BitTorrent protocol\0\0\0\0\0\020\0\004ZZZZZZZZZZZZZZZZZZZZ-PE0000-abcdefghijkl";

static struct fixture f;
static struct peer *p;
static int other;
static uint8_t wire[1 << 20];
static size_t wired;

static int begin(void **state)
{
	(void)state;
	fixture_new(&f, PIECES, PIECE_BYTES, TOTAL);
	fixture_begin(&f);
	p = fixture_peer(&f, 1, &other);
	wired = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	close(other);
	fixture_free(&f);
	return 0;
}

/* ---- the peer's side */

static void put(const void *bytes, size_t n)
{
	memcpy(wire + wired, bytes, n);
	wired += n;
}

static void put_message(uint8_t id, const void *payload, uint32_t n)
{
	uint8_t head[5];

	put_be32(head, 1 + n);
	head[4] = id;
	put(head, 5);
	put(payload, n);
}

static void put_block(uint32_t piece, uint32_t begin_at, uint32_t n)
{
	uint8_t head[13];

	put_be32(head, 9 + n);
	head[4] = WIRE_PIECE;
	put_be32(head + 5, piece);
	put_be32(head + 9, begin_at);
	put(head, 13);
	memset(wire + wired, (int)(piece * 16 + begin_at / BLOCK_BYTES + 1), n);
	wired += n;
}

/* Sends what was put, `cut` bytes at a time, with a turn of the loop after each. */
static void deliver(size_t cut)
{
	size_t at = 0;

	while (at < wired) {
		size_t n = wired - at < cut ? wired - at : cut;
		ssize_t k = write(other, wire + at, n);

		if (k > 0)
			at += (size_t)k;
		else if (p->dead || errno == EPIPE)
			break;
		fixture_turn(&f);
		if (!f.swarm->count)
			break;
	}
	wired = 0;
	fixture_turn(&f);
}

static void as_unchoking_seed(void)
{
	static const uint8_t all[1] = { 0xff };

	put(greeting, sizeof greeting);
	put_message(WIRE_BITFIELD, all, 1);
	put_message(WIRE_UNCHOKE, "", 0);
	deliver(sizeof wire);
}

static bool alive(void)
{
	return f.swarm->count == 1 && !p->dead;
}

/* What we sent: counts messages of one id after the handshake. */
static uint32_t count_sent(uint8_t id)
{
	uint8_t in[65536];
	ssize_t n = read(other, in, sizeof in);
	size_t at = 0;
	uint32_t found = 0;

	if (n > 0 && in[0] == 19)
		at = 68;
	while (n > 0 && at + 5 <= (size_t)n) {
		found += in[at + 4] == id && get_be32(in + at);
		at += 4 + get_be32(in + at);
	}
	return found;
}

/* Answers the i-th outstanding request. */
static void answer(uint32_t i)
{
	struct picker_request r = picker_queued(&p->pick, i);
	uint32_t begin_at = r.block * BLOCK_BYTES, left = metainfo_piece_bytes(&f.info, r.piece) - begin_at;

	put_block(r.piece, begin_at, min_u32(left, BLOCK_BYTES));
}

/* ---- tests */

static void test_a_seed_that_unchokes_is_asked_for_blocks(void **state)
{
	(void)state;
	as_unchoking_seed();
	assert_true(alive());
	assert_true(p->pick.all);
	assert_true(p->interested);
	assert_true(p->pick.queue_count >= PIPELINE_LEAST);
	assert_int_equal(count_sent(WIRE_REQUEST), p->pick.queue_count);
}

static void test_blocks_arrive_whole_however_the_stream_is_cut(void **state)
{
	static const size_t cuts[] = { sizeof wire, 1, 7, 13, 16384, 16397, 20000, 40000 };
	size_t k;

	for (k = 0; k < ARRAY_LEN(cuts); k++) {
		uint32_t n, i;

		as_unchoking_seed();
		n = min_u32(4, p->pick.queue_count);
		for (i = 0; i < n; i++)
			answer(i);
		deliver(cuts[k]);
		assert_true(alive());
		assert_int_equal(f.blocks_seen, n);
		assert_int_equal(f.swarm->wasted, 0);
		assert_int_equal(disk_free_slots(f.swarm->disk), SLOT_COUNT);
		assert_int_equal(f.swarm->held_slots, 0);
		/* The slot that was sent last holds that block's bytes, though it is free again. */
		assert_int_equal(*slot_at(&f.slots, f.last_block.slot), f.last_block.piece * 16 + f.last_block.begin / BLOCK_BYTES + 1);
		end(state);
		begin(state);
	}
}

static void test_other_messages_between_blocks_break_no_prediction_for_good(void **state)
{
	uint8_t have[4] = { 0, 0, 0, 3 };

	(void)state;
	as_unchoking_seed();
	answer(0);
	put_message(WIRE_HAVE, have, 4);
	answer(1);
	put("\0\0\0\0", 4);
	answer(3); /* out of order */
	answer(2);
	deliver(sizeof wire);
	assert_true(alive());
	assert_int_equal(f.blocks_seen, 4);
	assert_int_equal(f.swarm->wasted, 0);
}

static void test_a_block_that_nobody_asked_for_is_wasted_and_then_a_reason_to_go(void **state)
{
	uint32_t i;

	(void)state;
	as_unchoking_seed();
	for (i = 0; i < 12; i++)
		put_block(PIECES - 1, BLOCK_BYTES, 99); /* of a wrong length */
	deliver(sizeof wire);
	assert_true(alive());
	assert_int_equal(f.blocks_seen, 0);
	assert_int_equal(f.swarm->wasted, 12 * 99);
	for (i = 0; i < 12; i++)
		put_block(UINT32_MAX, 5, 99);
	deliver(sizeof wire);
	assert_false(alive());
	assert_int_equal(disk_free_slots(f.swarm->disk), SLOT_COUNT);
}

static void test_a_choke_takes_requests_back_and_late_blocks_are_still_welcome(void **state)
{
	uint32_t asked;

	(void)state;
	put(greeting, sizeof greeting);
	wire[27] = 0; /* no fast extension */
	put_message(WIRE_BITFIELD, "\377", 1);
	put_message(WIRE_UNCHOKE, "", 0);
	deliver(sizeof wire);
	asked = p->pick.queue_count;
	assert_true(asked > 0);
	answer(0);
	put_message(WIRE_CHOKE, "", 0);
	deliver(sizeof wire);
	assert_int_equal(p->pick.queue_count, 0);
	assert_true(alive());
	assert_int_equal(f.blocks_seen, 1);
}

static void test_another_torrent_and_another_protocol_are_dropped(void **state)
{
	(void)state;
	put(greeting, sizeof greeting);
	wire[30] ^= 1;
	deliver(sizeof wire);
	assert_false(alive());
	end(state);
	begin(state);
	put("GET / HTTP/1.1\r\n", 16);
	deliver(sizeof wire);
	assert_false(alive());
}

static void test_ourselves_are_never_dialled_again(void **state)
{
	(void)state;
	put(greeting, sizeof greeting);
	memcpy(wire + 48, f.swarm->peer_id, 20);
	deliver(sizeof wire);
	assert_false(alive());
	assert_int_equal(candidates_at(f.swarm->candidates, 0)->state, CANDIDATE_NEVER);
}

/* From the same host, and of the same peer. */
static struct peer *connect_again(int *end_of_it)
{
	struct net_addr a = { .family = 4, .ip = { 1, 0, 0, 1 }, .port = 2000 };
	struct peer *second;
	int sv[2];
	uint32_t c;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	c = candidates_add(f.swarm->candidates, &a, PEER_FROM_TRACKER, 0);
	candidates_take(f.swarm->candidates, c);
	swarm_connected(f.swarm, c, sv[0]);
	second = candidates_at(f.swarm->candidates, c)->peer;
	assert_non_null(second);
	assert_int_equal(write(sv[1], greeting, sizeof greeting), sizeof greeting);
	*end_of_it = sv[1];
	fixture_turn(&f);
	assert_int_equal(f.swarm->count, 1);
	return second;
}

static void test_a_second_connection_to_the_same_peer_is_closed(void **state)
{
	int end_of_it;

	(void)state;
	as_unchoking_seed();
	connect_again(&end_of_it);
	assert_ptr_equal(f.swarm->peers[0], p);
	close(end_of_it);
}

static void test_one_that_takes_its_place_goes_on_with_its_account(void **state)
{
	struct peer *second;
	int end_of_it;

	(void)state;
	as_unchoking_seed();
	p->incoming = true; /* of two that were made at once, ours stays: our id is the greater one */
	p->received_bytes = 5;
	p->up.choke.sent_bytes = 7;
	p->up.choke.owes = p->up.choke.unchoked = p->up.choke.interested = true;
	second = connect_again(&end_of_it);
	assert_ptr_equal(f.swarm->peers[0], second);
	assert_int_equal(second->received_bytes, 5);
	assert_int_equal(second->up.choke.sent_bytes, 7);
	assert_false(second->up.choke.unchoked || second->up.choke.interested);
	close(end_of_it);
}

static void test_a_flood_of_any_useless_message_ends_the_connection(void **state)
{
	static const struct { uint8_t id; const char *payload; uint32_t n; } floods[] = {
		{ WIRE_CHOKE, "", 0 }, { WIRE_INTERESTED, "", 0 }, { WIRE_HAVE, "\0\0\0\1", 4 }, { WIRE_CANCEL, "\0\0\0\1\0\0\0\0\0\0\100\0", 12 },
		{ WIRE_REQUEST, "\0\0\0\1\0\0\0\0\0\0\100\0", 12 }, { WIRE_PORT, "\0\1", 2 }, { 99, "?", 1 },
	};
	size_t k;
	uint32_t i;

	for (k = 0; k < ARRAY_LEN(floods); k++) {
		as_unchoking_seed();
		for (i = 0; i < 8000 && alive(); i++)
			put_message(floods[k].id, floods[k].payload, floods[k].n);
		deliver(65536);
		assert_false(alive());
		end(state);
		begin(state);
	}
}

static void test_a_bitfield_costs_little_when_it_tells_something_and_much_when_not(void **state)
{
	uint8_t bits[1] = { 0 };
	int32_t before;
	uint32_t i;

	(void)state;
	put(greeting, sizeof greeting);
	deliver(sizeof wire);
	before = p->patience;
	for (i = 0; i < 7; i++) {
		bitfield_set(bits, i);
		put_message(WIRE_BITFIELD, bits, 1);
	}
	deliver(sizeof wire);
	assert_true(alive());
	assert_int_equal(p->pick.have_count, 7);
	assert_in_range(before - p->patience, 1, 7 * 20);
	/* The same again tells nothing: some thirty of them are a flood. */
	for (i = 0; i < 20; i++)
		put_message(WIRE_BITFIELD, bits, 1);
	deliver(sizeof wire);
	assert_true(alive());
	for (i = 0; i < 20; i++)
		put_message(WIRE_BITFIELD, bits, 1);
	deliver(sizeof wire);
	assert_false(alive());
}

static void test_have_none_takes_nothing_back(void **state)
{
	(void)state;
	put(greeting, sizeof greeting);
	put_message(WIRE_HAVE, "\0\0\0\3", 4);
	put_message(WIRE_HAVE_NONE, "", 0);
	deliver(sizeof wire);
	assert_true(alive());
	assert_false(p->pick.all);
	assert_int_equal(p->pick.have_count, 1);
	assert_true(bitfield_get(p->pick.have, 3));
	put_message(WIRE_HAVE_ALL, "", 0);
	put_message(WIRE_HAVE_NONE, "", 0);
	put_message(WIRE_UNCHOKE, "", 0);
	deliver(sizeof wire);
	assert_true(alive());
	assert_true(p->pick.all);
	assert_int_equal(p->pick.have_count, PIECES);
	assert_true(p->pick.queue_count >= PIPELINE_LEAST);
}

static void test_a_piece_that_fails_bans_its_only_sender(void **state)
{
	struct msg_rejected m;

	(void)state;
	as_unchoking_seed();
	m.piece = picker_queued(&p->pick, 0).piece;
	while (p->pick.queue_count && picker_queued(&p->pick, 0).piece == m.piece) {
		answer(0);
		deliver(sizeof wire);
	}
	fixture_say(&f, MSG_REJECTED, &m);
	fixture_turn(&f);
	assert_false(alive());
	assert_int_equal(f.swarm->banned, 1);
	assert_int_equal(candidates_at(f.swarm->candidates, 0)->state, CANDIDATE_NEVER);
}

static void test_a_verdict_about_a_piece_that_waits_for_none_breaks_the_contract(void **state)
{
	struct msg_verified m = { .piece = 2 };

	(void)state;
	fixture_say(&f, MSG_VERIFIED, &m);
	fixture_turn(&f);
	assert_false(f.swarm->ready);
}

static void test_a_slot_given_back_twice_breaks_the_contract(void **state)
{
	struct msg_slot_free m = { .slot = 3 };

	(void)state;
	fixture_say(&f, MSG_SLOT_FREE, &m);
	fixture_turn(&f);
	assert_false(f.swarm->ready);
}

static void test_without_slots_a_peer_waits_and_loses_nothing(void **state)
{
	struct disk *d = f.swarm->disk;
	uint32_t taken[SLOT_COUNT], n = 0, i, blocks;

	(void)state;
	as_unchoking_seed();
	blocks = min_u32(3, p->pick.queue_count);
	while (disk_free_slots(d))
		taken[n++] = disk_take_slot(d);
	for (i = 0; i < blocks; i++)
		answer(i);
	assert_int_equal(write(other, wire, wired), wired);
	wired = 0;
	fixture_turn(&f);
	assert_true(p->waits);
	assert_int_equal(f.blocks_seen, 0);
	for (i = 0; i < n; i++)
		disk_put_slot(d, taken[i]);
	on_slots(f.swarm);
	for (i = 0; i < 4; i++)
		fixture_turn(&f);
	assert_true(alive());
	assert_false(p->waits);
	assert_int_equal(f.blocks_seen, blocks);
}

/* A new diskproc verifies for minutes what is there: meanwhile nobody is read. */
static void test_who_is_not_read_is_not_silent(void **state)
{
	struct disk *d = f.swarm->disk;
	uint32_t taken[SLOT_COUNT], n = 0, i;
	struct peer *second;
	int end;

	(void)state;
	as_unchoking_seed();
	while (disk_free_slots(d))
		taken[n++] = disk_take_slot(d);
	answer(0);
	assert_int_equal(write(other, wire, wired), wired);
	wired = 0;
	fixture_turn(&f);
	assert_true(p->waits);
	second = fixture_peer(&f, 9, &end);
	peer_tick(p, p->rx.last_ms + 300000);
	peer_tick(second, second->connected_ms + 300000);
	assert_false(p->dead || second->dead);
	/* Five minutes later. */
	f.swarm->held_ms = loop_now(f.loop) - 300000;
	second->connected_ms -= 300000;
	for (i = 0; i < n; i++)
		disk_put_slot(d, taken[i]);
	on_slots(f.swarm);
	assert_false(p->waits);
	peer_tick(p, loop_now(f.loop));
	peer_tick(second, loop_now(f.loop));
	assert_false(p->dead || second->dead);
	close(end);
}

static void test_a_new_diskproc_before_the_old_ones_end_mixes_no_slots(void **state)
{
	int pair[2];

	(void)state;
	as_unchoking_seed();
	answer(0);
	wired -= 1000; /* a block is under way into a slot */
	deliver(sizeof wire);
	assert_int_equal(f.swarm->held_slots, 1);
	assert_int_equal(channel_pair(pair), 0);
	swarm_attach_disk(f.swarm, pair[0], FIX_EPOCH + 1, fixture_conveyor(&f));
	channel_close(&f.disk);
	channel_init(&f.disk, pair[1], FIX_EPOCH + 1, false, "netproc");
	assert_int_equal(f.swarm->held_slots, 0);
	fixture_have(&f, 0);
	fixture_turn(&f);
	assert_int_equal(disk_free_slots(f.swarm->disk), SLOT_COUNT);
	memset(wire, 9, 1000);
	wired = 1000;
	deliver(sizeof wire);
	assert_true(alive());
	assert_int_equal(f.blocks_seen, 0);
	assert_int_equal(disk_free_slots(f.swarm->disk), SLOT_COUNT);
}

static void test_who_is_banned_while_it_is_dialled_is_not_connected(void **state)
{
	struct net_addr a = { .family = 4, .ip = { 1, 2, 3, 4 }, .port = 1000 };
	uint32_t i = candidates_add(f.swarm->candidates, &a, PEER_FROM_TRACKER, 0), count = f.swarm->count;
	struct candidate *c = candidates_at(f.swarm->candidates, i);
	int sv[2];
	uint8_t byte;

	(void)state;
	candidates_take(f.swarm->candidates, i);
	ban(f.swarm, c->id, "it sent blocks of wrong data");
	ban(f.swarm, c->id, "it sent blocks of wrong data");
	assert_int_equal(f.swarm->banned, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	swarm_connected(f.swarm, i, sv[0]);
	assert_int_equal(f.swarm->count, count);
	assert_int_equal(c->state, CANDIDATE_NEVER);
	assert_int_equal(read(sv[1], &byte, 1), 0);
	close(sv[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_seed_that_unchokes_is_asked_for_blocks, begin, end),
		cmocka_unit_test_setup_teardown(test_blocks_arrive_whole_however_the_stream_is_cut, begin, end),
		cmocka_unit_test_setup_teardown(test_other_messages_between_blocks_break_no_prediction_for_good, begin, end),
		cmocka_unit_test_setup_teardown(test_a_block_that_nobody_asked_for_is_wasted_and_then_a_reason_to_go, begin, end),
		cmocka_unit_test_setup_teardown(test_a_choke_takes_requests_back_and_late_blocks_are_still_welcome, begin, end),
		cmocka_unit_test_setup_teardown(test_another_torrent_and_another_protocol_are_dropped, begin, end),
		cmocka_unit_test_setup_teardown(test_ourselves_are_never_dialled_again, begin, end),
		cmocka_unit_test_setup_teardown(test_a_second_connection_to_the_same_peer_is_closed, begin, end),
		cmocka_unit_test_setup_teardown(test_one_that_takes_its_place_goes_on_with_its_account, begin, end),
		cmocka_unit_test_setup_teardown(test_a_flood_of_any_useless_message_ends_the_connection, begin, end),
		cmocka_unit_test_setup_teardown(test_a_bitfield_costs_little_when_it_tells_something_and_much_when_not, begin, end),
		cmocka_unit_test_setup_teardown(test_have_none_takes_nothing_back, begin, end),
		cmocka_unit_test_setup_teardown(test_a_piece_that_fails_bans_its_only_sender, begin, end),
		cmocka_unit_test_setup_teardown(test_who_is_banned_while_it_is_dialled_is_not_connected, begin, end),
		cmocka_unit_test_setup_teardown(test_a_verdict_about_a_piece_that_waits_for_none_breaks_the_contract, begin, end),
		cmocka_unit_test_setup_teardown(test_a_slot_given_back_twice_breaks_the_contract, begin, end),
		cmocka_unit_test_setup_teardown(test_a_new_diskproc_before_the_old_ones_end_mixes_no_slots, begin, end),
		cmocka_unit_test_setup_teardown(test_who_is_not_read_is_not_silent, begin, end),
		cmocka_unit_test_setup_teardown(test_without_slots_a_peer_waits_and_loses_nothing, begin, end),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
