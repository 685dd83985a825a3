/*
 * stream.h - one of the two streams that people and programs read, written
 * without waiting for whoever reads it: the parent has processes to watch.
 *
 * What the reader does not take waits here.  How much may wait is said with
 * each line: where more does, that line is left out, so that lines of less
 * worth give way first.  A line is never cut.
 *
 * The flags of the inherited descriptor stay as they are: O_NONBLOCK would be
 * everybody's who shares it, the shell's too.  A terminal of another user, which
 * cannot be opened anew, has it during each write.
 */
#ifndef PARENT_STREAM_H
#define PARENT_STREAM_H

#include "common.h"

struct stream {
	int fd;
	bool shared;       /* a terminal of which there is no description that is ours alone */
	bool gone;         /* nobody reads it any more, or it cannot be written */
	int error;         /* the errno that said so; 0: not gone */
	char *bytes;       /* owned; from begin to end they wait */
	size_t begin, end, room;
};

/* fd: 1 or 2, inherited.  Before the lock; one that was not opened works too, its fd set. */
void stream_open(struct stream *s, int fd);

/* Writes what is taken now, and keeps the rest; nothing of it when more than `most` bytes wait. */
void stream_put(struct stream *s, const void *bytes, size_t length, size_t most);

size_t stream_waiting(const struct stream *s);
/* Writes of what waits as much as is taken now. */
void stream_flush(struct stream *s);

/* Waits for the reader until all of it was taken, and what waited before it.  -1 with errno. */
int stream_write(struct stream *s, const void *bytes, size_t length) MUST_CHECK;

#endif
