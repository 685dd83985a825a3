/*
 * hash.h - the SHA-1 of every piece, on as many threads as were made before the lock.
 *
 * A worker takes up to 16 pieces that follow each other, reads them into one
 * buffer of at most 16 MiB by large reads, and hashes the lot, side by side where
 * the processor can and enough of them fit (sha1_lanes.h); of pieces that
 * are larger than the buffer one at a time, a buffer's worth after the other.
 */
#ifndef CREATE_HASH_H
#define CREATE_HASH_H

#include <openssl/evp.h>

#include "fault.h"
#include "pool.h"
#include "sha1_lanes.h"
#include "tree.h"

#define HASH_BATCH_PIECES SHA1_LANES
#define HASH_BUFFER_BYTES (16u << 20)

struct hash_batch {
	struct pool_job job; /* first */
	struct hash_batch *next_free;
	uint32_t first, pieces;
	struct fault fault; /* of this batch */
};

struct hash {
	const struct tree *t; /* borrowed, like digests */
	uint32_t piece_length, pieces;
	uint8_t (*digests)[20];
	uint32_t threads;
	struct pool *pool;
	EVP_MD *sha1;
	bool lanes; /* the processor can hash equal pieces side by side */
	struct {
		EVP_MD_CTX *context;
		uint8_t *buffer; /* of buffer_bytes, taken with the first batch */
	} worker[POOL_WORKERS];
	size_t buffer_bytes;
	uint32_t batch_pieces; /* of a full batch */
	uint32_t next;         /* the first piece that no batch has */
	struct hash_batch batch[2 * POOL_MAX_THREADS];
	struct hash_batch *free;
	uint64_t done_bytes;
};

/* Fetches SHA-1 from libcrypto, which reads its configuration by name.  Before the lock. */
void hash_init(struct hash *h, uint32_t threads);
/* Makes the threads: after Landlock, before the filters. */
void hash_make_threads(struct hash *h);

/* The digests get room for the pieces of t's payload. */
void hash_start(struct hash *h, const struct tree *t, uint32_t piece_length, uint32_t pieces, uint8_t (*digests)[20]);
/* Hands work out.  False: all was handed out and collected. */
bool hash_advance(struct hash *h);
/* Takes what the workers have done.  False: one of them failed, *fault says why, and h is good for nothing. */
bool hash_collect(struct hash *h, struct fault *fault) MUST_CHECK;

/* One SHA-1, in main's thread, of what is in memory. */
void hash_bytes(struct hash *h, const void *bytes, size_t length, uint8_t digest[20]);

/* Ends the threads; nothing may be under way. */
void hash_release(struct hash *h);

#endif
