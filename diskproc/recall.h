/*
 * recall.h - the start of a run: which pieces the record answers for, and which must be looked at.
 *
 *	the files that a piece is in     recorded    not recorded
 *	all as they were recorded        believed    missing, if the record is CLEAN; otherwise looked at
 *	one is not                       looked at   looked at
 *
 * As recorded: inode and time of change are those of the record, and its size
 * is the torrent's.
 */
#ifndef DISKPROC_RECALL_H
#define DISKPROC_RECALL_H

#include "record.h"
#include "work.h"

struct recall {
	struct record *record; /* borrowed */
	bool believe;          /* false: all is to be looked at, whatever it says */
	uint8_t *known;        /* owned: bitfield of pieces that are believed */
	uint8_t *doubtful;     /* owned: of those that must be looked at */
	uint8_t *as_were;      /* owned: of files that are as they were recorded */
	bool done;             /* recall_run() came to its end: the record may be written from now on */
	int store_error;       /* errno of recall_run(): CLEAN could not be taken off the disk; 0 */
};

/* All is doubtful until recall_run() says otherwise. */
void recall_init(struct recall *c, struct record *r, const struct metainfo *m, bool believe);
void recall_release(struct recall *c);

/*
 * Reads the record, looks at each file, and judges.  When something is missing
 * and may be written, a record that is CLEAN is replaced by one that is not,
 * before it returns.  A file that cannot be looked at is doubtful: whoever reads
 * it later meets the fault.  Slow lane.
 */
void recall_run(struct work *w, struct recall *c);

/* From record->slot and as_were: fills known and doubtful.  Pure. */
void recall_judge(struct recall *c, const struct metainfo *m);

#endif
