/*
 * giving.h - a download that is SEEDING: its beginning and end, and what is said of both.
 */
#ifndef PARENT_GIVING_H
#define PARENT_GIVING_H

#include "download.h"

/* What counts for its rule, earlier runs included. */
struct seeding giving_so_far(const struct download *d);

/* RUNNING -> SEEDING. */
void giving_begin(struct download *d);

/* SEEDING -> FINISHING.  Nothing is lost, whatever ended it: the status is that of the download. */
void giving_end(struct download *d, enum seeding_end why);

/* Ends it when its rule says so.  Until when it goes on by itself; UINT64_MAX: for ever, or it has ended. */
uint64_t giving_check(struct download *d);

/* How much was given, when netproc is gone: it has told of its last moments. */
void giving_tell(const struct download *d);

#endif
