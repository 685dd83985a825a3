/*
 * out.h - text that is written while it is made, and how a stranger's bytes
 * appear in it.
 *
 * Uses write(2) only, so it works after the lock; its memory is one buffer,
 * whatever the length of the text.
 */
#ifndef INSPECT_OUT_H
#define INSPECT_OUT_H

#include "common.h"

/* Names of escapes alone could make a text six times the torrent: above this the whole show is refused. */
#define OUT_MAX_BYTES (256ull << 20)

struct out {
	int fd; /* borrowed; -1: only counted */
	bool failed;
	bool full; /* failed since OUT_MAX_BYTES were reached */
	uint64_t total; /* bytes so far */
	size_t used;
	char buf[32768];
};

void out_init(struct out *o, int fd);
/* Writes what is buffered.  False when anything could not be written. */
bool out_flush(struct out *o) MUST_CHECK;

void out_bytes(struct out *o, const void *bytes, size_t length);
/* At most 511 bytes; no argument may come from a stranger, but for numbers. */
void out_print(struct out *o, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * A stranger's text for people: printable UTF-8 is kept; a backslash is doubled;
 * bytes that are no UTF-8 and control characters below U+0080 become \xNN, other
 * control, bidi and format characters \u{N}.  At most `max` bytes of it are
 * shown, and then how many are left out.
 */
void out_text(struct out *o, const void *bytes, size_t length, size_t max);

/*
 * A JSON string with its quotes (RFC 8259): control, bidi and format characters
 * as \uNNNN; each byte that is no UTF-8 as U+FFFD.  True when there was none of
 * those; otherwise the caller adds out_json_hex() under "..._hex".
 */
bool out_json(struct out *o, const void *bytes, size_t length);
/* All bytes as a JSON string of hex digits. */
void out_json_hex(struct out *o, const void *bytes, size_t length);

#endif
