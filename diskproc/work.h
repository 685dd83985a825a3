/*
 * work.h - what the workers do: hash a piece and write it, read and hash what is there, read it out, spill, sync.
 *
 * A job is owned by the loop, then by one worker, then by the loop again; a
 * worker touches nothing else but what is constant (the form), files.h (which
 * locks) and its own context.  Hash first, then write, from the same private
 * buffer: P2.  A VERIFY may stand for several pieces (gather.h), a READ for
 * several parts (fetch.h): they come and go as one job.
 */
#ifndef DISKPROC_WORK_H
#define DISKPROC_WORK_H

#include <openssl/evp.h>
#include <stdatomic.h>

#include "files.h"
#include "pool.h"

enum job_kind {
	JOB_VERIFY,  /* hash (the rest of) a whole piece, compare, write */
	JOB_PREFIX,  /* hash a part of a large piece */
	JOB_SPILL,   /* write blocks to the spill file */
	JOB_LOAD,    /* read them back */
	JOB_CHECK,   /* read pieces from the files and compare */
	JOB_MERGE,   /* what the parts file has of wanted files goes there */
	JOB_PREPARE, /* make what has to be there before it is written, and the record's room; read-only: check the sizes of all, or tell how they stand */
	JOB_SYNC,    /* all that was written; then the record */
	JOB_RECALL,  /* what the record answers for */
	JOB_WRITE,   /* VERIFY again, when only the writing of a good piece has failed */
	JOB_READ,    /* parts of verified pieces go from the files into the conveyor */
};

#define CHECK_MAX_PIECES 256u /* in one JOB_CHECK */
#define CHECK_BYTES (4u << 20) /* so much in one JOB_CHECK, or SHA1_LANES pieces of CHECK_BYTES_MOST together, or one piece */
#define CHECK_BYTES_MOST (64u << 20)

struct job {
	struct pool_job link; /* first */
	enum job_kind kind;
	uint32_t piece; /* CHECK: the first */
	uint32_t bytes; /* of the piece; READ: of the part */
	uint32_t begin; /* READ: of the part, in the piece */
	uint32_t put;   /* READ: bytes of it that are in the conveyor */
	uint8_t *buffer;
	EVP_MD_CTX *hash;     /* running, of its first `hashed` bytes; the piece's */
	uint32_t hashed;      /* bytes that are in `hash` already */
	uint32_t prefix;      /* PREFIX: hash up to here */
	const uint64_t *blocks; /* SPILL, LOAD */
	uint32_t region;
	uint32_t pieces;      /* CHECK: how many */
	bool want_sums;
	bool keep;            /* SYNC: the record, whose bitfield the loop filled in, is to be written */
	bool clean;           /* SYNC: as RECORD_CLEAN */
	bool last;            /* SYNC: all was written; whether it is there still is looked at, too */
	bool stalled;         /* stall.h: it waits, or is tried again */
	/* Those that are done with this one, a list by this pointer.  VERIFY: whole pieces of the same length; READ: in the order in which they were asked for. */
	struct job *others;
	/* The answer. */
	bool good;            /* VERIFY: the hash matched; it is on disk when fault.act is 0 too.  READ: all of it is in the conveyor */
	struct fault fault;
	int record_error;     /* SYNC, PREPARE: errno of the record, which costs nothing but time; 0 */
	uint64_t *sums;       /* VERIFY: of each block (malloc) when the hash did not match or want_sums */
	uint64_t found[CHECK_MAX_PIECES / 64]; /* CHECK */
};

struct record;
struct recall;

struct work {
	const struct metainfo *m;
	struct files *files;
	int spill_fd;
	int conveyor;             /* the writing end; -1: nobody reads out */
	bool read_only;
	struct record *record;    /* NULL: none is kept */
	struct recall *recall;
	const uint8_t *doubtful;  /* CHECK: bitfield of the pieces to look at */
	uint8_t *states; /* PREPARE fills it with the enum file_state of each file; NULL: as below.  Borrowed */
	uint8_t sum_key[16];
	EVP_MD *sha1;
	bool lanes; /* sha1_lanes() works here */
	atomic_bool stop; /* checks may end early */
	atomic_bool holes; /* the file system tells where data is */
	uint8_t zero_hash[20]; /* of a piece of zeros of full length */
	bool has_zero_hash;
	struct work_thread {
		EVP_MD_CTX *hash;
		uint8_t *chunk; /* READER_CHUNK bytes, while checking; owned by its worker */
	} thread[POOL_WORKERS];
};

/* Before the lock: fetches the digest and makes the contexts. */
void work_init(struct work *w);
/* After it, before the first job.  All borrowed. */
void work_open(struct work *w, const struct metainfo *m, struct files *files, int spill_fd, bool read_only);
void work_release(struct work *w);

/* For pool_new(). */
void work_warm(void *self, uint32_t worker);
void work_run(void *self, uint32_t worker, struct pool_job *list);

/* Starts the running hash of a piece anew; adds to it; ends it. */
void work_hash_start(const struct work *w, EVP_MD_CTX *c);
void work_hash_more(EVP_MD_CTX *c, const uint8_t *bytes, size_t length);
void work_hash_end(EVP_MD_CTX *c, uint8_t digest[20]);

#endif
