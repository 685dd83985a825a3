/*
 * test_screen.c - what reaches people and programs: escapes, sizes, the progress line, JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../parent/options.h"
#include "../../parent/screen.c"
#include "../../parent/stream.c"
#include "../../parent/seeding.c"
#include "../../parent/text.c"

static char out[65536];
static struct text t;

static const char *safe(const char *bytes, size_t length, bool utf8)
{
	text_init(&t, out, sizeof out);
	text_add_safe(&t, bytes, length, utf8);
	return out;
}

static const char *json(const void *bytes, size_t length)
{
	text_init(&t, out, sizeof out);
	text_add_json(&t, bytes, length);
	return out;
}

static const char *size(uint64_t bytes)
{
	text_init(&t, out, sizeof out);
	text_add_size(&t, bytes);
	return out;
}

static const char *duration(uint64_t seconds)
{
	text_init(&t, out, sizeof out);
	text_add_duration(&t, seconds);
	return out;
}

static void test_no_control_or_bidi_character_reaches_a_terminal(void **state)
{
	(void)state;
	assert_string_equal(safe("a\x1b[2J\n\x7f", 7, true), "a\\x1b[2J\\x0a\\x7f");
	assert_string_equal(safe("\xc2\x9b", 2, true), "\\xc2\\x9b");         /* C1: CSI */
	assert_string_equal(safe("\xe2\x80\xae", 3, true), "\\xe2\\x80\\xae"); /* right-to-left override */
	assert_string_equal(safe("\xe2\x80\xa8", 3, true), "\\xe2\\x80\\xa8"); /* line separator */
	assert_string_equal(safe("\xc0\xaf\xed\xa0\x80\xff", 6, true), "\\xc0\\xaf\\xed\\xa0\\x80\\xff");
	assert_string_equal(safe("\xc3\xbc", 2, true), "\xc3\xbc");
	assert_string_equal(safe("\xc3\xbc", 2, false), "\\xc3\\xbc");
	assert_string_equal(safe("\xc3", 1, true), "\\xc3");
}

static void test_rendered_text_is_good_only_up_to_the_first_bad_byte(void **state)
{
	(void)state;
	assert_int_equal(text_good_prefix((const uint8_t *)"ab\nc\xc3\xbc", 6), 6);
	assert_int_equal(text_good_prefix((const uint8_t *)"ab\tc", 4), 2);
	assert_int_equal(text_good_prefix((const uint8_t *)"ab\xc3", 3), 2);
	assert_int_equal(text_good_prefix((const uint8_t *)"\x1b]0;x\x07", 6), 0);
	assert_int_equal(text_good_prefix((const uint8_t *)"a\0b", 3), 1);
	assert_int_equal(text_good_prefix((const uint8_t *)"", 0), 0);
}

static void test_json_strings_are_valid_whatever_the_bytes(void **state)
{
	uint8_t all[256];
	size_t i;

	(void)state;
	assert_string_equal(json("a\"b\\c", 5), "\"a\\\"b\\\\c\"");
	assert_string_equal(json("\n\0\x1f", 3), "\"\\u000a\\u0000\\u001f\"");
	assert_string_equal(json("\xff\xfe", 2), "\"\\ufffd\\ufffd\"");
	assert_string_equal(json("\xe2\x80\xae", 3), "\"\\u202e\"");
	assert_string_equal(json("\xf3\xa0\x80\x81", 4), "\"\\udb40\\udc01\""); /* U+E0001, a tag, as two halves */
	assert_string_equal(json("\xf0\x9f\x98\x80", 4), "\"\xf0\x9f\x98\x80\"");
	for (i = 0; i < sizeof all; i++)
		all[i] = (uint8_t)i;
	json(all, sizeof all);
	assert_int_equal(text_good_prefix((const uint8_t *)out, t.length), t.length);
	assert_null(strchr(out, '\n'));
}

static void test_sizes_have_three_digits_and_a_unit(void **state)
{
	(void)state;
	assert_string_equal(size(0), "0 B");
	assert_string_equal(size(1023), "1023 B");
	assert_string_equal(size(1024), "1.00 KiB");
	assert_string_equal(size(1536), "1.50 KiB");
	assert_string_equal(size(1024 * 1024 - 1), "1.00 MiB");
	assert_string_equal(size(12345678), "11.8 MiB");
	assert_string_equal(size(1ull << 40), "1.00 TiB");
	assert_string_equal(size(UINT64_MAX), "16.0 EiB");
	assert_string_equal(duration(0), "0s");
	assert_string_equal(duration(59), "59s");
	assert_string_equal(duration(192), "3m12s");
	assert_string_equal(duration(7500), "2h05m");
	assert_string_equal(duration(86400 * 4 + 3 * 3600), "4d03h");
	duration(UINT64_MAX);
	assert_false(t.full);
}

static void test_text_that_does_not_fit_is_left_out_whole(void **state)
{
	char small[8];

	(void)state;
	text_init(&t, small, sizeof small);
	text_add(&t, "abc", 3);
	text_addf(&t, "%s", "defgh");
	assert_true(t.full);
	assert_string_equal(small, "abc");
	text_add(&t, "d", 1);
	assert_string_equal(small, "abc");
}

static struct screen_row row(void)
{
	static const char name[] = "a rather long name of a torrent that somebody has made";

	return (struct screen_row){ .name = name,	    .name_length = sizeof name - 1, .done = 50u << 20, .total = 100u << 20, .rate = 1u << 20,
				    .pieces = 50, .pieces_total = 100, .peers = 3,	  .peers_known = 20 };
}

static void test_the_progress_line_fits_any_width(void **state)
{
	struct screen_row r = row();
	uint32_t width;

	(void)state;
	for (width = 1; width < 200; width++) {
		text_init(&t, out, sizeof out);
		screen_format_row(&t, &r, width, true);
		if (columns_of_text(out, t.length) > width)
			fail_msg("%u columns: '%s'", width, out);
	}
	text_init(&t, out, sizeof out);
	screen_format_row(&t, &r, 199, true);
	assert_string_equal(out, "a rather long name of a torrent that somebody has made 50% 1.00 MiB/s 50.0 MiB of 100 MiB ETA 50s peers 3/20 pieces 50/100");
}

static void test_a_hostile_name_neither_breaks_the_line_nor_the_width(void **state)
{
	static const char name[] = "\x1b[31m\xe2\x80\xae\xe4\xb8\xad\xe6\x96\x87\xff\n";
	struct screen_row r = row();
	uint32_t width;

	(void)state;
	r.name = name;
	r.name_length = sizeof name - 1;
	for (width = 1; width < 200; width++) {
		text_init(&t, out, sizeof out);
		screen_format_row(&t, &r, width, true);
		assert_true(columns_of_text(out, t.length) <= width);
		assert_int_equal(text_good_prefix((const uint8_t *)out, t.length), t.length);
		assert_null(strchr(out, '\n'));
	}
}

static void test_a_hundred_percent_means_all_of_it(void **state)
{
	struct screen_row r = row();

	(void)state;
	r.done = r.total - 1;
	text_init(&t, out, sizeof out);
	screen_format_row(&t, &r, 199, true);
	assert_non_null(strstr(out, " 99% "));
	r.done = r.total;
	text_init(&t, out, sizeof out);
	screen_format_row(&t, &r, 199, true);
	assert_non_null(strstr(out, " 100% "));
	r.total = r.done = 0;
	text_init(&t, out, sizeof out);
	screen_format_row(&t, &r, 199, true);
	assert_non_null(strstr(out, " 100% "));
}

static const char *formatted(const struct screen_row *r, uint32_t width)
{
	text_init(&t, out, sizeof out);
	screen_format_row(&t, r, width, true);
	return out;
}

static void test_a_download_that_gives_shows_what_it_gives(void **state)
{
	struct screen_row r = row();

	(void)state;
	r.uploaded = 25u << 20;
	r.up_rate = 2048;
	r.ratio_milli = 500;
	assert_non_null(strstr(formatted(&r, 199), " pieces 50/100 up 2.00 KiB/s ratio 0.50"));
	r.detail = true;
	r.pieces_open = 7;
	r.unchoked = 2;
	r.interested = 3;
	assert_non_null(strstr(formatted(&r, 199), " ratio 0.50 open 7 unchoked 2 interested 3"));
	r.checking = true;
	assert_null(strstr(formatted(&r, 199), "ratio"));
}

static void test_a_seed_shows_what_it_has_given_and_how_long_it_goes_on(void **state)
{
	struct screen_row r = row();
	uint32_t width;

	(void)state;
	r.seeding = true;
	r.uploaded = 3ull << 30;
	r.up_rate = 1 << 20;
	r.ratio_milli = 12345;
	r.left_s = 90;
	r.name_length = 6;
	assert_string_equal(formatted(&r, 199), "a rath seeding up 1.00 MiB/s uploaded 3.00 GiB ratio 12.34 left 1m30s peers 3/20");
	r.left_s = UINT64_MAX;
	assert_null(strstr(formatted(&r, 199), "left"));
	r.uploaded = r.up_rate = r.ratio_milli = r.left_s = UINT64_MAX - 1;
	r.detail = true;
	r.unchoked = r.interested = r.pieces_open = r.peers = r.peers_known = UINT32_MAX;
	for (width = 1; width < 250; width++) {
		(void)formatted(&r, width);
		if (columns_of_text(out, t.length) > width)
			fail_msg("%u columns: '%s'", width, out);
	}
	r.checking = true; /* diskproc was started again */
	assert_non_null(strstr(formatted(&r, 250), "% checking "));
}

static void test_several_are_a_seed_only_when_all_of_them_are(void **state)
{
	struct screen_row rows[2] = { row(), row() }, all;
	char name[40];

	(void)state;
	rows[0].seeding = true;
	rows[0].uploaded = 100u << 20;
	rows[0].up_rate = 5;
	all = sum_of(rows, 2, name, sizeof name);
	assert_false(all.seeding);
	assert_int_equal(all.ratio_milli, 1000);
	rows[1].seeding = true;
	all = sum_of(rows, 2, name, sizeof name);
	assert_true(all.seeding);
	assert_non_null(strstr(formatted(&all, 199), "2 torrents seeding up 5 B/s uploaded 100 MiB ratio 1.00 peers 6/40"));
}

/* Runs what is printed between begin and end with stdout in a pipe. */
static int saved_out, ends[2];

static void capture_begin(void)
{
	assert_int_equal(pipe(ends), 0);
	saved_out = dup(1);
	assert_true(saved_out >= 0 && dup2(ends[1], 1) == 1);
	close(ends[1]);
}

static void capture_end(void)
{
	ssize_t n;

	dup2(saved_out, 1);
	close(saved_out);
	n = read(ends[0], out, sizeof out - 1);
	out[n > 0 ? n : 0] = 0;
	close(ends[0]);
}

static void test_what_create_hashes_has_neither_peers_nor_pieces(void **state)
{
	struct screen_row row = { .name = "x", .name_length = 1, .hashing = true, .done = 1 << 20, .total = 4 << 20, .rate = 1 << 20 };

	(void)state;
	text_init(&t, out, sizeof out);
	screen_format_row(&t, &row, 100, false);
	assert_string_equal(out, "x 25% 1.00 MiB/s 1.00 MiB of 4.00 MiB ETA 3s");
}

static void test_json_events_are_one_line_each(void **state)
{
	static const char name[] = "a\n\"b\"\xff";

	(void)state;
	memset(&screen, 0, sizeof screen);
	screen.json = true;
	capture_begin();
	json_begin("torrent", 3);
	json_text("name", name, sizeof name - 1);
	json_number("bytes", UINT64_MAX);
	json_bool("private", true);
	json_end();
	capture_end();
	assert_string_equal(out, "{\"event\":\"torrent\",\"source\":3,\"name\":\"a\\u000a\\\"b\\\"\\ufffd\",\"bytes\":18446744073709551615,\"private\":true}\n");
}

static void test_the_longest_json_line_fits(void **state)
{
	static char path[4096];

	(void)state;
	memset(&screen, 0, sizeof screen);
	screen.json = true;
	memset(path, 1, sizeof path); /* six characters each */
	capture_begin();
	json_begin("complete", UINT32_MAX);
	json_text("directory", path, sizeof path);
	json_text("name", path, 255);
	json_end();
	capture_end();
	assert_int_equal(out[strlen(out) - 1], '\n');
}

static void test_a_check_is_told_by_what_is_to_be_checked(void **state)
{
	struct screen_row rows[2] = { row(), row() };
	char name[40];

	(void)state;
	rows[0].checking = rows[1].checking = true;
	rows[0].total = rows[0].done = 100;
	rows[0].checked = 1024;
	rows[0].to_check = 4096;
	rows[1].to_check = 0;
	assert_non_null(strstr(formatted(&rows[0], 199), " 25% checking 1.00 KiB of 4.00 KiB "));
	rows[1].checked = rows[1].to_check = 4096;
	rows[1] = sum_of(rows, 2, name, sizeof name);
	assert_non_null(strstr(formatted(&rows[1], 199), " 62% checking 5.00 KiB of 8.00 KiB "));
	memset(&screen, 0, sizeof screen);
	screen.json = true;
	capture_begin();
	json_row(&rows[0]);
	capture_end();
	assert_non_null(strstr(out, "\"checked_bytes\":1024,\"bytes\":4096"));
}

static void test_without_json_no_event_is_printed(void **state)
{
	(void)state;
	memset(&screen, 0, sizeof screen);
	capture_begin();
	json_begin("start", UINT32_MAX);
	json_number("x", 1);
	json_end();
	capture_end();
	assert_string_equal(out, "");
}

static void test_the_path_is_printed_raw_only_where_no_terminal_is(void **state)
{
	(void)state;
	memset(&screen, 0, sizeof screen);
	capture_begin();
	screen_result("", "out/", "n\xc3\xbc", 3);
	capture_end();
	assert_string_equal(out, "out/n\xc3\xbc\n");
	screen.out_terminal = true;
	capture_begin();
	screen_result("", "o\x1b", "n\xc3\xbc", 3);
	capture_end();
	assert_string_equal(out, "o\\x1b/n\\xc3\\xbc\n");
	capture_begin();
	screen_result("", ".", "name", 4);
	capture_end();
	assert_string_equal(out, "name\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_control_or_bidi_character_reaches_a_terminal),
		cmocka_unit_test(test_rendered_text_is_good_only_up_to_the_first_bad_byte),
		cmocka_unit_test(test_json_strings_are_valid_whatever_the_bytes),
		cmocka_unit_test(test_sizes_have_three_digits_and_a_unit),
		cmocka_unit_test(test_text_that_does_not_fit_is_left_out_whole),
		cmocka_unit_test(test_the_progress_line_fits_any_width),
		cmocka_unit_test(test_a_hostile_name_neither_breaks_the_line_nor_the_width),
		cmocka_unit_test(test_a_hundred_percent_means_all_of_it),
		cmocka_unit_test(test_a_download_that_gives_shows_what_it_gives),
		cmocka_unit_test(test_a_seed_shows_what_it_has_given_and_how_long_it_goes_on),
		cmocka_unit_test(test_several_are_a_seed_only_when_all_of_them_are),
		cmocka_unit_test(test_a_check_is_told_by_what_is_to_be_checked),
		cmocka_unit_test(test_what_create_hashes_has_neither_peers_nor_pieces),
		cmocka_unit_test(test_json_events_are_one_line_each),
		cmocka_unit_test(test_the_longest_json_line_fits),
		cmocka_unit_test(test_without_json_no_event_is_printed),
		cmocka_unit_test(test_the_path_is_printed_raw_only_where_no_terminal_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
