/*
 * ids.c - started as root: who the compartments become, and whose their files are.
 *
 * Runs before the parent's walls.  "nobody" is shared by daemons, and a shared
 * uid is a hole (signals, limits, descriptors in flight): each role gets an id
 * that no account, no subordinate range and no other role has.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/mount.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

/* Above what distributions, systemd (services, containers) and subuid ranges take by default. */
#define ID_FIRST 0x70000000u
#define ID_LAST 0x7ffcffffu
/* Where only a few ids exist (containers): never the system's own and never the overflow id. */
#define ID_SMALL_FIRST 2000u
#define ID_OVERFLOW 65534u

#define ID_TRIES 4096

struct range {
	uint64_t first, count;
};

/* The ids that exist in this namespace: the ranges of /proc/self/uid_map or gid_map.  How many were read. */
static size_t read_map(const char *path, struct range *r, size_t room)
{
	FILE *f = fopen(path, "re");
	unsigned long long inside, outside, count;
	size_t n = 0;

	if (!f)
		return 0;
	while (n < room && fscanf(f, "%llu %llu %llu", &inside, &outside, &count) == 3)
		r[n++] = (struct range){ inside, count };
	fclose(f);
	return n;
}

/* NAME:FIRST:COUNT lines of /etc/subuid and /etc/subgid. */
static size_t read_subordinate(const char *path, struct range *r, size_t room)
{
	FILE *f = fopen(path, "re");
	unsigned long long first, count;
	char line[512];
	size_t n = 0;

	if (!f)
		return 0;
	while (n < room && fgets(line, sizeof line, f)) {
		const char *colon = strchr(line, ':');

		if (colon && sscanf(colon, ":%llu:%llu", &first, &count) == 2)
			r[n++] = (struct range){ first, count };
	}
	fclose(f);
	return n;
}

static bool in_ranges(uint32_t id, const struct range *r, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (id >= r[i].first && id - r[i].first < r[i].count)
			return true;
	return false;
}

struct known {
	struct range uids[64], gids[64], subuids[256], subgids[256];
	size_t uid_count, gid_count, subuid_count, subgid_count;
};

static bool is_unused(uint32_t id, const struct known *k)
{
	return id <= INT32_MAX && id != ID_OVERFLOW && id != ID_OVERFLOW + 1 && in_ranges(id, k->uids, k->uid_count) && in_ranges(id, k->gids, k->gid_count) &&
	       !in_ranges(id, k->subuids, k->subuid_count) && !in_ranges(id, k->subgids, k->subgid_count) && !getpwuid((uid_t)id) &&
	       !getgrgid((gid_t)id);
}

/* A random id: of the high range while `high`, else of a mapped range. */
static uint32_t guess(const struct known *k, bool high)
{
	uint64_t chance, first = ID_FIRST, count = ID_LAST - ID_FIRST + 1;

	random_bytes(&chance, sizeof chance);
	if (!high) {
		const struct range *r = &k->uids[chance % k->uid_count];

		first = r->first < ID_SMALL_FIRST ? ID_SMALL_FIRST : r->first;
		if (r->first + r->count <= first)
			return ID_OVERFLOW;
		count = r->first + r->count - first;
	}
	random_bytes(&chance, sizeof chance);
	first += chance % count;
	return first > UINT32_MAX - 2 ? ID_OVERFLOW : (uint32_t)first;
}

int launcher_unused_ids(uint32_t *ids, size_t n)
{
	struct known k;
	size_t found = 0, i;
	int tries;

	k.uid_count = read_map("/proc/self/uid_map", k.uids, ARRAY_LEN(k.uids));
	k.gid_count = read_map("/proc/self/gid_map", k.gids, ARRAY_LEN(k.gids));
	k.subuid_count = read_subordinate("/etc/subuid", k.subuids, ARRAY_LEN(k.subuids));
	k.subgid_count = read_subordinate("/etc/subgid", k.subgids, ARRAY_LEN(k.subgids));
	if (!k.uid_count || !k.gid_count)
		return -1;
	for (tries = 0; tries < ID_TRIES && found < n; tries++) {
		uint32_t id = guess(&k, in_ranges(ID_FIRST, k.uids, k.uid_count) && in_ranges(ID_LAST, k.uids, k.uid_count));
		bool fresh = is_unused(id, &k);

		for (i = 0; i < found; i++)
			fresh = fresh && ids[i] != id;
		if (fresh)
			ids[found++] = id;
	}
	return found == n ? 0 : -1;
}

/* ---- the directory of the output, as if it belonged to a role ---- */

static bool write_map(pid_t pid, const char *which, uint32_t on_disk, uint32_t id)
{
	char path[64], line[64];
	int fd, n;
	bool ok;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, which);
	n = snprintf(line, sizeof line, "%u %u 1", on_disk, id);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, line, (size_t)n) == n;
	if (fd >= 0)
		close(fd);
	return ok;
}

/* A process in a new user namespace, which waits until `hold` is closed.  Says so over `ready`. */
static pid_t namespace_holder(int hold[2], int ready[2])
{
	pid_t pid = fork();
	char c = 'x';

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	close(hold[1]);
	if (unshare(CLONE_NEWUSER) == 0 && write(ready[1], &c, 1) == 1)
		(void)!read(hold[0], &c, 1);
	_exit(0);
}

/* A user namespace in which `id` is the disk's uid and gid; its descriptor or -1. */
static int user_namespace(uint32_t uid, uint32_t gid, uint32_t id)
{
	int hold[2], ready[2], fd = -1, saved;
	char path[64], c;
	pid_t pid;

	if (pipe2(hold, O_CLOEXEC) < 0)
		return -1;
	if (pipe2(ready, O_CLOEXEC) < 0) {
		close(hold[0]);
		close(hold[1]);
		return -1;
	}
	pid = namespace_holder(hold, ready);
	saved = errno;
	close(ready[1]);
	close(hold[0]);
	if (pid > 0) {
		/* Without a byte it could not make one. */
		errno = EPERM;
		if (read(ready[0], &c, 1) == 1 && write_map(pid, "uid_map", uid, id) && write_map(pid, "gid_map", gid, id)) {
			snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
			fd = open(path, O_RDONLY | O_CLOEXEC);
		}
		saved = errno;
	}
	close(hold[1]);
	close(ready[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	errno = saved;
	return fd;
}

int idmap_directory(int dir, uint32_t id, bool below)
{
	const unsigned recursive = below ? AT_RECURSIVE : 0;
	struct mount_attr a = {
		.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW,
	};
	int space, tree, d = -1, saved;
	struct stat st;

	if (fstat(dir, &st) < 0)
		return -1;
	space = user_namespace(st.st_uid, st.st_gid, id);
	if (space < 0)
		return -1;
	tree = (int)syscall(SYS_open_tree, dir, "", recursive | (unsigned)(AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
	a.userns_fd = (unsigned)space;
	if (tree >= 0 && syscall(SYS_mount_setattr, tree, "", recursive | AT_EMPTY_PATH, &a, sizeof a) == 0)
		d = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	saved = errno;
	if (tree >= 0)
		close(tree);
	close(space);
	errno = saved;
	return d;
}
