/*
 * sandbox.h - the walls around a process: what is raised, in which order.
 *
 * The policy of all processes is one table, in policy.c.  docs/sandbox.md
 * explains it.  A wall that is required and cannot be raised is a failure to
 * start (P8): these functions never fail open.
 */
#ifndef IPC_SANDBOX_H
#define IPC_SANDBOX_H

#include "messages.h"

/* Bits of msg_ready.walls and msg_launched.spaces; the names are in wall_names[]. */
enum wall {
	WALL_NO_NEW_PRIVS,
	WALL_NON_DUMPABLE,
	WALL_RLIMITS,
	WALL_FDS_CLOSED,
	WALL_PARENT_DEATH,
	WALL_USER_NS,
	WALL_PID_NS,
	WALL_MOUNT_NS,
	WALL_IPC_NS,
	WALL_NET_NS,
	WALL_UTS_NS,
	WALL_EMPTY_ROOT,     /* pivoted into an empty read-only file system */
	WALL_DETACHED_ROOT,  /* diskproc, create: its directory is a detached mount */
	WALL_OWN_UID,        /* started as root: a uid of its own */
	WALL_NO_CAPS,
	WALL_LANDLOCK_FS,
	WALL_LANDLOCK_NET,
	WALL_LANDLOCK_SCOPE,
	WALL_SECCOMP_NAMED,  /* forbidden calls are named to the parent */
	WALL_SECCOMP,
	WALL_MDWE,           /* no memory both writable and executable, ever (Linux 6.3) */
	WALLS
};
extern const char *const wall_names[WALLS];
#define WALL_BIT(w) (1u << (w))

/* The walls without which a role does not start, and those that it has where the system can. */
uint32_t walls_required(enum role role);
uint32_t walls_wanted(enum role role);

/*
 * First part, at the start of main: no_new_privs, non-dumpable, rlimits of the
 * role, no capabilities, every descriptor but 0, 1, 2 and 3 closed.  Before
 * threads and before anything was received.  Returns the walls that are up;
 * exits when a required one is not to be had.  (The parent: only no_new_privs,
 * non-dumpable and limits; after its launcher was forked.)
 */
uint32_t sandbox_begin(enum role role);

/*
 * An empty read-only root in a mount namespace of its own, where it can be had
 * (not for the parent and the resolver).  After everything that opens files by
 * name, before threads, Landlock and filter 1 (which names unshare and mount).
 * dir: the directory of diskproc or create, or -1; it becomes a detached mount without
 * symlinks, devices and set-id, under the same descriptor number, reopened
 * O_RDONLY.  Adds the walls it raised to *walls.
 */
void sandbox_root(enum role role, int dir, uint32_t *walls);

/* Filter 1: the attack set is named to whoever holds the returned listener.  -1 when the kernel has none (errno). */
int sandbox_listener(enum role role) MUST_CHECK;

/*
 * Landlock.  root is the directory below which files may be made, read and
 * written (diskproc), renamed (parent) or only read (create), or -1 for none at all.  Before threads are made.
 * Adds the walls it raised to *walls.
 */
void sandbox_landlock(enum role role, int root, uint32_t *walls);

/* Last part: the allow-list, on all threads.  Adds to *walls; exits when it cannot be loaded. */
void sandbox_end(enum role role, uint32_t *walls);

/* Empties every capability set of this thread.  True when nothing is left. */
bool sandbox_drop_caps(void);

/* Gives up every capability that is not in the mask (bits of CAP_*).  True when it is so. */
bool sandbox_keep_caps(uint64_t keep);

/* Raises again what a change of credentials undoes: non-dumpable, the parent-death signal. */
void sandbox_rearm(uint32_t *walls);

#endif
