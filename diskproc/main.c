/*
 * main.c - bulkhead-diskproc: owns the output and the hashes, has no network.
 *
 * Makes its conveyor, takes its descriptors, warms up, locks down, loops.  Trusts nobody: netproc's
 * messages are checked in store.c, its slots are copied before they are looked
 * at, the form is validated here again.
 */
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include "compartment.h"
#include "disk.h"
#include "metainfo.h"
#include "policy.h"

NORETURN static void refuse(struct compartment *c, const char *what, const char *why)
{
	log_line(LOG_ERROR, TOPIC_DISK, "%s: %s", what, why);
	compartment_end(c, 1);
}

/* The form, validated behind all walls. */
static void map_form(struct compartment *c, int fd, bool single, struct metainfo *m)
{
	const char *wrong = metainfo_map(m, fd);

	close(fd);
	if (wrong)
		refuse(c, "the normal form", wrong);
	if (m->h->flags & METAINFO_MAGNET)
		refuse(c, "the normal form", "it has no files");
	if (single != !!(m->h->flags & METAINFO_SINGLE))
		refuse(c, "the normal form", single ? "one file was passed for several" : "a directory was passed for one file");
}

static struct files_options options_of(struct compartment *c, const struct wanted *wanted)
{
	struct files_options o = {
		.root = c->fds[SETUP_FILE] >= 0 ? -1 : compartment_take(c, SETUP_ROOT),
		.single = c->fds[SETUP_FILE] >= 0 ? compartment_take(c, SETUP_FILE) : -1,
		.existing = c->disk.check_existing,
		.read_only = c->disk.read_only,
		.report = c->disk.report && c->disk.read_only,
		.cut = c->disk.cut,
		.allocate = c->disk.allocate,
		.file_mode = c->disk.file_mode,
		.max_open = c->disk.max_open_files,
		.threads = max_u32(1, min_u32(c->disk.threads, POOL_MAX_THREADS)),
		.also_device = c->fds[SETUP_SPILL],
		.wanted = wanted,
		.parts = c->fds[SETUP_PARTS] >= 0 ? compartment_take(c, SETUP_PARTS) : -1,
	};

	return o;
}

int main(void)
{
	static struct compartment c;
	static struct disk d;
	static struct wanted wanted;
	struct files_options o;
	struct metainfo m;
	enum disk_turn turn;
	const char *wrong;
	uint32_t status;
	int spill, form, record, conveyor[2];

	compartment_hello(&c, ROLE_DISKPROC);
	conveyor[1] = compartment_make_conveyor(&c, &conveyor[0]);
	compartment_receive(&c);
	signal(SIGPIPE, SIG_IGN); /* a sibling that dies is an error of write, not our end */
	signal(SIGXFSZ, SIG_IGN); /* the same for a file that may not grow */
	/* Threads share one heap: memory stays small, and no arena is mapped after the lock. */
	mallopt(M_ARENA_MAX, 1);
	form = compartment_take(&c, SETUP_FORM);
	wrong = wanted_read(&wanted, c.fds[SETUP_WANTED]);
	if (wrong)
		refuse(&c, "what is wanted", wrong);
	if (wanted.level)
		close(compartment_take(&c, SETUP_WANTED));
	o = options_of(&c, &wanted);
	spill = c.disk.read_only ? -1 : compartment_take(&c, SETUP_SPILL);
	record = c.fds[SETUP_RECORD] < 0 ? -1 : compartment_take(&c, SETUP_RECORD);
	/* libcrypto reads its configuration by name: while there are names. */
	disk_init(&d, &c.control, &c.disk);
	policy_set_mode(c.disk.file_mode);
	compartment_landlock(&c, o.root);
	disk_make_threads(&d);
	compartment_lock(&c);

	map_form(&c, form, o.single >= 0, &m);
	wrong = wanted_check(&wanted, &m);
	if (wrong)
		refuse(&c, "what is wanted", wrong);
	disk_open(&d, &m, &o, spill, record, conveyor);
	if (c.fds[SETUP_DISK] >= 0) {
		int net = compartment_take(&c, SETUP_DISK);

		/* A netproc whose slots are no good is replaced, and another comes. */
		(void)!disk_attach(&d, net, c.epochs[SETUP_DISK], compartment_take(&c, SETUP_SLOTS));
	}
	disk_start(&d);
	do
		turn = disk_turn(&d, &status);
	while (turn == DISK_GO_ON);
	compartment_end(&c, turn == DISK_VIOLATION ? 1 : status);
}
