/*
 * test_egress.c - the dialer's address policy: each block at its first and
 * last address and at the neighbours outside; ports; what the user and the
 * torrent may except.
 */
#include "../../parent/dialer/egress.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WRAPS EGRESS_VERDICTS /* there is no neighbour */

struct range {
	const char *first, *last;
	enum egress_verdict inside, before, after;
};

static const struct range ranges[] = {
	{ "0.0.0.0", "0.255.255.255", EGRESS_RESERVED, WRAPS, EGRESS_OK },
	{ "1.0.0.0", "9.255.255.255", EGRESS_OK, EGRESS_RESERVED, EGRESS_PRIVATE },
	{ "10.0.0.0", "10.255.255.255", EGRESS_PRIVATE, EGRESS_OK, EGRESS_OK },
	{ "100.64.0.0", "100.127.255.255", EGRESS_CGNAT, EGRESS_OK, EGRESS_OK },
	{ "100.100.100.200", "100.100.100.200", EGRESS_METADATA, EGRESS_CGNAT, EGRESS_CGNAT },
	{ "127.0.0.0", "127.255.255.255", EGRESS_LOOPBACK, EGRESS_OK, EGRESS_OK },
	{ "168.63.129.16", "168.63.129.16", EGRESS_METADATA, EGRESS_OK, EGRESS_OK },
	{ "169.254.0.0", "169.254.169.253", EGRESS_LINK_LOCAL, EGRESS_OK, EGRESS_METADATA },
	{ "169.254.169.254", "169.254.169.254", EGRESS_METADATA, EGRESS_LINK_LOCAL, EGRESS_LINK_LOCAL },
	{ "169.254.170.2", "169.254.170.2", EGRESS_METADATA, EGRESS_LINK_LOCAL, EGRESS_LINK_LOCAL },
	{ "169.254.170.23", "169.254.170.23", EGRESS_METADATA, EGRESS_LINK_LOCAL, EGRESS_LINK_LOCAL },
	{ "169.254.170.24", "169.254.255.255", EGRESS_LINK_LOCAL, EGRESS_METADATA, EGRESS_OK },
	{ "172.16.0.0", "172.31.255.255", EGRESS_PRIVATE, EGRESS_OK, EGRESS_OK },
	{ "192.0.0.0", "192.0.0.191", EGRESS_RESERVED, EGRESS_OK, EGRESS_METADATA },
	{ "192.0.0.192", "192.0.0.192", EGRESS_METADATA, EGRESS_RESERVED, EGRESS_RESERVED },
	{ "192.0.0.193", "192.0.0.255", EGRESS_RESERVED, EGRESS_METADATA, EGRESS_OK },
	{ "192.0.2.0", "192.0.2.255", EGRESS_DOCUMENTATION, EGRESS_OK, EGRESS_OK },
	{ "192.31.196.0", "192.31.196.255", EGRESS_RESERVED, EGRESS_OK, EGRESS_OK },
	{ "192.52.193.0", "192.52.193.255", EGRESS_RESERVED, EGRESS_OK, EGRESS_OK },
	{ "192.88.99.0", "192.88.99.255", EGRESS_TRANSLATED, EGRESS_OK, EGRESS_OK },
	{ "192.168.0.0", "192.168.255.255", EGRESS_PRIVATE, EGRESS_OK, EGRESS_OK },
	{ "192.175.48.0", "192.175.48.255", EGRESS_RESERVED, EGRESS_OK, EGRESS_OK },
	{ "198.18.0.0", "198.19.255.255", EGRESS_RESERVED, EGRESS_OK, EGRESS_OK },
	{ "198.51.100.0", "198.51.100.255", EGRESS_DOCUMENTATION, EGRESS_OK, EGRESS_OK },
	{ "203.0.113.0", "203.0.113.255", EGRESS_DOCUMENTATION, EGRESS_OK, EGRESS_OK },
	{ "224.0.0.0", "239.255.255.255", EGRESS_MULTICAST, EGRESS_OK, EGRESS_RESERVED },
	{ "240.0.0.0", "255.255.255.255", EGRESS_RESERVED, EGRESS_MULTICAST, WRAPS },

	{ "::", "::", EGRESS_RESERVED, WRAPS, EGRESS_LOOPBACK },
	{ "::1", "::1", EGRESS_LOOPBACK, EGRESS_RESERVED, EGRESS_TRANSLATED },
	{ "::2", "::ffff:ffff", EGRESS_TRANSLATED, EGRESS_LOOPBACK, EGRESS_RESERVED },
	{ "::ffff:0:0", "::ffff:ffff:ffff", EGRESS_TRANSLATED, EGRESS_RESERVED, EGRESS_RESERVED },
	{ "::ffff:0:0:0", "::ffff:0:ffff:ffff", EGRESS_TRANSLATED, EGRESS_RESERVED, EGRESS_RESERVED },
	{ "64:ff9b::", "64:ff9b::ffff:ffff", EGRESS_TRANSLATED, EGRESS_RESERVED, EGRESS_RESERVED },
	{ "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", EGRESS_TRANSLATED, EGRESS_RESERVED, EGRESS_RESERVED },
	{ "100::", "100::ffff:ffff:ffff:ffff", EGRESS_RESERVED, EGRESS_RESERVED, EGRESS_RESERVED },
	{ "100:0:0:1::", "100::1:ffff:ffff:ffff:ffff", EGRESS_RESERVED, EGRESS_RESERVED, EGRESS_RESERVED },
	{ "2000::", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_OK, EGRESS_RESERVED, EGRESS_TRANSLATED },
	{ "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_TRANSLATED, EGRESS_OK, EGRESS_RESERVED },
	{ "2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_RESERVED, EGRESS_TRANSLATED, EGRESS_OK },
	{ "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_DOCUMENTATION, EGRESS_OK, EGRESS_OK },
	{ "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_TRANSLATED, EGRESS_OK, EGRESS_OK },
	{ "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", EGRESS_RESERVED, EGRESS_OK, EGRESS_OK },
	{ "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_DOCUMENTATION, EGRESS_OK, EGRESS_OK },
	{ "3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_OK, EGRESS_DOCUMENTATION, EGRESS_RESERVED },
	{ "4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_RESERVED, EGRESS_OK, EGRESS_UNIQUE_LOCAL },
	{ "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_RESERVED, EGRESS_RESERVED, EGRESS_RESERVED },
	{ "fc00::", "fd00:42::41", EGRESS_UNIQUE_LOCAL, EGRESS_RESERVED, EGRESS_METADATA },
	{ "fd00:42::42", "fd00:42::42", EGRESS_METADATA, EGRESS_UNIQUE_LOCAL, EGRESS_UNIQUE_LOCAL },
	{ "fd00:ec2::23", "fd00:ec2::23", EGRESS_METADATA, EGRESS_UNIQUE_LOCAL, EGRESS_UNIQUE_LOCAL },
	{ "fd00:ec2::254", "fd00:ec2::254", EGRESS_METADATA, EGRESS_UNIQUE_LOCAL, EGRESS_UNIQUE_LOCAL },
	{ "fd20:ce::254", "fd20:ce::254", EGRESS_METADATA, EGRESS_UNIQUE_LOCAL, EGRESS_UNIQUE_LOCAL },
	{ "fd20:ce::255", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_UNIQUE_LOCAL, EGRESS_METADATA, EGRESS_RESERVED },
	{ "fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_RESERVED, EGRESS_UNIQUE_LOCAL, EGRESS_LINK_LOCAL },
	{ "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_LINK_LOCAL, EGRESS_RESERVED, EGRESS_PRIVATE },
	{ "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_PRIVATE, EGRESS_LINK_LOCAL, EGRESS_MULTICAST },
	{ "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", EGRESS_MULTICAST, EGRESS_PRIVATE, WRAPS },
	/* RFC 5214 */
	{ "2a00::5efe:0:0", "2a00::5efe:ffff:ffff", EGRESS_TRANSLATED, EGRESS_OK, EGRESS_OK },
	{ "2a00::200:5efe:0:0", "2a00::200:5efe:ffff:ffff", EGRESS_TRANSLATED, EGRESS_OK, EGRESS_OK },
};

static struct net_addr addr(const char *text, uint16_t port)
{
	struct net_addr a;

	if (!egress_literal(&a, text, port))
		fail_msg("not an address: %s", text);
	return a;
}

static struct net_addr neighbour(struct net_addr a, int step)
{
	int i;

	for (i = a.family == 4 ? 3 : 15; i >= 0; i--) {
		a.ip[i] = (uint8_t)(a.ip[i] + step);
		if (a.ip[i] != (step > 0 ? 0 : 255))
			break;
	}
	return a;
}

static void test_each_block_at_its_ends_and_outside(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(ranges); i++) {
		const struct range *r = &ranges[i];
		struct net_addr first = addr(r->first, 6881), last = addr(r->last, 6881), before = neighbour(first, -1), after = neighbour(last, 1);

		if (egress_special(&first) != r->inside || egress_special(&last) != r->inside)
			fail_msg("%s to %s: %s and %s", r->first, r->last, egress_verdict_name(egress_special(&first)),
			         egress_verdict_name(egress_special(&last)));
		if (r->before != WRAPS && egress_special(&before) != r->before)
			fail_msg("before %s: %s", r->first, egress_verdict_name(egress_special(&before)));
		if (r->after != WRAPS && egress_special(&after) != r->after)
			fail_msg("after %s: %s", r->last, egress_verdict_name(egress_special(&after)));
	}
}

static void test_text_of_each_row_is_its_bytes(void **state)
{
	uint8_t ip[16];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(blocks4); i++) {
		assert_int_equal(inet_pton(AF_INET, blocks4[i].prefix, ip), 1);
		assert_memory_equal(ip, blocks4[i].ip, 4);
	}
	for (i = 0; i < ARRAY_LEN(blocks6); i++) {
		assert_int_equal(inet_pton(AF_INET6, blocks6[i].prefix, ip), 1);
		assert_memory_equal(ip, blocks6[i].ip, 16);
	}
}

static void test_ordinary_hosts_are_allowed(void **state)
{
	static const char *const hosts[] = { "1.1.1.1", "8.8.8.8", "93.184.216.34", "203.0.114.9", "2a01:4f8::2", "2606:4700:4700::1111", "2001:470::1" };
	struct egress p = { .net_count = 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(hosts); i++) {
		struct net_addr a = addr(hosts[i], 51413);

		assert_int_equal(egress_judge(&p, &a, false), EGRESS_OK);
	}
}

static enum egress_verdict port_verdict(const struct egress *p, const char *host, uint16_t port, bool listed)
{
	struct net_addr a = addr(host, port);

	return egress_judge(p, &a, listed);
}

static void test_privileged_ports_are_refused_but_http(void **state)
{
	struct egress p = { .net_count = 0 };

	(void)state;
	assert_int_equal(port_verdict(&p, "8.8.8.8", 0, true), EGRESS_PORT);
	assert_int_equal(port_verdict(&p, "8.8.8.8", 1, false), EGRESS_PORT);
	assert_int_equal(port_verdict(&p, "8.8.8.8", 25, false), EGRESS_PORT);
	assert_int_equal(port_verdict(&p, "8.8.8.8", 79, false), EGRESS_PORT);
	assert_int_equal(port_verdict(&p, "8.8.8.8", 80, false), EGRESS_OK);
	assert_int_equal(port_verdict(&p, "8.8.8.8", 81, false), EGRESS_PORT);
	assert_int_equal(port_verdict(&p, "8.8.8.8", 443, false), EGRESS_OK);
	assert_int_equal(port_verdict(&p, "8.8.8.8", 1023, false), EGRESS_PORT);
	assert_int_equal(port_verdict(&p, "8.8.8.8", 1024, false), EGRESS_OK);
	assert_int_equal(port_verdict(&p, "8.8.8.8", 65535, false), EGRESS_OK);
	assert_int_equal(port_verdict(&p, "8.8.8.8", 1023, true), EGRESS_OK);
}

static void test_listed_port_lifts_no_address_rule(void **state)
{
	struct egress p = { .net_count = 0 };

	(void)state;
	assert_int_equal(port_verdict(&p, "127.0.0.1", 25, true), EGRESS_LOOPBACK);
	assert_int_equal(port_verdict(&p, "169.254.169.254", 80, true), EGRESS_METADATA);
}

static void test_allow_net_lifts_the_address_rule_and_not_the_port_rule(void **state)
{
	struct egress p = { .net_count = 0 };
	struct msg_allow_net net = { .prefix = addr("192.168.4.0", 0), .bits = 22 }, six = { .prefix = addr("fd00:1::", 0), .bits = 31 };

	(void)state;
	assert_true(egress_allow_net(&p, &net));
	assert_true(egress_allow_net(&p, &six));
	assert_int_equal(port_verdict(&p, "192.168.3.255", 6881, false), EGRESS_PRIVATE);
	assert_int_equal(port_verdict(&p, "192.168.4.0", 6881, false), EGRESS_OK);
	assert_int_equal(port_verdict(&p, "192.168.7.255", 6881, false), EGRESS_OK);
	assert_int_equal(port_verdict(&p, "192.168.8.0", 6881, false), EGRESS_PRIVATE);
	assert_int_equal(port_verdict(&p, "192.168.4.1", 22, false), EGRESS_PORT);
	assert_int_equal(port_verdict(&p, "192.168.4.1", 22, true), EGRESS_OK);
	assert_int_equal(port_verdict(&p, "fd00:0:ffff::1", 6881, false), EGRESS_OK);
	assert_int_equal(port_verdict(&p, "fd00:1:ffff::1", 6881, false), EGRESS_OK);
	assert_int_equal(port_verdict(&p, "fd00:2::1", 6881, false), EGRESS_UNIQUE_LOCAL);
	/* The same hosts under another name. */
	assert_int_equal(port_verdict(&p, "::ffff:192.168.4.1", 6881, false), EGRESS_TRANSLATED);
}

static void test_prefix_of_no_bits_allows_a_whole_family_only(void **state)
{
	struct egress p = { .net_count = 0 };
	struct msg_allow_net net = { .prefix = addr("0.0.0.0", 0), .bits = 0 };

	(void)state;
	assert_true(egress_allow_net(&p, &net));
	assert_int_equal(port_verdict(&p, "127.0.0.1", 6881, false), EGRESS_OK);
	assert_int_equal(port_verdict(&p, "::1", 6881, false), EGRESS_LOOPBACK);
}

static void test_peer_of_the_command_line_is_allowed_at_its_port_only(void **state)
{
	struct egress p = { .net_count = 0 };
	struct net_addr a = addr("127.0.0.1", 22);

	(void)state;
	assert_true(egress_allow_addr(&p, &a));
	assert_int_equal(port_verdict(&p, "127.0.0.1", 22, false), EGRESS_OK);
	assert_int_equal(port_verdict(&p, "127.0.0.1", 6881, false), EGRESS_LOOPBACK);
	assert_int_equal(port_verdict(&p, "127.0.0.2", 22, false), EGRESS_LOOPBACK);
}

static void test_exceptions_out_of_range_are_not_taken(void **state)
{
	struct egress p = { .net_count = 0 };
	struct msg_allow_net net = { .prefix = addr("10.0.0.0", 0), .bits = 33 };
	struct net_addr a = addr("10.0.0.1", 0);
	uint32_t i;

	(void)state;
	assert_false(egress_allow_net(&p, &net));
	net.bits = 32;
	net.prefix.ip[15] = 1;
	assert_false(egress_allow_net(&p, &net));
	net.prefix = addr("::", 0);
	net.bits = 129;
	assert_false(egress_allow_net(&p, &net));
	net.prefix.family = 5;
	net.bits = 0;
	assert_false(egress_allow_net(&p, &net));
	assert_false(egress_allow_addr(&p, &a));
	a.port = 1;
	for (i = 0; i < EGRESS_MAX_NETS; i++)
		assert_true(egress_allow_addr(&p, &a));
	assert_false(egress_allow_addr(&p, &a));
}

static void test_source_address_of_one_family_closes_the_other(void **state)
{
	struct egress p = { .only4 = true };
	struct net_addr six = addr("2a01::1", 6881);

	(void)state;
	assert_true(egress_allow_addr(&p, &six));
	assert_int_equal(port_verdict(&p, "2a01::1", 6881, false), EGRESS_FAMILY);
	assert_int_equal(port_verdict(&p, "8.8.8.8", 6881, false), EGRESS_OK);
	p.only4 = false;
	p.only6 = true;
	assert_int_equal(port_verdict(&p, "8.8.8.8", 6881, false), EGRESS_FAMILY);
}

/* A form with two trackers and a web seed, as inspect would write it. */
struct small_form {
	struct metainfo_header h;
	struct metainfo_url tracker[2], webseed[1];
	char text[64];
};

static void make_form(struct egress *p, struct small_form *f)
{
	static const char text[] = "tracker.example\0" "2a01::5\0" "198.41.0.4";
	uint32_t at = offsetof(struct small_form, text);

	memset(f, 0, sizeof *f);
	memcpy(f->text, text, sizeof text);
	f->h.tracker_count = 2;
	f->h.webseed_count = 1;
	f->h.trackers = offsetof(struct small_form, tracker);
	f->h.webseeds = offsetof(struct small_form, webseed);
	f->tracker[0] = (struct metainfo_url){ .host = { at, 15 }, .port = 444 };
	f->tracker[1] = (struct metainfo_url){ .host = { at + 16, 7 }, .port = 445 };
	f->webseed[0] = (struct metainfo_url){ .host = { at + 24, 10 }, .port = 446 };
	p->form = (struct metainfo){ .h = &f->h, .base = (const uint8_t *)f, .bytes = sizeof *f };
}

static void test_ports_in_the_torrent_are_listed_for_their_hosts(void **state)
{
	struct egress p = { .net_count = 0 };
	struct small_form f;
	struct net_addr a = addr("2a01:0::5", 445), b = addr("198.41.0.4", 446), c = addr("198.41.0.5", 446);

	(void)state;
	assert_false(egress_port_is_listed(&p, "tracker.example", NULL, 444));
	make_form(&p, &f);
	assert_true(egress_port_is_listed(&p, "tracker.example", NULL, 444));
	assert_true(egress_port_is_listed(&p, "Tracker.EXAMPLE", NULL, 444));
	assert_false(egress_port_is_listed(&p, "tracker.example", NULL, 445));
	assert_false(egress_port_is_listed(&p, "tracker.exampl", NULL, 444));
	assert_false(egress_port_is_listed(&p, "other.example", NULL, 444));
	assert_true(egress_port_is_listed(&p, NULL, &a, 445));
	assert_true(egress_port_is_listed(&p, NULL, &b, 446));
	assert_false(egress_port_is_listed(&p, NULL, &b, 445));
	assert_false(egress_port_is_listed(&p, NULL, &c, 446));
}

static void test_literals_with_and_without_brackets(void **state)
{
	struct net_addr a;

	(void)state;
	assert_true(egress_literal(&a, "[2a01::1]", 80));
	assert_int_equal(a.family, 6);
	assert_int_equal(a.port, 80);
	assert_true(egress_literal(&a, "8.8.8.8", 80));
	assert_int_equal(a.family, 4);
	assert_false(egress_literal(&a, "", 80));
	assert_false(egress_literal(&a, "[]", 80));
	assert_false(egress_literal(&a, "[2a01::1", 80));
	assert_false(egress_literal(&a, "fe80::1%eth0", 80));
	assert_false(egress_literal(&a, "0x7f.1", 80));
	assert_false(egress_literal(&a, "example.org", 80));
	assert_false(egress_literal(&a, "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", 80));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_block_at_its_ends_and_outside),
		cmocka_unit_test(test_text_of_each_row_is_its_bytes),
		cmocka_unit_test(test_ordinary_hosts_are_allowed),
		cmocka_unit_test(test_privileged_ports_are_refused_but_http),
		cmocka_unit_test(test_listed_port_lifts_no_address_rule),
		cmocka_unit_test(test_allow_net_lifts_the_address_rule_and_not_the_port_rule),
		cmocka_unit_test(test_prefix_of_no_bits_allows_a_whole_family_only),
		cmocka_unit_test(test_peer_of_the_command_line_is_allowed_at_its_port_only),
		cmocka_unit_test(test_exceptions_out_of_range_are_not_taken),
		cmocka_unit_test(test_source_address_of_one_family_closes_the_other),
		cmocka_unit_test(test_ports_in_the_torrent_are_listed_for_their_hosts),
		cmocka_unit_test(test_literals_with_and_without_brackets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
