/*
 * swarm_incoming.c - see swarm.h: who connected to us, and how many of them there may be.
 *
 * The dialer let them in by their address and at a bounded rate.  Here they get
 * a part of the places for peers, most of which stay for those that we choose;
 * and few places before they have sent a handshake.
 */
#include <unistd.h>

#include "log.h"
#include "swarm_state.h"

#define PER_HOST 2u /* connections, ours among them: more than one peer may live behind an address */

/* Of max_peers: while something is missing, a quarter is kept for peers that we look for. */
static uint32_t most_incoming(const struct swarm *s)
{
	uint32_t most = s->options.max_peers;

	return picker_complete(s->picker) ? most : max_u32(1, most - most / 4);
}

/* Why one more from this address has no place; NULL: it has one. */
static const char *no_place(const struct swarm *s, const struct net_addr *addr)
{
	uint32_t incoming = 0, silent = 0, of_host = 0, i;

	if (s->down || s->disk_held || !s->ready)
		return "nobody is let in now";
	if (strangers_is_banned(&s->strangers, addr))
		return "its address is banned";
	for (i = 0; i < s->count; i++) {
		const struct peer *p = s->peers[i];

		if (p->dead)
			continue;
		incoming += p->incoming;
		silent += p->incoming && !p->shook;
		of_host += strangers_same_host(&p->addr, addr);
	}
	if (of_host >= PER_HOST)
		return "others of its address are here";
	if (silent >= max_u32(1, s->options.max_peers / 4))
		return "too many have not said yet what they want";
	if (s->count >= s->options.max_peers || incoming >= most_incoming(s))
		return "no room";
	return NULL;
}

void swarm_add_incoming(struct swarm *s, int fd, const struct net_addr *addr)
{
	const char *why = no_place(s, addr);
	struct peer *p;
	char text[64];

	if (why) {
		log_line(LOG_TRACE, TOPIC_PEER, "%s: not let in: %s", net_addr_text(text, sizeof text, addr), why);
		close(fd);
		return;
	}
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
