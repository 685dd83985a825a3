/*
 * fuzz_disk_ipc.c - a hostile netproc: packets of any content at diskproc's data channel.
 *
 * The input is a list of records: an opcode, then its bytes.  Whatever comes,
 * memory stays in the budget, no byte reaches a file that is not the payload's,
 * and what is read out is verified, and what was asked for.  Inputs of an odd
 * length meet a diskproc of which not all files are wanted: the others are not made.
 */
#include <signal.h>

#include "../unit/disk_rig.h"

#define PIECE (48u * 1024u + 100u)

static const struct fixture_file files[] = { { "d/a", 70000, 0 }, { "d/e", 0, 0 }, { "b", 200000, 0 }, { "p", 50000, METAINFO_FILE_PAD }, { "c", 9, 0 } };
static uint8_t levels[ARRAY_LEN(files)] = { WANTED_NORMAL, WANTED_NOT, WANTED_NOT, WANTED_NOT, WANTED_HIGH };
static struct rig rigs[2];
static bool selects;
#define rig rigs[selects]
/* READs of pieces as they are that are not answered, in order. */
static struct msg_read asked[CONVEYOR_READS];
static uint32_t asked_count, first_tag;
static bool wild; /* there were others too: then nobody knows whose bytes come */

static void begin(void)
{
	rig_make(&rig, files, ARRAY_LEN(files), PIECE, false);
	if (selects) {
		rig.wanted = (struct wanted){ levels, ARRAY_LEN(files) };
		rig.parts = openat(rig.root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	}
	rig_start(&rig, false, false, 4 * PIECE);
	if (!rig_until(&rig, rig_told))
		abort();
}

/* A new conversation with the same threads, slots and files: what is verified is forgotten. */
static void again(void)
{
	struct store *s = &rig.d.store;
	int pair[2];

	store_forget(s);
	if (s->open_count || s->memory_bytes || channel_pair(pair) < 0)
		abort();
	memset(s->have, 0, bitfield_bytes(rig.m.h->piece_count));
	s->verified_pieces = s->rejected_pieces = 0;
	s->wanted_verified = 0;
	s->wanted_bytes = 0;
	s->hold = rig.d.stopping = false;
	rig.d.stage = STAGE_RUN;
	channel_close(&rig.d.net);
	channel_close(&rig.net_end);
	channel_init(&rig.d.net, pair[0], rig.epoch, false, "netproc");
	channel_init(&rig.net_end, pair[1], rig.epoch, false, "diskproc");
	rig.d.net_state = NET_OPEN;
	rig.heard_count = 0;
	upload_reset(&rig.d.upload);
	rig.d.upload.fault = (struct fault){ 0 };
	asked_count = 0;
	wild = false;
}

static void on_answer(uint16_t type, const void *message)
{
	static uint8_t is[CONVEYOR_READ_MAX], ought[CONVEYOR_READ_MAX];
	const struct msg_read_failed *failed = message;
	struct msg_read r = asked[0];
	uint32_t n = type == MSG_DATA ? r.length : failed->bytes;

	if (!asked_count || failed->tag != r.tag || n > r.length || (n && read(rig.reading, is, n) != (ssize_t)n))
		abort();
	memmove(asked, asked + 1, --asked_count * sizeof r);
	fixture_payload(&rig.m, ought, (uint64_t)r.piece * PIECE + r.begin, n);
	if (n && (!bitfield_get(rig.d.store.have, r.piece) || memcmp(is, ought, n)))
		abort();
}

/* Looks at what diskproc says. */
static void hear(void)
{
	uint8_t rest[4096];
	struct packet p;
	uint32_t i;

	while (channel_receive(&rig.net_end, &p) == CHANNEL_OK)
		for (i = 0; i < p.count && !wild && (p.type == MSG_DATA || p.type == MSG_READ_FAILED); i++)
			on_answer(p.type, packet_message(&p, i));
	while (wild && read(rig.reading, rest, sizeof rest) > 0)
		;
}

/* Places in the pipe that are taken by what was asked for. */
static uint32_t pages_asked(void)
{
	uint32_t i, n = 0;

	for (i = 0; i < asked_count; i++)
		n += conveyor_cost(asked[i].length);
	return n;
}

/* What was read out is a part of a piece that is verified. */
static void check_read(const struct job *j)
{
	uint32_t bytes = j->piece < rig.m.h->piece_count ? metainfo_piece_bytes(&rig.m, j->piece) : 0;

	if (!bytes || !bitfield_get(rig.d.store.have, j->piece) || j->begin >= bytes || j->bytes > bytes - j->begin)
		abort();
}

/* Every READ is somewhere, once, and of what is verified. */
static void check_reads(void)
{
	const struct upload *u = &rig.d.upload;
	bool free[CONVEYOR_READS] = { false };
	const struct job *j;
	uint32_t i, wanted = 0;

	for (i = 0; i < u->free_count; i++) {
		if (free[u->free[i] - u->read])
			abort();
		free[u->free[i] - u->read] = true;
	}
	for (j = u->wanted; j; j = j->others, wanted++)
		check_read(j);
	if (u->free_count + u->busy + wanted != CONVEYOR_READS)
		abort();
}

/* Each byte on disk is the payload's, or a hole's. */
static void check_files(void)
{
	static const char *const names[] = { "d/a", NULL, "b", NULL, "c" };
	static uint8_t is[200000], ought[ARRAY_LEN(names)][200000], zero[512];
	static bool made; /* of both rigs alike */
	uint32_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		const struct metainfo_file *f = &metainfo_files(&rig.m)[i];
		int fd = names[i] ? openat(rig.root, names[i], O_RDONLY) : -1;
		size_t n, at, k;

		if (!made)
			fixture_payload(&rig.m, ought[i], f->offset, (size_t)f->length);
		if (selects && levels[i] == WANTED_NOT && fd >= 0)
			abort();
		/* Its bytes of pieces that are wanted too. */
		if (selects && i == 2)
			fd = dup(rig.parts);
		if (fd < 0)
			continue;
		memset(is, 0, sizeof is);
		n = (size_t)pread(fd, is, (size_t)f->length, selects && i == 2 ? (off_t)f->offset : 0);
		if (selects && i == 2)
			n = (size_t)f->length; /* the parts file ends with what is in it */
		close(fd);
		if (n != f->length)
			abort();
		for (at = 0; at < n; at += k) {
			k = n - at < sizeof zero ? n - at : sizeof zero;
			if (!memcmp(is + at, ought[i] + at, k) || !memcmp(is + at, zero, k))
				continue;
			for (size_t j = at; j < at + k; j++)
				if (is[j] && is[j] != ought[i][j])
					abort();
		}
	}
	made = true;
}

/* The next bytes of the input, zeros when it is used up. */
static void take(const uint8_t **p, size_t *left, void *out, size_t n)
{
	size_t k = n < *left ? n : *left;

	memset(out, 0, n);
	memcpy(out, *p, k);
	*p += k;
	*left -= k;
}

static enum channel_result play_record(const uint8_t **p, size_t *left)
{
	uint8_t op[4];
	enum channel_result r = CHANNEL_OK;

	take(p, left, op, sizeof op);
	switch (op[0] % 8) {
	case 0: { /* a block that exists */
		struct msg_block m = { .piece = op[1] % rig.m.h->piece_count, .begin = op[2] % 4 * SLOT_BYTES, .slot = op[3] };

		m.length = min_u32(SLOT_BYTES, metainfo_piece_bytes(&rig.m, m.piece) - min_u32(m.begin, metainfo_piece_bytes(&rig.m, m.piece)));
		fixture_payload(&rig.m, slot_at(&rig.slots, m.slot), (uint64_t)m.piece * PIECE + m.begin, m.length);
		*slot_at(&rig.slots, m.slot) = (uint8_t)(*slot_at(&rig.slots, m.slot) + (op[2] >> 6 == 3));
		(void)!channel_push(&rig.net_end, MSG_BLOCK, &m);
		break;
	}
	case 1: { /* any block */
		struct msg_block m;

		take(p, left, &m, sizeof m);
		(void)!channel_push(&rig.net_end, MSG_BLOCK, &m);
		break;
	}
	case 2: {
		struct msg_spill m = { .piece = op[1] % (rig.m.h->piece_count + 1) };

		(void)!channel_push(&rig.net_end, MSG_SPILL, &m);
		break;
	}
	case 3: { /* any packet */
		uint8_t bytes[PACKET_MAX + 8];
		size_t n = (size_t)op[1] | (size_t)op[2] << 8;

		n = n < sizeof bytes ? n : sizeof bytes;
		take(p, left, bytes, n);
		wild = true;
		(void)channel_flush(&rig.net_end);
		(void)!write(rig.net_end.fd, bytes, n);
		break;
	}
	case 6: { /* a read of what exists, if it is verified; up to 64 that follow each other */
		uint32_t piece = op[1] % rig.m.h->piece_count, bytes = metainfo_piece_bytes(&rig.m, piece), at = op[2] * 200u, n = 1 + op[3] % 64;

		for (; n && at < bytes && asked_count < ARRAY_LEN(asked) && pages_asked() + conveyor_cost(SLOT_BYTES) <= CONVEYOR_BYTES / CONVEYOR_PAGE; n--) {
			struct msg_read *m = &asked[asked_count++];

			*m = (struct msg_read){ .tag = first_tag++, .piece = piece, .begin = at };
			m->length = min_u32(min_u32(bytes - at, SLOT_BYTES), 1u + op[3] * 80u);
			at += m->length;
			(void)!channel_push(&rig.net_end, MSG_READ, m);
		}
		break;
	}
	case 7: { /* any read */
		struct msg_read m;

		take(p, left, &m, sizeof m);
		wild = true;
		(void)!channel_push(&rig.net_end, MSG_READ, &m);
		break;
	}
	case 4: /* time passes; or storage fails, and nothing is read any more */
		rig.d.store.hold |= op[1] == 255;
		(void)channel_flush(&rig.net_end);
		r = disk_serve_net(&rig.d);
		break;
	default:
		(void)channel_flush(&rig.net_end);
		r = disk_serve_net(&rig.d);
		disk_results(&rig.d);
		break;
	}
	if (rig.d.store.memory_bytes > rig.d.store.budget_bytes)
		abort();
	check_reads();
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	enum channel_result r = CHANNEL_OK;
	uint64_t end;

	selects = bytes & 1;
	if (!rig.running) {
		begin();
		random_bytes(&first_tag, sizeof first_tag);
	}
	again();
	signal(SIGPIPE, SIG_IGN);
	while (bytes && (r == CHANNEL_OK || r == CHANNEL_EMPTY)) {
		r = play_record(&data, &bytes);
		hear();
	}
	(void)channel_flush(&rig.net_end);
	if (r == CHANNEL_OK || r == CHANNEL_EMPTY)
		(void)!disk_serve_net(&rig.d);
	end = now_ms() + 5000;
	while (pool_busy(rig.d.pool) || rig.d.done) {
		disk_results(&rig.d);
		hear();
		if (now_ms() > end)
			abort();
	}
	check_reads();
	check_files();
	return 0;
}
