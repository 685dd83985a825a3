/*
 * peer_sees.h - what a peer is sent, looked at by its own end: whole messages, and blocks that it asked for.
 */
#ifndef TESTS_PEER_SEES_H
#define TESTS_PEER_SEES_H

#include "../unit/swarm_fixture.h"

#define SEES_BYTES (1u << 20)

struct sees {
	int fd; /* borrowed: the peer's end */
	bool shook;
	size_t bytes;
	uint8_t in[SEES_BYTES];
	uint32_t blocks;
};

static void sees_begin(struct sees *s, int fd)
{
	s->fd = fd;
	s->shook = false;
	s->bytes = 0;
	s->blocks = 0;
}

/* honest: diskproc's bytes are the payload's. */
static void sees_message(struct sees *s, const struct fixture *f, const uint8_t *m, uint32_t n, bool honest)
{
	uint32_t piece, begin, i;

	if (n == 0 || m[0] != WIRE_PIECE)
		return;
	if (n < 10)
		abort();
	piece = get_be32(m + 1);
	begin = get_be32(m + 5);
	n -= 9;
	if (piece >= f->info.h->piece_count || n > REQUEST_BYTES_MAX || begin >= metainfo_piece_bytes(&f->info, piece) ||
	    n > metainfo_piece_bytes(&f->info, piece) - begin)
		abort();
	for (i = 0; honest && i < n; i++)
		if (m[9 + i] != fixture_byte(piece, begin + i))
			abort();
	s->blocks++;
}

/* Takes what has come. */
static void sees_read(struct sees *s, const struct fixture *f, bool honest)
{
	ssize_t k;

	while ((k = read(s->fd, s->in + s->bytes, sizeof s->in - s->bytes)) > 0) {
		size_t at = 0;

		s->bytes += (size_t)k;
		if (!s->shook && s->bytes >= WIRE_HANDSHAKE_BYTES) {
			s->shook = true;
			at = WIRE_HANDSHAKE_BYTES;
		}
		while (s->shook && s->bytes - at >= 4 && s->bytes - at - 4 >= get_be32(s->in + at)) {
			uint32_t n = get_be32(s->in + at);

			sees_message(s, f, s->in + at + 4, n, honest);
			at += 4 + (size_t)n;
		}
		memmove(s->in, s->in + at, s->bytes -= at);
	}
}

#endif
