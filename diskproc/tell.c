/*
 * tell.c - see tell.h.
 */
#include "tell.h"

#include "bitfield.h"

#define PROGRESS_MS 200u
#define ROOM_FOR_BITS (48u << 10) /* of 64 KiB: verdicts and SLOT_FREE have theirs */
#define ROOM_FOR_PROGRESS (40u << 10)

/* True when all was sent. */
static bool tell_have(struct disk *d)
{
	const struct store *s = &d->store;
	struct msg_have_end end = { .verified_pieces = s->verified_pieces };

	while (d->have_next < d->m.h->piece_count) {
		struct msg_have_bits m = { .first_piece = d->have_next };

		m.pieces = min_u32(8 * sizeof m.bits, d->m.h->piece_count - d->have_next);
		memcpy(m.bits, s->have + d->have_next / 8, bitfield_bytes(m.pieces));
		if (channel_room(&d->net) < ROOM_FOR_BITS || channel_push(&d->net, MSG_HAVE_BITS, &m) < 0)
			return false;
		d->have_next += m.pieces;
	}
	return channel_push(&d->net, MSG_HAVE_END, &end) == 0;
}

void tell_netproc(struct disk *d)
{
	struct msg_hold hold = { 0 };

	if (d->net.fd < 0)
		return;
	if (d->net_state == NET_QUIET && d->stage != STAGE_CHECK && d->stage != STAGE_FAILED && !d->store.hold && tell_have(d))
		d->net_state = NET_OPEN;
	if (d->net_state != NET_HELD && d->store.hold && channel_push(&d->net, MSG_HOLD, &hold) == 0)
		d->net_state = NET_HELD;
}

static uint32_t phase_of(const struct disk *d)
{
	if (d->stage == STAGE_RUN && d->store.stall.count)
		return DISK_WAITING;
	switch (d->stage) {
	case STAGE_CHECK:
		return DISK_CHECKING;
	case STAGE_SYNC:
		return DISK_SYNCING;
	case STAGE_COMPLETE:
		return DISK_COMPLETE;
	default:
		return DISK_DOWNLOADING;
	}
}

void tell_parent(struct disk *d, uint64_t now)
{
	struct msg_disk_error error = { .act = d->fault.act, .error = d->fault.error, .file = d->fault.file, .other = d->fault.other };
	struct msg_disk_complete complete = { .verified_bytes = d->store.wanted_bytes };
	struct msg_disk_progress progress = {
		.verified_bytes = d->store.wanted_bytes,
		.checked_bytes = d->check.checked_bytes,
		.known_bytes = d->known_bytes,
		.verified_pieces = d->store.wanted_verified,
		.rejected_pieces = d->store.rejected_pieces,
		.phase = phase_of(d),
	};
	bool last = d->complete_due || d->error_due;

	/* First: of a download that can hear of no peer the parent ends a check that found too little, and would not hear why. */
	if (d->error_due)
		d->error_due = channel_push(d->control, MSG_DISK_ERROR, &error) < 0;
	if (d->progress_due && !d->error_due && (now >= d->progress_at_ms || last)) {
		/* A parent that is slow misses some; the next one says it all. */
		if (channel_room(d->control) >= ROOM_FOR_PROGRESS)
			d->progress_due = channel_push(d->control, MSG_DISK_PROGRESS, &progress) < 0;
		d->progress_at_ms = now + PROGRESS_MS;
	}
	report_tell(&d->report, &d->m, d->store.have, d->control);
	if (d->complete_due)
		d->complete_due = channel_push(d->control, MSG_DISK_COMPLETE, &complete) < 0;
}
