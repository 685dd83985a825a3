/*
 * child.h - one compartment as the parent sees it, from LAUNCH to its reaping.
 *
 * States, and who moves on:
 *
 *	NONE       not started, or reaped                   child_launch()
 *	LAUNCHING  the launcher was asked                   child_launched()
 *	HELLO      runs; its build is not known yet         HELLO
 *	SETUP      of our build: descriptors and options    child_setup_end()
 *	LOCKING    raises its last walls                    READY
 *	CHECKING   the launcher looks at its /proc status   child_checked()
 *	HELD       walls are up: waits for GO               child_go()
 *	RUNNING    handles what strangers send              child_shutdown()
 *	ENDING     was told to finish                       BYE
 *	DONE       said BYE, will exit
 *	DYING      was killed by us or closed its channel   child_reaped()
 *
 * The process may be hostile from GO on.  What it sends goes through a permit
 * table by state; a broken contract is named, and ends it.
 */
#ifndef PARENT_CHILD_H
#define PARENT_CHILD_H

#include <signal.h>

#include "channel.h"
#include "launcher.h"
#include "log.h"
#include "sandbox.h"

enum child_state {
	CHILD_NONE,
	CHILD_LAUNCHING,
	CHILD_HELLO,
	CHILD_SETUP,
	CHILD_LOCKING,
	CHILD_CHECKING,
	CHILD_HELD,
	CHILD_RUNNING,
	CHILD_ENDING,
	CHILD_DONE,
	CHILD_DYING,
};
#define CHILD_IN(s) (1u << (s))

/* Log lines that a compartment may print at once, and per second. */
#define CHILD_LOG_BURST 200u
#define CHILD_LOG_PER_SECOND 50u

struct child {
	enum role role;
	uint32_t state; /* enum child_state, for channel_dispatch() */
	uint32_t source; /* index of the SOURCE that it serves */
	pid_t pid;       /* 0: none */
	struct channel control; /* fd -1 when closed */
	int listener;    /* owned: forbidden calls arrive here; -1 */
	uint32_t launch_tag, check_tag; /* answers that are awaited; 0: none */
	uint32_t walls;
	uint32_t fd_count; /* descriptors that it holds, as it says in READY */
	uint64_t fd_map;   /* and which of 0..63 */
	bool told_listening;
	uint32_t listens;  /* sockets that others connect to, as it said before READY */
	uint32_t given;  /* bits of enum setup_fd: passed since it was started */
	uint32_t stale;  /* of those: the other end is gone, a new one is to be passed while it RUNs */
	uint64_t deadline_ms; /* of its state; 0: none */
	bool was_running;     /* it had GO */
	bool wall_missing;    /* why it ends: no wall (status 6) */
	char cause[300]; /* why it ends, when that is known; the first cause stays */
	uint64_t log_ms; /* refill of log_tokens */
	uint32_t log_tokens, log_dropped;
};

/* The state that holds nothing. */
void child_init(struct child *c, enum role role, uint32_t source);

/* Asks the launcher.  0, or -1 when the launcher is gone. */
int child_launch(struct child *c, struct launcher *l, int uid, int gid, uint64_t now_ms) MUST_CHECK;
/* It has its time to come up from now on again: what it waited for is there.  Harmless when it is up or not started. */
void child_patience(struct child *c, uint64_t now_ms);
/* The launcher's answer. */
/* A launch that will not be answered; whoever was started finds its control channel closed, and ends. */
void child_forget_launch(struct child *c);
void child_launched(struct child *c, const struct launcher_answer *a);

/* Passes one descriptor (a copy unless `give`).  A failure kills it. */
void child_give(struct child *c, enum setup_fd what, int fd, uint32_t epoch, bool give);
/* Sends one message.  A failure kills it: its queue is bounded, and only a child that does not read fills it. */
void child_send(struct child *c, enum message_type type, const void *message);
void child_setup_end(struct child *c);

/* Handlers of what every compartment sends; `self` is the struct child. */
int child_on_hello(void *self, const void *message, int fd);
int child_on_listener(void *self, const void *message, int fd);
int child_on_ready(void *self, const void *message, int fd);
int child_on_log(void *self, const void *message, int fd);
int child_on_violation(void *self, const void *message, int fd);
int child_on_bye(void *self, const void *message, int fd);
/* Their rows of a permit table. */
#define CHILD_ALIVE                                                                                                              \
	(CHILD_IN(CHILD_HELLO) | CHILD_IN(CHILD_SETUP) | CHILD_IN(CHILD_LOCKING) | CHILD_IN(CHILD_CHECKING) |                    \
	 CHILD_IN(CHILD_HELD) | CHILD_IN(CHILD_RUNNING) | CHILD_IN(CHILD_ENDING) | CHILD_IN(CHILD_DONE))
#define CHILD_WORKING (CHILD_IN(CHILD_RUNNING) | CHILD_IN(CHILD_ENDING))
#define CHILD_PERMITS                                                                                                            \
	{ MSG_HELLO, CHILD_IN(CHILD_HELLO), child_on_hello },                                                                    \
	{ MSG_LISTENER, CHILD_IN(CHILD_LOCKING), child_on_listener },                                                            \
	{ MSG_READY, CHILD_IN(CHILD_LOCKING), child_on_ready },                                                                  \
	{ MSG_LOG, CHILD_ALIVE, child_on_log },                                                                                  \
	{ MSG_VIOLATION, CHILD_ALIVE, child_on_violation },                                                                      \
	{ MSG_BYE, CHILD_WORKING, child_on_bye }

/* In CHECKING: asks the launcher about it.  False: the launcher is gone. */
bool child_ask_check(struct child *c, struct launcher *l) MUST_CHECK;
/* The launcher's answer: HELD, or killed when a required wall is missing (with `weak`: a warning). */
void child_checked(struct child *c, const struct msg_process_status *s, bool weak);

void child_go(struct child *c);
void child_shutdown(struct child *c, uint32_t grace_ms, uint64_t now_ms);

/* Reads what it sent, by its permit table. */
void child_dispatch(struct child *c, const struct permit *table, size_t rows);

/* Its listener is readable: a forbidden call, which is named and ends it; or hung up: nobody is behind that filter any more. */
void child_on_notification(struct child *c, bool hung_up);

/* Ends it at once.  cause: NULL when it is no fault. */
void child_kill(struct child *c, const char *cause, ...) PRINTF_LIKE(2, 3);

/* It is no more: completes `cause` from the exit status, closes everything, state NONE. */
void child_reaped(struct child *c, const siginfo_t *how);

#endif
