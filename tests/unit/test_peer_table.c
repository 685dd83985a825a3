/*
 * test_peer_table.c - what netproc says of its peers: what is taken, when it is shown, and as what.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>
#include <cmocka.h>

static ssize_t kept_write(int fd, const void *bytes, size_t length);
#define write kept_write
#include "../../parent/screen.c"
#include "../../parent/stream.c"
#undef write
#include "../../parent/peer_table.c"
#include "../../parent/seeding.c"
#include "../../parent/text.c"

#define PIECES 10u

static char said[1 << 20];
static struct peer_table table;

static ssize_t kept_write(int fd, const void *bytes, size_t length)
{
	size_t used = strlen(said);

	(void)fd;
	assert_true(length < sizeof said - used);
	memcpy(said + used, bytes, length);
	said[used + length] = 0;
	return (ssize_t)length;
}

static struct msg_peer_info peer(uint32_t snapshot, uint16_t port)
{
	struct msg_peer_info m = { .addr = { .family = 4, .port = port, .ip = { 192, 0, 2, 7 } }, .snapshot = snapshot, .have_pieces = 5,
				   .down_rate = 2048, .up_rate = 1 << 20, .received_bytes = 11, .sent_bytes = 22, .client = "some client" };

	return m;
}

static bool add(struct msg_peer_info m, uint64_t now)
{
	return peer_table_add(&table, &m, PIECES, now);
}

static int begin(void **state)
{
	(void)state;
	memset(&screen, 0, sizeof screen);
	said[0] = 0;
	peer_table_open(&table, 3);
	return 0;
}

static int end(void **state)
{
	(void)state;
	peer_table_close(&table);
	return 0;
}

static uint64_t show(uint64_t now)
{
	said[0] = 0;
	return peer_table_show(&table, 0, "name", PIECES, now);
}

static void test_a_row_that_breaks_the_contract_is_refused(void **state)
{
	struct msg_peer_info m;
	struct peer_table none = { 0 };

	(void)state;
	assert_true(add(peer(5, 1), 1000));
	assert_false(add(peer(4, 1), 1000)); /* of an earlier moment */
	m = peer(5, 2);
	m.have_pieces = PIECES + 1;
	assert_false(add(m, 1000));
	m = peer(5, 2);
	m.addr.family = 5;
	assert_false(add(m, 1000));
	m = peer(5, 2);
	m.sources = 1u << PEER_SOURCES;
	assert_false(add(m, 0));
	m.sources = 0;
	m.flags = PEER_INFO_EXTENDED << 1;
	assert_false(add(m, 1000));
	m.flags = 1u << 31;
	assert_false(add(m, 1000));
	assert_true(add(peer(5, 2), 1000));
	assert_true(add(peer(5, 3), 1000));
	assert_false(add(peer(5, 4), 1000)); /* more than may be connected */
	assert_true(add(peer(6, 4), 1000));
	assert_int_equal(table.count, 1);
	m = peer(7, 1);
	assert_false(peer_table_add(&none, &m, PIECES, 1000)); /* nobody asked */
}

static void test_a_table_is_shown_when_it_is_whole_and_then_each_ten_seconds(void **state)
{
	uint64_t now;
	uint32_t snapshot = 1, shown = 0;

	(void)state;
	assert_true(show(5) == UINT64_MAX);
	assert_true(add(peer(1, 1), 1000));
	assert_int_equal(show(1000), 1000 + PEER_TABLE_WHOLE_MS);
	assert_string_equal(said, "");
	assert_true(add(peer(1, 2), 1100));
	assert_int_equal(show(1500), 1500 + PEER_TABLE_MS);
	assert_non_null(strstr(said, "name: 2 peers\n"));
	assert_non_null(strstr(said, "192.0.2.7:1 "));
	assert_non_null(strstr(said, "192.0.2.7:2 "));
	for (now = 1500; now < 61500; now += 100) {
		if (now % 2000 == 1500)
			assert_true(add(peer(++snapshot, 1), now));
		(void)show(now);
		shown += said[0] != 0;
	}
	assert_in_range(shown, 4, 6);
}

static void test_peers_that_left_are_not_shown(void **state)
{
	(void)state;
	assert_true(add(peer(1, 1), 1000));
	assert_true(show(1001 + PEER_TABLE_FRESH_MS) == UINT64_MAX);
	assert_string_equal(said, "");
	assert_true(add(peer(2, 1), 9000));
	(void)show(9500);
	assert_non_null(strstr(said, "name: 1 peer\n"));
}

static void test_a_new_netproc_counts_anew(void **state)
{
	(void)state;
	assert_true(add(peer(1000, 1), 1000));
	assert_false(add(peer(1, 1), 2000));
	peer_table_clear(&table);
	assert_true(add(peer(1, 1), 2000));
}

static void test_a_row_for_people(void **state)
{
	struct msg_peer_info m = peer(1, 6881);

	(void)state;
	m.have_pieces = PIECES - 1;
	m.flags = PEER_INFO_WE_ARE_INTERESTED | PEER_INFO_WE_CHOKE | PEER_INFO_INTERESTED_IN_US | PEER_INFO_INCOMING;
	memcpy(m.client, "\x1b[2J\xff", 6);
	assert_true(add(m, 0));
	(void)show(500);
	assert_string_equal(said, "name: 1 peer\n  192.0.2.7:6881        DuI     down  2.00 KiB/s up  1.00 MiB/s has  90% \\x1b[2J\\xff\n");
}

static void test_a_name_without_an_end_is_not_read_beyond(void **state)
{
	struct msg_peer_info m = peer(1, 6881);
	char wanted[60];

	(void)state;
	memset(m.client, 'a', sizeof m.client);
	assert_true(add(m, 0));
	(void)show(500);
	memset(wanted, 'a', 48);
	memcpy(wanted + 48, "\n", 2);
	assert_string_equal(strrchr(said, ' ') + 1, wanted);
}

static void test_rows_for_programs_are_split_into_lines_that_fit(void **state)
{
	const char *line, *next;
	uint32_t lines = 0;
	uint16_t i;

	(void)state;
	peer_table_close(&table);
	peer_table_open(&table, 70);
	screen.json = true;
	for (i = 0; i < 70; i++) {
		struct msg_peer_info m = peer(UINT32_MAX, (uint16_t)(60000 + i));

		m.addr.family = 6;
		memset(m.addr.ip, 0xfd, sizeof m.addr.ip);
		memset(m.client, 1, sizeof m.client);
		m.flags = PEER_INFO_EXTENDED * 2 - 1;
		m.down_rate = m.up_rate = m.received_bytes = m.sent_bytes = UINT64_MAX;
		assert_true(add(m, 0));
	}
	(void)show(500);
	for (line = said; *line; line = next + 1, lines++) {
		next = strchr(line, '\n');
		assert_non_null(next);
		assert_memory_equal(line, "{\"event\":\"peers\",\"source\":0,\"snapshot\":4294967295,\"count\":70,\"first\":", 69);
		assert_memory_equal(next - 3, "}]}", 3);
	}
	assert_int_equal(lines, 3);
}

static void test_an_event_names_each_field(void **state)
{
	(void)state;
	screen.json = true;
	assert_true(add(peer(7, 1), 0));
	assert_true(add(peer(7, 2), 0));
	(void)show(500);
	assert_string_equal(said, "{\"event\":\"peers\",\"source\":0,\"snapshot\":7,\"count\":2,\"first\":0,\"list\":["
				  "{\"address\":\"192.0.2.7:1\",\"client\":\"some client\",\"flags\":\"K?\",\"have_pieces\":5,\"pieces\":10,"
				  "\"down_rate\":2048,\"up_rate\":1048576,\"received_bytes\":11,\"sent_bytes\":22},"
				  "{\"address\":\"192.0.2.7:2\",\"client\":\"some client\",\"flags\":\"K?\",\"have_pieces\":5,\"pieces\":10,"
				  "\"down_rate\":2048,\"up_rate\":1048576,\"received_bytes\":11,\"sent_bytes\":22}]}\n");
}

static void test_flags_are_letters(void **state)
{
	static const struct { uint32_t flags; const char *letters; } all[] = {
		{ PEER_INFO_CHOKES_US | PEER_INFO_WE_CHOKE, "" },
		{ PEER_INFO_CHOKES_US | PEER_INFO_WE_CHOKE | PEER_INFO_WE_ARE_INTERESTED | PEER_INFO_INTERESTED_IN_US, "du" },
		{ PEER_INFO_WE_ARE_INTERESTED | PEER_INFO_INTERESTED_IN_US, "DU" },
		{ 0, "K?" },
		{ PEER_INFO_CHOKES_US | PEER_INFO_WE_CHOKE | PEER_INFO_OPTIMISTIC | PEER_INFO_SNUBS_US | PEER_INFO_INCOMING, "OSI" },
		{ PEER_INFO_CHOKES_US | PEER_INFO_WE_CHOKE | PEER_INFO_SEED | PEER_INFO_UPLOAD_ONLY | PEER_INFO_FAST | PEER_INFO_EXTENDED, "cpfx" },
		{ UINT32_MAX, "duOSIcpfx" },
	};
	char out[PEER_TABLE_FLAGS];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(all); i++)
		assert_string_equal(peer_table_flags(out, all[i].flags), all[i].letters);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_row_that_breaks_the_contract_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_a_table_is_shown_when_it_is_whole_and_then_each_ten_seconds, begin, end),
		cmocka_unit_test_setup_teardown(test_peers_that_left_are_not_shown, begin, end),
		cmocka_unit_test_setup_teardown(test_a_new_netproc_counts_anew, begin, end),
		cmocka_unit_test_setup_teardown(test_a_row_for_people, begin, end),
		cmocka_unit_test_setup_teardown(test_a_name_without_an_end_is_not_read_beyond, begin, end),
		cmocka_unit_test_setup_teardown(test_rows_for_programs_are_split_into_lines_that_fit, begin, end),
		cmocka_unit_test_setup_teardown(test_an_event_names_each_field, begin, end),
		cmocka_unit_test_setup_teardown(test_flags_are_letters, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
