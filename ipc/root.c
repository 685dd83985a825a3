/*
 * root.c - an empty file system as root, and the directory of diskproc or create as a detached mount.
 *
 * Runs in a compartment between its set-up and its filters, single-threaded
 * (a user namespace can only be made by a process without threads).  Needs no
 * privilege where user namespaces are allowed to all; elsewhere the walls that
 * it would have raised are missing from *walls, and Landlock stands alone.
 *
 * The new user namespace has no uid map: none is needed, since the kernel
 * compares its own numbers, and writing one would need a dumpable process.
 * fstat shows the overflow uid (65534) as owner.
 *
 * diskproc's directory is one mount, whatever is mounted below it; create reads
 * what the user would see there, other mounts included.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

/* sys/mount.h of Debian 12 collides with linux/mount.h; these three are all that is needed of it. */
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int umount2(const char *target, int flags);
#define UNMOUNT_DETACHED 2 /* MNT_DETACH */

#ifndef SANDBOX_WIDE

/*
 * A detached copy of the mount of the working directory, which is the directory
 * itself; `below`: with all mounts below it.  -1: not possible here.
 */
static int detach_working_directory(bool below)
{
	const unsigned recursive = below ? AT_RECURSIVE : 0;
	struct mount_attr a = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW };
	int d = (int)syscall(SYS_open_tree, AT_FDCWD, "", recursive | (unsigned)(AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));

	if (d < 0)
		return -1;
	if (syscall(SYS_mount_setattr, d, "", recursive | AT_EMPTY_PATH, &a, sizeof a) < 0) {
		close(d);
		return -1;
	}
	return d;
}

/* Makes dir's number mean the detached mount.  The tree's own descriptor is O_PATH: it is reopened to be read and synced. */
static bool replace_directory(int dir, int tree)
{
	int d = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = d >= 0 && dup3(d, dir, O_CLOEXEC) == dir;

	if (d >= 0)
		close(d);
	return ok;
}

/* An empty read-only file system over "/proc", and then as root. */
static bool pivot_to_nothing(void)
{
	if (mount("none", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "size=4k,nr_inodes=2,mode=0555") < 0)
		return false;
	if (chdir("/proc") < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return false;
	return umount2(".", UNMOUNT_DETACHED) == 0 && chdir("/") == 0;
}

/* Whether ".." leads nowhere: a mount without a parent.  Every other directory than "/" has another one above. */
static bool has_no_parent(int dir)
{
	struct stat here, above;

	return fstatat(dir, "", &here, AT_EMPTY_PATH) == 0 && fstatat(dir, "..", &above, 0) == 0 && here.st_dev == above.st_dev &&
	       here.st_ino == above.st_ino;
}

void sandbox_root(enum role role, int dir, uint32_t *walls)
{
	int tree = -1;

	if (role == ROLE_PARENT || role == ROLE_LAUNCHER || role == ROLE_RESOLVER)
		return;
	/* open_tree refuses a descriptor that was opened before unshare; the working directory moves along. */
	if (dir >= 0 && fchdir(dir) < 0)
		log_line(LOG_DETAIL, TOPIC_WALL, "cannot enter the directory: errno %d", errno);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
		log_line(LOG_DETAIL, TOPIC_WALL, "no mount namespace: errno %d", errno);
	} else {
		*walls |= WALL_BIT(WALL_USER_NS) | WALL_BIT(WALL_MOUNT_NS);
		if (dir >= 0 && !has_no_parent(dir))
			tree = detach_working_directory(role == ROLE_CREATE);
		if (pivot_to_nothing())
			*walls |= WALL_BIT(WALL_EMPTY_ROOT);
		else
			log_line(LOG_DETAIL, TOPIC_WALL, "no empty root: errno %d", errno);
		if (tree >= 0) {
			if (!replace_directory(dir, tree))
				log_line(LOG_DETAIL, TOPIC_WALL, "no detached directory: errno %d", errno);
			close(tree);
		}
		/* The namespace gave a full set of capabilities, to be used within it. */
		if (!sandbox_drop_caps())
			*walls &= ~WALL_BIT(WALL_NO_CAPS);
		sandbox_rearm(walls);
	}
	if (dir >= 0 && has_no_parent(dir))
		*walls |= WALL_BIT(WALL_DETACHED_ROOT);
}

#else

void sandbox_root(enum role role, int dir, uint32_t *walls)
{
	(void)role;
	(void)dir;
	(void)walls;
}

#endif
