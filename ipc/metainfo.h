/*
 * metainfo.h - the normal form: what inspect makes of a torrent or magnet, and
 * the only form in which any other process ever sees one.
 *
 * One sealed memory file: a struct metainfo_header at offset 0, then the tables
 * and strings that it points to by offset.  Flat, bounded, native byte order,
 * no pointer.  Every receiver maps it read-only and calls metainfo_open(),
 * which validates all of it again: the sender may be compromised, and so may
 * be whoever could have told it what to send.  See docs/ipc.md.
 */
#ifndef IPC_METAINFO_H
#define IPC_METAINFO_H

#include "common.h"

#define METAINFO_MAGIC 0x62686e6631303030ull /* "bhnf1000" */

/* Limits of the form itself; the options of inspect may only be smaller or equal. */
#define METAINFO_MAX_BYTES (1u << 30)
#define METAINFO_MAX_FILES 4000000u
#define METAINFO_MAX_PIECES 16000000u
#define METAINFO_MAX_PIECE_LENGTH (256u << 20)
#define METAINFO_MAX_TRACKERS 1024u
#define METAINFO_MAX_WEBSEEDS 1024u
#define METAINFO_MAX_URL 2048u
#define METAINFO_MAX_PATH 4096u /* of one file below the root, with separators */
#define METAINFO_MAX_NAME 255u  /* one component */
#define METAINFO_MAX_HOST 255u

enum metainfo_flags {
	METAINFO_SINGLE = 1,   /* one file, named as the torrent; the file table has one row with the path = name */
	METAINFO_PRIVATE = 2,  /* BEP 27 */
	METAINFO_HYBRID = 4,   /* has a v2 side too (BEP 52); only the v1 side is used */
	METAINFO_MAGNET = 8,   /* no info dictionary yet: info-hash, trackers and name only; no files, no pieces */
};

enum metainfo_file_flags {
	METAINFO_FILE_PAD = 1,     /* BEP 47: zeros, never written */
	METAINFO_FILE_EXEC = 2,    /* attr x: shown, never applied */
	METAINFO_FILE_HIDDEN = 4,  /* attr h: shown, never applied */
	METAINFO_FILE_SYMLINK = 8, /* attr l: never created; length 0 */
};

enum metainfo_scheme { METAINFO_HTTP = 1, METAINFO_HTTPS = 2, METAINFO_UDP = 3, METAINFO_OTHER = 4 };

/* A part of the string area. */
struct metainfo_text {
	uint32_t offset; /* from the start of the form */
	uint32_t length; /* bytes, no NUL counted; a NUL follows each string */
};

struct metainfo_file {
	uint64_t offset; /* first byte in the torrent's payload */
	uint64_t length;
	struct metainfo_text path; /* safe components joined by '/', relative to the root */
	uint32_t flags;            /* enum metainfo_file_flags */
	uint32_t spare;
};

/* Whether this row of the table is a file that exists on disk (maybe empty). */
static inline bool metainfo_on_disk(const struct metainfo_file *f)
{
	return !(f->flags & (METAINFO_FILE_PAD | METAINFO_FILE_SYMLINK));
}

struct metainfo_url {
	struct metainfo_text url;  /* printable ASCII only, no spaces (others percent-encoded) */
	struct metainfo_text host; /* lower case, no brackets around IPv6 */
	uint16_t port;             /* 1..65535; the scheme's own when the URL names none */
	uint8_t scheme;            /* enum metainfo_scheme */
	uint8_t spare;
	uint32_t tier; /* trackers: BEP 12 tier, from 0, never decreasing; web seeds: 0 = url-list, 1 = httpseeds */
};

struct metainfo_header {
	uint64_t magic;
	uint64_t bytes; /* of the whole form */
	uint8_t info_hash[20];
	uint32_t flags; /* enum metainfo_flags */
	uint64_t total_length;
	uint32_t piece_length; /* 1..METAINFO_MAX_PIECE_LENGTH; 0 for a magnet */
	uint32_t piece_count;  /* ceil(total_length / piece_length) */
	uint32_t file_count;   /* >= 1 unless a magnet */
	uint32_t tracker_count;
	uint32_t webseed_count;
	struct metainfo_text name; /* one safe component */
	uint32_t hashes;           /* offset of 20 * piece_count bytes */
	uint32_t files;            /* offset of the struct metainfo_file table, 8-aligned */
	uint32_t trackers;         /* offset of the struct metainfo_url table, 8-aligned; tiers in order */
	uint32_t webseeds;
};

/* A validated form.  Borrows `base`, which must stay mapped. */
struct metainfo {
	const struct metainfo_header *h;
	const uint8_t *base;
	size_t bytes;
};

/*
 * Validates `bytes` bytes at `base` (8-aligned, not changing any more: sealed,
 * or a private copy) and fills `m`.  Checks every offset, count, sum, name and
 * the order of the file table; linear in `bytes`, takes no memory.
 * Returns NULL, or what is wrong (a constant string).
 */
const char *metainfo_open(struct metainfo *m, const void *base, size_t bytes) MUST_CHECK;

/*
 * Maps a sealed memfd without looking into it, for who may map nothing once it
 * is behind the walls where metainfo_open() belongs.  Sets *base and *bytes.
 * NULL or what is wrong.  Keeps no descriptor.
 */
const char *metainfo_map_unread(const void **base, size_t *bytes, int fd) MUST_CHECK;

/* Both: a descriptor of a sealed memfd -> mapped and validated.  NULL or what is wrong.  Keeps no descriptor. */
const char *metainfo_map(struct metainfo *m, int fd) MUST_CHECK;

/*
 * One component that may be created in a file system: 1 to 255 bytes of valid
 * UTF-8, not "." or "..", no '/', no control character (C0, DEL, C1), no bidi
 * or other format control of Unicode, no trailing dot or space.
 */
bool metainfo_name_is_safe(const char *name, size_t length);

/*
 * One character of UTF-8 at p: its length 1..4 and its number in *rune, or 0
 * when there is none (RFC 3629: no overlong form, no surrogate, at most U+10FFFF).
 */
size_t metainfo_utf8(const uint8_t *p, size_t length, uint32_t *rune);

/* Whether all of it is such characters. */
bool metainfo_is_utf8(const void *bytes, size_t length);

/* A control character, line separator, or bidi or other format control (Unicode Cc, Cf, Zl, Zp). */
bool metainfo_rune_is_control(uint32_t rune);

static inline const char *metainfo_str(const struct metainfo *m, struct metainfo_text t)
{
	return (const char *)m->base + t.offset;
}
static inline const struct metainfo_file *metainfo_files(const struct metainfo *m)
{
	return (const struct metainfo_file *)(const void *)(m->base + m->h->files);
}
static inline const struct metainfo_url *metainfo_trackers(const struct metainfo *m)
{
	return (const struct metainfo_url *)(const void *)(m->base + m->h->trackers);
}
static inline const struct metainfo_url *metainfo_webseeds(const struct metainfo *m)
{
	return (const struct metainfo_url *)(const void *)(m->base + m->h->webseeds);
}
static inline const uint8_t *metainfo_hash(const struct metainfo *m, uint32_t piece)
{
	return m->base + m->h->hashes + 20ull * piece;
}
/* Bytes of piece `piece` (< piece_count): all piece_length but the last. */
static inline uint32_t metainfo_piece_bytes(const struct metainfo *m, uint32_t piece)
{
	uint64_t begin = (uint64_t)piece * m->h->piece_length, left = m->h->total_length - begin;

	return left < m->h->piece_length ? (uint32_t)left : m->h->piece_length;
}

#endif
