/*
 * superseed.h - which piece is shown to which peer while we super-seed (BEP 16).
 *
 * A pure core.  A seed that is alone shows no bitfield; it tells each peer of one
 * piece, by HAVE, and of another only when the first was seen at somebody else:
 * so nearly every byte sent is one that the swarm lacks, and peers that pass
 * nothing on get little.  It ends when every piece was seen at some peer.
 *
 * A peer that is not shown another for SUPERSEED_WAIT_MS gets one all the same
 * (it may be in no position to pass anything on), while fewer than
 * SUPERSEED_SHOWN are shown to it that it does not have; and at once when it is
 * the only one.
 *
 * The caller, for each peer that is no seed: superseed_join() after its
 * bitfield, superseed_on_have() for each new HAVE, superseed_leave(); and some
 * times a second superseed_next(), sending a HAVE for the piece.  When
 * superseed_done(), everybody gets HAVEs for all that it lacks.  Every HAVE that
 * reaches us is a claim: a liar ends super-seeding early and does no other harm.
 *
 * Memory: four bytes for each piece.
 */
#ifndef NETPROC_SUPERSEED_H
#define NETPROC_SUPERSEED_H

#include "common.h"

#define SUPERSEED_SHOWN 4u
#define SUPERSEED_WAIT_MS 60000u
#define SUPERSEED_NONE UINT32_MAX

struct superseed {
	uint32_t pieces;
	uint32_t peers;    /* that joined */
	uint32_t unseen;   /* pieces that no peer has */
	uint16_t *seen;    /* by piece: peers that have it; owned */
	uint16_t *shown;   /* by piece: peers that it was shown to and that do not have it; owned */
	uint64_t chance;   /* state of the generator */
	bool done;
};

/* Embedded in struct peer; zeroed when it connects. */
struct superseed_peer {
	bool joined;
	uint32_t shown_count;
	uint32_t shown[SUPERSEED_SHOWN]; /* pieces that it was shown and does not have */
	bool watches;
	uint32_t watched;    /* the last piece shown: another one follows when it is seen elsewhere */
	uint16_t seen_before; /* at so many when it was shown */
	bool has_watched;
	uint64_t since_ms;
};

/* pieces >= 1. */
void superseed_init(struct superseed *s, uint32_t pieces, uint64_t chance);
void superseed_release(struct superseed *s);

/* have: its bitfield, NULL: none.  A peer that has all pieces does not join. */
void superseed_join(struct superseed *s, struct superseed_peer *p, const uint8_t *have);
/* have: the same with what came by HAVE since. */
void superseed_leave(struct superseed *s, struct superseed_peer *p, const uint8_t *have);
/* It told us of a piece that it did not have before. */
void superseed_on_have(struct superseed *s, struct superseed_peer *p, uint32_t piece);

/* A piece to tell this peer of now, or SUPERSEED_NONE. */
uint32_t superseed_next(struct superseed *s, struct superseed_peer *p, const uint8_t *have, uint64_t now_ms);

/* Whether it may ask for the piece: others we do not "have". */
bool superseed_was_shown(const struct superseed_peer *p, uint32_t piece);

/* Each piece was at some peer at the same time, once: from then on true. */
static inline bool superseed_done(const struct superseed *s) { return s->done; }

#endif
