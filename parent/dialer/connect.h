/*
 * connect.h - making one socket: bound, clamped, and then connecting or listening.
 *
 * What the user chose with --bind holds here for every socket, or there is no
 * socket.  Nothing in this compartment ever reads from one.
 */
#ifndef DIALER_CONNECT_H
#define DIALER_CONNECT_H

#include "messages.h"

/*
 * A TCP socket of family 4 or 6 that is bound and clamped as the options say and
 * not connected.  *interface is the index of the interface it is bound to, 0
 * when it is bound to none.  -1 with errno (ENODEV: the interface is gone).
 */
int connect_socket(const struct msg_dialer_options *o, uint8_t family, int *interface) MUST_CHECK;

/* Starts connecting.  0, or an errno. */
int connect_start(int fd, const struct net_addr *to) MUST_CHECK;

/* Once it polls as writable: 0 when it is connected, else an errno. */
int connect_result(int fd) MUST_CHECK;

/* This end's address.  False when it has none, or it is the other end's too (TCP can connect a socket to itself). */
bool connect_local(int fd, const struct net_addr *to, struct net_addr *local) MUST_CHECK;

/*
 * The same, listening on `port`.  Before the lock.  -1 with errno: EADDRINUSE,
 * EACCES; EAFNOSUPPORT or EADDRNOTAVAIL when the machine lacks the family or the
 * address.
 */
int listen_socket(const struct msg_dialer_options *o, uint8_t family, uint16_t port, int *interface) MUST_CHECK;

/* One that has connected to a listening socket, clamped as that is; non-blocking.  -1 with errno, EAGAIN: there is none. */
int accept_socket(int listening, struct net_addr *from) MUST_CHECK;

#endif
