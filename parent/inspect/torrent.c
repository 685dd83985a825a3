/*
 * torrent.c - the info dictionary and the frame around it: BEP 3, 27, 47 and the
 * v1 side of BEP 52.
 *
 * Strict where two readers could disagree about what is downloaded (lengths,
 * counts, duplicate keys, both or neither of `length` and `files`), tolerant
 * about keys that it does not know and about their order.
 */
#include "torrent.h"

#include "digest.h"

/* Values in a well-formed torrent: some for each file, and the rest of it. */
#define TOKENS_PER_FILE 32u
#define TOKENS_BASE (1u << 20)
/* All safe paths together, for each file that is allowed. */
#define PATH_BYTES_PER_FILE 512u
#define PATH_BYTES_BASE (8u << 20)

void torrent_init(struct torrent *t, const struct inspect_limits *l)
{
	memset(t, 0, sizeof *t);
	strings_init(&t->strings, PATH_BYTES_BASE + (size_t)l->max_files * PATH_BYTES_PER_FILE);
}

void torrent_release(struct torrent *t)
{
	strings_release(&t->strings);
	free(t->files);
	free(t->trackers);
	free(t->webseeds);
	free(t->decoded);
	memset(t, 0, sizeof *t);
}

static struct text find_text(const struct bencode *dict, const char *key)
{
	struct bencode v;

	if (!bencode_find_type(dict, key, BENCODE_STRING, &v))
		return (struct text){ NULL, 0 };
	return (struct text){ v.string, v.length };
}

/* name.utf-8, when it is usable, before name: they differ where `name` is in another encoding. */
static bool read_name(struct inspect *in, struct torrent *t, struct bencode *original)
{
	struct bencode v;
	const char *why;

	if (!bencode_find_type(&t->info, "name", BENCODE_STRING, original))
		return refuse(in, INSPECT_MALFORMED, t->info.begin, "the info dictionary has no name");
	if (bencode_find_type(&t->info, "name.utf-8", BENCODE_STRING, &v)) {
		if (v.length && metainfo_is_utf8(v.string, v.length))
			*original = v;
		else
			warn(in, "name.utf-8 is no UTF-8 or empty: name is used");
	}
	t->name = (struct text){ original->string, original->length };
	why = name_map(&t->safe_name, t->name.at, t->name.length, &t->name_mapped);
	if (why)
		return refuse(in, INSPECT_UNSAFE, original->begin, "the name of the torrent is %s", why);
	return true;
}

/* BEP 47 attr; letters that are not known say nothing. */
static uint32_t read_attr(const struct bencode *dict)
{
	struct text attr = find_text(dict, "attr");
	uint32_t flags = 0;
	size_t i;

	for (i = 0; i < attr.length; i++) {
		switch (attr.at[i]) {
		case 'p':
			flags |= METAINFO_FILE_PAD;
			break;
		case 'x':
			flags |= METAINFO_FILE_EXEC;
			break;
		case 'h':
			flags |= METAINFO_FILE_HIDDEN;
			break;
		case 'l':
			flags |= METAINFO_FILE_SYMLINK;
			break;
		}
	}
	return flags;
}

/*
 * A link has no bytes in the payload, whatever its `length` says (BEP 47; the
 * piece count is compared with the sum afterwards).
 */
static bool read_length(struct inspect *in, const struct torrent *t, const struct bencode *dict, struct torrent_file *f, uint32_t index)
{
	struct bencode v;

	if (f->flags & METAINFO_FILE_SYMLINK) {
		if (bencode_find_type(dict, "length", BENCODE_INT, &v) && v.integer)
			warn(in, "file %u is a symbolic link with a length, which is not counted", index);
		f->length = 0;
		return true;
	}
	if (!bencode_find_type(dict, "length", BENCODE_INT, &v))
		return refuse(in, INSPECT_MALFORMED, dict->begin, "file %u has no length", index);
	if (v.integer < 0)
		return refuse(in, INSPECT_MALFORMED, v.begin, "file %u has a negative length", index);
	if (v.integer > INT64_MAX - (int64_t)t->total_length)
		return refuse(in, INSPECT_MALFORMED, v.begin, "the lengths of the files overflow");
	f->length = (uint64_t)v.integer;
	return true;
}

/* Whether every element is a string of valid UTF-8: then path.utf-8 may stand for path. */
static bool path_is_usable(const struct bencode *list)
{
	struct bencode_iter it;
	struct bencode v;
	bool any = false;

	for (bencode_iter_init(&it, list); bencode_next(&it, NULL, &v); any = true)
		if (v.type != BENCODE_STRING || !v.length || !metainfo_is_utf8(v.string, v.length))
			return false;
	return any;
}

/* Appends the safe path made of the list's elements to the strings. */
static bool map_path(struct inspect *in, struct torrent *t, const struct bencode *list, struct torrent_file *f, uint32_t index)
{
	struct bencode_iter it;
	struct bencode v;
	size_t begin = t->strings.used;

	for (bencode_iter_init(&it, list); bencode_next(&it, NULL, &v);) {
		struct name name;
		const char *why;
		bool mapped;

		if (v.type != BENCODE_STRING)
			return refuse(in, INSPECT_MALFORMED, v.begin, "file %u has a path component that is no string", index);
		why = name_map(&name, v.string, v.length, &mapped);
		if (why)
			return refuse(in, INSPECT_UNSAFE, v.begin, "file %u has %s", index, why);
		f->mapped |= mapped;
		if (t->strings.used - begin + name.length + 1 > METAINFO_MAX_PATH)
			return refuse(in, INSPECT_UNSAFE, list->begin, "file %u has a path above %u bytes", index, METAINFO_MAX_PATH);
		if ((t->strings.used > begin && !strings_add(&t->strings, "/", 1)) || !strings_add(&t->strings, name.text, name.length))
			return refuse(in, INSPECT_TOO_LARGE, list->begin, "the paths of the files are too long together");
	}
	if (t->strings.used == begin)
		return refuse(in, INSPECT_UNSAFE, list->begin, "file %u has an empty path", index);
	f->path = begin;
	f->path_length = (uint32_t)(t->strings.used - begin);
	return true;
}

static bool read_file(struct inspect *in, struct torrent *t, const struct bencode *dict, uint32_t index)
{
	struct torrent_file *f = &t->files[index];
	struct bencode path, utf8;

	if (dict->type != BENCODE_DICT)
		return refuse(in, INSPECT_MALFORMED, dict->begin, "file %u is no dictionary", index);
	if (!bencode_find_type(dict, "path", BENCODE_LIST, &path))
		return refuse(in, INSPECT_MALFORMED, dict->begin, "file %u has no path", index);
	if (bencode_find_type(dict, "path.utf-8", BENCODE_LIST, &utf8) && path_is_usable(&utf8))
		path = utf8;
	f->original = path.begin;
	f->flags = read_attr(dict);
	f->offset = t->total_length;
	if (!read_length(in, t, dict, f, index) || !map_path(in, t, &path, f, index))
		return false;
	if (f->flags & METAINFO_FILE_SYMLINK)
		f->flags &= ~(uint32_t)METAINFO_FILE_PAD;
	t->total_length += f->length;
	return true;
}

static bool read_many_files(struct inspect *in, struct torrent *t, const struct bencode *list)
{
	struct bencode_iter it;
	struct bencode v;
	uint32_t index = 0;
	uint64_t count = 0;

	for (bencode_iter_init(&it, list); bencode_next(&it, NULL, &v);)
		count++;
	if (!count)
		return refuse(in, INSPECT_MALFORMED, list->begin, "the list of files is empty");
	if (count > in->limits.max_files)
		return refuse(in, INSPECT_TOO_LARGE, list->begin, "%llu files, above the limit of %u", (unsigned long long)count,
			      in->limits.max_files);
	t->files = calloc((size_t)count, sizeof *t->files);
	if (!t->files)
		return refuse(in, INSPECT_INTERNAL, NULL, "no memory for %llu files", (unsigned long long)count);
	t->file_count = (uint32_t)count;
	for (bencode_iter_init(&it, list); bencode_next(&it, NULL, &v); index++)
		if (!read_file(in, t, &v, index))
			return false;
	return torrent_collisions(in, t);
}

static bool read_one_file(struct inspect *in, struct torrent *t, const struct bencode *name)
{
	struct torrent_file *f = calloc(1, sizeof *f);

	t->files = f;
	if (!f)
		return refuse(in, INSPECT_INTERNAL, NULL, "no memory");
	t->file_count = 1;
	t->flags |= METAINFO_SINGLE;
	f->original = name->begin;
	f->flags = read_attr(&t->info);
	if (f->flags & (METAINFO_FILE_PAD | METAINFO_FILE_SYMLINK))
		return refuse(in, INSPECT_MALFORMED, t->info.begin, "its only file is %s: there is nothing to download",
			      f->flags & METAINFO_FILE_PAD ? "padding" : "a symbolic link");
	if (!read_length(in, t, &t->info, f, 0))
		return false;
	t->total_length = f->length;
	f->path = t->strings.used;
	f->path_length = (uint32_t)t->safe_name.length;
	f->mapped = t->name_mapped;
	if (!strings_add(&t->strings, t->safe_name.text, t->safe_name.length))
		return refuse(in, INSPECT_INTERNAL, NULL, "no memory");
	return true;
}

static bool read_files(struct inspect *in, struct torrent *t, const struct bencode *name)
{
	struct bencode v;
	bool length = bencode_find(&t->info, "length", &v), files = bencode_find(&t->info, "files", &v);

	if (length && files)
		return refuse(in, INSPECT_MALFORMED, t->info.begin, "the info dictionary has both length and files");
	if (!length && !files)
		return refuse(in, INSPECT_MALFORMED, t->info.begin, "the info dictionary has neither length nor files");
	if (length)
		return read_one_file(in, t, name);
	if (v.type != BENCODE_LIST)
		return refuse(in, INSPECT_MALFORMED, v.begin, "files is no list");
	return read_many_files(in, t, &v);
}

static bool read_piece_length(struct inspect *in, struct torrent *t)
{
	struct bencode v;

	if (!bencode_find_type(&t->info, "piece length", BENCODE_INT, &v))
		return refuse(in, INSPECT_MALFORMED, t->info.begin, "the info dictionary has no piece length");
	if (v.integer < 1)
		return refuse(in, INSPECT_MALFORMED, v.begin, "the piece length is not positive");
	if (v.integer > METAINFO_MAX_PIECE_LENGTH)
		return refuse(in, INSPECT_TOO_LARGE, v.begin, "the piece length is above %u MiB", METAINFO_MAX_PIECE_LENGTH >> 20);
	t->piece_length = (uint32_t)v.integer;
	return true;
}

static bool read_pieces(struct inspect *in, struct torrent *t)
{
	uint64_t count = t->total_length / t->piece_length + (t->total_length % t->piece_length != 0);
	struct bencode v;

	if (!bencode_find_type(&t->info, "pieces", BENCODE_STRING, &v))
		return refuse(in, INSPECT_MALFORMED, t->info.begin, "the info dictionary has no pieces");
	if (v.length % 20)
		return refuse(in, INSPECT_MALFORMED, v.begin, "the length of pieces is no multiple of 20");
	if (v.length / 20 > in->limits.max_pieces)
		return refuse(in, INSPECT_TOO_LARGE, v.begin, "%zu pieces, above the limit of %u", v.length / 20, in->limits.max_pieces);
	if (v.length / 20 != count)
		return refuse(in, INSPECT_MALFORMED, v.begin, "%zu piece hashes, but the length needs %llu", v.length / 20,
			      (unsigned long long)count);
	t->piece_count = (uint32_t)count;
	t->hashes = v.string;
	return true;
}

/* BEP 52: version 2 alone has no pieces; with them it is a hybrid, used by its version 1 side. */
static bool read_version(struct inspect *in, struct torrent *t)
{
	struct bencode v, pieces;
	bool v1 = bencode_find(&t->info, "pieces", &pieces);

	if (!bencode_find_type(&t->info, "meta version", BENCODE_INT, &v)) {
		if (!v1 && bencode_find_type(&t->info, "file tree", BENCODE_DICT, &v))
			return refuse(in, INSPECT_NOT_YET, v.begin, "a BitTorrent v2 torrent (BEP 52), which is not supported yet");
		return true;
	}
	if (!v1)
		return refuse(in, INSPECT_NOT_YET, v.begin, "a BitTorrent v2 torrent (BEP 52), which is not supported yet");
	if (v.integer == 2)
		t->flags |= METAINFO_HYBRID;
	else if (v.integer != 1)
		warn(in, "meta version %lld is unknown; the version 1 part is used", (long long)v.integer);
	return true;
}

/* BEP 27.  In doubt private: the mistake then costs peers and not privacy. */
static void read_private(struct inspect *in, struct torrent *t)
{
	struct bencode v;

	if (!bencode_find(&t->info, "private", &v)) {
		if (bencode_find(&t->root, "private", &v))
			warn(in, "private stands outside the info dictionary, where it does not count");
		return;
	}
	if (v.type == BENCODE_INT && v.integer == 0)
		return;
	if (v.type != BENCODE_INT || v.integer != 1)
		warn(in, "private is neither 0 nor 1: taken as 1");
	t->flags |= METAINFO_PRIVATE;
}

static void read_texts(struct torrent *t)
{
	struct bencode v;

	t->comment = find_text(&t->root, "comment.utf-8");
	if (!t->comment.at || !metainfo_is_utf8(t->comment.at, t->comment.length))
		t->comment = find_text(&t->root, "comment");
	t->created_by = find_text(&t->root, "created by");
	t->source = find_text(&t->info, "source");
	if (bencode_find_type(&t->root, "creation date", BENCODE_INT, &v)) {
		t->has_date = true;
		t->date = v.integer;
	}
}

static bool read_frame(struct inspect *in, struct torrent *t)
{
	size_t max_tokens = TOKENS_BASE + (size_t)in->limits.max_files * TOKENS_PER_FILE, offset = 0;
	enum bencode_error e = bencode_check(in->input, in->bytes, max_tokens, &t->root, &offset);
	const uint8_t *at = in->input + offset;

	if (e == BENCODE_TRAILING)
		return refuse(in, INSPECT_MALFORMED, at, "%zu bytes follow the end of the torrent", in->bytes - offset);
	if (e != BENCODE_OK)
		return refuse(in, e == BENCODE_TOKENS || e == BENCODE_DEPTH || e == BENCODE_UNSORTED ? INSPECT_TOO_LARGE : INSPECT_MALFORMED, at,
			      "%s", in->bytes ? bencode_error_text(e) : "the torrent is empty");
	if (t->root.type != BENCODE_DICT)
		return refuse(in, INSPECT_MALFORMED, in->input, "the torrent is no dictionary");
	if (!bencode_find_type(&t->root, "info", BENCODE_DICT, &t->info))
		return refuse(in, INSPECT_MALFORMED, in->input, "the torrent has no info dictionary");
	return true;
}

bool torrent_parse(struct inspect *in, struct torrent *t)
{
	struct bencode name;

	if (!read_frame(in, t) || !read_version(in, t) || !read_name(in, t, &name) || !read_piece_length(in, t) ||
	    !read_files(in, t, &name) || !read_pieces(in, t))
		return false;
	digest_sha1(t->info_hash, t->info.begin, (size_t)(t->info.end - t->info.begin));
	read_private(in, t);
	read_texts(t);
	return torrent_trackers(in, t) && torrent_webseeds(in, t);
}
