/*
 * disk.c - see disk.h.
 *
 * diskproc may be compromised: a slot that it gives back twice, a verdict about
 * a piece that waits for none, data that nobody asked for, anything out of range
 * or out of turn is a broken contract, and ends the conversation: the parent is
 * told, and passes a channel to another diskproc.
 *
 * The pages of a READ are counted from the call until its answer was taken out
 * of the conveyor.  READs wait here until they leave: they would break up BLOCK's
 * packets.
 */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "accuse.h"
#include "bitfield.h"

#define PACKETS_PER_TURN 32

enum disk_state { DISK_STARTING, DISK_RUNNING, DISK_HELD };
#define IN(s) (1u << (s))

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
	int conveyor;                /* the reading end; owned; -1: none yet */
	uint32_t pages, used;        /* that it holds; that may be taken by what was asked for */
	struct msg_read read[CONVEYOR_READS]; /* asked for, a ring in that order; tag: the caller's */
	uint32_t first, reads, sent; /* of `reads` so many have left */
	uint32_t serial;             /* on the wire, of the first; the others' follow */
	uint32_t due;                /* in on_data(): bytes of it that are not taken yet */
	const char *why;             /* what was wrong with the last answer, when we know better than the table */
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
	d->pending = d->reads = d->sent = d->used = 0;
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

uint32_t disk_data_left(const struct disk *d)
{
	return d->due;
}

ssize_t disk_data_splice(struct disk *d, int fd, bool more)
{
	ssize_t n;

	do {
		n = splice(d->conveyor, NULL, fd, NULL, d->due, SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0u));
	} while (n < 0 && errno == EINTR);
	/* Nothing left in the pipe looks the same here: disk_data_read() tells. */
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n > 0)
		d->due -= (uint32_t)n;
	return n;
}

bool disk_data_read(struct disk *d, uint8_t *to, uint32_t n)
{
	if (n > d->due)
		bug("%u bytes of %u that are left", n, d->due);
	while (n) {
		ssize_t k = read(d->conveyor, to, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			d->why = "less in the conveyor than it said";
			d->due = 0;
			return false;
		}
		to += k;
		n -= (uint32_t)k;
		d->due -= (uint32_t)k;
	}
	return true;
}

static bool throw_away(struct disk *d)
{
	uint8_t bytes[4096];

	while (d->due)
		if (!disk_data_read(d, bytes, min_u32(d->due, sizeof bytes)))
			break;
	return !d->why;
}

/* The READ that is answered next; false: nobody asked. */
static bool take_first(struct disk *d, uint32_t serial, struct msg_read *r)
{
	if (!d->sent || serial != d->serial)
		return false;
	*r = d->read[d->first];
	d->first = (d->first + 1) % CONVEYOR_READS;
	d->reads--;
	d->sent--;
	d->serial++;
	return true;
}

static int on_data(void *self, const void *message, int fd)
{
	struct disk *d = self;
	const struct msg_data *m = message;
	struct msg_read r;

	(void)fd;
	if (!take_first(d, m->tag, &r))
		return -1;
	d->due = r.length;
	d->hooks.on_data(d->hooks.arg, r.tag);
	d->used -= conveyor_cost(r.length);
	return throw_away(d) ? 0 : -1;
}

static int on_read_failed(void *self, const void *message, int fd)
{
	struct disk *d = self;
	const struct msg_read_failed *m = message;
	struct msg_read r;

	(void)fd;
	if (!take_first(d, m->tag, &r) || m->bytes >= r.length)
		return -1;
	d->due = m->bytes;
	d->used -= conveyor_cost(r.length);
	if (!throw_away(d))
		return -1;
	d->hooks.on_read_failed(d->hooks.arg, r.tag, m->error);
	return 0;
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
		lost(d, d->why ? d->why : channel_violation());
		d->why = NULL;
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
	d->source.fd = d->conveyor = -1;
	return d;
}

static void close_conveyor(struct disk *d)
{
	if (d->conveyor >= 0)
		close(d->conveyor);
	d->conveyor = -1;
	d->pages = 0;
}

void disk_free(struct disk *d)
{
	loop_remove(d->loop, &d->source);
	channel_close(&d->channel);
	close_conveyor(d);
	free(d);
}

/* Every slot is where it belongs, nothing is asked for, nothing waits to be sent. */
static void reset(struct disk *d)
{
	uint32_t i;

	d->pending = d->reads = d->sent = d->used = d->first = d->free_count = 0;
	for (i = 0; i < d->slots->count; i++) {
		d->at_disk[i] = false;
		d->free[d->free_count++] = d->slots->count - 1 - i;
	}
}

void disk_attach(struct disk *d, int fd, uint32_t epoch, int conveyor)
{
	if (d->channel.fd >= 0) {
		loop_remove(d->loop, &d->source);
		channel_close(&d->channel);
	}
	channel_init(&d->channel, fd, epoch, false, "diskproc");
	d->state = DISK_STARTING;
	d->next_have = d->verified = 0;
	reset(d);
	close_conveyor(d);
	d->conveyor = conveyor;
	d->pages = conveyor_pages(conveyor);
	if (!d->pages) {
		lost(d, "a conveyor that is not what it must be");
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

bool disk_may_read(const struct disk *d, uint32_t length)
{
	return d->state == DISK_RUNNING && d->reads < CONVEYOR_READS && d->used + conveyor_cost(length) <= d->pages;
}

uint32_t disk_conveyor_pages(const struct disk *d)
{
	return d->pages;
}

void disk_send_read(struct disk *d, uint32_t tag, uint32_t piece, uint32_t begin, uint32_t length)
{
	if (!disk_may_read(d, length))
		bug("no room for a READ");
	d->read[(d->first + d->reads++) % CONVEYOR_READS] = (struct msg_read){ .tag = tag, .piece = piece, .begin = begin, .length = length };
	d->used += conveyor_cost(length);
	d->pending++;
}

bool disk_waits_for_reads(const struct disk *d)
{
	return d->reads && !d->sent;
}

uint32_t disk_pending(const struct disk *d)
{
	return d->pending;
}

/* At most CONVEYOR_READS of them are under way, so the queue has room; a failure means that diskproc is gone. */
static void push_reads(struct disk *d)
{
	for (; d->sent < d->reads; d->sent++) {
		struct msg_read m = d->read[(d->first + d->sent) % CONVEYOR_READS];

		m.tag = d->serial + d->sent;
		(void)!channel_push(&d->channel, MSG_READ, &m);
	}
}

void disk_flush(struct disk *d)
{
	if (d->channel.fd < 0)
		return;
	d->pending = 0;
	push_reads(d);
	/* A channel that is gone is noticed when the loop reads it. */
	if (channel_flush(&d->channel) >= 0)
		loop_change(d->loop, &d->source, EPOLLIN | (channel_wants_write(&d->channel) ? EPOLLOUT : 0u));
}

void disk_want_slots(struct disk *d)
{
	d->want_slots = true;
}
