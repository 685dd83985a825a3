/*
 * test_wanted.c - the list of wanted files: sealed, read, checked; what it adds
 * up to; and of which level each piece is.
 */
#include "../../ipc/wanted.h"
#include "../../netproc/wanted_pieces.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "bitfield.h"

#define FILES 8u

/* Only what wanted*.c looks at. */
static struct {
	struct metainfo_header h;
	struct metainfo_file file[FILES];
} form;
static struct metainfo m = { .h = &form.h, .base = (const uint8_t *)&form, .bytes = sizeof form };

/* Files of these lengths; the one numbered `pad` is padding. */
static void make_form(const uint64_t *lengths, uint32_t files, uint32_t piece_length, uint32_t pad)
{
	uint64_t at = 0;
	uint32_t i;

	memset(&form, 0, sizeof form);
	for (i = 0; i < files; i++) {
		form.file[i] = (struct metainfo_file){ .offset = at, .length = lengths[i], .flags = i == pad ? METAINFO_FILE_PAD : 0 };
		at += lengths[i];
	}
	form.h.files = (uint32_t)((const uint8_t *)form.file - (const uint8_t *)&form);
	form.h.file_count = files;
	form.h.piece_length = piece_length;
	form.h.total_length = at;
	form.h.piece_count = (uint32_t)((at + piece_length - 1) / piece_length);
}
#define FORM(piece_length, pad, ...) \
	make_form((const uint64_t[]){ __VA_ARGS__ }, sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t), piece_length, pad)

/* One digit for each file; NULL when it fits, or what is wrong. */
static const char *check(const char *levels)
{
	uint8_t bytes[FILES];
	struct wanted w;
	const char *wrong;
	size_t i;
	int fd;

	for (i = 0; levels[i]; i++)
		bytes[i] = (uint8_t)(levels[i] - '0');
	fd = wanted_seal(bytes, (uint32_t)i);
	assert_true(fd >= 0);
	wrong = wanted_read(&w, fd);
	close(fd);
	if (!wrong)
		wrong = wanted_check(&w, &m);
	wanted_release(&w);
	return wrong;
}

static void test_a_list_that_fits_is_taken(void **state)
{
	struct wanted w;

	(void)state;
	FORM(100, 1, 50, 50, 30);
	assert_null(check("301"));
	assert_null(check("000"));
	/* None at all: everything is wanted. */
	assert_null(wanted_read(&w, -1));
	assert_null(wanted_check(&w, &m));
	assert_int_equal(wanted_level(&w, 1), WANTED_NORMAL);
}

static void test_a_list_of_another_length_is_refused(void **state)
{
	(void)state;
	FORM(100, 1, 50, 50, 30);
	assert_non_null(check("30"));
	assert_non_null(check("3010"));
}

static void test_levels_that_do_not_exist_are_refused(void **state)
{
	(void)state;
	FORM(100, 1, 50, 50, 30);
	assert_non_null(check("304"));
	assert_non_null(check("\xff\x30\x30"));
}

static void test_padding_that_is_wanted_is_refused(void **state)
{
	(void)state;
	FORM(100, 1, 50, 50, 30);
	assert_non_null(check("222"));
	form.file[1].flags = METAINFO_FILE_SYMLINK;
	assert_non_null(check("222"));
	form.file[1].flags = METAINFO_FILE_EXEC;
	assert_null(check("222"));
}

static void test_a_file_that_could_change_is_refused(void **state)
{
	static const int seals[] = { 0, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };
	struct wanted w;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(seals); i++) {
		int fd = memfd_create("wanted", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		assert_int_equal(write(fd, "\2\2\2", 3), 3);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals[i]), 0);
		assert_non_null(wanted_read(&w, fd));
		close(fd);
	}
}

static void test_sizes_that_no_torrent_has_are_refused(void **state)
{
	static const off_t sizes[] = { 0, METAINFO_MAX_FILES + 1 };
	struct wanted w;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		int fd = memfd_create("wanted", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		assert_int_equal(ftruncate(fd, sizes[i]), 0);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
		assert_non_null(wanted_read(&w, fd));
		assert_null(w.level);
		close(fd);
	}
}

static struct wanted_sum sum_of(const char *levels)
{
	uint8_t bytes[FILES];
	struct wanted w = { .level = bytes };

	for (; levels[w.files]; w.files++)
		bytes[w.files] = (uint8_t)(levels[w.files] - '0');
	return wanted_sum(&w, &m);
}

static void test_sums_count_each_piece_once(void **state)
{
	struct wanted none = { 0 };
	struct wanted_sum s;

	(void)state;
	/* Pieces: 0 holds files 0 to 2 and the beginning of 4 (3 is empty); 1 is all 4; 2 is 4, the padding, 6. */
	FORM(100, 5, 10, 20, 30, 0, 180, 20, 40);
	s = sum_of("2222202");
	assert_int_equal(s.files, 6);
	assert_int_equal(s.bytes, 280);
	assert_int_equal(s.pieces, 3);
	s = sum_of("0302000");
	assert_int_equal(s.files, 2);
	assert_int_equal(s.bytes, 20);
	assert_int_equal(s.pieces, 1);
	s = sum_of("0000001");
	assert_int_equal(s.pieces, 1);
	s = sum_of("0001000");
	assert_int_equal(s.pieces, 0);
	assert_int_equal(s.files, 1);
	s = wanted_sum(&none, &m);
	assert_int_equal(s.bytes, 300);
	assert_int_equal(s.pieces, 3);
	assert_int_equal(s.files, 6);
}

/* Of each piece a digit: its level, '-' when it is of none; '!' when it is of two. */
static const char *pieces_of(const char *levels, bool ends_first)
{
	static char text[64];
	uint8_t bytes[FILES], *level[RARITY_LEVELS];
	struct wanted w = { .level = levels ? bytes : NULL };
	uint32_t i, k;

	for (; levels && levels[w.files]; w.files++)
		bytes[w.files] = (uint8_t)(levels[w.files] - '0');
	wanted_pieces(level, &w, &m, ends_first);
	if (!level[0])
		return "all alike";
	for (i = 0; i < m.h->piece_count; i++) {
		text[i] = '-';
		for (k = 0; k < RARITY_LEVELS; k++)
			if (bitfield_get(level[k], i))
				text[i] = text[i] == '-' ? (char)('0' + k) : '!';
	}
	text[i] = 0;
	for (k = 0; k < RARITY_LEVELS; k++) {
		/* No bit beyond the last piece. */
		for (i = m.h->piece_count; i < 8 * bitfield_bytes(m.h->piece_count); i++)
			assert_false(bitfield_get(level[k], i));
		free(level[k]);
	}
	return text;
}

static void test_a_piece_is_of_the_highest_level_of_its_files(void **state)
{
	(void)state;
	FORM(100, 3, 50, 200, 90, 160, 1900, 10);
	assert_string_equal(pieces_of(NULL, false), "all alike");
	assert_string_equal(pieces_of("123010", false), "1100-2222222222222222222-");
	assert_string_equal(pieces_of("000001", false), "------------------------2");
	assert_string_equal(pieces_of("010000", false), "222----------------------");
}

static void test_the_ends_of_wanted_files_come_first(void **state)
{
	(void)state;
	/* Pieces of 512 KiB: two of them at each end. */
	FORM(524288, UINT32_MAX, 524288, 6 * 524288, 10 * 524288 - 5, 5);
	assert_string_equal(pieces_of(NULL, true), "0" "001100" "0011111000");
	assert_string_equal(pieces_of("0100", true), "-" "002200" "----------");
	/* One that is not wanted has no ends, and padding none in either case. */
	form.file[2].flags = METAINFO_FILE_PAD;
	assert_string_equal(pieces_of(NULL, true), "0" "001100" "1111111110");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_list_that_fits_is_taken),
		cmocka_unit_test(test_a_list_of_another_length_is_refused),
		cmocka_unit_test(test_levels_that_do_not_exist_are_refused),
		cmocka_unit_test(test_padding_that_is_wanted_is_refused),
		cmocka_unit_test(test_a_file_that_could_change_is_refused),
		cmocka_unit_test(test_sizes_that_no_torrent_has_are_refused),
		cmocka_unit_test(test_sums_count_each_piece_once),
		cmocka_unit_test(test_a_piece_is_of_the_highest_level_of_its_files),
		cmocka_unit_test(test_the_ends_of_wanted_files_come_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
