/*
 * slots.h - shared memory of 16 KiB slots that one process writes and another reads.
 *
 * The writer makes it: mapped writable first, then sealed so that nobody can
 * map it writable again, resize it or punch it.  The reader checks size and
 * seals before it maps.  A slot's content may change under the reader at any
 * time: copy first, then check, then use.  A conveyor, not a store.  netproc's
 * hold blocks for diskproc, diskproc's what netproc sends to peers, unlooked at.
 */
#ifndef IPC_SLOTS_H
#define IPC_SLOTS_H

#include "common.h"

#define SLOT_BYTES 16384u
#define SLOT_COUNT 256u

struct slots {
	uint8_t *base; /* mapped for the life of the process */
	uint32_t count;
};

/* Makes, maps, seals and prefaults `count` slots.  Returns the descriptor to hand to the reader, or -1 with errno. */
int slots_create(struct slots *s, uint32_t count) MUST_CHECK;

/* Checks and maps another process's slots read-only.  The descriptor stays the caller's.  0, or -1: not what it must be. */
int slots_attach(struct slots *s, int fd, uint32_t count) MUST_CHECK;

void slots_detach(struct slots *s);

static inline uint8_t *slot_at(const struct slots *s, uint32_t slot)
{
	return s->base + (size_t)slot * SLOT_BYTES;
}

#endif
