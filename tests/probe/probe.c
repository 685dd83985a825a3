/*
 * probe.c - a compartment that turned hostile: comes up as the role does, then makes one attempt.
 *
 * Compiled once for each role (PROBE_ROLE).  See probe.h.
 */
#include "probe.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conveyor.h"
#include "slots.h"

/* The next SHUTDOWN's number. */
static uint32_t told(struct compartment *c)
{
	struct packet p;

	if (channel_wait(&c->control, &p, 5000) != CHANNEL_OK || p.type != MSG_SHUTDOWN)
		_exit(3);
	return ((const struct msg_shutdown *)packet_message(&p, 0))->grace_ms;
}

/* What the role would have: slots of its own, or mapped ones of the other; its end of the conveyor; a memory file to fill. */
static void take_memory(struct compartment *c)
{
	struct slots s;
	int end[2];

	switch (c->role) {
	case ROLE_NETPROC:
	case ROLE_DISKPROC:
		probe.memory = slots_create(&s, SLOT_COUNT);
		if (probe.memory < 0)
			_exit(4);
		probe.slots = s.base;
		probe.slots_bytes = SLOT_COUNT * SLOT_BYTES;
		if (c->role == ROLE_NETPROC) {
			probe.conveyor = compartment_take(c, SETUP_CONVEYOR);
			break;
		}
		if (conveyor_make(end) < 0)
			_exit(4);
		probe.conveyor = end[1];
		probe.other_memory = compartment_take(c, SETUP_SLOTS);
		if (slots_attach(&s, probe.other_memory, SLOT_COUNT) < 0)
			_exit(4);
		probe.other_slots = s.base;
		break;
	case ROLE_INSPECT:
	case ROLE_CREATE:
		probe.memory = compartment_take(c, SETUP_FORM);
		break;
	default:
		break;
	}
}

int main(void)
{
	static struct compartment c;
	uint32_t number;
	long r;

	probe.role = PROBE_ROLE;
	compartment_begin(&c, PROBE_ROLE);
	take_memory(&c);
	if (PROBE_ROLE == ROLE_NETPROC || PROBE_ROLE == ROLE_DIALER)
		probe.channel = c.fds[SETUP_DIAL];
	if (PROBE_ROLE == ROLE_NETPROC) {
		probe.tcp = c.fds[SETUP_DISK];
		probe.udp = c.fds[SETUP_CA];
	}
	if (PROBE_ROLE == ROLE_DIALER) {
		probe.tcp = c.fds[SETUP_RESOLVE];
		probe.udp = c.fds[SETUP_FORM];
	}
	if (PROBE_ROLE == ROLE_RESOLVER)
		probe.channel = c.fds[SETUP_RESOLVE];
	if (PROBE_ROLE == ROLE_DISKPROC || PROBE_ROLE == ROLE_CREATE) {
		probe.root = c.fds[SETUP_ROOT];
		probe.file = c.fds[SETUP_FILE];
		compartment_landlock(&c, probe.root);
	}
	compartment_lock(&c);
	number = told(&c);
	probe.parent = (int)told(&c);
	probe.sibling = (int)told(&c);
	if (number >= attempt_count)
		_exit(5);
	errno = 0;
	r = attempts[number].make();
	compartment_end(&c, r >= 0 ? 0 : errno ? (uint32_t)errno : 9999);
}
