/*
 * url.c - see url.h.  Takes no memory.
 */
#include "url.h"

#include <arpa/inet.h>

struct scheme_row {
	const char *name;
	uint8_t scheme;
	uint16_t port; /* 0: must be named */
};
static const struct scheme_row scheme_rows[] = {
	{ "http", METAINFO_HTTP, 80 },
	{ "https", METAINFO_HTTPS, 443 },
	{ "udp", METAINFO_UDP, 0 },
};

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The URL without white space around it and without fragment, encoded into u->text. */
static const char *copy_encoded(struct url *u, const uint8_t *p, size_t length)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t i, n = 0;

	while (length && is_space(p[0])) {
		p++;
		length--;
	}
	while (length && is_space(p[length - 1]))
		length--;
	for (i = 0; i < length && p[i] != '#'; i++) {
		bool plain = p[i] > 0x20 && p[i] < 0x7f;

		if (METAINFO_MAX_URL - n < (plain ? 1u : 3u))
			return "too long";
		if (plain) {
			u->text[n++] = (char)p[i];
		} else {
			u->text[n++] = '%';
			u->text[n++] = hex[p[i] >> 4];
			u->text[n++] = hex[p[i] & 15];
		}
	}
	u->text[n] = 0;
	u->length = n;
	return n ? NULL : "empty";
}

/* Length of the scheme, lower-cased in place; 0 when there is none. */
static size_t read_scheme(struct url *u, uint16_t *port)
{
	size_t i, n = 0;

	while (is_alnum(u->text[n]) || (n && (u->text[n] == '+' || u->text[n] == '-' || u->text[n] == '.')))
		n++;
	if (!n || n > 16 || u->length - n < 3 || memcmp(u->text + n, "://", 3) != 0)
		return 0;
	for (i = 0; i < n; i++)
		u->text[i] = lower(u->text[i]);
	u->scheme = METAINFO_OTHER;
	*port = 1;
	for (i = 0; i < ARRAY_LEN(scheme_rows); i++) {
		if (strlen(scheme_rows[i].name) == n && memcmp(u->text, scheme_rows[i].name, n) == 0) {
			u->scheme = scheme_rows[i].scheme;
			*port = scheme_rows[i].port;
		}
	}
	return n;
}

static const char *read_host(struct url *u, const char *p, size_t length)
{
	size_t i;

	if (!length)
		return "without a host";
	if (length > METAINFO_MAX_HOST)
		return "with a host name that is too long";
	for (i = 0; i < length; i++) {
		if (!is_alnum(p[i]) && p[i] != '-' && p[i] != '.' && p[i] != '_')
			return "with a host name that is not plain ASCII";
		u->host[i] = lower(p[i]);
	}
	if (p[0] == '.')
		return "with a host name that begins with a dot";
	u->host[length] = 0;
	u->host_length = length;
	return NULL;
}

static const char *read_ipv6(struct url *u, const char *p, size_t length)
{
	uint8_t address[16];
	size_t i;

	if (length > 45)
		return "with a host that is no IPv6 address";
	for (i = 0; i < length; i++)
		u->host[i] = lower(p[i]);
	u->host[length] = 0;
	u->host_length = length;
	return inet_pton(AF_INET6, u->host, address) == 1 ? NULL : "with a host that is no IPv6 address";
}

/* ":8080"; an empty port is the scheme's own. */
static const char *read_port(struct url *u, const char *p, size_t length, uint16_t standard)
{
	unsigned port = 0;
	size_t i;

	if (length && *p != ':')
		return "with an odd host";
	for (i = 1; i < length; i++) {
		if (p[i] < '0' || p[i] > '9' || i > 5)
			return "with a port that is no number";
		port = port * 10 + (unsigned)(p[i] - '0');
	}
	if (port > 65535 || (length > 1 && !port))
		return "with a port out of range";
	u->port = length > 1 ? (uint16_t)port : standard;
	return u->port ? NULL : "without a port";
}

const char *url_parse(struct url *u, const uint8_t *bytes, size_t length)
{
	const char *why, *p, *end, *at, *stop;
	uint16_t standard = 0;
	size_t scheme;

	memset(u, 0, sizeof *u);
	why = copy_encoded(u, bytes, length);
	if (why)
		return why;
	scheme = read_scheme(u, &standard);
	if (!scheme)
		return "without a scheme";
	p = u->text + scheme + 3;
	end = p + strcspn(p, "/?");
	if (memchr(p, '\\', (size_t)(end - p)))
		return "with a backslash in its host";
	at = memchr(p, '@', (size_t)(end - p));
	if (at) {
		p = at + 1;
		if (memchr(p, '@', (size_t)(end - p)))
			return "with more than one @ in its host";
	}
	if (p < end && *p == '[') {
		stop = memchr(p, ']', (size_t)(end - p));
		why = stop ? read_ipv6(u, p + 1, (size_t)(stop - p - 1)) : "with a host that is no IPv6 address";
		if (!why)
			why = read_port(u, stop + 1, (size_t)(end - stop - 1), standard);
		return why;
	}
	stop = memchr(p, ':', (size_t)(end - p));
	if (!stop)
		stop = end;
	why = read_host(u, p, (size_t)(stop - p));
	return why ? why : read_port(u, stop, (size_t)(end - stop), standard);
}

/* A path component that looks like a key and not like a word. */
static bool looks_secret(const char *p, size_t length)
{
	size_t i, digits = 0;

	for (i = 0; i < length; i++) {
		if (!is_alnum(p[i]) && p[i] != '-' && p[i] != '_' && p[i] != '%')
			return false;
		digits += p[i] >= '0' && p[i] <= '9';
	}
	return (length >= 8 && digits >= 3) || (length >= 16 && digits) || length >= 24;
}

struct masked {
	char *out;
	size_t length;
	bool any;
};

static void put(struct masked *m, const char *p, size_t length)
{
	if (length > URL_MASKED_ROOM - m->length)
		bug("a masked URL of %zu bytes", m->length + length);
	memcpy(m->out + m->length, p, length);
	m->length += length;
}

static void put_stars(struct masked *m)
{
	put(m, "***", 3);
	m->any = true;
}

static void mask_path(struct masked *m, const char *p, const char *end)
{
	while (p < end) {
		const char *next = memchr(p, '/', (size_t)(end - p));

		if (!next)
			next = end;
		if (looks_secret(p, (size_t)(next - p)))
			put_stars(m);
		else
			put(m, p, (size_t)(next - p));
		if (next < end)
			put(m, next++, 1);
		p = next;
	}
}

static void mask_query(struct masked *m, const char *p, const char *end)
{
	while (p < end) {
		const char *next = memchr(p, '&', (size_t)(end - p)), *equals;

		if (!next)
			next = end;
		equals = memchr(p, '=', (size_t)(next - p));
		if (equals) {
			put(m, p, (size_t)(equals - p) + 1);
			p = equals + 1;
		}
		if (p < next)
			put_stars(m);
		if (next < end)
			put(m, next++, 1);
		p = next;
	}
}

size_t url_mask(char out[URL_MASKED_ROOM], const char *url, size_t length, bool *masked)
{
	struct masked m = { .out = out };
	const char *end = url + length, *p = memchr(url, ':', length), *authority, *at, *query;

	/* Every URL here came out of url_parse(): it has "://". */
	p = p && end - p >= 3 ? p + 3 : end;
	put(&m, url, (size_t)(p - url));
	for (authority = p; p < end && *p != '/' && *p != '?'; p++)
		;
	at = memchr(authority, '@', (size_t)(p - authority));
	if (at) {
		put_stars(&m);
		authority = at;
	}
	put(&m, authority, (size_t)(p - authority));
	query = memchr(p, '?', (size_t)(end - p));
	mask_path(&m, p, query ? query : end);
	if (query) {
		put(&m, "?", 1);
		mask_query(&m, query + 1, end);
	}
	*masked = m.any;
	return m.length;
}
