/*
 * messages.h - everything that crosses a wall: each message, its exact size, who
 * may send it to whom, how many may share a packet, and whether it carries a
 * descriptor.  docs/ipc.md describes the conversations.
 *
 * A packet (SOCK_SEQPACKET) is a struct packet_header and then `count` messages
 * of one type.  Its length is exact; nothing in a message is a pointer or a
 * path; no length in it is trusted.  Both ends treat the other as compromised.
 */
#ifndef IPC_MESSAGES_H
#define IPC_MESSAGES_H

#include "common.h"

#define PACKET_MAX 4096u

struct packet_header {
	uint16_t type;  /* enum message_type */
	uint16_t count; /* 1 .. the type's batch */
	uint32_t epoch; /* of this pair of processes; another one's packets are a violation */
};

enum role {
	ROLE_PARENT,
	ROLE_LAUNCHER,
	ROLE_INSPECT,
	ROLE_RESOLVER,
	ROLE_DIALER,
	ROLE_NETPROC,
	ROLE_DISKPROC,
	ROLE_CREATE,
	ROLE_COUNT
};

/* Where a descriptor that is passed during set-up belongs. */
enum setup_fd {
	SETUP_FORM = 1,    /* inspect, create: the memfd to fill; netproc, diskproc, dialer: the sealed normal form */
	SETUP_INPUT,       /* inspect: the torrent's bytes, to be read from offset 0 */
	SETUP_TEXT,        /* inspect: a memfd for the text of `show` */
	SETUP_ROOT,        /* diskproc, many files: the directory NAME.part; create: the directory to share */
	SETUP_FILE,        /* diskproc, one file: NAME.part, open for reading and writing; create: the file to share, for reading */
	SETUP_SPILL,       /* diskproc: an unnamed file (O_TMPFILE) for open pieces that must wait */
	SETUP_DISK,        /* netproc: channel to diskproc; diskproc: channel to netproc */
	SETUP_DIAL,        /* netproc: channel to dialer; dialer: channel to netproc (one for each netproc) */
	SETUP_RESOLVE,     /* dialer: channel to resolver; resolver: channel to dialer */
	SETUP_SLOTS,       /* diskproc: netproc's sealed slots */
	SETUP_CA,          /* netproc: certificate authorities, PEM */
	SETUP_CONVEYOR,    /* netproc: the reading end of diskproc's pipe, for what is uploaded (conveyor.h) */
	SETUP_RECORD,      /* diskproc: the record of what is verified, open for reading and writing; not for what is only checked */
	SETUP_WANTED,      /* netproc, diskproc: which files are wanted (wanted.h), sealed; without it: all */
	SETUP_PARTS,       /* diskproc: a sparse file for bytes of wanted pieces that belong to files which are not wanted */
	SETUP_FD_COUNT
};

/* How we learned of a peer. */
enum peer_source {
	PEER_FROM_USER,     /* --peer, or a magnet link's x.pe */
	PEER_FROM_TRACKER,
	PEER_FROM_INCOMING, /* it connected to us */
	PEER_FROM_PEX,      /* BEP 11 */
	PEER_FROM_DHT,      /* BEP 5 */
	PEER_FROM_LSD,      /* BEP 14 */
	PEER_SOURCES
};

enum net_kind { NET_PEER = 1, NET_TRACKER = 2, NET_WEBSEED = 3 };

/* An address and port.  IPv4 uses the first four bytes of ip, the others are zero. */
struct net_addr {
	uint8_t family; /* 4 or 6; 0 is none */
	uint8_t spare;
	uint16_t port;  /* host order */
	uint8_t ip[16]; /* network order */
};

/* An address of family 4 or 6 whose unused bytes are 0, as all that cross a wall must be. */
static inline bool net_addr_is_sound(const struct net_addr *a)
{
	static const uint8_t zero[12];

	return a->family == 6 || (a->family == 4 && memcmp(a->ip + 4, zero, sizeof zero) == 0);
}

#define HOST_MAX 256u    /* bytes of a host name with its NUL */
#define LOG_TEXT_MAX 480u
#define IFNAME_MAX 16u

/* ---- parent -> any compartment, during set-up; SETUP_FD again when a neighbour was started anew ---- */
struct msg_setup_fd {
	uint32_t what; /* enum setup_fd */
	uint32_t epoch; /* for channels: the epoch that they use; otherwise 0 */
};
struct msg_setup_end { uint32_t spare; };
struct msg_go { uint32_t spare; };          /* all walls were checked: strangers' bytes may come */
struct msg_shutdown { uint32_t grace_ms; }; /* finish: netproc says goodbye to trackers, diskproc syncs; then MSG_BYE */

struct msg_inspect_options {
	uint32_t mode;          /* enum inspect_mode */
	uint32_t max_files;
	uint32_t max_pieces;
	uint32_t width;         /* columns of the terminal, 0 when there is none */
	uint64_t max_bytes;     /* of the input */
};
enum inspect_mode { INSPECT_FORM = 1, INSPECT_SHOW_TEXT = 2, INSPECT_SHOW_JSON = 3, INSPECT_SHOW_LIST = 4 };
/* The input may be a torrent file or the text of a magnet link; inspect tells them apart. */

struct msg_net_options {
	uint64_t budget_bytes;   /* piece buffers that diskproc will hold at once */
	uint32_t max_peers;
	uint32_t numwant;        /* peers to ask a tracker for */
	uint32_t request_timeout_ms;
	uint16_t port;           /* announced to trackers */
	uint8_t verbose;         /* 0..2: which log lines are worth sending */
	uint8_t use_trackers;    /* 0: --no-trackers */
	uint8_t use_ipv4, use_ipv6;
	uint8_t anonymous;       /* no client name in the user agent and peer id */
	uint8_t use_http;        /* the form has an HTTP tracker: libcurl is warmed up, before netproc reads the form */
	uint8_t super_seed;      /* BEP 16, while we are a seed */
	uint8_t peer_info;       /* 1: PEER_INFO is wanted */
	uint8_t seed;            /* 1: goes on when all is there; 0: the parent ends it then */
	uint8_t order;           /* bits of enum net_order */
	uint64_t max_up, max_down; /* bytes a second, payload and protocol; 0: no limit */
	uint32_t max_uploads;    /* peers unchoked at once; 0: by what the line carries (choker.h) */
	uint32_t spare2;
};

enum net_order {
	NET_IN_SEQUENCE = 1, /* pieces of a level are fetched by their number, not the rarest first */
	NET_ENDS_FIRST = 2,  /* beginning and end of each wanted file come first */
};

struct msg_disk_options {
	uint64_t budget_bytes;
	uint32_t threads;        /* hashing threads, 1..16 */
	uint32_t check_existing; /* enum check_existing: what was there before (NAME.part, or a finished NAME) */
	uint32_t read_only;      /* 1: nothing is written: verify what is there and report */
	uint32_t max_open_files; /* descriptors that diskproc may hold for files */
	uint32_t report;         /* 1, with read_only: what is wrong is no error; CHECKED_BITS and FILE_STATES tell all of it */
	uint32_t allocate;       /* enum disk_allocate */
	uint32_t file_mode;      /* of files that are made, less the umask; directories can be searched by whoever may read */
	uint32_t wait_space;     /* 1: where there is no room it waits, and tries again */
	uint32_t cut;            /* 1: files that are longer than they are to be are cut; 0: they are foreign */
	uint32_t spare;
};
enum disk_allocate {
	ALLOCATE_SPARSE = 1, /* a file has its length from the first byte on, and takes space as it is written */
	ALLOCATE_NONE = 2,   /* it grows as it is written */
	ALLOCATE_FULL = 3,   /* all files have their space from the beginning */
};

enum check_existing {
	CHECK_NOTHING = 0, /* there was nothing */
	CHECK_DOUBTFUL = 1, /* what the record does not answer for is verified first */
	CHECK_ALL = 2,     /* all of it is */
};

struct msg_dialer_options {
	uint8_t bind_interface[IFNAME_MAX]; /* NUL-padded; empty: any */
	struct net_addr bind4, bind6;       /* family 0: any; port unused */
	uint8_t system_dns;                 /* with bind_interface: names may be resolved all the same */
	uint8_t spare[3];
	uint32_t connect_timeout_ms;
	uint32_t max_in_flight;             /* 64 */
	uint32_t dials_per_second;          /* 30 */
	uint32_t receive_buffer, send_buffer; /* bytes; SO_RCVBUF and SO_SNDBUF of each socket */
	uint16_t port_first, port_last;     /* to listen on: the first that is free; 0: does not listen */
	uint8_t listen4, listen6;
	uint8_t spare3[2];
	uint32_t accepts_per_second;        /* of all together; each address gets its share (limits.h) */
};
struct msg_allow_net {
	struct net_addr prefix; /* port unused */
	uint32_t bits;          /* 0..32 or 0..128 */
};
struct msg_allow_addr { struct net_addr addr; };  /* --peer: this very address and port */

struct msg_create_options {
	uint64_t skip_device, skip_inode; /* the file that the torrent is written to, which is not shared; 0, 0: none */
	uint64_t max_bytes;     /* of the info dictionary, and of all paths */
	uint32_t max_files, max_pieces;
	uint32_t piece_length;  /* a power of two; 0: chosen by the size */
	uint32_t threads;       /* hashing threads, 1..16 */
	uint32_t is_private;    /* 1: BEP 27 */
	uint16_t name_length;   /* of name: 1 to 255 */
	uint16_t source_length; /* of source; 0: no such key */
	uint8_t name[256];      /* of the torrent: one component, valid UTF-8 */
	uint8_t source[256];    /* valid UTF-8 */
};

/* ---- any compartment -> parent ---- */
struct msg_hello {
	uint8_t build[16]; /* hash of the build: both ends must be of one build */
	uint32_t role;
	uint32_t spare;
};
struct msg_listener { uint32_t spare; };  /* + the seccomp listener: forbidden calls are named by it */
struct msg_slots { uint32_t count; };     /* netproc: + the sealed slots that it writes */
struct msg_conveyor { uint32_t spare; };  /* diskproc: + the reading end of the pipe that it writes */
struct msg_ready {
	uint32_t walls;      /* bits of enum wall (sandbox.h) that are up */
	uint32_t fd_count;   /* open descriptors */
	uint64_t fd_map;     /* which of 0..63 are open */
};
struct msg_log {
	uint8_t level;   /* enum log_level */
	uint8_t topic;   /* enum log_topic */
	uint16_t length; /* of text */
	uint8_t text[LOG_TEXT_MAX]; /* the receiver escapes it before anyone sees it */
};
struct msg_violation { uint32_t syscall; };  /* test build: an unlisted call was made */
struct msg_bye { uint32_t status; };         /* 0: all was done that SHUTDOWN or the role asked for */
struct msg_accuse {  /* a sibling broke the contract on the channel with this one, which was closed here */
	uint32_t role;   /* who did */
	uint32_t epoch;  /* of that channel: the accused may have been replaced meanwhile */
	uint16_t length; /* of text */
	uint8_t text[118]; /* how; the receiver escapes it before anyone sees it */
};

/* ---- dialer -> parent, before READY ---- */
struct msg_listening { uint16_t port4, port6; }; /* 0: not in that family; alike when both could be had */

/* ---- parent -> netproc, before GO ---- */
struct msg_listen_port { uint32_t port; }; /* to tell trackers and peers; 0: nobody can connect to us */

/* ---- inspect -> parent ---- */
struct msg_inspected {
	uint32_t status;   /* enum inspect_status */
	uint32_t warnings; /* how many oddities were found */
	uint64_t form_bytes;
	uint64_t text_bytes;
	uint64_t where;    /* byte offset in the input, when the status is not 0 */
	uint16_t length;   /* of text */
	uint8_t text[246]; /* why it was refused; escaped by the receiver */
};
enum inspect_status { INSPECT_OK = 0, INSPECT_MALFORMED = 1, INSPECT_UNSAFE = 2, INSPECT_TOO_LARGE = 3, INSPECT_NOT_YET = 4, INSPECT_INTERNAL = 5 };

/* ---- create -> parent ---- */
struct msg_create_progress { /* at most 5 a second */
	uint64_t hashed_bytes, total_bytes;
};
struct msg_created {
	uint32_t status;       /* enum create_status */
	int32_t error;         /* errno of CREATE_STORAGE, 0 when there is none */
	uint32_t piece_length, pieces, files;
	uint32_t skipped;      /* entries of the directory that are neither file nor directory */
	uint64_t total_bytes;
	uint64_t info_bytes;   /* length of the info dictionary in the memory file */
	uint8_t info_hash[20];
	uint16_t length;       /* of text */
	uint8_t text[506];     /* why there is none; escaped by the receiver */
};
enum create_status { CREATE_OK = 0, CREATE_REFUSED = 1, CREATE_STORAGE = 2, CREATE_INTERNAL = 3 };

/* ---- netproc -> parent ---- */
struct msg_net_stats { /* at most 5 a second */
	uint64_t received_bytes; /* payload, wasted included */
	uint64_t wasted_bytes;   /* payload that was not used */
	uint64_t rate;           /* payload bytes per second, smoothed */
	uint32_t peers, peers_known, seeds;
	uint32_t banned, refused; /* refused: by the dialer's policy */
	uint32_t tracker_ok, tracker_failed;
	uint32_t unchoked;       /* by us */
	uint32_t interested;     /* in us */
	uint32_t incoming;       /* of peers: those that connected to us */
	uint32_t open_pieces;    /* partly here */
	uint32_t spare;
	uint64_t uploaded_bytes; /* payload */
	uint64_t upload_rate;    /* payload bytes per second, smoothed */
};
struct msg_peer_info { /* at most once in two seconds for each peer, when NET_OPTIONS asks for it */
	struct net_addr addr;
	uint32_t snapshot;   /* those of one moment have one number, which grows */
	uint32_t flags;      /* bits of enum peer_info_flag */
	uint32_t have_pieces;
	uint32_t requests;   /* asked of it and not answered */
	uint32_t queued;     /* asked by it and not answered */
	uint32_t sources;    /* bits 1 << enum peer_source, at least one */
	uint32_t spare;
	uint64_t down_rate, up_rate; /* payload bytes per second */
	uint64_t received_bytes, sent_bytes;
	uint8_t client[48];  /* NUL-padded; the receiver escapes it before anyone sees it */
};
enum peer_info_flag {
	PEER_INFO_CHOKES_US = 1, PEER_INFO_INTERESTED_IN_US = 2, PEER_INFO_WE_CHOKE = 4, PEER_INFO_WE_ARE_INTERESTED = 8,
	PEER_INFO_SNUBS_US = 16, PEER_INFO_OPTIMISTIC = 32, PEER_INFO_INCOMING = 64, PEER_INFO_SEED = 128, PEER_INFO_UPLOAD_ONLY = 256,
	PEER_INFO_FAST = 512, PEER_INFO_EXTENDED = 1024,
};
struct msg_tracker_event {
	uint32_t tracker;   /* index in the normal form */
	uint32_t result;    /* 0 ok, else enum tracker_result of netproc/tracker.h */
	uint32_t seeds, leechers, peers; /* UINT32_MAX: not said */
	uint32_t next_ms;   /* until the next announce */
	uint16_t length;
	uint8_t text[254];  /* warning or failure; the receiver escapes it */
};

/* ---- diskproc -> parent ---- */
struct msg_disk_progress { /* at most 10 a second */
	uint64_t verified_bytes;  /* of what is wanted (wanted.h) */
	uint64_t checked_bytes;   /* of the payload, during the first check */
	uint32_t verified_pieces; /* wanted ones */
	uint32_t rejected_pieces; /* failed hashes so far */
	uint32_t phase;           /* enum disk_phase */
	uint32_t spare;
	uint64_t known_bytes;     /* of pieces that needed no check, since the record answers for them: there or missing */
};
enum disk_phase { DISK_CHECKING = 1, DISK_DOWNLOADING = 2, DISK_SYNCING = 3, DISK_COMPLETE = 4, DISK_WAITING = 5 }; /* waiting: for space */
struct msg_disk_complete { /* every wanted piece verified, everything synced */
	uint64_t verified_bytes; /* as in DISK_PROGRESS */
};
struct msg_disk_error {
	uint32_t act;   /* enum disk_act */
	int32_t error;  /* errno */
	uint32_t file;  /* index in the normal form, UINT32_MAX: none */
	uint32_t other; /* DISK_ACT_SAME: the second one; DISK_ACT_FOREIGN of no file, error 0: pieces that are there; otherwise 0 */
};
enum disk_act {
	DISK_ACT_OPEN = 1,
	DISK_ACT_MKDIR,
	DISK_ACT_READ,
	DISK_ACT_WRITE,
	DISK_ACT_SYNC,
	DISK_ACT_SIZE,
	DISK_ACT_SPACE,
	DISK_ACT_SPILL,
	DISK_ACT_FOREIGN,
	DISK_ACT_PARTS, /* the parts file */
	DISK_ACT_SAME, /* two files of the torrent are one on this file system, which folds their names */
	DISK_ACTS
};

/* Both after the check, when DISK_OPTIONS.report asks for it; each in order, and complete when the last piece and file are told. */
struct msg_checked_bits { /* which pieces are good */
	uint32_t first_piece; /* a multiple of 8 */
	uint32_t pieces;      /* 1..16384 */
	uint8_t bits[2048];
};
struct msg_file_states {
	uint32_t first_file;
	uint32_t files;       /* 1..2048 */
	uint8_t state[2048];  /* enum file_state */
};
enum file_state {
	FILE_THERE,      /* with its length; also of what is no file on disk (padding) */
	FILE_MISSING,
	FILE_SHORT,
	FILE_LONG,
	FILE_FOREIGN,    /* something else is there under its name: a directory, a link, a device */
	FILE_UNREADABLE, /* it cannot be opened, or not read to its end */
	FILE_STATES
};

/* ---- parent -> netproc ---- */
struct msg_peer_add { struct net_addr addr; }; /* --peer */

/* ---- netproc <-> diskproc ---- */
struct msg_block { /* n->d: slot holds this block; the slot is diskproc's until SLOT_FREE */
	uint32_t piece, begin, length, slot;
};
struct msg_spill { uint32_t piece; };    /* n->d: this open piece may wait on disk: free its memory */
struct msg_slot_free { uint32_t slot; }; /* d->n */
struct msg_spilled { uint32_t piece; };  /* d->n: its memory is free; the next BLOCK of it takes memory again */
struct msg_verified { uint32_t piece; }; /* d->n: hash matched and written; its memory is free */
struct msg_rejected { uint32_t piece; }; /* d->n: hash did not match; its memory is free, all its blocks are wanted again */
struct msg_blame {                       /* d->n, before VERIFIED of a piece that was rejected earlier */
	uint32_t piece;
	uint32_t attempt;     /* which rejected copy, from 0 */
	uint32_t first_block; /* a multiple of 1024 */
	uint32_t blocks;      /* bits that count */
	uint8_t bad[128];     /* bitfield: blocks of that copy that differ from the good one */
};
struct msg_have_bits {                   /* d->n: pieces already there, in order, before HAVE_END */
	uint32_t first_piece; /* a multiple of 8 */
	uint32_t pieces;      /* 1..16384 */
	uint8_t bits[2048];
};
struct msg_have_end { uint32_t verified_pieces; };
struct msg_hold { uint32_t spare; };     /* d->n: storage failed or the end is near: no more BLOCK will be used */

struct msg_read {                        /* n->d: a part of a verified piece, wanted or not; answered once, by DATA or READ_FAILED */
	uint32_t tag;         /* netproc's own, returned in the answer */
	uint32_t piece, begin;
	uint32_t length;      /* 1..CONVEYOR_READ_MAX, inside the piece */
};
struct msg_data { uint32_t tag; };       /* d->n: its bytes are the next ones in the conveyor; answers come in the order of the READs */
struct msg_read_failed {                 /* d->n */
	uint32_t tag;
	int32_t error;  /* errno; the parent is told by DISK_ERROR */
	uint32_t bytes; /* of it that are in the conveyor all the same, below its length: nobody's */
};

/* ---- netproc <-> dialer ---- */
struct msg_dial {
	uint32_t tag; /* netproc's own, returned in the answer; not 0 */
	uint32_t kind; /* enum net_kind */
	struct net_addr addr;
};
struct msg_dial_name {
	uint32_t tag;
	uint32_t kind;
	uint16_t port;
	uint8_t family;      /* 0 any, 4, 6 */
	uint8_t spare;
	uint8_t host[HOST_MAX]; /* NUL-padded; a name or the text of an address */
};
struct msg_dial_cancel { uint32_t tag; };
struct msg_dialed { /* + a connected, non-blocking, clamped socket */
	uint32_t tag;
	struct net_addr addr;
	struct net_addr local; /* this end's address */
};
struct msg_dial_failed {
	uint32_t tag;
	uint32_t reason; /* enum dial_failure */
	int32_t error;   /* errno, 0 when there is none */
	struct net_addr addr; /* the last one tried, family 0 when none was */
};
enum dial_failure {
	DIAL_REFUSED_BY_POLICY = 1, /* .error is an enum egress_verdict of the dialer */
	DIAL_NO_NAME,
	DIAL_TIMEOUT,
	DIAL_FAILED,     /* errno */
	DIAL_LIMIT,      /* too many dials waiting: try later */
	DIAL_CANCELLED,
	DIAL_FAILURES
};

struct msg_incoming { /* dialer -> netproc, + an accepted, non-blocking, clamped socket that passed the policy */
	struct net_addr addr;
	struct net_addr local; /* this end's address */
};

/* ---- dialer <-> resolver ---- */
struct msg_resolve {
	uint32_t tag;
	uint32_t spare;
	uint8_t host[HOST_MAX];
};
#define RESOLVED_MAX 16u
struct msg_resolved {
	uint32_t tag;
	uint32_t status; /* 0, or the EAI_* number made positive */
	uint32_t count;
	struct net_addr addr[RESOLVED_MAX];
};

/* ---- dialer -> parent ---- */
struct msg_dialer_stats {
	uint32_t dialed, connected, failed, refused; /* refused: by the policy, also of those that connected to us */
	uint32_t accepted, turned_away; /* connected to us: handed over; closed at once, by the policy or a limit */
};

/* ---- parent <-> launcher ---- */
struct msg_launch {
	uint32_t role; /* ROLE_INSPECT .. ROLE_CREATE */
	uint32_t tag;
	int32_t uid, gid; /* as root: whom it becomes, both above 0; or both LAUNCH_STAYS */
};
#define LAUNCH_STAYS (-1) /* stays who it is; any other negative number is refused */
struct msg_launched { /* + the control channel */
	uint32_t tag;
	int32_t error; /* 0: a failure is LAUNCH_FAILED */
	int32_t pid;
	uint32_t spaces; /* bits of enum wall: namespaces that the clone gave it */
};
struct msg_launch_failed { /* of any request to the launcher */
	uint32_t tag;
	int32_t error; /* errno */
};
struct msg_pair { uint32_t tag; };             /* asks for a pair of connected channels */
struct msg_pair_end { uint32_t tag, end; };    /* + one end; twice */
struct msg_inspect_process { int32_t pid; uint32_t tag; };
struct msg_process_status {                    /* of /proc/PID/status */
	uint32_t tag;
	uint32_t seccomp;    /* 2: filter */
	uint32_t no_new_privs;
	uint32_t threads;
	uint64_t caps;       /* effective | permitted | inheritable | ambient */
};

/* ---- parent <-> hook, which starts the program of --on-complete ---- */
struct msg_hook_name { /* p->h, before HOOK_SEAL; once for each download */
	uint32_t index;     /* of the SOURCE */
	uint32_t length;    /* of name: 1 to 255 */
	uint64_t bytes;     /* of the torrent */
	uint8_t info_hash[20];
	uint8_t spare[4];
	uint8_t name[256];  /* a safe component, NUL-padded */
};
struct msg_hook_seal { uint32_t spare; }; /* p->h: the parent's walls go up, no more names */
struct msg_hook_run { uint32_t index; };  /* p->h: it is complete; once for each */
struct msg_hook_done {                    /* h->p: the program has ended */
	uint32_t index;
	int32_t status; /* of its exit; 256 and the number of the signal that ended it; -1: it could not be started */
};

/*
 * The list.  X(NAME, struct, batch, fd): batch is the largest count in a packet,
 * fd 1 when each packet carries exactly one descriptor (then batch is 1).
 */
#define MESSAGES(X)                                        \
	X(SETUP_FD, setup_fd, 1, 1)                            \
	X(SETUP_END, setup_end, 1, 0)                          \
	X(GO, go, 1, 0)                                        \
	X(SHUTDOWN, shutdown, 1, 0)                            \
	X(INSPECT_OPTIONS, inspect_options, 1, 0)              \
	X(NET_OPTIONS, net_options, 1, 0)                      \
	X(DISK_OPTIONS, disk_options, 1, 0)                    \
	X(DIALER_OPTIONS, dialer_options, 1, 0)                \
	X(ALLOW_NET, allow_net, 64, 0)                         \
	X(ALLOW_ADDR, allow_addr, 64, 0)                       \
	X(HELLO, hello, 1, 0)                                  \
	X(LISTENER, listener, 1, 1)                            \
	X(SLOTS, slots, 1, 1)                                  \
	X(READY, ready, 1, 0)                                  \
	X(LISTENING, listening, 1, 0)                          \
	X(LISTEN_PORT, listen_port, 1, 0)                      \
	X(LOG, log, 1, 0)                                      \
	X(VIOLATION, violation, 1, 0)                          \
	X(BYE, bye, 1, 0)                                      \
	X(INSPECTED, inspected, 1, 0)                          \
	X(NET_STATS, net_stats, 1, 0)                          \
	X(TRACKER_EVENT, tracker_event, 1, 0)                  \
	X(PEER_INFO, peer_info, 24, 0)                         \
	X(DISK_PROGRESS, disk_progress, 1, 0)                  \
	X(DISK_COMPLETE, disk_complete, 1, 0)                  \
	X(DISK_ERROR, disk_error, 1, 0)                        \
	X(PEER_ADD, peer_add, 64, 0)                           \
	X(BLOCK, block, 64, 0)                                 \
	X(SPILL, spill, 64, 0)                                 \
	X(SLOT_FREE, slot_free, 256, 0)                        \
	X(SPILLED, spilled, 64, 0)                             \
	X(VERIFIED, verified, 64, 0)                           \
	X(REJECTED, rejected, 64, 0)                           \
	X(BLAME, blame, 1, 0)                                  \
	X(HAVE_BITS, have_bits, 1, 0)                          \
	X(HAVE_END, have_end, 1, 0)                            \
	X(HOLD, hold, 1, 0)                                    \
	X(READ, read, 64, 0)                                   \
	X(DATA, data, 64, 0)                                   \
	X(READ_FAILED, read_failed, 64, 0)                     \
	X(CONVEYOR, conveyor, 1, 1)                            \
	X(DIAL, dial, 64, 0)                                   \
	X(DIAL_NAME, dial_name, 1, 0)                          \
	X(DIAL_CANCEL, dial_cancel, 64, 0)                     \
	X(DIALED, dialed, 1, 1)                                \
	X(DIAL_FAILED, dial_failed, 64, 0)                     \
	X(INCOMING, incoming, 1, 1)                            \
	X(RESOLVE, resolve, 1, 0)                              \
	X(RESOLVED, resolved, 1, 0)                            \
	X(DIALER_STATS, dialer_stats, 1, 0)                    \
	X(LAUNCH, launch, 1, 0)                                \
	X(LAUNCHED, launched, 1, 1)                            \
	X(LAUNCH_FAILED, launch_failed, 1, 0)                  \
	X(PAIR, pair, 1, 0)                                    \
	X(PAIR_END, pair_end, 1, 1)                            \
	X(INSPECT_PROCESS, inspect_process, 1, 0)              \
	X(PROCESS_STATUS, process_status, 1, 0)                \
	X(ACCUSE, accuse, 1, 0)                                \
	X(CREATE_OPTIONS, create_options, 1, 0)                \
	X(CREATE_PROGRESS, create_progress, 1, 0)              \
	X(CREATED, created, 1, 0)                              \
	X(CHECKED_BITS, checked_bits, 1, 0)                    \
	X(FILE_STATES, file_states, 1, 0)                      \
	X(HOOK_NAME, hook_name, 1, 0)                          \
	X(HOOK_SEAL, hook_seal, 1, 0)                          \
	X(HOOK_RUN, hook_run, 1, 0)                            \
	X(HOOK_DONE, hook_done, 1, 0)

enum message_type {
	MSG_NONE = 0,
#define X(NAME, s, batch, fd) MSG_##NAME,
	MESSAGES(X)
#undef X
	MSG_TYPES
};

/* One row for each type; row 0 is MSG_NONE with size 0. */
struct message_row {
	const char *name;
	uint16_t size;
	uint16_t batch;
	bool fd;
};
extern const struct message_row message_rows[MSG_TYPES];

/* Which build this is: a hash over the headers of ipc, for HELLO. */
void build_hash(uint8_t out[16]);

/* "NETPROC" -> "netproc": the name of a role as people see it. */
const char *role_name(enum role role);

#endif
