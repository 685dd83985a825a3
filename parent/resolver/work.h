/*
 * work.h - the threads that ask getaddrinfo, and what waits for them.
 *
 * A fixed number of jobs: a question that finds no room is told to try again.
 */
#ifndef RESOLVER_WORK_H
#define RESOLVER_WORK_H

#include "messages.h"

#define WORK_THREADS 4u
#define WORK_JOBS 64u

struct work;

/* The text of a question: 1 to 253 bytes of letters, digits, '.', '-' and '_', then a NUL. */
bool work_host_is_sound(const uint8_t host[HOST_MAX]);

/* Before the lock: loads whatever the first look-up loads (modules, gai.conf, resolv.conf, locale data). */
void work_warm_up(void);

/* Makes the threads.  Exits when it cannot. */
struct work *work_new(void);

/* Readable when work_take() has something. */
int work_fd(const struct work *w);

/* Hands a question, which must be sound, to the threads.  False: no room. */
bool work_ask(struct work *w, const struct msg_resolve *q, uint32_t asker) MUST_CHECK;

/* One answer, and who asked.  False: none now. */
bool work_take(struct work *w, struct msg_resolved *out, uint32_t *asker);

#endif
