/*
 * checking.c - see checking.h.  Runs behind the lock, but for checking_begin() and checking_all_missing().
 *
 * A piece has one hash for parts of several files: when it does not match
 * though a file beside is not there at all, this one cannot be said to be
 * damaged; it cannot be verified.
 */
#include "checking.h"

#include "bitfield.h"
#include "download.h"

/* How one file stands: of so many pieces, so many are bad, and so many of these share no file that is not there. */
struct standing {
	enum file_state state;
	uint32_t pieces, bad, own;
};

void checking_close(struct checking *c)
{
	free(c->good);
	free(c->states);
	c->good = c->states = NULL;
}

void checking_begin(struct download *d)
{
	struct checking *c = &d->checking;

	checking_close(c);
	*c = (struct checking){ .active = true };
	c->good = must_calloc(bitfield_bytes(d->m.h->piece_count) + 1, 1);
	c->states = must_calloc(d->m.h->file_count, 1);
	d->disk_only = true;
}

static uint32_t first_piece(const struct metainfo *m, const struct metainfo_file *f)
{
	return (uint32_t)(f->offset / m->h->piece_length);
}

/* Of a file that is not empty. */
static uint32_t last_piece(const struct metainfo *m, const struct metainfo_file *f)
{
	return (uint32_t)((f->offset + f->length - 1) / m->h->piece_length);
}

/* Pieces of which a part is in a file that is not there as it should be. */
static uint8_t *blind_pieces(const struct download *d)
{
	const struct metainfo_file *row = metainfo_files(&d->m);
	uint8_t *blind = must_calloc(bitfield_bytes(d->m.h->piece_count) + 1, 1);
	uint32_t i, k;

	for (i = 0; i < d->m.h->file_count; i++)
		if (d->checking.states[i] != FILE_THERE && row[i].length)
			for (k = first_piece(&d->m, &row[i]); k <= last_piece(&d->m, &row[i]); k++)
				bitfield_set(blind, k);
	return blind;
}

static struct standing standing_of(const struct download *d, uint32_t file, const uint8_t *blind)
{
	const struct metainfo_file *f = &metainfo_files(&d->m)[file];
	struct standing s = { .state = (enum file_state)d->checking.states[file] };
	uint32_t k;

	if (!f->length)
		return s;
	for (k = first_piece(&d->m, f); k <= last_piece(&d->m, f); k++) {
		bool bad = !bitfield_get(d->checking.good, k);

		s.pieces++;
		s.bad += bad;
		s.own += bad && !bitfield_get(blind, k);
	}
	return s;
}

/* In one word, for programs. */
static const char *word_of(const struct standing *s)
{
	static const char *const words[FILE_STATES] = {
		[FILE_THERE] = "ok",  [FILE_MISSING] = "missing", [FILE_SHORT] = "short",
		[FILE_LONG] = "long", [FILE_FOREIGN] = "foreign", [FILE_UNREADABLE] = "unreadable",
	};

	if (s->state == FILE_THERE && s->bad)
		return s->own ? "damaged" : "unverified";
	return words[s->state];
}

/* For people. */
static void describe(struct text *t, const struct standing *s)
{
	static const char *const words[FILE_STATES] = {
		[FILE_THERE] = "ok",
		[FILE_MISSING] = "missing",
		[FILE_SHORT] = "wrong size, it is too short",
		[FILE_LONG] = "wrong size, it is too long",
		[FILE_FOREIGN] = "something else is there, which is no plain file",
		[FILE_UNREADABLE] = "cannot be read",
	};

	if (s->state == FILE_THERE && s->bad) {
		if (s->own)
			text_addf(t, "damaged, %u of %u piece%s", s->bad, s->pieces, s->pieces == 1 ? "" : "s");
		else
			text_addf(t, "cannot be verified, %u of %u piece%s: shared with a file that is not there", s->bad, s->pieces,
				  s->pieces == 1 ? "" : "s");
		return;
	}
	text_addf(t, "%s", words[s->state]);
	if ((s->state == FILE_SHORT || s->state == FILE_LONG) && s->bad)
		text_addf(t, "; damaged, %u of %u piece%s", s->bad, s->pieces, s->pieces == 1 ? "" : "s");
}

static void tell_file(const struct download *d, uint32_t file, const struct standing *s)
{
	struct metainfo_text path = metainfo_files(&d->m)[file].path;
	char verdict[200];
	struct text t;

	text_init(&t, verdict, sizeof verdict);
	describe(&t, s);
	screen_file(d->out.incomplete ? d->out.part : d->out.name, metainfo_str(&d->m, path), d->out.single ? 0 : path.length, verdict);
	json_begin("file", d->index);
	json_text("path", metainfo_str(&d->m, path), path.length);
	json_word("state", word_of(s));
	json_number("pieces", s->pieces);
	json_number("bad_pieces", s->bad);
	json_end_result();
}

/* All files, then a line for the whole.  Whether all of it is good. */
static bool tell_all(const struct download *d)
{
	const struct metainfo_header *h = d->m.h;
	const struct metainfo_file *row = metainfo_files(&d->m);
	uint32_t i, files = 0, good_files = 0, good = bitfield_count(d->checking.good, h->piece_count);
	uint8_t *blind = blind_pieces(d);
	bool all;

	for (i = 0; i < h->file_count; i++) {
		struct standing s;

		if (!metainfo_on_disk(&row[i]))
			continue;
		s = standing_of(d, i, blind);
		files++;
		good_files += s.state == FILE_THERE && !s.bad;
		tell_file(d, i, &s);
	}
	free(blind);
	all = files == good_files && good == h->piece_count;
	screen_note("%s: %u of %u file%s and %u of %u piece%s are good", d->name, good_files, files, files == 1 ? "" : "s", good,
		    h->piece_count, h->piece_count == 1 ? "" : "s");
	json_begin("check", d->index);
	json_text("name", d->out.name, strlen(d->out.name));
	json_bool("ok", all);
	json_bool("part", d->out.incomplete);
	json_number("files", files);
	json_number("good_files", good_files);
	json_number("pieces", h->piece_count);
	json_number("good_pieces", good);
	json_number("milliseconds", d->x->now_ms - d->started_ms);
	json_end_result();
	return all;
}

static void end_check(struct download *d)
{
	d->checking.active = false;
	checking_close(&d->checking);
}

/* All was told: what follows? */
static void conclude(struct download *d)
{
	bool all = tell_all(d);
	char error[1000];

	end_check(d);
	if (!d->x->o->repair || (all && !d->out.incomplete)) {
		download_finish(d, all ? STATUS_COMPLETE : STATUS_FAILED, GOODBYE_MS);
		return;
	}
	if (d->out.finished && output_reopen(&d->out, error, sizeof error) < 0) {
		download_fail(d, STATUS_STORAGE, "%s", error);
		return;
	}
	d->out.incomplete = false;
	d->disk_only = d->m.h->total_length == 0;
	d->checking.repairs = true;
	/* It has written nothing: it need not sync. */
	child_kill(&d->child[ROLE_DISKPROC], NULL);
}

void checking_repair(struct download *d)
{
	d->checking.repairs = false;
	memset(&d->disk, 0, sizeof d->disk);
	download_close_fd(&d->conveyor);
	download_start(d);
}

bool checking_all_missing(struct download *d)
{
	memset(d->checking.states, FILE_MISSING, d->m.h->file_count);
	(void)!tell_all(d);
	end_check(d);
	if (d->x->o->repair)
		return true;
	download_finish(d, STATUS_FAILED, GOODBYE_MS);
	return false;
}

/* The last part may be there. */
static void conclude_when_told(struct download *d)
{
	/* Interrupted, or failed: that was the end. */
	if (d->state != DOWNLOAD_RUNNING)
		return;
	if (d->checking.next_piece == d->m.h->piece_count && d->checking.next_file == d->m.h->file_count)
		conclude(d);
}

int checking_on_bits(struct download *d, const struct msg_checked_bits *m)
{
	struct checking *c = &d->checking;
	uint32_t left = d->m.h->piece_count - c->next_piece;

	if (!c->active || m->first_piece != c->next_piece || m->pieces != min_u32(8 * sizeof m->bits, left) || !m->pieces ||
	    bitfield_has_spare(m->bits, m->pieces))
		return -1;
	memcpy(c->good + m->first_piece / 8, m->bits, bitfield_bytes(m->pieces));
	c->next_piece += m->pieces;
	conclude_when_told(d);
	return 0;
}

int checking_on_states(struct download *d, const struct msg_file_states *m)
{
	struct checking *c = &d->checking;
	uint32_t left = d->m.h->file_count - c->next_file, i;

	if (!c->active || m->first_file != c->next_file || m->files != min_u32(sizeof m->state, left) || !m->files)
		return -1;
	for (i = 0; i < m->files; i++)
		if (m->state[i] >= FILE_STATES)
			return -1;
	memcpy(c->states + m->first_file, m->state, m->files);
	c->next_file += m->files;
	conclude_when_told(d);
	return 0;
}
