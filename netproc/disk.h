/*
 * disk.h - netproc's side of diskproc: slots, blocks out, verdicts in.
 *
 * Slots are a conveyor: taken here, filled from a peer's socket, sent with
 * BLOCK, given back by SLOT_FREE.  What is uploaded comes through a pipe
 * (conveyor.h): asked for with READ, and taken out when its DATA is heard, by
 * whoever hears it.  All is batched; disk_flush() is called by the loop: when 64
 * messages wait, when it idles, or after 1 ms.
 */
#ifndef NETPROC_DISK_H
#define NETPROC_DISK_H

#include <sys/types.h>

#include "channel.h"
#include "conveyor.h"
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
	 * The bytes that were asked for with this tag can be taken now, by
	 * disk_data_splice() and disk_data_read(): what is left when this returns is
	 * thrown away.  Or they cannot be had.  In the order of the READs.
	 */
	void (*on_data)(void *arg, uint32_t tag);
	void (*on_read_failed)(void *arg, uint32_t tag, int32_t error);
	/* diskproc is gone, or broke the contract: whatever was asked of it is not answered any more. */
	void (*on_lost)(void *arg);
};

/* slots: made by slots_create() before the lock; borrowed.  piece_count bounds what diskproc may say. */
struct disk *disk_new(struct loop *l, const struct slots *slots, uint32_t piece_count, const struct disk_hooks *hooks);
void disk_free(struct disk *d);

/*
 * Takes the descriptors of the channel and of the conveyor's reading end: at
 * start, and again when diskproc was restarted.  Every slot is free again, and
 * nothing is asked for, also when on_lost() did not come before.  A conveyor that
 * is not what it must be: diskproc is accused, and on_lost() comes.
 */
void disk_attach(struct disk *d, int fd, uint32_t epoch, int conveyor);

uint32_t disk_free_slots(const struct disk *d);

/* A free slot to fill; there must be one (disk_free_slots).  disk_put_slot gives one back unused. */
uint32_t disk_take_slot(struct disk *d);
void disk_put_slot(struct disk *d, uint32_t slot);

/* Sends the slot, which was taken, with its block. */
void disk_send_block(struct disk *d, uint32_t piece, uint32_t begin, uint32_t length, uint32_t slot);
/* Asks that an open piece waits on disk. */
void disk_send_spill(struct disk *d, uint32_t piece);

/* Whether the conveyor has room for a READ of so many bytes. */
bool disk_may_read(const struct disk *d, uint32_t length);
/* Pages that the conveyor holds; 0: there is none. */
uint32_t disk_conveyor_pages(const struct disk *d);
/*
 * Asks for a part of a verified piece: 1 to CONVEYOR_READ_MAX, inside it.  There
 * must be room.  Answered once by on_data() or on_read_failed() with the caller's
 * tag, which may be any number.  Neighbours that are asked for one after the
 * other are moved in one call.
 */
void disk_send_read(struct disk *d, uint32_t tag, uint32_t piece, uint32_t begin, uint32_t length);

/* In on_data(): bytes of this answer that are still in the conveyor. */
uint32_t disk_data_left(const struct disk *d);
/* Moves what the socket takes of them; `more`: something will follow at once.  How many; 0: it takes no more now; -1 with errno. */
ssize_t disk_data_splice(struct disk *d, int fd, bool more);
/* Copies n of them, which must be left.  False: diskproc lied, they are not there, and on_lost() will come. */
bool disk_data_read(struct disk *d, uint8_t *to, uint32_t n) MUST_CHECK;

/* READs wait to be sent, and diskproc has answered all others: it could begin. */
bool disk_waits_for_reads(const struct disk *d);
/* Messages that wait to be sent. */
uint32_t disk_pending(const struct disk *d);
void disk_flush(struct disk *d);

/* Wants on_slots() when at least a quarter of the slots is free again. */
void disk_want_slots(struct disk *d);

#endif
