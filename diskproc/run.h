/*
 * run.h - parts that follow each other in one file, moved in one call: what writer.c writes.
 *
 * Parts are added in the order of the payload.  One that does not continue the
 * run ends it: what was collected is moved, and another begins.
 */
#ifndef DISKPROC_RUN_H
#define DISKPROC_RUN_H

#include <sys/uio.h>

#include "work.h"

#define RUN_PARTS 64u

struct run {
	struct work *work;
	void (*move)(struct run *r); /* all of its parts, which it may change; what came of it goes into the jobs */
	uint32_t file;
	uint64_t offset, bytes;
	uint32_t parts;
	struct iovec part[RUN_PARTS];
	struct job *job[RUN_PARTS];  /* whose each part is */
};

void run_add(struct run *r, struct job *j, const struct span *s, uint8_t *data);
/* Moves what was collected; harmless when that is nothing. */
void run_end(struct run *r);

/* Writes all parts by pwritev().  0, or -1 with errno.  Changes the parts. */
int run_all(struct run *r, int fd) MUST_CHECK;

#endif
