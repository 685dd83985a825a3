/*
 * show.h - `bulkhead show`: everything that one wants to know before trusting a
 * torrent, as a page of text or as one JSON object.
 */
#ifndef INSPECT_SHOW_H
#define INSPECT_SHOW_H

#include "out.h"
#include "torrent.h"

/* Files that the text lists; JSON has them all. */
#define SHOW_TEXT_FILES 1000u
/* Bytes that the text shows of a name, comment and the like. */
#define SHOW_TEXT_BYTES 2000u

/* The result of writing is out_flush()'s. */
/* Number, size and path of each file, a line each. */
void show_list(const struct torrent *t, struct out *o);
void show_text(const struct inspect *in, const struct torrent *t, struct out *o);
void show_json(const struct inspect *in, const struct torrent *t, struct out *o);

/*
 * A magnet link for the same torrent, with those trackers in which nothing
 * looks like a passkey (at most 20); with none when it is private.
 */
void show_magnet(const struct torrent *t, struct out *o);

/* "2017-03-30 22:51:55 UTC" into out (32 bytes); false when the year is not 1970 to 9999. */
bool show_date(char out[32], int64_t seconds);

/* The original path of a file, read again from the input: a list of strings, or the string of a single file. */
void show_original(const struct torrent_file *f, const struct inspect *in, struct bencode *list);

#endif
