/*
 * requests_model.h - a peer and a diskproc around requests.c; for the unit test and the fuzzer.
 *
 * The model is a plain list of requests in order, and a queue of the reads that
 * are out: answers come in the order of the reads, each to its own request or to
 * nobody.
 */
#ifndef TESTS_REQUESTS_MODEL_H
#define TESTS_REQUESTS_MODEL_H

#define MODEL_PIECES 6u
#define MODEL_PIECE_BYTES 200000u
#define MODEL_READS 64u

struct model_read {
	struct request request;
	bool given_up; /* by a cancel or a choke: nobody waits for it */
};

struct model {
	struct requests q;
	struct request list[REQUESTS_MAX]; /* what is owed, in order */
	uint32_t count, asked;             /* of them so many have a read out */
	struct model_read reads[MODEL_READS];
	uint32_t out;
	uint64_t served;
};

static uint32_t model_piece_bytes(uint32_t piece)
{
	return piece < MODEL_PIECES - 1 ? MODEL_PIECE_BYTES : piece == MODEL_PIECES - 1 ? 5000 : 0;
}

static struct model *model_new(void)
{
	return must_calloc(1, sizeof(struct model));
}

static bool model_same(const struct request *a, const struct request *b)
{
	return a->piece == b->piece && a->begin == b->begin && a->length == b->length;
}

static uint32_t model_find(const struct model *m, const struct request *r)
{
	uint32_t i;

	for (i = 0; i < m->count; i++)
		if (model_same(&m->list[i], r))
			break;
	return i;
}

static void model_remove(struct model *m, uint32_t i)
{
	uint32_t k;

	for (k = 0; i < m->asked && k < m->out; k++)
		m->reads[k].given_up |= model_same(&m->reads[k].request, &m->list[i]);
	m->asked -= i < m->asked;
	m->count--;
	memmove(m->list + i, m->list + i + 1, (m->count - i) * sizeof *m->list);
}

/* After each step. */
static void model_check(const struct model *m)
{
	uint32_t i, bytes = 0;

	if (m->q.count != m->count || m->q.asked != m->asked || requests_waiting(&m->q) != m->count - m->asked)
		bug("%u requests, %u asked; %u, %u in the model", m->q.count, m->q.asked, m->count, m->asked);
	for (i = 0; i < m->count; i++)
		if (!model_same(at(&m->q, i), &m->list[i]))
			bug("request %u is another one", i);
	for (i = 1; i < m->asked; i++)
		if (at(&m->q, i)->serial <= at(&m->q, i - 1)->serial)
			bug("the serials do not rise");
	for (i = 0; i < m->out; i++)
		bytes += m->reads[i].request.length;
	if (m->q.out_bytes != bytes)
		bug("%u bytes are out, %u in the model", m->q.out_bytes, bytes);
}

static void model_add(struct model *m, struct request r, bool have)
{
	enum requests_verdict want = REQUESTS_TAKEN, got;
	uint64_t piece_bytes = model_piece_bytes(r.piece);

	if (!r.length || r.length > REQUEST_BYTES_MAX || (uint64_t)r.begin + r.length > piece_bytes)
		want = REQUESTS_LIE;
	else if (!have)
		want = REQUESTS_NOT_HAD;
	else if (model_find(m, &r) < m->count)
		want = REQUESTS_DUPLICATE;
	else if (m->count == REQUESTS_MAX)
		want = REQUESTS_FULL;
	got = requests_add(&m->q, r.piece, r.begin, r.length, (uint32_t)piece_bytes, have);
	if (got != want)
		bug("a request is judged %d, not %d", got, want);
	if (got == REQUESTS_TAKEN)
		m->list[m->count++] = r;
}

static void model_cancel(struct model *m, struct request r)
{
	uint32_t i = model_find(m, &r);

	if (requests_cancel(&m->q, r.piece, r.begin, r.length) != (i < m->count))
		bug("a cancel is judged wrong");
	if (i < m->count)
		model_remove(m, i);
}

/* What requests.c dropped is what `stays` does not name, in order. */
static void model_sift(struct model *m, const bool stays[MODEL_PIECES], const struct request *out, uint32_t n)
{
	uint32_t i, dropped = 0;

	for (i = 0; i < m->count;) {
		if (stays[m->list[i].piece]) {
			i++;
			continue;
		}
		if (dropped >= n || !model_same(&out[dropped], &m->list[i]))
			bug("a request that is dropped is not told");
		dropped++;
		model_remove(m, i);
	}
	if (dropped != n)
		bug("%u requests are dropped, %u should be", n, dropped);
}

static void model_choke(struct model *m, const uint32_t *fast, uint32_t fast_count)
{
	static struct request out[REQUESTS_MAX];
	bool stays[MODEL_PIECES] = { false };
	uint32_t k, n = requests_choke(&m->q, fast, fast_count, out);

	for (k = 0; k < fast_count; k++)
		stays[fast[k]] = true;
	model_sift(m, stays, out, n);
	if (!m->count && m->q.ring)
		bug("an empty queue keeps its memory");
}

static void model_read(struct model *m)
{
	const struct request *r = requests_next_read(&m->q);

	if (!r != (m->asked == m->count))
		bug("a read where there is none, or none where there is one");
	if (!r || m->out == MODEL_READS)
		return;
	if (!model_same(r, &m->list[m->asked]))
		bug("the read is another one's");
	m->reads[m->out++] = (struct model_read){ .request = *r };
	m->reads[m->out - 1].request.serial = requests_asked(&m->q);
	m->asked++;
}

/* The oldest read is answered. */
static void model_answer(struct model *m)
{
	struct model_read r = m->reads[0];
	struct request got;

	if (!m->out)
		return;
	memmove(m->reads, m->reads + 1, --m->out * sizeof r);
	if (requests_answered(&m->q, r.request.serial, r.request.length, &got) == r.given_up)
		bug("an answer finds somebody though nobody waits, or nobody though one does");
	if (r.given_up)
		return;
	if (!model_same(&got, &r.request) || !model_same(&got, &m->list[0]))
		bug("an answer is taken for another one's");
	model_remove(m, 0);
	m->served++;
}

/* diskproc was replaced; the next one has piece i when bit i of `had` is set. */
static void model_forget(struct model *m, uint32_t had)
{
	static struct request out[REQUESTS_MAX];
	uint8_t have[MODEL_PIECES / 8 + 1] = { 0 };
	bool stays[MODEL_PIECES];
	uint32_t i;

	for (i = 0; i < MODEL_PIECES; i++) {
		stays[i] = had >> i & 1;
		if (stays[i])
			bitfield_set(have, i);
	}
	requests_forget(&m->q);
	m->out = m->asked = 0;
	model_sift(m, stays, out, requests_keep_had(&m->q, have, out));
}

static void model_end(struct model *m)
{
	while (m->out)
		model_answer(m);
	while (m->count) {
		uint64_t before = m->served;

		model_read(m);
		while (m->out)
			model_answer(m);
		if (m->served == before)
			bug("%u requests are never served", m->count);
	}
	model_check(m);
	requests_clear(&m->q);
	free(m);
}

/* One step by up to five bytes; next() yields them. */
static void model_step(struct model *m, uint32_t (*next)(void *), void *in)
{
	static const uint32_t lengths[] = { 16384, 16384, 16384, 1, 131072, 131073, 40000, 32768, 0, 5000 };
	uint32_t event = next(in), a = next(in), n;
	struct request r = { .piece = a % (MODEL_PIECES + (a > 250)) };

	switch (event % 8) {
	case 0: case 1: case 2:
		for (n = event / 8 % 8 + 1; n; n--) {
			r.begin = next(in) * 1024;
			r.length = lengths[event / 8 % 2 ? next(in) % ARRAY_LEN(lengths) : 0];
			model_add(m, r, a % 16 != 15);
		}
		break;
	case 3:
		if (m->count && a < 200)
			r = m->list[a * 5 % m->count];
		model_cancel(m, r);
		break;
	case 4: case 5:
		for (n = a % 20; n; n--)
			model_read(m);
		break;
	case 6:
		for (n = a % 20; n; n--)
			model_answer(m);
		break;
	default:
		if (event < 96)
			model_choke(m, (uint32_t[]){ a % MODEL_PIECES, 2 }, a % 3);
		else if (event < 128)
			model_forget(m, a);
		else
			model_answer(m);
	}
	model_check(m);
}

#endif
