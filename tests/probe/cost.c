/*
 * cost.c - what netproc's walls cost a system call: the same calls without any filter, and behind both.
 *
 * Prints one line for each call: nanoseconds without, with, and the difference (best of five rounds each).
 */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

#define CALLS 800000
#define ROUNDS 5

static int pair[2];

static void call(int which)
{
	char c;

	switch (which) {
	case 0:
		(void)!read(pair[0], &c, 1); /* nothing there: EAGAIN */
		break;
	case 1:
		(void)!recv(pair[0], &c, 1, 0);
		break;
	case 2:
		(void)!write(pair[1], &c, 0);
		break;
	default:
		(void)!send(pair[1], &c, 0, MSG_NOSIGNAL);
		break;
	}
}

static double measure(int which)
{
	double best = 1e9;
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		uint64_t start = now_us();
		double ns;

		for (i = 0; i < CALLS; i++)
			call(which);
		ns = (double)(now_us() - start) * 1000 / CALLS;
		best = ns < best ? ns : best;
	}
	return best;
}

int main(void)
{
	static const char *const names[] = { "read (cached)", "recvfrom (cached)", "write (cached)", "sendto (two arguments compared)" };
	double bare[4], walled[4];
	uint32_t walls = 0;
	int i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
		return 1;
	for (i = 0; i < 4; i++)
		bare[i] = measure(i);
	walls = sandbox_begin(ROLE_PARENT); /* the same first walls, but descriptors stay */
	if (sandbox_listener(ROLE_NETPROC) < 0)
		return 1;
	walls |= WALL_BIT(WALL_FDS_CLOSED);
	sandbox_end(ROLE_NETPROC, &walls);
	for (i = 0; i < 4; i++)
		walled[i] = measure(i);
	for (i = 0; i < 4; i++) {
		char line[128];
		int n = snprintf(line, sizeof line, "%-32s %6.0f ns %6.0f ns %+6.0f ns\n", names[i], bare[i], walled[i], walled[i] - bare[i]);

		(void)!write(1, line, (size_t)n);
	}
	_exit(0);
}
