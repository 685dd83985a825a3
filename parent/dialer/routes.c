/*
 * routes.c - see routes.h: RTM_GETROUTE with RTM_F_FIB_MATCH (rtnetlink(7)), so
 * that the answer is the row of the table that matched, with its prefix, and not
 * the cached route to one host.
 *
 * The kernel answers within send(), so nothing here waits.  Its answers are
 * trusted to be true and not to be well formed: every length is checked.
 */
#include "routes.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef RTM_F_FIB_MATCH
#define RTM_F_FIB_MATCH 0x2000
#endif

struct query {
	struct nlmsghdr header;
	struct rtmsg route;
	uint8_t attributes[64];
};

int routes_open(struct routes *r)
{
	r->sequence = 0;
	r->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	return r->fd < 0 ? -1 : 0;
}

void routes_close(struct routes *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

static void add(struct query *q, uint16_t type, const void *bytes, size_t length)
{
	struct rtattr a = { .rta_len = (uint16_t)RTA_LENGTH(length), .rta_type = type };
	uint8_t *at = (uint8_t *)q + q->header.nlmsg_len;

	if (RTA_SPACE(length) > sizeof *q - q->header.nlmsg_len)
		bug("a route query of %zu bytes more", length);
	memcpy(at, &a, sizeof a);
	memcpy(at + RTA_LENGTH(0), bytes, length);
	q->header.nlmsg_len += (uint32_t)RTA_SPACE(length);
}

int routes_ask(struct routes *r, const struct route_query *ask, enum egress_verdict *verdict)
{
	struct query q = { .header = { .nlmsg_len = NLMSG_LENGTH(sizeof q.route), .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST } };
	size_t bytes = ask->to->family == 4 ? 4 : 16;
	int tries;

	q.header.nlmsg_seq = ++r->sequence;
	q.route.rtm_family = ask->to->family == 4 ? AF_INET : AF_INET6;
	q.route.rtm_dst_len = (uint8_t)(8 * bytes);
	q.route.rtm_flags = RTM_F_FIB_MATCH;
	add(&q, RTA_DST, ask->to->ip, bytes);
	if (ask->from && ask->from->family == ask->to->family) {
		q.route.rtm_src_len = (uint8_t)(8 * bytes);
		add(&q, RTA_SRC, ask->from->ip, bytes);
	}
	if (ask->interface > 0)
		add(&q, RTA_OIF, &ask->interface, sizeof ask->interface);
	if (send(r->fd, &q, q.header.nlmsg_len, 0) < 0)
		return errno;
	/* An answer to an earlier question that was not taken is skipped, a few at most. */
	for (tries = 0; tries < 4; tries++) {
		struct sockaddr_nl from = { .nl_family = AF_UNSPEC };
		socklen_t from_length = sizeof from;
		uint64_t answer[512]; /* aligned */
		ssize_t n = recvfrom(r->fd, answer, sizeof answer, 0, (struct sockaddr *)&from, &from_length);
		int error;

		if (n < 0)
			return errno == EAGAIN ? EPROTO : errno;
		if (from.nl_family != AF_NETLINK || from.nl_pid != 0)
			continue;
		error = routes_read(answer, (size_t)n, r->sequence, ask->to->family, verdict);
		if (error != ESTALE)
			return error;
	}
	return EPROTO;
}

/* The next attribute of [*at, end) into *a, its value at *value; false at the end or where it is malformed (*bad). */
static bool next_attribute(const uint8_t **at, const uint8_t *end, struct rtattr *a, const uint8_t **value, bool *bad)
{
	size_t left = (size_t)(end - *at), step;

	if (left == 0)
		return false;
	*bad = true;
	if (left < sizeof *a)
		return false;
	memcpy(a, *at, sizeof *a);
	if (a->rta_len < sizeof *a || a->rta_len > left)
		return false;
	*bad = false;
	*value = *at + RTA_LENGTH(0);
	step = RTA_ALIGN(a->rta_len);
	*at += step < left ? step : left;
	return true;
}

/* Whether each path of a multipath route has a gateway.  False too when it cannot be read. */
static bool all_have_gateways(const uint8_t *at, const uint8_t *end)
{
	if (at == end)
		return false;
	while (at < end) {
		size_t left = (size_t)(end - at), step;
		const uint8_t *inner, *stop, *value;
		bool bad = false, gateway = false;
		struct rtnexthop hop;
		struct rtattr a;

		if (left < sizeof hop)
			return false;
		memcpy(&hop, at, sizeof hop);
		if (hop.rtnh_len < sizeof hop || hop.rtnh_len > left)
			return false;
		inner = at + sizeof hop; /* 8, aligned already */
		stop = at + hop.rtnh_len;
		while (next_attribute(&inner, stop, &a, &value, &bad))
			gateway |= a.rta_type == RTA_GATEWAY || a.rta_type == RTA_VIA;
		if (bad || !gateway)
			return false;
		step = RTNH_ALIGN(hop.rtnh_len);
		at += step < left ? step : left;
	}
	return true;
}

static int read_route(const struct rtmsg *route, const uint8_t *at, const uint8_t *end, uint8_t family, enum egress_verdict *verdict)
{
	bool bad = false, gateway = false;
	const uint8_t *value;
	struct rtattr a;

	if (route->rtm_family != (family == 4 ? AF_INET : AF_INET6) || route->rtm_dst_len > (family == 4 ? 32 : 128))
		return EPROTO;
	while (next_attribute(&at, end, &a, &value, &bad))
		switch (a.rta_type & NLA_TYPE_MASK) {
		case RTA_GATEWAY:
		case RTA_VIA:
			gateway = true;
			break;
		case RTA_MULTIPATH:
			gateway = all_have_gateways(value, value + (a.rta_len - RTA_LENGTH(0)));
			break;
		default:
			break;
		}
	if (bad)
		return EPROTO;
	switch (route->rtm_type) {
	case RTN_UNICAST:
		*verdict = gateway || route->rtm_dst_len < (family == 4 ? ROUTES_ATTACHED_BITS4 : ROUTES_ATTACHED_BITS6) ? EGRESS_OK : EGRESS_ATTACHED;
		return 0;
	case RTN_LOCAL:
		*verdict = EGRESS_OWN;
		return 0;
	case RTN_BROADCAST:
	case RTN_ANYCAST:
	case RTN_MULTICAST:
		*verdict = EGRESS_RESERVED;
		return 0;
	case RTN_PROHIBIT:
		return EACCES;
	default: /* unreachable, blackhole, throw, nat */
		return ENETUNREACH;
	}
}

int routes_read(const void *bytes, size_t length, uint32_t sequence, uint8_t family, enum egress_verdict *verdict)
{
	const uint8_t *p = bytes;
	struct nlmsghdr header;
	struct nlmsgerr error;
	struct rtmsg route;

	if (length < sizeof header)
		return EPROTO;
	memcpy(&header, p, sizeof header);
	if (header.nlmsg_len < sizeof header || header.nlmsg_len > length)
		return EPROTO;
	if (header.nlmsg_seq != sequence)
		return ESTALE;
	length = header.nlmsg_len - NLMSG_HDRLEN;
	p += NLMSG_HDRLEN;
	if (header.nlmsg_type == NLMSG_ERROR) {
		if (length < sizeof error)
			return EPROTO;
		memcpy(&error, p, sizeof error);
		if (error.error >= 0 || error.error < -4095)
			return EPROTO;
		/* How IPv4 says that no row matched, where a socket would get ENETUNREACH. */
		return error.error == -EHOSTUNREACH ? ENETUNREACH : -error.error;
	}
	if (header.nlmsg_type != RTM_NEWROUTE || length < sizeof route)
		return EPROTO;
	memcpy(&route, p, sizeof route);
	return read_route(&route, p + NLMSG_ALIGN(sizeof route), p + length, family, verdict);
}
