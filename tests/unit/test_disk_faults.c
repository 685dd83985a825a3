/*
 * test_disk_faults.c - each call that makes, changes or syncs a file fails, one after the other, in each way that disks fail.
 *
 * Whichever it is: the parent is told once, with that error and what was done,
 * or it was the record's and the download goes on; what is taken for verified
 * is good; and a later run completes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdatomic.h>

#include "disk_calls.h"

#define PIECE (32u * 1024u)
#define BUDGET (8u * PIECE)

static struct rig rig;

/* Of the run that is going on. */
static struct {
	atomic_uint count;
	uint32_t fails_at; /* 0: none does */
	int error;
	atomic_int record, act; /* what failed: the record, or that act */
} run;

static bool fails(int fd, int act)
{
	struct stat st, record;

	if (atomic_fetch_add(&run.count, 1) + 1 != run.fails_at)
		return false;
	if (fstat(rig.record, &record) < 0)
		abort();
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == record.st_ino && st.st_dev == record.st_dev)
		atomic_store(&run.record, 1);
	atomic_store(&run.act, act);
	errno = run.error;
	return true;
}

static int hooked_openat(int dir, const char *name, int flags, ...)
{
	return rig.running && fails(-1, DISK_ACT_OPEN) ? -1 : openat(dir, name, flags, 0644);
}

static int hooked_mkdirat(int dir, const char *name, mode_t mode)
{
	return fails(-1, DISK_ACT_MKDIR) ? -1 : mkdirat(dir, name, mode);
}

static int hooked_ftruncate(int fd, off_t length)
{
	return fails(fd, DISK_ACT_SIZE) ? -1 : ftruncate(fd, length);
}

static ssize_t hooked_pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	return fails(fd, DISK_ACT_SPILL) ? -1 : pwrite(fd, bytes, length, offset);
}

static ssize_t hooked_pwritev(int fd, const struct iovec *v, int count, off_t offset)
{
	return fails(fd, DISK_ACT_WRITE) ? -1 : pwritev(fd, v, count, offset);
}

static int hooked_fdatasync(int fd)
{
	return fails(fd, DISK_ACT_SYNC) ? -1 : 0;
}

static int hooked_fsync(int fd)
{
	return fails(fd, DISK_ACT_SYNC) ? -1 : 0;
}

static int hooked_syncfs(int fd)
{
	return fails(fd, DISK_ACT_SYNC) ? -1 : 0;
}

static const struct fixture_file few[] = {
	{ "a/first", 50000, 0 }, { "a/b/second", 60000, 0 }, { ".pad/9", 21072, METAINFO_FILE_PAD },
	{ "empty", 0, 0 },       { "third", 1, 0 },          { "a/fourth", 20000, 0 },
};
static struct fixture_file lots[34];
static char names[34][16];

static const struct fixture_file *files;
static uint32_t file_count;

static int of_few(void **state)
{
	(void)state;
	files = few;
	file_count = ARRAY_LEN(few);
	return 0;
}

/* More than are synced one by one. */
static int of_lots(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lots); i++) {
		snprintf(names[i], sizeof names[i], "f%u", i);
		lots[i] = (struct fixture_file){ .path = names[i], .length = 4000 };
	}
	files = lots;
	file_count = ARRAY_LEN(lots);
	return 0;
}

/* Fetches what is missing, with a sync in the middle, as far as it goes. */
static void fetch_all(void)
{
	uint32_t i;

	for (i = 0; i < rig.m.h->piece_count && !rig.errors; i++) {
		if (bitfield_get(rig.have, i))
			continue;
		rig_piece(&rig, i);
		assert_true(rig_until(&rig, rig_idle));
		if (i == 1)
			rig.d.sync_at_ms = 0;
	}
	assert_true(rig_until(&rig, rig_completed));
}

static void assert_told(void)
{
	if (!rig.errors)
		return;
	assert_int_equal(rig.errors, 1);
	assert_int_equal(rig.completes, 0);
	assert_int_equal(rig.error.error, run.error);
	/* A directory on the way is opened, and a file is opened again to be synced. */
	if (atomic_load(&run.act) == DISK_ACT_OPEN)
		assert_true(rig.error.act == DISK_ACT_OPEN || rig.error.act == DISK_ACT_SYNC);
	else
		assert_int_equal(rig.error.act, atomic_load(&run.act));
	assert_int_equal(atomic_load(&run.record), 0);
}

/* The first run, in which call `at` fails, and the next, in which none does.  False: there was no such call. */
static bool run_with(uint32_t at, int error)
{
	uint32_t i;

	rig_make(&rig, files, file_count, PIECE, false);
	rig_record(&rig);
	run.fails_at = at;
	run.error = error;
	atomic_store(&run.count, 0);
	atomic_store(&run.record, 0);
	rig_start(&rig, false, false, BUDGET);
	assert_true(rig_until(&rig, rig_told));
	fetch_all();
	assert_told();
	if (atomic_load(&run.record)) {
		assert_int_equal(rig.completes, 1);
		assert_int_equal(rig.warnings, 1);
	}
	rig_shutdown(&rig);
	assert_told();
	rig_stop(&rig);
	at = atomic_load(&run.count) < at ? 0 : at;
	run.fails_at = 0;
	rig_start(&rig, true, false, BUDGET);
	assert_true(rig_until(&rig, rig_told));
	for (i = 0; i < rig.m.h->piece_count; i++)
		if (bitfield_get(rig.have, i))
			assert_true(rig_piece_good(&rig, i));
	fetch_all();
	assert_int_equal(rig.errors, 0);
	assert_int_equal(rig.completes, 1);
	assert_true(rig_files_good(&rig));
	rig_free(&rig);
	return at;
}

static void test_each_call_fails_once(void **state)
{
	static const int errors[] = { ENOSPC, EIO, EROFS, EDQUOT, EFBIG };
	uint32_t at = 1;

	(void)state;
	/* In turn: with the next call it is another error's turn.  All calls with all errors would say no more. */
	while (run_with(at, errors[at % ARRAY_LEN(errors)]))
		at++;
	print_message("%u calls\n", at - 1);
	assert_true(at > 40);
}

/* The same in a run that goes on with what is there: half of it, recorded by an orderly end. */
static void test_each_call_of_a_later_run_fails_once(void **state)
{
	static const int errors[] = { EIO, ENOSPC, EROFS, EDQUOT, EFBIG };
	uint32_t at, i, calls;

	(void)state;
	for (at = 1, calls = 1; calls >= at; at++) {
		rig_make(&rig, files, file_count, PIECE, false);
		rig_record(&rig);
		run.fails_at = 0;
		rig_start(&rig, false, false, BUDGET);
		assert_true(rig_until(&rig, rig_told));
		for (i = 0; i < 2; i++)
			rig_piece(&rig, i);
		assert_true(rig_until(&rig, rig_idle));
		rig_shutdown(&rig);
		rig_stop(&rig);
		run.fails_at = at;
		run.error = errors[at % ARRAY_LEN(errors)];
		atomic_store(&run.count, 0);
		atomic_store(&run.record, 0);
		rig_start(&rig, true, false, BUDGET);
		assert_true(rig_until(&rig, rig_told));
		if (!rig.errors)
			fetch_all();
		assert_told();
		rig_shutdown(&rig);
		rig_stop(&rig);
		calls = atomic_load(&run.count);
		run.fails_at = 0;
		rig_start(&rig, true, false, BUDGET);
		assert_true(rig_until(&rig, rig_told));
		assert_true(bitfield_get(rig.have, 0) && bitfield_get(rig.have, 1));
		fetch_all();
		assert_int_equal(rig.errors, 0);
		assert_true(rig_files_good(&rig));
		rig_free(&rig);
	}
	print_message("%u calls\n", calls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_each_call_fails_once, of_few),
		cmocka_unit_test_setup(test_each_call_of_a_later_run_fails_once, of_few),
		{ "test_each_call_fails_once (many files)", test_each_call_fails_once, of_lots, NULL, NULL },
		{ "test_each_call_of_a_later_run_fails_once (many files)", test_each_call_of_a_later_run_fails_once, of_lots, NULL, NULL },
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
