/*
 * writer.h - verified pieces from their private buffers into the files.
 */
#ifndef DISKPROC_WRITER_H
#define DISKPROC_WRITER_H

#include "work.h"

/*
 * Writes all jobs' pieces, whose hashes matched.  Neighbours in a file share one
 * call.  Reorders jobs[].  A job with a part that could not be written gets its
 * fault.
 */
void writer_write(struct work *w, struct job **jobs, uint32_t count);

#endif
