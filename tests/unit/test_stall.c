/*
 * test_stall.c - what waits for space, and what does not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../diskproc/stall.c"

static struct job job_of(enum job_kind kind, uint32_t act, int error)
{
	return (struct job){ .kind = kind, .fault = { .act = act, .error = error } };
}

static void test_want_of_space_and_quota_wait_and_nothing_else(void **state)
{
	struct stall s = { .wanted = true };
	struct job space = job_of(JOB_VERIFY, DISK_ACT_WRITE, ENOSPC), quota = job_of(JOB_SPILL, DISK_ACT_SPILL, EDQUOT);
	struct job inodes = job_of(JOB_PREPARE, DISK_ACT_OPEN, ENOSPC), good = job_of(JOB_VERIFY, 0, 0);
	struct job broken = job_of(JOB_VERIFY, DISK_ACT_WRITE, EIO), large = job_of(JOB_VERIFY, DISK_ACT_WRITE, EFBIG);
	struct job sync = job_of(JOB_SYNC, DISK_ACT_SYNC, ENOSPC);

	(void)state;
	assert_true(stall_takes(&s, &space, 100));
	assert_true(stall_takes(&s, &quota, 200));
	assert_true(stall_takes(&s, &inodes, 300));
	assert_false(stall_takes(&s, &good, 300));
	assert_false(stall_takes(&s, &broken, 300));
	assert_false(stall_takes(&s, &large, 300));
	assert_false(stall_takes(&s, &sync, 300));
	assert_int_equal(s.count, 3);
	assert_int_equal(space.kind, JOB_WRITE);
	assert_int_equal(quota.kind, JOB_SPILL);
	assert_int_equal(s.due_ms, 100 + STALL_RETRY_MS);
}

static void test_unless_it_was_asked_for_want_of_space_is_a_fault(void **state)
{
	struct stall s = { 0 };
	struct job j = job_of(JOB_VERIFY, DISK_ACT_WRITE, ENOSPC);

	(void)state;
	assert_false(stall_takes(&s, &j, 0));
	assert_int_equal(j.kind, JOB_VERIFY);
	assert_int_equal(s.count, 0);
}

static void test_what_waits_is_tried_again_and_counts_until_it_comes_through(void **state)
{
	struct stall s = { .wanted = true };
	struct job a = job_of(JOB_VERIFY, DISK_ACT_WRITE, ENOSPC), b = a;
	struct job *list;

	(void)state;
	assert_true(stall_takes(&s, &a, 0));
	assert_true(stall_takes(&s, &b, 0));
	assert_null(stall_due(&s, STALL_RETRY_MS - 1));
	list = stall_due(&s, STALL_RETRY_MS);
	assert_ptr_equal(list, &b);
	assert_ptr_equal(b.others, &a);
	assert_null(a.others);
	assert_int_equal(a.fault.act, 0);
	assert_null(stall_due(&s, 10 * STALL_RETRY_MS));
	assert_int_equal(s.count, 2); /* it still waits, in the eyes of the user */
	b.fault = (struct fault){ .act = DISK_ACT_WRITE, .error = ENOSPC };
	assert_true(stall_takes(&s, &b, 5000));
	assert_int_equal(s.count, 2);
	assert_false(stall_takes(&s, &a, 5000));
	assert_int_equal(s.count, 1);
	assert_ptr_equal(stall_due(&s, 5000 + STALL_RETRY_MS), &b);
	assert_false(stall_takes(&s, &b, 9000));
	assert_int_equal(s.count, 0);
}

static void test_at_the_end_nothing_waits(void **state)
{
	struct stall s = { .wanted = true };
	struct job a = job_of(JOB_VERIFY, DISK_ACT_WRITE, ENOSPC), b = a;

	(void)state;
	assert_true(stall_takes(&s, &a, 0));
	assert_ptr_equal(stall_end(&s), &a);
	assert_null(stall_end(&s));
	assert_false(stall_takes(&s, &b, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_want_of_space_and_quota_wait_and_nothing_else),
		cmocka_unit_test(test_unless_it_was_asked_for_want_of_space_is_a_fault),
		cmocka_unit_test(test_what_waits_is_tried_again_and_counts_until_it_comes_through),
		cmocka_unit_test(test_at_the_end_nothing_waits),
	};

	return cmocka_run_group_tests_name("stall", tests, NULL, NULL);
}
