/*
 * bitfield.h - a set of pieces as BEP 3 sends it: bit 7 of byte 0 is piece 0.
 *
 * The memory belongs to the caller: bitfield_bytes(n) bytes.  Indexes are
 * checked by the caller; nothing here knows how long a field is.
 */
#ifndef IPC_BITFIELD_H
#define IPC_BITFIELD_H

#include "common.h"

static inline size_t bitfield_bytes(uint32_t bits) { return (size_t)bits / 8 + (bits % 8 != 0); }
static inline bool bitfield_get(const uint8_t *f, uint32_t i) { return f[i / 8] >> (7 - i % 8) & 1; }
static inline void bitfield_set(uint8_t *f, uint32_t i) { f[i / 8] = (uint8_t)(f[i / 8] | 0x80u >> i % 8); }
static inline void bitfield_clear(uint8_t *f, uint32_t i) { f[i / 8] = (uint8_t)(f[i / 8] & ~(0x80u >> i % 8)); }

/* How many of the first `bits` are set.  Spare bits of the last byte are not counted. */
static inline uint32_t bitfield_count(const uint8_t *f, uint32_t bits)
{
	uint32_t n = 0;
	size_t i, whole = bits / 8;

	for (i = 0; i < whole; i++)
		n += (uint32_t)__builtin_popcount(f[i]);
	if (bits % 8)
		n += (uint32_t)__builtin_popcount(f[whole] & (0xff00u >> bits % 8 & 0xffu));
	return n;
}

/* True when a bit after the last piece is set, which BEP 3 forbids. */
static inline bool bitfield_has_spare(const uint8_t *f, uint32_t bits)
{
	return bits % 8 && f[bits / 8] & (0xffu >> bits % 8);
}

#endif
