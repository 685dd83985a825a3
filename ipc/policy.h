/*
 * policy.h - the table of what each process may ask of the kernel.
 *
 * Only sandbox.c loads it; the probe and the unit tests read it.
 */
#ifndef IPC_POLICY_H
#define IPC_POLICY_H

#include <seccomp.h>

#include "messages.h"

#define POLICY_ARGS 4

/* Stands for the process's own id, which is known only when the filter is made. */
#define POLICY_SELF 0xfedcba9876543210ull

/* Stand for the masks of what is not in the modes of files and of directories: policy_set_mode(). */
#define POLICY_FILE_MODE 0xfedcba9876543211ull
#define POLICY_DIR_MODE 0xfedcba9876543212ull

/*
 * One permission: these roles may make this call when every listed argument
 * compares.  Several rows of one call are alternatives.  error 0 permits; any
 * other value is the errno that the call gets instead of being made.
 */
struct policy_row {
	uint32_t roles; /* bits of enum role */
	int call;       /* number; negative when this machine has none */
	const char *name;
	int error;
	const char *why;
	struct scmp_arg_cmp arg[POLICY_ARGS]; /* up to the first whose .op is 0 */
};

extern const struct policy_row policy_rows[];
extern const size_t policy_row_count;

/* Calls that only an attacker makes: named to the parent, which kills. */
struct policy_call {
	int call;
	const char *name;
};
extern const struct policy_call policy_attacks[];
extern const size_t policy_attack_count;

/* What nobody ever needs and the launcher's filter, inherited by all, refuses. */
extern const struct policy_call policy_launcher_denies[];
extern const size_t policy_launcher_deny_count;

/* The name of a system call of this machine, or "unknown": for the parent's report of a forbidden one.  Valid until the next call. */
const char *policy_call_name(int call);

/* Whether the call is in the attack set. */
bool policy_is_attack(int call);

/* Before the allow-list of diskproc is made: the mode that --mode names, for files; 0: the usual one (FILE_MODE). */
void policy_set_mode(uint32_t mode);

/*
 * Makes the allow-list of a role, not yet loaded.  `named`: the attack set is
 * left to filter 1, which has a listener; otherwise it kills here.
 * NULL when libseccomp refuses (errno).  The caller releases it.
 */
scmp_filter_ctx policy_filter(enum role role, bool named);

/* Filter 1: the attack set goes to a listener, everything else passes. */
scmp_filter_ctx policy_attack_filter(void);

/* The launcher's deny-list. */
scmp_filter_ctx policy_launcher_filter(void);

#endif
