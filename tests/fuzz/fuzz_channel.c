/*
 * fuzz_channel.c - packets of a compromised process at channel_dispatch, with every message permitted.
 *
 * Input: for each packet a byte for its descriptors (0..3) and whether the
 * header is made right, two for its length, then its bytes.
 */
#include "../../ipc/channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct permit table[MSG_TYPES - 1];
static enum message_type current;
static volatile uint8_t sum;

/* Reads every byte that the table promised. */
static int take(void *self, const void *message, int fd)
{
	const uint8_t *p = message;
	size_t i, *seen = self;

	for (i = 0; i < message_rows[current].size; i++)
		sum = (uint8_t)(sum + p[i]);
	if (fd >= 0 && close(fd) < 0)
		abort();
	++*seen;
	return p[0] == 0xff ? -1 : 0;
}

static void send_packet(int sock, const uint8_t *bytes, size_t n, int fds)
{
	union {
		char space[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} control = { .space = { 0 } };
	struct iovec v = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	const int fd[3] = { 0, 0, 0 };

	if (fds) {
		struct cmsghdr *h;

		m.msg_control = control.space;
		m.msg_controllen = CMSG_SPACE((size_t)fds * sizeof(int));
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN((size_t)fds * sizeof(int));
		memcpy(CMSG_DATA(h), fd, (size_t)fds * sizeof(int));
	}
	(void)!sendmsg(sock, &m, MSG_DONTWAIT);
}

/* Makes a header of what the bytes ask for that would be right but for what they ask for. */
static void mend(uint8_t *bytes, size_t n)
{
	struct packet_header h;

	if (n < sizeof h)
		return;
	memcpy(&h, bytes, sizeof h);
	h.type = (uint16_t)(1 + h.type % (MSG_TYPES - 1));
	h.count = message_rows[h.type].size ? (uint16_t)((n - sizeof h) / message_rows[h.type].size) : 0;
	h.epoch = 7;
	memcpy(bytes, &h, sizeof h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[PACKET_MAX + 64];
	struct channel c;
	uint32_t state = 0;
	size_t seen = 0, i;
	int fds[2], packets = 0, before, after;

	if (channel_pair(fds) < 0)
		abort();
	channel_init(&c, fds[0], 7, !(size & 1), "fuzz");
	before = dup(0);
	close(before);
	while (size >= 3 && packets++ < 64) {
		size_t n = (size_t)data[1] << 8 | data[2];
		int how = data[0];
		enum channel_result r;

		data += 3;
		size -= 3;
		n = n > size ? size : n > sizeof bytes ? sizeof bytes : n;
		memcpy(bytes, data, n);
		data += n;
		size -= n;
		if (how & 4)
			mend(bytes, n);
		send_packet(fds[1], bytes, n, how & 3);
		/* The handlers learn their type from what was sent: what arrives must be that. */
		current = n >= 2 ? (enum message_type)((bytes[0] | bytes[1] << 8) % MSG_TYPES) : MSG_NONE;
		for (i = 0; i < ARRAY_LEN(table); i++)
			table[i] = (struct permit){ .type = (enum message_type)(i + 1), .states = 1, .handle = take };
		r = channel_dispatch(&c, table, ARRAY_LEN(table), &state, &seen, 2);
		if (r == CHANNEL_VIOLATION && !channel_violation()[0])
			abort();
		if (r == CHANNEL_CLOSED)
			break;
	}
	/* Whatever came, no descriptor stayed. */
	after = dup(0);
	close(after);
	if (after != before)
		abort();
	channel_close(&c);
	close(fds[1]);
	return 0;
}
