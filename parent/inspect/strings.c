/*
 * strings.c - see strings.h.
 */
#include "strings.h"

bool array_grow(void **array, size_t *room, size_t need, size_t max, size_t bytes)
{
	size_t more;
	void *p;

	if (need > max)
		return false;
	if (need <= *room)
		return true;
	more = *room < 64 ? 64 : *room;
	more = more > max / 2 ? max : more * 2;
	if (more < need)
		more = need;
	p = reallocarray(*array, more, bytes);
	if (!p)
		return false;
	*array = p;
	*room = more;
	return true;
}

void strings_init(struct strings *s, size_t max)
{
	memset(s, 0, sizeof *s);
	s->max = max;
}

void strings_release(struct strings *s)
{
	free(s->base);
	memset(s, 0, sizeof *s);
}

bool strings_add(struct strings *s, const void *bytes, size_t length)
{
	void *p = s->base;

	if (length > s->max - s->used || !array_grow(&p, &s->room, s->used + length, s->max, 1))
		return false;
	s->base = p;
	if (length)
		memcpy(s->base + s->used, bytes, length);
	s->used += length;
	return true;
}
