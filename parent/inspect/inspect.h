/*
 * inspect.h - what the files of this compartment share: the input, the limits,
 * why it was refused and what is odd about it.
 *
 * Every byte of the input is a stranger's.  Texts of refusals and warnings are
 * ours alone: they name places and numbers, never bytes of the input, so that
 * nobody downstream has to escape them.
 */
#ifndef INSPECT_INSPECT_H
#define INSPECT_INSPECT_H

#include "messages.h"

#define INSPECT_DEFAULT_BYTES (96ull << 20)
#define INSPECT_DEFAULT_FILES 200000u
#define INSPECT_DEFAULT_PIECES 4000000u

#define WARNINGS_MAX 64u
#define WARNING_TEXT 192u

/* Bytes of the input, borrowed; at is NULL when the key was absent. */
struct text {
	const uint8_t *at;
	size_t length;
};

struct refusal {
	enum inspect_status status; /* INSPECT_OK: not refused */
	uint64_t where;             /* byte offset in the input */
	char text[240];
};

struct warnings {
	uint32_t count; /* may exceed WARNINGS_MAX: the rest was counted, not kept */
	char text[WARNINGS_MAX][WARNING_TEXT];
};

struct inspect_limits {
	uint64_t max_bytes;
	uint32_t max_files;
	uint32_t max_pieces;
	int64_t now;          /* seconds since 1970, for dates in the future */
	uint8_t hash_key[16]; /* random: strangers choose what goes into our hash table */
};

struct inspect {
	const uint8_t *input; /* borrowed */
	size_t bytes;
	struct inspect_limits limits;
	struct refusal refusal;
	struct warnings warnings;
};

/* Limits from the options; a zero is the default, and none is above what the form can hold. */
void inspect_limits_set(struct inspect_limits *l, const struct msg_inspect_options *o);

/* Records why the input is refused (the first reason stays); at may be NULL.  Always false. */
bool refuse(struct inspect *in, enum inspect_status status, const uint8_t *at, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Records an oddity. */
void warn(struct inspect *in, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
