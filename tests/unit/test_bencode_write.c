/*
 * Units of ipc/bencode_write.c: what it writes is what the reader accepts, and no byte goes beyond the buffer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../ipc/bencode_write.c"
#include "bencode.h"

static void put_all(struct bencode_out *o)
{
	bencode_begin_dict(o);
	bencode_put_text(o, "a");
	bencode_put_int(o, 0);
	bencode_put_text(o, "b");
	bencode_begin_list(o);
	bencode_put_int(o, INT64_MIN);
	bencode_put_int(o, INT64_MAX);
	bencode_put_string(o, "", 0);
	bencode_end(o);
	bencode_put_text(o, "c");
	bencode_put_string_head(o, 3);
	bencode_put_raw(o, "\0\1\2", 3);
	bencode_end(o);
}

static const char whole[] = "d1:ai0e1:bli-9223372036854775808ei9223372036854775807e0:e1:c3:\0\1\2e";
#define WHOLE (sizeof whole - 1)

static void test_every_type_is_written_as_the_reader_wants_it(void **state)
{
	struct bencode_out o;
	struct bencode root;
	uint8_t out[WHOLE];

	(void)state;
	bencode_out_init(&o, NULL, 99);
	put_all(&o);
	assert_int_equal(o.length, WHOLE);
	assert_false(bencode_out_fits(&o));
	bencode_out_init(&o, out, sizeof out);
	put_all(&o);
	assert_true(bencode_out_fits(&o));
	assert_memory_equal(out, whole, WHOLE);
	assert_int_equal(bencode_check(out, sizeof out, 100, &root, NULL), BENCODE_OK);
}

static void test_what_does_not_fit_is_left_out_and_nothing_follows_it(void **state)
{
	size_t room;

	(void)state;
	for (room = 0; room < WHOLE; room++) {
		uint8_t *out = malloc(room ? room : 1); /* of exactly this size, so that ASan sees a byte behind it */
		struct bencode_out o;
		size_t i, written;

		memset(out, 0xee, room ? room : 1);
		bencode_out_init(&o, out, room);
		put_all(&o);
		assert_int_equal(o.length, WHOLE);
		assert_false(bencode_out_fits(&o));
		for (written = 0; written < room && out[written] == (uint8_t)whole[written]; written++)
			;
		for (i = written; i < room; i++)
			assert_int_equal(out[i], 0xee);
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type_is_written_as_the_reader_wants_it),
		cmocka_unit_test(test_what_does_not_fit_is_left_out_and_nothing_follows_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
