/*
 * parts.h - the parts file: bytes of wanted pieces that belong to files which are not wanted.
 *
 * Sparse, each byte at its place in the payload, so that there is no table.  The
 * parent keeps it beside the download's record; when such a file is wanted
 * later, what is here of it need not be fetched again.
 */
#ifndef DISKPROC_PARTS_H
#define DISKPROC_PARTS_H

#include "common.h"

/* Whether there may be data in this range; parts -1: no. */
bool parts_has(int parts, uint64_t begin, uint64_t length);

/* Copies what there is of the range into a file of its length, from the range's first byte on.  0, or -1 with errno. */
int parts_copy(int parts, uint64_t begin, uint64_t length, int to) MUST_CHECK;

#endif
