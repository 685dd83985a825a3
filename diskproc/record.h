/*
 * record.h - what is kept between runs: which pieces are verified and on disk, and of which files.
 *
 * One file, which the parent opened: we have no name and no directory to make
 * another beside it.  In it are two slots, written in turn, each with a number
 * that grows and a digest over all of it: a write that is cut short damages one
 * of them, and the other is the copy before.  Their room is written when the
 * file is made, so that a disk that is full later does not keep the record back
 * (where files are not written in place it may).
 *
 * What is in it is believed only as far as it agrees with the form, from which
 * every size is computed: another info-hash, length or count, or one byte that
 * changed, and the slot counts as none.
 *
 * Order (work.c): a piece is in it only after its bytes were synced, and the
 * files' times are taken after that.  Whoever reads it: recall.h.  It is used by
 * one at a time: the slow lane while a job is there, the loop otherwise.
 */
#ifndef DISKPROC_RECORD_H
#define DISKPROC_RECORD_H

#include <openssl/evp.h>

#include "metainfo.h"

/*
 * Byte order and layout are the machine's.  Behind it: a record_file for each row
 * of the form's table, the bitfield, the SHA-1 of all before.
 */
struct record_header {
	uint64_t magic;
	uint32_t version;
	uint32_t flags;    /* RECORD_CLEAN */
	uint64_t sequence; /* of this write, from 1; odd ones are in slot 1, even ones in slot 0 */
	uint64_t total_length;
	uint8_t info_hash[20];
	uint32_t piece_length, piece_count, file_count;
};
#define RECORD_CLEAN 1u /* the last writer has ended: no other piece is in these files */

/* A file as it was when it was last synced; inode 0: it was not there, or nothing is known of it. */
struct record_file {
	uint64_t inode;
	uint64_t mtime_ns; /* since 1970, modulo 2^64 */
};

struct record {
	int fd; /* owned; -1: there is none, and nothing is kept */
	const struct metainfo *m;
	const EVP_MD *sha1;
	uint8_t *slot;     /* owned: what was read, or is to be written; malloc */
	size_t bytes;      /* of a slot */
	uint64_t sequence; /* of the newest slot on disk; 0: none is valid */
	bool has_room;     /* both slots' room was written */
};

static inline struct record_header *record_header(const struct record *r)
{
	return (struct record_header *)(void *)r->slot;
}
static inline struct record_file *record_files(const struct record *r)
{
	return (struct record_file *)(void *)(r->slot + sizeof(struct record_header));
}
/* As bitfield.h has it. */
static inline uint8_t *record_have(const struct record *r)
{
	return (uint8_t *)(record_files(r) + r->m->h->file_count);
}

/* fd: taken, or -1.  The others are borrowed. */
void record_init(struct record *r, int fd, const struct metainfo *m, const EVP_MD *sha1);
void record_release(struct record *r);

/* Whether these `bytes` (of which there are r->bytes) are a valid slot of this torrent.  Pure. */
bool record_is_valid(const struct record *r, const uint8_t *bytes) MUST_CHECK;
/* Fills in the header of r->slot and its digest.  Pure. */
void record_seal(struct record *r, uint32_t flags, uint64_t sequence);

/* The newest valid slot into r->slot; false: there is none, and r->slot is empty. */
bool record_load(struct record *r) MUST_CHECK;

/* Writes the room of both slots, once.  0, or -1 with errno. */
int record_make_room(struct record *r) MUST_CHECK;

/* Seals r->slot, writes it over the older one, syncs that.  0, or -1 with errno: the newer one on disk is as it was. */
int record_store(struct record *r, uint32_t flags) MUST_CHECK;

#endif
