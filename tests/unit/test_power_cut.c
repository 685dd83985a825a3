/*
 * test_power_cut.c - the power goes at any moment: what was recorded is there, and nothing that is not good is believed.
 *
 * Under diskproc is a disk that forgets.  Each change of a file waits until a
 * sync makes it durable.  When the power goes, of what waits an arbitrary part
 * has reached the disk, sector by sector, in no order; so has a name, a length,
 * a time of change.  Then diskproc starts again on what is left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>

#include "disk_calls.h"

#define PIECE (32u * 1024u)
#define BUDGET (8u * PIECE)
#define SECTOR 512u
#define CUTS 100u
#define FILES_MAX 64u

/* What a change does to a file: bytes, or its length. */
struct change {
	uint64_t offset;
	size_t bytes; /* 0: the length becomes `offset` */
	uint8_t *data;
	struct timespec mtime; /* after it */
	struct change *next;
};

struct node {
	dev_t device;
	ino_t inode;
	char path[300];        /* "" for the record, whose name is durable always */
	bool directory, named; /* named: its name is durable */
	uint8_t *durable;
	uint64_t size;
	struct timespec mtime;
	struct change *waiting, **last;
};

static struct {
	pthread_mutex_t lock;
	struct node nodes[FILES_MAX];
	uint32_t count;
	uint32_t left; /* calls until the power goes */
	bool lasts;    /* it does not */
	bool harsh;    /* nothing of what waits reaches the disk */
	bool stored;   /* a record was durable */
	bool off;
	bool going;         /* this very call is the one in which it went */
	uint8_t synced[64]; /* bitfield: in a record that was durable */
	uint64_t seed;
	uint32_t syncfs_calls;
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct rig rig;

static uint32_t chance(uint32_t n)
{
	disk.seed = disk.seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(disk.seed >> 33) % n;
}

/* The same, and whether the power is off, for whoever does not hold the lock. */
static uint32_t toss(uint32_t n)
{
	uint32_t r;

	pthread_mutex_lock(&disk.lock);
	r = chance(n);
	pthread_mutex_unlock(&disk.lock);
	return r;
}

static bool is_off(void)
{
	bool off;

	pthread_mutex_lock(&disk.lock);
	off = disk.off;
	pthread_mutex_unlock(&disk.lock);
	return off;
}

/* One more call.  False: the power is off. */
static bool has_power(void)
{
	disk.going = !disk.left && !disk.off && !disk.lasts;
	disk.off = !disk.left && !disk.lasts;
	disk.left -= disk.left != 0;
	errno = EIO;
	return !disk.off;
}

static struct node *node_of(int fd)
{
	struct stat st;
	uint32_t i;

	if (fstat(fd, &st) < 0)
		abort();
	for (i = 0; i < disk.count; i++)
		if (disk.nodes[i].device == st.st_dev && disk.nodes[i].inode == st.st_ino)
			return &disk.nodes[i];
	return NULL;
}

static void forget_changes(struct node *n)
{
	while (n->waiting) {
		struct change *c = n->waiting;

		n->waiting = c->next;
		free(c->data);
		free(c);
	}
	n->last = &n->waiting;
}

static struct node *add_node(int fd, bool directory)
{
	struct node *n = node_of(fd);
	char proc[64];
	struct stat st;
	ssize_t k;

	/* An inode that is used again is another file. */
	if (n) {
		forget_changes(n);
		free(n->durable);
	} else {
		/* The place of one that is gone, or a new one. */
		for (n = disk.nodes; n < disk.nodes + disk.count && n->inode; n++)
			;
		if (n == disk.nodes + FILES_MAX)
			abort();
		disk.count += n == disk.nodes + disk.count;
	}
	if (fstat(fd, &st) < 0)
		abort();
	memset(n, 0, sizeof *n);
	n->device = st.st_dev;
	n->inode = st.st_ino;
	n->directory = directory;
	n->mtime = st.st_mtim;
	n->last = &n->waiting;
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	k = readlink(proc, n->path, sizeof n->path - 1);
	if (k < 0)
		abort();
	n->path[k] = 0;
	return n;
}

static void add_change(int fd, uint64_t offset, const void *data, size_t bytes)
{
	struct node *n = node_of(fd);
	struct change *c;
	struct stat st;

	if (!n) /* the spill file, which dies with us */
		return;
	c = calloc(1, sizeof *c);
	c->offset = offset;
	c->bytes = bytes;
	if (bytes) {
		c->data = malloc(bytes);
		memcpy(c->data, data, bytes);
	}
	if (fstat(fd, &st) < 0)
		abort();
	c->mtime = st.st_mtim;
	*n->last = c;
	n->last = &c->next;
}

static void grow(struct node *n, uint64_t size)
{
	n->durable = realloc(n->durable, size + 1);
	if (size > n->size)
		memset(n->durable + n->size, 0, size - n->size);
	n->size = size;
}

/* some: each sector by chance. */
static void apply(struct node *n, const struct change *c, bool some)
{
	size_t at, k;

	if (!c->bytes) {
		if (!some || (!disk.harsh && chance(2)))
			grow(n, c->offset);
		return;
	}
	for (at = 0; at < c->bytes; at += k) {
		k = SECTOR - (size_t)((c->offset + at) % SECTOR);
		k = k < c->bytes - at ? k : c->bytes - at;
		if (some && (disk.harsh || chance(2)))
			continue;
		if (n->size < c->offset + at + k)
			grow(n, c->offset + at + k);
		memcpy(n->durable + c->offset + at, c->data + at, k);
	}
}

static void make_durable(struct node *n)
{
	struct change *c;

	for (c = n->waiting; c; c = c->next) {
		apply(n, c, false);
		/* A sync of data need not write the time. */
		if (chance(2))
			n->mtime = c->mtime;
	}
	forget_changes(n);
}

/* ---- the calls */

static int hooked_openat(int dir, const char *name, int flags, ...)
{
	int fd = -1;

	pthread_mutex_lock(&disk.lock);
	if (flags & O_TMPFILE || !(flags & O_CREAT)) {
		fd = disk.off ? -1 : openat(dir, name, flags, 0600);
	} else if (has_power()) {
		fd = openat(dir, name, flags, 0644);
		if (fd >= 0)
			add_node(fd, false);
	}
	pthread_mutex_unlock(&disk.lock);
	return fd;
}

static int hooked_mkdirat(int dir, const char *name, mode_t mode)
{
	int r = -1, fd;

	pthread_mutex_lock(&disk.lock);
	if (has_power()) {
		r = mkdirat(dir, name, mode);
		fd = r == 0 ? openat(dir, name, O_RDONLY | O_DIRECTORY) : -1;
		if (fd >= 0) {
			add_node(fd, true);
			close(fd);
		}
	}
	pthread_mutex_unlock(&disk.lock);
	return r;
}

static int hooked_ftruncate(int fd, off_t length)
{
	int r = -1;

	pthread_mutex_lock(&disk.lock);
	if (has_power()) {
		r = ftruncate(fd, length);
		if (r == 0)
			add_change(fd, (uint64_t)length, NULL, 0);
	}
	pthread_mutex_unlock(&disk.lock);
	return r;
}

static ssize_t hooked_pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	ssize_t n = -1;

	pthread_mutex_lock(&disk.lock);
	/* The record is written seldom: it is hit more often than others. */
	if (fd == rig.d.record.fd && chance(6) == 0)
		disk.left = 0;
	if (has_power()) {
		n = pwrite(fd, bytes, length, offset);
		if (n > 0)
			add_change(fd, (uint64_t)offset, bytes, (size_t)n);
	} else if (disk.going) {
		add_change(fd, (uint64_t)offset, bytes, length);
	}
	pthread_mutex_unlock(&disk.lock);
	errno = EIO;
	return n;
}

static ssize_t hooked_pwritev(int fd, const struct iovec *v, int count, off_t offset)
{
	ssize_t n = -1, left;
	int i;

	pthread_mutex_lock(&disk.lock);
	if (has_power()) {
		n = pwritev(fd, v, count, offset);
		for (i = 0, left = n; i < count && left > 0; i++) {
			size_t k = v[i].iov_len < (size_t)left ? v[i].iov_len : (size_t)left;

			add_change(fd, (uint64_t)offset, v[i].iov_base, k);
			offset += (off_t)k;
			left -= (ssize_t)k;
		}
	} else if (disk.going) {
		add_change(fd, (uint64_t)offset, v[0].iov_base, v[0].iov_len);
	}
	pthread_mutex_unlock(&disk.lock);
	errno = EIO;
	return n;
}

static int hooked_fdatasync(int fd)
{
	struct record *r = &rig.d.record;
	struct node *n;
	size_t i;

	pthread_mutex_lock(&disk.lock);
	if (!has_power()) {
		pthread_mutex_unlock(&disk.lock);
		return -1;
	}
	n = node_of(fd);
	if (n)
		make_durable(n);
	/* The slot is the one that was just written: this is its writer's thread. */
	for (i = 0; n && !n->path[0] && record_is_valid(r, r->slot) && i < bitfield_bytes(rig.m.h->piece_count); i++)
		disk.synced[i] |= record_have(r)[i], disk.stored = true;
	pthread_mutex_unlock(&disk.lock);
	return 0;
}

static int hooked_fsync(int fd)
{
	char proc[64], path[300];
	uint32_t i;
	ssize_t k;

	pthread_mutex_lock(&disk.lock);
	if (!has_power()) {
		pthread_mutex_unlock(&disk.lock);
		return -1;
	}
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	k = readlink(proc, path, sizeof path - 1);
	if (k < 0)
		abort();
	path[k] = 0;
	for (i = 0; i < disk.count; i++) {
		const char *slash = strrchr(disk.nodes[i].path, '/');

		if (slash && slash - disk.nodes[i].path == k && !memcmp(path, disk.nodes[i].path, (size_t)k))
			disk.nodes[i].named = true;
	}
	pthread_mutex_unlock(&disk.lock);
	return 0;
}

static int hooked_syncfs(int fd)
{
	uint32_t i;

	(void)fd;
	pthread_mutex_lock(&disk.lock);
	if (!has_power()) {
		pthread_mutex_unlock(&disk.lock);
		return -1;
	}
	disk.syncfs_calls++;
	for (i = 0; i < disk.count; i++)
		if (disk.nodes[i].path[0]) {
			make_durable(&disk.nodes[i]);
			disk.nodes[i].named = true;
		}
	pthread_mutex_unlock(&disk.lock);
	return 0;
}

/* ---- after the cut */

/* What is left of one file, written into its place.  Its inode stays. */
static void restore(struct node *n)
{
	int fd = n->path[0] ? open(n->path, O_WRONLY | O_CLOEXEC) : rig.record;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	struct change *c;

	for (c = n->waiting; c; c = c->next) {
		apply(n, c, true);
		if (chance(2))
			n->mtime = c->mtime;
	}
	forget_changes(n);
	if (fd < 0 || ftruncate(fd, 0) < 0 || (n->size && pwrite(fd, n->durable, n->size, 0) != (ssize_t)n->size))
		abort();
	times[1] = n->mtime;
	if (futimens(fd, times) < 0)
		abort();
	if (fd != rig.record)
		close(fd);
}

/* Names that did not last, with all that is below them. */
static void lose_names(void)
{
	uint32_t i, k;

	for (i = 0; i < disk.count; i++) {
		struct node *n = &disk.nodes[i];
		size_t length = strlen(n->path);
		char command[350], path[300];

		if (!length || n->named || chance(2)) {
			n->named = true;
			continue;
		}
		memcpy(path, n->path, sizeof path);
		snprintf(command, sizeof command, "rm -rf '%s'", path);
		if (system(command))
			abort();
		for (k = 0; k < disk.count; k++) {
			struct node *below = &disk.nodes[k];

			if (k != i && (strncmp(below->path, path, length) != 0 || below->path[length] != '/'))
				continue;
			forget_changes(below);
			free(below->durable);
			/* It never was. */
			memset(below, 0, sizeof *below);
			below->inode = 0;
			below->path[0] = '/';
			below->directory = below->named = true;
			below->last = &below->waiting;
		}
	}
}

static void power_returns(void)
{
	uint32_t i;

	lose_names();
	for (i = 0; i < disk.count; i++)
		if (!disk.nodes[i].directory)
			restore(&disk.nodes[i]);
	disk.off = false;
	disk.lasts = true;
}

static void forget_all(void)
{
	uint32_t i;

	for (i = 0; i < disk.count; i++) {
		forget_changes(&disk.nodes[i]);
		free(disk.nodes[i].durable);
	}
	disk.count = 0;
	memset(disk.synced, 0, sizeof disk.synced);
	disk.off = disk.stored = false;
	disk.lasts = true;
}

/* ---- downloads */

static const struct fixture_file few[] = {
	{ "a/first", 100000, 0 }, { "a/b/second", 200000, 0 }, { ".pad/9", 27680, METAINFO_FILE_PAD },
	{ "empty", 0, 0 },        { "third", 1, 0 },           { "a/fourth", 70000, 0 },
};
static struct fixture_file lots[40];
static char names[40][16];

static void new_download(uint32_t number)
{
	struct node *n;
	uint32_t i;

	forget_all();
	for (i = 0; i < ARRAY_LEN(lots); i++) {
		snprintf(names[i], sizeof names[i], "d%u/f%u", i % 5, i);
		lots[i] = (struct fixture_file){ .path = names[i], .length = 3000 + 700 * i };
	}
	/* More than are synced one by one, and fewer. */
	if (number % 2)
		rig_make(&rig, lots, ARRAY_LEN(lots), PIECE, false);
	else
		rig_make(&rig, few, ARRAY_LEN(few), PIECE, false);
	rig_record(&rig);
	n = add_node(rig.record, false);
	n->path[0] = 0;
	if (bitfield_bytes(rig.m.h->piece_count) > sizeof disk.synced)
		abort();
}

static void assert_truth(void)
{
	uint32_t i;

	for (i = 0; i < rig.m.h->piece_count; i++) {
		bool good = rig_piece_good(&rig, i);

		if (bitfield_get(rig.have, i) && !good)
			fail_msg("piece %u is taken for verified and is not", i);
		if (bitfield_get(disk.synced, i) && !bitfield_get(rig.have, i))
			fail_msg("piece %u was recorded and is gone (%s)", i, good ? "it is on disk" : "it is not on disk");
	}
}

/* Goes on until the power goes, or an end of its own.  True: all is there. */
static bool go_on(void)
{
	uint32_t i;

	for (i = 0; i < rig.m.h->piece_count && rig.turn == DISK_GO_ON && !rig.errors; i++) {
		if (bitfield_get(rig.have, i) || toss(8) == 0)
			continue;
		rig_piece(&rig, i);
		if (!rig_until(&rig, rig_idle) && !is_off())
			fail_msg("it does not go on");
		if (toss(rig.m.h->file_count == ARRAY_LEN(lots) ? 30 : 4) == 0)
			rig.d.sync_at_ms = 0;
		/* Killed, while the machine goes on: what was not synced is there still. */
		if (toss(12) == 0 && !disk.lasts)
			return false;
		if (toss(40) == 0 && !rig.errors && !disk.lasts) {
			rig_shutdown(&rig);
			return false;
		}
	}
	for (i = 0; i < rig.m.h->piece_count && rig.turn == DISK_GO_ON && !rig.errors; i++)
		if (!bitfield_get(rig.d.store.have, i)) {
			rig_piece(&rig, i);
			(void)rig_until(&rig, rig_idle);
		}
	return rig.turn == DISK_GO_ON && rig_until(&rig, rig_completed) && rig.completes && !is_off();
}

/* Starts on what is there, or anew, and goes on until the power goes or all is there. */
static bool download(bool existing)
{
	bool all;

	rig_start(&rig, existing, false, BUDGET);
	all = rig_until(&rig, rig_told) && !rig.errors && go_on();
	if (all && toss(2))
		rig_shutdown(&rig);
	rig_stop(&rig);
	return all;
}

static void test_the_power_goes_at_any_moment(void **state)
{
	uint32_t cuts, downloads = 0, believed = 0;
	const char *seed = getenv("POWER_CUT_SEED");
	bool anew = true, all;

	(void)state;
	random_bytes(&disk.seed, sizeof disk.seed);
	if (seed)
		disk.seed = strtoull(seed, NULL, 0);
	print_message("POWER_CUT_SEED=%llu\n", (unsigned long long)disk.seed);
	for (cuts = 0; cuts < CUTS; cuts++) {
		if (anew)
			new_download(downloads++);
		do {
			/* All of it is some hundred calls, or twice as many. */
			disk.lasts = false;
			disk.left = toss(toss(2) ? 40 : 300);
			all = download(!anew);
			anew = false;
		} while (!all && !is_off()); /* an orderly end, or it was killed */
		pthread_mutex_lock(&disk.lock);
		power_returns();
		pthread_mutex_unlock(&disk.lock);
		rig_start(&rig, true, false, BUDGET);
		assert_true(rig_until(&rig, rig_told));
		assert_int_equal(rig.errors, 0);
		/* One of the two copies is whole. */
		assert_true(!disk.stored || rig.d.record.sequence);
		assert_truth();
		believed += rig.d.known_bytes != 0;
		rig_stop(&rig);
		if (all || cuts == CUTS - 1) {
			assert_true(download(true));
			assert_true(rig_files_good(&rig));
			rig_free(&rig);
			anew = true;
		}
	}
	forget_all();
	/* The record was of use, and both ways to sync were gone. */
	assert_true(believed > CUTS / 10);
	assert_true(disk.syncfs_calls);
	assert_true(downloads > 2);
}

static void take_and_wait(uint32_t piece)
{
	rig_piece(&rig, piece);
	assert_true(rig_until(&rig, rig_idle));
}

static void sync_now(void)
{
	rig.d.sync_at_ms = 0;
	assert_true(rig_turn(&rig));
	while (rig.d.syncing)
		assert_true(rig_turn(&rig));
}

/* A write that ends between the sync of its file and the look at it: the record has its time, and not its piece. */
static void test_what_came_in_the_same_tick_is_synced_before_it_is_recorded(void **state)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	char path[100];
	struct stat st;
	int fd;

	(void)state;
	new_download(0);
	rig_start(&rig, false, false, BUDGET);
	assert_true(rig_until(&rig, rig_told));
	take_and_wait(5);
	sync_now();
	snprintf(path, sizeof path, "%s/a/b/second", rig.dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	take_and_wait(6);
	times[1] = st.st_mtim;
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
	/* Killed, and later the power goes. */
	rig_stop(&rig);
	rig_start(&rig, true, false, BUDGET);
	assert_true(rig_until(&rig, rig_told));
	assert_true(bitfield_get(rig.have, 5) && bitfield_get(rig.have, 6));
	assert_true(rig.d.known_bytes);
	take_and_wait(0);
	sync_now();
	rig_stop(&rig);
	assert_true(bitfield_get(disk.synced, 6));
	disk.harsh = true;
	power_returns();
	disk.harsh = false;
	rig_start(&rig, true, false, BUDGET);
	assert_true(rig_until(&rig, rig_told));
	assert_truth();
	rig_free(&rig);
	forget_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_power_goes_at_any_moment),
		cmocka_unit_test(test_what_came_in_the_same_tick_is_synced_before_it_is_recorded),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
