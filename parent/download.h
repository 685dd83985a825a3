/*
 * download.h - one SOURCE on its way: inspect, its output, its set of compartments, its end.
 *
 *	WAITING    its bytes are in a memory file                download_inspect()
 *	INSPECTING inspect (or create, then there is no other state) is at work; it is reaped
 *	PREPARED   the form is valid, the output is open         download_start()
 *	STARTING   its compartments raise their walls            all of them HELD, and the parent is locked
 *	RUNNING    strangers' bytes come                         DISK_COMPLETE, an error, the user
 *	SEEDING    all is there, and is given (seeding.h)        its rule, an error, the user
 *	FINISHING  its status is decided; goodbyes               nobody is left
 *	ENDED
 *
 * Compartments that die while it RUNs or is SEEDING are started again, up to RESTARTS_MAX
 * times in RESTARTS_MS; their neighbours are given new channels.
 */
#ifndef PARENT_DOWNLOAD_H
#define PARENT_DOWNLOAD_H

#include "checking.h"
#include "child.h"
#include "creating.h"
#include "hook.h"
#include "options.h"
#include "output.h"
#include "peer_table.h"
#include "screen.h"
#include "seeding.h"
#include "select.h"

#define RESTARTS_MAX 5u
#define RESTARTS_MS 60000u

/* Goodbyes: when all is done, and when the user interrupts. */
#define GOODBYE_MS 900u
#define INTERRUPT_MS 3000u

enum download_state {
	DOWNLOAD_WAITING,
	DOWNLOAD_INSPECTING,
	DOWNLOAD_PREPARED,
	DOWNLOAD_STARTING,
	DOWNLOAD_RUNNING,
	DOWNLOAD_SEEDING,
	DOWNLOAD_FINISHING,
	DOWNLOAD_ENDED,
};

/* A channel between two compartments; one end each. */
enum edge_id { EDGE_DISK, EDGE_DIAL, EDGE_RESOLVE, EDGES };
struct edge {
	uint32_t tag;   /* of the launcher's answer; 0: none is awaited */
	uint32_t epoch;
	int fd[2];      /* owned until given; -1 */
};

/* What all downloads share. */
struct context {
	const struct options *o;
	struct launcher launcher;
	struct hook hook; /* with --on-complete */
	int dir;        /* the output directory; -1 for show */
	int states;     /* the state directory, until the walls are up; -1 */
	int ca;         /* certificate authorities; -1 */
	bool locked;    /* the parent's own walls are up: GO may be said */
	bool root;      /* started as root */
	uint64_t now_ms;
};

struct download {
	struct context *x;
	uint32_t index;     /* of the SOURCE */
	const char *source; /* as the user wrote it */
	enum download_state state;
	int status;         /* exit status; -1 until it is decided */
	int input, form, text; /* owned; -1.  create: the form is its info dictionary */
	struct metainfo m;  /* of `form`, once it was mapped and validated */
	bool mapped;
	char name[1100];    /* for people: the torrent's name escaped, or the source */
	struct selection selection; /* owned; once it was mapped */
	struct output out;
	bool disk_only;     /* nothing to fetch or to give: only diskproc is started */
	bool seeds;         /* goes on when all is there */
	bool ahead;         /* the others are still to be started while inspect works */
	uint32_t ids[ROLE_COUNT]; /* as root: uid and gid of each role */
	uint32_t disk_gid;  /* as root: diskproc's group, when it is not the id; 0: it is */
	int mount;          /* as root: the directory with its owner mapped; owned; -1 */
	struct checking checking; /* of the command check, until it repairs */
	struct creating creating; /* of the command create, which has no other compartment */
	struct child child[ROLE_COUNT];
	struct edge edge[EDGES];
	int slots;          /* owned: netproc's, for a diskproc that comes later; -1 */
	int conveyor;       /* owned: the reading end of diskproc's, for a netproc that comes later; -1 */
	uint64_t restarts[RESTARTS_MAX]; /* when, a ring */
	uint32_t restart_count;
	struct msg_inspected inspected;
	bool inspect_answered;
	uint16_t port;      /* on which others can connect to it; 0: none */
	struct msg_net_stats net;
	struct msg_disk_progress disk;
	bool told_checked;  /* what was there is known, to the present diskproc, and was told of */
	bool was_checked;   /* to one that was */
	struct peer_table peers;
	uint64_t wasted_before; /* of netprocs that died */
	struct totals before;   /* the same */
	struct totals earlier;  /* of earlier runs, as their record has it; set before it RUNs */
	uint64_t seeding_ms, gave_ms; /* SEEDING: since when; when payload was last given */
	uint64_t seeded_ms;           /* when it had been given enough, and */
	enum seeding_end seeded;      /* why; GOES_ON: it was not */
	uint64_t started_ms, moved_ms; /* moved: bytes last arrived */
	uint64_t kill_ms;   /* FINISHING: when patience ends */
	bool trackers_told; /* one has answered, or the user was told that one failed */
	bool netproc_follows; /* netproc was ended because its dialer died: no fault of its own */
};

/* input: the sealed memory file; taken. */
void download_init(struct download *d, struct context *x, uint32_t index, const char *source, int input);

/* Starts inspect, or create; with `ahead` the other compartments too, so that they come up meanwhile. */
void download_inspect(struct download *d, bool ahead);
/* Starts or goes on with what is not running yet; sends what can be sent now.  In any state. */
void download_advance(struct download *d);
/* PREPARED -> STARTING. */
void download_start(struct download *d);

/* An answer of the launcher, if it is for this download: true and taken. */
bool download_on_answer(struct download *d, const struct launcher_answer *a);
/* A child's control channel is readable or writable. */
void download_on_control(struct download *d, enum role role);
/* Reaps those of its children that ended. */
void download_reap(struct download *d);
/* Deadlines.  Returns the next one, UINT64_MAX when there is none. */
uint64_t download_timers(struct download *d);

/* Whether its compartments are to be up: RUNNING or SEEDING. */
static inline bool download_is_up(const struct download *d)
{
	return d->state == DOWNLOAD_RUNNING || d->state == DOWNLOAD_SEEDING;
}

/* What this run has given and taken; with `earlier` it is what counts for the ratio. */
struct totals download_totals(const struct download *d);

/* The user wants it to end: politely, or at once. */
void download_interrupt(struct download *d, bool at_once);
/* Everything is verified and synced: the one rename, then the end or SEEDING. */
void download_complete(struct download *d);
/* Its status is decided, unless it was: netproc says goodbye, diskproc keeps what it has, the others serve them until then. */
void download_finish(struct download *d, int status, uint32_t grace_ms);
/* It cannot go on. */
void download_fail(struct download *d, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The launcher is gone: what it was asked to start will never be told of. */
void download_without_launcher(struct download *d);

/* Fills a row for the screen.  False: nothing to show now. */
bool download_row(const struct download *d, struct screen_row *row);

/* Closes one of its descriptors, if it is open, and leaves -1. */
void download_close_fd(int *fd);
/* Everything is closed and freed. */
void download_close(struct download *d);

#endif
