/*
 * files.h - the files of this download: opened when needed, at most so many at once, synced.
 *
 * Called by the workers, many at a time, and by the loop; one lock over the
 * table.  A file is
 * made (exclusively) by the first write, with its exact length and holes, unless
 * it is to grow or to have its space (enum disk_allocate).  What
 * was there before is accepted only when it was said that it may be, is a
 * regular file on our device and has one name.  Nothing here writes a byte of
 * payload.
 *
 * A file that is not wanted is never made.  While it is not there, its bytes of
 * pieces that it shares with others are in the parts file, at their place in the
 * payload; files_next() says so.  One that an earlier run left is used as any.
 */
#ifndef DISKPROC_FILES_H
#define DISKPROC_FILES_H

#include "layout.h"
#include "place.h"
#include "record.h"

#define FILES_MAX_OPEN 900u /* below the limit of descriptors that this process has */

struct files;

struct files_options {
	int root;         /* directory, or -1; owned by files from now on */
	int single;       /* the one file, or -1; owned by files from now on */
	bool existing;    /* files may be there from an earlier run */
	bool read_only;
	bool report;      /* with read_only: what cannot be had counts as not there, and files_states() tells */
	bool cut;         /* files that are longer than they are to be are cut; otherwise they are foreign */
	uint32_t allocate; /* enum disk_allocate; 0: sparse */
	uint32_t file_mode; /* of what is made; 0: the usual one */
	uint32_t max_open;
	uint32_t threads; /* workers of the fast lane */
	int also_device;  /* a descriptor whose device files may be on too, or -1 */
	const struct wanted *wanted; /* checked; borrowed */
	int parts;        /* the parts file, or -1; owned by files from now on */
};

enum files_want { FILES_READ, FILES_WRITE };

/* Before the lock.  A single file that is not what it must be is a fault of whoever asks for it later. */
struct files *files_new(const struct metainfo *m, const struct files_options *o);
void files_free(struct files *f);

/*
 * layout_next(), for whoever reads or writes: the span of a file that is kept
 * in the parts file is one of that, whose number is file_count.
 */
bool files_next(struct files *f, struct layout_walk *walk, struct span *s);

/* What failed with a file, or with the parts file. */
struct fault files_fault(const struct files *f, uint32_t act, int error, uint32_t file);

/*
 * The descriptor of a file, held until files_put().  FILES_WRITE makes it when
 * it is not there; FILES_READ gives -1 with fault->act 0 when it is not there.
 */
int files_get(struct files *f, uint32_t file, enum files_want want, struct fault *fault) MUST_CHECK;
/*
 * For the loop, which must not wait: the descriptor of a file that is open
 * already, held until files_put(); -1 when it is not, or when somebody else has
 * the table just now (and may be waiting for a disk).
 */
int files_try(struct files *f, uint32_t file) MUST_CHECK;
/* After each write, before files_put(): marked earlier, a sync in between would take the file for synced. */
void files_wrote(struct files *f, uint32_t file);
/* Waits for nobody. */
void files_put(struct files *f, uint32_t file);

/* What the parts file has of wanted files that are not there is copied into them.  Before the first check; slow lane. */
int files_merge_parts(struct files *f, struct fault *fault) MUST_CHECK;
/* Makes the empty files that are wanted, and the directories above them; with ALLOCATE_FULL all that are wanted, with their space.  Slow lane. */
int files_prepare(struct files *f, struct fault *fault) MUST_CHECK;
/* Whether each wanted file is there with its exact length; otherwise DISK_ACT_FOREIGN, with ESTALE for one that was written here.  Slow lane. */
int files_audit(struct files *f, struct fault *fault) MUST_CHECK;
/*
 * With `report`: reading a file failed.  True: it counts as not there from now
 * on, and files_states() tells; false: it is a fault.
 */
bool files_tolerate(struct files *f, uint32_t file) MUST_CHECK;
/* With `report`, after all was read: the enum file_state of each file.  Slow lane. */
void files_states(struct files *f, uint8_t *states);
/*
 * Syncs each file written since the last sync, and directories when files were
 * made; then, unless `seen` is NULL, puts into its row of `seen` what each of
 * these files is now.  When many were written it is one sync of the file system,
 * which waits for what others have written there, too.  The parts file is synced
 * by itself, and emptied when nothing needs it any more.  Slow lane.
 */
int files_sync(struct files *f, struct record_file *seen, struct fault *fault) MUST_CHECK;
/*
 * Whether the file is what it was, with its length; not there is what inode 0
 * was.  synced: then all of it is, and needs no other sync.  Slow lane.
 */
bool files_are_as(struct files *f, uint32_t file, const struct record_file *was, bool synced);

/* After files_prepare(): 0, or the errno with which the file system would not reserve space. */
int files_not_reserved(const struct files *f);

/* Bytes that the files take on the file system by now.  Opens each: for the loop only where all depends on it. */
uint64_t files_blocks(struct files *f);

/* Bytes free for us on the file system; UINT64_MAX when it does not say. */
uint64_t files_space(const struct files *f);

#endif
