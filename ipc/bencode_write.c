/*
 * bencode_write.c - see bencode_write.h.  Takes no memory.
 */
#include "bencode_write.h"

void bencode_out_init(struct bencode_out *o, uint8_t *out, size_t room)
{
	o->out = out;
	o->room = out ? room : 0;
	o->length = 0;
}

void bencode_put_raw(struct bencode_out *o, const void *bytes, size_t length)
{
	/* What does not fit is left out whole; `length` goes on, so nothing that follows is taken for fitting. */
	if (o->length <= o->room && length && length <= o->room - o->length)
		memcpy(o->out + o->length, bytes, length);
	o->length += length;
}

void bencode_put_int(struct bencode_out *o, int64_t value)
{
	char text[32];

	bencode_put_raw(o, text, (size_t)snprintf(text, sizeof text, "i%llde", (long long)value));
}

void bencode_put_string_head(struct bencode_out *o, size_t length)
{
	char text[32];

	bencode_put_raw(o, text, (size_t)snprintf(text, sizeof text, "%zu:", length));
}

void bencode_put_string(struct bencode_out *o, const void *bytes, size_t length)
{
	bencode_put_string_head(o, length);
	bencode_put_raw(o, bytes, length);
}

void bencode_put_text(struct bencode_out *o, const char *text)
{
	bencode_put_string(o, text, strlen(text));
}

void bencode_begin_dict(struct bencode_out *o)
{
	bencode_put_raw(o, "d", 1);
}

void bencode_begin_list(struct bencode_out *o)
{
	bencode_put_raw(o, "l", 1);
}

void bencode_end(struct bencode_out *o)
{
	bencode_put_raw(o, "e", 1);
}
