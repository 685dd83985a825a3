/*
 * swarm_incoming.c - see swarm.h: who connected to us, and how many of them there may be.
 *
 * The dialer let them in by their address and at a bounded rate.  Here they get
 * a part of the places for peers, most of which stay for those that we choose;
 * and few places before they have sent a handshake.
 *
 * Places that were taken first are not for ever: whoever comes when there is none
 * gets that of one of the network that has most of them (a /24 or /48), if its own
 * has fewer, or of one that has been silent for too long to be honest.  So one
 * who has many addresses in few networks cannot keep the others out.
 */
#include <unistd.h>

#include "log.h"
#include "swarm_state.h"

#define PER_HOST 2u /* connections, ours among them: more than one peer may live behind an address */
#define SILENT_LEAST_MS 2000u /* for a handshake, when others wait to send theirs */
#define STAY_LEAST_MS 10000u  /* before one of a large network makes room */
#define NETWORKS 1024u        /* a power of two; two that fall together count as one */

/* Of max_peers: while something is missing, a quarter is kept for peers that we look for. */
static uint32_t most_incoming(const struct swarm *s)
{
	uint32_t most = s->options.max_peers;

	return picker_complete(s->picker) ? most : max_u32(1, most - most / 4);
}

/* The one that has said nothing for longest, or NULL. */
static struct peer *longest_silent(const struct swarm *s)
{
	struct peer *oldest = NULL;
	uint32_t i;

	for (i = 0; i < s->count; i++) {
		struct peer *p = s->peers[i];

		if (!p->dead && p->incoming && !p->shook && loop_now(s->loop) - p->connected_ms >= SILENT_LEAST_MS &&
		    (!oldest || p->connected_ms < oldest->connected_ms))
			oldest = p;
	}
	return oldest;
}

static uint32_t network_of(const struct swarm *s, const struct net_addr *addr)
{
	uint64_t x = addr->family;
	size_t i;

	for (i = 0; i < (addr->family == 4 ? 3 : 6); i++)
		x = x << 8 | addr->ip[i];
	/* The key is odd and ours: nobody can choose a network that falls together with another. */
	return (uint32_t)((x * s->network_key) >> 32) % NETWORKS;
}

/* It gave us something of late, or has its turn to be given to. */
static bool is_in_use(const struct swarm *s, const struct peer *p)
{
	const struct choker_peer *c = &p->up.choke;

	return (c->unchoked && c->interested) || (p->received_bytes && loop_now(s->loop) - p->block_ms <= USELESS_AFTER_MS);
}

/* One of those that came, of the network that has most of them and two more than that of addr: the least useful; or NULL. */
static struct peer *of_largest_network(const struct swarm *s, const struct net_addr *addr)
{
	uint16_t members[NETWORKS] = { 0 };
	struct peer *worst = NULL;
	uint32_t most = 0, i;

	for (i = 0; i < s->count; i++)
		if (s->peers[i]->incoming && !s->peers[i]->dead)
			members[network_of(s, &s->peers[i]->addr)]++;
	for (i = 0; i < s->count; i++) {
		struct peer *p = s->peers[i];
		uint32_t n = members[network_of(s, &p->addr)];

		if (p->dead || !p->incoming || n < most || n < members[network_of(s, addr)] + 2u || is_in_use(s, p) ||
		    loop_now(s->loop) - p->connected_ms < STAY_LEAST_MS)
			continue;
		if (!worst || n > most || swarm_useful_ms(p) < swarm_useful_ms(worst))
			worst = p;
		most = n;
	}
	return worst;
}

/* Why one more from this address has no place; NULL: it has one, perhaps when *goes has gone. */
static const char *no_place(struct swarm *s, const struct net_addr *addr, struct peer **goes)
{
	uint32_t incoming = 0, living = 0, silent = 0, of_host = 0, i;

	if (s->down || s->disk_held || !s->ready)
		return "nobody is let in now";
	if (strangers_is_banned(&s->strangers, addr))
		return "its address is banned";
	for (i = 0; i < s->count; i++) {
		const struct peer *p = s->peers[i];

		if (p->dead)
			continue;
		living++;
		incoming += p->incoming;
		silent += p->incoming && !p->shook;
		of_host += strangers_same_host(&p->addr, addr);
	}
	if (of_host >= PER_HOST)
		return "others of its address are here";
	if (s->count >= s->options.max_peers + PEERS_LEAVING)
		return "too many have just left";
	if (silent >= max_u32(1, s->options.max_peers / 4)) {
		*goes = longest_silent(s);
		return *goes ? NULL : "too many have not said yet what they want";
	}
	if (living < s->options.max_peers && incoming < most_incoming(s))
		return NULL;
	*goes = of_largest_network(s, addr);
	if (!*goes)
		s->turned_away_ms = max_u64(loop_now(s->loop), 1);
	return *goes ? NULL : "no room";
}

void swarm_add_incoming(struct swarm *s, int fd, const struct net_addr *addr)
{
	struct peer *p, *goes = NULL;
	const char *why = no_place(s, addr, &goes);
	char text[64];

	if (why) {
		log_line(LOG_TRACE, TOPIC_PEER, "%s: not let in: %s", net_addr_text(text, sizeof text, addr), why);
		close(fd);
		return;
	}
	if (goes)
		swarm_drop(goes, DROP_USELESS, "it makes room for another");
	p = peer_new(s, fd, addr, NO_CANDIDATE, strangers_add(&s->strangers, addr), loop_now(s->loop));
	if (p)
		s->peers[s->count++] = p;
}

void swarm_ban_stranger(struct swarm *s, uint32_t id, const char *why)
{
	const struct net_addr *addr = strangers_by_id(&s->strangers, id);
	char text[64];
	uint32_t i;

	if (addr && !strangers_is_banned(&s->strangers, addr)) {
		strangers_ban(&s->strangers, addr);
		s->banned++;
		log_line(LOG_INFO, TOPIC_PEER, "%s: banned: %s", net_addr_text(text, sizeof text, addr), why);
	}
	for (i = 0; i < s->count; i++)
		if (s->peers[i]->pick.id == id)
			swarm_drop(s->peers[i], DROP_BANNED, why);
}
