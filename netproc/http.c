/*
 * http.c - see http.h.
 *
 * A GET goes through: waiting (the first turn, or the dialer was full) ->
 * dialling -> transfer (libcurl has the socket), and back to waiting for each
 * redirect.  One timer a GET serves all of its deadlines.  libcurl's own timer
 * and sockets are mirrored into the loop by on_curl_timer() and on_curl_socket();
 * libcurl is entered only from the loop, never from within its own callbacks.
 *
 * What a server can make grow: headers (HTTP_HEADERS_MAX, of which libcurl
 * keeps a copy), the body (body_max, doubling), one certificate chain
 * (OpenSSL's limit of 100 KiB), one TLS record.
 */
#include "http.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#ifdef SANDBOX_WIDE
#include <seccomp.h>
#endif
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "authorities.h"
#include "log.h"

#define BODY_FIRST_BYTES 8192u
#define REDIAL_MS 500u
#define SOCKETS 16u /* one a GET; more than GETs at a time */

/* A socket that libcurl wants to be told about. */
struct http_socket {
	struct loop_source source; /* fd -1: free */
	struct http *h;
};

struct http {
	struct loop *loop;
	struct dials *dials;
	CURLM *multi;
	struct curl_slist *nowhere;
	const void *ca;            /* PEM, borrowed; NULL: none, or none that could be read */
	size_t ca_bytes;
	X509_STORE *authorities;   /* owned; parsed when the first https URL is dialled */
	struct loop_timer timer;
	struct http_socket sockets[SOCKETS];
	struct http_get *gets; /* list of all */
};

enum get_state { GET_WAITING, GET_DIALLING, GET_TRANSFER };

struct http_get {
	struct http *h;
	struct http_get *next;
	enum get_state state;
	struct dial_request dial;
	struct loop_timer timer;
	CURLU *url;  /* owned; of this hop */
	CURL *easy;  /* owned; NULL unless in transfer */
	int fd;      /* dialled and not yet taken by libcurl, or -1 */
	int socket;  /* the number that libcurl has, to recognise progress */
	enum net_kind kind;
	uint8_t family;
	bool https, sent;
	uint32_t hops;
	uint32_t body_max, idle_ms;
	uint64_t deadline_ms, redial_ms, progress_ms;
	uint32_t status, header_bytes, encodings;
	enum http_error broken; /* why a callback stopped the transfer; HTTP_OK: it did not */
	uint8_t *body;          /* owned */
	size_t bytes, room;
	http_done done;
	void *arg;
	char agent[64];
	char text[HTTP_TEXT_MAX];
	char curl_text[CURL_ERROR_SIZE];
};

static void get_timer(void *arg);

#ifdef SANDBOX_WIDE
/* Beside a sanitizer there are no walls, but libcurl needs the two answers that netproc's filter gives: see give_socket(). */
static void answer_connect(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);

	if (!f || seccomp_rule_add(f, SCMP_ACT_ERRNO(EINPROGRESS), SCMP_SYS(connect), 0) < 0 ||
	    seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 0) < 0 || seccomp_load(f) < 0)
		bug("no filter for libcurl");
	seccomp_release(f);
}
#endif

static void warm_up(void)
{
	static bool warm;
	CURL *easy;
	CURLU *url;

	if (warm)
		return;
	warm = true;
	/* TLS writes to a connection that is gone. */
	signal(SIGPIPE, SIG_IGN);
	/* The first check of a certificate's dates opens /etc/localtime. */
	tzset();
	/* OpenSSL reads its configuration, loads its providers and seeds its generator. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		bug("curl_global_init failed");
	/* The first handle looks at the environment; the first URL at the scheme table. */
	easy = curl_easy_init();
	url = curl_url();
	if (!easy || !url || curl_url_set(url, CURLUPART_URL, "https://localhost/", 0) != CURLUE_OK)
		bug("libcurl has no handle");
	curl_url_cleanup(url);
	curl_easy_cleanup(easy);
#ifdef SANDBOX_WIDE
	answer_connect();
#endif
}

/* ---- libcurl's wishes, mirrored into the loop ---- */

static void finish(struct http_get *g, enum http_error error, const char *text);
static void transfer_ended(struct http_get *g, CURLcode code);

/* Ends the transfers that libcurl has finished. */
static void collect(struct http *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left))) {
		struct http_get *g = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&g);
		transfer_ended(g, code); /* m is gone now */
	}
}

static void curl_timer_due(void *arg)
{
	struct http *h = arg;
	int running;

	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(h);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http *h = arg;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_clear(h->loop, &h->timer);
	else
		loop_timer_set(h->loop, &h->timer, now_ms() + (uint64_t)timeout_ms, curl_timer_due, h);
	return 0;
}

static void socket_ready(void *arg, uint32_t events)
{
	struct http_socket *s = arg;
	struct http *h = s->h;
	struct http_get *g;
	int what = 0, running;

	for (g = h->gets; g; g = g->next)
		if (g->state == GET_TRANSFER && g->socket == s->source.fd)
			g->progress_ms = loop_now(h->loop);
	if (events & (EPOLLIN | EPOLLHUP))
		what |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		what |= CURL_CSELECT_ERR;
	curl_multi_socket_action(h->multi, s->source.fd, what, &running);
	collect(h);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct http *h = arg;
	struct http_socket *s = known;
	uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	uint32_t i;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			loop_remove(h->loop, &s->source);
		return 0;
	}
	if (s) {
		loop_change(h->loop, &s->source, events);
		return 0;
	}
	for (i = 0; i < SOCKETS && h->sockets[i].source.fd >= 0; i++)
		;
	/* Without a place the transfer runs into its time limit. */
	if (i == SOCKETS || loop_add(h->loop, &h->sockets[i].source, fd, events, socket_ready, &h->sockets[i]) < 0)
		return 0;
	curl_multi_assign(h->multi, fd, &h->sockets[i]);
	return 0;
}

struct http *http_new(struct loop *l, struct dials *d, const void *ca_pem, size_t ca_bytes)
{
	struct http *h = must_calloc(1, sizeof *h);
	uint32_t i;

	warm_up();
	h->loop = l;
	h->dials = d;
	h->ca = ca_bytes ? ca_pem : NULL;
	h->ca_bytes = ca_bytes;
	for (i = 0; i < SOCKETS; i++)
		h->sockets[i] = (struct http_socket){ .source.fd = -1, .h = h };
	h->multi = curl_multi_init();
	/* Every host and port is connected "to" an address of RFC 5737, so that libcurl never looks up a name. */
	h->nowhere = curl_slist_append(NULL, "::192.0.2.1:");
	if (!h->multi || !h->nowhere)
		bug("libcurl has no multi handle");
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 1L);
	return h;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	while (h->gets)
		(void)http_cancel(h->gets);
	curl_multi_cleanup(h->multi);
	loop_timer_clear(h->loop, &h->timer);
	curl_slist_free_all(h->nowhere);
	X509_STORE_free(h->authorities);
	free(h);
}

/* ---- one transfer ---- */

/*
 * libcurl takes the dialled socket, once.  It then calls connect() on it, to the
 * address of RFC 5737 above; the filter answers EINPROGRESS, the socket is
 * writable, SO_ERROR is 0: connected.  (Told by CURLOPT_SOCKOPTFUNCTION that the
 * socket is connected already, libcurl 7.88 calls connect() all the same, and
 * then does not watch the socket: 200 ms were lost on each connection.)
 */
static curl_socket_t give_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_get *g = arg;
	int fd = g->fd;

	(void)purpose;
	(void)address;
	g->fd = -1;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* Whether the header line of n bytes is this header; *value and *length get what follows the colon, trimmed. */
static bool header_is(const char *line, size_t n, const char *name, const char **value, size_t *length)
{
	size_t k = strlen(name);

	if (n <= k || strncasecmp(line, name, k) != 0 || line[k] != ':')
		return false;
	for (k++; k < n && (line[k] == ' ' || line[k] == '\t'); k++)
		;
	while (n > k && (line[n - 1] == '\r' || line[n - 1] == '\n' || line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	*value = line + k;
	*length = n - k;
	return true;
}

static bool one_of(const char *value, size_t length, const char *const *names, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strlen(names[i]) == length && strncasecmp(value, names[i], length) == 0)
			return true;
	return false;
}

/*
 * Counts header lines, and stops what would set off other decoders than those
 * that were asked for: libcurl also has brotli and zstd, and decodes nested
 * encodings and encoded transfers, unasked.
 */
static size_t on_header(char *line, size_t one, size_t n, void *arg)
{
	static const char *const contents[] = { "gzip", "x-gzip", "deflate", "identity" };
	static const char *const transfers[] = { "chunked", "identity" };
	struct http_get *g = arg;
	const char *value;
	size_t length;

	(void)one;
	if (n > HTTP_HEADERS_MAX - g->header_bytes) {
		g->broken = HTTP_TOO_LARGE;
		return 0;
	}
	g->header_bytes += (uint32_t)n;
	if (header_is(line, n, "Content-Encoding", &value, &length)) {
		if (g->encodings++ || !one_of(value, length, contents, ARRAY_LEN(contents)))
			g->broken = HTTP_MALFORMED;
	} else if (header_is(line, n, "Transfer-Encoding", &value, &length)) {
		if (!one_of(value, length, transfers, ARRAY_LEN(transfers)))
			g->broken = HTTP_MALFORMED;
	}
	return g->broken == HTTP_OK ? n : 0;
}

static size_t on_body(char *bytes, size_t one, size_t n, void *arg)
{
	struct http_get *g = arg;

	(void)one;
	if (n > g->body_max - g->bytes) {
		g->broken = HTTP_TOO_LARGE;
		return 0;
	}
	if (n > g->room - g->bytes) {
		size_t room = g->room ? g->room : BODY_FIRST_BYTES;
		uint8_t *grown;

		while (room - g->bytes < n)
			room *= 2;
		grown = realloc(g->body, room);
		if (!grown) {
			g->broken = HTTP_TOO_LARGE;
			return 0;
		}
		g->body = grown;
		g->room = room;
	}
	memcpy(g->body + g->bytes, bytes, n);
	g->bytes += n;
	return n;
}

/* What is trusted: our authorities and nothing else. */
static CURLcode trust(CURL *easy, void *context, void *arg)
{
	struct http *h = arg;

	(void)easy;
	if (!h->authorities)
		return CURLE_SSL_CACERT_BADFILE;
	SSL_CTX_set1_cert_store(context, h->authorities);
	return CURLE_OK;
}

#define SET(option, value) (ok &= curl_easy_setopt(g->easy, option, value) == CURLE_OK)

/* What keeps libcurl away from files, threads, sockets, proxies and other protocols; and TLS strict. */
static bool set_options(struct http_get *g)
{
	bool ok = true;

	SET(CURLOPT_PRIVATE, g);
	SET(CURLOPT_CURLU, g->url);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_NONE);
	SET(CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_CONNECT_TO, g->h->nowhere);
	SET(CURLOPT_OPENSOCKETFUNCTION, give_socket);
	SET(CURLOPT_OPENSOCKETDATA, g);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, g);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, g);
	SET(CURLOPT_ERRORBUFFER, g->curl_text);
	if (g->agent[0])
		SET(CURLOPT_USERAGENT, g->agent);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
	/* Without these two an unknown issuer makes OpenSSL look into the certificate folder. */
	SET(CURLOPT_CAINFO, NULL);
	SET(CURLOPT_CAPATH, NULL);
	if (g->https) {
		SET(CURLOPT_SSL_CTX_FUNCTION, trust);
		SET(CURLOPT_SSL_CTX_DATA, g->h);
	}
	return ok;
}

#undef SET

static void arm(struct http_get *g)
{
	uint64_t due = g->deadline_ms;

	if (g->state == GET_WAITING)
		due = min_u64(due, g->redial_ms);
	else if (g->state == GET_TRANSFER)
		due = min_u64(due, g->progress_ms + g->idle_ms);
	loop_timer_set(g->h->loop, &g->timer, due, get_timer, g);
}

static void begin_transfer(struct http_get *g, int fd)
{
	g->fd = g->socket = fd;
	g->state = GET_TRANSFER;
	g->progress_ms = loop_now(g->h->loop);
	g->status = g->header_bytes = g->encodings = 0;
	g->bytes = 0;
	g->broken = HTTP_OK;
	g->easy = curl_easy_init();
	if (!g->easy || !set_options(g) || curl_multi_add_handle(g->h->multi, g->easy) != CURLM_OK) {
		finish(g, HTTP_BAD_URL, "libcurl does not take it");
		return;
	}
	g->sent = true; /* whether it left at all is known to nobody */
	arm(g);
}

static void dialled(void *arg, int fd, const struct net_addr *addr, const struct net_addr *local, enum dial_failure why, int error)
{
	struct http_get *g = arg;
	char text[HTTP_TEXT_MAX] = "", where[64];

	(void)local;
	if (fd >= 0) {
		begin_transfer(g, fd);
		return;
	}
	if (addr && addr->family)
		snprintf(text, sizeof text, "%s", net_addr_text(where, sizeof where, addr));
	switch (why) {
	case DIAL_LIMIT:
		g->state = GET_WAITING;
		g->redial_ms = loop_now(g->h->loop) + REDIAL_MS;
		arm(g);
		break;
	case DIAL_REFUSED_BY_POLICY:
		finish(g, HTTP_POLICY, text);
		break;
	case DIAL_NO_NAME:
		finish(g, HTTP_NO_ADDRESS, "");
		break;
	case DIAL_TIMEOUT:
		finish(g, HTTP_TIMEOUT, "while connecting");
		break;
	default:
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", text[0] ? ": " : "", error ? strerrordesc_np(error) : "not connected");
		finish(g, HTTP_CONNECT, text);
		break;
	}
}

/* Host and port of this hop, as libcurl itself reads the URL.  False when it is none that we dial. */
static bool target(const struct http_get *g, char host[HOST_MAX], uint16_t *port)
{
	char *h = NULL, *p = NULL;
	size_t n;
	bool ok = false;

	if (curl_url_get(g->url, CURLUPART_HOST, &h, 0) == CURLUE_OK && curl_url_get(g->url, CURLUPART_PORT, &p, CURLU_DEFAULT_PORT) == CURLUE_OK) {
		const char *name = h;

		n = strlen(name);
		if (n > 2 && name[0] == '[' && name[n - 1] == ']') {
			name++;
			n -= 2;
		}
		if (n > 0 && n < HOST_MAX && strlen(p) <= 5) {
			memcpy(host, name, n);
			host[n] = 0;
			*port = (uint16_t)strtoul(p, NULL, 10);
			ok = *port != 0;
		}
	}
	curl_free(h);
	curl_free(p);
	return ok;
}

static void dial(struct http_get *g)
{
	char host[HOST_MAX];
	uint16_t port;

	if (!target(g, host, &port)) {
		finish(g, HTTP_BAD_URL, "no host");
		return;
	}
	if (g->https && !g->h->ca) {
		finish(g, HTTP_TLS, "no certificate authorities are known");
		return;
	}
	g->state = GET_DIALLING;
	g->dial.done = dialled;
	g->dial.arg = g;
	if (dial_name(g->h->dials, &g->dial, g->kind, host, port, g->family) < 0) {
		g->state = GET_WAITING;
		g->redial_ms = loop_now(g->h->loop) + REDIAL_MS;
	}
	/* While the dialer is at work: 36 ms for a system's store, once. */
	if (g->https && !g->h->authorities) {
		g->h->authorities = authorities_parse(g->h->ca, g->h->ca_bytes, NULL);
		if (!g->h->authorities)
			g->h->ca = NULL;
	}
	arm(g);
}

static void get_timer(void *arg)
{
	struct http_get *g = arg;
	uint64_t now = loop_now(g->h->loop);

	if (now >= g->deadline_ms)
		finish(g, HTTP_TIMEOUT, g->state == GET_TRANSFER ? "the reply is not complete" : "while connecting");
	else if (g->state == GET_WAITING && now >= g->redial_ms)
		dial(g);
	else if (g->state == GET_TRANSFER && now - g->progress_ms >= g->idle_ms)
		finish(g, HTTP_TIMEOUT, "the server is silent");
	else
		arm(g);
}

/* ---- the end of a hop ---- */

static const char *scheme_of(CURLU *url, bool *https)
{
	char *s = NULL;
	const char *bad = NULL;

	if (curl_url_get(url, CURLUPART_SCHEME, &s, 0) != CURLUE_OK)
		return "no scheme";
	*https = strcmp(s, "https") == 0;
	if (!*https && strcmp(s, "http") != 0)
		bad = "neither http nor https";
	curl_free(s);
	return bad;
}

/* Ends the use of the socket and the handle; the body stays. */
static void drop_transfer(struct http_get *g)
{
	if (g->easy) {
		curl_multi_remove_handle(g->h->multi, g->easy);
		curl_easy_cleanup(g->easy);
		g->easy = NULL;
	}
	if (g->fd >= 0)
		close(g->fd);
	g->fd = g->socket = -1;
}

/* Goes on to where the reply points; NULL, or why not. */
static const char *follow(struct http_get *g)
{
	char *location = NULL;
	bool https = false;
	const char *bad;
	CURLU *url;

	if (curl_easy_getinfo(g->easy, CURLINFO_REDIRECT_URL, &location) != CURLE_OK || !location)
		return "it points nowhere";
	if (g->hops == HTTP_REDIRECTS)
		return "too many redirects";
	if (strlen(location) >= HTTP_URL_MAX)
		return "the URL is too long";
	url = curl_url();
	if (!url || curl_url_set(url, CURLUPART_URL, location, 0) != CURLUE_OK) {
		curl_url_cleanup(url);
		return "not a URL that we follow";
	}
	bad = scheme_of(url, &https);
	if (!bad && g->https && !https)
		bad = "from https to http";
	if (bad) {
		curl_url_cleanup(url);
		return bad;
	}
	/* A server names no credentials for us to send elsewhere. */
	curl_url_set(url, CURLUPART_USER, NULL, 0);
	curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
	drop_transfer(g);
	curl_url_cleanup(g->url);
	g->url = url;
	g->https = https;
	g->hops++;
	return NULL;
}

static enum http_error error_of(CURLcode code)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return HTTP_TLS;
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_TIMEOUT;
	case CURLE_COULDNT_CONNECT:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
		return HTTP_CONNECT;
	case CURLE_FILESIZE_EXCEEDED:
	case CURLE_OUT_OF_MEMORY:
		return HTTP_TOO_LARGE;
	case CURLE_URL_MALFORMAT:
		return HTTP_BAD_URL;
	default:
		return HTTP_MALFORMED;
	}
}

static void transfer_ended(struct http_get *g, CURLcode code)
{
	const char *why;
	long status = 0;

	curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
	g->status = (uint32_t)status;
	if (g->broken != HTTP_OK) {
		finish(g, g->broken, g->broken == HTTP_TOO_LARGE ? "beyond our limit" : "an encoding that was not asked for");
	} else if (code != CURLE_OK) {
		finish(g, error_of(code), g->curl_text[0] ? g->curl_text : curl_easy_strerror(code));
	} else if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) {
		why = follow(g);
		if (why)
			finish(g, HTTP_REDIRECT, why);
		else
			dial(g);
	} else {
		finish(g, HTTP_OK, "");
	}
}

/* Takes it apart; the caller has nothing any more. */
static void get_free(struct http_get *g)
{
	struct http_get **p = &g->h->gets;

	while (*p != g)
		p = &(*p)->next;
	*p = g->next;
	dial_cancel(g->h->dials, &g->dial);
	loop_timer_clear(g->h->loop, &g->timer);
	drop_transfer(g);
	curl_url_cleanup(g->url);
	free(g->body);
	free(g);
}

static void finish(struct http_get *g, enum http_error error, const char *text)
{
	struct http_reply r = { .error = error, .status = g->status, .sent = g->sent };
	http_done done = g->done;
	void *arg = g->arg;
	uint8_t *body = g->body;

	snprintf(g->text, sizeof g->text, "%s", text);
	drop_transfer(g);
	loop_timer_clear(g->h->loop, &g->timer);
	r.body = g->bytes ? body : NULL;
	r.bytes = g->bytes;
	r.text = g->text;
	g->done = NULL; /* a cancel from within is a mistake that shows */
	done(arg, &r);
	get_free(g);
}

struct http_get *http_get(struct http *h, const struct http_request *r, http_done done, void *arg)
{
	struct http_get *g = calloc(1, sizeof *g);

	if (!g)
		return NULL;
	g->url = curl_url();
	if (!g->url) {
		free(g);
		return NULL;
	}
	g->h = h;
	g->fd = g->socket = -1;
	g->kind = r->kind;
	g->family = r->family;
	g->body_max = r->body_max;
	g->idle_ms = r->idle_ms;
	g->done = done;
	g->arg = arg;
	if (r->user_agent)
		snprintf(g->agent, sizeof g->agent, "%s", r->user_agent);
	g->deadline_ms = now_ms() + r->total_ms;
	g->redial_ms = 0;
	g->next = h->gets;
	h->gets = g;
	/* A URL that libcurl does not take leaves the handle empty: dial() says so, from the loop. */
	if (strlen(r->url) < HTTP_URL_MAX && curl_url_set(g->url, CURLUPART_URL, r->url, 0) == CURLUE_OK && scheme_of(g->url, &g->https))
		curl_url_set(g->url, CURLUPART_URL, NULL, 0);
	arm(g);
	return g;
}

bool http_cancel(struct http_get *g)
{
	bool sent = g->sent;

	if (!g->done)
		bug("a GET is cancelled from within its end");
	get_free(g);
	return sent;
}
