/*
 * connect.c - see connect.h.  The only file of the house that calls connect(2), listen(2) and accept4(2).
 */
#include "connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define BACKLOG 64 /* connections that the kernel keeps while we accept none */

union any_address {
	struct sockaddr any;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

static socklen_t to_sockaddr(union any_address *s, const struct net_addr *a, uint16_t port)
{
	memset(s, 0, sizeof *s);
	if (a->family == 4) {
		s->in4.sin_family = AF_INET;
		s->in4.sin_port = htons(port);
		memcpy(&s->in4.sin_addr, a->ip, 4);
		return sizeof s->in4;
	}
	s->in6.sin6_family = AF_INET6;
	s->in6.sin6_port = htons(port);
	memcpy(&s->in6.sin6_addr, a->ip, 16);
	return sizeof s->in6;
}

/* False: neither IPv4 nor IPv6. */
static bool from_sockaddr(struct net_addr *a, const union any_address *s)
{
	memset(a, 0, sizeof *a);
	if (s->any.sa_family == AF_INET) {
		a->family = 4;
		a->port = ntohs(s->in4.sin_port);
		memcpy(a->ip, &s->in4.sin_addr, 4);
	} else if (s->any.sa_family == AF_INET6) {
		a->family = 6;
		a->port = ntohs(s->in6.sin6_port);
		memcpy(a->ip, &s->in6.sin6_addr, 16);
	}
	return a->family != 0;
}

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value);
}

/* Interface and source address, and the port to listen on (0: connects).  All hold or the caller gives up. */
static int bind_socket(int fd, const struct msg_dialer_options *o, uint8_t family, uint16_t port, int *interface)
{
	const struct net_addr *from = family == 4 ? &o->bind4 : &o->bind6;
	union any_address s;
	socklen_t length;

	*interface = 0;
	if (o->bind_interface[0]) {
		length = sizeof *interface;
		/* Without a capability since Linux 5.7; with the name, so that an interface that was made anew counts. */
		if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, o->bind_interface, (socklen_t)strnlen((const char *)o->bind_interface, IFNAME_MAX - 1)) < 0)
			return -1;
		if (getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, interface, &length) < 0)
			return -1;
		if (*interface <= 0) {
			errno = ENODEV;
			return -1;
		}
	}
	if (!from->family && !port)
		return 0;
	if (!port)
		/* Chooses the port at connect: otherwise 28,000 ports are all there is, whatever the destinations.  A gain, not a need. */
		(void)set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	length = to_sockaddr(&s, from->family ? from : &(struct net_addr){ .family = family }, port);
	return bind(fd, &s.any, length);
}

static int make_socket(const struct msg_dialer_options *o, uint8_t family, uint16_t port, int *interface)
{
	int saved, fd = socket(family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0)
		return -1;
	/* A mapped address that slips through an --allow-net must not become an IPv4 connection. */
	if (family == 6 && set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0)
		goto fail;
	/* Connections of an earlier run that are dying keep nobody from the port. */
	if (port && set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0)
		goto fail;
	if (bind_socket(fd, o, family, port, interface) < 0)
		goto fail;
	/* Before connect or listen: the window's scale is fixed by the first packet.  What is accepted inherits all this. */
	if (o->receive_buffer && set(fd, SOL_SOCKET, SO_RCVBUF, (int)min_u32(o->receive_buffer, INT32_MAX)) < 0)
		goto fail;
	if (o->send_buffer && set(fd, SOL_SOCKET, SO_SNDBUF, (int)min_u32(o->send_buffer, INT32_MAX)) < 0)
		goto fail;
	if (set(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0)
		goto fail;
	if (port && listen(fd, BACKLOG) < 0)
		goto fail;
	return fd;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int connect_socket(const struct msg_dialer_options *o, uint8_t family, int *interface)
{
	return make_socket(o, family, 0, interface);
}

int listen_socket(const struct msg_dialer_options *o, uint8_t family, uint16_t port, int *interface)
{
	return make_socket(o, family, port, interface);
}

int accept_socket(int listening, struct net_addr *from)
{
	union any_address s;
	socklen_t length = sizeof s;
	int fd;

	memset(&s, 0, sizeof s);
	fd = accept4(listening, &s.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0 && !from_sockaddr(from, &s)) {
		close(fd);
		errno = ECONNABORTED;
		return -1;
	}
	return fd;
}

int connect_start(int fd, const struct net_addr *to)
{
	union any_address s;
	socklen_t length = to_sockaddr(&s, to, to->port);

	if (connect(fd, &s.any, length) == 0 || errno == EINPROGRESS || errno == EINTR)
		return 0;
	return errno;
}

int connect_result(int fd)
{
	int error = 0;
	socklen_t length = sizeof error;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return errno;
	return error;
}

bool connect_local(int fd, const struct net_addr *to, struct net_addr *local)
{
	union any_address s;
	socklen_t length = sizeof s;

	memset(&s, 0, sizeof s);
	if (getsockname(fd, &s.any, &length) < 0 || !from_sockaddr(local, &s))
		return false;
	return local->port != to->port || local->family != to->family || memcmp(local->ip, to->ip, sizeof to->ip) != 0;
}
