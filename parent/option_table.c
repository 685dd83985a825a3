/*
 * option_table.c - see option_table.h: the handlers, and below them the table.
 */
#include "option_table.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "metainfo.h"
#include "pool.h"
#include "select.h"
#include "values.h"

bool parse_refuse(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	if (!p->bad) {
		va_start(ap, fmt);
		vsnprintf(p->error, p->room, fmt, ap);
		va_end(ap);
	}
	p->bad = true;
	return false;
}

static bool PRINTF_LIKE(4, 5) refuse_value(struct parse *p, const struct option_row *row, const char *value, const char *fmt, ...)
{
	char quoted[200], what[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	log_quote(quoted, sizeof quoted, value, strlen(value));
	return parse_refuse(p, "--%s: '%s' is not %s", row->name, quoted, what);
}

static bool refuse_more(struct parse *p, const struct option_row *row, unsigned most)
{
	return parse_refuse(p, "--%s: more than %u of them", row->name, most);
}

/* ---- members by their rows */

static void set_member(struct options *o, const struct option_row *row, uint64_t value)
{
	void *at = (char *)o + row->at;

	if (row->bytes == sizeof(bool))
		*(bool *)at = value != 0;
	else if (row->bytes == sizeof(uint32_t))
		*(uint32_t *)at = (uint32_t)value;
	else if (row->bytes == sizeof(uint64_t))
		*(uint64_t *)at = value;
	else
		bug("--%s sets a member of %zu bytes", row->name, row->bytes);
}

static void set_text(struct options *o, const struct option_row *row, const char *value)
{
	memcpy((char *)o + row->at, &value, sizeof value);
}

void option_table_defaults(struct options *o)
{
	size_t i;

	memset(o, 0, sizeof *o);
	for (i = 0; i < option_row_count; i++)
		if (option_rows[i].initially)
			set_member(o, &option_rows[i], option_rows[i].initially);
}

/* ---- handlers of any option of a kind */

/* Turns its bool. */
static bool take_flag(struct parse *p, const struct option_row *row, const char *value)
{
	(void)value;
	set_member(p->o, row, !row->initially);
	return true;
}

static bool take_number(struct parse *p, const struct option_row *row, const char *value)
{
	uint64_t v;

	if (!value_number(value, row->least, row->most, &v))
		return refuse_value(p, row, value, "a number from %" PRIu64 " to %" PRIu64, row->least, row->most);
	set_member(p->o, row, v);
	return true;
}

static bool take_seconds(struct parse *p, const struct option_row *row, const char *value)
{
	uint64_t v;

	if (!value_number(value, row->least, row->most, &v))
		return refuse_value(p, row, value, "a number of seconds from %" PRIu64 " to %" PRIu64, row->least, row->most);
	set_member(p->o, row, v);
	return true;
}

/* "64M": the shortest text of a size without a rest. */
static const char *size_text(char *out, size_t room, uint64_t bytes)
{
	static const char units[] = { 0, 'k', 'M', 'G', 0 };
	size_t unit = 0;

	for (; units[unit + 1] && bytes && bytes % 1024 == 0; bytes /= 1024)
		unit++;
	snprintf(out, room, "%" PRIu64 "%.1s", bytes, unit ? &units[unit] : "");
	return out;
}

static bool take_size(struct parse *p, const struct option_row *row, const char *value)
{
	char least[32], most[32];
	uint64_t v;

	if (!value_size(value, row->least, row->most, &v))
		return refuse_value(p, row, value, "a size from %s to %s", size_text(least, sizeof least, row->least),
				    size_text(most, sizeof most, row->most));
	set_member(p->o, row, v);
	return true;
}

/* A block is 16 KiB: below 1k a second each would take longer than anyone waits. */
static bool take_rate(struct parse *p, const struct option_row *row, const char *value)
{
	uint64_t v;

	if (!value_number(value, 0, 0, &v) && !value_size(value, 1024, 64ull << 30, &v))
		return refuse_value(p, row, value, "a rate from 1k to 64G, or 0 for no limit");
	set_member(p->o, row, v);
	return true;
}

static bool take_path(struct parse *p, const struct option_row *row, const char *value)
{
	if (!*value)
		return parse_refuse(p, "--%s: the name of the %s is empty", row->name, strcmp(row->value, "DIR") ? "file" : "directory");
	set_text(p->o, row, value);
	return true;
}

static bool take_text(struct parse *p, const struct option_row *row, const char *value)
{
	size_t n = strlen(value);

	if (n < row->least || n > row->most || !value_is_utf8(value))
		return refuse_value(p, row, value, "a text of %" PRIu64 " to %" PRIu64 " bytes of UTF-8", row->least, row->most);
	set_text(p->o, row, value);
	return true;
}

/* ---- handlers of single options */

static bool take_command(struct parse *p, const struct option_row *row, const char *value)
{
	(void)value;
	p->o->command = row->letter == 'h' ? COMMAND_HELP : COMMAND_VERSION;
	return true;
}

static bool take_verbose(struct parse *p, const struct option_row *row, const char *value)
{
	(void)row;
	(void)value;
	p->o->verbose = min_u32(p->o->verbose + 1, 2);
	return true;
}

static bool take_name(struct parse *p, const struct option_row *row, const char *value)
{
	if (!value_is_name(value))
		return refuse_value(p, row, value, "a name: 1 to 255 bytes of UTF-8 without '/'");
	set_text(p->o, row, value);
	return true;
}

static bool take_allocate(struct parse *p, const struct option_row *row, const char *value)
{
	static const char *const words[] = { [ALLOCATE_SPARSE] = "sparse", [ALLOCATE_NONE] = "none", [ALLOCATE_FULL] = "full" };
	uint32_t i;

	for (i = ALLOCATE_SPARSE; i < ARRAY_LEN(words); i++)
		if (!strcmp(value, words[i])) {
			p->o->allocate = i;
			return true;
		}
	return refuse_value(p, row, value, "none, sparse or full");
}

static bool take_program(struct parse *p, const struct option_row *row, const char *value)
{
	char *path = p->o->on_complete;
	struct stat st;

	if (realpath(value, path) && stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
		return true;
	return refuse_value(p, row, value, "a program: a file that can be executed");
}

/* Octal, as chmod has it; whom the files belong to must be able to go on with them. */
static bool take_mode(struct parse *p, const struct option_row *row, const char *value)
{
	size_t n = strlen(value), i;
	uint32_t mode = 0;

	for (i = 0; i < n && n <= 4 && value[i] >= '0' && value[i] <= '7'; i++)
		mode = mode << 3 | (uint32_t)(value[i] - '0');
	if (n < 3 || i < n || mode & ~FILE_MODES || (mode & 0600) != 0600)
		return refuse_value(p, row, value, "a mode from 600 to 666 without execute bits, such as 640");
	p->o->mode = mode;
	return true;
}

static bool take_piece_length(struct parse *p, const struct option_row *row, const char *value)
{
	uint64_t v;

	if (!value_size(value, row->least, row->most, &v) || v & (v - 1))
		return refuse_value(p, row, value, "a power of two from 16k to 64M");
	set_member(p->o, row, v);
	return true;
}

/* Each of these three says that seeding is wanted. */
static bool take_seed_ratio(struct parse *p, const struct option_row *row, const char *value)
{
	p->o->seed.wanted = true;
	return value_ratio(value, &p->o->seed.ratio_milli) || refuse_value(p, row, value, "a number from 0 to 1000, such as 1.5");
}

static bool take_seed_time(struct parse *p, const struct option_row *row, const char *value)
{
	uint32_t seconds;

	p->o->seed.wanted = true;
	if (!value_time(value, &seconds))
		return refuse_value(p, row, value, "a time such as 30 (minutes), 90s, 2h or 7d");
	set_member(p->o, row, seconds);
	return true;
}

/* Whether a socket can have this address.  One that nobody could say anything of passes: the dialer will. */
static bool is_of_this_machine(const struct net_addr *a)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	int fd = socket(a->family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return errno != EAFNOSUPPORT;
	memcpy(&in4.sin_addr, a->ip, sizeof in4.sin_addr);
	memcpy(&in6.sin6_addr, a->ip, sizeof in6.sin6_addr);
	r = a->family == 4 ? bind(fd, (struct sockaddr *)&in4, sizeof in4) : bind(fd, (struct sockaddr *)&in6, sizeof in6);
	r = r < 0 ? errno : 0;
	close(fd);
	return r != EADDRNOTAVAIL;
}

static bool take_bind(struct parse *p, const struct option_row *row, const char *value)
{
	struct options *o = p->o;
	struct net_addr a;
	size_t n = strlen(value);

	if (value_ip(value, &a)) {
		struct net_addr *slot = a.family == 4 ? &o->bind4 : &o->bind6;

		if (slot->family)
			return parse_refuse(p, "--bind: more than one IPv%u address", a.family);
		if (!is_of_this_machine(&a))
			return refuse_value(p, row, value, "an address of this machine");
		*slot = a;
		return true;
	}
	if (n == 0 || n >= sizeof o->bind_interface || !if_nametoindex(value))
		return refuse_value(p, row, value, "an address, nor an interface of this machine");
	if (o->bind_interface[0])
		return parse_refuse(p, "--bind: more than one interface");
	memcpy(o->bind_interface, value, n + 1);
	return true;
}

static bool take_peer(struct parse *p, const struct option_row *row, const char *value)
{
	struct options *o = p->o;

	if (o->peer_count >= ARRAY_LEN(o->peers))
		return refuse_more(p, row, OPTIONS_MAX_PEERS);
	if (!value_addr_port(value, &o->peers[o->peer_count]))
		return refuse_value(p, row, value, "an address and port, such as 192.0.2.1:6881 or [2001:db8::1]:6881");
	o->peer_count++;
	return true;
}

static bool take_net(struct parse *p, const struct option_row *row, const char *value)
{
	struct options *o = p->o;

	if (o->net_count >= ARRAY_LEN(o->nets))
		return refuse_more(p, row, COMPARTMENT_MAX_NETS);
	if (!value_cidr(value, &o->nets[o->net_count]))
		return refuse_value(p, row, value, "a network such as 10.0.0.0/8");
	o->net_count++;
	return true;
}

static bool take_port(struct parse *p, const struct option_row *row, const char *value)
{
	struct options *o = p->o;

	if (!value_ports(value, &o->port_first, &o->port_last))
		return refuse_value(p, row, value, "a port from 1 to 65535, or a range such as 6881-6999");
	o->port_given = true;
	return true;
}

static bool take_tier(struct parse *p, const struct option_row *row, const char *value)
{
	static const char *const schemes[] = { "http://", "https://", "udp://", "ws://", "wss://", NULL };
	struct options *o = p->o;
	const char *list = value, *url;
	size_t n;

	if (o->tier_count >= ARRAY_LEN(o->tiers))
		return refuse_more(p, row, OPTIONS_MAX_URLS);
	do {
		n = value_next_url(&list, &url);
		if (!value_is_url(url, n, schemes))
			return refuse_value(p, row, value, "a URL, such as https://host/announce or udp://host:80, or several with commas between");
	} while (*list);
	o->tiers[o->tier_count++] = value;
	return true;
}

static bool take_webseed(struct parse *p, const struct option_row *row, const char *value)
{
	static const char *const schemes[] = { "http://", "https://", NULL };
	struct options *o = p->o;

	if (o->webseed_count >= ARRAY_LEN(o->webseeds))
		return refuse_more(p, row, OPTIONS_MAX_URLS);
	if (!value_is_url(value, strlen(value), schemes))
		return refuse_value(p, row, value, "a URL, such as https://host/directory/");
	o->webseeds[o->webseed_count++] = value;
	return true;
}

static bool take_select(struct parse *p, const struct option_row *row, const char *value)
{
	struct options *o = p->o;

	if (o->select_count >= ARRAY_LEN(o->selects))
		return refuse_more(p, row, OPTIONS_MAX_LISTS);
	if (!select_is_list(value))
		return refuse_value(p, row, value, "a list of files, such as 1-3,7 or '*.mkv'");
	o->selects[o->select_count++] = value;
	return true;
}

static bool take_priority(struct parse *p, const struct option_row *row, const char *value)
{
	static const char *const names[] = { [WANTED_LOW] = "low:", [WANTED_NORMAL] = "normal:", [WANTED_HIGH] = "high:" };
	struct options *o = p->o;
	uint8_t i;

	if (o->priority_count >= ARRAY_LEN(o->priorities))
		return refuse_more(p, row, OPTIONS_MAX_LISTS);
	for (i = WANTED_LOW; i <= WANTED_HIGH; i++) {
		const char *list = value + strlen(names[i]);

		if (strncmp(value, names[i], strlen(names[i])) || !select_is_list(list))
			continue;
		o->priorities[o->priority_count].list = list;
		o->priorities[o->priority_count++].level = i;
		return true;
	}
	return refuse_value(p, row, value, "high:, normal: or low: and a list of files, such as high:1-3 or low:'*.txt'");
}

/* ---- the table */

#define MEMBER(m) .at = offsetof(struct options, m), .bytes = sizeof((struct options *)0)->m

#define CHECK (COMMAND_CHECK | COMMAND_REPAIR)
#define ALL (COMMAND_GET | COMMAND_SEED | COMMAND_SHOW | COMMAND_CREATE | CHECK)
#define WORK (COMMAND_GET | COMMAND_SEED | COMMAND_CREATE | CHECK)
#define FETCH (COMMAND_GET | COMMAND_REPAIR)
#define SWARM (COMMAND_GET | COMMAND_SEED | COMMAND_REPAIR)
#define CREATE COMMAND_CREATE

/* clang-format off */
const struct option_row option_rows[] = {
	{ .help = "where to" },
	{ "dir", 'd', SWARM | CHECK, "DIR", take_path, MEMBER(dir),
	  .help = "directory of the download (default: the current one)" },
	{ "state-dir", 0, SWARM | CHECK, "DIR", take_path, MEMBER(state_dir),
	  .help = "directory for the records of what was begun\n"
		  "(default: $XDG_STATE_HOME/bulkhead, or ~/.local/state/bulkhead)" },
	{ "adopt", 0, SWARM, NULL, take_flag, MEMBER(adopt),
	  .help = "take over a NAME.part of which there is no record; it is verified first" },
	{ "check", 0, SWARM, NULL, take_flag, MEMBER(check),
	  .help = "verify all that is there, whatever the record says of it" },
	{ "allocate", 0, FETCH, "HOW", take_allocate, MEMBER(allocate), .initially = ALLOCATE_SPARSE,
	  .help = "none: files grow; sparse: they take space as they are written; full: at the\n"
		  "beginning (default: sparse)" },
	{ "wait-space", 0, FETCH, NULL, take_flag, MEMBER(wait_space),
	  .help = "when the disk is full, wait for space and go on" },
	{ "mode", 0, FETCH, "OCTAL", take_mode,
	  .help = "of the files, such as 640 (default: 644, less the umask)" },
	{ "on-complete", 0, FETCH, "PROGRAM", take_program,
	  .help = "run this program, without a shell, with the path of each download that is complete" },

	{ .help = "which files (get)" },
	{ "list", 'l', COMMAND_GET | COMMAND_SHOW, NULL, take_flag, MEMBER(list),
	  .help = "print number, size and name of each file, and download nothing" },
	{ "select", 's', COMMAND_GET, "LIST", take_select,
	  .help = "only these files: numbers, ranges and patterns, such as 1-3,7,'*.mkv';\n"
		  "may be repeated" },
	{ "priority", 0, COMMAND_GET, "LEVEL:LIST", take_priority,
	  .help = "fetch these earlier or later: high:LIST, low:LIST, normal:LIST; may be repeated" },
	{ "sequential", 0, COMMAND_GET, NULL, take_flag, MEMBER(sequential),
	  .help = "fetch from the beginning to the end" },
	{ "first-last-first", 0, COMMAND_GET, NULL, take_flag, MEMBER(ends_first),
	  .help = "fetch the first and the last MiB of each file before the rest" },

	{ .help = "check" },
	{ "quick", 0, CHECK, NULL, take_flag, MEMBER(quick),
	  .help = "believe the record of what was verified where size, time and inode are as it has them" },
	{ "repair", 0, CHECK, NULL, take_flag, MEMBER(repair),
	  .help = "download what is bad or missing, as get does: options of get may follow" },

	{ .help = "create" },
	{ "output", 'o', CREATE, "FILE", take_path, MEMBER(output),
	  .help = "the torrent to make, - for standard output (default: NAME.torrent)" },
	{ "tracker", 't', CREATE, "URL[,URL]", take_tier,
	  .help = "trackers of one tier; may be repeated for further tiers" },
	{ "web-seed", 'w', CREATE, "URL", take_webseed,
	  .help = "the same bytes by HTTP; may be repeated" },
	{ "piece-length", 'p', CREATE, "SIZE", take_piece_length, MEMBER(piece_length), .least = 16u << 10, .most = 64u << 20,
	  .help = "a power of two from 16k to 64M (default: for at most 2048 pieces, up to 16M)" },
	{ "private", 0, CREATE, NULL, take_flag, MEMBER(is_private),
	  .help = "peers from the trackers only" },
	{ "comment", 'c', CREATE, "TEXT", take_text, MEMBER(comment), .least = 0, .most = 1u << 20,
	  .help = "a comment" },
	{ "source", 0, CREATE, "TEXT", take_text, MEMBER(source_text), .least = 1, .most = 255,
	  .help = "a tag that changes the info-hash" },
	{ "name", 0, CREATE, "NAME", take_name, MEMBER(name),
	  .help = "of the torrent (default: that of PATH)" },
	{ "no-date", 0, CREATE, NULL, take_flag, MEMBER(no_date),
	  .help = "no date of creation" },

	{ .help = "network" },
	{ "peer", 0, SWARM, "ADDRESS:PORT", take_peer,
	  .help = "connect to this peer as well; may be repeated" },
	{ "allow-net", 0, SWARM, "CIDR", take_net,
	  .help = "let private or local addresses of this network be dialled; may be repeated" },
	{ "bind", 0, SWARM, "ADDRESS|INTERFACE", take_bind,
	  .help = "use this source address or interface for every connection" },
	{ "system-dns", 0, SWARM, NULL, take_flag, MEMBER(system_dns),
	  .help = "with --bind INTERFACE: resolve names by the system all the same" },
	{ "ipv4", '4', SWARM, NULL, take_flag, MEMBER(use_ipv6), .initially = true,
	  .help = "IPv4 only" },
	{ "ipv6", '6', SWARM, NULL, take_flag, MEMBER(use_ipv4), .initially = true,
	  .help = "IPv6 only" },
	{ "port", 0, SWARM, "N|N-M", take_port,
	  .help = "let peers connect to this port, or the first that is free, one for each\n"
		  "SOURCE (default: chosen at random from 49152 to 65535)" },
	{ "no-listen", 0, SWARM, NULL, take_flag, MEMBER(listen), .initially = true,
	  .help = "let no peer connect to us" },
	{ "no-trackers", 0, SWARM, NULL, take_flag, MEMBER(trackers), .initially = true,
	  .help = "announce to no tracker" },
	{ "ca-file", 0, SWARM, "FILE", take_path, MEMBER(ca_file),
	  .help = "certificate authorities for https (default: those of the system)" },
	{ "anonymous", 0, SWARM | CREATE, NULL, take_flag, MEMBER(anonymous),
	  .help = "name no client to peers and trackers (create: in the torrent, nor a date)" },

	{ .help = "giving back (seed goes on until one of these, or the user, ends it; get goes on only with one of them)" },
	{ "seed-ratio", 0, SWARM, "R", take_seed_ratio,
	  .help = "until R times the size was given, such as 1.5; 0: whatever the ratio" },
	{ "seed-time", 0, SWARM, "TIME", take_seed_time, MEMBER(seed.time_s),
	  .help = "for so long after all is there" },
	{ "idle-time", 0, SWARM, "TIME", take_seed_time, MEMBER(seed.idle_s),
	  .help = "until nothing was given for so long" },
	{ "super-seed", 0, SWARM, NULL, take_flag, MEMBER(super_seed),
	  .help = "tell each peer of few pieces at a time (for a first seed)" },

	{ .help = "limits" },
	{ "max-peers", 0, SWARM, "N", take_number, MEMBER(max_peers), .initially = 200, .least = 1, .most = 4096,
	  .help = "connected peers (default: 200)" },
	{ "memory", 0, SWARM, "SIZE", take_size, MEMBER(memory_bytes), .initially = 64u << 20, .least = 1u << 20, .most = 64ull << 30,
	  .help = "memory for pieces that are not complete (default: 64M)" },
	{ "max-up", 0, SWARM, "RATE", take_rate, MEMBER(max_up),
	  .help = "bytes a second that are given (default: 0, no limit)" },
	{ "max-down", 0, SWARM, "RATE", take_rate, MEMBER(max_down),
	  .help = "bytes a second that are taken (default: 0, no limit)" },
	{ "max-uploads", 0, SWARM, "N", take_number, MEMBER(max_uploads), .least = 0, .most = 4096,
	  .help = "peers that are given to at once (default: 0, by what the line carries)" },
	{ "timeout", 0, SWARM, "SECONDS", take_seconds, MEMBER(timeout_s), .least = 0, .most = 31536000,
	  .help = "give up with status 5 when nothing arrives for so long (default: 0, never)" },
	{ "threads", 0, WORK, "N", take_number, MEMBER(threads), .least = 1, .most = POOL_MAX_THREADS,
	  .help = "hashing threads (default: one for each CPU, at most 4; check, create: 16)" },
	{ "max-torrent-size", 0, ALL, "SIZE", take_size, MEMBER(max_torrent_bytes), .initially = 96u << 20, .least = 1024, .most = METAINFO_MAX_BYTES,
	  .help = "refuse a larger .torrent (default: 96M)" },
	{ "max-files", 0, ALL, "N", take_number, MEMBER(max_files), .initially = 200000, .least = 1, .most = METAINFO_MAX_FILES,
	  .help = "refuse a torrent of more files (default: 200000)" },
	{ "max-pieces", 0, ALL, "N", take_number, MEMBER(max_pieces), .initially = 4000000, .least = 1, .most = METAINFO_MAX_PIECES,
	  .help = "refuse a torrent of more pieces (default: 4000000)" },

	{ .help = "output" },
	{ "quiet", 'q', ALL, NULL, take_flag, MEMBER(quiet),
	  .help = "print errors only" },
	{ "verbose", 'v', ALL, NULL, take_verbose,
	  .help = "print what happens; twice for more" },
	{ "json", 0, ALL, NULL, take_flag, MEMBER(json),
	  .help = "JSON: one document (show), one line for each event (all others)" },
	{ "no-progress", 0, WORK, NULL, take_flag, MEMBER(progress), .initially = true,
	  .help = "no progress line" },

	{ .help = "others" },
	{ "allow-weak", 0, ALL, NULL, take_flag, MEMBER(allow_weak),
	  .help = "go on although a required wall is missing (dangerous)" },
	{ "help", 'h', ALL, NULL, take_command,
	  .help = "this text" },
	{ "version", 0, ALL, NULL, take_command,
	  .help = "the version" },
};
/* clang-format on */
const size_t option_row_count = ARRAY_LEN(option_rows);
