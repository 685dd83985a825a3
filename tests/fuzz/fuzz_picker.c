/*
 * fuzz_picker.c - random events in random order; the invariants hold after each.
 *
 * The first bytes choose the torrent, and what of it is wanted; then each step is one byte of event and
 * one or two of arguments.
 */
#include "../../netproc/picker.c"
#include "../../netproc/picker_pick.c"
#include "../../netproc/picker_verdict.c"
#include "../../netproc/rarity.c"

#include "bitfield.h"
#include "../unit/picker_check.h"

#define PEERS 12u
#define STEPS 400u

struct input {
	const uint8_t *at;
	size_t left;
};
static uint32_t next(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static struct picker *p;
static struct picker_peer peer[PEERS];
static uint8_t bits[PEERS][32];
static bool joined[PEERS];
static struct picker_request out[PICKER_QUEUE_MAX];

static void join(struct picker_peer *q, uint32_t i, struct input *in)
{
	uint32_t kind = next(in), k;

	memset(q, 0, sizeof *q);
	memset(bits[i], 0, sizeof bits[i]);
	q->id = i / 2 + 1;
	q->all = kind % 3 == 0;
	q->have = q->all || kind % 7 == 1 ? NULL : bits[i];
	q->fast = kind & 64;
	if (q->have)
		for (k = 0; k < p->pieces; k++)
			if ((kind * 2654435761u + k * 40503u) >> 7 & 1 + kind % 2)
				bitfield_set(bits[i], k);
	picker_join(p, q);
	joined[i] = true;
}

static void block(struct picker_peer *q, struct input *in, uint64_t now)
{
	struct picker_peer *others[4];
	uint32_t count, where = next(in), piece = where, begin = next(in) * 8192;

	if (q->queue_count && where & 128) {
		struct picker_request r = picker_queued(q, (where & 127) % q->queue_count);
		piece = r.piece;
		begin = r.block * BLOCK_BYTES;
	}
	(void)picker_on_block(p, q, piece, begin, piece < p->pieces ? min_u32(BLOCK_BYTES, piece_bytes(p, piece) - min_u32(begin, piece_bytes(p, piece))) : 5,
			      now, others, 4, &count);
}

static void has(struct picker_peer *q, uint32_t i, uint32_t piece)
{
	if (q->counted_all || piece >= p->pieces || (q->have && bitfield_get(bits[i], piece)))
		return;
	q->have = bits[i];
	bitfield_set(bits[i], piece);
	picker_peer_has(p, q, piece);
}

static void verdict(uint32_t piece, bool good)
{
	uint32_t ids[8], i;

	/* The nearest that is waiting, or whatever was named. */
	for (i = 0; i < p->pieces; i++) {
		struct open *o = open_of(p, (piece + i) % p->pieces);
		if (o && !o->missing) {
			piece = o->piece;
			break;
		}
	}
	if (good)
		(void)picker_on_verified(p, piece);
	else
		(void)picker_on_rejected(p, piece);
	for (i = 0; i < picker_attempts(p, piece); i++) {
		(void)picker_suspects(p, piece, i, ids, 8);
		(void)picker_sender(p, piece, i, piece);
		(void)picker_sole_sender(p, piece, i);
	}
}

static void step(struct input *in, uint64_t *now)
{
	uint32_t event = next(in), i = next(in), want, most = 2 * PEERS;
	struct picker_peer *q = &peer[i % PEERS], *hungry;

	i %= PEERS;
	if (!joined[i]) {
		join(q, i, in);
		return;
	}
	switch (event % 16) {
	case 0: picker_leave(p, q); joined[i] = false; break;
	case 1: has(q, i, next(in)); break;
	case 2: picker_give_back_all(p, q); break;
	case 3: picker_give_back(p, q, next(in), next(in) % 8); break;
	case 4: verdict(next(in), true); break;
	case 5: verdict(next(in), event & 16); break;
	case 6: *now += next(in) * 100; break;
	case 7: (void)picker_on_spilled(p, next(in)); break;
	case 8: (void)picker_spill_candidate(p, *now); break;
	case 9:
		if (event & 16)
			picker_reset(p);
		else if (i < p->pieces)
			picker_have(p, i);
		break;
	case 10: q->snubbed = event & 16; q->fast = event & 32; q->expected_ms = next(in) * 50; break;
	case 11:
		while (most-- && (hungry = picker_hungry(p)))
			(void)picker_pick(p, hungry, event / 16, *now, out);
		break;
	case 12:
		for (want = next(in) % 32; want; want--)
			block(q, in, *now);
		break;
	case 13: (void)picker_interesting(p, q); picker_paused(p, event); break;
	case 14: block(q, in, *now); break;
	default:
		want = next(in) % 64;
		if (picker_pick(p, q, want, *now, out) > want)
			bug("more than was wanted");
	}
}

/* Half of the inputs want all pieces alike. */
static void order(uint32_t kind)
{
	uint8_t *level[RARITY_LEVELS] = { NULL };
	uint32_t i;

	for (i = 0; i < RARITY_LEVELS && kind & 1; i++)
		level[i] = must_calloc(bitfield_bytes(p->pieces), 1);
	for (i = 0; i < p->pieces && kind & 1; i++)
		if ((i * 2654435761u * (kind | 1)) >> 30 < RARITY_LEVELS)
			bitfield_set(level[(i * 2654435761u * (kind | 1)) >> 30], i);
	picker_set_order(p, level, kind & 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint32_t pieces = 1 + next(&in) % 200, length = 8192u * (1 + next(&in) % 12), i, last = 1 + next(&in) * 300 % length;
	uint64_t now = 1000;

	p = picker_new(pieces, length, (uint64_t)(pieces - 1) * length + last, (uint64_t)length * (4 + next(&in) % 8), next(&in));
	order(next(&in));
	memset(joined, 0, sizeof joined);
	for (i = 0; i < STEPS && in.left; i++) {
		step(&in, &now);
		picker_check(p);
	}
	for (i = 0; i < PEERS; i++)
		if (joined[i])
			picker_leave(p, &peer[i]);
	picker_check(p);
	picker_free(p);
	return 0;
}
