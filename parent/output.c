/*
 * output.c - see output.h.
 *
 * The directory may be writable by others: every name is opened with
 * O_NOFOLLOW, then what was opened is looked at by its descriptor.
 */
#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "screen.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

static int PRINTF_LIKE(3, 4) refuse(char *error, size_t room, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, room, fmt, ap);
	va_end(ap);
	return -1;
}

void output_init(struct output *o)
{
	memset(o, 0, sizeof *o);
	o->dir = o->root = o->spill = o->parts = -1;
	state_init(&o->state);
}

void output_close(struct output *o)
{
	if (o->root >= 0)
		close(o->root);
	if (o->spill >= 0)
		close(o->spill);
	if (o->parts >= 0)
		close(o->parts);
	o->root = o->spill = o->parts = -1;
	state_close(&o->state);
}

void output_part_name(char *out, const char *name, size_t length, const uint8_t *info_hash)
{
	const size_t most = METAINFO_MAX_NAME - strlen(".part");
	char hash[17];
	struct text t;

	text_init(&t, out, METAINFO_MAX_NAME + 1);
	if (length > most) {
		length = most - 17;
		while (length && ((uint8_t)name[length] & 0xc0) == 0x80)
			length--;
		text_add(&t, name, length);
		hex_text(hash, info_hash, 8);
		text_addf(&t, "~%s", hash);
	} else {
		text_add(&t, name, length);
	}
	text_addf(&t, ".part");
}

void output_temporary_name(char out[OUTPUT_TEMPORARY_NAME])
{
	uint8_t r[8];

	random_bytes(r, sizeof r);
	snprintf(out, OUTPUT_TEMPORARY_NAME, ".bulkhead-%02x%02x%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]);
}

/* Whether what the directory has under this name is what we hold open: others may rename there, too. */
static bool is_root(const struct output *o, const char *name)
{
	struct stat root, named;

	return fstat(o->root, &root) == 0 && fstatat(o->dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_dev == root.st_dev &&
	       named.st_ino == root.st_ino;
}

/*
 * Whether a directory is as we made it a moment ago: ours, and empty.  It was
 * opened by its name, and whoever may rename in the directory above could have
 * put another one there, of the user's or (started as root) of root's.
 */
static bool is_fresh(int fd)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	const struct dirent *e;
	struct stat st;
	bool empty = d != NULL;

	while (empty && (e = readdir(d)))
		empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
	if (d)
		closedir(d);
	else if (again >= 0)
		close(again);
	return empty && fstat(fd, &st) == 0 && st.st_uid == geteuid();
}

/* What make_part() made under its temporary name goes.  errno stays. */
static void unmake(const struct output *o, const char *temporary)
{
	int saved = errno;

	(void)unlinkat(o->dir, temporary, o->single ? 0 : AT_REMOVEDIR);
	errno = saved;
}

/*
 * Makes NAME.part: under a temporary name first, which is then renamed without
 * replacing anything.  That rename is the one which the end depends on, so a
 * file system that lacks it is found out before the first byte.  It is recorded
 * before it has its name: killed in between, what is there is known for ours.
 */
static int make_part(struct output *o, const struct output_options *options, const char *safe_dir, const uint8_t *info_hash, char *error,
		     size_t room)
{
	mode_t mode = options->mode ? options->mode : FILE_MODE;
	char temporary[OUTPUT_TEMPORARY_NAME];
	struct stat st;

	output_temporary_name(temporary);
	if (o->single) {
		o->root = openat(o->dir, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	} else if (mkdirat(o->dir, temporary, dir_mode(mode)) == 0) {
		o->root = openat(o->dir, temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (o->root < 0)
			unmake(o, temporary);
	}
	if (o->root < 0)
		return refuse(error, room, "cannot create '%s' in '%s': %s", o->part, safe_dir, strerror(errno));
	if (!o->single && !is_fresh(o->root))
		return refuse(error, room, "'%s' changed while it was made: somebody else renames in '%s'", o->part, safe_dir);
	if (options->give && fstat(o->dir, &st) == 0 && st.st_uid != 0 && fchown(o->root, st.st_uid, st.st_gid) < 0) {
		unmake(o, temporary);
		return refuse(error, room, "cannot give '%s' to the owner of '%s': %s", o->part, safe_dir, strerror(errno));
	}
	if (state_find(&o->state, options->states, info_hash, o->dir, error, room) < 0 || state_claim(&o->state, o->root, error, room) < 0) {
		unmake(o, temporary);
		return -1;
	}
	if (flock(o->root, LOCK_EX | LOCK_NB) < 0 || renameat2(o->dir, temporary, o->dir, o->part, RENAME_NOREPLACE) < 0) {
		unmake(o, temporary);
		if (errno == EINVAL || errno == ENOSYS)
			return refuse(error, room, "the file system of '%s' cannot rename without replacing, which bulkhead needs", safe_dir);
		return refuse(error, room, "cannot create '%s' in '%s': %s", o->part, safe_dir, strerror(errno));
	}
	if (!is_root(o, o->part))
		return refuse(error, room, "'%s' changed while it was made: somebody else renames in '%s'", o->part, safe_dir);
	return 0;
}

/* What is open as o->root under this name: of the right kind, the user's, without a second name; and locked. */
static int check_root(struct output *o, const char *name, char *error, size_t room)
{
	struct stat st, named, dir;

	if (fstat(o->root, &st) < 0 || fstat(o->dir, &dir) < 0)
		return refuse(error, room, "cannot look at '%s': %s", name, strerror(errno));
	if (o->single ? !S_ISREG(st.st_mode) : !S_ISDIR(st.st_mode))
		return refuse(error, room, "'%s' is there already, and is not a %s", name, o->single ? "plain file" : "directory");
	if (st.st_uid != geteuid() && !(geteuid() == 0 && st.st_uid == dir.st_uid))
		return refuse(error, room, "'%s' is there already, and belongs to somebody else", name);
	if (o->single && st.st_nlink != 1)
		return refuse(error, room, "'%s' is there already, and has a second name (hard link)", name);
	if (o->single && st.st_mode & (S_ISUID | S_ISGID))
		return refuse(error, room, "'%s' is there already, and has set-id bits", name);
	if (flock(o->root, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return refuse(error, room, "'%s' is being downloaded already, by another bulkhead or for another SOURCE", name);
		return refuse(error, room, "cannot lock '%s': %s", name, strerror(errno));
	}
	/* Between open and lock its owner may have finished and renamed it. */
	if (fstatat(o->dir, name, &named, AT_SYMLINK_NOFOLLOW) < 0 || named.st_dev != st.st_dev || named.st_ino != st.st_ino)
		return refuse(error, room, "'%s' changed while it was opened", name);
	return 0;
}

/* Whether NAME.part, which is open as o->root, is ours, or may become it. */
static int check_part(struct output *o, const struct output_options *options, const struct metainfo_header *h, char *error, size_t room)
{
	char torrent[41];
	struct stat st;

	if (check_root(o, o->part, error, room) < 0)
		return -1;
	/* A shorter one grows, or was left by a run that let it grow. */
	if (o->single && !options->any_size && (fstat(o->root, &st) < 0 || (uint64_t)st.st_size > h->total_length))
		return refuse(error, room, "'%s' is there already, and is longer than this download", o->part);
	if (state_find(&o->state, options->states, h->info_hash, o->dir, error, room) < 0)
		return -1;
	if (!state_knows(&o->state, o->root)) {
		if (!options->adopt)
			return refuse(error, room,
				      "'%s' is there already, and there is no record that bulkhead made it for this torrent: "
				      "move it away, or take it over with --adopt",
				      o->part);
		if (state_is_others(&o->state, o->root, torrent))
			return refuse(error, room, "'%s' is there already, and is what was begun of another torrent, %s: move it away", o->part,
				      torrent);
		if (state_claim(&o->state, o->root, error, room) < 0)
			return -1;
	} else {
		state_open_have(&o->state);
	}
	o->existed = true;
	return 0;
}

static int open_to_write(const struct output *o, const char *name)
{
	/* O_NONBLOCK: a pipe or device under that name does not hold us up before it is refused. */
	return openat(o->dir, name, (o->single ? O_RDWR | O_NONBLOCK | O_NOCTTY : O_RDONLY | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC);
}

static int open_part(struct output *o, const struct output_options *options, const char *safe_dir, const struct metainfo_header *h,
		     char *error, size_t room)
{
	o->root = open_to_write(o, o->part);
	if (o->root < 0 && errno == ENOENT)
		return make_part(o, options, safe_dir, h->info_hash, error, room);
	if (o->root < 0 && (errno == ELOOP || errno == ENOTDIR || errno == EISDIR || errno == ENXIO))
		return refuse(error, room, "'%s' is there already, and is not a %s", o->part, o->single ? "plain file" : "directory");
	if (o->root < 0)
		return refuse(error, room, "cannot open '%s': %s", o->part, strerror(errno));
	return check_part(o, options, h, error, room);
}

const char *output_name(const struct output *o)
{
	return o->finished && !o->incomplete ? o->name : o->part;
}

static int open_to_read(const struct output *o, const char *name)
{
	return openat(o->dir, name, (o->single ? O_RDONLY | O_NONBLOCK | O_NOCTTY : O_RDONLY | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC);
}

/* NAME is there: opened to be read and verified, nothing else.  1: it is not there. */
static int open_finished(struct output *o, uint64_t total, char *error, size_t room)
{
	struct stat st;

	o->root = open_to_read(o, o->name);
	if (o->root < 0 && errno == ENOENT)
		return 1;
	if (o->root < 0)
		return refuse(error, room, "'%s' is there already, and cannot be read as this download: %s", o->name, strerror(errno));
	if (fstat(o->root, &st) < 0 || (o->single ? !S_ISREG(st.st_mode) : !S_ISDIR(st.st_mode)) || (o->single && (uint64_t)st.st_size != total))
		return refuse(error, room, "'%s' is there already, and is not this download", o->name);
	o->finished = true;
	return 0;
}

/* Room for pieces that must wait: a file without a name. */
static int open_spill(struct output *o, const char *safe_dir, char *error, size_t room)
{
	char temporary[OUTPUT_TEMPORARY_NAME];

	o->spill = openat(o->dir, ".", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (o->spill >= 0)
		return 0;
	output_temporary_name(temporary);
	o->spill = openat(o->dir, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (o->spill >= 0 && unlinkat(o->dir, temporary, 0) == 0)
		return 0;
	return refuse(error, room, "cannot make a temporary file in '%s': %s", safe_dir, strerror(errno));
}

/* What is known of this run before its first byte: whether it is one for all files, and where bytes of the others go. */
static int open_parts(struct output *o, const struct output_options *options, char *error, size_t room)
{
	if (state_set_partial(&o->state, options->partial, error, room) < 0)
		return -1;
	return state_parts(&o->state, !o->existed, options->shares, &o->parts, error, room);
}

static int take_names(struct output *o, const struct output_options *options, const struct metainfo *m, char *error, size_t room)
{
	const char *name = metainfo_str(m, m->h->name);
	size_t length = m->h->name.length;

	output_init(o);
	o->dir = options->dir;
	o->single = m->h->flags & METAINFO_SINGLE;
	/* The form was made by inspect, which may be anyone's by now. */
	if (length > METAINFO_MAX_NAME || !metainfo_name_is_safe(name, length))
		return refuse(error, room, "the name of the torrent is not safe");
	memcpy(o->name, name, length);
	output_part_name(o->part, name, length, m->h->info_hash);
	return 0;
}

/* Of what is given, so that a ratio counts over several runs. */
static int keep_totals(struct output *o, const struct output_options *options, const struct metainfo_header *h, char *error, size_t room)
{
	if (state_find(&o->state, options->states, h->info_hash, o->dir, error, room) < 0)
		return -1;
	return state_claim_finished(&o->state, o->root, error, room);
}

/*
 * NAME is there.  If bulkhead made it, and not all of it was wanted then, it is
 * NAME.part again, which is continued.  The record says so first: killed
 * in between, this is done the next time.
 */
static int take_back(struct output *o, const struct output_options *options, const struct metainfo_header *h, char *error, size_t room)
{
	int r = 0;

	o->root = o->single ? -1 : open_to_read(o, o->name);
	/* Another bulkhead may have it, and be giving it: then it is only read. */
	if (o->root < 0 || state_find(&o->state, options->states, h->info_hash, o->dir, error, room) < 0)
		goto end;
	r = state_reopen(&o->state, o->root, error, room);
	if (r <= 0)
		goto end;
	r = 0;
	if (renameat2(o->dir, o->name, o->dir, o->part, RENAME_NOREPLACE) < 0)
		r = errno == EEXIST
			? refuse(error, room, "'%s' is to be continued, but '%s' is there too: move one of them away", o->name, o->part)
			: refuse(error, room, "cannot rename '%s' to '%s': %s", o->name, o->part, strerror(errno));
	else if (!is_root(o, o->part))
		r = refuse(error, room, "'%s' changed while it was renamed: somebody else renames there", o->part);
end:
	if (o->root >= 0)
		close(o->root);
	o->root = -1;
	state_close(&o->state);
	return r;
}

int output_open(struct output *o, const struct output_options *options, const struct metainfo *m, char *error, size_t room)
{
	char safe_dir[400];
	int r;

	if (take_names(o, options, m, error, room) < 0)
		return -1;
	screen_safe(safe_dir, sizeof safe_dir, options->dir_name, strlen(options->dir_name));
	if (take_back(o, options, m->h, error, room) < 0)
		return -1;
	r = open_finished(o, m->h->total_length, error, room);
	if (r == 0 && options->seeds)
		r = keep_totals(o, options, m->h, error, room);
	if (r == 1)
		r = open_part(o, options, safe_dir, m->h, error, room);
	if (r == 0 && !o->finished)
		r = open_spill(o, safe_dir, error, room);
	if (r == 0 && !o->finished && !o->single)
		r = open_parts(o, options, error, room);
	if (r < 0)
		output_close(o);
	return r;
}

/* NAME, or NAME.part where there is no NAME: to be read.  1: neither is there. */
static int open_either(struct output *o, char *error, size_t room)
{
	struct stat st;

	o->root = open_to_read(o, o->name);
	if (o->root < 0 && errno == ENOENT) {
		o->root = open_to_read(o, o->part);
		o->incomplete = o->root >= 0;
	}
	if (o->root < 0 && errno == ENOENT)
		return 1;
	if (o->root < 0)
		return refuse(error, room, "'%s' cannot be read as this download: %s", o->name, strerror(errno));
	o->finished = true;
	if (fstat(o->root, &st) < 0 || (o->single ? !S_ISREG(st.st_mode) : !S_ISDIR(st.st_mode)))
		return refuse(error, room, "'%s' is no plain %s", output_name(o), o->single ? "file" : "directory");
	return 0;
}

int output_open_to_seed(struct output *o, const struct output_options *options, const struct metainfo *m, char *error, size_t room)
{
	char safe_dir[400];
	struct stat st;
	int r;

	if (take_names(o, options, m, error, room) < 0)
		return -1;
	r = open_either(o, error, room);
	if (r == 1)
		r = refuse(error, room, "'%s' is not in '%s': all of its %u pieces are missing; 'bulkhead get' downloads it", o->name,
			   screen_safe(safe_dir, sizeof safe_dir, options->dir_name, strlen(options->dir_name)), m->h->piece_count);
	/* One that is too short: how many pieces that costs is diskproc's to find out. */
	if (r == 0 && o->single && (fstat(o->root, &st) < 0 || (uint64_t)st.st_size > m->h->total_length))
		r = refuse(error, room, "'%s' is longer than this download", output_name(o));
	if (r == 0 && !o->incomplete)
		r = keep_totals(o, options, m->h, error, room);
	if (r < 0)
		output_close(o);
	return r;
}

int output_open_to_check(struct output *o, const struct output_options *options, const struct metainfo *m, char *error, size_t room)
{
	int r;

	if (take_names(o, options, m, error, room) < 0)
		return -1;
	r = open_either(o, error, room);
	if (r == 0 && options->recall) {
		r = state_find(&o->state, options->states, m->h->info_hash, o->dir, error, room);
		if (r == 0)
			state_only_have(&o->state, o->root);
	}
	if (r)
		output_close(o);
	return r;
}

int output_open_to_repair(struct output *o, const struct output_options *options, const struct metainfo *m, char *error, size_t room)
{
	char safe_dir[400];
	int r;

	if (take_names(o, options, m, error, room) < 0)
		return -1;
	screen_safe(safe_dir, sizeof safe_dir, options->dir_name, strlen(options->dir_name));
	o->root = open_to_write(o, o->name);
	if (o->root >= 0) {
		o->finished = true;
		r = check_root(o, o->name, error, room);
		if (r == 0)
			r = keep_totals(o, options, m->h, error, room);
	} else if (errno != ENOENT) {
		r = refuse(error, room, "cannot open '%s' to repair it: %s", o->name, strerror(errno));
	} else {
		o->root = open_to_write(o, o->part);
		if (o->root < 0 && errno == ENOENT)
			return 1;
		r = o->root < 0 ? refuse(error, room, "cannot open '%s' to repair it: %s", o->part, strerror(errno)) :
				  check_part(o, options, m->h, error, room);
		o->incomplete = true;
	}
	o->existed = true;
	if (r == 0)
		r = open_spill(o, safe_dir, error, room);
	if (r == 0 && !o->single)
		r = open_parts(o, options, error, room);
	if (r < 0)
		output_close(o);
	return r;
}

int output_reopen(struct output *o, char *error, size_t room)
{
	if (!is_root(o, o->name))
		return refuse(error, room, "'%s' is not what was checked any more: somebody has renamed or replaced it", o->name);
	/* Recorded before it has its name, as when it is made: killed in between, what is there is known for ours. */
	if (state_unfinish(&o->state) < 0)
		return refuse(error, room, "cannot write the record of '%s': %s", o->name, strerror(errno));
	if (renameat2(o->dir, o->name, o->dir, o->part, RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return refuse(error, room, "'%s' is there too, and is left alone; move it away to have '%s' repaired", o->part, o->name);
		return refuse(error, room, "cannot rename '%s' to '%s': %s", o->name, o->part, strerror(errno));
	}
	if (!is_root(o, o->part))
		return refuse(error, room, "'%s' is not what was checked: somebody has replaced it", o->part);
	if (fsync(o->dir) < 0)
		return refuse(error, room, "cannot sync the directory of '%s': %s", o->part, strerror(errno));
	o->finished = false;
	o->existed = true;
	return 0;
}

int output_finish(struct output *o, char *error, size_t room)
{
	if (!is_root(o, o->part))
		return refuse(error, room, "'%s' is not what was downloaded any more: somebody has renamed or replaced it", o->part);
	if (renameat2(o->dir, o->part, o->dir, o->name, RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return refuse(error, room, "'%s' has appeared meanwhile and is left alone; the finished download is '%s'", o->name, o->part);
		return refuse(error, room, "cannot rename '%s' to '%s': %s", o->part, o->name, strerror(errno));
	}
	/* A rename goes by name: it is known only now what it took. */
	if (!is_root(o, o->name))
		return refuse(error, room, "'%s' is not what was downloaded: somebody has replaced it", o->name);
	if (fsync(o->dir) < 0)
		return refuse(error, room, "cannot sync the directory of '%s': %s", o->name, strerror(errno));
	/* A diskproc that comes after this one only reads. */
	if (o->spill >= 0)
		close(o->spill);
	o->spill = -1;
	o->finished = true;
	return 0;
}
