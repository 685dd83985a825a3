/*
 * swarm_disk.c - see swarm.h: what diskproc says, and what it means for peers.
 *
 * disk.c has checked the numbers; whether a verdict is due, the picker knows:
 * one that is not is a broken contract.
 */
#include "bitfield.h"
#include "log.h"
#include "swarm_state.h"

static void on_have(void *arg, uint32_t piece)
{
	struct swarm *s = arg;

	if (bitfield_get(s->have, piece))
		return;
	swarm_gained(s, piece);
	picker_have(s->picker, piece);
}

static void on_have_end(void *arg)
{
	struct swarm *s = arg;

	s->ready = true;
	swarm_super_begin(s);
	swarm_upload_resume(s);
	s->connect = true;
	swarm_serve_waiting(s);
	swarm_kick(s);
	s->hooks.on_ready(s->hooks.arg);
}

/* Peers are told of it at the end of the turn. */
static void remember(struct swarm *s, uint32_t piece)
{
	if (s->come_count == s->come_room) {
		uint32_t room = max_u32(64, 2 * s->come_room), *grown = must_calloc(room, sizeof *grown);

		if (s->come_count)
			memcpy(grown, s->come, s->come_count * sizeof *grown);
		free(s->come);
		s->come = grown;
		s->come_room = room;
	}
	s->come[s->come_count++] = piece;
}

static bool on_verified(void *arg, uint32_t piece)
{
	struct swarm *s = arg;

	if (!picker_on_verified(s->picker, piece))
		return false;
	swarm_gained(s, piece);
	remember(s, piece);
	swarm_kick(s);
	if (picker_complete(s->picker))
		s->hooks.on_complete(s->hooks.arg);
	return true;
}

static void ban(struct swarm *s, uint32_t id, const char *why)
{
	struct candidate *c = candidates_by_id(s->candidates, id);
	struct peer *p;
	char text[64];

	if (id & STRANGER_ID)
		swarm_ban_stranger(s, id, why);
	if (!c || c->state == CANDIDATE_NEVER || c->banned)
		return;
	c->banned = true; /* one that is being dialled ends when its dial does */
	strangers_ban(&s->strangers, &c->addr);
	s->banned++;
	log_line(LOG_INFO, TOPIC_PEER, "%s: banned: %s", net_addr_text(text, sizeof text, &c->addr), why);
	p = c->peer;
	if (p)
		swarm_drop(p, DROP_BANNED, why);
	else if (c->state == CANDIDATE_IDLE)
		candidates_never(s->candidates, (uint32_t)(c - candidates_at(s->candidates, 0)));
}

static bool on_rejected(void *arg, uint32_t piece)
{
	struct swarm *s = arg;
	uint32_t attempts, sole;

	if (!picker_on_rejected(s->picker, piece))
		return false;
	attempts = picker_attempts(s->picker, piece);
	s->wasted += metainfo_piece_bytes(s->info, piece);
	log_line(LOG_DETAIL, TOPIC_DISK, "piece %u: wrong data, attempt %u", piece, attempts);
	sole = attempts ? picker_sole_sender(s->picker, piece, attempts - 1) : 0;
	if (sole)
		ban(s, sole, "it sent a piece of wrong data");
	swarm_kick(s);
	return true;
}

static bool on_spilled(void *arg, uint32_t piece)
{
	struct swarm *s = arg;

	swarm_kick(s);
	return picker_on_spilled(s->picker, piece);
}

static bool on_blame(void *arg, const struct msg_blame *m)
{
	struct swarm *s = arg;
	uint32_t blocks = (metainfo_piece_bytes(s->info, m->piece) + BLOCK_BYTES - 1) / BLOCK_BYTES, i;

	if (m->attempt >= picker_attempts(s->picker, m->piece) || m->first_block > blocks || m->blocks > blocks - m->first_block)
		return false;
	for (i = 0; i < m->blocks; i++)
		if (bitfield_get(m->bad, i))
			ban(s, picker_sender(s->picker, m->piece, m->attempt, m->first_block + i), "it sent blocks of wrong data");
	return true;
}

static void on_hold(void *arg)
{
	struct swarm *s = arg;
	uint32_t i;

	for (i = 0; i < s->count; i++)
		swarm_drop(s->peers[i], DROP_SHUTDOWN, "storage is on hold");
	s->disk_held = true;
}

static void on_slots(void *arg)
{
	swarm_serve_waiting(arg);
}

/* Slots and what diskproc held are gone: blocks that are under way into a slot are thrown away. */
static void forget_disk(struct swarm *s)
{
	uint32_t i;

	s->ready = false;
	for (i = 0; i < s->count; i++)
		if (!s->peers[i]->dead)
			peer_forget_slot(s->peers[i]);
	swarm_upload_lost(s);
}

static void on_lost(void *arg)
{
	struct swarm *s = arg;

	forget_disk(s);
	s->hooks.on_disk_lost(s->hooks.arg);
}

const struct disk_hooks swarm_disk_hooks = {
	.on_have = on_have,
	.on_have_end = on_have_end,
	.on_verified = on_verified,
	.on_rejected = on_rejected,
	.on_spilled = on_spilled,
	.on_blame = on_blame,
	.on_hold = on_hold,
	.on_slots = on_slots,
	.on_data = swarm_on_data,
	.on_read_failed = swarm_on_read_failed,
	.on_lost = on_lost,
};

void swarm_attach_disk(struct swarm *s, int fd, uint32_t epoch, int conveyor)
{
	/* The old channel's end may not have been read yet. */
	forget_disk(s);
	picker_reset(s->picker);
	swarm_lost_all(s);
	s->disk_held = false;
	disk_attach(s->disk, fd, epoch, conveyor);
}
