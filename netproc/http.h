/*
 * http.h - HTTP and HTTPS GETs by libcurl on sockets that the dialer connected,
 * inside the one loop.
 *
 * Runs after the lock: libcurl opens no file, makes no thread and no socket of
 * its own (http_curl.c says what that takes).
 * Redirects are followed here, hop by hop, each dialled anew under the policy:
 * at most HTTP_REDIRECTS, to http or https only, never from https to http.
 * Certificates are always verified, against the given authorities and nothing
 * else.  No connection outlives its GET.
 */
#ifndef NETPROC_HTTP_H
#define NETPROC_HTTP_H

#include "dial.h"

#define HTTP_REDIRECTS 5u
#define HTTP_URL_MAX 4096u
#define HTTP_HEADERS_MAX (64u * 1024u) /* of one reply: all header lines, interim replies and trailers */
#define HTTP_TEXT_MAX 256u

enum http_error {
	HTTP_OK,          /* a whole reply, whatever its status */
	HTTP_NO_ADDRESS,  /* the host has no address of this family */
	HTTP_POLICY,      /* the dialer refused the address */
	HTTP_CONNECT,     /* not connected, or the connection ended too early */
	HTTP_TLS,
	HTTP_TIMEOUT,
	HTTP_MALFORMED,   /* not HTTP, or an encoding that was not asked for */
	HTTP_TOO_LARGE,
	HTTP_REDIRECT,
	HTTP_BAD_URL,
	HTTP_ERRORS
};

struct http;     /* the one libcurl multi handle */
struct http_get; /* a GET under way */

struct http_request {
	const char *url;        /* copied */
	enum net_kind kind;
	uint8_t family;         /* 0 any, 4, 6 */
	uint32_t total_ms;      /* for all of it: names, connections, redirects */
	uint32_t idle_ms;       /* without a byte once connected */
	uint32_t body_max;      /* bytes after decompression */
	const char *user_agent; /* NULL: none is sent; copied */
};

/* What came of it.  All is borrowed for the time of the call. */
struct http_reply {
	enum http_error error;
	uint32_t status;     /* of the last reply, 0 when there was none */
	bool sent;           /* whether a server may have read a request */
	const uint8_t *body; /* NULL when it is empty */
	size_t bytes;
	const char *text;    /* what went wrong; may hold a stranger's bytes; "" when error is HTTP_OK */
};
typedef void (*http_done)(void *arg, const struct http_reply *reply);

/*
 * ca_pem: certificate authorities, borrowed for good; NULL: every https URL is
 * refused.  Before the lock: libcurl and OpenSSL load here all that they load
 * lazily.  Ignores SIGPIPE for the whole process.
 */
struct http *http_new(struct loop *l, struct dials *d, const void *ca_pem, size_t ca_bytes);
void http_free(struct http *h);

/*
 * Starts a GET.  `done` is called exactly once, from the loop and never from
 * within http_get(), unless the GET is cancelled.  NULL when there is no memory.
 */
struct http_get *http_get(struct http *h, const struct http_request *r, http_done done, void *arg) MUST_CHECK;

/* Ends it without a call of `done`.  True when the server may have read the request. */
bool http_cancel(struct http_get *g);

#endif
