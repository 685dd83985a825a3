/*
 * announcer.c - see announcer.h.
 *
 * Public functions only note what is wanted and set the timer; pump(), called
 * by the timer alone, does it.  So no hook is ever entered twice, and a
 * hook may call any of them.
 */
#include "announcer.h"

#include <arpa/inet.h>

#include "announce.h"
#include "http.h"
#include "log.h"

#ifndef ANNOUNCE_TOTAL_MS /* tests are less patient */
#define ANNOUNCE_TOTAL_MS 30000u
#define ANNOUNCE_IDLE_MS 10000u
#endif

/* What is kept of one tracker beside the schedule's own state. */
struct known {
	uint32_t row;       /* in the normal form */
	uint16_t id_bytes;  /* tracker id, 0: none */
	uint8_t id[TRACKER_ID_MAX];
	enum tracker_result worst; /* of this round: what to report when no family was answered */
	uint8_t text[HTTP_TEXT_MAX];
	size_t text_bytes;
};

/* An announce in flight. */
struct run {
	struct announcer *a;
	struct http_get *get; /* NULL: free */
	struct announce_action action;
};

struct announcer {
	struct loop *loop;
	const struct metainfo *m;
	struct msg_net_options o;
	struct announcer_hooks hooks;
	struct http *http;         /* owned; NULL without HTTP trackers */
	struct announce *schedule; /* owned */
	struct known *known;       /* owned; by the schedule's ids */
	struct loop_timer timer;
	struct run runs[ANNOUNCE_MAX_IN_FLIGHT];
	uint8_t peer_id[20];
	uint32_t key;
	bool partial_seed;     /* each announce without another event says so */
	bool stopping;         /* announcer_stop() was called */
	bool stopped;          /* and the schedule knows */
	bool idle_said;
	uint64_t stop_ms; /* when the grace ends */
};

static void pump(void *arg);

static void pump_soon(struct announcer *a)
{
	loop_timer_set(a->loop, &a->timer, now_ms(), pump, a);
}

static const struct metainfo_url *url_of(const struct announcer *a, uint32_t id)
{
	return &metainfo_trackers(a->m)[a->known[id].row];
}

/* The families over which a host is worth asking: those that are used, and for an address its own. */
static uint32_t families_for(const struct msg_net_options *o, const char *host)
{
	uint32_t families = (o->use_ipv4 ? ANNOUNCE_V4 : 0u) | (o->use_ipv6 ? ANNOUNCE_V6 : 0u);
	uint8_t ip[16];

	if (inet_pton(AF_INET, host, ip) == 1)
		families &= ANNOUNCE_V4;
	else if (inet_pton(AF_INET6, host, ip) == 1)
		families &= ANNOUNCE_V6;
	return families;
}

static void add_trackers(struct announcer *a)
{
	const struct metainfo_url *t = metainfo_trackers(a->m);
	uint32_t i, skipped = 0;

	for (i = 0; i < a->m->h->tracker_count; i++) {
		uint32_t families = families_for(&a->o, metainfo_str(a->m, t[i].host));

		if ((t[i].scheme != METAINFO_HTTP && t[i].scheme != METAINFO_HTTPS) || !families)
			skipped++;
		else
			a->known[announce_add(a->schedule, t[i].tier, families)].row = i;
	}
	if (skipped)
		log_line(LOG_DETAIL, TOPIC_TRACKER, "%u of %u trackers are left out: not HTTP, or an address family that is not used", skipped, i);
}

static bool has_http(const struct metainfo *m)
{
	const struct metainfo_url *t = metainfo_trackers(m);
	uint32_t i;

	for (i = 0; i < m->h->tracker_count; i++)
		if (t[i].scheme == METAINFO_HTTP || t[i].scheme == METAINFO_HTTPS)
			return true;
	return false;
}

struct announcer *announcer_new(struct loop *l, struct http *http, const struct metainfo *m, const struct msg_net_options *o,
	const uint8_t peer_id[20], const struct announcer_hooks *hooks)
{
	struct announcer *a = must_calloc(1, sizeof *a);
	uint64_t seed;

	a->loop = l;
	a->http = http;
	a->m = m;
	a->o = *o;
	a->hooks = *hooks;
	memcpy(a->peer_id, peer_id, sizeof a->peer_id);
	random_bytes(&a->key, sizeof a->key);
	random_bytes(&seed, sizeof seed);
	a->schedule = announce_new(m->h->tracker_count, seed);
	a->known = must_calloc(m->h->tracker_count, sizeof *a->known);
	if (http && o->use_trackers && has_http(m))
		add_trackers(a);
	else if (o->use_trackers && m->h->tracker_count)
		log_line(LOG_WARN, TOPIC_TRACKER, "the torrent has no HTTP tracker: no peers will come from trackers");
	return a;
}

void announcer_free(struct announcer *a)
{
	if (!a)
		return;
	loop_timer_clear(a->loop, &a->timer);
	http_free(a->http);
	announce_free(a->schedule);
	free(a->known);
	free(a);
}

/* ---- what became of an announce ---- */

static enum tracker_result result_of(const struct http_reply *r)
{
	static const enum tracker_result by_error[HTTP_ERRORS] = {
		[HTTP_OK] = TRACKER_OK,
		[HTTP_NO_ADDRESS] = TRACKER_NO_ADDRESS,
		[HTTP_POLICY] = TRACKER_POLICY,
		[HTTP_CONNECT] = TRACKER_CONNECT,
		[HTTP_TLS] = TRACKER_TLS,
		[HTTP_TIMEOUT] = TRACKER_TIMEOUT,
		[HTTP_MALFORMED] = TRACKER_MALFORMED,
		[HTTP_TOO_LARGE] = TRACKER_TOO_LARGE,
		[HTTP_REDIRECT] = TRACKER_REDIRECT,
		[HTTP_BAD_URL] = TRACKER_BAD_URL,
	};

	return by_error[r->error];
}

static void report(struct announcer *a, uint32_t id, enum tracker_result result, const struct tracker_reply *reply, const void *text, size_t text_bytes)
{
	struct msg_tracker_event e = { .tracker = a->known[id].row, .result = result, .seeds = UINT32_MAX, .leechers = UINT32_MAX, .peers = UINT32_MAX };
	uint64_t now = loop_now(a->loop), next = announce_deadline(a->schedule, now);

	if (reply) {
		e.seeds = reply->seeds;
		e.leechers = reply->leechers;
		e.peers = reply->peers;
	}
	e.next_ms = next == ANNOUNCE_NEVER ? UINT32_MAX : next > now ? (uint32_t)min_u64(next - now, UINT32_MAX - 1) : 0;
	e.length = (uint16_t)min_u64(text_bytes, sizeof e.text);
	if (e.length)
		memcpy(e.text, text, e.length);
	a->hooks.on_event(a->hooks.arg, &e);
}

/*
 * Notes the failure of one family; the first that is more than a missing address
 * is what people are told: the tracker's own words when it gave a reason, else ours.
 */
static void note_failure(struct announcer *a, const struct announce_action *action, enum tracker_result result, const void *text, size_t bytes)
{
	struct known *k = &a->known[action->id];
	const struct metainfo_url *u = url_of(a, action->id);
	char host[128], why[HTTP_TEXT_MAX];
	size_t ours = 0;

	log_line(LOG_DETAIL, TOPIC_TRACKER, "%s over IPv%u: %s: %s", log_quote(host, sizeof host, metainfo_str(a->m, u->host), u->host.length),
		action->family == ANNOUNCE_V4 ? 4u : 6u, tracker_result_texts[result], log_quote(why, sizeof why, text, bytes));
	if (k->worst != TRACKER_OK && k->worst != TRACKER_NO_ADDRESS)
		return;
	k->worst = result;
	if (result != TRACKER_FAILURE || bytes == 0)
		ours = (size_t)snprintf((char *)k->text, sizeof k->text, "%s%s", tracker_result_texts[result], bytes ? ": " : "");
	bytes = min_u64(bytes, sizeof k->text - ours);
	memcpy(k->text + ours, text, bytes);
	k->text_bytes = ours + bytes;
}

struct outcome {
	enum tracker_result result;
	struct tracker_reply reply;
	char text[HTTP_TEXT_MAX]; /* why, when it is not a reply that says so */
};

/* Makes sense of what the server sent; peers go out at once, unless we are leaving. */
static void understand(struct announcer *a, const struct http_reply *r, struct outcome *o)
{
	struct tracker_sink sink = { .arg = a->hooks.arg, .on_peer = a->hooks.on_peer, .on_name = a->hooks.on_peer_name };
	const char *why;

	memset(o, 0, sizeof *o);
	o->result = result_of(r);
	snprintf(o->text, sizeof o->text, "%s", r->text);
	if (o->result != TRACKER_OK)
		return;
	if (r->status == 200) {
		why = tracker_parse(&o->reply, r->body, r->bytes, a->stopping ? NULL : &sink);
		if (why) {
			o->result = TRACKER_MALFORMED;
			snprintf(o->text, sizeof o->text, "%s", why);
		} else if (o->reply.failed) {
			o->result = TRACKER_FAILURE;
		}
		return;
	}
	/* A tracker that refuses with a status of its own may say why all the same. */
	o->result = TRACKER_HTTP_STATUS;
	snprintf(o->text, sizeof o->text, "status %u", r->status);
	if (tracker_parse(&o->reply, r->body, r->bytes, NULL) == NULL && o->reply.failed)
		o->result = TRACKER_FAILURE;
	else
		memset(&o->reply, 0, sizeof o->reply);
}

static void keep(struct announcer *a, uint32_t id, const struct tracker_reply *r)
{
	struct known *k = &a->known[id];
	char host[128], where[64];
	struct net_addr external = r->external;

	if (r->id_bytes) {
		memcpy(k->id, r->id, r->id_bytes);
		k->id_bytes = r->id_bytes;
	}
	if (r->external.family && log_wants(LOG_DETAIL)) {
		external.port = a->o.port;
		log_line(LOG_DETAIL, TOPIC_TRACKER, "%s takes us for %s",
			log_quote(host, sizeof host, metainfo_str(a->m, url_of(a, id)->host), url_of(a, id)->host.length),
			net_addr_text(where, sizeof where, &external));
	}
}

static void run_done(void *arg, const struct http_reply *r)
{
	struct run *run = arg;
	struct announcer *a = run->a;
	struct announce_action action = run->action;
	uint64_t now = loop_now(a->loop);
	struct announce_outcome out = { 0 };
	struct outcome o;
	const void *text;
	size_t bytes;

	run->get = NULL;
	understand(a, r, &o);
	out.ok = o.result == TRACKER_OK;
	out.interval_s = o.reply.interval_s;
	out.min_interval_s = o.reply.min_interval_s;
	out.retry_s = o.reply.retry_s;
	text = o.reply.text_bytes ? (const void *)o.reply.text : o.text;
	bytes = o.reply.text_bytes ? o.reply.text_bytes : strlen(o.text);
	if (out.ok)
		keep(a, action.id, &o.reply);
	else
		note_failure(a, &action, o.result, text, bytes);
	if (announce_done(a->schedule, now, action.id, action.family, &out) && !a->stopping)
		report(a, action.id, a->known[action.id].worst, NULL, a->known[action.id].text, a->known[action.id].text_bytes);
	else if (out.ok)
		report(a, action.id, TRACKER_OK, &o.reply, text, bytes);
	pump_soon(a);
}

/* ---- making announces ---- */

/* Sends one; false when it could not even begin (it counts as failed then). */
static bool begin(struct announcer *a, struct run *run)
{
	struct known *k = &a->known[run->action.id];
	struct tracker_request t = { .port = a->o.port, .key = a->key, .event = run->action.event };
	struct http_request r = { .kind = NET_TRACKER, .idle_ms = ANNOUNCE_IDLE_MS, .total_ms = ANNOUNCE_TOTAL_MS, .body_max = TRACKER_BODY_MAX };
	uint64_t now = loop_now(a->loop);
	char url[TRACKER_URL_MAX];

	/* BEP 21: "paused" is what a partial seed is called. */
	if (t.event == TRACKER_NONE && a->partial_seed)
		t.event = TRACKER_PAUSED;
	memcpy(t.info_hash, a->m->h->info_hash, sizeof t.info_hash);
	memcpy(t.peer_id, a->peer_id, sizeof t.peer_id);
	t.numwant = t.event == TRACKER_STOPPED ? 0 : a->o.numwant;
	t.tracker_id = k->id;
	t.tracker_id_bytes = k->id_bytes;
	a->hooks.totals(a->hooks.arg, &t.uploaded, &t.downloaded, &t.left);
	if (!tracker_announce_url(url, sizeof url, metainfo_str(a->m, url_of(a, run->action.id)->url), &t))
		return false;
	r.url = url;
	r.family = run->action.family == ANNOUNCE_V4 ? 4 : 6;
	r.user_agent = a->o.anonymous ? NULL : "bulkhead/" BULKHEAD_VERSION;
	if (a->stopping)
		r.total_ms = (uint32_t)min_u64(r.total_ms, a->stop_ms > now ? a->stop_ms - now : 0);
	if (run->action.first)
		k->worst = TRACKER_OK;
	run->get = http_get(a->http, &r, run_done, run);
	return run->get != NULL;
}

static struct run *free_run(struct announcer *a)
{
	uint32_t i;

	for (i = 0; i < ANNOUNCE_MAX_IN_FLIGHT; i++)
		if (!a->runs[i].get)
			return &a->runs[i];
	bug("more announces than the schedule allows");
}

static void begin_all(struct announcer *a)
{
	static const char why[] = "the announce cannot be made";
	struct announce_action action;
	uint64_t now = loop_now(a->loop);

	while (announce_next(a->schedule, now, &action)) {
		struct run *run = free_run(a);
		struct announce_outcome failed = { 0 };

		run->a = a;
		run->action = action;
		if (begin(a, run))
			continue;
		note_failure(a, &action, TRACKER_BAD_URL, why, strlen(why));
		if (announce_done(a->schedule, now, action.id, action.family, &failed) && !a->stopping)
			report(a, action.id, a->known[action.id].worst, NULL, a->known[action.id].text, a->known[action.id].text_bytes);
	}
}

/* Cancels what is in flight; `completed`: that too. */
static void give_up(struct announcer *a, bool completed)
{
	uint32_t i;

	for (i = 0; i < ANNOUNCE_MAX_IN_FLIGHT; i++) {
		struct run *run = &a->runs[i];

		if (!run->get || (run->action.event == TRACKER_COMPLETED && !completed))
			continue;
		announce_abandon(a->schedule, run->action.id, run->action.family, http_cancel(run->get));
		run->get = NULL;
	}
}

/* Sets the timer for what the schedule wants next; not before that, so that asking often costs no turns of the loop. */
static void sleep_until_due(struct announcer *a)
{
	uint64_t next = announce_deadline(a->schedule, loop_now(a->loop));

	if (a->stopping)
		next = a->stopped ? min_u64(next, a->stop_ms) : 0;
	if (next != ANNOUNCE_NEVER)
		loop_timer_set(a->loop, &a->timer, next, pump, a);
}

static void pump(void *arg)
{
	struct announcer *a = arg;
	uint64_t now = loop_now(a->loop);
	bool over = a->stopping && now >= a->stop_ms;

	if (a->idle_said)
		return;
	if (a->stopping && !a->stopped) {
		a->stopped = true;
		give_up(a, false);
		announce_stop(a->schedule);
	}
	if (over)
		give_up(a, true);
	else
		begin_all(a);
	if (over || announce_idle(a->schedule)) {
		a->idle_said = true;
		a->hooks.on_idle(a->hooks.arg);
		return;
	}
	sleep_until_due(a);
}

void announcer_set_port(struct announcer *a, uint16_t port)
{
	a->o.port = port;
}

void announcer_start(struct announcer *a)
{
	uint64_t uploaded = 0, downloaded = 0, left = 0;

	a->hooks.totals(a->hooks.arg, &uploaded, &downloaded, &left);
	announce_start(a->schedule, now_ms());
	/* Whoever begins with all of it completes nothing. */
	if (left == 0)
		announce_completed(a->schedule, now_ms());
	pump_soon(a);
}

void announcer_need_peers(struct announcer *a, uint32_t have)
{
	announce_need_peers(a->schedule, now_ms(), have);
	sleep_until_due(a);
}

void announcer_completed(struct announcer *a)
{
	announce_completed(a->schedule, now_ms());
	sleep_until_due(a);
}

void announcer_partial_seed(struct announcer *a)
{
	a->partial_seed = true;
}

void announcer_stop(struct announcer *a, uint32_t grace_ms)
{
	if (a->stopping)
		return;
	a->stopping = true;
	a->stop_ms = now_ms() + grace_ms;
	pump_soon(a);
}
