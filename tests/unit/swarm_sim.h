/*
 * swarm_sim.h - a swarm in simulated time: seeds with a rate, a delay and vices,
 * one downloader that drives picker.c and rate.c as netproc's peer.c does.
 *
 * No socket and no clock: time goes on in ticks of a quarter millisecond.  What
 * a seed has put into its socket buffer counts as sent and cannot be cancelled.
 * The downloader reads `capacity` bytes a second in all, at most 256 KiB from
 * one peer at a time; diskproc's verdict comes after VERDICT_TICKS.
 */
#ifndef SWARM_SIM_H
#define SWARM_SIM_H

#define TICK_US 250u
#define VERDICT_TICKS 8u
#define READ_BYTES (256u * 1024u)
#define SEED_RING 4096u
#define SIM_PICK_MAX 256u

struct sim_request {
	uint32_t piece, block, left;
	uint64_t due_us;
};

struct sim_peer {
	/* What it is. */
	uint64_t rate;         /* bytes a second, 0: as fast as it can */
	uint64_t delay_us;     /* each answer is held so long */
	uint64_t rtt_us;       /* of the way */
	bool stall, corrupt;
	uint32_t stall_after;  /* stops answering after this many blocks, 0: never */
	uint64_t choke_us, unchoke_us; /* chokes us then, dropping what it was asked for, and unchokes again; 0: never */
	uint64_t join_us, leave_us;
	uint8_t *have;         /* NULL: seed */
	/* Its state. */
	struct sim_request ring[SEED_RING];
	uint32_t head, tail;
	double credit;
	uint64_t buffered;     /* in the socket, already sent */
	struct sim_request wire[SEED_RING]; /* blocks in the socket, left: bytes not read yet */
	uint32_t wire_head, wire_tail;
	bool connected, banned, choking;
	uint32_t answered;
	uint64_t sent, received;
	/* The downloader's side. */
	struct picker_peer pick;
	struct rate rate_of;
};

struct sim {
	struct picker *p;
	uint32_t pieces, piece_length;
	uint64_t total_length, budget, capacity, sndbuf;
	struct sim_peer *peer;
	uint32_t peers;
	uint64_t now_us;
	uint8_t *received;       /* by block of the whole torrent: 1 when it went to diskproc */
	uint8_t *bad;            /* by block: it is wrong */
	uint32_t *waiting;       /* pieces whose verdict is due */
	uint64_t *waiting_us;
	uint32_t waiting_head, waiting_tail, waiting_room;
	uint32_t *arrived;       /* blocks by piece */
	uint64_t payload, wasted, sent, cancels;
	uint32_t rejected, bans, most_open;
	uint32_t check_every, ticks;
	uint64_t pause_us, pause_for_us; /* the reader stops then, for so long; 0: never */
};

static uint32_t sim_blocks(const struct sim *s, uint32_t piece)
{
	return (piece_bytes(s->p, piece) + BLOCK_BYTES - 1) / BLOCK_BYTES;
}
static uint32_t sim_block_bytes(const struct sim *s, uint32_t piece, uint32_t block)
{
	return min_u32(BLOCK_BYTES, piece_bytes(s->p, piece) - block * BLOCK_BYTES);
}
static size_t sim_index(const struct sim *s, uint32_t piece, uint32_t block)
{
	return (size_t)piece * s->p->blocks_per_piece + block;
}

static struct sim *sim_new(uint64_t total, uint32_t piece_length, uint32_t peers)
{
	struct sim *s = must_calloc(1, sizeof *s);

	s->piece_length = piece_length;
	s->total_length = total;
	s->pieces = (uint32_t)((total + piece_length - 1) / piece_length);
	s->budget = max_u64(64u << 20, (uint64_t)piece_length * 4);
	s->capacity = 1200000000u;
	s->sndbuf = 1u << 20;
	s->peers = peers;
	s->peer = must_calloc(peers, sizeof *s->peer);
	s->p = picker_new(s->pieces, piece_length, total, s->budget, 12345);
	s->received = must_calloc((size_t)s->pieces * s->p->blocks_per_piece, 1);
	s->bad = must_calloc((size_t)s->pieces * s->p->blocks_per_piece, 1);
	s->waiting_room = s->pieces + 1;
	s->waiting = must_calloc(s->waiting_room, sizeof *s->waiting);
	s->waiting_us = must_calloc(s->waiting_room, sizeof *s->waiting_us);
	s->arrived = must_calloc(s->pieces, sizeof *s->arrived);
	s->check_every = 400;
	return s;
}

static void sim_free(struct sim *s)
{
	uint32_t i;

	picker_free(s->p);
	for (i = 0; i < s->peers; i++)
		free(s->peer[i].have);
	free(s->peer);
	free(s->received);
	free(s->bad);
	free(s->waiting);
	free(s->waiting_us);
	free(s->arrived);
	free(s);
}

static struct sim_peer *sim_of(struct picker_peer *pick)
{
	return (struct sim_peer *)((char *)pick - offsetof(struct sim_peer, pick));
}

/* As peer_request() of netproc. */
static void sim_request(struct sim *s, struct sim_peer *q)
{
	struct picker_request out[SIM_PICK_MAX];
	uint32_t target, n, i, before = q->pick.queue_count, sending = 0;
	uint64_t all = 0;

	if (!q->connected || q->choking || q->banned)
		return;
	target = rate_pipeline(&q->rate_of, s->now_us / 1000, 0);
	if (before > target - target / 4)
		return;
	for (i = 0; i < s->peers; i++)
		if (s->peer[i].connected && s->peer[i].rate_of.total) {
			all += rate_now(&s->peer[i].rate_of, s->now_us);
			sending++;
		}
	q->pick.snubbed = rate_snubbed(&q->rate_of);
	q->pick.fast = rate_is_fast(&q->rate_of, all, sending, s->now_us);
	q->pick.expected_ms = rate_expected_ms(&q->rate_of, before, s->now_us);
	n = picker_pick(s->p, &q->pick, min_u32(target - before, SIM_PICK_MAX), s->now_us / 1000, out);
	rate_on_requests(&q->rate_of, n, before, s->now_us);
	s->most_open = max_u32(s->most_open, picker_open(s->p));
	for (i = 0; i < n; i++) {
		struct sim_request *r = &q->ring[q->tail++ % SEED_RING];
		if (q->tail - q->head > SEED_RING)
			bug("sim: a seed was asked for more than it can hold");
		*r = (struct sim_request){ out[i].piece, out[i].block, sim_block_bytes(s, out[i].piece, out[i].block),
					   s->now_us + q->delay_us + q->rtt_us };
	}
}

static void sim_cancel(struct sim *s, struct sim_peer *q, uint32_t piece, uint32_t block)
{
	uint32_t i, k;

	s->cancels++;
	rate_on_dropped(&q->rate_of);
	for (i = q->head; i != q->tail; i++) {
		struct sim_request *r = &q->ring[i % SEED_RING];
		if (r->piece != piece || r->block != block)
			continue;
		if (i == q->head && r->left != sim_block_bytes(s, piece, block))
			return; /* half of it is sent */
		for (k = i; k + 1 != q->tail; k++)
			q->ring[k % SEED_RING] = q->ring[(k + 1) % SEED_RING];
		q->tail--;
		return;
	}
}

static void sim_drop(struct sim *s, struct sim_peer *q)
{
	if (!q->connected)
		return;
	picker_leave(s->p, &q->pick);
	q->connected = false;
	q->banned = true;
	q->head = q->tail = q->wire_head = q->wire_tail = 0;
	q->buffered = 0;
}

static void sim_block(struct sim *s, struct sim_peer *q, uint32_t piece, uint32_t block)
{
	struct picker_peer *others[8];
	uint32_t count, i, bytes = sim_block_bytes(s, piece, block);

	s->payload += bytes;
	q->received += bytes;
	if (picker_on_block(s->p, &q->pick, piece, block * BLOCK_BYTES, bytes, s->now_us / 1000, others, 8, &count) != PICKER_TAKE) {
		s->wasted += bytes;
		return;
	}
	for (i = 0; i < count; i++)
		sim_cancel(s, sim_of(others[i]), piece, block);
	if (s->received[sim_index(s, piece, block)]++)
		bug("sim: %u/%u was taken twice", piece, block);
	s->bad[sim_index(s, piece, block)] = q->corrupt;
	if (++s->arrived[piece] == sim_blocks(s, piece)) {
		s->waiting[s->waiting_tail % s->waiting_room] = piece;
		s->waiting_us[s->waiting_tail++ % s->waiting_room] = s->now_us + VERDICT_TICKS * TICK_US;
	}
}

/* The seed's side: what it puts into its socket in this tick. */
static void sim_send(struct sim *s, struct sim_peer *q)
{
	if (q->rate) {
		q->credit += (double)q->rate * TICK_US / 1e6;
		if (q->credit > (double)q->rate / 5)
			q->credit = (double)q->rate / 5;
	}
	while (q->head != q->tail && q->buffered < s->sndbuf) {
		struct sim_request *r = &q->ring[q->head % SEED_RING];
		uint32_t bytes = r->left;
		if (q->stall || (q->stall_after && q->answered >= q->stall_after) || r->due_us > s->now_us)
			return;
		if (q->rate && q->credit < 0)
			return;
		q->credit -= bytes;
		q->wire[q->wire_tail++ % SEED_RING] = *r;
		q->buffered += bytes;
		q->sent += bytes;
		q->answered++;
		q->head++;
	}
	if (q->head == q->tail && q->rate && q->credit > 0)
		q->credit = 0;
}

/* Reads up to `room` bytes of what stands in the socket. */
static uint64_t sim_read(struct sim *s, struct sim_peer *q, uint64_t room)
{
	uint64_t n = min_u64(min_u64(room, READ_BYTES), q->buffered), left = n;

	if (!n)
		return 0;
	q->buffered -= n;
	rate_on_bytes(&q->rate_of, (uint32_t)n, s->now_us);
	while (left && q->connected) {
		struct sim_request *r = &q->wire[q->wire_head % SEED_RING];
		uint32_t bytes = (uint32_t)min_u64(left, r->left);
		left -= bytes;
		r->left -= bytes;
		if (r->left)
			break;
		q->wire_head++;
		sim_block(s, q, r->piece, r->block);
	}
	sim_request(s, q);
	return n;
}

/* The senders of the bad blocks of rejected copies are found when the good copy came. */
static void sim_ban(struct sim *s, const uint32_t *ids, uint32_t n)
{
	uint32_t i, k;

	for (i = 0; i < n; i++)
		for (k = 0; k < s->peers; k++)
			if (s->peer[k].pick.id == ids[i] && s->peer[k].corrupt && s->peer[k].connected) {
				sim_drop(s, &s->peer[k]);
				s->bans++;
			}
}

static void sim_verdict(struct sim *s, uint32_t piece)
{
	uint32_t i, k, ids[64], n, bad = 0, all = sim_blocks(s, piece);

	for (i = 0; i < all; i++)
		bad += s->bad[sim_index(s, piece, i)];
	if (!bad) {
		for (k = 0; k < picker_attempts(s->p, piece); k++) {
			n = picker_suspects(s->p, piece, k, ids, 64);
			sim_ban(s, ids, n);
		}
		if (!picker_on_verified(s->p, piece))
			bug("sim: %u was not waiting for its verdict", piece);
		return;
	}
	s->rejected++;
	if (!picker_on_rejected(s->p, piece))
		bug("sim: %u was not waiting for its verdict", piece);
	s->arrived[piece] = 0;
	s->wasted += piece_bytes(s->p, piece);
	memset(s->received + sim_index(s, piece, 0), 0, all);
	ids[0] = picker_sole_sender(s->p, piece, picker_attempts(s->p, piece) - 1);
	if (ids[0])
		sim_ban(s, ids, 1);
}

static void sim_verdicts(struct sim *s)
{
	struct picker_peer *hungry;
	bool any = false;

	while (s->waiting_head != s->waiting_tail && s->waiting_us[s->waiting_head % s->waiting_room] <= s->now_us) {
		sim_verdict(s, s->waiting[s->waiting_head++ % s->waiting_room]);
		any = true;
	}
	if (any)
		while ((hungry = picker_hungry(s->p)))
			sim_request(s, sim_of(hungry));
}

/* Joins, leaves, chokes and unchokes whose time has come. */
static void sim_events(struct sim *s, struct sim_peer *q, uint32_t i)
{
	if (!q->connected && !q->banned && q->join_us <= s->now_us) {
		q->pick.id = i + 1;
		q->pick.have = q->have;
		q->pick.all = !q->have;
		q->pick.have_count = q->have ? bitfield_count(q->have, s->pieces) : s->pieces;
		picker_join(s->p, &q->pick);
		rate_init(&q->rate_of);
		rate_on_unchoke(&q->rate_of, s->now_us);
		q->connected = true;
		sim_request(s, q);
	}
	if (q->connected && q->leave_us && s->now_us >= q->leave_us)
		sim_drop(s, q);
	if (q->connected && q->choke_us && s->now_us >= q->choke_us) {
		q->choke_us = 0;
		q->choking = true;
		q->head = q->tail = 0;
		rate_on_dropped(&q->rate_of);
		picker_give_back_all(s->p, &q->pick);
	}
	if (q->connected && q->choking && s->now_us >= q->unchoke_us && !q->choke_us) {
		q->choking = false;
		rate_on_unchoke(&q->rate_of, s->now_us);
		sim_request(s, q);
	}
}

/* Four times a second, as peer_tick(). */
static void sim_peer_tick(struct sim *s, struct sim_peer *q)
{
	if (!q->connected)
		return;
	if (rate_timed_out(&q->rate_of, q->pick.queue_count, 10000, s->now_us)) {
		q->pick.snubbed = true;
		picker_give_back_all(s->p, &q->pick);
	}
	sim_request(s, q);
}

/* Runs to the end or for at most max_ms; milliseconds, or 0 when it did not end. */
static uint32_t sim_run(struct sim *s, uint32_t max_ms)
{
	uint32_t i, first = 0;

	for (; s->now_us < (uint64_t)max_ms * 1000; s->now_us += TICK_US) {
		uint64_t room = s->capacity * TICK_US / 1000000u;
		bool read = true;
		if (s->pause_us && s->now_us >= s->pause_us) {
			bool over = s->now_us >= s->pause_us + s->pause_for_us;
			if (over)
				picker_paused(s->p, (uint32_t)(s->pause_for_us / 1000));
			for (i = 0; over && i < s->peers; i++)
				rate_on_pause(&s->peer[i].rate_of, s->pause_for_us, s->now_us);
			room = over ? room : 0;
			s->pause_us = over ? 0 : s->pause_us;
		}
		for (i = 0; i < s->peers; i++)
			sim_events(s, &s->peer[i], i);
		for (i = 0; i < s->peers; i++)
			if (s->peer[i].connected)
				sim_send(s, &s->peer[i]);
		while (room && read)
			for (read = false, i = 0; i < s->peers && room; i++) {
				struct sim_peer *q = &s->peer[first++ % s->peers];
				uint64_t n = q->connected ? sim_read(s, q, room) : 0;
				read |= n > 0;
				room -= n;
			}
		sim_verdicts(s);
		for (i = 0; i < s->peers; i++)
			if (s->ticks % 1000 == i % 1000 && !s->pause_us)
				sim_peer_tick(s, &s->peer[i]);
		if (s->check_every && s->ticks % s->check_every == 0)
			picker_check(s->p);
		s->ticks++;
		if (picker_complete(s->p))
			break;
	}
	for (i = 0; i < s->peers; i++)
		s->sent += s->peer[i].sent;
	return picker_complete(s->p) ? (uint32_t)(s->now_us / 1000) : 0;
}

#endif
