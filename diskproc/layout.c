/*
 * layout.c - see layout.h.  No memory, no descriptor; the form was validated.
 */
#include "layout.h"

void layout_seek(struct layout_walk *w, const struct metainfo *m, uint64_t begin, uint64_t length)
{
	const struct metainfo_file *files = metainfo_files(m);
	uint32_t low = 0, high = m->h->file_count;

	/* The first file that ends after `begin`; ends never decrease, and an empty file ends where it begins. */
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (files[mid].offset + files[mid].length > begin)
			high = mid;
		else
			low = mid + 1;
	}
	w->files = files;
	w->count = m->h->file_count;
	w->file = low;
	w->at = begin;
	w->left = length;
}

bool layout_next(struct layout_walk *w, struct span *s)
{
	const struct metainfo_file *f;

	while (w->left && w->file < w->count && !w->files[w->file].length)
		w->file++;
	if (!w->left || w->file >= w->count)
		return false;
	f = &w->files[w->file];
	s->file = w->file;
	s->pad = !metainfo_on_disk(f);
	s->offset = w->at - f->offset;
	s->length = min_u64(w->left, f->length - s->offset);
	w->at += s->length;
	w->left -= s->length;
	w->file++;
	return true;
}

uint64_t layout_disk_bytes(const struct metainfo *m, uint64_t begin, uint64_t length)
{
	struct layout_walk w;
	struct span s;
	uint64_t n = 0;

	layout_seek(&w, m, begin, length);
	while (layout_next(&w, &s))
		if (!s.pad)
			n += s.length;
	return n;
}

uint64_t layout_wanted_bytes(const struct metainfo *m, const struct wanted *wanted, uint64_t begin, uint64_t length)
{
	struct layout_walk w;
	struct span s;
	uint64_t n = 0;

	if (!wanted->level)
		return length;
	layout_seek(&w, m, begin, length);
	while (layout_next(&w, &s))
		if (wanted->level[s.file] != WANTED_NOT)
			n += s.length;
	return n;
}
