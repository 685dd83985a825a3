/*
 * source.h - the bytes of a SOURCE, unread: a torrent file, standard input or a magnet link.
 *
 * They are copied into a memory file that is then sealed, so that inspect gets
 * neither the user's file nor anything that could change under it.  The parent
 * copies and counts; what the bytes mean is for inspect alone.
 */
#ifndef PARENT_SOURCE_H
#define PARENT_SOURCE_H

#include "common.h"

/*
 * Opens and copies.  Blocks while a pipe or terminal has nothing yet; before
 * the lock.  Returns the sealed memory file, or an exit status made negative,
 * with one line in `error` (the source's name escaped).
 */
int source_read(const char *source, uint64_t max_bytes, char *error, size_t room) MUST_CHECK;

#endif
