/*
 * conveyor.h - the pipe through which diskproc hands netproc what is uploaded, without a copy.
 *
 * diskproc splices pages of the file into it, netproc splices them on into a
 * peer's socket: the page cache is what the network card reads.  Bytes come in
 * the order of the READs, so they need no place and no name.  netproc has the
 * reading end alone: it can look at the pages and pass them on, not change them.
 *
 * A pipe holds pages, not bytes.  Whoever asks sees to it that all that was
 * asked for and not yet taken out has room: diskproc never waits for netproc.
 */
#ifndef IPC_CONVEYOR_H
#define IPC_CONVEYOR_H

#include "common.h"

#define CONVEYOR_BYTES (1u << 20)      /* what anybody may have (/proc/sys/fs/pipe-max-size) */
#define CONVEYOR_LEAST (256u << 10)    /* with less, one long READ would not fit */
#define CONVEYOR_READ_MAX (128u << 10) /* bytes of one READ */
#define CONVEYOR_PAGE 4096u
#define CONVEYOR_READS 256u            /* that may be under way at once */

/*
 * Before the lock.  end[0] to read, end[1] to write, neither waits, both close-on-exec; the caller's.  -1 with errno:
 * EMFILE, ENFILE; EPERM when this user's pipes take too many pages already (pipe(7), pipe-user-pages-soft).
 */
int conveyor_make(int end[2]) MUST_CHECK;

/* How many pages the pipe holds whose reading end this is, at least CONVEYOR_LEAST; 0: it is no such end. */
uint32_t conveyor_pages(int fd);

/* Places for pages that a READ of `length` bytes takes, at most: it may begin and end within a page. */
static inline uint32_t conveyor_cost(uint32_t length)
{
	return (length + CONVEYOR_PAGE - 1) / CONVEYOR_PAGE + 1;
}

#endif
