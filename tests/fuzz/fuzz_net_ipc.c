/*
 * fuzz_net_ipc.c - a hostile diskproc or dialer at netproc: packets of any type, count, length and content.
 *
 * Input: one byte (enum how), then for each packet one byte for the channel
 * (0x80: the dialer's) and the type (0x3f), one for the count, one for a change
 * of length, then the messages' bytes.  0x40 of the first: before it the first
 * READ that waits is answered as it should be.  Whatever comes, what peers are
 * sent is whole messages and blocks that there are.
 */
#include "peer_sees.h"

enum how {
	TOLD = 0x01,    /* netproc was told already what is there: nothing, and it downloads; */
	SEEDING = 0x02, /* or half of it, and a peer asks for blocks */
};

#define PIECES 37u

static struct fixture f;
static struct sees sees;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 0x3f is a type that does not exist; those behind it are of other channels, and no less foreign here than some before it. */
_Static_assert(MSG_DIALER_STATS < 0x3f && MSG_CONVEYOR < 0x3f, "what netproc's channels carry fits into six bits");

static void send_packet(int fd, const uint8_t *data, size_t size, size_t *took)
{
	union {
		struct packet_header h;
		uint8_t bytes[PACKET_MAX + 16];
	} p = { .h = { .epoch = FIX_EPOCH } };
	uint16_t type = (data[0] & 0x3f) == 0x3f ? MSG_TYPES : data[0] & 0x3f, count = data[1];
	size_t length;

	p.h.type = type;
	p.h.count = count;
	length = type < MSG_TYPES ? (size_t)count * message_rows[type].size : count;
	length = length + sizeof p.h > PACKET_MAX ? PACKET_MAX - sizeof p.h : length;
	length = length > size - 3 ? size - 3 : length;
	memcpy(p.bytes + sizeof p.h, data + 3, length);
	*took = 3 + length;
	/* What the input is too short for is zeros, so that lengths are mostly right. */
	if (type < MSG_TYPES && count && count <= message_rows[type].batch)
		length = (size_t)count * message_rows[type].size;
	if (data[2] > 250)
		length++;
	(void)!write(fd, p.bytes, sizeof p.h + length);
}

/* READs wait in f.reads. */
static void hear(void)
{
	struct packet pk;

	while (channel_receive(&f.disk, &pk) == CHANNEL_OK)
		fixture_hear_upload(&f, &pk);
}

static void turn(void)
{
	loop_turn(f.loop, 0);
	swarm_end_turn(f.swarm, true);
	hear();
	sees_read(&sees, &f, false);
}

static void answer_one(void)
{
	if (f.swarm->ready && f.read_count)
		fixture_answer(&f, false);
}

/* It wants what there is, 128 KiB first, and takes what it is sent. */
static void ask(struct peer *p)
{
	static const uint8_t interested[] = { 0, 0, 0, 1, WIRE_INTERESTED };
	uint8_t out[WIRE_HEAD_MAX];
	uint32_t i;

	peer_feed(p, interested, sizeof interested);
	turn();
	for (i = 0; i < 2 * (PIECES / 2) && !p->dead; i++)
		peer_feed(p, out,
			  wire_put_triple(out, WIRE_REQUEST, i % (PIECES / 2), i / (PIECES / 2) * BLOCK_BYTES, i ? BLOCK_BYTES : 40000));
	turn();
	if (!f.read_count)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t hello[] =
	    "\023BitTorrent protocol\0\0\0\0\0\020\0\004ZZZZZZZZZZZZZZZZZZZZ-PE0000-abcdefghijkl\0\0\0\1\16\0\0\0\1\1";
	struct peer *p;
	size_t took;
	uint32_t i;
	uint8_t how;
	int other;

	if (!size)
		return 0;
	how = *data++;
	size--;
	fixture_new(&f, PIECES, 40000, (PIECES - 1) * 40000 + 123);
	if (how & (TOLD | SEEDING))
		fixture_have(&f, how & SEEDING ? PIECES / 2 : 0);
	loop_turn(f.loop, 0);
	swarm_end_turn(f.swarm, true);
	p = fixture_peer(&f, 1, &other);
	sees_begin(&sees, other);
	/* A seed is never unchoked. */
	peer_feed(p, hello, how & SEEDING ? WIRE_HANDSHAKE_BYTES : sizeof hello - 1);
	if (how & SEEDING)
		ask(p);
	/* One whole piece is on its way to be judged. */
	while (!(how & SEEDING) && !p->dead && p->pick.queue_count && f.swarm->ready && disk_free_slots(f.swarm->disk)) {
		struct picker_request r = picker_queued(&p->pick, 0);
		uint32_t begin = r.block * BLOCK_BYTES, n = min_u32(metainfo_piece_bytes(&f.info, r.piece) - begin, BLOCK_BYTES);

		peer_on_block(p, r.piece, begin, n, disk_take_slot(f.swarm->disk));
		if (r.piece != picker_queued(&p->pick, 0).piece)
			break;
	}
	for (i = 0; i < 64 && size >= 3; i++) {
		if (data[0] & 0x40)
			answer_one();
		send_packet(data[0] & 0x80 ? f.dialer : f.disk.fd, data, size, &took);
		data += took;
		size -= took;
		turn();
	}
	close(other);
	fixture_free(&f);
	return 0;
}
