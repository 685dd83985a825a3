/*
 * accuse.c - see accuse.h.  Needs no memory but the control channel's queue.
 */
#include "accuse.h"

#include <errno.h>
#include <unistd.h>

#include "log.h"

static struct channel *to;

void accuse_to_channel(struct channel *control)
{
	to = control;
}

void accuse(enum role offender, const struct channel *c, const char *why, const char *detail)
{
	struct msg_accuse m = { .role = (uint32_t)offender, .epoch = c->epoch };
	int n = snprintf((char *)m.text, sizeof m.text, "%s%s%s", why, detail ? ": " : "", detail ? detail : "");

	m.length = n < 0 ? 0 : n >= (int)sizeof m.text ? (uint16_t)(sizeof m.text - 1) : (uint16_t)n;
	if (!to || channel_push(to, MSG_ACCUSE, &m) == 0 || errno == EPIPE || errno == ECONNRESET)
		return;
	/*
	 * The parent has let 64 KiB lie.  Untold, this process would wait for ever for a channel that nobody makes; its
	 * end is noticed in any case.
	 */
	log_now(LOG_ERROR, "%s broke the contract, and the parent does not listen: %s", role_name(offender), (const char *)m.text);
	_exit(1);
}
