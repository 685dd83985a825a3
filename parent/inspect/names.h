/*
 * names.h - one rule from the names in a torrent to names that may be created.
 *
 * A component (an element of `path`, or `name`) is kept byte for byte when it is
 * safe as metainfo_name_is_safe() has it.  Otherwise:
 *
 *  1. Refused: an empty component; "." and ".."; one that begins with '/' (an
 *     absolute path) or has ".." between slashes; one with a NUL.
 *  2. Each byte of a control, bidi or format character, of invalid UTF-8, and
 *     '/' becomes %XX, two upper-case hex digits.  So does the last byte, if it
 *     is a dot or a space.  '%' becomes %25 when two hex digits or '~' follow
 *     it in the original, otherwise it stays.  A backslash is kept: it is an
 *     ordinary character on Unix.
 *  3. A result above 255 bytes is cut between characters, and gets "%~" and 16
 *     hex digits, the front of the SHA-256 of the original component, before
 *     its extension (a last dot and 1 to 15 ASCII letters or digits, not at
 *     the front).  Such a name cannot be turned back.
 *  4. A file whose path is taken, by an earlier file or by a directory, gets
 *     "%~2", "%~3" ... before the extension, the first number that is free
 *     (collide.c).  Padding files and symbolic links are never created and do
 *     not count.
 *
 * Turning back: remove "%~" and the digits after it, then each %XX is its byte.
 * Rules 2 and 4 never make what a safe original could have been, so different
 * originals have different results.
 */
#ifndef INSPECT_NAMES_H
#define INSPECT_NAMES_H

#include "metainfo.h"

struct name {
	size_t length;
	char text[METAINFO_MAX_NAME + 1];
};

/* Maps one component; *mapped tells whether it changed.  NULL, or why it is refused (a constant string). */
const char *name_map(struct name *out, const uint8_t *in, size_t length, bool *mapped) MUST_CHECK;

/* Rule 4: `in`, a mapped name, with the number n. */
void name_number(struct name *out, const char *in, size_t length, uint32_t n);

#endif
