/*
 * hook.h - --on-complete: the one process that starts the user's program, and the parent's way to ask it.
 *
 * The launcher's filter and no_new_privs would be inherited by the program, so
 * it is started by a process that was forked before both, and only when the
 * option is given.  That process has no walls, and so believes next to nothing:
 * program, directory and environment are those of the command line; the name of
 * each download is told before the parent's walls and checked again; after
 * HOOK_SEAL nothing more is heard but "download n is complete", once for each.
 *
 * The program is run without a shell, one download after the other, with the
 * download's path as its argument.  bulkhead waits for it at its end.
 */
#ifndef PARENT_HOOK_H
#define PARENT_HOOK_H

#include <poll.h>

#include "channel.h"
#include "options.h"

/* The parent's side. */
struct hook {
	struct channel channel; /* fd -1: there is none, or it is gone */
	uint32_t asked;         /* bit i: download i was told to be complete, and its program has not ended */
};

void hook_init(struct hook *h);
/* Forks it, with the option.  Before the launcher, and before signals and walls.  0, or -1 with errno. */
int hook_start(struct hook *h, const struct options *o) MUST_CHECK;
/* Before the parent's walls: what download `index` is. */
void hook_name(struct hook *h, uint32_t index, const char *name, size_t length, const uint8_t *info_hash, uint64_t bytes);
/* With the walls: no more names. */
void hook_seal(struct hook *h);
/* The download has its name. */
void hook_run(struct hook *h, uint32_t index);
/* Whether a program is still to end. */
static inline bool hook_is_busy(const struct hook *h) { return h->asked != 0; }
/* It is readable: tells of programs that have ended. */
void hook_hear(struct hook *h);
/* It ends when no program runs any more. */
void hook_close(struct hook *h);

#endif
