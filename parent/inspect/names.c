/*
 * names.c - rules 1 to 3 of names.h, for one component at a time.  Takes no memory.
 */
#include "names.h"

#include "digest.h"
#include "log.h"

#define EXTENSION_MAX 16u /* with its dot */
#define HASH_SUFFIX 18u   /* "%~" and 16 digits */

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Length of a short plain extension with its dot, or 0. */
static size_t extension(const uint8_t *p, size_t length)
{
	size_t i;

	for (i = 1; i < EXTENSION_MAX + 1 && i < length; i++) {
		uint8_t c = p[length - i];

		if (c == '.')
			return i > 1 ? i : 0;
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
			return 0;
	}
	return 0;
}

static const char *name_refusal(const uint8_t *p, size_t length)
{
	size_t begin = 0, i;

	if (!length)
		return "an empty path component";
	if (memchr(p, 0, length))
		return "a path component with a NUL byte";
	if (p[0] == '/')
		return "an absolute path";
	if (length == 1 && p[0] == '.')
		return "a path component \".\"";
	for (i = 0; i <= length; i++) {
		if (i < length && p[i] != '/')
			continue;
		if (i - begin == 2 && p[begin] == '.' && p[begin + 1] == '.')
			return "a path component \"..\"";
		begin = i + 1;
	}
	return NULL;
}

/* Bytes of the next character of the original, and whether they are to be escaped. */
static size_t next_unit(const uint8_t *p, size_t left, bool *escape)
{
	uint32_t rune;
	size_t n = metainfo_utf8(p, left, &rune);

	if (!n) {
		*escape = true;
		return 1;
	}
	*escape = rune == '/' || metainfo_rune_is_control(rune);
	if (rune == '%')
		*escape = (left > 1 && p[1] == '~') || (left > 2 && is_hex(p[1]) && is_hex(p[2]));
	if (left == 1 && (rune == '.' || rune == ' '))
		*escape = true;
	return n;
}

static void put_escape(char *out, uint8_t byte)
{
	static const char hex[] = "0123456789ABCDEF";

	out[0] = '%';
	out[1] = hex[byte >> 4];
	out[2] = hex[byte & 15];
}

const char *name_map(struct name *out, const uint8_t *in, size_t length, bool *mapped)
{
	const char *why = name_refusal(in, length);
	char text[METAINFO_MAX_NAME + 16]; /* one unit more than may be kept: 4 bytes, escaped 12 */
	size_t n = 0, cut = 0, i = 0, ext, room;

	*mapped = false;
	out->length = 0;
	out->text[0] = 0;
	if (why)
		return why;
	ext = extension(in, length);
	room = METAINFO_MAX_NAME - HASH_SUFFIX - ext;
	while (i < length && n <= METAINFO_MAX_NAME) {
		bool escape;
		size_t k, unit = next_unit(in + i, length - i, &escape);

		if (n <= room)
			cut = n;
		for (k = 0; k < unit; k++) {
			if (escape)
				put_escape(text + n, in[i + k]);
			else
				text[n] = (char)in[i + k];
			n += escape ? 3 : 1;
		}
		i += unit;
		*mapped |= escape;
	}
	if (n > METAINFO_MAX_NAME) {
		uint8_t hash[32];

		digest_sha256(hash, in, length);
		memcpy(text + cut, "%~", 2);
		hex_text(text + cut + 2, hash, 8);
		memcpy(text + cut + HASH_SUFFIX, in + length - ext, ext);
		n = cut + HASH_SUFFIX + ext;
		*mapped = true;
	}
	memcpy(out->text, text, n);
	out->text[n] = 0;
	out->length = n;
	return NULL;
}

void name_number(struct name *out, const char *in, size_t length, uint32_t n)
{
	size_t ext = extension((const uint8_t *)in, length), stem = length - ext;
	char suffix[16];
	int digits = snprintf(suffix, sizeof suffix, "%%~%u", n);
	size_t added = (size_t)digits, room = METAINFO_MAX_NAME - added - ext;

	if (stem > room) {
		stem = room;
		while (stem && ((uint8_t)in[stem] & 0xc0) == 0x80) /* not inside a character */
			stem--;
	}
	memcpy(out->text, in, stem);
	memcpy(out->text + stem, suffix, added);
	memcpy(out->text + stem + added, in + length - ext, ext);
	out->length = stem + added + ext;
	out->text[out->length] = 0;
}
