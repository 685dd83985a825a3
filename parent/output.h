/*
 * output.h - where a download lands: NAME.part in the output directory, then NAME.
 *
 * Promise P6: nothing that was there is overwritten, no symlink is followed or
 * made, and the final name appears only by one rename that replaces nothing.
 * A NAME.part that is there is continued only if a record (state.h) says that
 * bulkhead made it, or the user says so.  The parent makes and opens the root of
 * the download here, before its lock; afterwards only output_finish() touches
 * the directory.
 */
#ifndef PARENT_OUTPUT_H
#define PARENT_OUTPUT_H

#include "metainfo.h"
#include "state.h"

struct output_options {
	int dir;              /* the output directory; borrowed for as long as the output is open */
	const char *dir_name; /* as the user wrote it; for messages only, which escape it */
	int states;           /* the state directory; borrowed until the walls are up */
	bool give;            /* what is made is given to the owner of the directory (started as root) */
	bool adopt;           /* a NAME.part without a record is taken over */
	bool any_size;        /* one file: also a NAME.part of another size than it will have */
	bool recall;          /* to check: what is on record need not be read */
	uint32_t mode;        /* of files that are made, directories accordingly; 0: the usual one */
	bool seeds;           /* it is given when it is complete: its totals are kept */
	bool partial;         /* not all of its files are wanted */
	bool shares;          /* and those that are share pieces with the others: there is to be a parts file */
};

struct output {
	int dir;   /* the output directory; not owned */
	int root;  /* owned: NAME.part (a file open for reading and writing, or a directory), also when it became NAME; or what was there */
	int spill; /* owned: an unnamed file for pieces that must wait; -1 when `finished` */
	int parts; /* owned: the parts file, beside the record; -1: none is there, or needed */
	bool single;
	bool existed;  /* NAME.part was there: what the record does not answer for must be checked */
	bool finished; /* NAME is there: it is only read from now on */
	bool incomplete; /* to seed or check, but there is only NAME.part: it is read, to tell what is missing */
	struct state state; /* owned: the record; none for what was finished when it was opened */
	char name[METAINFO_MAX_NAME + 1];
	char part[METAINFO_MAX_NAME + 1];
};

/* A struct that holds nothing: output_close() is safe. */
void output_init(struct output *o);

/*
 * Opens or makes what m needs in the directory, and its record.  Takes the lock
 * (flock) that keeps a second bulkhead away.  A NAME of which its record says that
 * bulkhead made it, and not all of it, becomes NAME.part again.  0; or -1 with one line in `error`.
 */
int output_open(struct output *o, const struct output_options *options, const struct metainfo *m, char *error, size_t room) MUST_CHECK;

/*
 * The same for what is only to be given: nothing is made, locked or written.
 * Neither NAME nor NAME.part: -1.
 */
int output_open_to_seed(struct output *o, const struct output_options *options, const struct metainfo *m, char *error, size_t room) MUST_CHECK;

/* The same for what is only to be checked, whatever its size.  1: neither NAME nor NAME.part is there. */
int output_open_to_check(struct output *o, const struct output_options *options, const struct metainfo *m, char *error, size_t room) MUST_CHECK;

/*
 * For what is to be checked first and then perhaps repaired: it is opened to be
 * written, locked and recorded, but keeps its name.  1: neither is there.
 */
int output_open_to_repair(struct output *o, const struct output_options *options, const struct metainfo *m, char *error, size_t room) MUST_CHECK;

/* Behind the lock, after output_open_to_repair(): NAME -> NAME.part, replacing nothing.  0, or -1 with one line in `error`. */
int output_reopen(struct output *o, char *error, size_t room) MUST_CHECK;

/* The name that it has now. */
const char *output_name(const struct output *o);

/* NAME.part -> NAME, replacing nothing, if it is `root` still; and the directory synced: it is `finished`.  0, or -1 with one line in `error`. */
int output_finish(struct output *o, char *error, size_t room) MUST_CHECK;

void output_close(struct output *o);

/*
 * The name until all is complete: NAME.part; when that is over 255 bytes, NAME
 * cut to at most 233 bytes at a character's border, '~', the first 16 hex
 * digits of the info-hash, ".part".  out: METAINFO_MAX_NAME + 1 bytes.
 */
void output_part_name(char *out, const char *name, size_t length, const uint8_t *info_hash);

/* A name that nothing has, for what is renamed at once or soon. */
#define OUTPUT_TEMPORARY_NAME 32
void output_temporary_name(char out[OUTPUT_TEMPORARY_NAME]);

#endif
