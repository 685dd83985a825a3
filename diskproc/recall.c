/*
 * recall.c - see recall.h.  Runs after the lock.
 */
#include "recall.h"

#include <errno.h>

#include "bitfield.h"

void recall_init(struct recall *c, struct record *r, const struct metainfo *m, bool believe)
{
	memset(c, 0, sizeof *c);
	c->record = r;
	c->believe = believe;
	c->known = must_calloc(bitfield_bytes(m->h->piece_count) + 1, 1);
	c->doubtful = must_alloc(bitfield_bytes(m->h->piece_count) + 1);
	c->as_were = must_calloc(bitfield_bytes(m->h->file_count) + 1, 1);
	memset(c->doubtful, 0xff, bitfield_bytes(m->h->piece_count) + 1);
}

void recall_release(struct recall *c)
{
	free(c->known);
	free(c->doubtful);
	free(c->as_were);
	c->known = c->doubtful = c->as_were = NULL;
}

/* Whether all that a piece is in is as it was recorded; *there: none of it is missing as a whole. */
static bool piece_as_was(const struct recall *c, const struct metainfo *m, uint32_t piece, bool *there)
{
	struct layout_walk walk;
	struct span s;

	*there = true;
	layout_seek(&walk, m, layout_piece_begin(m, piece), metainfo_piece_bytes(m, piece));
	while (layout_next(&walk, &s)) {
		if (s.pad)
			continue;
		if (!bitfield_get(c->as_were, s.file))
			return false;
		*there = *there && record_files(c->record)[s.file].inode;
	}
	return true;
}

void recall_judge(struct recall *c, const struct metainfo *m)
{
	bool clean = record_header(c->record)->flags & RECORD_CLEAN, there;
	uint32_t i;

	for (i = 0; i < m->h->piece_count; i++) {
		bool recorded = bitfield_get(record_have(c->record), i), as_was = piece_as_was(c, m, i, &there);

		if (as_was && recorded && there)
			bitfield_set(c->known, i);
		if (as_was && (recorded ? there : clean))
			bitfield_clear(c->doubtful, i);
	}
}

/* The record without CLEAN, and with nothing that is in doubt. */
static void take_off_clean(struct work *w, struct recall *c)
{
	uint32_t i, n = w->m->h->piece_count;

	for (i = 0; i < w->m->h->file_count; i++)
		if (!bitfield_get(c->as_were, i))
			record_files(c->record)[i] = (struct record_file){ 0 };
	memcpy(record_have(c->record), c->known, bitfield_bytes(n));
	if (record_header(c->record)->flags & RECORD_CLEAN && !w->read_only && bitfield_count(c->known, n) < n &&
	    record_store(c->record, 0) < 0)
		c->store_error = errno;
}

void recall_run(struct work *w, struct recall *c)
{
	bool clean;
	uint32_t i;

	if (record_load(c->record)) {
		/* Otherwise a write may have come between the sync of a file and the look at its time, within a tick of the clock. */
		clean = record_header(c->record)->flags & RECORD_CLEAN;
		for (i = 0; c->believe && i < w->m->h->file_count && !atomic_load(&w->stop); i++)
			if (metainfo_on_disk(&metainfo_files(w->m)[i]) && files_are_as(w->files, i, &record_files(c->record)[i], clean))
				bitfield_set(c->as_were, i);
		/* Nothing is believed, and what is on disk stays. */
		if (atomic_load(&w->stop))
			return;
		recall_judge(c, w->m);
		take_off_clean(w, c);
	}
	c->done = true;
}
