/*
 * fetch.h - parts of verified pieces, from the files into upload slots: the only place where payload is read out.
 *
 * A list of jobs by `others`, in the order of the payload: neighbours in one
 * file are read in one call, each into its own buffer.  Padding is zeros.
 */
#ifndef DISKPROC_FETCH_H
#define DISKPROC_FETCH_H

#include "work.h"

/*
 * In the loop, which waits for no disk: takes what is in the page cache, of files
 * that are open, and sets job.good of each part that is whole.  False: this file
 * system cannot tell what would have to be waited for, and nobody need ask again.
 */
bool fetch_cached(struct work *w, struct job *list) MUST_CHECK;

/* In a worker: sets job.good, or job.fault when it is not to be had: a file that is shorter than it was is a fault too. */
void fetch_read(struct work *w, struct job *list);

#endif
