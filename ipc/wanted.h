/*
 * wanted.h - which files of a torrent are wanted, and which of them first.
 *
 * The parent makes a sealed memory file with one byte for each file of the
 * normal form (enum wanted_level) when the user selected some or gave some a
 * priority; netproc and diskproc read it into memory of their own before their
 * lock (SETUP_WANTED), and check all of it again once they have read the form.
 * Without one, all is wanted alike.
 */
#ifndef IPC_WANTED_H
#define IPC_WANTED_H

#include "metainfo.h"

enum wanted_level { WANTED_NOT, WANTED_LOW, WANTED_NORMAL, WANTED_HIGH };

struct wanted {
	uint8_t *level; /* one for each file; owned; NULL: all of the form is wanted, padding too */
	uint32_t files; /* how many are in level[] */
};

/* What is wanted, in numbers. */
struct wanted_sum {
	uint64_t bytes;  /* of the wanted files; without a selection all of the payload */
	uint32_t pieces; /* that a wanted byte is in */
	uint32_t files;
};

/* A sealed memory file of level[], or -1 with errno. */
int wanted_seal(const uint8_t *level, uint32_t files) MUST_CHECK;

/* Reads it; fd -1: all is wanted.  NULL, or what is wrong (a constant).  The descriptor stays the caller's. */
const char *wanted_read(struct wanted *w, int fd) MUST_CHECK;
/* Whether it fits the form: as many files, levels that exist, and nothing wanted that is never written.  NULL, or what is wrong. */
const char *wanted_check(const struct wanted *w, const struct metainfo *m) MUST_CHECK;
void wanted_release(struct wanted *w);

static inline enum wanted_level wanted_level(const struct wanted *w, uint32_t file)
{
	return w->level ? (enum wanted_level)w->level[file] : WANTED_NORMAL;
}

/* Linear in the files. */
struct wanted_sum wanted_sum(const struct wanted *w, const struct metainfo *m);

#endif
