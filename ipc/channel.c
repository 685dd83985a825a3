/*
 * channel.c - packets of fixed-size messages over SOCK_SEQPACKET.
 *
 * Runs in every compartment, before and after its lock.  Memory does not grow
 * with what the other end sends: a packet is received into a fixed buffer, and
 * what waits to be sent is capped by CHANNEL_QUEUE_BYTES.  Sends with write(2)
 * where no descriptor goes along, since most filters have no sendmsg.
 */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Packets in order, each a struct queued and then its bytes, in one ring that is compacted when it drains. */
struct queued {
	uint32_t bytes;
	int fd; /* owned; -1 when none */
};

struct channel_queue {
	uint32_t head, tail; /* data is [head, tail) */
	uint32_t fds;
	uint8_t data[CHANNEL_QUEUE_BYTES];
};

const struct message_row message_rows[MSG_TYPES] = {
	[MSG_NONE] = { "NONE", 0, 0, false },
#define X(NAME, s, batch, fd) [MSG_##NAME] = { #NAME, sizeof(struct msg_##s), batch, fd },
	MESSAGES(X)
#undef X
};

#define X(NAME, s, batch, fd)                                                                                    \
	_Static_assert(sizeof(struct packet_header) + sizeof(struct msg_##s) * (batch) <= PACKET_MAX, #NAME " fits"); \
	_Static_assert(!(fd) || (batch) == 1, #NAME " carries one descriptor");
MESSAGES(X)
#undef X

static const char *violation = "none";

const char *role_name(enum role role)
{
	static const char *const names[ROLE_COUNT] = { "parent", "launcher", "inspect", "resolver", "dialer", "netproc", "diskproc", "create" };

	return role < ROLE_COUNT ? names[role] : "unknown";
}

const char *channel_violation(void)
{
	return violation;
}

int channel_pair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
}

void channel_init(struct channel *c, int fd, uint32_t epoch, bool takes_fds, const char *name)
{
	int flags = fcntl(fd, F_GETFL);

	memset(c, 0, sizeof *c);
	c->fd = fd;
	c->epoch = epoch;
	c->takes_fds = takes_fds;
	c->name = name;
	if (flags >= 0 && !(flags & O_NONBLOCK))
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void queue_free(struct channel *c)
{
	struct channel_queue *q = c->queue;
	struct queued head;

	if (!q)
		return;
	while (q->head < q->tail) {
		memcpy(&head, q->data + q->head, sizeof head);
		if (head.fd >= 0)
			close(head.fd);
		q->head += (uint32_t)sizeof head + head.bytes;
	}
	free(q);
	c->queue = NULL;
}

void channel_close(struct channel *c)
{
	queue_free(c);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->batch_count = 0;
	c->batch_bytes = 0;
}

size_t channel_room(const struct channel *c)
{
	size_t used = c->queue ? c->queue->tail - c->queue->head : 0;

	return CHANNEL_QUEUE_BYTES - used;
}

bool channel_wants_write(const struct channel *c)
{
	return c->queue != NULL && !c->stuck;
}

bool channel_is_stuck(const struct channel *c)
{
	return c->queue != NULL && c->stuck;
}

/* 1 sent, 0 would block or is stuck, -1 gone.  A packet is sent whole or not at all. */
static int send_packet(struct channel *c, const void *bytes, size_t length, int fd)
{
	ssize_t n;

	do {
		if (fd < 0) {
			n = write(c->fd, bytes, length);
		} else {
			union {
				char buf[CMSG_SPACE(sizeof(int))];
				struct cmsghdr align;
			} control;
			struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = length };
			struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof control.buf };
			struct cmsghdr *h;

			memset(&control, 0, sizeof control);
			h = CMSG_FIRSTHDR(&m);
			h->cmsg_level = SOL_SOCKET;
			h->cmsg_type = SCM_RIGHTS;
			h->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(h), &fd, sizeof fd);
			n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
		}
	} while (n < 0 && errno == EINTR);
	/* Too many descriptors in flight for this uid: they drain as their receivers, whoever they are, read. */
	c->stuck = n < 0 && errno == ETOOMANYREFS;
	if (n >= 0)
		return 1;
	if (errno == EAGAIN || errno == ENOBUFS || c->stuck)
		return 0;
	return -1;
}

static int queue_drain(struct channel *c)
{
	struct channel_queue *q = c->queue;
	struct queued head;

	while (q && q->head < q->tail) {
		int r;

		memcpy(&head, q->data + q->head, sizeof head);
		r = send_packet(c, q->data + q->head + sizeof head, head.bytes, head.fd);
		if (r <= 0)
			return r ? -1 : 1;
		if (head.fd >= 0) {
			close(head.fd);
			q->fds--;
		}
		q->head += (uint32_t)sizeof head + head.bytes;
	}
	free(q);
	c->queue = NULL;
	return 0;
}

/* 0 queued, -1 no room. */
static int queue_add(struct channel *c, const void *bytes, uint32_t length, int fd)
{
	struct channel_queue *q = c->queue;
	struct queued head = { .bytes = length, .fd = fd };

	if (!q) {
		q = malloc(sizeof *q);
		if (!q)
			return -1;
		q->head = q->tail = q->fds = 0;
		c->queue = q;
	}
	if (sizeof q->data - q->tail < sizeof head + length && q->head) {
		memmove(q->data, q->data + q->head, q->tail - q->head);
		q->tail -= q->head;
		q->head = 0;
	}
	if (sizeof q->data - q->tail < sizeof head + length || (fd >= 0 && q->fds >= CHANNEL_QUEUE_FDS)) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(q->data + q->tail, &head, sizeof head);
	memcpy(q->data + q->tail + sizeof head, bytes, length);
	q->tail += (uint32_t)sizeof head + length;
	q->fds += fd >= 0;
	return 0;
}

/* Sends the packet being filled, or queues it.  0, or -1: no room or gone; the packet stays. */
static int batch_send(struct channel *c)
{
	int r;

	if (!c->batch_count)
		return 0;
	c->batch.header.type = c->batch_type;
	c->batch.header.count = c->batch_count;
	c->batch.header.epoch = c->epoch;
	if (c->queue && queue_drain(c) < 0)
		return -1;
	r = c->queue ? 0 : send_packet(c, c->batch.bytes, c->batch_bytes, -1);
	if (r < 0)
		return -1;
	if (r == 0 && queue_add(c, c->batch.bytes, c->batch_bytes, -1) < 0)
		return -1;
	c->batch_count = 0;
	c->batch_bytes = 0;
	return 0;
}

int channel_push(struct channel *c, enum message_type type, const void *message)
{
	const struct message_row *row = &message_rows[type];

	if (row->fd)
		bug("%s needs a descriptor", row->name);
	if (c->fd < 0) {
		errno = EPIPE;
		return -1;
	}
	if (c->batch_count && (c->batch_type != type || c->batch_count >= row->batch))
		if (batch_send(c) < 0)
			return -1;
	if (!c->batch_count) {
		c->batch_type = (uint16_t)type;
		c->batch_bytes = sizeof(struct packet_header);
	}
	memcpy(c->batch.bytes + c->batch_bytes, message, row->size);
	c->batch_bytes += row->size;
	c->batch_count++;
	return 0;
}

int channel_push_fd(struct channel *c, enum message_type type, const void *message, int fd, bool give)
{
	const struct message_row *row = &message_rows[type];
	union {
		struct packet_header header;
		uint8_t bytes[PACKET_MAX];
	} p;
	uint32_t length = (uint32_t)sizeof p.header + row->size;
	int r;

	if (!row->fd)
		bug("%s carries no descriptor", row->name);
	if (c->fd < 0) {
		errno = EPIPE;
		return -1;
	}
	if (batch_send(c) < 0)
		return -1;
	p.header = (struct packet_header){ .type = (uint16_t)type, .count = 1, .epoch = c->epoch };
	memcpy(p.bytes + sizeof p.header, message, row->size);
	r = c->queue ? 0 : send_packet(c, p.bytes, length, fd);
	if (r < 0)
		return -1;
	if (r == 0) {
		int kept = give ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);

		if (kept < 0)
			return -1;
		if (queue_add(c, p.bytes, length, kept) < 0) {
			if (!give)
				close(kept);
			return -1;
		}
		return 0;
	}
	if (give)
		close(fd);
	return 0;
}

int channel_flush(struct channel *c)
{
	if (c->fd < 0) {
		errno = EPIPE;
		return -1;
	}
	if (c->queue && queue_drain(c) < 0)
		return -1;
	if (batch_send(c) < 0)
		return errno == EAGAIN ? 1 : -1;
	return c->queue ? 1 : 0;
}

static enum channel_result violated(struct packet *p, const char *why)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	violation = why;
	return CHANNEL_VIOLATION;
}

/* Bytes of one packet, at most one descriptor in p->fd; more than one, or one cut off, is reported in *crowd. */
static ssize_t receive_bytes(struct channel *c, struct packet *p, bool *crowd)
{
	ssize_t n;

	p->fd = -1;
	*crowd = false;
	if (!c->takes_fds)
		return read(c->fd, p->u.bytes, sizeof p->u.bytes);
	{
		union {
			char buf[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} control;
		struct iovec iov = { .iov_base = p->u.bytes, .iov_len = sizeof p->u.bytes };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof control.buf };
		struct cmsghdr *h;

		n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
		if (n < 0)
			return n;
		for (h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
			size_t i, fds;

			if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS || h->cmsg_len < CMSG_LEN(0))
				continue;
			fds = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			for (i = 0; i < fds; i++) {
				int fd;

				memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
				if (p->fd < 0)
					p->fd = fd;
				else {
					close(fd);
					*crowd = true;
				}
			}
		}
		/* What did not fit was dropped by the kernel. */
		if (m.msg_flags & MSG_CTRUNC)
			*crowd = true;
	}
	return n;
}

enum channel_result channel_receive(struct channel *c, struct packet *p)
{
	const struct message_row *row;
	bool crowd;
	ssize_t n;

	p->fd = -1;
	if (c->fd < 0)
		return CHANNEL_CLOSED;
	do
		n = receive_bytes(c, p, &crowd);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? CHANNEL_EMPTY : CHANNEL_CLOSED;
	if (n == 0 && p->fd < 0)
		return CHANNEL_CLOSED;
	if (crowd)
		return violated(p, "more than one descriptor in a packet, or one that could not be taken");
	if ((size_t)n < sizeof p->u.header)
		return violated(p, "a packet shorter than its header");
	if ((size_t)n > PACKET_MAX)
		return violated(p, "a packet too long");
	if (p->u.header.type == MSG_NONE || p->u.header.type >= MSG_TYPES)
		return violated(p, "an unknown message type");
	row = &message_rows[p->u.header.type];
	p->type = (enum message_type)p->u.header.type;
	p->count = p->u.header.count;
	if (p->count < 1 || p->count > row->batch)
		return violated(p, "a message count out of range");
	if ((size_t)n != sizeof p->u.header + (size_t)p->count * row->size)
		return violated(p, "a packet whose length is not that of its messages");
	if (p->u.header.epoch != c->epoch)
		return violated(p, "a packet of another epoch");
	if (row->fd != (p->fd >= 0))
		return violated(p, row->fd ? "a message without its descriptor" : "a descriptor with a message that carries none");
	return CHANNEL_OK;
}

enum channel_result channel_wait(struct channel *c, struct packet *p, int timeout_ms)
{
	uint64_t end = now_ms() + (uint64_t)timeout_ms;

	for (;;) {
		enum channel_result r = channel_receive(c, p);
		struct pollfd pf = { .fd = c->fd, .events = POLLIN };
		uint64_t now = now_ms();

		if (r != CHANNEL_EMPTY || now >= end)
			return r;
		(void)poll(&pf, 1, (int)(end - now));
	}
}

enum channel_result channel_dispatch(struct channel *c, const struct permit *table, size_t rows, const uint32_t *state, void *self, int packets)
{
	while (packets-- > 0) {
		struct packet p;
		const struct permit *row = NULL;
		enum channel_result r = channel_receive(c, &p);
		uint32_t i;
		size_t k;

		if (r != CHANNEL_OK)
			return r;
		for (k = 0; k < rows; k++)
			if (table[k].type == p.type)
				row = &table[k];
		if (!row)
			return violated(&p, "a message that this end never takes");
		for (i = 0; i < p.count; i++) {
			int fd = p.fd;

			if (!(row->states >> *state & 1))
				return violated(&p, "a message that is not permitted now");
			p.fd = -1; /* the handler's now */
			if (row->handle(self, packet_message(&p, i), fd) < 0)
				return violated(&p, message_rows[p.type].name);
		}
	}
	return CHANNEL_OK;
}
