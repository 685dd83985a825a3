/*
 * inspect_test.h - what the tests and fuzz targets of inspect share: its sources
 * but for main.c, and torrents written in a short notation.
 *
 * bt("d(info)d(length)i5ee e") is bencode in which (text) stands for 4:text.
 */
#include "../../parent/inspect/announce.c"
#include "../../parent/inspect/collide.c"
#include "../../parent/inspect/digest.c"
#include "../../parent/inspect/form.c"
#include "../../parent/inspect/magnet.c"
#include "../../parent/inspect/names.c"
#include "../../parent/inspect/odd.c"
#include "../../parent/inspect/out.c"
#include "../../parent/inspect/report.c"
#include "../../parent/inspect/show.c"
#include "../../parent/inspect/show_json.c"
#include "../../parent/inspect/strings.c"
#include "../../parent/inspect/torrent.c"
#include "../../parent/inspect/url.c"

#define NOW 1700000000 /* 2023-11-14 */

struct one {
	struct inspect in;
	struct torrent t;
	uint8_t *input; /* owned: exactly as long as the input, so that ASan sees a byte too many */
	uint8_t *form;  /* owned */
	size_t form_bytes;
	struct metainfo m;
};

static inline void one_free(struct one *o)
{
	torrent_release(&o->t);
	free(o->input);
	free(o->form);
	memset(o, 0, sizeof *o);
}

/* Runs all of inspect but reading and writing; true when the input was accepted. */
static inline bool one_run(struct one *o, const void *bytes, size_t length, uint32_t max_files, uint32_t max_pieces)
{
	struct msg_inspect_options options = { .max_files = max_files, .max_pieces = max_pieces };

	memset(o, 0, sizeof *o);
	digest_warm();
	inspect_limits_set(&o->in.limits, &options);
	o->in.limits.now = NOW;
	o->input = malloc(length ? length : 1);
	if (!o->input)
		abort();
	if (length)
		memcpy(o->input, bytes, length);
	o->in.input = o->input;
	o->in.bytes = length;
	torrent_init(&o->t, &o->in.limits);
	if (!(magnet_is_one(o->input, length) ? magnet_parse(&o->in, &o->t) : torrent_parse(&o->in, &o->t)))
		return false;
	torrent_oddities(&o->in, &o->t);
	if (!form_build(&o->in, &o->t, &o->form, &o->form_bytes))
		return false;
	return metainfo_open(&o->m, o->form, o->form_bytes) == NULL;
}

struct bytes {
	uint8_t *p; /* owned */
	size_t n;
};

static inline void add(struct bytes *b, const void *p, size_t n)
{
	size_t room = 64, had;

	/* Powers of two: a sanitizer's realloc() always copies. */
	while (room <= b->n)
		room *= 2;
	for (had = b->p ? room : 0; room <= b->n + n;)
		room *= 2;
	if (room != had)
		b->p = realloc(b->p, room);
	if (!b->p)
		abort();
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static inline void add_string(struct bytes *b, const void *p, size_t n)
{
	char length[32];
	int digits = snprintf(length, sizeof length, "%zu:", n);

	add(b, length, (size_t)digits);
	add(b, p, n);
}

static inline struct bytes notation(const char *text, size_t length)
{
	struct bytes b = { NULL, 0 };
	size_t i;

	for (i = 0; i < length; i++) {
		const char *end;

		if (text[i] != '(') {
			add(&b, text + i, 1);
			continue;
		}
		end = memchr(text + i, ')', length - i);
		if (!end)
			abort();
		add_string(&b, text + i + 1, (size_t)(end - text) - i - 1);
		i = (size_t)(end - text);
	}
	return b;
}
#define bt(literal) notation(literal, sizeof literal - 1)

static inline bool run_bytes(struct one *o, struct bytes b)
{
	bool ok = one_run(o, b.p, b.n, 0, 0);

	free(b.p);
	return ok;
}
#define run(o, literal) run_bytes(o, bt(literal))
#define run_raw(o, literal) one_run(o, literal, sizeof literal - 1, 0, 0)

/* Whether a warning contains `text`. */
static inline bool warned(const struct one *o, const char *text)
{
	uint32_t i;

	for (i = 0; i < o->in.warnings.count && i < WARNINGS_MAX; i++)
		if (strstr(o->in.warnings.text[i], text))
			return true;
	return false;
}

#define HASH20 "aaaaaaaaaaaaaaaaaaaa"
/* The end of an info dictionary with one piece, and of the torrent. */
#define PIECES1 "(piece length)i16384e(pieces)(" HASH20 ")"
