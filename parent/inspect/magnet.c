/*
 * magnet.c - see magnet.h.
 *
 * Understood: xt (urn:btih: in hex or base32; urn:btmh: only beside it), dn, tr
 * and ws (also tr.1 ...), xl (shown), x.pe (shown).  Left out with a warning:
 * so, and whatever cannot be read.  Each tr is a tier of its own, as other
 * clients have it.  The text is one line; white space around it is dropped.
 */
#include "magnet.h"

#include "log.h"

#define MAGNET_PREFIX "magnet:"
#define MAGNET_PARAMETERS_MAX 4096u

struct magnet {
	struct inspect *in;
	struct torrent *t;
	size_t decoded_used; /* of t->decoded, which holds MAGNET_MAX_BYTES at most */
	bool has_hash, has_v2;
	uint32_t trackers, seeds, tier;
};

static bool magnet_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ASCII letters are the same in both cases. */
static bool begins_with(const uint8_t *p, size_t length, const char *word)
{
	size_t i;

	for (i = 0; word[i]; i++)
		if (i == length || (p[i] >= 'A' && p[i] <= 'Z' ? p[i] + ('a' - 'A') : p[i]) != (uint8_t)word[i])
			return false;
	return true;
}

bool magnet_is_one(const uint8_t *bytes, size_t length)
{
	while (length && magnet_space(*bytes)) {
		bytes++;
		length--;
	}
	return begins_with(bytes, length, MAGNET_PREFIX);
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes a value ('+' is a space: the query of a form) into memory of t. */
static struct text decode(struct magnet *m, struct text v)
{
	uint8_t *out = (uint8_t *)m->t->decoded + m->decoded_used;
	size_t i, n = 0;

	for (i = 0; i < v.length; i++) {
		int high = -1, low = -1;

		if (v.at[i] == '%' && v.length - i > 2) {
			high = hex_value(v.at[i + 1]);
			low = hex_value(v.at[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			out[n++] = (uint8_t)(high << 4 | low);
			i += 2;
		} else {
			out[n++] = v.at[i] == '+' ? ' ' : v.at[i];
		}
	}
	m->decoded_used += n;
	return (struct text){ out, n };
}

static bool read_hex(uint8_t hash[20], struct text v)
{
	size_t i;

	for (i = 0; i < 20; i++) {
		int high = hex_value(v.at[2 * i]), low = hex_value(v.at[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		hash[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* RFC 4648 base32, 32 characters for 20 bytes. */
static bool read_base32(uint8_t hash[20], struct text v)
{
	uint64_t bits = 0;
	size_t i, n = 0;

	for (i = 0; i < 32; i++) {
		uint8_t c = v.at[i];
		unsigned digit;

		if (c >= '2' && c <= '7')
			digit = c - '2' + 26u;
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
			digit = (c | 0x20u) - 'a';
		else
			return false;
		bits = bits << 5 | digit;
		if (i % 8 == 7) { /* 40 bits: five bytes */
			for (int shift = 32; shift >= 0; shift -= 8)
				hash[n++] = (uint8_t)(bits >> shift);
			bits = 0;
		}
	}
	return true;
}

static bool read_topic(struct magnet *m, struct text v)
{
	static const char v1[] = "urn:btih:", v2[] = "urn:btmh:";
	uint8_t hash[20];
	struct text h;

	if (begins_with(v.at, v.length, v2)) {
		m->has_v2 = true;
		return true;
	}
	if (!begins_with(v.at, v.length, v1)) {
		warn(m->in, "a topic (xt) of an unknown kind is left out");
		return true;
	}
	h = (struct text){ v.at + strlen(v1), v.length - strlen(v1) };
	if (!(h.length == 40 && read_hex(hash, h)) && !(h.length == 32 && read_base32(hash, h)))
		return refuse(m->in, INSPECT_MALFORMED, NULL, "the info-hash is neither 40 hex digits nor 32 of base32");
	if (m->has_hash && memcmp(m->t->info_hash, hash, sizeof hash) != 0)
		return refuse(m->in, INSPECT_MALFORMED, NULL, "the magnet link has two different info-hashes");
	memcpy(m->t->info_hash, hash, sizeof hash);
	m->has_hash = true;
	return true;
}

static void read_exact_length(struct magnet *m, struct text v)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < v.length && v.at[i] >= '0' && v.at[i] <= '9' && n <= (uint64_t)INT64_MAX / 10 - 1; i++)
		n = n * 10 + (uint64_t)(v.at[i] - '0');
	if (!v.length || i < v.length)
		warn(m->in, "the length (xl) is no number or out of range");
	else
		m->t->total_length = n;
}

static void read_peer(struct magnet *m, struct text v)
{
	if (!m->t->peer_count)
		warn(m->in, "peer addresses (x.pe) are shown only; --peer uses one");
	if (m->t->peer_count < MAGNET_PEERS_MAX)
		m->t->peers[m->t->peer_count++] = v;
}

/* "tr", "tr.1": the key, or the key with a number. */
static bool key_is(struct text key, const char *name)
{
	size_t n = strlen(name), i;

	if (!begins_with(key.at, key.length, name))
		return false;
	if (key.length == n)
		return true;
	if (key.at[n] != '.' || key.length == n + 1)
		return false;
	for (i = n + 1; i < key.length; i++)
		if (key.at[i] < '0' || key.at[i] > '9')
			return false;
	return true;
}

static bool read_parameter(struct magnet *m, struct text key, struct text raw)
{
	struct text v;
	bool added;

	/* What a page of HTML makes of '&'. */
	if (begins_with(key.at, key.length, "amp;")) {
		key.at += 4;
		key.length -= 4;
	}
	v = decode(m, raw);
	if (key_is(key, "xt"))
		return read_topic(m, v);
	if (key_is(key, "tr")) {
		if (!torrent_add_tracker(m->in, m->t, v, m->tier, m->trackers++, &added))
			return false;
		m->tier += added;
	} else if (key_is(key, "ws")) {
		return torrent_add_webseed(m->in, m->t, v, 0, m->seeds++);
	} else if (key_is(key, "dn")) {
		if (!m->t->name.at)
			m->t->name = v;
	} else if (key_is(key, "xl")) {
		read_exact_length(m, v);
	} else if (key_is(key, "x.pe")) {
		read_peer(m, v);
	} else if (key_is(key, "so")) {
		warn(m->in, "the choice of files (so) is not used");
	}
	return true;
}

/* key=value&key=value */
static bool read_parameters(struct magnet *m, const uint8_t *p, const uint8_t *end)
{
	uint32_t count = 0;

	while (p < end) {
		const uint8_t *next = memchr(p, '&', (size_t)(end - p)), *equals;

		if (!next)
			next = end;
		if (++count > MAGNET_PARAMETERS_MAX)
			return refuse(m->in, INSPECT_TOO_LARGE, p, "the magnet link has too many parameters");
		equals = memchr(p, '=', (size_t)(next - p));
		if (equals && !read_parameter(m, (struct text){ p, (size_t)(equals - p) },
					      (struct text){ equals + 1, (size_t)(next - equals - 1) }))
			return false;
		p = next < end ? next + 1 : end;
	}
	return true;
}

/* What it will be called until its metadata is here; a name that cannot be used is no reason to refuse it. */
static void name_magnet(struct magnet *m)
{
	struct torrent *t = m->t;
	const char *why = "missing";

	if (t->name.at) {
		why = name_map(&t->safe_name, t->name.at, t->name.length, &t->name_mapped);
		if (why)
			warn(m->in, "the name (dn) is %s: the info-hash stands for it", why);
	}
	if (why) {
		t->name = (struct text){ NULL, 0 };
		t->name_mapped = false;
		hex_text(t->safe_name.text, t->info_hash, 20);
		t->safe_name.length = 40;
	}
}

bool magnet_parse(struct inspect *in, struct torrent *t)
{
	struct magnet m = { .in = in, .t = t };
	const uint8_t *p = in->input, *end = p + in->bytes, *c;

	if (in->bytes > MAGNET_MAX_BYTES)
		return refuse(in, INSPECT_TOO_LARGE, NULL, "the magnet link is longer than %u KiB", MAGNET_MAX_BYTES >> 10);
	while (p < end && magnet_space(*p))
		p++;
	while (end > p && magnet_space(end[-1]))
		end--;
	for (c = p; c < end; c++)
		if (*c < 0x20 || *c == 0x7f)
			return refuse(in, INSPECT_MALFORMED, c, "the magnet link has a control character or more than one line");
	p += strlen(MAGNET_PREFIX);
	if (p >= end || *p != '?')
		return refuse(in, INSPECT_MALFORMED, NULL, "the magnet link has no parameters");
	t->decoded = malloc(in->bytes); /* decoding never makes anything longer */
	if (!t->decoded)
		return refuse(in, INSPECT_INTERNAL, NULL, "no memory");
	t->flags = METAINFO_MAGNET;
	if (!read_parameters(&m, p + 1, end))
		return false;
	if (!m.has_hash && m.has_v2)
		return refuse(in, INSPECT_NOT_YET, NULL, "a BitTorrent v2 magnet link (BEP 52), which is not supported yet");
	if (!m.has_hash)
		return refuse(in, INSPECT_MALFORMED, NULL, "the magnet link has no info-hash (xt=urn:btih:)");
	if (m.has_v2)
		warn(in, "a hybrid magnet link: its version 1 hash is used");
	name_magnet(&m);
	return true;
}
