/*
 * test_dial_routes.c - answers of the kernel to "where is this address", well
 * formed and not.
 */
#include "../../parent/dialer/routes.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct answer {
	union {
		struct nlmsghdr header;
		uint8_t bytes[512];
	} u;
};

static void begin(struct answer *a, uint8_t family, uint8_t type, uint8_t bits)
{
	struct rtmsg r = { .rtm_family = family == 4 ? AF_INET : AF_INET6, .rtm_dst_len = bits, .rtm_type = type };

	memset(a, 0, sizeof *a);
	a->u.header = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(sizeof r), .nlmsg_type = RTM_NEWROUTE, .nlmsg_seq = 7 };
	memcpy(a->u.bytes + NLMSG_HDRLEN, &r, sizeof r);
}

static void attribute(struct answer *a, uint16_t type, const void *value, size_t length)
{
	struct rtattr r = { .rta_len = (uint16_t)RTA_LENGTH(length), .rta_type = type };

	memcpy(a->u.bytes + a->u.header.nlmsg_len, &r, sizeof r);
	memcpy(a->u.bytes + a->u.header.nlmsg_len + sizeof r, value, length);
	a->u.header.nlmsg_len += (uint32_t)RTA_SPACE(length);
}

static int verdict(const struct answer *a, uint8_t family)
{
	enum egress_verdict v = EGRESS_VERDICTS;
	int r = routes_read(a->u.bytes, a->u.header.nlmsg_len, 7, family, &v);

	return r ? -r : (int)v;
}

static int of(uint8_t family, uint8_t type, uint8_t bits, bool gateway)
{
	const uint8_t ip[16] = { 1 };
	struct answer a;

	begin(&a, family, type, bits);
	attribute(&a, RTA_DST, ip, family == 4 ? 4 : 16);
	if (gateway)
		attribute(&a, RTA_GATEWAY, ip, family == 4 ? 4 : 16);
	return verdict(&a, family);
}

static void test_kinds_of_routes(void **state)
{
	(void)state;
	assert_int_equal(of(4, RTN_LOCAL, 32, false), EGRESS_OWN);
	assert_int_equal(of(6, RTN_LOCAL, 128, false), EGRESS_OWN);
	assert_int_equal(of(4, RTN_BROADCAST, 32, false), EGRESS_RESERVED);
	assert_int_equal(of(6, RTN_ANYCAST, 128, false), EGRESS_RESERVED);
	assert_int_equal(of(6, RTN_MULTICAST, 8, false), EGRESS_RESERVED);
	assert_int_equal(of(4, RTN_UNREACHABLE, 8, false), -ENETUNREACH);
	assert_int_equal(of(4, RTN_BLACKHOLE, 8, true), -ENETUNREACH);
	assert_int_equal(of(4, RTN_PROHIBIT, 8, false), -EACCES);
	assert_int_equal(of(4, 250, 8, true), -ENETUNREACH);
}

static void test_attached_is_without_gateway_and_not_near_default(void **state)
{
	(void)state;
	assert_int_equal(of(4, RTN_UNICAST, 24, false), EGRESS_ATTACHED);
	assert_int_equal(of(4, RTN_UNICAST, 32, false), EGRESS_ATTACHED);
	assert_int_equal(of(4, RTN_UNICAST, 8, false), EGRESS_ATTACHED);
	assert_int_equal(of(4, RTN_UNICAST, 7, false), EGRESS_OK);
	assert_int_equal(of(4, RTN_UNICAST, 1, false), EGRESS_OK);
	assert_int_equal(of(4, RTN_UNICAST, 0, false), EGRESS_OK);
	assert_int_equal(of(4, RTN_UNICAST, 24, true), EGRESS_OK);
	assert_int_equal(of(4, RTN_UNICAST, 0, true), EGRESS_OK);
	assert_int_equal(of(6, RTN_UNICAST, 64, false), EGRESS_ATTACHED);
	assert_int_equal(of(6, RTN_UNICAST, 16, false), EGRESS_ATTACHED);
	assert_int_equal(of(6, RTN_UNICAST, 15, false), EGRESS_OK);
	assert_int_equal(of(6, RTN_UNICAST, 3, false), EGRESS_OK);
	assert_int_equal(of(6, RTN_UNICAST, 64, true), EGRESS_OK);
}

static void test_gateway_of_the_other_family_is_one(void **state)
{
	const uint8_t via[18] = { AF_INET6 };
	struct answer a;

	(void)state;
	begin(&a, 4, RTN_UNICAST, 24);
	attribute(&a, RTA_VIA, via, sizeof via);
	assert_int_equal(verdict(&a, 4), EGRESS_OK);
}

/* A multipath route of two hops, each with a gateway or not. */
static int multipath(bool first, bool second)
{
	struct {
		struct rtnexthop hop;
		struct rtattr a;
		uint8_t ip[4];
	} hops[2];
	uint8_t bytes[sizeof hops];
	size_t n = 0;
	struct answer a;
	int i;

	memset(hops, 0, sizeof hops);
	for (i = 0; i < 2; i++) {
		bool gateway = i ? second : first;

		hops[i].hop.rtnh_len = gateway ? sizeof hops[i] : sizeof hops[i].hop;
		hops[i].a = (struct rtattr){ .rta_len = RTA_LENGTH(4), .rta_type = RTA_GATEWAY };
		memcpy(bytes + n, &hops[i], hops[i].hop.rtnh_len);
		n += hops[i].hop.rtnh_len;
	}
	begin(&a, 4, RTN_UNICAST, 24);
	attribute(&a, RTA_MULTIPATH, bytes, n);
	return verdict(&a, 4);
}

static void test_multipath_needs_a_gateway_on_each_path(void **state)
{
	(void)state;
	assert_int_equal(multipath(true, true), EGRESS_OK);
	assert_int_equal(multipath(true, false), EGRESS_ATTACHED);
	assert_int_equal(multipath(false, true), EGRESS_ATTACHED);
}

static void test_errors_of_the_kernel_are_errors(void **state)
{
	struct nlmsgerr e = { .error = -ENETUNREACH };
	struct answer a;
	enum egress_verdict v;

	(void)state;
	memset(&a, 0, sizeof a);
	a.u.header = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(sizeof e), .nlmsg_type = NLMSG_ERROR, .nlmsg_seq = 7 };
	memcpy(a.u.bytes + NLMSG_HDRLEN, &e, sizeof e);
	assert_int_equal(verdict(&a, 4), -ENETUNREACH);
	/* "No error" is no route. */
	e.error = 0;
	memcpy(a.u.bytes + NLMSG_HDRLEN, &e, sizeof e);
	assert_int_equal(verdict(&a, 4), -EPROTO);
	e.error = INT32_MIN;
	memcpy(a.u.bytes + NLMSG_HDRLEN, &e, sizeof e);
	assert_int_equal(verdict(&a, 4), -EPROTO);
	assert_int_equal(routes_read(a.u.bytes, a.u.header.nlmsg_len, 8, 4, &v), ESTALE);
}

/* Whatever is cut off or claims too much: never a verdict that allows, and nothing is read past the end (the sanitizers watch). */
static void test_malformed_answers_allow_nothing(void **state)
{
	const uint8_t ip[4] = { 1 };
	struct answer a;
	uint32_t n, whole;
	size_t at;

	(void)state;
	begin(&a, 4, RTN_UNICAST, 24);
	attribute(&a, RTA_DST, ip, 4);
	attribute(&a, RTA_GATEWAY, ip, 4);
	whole = a.u.header.nlmsg_len;
	assert_int_equal(verdict(&a, 4), EGRESS_OK);
	assert_int_equal(verdict(&a, 6), -EPROTO);
	for (n = 0; n < whole; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		enum egress_verdict v = EGRESS_VERDICTS;
		struct nlmsghdr h = a.u.header;
		int r;

		assert_non_null(copy);
		h.nlmsg_len = n;
		memcpy(copy, a.u.bytes, n);
		r = routes_read(copy, n, 7, 4, &v); /* claims more than there is */
		assert_true(r != 0);
		if (n >= sizeof h) {
			memcpy(copy, &h, sizeof h);
			r = routes_read(copy, n, 7, 4, &v); /* claims what is there */
			assert_true(r != 0 || v == EGRESS_ATTACHED);
		}
		free(copy);
	}
	at = NLMSG_LENGTH(sizeof(struct rtmsg));
	for (n = 0; n < 4; n++) { /* an attribute shorter than its header */
		a.u.bytes[at] = (uint8_t)n;
		assert_int_equal(verdict(&a, 4), -EPROTO);
	}
	a.u.bytes[at] = 255;
	assert_int_equal(verdict(&a, 4), -EPROTO);
}

static void test_malformed_hops_have_no_gateway(void **state)
{
	uint8_t bytes[16] = { 0 };
	unsigned length;
	struct answer a;

	(void)state;
	for (length = 0; length < 300; length++) {
		if (length >= sizeof(struct rtnexthop) && length <= sizeof bytes)
			continue;
		bytes[0] = (uint8_t)length;
		bytes[1] = (uint8_t)(length >> 8);
		begin(&a, 4, RTN_UNICAST, 24);
		attribute(&a, RTA_MULTIPATH, bytes, sizeof bytes);
		assert_int_equal(verdict(&a, 4), EGRESS_ATTACHED);
	}
}

/* The real kernel: loopback is there in any namespace that has been brought up, and is never allowed. */
static void test_kernel_knows_loopback_as_its_own(void **state)
{
	struct net_addr lo = { .family = 4, .port = 1, .ip = { 127, 0, 0, 1 } };
	struct route_query q = { .to = &lo };
	enum egress_verdict v = EGRESS_VERDICTS;
	struct routes r;
	int error, i;

	(void)state;
	assert_int_equal(routes_open(&r), 0);
	for (i = 0; i < 3; i++) {
		error = routes_ask(&r, &q, &v);
		assert_true(error == ENETUNREACH || (error == 0 && v == EGRESS_OWN));
	}
	routes_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds_of_routes),
		cmocka_unit_test(test_attached_is_without_gateway_and_not_near_default),
		cmocka_unit_test(test_gateway_of_the_other_family_is_one),
		cmocka_unit_test(test_multipath_needs_a_gateway_on_each_path),
		cmocka_unit_test(test_errors_of_the_kernel_are_errors),
		cmocka_unit_test(test_malformed_answers_allow_nothing),
		cmocka_unit_test(test_malformed_hops_have_no_gateway),
		cmocka_unit_test(test_kernel_knows_loopback_as_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
