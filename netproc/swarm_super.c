/*
 * swarm_super.c - see swarm.h: super-seeding (BEP 16), from greeting to its end.
 *
 *	SUPER_NO ─► SUPER_ON    everything was here when we began, and the user said so
 *	SUPER_ON ─► SUPER_OVER  each piece was seen at some peer; for good
 *
 * Who is greeted while it is on is *veiled*: it is told of no piece, and then of
 * one after the other, which superseed.c chooses.  When it is over the veiled are
 * told of all that they lack, as fast as they take it, and are peers as any other.
 *
 * What was downloaded in this run came from the swarm, which therefore has seen
 * each piece: it is not super-seeded.
 *
 * Bounded: in one pass, at least PASS_MS after the last, the choice for a peer
 * looks at each piece once, and no choice begins after PASS_LOOKS of them.
 */
#include "swarm_state.h"

#include "bitfield.h"
#include "log.h"

#define PASS_MS 20u
#define PASS_LOOKS 65536u
#define JOIN_AFTER_MS 500u /* who has nothing need not say so (BEP 3) */

void swarm_super_begin(struct swarm *s)
{
	uint64_t chance;

	if (!s->options.super_seed || s->super_state != SUPER_NO || s->come_count || s->have_count < s->info->h->piece_count)
		return;
	random_bytes(&chance, sizeof chance);
	superseed_init(&s->super, s->info->h->piece_count, chance);
	s->super_state = SUPER_ON;
	log_line(LOG_DETAIL, TOPIC_PEER, "super-seeding begins");
}

void swarm_super_free(struct swarm *s)
{
	if (s->super_state == SUPER_ON)
		superseed_release(&s->super);
}

bool swarm_super_seeds(const struct swarm *s)
{
	return s->super_state == SUPER_ON;
}

bool swarm_may_ask(const struct peer *p, uint32_t piece)
{
	return !p->veiled || !swarm_super_seeds(p->swarm) || superseed_was_shown(&p->shown, piece);
}

void swarm_super_on_have(struct peer *p, uint32_t piece)
{
	struct swarm *s = p->swarm;

	if (!swarm_super_seeds(s))
		return;
	superseed_on_have(&s->super, &p->shown, piece);
	s->super_kick = true;
}

void swarm_super_on_bitfield(struct peer *p, const uint8_t *bits)
{
	uint32_t i;

	if (!swarm_super_seeds(p->swarm) || !p->shown.joined)
		return;
	for (i = 0; i < p->swarm->info->h->piece_count; i++)
		if (bitfield_get(bits, i) && !(p->pick.have && bitfield_get(p->pick.have, i)))
			swarm_super_on_have(p, i);
}

void swarm_super_leave(struct peer *p)
{
	if (swarm_super_seeds(p->swarm))
		superseed_leave(&p->swarm->super, &p->shown, p->pick.have);
}

/* ---- whom to show what */

/* False: it was not looked for. */
static bool show(struct swarm *s, struct peer *p, uint64_t now)
{
	uint8_t out[WIRE_HEAD_MAX];
	uint32_t piece;

	if (p->dead || !p->veiled || p->pick.all || p->upload_only || peer_is_behind(p))
		return false;
	if (!p->shown.joined) {
		if (!p->said_have && !p->pick.have_count && now - p->connected_ms < JOIN_AFTER_MS)
			return false;
		superseed_join(&s->super, &p->shown, p->pick.have);
	}
	piece = superseed_next(&s->super, &p->shown, p->pick.have, now);
	if (piece != SUPERSEED_NONE && peer_put(p, out, wire_put_have(out, piece)))
		peer_flush(p);
	return true;
}

/* Told as to anybody who comes now, at the next tick. */
static void finish(struct swarm *s)
{
	log_line(LOG_DETAIL, TOPIC_PEER, "super-seeding is over: each piece is at some peer");
	superseed_release(&s->super);
	s->super_state = SUPER_OVER;
	s->said_complete = false;
}

void swarm_super_show(struct swarm *s)
{
	uint64_t now = loop_now(s->loop), looks = 0;
	uint32_t i;

	if (!swarm_super_seeds(s) || !s->ready || s->disk_held || s->down || now - s->super_ms < PASS_MS)
		return;
	s->super_kick = false;
	s->super_ms = now;
	for (i = 0; i < s->count && looks < PASS_LOOKS && !superseed_done(&s->super); i++)
		if (show(s, s->peers[(s->super_turn + i) % s->count], now))
			looks += s->super.pieces;
	s->super_turn = s->count ? (s->super_turn + i) % s->count : 0;
	if (superseed_done(&s->super))
		finish(s);
}

void swarm_super_unveil(struct swarm *s, struct peer *p)
{
	uint8_t out[HAVE_BATCH * 9];
	uint32_t pieces = s->info->h->piece_count;
	size_t bytes = 0;

	while (p->unveiled < pieces && bytes < sizeof out && !peer_is_behind(p)) {
		if (bitfield_get(s->have, p->unveiled) && !(p->pick.have && bitfield_get(p->pick.have, p->unveiled)))
			bytes += wire_put_have(out + bytes, p->unveiled);
		p->unveiled++;
	}
	p->veiled = p->unveiled < pieces;
	if (bytes && peer_put(p, out, bytes))
		peer_flush(p);
}
