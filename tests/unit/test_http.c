/*
 * test_http.c - announces over libcurl, behind netproc's own filter, against the
 * scripted trackers of tests/swarm/trackers.py.
 *
 * Each scenario is a process of its own: it warms up, raises the filter that
 * netproc has, and runs the announcer in the real loop with the real dial.c; a
 * second process plays the dialer.  What came of it is left in shared memory.
 * A system call that the filter does not know is a failure that names itself
 * (SIGSYS, in builds with KILL=1).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ANNOUNCE_TOTAL_MS 3000u
#define ANNOUNCE_IDLE_MS 1200u

#include "../../netproc/loop.c"
#define place dial_place
#define ready dial_ready
#define arm dial_arm
#include "../../netproc/dial.c"
#undef place
#undef ready
#undef arm
#include "../../netproc/tracker.c"
#define tracker announce_tracker
#define take announce_take
#include "../../netproc/announce.c"
#undef tracker
#undef take
#include "../../netproc/announcer.c"
#include "../../netproc/authorities.c"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "sandbox.h"

#define URLS 6
#define EVENTS 32

enum server { HTTP, GOOD, OTHER, UNKNOWN, EXPIRED, NO_TLS, SERVERS };

static int ports[SERVERS];
static char folder[] = "/tmp/test_http.XXXXXX";
static char *ca;
static size_t ca_bytes;
static pid_t trackers;
static int trackers_stdin;

struct scenario {
	const char *urls[URLS]; /* "%d" is replaced by the port of `server` */
	enum server server[URLS];
	uint32_t tiers[URLS];
	uint32_t events;        /* ends after so many */
	uint32_t most_ms;       /* or after this time; 0: 8 s */
	bool v6, no_ca, complete, farewell, need_peers;
	uint32_t grace_ms;
};

struct result {
	struct msg_tracker_event events[EVENTS];
	uint32_t count, peers, names, fds_before, fds_after;
	uint64_t first_ms, elapsed_ms;
	bool idle;
};

/* ---- the dialer's part */

static int connect_loopback(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void answer_dial(struct channel *c, const struct msg_dial_name *m, bool *was_busy)
{
	struct msg_dialed ok = { .tag = m->tag, .addr = { .family = 4, .port = m->port, .ip = { 127, 0, 0, 1 } } };
	struct msg_dial_failed bad = { .tag = m->tag, .reason = DIAL_FAILED, .error = ECONNREFUSED };
	const char *host = (const char *)m->host;
	int fd = -1;

	if (strcmp(host, "refused.test") == 0 || strncmp(host, "169.254.", 8) == 0) {
		bad.reason = DIAL_REFUSED_BY_POLICY;
	} else if (strcmp(host, "noname.test") == 0 || (m->family == 6 && strcmp(host, "both.test") != 0 && strcmp(host, "::1") != 0)) {
		bad.reason = DIAL_NO_NAME;
	} else if (strcmp(host, "busy.test") == 0 && !*was_busy) {
		*was_busy = true;
		bad.reason = DIAL_LIMIT;
	} else if (strcmp(host, "silent.test") == 0) {
		return;
	} else if (strcmp(host, "nowhere.test") != 0) {
		fd = connect_loopback(m->port);
	}
	if (fd >= 0)
		(void)!channel_push_fd(c, MSG_DIALED, &ok, fd, true);
	else
		(void)!channel_push(c, MSG_DIAL_FAILED, &bad);
	(void)channel_flush(c);
}

static void play_dialer(int fd)
{
	struct channel c;
	struct packet p;
	bool was_busy = false;
	uint32_t i;

	channel_init(&c, fd, 1, false, "netproc");
	while (channel_wait(&c, &p, 30000) == CHANNEL_OK)
		for (i = 0; i < p.count; i++)
			if (p.type == MSG_DIAL_NAME)
				answer_dial(&c, packet_message(&p, i), &was_busy);
	_exit(0);
}

/* ---- netproc's part */

static struct metainfo make_form(const struct scenario *s)
{
	static union {
		struct metainfo_header h;
		uint8_t bytes[16384];
	} f;
	struct metainfo_url *t = (struct metainfo_url *)(void *)(f.bytes + sizeof f.h);
	uint32_t at = sizeof f.h + URLS * sizeof *t, i;

	f.h.trackers = sizeof f.h;
	f.h.bytes = sizeof f;
	memset(f.h.info_hash, 0xa5, 20);
	for (i = 0; i < URLS && s->urls[i]; i++) {
		const char *port = strstr(s->urls[i], "%d");
		char *url = (char *)f.bytes + at, *host, *end;

		t[i].scheme = strncmp(s->urls[i], "https:", 6) == 0 ? METAINFO_HTTPS : strncmp(s->urls[i], "http:", 5) == 0 ? METAINFO_HTTP : METAINFO_UDP;
		t[i].tier = s->tiers[i];
		t[i].url.offset = at;
		t[i].url.length = (uint32_t)snprintf(url, 2048, "%.*s%d%s", (int)(port - s->urls[i]), s->urls[i], ports[s->server[i]], port + 2);
		at += t[i].url.length + 1;
		host = strstr(url, "://") + 3;
		end = host + strcspn(host, ":/");
		if (*host == '[') {
			host++;
			end = strchr(host, ']');
		}
		t[i].host.offset = at;
		t[i].host.length = (uint32_t)(end - host);
		memcpy(f.bytes + at, host, (size_t)(end - host));
		at += t[i].host.length + 1;
	}
	f.h.tracker_count = i;
	return (struct metainfo){ .h = &f.h, .base = f.bytes, .bytes = sizeof f };
}

static struct result *out;

static void on_peer_found(void *arg, const struct net_addr *addr)
{
	(void)arg;
	out->peers += addr->family != 0;
}

static void on_name_found(void *arg, const char *host, uint16_t port)
{
	(void)arg;
	out->names += host[0] && port;
}

static uint64_t bytes_left = 4096;

static void totals(void *arg, uint64_t *up, uint64_t *down, uint64_t *left)
{
	(void)arg;
	*up = 1;
	*down = 2;
	*left = bytes_left;
}

static void on_event(void *arg, const struct msg_tracker_event *e)
{
	(void)arg;
	if (out->count < EVENTS)
		out->events[out->count] = *e;
	out->count++;
}

static void on_idle(void *arg)
{
	(void)arg;
	out->idle = true;
}

static void raise_filter(void)
{
#ifndef SANDBOX_WIDE /* there warm_up() has done what can be done */
	uint32_t walls = ~0u;

	sandbox_end(ROLE_NETPROC, &walls);
#endif
}

static uint32_t open_fds(void)
{
	uint32_t n = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void play_netproc(const struct scenario *s, int fd)
{
	struct announcer_hooks hooks = { .on_peer = on_peer_found, .on_peer_name = on_name_found, .totals = totals, .on_event = on_event, .on_idle = on_idle };
	struct msg_net_options o = { .port = 6881, .numwant = 80, .use_trackers = 1, .use_ipv4 = 1, .use_ipv6 = s->v6 };
	struct metainfo m = make_form(s);
	struct loop *l = loop_new(64);
	struct dials *d = dials_new(l, fd, 1);
	struct http *h = http_new(l, d, s->no_ca ? NULL : ca, s->no_ca ? 0 : ca_bytes);
	struct announcer *a;
	uint64_t begin, end;

	raise_filter();
	a = announcer_new(l, h, &m, &o, (const uint8_t *)"-BH0100-abcdefghijkl", &hooks);
	out->fds_before = open_fds();
	begin = now_ms();
	end = begin + (s->most_ms ? s->most_ms : 8000);
	announcer_start(a);
	while (out->count < s->events && now_ms() < end) {
		loop_turn(l, 50);
		if (s->need_peers)
			announcer_need_peers(a, 0);
	}
	out->first_ms = now_ms() - begin;
	if (s->complete) {
		bytes_left = 0;
		announcer_completed(a);
	}
	if (s->farewell) {
		announcer_stop(a, s->grace_ms);
		while (!out->idle && now_ms() < end)
			loop_turn(l, 50);
	}
	out->elapsed_ms = now_ms() - begin;
	/* The replies to what was cancelled are closed too. */
	loop_turn(l, 20);
	out->fds_after = open_fds();
#ifdef __SANITIZE_ADDRESS__
	announcer_free(a);
	_exit(__lsan_do_recoverable_leak_check());
#endif
	_exit(0);
}

/* ---- a scenario from outside */

struct job {
	const struct scenario *s;
	struct result *r;
	pid_t net, dialer;
};

static struct job start_job(const struct scenario *s)
{
	struct job j = { .s = s };
	int fds[2];

	j.r = mmap(NULL, sizeof *j.r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(j.r != MAP_FAILED);
	assert_int_equal(channel_pair(fds), 0);
	j.dialer = fork();
	assert_true(j.dialer >= 0);
	if (j.dialer == 0) {
		close(fds[0]);
		play_dialer(fds[1]);
	}
	close(fds[1]);
	j.net = fork();
	assert_true(j.net >= 0);
	if (j.net == 0) {
		out = j.r;
		alarm(20);
		play_netproc(s, fds[0]);
	}
	close(fds[0]);
	return j;
}

/* Its result; fails when it did not end by itself. */
static struct result end_job(struct job *j)
{
	struct result r;
	struct rusage u;
	int status = 0;

	assert_int_equal(wait4(j->net, &status, 0, &u), j->net);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("%s: ended with status %x (signal %d)", j->s->urls[0], status, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	assert_int_equal(waitpid(j->dialer, &status, 0), j->dialer);
	r = *j->r;
	munmap(j->r, sizeof r);
	if (r.fds_after > r.fds_before)
		fail_msg("%s: %u descriptors before, %u after", j->s->urls[0], r.fds_before, r.fds_after);
#ifndef SANDBOX_WIDE
	if (u.ru_maxrss > 64 * 1024)
		fail_msg("%s: %ld KiB", j->s->urls[0], u.ru_maxrss);
#endif
	return r;
}

static struct result run(const struct scenario *s)
{
	struct job j = start_job(s);

	return end_job(&j);
}

static const char *text_of(const struct msg_tracker_event *e)
{
	static char quoted[1200];

	return log_quote(quoted, sizeof quoted, e->text, e->length);
}

/* ---- one row for each behaviour */

struct row {
	const char *name;
	enum tracker_result result;
	uint32_t peers, names;
	const char *text; /* part of the event's text */
	enum server server;
};

static const struct row rows[] = {
	{ "plain", TRACKER_OK, 1, 0, "", HTTP },
	{ "plain", TRACKER_OK, 1, 0, "", GOOD },
	{ "dictionaries", TRACKER_OK, 1, 0, "", HTTP },
	{ "gzipped", TRACKER_OK, 1, 0, "", HTTP },
	{ "gzipped", TRACKER_OK, 1, 0, "", GOOD },
	{ "deflated", TRACKER_OK, 1, 0, "", HTTP },
	{ "chunked", TRACKER_OK, 1, 0, "", HTTP },
	{ "until_closed", TRACKER_OK, 1, 0, "", HTTP },
	{ "line_feed_at_the_end", TRACKER_OK, 1, 0, "", HTTP },
	{ "http_1_0", TRACKER_OK, 1, 0, "", HTTP },
	{ "one_byte_at_a_time", TRACKER_OK, 1, 0, "", HTTP },
	{ "one_byte_at_a_time", TRACKER_OK, 1, 0, "", GOOD },
	{ "warning_with_control_bytes", TRACKER_OK, 1, 0, "\\x1b]0;owned\\x07", HTTP },
	{ "told", TRACKER_OK, 1, 0, "started left=4096 numwant=80 tid=none", HTTP },
	{ "redirect_relative", TRACKER_OK, 1, 0, "", HTTP },
	{ "redirect_four_times", TRACKER_OK, 1, 0, "", HTTP },
	{ "redirect_to_https", TRACKER_OK, 1, 0, "", HTTP },
	{ "interim_replies", TRACKER_OK, 1, 0, "", HTTP },
	{ "huge_numbers", TRACKER_OK, 1, 0, "", HTTP },
	{ "negative_numbers", TRACKER_OK, 1, 0, "", HTTP },
	{ "interval_zero", TRACKER_OK, 1, 0, "", HTTP },
	{ "many_peers", TRACKER_OK, 2000, 0, "", HTTP },
	{ "many_names", TRACKER_OK, 1, 16, "", HTTP },
	{ "peers_of_every_kind", TRACKER_OK, 2, 0, "", HTTP },
	{ "silent", TRACKER_TIMEOUT, 0, 0, "silent", HTTP },
	{ "closes_at_once", TRACKER_CONNECT, 0, 0, "Empty reply", HTTP },
	{ "resets", TRACKER_CONNECT, 0, 0, "", HTTP },
	{ "endless_headers", TRACKER_TOO_LARGE, 0, 0, "", HTTP },
	{ "endless_headers", TRACKER_TOO_LARGE, 0, 0, "", GOOD },
	{ "endless_header_line", TRACKER_TOO_LARGE, 0, 0, "", HTTP },
	{ "endless_status_line", TRACKER_TOO_LARGE, 0, 0, "", HTTP },
	{ "endless_interim_replies", TRACKER_TOO_LARGE, 0, 0, "", HTTP },
	{ "endless_cookies", TRACKER_TOO_LARGE, 0, 0, "", HTTP },
	{ "drips_headers", TRACKER_TIMEOUT, 0, 0, "not complete", HTTP },
	{ "drips_body", TRACKER_TIMEOUT, 0, 0, "not complete", HTTP },
	{ "stops_in_the_middle", TRACKER_TIMEOUT, 0, 0, "silent", GOOD },
	{ "ends_in_the_middle", TRACKER_CONNECT, 0, 0, "", HTTP },
	{ "endless_body", TRACKER_TOO_LARGE, 0, 0, "", HTTP },
	{ "endless_chunks", TRACKER_TOO_LARGE, 0, 0, "", GOOD },
	{ "endless_chunk_extension", TRACKER_TIMEOUT, 0, 0, "", HTTP },
	{ "endless_trailers", TRACKER_TOO_LARGE, 0, 0, "", HTTP },
	{ "chunk_size_overflows", TRACKER_CONNECT, 0, 0, "chunked", HTTP },
	{ "gzip_bomb", TRACKER_TOO_LARGE, 0, 0, "", HTTP },
	{ "gzip_garbage", TRACKER_MALFORMED, 0, 0, "", HTTP },
	{ "gzip_in_gzip", TRACKER_MALFORMED, 0, 0, "encoding", HTTP },
	{ "gzip_named_twice", TRACKER_MALFORMED, 0, 0, "encoding", HTTP },
	{ "brotli", TRACKER_MALFORMED, 0, 0, "encoding", HTTP },
	{ "transfer_gzip", TRACKER_MALFORMED, 0, 0, "encoding", HTTP },
	{ "content_length_overflows", TRACKER_OK, 1, 0, "", HTTP }, /* libcurl reads until the end */
	{ "content_length_negative", TRACKER_MALFORMED, 0, 0, "", HTTP },
	{ "redirect_loop", TRACKER_REDIRECT, 0, 0, "too many", HTTP },
	{ "redirect_to_file", TRACKER_REDIRECT, 0, 0, "", HTTP },
	{ "redirect_to_gopher", TRACKER_REDIRECT, 0, 0, "", HTTP },
	{ "redirect_to_unix", TRACKER_REDIRECT, 0, 0, "", HTTP },
	{ "redirect_to_private", TRACKER_POLICY, 0, 0, "", HTTP },
	{ "redirect_to_port_zero", TRACKER_BAD_URL, 0, 0, "", HTTP },
	{ "redirect_nowhere", TRACKER_REDIRECT, 0, 0, "nowhere", HTTP },
	{ "redirect_too_long", TRACKER_REDIRECT, 0, 0, "too long", HTTP },
	{ "redirect_to_http", TRACKER_REDIRECT, 0, 0, "from https to http", GOOD },
	{ "failure_with_control_bytes", TRACKER_FAILURE, 0, 0, "\\x1b[2Jgo\\x0aaway\\x00AAA", HTTP },
	{ "failure_for_ever", TRACKER_FAILURE, 0, 0, "never again", HTTP },
	{ "failure_with_status", TRACKER_FAILURE, 0, 0, "no such torrent", HTTP },
	{ "failure_of_another_type", TRACKER_FAILURE, 0, 0, "", HTTP },
	{ "status_500", TRACKER_HTTP_STATUS, 0, 0, "HTTP error: status 500", HTTP },
	{ "status_204", TRACKER_HTTP_STATUS, 0, 0, "204", HTTP },
	{ "status_999", TRACKER_HTTP_STATUS, 0, 0, "999", HTTP },
	{ "switches_protocols", TRACKER_HTTP_STATUS, 0, 0, "101", HTTP },
	{ "http_0_9", TRACKER_MALFORMED, 0, 0, "", HTTP },
	{ "http_2_unasked", TRACKER_MALFORMED, 0, 0, "", HTTP },
	{ "noise", TRACKER_MALFORMED, 0, 0, "", HTTP },
	{ "html", TRACKER_MALFORMED, 0, 0, "", HTTP },
	{ "empty", TRACKER_MALFORMED, 0, 0, "empty", HTTP },
	{ "million_peers", TRACKER_TOO_LARGE, 0, 0, "", HTTP },
	{ "no_dictionary", TRACKER_MALFORMED, 0, 0, "no dictionary", HTTP },
	{ "nested_deeply", TRACKER_MALFORMED, 0, 0, "", HTTP },
	{ "too_many_tokens", TRACKER_MALFORMED, 0, 0, "", HTTP },
	{ "length_beyond_the_end", TRACKER_MALFORMED, 0, 0, "", HTTP },
	{ "truncated", TRACKER_MALFORMED, 0, 0, "", HTTP },
	{ "duplicate_keys", TRACKER_MALFORMED, 0, 0, "", HTTP },
	{ "integer_overflows", TRACKER_MALFORMED, 0, 0, "", HTTP },
	/* certificates */
	{ "plain", TRACKER_TLS, 0, 0, "target host name", OTHER },
	{ "plain", TRACKER_TLS, 0, 0, "certificate problem", UNKNOWN },
	{ "plain", TRACKER_TLS, 0, 0, "TLS failed: SSL certificate problem: certificate has expired", EXPIRED },
	{ "plain", TRACKER_TLS, 0, 0, "", NO_TLS },
};

#define SIDE_BY_SIDE 6u

/* Whether it went as the row says; a line when it did not. */
static bool row_holds(const struct row *w, const struct result *r)
{
	const struct msg_tracker_event *e = &r->events[0];
	/* Whatever it says, it is not asked again at once. */
	bool waits = e->next_ms >= (w->result == TRACKER_OK ? 30000 : 10000) && (e->next_ms <= 86400000 || e->next_ms == UINT32_MAX);

	if (r->count == 1 && e->result == w->result && r->peers == w->peers && r->names == w->names && strstr(text_of(e), w->text) && waits)
		return true;
	print_error("%s (server %d): %u events, result %u, %u peers, %u names, next in %u ms, after %u ms: %s\n", w->name, w->server, r->count, e->result,
		r->peers, r->names, e->next_ms, (unsigned)r->elapsed_ms, text_of(e));
	return false;
}

static void test_every_behaviour_ends_as_it_should(void **state)
{
	static char urls[ARRAY_LEN(rows)][128];
	static struct scenario s[ARRAY_LEN(rows)];
	struct job jobs[SIDE_BY_SIDE];
	size_t i, k, wrong = 0;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i += SIDE_BY_SIDE) {
		for (k = 0; k < SIDE_BY_SIDE && i + k < ARRAY_LEN(rows); k++) {
			snprintf(urls[i + k], sizeof urls[0], "%s://localhost:%%d/%s/announce", rows[i + k].server == HTTP ? "http" : "https", rows[i + k].name);
			s[i + k] = (struct scenario){ .urls = { urls[i + k] }, .server = { rows[i + k].server }, .events = 1 };
			jobs[k] = start_job(&s[i + k]);
		}
		for (k = 0; k < SIDE_BY_SIDE && i + k < ARRAY_LEN(rows); k++) {
			struct result r = end_job(&jobs[k]);

			wrong += !row_holds(&rows[i + k], &r);
		}
	}
	assert_int_equal(wrong, 0);
}

static void test_https_without_authorities_is_refused(void **state)
{
	struct scenario s = { .urls = { "https://localhost:%d/plain/announce" }, .server = { GOOD }, .events = 1, .no_ca = true };
	struct result r = run(&s);

	(void)state;
	assert_int_equal(r.events[0].result, TRACKER_TLS);
	assert_non_null(strstr(text_of(&r.events[0]), "no certificate authorities"));
}

static void test_authorities_that_cannot_be_read_are_left_out(void **state)
{
	static const char broken[] = "words\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
	size_t bytes = sizeof broken - 1 + ca_bytes;
	char *pem = must_alloc(bytes);
	uint32_t count = 9;
	X509_STORE *s;

	(void)state;
	assert_null(authorities_parse(broken, sizeof broken - 1, &count));
	assert_int_equal(count, 0);
	assert_null(authorities_parse("", 0, NULL));
	memcpy(pem, broken, sizeof broken - 1);
	memcpy(pem + sizeof broken - 1, ca, ca_bytes);
	s = authorities_parse(pem, bytes, &count);
	assert_non_null(s);
	assert_int_equal(count, 1);
	X509_STORE_free(s);
	free(pem);
}

static void test_addresses_in_urls(void **state)
{
	struct scenario s = { .urls = { "http://127.0.0.1:%d/told/announce?k=1" }, .events = 1, .v6 = true };
	struct scenario six = { .urls = { "http://[::1]:%d/told/announce" }, .events = 1, .v6 = true };
	struct result r = run(&s);

	(void)state;
	assert_int_equal(r.events[0].result, TRACKER_OK);
	assert_int_equal(r.count, 1);
	/* The dialer of this test connects to 127.0.0.1 all the same: what counts is what it was asked for. */
	r = run(&six);
	assert_int_equal(r.events[0].result, TRACKER_OK);
	assert_int_equal(r.count, 1);
}

static void test_what_the_dialer_says_is_told(void **state)
{
	static const struct {
		const char *url;
		enum tracker_result result;
	} w[] = {
		{ "http://refused.test:%d/plain/announce", TRACKER_POLICY },
		{ "http://noname.test:%d/plain/announce", TRACKER_NO_ADDRESS },
		{ "http://nowhere.test:%d/plain/announce", TRACKER_CONNECT },
		{ "http://busy.test:%d/plain/announce", TRACKER_OK },
		{ "http://silent.test:%d/plain/announce", TRACKER_TIMEOUT },
		{ "http://localhost:%d/plain announce", TRACKER_BAD_URL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(w); i++) {
		struct scenario s = { .urls = { w[i].url }, .events = 1, .v6 = true };
		struct result r = run(&s);

		if (r.events[0].result != w[i].result)
			fail_msg("%s: result %u: %s", w[i].url, r.events[0].result, text_of(&r.events[0]));
		assert_int_equal(r.count, 1); /* IPv6, which is not to be had, is nobody's failure */
	}
}

static void test_both_families_are_announced_where_there_are_two(void **state)
{
	struct scenario s = { .urls = { "http://both.test:%d/told/announce" }, .events = 2, .v6 = true };
	struct result r = run(&s);

	(void)state;
	assert_int_equal(r.count, 2);
	assert_int_equal(r.peers, 2);
	assert_non_null(strstr(text_of(&r.events[0]), "started"));
	assert_non_null(strstr(text_of(&r.events[1]), "started"));
}

static void test_failed_tiers_lead_to_the_next_and_udp_blocks_nobody(void **state)
{
	struct scenario s = {
		.urls = { "udp://localhost:%d/announce", "http://nowhere.test:%d/x", "https://localhost:%d/plain/announce", "http://localhost:%d/plain/announce" },
		.server = { HTTP, HTTP, UNKNOWN, HTTP },
		.tiers = { 0, 1, 2, 3 },
		.events = 3,
	};
	struct result r = run(&s);

	(void)state;
	assert_int_equal(r.count, 3);
	assert_int_equal(r.events[0].tracker, 1);
	assert_int_equal(r.events[0].result, TRACKER_CONNECT);
	assert_int_equal(r.events[1].tracker, 2);
	assert_int_equal(r.events[1].result, TRACKER_TLS);
	assert_int_equal(r.events[2].tracker, 3);
	assert_int_equal(r.events[2].result, TRACKER_OK);
	assert_int_equal(r.peers, 1);
	assert_true(r.elapsed_ms < 2000);
}

static void test_life_of_a_download_as_the_tracker_hears_it(void **state)
{
	struct scenario s = { .urls = { "http://localhost:%d/told/announce" }, .events = 1, .complete = true, .farewell = true, .grace_ms = 3000 };
	struct result r = run(&s);

	(void)state;
	assert_true(r.idle);
	assert_int_equal(r.count, 3);
	assert_non_null(strstr(text_of(&r.events[0]), "started left=4096 numwant=80 tid=none"));
	assert_non_null(strstr(text_of(&r.events[1]), "completed left=0 numwant=80 tid=\\x00id&=%"));
	assert_non_null(strstr(text_of(&r.events[2]), "stopped left=0 numwant=0 tid=\\x00id&=%"));
	assert_int_equal(r.peers, 1); /* of the first only: whoever leaves wants none */
	assert_true(r.elapsed_ms - r.first_ms < 1000);
}

static void test_farewell_to_a_silent_tracker_ends_with_the_grace(void **state)
{
	struct scenario s = { .urls = { "http://localhost:%d/silent/announce" }, .events = 1, .most_ms = 400, .farewell = true, .grace_ms = 600 };
	struct result r;

	(void)state;
	s.most_ms = 400;
	s.events = 0; /* stops while "started" is on its way, or before it is */
	r = run(&s);
	s.most_ms = 8000;
	r = run(&s);
	assert_true(r.idle);
	assert_true(r.elapsed_ms < 1500);
	assert_int_equal(r.count, 0);
}

static void test_without_trackers_there_is_nothing_to_wait_for(void **state)
{
	struct scenario s = { .urls = { "udp://localhost:%d/announce" }, .farewell = true, .grace_ms = 5000 };
	struct result r = run(&s);

	(void)state;
	assert_true(r.idle);
	assert_true(r.elapsed_ms < 500);
}

static void test_hunger_asks_every_tracker_once_and_none_twice(void **state)
{
	struct scenario s = {
		.urls = { "http://localhost:%d/huge_numbers/announce", "http://localhost:%d/plain/announce", "http://localhost:%d/told/announce" },
		.tiers = { 0, 1, 2 },
		.events = 4,
		.most_ms = 1500,
		.need_peers = true,
	};
	struct result r = run(&s);

	(void)state;
	assert_int_equal(r.count, 3);
	assert_int_equal(r.peers, 3);
}

/* ---- the scripted trackers */

static int start_trackers(void **state)
{
	char line[200], path[64];
	int in[2], from[2], n;
	size_t have = 0;
	FILE *f;

	(void)state;
	if (!mkdtemp(folder) || pipe2(in, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		return -1;
	trackers = fork();
	if (trackers == 0) {
		dup2(in[0], 0);
		dup2(from[1], 1);
		execl("/usr/bin/python3", "python3", "tests/swarm/trackers.py", folder, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(from[1]);
	trackers_stdin = in[1];
	while (have < sizeof line - 1 && (n = (int)read(from[0], line + have, sizeof line - 1 - have)) > 0 && line[have + (size_t)n - 1] != '\n')
		have += (size_t)n;
	close(from[0]);
	if (sscanf(line, "%d %d %d %d %d %d", &ports[0], &ports[1], &ports[2], &ports[3], &ports[4], &ports[5]) != 6) {
		fprintf(stderr, "tests/swarm/trackers.py does not start: run this from the top of the tree, with python3-cryptography\n");
		return -1;
	}
	snprintf(path, sizeof path, "%s/ca.pem", folder);
	f = fopen(path, "r");
	if (!f)
		return -1;
	ca = must_alloc(65536);
	ca_bytes = fread(ca, 1, 65536, f);
	fclose(f);
	return ca_bytes ? 0 : -1;
}

static int stop_trackers(void **state)
{
	static const char *const files[] = { "ca", "good", "other", "unknown", "unknown-ca", "expired" };
	char path[64];
	size_t i;

	(void)state;
	close(trackers_stdin);
	if (trackers > 0)
		waitpid(trackers, NULL, 0);
	for (i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof path, "%s/%s.pem", folder, files[i]);
		unlink(path);
	}
	rmdir(folder);
	free(ca);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_behaviour_ends_as_it_should),
		cmocka_unit_test(test_https_without_authorities_is_refused),
		cmocka_unit_test(test_authorities_that_cannot_be_read_are_left_out),
		cmocka_unit_test(test_addresses_in_urls),
		cmocka_unit_test(test_what_the_dialer_says_is_told),
		cmocka_unit_test(test_both_families_are_announced_where_there_are_two),
		cmocka_unit_test(test_failed_tiers_lead_to_the_next_and_udp_blocks_nobody),
		cmocka_unit_test(test_life_of_a_download_as_the_tracker_hears_it),
		cmocka_unit_test(test_farewell_to_a_silent_tracker_ends_with_the_grace),
		cmocka_unit_test(test_without_trackers_there_is_nothing_to_wait_for),
		cmocka_unit_test(test_hunger_asks_every_tracker_once_and_none_twice),
	};

	return cmocka_run_group_tests(tests, start_trackers, stop_trackers);
}
