/*
 * fuzz_parent_ipc.c - what a compromised compartment may send to the parent.
 *
 * Input: role, child state, download state, screen mode; then packets: type,
 * count, and their messages (cut short: zeros); type 255: a length and raw
 * bytes.  Beside memory safety one property is checked: whatever is sent, only
 * printable UTF-8 and newlines are written to the streams.  create's last
 * answer is also acted upon, as after its end; its dictionary is empty.
 */
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "../../parent/stream.c"

static void checked_put(struct stream *s, const void *bytes, size_t length, size_t most);
#define stream_put checked_put
#include "../../parent/screen.c"
#undef stream_put
#include "../../parent/checking.c"
#include "../../parent/child.c"
#include "../../parent/creating.c"
#include "../../parent/deaths.c"
#include "../../parent/download.c"
#include "../../parent/giving.c"
#include "../../parent/starting.c"
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
#include "../../parent/feed.c"

static void checked_put(struct stream *s, const void *bytes, size_t length, size_t most)
{
	(void)s;
	(void)most;
	if (text_good_prefix(bytes, length) != length)
		abort();
}

/* The launcher is no part of this: its answers are not hostile. */
uint32_t launcher_ask_launch(struct launcher *l, enum role role, int uid, int gid)
{
	(void)l, (void)role, (void)uid, (void)gid;
	return 1;
}
uint32_t launcher_ask_pair(struct launcher *l)
{
	(void)l;
	return 2;
}
uint32_t launcher_ask_status(struct launcher *l, pid_t pid)
{
	(void)l, (void)pid;
	return 3;
}
int launcher_unused_ids(uint32_t *ids, size_t n)
{
	(void)ids, (void)n;
	return -1;
}
int idmap_directory(int dir, uint32_t id, bool below)
{
	(void)dir, (void)id, (void)below;
	return -1;
}

/* One tracker, one file, two pieces. */
static struct {
	struct metainfo_header h;
	struct metainfo_file file;
	struct metainfo_url tracker;
	char text[64];
} form;

static struct metainfo_text text_at(uint32_t offset, uint32_t length)
{
	return (struct metainfo_text){ .offset = (uint32_t)offsetof(__typeof__(form), text) + offset, .length = length };
}

static void make_form(struct metainfo *m)
{
	memcpy(form.text, "name\0dir/file\0http://host:80/a\0host", 36);
	form.h = (struct metainfo_header){ .flags = 0, .total_length = 30000, .piece_length = 16384, .piece_count = 2, .file_count = 1,
					   .tracker_count = 1, .name = text_at(0, 4), .files = offsetof(__typeof__(form), file),
					   .trackers = offsetof(__typeof__(form), tracker) };
	form.file = (struct metainfo_file){ .length = 30000, .path = text_at(5, 8) };
	form.tracker = (struct metainfo_url){ .url = text_at(14, 16), .host = text_at(31, 4), .port = 80, .scheme = METAINFO_HTTP };
	*m = (struct metainfo){ .h = &form.h, .base = (const uint8_t *)&form, .bytes = sizeof form };
}

static void send_bytes(int fd, const void *bytes, size_t length, bool with_fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = length };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int passed = 0;

	if (with_fd) {
		memset(&control, 0, sizeof control);
		m.msg_control = control.buf;
		m.msg_controllen = sizeof control.buf;
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &passed, sizeof passed);
	}
	(void)!sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* One packet of the input.  Returns the bytes that it took. */
static size_t send_packet_of(int fd, const uint8_t *data, size_t size)
{
	union {
		struct packet_header header;
		uint8_t bytes[PACKET_MAX];
	} p;
	size_t length, taken;

	memset(&p, 0, sizeof p);
	if (data[0] == 255) {
		length = data[1] < size - 2 ? data[1] : size - 2;
		send_bytes(fd, data + 2, length, false);
		return 2 + length;
	}
	p.header.type = (uint16_t)(1 + data[0] % (MSG_TYPES - 1));
	p.header.count = data[1] ? data[1] : 1;
	length = (size_t)message_rows[p.header.type].size * p.header.count;
	if (length > sizeof p - sizeof p.header)
		length = sizeof p - sizeof p.header;
	taken = length < size - 2 ? length : size - 2;
	memcpy(p.bytes + sizeof p.header, data + 2, taken);
	send_bytes(fd, p.bytes, sizeof p.header + length, message_rows[p.header.type].fd);
	return 2 + taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct options o = { .command = COMMAND_GET, .dir = ".", .source_count = 1, .trackers = true, .verbose = 2 };
	struct context x = { .o = &o, .dir = -1, .states = -1, .ca = -1, .locked = true, .hook = { .channel = { .fd = -1 } }, .now_ms = 1000 };
	struct download d;
	struct child *c;
	int ends[2];
	size_t at = 4;

	if (size < 4 || channel_pair(ends) < 0)
		return 0;
	o.json = data[3] & 1;
	screen.json = o.json;
	screen.verbose = 2;
	screen.utf8 = data[3] >> 1 & 1;
	download_init(&d, &x, 0, "source", -1);
	make_form(&d.m);
	d.mapped = true;
	d.selection.sum = data[3] >> 5 & 1 ? (struct wanted_sum){ 20000, 1, 1 } : (struct wanted_sum){ 30000, 2, 1 };
	d.state = (enum download_state)(DOWNLOAD_INSPECTING + data[2] % 6);
	d.out.finished = data[3] >> 2 & 1;
	o.command = data[3] >> 3 & 1 ? COMMAND_SEED : COMMAND_GET;
	d.seeds = data[3] >> 3 & 1;
	if (data[3] >> 4 & 1)
		peer_table_open(&d.peers, 3);
	if (data[3] >> 5 & 1)
		checking_begin(&d);
	memcpy(d.out.name, "name", 5);
	memcpy(d.out.part, "name.part", 10);
	c = &d.child[ROLE_INSPECT + data[0] % (ROLE_COUNT - ROLE_INSPECT)];
	channel_init(&c->control, ends[0], CONTROL_EPOCH, true, role_name(c->role));
	o.command = c->role == ROLE_CREATE ? COMMAND_CREATE : COMMAND_GET;
	o.max_torrent_bytes = 1 << 20;
	c->state = CHILD_HELLO + data[1] % (CHILD_DYING - CHILD_HELLO + 1);
	while (size - at >= 2) {
		at += send_packet_of(ends[1], data + at, size - at);
		download_on_control(&d, c->role);
		download_advance(&d);
		x.now_ms += 300; /* tables of peers are shown */
		(void)download_timers(&d);
	}
	if (c->role == ROLE_CREATE) {
		struct screen_row row;

		(void)download_row(&d, &row);
		creating_end(&d);
	}
	download_close(&d);
	close(ends[1]);
	return 0;
}
