/*
 * layout.h - which bytes of which files a range of the payload is: pure arithmetic.
 *
 * BEP 3: the payload is all files in the order of the table, end to end.  Empty
 * files and symlink entries never take part; padding files (BEP 47) do, but are
 * zeros that nobody writes.
 */
#ifndef DISKPROC_LAYOUT_H
#define DISKPROC_LAYOUT_H

#include "wanted.h"

/* A part of one file. */
struct span {
	uint32_t file;   /* index in the form's table */
	bool pad;        /* zeros, not on disk */
	uint64_t offset; /* in the file */
	uint64_t length; /* at least 1 */
};

/* A walk over a range of the payload; borrows the form. */
struct layout_walk {
	const struct metainfo_file *files;
	uint32_t file, count;
	uint64_t at, left;
};

/* Starts at payload byte `begin`, for `length` bytes; both within total_length.  Binary search. */
void layout_seek(struct layout_walk *w, const struct metainfo *m, uint64_t begin, uint64_t length);
/* The next span; false at the end. */
bool layout_next(struct layout_walk *w, struct span *s);

static inline uint64_t layout_piece_begin(const struct metainfo *m, uint32_t piece)
{
	return (uint64_t)piece * m->h->piece_length;
}

/* Bytes of the range that are on disk: padding not counted. */
uint64_t layout_disk_bytes(const struct metainfo *m, uint64_t begin, uint64_t length);
/* Bytes of the range that are wanted; without a selection all of them, padding too. */
uint64_t layout_wanted_bytes(const struct metainfo *m, const struct wanted *wanted, uint64_t begin, uint64_t length);
/* The same for a piece; 0: it is not wanted. */
static inline uint64_t layout_wanted_of_piece(const struct metainfo *m, const struct wanted *wanted, uint32_t piece)
{
	return layout_wanted_bytes(m, wanted, layout_piece_begin(m, piece), metainfo_piece_bytes(m, piece));
}

#endif
