/*
 * report.h - after a check that only asks: which pieces are good and how each file stands, told to the parent.
 *
 * Parts in order, as many as the parent's channel takes; when the last piece
 * and the last file were told there is nothing more to do.
 */
#ifndef DISKPROC_REPORT_H
#define DISKPROC_REPORT_H

#include "channel.h"
#include "metainfo.h"

struct report {
	uint8_t *states;     /* owned: enum file_state of each file; NULL: no report is wanted */
	bool due;            /* the check is over, and the states are known */
	uint32_t next_piece, next_file; /* all before them were told */
};

void report_init(struct report *r, const struct metainfo *m, bool wanted);
void report_release(struct report *r);

/* Tells what it can.  have: bitfield of the pieces that are good. */
void report_tell(struct report *r, const struct metainfo *m, const uint8_t *have, struct channel *parent);

#endif
