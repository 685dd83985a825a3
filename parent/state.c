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
/* A sector of any disk, so that no write touches both slots. */
#define SLOT_STRIDE 4096
#define HASH_HEX 40
/* Somebody who removes a finished record holds it for microseconds. */
#define LOCK_TRIES 100
#define LOCK_WAIT_NS 10000000

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
	s->dir = s->fd = -1;
}

void state_close(struct state *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
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

enum opened { OPENED_OURS, OPENED_FOREIGN, OPENED_OTHER };

/* What was opened and locked: the record; something that is none of ours; or what lost its name meanwhile. */
static enum opened judge(const struct state *s, int fd)
{
	struct stat st, named;

	if (fstat(fd, &st) < 0 || fstatat(s->dir, s->name, &named, AT_SYMLINK_NOFOLLOW) < 0 || named.st_dev != st.st_dev ||
	    named.st_ino != st.st_ino)
		return OPENED_OTHER;
	return S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 1 ? OPENED_OURS : OPENED_FOREIGN;
}

/* The record's descriptor, locked; -1 with errno: ENOENT when there is none that is ours, EWOULDBLOCK when another bulkhead holds it. */
static int open_record(const struct state *s, bool make, int tries)
{
	const struct timespec wait = { 0, LOCK_WAIT_NS };
	int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (make ? O_CREAT : 0), fd;

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
			what = judge(s, fd);
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

/* The records of downloads that were finished. */
static void prune(int dir)
{
	int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	const struct dirent *e;
	struct state s;

	while (d && (e = readdir(d))) {
		state_init(&s);
		if (strlen(e->d_name) <= HASH_HEX || strlen(e->d_name) >= sizeof s.name || e->d_name[HASH_HEX] != '-')
			continue;
		s.dir = dir;
		snprintf(s.name, sizeof s.name, "%s", e->d_name);
		s.fd = open_record(&s, false, 1);
		if (s.fd < 0)
			continue;
		read_slots(&s);
		if (s.record.flags & STATE_FINISHED && !s.record.uploaded)
			(void)unlinkat(dir, s.name, 0);
		state_close(&s);
	}
	if (d)
		closedir(d);
	else if (again >= 0)
		close(again);
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

/* Makes what is missing of the path, and opens it.  -1 with the errno that says most. */
static int make_and_open(char *path)
{
	char *slash;
	int fd, failed = 0;

	for (slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		(void)!mkdir(path, 0700);
		*slash = '/';
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		failed = errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && failed)
		errno = failed;
	return fd;
}

int state_directory(const char *named, char *error, size_t room)
{
	char path[PATH_MAX], safe[400];
	struct stat st;
	int fd;

	if (!directory_path(path, named))
		return complain(error, room, "no state directory: %s; name one with --state-dir",
				named ? "its name is too long" : "neither XDG_STATE_HOME nor HOME says where it is");
	fd = make_and_open(path);
	screen_safe(safe, sizeof safe, path, strlen(path));
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
	prune(fd);
	return fd;
}

/* ---- one download */

int state_find(struct state *s, int dir, const uint8_t *info_hash, int where, char *error, size_t room)
{
	struct state_identity id;
	size_t i;

	state_init(s);
	if (identify(where, &id) < 0)
		return complain(error, room, "cannot look at the output directory: %s", strerror(errno));
	s->dir = dir;
	for (i = 0; i < 20; i++)
		snprintf(s->name + 2 * i, 3, "%02x", info_hash[i]);
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
	if (s->fd < 0 || identify(fd, &r->part) < 0 || write_slot(s) < 0 || fsync(s->fd) < 0 || fsync(s->dir) < 0)
		return complain(error, room,
				"cannot write the record of this download in the state directory: %s; name another one with --state-dir",
				strerror(errno));
	return 0;
}

int state_claim(struct state *s, int fd, char *error, size_t room)
{
	return claim_as(s, fd, state_knows(s, fd), 0, error, room);
}

int state_claim_finished(struct state *s, int fd, char *error, size_t room)
{
	struct state_identity id;
	bool known = s->record.sequence && identify(fd, &id) == 0 && is_same(&id, &s->record.part);

	return claim_as(s, fd, known, STATE_FINISHED, error, room);
}

int state_reopen(struct state *s)
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
