/*
 * siphash.h - SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed 64-bit hash.
 *
 * Short sums of blocks that others cannot aim at without the key.
 */
#ifndef DISKPROC_SIPHASH_H
#define DISKPROC_SIPHASH_H

#include "common.h"

/* The hash of `bytes` bytes under a 16-byte key. */
uint64_t siphash(const uint8_t key[16], const void *data, size_t bytes);

#endif
