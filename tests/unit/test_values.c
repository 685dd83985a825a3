/*
 * test_values.c - values of the command line: each whole and in its range, or refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../parent/values.c"

static void test_numbers_are_digits_in_a_range(void **state)
{
	static const char *const bad[] = { "", " 1", "1 ", "+1", "-1", "1x", "0x1", "1.0", "4", "101", "18446744073709551616", "99999999999999999999999" };
	uint64_t v;
	size_t i;

	(void)state;
	assert_true(value_number("5", 5, 100, &v) && v == 5);
	assert_true(value_number("100", 5, 100, &v) && v == 100);
	assert_true(value_number("00100", 5, 100, &v) && v == 100);
	assert_true(value_number("0", 0, 0, &v) && v == 0);
	assert_true(value_number("18446744073709551615", 0, UINT64_MAX, &v) && v == UINT64_MAX);
	assert_false(value_number("18446744073709551616", 0, UINT64_MAX, &v));
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (value_number(bad[i], 5, 100, &v))
			fail_msg("'%s' was taken for %llu", bad[i], (unsigned long long)v);
}

static void test_sizes_are_whole_and_1024_based(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(value_size("10", 0, 100, &v) && v == 10);
	assert_true(value_size("2k", 0, 4096, &v) && v == 2048);
	assert_true(value_size("1G", 0, UINT64_MAX, &v) && v == 1u << 30);
	assert_false(value_size("2k", 0, 2047, &v));
	assert_false(value_size("17179869184G", 0, UINT64_MAX, &v));
	assert_false(value_size("18446744073709551616", 0, UINT64_MAX, &v));
	assert_false(value_size(" 1", 0, 10, &v));
	assert_false(value_size("1kk", 0, 10000, &v));
}

static void test_times_are_minutes_or_have_a_unit(void **state)
{
	static const char *const bad[] = { "", "0", "0s", "s", "-1", "+1", "1.5h", "1hh", "1 h", "1w", "366d", "31536001s", "525601", "99999999999999999999" };
	uint32_t v;
	size_t i;

	(void)state;
	assert_true(value_time("1", &v) && v == 60);
	assert_true(value_time("1s", &v) && v == 1);
	assert_true(value_time("5m", &v) && v == 300);
	assert_true(value_time("2h", &v) && v == 7200);
	assert_true(value_time("365d", &v) && v == 31536000);
	assert_true(value_time("525600", &v) && v == 31536000);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (value_time(bad[i], &v))
			fail_msg("'%s' was taken for %u s", bad[i], v);
}

static void test_ratios_have_three_decimals_at_most(void **state)
{
	static const char *const bad[] = { "", ".", ".5", "1.", "1.0000", "-1", "+1", "1e3", "1000.001", "1001", "0x1", "1.-1", "1.5 ", "inf", "99999999999999999999" };
	uint32_t v;
	size_t i;

	(void)state;
	assert_true(value_ratio("0", &v) && v == 0);
	assert_true(value_ratio("0.0", &v) && v == 0);
	assert_true(value_ratio("1", &v) && v == 1000);
	assert_true(value_ratio("1.5", &v) && v == 1500);
	assert_true(value_ratio("0.05", &v) && v == 50);
	assert_true(value_ratio("0.001", &v) && v == 1);
	assert_true(value_ratio("1000", &v) && v == 1000000);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (value_ratio(bad[i], &v))
			fail_msg("'%s' was taken for %u", bad[i], v);
}

static void test_ports_are_one_or_a_range_upwards(void **state)
{
	static const char *const bad[] = { "", "0", "65536", "7-", "7-6", "7-65536", "0-9", "7-8-9", "7- 9", "7:9", "-9" };
	uint16_t first, last;
	size_t i;

	(void)state;
	assert_true(value_ports("1", &first, &last) && first == 1 && last == 1);
	assert_true(value_ports("7-7", &first, &last) && first == 7 && last == 7);
	assert_true(value_ports("1-65535", &first, &last) && first == 1 && last == 65535);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (value_ports(bad[i], &first, &last))
			fail_msg("'%s' was taken for %u-%u", bad[i], first, last);
}

static void test_addresses_have_a_port_and_v6_has_brackets(void **state)
{
	static const char *const bad[] = { "", ":80", "1.2.3.4", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3:80", "01.2.3.4:80", "::1:80", "[::1]", "[::1]80",
					   "[::1:80", "::1]:80", "[1.2.3.4]:80", "[]:80", "[fe80::1%lo]:80", "localhost:80",
					   "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]:80" };
	struct net_addr a;
	size_t i;

	(void)state;
	assert_true(value_addr_port("192.0.2.1:65535", &a) && a.family == 4 && a.ip[3] == 1 && a.port == 65535);
	assert_true(value_addr_port("[2001:db8::9]:1", &a) && a.family == 6 && a.ip[15] == 9 && a.port == 1);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (value_addr_port(bad[i], &a))
			fail_msg("'%s' was taken", bad[i]);
}

static void test_bits_after_a_prefix_are_cleared(void **state)
{
	static const char *const bad[] = { "", "/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129", "10.0.0.0/8/8", "10.0.0.0/-1", "fd00::/x" };
	struct msg_allow_net n;
	size_t i;

	(void)state;
	assert_true(value_cidr("10.255.255.255/9", &n) && n.bits == 9 && n.prefix.ip[0] == 10 && n.prefix.ip[1] == 128 && n.prefix.ip[2] == 0);
	assert_true(value_cidr("10.1.2.3", &n) && n.bits == 32 && n.prefix.ip[3] == 3);
	assert_true(value_cidr("255.255.255.255/0", &n) && n.bits == 0 && n.prefix.ip[0] == 0 && n.prefix.ip[3] == 0);
	assert_true(value_cidr("ffff:ffff::ffff/17", &n) && n.prefix.family == 6 && n.prefix.ip[1] == 0xff && n.prefix.ip[2] == 0x80 && n.prefix.ip[15] == 0);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (value_cidr(bad[i], &n))
			fail_msg("'%s' was taken", bad[i]);
}

static void test_urls_are_printable_and_of_a_known_scheme(void **state)
{
	static const char *const schemes[] = { "http://", "udp://", NULL };
	const char *list = "http://a/,udp://b:1,,x", *url;
	char longest[METAINFO_MAX_URL + 2] = "http://";

	(void)state;
	memset(longest + 7, 'a', METAINFO_MAX_URL + 1 - 7);
	assert_true(value_is_url("HTTP://a", 8, schemes));
	assert_false(value_is_url("http://", 7, schemes));
	assert_false(value_is_url("ftp://a", 7, schemes));
	assert_false(value_is_url("http://a b", 10, schemes));
	assert_false(value_is_url("http://\x7f", 8, schemes));
	assert_true(value_is_url(longest, METAINFO_MAX_URL, schemes));
	assert_false(value_is_url(longest, METAINFO_MAX_URL + 1, schemes));
	assert_int_equal(value_next_url(&list, &url), 9);
	assert_memory_equal(url, "http://a/", 9);
	assert_int_equal(value_next_url(&list, &url), 9);
	assert_memory_equal(url, "udp://b:1", 9);
	assert_int_equal(value_next_url(&list, &url), 0); /* nothing between two commas */
	assert_int_equal(value_next_url(&list, &url), 1);
	assert_int_equal(value_next_url(&list, &url), 0);
	assert_string_equal(list, "");
}

static void test_names_are_one_component_of_utf8(void **state)
{
	char longest[257];

	(void)state;
	memset(longest, 'n', sizeof longest);
	longest[255] = 0;
	assert_true(value_is_name(longest));
	longest[255] = 'n';
	longest[256] = 0;
	assert_false(value_is_name(longest));
	assert_true(value_is_name("...") && value_is_name("\xc3\xbc b"));
	assert_false(value_is_name("") || value_is_name(".") || value_is_name("..") || value_is_name("a/b") || value_is_name("a\xc3"));
	assert_true(value_is_utf8(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_digits_in_a_range),
		cmocka_unit_test(test_sizes_are_whole_and_1024_based),
		cmocka_unit_test(test_times_are_minutes_or_have_a_unit),
		cmocka_unit_test(test_ratios_have_three_decimals_at_most),
		cmocka_unit_test(test_ports_are_one_or_a_range_upwards),
		cmocka_unit_test(test_addresses_have_a_port_and_v6_has_brackets),
		cmocka_unit_test(test_bits_after_a_prefix_are_cleared),
		cmocka_unit_test(test_urls_are_printable_and_of_a_known_scheme),
		cmocka_unit_test(test_names_are_one_component_of_utf8),
	};

	return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
