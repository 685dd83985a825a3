/*
 * bucket.c - see bucket.h.
 *
 * Tokens are counted in millionths of a byte: a rate in bytes a second times
 * microseconds is a whole number of them, so nothing is lost to rounding however
 * often the clock is read.
 */
#include "bucket.h"

#define MILLION 1000000
#define DEBT_MAX (INT64_C(1) << 62)

void bucket_init(struct bucket *b, uint64_t rate, uint64_t now_us)
{
	uint64_t burst;

	b->rate = min_u64(rate, BUCKET_RATE_MAX);
	burst = max_u64(b->rate * BUCKET_BURST_MS / 1000, BUCKET_BLOCK);
	b->full = b->level = (int64_t)burst * MILLION;
	/* A sixteenth of a second's worth. */
	b->least = max_u64(min_u64(b->rate / 16, BUCKET_BLOCK), 1024);
	b->now_us = now_us;
}

static void refill(struct bucket *b, uint64_t now_us)
{
	uint64_t passed = now_us - min_u64(b->now_us, now_us), missing = (uint64_t)(b->full - b->level);

	b->now_us = now_us;
	/* Compared by division: the product of a long pause would not fit. */
	if (passed > missing / b->rate)
		b->level = b->full;
	else
		b->level += (int64_t)(passed * b->rate);
}

uint64_t bucket_allow(struct bucket *b, uint64_t now_us, uint64_t want)
{
	uint64_t bytes;

	if (!b->rate)
		return want;
	refill(b, now_us);
	bytes = b->level > 0 ? (uint64_t)b->level / MILLION : 0;
	return bytes < min_u64(want, b->least) ? 0 : min_u64(bytes, want);
}

void bucket_take(struct bucket *b, uint64_t bytes)
{
	int64_t taken;

	if (!b->rate)
		return;
	taken = (int64_t)min_u64(bytes, DEBT_MAX / 2 / MILLION) * MILLION;
	b->level = b->level - taken < -DEBT_MAX ? -DEBT_MAX : b->level - taken;
}

uint64_t bucket_ready_us(const struct bucket *b, uint64_t want)
{
	int64_t needed;

	if (!b->rate)
		return b->now_us;
	needed = (int64_t)min_u64(want, b->least) * MILLION;
	if (b->level >= needed)
		return b->now_us;
	return b->now_us + ((uint64_t)(needed - b->level) + b->rate - 1) / b->rate;
}
