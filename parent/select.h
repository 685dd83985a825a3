/*
 * select.h - which files of a torrent the user wants: --select and --priority against the validated form.
 *
 * A LIST is numbers as --list prints them, ranges of them ("3-5", "7-"), and
 * patterns, with commas between.  A pattern is compared with the whole path
 * below the root, and, when it has no '/', with the last component too: `*`
 * stands for any bytes ('/' too), `?` for one character, `[a-z]` for one of
 * these, `\` before a character for itself; one that ends in '/' for all below.
 */
#ifndef PARENT_SELECT_H
#define PARENT_SELECT_H

#include "options.h"
#include "wanted.h"

struct selection {
	int fd;                /* owned: the list for netproc and diskproc (wanted.h), sealed; -1: all is wanted alike */
	struct wanted_sum sum; /* of what is wanted */
	bool partial;          /* some file is not wanted */
	bool shares;           /* and it has bytes of a piece that is */
};

/* Whether it is a LIST: no empty part, no range that ends before it begins. */
bool select_is_list(const char *list) MUST_CHECK;

/* Whether the pattern stands for the path.  At most strlen(pattern) * strlen(path) steps. */
bool select_matches(const char *pattern, size_t length, const char *path) MUST_CHECK;

/*
 * What the options want of this form.  0, or an exit status with one line in
 * `error`: STATUS_USAGE when a number or pattern stands for no file.
 */
int select_files(struct selection *s, const struct options *o, const struct metainfo *m, char *error, size_t room) MUST_CHECK;
void select_close(struct selection *s);

#endif
