/* Slots: one writes, the other reads, and neither can change that or end the other. */
#include "../../ipc/slots.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT 4u
#define BYTES ((size_t)COUNT * SLOT_BYTES)

static void test_what_the_writer_puts_is_what_the_reader_sees(void **state)
{
	struct slots w, r;
	int fd = slots_create(&w, COUNT);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(slots_attach(&r, fd, COUNT), 0);
	slot_at(&w, 3)[SLOT_BYTES - 1] = 42;
	assert_int_equal(slot_at(&r, 3)[SLOT_BYTES - 1], 42);
	assert_ptr_not_equal(w.base, r.base);
	slots_detach(&r);
	slots_detach(&w);
	slots_detach(&w);
	close(fd);
}

static void test_reader_cannot_become_a_writer(void **state)
{
	struct slots w, r;
	char path[64];
	int fd = slots_create(&w, COUNT), again;

	(void)state;
	assert_int_equal(slots_attach(&r, fd, COUNT), 0);
	assert_int_equal(mprotect(r.base, BYTES, PROT_READ | PROT_WRITE), -1);
	assert_ptr_equal(mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
	assert_int_equal(madvise(r.base, 4096, MADV_REMOVE), -1);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	if (again >= 0) {
		assert_ptr_equal(mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
		assert_int_equal(pwrite(again, "x", 1, 0), -1);
		close(again);
	}
	slots_detach(&r);
	slots_detach(&w);
	close(fd);
}

static void test_nobody_can_resize_or_unseal(void **state)
{
	struct slots w;
	int fd = slots_create(&w, COUNT);

	(void)state;
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, (off_t)(2 * BYTES)), -1);
	assert_int_equal(fallocate(fd, 0, 0, (off_t)(2 * BYTES)), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(madvise(w.base, 4096, MADV_REMOVE), -1);
	w.base[0] = 1;
	slots_detach(&w);
	close(fd);
}

/* A memory file of a compromised writer, with these seals. */
static int forged(size_t bytes, int seals)
{
	int fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void assert_not_taken(int fd)
{
	struct slots r;

	assert_int_equal(slots_attach(&r, fd, COUNT), -1);
	assert_int_equal(errno, EPERM);
	close(fd);
}

static void test_reader_takes_nothing_that_could_shrink_under_it(void **state)
{
	(void)state;
	assert_not_taken(forged(BYTES, 0));
	assert_not_taken(forged(BYTES, SLOT_SEALS & ~F_SEAL_SHRINK));
	assert_not_taken(forged(BYTES, SLOT_SEALS & ~F_SEAL_GROW));
	assert_not_taken(forged(BYTES, SLOT_SEALS & ~F_SEAL_SEAL));
	assert_not_taken(forged(BYTES, SLOT_SEALS & ~F_SEAL_FUTURE_WRITE));
	assert_not_taken(forged(BYTES, (SLOT_SEALS & ~F_SEAL_FUTURE_WRITE) | F_SEAL_WRITE));
}

static void test_reader_takes_only_the_exact_size(void **state)
{
	(void)state;
	assert_not_taken(forged(BYTES - 1, SLOT_SEALS));
	assert_not_taken(forged(BYTES + 1, SLOT_SEALS));
	assert_not_taken(forged(0, SLOT_SEALS));
}

static void test_reader_takes_no_other_kind_of_file(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[1]);
	{
		struct slots r;

		assert_int_equal(slots_attach(&r, fds[0], COUNT), -1);
		assert_int_equal(slots_attach(&r, -1, COUNT), -1);
	}
	close(fds[0]);
	assert_not_taken(open("/dev/zero", O_RDWR | O_CLOEXEC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_writer_puts_is_what_the_reader_sees),
		cmocka_unit_test(test_reader_cannot_become_a_writer),
		cmocka_unit_test(test_nobody_can_resize_or_unseal),
		cmocka_unit_test(test_reader_takes_nothing_that_could_shrink_under_it),
		cmocka_unit_test(test_reader_takes_only_the_exact_size),
		cmocka_unit_test(test_reader_takes_no_other_kind_of_file),
	};

	return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
