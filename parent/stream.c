/*
 * stream.c - see stream.h.
 */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

/* Flags of a terminal that is open as terminals are: those that the parent may set behind its walls, and O_LARGEFILE's bit. */
#define PLAIN_FLAGS (O_ACCMODE | O_NONBLOCK | 0100000)

/*
 * A description of a pipe or terminal that is ours alone, and so may be
 * non-blocking.  Where there is none to be had (no /proc, another user's) the
 * inherited one does: see take() and write_shared().
 */
void stream_open(struct stream *s, int fd)
{
	char path[32];
	struct stat st;
	int own = -1;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || isatty(fd)))
		own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	*s = (struct stream){ .fd = own < 0 ? fd : own, .shared = own < 0 && isatty(fd) };
}

/*
 * To a terminal that poll() calls writable, and that would still wait when it
 * has not room for all.  It is made non-blocking for this one call: whoever
 * shares the description, a shell that waits for us, does not see it.
 */
static ssize_t write_shared(int fd, const char *bytes, size_t length)
{
	int flags = fcntl(fd, F_GETFL), saved;
	bool turn = flags >= 0 && !(flags & ~PLAIN_FLAGS) && !(flags & O_NONBLOCK);
	ssize_t n;

	if (turn && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		turn = false;
	n = write(fd, bytes, length);
	saved = errno;
	if (turn)
		(void)!fcntl(fd, F_SETFL, flags);
	errno = saved;
	return n;
}

/*
 * How many bytes were taken; 0: none now.  A pipe that poll() calls writable
 * takes PIPE_BUF bytes without waiting, also by a descriptor that would wait.
 */
static size_t take(struct stream *s, const char *bytes, size_t length, int wait_ms)
{
	struct pollfd pf = { .fd = s->fd, .events = POLLOUT };
	ssize_t n;

	if (poll(&pf, 1, wait_ms) <= 0)
		return 0;
	n = s->shared ? write_shared(s->fd, bytes, min_u64(length, PIPE_BUF)) : write(s->fd, bytes, min_u64(length, PIPE_BUF));
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		s->gone = true;
		s->error = errno;
	}
	return n < 0 ? 0 : (size_t)n;
}

static void keep(struct stream *s, const char *bytes, size_t length)
{
	size_t waiting = stream_waiting(s);

	if (length > s->room - s->end) {
		size_t room = max_u64(2 * (waiting + length), 4096);
		char *grown = must_alloc(room);

		if (waiting)
			memcpy(grown, s->bytes + s->begin, waiting);
		free(s->bytes);
		s->bytes = grown;
		s->room = room;
		s->begin = 0;
		s->end = waiting;
	}
	memcpy(s->bytes + s->end, bytes, length);
	s->end += length;
}

/* Nothing waits any more. */
static void empty(struct stream *s)
{
	free(s->bytes);
	s->bytes = NULL;
	s->begin = s->end = s->room = 0;
}

void stream_put(struct stream *s, const void *bytes, size_t length, size_t most)
{
	const char *at = bytes;
	size_t n;

	stream_flush(s);
	if (s->gone || stream_waiting(s) > most)
		return;
	while (length && !stream_waiting(s) && (n = take(s, at, length, 0))) {
		at += n;
		length -= n;
	}
	if (length && !s->gone)
		keep(s, at, length);
}

size_t stream_waiting(const struct stream *s)
{
	return s->end - s->begin;
}

void stream_flush(struct stream *s)
{
	size_t n = 1;

	while (n && stream_waiting(s)) {
		n = take(s, s->bytes + s->begin, stream_waiting(s), 0);
		s->begin += n;
	}
	if (s->bytes && (s->gone || !stream_waiting(s)))
		empty(s);
}

int stream_write(struct stream *s, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (stream_waiting(s) && !s->gone)
		s->begin += take(s, s->bytes + s->begin, stream_waiting(s), -1);
	empty(s);
	while (length && !s->gone) {
		size_t n = take(s, at, length, -1);

		at += n;
		length -= n;
	}
	if (s->gone)
		errno = s->error;
	return s->gone ? -1 : 0;
}
