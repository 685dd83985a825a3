/*
 * stall.c - see stall.h.
 */
#include "stall.h"

#include <errno.h>

static bool is_want_of_space(const struct fault *f)
{
	return f->act && (f->error == ENOSPC || f->error == EDQUOT);
}

bool stall_takes(struct stall *s, struct job *j, uint64_t now_ms)
{
	bool again = j->stalled;

	j->stalled = s->wanted && is_want_of_space(&j->fault) && j->kind != JOB_SYNC;
	s->count += j->stalled;
	s->count -= again;
	if (!j->stalled)
		return false;
	/* Its hash matched, and is not made anew. */
	if (j->kind == JOB_VERIFY)
		j->kind = JOB_WRITE;
	if (!s->first)
		s->due_ms = now_ms + STALL_RETRY_MS;
	j->others = s->first;
	s->first = j;
	return true;
}

static struct job *take_all(struct stall *s)
{
	struct job *all = s->first, *j;

	for (j = all; j; j = j->others)
		j->fault = (struct fault){ 0 };
	s->first = NULL;
	return all;
}

struct job *stall_due(struct stall *s, uint64_t now_ms)
{
	return s->first && now_ms >= s->due_ms ? take_all(s) : NULL;
}

struct job *stall_end(struct stall *s)
{
	s->wanted = false;
	return take_all(s);
}
