/* test_wire.c - the peer wire protocol as bytes: heads, limits, handshakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../netproc/wire.c"

#define BITS 4u

static struct wire_head h;

static enum wire_step step(const char *bytes, size_t n)
{
	return wire_head((const uint8_t *)bytes, n, BITS, &h);
}

static void test_nothing_is_said_before_the_length_is_there(void **state)
{
	(void)state;
	assert_int_equal(step("", 0), WIRE_NEED);
	assert_int_equal(h.bytes, 4);
	assert_int_equal(step("\0\0\0", 3), WIRE_NEED);
	assert_int_equal(step("\0\0\0\0", 4), WIRE_WHOLE);
	assert_int_equal(h.id, WIRE_KEEPALIVE);
	assert_int_equal(h.bytes, 4);
}

static void test_messages_of_fixed_size_have_exactly_that_size(void **state)
{
	static const struct { uint8_t id, payload; } rows[] = { { 0, 0 }, { 1, 0 }, { 2, 0 }, { 3, 0 }, { 4, 4 }, { 6, 12 }, { 8, 12 },
		{ 9, 2 }, { 13, 4 }, { 14, 0 }, { 15, 0 }, { 16, 12 }, { 17, 4 } };
	uint8_t m[32];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t length = 1u + rows[i].payload;

		memset(m, 0xab, sizeof m);
		put_be32(m, length);
		m[4] = rows[i].id;
		assert_int_equal(wire_head(m, 4 + length, BITS, &h), WIRE_WHOLE);
		assert_int_equal(h.id, rows[i].id);
		assert_int_equal(h.bytes, 4 + length);
		if (rows[i].payload)
			assert_int_equal(wire_head(m, 4 + length - 1, BITS, &h), WIRE_NEED);
		put_be32(m, length + 1);
		assert_int_equal(wire_head(m, sizeof m, BITS, &h), WIRE_BAD);
		if (rows[i].payload) {
			put_be32(m, length - 1);
			assert_int_equal(wire_head(m, sizeof m, BITS, &h), WIRE_BAD);
		}
		put_be32(m, UINT32_MAX);
		assert_int_equal(wire_head(m, sizeof m, BITS, &h), WIRE_BAD);
	}
}

static void test_a_request_names_piece_begin_and_length(void **state)
{
	uint8_t m[17];

	(void)state;
	assert_int_equal(wire_put_triple(m, WIRE_REQUEST, 7, 16384, 16383), 17);
	assert_int_equal(wire_head(m, 17, BITS, &h), WIRE_WHOLE);
	assert_int_equal(h.id, WIRE_REQUEST);
	assert_int_equal(h.piece, 7);
	assert_int_equal(h.begin, 16384);
	assert_int_equal(h.length, 16383);
}

static void test_a_block_of_more_than_16_kib_is_a_lie(void **state)
{
	uint8_t m[13] = { 0 };

	(void)state;
	m[4] = WIRE_PIECE;
	put_be32(m, 9 + 16384);
	assert_int_equal(wire_head(m, 13, BITS, &h), WIRE_BODY);
	assert_int_equal(h.body, 16384);
	assert_int_equal(h.bytes, 13);
	assert_int_equal(wire_head(m, 12, BITS, &h), WIRE_NEED);
	assert_int_equal(h.bytes, 13);
	put_be32(m, 9 + 16385);
	assert_int_equal(wire_head(m, 5, BITS, &h), WIRE_BAD);
	put_be32(m, 8);
	assert_int_equal(wire_head(m, 5, BITS, &h), WIRE_BAD);
	put_be32(m, 9);
	assert_int_equal(wire_head(m, 13, BITS, &h), WIRE_BODY);
	assert_int_equal(h.body, 0);
	put_be32(m, UINT32_MAX);
	assert_int_equal(wire_head(m, 5, BITS, &h), WIRE_BAD);
}

static void test_a_bitfield_has_one_legal_length(void **state)
{
	(void)state;
	assert_int_equal(step("\0\0\0\5\5", 5), WIRE_BODY);
	assert_int_equal(h.body, BITS);
	assert_int_equal(step("\0\0\0\4\5", 5), WIRE_BAD);
	assert_int_equal(step("\0\0\0\6\5", 5), WIRE_BAD);
	assert_int_equal(step("\0\0\0\1\5", 5), WIRE_BAD);
	assert_int_equal(step("\377\377\377\377\5", 5), WIRE_BAD);
}

static void test_unknown_messages_are_skipped_up_to_a_limit(void **state)
{
	uint8_t m[5] = { 0, 0, 0, 9, 77 };

	(void)state;
	assert_int_equal(wire_head(m, 5, BITS, &h), WIRE_BODY);
	assert_int_equal(h.body, 8);
	put_be32(m, 1 + WIRE_MAX_UNKNOWN);
	assert_int_equal(wire_head(m, 5, BITS, &h), WIRE_BODY);
	put_be32(m, 2 + WIRE_MAX_UNKNOWN);
	assert_int_equal(wire_head(m, 5, BITS, &h), WIRE_BAD);
}

static void test_an_extended_message_has_its_id_in_the_head(void **state)
{
	(void)state;
	assert_int_equal(step("\0\0\0\4\24\0xy", 8), WIRE_BODY);
	assert_int_equal(h.extended, 0);
	assert_int_equal(h.body, 2);
	assert_int_equal(h.bytes, 6);
	assert_int_equal(step("\0\0\0\4\24", 5), WIRE_NEED);
	assert_int_equal(step("\0\0\0\1\24", 5), WIRE_BAD);
}

static void test_a_handshake_says_what_both_offer(void **state)
{
	uint8_t out[68], hash[20], id[20];
	struct wire_handshake hs;

	(void)state;
	memset(hash, 1, 20);
	memset(id, 2, 20);
	wire_put_handshake(out, hash, id);
	assert_true(wire_parse_handshake(out, &hs));
	assert_memory_equal(hs.info_hash, hash, 20);
	assert_memory_equal(hs.peer_id, id, 20);
	assert_true(wire_offers_extended(&hs));
	assert_true(wire_offers_fast(&hs));
	out[5] ^= 1;
	assert_false(wire_parse_handshake(out, &hs));
}

static void test_what_we_send_is_read_back(void **state)
{
	uint8_t m[32];

	(void)state;
	assert_int_equal(wire_put_allowed_fast(m, 70000), 9);
	assert_int_equal(wire_head(m, 9, BITS, &h), WIRE_WHOLE);
	assert_int_equal(h.id, WIRE_ALLOWED_FAST);
	assert_int_equal(h.piece, 70000);
	assert_int_equal(wire_head((const uint8_t *)"\0\0\0\3\t\xfe\xdc", 7, BITS, &h), WIRE_WHOLE);
	assert_int_equal(h.id, WIRE_PORT);
	assert_int_equal(h.port, 0xfedc);
	assert_int_equal(wire_put_piece_head(m, 5, 32768, 16384), WIRE_PIECE_HEAD);
	assert_int_equal(wire_head(m, 13, BITS, &h), WIRE_BODY);
	assert_int_equal(h.id, WIRE_PIECE);
	assert_int_equal(h.piece, 5);
	assert_int_equal(h.begin, 32768);
	assert_int_equal(h.body, 16384);
}

static void test_our_hello_says_what_it_is_given(void **state)
{
	static const struct net_addr v6 = { .family = 6, .ip = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9 } };
	static const struct net_addr v4 = { .family = 4, .ip = { 192, 0, 2, 1 } };
	struct wire_hello hello = { .client = "0123456789012345678901234567890123456789012345678901234567890123",
				    .reqq = UINT32_MAX, .port = 65535, .upload_only = true, .yourip = &v6 };
	uint8_t out[WIRE_HELLO_MAX];
	struct wire_extended e;
	struct bencode root;
	size_t n = wire_put_hello(out, &hello);

	(void)state;
	assert_int_equal(get_be32(out), n - 4);
	assert_int_equal(bencode_check(out + 6, n - 6, 4096, &root, NULL), BENCODE_OK);
	assert_true(wire_parse_extended(out + 6, n - 6, &e));
	assert_int_equal(e.reqq, 65535);
	assert_int_equal(e.port, 65535);
	assert_true(e.says_upload_only && e.upload_only);
	assert_int_equal(e.yourip.family, 6);
	assert_memory_equal(e.yourip.ip, v6.ip, 16);
	assert_int_equal(strlen(e.client), 63); /* as much as is kept of any */
	assert_memory_equal(e.client, hello.client, 60);
	hello = (struct wire_hello){ .reqq = 500, .yourip = &v4 };
	n = wire_put_hello(out, &hello);
	assert_true(wire_parse_extended(out + 6, n - 6, &e));
	assert_int_equal(e.reqq, 500);
	assert_int_equal(e.port, 0);
	assert_true(e.says_upload_only && !e.upload_only);
	assert_int_equal(e.yourip.family, 4);
	assert_memory_equal(e.yourip.ip, v4.ip, 4);
	assert_string_equal(e.client, "");
}

static void test_values_of_an_extended_handshake_are_bounded(void **state)
{
	static const char huge[] = "d4:reqqi9223372036854775807e1:v3:\033[2e";
	static const char negative[] = "d4:reqqi-5ee";
	static const char list[] = "le";
	static const char addresses[] = "d1:pi65536e11:upload_only1:16:yourip5:abcdee";
	static const char none[] = "d1:pi0e6:yourip0:e";
	struct wire_extended e;

	(void)state;
	assert_true(wire_parse_extended((const uint8_t *)huge, sizeof huge - 1, &e));
	assert_int_equal(e.reqq, 65535);
	assert_string_equal(e.client, "\\x1b[2");
	assert_true(wire_parse_extended((const uint8_t *)negative, sizeof negative - 1, &e));
	assert_int_equal(e.reqq, 0);
	assert_true(wire_parse_extended((const uint8_t *)addresses, sizeof addresses - 1, &e));
	assert_int_equal(e.port, 0);
	assert_false(e.says_upload_only || e.upload_only);
	assert_int_equal(e.yourip.family, 0);
	assert_true(wire_parse_extended((const uint8_t *)none, sizeof none - 1, &e));
	assert_int_equal(e.port, 0);
	assert_int_equal(e.yourip.family, 0);
	assert_false(wire_parse_extended((const uint8_t *)list, sizeof list - 1, &e));
	assert_false(wire_parse_extended((const uint8_t *)"d", 1, &e));
	assert_false(wire_parse_extended((const uint8_t *)"", 0, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_said_before_the_length_is_there),
		cmocka_unit_test(test_messages_of_fixed_size_have_exactly_that_size),
		cmocka_unit_test(test_a_request_names_piece_begin_and_length),
		cmocka_unit_test(test_a_block_of_more_than_16_kib_is_a_lie),
		cmocka_unit_test(test_a_bitfield_has_one_legal_length),
		cmocka_unit_test(test_unknown_messages_are_skipped_up_to_a_limit),
		cmocka_unit_test(test_an_extended_message_has_its_id_in_the_head),
		cmocka_unit_test(test_a_handshake_says_what_both_offer),
		cmocka_unit_test(test_what_we_send_is_read_back),
		cmocka_unit_test(test_our_hello_says_what_it_is_given),
		cmocka_unit_test(test_values_of_an_extended_handshake_are_bounded),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
