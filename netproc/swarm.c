/*
 * swarm.c - see swarm.h.
 *
 * One turn of the loop: handlers run (peers read, diskproc answers, dials end),
 * then swarm_end_turn() hands blocks over, asks peers that had nothing to ask
 * for, dials, tells HAVEs, and frees the dead.  Nothing is freed elsewhere.
 */
#include "swarm.h"

#include "bitfield.h"
#include "log.h"
#include "swarm_state.h"
#include "wanted_pieces.h"

#define TICK_MS 250u
#define FLUSH_BLOCKS 64u /* a full packet: each wakes diskproc, which costs more than the wait */
#define FLUSH_US 1000u
#define TURNED_AWAY_MS 60000u /* who was turned away may come again */
#define FEW_PEERS 30u
#define AT_ONCE_MS 10000u

struct picker *swarm_picker(struct swarm *s) { return s->picker; }
struct disk *swarm_disk(struct swarm *s) { return s->disk; }
struct loop *swarm_loop(struct swarm *s) { return s->loop; }
const struct slots *swarm_slots(struct swarm *s) { return s->slots; }
const struct metainfo *swarm_info(struct swarm *s) { return s->info; }
const uint8_t *swarm_peer_id(struct swarm *s) { return s->peer_id; }
uint64_t swarm_now(struct swarm *s) { return loop_now(s->loop); }
uint32_t swarm_bitfield_bytes(struct swarm *s) { return s->bitfield_bytes; }
const uint8_t *swarm_have(struct swarm *s) { return s->have; }
uint32_t swarm_have_count(const struct swarm *s) { return s->have_count; }
uint32_t swarm_told(const struct swarm *s) { return s->come_count; }
uint16_t swarm_port(struct swarm *s) { return s->options.port; }
const char *swarm_client(struct swarm *s) { return s->options.anonymous ? NULL : "bulkhead " BULKHEAD_VERSION; }

void swarm_kick(struct swarm *s)
{
	s->kick = true;
}

uint64_t swarm_rate(const struct swarm *s) { return s->down_meter.rate; }
uint32_t swarm_sending(const struct swarm *s) { return s->sending; }
uint32_t swarm_request_timeout(const struct swarm *s) { return s->options.request_timeout_ms; }

void swarm_count(struct swarm *s, uint32_t received, uint32_t wasted)
{
	s->received += received;
	s->wasted += wasted;
}

/* ---- peers come and go */

/* It was worth a connection: it gave something or, once there is nothing left to get, took something. */
static bool was_of_use(const struct peer *p)
{
	return p->shook && (p->received_bytes || (picker_complete(p->swarm->picker) && p->up.choke.sent_bytes));
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
	swarm_upload_gone(p);
	if (p->shook) {
		s->shaken--;
		picker_leave(s->picker, &p->pick);
		swarm_kick(s);
	}
	swarm_disconnected(s, p->candidate, reason, !was_of_use(p));
	s->connect = true;
}

/*
 * Of two that dialled each other at once, the connection stays that the one with
 * the greater id made: so both ends keep the same one.
 */
static bool takes_its_place(const struct swarm *s, const struct peer *p, const struct peer *o)
{
	bool ours = memcmp(s->peer_id, p->peer_id, sizeof s->peer_id) > 0;

	return p->incoming != o->incoming && p->incoming != ours && loop_now(s->loop) - o->connected_ms < AT_ONCE_MS;
}

/* It is the same peer: what it gave and took counts on, or a new connection would pay all its debts. */
static void take_over_account(struct peer *p, const struct peer *o)
{
	p->received_bytes = o->received_bytes;
	p->up.choke = o->up.choke;
	p->up.choke.interested = p->up.choke.unchoked = p->up.choke.optimistic = p->up.choke.changed = false;
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
		struct peer *o = s->peers[i];

		if (o != p && o->shook && !o->dead && !memcmp(o->peer_id, p->peer_id, 20) && o->addr.family == p->addr.family &&
		    !memcmp(o->addr.ip, p->addr.ip, sizeof p->addr.ip)) {
			bool replaces = takes_its_place(s, p, o);

			if (replaces)
				take_over_account(p, o);
			/* One that connected to us may leave: then it is to be dialled again. */
			swarm_drop(replaces ? o : p, o->incoming || p->incoming ? DROP_USELESS : DROP_SELF, "a second connection to the same peer");
			if (!replaces)
				return false;
		}
	}
	s->shaken++;
	return true;
}

static void reap(struct swarm *s)
{
	uint32_t i = 0;

	swarm_forget_waiting(s);
	swarm_upload_forget_dead(s);
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

/* ---- time */

uint64_t swarm_useful_ms(const struct peer *p)
{
	return max_u64(p->connected_ms, max_u64(p->block_ms, p->up.took_ms));
}

/* Neither side can ever give the other anything. */
static bool is_useless(struct swarm *s, const struct peer *p)
{
	return p->shook && picker_complete(s->picker) && (p->pick.all || p->upload_only);
}

/* All is here: peers learn that we need nothing of them (BEP 21). */
static void say_complete(struct swarm *s)
{
	uint32_t i;

	s->said_complete = true;
	for (i = 0; i < s->count; i++)
		if (s->peers[i]->shook && !s->peers[i]->dead) {
			peer_say_hello(s->peers[i]);
			peer_flush(s->peers[i]);
		}
}

/* Full, and others wait: the one that has been of no use for longest makes room. */
static void replace_useless(struct swarm *s, uint64_t now)
{
	bool wait = s->count >= s->options.max_peers && candidates_idle(s->candidates);
	bool strangers_wait = s->turned_away_ms && now - s->turned_away_ms < TURNED_AWAY_MS;
	struct peer *worst = NULL;
	uint32_t i;

	if (s->held_ms || (!wait && !strangers_wait) || now - s->replaced_ms < 5000)
		return;
	for (i = 0; i < s->count; i++) {
		struct peer *p = s->peers[i];
		uint64_t since = swarm_useful_ms(p);

		/* For strangers there may be no room though there are places: those that they have. */
		if (!p->dead && (wait || p->incoming) && now - since > USELESS_AFTER_MS && (!worst || since < swarm_useful_ms(worst)))
			worst = p;
	}
	if (worst) {
		s->replaced_ms = now;
		s->turned_away_ms = 0;
		swarm_drop(worst, DROP_USELESS, "others wait, and nothing went either way for two minutes");
	}
}

/* What came since it was told last, as far as it takes it: a slow peer learns later, in the next ticks. */
static void tell_haves_to(struct swarm *s, struct peer *p)
{
	uint8_t out[HAVE_BATCH * 9];
	size_t bytes = 0;

	/* A seed needs nothing from us. */
	if (p->dead || !p->shook || p->pick.all || p->upload_only) {
		p->told = s->come_count;
		return;
	}
	if (p->veiled && !swarm_super_seeds(s))
		swarm_super_unveil(s, p);
	while (p->told < s->come_count && bytes < sizeof out && !peer_is_behind(p))
		bytes += wire_put_have(out + bytes, s->come[p->told++]);
	if (bytes && peer_put(p, out, bytes))
		peer_flush(p);
}

static void on_tick(void *arg)
{
	struct swarm *s = arg;
	uint64_t now = loop_now(s->loop);
	uint32_t i, spill;

	loop_timer_set(s->loop, &s->tick, now + TICK_MS, on_tick, s);
	meter_look(&s->down_meter, s->received, now);
	s->sending = 0;
	for (i = 0; i < s->count; i++) {
		if (s->peers[i]->dead)
			continue;
		s->sending += s->peers[i]->pick.queue_count && !rate_snubbed(&s->peers[i]->rate);
		peer_tick(s->peers[i], now);
		peer_update_interest(s->peers[i]);
		tell_haves_to(s, s->peers[i]);
		if (is_useless(s, s->peers[i]))
			swarm_drop(s->peers[i], DROP_USELESS, "both have all there is");
	}
	if (s->ready && !s->said_complete && picker_complete(s->picker))
		say_complete(s);
	meter_look(&s->up.meter, s->up.bytes, now);
	swarm_super_show(s);
	swarm_choke(s);
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
	uint32_t i;

	s->told = s->come_count;
	for (i = 0; i < s->count; i++)
		tell_haves_to(s, s->peers[i]);
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
	uint32_t pending;
	uint64_t now = 0;

	if (s->choke_soon)
		swarm_choke(s);
	if (s->up.kick)
		swarm_upload_turn(s);
	pending = disk_pending(s->disk);

	if (s->kick)
		ask_hungry(s);
	if (s->told < s->come_count)
		tell_haves(s);
	if (s->super_kick)
		swarm_super_show(s);
	if (pending && !idle && pending < FLUSH_BLOCKS && !disk_waits_for_reads(s->disk))
		now = now_us();
	if (pending && (idle || pending >= FLUSH_BLOCKS || disk_waits_for_reads(s->disk) || now - s->flushed_us >= FLUSH_US)) {
		disk_flush(s->disk);
		s->flushed_us = now ? now : now_us();
	}
	if (s->connect)
		swarm_connect_more(s);
	if (s->dead)
		reap(s);
}

uint32_t swarm_wait_ms(const struct swarm *s)
{
	return s->up.kick ? 0 : disk_pending(s->disk) ? 1 : s->super_kick ? 20 : 1000;
}

/* ---- what is wanted */

static void count_missing(struct swarm *s)
{
	uint32_t i;

	s->missing_bytes = s->info->h->total_length;
	for (i = 0; s->unwanted && i < s->info->h->piece_count; i++)
		if (bitfield_get(s->unwanted, i))
			s->missing_bytes -= metainfo_piece_bytes(s->info, i);
}

static void set_order(struct swarm *s, const struct wanted *wanted)
{
	uint8_t *level[RARITY_LEVELS];
	uint32_t i;

	wanted_pieces(level, wanted, s->info, s->options.order & NET_ENDS_FIRST);
	if (wanted->level && level[0]) {
		s->unwanted = must_alloc(s->bitfield_bytes);
		for (i = 0; i < s->bitfield_bytes; i++)
			s->unwanted[i] = (uint8_t)~(level[0][i] | level[1][i] | level[2][i]);
	}
	count_missing(s);
	picker_set_order(s->picker, level, s->options.order & NET_IN_SEQUENCE);
}

void swarm_gained(struct swarm *s, uint32_t piece)
{
	uint32_t bytes = metainfo_piece_bytes(s->info, piece);

	bitfield_set(s->have, piece);
	s->have_count++;
	s->verified_bytes += bytes;
	if (!s->unwanted || !bitfield_get(s->unwanted, piece))
		s->missing_bytes -= bytes;
}

void swarm_lost_all(struct swarm *s)
{
	memset(s->have, 0, s->bitfield_bytes);
	s->have_count = 0;
	s->verified_bytes = 0;
	count_missing(s);
}

bool swarm_is_partial_seed(const struct swarm *s)
{
	return picker_complete(s->picker) && s->have_count < s->info->h->piece_count;
}

/* ---- life */

struct swarm *swarm_new(struct loop *l, struct dials *dials, const struct slots *slots, const struct metainfo *info, const struct wanted *wanted,
			const struct msg_net_options *options, const uint8_t peer_id[20], const struct swarm_hooks *hooks)
{
	struct swarm *s = must_calloc(1, sizeof *s);
	struct disk_hooks disk_hooks = swarm_disk_hooks;
	uint64_t chance[4];

	random_bytes(chance, sizeof chance);
	disk_hooks.arg = s;
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
	s->peers = must_calloc(options->max_peers + PEERS_LEAVING, sizeof(struct peer *));
	s->candidates = candidates_new(chance[0]);
	s->picker = picker_new(info->h->piece_count, info->h->piece_length, info->h->total_length, options->budget_bytes, chance[1]);
	set_order(s, wanted);
	s->disk = disk_new(l, slots, info->h->piece_count, &disk_hooks);
	swarm_upload_init(s);
	s->chokes = must_calloc(options->max_peers, sizeof(struct choker_peer *));
	choker_init(&s->choker, chance[2]);
	s->network_key = chance[3] | 1;
	meter_look(&s->down_meter, 0, now_ms());
	loop_timer_set(l, &s->tick, now_ms() + TICK_MS, on_tick, s);
	return s;
}

void swarm_shutdown(struct swarm *s)
{
	uint32_t i;

	s->down = true;
	for (i = 0; i < s->count; i++)
		swarm_drop(s->peers[i], DROP_SHUTDOWN, "goodbye");
	swarm_cancel_dials(s);
	loop_timer_clear(s->loop, &s->tick);
}

void swarm_free(struct swarm *s)
{
	loop_timer_clear(s->loop, &s->tick);
	loop_timer_clear(s->loop, &s->up.timer);
	loop_timer_clear(s->loop, &s->up.down_timer);
	picker_free(s->picker);
	candidates_free(s->candidates);
	disk_free(s->disk);
	free(s->have);
	free(s->unwanted);
	free(s->come);
	free(s->chokes);
	swarm_super_free(s);
	free(s->peers);
	free(s);
}

void swarm_stats(struct swarm *s, struct msg_net_stats *out)
{
	uint32_t i;

	memset(out, 0, sizeof *out);
	meter_look(&s->down_meter, s->received, loop_now(s->loop));
	out->received_bytes = s->received;
	out->wasted_bytes = s->wasted;
	out->rate = s->down_meter.rate;
	out->uploaded_bytes = s->up.bytes;
	out->upload_rate = s->up.meter.rate;
	out->peers = s->shaken;
	out->peers_known = candidates_known(s->candidates);
	for (i = 0; i < s->count; i++) {
		out->seeds += !s->peers[i]->dead && s->peers[i]->shook && s->peers[i]->pick.all;
		out->unchoked += !s->peers[i]->dead && s->peers[i]->up.choke.unchoked;
		out->interested += !s->peers[i]->dead && s->peers[i]->up.choke.interested;
		out->incoming += !s->peers[i]->dead && s->peers[i]->shook && s->peers[i]->incoming;
	}
	out->open_pieces = picker_open(s->picker);
	out->banned = s->banned;
	out->refused = dials_refused(s->dials);
}

bool swarm_peer_info(struct swarm *s, uint32_t i, struct msg_peer_info *out)
{
	struct peer *p = i < s->count ? s->peers[i] : NULL;
	const struct choker_peer *c;

	if (!p || p->dead || !p->shook)
		return false;
	c = &p->up.choke;
	memset(out, 0, sizeof *out);
	out->addr = p->addr;
	out->flags = (p->choking ? PEER_INFO_CHOKES_US : 0u) | (c->interested ? PEER_INFO_INTERESTED_IN_US : 0u) |
		     (c->unchoked ? 0u : PEER_INFO_WE_CHOKE) | (p->interested ? PEER_INFO_WE_ARE_INTERESTED : 0u) |
		     (rate_snubbed(&p->rate) ? PEER_INFO_SNUBS_US : 0u) | (c->optimistic ? PEER_INFO_OPTIMISTIC : 0u) |
		     (p->incoming ? PEER_INFO_INCOMING : 0u) | (p->pick.all ? PEER_INFO_SEED : 0u) |
		     (p->upload_only ? PEER_INFO_UPLOAD_ONLY : 0u) | (p->fast ? PEER_INFO_FAST : 0u) |
		     (p->extended ? PEER_INFO_EXTENDED : 0u);
	out->sources = p->candidate == NO_CANDIDATE ? 1u << PEER_FROM_INCOMING : candidates_at(s->candidates, p->candidate)->sources;
	out->have_pieces = p->pick.all ? s->info->h->piece_count : p->pick.have_count;
	out->requests = p->pick.queue_count;
	out->queued = requests_count(&p->up.requests);
	out->down_rate = rate_now(&p->rate, now_us());
	out->up_rate = p->up.meter.rate;
	out->received_bytes = p->received_bytes;
	out->sent_bytes = c->sent_bytes;
	memcpy(out->client, p->client, min_u64(strnlen(p->client, sizeof p->client), sizeof out->client - 1));
	return true;
}

void swarm_totals(const struct swarm *s, uint64_t *uploaded, uint64_t *downloaded, uint64_t *left)
{
	*uploaded = s->up.bytes;
	*downloaded = s->received;
	*left = s->missing_bytes ? s->missing_bytes : s->info->h->total_length - s->verified_bytes;
}
