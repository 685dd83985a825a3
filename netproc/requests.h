/*
 * requests.h - what one peer has asked of us and has not got yet.
 *
 * A pure core between the peer's messages (add, cancel, choke) and diskproc
 * (reads out, data back).  A ring of requests, in the order in which they were
 * asked for; the first of them, `asked`, have a read out.  Reads are answered in
 * that order, so what comes is the first one's, or one's that was given up:
 *
 *	added ─► requests_next_read() ─► requests_on_data(): it is gone, and sent
 *
 * A read whose request was cancelled stays out until its answer comes; it counts
 * against the window, so that asking and cancelling brings nobody more.
 *
 * Memory: nothing before the first request; then at most REQUESTS_MAX * 16
 * bytes, 8 KiB, until requests_clear or requests_choke.
 */
#ifndef NETPROC_REQUESTS_H
#define NETPROC_REQUESTS_H

#include "conveyor.h"

#define REQUESTS_MAX 512u  /* we tell peers 500; the rest is for those who count otherwise */
#define REQUEST_BYTES_MAX CONVEYOR_READ_MAX /* BEP 3: everybody asks for 16 KiB; some old clients for more */

struct request {
	uint32_t piece, begin, length;
	uint32_t serial; /* of its read, once that is out */
};

struct requests {
	struct request *ring;       /* owned; NULL while nothing was asked */
	uint32_t room, head, count; /* room: a power of two */
	uint32_t asked;             /* the first so many have a read out */
	uint32_t out_bytes;         /* of all reads that are out, also those that nobody waits for */
	uint64_t top;               /* no request in the queue lies behind it: piece << 32 | begin */
	uint32_t serial;            /* of the last read */
};

/* Zeroed memory is an empty queue.  Frees all. */
void requests_clear(struct requests *q);

static inline uint32_t requests_count(const struct requests *q) { return q->count; }
/* Requests that no read is out for. */
static inline uint32_t requests_waiting(const struct requests *q) { return q->count - q->asked; }

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

/* True: it is gone, and to be rejected (BEP 6).  False: nothing like it is here (any more), which costs patience. */
bool requests_cancel(struct requests *q, uint32_t piece, uint32_t begin, uint32_t length);

/*
 * We choke the peer: the queue is emptied but for what it may ask for while
 * choked (fast[0..fast_count - 1], BEP 6).  out gets what is dropped, to be
 * rejected if the peer knows BEP 6; returns how many.
 */
uint32_t requests_choke(struct requests *q, const uint32_t *fast, uint32_t fast_count, struct request out[REQUESTS_MAX]);

/* ---- diskproc */

/* The request whose read is next, or NULL; requests_asked() says that the read is out, and under which serial. */
const struct request *requests_next_read(const struct requests *q);
uint32_t requests_asked(struct requests *q);

/*
 * The answer to the read with this serial, of so many bytes; answers come in the
 * order of the reads.  True: *out is the request, which is gone from the queue:
 * its bytes are there, or will never be.  False: nobody waits for it any more.
 */
bool requests_answered(struct requests *q, uint32_t serial, uint32_t length, struct request *out);

/* diskproc was replaced: the reads that were out are to be issued again. */
void requests_forget(struct requests *q);
/*
 * The next one has told what it has (a bitfield), and no read was issued since
 * requests_forget(): requests for other pieces are dropped.  out, and what is
 * returned, as with requests_choke().
 */
uint32_t requests_keep_had(struct requests *q, const uint8_t *have, struct request out[REQUESTS_MAX]);

#endif
