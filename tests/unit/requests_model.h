/*
 * requests_model.h - a peer, a diskproc and a socket around requests.c, driven by bytes; for the unit test and the fuzzer.
 *
 * The model is a plain list of requests in order.  The pieces' content is made
 * up once, so that the stream that comes out can be read back:
 * whole messages, in the order of the list, each once, of the right bytes.
 * Slots have an owner, so none is lost or given back twice.
 */
#ifndef TESTS_REQUESTS_MODEL_H
#define TESTS_REQUESTS_MODEL_H

#define MODEL_PIECES 6u
#define MODEL_PIECE_BYTES 200000u
#define MODEL_SLOTS 48u

struct model_read {
	struct requests_read read;
	bool out;
};

struct model {
	struct requests q;
	struct request list[REQUESTS_MAX]; /* what is owed, in order */
	uint32_t count;
	uint32_t sent;      /* of the first, with its head */
	struct model_read reads[REQUESTS_PARTS]; /* never more are out, lost ones too */
	bool taken[MODEL_SLOTS];
	struct slots slots;
	uint64_t messages;
	bool stuck;         /* a read of a partly sent block failed: the peer would be dropped */
};

static uint8_t model_content[MODEL_PIECES][MODEL_PIECE_BYTES];
static uint8_t model_memory[MODEL_SLOTS * SLOT_BYTES];

static uint32_t model_piece_bytes(uint32_t piece)
{
	return piece < MODEL_PIECES - 1 ? MODEL_PIECE_BYTES : piece == MODEL_PIECES - 1 ? 5000 : 0;
}

static struct model *model_new(void)
{
	struct model *m = must_calloc(1, sizeof *m);
	uint32_t i, k;

	for (i = 0; !model_content[0][1] && i < MODEL_PIECES; i++)
		for (k = 0; k < MODEL_PIECE_BYTES; k++)
			model_content[i][k] = (uint8_t)(i * 31 + k * 7 + (k >> 8) * 3 + (k >> 14));
	m->slots.base = model_memory;
	m->slots.count = MODEL_SLOTS;
	return m;
}

/* The invariants of requests.c. */
static void requests_check(const struct requests *q)
{
	uint32_t k, i = 0, place = sent_payload(q), lengths;

	if (q->count > REQUESTS_MAX || q->parts > REQUESTS_PARTS || q->next > q->count || (q->next == q->count && q->next_at))
		bug("%u requests, %u parts, cursor at %u", q->count, q->parts, q->next);
	if (q->next < q->count && q->next_at >= at(q, q->next)->length)
		bug("the cursor stands at the end of a request");
	for (k = 0; k < q->parts; k++) {
		const struct request_part *p = &q->part[k];

		if (i >= q->count)
			bug("a part of no request");
		lengths = at(q, i)->length;
		if (p->at > place || p->at + p->length <= place || p->length > SLOT_BYTES || (k && p->at != place))
			bug("part %u begins at %u, not %u", k, p->at, place);
		place = p->at + p->length;
		if (place > lengths)
			bug("a part that leaves its request");
		if (place == lengths) {
			place = 0;
			i++;
		}
	}
	if (q->parts && (i != q->next || place != q->next_at))
		bug("the parts end at %u, %u, the cursor is at %u, %u", i, place, q->next, q->next_at);
	if (!q->parts && q->count && (q->next || q->next_at != sent_payload(q)))
		bug("no parts, and the cursor is not at the front");
}

static void model_free_slots(struct model *m, const struct requests_freed *freed)
{
	uint32_t i;

	for (i = 0; i < freed->count; i++) {
		if (freed->slot[i] >= MODEL_SLOTS || !m->taken[freed->slot[i]])
			bug("slot %u is given back though nobody has it", freed->slot[i]);
		m->taken[freed->slot[i]] = false;
		*slot_at(&m->slots, freed->slot[i]) ^= 0xff; /* diskproc fills it with something else */
	}
}

static void model_remove(struct model *m, uint32_t i)
{
	m->count--;
	memmove(m->list + i, m->list + i + 1, (m->count - i) * sizeof *m->list);
}

static uint32_t model_find(const struct model *m, const struct request *r)
{
	uint32_t i;

	for (i = 0; i < m->count; i++)
		if (!memcmp(&m->list[i], r, sizeof *r))
			break;
	return i;
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
	enum requests_cancel want = i == m->count ? REQUESTS_UNKNOWN : i == 0 && m->sent ? REQUESTS_FINISHES : REQUESTS_CANCELLED, got;
	struct requests_freed freed;

	got = requests_cancel(&m->q, r.piece, r.begin, r.length, &freed);
	if (got != want)
		bug("a cancel is judged %d, not %d", got, want);
	model_free_slots(m, &freed);
	if (got == REQUESTS_CANCELLED)
		model_remove(m, i);
}

static void model_choke(struct model *m, const uint32_t *fast, uint32_t fast_count)
{
	static struct request out[REQUESTS_MAX];
	struct requests_freed freed;
	uint32_t n = requests_choke(&m->q, fast, fast_count, out, &freed), i, k, dropped = 0;

	model_free_slots(m, &freed);
	for (i = m->sent ? 1 : 0; i < m->count;) {
		for (k = 0; k < fast_count && fast[k] != m->list[i].piece; k++)
			;
		if (k < fast_count) {
			i++;
			continue;
		}
		if (dropped >= n || memcmp(&out[dropped], &m->list[i], sizeof *out))
			bug("a request that is dropped is not told");
		dropped++;
		model_remove(m, i);
	}
	if (dropped != n)
		bug("%u requests are dropped, %u should be", n, dropped);
}

static void model_read(struct model *m, uint32_t window)
{
	struct requests_read r;
	uint32_t i, j, out = 0;

	if (!requests_next_read(&m->q, window, &r))
		return;
	if (!r.length || r.length > SLOT_BYTES || r.begin + r.length > model_piece_bytes(r.piece))
		bug("a read of %u bytes at %u of piece %u", r.length, r.begin, r.piece);
	for (i = 0, j = REQUESTS_PARTS; i < REQUESTS_PARTS; i++) {
		out += m->reads[i].out;
		if (!m->reads[i].out)
			j = i;
	}
	if (out >= window || j == REQUESTS_PARTS)
		bug("%u reads are out at once", out + 1);
	m->reads[j] = (struct model_read){ r, true };
}

/* The read that is out at or after place i of the table is answered. */
static void model_answer(struct model *m, uint32_t i, bool fails)
{
	const uint32_t n = REQUESTS_PARTS;
	uint32_t k, slot;
	struct requests_freed freed;
	struct request dropped;
	struct requests_read r;

	for (k = 0; k < n && !m->reads[(i + k) % n].out; k++)
		;
	for (slot = 0; slot < MODEL_SLOTS && m->taken[slot]; slot++)
		;
	if (k == n || slot == MODEL_SLOTS)
		return;
	r = m->reads[(i + k) % n].read;
	m->reads[(i + k) % n].out = false;
	if (fails) {
		enum requests_failed how = requests_on_failed(&m->q, r.serial, &dropped, &freed);

		model_free_slots(m, &freed);
		if (how == REQUESTS_STUCK && !m->sent)
			bug("a block that is not begun is stuck");
		m->stuck |= how == REQUESTS_STUCK;
		if (how != REQUESTS_DROPPED)
			return;
		k = model_find(m, &dropped);
		if (k == m->count || (!k && m->sent) || dropped.piece != r.piece || r.begin < dropped.begin ||
		    r.begin - dropped.begin >= dropped.length)
			bug("a failed read drops what it did not belong to");
		model_remove(m, k);
		return;
	}
	memcpy(slot_at(&m->slots, slot), &model_content[r.piece][r.begin], r.length);
	m->taken[slot] = requests_on_data(&m->q, r.serial, slot);
}

/* Bytes come out of the socket.  Returns how many were payload. */
static size_t model_take(struct model *m, const uint8_t *bytes, size_t n)
{
	uint8_t head[WIRE_PIECE_HEAD];
	size_t payload = 0, took;

	for (; n; n -= took, bytes += took) {
		const struct request *r = &m->list[0];

		if (!m->count)
			bug("bytes that nobody asked for");
		wire_put_piece_head(head, r->piece, r->begin, r->length);
		if (m->sent < sizeof head) {
			took = min_u64(n, sizeof head - m->sent);
			if (memcmp(bytes, head + m->sent, took))
				bug("a head is wrong");
		} else {
			uint32_t done = m->sent - (uint32_t)sizeof head;

			took = min_u64(n, r->length - done);
			if (memcmp(bytes, &model_content[r->piece][r->begin + done], took))
				bug("a block is wrong after byte %u", done);
			payload += took;
		}
		m->sent += (uint32_t)took;
		if (m->sent == sizeof head + r->length) {
			model_remove(m, 0);
			m->sent = 0;
			m->messages++;
		}
	}
	return payload;
}

static void model_send(struct model *m, uint32_t blocks, size_t most, size_t taken)
{
	static struct requests_iov iov;
	struct requests_freed freed;
	size_t n = requests_iov(&m->q, &m->slots, blocks, most, &iov), sum = 0, done = 0, part, payload = 0;
	int k;

	for (k = 0; k < iov.count; k++)
		sum += iov.vec[k].iov_len;
	if (sum != n || n > most || iov.count > (int)(2 * blocks) || (n > 0) != (requests_sendable(&m->q) && blocks && most))
		bug("%zu bytes in %d vectors, %zu were to be", sum, iov.count, n);
	taken = min_u64(taken, n);
	for (k = 0; k < iov.count && done < taken; k++, done += part) {
		part = min_u64(iov.vec[k].iov_len, taken - done);
		payload += model_take(m, iov.vec[k].iov_base, part);
	}
	if (requests_sent(&m->q, taken, &freed) != payload)
		bug("payload is not counted right");
	model_free_slots(m, &freed);
}

static void model_release(struct model *m)
{
	struct requests_freed freed;
	uint32_t i;

	requests_release(&m->q, &freed);
	model_free_slots(m, &freed);
	for (i = 0; i < MODEL_SLOTS; i++)
		if (m->taken[i])
			bug("slot %u is held after a release", i);
}

/* diskproc was replaced; the next one has piece i when bit i % 8 of `had` is set. */
static void model_forget(struct model *m, uint32_t had)
{
	static struct request out[REQUESTS_MAX];
	uint8_t have[MODEL_PIECES / 8 + 1] = { 0 };
	uint32_t i, n, dropped = 0;
	bool stuck;

	for (i = 0; i < 8 * sizeof have; i++)
		if (had >> i % 8 & 1)
			bitfield_set(have, i);
	requests_forget(&m->q);
	n = requests_keep_had(&m->q, have, out, &stuck);
	if (stuck != (m->sent && !bitfield_get(have, m->list[0].piece)))
		bug("a request that is partly sent is judged %d", stuck);
	m->stuck |= stuck;
	for (i = m->sent ? 1 : 0; i < m->count;) {
		if (bitfield_get(have, m->list[i].piece)) {
			i++;
			continue;
		}
		if (dropped >= n || memcmp(&out[dropped], &m->list[i], sizeof *out))
			bug("a request that is dropped is not told");
		dropped++;
		model_remove(m, i);
	}
	if (dropped != n)
		bug("%u requests are dropped, %u should be", n, dropped);
	memset(m->taken, 0, sizeof m->taken);
	memset(m->reads, 0, sizeof m->reads);
	memset(model_memory, 0xdd, sizeof model_memory);
}

/* After each step. */
static void model_check(const struct model *m)
{
	uint32_t i, held = 0, ready = 0;

	requests_check(&m->q);
	if (m->q.count != m->count || m->q.sent != m->sent || requests_midway(&m->q) != (m->sent > 0))
		bug("%u requests, %u in the model; %u and %u bytes sent", m->q.count, m->count, m->q.sent, m->sent);
	for (i = 0; i < m->count; i++)
		if (memcmp(at(&m->q, i), &m->list[i], sizeof *m->list))
			bug("request %u is another one", i);
	for (i = 0; i < MODEL_SLOTS; i++)
		held += m->taken[i];
	for (i = 0; i < m->q.parts; i++)
		ready += m->q.part[i].ready;
	if (held != ready)
		bug("%u slots are taken, %u are held", held, ready);
}

/* Sends all that is left, unless it is stuck, and frees the model. */
static void model_end(struct model *m)
{
	uint32_t turns;

	for (turns = 0; m->count && !m->stuck; turns++) {
		uint32_t i;

		if (turns > 100000)
			bug("%u requests are never served", m->count);
		for (i = 0; i < REQUESTS_PARTS; i++)
			model_read(m, REQUESTS_PARTS);
		for (i = 0; i < 2 * REQUESTS_PARTS; i++)
			model_answer(m, i, false);
		model_send(m, 16, SIZE_MAX, SIZE_MAX);
	}
	model_release(m);
	requests_clear(&m->q);
	free(m);
}

/* One step by up to five bytes; next() yields them. */
static void model_step(struct model *m, uint32_t (*next)(void *), void *in)
{
	static const uint32_t lengths[] = { 16384, 16384, 16384, 1, 131072, 131073, 40000, 32768, 0, 5000 };
	uint32_t event = next(in), a = next(in), n;
	struct request r = { a % (MODEL_PIECES + (a > 250)), 0, 0 };

	switch (event % 12) {
	case 0: case 1: case 2:
		for (n = event / 12 % 8 + 1; n; n--) {
			r.begin = next(in) * 1024;
			r.length = lengths[event / 12 % 2 ? next(in) % ARRAY_LEN(lengths) : 0];
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
			model_read(m, event % 40);
		break;
	case 6: case 7:
		for (n = a % 20; n; n--)
			model_answer(m, next(in), false);
		break;
	case 8:
		model_send(m, a % 33, SIZE_MAX, next(in) * 3000);
		break;
	case 9:
		model_send(m, 16, a * 997, SIZE_MAX);
		break;
	case 10:
		n = a % 3;
		if (event >= 128)
			model_choke(m, (uint32_t[]){ a % MODEL_PIECES, 2 }, n);
		else
			model_send(m, 16, a % 20, SIZE_MAX);
		break;
	default:
		if (event < 60)
			model_release(m);
		else if (event < 120)
			model_answer(m, a, true);
		else if (event < 130)
			model_forget(m, a);
		else
			model_send(m, 1, SIZE_MAX, a);
	}
	model_check(m);
}

#endif
