/*
 * inspecting.h - what the parent does around inspect: memory files in, a sealed and validated form out.
 */
#ifndef PARENT_INSPECTING_H
#define PARENT_INSPECTING_H

#include "download.h"

/* Makes the memory files that inspect fills.  0, or -1: the download has failed. */
int inspecting_prepare(struct download *d) MUST_CHECK;

/* Gives inspect its descriptors when it can take them. */
void inspecting_feed(struct download *d);

/* INSPECTED.  0, or -1 for a broken contract. */
int inspecting_on_answer(struct download *d, const struct msg_inspected *m) MUST_CHECK;

/* inspect is reaped: the download is PREPARED (get), its text printed (show), or failed. */
void inspecting_end(struct download *d);

#endif
