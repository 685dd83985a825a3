/*
 * disk.c - see disk.h.
 *
 * diskproc may be compromised: a slot that it gives back twice, a verdict about
 * a piece that waits for none, data that nobody asked for, anything out of range
 * or out of turn is a broken contract, and ends the conversation: the parent is
 * told, and passes a channel to another diskproc.
 *
 * An upload slot is counted from READ until its DATA_DONE is in the channel: so
 * that diskproc never sees more of them, READ and DATA_DONE wait here and leave
 * in that order.  They would also break up each other's packets, and BLOCK's.
 */
#include "disk.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "accuse.h"
#include "bitfield.h"

#define PACKETS_PER_TURN 32

enum disk_state { DISK_STARTING, DISK_RUNNING, DISK_HELD };
#define IN(s) (1u << (s))

/* Of an upload slot: diskproc's; ours from DATA on; given up, and that is to be sent. */
enum upload_state { UPLOAD_AT_DISK, UPLOAD_HELD, UPLOAD_DONE };

struct disk {
	struct loop *loop;
	struct channel channel;
	struct loop_source source;
	const struct slots *slots;
	struct disk_hooks hooks;
	uint32_t state; /* enum disk_state */
	uint32_t pieces, next_have; /* HAVE_BITS come in order */
	uint32_t verified;          /* bits that were set in them */
	uint32_t pending; /* blocks pushed since the last flush */
	bool want_slots;
	uint32_t free_count;
	uint32_t free[SLOT_COUNT];   /* LIFO: the cache is warm */
	bool at_disk[SLOT_COUNT];    /* sent and not yet given back */
	struct slots upload;         /* diskproc's; count 0: none yet */
	struct read {
		bool sent;           /* and not answered */
		uint32_t tag;        /* the caller's; on the wire it is the index of this struct */
	} read[SLOT_COUNT];
	uint32_t free_read_count, free_read[SLOT_COUNT]; /* neither sent nor to be sent, LIFO */
	uint8_t upload_state[SLOT_COUNT]; /* enum upload_state */
	uint32_t held_count;              /* of UPLOAD_HELD */
	uint32_t ask_count, done_count;   /* to be sent */
	struct msg_read ask[SLOT_COUNT];
	struct msg_data_done done[SLOT_COUNT];
};

/* why: how it broke the contract; NULL: it is gone, and the parent knows. */
static void lost(struct disk *d, const char *why)
{
	if (d->channel.fd < 0)
		return;
	if (why)
		accuse(ROLE_DISKPROC, &d->channel, why, NULL);
	loop_remove(d->loop, &d->source);
	channel_close(&d->channel);
	d->state = DISK_HELD;
	d->pending = d->ask_count = d->done_count = 0;
	d->hooks.on_lost(d->hooks.arg);
}

static int on_slot_free(void *self, const void *message, int fd)
{
	struct disk *d = self;
	const struct msg_slot_free *m = message;

	(void)fd;
	if (m->slot >= d->slots->count || !d->at_disk[m->slot])
		return -1;
	d->at_disk[m->slot] = false;
	disk_put_slot(d, m->slot);
	return 0;
}

/* The READ that an answer is to, which is no more; NULL: there is none. */
static struct read *answered(struct disk *d, uint32_t index)
{
	if (index >= SLOT_COUNT || !d->read[index].sent)
		return NULL;
	d->read[index].sent = false;
	d->free_read[d->free_read_count++] = index;
	return &d->read[index];
}

static int on_data(void *self, const void *message, int fd)
{
	struct disk *d = self;
	const struct msg_data *m = message;
	const struct read *r = answered(d, m->tag);

	(void)fd;
	if (!r || m->slot >= d->upload.count || d->upload_state[m->slot] != UPLOAD_AT_DISK)
		return -1;
	d->upload_state[m->slot] = UPLOAD_HELD;
	d->held_count++;
	return d->hooks.on_data(d->hooks.arg, r->tag, m->slot) ? 0 : -1;
}

static int on_read_failed(void *self, const void *message, int fd)
{
	struct disk *d = self;
	const struct msg_read_failed *m = message;
	const struct read *r = answered(d, m->tag);

	(void)fd;
	return r && d->hooks.on_read_failed(d->hooks.arg, r->tag, m->error) ? 0 : -1;
}

static int on_verified(void *self, const void *message, int fd)
{
	struct disk *d = self;
	const struct msg_verified *m = message;

	(void)fd;
	return m->piece < d->pieces && d->hooks.on_verified(d->hooks.arg, m->piece) ? 0 : -1;
}

static int on_rejected(void *self, const void *message, int fd)
{
	struct disk *d = self;
	const struct msg_rejected *m = message;

	(void)fd;
	return m->piece < d->pieces && d->hooks.on_rejected(d->hooks.arg, m->piece) ? 0 : -1;
}

static int on_spilled(void *self, const void *message, int fd)
{
	struct disk *d = self;
	const struct msg_spilled *m = message;

	(void)fd;
	return m->piece < d->pieces && d->hooks.on_spilled(d->hooks.arg, m->piece) ? 0 : -1;
}

static int on_blame(void *self, const void *message, int fd)
{
	struct disk *d = self;
	const struct msg_blame *m = message;

	(void)fd;
	if (m->piece >= d->pieces || m->first_block % 1024 || m->blocks > 1024)
		return -1;
	return d->hooks.on_blame(d->hooks.arg, m) ? 0 : -1;
}

static int on_have_bits(void *self, const void *message, int fd)
{
	struct disk *d = self;
	const struct msg_have_bits *m = message;
	uint32_t i;

	(void)fd;
	if (m->first_piece != d->next_have || m->first_piece % 8 || m->pieces < 1 || m->pieces > 8 * sizeof m->bits ||
	    m->pieces > d->pieces - m->first_piece)
		return -1;
	for (i = 0; i < m->pieces; i++)
		if (bitfield_get(m->bits, i)) {
			d->verified++;
			d->hooks.on_have(d->hooks.arg, m->first_piece + i);
		}
	d->next_have += m->pieces;
	return 0;
}

static int on_have_end(void *self, const void *message, int fd)
{
	struct disk *d = self;
	const struct msg_have_end *m = message;

	(void)fd;
	if (d->next_have != d->pieces || m->verified_pieces != d->verified)
		return -1;
	d->state = DISK_RUNNING;
	d->hooks.on_have_end(d->hooks.arg);
	return 0;
}

static int on_hold(void *self, const void *message, int fd)
{
	struct disk *d = self;

	(void)message;
	(void)fd;
	d->state = DISK_HELD;
	d->hooks.on_hold(d->hooks.arg);
	return 0;
}

static const struct permit permits[] = {
	{ MSG_SLOT_FREE, IN(DISK_RUNNING) | IN(DISK_HELD), on_slot_free },
	{ MSG_VERIFIED, IN(DISK_RUNNING) | IN(DISK_HELD), on_verified },
	{ MSG_REJECTED, IN(DISK_RUNNING) | IN(DISK_HELD), on_rejected },
	{ MSG_SPILLED, IN(DISK_RUNNING) | IN(DISK_HELD), on_spilled },
	{ MSG_BLAME, IN(DISK_RUNNING) | IN(DISK_HELD), on_blame },
	{ MSG_DATA, IN(DISK_RUNNING) | IN(DISK_HELD), on_data },
	{ MSG_READ_FAILED, IN(DISK_RUNNING) | IN(DISK_HELD), on_read_failed },
	{ MSG_HAVE_BITS, IN(DISK_STARTING), on_have_bits },
	{ MSG_HAVE_END, IN(DISK_STARTING), on_have_end },
	{ MSG_HOLD, IN(DISK_STARTING) | IN(DISK_RUNNING), on_hold },
};

static void ready(void *arg, uint32_t events)
{
	struct disk *d = arg;
	enum channel_result r = channel_dispatch(&d->channel, permits, ARRAY_LEN(permits), &d->state, d, PACKETS_PER_TURN);

	if (r == CHANNEL_CLOSED) {
		lost(d, NULL);
		return;
	}
	if (r == CHANNEL_VIOLATION) {
		lost(d, channel_violation());
		return;
	}
	if (events & EPOLLOUT)
		disk_flush(d);
	if (d->want_slots && d->free_count >= d->slots->count / 4) {
		d->want_slots = false;
		d->hooks.on_slots(d->hooks.arg);
	}
}

struct disk *disk_new(struct loop *l, const struct slots *slots, uint32_t piece_count, const struct disk_hooks *hooks)
{
	struct disk *d = must_calloc(1, sizeof *d);

	if (slots->count > SLOT_COUNT)
		bug("%u slots", slots->count);
	d->loop = l;
	d->slots = slots;
	d->pieces = piece_count;
	d->hooks = *hooks;
	d->state = DISK_HELD;
	d->channel.fd = -1;
	d->source.fd = -1;
	return d;
}

void disk_free(struct disk *d)
{
	loop_remove(d->loop, &d->source);
	channel_close(&d->channel);
	slots_detach(&d->upload);
	free(d);
}

/* Every slot is where it belongs, nothing is asked for, nothing waits to be sent. */
static void reset(struct disk *d)
{
	uint32_t i;

	d->pending = d->ask_count = d->done_count = d->held_count = 0;
	d->free_count = d->free_read_count = 0;
	for (i = 0; i < d->slots->count; i++) {
		d->at_disk[i] = false;
		d->free[d->free_count++] = d->slots->count - 1 - i;
	}
	for (i = 0; i < SLOT_COUNT; i++) {
		d->read[i].sent = false;
		d->upload_state[i] = UPLOAD_AT_DISK;
		d->free_read[d->free_read_count++] = SLOT_COUNT - 1 - i;
	}
}

void disk_attach(struct disk *d, int fd, uint32_t epoch, int slots_fd)
{
	int r;

	if (d->channel.fd >= 0) {
		loop_remove(d->loop, &d->source);
		channel_close(&d->channel);
	}
	channel_init(&d->channel, fd, epoch, false, "diskproc");
	d->state = DISK_STARTING;
	d->next_have = d->verified = 0;
	reset(d);
	slots_detach(&d->upload);
	r = slots_attach(&d->upload, slots_fd, SLOT_COUNT);
	close(slots_fd);
	if (r < 0) {
		d->upload.base = NULL;
		lost(d, "slots that are not sealed as they must be");
		return;
	}
	if (loop_add(d->loop, &d->source, fd, EPOLLIN, ready, d) < 0)
		bug("no room for diskproc in the loop");
}

uint32_t disk_free_slots(const struct disk *d)
{
	return d->state == DISK_RUNNING ? d->free_count : 0;
}

uint32_t disk_take_slot(struct disk *d)
{
	if (!d->free_count)
		bug("no free slot");
	return d->free[--d->free_count];
}

void disk_put_slot(struct disk *d, uint32_t slot)
{
	if (d->free_count >= d->slots->count)
		bug("slot %u given back twice", slot);
	d->free[d->free_count++] = slot;
}

void disk_send_block(struct disk *d, uint32_t piece, uint32_t begin, uint32_t length, uint32_t slot)
{
	struct msg_block m = { .piece = piece, .begin = begin, .length = length, .slot = slot };

	d->at_disk[slot] = true;
	d->pending++;
	/* At most one message for each slot is under way, so the queue has room; a failure means that diskproc is gone. */
	if (channel_push(&d->channel, MSG_BLOCK, &m) < 0)
		d->pending = 0;
}

void disk_send_spill(struct disk *d, uint32_t piece)
{
	struct msg_spill m = { .piece = piece };

	if (channel_push(&d->channel, MSG_SPILL, &m) == 0)
		d->pending++;
}

uint32_t disk_read_room(const struct disk *d)
{
	return d->state == DISK_RUNNING ? d->free_read_count - d->held_count : 0;
}

void disk_send_read(struct disk *d, uint32_t tag, uint32_t piece, uint32_t begin, uint32_t length)
{
	uint32_t index;

	if (!disk_read_room(d))
		bug("no upload slot for a READ");
	index = d->free_read[--d->free_read_count];
	d->read[index].tag = tag;
	d->ask[d->ask_count++] = (struct msg_read){ .tag = index, .piece = piece, .begin = begin, .length = length };
	d->pending++;
}

const struct slots *disk_upload_slots(const struct disk *d)
{
	return &d->upload;
}

void disk_done_slot(struct disk *d, uint32_t slot)
{
	if (slot >= d->upload.count || d->upload_state[slot] != UPLOAD_HELD)
		bug("upload slot %u is not held", slot);
	d->upload_state[slot] = UPLOAD_DONE;
	d->held_count--;
	d->done[d->done_count++].slot = slot;
	d->pending++;
}

uint32_t disk_pending(const struct disk *d)
{
	return d->pending;
}

/*
 * DATA_DONE, then READ.  At most one of each for each upload slot is under way, so the queue has room; a failure
 * means that diskproc is gone.
 */
static void push_uploads(struct disk *d)
{
	uint32_t i;

	for (i = 0; i < d->done_count; i++) {
		d->upload_state[d->done[i].slot] = UPLOAD_AT_DISK;
		(void)!channel_push(&d->channel, MSG_DATA_DONE, &d->done[i]);
	}
	for (i = 0; i < d->ask_count; i++) {
		d->read[d->ask[i].tag].sent = true;
		(void)!channel_push(&d->channel, MSG_READ, &d->ask[i]);
	}
	d->done_count = d->ask_count = 0;
}

void disk_flush(struct disk *d)
{
	if (d->channel.fd < 0)
		return;
	d->pending = 0;
	push_uploads(d);
	/* A channel that is gone is noticed when the loop reads it. */
	if (channel_flush(&d->channel) >= 0)
		loop_change(d->loop, &d->source, EPOLLIN | (channel_wants_write(&d->channel) ? EPOLLOUT : 0u));
}

void disk_want_slots(struct disk *d)
{
	d->want_slots = true;
}
