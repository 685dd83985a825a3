/*
 * picker_verdict.c - what diskproc says: verified, rejected, spilled, or that it
 * starts anew; and who sent what of the copies that were wrong.
 *
 * The states and invariants are at the top of picker.c.
 */
#include "bitfield.h"
#include "picker_state.h"

/* ---- verdicts ---- */

/* Whoever sent a block of a good piece may be trusted with more at once. */
static void prove_senders(struct picker *p, const struct open *o)
{
	uint32_t i, last = NO_PEER;

	for (i = 0; i < o->blocks; i++) {
		const struct block *b = &o->block[i];
		if (b->asker[0] == last)
			continue;
		last = b->asker[0];
		if (p->peer[last] && p->peer[last]->id == b->sender)
			p->peer[last]->proven = true;
	}
}

bool picker_on_verified(struct picker *p, uint32_t piece)
{
	struct open *o = piece < p->pieces ? open_of(p, piece) : NULL;

	if (!o || o->missing)
		return false;
	prove_senders(p, o);
	open_end(p, o, true);
	bitfield_clear(p->missing_bits, piece);
	p->missing--;
	return true;
}

/* Keeps who sent which block of the copy that was wrong. */
static void keep_copy(struct open *o)
{
	struct copy *c;
	uint32_t i, k;

	/* As many as diskproc remembers, and the same ones: the last. */
	if (o->copies == ATTEMPTS_MAX) {
		free(o->copy[0].sender);
		free(o->copy[0].suspect);
		memmove(o->copy, o->copy + 1, (ATTEMPTS_MAX - 1) * sizeof o->copy[0]);
		o->copies--;
	}
	o->attempts++;
	c = &o->copy[o->copies++];
	c->sender = must_calloc(o->blocks, sizeof *c->sender);
	c->suspect = must_calloc(o->blocks, sizeof *c->suspect);
	c->suspects = 0;
	for (i = 0; i < o->blocks; i++) {
		c->sender[i] = o->block[i].sender;
		for (k = c->suspects; k > 0 && c->suspect[k - 1] != c->sender[i]; k--)
			;
		if (!k)
			c->suspect[c->suspects++] = c->sender[i];
	}
}

bool picker_on_rejected(struct picker *p, uint32_t piece)
{
	struct open *o = piece < p->pieces ? open_of(p, piece) : NULL;

	if (!o || o->missing)
		return false;
	keep_copy(o);
	memset(o->block, 0, o->blocks * sizeof *o->block);
	o->free = o->missing = o->blocks;
	o->hint = 0;
	o->owner = NO_PEER;
	o->trial = o->spilling = o->taken_since = o->parked = false;
	o->opened_ms = o->progress_ms = p->now_ms;
	open_unreserve(p, o);
	open_list(p, o, true);
	return true;
}

uint32_t picker_attempts(const struct picker *p, uint32_t piece)
{
	const struct open *o = piece < p->pieces ? open_of(p, piece) : NULL;

	return o ? o->attempts : 0;
}

static const struct copy *copy_of(const struct picker *p, uint32_t piece, uint32_t attempt)
{
	const struct open *o = piece < p->pieces ? open_of(p, piece) : NULL;

	if (!o || attempt >= o->attempts || attempt < o->attempts - o->copies)
		return NULL;
	return &o->copy[attempt - (o->attempts - o->copies)];
}

uint32_t picker_sender(const struct picker *p, uint32_t piece, uint32_t attempt, uint32_t block)
{
	const struct copy *c = copy_of(p, piece, attempt);

	return c && block < open_of(p, piece)->blocks ? c->sender[block] : 0;
}

uint32_t picker_suspects(const struct picker *p, uint32_t piece, uint32_t attempt, uint32_t *out, uint32_t room)
{
	const struct copy *c = copy_of(p, piece, attempt);
	uint32_t n = c ? min_u32(c->suspects, room) : 0;

	if (n)
		memcpy(out, c->suspect, n * sizeof *out);
	return n;
}

uint32_t picker_sole_sender(const struct picker *p, uint32_t piece, uint32_t attempt)
{
	const struct copy *c = copy_of(p, piece, attempt);

	return c && c->suspects == 1 ? c->suspect[0] : 0;
}

bool picker_on_spilled(struct picker *p, uint32_t piece)
{
	struct open *o = piece < p->pieces ? open_of(p, piece) : NULL;

	if (!o || !o->spilling)
		return false;
	o->spilling = false;
	/* A block that went there since took memory again. */
	if (!o->taken_since)
		open_unreserve(p, o);
	return true;
}

/* ---- diskproc's start and restart ---- */

void picker_have(struct picker *p, uint32_t piece)
{
	struct open *o;
	uint32_t i, none = 0;

	if (piece >= p->pieces)
		bug("picker: have %u of %u", piece, p->pieces);
	if (is_had(p, piece))
		return;
	if (!is_missing(p, piece)) {
		p->rarity.at[piece] = AT_HAD;
		return;
	}
	o = open_of(p, piece);
	if (o) {
		for (i = 0; i < o->blocks; i++)
			if (!o->block[i].received)
				block_drop_askers(p, o, i, NULL, 0, &none);
		open_end(p, o, true);
	} else
		rarity_take(&p->rarity, piece, AT_HAD);
	bitfield_clear(p->missing_bits, piece);
	p->missing--;
}

/* What was received is lost; a piece of which nothing is asked for is idle again. */
static void reset_open(struct picker *p, struct open *o)
{
	uint32_t i, asked = 0;

	open_forget_copies(o);
	o->free = 0;
	o->missing = o->blocks;
	o->hint = 0;
	o->owner = NO_PEER;
	o->spilling = o->taken_since = o->parked = false;
	for (i = 0; i < o->blocks; i++) {
		struct block *b = &o->block[i];
		if (b->received)
			memset(b, 0, sizeof *b);
		o->free += !b->asked;
		asked += b->asked;
	}
	if (!asked || !open_reserve(p, o)) {
		uint32_t none = 0;
		for (i = 0; i < o->blocks; i++)
			block_drop_askers(p, o, i, NULL, 0, &none);
		open_end(p, o, false);
	} else if (o->free)
		open_list(p, o, true);
}

void picker_reset(struct picker *p)
{
	uint32_t i;

	p->rarity.stale = true;
	for (i = 0; i < p->pieces; i++) {
		struct open *o = open_of(p, i);
		if (o)
			reset_open(p, o);
		else if (is_had(p, i) && !rarity_is_wanted(&p->rarity, i))
			p->rarity.at[i] = AT_UNWANTED;
		else if (is_had(p, i)) {
			rarity_put(&p->rarity, i);
			bitfield_set(p->missing_bits, i);
			p->missing++;
		}
	}
	p->turn++;
	p->supply++;
}
