/*
 * Units of ipc/metainfo.c: every field of a form that could lie, lies once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../ipc/metainfo.c"

#define ROOM 16384

/* A form of three files, two trackers, a web seed and three pieces. */
struct example {
	_Alignas(8) uint8_t bytes[ROOM];
	struct metainfo_header *h;
	struct metainfo_file *files;
	struct metainfo_url *trackers, *webseeds;
	size_t used;
	struct metainfo m;
};

static struct metainfo_text text(struct example *e, const char *s)
{
	struct metainfo_text t = { (uint32_t)e->used, (uint32_t)strlen(s) };

	memcpy(e->bytes + e->used, s, t.length + 1);
	e->used += t.length + 1;
	return t;
}

static void url(struct example *e, struct metainfo_url *u, const char *s, const char *host, uint8_t scheme, uint32_t tier)
{
	*u = (struct metainfo_url){ .url = text(e, s), .host = text(e, host), .port = 80, .scheme = scheme, .tier = tier };
}

static void fill(struct example *e)
{
	static const uint64_t lengths[3] = { 20000, 0, 20000 };
	static const char *const paths[3] = { "a", "d/b", "d/e/c" };
	uint64_t at = 0;
	int i;

	memset(e, 0, sizeof *e);
	e->h = (struct metainfo_header *)(void *)e->bytes;
	*e->h = (struct metainfo_header){ .magic = METAINFO_MAGIC, .total_length = 40000, .piece_length = 16384, .piece_count = 3,
					  .file_count = 3, .tracker_count = 2, .webseed_count = 1, .files = 128, .trackers = 512,
					  .webseeds = 640, .hashes = 701 };
	e->files = (struct metainfo_file *)(void *)(e->bytes + 128);
	e->trackers = (struct metainfo_url *)(void *)(e->bytes + 512);
	e->webseeds = (struct metainfo_url *)(void *)(e->bytes + 640);
	e->used = 800;
	e->h->name = text(e, "name");
	for (i = 0; i < 3; i++) {
		e->files[i] = (struct metainfo_file){ .offset = at, .length = lengths[i], .path = text(e, paths[i]) };
		at += lengths[i];
	}
	url(e, &e->trackers[0], "http://t.example/announce", "t.example", METAINFO_HTTP, 0);
	url(e, &e->trackers[1], "udp://u.example:80", "u.example", METAINFO_UDP, 1);
	url(e, &e->webseeds[0], "https://w.example/x", "w.example", METAINFO_HTTPS, 1);
	e->h->bytes = e->used;
}

static const char *open_it(struct example *e)
{
	/* A copy of the exact length: ASan sees a byte read behind it. */
	uint8_t *copy = malloc(e->used);
	const char *why;

	memcpy(copy, e->bytes, e->used);
	why = metainfo_open(&e->m, copy, e->used);
	free(copy);
	return why;
}

#define refused_after(act)                                                                                 \
	do {                                                                                               \
		static struct example e;                                                                   \
		fill(&e);                                                                                  \
		assert_null(open_it(&e));                                                                  \
		act;                                                                                       \
		if (!open_it(&e))                                                                          \
			fail_msg("taken: %s", #act);                                                       \
		assert_null(e.m.base);                                                                     \
	} while (0)

#define taken_after(act)                                                                                   \
	do {                                                                                               \
		static struct example e;                                                                   \
		fill(&e);                                                                                  \
		act;                                                                                       \
		assert_null(open_it(&e));                                                                  \
	} while (0)

static void test_a_good_form_is_read(void **state)
{
	static struct example e;

	(void)state;
	fill(&e);
	assert_null(metainfo_open(&e.m, e.bytes, e.used));
	assert_string_equal(metainfo_str(&e.m, metainfo_files(&e.m)[2].path), "d/e/c");
	assert_string_equal(metainfo_str(&e.m, metainfo_trackers(&e.m)[1].host), "u.example");
	assert_string_equal(metainfo_str(&e.m, metainfo_webseeds(&e.m)[0].url), "https://w.example/x");
	assert_int_equal(metainfo_piece_bytes(&e.m, 0), 16384);
	assert_int_equal(metainfo_piece_bytes(&e.m, 2), 40000 - 2 * 16384);
	assert_ptr_equal(metainfo_hash(&e.m, 2), e.bytes + 701 + 40);
}

static void test_size_and_header_are_checked(void **state)
{
	static struct example g;

	(void)state;
	refused_after(e.h->magic++);
	refused_after(e.h->bytes++);
	refused_after(e.h->bytes = UINT64_MAX);
	refused_after(e.h->flags = 16);
	refused_after(e.h->flags = 1u << 31);
	refused_after(e.used = e.h->bytes = sizeof(struct metainfo_header) - 1);
	refused_after(e.used = e.h->bytes = sizeof(struct metainfo_header));
	fill(&g);
	assert_non_null(metainfo_open(&g.m, g.bytes + 4, g.used - 4));
	assert_non_null(metainfo_open(&g.m, NULL, g.used));
	assert_non_null(metainfo_open(&g.m, g.bytes, 0));
	assert_non_null(metainfo_open(&g.m, g.bytes, (size_t)METAINFO_MAX_BYTES + 1));
	assert_null(metainfo_open(&g.m, g.bytes, g.used));
}

static void test_every_truncation_is_refused(void **state)
{
	static struct example e;
	size_t n;

	(void)state;
	fill(&e);
	for (n = 0; n < e.used; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		struct metainfo m;

		memcpy(copy, e.bytes, n);
		if (n >= sizeof *e.h)
			((struct metainfo_header *)(void *)copy)->bytes = n;
		assert_non_null(metainfo_open(&m, copy, n));
		free(copy);
	}
}

static void test_offsets_stay_within_the_form(void **state)
{
	(void)state;
	refused_after(e.h->files = 0);
	refused_after(e.h->files = 8);
	refused_after(e.h->files = 129);
	refused_after(e.h->files = (uint32_t)((e.used - 100) & ~7u));
	refused_after(e.h->files = UINT32_MAX & ~7u);
	refused_after(e.h->trackers = 516);
	refused_after(e.h->trackers = UINT32_MAX & ~7u);
	refused_after(e.h->webseeds = (uint32_t)(e.used & ~7u));
	refused_after(e.h->hashes = (uint32_t)e.used - 59);
	refused_after(e.h->hashes = 0);
	refused_after(e.h->hashes = UINT32_MAX);
	taken_after(e.h->hashes = (uint32_t)e.used - 60);
	refused_after(e.h->name.offset = 0);
	refused_after(e.h->name.offset = UINT32_MAX);
	refused_after(e.h->name.length = UINT32_MAX);
	refused_after(e.h->name.offset = (uint32_t)e.used);
	refused_after(e.files[1].path.offset = UINT32_MAX - 1);
	refused_after(e.files[1].path.length = UINT32_MAX);
	refused_after(e.files[1].path.length = (uint32_t)e.used);
	refused_after(e.files[1].path.length--); /* no NUL behind it */
	refused_after(e.trackers[0].url.offset = UINT32_MAX);
	refused_after(e.trackers[0].host.offset = (uint32_t)e.used - 1; e.trackers[0].host.length = 1);
	refused_after(e.bytes[e.used - 1] = 'x');
}

static void test_lengths_offsets_and_counts_agree(void **state)
{
	(void)state;
	refused_after(e.files[0].offset = 1);
	refused_after(e.files[2].offset++);
	refused_after(e.files[2].length++);
	refused_after(e.files[2].length--);
	refused_after(e.files[0].length = UINT64_MAX);
	refused_after(e.files[1].length = UINT64_MAX - 19999; e.files[2].offset = 0);
	refused_after(e.h->total_length++);
	refused_after(e.h->total_length = UINT64_MAX);
	refused_after(e.h->piece_count = 2);
	refused_after(e.h->piece_count = 4);
	refused_after(e.h->piece_count = 0);
	refused_after(e.h->piece_length = 0);
	refused_after(e.h->piece_length = METAINFO_MAX_PIECE_LENGTH + 1);
	refused_after(e.h->piece_length = 1);
	taken_after(e.h->piece_length = METAINFO_MAX_PIECE_LENGTH; e.h->piece_count = 1);
	taken_after(e.h->piece_length = 40000; e.h->piece_count = 1);
	taken_after(e.h->piece_length = 39999; e.h->piece_count = 2);
	refused_after(e.h->file_count = 0);
	refused_after(e.h->file_count = 2);
	refused_after(e.h->file_count = METAINFO_MAX_FILES + 1);
	refused_after(e.h->file_count = UINT32_MAX);
	taken_after(e.files[0].length = 0; e.files[1].offset = 0; e.files[2].offset = 0; e.files[2].length = 0; e.h->total_length = 0;
		    e.h->piece_count = 0; e.h->hashes = 0);
}

static void test_paths_are_safe(void **state)
{
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b", "a/../b", "a\nb", "a\x7f", "a.", "a ",
					   "a /b", "a./b", "\xff", "\xc0\xaf", "a\xe2\x80\xae", "a\xc2\x9b", "\xef\xbb\xbf" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		refused_after(e.files[1].path = text(&e, bad[i]); e.h->bytes = e.used);
		refused_after(e.h->name = text(&e, bad[i]); e.h->bytes = e.used);
	}
	refused_after(e.h->name = text(&e, "a/b"); e.h->bytes = e.used);
	taken_after(e.files[1].path = text(&e, "\xe6\x97\xa5/caf\xc3\xa9 \\ x"); e.h->bytes = e.used);
}

static void test_path_lengths_are_bounded(void **state)
{
	static char path[METAINFO_MAX_PATH + 2];
	size_t i;

	(void)state;
	memset(path, 'a', sizeof path - 1);
	for (i = 255; i < sizeof path - 1; i += 256)
		path[i] = '/';
	path[METAINFO_MAX_PATH + 1] = 0;
	refused_after(e.files[1].path = text(&e, path); e.h->bytes = e.used);
	path[METAINFO_MAX_PATH - 1] = 0; /* a component of 255 at the end */
	taken_after(e.files[1].path = text(&e, path); e.h->bytes = e.used);
	path[255] = 'a'; /* one of 511 in front */
	refused_after(e.files[1].path = text(&e, path); e.h->bytes = e.used);
}

static void test_file_flags_are_known(void **state)
{
	(void)state;
	refused_after(e.files[0].flags = 16);
	refused_after(e.files[0].spare = 1);
	refused_after(e.files[0].flags = METAINFO_FILE_SYMLINK);
	taken_after(e.files[1].flags = METAINFO_FILE_SYMLINK);
	taken_after(e.files[0].flags = METAINFO_FILE_PAD | METAINFO_FILE_EXEC | METAINFO_FILE_HIDDEN);
}

static void test_a_single_file_is_named_as_the_torrent(void **state)
{
	(void)state;
	refused_after(e.h->flags = METAINFO_SINGLE);
	refused_after(e.h->flags = METAINFO_SINGLE; e.h->file_count = 1; e.files[0].length = 40000);
	taken_after(e.h->flags = METAINFO_SINGLE; e.h->file_count = 1; e.files[0].length = 40000; e.h->name = text(&e, "a"); e.h->bytes = e.used);
}

static void test_a_magnet_has_no_files(void **state)
{
	(void)state;
	refused_after(e.h->flags = METAINFO_MAGNET);
	taken_after(e.h->flags = METAINFO_MAGNET; e.h->total_length = e.h->piece_length = e.h->piece_count = e.h->file_count = 0);
	refused_after(e.h->flags = METAINFO_MAGNET | METAINFO_PRIVATE;
		      e.h->total_length = e.h->piece_length = e.h->piece_count = e.h->file_count = 0);
	refused_after(e.h->flags = METAINFO_MAGNET; e.h->total_length = e.h->piece_count = e.h->file_count = 0);
}

static void test_urls_are_checked(void **state)
{
	static char longest[METAINFO_MAX_URL + 2];

	(void)state;
	refused_after(e.trackers[0].url = text(&e, ""); e.h->bytes = e.used);
	refused_after(e.trackers[0].url = text(&e, "http://a b"); e.h->bytes = e.used);
	refused_after(e.trackers[0].url = text(&e, "http://a\x01"); e.h->bytes = e.used);
	refused_after(e.trackers[0].url = text(&e, "http://a\r\nHost: b"); e.h->bytes = e.used);
	refused_after(e.trackers[0].url = text(&e, "http://\xc3\xa9"); e.h->bytes = e.used);
	refused_after(e.trackers[0].url = text(&e, "file:///etc/passwd"); e.h->bytes = e.used);
	refused_after(e.trackers[0].url = text(&e, "https://t.example"); e.h->bytes = e.used);
	refused_after(e.trackers[0].url = text(&e, "http://"); e.h->bytes = e.used);
	refused_after(e.trackers[0].scheme = 0);
	refused_after(e.trackers[0].scheme = 5);
	taken_after(e.trackers[0].scheme = METAINFO_OTHER);
	refused_after(e.trackers[0].port = 0);
	refused_after(e.trackers[0].spare = 1);
	refused_after(e.trackers[0].host = text(&e, ""); e.h->bytes = e.used);
	refused_after(e.trackers[0].host = text(&e, "T.example"); e.h->bytes = e.used);
	refused_after(e.trackers[0].host = text(&e, "a/b"); e.h->bytes = e.used);
	refused_after(e.trackers[0].host = text(&e, "a%00b"); e.h->bytes = e.used);
	refused_after(e.trackers[0].host = text(&e, "[::1]"); e.h->bytes = e.used);
	taken_after(e.trackers[0].host = text(&e, "2001:db8::1"); e.h->bytes = e.used);
	memset(longest, 'a', sizeof longest - 1);
	memcpy(longest, "http://", 7);
	refused_after(e.trackers[0].url = text(&e, longest); e.h->bytes = e.used);
	refused_after(e.trackers[0].host = text(&e, longest + METAINFO_MAX_URL + 1 - 256); e.h->bytes = e.used);
	longest[METAINFO_MAX_URL] = 0;
	taken_after(e.trackers[0].url = text(&e, longest); e.h->bytes = e.used);
}

static void test_tiers_are_in_order(void **state)
{
	(void)state;
	refused_after(e.trackers[0].tier = 2);
	refused_after(e.trackers[1].tier = METAINFO_MAX_TRACKERS);
	taken_after(e.trackers[0].tier = 1);
	refused_after(e.webseeds[0].tier = 2);
	refused_after(e.webseeds[0].scheme = METAINFO_OTHER);
	refused_after(e.webseeds[0].url = text(&e, "udp://w.example:1"); e.webseeds[0].scheme = METAINFO_UDP; e.h->bytes = e.used);
	refused_after(e.h->tracker_count = METAINFO_MAX_TRACKERS + 1);
	refused_after(e.h->tracker_count = UINT32_MAX);
	refused_after(e.h->webseed_count = METAINFO_MAX_WEBSEEDS + 1);
	refused_after(e.h->webseed_count = UINT32_MAX);
	taken_after(e.h->tracker_count = e.h->webseed_count = 0; e.h->trackers = e.h->webseeds = 0);
}

/* No single byte, whatever its value, makes the checks read outside (ASan) or take something with an unsafe path. */
static void test_any_flipped_byte_is_harmless(void **state)
{
	static struct example e;
	size_t i, bit;

	(void)state;
	fill(&e);
	for (i = 0; i < e.used; i++) {
		for (bit = 0; bit < 8; bit++) {
			e.bytes[i] ^= (uint8_t)(1u << bit);
			if (!metainfo_open(&e.m, e.bytes, e.used))
				assert_true(path_is_safe(metainfo_str(&e.m, metainfo_files(&e.m)[2].path), metainfo_files(&e.m)[2].path.length));
			e.bytes[i] ^= (uint8_t)(1u << bit);
		}
	}
	assert_null(metainfo_open(&e.m, e.bytes, e.used));
}

static int memory_file(const struct example *e, int seals)
{
	int fd = memfd_create("form", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, e->bytes, e->used), (ssize_t)e->used);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void test_only_a_sealed_file_is_mapped(void **state)
{
	static const int bad[] = { 0, F_SEAL_WRITE, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_WRITE | F_SEAL_GROW, F_SEAL_WRITE | F_SEAL_SHRINK };
	static struct example e;
	const void *base;
	size_t i, bytes;
	struct metainfo m;
	int fd;

	(void)state;
	fill(&e);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		fd = memory_file(&e, bad[i]);
		assert_string_equal(metainfo_map_unread(&base, &bytes, fd), "a form that is not sealed");
		assert_null(base);
		assert_string_equal(metainfo_map(&m, fd), "a form that is not sealed");
		assert_null(m.base);
		close(fd);
	}
	fd = memory_file(&e, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_null(metainfo_map(&m, fd));
	close(fd);
	assert_int_equal(m.h->file_count, 3);
	assert_int_equal(mprotect((void *)(uintptr_t)m.base, m.bytes, PROT_READ), 0);
	munmap((void *)(uintptr_t)m.base, m.bytes);
	e.h->magic = 0;
	fd = memory_file(&e, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
	assert_string_equal(metainfo_map(&m, fd), "not a normal form");
	/* Mapped, and not looked into. */
	assert_null(metainfo_map_unread(&base, &bytes, fd));
	assert_int_equal(bytes, e.used);
	assert_string_equal(metainfo_open(&m, base, bytes), "not a normal form");
	munmap((void *)(uintptr_t)base, bytes);
	close(fd);
	e.used = 0;
	fd = memory_file(&e, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
	assert_string_equal(metainfo_map(&m, fd), "a form of impossible size");
	close(fd);
	assert_non_null(metainfo_map(&m, -1));
}

static void test_utf8_is_read_strictly(void **state)
{
	static const struct {
		const char *in;
		size_t n;
		uint32_t rune;
	} rows[] = { { "a", 1, 'a' },           { "\xc2\x80", 2, 0x80 },         { "\xdf\xbf", 2, 0x7ff },
		     { "\xe0\xa0\x80", 3, 0x800 }, { "\xef\xbf\xbf", 3, 0xffff },   { "\xf0\x90\x80\x80", 4, 0x10000 },
		     { "\xf4\x8f\xbf\xbf", 4, 0x10ffff }, { "\x80", 0, 0 },        { "\xc1\xbf", 0, 0 },
		     { "\xe0\x9f\xbf", 0, 0 },   { "\xed\xa0\x80", 0, 0 },       { "\xf0\x8f\xbf\xbf", 0, 0 },
		     { "\xf4\x90\x80\x80", 0, 0 }, { "\xf5\x80\x80\x80", 0, 0 },  { "\xc3", 0, 0 },
		     { "\xc3(", 0, 0 },          { "\xe2\x82", 0, 0 },           { "\xff", 0, 0 } };
	uint32_t rune;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		rune = 0;
		assert_int_equal(metainfo_utf8((const uint8_t *)rows[i].in, strlen(rows[i].in), &rune), rows[i].n);
		assert_int_equal(rune, rows[i].rune);
	}
	assert_int_equal(metainfo_utf8((const uint8_t *)"a", 0, &rune), 0);
	assert_true(metainfo_is_utf8("", 0) && metainfo_is_utf8("a\xc3\xa4", 3) && metainfo_is_utf8("a\xff", 1));
	assert_false(metainfo_is_utf8("a\xc3\xa4", 2) || metainfo_is_utf8("a\xff", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_form_is_read),
		cmocka_unit_test(test_size_and_header_are_checked),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_offsets_stay_within_the_form),
		cmocka_unit_test(test_lengths_offsets_and_counts_agree),
		cmocka_unit_test(test_paths_are_safe),
		cmocka_unit_test(test_path_lengths_are_bounded),
		cmocka_unit_test(test_file_flags_are_known),
		cmocka_unit_test(test_a_single_file_is_named_as_the_torrent),
		cmocka_unit_test(test_a_magnet_has_no_files),
		cmocka_unit_test(test_urls_are_checked),
		cmocka_unit_test(test_tiers_are_in_order),
		cmocka_unit_test(test_any_flipped_byte_is_harmless),
		cmocka_unit_test(test_only_a_sealed_file_is_mapped),
		cmocka_unit_test(test_utf8_is_read_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
