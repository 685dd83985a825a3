/*
 * probe.h - what the probe (a compartment that turned hostile) and its runner share.
 *
 * The runner starts the probe by the real launcher in a role's place, sends the
 * role's descriptors, and after GO three SHUTDOWN messages whose grace_ms are:
 * the number of the attempt, the parent's pid, a sibling's pid.  The probe makes
 * the one attempt and answers BYE with status 0 (it worked), or the errno.
 */
#ifndef TESTS_PROBE_H
#define TESTS_PROBE_H

#include "compartment.h"

struct attempt {
	const char *name;
	uint32_t refused; /* bits of enum role: must fail there */
	uint32_t allowed; /* bits of enum role: must work there, or the walls are too narrow */
	long (*make)(void); /* < 0: failed, errno says why */
};
extern const struct attempt attempts[];
extern const size_t attempt_count;

/* What the attempts use; filled by probe.c. */
struct probe {
	enum role role;
	int parent, sibling;  /* pids as seen from outside */
	int tcp;              /* connected to a listener on loopback, passed in */
	int udp;              /* connected, passed in */
	int channel;          /* SOCK_SEQPACKET to the runner */
	int root, file;       /* diskproc, create */
	int memory;           /* a memory file: netproc's and diskproc's own slots; what inspect or create fills */
	uint8_t *slots;       /* mapped */
	size_t slots_bytes;
	int other_memory;     /* diskproc: the slots that it may only read */
	uint8_t *other_slots; /* mapped */
	int conveyor;         /* netproc: the reading end, with some bytes; diskproc: the writing end */
};
extern struct probe probe;

#endif
