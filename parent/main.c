/*
 * main.c - bulkhead: the command that the user runs, and the parent of all compartments.
 */
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
		return screen_write(options_help(), strlen(options_help())) < 0 ? STATUS_FAILED : STATUS_COMPLETE;
	case COMMAND_VERSION: {
		static const char version[] = "bulkhead " BULKHEAD_VERSION "\n";

		return screen_write(version, sizeof version - 1) < 0 ? STATUS_FAILED : STATUS_COMPLETE;
	}
	default:
		return supervise(&o);
	}
}
