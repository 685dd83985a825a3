/*
 * swarm_slots.c - see swarm.h: memory and slots that peers share.
 *
 * What strangers can make grow is bounded here for all of them together:
 * bitfields by BITFIELD_BUDGET, slots under way by SLOTS_HELD_MOST.
 */
#include "bitfield.h"
#include "swarm_state.h"

#define BITFIELD_BUDGET (32u << 20)
#define SLOTS_HELD_MOST (SLOT_COUNT / 4)
#define PAUSE_COUNTS_MS 100u

uint8_t *swarm_bitfield_new(struct swarm *s)
{
	uint8_t *bits;

	if (s->bitfield_memory + s->bitfield_bytes > BITFIELD_BUDGET && s->bitfield_memory)
		return NULL;
	bits = calloc(1, s->bitfield_bytes ? s->bitfield_bytes : 1);
	if (bits)
		s->bitfield_memory += s->bitfield_bytes;
	return bits;
}

void swarm_bitfield_free(struct swarm *s, uint8_t *bits)
{
	if (bits)
		s->bitfield_memory -= s->bitfield_bytes;
	free(bits);
}

bool swarm_may_hold_slot(struct swarm *s)
{
	return s->held_slots <= SLOTS_HELD_MOST;
}

void swarm_holds_slot(struct swarm *s, int change)
{
	s->held_slots = (uint32_t)((int)s->held_slots + change);
}

/*
 * Slots are served in turn: who finds none, or others waiting, waits behind
 * them, and meanwhile no peer is looked at.  Without the queue those that epoll
 * names first would take all slots each time.
 */
void swarm_wait_for_slots(struct peer *p)
{
	struct swarm *s = p->swarm;

	if (p->waits)
		return;
	p->waits = true;
	p->next_waiting = NULL;
	*s->waiting_end = p;
	s->waiting_end = &p->next_waiting;
	if (!s->held_ms)
		s->held_ms = max_u64(loop_now(s->loop), 1);
	loop_hold(s->loop, true);
	disk_want_slots(s->disk);
}

void swarm_may_read(struct peer *p)
{
	if (p->swarm->waiting || !disk_free_slots(p->swarm->disk))
		swarm_wait_for_slots(p);
	else if (swarm_may_receive(p->swarm, SLOT_BYTES))
		peer_read(p);
	else
		swarm_pause(p);
}

bool swarm_is_held(const struct swarm *s)
{
	return s->held_ms;
}

/* Nobody is late by the time that we did not read. */
static void excuse_pause(struct swarm *s)
{
	uint64_t passed = loop_now(s->loop) - s->held_ms;
	uint32_t i;

	s->held_ms = 0;
	if (passed < PAUSE_COUNTS_MS)
		return;
	for (i = 0; i < s->count; i++)
		if (!s->peers[i]->dead)
			peer_excuse(s->peers[i], passed);
	picker_paused(s->picker, (uint32_t)min_u64(passed, UINT32_MAX));
}

/* Slots are back: who waits reads, in order; the others may again when nobody waits. */
void swarm_serve_waiting(struct swarm *s)
{
	uint32_t most = s->count;

	while (s->waiting && most-- && disk_free_slots(s->disk)) {
		struct peer *p = s->waiting;

		s->waiting = p->next_waiting;
		if (!s->waiting)
			s->waiting_end = &s->waiting;
		p->waits = false;
		if (!p->dead)
			peer_read(p);
	}
	if (s->waiting) {
		disk_want_slots(s->disk);
	} else if (s->held_ms) {
		excuse_pause(s);
		loop_hold(s->loop, false);
	}
}

void swarm_forget_waiting(struct swarm *s)
{
	struct peer **at = &s->waiting;

	while (*at)
		if ((*at)->dead)
			*at = (*at)->next_waiting;
		else
			at = &(*at)->next_waiting;
	s->waiting_end = at;
	if (!s->waiting && s->held_ms) {
		excuse_pause(s);
		loop_hold(s->loop, false);
	}
}
