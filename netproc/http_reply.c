/*
 * http_reply.c - see http_state.h: what a server may send.
 *
 * What it can make grow: headers (HTTP_HEADERS_MAX, of which libcurl keeps a
 * copy), the body (body_max, doubling), one certificate chain (OpenSSL's limit
 * of 100 KiB), one TLS record.
 */
#include "http_state.h"

#define BODY_FIRST_BYTES 8192u

/* Whether the header line of n bytes is this header; *value and *length get what follows the colon, trimmed. */
static bool header_is(const char *line, size_t n, const char *name, const char **value, size_t *length)
{
	size_t k = strlen(name);

	if (n <= k || strncasecmp(line, name, k) != 0 || line[k] != ':')
		return false;
	for (k++; k < n && (line[k] == ' ' || line[k] == '\t'); k++)
		;
	while (n > k && (line[n - 1] == '\r' || line[n - 1] == '\n' || line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	*value = line + k;
	*length = n - k;
	return true;
}

static bool one_of(const char *value, size_t length, const char *const *names, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strlen(names[i]) == length && strncasecmp(value, names[i], length) == 0)
			return true;
	return false;
}

/*
 * Counts header lines, and stops what would set off other decoders than those
 * that were asked for: libcurl also has brotli and zstd, and decodes nested
 * encodings and encoded transfers, unasked.
 */
size_t http_on_header(char *line, size_t one, size_t n, void *arg)
{
	static const char *const contents[] = { "gzip", "x-gzip", "deflate", "identity" };
	static const char *const transfers[] = { "chunked", "identity" };
	struct http_get *g = arg;
	const char *value;
	size_t length;

	(void)one;
	if (n > HTTP_HEADERS_MAX - g->header_bytes) {
		g->broken = HTTP_TOO_LARGE;
		return 0;
	}
	g->header_bytes += (uint32_t)n;
	if (header_is(line, n, "Content-Encoding", &value, &length)) {
		if (g->encodings++ || !one_of(value, length, contents, ARRAY_LEN(contents)))
			g->broken = HTTP_MALFORMED;
	} else if (header_is(line, n, "Transfer-Encoding", &value, &length)) {
		if (!one_of(value, length, transfers, ARRAY_LEN(transfers)))
			g->broken = HTTP_MALFORMED;
	}
	return g->broken == HTTP_OK ? n : 0;
}

size_t http_on_body(char *bytes, size_t one, size_t n, void *arg)
{
	struct http_get *g = arg;

	(void)one;
	if (n > g->body_max - g->bytes) {
		g->broken = HTTP_TOO_LARGE;
		return 0;
	}
	if (n > g->room - g->bytes) {
		size_t room = g->room ? g->room : BODY_FIRST_BYTES;
		uint8_t *grown;

		while (room - g->bytes < n)
			room *= 2;
		grown = realloc(g->body, room);
		if (!grown) {
			g->broken = HTTP_TOO_LARGE;
			return 0;
		}
		g->body = grown;
		g->room = room;
	}
	memcpy(g->body + g->bytes, bytes, n);
	g->bytes += n;
	return n;
}
