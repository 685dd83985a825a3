/*
 * swarm.c - see swarm.h.
 *
 * One turn of the loop: handlers run (peers read, diskproc answers, dials end),
 * then swarm_end_turn() hands blocks over, asks peers that had nothing to ask
 * for, dials, tells HAVEs, and frees the dead.  Nothing is freed elsewhere.
 */
#include "swarm.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bitfield.h"
#include "candidates.h"
#include "log.h"

#define TICK_MS 250u
#define DIALS_MOST 40u
#define NAME_DIALS 16u
#define HAVE_BATCH 512u
#define FLUSH_BLOCKS 64u /* a full packet: each wakes diskproc, which costs more than the wait */
#define FLUSH_US 1000u
#define BITFIELD_BUDGET (32u << 20)
#define SLOTS_HELD_MOST (SLOT_COUNT / 4)
#define USELESS_AFTER_MS 120000u
#define LIES_FORGIVEN 3u
#define FEW_PEERS 30u

/* One address being dialled. */
struct dialing {
	struct dial_request request;
	struct swarm *swarm;
	uint32_t candidate; /* NO_CANDIDATE: free, or a host name */
	bool used;
};

struct swarm {
	struct loop *loop;
	struct dials *dials;
	struct disk *disk;
	struct picker *picker;
	struct candidates *candidates;
	const struct slots *slots;
	const struct metainfo *info;
	struct msg_net_options options;
	struct swarm_hooks hooks;
	uint8_t peer_id[20];
	struct peer **peers; /* owned array of owned peers, options.max_peers of room */
	uint32_t count, dead, shaken, sending;
	struct dialing dialing[DIALS_MOST];
	uint32_t dials_under_way;
	uint8_t *have; /* our own bitfield */
	uint32_t bitfield_bytes, held_slots;
	size_t bitfield_memory;
	uint32_t fresh[HAVE_BATCH], fresh_count; /* verified in this turn, to be told */
	struct peer *waiting, **waiting_end; /* for slots, first come first served */
	uint64_t held_ms; /* since when no peer is read; 0: they are */
	bool ready, kick, connect;
	bool disk_held; /* this diskproc takes no more: nobody is dialled until another comes */
	bool down; /* for good */
	struct loop_timer tick;
	uint64_t flushed_us, needed_ms, replaced_ms;
	uint64_t received, wasted, verified_bytes;
	uint64_t rate, rate_received, rate_ms;
	uint32_t banned;
};

struct picker *swarm_picker(struct swarm *s) { return s->picker; }
struct disk *swarm_disk(struct swarm *s) { return s->disk; }
struct loop *swarm_loop(struct swarm *s) { return s->loop; }
const struct slots *swarm_slots(struct swarm *s) { return s->slots; }
const struct metainfo *swarm_info(struct swarm *s) { return s->info; }
const uint8_t *swarm_peer_id(struct swarm *s) { return s->peer_id; }
uint64_t swarm_now(struct swarm *s) { return loop_now(s->loop); }
uint32_t swarm_bitfield_bytes(struct swarm *s) { return s->bitfield_bytes; }
const uint8_t *swarm_have(struct swarm *s) { return s->have; }
const char *swarm_client(struct swarm *s) { return s->options.anonymous ? NULL : "bulkhead " BULKHEAD_VERSION; }

/* ---- memory and slots that peers share */

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
	else
		peer_read(p);
}

bool swarm_is_held(const struct swarm *s)
{
	return s->held_ms;
}

void swarm_kick(struct swarm *s)
{
	s->kick = true;
}

uint64_t swarm_rate(const struct swarm *s) { return s->rate; }
uint32_t swarm_sending(const struct swarm *s) { return s->sending; }
uint32_t swarm_request_timeout(const struct swarm *s) { return s->options.request_timeout_ms; }

void swarm_count(struct swarm *s, uint32_t received, uint32_t wasted)
{
	s->received += received;
	s->wasted += wasted;
}

/* ---- peers come and go */

static void not_connected(struct swarm *s, uint32_t candidate, enum drop_reason reason, bool failed)
{
	struct candidate *c = candidates_at(s->candidates, candidate);
	uint64_t now = loop_now(s->loop);

	switch (reason) {
	case DROP_SELF:
	case DROP_BANNED:
		candidates_never(s->candidates, candidate);
		break;
	case DROP_LIAR:
		if (c->failures >= LIES_FORGIVEN)
			candidates_never(s->candidates, candidate);
		else
			candidates_retry(s->candidates, candidate, true, 120000, now);
		break;
	case DROP_USELESS:
		candidates_retry(s->candidates, candidate, failed, 300000, now);
		break;
	case DROP_CLOSED:
	case DROP_TIMEOUT:
	case DROP_SHUTDOWN:
		candidates_retry(s->candidates, candidate, failed, 0, now);
		break;
	}
}

void swarm_drop(struct peer *p, enum drop_reason reason, const char *why)
{
	struct swarm *s = p->swarm;
	char text[64];

	if (p->dead)
		return;
	p->dead = true;
	s->dead++;
	if (reason != DROP_SHUTDOWN)
		log_line(LOG_DETAIL, TOPIC_PEER, "%s: dropped: %s", net_addr_text(text, sizeof text, &p->addr), why);
	if (p->rx.state == RX_PIECE && p->rx.slot != NO_SLOT) {
		disk_put_slot(s->disk, p->rx.slot);
		p->rx.slot = NO_SLOT;
		s->held_slots--;
	}
	if (p->shook) {
		s->shaken--;
		picker_leave(s->picker, &p->pick);
		swarm_kick(s);
	}
	not_connected(s, p->candidate, reason, !p->shook || !p->received_bytes);
	s->connect = true;
}

bool swarm_admit(struct peer *p)
{
	struct swarm *s = p->swarm;
	uint32_t i;

	if (!memcmp(p->peer_id, s->peer_id, sizeof s->peer_id)) {
		swarm_drop(p, DROP_SELF, "it is ourselves");
		return false;
	}
	for (i = 0; i < s->count; i++) {
		const struct peer *o = s->peers[i];

		if (o != p && o->shook && !o->dead && !memcmp(o->peer_id, p->peer_id, 20) && o->addr.family == p->addr.family &&
		    !memcmp(o->addr.ip, p->addr.ip, sizeof p->addr.ip)) {
			swarm_drop(p, DROP_SELF, "a second connection to the same peer");
			return false;
		}
	}
	s->shaken++;
	return true;
}

/* Nobody is late by the time that we did not read. */
#define PAUSE_COUNTS_MS 100u

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

/* Before peers are freed. */
static void forget_waiting(struct swarm *s)
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

static void reap(struct swarm *s)
{
	uint32_t i = 0;

	forget_waiting(s);
	while (s->dead && i < s->count) {
		if (!s->peers[i]->dead) {
			i++;
			continue;
		}
		peer_free(s->peers[i]);
		s->peers[i] = s->peers[--s->count];
		s->dead--;
	}
}

static void ban(struct swarm *s, uint32_t id, const char *why)
{
	struct candidate *c = candidates_by_id(s->candidates, id);
	struct peer *p;
	char text[64];

	if (!c || c->state == CANDIDATE_NEVER || c->banned)
		return;
	c->banned = true; /* one that is being dialled ends when its dial does */
	s->banned++;
	log_line(LOG_INFO, TOPIC_PEER, "%s: banned: %s", net_addr_text(text, sizeof text, &c->addr), why);
	p = c->peer;
	if (p)
		swarm_drop(p, DROP_BANNED, why);
	else if (c->state == CANDIDATE_IDLE)
		candidates_never(s->candidates, (uint32_t)(c - candidates_at(s->candidates, 0)));
}

/* ---- dialling */

static void connected(struct swarm *s, uint32_t candidate, int fd)
{
	struct candidate *c = candidates_at(s->candidates, candidate);
	struct peer *p;

	if (s->down || c->banned || s->count >= s->options.max_peers) {
		close(fd);
		candidates_retry(s->candidates, candidate, false, 0, loop_now(s->loop));
		return;
	}
	p = peer_new(s, fd, &c->addr, candidate, c->id, loop_now(s->loop));
	if (!p) {
		candidates_retry(s->candidates, candidate, true, 0, loop_now(s->loop));
		return;
	}
	c->state = CANDIDATE_CONNECTED;
	c->peer = p;
	s->peers[s->count++] = p;
}

static void on_dial_done(void *arg, int fd, const struct net_addr *addr, const struct net_addr *local, enum dial_failure why, int error)
{
	struct dialing *d = arg;
	struct swarm *s = d->swarm;
	uint32_t i = d->candidate;

	(void)local;
	(void)error;
	d->used = false;
	s->dials_under_way--;
	s->connect = true;
	if (i == NO_CANDIDATE && fd >= 0) { /* a host name: the address that answered */
		i = candidates_add(s->candidates, addr, false, loop_now(s->loop));
		if (i == NO_CANDIDATE || candidates_at(s->candidates, i)->state != CANDIDATE_IDLE) {
			close(fd);
			return;
		}
		candidates_take(s->candidates, i);
	}
	if (fd >= 0)
		connected(s, i, fd);
	else if (i != NO_CANDIDATE && why == DIAL_REFUSED_BY_POLICY)
		candidates_refused(s->candidates, i);
	else if (i != NO_CANDIDATE)
		candidates_retry(s->candidates, i, why != DIAL_LIMIT, 0, loop_now(s->loop));
}

static struct dialing *free_dialing(struct swarm *s, uint32_t most)
{
	uint32_t i;

	for (i = 0; i < DIALS_MOST && s->dials_under_way < most; i++)
		if (!s->dialing[i].used)
			return &s->dialing[i];
	return NULL;
}

static void began(struct swarm *s, struct dialing *d, uint32_t candidate)
{
	d->used = true;
	d->candidate = candidate;
	s->dials_under_way++;
}

static void prepare(struct swarm *s, struct dialing *d)
{
	*d = (struct dialing){ .swarm = s, .request = { .done = on_dial_done, .arg = d } };
}

/* Dials while there is room for peers and somebody to dial. */
static void connect_more(struct swarm *s)
{
	uint64_t wait;

	s->connect = false;
	while (s->ready && !s->disk_held && !s->down && !picker_complete(s->picker) && s->count + s->dials_under_way < s->options.max_peers) {
		struct dialing *d = free_dialing(s, DIALS_MOST);
		uint32_t i = d ? candidates_next(s->candidates, loop_now(s->loop), &wait) : NO_CANDIDATE;

		if (i == NO_CANDIDATE)
			return;
		prepare(s, d);
		if (dial_addr(s->dials, &d->request, NET_PEER, &candidates_at(s->candidates, i)->addr) < 0)
			return;
		candidates_take(s->candidates, i);
		began(s, d, i);
	}
}

void swarm_add_address(struct swarm *s, const struct net_addr *addr, bool forced)
{
	if (addr->family == 4 ? !s->options.use_ipv4 : !s->options.use_ipv6)
		return;
	if (candidates_add(s->candidates, addr, forced, loop_now(s->loop)) != NO_CANDIDATE)
		s->connect = true;
}

void swarm_add_name(struct swarm *s, const char *host, uint16_t port)
{
	struct dialing *d = free_dialing(s, NAME_DIALS);
	uint8_t family = s->options.use_ipv4 ? s->options.use_ipv6 ? 0 : 4 : 6;

	/* Names are few and not worth a queue: one that finds no room will be named again. */
	if (!d || s->disk_held || s->down || s->count >= s->options.max_peers)
		return;
	prepare(s, d);
	if (dial_name(s->dials, &d->request, NET_PEER, host, port, family) == 0)
		began(s, d, NO_CANDIDATE);
}

/* ---- what diskproc says */

static void on_have(void *arg, uint32_t piece)
{
	struct swarm *s = arg;

	if (bitfield_get(s->have, piece))
		return;
	bitfield_set(s->have, piece);
	s->verified_bytes += metainfo_piece_bytes(s->info, piece);
	picker_have(s->picker, piece);
}

/* Slots are back: who waits reads, in order; the others may again when nobody waits. */
static void serve_waiting(struct swarm *s)
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

static void on_have_end(void *arg)
{
	struct swarm *s = arg;

	s->ready = true;
	s->connect = true;
	serve_waiting(s);
	swarm_kick(s);
	s->hooks.on_ready(s->hooks.arg);
}

static bool on_verified(void *arg, uint32_t piece)
{
	struct swarm *s = arg;

	if (!picker_on_verified(s->picker, piece))
		return false;
	bitfield_set(s->have, piece);
	s->verified_bytes += metainfo_piece_bytes(s->info, piece);
	if (s->fresh_count < HAVE_BATCH)
		s->fresh[s->fresh_count++] = piece;
	swarm_kick(s);
	if (picker_complete(s->picker))
		s->hooks.on_complete(s->hooks.arg);
	return true;
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
	serve_waiting(arg);
}

/* Nothing is asked to be read: answers to it are a lie. */
static bool on_data(void *arg, uint32_t tag, uint32_t slot)
{
	(void)arg;
	(void)tag;
	(void)slot;
	return false;
}

static bool on_read_failed(void *arg, uint32_t tag, int32_t error)
{
	(void)arg;
	(void)tag;
	(void)error;
	return false;
}

/* Slots and what diskproc held are gone: blocks that are under way into a slot are thrown away. */
static void forget_disk(struct swarm *s)
{
	uint32_t i;

	s->ready = false;
	for (i = 0; i < s->count; i++)
		if (!s->peers[i]->dead)
			peer_forget_slot(s->peers[i]);
}

static void on_lost(void *arg)
{
	struct swarm *s = arg;

	forget_disk(s);
	s->hooks.on_disk_lost(s->hooks.arg);
}

void swarm_attach_disk(struct swarm *s, int fd, uint32_t epoch, int slots_fd)
{
	/* The old channel's end may not have been read yet. */
	forget_disk(s);
	picker_reset(s->picker);
	memset(s->have, 0, s->bitfield_bytes);
	s->verified_bytes = 0;
	s->disk_held = false;
	disk_attach(s->disk, fd, epoch, slots_fd);
}

/* ---- time */

/* Full, and others wait: the one that has been of no use for longest makes room. */
static void replace_useless(struct swarm *s, uint64_t now)
{
	struct peer *worst = NULL;
	uint32_t i;

	if (s->held_ms || s->count < s->options.max_peers || !candidates_idle(s->candidates) || now - s->replaced_ms < 5000)
		return;
	for (i = 0; i < s->count; i++) {
		struct peer *p = s->peers[i];
		uint64_t since = max_u64(p->connected_ms, p->block_ms);

		if (!p->dead && now - since > USELESS_AFTER_MS && (!worst || since < max_u64(worst->connected_ms, worst->block_ms)))
			worst = p;
	}
	if (worst) {
		s->replaced_ms = now;
		swarm_drop(worst, DROP_USELESS, "others wait, and it has sent nothing for two minutes");
	}
}

static void measure_rate(struct swarm *s, uint64_t now)
{
	uint64_t passed = now - s->rate_ms, instant;

	if (passed < TICK_MS)
		return;
	instant = (s->received - s->rate_received) * 1000 / passed;
	s->rate = s->rate ? (s->rate * 7 + instant) / 8 : instant;
	s->rate_received = s->received;
	s->rate_ms = now;
}

static void on_tick(void *arg)
{
	struct swarm *s = arg;
	uint64_t now = loop_now(s->loop);
	uint32_t i, spill;

	loop_timer_set(s->loop, &s->tick, now + TICK_MS, on_tick, s);
	measure_rate(s, now);
	s->sending = 0;
	for (i = 0; i < s->count; i++) {
		if (s->peers[i]->dead)
			continue;
		s->sending += s->peers[i]->pick.queue_count && !rate_snubbed(&s->peers[i]->rate);
		peer_tick(s->peers[i], now);
		peer_update_interest(s->peers[i]);
	}
	replace_useless(s, now);
	spill = s->ready ? picker_spill_candidate(s->picker, now) : UINT32_MAX;
	if (spill != UINT32_MAX)
		disk_send_spill(s->disk, spill);
	s->connect = true;
	if (s->ready && !s->disk_held && !s->down && s->shaken + candidates_idle(s->candidates) < min_u32(FEW_PEERS, s->options.max_peers) &&
	    now - s->needed_ms > 10000) {
		s->needed_ms = now;
		s->hooks.need_peers(s->hooks.arg, s->shaken);
	}
}

static void tell_haves(struct swarm *s)
{
	uint8_t out[HAVE_BATCH * 9];
	size_t bytes = 0;
	uint32_t i;

	for (i = 0; i < s->fresh_count; i++)
		bytes += wire_put_have(out + bytes, s->fresh[i]);
	s->fresh_count = 0;
	for (i = 0; i < s->count; i++) {
		struct peer *p = s->peers[i];

		/* A seed needs nothing from us. */
		if (!p->dead && p->shook && !p->pick.all && !p->upload_only && peer_put(p, out, bytes))
			peer_flush(p);
	}
}

static void ask_hungry(struct swarm *s)
{
	uint32_t most = s->count;
	struct picker_peer *pick;

	s->kick = false;
	/* Whoever finds too little again is put back at the end of the list. */
	while (most-- && (pick = picker_hungry(s->picker)))
		peer_request((struct peer *)(void *)pick);
}

void swarm_end_turn(struct swarm *s, bool idle)
{
	uint32_t pending = disk_pending(s->disk);
	uint64_t now = 0;

	if (s->kick)
		ask_hungry(s);
	if (s->fresh_count)
		tell_haves(s);
	if (pending && !idle && pending < FLUSH_BLOCKS)
		now = now_us();
	if (pending && (idle || pending >= FLUSH_BLOCKS || now - s->flushed_us >= FLUSH_US)) {
		disk_flush(s->disk);
		s->flushed_us = now ? now : now_us();
	}
	if (s->connect)
		connect_more(s);
	if (s->dead)
		reap(s);
}

bool swarm_pending(const struct swarm *s)
{
	return disk_pending(s->disk) > 0;
}

/* ---- life */

struct swarm *swarm_new(struct loop *l, struct dials *dials, const struct slots *slots, const struct metainfo *info,
			const struct msg_net_options *options, const uint8_t peer_id[20], const struct swarm_hooks *hooks)
{
	struct swarm *s = must_calloc(1, sizeof *s);
	struct disk_hooks disk_hooks = { s,	    on_have, on_have_end, on_verified, on_rejected,    on_spilled,
					 on_blame, on_hold, on_slots,	  on_data,     on_read_failed, on_lost };
	uint64_t chance[2];

	random_bytes(chance, sizeof chance);
	s->loop = l;
	s->waiting_end = &s->waiting;
	s->dials = dials;
	s->slots = slots;
	s->info = info;
	s->options = *options;
	s->hooks = *hooks;
	memcpy(s->peer_id, peer_id, sizeof s->peer_id);
	s->bitfield_bytes = (uint32_t)bitfield_bytes(info->h->piece_count);
	s->have = must_calloc(1, s->bitfield_bytes);
	s->peers = must_calloc(options->max_peers, sizeof(struct peer *));
	s->candidates = candidates_new(chance[0]);
	s->picker = picker_new(info->h->piece_count, info->h->piece_length, info->h->total_length, options->budget_bytes, chance[1]);
	s->disk = disk_new(l, slots, info->h->piece_count, &disk_hooks);
	s->rate_ms = now_ms();
	loop_timer_set(l, &s->tick, now_ms() + TICK_MS, on_tick, s);
	return s;
}

void swarm_shutdown(struct swarm *s)
{
	uint32_t i;

	s->down = true;
	for (i = 0; i < s->count; i++)
		swarm_drop(s->peers[i], DROP_SHUTDOWN, "goodbye");
	for (i = 0; i < DIALS_MOST; i++)
		if (s->dialing[i].used) {
			dial_cancel(s->dials, &s->dialing[i].request);
			s->dialing[i].used = false;
			s->dials_under_way--;
		}
	loop_timer_clear(s->loop, &s->tick);
}

void swarm_free(struct swarm *s)
{
	loop_timer_clear(s->loop, &s->tick);
	picker_free(s->picker);
	candidates_free(s->candidates);
	disk_free(s->disk);
	free(s->have);
	free(s->peers);
	free(s);
}

void swarm_stats(struct swarm *s, struct msg_net_stats *out)
{
	uint32_t i;

	memset(out, 0, sizeof *out);
	measure_rate(s, loop_now(s->loop));
	out->received_bytes = s->received;
	out->wasted_bytes = s->wasted;
	out->rate = s->rate;
	out->peers = s->shaken;
	out->peers_connecting = s->dials_under_way + (s->count - s->dead > s->shaken ? s->count - s->dead - s->shaken : 0);
	out->peers_known = candidates_known(s->candidates);
	for (i = 0; i < s->count; i++) {
		out->seeds += !s->peers[i]->dead && s->peers[i]->shook && s->peers[i]->pick.all;
		out->peers_unchoking += !s->peers[i]->dead && s->peers[i]->shook && !s->peers[i]->choking;
		out->requests += s->peers[i]->dead ? 0 : s->peers[i]->pick.queue_count;
	}
	out->banned = s->banned;
	out->refused = dials_refused(s->dials);
	out->open_pieces = picker_open(s->picker);
}

void swarm_totals(const struct swarm *s, uint64_t *uploaded, uint64_t *downloaded, uint64_t *left)
{
	*uploaded = 0;
	*downloaded = s->received;
	*left = s->info->h->total_length - s->verified_bytes;
}
