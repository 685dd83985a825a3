/*
 * compartment.h - how a compartment comes up: what every main() does first.
 *
 *	compartment_begin(&c, ROLE_DIALER);     first walls, HELLO, set-up received
 *	... warm up, make threads through compartment_landlock() first ...
 *	compartment_lock(&c);                   LISTENER, last walls, READY, waits for GO
 *	... the loop, in which compartment_hear() ...
 *	compartment_end(&c, status);            BYE, exit
 *
 * Anything that goes wrong here ends the process with one log line: nothing of
 * a stranger has been seen yet, and the parent says which role failed.
 */
#ifndef IPC_COMPARTMENT_H
#define IPC_COMPARTMENT_H

#include "channel.h"
#include "log.h"
#include "sandbox.h"

#define CONTROL_FD 3
#define CONTROL_EPOCH 0u

#define COMPARTMENT_MAX_NETS 64u /* --allow-net */

struct compartment {
	enum role role;
	struct channel control;
	uint32_t walls;
	int fds[SETUP_FD_COUNT];         /* what was passed, -1 when it was not; owned until taken */
	uint32_t epochs[SETUP_FD_COUNT]; /* of channels */
	/* The options of this role; others are zero. */
	struct msg_inspect_options inspect;
	struct msg_net_options net;
	struct msg_disk_options disk;
	struct msg_dialer_options dialer;
	uint32_t listen_port; /* netproc: as it was before GO; 0: nobody can connect to us */
	struct msg_create_options create;
	struct msg_allow_net nets[COMPARTMENT_MAX_NETS];
	uint32_t net_count;
	struct msg_allow_addr allowed[COMPARTMENT_MAX_NETS];
	uint32_t allowed_count;
};

/* compartment_hello() and compartment_receive(). */
void compartment_begin(struct compartment *c, enum role role);

/* First walls; HELLO.  Then SLOTS, of those who have any: their neighbour's set-up waits for it. */
void compartment_hello(struct compartment *c, enum role role);
/* Makes this role's slots and hands them to the parent.  Exits when it cannot. */
struct slots;
void compartment_make_slots(struct compartment *c, struct slots *slots);
/* diskproc: makes the conveyor and hands its reading end to the parent.  Returns the writing end; *own is a reading end of our own. */
int compartment_make_conveyor(struct compartment *c, int *own);
/* Receives SETUP_FD, options, ALLOW_* until SETUP_END, for as long as the parent takes. */
void compartment_receive(struct compartment *c);

/* Takes a descriptor out of c->fds; exits with a log line when it was not passed. */
int compartment_take(struct compartment *c, enum setup_fd what);

/* Landlock, before threads are made; root as in sandbox_landlock().  compartment_lock() does it when nobody did. */
void compartment_landlock(struct compartment *c, int root);

/* Filter 1 and LISTENER, last walls, READY; waits for GO as for the set-up; exits when the parent is gone. */
void compartment_lock(struct compartment *c);

/*
 * Hands what the parent says to its handlers, as channel_dispatch() does: a few
 * packets a turn.  Exits when the parent is gone or broke the contract.
 */
void compartment_hear(struct compartment *c, const struct permit *table, size_t rows, const uint32_t *state, void *self);

/* BYE with status, flushed for at most 2 s; then _exit. */
NORETURN void compartment_end(struct compartment *c, uint32_t status);

#endif
