/*
 * swarm_upload.c - see swarm.h: whose turn it is to be sent to, and how fast.
 *
 * Peers that have something to ask of diskproc or to send stand in one line.  At
 * the end of a turn of the loop the line is walked once: each asks for reads
 * while there is room for them, sends one batch while the rate allows, and goes
 * to the end of the line when it wants more.  The walk ends at the first one
 * that the rate does not allow, and goes on there.  So slots and tokens go round.
 *
 * Reads under way are named by their place in a table of SLOT_COUNT: whoever is
 * gone when the answer comes has left an empty place.
 */
#include "bitfield.h"
#include "swarm_state.h"

#define WINDOW_MOST 16u /* blocks of one peer: reads out and slots held */
#define WINDOW_LEAST 2u

void swarm_upload_init(struct swarm *s)
{
	uint32_t i;

	for (i = 0; i < SLOT_COUNT; i++)
		s->up.free_read[i] = SLOT_COUNT - 1 - i;
	s->up.free_reads = SLOT_COUNT;
	s->up.line_end = &s->up.line;
	bucket_init(&s->up.bucket, s->options.max_up, now_us());
	bucket_init(&s->up.down, s->options.max_down, now_us());
}

/* ---- the line */

void swarm_upload_kick(struct swarm *s)
{
	s->up.kick = true;
}

static void enqueue(struct peer *p)
{
	struct swarm *s = p->swarm;

	if (p->up.queued || p->dead)
		return;
	p->up.queued = true;
	p->up.next = NULL;
	*s->up.line_end = p;
	s->up.line_end = &p->up.next;
	s->up.in_line++;
}

void swarm_upload_turn_for(struct peer *p)
{
	enqueue(p);
	p->swarm->up.kick = true;
}

static struct peer *next_in_line(struct swarm *s)
{
	struct peer *p = s->up.line;

	s->up.line = p->up.next;
	if (!s->up.line)
		s->up.line_end = &s->up.line;
	s->up.in_line--;
	p->up.queued = false;
	return p;
}

void swarm_upload_forget_dead(struct swarm *s)
{
	struct peer **at = &s->up.line;

	while (*at)
		if ((*at)->dead) {
			*at = (*at)->up.next;
			s->up.in_line--;
		} else {
			at = &(*at)->up.next;
		}
	s->up.line_end = at;
}

/* Tokens are there again. */
static void on_tokens(void *arg)
{
	swarm_upload_kick(arg);
}

/* The first whole millisecond after `us`, and not now. */
static uint64_t timer_ms(const struct swarm *s, uint64_t us)
{
	return max_u64(us / 1000 + 1, loop_now(s->loop) + 1);
}

static uint32_t window(const struct swarm *s)
{
	return max_u32(WINDOW_LEAST, min_u32(WINDOW_MOST, SLOT_COUNT / max_u32(1, s->up.in_line + 1)));
}

/* --max-up lets nothing go now: the first one stays the first, and whoever stands behind it keeps its place too. */
static bool is_dry(struct swarm *s)
{
	const struct peer *p = s->up.line;

	return !p->dead && !p->tx.waits && requests_sendable(&p->up.requests) && !swarm_may_send(s, SLOT_BYTES);
}

void swarm_upload_turn(struct swarm *s)
{
	uint32_t most = s->up.in_line, ahead = window(s);

	s->up.kick = false;
	s->up.dry = false;
	while (most-- && s->up.line && !is_dry(s)) {
		struct peer *p = next_in_line(s);

		if (p->dead)
			continue;
		/* Blocks that are here, or room for reads that is not, keep it in line; DATA and room in the socket put it there again. */
		if (requests_sendable(&p->up.requests) && !p->tx.waits)
			peer_flush(p);
		if (!p->dead && !peer_ask_disk(p, ahead))
			enqueue(p);
		if (!p->dead && s->up.dry && requests_sendable(&p->up.requests))
			enqueue(p);
	}
	if (s->up.dry) {
		s->up.kick = false;
		loop_timer_set(s->loop, &s->up.timer, timer_ms(s, bucket_ready_us(&s->up.bucket, SLOT_BYTES)), on_tokens, s);
	}
}

/* ---- the rate */

size_t swarm_may_send(struct swarm *s, size_t want)
{
	size_t n;

	if (!s->up.bucket.rate)
		return want;
	n = (size_t)bucket_allow(&s->up.bucket, now_us(), want);
	s->up.dry |= n == 0;
	return n;
}

static void on_down_tokens(void *arg)
{
	struct swarm *s = arg;
	uint32_t first = s->up.down_first++, i;

	/* epoll names them in this order, and the first may take all there is: each time it is another one. */
	for (i = 0; i < s->count; i++) {
		struct peer *p = s->peers[(first + i) % s->count];

		if (!p->paused)
			continue;
		p->paused = false;
		if (!p->dead)
			peer_watch(p);
	}
}

void swarm_pause(struct peer *p)
{
	struct swarm *s = p->swarm;

	p->paused = true;
	peer_watch(p);
	if (!s->up.down_timer.heap)
		loop_timer_set(s->loop, &s->up.down_timer, timer_ms(s, bucket_ready_us(&s->up.down, SLOT_BYTES)), on_down_tokens, s);
}

size_t swarm_may_receive(struct swarm *s, size_t want)
{
	return s->up.down.rate ? (size_t)bucket_allow(&s->up.down, now_us(), want) : want;
}

void swarm_count_received(struct swarm *s, size_t bytes)
{
	bucket_take(&s->up.down, bytes);
}

void swarm_count_sent(struct swarm *s, size_t bytes)
{
	bucket_take(&s->up.bucket, bytes);
}

void swarm_count_uploaded(struct peer *p, size_t payload)
{
	struct swarm *s = p->swarm;

	p->up.choke.sent_bytes += payload;
	s->up.bytes += payload;
	if (choker_spent(&s->choker, &p->up.choke))
		swarm_choke_soon(s);
}

/* ---- reads */

void swarm_read(struct peer *p, uint32_t serial, uint32_t piece, uint32_t begin, uint32_t length)
{
	struct swarm *s = p->swarm;
	uint32_t place;

	if (!s->up.free_reads)
		bug("more reads than slots");
	place = s->up.free_read[--s->up.free_reads];
	s->up.read[place] = (struct upload_read){ .peer = p, .serial = serial };
	disk_send_read(s->disk, place, piece, begin, length);
}

static struct upload_read take_read(struct swarm *s, uint32_t place)
{
	struct upload_read r = s->up.read[place];

	s->up.read[place].peer = NULL;
	s->up.free_read[s->up.free_reads++] = place;
	return r;
}

/* disk.c gives back only tags that it was given. */
bool swarm_on_data(void *arg, uint32_t tag, uint32_t slot)
{
	struct swarm *s = arg;
	struct upload_read r = take_read(s, tag);

	if (r.peer)
		peer_on_data(r.peer, r.serial, slot);
	else
		disk_done_slot(s->disk, slot);
	return true;
}

bool swarm_on_read_failed(void *arg, uint32_t tag, int32_t error)
{
	struct swarm *s = arg;
	struct upload_read r = take_read(s, tag);

	(void)error; /* the parent is told by diskproc */
	if (r.peer)
		peer_on_read_failed(r.peer, r.serial);
	return true;
}

void swarm_upload_gone(struct peer *p)
{
	struct swarm *s = p->swarm;
	uint32_t i;

	for (i = 0; i < SLOT_COUNT; i++)
		if (s->up.read[i].peer == p)
			s->up.read[i].peer = NULL;
	peer_upload_end(p);
	swarm_super_leave(p);
	if (p->up.choke.unchoked)
		swarm_choke_soon(s);
}

void swarm_upload_resume(struct swarm *s)
{
	uint32_t i;

	for (i = 0; i < s->count; i++)
		peer_upload_again(s->peers[i]);
}

void swarm_upload_lost(struct swarm *s)
{
	uint32_t i;

	for (i = 0; i < s->count; i++)
		if (!s->peers[i]->dead)
			peer_upload_forget(s->peers[i]);
	s->up.free_reads = SLOT_COUNT;
	for (i = 0; i < SLOT_COUNT; i++) {
		s->up.read[i].peer = NULL;
		s->up.free_read[i] = SLOT_COUNT - 1 - i;
	}
}
