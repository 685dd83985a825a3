/*
 * upload.c - see upload.h.
 *
 * May assume that the form was validated.  Must never read out a byte of a piece
 * that is not verified, never write to a slot that is netproc's.  Bounds: a slot
 * for each READ, so at most SLOT_COUNT answers are under way, of 8 bytes each.
 */
#include "upload.h"

#include <errno.h>

#include "bitfield.h"
#include "fetch.h"
#include "log.h"

void upload_init(struct upload *u, const struct slots *slots, const struct metainfo *m, struct work *work, struct pool *pool,
		 struct channel *net, const uint8_t *have)
{
	memset(u, 0, sizeof *u);
	u->slots = slots;
	u->m = m;
	u->work = work;
	u->pool = pool;
	u->net = net;
	u->have = have;
	u->asks_cache = true;
	upload_reset(u);
}

void upload_reset(struct upload *u)
{
	uint32_t i;

	if (u->busy)
		bug("%u reads are busy", u->busy);
	u->wanted_count = u->free_count = 0;
	for (i = 0; i < SLOT_COUNT; i++) {
		u->read[i].at_net = false;
		u->free[u->free_count++] = SLOT_COUNT - 1 - i;
	}
}

static int broken(struct upload *u, const char *why)
{
	u->why = why;
	return -1;
}

static void say(struct upload *u, enum message_type type, const void *message)
{
	/* There is room for all answers; what fails is a netproc that is gone, which the loop notices. */
	if (u->net->fd >= 0 && channel_push(u->net, type, message) < 0)
		log_line(LOG_DETAIL, TOPIC_IPC, "netproc does not take %s", message_rows[type].name);
}

static uint32_t slot_of(const struct upload *u, const struct upload_read *r)
{
	return (uint32_t)(r - u->read);
}

static void say_failed(struct upload *u, uint32_t tag, int32_t error)
{
	struct msg_read_failed m = { .tag = tag, .error = error };

	say(u, MSG_READ_FAILED, &m);
}

int upload_on_read(struct upload *u, const struct msg_read *m, bool hold)
{
	struct upload_read *r;
	uint32_t bytes;

	if (m->piece >= u->m->h->piece_count)
		return broken(u, "a piece that does not exist");
	if (!bitfield_get(u->have, m->piece))
		return broken(u, "a piece that is not verified");
	bytes = metainfo_piece_bytes(u->m, m->piece);
	if (m->length < 1 || m->length > SLOT_BYTES || m->begin >= bytes || m->length > bytes - m->begin)
		return broken(u, "a part that is not in the piece");
	if (!u->free_count)
		return broken(u, "more of them than there are slots");
	if (hold) {
		say_failed(u, m->tag, ECANCELED);
		return 0;
	}
	r = &u->read[u->free[--u->free_count]];
	r->tag = m->tag;
	r->job.kind = JOB_READ;
	r->job.piece = m->piece;
	r->job.begin = m->begin;
	r->job.bytes = m->length;
	r->job.buffer = slot_at(u->slots, slot_of(u, r));
	r->job.fault = (struct fault){ 0 };
	r->job.good = false;
	u->wanted[u->wanted_count++] = r;
	return 0;
}

int upload_on_done_slot(struct upload *u, const struct msg_data_done *m)
{
	if (m->slot >= SLOT_COUNT || !u->read[m->slot].at_net)
		return broken(u, "a slot that is not netproc's");
	u->read[m->slot].at_net = false;
	u->free[u->free_count++] = m->slot;
	return 0;
}

/* It was read, or cannot be. */
static void answer(struct upload *u, struct upload_read *r)
{
	struct msg_data m = { .tag = r->tag, .slot = slot_of(u, r) };

	if (r->job.good) {
		r->at_net = true;
		say(u, MSG_DATA, &m);
		return;
	}
	if (!u->fault.act)
		u->fault = r->job.fault;
	u->free[u->free_count++] = m.slot;
	say_failed(u, m.tag, r->job.fault.error);
}

static bool comes_before(const struct job *a, const struct job *b)
{
	return a->piece < b->piece || (a->piece == b->piece && a->begin < b->begin);
}

/* Whether b begins where a ends. */
static bool are_neighbours(const struct upload *u, const struct job *a, const struct job *b)
{
	return layout_piece_begin(u->m, a->piece) + a->begin + a->bytes == layout_piece_begin(u->m, b->piece) + b->begin;
}

/* In the order of the payload, so that neighbours meet.  One packet's: insertion sort; mostly they are in order. */
static void sort_wanted(struct upload *u)
{
	uint32_t i, k;

	for (i = 1; i < u->wanted_count; i++) {
		struct upload_read *r = u->wanted[i];

		for (k = i; k && comes_before(&r->job, &u->wanted[k - 1]->job); k--)
			u->wanted[k] = u->wanted[k - 1];
		u->wanted[k] = r;
	}
}

/* Runs of neighbours become one job each. */
static void hand_over(struct upload *u)
{
	struct job *first = NULL, *last = NULL;
	uint32_t i;

	for (i = 0; i < u->wanted_count; i++) {
		struct job *j = &u->wanted[i]->job;

		j->others = NULL;
		u->busy++;
		if (last && are_neighbours(u, last, j)) {
			last->others = j;
			first->link.bytes += j->bytes;
		} else {
			first = j;
			first->link.bytes = j->bytes;
			pool_add(u->pool, POOL_READ, &first->link);
		}
		last = j;
	}
}

void upload_run(struct upload *u)
{
	uint32_t i, left = 0;

	if (!u->wanted_count)
		return;
	sort_wanted(u);
	if (u->asks_cache) {
		for (i = 0; i < u->wanted_count; i++)
			u->wanted[i]->job.others = i + 1 < u->wanted_count ? &u->wanted[i + 1]->job : NULL;
		u->asks_cache = fetch_cached(u->work, &u->wanted[0]->job);
	}
	for (i = 0; i < u->wanted_count; i++) {
		if (u->wanted[i]->job.good)
			answer(u, u->wanted[i]);
		else
			u->wanted[left++] = u->wanted[i];
	}
	u->wanted_count = left;
	hand_over(u);
	u->wanted_count = 0;
}

void upload_on_done(struct upload *u, struct job *j)
{
	struct job *others;

	for (; j; j = others) {
		others = j->others;
		u->busy--;
		answer(u, (struct upload_read *)j);
	}
}
