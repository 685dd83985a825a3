/*
 * supervise.h - starts, watches and ends everything: one poll loop for all SOURCEs.
 */
#ifndef PARENT_SUPERVISE_H
#define PARENT_SUPERVISE_H

#include "options.h"

/*
 * Does what the options say for each SOURCE and returns the exit status.  From
 * the start of the first download until the end the process is behind its own
 * walls: after this call it can do little but exit.
 */
int supervise(const struct options *o) MUST_CHECK;

#endif
