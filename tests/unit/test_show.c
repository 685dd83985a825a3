/*
 * Units of parent/inspect/out.c, show.c and show_json.c: what a person sees, and what never reaches the terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/mman.h>

#include "inspect_test.h"

static char text[4 << 20];

static const char *written(int fd, struct out *o)
{
	ssize_t n;

	assert_true(out_flush(o));
	n = pread(fd, text, sizeof text - 1, 0);
	assert_true(n >= 0 && (uint64_t)n == o->total);
	text[n] = 0;
	close(fd);
	free(o);
	return text;
}

static struct out *begin(int *fd)
{
	struct out *o = malloc(sizeof *o);

	*fd = memfd_create("text", MFD_CLOEXEC);
	assert_true(*fd >= 0);
	out_init(o, *fd);
	return o;
}

static const char *shown(const struct one *one, bool json)
{
	int fd;
	struct out *o = begin(&fd);

	if (json)
		show_json(&one->in, &one->t, o);
	else
		show_text(&one->in, &one->t, o);
	return written(fd, o);
}

/* Printable characters and new lines only. */
static void assert_printable(const char *s)
{
	size_t length = strlen(s), i, n;
	uint32_t rune = 0;

	for (i = 0; i < length; i += n) {
		n = metainfo_utf8((const uint8_t *)s + i, length - i, &rune);
		if (!n || (metainfo_rune_is_control(rune) && rune != '\n'))
			fail_msg("a raw byte %02x at %zu", (uint8_t)s[i], i);
	}
}

#define assert_has(s, part)                                                                                \
	do {                                                                                               \
		if (!strstr(s, part))                                                                      \
			fail_msg("no \"%s\" in:\n%s", part, s);                                            \
	} while (0)
#define assert_has_not(s, part)                                                                            \
	do {                                                                                               \
		if (strstr(s, part))                                                                       \
			fail_msg("\"%s\" in:\n%s", part, s);                                               \
	} while (0)

static const char *escaped(const char *in, size_t length, size_t max)
{
	int fd;
	struct out *o = begin(&fd);

	out_text(o, in, length, max);
	return written(fd, o);
}

static void test_texts_are_escaped_for_people(void **state)
{
	(void)state;
	assert_string_equal(escaped("caf\xc3\xa9 \xe6\x97\xa5", 9, 100), "caf\xc3\xa9 \xe6\x97\xa5");
	assert_string_equal(escaped("a\0b\n\x1b[0m\x7f", 9, 100), "a\\x00b\\x0a\\x1b[0m\\x7f");
	assert_string_equal(escaped("\xff\xc0\xaf", 3, 100), "\\xff\\xc0\\xaf");
	assert_string_equal(escaped("\xe2\x80\xae\xc2\x9b\xf3\xa0\x80\xa0", 9, 100), "\\u{202e}\\u{9b}\\u{e0020}");
	assert_string_equal(escaped("a\\x41", 5, 100), "a\\\\x41");
	assert_string_equal(escaped("abcdef", 6, 4), "abcd... (2 bytes more)");
	assert_string_equal(escaped("abcd", 4, 4), "abcd");
}

static const char *json_of(const char *in, size_t length, bool *whole)
{
	int fd;
	struct out *o = begin(&fd);

	*whole = out_json(o, in, length);
	return written(fd, o);
}

static void test_json_strings(void **state)
{
	bool whole;

	(void)state;
	assert_string_equal(json_of("a\"b\\c/\xc3\xa9", 8, &whole), "\"a\\\"b\\\\c/\xc3\xa9\"");
	assert_true(whole);
	assert_string_equal(json_of("\0\n\x7f\xe2\x80\xa8\xf3\xa0\x80\xa0", 10, &whole), "\"\\u0000\\u000a\\u007f\\u2028\\udb40\\udc20\"");
	assert_true(whole);
	assert_string_equal(json_of("a\xff", 2, &whole), "\"a\xef\xbf\xbd\"");
	assert_false(whole);
}

static void test_dates(void **state)
{
	char out[32];

	(void)state;
	assert_true(show_date(out, 0));
	assert_string_equal(out, "1970-01-01 00:00:00 UTC");
	assert_true(show_date(out, 951827696));
	assert_string_equal(out, "2000-02-29 12:34:56 UTC");
	assert_true(show_date(out, 4107542399));
	assert_string_equal(out, "2100-02-28 23:59:59 UTC");
	assert_true(show_date(out, 4107542400));
	assert_string_equal(out, "2100-03-01 00:00:00 UTC");
	assert_true(show_date(out, 253402300799));
	assert_string_equal(out, "9999-12-31 23:59:59 UTC");
	assert_false(show_date(out, 253402300800));
	assert_false(show_date(out, -1));
	assert_false(show_date(out, INT64_MAX));
	assert_false(show_date(out, INT64_MIN));
}

static void expect_masked(const char *in, const char *expected)
{
	char out[URL_MASKED_ROOM];
	bool masked;
	size_t n = url_mask(out, in, strlen(in), &masked);

	assert_int_equal(n, strlen(expected));
	assert_memory_equal(out, expected, n);
	assert_int_equal(masked, strcmp(in, expected) != 0);
}

static void test_passkeys_are_masked(void **state)
{
	char url[METAINFO_MAX_URL + 1], out[URL_MASKED_ROOM];
	bool masked;
	size_t i;

	(void)state;
	expect_masked("http://t.example/announce", "http://t.example/announce");
	expect_masked("http://t.example:8080/announce.php", "http://t.example:8080/announce.php");
	expect_masked("http://t.example/0123456789abcdef0123456789abcdef/announce", "http://t.example/***/announce");
	expect_masked("http://t.example/announce/AbCdEfGhIjKlMnOpQrStUvWx", "http://t.example/announce/***");
	expect_masked("http://t.example/a1b2c3d4/announce", "http://t.example/***/announce");
	expect_masked("http://t.example/a?passkey=secret&x=y", "http://t.example/a?passkey=***&x=***");
	expect_masked("http://t.example/a?secret", "http://t.example/a?***");
	expect_masked("http://t.example?k=", "http://t.example?k=");
	expect_masked("http://t.example/a?k=a/b?c", "http://t.example/a?k=***");
	expect_masked("http://user:pass@t.example/a", "http://***@t.example/a");
	expect_masked("http://t.example", "http://t.example");
	expect_masked("http://0123456789abcdef0123456789abcdef.example/a", "http://0123456789abcdef0123456789abcdef.example/a");
	expect_masked("http://w.example/dir/Some_Film_1080p.mkv", "http://w.example/dir/Some_Film_1080p.mkv");
	/* The longest answer fits. */
	memset(url, 'a', sizeof url);
	memcpy(url, "http://a?", 9);
	for (i = 9; i < METAINFO_MAX_URL; i += 2)
		url[i + 1 < METAINFO_MAX_URL ? i + 1 : i] = '&';
	assert_true(url_mask(out, url, METAINFO_MAX_URL, &masked) <= URL_MASKED_ROOM);
}

static void test_the_page_has_everything(void **state)
{
	struct one o;
	const char *s;

	(void)state;
	assert_true(run(&o, "d(announce-list)ll(http://t.example/0123456789abcdef0123456789abcdef/ann)el(udp://u.example:80)ee"
			    "(comment)(c\x1bx)(created by)(me)(creation date)i1490914315e"
			    "(info)d(files)ld(length)i2000e(path)l(a)(b\n)eed(attr)(p)(length)i1e(path)l(.pad)(1)eed(attr)(l)(path)l(z)eee"
			    "(name)(the name)" PIECES1 "(private)i1e(source)(SRC)e(url-list)(https://w.example/f)e"));
	s = shown(&o, false);
	assert_printable(s);
	assert_has(s, "Name:         the name\n");
	assert_has(s, "Info-hash:    ");
	assert_has(s, "magnet:?xt=urn:btih:");
	assert_has_not(s, "&tr="); /* it is private */
	assert_has(s, "1.95 KiB (2001 bytes)");
	assert_has(s, "1 of 16.0 KiB (16384 bytes)");
	assert_has(s, "Private:      yes");
	assert_has(s, "Comment:      c\\x1bx\n");
	assert_has(s, "Created by:   me\n");
	assert_has(s, "2017-03-30 22:51:55 UTC");
	assert_has(s, "Source:       SRC\n");
	assert_has(s, "  a/b%0A\n");
	assert_has(s, "named in the torrent: a/b\\x0a\n");
	assert_has(s, "[padding, not written]");
	assert_has(s, "[symbolic link, not created]");
	assert_has(s, "tier 1   http://t.example/***/ann\n");
	assert_has(s, "tier 2   udp://u.example:80\n");
	assert_has_not(s, "0123456789abcdef0123456789abcdef");
	assert_has(s, "https://w.example/f");
	assert_has(s, "Warnings\n");
	one_free(&o);
}

static void test_json_has_everything(void **state)
{
	struct one o;
	const char *s;

	(void)state;
	assert_true(run(&o, "d(announce-list)ll(http://t.example/?passkey=SECRET)(http://s.example/)el(udp://u.example:80)ee"
			    "(comment)(\xff)(creation date)i1490914315e"
			    "(info)d(files)ld(length)i2e(path)l(a)(b\xe9)eed(attr)(x)(length)i1e(path)l(c)eee"
			    "(name)(n\")" PIECES1 "e(url-list)(https://w.example/f)e"));
	s = shown(&o, true);
	assert_printable(s);
	assert_has(s, "{\"kind\":\"torrent\",\"info_hash\":\"");
	assert_has(s, "\"name\":\"n\\\"\",\"saved_as\":\"n\\\"\"");
	assert_has(s, "\"comment\":\"\xef\xbf\xbd\",\"comment_hex\":\"ff\"");
	assert_has(s, "\"created\":\"2017-03-30 22:51:55 UTC\"");
	assert_has(s, "\"files\":[{\"length\":2,\"path\":[\"a\",\"b\xef\xbf\xbd\"],\"path_hex\":[\"61\",\"62e9\"],\"saved_as\":\"a/b%E9\",\"mapped\":true},"
		      "{\"length\":1,\"path\":[\"c\"],\"saved_as\":\"c\",\"mapped\":false,\"executable\":true}]");
	assert_has(s, "\"trackers\":[[\"http://t.example/?passkey=***\",\"http://s.example/\"],[\"udp://u.example:80\"]]");
	assert_has(s, "\"web_seeds\":[\"https://w.example/f\"],\"http_seeds\":[]");
	assert_has(s, "&tr=http%3A%2F%2Fs.example%2F");
	assert_has_not(s, "SECRET");
	assert_has(s, "\"warning_count\":");
	one_free(&o);
}

static void test_a_magnet_is_shown(void **state)
{
	struct one o;
	const char *s;

	(void)state;
	assert_true(run_raw(&o, "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=a%1bb&xl=2048&x.pe=%1b[2J&tr=http://t.example/"));
	s = shown(&o, false);
	assert_printable(s);
	assert_has(s, "Name:         a\\x1bb\n");
	assert_has(s, "Saved as:     a%1Bb\n");
	assert_has(s, "2.00 KiB (2048 bytes), says the link");
	assert_has(s, "not known before its metadata");
	assert_has(s, "\\x1b[2J");
	s = shown(&o, true);
	assert_printable(s);
	assert_has(s, "\"kind\":\"magnet\"");
	assert_has(s, "\"claimed_length\":2048,\"peers\":[\"\\u001b[2J\"]");
	one_free(&o);
}

static void test_many_files_are_cut_in_text_and_whole_in_json(void **state)
{
	struct bytes b = { NULL, 0 };
	struct one o;
	const char *s;
	unsigned i, n = SHOW_TEXT_FILES + 7;
	char path[64];

	(void)state;
	add(&b, "d4:infod5:filesl", 16);
	for (i = 0; i < n; i++) {
		int k = snprintf(path, sizeof path, "d6:lengthi1e4:pathl6:%06uee", i);

		add(&b, path, (size_t)k);
	}
	add(&b, "e4:name1:n12:piece lengthi16384e6:pieces20:" HASH20 "ee", 65);
	assert_true(run_bytes(&o, b));
	s = shown(&o, false);
	assert_has(s, "000999\n");
	assert_has_not(s, "001000");
	assert_has(s, "... and 7 files more");
	s = shown(&o, true);
	assert_has(s, "\"saved_as\":\"001006\"");
	one_free(&o);
}

static void test_what_cannot_be_written_is_a_failure(void **state)
{
	struct out *o = malloc(sizeof *o);
	unsigned i;

	(void)state;
	out_init(o, 1000000);
	for (i = 0; i < 100000; i++)
		out_print(o, "%u", i);
	assert_false(out_flush(o));
	out_init(o, -1);
	out_print(o, "only counted");
	assert_true(out_flush(o));
	assert_int_equal(o->total, 12);
	o->total = OUT_MAX_BYTES - 1;
	out_bytes(o, "ab", 2);
	assert_false(out_flush(o));
	assert_true(o->full);
	free(o);
}

/* Every byte as a name, a comment and a URL: nothing raw comes out. */
static void test_no_byte_is_printed_raw(void **state)
{
	unsigned c;

	(void)state;
	for (c = 1; c < 256; c++) {
		struct bytes b = { NULL, 0 };
		char name[3] = { 'a', (char)c, 'b' }, url[20];
		struct one o;
		int k = snprintf(url, sizeof url, "http://a/%cx", (int)c);

		add(&b, "d8:announce", 11);
		add_string(&b, url, (size_t)k);
		add(&b, "7:comment", 9);
		add_string(&b, name, 3);
		add(&b, "10:created by", 13);
		add_string(&b, name, 3);
		add(&b, "4:infod6:lengthi5e4:name", 24);
		add_string(&b, name, 3);
		add(&b, "12:piece lengthi16384e6:pieces20:" HASH20 "ee", 55);
		assert_true(run_bytes(&o, b));
		assert_printable(shown(&o, false));
		assert_printable(shown(&o, true));
		one_free(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts_are_escaped_for_people),
		cmocka_unit_test(test_json_strings),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_passkeys_are_masked),
		cmocka_unit_test(test_the_page_has_everything),
		cmocka_unit_test(test_json_has_everything),
		cmocka_unit_test(test_a_magnet_is_shown),
		cmocka_unit_test(test_many_files_are_cut_in_text_and_whole_in_json),
		cmocka_unit_test(test_what_cannot_be_written_is_a_failure),
		cmocka_unit_test(test_no_byte_is_printed_raw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
