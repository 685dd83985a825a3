/*
 * text.c - see text.h.
 */
#include "text.h"

#include <stdarg.h>

#include "log.h"
#include "metainfo.h"

unsigned text_columns(uint32_t c)
{
	/* East Asian wide and the emoji blocks: by block, so a few narrow ones count as two. */
	return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
			       (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) || (c >= 0xffe0 && c <= 0xffe6) || c >= 0x1f000 ?
		       2 :
		       1;
}

void text_init(struct text *t, char *out, size_t room)
{
	t->out = out;
	t->room = room;
	t->length = 0;
	t->full = false;
	out[0] = 0;
}

void text_add(struct text *t, const char *s, size_t length)
{
	if (t->full || length >= t->room - t->length) {
		t->full = true;
		return;
	}
	memcpy(t->out + t->length, s, length);
	t->length += length;
	t->out[t->length] = 0;
}

void text_addf(struct text *t, const char *fmt, ...)
{
	size_t left = t->room - t->length;
	va_list ap;
	int n;

	if (t->full)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->out + t->length, left, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= left) {
		t->out[t->length] = 0;
		t->full = true;
		return;
	}
	t->length += (size_t)n;
}

void text_add_safe(struct text *t, const void *bytes, size_t length, bool utf8)
{
	const uint8_t *p = bytes;
	size_t i = 0;

	while (i < length) {
		uint32_t code = 0;
		size_t n = metainfo_utf8(p + i, length - i, &code);

		if (n && !metainfo_rune_is_control(code) && (code < 0x7f || utf8)) {
			text_add(t, (const char *)p + i, n);
			i += n;
		} else {
			text_addf(t, "\\x%02x", p[i]);
			i++;
		}
	}
}

/* A character by its number; JSON has only 16 bits for it, so those above are two. */
static void add_json_code(struct text *t, uint32_t code)
{
	if (code < 0x10000)
		text_addf(t, "\\u%04x", code);
	else
		text_addf(t, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + (code & 0x3ff));
}

void text_add_json(struct text *t, const void *bytes, size_t length)
{
	const uint8_t *p = bytes;
	size_t i = 0;

	text_add(t, "\"", 1);
	while (i < length) {
		uint32_t code = 0;
		size_t n = metainfo_utf8(p + i, length - i, &code);

		if (!n)
			text_add(t, "\\ufffd", 6);
		else if (code == '"' || code == '\\')
			text_addf(t, "\\%c", (int)code);
		else if (metainfo_rune_is_control(code))
			add_json_code(t, code);
		else
			text_add(t, (const char *)p + i, n);
		i += n ? n : 1;
	}
	text_add(t, "\"", 1);
}

void text_add_size(struct text *t, uint64_t bytes)
{
	char size[16];

	text_addf(t, "%s", bytes_text(size, sizeof size, bytes));
}

void text_add_ratio(struct text *t, uint64_t milli)
{
	text_addf(t, "%llu.%02u", (unsigned long long)(milli / 1000), (unsigned)(milli % 1000 / 10));
}

void text_add_duration(struct text *t, uint64_t s)
{
	if (s < 60)
		text_addf(t, "%us", (unsigned)s);
	else if (s < 3600)
		text_addf(t, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
	else if (s < 86400)
		text_addf(t, "%uh%02um", (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
	else
		text_addf(t, "%llud%02uh", (unsigned long long)(s / 86400), (unsigned)(s / 3600 % 24));
}

size_t text_good_prefix(const uint8_t *p, size_t length)
{
	size_t i = 0;

	while (i < length) {
		uint32_t code = 0;
		size_t n = metainfo_utf8(p + i, length - i, &code);

		if (!n || (code != '\n' && metainfo_rune_is_control(code)))
			break;
		i += n;
	}
	return i;
}
