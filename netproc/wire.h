/*
 * wire.h - the peer wire protocol (BEP 3, 6, 10) as bytes: a pure core.
 *
 * wire_head() looks at the front of a stream and says what stands there, or how
 * many bytes it must see first; the wire_put functions append messages to a
 * buffer.  Nothing here knows a socket, a peer's state or a clock.
 */
#ifndef NETPROC_WIRE_H
#define NETPROC_WIRE_H

#include "messages.h"

#define WIRE_HANDSHAKE_BYTES 68u
#define WIRE_HEAD_MAX 17u /* longest message of fixed size, with its length prefix */
#define WIRE_PIECE_HEAD 13u

/* Caps on what a peer may announce.  A longer message is a lie or an attack: the peer is dropped. */
#define WIRE_MAX_EXTENDED (16u * 1024u) /* an extended handshake; longer ones are skipped unread */
#define WIRE_MAX_UNKNOWN (1u << 20)     /* unknown messages that are skipped */

enum wire_id {
	WIRE_CHOKE = 0,
	WIRE_UNCHOKE = 1,
	WIRE_INTERESTED = 2,
	WIRE_NOT_INTERESTED = 3,
	WIRE_HAVE = 4,
	WIRE_BITFIELD = 5,
	WIRE_REQUEST = 6,
	WIRE_PIECE = 7,
	WIRE_CANCEL = 8,
	WIRE_PORT = 9,            /* BEP 5 */
	WIRE_SUGGEST = 13,        /* BEP 6 from here */
	WIRE_HAVE_ALL = 14,
	WIRE_HAVE_NONE = 15,
	WIRE_REJECT = 16,
	WIRE_ALLOWED_FAST = 17,
	WIRE_EXTENDED = 20,       /* BEP 10 */
	WIRE_KEEPALIVE = 256,     /* length 0; not on the wire as a number */
};

enum wire_step {
	WIRE_NEED,  /* out->bytes must be there before more can be said */
	WIRE_WHOLE, /* a message of fixed size: out->bytes long, done */
	WIRE_BODY,  /* the head is out->bytes long, a body of out->body bytes follows */
	WIRE_BAD,   /* this peer is lying: drop it; out->why */
};

struct wire_head {
	uint32_t id;         /* enum wire_id, or an unknown number below 256 */
	uint32_t bytes;      /* of the head */
	uint32_t body;       /* PIECE: block; BITFIELD: the field; EXTENDED: after its sub-id; unknown: all */
	uint32_t piece, begin, length; /* HAVE, SUGGEST, ALLOWED_FAST: piece; REQUEST, CANCEL, REJECT: all; PIECE: piece, begin */
	uint16_t port;       /* PORT */
	uint8_t extended;    /* EXTENDED: sub-id */
	const char *why;     /* WIRE_BAD: a constant string */
};

/* bitfield_bytes is the one legal length of a BITFIELD of this torrent. */
enum wire_step wire_head(const uint8_t *p, size_t have, uint32_t bitfield_bytes, struct wire_head *out);

struct wire_handshake {
	uint8_t reserved[8];
	uint8_t info_hash[20];
	uint8_t peer_id[20];
};
/* 68 bytes.  False when the first 20 are not those of BitTorrent. */
bool wire_parse_handshake(const uint8_t *p, struct wire_handshake *out);
/* Writes 68 bytes: extension protocol and fast extension are offered. */
void wire_put_handshake(uint8_t *out, const uint8_t info_hash[20], const uint8_t peer_id[20]);
static inline bool wire_offers_extended(const struct wire_handshake *h) { return h->reserved[5] & 0x10; }
static inline bool wire_offers_fast(const struct wire_handshake *h) { return h->reserved[7] & 0x04; }

/* Each writes one whole message and returns its length. */
size_t wire_put_plain(uint8_t *out, enum wire_id id);                 /* 5: choke .. not interested, have all, have none */
size_t wire_put_have(uint8_t *out, uint32_t piece);                   /* 9 */
size_t wire_put_allowed_fast(uint8_t *out, uint32_t piece);           /* 9 */
size_t wire_put_triple(uint8_t *out, enum wire_id id, uint32_t piece, uint32_t begin, uint32_t length); /* 17: request, cancel, reject */
size_t wire_put_keepalive(uint8_t *out);                              /* 4 */
size_t wire_put_bitfield_head(uint8_t *out, uint32_t bitfield_bytes); /* 5; the field follows */
size_t wire_put_piece_head(uint8_t *out, uint32_t piece, uint32_t begin, uint32_t length); /* 13; the block follows */

/* Our extended handshake (BEP 10). */
struct wire_hello {
	const char *client;  /* "v", at most 64 bytes; NULL: not said */
	uint32_t reqq;       /* requests that we queue */
	uint16_t port;       /* where we listen; 0: not said */
	bool upload_only;    /* BEP 21: we need nothing (any more) */
	const struct net_addr *yourip; /* the peer's own address, its port unused; NULL: not said */
};
#define WIRE_HELLO_MAX 256u
/* Writes at most WIRE_HELLO_MAX bytes and returns how many.  May be sent again when something changes: a later one adds to the first. */
size_t wire_put_hello(uint8_t *out, const struct wire_hello *hello);

/*
 * What we use of a peer's extended handshake.  Absent values are 0; a repeated
 * handshake adds to the first, so an absent value takes nothing back.  Its "m"
 * is not read: we send no message of an extension.
 */
struct wire_extended {
	uint32_t reqq;        /* 1..65535 */
	uint16_t port;        /* where it listens */
	bool says_upload_only; /* it named the next one */
	bool upload_only;     /* BEP 21 */
	struct net_addr yourip; /* our address as it sees it: a stranger's word; family 0: not said */
	char client[64];      /* printable ASCII of "v", others escaped */
};
/* The payload after the sub-id.  False when it is not a dictionary. */
bool wire_parse_extended(const uint8_t *p, size_t bytes, struct wire_extended *out);

#endif
