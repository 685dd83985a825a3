/*
 * work.c - see work.h.
 *
 * A job goes FREE -> WAITING -> BUSY -> DONE -> FREE, always under the lock;
 * WAITING -> BUSY and BUSY -> DONE by a thread, the others by the loop.  While
 * it is BUSY only its thread touches the rest of it.  The answers of name
 * servers are parsed by libc, in here: this process holds nothing else.
 */
#include "work.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log.h"

enum job_state { JOB_FREE, JOB_WAITING, JOB_BUSY, JOB_DONE };

struct job {
	enum job_state state;
	uint32_t asker;
	uint64_t order; /* the oldest is taken first */
	char host[HOST_MAX];
	struct msg_resolved answer;
};

struct work {
	pthread_mutex_t lock;
	pthread_cond_t waiting;
	pthread_cond_t started;
	uint32_t running; /* threads that have begun */
	int done;         /* eventfd; owned */
	uint64_t last_order;
	struct job jobs[WORK_JOBS];
};

bool work_host_is_sound(const uint8_t host[HOST_MAX])
{
	size_t i, length = strnlen((const char *)host, HOST_MAX);

	if (length < 1 || length > 253)
		return false;
	for (i = 0; i < length; i++) {
		uint8_t c = host[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_'))
			return false;
	}
	return true;
}

/* Fills out->addr from a list of getaddrinfo; at most RESOLVED_MAX, in its order. */
static void keep_addresses(struct msg_resolved *out, const struct addrinfo *list)
{
	for (; list && out->count < RESOLVED_MAX; list = list->ai_next) {
		struct net_addr *a = &out->addr[out->count];

		if (list->ai_family == AF_INET && list->ai_addrlen >= sizeof(struct sockaddr_in)) {
			struct sockaddr_in s;

			memcpy(&s, list->ai_addr, sizeof s);
			a->family = 4;
			memcpy(a->ip, &s.sin_addr, 4);
			out->count++;
		} else if (list->ai_family == AF_INET6 && list->ai_addrlen >= sizeof(struct sockaddr_in6)) {
			struct sockaddr_in6 s;

			memcpy(&s, list->ai_addr, sizeof s);
			a->family = 6;
			memcpy(a->ip, &s.sin6_addr, 16);
			out->count++;
		}
	}
}

/* Both families whatever this machine has: the dialer decides by routes, not by configured addresses. */
static void resolve(const char *host, struct msg_resolved *out)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *list = NULL;
	int r = getaddrinfo(host, NULL, &hints, &list);

	if (r == 0) {
		keep_addresses(out, list);
		freeaddrinfo(list);
		if (out->count == 0)
			r = EAI_NONAME;
	}
	out->status = r < 0 ? (uint32_t)-r : (uint32_t)r;
}

void work_warm_up(void)
{
	struct msg_resolved ignored = { 0 };

	resolve("localhost", &ignored);
}

static struct job *next_job(struct work *w)
{
	struct job *best = NULL;
	size_t i;

	for (i = 0; i < WORK_JOBS; i++)
		if (w->jobs[i].state == JOB_WAITING && (!best || w->jobs[i].order < best->order))
			best = &w->jobs[i];
	return best;
}

NORETURN static void *worker(void *arg)
{
	struct work *w = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	w->running++;
	pthread_cond_signal(&w->started);
	for (;;) {
		struct job *j = next_job(w);

		if (!j) {
			pthread_cond_wait(&w->waiting, &w->lock);
			continue;
		}
		j->state = JOB_BUSY;
		pthread_mutex_unlock(&w->lock);
		resolve(j->host, &j->answer);
		pthread_mutex_lock(&w->lock);
		j->state = JOB_DONE;
		/* Fails only when 2^64 - 2 answers wait. */
		(void)!write(w->done, &one, sizeof one);
	}
}

struct work *work_new(void)
{
	struct work *w = must_calloc(1, sizeof *w);
	pthread_attr_t attributes;
	uint32_t i;

	w->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->done < 0 || pthread_mutex_init(&w->lock, NULL) || pthread_cond_init(&w->waiting, NULL) || pthread_cond_init(&w->started, NULL) ||
	    pthread_attr_init(&attributes))
		goto fail;
	/* libc's resolver keeps answers of up to 64 KiB on the stack, and nss modules are not modest either. */
	if (pthread_attr_setstacksize(&attributes, 1u << 20) || pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED))
		goto fail;
	for (i = 0; i < WORK_THREADS; i++) {
		pthread_t thread;

		if (pthread_create(&thread, &attributes, worker, w))
			goto fail;
	}
	pthread_attr_destroy(&attributes);
	/* A thread's first steps (rseq, its robust list) are calls that no filter permits: the lock comes after them. */
	pthread_mutex_lock(&w->lock);
	while (w->running < WORK_THREADS)
		pthread_cond_wait(&w->started, &w->lock);
	pthread_mutex_unlock(&w->lock);
	return w;
fail:
	log_now(LOG_ERROR, "resolver: cannot start its threads: errno %d", errno);
	_exit(1);
}

int work_fd(const struct work *w)
{
	return w->done;
}

bool work_ask(struct work *w, const struct msg_resolve *q, uint32_t asker)
{
	bool found = false;
	size_t i;

	pthread_mutex_lock(&w->lock);
	for (i = 0; i < WORK_JOBS && !found; i++) {
		struct job *j = &w->jobs[i];

		if (j->state != JOB_FREE)
			continue;
		memset(j, 0, sizeof *j);
		memcpy(j->host, q->host, sizeof j->host);
		j->answer.tag = q->tag;
		j->asker = asker;
		j->order = ++w->last_order;
		j->state = JOB_WAITING;
		found = true;
	}
	if (found)
		pthread_cond_signal(&w->waiting);
	pthread_mutex_unlock(&w->lock);
	return found;
}

bool work_take(struct work *w, struct msg_resolved *out, uint32_t *asker)
{
	bool found = false;
	uint64_t count;
	size_t i;

	/* Emptied first: an answer that comes while we look makes it readable again. */
	(void)!read(w->done, &count, sizeof count);
	pthread_mutex_lock(&w->lock);
	for (i = 0; i < WORK_JOBS && !found; i++) {
		struct job *j = &w->jobs[i];

		if (j->state != JOB_DONE)
			continue;
		*out = j->answer;
		*asker = j->asker;
		j->state = JOB_FREE;
		found = true;
	}
	pthread_mutex_unlock(&w->lock);
	return found;
}
