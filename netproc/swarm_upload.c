/*
 * swarm_upload.c - see swarm.h: whose turn it is to be sent to, and the rates (--max-up, --max-down).
 *
 * Peers that have something to ask of diskproc stand in one line.  At the end of
 * a turn of the loop the line is walked once: each asks for what its socket and
 * its window have room for, and is put in line again when an answer comes.  The
 * walk ends at the first one for whom the conveyor has no room, or whom the rate
 * does not allow, and goes on there.  So both go round.
 *
 * Reads under way are named by their place in a table: whoever is gone when the
 * answer comes has left an empty place.
 */
#include "bitfield.h"
#include "swarm_state.h"

#define WINDOW_MOST (256u << 10) /* bytes of one peer that are asked for at once */
#define WINDOW_LEAST (32u << 10)
#define HELD_MOST (4u << 20) /* bytes of blocks that found no room in sockets, of all peers: beyond it nothing is read */
#define FAST_BURST (UINT64_C(16) << 20) /* bytes for the choked (BEP 6), all together, */
#define FAST_ONE_IN 8u                  /* and then one in so many that are given */

void swarm_upload_init(struct swarm *s)
{
	uint32_t i;

	for (i = 0; i < CONVEYOR_READS; i++)
		s->up.free_read[i] = CONVEYOR_READS - 1 - i;
	s->up.free_reads = CONVEYOR_READS;
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

/* The first one is no longer in it. */
static void leave_line(struct swarm *s)
{
	struct peer *p = s->up.line;

	s->up.line = p->up.next;
	if (!s->up.line)
		s->up.line_end = &s->up.line;
	s->up.in_line--;
	p->up.queued = false;
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

/* A peer's share of the conveyor, with one share to spare. */
static uint32_t window(const struct swarm *s)
{
	uint32_t share = disk_conveyor_pages(s->disk) * CONVEYOR_PAGE / (s->up.in_line + 1);

	return max_u32(WINDOW_LEAST, min_u32(WINDOW_MOST, share));
}

void swarm_upload_turn(struct swarm *s)
{
	uint32_t most = s->up.in_line, ahead = window(s);

	s->up.kick = false;
	s->up.dry = false;
	while (most-- && s->up.line) {
		struct peer *p = s->up.line;
		enum peer_asked asked = p->dead ? PEER_ASKED : peer_ask_disk(p, ahead);

		if (asked == PEER_ASKED_NONE)
			break;
		leave_line(s);
		if (asked == PEER_ASKED_SOME) {
			enqueue(p);
			break;
		}
	}
	if (s->up.dry)
		loop_timer_set(s->loop, &s->up.timer, timer_ms(s, bucket_ready_us(&s->up.bucket, s->up.out_bytes + SLOT_BYTES)), on_tokens, s);
}

/* ---- the rate */

bool swarm_may_read_out(struct swarm *s, uint32_t length)
{
	uint64_t most = (uint64_t)s->up.out_bytes + length;

	if (!disk_may_read(s->disk, length) || s->up.held_bytes > HELD_MOST)
		return false;
	/* What was asked for will be sent; whole blocks, the last of them on credit. */
	if (s->up.bucket.rate && bucket_allow(&s->up.bucket, now_us(), most) <= s->up.out_bytes) {
		s->up.dry = true;
		return false;
	}
	return true;
}

void swarm_hold_bytes(struct swarm *s, int32_t change)
{
	bool full = s->up.held_bytes > HELD_MOST;

	s->up.held_bytes = (uint32_t)((int64_t)s->up.held_bytes + change);
	if (full && s->up.held_bytes <= HELD_MOST)
		swarm_upload_kick(s);
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

/* ---- what the choked may have */

bool swarm_may_give_fast(const struct swarm *s, uint32_t bytes)
{
	return s->up.fast_bytes + bytes <= FAST_BURST + s->up.bytes / FAST_ONE_IN;
}

void swarm_count_fast(struct swarm *s, uint32_t bytes)
{
	s->up.fast_bytes += bytes;
}

/* ---- reads */

void swarm_read(struct peer *p, uint32_t serial, uint32_t piece, uint32_t begin, uint32_t length)
{
	struct swarm *s = p->swarm;
	uint32_t place;

	if (!s->up.free_reads)
		bug("more reads than places");
	place = s->up.free_read[--s->up.free_reads];
	s->up.read[place] = (struct upload_read){ .peer = p, .serial = serial, .length = length };
	s->up.out_bytes += length;
	disk_send_read(s->disk, place, piece, begin, length);
}

static struct upload_read take_read(struct swarm *s, uint32_t place)
{
	struct upload_read r = s->up.read[place];

	s->up.read[place].peer = NULL;
	s->up.free_read[s->up.free_reads++] = place;
	s->up.out_bytes -= r.length;
	s->up.kick |= s->up.line != NULL;
	return r;
}

/* disk.c gives back only tags that it was given. */
void swarm_on_data(void *arg, uint32_t tag)
{
	struct upload_read r = take_read(arg, tag);

	if (r.peer)
		peer_on_data(r.peer, r.serial, r.length);
}

void swarm_on_read_failed(void *arg, uint32_t tag, int32_t error)
{
	struct upload_read r = take_read(arg, tag);

	(void)error; /* the parent is told by diskproc */
	if (r.peer)
		peer_on_read_failed(r.peer, r.serial, r.length);
}

void swarm_upload_gone(struct peer *p)
{
	struct swarm *s = p->swarm;
	uint32_t i;

	for (i = 0; i < CONVEYOR_READS; i++)
		if (s->up.read[i].peer == p)
			s->up.read[i].peer = NULL;
	swarm_hold_bytes(s, -(int32_t)p->tx.block_bytes);
	p->tx.block_bytes = 0;
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
			requests_forget(&s->peers[i]->up.requests);
	s->up.out_bytes = 0;
	s->up.free_reads = CONVEYOR_READS;
	for (i = 0; i < CONVEYOR_READS; i++) {
		s->up.read[i].peer = NULL;
		s->up.free_read[i] = CONVEYOR_READS - 1 - i;
	}
}
