/*
 * state.c - see state.h.  Runs as the user, before the lock, but for state_end().
 */
#include "state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "screen.h"

#define MAGIC 0x6268737461746531ull /* "bhstate1" */
#define VERSION 1u
#define PARTS ".parts"
/* A sector of any disk, so that no write touches both slots. */
#define SLOT_STRIDE 4096
#define HASH_HEX 40
#define HAVE ".have"
/* Somebody who removes a finished record holds it for microseconds. */
#define LOCK_TRIES 100
#define LOCK_WAIT_NS 10000000
/* On the way to the state directory; as the kernel has it. */
#define LINKS_MAX 40

static int PRINTF_LIKE(3, 4) complain(char *error, size_t room, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, room, fmt, ap);
	va_end(ap);
	return -1;
}

void state_init(struct state *s)
{
	memset(s, 0, sizeof *s);
	s->dir = s->fd = s->have = -1;
}

void state_close(struct state *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->have >= 0)
		close(s->have);
	s->fd = s->have = -1;
}

/* ---- identities */

static int identify(int fd, struct state_identity *id)
{
	struct statx x;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &x) < 0)
		return -1;
	*id = (struct state_identity){ .device = makedev(x.stx_dev_major, x.stx_dev_minor), .inode = x.stx_ino };
	if (x.stx_mask & STATX_BTIME)
		id->birth_ns = (uint64_t)x.stx_btime.tv_sec * 1000000000u + x.stx_btime.tv_nsec;
	return 0;
}

static bool is_same(const struct state_identity *a, const struct state_identity *b)
{
	return a->inode == b->inode && a->birth_ns == b->birth_ns && (a->birth_ns || a->device == b->device);
}

/* ---- slots */

/* FNV-1a. */
static uint64_t checksum_of(const struct state_record *r)
{
	const uint8_t *p = (const uint8_t *)r;
	uint64_t sum = 14695981039346656037u;
	size_t i;

	for (i = 0; i < offsetof(struct state_record, checksum); i++)
		sum = (sum ^ p[i]) * 1099511628211u;
	return sum;
}

/* Takes what the newer of the valid slots says. */
static void read_slots(struct state *s)
{
	struct state_record r;
	uint32_t i;

	memset(&s->record, 0, sizeof s->record);
	for (i = 0; i < 2; i++)
		if (pread(s->fd, &r, sizeof r, (off_t)i * SLOT_STRIDE) == (ssize_t)sizeof r && r.magic == MAGIC && r.version == VERSION &&
		    r.sequence % 2 == i && r.sequence > s->record.sequence && r.checksum == checksum_of(&r))
			s->record = r;
}

/* Into the slot that is not the present one. */
static int write_slot(struct state *s)
{
	struct state_record *r = &s->record;
	ssize_t n;

	r->sequence++;
	r->checksum = checksum_of(r);
	n = pwrite(s->fd, r, sizeof *r, (off_t)(r->sequence % 2) * SLOT_STRIDE);
	if (n >= 0 && n < (ssize_t)sizeof *r)
		errno = ENOSPC;
	return n == (ssize_t)sizeof *r ? 0 : -1;
}

/* ---- the file */

#define OPEN_FLAGS (O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

enum opened { OPENED_OURS, OPENED_FOREIGN, OPENED_OTHER };

/* What was opened by `name`: a record; something that is none of ours; or what lost its name meanwhile. */
static enum opened judge(const struct state *s, const char *name, int fd)
{
	struct stat st, named;

	if (fstat(fd, &st) < 0 || fstatat(s->dir, name, &named, AT_SYMLINK_NOFOLLOW) < 0 || named.st_dev != st.st_dev ||
	    named.st_ino != st.st_ino)
		return OPENED_OTHER;
	return S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 1 ? OPENED_OURS : OPENED_FOREIGN;
}

/* The record's descriptor, locked; -1 with errno: ENOENT when there is none that is ours, EWOULDBLOCK when another bulkhead holds it. */
static int open_record(const struct state *s, bool make, int tries)
{
	const struct timespec wait = { 0, LOCK_WAIT_NS };
	int flags = OPEN_FLAGS | (make ? O_CREAT : 0), fd;

	for (errno = EWOULDBLOCK; tries; tries--) {
		enum opened what = OPENED_FOREIGN;

		fd = openat(s->dir, s->name, flags, 0600);
		if (fd < 0 && errno != ELOOP && errno != ENXIO && errno != EISDIR && errno != EACCES)
			return -1;
		if (fd >= 0) {
			if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
				close(fd);
				if (tries > 1)
					(void)nanosleep(&wait, NULL);
				errno = EWOULDBLOCK;
				continue;
			}
			what = judge(s, s->name, fd);
			if (what == OPENED_OURS)
				return fd;
			close(fd);
		}
		errno = ENOENT;
		/* The directory is the user's alone: what has a record's name here and is none gives way to one. */
		if (what == OPENED_FOREIGN && (!make || unlinkat(s->dir, s->name, 0) < 0))
			return -1;
	}
	return -1;
}

#define BESIDE_NAME (sizeof((struct state *)0)->name + 16)

/* The name of what stands beside the record: HAVE or PARTS. */
static const char *beside(char name[BESIDE_NAME], const struct state *s, const char *which)
{
	snprintf(name, BESIDE_NAME, "%s%s", s->name, which);
	return name;
}

/* The record is open and locked: nobody else has that of its pieces.  fresh: what is in it is of something else. */
static void open_have(struct state *s, bool fresh)
{
	char name[BESIDE_NAME];
	int tries;

	beside(name, s, HAVE);
	for (tries = 2; tries && s->have < 0; tries--) {
		if (fresh)
			(void)unlinkat(s->dir, name, 0);
		s->have = openat(s->dir, name, OPEN_FLAGS | O_CREAT, 0600);
		if (s->have >= 0 && judge(s, name, s->have) != OPENED_OURS) {
			close(s->have);
			s->have = -1;
			errno = EEXIST;
		}
		/* As with the record itself: what is none gives way to one. */
		fresh = true;
	}
	if (s->have < 0)
		screen_warn("cannot open the record of what is verified in the state directory: %s; the next start will verify all",
			    strerror(errno));
}

void state_open_have(struct state *s)
{
	open_have(s, false);
}

static bool is_old(const struct state *s)
{
	struct stat st;

	return fstat(s->fd, &st) == 0 && time(NULL) - st.st_mtime > (time_t)STATE_KEEP_S;
}

/* Calls `look` with each record that can be had, until it returns false. */
static void each_record(int dir, bool (*look)(struct state *s, void *with), void *with)
{
	int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	const struct dirent *e;
	struct state s;
	bool go_on = true;

	while (go_on && d && (e = readdir(d))) {
		state_init(&s);
		if (strlen(e->d_name) <= HASH_HEX || strlen(e->d_name) >= sizeof s.name || e->d_name[HASH_HEX] != '-' ||
		    strchr(e->d_name, '.'))
			continue;
		s.dir = dir;
		snprintf(s.name, sizeof s.name, "%s", e->d_name);
		s.fd = open_record(&s, false, 1);
		if (s.fd < 0)
			continue;
		read_slots(&s);
		go_on = look(&s, with);
		state_close(&s);
	}
	if (d)
		closedir(d);
	else if (again >= 0)
		close(again);
}

/* The old one of a download that was finished, and of which nothing was given, goes. */
static bool prune(struct state *s, void *with)
{
	char name[BESIDE_NAME];

	(void)with;
	if (s->record.flags & STATE_FINISHED && !(s->record.flags & STATE_PARTIAL) && is_old(s)) {
		(void)unlinkat(s->dir, beside(name, s, PARTS), 0);
		if (s->record.uploaded)
			return true;
		(void)unlinkat(s->dir, beside(name, s, HAVE), 0);
		(void)unlinkat(s->dir, s->name, 0);
	}
	return true;
}

/* ---- the directory */

/* 0: too long, or nothing says where. */
static size_t directory_path(char path[PATH_MAX], const char *named)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n = 0;

	/* The specification has relative ones ignored. */
	if (named)
		n = snprintf(path, PATH_MAX, "%s", named);
	else if (state && state[0] == '/')
		n = snprintf(path, PATH_MAX, "%s/bulkhead", state);
	else if (home && home[0] == '/')
		n = snprintf(path, PATH_MAX, "%s/.local/state/bulkhead", home);
	return n < 0 || n >= PATH_MAX ? 0 : (size_t)n;
}

/* What is there under this name of the directory `at`, which is made when there is nothing. */
static int open_component(int at, const char *name, struct stat *st)
{
	int failed = mkdirat(at, name, 0700) < 0 && errno != EEXIST ? errno : 0;
	int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && fstat(fd, st) == 0)
		return fd;
	/* Why it could not be made says more than that it is not there. */
	if (fd < 0 && errno == ENOENT && failed)
		errno = failed;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* In place of `path`: what the link leads to, and then the rest.  False with errno: ELOOP for a link of somebody else. */
static bool follow(char path[PATH_MAX], int link, const struct stat *st, const char *rest)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof target);

	if (n < 0)
		return false;
	if (st->st_uid != geteuid() && st->st_uid != 0) {
		errno = ELOOP;
		return false;
	}
	if (snprintf(path, PATH_MAX, "%.*s/%s", (int)n, target, rest) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	return true;
}

static int close_and_keep_errno(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

/*
 * Makes what is missing of the path, and opens it, component by component: in a
 * directory that others may write, too, a link of theirs leads nowhere.  -1 with
 * errno: ELOOP for such a link, or too many of any.
 */
static int make_and_open(const char *wanted)
{
	char path[PATH_MAX], name[PATH_MAX], rest[PATH_MAX];
	int at, next, links = 0;
	struct stat st;
	size_t n;

	snprintf(path, sizeof path, "%s", wanted);
	at = open(path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	while (at >= 0) {
		const char *begin = path + strspn(path, "/");

		n = strcspn(begin, "/");
		if (!n)
			break;
		snprintf(name, sizeof name, "%.*s", (int)n, begin);
		snprintf(rest, sizeof rest, "%s", begin + n);
		next = open_component(at, name, &st);
		if (next < 0)
			return close_and_keep_errno(at);
		snprintf(path, sizeof path, "%s", rest);
		if (S_ISLNK(st.st_mode)) {
			if (++links > LINKS_MAX)
				errno = ELOOP;
			if (links > LINKS_MAX || !follow(path, next, &st, rest)) {
				(void)close_and_keep_errno(next);
				return close_and_keep_errno(at);
			}
			close(next);
			next = openat(at, path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		}
		(void)close_and_keep_errno(at);
		at = next;
	}
	if (at < 0)
		return -1;
	next = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)close_and_keep_errno(at);
	return next;
}

int state_directory(const char *named, char *error, size_t room)
{
	char path[PATH_MAX], safe[400];
	struct stat st;
	int fd;

	if (!directory_path(path, named))
		return complain(error, room, "no state directory: %s; name one with --state-dir",
				named ? "its name is too long" : "neither XDG_STATE_HOME nor HOME says where it is");
	screen_safe(safe, sizeof safe, path, strlen(path));
	fd = make_and_open(path);
	if (fd < 0 && errno == ELOOP)
		return complain(error, room,
				"on the way to the state directory '%s' is a symbolic link of somebody else, or too many of them; "
				"name another one with --state-dir",
				safe);
	if (fd < 0)
		return complain(error, room, "cannot open the state directory '%s': %s; name another one with --state-dir", safe,
				strerror(errno));
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid()) {
		close(fd);
		return complain(error, room, "the state directory '%s' belongs to somebody else; name another one with --state-dir", safe);
	}
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		close(fd);
		return complain(
		    error, room,
		    "others may write to the state directory '%s': forbid it (chmod go-w), or name another one with --state-dir", safe);
	}
	each_record(fd, prune, NULL);
	return fd;
}

/* ---- one download */

int state_find(struct state *s, int dir, const uint8_t *info_hash, int where, char *error, size_t room)
{
	struct state_identity id;

	state_init(s);
	if (identify(where, &id) < 0)
		return complain(error, room, "cannot look at the output directory: %s", strerror(errno));
	s->dir = dir;
	hex_text(s->name, info_hash, HASH_HEX / 2);
	snprintf(s->name + HASH_HEX, sizeof s->name - HASH_HEX, "-%llx-%llx", (unsigned long long)id.inode,
		 (unsigned long long)(id.birth_ns ? id.birth_ns : id.device));
	s->fd = open_record(s, false, LOCK_TRIES);
	if (s->fd < 0 && errno == EWOULDBLOCK)
		return complain(error, room, "it is being downloaded already, by another bulkhead or for another SOURCE");
	if (s->fd >= 0)
		read_slots(s);
	if (memcmp(s->record.info_hash, info_hash, sizeof s->record.info_hash))
		memset(&s->record, 0, sizeof s->record);
	memcpy(s->record.info_hash, info_hash, sizeof s->record.info_hash);
	return 0;
}

bool state_knows(const struct state *s, int fd)
{
	struct state_identity id;

	return s->record.sequence && !(s->record.flags & STATE_FINISHED) && identify(fd, &id) == 0 && is_same(&id, &s->record.part);
}

struct search {
	const struct state *of;
	struct state_identity id;
	char *torrent;
	bool found;
};

static bool is_others(struct state *s, void *with)
{
	struct search *w = with;

	w->found = s->record.sequence && !(s->record.flags & STATE_FINISHED) && is_same(&w->id, &s->record.part) &&
		   memcmp(s->record.info_hash, w->of->record.info_hash, sizeof s->record.info_hash) != 0;
	if (w->found)
		snprintf(w->torrent, HASH_HEX + 1, "%.*s", HASH_HEX, s->name);
	return !w->found;
}

bool state_is_others(const struct state *s, int fd, char torrent[41])
{
	struct search w = { .of = s, .torrent = torrent };

	if (identify(fd, &w.id) == 0)
		each_record(s->dir, is_others, &w);
	return w.found;
}

static int claim_as(struct state *s, int fd, bool known, uint32_t flags, char *error, size_t room)
{
	struct state_record *r = &s->record;

	r->magic = MAGIC;
	r->version = VERSION;
	r->flags = flags;
	if (!known)
		r->uploaded = r->downloaded = 0;
	if (s->fd < 0)
		s->fd = open_record(s, true, LOCK_TRIES);
	if (s->fd < 0 || identify(fd, &r->part) < 0 || write_slot(s) < 0 || fsync(s->fd) < 0)
		goto failed;
	open_have(s, !known);
	if (fsync(s->dir) < 0)
		goto failed;
	return 0;
failed:
	return complain(error, room,
			"cannot write the record of this download in the state directory: %s; name another one with --state-dir",
			strerror(errno));
}

int state_claim(struct state *s, int fd, char *error, size_t room)
{
	return claim_as(s, fd, state_knows(s, fd), 0, error, room);
}

int state_claim_finished(struct state *s, int fd, char *error, size_t room)
{
	struct state_identity id;
	bool known = s->record.sequence && identify(fd, &id) == 0 && is_same(&id, &s->record.part);

	return claim_as(s, fd, known, STATE_FINISHED | (known ? s->record.flags & STATE_PARTIAL : 0), error, room);
}

int state_reopen(struct state *s, int fd, char *error, size_t room)
{
	struct state_identity id;

	if (!s->record.sequence || !(s->record.flags & STATE_PARTIAL) || identify(fd, &id) < 0 || !is_same(&id, &s->record.part))
		return 0;
	return claim_as(s, fd, true, STATE_PARTIAL, error, room) < 0 ? -1 : 1;
}

int state_set_partial(struct state *s, bool partial, char *error, size_t room)
{
	if (!!(s->record.flags & STATE_PARTIAL) == partial)
		return 0;
	s->record.flags ^= STATE_PARTIAL;
	if (write_slot(s) < 0 || fsync(s->fd) < 0)
		return complain(error, room, "cannot write the record of this download in the state directory: %s", strerror(errno));
	return 0;
}

int state_parts(const struct state *s, bool fresh, bool make, int *fd, char *error, size_t room)
{
	char name[BESIDE_NAME];
	struct stat st;

	beside(name, s, PARTS);
	if (fresh)
		(void)unlinkat(s->dir, name, 0);
	*fd = openat(s->dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (make ? O_CREAT : 0), 0600);
	if (*fd < 0 && errno == ENOENT && !make)
		return 0;
	if (*fd < 0)
		return complain(error, room, "cannot open the parts file of this download in the state directory: %s", strerror(errno));
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 1)
		return 0;
	close(*fd);
	*fd = -1;
	return complain(error, room, "'%s' in the state directory is not a parts file that bulkhead made; move it away", name);
}

void state_only_have(struct state *s, int fd)
{
	struct state_identity id;

	if (s->record.sequence && identify(fd, &id) == 0 && is_same(&id, &s->record.part))
		open_have(s, false);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

int state_unfinish(struct state *s)
{
	s->record.flags &= ~STATE_FINISHED;
	return write_slot(s) < 0 || fsync(s->fd) < 0 ? -1 : 0;
}

int state_end(struct state *s, uint64_t uploaded, uint64_t downloaded, bool finished)
{
	struct state_record *r = &s->record;

	if (s->fd < 0 || (!uploaded && !downloaded && !finished))
		return 0;
	r->uploaded += min_u64(uploaded, UINT64_MAX - r->uploaded);
	r->downloaded += min_u64(downloaded, UINT64_MAX - r->downloaded);
	if (finished)
		r->flags |= STATE_FINISHED;
	/* A finished one that is lost is merely not removed. */
	return write_slot(s) < 0 || (!finished && fsync(s->fd) < 0) ? -1 : 0;
}
