/*
 * test_parts.c - files that are not wanted are not made; what they share with
 * others is kept in the parts file, read from there, and moved into them when
 * they are wanted later.  The record of what is verified does not speak for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

static int hooked_fdatasync(int fd);
static int hooked_syncfs(int fd);

#define fdatasync hooked_fdatasync
#define syncfs hooked_syncfs
#include "disk_rig.h"
#undef fdatasync
#undef syncfs

#define PIECE (64u * 1024u)
#define BUDGET (8u * PIECE)

/*
 * Pieces: 0 is a; 1 a and b; 2 b; 3 b, empty, the padding, c; 4 and 5 c; 6 c and d.
 */
static const struct fixture_file many[] = {
	{ "a", 100000, 0 }, { "sub/b", 100000, 0 }, { "sub/empty", 0, 0 }, { ".pad/0", 8, METAINFO_FILE_PAD }, { "c", 200000, 0 }, { "d", 20000, 0 },
};
enum { A, B, EMPTY, PAD, C, D, FILES };

static struct rig rig;
static uint8_t level[FILES];

/* In order, what was synced: f a file, s all of them at once, p the parts, r the record.  By the slow lane; read when it has ended. */
static char synced[64];

static void note_sync(char what)
{
	size_t n = strlen(synced);

	if (n + 1 < sizeof synced)
		synced[n] = what;
}

static bool is_same_file(int fd, int other)
{
	struct stat a, b;

	return other >= 0 && fstat(fd, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int hooked_fdatasync(int fd)
{
	note_sync(is_same_file(fd, rig.parts) ? 'p' : is_same_file(fd, rig.record) ? 'r' : 'f');
	return fdatasync(fd);
}

static int hooked_syncfs(int fd)
{
	(void)fd;
	note_sync('s');
	return 0;
}

static int make(void **state)
{
	*state = &rig;
	rig_make(&rig, many, FILES, PIECE, false);
	rig.parts = openat(rig.root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return rig.parts >= 0 ? 0 : -1;
}

static int stop(void **state)
{
	rig_free(*state);
	return 0;
}

/* Runs a diskproc that wants these files, as a string of their letters; NULL: all, without a selection. */
static void start(struct rig *r, const char *letters, bool existing)
{
	static const char *const names = "abe.cd";
	uint32_t i;

	if (r->running)
		rig_stop(r);
	for (i = 0; i < FILES; i++)
		level[i] = letters && strchr(letters, names[i]) ? WANTED_NORMAL : WANTED_NOT;
	r->wanted = (struct wanted){ letters ? level : NULL, letters ? FILES : 0 };
	assert_null(wanted_check(&r->wanted, &r->m));
	rig_start(r, existing, false, BUDGET);
	assert_true(rig_until(r, rig_told));
	assert_int_equal(r->errors, 0);
}

static bool has_piece(const struct rig *r, uint32_t piece) { return bitfield_get(r->have, piece); }

/* The pieces that are wanted and not there. */
static uint32_t send_missing(struct rig *r)
{
	uint32_t i, n = 0;

	for (i = 0; i < r->m.h->piece_count; i++)
		if (!has_piece(r, i) && layout_wanted_of_piece(&r->m, &r->wanted, i)) {
			rig_piece(r, i);
			assert_true(rig_until(r, rig_idle));
			n++;
		}
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->errors, 0);
	assert_int_equal(r->completes, 1);
	return n;
}

static bool is_there(const struct rig *r, uint32_t file)
{
	struct stat st;

	return fstatat(r->root, many[file].path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Whether the file is what it should be, whole. */
static bool is_good(const struct rig *r, uint32_t file)
{
	static uint8_t is[200001], ought[200001];
	const struct metainfo_file *f = &metainfo_files(&r->m)[file];
	int fd = openat(r->root, many[file].path, O_RDONLY | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : pread(fd, is, sizeof is, 0);

	if (fd >= 0)
		close(fd);
	fixture_payload(&r->m, ought, f->offset, (size_t)f->length);
	return n == (ssize_t)f->length && !memcmp(is, ought, (size_t)n);
}

/* Data in the parts file, by the pages that it takes. */
static uint64_t parts_bytes(const struct rig *r)
{
	struct stat st;

	assert_int_equal(fstat(r->parts, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void test_only_the_wanted_files_are_made(void **state)
{
	struct rig *r = *state;

	start(r, "be", false);
	assert_int_equal(send_missing(r), 3);
	assert_int_equal(r->progress.verified_pieces, 3);
	assert_int_equal(r->progress.verified_bytes, 100000);
	assert_true(is_good(r, B));
	assert_true(is_there(r, EMPTY));
	assert_false(is_there(r, A) || is_there(r, C) || is_there(r, D) || is_there(r, PAD));
	/* The ends of a and c, and nothing else. */
	assert_true(parts_bytes(r) > 0 && parts_bytes(r) <= 2 * PIECE);
}

static void test_empty_files_that_are_not_wanted_are_not_made(void **state)
{
	struct rig *r = *state;

	start(r, "d", false);
	assert_int_equal(send_missing(r), 1);
	assert_true(is_good(r, D));
	assert_false(is_there(r, EMPTY) || is_there(r, B) || is_there(r, C));
}

static void test_a_block_of_a_piece_that_is_not_wanted_is_a_broken_contract(void **state)
{
	struct rig *r = *state;

	start(r, "b", false);
	rig_block(r, 4, 0, 0);
	assert_true(rig_until(r, rig_accused));
	assert_non_null(strstr((const char *)r->accused.text, "not wanted"));
}

static void test_what_is_shared_is_read_from_the_parts(void **state)
{
	static uint8_t ought[SLOT_BYTES];
	struct rig *r = *state;
	uint32_t i;

	start(r, "b", false);
	(void)send_missing(r);
	/* Over the border of a, which is in the parts, and b. */
	assert_true(rig_ask(r, 7, 1, 100000 - PIECE - 1000, 2000));
	for (i = 0; i < 1000 && !rig_count(r, MSG_DATA, 7); i++)
		rig_turn(r);
	assert_int_equal(rig_count(r, MSG_DATA, 7), 1);
	fixture_payload(&r->m, ought, 99000, 2000);
	for (i = 0; r->heard[i].type != MSG_DATA; i++)
		;
	assert_memory_equal(r->data + r->heard[i].detail, ought, 2000);
	/* And in a second run, which checks it. */
	start(r, "b", true);
	assert_int_equal(r->have_end, 3);
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
}

static void test_what_is_wanted_later_takes_its_bytes_from_the_parts(void **state)
{
	struct rig *r = *state;

	start(r, "b", false);
	(void)send_missing(r);
	start(r, "bc", true);
	assert_true(has_piece(r, 1) && has_piece(r, 2) && has_piece(r, 3));
	assert_false(has_piece(r, 4));
	/* 4, 5 and 6: none again that was verified. */
	assert_int_equal(send_missing(r), 3);
	assert_true(is_good(r, B) && is_good(r, C));
	assert_false(is_there(r, A) || is_there(r, D));
	start(r, NULL, true);
	assert_int_equal(send_missing(r), 1);
	assert_true(is_good(r, A) && is_good(r, B) && is_good(r, C) && is_good(r, D) && is_there(r, EMPTY));
	assert_true(rig_files_good(r));
	/* Nobody needs them any more. */
	assert_int_equal(lseek(r->parts, 0, SEEK_END), 0);
}

static void test_a_file_that_an_earlier_run_left_is_used(void **state)
{
	struct rig *r = *state;

	start(r, NULL, false);
	rig_piece(r, 0);
	rig_piece(r, 1);
	assert_true(rig_until(r, rig_idle));
	assert_true(is_there(r, A) && is_there(r, B));
	start(r, "b", true);
	assert_true(has_piece(r, 0) && has_piece(r, 1));
	assert_int_equal(r->d.store.wanted_verified, 1);
	assert_int_equal(send_missing(r), 2);
	assert_true(is_good(r, A) && is_good(r, B));
	assert_false(is_there(r, C));
}

static void test_a_file_is_not_overwritten_by_the_parts(void **state)
{
	struct rig *r = *state;
	uint8_t wrong[1000];
	int fd;

	start(r, "b", false);
	(void)send_missing(r);
	/* c is there, whole, when it is wanted later; what the parts say of it is worth nothing. */
	fd = openat(r->root, "c", O_CREAT | O_EXCL | O_WRONLY, 0644);
	for (uint32_t at = 0; at < 200000; at += 1000) {
		fixture_payload(&r->m, wrong, metainfo_files(&r->m)[C].offset + at, 1000);
		assert_int_equal(pwrite(fd, wrong, 1000, at), 1000);
	}
	close(fd);
	memset(wrong, 0x55, sizeof wrong);
	assert_int_equal(pwrite(r->parts, wrong, sizeof wrong, (off_t)metainfo_files(&r->m)[C].offset), (ssize_t)sizeof wrong);
	start(r, "bc", true);
	assert_true(is_good(r, C));
	assert_true(has_piece(r, 3) && has_piece(r, 4));
}

static void test_parts_of_another_download_are_not_believed(void **state)
{
	struct rig *r = *state;
	uint8_t wrong[PIECE];

	memset(wrong, 0x55, sizeof wrong);
	assert_int_equal(pwrite(r->parts, wrong, sizeof wrong, PIECE), (ssize_t)sizeof wrong);
	start(r, "b", true);
	assert_int_equal(r->have_end, 0);
	assert_int_equal(send_missing(r), 3);
	assert_true(is_good(r, B));
}

/* A download of b alone that ends in order, with a record of its pieces: 1, 2 and 3. */
static void download_b_with_a_record(struct rig *r)
{
	rig_record(r);
	start(r, "b", false);
	(void)send_missing(r);
	rig_shutdown(r);
	assert_int_equal(r->status, 0);
	rig_stop(r);
}

/* Which pieces the first check of this run read. */
static void assert_read(const struct rig *r, const uint32_t *pieces, uint32_t count)
{
	uint64_t bytes = 0;
	uint32_t i;

	for (i = 0; i < count; i++) {
		assert_true(bitfield_get(r->d.recall.doubtful, pieces[i]));
		bytes += metainfo_piece_bytes(&r->m, pieces[i]);
	}
	assert_int_equal(r->d.check.checked_bytes, bytes);
	assert_int_equal(r->d.known_bytes, r->m.h->total_length - bytes);
}

static void test_what_is_in_the_parts_is_read_in_spite_of_the_record(void **state)
{
	static const uint32_t shared[] = { 1, 3 };
	struct rig *r = *state;

	download_b_with_a_record(r);
	start(r, "b", true);
	assert_read(r, shared, ARRAY_LEN(shared));
	assert_int_equal(r->have_end, 3);
	assert_true(has_piece(r, 1) && has_piece(r, 2) && has_piece(r, 3));
}

static void test_parts_that_were_emptied_are_found_out_in_spite_of_the_record(void **state)
{
	static const uint32_t shared[] = { 1, 3 };
	struct rig *r = *state;

	download_b_with_a_record(r);
	assert_int_equal(ftruncate(r->parts, 0), 0);
	start(r, "b", true);
	assert_read(r, shared, ARRAY_LEN(shared));
	assert_int_equal(r->have_end, 1);
	assert_true(has_piece(r, 2));
	assert_int_equal(send_missing(r), 2);
	assert_true(is_good(r, B));
}

static void test_a_file_made_of_the_parts_is_read_in_spite_of_the_record(void **state)
{
	static const uint32_t of_a_and_c[] = { 1, 3, 4, 5, 6 };
	struct rig *r = *state;
	uint8_t wrong[1000];

	download_b_with_a_record(r);
	memset(wrong, 0x55, sizeof wrong);
	assert_int_equal(pwrite(r->parts, wrong, sizeof wrong, (off_t)metainfo_files(&r->m)[C].offset), (ssize_t)sizeof wrong);
	start(r, "bc", true);
	assert_true(is_there(r, C));
	assert_read(r, of_a_and_c, ARRAY_LEN(of_a_and_c));
	assert_int_equal(r->have_end, 2);
	assert_true(has_piece(r, 1) && has_piece(r, 2));
	assert_int_equal(send_missing(r), 4);
	assert_true(is_good(r, B) && is_good(r, C));
}

static void test_the_parts_are_synced_before_it_is_recorded(void **state)
{
	memset(synced, 0, sizeof synced);
	download_b_with_a_record(*state);
	if (!strstr(synced, "fpr"))
		fail_msg("synced: %s", synced);
}

/* They are elsewhere: one call for the file system of the files is none for them. */
static void test_the_parts_are_synced_when_all_files_are_synced_at_once(void **state)
{
	static struct fixture_file lots[1 + 34] = { { "a", 10000, 0 } };
	static char names[ARRAY_LEN(lots)][16];
	static uint8_t levels[ARRAY_LEN(lots)];
	struct rig *r = *state;
	uint32_t i;

	rig_free(r);
	for (i = 1; i < ARRAY_LEN(lots); i++) {
		snprintf(names[i], sizeof names[i], "f%u", i);
		lots[i] = (struct fixture_file){ .path = names[i], .length = 4000 };
		levels[i] = WANTED_NORMAL;
	}
	levels[0] = WANTED_NOT;
	rig_make(r, lots, ARRAY_LEN(lots), PIECE, false);
	r->parts = openat(r->root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	r->wanted = (struct wanted){ levels, ARRAY_LEN(lots) };
	assert_null(wanted_check(&r->wanted, &r->m));
	memset(synced, 0, sizeof synced);
	rig_record(r);
	rig_start(r, false, false, BUDGET);
	assert_true(rig_until(r, rig_told));
	assert_int_equal(send_missing(r), r->m.h->piece_count);
	rig_stop(r);
	if (!strstr(synced, "spr"))
		fail_msg("synced: %s", synced);
}

static void test_without_a_parts_file_it_fails_with_one_line(void **state)
{
	struct rig *r = *state;

	close(r->parts);
	r->parts = -1;
	start(r, "b", false);
	rig_piece(r, 1);
	assert_true(rig_until(r, rig_failed));
	assert_int_equal(r->error.act, DISK_ACT_PARTS);
	assert_true(r->error.file == UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_the_wanted_files_are_made, make, stop),
		cmocka_unit_test_setup_teardown(test_empty_files_that_are_not_wanted_are_not_made, make, stop),
		cmocka_unit_test_setup_teardown(test_a_block_of_a_piece_that_is_not_wanted_is_a_broken_contract, make, stop),
		cmocka_unit_test_setup_teardown(test_what_is_shared_is_read_from_the_parts, make, stop),
		cmocka_unit_test_setup_teardown(test_what_is_wanted_later_takes_its_bytes_from_the_parts, make, stop),
		cmocka_unit_test_setup_teardown(test_a_file_that_an_earlier_run_left_is_used, make, stop),
		cmocka_unit_test_setup_teardown(test_a_file_is_not_overwritten_by_the_parts, make, stop),
		cmocka_unit_test_setup_teardown(test_parts_of_another_download_are_not_believed, make, stop),
		cmocka_unit_test_setup_teardown(test_what_is_in_the_parts_is_read_in_spite_of_the_record, make, stop),
		cmocka_unit_test_setup_teardown(test_parts_that_were_emptied_are_found_out_in_spite_of_the_record, make, stop),
		cmocka_unit_test_setup_teardown(test_a_file_made_of_the_parts_is_read_in_spite_of_the_record, make, stop),
		cmocka_unit_test_setup_teardown(test_the_parts_are_synced_before_it_is_recorded, make, stop),
		cmocka_unit_test_setup_teardown(test_the_parts_are_synced_when_all_files_are_synced_at_once, make, stop),
		cmocka_unit_test_setup_teardown(test_without_a_parts_file_it_fails_with_one_line, make, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
