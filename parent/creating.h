/*
 * creating.h - what the parent does around create: the path and a memory file in, the torrent's file out.
 *
 * create makes the info dictionary, which the parent copies unread; what is
 * around it are the user's own words (outer.h).
 */
#ifndef PARENT_CREATING_H
#define PARENT_CREATING_H

#include "messages.h"
#include "newfile.h"

struct download;
struct screen_row;

struct creating {
	int shared;         /* owned: the file or directory; -1 */
	bool single;        /* it is a file */
	char name[256];     /* of the torrent */
	char *default_path; /* owned: NAME.torrent; NULL when another was named */
	struct newfile out; /* nothing when it goes to standard output */
	struct msg_create_progress progress;
	struct msg_created answer;
	bool answered;
};

void creating_init(struct creating *cr);
void creating_close(struct creating *cr);

/*
 * Opens what is shared, and the output: before the parent's walls, after the
 * launcher was forked.  0, or an exit status: what failed was said.
 */
int creating_open(struct download *d) MUST_CHECK;

/* As root: *uid and *gid that create is to have, `id` being unused; the directory is mapped to it where that can be. */
void creating_map_owner(struct download *d, uint32_t id, int *uid, int *gid);

/* Gives create its descriptors when it can take them. */
void creating_feed(struct download *d);

/* CREATE_PROGRESS, CREATED.  0, or -1 for a broken contract. */
int creating_on_progress(struct download *d, const struct msg_create_progress *m) MUST_CHECK;
int creating_on_answer(struct download *d, const struct msg_created *m) MUST_CHECK;

/* create is reaped: the torrent is written, or the command has failed. */
void creating_end(struct download *d);

/* What the progress line shows. */
void creating_row(const struct download *d, struct screen_row *row);

#endif
