/*
 * wanted.c - see wanted.h.  Runs before the lock, but for wanted_check() and wanted_sum().
 */
#include "wanted.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int wanted_seal(const uint8_t *level, uint32_t files)
{
	int fd = memfd_create("wanted", MFD_CLOEXEC | MFD_ALLOW_SEALING), saved;
	size_t at = 0;

	while (fd >= 0 && at < files) {
		ssize_t n = write(fd, level + at, files - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			goto fail;
		at += (size_t)n;
	}
	if (fd < 0 || fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

const char *wanted_read(struct wanted *w, int fd)
{
	struct stat st;
	size_t at = 0;
	int seals;

	*w = (struct wanted){ 0 };
	if (fd < 0)
		return NULL;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & ~F_SEAL_EXEC) != SEALS)
		return "the list of wanted files is not sealed";
	if (fd_stat(fd, &st) < 0 || st.st_size < 1 || st.st_size > (off_t)METAINFO_MAX_FILES)
		return "the list of wanted files has no possible size";
	w->files = (uint32_t)st.st_size;
	w->level = must_alloc(w->files);
	while (at < w->files) {
		ssize_t n = pread(fd, w->level + at, w->files - at, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return "the list of wanted files cannot be read";
		at += (size_t)n;
	}
	return NULL;
}

const char *wanted_check(const struct wanted *w, const struct metainfo *m)
{
	const struct metainfo_file *f = metainfo_files(m);
	uint32_t i;

	if (!w->level)
		return NULL;
	if (w->files != m->h->file_count)
		return "the list of wanted files is of another torrent";
	for (i = 0; i < w->files; i++) {
		if (w->level[i] > WANTED_HIGH)
			return "a file is wanted in a way that does not exist";
		if (w->level[i] != WANTED_NOT && !metainfo_on_disk(&f[i]))
			return "a file is wanted that is never written";
	}
	return NULL;
}

void wanted_release(struct wanted *w)
{
	free(w->level);
	*w = (struct wanted){ 0 };
}

struct wanted_sum wanted_sum(const struct wanted *w, const struct metainfo *m)
{
	const struct metainfo_file *f = metainfo_files(m);
	struct wanted_sum sum = { 0 };
	uint32_t i;
	uint64_t next = 0; /* the first piece that is not counted */

	for (i = 0; i < m->h->file_count; i++) {
		uint64_t first, last;

		if (!metainfo_on_disk(&f[i]) || wanted_level(w, i) == WANTED_NOT)
			continue;
		sum.files++;
		sum.bytes += f[i].length;
		if (!f[i].length)
			continue;
		first = max_u64(next, f[i].offset / m->h->piece_length);
		last = (f[i].offset + f[i].length - 1) / m->h->piece_length;
		if (last >= first)
			sum.pieces += (uint32_t)(last + 1 - first);
		next = max_u64(next, last + 1);
	}
	if (!w->level) {
		sum.bytes = m->h->total_length;
		sum.pieces = m->h->piece_count;
	}
	return sum;
}
