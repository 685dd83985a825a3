/*
 * without.c - runs a program on a kernel that seems to lack something.
 *
 *	without THING... -- PROGRAM ARGUMENT...
 *
 * landlock: no Landlock.  namespaces: none may be made (as many distributions
 * and containers have it).  listener: no seccomp notification (before Linux
 * 5.0).  recent: no close_range, MDWE, mount_setattr, open_tree.
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int answer(scmp_filter_ctx f, int error, int call)
{
	return seccomp_rule_add(f, SCMP_ACT_ERRNO((unsigned)error), call, 0);
}

static int take_away(scmp_filter_ctx f, const char *thing)
{
	static const unsigned long spaces[] = { CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWNET };
	size_t i;
	int r = 0;

	if (strcmp(thing, "landlock") == 0)
		return answer(f, ENOSYS, SCMP_SYS(landlock_create_ruleset));
	if (strcmp(thing, "listener") == 0)
		return seccomp_rule_add(f, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(seccomp), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 8, 8));
	if (strcmp(thing, "recent") == 0)
		return answer(f, ENOSYS, SCMP_SYS(close_range)) || answer(f, ENOSYS, SCMP_SYS(open_tree)) ||
		       answer(f, ENOSYS, SCMP_SYS(mount_setattr)) || answer(f, ENOSYS, SCMP_SYS(clone3)) ||
		       seccomp_rule_add(f, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, 65));
	if (strcmp(thing, "namespaces") != 0)
		return -EINVAL;
	for (i = 0; i < sizeof spaces / sizeof spaces[0] && !r; i++)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, spaces[i], spaces[i]));
	return r || answer(f, ENOSYS, SCMP_SYS(clone3)) || answer(f, EPERM, SCMP_SYS(unshare));
}

int main(int argc, char **argv)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (!f || take_away(f, argv[i])) {
			fprintf(stderr, "without: cannot take %s away\n", argv[i]);
			return 2;
		}
	if (i + 1 >= argc || seccomp_load(f)) {
		fprintf(stderr, "usage: without landlock|namespaces|listener|recent... -- PROGRAM...\n");
		return 2;
	}
	execvp(argv[i + 1], argv + i + 1);
	return 127;
}
