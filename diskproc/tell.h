/*
 * tell.h - what diskproc says when it is due, and there is room: what is there, how far it is, what failed.
 */
#ifndef DISKPROC_TELL_H
#define DISKPROC_TELL_H

#include "disk.h"

/* HAVE_BITS ... HAVE_END, or HOLD, as the stage has it.  As much as the channel takes. */
void tell_netproc(struct disk *d);
/* DISK_ERROR once and before all else, DISK_PROGRESS now and then, DISK_COMPLETE once and last. */
void tell_parent(struct disk *d, uint64_t now);

#endif
