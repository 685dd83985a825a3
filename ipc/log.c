/*
 * log.c - see log.h.  Needs no memory and no stream; works after the lock.
 */
#include "log.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <unistd.h>

#include "channel.h"

const char *const log_topic_names[TOPICS] = { "", "peer", "tracker", "dial", "pick", "disk", "wall", "ipc", "torrent" };

static struct channel *channel;
static void (*sink_fn)(enum role, enum log_level, enum log_topic, const char *);
static enum log_level max_level = LOG_INFO;

/* Room that log lines leave for messages that matter. */
#define LOG_LEAVES_ROOM (CHANNEL_QUEUE_BYTES / 2)

void log_to_channel(struct channel *control, enum log_level level)
{
	channel = control;
	sink_fn = NULL;
	max_level = level;
}

void log_to_sink(void (*sink)(enum role, enum log_level, enum log_topic, const char *), enum log_level level)
{
	sink_fn = sink;
	channel = NULL;
	max_level = level;
}

bool log_wants(enum log_level level)
{
	return level <= max_level;
}

PRINTF_LIKE(4, 0)
static uint16_t fill(struct msg_log *m, enum log_level level, enum log_topic topic, const char *fmt, va_list ap)
{
	int n;

	memset(m, 0, sizeof *m);
	m->level = (uint8_t)level;
	m->topic = (uint8_t)topic;
	n = vsnprintf((char *)m->text, sizeof m->text, fmt, ap);
	m->length = n < 0 ? 0 : n >= (int)sizeof m->text ? (uint16_t)(sizeof m->text - 1) : (uint16_t)n;
	return m->length;
}

void log_line(enum log_level level, enum log_topic topic, const char *fmt, ...)
{
	struct msg_log m;
	va_list ap;

	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	fill(&m, level, topic, fmt, ap);
	va_end(ap);
	if (sink_fn)
		sink_fn(ROLE_PARENT, level, topic, (const char *)m.text);
	else if (channel && channel_room(channel) > LOG_LEAVES_ROOM)
		(void)(channel_push(channel, MSG_LOG, &m) == 0);
}

void log_now(enum log_level level, const char *fmt, ...)
{
	struct {
		struct packet_header h;
		struct msg_log m;
	} p;
	va_list ap;

	memset(&p, 0, sizeof p);
	va_start(ap, fmt);
	fill(&p.m, level, TOPIC_NONE, fmt, ap);
	va_end(ap);
	if (sink_fn) {
		sink_fn(ROLE_PARENT, level, TOPIC_NONE, (const char *)p.m.text);
	} else if (channel && channel->fd >= 0) {
		p.h = (struct packet_header){ .type = MSG_LOG, .count = 1, .epoch = channel->epoch };
		(void)!write(channel->fd, &p, sizeof p.h + sizeof p.m);
	} else {
		/* Before set-up, in tests and tools: the standard error stream is all there is. */
		(void)!write(2, p.m.text, p.m.length);
		(void)!write(2, "\n", 1);
	}
}

const char *log_quote(char *out, size_t room, const void *bytes, size_t length)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *p = bytes;
	size_t i, n = 0;

	for (i = 0; i < length; i++) {
		bool plain = p[i] >= 0x20 && p[i] < 0x7f && p[i] != '\\' && p[i] != '"';
		size_t need = plain ? 1 : 4;
		size_t keep = i + 1 == length ? 1 : 4; /* for "..." and the NUL, unless this is the last */

		if (need + keep > room - n) {
			memcpy(out + n, "...", room - n > 3 ? 3 : 0);
			n += room - n > 3 ? 3 : 0;
			break;
		}
		if (plain) {
			out[n++] = (char)p[i];
		} else {
			out[n++] = '\\';
			out[n++] = 'x';
			out[n++] = hex[p[i] >> 4];
			out[n++] = hex[p[i] & 15];
		}
	}
	out[n] = 0;
	return out;
}

const char *bytes_text(char *out, size_t room, uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes / 1024;
	size_t u = 0;

	if (bytes < 1024) {
		snprintf(out, room, "%u B", (unsigned)bytes);
		return out;
	}
	/* 999.5 and up would print as 1000: rather 0.98 of the next unit. */
	while (v >= 999.5 && u + 1 < ARRAY_LEN(units)) {
		v /= 1024;
		u++;
	}
	snprintf(out, room, v < 9.995 ? "%.2f %s" : v < 99.95 ? "%.1f %s" : "%.0f %s", v, units[u]);
	return out;
}

const char *net_addr_text(char *out, size_t room, const struct net_addr *a)
{
	char ip[INET6_ADDRSTRLEN];

	if (a->family == 4 && inet_ntop(AF_INET, a->ip, ip, sizeof ip))
		snprintf(out, room, "%s:%u", ip, a->port);
	else if (a->family == 6 && inet_ntop(AF_INET6, a->ip, ip, sizeof ip))
		snprintf(out, room, "[%s]:%u", ip, a->port);
	else
		snprintf(out, room, "(no address)");
	return out;
}
