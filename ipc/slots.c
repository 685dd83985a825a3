/*
 * slots.c - see slots.h.  Runs during set-up, before the lock.
 */
#include "slots.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

#define SLOT_SEALS (F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int slots_create(struct slots *s, uint32_t count)
{
	size_t bytes = (size_t)count * SLOT_BYTES;
	int fd = memfd_create("slots", MFD_CLOEXEC | MFD_ALLOW_SEALING), saved;

	s->base = MAP_FAILED;
	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)bytes) < 0)
		goto fail;
	s->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (s->base == MAP_FAILED || fcntl(fd, F_ADD_SEALS, SLOT_SEALS) < 0)
		goto fail;
	s->count = count;
	return fd;
fail:
	saved = errno;
	if (s->base != MAP_FAILED)
		munmap(s->base, bytes);
	close(fd);
	errno = saved;
	return -1;
}

int slots_attach(struct slots *s, int fd, uint32_t count)
{
	size_t bytes = (size_t)count * SLOT_BYTES;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	/* Without the size seals the writer could truncate it and end the reader by SIGBUS. */
	/* F_SEAL_EXEC comes by itself where vm.memfd_noexec is set, and costs nothing. */
	if (seals < 0 || (seals & ~F_SEAL_EXEC) != SLOT_SEALS || fd_stat(fd, &st) < 0 || st.st_size != (off_t)bytes) {
		errno = EPERM;
		return -1;
	}
	s->base = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (s->base == MAP_FAILED)
		return -1;
	s->count = count;
	return 0;
}

void slots_detach(struct slots *s)
{
	if (s->base && s->base != MAP_FAILED)
		munmap(s->base, (size_t)s->count * SLOT_BYTES);
	s->base = NULL;
	s->count = 0;
}
