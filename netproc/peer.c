/*
 * peer.c - what each message of a peer means, and what we ask of it.
 *
 * States of a connection: connected (handshake sent, unless it connected to us),
 * shook (theirs received, joined in the picker), choking or not, dead.  A peer
 * that is dead takes part in nothing any more and waits for reap() of swarm.c.
 *
 * Patience: what is of no use, or can be repeated at will, costs some `patience`
 * (peer_tire), which refills with time; a flood of any kind ends there.  Messages that a healthy
 * peer sends without limit (new HAVEs, blocks we asked for) cost nothing.
 */
#include "peer.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bitfield.h"
#include "candidates.h"
#include "log.h"
#include "swarm.h"

#define PATIENCE_FULL 3000
#define PATIENCE_PER_SECOND 100
#define STRIKES_MAX 16u          /* blocks that nobody asked for */
/* Of a bitfield that tells something new: aria2 sends one in place of many HAVEs.  And of one that does not. */
#define COST_OF_BITFIELD(bytes) (10 + (int32_t)((bytes) / 1024))
#define COST_OF_NO_NEWS 100
#define HANDSHAKE_TIMEOUT_MS 20000u
#define INCOMING_TIMEOUT_MS 10000u /* whoever connects has something to say */
#define SILENCE_TIMEOUT_MS 240000u /* BEP 3: a keepalive comes every two minutes */
#define KEEPALIVE_MS 100000u
#define STUCK_TIMEOUT_MS 60000u
#define SLOT_PATIENCE_MS 1000u   /* a block under way gives back its slot after this */
#define OUR_REQQ 500u
#define PICK_MAX 256u

static const char *peer_text(const struct peer *p)
{
	static char text[64];

	return net_addr_text(text, sizeof text, &p->addr);
}

void peer_liar(struct peer *p, const char *why)
{
	swarm_drop(p, DROP_LIAR, why);
}

static void on_ready(void *arg, uint32_t events)
{
	struct peer *p = arg;

	if (p->dead)
		return;
	if (events & EPOLLOUT) {
		p->tx.stuck_ms = 0;
		peer_flush(p);
	}
	if (p->dead || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || p->paused)
		return;
	if (!p->waits)
		swarm_may_read(p);
}

static void send_handshake(struct peer *p)
{
	uint8_t hello[WIRE_HANDSHAKE_BYTES];

	wire_put_handshake(hello, swarm_info(p->swarm)->h->info_hash, swarm_peer_id(p->swarm));
	if (peer_put(p, hello, sizeof hello))
		peer_flush(p);
}

struct peer *peer_new(struct swarm *s, int fd, const struct net_addr *addr, uint32_t candidate, uint32_t id, uint64_t now_ms)
{
	struct peer *p = calloc(1, sizeof *p);

	if (!p) {
		close(fd);
		return NULL;
	}
	p->fd = fd;
	p->source.fd = -1;
	p->swarm = s;
	p->addr = *addr;
	p->candidate = candidate;
	p->incoming = candidate == NO_CANDIDATE;
	p->pick.id = id;
	p->choking = true;
	p->up.choke.connected_ms = now_ms;
	p->patience = PATIENCE_FULL;
	p->connected_ms = p->patience_ms = p->sent_ms = p->rx.last_ms = now_ms;
	p->rx.slot = NO_SLOT;
	rate_init(&p->rate);
	if (loop_add_holdable(swarm_loop(s), &p->source, fd, EPOLLIN, on_ready, p) < 0) {
		close(fd);
		free(p);
		return NULL;
	}
	if (!p->incoming)
		send_handshake(p);
	return p;
}

void peer_free(struct peer *p)
{
	loop_remove(swarm_loop(p->swarm), &p->source);
	close(p->fd);
	if (p->rx.body && p->rx.body_head.id == WIRE_BITFIELD)
		swarm_bitfield_free(p->swarm, p->rx.body);
	else
		free(p->rx.body);
	if (p->pick.have)
		swarm_bitfield_free(p->swarm, p->pick.have);
	free(p->rx.private);
	free(p->rx.stash);
	free(p->tx.bytes);
	requests_clear(&p->up.requests);
	free(p);
}

void peer_tire(struct peer *p, int32_t cost)
{
	p->patience -= cost;
	if (p->patience < 0)
		peer_liar(p, "a flood of messages without use");
}

void peer_say_hello(struct peer *p)
{
	bool complete = picker_complete(swarm_picker(p->swarm)) && !(p->veiled && swarm_super_seeds(p->swarm));
	struct wire_hello hello = { swarm_client(p->swarm), OUR_REQQ, swarm_port(p->swarm), complete, &p->addr };
	uint8_t out[WIRE_HELLO_MAX];

	if (p->extended && !p->dead)
		peer_put(p, out, wire_put_hello(out, &hello));
}

/* What it may ask for while choked: of its share, what is here. */
static void allow_fast(struct peer *p)
{
	const struct metainfo *info = swarm_info(p->swarm);
	uint32_t set[FASTSET_MAX], n, i;
	uint8_t out[WIRE_HEAD_MAX];

	n = fastset_make(set, FASTSET_MAX, info->h->info_hash, &p->addr, info->h->piece_count);
	for (i = 0; i < n; i++)
		if (bitfield_get(swarm_have(p->swarm), set[i])) {
			p->up.fast[p->up.fast_count++] = set[i];
			peer_put(p, out, wire_put_allowed_fast(out, set[i]));
		}
}

static void send_greeting(struct peer *p)
{
	uint8_t out[256];
	uint32_t bytes = swarm_bitfield_bytes(p->swarm);
	uint32_t have = swarm_have_count(p->swarm), pieces = swarm_info(p->swarm)->h->piece_count;
	bool none;

	p->veiled = swarm_super_seeds(p->swarm);
	none = p->veiled || !have;
	if (p->fast && (none || have == pieces)) {
		peer_put(p, out, wire_put_plain(out, none ? WIRE_HAVE_NONE : WIRE_HAVE_ALL));
	} else if (!none && peer_put(p, out, wire_put_bitfield_head(out, bytes))) {
		peer_put(p, swarm_have(p->swarm), bytes);
	}
	p->told = swarm_told(p->swarm);
	peer_say_hello(p);
	if (p->fast && !p->veiled)
		allow_fast(p);
}

void peer_on_handshake(struct peer *p, const struct wire_handshake *h)
{
	if (memcmp(h->info_hash, swarm_info(p->swarm)->h->info_hash, 20)) {
		peer_liar(p, "it shares another torrent");
		return;
	}
	memcpy(p->peer_id, h->peer_id, 20);
	p->fast = wire_offers_fast(h);
	p->extended = wire_offers_extended(h);
	if (!swarm_admit(p))
		return;
	p->shook = true;
	if (p->incoming)
		send_handshake(p);
	picker_join(swarm_picker(p->swarm), &p->pick);
	send_greeting(p);
	log_line(LOG_DETAIL, TOPIC_PEER, "%s: connected", peer_text(p));
}

/* The peer has this piece: in order of what costs least to find out. */
static void learn_piece(struct peer *p, uint32_t piece)
{
	if (p->pick.all) {
		peer_tire(p, 1);
		return;
	}
	if (!p->pick.have)
		p->pick.have = swarm_bitfield_new(p->swarm);
	if (!p->pick.have) {
		swarm_drop(p, DROP_USELESS, "no memory left for bitfields");
		return;
	}
	if (bitfield_get(p->pick.have, piece)) {
		peer_tire(p, 1);
		return;
	}
	bitfield_set(p->pick.have, piece);
	p->pick.have_count++;
	picker_peer_has(swarm_picker(p->swarm), &p->pick, piece);
	swarm_super_on_have(p, piece);
}

static void on_have(struct peer *p, uint32_t piece)
{
	if (piece >= swarm_info(p->swarm)->h->piece_count) {
		peer_liar(p, "HAVE of a piece that does not exist");
		return;
	}
	learn_piece(p, piece);
	if (!p->dead && !p->interested)
		peer_update_interest(p);
}

/* What it was asked for is asked of others; it may still answer. */
static void give_back_all(struct peer *p)
{
	if (!p->pick.queue_count)
		return;
	p->late_blocks += p->pick.queue_count;
	rate_on_dropped(&p->rate);
	picker_give_back_all(swarm_picker(p->swarm), &p->pick);
	swarm_kick(p->swarm);
}

/* All or none of the pieces (BEP 6), or a bitfield, in place of what was known. */
static void replace_have(struct peer *p, uint8_t *bits, uint32_t count)
{
	give_back_all(p);
	if (count == swarm_info(p->swarm)->h->piece_count)
		swarm_super_leave(p);
	else
		swarm_super_on_bitfield(p, bits);
	picker_leave(swarm_picker(p->swarm), &p->pick);
	if (p->pick.have)
		swarm_bitfield_free(p->swarm, p->pick.have);
	p->pick.all = count == swarm_info(p->swarm)->h->piece_count;
	p->pick.have_count = count;
	p->pick.have = p->pick.all ? NULL : bits;
	if (p->pick.all && bits)
		swarm_bitfield_free(p->swarm, bits); /* a seed keeps no bitfield */
	picker_join(swarm_picker(p->swarm), &p->pick);
	peer_update_interest(p);
	swarm_kick(p->swarm);
}

static void on_bitfield(struct peer *p, uint8_t *bits)
{
	uint32_t pieces = swarm_info(p->swarm)->h->piece_count, i;

	uint32_t count;

	p->said_have = true;
	if (bitfield_has_spare(bits, pieces)) {
		swarm_bitfield_free(p->swarm, bits);
		peer_liar(p, "a bitfield with spare bits set");
		return;
	}
	/* A late one is joined to what HAVEs told before, and takes nothing back. */
	if (p->pick.have)
		for (i = 0; i < bitfield_bytes(pieces); i++)
			bits[i] |= p->pick.have[i];
	count = p->pick.all ? pieces : bitfield_count(bits, pieces);
	if (count <= p->pick.have_count) {
		swarm_bitfield_free(p->swarm, bits);
		peer_tire(p, COST_OF_NO_NEWS);
		return;
	}
	peer_tire(p, COST_OF_BITFIELD(bitfield_bytes(pieces)));
	if (p->dead) {
		swarm_bitfield_free(p->swarm, bits);
		return;
	}
	replace_have(p, bits, count);
}

static void on_extended(struct peer *p, const struct wire_head *m, const uint8_t *body)
{
	struct wire_extended e;

	peer_tire(p, 20);
	if (!p->extended || !wire_parse_extended(body, m->body, &e)) {
		peer_tire(p, 200);
		return;
	}
	/* BEP 10: a repeated handshake adds to the first. */
	if (e.reqq)
		p->reqq = e.reqq;
	if (e.says_upload_only)
		p->upload_only = e.upload_only;
	if (e.port)
		p->port = e.port;
	if (e.client[0])
		memcpy(p->client, e.client, sizeof p->client);
	log_line(LOG_TRACE, TOPIC_PEER, "%s: is \"%s\", queues %u requests", peer_text(p), p->client, p->reqq);
}

void peer_on_body(struct peer *p, const struct wire_head *m, const uint8_t *body)
{
	if (m->id == WIRE_BITFIELD)
		on_bitfield(p, (uint8_t *)(uintptr_t)body);
	else
		on_extended(p, m, body);
}

static void on_choke(struct peer *p)
{
	peer_tire(p, 5);
	if (p->choking)
		return;
	p->choking = true;
	/* With the fast extension each request is answered or rejected; without it, all are off (BEP 3). */
	if (!p->fast)
		give_back_all(p);
}

static void on_unchoke(struct peer *p)
{
	peer_tire(p, 5);
	if (!p->choking)
		return;
	p->choking = false;
	p->block_ms = swarm_now(p->swarm);
	rate_on_unchoke(&p->rate, now_us());
	peer_request(p);
}

/* It does not let us ask for this one after all: asked again at once, it would reject again, and so on. */
static void forget_allowed(struct peer *p, uint32_t piece)
{
	uint32_t i;

	for (i = 0; i < p->allowed_count; i++)
		if (p->allowed[i] == piece) {
			p->allowed[i] = p->allowed[--p->allowed_count];
			return;
		}
}

/* A rejected request (BEP 6) is given back; one that was never made is a lie. */
static void on_reject(struct peer *p, const struct wire_head *m)
{
	uint32_t i, block = m->begin / BLOCK_BYTES;

	for (i = 0; i < p->pick.queue_count; i++) {
		struct picker_request r = picker_queued(&p->pick, i);

		if (r.piece == m->piece && r.block == block && m->begin % BLOCK_BYTES == 0) {
			picker_give_back(swarm_picker(p->swarm), &p->pick, r.piece, r.block);
			if (p->choking)
				forget_allowed(p, m->piece);
			else /* a choke rejects all requests (BEP 6), which says nothing about its queue */
				rate_on_lost(&p->rate);
			swarm_kick(p->swarm);
			/* Refusing all the time while unchoked is of no use either. */
			peer_tire(p, p->choking ? 0 : 10);
			return;
		}
	}
	if (p->late_blocks)
		p->late_blocks--;
	else
		peer_tire(p, 50);
}

static void on_have_all(struct peer *p, bool all)
{
	peer_tire(p, 20);
	if (!p->fast) {
		peer_liar(p, "a fast message that was not negotiated");
		return;
	}
	p->said_have = true;
	/* As with a late bitfield: HAVE_NONE takes nothing back of what was told before. */
	if (!p->dead && all && !p->pick.all)
		replace_have(p, NULL, swarm_info(p->swarm)->h->piece_count);
}

/* BEP 6: a suggestion is heard and not followed; a piece that we may ask for while choked is asked for. */
static void on_hint(struct peer *p, const struct wire_head *m)
{
	uint32_t i;

	if (!p->fast || m->piece >= swarm_info(p->swarm)->h->piece_count) {
		peer_liar(p, "a fast message that makes no sense");
		return;
	}
	peer_tire(p, 1);
	if (m->id != WIRE_ALLOWED_FAST || p->dead || p->allowed_count == FASTSET_MAX)
		return;
	for (i = 0; i < p->allowed_count; i++)
		if (p->allowed[i] == m->piece)
			return;
	p->allowed[p->allowed_count++] = m->piece;
	if (p->choking)
		peer_request(p);
}

void peer_on_message(struct peer *p, const struct wire_head *m)
{
	switch (m->id) {
	case WIRE_CHOKE:
		on_choke(p);
		break;
	case WIRE_UNCHOKE:
		on_unchoke(p);
		break;
	case WIRE_HAVE:
		on_have(p, m->piece);
		break;
	case WIRE_REQUEST:
		peer_on_request(p, m);
		break;
	case WIRE_HAVE_ALL:
	case WIRE_HAVE_NONE:
		on_have_all(p, m->id == WIRE_HAVE_ALL);
		break;
	case WIRE_REJECT:
		if (p->fast)
			on_reject(p, m);
		else
			peer_liar(p, "a fast message that was not negotiated");
		break;
	case WIRE_SUGGEST:
	case WIRE_ALLOWED_FAST:
		on_hint(p, m);
		break;
	case WIRE_INTERESTED:
	case WIRE_NOT_INTERESTED:
		peer_on_interested(p, m->id == WIRE_INTERESTED);
		break;
	case WIRE_CANCEL:
		peer_on_cancel(p, m);
		break;
	case WIRE_PORT:
	case WIRE_KEEPALIVE:
		peer_tire(p, 5);
		break;
	default: /* unknown, or an extension that we did not offer: skipped; long ones cost more to skip */
		peer_tire(p, 5 + (int32_t)(m->body / 1024));
		break;
	}
}

/* ---- blocks */

void peer_on_block(struct peer *p, uint32_t piece, uint32_t begin, uint32_t length, uint32_t slot)
{
	struct swarm *s = p->swarm;
	struct picker_peer *others[8];
	uint32_t count = 0, i;
	enum picker_block verdict = picker_on_block(swarm_picker(s), &p->pick, piece, begin, length, swarm_now(s), others,
						    ARRAY_LEN(others), &count);

	p->received_bytes += length;
	p->block_ms = swarm_now(s);
	if (verdict == PICKER_TAKE) {
		disk_send_block(swarm_disk(s), piece, begin, length, slot);
		swarm_count(s, length, 0);
		for (i = 0; i < min_u32(count, ARRAY_LEN(others)); i++)
			peer_cancel((struct peer *)(void *)others[i], piece, begin / BLOCK_BYTES);
		return;
	}
	disk_put_slot(swarm_disk(s), slot);
	swarm_count(s, length, length);
	if (verdict == PICKER_DUPLICATE)
		return;
	if (p->late_blocks)
		p->late_blocks--;
	else if (++p->strikes > STRIKES_MAX)
		peer_liar(p, "blocks that nobody asked for");
}

void peer_cancel(struct peer *p, uint32_t piece, uint32_t block)
{
	uint8_t out[WIRE_HEAD_MAX];
	uint32_t begin = block * BLOCK_BYTES;
	uint32_t length = min_u32(metainfo_piece_bytes(swarm_info(p->swarm), piece) - begin, BLOCK_BYTES);

	p->late_blocks++;
	rate_on_dropped(&p->rate);
	if (peer_put(p, out, wire_put_triple(out, WIRE_CANCEL, piece, begin, length)))
		peer_flush(p);
}

/* ---- decisions */

void peer_update_interest(struct peer *p)
{
	uint8_t out[8];
	bool want;

	if (p->dead || !p->shook)
		return;
	want = picker_interesting(swarm_picker(p->swarm), &p->pick);
	if (want == p->interested)
		return;
	p->interested = want;
	if (peer_put(p, out, wire_put_plain(out, want ? WIRE_INTERESTED : WIRE_NOT_INTERESTED)))
		peer_flush(p);
}

/* What to ask for now: anything, or while it chokes us what it allows all the same. */
static uint32_t pick(struct peer *p, uint32_t want, struct picker_request picked[PICK_MAX])
{
	struct picker *picker = swarm_picker(p->swarm);
	uint32_t n = 0, i;

	if (!p->choking)
		return picker_pick(picker, &p->pick, want, swarm_now(p->swarm), picked);
	for (i = 0; i < p->allowed_count && n < want; i++)
		n += picker_pick_piece(picker, &p->pick, p->allowed[i], want - n, swarm_now(p->swarm), picked + n);
	return n;
}

void peer_request(struct peer *p)
{
	static struct picker_request picked[PICK_MAX];
	static uint8_t out[PICK_MAX * WIRE_HEAD_MAX];
	const struct metainfo *info = swarm_info(p->swarm);
	uint32_t target, have = p->pick.queue_count, n, i;
	uint64_t now;
	size_t bytes = 0;

	if (p->dead || !p->interested || (p->choking && !p->allowed_count))
		return;
	target = rate_pipeline(&p->rate, swarm_now(p->swarm), p->reqq);
	/* A quarter at a time: requests travel in batches too. */
	if (have > target - target / 4)
		return;
	now = now_us();
	p->pick.expected_ms = rate_expected_ms(&p->rate, have, now);
	p->pick.fast = rate_is_fast(&p->rate, swarm_rate(p->swarm), swarm_sending(p->swarm), now);
	n = pick(p, min_u32(target - have, PICK_MAX), picked);
	for (i = 0; i < n; i++) {
		uint32_t begin = picked[i].block * BLOCK_BYTES;
		uint32_t length = min_u32(metainfo_piece_bytes(info, picked[i].piece) - begin, BLOCK_BYTES);

		bytes += wire_put_triple(out + bytes, WIRE_REQUEST, picked[i].piece, begin, length);
	}
	if (!n || !peer_put(p, out, bytes))
		return;
	rate_on_requests(&p->rate, n, have, now);
	peer_flush(p);
}

static void refill_patience(struct peer *p, uint64_t now)
{
	uint64_t gained = (now - p->patience_ms) * PATIENCE_PER_SECOND / 1000;

	if (!gained)
		return;
	p->patience_ms = now;
	p->patience = (int32_t)min_u64(PATIENCE_FULL, (uint64_t)p->patience + gained);
}

void peer_excuse(struct peer *p, uint64_t passed_ms)
{
	uint64_t now = swarm_now(p->swarm);

	rate_on_pause(&p->rate, passed_ms * 1000, now_us());
	/* Not past now: some were connected, or read, since. */
	p->connected_ms = min_u64(p->connected_ms + passed_ms, now);
	p->rx.last_ms = min_u64(p->rx.last_ms + passed_ms, now);
	if (p->block_ms)
		p->block_ms = min_u64(p->block_ms + passed_ms, now);
	if (p->tx.stuck_ms)
		p->tx.stuck_ms = min_u64(p->tx.stuck_ms + passed_ms, now);
}

void peer_tick(struct peer *p, uint64_t now)
{
	uint8_t out[8];
	bool held = swarm_is_held(p->swarm);

	refill_patience(p, now);
	if (!p->shook) {
		if (!held && now - p->connected_ms > (p->incoming ? INCOMING_TIMEOUT_MS : HANDSHAKE_TIMEOUT_MS))
			swarm_drop(p, DROP_TIMEOUT, "no handshake");
		return;
	}
	if (!held && now - p->rx.last_ms > SILENCE_TIMEOUT_MS) {
		swarm_drop(p, DROP_TIMEOUT, "silence");
		return;
	}
	if (!held && p->tx.stuck_ms && now - p->tx.stuck_ms > STUCK_TIMEOUT_MS) {
		swarm_drop(p, DROP_TIMEOUT, "it takes nothing");
		return;
	}
	if (now - p->rx.last_ms > SLOT_PATIENCE_MS)
		peer_release_slot(p);
	if (now - p->sent_ms > KEEPALIVE_MS && peer_put(p, out, wire_put_keepalive(out)))
		peer_flush(p);
	if (!held && rate_timed_out(&p->rate, p->pick.queue_count, swarm_request_timeout(p->swarm), now_us())) {
		log_line(LOG_TRACE, TOPIC_PEER, "%s: snubs us", peer_text(p));
		give_back_all(p);
	}
	peer_upload_tick(p, now);
	p->pick.snubbed = rate_snubbed(&p->rate);
	peer_request(p);
}
