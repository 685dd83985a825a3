/*
 * fuzz_peer.c - bytes of a peer at the real reader, picker and disk client.
 *
 * The first bytes choose how the stream is cut; requests that were made can be
 * answered because piece and begin are small numbers.
 */
#include "../unit/swarm_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t greeting[68] = "\023BitTorrent protocol\0\0\0\0\0\020\0\004ZZZZZZZZZZZZZZZZZZZZ-PE0000-abcdefghijkl";
	struct fixture f;
	struct peer *p;
	uint32_t cut, i;
	int other;

	if (size < 2)
		return 0;
	fixture_new(&f, 37, 40000, 36 * 40000 + 123);
	fixture_begin(&f);
	p = fixture_peer(&f, 1, &other);
	cut = 1u + data[0];
	if (data[1] & 1)
		peer_feed(p, greeting, sizeof greeting);
	data += 2;
	size -= 2;
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
		data += n;
		size -= n;
	}
	for (i = 0; i < 4; i++)
		fixture_turn(&f);
	close(other);
	fixture_free(&f);
	return 0;
}
