/*
 * disk_rig.h - a whole diskproc inside a test: real files, threads, slots and channels, no walls.
 *
 * The test plays netproc and parent; rig_turn() lets diskproc work and keeps
 * what it said.
 */
#ifndef TESTS_DISK_RIG_H
#define TESTS_DISK_RIG_H

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../diskproc/blame.c"
#include "../../diskproc/buffers.c"
#include "../../diskproc/check.c"
#include "../../diskproc/disk.c"
#include "../../diskproc/fetch.c"
#include "../../diskproc/files.c"
#include "../../diskproc/gather.c"
#include "../../diskproc/layout.c"
#include "../../diskproc/parts.c"
#include "../../diskproc/place.c"
#include "../../diskproc/reader.c"
#include "../../diskproc/recall.c"
#include "../../diskproc/record.c"
#include "../../diskproc/report.c"
#include "../../diskproc/run.c"
#include "../../diskproc/siphash.c"
#include "../../diskproc/spill.c"
#include "../../diskproc/stall.c"
#include "../../diskproc/store.c"
#include "../../diskproc/tell.c"
#include "../../diskproc/upload.c"
#include "../../diskproc/work.c"
#include "../../diskproc/writer.c"
#include "disk_fixture.h"

#define RIG_HEARD 4096u

struct heard_message {
	enum message_type type;
	uint32_t piece;
	struct msg_blame blame; /* BLAME only */
	uint32_t detail; /* DATA: where its bytes are in `data`; READ_FAILED: errno.  .piece is the tag */
};

struct rig {
	char dir[64];
	int root, spill, single, record; /* record: -1, none is kept */
	struct wanted wanted;                /* set before rig_start; .level is the test's */
	int parts;                           /* the test's; -1: diskproc gets none */
	struct metainfo m;
	struct disk d;
	struct channel control, control_end; /* diskproc's end is control */
	struct channel net_end;
	struct slots slots;                  /* as netproc has them */
	int conveyor[2];                     /* diskproc's */
	int reading;                         /* netproc's end of it */
	uint32_t asked[CONVEYOR_READS];      /* lengths of READs that are not answered, in order */
	uint32_t asked_count;
	uint8_t data[1 << 21];               /* what came out of it */
	uint32_t data_bytes;
	uint32_t epoch;
	uint32_t free[SLOT_COUNT], free_count;
	struct heard_message heard[RIG_HEARD];
	uint32_t heard_count;
	uint8_t *have;                       /* HAVE_BITS */
	uint32_t have_end;                   /* pieces, UINT32_MAX: did not come */
	struct msg_disk_error error;
	struct msg_disk_progress progress;
	uint32_t errors, completes, accusations;
	struct msg_accuse accused;           /* the last one */
	enum disk_turn turn;                 /* of the last turn */
	uint32_t status;
	bool running;
	uint32_t warnings;                   /* lines of that level */
	bool check_all;                      /* set before rig_start: --check */
	bool one_by_one;                     /* set before rig_start: as on a processor without lanes */
};

/* A directory, and a form over it.  piece 0: hashes are made of the fixture's payload. */
static void rig_make(struct rig *r, const struct fixture_file *files, uint32_t count, uint32_t piece_length, bool single)
{
	memset(r, 0, sizeof *r);
	snprintf(r->dir, sizeof r->dir, "/tmp/disk_rig.XXXXXX");
	if (!mkdtemp(r->dir))
		abort();
	r->root = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r->spill = openat(r->root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	r->single = r->record = r->parts = -1;
	fixture_form(&r->m, files, count, piece_length, single);
	r->have = calloc(1, bitfield_bytes(r->m.h->piece_count) + 1);
	r->net_end.fd = r->control_end.fd = -1;
}

/* A netproc's channel and slots; diskproc's ends of them are returned. */
static void rig_netproc(struct rig *r, int *net, int *slots)
{
	int pair[2];
	uint32_t i;

	if (r->net_end.fd >= 0)
		channel_close(&r->net_end);
	if (r->slots.count)
		slots_detach(&r->slots);
	*slots = slots_create(&r->slots, SLOT_COUNT);
	if (*slots < 0 || channel_pair(pair) < 0)
		abort();
	r->epoch++;
	channel_init(&r->net_end, pair[0], r->epoch, false, "diskproc");
	*net = pair[1];
	r->free_count = 0;
	for (i = 0; i < SLOT_COUNT; i++)
		r->free[r->free_count++] = i;
	memset(r->have, 0, bitfield_bytes(r->m.h->piece_count));
	r->have_end = UINT32_MAX;
	r->heard_count = r->asked_count = 0;
}

/* Starts diskproc.  existing, read_only: as in the options. */
static void rig_start(struct rig *r, bool existing, bool read_only, uint64_t budget)
{
	uint32_t check = !existing ? CHECK_NOTHING : r->check_all ? CHECK_ALL : CHECK_DOUBTFUL;
	struct msg_disk_options o = { .budget_bytes = budget, .threads = 2, .check_existing = check, .read_only = read_only, .max_open_files = 8 };
	struct files_options f = { .root = r->single >= 0 ? -1 : r->root, .single = r->single, .existing = existing, .read_only = read_only,
				   .max_open = 8, .threads = 2, .also_device = r->spill, .wanted = &r->wanted,
				   .parts = r->parts >= 0 ? dup(r->parts) : -1 };
	int pair[2], net, slots;

	if (channel_pair(pair) < 0)
		abort();
	channel_init(&r->control, pair[0], 0, true, "parent");
	channel_init(&r->control_end, pair[1], 0, false, "diskproc");
	log_to_channel(&r->control, LOG_INFO);
	accuse_to_channel(&r->control);
	disk_init(&r->d, &r->control, &o);
	r->d.work.lanes &= !r->one_by_one;
	disk_make_threads(&r->d);
	if (conveyor_make(r->conveyor) < 0)
		abort();
	r->reading = dup(r->conveyor[0]);
	disk_open(&r->d, &r->m, &f, r->spill, r->record < 0 ? -1 : dup(r->record), r->conveyor);
	rig_netproc(r, &net, &slots);
	if (disk_attach(&r->d, net, r->epoch, slots) < 0)
		abort();
	r->errors = r->completes = r->warnings = 0;
	r->running = true;
	disk_start(&r->d);
}

static void rig_stop(struct rig *r)
{
	if (!r->running)
		return;
	while (pool_busy(r->d.pool)) {
		struct pool_job *list = pool_collect(r->d.pool);

		for (; list; list = list->next)
			if (((struct job *)list)->kind == JOB_VERIFY)
				free(((struct job *)list)->sums);
		usleep(100);
	}
	disk_release(&r->d);
	channel_close(&r->control);
	channel_close(&r->control_end);
	channel_close(&r->net_end);
	slots_detach(&r->slots);
	close(r->conveyor[0]);
	close(r->conveyor[1]);
	close(r->reading);
	r->running = false;
}

static void rig_free(struct rig *r)
{
	char command[128];

	rig_stop(r);
	close(r->root);
	close(r->spill);
	if (r->parts >= 0)
		close(r->parts);
	if (r->single >= 0)
		close(r->single);
	if (r->record >= 0)
		close(r->record);
	free(r->have);
	fixture_form_free(&r->m);
	snprintf(command, sizeof command, "rm -rf '%s'", r->dir);
	(void)!system(command);
}

/* netproc asks for a part of a piece.  False: there is no room for so many. */
static bool rig_ask(struct rig *r, uint32_t tag, uint32_t piece, uint32_t begin, uint32_t length)
{
	struct msg_read m = { .tag = tag, .piece = piece, .begin = begin, .length = length };

	if (r->asked_count == CONVEYOR_READS || channel_push(&r->net_end, MSG_READ, &m) < 0)
		return false;
	r->asked[r->asked_count++] = length;
	return true;
}

/* n bytes of the conveyor, which must be there, end up in `data`; returns where. */
static uint32_t rig_take(struct rig *r, uint32_t n)
{
	if (n > sizeof r->data - r->data_bytes)
		r->data_bytes = 0;
	if (n && read(r->reading, r->data + r->data_bytes, n) != (ssize_t)n)
		abort();
	r->data_bytes += n;
	return r->data_bytes - n;
}

/* The answer to the oldest READ. */
static uint32_t rig_answered(struct rig *r, uint32_t type, const void *message)
{
	const struct msg_read_failed *failed = message;
	uint32_t length = r->asked[0];

	if (!r->asked_count)
		abort();
	memmove(r->asked, r->asked + 1, --r->asked_count * sizeof r->asked[0]);
	if (type == MSG_DATA)
		return rig_take(r, length);
	if (failed->bytes >= length)
		abort();
	rig_take(r, failed->bytes);
	return (uint32_t)failed->error;
}

static void rig_hear(struct rig *r, const struct packet *p)
{
	uint32_t i;

	for (i = 0; i < p->count; i++) {
		const void *m = packet_message(p, i);
		struct heard_message *h;

		if (p->type == MSG_SLOT_FREE) {
			r->free[r->free_count++] = ((const struct msg_slot_free *)m)->slot;
			continue;
		}
		if (p->type == MSG_HAVE_BITS) {
			const struct msg_have_bits *b = m;

			memcpy(r->have + b->first_piece / 8, b->bits, bitfield_bytes(b->pieces));
			continue;
		}
		if (p->type == MSG_HAVE_END) {
			r->have_end = ((const struct msg_have_end *)m)->verified_pieces;
			continue;
		}
		if (r->heard_count == RIG_HEARD)
			abort();
		h = &r->heard[r->heard_count++];
		h->type = p->type;
		memcpy(&h->piece, m, sizeof h->piece);
		if (p->type == MSG_DATA || p->type == MSG_READ_FAILED)
			h->detail = rig_answered(r, p->type, m);
		if (p->type == MSG_BLAME)
			memcpy(&h->blame, m, sizeof h->blame);
	}
}

static void rig_hear_control(struct rig *r, const struct packet *p)
{
	if (p->type == MSG_DISK_ERROR) {
		memcpy(&r->error, packet_message(p, 0), sizeof r->error);
		r->errors++;
	} else if (p->type == MSG_ACCUSE) {
		memcpy(&r->accused, packet_message(p, 0), sizeof r->accused);
		r->accusations++;
	} else if (p->type == MSG_DISK_COMPLETE) {
		r->completes++;
	} else if (p->type == MSG_DISK_PROGRESS) {
		memcpy(&r->progress, packet_message(p, 0), sizeof r->progress);
	} else if (p->type == MSG_LOG) {
		const struct msg_log *m = packet_message(p, 0);

		r->warnings += m->level == LOG_WARN;
		if (!getenv("RIG_LOG"))
			return;
		fprintf(stderr, "%.*s\n", m->length, (const char *)m->text);
	}
}

/* One turn of diskproc, and what it said. */
static bool rig_turn(struct rig *r)
{
	struct packet p;

	(void)channel_flush(&r->net_end);
	(void)channel_flush(&r->control_end);
	/* Something is always due, so that no turn waits for ever. */
	r->d.progress_due = true;
	r->turn = disk_turn(&r->d, &r->status);
	while (r->net_end.fd >= 0 && channel_receive(&r->net_end, &p) == CHANNEL_OK)
		rig_hear(r, &p);
	while (channel_receive(&r->control_end, &p) == CHANNEL_OK)
		rig_hear_control(r, &p);
	return r->turn == DISK_GO_ON;
}

/* Turns until `done` says so, or diskproc ends; false after 10 s. */
static bool rig_until(struct rig *r, bool (*done)(const struct rig *))
{
	uint64_t end = now_ms() + 10000;

	while (!done(r)) {
		if (now_ms() > end || !rig_turn(r))
			return done(r);
	}
	return true;
}

static bool rig_told(const struct rig *r) { return r->have_end != UINT32_MAX || r->errors; }
static bool rig_completed(const struct rig *r) { return r->completes || r->errors; }
static bool rig_failed(const struct rig *r) { return r->errors; }
static bool rig_ended(const struct rig *r) { return r->turn != DISK_GO_ON; }
/* netproc broke the contract: it alone is accused, and diskproc lives on without it. */
static bool rig_accused(const struct rig *r)
{
	return r->accusations == 1 && r->accused.role == ROLE_NETPROC && r->accused.epoch == r->epoch && r->d.net.fd < 0 && r->turn == DISK_GO_ON;
}
static bool rig_idle(const struct rig *r)
{
	return !pool_busy(r->d.pool) && !store_busy(&r->d.store) && !r->d.done && r->free_count == SLOT_COUNT && r->net_end.batch_count == 0;
}

static uint32_t rig_count(const struct rig *r, enum message_type type, uint32_t piece)
{
	uint32_t i, n = 0;

	for (i = 0; i < r->heard_count; i++)
		n += r->heard[i].type == type && (piece == UINT32_MAX || r->heard[i].piece == piece);
	return n;
}

/* Sends block `block` of a piece; `spoil` is added to its first byte. */
static void rig_block(struct rig *r, uint32_t piece, uint32_t block, uint8_t spoil)
{
	struct msg_block m = { .piece = piece, .begin = block * SLOT_BYTES };
	uint64_t end = now_ms() + 10000;

	while (!r->free_count && now_ms() < end)
		if (!rig_turn(r))
			return;
	if (!r->free_count)
		abort();
	m.slot = r->free[--r->free_count];
	m.length = min_u32(SLOT_BYTES, metainfo_piece_bytes(&r->m, piece) - m.begin);
	fixture_payload(&r->m, slot_at(&r->slots, m.slot), (uint64_t)piece * r->m.h->piece_length + m.begin, m.length);
	*slot_at(&r->slots, m.slot) = (uint8_t)(*slot_at(&r->slots, m.slot) + spoil);
	if (channel_push(&r->net_end, MSG_BLOCK, &m) < 0)
		abort();
}

static uint32_t rig_blocks(const struct rig *r, uint32_t piece)
{
	return (metainfo_piece_bytes(&r->m, piece) + SLOT_BYTES - 1) / SLOT_BYTES;
}

static void rig_piece(struct rig *r, uint32_t piece)
{
	uint32_t i;

	for (i = 0; i < rig_blocks(r, piece); i++)
		rig_block(r, piece, i, 0);
}

/* Whether every file on disk is what it should be. */
static bool rig_files_good(const struct rig *r)
{
	const struct metainfo_file *f = metainfo_files(&r->m);
	uint32_t i;

	for (i = 0; i < r->m.h->file_count; i++) {
		uint8_t *is = malloc((size_t)f[i].length + 1), *ought = malloc((size_t)f[i].length + 1);
		int fd = r->single >= 0 ? dup(r->single) : openat(r->root, metainfo_str(&r->m, f[i].path), O_RDONLY | O_NOFOLLOW);
		bool good;

		if (!metainfo_on_disk(&f[i])) {
			good = fd < 0;
		} else {
			fixture_payload(&r->m, ought, f[i].offset, (size_t)f[i].length);
			good = fd >= 0 && pread(fd, is, (size_t)f[i].length + 1, 0) == (ssize_t)f[i].length && !memcmp(is, ought, (size_t)f[i].length);
		}
		if (fd >= 0)
			close(fd);
		free(is);
		free(ought);
		if (!good)
			return false;
	}
	return true;
}

static int open_below(const struct rig *r, uint32_t file)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", r->dir, metainfo_str(&r->m, metainfo_files(&r->m)[file].path));
	return open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* Whether a piece is on disk as it should be: read past diskproc, in a directory. */
static bool rig_piece_good(const struct rig *r, uint32_t piece)
{
	uint32_t bytes = metainfo_piece_bytes(&r->m, piece);
	uint8_t *is = calloc(1, bytes), digest[20];
	struct layout_walk walk;
	uint64_t at = 0;
	struct span s;

	layout_seek(&walk, &r->m, layout_piece_begin(&r->m, piece), bytes);
	for (; layout_next(&walk, &s); at += s.length) {
		int fd = s.pad ? -1 : open_below(r, s.file);

		if (fd >= 0 && pread(fd, is + at, (size_t)s.length, (off_t)s.offset) < 0)
			abort();
		if (fd >= 0)
			close(fd);
	}
	EVP_Digest(is, bytes, digest, NULL, EVP_sha1(), NULL);
	free(is);
	return !memcmp(digest, metainfo_hash(&r->m, piece), sizeof digest);
}

/* SHUTDOWN, and what follows it. */
static void rig_shutdown(struct rig *r)
{
	struct msg_shutdown m = { .grace_ms = 10000 };

	if (channel_push(&r->control_end, MSG_SHUTDOWN, &m) < 0)
		abort();
	(void)rig_until(r, rig_ended);
}

/* An empty record, that outlives diskproc. */
static void rig_record(struct rig *r)
{
	if (r->record >= 0)
		close(r->record);
	r->record = memfd_create("record", MFD_CLOEXEC);
	if (r->record < 0)
		abort();
}

/* Bytes that are not zero in a file; 0 when it is not there. */
static uint64_t rig_written(const struct rig *r, const char *path)
{
	int fd = openat(r->root, path, O_RDONLY | O_NOFOLLOW);
	uint8_t buf[4096];
	uint64_t n = 0;
	ssize_t k;

	while (fd >= 0 && (k = read(fd, buf, sizeof buf)) > 0)
		for (ssize_t i = 0; i < k; i++)
			n += buf[i] != 0;
	if (fd >= 0)
		close(fd);
	return n;
}

#endif
