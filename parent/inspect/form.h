/*
 * form.h - a torrent as the normal form of metainfo.h.
 */
#ifndef INSPECT_FORM_H
#define INSPECT_FORM_H

#include "torrent.h"

/*
 * Builds the form and validates it as its receivers will.  *form is owned by
 * the caller (free), 8-aligned.  False: see in->refusal.  Trackers that are
 * METAINFO_OTHER are left out, and tiers that only had such are closed up.
 */
bool form_build(struct inspect *in, const struct torrent *t, uint8_t **form, size_t *bytes) MUST_CHECK;

#endif
