/*
 * screen.h - all that people and programs see of bulkhead.
 *
 * stdout is for results: the path of a finished download, the text of `show`,
 * or JSON lines.  stderr is for talk: one progress line on a terminal, plain
 * lines elsewhere, errors.  Bytes of strangers reach neither of them raw: they
 * are escaped here (text.h), also those that a compartment sent as its log.
 *
 * Nothing here waits for whoever reads, but screen_write() and screen_drain():
 * what is not taken at once waits in memory, and progress, then talk, is left
 * out when too much does (stream.h).
 *
 * There is one screen in a process.  No stream of stdio is used: it would stat
 * and seek after the lock.
 */
#ifndef PARENT_SCREEN_H
#define PARENT_SCREEN_H

#include <poll.h>

#include "log.h"
#include "options.h"
#include "text.h"

/* Looks at the two streams and the environment; before the lock. */
void screen_open(const struct options *o);

/* After SIGWINCH. */
void screen_resize(void);

/* Columns of the terminal that stdout is, 0 when it is none. */
uint32_t screen_stdout_width(void);

/* A line that starts with "bulkhead: ", always. */
void screen_error(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* The same, not with -q. */
void screen_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* What happened, in plain words: not with -q, not with --json. */
void screen_note(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* A log line of a process; its text may be a stranger's.  source: the index of the SOURCE. */
void screen_log(uint32_t source, enum role role, enum log_level level, enum log_topic topic, const void *text, size_t length);

/* Bytes of a stranger as this terminal can show them.  Returns out. */
const char *screen_safe(char *out, size_t room, const void *bytes, size_t length);

/* One download as the progress line shows it. */
struct screen_row {
	const char *name;
	size_t name_length;
	bool checking, syncing, seeding, hashing; /* hashing: of create, which has no peers */
	bool detail; /* -v: what only the curious want to know, too */
	uint64_t done, total;            /* of what is wanted */
	uint64_t checked, to_check;      /* of all of it, wanted or not */
	uint64_t received, wasted, rate; /* rate: bytes per second */
	uint64_t uploaded, up_rate;      /* uploaded: in earlier runs too */
	uint64_t ratio_milli;
	uint64_t left_s;                 /* seeding: until time ends it; UINT64_MAX: it does not */
	uint32_t pieces, pieces_total, rejected, pieces_open;
	uint32_t peers, peers_known;
	uint32_t unchoked, interested, incoming; /* peers: by us; in us; that connected to us */
	uint32_t source;
};

/* Draws, prints or sends what is due now; more often is harmless. */
void screen_progress(const struct screen_row *rows, uint32_t count, uint64_t now_ms);
/* When the next is due. */
uint64_t screen_due(void);
/* The progress line goes; later lines stay. */
void screen_end(void);

/* One row in at most `width` columns, without the newline. */
void screen_format_row(struct text *t, const struct screen_row *row, uint32_t width, bool utf8);

/* `lead` and the path of what was made, on stdout: escaped on a terminal.  Nothing with --json. */
void screen_result(const char *lead, const char *dir, const void *name, size_t length);

/* A line on stdout: `root`, or root/path when the path is not empty, escaped; and a verdict.  Nothing with --json. */
void screen_file(const char *root, const void *path, size_t length, const char *verdict);

/*
 * The errno with which results could not be written, though somebody wants them
 * (a full disk); 0: all were, or whoever read them (a pipe, socket or terminal) is gone.
 */
int screen_lost(void);

/* Bytes to stdout as they are; waits until all of them were taken.  -1 with errno. */
int screen_write(const void *bytes, size_t length) MUST_CHECK;

#define SCREEN_STREAMS 2u
/* Writes what waits, and adds to pf what is to be polled while something still does: how many, at most SCREEN_STREAMS. */
uint32_t screen_watch(struct pollfd *pf);
/*
 * At the end: waits until all was taken or nobody reads any more: true.  False:
 * `wake` (a descriptor, or -1) became readable first, or timeout_ms (-1: none)
 * passed in which nothing was taken.
 */
bool screen_drain(int wake, int timeout_ms);

/*
 * One JSON line on stdout; each call does nothing without --json.  source: the
 * index of the SOURCE or UINT32_MAX.  See bulkhead(1) for the events.
 */
void json_begin(const char *event, uint32_t source);
void json_text(const char *key, const void *bytes, size_t length);
void json_word(const char *key, const char *word);
void json_number(const char *key, uint64_t value);
void json_bool(const char *key, bool value);
/* A list of objects: json_list(), then for each json_item(), its fields, json_item_end(); json_list_end(). */
void json_list(const char *key);
void json_item(void);
void json_item_end(void);
void json_list_end(void);
void json_end(void);
/* The same for what is never left out: a source or all of it has ended. */
void json_end_result(void);

#endif
