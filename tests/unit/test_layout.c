/*
 * test_layout.c - which bytes of which files a piece is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../diskproc/layout.c"
#include "disk_fixture.h"

static struct metainfo form(const struct fixture_file *files, uint32_t count, uint32_t piece_length)
{
	struct metainfo m;

	fixture_form(&m, files, count, piece_length, false);
	return m;
}

static void expect(struct layout_walk *w, uint32_t file, bool pad, uint64_t offset, uint64_t length)
{
	struct span s;

	assert_true(layout_next(w, &s));
	assert_int_equal(s.file, file);
	assert_int_equal(s.pad, pad);
	assert_int_equal(s.offset, offset);
	assert_int_equal(s.length, length);
}

static void expect_end(struct layout_walk *w)
{
	struct span s;

	assert_false(layout_next(w, &s));
}

static void test_piece_inside_one_file_is_one_span(void **state)
{
	struct fixture_file f[] = { { "a", 100000, 0 } };
	struct metainfo m = form(f, 1, 32768);
	struct layout_walk w;

	(void)state;
	layout_seek(&w, &m, 32768, 32768);
	expect(&w, 0, false, 32768, 32768);
	expect_end(&w);
	layout_seek(&w, &m, 98304, metainfo_piece_bytes(&m, 3));
	expect(&w, 0, false, 98304, 1696);
	expect_end(&w);
	fixture_form_free(&m);
}

static void test_piece_over_three_files_is_three_spans(void **state)
{
	struct fixture_file f[] = { { "a", 10, 0 }, { "b", 20, 0 }, { "c", 30, 0 } };
	struct metainfo m = form(f, 3, 50);
	struct layout_walk w;

	(void)state;
	layout_seek(&w, &m, 0, 50);
	expect(&w, 0, false, 0, 10);
	expect(&w, 1, false, 0, 20);
	expect(&w, 2, false, 0, 20);
	expect_end(&w);
	layout_seek(&w, &m, 50, 10);
	expect(&w, 2, false, 20, 10);
	expect_end(&w);
	fixture_form_free(&m);
}

static void test_empty_files_and_symlinks_yield_no_span(void **state)
{
	struct fixture_file f[] = { { "e0", 0, 0 }, { "a", 10, 0 },  { "e1", 0, 0 }, { "l", 0, METAINFO_FILE_SYMLINK },
				    { "b", 10, 0 }, { "e2", 0, 0 } };
	struct metainfo m = form(f, 6, 20);
	struct layout_walk w;

	(void)state;
	layout_seek(&w, &m, 0, 20);
	expect(&w, 1, false, 0, 10);
	expect(&w, 4, false, 0, 10);
	expect_end(&w);
	/* At the border the second file is meant, not what is empty there. */
	layout_seek(&w, &m, 10, 1);
	expect(&w, 4, false, 0, 1);
	expect_end(&w);
	fixture_form_free(&m);
}

static void test_padding_is_part_of_the_piece_and_not_on_disk(void **state)
{
	struct fixture_file f[] = { { "a", 10, 0 }, { "pad", 22, METAINFO_FILE_PAD }, { "b", 10, 0 } };
	struct metainfo m = form(f, 3, 32);
	struct layout_walk w;

	(void)state;
	layout_seek(&w, &m, 0, 32);
	expect(&w, 0, false, 0, 10);
	expect(&w, 1, true, 0, 22);
	expect_end(&w);
	assert_int_equal(layout_disk_bytes(&m, 0, 42), 20);
	assert_int_equal(layout_disk_bytes(&m, 12, 5), 0);
	fixture_form_free(&m);
}

static void test_spans_of_all_pieces_cover_every_file_once(void **state)
{
	static const uint32_t piece_lengths[] = { 1, 7, 64, 1000, 4096 };
	struct fixture_file f[40];
	static char names[40][8];
	uint32_t i, k;

	(void)state;
	for (i = 0; i < 40; i++) {
		snprintf(names[i], sizeof names[i], "f%u", i);
		f[i] = (struct fixture_file){ names[i], (i * 7919u) % 257 * (i % 3), 0 };
	}
	for (k = 0; k < ARRAY_LEN(piece_lengths); k++) {
		struct metainfo m = form(f, 40, piece_lengths[k]);
		uint64_t seen[40] = { 0 };

		for (i = 0; i < m.h->piece_count; i++) {
			struct layout_walk w;
			struct span s;
			uint64_t bytes = 0;

			layout_seek(&w, &m, layout_piece_begin(&m, i), metainfo_piece_bytes(&m, i));
			while (layout_next(&w, &s)) {
				assert_int_equal(s.offset, seen[s.file]);
				seen[s.file] += s.length;
				bytes += s.length;
			}
			assert_int_equal(bytes, metainfo_piece_bytes(&m, i));
		}
		for (i = 0; i < 40; i++)
			assert_int_equal(seen[i], f[i].length);
		fixture_form_free(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_piece_inside_one_file_is_one_span),
		cmocka_unit_test(test_piece_over_three_files_is_three_spans),
		cmocka_unit_test(test_empty_files_and_symlinks_yield_no_span),
		cmocka_unit_test(test_padding_is_part_of_the_piece_and_not_on_disk),
		cmocka_unit_test(test_spans_of_all_pieces_cover_every_file_once),
	};

	return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
