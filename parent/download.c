/*
 * download.c - see download.h: the state machine of one SOURCE.
 *
 * inspecting.c has what happens around inspect; feed.c what each compartment
 * is given; hear.c what it may say.  Nothing here waits: everything happens on an answer of the
 * launcher, a message, a death or a deadline.
 */
#include "download.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "feed.h"
#include "hear.h"
#include "inspecting.h"
#include "peers.h"

#define SECOND_MS 1000u
/* A hostile torrent may keep inspect busy; its own limits are far below this. */
#define INSPECT_MS 120000u
/* Turns of reading what a dead child left. */
#define LAST_WORDS 64

void download_init(struct download *d, struct context *x, uint32_t index, const char *source, int input)
{
	size_t i;

	memset(d, 0, sizeof *d);
	d->x = x;
	d->index = index;
	d->source = source;
	d->status = -1;
	d->input = input;
	d->form = d->text = d->mount = d->slots = d->upload_slots = -1;
	if (!strcmp(source, "-"))
		source = "standard input";
	screen_safe(d->name, sizeof d->name, source, strlen(source));
	output_init(&d->out);
	creating_init(&d->creating);
	for (i = 0; i < ROLE_COUNT; i++)
		child_init(&d->child[i], (enum role)i, index);
	for (i = 0; i < EDGES; i++)
		d->edge[i].fd[0] = d->edge[i].fd[1] = -1;
}

static void close_slots(int *fd)
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
		if (d->child[i].listener >= 0)
			close(d->child[i].listener);
		d->child[i].listener = -1;
	}
	output_close(&d->out);
	peer_table_close(&d->peers);
	creating_close(&d->creating);
	if (d->input >= 0)
		close(d->input);
	if (d->form >= 0)
		close(d->form);
	if (d->text >= 0)
		close(d->text);
	if (d->mount >= 0)
		close(d->mount);
	close_slots(&d->slots);
	close_slots(&d->upload_slots);
	d->input = d->form = d->text = d->mount = -1;
}

/* ---- ends */

static bool is_network(enum role role)
{
	return role == ROLE_NETPROC || role == ROLE_DIALER || role == ROLE_RESOLVER;
}

/* Its status is decided: netproc says goodbye, diskproc keeps what it has, the others serve them until then. */
static void finish(struct download *d, int status, uint32_t grace_ms)
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
	finish(d, status, GOODBYE_MS);
}

void download_without_launcher(struct download *d)
{
	size_t i;

	download_fail(d, STATUS_DIED, "the launcher is gone");
	for (i = 0; i < ROLE_COUNT; i++)
		child_forget_launch(&d->child[i]);
}

/* ---- giving back */

struct totals download_totals(const struct download *d)
{
	return totals_sum(d->before, (struct totals){ d->net.uploaded_bytes, d->net.received_bytes });
}

static struct seeding seeding_of(const struct download *d)
{
	return (struct seeding){
		.began_ms = d->seeding_ms,
		.gave_ms = d->gave_ms,
		.uploaded = totals_sum(d->earlier, download_totals(d)).uploaded,
		.bytes = d->m.h->total_length,
	};
}

static void json_given(const struct seeding *s)
{
	json_number("uploaded_bytes", s->uploaded);
	json_number("ratio_milli", seeding_ratio_milli(s->uploaded, s->bytes));
}

static void begin_seeding(struct download *d)
{
	const struct seeding_rule *r = &d->x->o->seed;
	struct seeding s;
	char line[160];
	struct text t;

	d->state = DOWNLOAD_SEEDING;
	d->seeding_ms = d->gave_ms = d->x->now_ms;
	s = seeding_of(d);
	text_init(&t, line, sizeof line);
	if (r->ratio_milli) {
		text_addf(&t, " until the ratio is ");
		text_add_ratio(&t, r->ratio_milli);
	}
	if (r->time_s) {
		text_addf(&t, "%s for ", t.length ? "," : "");
		text_add_duration(&t, r->time_s);
	}
	if (r->idle_s) {
		text_addf(&t, "%s until nothing was given for ", t.length ? "," : "");
		text_add_duration(&t, r->idle_s);
	}
	screen_note("%s: seeding%s", d->name, t.length ? line : " until it is interrupted");
	json_begin("seeding", d->index);
	json_text("name", d->out.name, strlen(d->out.name));
	json_number("seed_ratio_milli", r->ratio_milli);
	json_number("seed_time", r->time_s);
	json_number("idle_time", r->idle_s);
	json_given(&s);
	json_end();
}

/* Nothing is lost, whatever ended it: the status is that of the download. */
static void end_seeding(struct download *d, enum seeding_end why)
{
	d->seeded = why;
	d->seeded_ms = d->x->now_ms;
	finish(d, STATUS_COMPLETE, why == SEEDING_INTERRUPTED ? INTERRUPT_MS : GOODBYE_MS);
}

/* When netproc is gone: it has told how much was given in its last moments. */
static void tell_seeded(const struct download *d)
{
	static const char *const words[SEEDING_ENDS] = {
		[SEEDING_RATIO] = "the ratio is reached",
		[SEEDING_TIME] = "the time is over",
		[SEEDING_IDLE] = "nobody wanted more",
		[SEEDING_INTERRUPTED] = "interrupted",
	};
	const struct seeding s = seeding_of(d);
	char given[32], ratio[32], took[32];
	struct text t;

	text_init(&t, given, sizeof given);
	text_add_size(&t, s.uploaded);
	text_init(&t, ratio, sizeof ratio);
	text_add_ratio(&t, seeding_ratio_milli(s.uploaded, s.bytes));
	text_init(&t, took, sizeof took);
	text_add_duration(&t, (d->seeded_ms - d->seeding_ms) / SECOND_MS);
	screen_note("%s: seeded for %s, %s uploaded, ratio %s: %s", d->name, took, given, ratio, words[d->seeded]);
	json_begin("seeded", d->index);
	json_word("reason", seeding_end_name(d->seeded));
	json_number("milliseconds", d->seeded_ms - d->seeding_ms);
	json_given(&s);
	json_end();
}

/* Until when it goes on by itself. */
static uint64_t check_seeding(struct download *d)
{
	const struct seeding s = seeding_of(d);
	uint64_t until;
	enum seeding_end why = seeding_check(&d->x->o->seed, &s, d->x->now_ms, &until);

	if (why == SEEDING_GOES_ON)
		return until;
	end_seeding(d, why);
	return UINT64_MAX;
}

void download_interrupt(struct download *d, bool at_once)
{
	bool up = download_is_up(d);
	size_t i;

	if (d->state == DOWNLOAD_SEEDING) {
		end_seeding(d, SEEDING_INTERRUPTED);
	} else if (d->state < DOWNLOAD_FINISHING) {
		if (up && d->mapped && !d->out.finished)
			screen_note("%s: interrupted; the same command continues it", d->name);
		finish(d, STATUS_INTERRUPTED, INTERRUPT_MS);
	}
	for (i = 0; i < ROLE_COUNT && (at_once || !up); i++)
		child_kill(&d->child[i], NULL);
}

void download_complete(struct download *d)
{
	char error[1000], took[32];
	struct text t;
	const struct metainfo_header *h = d->m.h;
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
	}
	json_begin("complete", d->index);
	json_word("directory", d->x->o->dir);
	json_text("name", d->out.name, strlen(d->out.name));
	json_number("bytes", h->total_length);
	json_number("milliseconds", d->x->now_ms - d->started_ms);
	json_bool("already", already);
	json_end_result();
	if (d->x->o->command == COMMAND_GET)
		screen_result("", d->x->o->dir, d->out.name, strlen(d->out.name));
	if (d->seeds)
		begin_seeding(d);
	else
		finish(d, STATUS_COMPLETE, GOODBYE_MS);
}

void download_on_control(struct download *d, enum role role)
{
	struct child *c = &d->child[role];

	if (channel_wants_write(&c->control))
		(void)(channel_flush(&c->control) >= 0); /* gone: the read below finds EOF */
	hear_child(d, c);
}

/* ---- starting, deaths */

/*
 * As root: an unused uid for each role from `first` on.  Name services are
 * asked about each, which takes a millisecond or so: not all at once, so that
 * inspect starts early.  False: the download has failed.
 */
static bool choose_ids(struct download *d, enum role first, size_t n)
{
	size_t i, k;
	int tries = 3;
	bool twice;

	if (!d->x->root)
		return true;
	do {
		if (launcher_unused_ids(&d->ids[first], n) < 0)
			break;
		for (i = 0, twice = false; i < n; i++)
			for (k = 0; k < (size_t)first; k++)
				twice |= d->ids[first + i] == d->ids[k];
		if (!twice)
			return true;
	} while (--tries);
	if (d->x->o->allow_weak) {
		screen_warn("no unused user ids: everything runs as root");
		d->x->root = false;
		return true;
	}
	download_fail(d, STATUS_NO_WALL, "started as root, and there are no unused user ids for its parts; start it as an ordinary user");
	return false;
}

/* create does all in one go, as inspect does for show. */
static void download_create(struct download *d)
{
	struct context *x = d->x;
	int uid = LAUNCH_STAYS, gid = LAUNCH_STAYS;

	if (!choose_ids(d, ROLE_CREATE, 1))
		return;
	if (x->root)
		creating_map_owner(d, d->ids[ROLE_CREATE], &uid, &gid);
	if (child_launch(&d->child[ROLE_CREATE], &x->launcher, uid, gid, x->now_ms) < 0)
		download_fail(d, STATUS_FAILED, "the launcher is gone");
}

void download_inspect(struct download *d, bool ahead)
{
	struct context *x = d->x;
	struct child *c = &d->child[ROLE_INSPECT];
	int id;

	d->state = DOWNLOAD_INSPECTING;
	d->started_ms = x->now_ms;
	if (x->o->command == COMMAND_CREATE) {
		download_create(d);
		return;
	}
	if (inspecting_prepare(d) < 0 || !choose_ids(d, ROLE_INSPECT, 1))
		return;
	id = x->root ? (int)d->ids[ROLE_INSPECT] : LAUNCH_STAYS;
	if (child_launch(c, &x->launcher, id, id, x->now_ms) < 0) {
		download_fail(d, STATUS_FAILED, "the launcher is gone");
		return;
	}
	if (x->o->command == COMMAND_SHOW || !choose_ids(d, ROLE_RESOLVER, ROLE_DISKPROC - ROLE_RESOLVER + 1))
		return;
	d->ahead = ahead;
	if (ahead)
		feed_launch(d, ~(1u << ROLE_NETPROC));
}

void download_start(struct download *d)
{
	const char *nowhere = peers_from_nowhere(&d->m, d->x->o);
	size_t i;

	if (nowhere && d->out.existed && !d->disk_only)
		screen_warn("%s: nobody to download from: %s; what is there already is checked", d->name, nowhere);
	d->state = DOWNLOAD_STARTING;
	for (i = 0; i < ROLE_COUNT; i++)
		if (!(feed_roles(d) >> i & 1))
			child_kill(&d->child[i], NULL);
		else
			child_patience(&d->child[i], d->x->now_ms);
	feed_launch(d, 0);
}

/* Whether one more death is to be forgiven. */
static bool may_restart(struct download *d)
{
	uint64_t *slot = &d->restarts[d->restart_count % RESTARTS_MAX], last = *slot;

	*slot = d->x->now_ms;
	return d->restart_count++ < RESTARTS_MAX || d->x->now_ms - last > RESTARTS_MS;
}

static void restart(struct download *d, struct child *c)
{
	bool follows = c->role == ROLE_NETPROC && d->netproc_follows;

	json_begin("compartment", d->index);
	json_word("compartment", role_name(c->role));
	json_word("state", "died");
	json_word("text", c->cause);
	json_end();
	if (!follows && !may_restart(d)) {
		download_fail(d, STATUS_DIED, "%s %s, too often", role_name(c->role), c->cause);
		return;
	}
	if (!follows)
		screen_error("%s: %s %s; it is started again", d->name, role_name(c->role), c->cause);
	if (c->role == ROLE_NETPROC) {
		d->netproc_follows = false;
		d->before = download_totals(d);
		d->wasted_before += d->net.wasted_bytes;
		memset(&d->net, 0, sizeof d->net);
		close_slots(&d->slots);
		peer_table_clear(&d->peers);
	}
	if (c->role == ROLE_DISKPROC) {
		d->out.existed = true;
		d->told_checked = false;
		close_slots(&d->upload_slots);
	}
	/* netproc knows one dialer for life. */
	if (c->role == ROLE_DIALER && d->child[ROLE_NETPROC].state != CHILD_NONE) {
		d->netproc_follows = true;
		child_kill(&d->child[ROLE_NETPROC], NULL);
	}
	feed_renew(d, c->role);
	feed_launch(d, 0);
}

static void gone(struct download *d, struct child *c)
{
	int status = c->wall_missing ? STATUS_NO_WALL : STATUS_DIED;

	if (c->role == ROLE_INSPECT) {
		if (d->state == DOWNLOAD_INSPECTING)
			inspecting_end(d);
		return;
	}
	if (c->role == ROLE_CREATE) {
		if (d->state == DOWNLOAD_INSPECTING)
			creating_end(d);
		return;
	}
	/* Started ahead, then not needed. */
	if (!(feed_roles(d) >> c->role & 1))
		return;
	switch (d->state) {
	case DOWNLOAD_RUNNING:
	case DOWNLOAD_SEEDING:
		if (c->role == ROLE_DISKPROC && d->out.finished && !d->seeds)
			download_fail(d, STATUS_STORAGE, "'%s' is there already, and does not verify; it is left alone", d->out.name);
		else if (c->was_running || !c->wall_missing)
			restart(d, c);
		else
			download_fail(d, STATUS_NO_WALL, "%s %s", role_name(c->role), c->cause);
		return;
	case DOWNLOAD_FINISHING:
	case DOWNLOAD_ENDED:
		return;
	default:
		download_fail(d, status, "%s %s", role_name(c->role), c->cause);
	}
}

void download_reap(struct download *d)
{
	size_t i, k;

	for (i = 0; i < ROLE_COUNT; i++) {
		struct child *c = &d->child[i];
		siginfo_t how = { 0 };

		if (c->state == CHILD_NONE || c->pid <= 0)
			continue;
		if (waitid(P_PID, (id_t)c->pid, &how, WEXITED | WNOHANG | WNOWAIT) < 0 || how.si_pid != c->pid)
			continue;
		/* Its last words.  Bounded: it could have given its end of the channel to another process. */
		for (k = 0; k < LAST_WORDS && c->control.fd >= 0; k++)
			hear_child(d, c);
		(void)waitid(P_PID, (id_t)c->pid, &how, WEXITED | WNOHANG);
		child_reaped(c, &how);
		gone(d, c);
	}
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
		tell_seeded(d);
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

	if (d->state == DOWNLOAD_RUNNING && idle_ms) {
		if (now - d->moved_ms >= idle_ms)
			download_fail(d, STATUS_NO_PROGRESS, "nothing has arrived for %u seconds", d->x->o->timeout_s);
		else
			next = d->moved_ms + idle_ms;
	}
	if (d->state == DOWNLOAD_SEEDING)
		next = check_seeding(d);
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
	s = seeding_of(d);
	if (d->state == DOWNLOAD_SEEDING)
		(void)seeding_check(&d->x->o->seed, &s, d->x->now_ms, &until);
	*row = (struct screen_row){
		.name = metainfo_str(&d->m, d->m.h->name),
		.name_length = d->m.h->name.length,
		.checking = d->disk.phase == DISK_CHECKING,
		.syncing = d->disk.phase == DISK_SYNCING,
		.seeding = d->state == DOWNLOAD_SEEDING,
		.detail = d->x->o->verbose > 0,
		.done = d->disk.verified_bytes,
		.total = d->m.h->total_length,
		.checked = d->disk.checked_bytes + d->disk.known_bytes,
		.received = run.downloaded,
		.wasted = d->wasted_before + d->net.wasted_bytes,
		.rate = d->net.rate,
		.uploaded = s.uploaded,
		.up_rate = d->net.upload_rate,
		.ratio_milli = seeding_ratio_milli(s.uploaded, d->disk.verified_bytes),
		.left_s = until == UINT64_MAX ? until : (max_u64(until, d->x->now_ms) - d->x->now_ms + SECOND_MS - 1) / SECOND_MS,
		.pieces = d->disk.verified_pieces,
		.pieces_total = d->m.h->piece_count,
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
