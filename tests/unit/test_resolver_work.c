/*
 * test_resolver_work.c - the resolver's threads and jobs, with a name service
 * that answers as the test wants.
 */
#include <netdb.h>

int fake_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **list);
void fake_freeaddrinfo(struct addrinfo *list);

#define getaddrinfo fake_getaddrinfo
#define freeaddrinfo fake_freeaddrinfo
#include "../../parent/resolver/work.c"
#undef getaddrinfo
#undef freeaddrinfo

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* While it is held no question is answered. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

/* "none": EAI_NONAME.  "many": 40 addresses.  "odd": of a strange family, and cut short.  Others: 192.0.2.1 and ::1. */
int fake_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
	uint32_t i, n = strcmp(host, "many") == 0 ? 40 : 2;
	bool odd = strcmp(host, "odd") == 0;

	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	if (service || hints->ai_family != AF_UNSPEC || hints->ai_socktype != SOCK_STREAM || hints->ai_flags != 0)
		return EAI_SYSTEM;
	if (strcmp(host, "none") == 0)
		return EAI_NONAME;
	*list = NULL;
	for (i = 0; i < n; i++) {
		struct addrinfo *a = calloc(1, sizeof *a);
		struct sockaddr_in6 *s = calloc(1, sizeof *s);

		if (!a || !s)
			abort();
		a->ai_family = s->sin6_family = i % 2 ? AF_INET : AF_INET6;
		a->ai_addrlen = i % 2 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
		if (i % 2)
			((struct sockaddr_in *)s)->sin_addr.s_addr = htonl(0xc0000201);
		else
			s->sin6_addr = in6addr_loopback;
		if (odd)
			a->ai_addrlen = i % 2 ? sizeof(struct sockaddr_in) - 1 : 16;
		if (odd && i)
			a->ai_family = AF_UNIX;
		a->ai_addr = (struct sockaddr *)s;
		a->ai_next = *list;
		*list = a;
	}
	return 0;
}

void fake_freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;

		free(list->ai_addr);
		free(list);
		list = next;
	}
}

static struct work *w;

static bool ask(uint32_t tag, const char *host)
{
	struct msg_resolve m = { .tag = tag };

	memcpy(m.host, host, strlen(host));
	return work_ask(w, &m, 5);
}

static struct msg_resolved answer(void)
{
	struct msg_resolved m;
	uint32_t asker = 0;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		struct pollfd p = { .fd = work_fd(w), .events = POLLIN };

		if (work_take(w, &m, &asker)) {
			assert_int_equal(asker, 5);
			return m;
		}
		(void)poll(&p, 1, 100);
	}
	fail_msg("no answer");
	return m;
}

static void test_hosts_that_are_names_and_texts_that_are_not(void **state)
{
	static const char *const bad[] = { "", "a b", "a/b", "a:b", "a%b", "[::1]", "a\n", "\xc3\xa4", "a\x7f" };
	uint8_t host[HOST_MAX];
	size_t i;
	int c;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		memset(host, 0, sizeof host);
		memcpy(host, bad[i], strlen(bad[i]));
		assert_false(work_host_is_sound(host));
	}
	for (c = 1; c < 256; c++) {
		memset(host, 0, sizeof host);
		host[0] = (uint8_t)c;
		assert_int_equal(work_host_is_sound(host), c < 128 && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_", c));
	}
	memset(host, 'a', sizeof host);
	assert_false(work_host_is_sound(host));
	host[254] = 0;
	assert_false(work_host_is_sound(host));
	host[253] = 0;
	assert_true(work_host_is_sound(host));
}

static void test_answer_has_both_families_and_its_tag(void **state)
{
	struct msg_resolved m;

	(void)state;
	assert_true(ask(77, "two"));
	m = answer();
	assert_int_equal(m.tag, 77);
	assert_int_equal(m.status, 0);
	assert_int_equal(m.count, 2);
	assert_int_equal(m.addr[0].family, 4);
	assert_int_equal(m.addr[0].ip[0], 192);
	assert_int_equal(m.addr[1].family, 6);
	assert_int_equal(m.addr[1].ip[15], 1);
}

static void test_failures_are_positive_numbers(void **state)
{
	struct msg_resolved m;

	(void)state;
	assert_true(ask(1, "none"));
	m = answer();
	assert_int_equal(m.status, -EAI_NONAME);
	assert_int_equal(m.count, 0);
}

static void test_more_addresses_than_fit_are_cut(void **state)
{
	struct msg_resolved m;

	(void)state;
	assert_true(ask(1, "many"));
	m = answer();
	assert_int_equal(m.status, 0);
	assert_int_equal(m.count, RESOLVED_MAX);
}

static void test_addresses_of_other_shapes_are_left_out(void **state)
{
	struct msg_resolved m;

	(void)state;
	assert_true(ask(1, "odd"));
	m = answer();
	assert_int_equal(m.status, -EAI_NONAME);
	assert_int_equal(m.count, 0);
}

static void test_questions_are_bounded_and_each_is_answered_once(void **state)
{
	uint8_t answers[WORK_JOBS + 1] = { 0 };
	struct msg_resolved m;
	uint32_t i, asker;

	(void)state;
	pthread_mutex_lock(&gate);
	for (i = 1; i <= WORK_JOBS; i++)
		assert_true(ask(i, "two"));
	assert_false(ask(999, "two"));
	assert_false(work_take(w, &m, &asker));
	pthread_mutex_unlock(&gate);
	for (i = 0; i < WORK_JOBS; i++) {
		m = answer();
		assert_in_range(m.tag, 1, WORK_JOBS);
		answers[m.tag]++;
	}
	for (i = 1; i <= WORK_JOBS; i++)
		assert_int_equal(answers[i], 1);
	assert_false(work_take(w, &m, &asker));
	assert_true(ask(1000, "two"));
	assert_int_equal(answer().tag, 1000);
}

static int begin(void **state)
{
	(void)state;
	work_warm_up();
	w = work_new();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts_that_are_names_and_texts_that_are_not),
		cmocka_unit_test(test_answer_has_both_families_and_its_tag),
		cmocka_unit_test(test_failures_are_positive_numbers),
		cmocka_unit_test(test_more_addresses_than_fit_are_cut),
		cmocka_unit_test(test_addresses_of_other_shapes_are_left_out),
		cmocka_unit_test(test_questions_are_bounded_and_each_is_answered_once),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
