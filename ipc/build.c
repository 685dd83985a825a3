/*
 * build.c - which build this is: a hash over all that crosses a wall.
 *
 * Made by the Makefile from the headers of ipc; HELLO carries it, so that the
 * programs of two builds never talk past each other.
 */
#include "messages.h"

static uint8_t digit(char h)
{
	return (uint8_t)(h <= '9' ? h - '0' : h - 'a' + 10);
}

void build_hash(uint8_t out[16])
{
	static const char hex[] = BUILD_HASH;
	size_t i;

	_Static_assert(sizeof hex == 33, "32 hex digits");
	for (i = 0; i < 16; i++)
		out[i] = (uint8_t)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
}
