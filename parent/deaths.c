/*
 * deaths.c - a compartment ended: what it still said is heard, and it is started again, or that was the end.
 */
#include <sys/wait.h>

#include "download.h"
#include "feed.h"
#include "hear.h"
#include "inspecting.h"

/* Turns of reading what a dead child left. */
#define LAST_WORDS 64

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
		download_close_fd(&d->slots);
		peer_table_clear(&d->peers);
	}
	if (c->role == ROLE_DISKPROC) {
		if (d->checking.active)
			checking_begin(d);
		else
			d->out.existed = true;
		d->told_checked = false;
		download_close_fd(&d->conveyor);
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
		if (c->role == ROLE_DISKPROC && d->checking.repairs)
			checking_repair(d);
		else if (c->role == ROLE_DISKPROC && !d->checking.active && d->out.finished && !d->seeds)
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
