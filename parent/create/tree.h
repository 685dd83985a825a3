/*
 * tree.h - what is shared: one file, or all plain files below a directory, in the order in which a torrent has them.
 *
 * The order is that of the bytes of the whole paths, as `LC_ALL=C sort` and
 * mktorrent have it, so that the same files make the same torrent.  Hidden and
 * empty files are among them.  Nothing is opened but by one component after the
 * other, and no symbolic link is followed: links and special files are left out
 * with a warning.  Names are of whoever may write there: each must be valid
 * UTF-8; nothing else is wanted of them.
 */
#ifndef CREATE_TREE_H
#define CREATE_TREE_H

#include <time.h>

#include "fault.h"
#include "metainfo.h"

/* Directories within each other: each is open while what is in it is read. */
#define TREE_MAX_DEPTH 100u

struct tree_file {
	uint64_t offset; /* first byte in the torrent's payload */
	uint64_t length;
	uint64_t device, inode; /* which it was, when it was found */
	struct timespec changed;
	size_t path; /* in tree.paths */
};

/* Zeroed, then the first group filled. */
struct tree {
	int root;                         /* the directory, or -1; borrowed */
	int single;                       /* the one file, or -1; borrowed */
	uint32_t max_files;               /* also of directories */
	size_t max_paths;                 /* bytes */
	uint64_t skip_device, skip_inode; /* a file that is left out without a word: the output; 0, 0: none */

	struct tree_file *files; /* owned, like paths */
	uint32_t count, room;
	char *paths; /* each with its NUL; below the root, components joined by '/'; of a single file empty */
	size_t paths_used, paths_room;
	uint64_t total_bytes;
	uint32_t directories, skipped;
	char path[METAINFO_MAX_PATH + 1]; /* where the walk is */
	size_t path_length;
};

/* Finds all files.  False: *fault says why. */
bool tree_read(struct tree *t, struct fault *fault) MUST_CHECK;

static inline const char *tree_path(const struct tree *t, const struct tree_file *f)
{
	return t->paths + f->path;
}

/* A file for reading, as it was found: a descriptor for tree_close(), or -1 and *fault. */
int tree_open(const struct tree *t, const struct tree_file *f, struct fault *fault) MUST_CHECK;
void tree_close(const struct tree *t, int fd);

/* Looks at all of them again: false and *fault when one is another, or has another size or time of change. */
bool tree_unchanged(const struct tree *t, struct fault *fault) MUST_CHECK;

/* The first file that has the byte at `offset` (< total_bytes). */
const struct tree_file *tree_at(const struct tree *t, uint64_t offset);

void tree_release(struct tree *t);

/* Sorts something, since libc's qsort asks how much memory the machine has when it is first used.  Before the lock. */
void tree_warm(void);

#endif
