/*
 * writer.c - see writer.h.  The only place where payload reaches a file.
 */
#include "writer.h"

#include <errno.h>

#include "run.h"

static void move_out(struct run *r)
{
	struct work *w = r->work;
	struct fault fault = { 0 };
	uint32_t i;
	int fd = files_get(w->files, r->file, FILES_WRITE, &fault);

	if (fd >= 0) {
		if (run_all(r, fd) < 0)
			fault = files_fault(w->files, DISK_ACT_WRITE, errno, r->file);
		files_wrote(w->files, r->file);
		files_put(w->files, r->file);
	}
	for (i = 0; fault.act && i < r->parts; i++)
		if (!r->job[i]->fault.act)
			r->job[i]->fault = fault;
}

void writer_write(struct work *w, struct job **jobs, uint32_t count)
{
	struct run run = { .work = w, .move = move_out };
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
		while (files_next(w->files, &walk, &s)) {
			if (!s.pad)
				run_add(&run, jobs[i], &s, data);
			data += s.length;
		}
	}
	run_end(&run);
}
