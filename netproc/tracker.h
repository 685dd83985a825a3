/*
 * tracker.h - what is said to a tracker over HTTP and what it answers (BEP 3, 7,
 * 23, 24, 31): an announce URL is made of numbers, a reply becomes numbers.
 *
 * Pure: bytes in, values out.  Owns no descriptor, no clock and no memory.  The
 * reply is a stranger's; its text is handed on as bytes, never printed here.
 */
#ifndef NETPROC_TRACKER_H
#define NETPROC_TRACKER_H

#include "messages.h"

#define TRACKER_URL_MAX 4096u      /* an announce URL with all its parameters */
#define TRACKER_ID_MAX 256u        /* bytes of a tracker id that is kept */
#define TRACKER_PEERS_MAX 2000u    /* taken of one reply */
#define TRACKER_NAMES_MAX 16u      /* of these with a host name */
#define TRACKER_BODY_MAX (2u << 20) /* a reply, inflated: a compact one of 2000 peers is 36 KiB at most */
#define TRACKER_TOKENS_MAX 500000u

#define TRACKER_INTERVAL_S 1800u     /* when the tracker says none */
#define TRACKER_INTERVAL_LEAST_S 30u
#define TRACKER_INTERVAL_MOST_S 86400u
#define TRACKER_MIN_INTERVAL_MOST_S 3600u /* a tracker that answers with nobody must not silence us for a day */
#define TRACKER_RETRY_NEVER UINT32_MAX

/* How an announce ended: msg_tracker_event.result. */
enum tracker_result {
	TRACKER_OK,
	TRACKER_FAILURE,     /* the tracker said "failure reason" */
	TRACKER_HTTP_STATUS, /* not 200, and no failure reason either */
	TRACKER_NO_ADDRESS,  /* the name has no address (of this family) */
	TRACKER_CONNECT,     /* not reached, or the connection ended early */
	TRACKER_TLS,         /* certificate or handshake */
	TRACKER_TIMEOUT,
	TRACKER_MALFORMED,   /* neither HTTP nor bencode */
	TRACKER_TOO_LARGE,   /* headers or body beyond the limits */
	TRACKER_POLICY,      /* the dialer's address policy refused it */
	TRACKER_REDIRECT,    /* too many hops, or to where we do not follow */
	TRACKER_BAD_URL,     /* libcurl does not take the URL */
	TRACKER_RESULTS
};
extern const char *const tracker_result_texts[TRACKER_RESULTS];

enum tracker_event { TRACKER_NONE, TRACKER_STARTED, TRACKER_COMPLETED, TRACKER_STOPPED, TRACKER_PAUSED };

struct tracker_request {
	uint8_t info_hash[20];
	uint8_t peer_id[20];
	uint16_t port;
	enum tracker_event event;
	uint64_t uploaded, downloaded, left; /* bytes */
	uint32_t numwant;
	uint32_t key;                 /* the same for all announces of this run: says that two addresses are one client */
	const uint8_t *tracker_id;    /* borrowed; NULL when the tracker gave none */
	size_t tracker_id_bytes;      /* <= TRACKER_ID_MAX */
};

/*
 * Writes the announce URL: `url` without its fragment, its own query kept, then
 * the parameters of BEP 3, 7 and 23.  False when it does not fit.
 */
bool tracker_announce_url(char *out, size_t room, const char *url, const struct tracker_request *r) MUST_CHECK;

struct tracker_reply {
	bool failed;             /* it said "failure reason": text is that; no peers */
	uint32_t interval_s;     /* clamped */
	uint32_t min_interval_s; /* clamped; 0: not said */
	uint32_t retry_s;        /* BEP 31; 0: not said; TRACKER_RETRY_NEVER */
	uint32_t seeds, leechers; /* UINT32_MAX: not said */
	uint32_t peers;          /* how many were handed to the sink, names included */
	uint32_t left_out;       /* how many more there were, or were unusable */
	struct net_addr external; /* BEP 24: what the tracker takes us for; family 0: not said */
	uint16_t id_bytes;       /* tracker id; 0: none was given */
	uint8_t id[TRACKER_ID_MAX];
	uint16_t text_bytes;     /* failure reason or warning message, cut to fit */
	uint8_t text[sizeof((struct msg_tracker_event *)0)->text];
};

/* Where the peers of a reply go.  host is lower case letters, digits, '-', '_', '.' only. */
struct tracker_sink {
	void *arg;
	void (*on_peer)(void *arg, const struct net_addr *addr);
	void (*on_name)(void *arg, const char *host, uint16_t port);
};

/*
 * Reads a reply.  Returns NULL, or why it is none (a constant string; then
 * nothing was handed to the sink and *r means nothing).  sink NULL: peers are
 * not wanted.  Takes no memory.
 */
const char *tracker_parse(struct tracker_reply *r, const uint8_t *body, size_t bytes, const struct tracker_sink *sink) MUST_CHECK;

#endif
