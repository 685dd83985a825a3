/*
 * choker.h - to whom we upload.
 *
 * A pure core: what is known of each peer and the time in, who is unchoked out.
 * Only interested peers get anything.
 *
 * While we download, those are unchoked that gave us most in the last two rounds
 * of 10 s (BEP 3).  The other slots are for peers that have shown nothing yet:
 * each may take a credit of two pieces, at least CHOKER_CREDIT_LEAST, and eight
 * times what it gave.  One that took more than that, or that snubs us, is
 * unchoked only *optimistically*: chosen by lot, for a turn of 30 s or one
 * credit.  After a turn it rests until those who earn their slots have been sent
 * four times as much as it got, each; so one that gives nothing gets a small
 * share of what the others get, whatever the line carries.  Slots that nobody
 * earned are given out optimistically; at least one in nine always is.
 *
 * While we seed, slots rotate: who has had a turn (see choker.c) makes room for
 * the one that has waited longest.  Who took its credit while we downloaded and
 * gave too little, though it had what we wanted, is unchoked only optimistically
 * for five minutes more, and only where a slot is left.
 *
 * The number of slots is given, or follows the line: n slots when the n-th still
 * gets n * 2 KiB/s.  Peers that take next to nothing use no slot.
 */
#ifndef NETPROC_CHOKER_H
#define NETPROC_CHOKER_H

#include "common.h"

#define CHOKER_ROUND_MS 10000u
#define CHOKER_SLOTS_LEAST 4u   /* automatic number of slots */
#define CHOKER_SLOTS_MOST 64u
#define CHOKER_CREDIT_LEAST (UINT64_C(1) << 18)
#define CHOKER_CREDIT_MOST (UINT64_C(16) << 20)

/* Embedded in struct peer.  Zeroed, but for connected_ms, when it connects. */
struct choker_peer {
	/* Known by the caller: */
	uint64_t connected_ms;
	uint64_t received_bytes, sent_bytes; /* payload, ever */
	bool interested;  /* in us */
	bool upload_only; /* a seed, or as good as one: needs nothing */
	bool snubs;       /* leaves our requests unanswered */
	bool wanted;      /* it has what we want */

	/* Decided here: */
	bool unchoked;
	bool changed;     /* by the last choker_turn(): CHOKE or UNCHOKE is to be sent */
	bool optimistic;  /* unchoked without having earned it */
	bool overdrawn;   /* took its credit and gave too little since */
	bool owes;        /* overdrawn, when it last was wanted */
	bool chosen;      /* scratch of one turn */
	uint64_t since_ms; /* since when it is unchoked, or choked; 0: never was unchoked */
	uint64_t rest_ms;  /* no optimistic turn before this time, */
	uint64_t rest_given; /* nor before choker.given is this, but for REST_MOST_MS */
	uint64_t turn_received, turn_sent; /* totals when it was unchoked */
	uint64_t received_at[2]; /* totals at the last round and the one before */
	uint64_t sent_at;        /* total at the last call */
};

struct choker_input {
	uint32_t max_uploads; /* slots; 0: automatic */
	uint64_t max_up;      /* bytes a second; 0: no limit */
	uint64_t sent_rate;   /* payload bytes a second to all peers, smoothed over some seconds */
	uint32_t piece_bytes;
	bool seeding;         /* we need nothing (any more) */
};

struct choker {
	uint64_t round_ms;  /* when the next round is due */
	uint64_t chance;    /* state of the generator */
	uint32_t slots;     /* as last decided */
	uint64_t credit;    /* bytes that a peer may have on trust */
	uint64_t given;     /* bytes that a peer with an earned slot has been sent, on average, ever */
	bool earners;       /* there are some */
	bool seeding;
	uint64_t seeding_ms; /* since when */
};

void choker_init(struct choker *c, uint64_t chance);

/*
 * Decides.  A round when one is due; otherwise only free slots are filled, and
 * turns ended that took too much.  To be called some times a second, and at once
 * when a peer that was unchoked goes or choker_spent() is true.  `peers` are all
 * that shook hands; order matters only for the lot.
 */
void choker_turn(struct choker *c, struct choker_peer *const *peers, uint32_t count, const struct choker_input *in, uint64_t now_ms);

/* It is unchoked and has used up what it may take: cheap, to be asked after each write. */
bool choker_spent(const struct choker *c, const struct choker_peer *p);

#endif
