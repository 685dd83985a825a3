/*
 * swarm_fixture.h - a swarm of netproc without a network, for tests and fuzzing.
 *
 * The real swarm, peers, picker, disk client and loop; diskproc, dialer and the
 * peers' other ends are socket pairs that the test plays.
 */
#ifndef TESTS_SWARM_FIXTURE_H
#define TESTS_SWARM_FIXTURE_H

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bitfield.h"

#include "../../netproc/swarm_state.h"

#define FIX_EPOCH 7u

struct fixture {
	struct loop *loop;
	struct swarm *swarm;
	struct slots slots;
	int conveyor;        /* diskproc's end */
	struct metainfo info;
	struct channel disk; /* diskproc's end */
	struct dials *dials;
	int dialer;
	uint32_t completed, readied;
	uint64_t form[64];
	uint32_t blocks_seen;
	struct msg_block last_block;
	struct msg_read reads[CONVEYOR_READS]; /* that diskproc has not answered, in the order they came */
	uint32_t read_count, reads_seen;
};

static void fixture_count_ready(void *arg) { ((struct fixture *)arg)->readied++; }
static void fixture_count_complete(void *arg) { ((struct fixture *)arg)->completed++; }
static void fixture_ignore(void *arg) { (void)arg; }
static void fixture_ignore_need(void *arg, uint32_t have) { (void)arg; (void)have; }

/* Those of a diskproc that begins. */
static int fixture_conveyor(struct fixture *f)
{
	int end[2];

	if (f->conveyor >= 0)
		close(f->conveyor);
	if (conveyor_make(end) < 0)
		abort();
	f->conveyor = end[1];
	return end[0];
}

/* A torrent of `pieces` pieces; hashes are not needed on this side of the wall. */
static void fixture_new(struct fixture *f, uint32_t pieces, uint32_t piece_length, uint64_t total)
{
	struct metainfo_header *h = (struct metainfo_header *)(void *)f->form;
	struct swarm_hooks hooks = { f, fixture_count_ready, fixture_count_complete, fixture_ignore, fixture_ignore_need };
	struct msg_net_options o = { .budget_bytes = max_u64(1u << 20, 4ull * piece_length), .max_peers = 64, .request_timeout_ms = 10000,
				     .use_ipv4 = 1, .use_ipv6 = 1 };
	struct wanted wanted = { 0 };
	uint8_t id[20] = "-XX0000-abcdefghijkl";
	int disk[2], dial[2], fd;

	memset(f, 0, sizeof *f);
	f->conveyor = -1;
	h->piece_count = pieces;
	h->piece_length = piece_length;
	h->total_length = total;
	memset(h->info_hash, 0x5a, 20);
	f->info = (struct metainfo){ .h = h, .base = (const uint8_t *)f->form, .bytes = sizeof f->form };
	if (channel_pair(disk) || channel_pair(dial))
		abort();
	fd = slots_create(&f->slots, SLOT_COUNT);
	if (fd < 0)
		abort();
	close(fd);
	f->loop = loop_new(256);
	f->dialer = dial[1];
	f->dials = dials_new(f->loop, dial[0], FIX_EPOCH);
	f->swarm = swarm_new(f->loop, f->dials, &f->slots, &f->info, &wanted, &o, id, &hooks);
	channel_init(&f->disk, disk[1], FIX_EPOCH, false, "netproc");
	swarm_attach_disk(f->swarm, disk[0], FIX_EPOCH, fixture_conveyor(f));
}

static void fixture_say(struct fixture *f, enum message_type type, const void *message)
{
	if (channel_push(&f->disk, type, message) || channel_flush(&f->disk) < 0)
		abort();
}

/* diskproc has the first `verified` pieces. */
static void fixture_have(struct fixture *f, uint32_t verified)
{
	struct msg_have_end end = { .verified_pieces = verified };
	uint32_t at, i, n;

	for (at = 0; at < f->info.h->piece_count; at += n) {
		struct msg_have_bits m = { .first_piece = at };

		n = m.pieces = min_u32(8 * sizeof m.bits, f->info.h->piece_count - at);
		for (i = 0; i < n && at + i < verified; i++)
			bitfield_set(m.bits, i);
		fixture_say(f, MSG_HAVE_BITS, &m);
	}
	fixture_say(f, MSG_HAVE_END, &end);
}

/* diskproc has nothing yet: the download begins. */
static void fixture_begin(struct fixture *f)
{
	fixture_have(f, 0);
	loop_turn(f->loop, 100);
	swarm_end_turn(f->swarm, true);
}

/* A peer that is connected: *other is its own end. */
static struct peer *fixture_peer(struct fixture *f, uint32_t n, int *other)
{
	struct net_addr a = { .family = 4, .port = 1000 };
	struct peer *p;
	int sv[2];
	uint32_t c;

	put_be32(a.ip, 0x01000000u + n);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv))
		abort();
	c = candidates_add(f->swarm->candidates, &a, PEER_FROM_TRACKER, 0);
	candidates_take(f->swarm->candidates, c);
	swarm_connected(f->swarm, c, sv[0]);
	p = candidates_at(f->swarm->candidates, c)->peer;
	*other = sv[1];
	return p;
}

/* What stands at this place of the payload, as far as the tests look. */
static uint8_t fixture_byte(uint32_t piece, uint32_t at)
{
	return (uint8_t)(piece * 31 + at / 251 + at);
}

/* diskproc answers the oldest READ that it has: with bytes in the conveyor, or without. */
static void fixture_answer(struct fixture *f, bool fails)
{
	struct msg_read r = f->reads[0];
	struct msg_read_failed failed = { .tag = r.tag, .error = EIO, .bytes = fails ? r.length / 2 : 0 };
	struct msg_data m = { .tag = r.tag };
	static uint8_t bytes[CONVEYOR_READ_MAX];
	uint32_t k, n = fails ? failed.bytes : r.length;

	memmove(f->reads, f->reads + 1, --f->read_count * sizeof r);
	for (k = 0; k < n; k++)
		bytes[k] = fixture_byte(r.piece, r.begin + k);
	if (write(f->conveyor, bytes, n) != (ssize_t)n)
		abort();
	fixture_say(f, fails ? MSG_READ_FAILED : MSG_DATA, fails ? (const void *)&failed : &m);
}

static void fixture_hear_upload(struct fixture *f, const struct packet *pk)
{
	uint32_t i;

	for (i = 0; i < pk->count && pk->type == MSG_READ; i++) {
		if (f->read_count == CONVEYOR_READS)
			abort();
		f->reads[f->read_count++] = *(const struct msg_read *)packet_message(pk, i);
		f->reads_seen++;
	}
}

/* A turn of the loop; diskproc's end takes blocks and gives their slots back. */
static void fixture_turn(struct fixture *f)
{
	struct packet pk;
	uint32_t i;

	loop_turn(f->loop, 0);
	swarm_end_turn(f->swarm, true);
	while (f->disk.fd >= 0 && channel_receive(&f->disk, &pk) == CHANNEL_OK) {
		fixture_hear_upload(f, &pk);
		if (pk.type != MSG_BLOCK)
			continue;
		for (i = 0; i < pk.count; i++) {
			const struct msg_block *b = packet_message(&pk, i);
			struct msg_slot_free m = { .slot = b->slot };

			f->last_block = *b;
			f->blocks_seen++;
			if (channel_push(&f->disk, MSG_SLOT_FREE, &m))
				abort();
		}
		(void)channel_flush(&f->disk);
	}
}

static void fixture_free(struct fixture *f)
{
	uint32_t i;

	swarm_shutdown(f->swarm);
	swarm_end_turn(f->swarm, true);
	for (i = 0; i < f->swarm->count; i++)
		abort();
	swarm_free(f->swarm);
	dials_free(f->dials);
	loop_free(f->loop);
	channel_close(&f->disk);
	close(f->dialer);
	slots_detach(&f->slots);
	close(f->conveyor);
}

#endif
