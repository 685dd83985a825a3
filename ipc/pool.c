/*
 * pool.c - see pool.h.  Makes no thread and no descriptor after pool_new().
 */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK_BYTES (256u << 10)

struct list {
	struct pool_job *first, **end;
	uint32_t count;
};

struct lane {
	struct list todo;
	pthread_cond_t more;
	uint32_t idle;    /* workers that wait */
	uint32_t workers;
};

struct pool {
	pthread_mutex_t lock; /* over lanes, done, asleep, warmed, stop */
	struct lane lanes[POOL_LANES];
	struct list done;
	bool asleep;     /* the loop waits for the event */
	bool stop;
	uint32_t warmed;
	pthread_cond_t warm_done;
	/* The loop's own. */
	struct list staged[POOL_LANES];
	uint32_t busy;
	int event;
	/* Constant after pool_new(). */
	uint32_t threads;
	pool_work *work;
	void (*warm)(void *self, uint32_t worker);
	void *self;
	struct pool_thread {
		struct pool *pool;
		pthread_t id;
		uint32_t worker;
		enum pool_lane lane;
	} thread[POOL_WORKERS];
};

static void list_init(struct list *l)
{
	l->first = NULL;
	l->end = &l->first;
	l->count = 0;
}

static void list_add(struct list *l, struct pool_job *job)
{
	job->next = NULL;
	*l->end = job;
	l->end = &job->next;
	l->count++;
}

/* Moves all of `from` to the end of `to`. */
static void list_join(struct list *to, struct list *from)
{
	if (!from->first)
		return;
	*to->end = from->first;
	to->end = from->end;
	to->count += from->count;
	list_init(from);
}

/* A fair share of what waits, so that two workers halve a burst; never more than a batch. */
static void take_batch(struct lane *lane, struct list *batch)
{
	uint32_t share = min_u32((lane->todo.count + lane->workers - 1) / lane->workers, POOL_BATCH_JOBS), bytes = 0;

	list_init(batch);
	while (lane->todo.first && batch->count < share) {
		struct pool_job *job = lane->todo.first;

		if (batch->count && job->bytes > POOL_BATCH_BYTES - bytes)
			break;
		bytes += min_u32(job->bytes, POOL_BATCH_BYTES - bytes);
		lane->todo.first = job->next;
		if (!job->next)
			lane->todo.end = &lane->todo.first;
		lane->todo.count--;
		list_add(batch, job);
	}
}

static void wake_loop(struct pool *p)
{
	uint64_t one = 1;

	while (write(p->event, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void *worker_main(void *arg)
{
	struct pool_thread *t = arg;
	struct pool *p = t->pool;
	struct lane *lane = &p->lanes[t->lane];
	struct list batch;

	if (p->warm)
		p->warm(p->self, t->worker);
	pthread_mutex_lock(&p->lock);
	p->warmed++;
	pthread_cond_signal(&p->warm_done);
	while (!p->stop) {
		bool wake;

		if (!lane->todo.first) {
			lane->idle++;
			pthread_cond_wait(&lane->more, &p->lock);
			lane->idle--;
			continue;
		}
		take_batch(lane, &batch);
		if (lane->todo.first && lane->idle)
			pthread_cond_signal(&lane->more);
		pthread_mutex_unlock(&p->lock);
		p->work(p->self, t->worker, batch.first);
		pthread_mutex_lock(&p->lock);
		list_join(&p->done, &batch);
		wake = p->asleep;
		p->asleep = false;
		if (wake) {
			pthread_mutex_unlock(&p->lock);
			wake_loop(p);
			pthread_mutex_lock(&p->lock);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void start_thread(struct pool *p, uint32_t worker, enum pool_lane lane)
{
	struct pool_thread *t = &p->thread[worker];
	pthread_attr_t attr;
	int r;

	*t = (struct pool_thread){ .pool = p, .worker = worker, .lane = lane };
	p->lanes[lane].workers++;
	if (pthread_attr_init(&attr) || pthread_attr_setstacksize(&attr, STACK_BYTES))
		bug("thread attributes");
	r = pthread_create(&t->id, &attr, worker_main, t);
	if (r)
		bug("cannot make thread %u: errno %d", worker, r);
	pthread_attr_destroy(&attr);
}

struct pool *pool_new(uint32_t threads, pool_work *work, void (*warm)(void *self, uint32_t worker), void *self)
{
	struct pool *p = must_calloc(1, sizeof *p);
	uint32_t i;

	p->threads = max_u32(1, min_u32(threads, POOL_MAX_THREADS));
	p->work = work;
	p->warm = warm;
	p->self = self;
	p->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (p->event < 0)
		bug("eventfd: errno %d", errno);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->warm_done, NULL);
	list_init(&p->done);
	for (i = 0; i < POOL_LANES; i++) {
		list_init(&p->lanes[i].todo);
		list_init(&p->staged[i]);
		pthread_cond_init(&p->lanes[i].more, NULL);
	}
	for (i = 0; i < p->threads; i++)
		start_thread(p, i, POOL_FAST);
	start_thread(p, p->threads, POOL_SLOW);
	start_thread(p, p->threads + 1, POOL_READ);
	/* What a thread touches for the first time must be touched before the filter is there. */
	pthread_mutex_lock(&p->lock);
	while (p->warmed < p->threads + 2)
		pthread_cond_wait(&p->warm_done, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return p;
}

void pool_free(struct pool *p)
{
	uint32_t i;

	pthread_mutex_lock(&p->lock);
	p->stop = true;
	for (i = 0; i < POOL_LANES; i++)
		pthread_cond_broadcast(&p->lanes[i].more);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->threads + 2; i++)
		pthread_join(p->thread[i].id, NULL);
	for (i = 0; i < POOL_LANES; i++)
		pthread_cond_destroy(&p->lanes[i].more);
	pthread_cond_destroy(&p->warm_done);
	pthread_mutex_destroy(&p->lock);
	close(p->event);
	free(p);
}

void pool_add(struct pool *p, enum pool_lane lane, struct pool_job *job)
{
	list_add(&p->staged[lane], job);
	p->busy++;
}

void pool_kick(struct pool *p)
{
	uint32_t i;

	if (!p->staged[POOL_FAST].first && !p->staged[POOL_SLOW].first && !p->staged[POOL_READ].first)
		return;
	pthread_mutex_lock(&p->lock);
	for (i = 0; i < POOL_LANES; i++) {
		list_join(&p->lanes[i].todo, &p->staged[i]);
		/* One wake is enough: who takes a batch and leaves some wakes the next. */
		if (p->lanes[i].todo.first && p->lanes[i].idle)
			pthread_cond_signal(&p->lanes[i].more);
	}
	pthread_mutex_unlock(&p->lock);
}

struct pool_job *pool_collect(struct pool *p)
{
	struct pool_job *first;

	pthread_mutex_lock(&p->lock);
	first = p->done.first;
	p->busy -= p->done.count;
	list_init(&p->done);
	p->asleep = false;
	pthread_mutex_unlock(&p->lock);
	return first;
}

void pool_clear_event(struct pool *p)
{
	uint64_t count;

	(void)!read(p->event, &count, sizeof count);
}

uint32_t pool_busy(const struct pool *p)
{
	return p->busy;
}

int pool_event(const struct pool *p)
{
	return p->event;
}

bool pool_sleep(struct pool *p)
{
	bool nothing;

	pthread_mutex_lock(&p->lock);
	nothing = p->done.first == NULL;
	p->asleep = nothing;
	pthread_mutex_unlock(&p->lock);
	return nothing;
}
