/* test_loop.c - sources and timers of netproc's loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../netproc/loop.c"

struct counted {
	struct loop *loop;
	struct loop_source source, *victim;
	struct loop_timer timer;
	uint32_t calls;
	uint64_t again_ms;
};

static void on_ready(void *arg, uint32_t events)
{
	struct counted *c = arg;

	(void)events;
	c->calls++;
	if (c->victim)
		loop_remove(c->loop, c->victim);
}

static void on_fire(void *arg)
{
	struct counted *c = arg;

	c->calls++;
	if (c->again_ms)
		loop_timer_set(c->loop, &c->timer, c->again_ms, on_fire, c);
}

static void test_a_source_removed_in_the_same_turn_is_not_called(void **state)
{
	struct loop *l = loop_new(4);
	struct counted a = { .loop = l }, b = { .loop = l };
	int p[2], q[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, q), 0);
	assert_int_equal(loop_add(l, &a.source, p[0], EPOLLIN, on_ready, &a), 0);
	assert_int_equal(loop_add(l, &b.source, q[0], EPOLLIN, on_ready, &b), 0);
	a.victim = &b.source;
	b.victim = &a.source;
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(write(q[1], "x", 1), 1);
	assert_int_equal(loop_turn(l, 100), 2);
	assert_int_equal(a.calls + b.calls, 1);
	loop_free(l);
}

static void test_places_are_bounded_and_come_back(void **state)
{
	struct loop *l = loop_new(2);
	struct counted c[3] = { { 0 } };
	int p[2], i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
		assert_int_equal(loop_add(l, &c[i].source, p[0], EPOLLIN, on_ready, &c[i]), i < 2 ? 0 : -1);
	}
	loop_remove(l, &c[0].source);
	loop_remove(l, &c[0].source);
	assert_int_equal(loop_add(l, &c[2].source, p[0], EPOLLIN, on_ready, &c[2]), 0);
	loop_free(l);
}

static void test_timers_fire_in_order_once_each(void **state)
{
	struct loop *l = loop_new(1);
	static struct counted c[500];
	uint64_t now = now_ms();
	uint32_t i, fired = 0;

	(void)state;
	for (i = 0; i < ARRAY_LEN(c); i++) {
		c[i].loop = l;
		loop_timer_set(l, &c[i].timer, now + (i * 7919u) % 500u, on_fire, &c[i]);
	}
	for (i = 0; i < ARRAY_LEN(c); i += 3)
		loop_timer_clear(l, &c[i].timer);
	for (i = 0; i < l->timers; i++)
		assert_true(i == 0 || l->heap[(i - 1) / 2]->due_ms <= l->heap[i]->due_ms);
	while (l->timers && now_ms() < now + 2000)
		loop_turn(l, 50);
	for (i = 0; i < ARRAY_LEN(c); i++) {
		assert_int_equal(c[i].calls, i % 3 ? 1 : 0);
		fired += c[i].calls;
	}
	assert_int_equal(fired, 333);
	loop_free(l);
}

static void test_a_timer_that_sets_itself_for_the_past_does_not_hang_the_turn(void **state)
{
	struct loop *l = loop_new(1);
	struct counted c = { .loop = l, .again_ms = 1 };

	(void)state;
	loop_timer_set(l, &c.timer, 1, on_fire, &c);
	loop_turn(l, 0);
	assert_int_equal(c.calls, 1);
	loop_turn(l, 1000);
	assert_int_equal(c.calls, 2);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_source_removed_in_the_same_turn_is_not_called),
		cmocka_unit_test(test_places_are_bounded_and_come_back),
		cmocka_unit_test(test_timers_fire_in_order_once_each),
		cmocka_unit_test(test_a_timer_that_sets_itself_for_the_past_does_not_hang_the_turn),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
