/*
 * main.c - bulkhead: the command that the user runs, and the parent of all compartments.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "options.h"
#include "screen.h"
#include "supervise.h"

/* Whoever started us without some of them would have our files take their places, and our words written there. */
static bool standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* What was asked for, to stdout. */
static int print(const char *text)
{
	if (screen_write(text, strlen(text)) == 0)
		return STATUS_COMPLETE;
	screen_error("cannot write to standard output: %s", strerror(errno));
	(void)screen_drain(-1, -1);
	return STATUS_FAILED;
}

int main(int argc, char **argv)
{
	static struct options o;
	char error[512];
	int status;

	if (!standard_streams())
		return STATUS_FAILED;
	status = options_parse(&o, argc, argv, error, sizeof error);
	screen_open(&o);
	if (status) {
		screen_error("%s", error);
		(void)screen_drain(-1, -1);
		return status;
	}
	switch (o.command) {
	case COMMAND_HELP:
		return print(options_help());
	case COMMAND_VERSION:
		return print("bulkhead " BULKHEAD_VERSION "\n");
	default:
		return supervise(&o);
	}
}
