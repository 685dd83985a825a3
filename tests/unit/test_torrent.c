/*
 * Units of parent/inspect: torrent files, trackers, web seeds and the form made of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>

#include "inspect_test.h"

#define ONE "d(info)d(length)i5e(name)(x)" PIECES1 "ee"

static const char *file_path(const struct one *o, uint32_t i)
{
	return metainfo_str(&o->m, metainfo_files(&o->m)[i].path);
}
static const char *tracker(const struct one *o, uint32_t i)
{
	return metainfo_str(&o->m, metainfo_trackers(&o->m)[i].url);
}
static const char *webseed(const struct one *o, uint32_t i)
{
	return metainfo_str(&o->m, metainfo_webseeds(&o->m)[i].url);
}

#define assert_refused(literal, why, part)                                                                 \
	do {                                                                                               \
		struct one r;                                                                              \
		assert_false(run(&r, literal));                                                            \
		assert_int_equal(r.in.refusal.status, why);                                                \
		if (!strstr(r.in.refusal.text, part))                                                      \
			fail_msg("\"%s\" has no \"%s\"", r.in.refusal.text, part);                         \
		assert_true(r.in.refusal.where <= r.in.bytes);                                             \
		one_free(&r);                                                                              \
	} while (0)

static void test_one_file(void **state)
{
	struct one o;

	(void)state;
	assert_true(run(&o, ONE));
	assert_int_equal(o.m.h->flags, METAINFO_SINGLE);
	assert_int_equal(o.m.h->file_count, 1);
	assert_int_equal(o.m.h->total_length, 5);
	assert_int_equal(o.m.h->piece_count, 1);
	assert_int_equal(o.m.h->piece_length, 16384);
	assert_string_equal(file_path(&o, 0), "x");
	assert_string_equal(metainfo_str(&o.m, o.m.h->name), "x");
	assert_memory_equal(metainfo_hash(&o.m, 0), HASH20, 20);
	one_free(&o);
}

static void test_many_files_follow_each_other(void **state)
{
	struct one o;

	(void)state;
	assert_true(run(&o, "d(info)d(files)ld(length)i5e(path)l(a)eed(length)i0e(path)l(d)(b)eed(length)i7e(path)l(d)(c)eee(name)(n)" PIECES1 "ee"));
	assert_int_equal(o.m.h->flags, 0);
	assert_int_equal(o.m.h->file_count, 3);
	assert_int_equal(o.m.h->total_length, 12);
	assert_string_equal(file_path(&o, 1), "d/b");
	assert_int_equal(metainfo_files(&o.m)[2].offset, 5);
	assert_int_equal(metainfo_files(&o.m)[2].length, 7);
	one_free(&o);
}

static void test_info_hash_is_over_the_original_bytes(void **state)
{
	/* Unknown and unsorted keys, an odd order: hashed as they stand. */
	static const char info[] = "d4:name1:x6:lengthi5e3:zzzd1:ali1eee1:q0:6:pieces20:" HASH20 "12:piece lengthi16384ee";
	struct bytes b = { NULL, 0 };
	uint8_t hash[20];
	struct one o;

	(void)state;
	add(&b, "d4:info", 7);
	add(&b, info, sizeof info - 1);
	add(&b, "4:beeri1e1:a0:e", 15);
	assert_true(run_bytes(&o, b));
	digest_sha1(hash, info, sizeof info - 1);
	assert_memory_equal(o.m.h->info_hash, hash, 20);
	assert_true(warned(&o, "info dictionary are not in order"));
	assert_true(warned(&o, "keys of the torrent are not in order"));
	one_free(&o);
}

static void test_sha1_is_sha1(void **state)
{
	uint8_t hash[32];
	char hex[65];

	(void)state;
	digest_warm();
	digest_sha1(hash, "abc", 3);
	hex_text(hex, hash, 20);
	assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
	digest_sha256(hash, "abc", 3);
	hex_text(hex, hash, 32);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_the_frame_is_strict(void **state)
{
	struct one o;

	(void)state;
	assert_refused("", INSPECT_MALFORMED, "empty");
	assert_refused("d", INSPECT_MALFORMED, "cut off");
	assert_refused("hello", INSPECT_MALFORMED, "not bencode");
	assert_refused("<html>", INSPECT_MALFORMED, "not bencode");
	assert_refused("le", INSPECT_MALFORMED, "no dictionary");
	assert_refused("de", INSPECT_MALFORMED, "no info dictionary");
	assert_refused("d(info)lee", INSPECT_MALFORMED, "no info dictionary");
	assert_refused("d(info)(x)e", INSPECT_MALFORMED, "no info dictionary");
	assert_refused(ONE "\n", INSPECT_MALFORMED, "1 bytes follow");
	assert_false(run_bytes(&o, notation(ONE "\0\0", sizeof ONE + 1)));
	assert_string_equal(o.in.refusal.text, "2 bytes follow the end of the torrent");
	one_free(&o);
	assert_refused(ONE ONE, INSPECT_MALFORMED, "bytes follow");
	assert_refused("d(info)d(length)i5e(name)(x)" PIECES1 "e(info)dee", INSPECT_MALFORMED, "key twice");
	assert_refused("d(info)d(length)i5e(length)i6e(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "key twice");
	assert_refused("d(info)d(name)(x)(length)i5e" PIECES1 "(name)(y)ee", INSPECT_MALFORMED, "key twice");
}

static void test_every_truncation_is_refused(void **state)
{
	struct bytes b = bt("d(announce)(http://a/b)" "(info)d(files)ld(length)i5e(path)l(a)eee(name)(n)" PIECES1 "ee");
	struct one o;
	size_t n;

	(void)state;
	for (n = 0; n < b.n; n++) {
		assert_false(one_run(&o, b.p, n, 0, 0));
		assert_int_equal(o.in.refusal.status, INSPECT_MALFORMED);
		one_free(&o);
	}
	assert_true(one_run(&o, b.p, b.n, 0, 0));
	one_free(&o);
	free(b.p);
}

static void test_lengths_are_strict(void **state)
{
	(void)state;
	assert_refused("d(info)d(length)i-1e(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "negative");
	assert_refused("d(info)d(length)(5)(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "no length");
	assert_refused("d(info)d(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "neither");
	assert_refused("d(info)d(files)ld(length)i1e(path)l(a)eee(length)i1e(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "both");
	assert_refused("d(info)d(files)ld(path)l(a)eee(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "file 0 has no length");
	assert_refused("d(info)d(files)ld(length)i1e(path)l(a)eed(length)i-1e(path)l(b)eee(name)(x)" PIECES1 "ee", INSPECT_MALFORMED,
		       "file 1 has a negative length");
	assert_refused("d(info)d(files)ld(length)i9223372036854775807e(path)l(a)eed(length)i1e(path)l(b)eee(name)(x)" PIECES1 "ee",
		       INSPECT_MALFORMED, "overflow");
	assert_refused("d(info)d(files)ld(length)i9223372036854775808e(path)l(a)eee(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "out of range");
	assert_refused("d(info)d(length)i9223372036854775807e(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "piece hashes");
}

static void test_files_are_lists_of_dictionaries(void **state)
{
	(void)state;
	assert_refused("d(info)d(files)(x)(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "files is no list");
	assert_refused("d(info)d(files)le(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "list of files is empty");
	assert_refused("d(info)d(files)li1ee(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "file 0 is no dictionary");
	assert_refused("d(info)d(files)ld(length)i1eee(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "file 0 has no path");
	assert_refused("d(info)d(files)ld(length)i1e(path)(a)ee(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "file 0 has no path");
	assert_refused("d(info)d(files)ld(length)i1e(path)li1eeee(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "no string");
	assert_refused("d(info)d(files)ld(length)i1e(path)leee(name)(x)" PIECES1 "ee", INSPECT_UNSAFE, "empty path");
}

static void test_paths_that_escape_are_refused(void **state)
{
	(void)state;
	assert_refused("d(info)d(files)ld(length)i1e(path)l(..)(x)eee(name)(x)" PIECES1 "ee", INSPECT_UNSAFE, "\"..\"");
	assert_refused("d(info)d(files)ld(length)i1e(path)l(a)(..)(..)(x)eee(name)(x)" PIECES1 "ee", INSPECT_UNSAFE, "\"..\"");
	assert_refused("d(info)d(files)ld(length)i1e(path)l(.)(x)eee(name)(x)" PIECES1 "ee", INSPECT_UNSAFE, "\".\"");
	assert_refused("d(info)d(files)ld(length)i1e(path)l()(x)eee(name)(x)" PIECES1 "ee", INSPECT_UNSAFE, "empty");
	assert_refused("d(info)d(files)ld(length)i1e(path)l(/etc)(x)eee(name)(x)" PIECES1 "ee", INSPECT_UNSAFE, "absolute");
	assert_refused("d(info)d(files)ld(length)i1e(path)l(../../x)eee(name)(x)" PIECES1 "ee", INSPECT_UNSAFE, "\"..\"");
	assert_refused("d(info)d(files)ld(length)i1e(path)l(a\0b)eee(name)(x)" PIECES1 "ee", INSPECT_UNSAFE, "NUL");
	assert_refused("d(info)d(length)i5e(name)(..)" PIECES1 "ee", INSPECT_UNSAFE, "\"..\"");
	assert_refused("d(info)d(length)i5e(name)()" PIECES1 "ee", INSPECT_UNSAFE, "empty");
	assert_refused("d(info)d(length)i5e(name)(/x)" PIECES1 "ee", INSPECT_UNSAFE, "absolute");
	assert_refused("d(info)d(files)ld(length)i1e(path)l(a)eee(name)(..)" PIECES1 "ee", INSPECT_UNSAFE, "\"..\"");
	assert_refused("d(info)d(length)i5e" PIECES1 "ee", INSPECT_MALFORMED, "no name");
	assert_refused("d(info)d(length)i5e(name)i1e" PIECES1 "ee", INSPECT_MALFORMED, "no name");
	/* A usable utf-8 form does not hide an unsafe one that is used, nor the other way round. */
	assert_refused("d(info)d(length)i5e(name)(x)(name.utf-8)(..)" PIECES1 "ee", INSPECT_UNSAFE, "\"..\"");
	assert_refused("d(info)d(files)ld(length)i1e(path)l(a)e(path.utf-8)l(..)(a)eee(name)(x)" PIECES1 "ee", INSPECT_UNSAFE, "\"..\"");
}

static void test_awkward_names_are_mapped(void **state)
{
	struct one o;

	(void)state;
	assert_true(run(&o, "d(info)d(files)ld(length)i1e(path)l(a/b)(c\n)eee(name)(n.)" PIECES1 "ee"));
	assert_string_equal(file_path(&o, 0), "a%2Fb/c%0A");
	assert_string_equal(metainfo_str(&o.m, o.m.h->name), "n%2E");
	assert_true(warned(&o, "1 file gets a safer name than the torrent gives it"));
	assert_true(warned(&o, "the torrent gets a safer name"));
	one_free(&o);
}

static void test_utf8_keys_are_preferred_when_usable(void **state)
{
	struct one o;

	(void)state;
	assert_true(run(&o, "d(info)d(files)ld(length)i1e(path)l(\xe9)e(path.utf-8)l(\xc3\xa9)eee(name)(\xe8)(name.utf-8)(\xc3\xa8)" PIECES1 "ee"));
	assert_string_equal(file_path(&o, 0), "\xc3\xa9");
	assert_string_equal(metainfo_str(&o.m, o.m.h->name), "\xc3\xa8");
	one_free(&o);
	assert_true(run(&o, "d(info)d(files)ld(length)i1e(path)l(a)e(path.utf-8)l(\xff)eee(name)(b)(name.utf-8)(\xff)" PIECES1 "ee"));
	assert_string_equal(file_path(&o, 0), "a");
	assert_string_equal(metainfo_str(&o.m, o.m.h->name), "b");
	assert_true(warned(&o, "name.utf-8"));
	one_free(&o);
	assert_true(run(&o, "d(info)d(files)ld(length)i1e(path)l(a)e(path.utf-8)leee(name)(b)(name.utf-8)i1e" PIECES1 "ee"));
	assert_string_equal(file_path(&o, 0), "a");
	one_free(&o);
}

static void test_piece_length_is_within_bounds(void **state)
{
	struct one o;

	(void)state;
	assert_refused("d(info)d(length)i5e(name)(x)(piece length)i0e(pieces)(" HASH20 ")ee", INSPECT_MALFORMED, "not positive");
	assert_refused("d(info)d(length)i5e(name)(x)(piece length)i-16384e(pieces)(" HASH20 ")ee", INSPECT_MALFORMED, "not positive");
	assert_refused("d(info)d(length)i5e(name)(x)(piece length)i268435457e(pieces)(" HASH20 ")ee", INSPECT_TOO_LARGE, "256 MiB");
	assert_refused("d(info)d(length)i5e(name)(x)(piece length)i9223372036854775807e(pieces)(" HASH20 ")ee", INSPECT_TOO_LARGE, "256 MiB");
	assert_refused("d(info)d(length)i5e(name)(x)(pieces)(" HASH20 ")ee", INSPECT_MALFORMED, "no piece length");
	assert_true(run(&o, "d(info)d(length)i5e(name)(x)(piece length)i268435456e(pieces)(" HASH20 ")ee"));
	assert_int_equal(o.m.h->piece_length, 256 << 20);
	assert_true(warned(&o, "huge pieces"));
	one_free(&o);
	assert_true(run(&o, "d(info)d(length)i1e(name)(x)(piece length)i1e(pieces)(" HASH20 ")ee"));
	assert_int_equal(o.m.h->piece_length, 1);
	assert_true(warned(&o, "tiny pieces"));
	one_free(&o);
	assert_true(run(&o, "d(info)d(length)i5e(name)(x)(piece length)i20000e(pieces)(" HASH20 ")ee"));
	assert_true(warned(&o, "no power of two"));
	one_free(&o);
}

static void test_piece_count_fits_the_length(void **state)
{
	struct one o;

	(void)state;
	assert_refused("d(info)d(length)i5e(name)(x)(piece length)i16384e(pieces)(short)ee", INSPECT_MALFORMED, "multiple of 20");
	assert_refused("d(info)d(length)i5e(name)(x)(piece length)i16384e(pieces)()ee", INSPECT_MALFORMED, "0 piece hashes");
	assert_refused("d(info)d(length)i5e(name)(x)(piece length)i16384e(pieces)(" HASH20 HASH20 ")ee", INSPECT_MALFORMED, "2 piece hashes");
	assert_refused("d(info)d(length)i16385e(name)(x)(piece length)i16384e(pieces)(" HASH20 ")ee", INSPECT_MALFORMED, "needs 2");
	assert_refused("d(info)d(length)i0e(name)(x)(piece length)i16384e(pieces)(" HASH20 ")ee", INSPECT_MALFORMED, "needs 0");
	assert_refused("d(info)d(length)i5e(name)(x)(piece length)i16384eee", INSPECT_MALFORMED, "no pieces");
	assert_refused("d(info)d(length)i5e(name)(x)(piece length)i16384e(pieces)l(" HASH20 ")eee", INSPECT_MALFORMED, "no pieces");
	assert_true(run(&o, "d(info)d(length)i16384e(name)(x)(piece length)i16384e(pieces)(" HASH20 ")ee"));
	one_free(&o);
	assert_true(run(&o, "d(info)d(length)i16385e(name)(x)(piece length)i16384e(pieces)(" HASH20 HASH20 ")ee"));
	assert_int_equal(metainfo_piece_bytes(&o.m, 1), 1);
	one_free(&o);
}

static void test_zero_bytes_are_a_torrent(void **state)
{
	struct one o;

	(void)state;
	assert_true(run(&o, "d(info)d(length)i0e(name)(x)(piece length)i16384e(pieces)()ee"));
	assert_int_equal(o.m.h->piece_count, 0);
	assert_int_equal(o.m.h->total_length, 0);
	assert_true(warned(&o, "no data at all"));
	one_free(&o);
	assert_true(run(&o, "d(info)d(files)ld(length)i0e(path)l(a)eed(length)i0e(path)l(b)eee(name)(x)(piece length)i16384e(pieces)()ee"));
	assert_int_equal(o.m.h->file_count, 2);
	one_free(&o);
}

static void test_limits_are_options(void **state)
{
	struct bytes b = bt("d(info)d(files)ld(length)i5e(path)l(a)eed(length)i5e(path)l(b)eee(name)(n)(piece length)i5e(pieces)(" HASH20 HASH20 ")ee");
	struct inspect_limits l;
	struct one o;

	(void)state;
	assert_true(one_run(&o, b.p, b.n, 2, 2));
	one_free(&o);
	assert_false(one_run(&o, b.p, b.n, 1, 2));
	assert_int_equal(o.in.refusal.status, INSPECT_TOO_LARGE);
	assert_string_equal(o.in.refusal.text, "2 files, above the limit of 1");
	one_free(&o);
	assert_false(one_run(&o, b.p, b.n, 2, 1));
	assert_int_equal(o.in.refusal.status, INSPECT_TOO_LARGE);
	assert_string_equal(o.in.refusal.text, "2 pieces, above the limit of 1");
	one_free(&o);
	free(b.p);
	inspect_limits_set(&l, &(struct msg_inspect_options){ 0 });
	assert_int_equal(l.max_bytes, 96 << 20);
	assert_int_equal(l.max_files, 200000);
	assert_int_equal(l.max_pieces, 4000000);
	inspect_limits_set(&l, &(struct msg_inspect_options){ .max_bytes = UINT64_MAX, .max_files = UINT32_MAX, .max_pieces = UINT32_MAX });
	assert_int_equal(l.max_bytes, METAINFO_MAX_BYTES);
	assert_int_equal(l.max_files, METAINFO_MAX_FILES);
	assert_int_equal(l.max_pieces, METAINFO_MAX_PIECES);
}

/* More directories than files are allowed: as hostile as more files. */
static void test_directories_count(void **state)
{
	struct bytes b = bt("d(info)d(files)ld(length)i5e(path)l(a)(b)(c)(d)(e)(f)(x)eee(name)(n)" PIECES1 "ee");
	struct one o;

	(void)state;
	assert_true(one_run(&o, b.p, b.n, 6, 0));
	one_free(&o);
	assert_false(one_run(&o, b.p, b.n, 5, 0));
	assert_int_equal(o.in.refusal.status, INSPECT_TOO_LARGE);
	one_free(&o);
	free(b.p);
}

static void test_private(void **state)
{
	struct one o;

	(void)state;
	assert_true(run(&o, "d(info)d(length)i5e(name)(x)(private)i1e" PIECES1 "ee"));
	assert_true(o.m.h->flags & METAINFO_PRIVATE);
	assert_true(warned(&o, "private, but no usable tracker"));
	one_free(&o);
	assert_true(run(&o, "d(info)d(length)i5e(name)(x)(private)i0e" PIECES1 "ee"));
	assert_false(o.m.h->flags & METAINFO_PRIVATE);
	one_free(&o);
	assert_true(run(&o, "d(info)d(length)i5e(name)(x)(private)(0)" PIECES1 "ee"));
	assert_true(o.m.h->flags & METAINFO_PRIVATE);
	assert_true(warned(&o, "neither 0 nor 1"));
	one_free(&o);
	assert_true(run(&o, "d(info)d(length)i5e(name)(x)(private)i2e" PIECES1 "ee"));
	assert_true(o.m.h->flags & METAINFO_PRIVATE);
	one_free(&o);
	assert_true(run(&o, "d(info)d(length)i5e(name)(x)" PIECES1 "e(private)i1ee"));
	assert_false(o.m.h->flags & METAINFO_PRIVATE);
	assert_true(warned(&o, "outside the info dictionary"));
	one_free(&o);
}

static void test_attributes(void **state)
{
	const struct metainfo_file *f;
	struct one o;

	(void)state;
	assert_true(run(&o, "d(info)d(files)l"
			    "d(attr)(p)(length)i3e(path)l(.pad)(3)ee"
			    "d(attr)(xh?)(length)i1e(path)l(run)ee"
			    "d(attr)(l)(path)l(link)e(symlink path)l(..)(..)(etc)ee"
			    "d(attr)(lp)(length)i9e(path)l(link2)ee"
			    "d(attr)i1e(length)i1e(path)l(.pad)(1)ee"
			    "e(name)(x)" PIECES1 "ee"));
	f = metainfo_files(&o.m);
	assert_int_equal(f[0].flags, METAINFO_FILE_PAD);
	assert_int_equal(f[1].flags, METAINFO_FILE_EXEC | METAINFO_FILE_HIDDEN);
	assert_int_equal(f[2].flags, METAINFO_FILE_SYMLINK);
	assert_int_equal(f[2].length, 0);
	assert_int_equal(f[3].flags, METAINFO_FILE_SYMLINK);
	assert_int_equal(f[3].length, 0);
	assert_int_equal(f[4].flags, 0);
	assert_int_equal(o.m.h->total_length, 5);
	assert_true(warned(&o, "2 symbolic links: never created"));
	assert_true(warned(&o, "1 file marked as executable"));
	assert_true(warned(&o, "1 file marked as hidden"));
	assert_true(warned(&o, "1 padding file: never"));
	assert_true(warned(&o, "1 file named like padding but not marked as such: an ordinary file"));
	assert_true(warned(&o, "symbolic link with a length"));
	one_free(&o);
	assert_refused("d(info)d(attr)(l)(length)i5e(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "symbolic link");
	assert_refused("d(info)d(attr)(p)(length)i5e(name)(x)" PIECES1 "ee", INSPECT_MALFORMED, "padding");
	/* The path of a link is checked although nothing is created. */
	assert_refused("d(info)d(files)ld(attr)(l)(path)l(..)(a)eee(name)(x)" PIECES1 "ee", INSPECT_UNSAFE, "\"..\"");
}

static void test_version_two(void **state)
{
	struct one o;

	(void)state;
	assert_refused("d(info)d(file tree)d(x)d()d(length)i5eeee(meta version)i2e(name)(x)(piece length)i16384eee", INSPECT_NOT_YET, "v2");
	assert_refused("d(info)d(file tree)de(name)(x)(piece length)i16384eee", INSPECT_NOT_YET, "v2");
	assert_refused("d(info)d(meta version)i3e(name)(x)(piece length)i16384eee", INSPECT_NOT_YET, "not supported yet");
	assert_true(run(&o, "d(info)d(file tree)d(x)d()d(length)i5eeee(length)i5e(meta version)i2e(name)(x)" PIECES1 "e(piece layers)dee"));
	assert_true(o.m.h->flags & METAINFO_HYBRID);
	assert_true(warned(&o, "hybrid"));
	one_free(&o);
	assert_true(run(&o, "d(info)d(length)i5e(meta version)i7e(name)(x)" PIECES1 "ee"));
	assert_false(o.m.h->flags & METAINFO_HYBRID);
	assert_true(warned(&o, "meta version 7"));
	one_free(&o);
}

static void test_tiers_are_kept(void **state)
{
	struct one o;

	(void)state;
	assert_true(run(&o, "d(announce)(http://ignored.example/)(announce-list)ll(http://a.example/ann)(udp://b.example:6969)el(https://c.example:8443/x)ee"
			    "(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_int_equal(o.m.h->tracker_count, 3);
	assert_string_equal(tracker(&o, 0), "http://a.example/ann");
	assert_int_equal(metainfo_trackers(&o.m)[0].port, 80);
	assert_int_equal(metainfo_trackers(&o.m)[1].tier, 0);
	assert_int_equal(metainfo_trackers(&o.m)[1].port, 6969);
	assert_int_equal(metainfo_trackers(&o.m)[1].scheme, METAINFO_UDP);
	assert_int_equal(metainfo_trackers(&o.m)[2].tier, 1);
	assert_int_equal(metainfo_trackers(&o.m)[2].port, 8443);
	assert_false(warned(&o, "tracker"));
	one_free(&o);
}

static void test_announce_stands_in_for_an_unusable_list(void **state)
{
	struct one o;

	(void)state;
	assert_true(run(&o, "d(announce)(http://a.example/ann)(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_string_equal(tracker(&o, 0), "http://a.example/ann");
	one_free(&o);
	assert_true(run(&o, "d(announce)(http://a.example/ann)(announce-list)le(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_int_equal(o.m.h->tracker_count, 1);
	one_free(&o);
	assert_true(run(&o, "d(announce)(http://a.example/ann)(announce-list)lleli1e()(nonsense)ee(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_int_equal(o.m.h->tracker_count, 1);
	assert_true(warned(&o, "no string"));
	assert_true(warned(&o, "without a scheme"));
	one_free(&o);
	assert_true(run(&o, "d(announce)i1e(announce-list)(x)(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_int_equal(o.m.h->tracker_count, 0);
	assert_true(warned(&o, "announce-list is no list"));
	assert_true(warned(&o, "announce is no string"));
	assert_true(warned(&o, "no usable tracker"));
	one_free(&o);
	assert_true(run(&o, "d(announce)(udp://a:1)(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_true(warned(&o, "no tracker but by UDP"));
	one_free(&o);
	assert_true(run(&o, "d(announce-list)ll(udp://a:1)el(http://a/)ee(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_false(warned(&o, "tracker"));
	one_free(&o);
}

static void test_odd_announce_entries_are_left_out_and_tiers_close_up(void **state)
{
	struct one o;

	(void)state;
	assert_true(run(&o, "d(announce-list)l"
			    "l()e"
			    "(http://bare.example/a)"
			    "i7e"
			    "l(wss://ws.example)e"
			    "l( http://spaces.example/a\n)(http://bare.example/a)(http://spaces.example/a)e"
			    "l(http://last.example)ee"
			    "(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_int_equal(o.m.h->tracker_count, 3);
	assert_string_equal(tracker(&o, 0), "http://bare.example/a");
	assert_string_equal(tracker(&o, 1), "http://spaces.example/a");
	assert_string_equal(tracker(&o, 2), "http://last.example");
	assert_int_equal(metainfo_trackers(&o.m)[0].tier, 0);
	assert_int_equal(metainfo_trackers(&o.m)[1].tier, 1);
	assert_int_equal(metainfo_trackers(&o.m)[2].tier, 2);
	assert_true(warned(&o, "outside a tier"));
	assert_true(warned(&o, "neither a list nor a string"));
	assert_true(warned(&o, "only http, https and udp are"));
	assert_int_equal(o.t.tracker_count, 4); /* `show` has the one that is not used, too */
	one_free(&o);
}

static void test_trackers_are_capped(void **state)
{
	struct bytes b = { NULL, 0 };
	char text[64];
	struct one o;
	unsigned i;

	(void)state;
	add(&b, "d13:announce-listl", 18);
	for (i = 0; i < 20000; i++) {
		int n = snprintf(text, sizeof text, "http://t%u.example/", i);

		add(&b, "l", 1);
		add_string(&b, text, (size_t)n);
		add(&b, "e", 1);
	}
	add(&b, "e4:infod6:lengthi5e4:name1:x12:piece lengthi16384e6:pieces20:" HASH20 "ee", 83);
	assert_true(run_bytes(&o, b));
	assert_int_equal(o.m.h->tracker_count, METAINFO_MAX_TRACKERS);
	assert_true(warned(&o, "more than 1024 trackers"));
	one_free(&o);
}

static void test_web_seeds(void **state)
{
	struct one o;

	(void)state;
	assert_true(run(&o, "d(httpseeds)l(http://old.example/seed)e(info)d(length)i5e(name)(x)" PIECES1 "e(url-list)(https://new.example/d/)e"));
	assert_int_equal(o.m.h->webseed_count, 2);
	assert_string_equal(webseed(&o, 0), "https://new.example/d/");
	assert_int_equal(metainfo_webseeds(&o.m)[0].tier, 0);
	assert_string_equal(webseed(&o, 1), "http://old.example/seed");
	assert_int_equal(metainfo_webseeds(&o.m)[1].tier, 1);
	one_free(&o);
	assert_true(run(&o, "d(httpseeds)l(http://a.example/)e(info)d(length)i5e(name)(x)" PIECES1 "e(url-list)l(http://a.example/)(http://a.example/)ee"));
	assert_int_equal(o.m.h->webseed_count, 2); /* one of each kind */
	one_free(&o);
	assert_true(run(&o, "d(httpseeds)i1e(info)d(length)i5e(name)(x)" PIECES1 "e(url-list)l()(ftp://a/b)i3e(http://a b/)(http://ok.example/a b)ee"));
	assert_int_equal(o.m.h->webseed_count, 1);
	assert_string_equal(webseed(&o, 0), "http://ok.example/a%20b");
	assert_true(warned(&o, "neither http nor https"));
	assert_true(warned(&o, "httpseeds is neither"));
	one_free(&o);
}

static void expect_url(const char *in, const char *out, const char *host, unsigned port, unsigned scheme)
{
	struct url u;
	const char *why = url_parse(&u, (const uint8_t *)in, strlen(in));

	if (why)
		fail_msg("%s: %s", in, why);
	assert_string_equal(u.text, out);
	assert_int_equal(u.length, strlen(out));
	assert_string_equal(u.host, host);
	assert_int_equal(u.host_length, strlen(host));
	assert_int_equal(u.port, port);
	assert_int_equal(u.scheme, scheme);
}

static void test_urls_are_taken_apart(void **state)
{
	(void)state;
	expect_url("http://Example.COM/A", "http://Example.COM/A", "example.com", 80, METAINFO_HTTP);
	expect_url("HTTPS://a", "https://a", "a", 443, METAINFO_HTTPS);
	expect_url("udp://a:1/announce", "udp://a:1/announce", "a", 1, METAINFO_UDP);
	expect_url("http://a:65535?x=1#frag", "http://a:65535?x=1", "a", 65535, METAINFO_HTTP);
	expect_url("http://a:/x", "http://a:/x", "a", 80, METAINFO_HTTP);
	expect_url("http://[2001:DB8::1]:8080/x", "http://[2001:DB8::1]:8080/x", "2001:db8::1", 8080, METAINFO_HTTP);
	expect_url("http://[::ffff:1.2.3.4]", "http://[::ffff:1.2.3.4]", "::ffff:1.2.3.4", 80, METAINFO_HTTP);
	expect_url("http://user:p:w@host:81/@x", "http://user:p:w@host:81/@x", "host", 81, METAINFO_HTTP);
	expect_url("http://a/b c\"\x01\xc3\xa9", "http://a/b%20c\"%01%C3%A9", "a", 80, METAINFO_HTTP);
	expect_url("http://a/%2e%zz", "http://a/%2e%zz", "a", 80, METAINFO_HTTP);
	expect_url("\t http://a/ \r\n", "http://a/", "a", 80, METAINFO_HTTP);
	expect_url("http://a/x\r\nHost: b", "http://a/x%0D%0AHost:%20b", "a", 80, METAINFO_HTTP);
	expect_url("wss://a.b", "wss://a.b", "a.b", 1, METAINFO_OTHER);
	expect_url("http://127.0.0.1/", "http://127.0.0.1/", "127.0.0.1", 80, METAINFO_HTTP);
	expect_url("http://a?b@c/d", "http://a?b@c/d", "a", 80, METAINFO_HTTP);
}

static void test_absurd_urls_are_refused(void **state)
{
	static const char *const bad[] = { "", "   ", "http", "http:", "http:/", "http:/a", "://a", "http://", "http:///x", "http://?x", "http://:80",
					   "http://@", "http://u@", "//a", "http://a:0", "http://a:65536", "http://a:99999999999", "http://a:8x", "http://a:-1",
					   "http://a\\@b", "http://a@b@c", "http://a@b\\c", "http://a b/", "http://a%2fb/", "http://caf\xc3\xa9/",
					   "http://a\x01/", "http://[::1", "http://[zz]", "http://[::1]x", "http://[::1%25eth0]", "http://[]",
					   "http://.a", "udp://a", "udp://a:/x", "javascript:alert(1)", "data:,x", "averyveryverylongscheme://a",
					   "http://a,b", "http://a;b", "http://a'b", "http://a*b" };
	static uint8_t longest[METAINFO_MAX_URL + 1];
	struct url u;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (!url_parse(&u, (const uint8_t *)bad[i], strlen(bad[i])))
			fail_msg("taken: %s", bad[i]);
	assert_non_null(url_parse(&u, (const uint8_t *)"http://a\0b/", 11));
	memset(longest, 'a', sizeof longest);
	memcpy(longest, "http://a/", 9);
	assert_null(url_parse(&u, longest, METAINFO_MAX_URL));
	assert_non_null(url_parse(&u, longest, METAINFO_MAX_URL + 1));
	longest[METAINFO_MAX_URL - 1] = ' ' | 0x80; /* needs three bytes where one is left */
	assert_non_null(url_parse(&u, longest, METAINFO_MAX_URL));
	memset(longest + 7, 'a', 256);
	longest[263] = '/';
	assert_non_null(url_parse(&u, longest, 300));
	longest[262] = '/';
	assert_null(url_parse(&u, longest, 300));
}

static void test_dates_are_judged(void **state)
{
	struct one o;

	(void)state;
	assert_true(run(&o, "d(creation date)i1600000000e(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_false(warned(&o, "date"));
	one_free(&o);
	assert_true(run(&o, "d(creation date)i1700090000e(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_true(warned(&o, "in the future"));
	one_free(&o);
	assert_true(run(&o, "d(creation date)i-1e(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_true(warned(&o, "out of range"));
	one_free(&o);
	assert_true(run(&o, "d(creation date)i9223372036854775807e(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_true(warned(&o, "out of range"));
	one_free(&o);
	assert_true(run(&o, "d(creation date)i0e(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_true(warned(&o, "before there was BitTorrent"));
	one_free(&o);
	assert_true(run(&o, "d(creation date)(now)(info)d(length)i5e(name)(x)" PIECES1 "ee"));
	assert_false(o.t.has_date);
	one_free(&o);
}

static void test_warnings_are_bounded(void **state)
{
	struct bytes b = { NULL, 0 };
	struct one o;
	unsigned i;

	(void)state;
	add(&b, "d13:announce-listl", 18);
	for (i = 0; i < 1000; i++)
		add(&b, "i1e", 3);
	add(&b, "e4:infod6:lengthi5e4:name1:x12:piece lengthi16384e6:pieces20:" HASH20 "ee", 83);
	assert_true(run_bytes(&o, b));
	assert_int_equal(o.in.warnings.count, 1001);
	one_free(&o);
}

/* Info-hashes as other clients compute them. */
static void test_real_torrents(void **state)
{
	static const struct {
		const char *file, *hash;
		uint64_t length;
		uint32_t pieces, files;
	} rows[] = {
		{ "alice", "722fe65b2aa26d14f35b4ad627d20236e481d924", 163783, 10, 1 },
		{ "bunny", "af8f10f30bf9aefecf3686922bfa0d5bd290a395", 434839491, 830, 1 },
		{ "folder", "b88da2caac6648e6c7d7687e3f89085f7e230e6b", 15, 1, 1 },
		{ "leaves", "d2474e86c95b19b8bcfdb92bc12c9d44667cfa36", 362017, 23, 1 },
		{ "leaves-metadata", "d2474e86c95b19b8bcfdb92bc12c9d44667cfa36", 362017, 23, 1 },
		{ "lots-of-numbers", "114ead6243792ba56297edbb9a78dfba84d4fc00", 12, 1, 6 },
		{ "numbers", "89d97c2261a21b040cf11caa661a3ba7233bb7e6", 6, 1, 3 },
		{ "sintel", "c334138ef5bfc2d568ea7324e0e2a3a7ec229bdd", 5490455272, 1310, 1 },
		{ "corrupt", NULL, 0, 0, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		static uint8_t bytes[65536];
		char path[512], hex[41];
		const char *slash = strrchr(__FILE__, '/');
		struct one o;
		ssize_t n;
		int fd;

		snprintf(path, sizeof path, "%.*s/data/%s.torrent", (int)(slash - __FILE__), __FILE__, rows[i].file);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		n = read(fd, bytes, sizeof bytes);
		close(fd);
		assert_true(n > 0 && n < (ssize_t)sizeof bytes);
		if (!rows[i].hash) {
			assert_false(one_run(&o, bytes, (size_t)n, 0, 0));
			one_free(&o);
			continue;
		}
		assert_true(one_run(&o, bytes, (size_t)n, 0, 0));
		hex_text(hex, o.m.h->info_hash, 20);
		assert_string_equal(hex, rows[i].hash);
		assert_true(o.m.h->total_length == rows[i].length);
		assert_int_equal(o.m.h->piece_count, rows[i].pieces);
		assert_int_equal(o.m.h->file_count, rows[i].files);
		one_free(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_file),
		cmocka_unit_test(test_many_files_follow_each_other),
		cmocka_unit_test(test_info_hash_is_over_the_original_bytes),
		cmocka_unit_test(test_sha1_is_sha1),
		cmocka_unit_test(test_the_frame_is_strict),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_lengths_are_strict),
		cmocka_unit_test(test_files_are_lists_of_dictionaries),
		cmocka_unit_test(test_paths_that_escape_are_refused),
		cmocka_unit_test(test_awkward_names_are_mapped),
		cmocka_unit_test(test_utf8_keys_are_preferred_when_usable),
		cmocka_unit_test(test_piece_length_is_within_bounds),
		cmocka_unit_test(test_piece_count_fits_the_length),
		cmocka_unit_test(test_zero_bytes_are_a_torrent),
		cmocka_unit_test(test_limits_are_options),
		cmocka_unit_test(test_directories_count),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_version_two),
		cmocka_unit_test(test_tiers_are_kept),
		cmocka_unit_test(test_announce_stands_in_for_an_unusable_list),
		cmocka_unit_test(test_odd_announce_entries_are_left_out_and_tiers_close_up),
		cmocka_unit_test(test_trackers_are_capped),
		cmocka_unit_test(test_web_seeds),
		cmocka_unit_test(test_urls_are_taken_apart),
		cmocka_unit_test(test_absurd_urls_are_refused),
		cmocka_unit_test(test_dates_are_judged),
		cmocka_unit_test(test_warnings_are_bounded),
		cmocka_unit_test(test_real_torrents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
