/*
 * strings.h - one growing buffer of strings that are named by their offset.
 *
 * Offsets, since the buffer may move when it grows.  Its size is capped when it
 * is made; a cap that is hit is a refusal, not a failure.
 */
#ifndef INSPECT_STRINGS_H
#define INSPECT_STRINGS_H

#include "common.h"

struct strings {
	char *base; /* owned */
	size_t used, room, max;
};

void strings_init(struct strings *s, size_t max);
void strings_release(struct strings *s);

/* Appends `length` bytes; false when the cap is reached or memory is gone. */
bool strings_add(struct strings *s, const void *bytes, size_t length) MUST_CHECK;

/* Grows an array of *room elements of `bytes` each, so that `need` fit (at most max).  False without memory or above max. */
bool array_grow(void **array, size_t *room, size_t need, size_t max, size_t bytes) MUST_CHECK;

#endif
