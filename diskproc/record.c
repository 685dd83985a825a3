/*
 * record.c - see record.h.  Runs in the slow lane, after the lock.
 */
#include "record.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bitfield.h"

#define MAGIC 0x6268686176653031ull /* "bhhave01" */
#define VERSION 1u
#define DIGEST 20u
#define ALIGN 4096u /* a page and a sector of any disk: no write touches both slots */
#define ROOM_CHUNK (64u << 10)

static uint64_t stride_of(const struct record *r)
{
	return ((uint64_t)r->bytes + ALIGN - 1) / ALIGN * ALIGN;
}

void record_init(struct record *r, int fd, const struct metainfo *m, const EVP_MD *sha1)
{
	memset(r, 0, sizeof *r);
	r->fd = fd;
	r->m = m;
	r->sha1 = sha1;
	r->bytes = sizeof(struct record_header) + sizeof(struct record_file) * (size_t)m->h->file_count +
		   bitfield_bytes(m->h->piece_count) + DIGEST;
	r->slot = fd < 0 ? NULL : must_calloc(r->bytes, 1);
}

void record_release(struct record *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->slot);
	r->fd = -1;
	r->slot = NULL;
}

static void digest_of(const struct record *r, const uint8_t *bytes, uint8_t digest[DIGEST])
{
	if (!EVP_Digest(bytes, r->bytes - DIGEST, digest, NULL, r->sha1, NULL))
		bug("digest of the record");
}

bool record_is_valid(const struct record *r, const uint8_t *bytes)
{
	const struct metainfo_header *m = r->m->h;
	const uint8_t *have = bytes + r->bytes - DIGEST - bitfield_bytes(m->piece_count);
	struct record_header h;
	uint8_t digest[DIGEST];

	memcpy(&h, bytes, sizeof h);
	if (h.magic != MAGIC || h.version != VERSION || h.flags & ~RECORD_CLEAN || !h.sequence || h.total_length != m->total_length ||
	    memcmp(h.info_hash, m->info_hash, sizeof h.info_hash) != 0 || h.piece_length != m->piece_length ||
	    h.piece_count != m->piece_count || h.file_count != m->file_count)
		return false;
	digest_of(r, bytes, digest);
	return !memcmp(digest, bytes + r->bytes - DIGEST, DIGEST) && !bitfield_has_spare(have, m->piece_count);
}

void record_seal(struct record *r, uint32_t flags, uint64_t sequence)
{
	const struct metainfo_header *m = r->m->h;
	struct record_header *h = record_header(r);

	*h = (struct record_header){ .magic = MAGIC,
				     .version = VERSION,
				     .flags = flags,
				     .sequence = sequence,
				     .total_length = m->total_length,
				     .piece_length = m->piece_length,
				     .piece_count = m->piece_count,
				     .file_count = m->file_count };
	memcpy(h->info_hash, m->info_hash, sizeof h->info_hash);
	digest_of(r, r->slot, r->slot + r->bytes - DIGEST);
}

/* One slot, whole.  False: it is shorter, or cannot be read. */
static bool read_slot(const struct record *r, uint32_t i, uint8_t *out)
{
	size_t at = 0;

	while (at < r->bytes) {
		ssize_t n = pread(r->fd, out + at, r->bytes - at, (off_t)(i * stride_of(r) + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

bool record_load(struct record *r)
{
	uint8_t *other = must_alloc(r->bytes), *t;
	uint32_t i;

	r->sequence = 0;
	for (i = 0; i < 2; i++) {
		struct record_header h;

		if (!read_slot(r, i, other) || !record_is_valid(r, other))
			continue;
		memcpy(&h, other, sizeof h);
		if (h.sequence % 2 != i || h.sequence <= r->sequence)
			continue;
		r->sequence = h.sequence;
		t = r->slot;
		r->slot = other;
		other = t;
	}
	free(other);
	if (!r->sequence)
		memset(r->slot, 0, r->bytes);
	return r->sequence;
}

/* 0, or -1 with errno. */
static int write_all(int fd, const uint8_t *bytes, size_t length, uint64_t offset)
{
	while (length) {
		ssize_t n = pwrite(fd, bytes, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENOSPC;
		if (n <= 0)
			return -1;
		bytes += n;
		length -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int record_make_room(struct record *r)
{
	static const uint8_t room[ROOM_CHUNK];
	uint64_t at, all = 2 * stride_of(r);
	struct stat st;

	if (r->has_room)
		return 0;
	if (fd_stat(r->fd, &st) < 0)
		return -1;
	/* Only what is beyond its end, where no slot is whole: a file that was cut loses nothing more. */
	for (at = min_u64((uint64_t)st.st_size, all); at < all; at += min_u64(sizeof room, all - at))
		if (write_all(r->fd, room, (size_t)min_u64(sizeof room, all - at), at) < 0)
			return -1;
	if ((uint64_t)st.st_size < all && fdatasync(r->fd) < 0)
		return -1;
	r->has_room = true;
	return 0;
}

int record_store(struct record *r, uint32_t flags)
{
	/* The number of one that failed is used again: the next goes into the same slot, and never over the good one. */
	uint64_t sequence = r->sequence + 1;

	if (record_make_room(r) < 0)
		return -1;
	record_seal(r, flags, sequence);
	if (write_all(r->fd, r->slot, r->bytes, sequence % 2 * stride_of(r)) < 0 || fdatasync(r->fd) < 0)
		return -1;
	r->sequence = sequence;
	return 0;
}
