/*
 * requests.c - see requests.h.
 *
 * Invariants (checked by requests_check() of the tests after each step): the
 * first `asked` requests have serials that rise, and the others none that matter;
 * out_bytes is at least the sum of their lengths.
 */
#include "requests.h"

#include "bitfield.h"
#include "fastset.h"

#define RING_FIRST 16u

static struct request *at(const struct requests *q, uint32_t i)
{
	return &q->ring[(q->head + i) & (q->room - 1)];
}

void requests_clear(struct requests *q)
{
	free(q->ring);
	memset(q, 0, sizeof *q);
}

/* ---- the queue */

static bool make_room(struct requests *q)
{
	struct request *grown;
	uint32_t room, i;

	if (q->count < q->room)
		return true;
	room = q->room ? q->room * 2 : RING_FIRST;
	grown = malloc(room * sizeof *grown);
	if (!grown)
		return false;
	for (i = 0; i < q->count; i++)
		grown[i] = *at(q, i);
	free(q->ring);
	q->ring = grown;
	q->room = room;
	q->head = 0;
	return true;
}

static uint32_t find(const struct requests *q, uint32_t piece, uint32_t begin, uint32_t length)
{
	uint32_t i;

	for (i = 0; i < q->count; i++) {
		const struct request *r = at(q, i);

		if (r->begin == begin && r->piece == piece && r->length == length)
			break;
	}
	return i;
}

enum requests_verdict requests_add(struct requests *q, uint32_t piece, uint32_t begin, uint32_t length, uint32_t piece_bytes, bool have)
{
	uint64_t place = (uint64_t)piece << 32 | begin;

	if (!requests_possible(begin, length, piece_bytes))
		return REQUESTS_LIE;
	if (!have)
		return REQUESTS_NOT_HAD;
	/* Most peers ask in order: who asks for what lies behind all else repeats nothing. */
	if (q->count && place <= q->top && find(q, piece, begin, length) < q->count)
		return REQUESTS_DUPLICATE;
	if (q->count == REQUESTS_MAX)
		return REQUESTS_FULL;
	if (!make_room(q))
		return REQUESTS_NO_MEMORY;
	q->top = q->count ? max_u64(q->top, place) : place;
	*at(q, q->count++) = (struct request){ .piece = piece, .begin = begin, .length = length };
	return REQUESTS_TAKEN;
}

bool requests_cancel(struct requests *q, uint32_t piece, uint32_t begin, uint32_t length)
{
	uint32_t i = find(q, piece, begin, length);

	if (i == q->count)
		return false;
	q->asked -= i < q->asked;
	for (; i + 1 < q->count; i++)
		*at(q, i) = *at(q, i + 1);
	q->count--;
	return true;
}

/* Goes through the queue: what `stays` is kept, the rest comes out. */
static uint32_t sift(struct requests *q, bool (*stays)(const void *arg, uint32_t piece), const void *arg, struct request out[REQUESTS_MAX])
{
	uint32_t i, kept = 0, asked = 0, dropped = 0;

	for (i = 0; i < q->count; i++) {
		if (!stays(arg, at(q, i)->piece)) {
			out[dropped++] = *at(q, i);
			continue;
		}
		asked += i < q->asked;
		*at(q, kept++) = *at(q, i);
	}
	q->count = kept;
	q->asked = asked;
	return dropped;
}

struct fast {
	const uint32_t *pieces;
	uint32_t count;
};

static bool is_fast(const void *arg, uint32_t piece)
{
	const struct fast *f = arg;

	return fastset_has(f->pieces, f->count, piece);
}

static bool is_had(const void *arg, uint32_t piece)
{
	return bitfield_get(arg, piece);
}

uint32_t requests_choke(struct requests *q, const uint32_t *fast, uint32_t fast_count, struct request out[REQUESTS_MAX])
{
	uint32_t dropped = sift(q, is_fast, &(struct fast){ fast, fast_count }, out);

	if (!q->count) {
		free(q->ring);
		q->ring = NULL;
		q->room = q->head = 0;
	}
	return dropped;
}

/* ---- diskproc */

const struct request *requests_next_read(const struct requests *q)
{
	return q->asked < q->count ? at(q, q->asked) : NULL;
}

uint32_t requests_asked(struct requests *q)
{
	struct request *r = at(q, q->asked++);

	q->out_bytes += r->length;
	r->serial = ++q->serial;
	return r->serial;
}

bool requests_answered(struct requests *q, uint32_t serial, uint32_t length, struct request *out)
{
	q->out_bytes -= min_u32(length, q->out_bytes);
	if (!q->asked || at(q, 0)->serial != serial)
		return false;
	*out = *at(q, 0);
	q->head = (q->head + 1) & (q->room - 1);
	q->count--;
	q->asked--;
	return true;
}

void requests_forget(struct requests *q)
{
	q->asked = q->out_bytes = 0;
}

uint32_t requests_keep_had(struct requests *q, const uint8_t *have, struct request out[REQUESTS_MAX])
{
	return sift(q, is_had, have, out);
}
