/*
 * log.h - one line, one event: process, subject, what, numbers.
 *
 * In a compartment the line goes to the parent as a message, which escapes and
 * prints it; it is dropped and counted when the parent does not keep up.  In
 * the parent itself it goes to the sink that screen.c installs.  Text from
 * strangers may be logged only through log_quote().
 */
#ifndef IPC_LOG_H
#define IPC_LOG_H

#include "messages.h"

enum log_level { LOG_BUG, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DETAIL, LOG_TRACE, LOG_LEVELS };
/* BUG..INFO are for people; DETAIL is shown with -v, TRACE with -vv. */

enum log_topic { TOPIC_NONE, TOPIC_PEER, TOPIC_TRACKER, TOPIC_DIAL, TOPIC_PICK, TOPIC_DISK, TOPIC_WALL, TOPIC_IPC, TOPIC_TORRENT, TOPICS };
extern const char *const log_topic_names[TOPICS];

struct channel;

/* From now on lines up to `level` go out on `control` (a compartment) or to `sink` (the parent). */
void log_to_channel(struct channel *control, enum log_level level);
void log_to_sink(void (*sink)(enum role role, enum log_level level, enum log_topic topic, const char *text), enum log_level level);

/* Whether such a line would go anywhere; ask before costly formatting. */
bool log_wants(enum log_level level);

void log_line(enum log_level level, enum log_topic topic, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Sends at once, bypassing the queue: the last words of a process. */
void log_now(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Bytes of a stranger as printable text: C-like escapes for what is not
 * printable ASCII, cut to fit with "..." at the end.  Always terminates out.
 * Returns out.  room >= 8.
 */
const char *log_quote(char *out, size_t room, const void *bytes, size_t length);

/* A size for people: "512 B", "1.46 GiB"; three digits, rounded.  room >= 16.  Returns out. */
const char *bytes_text(char *out, size_t room, uint64_t bytes);

/* "192.0.2.1:6881", "[2001:db8::1]:6881".  room >= 64.  Returns out. */
const char *net_addr_text(char *out, size_t room, const struct net_addr *a);

#endif
