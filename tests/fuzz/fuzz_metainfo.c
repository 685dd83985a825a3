/* fuzz_metainfo.c - any bytes as a normal form; all that an accepted one points to is read. */
#include "../../ipc/metainfo.h"

static uint32_t sum;

static void read_text(const struct metainfo *m, struct metainfo_text t)
{
	if (strlen(metainfo_str(m, t)) != t.length)
		abort(); /* none of the texts may hold a NUL */
}

static void read_urls(const struct metainfo *m, const struct metainfo_url *u, uint32_t count)
{
	for (; count; count--, u++) {
		read_text(m, u->url);
		read_text(m, u->host);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1); /* aligned, and of the exact length */
	struct metainfo m;
	uint32_t i;

	if (!copy)
		abort();
	memcpy(copy, data, size);
	/* The length and the mark are right more often than chance would have it. */
	if (size >= sizeof(struct metainfo_header)) {
		struct metainfo_header *h = (struct metainfo_header *)(void *)copy;

		h->magic = METAINFO_MAGIC;
		h->bytes = size;
	}
	if (!metainfo_open(&m, copy, size)) {
		uint64_t at = 0;

		read_text(&m, m.h->name);
		read_urls(&m, metainfo_trackers(&m), m.h->tracker_count);
		read_urls(&m, metainfo_webseeds(&m), m.h->webseed_count);
		for (i = 0; i < m.h->file_count; i++) {
			read_text(&m, metainfo_files(&m)[i].path);
			at += metainfo_files(&m)[i].length;
		}
		if (at != m.h->total_length)
			abort();
		for (i = 0, at = 0; i < m.h->piece_count; i++) {
			sum += metainfo_hash(&m, i)[19];
			at += metainfo_piece_bytes(&m, i);
		}
		if (at != m.h->total_length)
			abort();
	}
	free(copy);
	return 0;
}
