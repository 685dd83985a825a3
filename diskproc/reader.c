/*
 * reader.c - see reader.h.  Runs in the workers, after the lock.
 */
#include "reader.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t zeros[16384];

static void update(EVP_MD_CTX *c, const void *data, size_t bytes)
{
	if (!EVP_DigestUpdate(c, data, bytes))
		bug("digest update");
}

static void update_zeros(EVP_MD_CTX *c, uint64_t bytes)
{
	while (bytes) {
		size_t n = (size_t)min_u64(bytes, sizeof zeros);

		update(c, zeros, n);
		bytes -= n;
	}
}

void reader_init(struct work *w)
{
	EVP_MD_CTX *c = w->thread[0].hash;

	if (!w->m->h->piece_length)
		return;
	work_hash_start(w, c);
	update_zeros(c, w->m->h->piece_length);
	if (!EVP_DigestFinal_ex(c, w->zero_hash, NULL))
		bug("digest final");
	w->has_zero_hash = true;
}

enum part { PART_READ, PART_MISSING, PART_FAULT };

/* Hashes one span of a file. */
static enum part read_span(struct work *w, struct work_thread *t, const struct span *s, struct fault *fault)
{
	int fd = files_get(w->files, s->file, FILES_READ, fault);
	enum part result = PART_READ;
	uint64_t at = 0;

	if (fd < 0)
		return fault->act ? PART_FAULT : PART_MISSING;
	while (at < s->length) {
		ssize_t n = pread(fd, t->chunk, (size_t)min_u64(READER_CHUNK, s->length - at), (off_t)(s->offset + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			*fault = (struct fault){ .act = DISK_ACT_READ, .error = errno, .file = s->file };
			result = PART_FAULT;
			break;
		}
		if (n == 0) { /* the file is shorter than it should be */
			result = PART_MISSING;
			break;
		}
		update(t->hash, t->chunk, (size_t)n);
		at += (uint64_t)n;
	}
	files_put(w->files, s->file);
	return result;
}

/* Whether the span is a hole from end to end, as far as the file system tells. */
static enum part span_is_hole(struct work *w, const struct span *s, bool *hole, struct fault *fault)
{
	int fd = files_get(w->files, s->file, FILES_READ, fault);
	struct stat st;
	off_t data;

	*hole = false;
	if (fd < 0)
		return fault->act ? PART_FAULT : PART_MISSING;
	/* The file offset that this moves is used by nobody. */
	data = lseek(fd, (off_t)s->offset, SEEK_DATA);
	if (data >= 0)
		*hole = (uint64_t)data >= s->offset + s->length;
	else if (errno == ENXIO) /* no data from here on, or here is past the end */
		*hole = fd_stat(fd, &st) == 0 && (uint64_t)st.st_size >= s->offset + s->length;
	else
		atomic_store(&w->holes, false);
	files_put(w->files, s->file);
	return PART_READ;
}

/* PART_READ with *hole: all of the piece reads as zeros. */
static enum part piece_is_hole(struct work *w, uint32_t piece, uint32_t bytes, bool *hole, struct fault *fault)
{
	struct layout_walk walk;
	struct span s;

	*hole = true;
	layout_seek(&walk, w->m, layout_piece_begin(w->m, piece), bytes);
	while (*hole && layout_next(&walk, &s)) {
		enum part r = s.pad ? PART_READ : span_is_hole(w, &s, hole, fault);

		if (r != PART_READ)
			return r;
	}
	return PART_READ;
}

/* PART_READ with *good: it is there and its hash matches. */
static enum part check_piece(struct work *w, struct work_thread *t, uint32_t piece, bool *good, struct fault *fault)
{
	uint32_t bytes = metainfo_piece_bytes(w->m, piece);
	struct layout_walk walk;
	uint8_t digest[20];
	struct span s;

	*good = false;
	if (w->has_zero_hash && bytes == w->m->h->piece_length && atomic_load(&w->holes)) {
		bool hole;
		enum part r = piece_is_hole(w, piece, bytes, &hole, fault);

		if (r != PART_READ)
			return r;
		if (hole) {
			*good = !memcmp(w->zero_hash, metainfo_hash(w->m, piece), sizeof w->zero_hash);
			return PART_READ;
		}
	}
	work_hash_start(w, t->hash);
	layout_seek(&walk, w->m, layout_piece_begin(w->m, piece), bytes);
	while (layout_next(&walk, &s)) {
		enum part r = PART_READ;

		if (s.pad)
			update_zeros(t->hash, s.length);
		else
			r = read_span(w, t, &s, fault);
		if (r != PART_READ)
			return r;
	}
	if (!EVP_DigestFinal_ex(t->hash, digest, NULL))
		bug("digest final");
	*good = !memcmp(digest, metainfo_hash(w->m, piece), sizeof digest);
	return PART_READ;
}

void reader_check(struct work *w, uint32_t worker, struct job *j)
{
	struct work_thread *t = &w->thread[worker];
	uint32_t i;

	memset(j->found, 0, sizeof j->found);
	if (!t->chunk)
		t->chunk = must_alloc(READER_CHUNK);
	for (i = 0; i < j->pieces && !atomic_load(&w->stop); i++) {
		bool good;

		if (check_piece(w, t, j->piece + i, &good, &j->fault) == PART_FAULT)
			return;
		if (good)
			j->found[i / 64] |= 1ull << i % 64;
	}
}
