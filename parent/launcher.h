/*
 * launcher.h - the one process that forks and execs, and the parent's way to ask it.
 *
 * Forked by the parent before it locks itself down, since whoever is behind
 * Landlock or seccomp passes both on to its children.  It answers three fixed
 * messages: a role to start, a pair of channels, the state of a process.  What
 * it starts is the parent's own child (CLONE_PARENT): the parent reaps it, with
 * waitid(P_PID) or wait4.  It ends when its channel is closed.
 *
 * Requests and answers are separate, matched by tag, so that compartments come
 * up side by side.
 */
#ifndef PARENT_LAUNCHER_H
#define PARENT_LAUNCHER_H

#include <sys/types.h>

#include "channel.h"
#include "sandbox.h"

/* The parent's side. */
struct launcher {
	struct channel channel; /* to poll: channel.fd */
	pid_t pid;              /* a child like the compartments: its end ends all */
	uint32_t next_tag;
};

enum launcher_kind { LAUNCHER_LAUNCHED = 1, LAUNCHER_PAIR, LAUNCHER_STATUS, LAUNCHER_FAILED };

struct launcher_answer {
	enum launcher_kind kind;
	uint32_t tag;
	int error;       /* errno, of LAUNCHER_FAILED */
	pid_t pid;       /* of LAUNCHER_LAUNCHED */
	uint32_t spaces; /* of LAUNCHER_LAUNCHED: bits of enum wall that the start gave it */
	int fd;          /* LAUNCHER_LAUNCHED: its control channel; LAUNCHER_PAIR: one end.  The caller's */
	uint32_t end;    /* LAUNCHER_PAIR: 0, then 1 */
	struct msg_process_status status;
};

/* Which file is started for a role: found beside the main program or in LIBEXECDIR, never through PATH. */
struct launcher_programs {
	int fd[ROLE_COUNT]; /* O_PATH; -1: none */
};

/* Opens the programs.  A missing one is found out when it is to be started (ENOENT). */
void launcher_find_programs(struct launcher_programs *p);

/*
 * Forks the launcher.  Single-threaded, before the parent's own walls.  Closes
 * the programs in the parent.  0, or -1 with errno.
 */
int launcher_start(struct launcher *l, struct launcher_programs *p) MUST_CHECK;

/* Requests.  They return the answer's tag, or 0 when the launcher is gone.  uid and gid: above 0, or both LAUNCH_STAYS. */
uint32_t launcher_ask_launch(struct launcher *l, enum role role, int uid, int gid);
uint32_t launcher_ask_pair(struct launcher *l);
uint32_t launcher_ask_status(struct launcher *l, pid_t pid);

/* The next answer, at most timeout_ms later.  0; 1: none yet; -1: the launcher is gone or broke its contract. */
int launcher_answer(struct launcher *l, struct launcher_answer *a, int timeout_ms) MUST_CHECK;

/* Request and answer in one, for when no other request is under way.  0, or -1 with errno. */
int launcher_launch(struct launcher *l, enum role role, int uid, int gid, struct launcher_answer *a, int timeout_ms) MUST_CHECK;
int launcher_pair(struct launcher *l, int fds[2], int timeout_ms) MUST_CHECK;
int launcher_check(struct launcher *l, pid_t pid, struct msg_process_status *s, int timeout_ms) MUST_CHECK;

/* Closes the channel, which ends it.  The caller reaps l->pid. */
void launcher_stop(struct launcher *l);

/*
 * As root: n ids that nobody uses, each as uid and gid: in no passwd or group
 * entry, in no range of /etc/subuid, within this user namespace, all different,
 * below 2^31.
 * 0, or -1 when there are none.
 */
int launcher_unused_ids(uint32_t *ids, size_t n) MUST_CHECK;

/*
 * As root: the directory `dir` as a detached mount in which `id` stands for the
 * directory's owner and group, without symlinks, devices and set-id; `below`:
 * with whatever is mounted below it.  To be passed as SETUP_ROOT.  Before the parent's own walls.  A descriptor, or -1
 * with errno when the file system cannot do it.
 */
int idmap_directory(int dir, uint32_t id, bool below) MUST_CHECK;

#endif
