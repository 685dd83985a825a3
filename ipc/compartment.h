/*
 * compartment.h - how a compartment comes up: what every main() does first.
 *
 *	compartment_begin(&c, ROLE_DISKPROC);   first walls, HELLO, set-up received
 *	... warm up, make threads through compartment_landlock() first ...
 *	compartment_lock(&c);                   LISTENER, last walls, READY, waits for GO
 *	... the loop ...
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
	struct msg_create_options create;
	struct msg_allow_net nets[COMPARTMENT_MAX_NETS];
	uint32_t net_count;
	struct msg_allow_addr allowed[COMPARTMENT_MAX_NETS];
	uint32_t allowed_count;
};

/* First walls; HELLO; then receives SETUP_FD, options, ALLOW_* until SETUP_END, for as long as the parent takes. */
void compartment_begin(struct compartment *c, enum role role);

/* Takes a descriptor out of c->fds; exits with a log line when it was not passed. */
int compartment_take(struct compartment *c, enum setup_fd what);

/* netproc: hands its slots to the parent.  Closes fd.  Between begin and lock. */
void compartment_give_slots(struct compartment *c, int fd, uint32_t count);

/* Landlock, before threads are made; root as in sandbox_landlock().  compartment_lock() does it when nobody did. */
void compartment_landlock(struct compartment *c, int root);

/* Filter 1 and LISTENER, last walls, READY; waits for GO as for the set-up; exits when the parent is gone. */
void compartment_lock(struct compartment *c);

/* BYE with status, flushed for at most 2 s; then _exit. */
NORETURN void compartment_end(struct compartment *c, uint32_t status);

#endif
