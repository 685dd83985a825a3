/*
 * rate.h - how fast a peer sends, how far away it is, and so how much to ask of it.
 *
 * A pure core: bytes and times in, numbers out; embedded in struct peer, zeroed
 * by rate_init.  Costs an addition and two comparisons for each read; divides
 * once per round trip and once per slice of 131 ms.
 *
 * The caller, for each peer:
 *	on unchoke          rate_on_unchoke
 *	after each read     rate_on_bytes (payload bytes only)
 *	to request          rate_pipeline, expected_ms and fast for the picker,
 *	                    picker_pick, then rate_on_requests
 *	four times a second rate_timed_out; when true give all requests back
 */
#ifndef NETPROC_RATE_H
#define NETPROC_RATE_H

#include "common.h"

#define RATE_SLICES 16u
#define RATE_SLICE_SHIFT 17u /* a slice is 2^17 us; 16 of them are 2.1 s */

#define PIPELINE_LEAST 4u
#define PIPELINE_START 16u
#define PIPELINE_UNNAMED 250u     /* ceiling for a peer that names no reqq: what libtorrent and others hold at least */
#define PIPELINE_UNNAMED_MAX 1000u
#define PIPELINE_MOST 2048u       /* whatever it names */

struct rate {
	uint64_t total;           /* payload bytes ever */
	uint64_t started_us;      /* first request; 0: none yet */
	uint64_t slice;           /* number of the current slice */
	uint64_t slice_bytes[RATE_SLICES];
	uint64_t smooth;          /* bytes a second over the whole slices */
	/* One round: from a batch of requests to its last block. */
	bool in_round;
	bool round_full;          /* the pipeline was full when it began */
	uint64_t round_us;        /* when it began */
	uint64_t round_total;     /* total then */
	uint64_t first_at, last_at; /* totals that mean: its first, its last block has begun to come */
	uint64_t ahead_bytes;     /* asked for before it */
	bool first_seen;
	uint64_t burst;           /* bytes a second of the last whole round */
	uint64_t rtt_us;          /* 0: unknown */
	uint32_t unnamed;         /* ceiling for a peer that names no reqq */
	bool lost;                /* it left requests unanswered once: the ceiling grows no more */
	bool snubbed;
	uint64_t progress_us;     /* when a block's worth of bytes had come, or requests began to wait */
	uint64_t progress_total;
};

void rate_init(struct rate *r);

/* It unchoked us: what it owes is counted from now on. */
void rate_on_unchoke(struct rate *r, uint64_t now_us);
/* Payload of one read. */
void rate_on_bytes(struct rate *r, uint32_t bytes, uint64_t now_us);
/* `count` requests were just sent, after `outstanding` others. */
void rate_on_requests(struct rate *r, uint32_t count, uint32_t outstanding, uint64_t now_us);
/* A request was lost: rejected, timed out or skipped by a peer that goes on with later ones. */
void rate_on_lost(struct rate *r);
/* Requests were given back or cancelled: what is on its way is not what was asked for. */
void rate_on_dropped(struct rate *r);

/* Nothing was read for the last pause_us because of us; the clock of the measures stood still. */
void rate_on_pause(struct rate *r, uint64_t pause_us, uint64_t now_us);

/* Payload bytes a second over about 2 s, from the first request on. */
uint64_t rate_now(struct rate *r, uint64_t now_us);

/* How many requests should be outstanding.  reqq: as the peer named it, 0 when it did not. */
uint32_t rate_pipeline(struct rate *r, uint64_t now_ms, uint32_t reqq);

/* In how many milliseconds a block asked for now would be here, after `outstanding` others; 0: unknown. */
uint32_t rate_expected_ms(struct rate *r, uint32_t outstanding, uint64_t now_us);

/* Half of what the peers that send to us do on average, or not known yet. */
bool rate_is_fast(struct rate *r, uint64_t total_rate, uint32_t peers, uint64_t now_us);

/*
 * True once when no block's worth of bytes came for timeout_ms though requests
 * are outstanding: it is snubbed, the caller gives the requests back.  Bytes of
 * a block lift that.
 */
bool rate_timed_out(struct rate *r, uint32_t outstanding, uint32_t timeout_ms, uint64_t now_us);
static inline bool rate_snubbed(const struct rate *r) { return r->snubbed; }

#endif
