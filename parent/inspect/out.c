/*
 * out.c - see out.h.
 */
#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "digest.h"
#include "metainfo.h"

void out_init(struct out *o, int fd)
{
	memset(o, 0, sizeof *o);
	o->fd = fd;
}

bool out_flush(struct out *o)
{
	size_t done = 0;

	while (o->fd >= 0 && !o->failed && done < o->used) {
		ssize_t n = write(o->fd, o->buf + done, o->used - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			o->failed = true;
		else
			done += (size_t)n;
	}
	o->used = 0;
	return !o->failed;
}

void out_bytes(struct out *o, const void *bytes, size_t length)
{
	const char *p = bytes;

	if (length > OUT_MAX_BYTES - o->total)
		o->failed = o->full = true;
	if (o->failed)
		return;
	o->total += length;
	while (length) {
		size_t n = sizeof o->buf - o->used;

		if (!n) {
			if (!out_flush(o))
				return;
			continue;
		}
		if (n > length)
			n = length;
		memcpy(o->buf + o->used, p, n);
		o->used += n;
		p += n;
		length -= n;
	}
}

void out_print(struct out *o, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n > 0)
		out_bytes(o, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

void out_text(struct out *o, const void *bytes, size_t length, size_t max)
{
	const uint8_t *p = bytes;
	size_t i, n;

	for (i = 0; i < length; i += n) {
		uint32_t rune = 0;

		if (i >= max) {
			out_print(o, "... (%zu bytes more)", length - i);
			return;
		}
		n = metainfo_utf8(p + i, length - i, &rune);
		if (!n) {
			out_print(o, "\\x%02x", p[i]);
			n = 1;
		} else if (metainfo_rune_is_control(rune)) {
			out_print(o, rune < 0x80 ? "\\x%02x" : "\\u{%x}", rune);
		} else if (rune == '\\') {
			out_bytes(o, "\\\\", 2);
		} else {
			out_bytes(o, p + i, n);
		}
	}
}

bool out_json(struct out *o, const void *bytes, size_t length)
{
	const uint8_t *p = bytes;
	bool whole = true;
	size_t i, n;

	out_bytes(o, "\"", 1);
	for (i = 0; i < length; i += n) {
		uint32_t rune = 0;

		n = metainfo_utf8(p + i, length - i, &rune);
		if (!n) {
			out_bytes(o, "\xef\xbf\xbd", 3);
			n = 1;
			whole = false;
		} else if (rune == '"' || rune == '\\') {
			out_bytes(o, "\\", 1);
			out_bytes(o, p + i, 1);
		} else if (metainfo_rune_is_control(rune) && rune >= 0x10000) {
			out_print(o, "\\u%04x\\u%04x", 0xd800 + ((rune - 0x10000) >> 10), 0xdc00 + (rune & 0x3ff));
		} else if (metainfo_rune_is_control(rune)) {
			out_print(o, "\\u%04x", rune);
		} else {
			out_bytes(o, p + i, n);
		}
	}
	out_bytes(o, "\"", 1);
	return whole;
}

void out_json_hex(struct out *o, const void *bytes, size_t length)
{
	const uint8_t *p = bytes;
	size_t i;

	out_bytes(o, "\"", 1);
	for (i = 0; i < length; i++) {
		char hex[3];

		hex_text(hex, p + i, 1);
		out_bytes(o, hex, 2);
	}
	out_bytes(o, "\"", 1);
}
