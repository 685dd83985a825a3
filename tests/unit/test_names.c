/*
 * Units of parent/inspect/names.c and collide.c: the rule of names.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "inspect_test.h"

/* The mapped form of bytes, in a static buffer; NULL when they are refused. */
static const char *map_bytes(const void *in, size_t length, bool *mapped)
{
	static struct name n;
	uint8_t *copy = malloc(length ? length : 1);
	const char *why;

	digest_warm();
	if (length)
		memcpy(copy, in, length);
	why = name_map(&n, copy, length, mapped);
	free(copy);
	if (why)
		return NULL;
	assert_true(metainfo_name_is_safe(n.text, n.length));
	assert_int_equal(strlen(n.text), n.length);
	return n.text;
}

static const char *map(const char *in)
{
	bool mapped;
	const char *out = map_bytes(in, strlen(in), &mapped);

	if (out)
		assert_int_equal(mapped, strcmp(in, out) != 0);
	return out;
}

/* names.h, "Turning back". */
static size_t turn_back(uint8_t *out, const char *name)
{
	size_t n = 0;

	while (*name) {
		if (name[0] == '%' && name[1] == '~') {
			for (name += 2; *name >= '0' && *name <= '9'; name++)
				;
		} else if (name[0] == '%' && is_hex((uint8_t)name[1]) && is_hex((uint8_t)name[2])) {
			char digits[3] = { name[1], name[2], 0 };

			out[n++] = (uint8_t)strtoul(digits, NULL, 16);
			name += 3;
		} else {
			out[n++] = (uint8_t)*name++;
		}
	}
	return n;
}

static void test_ordinary_names_are_kept(void **state)
{
	static const char *const names[] = { "a", "a b", " a", "...a", "-rf", "~", "100%", "50% off", "a%zz", "%", "a\\b", "C:", "caf\xc3\xa9",
					     "\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9f\x98\x80", "a:b*?<>|\"", "CON", "file.tar.gz", "%2", "%g0" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(names); i++)
		assert_string_equal(map(names[i]), names[i]);
}

static void test_what_escapes_is_refused(void **state)
{
	static const char *const names[] = { "", ".", "..", "/", "/etc/passwd", "../x", "x/..", "a/../b", "../../../root/.ssh" };
	bool mapped;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(names); i++)
		assert_null(map(names[i]));
	assert_null(map_bytes("a\0b", 3, &mapped));
	assert_null(map_bytes("\0", 1, &mapped));
	assert_null(map_bytes("..\0", 3, &mapped));
}

static void test_awkward_bytes_become_percent_escapes(void **state)
{
	static const char *const pairs[][2] = {
		{ "a/b", "a%2Fb" },
		{ "a/", "a%2F" },
		{ "a/./b", "a%2F.%2Fb" },
		{ "a/...", "a%2F..%2E" },
		{ "a\nb", "a%0Ab" },
		{ "\x1b[31mred", "%1B[31mred" },
		{ "a\x7f", "a%7F" },
		{ "a\xc2\x85z", "a%C2%85z" },            /* NEL */
		{ "gpj.\xe2\x80\xaetxt.exe", "gpj.%E2%80%AEtxt.exe" }, /* right-to-left override */
		{ "a\xe2\x80\x8b", "a%E2%80%8B" },       /* zero width space */
		{ "\xef\xbb\xbfx", "%EF%BB%BFx" },       /* byte order mark */
		{ "\xe2\x80\xa8", "%E2%80%A8" },         /* line separator */
		{ "\xc2\xad", "%C2%AD" },                /* soft hyphen */
		{ "\xf3\xa0\x80\xa0", "%F3%A0%80%A0" },  /* tag */
		{ "\xff", "%FF" },
		{ "caf\xe9", "caf%E9" },                 /* Latin-1 */
		{ "\xc0\xaf", "%C0%AF" },                /* overlong '/' */
		{ "\xc0\xae\xc0\xae", "%C0%AE%C0%AE" },  /* overlong ".." */
		{ "\xed\xa0\x80", "%ED%A0%80" },         /* surrogate */
		{ "\xf4\x90\x80\x80", "%F4%90%80%80" },  /* above U+10FFFF */
		{ "\xe2\x82", "%E2%82" },                /* cut off */
		{ "a.", "a%2E" },
		{ "a...", "a..%2E" },
		{ "...", "..%2E" },
		{ "a ", "a%20" },
		{ " ", "%20" },
		{ "a. ", "a.%20" },
		{ "%41", "%2541" },
		{ "%2e%2E", "%252e%252E" },
		{ "%~2", "%25~2" },
		{ "%%41", "%%2541" },
		{ "%\x01", "%%01" },
		{ "%2\x01", "%2%01" },
		{ "%4/1", "%4%2F1" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(pairs); i++)
		assert_string_equal(map(pairs[i][0]), pairs[i][1]);
}

static void test_every_short_name_turns_back(void **state)
{
	static const char alphabet[] = { '%', '~', '2', 'F', 'e', '.', ' ', '/', 'x', '\x01', '\xc3', '\xa9', '\xff' };
	char in[6];
	uint8_t back[64];
	size_t i, k, total, length;
	unsigned refused = 0;

	(void)state;
	for (length = 1; length <= 5; length++) {
		for (total = 1, k = 0; k < length; k++)
			total *= sizeof alphabet;
		for (i = 0; i < total; i++) {
			size_t left = i;
			struct name n;
			bool mapped;

			for (k = 0; k < length; k++, left /= sizeof alphabet)
				in[k] = alphabet[left % sizeof alphabet];
			if (name_map(&n, (const uint8_t *)in, length, &mapped)) {
				refused++;
				continue;
			}
			if (!metainfo_name_is_safe(n.text, n.length))
				fail_msg("not safe: %s", n.text);
			if (turn_back(back, n.text) != length || memcmp(back, in, length) != 0)
				fail_msg("does not turn back: %s", n.text);
		}
	}
	assert_true(refused > 0);
}

static void test_long_names_are_cut_with_their_hash(void **state)
{
	char in[600];
	const char *out;
	uint8_t hash[32];
	char hex[17];

	(void)state;
	memset(in, 'a', sizeof in);
	in[255] = 0;
	assert_string_equal(map(in), in);
	in[255] = 'a';
	in[256] = 0;
	out = map(in);
	assert_int_equal(strlen(out), 255);
	digest_sha256(hash, in, 256);
	hex_text(hex, hash, 8);
	assert_memory_equal(out + 255 - 18, "%~", 2);
	assert_string_equal(out + 255 - 16, hex);
	memcpy(in + 250, ".x264-group.mkv", 16);
	out = map(in);
	assert_int_equal(strlen(out), 255);
	assert_string_equal(out + 251, ".mkv");
	/* An extension that is long or odd is not kept. */
	memcpy(in + 250, ".abcdefghijklmnop", 18);
	assert_null(strstr(map(in), ".abcd"));
	memcpy(in + 250, ".m v..........", 15);
	assert_null(strstr(map(in), ".m v"));
}

static void test_cuts_fall_between_characters(void **state)
{
	char in[600];
	size_t shift, i;

	(void)state;
	for (shift = 0; shift < 4; shift++) {
		const char *out;

		memset(in, 'x', shift);
		for (i = 0; i < 100; i++)
			memcpy(in + shift + 4 * i, "\xf0\x9f\x98\x80", 4);
		in[shift + 400] = 0;
		out = map(in);
		assert_true(strlen(out) > 255 - 4 && strlen(out) <= 255);
		/* No half escape either. */
		memset(in, 'x', shift);
		memset(in + shift, 1, 200);
		in[shift + 200] = 0;
		out = map(in);
		assert_memory_equal(out + strlen(out) - 18 - 3, "%01", 3);
	}
}

static void test_numbers_stand_before_the_extension(void **state)
{
	struct name n;
	char in[256];

	(void)state;
	name_number(&n, "a", 1, 2);
	assert_string_equal(n.text, "a%~2");
	name_number(&n, "a.tar.gz", 8, 13);
	assert_string_equal(n.text, "a.tar%~13.gz");
	name_number(&n, ".bashrc", 7, 2);
	assert_string_equal(n.text, ".bashrc%~2");
	memset(in, 'a', 255);
	name_number(&n, in, 255, 4294967295u);
	assert_int_equal(n.length, 255);
	assert_true(metainfo_name_is_safe(n.text, n.length));
	memset(in, 'a', 253);
	memcpy(in + 248, "\xe6\x97\xa5.mp", 6);
	name_number(&n, in, 254, 2);
	assert_true(n.length <= 255 && metainfo_name_is_safe(n.text, n.length));
}

/* ---- whole torrents: files of one byte with these paths, joined by '/' ---- */

static void add_file(struct bytes *b, const char *path, const char *attr)
{
	add(b, "d", 1);
	if (attr) {
		add_string(b, "attr", 4);
		add_string(b, attr, strlen(attr));
	}
	add(b, "6:lengthi1e4:pathl", 18);
	while (*path) {
		size_t n = strcspn(path, "/");

		add_string(b, path, n);
		path += n + (path[n] == '/');
	}
	add(b, "ee", 2);
}

static struct bytes files_begin(void)
{
	struct bytes b = { NULL, 0 };

	add(&b, "d4:infod5:filesl", 16);
	return b;
}

static bool files_end(struct one *o, struct bytes *b, unsigned pieces)
{
	char hashes[20] = { 0 };
	char head[64];
	unsigned i;
	int n;

	add(b, "e4:name4:root12:piece lengthi16384e", 35);
	n = snprintf(head, sizeof head, "6:pieces%u:", 20 * pieces);
	add(b, head, (size_t)n);
	for (i = 0; i < pieces; i++)
		add(b, hashes, 20);
	add(b, "ee", 2);
	return run_bytes(o, *b);
}

static const char *path_of(const struct one *o, uint32_t i)
{
	return metainfo_str(&o->m, metainfo_files(&o->m)[i].path);
}

static bool run_paths(struct one *o, const char *const *paths, size_t count)
{
	struct bytes b = files_begin();
	size_t i;

	for (i = 0; i < count; i++)
		add_file(&b, paths[i], NULL);
	return files_end(o, &b, 1);
}

static void test_a_path_twice_is_numbered(void **state)
{
	static const char *const paths[] = { "a/x.txt", "a/x.txt", "b/x.txt", "a/x.txt", "a/y" };
	struct one o;

	(void)state;
	assert_true(run_paths(&o, paths, 5));
	assert_string_equal(path_of(&o, 0), "a/x.txt");
	assert_string_equal(path_of(&o, 1), "a/x%~2.txt");
	assert_string_equal(path_of(&o, 2), "b/x.txt");
	assert_string_equal(path_of(&o, 3), "a/x%~3.txt");
	assert_string_equal(path_of(&o, 4), "a/y");
	assert_int_equal(o.t.collisions, 2);
	assert_true(warned(&o, "2 files want a path that is taken"));
	one_free(&o);
}

static void test_a_file_gives_way_to_a_directory_whichever_comes_first(void **state)
{
	static const char *const before[] = { "a", "a/b" }, *const after[] = { "a/b/c", "a/b", "a" };
	struct one o;

	(void)state;
	assert_true(run_paths(&o, before, 2));
	assert_string_equal(path_of(&o, 0), "a%~2");
	assert_string_equal(path_of(&o, 1), "a/b");
	one_free(&o);
	assert_true(run_paths(&o, after, 3));
	assert_string_equal(path_of(&o, 0), "a/b/c");
	assert_string_equal(path_of(&o, 1), "a/b%~2");
	assert_string_equal(path_of(&o, 2), "a%~2");
	one_free(&o);
}

static void test_a_number_never_takes_a_name_that_is_in_the_torrent(void **state)
{
	static const char *const paths[] = { "a", "a", "a%~2", "a%~2" };
	struct one o;

	(void)state;
	assert_true(run_paths(&o, paths, 4));
	assert_string_equal(path_of(&o, 1), "a%~2");
	assert_string_equal(path_of(&o, 2), "a%25~2");
	assert_string_equal(path_of(&o, 3), "a%25~2%~2");
	one_free(&o);
}

static void test_different_originals_never_meet_after_mapping(void **state)
{
	static const char *const paths[] = { "a.", "a%2E", "a%252E", "caf\xe9", "caf%E9", "x\x01", "x%01" };
	struct one o;
	uint32_t i, k;

	(void)state;
	assert_true(run_paths(&o, paths, ARRAY_LEN(paths)));
	assert_int_equal(o.t.collisions, 0);
	for (i = 0; i < ARRAY_LEN(paths); i++)
		for (k = 0; k < i; k++)
			assert_string_not_equal(path_of(&o, i), path_of(&o, k));
	one_free(&o);
}

static void test_names_that_meet_by_being_cut_are_numbered(void **state)
{
	char a[400];
	const char *paths[2] = { a, a };
	struct one o;

	(void)state;
	memset(a, 'a', 300);
	memcpy(a + 300, ".mkv", 5);
	assert_true(run_paths(&o, paths, 2));
	assert_int_equal(strlen(path_of(&o, 0)), 255);
	assert_int_equal(strlen(path_of(&o, 1)), 255);
	assert_string_equal(path_of(&o, 1) + 248, "%~2.mkv");
	assert_string_not_equal(path_of(&o, 0), path_of(&o, 1));
	one_free(&o);
}

static void test_padding_and_links_do_not_take_paths(void **state)
{
	struct bytes b = files_begin();
	struct one o;

	(void)state;
	add_file(&b, ".pad/1", "p");
	add_file(&b, ".pad/1", "p");
	add_file(&b, "a", "l");
	add_file(&b, "a", NULL);
	add_file(&b, ".pad/1", NULL);
	assert_true(files_end(&o, &b, 1));
	assert_int_equal(o.t.collisions, 0);
	assert_string_equal(path_of(&o, 3), "a");
	assert_string_equal(path_of(&o, 4), ".pad/1");
	one_free(&o);
}

static void test_case_collisions_are_only_a_warning(void **state)
{
	static const char *const paths[] = { "Readme", "README", "Dir/a", "dir/b", "dir/B" }, *const fine[] = { "a", "b" };
	struct one o;

	(void)state;
	assert_true(run_paths(&o, paths, 5));
	assert_string_equal(path_of(&o, 1), "README");
	assert_true(warned(&o, "3 names differ from another one by upper and lower case only"));
	one_free(&o);
	assert_true(run_paths(&o, fine, 2));
	assert_false(warned(&o, "case only"));
	one_free(&o);
}

static void test_paths_are_bounded(void **state)
{
	char path[METAINFO_MAX_PATH + 64];
	const char *paths[1] = { path };
	struct one o;
	size_t i;

	(void)state;
	/* 16 components of 255 bytes and the separators: 4095. */
	for (i = 0; i < 16; i++) {
		memset(path + 256 * i, 'a', 255);
		path[256 * i + 255] = '/';
	}
	path[4095] = 0;
	assert_true(run_paths(&o, paths, 1));
	assert_int_equal(strlen(path_of(&o, 0)), 4095);
	one_free(&o);
	path[4095] = '/';
	path[4096] = 'a';
	path[4097] = 0;
	assert_false(run_paths(&o, paths, 1));
	assert_int_equal(o.in.refusal.status, INSPECT_UNSAFE);
	one_free(&o);
}

/* All the same, and numbers that were taken before: linear all the same. */
static void test_hostile_collisions_cost_linear_time(void **state)
{
	struct bytes b = files_begin();
	uint64_t begin;
	char name[64];
	struct one o;
	unsigned i;

	(void)state;
	for (i = 0; i < 30000; i++)
		add_file(&b, "same", NULL);
	for (i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "d%u/x", i);
		add_file(&b, name, NULL);
	}
	begin = now_ms();
	assert_true(files_end(&o, &b, 3));
	assert_true(now_ms() - begin < 10000);
	assert_string_equal(path_of(&o, 29999), "same%~30000");
	assert_int_equal(o.t.collisions, 29999);
	one_free(&o);
}

/* Names that were cut share their numbered forms, so that each would have to try all of them: refused, not endured. */
static void test_endless_tries_for_a_free_number_are_refused(void **state)
{
	struct bytes b = files_begin();
	struct one o;
	char name[256];
	unsigned i;

	(void)state;
	memset(name, 'a', 255);
	name[255] = 0;
	for (i = 0; i < 2000; i++) {
		snprintf(name + 251, 5, "%04u", i);
		add_file(&b, name, NULL);
		add_file(&b, name, NULL);
	}
	assert_false(files_end(&o, &b, 1));
	assert_int_equal(o.in.refusal.status, INSPECT_UNSAFE);
	assert_non_null(strstr(o.in.refusal.text, "too many files want the same path"));
	one_free(&o);
}

static void test_the_hash_depends_on_key_parent_and_every_byte(void **state)
{
	struct tree t = { .k0 = 1, .k1 = 2 }, u = { .k0 = 1, .k1 = 3 }, f = { .k0 = 1, .k1 = 2, .fold = true };

	(void)state;
	assert_true(hash_name(&t, 1, "abcdefgh1", 9) == hash_name(&t, 1, "abcdefgh1", 9));
	assert_true(hash_name(&t, 1, "abcdefgh1", 9) != hash_name(&t, 1, "abcdefgh2", 9));
	assert_true(hash_name(&t, 1, "abcdefgh1", 9) != hash_name(&t, 2, "abcdefgh1", 9));
	assert_true(hash_name(&t, 1, "abcdefgh1", 9) != hash_name(&u, 1, "abcdefgh1", 9));
	assert_true(hash_name(&t, 1, "ABC", 3) != hash_name(&t, 1, "abc", 3));
	assert_true(hash_name(&f, 1, "ABC", 3) == hash_name(&f, 1, "abc", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary_names_are_kept),
		cmocka_unit_test(test_what_escapes_is_refused),
		cmocka_unit_test(test_awkward_bytes_become_percent_escapes),
		cmocka_unit_test(test_every_short_name_turns_back),
		cmocka_unit_test(test_long_names_are_cut_with_their_hash),
		cmocka_unit_test(test_cuts_fall_between_characters),
		cmocka_unit_test(test_numbers_stand_before_the_extension),
		cmocka_unit_test(test_a_path_twice_is_numbered),
		cmocka_unit_test(test_a_file_gives_way_to_a_directory_whichever_comes_first),
		cmocka_unit_test(test_a_number_never_takes_a_name_that_is_in_the_torrent),
		cmocka_unit_test(test_different_originals_never_meet_after_mapping),
		cmocka_unit_test(test_names_that_meet_by_being_cut_are_numbered),
		cmocka_unit_test(test_padding_and_links_do_not_take_paths),
		cmocka_unit_test(test_case_collisions_are_only_a_warning),
		cmocka_unit_test(test_paths_are_bounded),
		cmocka_unit_test(test_hostile_collisions_cost_linear_time),
		cmocka_unit_test(test_endless_tries_for_a_free_number_are_refused),
		cmocka_unit_test(test_the_hash_depends_on_key_parent_and_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
