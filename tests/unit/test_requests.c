/* test_requests.c - what a peer asked of us: order, cancels, chokes, and the reads for it. */
#include "../../netproc/requests.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "requests_model.h"

#define K16 16384u

static struct model *m;

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

static struct request block(uint32_t piece, uint32_t begin)
{
	return (struct request){ .piece = piece, .begin = begin, .length = K16 };
}

/* Asks for `count` blocks of piece 0, and issues the reads for them. */
static void ask(uint32_t count, bool read)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		model_add(m, block(0, i * 512), true);
	for (i = 0; read && i < count; i++)
		model_read(m);
	model_check(m);
}

static void test_impossible_requests_are_lies(void **state)
{
	static const uint32_t rows[][3] = { { 0, 0, 0 }, { 0, 0, 131073 }, { 0, MODEL_PIECE_BYTES, 1 }, { 0, MODEL_PIECE_BYTES - 1, 2 },
		{ 0, UINT32_MAX, 2 }, { 0, 2, UINT32_MAX }, { MODEL_PIECES, 0, 1 }, { UINT32_MAX, 0, 1 }, { 5, 4999, 2 } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(requests_add(&m->q, rows[i][0], rows[i][1], rows[i][2], model_piece_bytes(rows[i][0]), true), REQUESTS_LIE);
	model_add(m, (struct request){ .begin = MODEL_PIECE_BYTES - 1, .length = 1 }, true);
	model_add(m, (struct request){ .length = 131072 }, true);
	assert_int_equal(requests_count(&m->q), 2);
	assert_int_equal(requests_add(&m->q, 1, 0, K16, MODEL_PIECE_BYTES, false), REQUESTS_NOT_HAD);
}

static void test_nothing_is_allocated_before_the_first_request(void **state)
{
	(void)state;
	assert_int_equal(requests_add(&m->q, 0, 0, K16, MODEL_PIECE_BYTES, false), REQUESTS_NOT_HAD);
	assert_false(requests_cancel(&m->q, 0, 0, K16));
	assert_null(requests_next_read(&m->q));
	assert_null(m->q.ring);
	ask(3, true);
	assert_non_null(m->q.ring);
	model_choke(m, NULL, 0);
	assert_null(m->q.ring);
}

static void test_the_queue_is_bounded_and_duplicates_are_not_queued(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < REQUESTS_MAX; i++)
		model_add(m, block(0, i), true);
	assert_int_equal(requests_add(&m->q, 0, i, K16, MODEL_PIECE_BYTES, true), REQUESTS_FULL);
	assert_int_equal(requests_add(&m->q, 0, 5, K16, MODEL_PIECE_BYTES, true), REQUESTS_DUPLICATE);
	assert_int_equal(requests_add(&m->q, 0, 5, K16 - 1, MODEL_PIECE_BYTES, true), REQUESTS_FULL);
	assert_int_equal(m->q.room, REQUESTS_MAX);
}

static void test_blocks_are_read_in_the_order_in_which_they_were_asked_for(void **state)
{
	uint32_t i;

	(void)state;
	model_add(m, (struct request){ .piece = 1, .begin = 5, .length = 131072 }, true);
	ask(7, false);
	for (i = 0; i < 8; i++)
		model_read(m);
	assert_int_equal(m->q.out_bytes, 131072 + 7 * K16);
	for (i = 0; i < 8; i++) {
		model_answer(m);
		model_check(m);
	}
	assert_int_equal(m->served, 8);
	assert_int_equal(m->q.out_bytes, 0);
}

static void test_the_read_of_what_was_cancelled_is_still_out(void **state)
{
	(void)state;
	ask(4, true);
	model_cancel(m, block(0, 0));
	model_cancel(m, block(0, 2 * 512));
	model_check(m);
	assert_int_equal(m->q.out_bytes, 4 * K16);
	assert_int_equal(m->q.asked, 2);
	model_cancel(m, block(0, 512 * 2)); /* again: unknown */
	model_cancel(m, (struct request){ .length = K16 - 1 });
	/* Asked for anew, it is another request, and the old read does not answer it. */
	model_add(m, block(0, 0), true);
	model_read(m);
	model_answer(m);
	assert_int_equal(m->served, 0);
	while (m->out)
		model_answer(m);
	assert_int_equal(m->served, 3);
}

static void test_an_answer_that_nobody_waits_for_changes_nothing(void **state)
{
	struct request r;

	(void)state;
	ask(2, true);
	assert_false(requests_answered(&m->q, 2, 0, &r)); /* not its turn */
	assert_false(requests_answered(&m->q, 77, 0, &r));
	assert_false(requests_answered(&m->q, 0, 0, &r));
	model_check(m);
}

static void test_a_choke_keeps_what_is_allowed_while_choked(void **state)
{
	static const uint32_t fast[] = { 4, 1 };
	uint32_t i;

	(void)state;
	for (i = 0; i < 5; i++)
		model_add(m, block(i, 0), true);
	model_read(m);
	model_read(m);
	model_choke(m, fast, 2);
	model_check(m);
	assert_int_equal(m->count, 2);
	assert_int_equal(m->asked, 1);
	assert_int_equal(m->list[0].piece, 1);
	assert_int_equal(m->list[1].piece, 4);
}

static void test_a_diskproc_that_died_costs_nothing_but_reads(void **state)
{
	(void)state;
	ask(5, true);
	model_answer(m);
	model_cancel(m, block(0, 2 * 512));
	model_forget(m, 0xff);
	model_check(m);
	assert_int_equal(m->q.out_bytes, 0);
	assert_int_equal(m->count, 3);
	model_read(m);
	model_forget(m, 0xfe);
	assert_int_equal(m->count, 0);
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
		for (i = 0; i < 300; i++)
			model_step(r, chance, &x);
		served += r->served;
		model_end(r);
	}
	assert_true(served > 1000);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_impossible_requests_are_lies),
		T(test_nothing_is_allocated_before_the_first_request),
		T(test_the_queue_is_bounded_and_duplicates_are_not_queued),
		T(test_blocks_are_read_in_the_order_in_which_they_were_asked_for),
		T(test_the_read_of_what_was_cancelled_is_still_out),
		T(test_an_answer_that_nobody_waits_for_changes_nothing),
		T(test_a_choke_keeps_what_is_allowed_while_choked),
		T(test_a_diskproc_that_died_costs_nothing_but_reads),
		cmocka_unit_test(test_random_orders_agree_with_the_model),
	};

	return cmocka_run_group_tests_name("requests", tests, NULL, NULL);
}
