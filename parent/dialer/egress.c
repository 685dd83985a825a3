/*
 * egress.c - see egress.h.  The addresses to judge come from strangers; the
 * exceptions come from the user and, for ports only, from the torrent.
 */
#include "egress.h"

#include <arpa/inet.h>
#include <strings.h>

/* One special-purpose block: the first row that matches decides, so the narrow ones stand first. */
struct block {
	const char *prefix; /* as people write it; its bytes follow, so that nothing is parsed while judging */
	uint8_t bits;
	uint8_t ip[16];
	enum egress_verdict verdict;
};

/*
 * IPv4: IANA's special-purpose registry (RFC 6890, kept up to date by RFC 8190),
 * the multicast and reserved classes, and what clouds put beside them.
 */
static const struct block blocks4[] = {
	{ "168.63.129.16", 32, { 168, 63, 129, 16 }, EGRESS_METADATA },     /* Azure's wire server: a public address that is none */
	{ "169.254.169.254", 32, { 169, 254, 169, 254 }, EGRESS_METADATA }, /* most clouds */
	{ "169.254.170.2", 32, { 169, 254, 170, 2 }, EGRESS_METADATA },     /* credentials of AWS containers */
	{ "169.254.170.23", 32, { 169, 254, 170, 23 }, EGRESS_METADATA },   /* the same of EKS pods */
	{ "100.100.100.200", 32, { 100, 100, 100, 200 }, EGRESS_METADATA }, /* Alibaba */
	{ "192.0.0.192", 32, { 192, 0, 0, 192 }, EGRESS_METADATA },         /* Oracle */
	{ "0.0.0.0", 8, { 0 }, EGRESS_RESERVED },                           /* RFC 791: this network; connects to this machine */
	{ "10.0.0.0", 8, { 10 }, EGRESS_PRIVATE },                          /* RFC 1918 */
	{ "100.64.0.0", 10, { 100, 64 }, EGRESS_CGNAT },                    /* RFC 6598 */
	{ "127.0.0.0", 8, { 127 }, EGRESS_LOOPBACK },                       /* RFC 1122 */
	{ "169.254.0.0", 16, { 169, 254 }, EGRESS_LINK_LOCAL },             /* RFC 3927 */
	{ "172.16.0.0", 12, { 172, 16 }, EGRESS_PRIVATE },                  /* RFC 1918 */
	{ "192.0.0.0", 24, { 192, 0, 0 }, EGRESS_RESERVED },                /* RFC 6890, with the rows of RFC 7335, 7600, 7723, 8155, 8880 */
	{ "192.0.2.0", 24, { 192, 0, 2 }, EGRESS_DOCUMENTATION },           /* RFC 5737 */
	{ "192.31.196.0", 24, { 192, 31, 196 }, EGRESS_RESERVED },          /* RFC 7535: AS112 */
	{ "192.52.193.0", 24, { 192, 52, 193 }, EGRESS_RESERVED },          /* RFC 7450: AMT relays */
	{ "192.88.99.0", 24, { 192, 88, 99 }, EGRESS_TRANSLATED },          /* RFC 7526: 6to4 relays, withdrawn */
	{ "192.168.0.0", 16, { 192, 168 }, EGRESS_PRIVATE },                /* RFC 1918 */
	{ "192.175.48.0", 24, { 192, 175, 48 }, EGRESS_RESERVED },          /* RFC 7534: AS112 */
	{ "198.18.0.0", 15, { 198, 18 }, EGRESS_RESERVED },                 /* RFC 2544: benchmarks */
	{ "198.51.100.0", 24, { 198, 51, 100 }, EGRESS_DOCUMENTATION },     /* RFC 5737 */
	{ "203.0.113.0", 24, { 203, 0, 113 }, EGRESS_DOCUMENTATION },       /* RFC 5737 */
	{ "224.0.0.0", 4, { 224 }, EGRESS_MULTICAST },                      /* RFC 5771 */
	{ "240.0.0.0", 4, { 240 }, EGRESS_RESERVED },                       /* RFC 1112, with 255.255.255.255 of RFC 919 */
};

/* IPv6: the same registry; what is not below 2000::/3 and has no row is reserved (RFC 4291, 2.4). */
static const struct block blocks6[] = {
	{ "fd00:ec2::254", 128, { 0xfd, 0, 0x0e, 0xc2, [14] = 0x02, 0x54 }, EGRESS_METADATA }, /* AWS */
	{ "fd00:ec2::23", 128, { 0xfd, 0, 0x0e, 0xc2, [14] = 0, 0x23 }, EGRESS_METADATA },     /* AWS, EKS pods */
	{ "fd20:ce::254", 128, { 0xfd, 0x20, 0, 0xce, [14] = 0x02, 0x54 }, EGRESS_METADATA },  /* Google */
	{ "fd00:42::42", 128, { 0xfd, 0, 0, 0x42, [14] = 0, 0x42 }, EGRESS_METADATA },         /* Scaleway */
	{ "::1", 128, { [15] = 1 }, EGRESS_LOOPBACK },                                         /* RFC 4291 */
	{ "::", 128, { 0 }, EGRESS_RESERVED },                                                 /* RFC 4291: connects to this machine */
	{ "::", 96, { 0 }, EGRESS_TRANSLATED },                                                /* RFC 4291: IPv4-compatible */
	{ "::ffff:0.0.0.0", 96, { [10] = 0xff, 0xff }, EGRESS_TRANSLATED },                    /* RFC 4291: IPv4-mapped */
	{ "::ffff:0:0:0", 96, { [8] = 0xff, 0xff }, EGRESS_TRANSLATED },                       /* RFC 2765: IPv4-translated */
	{ "64:ff9b::", 96, { 0, 0x64, 0xff, 0x9b }, EGRESS_TRANSLATED },                       /* RFC 6052: NAT64, well known */
	{ "64:ff9b:1::", 48, { 0, 0x64, 0xff, 0x9b, 0, 1 }, EGRESS_TRANSLATED },               /* RFC 8215: NAT64, local use */
	{ "100::", 64, { 1 }, EGRESS_RESERVED },                                               /* RFC 6666: discard only */
	{ "100:0:0:1::", 64, { 1, [7] = 1 }, EGRESS_RESERVED },                                /* RFC 9780: dummy prefix */
	{ "2001::", 32, { 0x20, 0x01 }, EGRESS_TRANSLATED },                                   /* RFC 4380: Teredo */
	{ "2001::", 23, { 0x20, 0x01 }, EGRESS_RESERVED }, /* RFC 2928, with the rows of RFC 7723, 8155, 9665, 5180, 7450, 7535, 4843, 7343, 9374 */
	{ "2001:db8::", 32, { 0x20, 0x01, 0x0d, 0xb8 }, EGRESS_DOCUMENTATION },                /* RFC 3849 */
	{ "2002::", 16, { 0x20, 0x02 }, EGRESS_TRANSLATED },                                   /* RFC 3056: 6to4 */
	{ "2620:4f:8000::", 48, { 0x26, 0x20, 0, 0x4f, 0x80 }, EGRESS_RESERVED },              /* RFC 7534: AS112 */
	{ "3fff::", 20, { 0x3f, 0xff }, EGRESS_DOCUMENTATION },                                /* RFC 9637 */
	{ "5f00::", 16, { 0x5f }, EGRESS_RESERVED },                                           /* RFC 9602: segment identifiers */
	{ "fc00::", 7, { 0xfc }, EGRESS_UNIQUE_LOCAL },                                        /* RFC 4193 */
	{ "fe80::", 10, { 0xfe, 0x80 }, EGRESS_LINK_LOCAL },                                   /* RFC 4291 */
	{ "fec0::", 10, { 0xfe, 0xc0 }, EGRESS_PRIVATE },                                      /* RFC 3879: site-local, withdrawn */
	{ "ff00::", 8, { 0xff }, EGRESS_MULTICAST },                                           /* RFC 4291 */
};

static bool in_prefix(const uint8_t *ip, const uint8_t *prefix, uint32_t bits)
{
	uint32_t whole = bits / 8, rest = bits % 8;

	if (memcmp(ip, prefix, whole) != 0)
		return false;
	return !rest || (uint8_t)((ip[whole] ^ prefix[whole]) >> (8 - rest)) == 0;
}

/* RFC 5214: an interface identifier that carries an IPv4 address, below any prefix. */
static bool is_isatap(const uint8_t ip[16])
{
	return (ip[8] & 0xfd) == 0 && ip[9] == 0 && ip[10] == 0x5e && ip[11] == 0xfe;
}

enum egress_verdict egress_special(const struct net_addr *a)
{
	const struct block *rows = a->family == 4 ? blocks4 : blocks6;
	size_t i, n = a->family == 4 ? ARRAY_LEN(blocks4) : ARRAY_LEN(blocks6);

	if (a->family != 4 && a->family != 6)
		return EGRESS_FAMILY;
	for (i = 0; i < n; i++)
		if (in_prefix(a->ip, rows[i].ip, rows[i].bits))
			return rows[i].verdict;
	if (a->family == 4)
		return EGRESS_OK;
	if ((a->ip[0] & 0xe0) != 0x20)
		return EGRESS_RESERVED;
	return is_isatap(a->ip) ? EGRESS_TRANSLATED : EGRESS_OK;
}

static bool same_ip(const struct net_addr *a, const struct net_addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool egress_allow_net(struct egress *p, const struct msg_allow_net *net)
{
	if (!net_addr_is_sound(&net->prefix) || net->bits > (net->prefix.family == 4 ? 32u : 128u) || p->net_count >= EGRESS_MAX_NETS)
		return false;
	p->nets[p->net_count++] = *net;
	return true;
}

bool egress_allow_addr(struct egress *p, const struct net_addr *addr)
{
	if (!net_addr_is_sound(addr) || addr->port == 0 || p->addr_count >= EGRESS_MAX_NETS)
		return false;
	p->addrs[p->addr_count++] = *addr;
	return true;
}

static bool is_named(const struct egress *p, const struct net_addr *a, bool any_port)
{
	uint32_t i;

	for (i = 0; i < p->addr_count; i++)
		if (same_ip(&p->addrs[i], a) && (any_port || p->addrs[i].port == a->port))
			return true;
	return false;
}

static bool in_allowed_net(const struct egress *p, const struct net_addr *a)
{
	uint32_t i;

	for (i = 0; i < p->net_count; i++)
		if (p->nets[i].prefix.family == a->family && in_prefix(a->ip, p->nets[i].prefix.ip, p->nets[i].bits))
			return true;
	return false;
}

bool egress_is_allowed(const struct egress *p, const struct net_addr *a)
{
	return in_allowed_net(p, a) || is_named(p, a, false);
}

static bool url_matches(const struct egress *p, const struct metainfo_url *u, const char *host, const struct net_addr *a)
{
	const char *text = metainfo_str(&p->form, u->host);
	struct net_addr literal;

	if (host && strcasecmp(host, text) == 0)
		return true;
	return a && egress_literal(&literal, text, u->port) && same_ip(&literal, a);
}

bool egress_port_is_listed(const struct egress *p, const char *host, const struct net_addr *a, uint16_t port)
{
	const struct metainfo_url *u;
	uint32_t i;

	if (!p->form.h)
		return false;
	for (u = metainfo_trackers(&p->form), i = 0; i < p->form.h->tracker_count; i++)
		if (u[i].port == port && url_matches(p, &u[i], host, a))
			return true;
	for (u = metainfo_webseeds(&p->form), i = 0; i < p->form.h->webseed_count; i++)
		if (u[i].port == port && url_matches(p, &u[i], host, a))
			return true;
	return false;
}

/* The chosen source address outranks every exception: nothing leaves by another way. */
static bool is_other_family(const struct egress *p, const struct net_addr *a)
{
	return (p->only4 && a->family != 4) || (p->only6 && a->family != 6);
}

enum egress_verdict egress_judge_incoming(const struct egress *p, const struct net_addr *a, bool *allowed)
{
	*allowed = in_allowed_net(p, a) || is_named(p, a, true);
	if (is_other_family(p, a))
		return EGRESS_FAMILY;
	return *allowed ? EGRESS_OK : egress_special(a);
}

enum egress_verdict egress_judge(const struct egress *p, const struct net_addr *a, bool listed)
{
	enum egress_verdict v;

	if (is_other_family(p, a))
		return EGRESS_FAMILY;
	if (a->port == 0)
		return EGRESS_PORT;
	if (is_named(p, a, false))
		return EGRESS_OK;
	v = egress_is_allowed(p, a) ? EGRESS_OK : egress_special(a);
	if (v != EGRESS_OK)
		return v;
	if (a->port < 1024 && a->port != 80 && a->port != 443 && !listed)
		return EGRESS_PORT;
	return EGRESS_OK;
}

bool egress_literal(struct net_addr *out, const char *host, uint16_t port)
{
	char text[INET6_ADDRSTRLEN];
	size_t length = strlen(host);

	memset(out, 0, sizeof *out);
	out->port = port;
	if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
		host++;
		length -= 2;
	}
	if (length == 0 || length >= sizeof text)
		return false;
	memcpy(text, host, length);
	text[length] = 0;
	if (inet_pton(AF_INET, text, out->ip) == 1)
		out->family = 4;
	else if (inet_pton(AF_INET6, text, out->ip) == 1)
		out->family = 6;
	return out->family != 0;
}
