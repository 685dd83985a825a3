/*
 * buffers.h - the memory for open pieces: one mapping, cut into equal buffers.
 *
 * Private anonymous memory, so that nobody else can change what is hashed and
 * written.  LIFO: a buffer that is warm in the cache is used again, and what was
 * never needed is never touched.
 */
#ifndef DISKPROC_BUFFERS_H
#define DISKPROC_BUFFERS_H

#include "common.h"

struct buffers {
	uint8_t *base;
	size_t stride, bytes;
	uint32_t count, top; /* buffers from top on were never used */
	uint32_t *freed;     /* a stack */
	uint32_t freed_count;
};

/* Maps `count` buffers of at least `bytes` bytes. */
void buffers_init(struct buffers *b, uint32_t count, size_t bytes);
void buffers_release(struct buffers *b);

/* A buffer or NULL. */
uint8_t *buffers_take(struct buffers *b);
void buffers_give(struct buffers *b, uint8_t *buffer);

static inline uint32_t buffers_free_count(const struct buffers *b) { return b->count - b->top + b->freed_count; }

#endif
