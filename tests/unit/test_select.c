/*
 * test_select.c - --select and --priority: lists, patterns, and what they make of a torrent's files.
 */
#include "../../parent/select.c"
#include "../../parent/values.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "disk_fixture.h"

static bool matches(const char *pattern, const char *path)
{
	return select_matches(pattern, strlen(pattern), path);
}

static void test_patterns_stand_for_what_they_say(void **state)
{
	(void)state;
	assert_true(matches("*.mkv", "a.mkv"));
	assert_true(matches("*.mkv", "Season 1/a.mkv"));
	assert_false(matches("*.mkv", "a.mkv.txt"));
	assert_true(matches("sample.txt", "dir/sub/sample.txt"));
	assert_false(matches("dir/sample.txt", "dir/sub/sample.txt"));
	assert_true(matches("dir/*.txt", "dir/sub/sample.txt"));
	assert_true(matches("Season 1/", "Season 1/a.mkv"));
	assert_false(matches("Season 1/", "Season 10/a.mkv"));
	assert_true(matches("*/", "Season 10/a.mkv"));
	assert_false(matches("*/", "a.mkv"));
	assert_true(matches("e?.mkv", "e1.mkv"));
	assert_true(matches("e?.mkv", "e\xc3\xa9.mkv"));
	assert_false(matches("e?.mkv", "e12.mkv"));
	assert_true(matches("e[0-35].mkv", "e5.mkv"));
	assert_false(matches("e[0-35].mkv", "e4.mkv"));
	assert_true(matches("e[!0-3].mkv", "e4.mkv"));
	assert_true(matches("[]]x", "]x"));
	assert_true(matches("[x", "[x"));
	assert_true(matches("\\*x\\,", "*x,"));
	assert_false(matches("\\*x", "ax"));
	assert_true(matches("\\", "\\"));
	assert_true(matches("*", "x"));
	assert_true(matches("a*b*c", "a/b/b/c"));
	assert_false(matches("a*b*c", "a/b/c/d"));
	assert_false(matches("A.mkv", "a.mkv"));
}

static void test_a_pattern_of_many_stars_takes_no_more_than_its_product(void **state)
{
	static char path[METAINFO_MAX_PATH + 1], pattern[401];
	uint32_t i;

	(void)state;
	memset(path, 'a', METAINFO_MAX_PATH);
	for (i = 0; i < 400; i += 2) {
		pattern[i] = '*';
		pattern[i + 1] = 'a';
	}
	/* Tried in every way it would be more than the age of the world. */
	for (i = 0; i < 20; i++)
		assert_true(matches(pattern, path));
	pattern[399] = 'b';
	for (i = 0; i < 20; i++)
		assert_false(matches(pattern, path));
}

static void test_lists_are_numbers_ranges_and_patterns(void **state)
{
	static const char *const good[] = { "1", "1-3", "7-", "1,2,3-4,9-", "*.mkv", "a\\,b", "1,*.mkv", "x-1", "[2]001", "4000000" };
	static const char *const bad[] = { "", ",", "1,", ",1", "1,,2", "0", "0-3", "3-2", "-3", "-", "1-2-3", "4000001", "99999999999999999999999999" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(good); i++)
		assert_true(select_is_list(good[i]));
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(select_is_list(bad[i]));
}

static const struct fixture_file files[] = {
	{ "a.mkv", 50000, 0 },	{ "b.mkv", 70000, 0 },	       { "sub/a.txt", 100, 0 },  { ".pad/1", 10972, METAINFO_FILE_PAD },
	{ "sub/b.txt", 16384, 0 }, { "empty", 0, 0 }, { "c.mkv", 163840, 0 },
};
static struct metainfo m;
static struct selection s;
static char error[300];

static int make(void **state)
{
	(void)state;
	s.fd = -1;
	fixture_form(&m, files, ARRAY_LEN(files), 16384, false);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	select_close(&s);
	fixture_form_free(&m);
	return 0;
}

/* The levels that come of it, a digit for each file; or the status as a negative number's text. */
static const char *levels(const char *selects, const char *high)
{
	static char text[32];
	struct options o = { 0 };
	struct wanted w;
	uint32_t i;
	int r;

	select_close(&s);
	if (selects)
		o.selects[o.select_count++] = selects;
	if (high) {
		o.priorities[0].list = high;
		o.priorities[o.priority_count++].level = WANTED_HIGH;
	}
	error[0] = 0;
	r = select_files(&s, &o, &m, error, sizeof error);
	snprintf(text, sizeof text, "%d", -r);
	if (r || s.fd < 0)
		return text;
	assert_null(wanted_read(&w, s.fd));
	assert_null(wanted_check(&w, &m));
	for (i = 0; i < w.files; i++)
		text[i] = (char)('0' + w.level[i]);
	text[i] = 0;
	wanted_release(&w);
	return text;
}

static void test_without_options_all_is_wanted_and_no_list_is_made(void **state)
{
	(void)state;
	assert_string_equal(levels(NULL, NULL), "0");
	assert_int_equal(s.fd, -1);
	assert_int_equal(s.sum.bytes, m.h->total_length);
	assert_int_equal(s.sum.pieces, m.h->piece_count);
	assert_false(s.partial);
}

static void test_numbers_are_those_of_the_list(void **state)
{
	(void)state;
	assert_string_equal(levels("1", NULL), "2000000");
	assert_true(s.partial && s.shares);
	assert_int_equal(s.sum.bytes, 50000);
	assert_string_equal(levels("2-3,7", NULL), "0220002");
	assert_string_equal(levels("6-", NULL), "0000022");
	assert_string_equal(levels("*.mkv,3", NULL), "2220002");
	/* Padding is never wanted, whatever asks for it. */
	assert_string_equal(levels("1-", NULL), "2220222");
	assert_false(s.partial);
	assert_string_equal(levels("*", NULL), "2220222");
}

static void test_files_that_share_no_piece_need_no_parts(void **state)
{
	(void)state;
	/* The padding ends with a piece. */
	assert_string_equal(levels("5", NULL), "0000200");
	assert_true(s.partial);
	assert_false(s.shares);
	assert_string_equal(levels("7", NULL), "0000002");
	assert_false(s.shares);
	assert_string_equal(levels("3", NULL), "0020000");
	assert_true(s.shares);
}

static void test_priorities_are_for_what_is_selected(void **state)
{
	(void)state;
	assert_string_equal(levels(NULL, "c.mkv"), "2220223");
	assert_false(s.partial);
	assert_string_equal(levels("*.mkv", "1-3"), "3300002");
}

static void test_what_stands_for_no_file_is_wrong_usage(void **state)
{
	(void)state;
	assert_string_equal(levels("*.avi", NULL), "-2");
	assert_string_equal(error, "--select: '*.avi' is no file of this torrent, which has 7; --list shows them");
	assert_string_equal(levels("8", NULL), "-2");
	assert_string_equal(levels("5-8", NULL), "-2");
	assert_string_equal(levels("4", NULL), "-2"); /* padding */
	assert_string_equal(levels("1,*.avi", NULL), "-2");
	assert_string_equal(levels("1", "2"), "-2");
	assert_string_equal(error, "--priority: '2' is no selected file of this torrent, which has 7; --list shows them");
	assert_string_equal(levels("a\x1b[31m*", NULL), "-2");
	assert_null(strchr(error, '\x1b'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns_stand_for_what_they_say),
		cmocka_unit_test(test_a_pattern_of_many_stars_takes_no_more_than_its_product),
		cmocka_unit_test(test_lists_are_numbers_ranges_and_patterns),
		cmocka_unit_test_setup_teardown(test_without_options_all_is_wanted_and_no_list_is_made, make, stop),
		cmocka_unit_test_setup_teardown(test_numbers_are_those_of_the_list, make, stop),
		cmocka_unit_test_setup_teardown(test_files_that_share_no_piece_need_no_parts, make, stop),
		cmocka_unit_test_setup_teardown(test_priorities_are_for_what_is_selected, make, stop),
		cmocka_unit_test_setup_teardown(test_what_stands_for_no_file_is_wrong_usage, make, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
