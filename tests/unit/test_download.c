/*
 * test_download.c - the parent's state machine of one SOURCE.
 *
 * The launcher's answers are made here; each compartment is a process that does
 * nothing, and the other end of its control channel, which the test plays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

static ssize_t kept_write(int fd, const void *bytes, size_t length);
#include "../../parent/screen.c"
#define write kept_write
#include "../../parent/stream.c"
#undef write
#include "../../parent/checking.c"
#include "../../parent/child.c"
#include "../../parent/creating.c"
#include "../../parent/deaths.c"
#include "../../parent/download.c"
#include "../../parent/giving.c"
#include "../../parent/starting.c"
#include "../../parent/feed.c"
#include "../../parent/hear.c"
#include "../../parent/hook.c"
#include "../../parent/inspecting.c"
#include "../../parent/newfile.c"
#include "../../parent/outer.c"
#include "../../parent/output.c"
#include "../../parent/peers.c"
#include "../../parent/state.c"
#include "../../parent/peer_table.c"
#include "../../parent/seeding.c"
#include "../../parent/select.c"
#include "../../parent/text.c"
#include "../../parent/values.c"

/* What people were told. */
static char said[16384];

static ssize_t kept_write(int fd, const void *bytes, size_t length)
{
	size_t used = strlen(said);

	(void)fd;
	if (length < sizeof said - used) {
		memcpy(said + used, bytes, length);
		said[used + length] = 0;
	}
	return (ssize_t)length;
}

/* ---- the launcher */

static struct {
	uint32_t tag;
	enum launcher_kind kind;
	enum role role;
	pid_t pid;
} asked[64];
static uint32_t asked_count, last_tag;

static uint32_t ask(enum launcher_kind kind, enum role role, pid_t pid)
{
	assert_true(asked_count < ARRAY_LEN(asked));
	asked[asked_count].kind = kind;
	asked[asked_count].role = role;
	asked[asked_count].pid = pid;
	return asked[asked_count++].tag = ++last_tag;
}

uint32_t launcher_ask_launch(struct launcher *l, enum role role, int uid, int gid)
{
	(void)l, (void)uid, (void)gid;
	return ask(LAUNCHER_LAUNCHED, role, 0);
}
uint32_t launcher_ask_pair(struct launcher *l)
{
	(void)l;
	return ask(LAUNCHER_PAIR, ROLE_PARENT, 0);
}
uint32_t launcher_ask_status(struct launcher *l, pid_t pid)
{
	(void)l;
	return ask(LAUNCHER_STATUS, ROLE_PARENT, pid);
}
int launcher_unused_ids(uint32_t *ids, size_t n)
{
	(void)ids, (void)n;
	return -1;
}
int idmap_directory(int dir, uint32_t id, bool below)
{
	(void)dir, (void)id, (void)below;
	errno = EINVAL;
	return -1;
}

/* ---- the download, and the compartments' ends */

static struct options o = { .command = COMMAND_GET, .dir = ".", .source_count = 1, .trackers = true };
static struct context x;
static struct download d;

/* One compartment: its end of control, and what it was sent since it was launched. */
static struct side {
	struct channel control;
	uint32_t starts;
	enum setup_fd passed[32];
	uint32_t epochs[32], passed_count;
	bool ended, go;
	struct msg_net_options net; /* netproc's */
	struct msg_disk_options disk; /* diskproc's */
	uint32_t port, port_before_go; /* of LISTEN_PORT */
} sides[ROLE_COUNT];

static struct {
	struct metainfo_header h;
	struct metainfo_file file;
	struct metainfo_url tracker;
	char text[16];
} form;

static void launched(const struct launcher_answer *wanted, enum role role)
{
	struct launcher_answer a = *wanted;
	struct side *s = &sides[role];
	int ends[2];

	assert_int_equal(channel_pair(ends), 0);
	channel_close(&s->control);
	s->passed_count = 0;
	s->ended = s->go = false;
	s->port = s->port_before_go = UINT32_MAX;
	s->starts++;
	channel_init(&s->control, ends[1], CONTROL_EPOCH, true, "parent");
	a.kind = LAUNCHER_LAUNCHED;
	a.fd = ends[0];
	a.spaces = WALL_BIT(WALL_USER_NS);
	a.pid = fork();
	if (a.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			pause();
	}
	assert_true(a.pid > 0);
	assert_true(download_on_answer(&d, &a));
}

static void answer_all(void)
{
	uint32_t i, k;

	for (i = 0; i < asked_count; i++) {
		struct launcher_answer a = { .tag = asked[i].tag, .kind = asked[i].kind, .fd = -1 };
		int ends[2];

		if (a.kind == LAUNCHER_LAUNCHED) {
			launched(&a, asked[i].role);
			continue;
		}
		if (a.kind == LAUNCHER_PAIR)
			assert_int_equal(channel_pair(ends), 0);
		a.status = (struct msg_process_status){ .tag = a.tag, .seccomp = 2, .no_new_privs = 1 };
		for (k = 0; k < (a.kind == LAUNCHER_PAIR ? 2u : 1u); k++) {
			a.end = k;
			if (a.kind == LAUNCHER_PAIR)
				a.fd = ends[k];
			if (!download_on_answer(&d, &a) && a.fd >= 0)
				close(a.fd);
		}
	}
	asked_count = 0;
}

static void listen_to_parent(struct side *s)
{
	struct packet p;

	while (s->control.fd >= 0 && channel_receive(&s->control, &p) == CHANNEL_OK) {
		if (p.type == MSG_SETUP_FD) {
			const struct msg_setup_fd *m = packet_message(&p, 0);

			assert_true(s->passed_count < ARRAY_LEN(s->passed));
			s->passed[s->passed_count] = (enum setup_fd)m->what;
			s->epochs[s->passed_count++] = m->epoch;
		}
		if (p.type == MSG_NET_OPTIONS)
			memcpy(&s->net, packet_message(&p, 0), sizeof s->net);
		if (p.type == MSG_DISK_OPTIONS)
			memcpy(&s->disk, packet_message(&p, 0), sizeof s->disk);
		s->ended |= p.type == MSG_SETUP_END;
		if (p.type == MSG_LISTEN_PORT)
			s->port = ((const struct msg_listen_port *)packet_message(&p, 0))->port;
		if (p.type == MSG_LISTEN_PORT && !s->go)
			s->port_before_go = s->port;
		s->go |= p.type == MSG_GO;
		if (p.fd >= 0)
			close(p.fd);
	}
}

/* Some turns of the parent's loop; who died is reaped. */
static void turns(void)
{
	uint32_t i, k;

	for (k = 0; k < 8; k++) {
		answer_all();
		for (i = 0; i < ROLE_COUNT; i++) {
			if (d.child[i].state == CHILD_DYING && d.child[i].pid > 0) {
				siginfo_t how;

				assert_int_equal(waitid(P_PID, (id_t)d.child[i].pid, &how, WEXITED | WNOWAIT), 0);
				download_reap(&d);
			}
			if (d.child[i].control.fd >= 0)
				download_on_control(&d, (enum role)i);
		}
		download_advance(&d);
		for (i = 0; i < ROLE_COUNT; i++)
			listen_to_parent(&sides[i]);
	}
}

static void tell(enum role role, enum message_type type, const void *message)
{
	assert_int_equal(channel_push(&sides[role].control, type, message), 0);
	assert_int_equal(channel_flush(&sides[role].control), 0);
	turns();
}

/* What the one at the other end of DISK waits for. */
static void slots(enum role role)
{
	struct msg_slots m = { .count = SLOT_COUNT };
	struct msg_conveyor none = { 0 };
	bool net = role == ROLE_NETPROC;

	assert_int_equal(channel_push_fd(&sides[role].control, net ? MSG_SLOTS : MSG_CONVEYOR, net ? (const void *)&m : &none, open("/dev/null", O_RDONLY), true), 0);
	turns();
}

/* As it does it: with its slots or its conveyor. */
static void hello(enum role role)
{
	struct msg_hello m = { .role = (uint32_t)role };

	build_hash(m.build);
	tell(role, MSG_HELLO, &m);
	if (role == ROLE_NETPROC || role == ROLE_DISKPROC)
		slots(role);
}

static void ready_with(enum role role, uint32_t fd_count, uint64_t fd_map)
{
	struct msg_ready m = { .walls = ~0u >> (32 - WALLS), .fd_count = fd_count, .fd_map = fd_map };

	tell(role, MSG_READY, &m);
}

/* As many as the role has when nothing is left out. */
static uint32_t usual(enum role role)
{
	return role == ROLE_RESOLVER ? 6 : role == ROLE_DIALER ? 7 : role == ROLE_DISKPROC ? 11 : 9;
}

static void ready(enum role role)
{
	assert_true(sides[role].ended);
	ready_with(role, usual(role), (1u << usual(role)) - 1);
}

static void come_up(enum role role)
{
	hello(role);
	ready(role);
}

static void die(enum role role)
{
	child_kill(&d.child[role], NULL);
	turns();
}

static bool was_passed(enum role role, enum setup_fd what)
{
	uint32_t i, n = 0;

	for (i = 0; i < sides[role].passed_count; i++)
		n += sides[role].passed[i] == what;
	return n > 0;
}

static int begin(void **state)
{
	size_t i;

	(void)state;
	memset(said, 0, sizeof said);
	asked_count = 0;
	x = (struct context){ .o = &o, .dir = -1, .states = -1, .ca = -1, .locked = true, .hook = { .channel = { .fd = -1 } }, .now_ms = 1000000 };
	download_init(&d, &x, 0, "source", -1);
	memcpy(form.text, "name", 5);
	form.h = (struct metainfo_header){ .flags = METAINFO_SINGLE, .total_length = 30000, .piece_length = 16384, .piece_count = 2, .file_count = 1,
					   .tracker_count = 1, .name = { offsetof(__typeof__(form), text), 4 },
					   .files = offsetof(__typeof__(form), file), .trackers = offsetof(__typeof__(form), tracker) };
	form.tracker = (struct metainfo_url){ .scheme = METAINFO_HTTP, .port = 80 };
	form.file = (struct metainfo_file){ .length = 30000, .path = form.h.name };
	d.m = (struct metainfo){ .h = &form.h, .base = (const uint8_t *)&form, .bytes = sizeof form };
	d.mapped = true;
	d.selection.sum = (struct wanted_sum){ 30000, 2, 1 };
	d.out.single = true;
	d.form = open("/dev/null", O_RDONLY);
	d.out.root = open("/dev/null", O_RDONLY);
	for (i = 0; i < ROLE_COUNT; i++) {
		memset(&sides[i], 0, sizeof sides[i]);
		sides[i].control.fd = -1;
	}
	d.state = DOWNLOAD_PREPARED;
	return 0;
}

static int end(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ROLE_COUNT; i++) {
		child_kill(&d.child[i], NULL);
		if (d.child[i].pid > 0)
			(void)waitpid(d.child[i].pid, NULL, 0);
		channel_close(&sides[i].control);
	}
	download_close(&d);
	return 0;
}

static void run_all(void)
{
	download_start(&d);
	turns();
	come_up(ROLE_RESOLVER);
	come_up(ROLE_DIALER);
	hello(ROLE_DISKPROC);
	come_up(ROLE_NETPROC);
	ready(ROLE_DISKPROC);
	assert_int_equal(d.state, DOWNLOAD_RUNNING);
	assert_true(sides[ROLE_DISKPROC].go && sides[ROLE_NETPROC].go && sides[ROLE_DIALER].go && sides[ROLE_RESOLVER].go);
}

/* ---- what storage says */

static void disk_error(uint32_t act, int error, uint32_t file, uint32_t other)
{
	struct msg_disk_error m = { .act = act, .error = error, .file = file, .other = other };

	said[0] = 0;
	tell(ROLE_DISKPROC, MSG_DISK_ERROR, &m);
}

/* Two files, "A/x" and "a/X". */
static void two_files(void)
{
	static struct {
		struct metainfo_header h;
		struct metainfo_file file[2];
		char text[16];
	} two;

	two.h = form.h;
	two.h.flags = 0;
	two.h.file_count = 2;
	two.h.files = offsetof(__typeof__(two), file);
	memcpy(two.text, "name\0A/x\0a/X", 13);
	two.h.name.offset = offsetof(__typeof__(two), text);
	two.file[0] = (struct metainfo_file){ .length = 15000, .path = { offsetof(__typeof__(two), text) + 5, 3 } };
	two.file[1] = (struct metainfo_file){ .length = 15000, .offset = 15000, .path = { offsetof(__typeof__(two), text) + 9, 3 } };
	d.m = (struct metainfo){ .h = &two.h, .base = (const uint8_t *)&two, .bytes = sizeof two };
	d.out.single = false;
	memcpy(d.out.part, "name.part", 10);
}

static void test_two_files_that_are_one_are_both_named(void **state)
{
	(void)state;
	run_all();
	two_files();
	disk_error(DISK_ACT_SAME, EEXIST, 1, 0);
	assert_int_equal(d.status, STATUS_STORAGE);
	assert_non_null(strstr(said, "'name.part/a/X'"));
	assert_non_null(strstr(said, "'name.part/A/x'"));
}

static void test_a_second_name_is_said(void **state)
{
	(void)state;
	run_all();
	two_files();
	disk_error(DISK_ACT_FOREIGN, EMLINK, 1, 0);
	assert_int_equal(d.status, STATUS_STORAGE);
	assert_non_null(strstr(said, "'name.part/a/X': it has a second name (hard link)"));
}

static void test_a_storage_error_of_no_file_breaks_the_contract(void **state)
{
	static const struct {
		uint32_t act, file, other;
	} bad[] = { { 0, 0, 0 }, { DISK_ACTS, 0, 0 }, { DISK_ACT_OPEN, 2, 0 }, { DISK_ACT_SAME, 1, 2 }, { DISK_ACT_SAME, UINT32_MAX, 0 } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		run_all();
		two_files();
		disk_error(bad[i].act, 0, bad[i].file, bad[i].other);
		if (!strstr(said, "diskproc broke its contract"))
			fail_msg("%zu: '%s'", i, said);
		end(state);
		begin(state);
	}
}

/* ---- who is passed what */

static void test_a_new_netproc_brings_diskproc_its_channel_and_then_its_slots(void **state)
{
	(void)state;
	run_all();
	sides[ROLE_DISKPROC].passed_count = 0;
	die(ROLE_NETPROC);
	assert_int_equal(sides[ROLE_NETPROC].starts, 2);
	come_up(ROLE_NETPROC);
	assert_int_equal(sides[ROLE_DISKPROC].passed_count, 2);
	assert_int_equal(sides[ROLE_DISKPROC].passed[0], SETUP_DISK);
	assert_int_equal(sides[ROLE_DISKPROC].passed[1], SETUP_SLOTS);
	assert_int_equal(sides[ROLE_DISKPROC].epochs[0], d.edge[EDGE_DISK].epoch);
	assert_true(sides[ROLE_NETPROC].go);
}

static void test_netproc_dies_while_diskproc_has_its_channel_and_not_yet_its_slots(void **state)
{
	struct side *disk = &sides[ROLE_DISKPROC];

	(void)state;
	run_all();
	die(ROLE_DISKPROC);
	die(ROLE_NETPROC);
	hello(ROLE_DISKPROC);
	assert_true(was_passed(ROLE_DISKPROC, SETUP_DISK));
	assert_false(was_passed(ROLE_DISKPROC, SETUP_SLOTS));
	die(ROLE_NETPROC);
	come_up(ROLE_NETPROC); /* its slots complete diskproc's set-up, whose channel leads nowhere by now */
	assert_true(disk->ended);
	assert_false(disk->go);
	disk->passed_count = 0;
	ready(ROLE_DISKPROC);
	assert_true(disk->go);
	assert_int_equal(disk->passed_count, 2);
	assert_int_equal(disk->passed[0], SETUP_DISK);
	assert_int_equal(disk->epochs[0], d.edge[EDGE_DISK].epoch);
	assert_int_equal(disk->passed[1], SETUP_SLOTS);
	turns();
	assert_int_equal(disk->passed_count, 2);
}

static void test_a_second_set_of_slots_breaks_the_contract(void **state)
{
	(void)state;
	download_start(&d);
	turns();
	hello(ROLE_NETPROC);
	slots(ROLE_NETPROC);
	assert_int_equal(d.status, STATUS_DIED);
	assert_non_null(strstr(said, "broke its contract: SLOTS"));
}

static void test_a_conveyor_after_the_set_up_breaks_the_contract(void **state)
{
	(void)state;
	run_all();
	slots(ROLE_DISKPROC);
	assert_int_equal(sides[ROLE_DISKPROC].starts, 2);
	assert_non_null(strstr(said, "a message that is not permitted now"));
}

static void test_a_new_diskproc_brings_netproc_its_channel_and_then_its_conveyor(void **state)
{
	struct side *net = &sides[ROLE_NETPROC];

	(void)state;
	run_all();
	assert_true(was_passed(ROLE_NETPROC, SETUP_CONVEYOR));
	net->passed_count = 0;
	die(ROLE_DISKPROC);
	/* The channel is there at once, and its conveyor is not yet. */
	assert_int_equal(net->passed_count, 1);
	assert_int_equal(net->passed[0], SETUP_DISK);
	assert_int_equal(net->epochs[0], d.edge[EDGE_DISK].epoch);
	hello(ROLE_DISKPROC);
	assert_int_equal(net->passed_count, 2);
	assert_int_equal(net->passed[1], SETUP_CONVEYOR);
	ready(ROLE_DISKPROC);
	assert_int_equal(net->passed_count, 2);
	assert_true(sides[ROLE_DISKPROC].go);
}

static void test_a_new_netproc_is_passed_the_conveyor_of_the_diskproc_that_is_there(void **state)
{
	struct side *net = &sides[ROLE_NETPROC];

	(void)state;
	run_all();
	die(ROLE_NETPROC);
	net->passed_count = 0;
	come_up(ROLE_NETPROC);
	assert_true(was_passed(ROLE_NETPROC, SETUP_CONVEYOR));
	assert_true(net->go);
}

static void test_diskproc_dies_while_netproc_comes_up_with_its_conveyor(void **state)
{
	struct side *net = &sides[ROLE_NETPROC];

	(void)state;
	run_all();
	die(ROLE_NETPROC);
	hello(ROLE_NETPROC);
	assert_true(net->ended); /* with the conveyor of a diskproc that dies now */
	die(ROLE_DISKPROC);
	hello(ROLE_DISKPROC);
	net->passed_count = 0;
	ready(ROLE_NETPROC);
	assert_true(net->go);
	assert_int_equal(net->passed_count, 2);
	assert_int_equal(net->passed[0], SETUP_DISK);
	assert_int_equal(net->epochs[0], d.edge[EDGE_DISK].epoch);
	assert_int_equal(net->passed[1], SETUP_CONVEYOR);
}

/* ---- accusations */

static void say_accuse(enum role from, enum role whom, uint32_t epoch, const char *how)
{
	struct msg_accuse m = { .role = (uint32_t)whom, .epoch = epoch, .length = (uint16_t)strlen(how) };

	memcpy(m.text, how, strlen(how));
	tell(from, MSG_ACCUSE, &m);
}

static void test_the_accused_is_named_ended_and_started_again_and_the_accuser_lives(void **state)
{
	static const struct { enum role from, whom; enum edge_id edge; } all[] = {
		{ ROLE_DISKPROC, ROLE_NETPROC, EDGE_DISK }, { ROLE_NETPROC, ROLE_DISKPROC, EDGE_DISK }, { ROLE_DIALER, ROLE_NETPROC, EDGE_DIAL },
		{ ROLE_NETPROC, ROLE_DIALER, EDGE_DIAL },   { ROLE_DIALER, ROLE_RESOLVER, EDGE_RESOLVE }, { ROLE_RESOLVER, ROLE_DIALER, EDGE_RESOLVE },
	};
	char line[160];
	uint32_t i;

	for (i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(begin(state), 0);
		run_all();
		say_accuse(all[i].from, all[i].whom, d.edge[all[i].edge].epoch, "BLOCK: \033[2Jno\n");
		snprintf(line, sizeof line, "%s broke the contract: BLOCK: ", role_name(all[i].whom));
		assert_non_null(strstr(said, line));
		snprintf(line, sizeof line, "(said by %s); it is started again", role_name(all[i].from));
		assert_non_null(strstr(said, line));
		assert_null(strchr(said, '\033'));
		assert_int_equal(sides[all[i].whom].starts, 2);
		/* netproc knows one dialer for life. */
		assert_int_equal(sides[all[i].from].starts, all[i].from == ROLE_NETPROC && all[i].whom == ROLE_DIALER ? 2 : 1);
		assert_int_equal(d.status, -1);
		assert_int_equal(d.restart_count, 1);
		assert_int_equal(end(state), 0);
	}
	assert_int_equal(begin(state), 0);
}

static void test_an_accusation_of_who_was_replaced_meanwhile_is_ignored(void **state)
{
	uint32_t old;

	(void)state;
	run_all();
	old = d.edge[EDGE_DISK].epoch;
	die(ROLE_DISKPROC);
	hello(ROLE_DISKPROC);
	say_accuse(ROLE_NETPROC, ROLE_DISKPROC, old, "VERIFIED");
	assert_int_equal(sides[ROLE_DISKPROC].starts, 2);
	assert_int_equal(d.child[ROLE_DISKPROC].state, CHILD_LOCKING);
}

static void test_who_accuses_falsely_again_and_again_ends_the_download(void **state)
{
	uint32_t i;

	(void)state;
	run_all();
	for (i = 0; i < RESTARTS_MAX; i++) {
		say_accuse(ROLE_NETPROC, ROLE_DISKPROC, d.edge[EDGE_DISK].epoch, "a lie");
		assert_int_equal(sides[ROLE_DISKPROC].starts, 2 + i);
		assert_int_equal(d.status, -1);
		come_up(ROLE_DISKPROC);
	}
	say_accuse(ROLE_NETPROC, ROLE_DISKPROC, d.edge[EDGE_DISK].epoch, "a lie");
	assert_int_equal(d.status, STATUS_DIED);
	assert_non_null(strstr(said, "diskproc broke the contract: a lie (said by netproc), too often"));
}

static void test_an_accusation_of_who_is_no_neighbour_ends_the_accuser(void **state)
{
	static const struct { enum role from; uint32_t whom; } all[] = {
		{ ROLE_RESOLVER, ROLE_NETPROC }, { ROLE_DIALER, ROLE_DISKPROC }, { ROLE_NETPROC, ROLE_RESOLVER }, { ROLE_NETPROC, ROLE_NETPROC },
		{ ROLE_NETPROC, ROLE_PARENT },   { ROLE_NETPROC, ROLE_LAUNCHER }, { ROLE_NETPROC, ROLE_COUNT },   { ROLE_NETPROC, UINT32_MAX },
	};
	uint32_t i, k;

	for (i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(begin(state), 0);
		run_all();
		say_accuse(all[i].from, (enum role)all[i].whom, d.edge[EDGE_DISK].epoch, "a lie");
		assert_non_null(strstr(said, "broke its contract: ACCUSE"));
		for (k = 0; k < ROLE_COUNT; k++)
			assert_int_equal(sides[k].starts, k < ROLE_RESOLVER || k == ROLE_CREATE ? 0 :
							  k == (uint32_t)all[i].from || (k == ROLE_NETPROC && all[i].from == ROLE_DIALER) ? 2 : 1);
		assert_int_equal(end(state), 0);
	}
	assert_int_equal(begin(state), 0);
}

static void test_at_the_end_nobody_keeps_diskproc_from_its_last_sync(void **state)
{
	(void)state;
	run_all();
	download_interrupt(&d, false);
	assert_int_equal(d.child[ROLE_DISKPROC].state, CHILD_ENDING);
	say_accuse(ROLE_NETPROC, ROLE_DISKPROC, d.edge[EDGE_DISK].epoch, "a lie");
	assert_int_equal(d.child[ROLE_DISKPROC].state, CHILD_ENDING);
}

/* ---- where it listens */

static void as_listening(uint16_t first, uint16_t last, bool given)
{
	o.listen = true;
	o.port_first = first;
	o.port_last = last;
	o.port_given = given;
}

static int end_listening(void **state)
{
	o.listen = o.port_given = o.json = false;
	o.port_first = o.port_last = 0;
	return end(state);
}

/* The dialer is up and says so. */
static void dialer_listens(uint16_t port4, uint16_t port6)
{
	struct msg_listening m = { .port4 = port4, .port6 = port6 };
	uint32_t n = usual(ROLE_DIALER) + (port4 ? 1u : 0u) + (port6 ? 1u : 0u);

	hello(ROLE_DIALER);
	tell(ROLE_DIALER, MSG_LISTENING, &m);
	if (d.child[ROLE_DIALER].state == CHILD_LOCKING)
		ready_with(ROLE_DIALER, n, (1u << n) - 1);
}

static void run_listening(uint16_t port4, uint16_t port6)
{
	download_start(&d);
	turns();
	come_up(ROLE_RESOLVER);
	dialer_listens(port4, port6);
	hello(ROLE_DISKPROC);
	come_up(ROLE_NETPROC);
	ready(ROLE_DISKPROC);
}

static void test_netproc_hears_the_port_before_its_go(void **state)
{
	(void)state;
	as_listening(7000, 7009, true);
	run_listening(7003, 7003);
	assert_int_equal(d.state, DOWNLOAD_RUNNING);
	assert_true(sides[ROLE_NETPROC].go);
	assert_int_equal(sides[ROLE_NETPROC].port_before_go, 7003);
	assert_null(strstr(said, "listen"));
}

static void test_one_family_is_enough_to_listen(void **state)
{
	(void)state;
	as_listening(7000, 7009, true);
	o.json = true;
	run_listening(0, 7004);
	assert_int_equal(d.state, DOWNLOAD_RUNNING);
	assert_int_equal(sides[ROLE_NETPROC].port_before_go, 7004);
	assert_int_equal(d.status, -1);
}

static void test_no_port_of_those_that_the_user_chose_is_a_failure(void **state)
{
	(void)state;
	as_listening(7000, 7009, true);
	download_start(&d);
	turns();
	come_up(ROLE_RESOLVER);
	dialer_listens(0, 0);
	assert_int_equal(d.status, STATUS_FAILED);
	assert_non_null(strstr(said, "cannot listen on ports 7000 to 7009: taken or not permitted"));
	assert_false(sides[ROLE_NETPROC].go);
}

static void test_no_port_of_those_by_chance_is_a_warning(void **state)
{
	(void)state;
	as_listening(50000, 50063, false);
	run_listening(0, 0);
	assert_int_equal(d.state, DOWNLOAD_RUNNING);
	assert_int_equal(sides[ROLE_NETPROC].port_before_go, 0);
	assert_non_null(strstr(said, "warning: source: cannot listen on ports 50000 to 50063: nobody can connect to us"));
}

static void test_ports_that_cannot_be_break_the_contract(void **state)
{
	static const struct { bool listen; uint16_t port4, port6; } bad[] = {
		{ true, 7010, 7010 }, { true, 6999, 0 }, { true, 7000, 7001 }, { false, 7000, 7000 },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		as_listening(7000, 7009, true);
		o.listen = bad[i].listen;
		download_start(&d);
		turns();
		dialer_listens(bad[i].port4, bad[i].port6);
		assert_int_equal(d.status, STATUS_DIED);
		assert_non_null(strstr(said, "dialer broke its contract"));
		assert_int_equal(end_listening(state), 0);
		assert_int_equal(begin(state), 0);
	}
}

static void test_the_port_is_told_once_and_not_later(void **state)
{
	struct msg_listening m = { .port4 = 7000, .port6 = 7000 };

	(void)state;
	as_listening(7000, 7009, true);
	run_listening(7000, 7000);
	tell(ROLE_DIALER, MSG_LISTENING, &m);
	assert_non_null(strstr(said, "dialer broke its contract"));
}

static void test_a_socket_that_listens_and_was_not_told_of_is_a_missing_wall(void **state)
{
	struct msg_listening m = { .port4 = 7000 };
	uint32_t n = usual(ROLE_DIALER) + 2;

	(void)state;
	as_listening(7000, 7009, true);
	download_start(&d);
	turns();
	hello(ROLE_DIALER);
	tell(ROLE_DIALER, MSG_LISTENING, &m);
	ready_with(ROLE_DIALER, n, (1u << n) - 1);
#ifndef SANDBOX_WIDE
	assert_int_equal(d.status, STATUS_NO_WALL);
#endif
}

static void test_a_new_dialer_may_have_another_port_or_none(void **state)
{
	(void)state;
	as_listening(7000, 7009, true);
	run_listening(7000, 7000);
	assert_int_equal(d.state, DOWNLOAD_RUNNING);
	die(ROLE_DIALER);
	come_up(ROLE_NETPROC); /* follows, and is up before the dialer */
	assert_true(sides[ROLE_NETPROC].go);
	assert_int_equal(sides[ROLE_NETPROC].port_before_go, 7000);
	dialer_listens(7001, 7001);
	turns();
	assert_int_equal(sides[ROLE_NETPROC].port, 7001);
	die(ROLE_DIALER);
	dialer_listens(0, 0);
	come_up(ROLE_NETPROC);
	assert_int_equal(sides[ROLE_NETPROC].port_before_go, 0);
	assert_int_equal(d.state, DOWNLOAD_RUNNING);
	assert_non_null(strstr(said, "warning: source: cannot listen on ports 7000 to 7009"));
}

/* ---- what a compartment holds */

static void test_a_descriptor_too_many_or_too_few_is_a_missing_wall(void **state)
{
	static const struct { enum role role; uint32_t count; uint64_t map; } bad[] = {
		{ ROLE_RESOLVER, 7, 0x7f },        { ROLE_RESOLVER, 5, 0x1f },  { ROLE_RESOLVER, 6, 0x80000000000001f }, /* one far above */
		{ ROLE_RESOLVER, 6, 0x1f },        /* one beyond 63 */
		{ ROLE_RESOLVER, 6, 0x7e },        /* not /dev/null, control */
		{ ROLE_RESOLVER, 6, 0x9f },        { ROLE_DIALER, 8, 0xff },    { ROLE_NETPROC, 8, 0xff }, { ROLE_NETPROC, 12, 0xfff },
		{ ROLE_RESOLVER, UINT32_MAX, ~0ull }, { ROLE_RESOLVER, 0, 0 },
	};
	uint32_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		char line[80];

		assert_int_equal(begin(state), 0);
		download_start(&d);
		turns();
		if (bad[i].role == ROLE_NETPROC)
			hello(ROLE_DISKPROC);
		hello(bad[i].role);
		ready_with(bad[i].role, bad[i].count, bad[i].map);
		snprintf(line, sizeof line, "%s lacks a required wall: descriptors closed (it holds %u", role_name(bad[i].role), bad[i].count);
#ifndef SANDBOX_WIDE
		assert_int_equal(d.status, STATUS_NO_WALL);
		assert_non_null(strstr(said, line));
		assert_false(sides[bad[i].role].go);
#endif
		assert_int_equal(end(state), 0);
	}
	assert_int_equal(begin(state), 0);
}

static void test_what_libcurl_may_hold_is_no_missing_wall(void **state)
{
	uint32_t n;

	for (n = 9; n <= 11; n++) {
		assert_int_equal(begin(state), 0);
		download_start(&d);
		turns();
		hello(ROLE_DISKPROC);
		hello(ROLE_NETPROC);
		ready_with(ROLE_NETPROC, n, (1u << n) - 1);
		assert_int_equal(d.child[ROLE_NETPROC].state, CHILD_HELD);
		assert_int_equal(end(state), 0);
	}
	assert_int_equal(begin(state), 0);
}

/* ---- giving back */

static void complete(void)
{
	struct msg_disk_complete m = { .verified_bytes = 30000 };

	tell(ROLE_DISKPROC, MSG_DISK_COMPLETE, &m);
}

static void given(uint64_t bytes)
{
	struct msg_net_stats m = { .uploaded_bytes = bytes, .received_bytes = 7 };

	tell(ROLE_NETPROC, MSG_NET_STATS, &m);
}

/* All is there, and is given. */
static void seed_by(struct seeding_rule rule)
{
	o.seed = rule;
	o.seed.wanted = true;
	d.seeds = d.out.finished = true;
	run_all();
	assert_int_equal(sides[ROLE_NETPROC].net.seed, 1);
	complete();
	assert_int_equal(d.state, DOWNLOAD_SEEDING);
	assert_int_equal(d.status, -1);
}

static int end_seed(void **state)
{
	o.seed = (struct seeding_rule){ 0 };
	o.timeout_s = 0;
	o.command = COMMAND_GET;
	screen.json = false;
	return end(state);
}

static void test_without_a_rule_the_download_ends_when_it_is_complete(void **state)
{
	(void)state;
	d.out.finished = true;
	run_all();
	assert_int_equal(sides[ROLE_NETPROC].net.seed, 0);
	complete();
	assert_int_equal(d.state, DOWNLOAD_FINISHING);
	assert_int_equal(d.status, STATUS_COMPLETE);
}

static void test_a_seed_ends_at_its_ratio_which_counts_earlier_runs(void **state)
{
	(void)state;
	d.earlier = (struct totals){ .uploaded = 20000, .downloaded = 30000 };
	seed_by((struct seeding_rule){ .ratio_milli = 1000 });
	given(4000);
	die(ROLE_NETPROC); /* its number begins anew, the sum does not */
	come_up(ROLE_NETPROC);
	given(5999);
	(void)download_timers(&d);
	assert_int_equal(d.state, DOWNLOAD_SEEDING);
	assert_int_equal(download_totals(&d).uploaded, 9999);
	assert_int_equal(download_totals(&d).downloaded, 14);
	given(6000);
	(void)download_timers(&d);
	assert_int_equal(d.state, DOWNLOAD_FINISHING);
	assert_int_equal(d.status, STATUS_COMPLETE);
	assert_int_equal(d.seeded, SEEDING_RATIO); /* told when netproc is gone */
	assert_int_equal(download_totals(&d).uploaded, 10000);
}

static void test_a_seed_ends_when_its_time_is_over_and_no_timeout_ends_it(void **state)
{
	(void)state;
	o.timeout_s = 1;
	seed_by((struct seeding_rule){ .time_s = 60 });
	x.now_ms += 59999;
	assert_int_equal(download_timers(&d), x.now_ms + 1);
	assert_int_equal(d.state, DOWNLOAD_SEEDING);
	x.now_ms++;
	(void)download_timers(&d);
	assert_int_equal(d.status, STATUS_COMPLETE);
	assert_int_equal(d.seeded, SEEDING_TIME);
}

static void test_a_seed_is_idle_since_it_last_gave(void **state)
{
	(void)state;
	seed_by((struct seeding_rule){ .idle_s = 10 });
	x.now_ms += 9000;
	given(1);
	x.now_ms += 9000;
	given(1);
	(void)download_timers(&d);
	assert_int_equal(d.state, DOWNLOAD_SEEDING);
	x.now_ms += 1000;
	(void)download_timers(&d);
	assert_int_equal(d.status, STATUS_COMPLETE);
	assert_int_equal(d.seeded, SEEDING_IDLE);
}

static void test_an_interrupt_costs_a_seed_nothing(void **state)
{
	(void)state;
	seed_by((struct seeding_rule){ 0 });
	assert_true(download_timers(&d) == UINT64_MAX);
	download_interrupt(&d, false);
	assert_int_equal(d.status, STATUS_COMPLETE);
	assert_int_equal(d.child[ROLE_NETPROC].state, CHILD_ENDING);
	download_interrupt(&d, true);
	assert_int_equal(d.child[ROLE_NETPROC].state, CHILD_DYING);
	assert_int_equal(d.status, STATUS_COMPLETE);
}

static void test_an_interrupt_before_all_is_there_is_told_by_the_status(void **state)
{
	(void)state;
	o.seed = (struct seeding_rule){ .wanted = true };
	d.seeds = true;
	run_all();
	download_interrupt(&d, false);
	assert_int_equal(d.status, STATUS_INTERRUPTED);
}

static void test_a_diskproc_that_dies_is_replaced_and_its_second_completion_is_no_news(void **state)
{
	(void)state;
	seed_by((struct seeding_rule){ .time_s = 60 });
	die(ROLE_DISKPROC);
	assert_int_equal(sides[ROLE_DISKPROC].starts, 2);
	come_up(ROLE_DISKPROC);
	complete();
	assert_int_equal(d.state, DOWNLOAD_SEEDING);
	assert_int_equal(d.seeding_ms, 1000000);
	assert_ptr_equal(strstr(said, ": seeding for"), strstr(strstr(said, ": seeding for"), ": seeding for"));
}

static void test_that_no_tracker_answers_is_told_once(void **state)
{
	struct msg_tracker_event e = { .result = 1, .length = 5, .text = "no\033.\n" };
	uint32_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(begin(state), 0);
		run_all();
		said[0] = 0;
		e.result = i;
		tell(ROLE_NETPROC, MSG_TRACKER_EVENT, &e);
		assert_true(!strstr(said, "warning: source: tracker http://:80: failed: no\\x1b.") == !i);
		assert_null(strchr(said, '\033'));
		said[0] = 0;
		e.result = 1;
		tell(ROLE_NETPROC, MSG_TRACKER_EVENT, &e);
		assert_string_equal(said, "");
		assert_int_equal(end(state), 0);
	}
	assert_int_equal(begin(state), 0);
}

static void test_a_seed_says_where_it_can_be_found(void **state)
{
	static const char lonely[] = "nobody hears of this seed: the torrent names no HTTP tracker, and there is no --peer";

	(void)state;
	seed_by((struct seeding_rule){ 0 });
	assert_non_null(strstr(said, "source: seeding until it is interrupted\n"));
	assert_null(strstr(said, lonely));
	assert_int_equal(end_seed(state), 0);
	assert_int_equal(begin(state), 0);
	form.tracker.scheme = METAINFO_UDP;
	seed_by((struct seeding_rule){ 0 });
	assert_non_null(strstr(said, lonely));
	d.port = 7000;
	said[0] = 0;
	giving_begin(&d);
	assert_non_null(strstr(said, "seeding until it is interrupted; peers can connect to port 7000\n"));
	assert_non_null(strstr(said, "nobody hears of this seed who is not told its port: "));
}

static void test_what_is_missing_is_counted(void **state)
{
	struct msg_disk_progress p = { .phase = DISK_CHECKING, .verified_pieces = 1, .verified_bytes = 16384 };
	struct msg_disk_error e = { .act = DISK_ACT_FOREIGN, .file = UINT32_MAX, .other = 1 };
	uint32_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(begin(state), 0);
		memcpy(d.out.name, "name", 5);
		memcpy(d.out.part, "name.part", 10);
		o.command = COMMAND_SEED;
		d.out.finished = true;
		d.out.incomplete = d.disk_only = i == 1;
		d.seeds = !d.disk_only;
		if (i == 0) {
			run_all();
		} else {
			download_start(&d);
			turns();
			hello(ROLE_DISKPROC);
			ready_with(ROLE_DISKPROC, 9, 0x1ff);
		}
		assert_int_equal(d.state, DOWNLOAD_RUNNING);
		tell(ROLE_DISKPROC, MSG_DISK_PROGRESS, &p);
		tell(ROLE_DISKPROC, MSG_DISK_ERROR, &e);
		assert_int_equal(d.status, STATUS_STORAGE);
		assert_non_null(strstr(said, i == 0 ? "1 of 2 pieces are missing or wrong in 'name'; once it is renamed to 'name.part', 'bulkhead get --adopt' completes it" :
						      "1 of 2 pieces are missing in 'name.part'; 'bulkhead get' completes it"));
		assert_int_equal(end_seed(state), 0);
	}
	assert_int_equal(begin(state), 0);
}

static void test_limits_are_divided_among_the_sources(void **state)
{
	struct options saved = o;
	const struct msg_net_options *m = &sides[ROLE_NETPROC].net;

	(void)state;
	o.source_count = 3;
	o.max_up = 3000;
	o.max_uploads = 2;
	o.super_seed = true;
	run_all();
	o = saved;
	assert_int_equal(m->max_up, 1000);
	assert_int_equal(m->max_down, 0);
	assert_int_equal(m->max_uploads, 1);
	assert_int_equal(m->super_seed, 1);
	assert_int_equal(m->peer_info, 0);
}

static void test_peers_that_nobody_asked_about_break_the_contract(void **state)
{
	struct msg_peer_info m = { .addr = { .family = 4, .port = 1 }, .snapshot = 1, .client = "c" };

	(void)state;
	run_all();
	tell(ROLE_NETPROC, MSG_PEER_INFO, &m);
	assert_non_null(strstr(said, "netproc broke its contract: PEER_INFO"));
}

static void test_peers_are_shown_when_their_time_has_come(void **state)
{
	struct msg_peer_info m = { .addr = { .family = 4, .port = 1 }, .snapshot = 9, .client = "c" };

	(void)state;
	peer_table_open(&d.peers, 2);
	run_all();
	assert_int_equal(sides[ROLE_NETPROC].net.peer_info, 1);
	tell(ROLE_NETPROC, MSG_PEER_INFO, &m);
	assert_int_equal(download_timers(&d), x.now_ms + PEER_TABLE_WHOLE_MS);
	x.now_ms += PEER_TABLE_WHOLE_MS;
	(void)download_timers(&d);
	assert_non_null(strstr(said, ": 1 peer\n  0.0.0.0:1 "));
	die(ROLE_NETPROC);
	come_up(ROLE_NETPROC);
	m.snapshot = 1;
	tell(ROLE_NETPROC, MSG_PEER_INFO, &m);
	assert_int_equal(d.child[ROLE_NETPROC].state, CHILD_RUNNING);
}

/* ---- whose patience ends when */

static void test_those_launched_ahead_wait_for_inspect_as_long_as_it_takes(void **state)
{
	(void)state;
	d.state = DOWNLOAD_INSPECTING;
	feed_launch(&d, 0);
	turns();
	hello(ROLE_RESOLVER);
	hello(ROLE_DIALER);
	hello(ROLE_DISKPROC);
	hello(ROLE_NETPROC);
	x.now_ms += INSPECT_MS - 1000;
	(void)download_timers(&d);
	turns();
	assert_int_equal(d.child[ROLE_NETPROC].state, CHILD_SETUP);
	d.state = DOWNLOAD_PREPARED;
	download_start(&d);
	(void)download_timers(&d);
	turns();
	assert_int_equal(d.status, -1);
	assert_int_equal(d.child[ROLE_NETPROC].state, CHILD_LOCKING);
	x.now_ms += START_MS - 1;
	assert_int_equal(download_timers(&d), x.now_ms + 1);
	assert_int_equal(d.child[ROLE_NETPROC].state, CHILD_LOCKING);
	x.now_ms += 1;
	(void)download_timers(&d);
	turns();
	assert_int_equal(d.status, STATUS_DIED);
	assert_non_null(strstr(said, "did not start in time"));
}

static void test_one_that_does_not_even_say_hello_is_not_waited_for(void **state)
{
	(void)state;
	d.state = DOWNLOAD_INSPECTING;
	feed_launch(&d, 0);
	turns();
	x.now_ms += START_MS;
	(void)download_timers(&d);
	assert_int_equal(d.child[ROLE_NETPROC].state, CHILD_DYING);
}

/* ---- as root */

static void test_an_owner_whose_id_no_launch_can_name_is_refused(void **state)
{
	static const struct { uid_t uid; gid_t gid; bool good; } all[] = {
		{ 3000000000u, 3000000000u, false }, { 5, 0x80000000u, false }, { 0x80000000u, 5, false }, { 0, 5, false }, { 0x7fffffffu, 5, true },
	};
	char dir[] = "/tmp/test_download.XXXXXX";
	uint32_t i;

	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	for (i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(begin(state), 0);
		x.root = true;
		d.out.single = false;
		close(d.out.root);
		d.out.root = open(dir, O_RDONLY | O_DIRECTORY);
		if (fchown(d.out.root, all[i].uid, all[i].gid) < 0) {
			rmdir(dir);
			skip(); /* a namespace without such ids */
		}
		assert_int_equal(map_owner(&d), all[i].good ? 0 : -1);
		assert_int_equal(d.status, all[i].good ? -1 : STATUS_NO_WALL);
		assert_int_equal(end(state), 0);
	}
	rmdir(dir);
	assert_int_equal(begin(state), 0);
}

/* diskproc has checked what is there: one piece of two, or all. */
static int status_after_check(uint32_t pieces, enum disk_phase phase)
{
	struct msg_disk_progress m = { .verified_bytes = pieces == 2 ? 30000 : pieces * 16384, .verified_pieces = pieces, .phase = phase };

	download_start(&d);
	turns();
	come_up(ROLE_RESOLVER);
	come_up(ROLE_DIALER);
	hello(ROLE_DISKPROC);
	come_up(ROLE_NETPROC);
	ready(ROLE_DISKPROC);
	assert_int_equal(d.state, DOWNLOAD_RUNNING);
	tell(ROLE_DISKPROC, MSG_DISK_PROGRESS, &m);
	return d.status;
}

static void test_the_record_goes_to_each_diskproc_and_a_check_is_done_once(void **state)
{
	struct msg_disk_progress m = { .verified_bytes = 16384, .checked_bytes = 30000, .verified_pieces = 1, .phase = DISK_CHECKING };
	struct side *disk = &sides[ROLE_DISKPROC];

	(void)state;
	o.check = true;
	d.out.existed = true;
	d.out.state.have = open("/dev/null", O_RDWR | O_CLOEXEC);
	download_start(&d);
	turns();
	come_up(ROLE_RESOLVER);
	come_up(ROLE_DIALER);
	hello(ROLE_DISKPROC);
	come_up(ROLE_NETPROC);
	assert_true(was_passed(ROLE_DISKPROC, SETUP_RECORD));
	assert_int_equal(disk->disk.check_existing, CHECK_ALL);
	ready_with(ROLE_DISKPROC, 12, (1u << 12) - 1);
	assert_int_equal(d.state, DOWNLOAD_RUNNING);
	/* One that did not come to the end of it leaves it to the next. */
	tell(ROLE_DISKPROC, MSG_DISK_PROGRESS, &m);
	die(ROLE_DISKPROC);
	hello(ROLE_DISKPROC);
	assert_true(was_passed(ROLE_DISKPROC, SETUP_RECORD));
	assert_int_equal(disk->disk.check_existing, CHECK_ALL);
	ready_with(ROLE_DISKPROC, 12, (1u << 12) - 1);
	m.phase = DISK_DOWNLOADING;
	tell(ROLE_DISKPROC, MSG_DISK_PROGRESS, &m);
	die(ROLE_DISKPROC);
	hello(ROLE_DISKPROC);
	assert_int_equal(disk->disk.check_existing, CHECK_DOUBTFUL);
	o.check = false;
}

static void test_more_known_than_there_is_breaks_the_contract(void **state)
{
	struct msg_disk_progress m = { .known_bytes = 30001, .phase = DISK_DOWNLOADING };

	(void)state;
	run_all();
	tell(ROLE_DISKPROC, MSG_DISK_PROGRESS, &m);
	assert_int_equal(sides[ROLE_DISKPROC].starts, 2);
}

static void test_what_is_checked_is_counted_against_all_and_not_what_is_wanted(void **state)
{
	struct msg_disk_progress m = { .known_bytes = 10000, .checked_bytes = 5000, .verified_bytes = 100, .phase = DISK_CHECKING };
	struct screen_row row;

	(void)state;
	d.selection.sum = (struct wanted_sum){ 100, 1, 1 };
	run_all();
	tell(ROLE_DISKPROC, MSG_DISK_PROGRESS, &m);
	assert_true(download_row(&d, &row));
	assert_true(row.checking);
	assert_int_equal(row.checked, 15000);
	assert_int_equal(row.to_check, 30000);
	assert_int_equal(row.done, 100);
	assert_int_equal(row.total, 100);
}

static void test_without_any_way_to_hear_of_peers_what_is_missing_never_comes(void **state)
{
	static const struct {
		uint8_t scheme;
		bool trackers;
		uint32_t peers, pieces;
		enum disk_phase phase;
		int status;
		const char *why;
	} all[] = {
		{ METAINFO_UDP, true, 0, 1, DISK_DOWNLOADING, STATUS_FAILED, "nobody to download from: the torrent names no HTTP tracker, and there is no --peer" },
		{ METAINFO_HTTP, false, 0, 1, DISK_DOWNLOADING, STATUS_FAILED, "nobody to download from: there is --no-trackers, and no --peer" },
		{ METAINFO_UDP, true, 0, 1, DISK_CHECKING, -1, NULL },
		{ METAINFO_UDP, true, 0, 2, DISK_DOWNLOADING, -1, NULL },
		{ METAINFO_UDP, true, 1, 1, DISK_DOWNLOADING, -1, NULL },
		{ METAINFO_HTTP, false, 1, 1, DISK_DOWNLOADING, -1, NULL },
		{ METAINFO_HTTP, true, 0, 1, DISK_DOWNLOADING, -1, NULL },
		{ METAINFO_HTTPS, true, 0, 1, DISK_DOWNLOADING, -1, NULL },
	};
	size_t i;

	/* Somebody may know a port that the user chose. */
	o.listen = o.port_given = true;
	form.tracker.scheme = METAINFO_UDP;
	assert_int_equal(status_after_check(1, DISK_DOWNLOADING), -1);
	assert_null(strstr(said, "nobody"));
	assert_int_equal(end_listening(state), 0);
	assert_int_equal(begin(state), 0);

	for (i = 0; i < ARRAY_LEN(all); i++) {
		form.tracker.scheme = all[i].scheme;
		o.trackers = all[i].trackers;
		o.peer_count = all[i].peers;
		assert_int_equal(status_after_check(all[i].pieces, all[i].phase), all[i].status);
		assert_true(all[i].why ? strstr(said, all[i].why) != NULL : strstr(said, "nobody") == NULL);
		o.trackers = true;
		o.peer_count = 0;
		assert_int_equal(end(state), 0);
		assert_int_equal(begin(state), 0);
	}
}

static void test_without_any_way_to_hear_of_peers_what_is_there_is_checked_with_a_warning(void **state)
{
	(void)state;
	form.h.tracker_count = 0;
	d.out.existed = true;
	assert_int_equal(status_after_check(0, DISK_CHECKING), -1);
	assert_non_null(strstr(said, "warning: source: nobody to download from: the torrent names no HTTP tracker, and there is no --peer; what is there"));
}

/* ---- create */

static char made[64];

/* create is up and has heard GO; its file is to be `made`. */
static void run_create(void)
{
	static struct options co;
	char error[600];

	co = (struct options){ .command = COMMAND_CREATE, .source_count = 1, .max_torrent_bytes = 1000, .date = -1, .anonymous = true };
	x.o = &co;
	snprintf(made, sizeof made, "/tmp/bulkhead-made-%d.torrent", (int)getpid());
	(void)unlink(made);
	co.output = made;
	close(d.form);
	d.form = memfd_create("info", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	d.mapped = false;
	d.creating.shared = open("/dev/null", O_RDONLY);
	d.creating.single = true;
	memcpy(d.creating.name, "name", 5);
	assert_int_equal(newfile_open(&d.creating.out, made, false, error, sizeof error), 0);
	d.state = DOWNLOAD_WAITING;
	download_inspect(&d, false);
	turns();
	hello(ROLE_CREATE);
	assert_true(was_passed(ROLE_CREATE, SETUP_FORM) && was_passed(ROLE_CREATE, SETUP_FILE) && !was_passed(ROLE_CREATE, SETUP_ROOT));
	ready_with(ROLE_CREATE, 7, 127);
	assert_true(sides[ROLE_CREATE].go);
}

static int end_create(void **state)
{
	(void)unlink(made);
	x.o = &o;
	return end(state);
}

static void test_the_dictionary_is_put_into_its_torrent_unread(void **state)
{
	struct msg_create_progress p = { .hashed_bytes = 5, .total_bytes = 10 };
	struct msg_created m = { .status = CREATE_OK, .info_bytes = 5, .info_hash = { 0xab } };
	struct screen_row row;
	char got[64] = "";
	int fd;

	(void)state;
	run_create();
	assert_false(download_row(&d, &row));
	tell(ROLE_CREATE, MSG_CREATE_PROGRESS, &p);
	assert_true(download_row(&d, &row));
	assert_int_equal(row.done, 5);
	assert_int_equal(write(d.form, "wha\0?", 5), 5);
	tell(ROLE_CREATE, MSG_CREATED, &m);
	assert_int_equal(access(made, F_OK), -1);
	die(ROLE_CREATE);
	assert_int_equal(d.status, STATUS_COMPLETE);
	assert_int_equal(d.state, DOWNLOAD_ENDED);
	fd = open(made, O_RDONLY);
	assert_int_equal(read(fd, got, sizeof got), 13);
	close(fd);
	assert_memory_equal(got, "d4:infowha\0?e", 13);
	assert_non_null(strstr(said, "ab00000000000000000000000000000000000000  /tmp/bulkhead-made-"));
}

static void test_an_answer_that_create_cannot_give_breaks_its_contract(void **state)
{
	static const struct msg_created bad[] = {
		{ .status = CREATE_INTERNAL + 1 },
		{ .status = CREATE_REFUSED, .length = sizeof bad[0].text + 1 },
		{ .status = CREATE_OK, .info_bytes = 1001 },
	};
	struct msg_create_progress p = { .hashed_bytes = 11, .total_bytes = 10 };
	size_t i;

	for (i = 0; i <= ARRAY_LEN(bad); i++) {
		assert_int_equal(begin(state), 0);
		run_create();
		if (i < ARRAY_LEN(bad))
			tell(ROLE_CREATE, MSG_CREATED, &bad[i]);
		else
			tell(ROLE_CREATE, MSG_CREATE_PROGRESS, &p);
		turns();
		assert_int_equal(d.status, STATUS_DIED);
		assert_non_null(strstr(said, "create broke its contract"));
		assert_int_equal(end(state), 0);
		assert_int_equal(access(made, F_OK), -1);
	}
	assert_int_equal(begin(state), 0);
}

static void test_a_dictionary_of_another_size_makes_no_torrent(void **state)
{
	static const uint64_t sizes[] = { 0, 4, 6 };
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		struct msg_created m = { .status = CREATE_OK, .info_bytes = sizes[i] };

		assert_int_equal(begin(state), 0);
		run_create();
		assert_int_equal(write(d.form, "d1:ae", 5), 5);
		tell(ROLE_CREATE, MSG_CREATED, &m);
		die(ROLE_CREATE);
		assert_int_equal(d.status, STATUS_FAILED);
		assert_int_equal(end(state), 0);
		assert_int_equal(access(made, F_OK), -1);
	}
	assert_int_equal(begin(state), 0);
}

static void test_why_there_is_no_torrent_is_told_escaped(void **state)
{
	struct msg_created m = { .status = CREATE_STORAGE, .error = ENOENT, .length = 6, .text = "x\x1b[2Jy" };

	(void)state;
	run_create();
	tell(ROLE_CREATE, MSG_CREATED, &m);
	die(ROLE_CREATE);
	assert_int_equal(d.status, STATUS_STORAGE);
	assert_non_null(strstr(said, "x\\x1b[2Jy: No such file"));
}

static void test_a_create_that_dies_makes_no_torrent(void **state)
{
	(void)state;
	run_create();
	die(ROLE_CREATE);
	assert_int_equal(d.status, STATUS_DIED);
	assert_int_equal(sides[ROLE_CREATE].starts, 1);
}

/* ---- check */

static void start_check(void)
{
	d.out.finished = true;
	memcpy(d.out.name, "name", 5);
	checking_begin(&d);
	download_start(&d);
	turns();
	hello(ROLE_DISKPROC);
	assert_true(sides[ROLE_DISKPROC].ended);
	ready_with(ROLE_DISKPROC, 9, 0x1ff);
	assert_int_equal(d.state, DOWNLOAD_RUNNING);
	assert_true(sides[ROLE_DISKPROC].go);
}

static const struct msg_checked_bits first_good = { .first_piece = 0, .pieces = 2, .bits = { 0x80 } };
static const struct msg_file_states there = { .first_file = 0, .files = 1, .state = { FILE_THERE } };

static void test_check_is_diskproc_alone_and_ends_when_all_is_told(void **state)
{
	(void)state;
	start_check();
	assert_int_equal(sides[ROLE_NETPROC].starts + sides[ROLE_DIALER].starts + sides[ROLE_RESOLVER].starts, 0);
	tell(ROLE_DISKPROC, MSG_CHECKED_BITS, &first_good);
	assert_int_equal(d.status, -1);
	tell(ROLE_DISKPROC, MSG_FILE_STATES, &there);
	assert_int_equal(d.status, STATUS_FAILED);
	assert_non_null(strstr(said, "name: damaged, 1 of 2 pieces\n"));
	assert_non_null(strstr(said, "0 of 1 file and 1 of 2 pieces are good\n"));
}

static void test_a_report_that_is_none_is_a_broken_contract(void **state)
{
	static const struct msg_checked_bits bits[] = {
		{ .first_piece = 8, .pieces = 2 },
		{ .first_piece = 0, .pieces = 0 },
		{ .first_piece = 0, .pieces = 1 },
		{ .first_piece = 0, .pieces = 3 },
		{ .first_piece = 0, .pieces = 2, .bits = { 0x20 } },
	};
	static const struct msg_file_states states[] = {
		{ .first_file = 1, .files = 1 },
		{ .first_file = 0, .files = 0 },
		{ .first_file = 0, .files = 2 },
		{ .first_file = 0, .files = 1, .state = { FILE_STATES } },
	};
	size_t i;

	start_check();
	for (i = 0; i < ARRAY_LEN(bits); i++)
		assert_int_equal(checking_on_bits(&d, &bits[i]), -1);
	for (i = 0; i < ARRAY_LEN(states); i++)
		assert_int_equal(checking_on_states(&d, &states[i]), -1);
	assert_int_equal(checking_on_bits(&d, &first_good), 0);
	assert_int_equal(checking_on_bits(&d, &first_good), -1);
	d.checking.active = false;
	assert_int_equal(checking_on_states(&d, &there), -1);
	(void)state;
}

static void test_a_check_whose_diskproc_dies_begins_anew(void **state)
{
	(void)state;
	start_check();
	tell(ROLE_DISKPROC, MSG_CHECKED_BITS, &first_good);
	die(ROLE_DISKPROC);
	turns();
	assert_int_equal(sides[ROLE_DISKPROC].starts, 2);
	hello(ROLE_DISKPROC);
	ready_with(ROLE_DISKPROC, 9, 0x1ff);
	tell(ROLE_DISKPROC, MSG_FILE_STATES, &there);
	assert_int_equal(d.status, -1);
	tell(ROLE_DISKPROC, MSG_CHECKED_BITS, &first_good);
	assert_int_equal(d.status, STATUS_FAILED);
}

static void test_a_report_that_nobody_asked_for_ends_diskproc(void **state)
{
	(void)state;
	d.disk_only = true;
	d.out.finished = true;
	download_start(&d);
	turns();
	hello(ROLE_DISKPROC);
	ready_with(ROLE_DISKPROC, 9, 0x1ff);
	tell(ROLE_DISKPROC, MSG_CHECKED_BITS, &first_good);
	assert_int_not_equal(d.status, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_two_files_that_are_one_are_both_named, begin, end),
		cmocka_unit_test_setup_teardown(test_a_second_name_is_said, begin, end),
		cmocka_unit_test_setup_teardown(test_a_storage_error_of_no_file_breaks_the_contract, begin, end),
		cmocka_unit_test_setup_teardown(test_the_dictionary_is_put_into_its_torrent_unread, begin, end_create),
		cmocka_unit_test_setup_teardown(test_an_answer_that_create_cannot_give_breaks_its_contract, begin, end_create),
		cmocka_unit_test_setup_teardown(test_a_dictionary_of_another_size_makes_no_torrent, begin, end_create),
		cmocka_unit_test_setup_teardown(test_why_there_is_no_torrent_is_told_escaped, begin, end_create),
		cmocka_unit_test_setup_teardown(test_a_create_that_dies_makes_no_torrent, begin, end_create),
		cmocka_unit_test_setup_teardown(test_a_new_netproc_brings_diskproc_its_channel_and_then_its_slots, begin, end),
		cmocka_unit_test_setup_teardown(test_netproc_dies_while_diskproc_has_its_channel_and_not_yet_its_slots, begin, end),
		cmocka_unit_test_setup_teardown(test_a_new_diskproc_brings_netproc_its_channel_and_then_its_conveyor, begin, end),
		cmocka_unit_test_setup_teardown(test_a_new_netproc_is_passed_the_conveyor_of_the_diskproc_that_is_there, begin, end),
		cmocka_unit_test_setup_teardown(test_diskproc_dies_while_netproc_comes_up_with_its_conveyor, begin, end),
		cmocka_unit_test_setup_teardown(test_a_second_set_of_slots_breaks_the_contract, begin, end),
		cmocka_unit_test_setup_teardown(test_a_conveyor_after_the_set_up_breaks_the_contract, begin, end),
		cmocka_unit_test_setup_teardown(test_the_accused_is_named_ended_and_started_again_and_the_accuser_lives, begin, end),
		cmocka_unit_test_setup_teardown(test_an_accusation_of_who_was_replaced_meanwhile_is_ignored, begin, end),
		cmocka_unit_test_setup_teardown(test_who_accuses_falsely_again_and_again_ends_the_download, begin, end),
		cmocka_unit_test_setup_teardown(test_an_accusation_of_who_is_no_neighbour_ends_the_accuser, begin, end),
		cmocka_unit_test_setup_teardown(test_at_the_end_nobody_keeps_diskproc_from_its_last_sync, begin, end),
		cmocka_unit_test_setup_teardown(test_netproc_hears_the_port_before_its_go, begin, end_listening),
		cmocka_unit_test_setup_teardown(test_one_family_is_enough_to_listen, begin, end_listening),
		cmocka_unit_test_setup_teardown(test_no_port_of_those_that_the_user_chose_is_a_failure, begin, end_listening),
		cmocka_unit_test_setup_teardown(test_no_port_of_those_by_chance_is_a_warning, begin, end_listening),
		cmocka_unit_test_setup_teardown(test_ports_that_cannot_be_break_the_contract, begin, end_listening),
		cmocka_unit_test_setup_teardown(test_the_port_is_told_once_and_not_later, begin, end_listening),
		cmocka_unit_test_setup_teardown(test_a_socket_that_listens_and_was_not_told_of_is_a_missing_wall, begin, end_listening),
		cmocka_unit_test_setup_teardown(test_a_new_dialer_may_have_another_port_or_none, begin, end_listening),
		cmocka_unit_test_setup_teardown(test_a_descriptor_too_many_or_too_few_is_a_missing_wall, begin, end),
		cmocka_unit_test_setup_teardown(test_what_libcurl_may_hold_is_no_missing_wall, begin, end),
		cmocka_unit_test_setup_teardown(test_without_a_rule_the_download_ends_when_it_is_complete, begin, end),
		cmocka_unit_test_setup_teardown(test_a_seed_ends_at_its_ratio_which_counts_earlier_runs, begin, end_seed),
		cmocka_unit_test_setup_teardown(test_a_seed_ends_when_its_time_is_over_and_no_timeout_ends_it, begin, end_seed),
		cmocka_unit_test_setup_teardown(test_a_seed_is_idle_since_it_last_gave, begin, end_seed),
		cmocka_unit_test_setup_teardown(test_an_interrupt_costs_a_seed_nothing, begin, end_seed),
		cmocka_unit_test_setup_teardown(test_an_interrupt_before_all_is_there_is_told_by_the_status, begin, end_seed),
		cmocka_unit_test_setup_teardown(test_a_diskproc_that_dies_is_replaced_and_its_second_completion_is_no_news, begin, end_seed),
		cmocka_unit_test_setup_teardown(test_what_is_missing_is_counted, begin, end_seed),
		cmocka_unit_test_setup_teardown(test_that_no_tracker_answers_is_told_once, begin, end_seed),
		cmocka_unit_test_setup_teardown(test_a_seed_says_where_it_can_be_found, begin, end_seed),
		cmocka_unit_test_setup_teardown(test_limits_are_divided_among_the_sources, begin, end_seed),
		cmocka_unit_test_setup_teardown(test_peers_that_nobody_asked_about_break_the_contract, begin, end_seed),
		cmocka_unit_test_setup_teardown(test_peers_are_shown_when_their_time_has_come, begin, end_seed),
		cmocka_unit_test_setup_teardown(test_those_launched_ahead_wait_for_inspect_as_long_as_it_takes, begin, end),
		cmocka_unit_test_setup_teardown(test_one_that_does_not_even_say_hello_is_not_waited_for, begin, end),
		cmocka_unit_test_setup_teardown(test_the_record_goes_to_each_diskproc_and_a_check_is_done_once, begin, end),
		cmocka_unit_test_setup_teardown(test_more_known_than_there_is_breaks_the_contract, begin, end),
		cmocka_unit_test_setup_teardown(test_what_is_checked_is_counted_against_all_and_not_what_is_wanted, begin, end),
		cmocka_unit_test_setup_teardown(test_without_any_way_to_hear_of_peers_what_is_missing_never_comes, begin, end),
		cmocka_unit_test_setup_teardown(test_without_any_way_to_hear_of_peers_what_is_there_is_checked_with_a_warning, begin, end),
		cmocka_unit_test_setup_teardown(test_an_owner_whose_id_no_launch_can_name_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_check_is_diskproc_alone_and_ends_when_all_is_told, begin, end),
		cmocka_unit_test_setup_teardown(test_a_report_that_is_none_is_a_broken_contract, begin, end),
		cmocka_unit_test_setup_teardown(test_a_check_whose_diskproc_dies_begins_anew, begin, end),
		cmocka_unit_test_setup_teardown(test_a_report_that_nobody_asked_for_ends_diskproc, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
