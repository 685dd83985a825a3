/*
 * spill.c - see spill.h.
 */
#include "spill.h"

#include <errno.h>
#include <unistd.h>

#include "slots.h"

void spill_init(struct spill *s, int fd, uint32_t piece_length)
{
	memset(s, 0, sizeof *s);
	s->fd = fd;
	s->piece_length = piece_length;
	s->freed = must_calloc(SPILL_MAX_PIECES, sizeof *s->freed);
}

void spill_release(struct spill *s)
{
	free(s->freed);
	s->freed = NULL;
}

uint32_t spill_take(struct spill *s)
{
	if (s->freed_count)
		return s->freed[--s->freed_count];
	return s->top < SPILL_MAX_PIECES ? s->top++ : SPILL_NONE;
}

void spill_give(struct spill *s, uint32_t region)
{
	if (region >= s->top || s->freed_count >= s->top)
		bug("spill region %u", region);
	s->freed[s->freed_count++] = region;
}

static bool has(const uint64_t *blocks, uint32_t i)
{
	return blocks[i / 64] >> i % 64 & 1;
}

/* All of [at, at + bytes) of the region, in one direction. */
static int move(int fd, off_t base, uint8_t *in, const uint8_t *out, uint32_t at, uint32_t bytes)
{
	while (bytes) {
		ssize_t n = in ? pread(fd, in + at, bytes, base + at) : pwrite(fd, out + at, bytes, base + at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO; /* shorter than what was written */
		if (n <= 0)
			return -1;
		at += (uint32_t)n;
		bytes -= (uint32_t)n;
	}
	return 0;
}

/* Runs of neighbouring blocks in one call each. */
static int move_blocks(int fd, off_t base, uint8_t *in, const uint8_t *out, uint32_t bytes, const uint64_t *blocks)
{
	uint32_t count = bytes / SLOT_BYTES + (bytes % SLOT_BYTES != 0), i = 0;

	while (i < count) {
		uint32_t first = i, end;

		if (!has(blocks, i)) {
			i++;
			continue;
		}
		while (i < count && has(blocks, i))
			i++;
		end = i == count ? bytes : i * SLOT_BYTES;
		if (move(fd, base, in, out, first * SLOT_BYTES, end - first * SLOT_BYTES) < 0)
			return -1;
	}
	return 0;
}

int spill_write(int fd, uint32_t piece_length, uint32_t region, const uint8_t *buffer, uint32_t bytes, const uint64_t *blocks)
{
	return move_blocks(fd, (off_t)region * piece_length, NULL, buffer, bytes, blocks);
}

int spill_read(int fd, uint32_t piece_length, uint32_t region, uint8_t *buffer, uint32_t bytes, const uint64_t *blocks)
{
	return move_blocks(fd, (off_t)region * piece_length, buffer, NULL, bytes, blocks);
}
