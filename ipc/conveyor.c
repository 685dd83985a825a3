/*
 * conveyor.c - see conveyor.h.
 */
#include "conveyor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int conveyor_make(int end[2])
{
	uint32_t bytes;
	int saved;

	if (pipe2(end, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	for (bytes = CONVEYOR_BYTES; bytes >= CONVEYOR_LEAST; bytes /= 2)
		if (fcntl(end[1], F_SETPIPE_SZ, bytes) >= 0)
			return 0;
	saved = errno;
	close(end[0]);
	close(end[1]);
	errno = saved;
	return -1;
}

uint32_t conveyor_pages(int fd)
{
	int flags = fcntl(fd, F_GETFL), bytes;
	struct stat st;

	if (flags < 0 || (flags & O_ACCMODE) != O_RDONLY || fd_stat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return 0;
	bytes = fcntl(fd, F_GETPIPE_SZ);
	return bytes >= (int)CONVEYOR_LEAST ? (uint32_t)bytes / CONVEYOR_PAGE : 0;
}
