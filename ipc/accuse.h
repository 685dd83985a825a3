/*
 * accuse.h - how a compartment tells the parent that a sibling broke the contract.
 *
 * Whoever finds a violation closes that channel, accuses, and lives on: the
 * parent ends the accused and passes a channel to its replacement.
 */
#ifndef IPC_ACCUSE_H
#define IPC_ACCUSE_H

#include "channel.h"

/* Accusations go to this channel, borrowed; NULL: nowhere (tests). */
void accuse_to_channel(struct channel *control);

/*
 * `offender`, at the other end of `c`, broke the contract.  why and detail
 * (NULL: none) are constant texts of ours.  Once for each channel; it leaves
 * with the next flush of the control channel.
 */
void accuse(enum role offender, const struct channel *c, const char *why, const char *detail);

#endif
