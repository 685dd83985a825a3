/*
 * inspecting.c - see inspecting.h.
 *
 * inspect has read a stranger's bytes: its answer may be anything.  The form
 * is sealed, which is possible only when inspect has no writable map of it any
 * more, then validated by metainfo_map(); the text of show goes to the terminal
 * only when every character of it is printable.
 */
#include "inspecting.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
/* The text of the largest torrent that the options allow is far below this. */
#define TEXT_MAX (1u << 30)

int inspecting_prepare(struct download *d)
{
	d->form = memfd_create("form", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (d->form >= 0 && d->x->o->command == COMMAND_SHOW)
		d->text = memfd_create("text", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (d->form >= 0 && (d->text >= 0 || d->x->o->command != COMMAND_SHOW))
		return 0;
	download_fail(d, STATUS_FAILED, "cannot make a memory file: %s", strerror(errno));
	return -1;
}

void inspecting_feed(struct download *d)
{
	const struct options *o = d->x->o;
	struct child *c = &d->child[ROLE_INSPECT];
	struct msg_inspect_options m = {
		.mode = o->command != COMMAND_SHOW ? INSPECT_FORM : o->json ? INSPECT_SHOW_JSON :
			o->list				      ? INSPECT_SHOW_LIST :
							INSPECT_SHOW_TEXT,
		.max_files = o->max_files,
		.max_pieces = o->max_pieces,
		.width = o->command == COMMAND_SHOW ? screen_stdout_width() : 0,
		.max_bytes = o->max_torrent_bytes,
	};

	if (c->state != CHILD_SETUP)
		return;
	child_give(c, SETUP_INPUT, d->input, 0, true);
	d->input = -1;
	child_give(c, SETUP_FORM, d->form, 0, false);
	if (d->text >= 0)
		child_give(c, SETUP_TEXT, d->text, 0, false);
	child_send(c, MSG_INSPECT_OPTIONS, &m);
	child_setup_end(c);
}

static void prepare(struct download *d);

int inspecting_on_answer(struct download *d, const struct msg_inspected *m)
{
	if (d->inspect_answered || m->status > INSPECT_INTERNAL || m->length > sizeof m->text || m->text_bytes > TEXT_MAX)
		return -1;
	d->inspected = *m;
	d->inspect_answered = true;
	/*
	 * Once sealed the form is safe from inspect, which need not be waited for: the end of its namespaces takes
	 * the kernel some 20 ms.  If it has the form mapped still, that must be.
	 */
	if (m->status == INSPECT_OK && d->x->o->command != COMMAND_SHOW && fcntl(d->form, F_ADD_SEALS, SEALS) == 0) {
		child_kill(&d->child[ROLE_INSPECT], NULL);
		prepare(d);
	}
	return 0;
}

/* All of the text or none of it. */
static void print_text(struct download *d)
{
	size_t bytes = (size_t)d->inspected.text_bytes;
	struct stat st;
	uint8_t *p;

	if (fcntl(d->text, F_ADD_SEALS, SEALS) < 0 || fstat(d->text, &st) < 0 || st.st_size != (off_t)bytes) {
		download_fail(d, STATUS_FAILED, "inspect's text is not of the size that it named");
		return;
	}
	p = bytes ? mmap(NULL, bytes, PROT_READ, MAP_SHARED, d->text, 0) : NULL;
	if (p == MAP_FAILED)
		download_fail(d, STATUS_FAILED, "cannot map inspect's text: %s", strerror(errno));
	else if (bytes && text_good_prefix(p, bytes) != bytes)
		download_fail(d, STATUS_FAILED, "inspect's text holds what no terminal should see, and is not shown");
	else if (bytes && screen_write(p, bytes) < 0)
		download_fail(d, STATUS_FAILED, "cannot write to standard output: %s", strerror(errno));
	if (p && p != MAP_FAILED)
		munmap(p, bytes);
}

/* As root: whom diskproc becomes, and how the directory looks to it. */
static int map_owner(struct download *d)
{
	if (!d->x->root || d->out.single)
		return 0;
	d->mount = idmap_directory(d->out.root, d->ids[ROLE_DISKPROC], false);
	if (d->mount < 0) {
		/* The file system cannot: diskproc becomes the owner, unless that is root. */
		struct stat st;

		if (fstat(d->out.root, &st) < 0 || st.st_uid == 0) {
			download_fail(d, STATUS_NO_WALL,
				      "the file system of the output directory cannot map its owner, and diskproc is not to run as root; "
				      "use a directory that belongs to somebody else");
			return -1;
		}
		/* A LAUNCH cannot name them, and in C they would turn into "stays root". */
		if (st.st_uid > INT32_MAX || st.st_gid > INT32_MAX) {
			download_fail(d, STATUS_NO_WALL,
				      "the file system of the output directory cannot map its owner, whose id %u:%u is too large for diskproc; "
				      "use a directory that belongs to somebody else",
				      (unsigned)st.st_uid, (unsigned)st.st_gid);
			return -1;
		}
		d->ids[ROLE_DISKPROC] = st.st_uid;
		d->disk_gid = st.st_gid;
	}
	return 0;
}

static void announce_selection(const struct download *d)
{
	const struct wanted_sum *s = &d->selection.sum;
	char size[32];
	struct text t;

	json_begin("selection", d->index);
	json_number("files", s->files);
	json_number("bytes", s->bytes);
	json_number("pieces", s->pieces);
	json_end();
	text_init(&t, size, sizeof size);
	text_add_size(&t, s->bytes);
	if (d->selection.partial)
		screen_note("%s: %u of %u files selected, %s", d->name, s->files, d->m.h->file_count, size);
}

static void announce(const struct download *d)
{
	const struct metainfo_header *h = d->m.h;
	char hash[41], size[32];
	struct text t;

	hex_text(hash, h->info_hash, sizeof h->info_hash);
	json_begin("torrent", d->index);
	json_text("name", metainfo_str(&d->m, h->name), h->name.length);
	json_word("info_hash", hash);
	json_number("bytes", h->total_length);
	json_number("piece_length", h->piece_length);
	json_number("pieces", h->piece_count);
	json_number("files", h->file_count);
	json_bool("private", h->flags & METAINFO_PRIVATE);
	json_number("warnings", d->inspected.warnings);
	json_bool("continues", d->out.existed);
	json_end();
	if (d->selection.fd >= 0)
		announce_selection(d);
	text_init(&t, size, sizeof size);
	text_add_size(&t, h->total_length);
	screen_note("%s: %s in %u file%s, %u piece%s%s", d->name, size, h->file_count, h->file_count == 1 ? "" : "s", h->piece_count,
		    h->piece_count == 1 ? "" : "s",
		    d->out.incomplete			  ? "; it is not complete, checking it" :
		    d->x->o->command != COMMAND_GET	  ? "; checking it" :
		    d->out.finished			  ? "; it is there already, checking it" :
		    d->out.existed			  ? "; continuing what is there" :
							    "");
}

/* The form is sealed and valid, the output open. */
static void prepare(struct download *d)
{
	const struct options *o = d->x->o;
	struct output_options options = {
		.dir = d->x->dir, .dir_name = o->dir, .states = d->x->states, .give = d->x->root, .adopt = o->adopt || o->repair,
		.any_size = o->repair, .recall = o->quick, .mode = o->mode, .seeds = o->seed.wanted,
	};
	const char *wrong;
	char error[1000];
	int r;

	wrong = metainfo_map(&d->m, d->form);
	if (wrong) {
		download_fail(d, STATUS_REFUSED, "inspect's answer is not valid: %s", wrong);
		return;
	}
	d->mapped = true;
	if (d->m.h->flags & METAINFO_MAGNET) {
		download_fail(d, STATUS_FAILED, "magnet links cannot be downloaded yet");
		return;
	}
	screen_safe(d->name, sizeof d->name, metainfo_str(&d->m, d->m.h->name), d->m.h->name.length);
	r = select_files(&d->selection, o, &d->m, error, sizeof error);
	if (r) {
		download_fail(d, r, "%s", error);
		return;
	}
	options.partial = d->selection.partial;
	options.shares = d->selection.shares;
	if (o->command == COMMAND_SEED)
		r = output_open_to_seed(&d->out, &options, &d->m, error, sizeof error);
	else if (o->command == COMMAND_CHECK && o->repair)
		r = output_open_to_repair(&d->out, &options, &d->m, error, sizeof error);
	else if (o->command == COMMAND_CHECK)
		r = output_open_to_check(&d->out, &options, &d->m, error, sizeof error);
	else
		r = output_open(&d->out, &options, &d->m, error, sizeof error);
	if (o->command == COMMAND_CHECK && r >= 0)
		checking_begin(d);
	if (r == 1) {
		if (!checking_all_missing(d))
			return;
		r = output_open(&d->out, &options, &d->m, error, sizeof error);
	}
	d->earlier = (struct totals){ d->out.state.record.uploaded, d->out.state.record.downloaded };
	if (r < 0) {
		download_fail(d, STATUS_STORAGE, "%s", error);
		return;
	}
	if (map_owner(d) < 0)
		return;
	d->seeds = o->seed.wanted && d->selection.sum.pieces > 0 && !d->out.incomplete;
	d->disk_only = d->checking.active || (d->out.finished && !d->seeds) || d->selection.sum.pieces == 0;
	if ((!d->disk_only || o->repair) && (o->verbose || o->json))
		peer_table_open(&d->peers, max_u32(1, o->max_peers / o->source_count));
	hook_name(&d->x->hook, d->index, d->out.name, strlen(d->out.name), d->m.h->info_hash, d->m.h->total_length);
	d->state = DOWNLOAD_PREPARED;
	announce(d);
}

void inspecting_end(struct download *d)
{
	const struct msg_inspected *m = &d->inspected;
	const struct child *c = &d->child[ROLE_INSPECT];
	char why[1100];

	if (!d->inspect_answered) {
		download_fail(d, c->wall_missing ? STATUS_NO_WALL : STATUS_DIED, "inspect %s", c->cause);
		return;
	}
	if (m->status != INSPECT_OK) {
		screen_safe(why, sizeof why, m->text, m->length);
		if (m->status == INSPECT_INTERNAL)
			download_fail(d, STATUS_FAILED, "inspect failed: %s", why);
		else if (m->status == INSPECT_MALFORMED && m->where)
			download_fail(d, STATUS_REFUSED, "refused: %s (at byte %llu)", why, (unsigned long long)m->where);
		else
			download_fail(d, STATUS_REFUSED, "refused: %s", why);
		return;
	}
	if (d->x->o->command != COMMAND_SHOW) {
		if (fcntl(d->form, F_ADD_SEALS, SEALS) < 0)
			download_fail(d, STATUS_FAILED, "cannot seal the normal form: %s", strerror(errno));
		else
			prepare(d);
		return;
	}
	print_text(d);
	if (d->status < 0) {
		d->status = STATUS_COMPLETE;
		d->state = DOWNLOAD_FINISHING;
	}
}
