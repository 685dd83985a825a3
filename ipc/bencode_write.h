/*
 * bencode_write.h - writes bencode (BEP 3) into a buffer of the caller's.
 *
 * Called twice by whoever does not know the size: first with a buffer of NULL,
 * which only counts, then with one of that many bytes.  Nothing is written
 * beyond the room, and `length` says what it would have been.  The order of
 * keys is the caller's: BEP 3 wants them sorted by their bytes.
 */
#ifndef IPC_BENCODE_WRITE_H
#define IPC_BENCODE_WRITE_H

#include "common.h"

struct bencode_out {
	uint8_t *out; /* borrowed; NULL: only counts */
	size_t room;
	size_t length; /* bytes so far, also those that found no room */
};

void bencode_out_init(struct bencode_out *o, uint8_t *out, size_t room);

/* Whether all of it is in the buffer. */
static inline bool bencode_out_fits(const struct bencode_out *o)
{
	return o->out && o->length <= o->room;
}

/* Bytes as they are: an encoded value. */
void bencode_put_raw(struct bencode_out *o, const void *bytes, size_t length);

void bencode_put_int(struct bencode_out *o, int64_t value);
void bencode_put_string(struct bencode_out *o, const void *bytes, size_t length);
/* A string of which only the head is written: `length` raw bytes follow. */
void bencode_put_string_head(struct bencode_out *o, size_t length);
/* A key or a value that is a C string. */
void bencode_put_text(struct bencode_out *o, const char *text);

void bencode_begin_dict(struct bencode_out *o);
void bencode_begin_list(struct bencode_out *o);
/* Of either. */
void bencode_end(struct bencode_out *o);

#endif
