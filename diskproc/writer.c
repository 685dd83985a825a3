/*
 * writer.c - see writer.h.  The only place where payload reaches a file.
 */
#include "writer.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#define RUN_PARTS 64u

/* Parts that follow each other in one file, and whose they are. */
struct run {
	uint32_t file;
	uint64_t offset, bytes;
	uint32_t parts;
	struct iovec part[RUN_PARTS];
	struct job *job[RUN_PARTS];
};

/* 0 or -1 with errno.  Changes the parts. */
static int write_all(int fd, struct iovec *v, int parts, uint64_t offset)
{
	while (parts) {
		ssize_t n = parts == 1 ? pwrite(fd, v->iov_base, v->iov_len, (off_t)offset) : pwritev(fd, v, parts, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
		offset += (uint64_t)n;
		while (parts && (size_t)n >= v->iov_len) {
			n -= (ssize_t)v->iov_len;
			v++;
			parts--;
		}
		if (parts) {
			v->iov_base = (uint8_t *)v->iov_base + n;
			v->iov_len -= (size_t)n;
		}
	}
	return 0;
}

static void run_flush(struct work *w, struct run *r)
{
	struct fault fault = { 0 };
	uint32_t i;
	int fd;

	if (!r->parts)
		return;
	fd = files_get(w->files, r->file, FILES_WRITE, &fault);
	if (fd >= 0) {
		if (write_all(fd, r->part, (int)r->parts, r->offset) < 0)
			fault = (struct fault){ .act = DISK_ACT_WRITE, .error = errno, .file = r->file };
		files_wrote(w->files, r->file);
		files_put(w->files, r->file);
	}
	for (i = 0; fault.act && i < r->parts; i++)
		if (!r->job[i]->fault.act)
			r->job[i]->fault = fault;
	r->parts = 0;
	r->bytes = 0;
}

static void run_add(struct work *w, struct run *r, struct job *j, const struct span *s, uint8_t *data)
{
	if (r->parts && (r->file != s->file || r->offset + r->bytes != s->offset || r->parts == RUN_PARTS))
		run_flush(w, r);
	if (!r->parts) {
		r->file = s->file;
		r->offset = s->offset;
	}
	r->part[r->parts] = (struct iovec){ .iov_base = data, .iov_len = (size_t)s->length };
	r->job[r->parts++] = j;
	r->bytes += s->length;
}

void writer_write(struct work *w, struct job **jobs, uint32_t count)
{
	struct run run = { 0 };
	uint32_t i, k;

	/* By piece, so that neighbours meet.  At most a batch: insertion sort. */
	for (i = 1; i < count; i++)
		for (k = i; k && jobs[k - 1]->piece > jobs[k]->piece; k--) {
			struct job *t = jobs[k];

			jobs[k] = jobs[k - 1];
			jobs[k - 1] = t;
		}
	for (i = 0; i < count; i++) {
		uint8_t *data = jobs[i]->buffer;
		struct layout_walk walk;
		struct span s;

		layout_seek(&walk, w->m, layout_piece_begin(w->m, jobs[i]->piece), jobs[i]->bytes);
		while (layout_next(&walk, &s)) {
			if (!s.pad)
				run_add(w, &run, jobs[i], &s, data);
			data += s.length;
		}
	}
	run_flush(w, &run);
}
