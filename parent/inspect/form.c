/*
 * form.c - see form.h.
 *
 * Layout: header, files, trackers, web seeds (each 8-aligned), hashes, strings.
 */
#include "form.h"

struct form {
	uint8_t *base;
	uint64_t used, room; /* of the strings' part, as offsets from base */
};

static uint64_t align8(uint64_t n)
{
	return (n + 7) & ~7ull;
}

static struct metainfo_text form_text(struct form *f, const char *text, size_t length)
{
	struct metainfo_text t = { (uint32_t)f->used, (uint32_t)length };

	if (length + 1 > f->room - f->used)
		bug("a form of %llu bytes is too small", (unsigned long long)f->room);
	memcpy(f->base + f->used, text, length);
	f->base[f->used + length] = 0;
	f->used += length + 1;
	return t;
}

static uint64_t strings_bytes(const struct torrent *t)
{
	uint64_t n = t->safe_name.length + 1;
	size_t i;

	for (i = 0; i < t->file_count; i++)
		n += t->files[i].path_length + 1u;
	for (i = 0; i < t->tracker_count; i++)
		n += t->trackers[i].url_length + 1u + t->trackers[i].host_length + 1u;
	for (i = 0; i < t->webseed_count; i++)
		n += t->webseeds[i].url_length + 1u + t->webseeds[i].host_length + 1u;
	return n;
}

static void form_files(struct form *f, const struct torrent *t, struct metainfo_file *row)
{
	uint32_t i;

	for (i = 0; i < t->file_count; i++, row++) {
		const struct torrent_file *file = &t->files[i];

		row->offset = file->offset;
		row->length = file->length;
		row->flags = file->flags;
		row->path = form_text(f, torrent_str(t, file->path), file->path_length);
	}
}

/* Returns how many were put: those of a scheme that somebody can use. */
static uint32_t form_urls(struct form *f, const struct torrent *t, const struct torrent_url *list, size_t count, bool seeds,
			 struct metainfo_url *row)
{
	uint32_t n = 0, tier = 0, last = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		const struct torrent_url *u = &list[i];

		if (u->scheme == METAINFO_OTHER)
			continue;
		if (n && u->tier != last)
			tier++;
		last = u->tier;
		row[n].url = form_text(f, torrent_str(t, u->url), u->url_length);
		row[n].host = form_text(f, torrent_str(t, u->host), u->host_length);
		row[n].port = u->port;
		row[n].scheme = u->scheme;
		row[n].tier = seeds ? u->tier : tier;
		n++;
	}
	return n;
}

bool form_build(struct inspect *in, const struct torrent *t, uint8_t **form, size_t *bytes)
{
	bool magnet = t->flags & METAINFO_MAGNET;
	uint64_t files = align8(sizeof(struct metainfo_header));
	uint64_t trackers = files + (uint64_t)t->file_count * sizeof(struct metainfo_file);
	uint64_t webseeds = trackers + t->tracker_count * sizeof(struct metainfo_url);
	uint64_t hashes = webseeds + t->webseed_count * sizeof(struct metainfo_url);
	uint64_t strings = hashes + 20ull * t->piece_count, total = strings + strings_bytes(t);
	struct metainfo_header *h;
	struct metainfo m;
	struct form f;
	const char *why;

	if (total > METAINFO_MAX_BYTES)
		return refuse(in, INSPECT_TOO_LARGE, NULL, "what is known of the torrent needs more than %u MiB", METAINFO_MAX_BYTES >> 20);
	*bytes = (size_t)total;
	*form = calloc(1, (size_t)align8(total));
	if (!*form)
		return refuse(in, INSPECT_INTERNAL, NULL, "no memory for %zu bytes", *bytes);
	f = (struct form){ *form, strings, total };
	h = (struct metainfo_header *)(void *)*form;
	h->magic = METAINFO_MAGIC;
	memcpy(h->info_hash, t->info_hash, sizeof h->info_hash);
	h->flags = t->flags;
	h->total_length = magnet ? 0 : t->total_length;
	h->piece_length = t->piece_length;
	h->piece_count = t->piece_count;
	h->file_count = t->file_count;
	h->files = (uint32_t)files;
	h->trackers = (uint32_t)trackers;
	h->webseeds = (uint32_t)webseeds;
	h->hashes = (uint32_t)hashes;
	h->name = form_text(&f, t->safe_name.text, t->safe_name.length);
	form_files(&f, t, (struct metainfo_file *)(void *)(*form + files));
	h->tracker_count = form_urls(&f, t, t->trackers, t->tracker_count, false, (struct metainfo_url *)(void *)(*form + trackers));
	h->webseed_count = form_urls(&f, t, t->webseeds, t->webseed_count, true, (struct metainfo_url *)(void *)(*form + webseeds));
	if (t->piece_count)
		memcpy(*form + hashes, t->hashes, 20ull * t->piece_count);
	*bytes = (size_t)f.used; /* less than total when trackers were left out */
	h->bytes = f.used;
	why = metainfo_open(&m, *form, *bytes);
	if (why) {
		free(*form);
		*form = NULL;
		return refuse(in, INSPECT_INTERNAL, NULL, "the normal form is wrong: %s", why);
	}
	return true;
}
