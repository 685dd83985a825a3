/*
 * feed.h - what each compartment of a download is given: descriptors, channels, options.
 *
 * A compartment is fed while it is in SETUP; its set-up ends when it has all
 * that its role needs.  While it RUNs it is given new ends of channels whose
 * other end died.
 */
#ifndef PARENT_FEED_H
#define PARENT_FEED_H

#include "download.h"

/* The roles that this download runs, as bits: for one that has nothing to fetch only diskproc. */
uint32_t feed_roles(const struct download *d);

/* Asks for those that are not there yet (not `without`), and for the channels between them. */
void feed_launch(struct download *d, uint32_t without);

/* One of `role`'s processes died: its channels are replaced by new ones. */
void feed_renew(struct download *d, enum role role);

/* The launcher's answer, if it is a pair of this download. */
bool feed_on_pair(struct download *d, const struct launcher_answer *a);

/* Whether these two roles have a channel between them; *epoch is that of the present one. */
bool feed_has_edge(const struct download *d, enum role a, enum role b, uint32_t *epoch);

/* Tells netproc the port on which others can connect to us: before its GO, and when it has changed. */
void feed_listen_port(struct download *d);

/* Gives everybody what can be given now. */
void feed_all(struct download *d);

void feed_close_edge(struct edge *e);

#endif
