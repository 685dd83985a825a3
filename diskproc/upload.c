/*
 * upload.c - see upload.h.
 *
 * May assume that the form was validated.  Must never read out a byte of a piece
 * that is not verified.  Bounds: CONVEYOR_READS answers under way, of 12 bytes at most.
 */
#include "upload.h"

#include <errno.h>
#include <unistd.h>

#include "bitfield.h"
#include "log.h"

void upload_init(struct upload *u, int own, const struct metainfo *m, struct work *work, struct pool *pool, struct channel *net,
		 const uint8_t *have)
{
	memset(u, 0, sizeof *u);
	u->own = own;
	u->m = m;
	u->work = work;
	u->pool = pool;
	u->net = net;
	u->have = have;
	upload_reset(u);
}

static void forget_wanted(struct upload *u)
{
	u->wanted = NULL;
	u->wanted_end = &u->wanted;
}

void upload_reset(struct upload *u)
{
	uint8_t old[4096];
	uint32_t i;

	if (u->busy)
		bug("%u reads are busy", u->busy);
	u->why = NULL;
	forget_wanted(u);
	u->free_count = 0;
	for (i = 0; i < CONVEYOR_READS; i++)
		u->free[u->free_count++] = &u->read[CONVEYOR_READS - 1 - i];
	/* No more than the pipe holds: nobody writes now. */
	while (u->own >= 0 && read(u->own, old, sizeof old) > 0)
		;
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

int upload_on_read(struct upload *u, const struct msg_read *m, bool hold)
{
	struct upload_read *r;
	uint32_t bytes;

	if (m->piece >= u->m->h->piece_count)
		return broken(u, "a piece that does not exist");
	if (!bitfield_get(u->have, m->piece))
		return broken(u, "a piece that is not verified");
	bytes = metainfo_piece_bytes(u->m, m->piece);
	if (m->length < 1 || m->length > CONVEYOR_READ_MAX || m->begin >= bytes || m->length > bytes - m->begin)
		return broken(u, "a part that is not in the piece");
	if (!u->free_count)
		return broken(u, "more of them than may be under way");
	r = u->free[--u->free_count];
	r->tag = m->tag;
	r->job = (struct job){ .kind = JOB_READ, .piece = m->piece, .begin = m->begin, .bytes = hold ? 0 : m->length };
	*u->wanted_end = &r->job;
	u->wanted_end = &r->job.others;
	return 0;
}

void upload_run(struct upload *u)
{
	struct job *first = u->wanted, *j;

	if (!first)
		return;
	for (j = first; j; j = j->others) {
		first->link.bytes += j->bytes;
		u->busy++;
	}
	forget_wanted(u);
	pool_add(u->pool, POOL_READ, &first->link);
}

/* It was read, or cannot be. */
static int answer(struct upload *u, struct upload_read *r)
{
	const struct job *j = &r->job;
	struct msg_read_failed failed = { .tag = r->tag, .error = j->fault.act ? j->fault.error : ECANCELED, .bytes = j->put };
	struct msg_data data = { .tag = r->tag };

	u->free[u->free_count++] = r;
	if (j->good) {
		say(u, MSG_DATA, &data);
		return 0;
	}
	if (j->bytes && !j->fault.act)
		return broken(u, "more than the conveyor holds");
	if (j->fault.act && !u->fault.act)
		u->fault = j->fault;
	say(u, MSG_READ_FAILED, &failed);
	return 0;
}

int upload_on_done(struct upload *u, struct job *j)
{
	struct job *others;
	int r = 0;

	for (; j; j = others) {
		others = j->others;
		u->busy--;
		if (answer(u, (struct upload_read *)j) < 0)
			r = -1;
	}
	return r;
}
