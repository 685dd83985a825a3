/*
 * blame.c - see blame.h.  Memory does not grow past BLAME_BYTES, whatever netproc sends.
 */
#include "blame.h"

#include "bitfield.h"

struct blame_record {
	struct blame_record *next;
	uint32_t piece;
	uint32_t blocks;
	uint32_t attempts;                /* rejections so far; copy k is attempts - 1 when it is the last */
	uint32_t first;                   /* the attempt that sums[0] belongs to */
	uint32_t copies;
	uint64_t *sums[BLAME_COPIES];     /* owned; in order of attempts; NULL: lost */
};

void blame_init(struct blame *b, uint32_t pieces)
{
	memset(b, 0, sizeof *b);
	b->pieces = pieces;
}

static size_t sums_bytes(const struct blame_record *r)
{
	return r->blocks * sizeof(uint64_t);
}

static void drop_copy(struct blame *b, struct blame_record *r)
{
	free(r->sums[0]);
	memmove(r->sums, r->sums + 1, (r->copies - 1) * sizeof r->sums[0]);
	r->copies--;
	r->first++;
	b->bytes -= sums_bytes(r);
}

static struct blame_record *find_record(const struct blame *b, uint32_t piece)
{
	struct blame_record *r;

	for (r = b->oldest; r; r = r->next)
		if (r->piece == piece)
			return r;
	return NULL;
}

static void drop_record(struct blame *b, struct blame_record *r)
{
	struct blame_record **link = &b->oldest, *before = NULL;

	while (*link != r) {
		before = *link;
		link = &before->next;
	}
	*link = r->next;
	if (b->newest == r)
		b->newest = before;
	while (r->copies)
		drop_copy(b, r);
	b->bytes -= sizeof *r;
	free(r);
}

void blame_clear(struct blame *b)
{
	while (b->oldest)
		drop_record(b, b->oldest);
	free(b->forgotten);
	b->forgotten = NULL;
}

bool blame_has(const struct blame *b, uint32_t piece)
{
	return find_record(b, piece) != NULL;
}

/*
 * The count of a piece's attempts is lost with its record.  A later copy would
 * be blamed under a wrong number, and so on a wrong peer: such a piece is never
 * blamed again.
 */
static void forget_oldest(struct blame *b)
{
	if (!b->forgotten)
		b->forgotten = must_calloc(bitfield_bytes(b->pieces), 1);
	bitfield_set(b->forgotten, b->oldest->piece);
	drop_record(b, b->oldest);
}

void blame_rejected(struct blame *b, uint32_t piece, uint64_t *sums, uint32_t blocks)
{
	struct blame_record *r = find_record(b, piece);

	if (b->forgotten && bitfield_get(b->forgotten, piece)) {
		free(sums);
		return;
	}
	if (!r) {
		r = must_calloc(1, sizeof *r);
		r->piece = piece;
		r->blocks = blocks;
		if (b->newest)
			b->newest->next = r;
		else
			b->oldest = r;
		b->newest = r;
		b->bytes += sizeof *r;
	}
	if (r->copies == BLAME_COPIES)
		drop_copy(b, r);
	r->sums[r->copies++] = sums;
	r->attempts++;
	b->bytes += sums_bytes(r);
	while (b->bytes > BLAME_BYTES) {
		if (b->oldest != r)
			forget_oldest(b);
		else if (r->copies > 1)
			drop_copy(b, r);
		else
			break; /* one copy of the largest piece is 128 KiB: it fits */
	}
}

static void compare(const struct blame_record *r, uint32_t copy, const uint64_t *good,
		    void (*tell)(void *, const struct msg_blame *), void *arg)
{
	uint32_t first, i;

	for (first = 0; first < r->blocks; first += 1024) {
		struct msg_blame m = { .piece = r->piece, .attempt = r->first + copy, .first_block = first };
		bool any = false;

		m.blocks = min_u32(1024, r->blocks - first);
		for (i = 0; i < m.blocks; i++)
			if (r->sums[copy][first + i] != good[first + i]) {
				bitfield_set(m.bad, i);
				any = true;
			}
		if (any)
			tell(arg, &m);
	}
}

void blame_verified(struct blame *b, uint32_t piece, const uint64_t *sums, uint32_t blocks,
		    void (*tell)(void *arg, const struct msg_blame *m), void *arg)
{
	struct blame_record *r = find_record(b, piece);
	uint32_t i;

	if (!r)
		return;
	for (i = 0; sums && blocks == r->blocks && i < r->copies; i++)
		if (r->sums[i])
			compare(r, i, sums, tell, arg);
	drop_record(b, r);
}
