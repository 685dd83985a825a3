/*
 * http_curl.c - see http_state.h: libcurl in our loop.
 *
 * libcurl opens no file, makes no thread and no socket of its own: warm_up() and
 * set_options() say what that takes.  Its own timer and sockets are mirrored
 * into the loop by on_curl_timer() and on_curl_socket(); it is entered only from
 * the loop, never from within its own callbacks.
 */
#include <errno.h>
#include <signal.h>
#ifdef SANDBOX_WIDE
#include <seccomp.h>
#endif
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "http_state.h"

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
		http_transfer_ended(g, code); /* m is gone now */
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
	SET(CURLOPT_WRITEFUNCTION, http_on_body);
	SET(CURLOPT_WRITEDATA, g);
	SET(CURLOPT_HEADERFUNCTION, http_on_header);
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

bool http_curl_begin(struct http_get *g, int fd)
{
	g->fd = g->socket = fd;
	g->progress_ms = loop_now(g->h->loop);
	g->easy = curl_easy_init();
	return g->easy && set_options(g) && curl_multi_add_handle(g->h->multi, g->easy) == CURLM_OK;
}

void http_curl_drop(struct http_get *g)
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

enum http_error http_curl_error(CURLcode code)
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
