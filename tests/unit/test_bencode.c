/*
 * Units of ipc/bencode.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../ipc/bencode.c"

/* Checks a copy of exactly the given length, so that ASan sees a byte read behind it. */
static enum bencode_error check_at(const void *bytes, size_t length, size_t *offset)
{
	uint8_t *copy = malloc(length ? length : 1);
	struct bencode root;
	enum bencode_error e;

	if (length)
		memcpy(copy, bytes, length);
	e = bencode_check(copy, length, 1000000, &root, offset);
	free(copy);
	return e;
}
#define check(literal) check_at(literal, sizeof literal - 1, NULL)

static void test_every_type_is_read(void **state)
{
	(void)state;
	assert_int_equal(check("i0e"), BENCODE_OK);
	assert_int_equal(check("i-1e"), BENCODE_OK);
	assert_int_equal(check("0:"), BENCODE_OK);
	assert_int_equal(check("4:spam"), BENCODE_OK);
	assert_int_equal(check("le"), BENCODE_OK);
	assert_int_equal(check("de"), BENCODE_OK);
	assert_int_equal(check("d1:ai1e1:bl1:xi2eee"), BENCODE_OK);
}

static void test_integers_are_canonical_and_within_int64(void **state)
{
	struct bencode v;

	(void)state;
	assert_int_equal(bencode_check((const uint8_t *)"i9223372036854775807e", 21, 9, &v, NULL), BENCODE_OK);
	assert_true(v.integer == INT64_MAX);
	assert_int_equal(bencode_check((const uint8_t *)"i-9223372036854775808e", 22, 9, &v, NULL), BENCODE_OK);
	assert_true(v.integer == INT64_MIN);
	assert_int_equal(check("i9223372036854775808e"), BENCODE_RANGE);
	assert_int_equal(check("i-9223372036854775809e"), BENCODE_RANGE);
	assert_int_equal(check("i18446744073709551616e"), BENCODE_RANGE);
	assert_int_equal(check("i99999999999999999999999999999999e"), BENCODE_RANGE);
	assert_int_equal(check("i00e"), BENCODE_RANGE);
	assert_int_equal(check("i01e"), BENCODE_RANGE);
	assert_int_equal(check("i-0e"), BENCODE_RANGE);
	assert_int_equal(check("ie"), BENCODE_SYNTAX);
	assert_int_equal(check("i-e"), BENCODE_SYNTAX);
	assert_int_equal(check("i+1e"), BENCODE_SYNTAX);
	assert_int_equal(check("i1.5e"), BENCODE_SYNTAX);
	assert_int_equal(check("i 1e"), BENCODE_SYNTAX);
}

static void test_lengths_are_canonical_and_within_the_buffer(void **state)
{
	(void)state;
	assert_int_equal(check("5:spam"), BENCODE_TRUNCATED);
	assert_int_equal(check("04:spam"), BENCODE_RANGE);
	assert_int_equal(check("00:"), BENCODE_RANGE);
	assert_int_equal(check("18446744073709551615:x"), BENCODE_TRUNCATED);
	assert_int_equal(check("18446744073709551616:x"), BENCODE_RANGE);
	assert_int_equal(check("99999999999999999999999:x"), BENCODE_RANGE);
	assert_int_equal(check("4spam"), BENCODE_SYNTAX);
	assert_int_equal(check("-1:x"), BENCODE_SYNTAX);
}

static void test_every_truncation_is_found(void **state)
{
	static const char whole[] = "d1:ai-10e1:bl3:xyzi2ed0:deee1:c0:e";
	size_t i;

	(void)state;
	assert_int_equal(check_at(whole, sizeof whole - 1, NULL), BENCODE_OK);
	for (i = 0; i < sizeof whole - 1; i++)
		assert_int_equal(check_at(whole, i, NULL), BENCODE_TRUNCATED);
}

static void test_bytes_after_the_value_are_refused_and_a_prefix_is_not(void **state)
{
	struct bencode v;
	size_t offset = 0;

	(void)state;
	assert_int_equal(check_at("i1ex", 4, &offset), BENCODE_TRAILING);
	assert_int_equal(offset, 3);
	assert_int_equal(check("i1e\n"), BENCODE_TRAILING);
	assert_int_equal(check("dede"), BENCODE_TRAILING);
	assert_int_equal(bencode_check_prefix((const uint8_t *)"d1:ai1eetail", 12, 9, &v, &offset), BENCODE_OK);
	assert_int_equal(v.type, BENCODE_DICT);
	assert_int_equal(offset, 8);
}

static void test_syntax_errors_name_their_place(void **state)
{
	size_t offset = 0;

	(void)state;
	assert_int_equal(check("e"), BENCODE_SYNTAX);
	assert_int_equal(check("x"), BENCODE_SYNTAX);
	assert_int_equal(check("\xff"), BENCODE_SYNTAX);
	assert_int_equal(check_at("li1exe", 6, &offset), BENCODE_SYNTAX);
	assert_int_equal(offset, 4);
	assert_int_equal(check_at("d1:ai1e1:a0:e", 13, &offset), BENCODE_DUPLICATE);
	assert_int_equal(offset, 7);
}

static void test_keys_are_strings_and_have_values(void **state)
{
	(void)state;
	assert_int_equal(check("di1ei2ee"), BENCODE_KEY);
	assert_int_equal(check("dlei2ee"), BENCODE_KEY);
	assert_int_equal(check("d1:ae"), BENCODE_KEY);
	assert_int_equal(check("d1:ai1e1:be"), BENCODE_KEY);
	assert_int_equal(check("dxe"), BENCODE_SYNTAX);
}

static void test_duplicate_keys_are_found_in_any_order(void **state)
{
	(void)state;
	assert_int_equal(check("d1:ai1e1:ai1ee"), BENCODE_DUPLICATE);
	assert_int_equal(check("d1:bi1e1:ai1e1:bi1ee"), BENCODE_DUPLICATE);
	assert_int_equal(check("d0:i1e0:i2ee"), BENCODE_DUPLICATE);
	assert_int_equal(check("d1:bi1e1:ai1ee"), BENCODE_OK);
	assert_int_equal(check("ld1:bd1:ale1:a0:ei1e1:ai1eee"), BENCODE_DUPLICATE);
	assert_int_equal(check("d1:bd1:ai1ee1:ad1:ai1eee"), BENCODE_OK);
	assert_int_equal(check("d2:abi1e1:ai1e2:aai1e1:bi1e0:lee"), BENCODE_OK);
	assert_int_equal(check("d2:abi1e1:ai1e2:aai1e1:bi1e2:aalee"), BENCODE_DUPLICATE);
}

/* n keys from high to low, and the last one again when `twice`. */
static enum bencode_error check_falling(unsigned n, bool twice)
{
	size_t room = (size_t)(n + 2) * 16, used = 0;
	char *p = malloc(room);
	enum bencode_error e;
	unsigned i;

	p[used++] = 'd';
	for (i = n; i > 0; i--)
		used += (size_t)snprintf(p + used, room - used, "8:%08ui1e", i);
	if (twice)
		used += (size_t)snprintf(p + used, room - used, "8:%08ui1e", n / 2);
	p[used++] = 'e';
	e = check_at(p, used, NULL);
	free(p);
	return e;
}

static void test_keys_out_of_order_are_compared_up_to_a_cap(void **state)
{
	(void)state;
	assert_int_equal(check_falling(BENCODE_MAX_UNSORTED, false), BENCODE_OK);
	assert_int_equal(check_falling(BENCODE_MAX_UNSORTED - 1, true), BENCODE_DUPLICATE);
	assert_int_equal(check_falling(BENCODE_MAX_UNSORTED + 1, false), BENCODE_UNSORTED);
}

static void test_any_number_of_sorted_keys_is_fine(void **state)
{
	size_t room = 20000 * 16, used = 1;
	char *p = malloc(room);
	unsigned i;

	(void)state;
	p[0] = 'd';
	for (i = 0; i < 20000; i++)
		used += (size_t)snprintf(p + used, room - used, "8:%08ui1e", i);
	p[used++] = 'e';
	assert_int_equal(check_at(p, used, NULL), BENCODE_OK);
	free(p);
}

static void test_depth_is_capped(void **state)
{
	char nest[2 * (BENCODE_MAX_DEPTH + 1)];

	(void)state;
	memset(nest, 'l', BENCODE_MAX_DEPTH);
	memset(nest + BENCODE_MAX_DEPTH, 'e', BENCODE_MAX_DEPTH);
	assert_int_equal(check_at(nest, 2 * BENCODE_MAX_DEPTH, NULL), BENCODE_OK);
	memset(nest, 'l', BENCODE_MAX_DEPTH + 1);
	memset(nest + BENCODE_MAX_DEPTH + 1, 'e', BENCODE_MAX_DEPTH + 1);
	assert_int_equal(check_at(nest, sizeof nest, NULL), BENCODE_DEPTH);
}

static void test_tokens_are_capped(void **state)
{
	struct bencode v;

	(void)state;
	/* The list, three strings; an end is no token. */
	assert_int_equal(bencode_check((const uint8_t *)"l0:0:0:e", 8, 4, &v, NULL), BENCODE_OK);
	assert_int_equal(bencode_check((const uint8_t *)"l0:0:0:e", 8, 3, &v, NULL), BENCODE_TOKENS);
	assert_int_equal(bencode_check((const uint8_t *)"i1e", 3, 0, &v, NULL), BENCODE_TOKENS);
}

static void test_find_takes_only_keys_of_the_dictionary_itself(void **state)
{
	static const char text[] = "d1:ad4:name5:innere4:listl4:name5:wronge4:name5:outere";
	struct bencode root, v;

	(void)state;
	assert_int_equal(bencode_check((const uint8_t *)text, sizeof text - 1, 99, &root, NULL), BENCODE_OK);
	assert_true(bencode_find(&root, "name", &v));
	assert_int_equal(v.length, 5);
	assert_memory_equal(v.string, "outer", 5);
	assert_false(bencode_find(&root, "nam", &v));
	assert_false(bencode_find(&root, "outer", &v));
	assert_false(bencode_find_type(&root, "name", BENCODE_INT, &v));
	assert_true(bencode_find_type(&root, "list", BENCODE_LIST, &v));
	assert_false(bencode_find(&v, "name", &v));
}

static void test_iteration_gives_every_element_in_order(void **state)
{
	static const char text[] = "d1:bi7e1:ali1ei-2e0:d1:xleeee";
	struct bencode root, key = { 0 }, v = { 0 };
	struct bencode_iter it, inner;
	int64_t sum = 0;
	int n = 0;

	(void)state;
	assert_int_equal(bencode_check((const uint8_t *)text, sizeof text - 1, 99, &root, NULL), BENCODE_OK);
	bencode_iter_init(&it, &root);
	assert_true(bencode_next(&it, &key, &v));
	assert_memory_equal(key.string, "b", 1);
	assert_int_equal(v.integer, 7);
	assert_true(bencode_next(&it, &key, &v));
	assert_int_equal(v.type, BENCODE_LIST);
	bencode_iter_init(&inner, &v);
	while (bencode_next(&inner, NULL, &v)) {
		sum += v.type == BENCODE_INT ? v.integer : 0;
		n++;
	}
	assert_int_equal(n, 4);
	assert_int_equal(sum, -1);
	assert_false(bencode_next(&it, &key, &v));
	assert_false(bencode_next(&it, &key, &v));
	bencode_iter_init(&it, &key); /* a string holds nothing */
	assert_false(bencode_next(&it, NULL, &v));
}

/* A quadratic search would take minutes: many dictionaries at the cap, none sorted, keys alike but for their ends. */
static void test_hostile_dictionaries_cost_linear_time(void **state)
{
	size_t room = 24u << 20, used = 1;
	char *p = malloc(room);
	uint64_t begin = now_ms();
	struct bencode root;
	unsigned d, i;

	(void)state;
	p[0] = 'l';
	for (d = 0; d < 100; d++) {
		p[used++] = 'd';
		for (i = BENCODE_MAX_UNSORTED; i > 0; i--)
			used += (size_t)snprintf(p + used, room - used, "40:%040ule", i);
		p[used++] = 'e';
	}
	p[used++] = 'e';
	assert_int_equal(bencode_check((const uint8_t *)p, used, SIZE_MAX, &root, NULL), BENCODE_OK);
	assert_true(now_ms() - begin < 20000);
	free(p);
}

static void test_every_error_has_a_text(void **state)
{
	int e;

	(void)state;
	for (e = 0; e < BENCODE_ERRORS; e++)
		assert_non_null(bencode_error_text((enum bencode_error)e));
	assert_string_equal(bencode_error_text(BENCODE_ERRORS), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type_is_read),
		cmocka_unit_test(test_integers_are_canonical_and_within_int64),
		cmocka_unit_test(test_lengths_are_canonical_and_within_the_buffer),
		cmocka_unit_test(test_every_truncation_is_found),
		cmocka_unit_test(test_bytes_after_the_value_are_refused_and_a_prefix_is_not),
		cmocka_unit_test(test_syntax_errors_name_their_place),
		cmocka_unit_test(test_keys_are_strings_and_have_values),
		cmocka_unit_test(test_duplicate_keys_are_found_in_any_order),
		cmocka_unit_test(test_keys_out_of_order_are_compared_up_to_a_cap),
		cmocka_unit_test(test_any_number_of_sorted_keys_is_fine),
		cmocka_unit_test(test_depth_is_capped),
		cmocka_unit_test(test_tokens_are_capped),
		cmocka_unit_test(test_find_takes_only_keys_of_the_dictionary_itself),
		cmocka_unit_test(test_iteration_gives_every_element_in_order),
		cmocka_unit_test(test_hostile_dictionaries_cost_linear_time),
		cmocka_unit_test(test_every_error_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
