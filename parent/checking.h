/*
 * checking.h - the command check: diskproc alone reads what is there, tells how it stands, and that is printed.
 *
 * With --repair this is only the first part: when something is wrong NAME
 * becomes NAME.part again, and the download goes on as `get` would.
 */
#ifndef PARENT_CHECKING_H
#define PARENT_CHECKING_H

#include "messages.h"

struct download;

struct checking {
	bool active;     /* diskproc reads only, and reports */
	bool repairs;    /* what is wrong is downloaded after it, as soon as that diskproc is gone */
	uint8_t *good;   /* owned: bitfield of the pieces whose hash matches */
	uint8_t *states; /* owned: enum file_state of each file */
	uint32_t next_piece, next_file; /* all before them was told */
};

/* Before diskproc is started: in place of everything else that the download needs; and anew, when diskproc is. */
void checking_begin(struct download *d);
void checking_close(struct checking *c);

/* There is neither NAME nor NAME.part: that is told.  True: it is to be downloaded; false: that was all. */
bool checking_all_missing(struct download *d);

/* What diskproc says.  0, or -1: it broke the contract. */
int checking_on_bits(struct download *d, const struct msg_checked_bits *m) MUST_CHECK;
int checking_on_states(struct download *d, const struct msg_file_states *m) MUST_CHECK;

/* Its diskproc is gone, and something is to be repaired: everybody is started. */
void checking_repair(struct download *d);

#endif
