/*
 * tracker.c - see tracker.h.
 */
#include "tracker.h"

#include <arpa/inet.h>
#include <inttypes.h>

#include "bencode.h"

const char *const tracker_result_texts[TRACKER_RESULTS] = {
	[TRACKER_OK] = "ok",
	[TRACKER_FAILURE] = "the tracker refuses",
	[TRACKER_HTTP_STATUS] = "HTTP error",
	[TRACKER_NO_ADDRESS] = "no such host name",
	[TRACKER_CONNECT] = "connection failed",
	[TRACKER_TLS] = "TLS failed",
	[TRACKER_TIMEOUT] = "timeout",
	[TRACKER_MALFORMED] = "malformed reply",
	[TRACKER_TOO_LARGE] = "reply too large",
	[TRACKER_POLICY] = "address refused by policy",
	[TRACKER_REDIRECT] = "redirect refused",
	[TRACKER_BAD_URL] = "unusable URL",
};

static const char *const event_names[] = { NULL, "started", "completed", "stopped", "paused" };

/* A string being written; `fits` turns false for good when the room ends. */
struct text {
	char *out;
	size_t room, length;
	bool fits;
};

static void put_bytes(struct text *t, const char *s, size_t n)
{
	if (!t->fits || n >= t->room - t->length) {
		t->fits = false;
		return;
	}
	memcpy(t->out + t->length, s, n);
	t->length += n;
	t->out[t->length] = 0;
}

static void put(struct text *t, const char *s)
{
	put_bytes(t, s, strlen(s));
}

static void put_number(struct text *t, const char *name, uint64_t v)
{
	char s[64];

	snprintf(s, sizeof s, "&%s=%" PRIu64, name, v);
	put(t, s);
}

/* Percent-encodes all but the unreserved characters of RFC 3986. */
static void put_escaped(struct text *t, const uint8_t *p, size_t n)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t i;

	for (i = 0; i < n; i++) {
		uint8_t c = p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
		char s[3] = { '%', hex[c >> 4], hex[c & 15] };

		if (plain)
			put_bytes(t, (const char *)p + i, 1);
		else
			put_bytes(t, s, 3);
	}
}

bool tracker_announce_url(char *out, size_t room, const char *url, const struct tracker_request *r)
{
	struct text t = { .out = out, .room = room, .fits = room > 0 };
	size_t length = strcspn(url, "#");
	const char *query = memchr(url, '?', length);
	char key[16];

	put_bytes(&t, url, length);
	if (!query)
		put(&t, "?");
	else if (url[length - 1] != '?' && url[length - 1] != '&')
		put(&t, "&");
	put(&t, "info_hash=");
	put_escaped(&t, r->info_hash, sizeof r->info_hash);
	put(&t, "&peer_id=");
	put_escaped(&t, r->peer_id, sizeof r->peer_id);
	put_number(&t, "port", r->port);
	put_number(&t, "uploaded", r->uploaded);
	put_number(&t, "downloaded", r->downloaded);
	put_number(&t, "left", r->left);
	put_number(&t, "numwant", r->numwant);
	put(&t, "&compact=1&no_peer_id=1&key=");
	snprintf(key, sizeof key, "%08" PRIx32, r->key);
	put(&t, key);
	if (r->event != TRACKER_NONE) {
		put(&t, "&event=");
		put(&t, event_names[r->event]);
	}
	if (r->tracker_id && r->tracker_id_bytes) {
		put(&t, "&trackerid=");
		put_escaped(&t, r->tracker_id, r->tracker_id_bytes);
	}
	return t.fits;
}

/* A non-negative integer of the dictionary, at most UINT32_MAX - 1; false when it is absent or negative. */
static bool find_count(const struct bencode *dict, const char *key, uint32_t *out)
{
	struct bencode v;

	if (!bencode_find_type(dict, key, BENCODE_INT, &v) || v.integer < 0)
		return false;
	*out = v.integer < UINT32_MAX ? (uint32_t)v.integer : UINT32_MAX - 1;
	return true;
}

static uint32_t clamp(uint32_t v, uint32_t least, uint32_t most)
{
	return v < least ? least : v > most ? most : v;
}

static void read_intervals(struct tracker_reply *r, const struct bencode *root)
{
	uint32_t v;

	/* Zero and negative intervals are as good as none. */
	r->interval_s = TRACKER_INTERVAL_S;
	if (find_count(root, "interval", &v) && v)
		r->interval_s = clamp(v, TRACKER_INTERVAL_LEAST_S, TRACKER_INTERVAL_MOST_S);
	if (find_count(root, "min interval", &v) && v)
		r->min_interval_s = clamp(v, TRACKER_INTERVAL_LEAST_S, TRACKER_MIN_INTERVAL_MOST_S);
}

/* BEP 31: minutes, as an integer or (seen in the wild) in digits, or "never". */
static uint32_t read_retry(const struct bencode *root)
{
	struct bencode v;
	uint32_t minutes = 0;
	size_t i;

	if (!bencode_find(root, "retry in", &v))
		return 0;
	if (v.type == BENCODE_STRING) {
		if (v.length == 5 && memcmp(v.string, "never", 5) == 0)
			return TRACKER_RETRY_NEVER;
		if (v.length > 6)
			return 0;
		for (i = 0; i < v.length; i++) {
			if (v.string[i] < '0' || v.string[i] > '9')
				return 0;
			minutes = minutes * 10 + (v.string[i] - '0');
		}
	} else if (!find_count(root, "retry in", &minutes)) {
		return 0;
	}
	return minutes ? clamp(minutes, 1, TRACKER_INTERVAL_MOST_S / 60) * 60 : 0;
}

static void read_text(struct tracker_reply *r, const struct bencode *v)
{
	r->text_bytes = (uint16_t)min_u64(v->length, sizeof r->text);
	if (r->text_bytes)
		memcpy(r->text, v->string, r->text_bytes);
}

static struct net_addr compact_addr(const uint8_t *p, uint8_t family)
{
	struct net_addr a = { .family = family };
	size_t n = family == 4 ? 4 : 16;

	memcpy(a.ip, p, n);
	a.port = get_be16(p + n);
	return a;
}

static void read_external(struct tracker_reply *r, const struct bencode *root)
{
	struct bencode v;

	if (!bencode_find_type(root, "external ip", BENCODE_STRING, &v) || (v.length != 4 && v.length != 16))
		return;
	r->external.family = v.length == 4 ? 4 : 6;
	memcpy(r->external.ip, v.string, v.length);
}

/* At most `most` of a string of addresses (BEP 23, BEP 7); a part of one at the end is ignored. */
static void take_compact(struct tracker_reply *r, const struct bencode *v, uint8_t family, uint32_t most, const struct tracker_sink *sink)
{
	size_t each = family == 4 ? 6 : 18, i, n = v->length / each;
	uint32_t taken = 0;

	for (i = 0; i < n && taken < most; i++) {
		struct net_addr a = compact_addr(v->string + i * each, family);

		if (a.port == 0) {
			r->left_out++;
			continue;
		}
		sink->on_peer(sink->arg, &a);
		taken++;
	}
	r->left_out += (uint32_t)(n - i);
	r->peers += taken;
}

/* A host name that may be asked for: letters, digits, '-', '_', '.'; made lower case and terminated. */
static bool host_name(char out[HOST_MAX], const struct bencode *v)
{
	size_t i;

	if (v->length == 0 || v->length > 253)
		return false;
	for (i = 0; i < v->length; i++) {
		uint8_t c = v->string[i];

		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c + 'a' - 'A');
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
			return false;
		out[i] = (char)c;
	}
	out[i] = 0;
	return true;
}

/* One dictionary of the long form.  Returns whether it was handed on; *names counts those with a host name. */
static bool take_dict(const struct bencode *peer, uint32_t *names, const struct tracker_sink *sink)
{
	struct bencode ip, port;
	struct net_addr a = { 0 };
	char host[HOST_MAX];

	if (!bencode_find_type(peer, "ip", BENCODE_STRING, &ip) || !bencode_find_type(peer, "port", BENCODE_INT, &port))
		return false;
	if (port.integer < 1 || port.integer > 65535)
		return false;
	a.port = (uint16_t)port.integer;
	if (ip.length > 0 && ip.length < INET6_ADDRSTRLEN && !memchr(ip.string, 0, ip.length)) {
		memcpy(host, ip.string, ip.length);
		host[ip.length] = 0;
		if (inet_pton(AF_INET, host, a.ip) == 1)
			a.family = 4;
		else if (inet_pton(AF_INET6, host, a.ip) == 1)
			a.family = 6;
		if (a.family) {
			sink->on_peer(sink->arg, &a);
			return true;
		}
	}
	if (*names == TRACKER_NAMES_MAX || !host_name(host, &ip))
		return false;
	++*names;
	sink->on_name(sink->arg, host, a.port);
	return true;
}

static void take_list(struct tracker_reply *r, const struct bencode *list, uint32_t most, const struct tracker_sink *sink)
{
	struct bencode_iter it;
	struct bencode peer;
	uint32_t names = 0, taken = 0;

	bencode_iter_init(&it, list);
	while (bencode_next(&it, NULL, &peer)) {
		if (taken < most && take_dict(&peer, &names, sink))
			taken++;
		else
			r->left_out++;
	}
	r->peers += taken;
}

/* Up to half of the room is kept for IPv6, so that neither family crowds out the other. */
static void take_peers(struct tracker_reply *r, const struct bencode *root, const struct tracker_sink *sink)
{
	struct bencode peers, peers6;
	bool has6 = bencode_find_type(root, "peers6", BENCODE_STRING, &peers6);
	uint32_t kept = has6 ? (uint32_t)min_u64(peers6.length / 18, TRACKER_PEERS_MAX / 2) : 0;

	if (bencode_find(root, "peers", &peers)) {
		if (peers.type == BENCODE_STRING)
			take_compact(r, &peers, 4, TRACKER_PEERS_MAX - kept, sink);
		else if (peers.type == BENCODE_LIST)
			take_list(r, &peers, TRACKER_PEERS_MAX - kept, sink);
	}
	if (has6)
		take_compact(r, &peers6, 6, TRACKER_PEERS_MAX - r->peers, sink);
}

const char *tracker_parse(struct tracker_reply *r, const uint8_t *body, size_t bytes, const struct tracker_sink *sink)
{
	struct bencode root, v;
	enum bencode_error e;

	memset(r, 0, sizeof *r);
	r->seeds = r->leechers = UINT32_MAX;
	if (bytes == 0)
		return "the reply is empty";
	/* Some trackers end their reply with a line feed: what follows the value is ignored. */
	e = bencode_check_prefix(body, bytes, TRACKER_TOKENS_MAX, &root, NULL);
	if (e != BENCODE_OK)
		return bencode_error_text(e);
	if (root.type != BENCODE_DICT)
		return "the reply is no dictionary";
	read_intervals(r, &root);
	read_external(r, &root);
	if (bencode_find(&root, "failure reason", &v)) {
		r->failed = true;
		r->retry_s = read_retry(&root);
		if (v.type == BENCODE_STRING)
			read_text(r, &v);
		return NULL;
	}
	if (bencode_find_type(&root, "warning message", BENCODE_STRING, &v))
		read_text(r, &v);
	(void)find_count(&root, "complete", &r->seeds);
	(void)find_count(&root, "incomplete", &r->leechers);
	if (bencode_find_type(&root, "tracker id", BENCODE_STRING, &v) && v.length > 0 && v.length <= sizeof r->id) {
		memcpy(r->id, v.string, v.length);
		r->id_bytes = (uint16_t)v.length;
	}
	if (sink)
		take_peers(r, &root, sink);
	return NULL;
}
