/*
 * select.c - see select.h.
 *
 * Patterns are the user's, paths have safe components; both are bounded, and so
 * is the time: a star is tried again only from the last one on.
 */
#include "select.h"

#include <errno.h>
#include <unistd.h>

#include "log.h"
#include "values.h"

/* ---- patterns */

/* Bytes of the character at p, of the valid UTF-8 that paths are. */
static size_t character(const char *p)
{
	uint32_t rune;
	size_t n = metainfo_utf8((const uint8_t *)p, strnlen(p, 4), &rune);

	return n ? n : 1;
}

/* "[a-z]" at p, with room bytes behind its '[': its length with both brackets, or 0: it is a '[' like any character. */
static size_t match_set(const char *p, size_t room, unsigned char c, bool *matches)
{
	size_t i = 1;
	bool negated = room > 1 && (p[1] == '!' || p[1] == '^'), found = false;

	i += negated;
	for (; i < room && (p[i] != ']' || i == 1u + negated); i++) {
		unsigned char low = (unsigned char)p[i], high = low;

		if (i + 2 < room && p[i + 1] == '-' && p[i + 2] != ']') {
			high = (unsigned char)p[i + 2];
			i += 2;
		}
		found |= c >= low && c <= high;
	}
	*matches = found != negated;
	return i < room ? i + 1 : 0;
}

/* One element of the pattern that is no star against the beginning of the path: how much of each it takes; false: no match. */
static bool match_one(const char *pattern, size_t room, const char *path, size_t *pattern_takes, size_t *path_takes)
{
	bool matches = false;
	size_t n;

	*pattern_takes = *path_takes = 1;
	if (*pattern == '?') {
		*path_takes = character(path);
		return true;
	}
	if (*pattern == '[' && (n = match_set(pattern, room, (unsigned char)*path, &matches))) {
		*pattern_takes = n;
		return matches;
	}
	if (*pattern == '\\' && room > 1) {
		*pattern_takes = 2;
		pattern++;
	}
	return *pattern == *path;
}

/* The whole text; a pattern that ends in '/' needs no more of it. */
static bool match_all(const char *pattern, size_t length, const char *text)
{
	size_t at = 0, star = SIZE_MAX, takes, text_takes;
	const char *retry = text;

	for (;;) {
		if (at < length && pattern[at] == '*') {
			star = ++at;
			retry = text;
		} else if (at == length && (!*text || (length && pattern[length - 1] == '/'))) {
			return true;
		} else if (at < length && *text && match_one(pattern + at, length - at, text, &takes, &text_takes)) {
			at += takes;
			text += text_takes;
		} else if (star != SIZE_MAX && *retry) {
			at = star;
			text = ++retry;
		} else {
			return false;
		}
	}
}

bool select_matches(const char *pattern, size_t length, const char *path)
{
	const char *slash = strrchr(path, '/');

	return match_all(pattern, length, path) || (slash && !memchr(pattern, '/', length) && match_all(pattern, length, slash + 1));
}

/* ---- lists */

/* One part of a list. */
struct part {
	const char *text;
	size_t length;
	bool is_range;
	uint64_t first, last; /* from 1; last UINT64_MAX: to the end */
};

/* "3", "3-5", "7-": false when it is none, and *bad when it looks like one. */
static bool read_range(struct part *p, bool *bad)
{
	char first[24], last[24];
	size_t dash = 0, i;

	for (i = 0; i < p->length; i++)
		if ((p->text[i] < '0' || p->text[i] > '9') && p->text[i] != '-')
			return false;
	while (dash < p->length && p->text[dash] != '-')
		dash++;
	*bad = true;
	if (!dash || dash >= sizeof first || p->length > dash + sizeof last)
		return false;
	snprintf(first, sizeof first, "%.*s", (int)dash, p->text);
	snprintf(last, sizeof last, "%.*s", dash < p->length ? (int)(p->length - dash - 1) : 0, p->text + dash + (dash < p->length));
	if (!value_number(first, 1, METAINFO_MAX_FILES, &p->first))
		return false;
	p->last = dash == p->length ? p->first : UINT64_MAX;
	if (*last && !value_number(last, p->first, METAINFO_MAX_FILES, &p->last))
		return false;
	*bad = false;
	return true;
}

/* The next part; a comma behind a backslash is a part's own.  False at the end, or *bad. */
static bool next_part(const char **list, struct part *p, bool *bad)
{
	const char *at = *list;

	*bad = false;
	if (!at)
		return false;
	p->text = at;
	while (*at && *at != ',')
		at += at[0] == '\\' && at[1] ? 2 : 1;
	p->length = (size_t)(at - p->text);
	*list = *at ? at + 1 : NULL;
	*bad = !p->length;
	p->is_range = !*bad && read_range(p, bad);
	return !*bad;
}

bool select_is_list(const char *list)
{
	struct part p;
	bool bad;

	while (next_part(&list, &p, &bad))
		;
	return !bad;
}

/* ---- files */

/* What one list is applied to. */
struct pass {
	const struct metainfo *m;
	uint8_t *level;
	uint8_t set;      /* the level that its files get */
	bool only_wanted; /* others stay unwanted */
	const char *option;
	char *error;
	size_t room;
};

static bool set_level(const struct pass *p, uint32_t file)
{
	if (!metainfo_on_disk(&metainfo_files(p->m)[file]) || (p->only_wanted && p->level[file] == WANTED_NOT))
		return false;
	p->level[file] = p->set;
	return true;
}

static int no_file(const struct pass *p, const struct part *part)
{
	char quoted[300];

	log_quote(quoted, sizeof quoted, part->text, part->length);
	snprintf(p->error, p->room, "--%s: '%s' is no %sfile of this torrent, which has %u; --list shows them", p->option, quoted,
		 p->only_wanted ? "selected " : "", p->m->h->file_count);
	return STATUS_USAGE;
}

static int apply(const struct pass *p, const char *list)
{
	uint32_t files = p->m->h->file_count, i;
	struct part part;
	bool bad, any;

	while (next_part(&list, &part, &bad)) {
		any = false;
		if (part.is_range && (part.first > files || (part.last != UINT64_MAX && part.last > files)))
			return no_file(p, &part);
		for (i = part.is_range ? (uint32_t)part.first - 1 : 0; i < files && (!part.is_range || i < part.last); i++)
			if (part.is_range || select_matches(part.text, part.length, metainfo_str(p->m, metainfo_files(p->m)[i].path)))
				any |= set_level(p, i);
		if (!any)
			return no_file(p, &part);
	}
	return 0;
}

/* Whether an unwanted file has bytes of a wanted piece. */
static bool shares(const uint8_t *level, const struct metainfo *m)
{
	uint64_t wanted_end = 0, unwanted_end = 0; /* the piece behind the last one so far, of each kind */
	uint32_t i;

	for (i = 0; i < m->h->file_count; i++) {
		const struct metainfo_file *f = &metainfo_files(m)[i];
		uint64_t first, end;

		if (!f->length || !metainfo_on_disk(f))
			continue;
		first = f->offset / m->h->piece_length;
		end = (f->offset + f->length - 1) / m->h->piece_length + 1;
		if (first < (level[i] == WANTED_NOT ? wanted_end : unwanted_end))
			return true;
		if (level[i] == WANTED_NOT)
			unwanted_end = end;
		else
			wanted_end = end;
	}
	return false;
}

static int choose(uint8_t *level, const struct options *o, const struct metainfo *m, char *error, size_t room)
{
	struct pass p = { .m = m, .level = level, .set = WANTED_NORMAL, .option = "select", .error = error, .room = room };
	uint32_t i;
	int r = 0;

	for (i = 0; i < m->h->file_count && !o->select_count; i++)
		(void)set_level(&p, i);
	for (i = 0; i < o->select_count && !r; i++)
		r = apply(&p, o->selects[i]);
	p.only_wanted = true;
	p.option = "priority";
	for (i = 0; i < o->priority_count && !r; i++) {
		p.set = o->priorities[i].level;
		r = apply(&p, o->priorities[i].list);
	}
	return r;
}

int select_files(struct selection *s, const struct options *o, const struct metainfo *m, char *error, size_t room)
{
	struct wanted w = { 0 };
	uint32_t i;
	int r;

	*s = (struct selection){ .fd = -1, .sum = wanted_sum(&w, m) };
	if (!o->select_count && !o->priority_count)
		return 0;
	w = (struct wanted){ must_calloc(m->h->file_count, 1), m->h->file_count };
	r = choose(w.level, o, m, error, room);
	if (r) {
		wanted_release(&w);
		return r;
	}
	s->sum = wanted_sum(&w, m);
	for (i = 0; i < w.files; i++)
		s->partial |= w.level[i] == WANTED_NOT && metainfo_on_disk(&metainfo_files(m)[i]);
	s->shares = s->partial && shares(w.level, m);
	s->fd = wanted_seal(w.level, w.files);
	if (s->fd < 0) {
		snprintf(error, room, "cannot make a memory file: %s", strerror(errno));
		r = STATUS_FAILED;
	}
	wanted_release(&w);
	return r;
}

void select_close(struct selection *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}
