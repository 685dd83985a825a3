/*
 * http_state.h - what the files of http.h share; nobody else includes it.
 *
 *	http.c        the way of a GET: dialling, redirects, deadlines, its end
 *	http_curl.c   libcurl: warmed up, given sockets, mirrored into the loop
 *	http_reply.c  what a server may send: headers, encodings, the body
 *	http_url.c    whom a URL names, and where a reply may point
 */
#ifndef NETPROC_HTTP_STATE_H
#define NETPROC_HTTP_STATE_H

#include <curl/curl.h>

#include "authorities.h"
#include "http.h"

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

/* http.c */

/* libcurl is done with it. */
void http_transfer_ended(struct http_get *g, CURLcode code);

/* http_curl.c */

/* libcurl gets a socket that is connected, and starts.  False: it takes none of it. */
bool http_curl_begin(struct http_get *g, int fd) MUST_CHECK;
/* Ends the use of the socket and the handle; the body stays. */
void http_curl_drop(struct http_get *g);
enum http_error http_curl_error(CURLcode code);

/* http_reply.c: libcurl's callbacks; arg is the GET.  They stop the transfer by g->broken. */
size_t http_on_header(char *line, size_t one, size_t n, void *arg);
size_t http_on_body(char *bytes, size_t one, size_t n, void *arg);

/* http_url.c */

/* NULL: it is http, or https when *https; otherwise what is wrong. */
const char *http_url_scheme(CURLU *url, bool *https);
/* Host and port of this hop, as libcurl itself reads the URL.  False when it is none that we dial. */
bool http_url_target(CURLU *url, char host[HOST_MAX], uint16_t *port);
/* The transfer is dropped, and where its reply points becomes the GET's URL; NULL, or why not. */
const char *http_url_follow(struct http_get *g);

#endif
