/*
 * help.c - the text of --help: what the commands are, and the options from their table.
 */
#include "option_table.h"
#include "text.h"

/* Where the explanations begin. */
#define COLUMN 28

static const char usage[] =
	"usage: bulkhead [get] [options] SOURCE...\n"
	"       bulkhead seed [options] SOURCE...\n"
	"       bulkhead check [options] SOURCE...\n"
	"       bulkhead show [--json | --list] SOURCE\n"
	"       bulkhead create [options] PATH\n"
	"\n"
	"SOURCE is a .torrent file, a magnet link (show only), or - for either of them on standard input.\n"
	"\n"
	"get downloads to DIR/NAME.part, checks every piece, and renames it to DIR/NAME when all is there.\n"
	"seed verifies a finished DIR/NAME, and gives it to others; nothing is written.\n"
	"check verifies DIR/NAME, or DIR/NAME.part, and tells of each file whether it is good; nothing is written.\n"
	"show prints what a torrent or magnet link holds, and downloads nothing.\n"
	"create makes the torrent NAME.torrent of the file or directory PATH.\n";

static const char notes[] =
	"\n"
	"SIZE and RATE take the suffixes k, M and G; TIME is minutes, or a number with s, m, h or d.\n"
	"Exit status: 0 complete or seeded, 1 failed (check: something is bad), 2 usage, 3 torrent refused, 4 storage, 5 no progress,\n"
	"6 a required wall is missing, 7 a compartment kept dying, 130 interrupted before all was there.\n"
	"See bulkhead(1).\n";

static void add_row(struct text *t, const struct option_row *row)
{
	const char *line = row->help, *end;
	char head[80];
	int n;

	if (!row->name) {
		text_addf(t, "\n%s\n", line);
		return;
	}
	n = snprintf(head, sizeof head, row->letter ? "  -%c, --%s%s%s" : "  %c   --%s%s%s", row->letter ? row->letter : ' ', row->name,
		     row->value ? " " : "", row->value ? row->value : "");
	text_addf(t, n < COLUMN - 1 ? "%s%*s" : "%s\n%*s", head, n < COLUMN - 1 ? COLUMN - n : COLUMN, "");
	for (; (end = strchr(line, '\n')); line = end + 1)
		text_addf(t, "%.*s\n%*s", (int)(end - line), line, COLUMN, "");
	text_addf(t, "%s\n", line);
}

const char *options_help(void)
{
	static char out[8192];
	struct text t;
	size_t i;

	text_init(&t, out, sizeof out);
	text_addf(&t, "%s", usage);
	for (i = 0; i < option_row_count; i++)
		add_row(&t, &option_rows[i]);
	text_addf(&t, "%s", notes);
	if (t.full)
		bug("--help has more than %zu bytes", sizeof out);
	return out;
}
