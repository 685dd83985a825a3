/*
 * screen.c - see screen.h.
 */
#include "screen.h"

#include <errno.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "metainfo.h"
#include "stream.h"

#define DRAW_MS 200u    /* the progress line, at most so often */
#define PLAIN_MS 10000u /* a plain line */
#define JSON_MS 1000u   /* a progress event */
#define LINE_BYTES 8192u
/* Of a stream that is not read: what is left out when more than this waits.  Results are few, and never left out. */
#define MOST_PROGRESS 0u
#define MOST_TALK (64u << 10)
#define MOST_ERROR (256u << 10)
#define MOST_RESULT SIZE_MAX
#define JSON_BYTES (40u * 1024u) /* a path of 4096 bytes in escapes, and room */

static struct {
	bool quiet, json, progress;
	uint32_t verbose;
	bool err_terminal, out_terminal, utf8;
	uint32_t columns;
	bool drawn; /* the progress line is on the screen */
	uint64_t next_ms;
	char json_line[JSON_BYTES];
	struct text json_text;
} screen;

/* Results, errors and talk go on different ways, but for a terminal or `2>&1`. */
static struct stream to_out = { .fd = 1 }, to_err = { .fd = 2 };

static bool locale_is_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		const char *v = getenv(names[i]);

		if (v && *v)
			return strcasestr(v, "utf-8") || strcasestr(v, "utf8");
	}
	return false;
}

static uint32_t columns_of(int fd)
{
	struct winsize w;

	return ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
}

void screen_open(const struct options *o)
{
	const char *term = getenv("TERM");

	stream_open(&to_out, 1);
	stream_open(&to_err, 2);
	screen.quiet = o->quiet;
	screen.json = o->json && o->command != COMMAND_SHOW; /* show --json is one document, made by inspect */
	screen.progress = o->progress;
	screen.verbose = o->verbose;
	screen.out_terminal = isatty(1) == 1;
	screen.err_terminal = isatty(2) == 1 && term && strcmp(term, "dumb");
	screen.utf8 = locale_is_utf8();
	screen_resize();
}

void screen_resize(void)
{
	screen.columns = screen.err_terminal ? columns_of(2) : 80;
}

uint32_t screen_stdout_width(void)
{
	return screen.out_terminal ? columns_of(1) : 0;
}

const char *screen_safe(char *out, size_t room, const void *bytes, size_t length)
{
	struct text t;

	text_init(&t, out, room);
	text_add_safe(&t, bytes, length, screen.utf8);
	if (t.full && t.length >= 3)
		memset(out + t.length - 3, '.', 3);
	return out;
}

/* A whole line to stderr; the progress line gives way and comes back with the next drawing. */
static void line(const char *text, size_t length, size_t most)
{
	char out[LINE_BYTES + 16];
	struct text t;

	text_init(&t, out, sizeof out);
	if (screen.drawn)
		text_add(&t, "\r\x1b[K", 4);
	text_add(&t, text, length);
	text_add(&t, "\n", 1);
	screen.drawn = false;
	if (screen.err_terminal && screen.next_ms)
		screen.next_ms = 1; /* draw again at once */
	stream_put(&to_err, out, t.length, most);
}

/* Whoever wrote the words escaped what is a stranger's; that nothing raw gets out does not depend on it. */
static void PRINTF_LIKE(3, 0) say(size_t most, const char *prefix, const char *fmt, va_list ap)
{
	char raw[LINE_BYTES / 4], out[LINE_BYTES];
	struct text t;
	int n = vsnprintf(raw, sizeof raw, fmt, ap);

	text_init(&t, out, sizeof out);
	text_addf(&t, "%s", prefix);
	if (n > 0)
		text_add_safe(&t, raw, min_u64((uint64_t)n, sizeof raw - 1), screen.utf8);
	line(out, t.length, most);
}

void screen_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(MOST_ERROR, "bulkhead: ", fmt, ap);
	va_end(ap);
}

void screen_warn(const char *fmt, ...)
{
	va_list ap;

	if (screen.quiet)
		return;
	va_start(ap, fmt);
	say(MOST_TALK, "bulkhead: warning: ", fmt, ap);
	va_end(ap);
}

void screen_note(const char *fmt, ...)
{
	va_list ap;

	if (screen.quiet || screen.json)
		return;
	va_start(ap, fmt);
	say(MOST_TALK, "", fmt, ap);
	va_end(ap);
}

void screen_log(uint32_t source, enum role role, enum log_level level, enum log_topic topic, const void *text, size_t length)
{
	static const char *const levels[LOG_LEVELS] = { "bug", "error", "warn", "info", "detail", "trace" };
	/* BUG and ERROR always, WARN without -q, INFO and DETAIL with -v, TRACE with -vv. */
	bool wanted = level <= LOG_ERROR || (!screen.quiet && (level == LOG_WARN || (level <= LOG_DETAIL && screen.verbose) || screen.verbose > 1));
	char safe[LOG_TEXT_MAX * 4 + 8];

	if (!wanted || level >= LOG_LEVELS || topic >= TOPICS)
		return;
	if (screen.json) {
		json_begin("log", source);
		json_word("compartment", role_name(role));
		json_word("level", levels[level]);
		json_word("topic", log_topic_names[topic]);
		json_text("text", text, length);
		json_end();
		if (level > LOG_ERROR)
			return;
	}
	screen_safe(safe, sizeof safe, text, length);
	if (level <= LOG_WARN)
		screen_error("%s: %s", role_name(role), safe);
	else
		screen_note("%s%s%s: %s", role_name(role), topic ? " " : "", log_topic_names[topic], safe);
}

/* ---- the progress line ---- */

static uint32_t columns_of_text(const char *s, size_t length)
{
	uint32_t columns = 0;
	size_t i = 0;

	while (i < length) {
		uint32_t code = 0;
		size_t n = metainfo_utf8((const uint8_t *)s + i, length - i, &code);

		columns += n ? text_columns(code) : 1;
		i += n ? n : 1;
	}
	return columns;
}

/* As much of the start of s as fits `columns`, with a mark where it was cut. */
static void add_cut(struct text *t, const char *s, size_t length, uint32_t columns, bool utf8)
{
	const char *mark = utf8 ? "\xe2\x80\xa6" : "...";
	uint32_t mark_columns = utf8 ? 1 : 3, used = 0;
	size_t i = 0;

	if (columns_of_text(s, length) <= columns) {
		text_add(t, s, length);
		return;
	}
	while (i < length) {
		uint32_t code = 0, wide;
		size_t n = metainfo_utf8((const uint8_t *)s + i, length - i, &code);

		wide = n ? text_columns(code) : 1;
		if (used + wide + mark_columns > columns)
			break;
		used += wide;
		i += n ? n : 1;
	}
	text_add(t, s, i);
	text_add(t, mark, strlen(mark));
}

#define ROW_FIELDS 12
struct fields {
	char text[ROW_FIELDS][80];
	uint32_t count;
	struct text t; /* the last one */
};

static struct text *next_field(struct fields *f, const char *word)
{
	if (f->count == ROW_FIELDS)
		bug("a row of more than %u fields", ROW_FIELDS);
	text_init(&f->t, f->text[f->count++], sizeof f->text[0]);
	text_addf(&f->t, " %s", word);
	return &f->t;
}

static void add_rate(struct fields *f, const char *word, uint64_t rate)
{
	text_add_size(next_field(f, word), rate);
	text_addf(&f->t, "/s");
}

static void add_ratio(struct fields *f, const struct screen_row *row)
{
	text_add_ratio(next_field(f, "ratio "), row->ratio_milli);
}

static void add_peers(struct fields *f, const struct screen_row *row)
{
	text_addf(next_field(f, "peers "), "%u/%u", row->peers, row->peers_known);
}

static void add_detail(struct fields *f, const struct screen_row *row)
{
	if (!row->detail)
		return;
	text_addf(next_field(f, "open "), "%u", row->pieces_open);
	text_addf(next_field(f, "unchoked "), "%u interested %u", row->unchoked, row->interested);
}

/* The fields of a row, those that may be left out last. */
static void seeding_fields(struct fields *f, const struct screen_row *row)
{
	next_field(f, "seeding");
	add_rate(f, "up ", row->up_rate);
	text_add_size(next_field(f, "uploaded "), row->uploaded);
	add_ratio(f, row);
	if (row->left_s != UINT64_MAX)
		text_add_duration(next_field(f, "left "), row->left_s);
	add_peers(f, row);
	add_detail(f, row);
}

static void download_fields(struct fields *f, const struct screen_row *row)
{
	bool fetching = !row->checking && !row->syncing;
	uint64_t done = row->checking ? row->checked : row->done, total = row->checking ? row->to_check : row->total;

	/* Rounded down, so that 100 % means complete. */
	text_addf(next_field(f, ""), "%u%%", total ? (uint32_t)((double)min_u64(done, total) / (double)total * 100) : 100);
	if (row->checking || row->syncing)
		next_field(f, row->checking ? "checking" : "syncing");
	else
		add_rate(f, "", row->rate);
	text_add_size(next_field(f, ""), done);
	text_addf(&f->t, " of ");
	text_add_size(&f->t, total);
	if (fetching && row->rate && row->done < row->total)
		text_add_duration(next_field(f, "ETA "), (row->total - row->done) / row->rate);
	if (row->hashing)
		return;
	if (fetching)
		add_peers(f, row);
	text_addf(next_field(f, "pieces "), "%u/%u", row->pieces, row->pieces_total);
	if (fetching && row->uploaded) {
		add_rate(f, "up ", row->up_rate);
		add_ratio(f, row);
	}
	if (fetching)
		add_detail(f, row);
}

void screen_format_row(struct text *t, const struct screen_row *row, uint32_t width, bool utf8)
{
	struct fields f = { .count = 0 };
	char safe[1100];
	struct text n;
	uint32_t used = 0, i;

	if (row->seeding && !row->checking)
		seeding_fields(&f, row);
	else
		download_fields(&f, row);
	/* The name gets what the fields leave, 12 columns at least while there is a field to drop. */
	for (i = 0; i < f.count; i++)
		used += (uint32_t)strlen(f.text[i]);
	while (f.count > 1 && used + 12 > width)
		used -= (uint32_t)strlen(f.text[--f.count]);
	text_init(&n, safe, sizeof safe);
	text_add_safe(&n, row->name, row->name_length, utf8);
	if (width > used + 3)
		add_cut(t, safe, n.length, width - used, utf8);
	for (i = 0; i < f.count && used <= width; i++)
		text_addf(t, "%s", f.text[i]);
}

/* Several downloads as one row. */
static struct screen_row sum_of(const struct screen_row *rows, uint32_t count, char *name, size_t room)
{
	struct screen_row all = { .name = name, .checking = true, .syncing = true, .seeding = true, .left_s = UINT64_MAX };
	uint32_t i;

	for (i = 0; i < count; i++) {
		all.checking &= rows[i].checking;
		all.syncing &= rows[i].syncing;
		all.seeding &= rows[i].seeding;
		all.detail |= rows[i].detail;
		all.done += rows[i].done;
		all.total += rows[i].total;
		all.checked += rows[i].checked;
		all.to_check += rows[i].to_check;
		all.rate += rows[i].rate;
		all.pieces += rows[i].pieces;
		all.pieces_total += rows[i].pieces_total;
		all.peers += rows[i].peers;
		all.peers_known += rows[i].peers_known;
		all.uploaded += rows[i].uploaded;
		all.up_rate += rows[i].up_rate;
		all.pieces_open += rows[i].pieces_open;
		all.unchoked += rows[i].unchoked;
		all.interested += rows[i].interested;
	}
	all.ratio_milli = seeding_ratio_milli(all.uploaded, all.done);
	all.name_length = (size_t)snprintf(name, room, "%u torrents", count);
	return all;
}

static void end_json(size_t most);

static void json_row(const struct screen_row *r)
{
	if (r->hashing) {
		json_begin("hashing", r->source);
		json_number("hashed_bytes", r->done);
		json_number("bytes", r->total);
		json_number("rate", r->rate);
		end_json(MOST_PROGRESS);
		return;
	}
	if (r->checking) {
		json_begin("checking", r->source);
		json_number("checked_bytes", r->checked);
		json_number("bytes", r->to_check);
		end_json(MOST_PROGRESS);
		return;
	}
	json_begin("progress", r->source);
	json_number("verified_bytes", r->done);
	json_number("bytes", r->total);
	json_number("received_bytes", r->received);
	json_number("wasted_bytes", r->wasted);
	json_number("rate", r->rate);
	json_number("verified_pieces", r->pieces);
	json_number("pieces", r->pieces_total);
	json_number("rejected_pieces", r->rejected);
	json_number("peers", r->peers);
	json_number("peers_known", r->peers_known);
	json_bool("seeding", r->seeding);
	json_number("uploaded_bytes", r->uploaded);
	json_number("upload_rate", r->up_rate);
	json_number("ratio_milli", r->ratio_milli);
	json_number("unchoked", r->unchoked);
	json_number("interested", r->interested);
	json_number("incoming", r->incoming);
	json_number("open_pieces", r->pieces_open);
	end_json(MOST_PROGRESS);
}

void screen_progress(const struct screen_row *rows, uint32_t count, uint64_t now_ms)
{
	char out[LINE_BYTES], name[40];
	struct screen_row one;
	struct text t;
	uint32_t i;

	if (now_ms < screen.next_ms || !count)
		return;
	if (screen.json) {
		screen.next_ms = now_ms + JSON_MS;
		for (i = 0; i < count; i++)
			json_row(&rows[i]);
		return;
	}
	if (screen.quiet || !screen.progress) {
		screen.next_ms = UINT64_MAX;
		return;
	}
	if (!screen.err_terminal) {
		bool first = screen.next_ms == 0;

		screen.next_ms = now_ms + PLAIN_MS;
		for (i = 0; i < count && !first; i++) {
			text_init(&t, out, sizeof out);
			screen_format_row(&t, &rows[i], 1000, screen.utf8);
			line(out, t.length, MOST_PROGRESS);
		}
		return;
	}
	screen.next_ms = now_ms + DRAW_MS;
	one = count == 1 ? rows[0] : sum_of(rows, count, name, sizeof name);
	text_init(&t, out, sizeof out);
	text_add(&t, "\r", 1);
	/* One column stays free: terminals wrap when the last is written. */
	screen_format_row(&t, &one, screen.columns > 1 ? screen.columns - 1 : 1, screen.utf8);
	text_add(&t, "\x1b[K", 3);
	screen.drawn = true;
	stream_put(&to_err, out, t.length, MOST_PROGRESS);
}

uint64_t screen_due(void)
{
	return screen.next_ms;
}

void screen_end(void)
{
	if (screen.drawn)
		stream_put(&to_err, "\r\x1b[K", 4, MOST_RESULT);
	screen.drawn = false;
	screen.next_ms = UINT64_MAX;
}

/* ---- results ---- */

uint32_t screen_watch(struct pollfd *pf)
{
	struct stream *const streams[SCREEN_STREAMS] = { &to_out, &to_err };
	uint32_t i, n = 0;

	for (i = 0; i < SCREEN_STREAMS; i++) {
		stream_flush(streams[i]);
		if (stream_waiting(streams[i]))
			pf[n++] = (struct pollfd){ .fd = streams[i]->fd, .events = POLLOUT };
	}
	return n;
}

bool screen_drain(int wake, int timeout_ms)
{
	struct pollfd pf[SCREEN_STREAMS + 1];
	uint32_t n;

	while ((n = screen_watch(pf))) {
		pf[n] = (struct pollfd){ .fd = wake, .events = POLLIN };
		if (poll(pf, n + 1, timeout_ms) == 0 || pf[n].revents)
			return false;
	}
	return true;
}

int screen_lost(void)
{
	return screen.out_terminal || to_out.error == EPIPE || to_out.error == ECONNRESET ? 0 : to_out.error;
}

int screen_write(const void *bytes, size_t length)
{
	return stream_write(&to_out, bytes, length);
}

void screen_result(const char *lead, const char *dir, const void *name, size_t length)
{
	char out[3 * LINE_BYTES];
	struct text t;
	bool plain = !strcmp(dir, ".");
	size_t n = strlen(dir);

	if (screen.json)
		return;
	text_init(&t, out, sizeof out - 1);
	text_add(&t, lead, strlen(lead));
	if (screen.out_terminal) {
		text_add_safe(&t, dir, plain ? 0 : n, screen.utf8);
		text_add(&t, "/", !plain && n && dir[n - 1] != '/');
		text_add_safe(&t, name, length, screen.utf8);
	} else {
		text_add(&t, dir, plain ? 0 : n);
		text_add(&t, "/", !plain && n && dir[n - 1] != '/');
		text_add(&t, name, length);
	}
	out[t.length] = '\n';
	stream_put(&to_out, out, t.length + 1, MOST_RESULT);
}

void screen_file(const char *root, const void *path, size_t length, const char *verdict)
{
	char out[3 * LINE_BYTES];
	struct text t;

	if (screen.json)
		return;
	if (screen.drawn && screen.out_terminal)
		stream_put(&to_err, "\r\x1b[K", 4, MOST_RESULT);
	screen.drawn = false;
	text_init(&t, out, sizeof out - 1);
	text_add_safe(&t, root, strlen(root), screen.utf8);
	text_add(&t, "/", length > 0);
	text_add_safe(&t, path, length, screen.utf8);
	text_addf(&t, ": %s", verdict);
	out[t.length] = '\n';
	stream_put(&to_out, out, t.length + 1, MOST_RESULT);
}

void json_begin(const char *event, uint32_t source)
{
	if (!screen.json)
		return;
	text_init(&screen.json_text, screen.json_line, sizeof screen.json_line - 4);
	text_addf(&screen.json_text, "{\"event\":\"%s\"", event);
	if (source != UINT32_MAX)
		json_number("source", source);
}

static char json_last(void)
{
	return screen.json_text.length ? screen.json_text.out[screen.json_text.length - 1] : 0;
}

static void json_key(const char *key)
{
	text_addf(&screen.json_text, "%s\"%s\":", json_last() == '{' ? "" : ",", key);
}

void json_text(const char *key, const void *bytes, size_t length)
{
	if (!screen.json)
		return;
	json_key(key);
	text_add_json(&screen.json_text, bytes, length);
}

void json_word(const char *key, const char *word)
{
	json_text(key, word, strlen(word));
}

void json_number(const char *key, uint64_t value)
{
	if (!screen.json)
		return;
	json_key(key);
	text_addf(&screen.json_text, "%llu", (unsigned long long)value);
}

void json_bool(const char *key, bool value)
{
	if (!screen.json)
		return;
	json_key(key);
	text_addf(&screen.json_text, "%s", value ? "true" : "false");
}

void json_list(const char *key)
{
	if (!screen.json)
		return;
	json_key(key);
	text_add(&screen.json_text, "[", 1);
}

void json_item(void)
{
	if (screen.json)
		text_addf(&screen.json_text, "%s{", json_last() == '[' ? "" : ",");
}

void json_item_end(void)
{
	if (screen.json)
		text_add(&screen.json_text, "}", 1);
}

void json_list_end(void)
{
	if (screen.json)
		text_add(&screen.json_text, "]", 1);
}

static void end_json(size_t most)
{
	struct text *t = &screen.json_text;

	if (!screen.json)
		return;
	if (t->full)
		bug("a JSON line of more than %zu bytes", t->room);
	memcpy(t->out + t->length, "}\n", 3);
	stream_put(&to_out, t->out, t->length + 2, most);
}

void json_end(void)
{
	end_json(MOST_TALK);
}

void json_end_result(void)
{
	end_json(MOST_RESULT);
}
