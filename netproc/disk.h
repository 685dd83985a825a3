/*
 * disk.h - netproc's side of diskproc: slots, blocks out, verdicts in.
 *
 * Slots are a conveyor: taken here, filled from a peer's socket, sent with
 * BLOCK, given back by SLOT_FREE.  Upload slots are another, the other way:
 * asked for with READ, filled there, held here from DATA to DATA_DONE.  All is
 * batched; disk_flush() is called by the loop: when 64 messages wait, when it
 * idles, or after 1 ms.
 */
#ifndef NETPROC_DISK_H
#define NETPROC_DISK_H

#include "channel.h"
#include "loop.h"
#include "slots.h"

struct disk;

/* Events; each may be called from disk's handler in the loop only. */
struct disk_hooks {
	void *arg;
	void (*on_have)(void *arg, uint32_t piece); /* start: verified already */
	void (*on_have_end)(void *arg);
	bool (*on_verified)(void *arg, uint32_t piece); /* false: a broken contract */
	bool (*on_rejected)(void *arg, uint32_t piece);
	bool (*on_spilled)(void *arg, uint32_t piece);
	bool (*on_blame)(void *arg, const struct msg_blame *m);
	void (*on_hold)(void *arg);
	void (*on_slots)(void *arg); /* slots came back after there were too few */
	/*
	 * The bytes that were asked for with this tag are in this upload slot, which
	 * is the caller's until disk_done_slot(); or they cannot be had.  False: a
	 * broken contract, and then the slot is nobody's.
	 */
	bool (*on_data)(void *arg, uint32_t tag, uint32_t slot);
	bool (*on_read_failed)(void *arg, uint32_t tag, int32_t error);
	/*
	 * diskproc is gone, or broke the contract: whatever was asked of it is not
	 * answered any more, and no slot of it may be given back.  The upload slots
	 * stay mapped until disk_attach(): a peer may finish what it is sending.
	 */
	void (*on_lost)(void *arg);
};

/* slots: made by slots_create() before the lock; borrowed.  piece_count bounds what diskproc may say. */
struct disk *disk_new(struct loop *l, const struct slots *slots, uint32_t piece_count, const struct disk_hooks *hooks);
void disk_free(struct disk *d);

/*
 * Takes the descriptors of the channel and of diskproc's slots: at start, and
 * again when diskproc was restarted.  Every slot is free again, nothing is asked
 * for, and the old upload slots are unmapped: whoever calls it has seen to it
 * that nobody looks at them any more, also when on_lost() did not come before.
 * Slots that are not what they must be: diskproc is accused, and on_lost() comes.
 */
void disk_attach(struct disk *d, int fd, uint32_t epoch, int slots_fd);

uint32_t disk_free_slots(const struct disk *d);

/* A free slot to fill; there must be one (disk_free_slots).  disk_put_slot gives one back unused. */
uint32_t disk_take_slot(struct disk *d);
void disk_put_slot(struct disk *d, uint32_t slot);

/* Sends the slot, which was taken, with its block. */
void disk_send_block(struct disk *d, uint32_t piece, uint32_t begin, uint32_t length, uint32_t slot);
/* Asks that an open piece waits on disk. */
void disk_send_spill(struct disk *d, uint32_t piece);

/* How many READs may be sent now: upload slots that nobody asked for or holds. */
uint32_t disk_read_room(const struct disk *d);
/*
 * Asks for a part of a verified piece: 1 to SLOT_BYTES, inside it.  There must be
 * room.  Answered once by on_data() or on_read_failed() with the caller's tag,
 * which may be any number.  Neighbours that are asked for one after the other
 * are read in one call.
 */
void disk_send_read(struct disk *d, uint32_t tag, uint32_t piece, uint32_t begin, uint32_t length);
/* The slots that on_data() names; diskproc may change what is in them at any time. */
const struct slots *disk_upload_slots(const struct disk *d);
/* Gives it back. */
void disk_done_slot(struct disk *d, uint32_t slot);

/* Messages that wait to be sent. */
uint32_t disk_pending(const struct disk *d);
void disk_flush(struct disk *d);

/* Wants on_slots() when at least a quarter of the slots is free again. */
void disk_want_slots(struct disk *d);

#endif
