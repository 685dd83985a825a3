/*
 * peers.h - where a download can hear of peers: a tracker that is asked, --peer,
 * those that know the port of --port.
 * Each way to find them that bulkhead learns is one more line in peers.c.
 */
#ifndef PARENT_PEERS_H
#define PARENT_PEERS_H

#include "metainfo.h"
#include "options.h"

/* Whether netproc is to ask HTTP trackers. */
bool peers_from_http(const struct metainfo *m, const struct options *o);

/* NULL; or why no peer can ever be heard of, in words that follow "nobody to download from: ". */
const char *peers_from_nowhere(const struct metainfo *m, const struct options *o);

#endif
