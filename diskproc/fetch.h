/*
 * fetch.h - parts of verified pieces, from the files into the conveyor: the only place where payload is read out.
 *
 * Pages of the file go into the pipe as they are, neighbours in one call.  What
 * lies in several files, or in padding (zeros), is read and written instead:
 * each end of a file would take a place of its own in the pipe.
 */
#ifndef DISKPROC_FETCH_H
#define DISKPROC_FETCH_H

#include "work.h"

/*
 * In the worker of the read lane, which is one: a list of jobs by `others`, whose
 * bytes go into the pipe in that order.  Sets job.put, what is there of each, and
 * job.good: all; otherwise job.fault says why (a file that is shorter than it
 * was is a fault too), unless nothing was to be read (bytes 0) or the pipe is full.
 */
void fetch_read(struct work *w, struct job *list);

#endif
