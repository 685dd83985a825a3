/*
 * swarm_choke.c - see swarm.h: what the choker needs to know, and who is told what it decided.
 */
#include "swarm_state.h"

void swarm_choke_soon(struct swarm *s)
{
	s->choke_soon = true;
}

void swarm_choke(struct swarm *s)
{
	struct choker_input in = {
		.max_uploads = s->options.max_uploads,
		.max_up = s->options.max_up,
		.sent_rate = s->up.meter.rate,
		.piece_bytes = s->info->h->piece_length,
		.seeding = picker_complete(s->picker),
	};
	uint32_t i, n = 0;

	s->choke_soon = false;
	if (!s->ready || s->disk_held || s->down)
		return;
	for (i = 0; i < s->count; i++) {
		struct peer *p = s->peers[i];

		if (p->dead || !p->shook)
			continue;
		p->up.choke.received_bytes = p->received_bytes;
		p->up.choke.upload_only = p->pick.all || p->upload_only;
		p->up.choke.wanted = p->interested;
		p->up.choke.snubs = rate_snubbed(&p->rate);
		s->chokes[n++] = &p->up.choke;
	}
	choker_turn(&s->choker, s->chokes, n, &in, loop_now(s->loop));
	/* peer_tell_choke() may drop a peer, but none is freed here. */
	for (i = 0; i < s->count; i++)
		if (!s->peers[i]->dead && s->peers[i]->shook && s->peers[i]->up.choke.changed)
			peer_tell_choke(s->peers[i]);
}
