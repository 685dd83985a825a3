/*
 * url.h - URLs of trackers and web seeds.
 *
 * Two readers of one URL must not see two hosts: what browsers, libcurl and we
 * could understand differently (a backslash or a second '@' in the authority,
 * escapes in the host) is refused.
 */
#ifndef INSPECT_URL_H
#define INSPECT_URL_H

#include "metainfo.h"

struct url {
	size_t length, host_length;
	uint16_t port;
	uint8_t scheme; /* enum metainfo_scheme */
	char text[METAINFO_MAX_URL + 1]; /* scheme in lower case, printable ASCII, no fragment */
	char host[METAINFO_MAX_HOST + 1]; /* lower case, no brackets */
};

/*
 * Reads a URL; white space around it is dropped, bytes that are not printable
 * ASCII are percent-encoded.  http, https and udp (which must name its port);
 * any other scheme is METAINFO_OTHER, with port 1 when it names none.
 * Returns NULL or why it cannot be used (a constant string).
 */
const char *url_parse(struct url *u, const uint8_t *bytes, size_t length) MUST_CHECK;

#define URL_MASKED_ROOM (2 * METAINFO_MAX_URL + 64)

/*
 * The URL with what may be a passkey as "***": user and password, the values
 * of the query, and path components that look like keys (at least 8 letters
 * and digits of which 3 are digits, 16 with a digit, or 24).  Scheme, host and
 * port stay.  Returns the length; *masked tells whether anything was hidden.
 */
size_t url_mask(char out[URL_MASKED_ROOM], const char *url, size_t length, bool *masked);

#endif
