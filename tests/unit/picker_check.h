/*
 * picker_check.h - the invariants of rarity.c and picker.c, for tests and fuzzing.
 *
 * Included after the sources.  Looks at everything and stops at the first that
 * is broken.
 */
#ifndef PICKER_CHECK_H
#define PICKER_CHECK_H

static void rarity_check(const struct rarity *r)
{
	uint32_t i, b, idle = 0;

	for (i = 0; i < r->pieces; i++) {
		if (rarity_is_idle(r, i) != bitfield_get(r->idle_bits, i))
			bug("rarity: idle bit of %u", i);
		if (!rarity_is_idle(r, i))
			continue;
		idle++;
		if (r->stale)
			continue;
		b = bucket_of(r, i);
		if (r->order[r->at[i]] != i || r->at[i] >= r->end[b] || r->at[i] < r->end[b + 1])
			bug("rarity: piece %u of bucket %u at %u", i, b, r->at[i]);
	}
	for (i = 0; i < r->pieces && r->in_sequence; i++)
		if (rarity_is_idle(r, i) && i < r->first[level_of(r, i)])
			bug("rarity: piece %u is idle before %u", i, r->first[level_of(r, i)]);
	if (idle != r->idle || (!r->stale && r->end[r->levels * RARITY_BUCKETS]) || (!r->stale && r->end[0] != idle))
		bug("rarity: %u idle, counted %u, end %u", r->idle, idle, r->end[0]);
}

static void check_open(const struct picker *p, const struct open *o)
{
	uint32_t i, k, free_blocks = 0, missing = 0, used = 0;

	for (i = 0; i < o->blocks; i++) {
		const struct block *b = &o->block[i];
		missing += !b->received;
		free_blocks += !b->received && !b->asked;
		used += b->received || b->asked;
		if (b->received && b->asked)
			bug("picker: %u/%u is received and asked for", o->piece, i);
		if (!b->received && !b->asked && i < o->hint)
			bug("picker: %u/%u is free before the hint %u", o->piece, i, o->hint);
		for (k = 0; k < b->asked; k++) {
			const struct picker_peer *peer = p->peer[b->asker[k]];
			if (!peer || queue_find(peer, o->piece, i) == peer->queue_count)
				bug("picker: %u/%u is not in the queue of slot %u", o->piece, i, b->asker[k]);
		}
	}
	if (free_blocks != o->free || missing != o->missing || o->listed != !!free_blocks)
		bug("picker: %u: %u free not %u, %u missing not %u", o->piece, free_blocks, o->free, missing, o->missing);
	if (used && !o->reserved && !o->parked)
		bug("picker: %u is in use without memory", o->piece);
}

static void picker_check(const struct picker *p)
{
	uint64_t reserved = 0, single = 0;
	uint32_t i, k, missing = 0, open = 0, unreserved = 0, listed = 0, walked = 0;
	const struct picker_peer *peer;

	rarity_check(&p->rarity);
	for (i = 0; i < p->pieces; i++) {
		const struct open *o = open_of(p, i);
		missing += is_missing(p, i);
		if (bitfield_get(p->missing_bits, i) != is_missing(p, i))
			bug("picker: missing bit of %u", i);
		if (!rarity_is_wanted(&p->rarity, i) && is_missing(p, i))
			bug("picker: %u is missing and not wanted", i);
		if (!o)
			continue;
		if (o->piece != i)
			bug("picker: %u is open as %u", i, o->piece);
		check_open(p, o);
		open++;
		unreserved += !o->reserved;
		listed += o->listed;
		reserved += o->reserved ? o->bytes : 0;
		single += o->single ? o->bytes : 0;
	}
	for (i = p->free_first; i != NO_OPEN; i = p->open[i]->next)
		if (++walked > listed)
			bug("picker: the free list is longer than %u", listed);
	if (walked != listed || reserved != p->reserved || single != p->single_bytes || reserved > p->budget)
		bug("picker: reserved %llu not %llu", (unsigned long long)reserved, (unsigned long long)p->reserved);
	if (missing != p->missing || open != p->open_count || unreserved != p->unreserved)
		bug("picker: %u missing not %u, %u open not %u", missing, p->missing, open, p->open_count);
	for (peer = p->first_peer; peer; peer = peer->next)
		for (i = 0; i < peer->queue_count; i++) {
			struct picker_request r = picker_queued(peer, i);
			const struct open *o = open_of(p, r.piece);
			uint32_t found = 0;
			for (k = 0; o && k < o->block[r.block].asked; k++)
				found += o->block[r.block].asker[k] == peer->slot;
			if (found != 1)
				bug("picker: %u/%u of slot %u has it %u times among its askers", r.piece, r.block, peer->slot, found);
		}
}

#endif
