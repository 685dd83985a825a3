/*
 * torrent.h - what was understood of a torrent file or magnet link, before it
 * becomes the normal form or a page of text.
 */
#ifndef INSPECT_TORRENT_H
#define INSPECT_TORRENT_H

#include "bencode.h"
#include "inspect.h"
#include "metainfo.h"
#include "names.h"
#include "strings.h"

/* Trackers and seeds that are looked at in one torrent; what comes after them is left out with a warning. */
#define URL_ENTRIES_MAX 10000u
#define MAGNET_PEERS_MAX 64u

struct torrent_file {
	uint64_t offset, length;
	const uint8_t *original; /* its bencoded path (a list, or the string of a single file) in the input */
	size_t path;             /* offset in t->strings of the safe path */
	uint32_t path_length;
	uint32_t flags;          /* enum metainfo_file_flags */
	uint32_t parent;         /* collide.c: node of its directory */
	bool mapped;             /* the safe path differs from the original */
};

struct torrent_url {
	size_t url, host; /* offsets in t->strings */
	uint32_t url_length, host_length;
	uint32_t tier;
	uint16_t port;
	uint8_t scheme; /* METAINFO_OTHER is shown, and left out of the form */
};

struct torrent {
	struct strings strings;
	uint32_t flags; /* enum metainfo_flags */
	uint8_t info_hash[20];
	struct bencode root, info; /* a torrent file only */
	struct text name;          /* original; a magnet may have none */
	struct name safe_name;
	bool name_mapped;
	uint64_t total_length; /* a magnet: what it claims (xl), or 0 */
	uint32_t piece_length, piece_count;
	const uint8_t *hashes;       /* in the input */
	struct torrent_file *files;  /* owned */
	uint32_t file_count;
	struct torrent_url *trackers, *webseeds; /* owned */
	size_t tracker_count, tracker_room, webseed_count, webseed_room;
	struct text comment, created_by, source;
	bool has_date;
	int64_t date; /* seconds since 1970, not checked */
	struct text peers[MAGNET_PEERS_MAX]; /* a magnet's x.pe: shown only */
	uint32_t peer_count;
	/* For warnings. */
	uint32_t collisions, case_collisions;
	char *decoded; /* a magnet's decoded values; owned */
};

void torrent_init(struct torrent *t, const struct inspect_limits *l);
void torrent_release(struct torrent *t);

/* Reads in->input as a torrent file.  False: see in->refusal. */
bool torrent_parse(struct inspect *in, struct torrent *t) MUST_CHECK;

/* announce.c: trackers (BEP 3, 12) and web seeds (BEP 19, 17) of a torrent file. */
bool torrent_trackers(struct inspect *in, struct torrent *t) MUST_CHECK;
bool torrent_webseeds(struct inspect *in, struct torrent *t) MUST_CHECK;

/*
 * announce.c: adds a URL to the trackers or web seeds.  One that is not usable,
 * known already or above the cap is left out with a warning that calls it
 * `what` number `index`; *added tells.  False only without memory.
 */
bool torrent_add_tracker(struct inspect *in, struct torrent *t, struct text url, uint32_t tier, uint32_t index, bool *added) MUST_CHECK;
bool torrent_add_webseed(struct inspect *in, struct torrent *t, struct text url, uint32_t kind, uint32_t index) MUST_CHECK;

/* collide.c: gives files that want the same path different ones, and counts names that differ by case only. */
bool torrent_collisions(struct inspect *in, struct torrent *t) MUST_CHECK;

/* odd.c: warnings about what is legal but odd. */
void torrent_oddities(struct inspect *in, const struct torrent *t);

static inline const char *torrent_str(const struct torrent *t, size_t offset)
{
	return t->strings.base + offset;
}

#endif
