/*
 * newfile.h - a file of results that appears under its name whole, or not at all, and replaces nothing.
 *
 * It is written under a temporary name in the same directory, opened before the
 * parent's walls, behind which only a rename is left.  What would take the
 * temporary name away if it is never renamed cannot be the parent, which may
 * unlink nothing: that is a process of its own, forked before the walls, which
 * waits for one byte or for the parent's end, however that comes.
 */
#ifndef PARENT_NEWFILE_H
#define PARENT_NEWFILE_H

#include <sys/types.h>

#include "output.h"

struct newfile {
	int dir;  /* owned; -1 */
	int fd;   /* owned, to write to; -1 */
	int done; /* owned: one byte for the sweeper, the file has its name; -1 */
	pid_t sweeper;
	uint64_t device, inode;
	char name[256]; /* in dir */
	char temporary[OUTPUT_TEMPORARY_NAME];
	const char *path; /* as the user wrote it, for people */
};

/* The state that holds nothing. */
void newfile_init(struct newfile *n);

/*
 * Begins the file `path` (which is kept), with the mode that the umask leaves;
 * `give`: it belongs to the directory's owner.  Before the walls, and when no
 * process that may live long is to be forked any more.  0, or -1 with one line
 * in error: something has the name, or it cannot be made.
 */
int newfile_open(struct newfile *n, const char *path, bool give, char *error, size_t room) MUST_CHECK;

/* Adds bytes.  0, or -1 with errno. */
int newfile_write(struct newfile *n, const void *bytes, size_t length) MUST_CHECK;

/* Syncs it and gives it its name.  0, or -1 with one line in error. */
int newfile_finish(struct newfile *n, char *error, size_t room) MUST_CHECK;

/* Closes everything; without newfile_finish() the file goes away. */
void newfile_close(struct newfile *n);

#endif
