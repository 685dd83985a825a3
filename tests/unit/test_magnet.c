/*
 * Units of parent/inspect/magnet.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "inspect_test.h"

#define HEX "0123456789abcdef0123456789abcdef01234567"
#define M "magnet:?xt=urn:btih:" HEX

static void assert_hash(const struct one *o, const char *hex)
{
	char text[41];

	hex_text(text, o->m.h->info_hash, 20);
	assert_string_equal(text, hex);
}

#define assert_refused(literal, why, part)                                                                 \
	do {                                                                                               \
		struct one r;                                                                              \
		assert_false(run_raw(&r, literal));                                                        \
		assert_int_equal(r.in.refusal.status, why);                                                \
		if (!strstr(r.in.refusal.text, part))                                                      \
			fail_msg("\"%s\" has no \"%s\"", r.in.refusal.text, part);                         \
		one_free(&r);                                                                              \
	} while (0)

static void test_hex_and_base32_are_the_same_hash(void **state)
{
	struct one o;

	(void)state;
	assert_true(run_raw(&o, M));
	assert_int_equal(o.m.h->flags, METAINFO_MAGNET);
	assert_int_equal(o.m.h->file_count, 0);
	assert_hash(&o, HEX);
	assert_string_equal(metainfo_str(&o.m, o.m.h->name), HEX);
	one_free(&o);
	assert_true(run_raw(&o, "magnet:?xt=urn:btih:0123456789ABCDEF0123456789ABCDEF01234567"));
	assert_hash(&o, HEX);
	one_free(&o);
	assert_true(run_raw(&o, "magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH"));
	assert_hash(&o, HEX);
	one_free(&o);
	assert_true(run_raw(&o, "magnet:?xt=urn:btih:aerukz4jvpg66ajdivtytk6n54asgrlh"));
	assert_hash(&o, HEX);
	one_free(&o);
}

static void test_it_is_told_from_a_torrent_by_its_front(void **state)
{
	(void)state;
	assert_true(magnet_is_one((const uint8_t *)" \r\n\tmagnet:", 11));
	assert_true(magnet_is_one((const uint8_t *)"MAGNET:?", 8));
	assert_false(magnet_is_one((const uint8_t *)"magnet", 6));
	assert_false(magnet_is_one((const uint8_t *)"d8:announce", 11));
	assert_false(magnet_is_one((const uint8_t *)"   ", 3));
	assert_false(magnet_is_one(NULL, 0));
}

static void test_everything_that_is_understood(void **state)
{
	struct one o;

	(void)state;
	assert_true(run_raw(&o, "  " M "&dn=A+b%20c&xl=1234&tr=udp%3A%2F%2Ft.example%3A80%2Fa&tr.1=http://u.example/&tr=wss://w.example"
				"&ws=https%3A%2F%2Fs.example%2F&x.pe=192.0.2.1:6881&so=0-2&kt=x&unknown\n"));
	assert_string_equal(metainfo_str(&o.m, o.m.h->name), "A b c");
	assert_int_equal(o.t.total_length, 1234);
	assert_int_equal(o.m.h->total_length, 0);
	assert_int_equal(o.m.h->tracker_count, 2);
	assert_string_equal(metainfo_str(&o.m, metainfo_trackers(&o.m)[0].url), "udp://t.example:80/a");
	assert_int_equal(metainfo_trackers(&o.m)[0].tier, 0);
	assert_string_equal(metainfo_str(&o.m, metainfo_trackers(&o.m)[1].url), "http://u.example/");
	assert_int_equal(metainfo_trackers(&o.m)[1].tier, 1);
	assert_int_equal(o.m.h->webseed_count, 1);
	assert_string_equal(metainfo_str(&o.m, metainfo_webseeds(&o.m)[0].host), "s.example");
	assert_int_equal(o.t.peer_count, 1);
	assert_true(warned(&o, "(so) is not used"));
	assert_true(warned(&o, "(x.pe) are shown only"));
	one_free(&o);
}

static void test_ampersands_of_html_are_understood(void **state)
{
	struct one o;

	(void)state;
	assert_true(run_raw(&o, M "&amp;dn=x&amp;tr=http://a.example/"));
	assert_string_equal(metainfo_str(&o.m, o.m.h->name), "x");
	assert_int_equal(o.m.h->tracker_count, 1);
	one_free(&o);
}

static void test_hashes_are_strict(void **state)
{
	(void)state;
	assert_refused("magnet:", INSPECT_MALFORMED, "no parameters");
	assert_refused("magnet:x", INSPECT_MALFORMED, "no parameters");
	assert_refused("magnet:?", INSPECT_MALFORMED, "no info-hash");
	assert_refused("magnet:?dn=x", INSPECT_MALFORMED, "no info-hash");
	assert_refused("magnet:?xt=urn:sha1:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH", INSPECT_MALFORMED, "no info-hash");
	assert_refused("magnet:?xt=urn:btih:", INSPECT_MALFORMED, "neither");
	assert_refused("magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef0123456", INSPECT_MALFORMED, "neither");
	assert_refused("magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef012345678", INSPECT_MALFORMED, "neither");
	assert_refused("magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef0123456g", INSPECT_MALFORMED, "neither");
	assert_refused("magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRL1", INSPECT_MALFORMED, "neither");
	assert_refused(M "&xt=urn:btih:1123456789abcdef0123456789abcdef01234567", INSPECT_MALFORMED, "two different");
	assert_refused(M "\nmagnet:?x", INSPECT_MALFORMED, "more than one line");
	assert_refused("magnet:?dn=a\0b&xt=urn:btih:" HEX, INSPECT_MALFORMED, "control");
}

static void test_version_two_is_not_yet(void **state)
{
	struct one o;

	(void)state;
	assert_refused("magnet:?xt=urn:btmh:1220" HEX HEX, INSPECT_NOT_YET, "not supported yet");
	assert_true(run_raw(&o, M "&xt=urn:btmh:1220" HEX));
	assert_hash(&o, HEX);
	assert_true(warned(&o, "hybrid"));
	one_free(&o);
	assert_true(run_raw(&o, M "&xt.1=urn:btih:" HEX));
	one_free(&o);
}

static void test_names_that_escape_are_not_used(void **state)
{
	struct one o;

	(void)state;
	assert_true(run_raw(&o, M "&dn=..%2F..%2Fetc"));
	assert_string_equal(metainfo_str(&o.m, o.m.h->name), HEX);
	assert_true(warned(&o, "the name (dn) is"));
	one_free(&o);
	assert_true(run_raw(&o, M "&dn=a%00b"));
	assert_string_equal(metainfo_str(&o.m, o.m.h->name), HEX);
	one_free(&o);
	assert_true(run_raw(&o, M "&dn=a%0Ab%2Fc%ff%zz"));
	assert_string_equal(metainfo_str(&o.m, o.m.h->name), "a%0Ab%2Fc%FF%zz");
	one_free(&o);
	assert_true(run_raw(&o, M "&dn=&dn=second"));
	assert_string_equal(metainfo_str(&o.m, o.m.h->name), HEX);
	one_free(&o);
}

static void test_odd_values_are_left_out(void **state)
{
	struct one o;

	(void)state;
	assert_true(run_raw(&o, M "&xl=-5&tr=nonsense&tr=&ws=ftp://x/&&=&=x&tr.x=http://no.example/&trx=http://no.example/"));
	assert_int_equal(o.t.total_length, 0);
	assert_int_equal(o.m.h->tracker_count, 0);
	assert_true(warned(&o, "(xl)"));
	assert_true(warned(&o, "tracker entry 0"));
	assert_true(warned(&o, "web seed entry 0"));
	one_free(&o);
	assert_true(run_raw(&o, M "&xl=99999999999999999999999"));
	assert_int_equal(o.t.total_length, 0);
	one_free(&o);
	assert_true(run_raw(&o, M "&dn=%"));
	assert_string_equal(metainfo_str(&o.m, o.m.h->name), "%");
	one_free(&o);
	assert_true(run_raw(&o, M "&dn=%4"));
	assert_string_equal(metainfo_str(&o.m, o.m.h->name), "%4");
	one_free(&o);
}

static void test_sizes_are_bounded(void **state)
{
	size_t n = MAGNET_MAX_BYTES + 1, used = sizeof M - 1;
	char *p = malloc(n);
	struct one o;

	(void)state;
	memcpy(p, M, used);
	memset(p + used, 'x', n - used);
	assert_false(one_run(&o, p, n, 0, 0));
	assert_int_equal(o.in.refusal.status, INSPECT_TOO_LARGE);
	one_free(&o);
	memset(p + used, '&', n - used);
	assert_false(one_run(&o, p, n - 1, 0, 0));
	assert_int_equal(o.in.refusal.status, INSPECT_TOO_LARGE);
	one_free(&o);
	memcpy(p + used, "&dn=", 4);
	memset(p + used + 4, 'x', n - used - 4);
	assert_true(one_run(&o, p, n - 1, 0, 0));
	assert_int_equal(o.m.h->name.length, 255);
	one_free(&o);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex_and_base32_are_the_same_hash),
		cmocka_unit_test(test_it_is_told_from_a_torrent_by_its_front),
		cmocka_unit_test(test_everything_that_is_understood),
		cmocka_unit_test(test_ampersands_of_html_are_understood),
		cmocka_unit_test(test_hashes_are_strict),
		cmocka_unit_test(test_version_two_is_not_yet),
		cmocka_unit_test(test_names_that_escape_are_not_used),
		cmocka_unit_test(test_odd_values_are_left_out),
		cmocka_unit_test(test_sizes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
