/*
 * fuzz_peer.c - bytes of a peer at the real reader, picker, upload queue and disk client.
 *
 * The first byte chooses how the stream is cut, the second (enum how) what the
 * peer meets.  Requests that were made can be answered because piece and begin
 * are small numbers; what the peer asks for is answered by an honest diskproc
 * and looked at when it arrives.
 */
#include "peer_sees.h"

enum how {
	GREETED = 0x01,    /* a handshake with both extensions goes before */
	SEEDING = 0x02,    /* all pieces are here; */
	HALF = 0x04,       /* of them the first half */
	SOME_FAIL = 0x10,  /* each third one with READ_FAILED */
	DEAF = 0x20,       /* the peer reads nothing until the end, and is given up */
	REPLACED = 0x40,   /* in the middle diskproc is replaced by one that has the first half */
};

#define PIECES 37u

static struct fixture f;
static struct sees sees;
static uint32_t had; /* pieces that this diskproc has: the first ones */
static uint32_t answered;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(uint8_t how)
{
	fixture_turn(&f);
	while (f.swarm->ready && f.read_count) {
		if (f.reads[0].piece >= had)
			abort();
		fixture_answer(&f, how & SOME_FAIL && ++answered % 3 == 0);
		if (f.read_count % 8 == 0)
			fixture_turn(&f);
	}
	fixture_turn(&f);
	if (!(how & DEAF))
		sees_read(&sees, &f, true);
}

static void replace_disk(void)
{
	int sv[2];

	if (channel_pair(sv))
		abort();
	channel_close(&f.disk);
	channel_init(&f.disk, sv[1], FIX_EPOCH + 1, false, "netproc");
	f.read_count = 0;
	swarm_attach_disk(f.swarm, sv[0], FIX_EPOCH + 1, fixture_conveyor(&f));
	had = PIECES / 2;
	fixture_have(&f, had);
	fixture_turn(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t greeting[68] = "\023BitTorrent protocol\0\0\0\0\0\020\0\004ZZZZZZZZZZZZZZZZZZZZ-PE0000-abcdefghijkl";
	struct peer *p;
	uint32_t cut, i, blocks;
	size_t middle;
	uint8_t how;
	int other;

	if (size < 2)
		return 0;
	how = data[1];
	answered = 0;
	fixture_new(&f, PIECES, 40000, (PIECES - 1) * 40000 + 123);
	had = !(how & SEEDING) ? 0 : how & HALF ? PIECES / 2 : PIECES;
	fixture_have(&f, had);
	fixture_turn(&f);
	p = fixture_peer(&f, 1, &other);
	sees_begin(&sees, other);
	cut = 1u + data[0];
	if (how & GREETED)
		peer_feed(p, greeting, sizeof greeting);
	data += 2;
	size -= 2;
	middle = size / 2;
	while (size && !p->dead && !p->waits) {
		size_t n = size < cut ? size : cut;

		/* From the socket when bit 1 says so: that way reads are predicted. */
		if (cut & 2) {
			if (write(other, data, n) != (ssize_t)n)
				break;
			loop_turn(f.loop, 0);
		} else {
			peer_feed(p, data, n);
			if (!p->dead)
				peer_request(p);
		}
		/* A peer that is dead is freed by a turn. */
		if (how & SEEDING && !p->dead) {
			uint32_t before = f.swarm->count;

			answer(how);
			if (f.swarm->count < before)
				break;
			if (how & REPLACED && size > middle && size - n <= middle)
				replace_disk();
			if (f.swarm->count < before)
				break;
			if (how & DEAF)
				peer_upload_tick(p, swarm_now(f.swarm) + 2000);
		}
		data += n;
		size -= n;
	}
	how &= (uint8_t)~DEAF;
	/* Until it has all that is left for it. */
	for (i = 0, blocks = 0; i < 4 || (i < 100 && sees.blocks != blocks); i++) {
		blocks = sees.blocks;
		answer(how);
	}
	close(other);
	fixture_free(&f);
	return 0;
}
