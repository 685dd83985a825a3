/* test_requests.c - what a peer asked of us: order, cancels, chokes, slots and partial writes. */
#include "../../netproc/requests.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "requests_model.h"

#define K16 16384u

static struct model *m;
static struct requests_freed freed;

static int set_up(void **state)
{
	(void)state;
	m = model_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	model_check(m);
	model_end(m);
	return 0;
}

/* For tests that go past the model. */
static int throw_away(void **state)
{
	(void)state;
	requests_check(&m->q);
	requests_clear(&m->q);
	free(m);
	return 0;
}

/* Asks for `count` blocks of piece 0, issues their reads and answers them. */
static void ask(uint32_t count, bool read, bool answer)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		model_add(m, (struct request){ 0, i * 512, K16 }, true);
	for (i = 0; read && i < count; i++)
		model_read(m, REQUESTS_PARTS);
	for (i = 0; answer && i < count; i++)
		model_answer(m, 0, false);
	model_check(m);
}

static void test_impossible_requests_are_lies(void **state)
{
	static const struct request rows[] = { { 0, 0, 0 }, { 0, 0, 131073 }, { 0, MODEL_PIECE_BYTES, 1 }, { 0, MODEL_PIECE_BYTES - 1, 2 },
		{ 0, UINT32_MAX, 2 }, { 0, 2, UINT32_MAX }, { MODEL_PIECES, 0, 1 }, { UINT32_MAX, 0, 1 }, { 5, 4999, 2 } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(requests_add(&m->q, rows[i].piece, rows[i].begin, rows[i].length, model_piece_bytes(rows[i].piece), true),
				 REQUESTS_LIE);
	model_add(m, (struct request){ 0, MODEL_PIECE_BYTES - 1, 1 }, true);
	model_add(m, (struct request){ 0, 0, 131072 }, true);
	assert_int_equal(requests_count(&m->q), 2);
	assert_int_equal(requests_add(&m->q, 1, 0, K16, MODEL_PIECE_BYTES, false), REQUESTS_NOT_HAD);
}

static void test_nothing_is_allocated_before_the_first_request(void **state)
{
	struct requests_read r;
	static struct requests_iov iov;

	(void)state;
	assert_int_equal(requests_add(&m->q, 0, 0, K16, MODEL_PIECE_BYTES, false), REQUESTS_NOT_HAD);
	assert_int_equal(requests_cancel(&m->q, 0, 0, K16, &freed), REQUESTS_UNKNOWN);
	assert_false(requests_next_read(&m->q, 16, &r));
	assert_int_equal(requests_iov(&m->q, &m->slots, 16, SIZE_MAX, &iov), 0);
	requests_release(&m->q, &freed);
	assert_int_equal(freed.count, 0);
	assert_null(m->q.ring);
	assert_null(m->q.part);
	ask(3, true, true);
	assert_non_null(m->q.ring);
	model_choke(m, NULL, 0);
	assert_null(m->q.ring);
	assert_null(m->q.part);
}

static void test_the_queue_is_bounded_and_duplicates_are_not_queued(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < REQUESTS_MAX; i++)
		assert_int_equal(requests_add(&m->q, 0, i, K16, MODEL_PIECE_BYTES, true), REQUESTS_TAKEN);
	assert_int_equal(requests_add(&m->q, 0, i, K16, MODEL_PIECE_BYTES, true), REQUESTS_FULL);
	assert_int_equal(requests_add(&m->q, 0, 5, K16, MODEL_PIECE_BYTES, true), REQUESTS_DUPLICATE);
	assert_int_equal(requests_add(&m->q, 0, 5, K16 - 1, MODEL_PIECE_BYTES, true), REQUESTS_FULL);
	assert_int_equal(m->q.room, REQUESTS_MAX);
	requests_clear(&m->q);
}

static void test_blocks_go_out_as_asked_whatever_order_the_reads_come_in(void **state)
{
	uint32_t i;

	(void)state;
	ask(8, true, false);
	for (i = 7; i; i--) {
		/* model_read fills the table from its end. */
		model_answer(m, ARRAY_LEN(m->reads) - 1 - i, false);
		model_send(m, 16, SIZE_MAX, SIZE_MAX);
		assert_int_equal(m->messages, 0);
	}
	model_answer(m, 0, false);
	model_send(m, 16, SIZE_MAX, SIZE_MAX);
	assert_int_equal(m->messages, 8);
	assert_int_equal(m->count, 0);
}

static void test_reads_are_bounded_by_the_window(void **state)
{
	struct requests_read r;
	uint32_t i;

	(void)state;
	ask(20, false, false);
	for (i = 0; i < 4; i++)
		assert_true(requests_next_read(&m->q, 4, &r));
	assert_int_equal(r.begin, 3 * 512);
	assert_false(requests_next_read(&m->q, 4, &r));
	assert_true(requests_on_data(&m->q, 1, 0));
	assert_false(requests_next_read(&m->q, 4, &r));
	/* Asking and cancelling again and again has no more reads out. */
	assert_int_equal(requests_cancel(&m->q, 0, 512, K16, &freed), REQUESTS_CANCELLED);
	assert_int_equal(freed.count, 0);
	assert_false(requests_next_read(&m->q, 4, &r));
	assert_false(requests_on_data(&m->q, 2, 1));
	assert_true(requests_next_read(&m->q, 4, &r));
	assert_int_equal(r.begin, 4 * 512);
	/* An answer that nobody waits for changes nothing. */
	assert_false(requests_on_data(&m->q, 2, 1));
	assert_false(requests_on_data(&m->q, 77, 1));
	assert_false(requests_next_read(&m->q, 4, &r));
	requests_release(&m->q, &freed);
	assert_int_equal(freed.count, 1);
}

static void test_a_long_request_is_read_in_parts_and_sent_as_one(void **state)
{
	uint32_t i;

	(void)state;
	model_add(m, (struct request){ 1, 5, 131072 }, true);
	model_add(m, (struct request){ 1, 0, K16 + 1 }, true);
	for (i = 0; i < 10; i++)
		model_read(m, REQUESTS_PARTS);
	assert_int_equal(m->q.parts, 10);
	assert_int_equal(m->q.part[9].length, 1);
	for (i = 0; i < 10; i++)
		model_answer(m, i * 17, false);
	model_send(m, 3, SIZE_MAX, SIZE_MAX);
	assert_int_equal(m->sent, WIRE_PIECE_HEAD + 3 * K16);
	assert_true(requests_midway(&m->q));
	model_check(m);
	model_send(m, 16, SIZE_MAX, SIZE_MAX);
	assert_int_equal(m->messages, 2);
}

static void test_partial_writes_of_every_length(void **state)
{
	size_t n;

	(void)state;
	for (n = 1; n < 2 * (K16 + 13) + 3; n += n < 40 ? 1 : 1021) {
		ask(3, true, true);
		model_send(m, 16, SIZE_MAX, n);
		model_check(m);
		while (m->count) {
			model_send(m, 16, n, SIZE_MAX);
			model_check(m);
		}
	}
}

static void test_a_cancel_frees_its_slot_or_drops_the_read_when_it_comes(void **state)
{
	(void)state;
	ask(4, true, false);
	model_answer(m, 0, false); /* the last one's */
	model_cancel(m, (struct request){ 0, 3 * 512, K16 });
	model_cancel(m, (struct request){ 0, 512, K16 });
	model_check(m);
	assert_int_equal(m->q.lost, 1);
	assert_int_equal(m->q.parts, 2);
	model_cancel(m, (struct request){ 0, 512, K16 }); /* again: unknown */
	model_cancel(m, (struct request){ 0, 0, K16 - 1 });
	while (m->count) {
		model_answer(m, 0, false);
		model_send(m, 16, SIZE_MAX, SIZE_MAX);
	}
	assert_int_equal(m->messages, 2);
	model_answer(m, 0, false);
	assert_int_equal(m->q.lost, 0);
}

static void test_what_is_partly_sent_is_finished(void **state)
{
	(void)state;
	ask(3, true, true);
	model_send(m, 16, 1, SIZE_MAX); /* one byte of its head is enough */
	model_cancel(m, (struct request){ 0, 0, K16 });
	model_choke(m, NULL, 0);
	model_check(m);
	assert_int_equal(m->count, 1);
	model_send(m, 16, SIZE_MAX, SIZE_MAX);
	assert_int_equal(m->messages, 1);
	assert_false(requests_midway(&m->q));
}

static void test_a_choke_keeps_what_is_allowed_while_choked(void **state)
{
	static const uint32_t fast[] = { 4, 1 };

	(void)state;
	model_add(m, (struct request){ 0, 0, K16 }, true);
	model_add(m, (struct request){ 1, 0, K16 }, true);
	model_add(m, (struct request){ 2, 0, K16 }, true);
	model_add(m, (struct request){ 4, 0, K16 }, true);
	model_read(m, 16);
	model_read(m, 16);
	model_answer(m, 0, false);
	model_choke(m, fast, 2);
	model_check(m);
	assert_int_equal(m->count, 2);
	assert_int_equal(m->list[0].piece, 1);
	assert_int_equal(m->list[1].piece, 4);
}

static void test_a_slow_reader_holds_no_slot(void **state)
{
	(void)state;
	ask(5, true, true);
	model_send(m, 16, 1000, SIZE_MAX);
	assert_true(requests_sendable(&m->q));
	model_release(m);
	model_check(m);
	assert_false(requests_sendable(&m->q));
	/* The rest is read from where it stopped. */
	model_read(m, 1);
	assert_int_equal(m->q.part[0].at, 1000 - WIRE_PIECE_HEAD);
	assert_int_equal(m->q.part[0].length, K16 - (1000 - WIRE_PIECE_HEAD));
}

static void test_a_diskproc_that_died_costs_nothing_but_reads(void **state)
{
	(void)state;
	ask(5, true, false);
	model_answer(m, ARRAY_LEN(m->reads) - 5, false);
	model_answer(m, ARRAY_LEN(m->reads) - 1, false);
	model_send(m, 16, 5000, SIZE_MAX);
	model_forget(m, 0xff);
	model_check(m);
	assert_int_equal(m->q.lost, 0);
	assert_int_equal(m->count, 5);
}

static void test_a_failed_read_drops_its_request_or_ends_the_peer(void **state)
{
	struct requests_read r[3];
	struct request dropped;
	uint32_t i;

	(void)state;
	for (i = 0; i < 2; i++)
		requests_add(&m->q, i, 0, 2 * K16, MODEL_PIECE_BYTES, true);
	for (i = 0; i < 3; i++)
		requests_next_read(&m->q, 16, &r[i]);
	requests_on_data(&m->q, r[0].serial, 7);
	requests_on_data(&m->q, r[2].serial, 9);
	assert_int_equal(requests_on_failed(&m->q, r[1].serial, &dropped, &freed), REQUESTS_DROPPED);
	assert_int_equal(dropped.piece, 0);
	assert_int_equal(freed.count, 1);
	assert_int_equal(freed.slot[0], 7);
	assert_int_equal(m->q.lost, 0);
	assert_int_equal(requests_on_failed(&m->q, r[1].serial, &dropped, &freed), REQUESTS_GONE);
	assert_int_equal(requests_sent(&m->q, 20, &freed), 7);
	requests_next_read(&m->q, 16, &r[1]);
	assert_int_equal(requests_on_failed(&m->q, r[1].serial, &dropped, &freed), REQUESTS_STUCK);
}

/* Numbers from a generator as bytes: what the fuzzer does, without it. */
static uint32_t chance(void *arg)
{
	uint64_t *x = arg;

	*x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*x >> 56);
}

static void test_random_orders_agree_with_the_model(void **state)
{
	uint64_t x, served = 0;
	uint32_t run, i;

	(void)state;
	for (run = 0; run < 60; run++) {
		struct model *r = model_new();

		x = run + 1;
		for (i = 0; i < 300 && !r->stuck; i++)
			model_step(r, chance, &x);
		served += r->messages;
		model_end(r);
	}
	assert_true(served > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_impossible_requests_are_lies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_is_allocated_before_the_first_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_queue_is_bounded_and_duplicates_are_not_queued, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_blocks_go_out_as_asked_whatever_order_the_reads_come_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reads_are_bounded_by_the_window, set_up, throw_away),
		cmocka_unit_test_setup_teardown(test_a_long_request_is_read_in_parts_and_sent_as_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_partial_writes_of_every_length, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_cancel_frees_its_slot_or_drops_the_read_when_it_comes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_partly_sent_is_finished, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_choke_keeps_what_is_allowed_while_choked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_slow_reader_holds_no_slot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_diskproc_that_died_costs_nothing_but_reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_failed_read_drops_its_request_or_ends_the_peer, set_up, throw_away),
		cmocka_unit_test(test_random_orders_agree_with_the_model),
	};

	return cmocka_run_group_tests_name("requests", tests, NULL, NULL);
}
