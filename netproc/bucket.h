/*
 * bucket.h - how many bytes may go through now: a token bucket.
 *
 * A pure core: time and bytes in, bytes and the next time out.  Tokens come with
 * time, up to BUCKET_BURST_MS worth of them but at least one block, so that a
 * pause is not made up for by a flood.  One bucket is for one direction of all
 * peers; the caller shares it fairly by letting them take turns.
 *
 * The caller, before it writes or reads:
 *	n = bucket_allow(b, now_us, what it could move)
 *	n == 0: try again at bucket_ready_us()
 *	otherwise move at most n bytes, then bucket_take(b, what was moved)
 *
 * More may be taken than was allowed (a read that brings a whole block, protocol
 * bytes that do not wait): that is a debt, and nothing is allowed until it is paid.
 */
#ifndef NETPROC_BUCKET_H
#define NETPROC_BUCKET_H

#include "common.h"

#define BUCKET_BURST_MS 100u
#define BUCKET_BLOCK 16384u
#define BUCKET_RATE_MAX (UINT64_C(1) << 40) /* higher ones are taken for this one: keeps the products within 63 bits */

struct bucket {
	uint64_t rate;   /* bytes a second; 0: no limit */
	int64_t level;   /* tokens in millionths of a byte; below 0: a debt */
	int64_t full;    /* the most tokens that may lie there */
	uint64_t least;  /* bytes below which nothing is allowed unless less is wanted: no dribbling */
	uint64_t now_us; /* when level was right */
};

/* Full at now_us. */
void bucket_init(struct bucket *b, uint64_t rate, uint64_t now_us);

/* How many of `want` bytes may be moved now: 0..want. */
uint64_t bucket_allow(struct bucket *b, uint64_t now_us, uint64_t want);

/* That many were moved. */
void bucket_take(struct bucket *b, uint64_t bytes);

/* When bucket_allow() would give something to one who wants `want` bytes; a time that is past: at once. */
uint64_t bucket_ready_us(const struct bucket *b, uint64_t want);

#endif
