/*
 * channel.h - one end of a SOCK_SEQPACKET pair between two compartments.
 *
 * Sends batches of fixed-size messages and receives packets whose type, length,
 * count, epoch and descriptor were checked against messages.h.  What a message
 * means, and whether it may come now, is for the receiver's permit table: see
 * channel_dispatch().  Non-blocking in both directions and bounded: a channel
 * holds at most CHANNEL_QUEUE_BYTES that the other end has not taken yet.
 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include "messages.h"

#define CHANNEL_QUEUE_BYTES (64u * 1024u)
#define CHANNEL_QUEUE_FDS 128u
#define CHANNEL_RETRY_MS 50u /* of a channel that is stuck */

struct channel_queue;

struct channel {
	int fd; /* owned; -1 when closed */
	uint32_t epoch;
	bool takes_fds;             /* whether packets with descriptors may arrive (uses recvmsg) */
	bool stuck;                 /* see channel_is_stuck() */
	const char *name;           /* for log lines: "diskproc" */
	uint16_t batch_type, batch_count; /* the packet being filled */
	uint32_t batch_bytes;
	union {
		struct packet_header header;
		uint8_t bytes[PACKET_MAX];
		uint64_t align;
	} batch;
	struct channel_queue *queue; /* packets that the kernel did not take; NULL when none; owned */
};

/* A packet that was received and checked.  fd is -1, or owned by whoever takes it. */
struct packet {
	enum message_type type;
	uint32_t count;
	int fd;
	union {
		struct packet_header header;
		uint8_t bytes[PACKET_MAX + 8];
		uint64_t align;
	} u;
};

enum channel_result {
	CHANNEL_OK,        /* a packet was received */
	CHANNEL_EMPTY,     /* nothing there now */
	CHANNEL_CLOSED,    /* the other end is gone */
	CHANNEL_VIOLATION, /* it broke the contract: channel_violation() says how */
};

/* Takes fd, makes it non-blocking and close-on-exec. */
void channel_init(struct channel *c, int fd, uint32_t epoch, bool takes_fds, const char *name);
/* Closes it and drops what was queued. */
void channel_close(struct channel *c);

/*
 * Adds one message to the packet being filled; a packet that is full or of
 * another type is sent first.  The size is that of the type.  Returns 0, or -1
 * when the queue is full (nothing was added) or the other end is gone.
 */
int channel_push(struct channel *c, enum message_type type, const void *message) MUST_CHECK;

/* One message with its descriptor, sent at once or queued.  On success fd is closed here when `give`. */
int channel_push_fd(struct channel *c, enum message_type type, const void *message, int fd, bool give) MUST_CHECK;

/* Sends what it can.  0: all was taken; 1: the rest waits for POLLOUT; -1: the other end is gone (errno). */
int channel_flush(struct channel *c);

/* Whether it waits for POLLOUT. */
bool channel_wants_write(const struct channel *c);

/*
 * Whether the kernel refused a packet because too many descriptors of this user
 * are in flight.  POLLOUT says nothing about that: whoever sends descriptors
 * does not wait for it, but flushes again after CHANNEL_RETRY_MS.
 */
bool channel_is_stuck(const struct channel *c);

/* Bytes that can still be queued. */
size_t channel_room(const struct channel *c);

/* One packet into *p.  A descriptor that the caller does not take (sets p->fd to -1) must be closed by it. */
enum channel_result channel_receive(struct channel *c, struct packet *p) MUST_CHECK;

/* Blocks until a packet is there, at most timeout_ms.  For set-up only.  CHANNEL_EMPTY on timeout. */
enum channel_result channel_wait(struct channel *c, struct packet *p, int timeout_ms) MUST_CHECK;

/* Why the last receive was a violation: a constant string. */
const char *channel_violation(void);

/* Message `i` of a packet: an aligned pointer into it. */
static inline const void *packet_message(const struct packet *p, uint32_t i)
{
	return p->u.bytes + sizeof(struct packet_header) + (size_t)i * message_rows[p->type].size;
}

/*
 * The permit table of a receiver: which type may come in which state, and who
 * handles it.  A handler returns 0, or -1 for a broken contract (values out of
 * range, wrong moment).  A type that is not in the table is a violation.
 */
struct permit {
	enum message_type type;
	uint32_t states; /* bit s: permitted in state s */
	int (*handle)(void *self, const void *message, int fd); /* takes fd (-1 when none) */
};

/*
 * Receives at most `packets` packets and hands each message to its handler.
 * `state` is read anew before each message.  CHANNEL_OK: there may be more;
 * CHANNEL_EMPTY: all was taken.
 */
enum channel_result channel_dispatch(struct channel *c, const struct permit *table, size_t rows, const uint32_t *state, void *self, int packets) MUST_CHECK;

/* A connected pair, both ends non-blocking and close-on-exec.  0 or -1 with errno. */
int channel_pair(int fds[2]) MUST_CHECK;

#endif
