/*
 * place.c - see place.h.  Runs in the workers, after the lock; keeps nothing open.
 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define NAME_BYTES 256u /* a component of at most 255 bytes */
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

int place_init(struct place *p, int root, mode_t mode)
{
	struct stat st;

	if (fd_stat(root, &st) < 0)
		return -1;
	p->root = root;
	p->device = p->device2 = st.st_dev;
	p->file_mode = mode ? mode & FILE_MODES : FILE_MODE;
	p->dir_mode = dir_mode(p->file_mode);
	return 0;
}

static int fault_set(struct fault *fault, uint32_t act, int error)
{
	/* Something else stands where our file or directory belongs. */
	if (error == ELOOP || error == ENOTDIR || error == EEXIST || error == EISDIR || error == ENXIO || error == EXDEV)
		act = DISK_ACT_FOREIGN;
	fault->act = act;
	fault->error = error;
	return -1;
}

/* The first component of path into name; returns what follows its '/', or NULL when it is the last. */
static const char *split(const char *path, char name[NAME_BYTES])
{
	const char *slash = strchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : strlen(path);

	if (length >= NAME_BYTES)
		length = 0;
	memcpy(name, path, length);
	name[length] = 0;
	/* The form was validated; should that ever fail, an empty name opens nothing. */
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		name[0] = 0;
	return slash ? slash + 1 : NULL;
}

/* One directory down.  Returns its descriptor or -1. */
static int step(const struct place *p, int dir, const char *name, bool make, struct fault *fault)
{
	int fd = openat(dir, name, DIR_FLAGS), error;
	struct stat st;

	if (fd < 0 && errno == ENOENT && make) {
		if (mkdirat(dir, name, p->dir_mode) < 0 && errno != EEXIST)
			return fault_set(fault, DISK_ACT_MKDIR, errno);
		fd = openat(dir, name, DIR_FLAGS);
	}
	if (fd < 0)
		return fault_set(fault, DISK_ACT_OPEN, errno);
	if (fd_stat(fd, &st) == 0 && st.st_dev == p->device)
		return fd;
	error = st.st_dev == p->device ? errno : EXDEV;
	close(fd);
	return fault_set(fault, DISK_ACT_OPEN, error);
}

int place_open(const struct place *p, const char *path, enum place_how how, struct fault *fault)
{
	char name[NAME_BYTES];
	int dir = p->root, fd, flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK; /* a fifo must not make us wait */
	const char *rest;

	while ((rest = split(path, name))) {
		int next = step(p, dir, name, how == PLACE_CREATE, fault);

		if (dir != p->root)
			close(dir);
		if (next < 0)
			return -1;
		dir = next;
		path = rest;
	}
	flags |= how == PLACE_READ ? O_RDONLY : O_RDWR;
	if (how == PLACE_CREATE)
		flags |= O_CREAT | O_EXCL;
	fd = openat(dir, name, flags, how == PLACE_CREATE ? p->file_mode : 0);
	if (fd < 0)
		fault_set(fault, DISK_ACT_OPEN, errno);
	if (dir != p->root)
		close(dir);
	return fd;
}

int place_check(const struct place *p, int fd, bool alone, struct stat *st, struct fault *fault)
{
	if (fd_stat(fd, st) < 0)
		return fault_set(fault, DISK_ACT_OPEN, errno);
	if (!S_ISREG(st->st_mode))
		return fault_set(fault, DISK_ACT_FOREIGN, S_ISDIR(st->st_mode) ? EISDIR : EINVAL);
	if (alone && st->st_nlink != 1)
		return fault_set(fault, DISK_ACT_FOREIGN, EMLINK);
	if (st->st_dev != p->device && st->st_dev != p->device2)
		return fault_set(fault, DISK_ACT_FOREIGN, EXDEV);
	return 0;
}

/* Bytes up to and with the last '/' that both paths share. */
static size_t common_dirs(const char *a, const char *b)
{
	size_t i, n = 0;

	for (i = 0; a[i] && a[i] == b[i]; i++)
		if (a[i] == '/')
			n = i + 1;
	return n;
}

int place_sync_dirs(const struct place *p, const char *path, const char *before, struct fault *fault)
{
	size_t shared = common_dirs(path, before), at = 0;
	char name[NAME_BYTES];
	int dir = p->root, r = 0;
	const char *rest;

	/* The root holds the first component; "" stands for: nothing was done yet. */
	if (!*before && fsync(dir) < 0)
		return fault_set(fault, DISK_ACT_SYNC, errno);
	while (r == 0 && (rest = split(path + at, name))) {
		int next = step(p, dir, name, false, fault);

		if (dir != p->root)
			close(dir);
		dir = p->root;
		if (next < 0)
			return -1;
		dir = next;
		at = (size_t)(rest - path);
		if (at > shared && fsync(dir) < 0)
			r = fault_set(fault, DISK_ACT_SYNC, errno);
	}
	if (dir != p->root)
		close(dir);
	return r;
}
