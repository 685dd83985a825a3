/*
 * landlock.c - which files, TCP ports and processes remain in reach: Landlock, by the ABI that the kernel has.
 *
 * Runs once in each process, before its threads: a ruleset binds the calling
 * thread and its children only.  Debian 12's headers know ABI 2; the numbers of
 * later ones are defined here (linux/landlock.h of Linux 6.15).
 * What Landlock does not cover: stat, chmod, chdir, and what was open before.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"

/* Access to files: bits 0..12 of ABI 1, then one or two with each of 2, 3 and 5. */
#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_REMOVE_DIR (1ull << 4)
#define FS_REMOVE_FILE (1ull << 5)
#define FS_MAKE_DIR (1ull << 7)
#define FS_MAKE_REG (1ull << 8)
#define FS_ABI1 ((1ull << 13) - 1)
#define FS_REFER (1ull << 13)    /* ABI 2 */
#define FS_TRUNCATE (1ull << 14) /* ABI 3 */
#define FS_IOCTL_DEV (1ull << 15) /* ABI 5 */
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
/* ABI 4 */
#define NET_BIND_TCP (1ull << 0)
#define NET_CONNECT_TCP (1ull << 1)
/* ABI 6 */
#define SCOPE_ABSTRACT_UNIX (1ull << 0)
#define SCOPE_SIGNAL (1ull << 1)

#define RULE_PATH_BENEATH 1
#define CREATE_VERSION 1u

struct ruleset_attr {
	uint64_t fs, net, scoped;
};
struct path_beneath_attr {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

#ifndef SANDBOX_WIDE

/* What the ABI can handle for this role: everything that the role does not need. */
static struct ruleset_attr handled(enum role role, int abi)
{
	struct ruleset_attr a = { .fs = FS_ABI1, .net = 0, .scoped = 0 };

	if (abi >= 2)
		a.fs |= FS_REFER;
	if (abi >= 3)
		a.fs |= FS_TRUNCATE;
	if (abi >= 5)
		a.fs |= FS_IOCTL_DEV;
	if (abi >= 4) {
		/* The resolver asks name servers by TCP too; the dialer does both. */
		if (role == ROLE_RESOLVER)
			a.net = NET_BIND_TCP;
		else if (role != ROLE_DIALER)
			a.net = NET_BIND_TCP | NET_CONNECT_TCP;
	}
	if (abi >= 6)
		/* The parent ends its children, which are outside of its domain. */
		a.scoped = role == ROLE_PARENT ? SCOPE_ABSTRACT_UNIX : SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
	return a;
}

/* Before a kernel knew a part of the structure, it must not be told of it. */
static size_t attr_bytes(int abi)
{
	return abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
}

static bool permit(int ruleset, int fd, uint64_t allowed)
{
	struct path_beneath_attr p = { .allowed = allowed, .parent = fd };
	struct stat st;

	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		p.allowed &= FS_OF_FILES;
	return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &p, 0) == 0;
}

/* A path that may be missing: then there is nothing to permit. */
static bool permit_path(int ruleset, const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return true;
	ok = permit(ruleset, fd, FS_READ_FILE | FS_READ_DIR);
	close(fd);
	return ok;
}

/* resolv.conf is often a link into /run, replaced by its owner at will: the directory that it is in may be read. */
static bool permit_resolver_files(int ruleset)
{
	static const char *const paths[] = { "/etc", "/lib", "/lib64", "/usr/lib", "/usr/lib64" };
	char *real = realpath("/etc/resolv.conf", NULL), *slash;
	bool ok = true;
	size_t i;

	for (i = 0; i < ARRAY_LEN(paths); i++)
		ok = permit_path(ruleset, paths[i]) && ok;
	if (real && strncmp(real, "/etc/", 5) != 0) {
		slash = strrchr(real, '/');
		/* Directly below "/": only the file, never the whole tree. */
		if (slash > real)
			*slash = 0;
		ok = permit_path(ruleset, real) && ok;
	}
	free(real);
	return ok;
}

static bool permit_role(enum role role, int ruleset, int root, uint64_t known)
{
	uint64_t all = FS_READ_FILE | FS_WRITE_FILE | FS_READ_DIR | FS_MAKE_REG | FS_MAKE_DIR | FS_TRUNCATE;

	if (role == ROLE_RESOLVER)
		return permit_resolver_files(ruleset);
	if (root < 0)
		return true;
	/* It opens nothing: one rename takes a name away and makes another. */
	if (role == ROLE_PARENT)
		all = FS_MAKE_REG | FS_MAKE_DIR | FS_REMOVE_FILE | FS_REMOVE_DIR;
	if (role == ROLE_CREATE)
		all = FS_READ_FILE | FS_READ_DIR;
	return permit(ruleset, root, all & known);
}

void sandbox_landlock(enum role role, int root, uint32_t *walls)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
	struct ruleset_attr a;
	int ruleset, saved;

	if (abi <= 0) {
		log_line(LOG_DETAIL, TOPIC_WALL, "no Landlock: errno %d", errno);
		return; /* sandbox_end() exits when this role requires it */
	}
	a = handled(role, (int)(abi > 64 ? 64 : abi));
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &a, attr_bytes((int)(abi > 64 ? 64 : abi)), 0);
	if (ruleset < 0)
		return;
	if (permit_role(role, ruleset, root, a.fs) && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0) {
		*walls |= WALL_BIT(WALL_LANDLOCK_FS);
		if (a.net)
			*walls |= WALL_BIT(WALL_LANDLOCK_NET);
		if (a.scoped & SCOPE_SIGNAL)
			*walls |= WALL_BIT(WALL_LANDLOCK_SCOPE);
	} else {
		saved = errno;
		log_line(LOG_DETAIL, TOPIC_WALL, "Landlock: errno %d", saved);
	}
	close(ruleset);
}

#else

void sandbox_landlock(enum role role, int root, uint32_t *walls)
{
	(void)role;
	(void)root;
	(void)walls;
}

#endif
