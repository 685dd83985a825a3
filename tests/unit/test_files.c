/*
 * test_files.c - files below the one root: what is made, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/resource.h>

/* Counts what is synced. */
#define fdatasync counted_fdatasync
#define syncfs counted_syncfs
static int counted_fdatasync(int fd);
static int counted_syncfs(int fd);
#include "../../diskproc/files.c"
#undef fdatasync
#undef syncfs
#include "../../diskproc/layout.c"
/* A file system that takes upper and lower case for one. */
static int folded_openat(int dir, const char *name, int flags, ...);
#define openat folded_openat
#include "../../diskproc/parts.c"
#include "../../diskproc/place.c"
#undef openat
#include "disk_fixture.h"

#define FILES 7
static const struct fixture_file table[FILES] = {
	{ "a/b/c/deep", 5000, 0 }, { "a/b/other", 3000, 0 }, { "empty/dir/nothing", 0, 0 },
	{ ".pad/1", 1000, METAINFO_FILE_PAD }, { "link", 0, METAINFO_FILE_SYMLINK }, { "top", 1, 0 },
	{ "last", 7, 0 },
};

static uint32_t syncs, whole_syncs;
static bool folding;

static int folded_openat(int dir, const char *name, int flags, ...)
{
	char folded[NAME_BYTES];
	size_t i;

	snprintf(folded, sizeof folded, "%s", name);
	for (i = 0; folding && folded[i]; i++)
		if (folded[i] >= 'A' && folded[i] <= 'Z')
			folded[i] = (char)(folded[i] + 'a' - 'A');
	return openat(dir, folded, flags, 0644);
}

static int counted_fdatasync(int fd)
{
	syncs++;
	return fdatasync(fd);
}

static int counted_syncfs(int fd)
{
	(void)fd;
	whole_syncs++;
	return 0;
}

struct box {
	char dir[64];
	int root;
	struct metainfo m;
	struct files *files;
	struct fault fault;
};

static int box_open(void **state)
{
	struct box *b = calloc(1, sizeof *b);

	snprintf(b->dir, sizeof b->dir, "/tmp/test_files.XXXXXX");
	if (!mkdtemp(b->dir))
		return -1;
	b->root = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fixture_form(&b->m, table, FILES, 4096, false);
	*state = b;
	return 0;
}

static int box_close(void **state)
{
	struct box *b = *state;
	char command[128];

	if (b->files)
		files_free(b->files);
	close(b->root);
	snprintf(command, sizeof command, "rm -rf '%s'", b->dir);
	fixture_form_free(&b->m);
	free(b);
	return system(command);
}

static void use(struct box *b, bool existing, bool read_only, uint32_t max_open)
{
	static const struct wanted all;
	struct files_options o = { .root = b->root, .single = -1, .existing = existing, .read_only = read_only,
				   .max_open = max_open, .threads = 1, .also_device = -1, .wanted = &all, .parts = -1 };

	if (b->files)
		files_free(b->files);
	b->files = files_new(&b->m, &o);
}

static int write_get(struct box *b, uint32_t file)
{
	return files_get(b->files, file, FILES_WRITE, &b->fault);
}

static void assert_foreign(struct box *b, uint32_t file)
{
	assert_int_equal(write_get(b, file), -1);
	assert_int_equal(b->fault.act, DISK_ACT_FOREIGN);
	assert_int_equal(b->fault.file, file);
}

static void test_first_write_makes_directories_and_a_plain_file_of_exact_length(void **state)
{
	struct box *b = *state;
	struct stat st;
	int fd;

	umask(0);
	use(b, false, false, 10);
	fd = write_get(b, 0);
	assert_true(fd >= 0);
	files_put(b->files, 0);
	assert_int_equal(fstatat(b->root, "a/b/c/deep", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(st.st_size, 5000);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(fstatat(b->root, "a/b", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(fstatat(b->root, "top", &st, AT_SYMLINK_NOFOLLOW), -1);
}

static void test_empty_files_are_made_and_padding_and_symlinks_are_not(void **state)
{
	struct box *b = *state;
	struct stat st;

	use(b, false, false, 10);
	assert_int_equal(files_prepare(b->files, &b->fault), 0);
	assert_int_equal(fstatat(b->root, "empty/dir/nothing", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(fstatat(b->root, ".pad", &st, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(fstatat(b->root, "link", &st, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(files_sync(b->files, NULL, &b->fault), 0);
}

static void test_reading_makes_nothing(void **state)
{
	struct box *b = *state;
	struct stat st;

	use(b, true, false, 10);
	assert_int_equal(files_get(b->files, 0, FILES_READ, &b->fault), -1);
	assert_int_equal(b->fault.act, 0);
	assert_int_equal(fstatat(b->root, "a", &st, AT_SYMLINK_NOFOLLOW), -1);
	/* And then it is made by a write all the same. */
	assert_true(write_get(b, 0) >= 0);
	files_put(b->files, 0);
}

static void test_anything_there_on_a_first_run_is_foreign(void **state)
{
	struct box *b = *state;
	int fd = openat(b->root, "top", O_CREAT | O_WRONLY, 0644);

	close(fd);
	use(b, false, false, 10);
	assert_foreign(b, 5);
	assert_int_equal(b->fault.error, EEXIST);
}

static void test_existing_file_is_taken_and_gets_its_length(void **state)
{
	struct box *b = *state;
	int fd = openat(b->root, "last", O_CREAT | O_WRONLY, 0600);
	struct stat st;

	assert_int_equal(write(fd, "short", 5), 5);
	close(fd);
	use(b, true, false, 10);
	fd = write_get(b, 6);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 7);
	files_put(b->files, 6);
}

/* What is behind its end is in no piece: it would be lost, whatever is verified. */
static void test_existing_file_that_is_longer_is_left_alone(void **state)
{
	struct box *b = *state;
	int fd = openat(b->root, "last", O_CREAT | O_WRONLY, 0600);
	struct stat st;

	assert_int_equal(write(fd, "too long", 8), 8);
	close(fd);
	use(b, true, false, 10);
	assert_int_equal(files_get(b->files, 6, FILES_READ, &b->fault), -1);
	assert_int_equal(b->fault.error, EFBIG);
	assert_foreign(b, 6);
	assert_int_equal(fstatat(b->root, "last", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_size, 8);
}

static void test_symlink_is_never_followed(void **state)
{
	struct box *b = *state;
	char outside[80];
	struct stat st;

	snprintf(outside, sizeof outside, "%s.outside", b->dir);
	assert_int_equal(symlinkat(outside, b->root, "top"), 0);
	use(b, true, false, 10);
	assert_foreign(b, 5);
	assert_int_equal(stat(outside, &st), -1);
	/* Nor one in place of a directory. */
	assert_int_equal(symlinkat("/tmp", b->root, "a"), 0);
	assert_foreign(b, 0);
	assert_int_equal(files_get(b->files, 0, FILES_READ, &b->fault), -1);
	assert_int_equal(b->fault.act, DISK_ACT_FOREIGN);
	assert_int_equal(stat("/tmp/b/c/deep", &st), -1);
}

static void test_second_hard_link_is_foreign(void **state)
{
	struct box *b = *state;

	close(openat(b->root, "top", O_CREAT | O_WRONLY, 0644));
	assert_int_equal(linkat(b->root, "top", b->root, "again", 0), 0);
	use(b, true, false, 10);
	assert_foreign(b, 5);
	assert_int_equal(b->fault.error, EMLINK);
}

#define TWINS 5
static const struct fixture_file twins[TWINS] = { { "a/one", 100, 0 }, { "two", 50, 0 }, { "A/ONE", 70, 0 }, { "empty", 0, 0 }, { "Empty", 0, 0 } };

static void assert_same(struct box *b, uint32_t file, uint32_t other)
{
	assert_int_equal(b->fault.act, DISK_ACT_SAME);
	assert_int_equal(b->fault.file, file);
	assert_int_equal(b->fault.other, other);
}

static void twins_begin(struct box *b)
{
	fixture_form_free(&b->m);
	fixture_form(&b->m, twins, TWINS, 4096, false);
	folding = true;
}

static void test_two_files_that_are_one_are_found_when_the_second_is_made(void **state)
{
	struct box *b = *state;
	struct stat st;
	int fd;

	twins_begin(b);
	use(b, false, false, 10);
	fd = write_get(b, 0);
	assert_true(fd >= 0);
	assert_true(write_get(b, 1) >= 0);
	assert_int_equal(write_get(b, 2), -1);
	assert_same(b, 2, 0);
	/* The first is as it was. */
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 100);
	files_put(b->files, 0);
	files_put(b->files, 1);
	assert_int_equal(files_prepare(b->files, &b->fault), -1);
	assert_same(b, 4, 3);
	folding = false;
}

static void test_two_files_that_are_one_are_found_by_a_later_run(void **state)
{
	struct box *b = *state;
	struct stat st;
	int fd;

	twins_begin(b);
	use(b, false, false, 10);
	assert_true(write_get(b, 0) >= 0);
	files_put(b->files, 0);
	use(b, true, false, 10);
	assert_int_equal(files_get(b->files, 2, FILES_READ, &b->fault), -1); /* it is longer: that of the first */
	assert_int_equal(b->fault.error, EFBIG);
	assert_int_equal(files_get(b->files, 0, FILES_READ, &b->fault), -1);
	assert_same(b, 0, 2);
	/* In the other order, and without a byte or a length being touched. */
	use(b, true, false, 10);
	fd = write_get(b, 0);
	assert_true(fd >= 0);
	assert_int_equal(write_get(b, 2), -1);
	assert_same(b, 2, 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 100);
	files_put(b->files, 0);
	folding = false;
}

static void test_a_file_is_not_taken_for_its_own_twin(void **state)
{
	struct box *b = *state;
	uint32_t round, i;

	twins_begin(b);
	folding = false;
	for (round = 0; round < 2; round++) {
		use(b, round, false, 1);
		for (i = 0; i < 2 * TWINS; i++) {
			assert_true(write_get(b, i % TWINS) >= 0);
			files_put(b->files, i % TWINS);
		}
	}
}

static void test_a_file_that_was_not_accepted_and_is_another_now_is_foreign(void **state)
{
	struct box *b = *state;
	struct rlimit most, least;

	twins_begin(b);
	folding = false;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &most), 0);
	least = most;
	least.rlim_cur = 10;
	(void)signal(SIGXFSZ, SIG_IGN);
	use(b, true, false, 10);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &least), 0);
	assert_int_equal(write_get(b, 0), -1); /* it is made; its length cannot be set */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &most), 0);
	assert_int_equal(b->fault.act, DISK_ACT_SIZE);
	assert_int_equal(write_get(b, 0), -1); /* there, though it was found absent: not for being its own twin */
	assert_int_equal(b->fault.act, DISK_ACT_FOREIGN);
	assert_int_equal(b->fault.error, EEXIST);
	/* Whatever its inode is now, no list of a bucket becomes a ring. */
	assert_int_equal(renameat(b->root, twins[0].path, b->root, "aside"), 0);
	assert_int_equal(write_get(b, 0), -1);
	assert_int_equal(b->fault.act, DISK_ACT_FOREIGN);
	assert_int_equal(b->fault.error, ESTALE);
}

static void test_what_is_only_read_may_be_linked_to_each_other(void **state)
{
	struct box *b = *state;
	static const struct fixture_file alike[2] = { { "one", 100, 0 }, { "two", 100, 0 } };
	int fd;

	fixture_form_free(&b->m);
	fixture_form(&b->m, alike, 2, 4096, false);
	fd = openat(b->root, "one", O_CREAT | O_WRONLY, 0644);
	assert_int_equal(ftruncate(fd, 100), 0);
	close(fd);
	assert_int_equal(linkat(b->root, "one", b->root, "two", 0), 0);
	use(b, true, true, 10);
	assert_int_equal(files_audit(b->files, &b->fault), 0);
}

static void test_fifo_and_directory_in_the_way_are_foreign_and_do_not_block(void **state)
{
	struct box *b = *state;

	assert_int_equal(mkfifoat(b->root, "top", 0644), 0);
	assert_int_equal(mkdirat(b->root, "a", 0755), 0);
	assert_int_equal(mkdirat(b->root, "a/b", 0755), 0);
	assert_int_equal(mkdirat(b->root, "a/b/other", 0755), 0);
	use(b, true, false, 10);
	assert_foreign(b, 5);
	assert_foreign(b, 1);
	assert_int_equal(files_get(b->files, 5, FILES_READ, &b->fault), -1);
	assert_int_equal(b->fault.act, DISK_ACT_FOREIGN);
}

static void test_file_in_place_of_a_directory_is_foreign(void **state)
{
	struct box *b = *state;

	close(openat(b->root, "a", O_CREAT | O_WRONLY, 0644));
	use(b, true, false, 10);
	assert_foreign(b, 0);
}

static void test_least_used_descriptor_is_closed_and_opened_again(void **state)
{
	struct box *b = *state;
	int i;

	use(b, false, false, 1); /* raised to one for each worker and three */
	for (i = 0; i < 10; i++) {
		static const uint32_t order[] = { 0, 1, 5, 2, 0, 2, 5, 1, 0, 5 };
		int fd = write_get(b, order[i]);

		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, "x", table[order[i]].length != 0, 0), table[order[i]].length != 0);
		files_put(b->files, order[i]);
	}
	assert_int_equal(b->files->used, 4);
	assert_int_equal(files_sync(b->files, NULL, &b->fault), 0);
}

static void test_file_that_changed_under_us_is_foreign(void **state)
{
	struct box *b = *state;
	uint32_t i;

	use(b, false, false, 1);
	assert_true(write_get(b, 0) >= 0);
	files_put(b->files, 0);
	/* Four handles: four other files close it. */
	for (i = 0; i < 8; i++) {
		static const uint32_t others[] = { 1, 2, 5, 6 };

		assert_true(write_get(b, others[i % 4]) >= 0);
		files_put(b->files, others[i % 4]);
	}
	assert_int_equal(b->files->entries[0].slot, 0);
	{
		int fd = openat(b->root, "a/b/c/deep", O_WRONLY);

		assert_int_equal(ftruncate(fd, 10), 0);
		close(fd);
	}
	assert_foreign(b, 0);
	assert_int_equal(unlinkat(b->root, "a/b/c/deep", 0), 0);
	assert_int_equal(write_get(b, 0), -1);
	assert_int_equal(b->fault.act, DISK_ACT_OPEN);
	assert_int_equal(b->fault.error, ENOENT);
}

static void test_read_only_audit_wants_every_file_with_its_length(void **state)
{
	struct box *b = *state;
	uint32_t i;

	use(b, false, false, 10);
	for (i = 0; i < FILES; i++)
		if (metainfo_on_disk(&metainfo_files(&b->m)[i]) && write_get(b, i) >= 0)
			files_put(b->files, i);
	use(b, true, true, 10);
	assert_int_equal(files_audit(b->files, &b->fault), 0);
	{
		int fd = openat(b->root, "top", O_WRONLY);

		assert_int_equal(ftruncate(fd, 2), 0);
		close(fd);
	}
	assert_int_equal(files_audit(b->files, &b->fault), -1);
	assert_int_equal(b->fault.act, DISK_ACT_FOREIGN);
	assert_int_equal(b->fault.file, 5);
}

static void test_write_that_ends_after_a_sync_is_synced_by_the_next(void **state)
{
	struct box *b = *state;
	int fd;

	use(b, false, false, 10);
	fd = write_get(b, 0);
	assert_true(fd >= 0);
	assert_int_equal(files_sync(b->files, NULL, &b->fault), 0);
	/* The worker that holds the file comes to its write only now. */
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	files_wrote(b->files, 0);
	files_put(b->files, 0);
	syncs = 0;
	assert_int_equal(files_sync(b->files, NULL, &b->fault), 0);
	assert_int_equal(syncs, 1);
	assert_int_equal(files_sync(b->files, NULL, &b->fault), 0);
	assert_int_equal(syncs, 1);
}

/* `count` files, each written, of which only a few stay open.  What the sync says of them is what they are. */
static void write_and_sync(struct box *b, uint32_t count)
{
	static const struct wanted all;
	struct files_options o = { .root = b->root, .single = -1, .max_open = 5, .threads = 1, .also_device = -1, .wanted = &all, .parts = -1 };
	struct fixture_file rows[50] = { { 0 } };
	struct record_file seen[50] = { { 0 } };
	char names[50][16];
	struct metainfo m;
	struct files *f;
	struct stat st;
	uint32_t i;

	for (i = 0; i < count; i++) {
		snprintf(names[i], sizeof names[i], "%u/%u", count, i);
		rows[i] = (struct fixture_file){ .path = names[i], .length = 10 };
	}
	fixture_form(&m, rows, count, 4096, false);
	f = files_new(&m, &o);
	for (i = 0; i < count; i++) {
		int fd = files_get(f, i, FILES_WRITE, &b->fault);

		assert_int_equal(pwrite(fd, "x", 1, 0), 1);
		files_wrote(f, i);
		files_put(f, i);
	}
	syncs = whole_syncs = 0;
	assert_int_equal(files_sync(f, seen, &b->fault), 0);
	for (i = 0; i < count; i++) {
		assert_int_equal(fstatat(b->root, names[i], &st, 0), 0);
		assert_int_equal(seen[i].inode, st.st_ino);
		assert_int_equal(seen[i].mtime_ns, (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec);
		assert_true(files_are_as(f, i, &seen[i], true));
		seen[i].mtime_ns++;
		assert_false(files_are_as(f, i, &seen[i], true));
	}
	files_free(f);
	fixture_form_free(&m);
}

static void test_few_files_are_synced_one_by_one_and_many_at_once(void **state)
{
	write_and_sync(*state, 32);
	assert_int_equal(syncs, 32);
	assert_int_equal(whole_syncs, 0);
	write_and_sync(*state, 33);
	assert_int_equal(syncs, 0);
	assert_int_equal(whole_syncs, 1);
}

static void test_single_file_with_two_names_is_refused(void **state)
{
	struct box *b = *state;
	const struct fixture_file one[] = { { "name", 100, 0 } };
	static const struct wanted all;
	struct files_options o = { .root = -1, .threads = 1, .also_device = -1, .wanted = &all, .parts = -1 };
	struct metainfo m;
	struct files *f;

	fixture_form(&m, one, 1, 4096, true);
	o.single = openat(b->root, "name", O_CREAT | O_EXCL | O_RDWR, 0644);
	f = files_new(&m, &o);
	assert_true(files_get(f, 0, FILES_WRITE, &b->fault) == o.single);
	files_put(f, 0);
	assert_int_equal(lseek(o.single, 0, SEEK_END), 100);
	files_free(f);
	assert_int_equal(linkat(b->root, "name", b->root, "again", 0), 0);
	f = files_new(&m, &o);
	assert_int_equal(files_get(f, 0, FILES_WRITE, &b->fault), -1);
	assert_int_equal(b->fault.act, DISK_ACT_FOREIGN);
	assert_int_equal(files_prepare(f, &b->fault), -1);
	files_free(f);
	close(o.single);
	fixture_form_free(&m);
}

static void put(struct box *b, const char *path, off_t length)
{
	int fd = openat(b->root, path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, length), 0);
	close(fd);
}

static void test_a_report_tells_how_each_file_stands(void **state)
{
	static const struct wanted all;
	struct files_options o = { .single = -1, .read_only = true, .report = true, .max_open = 10, .threads = 1, .also_device = -1,
				   .wanted = &all, .parts = -1 };
	uint8_t states[FILES];
	struct box *b = *state;

	assert_int_equal(mkdirat(b->root, "a", 0700), 0);
	assert_int_equal(mkdirat(b->root, "a/b", 0700), 0);
	assert_int_equal(mkdirat(b->root, "a/b/c", 0700), 0);
	put(b, "a/b/c/deep", 4999);
	put(b, "a/b/other", 3000);
	put(b, "empty", 0); /* where a directory should be */
	put(b, "top", 2);
	o.root = b->root;
	b->files = files_new(&b->m, &o);
	assert_int_equal(files_get(b->files, 6, FILES_READ, &b->fault), -1);
	assert_int_equal(b->fault.act, 0);
	assert_int_equal(files_get(b->files, 2, FILES_READ, &b->fault), -1);
	assert_int_equal(b->fault.act, 0);
	assert_true(files_tolerate(b->files, 1));
	files_states(b->files, states);
	assert_int_equal(states[0], FILE_SHORT);
	assert_int_equal(states[1], FILE_UNREADABLE);
	assert_int_equal(states[2], FILE_FOREIGN);
	assert_int_equal(states[3], FILE_THERE); /* padding */
	assert_int_equal(states[4], FILE_THERE); /* a link is never made */
	assert_int_equal(states[5], FILE_LONG);
	assert_int_equal(states[6], FILE_MISSING);
}

static void test_without_a_report_nothing_is_tolerated(void **state)
{
	struct box *b = *state;

	put(b, "empty", 0);
	use(b, true, true, 10);
	assert_false(files_tolerate(b->files, 1));
	assert_int_equal(files_get(b->files, 2, FILES_READ, &b->fault), -1);
	assert_int_equal(b->fault.act, DISK_ACT_FOREIGN);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, box_open, box_close)
	const struct CMUnitTest tests[] = {
		T(test_first_write_makes_directories_and_a_plain_file_of_exact_length),
		T(test_empty_files_are_made_and_padding_and_symlinks_are_not),
		T(test_reading_makes_nothing),
		T(test_anything_there_on_a_first_run_is_foreign),
		T(test_existing_file_is_taken_and_gets_its_length),
		T(test_existing_file_that_is_longer_is_left_alone),
		T(test_symlink_is_never_followed),
		T(test_second_hard_link_is_foreign),
		T(test_two_files_that_are_one_are_found_when_the_second_is_made),
		T(test_two_files_that_are_one_are_found_by_a_later_run),
		T(test_a_file_is_not_taken_for_its_own_twin),
		T(test_a_file_that_was_not_accepted_and_is_another_now_is_foreign),
		T(test_what_is_only_read_may_be_linked_to_each_other),
		T(test_fifo_and_directory_in_the_way_are_foreign_and_do_not_block),
		T(test_file_in_place_of_a_directory_is_foreign),
		T(test_least_used_descriptor_is_closed_and_opened_again),
		T(test_file_that_changed_under_us_is_foreign),
		T(test_write_that_ends_after_a_sync_is_synced_by_the_next),
		T(test_few_files_are_synced_one_by_one_and_many_at_once),
		T(test_read_only_audit_wants_every_file_with_its_length),
		T(test_single_file_with_two_names_is_refused),
		T(test_a_report_tells_how_each_file_stands),
		T(test_without_a_report_nothing_is_tolerated),
	};

	return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
