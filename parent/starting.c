/*
 * starting.c - the compartments of a download are asked for: inspect or create first, then the others.
 */
#include "download.h"
#include "feed.h"
#include "inspecting.h"
#include "peers.h"

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
	d->disk_only = x->o->command == COMMAND_CHECK;
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
