/*
 * show_json.c - the same as one JSON object on one line (RFC 8259).
 *
 * Originals are under "name" and "path" (a list of components), what will be
 * created under "saved_as".  Where a text has bytes that are no UTF-8 it has
 * U+FFFD for each, and beside it KEY_hex has all its bytes.
 */
#include "show.h"

#include "log.h"
#include "url.h"

/* "key":"text","key_hex":"..." with a comma in front; nothing when the text is absent. */
static void json_text(struct out *o, const char *key, struct text text)
{
	if (!text.at)
		return;
	out_print(o, ",\"%s\":", key);
	if (!out_json(o, text.at, text.length)) {
		out_print(o, ",\"%s_hex\":", key);
		out_json_hex(o, text.at, text.length);
	}
}

/* The components as a list of strings, or of hex digits.  True when all were UTF-8. */
static bool json_components(struct out *o, const struct bencode *original, bool hex)
{
	struct bencode_iter it;
	struct bencode v = *original;
	bool whole = true, first = true;

	out_print(o, "[");
	bencode_iter_init(&it, original);
	while (original->type == BENCODE_STRING ? first : bencode_next(&it, NULL, &v)) {
		if (!first)
			out_print(o, ",");
		first = false;
		if (hex)
			out_json_hex(o, v.string, v.length);
		else
			whole &= out_json(o, v.string, v.length);
	}
	out_print(o, "]");
	return whole;
}

static void json_files(struct out *o, const struct inspect *in, const struct torrent *t)
{
	uint32_t i;

	out_print(o, ",\"files\":[");
	for (i = 0; i < t->file_count; i++) {
		const struct torrent_file *f = &t->files[i];
		struct bencode original;

		show_original(f, in, &original);
		out_print(o, "%s{\"length\":%llu,\"path\":", i ? "," : "", (unsigned long long)f->length);
		if (!json_components(o, &original, false)) {
			out_print(o, ",\"path_hex\":");
			(void)json_components(o, &original, true);
		}
		out_print(o, ",\"saved_as\":");
		(void)out_json(o, torrent_str(t, f->path), f->path_length);
		out_print(o, ",\"mapped\":%s", f->mapped ? "true" : "false");
		if (f->flags & METAINFO_FILE_PAD)
			out_print(o, ",\"padding\":true");
		if (f->flags & METAINFO_FILE_SYMLINK)
			out_print(o, ",\"symlink\":true");
		if (f->flags & METAINFO_FILE_EXEC)
			out_print(o, ",\"executable\":true");
		if (f->flags & METAINFO_FILE_HIDDEN)
			out_print(o, ",\"hidden\":true");
		out_print(o, "}");
	}
	out_print(o, "]");
}

static void json_url(struct out *o, const struct torrent *t, const struct torrent_url *u)
{
	char text[URL_MASKED_ROOM];
	bool masked;
	size_t n = url_mask(text, torrent_str(t, u->url), u->url_length, &masked);

	(void)out_json(o, text, n);
}

/* A list of tiers, each a list of URLs. */
static void json_trackers(struct out *o, const struct torrent *t)
{
	size_t i;

	out_print(o, ",\"trackers\":[");
	for (i = 0; i < t->tracker_count; i++) {
		bool first = !i || t->trackers[i].tier != t->trackers[i - 1].tier;
		bool last = i + 1 == t->tracker_count || t->trackers[i].tier != t->trackers[i + 1].tier;

		out_print(o, "%s%s", i ? "," : "", first ? "[" : "");
		json_url(o, t, &t->trackers[i]);
		out_print(o, "%s", last ? "]" : "");
	}
	out_print(o, "]");
}

static void json_webseeds(struct out *o, const struct torrent *t, const char *key, uint32_t kind)
{
	bool any = false;
	size_t i;

	out_print(o, ",\"%s\":[", key);
	for (i = 0; i < t->webseed_count; i++) {
		if (t->webseeds[i].tier != kind)
			continue;
		out_print(o, "%s", any ? "," : "");
		json_url(o, t, &t->webseeds[i]);
		any = true;
	}
	out_print(o, "]");
}

static void json_content(struct out *o, const struct inspect *in, const struct torrent *t)
{
	char date[32];

	out_print(o, ",\"total_length\":%llu,\"piece_length\":%u,\"piece_count\":%u,\"file_count\":%u",
		  (unsigned long long)t->total_length, t->piece_length, t->piece_count, t->file_count);
	out_print(o, ",\"single_file\":%s,\"private\":%s,\"hybrid\":%s", t->flags & METAINFO_SINGLE ? "true" : "false",
		  t->flags & METAINFO_PRIVATE ? "true" : "false", t->flags & METAINFO_HYBRID ? "true" : "false");
	json_text(o, "comment", t->comment);
	json_text(o, "created_by", t->created_by);
	json_text(o, "source", t->source);
	if (t->has_date)
		out_print(o, ",\"creation_date\":%lld", (long long)t->date);
	if (t->has_date && show_date(date, t->date))
		out_print(o, ",\"created\":\"%s\"", date);
	json_files(o, in, t);
}

static void json_peers(struct out *o, const struct torrent *t)
{
	uint32_t i;

	out_print(o, ",\"peers\":[");
	for (i = 0; i < t->peer_count; i++) {
		out_print(o, "%s", i ? "," : "");
		(void)out_json(o, t->peers[i].at, t->peers[i].length);
	}
	out_print(o, "]");
}

void show_json(const struct inspect *in, const struct torrent *t, struct out *o)
{
	const struct warnings *w = &in->warnings;
	char hash[41];
	uint32_t i;

	hex_text(hash, t->info_hash, 20);
	out_print(o, "{\"kind\":\"%s\",\"info_hash\":\"%s\"", t->flags & METAINFO_MAGNET ? "magnet" : "torrent", hash);
	json_text(o, "name", t->name);
	out_print(o, ",\"saved_as\":");
	(void)out_json(o, t->safe_name.text, t->safe_name.length);
	out_print(o, ",\"magnet\":\"");
	show_magnet(t, o);
	out_print(o, "\"");
	if (!(t->flags & METAINFO_MAGNET)) {
		json_content(o, in, t);
	} else {
		if (t->total_length)
			out_print(o, ",\"claimed_length\":%llu", (unsigned long long)t->total_length);
		json_peers(o, t);
	}
	json_trackers(o, t);
	json_webseeds(o, t, "web_seeds", 0);
	json_webseeds(o, t, "http_seeds", 1);
	out_print(o, ",\"warnings\":[");
	for (i = 0; i < w->count && i < WARNINGS_MAX; i++) {
		out_print(o, "%s", i ? "," : "");
		(void)out_json(o, w->text[i], strlen(w->text[i]));
	}
	out_print(o, "],\"warning_count\":%u}\n", w->count);
}
