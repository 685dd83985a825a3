/*
 * test_sha1_lanes.c - sixteen at once give what libcrypto gives one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "common.h"
#include "sha1_lanes.h"

static uint8_t bytes_of[SHA1_LANES][9000];

static int fill(void **state)
{
	(void)state;
	random_bytes(bytes_of, sizeof bytes_of);
	return 0;
}

static void compare(uint32_t count, size_t length)
{
	const uint8_t *data[SHA1_LANES];
	uint8_t got[SHA1_LANES][20], expected[20];
	uint32_t i;

	for (i = 0; i < count; i++)
		data[i] = bytes_of[i] + i; /* no alignment is needed */
	memset(got, 0, sizeof got);
	sha1_lanes(data, count, length, got);
	for (i = 0; i < count; i++) {
		assert_true(EVP_Digest(data[i], length, expected, NULL, EVP_sha1(), NULL));
		assert_memory_equal(got[i], expected, 20);
	}
	for (; i < SHA1_LANES; i++)
		assert_int_equal(got[i][0] | got[i][19], 0);
}

static void test_digests_equal_libcrypto_for_each_count_and_length(void **state)
{
	size_t length;
	uint32_t count;

	(void)state;
	if (!sha1_lanes_usable())
		skip();
	for (length = 0; length <= 260; length++)
		compare(SHA1_LANES, length);
	for (count = 1; count <= SHA1_LANES; count++) {
		compare(count, 64);
		compare(count, 8191);
	}
}

static void test_parts_give_the_digest_of_the_whole(void **state)
{
	static const size_t parts[] = { 64, 0, 4096, 128, 640 };
	const uint8_t *data[SHA1_LANES];
	uint8_t whole[SHA1_LANES][20], got[SHA1_LANES][20];
	struct sha1_lanes s;
	size_t rest, k;
	uint32_t i;

	(void)state;
	if (!sha1_lanes_usable())
		skip();
	for (rest = 0; rest < 130; rest += 5) {
		size_t bytes = 0;

		sha1_lanes_begin(&s);
		for (k = 0; k < ARRAY_LEN(parts); k++) {
			for (i = 0; i < SHA1_LANES; i++)
				data[i] = bytes_of[i] + bytes;
			sha1_lanes_more(&s, data, 9, parts[k]);
			bytes += parts[k];
		}
		for (i = 0; i < SHA1_LANES; i++)
			data[i] = bytes_of[i] + bytes;
		sha1_lanes_end(&s, data, 9, rest, got);
		for (i = 0; i < SHA1_LANES; i++)
			data[i] = bytes_of[i];
		sha1_lanes(data, 9, bytes + rest, whole);
		assert_memory_equal(got, whole, 9 * 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_digests_equal_libcrypto_for_each_count_and_length, fill),
		cmocka_unit_test_setup(test_parts_give_the_digest_of_the_whole, fill),
	};

	return cmocka_run_group_tests_name("sha1_lanes", tests, NULL, NULL);
}
