/*
 * source.c - see source.h.  Runs as the user, before the parent's lock.
 */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "screen.h"

/* Too large a torrent is refused, like others that inspect finds to be too large. */
static int too_large(char *error, size_t room, const char *quoted)
{
	snprintf(error, room, "cannot read '%s': larger than --max-torrent-size", quoted);
	return -STATUS_REFUSED;
}

static int PRINTF_LIKE(3, 4) fail(char *error, size_t room, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, room, fmt, ap);
	va_end(ap);
	return -STATUS_FAILED;
}

/* Waits until fd has bytes or has ended. */
static void wait_readable(int fd)
{
	struct pollfd pf = { .fd = fd, .events = POLLIN };

	while (poll(&pf, 1, -1) < 0 && errno == EINTR)
		;
}

/* Copies all of fd, at most max_bytes.  0, -1 with errno, EFBIG when it is larger. */
static int copy(int from, int to, uint64_t max_bytes)
{
	uint8_t buffer[65536];
	uint64_t have = 0;

	for (;;) {
		ssize_t n = read(from, buffer, sizeof buffer);

		if (n < 0 && errno == EAGAIN) {
			wait_readable(from);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -1 : 0;
		if ((uint64_t)n > max_bytes - have) {
			errno = EFBIG;
			return -1;
		}
		have += (uint64_t)n;
		/* A memory file takes all of it, or there is no memory. */
		if (write(to, buffer, (size_t)n) != n) {
			errno = ENOMEM;
			return -1;
		}
	}
}

static int fill(int fd, const char *source, const char *quoted, int memory, uint64_t max_bytes, char *error, size_t room)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(error, room, "cannot read '%s': %s", quoted, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return fail(error, room, "cannot read '%s': it is a directory", quoted);
	/* A device that is named, unlike a terminal as standard input, is never meant: reading some has effects. */
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && strcmp(source, "-"))
		return fail(error, room, "cannot read '%s': neither a file nor a pipe", quoted);
	if (S_ISREG(st.st_mode) && st.st_size > 0 && (uint64_t)st.st_size > max_bytes)
		return too_large(error, room, quoted);
	/* A pipe whose writer is not there yet reads as ended: wait for the first byte. */
	if (S_ISFIFO(st.st_mode))
		wait_readable(fd);
	if (copy(fd, memory, max_bytes) < 0) {
		if (errno == EFBIG)
			return too_large(error, room, quoted);
		return fail(error, room, "cannot read '%s': %s", quoted, strerror(errno));
	}
	return 0;
}

int source_read(const char *source, uint64_t max_bytes, char *error, size_t room)
{
	char quoted[400];
	int memory = memfd_create("torrent", MFD_CLOEXEC | MFD_ALLOW_SEALING), fd = -1, r;

	screen_safe(quoted, sizeof quoted, source, strlen(source));
	if (memory < 0)
		return fail(error, room, "cannot make a memory file: %s", strerror(errno));
	if (!strncasecmp(source, "magnet:", 7)) {
		size_t n = strlen(source);

		if (n > max_bytes)
			r = too_large(error, room, quoted);
		else
			r = write(memory, source, n) < 0 ? fail(error, room, "cannot keep the magnet link: %s", strerror(errno)) : 0;
	} else {
		/* O_NONBLOCK: a pipe without writer is waited for by poll, a device is not waited for at all. */
		fd = strcmp(source, "-") ? open(source, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : 0;
		if (fd < 0 && errno == ENOENT && strstr(source, "://"))
			r = fail(error, room, "cannot open '%s': URLs are not fetched; save the torrent as a file first", quoted);
		else if (fd < 0)
			r = fail(error, room, "cannot open '%s': %s", quoted, strerror(errno));
		else
			r = fill(fd, source, fd ? quoted : "standard input", memory, max_bytes, error, room);
		if (fd > 0)
			close(fd);
	}
	if (r == 0 && fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		r = fail(error, room, "cannot seal a memory file: %s", strerror(errno));
	if (r == 0 && lseek(memory, 0, SEEK_SET) < 0)
		r = fail(error, room, "cannot rewind a memory file: %s", strerror(errno));
	if (r < 0) {
		close(memory);
		return r;
	}
	return memory;
}
