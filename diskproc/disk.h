/*
 * disk.h - diskproc as a whole: its stages, its two conversations, its loop.
 *
 *	STAGE_CHECK     the record is asked what is there, and  disk_start()
 *	                what it does not answer for is hashed; with
 *	                DISK_OPTIONS.report it ends here       begin_check()
 *	STAGE_RUN       blocks are taken                       checked()
 *	STAGE_SYNC      all that is wanted is verified; everything is synced     run_next()
 *	STAGE_COMPLETE  DISK_COMPLETE was said                 sync_done()
 *	STAGE_FAILED    DISK_ERROR was said; blocks are dropped  storage_failed()
 *
 * SHUTDOWN may come in any stage: jobs end, what was written is synced, BYE.
 * A netproc may come, go, and come anew in any stage.
 */
#ifndef DISKPROC_DISK_H
#define DISKPROC_DISK_H

#include "check.h"
#include "messages.h"
#include "recall.h"
#include "report.h"
#include "upload.h"

enum stage { STAGE_CHECK, STAGE_RUN, STAGE_SYNC, STAGE_COMPLETE, STAGE_FAILED };

/* Of the conversation with netproc: what may come depends on it. */
enum net_state {
	NET_QUIET, /* it was not told what is there: it may say nothing */
	NET_OPEN,
	NET_HELD,  /* HOLD was sent: blocks under way are dropped */
};

struct disk {
	struct channel *control;   /* the parent; not owned */
	struct channel net;        /* fd -1: no netproc */
	struct slots slots;        /* netproc's */
	struct metainfo m;
	struct msg_disk_options options;
	struct files *files;
	struct work work;
	struct pool *pool;
	struct store store;
	struct upload upload;
	struct check check;
	struct report report;
	struct record record;
	struct recall recall;
	uint64_t known_bytes;      /* of pieces that were not looked at, thanks to the record */
	struct job merge, prepare, sync, recollect;
	struct pool_job *done;     /* collected, not looked at: netproc's channel was full */
	enum stage stage;
	uint32_t net_state;        /* enum net_state */
	uint32_t have_next;        /* HAVE_BITS were sent up to here */
	bool merging;              /* JOB_MERGE comes before all else: the parts file may have something of wanted files */
	bool prepared;             /* JOB_PREPARE came back */
	bool begun;                /* the record was asked, and the check may go on */
	bool looked;               /* the check came to its end: `have` is all that is there */
	bool spoilt;               /* a sync failed: what is on disk is not known, and nothing is recorded any more */
	bool record_due;           /* the record could not be written: it is tried again */
	bool record_warned;
	bool syncing;              /* JOB_SYNC is under way */
	bool stopping;             /* SHUTDOWN came */
	bool stop_syncing;         /* the last sync was begun, after the last job */
	bool stop_synced;
	bool progress_due;
	bool error_due, complete_due; /* to be told to the parent as soon as it takes it */
	struct fault fault;
	uint64_t stop_at_ms, progress_at_ms, sync_at_ms;
	uint32_t freed;            /* SLOT_FREE pushed since the last flush */
	/* A new netproc's, until both are there and the old one's jobs are done; -1 each. */
	int next_net, next_slots;
	uint32_t next_epoch;
};

/* Before Landlock: warms libcrypto up.  options are copied. */
void disk_init(struct disk *d, struct channel *control, const struct msg_disk_options *o);
/* Makes the threads: after Landlock, before the lock. */
void disk_make_threads(struct disk *d);
/*
 * After the lock: the validated form (kept mapped), the files of it, and both ends of the conveyor, borrowed; the record (-1: none
 * is kept), taken.  Takes the memory.
 */
void disk_open(struct disk *d, const struct metainfo *m, const struct files_options *o, int spill_fd, int record_fd,
	       const int conveyor[2]);
/* Ends the threads and frees all; no job may be busy.  For tests. */
void disk_release(struct disk *d);

/* A netproc: its channel and slots.  Both descriptors are taken.  0, or -1 when the slots are not what they must be: it was accused. */
int disk_attach(struct disk *d, int fd, uint32_t epoch, int slots_fd) MUST_CHECK;

/* After GO: begins. */
void disk_start(struct disk *d);

enum disk_turn { DISK_GO_ON, DISK_ENDED, DISK_VIOLATION };
/*
 * One turn of the loop.  DISK_ENDED: SHUTDOWN was served, or the parent is gone;
 * DISK_VIOLATION: the parent broke the contract (it was logged).  *status is for
 * BYE.  A netproc that breaks it is accused, and its channel closed.
 */
enum disk_turn disk_turn(struct disk *d, uint32_t *status) MUST_CHECK;

/* Parts of a turn, for tests and fuzzing. */
enum channel_result disk_serve_net(struct disk *d) MUST_CHECK;
void disk_results(struct disk *d);
void disk_advance(struct disk *d, uint64_t now);

#endif
