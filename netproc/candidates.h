/*
 * candidates.h - the addresses of a swarm that we know: a pure core.
 *
 * Whom to dial next, when to try again, whom never.  At most CANDIDATES_MAX
 * addresses, whatever trackers send.  Each has an id, above 0 and at most 2^31,
 * that stays the same over reconnects: blame is by id.
 */
#ifndef NETPROC_CANDIDATES_H
#define NETPROC_CANDIDATES_H

#include "messages.h"

#define CANDIDATES_MAX 4096u
#define NO_CANDIDATE UINT32_MAX

enum candidate_state { CANDIDATE_FREE, CANDIDATE_IDLE, CANDIDATE_DIALING, CANDIDATE_CONNECTED, CANDIDATE_NEVER };

struct candidate {
	struct net_addr addr;
	uint32_t id;
	enum candidate_state state;
	uint32_t failures; /* in a row */
	uint32_t sources;  /* bits 1 << enum peer_source: who named it */
	bool forced;       /* the user did */
	bool banned;       /* never, however its dial ends */
	bool refused;      /* never, since the policy refuses it: costs little to find out again */
	uint64_t next_ms;  /* not before */
	void *peer;        /* the connection; the caller's */
};

struct candidates;

/* `key` makes the places of addresses in the table unpredictable. */
struct candidates *candidates_new(uint64_t key);
void candidates_free(struct candidates *c);

/* Returns its index, also when it is known already; NO_CANDIDATE when the table is full of better ones or it is no address. */
uint32_t candidates_add(struct candidates *c, const struct net_addr *addr, enum peer_source source, uint64_t now_ms);
struct candidate *candidates_at(struct candidates *c, uint32_t index);
/* By id; NULL when it is gone. */
struct candidate *candidates_by_id(struct candidates *c, uint32_t id);

/* One to dial now (forced first, then those never tried, then by fewest failures), or NO_CANDIDATE and *wait_ms until one is due. */
uint32_t candidates_next(struct candidates *c, uint64_t now_ms, uint64_t *wait_ms);

/* It is being dialled now. */
void candidates_take(struct candidates *c, uint32_t index);

/* The connection could not be made or ended: tried again after a while that doubles with each failure in a row. */
void candidates_retry(struct candidates *c, uint32_t index, bool failed, uint64_t least_ms, uint64_t now_ms);
/* Never again. */
void candidates_never(struct candidates *c, uint32_t index);
/* The policy refuses it: never, and the first to give up its place. */
void candidates_refused(struct candidates *c, uint32_t index);

uint32_t candidates_known(const struct candidates *c);
/* Idle ones that may still be tried. */
uint32_t candidates_idle(const struct candidates *c);

#endif
