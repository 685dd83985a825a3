/*
 * fetch.c - see fetch.h.  Runs in the loop and in the workers, after the lock.
 */
#include "fetch.h"

#include <errno.h>

#include "run.h"

/* Whatever time it takes. */
static void move_all(struct run *r)
{
	struct fault fault;
	int fd = files_get(r->work->files, r->file, FILES_READ, &fault);
	uint32_t i;

	if (fd < 0 && !fault.act) /* it is not there */
		fault = files_fault(r->work->files, DISK_ACT_READ, ENOENT, r->file);
	if (fd >= 0) {
		if (run_all(r, fd, preadv) < 0)
			fault = files_fault(r->work->files, DISK_ACT_READ, errno, r->file);
		files_put(r->work->files, r->file);
	}
	for (i = 0; fault.act && i < r->parts; i++) {
		r->job[i]->good = false;
		if (!r->job[i]->fault.act)
			r->job[i]->fault = fault;
	}
}

/* What can be had at once.  A call that got a part of it is not repeated: a worker reads on. */
static void move_cached(struct run *r)
{
	int fd = r->cannot ? -1 : files_try(r->work->files, r->file);
	ssize_t n = 0;
	uint32_t i;

	if (fd >= 0) {
		n = preadv2(fd, r->part, (int)r->parts, (off_t)r->offset, RWF_NOWAIT);
		/* EOPNOTSUPP.  Whatever else it may be, a worker meets it too. */
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			r->cannot = true;
		files_put(r->work->files, r->file);
	}
	for (i = 0; i < r->parts; i++) {
		n -= n < 0 ? 0 : (ssize_t)r->part[i].iov_len;
		if (n < 0)
			r->job[i]->good = false;
	}
}

static void fetch(struct run *r, struct job *list)
{
	struct job *j;

	for (j = list; j; j = j->others) {
		uint8_t *data = j->buffer;
		struct layout_walk walk;
		struct span s;

		j->good = true;
		layout_seek(&walk, r->work->m, layout_piece_begin(r->work->m, j->piece) + j->begin, j->bytes);
		while (files_next(r->work->files, &walk, &s)) {
			if (s.pad)
				memset(data, 0, (size_t)s.length);
			else
				run_add(r, j, &s, data);
			data += s.length;
		}
	}
	run_end(r);
}

bool fetch_cached(struct work *w, struct job *list)
{
	struct run r = { .work = w, .move = move_cached };

	fetch(&r, list);
	return !r.cannot;
}

void fetch_read(struct work *w, struct job *list)
{
	struct run r = { .work = w, .move = move_all };

	fetch(&r, list);
}
