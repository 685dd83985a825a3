/*
 * report.c - see report.h.  In the loop; what it waits for is room in the parent's channel.
 */
#include "report.h"

#include "bitfield.h"

#define ROOM_FOR_PART (32u << 10) /* of 64 KiB: log lines and progress have theirs */

void report_init(struct report *r, const struct metainfo *m, bool wanted)
{
	memset(r, 0, sizeof *r);
	if (wanted)
		r->states = must_calloc(max_u32(m->h->file_count, 1), 1);
}

void report_release(struct report *r)
{
	free(r->states);
	r->states = NULL;
}

static bool push(struct channel *parent, enum message_type type, const void *message)
{
	return channel_room(parent) >= ROOM_FOR_PART && channel_push(parent, type, message) == 0;
}

void report_tell(struct report *r, const struct metainfo *m, const uint8_t *have, struct channel *parent)
{
	while (r->due && r->next_piece < m->h->piece_count) {
		struct msg_checked_bits b = { .first_piece = r->next_piece };

		b.pieces = min_u32(8 * sizeof b.bits, m->h->piece_count - r->next_piece);
		memcpy(b.bits, have + r->next_piece / 8, bitfield_bytes(b.pieces));
		if (!push(parent, MSG_CHECKED_BITS, &b))
			return;
		r->next_piece += b.pieces;
	}
	while (r->due && r->next_file < m->h->file_count) {
		struct msg_file_states s = { .first_file = r->next_file };

		s.files = min_u32(sizeof s.state, m->h->file_count - r->next_file);
		memcpy(s.state, r->states + r->next_file, s.files);
		if (!push(parent, MSG_FILE_STATES, &s))
			return;
		r->next_file += s.files;
	}
	r->due = false;
}
