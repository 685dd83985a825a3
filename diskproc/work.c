/*
 * work.c - see work.h.  Runs in the workers, after the lock.
 */
#include "work.h"

#include <errno.h>
#include <unistd.h>

#include "fetch.h"
#include "reader.h"
#include "recall.h"
#include "sha1_lanes.h"
#include "siphash.h"
#include "slots.h"
#include "spill.h"
#include "writer.h"

void work_init(struct work *w)
{
	uint32_t i;

	memset(w, 0, sizeof *w);
	atomic_init(&w->stop, false);
	atomic_init(&w->holes, true);
	random_bytes(w->sum_key, sizeof w->sum_key);
	/* Fetched once: each implicit fetch would take a lock and look in a table. */
	w->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	if (!w->sha1)
		bug("libcrypto has no SHA-1");
	w->lanes = sha1_lanes_usable();
	for (i = 0; i < POOL_WORKERS; i++) {
		w->thread[i].hash = EVP_MD_CTX_new();
		if (!w->thread[i].hash)
			bug("no memory for a digest");
	}
}

void work_open(struct work *w, const struct metainfo *m, struct files *files, int spill_fd, bool read_only)
{
	w->m = m;
	w->files = files;
	w->spill_fd = spill_fd;
	w->read_only = read_only;
}

void work_release(struct work *w)
{
	uint32_t i;

	for (i = 0; i < POOL_WORKERS; i++) {
		EVP_MD_CTX_free(w->thread[i].hash);
		free(w->thread[i].chunk);
	}
	EVP_MD_free(w->sha1);
}

void work_hash_start(const struct work *w, EVP_MD_CTX *c)
{
	if (!EVP_DigestInit_ex2(c, w->sha1, NULL))
		bug("digest init");
}

void work_hash_more(EVP_MD_CTX *c, const uint8_t *bytes, size_t length)
{
	if (!EVP_DigestUpdate(c, bytes, length))
		bug("digest update");
}

void work_hash_end(EVP_MD_CTX *c, uint8_t digest[20])
{
	if (!EVP_DigestFinal_ex(c, digest, NULL))
		bug("digest final");
}

void work_warm(void *self, uint32_t worker)
{
	struct work *w = self;
	uint8_t digest[20], byte = 0;
	EVP_MD_CTX *c = w->thread[worker].hash;

	/* A thread's first digest makes libcrypto's state of that thread. */
	work_hash_start(w, c);
	work_hash_more(c, &byte, 1);
	work_hash_end(c, digest);
}

static void hash_part(struct job *j, uint32_t end)
{
	work_hash_more(j->hash, j->buffer + j->hashed, end - j->hashed);
	j->hashed = end;
}

/* Compares; keeps the sums of a bad copy's blocks. */
static void judge(struct work *w, struct job *j, const uint8_t digest[20])
{
	j->good = !memcmp(digest, metainfo_hash(w->m, j->piece), 20);
	if (!j->good || j->want_sums) {
		uint32_t i, at, blocks = j->bytes / SLOT_BYTES + (j->bytes % SLOT_BYTES != 0);

		/* Without memory nobody is blamed: blame_* take NULL. */
		j->sums = malloc(blocks * sizeof *j->sums);
		for (i = at = 0; j->sums && i < blocks; i++, at += SLOT_BYTES)
			j->sums[i] = siphash(w->sum_key, j->buffer + at, min_u32(SLOT_BYTES, j->bytes - at));
	}
}

static void hash_piece(struct work *w, struct job *j)
{
	uint8_t digest[20];

	hash_part(j, j->bytes);
	work_hash_end(j->hash, digest);
	judge(w, j, digest);
}

/* The piece, and those that came with it.  Puts the good ones into `verified`; returns how many. */
static uint32_t verify(struct work *w, struct job *first, struct job *verified[SHA1_LANES])
{
	const uint8_t *data[SHA1_LANES];
	uint8_t digest[SHA1_LANES][20];
	uint32_t count = 0, good = 0, i = 0;
	bool together;
	struct job *j;

	for (j = first; j; j = j->others)
		data[count++] = j->buffer;
	together = w->lanes && count >= SHA1_LANES_LEAST;
	if (together)
		sha1_lanes(data, count, first->bytes, digest);
	for (j = first; j; j = j->others, i++) {
		if (together)
			judge(w, j, digest[i]);
		else
			hash_piece(w, j);
		if (j->good)
			verified[good++] = j;
	}
	return good;
}

static void move_spill(struct work *w, struct job *j)
{
	uint32_t length = w->m->h->piece_length;
	int r;

	if (j->kind == JOB_SPILL)
		r = spill_write(w->spill_fd, length, j->region, j->buffer, j->bytes, j->blocks);
	else
		r = spill_read(w->spill_fd, length, j->region, j->buffer, j->bytes, j->blocks);
	if (r < 0)
		j->fault = (struct fault){ .act = DISK_ACT_SPILL, .error = errno, .file = UINT32_MAX };
}

static void prepare(struct work *w, struct job *j)
{
	j->record_error = 0;
	if (w->states) {
		files_states(w->files, w->states);
		return;
	}
	(void)!(w->read_only ? files_audit(w->files, &j->fault) : files_prepare(w->files, &j->fault));
	if (w->record && !w->read_only && record_make_room(w->record) < 0)
		j->record_error = errno;
}

/* Payload, then what the files are, then the record: it never says more than is on disk. */
static void sync_all(struct work *w, struct job *j)
{
	struct record *r = j->keep ? w->record : NULL;

	j->record_error = 0;
	if (files_sync(w->files, r ? record_files(r) : NULL, &j->fault) == 0 && (!j->last || files_audit(w->files, &j->fault) == 0)) {
		if (r && record_store(r, j->clean ? RECORD_CLEAN : 0) < 0)
			j->record_error = errno;
	} else if (w->read_only) {
		/* Nothing of ours: what is given needs no sync, only the record does. */
		j->record_error = j->fault.error;
		j->fault = (struct fault){ 0 };
	}
}

void work_run(void *self, uint32_t worker, struct pool_job *list)
{
	struct job *verified[POOL_BATCH_JOBS + SHA1_LANES];
	struct work *w = self;
	uint32_t count = 0;

	for (; list; list = list->next) {
		struct job *j = (struct job *)list;

		switch (j->kind) {
		case JOB_VERIFY:
		case JOB_WRITE:
			if (j->kind == JOB_WRITE)
				verified[count++] = j;
			else
				count += verify(w, j, verified + count);
			if (count > POOL_BATCH_JOBS) { /* no room for another group */
				writer_write(w, verified, count);
				count = 0;
			}
			break;
		case JOB_PREFIX:
			hash_part(j, j->prefix);
			break;
		case JOB_SPILL:
		case JOB_LOAD:
			move_spill(w, j);
			break;
		case JOB_CHECK:
			reader_check(w, worker, j);
			break;
		case JOB_MERGE:
			(void)!files_merge_parts(w->files, &j->fault);
			break;
		case JOB_PREPARE:
			prepare(w, j);
			break;
		case JOB_SYNC:
			sync_all(w, j);
			break;
		case JOB_RECALL:
			recall_run(w, w->recall);
			break;
		case JOB_READ:
			fetch_read(w, j);
			break;
		}
	}
	writer_write(w, verified, count);
}
