/*
 * options.c - the command line: one table of options, one function for each kind of value.
 *
 * Runs first of all, as the user, on the user's own words.  A value is taken
 * whole or refused: numbers have no sign, no blanks and no rest.
 */
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <stdarg.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "metainfo.h"
#include "pool.h"

/*
 * The range without --port: somewhere in IANA's dynamic ports (RFC 6335), so that
 * neither the number nor its return says who this is; some, since a few may be taken.
 */
#define PORT_LEAST 49152u
#define PORT_MOST 65535u
#define PORTS_TRIED 64u

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

enum option_id {
	OPT_ADOPT = 256,
	OPT_ALLOW_NET,
	OPT_ALLOW_WEAK,
	OPT_ANONYMOUS,
	OPT_BIND,
	OPT_CA_FILE,
	OPT_CHECK,
	OPT_IDLE_TIME,
	OPT_JSON,
	OPT_MAX_DOWN,
	OPT_MAX_FILES,
	OPT_MAX_PEERS,
	OPT_MAX_PIECES,
	OPT_MAX_TORRENT_SIZE,
	OPT_MAX_UP,
	OPT_MAX_UPLOADS,
	OPT_MEMORY,
	OPT_NAME,
	OPT_NO_DATE,
	OPT_NO_LISTEN,
	OPT_NO_PROGRESS,
	OPT_NO_TRACKERS,
	OPT_PEER,
	OPT_PORT,
	OPT_PRIVATE,
	OPT_SEED_RATIO,
	OPT_SEED_TIME,
	OPT_SOURCE,
	OPT_STATE_DIR,
	OPT_SUPER_SEED,
	OPT_SYSTEM_DNS,
	OPT_THREADS,
	OPT_TIMEOUT,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{ "adopt", no_argument, NULL, OPT_ADOPT },
	{ "allow-net", required_argument, NULL, OPT_ALLOW_NET },
	{ "allow-weak", no_argument, NULL, OPT_ALLOW_WEAK },
	{ "anonymous", no_argument, NULL, OPT_ANONYMOUS },
	{ "bind", required_argument, NULL, OPT_BIND },
	{ "ca-file", required_argument, NULL, OPT_CA_FILE },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "comment", required_argument, NULL, 'c' },
	{ "dir", required_argument, NULL, 'd' },
	{ "help", no_argument, NULL, 'h' },
	{ "idle-time", required_argument, NULL, OPT_IDLE_TIME },
	{ "ipv4", no_argument, NULL, '4' },
	{ "ipv6", no_argument, NULL, '6' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "max-down", required_argument, NULL, OPT_MAX_DOWN },
	{ "max-files", required_argument, NULL, OPT_MAX_FILES },
	{ "max-peers", required_argument, NULL, OPT_MAX_PEERS },
	{ "max-pieces", required_argument, NULL, OPT_MAX_PIECES },
	{ "max-torrent-size", required_argument, NULL, OPT_MAX_TORRENT_SIZE },
	{ "max-up", required_argument, NULL, OPT_MAX_UP },
	{ "max-uploads", required_argument, NULL, OPT_MAX_UPLOADS },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "no-date", no_argument, NULL, OPT_NO_DATE },
	{ "no-listen", no_argument, NULL, OPT_NO_LISTEN },
	{ "no-progress", no_argument, NULL, OPT_NO_PROGRESS },
	{ "no-trackers", no_argument, NULL, OPT_NO_TRACKERS },
	{ "output", required_argument, NULL, 'o' },
	{ "peer", required_argument, NULL, OPT_PEER },
	{ "piece-length", required_argument, NULL, 'p' },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "private", no_argument, NULL, OPT_PRIVATE },
	{ "quiet", no_argument, NULL, 'q' },
	{ "seed-ratio", required_argument, NULL, OPT_SEED_RATIO },
	{ "seed-time", required_argument, NULL, OPT_SEED_TIME },
	{ "source", required_argument, NULL, OPT_SOURCE },
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	{ "super-seed", no_argument, NULL, OPT_SUPER_SEED },
	{ "system-dns", no_argument, NULL, OPT_SYSTEM_DNS },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "tracker", required_argument, NULL, 't' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "web-seed", required_argument, NULL, 'w' },
	{ NULL, 0, NULL, 0 },
};

static const struct {
	enum command command;
	const char *name;
} commands[] = { { COMMAND_GET, "get" }, { COMMAND_SEED, "seed" }, { COMMAND_SHOW, "show" }, { COMMAND_CREATE, "create" } };

/* The commands that take an option: bits of enum command. */
static unsigned commands_of(int id)
{
	switch (id) {
	case OPT_ALLOW_WEAK:
	case OPT_JSON:
	case OPT_MAX_FILES:
	case OPT_MAX_PIECES:
	case OPT_MAX_TORRENT_SIZE:
	case 'q':
	case 'v':
		return COMMAND_GET | COMMAND_SEED | COMMAND_SHOW | COMMAND_CREATE;
	case OPT_ANONYMOUS:
	case OPT_NO_PROGRESS:
	case OPT_THREADS:
		return COMMAND_GET | COMMAND_SEED | COMMAND_CREATE;
	case OPT_NAME:
	case OPT_NO_DATE:
	case OPT_PRIVATE:
	case OPT_SOURCE:
	case 'c':
	case 'o':
	case 'p':
	case 't':
	case 'w':
		return COMMAND_CREATE;
	default:
		return COMMAND_GET | COMMAND_SEED;
	}
}

static const char help[] =
	"usage: bulkhead [get] [options] SOURCE...\n"
	"       bulkhead seed [options] SOURCE...\n"
	"       bulkhead show [--json] SOURCE\n"
	"       bulkhead create [options] PATH\n"
	"\n"
	"SOURCE is a .torrent file, a magnet link (show only), or - for either of them on standard input.\n"
	"\n"
	"get downloads to DIR/NAME.part, checks every piece, and renames it to DIR/NAME when all is there.\n"
	"seed verifies a finished DIR/NAME, and gives it to others; nothing is written.\n"
	"show prints what a torrent or magnet link holds, and downloads nothing.\n"
	"create makes the torrent NAME.torrent of the file or directory PATH.\n"
	"\n"
	"where to\n"
	"  -d, --dir DIR             directory of the download (default: the current one)\n"
	"      --state-dir DIR       directory for the records of what was begun\n"
	"                            (default: $XDG_STATE_HOME/bulkhead, or ~/.local/state/bulkhead)\n"
	"      --adopt               take over a NAME.part of which there is no record; it is verified first\n"
	"      --check               verify all that is there, whatever the record says of it\n"
	"\n"
	"create\n"
	"  -o, --output FILE         the torrent to make, - for standard output (default: NAME.torrent)\n"
	"  -t, --tracker URL[,URL]   trackers of one tier; may be repeated for further tiers\n"
	"  -w, --web-seed URL        the same bytes by HTTP; may be repeated\n"
	"  -p, --piece-length SIZE   a power of two from 16k to 64M (default: for at most 2048 pieces, up to 16M)\n"
	"      --private             peers from the trackers only\n"
	"  -c, --comment TEXT        a comment\n"
	"      --source TEXT         a tag that changes the info-hash\n"
	"      --name NAME           of the torrent (default: that of PATH)\n"
	"      --no-date             no date of creation\n"
	"\n"
	"network\n"
	"      --peer ADDRESS:PORT   connect to this peer as well; may be repeated\n"
	"      --allow-net CIDR      let private or local addresses of this network be dialled; may be repeated\n"
	"      --bind ADDRESS|INTERFACE\n"
	"                            use this source address or interface for every connection\n"
	"      --system-dns          with --bind INTERFACE: resolve names by the system all the same\n"
	"  -4, --ipv4                IPv4 only\n"
	"  -6, --ipv6                IPv6 only\n"
	"      --port N|N-M          let peers connect to this port, or the first that is free, one for each\n"
	"                            SOURCE (default: chosen at random from 49152 to 65535)\n"
	"      --no-listen           let no peer connect to us\n"
	"      --no-trackers         announce to no tracker\n"
	"      --ca-file FILE        certificate authorities for https (default: those of the system)\n"
	"      --anonymous           name no client to peers and trackers (create: in the torrent, nor a date)\n"
	"\n"
	"giving back (seed goes on until one of these, or the user, ends it; get goes on only with one of them)\n"
	"      --seed-ratio R        until R times the size was given, such as 1.5; 0: whatever the ratio\n"
	"      --seed-time TIME      for so long after all is there\n"
	"      --idle-time TIME      until nothing was given for so long\n"
	"      --super-seed          tell each peer of few pieces at a time (for a first seed)\n"
	"\n"
	"limits\n"
	"      --max-peers N         connected peers (default: 200)\n"
	"      --memory SIZE         memory for pieces that are not complete (default: 64M)\n"
	"      --max-up RATE, --max-down RATE\n"
	"                            bytes a second (default: 0, no limit)\n"
	"      --max-uploads N       peers that are given to at once (default: 0, by what the line carries)\n"
	"      --timeout SECONDS     give up with status 5 when nothing arrives for so long (default: 0, never)\n"
	"      --threads N           hashing threads (default: one for each CPU, at most 4; create: 16)\n"
	"      --max-torrent-size SIZE, --max-files N, --max-pieces N\n"
	"                            refuse larger torrents (default: 96M, 200000, 4000000)\n"
	"\n"
	"output\n"
	"  -q, --quiet               print errors only\n"
	"  -v, --verbose             print what happens; twice for more\n"
	"      --json                JSON: one document (show), one line for each event (get, seed, create)\n"
	"      --no-progress         no progress line\n"
	"\n"
	"      --allow-weak          go on although a required wall is missing (dangerous)\n"
	"  -h, --help                this text\n"
	"      --version             the version\n"
	"\n"
	"SIZE and RATE take the suffixes k, M and G; TIME is minutes, or a number with s, m, h or d.\n"
	"Exit status: 0 complete or seeded, 1 failed, 2 usage, 3 torrent refused, 4 storage, 5 no progress,\n"
	"6 a required wall is missing, 7 a compartment kept dying, 130 interrupted before all was there.\n"
	"See bulkhead(1).\n";

const char *options_help(void)
{
	return help;
}

int options_worst_status(int a, int b)
{
	static const int order[] = { STATUS_DIED, STATUS_NO_WALL, STATUS_STORAGE, STATUS_REFUSED, STATUS_FAILED, STATUS_NO_PROGRESS, STATUS_INTERRUPTED };
	size_t i;

	for (i = 0; i < ARRAY_LEN(order); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return STATUS_COMPLETE;
}

/* Digits only, up to `most`; *rest is what follows them. */
static bool digits(const char *text, uint64_t most, uint64_t *out, const char **rest)
{
	uint64_t v = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		unsigned d = (unsigned)(*p - '0');

		if (v > (most - min_u64(d, most)) / 10)
			return false;
		v = v * 10 + d;
	}
	if (p == text || v > most)
		return false;
	*out = v;
	*rest = p;
	return true;
}

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	const char *rest;

	return digits(text, most, out, &rest) && !*rest && *out >= least;
}

bool options_size(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	uint64_t v, unit = 1;
	const char *rest;

	if (!digits(text, UINT64_MAX / 2, &v, &rest))
		return false;
	if (*rest == 'k' || *rest == 'K')
		unit = 1024;
	else if (*rest == 'M')
		unit = 1024 * 1024;
	else if (*rest == 'G')
		unit = 1024 * 1024 * 1024;
	if (unit > 1)
		rest++;
	if (*rest || v > most / unit || v * unit < least)
		return false;
	*out = v * unit;
	return true;
}

bool options_time(const char *text, uint32_t *out)
{
	static const struct {
		const char *suffix;
		uint32_t seconds;
	} units[] = { { "", 60 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
	const uint32_t most = 365u * 86400u;
	const char *rest;
	uint64_t v;
	size_t i;

	if (!digits(text, most, &v, &rest))
		return false;
	for (i = 0; i < ARRAY_LEN(units) && strcmp(rest, units[i].suffix) != 0; i++)
		;
	if (i == ARRAY_LEN(units) || v == 0 || v > most / units[i].seconds)
		return false;
	*out = (uint32_t)v * units[i].seconds;
	return true;
}

bool options_ratio(const char *text, uint32_t *out)
{
	const uint32_t most = 1000;
	uint64_t whole, part = 0;
	const char *rest;
	size_t n;

	if (!digits(text, most, &whole, &rest))
		return false;
	if (*rest == '.') {
		n = strlen(rest + 1);
		if (n > 3 || !number(rest + 1, 0, 999, &part))
			return false;
		for (; n < 3; n++)
			part *= 10;
	} else if (*rest) {
		return false;
	}
	if (whole * 1000 + part > most * 1000)
		return false;
	*out = (uint32_t)(whole * 1000 + part);
	return true;
}

/* The text of an address without port or brackets. */
static bool parse_ip(const char *text, struct net_addr *out)
{
	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, text, out->ip) == 1)
		out->family = 4;
	else if (inet_pton(AF_INET6, text, out->ip) == 1)
		out->family = 6;
	return out->family != 0;
}

/* "192.0.2.1:80", "[2001:db8::1]:80": numbers only, port 1..65535. */
static bool parse_addr_port(const char *text, struct net_addr *out)
{
	char ip[INET6_ADDRSTRLEN + 1];
	bool brackets = text[0] == '[';
	const char *end = strrchr(text, ':'), *begin = text + brackets;
	uint64_t port;
	size_t n;

	if (!end || end <= begin || (brackets && end[-1] != ']'))
		return false;
	n = (size_t)(end - begin) - brackets;
	if (n == 0 || n >= sizeof ip)
		return false;
	memcpy(ip, begin, n);
	ip[n] = 0;
	if (!parse_ip(ip, out) || (out->family == 6) != brackets || !number(end + 1, 1, 65535, &port))
		return false;
	out->port = (uint16_t)port;
	return true;
}

/* "10.0.0.0/8", "fd00::/8", or one address; bits after the prefix are cleared. */
static bool parse_cidr(const char *text, struct msg_allow_net *out)
{
	char ip[INET6_ADDRSTRLEN + 1];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text), i;
	uint64_t bits;
	unsigned most;

	if (n == 0 || n >= sizeof ip)
		return false;
	memcpy(ip, text, n);
	ip[n] = 0;
	memset(out, 0, sizeof *out);
	if (!parse_ip(ip, &out->prefix))
		return false;
	most = out->prefix.family == 4 ? 32 : 128;
	bits = most;
	if (slash && !number(slash + 1, 0, most, &bits))
		return false;
	out->bits = (uint32_t)bits;
	for (i = 0; i < most / 8; i++) {
		uint64_t kept = bits > i * 8 ? bits - i * 8 : 0;

		if (kept < 8)
			out->prefix.ip[i] = (uint8_t)(out->prefix.ip[i] & ~(0xffu >> kept));
	}
	return true;
}

/* What one run of options_parse() works on. */
struct parse {
	struct options *o;
	char *error;
	size_t room;
	bool bad;
	int refused[ARRAY_LEN(commands)]; /* the first option that the command does not take; 0: none */
};

static bool PRINTF_LIKE(2, 3) refuse(struct parse *p, const char *fmt, ...)
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

/* The long name of an option. */
static const char *name_of(int id)
{
	const struct option *o;

	for (o = long_options; o->name; o++)
		if (o->val == id)
			return o->name;
	return "?";
}

static bool refuse_value(struct parse *p, int id, const char *value, const char *what)
{
	char quoted[200];

	log_quote(quoted, sizeof quoted, value, strlen(value));
	return refuse(p, "--%s: '%s' is not %s", name_of(id), quoted, what);
}

static bool take_u32(struct parse *p, int id, const char *value, uint32_t least, uint32_t most, uint32_t *out)
{
	char what[80];
	uint64_t v;

	if (number(value, least, most, &v)) {
		*out = (uint32_t)v;
		return true;
	}
	snprintf(what, sizeof what, "a number from %u to %u", least, most);
	return refuse_value(p, id, value, what);
}

static bool take_rate(struct parse *p, int id, const char *value, uint64_t *out)
{
	/* A block is 16 KiB: below 1k each would take longer than anyone waits. */
	return number(value, 0, 0, out) || options_size(value, 1024, 64ull << 30, out) ||
	       refuse_value(p, id, value, "a rate from 1k to 64G, or 0 for no limit");
}

/* Each of these says that seeding is wanted. */
static bool take_seeding(struct parse *p, int id, const char *value)
{
	struct seeding_rule *r = &p->o->seed;

	r->wanted = true;
	if (id == OPT_SEED_RATIO)
		return options_ratio(value, &r->ratio_milli) || refuse_value(p, id, value, "a number from 0 to 1000, such as 1.5");
	return options_time(value, id == OPT_SEED_TIME ? &r->time_s : &r->idle_s) ||
	       refuse_value(p, id, value, "a time such as 30 (minutes), 90s, 2h or 7d");
}

static bool take_bind(struct parse *p, const char *value)
{
	struct options *o = p->o;
	struct net_addr a;
	size_t n = strlen(value);

	if (parse_ip(value, &a)) {
		struct net_addr *slot = a.family == 4 ? &o->bind4 : &o->bind6;

		if (slot->family)
			return refuse(p, "--bind: more than one IPv%u address", a.family);
		*slot = a;
		return true;
	}
	if (n == 0 || n >= sizeof o->bind_interface || !if_nametoindex(value))
		return refuse_value(p, OPT_BIND, value, "an address, nor an interface of this machine");
	if (o->bind_interface[0])
		return refuse(p, "--bind: more than one interface");
	memcpy(o->bind_interface, value, n + 1);
	return true;
}

static bool take_peer(struct parse *p, const char *value)
{
	struct options *o = p->o;

	if (o->peer_count >= ARRAY_LEN(o->peers))
		return refuse(p, "--peer: more than %u of them", OPTIONS_MAX_PEERS);
	if (!parse_addr_port(value, &o->peers[o->peer_count]))
		return refuse_value(p, OPT_PEER, value, "an address and port, such as 192.0.2.1:6881 or [2001:db8::1]:6881");
	o->peer_count++;
	return true;
}

static bool take_net(struct parse *p, const char *value)
{
	struct options *o = p->o;

	if (o->net_count >= ARRAY_LEN(o->nets))
		return refuse(p, "--allow-net: more than %u of them", COMPARTMENT_MAX_NETS);
	if (!parse_cidr(value, &o->nets[o->net_count]))
		return refuse_value(p, OPT_ALLOW_NET, value, "a network such as 10.0.0.0/8");
	o->net_count++;
	return true;
}

/* "6881", "6881-6999": a port or a range of them. */
static bool take_port(struct parse *p, const char *value)
{
	struct options *o = p->o;
	uint64_t first, last;
	const char *rest;

	if (!digits(value, 65535, &first, &rest) || !first)
		return refuse_value(p, OPT_PORT, value, "a port from 1 to 65535, or a range such as 6881-6999");
	last = first;
	if (*rest && (*rest != '-' || !number(rest + 1, first, 65535, &last)))
		return refuse_value(p, OPT_PORT, value, "a port from 1 to 65535, or a range such as 6881-6999");
	o->port_first = (uint16_t)first;
	o->port_last = (uint16_t)last;
	o->port_given = true;
	return true;
}

/* Whether it begins with one of the schemes, and goes on in printable ASCII without blanks. */
static bool is_url(const char *url, size_t length, const char *const *schemes)
{
	size_t i, n = 0;

	for (i = 0; i < length; i++)
		if (url[i] < 0x21 || url[i] > 0x7e)
			return false;
	for (; *schemes; schemes++) {
		n = strlen(*schemes);
		if (length > n && !strncasecmp(url, *schemes, n))
			return length <= METAINFO_MAX_URL;
	}
	return false;
}

size_t options_next_url(const char **list, const char **url)
{
	size_t length = strcspn(*list, ",");

	*url = *list;
	*list += length + ((*list)[length] == ',');
	return length;
}

static bool take_tier(struct parse *p, const char *value)
{
	static const char *const schemes[] = { "http://", "https://", "udp://", "ws://", "wss://", NULL };
	struct options *o = p->o;
	const char *list = value, *url;
	size_t n;

	if (o->tier_count >= ARRAY_LEN(o->tiers))
		return refuse(p, "--tracker: more than %u of them", OPTIONS_MAX_URLS);
	do {
		n = options_next_url(&list, &url);
		if (!is_url(url, n, schemes))
			return refuse_value(p, 't', value, "a URL, such as https://host/announce or udp://host:80, or several with commas between");
	} while (*list);
	o->tiers[o->tier_count++] = value;
	return true;
}

static bool take_webseed(struct parse *p, const char *value)
{
	static const char *const schemes[] = { "http://", "https://", NULL };
	struct options *o = p->o;

	if (o->webseed_count >= ARRAY_LEN(o->webseeds))
		return refuse(p, "--web-seed: more than %u of them", OPTIONS_MAX_URLS);
	if (!is_url(value, strlen(value), schemes))
		return refuse_value(p, 'w', value, "a URL, such as https://host/directory/");
	o->webseeds[o->webseed_count++] = value;
	return true;
}

static bool is_utf8(const char *text)
{
	const uint8_t *at = (const uint8_t *)text;
	size_t left = strlen(text), n;
	uint32_t rune;

	for (; left; at += n, left -= n) {
		n = metainfo_utf8(at, left, &rune);
		if (!n)
			return false;
	}
	return true;
}

bool options_is_name(const char *name)
{
	size_t n = strlen(name);

	return n && n <= METAINFO_MAX_NAME && strcmp(name, ".") && strcmp(name, "..") && !strchr(name, '/') && is_utf8(name);
}

/* Options with a value, of `create` only. */
static bool take_create_value(struct parse *p, int id, const char *value)
{
	struct options *o = p->o;
	uint64_t v;

	switch (id) {
	case 'c':
		if (!is_utf8(value))
			return refuse_value(p, id, value, "UTF-8");
		o->comment = value;
		return true;
	case 'o':
		if (!*value)
			return refuse(p, "--output: the name of the file is empty");
		o->output = value;
		return true;
	case 'p':
		if (!options_size(value, 16u << 10, 64u << 20, &v) || v & (v - 1))
			return refuse_value(p, id, value, "a power of two from 16k to 64M");
		o->piece_length = v;
		return true;
	case 't':
		return take_tier(p, value);
	case 'w':
		return take_webseed(p, value);
	case OPT_NAME:
		if (!options_is_name(value))
			return refuse_value(p, id, value, "a name: 1 to 255 bytes of UTF-8 without '/'");
		o->name = value;
		return true;
	case OPT_SOURCE:
		if (!*value || strlen(value) > 255 || !is_utf8(value))
			return refuse_value(p, id, value, "a text of 1 to 255 bytes of UTF-8");
		o->source_text = value;
		return true;
	}
	bug("option %d has no meaning", id);
}

/* Options with a value. */
static bool take_value(struct parse *p, int id, const char *value)
{
	uint64_t v;
	struct options *o = p->o;

	switch (id) {
	case 'd':
		if (!*value)
			return refuse(p, "--dir: the name of the directory is empty");
		o->dir = value;
		return true;
	case OPT_ALLOW_NET:
		return take_net(p, value);
	case OPT_BIND:
		return take_bind(p, value);
	case OPT_CA_FILE:
		o->ca_file = value;
		return true;
	case OPT_IDLE_TIME:
	case OPT_SEED_RATIO:
	case OPT_SEED_TIME:
		return take_seeding(p, id, value);
	case OPT_MAX_DOWN:
		return take_rate(p, id, value, &o->max_down);
	case OPT_MAX_UP:
		return take_rate(p, id, value, &o->max_up);
	case OPT_MAX_UPLOADS:
		return take_u32(p, id, value, 0, 4096, &o->max_uploads);
	case OPT_MAX_FILES:
		return take_u32(p, id, value, 1, METAINFO_MAX_FILES, &o->max_files);
	case OPT_MAX_PEERS:
		return take_u32(p, id, value, 1, 4096, &o->max_peers);
	case OPT_MAX_PIECES:
		return take_u32(p, id, value, 1, METAINFO_MAX_PIECES, &o->max_pieces);
	case OPT_MAX_TORRENT_SIZE:
		if (!options_size(value, 1024, METAINFO_MAX_BYTES, &o->max_torrent_bytes))
			return refuse_value(p, id, value, "a size from 1k to 1G");
		return true;
	case OPT_MEMORY:
		if (!options_size(value, 1u << 20, 64ull << 30, &o->memory_bytes))
			return refuse_value(p, id, value, "a size from 1M to 64G");
		return true;
	case OPT_PEER:
		return take_peer(p, value);
	case OPT_PORT:
		return take_port(p, value);
	case OPT_STATE_DIR:
		if (!*value)
			return refuse(p, "--state-dir: the name of the directory is empty");
		o->state_dir = value;
		return true;
	case OPT_THREADS:
		return take_u32(p, id, value, 1, 16, &o->threads);
	case OPT_TIMEOUT:
		if (!number(value, 0, 31536000, &v))
			return refuse_value(p, id, value, "a number of seconds from 0 to 31536000");
		o->timeout_s = (uint32_t)v;
		return true;
	}
	return take_create_value(p, id, value);
}

/* Options without one. */
static void take_flag(struct options *o, int id)
{
	switch (id) {
	case '4':
		o->use_ipv6 = false;
		return;
	case '6':
		o->use_ipv4 = false;
		return;
	case 'q':
		o->quiet = true;
		return;
	case 'v':
		o->verbose = min_u32(o->verbose + 1, 2);
		return;
	case OPT_ADOPT:
		o->adopt = true;
		return;
	case OPT_ALLOW_WEAK:
		o->allow_weak = true;
		return;
	case OPT_ANONYMOUS:
		o->anonymous = true;
		return;
	case OPT_CHECK:
		o->check = true;
		return;
	case OPT_JSON:
		o->json = true;
		return;
	case OPT_NO_DATE:
		o->no_date = true;
		return;
	case OPT_NO_LISTEN:
		o->listen = false;
		return;
	case OPT_NO_PROGRESS:
		o->progress = false;
		return;
	case OPT_NO_TRACKERS:
		o->trackers = false;
		return;
	case OPT_PRIVATE:
		o->is_private = true;
		return;
	case OPT_SUPER_SEED:
		o->super_seed = true;
		return;
	case OPT_SYSTEM_DNS:
		o->system_dns = true;
		return;
	}
	bug("flag %d has no meaning", id);
}

static bool takes_value(int id)
{
	const struct option *o;

	for (o = long_options; o->name; o++)
		if (o->val == id)
			return o->has_arg == required_argument;
	return false;
}

/* getopt found something that is no option, or lacks its value. */
static bool refuse_option(struct parse *p, int c, const char *word)
{
	char quoted[200];

	if (c == ':' && optopt >= 'A')
		return refuse(p, "--%s: needs a value", name_of(optopt));
	if (optopt && optopt < 256)
		snprintf(quoted, sizeof quoted, "-%c", optopt >= 0x21 && optopt < 0x7f ? optopt : '?');
	else
		log_quote(quoted, sizeof quoted, word, strlen(word));
	if (optopt >= 256)
		return refuse(p, "--%s: takes no value", name_of(optopt));
	return refuse(p, "unknown option '%s'; see bulkhead --help", quoted);
}

/* A peer that could never be dialled. */
static bool check_peers(struct parse *p)
{
	const struct options *o = p->o;
	char text[64];
	uint32_t i;

	for (i = 0; i < o->peer_count; i++)
		if (o->peers[i].family == 4 ? !o->use_ipv4 : !o->use_ipv6)
			return refuse(p, "--peer: '%s' cannot be dialled with %s", net_addr_text(text, sizeof text, &o->peers[i]),
				      o->use_ipv4 ? "-4" : "-6");
	return true;
}

static void defaults(struct options *o)
{
	uint32_t chance;

	memset(o, 0, sizeof *o);
	random_bytes(&chance, sizeof chance);
	o->command = COMMAND_GET;
	o->dir = ".";
	o->use_ipv4 = o->use_ipv6 = true;
	o->listen = true;
	o->port_first = (uint16_t)(PORT_LEAST + chance % (PORT_MOST - PORT_LEAST + 2 - PORTS_TRIED));
	o->port_last = (uint16_t)(o->port_first + PORTS_TRIED - 1);
	o->max_peers = 200;
	o->memory_bytes = 64u << 20;
	o->trackers = true;
	o->max_torrent_bytes = 96u << 20;
	o->max_files = 200000;
	o->max_pieces = 4000000;
	o->progress = true;
	o->date = -1;
}

/* The words that are no options: perhaps a command, then SOURCEs. */
static bool take_words(struct parse *p, int count, char **words)
{
	static const char *const reserved[] = { "check", "audit", "help", "version" };
	struct options *o = p->o;
	bool named = false;
	size_t i;

	for (i = 0; count && !named && i < ARRAY_LEN(commands); i++)
		if (!strcmp(words[0], commands[i].name)) {
			o->command = commands[i].command;
			named = true;
		}
	if (o->command == COMMAND_SEED)
		o->seed.wanted = true;
	for (i = 0; count && i < ARRAY_LEN(reserved); i++)
		if (!strcmp(words[0], reserved[i]))
			return refuse(p, "unknown command '%s'; see bulkhead --help; for a file of that name say ./%s", reserved[i], reserved[i]);
	if (named) {
		words++;
		count--;
	}
	if (!count)
		return refuse(p, "no %s is given; see bulkhead --help", o->command == COMMAND_CREATE ? "PATH" : "SOURCE");
	if (o->command == COMMAND_CREATE && count > 1)
		return refuse(p, "create takes one PATH");
	if (o->command == COMMAND_SHOW && count > 1)
		return refuse(p, "show takes one SOURCE");
	if (count > (int)OPTIONS_MAX_SOURCES)
		return refuse(p, "more than %u SOURCEs", OPTIONS_MAX_SOURCES);
	for (i = 0; i < (size_t)count; i++) {
		size_t k;

		if (!*words[i])
			return refuse(p, "a %s is empty", o->command == COMMAND_CREATE ? "PATH" : "SOURCE");
		for (k = 0; k < i; k++)
			if (!strcmp(words[i], "-") && !strcmp(words[k], "-"))
				return refuse(p, "standard input is named twice");
		o->sources[o->source_count++] = words[i];
	}
	for (i = 0; i < ARRAY_LEN(commands); i++)
		if (o->command == commands[i].command && p->refused[i])
			return refuse(p, "--%s is not an option of %s", name_of(p->refused[i]), commands[i].name);
	if (o->super_seed && !o->seed.wanted)
		return refuse(p, "--super-seed goes with seed, or with get and --seed-ratio, --seed-time or --idle-time");
	return true;
}

/* The date of creation: SOURCE_DATE_EPOCH (reproducible-builds.org) or now. */
static bool choose_date(struct parse *p)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	char quoted[200];
	uint64_t v;

	if (p->o->no_date || p->o->anonymous)
		return true;
	if (!epoch || !*epoch) {
		p->o->date = (int64_t)time(NULL);
		return true;
	}
	if (!number(epoch, 0, INT64_MAX, &v))
		return refuse(p, "SOURCE_DATE_EPOCH: '%s' is not a number of seconds",
			      log_quote(quoted, sizeof quoted, epoch, strlen(epoch)));
	p->o->date = (int64_t)v;
	return true;
}

/* What `create` wants beside its options one by one. */
static bool finish_create(struct parse *p)
{
	const struct options *o = p->o;

	if (o->output && !strcmp(o->output, "-") && o->json)
		return refuse(p, "--json and --output - both want standard output");
	if (o->output && !strcmp(o->output, "-") && isatty(1))
		return refuse(p, "--output -: a torrent is not for a terminal");
	return choose_date(p);
}

static uint32_t default_threads(const struct options *o)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), most = o->command == COMMAND_CREATE ? (long)POOL_MAX_THREADS : 4;

	return cpus < 1 ? 1 : (uint32_t)(cpus < most ? cpus : most);
}

int options_parse(struct options *o, int argc, char **argv, char *error, size_t room)
{
	struct parse p = { .o = o, .error = error, .room = room };

	defaults(o);
	error[0] = 0;
	opterr = 0;
	optind = 0; /* starts anew, whatever was parsed before */
	while (!p.bad) {
		int c = getopt_long(argc, argv, ":c:d:ho:p:t:w:46qv", long_options, NULL);
		size_t i;

		if (c == -1)
			break;
		if (c == 'h' || c == OPT_VERSION) {
			o->command = c == 'h' ? COMMAND_HELP : COMMAND_VERSION;
			return 0;
		}
		if (c == '?' || c == ':') {
			(void)refuse_option(&p, c, argv[optind - 1]);
			break;
		}
		for (i = 0; i < ARRAY_LEN(commands); i++)
			if (!(commands_of(c) & commands[i].command) && !p.refused[i])
				p.refused[i] = c;
		if (takes_value(c))
			(void)take_value(&p, c, optarg);
		else
			take_flag(o, c);
	}
	if (!p.bad)
		(void)take_words(&p, argc - optind, argv + optind);
	if (!p.bad && !o->use_ipv4 && !o->use_ipv6)
		(void)refuse(&p, "-4 and -6 exclude each other");
	if (!p.bad && o->listen && (uint32_t)(o->port_last - o->port_first) + 1 < o->source_count)
		(void)refuse(&p, "--port: %u SOURCEs need a port each", o->source_count);
	if (!p.bad)
		(void)check_peers(&p);
	if (!p.bad && o->system_dns && !o->bind_interface[0])
		(void)refuse(&p, "--system-dns goes with --bind INTERFACE");
	if (!p.bad && o->command == COMMAND_CREATE)
		(void)finish_create(&p);
	if (!o->threads)
		o->threads = default_threads(o);
	if (!p.bad && !o->ca_file && access(SYSTEM_CA, R_OK) == 0)
		o->ca_file = SYSTEM_CA;
	return p.bad ? STATUS_USAGE : 0;
}
