/*
 * values.c - see values.h.
 */
#include "values.h"

#include <arpa/inet.h>
#include <strings.h>

#include "metainfo.h"

/* Digits only, up to `most`; *rest is what follows them. */
static bool digits(const char *text, uint64_t most, uint64_t *out, const char **rest)
{
	uint64_t v = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		unsigned d = (unsigned)(*p - '0');

		if (v > (most - min_u64(d, most)) / 10)
			return false;
		v = v * 10 + d;
	}
	if (p == text || v > most)
		return false;
	*out = v;
	*rest = p;
	return true;
}

bool value_number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	const char *rest;

	return digits(text, most, out, &rest) && !*rest && *out >= least;
}

bool value_size(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	uint64_t v, unit = 1;
	const char *rest;

	if (!digits(text, UINT64_MAX / 2, &v, &rest))
		return false;
	if (*rest == 'k' || *rest == 'K')
		unit = 1024;
	else if (*rest == 'M')
		unit = 1024 * 1024;
	else if (*rest == 'G')
		unit = 1024 * 1024 * 1024;
	if (unit > 1)
		rest++;
	if (*rest || v > most / unit || v * unit < least)
		return false;
	*out = v * unit;
	return true;
}

bool value_time(const char *text, uint32_t *out)
{
	static const struct {
		const char *suffix;
		uint32_t seconds;
	} units[] = { { "", 60 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
	const uint32_t most = 365u * 86400u;
	const char *rest;
	uint64_t v;
	size_t i;

	if (!digits(text, most, &v, &rest))
		return false;
	for (i = 0; i < ARRAY_LEN(units) && strcmp(rest, units[i].suffix) != 0; i++)
		;
	if (i == ARRAY_LEN(units) || v == 0 || v > most / units[i].seconds)
		return false;
	*out = (uint32_t)v * units[i].seconds;
	return true;
}

bool value_ratio(const char *text, uint32_t *out)
{
	const uint32_t most = 1000;
	uint64_t whole, part = 0;
	const char *rest;
	size_t n;

	if (!digits(text, most, &whole, &rest))
		return false;
	if (*rest == '.') {
		n = strlen(rest + 1);
		if (n > 3 || !value_number(rest + 1, 0, 999, &part))
			return false;
		for (; n < 3; n++)
			part *= 10;
	} else if (*rest) {
		return false;
	}
	if (whole * 1000 + part > most * 1000)
		return false;
	*out = (uint32_t)(whole * 1000 + part);
	return true;
}

bool value_ip(const char *text, struct net_addr *out)
{
	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, text, out->ip) == 1)
		out->family = 4;
	else if (inet_pton(AF_INET6, text, out->ip) == 1)
		out->family = 6;
	return out->family != 0;
}

bool value_addr_port(const char *text, struct net_addr *out)
{
	char ip[INET6_ADDRSTRLEN + 1];
	bool brackets = text[0] == '[';
	const char *end = strrchr(text, ':'), *begin = text + brackets;
	uint64_t port;
	size_t n;

	if (!end || end <= begin || (brackets && end[-1] != ']'))
		return false;
	n = (size_t)(end - begin) - brackets;
	if (n == 0 || n >= sizeof ip)
		return false;
	memcpy(ip, begin, n);
	ip[n] = 0;
	if (!value_ip(ip, out) || (out->family == 6) != brackets || !value_number(end + 1, 1, 65535, &port))
		return false;
	out->port = (uint16_t)port;
	return true;
}

bool value_cidr(const char *text, struct msg_allow_net *out)
{
	char ip[INET6_ADDRSTRLEN + 1];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text), i;
	uint64_t bits;
	unsigned most;

	if (n == 0 || n >= sizeof ip)
		return false;
	memcpy(ip, text, n);
	ip[n] = 0;
	memset(out, 0, sizeof *out);
	if (!value_ip(ip, &out->prefix))
		return false;
	most = out->prefix.family == 4 ? 32 : 128;
	bits = most;
	if (slash && !value_number(slash + 1, 0, most, &bits))
		return false;
	out->bits = (uint32_t)bits;
	for (i = 0; i < most / 8; i++) {
		uint64_t kept = bits > i * 8 ? bits - i * 8 : 0;

		if (kept < 8)
			out->prefix.ip[i] = (uint8_t)(out->prefix.ip[i] & ~(0xffu >> kept));
	}
	return true;
}

bool value_ports(const char *text, uint16_t *first, uint16_t *last)
{
	uint64_t a, b;
	const char *rest;

	if (!digits(text, 65535, &a, &rest) || !a)
		return false;
	b = a;
	if (*rest && (*rest != '-' || !value_number(rest + 1, a, 65535, &b)))
		return false;
	*first = (uint16_t)a;
	*last = (uint16_t)b;
	return true;
}

bool value_is_url(const char *url, size_t length, const char *const *schemes)
{
	size_t i, n = 0;

	for (i = 0; i < length; i++)
		if (url[i] < 0x21 || url[i] > 0x7e)
			return false;
	for (; *schemes; schemes++) {
		n = strlen(*schemes);
		if (length > n && !strncasecmp(url, *schemes, n))
			return length <= METAINFO_MAX_URL;
	}
	return false;
}

size_t value_next_url(const char **list, const char **url)
{
	size_t length = strcspn(*list, ",");

	*url = *list;
	*list += length + ((*list)[length] == ',');
	return length;
}

bool value_is_utf8(const char *text)
{
	return metainfo_is_utf8(text, strlen(text));
}

bool value_is_name(const char *name)
{
	size_t n = strlen(name);

	return n && n <= METAINFO_MAX_NAME && strcmp(name, ".") && strcmp(name, "..") && !strchr(name, '/') && value_is_utf8(name);
}
