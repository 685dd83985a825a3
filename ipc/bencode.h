/*
 * bencode.h - a reader of bencode (BEP 3) that takes no memory and never recurses.
 *
 * A cursor walks over a buffer that the caller owns; each step yields one token.
 * Depth and the number of tokens are capped.  Strictness: integers are canonical
 * (no leading zero, no "-0", at most int64), string lengths are canonical and
 * within the buffer, dictionary keys are strings and none is there twice.  Keys
 * may be out of order.
 */
#ifndef IPC_BENCODE_H
#define IPC_BENCODE_H

#include "common.h"

#define BENCODE_MAX_DEPTH 32
/* Keys of one dictionary whose keys are not in order; in order there may be any number. */
#define BENCODE_MAX_UNSORTED 4096

enum bencode_type { BENCODE_INT = 1, BENCODE_STRING, BENCODE_LIST, BENCODE_DICT, BENCODE_END };

enum bencode_error {
	BENCODE_OK = 0,
	BENCODE_TRUNCATED, /* the buffer ends inside a value */
	BENCODE_SYNTAX,    /* not bencode */
	BENCODE_RANGE,     /* an integer or length out of range or not canonical */
	BENCODE_DEPTH,
	BENCODE_TOKENS,
	BENCODE_KEY,       /* a dictionary key that is no string, or one without a value */
	BENCODE_TRAILING,  /* bytes after the value */
	BENCODE_DUPLICATE, /* a key twice in one dictionary */
	BENCODE_UNSORTED,  /* more than BENCODE_MAX_UNSORTED keys in one dictionary that is not in order */
	BENCODE_ERRORS
};

/* One value as a part of the buffer; borrows it. */
struct bencode {
	const uint8_t *begin; /* first byte of the encoded value */
	const uint8_t *end;   /* one past it */
	enum bencode_type type;
	int64_t integer;       /* BENCODE_INT */
	const uint8_t *string; /* BENCODE_STRING: its bytes, not terminated */
	size_t length;         /* BENCODE_STRING */
};

/*
 * Checks that the buffer holds exactly one well-formed value with at most
 * `max_tokens` tokens, and fills `root`.  *offset (may be NULL) gets where it
 * went wrong.  Only a buffer that passed may be walked with the functions below.
 */
enum bencode_error bencode_check(const uint8_t *buf, size_t bytes, size_t max_tokens, struct bencode *root, size_t *offset) MUST_CHECK;

/* The same for a value at the front of the buffer, whatever follows it (BEP 9, BEP 10): root->end tells where. */
enum bencode_error bencode_check_prefix(const uint8_t *buf, size_t bytes, size_t max_tokens, struct bencode *root, size_t *offset) MUST_CHECK;

/* Walks the elements of a list or dictionary: pos starts as {0}; false at the end.  key is NULL for a list. */
struct bencode_iter {
	const uint8_t *at, *stop;
};
void bencode_iter_init(struct bencode_iter *it, const struct bencode *container);
bool bencode_next(struct bencode_iter *it, struct bencode *key, struct bencode *value);

/* Looks `key` up in a dictionary.  Linear.  False when it is absent or `dict` is no dictionary. */
bool bencode_find(const struct bencode *dict, const char *key, struct bencode *value);
/* The same and of the given type. */
bool bencode_find_type(const struct bencode *dict, const char *key, enum bencode_type type, struct bencode *value);

const char *bencode_error_text(enum bencode_error e);

#endif
