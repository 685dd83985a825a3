/*
 * creating.c - see creating.h.
 *
 * create has read names that anybody may have chosen: its answer may be
 * anything.  The dictionary is sealed before it is copied, and never looked at.
 */
#include "creating.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "download.h"
#include "outer.h"
#include "values.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

void creating_init(struct creating *cr)
{
	memset(cr, 0, sizeof *cr);
	cr->shared = -1;
	newfile_init(&cr->out);
}

void creating_close(struct creating *cr)
{
	newfile_close(&cr->out);
	if (cr->shared >= 0)
		close(cr->shared);
	free(cr->default_path);
	creating_init(cr);
}

/* ---- before the walls */

static int PRINTF_LIKE(3, 4) cannot(const struct download *d, int status, const char *fmt, ...)
{
	char text[1400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	screen_error("%s", text);
	json_begin("error", d->index);
	json_number("status", (uint64_t)status);
	json_word("text", text);
	json_end_result();
	return status;
}

/* Whether a name can be a torrent's: the last component of what is shared, or --name, which was looked at already. */
static bool choose_name(struct creating *cr, const char *path, const char *given)
{
	size_t end = strlen(path), begin;
	char *real = NULL;

	if (!given) {
		while (end > 1 && path[end - 1] == '/')
			end--;
		for (begin = end; begin && path[begin - 1] != '/'; begin--)
			;
		/* ".", "..", "/" say nothing: what they lead to has a name. */
		if (begin == end || (path[begin] == '.' && (end - begin == 1 || (end - begin == 2 && path[begin + 1] == '.')))) {
			real = realpath(path, NULL);
			if (!real)
				return false;
			path = real;
			end = strlen(real);
			begin = (size_t)(strrchr(real, '/') - real) + 1;
		}
		if (end - begin < sizeof cr->name)
			memcpy(cr->name, path + begin, end - begin);
		free(real);
	} else {
		memcpy(cr->name, given, strlen(given));
	}
	return value_is_name(cr->name);
}

/* The file or directory; a link is followed, since the user named it. */
static int open_shared(struct download *d)
{
	struct creating *cr = &d->creating;
	struct stat st;

	/* O_NONBLOCK: a pipe or device is not waited for before it is refused. */
	cr->shared = open(d->source, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (cr->shared < 0 || fstat(cr->shared, &st) < 0)
		return cannot(d, STATUS_STORAGE, "cannot open '%s': %s", d->name, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return cannot(d, STATUS_REFUSED, "cannot share '%s': neither a file nor a directory", d->name);
	cr->single = S_ISREG(st.st_mode);
	if (!choose_name(cr, d->source, d->x->o->name))
		return cannot(d, STATUS_REFUSED, "a torrent cannot have the name of '%s'; give it another with --name", d->name);
	return 0;
}

int creating_open(struct download *d)
{
	struct creating *cr = &d->creating;
	const char *path = d->x->o->output;
	char error[1200];
	int r = open_shared(d);

	if (r)
		return r;
	d->form = memfd_create("info", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (d->form < 0)
		return cannot(d, STATUS_FAILED, "cannot make a memory file: %s", strerror(errno));
	if (path && !strcmp(path, "-"))
		return 0;
	if (!path) {
		size_t room = strlen(cr->name) + sizeof ".torrent";

		cr->default_path = must_alloc(room);
		snprintf(cr->default_path, room, "%s.torrent", cr->name);
		path = cr->default_path;
	}
	if (newfile_open(&cr->out, path, d->x->root, error, sizeof error) < 0)
		return cannot(d, STATUS_STORAGE, "%s", error);
	d->x->dir = cr->out.dir;
	return 0;
}

void creating_map_owner(struct download *d, uint32_t id, int *uid, int *gid)
{
	struct stat st;

	*uid = *gid = (int)id;
	/* A file is read through its descriptor, whoever its owner is. */
	if (d->creating.single)
		return;
	d->mount = idmap_directory(d->creating.shared, id, true);
	/*
	 * Where the file system cannot: its owner, unless that is root or an id that a LAUNCH cannot name.  Then it
	 * stays somebody unknown, who can read what everybody may.
	 */
	if (d->mount < 0 && fstat(d->creating.shared, &st) == 0 && st.st_uid > 0 && st.st_uid <= INT32_MAX && st.st_gid > 0 &&
	    st.st_gid <= INT32_MAX) {
		*uid = (int)st.st_uid;
		*gid = (int)st.st_gid;
	}
}

/* ---- while it runs */

void creating_feed(struct download *d)
{
	const struct options *o = d->x->o;
	struct creating *cr = &d->creating;
	struct child *c = &d->child[ROLE_CREATE];
	struct msg_create_options m = {
		.skip_device = cr->out.device,
		.skip_inode = cr->out.inode,
		.max_bytes = o->max_torrent_bytes,
		.max_files = o->max_files,
		.max_pieces = o->max_pieces,
		.piece_length = (uint32_t)o->piece_length,
		.threads = o->threads,
		.is_private = o->is_private,
		.name_length = (uint16_t)strlen(cr->name),
		.source_length = (uint16_t)(o->source_text ? strlen(o->source_text) : 0),
	};

	if (c->state != CHILD_SETUP)
		return;
	memcpy(m.name, cr->name, m.name_length);
	if (m.source_length)
		memcpy(m.source, o->source_text, m.source_length);
	child_give(c, SETUP_FORM, d->form, 0, false);
	child_give(c, cr->single ? SETUP_FILE : SETUP_ROOT, d->mount >= 0 ? d->mount : cr->shared, 0, false);
	child_send(c, MSG_CREATE_OPTIONS, &m);
	child_setup_end(c);
}

int creating_on_progress(struct download *d, const struct msg_create_progress *m)
{
	if (m->hashed_bytes > m->total_bytes)
		return -1;
	d->creating.progress = *m;
	return 0;
}

int creating_on_answer(struct download *d, const struct msg_created *m)
{
	struct creating *cr = &d->creating;

	if (cr->answered || m->status > CREATE_INTERNAL || m->length > sizeof m->text || m->info_bytes > d->x->o->max_torrent_bytes)
		return -1;
	cr->answer = *m;
	cr->answered = true;
	return 0;
}

void creating_row(const struct download *d, struct screen_row *row)
{
	const struct msg_create_progress *p = &d->creating.progress;
	uint64_t ms = d->x->now_ms - d->started_ms;

	*row = (struct screen_row){
		.name = d->creating.name,
		.name_length = strlen(d->creating.name),
		.hashing = true,
		.done = p->hashed_bytes,
		.total = p->total_bytes,
		.rate = ms ? p->hashed_bytes / ms * 1000 + p->hashed_bytes % ms * 1000 / ms : 0,
		.source = d->index,
	};
}

/* ---- the end */

/* Head and tail in one buffer, which is the caller's to free. */
static uint8_t *make_outer(const struct options *options, size_t *head, size_t *tail)
{
	struct bencode_out o;
	uint8_t *bytes;

	bencode_out_init(&o, NULL, 0);
	outer_put_head(&o, options);
	*head = o.length;
	outer_put_tail(&o, options);
	*tail = o.length - *head;
	bytes = must_alloc(o.length);
	bencode_out_init(&o, bytes, o.length);
	outer_put_head(&o, options);
	outer_put_tail(&o, options);
	return bytes;
}

/* To the file, or to standard output when there is none.  0, or -1 with errno. */
static int put_bytes(struct creating *cr, const void *bytes, size_t length)
{
	return cr->out.fd >= 0 ? newfile_write(&cr->out, bytes, length) : screen_write(bytes, length);
}

static void say_result(struct download *d, const char *path)
{
	const struct msg_created *m = &d->creating.answer;
	char hash[43], size[32], piece[32];
	struct text t;

	hex_text(hash, m->info_hash, sizeof m->info_hash);
	json_begin("created", d->index);
	json_text("file", path, strlen(path));
	json_text("name", d->creating.name, strlen(d->creating.name));
	json_word("info_hash", hash);
	json_number("bytes", m->total_bytes);
	json_number("piece_length", m->piece_length);
	json_number("pieces", m->pieces);
	json_number("files", m->files);
	json_number("skipped", m->skipped);
	json_bool("private", d->x->o->is_private);
	json_number("milliseconds", d->x->now_ms - d->started_ms);
	json_end_result();
	text_init(&t, size, sizeof size);
	text_add_size(&t, m->total_bytes);
	text_init(&t, piece, sizeof piece);
	text_add_size(&t, m->piece_length);
	screen_note("%s: %s in %u file%s, %u piece%s of %s", d->creating.name, size, m->files, m->files == 1 ? "" : "s", m->pieces,
		    m->pieces == 1 ? "" : "s", piece);
	if (d->creating.out.fd < 0) {
		screen_note("info-hash %s", hash);
		return;
	}
	memcpy(hash + 40, "  ", 3);
	screen_result(hash, ".", path, strlen(path));
}

/* All is written; what is there before is not replaced. */
static void write_torrent(struct download *d)
{
	struct creating *cr = &d->creating;
	const char *path = cr->default_path ? cr->default_path : d->x->o->output;
	size_t bytes = (size_t)cr->answer.info_bytes, head, tail;
	uint8_t *outer, *info;
	char error[1200];
	struct stat st;
	int r;

	if (fcntl(d->form, F_ADD_SEALS, SEALS) < 0 || fstat(d->form, &st) < 0 || !bytes || st.st_size != (off_t)bytes) {
		download_fail(d, STATUS_FAILED, "create's dictionary is not of the size that it named");
		return;
	}
	info = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, d->form, 0);
	if (info == MAP_FAILED) {
		download_fail(d, STATUS_FAILED, "cannot map create's dictionary: %s", strerror(errno));
		return;
	}
	outer = make_outer(d->x->o, &head, &tail);
	r = put_bytes(cr, outer, head) < 0 || put_bytes(cr, info, bytes) < 0 || put_bytes(cr, outer + head, tail) < 0 ? -1 : 0;
	if (r < 0)
		snprintf(error, sizeof error, "cannot write the torrent: %s", strerror(errno));
	else if (cr->out.fd >= 0)
		r = newfile_finish(&cr->out, error, sizeof error);
	free(outer);
	munmap(info, bytes);
	if (r < 0) {
		download_fail(d, STATUS_STORAGE, "%s", error);
		return;
	}
	say_result(d, path);
	d->status = STATUS_COMPLETE;
	d->state = DOWNLOAD_FINISHING;
}

void creating_end(struct download *d)
{
	static const int statuses[] = {
		[CREATE_REFUSED] = STATUS_REFUSED, [CREATE_STORAGE] = STATUS_STORAGE, [CREATE_INTERNAL] = STATUS_FAILED
	};
	const struct msg_created *m = &d->creating.answer;
	const struct child *c = &d->child[ROLE_CREATE];
	char why[1200];

	if (!d->creating.answered) {
		download_fail(d, c->wall_missing ? STATUS_NO_WALL : STATUS_DIED, "create %s", c->cause);
		return;
	}
	if (m->status == CREATE_OK) {
		write_torrent(d);
		return;
	}
	screen_safe(why, sizeof why, m->text, m->length);
	if (m->error == EACCES && d->x->root)
		download_fail(d, statuses[m->status],
			      "%s: started as root, bulkhead reads what the owner of the directory or everybody may read", why);
	else if (m->error > 0)
		download_fail(d, statuses[m->status], "%s: %s", why, strerror(m->error));
	else
		download_fail(d, statuses[m->status], "%s", why);
}
