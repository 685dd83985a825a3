/*
 * egress.h - which addresses and ports may be dialled, and which may dial us:
 * public unicast only.
 *
 * Pure: no descriptor, no clock.  What only the kernel knows (own addresses,
 * attached networks) is routes.h.  docs/threat-model.md says what it defends.
 */
#ifndef DIALER_EGRESS_H
#define DIALER_EGRESS_H

#include "messages.h"
#include "metainfo.h"

#define EGRESS_MAX_NETS 64u

enum egress_verdict {
	EGRESS_OK,
	EGRESS_LOOPBACK,
	EGRESS_PRIVATE,
	EGRESS_LINK_LOCAL,
	EGRESS_CGNAT,
	EGRESS_UNIQUE_LOCAL,
	EGRESS_MULTICAST,
	EGRESS_RESERVED,
	EGRESS_DOCUMENTATION,
	EGRESS_TRANSLATED, /* reaches an IPv4 address under another name */
	EGRESS_METADATA,   /* a cloud's service for its machines */
	EGRESS_OWN,        /* this machine's own address */
	EGRESS_ATTACHED,   /* on a network that this machine is directly attached to */
	EGRESS_PORT,
	EGRESS_FAMILY,     /* not the family of the chosen source address */
	EGRESS_VERDICTS
};

static inline const char *egress_verdict_name(uint32_t verdict)
{
	static const char *const names[EGRESS_VERDICTS] = { "allowed", "loopback", "private", "link-local", "carrier-grade NAT", "unique-local",
		"multicast", "reserved", "documentation", "a translated form", "cloud metadata", "this machine's own address",
		"a directly attached network", "a privileged port", "no source address of its family" };

	return verdict < EGRESS_VERDICTS ? names[verdict] : "unknown";
}

struct egress {
	struct msg_allow_net nets[EGRESS_MAX_NETS]; /* --allow-net: their addresses are not judged, their ports are */
	uint32_t net_count;
	struct net_addr addrs[EGRESS_MAX_NETS]; /* --peer: nothing is judged */
	uint32_t addr_count;
	struct metainfo form; /* h is NULL when there is none; borrowed */
	bool only4, only6;    /* a source address was chosen for this family and none for the other */
};

/* False, and nothing added: out of range or no room. */
bool egress_allow_net(struct egress *p, const struct msg_allow_net *net) MUST_CHECK;
bool egress_allow_addr(struct egress *p, const struct net_addr *addr) MUST_CHECK;

/* The address alone, by IANA's registries of special-purpose addresses. */
enum egress_verdict egress_special(const struct net_addr *a);

/* Whether the user allowed it, by --allow-net or --peer: then routes are not asked either. */
bool egress_is_allowed(const struct egress *p, const struct net_addr *a);

/*
 * Whether host:port is that of a tracker or web seed in the torrent.  host is
 * the text that netproc named (a name or a literal); or NULL, and then `a` is
 * compared with the literals in the torrent.
 */
bool egress_port_is_listed(const struct egress *p, const char *host, const struct net_addr *a, uint16_t port);

/* All but the routes.  listed: what egress_port_is_listed() said. */
enum egress_verdict egress_judge(const struct egress *p, const struct net_addr *a, bool listed);

/*
 * The same for one that connects to us.  Its port is not judged, since it is its
 * own choice: an address named by --peer is allowed from any.  *allowed: by the
 * user, so that routes are not asked either.
 */
enum egress_verdict egress_judge_incoming(const struct egress *p, const struct net_addr *a, bool *allowed);

/* The text of an IPv4 or IPv6 address (with or without brackets) into out, with `port`.  False: it is a name. */
bool egress_literal(struct net_addr *out, const char *host, uint16_t port);

#endif
