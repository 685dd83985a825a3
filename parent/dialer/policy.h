/*
 * policy.h - which addresses and ports may be dialled: public unicast only.
 *
 * Pure: no descriptor, no clock.  What only the kernel knows (own addresses,
 * attached networks) is routes.h.  docs/threat-model.md says what it defends.
 */
#ifndef DIALER_POLICY_H
#define DIALER_POLICY_H

#include "messages.h"
#include "metainfo.h"

#define POLICY_MAX_NETS 64u

/* Index of msg_dialer_stats.refused_by, hence at most 16. */
enum policy_verdict {
	POLICY_OK,
	POLICY_LOOPBACK,
	POLICY_PRIVATE,
	POLICY_LINK_LOCAL,
	POLICY_CGNAT,
	POLICY_UNIQUE_LOCAL,
	POLICY_MULTICAST,
	POLICY_RESERVED,
	POLICY_DOCUMENTATION,
	POLICY_TRANSLATED, /* reaches an IPv4 address under another name */
	POLICY_METADATA,   /* a cloud's service for its machines */
	POLICY_OWN,        /* this machine's own address */
	POLICY_ATTACHED,   /* on a network that this machine is directly attached to */
	POLICY_PORT,
	POLICY_FAMILY,     /* not the family of the chosen source address */
	POLICY_VERDICTS
};

static inline const char *policy_verdict_name(uint32_t verdict)
{
	static const char *const names[POLICY_VERDICTS] = { "allowed", "loopback", "private", "link-local", "carrier-grade NAT", "unique-local",
		"multicast", "reserved", "documentation", "a translated form", "cloud metadata", "this machine's own address",
		"a directly attached network", "a privileged port", "no source address of its family" };

	return verdict < POLICY_VERDICTS ? names[verdict] : "unknown";
}

struct policy {
	struct msg_allow_net nets[POLICY_MAX_NETS]; /* --allow-net: their addresses are not judged, their ports are */
	uint32_t net_count;
	struct net_addr addrs[POLICY_MAX_NETS]; /* --peer: nothing is judged */
	uint32_t addr_count;
	struct metainfo form; /* h is NULL when there is none; borrowed */
	bool only4, only6;    /* a source address was chosen for this family and none for the other */
};

/* False, and nothing added: out of range or no room. */
bool policy_allow_net(struct policy *p, const struct msg_allow_net *net) MUST_CHECK;
bool policy_allow_addr(struct policy *p, const struct net_addr *addr) MUST_CHECK;

/* An address of family 4 or 6 in the shape that messages.h asks for: unused bytes zero. */
bool net_addr_is_sound(const struct net_addr *a);

/* The address alone, by IANA's registries of special-purpose addresses. */
enum policy_verdict policy_special(const struct net_addr *a);

/* Whether the user allowed it, by --allow-net or --peer: then routes are not asked either. */
bool policy_is_allowed(const struct policy *p, const struct net_addr *a);

/*
 * Whether host:port is that of a tracker or web seed in the torrent.  host is
 * the text that netproc named (a name or a literal); or NULL, and then `a` is
 * compared with the literals in the torrent.
 */
bool policy_port_is_listed(const struct policy *p, const char *host, const struct net_addr *a, uint16_t port);

/* All but the routes.  listed: what policy_port_is_listed() said. */
enum policy_verdict policy_judge(const struct policy *p, const struct net_addr *a, bool listed);

/* The text of an IPv4 or IPv6 address (with or without brackets) into out, with `port`.  False: it is a name. */
bool policy_literal(struct net_addr *out, const char *host, uint16_t port);

#endif
