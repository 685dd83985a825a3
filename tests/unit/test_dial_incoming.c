/*
 * test_dial_incoming.c - who connects to us, at the dialer: where it listens, whom it lets in, what it does when
 * nobody takes them.
 */
#include "dialer_fake.h"

#include <setjmp.h>
#include <stdarg.h>

#include <dirent.h>

#include <cmocka.h>

#define FIRST 50000u
#define LAST 50009u

static uint32_t before;
static char logged[4096];

static void sink(enum role role, enum log_level level, enum log_topic topic, const char *text)
{
	size_t used = strlen(logged);

	(void)role;
	(void)level;
	(void)topic;
	snprintf(logged + used, sizeof logged - used, "%s\n", text);
}

static uint32_t open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint32_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static struct msg_dialer_options options(void)
{
	return (struct msg_dialer_options){ .port_first = FIRST, .port_last = LAST, .listen4 = 1, .listen6 = 1, .accepts_per_second = 30 };
}

static int begin(void **state)
{
	struct msg_dialer_options o = options();

	(void)state;
	logged[0] = 0;
	log_to_sink(sink, LOG_DETAIL);
	before = open_descriptors();
	fake_begin(&o);
	fake.from = (struct net_addr){ .family = 4, .port = 40000, .ip = { 8, 8, 4, 4 } };
	return 0;
}

static int end(void **state)
{
	(void)state;
	fake_check();
	fake_end();
	return open_descriptors() == before ? 0 : -1;
}

/* That many connect from fake.from. */
static void come(uint32_t n)
{
	fake.waiting = n;
	fake_turn(1, false);
}

/* How many INCOMING lie at netproc's end; the last of them in *last. */
static uint32_t taken(struct msg_incoming *last)
{
	struct packet p;
	uint32_t n = 0;

	while (channel_receive(&fake.net, &p) == CHANNEL_OK) {
		assert_int_equal(p.type, MSG_INCOMING);
		assert_int_equal(p.count, 1);
		assert_true(p.fd >= 0);
		close(p.fd);
		*last = *(const struct msg_incoming *)packet_message(&p, 0);
		n++;
	}
	return n;
}

static void assert_turned_away(const char *why)
{
	struct msg_incoming m;

	come(1);
	assert_int_equal(taken(&m), 0);
	assert_int_equal(fake.waiting, 0); /* it was accepted, and closed: end() counts descriptors */
	assert_non_null(strstr(logged, why));
}

/* ---- where it listens */

static void test_listens_on_the_first_port_that_is_free_in_both_families(void **state)
{
	(void)state;
	fake.taken_up_to[0] = FIRST + 1;
	fake.taken_up_to[1] = FIRST + 3;
	listeners_open(&fake.d);
	assert_int_equal(fake.d.listeners[0].port, FIRST + 4);
	assert_int_equal(fake.d.listeners[1].port, FIRST + 4);
}

static void test_family_that_the_machine_lacks_is_left_out(void **state)
{
	static const int lacks[] = { EAFNOSUPPORT, EADDRNOTAVAIL, EPROTONOSUPPORT };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lacks); i++) {
		fake.listen_error[0] = 0;
		fake.listen_error[1] = lacks[i];
		listeners_open(&fake.d);
		assert_int_equal(fake.d.listeners[0].port, FIRST);
		assert_int_equal(fake.d.listeners[1].fd, -1);
		listeners_close(&fake.d);
		fake.listen_error[0] = lacks[i];
		listeners_open(&fake.d);
		assert_int_equal(fake.d.listeners[0].fd, -1);
		assert_int_equal(fake.d.listeners[0].port, 0);
	}
}

static void test_listens_nowhere_when_all_ports_are_taken_or_not_permitted(void **state)
{
	(void)state;
	fake.taken_up_to[1] = LAST;
	listeners_open(&fake.d);
	assert_int_equal(fake.d.listeners[0].fd, -1);
	assert_int_equal(fake.d.listeners[1].fd, -1);
	fake.taken_up_to[1] = 0;
	fake.listen_error[0] = EACCES;
	listeners_open(&fake.d);
	assert_int_equal(fake.d.listeners[1].port, 0);
	assert_non_null(strstr(logged, "cannot listen on ports 50000 to 50009"));
}

static void test_the_last_port_of_all_ends_the_search(void **state)
{
	(void)state;
	fake.d.options.port_first = 65534;
	fake.d.options.port_last = 65535;
	fake.taken_up_to[0] = fake.taken_up_to[1] = 65535;
	listeners_open(&fake.d);
	assert_int_equal(fake.d.listeners[0].fd, -1);
}

static void test_no_port_or_no_family_no_listening(void **state)
{
	(void)state;
	fake.d.options.listen4 = 0;
	listeners_open(&fake.d);
	assert_int_equal(fake.d.listeners[0].fd, -1);
	assert_int_equal(fake.d.listeners[1].port, FIRST);
	listeners_close(&fake.d);
	fake.d.options.port_first = fake.d.options.port_last = 0;
	listeners_open(&fake.d);
	assert_int_equal(fake.d.listeners[1].fd, -1);
	assert_string_equal(logged, "");
}

/* ---- whom it lets in */

static void test_a_stranger_is_handed_over_with_both_addresses(void **state)
{
	struct msg_incoming m;

	(void)state;
	listeners_open(&fake.d);
	come(1);
	assert_int_equal(taken(&m), 1);
	assert_memory_equal(&m.addr, &fake.from, sizeof m.addr);
	assert_int_equal(m.local.family, 4);
	assert_int_equal(fake.d.stats.accepted, 1);
	assert_int_equal(fake.d.stats.turned_away, 0);
	assert_string_equal(logged, "");
}

static void test_addresses_that_are_not_dialled_are_not_let_in(void **state)
{
	static const struct {
		uint8_t ip[4];
		const char *why;
	} rows[] = {
		{ { 127, 0, 0, 1 }, "turned away 127.0.0.1:40000: loopback" },
		{ { 192, 168, 1, 7 }, "192.168.1.7:40000: private" },
		{ { 169, 254, 169, 254 }, "cloud metadata" },
		{ { 100, 64, 0, 1 }, "carrier-grade NAT" },
		{ { 0, 0, 0, 0 }, "reserved" },
	};
	size_t i;

	(void)state;
	listeners_open(&fake.d);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		memcpy(fake.from.ip, rows[i].ip, 4);
		assert_turned_away(rows[i].why);
	}
	assert_int_equal(fake.d.stats.turned_away, ARRAY_LEN(rows));
	assert_int_equal(fake.d.stats.refused, ARRAY_LEN(rows));
	assert_int_equal(fake.d.stats.accepted, 0);
}

static void test_neighbours_and_ourselves_are_not_let_in(void **state)
{
	(void)state;
	listeners_open(&fake.d);
	fake.route_verdict = EGRESS_ATTACHED;
	assert_turned_away("a directly attached network");
	fake.route_verdict = EGRESS_OWN;
	assert_turned_away("this machine's own address");
	fake.route_verdict = EGRESS_OK;
	fake.route_error = ENETUNREACH;
	assert_turned_away("no route");
}

static void test_allowed_networks_are_let_in_and_routes_not_asked(void **state)
{
	struct msg_allow_net net = { .prefix = { .family = 4, .ip = { 192, 168, 0, 0 } }, .bits = 16 };
	struct msg_incoming m;

	(void)state;
	listeners_open(&fake.d);
	assert_true(egress_allow_net(&fake.d.egress, &net));
	fake.route_verdict = EGRESS_ATTACHED;
	memcpy(fake.from.ip, (uint8_t[]){ 192, 168, 1, 7 }, 4);
	come(1);
	assert_int_equal(taken(&m), 1);
	memcpy(fake.from.ip, (uint8_t[]){ 192, 169, 1, 7 }, 4);
	assert_turned_away("a directly attached network");
}

static void test_a_peer_of_the_command_line_is_let_in_from_any_port(void **state)
{
	struct net_addr peer = { .family = 4, .port = 6881, .ip = { 10, 0, 0, 9 } };
	struct msg_incoming m;

	(void)state;
	listeners_open(&fake.d);
	assert_true(egress_allow_addr(&fake.d.egress, &peer));
	fake.from = peer;
	fake.from.port = 33333;
	come(1);
	assert_int_equal(taken(&m), 1);
	fake.from.port = 22; /* its own choice, and no port of a service that we would reach */
	come(1);
	assert_int_equal(taken(&m), 1);
	fake.from.ip[3] = 8;
	assert_turned_away("private");
}

static void test_a_source_address_of_one_family_keeps_the_other_out(void **state)
{
	struct msg_dialer_options o = options();
	struct msg_allow_net all = { .prefix = { .family = 6 }, .bits = 0 };

	(void)state;
	fake_end();
	o.bind4 = (struct net_addr){ .family = 4, .ip = { 1, 2, 3, 4 } };
	fake_begin(&o);
	listeners_open(&fake.d);
	assert_true(egress_allow_net(&fake.d.egress, &all));
	fake.from = (struct net_addr){ .family = 6, .port = 4000, .ip = { 0x2a, 1 } };
	assert_turned_away("no source address of its family");
}

/* ---- how many */

static void test_one_address_has_its_share_and_others_theirs(void **state)
{
	struct msg_incoming m;

	(void)state;
	listeners_open(&fake.d);
	come(1000);
	while (fake.waiting)
		fake_turn(0, false);
	assert_int_equal(taken(&m), limits_of_accepts.addr_burst);
	assert_int_equal(fake.d.stats.turned_away, 1000 - limits_of_accepts.addr_burst);
	fake.from.port = 1; /* another port is no other address */
	come(1);
	assert_int_equal(taken(&m), 0);
	fake.from.ip[0] = 9;
	come(1);
	assert_int_equal(taken(&m), 1);
	/* Refills. */
	fake.from.ip[0] = 8;
	fake.waiting = 5;
	fake_turn(limits_of_accepts.addr_every_ms, false);
	assert_int_equal(taken(&m), 1);
	assert_in_range(strlen(logged), 1, sizeof logged - 1);
	assert_null(strstr(logged, "allowed"));
}

/* How many of one network get in, from `n` addresses of it. */
static uint32_t come_from(uint32_t n)
{
	struct msg_incoming m;
	uint32_t got = 0, i;

	for (i = 0; i < n; i++) {
		fake.from.ip[3] = (uint8_t)i;
		come(1);
		got += taken(&m);
	}
	return got;
}

static void test_one_network_has_its_share_unless_the_user_named_it(void **state)
{
	struct msg_allow_net net = { .prefix = { .family = 4, .ip = { 10, 0, 0, 0 } }, .bits = 8 };
	struct net_addr peer = { .family = 4, .port = 6881, .ip = { 8, 8, 4, 200 } };
	struct msg_incoming m;

	(void)state;
	listeners_open(&fake.d);
	assert_int_equal(come_from(64), limits_of_accepts.net_burst);
	/* Whom the user named gets in beside those who used up their network's share. */
	assert_true(egress_allow_addr(&fake.d.egress, &peer));
	fake.from.ip[3] = 199;
	assert_turned_away("too many connections");
	fake.from.ip[3] = 200;
	come(1);
	assert_int_equal(taken(&m), 1);
	assert_true(egress_allow_net(&fake.d.egress, &net));
	fake_turn(10000, false);
	memcpy(fake.from.ip, (uint8_t[]){ 10, 1, 1, 0 }, 4);
	assert_int_equal(come_from(64), limits_of_accepts.burst);
	/* And each of them as often as anybody. */
	fake_turn(10000, false);
	come(100);
	while (fake.waiting)
		fake_turn(0, false);
	assert_int_equal(taken(&m), limits_of_accepts.addr_burst);
}

static void test_an_ipv6_host_is_its_64_bits(void **state)
{
	struct msg_incoming m;
	uint32_t n = 0, i;

	(void)state;
	listeners_open(&fake.d);
	fake.from = (struct net_addr){ .family = 6, .port = 40000, .ip = { 0x2a, 1, 2, 3, 4, 5, 6, 7 } };
	for (i = 0; i < 50; i++) {
		fake.from.ip[15] = (uint8_t)i;
		come(1);
		n += taken(&m);
	}
	assert_int_equal(n, limits_of_accepts.addr_burst);
	fake.from.ip[7] = 8;
	come(1);
	assert_int_equal(taken(&m), 1);
}

static void test_all_together_have_a_rate(void **state)
{
	struct msg_incoming m;
	uint32_t n = 0, i;

	(void)state;
	listeners_open(&fake.d);
	for (i = 0; i < 600; i++) {
		fake.from.ip[0] = (uint8_t)(11 + i % 80);
		fake.from.ip[1] = (uint8_t)(i / 80);
		come(1); /* a millisecond each */
		n += taken(&m);
	}
	assert_in_range(n, limits_of_accepts.burst, limits_of_accepts.burst + 20);
}

/* ---- when nobody takes them */

static void test_a_netproc_that_takes_nothing_bounds_what_is_accepted(void **state)
{
	struct msg_incoming m;
	uint32_t i;

	(void)state;
	listeners_open(&fake.d);
	for (i = 0; i < 2000; i++) {
		memcpy(fake.from.ip, (uint8_t[]){ (uint8_t)(11 + i % 80), (uint8_t)(i / 80), 1, 1 }, 4);
		fake.waiting = 1;
		fake_turn(100, false);
	}
	assert_false(listeners_are_served(&fake.d));
	assert_int_equal(fake.waiting, 1);
	assert_in_range(fake.d.stats.accepted, 30, 100);
	/* As soon as it takes them, others are let in. */
	assert_int_equal(taken(&m), fake.d.stats.accepted - 1); /* one waits on our side */
	fake_turn(100, false);
	fake_turn(100, false);
	assert_int_equal(fake.waiting, 0);
	assert_int_equal(taken(&m), 2);
}

static void test_dials_go_on_when_strangers_fill_the_channel(void **state)
{
	struct msg_dial dial = { .tag = 5, .kind = NET_PEER, .addr = { .family = 4, .port = 6881, .ip = { 32, 1, 1, 1 } } };
	struct packet p;
	bool dialed = false;
	uint32_t i;

	(void)state;
	listeners_open(&fake.d);
	assert_int_equal(channel_push(&fake.net, MSG_DIAL, &dial), 0);
	assert_int_equal(channel_flush(&fake.net), 0);
	fake_turn(0, false);
	for (i = 0; i < 400; i++) {
		memcpy(fake.from.ip, (uint8_t[]){ (uint8_t)(11 + i % 80), (uint8_t)(i / 80), 1, 1 }, 4);
		fake.waiting = 1;
		fake_turn(10, false);
	}
	fake_turn(0, true);
	for (i = 0; i < 200; i++) {
		if (channel_receive(&fake.net, &p) == CHANNEL_OK) {
			close(p.fd);
			dialed |= p.type == MSG_DIALED;
		}
		fake_turn(0, false);
	}
	assert_true(dialed);
}

static void test_the_newest_netproc_gets_them_and_nobody_when_it_is_gone(void **state)
{
	struct channel older = fake.net;
	struct msg_incoming m;
	struct packet p;

	(void)state;
	listeners_open(&fake.d);
	fake_client(); /* fake.net is the new one's end */
	come(1);
	assert_int_equal(channel_receive(&older, &p), CHANNEL_EMPTY);
	assert_int_equal(taken(&m), 1);
	channel_close(&fake.net);
	fake_turn(0, false);
	come(1);
	assert_int_equal(fake.waiting, 1);
	assert_int_equal(channel_receive(&older, &p), CHANNEL_EMPTY);
	fake_client();
	come(1);
	assert_int_equal(taken(&m), 1);
	channel_close(&older);
}

static void test_without_descriptors_it_pauses_and_does_not_spin(void **state)
{
	static const int errors[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM };
	struct msg_incoming m;
	size_t i;

	(void)state;
	fake.d.options.listen6 = 0;
	listeners_open(&fake.d);
	for (i = 0; i < ARRAY_LEN(errors); i++) {
		fake.accepts = 0;
		fake.accept_error = errors[i];
		fake_turn(1, false);
		assert_false(listeners_are_served(&fake.d));
		assert_int_equal(listeners_deadline(&fake.d), fake.d.now_ms + 1000);
		fake_turn(999, false);
		assert_int_equal(fake.accepts, 1);
		fake.accept_error = 0;
		fake.waiting = 1;
		fake_turn(1, false);
		assert_int_equal(taken(&m), 1);
		assert_int_equal(listeners_deadline(&fake.d), UINT64_MAX);
	}
}

static void test_one_that_went_before_it_was_accepted_is_no_reason_to_pause(void **state)
{
	struct msg_incoming m;

	(void)state;
	listeners_open(&fake.d);
	fake.accept_error = ECONNABORTED;
	fake_turn(1, false);
	assert_int_equal(fake.accepts, 2 * ACCEPTS_PER_TURN); /* bounded, at each of the two */
	fake.accept_error = 0;
	come(1);
	assert_int_equal(taken(&m), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_listens_on_the_first_port_that_is_free_in_both_families, begin, end),
		cmocka_unit_test_setup_teardown(test_family_that_the_machine_lacks_is_left_out, begin, end),
		cmocka_unit_test_setup_teardown(test_listens_nowhere_when_all_ports_are_taken_or_not_permitted, begin, end),
		cmocka_unit_test_setup_teardown(test_the_last_port_of_all_ends_the_search, begin, end),
		cmocka_unit_test_setup_teardown(test_no_port_or_no_family_no_listening, begin, end),
		cmocka_unit_test_setup_teardown(test_a_stranger_is_handed_over_with_both_addresses, begin, end),
		cmocka_unit_test_setup_teardown(test_addresses_that_are_not_dialled_are_not_let_in, begin, end),
		cmocka_unit_test_setup_teardown(test_neighbours_and_ourselves_are_not_let_in, begin, end),
		cmocka_unit_test_setup_teardown(test_allowed_networks_are_let_in_and_routes_not_asked, begin, end),
		cmocka_unit_test_setup_teardown(test_a_peer_of_the_command_line_is_let_in_from_any_port, begin, end),
		cmocka_unit_test_setup_teardown(test_a_source_address_of_one_family_keeps_the_other_out, begin, end),
		cmocka_unit_test_setup_teardown(test_one_address_has_its_share_and_others_theirs, begin, end),
		cmocka_unit_test_setup_teardown(test_one_network_has_its_share_unless_the_user_named_it, begin, end),
		cmocka_unit_test_setup_teardown(test_an_ipv6_host_is_its_64_bits, begin, end),
		cmocka_unit_test_setup_teardown(test_all_together_have_a_rate, begin, end),
		cmocka_unit_test_setup_teardown(test_a_netproc_that_takes_nothing_bounds_what_is_accepted, begin, end),
		cmocka_unit_test_setup_teardown(test_dials_go_on_when_strangers_fill_the_channel, begin, end),
		cmocka_unit_test_setup_teardown(test_the_newest_netproc_gets_them_and_nobody_when_it_is_gone, begin, end),
		cmocka_unit_test_setup_teardown(test_without_descriptors_it_pauses_and_does_not_spin, begin, end),
		cmocka_unit_test_setup_teardown(test_one_that_went_before_it_was_accepted_is_no_reason_to_pause, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
