/*
 * fetch.c - see fetch.h.  Runs in the worker of the read lane, after the lock.
 */
#include "fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "conveyor.h"

/* Parts of one file that follow each other. */
struct stretch {
	struct job *first;
	uint32_t jobs;
	struct span span; /* all of it */
};

static struct span first_span(struct work *w, const struct job *j)
{
	struct layout_walk walk;
	struct span s = { 0 };

	if (!j->bytes)
		return s;
	layout_seek(&walk, w->m, layout_piece_begin(w->m, j->piece) + j->begin, j->bytes);
	(void)!files_next(w->files, &walk, &s);
	return s;
}

static bool is_in_one_file(const struct job *j, const struct span *s)
{
	return j->bytes && s->length == j->bytes && !s->pad;
}

/* The stretch that begins with the job, and how many jobs it has; 0: it lies in several files. */
static uint32_t find_stretch(struct work *w, struct job *j, struct stretch *r)
{
	*r = (struct stretch){ .first = j, .span = first_span(w, j) };
	if (!is_in_one_file(j, &r->span))
		return 0;
	for (r->jobs = 1, j = j->others; j; r->jobs++, j = j->others) {
		struct span s = first_span(w, j);

		if (!is_in_one_file(j, &s) || s.file != r->span.file || s.offset != r->span.offset + r->span.length)
			break;
		r->span.length += s.length;
	}
	return r->jobs;
}

static int take_file(struct work *w, uint32_t file, struct fault *fault)
{
	int fd = files_get(w->files, file, FILES_READ, fault);

	if (fd < 0 && !fault->act) /* it is not there */
		*fault = files_fault(w->files, DISK_ACT_READ, ENOENT, file);
	return fd;
}

/* The disk begins with what it will have to be waited for: all of a packet, not one after the other. */
static void fetch_ahead(struct work *w, const struct stretch *r)
{
	struct fault fault;
	uint8_t last;
	struct iovec v = { .iov_base = &last, .iov_len = 1 };
	int fd = files_get(w->files, r->span.file, FILES_READ, &fault);

	if (fd < 0)
		return;
	if (preadv2(fd, &v, 1, (off_t)(r->span.offset + r->span.length - 1), RWF_NOWAIT) < 0 && errno == EAGAIN)
		(void)!posix_fadvise(fd, (off_t)r->span.offset, (off_t)r->span.length, POSIX_FADV_WILLNEED);
	files_put(w->files, r->span.file);
}

/* How many bytes are in the pipe now; fewer than all with a fault, or because it is full. */
static uint64_t splice_span(struct work *w, const struct span *s, struct fault *fault)
{
	int fd = take_file(w, s->file, fault);
	off64_t at = (off64_t)s->offset;
	uint64_t put = 0;

	if (fd < 0)
		return 0;
	while (put < s->length) {
		ssize_t n = splice(fd, &at, w->conveyor, NULL, (size_t)(s->length - put), SPLICE_F_NONBLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			*fault = files_fault(w->files, DISK_ACT_READ, n < 0 ? errno : EIO, s->file);
			break;
		}
		put += (uint64_t)n;
	}
	files_put(w->files, s->file);
	return put;
}

static void splice_stretch(struct work *w, const struct stretch *r)
{
	struct fault fault = { 0 };
	uint64_t put = splice_span(w, &r->span, &fault);
	struct job *j = r->first;
	uint32_t i;

	for (i = 0; i < r->jobs; i++, j = j->others) {
		j->put = (uint32_t)min_u64(put, j->bytes);
		put -= j->put;
		j->good = j->put == j->bytes;
		if (!j->good)
			j->fault = fault;
	}
}

static bool copy_part(struct work *w, const struct span *s, uint8_t *to, struct fault *fault)
{
	uint64_t at = 0;
	int fd = take_file(w, s->file, fault);

	if (fd < 0)
		return false;
	while (at < s->length && !fault->act) {
		ssize_t n = pread(fd, to + at, (size_t)(s->length - at), (off_t)(s->offset + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			*fault = files_fault(w->files, DISK_ACT_READ, n < 0 ? errno : EIO, s->file);
		else
			at += (uint64_t)n;
	}
	files_put(w->files, s->file);
	return at == s->length;
}

/* The read lane has one worker. */
static uint8_t gathered[CONVEYOR_READ_MAX];

static void copy_parts(struct work *w, struct job *j)
{
	uint8_t *to = gathered;
	struct layout_walk walk;
	struct span s;
	ssize_t n;

	if (!j->bytes)
		return;
	layout_seek(&walk, w->m, layout_piece_begin(w->m, j->piece) + j->begin, j->bytes);
	while (files_next(w->files, &walk, &s)) {
		if (s.pad)
			memset(to, 0, (size_t)s.length);
		else if (!copy_part(w, &s, to, &j->fault))
			return;
		to += s.length;
	}
	/* Up to a page of it is all or nothing (pipe(7)); more may be a part. */
	do {
		n = write(w->conveyor, gathered + j->put, j->bytes - j->put);
		j->put += n > 0 ? (uint32_t)n : 0;
	} while (j->put < j->bytes && (n > 0 || errno == EINTR));
	j->good = j->put == j->bytes;
}

void fetch_read(struct work *w, struct job *list)
{
	struct job *j;
	struct stretch r;
	uint32_t i;

	for (j = list->others ? list : NULL; j;) {
		uint32_t n = find_stretch(w, j, &r);

		if (n)
			fetch_ahead(w, &r);
		for (i = 0; i < max_u32(n, 1); i++)
			j = j->others;
	}
	for (j = list; j;) {
		uint32_t n = find_stretch(w, j, &r);

		if (n)
			splice_stretch(w, &r);
		else
			copy_parts(w, j);
		for (i = 0; i < max_u32(n, 1); i++)
			j = j->others;
	}
}
