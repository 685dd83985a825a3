/*
 * reader.h - hashes what is in the files already: the check at the start.
 */
#ifndef DISKPROC_READER_H
#define DISKPROC_READER_H

#include "sha1_lanes.h"
#include "work.h"

#define READER_CHUNK (1u << 20)        /* read at once: stays in the cache until it is hashed */
#define READER_PART (READER_CHUNK / SHA1_LANES) /* of each piece, where sixteen are read side by side */

/*
 * Checks those pieces of the job that are doubtful, and sets their bits in
 * found[].  A file that is not there is no fault; what cannot be read is.
 */
void reader_check(struct work *w, uint32_t worker, struct job *j);

/* Before the first check: the hash of a piece of zeros, by which holes are judged without reading them. */
void reader_init(struct work *w);

#endif
