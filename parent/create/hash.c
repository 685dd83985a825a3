/*
 * hash.c - see hash.h.  The workers read files, write to their own part of the digests, and share nothing else.
 */
#include "hash.h"

#include <errno.h>
#include <unistd.h>

static void digest(struct hash *h, uint32_t worker, const void *bytes, size_t length, uint8_t out[20])
{
	EVP_MD_CTX *c = h->worker[worker].context;

	if (!EVP_DigestInit_ex2(c, h->sha1, NULL) || !EVP_DigestUpdate(c, bytes, length) || !EVP_DigestFinal_ex(c, out, NULL))
		bug("libcrypto cannot hash");
}

/* Those of the pool, of which only the fast lane's have work. */
static uint32_t workers(const struct hash *h)
{
	return h->threads + POOL_LANES - 1;
}

void hash_init(struct hash *h, uint32_t threads)
{
	uint32_t i;

	memset(h, 0, sizeof *h);
	h->threads = max_u32(1, min_u32(threads, POOL_MAX_THREADS));
	/* Fetched once: each implicit fetch would take a lock and look in a table. */
	h->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	if (!h->sha1)
		bug("libcrypto has no SHA-1");
	h->lanes = sha1_lanes_usable();
	for (i = 0; i < workers(h); i++) {
		h->worker[i].context = EVP_MD_CTX_new();
		if (!h->worker[i].context)
			bug("no memory for a digest");
	}
	for (i = 0; i < 2 * h->threads; i++) {
		h->batch[i].next_free = h->free;
		h->free = &h->batch[i];
	}
}

/* A thread's first digest makes libcrypto's state of that thread. */
static void warm(void *self, uint32_t worker)
{
	uint8_t out[20];

	digest(self, worker, "", 0, out);
}

/* Bytes of the payload, through as many files as they are in. */
static bool read_range(const struct tree *t, uint64_t at, uint8_t *out, size_t bytes, struct fault *fault)
{
	while (bytes) {
		const struct tree_file *f = tree_at(t, at);
		uint64_t from = at - f->offset;
		size_t want = (size_t)min_u64(bytes, f->length - from), have = 0;
		int fd = tree_open(t, f, fault);

		if (fd < 0)
			return false;
		while (have < want) {
			ssize_t n = pread(fd, out + have, want - have, (off_t)(from + have));

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0) {
				(void)(n < 0 ? fault_path(fault, CREATE_STORAGE, errno, "cannot read", tree_path(t, f))
					     : fault_path(fault, CREATE_STORAGE, 0, "became shorter while it was read:", tree_path(t, f)));
				break;
			}
			have += (size_t)n;
		}
		tree_close(t, fd);
		if (have < want)
			return false;
		out += want;
		at += want;
		bytes -= want;
	}
	return true;
}

/* Digests of `count` messages of the same length: together where the processor can and it is worth it. */
static void hash_equal(struct hash *h, uint32_t worker, const uint8_t *const data[], uint32_t count, size_t bytes, uint8_t out[][20])
{
	uint32_t i;

	if (h->lanes && count >= SHA1_LANES_LEAST) {
		sha1_lanes(data, count, bytes, out);
		return;
	}
	for (i = 0; i < count; i++)
		digest(h, worker, data[i], bytes, out[i]);
}

/* Of one piece that is larger than the buffer. */
static bool hash_large(struct hash *h, uint32_t worker, uint64_t at, uint64_t bytes, uint8_t out[20], struct fault *fault)
{
	EVP_MD_CTX *c = h->worker[worker].context;

	if (!EVP_DigestInit_ex2(c, h->sha1, NULL))
		bug("digest init");
	while (bytes) {
		size_t part = (size_t)min_u64(bytes, h->buffer_bytes);

		if (!read_range(h->t, at, h->worker[worker].buffer, part, fault))
			return false;
		if (!EVP_DigestUpdate(c, h->worker[worker].buffer, part))
			bug("digest update");
		at += part;
		bytes -= part;
	}
	if (!EVP_DigestFinal_ex(c, out, NULL))
		bug("digest final");
	return true;
}

static uint64_t bytes_of(const struct hash *h, const struct hash_batch *b)
{
	uint64_t begin = (uint64_t)b->first * h->piece_length;

	return min_u64((uint64_t)b->pieces * h->piece_length, h->t->total_bytes - begin);
}

static bool hash_batch(struct hash *h, uint32_t worker, struct hash_batch *b)
{
	uint64_t at = (uint64_t)b->first * h->piece_length, bytes = bytes_of(h, b);
	const uint8_t *data[HASH_BATCH_PIECES];
	uint32_t full = (uint32_t)(bytes / h->piece_length), i;
	uint8_t *buffer = h->worker[worker].buffer;

	if (!buffer) {
		buffer = h->worker[worker].buffer = malloc(h->buffer_bytes);
		if (!buffer)
			return fault_set(&b->fault, CREATE_INTERNAL, ENOMEM, "no memory for a buffer of %zu bytes", h->buffer_bytes);
	}
	if (bytes > h->buffer_bytes)
		return hash_large(h, worker, at, bytes, h->digests[b->first], &b->fault);
	if (!read_range(h->t, at, buffer, (size_t)bytes, &b->fault))
		return false;
	for (i = 0; i < full; i++)
		data[i] = buffer + (size_t)i * h->piece_length;
	hash_equal(h, worker, data, full, h->piece_length, h->digests + b->first);
	/* The payload's last piece may be shorter. */
	if (full < b->pieces)
		digest(h, worker, buffer + (size_t)full * h->piece_length, (size_t)(bytes % h->piece_length), h->digests[b->first + full]);
	return true;
}

static void work(void *self, uint32_t worker, struct pool_job *list)
{
	for (; list; list = list->next)
		(void)hash_batch(self, worker, (struct hash_batch *)(void *)list);
}

void hash_make_threads(struct hash *h)
{
	h->pool = pool_new(h->threads, work, warm, h);
}

void hash_start(struct hash *h, const struct tree *t, uint32_t piece_length, uint32_t pieces, uint8_t (*digests)[20])
{
	h->t = t;
	h->piece_length = piece_length;
	h->pieces = pieces;
	h->digests = digests;
	h->batch_pieces = max_u32(1, min_u32(HASH_BATCH_PIECES, HASH_BUFFER_BYTES / piece_length));
	h->buffer_bytes = (size_t)min_u64(HASH_BUFFER_BYTES, (uint64_t)h->batch_pieces * piece_length);
	h->buffer_bytes = (size_t)min_u64(h->buffer_bytes, t->total_bytes);
	h->next = 0;
	h->done_bytes = 0;
}

bool hash_advance(struct hash *h)
{
	while (h->next < h->pieces && h->free) {
		struct hash_batch *b = h->free;

		h->free = b->next_free;
		b->first = h->next;
		b->pieces = min_u32(h->batch_pieces, h->pieces - h->next);
		b->fault.status = CREATE_OK;
		b->job.bytes = (uint32_t)min_u64(bytes_of(h, b), UINT32_MAX);
		h->next += b->pieces;
		pool_add(h->pool, POOL_FAST, &b->job);
	}
	pool_kick(h->pool);
	return h->next < h->pieces || pool_busy(h->pool);
}

bool hash_collect(struct hash *h, struct fault *fault)
{
	struct pool_job *list = pool_collect(h->pool), *next;

	for (; list; list = next) {
		struct hash_batch *b = (struct hash_batch *)(void *)list;

		next = list->next;
		if (b->fault.status != CREATE_OK) {
			*fault = b->fault;
			return false;
		}
		h->done_bytes += bytes_of(h, b);
		b->next_free = h->free;
		h->free = b;
	}
	return true;
}

void hash_bytes(struct hash *h, const void *bytes, size_t length, uint8_t out[20])
{
	/* The slow lane's worker has nothing to do here; its context is free. */
	digest(h, h->threads, bytes, length, out);
}

void hash_release(struct hash *h)
{
	uint32_t i;

	if (h->pool)
		pool_free(h->pool);
	for (i = 0; i < workers(h); i++) {
		EVP_MD_CTX_free(h->worker[i].context);
		free(h->worker[i].buffer);
	}
	EVP_MD_free(h->sha1);
}
