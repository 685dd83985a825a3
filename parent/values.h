/*
 * values.h - the values of the command line: text in, a checked value in its unit out.
 *
 * Pure.  A value is taken whole or refused: numbers are digits, without sign,
 * blanks or rest.  Where false is returned *out means nothing.
 */
#ifndef PARENT_VALUES_H
#define PARENT_VALUES_H

#include "messages.h"

/* "17": a number of [least, most]. */
bool value_number(const char *text, uint64_t least, uint64_t most, uint64_t *out) MUST_CHECK;

/* "64M" -> bytes of [least, most]; suffixes k, M, G, 1024-based. */
bool value_size(const char *text, uint64_t least, uint64_t most, uint64_t *out) MUST_CHECK;

/* "30", "90s", "2h", "7d" -> 1 second to 365 days; a number alone is minutes. */
bool value_time(const char *text, uint32_t *out_s) MUST_CHECK;

/* "1", "0.75" -> thousandths, of a number from 0 to 1000 with at most three decimals. */
bool value_ratio(const char *text, uint32_t *out_milli) MUST_CHECK;

/* "6881", "6881-6999": a port from 1 to 65535, or a range of them. */
bool value_ports(const char *text, uint16_t *first, uint16_t *last) MUST_CHECK;

/* The text of an address without port or brackets. */
bool value_ip(const char *text, struct net_addr *out) MUST_CHECK;

/* "192.0.2.1:80", "[2001:db8::1]:80": numbers only, port 1 to 65535. */
bool value_addr_port(const char *text, struct net_addr *out) MUST_CHECK;

/* "10.0.0.0/8", "fd00::/8", or one address; bits after the prefix are cleared. */
bool value_cidr(const char *text, struct msg_allow_net *out) MUST_CHECK;

/* Whether it begins with one of the schemes (the last is NULL), and goes on in printable ASCII without blanks, METAINFO_MAX_URL at most. */
bool value_is_url(const char *url, size_t length, const char *const *schemes) MUST_CHECK;

/* The next URL of a list with commas between: its length (0: there is none); *list moves behind it and its comma. */
size_t value_next_url(const char **list, const char **url);

bool value_is_utf8(const char *text) MUST_CHECK;

/* Whether it can be the name of a torrent: one component of a path, 1 to 255 bytes of UTF-8. */
bool value_is_name(const char *name) MUST_CHECK;

#endif
