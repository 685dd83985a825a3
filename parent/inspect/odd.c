/*
 * odd.c - what is legal in a torrent and yet worth a word before one trusts it.
 *
 * Runs after parsing; adds warnings and changes nothing else.
 */
#include "torrent.h"

#define BITTORRENT_BEGINS 985910400 /* 2001-03-30: BitTorrent did not exist before that year */
#define DATE_SLACK 86400           /* clocks differ */
#define DATE_MOST 253402300799     /* the last second of the year 9999 */

/* The keys of one dictionary in the order that BEP 3 demands. */
static bool is_sorted(const struct bencode *dict)
{
	struct bencode last = { 0 }, key, v;
	struct bencode_iter it;

	for (bencode_iter_init(&it, dict); bencode_next(&it, &key, &v); last = key) {
		size_t n = last.length < key.length ? last.length : key.length;
		int r = n ? memcmp(last.string, key.string, n) : 0;

		if (last.begin && (r > 0 || (r == 0 && last.length > key.length)))
			return false;
	}
	return true;
}

static void odd_order(struct inspect *in, const struct torrent *t)
{
	struct bencode files, v;
	struct bencode_iter it;

	if (!is_sorted(&t->root))
		warn(in, "the keys of the torrent are not in order");
	if (!is_sorted(&t->info))
		warn(in, "the keys of the info dictionary are not in order");
	if (!bencode_find_type(&t->info, "files", BENCODE_LIST, &files))
		return;
	for (bencode_iter_init(&it, &files); bencode_next(&it, NULL, &v);) {
		if (!is_sorted(&v)) {
			warn(in, "the keys of a file are not in order");
			return;
		}
	}
}

static void odd_trackers(struct inspect *in, const struct torrent *t)
{
	size_t i, udp = 0;

	for (i = 0; i < t->tracker_count; i++) {
		if (t->trackers[i].scheme == METAINFO_HTTP || t->trackers[i].scheme == METAINFO_HTTPS)
			return;
		udp += t->trackers[i].scheme == METAINFO_UDP;
	}
	if (udp)
		warn(in, "no tracker but by UDP, which get does not use yet");
	else if (t->flags & METAINFO_PRIVATE)
		warn(in, "private, but no usable tracker: nothing can name a peer");
	else
		warn(in, "no usable tracker");
}

static void odd_pieces(struct inspect *in, const struct torrent *t)
{
	if (t->piece_length > 16u << 20)
		warn(in, "huge pieces: %u MiB are lost with each bad one", t->piece_length >> 20);
	if (t->piece_length < 16u << 10)
		warn(in, "tiny pieces of %u bytes", t->piece_length);
	else if (t->piece_length & (t->piece_length - 1))
		warn(in, "the piece length %u is no power of two", t->piece_length);
	if (!t->total_length)
		warn(in, "it has no data at all");
}

/* "_____padding_file_", ".pad/": older ways to pad, which are ordinary files to everyone who does not guess. */
static bool looks_like_padding(const char *path, size_t length)
{
	return (length > 5 && memcmp(path, ".pad/", 5) == 0) || (length > 18 && memcmp(path, "_____padding_file_", 18) == 0);
}

/* Words that follow a number. */
static const char *word(uint32_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

static void odd_files(struct inspect *in, const struct torrent *t)
{
	uint32_t i, exec = 0, links = 0, pads = 0, hidden = 0, mapped = 0, backslash = 0, like_pad = 0;

	for (i = 0; i < t->file_count; i++) {
		const struct torrent_file *f = &t->files[i];
		const char *path = torrent_str(t, f->path);

		exec += (f->flags & METAINFO_FILE_EXEC) != 0;
		links += (f->flags & METAINFO_FILE_SYMLINK) != 0;
		pads += (f->flags & METAINFO_FILE_PAD) != 0;
		hidden += (f->flags & METAINFO_FILE_HIDDEN) != 0;
		mapped += f->mapped && !(f->flags & (METAINFO_FILE_PAD | METAINFO_FILE_SYMLINK));
		backslash += memchr(path, '\\', f->path_length) != NULL;
		like_pad += !(f->flags & METAINFO_FILE_PAD) && looks_like_padding(path, f->path_length);
	}
	if (links)
		warn(in, "%u symbolic link%s: never created", links, word(links, "", "s"));
	if (exec)
		warn(in, "%u file%s marked as executable: the mark is not applied", exec, word(exec, "", "s"));
	if (hidden)
		warn(in, "%u file%s marked as hidden", hidden, word(hidden, "", "s"));
	if (pads)
		warn(in, "%u padding file%s: never written", pads, word(pads, "", "s"));
	if (like_pad)
		warn(in, "%u file%s named like padding but not marked as such: %s", like_pad, word(like_pad, "", "s"),
		     word(like_pad, "an ordinary file", "ordinary files"));
	if (mapped)
		warn(in, "%u %s", mapped,
		     word(mapped, "file gets a safer name than the torrent gives it", "files get a safer name than the torrent gives them"));
	if (t->name_mapped && !(t->flags & METAINFO_SINGLE))
		warn(in, "the torrent gets a safer name than it gives itself");
	if (t->collisions)
		warn(in, "%u %s a path that is taken: numbered", t->collisions, word(t->collisions, "file wants", "files want"));
	if (t->case_collisions)
		warn(in, "%u %s from another one by upper and lower case only", t->case_collisions,
		     word(t->case_collisions, "name differs", "names differ"));
	if (backslash)
		warn(in, "%u %s a backslash, which is an ordinary character here", backslash,
		     word(backslash, "path has", "paths have"));
}

static void odd_date(struct inspect *in, const struct torrent *t)
{
	if (!t->has_date)
		return;
	if (t->date < 0 || t->date > DATE_MOST)
		warn(in, "the creation date is out of range");
	else if (t->date > in->limits.now && t->date - in->limits.now > DATE_SLACK)
		warn(in, "the creation date is in the future");
	else if (t->date < BITTORRENT_BEGINS)
		warn(in, "the creation date is before there was BitTorrent");
}

void torrent_oddities(struct inspect *in, const struct torrent *t)
{
	odd_trackers(in, t);
	if (t->flags & METAINFO_MAGNET) {
		if (t->name_mapped)
			warn(in, "the torrent gets a safer name than the link gives it");
		return;
	}
	odd_order(in, t);
	odd_pieces(in, t);
	odd_files(in, t);
	odd_date(in, t);
	if (t->flags & METAINFO_HYBRID)
		warn(in, "a hybrid of BitTorrent v1 and v2: its version 1 part is used");
}
