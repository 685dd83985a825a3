/*
 * main.c - bulkhead-diskproc: owns the output and the hashes, has no network.
 *
 * Takes its descriptors, warms up, locks down, loops.  Trusts nobody: netproc's
 * messages are checked in store.c, its slots are copied before they are looked
 * at, the form is validated here again.
 */
#include <signal.h>
#include <errno.h>
#include <malloc.h>
#include <unistd.h>

#include "compartment.h"
#include "disk.h"
#include "metainfo.h"

NORETURN static void refuse(struct compartment *c, const char *what, const char *why)
{
	log_line(LOG_ERROR, TOPIC_DISK, "%s: %s", what, why);
	compartment_end(c, 1);
}

static void map_form(struct compartment *c, struct metainfo *m)
{
	int fd = compartment_take(c, SETUP_FORM);
	const char *wrong = metainfo_map(m, fd);

	close(fd);
	if (wrong)
		refuse(c, "the normal form", wrong);
	if (m->h->flags & METAINFO_MAGNET || !m->h->file_count)
		refuse(c, "the normal form", "it has no files");
	if (m->h->flags & METAINFO_SINGLE && m->h->file_count != 1)
		refuse(c, "the normal form", "a single file that is several");
}

int main(void)
{
	static struct compartment c;
	static struct disk d;
	struct metainfo m;
	struct files_options o = { .root = -1, .single = -1 };
	struct files *files;
	enum disk_turn turn;
	uint32_t status;
	int spill = -1, root;

	compartment_begin(&c, ROLE_DISKPROC);
	signal(SIGPIPE, SIG_IGN); /* a sibling that dies is an error of write, not our end */
	signal(SIGXFSZ, SIG_IGN); /* the same for a file that may not grow */
	/* Threads share one heap: memory stays small, and no arena is mapped after the lock. */
	mallopt(M_ARENA_MAX, 1);
	map_form(&c, &m);
	if (!c.disk.read_only)
		spill = compartment_take(&c, SETUP_SPILL);
	else
		spill = c.fds[SETUP_SPILL];
	if (m.h->flags & METAINFO_SINGLE)
		o.single = compartment_take(&c, SETUP_FILE);
	else
		o.root = compartment_take(&c, SETUP_ROOT);
	root = o.root;
	o.existing = c.disk.check_existing;
	o.read_only = c.disk.read_only;
	o.max_open = c.disk.max_open_files;
	o.threads = max_u32(1, min_u32(c.disk.threads, POOL_MAX_THREADS));
	o.also_device = spill;
	files = files_new(&m, &o);
	/* libcrypto reads its configuration: before there are no files any more. */
	disk_init(&d, &c.control, &m, &c.disk, files, spill);
	compartment_landlock(&c, root);
	disk_make_threads(&d);
	if (c.fds[SETUP_DISK] >= 0) {
		int net = compartment_take(&c, SETUP_DISK);

		if (disk_attach(&d, net, c.epochs[SETUP_DISK], compartment_take(&c, SETUP_SLOTS)) < 0)
			compartment_end(&c, 1);
	}
	compartment_lock(&c);
	disk_start(&d);
	do
		turn = disk_turn(&d, &status);
	while (turn == DISK_GO_ON);
	compartment_end(&c, turn == DISK_VIOLATION ? 1 : status);
}
