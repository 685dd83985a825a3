/*
 * options.h - the command line as a struct: every value checked, in its unit.
 *
 * What the options are is in option_table.c, a row for each; what values may be in values.h.
 * Filled once, by the parent, before anything else happens; read-only after
 * that.  Nothing in it comes from strangers.
 */
#ifndef PARENT_OPTIONS_H
#define PARENT_OPTIONS_H

#include <limits.h>

#include "compartment.h"
#include "messages.h"
#include "seeding.h"

/* How many SOURCEs one command takes: each has five processes of its own. */
#define OPTIONS_MAX_SOURCES 16u
#define OPTIONS_MAX_PEERS COMPARTMENT_MAX_NETS
/* Options --select and --priority. */
#define OPTIONS_MAX_LISTS 64u
/* Options --tracker and --web-seed. */
#define OPTIONS_MAX_URLS 128u

enum command { COMMAND_GET = 1, COMMAND_SHOW = 2, COMMAND_HELP = 4, COMMAND_VERSION = 8, COMMAND_SEED = 16, COMMAND_CREATE = 32, COMMAND_CHECK = 64 };

/* Exit statuses; bulkhead(1) documents them. */
enum exit_status {
	STATUS_COMPLETE = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_REFUSED = 3,
	STATUS_STORAGE = 4,
	STATUS_NO_PROGRESS = 5,
	STATUS_NO_WALL = 6,
	STATUS_DIED = 7,
	STATUS_INTERRUPTED = 130,
};

struct options {
	enum command command;
	const char *sources[OPTIONS_MAX_SOURCES]; /* of argv */
	uint32_t source_count;
	const char *dir;      /* of argv or constant */
	const char *state_dir; /* of argv; NULL: the usual one */
	bool adopt;
	bool check; /* what is there is verified in full, whatever its record says */
	bool repair, quick; /* of the command check */
	uint32_t allocate;    /* enum disk_allocate */
	uint32_t mode;        /* of files, whatever the umask; 0: the usual one, less the umask */
	bool wait_space;
	char on_complete[PATH_MAX]; /* absolute path of a program; empty: none */
	const char *ca_file;  /* NULL: none was named */
	struct net_addr peers[OPTIONS_MAX_PEERS];
	uint32_t peer_count;
	struct msg_allow_net nets[COMPARTMENT_MAX_NETS];
	uint32_t net_count;
	char bind_interface[IFNAME_MAX]; /* empty: any */
	struct net_addr bind4, bind6;    /* family 0: any */
	bool system_dns;
	bool use_ipv4, use_ipv6;
	bool listen;
	uint16_t port_first, port_last; /* to listen on, one for each SOURCE; without `listen`: the first is what trackers are told */
	bool port_given;                /* by --port: to have none of them is a failure */
	uint32_t max_peers;
	uint64_t memory_bytes;
	uint32_t timeout_s; /* 0: never */
	struct seeding_rule seed;
	uint64_t max_up, max_down; /* bytes a second, of all sources together; 0: no limit */
	uint32_t max_uploads; /* of all sources together; 0: by what the line carries */
	bool super_seed;
	/* Which files, and which first: lists of argv (select.h). */
	const char *selects[OPTIONS_MAX_LISTS];
	uint32_t select_count;
	struct {
		const char *list;
		uint8_t level; /* enum wanted_level */
	} priorities[OPTIONS_MAX_LISTS];
	uint32_t priority_count;
	bool sequential, ends_first;
	bool list; /* of show: the numbers, sizes and names of the files */
	bool trackers;
	uint64_t max_torrent_bytes;
	uint32_t max_files, max_pieces;
	uint32_t threads;
	bool quiet, json, progress, allow_weak, anonymous;
	uint32_t verbose; /* 0..2 */
	/* create */
	const char *output;      /* NULL: NAME.torrent; "-": standard output */
	uint64_t piece_length;   /* a power of two; 0: chosen by the size */
	const char *tiers[OPTIONS_MAX_URLS]; /* each one or more URLs with commas between */
	uint32_t tier_count;
	const char *webseeds[OPTIONS_MAX_URLS];
	uint32_t webseed_count;
	const char *name, *comment, *source_text; /* valid UTF-8; NULL: none */
	bool is_private, no_date;
	int64_t date;            /* seconds since 1970; -1: none */
};

/*
 * Parses argv (and permutes it, as getopt does).  Returns 0; or STATUS_USAGE
 * with one line in `error` that names the option and the value, escaped.
 */
int options_parse(struct options *o, int argc, char **argv, char *error, size_t room) MUST_CHECK;

/* The text of --help. */
const char *options_help(void);

/* The status that counts for several SOURCEs: the first of 7 6 4 3 2 1 5 130 0 that any had. */
int options_worst_status(int a, int b);

#endif
