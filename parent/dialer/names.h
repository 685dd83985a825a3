/*
 * names.h - the names that were asked of the resolver lately.
 *
 * A fixed table: several dials to one name share a question, and a re-announce
 * within a minute asks nothing.  Pure: whoever uses it sends and receives.
 */
#ifndef DIALER_NAMES_H
#define DIALER_NAMES_H

#include "messages.h"

#define NAMES_MAX 64u
#define NAMES_KEEP_MS 60000u      /* an answer */
#define NAMES_KEEP_FAILED_MS 5000u /* a failure: long enough that a loop of retries does not reach the name server */
#define NAMES_WAIT_MS 30000u      /* for the resolver */

enum name_state { NAME_FREE, NAME_ASKED, NAME_KNOWN, NAME_FAILED };

struct name {
	enum name_state state;
	uint32_t tag;    /* of the question */
	uint32_t status; /* NAME_FAILED: the EAI_* number made positive; 0: the resolver was silent */
	uint64_t until_ms;
	uint32_t count;
	struct net_addr addr[RESOLVED_MAX];
	char host[HOST_MAX]; /* lower case */
};

struct names {
	struct name row[NAMES_MAX];
	uint32_t last_tag;
};

/* 1 to 253 bytes of letters, digits, '.', '-' and '_'. */
bool names_host_is_sound(const char *host);

/*
 * The row of this name, which must be sound.  *ask: it is new, and the caller
 * must send RESOLVE with its tag and host.  NULL when all rows wait for answers.
 */
struct name *names_find(struct names *n, const char *host, uint64_t now_ms, bool *ask);

/* Takes an answer.  The row it answered, or NULL: none waits for it.  *bad: the resolver broke the contract. */
struct name *names_answer(struct names *n, const struct msg_resolved *m, uint64_t now_ms, bool *bad);

/* A row whose question the resolver left unanswered, now failed; NULL: there is none.  Call until NULL. */
struct name *names_expire(struct names *n, uint64_t now_ms);

/* When names_expire() may have something; UINT64_MAX: never. */
uint64_t names_deadline(const struct names *n);

/* The question cannot be asked, or its resolver is gone: the row is free again. */
void names_forget(struct name *row);

#endif
