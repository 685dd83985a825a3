/*
 * wanted_pieces.c - see wanted_pieces.h.
 */
#include "wanted_pieces.h"

#include "bitfield.h"

/* Sets the pieces of payload bytes [begin, end), which are not none. */
static void set_range(uint8_t *bits, const struct metainfo *m, uint64_t begin, uint64_t end)
{
	uint32_t i = (uint32_t)(begin / m->h->piece_length), last = (uint32_t)((end - 1) / m->h->piece_length);

	for (; i <= last; i++) {
		if (i % 8 == 0 && last - i >= 7) {
			bits[i / 8] = 0xff;
			i += 7;
		} else {
			bitfield_set(bits, i);
		}
	}
}

void wanted_pieces(uint8_t *level[RARITY_LEVELS], const struct wanted *w, const struct metainfo *m, bool ends_first)
{
	static const uint8_t place[] = { [WANTED_HIGH] = 0, [WANTED_NORMAL] = 1, [WANTED_LOW] = 2 };
	const struct metainfo_file *f = metainfo_files(m);
	size_t bytes = bitfield_bytes(m->h->piece_count), k;
	uint32_t i;

	memset(level, 0, RARITY_LEVELS * sizeof *level);
	if (!m->h->piece_count || (!w->level && !ends_first))
		return;
	for (i = 0; i < RARITY_LEVELS; i++)
		level[i] = must_calloc(bytes, 1);
	for (i = 0; i < m->h->file_count; i++) {
		uint64_t end = f[i].offset + f[i].length, part = min_u64(f[i].length, ENDS_BYTES);

		if (!f[i].length || wanted_level(w, i) == WANTED_NOT)
			continue;
		set_range(level[place[wanted_level(w, i)]], m, f[i].offset, end);
		if (!ends_first || f[i].flags & METAINFO_FILE_PAD)
			continue;
		set_range(level[0], m, f[i].offset, f[i].offset + part);
		set_range(level[0], m, end - part, end);
	}
	for (k = 0; k < bytes; k++) {
		level[1][k] = (uint8_t)(level[1][k] & ~level[0][k]);
		level[2][k] = (uint8_t)(level[2][k] & ~level[0][k] & ~level[1][k]);
	}
}
