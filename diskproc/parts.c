/*
 * parts.c - see parts.h.  Runs in a worker, after the lock.
 */
#include "parts.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define CHUNK 65536u

/* The first data at or after `at`; UINT64_MAX: there is none.  Where the file system does not tell, all is data. */
static uint64_t next_data(int parts, uint64_t at)
{
	/* The file offset that this moves is used by nobody. */
	off_t data = lseek(parts, (off_t)at, SEEK_DATA);

	if (data >= 0)
		return (uint64_t)data;
	return errno == ENXIO ? UINT64_MAX : at;
}

bool parts_has(int parts, uint64_t begin, uint64_t length)
{
	uint64_t data = parts < 0 || !length ? UINT64_MAX : next_data(parts, begin);

	return data != UINT64_MAX && data - begin < length;
}

static bool is_zero(const uint8_t *p, size_t length)
{
	return !p[0] && !memcmp(p, p + 1, length - 1);
}

int parts_copy(int parts, uint64_t begin, uint64_t length, int to)
{
	uint8_t chunk[CHUNK];
	uint64_t at, end = begin + length;

	for (at = next_data(parts, begin); at < end; at = next_data(parts, at)) {
		ssize_t n = pread(parts, chunk, (size_t)min_u64(CHUNK, end - at), (off_t)at), done = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		/* A hole that the file system does not tell of stays one. */
		while (done < n && !is_zero(chunk, (size_t)n)) {
			ssize_t k = pwrite(to, chunk + done, (size_t)(n - done), (off_t)(at - begin) + done);

			if (k < 0 && errno == EINTR)
				continue;
			if (k <= 0)
				return -1;
			done += k;
		}
		at += (uint64_t)n;
	}
	return 0;
}
