/* What netproc makes of a diskproc and a dialer that break the contract, and of a diskproc that comes after another. */
#include <setjmp.h>
#include <stdarg.h>
#include <fcntl.h>
#include <stddef.h>

#include <cmocka.h>

#include "accuse.h"
#include "swarm_fixture.h"

#define PIECES 20000u /* two packets of HAVE_BITS */

static struct fixture f;
static struct channel control, parent;

static int begin(void **state)
{
	int pair[2];

	(void)state;
	if (channel_pair(pair))
		return -1;
	channel_init(&control, pair[0], 0, false, "parent");
	channel_init(&parent, pair[1], 0, false, "netproc");
	accuse_to_channel(&control);
	fixture_new(&f, PIECES, 16384, 16384ull * PIECES);
	return 0;
}

static int end(void **state)
{
	(void)state;
	fixture_free(&f);
	accuse_to_channel(NULL);
	channel_close(&control);
	channel_close(&parent);
	return 0;
}

/* Whether exactly this sibling was accused, of something on the present channel. */
static bool is_accused(enum role role)
{
	const struct msg_accuse *m;
	struct packet p, more;

	fixture_turn(&f);
	assert_int_equal(channel_flush(&control), 0);
	if (channel_receive(&parent, &p) != CHANNEL_OK)
		return false;
	assert_int_equal(p.type, MSG_ACCUSE);
	assert_int_equal(channel_receive(&parent, &more), CHANNEL_EMPTY);
	m = packet_message(&p, 0);
	return m->role == (uint32_t)role && m->epoch == FIX_EPOCH && m->length > 0 && m->length < sizeof m->text;
}

static void say_bits(uint32_t first, uint32_t pieces)
{
	struct msg_have_bits m = { .first_piece = first, .pieces = pieces, .bits = { 0xc0 } };

	fixture_say(&f, MSG_HAVE_BITS, &m);
}

static void say_end(uint32_t verified)
{
	struct msg_have_end m = { .verified_pieces = verified };

	fixture_say(&f, MSG_HAVE_END, &m);
}

static void test_have_end_that_agrees_with_the_bits_begins_the_download(void **state)
{
	(void)state;
	say_bits(0, 16384);
	say_bits(16384, PIECES - 16384);
	say_end(4);
	assert_false(is_accused(ROLE_DISKPROC));
	assert_int_equal(f.readied, 1);
	assert_int_equal(disk_free_slots(f.swarm->disk), SLOT_COUNT);
}

static void test_have_end_before_the_last_bits_breaks_the_contract(void **state)
{
	(void)state;
	say_bits(0, 16384);
	say_end(2);
	assert_true(is_accused(ROLE_DISKPROC));
	assert_int_equal(f.readied, 0);
	assert_int_equal(disk_free_slots(f.swarm->disk), 0);
}

static void test_have_end_with_another_count_than_the_bits_breaks_the_contract(void **state)
{
	(void)state;
	say_bits(0, 16384);
	say_bits(16384, PIECES - 16384);
	say_end(3);
	assert_true(is_accused(ROLE_DISKPROC));
	assert_int_equal(f.readied, 0);
}

static void test_a_dialer_that_breaks_the_contract_is_accused_and_nobody_waits_for_it(void **state)
{
	struct { struct packet_header h; struct msg_dial_failed m; } p = { .h = { MSG_DIAL_FAILED, 1, FIX_EPOCH }, .m = { .tag = 9, .reason = DIAL_FAILED } };
	struct net_addr a = { .family = 4, .port = 1000, .ip = { 1, 2, 3, 4 } };

	(void)state;
	fixture_begin(&f);
	swarm_add_address(f.swarm, &a, PEER_FROM_TRACKER);
	fixture_turn(&f);
	assert_int_equal(f.swarm->dials_under_way, 1);
	assert_int_equal(write(f.dialer, &p, sizeof p), (ssize_t)sizeof p); /* a tag that was never given */
	assert_true(is_accused(ROLE_DIALER));
	assert_int_equal(f.swarm->dials_under_way, 0);
}

/* An INCOMING with its socket, whose far end is *far. */
static void say_incoming(const struct net_addr *addr, const struct net_addr *local, int *far)
{
	struct msg_incoming m = { .addr = *addr, .local = *local };
	struct channel dialer;
	int sv[2], end = fcntl(f.dialer, F_DUPFD_CLOEXEC, 0);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	channel_init(&dialer, end, FIX_EPOCH, false, "netproc");
	assert_int_equal(channel_push_fd(&dialer, MSG_INCOMING, &m, sv[0], true), 0);
	assert_int_equal(channel_flush(&dialer), 0);
	channel_close(&dialer);
	*far = sv[1];
}

static bool is_closed(int far)
{
	char c;

	return recv(far, &c, 1, MSG_DONTWAIT) == 0;
}

static struct net_addr came_from;

static void on_incoming(void *arg, int fd, const struct net_addr *addr, const struct net_addr *local)
{
	(void)local;
	came_from = *addr;
	swarm_add_incoming(arg, fd, addr);
}

static void test_who_connects_is_given_to_the_swarm_and_closed_while_nobody_wants_it(void **state)
{
	struct net_addr a = { .family = 4, .port = 1000, .ip = { 1, 2, 3, 4 } }, local = { .family = 4, .port = 5, .ip = { 1, 1, 1, 1 } };
	int far;

	(void)state;
	fixture_begin(&f);
	say_incoming(&a, &local, &far);
	assert_false(is_accused(ROLE_DIALER));
	assert_true(is_closed(far));
	close(far);
	dials_on_incoming(f.dials, on_incoming, f.swarm);
	say_incoming(&a, &local, &far);
	assert_false(is_accused(ROLE_DIALER));
	assert_memory_equal(&came_from, &a, sizeof a);
	assert_int_equal(f.swarm->count, 1);
	assert_false(is_closed(far));
	close(far);
}

static void test_who_connects_from_no_address_breaks_the_dialers_contract(void **state)
{
	static const struct net_addr good = { .family = 6, .port = 7, .ip = { 1 } }, none = { 0 }, odd = { .family = 5 }, rest = { .family = 4, .ip = { [9] = 1 } };
	static const struct { const struct net_addr *addr, *local; } bad[] = { { &none, &good }, { &odd, &good }, { &rest, &good }, { &good, &none } };
	size_t i;
	int far;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		fixture_begin(&f);
		dials_on_incoming(f.dials, on_incoming, f.swarm);
		say_incoming(bad[i].addr, bad[i].local, &far);
		assert_true(is_accused(ROLE_DIALER));
		assert_int_equal(f.swarm->count, 0);
		assert_true(is_closed(far));
		close(far);
		assert_int_equal(end(state), 0);
		assert_int_equal(begin(state), 0);
	}
}

/* Types of the packets that wait at the dialer's end. */
static uint32_t dials_asked(void)
{
	union { struct packet_header h; uint8_t bytes[PACKET_MAX]; } p;
	uint32_t n = 0;

	while (recv(f.dialer, &p, sizeof p, MSG_DONTWAIT) > 0)
		n += p.h.type == MSG_DIAL ? p.h.count : 0;
	return n;
}

static void test_after_a_hold_nobody_is_dialled_until_another_diskproc_comes(void **state)
{
	struct net_addr a = { .family = 4, .port = 1000, .ip = { 1, 2, 3, 4 } };
	struct msg_hold hold = { 0 };
	int pair[2];

	(void)state;
	fixture_begin(&f);
	fixture_say(&f, MSG_HOLD, &hold);
	fixture_turn(&f);
	swarm_add_address(f.swarm, &a, PEER_FROM_TRACKER);
	fixture_turn(&f);
	assert_int_equal(dials_asked(), 0);
	assert_int_equal(channel_pair(pair), 0);
	swarm_attach_disk(f.swarm, pair[0], FIX_EPOCH + 1, fixture_conveyor(&f));
	channel_close(&f.disk);
	channel_init(&f.disk, pair[1], FIX_EPOCH + 1, false, "netproc");
	fixture_turn(&f);
	assert_int_equal(dials_asked(), 0); /* what is there is not known yet */
	fixture_have(&f, 0);
	fixture_turn(&f);
	assert_int_equal(dials_asked(), 1);
}

static void test_after_shutdown_another_diskproc_changes_nothing(void **state)
{
	struct net_addr a = { .family = 4, .port = 1000, .ip = { 1, 2, 3, 4 } };

	(void)state;
	fixture_begin(&f);
	swarm_shutdown(f.swarm);
	swarm_add_address(f.swarm, &a, PEER_FROM_TRACKER);
	fixture_turn(&f);
	assert_int_equal(dials_asked(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_have_end_that_agrees_with_the_bits_begins_the_download, begin, end),
		cmocka_unit_test_setup_teardown(test_have_end_before_the_last_bits_breaks_the_contract, begin, end),
		cmocka_unit_test_setup_teardown(test_have_end_with_another_count_than_the_bits_breaks_the_contract, begin, end),
		cmocka_unit_test_setup_teardown(test_a_dialer_that_breaks_the_contract_is_accused_and_nobody_waits_for_it, begin, end),
		cmocka_unit_test_setup_teardown(test_who_connects_is_given_to_the_swarm_and_closed_while_nobody_wants_it, begin, end),
		cmocka_unit_test_setup_teardown(test_who_connects_from_no_address_breaks_the_dialers_contract, begin, end),
		cmocka_unit_test_setup_teardown(test_after_a_hold_nobody_is_dialled_until_another_diskproc_comes, begin, end),
		cmocka_unit_test_setup_teardown(test_after_shutdown_another_diskproc_changes_nothing, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
