/*
 * rate.c - see rate.h.
 *
 * Two measures.  `smooth` is the payload of the last 2 s in slices of 131 ms; it
 * is what people see and what expected_ms goes by.  `burst` is the payload of
 * one round, from a batch of requests to its last block, over the time that
 * took: 16 blocks in 100 ms are 2.5 MB/s, so the first round already says what
 * the second may ask for.  The pipeline follows the larger one.
 *
 * The round-trip time is from a request to the first byte of its block.  A
 * request that stands behind others also waits for those, so it is the least
 * that was seen; it rises, slowly, only by what the requests ahead do not explain.
 * (Otherwise a full pipeline would be measured as distance, and grow for ever.)
 *
 * Positions in the stream are counted in bytes, each request as a whole block:
 * the torrent's one short block shifts a round's end by less than a block.
 */
#include "rate.h"

#define BLOCK 16384u
#define RATE_MAX (UINT64_C(1) << 40) /* bytes a second: keeps the products below within 64 bits */
#define RTT_MAX_US 10000000u
#define EXPECTED_MAX_MS 3600000u
/* A peer is judged by what it does after this long. */
#define UNKNOWN_US 1000000u

void rate_init(struct rate *r)
{
	memset(r, 0, sizeof *r);
	r->unnamed = PIPELINE_UNNAMED;
}

static uint64_t per_second(uint64_t bytes, uint64_t us)
{
	return min_u64(bytes * 1000000u / max_u64(us, 1), RATE_MAX);
}

/* Closes slices that are over. */
static void turn_slices(struct rate *r, uint64_t now_us)
{
	uint64_t slice = now_us >> RATE_SLICE_SHIFT, steps = slice - r->slice, sum = 0, whole, since;
	uint32_t i;

	if (slice <= r->slice)
		return;
	for (i = 0; i < min_u64(steps, RATE_SLICES); i++)
		r->slice_bytes[(r->slice + 1 + i) % RATE_SLICES] = 0;
	r->slice = slice;
	for (i = 0; i < RATE_SLICES; i++)
		sum += r->slice_bytes[i];
	/* From the first request on, or the 15 whole slices. */
	since = (slice << RATE_SLICE_SHIFT) - min_u64(r->started_us, slice << RATE_SLICE_SHIFT);
	whole = (uint64_t)(RATE_SLICES - 1) << RATE_SLICE_SHIFT;
	r->smooth = per_second(sum, max_u64(min_u64(since, whole), 1u << RATE_SLICE_SHIFT));
}

/* The batch's first block begins to come. */
static void measure_rtt(struct rate *r, uint64_t now_us)
{
	uint64_t sample = min_u64(max_u64(now_us - r->round_us, 1), RTT_MAX_US), rate = max_u64(r->smooth, r->burst), queued;

	r->first_seen = true;
	if (!r->rtt_us || sample < r->rtt_us) {
		r->rtt_us = sample;
		return;
	}
	queued = rate ? r->ahead_bytes * 1000000u / rate : sample;
	if (sample > queued && sample - queued > r->rtt_us)
		r->rtt_us += (sample - queued - r->rtt_us) / 8;
}

static void end_round(struct rate *r, uint64_t now_us)
{
	r->in_round = false;
	r->burst = per_second(r->total - r->round_total, now_us - r->round_us);
	/* A full pipeline was answered and was what limited it: the peer holds more than is known. */
	if (r->round_full && !r->lost && r->unnamed < PIPELINE_UNNAMED_MAX &&
	    r->burst * max_u64(r->rtt_us, 1) / 1000000u >= (uint64_t)r->unnamed * BLOCK * 3 / 4)
		r->unnamed = min_u32(r->unnamed * 2, PIPELINE_UNNAMED_MAX);
}

void rate_on_unchoke(struct rate *r, uint64_t now_us)
{
	r->in_round = false;
	r->progress_us = now_us;
	r->progress_total = r->total;
}

void rate_on_bytes(struct rate *r, uint32_t bytes, uint64_t now_us)
{
	turn_slices(r, now_us);
	r->slice_bytes[r->slice % RATE_SLICES] += bytes;
	r->total += bytes;
	if (r->total - r->progress_total >= BLOCK) {
		r->progress_total = r->total;
		r->progress_us = now_us;
		r->snubbed = false;
	}
	if (!r->in_round)
		return;
	if (!r->first_seen && r->total > r->first_at)
		measure_rtt(r, now_us);
	if (r->total > r->last_at)
		end_round(r, now_us);
}

void rate_on_requests(struct rate *r, uint32_t count, uint32_t outstanding, uint64_t now_us)
{
	if (!count)
		return;
	turn_slices(r, now_us);
	if (!r->started_us)
		r->started_us = max_u64(now_us, 1);
	if (!outstanding) {
		r->progress_us = now_us;
		r->progress_total = r->total;
	}
	if (r->in_round)
		return;
	r->in_round = true;
	r->first_seen = false;
	r->round_us = now_us;
	r->round_total = r->total;
	r->ahead_bytes = (uint64_t)outstanding * BLOCK;
	r->first_at = r->total + r->ahead_bytes;
	r->last_at = r->first_at + (uint64_t)(count - 1) * BLOCK;
	/* Seven eighths: requests go out in batches. */
	r->round_full = outstanding + count >= r->unnamed - r->unnamed / 8;
}

void rate_on_lost(struct rate *r)
{
	r->lost = true;
	r->unnamed = PIPELINE_UNNAMED;
}

void rate_on_dropped(struct rate *r)
{
	r->in_round = false;
}

void rate_on_pause(struct rate *r, uint64_t pause_us, uint64_t now_us)
{
	r->in_round = false;
	r->progress_us = min_u64(r->progress_us + pause_us, now_us);
	if (r->started_us)
		r->started_us = min_u64(r->started_us + pause_us, now_us);
	/* The slices keep what they have, under later numbers. */
	r->slice = max_u64(r->slice, min_u64(r->slice + (pause_us >> RATE_SLICE_SHIFT), now_us >> RATE_SLICE_SHIFT));
}

uint64_t rate_now(struct rate *r, uint64_t now_us)
{
	uint64_t early = r->started_us ? now_us - min_u64(r->started_us, now_us) : 0;

	turn_slices(r, now_us);
	/* In the first slices the smooth rate lags behind by up to a slice. */
	if (early && early < (uint64_t)4 << RATE_SLICE_SHIFT)
		return per_second(r->total, max_u64(early, 1u << (RATE_SLICE_SHIFT - 2)));
	return r->smooth;
}

uint32_t rate_pipeline(struct rate *r, uint64_t now_ms, uint32_t reqq)
{
	uint32_t ceiling = reqq ? min_u32(reqq, PIPELINE_MOST) : r->unnamed, target;
	uint64_t rate;

	turn_slices(r, now_ms * 1000u);
	if (r->snubbed)
		return 1;
	rate = max_u64(r->smooth, r->burst);
	/* Before the first round is over nothing is known, except that it let us down. */
	if (!rate)
		return min_u32(r->lost ? PIPELINE_LEAST : PIPELINE_START, ceiling);
	rate = rate / 1024 * (1000u + r->rtt_us / 1000u) / 1000u; /* KiB in flight */
	target = (uint32_t)min_u64(rate / (BLOCK / 1024), PIPELINE_MOST);
	return min_u32(max_u32(target, PIPELINE_LEAST), ceiling);
}

uint32_t rate_expected_ms(struct rate *r, uint32_t outstanding, uint64_t now_us)
{
	uint64_t rate = rate_now(r, now_us), ms;

	if (!rate)
		return r->total ? EXPECTED_MAX_MS : 0;
	ms = r->rtt_us / 1000u + ((uint64_t)outstanding + 1) * BLOCK * 1000u / rate;
	return (uint32_t)max_u64(min_u64(ms, EXPECTED_MAX_MS), 1);
}

bool rate_is_fast(struct rate *r, uint64_t total_rate, uint32_t peers, uint64_t now_us)
{
	if (!r->started_us || now_us - min_u64(r->started_us, now_us) < UNKNOWN_US)
		return !r->snubbed;
	return !r->snubbed && r->total && rate_now(r, now_us) * 2 * max_u32(peers, 1) >= total_rate;
}

bool rate_timed_out(struct rate *r, uint32_t outstanding, uint32_t timeout_ms, uint64_t now_us)
{
	if (!outstanding || now_us - min_u64(r->progress_us, now_us) < (uint64_t)timeout_ms * 1000u)
		return false;
	r->progress_us = now_us;
	r->in_round = false;
	r->burst = 0;
	rate_on_lost(r);
	r->snubbed = true;
	return true;
}
