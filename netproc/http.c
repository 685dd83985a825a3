/*
 * http.c - see http.h.
 *
 * A GET goes through: waiting (the first turn, or the dialer was full) ->
 * dialling -> transfer (libcurl has the socket), and back to waiting for each
 * redirect.  One timer a GET serves all of its deadlines.
 */
#include "http.h"

#include "http_state.h"
#include "log.h"

#define REDIAL_MS 500u

static void finish(struct http_get *g, enum http_error error, const char *text);
static void get_timer(void *arg);

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
	g->state = GET_TRANSFER;
	g->status = g->header_bytes = g->encodings = 0;
	g->bytes = 0;
	g->broken = HTTP_OK;
	if (!http_curl_begin(g, fd)) {
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

static void dial(struct http_get *g)
{
	char host[HOST_MAX];
	uint16_t port;

	if (!http_url_target(g->url, host, &port)) {
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

void http_transfer_ended(struct http_get *g, CURLcode code)
{
	const char *why;
	long status = 0;

	curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
	g->status = (uint32_t)status;
	if (g->broken != HTTP_OK) {
		finish(g, g->broken, g->broken == HTTP_TOO_LARGE ? "beyond our limit" : "an encoding that was not asked for");
	} else if (code != CURLE_OK) {
		finish(g, http_curl_error(code), g->curl_text[0] ? g->curl_text : curl_easy_strerror(code));
	} else if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) {
		why = http_url_follow(g);
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
	http_curl_drop(g);
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
	http_curl_drop(g);
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
	if (strlen(r->url) < HTTP_URL_MAX && curl_url_set(g->url, CURLUPART_URL, r->url, 0) == CURLUE_OK && http_url_scheme(g->url, &g->https))
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
