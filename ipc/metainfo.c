/*
 * metainfo.c - the receiver's check of the normal form, see metainfo.h.
 *
 * Runs in every process that is given a form, before its lock.  Assumes nothing
 * about who wrote it.  Takes no memory, reads each byte a small fixed number of
 * times, and never follows an offset that it has not compared with the room
 * that is there.
 */
#include "metainfo.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define METAINFO_FLAGS (METAINFO_SINGLE | METAINFO_PRIVATE | METAINFO_HYBRID | METAINFO_MAGNET)
#define METAINFO_FILE_FLAGS (METAINFO_FILE_PAD | METAINFO_FILE_EXEC | METAINFO_FILE_HIDDEN | METAINFO_FILE_SYMLINK)

size_t metainfo_utf8(const uint8_t *p, size_t length, uint32_t *rune)
{
	/* Least first byte's payload, continuation bytes and least value by form (RFC 3629 section 3). */
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t r;
	size_t n, i;

	if (!length)
		return 0;
	if (p[0] < 0x80) {
		*rune = p[0];
		return 1;
	}
	n = p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : 0;
	if (!n || n > length)
		return 0;
	r = p[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		r = r << 6 | (p[i] & 0x3fu);
	}
	if (r < least[n] || r > 0x10ffff || (r >= 0xd800 && r <= 0xdfff))
		return 0;
	*rune = r;
	return n;
}

bool metainfo_is_utf8(const void *bytes, size_t length)
{
	const uint8_t *p = bytes;
	uint32_t rune;
	size_t i, n;

	for (i = 0; i < length; i += n) {
		n = metainfo_utf8(p + i, length - i, &rune);
		if (!n)
			return false;
	}
	return true;
}

bool metainfo_rune_is_control(uint32_t rune)
{
	/* Unicode 15.1: Cc, Zl, Zp and Cf; and U+180E, which was Cf once and is still drawn as nothing. */
	static const uint32_t ranges[][2] = {
		{ 0x0000, 0x001f },   { 0x007f, 0x009f },   { 0x00ad, 0x00ad },   { 0x0600, 0x0605 },   { 0x061c, 0x061c },
		{ 0x06dd, 0x06dd },   { 0x070f, 0x070f },   { 0x0890, 0x0891 },   { 0x08e2, 0x08e2 },   { 0x180e, 0x180e },
		{ 0x200b, 0x200f },   { 0x2028, 0x202e },   { 0x2060, 0x206f },   { 0xfeff, 0xfeff },   { 0xfff9, 0xfffb },
		{ 0x110bd, 0x110bd }, { 0x110cd, 0x110cd }, { 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a },
		{ 0xe0000, 0xe007f },
	};
	size_t i;

	if (rune >= 0x20 && rune < 0x7f)
		return false;
	for (i = 0; i < ARRAY_LEN(ranges); i++)
		if (rune >= ranges[i][0] && rune <= ranges[i][1])
			return true;
	return false;
}

bool metainfo_name_is_safe(const char *name, size_t length)
{
	const uint8_t *p = (const uint8_t *)name;
	size_t i = 0;

	/* "." and ".." end in a dot. */
	if (length < 1 || length > METAINFO_MAX_NAME || p[length - 1] == '.' || p[length - 1] == ' ')
		return false;
	while (i < length) {
		uint32_t rune;
		size_t n = metainfo_utf8(p + i, length - i, &rune);

		if (!n || rune == '/' || metainfo_rune_is_control(rune))
			return false;
		i += n;
	}
	return true;
}

static bool path_is_safe(const char *path, size_t length)
{
	size_t begin = 0, i;

	if (length < 1 || length > METAINFO_MAX_PATH)
		return false;
	for (i = 0; i <= length; i++) {
		if (i < length && path[i] != '/')
			continue;
		if (!metainfo_name_is_safe(path + begin, i - begin))
			return false;
		begin = i + 1;
	}
	return true;
}

/* A string within the form, behind the header, with its NUL. */
static bool text_fits(const struct metainfo *m, struct metainfo_text t)
{
	return t.offset >= sizeof(struct metainfo_header) && t.offset < m->bytes && t.length < m->bytes - t.offset &&
	       m->base[t.offset + t.length] == 0;
}

/* A table of `count` rows at `offset`; an empty one may be anywhere, even nowhere. */
static bool table_fits(const struct metainfo *m, uint32_t offset, uint64_t count, uint64_t row, uint32_t align)
{
	if (!count)
		return true;
	return offset >= sizeof(struct metainfo_header) && offset <= m->bytes && offset % align == 0 && count <= (m->bytes - offset) / row;
}

static bool url_is_printable(const char *p, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (p[i] <= 0x20 || p[i] >= 0x7f)
			return false;
	return true;
}

static bool url_has_scheme(const char *p, size_t length, uint8_t scheme)
{
	static const char *const prefix[] = { [METAINFO_HTTP] = "http://", [METAINFO_HTTPS] = "https://", [METAINFO_UDP] = "udp://" };
	size_t n;

	if (scheme == METAINFO_OTHER)
		return true;
	if (scheme < METAINFO_HTTP || scheme > METAINFO_UDP)
		return false;
	n = strlen(prefix[scheme]);
	return length > n && memcmp(p, prefix[scheme], n) == 0;
}

static bool host_is_plain(const char *p, size_t length)
{
	size_t i;

	if (length < 1 || length > METAINFO_MAX_HOST)
		return false;
	for (i = 0; i < length; i++)
		if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') || p[i] == '-' || p[i] == '.' || p[i] == '_' || p[i] == ':'))
			return false;
	return true;
}

static const char *check_url(const struct metainfo *m, const struct metainfo_url *u)
{
	if (!text_fits(m, u->url) || !text_fits(m, u->host))
		return "a URL outside the form";
	if (u->url.length < 1 || u->url.length > METAINFO_MAX_URL || !url_is_printable(metainfo_str(m, u->url), u->url.length))
		return "a URL that is not printable or too long";
	if (!url_has_scheme(metainfo_str(m, u->url), u->url.length, u->scheme))
		return "a URL whose scheme is not the one named";
	if (!host_is_plain(metainfo_str(m, u->host), u->host.length))
		return "a host name with forbidden characters";
	if (u->port == 0 || u->spare != 0)
		return "a URL without port";
	return NULL;
}

static const char *check_urls(const struct metainfo *m)
{
	const struct metainfo_header *h = m->h;
	uint32_t i, tier = 0;
	const char *why;

	if (h->tracker_count > METAINFO_MAX_TRACKERS || h->webseed_count > METAINFO_MAX_WEBSEEDS)
		return "too many URLs";
	if (!table_fits(m, h->trackers, h->tracker_count, sizeof(struct metainfo_url), 8) ||
	    !table_fits(m, h->webseeds, h->webseed_count, sizeof(struct metainfo_url), 8))
		return "a table of URLs outside the form";
	for (i = 0; i < h->tracker_count; i++) {
		const struct metainfo_url *u = &metainfo_trackers(m)[i];

		why = check_url(m, u);
		if (why)
			return why;
		if (u->tier < tier || u->tier >= METAINFO_MAX_TRACKERS)
			return "tracker tiers out of order";
		tier = u->tier;
	}
	for (i = 0; i < h->webseed_count; i++) {
		const struct metainfo_url *u = &metainfo_webseeds(m)[i];

		why = check_url(m, u);
		if (why)
			return why;
		if (u->tier > 1 || (u->scheme != METAINFO_HTTP && u->scheme != METAINFO_HTTPS))
			return "a web seed that is not http or https";
	}
	return NULL;
}

static const char *check_files(const struct metainfo *m)
{
	const struct metainfo_header *h = m->h;
	uint64_t at = 0;
	uint32_t i;

	if (h->file_count < 1 || h->file_count > METAINFO_MAX_FILES)
		return "a file count out of range";
	if (!table_fits(m, h->files, h->file_count, sizeof(struct metainfo_file), 8))
		return "a file table outside the form";
	for (i = 0; i < h->file_count; i++) {
		const struct metainfo_file *f = &metainfo_files(m)[i];

		if (f->offset != at || f->length > h->total_length - at)
			return "files that do not follow each other";
		at += f->length;
		if ((f->flags & ~(uint32_t)METAINFO_FILE_FLAGS) || f->spare)
			return "unknown file flags";
		if ((f->flags & METAINFO_FILE_SYMLINK) && f->length)
			return "a symbolic link with a length";
		if (!text_fits(m, f->path))
			return "a path outside the form";
		if (!path_is_safe(metainfo_str(m, f->path), f->path.length))
			return "a path that is not safe";
	}
	if (at != h->total_length)
		return "files whose sum is not the total";
	if (h->flags & METAINFO_SINGLE) {
		const struct metainfo_file *f = metainfo_files(m);

		if (h->file_count != 1 || f->path.length != h->name.length ||
		    memcmp(metainfo_str(m, f->path), metainfo_str(m, h->name), h->name.length) != 0)
			return "a single file that is not named as the torrent";
	}
	return NULL;
}

static const char *check_pieces(const struct metainfo *m)
{
	const struct metainfo_header *h = m->h;

	if (h->piece_length < 1 || h->piece_length > METAINFO_MAX_PIECE_LENGTH)
		return "a piece length out of range";
	if (h->total_length > INT64_MAX)
		return "a total length out of range";
	if (h->piece_count > METAINFO_MAX_PIECES ||
	    h->piece_count != h->total_length / h->piece_length + (h->total_length % h->piece_length != 0))
		return "a piece count that does not fit the length";
	if (!table_fits(m, h->hashes, h->piece_count, 20, 1))
		return "hashes outside the form";
	return NULL;
}

static const char *check_all(struct metainfo *m)
{
	const struct metainfo_header *h = m->h;
	const char *why;

	if (h->magic != METAINFO_MAGIC)
		return "not a normal form";
	if (h->bytes != m->bytes)
		return "a form whose length is not the one named";
	if (h->flags & ~(uint32_t)METAINFO_FLAGS)
		return "unknown flags";
	if (!text_fits(m, h->name) || !metainfo_name_is_safe(metainfo_str(m, h->name), h->name.length))
		return "a name that is not safe";
	if (h->flags & METAINFO_MAGNET) {
		if ((h->flags & (METAINFO_SINGLE | METAINFO_PRIVATE | METAINFO_HYBRID)) || h->total_length || h->piece_length ||
		    h->piece_count || h->file_count)
			return "a magnet with files";
		return check_urls(m);
	}
	why = check_pieces(m);
	if (!why)
		why = check_files(m);
	if (!why)
		why = check_urls(m);
	return why;
}

const char *metainfo_open(struct metainfo *m, const void *base, size_t bytes)
{
	struct metainfo t = { .h = base, .base = base, .bytes = bytes };
	const char *why;

	memset(m, 0, sizeof *m);
	if (!base || (uintptr_t)base % 8 != 0)
		return "a form that is not aligned";
	if (bytes < sizeof(struct metainfo_header) || bytes > METAINFO_MAX_BYTES)
		return "a form of impossible size";
	why = check_all(&t);
	if (!why)
		*m = t;
	return why;
}

const char *metainfo_map_unread(const void **base, size_t *bytes, int fd)
{
	const int wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *p;

	*base = NULL;
	*bytes = 0;
	/* Without them the sender could change what was checked, or end the reader by SIGBUS. */
	if (seals < 0 || (seals & wanted) != wanted)
		return "a form that is not sealed";
	if (fd_stat(fd, &st) < 0 || st.st_size < (off_t)sizeof(struct metainfo_header) || st.st_size > (off_t)METAINFO_MAX_BYTES)
		return "a form of impossible size";
	/* MAP_PRIVATE: before Linux 6.7 a shared mapping of a write-sealed file is refused, even a read-only one. */
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return "a form that cannot be mapped";
	*base = p;
	*bytes = (size_t)st.st_size;
	return NULL;
}

const char *metainfo_map(struct metainfo *m, int fd)
{
	const void *base;
	size_t bytes;
	const char *why = metainfo_map_unread(&base, &bytes, fd);

	memset(m, 0, sizeof *m);
	if (why)
		return why;
	why = metainfo_open(m, base, bytes);
	if (why)
		munmap((void *)(uintptr_t)base, bytes);
	return why;
}
