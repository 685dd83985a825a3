/*
 * options.c - the command line: options by their table, then the command and its SOURCEs, then what must go together.
 *
 * Runs first of all, as the user, on the user's own words.
 */
#include "options.h"

#include <getopt.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "option_table.h"
#include "pool.h"
#include "values.h"

/*
 * The range without --port: somewhere in IANA's dynamic ports (RFC 6335), so that
 * neither the number nor its return says who this is; some, since a few may be taken.
 */
#define PORT_LEAST 49152u
#define PORT_MOST 65535u
#define PORTS_TRIED 64u

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

/* What getopt returns of a long option: this, and the index of its row.  A letter is below. */
#define LONG 256

/* Commands that are options. */
#define NO_SOURCE (COMMAND_HELP | COMMAND_VERSION)

#define ROWS_MAX 128u

static const struct {
	unsigned command; /* enum command; COMMAND_REPAIR: check with --repair, which takes what get does */
	const char *name;
} commands[] = {
	{ COMMAND_GET, "get" },	    { COMMAND_SEED, "seed" },	{ COMMAND_SHOW, "show" },
	{ COMMAND_CREATE, "create" }, { COMMAND_CHECK, "check" }, { COMMAND_REPAIR, "check --repair" },
};
#define CHECK_ROW 4u

int options_worst_status(int a, int b)
{
	static const int order[] = { STATUS_DIED, STATUS_NO_WALL, STATUS_STORAGE, STATUS_REFUSED, STATUS_USAGE, STATUS_FAILED, STATUS_NO_PROGRESS, STATUS_INTERRUPTED };
	size_t i;

	for (i = 0; i < ARRAY_LEN(order); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return STATUS_COMPLETE;
}

/* The row of what getopt returned; NULL: it has none. */
static const struct option_row *row_of(int c)
{
	size_t i;

	if (c >= LONG)
		return &option_rows[c - LONG];
	for (i = 0; i < option_row_count; i++)
		if (c && option_rows[i].letter == c)
			return &option_rows[i];
	return NULL;
}

/* getopt's own tables: `letters` has room for 2 bytes a row and 2, `longs` for a struct a row and one. */
static void make_tables(char *letters, struct option *longs)
{
	size_t i;

	*letters++ = ':';
	for (i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];

		if (!row->name)
			continue;
		*longs++ = (struct option){ row->name, row->value ? required_argument : no_argument, NULL, LONG + (int)i };
		if (!row->letter)
			continue;
		*letters++ = row->letter;
		if (row->value)
			*letters++ = ':';
	}
	*letters = 0;
	*longs = (struct option){ 0 };
}

/* getopt found something that is no option, or lacks its value. */
static bool refuse_option(struct parse *p, int c, const char *word)
{
	const struct option_row *row = row_of(optopt);
	char quoted[200];

	if (c == ':' && row)
		return parse_refuse(p, "--%s: needs a value", row->name);
	if (optopt >= LONG)
		return parse_refuse(p, "--%s: takes no value", row->name);
	if (optopt)
		snprintf(quoted, sizeof quoted, "-%c", optopt >= 0x21 && optopt < 0x7f ? optopt : '?');
	else
		log_quote(quoted, sizeof quoted, word, strlen(word));
	return parse_refuse(p, "unknown option '%s'; see bulkhead --help", quoted);
}

/* Takes all options.  refused[i]: the first one that commands[i] does not take. */
static void take_options(struct parse *p, int argc, char **argv, const struct option_row **refused)
{
	char letters[2 * ROWS_MAX + 2];
	struct option longs[ROWS_MAX + 1];
	const struct option_row *row;
	size_t i;
	int c;

	if (option_row_count > ROWS_MAX)
		bug("%zu rows of options", option_row_count);
	make_tables(letters, longs);
	opterr = 0;
	optind = 0; /* starts anew, whatever was parsed before */
	while (!p->bad && !(p->o->command & NO_SOURCE) && (c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		row = c == '?' || c == ':' ? NULL : row_of(c);
		if (!row) {
			(void)refuse_option(p, c, argv[optind - 1]);
			return;
		}
		for (i = 0; i < ARRAY_LEN(commands); i++)
			if (!(row->commands & commands[i].command) && !refused[i])
				refused[i] = row;
		(void)row->take(p, row, optarg);
	}
}

/* A peer that could never be dialled. */
static bool check_peers(struct parse *p)
{
	const struct options *o = p->o;
	char text[64];
	uint32_t i;

	for (i = 0; i < o->peer_count; i++)
		if (o->peers[i].family == 4 ? !o->use_ipv4 : !o->use_ipv6)
			return parse_refuse(p, "--peer: '%s' cannot be dialled with %s", net_addr_text(text, sizeof text, &o->peers[i]),
				      o->use_ipv4 ? "-4" : "-6");
	return true;
}

static void defaults(struct options *o)
{
	uint32_t chance;

	option_table_defaults(o);
	random_bytes(&chance, sizeof chance);
	o->command = COMMAND_GET;
	o->dir = ".";
	o->port_first = (uint16_t)(PORT_LEAST + chance % (PORT_MOST - PORT_LEAST + 2 - PORTS_TRIED));
	o->port_last = (uint16_t)(o->port_first + PORTS_TRIED - 1);
	o->date = -1;
}

/* SOURCEs, or the PATH of create. */
static bool take_sources(struct parse *p, int count, char **words)
{
	struct options *o = p->o;
	const char *what = o->command == COMMAND_CREATE ? "PATH" : "SOURCE";
	int i, k;

	if (!count)
		return parse_refuse(p, "no %s is given; see bulkhead --help", what);
	if (o->command == COMMAND_CREATE && count > 1)
		return parse_refuse(p, "create takes one PATH");
	if (o->command == COMMAND_SHOW && count > 1)
		return parse_refuse(p, "show takes one SOURCE");
	if (count > (int)OPTIONS_MAX_SOURCES)
		return parse_refuse(p, "more than %u SOURCEs", OPTIONS_MAX_SOURCES);
	for (i = 0; i < count; i++) {
		if (!*words[i])
			return parse_refuse(p, "a %s is empty", what);
		for (k = 0; k < i; k++)
			if (!strcmp(words[i], "-") && !strcmp(words[k], "-"))
				return parse_refuse(p, "standard input is named twice");
		o->sources[o->source_count++] = words[i];
	}
	return true;
}

/* The words that are no options: perhaps a command, then SOURCEs. */
static bool take_words(struct parse *p, int count, char **words, const struct option_row *const *refused)
{
	static const char *const reserved[] = { "audit", "help", "version" };
	size_t i, command = 0; /* commands[0] is the one that need not be named */

	for (i = 0; count && i < ARRAY_LEN(reserved); i++)
		if (!strcmp(words[0], reserved[i]))
			return parse_refuse(p, "unknown command '%s'; see bulkhead --help; for a file of that name say ./%s", reserved[i],
					    reserved[i]);
	for (i = 0; count && i <= CHECK_ROW; i++)
		if (!strcmp(words[0], commands[i].name)) {
			command = i;
			words++;
			count--;
			break;
		}
	p->o->command = (enum command)commands[command].command;
	if (command == CHECK_ROW && p->o->repair)
		command++;
	/* Nothing is downloaded: it is what show does. */
	if (p->o->list && p->o->command == COMMAND_GET)
		p->o->command = COMMAND_SHOW;
	if (!take_sources(p, count, words))
		return false;
	if (refused[command])
		return parse_refuse(p, "--%s is not an option of %s", refused[command]->name, commands[command].name);
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
	if (!value_number(epoch, 0, INT64_MAX, &v))
		return parse_refuse(p, "SOURCE_DATE_EPOCH: '%s' is not a number of seconds",
			      log_quote(quoted, sizeof quoted, epoch, strlen(epoch)));
	p->o->date = (int64_t)v;
	return true;
}

/* What `create` wants beside its options one by one. */
static bool finish_create(struct parse *p)
{
	const struct options *o = p->o;

	if (o->output && !strcmp(o->output, "-") && o->json)
		return parse_refuse(p, "--json and --output - both want standard output");
	if (o->output && !strcmp(o->output, "-") && isatty(1))
		return parse_refuse(p, "--output -: a torrent is not for a terminal");
	return choose_date(p);
}

static uint32_t default_threads(const struct options *o)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), most = o->command & (COMMAND_CREATE | COMMAND_CHECK) ? (long)POOL_MAX_THREADS : 4;

	return cpus < 1 ? 1 : (uint32_t)(cpus < most ? cpus : most);
}

/* What goes, or does not go, with what. */
static bool check_together(struct parse *p)
{
	const struct options *o = p->o;

	if (o->quick && o->repair)
		return parse_refuse(p, "--quick and --repair exclude each other: what is to be repaired is read");
	if (o->super_seed && !o->seed.wanted)
		return parse_refuse(p, "--super-seed goes with seed, or with get and --seed-ratio, --seed-time or --idle-time");
	if (!o->use_ipv4 && !o->use_ipv6)
		return parse_refuse(p, "-4 and -6 exclude each other");
	if (o->listen && (uint32_t)(o->port_last - o->port_first) + 1 < o->source_count)
		return parse_refuse(p, "--port: %u SOURCEs need a port each", o->source_count);
	if (o->system_dns && !o->bind_interface[0])
		return parse_refuse(p, "--system-dns goes with --bind INTERFACE");
	return check_peers(p);
}

int options_parse(struct options *o, int argc, char **argv, char *error, size_t room)
{
	struct parse p = { .o = o, .error = error, .room = room };
	const struct option_row *refused[ARRAY_LEN(commands)] = { NULL };

	defaults(o);
	error[0] = 0;
	take_options(&p, argc, argv, refused);
	if (p.bad)
		return STATUS_USAGE;
	if (o->command & NO_SOURCE)
		return 0;
	if (!take_words(&p, argc - optind, argv + optind, refused))
		return STATUS_USAGE;
	o->seed.wanted |= o->command == COMMAND_SEED;
	if (!check_together(&p) || (o->command == COMMAND_CREATE && !finish_create(&p)))
		return STATUS_USAGE;
	if (!o->threads)
		o->threads = default_threads(o);
	if (!o->ca_file && access(SYSTEM_CA, R_OK) == 0)
		o->ca_file = SYSTEM_CA;
	return 0;
}
