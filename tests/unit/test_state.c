/*
 * test_state.c - the records of downloads: what is believed, what counts as none, which directories are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../parent/screen.c"
#include "../../parent/seeding.c"
#include "../../parent/stream.c"
#include "../../parent/state.c"
#include "../../parent/text.c"

static char folder[64]; /* has "state", and NAME.part as "part" and "other" */
static int top, dir, part, other;
static struct state s;
static char error[700];
static const uint8_t hash[20] = { 0xab, 1, 2, 3 };

static int set_up(void **state)
{
	char path[96];

	(void)state;
	snprintf(folder, sizeof folder, "/tmp/test_state.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof path, "%s/state", folder);
	dir = state_directory(path, error, sizeof error);
	part = openat(top, "part", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	other = openat(top, "other", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	state_init(&s);
	return dir < 0 || part < 0 || other < 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	state_close(&s);
	close(part);
	close(other);
	close(dir);
	close(top);
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command);
}

static void find(void)
{
	state_close(&s);
	if (state_find(&s, dir, hash, top, error, sizeof error) < 0)
		fail_msg("%s", error);
}

static void claim(void)
{
	if (state_claim(&s, part, error, sizeof error) < 0)
		fail_msg("%s", error);
}

/* Writes over what the record's file has at this place. */
static void damage(off_t at, size_t bytes)
{
	static const char noise[SLOT_STRIDE * 2] = "noise";

	assert_int_equal(pwrite(s.fd, noise, bytes, at), bytes);
}

static uint32_t records(void)
{
	DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *e;
	uint32_t n = 0;

	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void test_only_what_was_claimed_is_known(void **state)
{
	(void)state;
	find();
	assert_false(state_knows(&s, part));
	assert_int_equal(records(), 0);
	claim();
	assert_true(state_knows(&s, part));
	assert_false(state_knows(&s, other));
	find();
	assert_true(state_knows(&s, part));
	assert_false(state_knows(&s, other));
}

static void test_a_record_is_plain_private_and_of_fixed_size(void **state)
{
	struct stat st;
	int i;

	(void)state;
	umask(0);
	find();
	claim();
	for (i = 0; i < 5; i++)
		assert_int_equal(state_end(&s, 1, 1, false), 0);
	assert_int_equal(fstatat(dir, s.name, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, SLOT_STRIDE + sizeof(struct state_record));
	assert_int_equal(fstat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_an_inode_that_was_used_again_is_not_known(void **state)
{
	(void)state;
	find();
	claim();
	if (!s.record.part.birth_ns)
		skip();
	s.record.part.birth_ns++;
	assert_int_equal(write_slot(&s), 0);
	find();
	assert_false(state_knows(&s, part));
}

static void test_a_device_that_was_numbered_anew_is_known_by_its_birth(void **state)
{
	struct state_identity a = { .device = 1, .inode = 2, .birth_ns = 3 }, b = { .device = 9, .inode = 2, .birth_ns = 3 };

	(void)state;
	assert_true(is_same(&a, &b));
	/* Without a time of birth nothing else tells them apart. */
	a.birth_ns = b.birth_ns = 0;
	assert_false(is_same(&a, &b));
	b.device = 1;
	assert_true(is_same(&a, &b));
	b.inode = 3;
	assert_false(is_same(&a, &b));
}

static void test_totals_grow_and_do_not_wrap(void **state)
{
	(void)state;
	find();
	claim();
	assert_int_equal(state_end(&s, 5, 7, false), 0);
	find();
	assert_int_equal(state_end(&s, 1, 1, false), 0);
	find();
	assert_int_equal(s.record.uploaded, 6);
	assert_int_equal(s.record.downloaded, 8);
	assert_int_equal(state_end(&s, UINT64_MAX, 1, false), 0);
	assert_true(s.record.uploaded == UINT64_MAX);
	/* They are of that NAME.part. */
	claim();
	assert_int_equal(s.record.downloaded, 9);
	assert_int_equal(state_claim(&s, other, error, sizeof error), 0);
	assert_int_equal(s.record.downloaded, 0);
}

static void test_a_write_that_was_cut_short_leaves_the_one_before(void **state)
{
	uint64_t sequence;

	(void)state;
	find();
	claim();
	assert_int_equal(state_end(&s, 0, 100, false), 0);
	sequence = s.record.sequence;
	damage((off_t)(sequence % 2) * SLOT_STRIDE + 50, 10);
	find();
	assert_true(state_knows(&s, part));
	assert_int_equal(s.record.sequence, sequence - 1);
	assert_int_equal(s.record.downloaded, 0);
	/* The next goes where the damage is. */
	assert_int_equal(state_end(&s, 0, 3, false), 0);
	find();
	assert_int_equal(s.record.sequence, sequence);
	assert_int_equal(s.record.downloaded, 3);
}

static void test_a_damaged_record_counts_as_none(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(struct state_record); i++) {
		uint8_t byte;

		find();
		claim();
		assert_true(state_knows(&s, part));
		assert_int_equal(ftruncate(s.fd, 0), 0);
		assert_int_equal(write_slot(&s), 0);
		assert_int_equal(pread(s.fd, &byte, 1, (off_t)(s.record.sequence % 2) * SLOT_STRIDE + (off_t)i), 1);
		byte ^= 0x10;
		assert_int_equal(pwrite(s.fd, &byte, 1, (off_t)(s.record.sequence % 2) * SLOT_STRIDE + (off_t)i), 1);
		find();
		if (state_knows(&s, part))
			fail_msg("byte %zu was changed, and it was believed", i);
	}
	damage(0, 2 * SLOT_STRIDE);
	find();
	assert_false(state_knows(&s, part));
	assert_int_equal(ftruncate(s.fd, 0), 0);
	find();
	assert_false(state_knows(&s, part));
	claim();
	find();
	assert_true(state_knows(&s, part));
}

static void test_a_record_of_another_torrent_or_version_counts_as_none(void **state)
{
	(void)state;
	find();
	claim();
	s.record.info_hash[3] ^= 1;
	assert_int_equal(write_slot(&s), 0);
	find();
	assert_false(state_knows(&s, part));
	claim();
	s.record.version = VERSION + 1;
	assert_int_equal(write_slot(&s), 0);
	s.record.version = VERSION + 1;
	assert_int_equal(write_slot(&s), 0);
	find();
	assert_false(state_knows(&s, part));
}

static void test_what_is_no_record_gives_way(void **state)
{
	char name[sizeof s.name];
	int kind;

	(void)state;
	find();
	memcpy(name, s.name, sizeof name);
	for (kind = 0; kind < 3; kind++) {
		if (kind == 0)
			assert_int_equal(symlinkat("../other", dir, name), 0);
		else if (kind == 1)
			assert_int_equal(mkfifoat(dir, name, 0600), 0);
		else
			assert_int_equal(linkat(top, "other", dir, name, 0), 0);
		find();
		assert_false(state_knows(&s, part));
		claim();
		find();
		assert_true(state_knows(&s, part));
		assert_int_equal(lseek(other, 0, SEEK_END), 0);
		assert_int_equal(unlinkat(dir, name, 0), 0);
	}
	assert_int_equal(mkdirat(dir, name, 0700), 0);
	find();
	assert_int_equal(state_claim(&s, part, error, sizeof error), -1);
	assert_non_null(strstr(error, "--state-dir"));
}

static void test_a_record_that_another_bulkhead_holds_is_said(void **state)
{
	struct state second;

	(void)state;
	find();
	claim();
	assert_int_equal(state_find(&second, dir, hash, top, error, sizeof error), -1);
	assert_non_null(strstr(error, "is being downloaded already"));
	assert_int_equal(second.fd, -1);
}

static int open_again(void)
{
	char path[96];
	int fd;

	snprintf(path, sizeof path, "%s/state", folder);
	fd = state_directory(path, error, sizeof error);
	if (fd >= 0)
		close(fd);
	return fd;
}

/* As if the record had not changed for so long. */
static void age(uint32_t seconds)
{
	const struct timespec past[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = time(NULL) - (time_t)seconds } };

	assert_int_equal(futimens(s.fd, past), 0);
}

static void test_only_old_records_of_finished_downloads_are_removed(void **state)
{
	(void)state;
	find();
	claim();
	assert_int_equal(close(openat(dir, "something", O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(state_end(&s, 0, 3, false), 0);
	state_close(&s);
	assert_true(open_again() >= 0);
	assert_int_equal(records(), 3); /* with that of its pieces */
	find();
	age(STATE_KEEP_S + 100);
	state_close(&s);
	assert_true(open_again() >= 0);
	assert_int_equal(records(), 3);
	find();
	assert_int_equal(state_end(&s, 0, 0, true), 0);
	assert_false(state_knows(&s, part));
	age(STATE_KEEP_S - 100);
	state_close(&s);
	assert_true(open_again() >= 0);
	assert_int_equal(records(), 3);
	find();
	age(STATE_KEEP_S + 100);
	/* It is held. */
	assert_true(open_again() >= 0);
	assert_int_equal(records(), 3);
	state_close(&s);
	assert_true(open_again() >= 0);
	assert_int_equal(records(), 1);
}

/* ---- the record of the pieces */

static void have_path(char path[200])
{
	snprintf(path, 200, "%s" HAVE, s.name);
}

static void test_the_record_of_the_pieces_is_plain_private_and_kept(void **state)
{
	char name[200];
	struct stat st;

	(void)state;
	umask(0);
	find();
	assert_int_equal(s.have, -1);
	claim();
	have_path(name);
	assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(write(s.have, "pieces", 6), 6);
	find();
	assert_true(state_knows(&s, part));
	state_open_have(&s);
	assert_int_equal(fstat(s.have, &st), 0);
	assert_int_equal(st.st_size, 6);
	/* A claim of what is known leaves it; of something else, it says nothing any more. */
	find();
	claim();
	assert_int_equal(fstat(s.have, &st), 0);
	assert_int_equal(st.st_size, 6);
	find();
	assert_int_equal(state_claim(&s, other, error, sizeof error), 0);
	assert_int_equal(fstat(s.have, &st), 0);
	assert_int_equal(st.st_size, 0);
}

static void test_what_stands_in_place_of_the_record_of_the_pieces_gives_way(void **state)
{
	char name[200], outside[200];
	struct stat st;
	int fd, i;

	(void)state;
	for (i = 0; i < 3; i++) {
		find();
		claim();
		have_path(name);
		find();
		assert_int_equal(unlinkat(dir, name, 0), 0);
		fd = openat(top, "outside", O_CREAT | O_RDWR | O_TRUNC, 0600);
		assert_int_equal(write(fd, "precious", 8), 8);
		snprintf(outside, sizeof outside, "%s/outside", folder);
		if (i == 0)
			assert_int_equal(symlinkat(outside, dir, name), 0);
		else if (i == 1)
			assert_int_equal(linkat(top, "outside", dir, name, 0), 0);
		else
			assert_int_equal(mkfifoat(dir, name, 0600), 0);
		state_open_have(&s);
		assert_true(s.have >= 0);
		assert_int_equal(fstat(s.have, &st), 0);
		assert_true(S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_size == 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, 8);
		assert_int_equal(st.st_nlink, 1);
		close(fd);
	}
}

static void test_a_download_goes_on_without_a_record_of_the_pieces(void **state)
{
	char name[200];

	(void)state;
	find();
	claim();
	have_path(name);
	find();
	assert_int_equal(unlinkat(dir, name, 0), 0);
	assert_int_equal(mkdirat(dir, name, 0700), 0);
	claim();
	assert_true(state_knows(&s, part));
	assert_int_equal(s.have, -1);
}

static void test_parts_go_with_a_record_that_has_all_files(void **state)
{
	int fd;

	(void)state;
	find();
	claim();
	assert_int_equal(state_set_partial(&s, true, error, sizeof error), 0);
	assert_int_equal(state_parts(&s, true, true, &fd, error, sizeof error), 0);
	/* Payload that looks like a record is none. */
	assert_int_equal(pwrite(fd, &s.record, sizeof s.record, 0), (ssize_t)sizeof s.record);
	close(fd);
	assert_int_equal(state_end(&s, 0, 3, true), 0);
	state_close(&s);
	assert_true(open_again() >= 0);
	assert_int_equal(records(), 3); /* with that of its pieces */
	find();
	assert_int_equal(state_reopen(&s, part, error, sizeof error), 1);
	assert_true(state_knows(&s, part));
	assert_int_equal(state_parts(&s, false, false, &fd, error, sizeof error), 0);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(state_set_partial(&s, false, error, sizeof error), 0);
	assert_int_equal(state_end(&s, 0, 3, true), 0);
	assert_int_equal(state_reopen(&s, part, error, sizeof error), 0);
	age(STATE_KEEP_S + 100);
	state_close(&s);
	assert_true(open_again() >= 0);
	assert_int_equal(records(), 0);
}

static void test_a_parts_file_that_is_a_link_is_refused(void **state)
{
	char name[BESIDE_NAME];
	int fd = 7;

	(void)state;
	find();
	claim();
	assert_int_equal(symlinkat("/etc/passwd", dir, beside(name, &s, PARTS)), 0);
	assert_int_equal(state_parts(&s, false, true, &fd, error, sizeof error), -1);
	assert_int_equal(fd, -1);
	/* Of a NAME.part that is new, whatever is there goes. */
	assert_int_equal(state_parts(&s, true, true, &fd, error, sizeof error), 0);
	close(fd);
	assert_int_equal(state_parts(&s, true, false, &fd, error, sizeof error), 0);
	assert_int_equal(fd, -1);
}

static void test_a_directory_that_others_may_write_is_refused(void **state)
{
	static const mode_t bad[] = { 0777, 0720, 0702, 01777 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(fchmod(dir, bad[i]), 0);
		assert_int_equal(open_again(), -1);
		assert_non_null(strstr(error, "others may write"));
		assert_non_null(strstr(error, "--state-dir"));
	}
	assert_int_equal(fchmod(dir, 0755), 0);
	assert_true(open_again() >= 0);
	if (geteuid() == 0) {
		assert_int_equal(fchown(dir, 12345, 12345), 0);
		assert_int_equal(open_again(), -1);
		assert_non_null(strstr(error, "belongs to somebody else"));
	}
}

/* As root also for a link of another user. */
static void test_links_of_somebody_else_lead_to_no_directory(void **state)
{
	char path[160];
	struct stat here, there;
	int fd;

	(void)state;
	assert_int_equal(symlinkat("state", top, "link"), 0);
	assert_int_equal(symlinkat(folder, top, "all"), 0);
	assert_int_equal(symlinkat("loop", top, "loop"), 0);
	snprintf(path, sizeof path, "%s/all/link/../link//new/deeper/", folder);
	fd = state_directory(path, error, sizeof error);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &here), 0);
	close(fd);
	assert_int_equal(fstatat(dir, "new/deeper", &there, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(here.st_ino == there.st_ino && (there.st_mode & 0777) == 0700);
	snprintf(path, sizeof path, "%s/loop/x", folder);
	assert_int_equal(state_directory(path, error, sizeof error), -1);
	assert_non_null(strstr(error, "too many of them"));
	if (geteuid() != 0)
		return;
	assert_int_equal(fchownat(top, "link", 12345, 12345, AT_SYMLINK_NOFOLLOW), 0);
	snprintf(path, sizeof path, "%s/link", folder);
	assert_int_equal(state_directory(path, error, sizeof error), -1);
	assert_non_null(strstr(error, "a symbolic link of somebody else"));
	snprintf(path, sizeof path, "%s/link/beyond", folder);
	assert_int_equal(state_directory(path, error, sizeof error), -1);
	assert_int_equal(fstatat(dir, "beyond", &there, AT_SYMLINK_NOFOLLOW), -1);
}

static void test_a_part_is_found_in_the_record_of_another_torrent(void **state)
{
	static const uint8_t another[20] = { 0xcd, 9 };
	struct state t;
	char torrent[41];

	(void)state;
	find();
	claim();
	assert_false(state_is_others(&s, part, torrent)); /* one's own */
	state_close(&s);
	assert_int_equal(state_find(&t, dir, another, top, error, sizeof error), 0);
	assert_false(state_is_others(&t, other, torrent));
	assert_true(state_is_others(&t, part, torrent));
	assert_string_equal(torrent, "ab01020300000000000000000000000000000000");
	find();
	assert_int_equal(state_end(&s, 1, 1, true), 0);
	state_close(&s);
	assert_false(state_is_others(&t, part, torrent)); /* a finished one is NAME, and its name was free */
	state_close(&t);
}

static void test_the_usual_directory_follows_the_environment(void **state)
{
	char path[PATH_MAX], made[96];
	struct stat st;
	int fd;

	(void)state;
	setenv("XDG_STATE_HOME", "/x", 1);
	setenv("HOME", "/h", 1);
	assert_true(directory_path(path, NULL) > 0);
	assert_string_equal(path, "/x/bulkhead");
	assert_true(directory_path(path, "here") > 0);
	assert_string_equal(path, "here");
	setenv("XDG_STATE_HOME", "relative", 1);
	assert_true(directory_path(path, NULL) > 0);
	assert_string_equal(path, "/h/.local/state/bulkhead");
	setenv("XDG_STATE_HOME", "", 1);
	unsetenv("HOME");
	assert_int_equal(state_directory(NULL, error, sizeof error), -1);
	assert_non_null(strstr(error, "neither XDG_STATE_HOME nor HOME"));
	/* All that is missing of the way is made, for the user alone. */
	snprintf(made, sizeof made, "%s/a", folder);
	setenv("HOME", made, 1);
	fd = state_directory(NULL, error, sizeof error);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(fstatat(top, "a/.local/state/bulkhead", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	setenv("HOME", "/proc/self", 1);
	assert_int_equal(state_directory(NULL, error, sizeof error), -1);
	assert_non_null(strstr(error, "name another one with --state-dir"));
	memset(path, 'x', sizeof path);
	path[sizeof path - 1] = 0;
	assert_int_equal(state_directory(path, error, sizeof error), -1);
	assert_non_null(strstr(error, "too long"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_only_what_was_claimed_is_known),
		T(test_a_record_is_plain_private_and_of_fixed_size),
		T(test_an_inode_that_was_used_again_is_not_known),
		T(test_a_device_that_was_numbered_anew_is_known_by_its_birth),
		T(test_totals_grow_and_do_not_wrap),
		T(test_a_write_that_was_cut_short_leaves_the_one_before),
		T(test_a_damaged_record_counts_as_none),
		T(test_a_record_of_another_torrent_or_version_counts_as_none),
		T(test_what_is_no_record_gives_way),
		T(test_a_record_that_another_bulkhead_holds_is_said),
		T(test_only_old_records_of_finished_downloads_are_removed),
		T(test_the_record_of_the_pieces_is_plain_private_and_kept),
		T(test_what_stands_in_place_of_the_record_of_the_pieces_gives_way),
		T(test_a_download_goes_on_without_a_record_of_the_pieces),
		T(test_parts_go_with_a_record_that_has_all_files),
		T(test_a_parts_file_that_is_a_link_is_refused),
		T(test_a_directory_that_others_may_write_is_refused),
		T(test_links_of_somebody_else_lead_to_no_directory),
		T(test_a_part_is_found_in_the_record_of_another_torrent),
		T(test_the_usual_directory_follows_the_environment),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
