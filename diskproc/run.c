/*
 * run.c - see run.h.
 */
#include "run.h"

#include <errno.h>

void run_end(struct run *r)
{
	if (r->parts)
		r->move(r);
	r->parts = 0;
	r->bytes = 0;
}

void run_add(struct run *r, struct job *j, const struct span *s, uint8_t *data)
{
	if (r->parts && (r->file != s->file || r->offset + r->bytes != s->offset || r->parts == RUN_PARTS))
		run_end(r);
	if (!r->parts) {
		r->file = s->file;
		r->offset = s->offset;
	}
	r->part[r->parts] = (struct iovec){ .iov_base = data, .iov_len = (size_t)s->length };
	r->job[r->parts++] = j;
	r->bytes += s->length;
}

int run_all(struct run *r, int fd)
{
	struct iovec *v = r->part;
	int parts = (int)r->parts;
	uint64_t offset = r->offset;

	while (parts) {
		ssize_t n = pwritev(fd, v, parts, (off_t)offset);

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
