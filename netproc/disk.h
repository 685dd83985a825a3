/*
 * disk.h - netproc's side of diskproc: slots, blocks out, verdicts in.
 *
 * Slots are a conveyor: taken here, filled from a peer's socket, sent with
 * BLOCK, given back by SLOT_FREE.  Blocks are batched; disk_flush() is called by
 * the loop: when 32 wait, when it idles, or after 1 ms.
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
	void (*on_lost)(void *arg);  /* diskproc is gone, or broke the contract */
};

/* slots: made by slots_create() before the lock; borrowed.  piece_count bounds what diskproc may say. */
struct disk *disk_new(struct loop *l, const struct slots *slots, uint32_t piece_count, const struct disk_hooks *hooks);
void disk_free(struct disk *d);

/* Takes the channel's descriptor: at start, and again when diskproc was restarted.  Every slot is free again. */
void disk_attach(struct disk *d, int fd, uint32_t epoch);

uint32_t disk_free_slots(const struct disk *d);

/* A free slot to fill; there must be one (disk_free_slots).  disk_put_slot gives one back unused. */
uint32_t disk_take_slot(struct disk *d);
void disk_put_slot(struct disk *d, uint32_t slot);

/* Sends the slot, which was taken, with its block. */
void disk_send_block(struct disk *d, uint32_t piece, uint32_t begin, uint32_t length, uint32_t slot);
/* Asks that an open piece waits on disk. */
void disk_send_spill(struct disk *d, uint32_t piece);

/* Blocks that wait to be sent. */
uint32_t disk_pending(const struct disk *d);
void disk_flush(struct disk *d);

/* Wants on_slots() when at least a quarter of the slots is free again. */
void disk_want_slots(struct disk *d);

#endif
