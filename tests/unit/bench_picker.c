/*
 * bench_picker.c - what the picker costs for each block and piece; run by hand:
 *
 *	make build/tests/unit/bench_picker && build/tests/unit/bench_picker
 *
 * Prints nanoseconds for each block, from being picked to being verified, and
 * milliseconds for what touches every piece.
 */
#include "../../netproc/picker.c"
#include "../../netproc/picker_pick.c"
#include "../../netproc/picker_verdict.c"
#include "../../netproc/rarity.c"
#include "../../netproc/rate.c"

#include "bitfield.h"

#define PEERS 200u

static struct picker_peer peer[PEERS];
static struct rate rates[PEERS];
static struct picker_request out[PICKER_QUEUE_MAX];
static uint64_t chance = 99;

static uint64_t next_random(void)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return chance;
}

static uint64_t memory_kib(void)
{
	char text[64] = "";
	unsigned long pages = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fgets(text, sizeof text, f))
		(void)sscanf(text, "%lu %lu", &pages, &resident);
	if (f)
		fclose(f);
	return resident * 4;
}

/* Percent of the pieces that each peer has; 100: seeds. */
static void join_all(struct picker *p, uint32_t peers, uint32_t percent)
{
	uint32_t i, k;

	memset(peer, 0, sizeof peer);
	for (i = 0; i < peers; i++) {
		peer[i].id = i + 1;
		peer[i].fast = true;
		peer[i].all = percent == 100;
		rate_init(&rates[i]);
		if (percent < 100) {
			peer[i].have = must_calloc(bitfield_bytes(p->pieces), 1);
			for (k = 0; k < p->pieces; k++)
				if (next_random() % 100 < percent || k % peers == i)
					bitfield_set(peer[i].have, k);
			peer[i].have_count = bitfield_count(peer[i].have, p->pieces);
		}
		picker_join(p, &peer[i]);
		peer[i].proven = true;
	}
}

/* Peers take turns: each is asked for what it lacks and answers up to 16 blocks. */
static void run(const char *name, uint32_t pieces, uint32_t length, uint32_t peers, uint32_t percent, uint32_t most_blocks)
{
	struct picker *p;
	struct picker_peer *others[4];
	uint32_t blocks = 0, i, k, count, idle = 0, stop = most_blocks, target = max_u32(8, 2000 / peers);
	uint64_t begin = now_us(), start, ready, end, total = (uint64_t)pieces * length, memory = memory_kib();

	p = picker_new(pieces, length, total, 64u << 20, 12345);
	start = now_us();
	join_all(p, peers, percent);
	(void)picker_pick(p, &peer[0], 1, 1000, out);
	ready = now_us();
	memory = memory_kib() - memory;
	for (i = 0; blocks < stop && !picker_complete(p) && idle < peers * 4; i = (i + 1) % peers) {
		struct picker_peer *q = &peer[i];
		uint32_t asked = q->queue_count < target ? picker_pick(p, q, target - q->queue_count, 1000 + blocks / 75, out) : 0;

		rate_on_requests(&rates[i], asked, q->queue_count - asked, 1000000 + blocks);
		idle = q->queue_count ? 0 : idle + 1;
		rate_on_bytes(&rates[i], min_u32(16, q->queue_count) * BLOCK_BYTES, 1000000 + blocks);
		for (k = 0; k < 16 && q->queue_count; k++) {
			struct picker_request r = picker_queued(q, 0);
			struct open *o = open_of(p, r.piece);
			(void)picker_on_block(p, q, r.piece, r.block * BLOCK_BYTES, BLOCK_BYTES, 1000 + blocks / 75, others, 4, &count);
			blocks++;
			if (!o->missing)
				(void)picker_on_verified(p, r.piece);
		}
		(void)picker_interesting(p, q);
	}
	end = now_us();
	printf("%-34s %8u blocks %6.0f ns each; set-up %6.1f ms, joins and first pick %7.1f ms, %llu KiB\n", name, blocks,
	       (double)(end - ready) * 1000 / max_u32(blocks, 1), (double)(start - begin) / 1000, (double)(ready - start) / 1000,
	       (unsigned long long)memory);
	start = now_us();
	picker_leave(p, &peer[0]);
	picker_join(p, &peer[0]);
	(void)picker_pick(p, &peer[0], 1, 1000000, out);
	printf("%-34s one peer leaves and joins: %.2f ms\n", "", (double)(now_us() - start) / 1000);
	picker_free(p);
	for (i = 0; i < peers; i++)
		free(peer[i].have);
}

int main(void)
{
	run("65,536 x 16 KiB, 1 seed", 65536, 16384, 1, 100, UINT32_MAX);
	run("65,536 x 16 KiB, 50 seeds", 65536, 16384, 50, 100, UINT32_MAX);
	run("65,536 x 16 KiB, 200 with 50 %", 65536, 16384, 200, 50, UINT32_MAX);
	run("65,536 x 16 KiB, 200 with 2 %", 65536, 16384, 200, 2, UINT32_MAX);
	run("1,024 x 1 MiB, 50 seeds", 1024, 1048576, 50, 100, UINT32_MAX);
	run("1,024 x 1 MiB, 200 with 50 %", 1024, 1048576, 200, 50, UINT32_MAX);
	run("4,000,000 x 64 KiB, 200 seeds", 4000000, 65536, 200, 100, 2000000);
	run("4,000,000 x 64 KiB, 20 with 50 %", 4000000, 65536, 20, 50, 2000000);
	run("4,000,000 x 64 KiB, 200 with 1 %", 4000000, 65536, 200, 1, 2000000);
	return 0;
}
