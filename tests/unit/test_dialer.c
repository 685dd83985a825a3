/*
 * test_dialer.c - requests, from packet to answer, in simulated time: each is
 * answered exactly once, within its limits, and a broken contract ends the
 * channel and everything that it asked for.
 */
#include "dialer_fake.h"

#include <setjmp.h>
#include <stdarg.h>

#include <dirent.h>

#include <cmocka.h>

static struct net_addr public_host(uint32_t n)
{
	struct net_addr a = { .family = 4, .port = 6881 };

	put_be32(a.ip, 0x20000000 + n * 0x10000);
	return a;
}

static void ask(uint32_t tag, struct net_addr a)
{
	struct msg_dial m = { .tag = tag, .kind = NET_PEER, .addr = a };

	assert_int_equal(channel_push(&fake.net, MSG_DIAL, &m), 0);
	assert_int_equal(channel_flush(&fake.net), 0);
}

static void ask_name(uint32_t tag, const char *host, uint16_t port, uint8_t family)
{
	struct msg_dial_name m = { .tag = tag, .kind = NET_TRACKER, .port = port, .family = family };

	memcpy(m.host, host, strlen(host));
	assert_int_equal(channel_push(&fake.net, MSG_DIAL_NAME, &m), 0);
	assert_int_equal(channel_flush(&fake.net), 0);
}

static void cancel(uint32_t tag)
{
	struct msg_dial_cancel m = { .tag = tag };

	assert_int_equal(channel_push(&fake.net, MSG_DIAL_CANCEL, &m), 0);
	assert_int_equal(channel_flush(&fake.net), 0);
}

/* The next answer: its tag, and 0 or the reason; *error.  0: none. */
struct answer {
	uint32_t tag, reason;
	int error;
	struct net_addr addr;
};

static struct packet inbox;
static uint32_t inbox_at;

static struct answer next_answer(void)
{
	struct answer a = { 0 };

	if (inbox_at == inbox.count) {
		inbox_at = inbox.count = 0;
		if (channel_receive(&fake.net, &inbox) != CHANNEL_OK) {
			inbox.count = 0;
			return a;
		}
	}
	if (inbox.type == MSG_DIALED) {
		const struct msg_dialed *m = packet_message(&inbox, inbox_at++);

		assert_true(inbox.fd >= 0);
		close(inbox.fd);
		a = (struct answer){ .tag = m->tag, .addr = m->addr };
	} else {
		const struct msg_dial_failed *m = packet_message(&inbox, inbox_at++);

		assert_int_equal(inbox.type, MSG_DIAL_FAILED);
		a = (struct answer){ .tag = m->tag, .reason = m->reason, .error = m->error, .addr = m->addr };
	}
	return a;
}

static void assert_answer(uint32_t tag, uint32_t reason, int error)
{
	struct answer a = next_answer();

	assert_int_equal(a.tag, tag);
	assert_int_equal(a.reason, reason);
	assert_int_equal(a.error, error);
}

static void assert_silent(void)
{
	assert_int_equal(next_answer().tag, 0);
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

static uint32_t before;

static void sink(enum role role, enum log_level level, enum log_topic topic, const char *text)
{
	(void)role;
	(void)level;
	(void)topic;
	(void)text;
}

static void begin_with(struct msg_dialer_options o)
{
	log_to_sink(sink, LOG_DETAIL);
	before = open_descriptors();
	inbox_at = inbox.count = 0;
	fake_begin(&o);
}

static int begin(void **state)
{
	(void)state;
	begin_with((struct msg_dialer_options){ .connect_timeout_ms = 10000, .max_in_flight = 64, .dials_per_second = 30 });
	return 0;
}

static int end(void **state)
{
	(void)state;
	fake_check();
	fake_end();
	return open_descriptors() == before ? 0 : -1;
}

static void again(struct msg_dialer_options o)
{
	fake_end();
	begin_with(o);
}

static void test_connected_socket_is_handed_over_once(void **state)
{
	struct answer a;

	(void)state;
	ask(9, public_host(1));
	fake_turn(0, false);
	assert_int_equal(fake.d.in_flight, 1);
	assert_silent();
	fake_turn(20, true);
	a = next_answer();
	assert_int_equal(a.tag, 9);
	assert_int_equal(a.reason, 0);
	assert_int_equal(a.addr.port, 6881);
	assert_int_equal(fake.d.in_flight, 0);
	fake_turn(20000, true);
	assert_silent();
	assert_int_equal(fake.d.stats.connected, 1);
	/* The tag is free again. */
	ask(9, public_host(1));
	fake_turn(0, false);
	fake_turn(0, true);
	assert_answer(9, 0, 0);
}

static void test_refused_by_policy_is_answered_at_once(void **state)
{
	struct net_addr a = { .family = 4, .port = 6881, .ip = { 10, 0, 0, 1 } };

	(void)state;
	ask(1, a);
	a.port = 0;
	a.ip[0] = 8;
	ask(2, a);
	fake.route_verdict = EGRESS_ATTACHED;
	ask(3, public_host(1));
	fake_turn(0, false);
	assert_answer(1, DIAL_REFUSED_BY_POLICY, EGRESS_PRIVATE);
	assert_answer(2, DIAL_REFUSED_BY_POLICY, EGRESS_PORT);
	assert_answer(3, DIAL_REFUSED_BY_POLICY, EGRESS_ATTACHED);
	assert_int_equal(fake.sockets, 0);
	assert_int_equal(fake.d.stats.refused, 3);
}

static void test_route_that_changes_while_waiting_is_seen(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 1; i <= 5; i++)
		ask(i, public_host(1));
	fake_turn(0, true);
	fake.route_verdict = EGRESS_OWN;
	fake_turn(6000, true);
	for (i = 1; i <= 4; i++)
		assert_answer(i, 0, 0);
	assert_answer(5, DIAL_REFUSED_BY_POLICY, EGRESS_OWN);
}

static void test_failures_of_the_world_keep_their_errno(void **state)
{
	(void)state;
	fake.route_error = ENETUNREACH;
	ask(1, public_host(1));
	fake_turn(0, false);
	assert_answer(1, DIAL_FAILED, ENETUNREACH);
	fake.route_error = 0;
	fake.socket_error = ENODEV;
	ask(2, public_host(2));
	fake_turn(0, false);
	assert_answer(2, DIAL_FAILED, ENODEV);
	fake.socket_error = 0;
	fake.start_error = EADDRNOTAVAIL;
	ask(3, public_host(3));
	fake_turn(0, false);
	assert_answer(3, DIAL_FAILED, EADDRNOTAVAIL);
	fake.start_error = 0;
	fake.result_error = ECONNREFUSED;
	ask(4, public_host(4));
	fake_turn(0, false);
	fake_turn(0, true);
	assert_answer(4, DIAL_FAILED, ECONNREFUSED);
}

static void test_connect_that_takes_too_long_times_out(void **state)
{
	(void)state;
	ask(1, public_host(1));
	fake_turn(0, false);
	assert_in_range(dials_deadline(&fake.d), fake.d.now_ms + 10000, fake.d.now_ms + 10000);
	fake_turn(9999, false);
	assert_silent();
	fake_turn(1, false);
	assert_answer(1, DIAL_TIMEOUT, ETIMEDOUT);
}

static void test_in_flight_is_bounded_and_others_wait(void **state)
{
	uint32_t i;

	(void)state;
	again((struct msg_dialer_options){ .connect_timeout_ms = 10000, .max_in_flight = 8, .dials_per_second = 1000 });
	for (i = 1; i <= 20; i++)
		ask(i, public_host(i));
	fake_turn(0, false);
	fake_turn(0, false);
	fake_turn(0, false);
	assert_int_equal(fake.d.in_flight, 8);
	fake_turn(10, true);
	assert_int_equal(fake.d.in_flight, 8);
	fake_turn(10, true);
	assert_int_equal(fake.d.in_flight, 4);
}

static void test_too_many_waiting_are_told_to_try_later(void **state)
{
	uint32_t i, limited = 0;
	struct answer a;

	(void)state;
	for (i = 1; i <= DIALS_PER_CLIENT + 10; i++) {
		ask(i, public_host(i));
		fake_turn(0, false);
	}
	while ((a = next_answer()).tag) {
		assert_int_equal(a.reason, DIAL_LIMIT);
		assert_true(a.tag > DIALS_PER_CLIENT);
		limited++;
	}
	assert_int_equal(limited, 10);
}

static void test_what_the_limits_hold_back_too_long_is_told_so(void **state)
{
	uint32_t i, went = 0, limited = 0, turns;
	struct answer a;

	(void)state;
	for (i = 1; i <= 20; i++)
		ask(i, public_host(1));
	for (turns = 0; turns < 400; turns++)
		fake_turn(100, true);
	while ((a = next_answer()).tag) {
		went += a.reason == 0;
		limited += a.reason == DIAL_LIMIT;
	}
	assert_int_equal(went, limits_of_dials.addr_burst + DIAL_WAIT_MS / limits_of_dials.addr_every_ms);
	assert_int_equal(went + limited, 20);
}

static void test_cancel_answers_and_frees(void **state)
{
	(void)state;
	ask(1, public_host(1));
	fake_turn(0, false);
	cancel(1);
	cancel(77);
	ask_name(2, "a.example", 80, 0);
	fake_turn(0, false);
	cancel(2);
	fake_turn(0, false);
	assert_answer(1, DIAL_CANCELLED, 0);
	assert_answer(2, DIAL_CANCELLED, 0);
	assert_int_equal(fake.d.in_flight, 0);
	assert_int_equal(fake.d.clients[0].dials, 0);
	fake_turn(20000, true);
	assert_silent();
}

/* Whom the parent is told of meanwhile. */
static struct channel to_parent, parent;

static void hear_accusations(void)
{
	int fds[2];

	assert_int_equal(channel_pair(fds), 0);
	channel_init(&to_parent, fds[0], 0, false, "parent");
	channel_init(&parent, fds[1], 0, false, "dialer");
	accuse_to_channel(&to_parent);
}

static void stop_hearing(void)
{
	accuse_to_channel(NULL);
	channel_close(&to_parent);
	channel_close(&parent);
}

static bool is_accused(enum role role)
{
	struct msg_accuse m;
	struct packet p;

	assert_int_equal(channel_flush(&to_parent), 0);
	if (channel_receive(&parent, &p) != CHANNEL_OK || p.type != MSG_ACCUSE)
		return false;
	memcpy(&m, packet_message(&p, 0), sizeof m);
	return m.role == (uint32_t)role && m.epoch == FAKE_EPOCH;
}

static void assert_ended(void)
{
	hear_accusations();
	fake_turn(0, false);
	assert_true(is_accused(ROLE_NETPROC));
	stop_hearing();
	assert_int_equal(fake.d.clients[0].channel.fd, -1);
	assert_int_equal(fake.d.in_flight, 0);
	assert_int_equal(fake.d.clients[0].dials, 0);
	fake_check();
	channel_close(&fake.net);
	fake_client();
}

static void test_tag_in_use_breaks_the_contract(void **state)
{
	(void)state;
	ask(1, public_host(1));
	fake_turn(0, false);
	assert_int_equal(fake.d.in_flight, 1);
	ask(1, public_host(2));
	assert_ended();
}

static void test_values_out_of_range_break_the_contract(void **state)
{
	struct msg_dial m = { .tag = 1, .kind = NET_PEER, .addr = public_host(1) }, bad;
	struct msg_dial_name n = { .tag = 1, .kind = NET_PEER, .port = 80, .host = "a" }, worse;
	struct msg_dialer_stats s = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		bad = m;
		if (i == 0)
			bad.tag = 0;
		else if (i == 1)
			bad.kind = 0;
		else if (i == 2)
			bad.kind = 4;
		else if (i == 3)
			bad.addr.family = 0;
		else if (i == 4)
			bad.addr.family = 5;
		else
			bad.addr.ip[4] = 1;
		assert_int_equal(channel_push(&fake.net, MSG_DIAL, &bad), 0);
		assert_int_equal(channel_flush(&fake.net), 0);
		assert_ended();
	}
	for (i = 0; i < 5; i++) {
		worse = n;
		if (i == 0)
			worse.tag = 0;
		else if (i == 1)
			worse.kind = 99;
		else if (i == 2)
			worse.family = 10;
		else if (i == 3)
			worse.host[0] = 0;
		else
			memset(worse.host, 'a', sizeof worse.host);
		assert_int_equal(channel_push(&fake.net, MSG_DIAL_NAME, &worse), 0);
		assert_int_equal(channel_flush(&fake.net), 0);
		assert_ended();
	}
	cancel(0);
	assert_ended();
	assert_int_equal(channel_push(&fake.net, MSG_DIALER_STATS, &s), 0);
	assert_int_equal(channel_flush(&fake.net), 0);
	assert_ended();
}

static void test_netproc_that_goes_takes_its_dials_along(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 1; i <= 10; i++)
		ask(i, public_host(i));
	fake_turn(0, false);
	fake_turn(0, false);
	assert_int_equal(fake.d.in_flight, 10);
	channel_close(&fake.net);
	fake_turn(0, false);
	assert_int_equal(fake.d.in_flight, 0);
	fake_client();
	ask(1, public_host(1));
	fake_turn(0, false);
	fake_turn(0, true);
	assert_answer(1, 0, 0);
}

/* The question that the resolver got, or 0. */
static uint32_t question(char host[HOST_MAX])
{
	const struct msg_resolve *m;
	struct packet p;

	if (channel_receive(&fake.resolver, &p) != CHANNEL_OK)
		return 0;
	assert_int_equal(p.type, MSG_RESOLVE);
	m = packet_message(&p, 0);
	memcpy(host, m->host, HOST_MAX);
	return m->tag;
}

static void resolved(uint32_t tag, uint32_t status, const struct net_addr *a, uint32_t count)
{
	struct msg_resolved m = { .tag = tag, .status = status, .count = count };

	memcpy(m.addr, a, min_u32(count, RESOLVED_MAX) * sizeof *a);
	assert_int_equal(channel_push(&fake.resolver, MSG_RESOLVED, &m), 0);
	assert_int_equal(channel_flush(&fake.resolver), 0);
}

static void test_dials_to_one_name_share_a_question_and_its_answer(void **state)
{
	struct net_addr a = public_host(3);
	char host[HOST_MAX];
	uint32_t tag;

	(void)state;
	a.port = 0;
	ask_name(1, "Tracker.Example", 80, 0);
	ask_name(2, "tracker.example", 443, 0);
	fake_turn(0, false);
	tag = question(host);
	assert_int_not_equal(tag, 0);
	assert_string_equal(host, "tracker.example");
	assert_int_equal(question(host), 0);
	resolved(tag, 0, &a, 1);
	fake_turn(5, false);
	assert_int_equal(fake.d.in_flight, 2);
	fake_turn(5, true);
	assert_answer(1, 0, 0);
	assert_answer(2, 0, 0);
	/* Within a minute nothing is asked; after it, again. */
	ask_name(3, "tracker.example", 6969, 0);
	fake_turn(30000, false);
	fake_turn(0, true);
	assert_int_equal(question(host), 0);
	assert_answer(3, 0, 0);
	ask_name(4, "tracker.example", 6969, 0);
	fake_turn(31000, false);
	assert_int_not_equal(question(host), 0);
}

static void test_every_address_of_a_name_is_judged(void **state)
{
	struct net_addr a[3] = { { .family = 4, .ip = { 127, 0, 0, 1 } }, { .family = 6, .ip = { [15] = 1 } }, { .family = 4, .ip = { 169, 254, 169, 254 } } };
	char host[HOST_MAX];
	struct answer got;

	(void)state;
	ask_name(1, "rebind.example", 80, 0);
	fake_turn(0, false);
	resolved(question(host), 0, a, 3);
	fake_turn(0, false);
	got = next_answer();
	assert_int_equal(got.reason, DIAL_REFUSED_BY_POLICY);
	assert_int_equal(fake.sockets, 0);
	assert_int_equal(fake.d.stats.refused, 3);
	/* From the cache: judged again. */
	ask_name(2, "rebind.example", 80, 0);
	fake_turn(0, false);
	assert_int_equal(next_answer().reason, DIAL_REFUSED_BY_POLICY);
	assert_int_equal(fake.d.stats.refused, 6);
}

static void test_race_tries_four_after_250_ms_and_closes_the_loser(void **state)
{
	struct net_addr a[2] = { { .family = 4, .ip = { 32, 1, 0, 1 } }, { .family = 6, .ip = { 0x2a, 1, [15] = 1 } } };
	char host[HOST_MAX];
	struct answer got;

	(void)state;
	ask_name(1, "both.example", 80, 0);
	fake_turn(0, false);
	resolved(question(host), 0, a, 2);
	fake_turn(0, false);
	assert_int_equal(fake.d.in_flight, 1);
	assert_int_equal(fake.d.attempts[0].to.family, 6);
	assert_in_range(dials_deadline(&fake.d), fake.d.now_ms + 250, fake.d.now_ms + 250);
	fake_turn(249, false);
	assert_int_equal(fake.d.in_flight, 1);
	fake_turn(1, false);
	assert_int_equal(fake.d.in_flight, 2);
	attempt_ready(&fake.d, &fake.d.attempts[1]);
	fake_turn(0, false);
	got = next_answer();
	assert_int_equal(got.tag, 1);
	assert_int_equal(got.reason, 0);
	assert_int_equal(got.addr.family, 4);
	assert_int_equal(fake.d.in_flight, 0);
	assert_silent();
}

static void test_last_real_failure_is_told_rather_than_a_refusal(void **state)
{
	struct net_addr a[2] = { { .family = 4, .ip = { 32, 1, 0, 1 } }, { .family = 4, .ip = { 10, 0, 0, 1 } } };
	char host[HOST_MAX];

	(void)state;
	fake.result_error = ECONNREFUSED;
	ask_name(1, "mixed.example", 80, 0);
	fake_turn(0, false);
	resolved(question(host), 0, a, 2);
	fake_turn(0, false);
	fake_turn(0, true);
	assert_answer(1, DIAL_FAILED, ECONNREFUSED);
}

static void test_names_that_fail_and_texts_that_are_none(void **state)
{
	char host[HOST_MAX], longest[HOST_MAX];
	struct net_addr none = { 0 };
	uint32_t i;

	(void)state;
	ask_name(1, "gone.example", 80, 0);
	fake_turn(0, false);
	resolved(question(host), (uint32_t)-EAI_NONAME, &none, 0);
	fake_turn(0, false);
	assert_answer(1, DIAL_NO_NAME, 0);
	ask_name(2, "busy.example", 80, 0);
	fake_turn(0, false);
	resolved(question(host), (uint32_t)-EAI_AGAIN, &none, 0);
	fake_turn(0, false);
	assert_answer(2, DIAL_NO_NAME, EAGAIN);
	memset(longest, 'a', sizeof longest);
	longest[254] = 0;
	ask_name(3, longest, 80, 0);
	ask_name(4, "a b", 80, 0);
	ask_name(5, "a\nb", 80, 0);
	ask_name(6, "fe80::1%lo", 80, 0);
	ask_name(7, "8.8.8.8", 80, 6);
	fake_turn(0, false);
	for (i = 3; i <= 7; i++)
		assert_answer(i, DIAL_NO_NAME, 0);
	assert_int_equal(question(host), 0);
}

static void test_silent_resolver_is_not_waited_for_for_ever(void **state)
{
	struct net_addr a = public_host(1);
	char host[HOST_MAX];
	uint32_t tag;

	(void)state;
	ask_name(1, "slow.example", 80, 0);
	fake_turn(0, false);
	tag = question(host);
	assert_true(dials_deadline(&fake.d) <= fake.d.now_ms + NAMES_WAIT_MS);
	fake_turn(NAMES_WAIT_MS, false);
	assert_answer(1, DIAL_TIMEOUT, ETIMEDOUT);
	/* Its late answer harms nobody. */
	resolved(tag, 0, &a, 1);
	fake_turn(0, false);
	assert_true(fake.d.resolver.fd >= 0);
	assert_silent();
}

static void test_more_names_than_rows_are_told_to_try_later(void **state)
{
	char host[HOST_MAX];
	uint32_t i;

	(void)state;
	for (i = 1; i <= NAMES_MAX + 1; i++) {
		snprintf(host, sizeof host, "h%u.example", i);
		ask_name(i, host, 80, 0);
		fake_turn(0, false);
	}
	assert_answer(NAMES_MAX + 1, DIAL_LIMIT, EAGAIN);
	assert_silent();
}

static void test_resolver_that_breaks_the_contract_is_dropped(void **state)
{
	struct net_addr a[RESOLVED_MAX] = { { .family = 4, .ip = { 32, 1, 0, 1 } } };
	char host[HOST_MAX];
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		uint32_t tag;

		ask_name(1, "x.example", 80, 0);
		fake_turn(0, false);
		tag = question(host);
		assert_int_not_equal(tag, 0);
		if (i == 0)
			resolved(tag, 0, a, RESOLVED_MAX + 1);
		else if (i == 1)
			resolved(tag, 0, a, 2); /* the second has no family */
		else if (i == 2)
			resolved(tag, 3, a, 1);
		else
			channel_close(&fake.resolver);
		hear_accusations();
		fake_turn(1, false);
		assert_true(is_accused(ROLE_RESOLVER) == (i < 3)); /* a channel that is closed is none */
		stop_hearing();
		assert_answer(1, DIAL_NO_NAME, EAGAIN);
		assert_int_equal(fake.d.resolver.fd, -1);
		ask_name(2, "x.example", 80, 0);
		fake_turn(1, false);
		assert_answer(2, DIAL_NO_NAME, EAGAIN);
		channel_close(&fake.resolver);
		fake_resolver();
	}
}

static void test_with_an_interface_names_are_refused_unless_asked_for(void **state)
{
	struct msg_dialer_options o = { .connect_timeout_ms = 1000, .bind_interface = "tun0" };
	char host[HOST_MAX];

	(void)state;
	again(o);
	ask_name(1, "tracker.example", 80, 0);
	ask_name(2, "8.8.8.8", 80, 0);
	fake_turn(0, false);
	assert_int_equal(question(host), 0);
	assert_answer(1, DIAL_NO_NAME, EPERM);
	fake_turn(0, true);
	assert_answer(2, 0, 0);
	o.system_dns = 1;
	again(o);
	ask_name(1, "tracker.example", 80, 0);
	fake_turn(0, false);
	assert_int_not_equal(question(host), 0);
}

static void test_netproc_that_takes_no_answers_is_not_served(void **state)
{
	struct net_addr refused_one = { .family = 4, .port = 1, .ip = { 10, 0, 0, 1 } };
	struct msg_dial m = { .kind = NET_PEER, .addr = refused_one };
	uint32_t sent = 0, got = 0;
	int turns;

	(void)state;
	/* Floods, never reads: what it can make us keep is bounded by its channel. */
	for (turns = 0; turns < 2000; turns++) {
		m.tag = sent + 1;
		if (channel_push(&fake.net, MSG_DIAL, &m) == 0)
			sent++;
		(void)!channel_flush(&fake.net);
		fake_turn(0, false);
	}
	assert_false(client_is_served(&fake.d.clients[0]) && sent == 2000);
	for (turns = 0; turns < 4000 && got < sent; turns++) {
		struct answer a;

		while ((a = next_answer()).tag) {
			assert_int_equal(a.tag, ++got);
			assert_int_equal(a.reason, DIAL_REFUSED_BY_POLICY);
		}
		(void)!channel_flush(&fake.net);
		fake_turn(0, false);
	}
	assert_int_equal(got, sent);
}

/* A small generator, so that a failure can be repeated. */
static uint32_t chance(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % below;
}

static void test_each_request_is_answered_exactly_once_whatever_happens(void **state)
{
	static uint8_t answers[4000];
	uint32_t seed = 1, tags = 0, step, i;
	struct net_addr a[2] = { public_host(9), { .family = 6, .ip = { 0x2a, 1, [15] = 1 } } };
	char host[HOST_MAX];
	struct answer got;

	(void)state;
	memset(answers, 0, sizeof answers);
	for (step = 0; step < 6000; step++) {
		uint32_t tag;

		switch (chance(&seed, 8)) {
		case 0:
		case 1:
			if (tags + 1 < ARRAY_LEN(answers))
				ask(++tags, public_host(chance(&seed, 300)));
			break;
		case 2:
			if (tags + 1 < ARRAY_LEN(answers)) {
				snprintf(host, sizeof host, "h%u.example", chance(&seed, 90));
				ask_name(++tags, host, 80, chance(&seed, 2) ? 4 : 0);
			}
			break;
		case 3:
			cancel(1 + chance(&seed, tags + 1));
			break;
		case 4:
			tag = question(host);
			if (tag && chance(&seed, 4) == 0)
				resolved(tag, (uint32_t)-EAI_NONAME, a, 0);
			else if (tag)
				resolved(tag, 0, a, 2);
			break;
		case 5:
			fake.result_error = chance(&seed, 2) ? ECONNREFUSED : 0;
			fake.start_error = chance(&seed, 20) ? 0 : EADDRNOTAVAIL;
			break;
		default:
			break;
		}
		fake_turn(chance(&seed, 300), chance(&seed, 3) == 0);
		fake_check();
		while ((got = next_answer()).tag)
			answers[got.tag]++;
	}
	fake.result_error = fake.start_error = 0;
	for (step = 0; step < 1000; step++) {
		fake_turn(100, true);
		while ((got = next_answer()).tag)
			answers[got.tag]++;
	}
	assert_true(tags > 1500);
	for (i = 1; i <= tags; i++)
		if (answers[i] != 1)
			fail_msg("request %u of %u had %u answers", i, tags, answers[i]);
	assert_int_equal(fake.d.clients[0].dials, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_connected_socket_is_handed_over_once),
		TEST(test_refused_by_policy_is_answered_at_once),
		TEST(test_route_that_changes_while_waiting_is_seen),
		TEST(test_failures_of_the_world_keep_their_errno),
		TEST(test_connect_that_takes_too_long_times_out),
		TEST(test_in_flight_is_bounded_and_others_wait),
		TEST(test_too_many_waiting_are_told_to_try_later),
		TEST(test_what_the_limits_hold_back_too_long_is_told_so),
		TEST(test_cancel_answers_and_frees),
		TEST(test_tag_in_use_breaks_the_contract),
		TEST(test_values_out_of_range_break_the_contract),
		TEST(test_netproc_that_goes_takes_its_dials_along),
		TEST(test_dials_to_one_name_share_a_question_and_its_answer),
		TEST(test_every_address_of_a_name_is_judged),
		TEST(test_race_tries_four_after_250_ms_and_closes_the_loser),
		TEST(test_last_real_failure_is_told_rather_than_a_refusal),
		TEST(test_names_that_fail_and_texts_that_are_none),
		TEST(test_silent_resolver_is_not_waited_for_for_ever),
		TEST(test_more_names_than_rows_are_told_to_try_later),
		TEST(test_resolver_that_breaks_the_contract_is_dropped),
		TEST(test_with_an_interface_names_are_refused_unless_asked_for),
		TEST(test_netproc_that_takes_no_answers_is_not_served),
		TEST(test_each_request_is_answered_exactly_once_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
