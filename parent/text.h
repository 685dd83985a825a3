/*
 * text.h - text for people and programs: UTF-8, escapes, sizes, JSON.
 *
 * Everything that may come from strangers passes through here before it is
 * written anywhere.  Pure functions on fixed buffers; nothing is allocated.
 * What counts as printable is decided by metainfo_rune_is_control().
 */
#ifndef PARENT_TEXT_H
#define PARENT_TEXT_H

#include "common.h"

/* Columns that a character takes on a terminal: 1 or 2 (never too few; combining marks count as 1). */
unsigned text_columns(uint32_t code);

/*
 * A buffer that text is added to; what does not fit is left out and *full set.
 * Always terminated.
 */
struct text {
	char *out;
	size_t room, length; /* length < room */
	bool full;
};
void text_init(struct text *t, char *out, size_t room);
void text_addf(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_add(struct text *t, const char *s, size_t length);

/* Bytes of a stranger for people: valid printable characters as they are (utf8: also beyond ASCII), others as \xNN. */
void text_add_safe(struct text *t, const void *bytes, size_t length, bool utf8);

/* Bytes of anyone as a JSON string with its quotes: always valid JSON, whatever the bytes (bad UTF-8 becomes U+FFFD). */
void text_add_json(struct text *t, const void *bytes, size_t length);

/* "1.5 GiB", "512 B". */
void text_add_size(struct text *t, uint64_t bytes);

/* Thousandths as "1.25": two decimals, rounded down. */
void text_add_ratio(struct text *t, uint64_t milli);

/* "7s", "3m12s", "2h05m", "4d03h". */
void text_add_duration(struct text *t, uint64_t seconds);

/*
 * Checks text that another process rendered for a terminal: valid UTF-8, only
 * printable characters and newlines.  Returns the length of the good part.
 */
size_t text_good_prefix(const uint8_t *p, size_t length) MUST_CHECK;

#endif
