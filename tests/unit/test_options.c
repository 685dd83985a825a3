/*
 * test_options.c - the command line: what is taken, and how what is not is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../parent/help.c"
#include <sys/socket.h>
/* A machine that has every address but 203.0.113.9 and 2001:db8::9. */
#define bind fake_bind
static int fake_bind(int fd, const struct sockaddr *a, socklen_t length);
#include "../../parent/option_table.c"
#undef bind
#include "../../parent/options.c"
#include "../../parent/outer.c"
#include "../../parent/select.c"
#include "../../parent/text.c"
#include "../../parent/values.c"

static int fake_bind(int fd, const struct sockaddr *a, socklen_t length)
{
	static const uint8_t foreign4[4] = { 203, 0, 113, 9 }, foreign6[16] = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9 };
	const struct sockaddr_in *in4 = (const void *)a;
	const struct sockaddr_in6 *in6 = (const void *)a;

	assert_true(fd >= 0 && length == (a->sa_family == AF_INET ? sizeof *in4 : sizeof *in6));
	errno = EADDRNOTAVAIL;
	return (a->sa_family == AF_INET ? memcmp(&in4->sin_addr, foreign4, 4) : memcmp(&in6->sin6_addr, foreign6, 16)) ? 0 : -1;
}

#define MAX_WORDS 80

/* Parses a command line given as one string with words between single blanks. */
static int parse(struct options *o, char *error, const char *line)
{
	static char copy[8192];
	char *argv[MAX_WORDS + 2] = { NULL };
	int argc = 0;
	char *p = copy, *word;

	snprintf(copy, sizeof copy, "bulkhead %s", line);
	while ((word = strsep(&p, " ")) && argc < MAX_WORDS)
		argv[argc++] = word;
	return options_parse(o, argc, argv, error, 512);
}

static void accepts(struct options *o, const char *line)
{
	char error[512];

	if (parse(o, error, line) != 0)
		fail_msg("'%s' was refused: %s", line, error);
}

static void refuses(const char *line, const char *words)
{
	struct options o;
	char error[512];

	if (parse(&o, error, line) != STATUS_USAGE)
		fail_msg("'%s' was taken", line);
	if (!strstr(error, words))
		fail_msg("'%s' gave '%s', which lacks '%s'", line, error, words);
	if (strpbrk(error, "\n\x1b"))
		fail_msg("'%s' gave a raw byte", line);
}

static void test_a_word_that_is_no_command_is_a_source(void **state)
{
	struct options o;

	(void)state;
	accepts(&o, "a.torrent");
	assert_int_equal(o.command, COMMAND_GET);
	assert_int_equal(o.source_count, 1);
	assert_string_equal(o.sources[0], "a.torrent");
	accepts(&o, "get get show");
	assert_int_equal(o.source_count, 2);
	assert_string_equal(o.sources[0], "get");
	accepts(&o, "-v show - --json");
	assert_int_equal(o.command, COMMAND_SHOW);
	assert_true(o.json);
	assert_int_equal(o.verbose, 1);
	accepts(&o, "seed a.torrent b.torrent");
	assert_int_equal(o.command, COMMAND_SEED);
	assert_int_equal(o.source_count, 2);
	accepts(&o, "./seed");
	assert_int_equal(o.command, COMMAND_GET);
	accepts(&o, "check a.torrent b.torrent --threads 3");
	assert_int_equal(o.command, COMMAND_CHECK);
	assert_false(o.repair);
	accepts(&o, "check --repair --peer 192.0.2.1:80 a.torrent");
	assert_int_equal(o.command, COMMAND_CHECK);
	assert_true(o.repair);
	refuses("check --peer 192.0.2.1:80 a.torrent", "--peer is not an option of check");
	refuses("check --repair --name x a.torrent", "--name is not an option of check --repair");
	refuses("get --repair a.torrent", "--repair is not an option of get");
	accepts(&o, "get --allocate full --mode 640 --wait-space --on-complete /bin/sh a.torrent");
	assert_int_equal(o.allocate, ALLOCATE_FULL);
	assert_int_equal(o.mode, 0640);
	assert_true(o.wait_space && o.on_complete[0] == '/');
	accepts(&o, "a.torrent");
	assert_int_equal(o.allocate, ALLOCATE_SPARSE);
	refuses("--allocate some a.torrent", "none, sparse or full");
	refuses("--mode 744 a.torrent", "without execute bits");
	refuses("--on-complete /etc a.torrent", "a file that can be executed");
	refuses("seed --mode 640 a.torrent", "--mode is not an option of seed");
	refuses("seed", "no SOURCE");
	refuses("audit", "unknown command 'audit'");
	refuses("help", "see bulkhead --help");
	refuses("get", "no SOURCE");
	refuses("", "a SOURCE is empty");
	refuses("show a b", "one SOURCE");
	refuses("get - -", "named twice");
}

static void test_help_and_version_need_no_source(void **state)
{
	struct options o;

	(void)state;
	accepts(&o, "--help");
	assert_int_equal(o.command, COMMAND_HELP);
	accepts(&o, "--version");
	assert_int_equal(o.command, COMMAND_VERSION);
}

static void test_every_option_is_in_the_help(void **state)
{
	char word[64];
	size_t i;

	(void)state;
	for (i = 0; i < option_row_count; i++) {
		if (!option_rows[i].name) {
			assert_non_null(strstr(options_help(), option_rows[i].help));
			continue;
		}
		snprintf(word, sizeof word, "--%s%s%s", option_rows[i].name, option_rows[i].value ? " " : "",
			 option_rows[i].value ? option_rows[i].value : "");
		if (!strstr(options_help(), word))
			fail_msg("%s is not in --help", word);
	}
	assert_non_null(strstr(options_help(), "\n  -d, --dir DIR             directory of the download"));
	assert_non_null(strstr(options_help(), "\n      --adopt               take over"));
	assert_non_null(strstr(options_help(), "\n      --bind ADDRESS|INTERFACE\n                            use this"));
}

/* What getopt is told, and what the handlers count on. */
static void test_rows_of_the_table_fit_together(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];

		assert_non_null(row->help);
		if (!row->name)
			continue;
		if (!row->take || !row->commands)
			fail_msg("--%s has no meaning", row->name);
		if (row->least > row->most)
			fail_msg("--%s takes nothing", row->name);
		for (k = 0; k < i; k++)
			if (option_rows[k].name && (!strcmp(option_rows[k].name, row->name) || (row->letter && option_rows[k].letter == row->letter)))
				fail_msg("--%s and --%s are one", option_rows[k].name, row->name);
	}
}

static void test_options_of_get_are_taken_with_their_values(void **state)
{
	struct options o;

	(void)state;
	accepts(&o, "get -d out --state-dir /var/lib/x --adopt --check --peer 192.0.2.1:6881 --peer [2001:db8::1]:80 --allow-net 10.1.2.3/8 --port 7000 --max-peers 9 --memory 2M "
		    "--timeout 30 --no-trackers --threads 3 --max-torrent-size 1M --max-files 7 --max-pieces 8 -q --no-progress --allow-weak "
		    "--anonymous x");
	assert_string_equal(o.dir, "out");
	assert_string_equal(o.state_dir, "/var/lib/x");
	assert_true(o.adopt);
	assert_true(o.check);
	assert_int_equal(o.peer_count, 2);
	assert_int_equal(o.peers[0].family, 4);
	assert_int_equal(o.peers[0].port, 6881);
	assert_int_equal(o.peers[1].family, 6);
	assert_int_equal(o.peers[1].ip[15], 1);
	assert_int_equal(o.net_count, 1);
	assert_int_equal(o.nets[0].bits, 8);
	assert_int_equal(o.nets[0].prefix.ip[0], 10);
	assert_int_equal(o.nets[0].prefix.ip[1], 0);
	assert_true(o.listen && o.port_given);
	assert_int_equal(o.port_first, 7000);
	assert_int_equal(o.port_last, 7000);
	assert_int_equal(o.max_peers, 9);
	assert_int_equal(o.memory_bytes, 2 << 20);
	assert_int_equal(o.timeout_s, 30);
	assert_false(o.trackers);
	assert_int_equal(o.threads, 3);
	assert_int_equal(o.max_torrent_bytes, 1 << 20);
	assert_int_equal(o.max_files, 7);
	assert_int_equal(o.max_pieces, 8);
	assert_true(o.quiet && o.allow_weak && o.anonymous && !o.progress && o.use_ipv4 && o.use_ipv6);
	accepts(&o, "--bind 192.0.2.7 --bind 2001:db8::7 x");
	assert_int_equal(o.bind4.family, 4);
	assert_int_equal(o.bind6.family, 6);
	accepts(&o, "-4 --peer 192.0.2.1:5 x");
	assert_true(o.use_ipv4 && !o.use_ipv6);
	accepts(&o, "--bind lo --system-dns x");
	assert_string_equal(o.bind_interface, "lo");
}

static void test_get_seeds_only_when_it_is_told_to_and_seed_always(void **state)
{
	struct options o;

	(void)state;
	accepts(&o, "get --max-up 9k --max-uploads 3 x");
	assert_false(o.seed.wanted);
	accepts(&o, "seed x");
	assert_true(o.seed.wanted);
	assert_true(!o.seed.ratio_milli && !o.seed.time_s && !o.seed.idle_s);
	accepts(&o, "x --seed-ratio 1.25");
	assert_true(o.seed.wanted);
	assert_int_equal(o.seed.ratio_milli, 1250);
	accepts(&o, "x --seed-ratio 0");
	assert_true(o.seed.wanted && !o.seed.ratio_milli);
	accepts(&o, "x --seed-time 30");
	assert_true(o.seed.wanted);
	assert_int_equal(o.seed.time_s, 1800);
	accepts(&o, "x --idle-time 90s --max-up 10k --max-down 2M --max-uploads 4 --super-seed");
	assert_true(o.seed.wanted && o.super_seed);
	assert_int_equal(o.seed.idle_s, 90);
	assert_int_equal(o.max_up, 10 << 10);
	assert_int_equal(o.max_down, 2 << 20);
	assert_int_equal(o.max_uploads, 4);
	accepts(&o, "seed --max-up 0 --max-down 0 --max-uploads 0 x");
	assert_true(!o.max_up && !o.max_down && !o.max_uploads);
	refuses("get --super-seed x", "--super-seed goes with seed");
	refuses("--max-up 1023 x", "--max-up: '1023' is not a rate from 1k");
	refuses("--max-down 65G x", "--max-down: '65G'");
	refuses("--max-up -1 x", "--max-up: '-1'");
	refuses("--max-uploads 4097 x", "from 0 to 4096");
	refuses("--seed-ratio 1,5 x", "--seed-ratio: '1,5'");
	refuses("--seed-time 0 x", "--seed-time: '0' is not a time such as");
	refuses("--idle-time soon x", "--idle-time: 'soon'");
	refuses("show --seed-time 5 x", "--seed-time is not an option of show");
}

static void test_bad_values_are_named_in_one_line(void **state)
{
	static const char *const peers[] = { "", "1.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:+1", "1.2.3:80", "::1:80", "[::1]80",
					     "[::1]", "[1.2.3.4]:80", "host:80", "[]:80", "1.2.3.4:80x", ":80" };
	static const char *const ports[] = { "", "0", "-1", "+1", "65536", "1x", "0x10", "99999999999999999999999", "7-", "7-6", "7-65536", "0-9", "7-8-9", "7- 9" };
	static const char *const nets[] = { "", "/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129", "10.0.0.0/8/8", "10.0.0.0/-1" };
	char line[200];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(peers); i++) {
		snprintf(line, sizeof line, "--peer=%s x", peers[i]);
		refuses(line, "--peer: '");
	}
	for (i = 0; i < ARRAY_LEN(ports); i++) {
		snprintf(line, sizeof line, "--port=%s x", ports[i]);
		refuses(line, "--port: '");
	}
	for (i = 0; i < ARRAY_LEN(nets); i++) {
		snprintf(line, sizeof line, "--allow-net=%s x", nets[i]);
		refuses(line, "--allow-net: '");
	}
	refuses("--peer 1.2.3.4:80\x1b[2J x", "\\x1b");
	refuses("--bind no-such-if0 x", "--bind: 'no-such-if0' is not");
	refuses("--bind 1.2.3.4 --bind 1.2.3.5 x", "more than one");
	refuses("--bind 203.0.113.9 x", "--bind: '203.0.113.9' is not an address of this machine");
	refuses("--bind 1.2.3.4 --bind 2001:db8::9 x", "--bind: '2001:db8::9' is not an address of this machine");
	refuses("--memory 1 x", "--memory: '1' is not a size from 1M to 64G");
	refuses("--max-torrent-size 2G x", "--max-torrent-size: '2G' is not a size from 1k to 1G");
	refuses("--memory 99999999999G x", "--memory");
	refuses("--memory 64MB x", "--memory: '64MB'");
	refuses("--memory M x", "--memory: 'M'");
	refuses("--threads 17 x", "from 1 to 16");
	refuses("-4 -6 x", "exclude");
	refuses("--system-dns x", "--bind INTERFACE");
	refuses("--timeout 5m x", "--timeout: '5m' is not a number of seconds");
	refuses("--peer [2001:db8::1]:5 -4 x", "--peer: '[2001:db8::1]:5' cannot be dialled with -4");
	refuses("-6 --peer 192.0.2.1:5 x", "--peer: '192.0.2.1:5' cannot be dialled with -6");
	refuses("--frobnicate x", "unknown option '--frobnicate'");
	refuses("x --frob=1 y", "unknown option '--frob=1'");
	refuses("-Z x", "unknown option '-Z'");
	refuses("x --peer", "--peer: needs a value");
	refuses("x -d", "--dir: needs a value");
	refuses("--json=1 x", "--json: takes no value");
	refuses("show --peer 1.2.3.4:1 x", "--peer is not an option of show");
	refuses("--dir= x", "--dir");
}

static void test_ports_to_listen_on(void **state)
{
	struct options o;
	uint32_t first = 0, others = 0, i;

	(void)state;
	accepts(&o, "--port 6881-6999 a b");
	assert_true(o.listen && o.port_given);
	assert_int_equal(o.port_first, 6881);
	assert_int_equal(o.port_last, 6999);
	accepts(&o, "--port 65535-65535 --no-listen a b");
	assert_false(o.listen);
	assert_int_equal(o.port_last, 65535);
	refuses("--port 6881-6882 a b c", "3 SOURCEs need a port each");
	/* Otherwise the dynamic ports, from another one each time. */
	for (i = 0; i < 20; i++) {
		accepts(&o, "a b c d e f g h i j k l m n o p");
		assert_true(o.listen && !o.port_given);
		assert_in_range(o.port_first, 49152, 65535);
		assert_in_range(o.port_last, o.port_first + 15, 65535);
		others += i && o.port_first != first;
		first = o.port_first;
	}
	assert_true(others > 0);
}

static void test_options_of_create_are_taken_with_their_values(void **state)
{
	struct options o;

	(void)state;
	unsetenv("SOURCE_DATE_EPOCH");
	accepts(&o, "create -o out.torrent -p 256k -t http://a/b,udp://c:1 --tracker=https://d/ -w https://e/f -c hello --source S --name n "
		    "--private --no-date --threads 16 --json --no-progress --max-files 3 --max-pieces 4 --max-torrent-size 1M --allow-weak -q dir/");
	assert_int_equal(o.command, COMMAND_CREATE);
	assert_int_equal(o.source_count, 1);
	assert_string_equal(o.sources[0], "dir/");
	assert_string_equal(o.output, "out.torrent");
	assert_int_equal(o.piece_length, 256 << 10);
	assert_int_equal(o.tier_count, 2);
	assert_string_equal(o.tiers[1], "https://d/");
	assert_int_equal(o.webseed_count, 1);
	assert_string_equal(o.comment, "hello");
	assert_string_equal(o.source_text, "S");
	assert_string_equal(o.name, "n");
	assert_true(o.is_private);
	assert_int_equal(o.date, -1);
	assert_int_equal(o.threads, 16);
	accepts(&o, "create x");
	assert_true(o.date > 1700000000);
	assert_int_equal(o.piece_length, 0);
	assert_true(o.threads >= 1 && o.threads <= 16);
	accepts(&o, "create --anonymous x");
	assert_int_equal(o.date, -1);
}

static void test_the_date_of_creation_can_be_told(void **state)
{
	struct options o;

	(void)state;
	setenv("SOURCE_DATE_EPOCH", "86400", 1);
	accepts(&o, "create x");
	assert_int_equal(o.date, 86400);
	setenv("SOURCE_DATE_EPOCH", "-1\x1b", 1);
	refuses("create x", "SOURCE_DATE_EPOCH: '-1\\x1b'");
	accepts(&o, "create --no-date x");
	accepts(&o, "get x"); /* whom it does not concern */
	unsetenv("SOURCE_DATE_EPOCH");
}

static void test_bad_values_of_create_are_named_in_one_line(void **state)
{
	static const char *const lengths[] = { "16383", "0", "8k", "17k", "96k", "128M", "1G", "x", "-16k" };
	static const char *const urls[] = { "a",	  "http://",	"ftp://a/",	 "http://a/\x1b",
					    "http://a/,", ",http://a/", "http://a/,b", "http://a/\xc3\xbc" };
	char line[400];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lengths); i++) {
		snprintf(line, sizeof line, "create -p %s x", lengths[i]);
		refuses(line, "--piece-length: '");
	}
	for (i = 0; i < ARRAY_LEN(urls); i++) {
		/* One comma at the end is no URL more. */
		snprintf(line, sizeof line, "create -t %s x", urls[i]);
		if (strcmp(urls[i], "http://a/,"))
			refuses(line, "--tracker: '");
		snprintf(line, sizeof line, "create -w %s x", urls[i]);
		if (!strchr(urls[i], ','))
			refuses(line, "--web-seed: '");
	}
	refuses("create --name= x", "--name");
	refuses("create --name=. x", "--name");
	refuses("create --name=.. x", "--name");
	refuses("create --name=a/b x", "--name: 'a/b'");
	refuses("create --name=\xff x", "--name: '\\xff'");
	refuses("create --comment=\xff x", "--comment: '\\xff'");
	refuses("create --source= x", "--source");
	refuses("create --output= x", "--output");
	refuses("create", "no PATH");
	refuses("create a b", "one PATH");
	refuses("create --json -o - x", "both want standard output");
	refuses("create --peer 1.2.3.4:1 x", "--peer is not an option of create");
	refuses("create -d x y", "--dir is not an option of create");
	refuses("get -t http://a/ x", "--tracker is not an option of get");
	refuses("-o y x", "--output is not an option of get");
	refuses("show --threads 1 x", "--threads is not an option of show");
	refuses("seed -o y x", "--output is not an option of seed");
	refuses("create --seed-ratio 1 x", "--seed-ratio is not an option of create");
}

static void assert_outer(const char *line, const char *head, const char *tail)
{
	struct bencode_out b;
	struct options o;
	uint8_t out[1000];

	accepts(&o, line);
	bencode_out_init(&b, out, sizeof out - 1);
	outer_put_head(&b, &o);
	out[b.length] = 0;
	assert_string_equal((const char *)out, head);
	bencode_out_init(&b, out, sizeof out - 1);
	outer_put_tail(&b, &o);
	out[b.length] = 0;
	assert_string_equal((const char *)out, tail);
}

#define BY "10:created by14:bulkhead/" BULKHEAD_VERSION

static void test_what_is_around_the_dictionary_has_its_keys_in_order(void **state)
{
	(void)state;
	setenv("SOURCE_DATE_EPOCH", "1", 1);
	assert_outer("create --anonymous x", "d4:info", "e");
	assert_outer("create x", "d" BY "13:creation datei1e4:info", "e");
	assert_outer("create -t udp://a:1 -c hi --no-date -w http://w/ x", "d8:announce9:udp://a:17:comment2:hi" BY "4:info", "8:url-list9:http://w/e");
	assert_outer("create -t udp://a:1,udp://b:2 -t udp://c:3 --anonymous -w http://w/ -w http://v/ x",
		     "d8:announce9:udp://a:113:announce-listll9:udp://a:19:udp://b:2el9:udp://c:3ee4:info", "8:url-listl9:http://w/9:http://v/ee");
	unsetenv("SOURCE_DATE_EPOCH");
}

static void test_counts_are_capped(void **state)
{
	char line[4096] = "", error[512];
	struct options o;
	struct parse p = { .o = &o, .error = error, .room = sizeof error };
	size_t i, n = 0;

	(void)state;
	for (i = 0; i < OPTIONS_MAX_PEERS + 1; i++)
		n += (size_t)snprintf(line + n, sizeof line - n, "--peer=1.2.3.4:%zu ", i + 1);
	snprintf(line + n, sizeof line - n, "x");
	refuses(line, "more than 64");
	accepts(&o, "create x");
	for (i = 0; i < OPTIONS_MAX_URLS; i++)
		assert_true(take_tier(&p, row_of('t'), "udp://a:1") && take_webseed(&p, row_of('w'), "http://a/"));
	assert_false(take_tier(&p, row_of('t'), "udp://a:1"));
	assert_string_equal(error, "--tracker: more than 128 of them");
	p.bad = false;
	assert_false(take_webseed(&p, row_of('w'), "http://a/"));
	assert_string_equal(error, "--web-seed: more than 128 of them");
	for (i = 0, n = 0; i < OPTIONS_MAX_SOURCES + 1; i++)
		n += (size_t)snprintf(line + n, sizeof line - n, "%sx", i ? " " : "");
	refuses(line, "more than 16");
}

static void test_the_worst_status_of_several_sources_counts(void **state)
{
	(void)state;
	assert_int_equal(options_worst_status(0, 0), 0);
	assert_int_equal(options_worst_status(0, 130), 130);
	assert_int_equal(options_worst_status(5, 130), 5);
	assert_int_equal(options_worst_status(1, 5), 1);
	assert_int_equal(options_worst_status(3, 1), 3);
	assert_int_equal(options_worst_status(3, 4), 4);
	assert_int_equal(options_worst_status(6, 4), 6);
	assert_int_equal(options_worst_status(6, 7), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_word_that_is_no_command_is_a_source),
		cmocka_unit_test(test_help_and_version_need_no_source),
		cmocka_unit_test(test_every_option_is_in_the_help),
		cmocka_unit_test(test_rows_of_the_table_fit_together),
		cmocka_unit_test(test_options_of_get_are_taken_with_their_values),
		cmocka_unit_test(test_get_seeds_only_when_it_is_told_to_and_seed_always),
		cmocka_unit_test(test_bad_values_are_named_in_one_line),
		cmocka_unit_test(test_ports_to_listen_on),
		cmocka_unit_test(test_options_of_create_are_taken_with_their_values),
		cmocka_unit_test(test_the_date_of_creation_can_be_told),
		cmocka_unit_test(test_bad_values_of_create_are_named_in_one_line),
		cmocka_unit_test(test_what_is_around_the_dictionary_has_its_keys_in_order),
		cmocka_unit_test(test_counts_are_capped),
		cmocka_unit_test(test_the_worst_status_of_several_sources_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
