/*
 * requests.c - see requests.h.
 *
 * Invariants (checked by requests_check() of the tests after each step):
 *  1. The parts cover, without gap, the bytes from `sent` of the first request
 *     (without its head; the first part may begin before) up to the cursor.
 *  2. A part lies inside one request; parts of one request are neighbours.
 *  3. The cursor never stands at the end of a request.
 */
#include "requests.h"

#include "bitfield.h"

#define RING_FIRST 16u

static struct request *at(const struct requests *q, uint32_t i)
{
	return &q->ring[(q->head + i) & (q->room - 1)];
}

void requests_clear(struct requests *q)
{
	free(q->ring);
	free(q->part);
	memset(q, 0, sizeof *q);
}

/* ---- the queue */

static bool make_room(struct requests *q)
{
	struct request *grown;
	uint32_t room, i;

	if (!q->part && !(q->part = malloc(REQUESTS_PARTS * sizeof *q->part)))
		return false;
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
	*at(q, q->count++) = (struct request){ piece, begin, length };
	return REQUESTS_TAKEN;
}

/* ---- parts */

/* The first part of request i, or the number of parts when it has none. */
static uint32_t first_part(const struct requests *q, uint32_t i)
{
	uint32_t k, r = 0;

	for (k = 0; k < q->parts && r < i; k++)
		if (q->part[k].at + q->part[k].length == at(q, r)->length)
			r++;
	return k;
}

/* Gives up the parts k .. k + n - 1: slots are freed, what is out will find nobody. */
static void drop_parts(struct requests *q, uint32_t k, uint32_t n, struct requests_freed *freed)
{
	uint32_t i;

	for (i = k; i < k + n; i++)
		if (q->part[i].ready)
			freed->slot[freed->count++] = q->part[i].slot;
		else
			q->lost++;
	q->parts -= n;
	memmove(q->part + k, q->part + k + n, (q->parts - k) * sizeof *q->part);
}

/* Takes request i, of which nothing is sent, out of the queue. */
static void drop_request(struct requests *q, uint32_t i, struct requests_freed *freed)
{
	uint32_t k = first_part(q, i), n = first_part(q, i + 1) - k;

	drop_parts(q, k, n, freed);
	if (i == q->next)
		q->next_at = 0;
	else if (i < q->next)
		q->next--;
	for (; i + 1 < q->count; i++)
		*at(q, i) = *at(q, i + 1);
	q->count--;
}

enum requests_cancel requests_cancel(struct requests *q, uint32_t piece, uint32_t begin, uint32_t length, struct requests_freed *freed)
{
	uint32_t i = find(q, piece, begin, length);

	freed->count = 0;
	if (i == q->count)
		return REQUESTS_UNKNOWN;
	if (i == 0 && q->sent)
		return REQUESTS_FINISHES;
	drop_request(q, i, freed);
	return REQUESTS_CANCELLED;
}

static bool is_fast(uint32_t piece, const uint32_t *fast, uint32_t fast_count)
{
	uint32_t i;

	for (i = 0; i < fast_count; i++)
		if (fast[i] == piece)
			return true;
	return false;
}

uint32_t requests_choke(struct requests *q, const uint32_t *fast, uint32_t fast_count, struct request out[REQUESTS_MAX],
			struct requests_freed *freed)
{
	uint32_t i, dropped = 0, kept = q->sent ? 1 : 0;

	freed->count = 0;
	/* All parts but those of a partly sent front are given up; what is kept is read again. */
	if (q->next > kept || (q->next == kept && q->next_at)) {
		uint32_t k = first_part(q, kept);

		drop_parts(q, k, q->parts - k, freed);
		q->next = kept;
		q->next_at = 0;
	}
	for (i = kept; i < q->count; i++) {
		if (is_fast(at(q, i)->piece, fast, fast_count))
			*at(q, kept++) = *at(q, i);
		else
			out[dropped++] = *at(q, i);
	}
	q->count = kept;
	if (!kept) {
		free(q->ring);
		free(q->part);
		q->ring = NULL;
		q->part = NULL;
		q->room = q->head = 0;
	}
	return dropped;
}

/* ---- diskproc */

bool requests_next_read(struct requests *q, uint32_t window, struct requests_read *out)
{
	const struct request *r;
	uint32_t length;

	if (q->next == q->count || q->parts + q->lost >= min_u32(window, REQUESTS_PARTS))
		return false;
	r = at(q, q->next);
	length = min_u32(r->length - q->next_at, SLOT_BYTES);
	*out = (struct requests_read){ ++q->serial, r->piece, r->begin + q->next_at, length };
	q->part[q->parts++] = (struct request_part){ .serial = q->serial, .at = q->next_at, .length = length };
	q->next_at += length;
	if (q->next_at == r->length) {
		q->next++;
		q->next_at = 0;
	}
	return true;
}

/* The part whose read has this serial, or the number of parts. */
static uint32_t waiting_part(const struct requests *q, uint32_t serial)
{
	uint32_t k;

	for (k = 0; k < q->parts; k++)
		if (!q->part[k].ready && q->part[k].serial == serial)
			break;
	return k;
}

bool requests_on_data(struct requests *q, uint32_t serial, uint32_t slot)
{
	uint32_t k = waiting_part(q, serial);

	if (k == q->parts) {
		q->lost -= q->lost ? 1 : 0;
		return false;
	}
	q->part[k].ready = true;
	q->part[k].slot = slot;
	return true;
}

enum requests_failed requests_on_failed(struct requests *q, uint32_t serial, struct request *out, struct requests_freed *freed)
{
	uint32_t k = waiting_part(q, serial), i;

	freed->count = 0;
	if (k == q->parts) {
		q->lost -= q->lost ? 1 : 0;
		return REQUESTS_GONE;
	}
	for (i = 0; first_part(q, i + 1) <= k; i++)
		;
	if (i == 0 && q->sent)
		return REQUESTS_STUCK;
	*out = *at(q, i);
	drop_request(q, i, freed);
	q->lost--; /* the failed one itself is not out any more */
	return REQUESTS_DROPPED;
}

static uint32_t sent_payload(const struct requests *q)
{
	return q->sent - min_u32(q->sent, WIRE_PIECE_HEAD);
}

void requests_release(struct requests *q, struct requests_freed *freed)
{
	freed->count = 0;
	if (!q->parts)
		return;
	drop_parts(q, 0, q->parts, freed);
	q->next = 0;
	q->next_at = sent_payload(q);
}

void requests_forget(struct requests *q)
{
	struct requests_freed nobodys;

	requests_release(q, &nobodys);
	q->lost = 0;
}

uint32_t requests_keep_had(struct requests *q, const uint8_t *have, struct request out[REQUESTS_MAX], bool *stuck)
{
	uint32_t i, dropped = 0, kept = q->sent ? 1 : 0;

	if (q->parts)
		bug("%u reads or slots of another diskproc", q->parts);
	*stuck = kept && !bitfield_get(have, at(q, 0)->piece);
	for (i = kept; i < q->count; i++) {
		if (bitfield_get(have, at(q, i)->piece))
			*at(q, kept++) = *at(q, i);
		else
			out[dropped++] = *at(q, i);
	}
	q->count = kept;
	return dropped;
}

/* ---- the socket */

static void add_vec(struct requests_iov *iov, const void *base, size_t n, size_t most)
{
	n = min_u64(n, most - iov->bytes);
	if (!n)
		return;
	iov->vec[iov->count++] = (struct iovec){ .iov_base = (void *)(uintptr_t)base, .iov_len = n };
	iov->bytes += n;
}

size_t requests_iov(const struct requests *q, const struct slots *slots, uint32_t blocks, size_t most, struct requests_iov *iov)
{
	uint32_t k, i = 0, sent = q->sent, from;

	iov->count = 0;
	iov->bytes = 0;
	for (k = 0; k < min_u32(q->parts, blocks) && q->part[k].ready && iov->bytes < most; k++) {
		const struct request_part *p = &q->part[k];
		const struct request *r = at(q, i);

		if (sent < WIRE_PIECE_HEAD) {
			wire_put_piece_head(iov->head[k], r->piece, r->begin, r->length);
			add_vec(iov, iov->head[k] + sent, WIRE_PIECE_HEAD - sent, most);
			sent = WIRE_PIECE_HEAD;
		}
		from = sent - WIRE_PIECE_HEAD - p->at;
		add_vec(iov, slot_at(slots, p->slot) + from, p->length - from, most);
		sent += p->length - from;
		if (p->at + p->length == r->length) {
			sent = 0;
			i++;
		}
	}
	return iov->bytes;
}

size_t requests_sent(struct requests *q, size_t n, struct requests_freed *freed)
{
	size_t payload = 0;

	freed->count = 0;
	while (n) {
		uint32_t before = sent_payload(q), whole, took;

		if (!q->parts || !q->part[0].ready)
			bug("%zu bytes more were sent than there were", n);
		/* To the end of the first part. */
		whole = WIRE_PIECE_HEAD + q->part[0].at + q->part[0].length;
		took = (uint32_t)min_u64(n, whole - q->sent);
		q->sent += took;
		n -= took;
		payload += sent_payload(q) - before;
		if (q->sent < whole)
			break;
		drop_parts(q, 0, 1, freed);
		if (q->sent == WIRE_PIECE_HEAD + at(q, 0)->length) {
			q->sent = 0;
			q->head = (q->head + 1) % q->room;
			q->count--;
			q->next--;
		}
	}
	return payload;
}

bool requests_sendable(const struct requests *q)
{
	return q->parts && q->part[0].ready;
}
