/*
 * magnet.h - magnet links: BEP 9, and what is in use beside it.
 */
#ifndef INSPECT_MAGNET_H
#define INSPECT_MAGNET_H

#include "torrent.h"

#define MAGNET_MAX_BYTES (256u << 10)

/* Whether the input is the text of a magnet link (after white space) and not a torrent. */
bool magnet_is_one(const uint8_t *bytes, size_t length);

/* Reads in->input as a magnet link.  False: see in->refusal. */
bool magnet_parse(struct inspect *in, struct torrent *t) MUST_CHECK;

#endif
