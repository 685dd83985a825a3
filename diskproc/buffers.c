/*
 * buffers.c - see buffers.h.
 */
#include "buffers.h"

#include <errno.h>
#include <sys/mman.h>

void buffers_init(struct buffers *b, uint32_t count, size_t bytes)
{
	memset(b, 0, sizeof *b);
	b->count = count;
	b->stride = (bytes + 4095) & ~(size_t)4095;
	b->bytes = b->stride * count;
	b->base = mmap(NULL, b->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->base == MAP_FAILED)
		bug("no memory for %u buffers of %zu bytes: errno %d", count, b->stride, errno);
	b->freed = must_calloc(count, sizeof *b->freed);
}

void buffers_release(struct buffers *b)
{
	munmap(b->base, b->bytes);
	free(b->freed);
	memset(b, 0, sizeof *b);
}

uint8_t *buffers_take(struct buffers *b)
{
	uint32_t i;

	if (b->freed_count)
		i = b->freed[--b->freed_count];
	else if (b->top < b->count)
		i = b->top++;
	else
		return NULL;
	return b->base + b->stride * i;
}

void buffers_give(struct buffers *b, uint8_t *buffer)
{
	size_t at = (size_t)(buffer - b->base);

	if (at >= b->bytes || at % b->stride || b->freed_count >= b->top)
		bug("buffer at %zu", at);
	b->freed[b->freed_count++] = (uint32_t)(at / b->stride);
}
