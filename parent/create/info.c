/*
 * info.c - see info.h.  Keys in the order of their bytes: the info-hash is over all of this.
 */
#include "info.h"

#define MOST_PIECES 2048u
#define MOST_CHOSEN (16u << 20)

uint32_t info_piece_length(uint64_t total_bytes)
{
	uint32_t length = INFO_LEAST_PIECE;

	while (length < MOST_CHOSEN && total_bytes > (uint64_t)length * MOST_PIECES)
		length *= 2;
	return length;
}

static void put_path(struct bencode_out *o, const char *path)
{
	bencode_begin_list(o);
	for (;;) {
		size_t length = strcspn(path, "/");

		bencode_put_string(o, path, length);
		path += length;
		if (!*path)
			break;
		path++;
	}
	bencode_end(o);
}

static void put_files(struct bencode_out *o, const struct tree *t)
{
	uint32_t i;

	bencode_put_text(o, "files");
	bencode_begin_list(o);
	for (i = 0; i < t->count; i++) {
		bencode_begin_dict(o);
		bencode_put_text(o, "length");
		bencode_put_int(o, (int64_t)t->files[i].length);
		bencode_put_text(o, "path");
		put_path(o, tree_path(t, &t->files[i]));
		bencode_end(o);
	}
	bencode_end(o);
}

void info_put(struct bencode_out *o, const struct info *info)
{
	size_t hashes = (size_t)info->pieces * sizeof info->digests[0];

	bencode_begin_dict(o);
	if (info->t->single >= 0) {
		bencode_put_text(o, "length");
		bencode_put_int(o, (int64_t)info->t->total_bytes);
	} else {
		put_files(o, info->t);
	}
	bencode_put_text(o, "name");
	bencode_put_string(o, info->name, info->name_length);
	bencode_put_text(o, "piece length");
	bencode_put_int(o, info->piece_length);
	bencode_put_text(o, "pieces");
	bencode_put_string(o, info->digests, hashes);
	if (info->is_private) {
		bencode_put_text(o, "private");
		bencode_put_int(o, 1);
	}
	if (info->source_length) {
		bencode_put_text(o, "source");
		bencode_put_string(o, info->source, info->source_length);
	}
	bencode_end(o);
}
