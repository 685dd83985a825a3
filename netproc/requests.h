/*
 * requests.h - what one peer has asked of us and has not got yet.
 *
 * A pure core between three others: the peer's messages (add, cancel, choke),
 * diskproc (reads out, slots back) and the socket (bytes sent).  It owns the
 * order: blocks go out as they were asked for, whatever order the reads come in.
 *
 *	requests   1.. REQUESTS_MAX, in a ring that grows: what was asked for
 *	parts      0.. REQUESTS_PARTS: the reads for the first of them, in order,
 *	           each at most SLOT_BYTES, out (READING) or in a slot (READY)
 *
 * Only a front of the queue has parts; a cursor says where the next read
 * begins.  A part can be given up at any time and read again later: so a peer
 * that takes nothing holds no slot (requests_release), and a diskproc that died
 * costs nothing but reads (requests_forget).
 *
 * A message that is partly sent is finished, whatever happens: until then
 * requests_midway() is true, and nothing else may be written to the socket.
 *
 * Memory: nothing before the first request; then at most REQUESTS_MAX * 12 +
 * REQUESTS_PARTS * 20 bytes, 7 KiB, until requests_clear or requests_choke.
 */
#ifndef NETPROC_REQUESTS_H
#define NETPROC_REQUESTS_H

#include <sys/uio.h>

#include "slots.h"
#include "wire.h"

#define REQUESTS_MAX 512u  /* we tell peers 500; the rest is for those who count otherwise */
#define REQUESTS_PARTS 32u /* of one peer: reads out and slots held */
#define REQUEST_BYTES_MAX (128u * 1024u) /* BEP 3: everybody asks for 16 KiB; some old clients for more */

struct request {
	uint32_t piece, begin, length;
};

struct request_part {
	uint32_t serial;     /* names the read that is out */
	uint32_t at, length; /* of the request's bytes */
	uint32_t slot;       /* READY */
	bool ready;          /* in a slot; otherwise its read is out */
};

struct requests {
	struct request *ring;      /* owned, as is part; NULL while nothing was asked */
	struct request_part *part; /* [parts] */
	uint32_t room, head, count; /* room: a power of two */
	uint64_t top;              /* no request in the queue lies behind it: piece << 32 | begin */
	uint32_t parts;
	uint32_t next, next_at;    /* the next read: request `next` in order (count: none), from that byte of it on */
	uint32_t sent;             /* bytes of the first request's message that are sent, its head too */
	uint32_t lost;             /* reads out that nobody waits for any more */
	uint32_t serial;           /* of the last read */
};

/* Slots that are the caller's again, to be given back to diskproc. */
struct requests_freed {
	uint32_t count;
	uint32_t slot[REQUESTS_PARTS];
};

/* Zeroed memory is an empty queue.  Frees all; slots must have been given back before (requests_release). */
void requests_clear(struct requests *q);

static inline uint32_t requests_count(const struct requests *q) { return q->count; }
static inline bool requests_midway(const struct requests *q) { return q->sent > 0; }

/* Whether such a part can be asked for at all.  piece_bytes: length of that piece, 0 when there is none. */
static inline bool requests_possible(uint32_t begin, uint32_t length, uint32_t piece_bytes)
{
	return length && length <= REQUEST_BYTES_MAX && begin < piece_bytes && length <= piece_bytes - begin;
}

enum requests_verdict {
	REQUESTS_TAKEN,
	REQUESTS_DUPLICATE, /* is in the queue: ignored; costs patience */
	REQUESTS_FULL,      /* the peer overruns what we told it: to be rejected; costs patience */
	REQUESTS_NOT_HAD,   /* of a piece that we did not announce: to be rejected; costs patience */
	REQUESTS_LIE,       /* not possible: the peer is dropped */
	REQUESTS_NO_MEMORY, /* to be rejected */
};
/* piece_bytes: length of that piece, 0 when there is none; have: it is verified and announced. */
enum requests_verdict requests_add(struct requests *q, uint32_t piece, uint32_t begin, uint32_t length, uint32_t piece_bytes, bool have);

enum requests_cancel {
	REQUESTS_CANCELLED, /* BEP 6: to be rejected */
	REQUESTS_FINISHES,  /* is partly sent: the rest follows */
	REQUESTS_UNKNOWN,   /* costs patience: nothing like it is here (any more) */
};
enum requests_cancel requests_cancel(struct requests *q, uint32_t piece, uint32_t begin, uint32_t length, struct requests_freed *freed);

/*
 * We choke the peer: the queue is emptied but for what is partly sent and what
 * it may ask for while choked (fast[0..fast_count - 1], BEP 6).  out gets what
 * is dropped, to be rejected if the peer knows BEP 6; returns how many.
 */
uint32_t requests_choke(struct requests *q, const uint32_t *fast, uint32_t fast_count, struct request out[REQUESTS_MAX],
			struct requests_freed *freed);

/* ---- diskproc */

struct requests_read {
	uint32_t serial; /* to be returned in requests_on_data */
	uint32_t piece, begin, length; /* length 1..SLOT_BYTES */
};
/* The next read to issue, while reads out and slots held are fewer than `window` (at most REQUESTS_PARTS).  False: none. */
bool requests_next_read(struct requests *q, uint32_t window, struct requests_read *out);

/* The answer to a read, in any order.  False: nobody waits for it any more, the slot goes back. */
bool requests_on_data(struct requests *q, uint32_t serial, uint32_t slot);

enum requests_failed {
	REQUESTS_DROPPED, /* the request is gone; *out is to be rejected */
	REQUESTS_STUCK,   /* it is partly sent: there is no way on with this peer */
	REQUESTS_GONE,    /* nobody waits for it any more */
};
enum requests_failed requests_on_failed(struct requests *q, uint32_t serial, struct request *out, struct requests_freed *freed);

/* Gives up all slots: the peer takes nothing.  What was in them is read again. */
void requests_release(struct requests *q, struct requests_freed *freed);
/* diskproc was replaced: its slots are gone, and so are the reads that were out. */
void requests_forget(struct requests *q);
/*
 * The next one has told what it has (a bitfield), and no read was issued since
 * requests_forget(): requests for other pieces are dropped.  out, and what is
 * returned, as with requests_choke().  *stuck: the one that is partly sent cannot
 * go on; it stays in the queue, and there is no way on with this peer.
 */
uint32_t requests_keep_had(struct requests *q, const uint8_t *have, struct request out[REQUESTS_MAX], bool *stuck);

/* ---- the socket */

struct requests_iov {
	int count;
	size_t bytes;
	struct iovec vec[2 * REQUESTS_PARTS];
	uint8_t head[REQUESTS_PARTS][WIRE_PIECE_HEAD];
};
/*
 * What can be sent now, in order: heads and the slots' bytes, of at most
 * `blocks` parts and `most` bytes.  Points into `slots` and into itself; valid
 * until the queue is touched.  Returns iov->bytes.
 */
size_t requests_iov(const struct requests *q, const struct slots *slots, uint32_t blocks, size_t most, struct requests_iov *iov);

/* n bytes (<= those of the last requests_iov) are sent.  Returns how many of them were payload. */
size_t requests_sent(struct requests *q, size_t n, struct requests_freed *freed);

/* True when the next bytes stand in a slot: only then it is the peer that keeps us waiting. */
bool requests_sendable(const struct requests *q);

#endif
