/*
 * peers.c - see peers.h.
 */
#include "peers.h"

static bool has_http_tracker(const struct metainfo *m)
{
	uint32_t i;

	for (i = 0; i < m->h->tracker_count; i++)
		if (metainfo_trackers(m)[i].scheme == METAINFO_HTTP || metainfo_trackers(m)[i].scheme == METAINFO_HTTPS)
			return true;
	return false;
}

bool peers_from_http(const struct metainfo *m, const struct options *o)
{
	return o->trackers && has_http_tracker(m);
}

const char *peers_from_nowhere(const struct metainfo *m, const struct options *o)
{
	/* A port that the user chose is one that others may have been told. */
	if (o->peer_count || peers_from_http(m, o) || (o->listen && o->port_given))
		return NULL;
	return o->trackers ? "the torrent names no HTTP tracker, and there is no --peer" : "there is --no-trackers, and no --peer";
}
