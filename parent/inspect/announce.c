/*
 * announce.c - trackers (BEP 3, BEP 12) and web seeds (BEP 19 url-list, BEP 17
 * httpseeds) of a torrent.
 *
 * Entries in the wild are odd in every way, and none of them is needed to trust
 * the data: what cannot be used is left out with a warning, never a refusal.
 */
#include "torrent.h"
#include "url.h"

/* Whether the URL is in the list; `kind` tells url-list from httpseeds, which are different protocols. */
static bool known(const struct torrent *t, const struct torrent_url *list, size_t count, const struct url *u, const uint32_t *kind)
{
	size_t i;

	for (i = 0; i < count; i++)
		if ((!kind || list[i].tier == *kind) && list[i].url_length == u->length &&
		    memcmp(torrent_str(t, list[i].url), u->text, u->length) == 0)
			return true;
	return false;
}

static bool append(struct inspect *in, struct torrent *t, struct torrent_url **list, size_t *count, size_t *room, size_t max,
		   const struct url *u, uint32_t tier)
{
	struct torrent_url row = { .url_length = (uint32_t)u->length, .host_length = (uint32_t)u->host_length,
				   .tier = tier, .port = u->port, .scheme = u->scheme };
	void *p = *list;

	row.url = t->strings.used;
	row.host = row.url + u->length;
	if (!strings_add(&t->strings, u->text, u->length) || !strings_add(&t->strings, u->host, u->host_length) ||
	    !array_grow(&p, room, *count + 1, max, sizeof row))
		return refuse(in, INSPECT_INTERNAL, NULL, "no memory for trackers");
	*list = p;
	(*list)[(*count)++] = row;
	return true;
}

bool torrent_add_tracker(struct inspect *in, struct torrent *t, struct text url, uint32_t tier, uint32_t index, bool *added)
{
	const char *why;
	struct url u;

	*added = false;
	if (!url.length) /* as common as it is meaningless */
		return true;
	why = url_parse(&u, url.at, url.length);
	if (why) {
		warn(in, "tracker entry %u is left out: a URL %s", index, why);
		return true;
	}
	if (known(t, t->trackers, t->tracker_count, &u, NULL))
		return true;
	if (t->tracker_count >= METAINFO_MAX_TRACKERS) {
		if (t->tracker_count == METAINFO_MAX_TRACKERS)
			warn(in, "more than %u trackers: tracker entry %u is left out", METAINFO_MAX_TRACKERS, index);
		return true;
	}
	if (u.scheme == METAINFO_OTHER)
		warn(in, "tracker entry %u is not used: only http, https and udp are", index);
	*added = true;
	return append(in, t, &t->trackers, &t->tracker_count, &t->tracker_room, METAINFO_MAX_TRACKERS, &u, tier);
}

bool torrent_add_webseed(struct inspect *in, struct torrent *t, struct text url, uint32_t kind, uint32_t index)
{
	const char *why;
	struct url u;

	if (!url.length)
		return true;
	why = url_parse(&u, url.at, url.length);
	if (!why && u.scheme != METAINFO_HTTP && u.scheme != METAINFO_HTTPS)
		why = "that is neither http nor https";
	if (!why && t->webseed_count >= METAINFO_MAX_WEBSEEDS)
		why = "above the limit";
	if (why) {
		warn(in, "web seed entry %u is left out: a URL %s", index, why);
		return true;
	}
	if (known(t, t->webseeds, t->webseed_count, &u, &kind))
		return true;
	return append(in, t, &t->webseeds, &t->webseed_count, &t->webseed_room, METAINFO_MAX_WEBSEEDS, &u, kind);
}

/* A tier: a list of URLs, or in the wild a URL by itself.  *index counts entries over all tiers; *any: whether one was added. */
static bool read_tier(struct inspect *in, struct torrent *t, const struct bencode *tier, uint32_t number, uint32_t *index, bool *any)
{
	struct bencode_iter it;
	struct bencode v;
	bool added;

	*any = false;
	if (tier->type == BENCODE_STRING) {
		warn(in, "tracker entry %u stands outside a tier: taken as one of its own", *index);
		return torrent_add_tracker(in, t, (struct text){ tier->string, tier->length }, number, (*index)++, any);
	}
	if (tier->type != BENCODE_LIST) {
		warn(in, "tracker entry %u is left out: neither a list nor a string", (*index)++);
		return true;
	}
	for (bencode_iter_init(&it, tier); bencode_next(&it, NULL, &v) && *index < URL_ENTRIES_MAX; (*index)++) {
		if (v.type != BENCODE_STRING) {
			warn(in, "tracker entry %u is left out: no string", *index);
			continue;
		}
		if (!torrent_add_tracker(in, t, (struct text){ v.string, v.length }, number, *index, &added))
			return false;
		*any |= added;
	}
	return true;
}

bool torrent_trackers(struct inspect *in, struct torrent *t)
{
	struct bencode_iter it;
	struct bencode list, v;
	uint32_t tier = 0, index = 0, tiers = 0;
	bool any;

	if (bencode_find(&t->root, "announce-list", &list)) {
		if (list.type != BENCODE_LIST)
			warn(in, "announce-list is no list: not used");
		for (bencode_iter_init(&it, &list); bencode_next(&it, NULL, &v); tiers++) {
			if (index >= URL_ENTRIES_MAX || tiers >= URL_ENTRIES_MAX) {
				warn(in, "more than %u tracker entries: the rest is left out", URL_ENTRIES_MAX);
				break;
			}
			if (!read_tier(in, t, &v, tier, &index, &any))
				return false;
			tier += any;
		}
	}
	/* BEP 12: announce is ignored when there is an announce-list; one without a usable entry is none. */
	if (t->tracker_count || !bencode_find(&t->root, "announce", &v))
		return true;
	if (v.type != BENCODE_STRING) {
		warn(in, "announce is no string: not used");
		return true;
	}
	return torrent_add_tracker(in, t, (struct text){ v.string, v.length }, 0, 0, &any);
}

/* A string, or a list of strings. */
static bool read_seeds(struct inspect *in, struct torrent *t, const char *key, uint32_t kind)
{
	struct bencode_iter it;
	struct bencode list, v;
	uint32_t index = 0;

	if (!bencode_find(&t->root, key, &list))
		return true;
	if (list.type == BENCODE_STRING)
		return torrent_add_webseed(in, t, (struct text){ list.string, list.length }, kind, 0);
	if (list.type != BENCODE_LIST)
		warn(in, "%s is neither a string nor a list: not used", key);
	for (bencode_iter_init(&it, &list); bencode_next(&it, NULL, &v); index++) {
		if (index >= URL_ENTRIES_MAX) {
			warn(in, "more than %u entries in %s: the rest is left out", URL_ENTRIES_MAX, key);
			break;
		}
		if (v.type != BENCODE_STRING)
			warn(in, "web seed entry %u is left out: no string", index);
		else if (!torrent_add_webseed(in, t, (struct text){ v.string, v.length }, kind, index))
			return false;
	}
	return true;
}

bool torrent_webseeds(struct inspect *in, struct torrent *t)
{
	return read_seeds(in, t, "url-list", 0) && read_seeds(in, t, "httpseeds", 1);
}
