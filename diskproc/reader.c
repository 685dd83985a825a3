/*
 * reader.c - see reader.h.  Runs in the workers, after the lock.
 */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bitfield.h"

static const uint8_t zeros[16384];

static void add_zeros(EVP_MD_CTX *c, uint64_t bytes)
{
	while (bytes) {
		size_t n = (size_t)min_u64(bytes, sizeof zeros);

		work_hash_more(c, zeros, n);
		bytes -= n;
	}
}

void reader_init(struct work *w)
{
	EVP_MD_CTX *c = w->thread[0].hash;

	if (!w->m->h->piece_length)
		return;
	work_hash_start(w, c);
	add_zeros(c, w->m->h->piece_length);
	work_hash_end(c, w->zero_hash);
	w->has_zero_hash = true;
}

/* The piece is there, and its hash matches. */
static void set_found(struct job *j, uint32_t piece)
{
	j->found[(piece - j->piece) / 64] |= 1ull << (piece - j->piece) % 64;
}

enum part { PART_READ, PART_MISSING, PART_FAULT };

/* Reads one span of a file, whole. */
static enum part read_span(struct work *w, const struct span *s, uint8_t *out, struct fault *fault)
{
	int fd = files_get(w->files, s->file, FILES_READ, fault);
	enum part result = PART_READ;
	uint64_t at = 0;

	if (fd < 0)
		return fault->act ? PART_FAULT : PART_MISSING;
	while (at < s->length) {
		ssize_t n = pread(fd, out + at, (size_t)(s->length - at), (off_t)(s->offset + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int error = errno;

			result = PART_MISSING;
			if (!files_tolerate(w->files, s->file)) {
				*fault = files_fault(w->files, DISK_ACT_READ, error, s->file);
				result = PART_FAULT;
			}
			break;
		}
		if (n == 0) { /* the file is shorter than it should be */
			result = PART_MISSING;
			break;
		}
		at += (uint64_t)n;
	}
	files_put(w->files, s->file);
	return result;
}

/* Bytes [at, at + bytes) of a piece. */
static enum part read_part(struct work *w, uint32_t piece, uint32_t at, uint32_t bytes, uint8_t *out, struct fault *fault)
{
	struct layout_walk walk;
	struct span s;

	layout_seek(&walk, w->m, layout_piece_begin(w->m, piece) + at, bytes);
	while (files_next(w->files, &walk, &s)) {
		enum part r = PART_READ;

		if (s.pad)
			memset(out, 0, (size_t)s.length);
		else
			r = read_span(w, &s, out, fault);
		if (r != PART_READ)
			return r;
		out += s.length;
	}
	return PART_READ;
}

/* The kernel may fetch all of it in its own order while the first bytes are hashed.  Only a hint. */
static void read_ahead(struct work *w, uint32_t piece, uint32_t bytes)
{
	struct layout_walk walk;
	struct span s;

	layout_seek(&walk, w->m, layout_piece_begin(w->m, piece), bytes);
	while (files_next(w->files, &walk, &s)) {
		struct fault none = { 0 };
		int fd = s.pad ? -1 : files_get(w->files, s.file, FILES_READ, &none);

		if (fd < 0)
			continue;
		(void)posix_fadvise(fd, (off_t)s.offset, (off_t)s.length, POSIX_FADV_WILLNEED);
		files_put(w->files, s.file);
	}
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
	while (*hole && files_next(w->files, &walk, &s)) {
		enum part r = s.pad ? PART_READ : span_is_hole(w, &s, hole, fault);

		if (r != PART_READ)
			return r;
	}
	return PART_READ;
}

/* PART_READ with *good: it is there and its hash matches. */
static enum part check_piece(struct work *w, struct work_thread *t, uint32_t piece, bool *good, struct fault *fault)
{
	uint32_t bytes = metainfo_piece_bytes(w->m, piece), at, part;
	uint8_t digest[20];

	*good = false;
	work_hash_start(w, t->hash);
	for (at = 0; at < bytes; at += part) {
		enum part r;

		part = min_u32(READER_CHUNK, bytes - at);
		r = read_part(w, piece, at, part, t->chunk, fault);
		if (r != PART_READ)
			return r;
		work_hash_more(t->hash, t->chunk, part);
	}
	work_hash_end(t->hash, digest);
	*good = !memcmp(digest, metainfo_hash(w->m, piece), sizeof digest);
	return PART_READ;
}

/* Pieces that are read: holes are judged without. */
struct group {
	uint32_t count;
	uint32_t piece[SHA1_LANES];
	bool missing[SHA1_LANES]; /* a part of it is not there: what its lane hashes is not looked at */
};

/* All of full length, side by side.  False: a fault. */
static bool check_together(struct work *w, struct work_thread *t, struct group *g, struct job *j)
{
	uint32_t bytes = w->m->h->piece_length, at = 0, i, part;
	const uint8_t *data[SHA1_LANES];
	uint8_t digest[SHA1_LANES][20];
	struct sha1_lanes lanes;

	for (i = 0; i < g->count; i++) {
		data[i] = t->chunk + i * READER_PART;
		read_ahead(w, g->piece[i], bytes);
	}
	sha1_lanes_begin(&lanes);
	do {
		part = min_u32(READER_PART, bytes - at);
		for (i = 0; i < g->count; i++) {
			enum part r = g->missing[i] ? PART_MISSING : read_part(w, g->piece[i], at, part, t->chunk + i * READER_PART, &j->fault);

			if (r == PART_FAULT)
				return false;
			g->missing[i] = r == PART_MISSING;
		}
		at += part;
		if (at < bytes)
			sha1_lanes_more(&lanes, data, g->count, part);
		else
			sha1_lanes_end(&lanes, data, g->count, part, digest);
	} while (at < bytes && !atomic_load(&w->stop));
	for (i = 0; i < g->count && at == bytes; i++)
		if (!g->missing[i] && !memcmp(digest[i], metainfo_hash(w->m, g->piece[i]), sizeof digest[i]))
			set_found(j, g->piece[i]);
	return true;
}

/* False: a fault. */
static bool check_group(struct work *w, struct work_thread *t, struct group *g, struct job *j)
{
	uint32_t i, count = g->count;
	bool good;

	if (w->lanes && count >= SHA1_LANES_LEAST)
		return check_together(w, t, g, j);
	for (i = 0; i < count && !atomic_load(&w->stop); i++) {
		if (check_piece(w, t, g->piece[i], &good, &j->fault) == PART_FAULT)
			return false;
		if (good)
			set_found(j, g->piece[i]);
	}
	return true;
}

void reader_check(struct work *w, uint32_t worker, struct job *j)
{
	struct work_thread *t = &w->thread[worker];
	struct group g = { 0 };
	uint32_t i;

	memset(j->found, 0, sizeof j->found);
	if (!t->chunk)
		t->chunk = must_alloc(READER_CHUNK);
	for (i = 0; i < j->pieces && !atomic_load(&w->stop); i++) {
		uint32_t piece = j->piece + i, bytes = metainfo_piece_bytes(w->m, piece);
		bool full = bytes == w->m->h->piece_length, hole = false;

		if (!bitfield_get(w->doubtful, piece))
			continue;
		if (full && w->has_zero_hash && atomic_load(&w->holes)) {
			enum part r = piece_is_hole(w, piece, bytes, &hole, &j->fault);

			if (r == PART_FAULT)
				return;
			if (r == PART_MISSING)
				continue;
			if (hole && !memcmp(w->zero_hash, metainfo_hash(w->m, piece), sizeof w->zero_hash))
				set_found(j, piece);
		}
		if (hole)
			continue;
		/* The last piece is shorter: alone. */
		if ((g.count == SHA1_LANES || !full) && g.count) {
			if (!check_group(w, t, &g, j))
				return;
			g = (struct group){ 0 };
		}
		g.piece[g.count++] = piece;
	}
	if (g.count)
		(void)check_group(w, t, &g, j);
}
