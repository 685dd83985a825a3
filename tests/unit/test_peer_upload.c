/* test_peer_upload.c - what a peer asks of us and gets: the real peer, swarm and disk client; the test is peer and diskproc. */
#include <setjmp.h>
#include <stdarg.h>
#include <signal.h>
#include <stddef.h>

#include <cmocka.h>

#include "swarm_fixture.h"

#define PIECES 64u
#define PIECE_BYTES (8u * BLOCK_BYTES)
#define TOTAL ((uint64_t)PIECES * PIECE_BYTES)

static const uint8_t greeting[68] = "\023BitTorrent protocol\0\0\0\0\0\020\0\004ZZZZZZZZZZZZZZZZZZZZ-PE0000-abcdefghijkl";

static struct fixture f;
static struct peer *p;
static int other;
static uint8_t in[4 << 20]; /* what the peer has received and not looked at */
static size_t in_bytes;

static void send_raw(const void *bytes, size_t n)
{
	assert_int_equal(write(other, bytes, n), (ssize_t)n);
}

static void turns(uint32_t n)
{
	while (n--)
		fixture_turn(&f);
}

static void send_message(uint8_t id, const void *payload, uint32_t n)
{
	uint8_t out[64];

	put_be32(out, 1 + n);
	out[4] = id;
	memcpy(out + 5, payload, n);
	send_raw(out, 5 + n);
}

static void send_triple(uint8_t id, uint32_t piece, uint32_t at, uint32_t n)
{
	uint8_t out[WIRE_HEAD_MAX];

	send_raw(out, wire_put_triple(out, id, piece, at, n));
}

static void receive(void)
{
	ssize_t n;

	while (in_bytes < sizeof in && (n = read(other, in + in_bytes, sizeof in - in_bytes)) > 0)
		in_bytes += (size_t)n;
}

struct seen {
	uint8_t id; /* 255: none */
	uint32_t piece, begin, length; /* of what has them; length: bytes of a block */
	bool right; /* a block's bytes */
};

/* The next whole message that the peer received. */
static struct seen next_seen(void)
{
	struct seen m = { .id = 255 };
	uint32_t n, i;

	receive();
	if (in_bytes >= 68 && in[0] == 19)
		memmove(in, in + 68, in_bytes -= 68);
	if (in_bytes < 4 || in_bytes < 4 + get_be32(in))
		return m;
	n = get_be32(in);
	m.id = n ? in[4] : 254;
	if (n >= 5)
		m.piece = get_be32(in + 5);
	if (n >= 9)
		m.begin = get_be32(in + 9);
	if (m.id == WIRE_REQUEST || m.id == WIRE_REJECT || m.id == WIRE_CANCEL)
		m.length = get_be32(in + 13);
	if (m.id == WIRE_PIECE) {
		m.length = n - 9;
		m.right = true;
		for (i = 0; i < m.length; i++)
			m.right &= in[13 + i] == fixture_byte(m.piece, m.begin + i);
	}
	memmove(in, in + 4 + n, in_bytes -= 4 + n);
	return m;
}

static struct seen next_of(uint8_t id)
{
	struct seen m;

	do
		m = next_seen();
	while (m.id != id && m.id != 255);
	return m;
}

static uint32_t count_of(uint8_t id)
{
	uint32_t n = 0;

	while (next_of(id).id == id)
		n++;
	return n;
}

static void forget_seen(void)
{
	while (next_seen().id != 255)
		;
}

static void assert_block(uint32_t piece, uint32_t at, uint32_t n)
{
	struct seen m;

	do
		m = next_seen();
	while (m.id == WIRE_EXTENDED); /* our hello, when the turns were slow */
	assert_int_equal(m.id, WIRE_PIECE);
	assert_int_equal(m.piece, piece);
	assert_int_equal(m.begin, at);
	assert_int_equal(m.length, n);
	assert_true(m.right);
}

static bool alive(void)
{
	return f.swarm->count == 1 && !p->dead;
}

static void answer_all(void)
{
	while (f.read_count)
		fixture_answer(&f, false);
	fixture_turn(&f);
}

/* A swarm that has the first `have` pieces, and a peer that has shaken hands. */
static void begin_with(uint32_t have, bool fast, bool super)
{
	fixture_new(&f, PIECES, PIECE_BYTES, TOTAL);
	f.swarm->options.super_seed = super;
	fixture_have(&f, have);
	fixture_turn(&f);
	p = fixture_peer(&f, 1, &other);
	in_bytes = 0;
	send_raw(greeting, 27);
	send_raw(fast ? "\004" : "\0", 1);
	send_raw(greeting + 28, 40);
	turns(2);
	assert_true(p->shook);
}

static void end(void)
{
	close(other);
	fixture_free(&f);
}

static void begin_unchoked(bool fast)
{
	begin_with(PIECES, fast, false);
	send_message(WIRE_INTERESTED, "", 0);
	turns(2);
	assert_true(p->up.choke.unchoked);
	assert_int_equal(next_of(WIRE_UNCHOKE).id, WIRE_UNCHOKE);
}

/* ---- requests and blocks */

static void test_requests_are_answered_in_order(void **state)
{
	uint32_t i;

	(void)state;
	begin_unchoked(true);
	for (i = 0; i < 4; i++)
		send_triple(WIRE_REQUEST, 9 - i, i * BLOCK_BYTES, BLOCK_BYTES);
	turns(2);
	assert_int_equal(f.read_count, 4);
	assert_int_equal(f.reads[0].piece, 9);
	while (f.read_count)
		fixture_answer(&f, false);
	turns(2);
	for (i = 0; i < 4; i++)
		assert_block(9 - i, i * BLOCK_BYTES, BLOCK_BYTES);
	turns(2);
	assert_int_equal(f.swarm->up.bytes, 4 * BLOCK_BYTES);
	end();
}

static void test_a_large_request_is_one_read_and_one_block(void **state)
{
	(void)state;
	begin_unchoked(true);
	send_triple(WIRE_REQUEST, 5, 0, REQUEST_BYTES_MAX);
	turns(2);
	assert_int_equal(f.read_count, 1);
	assert_int_equal(f.reads[0].length, REQUEST_BYTES_MAX);
	answer_all();
	turns(2);
	assert_block(5, 0, REQUEST_BYTES_MAX);
	end();
}

static void test_a_request_for_what_does_not_exist_drops_the_peer(void **state)
{
	static const uint32_t lies[][3] = {
		{ 0, 0, 0 }, { 0, 0, REQUEST_BYTES_MAX + 1 }, { 0, 0, UINT32_MAX }, { 0, PIECE_BYTES, 1 }, { 0, PIECE_BYTES - 1, 2 },
		{ 0, UINT32_MAX, BLOCK_BYTES }, { PIECES, 0, BLOCK_BYTES }, { UINT32_MAX, 0, BLOCK_BYTES },
	};
	size_t i;

	(void)state;
	for (i = 0; i < 2 * ARRAY_LEN(lies); i++) {
		/* Choked or not. */
		if (i < ARRAY_LEN(lies))
			begin_unchoked(true);
		else
			begin_with(PIECES, true, false);
		send_triple(WIRE_REQUEST, lies[i % ARRAY_LEN(lies)][0], lies[i % ARRAY_LEN(lies)][1], lies[i % ARRAY_LEN(lies)][2]);
		turns(2);
		assert_false(alive());
		assert_int_equal(f.reads_seen, 0);
		end();
	}
}

static void test_a_piece_that_is_not_here_is_rejected(void **state)
{
	struct seen m;

	(void)state;
	begin_with(3, true, false);
	send_message(WIRE_INTERESTED, "", 0);
	turns(2);
	assert_int_equal(next_of(WIRE_UNCHOKE).id, WIRE_UNCHOKE);
	send_triple(WIRE_REQUEST, 3, 0, BLOCK_BYTES);
	turns(2);
	m = next_of(WIRE_REJECT);
	assert_int_equal(m.id, WIRE_REJECT);
	assert_int_equal(m.piece, 3);
	assert_int_equal(f.reads_seen, 0);
	assert_true(alive());
	end();
}

static void test_a_choked_peer_is_rejected_if_it_knows_that_message_and_ignored_if_not(void **state)
{
	int fast;

	(void)state;
	for (fast = 0; fast < 2; fast++) {
		begin_with(PIECES, fast, false);
		p->up.fast_count = 0;
		forget_seen();
		send_triple(WIRE_REQUEST, 1, 0, BLOCK_BYTES);
		turns(2);
		assert_int_equal(count_of(WIRE_REJECT), fast);
		assert_int_equal(f.reads_seen, 0);
		assert_true(alive());
		end();
	}
}

static void test_what_is_allowed_fast_is_told_and_given_to_the_choked(void **state)
{
	struct seen m;

	(void)state;
	begin_with(PIECES, true, false);
	m = next_of(WIRE_ALLOWED_FAST);
	assert_int_equal(m.id, WIRE_ALLOWED_FAST);
	assert_int_equal(m.piece, p->up.fast[0]);
	assert_int_equal(p->up.fast_count, FASTSET_MAX);
	forget_seen();
	send_triple(WIRE_REQUEST, m.piece, 0, BLOCK_BYTES);
	turns(2);
	answer_all();
	turns(2);
	assert_false(p->up.choke.unchoked);
	assert_block(m.piece, 0, BLOCK_BYTES);
	end();
}

/* Without a limit, the choked could have the same pieces again and again, and the line to themselves. */
static void test_the_choked_have_a_burst_and_then_a_share(void **state)
{
	const uint64_t burst = 16u << 20;
	uint64_t got = 0;
	struct seen m;
	uint32_t i;

	(void)state;
	begin_with(PIECES, true, false);
	forget_seen();
	for (i = 0; i < 400; i++) {
		send_triple(WIRE_REQUEST, p->up.fast[i % FASTSET_MAX], 0, PIECE_BYTES);
		turns(2);
		answer_all();
		turns(2);
		do
			m = next_seen();
		while (m.id == WIRE_EXTENDED); /* our hello, when the turns were slow */
		if (m.id == WIRE_REJECT)
			break;
		assert_int_equal(m.id, WIRE_PIECE);
		got += m.length;
		forget_seen();
	}
	assert_false(p->up.choke.unchoked);
	/* What they got counts as given, too. */
	assert_true(got >= burst && got <= burst + burst / 7);
	f.swarm->up.bytes += 8 * PIECE_BYTES; /* to others */
	send_triple(WIRE_REQUEST, p->up.fast[0], 0, PIECE_BYTES);
	turns(2);
	answer_all();
	turns(2);
	assert_int_equal(next_seen().id, WIRE_PIECE);
	assert_true(alive());
	end();
}

static void test_what_a_choking_peer_allows_and_rejects_is_not_asked_for_again(void **state)
{
	uint8_t piece[4];
	uint32_t i, block;

	(void)state;
	begin_with(0, true, false);
	send_message(WIRE_HAVE_ALL, "", 0);
	for (i = 7; i <= 8; i++) {
		put_be32(piece, i);
		send_message(WIRE_ALLOWED_FAST, piece, 4);
	}
	turns(3);
	assert_int_equal(count_of(WIRE_REQUEST), 2 * PIECE_BYTES / BLOCK_BYTES);
	for (block = 0; block < PIECE_BYTES / BLOCK_BYTES; block++)
		send_triple(WIRE_REJECT, 7, block * BLOCK_BYTES, BLOCK_BYTES);
	turns(3);
	assert_int_equal(count_of(WIRE_REQUEST), 0);
	assert_int_equal(p->pick.queue_count, PIECE_BYTES / BLOCK_BYTES); /* of the other one */
	assert_true(alive());
	end();
}

static void test_what_a_choking_peer_allows_is_asked_for_and_nothing_else(void **state)
{
	uint8_t piece[4];
	struct seen m;
	uint32_t n = 0;

	(void)state;
	begin_with(0, true, false);
	send_message(WIRE_HAVE_ALL, "", 0);
	put_be32(piece, 7);
	send_message(WIRE_ALLOWED_FAST, piece, 4);
	turns(3);
	assert_true(p->choking);
	for (m = next_of(WIRE_REQUEST); m.id == WIRE_REQUEST; m = next_of(WIRE_REQUEST), n++)
		assert_int_equal(m.piece, 7);
	assert_int_equal(n, PIECE_BYTES / BLOCK_BYTES);
	put_be32(piece, PIECES);
	send_message(WIRE_ALLOWED_FAST, piece, 4);
	turns(2);
	assert_false(alive());
	end();
}

static void test_a_cancelled_request_is_rejected_and_not_answered(void **state)
{
	struct seen m;

	(void)state;
	begin_unchoked(true);
	send_triple(WIRE_REQUEST, 1, 0, BLOCK_BYTES);
	send_triple(WIRE_REQUEST, 2, 0, BLOCK_BYTES);
	turns(2);
	send_triple(WIRE_CANCEL, 1, 0, BLOCK_BYTES);
	turns(2);
	answer_all();
	turns(2);
	m = next_seen();
	assert_int_equal(m.id, WIRE_REJECT);
	assert_int_equal(m.piece, 1);
	assert_block(2, 0, BLOCK_BYTES);
	turns(1);
	end();
}

static void choke_it(void)
{
	p->up.choke.unchoked = false;
	peer_tell_choke(p);
}

static void test_a_choke_empties_the_queue_and_rejects(void **state)
{
	uint32_t i;

	(void)state;
	begin_unchoked(true);
	p->up.fast_count = 0;
	for (i = 0; i < 5; i++)
		send_triple(WIRE_REQUEST, i, 0, BLOCK_BYTES);
	turns(2);
	choke_it();
	assert_int_equal(next_seen().id, WIRE_CHOKE);
	for (i = 0; i < 5; i++) {
		struct seen m = next_seen();

		assert_int_equal(m.id, WIRE_REJECT);
		assert_int_equal(m.piece, i);
	}
	assert_int_equal(requests_count(&p->up.requests), 0);
	answer_all(); /* the reads were out: nobody wants them */
	turns(2);
	assert_int_equal(count_of(WIRE_PIECE), 0);
	end();
}

/* ---- a reader that is slow */

/* The socket has little room, and the peer reads nothing: one block is partly in the socket, and partly in the buffer. */
static uint32_t stop_midway(void)
{
	int small = 4096;
	uint32_t i;

	assert_int_equal(setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
	for (i = 0; i < 16; i++)
		send_triple(WIRE_REQUEST, i, 0, REQUEST_BYTES_MAX);
	for (i = 0; i < 100 && !p->tx.waits; i++) {
		fixture_turn(&f);
		answer_all();
	}
	assert_true(p->tx.waits);
	assert_true(p->tx.begin < p->tx.end);
	assert_int_equal(f.swarm->up.held_bytes, p->tx.block_bytes);
	assert_in_range(p->tx.block_bytes, 1, REQUEST_BYTES_MAX);
	return requests_count(&p->up.requests);
}

static void read_to_the_end(void)
{
	uint32_t i;

	for (i = 0; i < 5000 && (requests_count(&p->up.requests) || p->tx.begin < p->tx.end || f.read_count); i++) {
		receive();
		fixture_turn(&f);
		answer_all();
	}
	receive();
}

static void test_a_block_that_is_partly_sent_is_finished_before_anything_else(void **state)
{
	uint32_t left, i = 0;

	(void)state;
	begin_unchoked(true);
	left = stop_midway();
	p->up.fast_count = 0;
	choke_it();
	assert_int_equal(requests_count(&p->up.requests), 0);
	read_to_the_end();
	for (i = 0; i + left < 16; i++)
		assert_block(i, 0, REQUEST_BYTES_MAX);
	assert_int_equal(next_seen().id, WIRE_CHOKE);
	assert_int_equal(count_of(WIRE_REJECT), left);
	assert_int_equal(in_bytes, 0);
	assert_int_equal(f.swarm->up.held_bytes, 0);
	assert_true(alive());
	end();
}

static void test_who_takes_nothing_is_read_nothing_for_and_goes_on_later(void **state)
{
	uint32_t i, seen;

	(void)state;
	begin_unchoked(true);
	stop_midway();
	seen = f.reads_seen;
	turns(20);
	assert_int_equal(f.reads_seen, seen);
	assert_int_equal(f.read_count, 0);
	assert_null(f.swarm->up.line);
	read_to_the_end();
	assert_false(p->dead);
	assert_true(p->up.choke.unchoked);
	assert_int_equal(requests_count(&p->up.requests), 0);
	for (i = 0; i < 16; i++)
		assert_block(i, 0, REQUEST_BYTES_MAX);
	end();
}

/* What a full socket left over is bounded for all peers together: beyond it nothing is read for anybody. */
static void test_blocks_that_found_no_room_stop_the_reads(void **state)
{
	(void)state;
	begin_unchoked(true);
	swarm_hold_bytes(f.swarm, (4 << 20) + 1);
	send_triple(WIRE_REQUEST, 1, 0, BLOCK_BYTES);
	turns(5);
	assert_int_equal(f.read_count, 0);
	assert_ptr_equal(f.swarm->up.line, p);
	swarm_hold_bytes(f.swarm, -1);
	turns(2);
	assert_int_equal(f.read_count, 1);
	swarm_hold_bytes(f.swarm, -(4 << 20));
	end();
}

static void test_haves_to_a_peer_that_reads_nothing_are_bounded_and_reach_it_later(void **state)
{
	int small = 4096;
	uint32_t i, n = 40000, got;

	(void)state;
	begin_with(0, true, false);
	assert_int_equal(setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
	f.swarm->come = must_calloc(n, sizeof *f.swarm->come);
	f.swarm->come_room = n;
	forget_seen();
	for (i = 0; i < n; i++) {
		f.swarm->come[f.swarm->come_count++] = i % PIECES;
		if (i % 100 == 0)
			fixture_turn(&f);
		assert_true(p->tx.end - p->tx.begin <= 16384 + HAVE_BATCH * 9);
	}
	assert_true(alive());
	assert_true(p->told < n);
	for (got = 0, i = 0; i < 4000 && got < n; i++) {
		got += count_of(WIRE_HAVE);
		f.swarm->told = 0; /* as at each tick */
		fixture_turn(&f);
	}
	assert_int_equal(got, n);
	end();
}

static void test_a_peer_that_dies_with_reads_out_leaves_nothing_behind(void **state)
{
	uint32_t i;

	(void)state;
	begin_unchoked(true);
	for (i = 0; i < 8; i++)
		send_triple(WIRE_REQUEST, i, 0, BLOCK_BYTES);
	turns(2);
	assert_int_equal(f.read_count, 8);
	fixture_answer(&f, false); /* one is here, seven are out */
	fixture_turn(&f);
	swarm_drop(p, DROP_CLOSED, "test");
	turns(1);
	assert_int_equal(f.swarm->count, 0);
	answer_all();
	turns(2);
	assert_int_equal(f.swarm->up.free_reads, CONVEYOR_READS);
	assert_int_equal(f.swarm->up.out_bytes, 0);
	assert_true(disk_may_read(f.swarm->disk, CONVEYOR_READ_MAX));
	end();
}

static void test_reads_that_a_cancel_made_useless_make_room_for_the_next(void **state)
{
	int large = 1 << 20;
	uint32_t i, out, fails;

	(void)state;
	for (fails = 0; fails <= 1; fails++) {
		begin_unchoked(true);
		assert_int_equal(setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof large), 0);
		for (i = 0; i < 20; i++)
			send_triple(WIRE_REQUEST, i, 0, BLOCK_BYTES);
		turns(2);
		out = f.read_count;
		assert_int_equal(out, 16); /* the window: no more go out before these are back */
		for (i = 0; i < 20; i++)
			send_triple(WIRE_CANCEL, i, 0, BLOCK_BYTES);
		for (i = 0; i < 4; i++)
			send_triple(WIRE_REQUEST, 20 + i, 0, BLOCK_BYTES);
		turns(2);
		assert_int_equal(f.read_count, out);
		while (out--)
			fixture_answer(&f, fails);
		turns(2);
		assert_int_equal(f.read_count, 4);
		answer_all();
		turns(2);
		while (next_seen().id != WIRE_PIECE)
			;
		assert_int_equal(count_of(WIRE_PIECE), 3);
		end();
	}
}

#define CROWD 20u

/* So many more peers, each of which asks for more than it may have at once and takes nothing. */
static void come_in_a_crowd(int ends[CROWD])
{
	static const uint8_t want[] = { 0, 0, 0, 1, WIRE_INTERESTED };
	uint8_t hello[68], out[WIRE_HEAD_MAX];
	uint32_t i, k;

	memcpy(hello, greeting, sizeof hello);
	f.swarm->options.max_uploads = 64;
	for (i = 0; i < CROWD; i++) {
		struct peer *q = fixture_peer(&f, 2 + i, &ends[i]);

		hello[67] = (uint8_t)('A' + i);
		peer_feed(q, hello, sizeof hello);
		peer_feed(q, want, sizeof want);
		turns(1);
		assert_true(q->up.choke.unchoked);
		for (k = 0; k < 32; k++)
			peer_feed(q, out, wire_put_triple(out, WIRE_REQUEST, k, 0, BLOCK_BYTES));
		turns(2);
	}
}

static void test_a_crowd_that_takes_nothing_leaves_room_to_the_others(void **state)
{
	int ends[CROWD];
	uint32_t i, k;

	(void)state;
	begin_unchoked(true);
	come_in_a_crowd(ends);
	/* What is asked for them is read, and fills their sockets; then it is over. */
	for (i = 0; i < 200 && f.read_count; i++)
		answer_all();
	assert_int_equal(f.read_count, 0);
	send_triple(WIRE_REQUEST, 1, 0, REQUEST_BYTES_MAX);
	turns(2);
	assert_int_equal(f.read_count, 1);
	answer_all();
	turns(2);
	assert_block(1, 0, REQUEST_BYTES_MAX);
	for (i = 0, k = 0; i < f.swarm->count; i++)
		k += f.swarm->peers[i]->tx.block_bytes;
	assert_int_equal(f.swarm->up.held_bytes, k);
	for (i = 0; i < CROWD; i++)
		close(ends[i]);
	turns(3);
	assert_int_equal(f.swarm->up.held_bytes, 0);
	end();
}

static void test_room_of_the_dead_is_for_those_who_wait(void **state)
{
	int ends[CROWD];
	uint32_t i, asked;

	(void)state;
	begin_unchoked(true);
	come_in_a_crowd(ends);
	while (disk_may_read(f.swarm->disk, BLOCK_BYTES)) /* the rest is asked for by nobody in particular */
		swarm_read(f.swarm->peers[1], UINT32_MAX, 0, 0, BLOCK_BYTES);
	turns(1);
	asked = f.read_count;
	send_triple(WIRE_REQUEST, 1, 0, BLOCK_BYTES);
	turns(2);
	for (i = 0; i < CROWD; i++)
		close(ends[i]);
	turns(2);
	assert_true(alive());
	assert_int_equal(f.read_count, asked);
	for (i = 0; i < asked; i++) {
		fixture_answer(&f, i & 1);
		if (i % 16 == 0)
			loop_turn(f.loop, 0);
	}
	turns(2);
	assert_int_equal(f.read_count, 1);
	answer_all();
	turns(2);
	assert_int_equal(next_of(WIRE_PIECE).piece, 1);
	end();
}

/* It is dialled again as soon as one that gave; one that came for nothing waits longer each time. */
static void test_a_peer_that_took_from_a_seed_is_no_failure(void **state)
{
	struct candidate *c;
	uint32_t takes;

	(void)state;
	for (takes = 0; takes <= 1; takes++) {
		begin_unchoked(true);
		c = candidates_at(f.swarm->candidates, p->candidate);
		if (takes)
			send_triple(WIRE_REQUEST, 1, 0, BLOCK_BYTES);
		turns(2);
		answer_all();
		turns(2);
		swarm_drop(p, DROP_CLOSED, "test");
		turns(1);
		assert_int_equal(c->state, CANDIDATE_IDLE);
		assert_int_equal(c->failures, !takes);
		end();
	}
}

/* ---- diskproc */

static void test_a_read_that_fails_is_rejected(void **state)
{
	struct seen m;

	(void)state;
	begin_unchoked(true);
	send_triple(WIRE_REQUEST, 1, 0, BLOCK_BYTES);
	send_triple(WIRE_REQUEST, 2, 0, BLOCK_BYTES);
	turns(2);
	fixture_answer(&f, true);
	answer_all();
	turns(2);
	m = next_seen();
	assert_int_equal(m.id, WIRE_REJECT);
	assert_int_equal(m.piece, 1);
	assert_block(2, 0, BLOCK_BYTES);
	assert_true(alive());
	end();
}

/* diskproc says that a block is in the conveyor, and there is a part of it: what was begun cannot be finished. */
static void test_a_block_that_is_not_there_drops_the_peer_and_accuses(void **state)
{
	struct msg_data m;
	uint8_t some[1000] = { 0 };

	(void)state;
	begin_unchoked(true);
	send_triple(WIRE_REQUEST, 1, 0, BLOCK_BYTES);
	turns(2);
	m.tag = f.reads[0].tag;
	assert_int_equal(write(f.conveyor, some, sizeof some), sizeof some);
	fixture_say(&f, MSG_DATA, &m);
	turns(2);
	assert_int_equal(f.swarm->count, 0);
	assert_false(f.swarm->ready);
	end();
}

/* diskproc dies, and another one has the first `have` pieces. */
static void replace_disk(uint32_t have)
{
	int sv[2];

	channel_close(&f.disk);
	turns(2);
	assert_false(f.swarm->ready);
	assert_int_equal(channel_pair(sv), 0);
	channel_init(&f.disk, sv[1], FIX_EPOCH + 1, false, "netproc");
	f.read_count = 0;
	swarm_attach_disk(f.swarm, sv[0], FIX_EPOCH + 1, fixture_conveyor(&f));
	fixture_have(&f, have);
	turns(3);
}

static void test_what_was_not_read_is_read_from_the_next_diskproc(void **state)
{
	uint32_t i;

	(void)state;
	begin_unchoked(true);
	for (i = 0; i < 4; i++)
		send_triple(WIRE_REQUEST, i, 0, BLOCK_BYTES);
	turns(2);
	fixture_answer(&f, false);
	fixture_answer(&f, false);
	turns(2);
	replace_disk(PIECES);
	assert_true(alive());
	assert_int_equal(f.read_count, 2);
	assert_int_equal(f.reads[0].piece, 2);
	read_to_the_end();
	for (i = 0; i < 4; i++)
		assert_block(i, 0, BLOCK_BYTES);
	end();
}

static void test_what_the_next_diskproc_has_not_verified_is_rejected_and_not_read(void **state)
{
	struct seen m;
	uint32_t i;

	(void)state;
	begin_unchoked(true);
	for (i = 0; i < 6; i++)
		send_triple(WIRE_REQUEST, i, 0, BLOCK_BYTES);
	turns(2);
	forget_seen();
	/* Of those that were read and those that were not. */
	replace_disk(4);
	assert_true(alive());
	assert_int_equal(f.read_count, 4);
	for (i = 0; i < 4; i++)
		assert_int_equal(f.reads[i].piece, i);
	for (i = 4; i < 6; i++) {
		m = next_seen();
		assert_int_equal(m.id, WIRE_REJECT);
		assert_int_equal(m.piece, i);
	}
	answer_all();
	turns(2);
	for (i = 0; i < 4; i++)
		assert_block(i, 0, BLOCK_BYTES);
	end();
}

/* ---- the rate */

static void test_max_up_lets_no_more_through_than_it_says(void **state)
{
	const uint64_t rate = 1 << 20;
	uint64_t began, passed;
	uint32_t i;

	(void)state;
	begin_unchoked(true);
	bucket_init(&f.swarm->up.bucket, rate, now_us());
	for (i = 0; i < 4; i++)
		send_triple(WIRE_REQUEST, i, 0, REQUEST_BYTES_MAX);
	turns(1);
	began = now_us();
	assert_true(requests_count(&p->up.requests) > 0);
	for (i = 0; i < 1000000 && requests_count(&p->up.requests); i++) {
		loop_turn(f.loop, 1);
		fixture_turn(&f);
		while (f.read_count)
			fixture_answer(&f, false);
		receive();
		passed = now_us() - began;
		/* A tenth of a second of burst, and one message of debt. */
		assert_true(in_bytes <= rate * passed / 1000000 + rate / 10 + BLOCK_BYTES + REQUEST_BYTES_MAX);
	}
	assert_int_equal(requests_count(&p->up.requests), 0);
	for (i = 0; i < 4; i++)
		assert_block(i, 0, REQUEST_BYTES_MAX);
	end();
}

static void test_without_tokens_the_line_stands_still_and_goes_on_in_its_order(void **state)
{
	static const uint8_t want[] = { 0, 0, 0, 1, WIRE_INTERESTED };
	uint8_t hello[68], out[WIRE_HEAD_MAX];
	struct peer *second;
	int end_of_second;
	uint32_t i;

	(void)state;
	begin_unchoked(true);
	second = fixture_peer(&f, 2, &end_of_second);
	memcpy(hello, greeting, sizeof hello);
	hello[67] = 'z';
	peer_feed(second, hello, sizeof hello);
	peer_feed(second, want, sizeof want);
	turns(2);
	assert_true(second->up.choke.unchoked);
	/* A second's worth of debt. */
	bucket_init(&f.swarm->up.bucket, 1 << 20, now_us());
	bucket_take(&f.swarm->up.bucket, 1 << 20);
	for (i = 0; i < 3; i++) {
		send_triple(WIRE_REQUEST, i, 0, BLOCK_BYTES);
		turns(1);
		peer_feed(second, out, wire_put_triple(out, WIRE_REQUEST, 8 + i, 0, BLOCK_BYTES));
		turns(1);
	}
	assert_int_equal(f.read_count, 0);
	forget_seen();
	turns(20);
	assert_int_equal(f.swarm->up.bytes, 0);
	assert_ptr_equal(f.swarm->up.line, p);
	assert_ptr_equal(p->up.next, second);
	assert_int_equal(f.swarm->up.in_line, 2);
	assert_true(f.swarm->up.timer.heap != 0);
	assert_int_equal(loop_turn(f.loop, 0), 0); /* it waits for the timer, and does not spin */
	assert_int_equal(swarm_wait_ms(f.swarm), 1000);
	/* The burst is enough for all of them. */
	bucket_init(&f.swarm->up.bucket, 1 << 20, now_us());
	swarm_upload_kick(f.swarm);
	turns(2);
	answer_all();
	turns(2);
	for (i = 0; i < 3; i++)
		assert_block(i, 0, BLOCK_BYTES);
	assert_int_equal(f.swarm->up.bytes, 6 * BLOCK_BYTES);
	close(end_of_second);
	end();
}

static void test_who_sends_more_than_max_down_allows_is_not_read_until_there_are_tokens(void **state)
{
	const uint64_t rate = 1 << 20;
	uint64_t began;
	uint32_t i;

	(void)state;
	begin_with(PIECES, true, false);
	bucket_init(&f.swarm->up.down, rate, now_us());
	bucket_take(&f.swarm->up.down, rate / 5); /* a tenth of a second is the burst: this is as much of debt */
	began = now_us();
	send_message(WIRE_INTERESTED, "", 0);
	turns(1);
	assert_true(p->paused);
	assert_false(p->up.choke.interested);
	assert_true(f.swarm->up.down_timer.heap != 0);
	turns(1); /* settles what the timers bring */
	for (i = 0; i < 1000 && !p->up.choke.interested; i++) {
		/* Its bytes lie there, and it is not they that wake the loop. */
		if (p->paused && loop_turn(f.loop, 0) > 0)
			assert_false(p->paused);
		loop_turn(f.loop, 5);
		swarm_end_turn(f.swarm, true);
	}
	assert_true(p->up.choke.interested);
	assert_false(p->paused);
	assert_true(now_us() - began >= 90000);
	assert_true(alive());
	end();
}

/* On a slow line a begun block is sent whole, on credit: what we say is not held up behind the rest of it. */
static void test_a_slow_line_sends_whole_blocks(void **state)
{
	(void)state;
	begin_unchoked(true);
	bucket_init(&f.swarm->up.bucket, 1024, now_us());
	bucket_take(&f.swarm->up.bucket, (uint64_t)f.swarm->up.bucket.full / 1000000 - 2048); /* 2 KiB are left */
	send_triple(WIRE_REQUEST, 0, 0, BLOCK_BYTES);
	send_triple(WIRE_REQUEST, 0, BLOCK_BYTES, BLOCK_BYTES);
	turns(2);
	assert_int_equal(f.read_count, 1);
	fixture_answer(&f, false);
	turns(3);
	assert_int_equal(requests_count(&p->up.requests), 1);
	assert_block(0, 0, BLOCK_BYTES);
	assert_true(f.swarm->up.bucket.level < 0);
	end();
}

/* ---- super-seeding */

static uint32_t shown_now(void)
{
	struct seen m;
	uint32_t i;

	for (i = 0; i < 200; i++) {
		m = next_of(WIRE_HAVE);
		if (m.id == WIRE_HAVE)
			return m.piece;
		loop_turn(f.loop, 20);
		fixture_turn(&f);
	}
	fail_msg("nothing is shown");
	return 0;
}

static void test_a_super_seed_shows_one_piece_after_the_other(void **state)
{
	uint8_t piece[4], zeros[PIECES / 8] = { 0 };
	uint32_t first, second;

	(void)state;
	begin_with(PIECES, true, true);
	assert_int_equal(next_seen().id, WIRE_HAVE_NONE);
	assert_int_equal(next_seen().id, WIRE_EXTENDED);
	assert_int_equal(next_seen().id, 255); /* nothing is allowed fast */
	send_message(WIRE_BITFIELD, zeros, sizeof zeros);
	first = shown_now();
	assert_int_equal(count_of(WIRE_HAVE), 0);
	send_message(WIRE_INTERESTED, "", 0);
	turns(2);
	send_triple(WIRE_REQUEST, (first + 1) % PIECES, 0, BLOCK_BYTES);
	send_triple(WIRE_REQUEST, first, 0, BLOCK_BYTES);
	turns(2);
	assert_int_equal(f.read_count, 1);
	assert_int_equal(f.reads[0].piece, first);
	assert_int_equal(next_of(WIRE_REJECT).piece, (first + 1) % PIECES);
	answer_all();
	put_be32(piece, first);
	send_message(WIRE_HAVE, piece, 4);
	second = shown_now(); /* it is alone: another at once */
	assert_int_not_equal(first, second);
	end();
}

static void test_super_seeding_ends_when_each_piece_was_seen_and_then_all_is_told(void **state)
{
	uint8_t bits[PIECES / 8];
	uint32_t i, told = 0;
	struct peer *second;
	int far;

	(void)state;
	begin_with(PIECES, true, true);
	send_message(WIRE_BITFIELD, "\377\377\377\377\0\0\0\0", sizeof bits);
	assert_true(shown_now() >= PIECES / 2);
	second = fixture_peer(&f, 77, &far);
	assert_int_equal(write(far, greeting, 67), 67);
	assert_int_equal(write(far, "m\0\0\0\11\5\0\0\0\0\377\377\377\377", 14), 14);
	for (i = 0; i < 200 && swarm_super_seeds(f.swarm); i++) {
		loop_turn(f.loop, 20);
		fixture_turn(&f);
	}
	assert_false(swarm_super_seeds(f.swarm));
	for (i = 0; i < 200 && (p->veiled || second->veiled); i++) {
		loop_turn(f.loop, 20);
		fixture_turn(&f);
		told += count_of(WIRE_HAVE);
	}
	told += count_of(WIRE_HAVE);
	assert_false(p->veiled || second->veiled);
	assert_int_equal(told, PIECES / 2); /* what it lacks, once, the shown piece again */
	send_message(WIRE_INTERESTED, "", 0);
	turns(2);
	send_triple(WIRE_REQUEST, PIECES - 1, 0, BLOCK_BYTES);
	turns(2);
	assert_int_equal(f.read_count, 1);
	close(far);
	end();
}

static void test_what_was_downloaded_is_not_super_seeded(void **state)
{
	(void)state;
	begin_with(PIECES - 1, true, true);
	assert_false(swarm_super_seeds(f.swarm));
	assert_int_equal(next_seen().id, WIRE_BITFIELD);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_are_answered_in_order),
		cmocka_unit_test(test_a_large_request_is_one_read_and_one_block),
		cmocka_unit_test(test_a_request_for_what_does_not_exist_drops_the_peer),
		cmocka_unit_test(test_a_piece_that_is_not_here_is_rejected),
		cmocka_unit_test(test_a_choked_peer_is_rejected_if_it_knows_that_message_and_ignored_if_not),
		cmocka_unit_test(test_what_is_allowed_fast_is_told_and_given_to_the_choked),
		cmocka_unit_test(test_the_choked_have_a_burst_and_then_a_share),
		cmocka_unit_test(test_what_a_choking_peer_allows_and_rejects_is_not_asked_for_again),
		cmocka_unit_test(test_what_a_choking_peer_allows_is_asked_for_and_nothing_else),
		cmocka_unit_test(test_a_cancelled_request_is_rejected_and_not_answered),
		cmocka_unit_test(test_a_choke_empties_the_queue_and_rejects),
		cmocka_unit_test(test_a_block_that_is_partly_sent_is_finished_before_anything_else),
		cmocka_unit_test(test_who_takes_nothing_is_read_nothing_for_and_goes_on_later),
		cmocka_unit_test(test_blocks_that_found_no_room_stop_the_reads),
		cmocka_unit_test(test_haves_to_a_peer_that_reads_nothing_are_bounded_and_reach_it_later),
		cmocka_unit_test(test_a_peer_that_dies_with_reads_out_leaves_nothing_behind),
		cmocka_unit_test(test_reads_that_a_cancel_made_useless_make_room_for_the_next),
		cmocka_unit_test(test_a_crowd_that_takes_nothing_leaves_room_to_the_others),
		cmocka_unit_test(test_room_of_the_dead_is_for_those_who_wait),
		cmocka_unit_test(test_a_peer_that_took_from_a_seed_is_no_failure),
		cmocka_unit_test(test_a_read_that_fails_is_rejected),
		cmocka_unit_test(test_a_block_that_is_not_there_drops_the_peer_and_accuses),
		cmocka_unit_test(test_what_was_not_read_is_read_from_the_next_diskproc),
		cmocka_unit_test(test_what_the_next_diskproc_has_not_verified_is_rejected_and_not_read),
		cmocka_unit_test(test_max_up_lets_no_more_through_than_it_says),
		cmocka_unit_test(test_without_tokens_the_line_stands_still_and_goes_on_in_its_order),
		cmocka_unit_test(test_who_sends_more_than_max_down_allows_is_not_read_until_there_are_tokens),
		cmocka_unit_test(test_a_slow_line_sends_whole_blocks),
		cmocka_unit_test(test_a_super_seed_shows_one_piece_after_the_other),
		cmocka_unit_test(test_super_seeding_ends_when_each_piece_was_seen_and_then_all_is_told),
		cmocka_unit_test(test_what_was_downloaded_is_not_super_seeded),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("peer_upload", tests, NULL, NULL);
}
