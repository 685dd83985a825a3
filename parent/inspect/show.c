/*
 * show.c - the page of text, and what both forms share.
 *
 * Nothing of the torrent is written but through out_text() and url_mask().
 */
#include "show.h"

#include "digest.h"
#include "log.h"
#include "url.h"

#define MAGNET_TRACKERS_MAX 20u

bool show_date(char out[32], int64_t seconds)
{
	static const unsigned month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	uint64_t days, rest;
	unsigned year = 1970, month = 0;

	if (seconds < 0 || seconds > 253402300799)
		return false;
	days = (uint64_t)seconds / 86400;
	rest = (uint64_t)seconds % 86400;
	for (;; year++) {
		bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

		if (days >= (leap ? 366u : 365u)) {
			days -= leap ? 366 : 365;
			continue;
		}
		for (; days >= month_days[month] + (leap && month == 1); month++)
			days -= month_days[month] + (leap && month == 1);
		break;
	}
	snprintf(out, 32, "%04u-%02u-%02u %02u:%02u:%02u UTC", year, month + 1, (unsigned)days + 1, (unsigned)(rest / 3600),
		 (unsigned)(rest / 60 % 60), (unsigned)(rest % 60));
	return true;
}

/* RFC 3986: what is not unreserved is percent-encoded. */
static void put_encoded(struct out *o, const void *bytes, size_t length)
{
	const uint8_t *p = bytes;
	size_t i;

	for (i = 0; i < length; i++) {
		uint8_t c = p[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~')
			out_bytes(o, p + i, 1);
		else
			out_print(o, "%%%02X", c);
	}
}

void show_magnet(const struct torrent *t, struct out *o)
{
	char hash[41], masked_url[URL_MASKED_ROOM];
	uint32_t n = 0;
	size_t i;

	hex_text(hash, t->info_hash, 20);
	out_print(o, "magnet:?xt=urn:btih:%s", hash);
	if (t->name.at) {
		out_print(o, "&dn=");
		put_encoded(o, t->name.at, t->name.length < SHOW_TEXT_BYTES ? t->name.length : SHOW_TEXT_BYTES);
	}
	for (i = 0; i < t->tracker_count && n < MAGNET_TRACKERS_MAX && !(t->flags & METAINFO_PRIVATE); i++) {
		const struct torrent_url *u = &t->trackers[i];
		bool masked;

		(void)url_mask(masked_url, torrent_str(t, u->url), u->url_length, &masked);
		if (masked)
			continue;
		out_print(o, "&tr=");
		put_encoded(o, torrent_str(t, u->url), u->url_length);
		n++;
	}
}

void show_original(const struct torrent_file *f, const struct inspect *in, struct bencode *list)
{
	/* It was checked before as a part of the whole, so it cannot fail here. */
	if (bencode_check_prefix(f->original, (size_t)(in->input + in->bytes - f->original), SIZE_MAX, list, NULL) != BENCODE_OK)
		bug("a path that was read cannot be read again");
}

static void put_field(struct out *o, const char *label)
{
	out_print(o, "%-14s", label);
}

static void put_text_field(struct out *o, const char *label, struct text text)
{
	if (!text.at)
		return;
	put_field(o, label);
	out_text(o, text.at, text.length, SHOW_TEXT_BYTES);
	out_print(o, "\n");
}

static void put_bytes(struct out *o, uint64_t bytes)
{
	char size[16];

	out_print(o, "%s", bytes_text(size, sizeof size, bytes));
	if (bytes >= 1024)
		out_print(o, " (%llu bytes)", (unsigned long long)bytes);
}

static void put_path(struct out *o, const struct bencode *original)
{
	struct bencode_iter it;
	struct bencode v;
	bool first = true;

	if (original->type == BENCODE_STRING) {
		out_text(o, original->string, original->length, SHOW_TEXT_BYTES);
		return;
	}
	for (bencode_iter_init(&it, original); bencode_next(&it, NULL, &v); first = false) {
		if (!first)
			out_bytes(o, "/", 1);
		out_text(o, v.string, v.length, SHOW_TEXT_BYTES);
	}
}

/* Its number is what `get --select` takes. */
static void put_file(struct out *o, const struct torrent *t, uint32_t i)
{
	const struct torrent_file *f = &t->files[i];

	out_print(o, "%7u  %14llu  ", i + 1, (unsigned long long)f->length);
	out_text(o, torrent_str(t, f->path), f->path_length, METAINFO_MAX_PATH);
	out_print(o, "%s%s%s%s\n", f->flags & METAINFO_FILE_PAD ? "  [padding, not written]" : "",
		  f->flags & METAINFO_FILE_SYMLINK ? "  [symbolic link, not created]" : "",
		  f->flags & METAINFO_FILE_EXEC ? "  [executable, not applied]" : "", f->flags & METAINFO_FILE_HIDDEN ? "  [hidden]" : "");
}

void show_list(const struct torrent *t, struct out *o)
{
	uint32_t i;

	for (i = 0; i < t->file_count; i++)
		put_file(o, t, i);
}

static void put_files(struct out *o, const struct inspect *in, const struct torrent *t)
{
	uint32_t i;

	out_print(o, "\nFiles\n");
	for (i = 0; i < t->file_count && i < SHOW_TEXT_FILES; i++) {
		const struct torrent_file *f = &t->files[i];
		struct bencode original;

		put_file(o, t, i);
		if (!f->mapped)
			continue;
		show_original(f, in, &original);
		out_print(o, "%7s  %14s  named in the torrent: ", "", "");
		put_path(o, &original);
		out_print(o, "\n");
	}
	if (t->file_count > SHOW_TEXT_FILES)
		out_print(o, "  ... and %u files more (--json lists them all)\n", t->file_count - SHOW_TEXT_FILES);
}

static void put_url(struct out *o, const struct torrent *t, const struct torrent_url *u)
{
	char text[URL_MASKED_ROOM];
	bool masked;
	size_t n = url_mask(text, torrent_str(t, u->url), u->url_length, &masked);

	out_text(o, text, n, sizeof text);
}

static void put_trackers(struct out *o, const struct torrent *t)
{
	size_t i;

	if (t->tracker_count)
		out_print(o, "\nTrackers\n");
	for (i = 0; i < t->tracker_count; i++) {
		out_print(o, "  tier %-3u ", t->trackers[i].tier + 1);
		put_url(o, t, &t->trackers[i]);
		out_print(o, "%s\n", t->trackers[i].scheme == METAINFO_OTHER ? "  [not supported]" : "");
	}
	if (t->webseed_count)
		out_print(o, "\nWeb seeds\n");
	for (i = 0; i < t->webseed_count; i++) {
		out_print(o, "  ");
		put_url(o, t, &t->webseeds[i]);
		out_print(o, "%s\n", t->webseeds[i].tier ? "  [httpseeds]" : "");
	}
	if (t->peer_count)
		out_print(o, "\nPeers\n");
	for (i = 0; i < t->peer_count; i++) {
		out_print(o, "  ");
		out_text(o, t->peers[i].at, t->peers[i].length, 256);
		out_print(o, "\n");
	}
}

static void put_warnings(struct out *o, const struct warnings *w)
{
	uint32_t i;

	if (w->count)
		out_print(o, "\nWarnings\n");
	for (i = 0; i < w->count && i < WARNINGS_MAX; i++)
		out_print(o, "  - %s\n", w->text[i]);
	if (w->count > WARNINGS_MAX)
		out_print(o, "  - ... and %u more\n", w->count - WARNINGS_MAX);
}

static void put_name(struct out *o, const struct torrent *t)
{
	put_text_field(o, "Name:", t->name);
	if (t->name_mapped || !t->name.at) {
		put_field(o, "Saved as:");
		out_text(o, t->safe_name.text, t->safe_name.length, METAINFO_MAX_NAME);
		out_print(o, "\n");
	}
}

static void put_content(struct out *o, const struct torrent *t)
{
	char date[32];

	put_field(o, "Size:");
	put_bytes(o, t->total_length);
	out_print(o, "\n");
	put_field(o, "Pieces:");
	out_print(o, "%u of ", t->piece_count);
	put_bytes(o, t->piece_length);
	out_print(o, "\n");
	put_field(o, "Files:");
	out_print(o, "%u%s\n", t->file_count, t->flags & METAINFO_SINGLE ? "" : ", in a directory");
	put_field(o, "Private:");
	out_print(o, "%s\n", t->flags & METAINFO_PRIVATE ? "yes (peers from its trackers only)" : "no");
	put_text_field(o, "Comment:", t->comment);
	put_text_field(o, "Created by:", t->created_by);
	if (t->has_date) {
		put_field(o, "Created:");
		if (show_date(date, t->date))
			out_print(o, "%s\n", date);
		else
			out_print(o, "%lld seconds from 1970\n", (long long)t->date);
	}
	put_text_field(o, "Source:", t->source);
}

void show_text(const struct inspect *in, const struct torrent *t, struct out *o)
{
	bool magnet = t->flags & METAINFO_MAGNET;
	char hash[41];

	put_name(o, t);
	hex_text(hash, t->info_hash, 20);
	put_field(o, "Info-hash:");
	out_print(o, "%s\n", hash);
	put_field(o, "Magnet:");
	show_magnet(t, o);
	out_print(o, "\n");
	if (magnet && t->total_length) {
		put_field(o, "Size:");
		put_bytes(o, t->total_length);
		out_print(o, ", says the link\n");
	}
	if (magnet) {
		put_field(o, "Files:");
		out_print(o, "not known before its metadata is fetched\n");
	} else {
		put_content(o, t);
		put_files(o, in, t);
	}
	put_trackers(o, t);
	put_warnings(o, &in->warnings);
}
