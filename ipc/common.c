/*
 * common.c - memory, time, chance and the one way to stop at a bug of ours.
 *
 * Works before and after the lock: no stdio stream is used (they stat and seek
 * what they write to).
 */
#include "common.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

void bug_at(const char *file, int line, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_now(LOG_BUG, "%s:%d: %s", file, line, text);
	abort();
}

void *must_alloc(size_t bytes)
{
	void *p = malloc(bytes ? bytes : 1);

	if (!p)
		bug("no memory for %zu bytes", bytes);
	return p;
}

void *must_calloc(size_t n, size_t bytes)
{
	void *p = calloc(n ? n : 1, bytes ? bytes : 1);

	if (!p)
		bug("no memory for %zu times %zu bytes", n, bytes);
	return p;
}

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t now_ms(void)
{
	return now_us() / 1000u;
}

int fd_stat(int fd, struct stat *st)
{
	/* Only where libc's struct is the kernel's. */
	_Static_assert(sizeof(long) == 8, "a 64-bit machine");
	return (int)syscall(SYS_fstat, fd, st);
}

void random_bytes(void *out, size_t bytes)
{
	uint8_t *p = out;

	while (bytes) {
		ssize_t n = getrandom(p, bytes < 256 ? bytes : 256, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			bug("getrandom: errno %d", errno);
		p += n;
		bytes -= (size_t)n;
	}
}
