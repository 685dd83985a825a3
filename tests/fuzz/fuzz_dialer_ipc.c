/*
 * fuzz_dialer_ipc.c - packets at the dialer's channels, as a compromised netproc
 * and a compromised resolver would send them, mixed with time and connections.
 *
 * Input: steps.  A step is one byte of what, one byte n, and n * 4 bytes (what
 * is there of them) that become a packet: raw, or messages below a good header.
 */
#include "../unit/dialer_fake.h"

#include <signal.h>
#include <sys/socket.h>

static void sink(enum role role, enum log_level level, enum log_topic topic, const char *text)
{
	(void)role;
	(void)level;
	(void)topic;
	(void)text;
}

/* Takes whatever waits at the far ends, closing sockets. */
static void drain(void)
{
	struct packet p;

	while (channel_receive(&fake.net, &p) == CHANNEL_OK)
		if (p.fd >= 0)
			close(p.fd);
	while (channel_receive(&fake.resolver, &p) == CHANNEL_OK)
		continue;
}

static void give(struct channel *c, enum message_type type, const uint8_t *bytes, size_t length)
{
	union {
		struct packet_header header;
		uint8_t bytes[PACKET_MAX];
	} p;
	const struct message_row *row = &message_rows[type];
	size_t count, size = length < sizeof p ? length : sizeof p;

	memset(&p, 0, sizeof p);
	if (type == MSG_NONE) {
		memcpy(p.bytes, bytes, size);
		(void)!send(c->fd, p.bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		return;
	}
	count = (length + row->size - 1) / row->size;
	count = count < 1 ? 1 : count > row->batch ? row->batch : count;
	size = count * row->size;
	p.header = (struct packet_header){ .type = (uint16_t)type, .count = (uint16_t)count, .epoch = FAKE_EPOCH };
	memcpy(p.bytes + sizeof p.header, bytes, length < size ? length : size);
	(void)!send(c->fd, p.bytes, sizeof p.header + size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg_dialer_options o = { .max_in_flight = 5, .dials_per_second = 50, .port_first = 50000, .port_last = 50000, .listen4 = 1 };
	uint32_t steps = 0;

	signal(SIGPIPE, SIG_IGN);
	log_to_sink(sink, LOG_TRACE);
	fake_begin(&o);
	listeners_open(&fake.d);
	fake.from = (struct net_addr){ .family = 4, .port = 40000 };
	while (size >= 2 && steps++ < 400) {
		uint8_t what = data[0];
		size_t n = min_u32(data[1] * 4u, (uint32_t)min_u64(size - 2, 1024));
		const uint8_t *bytes = data + 2;

		data += 2 + n;
		size -= 2 + n;
		switch (what % 8) {
		case 0:
			give(&fake.net, MSG_DIAL, bytes, n);
			break;
		case 1:
			give(&fake.net, MSG_DIAL_NAME, bytes, n);
			break;
		case 2:
			give(&fake.net, MSG_DIAL_CANCEL, bytes, n);
			break;
		case 3:
			give(&fake.resolver, MSG_RESOLVED, bytes, n);
			break;
		case 4:
			give(what & 8 ? &fake.net : &fake.resolver, MSG_NONE, bytes, n);
			break;
		case 5:
			fake.result_error = what & 8 ? ECONNREFUSED : 0;
			fake.socket_error = what & 16 ? EMFILE : 0;
			fake.route_error = what & 32 ? ENETUNREACH : 0;
			fake.accept_error = what & 128 ? EMFILE : 0;
			fake.waiting = (uint32_t)min_u64(n, 64);
			memcpy(&fake.from.ip, bytes, min_u64(n, 4));
			break;
		case 6:
			drain();
			break;
		default:
			fake_turn(n * 16, true);
			break;
		}
		fake_turn(1, what & 64);
		fake_check();
		if (fake.d.clients[0].channel.fd < 0) {
			channel_close(&fake.net);
			fake_client();
		}
		if (fake.d.resolver.fd < 0) {
			channel_close(&fake.resolver);
			fake_resolver();
		}
	}
	fake_end();
	return 0;
}
