/*
 * disk.c - see disk.h.  Runs after the lock; never blocks but in poll.
 *
 * Back-pressure: a packet of netproc is only taken when there is room for the
 * answers in netproc's channel and, for tiny pieces, for the pieces.  Slots
 * come back as fast as they are copied; what limits netproc is the budget,
 * which it keeps itself and which store.c enforces.
 */
#include "disk.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "accuse.h"
#include "bitfield.h"
#include "log.h"
#include "reader.h"
#include "tell.h"

#define PACKETS_PER_TURN 8
#define RESULTS_PER_TURN 256u
#define FREED_FLUSH 64u            /* a quarter of the slots: netproc never runs dry */
#define ROOM_FOR_RESULT (32u << 10) /* 128 BLAME and a verdict, or a verdict for each piece of a group */
/* How much may be lost to a power cut, and must then be fetched again: half a minute, or so much. */
#define SYNC_MS 30000u
#define SYNC_BYTES (1ull << 30)
#define IN(s) (1u << (s))

static int on_block(void *self, const void *message, int fd)
{
	struct disk *d = self;

	(void)fd;
	d->freed++;
	return store_on_block(&d->store, message);
}

static int on_spill(void *self, const void *message, int fd)
{
	struct disk *d = self;

	(void)fd;
	return store_on_spill(&d->store, message);
}

static int on_read(void *self, const void *message, int fd)
{
	struct disk *d = self;

	(void)fd;
	return upload_on_read(&d->upload, message, d->store.hold);
}

static const struct permit net_permits[] = {
	{ MSG_BLOCK, IN(NET_OPEN) | IN(NET_HELD), on_block },
	{ MSG_SPILL, IN(NET_OPEN) | IN(NET_HELD), on_spill },
	{ MSG_READ, IN(NET_OPEN) | IN(NET_HELD), on_read },
};

/* A new netproc's descriptors come one by one: its channel, then its slots. */
static int on_setup_fd(void *self, const void *message, int fd)
{
	struct disk *d = self;
	const struct msg_setup_fd *m = message;
	int *place = m->what == SETUP_DISK ? &d->next_net : m->what == SETUP_SLOTS ? &d->next_slots : NULL;

	if (!place || (m->what == SETUP_SLOTS && d->next_net < 0)) {
		close(fd);
		return -1;
	}
	if (*place >= 0)
		close(*place);
	*place = fd;
	if (m->what == SETUP_DISK) {
		d->next_epoch = m->epoch;
		/* Those that wait here are of one that died before it was served. */
		if (d->next_slots >= 0)
			close(d->next_slots);
		d->next_slots = -1;
	}
	if (d->next_net >= 0 && d->next_slots >= 0) {
		channel_close(&d->net);
		store_forget(&d->store);
	}
	return 0;
}

static int on_shutdown(void *self, const void *message, int fd)
{
	struct disk *d = self;
	const struct msg_shutdown *m = message;

	(void)fd;
	d->stopping = true;
	d->store.hold = true;
	store_give_up(&d->store);
	d->stop_at_ms = now_ms() + m->grace_ms;
	atomic_store(&d->work.stop, true);
	return 0;
}

static const struct permit control_permits[] = {
	{ MSG_SETUP_FD, IN(0), on_setup_fd },
	{ MSG_SHUTDOWN, IN(0), on_shutdown },
};

void disk_init(struct disk *d, struct channel *control, const struct msg_disk_options *o)
{
	memset(d, 0, sizeof *d);
	d->control = control;
	d->options = *o;
	d->options.threads = max_u32(1, min_u32(o->threads, POOL_MAX_THREADS));
	d->net.fd = d->next_net = d->next_slots = -1;
	d->merge.kind = JOB_MERGE;
	d->prepare.kind = JOB_PREPARE;
	d->sync.kind = JOB_SYNC;
	d->recollect.kind = JOB_RECALL;
	/* One at a time: a batch comes back as a whole, and nobody is to wait for a sync. */
	d->merge.link.bytes = d->prepare.link.bytes = d->sync.link.bytes = d->recollect.link.bytes = POOL_BATCH_BYTES;
	d->record.fd = -1;
	work_init(&d->work);
}

void disk_make_threads(struct disk *d)
{
	d->pool = pool_new(d->options.threads, work_run, work_warm, &d->work);
}

void disk_open(struct disk *d, const struct metainfo *m, const struct files_options *o, int spill_fd, int record_fd,
	       const int conveyor[2])
{
	d->m = *m;
	d->files = files_new(&d->m, o);
	d->merging = o->parts >= 0 && o->existing && !o->read_only;
	work_open(&d->work, &d->m, d->files, spill_fd, o->read_only);
	if (o->existing || o->read_only)
		reader_init(&d->work);
	store_init(&d->store, &d->m, o->wanted, d->options.budget_bytes, &d->work, d->pool, spill_fd);
	d->store.stall.wanted = d->options.wait_space;
	d->store.net = &d->net;
	d->store.slots = &d->slots;
	d->work.conveyor = conveyor[1];
	upload_init(&d->upload, conveyor[0], &d->m, &d->work, d->pool, &d->net, d->store.have);
	check_init(&d->check, &d->m, d->options.threads);
	record_init(&d->record, record_fd, &d->m, d->work.sha1);
	recall_init(&d->recall, &d->record, &d->m, d->options.check_existing != CHECK_NOTHING && d->options.check_existing != CHECK_ALL);
	d->work.record = record_fd < 0 ? NULL : &d->record;
	d->work.recall = &d->recall;
	d->work.doubtful = d->recall.doubtful;
	report_init(&d->report, &d->m, o->report);
	d->work.states = d->report.states;
}

void disk_release(struct disk *d)
{
	pool_free(d->pool);
	channel_close(&d->net);
	if (d->slots.count)
		slots_detach(&d->slots);
	store_release(&d->store);
	report_release(&d->report);
	files_free(d->files);
	recall_release(&d->recall);
	record_release(&d->record);
	work_release(&d->work);
}

int disk_attach(struct disk *d, int fd, uint32_t epoch, int slots_fd)
{
	int r;

	if (d->slots.count)
		slots_detach(&d->slots);
	channel_init(&d->net, fd, epoch, false, "netproc");
	r = slots_attach(&d->slots, slots_fd, SLOT_COUNT);
	close(slots_fd);
	if (r < 0) {
		d->slots.count = 0;
		accuse(ROLE_NETPROC, &d->net, "slots that are not sealed as they must be", NULL);
		channel_close(&d->net);
		return -1;
	}
	d->net_state = NET_QUIET;
	d->have_next = 0;
	d->freed = 0;
	upload_reset(&d->upload);
	return 0;
}

static void storage_failed(struct disk *d, const struct fault *f)
{
	if (d->stage == STAGE_FAILED)
		return;
	d->fault = *f;
	d->stage = STAGE_FAILED;
	d->store.hold = true;
	d->error_due = true;
	log_line(LOG_DETAIL, TOPIC_DISK, "storage failed: act %u, errno %d, file %u", f->act, f->error, f->file);
}

/* Bytes still to be written into files. */
static uint64_t missing_bytes(const struct disk *d)
{
	const struct wanted *w = d->store.wanted;
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < d->m.h->piece_count; i++)
		if (!bitfield_get(d->store.have, i))
			n += w->level ? layout_wanted_of_piece(&d->m, w, i)
				      : layout_disk_bytes(&d->m, layout_piece_begin(&d->m, i), metainfo_piece_bytes(&d->m, i));
	return n;
}

/*
 * Whether what is missing finds room.  What the files take beyond what is
 * verified will be written over: bad pieces, and space that was reserved.
 */
static bool has_room(const struct disk *d)
{
	uint64_t missing = missing_bytes(d), space = files_space(d->files), taken, good;

	/* Then this is found out by the attempt. */
	if (missing <= space || d->store.stall.wanted || d->options.allocate == ALLOCATE_FULL)
		return true;
	taken = files_blocks(d->files);
	good = layout_disk_bytes(&d->m, 0, d->m.h->total_length) - missing;
	return taken > good && missing - min_u64(missing, taken - good) <= space;
}

/* Syncs what was written, and records what is verified by now: what comes during it is the next one's. */
static void start_sync(struct disk *d)
{
	d->syncing = true;
	d->sync.fault = (struct fault){ 0 };
	d->sync.last = d->stage == STAGE_SYNC;
	/* A check that was cut short has found less than there is: better than nothing, if it has found anything. */
	d->sync.keep = d->work.record && d->recall.done && !d->spoilt && (d->looked || d->check.checked_bytes);
	/* Of a download that goes on, pieces will be on disk that no record has. */
	d->sync.clean = d->looked && (d->stopping || d->stage == STAGE_SYNC || d->options.read_only);
	if (d->sync.keep)
		memcpy(record_have(&d->record), d->store.have, bitfield_bytes(d->m.h->piece_count));
	d->record_due = false;
	d->store.unsynced_bytes = 0;
	pool_add(d->pool, POOL_SLOW, &d->sync.link);
}

/* It costs no more than a longer start of the next run. */
static void record_failed(struct disk *d, int error)
{
	d->record_due = true;
	if (!d->record_warned)
		log_line(LOG_WARN, TOPIC_DISK, "cannot write the record of what is verified: %s; it is tried again", strerror(error));
	d->record_warned = true;
}

/* What is there is known. */
static void checked(struct disk *d)
{
	bool all = store_is_complete(&d->store);

	d->looked = true;
	/* At once: the next one would count what has come meanwhile. */
	d->progress_due = true;
	d->progress_at_ms = 0;
	d->sync_at_ms = now_ms() + SYNC_MS;
	if (d->report.states) {
		/* The files are looked at; then all is told, and SHUTDOWN follows. */
		pool_add(d->pool, POOL_SLOW, &d->prepare.link);
		return;
	}
	if (d->options.read_only && !all) {
		storage_failed(d, &(struct fault){ .act = DISK_ACT_FOREIGN, .file = UINT32_MAX, .other = d->store.wanted_verified });
		return;
	}
	if (!all && !has_room(d)) {
		storage_failed(d, &(struct fault){ .act = DISK_ACT_SPACE, .error = ENOSPC, .file = UINT32_MAX });
		return;
	}
	d->stage = STAGE_RUN;
	pool_add(d->pool, POOL_SLOW, &d->prepare.link);
	/* So that the next one need not read it all again; behind the other, which must not wait for a disk. */
	if (d->options.read_only && d->check.checked_bytes)
		start_sync(d);
}

/* The record was asked, if there is one: what it answers for is as good as verified. */
static void begin_check(struct disk *d)
{
	uint32_t i;

	d->begun = true;
	d->progress_due = true;
	if (d->recall.store_error)
		record_failed(d, d->recall.store_error);
	for (i = 0; i < d->m.h->piece_count; i++) {
		if (bitfield_get(d->recall.known, i))
			store_set_have(&d->store, i);
		if (!bitfield_get(d->recall.doubtful, i))
			d->known_bytes += metainfo_piece_bytes(&d->m, i);
	}
	check_begin(&d->check, &d->m, d->recall.doubtful);
	if (!d->options.check_existing && !d->options.read_only)
		d->check.next = d->m.h->piece_count;
	check_more(&d->check, &d->store, d->pool, d->stopping);
	if (!d->stopping && check_ended(&d->check, &d->m))
		checked(d);
	pool_kick(d->pool);
}

/* The files are as they will be checked. */
static void begin_recall(struct disk *d)
{
	if (!d->work.record) {
		begin_check(d);
		return;
	}
	pool_add(d->pool, POOL_SLOW, &d->recollect.link);
	pool_kick(d->pool);
}

void disk_start(struct disk *d)
{
	d->stage = STAGE_CHECK;
	d->progress_due = true;
	if (!d->merging) {
		begin_recall(d);
		return;
	}
	pool_add(d->pool, POOL_SLOW, &d->merge.link);
	pool_kick(d->pool);
}

static void complete(struct disk *d)
{
	d->stage = STAGE_COMPLETE;
	d->complete_due = d->progress_due = true;
}

static void sync_done(struct disk *d)
{
	d->syncing = false;
	if (d->sync.record_error)
		record_failed(d, d->sync.record_error);
	if (d->sync.fault.act) {
		d->spoilt = true;
		storage_failed(d, &d->sync.fault);
	} else if (d->stage == STAGE_SYNC) {
		complete(d);
	}
	if (d->stop_syncing)
		d->stop_synced = true;
}

static void on_done(struct disk *d, struct job *j)
{
	switch (j->kind) {
	case JOB_READ:
		if (upload_on_done(&d->upload, j) < 0 && d->net.fd >= 0) {
			accuse(ROLE_NETPROC, &d->net, "READ", d->upload.why);
			channel_close(&d->net);
			d->upload.why = NULL;
		}
		if (d->upload.fault.act)
			storage_failed(d, &d->upload.fault);
		return;
	case JOB_CHECK:
		check_on_done(&d->check, &d->store, j);
		if (d->check.fault.act)
			storage_failed(d, &d->check.fault);
		else if (d->stage == STAGE_CHECK && !d->stopping && check_ended(&d->check, &d->m))
			checked(d);
		break;
	case JOB_MERGE:
		if (j->fault.act)
			storage_failed(d, &j->fault);
		else if (!d->stopping)
			begin_recall(d);
		break;
	case JOB_PREPARE:
		if (stall_takes(&d->store.stall, j, now_ms()))
			break;
		if (files_not_reserved(d->files))
			log_line(LOG_WARN, TOPIC_DISK, "this file system cannot reserve space (%s): files take it as they are written",
				 strerror(files_not_reserved(d->files)));
		d->prepared = true;
		d->report.due = d->report.states != NULL;
		if (j->record_error)
			record_failed(d, j->record_error);
		if (j->fault.act)
			storage_failed(d, &j->fault);
		break;
	case JOB_RECALL:
		begin_check(d);
		break;
	case JOB_SYNC:
		sync_done(d);
		break;
	default:
		store_on_done(&d->store, j);
		if (d->store.fault.act)
			storage_failed(d, &d->store.fault);
		break;
	}
	d->progress_due = true;
}

void disk_results(struct disk *d)
{
	uint32_t n;

	if (!d->done)
		d->done = pool_collect(d->pool);
	for (n = 0; d->done && n < RESULTS_PER_TURN; n++) {
		struct pool_job *next = d->done->next;

		/* A netproc that does not read what it is told gets no more; at the end nobody waits for it. */
		if (d->net.fd >= 0 && channel_room(&d->net) < ROOM_FOR_RESULT && !d->stopping)
			break;
		on_done(d, (struct job *)d->done);
		d->done = next;
	}
	if (d->stage == STAGE_CHECK && d->begun)
		check_more(&d->check, &d->store, d->pool, d->stopping);
	pool_kick(d->pool);
}

static bool net_may_be_read(const struct disk *d)
{
	return d->net.fd >= 0 && channel_room(&d->net) >= ROOM_FOR_RESULT && store_has_room(&d->store);
}

enum channel_result disk_serve_net(struct disk *d)
{
	enum channel_result r = CHANNEL_OK;
	int i;

	for (i = 0; i < PACKETS_PER_TURN && r == CHANNEL_OK && net_may_be_read(d); i++) {
		r = channel_dispatch(&d->net, net_permits, ARRAY_LEN(net_permits), &d->net_state, d, 1);
		if (r != CHANNEL_VIOLATION)
			upload_run(&d->upload);
		pool_kick(d->pool);
		if (d->freed >= FREED_FLUSH) {
			(void)channel_flush(&d->net);
			d->freed = 0;
		}
	}
	return r;
}

/* What follows from how things stand: each line is a move of the stage, or a message that is due. */
void disk_advance(struct disk *d, uint64_t now)
{
	bool all = store_is_complete(&d->store);

	if (d->next_net >= 0 && d->next_slots >= 0 && !store_busy(&d->store) && !d->upload.busy) {
		/* On failure there is no netproc, and the parent was told. */
		(void)!disk_attach(d, d->next_net, d->next_epoch, d->next_slots);
		d->next_net = d->next_slots = -1;
	}
	if (d->stage == STAGE_RUN && all && d->prepared && (!d->syncing || d->options.read_only) && !d->stopping) {
		d->stage = STAGE_SYNC;
		d->progress_due = true;
		if (d->options.read_only)
			complete(d);
		else
			start_sync(d);
	}
	if (d->stage == STAGE_RUN && !d->stopping && !d->syncing && (now >= d->sync_at_ms || d->store.unsynced_bytes >= SYNC_BYTES)) {
		if (d->store.unsynced_bytes || d->record_due)
			start_sync(d);
		d->sync_at_ms = now + SYNC_MS;
	}
	if (d->stopping && !d->stop_syncing && !pool_busy(d->pool) && !store_busy(&d->store) && !d->done) {
		d->stop_syncing = true;
		if ((d->options.read_only || d->stage == STAGE_COMPLETE) && !d->record_due)
			d->stop_synced = true;
		else
			start_sync(d);
	}
	store_tick(&d->store, now);
	tell_netproc(d);
	tell_parent(d, now);
	pool_kick(d->pool);
}

/* Until something is due; -1: nothing is. */
static int wait_ms(const struct disk *d, uint64_t now)
{
	uint64_t due = UINT64_MAX;

	if (d->stopping)
		due = d->stop_at_ms;
	if (d->stage == STAGE_RUN)
		due = min_u64(due, d->sync_at_ms);
	due = min_u64(due, store_due_ms(&d->store));
	if (d->progress_due)
		due = min_u64(due, d->progress_at_ms);
	if (due == UINT64_MAX)
		return -1;
	return due <= now ? 0 : (int)min_u64(due - now, 60000);
}

/* 0, or -1: the parent is gone; -2: it broke the contract. */
static int serve_control(struct disk *d)
{
	uint32_t state = 0;
	enum channel_result r = channel_dispatch(d->control, control_permits, ARRAY_LEN(control_permits), &state, d, 4);

	if (r == CHANNEL_CLOSED)
		return -1;
	if (r != CHANNEL_VIOLATION)
		return 0;
	log_line(LOG_ERROR, TOPIC_IPC, "parent: %s", channel_violation());
	return -2;
}

/*
 * Without netproc, what is verified and the files stay as they are; what is
 * open waits for the next one, which makes us forget it (on_setup_fd).
 */
static void net_ended(struct disk *d, enum channel_result r)
{
	if (r == CHANNEL_VIOLATION)
		accuse(ROLE_NETPROC, &d->net, channel_violation(), d->upload.why ? d->upload.why : d->store.why);
	else if (r == CHANNEL_CLOSED)
		log_line(LOG_INFO, TOPIC_IPC, "netproc closed its channel");
	else
		return;
	d->store.why = d->upload.why = NULL;
	channel_close(&d->net);
}

enum disk_turn disk_turn(struct disk *d, uint32_t *status)
{
	bool read_net = net_may_be_read(d);
	struct pollfd p[3] = {
		{ .fd = d->control->fd, .events = (short)(POLLIN | (channel_wants_write(d->control) ? POLLOUT : 0)) },
		{ .fd = d->net.fd, .events = (short)((read_net ? POLLIN : 0) | (channel_wants_write(&d->net) ? POLLOUT : 0)) },
		{ .fd = pool_event(d->pool), .events = POLLIN },
	};
	uint64_t now = now_ms();
	bool stuck = d->done && d->net.fd >= 0 && channel_room(&d->net) < ROOM_FOR_RESULT && !d->stopping;
	int r, wait = (d->done && !stuck) || !pool_sleep(d->pool) ? 0 : wait_ms(d, now);

	*status = 0;
	if (poll(p, 3, stuck && wait == 0 ? 100 : wait) < 0 && errno != EINTR)
		bug("poll: errno %d", errno);
	if (p[2].revents)
		pool_clear_event(d->pool);
	if (p[0].revents && (r = serve_control(d)) < 0)
		return r == -1 ? DISK_ENDED : DISK_VIOLATION;
	disk_results(d);
	if (p[1].revents & (POLLIN | POLLHUP | POLLERR) && d->net.fd >= 0) {
		/* A full channel whose other end is gone would never be read again. */
		enum channel_result c = read_net || !(p[1].revents & (POLLHUP | POLLERR)) ? disk_serve_net(d) : CHANNEL_CLOSED;

		net_ended(d, c);
	}
	now = now_ms();
	disk_advance(d, now);
	if (d->net.fd >= 0 && channel_flush(&d->net) < 0)
		net_ended(d, CHANNEL_CLOSED);
	d->freed = 0;
	if (channel_flush(d->control) < 0)
		return DISK_ENDED;
	if (d->stopping && (d->stop_synced || now >= d->stop_at_ms)) {
		*status = !d->stop_synced || d->stage == STAGE_FAILED;
		return DISK_ENDED;
	}
	return DISK_GO_ON;
}
