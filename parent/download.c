/*
 * download.c - see download.h: the state machine of one SOURCE.
 *
 * starting.c asks for its compartments, deaths.c has what follows when one
 * ends, inspecting.c what happens around inspect, giving.c the seeding; feed.c
 * what each compartment is given, hear.c what it may say.  Nothing waits:
 * everything happens on an answer of the launcher, a message, a death or a
 * deadline.
 */
#include "download.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "feed.h"
#include "giving.h"
#include "hear.h"
#include "inspecting.h"

#define SECOND_MS 1000u
/* A hostile torrent may keep inspect busy; its own limits are far below this. */
#define INSPECT_MS 120000u

void download_init(struct download *d, struct context *x, uint32_t index, const char *source, int input)
{
	size_t i;

	memset(d, 0, sizeof *d);
	d->x = x;
	d->index = index;
	d->source = source;
	d->status = -1;
	d->input = input;
	d->form = d->text = d->mount = d->slots = d->conveyor = -1;
	if (!strcmp(source, "-"))
		source = "standard input";
	screen_safe(d->name, sizeof d->name, source, strlen(source));
	d->selection.fd = -1;
	output_init(&d->out);
	creating_init(&d->creating);
	for (i = 0; i < ROLE_COUNT; i++)
		child_init(&d->child[i], (enum role)i, index);
	for (i = 0; i < EDGES; i++)
		d->edge[i].fd[0] = d->edge[i].fd[1] = -1;
}

void download_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void download_close(struct download *d)
{
	size_t i;

	for (i = 0; i < EDGES; i++)
		feed_close_edge(&d->edge[i]);
	for (i = 0; i < ROLE_COUNT; i++) {
		channel_close(&d->child[i].control);
		download_close_fd(&d->child[i].listener);
	}
	output_close(&d->out);
	select_close(&d->selection);
	peer_table_close(&d->peers);
	creating_close(&d->creating);
	checking_close(&d->checking);
	download_close_fd(&d->input);
	download_close_fd(&d->form);
	download_close_fd(&d->text);
	download_close_fd(&d->mount);
	download_close_fd(&d->slots);
	download_close_fd(&d->conveyor);
}

/* ---- ends */

static bool is_network(enum role role)
{
	return role == ROLE_NETPROC || role == ROLE_DIALER || role == ROLE_RESOLVER;
}

void download_finish(struct download *d, int status, uint32_t grace_ms)
{
	if (d->status < 0)
		d->status = status;
	if (d->state >= DOWNLOAD_FINISHING)
		return;
	d->state = DOWNLOAD_FINISHING;
	d->kill_ms = d->x->now_ms + grace_ms;
	child_shutdown(&d->child[ROLE_NETPROC], grace_ms, d->x->now_ms);
	child_shutdown(&d->child[ROLE_DISKPROC], grace_ms, d->x->now_ms);
	child_kill(&d->child[ROLE_INSPECT], NULL);
	child_kill(&d->child[ROLE_CREATE], NULL);
}

void download_fail(struct download *d, int status, const char *fmt, ...)
{
	char text[1400];
	va_list ap;

	if (d->status >= 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	screen_error("%s: %s", d->name, text);
	json_begin("error", d->index);
	json_number("status", (uint64_t)status);
	json_word("text", text);
	json_end_result();
	/* What is verified stays; a process that misbehaved is not asked for goodbyes for long. */
	download_finish(d, status, GOODBYE_MS);
}

void download_without_launcher(struct download *d)
{
	size_t i;

	download_fail(d, STATUS_DIED, "the launcher is gone");
	for (i = 0; i < ROLE_COUNT; i++)
		child_forget_launch(&d->child[i]);
}

struct totals download_totals(const struct download *d)
{
	return totals_sum(d->before, (struct totals){ d->net.uploaded_bytes, d->net.received_bytes });
}

void download_interrupt(struct download *d, bool at_once)
{
	bool up = download_is_up(d);
	size_t i;

	if (d->state == DOWNLOAD_SEEDING) {
		giving_end(d, SEEDING_INTERRUPTED);
	} else if (d->state < DOWNLOAD_FINISHING) {
		if (up && d->mapped && !d->out.finished)
			screen_note("%s: interrupted; the same command continues it", d->name);
		download_finish(d, STATUS_INTERRUPTED, INTERRUPT_MS);
	}
	for (i = 0; i < ROLE_COUNT && (at_once || !up); i++)
		child_kill(&d->child[i], NULL);
}

void download_complete(struct download *d)
{
	char error[1000], took[32];
	struct text t;
	bool already = d->out.finished;

	if (d->out.incomplete) {
		download_fail(d, STATUS_STORAGE, "'%s' has all its pieces, but not its name yet; 'bulkhead get' completes it", d->out.part);
		return;
	}
	if (already) {
		if (d->x->o->command == COMMAND_GET || !d->seeds)
			screen_note("%s: already complete", d->name);
	} else if (output_finish(&d->out, error, sizeof error) < 0) {
		download_fail(d, STATUS_STORAGE, "%s", error);
		return;
	} else {
		text_init(&t, took, sizeof took);
		text_add_duration(&t, (d->x->now_ms - d->started_ms) / SECOND_MS);
		screen_note("%s: complete after %s", d->name, took);
		hook_run(&d->x->hook, d->index);
	}
	json_begin("complete", d->index);
	json_word("directory", d->x->o->dir);
	json_text("name", d->out.name, strlen(d->out.name));
	json_number("bytes", d->selection.sum.bytes);
	json_number("milliseconds", d->x->now_ms - d->started_ms);
	json_bool("already", already);
	json_end_result();
	if (d->x->o->command == COMMAND_GET)
		screen_result("", d->x->o->dir, d->out.name, strlen(d->out.name));
	if (d->seeds)
		giving_begin(d);
	else
		download_finish(d, STATUS_COMPLETE, GOODBYE_MS);
}

void download_on_control(struct download *d, enum role role)
{
	struct child *c = &d->child[role];

	if (channel_wants_write(&c->control))
		(void)(channel_flush(&c->control) >= 0); /* gone: the read below finds EOF */
	hear_child(d, c);
}

/* ---- answers and time */

bool download_on_answer(struct download *d, const struct launcher_answer *a)
{
	size_t i;

	for (i = 0; i < ROLE_COUNT; i++) {
		struct child *c = &d->child[i];

		if (c->launch_tag == a->tag && a->kind == LAUNCHER_LAUNCHED) {
			child_launched(c, a);
			/* It may have ended before its number was known. */
			download_reap(d);
			return true;
		}
		if (c->launch_tag == a->tag && a->kind == LAUNCHER_FAILED) {
			c->launch_tag = 0;
			c->state = CHILD_NONE;
			if (a->error == ENOENT)
				download_fail(d, STATUS_FAILED, "cannot start bulkhead-%s: no program that can be trusted beside this one or in %s",
					      role_name(c->role), LIBEXECDIR);
			else
				download_fail(d, STATUS_FAILED, "cannot start %s: %s", role_name(c->role), strerror(a->error));
			return true;
		}
		if (c->check_tag == a->tag && a->kind == LAUNCHER_STATUS) {
			child_checked(c, &a->status, d->x->o->allow_weak);
			return true;
		}
		if (c->check_tag == a->tag && a->kind == LAUNCHER_FAILED) {
			c->check_tag = 0;
			child_kill(c, "cannot be looked at: %s", strerror(a->error));
			return true;
		}
	}
	return feed_on_pair(d, a);
}

/* All that is to run is HELD, or runs already. */
static bool all_held(const struct download *d)
{
	uint32_t roles = feed_roles(d);
	size_t i;

	for (i = 0; i < ROLE_COUNT; i++)
		if (roles >> i & 1 && d->child[i].state != CHILD_HELD && d->child[i].state != CHILD_RUNNING)
			return false;
	return true;
}

/* Whoever serves others first. */
static void go_all(struct download *d)
{
	static const enum role order[] = { ROLE_RESOLVER, ROLE_DIALER, ROLE_DISKPROC, ROLE_NETPROC };
	uint32_t i, k;

	for (i = 0; i < ARRAY_LEN(order); i++) {
		struct child *c = &d->child[order[i]];

		if (c->state != CHILD_HELD)
			continue;
		if (c->role == ROLE_NETPROC)
			feed_listen_port(d);
		child_go(c);
		for (k = 0; k < d->x->o->peer_count && c->role == ROLE_NETPROC; k++) {
			struct msg_peer_add m = { .addr = d->x->o->peers[k] };

			child_send(c, MSG_PEER_ADD, &m);
		}
	}
}

static void advance_finishing(struct download *d)
{
	struct totals run;
	uint32_t left = 0;
	size_t i;

	/* Dialer and resolver keep nothing: they end when nobody needs them. */
	if (d->child[ROLE_NETPROC].state == CHILD_NONE || d->child[ROLE_NETPROC].state >= CHILD_DONE)
		for (i = 0; i < ROLE_COUNT; i++)
			if (is_network((enum role)i) && i != ROLE_NETPROC && d->child[i].state != CHILD_DYING)
				child_kill(&d->child[i], NULL);
	for (i = 0; i < ROLE_COUNT; i++)
		left += d->child[i].state != CHILD_NONE;
	if (left)
		return;
	d->state = DOWNLOAD_ENDED;
	if (d->seeded != SEEDING_GOES_ON)
		giving_tell(d);
	run = download_totals(d);
	if (state_end(&d->out.state, run.uploaded, run.downloaded, d->out.finished) < 0)
		screen_warn("%s: cannot write its record: %s", d->name, strerror(errno));
}

void download_advance(struct download *d)
{
	struct child *inspect = &d->child[ROLE_INSPECT];

	switch (d->state) {
	case DOWNLOAD_INSPECTING:
		if (d->x->o->command == COMMAND_CREATE) {
			creating_feed(d);
			if (d->x->locked)
				child_go(&d->child[ROLE_CREATE]);
			return;
		}
		inspecting_feed(d);
		if (inspect->state == CHILD_HELD && (d->x->locked || d->x->o->command != COMMAND_SHOW)) {
			child_go(inspect);
			inspect->deadline_ms = d->x->now_ms + INSPECT_MS;
		}
		/* As root diskproc's id depends on what inspect finds. */
		if (d->ahead && (inspect->check_tag || inspect->state >= CHILD_HELD)) {
			d->ahead = false;
			feed_launch(d, d->x->root ? 1u << ROLE_DISKPROC : 0);
		}
		return;
	case DOWNLOAD_STARTING:
		feed_all(d);
		if (d->x->locked && all_held(d)) {
			d->state = DOWNLOAD_RUNNING;
			d->moved_ms = d->x->now_ms;
			go_all(d);
		}
		return;
	case DOWNLOAD_RUNNING:
	case DOWNLOAD_SEEDING:
		feed_all(d);
		go_all(d);
		return;
	case DOWNLOAD_FINISHING:
		advance_finishing(d);
		return;
	default:
		return;
	}
}

uint64_t download_timers(struct download *d)
{
	uint64_t now = d->x->now_ms, next = UINT64_MAX, idle_ms = (uint64_t)d->x->o->timeout_s * SECOND_MS;
	size_t i;

	if (d->state == DOWNLOAD_RUNNING && idle_ms && d->disk.phase != DISK_WAITING) {
		if (now - d->moved_ms >= idle_ms)
			download_fail(d, STATUS_NO_PROGRESS, "nothing has arrived for %u seconds", d->x->o->timeout_s);
		else
			next = d->moved_ms + idle_ms;
	}
	if (d->state == DOWNLOAD_SEEDING)
		next = giving_check(d);
	if (download_is_up(d))
		next = min_u64(next, peer_table_show(&d->peers, d->index, d->name, d->m.h->piece_count, now));
	if (d->state == DOWNLOAD_FINISHING) {
		for (i = 0; i < ROLE_COUNT && now >= d->kill_ms; i++)
			child_kill(&d->child[i], NULL);
		next = now >= d->kill_ms ? UINT64_MAX : d->kill_ms;
	}
	for (i = 0; i < ROLE_COUNT; i++) {
		struct child *c = &d->child[i];

		/* Tried again: POLLOUT would not tell.  One that is gone is found by the read of its EOF. */
		if (channel_is_stuck(&c->control) && channel_flush(&c->control) > 0)
			next = min_u64(next, now + CHANNEL_RETRY_MS);
		if (c->state == CHILD_NONE || !c->deadline_ms)
			continue;
		/* Launched ahead it waits for what inspect finds, and inspect has a deadline of its own. */
		if (d->state == DOWNLOAD_INSPECTING && c->state == CHILD_SETUP && i != ROLE_INSPECT)
			continue;
		if (now >= c->deadline_ms)
			child_kill(c, c->state < CHILD_RUNNING ? "did not start in time" : c->state == CHILD_RUNNING ? "took too long" : NULL);
		else
			next = min_u64(next, c->deadline_ms);
	}
	return next;
}

bool download_row(const struct download *d, struct screen_row *row)
{
	const struct totals run = download_totals(d);
	struct seeding s;
	uint64_t until = UINT64_MAX;

	if (d->x->o->command == COMMAND_CREATE && d->state == DOWNLOAD_INSPECTING && d->creating.progress.total_bytes) {
		creating_row(d, row);
		return true;
	}
	if (!download_is_up(d) || !d->mapped)
		return false;
	s = giving_so_far(d);
	if (d->state == DOWNLOAD_SEEDING)
		(void)seeding_check(&d->x->o->seed, &s, d->x->now_ms, &until);
	*row = (struct screen_row){
		.name = metainfo_str(&d->m, d->m.h->name),
		.name_length = d->m.h->name.length,
		.checking = d->disk.phase == DISK_CHECKING || d->checking.active,
		.syncing = d->disk.phase == DISK_SYNCING,
		.seeding = d->state == DOWNLOAD_SEEDING,
		.detail = d->x->o->verbose > 0,
		.done = d->disk.verified_bytes,
		.total = d->selection.sum.bytes,
		.checked = d->disk.checked_bytes + d->disk.known_bytes,
		.to_check = d->m.h->total_length,
		.received = run.downloaded,
		.wasted = d->wasted_before + d->net.wasted_bytes,
		.rate = d->net.rate,
		.uploaded = s.uploaded,
		.up_rate = d->net.upload_rate,
		.ratio_milli = seeding_ratio_milli(s.uploaded, d->disk.verified_bytes),
		.left_s = until == UINT64_MAX ? until : (max_u64(until, d->x->now_ms) - d->x->now_ms + SECOND_MS - 1) / SECOND_MS,
		.pieces = d->disk.verified_pieces,
		.pieces_total = d->selection.sum.pieces,
		.rejected = d->disk.rejected_pieces,
		.pieces_open = d->net.open_pieces,
		.peers = d->net.peers,
		.peers_known = d->net.peers_known,
		.unchoked = d->net.unchoked,
		.interested = d->net.interested,
		.incoming = d->net.incoming,
		.source = d->index,
	};
	return true;
}
