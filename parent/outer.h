/*
 * outer.h - what is in a torrent file around its info dictionary: all of it the user's own words.
 */
#ifndef PARENT_OUTER_H
#define PARENT_OUTER_H

#include "bencode_write.h"
#include "options.h"

/* From the first byte of the file to the first one of the info dictionary, and from there to the end. */
void outer_put_head(struct bencode_out *o, const struct options *options);
void outer_put_tail(struct bencode_out *o, const struct options *options);

#endif
