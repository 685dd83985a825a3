/*
 * fuzz_net_ipc.c - a hostile diskproc or dialer at netproc: packets of any type, count, length and content.
 *
 * Input: for each packet one byte for the channel (0x80: the dialer's) and the
 * type (0x3f), one for the count, one for a change of length, then the messages'
 * bytes.  0x40 of the first: netproc was told already what is there.
 */
#include "../unit/swarm_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

_Static_assert(MSG_TYPES < 0x3f, "a type and one that does not exist fit into six bits");

static void send_packet(int fd, const uint8_t *data, size_t size, size_t *took)
{
	union {
		struct packet_header h;
		uint8_t bytes[PACKET_MAX + 16];
	} p = { .h = { .epoch = FIX_EPOCH } };
	uint16_t type = (uint16_t)((data[0] & 0x3f) % (MSG_TYPES + 1)), count = data[1];
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t hello[] = "\023BitTorrent protocol\0\0\0\0\0\020\0\004ZZZZZZZZZZZZZZZZZZZZ-PE0000-abcdefghijkl\0\0\0\1\16\0\0\0\1\1";
	struct fixture f;
	struct peer *p;
	size_t took;
	uint32_t i;
	int other;

	fixture_new(&f, 37, 40000, 36 * 40000 + 123);
	if (size && data[0] & 0x40)
		fixture_begin(&f);
	p = fixture_peer(&f, 1, &other);
	peer_feed(p, hello, sizeof hello - 1);
	/* One whole piece is on its way to be judged. */
	while (!p->dead && p->pick.queue_count && f.swarm->ready && disk_free_slots(f.swarm->disk)) {
		struct picker_request r = picker_queued(&p->pick, 0);
		uint32_t begin = r.block * BLOCK_BYTES, n = min_u32(metainfo_piece_bytes(&f.info, r.piece) - begin, BLOCK_BYTES);

		peer_on_block(p, r.piece, begin, n, disk_take_slot(f.swarm->disk));
		if (r.piece != picker_queued(&p->pick, 0).piece)
			break;
	}
	for (i = 0; i < 64 && size >= 3; i++) {
		send_packet(data[0] & 0x80 ? f.dialer : f.disk.fd, data, size, &took);
		data += took;
		size -= took;
		loop_turn(f.loop, 0);
		swarm_end_turn(f.swarm, true);
	}
	close(other);
	fixture_free(&f);
	return 0;
}
