/*
 * state.h - what is kept of a download between runs: one small record each, in the state directory.
 *
 * A record says which NAME.part bulkhead made (promise P6: a foreign one is
 * refused), and how many bytes were sent and received for it.  Opened and made
 * by the parent before its lock; afterwards state_end() alone writes, in place,
 * into the descriptor that is held.
 *
 * The file's name is the info-hash and the identity of the output directory in
 * hex; that it is not NAME as well costs nothing, since NAME follows from the
 * info-hash.  In it are two slots, written in turn, each with a number that
 * grows and a checksum: a write that is cut short leaves the other.  What is
 * damaged, of another version or of somebody else counts as no record.  A
 * record is locked (flock) while it is open.  Behind its lock the parent cannot
 * remove a name: the record of a finished download is marked, and a
 * state_directory() after STATE_KEEP_S removes it unless something was given of
 * it: its totals count for the next `seed`.
 *
 * Beside it, under the same name with ".have", is the file in which diskproc
 * records which pieces are verified (diskproc/record.h).  The parent makes it,
 * opens it and removes it with the record, and never looks into it.
 * There may be a parts file too, with ".parts": what diskproc keeps of pieces
 * that wanted files share with others.  It goes when the record does.
 */
#ifndef PARENT_STATE_H
#define PARENT_STATE_H

#include "common.h"

/*
 * Which file or directory something is.  Devices are numbered anew at each boot
 * on some file systems, and inodes are used again: where the file system keeps
 * the time of birth, inode and birth say it together; elsewhere device and inode.
 */
struct state_identity {
	uint64_t device, inode;
	uint64_t birth_ns; /* since 1970; 0: not known */
};

/* One slot.  Byte order and layout are the machine's. */
struct state_record {
	uint64_t magic;
	uint32_t version;
	uint32_t flags;    /* STATE_FINISHED, STATE_PARTIAL */
	uint64_t sequence; /* of this write; odd ones go to slot 1, even ones to slot 0 */
	uint8_t info_hash[20];
	uint8_t spare[4];
	struct state_identity part; /* NAME.part */
	uint64_t uploaded, downloaded; /* payload bytes since that NAME.part was made or taken over, or NAME first given */
	uint64_t checksum; /* over all before it: finds accidents, not attackers */
};
#define STATE_FINISHED 1u /* NAME.part became NAME */
#define STATE_PARTIAL 2u  /* not all files of the torrent were wanted by the last run */

/* So long after its last change the record of a finished download is kept: a `seed` may come, and need not read all of it. */
#define STATE_KEEP_S (30u * 86400u)

struct state {
	int dir;        /* borrowed: the state directory, until the walls are up */
	int fd;         /* owned: the record, locked; -1: there is none */
	int have;       /* owned: diskproc's record of the pieces, for reading and writing; -1: there is none */
	char name[128]; /* in dir; with ".have" behind it: of the other one */
	struct state_record record; /* sequence 0: there is no valid one */
};

/* A struct that holds nothing: state_close() is safe. */
void state_init(struct state *s);
void state_close(struct state *s);

/*
 * Opens the state directory and makes it when it is not there (mode 0700):
 * `named`, or bulkhead in $XDG_STATE_HOME, or .local/state/bulkhead in $HOME.
 * Refuses one that is not the user's or that others may write, or to which a
 * symbolic link leads that is neither the user's nor root's.  Removes old
 * records of finished downloads of which nothing was given, unless they have not all
 * files.  The descriptor, or
 * -1 with one line in `error`.
 */
int state_directory(const char *named, char *error, size_t room) MUST_CHECK;

/*
 * Finds the record of the torrent with this info-hash in the output directory
 * `where`; 0 also when there is none.  -1 with one line in `error` when another
 * bulkhead holds it.
 */
int state_find(struct state *s, int dir, const uint8_t *info_hash, int where, char *error, size_t room) MUST_CHECK;

/* After state_find(): whether the record says that bulkhead made what `fd` is, and has not finished it. */
bool state_knows(const struct state *s, int fd);

/*
 * Whether a record of another torrent than that of `s` says that bulkhead made
 * what `fd` is, and has not finished it; `torrent` is then its info-hash in hex.
 * After state_find(); `fd` is locked, so that no other bulkhead is at work on it.
 */
bool state_is_others(const struct state *s, int fd, char torrent[41]);

/* After state_find(): records that `fd` is NAME.part, and syncs that.  0, or -1 with one line in `error`. */
int state_claim(struct state *s, int fd, char *error, size_t room) MUST_CHECK;

/*
 * The same for `fd` that is NAME already, and is only to be given: what it took
 * and gave before counts on when it is the same file.
 */
int state_claim_finished(struct state *s, int fd, char *error, size_t room) MUST_CHECK;

/* Behind the lock, after state_claim_finished(): it is to become NAME.part again, and that is recorded and synced.  0, or -1 with errno. */
int state_unfinish(struct state *s) MUST_CHECK;

/* After state_find(), for `fd` that is only read: leaves nothing open but the record of the pieces, if the record is of `fd`. */
void state_only_have(struct state *s, int fd);

/*
 * After state_find(), when state_knows() said yes: opens the record of the
 * pieces, and makes it when there is none.  The claims do this themselves, and
 * empty it when what they claim was not known.  Without it (the reason is
 * warned of) everything is verified at each start.
 */
void state_open_have(struct state *s);

/*
 * After state_find(): whether `fd`, which is NAME, is to be continued: bulkhead
 * made it, and not all of it.  Then the record says that it is not finished,
 * synced.  1, 0, or -1 with one line in `error`.
 */
int state_reopen(struct state *s, int fd, char *error, size_t room) MUST_CHECK;

/* After state_claim(), or once state_knows(): records whether all files are wanted by this run, synced.  0, or -1 with one line in `error`. */
int state_set_partial(struct state *s, bool partial, char *error, size_t room) MUST_CHECK;

/*
 * After state_claim(), or once state_knows(): the parts file into *fd, or -1
 * when there is none; `make`: then it is made.  fresh: one that is there is of
 * another NAME.part, and goes.  0, or -1 with one line in `error`.
 */
int state_parts(const struct state *s, bool fresh, bool make, int *fd, char *error, size_t room) MUST_CHECK;

/*
 * The end of a run, behind the lock: adds to the totals; synced unless the
 * download is finished.  0, or -1 with errno; without a record 0.
 */
int state_end(struct state *s, uint64_t uploaded, uint64_t downloaded, bool finished) MUST_CHECK;

#endif
