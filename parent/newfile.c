/*
 * newfile.c - see newfile.h.
 */
#include "newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "screen.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

static int PRINTF_LIKE(3, 4) failed(char *error, size_t room, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, room, fmt, ap);
	va_end(ap);
	return -1;
}

/* The path as this terminal can show it. */
static const char *shown(const struct newfile *n)
{
	static char text[800];

	return screen_safe(text, sizeof text, n->path, strlen(n->path));
}

void newfile_init(struct newfile *n)
{
	memset(n, 0, sizeof *n);
	n->dir = n->fd = n->done = -1;
}

/* Whether what the directory has under this name is what was made: others may rename there, too. */
static bool is_it(const struct newfile *n, int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == n->device && st.st_ino == n->inode;
}

/* The sweeper: holds the directory as 1, and waits at 0. */
NORETURN static void sweep(const struct newfile *n, int wait)
{
	sigset_t all;
	ssize_t r;
	char c;

	/* Signals are not meant for it: the pipe's other end tells when all is over. */
	sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)setsid();
	if (dup2(wait, 0) < 0 || dup2(n->dir, 1) < 0)
		_exit(1);
	(void)syscall(SYS_close_range, 2u, ~0u, 0u);
	do
		r = read(0, &c, 1);
	while (r < 0 && errno == EINTR);
	if (r == 0 && is_it(n, 1, n->temporary))
		(void)unlinkat(1, n->temporary, 0);
	_exit(0);
}

static int start_sweeper(struct newfile *n)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	n->sweeper = fork();
	if (n->sweeper == 0) {
		close(ends[1]);
		sweep(n, ends[0]);
	}
	close(ends[0]);
	n->done = ends[1];
	return n->sweeper < 0 ? -1 : 0;
}

static int open_directory(struct newfile *n, const char *path, char *error, size_t room)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

	if (!dir)
		bug("no memory for a path");
	n->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	if (n->dir < 0)
		return failed(error, room, "cannot open the directory of '%s': %s", shown(n), strerror(errno));
	if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || strlen(name) >= sizeof n->name)
		return failed(error, room, "'%s' cannot be the name of a file", shown(n));
	memcpy(n->name, name, strlen(name) + 1);
	return 0;
}

/* Takes the temporary name away again, before there are walls. */
static int give_up(struct newfile *n, char *error, size_t room, const char *what)
{
	int saved = errno;

	(void)unlinkat(n->dir, n->temporary, 0);
	return failed(error, room, "cannot create '%s': %s%s", shown(n), what, strerror(saved));
}

int newfile_open(struct newfile *n, const char *path, bool give, char *error, size_t room)
{
	char first[OUTPUT_TEMPORARY_NAME];
	struct stat st, dir;

	n->path = path;
	if (open_directory(n, path, error, room) < 0)
		return -1;
	if (fstatat(n->dir, n->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return failed(error, room, "'%s' is there already, and is left alone", shown(n));
	output_temporary_name(first);
	n->fd = openat(n->dir, first, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (n->fd < 0)
		return failed(error, room, "cannot create '%s': %s", shown(n), strerror(errno));
	memcpy(n->temporary, first, sizeof first);
	if (fstat(n->fd, &st) < 0 || fstat(n->dir, &dir) < 0)
		return give_up(n, error, room, "");
	n->device = st.st_dev;
	n->inode = st.st_ino;
	if (give && dir.st_uid != 0 && fchown(n->fd, dir.st_uid, dir.st_gid) < 0)
		return give_up(n, error, room, "giving it to the owner of the directory: ");
	/* The rename that the end depends on: a file system that lacks it is found out before the work. */
	output_temporary_name(n->temporary);
	if (renameat2(n->dir, first, n->dir, n->temporary, RENAME_NOREPLACE) < 0) {
		memcpy(n->temporary, first, sizeof first);
		return give_up(n, error, room, "the file system cannot rename without replacing: ");
	}
	if (start_sweeper(n) < 0)
		return give_up(n, error, room, "");
	/* A limit of the user's on the size of files is an error of write, not our end. */
	(void)signal(SIGXFSZ, SIG_IGN);
	return 0;
}

int newfile_write(struct newfile *n, const void *bytes, size_t length)
{
	const uint8_t *p = bytes;

	while (length) {
		ssize_t w = write(n->fd, p, length);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		p += w;
		length -= (size_t)w;
	}
	return 0;
}

int newfile_finish(struct newfile *n, char *error, size_t room)
{
	if (fsync(n->fd) < 0)
		return failed(error, room, "cannot write '%s': %s", shown(n), strerror(errno));
	if (!is_it(n, n->dir, n->temporary))
		return failed(error, room, "'%s' is not what was written: somebody else renames in its directory", shown(n));
	if (renameat2(n->dir, n->temporary, n->dir, n->name, RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return failed(error, room, "'%s' has appeared meanwhile, and is left alone", shown(n));
		return failed(error, room, "cannot create '%s': %s", shown(n), strerror(errno));
	}
	(void)!write(n->done, "", 1);
	/* A rename goes by name: it is known only now what it took. */
	if (!is_it(n, n->dir, n->name))
		return failed(error, room, "'%s' is not what was written: somebody has replaced it", shown(n));
	if (fsync(n->dir) < 0)
		return failed(error, room, "cannot sync the directory of '%s': %s", shown(n), strerror(errno));
	return 0;
}

void newfile_close(struct newfile *n)
{
	if (n->done >= 0)
		close(n->done);
	if (n->sweeper > 0)
		(void)waitpid(n->sweeper, NULL, 0);
	if (n->fd >= 0)
		close(n->fd);
	if (n->dir >= 0)
		close(n->dir);
	newfile_init(n);
}
