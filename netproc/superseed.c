/*
 * superseed.c - see superseed.h.
 */
#include "superseed.h"

#include "bitfield.h"

void superseed_init(struct superseed *s, uint32_t pieces, uint64_t chance)
{
	memset(s, 0, sizeof *s);
	s->pieces = s->unseen = pieces;
	s->chance = chance;
	s->seen = must_calloc(pieces, sizeof *s->seen);
	s->shown = must_calloc(pieces, sizeof *s->shown);
}

void superseed_release(struct superseed *s)
{
	free(s->seen);
	free(s->shown);
	memset(s, 0, sizeof *s);
}

static void count_seen(struct superseed *s, uint32_t piece)
{
	if (!s->seen[piece]++ && !--s->unseen)
		s->done = true;
}

void superseed_join(struct superseed *s, struct superseed_peer *p, const uint8_t *have)
{
	uint32_t i;

	memset(p, 0, sizeof *p);
	p->joined = true;
	s->peers++;
	for (i = 0; have && i < s->pieces; i++)
		if (bitfield_get(have, i))
			count_seen(s, i);
}

void superseed_leave(struct superseed *s, struct superseed_peer *p, const uint8_t *have)
{
	uint32_t i;

	if (!p->joined)
		return;
	for (i = 0; have && i < s->pieces; i++)
		if (bitfield_get(have, i) && !--s->seen[i])
			s->unseen++;
	for (i = 0; i < p->shown_count; i++)
		s->shown[p->shown[i]]--;
	s->peers--;
	memset(p, 0, sizeof *p);
}

void superseed_on_have(struct superseed *s, struct superseed_peer *p, uint32_t piece)
{
	uint32_t i;

	if (!p->joined)
		return;
	count_seen(s, piece);
	for (i = 0; i < p->shown_count; i++)
		if (p->shown[i] == piece) {
			s->shown[piece]--;
			p->shown[i] = p->shown[--p->shown_count];
		}
	if (p->watches && p->watched == piece)
		p->has_watched = true;
}

static bool may_see_another(const struct superseed *s, const struct superseed_peer *p, uint64_t now_ms)
{
	if (p->shown_count == SUPERSEED_SHOWN)
		return false;
	if (!p->watches || now_ms - p->since_ms >= SUPERSEED_WAIT_MS)
		return true;
	if (p->has_watched && s->peers == 1)
		return true;
	/* seen_before peers had it already; with itself, more is needed. */
	return s->seen[p->watched] > p->seen_before + p->has_watched;
}

/* From a place chosen by lot on, the piece that fewest have or were shown. */
static uint32_t rarest(struct superseed *s, const struct superseed_peer *p, const uint8_t *have)
{
	uint32_t from, i, best = SUPERSEED_NONE, least = UINT32_MAX;

	s->chance = s->chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	from = (uint32_t)((s->chance >> 32) % s->pieces);
	for (i = 0; i < s->pieces && least; i++) {
		uint32_t piece = from < s->pieces - i ? from + i : from - (s->pieces - i), n = (uint32_t)s->seen[piece] + s->shown[piece];

		if (n >= least || (have && bitfield_get(have, piece)) || superseed_was_shown(p, piece))
			continue;
		least = n;
		best = piece;
	}
	return best;
}

uint32_t superseed_next(struct superseed *s, struct superseed_peer *p, const uint8_t *have, uint64_t now_ms)
{
	uint32_t piece;

	if (!p->joined || s->done || !may_see_another(s, p, now_ms))
		return SUPERSEED_NONE;
	piece = rarest(s, p, have);
	p->since_ms = now_ms;
	p->watches = true;
	p->has_watched = false;
	if (piece == SUPERSEED_NONE) { /* it lacks nothing that it was not shown: looked for again when it has waited */
		p->watched = 0;
		p->seen_before = UINT16_MAX;
		return SUPERSEED_NONE;
	}
	s->shown[piece]++;
	p->shown[p->shown_count++] = piece;
	p->watched = piece;
	p->seen_before = s->seen[piece];
	return piece;
}

bool superseed_was_shown(const struct superseed_peer *p, uint32_t piece)
{
	uint32_t i;

	for (i = 0; i < p->shown_count; i++)
		if (p->shown[i] == piece)
			return true;
	return false;
}
