/*
 * option_table.h - one row for each option: all that is said of it, in the order of --help.
 *
 * getopt's tables (options.c) and the help (help.c) are made of the rows.
 */
#ifndef PARENT_OPTION_TABLE_H
#define PARENT_OPTION_TABLE_H

#include "options.h"

/* What one run of options_parse() works on. */
struct parse {
	struct options *o;
	char *error; /* the first thing that was wrong */
	size_t room;
	bool bad;
};

/* One line on what is wrong; the first one counts.  Always false. */
bool parse_refuse(struct parse *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

struct option_row {
	const char *name; /* without its dashes; NULL: no option, `help` is a headline */
	char letter;      /* 0: none */
	unsigned commands; /* that take it: bits of enum command */
	const char *value; /* what the help calls its value; NULL: it takes none */
	/* Takes the value (NULL without one) into p->o; false: it was refused. */
	bool (*take)(struct parse *p, const struct option_row *row, const char *value);
	/* The one member of struct options that it sets: where, how many bytes (0: none), and what is there without the option. */
	size_t at, bytes;
	uint64_t initially;
	uint64_t least, most; /* of its value: number, size or length */
	const char *help;     /* lines, the first of which begins behind the option */
};

/* Of option_row.commands: check with --repair. */
#define COMMAND_REPAIR 128u

extern const struct option_row option_rows[];
extern const size_t option_row_count;

/* What each member is that no option was given for. */
void option_table_defaults(struct options *o);

#endif
