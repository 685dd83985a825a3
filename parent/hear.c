/*
 * hear.c - see hear.h.
 *
 * Whoever speaks may be compromised: the types that a role may send, and when,
 * are in its permit table; every value is checked here before it is kept, and
 * every text escaped before it is shown.
 */
#include "hear.h"

#include <errno.h>

#include "feed.h"
#include "inspecting.h"
#include "peers.h"
#include "slots.h"

/* How much of a path is told, escaped, where a line names one or two. */
#define PATH_ALONE 1200u
#define PATH_OF_TWO 500u

static struct download *download_of(struct child *c)
{
	/* The child is element `role` of its download's array. */
	return (struct download *)(void *)((char *)(c - c->role) - offsetof(struct download, child));
}

static int on_slots(void *self, const void *message, int fd)
{
	const struct msg_slots *m = message;
	struct download *d = download_of(self);

	/* Those of one that died were closed: these are its second ones. */
	if (m->count != SLOT_COUNT || d->slots >= 0) {
		close(fd);
		return -1;
	}
	d->slots = fd;
	return 0;
}

static int on_conveyor(void *self, const void *message, int fd)
{
	struct download *d = download_of(self);

	(void)message;
	if (d->conveyor >= 0) { /* as above */
		close(fd);
		return -1;
	}
	d->conveyor = fd;
	return 0;
}

static int on_net_stats(void *self, const void *message, int fd)
{
	const struct msg_net_stats *m = message;
	struct download *d = download_of(self);

	(void)fd;
	if (m->received_bytes > d->net.received_bytes)
		d->moved_ms = d->x->now_ms;
	if (m->uploaded_bytes > d->net.uploaded_bytes)
		d->gave_ms = d->x->now_ms;
	d->net = *m;
	return 0;
}

static int on_peer_info(void *self, const void *message, int fd)
{
	struct download *d = download_of(self);

	(void)fd;
	return peer_table_add(&d->peers, message, d->m.h->piece_count, d->x->now_ms) ? 0 : -1;
}

static int on_tracker_event(void *self, const void *message, int fd)
{
	const struct msg_tracker_event *m = message;
	struct download *d = download_of(self);
	static const char *const schemes[] = { "", "http", "https", "udp", "other" };
	const struct metainfo_url *u;
	char host[METAINFO_MAX_HOST + 1], url[METAINFO_MAX_HOST + 32], line[LOG_TEXT_MAX], safe[LOG_TEXT_MAX * 4];
	struct text t;

	(void)fd;
	if (m->tracker >= d->m.h->tracker_count || m->length > sizeof m->text)
		return -1;
	u = &metainfo_trackers(&d->m)[m->tracker];
	/* Only this much of it: paths and queries carry passkeys. */
	screen_safe(host, sizeof host, metainfo_str(&d->m, u->host), u->host.length);
	snprintf(url, sizeof url, strchr(host, ':') ? "%s://[%s]:%u" : "%s://%s:%u", schemes[u->scheme < ARRAY_LEN(schemes) ? u->scheme : 0], host, u->port);
	json_begin("tracker", d->index);
	json_word("tracker", url);
	json_bool("ok", m->result == 0);
	if (m->seeds != UINT32_MAX)
		json_number("seeds", m->seeds);
	if (m->leechers != UINT32_MAX)
		json_number("leechers", m->leechers);
	if (m->peers != UINT32_MAX)
		json_number("peers", m->peers);
	json_number("next_ms", m->next_ms);
	json_text("text", m->text, m->length);
	json_end();
	d->trackers_told |= m->result == 0;
	if (d->x->o->json || (d->trackers_told && !d->x->o->verbose))
		return 0;
	text_init(&t, line, sizeof line);
	text_addf(&t, "%s: ", url);
	if (m->result)
		text_addf(&t, "failed");
	else
		text_addf(&t, "%d peers", m->peers == UINT32_MAX ? 0 : (int)min_u32(m->peers, INT32_MAX));
	if (m->length)
		text_addf(&t, ": ");
	text_add(&t, (const char *)m->text, m->length);
	if (d->x->o->verbose) {
		screen_log(d->index, ROLE_NETPROC, LOG_INFO, TOPIC_TRACKER, line, t.length);
	} else {
		d->trackers_told = true;
		screen_safe(safe, sizeof safe, line, t.length);
		screen_warn("%s: tracker %s", d->name, safe);
	}
	return 0;
}

/* It waits for space, or has found some: time without is nobody's fault. */
static void tell_waiting(struct download *d, bool waits)
{
	d->moved_ms = d->x->now_ms;
	if (waits)
		screen_warn("%s: waiting for space in '%s'", d->name, output_name(&d->out));
	else
		screen_note("%s: there is space again", d->name);
	json_begin("space", d->index);
	json_bool("waiting", waits);
	json_end();
}

/* How far the record went, and what had to be read.  Once for each diskproc. */
static void tell_checked(struct download *d)
{
	char known[32], checked[32], verified[32], line[160];
	const struct msg_disk_progress *m = &d->disk;
	struct text t;

	d->told_checked = d->was_checked = true;
	if (!m->known_bytes && !m->checked_bytes)
		return;
	json_begin("checked", d->index);
	json_number("known_bytes", m->known_bytes);
	json_number("checked_bytes", m->checked_bytes);
	json_number("verified_bytes", m->verified_bytes);
	json_number("verified_pieces", m->verified_pieces);
	json_number("bytes", d->m.h->total_length);
	json_end();
	if (d->x->o->json)
		return;
	text_init(&t, known, sizeof known);
	text_add_size(&t, m->known_bytes);
	text_init(&t, checked, sizeof checked);
	text_add_size(&t, m->checked_bytes);
	text_init(&t, verified, sizeof verified);
	text_add_size(&t, m->verified_bytes);
	text_init(&t, line, sizeof line);
	text_addf(&t, "%s are there: %s known from the record, %s checked", verified, known, checked);
	screen_log(d->index, ROLE_DISKPROC, LOG_DETAIL, TOPIC_DISK, line, t.length);
}

static int on_disk_progress(void *self, const void *message, int fd)
{
	const struct msg_disk_progress *m = message;
	struct download *d = download_of(self);
	const char *nowhere;

	(void)fd;
	if (m->phase < DISK_CHECKING || m->phase > DISK_WAITING || m->verified_bytes > d->selection.sum.bytes ||
	    m->known_bytes > d->m.h->total_length || m->verified_pieces > d->selection.sum.pieces)
		return -1;
	if (m->verified_bytes > d->disk.verified_bytes || m->checked_bytes > d->disk.checked_bytes)
		d->moved_ms = d->x->now_ms;
	if ((m->phase == DISK_WAITING) != (d->disk.phase == DISK_WAITING))
		tell_waiting(d, m->phase == DISK_WAITING);
	d->disk = *m;
	if (!d->told_checked && m->phase != DISK_CHECKING)
		tell_checked(d);
	/* What is there was checked, and it is not all. */
	nowhere = peers_from_nowhere(&d->m, d->x->o);
	if (nowhere && !d->checking.active && m->phase == DISK_DOWNLOADING && m->verified_pieces < d->selection.sum.pieces)
		download_fail(d, STATUS_FAILED, "nobody to download from: %s", nowhere);
	return 0;
}

static int on_disk_complete(void *self, const void *message, int fd)
{
	const struct msg_disk_complete *m = message;
	struct download *d = download_of(self);

	(void)fd;
	if (m->verified_bytes != d->selection.sum.bytes)
		return -1;
	if (d->state == DOWNLOAD_RUNNING) {
		d->disk.verified_bytes = m->verified_bytes;
		d->disk.verified_pieces = d->selection.sum.pieces;
		download_complete(d);
	}
	return 0;
}

static void path_of(const struct download *d, uint32_t file, char *out, size_t room)
{
	struct metainfo_text t = metainfo_files(&d->m)[file].path;

	screen_safe(out, room, metainfo_str(&d->m, t), t.length);
}

/* What the error means for people; into `out` when it is no constant. */
static const char *reason_of(const struct download *d, const struct msg_disk_error *m, const char *root, char *out, size_t room)
{
	char other[PATH_OF_TWO];

	switch (m->act) {
	case DISK_ACT_FOREIGN:
		return m->error == EMLINK ? "it has a second name (hard link)" :
		       m->error == ESTALE ? "somebody has changed or removed it meanwhile" :
					    "it is no plain file of this download";
	case DISK_ACT_SAME:
		path_of(d, m->other, other, sizeof other);
		snprintf(out, room, "the file system takes it for the same file as '%s/%s'", root, other);
		return out;
	default:
		return strerror(m->error);
	}
}

/* What was to be given is not all there.  `get` takes up NAME.part only: NAME might be the user's own. */
static void fail_incomplete(struct download *d, uint32_t verified)
{
	uint32_t all = d->selection.sum.pieces, missing = all - min_u32(all, verified);

	if (d->out.incomplete || d->out.state.record.flags & STATE_PARTIAL)
		download_fail(d, STATUS_STORAGE, "%u of %u pieces are missing in '%s'; 'bulkhead get' completes it", missing, all, output_name(&d->out));
	else
		download_fail(d, STATUS_STORAGE, "%u of %u pieces are missing or wrong in '%s'; once it is renamed to '%s', 'bulkhead get --adopt' completes it",
			      missing, all, d->out.name, d->out.part);
}

static int on_disk_error(void *self, const void *message, int fd)
{
	static const char *const acts[DISK_ACTS] = {
		[DISK_ACT_OPEN] = "cannot open",	 [DISK_ACT_MKDIR] = "cannot make the directory of", [DISK_ACT_READ] = "cannot read",
		[DISK_ACT_WRITE] = "cannot write",	 [DISK_ACT_SYNC] = "cannot sync",		    [DISK_ACT_SIZE] = "cannot set the size of",
		[DISK_ACT_SPACE] = "no space for",	 [DISK_ACT_SPILL] = "cannot use the spill file of", [DISK_ACT_FOREIGN] = "will not touch",
		[DISK_ACT_SAME] = "will not write",	 [DISK_ACT_PARTS] = "cannot use the parts file of",
	};
	const struct msg_disk_error *m = message;
	struct download *d = download_of(self);
	const char *root = output_name(&d->out), *why;
	char path[PATH_ALONE], text[1000];
	bool gives = d->x->o->command == COMMAND_SEED || d->state == DOWNLOAD_SEEDING;
	bool one = m->file != UINT32_MAX && !d->out.single;

	(void)fd;
	if (m->act < DISK_ACT_OPEN || m->act >= DISK_ACTS || (m->file != UINT32_MAX && m->file >= d->m.h->file_count))
		return -1;
	if (m->act == DISK_ACT_SAME && (!one || m->other >= d->m.h->file_count))
		return -1;
	path[0] = 0;
	if (one)
		path_of(d, m->file, path, m->act == DISK_ACT_SAME ? PATH_OF_TWO : sizeof path);
	why = reason_of(d, m, root, text, sizeof text);
	if (gives && m->act == DISK_ACT_FOREIGN && m->file == UINT32_MAX && !m->error)
		fail_incomplete(d, m->other);
	else if (gives)
		download_fail(d, STATUS_STORAGE, "cannot seed it: %s '%s%s%s': %s", acts[m->act], root, one ? "/" : "", path, why);
	else if (!d->checking.active && d->out.finished && m->act == DISK_ACT_FOREIGN && m->file == UINT32_MAX)
		download_fail(d, STATUS_STORAGE, "'%s' is there already, and does not verify as this download; it is left alone", d->out.name);
	else if (!d->checking.active && d->out.finished)
		download_fail(d, STATUS_STORAGE, "'%s' is there already, and is not this download: %s '%s%s%s': %s", d->out.name, acts[m->act], root,
			      one ? "/" : "", path, why);
	else
		download_fail(d, STATUS_STORAGE, "%s '%s%s%s': %s", acts[m->act], root, one ? "/" : "", path, why);
	return 0;
}

static int on_checked_bits(void *self, const void *message, int fd)
{
	(void)fd;
	return checking_on_bits(download_of(self), message);
}

static int on_file_states(void *self, const void *message, int fd)
{
	(void)fd;
	return checking_on_states(download_of(self), message);
}

/* No port: a failure when the user asked for one, unless the download runs already. */
static void cannot_listen(struct download *d)
{
	const struct options *o = d->x->o;
	char ports[32];

	snprintf(ports, sizeof ports, o->port_first == o->port_last ? "port %u" : "ports %u to %u", o->port_first, o->port_last);
	if (o->port_given && d->state < DOWNLOAD_RUNNING)
		download_fail(d, STATUS_FAILED, "cannot listen on %s: taken or not permitted; see --port and --no-listen", ports);
	else
		screen_warn("%s: cannot listen on %s: nobody can connect to us", d->name, ports);
}

static int on_listening(void *self, const void *message, int fd)
{
	const struct msg_listening *m = message;
	struct child *c = self;
	struct download *d = download_of(c);
	const struct options *o = d->x->o;
	uint16_t port = m->port4 ? m->port4 : m->port6;
	char line[64];
	int n;

	(void)fd;
	if (!o->listen || c->told_listening || (m->port4 && m->port6 && m->port4 != m->port6) ||
	    (port && (port < o->port_first || port > o->port_last)))
		return -1;
	c->told_listening = true;
	c->listens = (m->port4 ? 1u : 0u) + (m->port6 ? 1u : 0u);
	d->port = port;
	if (!port)
		cannot_listen(d);
	/* Otherwise before its GO. */
	if (d->child[ROLE_NETPROC].state == CHILD_RUNNING)
		feed_listen_port(d);
	if (!port)
		return 0;
	json_begin("listening", d->index);
	json_number("port", port);
	json_bool("ipv4", m->port4 != 0);
	json_bool("ipv6", m->port6 != 0);
	json_end();
	if (o->json)
		return 0;
	n = snprintf(line, sizeof line, "listening on port %u (%s)", port, !m->port6 ? "IPv4" : !m->port4 ? "IPv6" : "IPv4 and IPv6");
	screen_log(c->source, ROLE_DIALER, LOG_DETAIL, TOPIC_DIAL, line, (size_t)n);
	return 0;
}

static int on_dialer_stats(void *self, const void *message, int fd)
{
	const struct msg_dialer_stats *m = message;
	struct child *c = self;
	char line[200];
	int n;

	(void)fd;
	n = snprintf(line, sizeof line, "%u dialled, %u connected, %u failed, %u refused by the policy; %u accepted, %u turned away", m->dialed, m->connected,
		     m->failed, m->refused, m->accepted, m->turned_away);
	screen_log(c->source, ROLE_DIALER, LOG_TRACE, TOPIC_DIAL, line, (size_t)n);
	return 0;
}

static int on_inspected(void *self, const void *message, int fd)
{
	(void)fd;
	return inspecting_on_answer(download_of(self), message);
}

/*
 * A sibling broke the contract, says this one.  It may lie: the accused is then
 * ended for nothing, but no more often than compartments may die at all.
 */
static int on_accuse(void *self, const void *message, int fd)
{
	const struct msg_accuse *m = message;
	struct child *c = self, *accused;
	struct download *d = download_of(c);
	uint32_t epoch;
	char how[130];

	(void)fd;
	if (m->role >= ROLE_COUNT || m->length > sizeof m->text || !feed_has_edge(d, c->role, (enum role)m->role, &epoch))
		return -1;
	accused = &d->child[m->role];
	/* One that was replaced meanwhile, or is being; or all is over, and diskproc must not be kept from its last sync. */
	if (m->epoch != epoch || accused->state == CHILD_NONE || accused->state >= CHILD_DONE || !download_is_up(d))
		return 0;
	screen_safe(how, sizeof how, m->text, m->length);
	child_kill(accused, "broke the contract: %s (said by %s)", how, role_name(c->role));
	return 0;
}
#define ACCUSE { MSG_ACCUSE, CHILD_WORKING, on_accuse }
/* Said after HELLO, without regard to how far the set-up is when it arrives. */

static int on_create_progress(void *self, const void *message, int fd)
{
	(void)fd;
	return creating_on_progress(download_of(self), message);
}

static int on_created(void *self, const void *message, int fd)
{
	(void)fd;
	return creating_on_answer(download_of(self), message);
}

static const struct permit inspect_permits[] = {
	CHILD_PERMITS,
	{ MSG_INSPECTED, CHILD_IN(CHILD_RUNNING), on_inspected },
};
static const struct permit create_permits[] = {
	CHILD_PERMITS,
	{ MSG_CREATE_PROGRESS, CHILD_IN(CHILD_RUNNING), on_create_progress },
	{ MSG_CREATED, CHILD_IN(CHILD_RUNNING), on_created },
};
static const struct permit resolver_permits[] = {
	CHILD_PERMITS,
	ACCUSE,
};
static const struct permit dialer_permits[] = {
	CHILD_PERMITS,
	ACCUSE,
	{ MSG_LISTENING, CHILD_IN(CHILD_LOCKING), on_listening },
	{ MSG_DIALER_STATS, CHILD_WORKING, on_dialer_stats },
};
static const struct permit netproc_permits[] = {
	CHILD_PERMITS,
	ACCUSE,
	{ MSG_SLOTS, CHILD_IN(CHILD_SETUP) | CHILD_IN(CHILD_LOCKING), on_slots },
	{ MSG_NET_STATS, CHILD_WORKING, on_net_stats },
	{ MSG_TRACKER_EVENT, CHILD_WORKING, on_tracker_event },
	{ MSG_PEER_INFO, CHILD_WORKING, on_peer_info },
};
static const struct permit diskproc_permits[] = {
	CHILD_PERMITS,
	ACCUSE,
	{ MSG_CONVEYOR, CHILD_IN(CHILD_SETUP) | CHILD_IN(CHILD_LOCKING), on_conveyor },
	{ MSG_DISK_PROGRESS, CHILD_WORKING, on_disk_progress },
	{ MSG_DISK_COMPLETE, CHILD_WORKING, on_disk_complete },
	{ MSG_DISK_ERROR, CHILD_WORKING, on_disk_error },
	{ MSG_CHECKED_BITS, CHILD_WORKING, on_checked_bits },
	{ MSG_FILE_STATES, CHILD_WORKING, on_file_states },
};
static const struct {
	const struct permit *table;
	size_t rows;
} permits[ROLE_COUNT] = {
	[ROLE_INSPECT] = { inspect_permits, ARRAY_LEN(inspect_permits) },    [ROLE_RESOLVER] = { resolver_permits, ARRAY_LEN(resolver_permits) },
	[ROLE_DIALER] = { dialer_permits, ARRAY_LEN(dialer_permits) },	     [ROLE_NETPROC] = { netproc_permits, ARRAY_LEN(netproc_permits) },
	[ROLE_DISKPROC] = { diskproc_permits, ARRAY_LEN(diskproc_permits) }, [ROLE_CREATE] = { create_permits, ARRAY_LEN(create_permits) },
};

void hear_child(struct download *d, struct child *c)
{
	child_dispatch(c, permits[c->role].table, permits[c->role].rows);
	if (c->state == CHILD_CHECKING && !c->check_tag && !child_ask_check(c, &d->x->launcher))
		download_fail(d, STATUS_FAILED, "the launcher is gone");
}
