/*
 * test_tracker.c - announce URLs and replies: what is said, what is believed of
 * the answer, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../netproc/tracker.c"

static struct net_addr peers[4000];
static char names[100][HOST_MAX];
static uint16_t name_ports[100];
static uint32_t peer_count, name_count;

static void on_peer(void *arg, const struct net_addr *a)
{
	(void)arg;
	assert_true(peer_count < ARRAY_LEN(peers));
	peers[peer_count++] = *a;
}

static void on_name(void *arg, const char *host, uint16_t port)
{
	(void)arg;
	assert_true(name_count < ARRAY_LEN(names));
	snprintf(names[name_count], HOST_MAX, "%s", host);
	name_ports[name_count++] = port;
}

static const struct tracker_sink sink = { .on_peer = on_peer, .on_name = on_name };
static struct tracker_reply reply;

static const char *parse(const void *body, size_t bytes)
{
	peer_count = name_count = 0;
	return tracker_parse(&reply, body, bytes, &sink);
}
#define PARSE(s) parse(s, sizeof(s) - 1)

static struct tracker_request request(void)
{
	struct tracker_request r = { .port = 6881, .uploaded = 1, .downloaded = 2, .left = UINT64_MAX, .numwant = 80, .key = 0xbeef, .event = TRACKER_STARTED };
	uint8_t i;

	for (i = 0; i < 20; i++) {
		r.info_hash[i] = (uint8_t)(i * 13);
		r.peer_id[i] = (uint8_t)"-BH0100-\x00\xff %&=+~._-az"[i];
	}
	return r;
}

#define PARAMETERS "info_hash=%00%0D%1A%274AN%5Bhu%82%8F%9C%A9%B6%C3%D0%DD%EA%F7&peer_id=-BH0100-%00%FF%20%25%26%3D%2B~._-a" \
	"&port=6881&uploaded=1&downloaded=2&left=18446744073709551615&numwant=80&compact=1&no_peer_id=1&key=0000beef&event=started"

static void test_announce_url_holds_all_parameters_percent_encoded(void **state)
{
	struct tracker_request r = request();
	char out[TRACKER_URL_MAX];

	(void)state;
	assert_true(tracker_announce_url(out, sizeof out, "http://t.example/announce", &r));
	assert_string_equal(out, "http://t.example/announce?" PARAMETERS);
}

static void test_existing_query_is_kept_and_fragment_dropped(void **state)
{
	static const char *const rows[][2] = {
		{ "http://t/a?key=x", "http://t/a?key=x&" },
		{ "http://t/a?", "http://t/a?" },
		{ "http://t/a?x=1&", "http://t/a?x=1&" },
		{ "http://t/a#frag?ment", "http://t/a?" },
		{ "http://t/a?x=1#?", "http://t/a?x=1&" },
	};
	struct tracker_request r = request();
	char out[TRACKER_URL_MAX], want[TRACKER_URL_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(tracker_announce_url(out, sizeof out, rows[i][0], &r));
		snprintf(want, sizeof want, "%s%s", rows[i][1], PARAMETERS);
		assert_string_equal(out, want);
	}
}

static void test_no_event_and_tracker_id_in_url(void **state)
{
	struct tracker_request r = request();
	char out[TRACKER_URL_MAX];

	(void)state;
	r.event = TRACKER_NONE;
	r.tracker_id = (const uint8_t *)"a&b\0";
	r.tracker_id_bytes = 4;
	assert_true(tracker_announce_url(out, sizeof out, "http://t/", &r));
	assert_null(strstr(out, "event="));
	assert_non_null(strstr(out, "&key=0000beef&trackerid=a%26b%00"));
}

static void test_url_that_does_not_fit_is_refused_at_every_length(void **state)
{
	struct tracker_request r = request();
	char out[TRACKER_URL_MAX];
	size_t need = strlen("http://t/?" PARAMETERS) + 1, room;

	(void)state;
	for (room = 0; room < need; room++)
		assert_false(tracker_announce_url(out, room, "http://t/", &r));
	assert_true(tracker_announce_url(out, need, "http://t/", &r));
}

static void test_longest_url_of_the_form_with_longest_id_fits(void **state)
{
	struct tracker_request r = request();
	char url[2049], out[TRACKER_URL_MAX];
	uint8_t id[TRACKER_ID_MAX];

	(void)state;
	memset(url, 'x', 2048);
	memcpy(url, "http://t/?", 10);
	url[2048] = 0;
	memset(id, 0xff, sizeof id);
	memset(r.info_hash, 0xff, 20);
	memset(r.peer_id, 0xff, 20);
	r.uploaded = r.downloaded = UINT64_MAX;
	r.tracker_id = id;
	r.tracker_id_bytes = sizeof id;
	assert_true(tracker_announce_url(out, sizeof out, url, &r));
}

static void test_compact_reply_of_both_families(void **state)
{
	(void)state;
	assert_null(PARSE("d8:completei7e10:incompletei3e8:intervali900e12:min intervali60e5:peers12:\x7f\0\0\1\x1a\xe1\x0a\0\0\2\0\x50"
			  "6:peers618:\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\1\1e"));
	assert_int_equal(peer_count, 3);
	assert_int_equal(peers[0].family, 4);
	assert_int_equal(peers[0].port, 6881);
	assert_memory_equal(peers[0].ip, "\x7f\0\0\1", 4);
	assert_int_equal(peers[1].port, 80);
	assert_int_equal(peers[2].family, 6);
	assert_int_equal(peers[2].port, 257);
	assert_memory_equal(peers[2].ip, "\x20\1\x0d\xb8", 4);
	assert_int_equal(reply.seeds, 7);
	assert_int_equal(reply.leechers, 3);
	assert_int_equal(reply.interval_s, 900);
	assert_int_equal(reply.min_interval_s, 60);
	assert_int_equal(reply.peers, 3);
	assert_int_equal(reply.left_out, 0);
	assert_false(reply.failed);
}

static void test_dictionary_reply_with_addresses_and_names(void **state)
{
	(void)state;
	assert_null(PARSE("d5:peersld2:ip9:127.0.0.14:porti5eed2:ip3:::14:porti6eed2:ip12:Host.Example4:porti7eeee"));
	assert_int_equal(peer_count, 2);
	assert_int_equal(peers[0].family, 4);
	assert_int_equal(peers[1].family, 6);
	assert_int_equal(name_count, 1);
	assert_string_equal(names[0], "host.example");
	assert_int_equal(name_ports[0], 7);
	assert_int_equal(reply.peers, 3);
	assert_int_equal(reply.seeds, UINT32_MAX);
	assert_int_equal(reply.interval_s, TRACKER_INTERVAL_S);
}

static void test_unusable_peers_are_left_out_one_by_one(void **state)
{
	(void)state;
	assert_null(PARSE("d5:peersli7e1:xled2:ip9:127.0.0.1ed4:porti5eed2:ip9:127.0.0.14:porti0eed2:ip9:127.0.0.14:porti65536eed2:ip9:127.0.0.14:porti-1ee"
			  "d2:ip0:4:porti5eed2:ip3:a\x1b"
			  "b4:porti5eed2:ip11:127.0.0.1\0x4:porti5eed2:ip9:127.0.0.14:port1:5ed2:ip9:127.0.0.24:porti5eeee"));
	assert_int_equal(peer_count, 1);
	assert_int_equal(name_count, 0);
	assert_int_equal(peers[0].ip[3], 2);
	assert_int_equal(reply.left_out, 12);
	assert_null(PARSE("d5:peers13:\x7f\0\0\1\0\0\x7f\0\0\1\0\1xe"));
	assert_int_equal(peer_count, 1); /* port 0 and the odd byte at the end */
}

static void test_too_many_peers_are_cut_and_neither_family_crowds_out_the_other(void **state)
{
	size_t n4 = 50000, n6 = 3000, at = 0, i, size = n4 * 6 + n6 * 18 + 100;
	uint8_t *b = must_alloc(size);
	uint32_t six = 0;

	(void)state;
	at += (size_t)snprintf((char *)b, size, "d5:peers%zu:", n4 * 6);
	memset(b + at, 1, n4 * 6);
	at += n4 * 6;
	at += (size_t)snprintf((char *)b + at, size - at, "6:peers6%zu:", n6 * 18);
	memset(b + at, 2, n6 * 18);
	at += n6 * 18;
	b[at++] = 'e';
	assert_null(parse(b, at));
	assert_int_equal(peer_count, TRACKER_PEERS_MAX);
	for (i = 0; i < peer_count; i++)
		six += peers[i].family == 6;
	assert_int_equal(six, TRACKER_PEERS_MAX / 2);
	assert_int_equal(reply.left_out, n4 + n6 - TRACKER_PEERS_MAX);
	free(b);
}

static void test_names_are_capped(void **state)
{
	char b[8192];
	size_t at = (size_t)snprintf(b, sizeof b, "d5:peersl"), i;

	(void)state;
	for (i = 0; i < 100; i++)
		at += (size_t)snprintf(b + at, sizeof b - at, "d2:ip6:host%02zu4:porti9ee", i);
	at += (size_t)snprintf(b + at, sizeof b - at, "ee");
	assert_null(parse(b, at));
	assert_int_equal(name_count, TRACKER_NAMES_MAX);
	assert_int_equal(reply.left_out, 100 - TRACKER_NAMES_MAX);
}

static void test_absurd_intervals_are_clamped(void **state)
{
	(void)state;
	assert_null(PARSE("d8:intervali1e12:min intervali1ee"));
	assert_int_equal(reply.interval_s, TRACKER_INTERVAL_LEAST_S);
	assert_int_equal(reply.min_interval_s, TRACKER_INTERVAL_LEAST_S);
	assert_null(PARSE("d8:intervali9223372036854775807e12:min intervali9223372036854775807ee"));
	assert_int_equal(reply.interval_s, TRACKER_INTERVAL_MOST_S);
	assert_int_equal(reply.min_interval_s, TRACKER_MIN_INTERVAL_MOST_S);
	assert_null(PARSE("d8:intervali-9223372036854775808e12:min intervali-1ee"));
	assert_int_equal(reply.interval_s, TRACKER_INTERVAL_S);
	assert_int_equal(reply.min_interval_s, 0);
	assert_null(PARSE("d8:interval4:180012:min intervalleee"));
	assert_int_equal(reply.interval_s, TRACKER_INTERVAL_S);
}

static void test_failure_warning_and_retry(void **state)
{
	(void)state;
	assert_null(PARSE("d14:failure reason7:go away5:peers6:\1\1\1\1\1\1" "8:retry ini5ee"));
	assert_true(reply.failed);
	assert_int_equal(reply.text_bytes, 7);
	assert_memory_equal(reply.text, "go away", 7);
	assert_int_equal(reply.retry_s, 300);
	assert_int_equal(peer_count, 0);
	assert_null(PARSE("d14:failure reason1:x8:retry in5:nevere"));
	assert_int_equal(reply.retry_s, TRACKER_RETRY_NEVER);
	assert_null(PARSE("d14:failure reason1:x8:retry in2:10e"));
	assert_int_equal(reply.retry_s, 600);
	assert_null(PARSE("d14:failure reason1:x8:retry in2:x0e"));
	assert_int_equal(reply.retry_s, 0);
	assert_null(PARSE("d14:failure reason1:x8:retry ini-3ee"));
	assert_int_equal(reply.retry_s, 0);
	assert_null(PARSE("d14:failure reason1:x8:retry ini9223372036854775807ee"));
	assert_int_equal(reply.retry_s, 86400);
	assert_null(PARSE("d14:failure reasoni5ee"));
	assert_true(reply.failed);
	assert_int_equal(reply.text_bytes, 0);
	assert_null(PARSE("d15:warning message4:slow5:peers6:\1\1\1\1\1\1" "e"));
	assert_false(reply.failed);
	assert_int_equal(reply.text_bytes, 4);
	assert_int_equal(peer_count, 1);
}

static void test_long_text_and_long_tracker_id(void **state)
{
	char b[2048];
	int n = snprintf(b, sizeof b, "d14:failure reason1000:%01000de", 7);

	(void)state;
	assert_null(parse(b, (size_t)n));
	assert_int_equal(reply.text_bytes, sizeof reply.text);
	n = snprintf(b, sizeof b, "d10:tracker id256:%0256de", 7);
	assert_null(parse(b, (size_t)n));
	assert_int_equal(reply.id_bytes, 256);
	n = snprintf(b, sizeof b, "d10:tracker id257:%0257de", 7);
	assert_null(parse(b, (size_t)n));
	assert_int_equal(reply.id_bytes, 0);
}

static void test_external_address(void **state)
{
	(void)state;
	assert_null(PARSE("d11:external ip4:\1\2\3\4e"));
	assert_int_equal(reply.external.family, 4);
	assert_null(PARSE("d11:external ip16:0123456789abcdefe"));
	assert_int_equal(reply.external.family, 6);
	assert_null(PARSE("d11:external ip5:\1\2\3\4\5e"));
	assert_int_equal(reply.external.family, 0);
}

static void test_what_is_no_reply_is_refused_and_hands_on_nobody(void **state)
{
	static const char *const bad[] = { "", "<html>", "i5e", "le", "d", "d5:peers6:\1\1\1\1\1\1", "d5:peers7:\1\1\1\1\1\1" "e", "d5:peers99999999999999999999:e",
		"d5:peersi01ee", "di5e1:xe", "d5:peers6:\1\1\1\1\1\1" "5:peers6:\1\1\1\1\1\1" "e" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		assert_non_null(parse(bad[i], strlen(bad[i])));
		assert_int_equal(peer_count, 0);
	}
}

static void test_every_truncation_is_refused(void **state)
{
	static const char whole[] = "d8:completei7e8:intervali900e5:peersld2:ip9:127.0.0.14:porti5eee6:peers60:e";
	uint8_t *copy;
	size_t n;

	(void)state;
	assert_null(PARSE(whole));
	for (n = 0; n < sizeof whole - 1; n++) {
		copy = must_alloc(n); /* of exactly this size, for the sanitizer */
		memcpy(copy, whole, n);
		assert_non_null(parse(copy, n));
		free(copy);
	}
}

static void test_line_feed_after_the_reply_is_ignored(void **state)
{
	(void)state;
	assert_null(PARSE("d5:peers6:\1\1\1\1\1\1" "e\r\n"));
	assert_int_equal(peer_count, 1);
}

static void test_every_result_has_a_text(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < TRACKER_RESULTS; i++)
		assert_non_null(tracker_result_texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_announce_url_holds_all_parameters_percent_encoded),
		cmocka_unit_test(test_existing_query_is_kept_and_fragment_dropped),
		cmocka_unit_test(test_no_event_and_tracker_id_in_url),
		cmocka_unit_test(test_url_that_does_not_fit_is_refused_at_every_length),
		cmocka_unit_test(test_longest_url_of_the_form_with_longest_id_fits),
		cmocka_unit_test(test_compact_reply_of_both_families),
		cmocka_unit_test(test_dictionary_reply_with_addresses_and_names),
		cmocka_unit_test(test_unusable_peers_are_left_out_one_by_one),
		cmocka_unit_test(test_too_many_peers_are_cut_and_neither_family_crowds_out_the_other),
		cmocka_unit_test(test_names_are_capped),
		cmocka_unit_test(test_absurd_intervals_are_clamped),
		cmocka_unit_test(test_failure_warning_and_retry),
		cmocka_unit_test(test_long_text_and_long_tracker_id),
		cmocka_unit_test(test_external_address),
		cmocka_unit_test(test_what_is_no_reply_is_refused_and_hands_on_nobody),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_line_feed_after_the_reply_is_ignored),
		cmocka_unit_test(test_every_result_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
