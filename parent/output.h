/*
 * output.h - where a download lands: NAME.part in the output directory, then NAME.
 *
 * Promise P6: nothing that was there is overwritten, no symlink is followed or
 * made, and the final name appears only by one rename that replaces nothing.
 * The parent makes and opens the root of the download here, before its lock;
 * afterwards only output_finish() touches the directory.
 */
#ifndef PARENT_OUTPUT_H
#define PARENT_OUTPUT_H

#include "metainfo.h"

struct output {
	int dir;   /* the output directory; not owned */
	int root;  /* owned: NAME.part (a file open for reading and writing, or a directory); NAME itself when `finished` */
	int spill; /* owned: an unnamed file for pieces that must wait; -1 when `finished` */
	bool single, give;
	bool existed;  /* NAME.part was there: all of it must be checked */
	bool finished; /* NAME is there: it is only read */
	char name[METAINFO_MAX_NAME + 1];
	char part[METAINFO_MAX_NAME + 1];
};

/* A struct that holds nothing: output_close() is safe. */
void output_init(struct output *o);

/*
 * Opens or makes what m needs in the directory.  Takes the lock (flock) that
 * keeps a second bulkhead away.  0; or -1 with one line in `error`.  dir_name
 * is for that line only.  give: what is made is given to the owner of the
 * directory (started as root).
 */
int output_open(struct output *o, int dir, const char *dir_name, const struct metainfo *m, bool give, char *error, size_t room) MUST_CHECK;

/* NAME.part -> NAME, replacing nothing, if it is `root` still; and the directory synced.  0, or -1 with one line in `error`. */
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
