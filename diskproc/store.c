/*
 * store.c - see store.h.
 *
 * May assume that the form was validated.  Must never read a slot twice, never
 * let a block reach a buffer that a worker may be hashing at that place, never
 * answer VERIFIED for what is not written.
 */
#include "store.h"

#include "bitfield.h"
#include "log.h"

struct piece {
	struct job job; /* first: a job that comes back is its piece */
	struct piece *chain;
	uint32_t index, bytes, blocks;
	uint32_t have;      /* blocks that came */
	uint32_t prefix;    /* blocks [0, prefix) are there: for large pieces */
	uint32_t region;    /* in the spill file, or SPILL_NONE */
	uint8_t *buffer;    /* NULL: spilled */
	EVP_MD_CTX *hash;   /* running, over [0, job.hashed); owned */
	bool busy;          /* its job is in a worker */
	bool load;          /* spilled blocks must come back into the buffer */
	bool spill;         /* SPILL was asked for and not answered */
	bool keep;          /* a block came since: the answer is given, but the memory is taken again */
	bool orphan;        /* whoever sent it is gone */
	uint64_t *came;     /* blocks that came, in memory or spilled */
	uint64_t *spilled;  /* blocks that are in the region */
	uint64_t *moving;   /* what the job spills or loads */
	uint64_t maps[];    /* the three bitmaps */
};

static bool bit(const uint64_t *map, uint32_t i)
{
	return map[i / 64] >> i % 64 & 1;
}

static uint32_t block_count(uint32_t bytes)
{
	return bytes / SLOT_BYTES + (bytes % SLOT_BYTES != 0);
}

void store_init(struct store *s, const struct metainfo *m, const struct wanted *wanted, uint64_t budget_bytes, struct work *work, struct pool *pool, int spill_fd)
{
	uint32_t length = max_u32(m->h->piece_length, 1), slots = 8;
	uint64_t count;

	memset(s, 0, sizeof *s);
	s->m = m;
	s->wanted = wanted;
	s->wanted_pieces = wanted_sum(wanted, m).pieces;
	s->work = work;
	s->pool = pool;
	s->budget_bytes = max_u64(budget_bytes, 4ull * length);
	/* One more than fits, for a last piece that is shorter.  Tiny pieces take a block's room each. */
	count = s->budget_bytes / max_u32(length, SLOT_BYTES) + 1;
	if (length <= SLOT_BYTES)
		count = max_u64(count, 2 * SLOT_COUNT);
	count = min_u64(count, 1u << 24);
	count = min_u64(count, (uint64_t)m->h->piece_count + 1);
	buffers_init(&s->buffers, (uint32_t)count, length);
	gather_init(&s->gather, work->lanes, length, s->budget_bytes);
	s->backlog_most = STORE_BACKLOG + 2ull * s->gather.most * length;
	spill_init(&s->spill, spill_fd, length);
	blame_init(&s->blame, m->h->piece_count);
	while (slots < 2 * count)
		slots *= 2;
	s->map = must_calloc(slots, sizeof *s->map);
	s->map_mask = slots - 1;
	s->words = block_count(length) / 64 + 1;
	s->have = must_calloc(bitfield_bytes(m->h->piece_count), 1);
}

void store_set_have(struct store *s, uint32_t piece)
{
	uint64_t wanted = layout_wanted_of_piece(s->m, s->wanted, piece);

	if (bitfield_get(s->have, piece))
		bug("piece %u verified twice", piece);
	bitfield_set(s->have, piece);
	s->verified_pieces++;
	s->wanted_verified += wanted > 0;
	s->wanted_bytes += wanted;
}

/*
 * Pieces of one block need no second block, so they always drain: waiting for
 * buffers cannot block for ever.  Larger ones are bounded by the budget, whose
 * breach is a violation.
 */
bool store_has_room(const struct store *s)
{
	if (s->backlog_bytes > s->backlog_most)
		return false;
	return s->m->h->piece_length > SLOT_BYTES || buffers_free_count(&s->buffers) >= 64 ||
	       buffers_free_count(&s->buffers) == s->buffers.count;
}

static void tell(struct store *s, enum message_type type, const void *message)
{
	/* The caller saw to room; what fails is a netproc that is gone, which the loop notices. */
	if (s->net && s->net->fd >= 0 && channel_push(s->net, type, message) < 0)
		log_line(LOG_DETAIL, TOPIC_IPC, "netproc does not take %s", message_rows[type].name);
}

static void tell_piece(struct store *s, const struct piece *p, enum message_type type)
{
	struct msg_verified m = { .piece = p->index }; /* VERIFIED, REJECTED and SPILLED are alike */

	if (!p->orphan)
		tell(s, type, &m);
}

static void tell_blame(void *arg, const struct msg_blame *m)
{
	tell(arg, MSG_BLAME, m);
}

static struct piece *find(const struct store *s, uint32_t index)
{
	struct piece *p = s->map[index & s->map_mask];

	while (p && p->index != index)
		p = p->chain;
	return p;
}

static struct piece *piece_open(struct store *s, uint32_t index)
{
	struct piece *p = s->spare, **slot = &s->map[index & s->map_mask];
	EVP_MD_CTX *hash = NULL;

	if (p) {
		s->spare = p->chain;
		hash = p->hash;
	} else {
		p = must_alloc(sizeof *p + 3 * s->words * sizeof p->maps[0]);
		hash = EVP_MD_CTX_new();
		if (!hash)
			bug("no memory for a digest");
	}
	memset(p, 0, sizeof *p + 3 * s->words * sizeof p->maps[0]);
	p->came = p->maps;
	p->spilled = p->maps + s->words;
	p->moving = p->maps + 2 * s->words;
	p->index = index;
	p->bytes = metainfo_piece_bytes(s->m, index);
	p->blocks = block_count(p->bytes);
	p->region = SPILL_NONE;
	p->hash = hash;
	p->chain = *slot;
	*slot = p;
	s->open_count++;
	return p;
}

static void buffer_give(struct store *s, struct piece *p)
{
	if (!p->buffer)
		return;
	buffers_give(&s->buffers, p->buffer);
	p->buffer = NULL;
	s->memory_bytes -= p->bytes;
}

static void piece_close(struct store *s, struct piece *p)
{
	struct piece **link = &s->map[p->index & s->map_mask];

	while (*link != p)
		link = &(*link)->chain;
	*link = p->chain;
	buffer_give(s, p);
	if (p->region != SPILL_NONE)
		spill_give(&s->spill, p->region);
	p->chain = s->spare;
	s->spare = p;
	s->open_count--;
}

void store_release(struct store *s)
{
	uint32_t i;

	for (i = 0; i <= s->map_mask; i++)
		while (s->map[i])
			piece_close(s, s->map[i]);
	while (s->spare) {
		struct piece *p = s->spare;

		s->spare = p->chain;
		EVP_MD_CTX_free(p->hash);
		free(p);
	}
	blame_clear(&s->blame);
	spill_release(&s->spill);
	buffers_release(&s->buffers);
	free(s->map);
	free(s->have);
}

static int refuse(struct store *s, const char *why)
{
	s->why = why;
	return -1;
}

/* Memory for a piece that has none.  0, or -1 when the budget does not allow it. */
static int buffer_take(struct store *s, struct piece *p)
{
	/* Pieces of one block are bounded by their buffers: see store_has_room(). */
	if (s->m->h->piece_length > SLOT_BYTES && p->bytes > s->budget_bytes - s->memory_bytes)
		return refuse(s, "more open pieces than the budget holds");
	p->buffer = buffers_take(&s->buffers);
	if (!p->buffer)
		return refuse(s, "more open pieces than there are buffers");
	s->memory_bytes += p->bytes;
	p->load = p->have > 0;
	/* What comes back from the spill file is hashed from its first byte, in this very buffer. */
	work_hash_start(s->work, p->hash);
	p->job.hashed = 0;
	return 0;
}

/* The piece is the job's from here on. */
static struct job *begin_job(struct store *s, struct piece *p, enum job_kind kind)
{
	struct job *j = &p->job;

	j->kind = kind;
	j->piece = p->index;
	j->bytes = p->bytes;
	j->buffer = p->buffer;
	j->hash = p->hash;
	j->region = p->region;
	j->blocks = p->moving;
	j->fault = (struct fault){ 0 };
	j->others = NULL;
	j->stalled = false;
	p->busy = true;
	s->busy_count++;
	return j;
}

static void submit(struct store *s, struct job *j, uint32_t weight)
{
	j->link.bytes = weight;
	s->backlog_bytes += weight;
	pool_add(s->pool, POOL_FAST, &j->link);
}

static void submit_gathered(struct store *s)
{
	/* A quarter of the budget at most, which may be 16 GiB. */
	uint32_t weight = (uint32_t)min_u64((uint64_t)s->gather.count * s->gather.piece_length, UINT32_MAX);
	struct job *j = gather_take(&s->gather);

	if (j)
		submit(s, j, weight);
}

/* All blocks are there. */
static void begin_verify(struct store *s, struct piece *p)
{
	struct job *j = begin_job(s, p, JOB_VERIFY);

	gather_on_piece(&s->gather);
	j->want_sums = blame_has(&s->blame, p->index);
	/* With sums an answer may be many messages: such a piece comes back alone. */
	if (!gather_wants(&s->gather, p->bytes) || j->hashed || j->want_sums)
		submit(s, j, p->bytes);
	else if (gather_add(&s->gather, j))
		submit_gathered(s);
}

void store_tick(struct store *s, uint64_t now_ms)
{
	/* When nothing more can come they wait for nobody. */
	bool last = s->hold || s->wanted_verified + s->busy_count >= s->wanted_pieces;
	struct job *j, *others;

	if (gather_tick(&s->gather, now_ms) || last)
		submit_gathered(s);
	for (j = stall_due(&s->stall, now_ms); j; j = others) {
		others = j->others;
		j->others = NULL;
		if (j->kind == JOB_PREPARE)
			pool_add(s->pool, POOL_SLOW, &j->link);
		else
			submit(s, j, j->bytes);
	}
}

/* 0: started, or nothing to do and answered; -1: too many wait on disk. */
static int spill_next(struct store *s, struct piece *p)
{
	bool any = false;
	uint32_t i;

	for (i = 0; i < s->words; i++) {
		p->moving[i] = p->came[i] & ~p->spilled[i];
		any = any || p->moving[i];
	}
	if (any && !p->keep) {
		if (p->region == SPILL_NONE)
			p->region = spill_take(&s->spill);
		if (p->region == SPILL_NONE)
			return refuse(s, "too many pieces wait on disk");
		submit(s, begin_job(s, p, JOB_SPILL), p->bytes);
		return 0;
	}
	if (!p->keep)
		buffer_give(s, p);
	p->spill = p->keep = false;
	tell_piece(s, p, MSG_SPILLED);
	return 0;
}

/* What a piece that is not busy needs next.  0 or -1 as spill_next(). */
static int piece_next(struct store *s, struct piece *p)
{
	if (p->busy || s->fault.act)
		return 0;
	if (p->load) {
		memcpy(p->moving, p->spilled, s->words * sizeof p->moving[0]);
		submit(s, begin_job(s, p, JOB_LOAD), p->bytes);
	} else if (p->have == p->blocks) {
		begin_verify(s, p);
	} else if (p->spill) {
		return spill_next(s, p);
	} else if (p->bytes > PREFIX_PIECE && p->buffer) {
		while (bit(p->came, p->prefix))
			p->prefix++;
		if (p->prefix * SLOT_BYTES - p->job.hashed >= PREFIX_STEP) {
			p->job.prefix = p->prefix * SLOT_BYTES;
			submit(s, begin_job(s, p, JOB_PREFIX), p->job.prefix - p->job.hashed);
		}
	}
	return 0;
}

static int check_block(struct store *s, const struct msg_block *m)
{
	uint32_t bytes;

	if (m->slot >= s->slots->count)
		return refuse(s, "a slot that does not exist");
	if (m->piece >= s->m->h->piece_count)
		return refuse(s, "a piece that does not exist");
	bytes = metainfo_piece_bytes(s->m, m->piece);
	if (m->begin % SLOT_BYTES || m->begin >= bytes)
		return refuse(s, "a block that begins nowhere");
	if (m->length != min_u32(SLOT_BYTES, bytes - m->begin))
		return refuse(s, "a block of a wrong length");
	if (bitfield_get(s->have, m->piece))
		return refuse(s, "a block of a verified piece");
	return 0;
}

int store_on_block(struct store *s, const struct msg_block *m)
{
	struct msg_slot_free freed = { .slot = m->slot };
	uint32_t block = m->begin / SLOT_BYTES;
	struct piece *p;

	if (check_block(s, m) < 0)
		return -1;
	if (s->hold) {
		tell(s, MSG_SLOT_FREE, &freed);
		return 0;
	}
	p = find(s, m->piece);
	if (!p && !layout_wanted_of_piece(s->m, s->wanted, m->piece))
		return refuse(s, "a block of a piece that is not wanted");
	if (!p)
		p = piece_open(s, m->piece);
	if (p->orphan)
		bug("a block for an orphan"); /* no new netproc is served before they are gone */
	if (bit(p->came, block))
		return refuse(s, "a block that is there already");
	if (!p->buffer && buffer_take(s, p) < 0)
		return -1;
	/* Once: what the slot holds may change, but the buffer is ours. */
	memcpy(p->buffer + m->begin, slot_at(s->slots, m->slot), m->length);
	tell(s, MSG_SLOT_FREE, &freed);
	p->came[block / 64] |= 1ull << block % 64;
	p->have++;
	p->keep = p->spill;
	if (!p->busy && !p->load && m->begin == p->job.hashed && (p->job.hashed || !gather_wants(&s->gather, p->bytes))) {
		work_hash_more(p->hash, p->buffer + m->begin, m->length);
		p->job.hashed += m->length;
	}
	return piece_next(s, p);
}

int store_on_spill(struct store *s, const struct msg_spill *m)
{
	struct msg_spilled spilled = { .piece = m->piece };
	struct piece *p;

	if (m->piece >= s->m->h->piece_count)
		return refuse(s, "a spill of a piece that does not exist");
	if (s->hold)
		return 0;
	p = find(s, m->piece);
	if (bitfield_get(s->have, m->piece))
		return refuse(s, "a spill of a verified piece");
	if (p && p->spill)
		return refuse(s, "a second spill of a piece");
	/* Nothing of it is in memory: netproc had reserved some for blocks that never came. */
	if (!p || !p->buffer) {
		tell(s, MSG_SPILLED, &spilled);
		return 0;
	}
	/* A piece whose last block came is answered by its verdict. */
	if (p->have == p->blocks)
		return 0;
	p->spill = true;
	return piece_next(s, p);
}

/* The hash matched: it counts when it is on disk. */
static void piece_verified(struct store *s, struct piece *p)
{
	struct job *j = &p->job;

	if (!j->fault.act) {
		store_set_have(s, p->index);
		s->unsynced_bytes += p->bytes;
		if (!p->orphan)
			blame_verified(&s->blame, p->index, j->sums, p->blocks, tell_blame, s);
		tell_piece(s, p, MSG_VERIFIED);
	}
	free(j->sums);
	j->sums = NULL;
	piece_close(s, p);
}

static void piece_rejected(struct store *s, struct piece *p)
{
	s->rejected_pieces++;
	if (p->orphan)
		free(p->job.sums);
	else
		blame_rejected(&s->blame, p->index, p->job.sums, p->blocks);
	p->job.sums = NULL;
	tell_piece(s, p, MSG_REJECTED);
	piece_close(s, p);
}

static void piece_on_done(struct store *s, struct piece *p)
{
	struct job *j = &p->job;
	uint32_t i;

	if (stall_takes(&s->stall, j, now_ms()))
		return;
	p->busy = false;
	s->busy_count--;
	if (j->fault.act && !s->fault.act)
		s->fault = j->fault;
	if (j->kind == JOB_VERIFY || j->kind == JOB_WRITE) {
		if (j->good)
			piece_verified(s, p);
		else
			piece_rejected(s, p);
		return;
	}
	if (p->orphan) {
		piece_close(s, p);
		return;
	}
	if (j->fault.act)
		return; /* it stays as it is: the store takes no more */
	if (j->kind == JOB_LOAD)
		p->load = false;
	if (j->kind == JOB_SPILL)
		for (i = 0; i < s->words; i++)
			p->spilled[i] |= p->moving[i];
	if (piece_next(s, p) < 0)
		log_line(LOG_WARN, TOPIC_DISK, "piece %u stays in memory: %s", p->index, s->why);
}

void store_on_done(struct store *s, struct job *j)
{
	struct job *others;

	s->backlog_bytes -= j->link.bytes;
	for (; j; j = others) {
		others = j->others;
		piece_on_done(s, (struct piece *)j);
	}
}

void store_forget(struct store *s)
{
	uint32_t i;

	for (i = 0; i <= s->map_mask; i++) {
		struct piece *p = s->map[i], *next;

		for (; p; p = next) {
			next = p->chain;
			if (p->busy)
				p->orphan = true;
			else
				piece_close(s, p);
		}
	}
	blame_clear(&s->blame);
}

void store_give_up(struct store *s)
{
	struct job *j, *others;

	for (j = stall_end(&s->stall); j; j = others) {
		struct piece *p = (struct piece *)j;

		others = j->others;
		if (j->kind == JOB_PREPARE)
			continue;
		p->busy = false;
		s->busy_count--;
		free(j->sums);
		j->sums = NULL;
		piece_close(s, p);
	}
}
