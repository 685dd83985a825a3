/*
 * test_record.c - the record of what is verified: what is believed of it, what makes it none,
 * and that a start reads only what it does not answer for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>

#include "disk_rig.h"

#define PIECE (64u * 1024u)
#define BUDGET (4u * PIECE)

static const struct fixture_file many[] = {
	{ "a/first", 100000, 0 }, { "a/empty", 0, 0 },    { "a/b/second", 300000, 0 }, { ".pad/9", 57536, METAINFO_FILE_PAD },
	{ "third", 1, 0 },        { "fourth", 70000, 0 },
};
#define PIECES 9u
/* Piece 1 is in first and second, 2 to 5 in second alone, 6 in second, third and fourth, 7 and 8 in fourth. */

static struct rig rig;

static int set_up(void **state)
{
	*state = &rig;
	rig_make(&rig, many, ARRAY_LEN(many), PIECE, false);
	rig_record(&rig);
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static void start(struct rig *r, bool existing, bool read_only)
{
	rig_start(r, existing, read_only, BUDGET);
	assert_true(rig_until(r, rig_told));
}

static void take(struct rig *r, uint32_t first, uint32_t count)
{
	uint32_t i;

	for (i = first; i < first + count; i++) {
		rig_piece(r, i);
		assert_true(rig_until(r, rig_idle));
	}
}

static void shut_down(struct rig *r)
{
	rig_shutdown(r);
	assert_int_equal(r->status, 0);
	rig_stop(r);
}

/* A sync in the middle, and then no orderly end. */
static void sync_and_die(struct rig *r)
{
	r->d.sync_at_ms = 0;
	assert_true(rig_turn(r));
	while (r->d.syncing)
		assert_true(rig_turn(r));
	rig_stop(r);
}

static void assert_read(struct rig *r, uint64_t checked, uint64_t known)
{
	assert_int_equal(r->d.check.checked_bytes, checked);
	assert_int_equal(r->d.known_bytes, known);
}

static void poke(struct rig *r, const char *path, off_t at)
{
	int fd = openat(r->root, path, O_WRONLY);
	const struct timespec later[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 4000000000, .tv_nsec = 0 } };

	assert_int_equal(pwrite(fd, "!", 1, at), 1);
	assert_int_equal(futimens(fd, later), 0);
	close(fd);
}

/* ---- the format */

static EVP_MD *sha1;

static void open_alone(struct record *r, int fd)
{
	if (!sha1)
		sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	record_init(r, dup(fd), &rig.m, sha1);
}

static void fill(struct record *r, uint32_t number)
{
	uint32_t i;

	for (i = 0; i < ARRAY_LEN(many); i++)
		record_files(r)[i] = (struct record_file){ .inode = 100 * number + i, .mtime_ns = number };
	memset(record_have(r), 0, bitfield_bytes(PIECES));
	bitfield_set(record_have(r), number % PIECES);
}

static void assert_holds(int fd, uint32_t number)
{
	struct record r;

	open_alone(&r, fd);
	assert_int_equal(record_load(&r), number != 0);
	assert_int_equal(r.sequence, number);
	if (number) {
		assert_int_equal(record_files(&r)[1].inode, 100 * number + 1);
		assert_int_equal(record_files(&r)[1].mtime_ns, number);
		assert_true(bitfield_get(record_have(&r), number % PIECES));
	}
	record_release(&r);
}

static void test_the_newest_that_was_stored_is_loaded(void **state)
{
	struct record r;
	struct stat st;
	uint32_t i;

	(void)state;
	open_alone(&r, rig.record);
	assert_false(record_load(&r));
	for (i = 1; i < 6; i++) {
		fill(&r, i);
		assert_int_equal(record_store(&r, i % 2 ? RECORD_CLEAN : 0), 0);
		assert_holds(rig.record, i);
	}
	record_release(&r);
	/* It has its room from the beginning. */
	assert_int_equal(fstat(rig.record, &st), 0);
	assert_int_equal(st.st_size, 2 * 4096);
}

/* Two slots, of which the one that `number` is in was changed: the other counts. */
static void test_each_changed_byte_leaves_the_copy_before(void **state)
{
	struct record r;
	uint32_t i;

	(void)state;
	open_alone(&r, rig.record);
	for (i = 1; i < 3; i++) {
		fill(&r, i);
		assert_int_equal(record_store(&r, 0), 0);
	}
	/* 2 is in slot 0. */
	for (i = 0; i < r.bytes; i++) {
		uint8_t was, is;

		assert_int_equal(pread(rig.record, &was, 1, i), 1);
		is = (uint8_t)(was ^ (1u << i % 8));
		assert_int_equal(pwrite(rig.record, &is, 1, i), 1);
		assert_holds(rig.record, 1);
		assert_int_equal(pwrite(rig.record, &was, 1, i), 1);
	}
	assert_holds(rig.record, 2);
	record_release(&r);
}

static void test_each_length_that_is_too_short_leaves_what_is_whole(void **state)
{
	struct record r;
	uint32_t i;
	off_t at;

	(void)state;
	open_alone(&r, rig.record);
	for (i = 1; i < 3; i++) {
		fill(&r, i);
		assert_int_equal(record_store(&r, 0), 0);
	}
	for (at = 2 * 4096; at >= 0; at--) {
		assert_int_equal(ftruncate(rig.record, at), 0);
		assert_holds(rig.record, at >= (off_t)r.bytes ? 2 : 0);
	}
	/* And it is written anew. */
	r.has_room = false;
	fill(&r, 3);
	assert_int_equal(record_store(&r, 0), 0);
	assert_holds(rig.record, 3);
	record_release(&r);
}

static void test_a_write_that_failed_goes_to_the_same_slot_again(void **state)
{
	struct record r;
	int writable;

	(void)state;
	open_alone(&r, rig.record);
	fill(&r, 1);
	assert_int_equal(record_store(&r, 0), 0);
	writable = r.fd;
	r.fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	fill(&r, 2);
	assert_int_equal(record_store(&r, 0), -1);
	assert_int_equal(errno, ENOSPC);
	close(r.fd);
	r.fd = writable;
	assert_int_equal(r.sequence, 1);
	assert_holds(rig.record, 1);
	assert_int_equal(record_store(&r, 0), 0);
	assert_holds(rig.record, 2);
	record_release(&r);
}

static void test_one_of_another_torrent_counts_as_none(void **state)
{
	struct metainfo_header *h = (struct metainfo_header *)(uintptr_t)rig.m.h;
	struct metainfo_header was = *h;
	struct record r;

	(void)state;
	open_alone(&r, rig.record);
	fill(&r, 1);
	assert_int_equal(record_store(&r, 0), 0);
	record_release(&r);
	h->info_hash[19] ^= 1;
	assert_holds(rig.record, 0);
	*h = was;
	h->total_length--;
	assert_holds(rig.record, 0);
	*h = was;
	h->piece_length++;
	assert_holds(rig.record, 0);
	*h = was;
	assert_holds(rig.record, 1);
}

static void test_a_bit_beyond_the_last_piece_makes_it_none(void **state)
{
	struct record r;

	(void)state;
	open_alone(&r, rig.record);
	fill(&r, 1);
	bitfield_set(record_have(&r), PIECES);
	assert_int_equal(record_store(&r, 0), 0);
	assert_holds(rig.record, 0);
	record_release(&r);
}

/* ---- starts */

static void test_after_an_orderly_end_nothing_is_read(void **state)
{
	struct rig *r = *state;

	start(r, false, false);
	take(r, 1, 3);
	shut_down(r);
	start(r, true, false);
	assert_int_equal(r->have_end, 3);
	assert_true(bitfield_get(r->have, 1) && bitfield_get(r->have, 2) && bitfield_get(r->have, 3));
	assert_read(r, 0, r->m.h->total_length);
	take(r, 0, 1);
	take(r, 4, 5);
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
	assert_true(rig_files_good(r));
}

static void test_a_finished_download_is_given_without_being_read(void **state)
{
	struct rig *r = *state;

	start(r, false, false);
	take(r, 0, PIECES);
	assert_true(rig_until(r, rig_completed));
	/* Nothing of an orderly end: it may be killed from here on. */
	rig_stop(r);
	start(r, true, true);
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
	assert_read(r, 0, r->m.h->total_length);
}

static void test_what_was_not_recorded_before_a_death_is_looked_for(void **state)
{
	struct rig *r = *state;

	start(r, false, false);
	take(r, 2, 2);
	sync_and_die(r);
	start(r, true, false);
	assert_int_equal(r->have_end, 2);
	/* What is recorded of these files is believed, the rest is looked at. */
	assert_read(r, r->m.h->total_length - 2 * PIECE, 2 * PIECE);
	take(r, 4, 1);
	rig_stop(r);
	start(r, true, false);
	assert_int_equal(r->have_end, 3);
	assert_true(bitfield_get(r->have, 4));
}

static void test_clean_is_off_the_disk_before_a_block_is_taken(void **state)
{
	struct rig *r = *state;
	struct record seen;

	start(r, false, false);
	take(r, 2, 1);
	shut_down(r);
	open_alone(&seen, r->record);
	assert_true(record_load(&seen) && record_header(&seen)->flags & RECORD_CLEAN);
	start(r, true, false);
	assert_true(record_load(&seen) && !(record_header(&seen)->flags & RECORD_CLEAN));
	assert_true(bitfield_get(record_have(&seen), 2));
	record_release(&seen);
	take(r, 3, 1);
	rig_stop(r);
	start(r, true, false);
	assert_int_equal(r->have_end, 2);
}

static void test_a_file_that_changed_is_read_and_no_other(void **state)
{
	struct rig *r = *state;

	start(r, false, false);
	take(r, 0, PIECES);
	assert_true(rig_until(r, rig_completed));
	shut_down(r);
	poke(r, "fourth", 60000);
	start(r, true, false);
	assert_int_equal(r->have_end, PIECES - 1);
	assert_false(bitfield_get(r->have, 7));
	assert_read(r, 2 * PIECE + metainfo_piece_bytes(&r->m, 8), 6 * PIECE);
	rig_stop(r);
	/* A piece that is in two files is read when one of them changed. */
	poke(r, "a/first", 10);
	start(r, true, false);
	assert_false(bitfield_get(r->have, 0));
	assert_true(bitfield_get(r->have, 1));
}

static void test_a_file_that_is_gone_or_shorter_is_found_out(void **state)
{
	struct rig *r = *state;
	int fd;

	start(r, false, false);
	take(r, 0, PIECES);
	assert_true(rig_until(r, rig_completed));
	shut_down(r);
	assert_int_equal(unlinkat(r->root, "third", 0), 0);
	fd = openat(r->root, "a/b/second", O_WRONLY);
	assert_int_equal(ftruncate(fd, 200000), 0);
	close(fd);
	start(r, true, false);
	assert_false(bitfield_get(r->have, 4) || bitfield_get(r->have, 5) || bitfield_get(r->have, 6));
	assert_int_equal(r->have_end, PIECES - 3);
}

static void test_a_check_that_was_asked_for_reads_all(void **state)
{
	struct rig *r = *state;

	start(r, false, false);
	take(r, 1, 3);
	shut_down(r);
	r->check_all = true;
	start(r, true, false);
	r->check_all = false;
	assert_int_equal(r->have_end, 3);
	assert_read(r, r->m.h->total_length, 0);
	/* And is recorded. */
	shut_down(r);
	start(r, true, false);
	assert_int_equal(r->have_end, 3);
	assert_read(r, 0, r->m.h->total_length);
}

static void test_what_a_seed_has_verified_is_known_the_next_time(void **state)
{
	struct rig *r = *state;

	start(r, false, false);
	take(r, 0, PIECES);
	assert_true(rig_until(r, rig_completed));
	rig_stop(r);
	rig_record(r);
	start(r, true, true);
	assert_true(rig_until(r, rig_completed));
	assert_read(r, r->m.h->total_length, 0);
	shut_down(r);
	start(r, true, true);
	assert_read(r, 0, r->m.h->total_length);
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
}

static void test_what_is_given_and_not_all_there_is_not_recorded(void **state)
{
	struct rig *r = *state;
	struct record seen;

	start(r, false, false);
	take(r, 0, PIECES);
	assert_true(rig_until(r, rig_completed));
	rig_stop(r);
	poke(r, "a/first", 10);
	rig_record(r);
	start(r, true, true);
	assert_int_equal(r->errors, 1);
	assert_int_equal(r->error.act, DISK_ACT_FOREIGN);
	rig_shutdown(r);
	rig_stop(r);
	open_alone(&seen, r->record);
	assert_false(record_load(&seen));
	record_release(&seen);
}

/* A read that fails in the check: what is there and was not looked at is not forgotten. */
static void test_a_check_that_failed_leaves_nothing_clean(void **state)
{
	struct rig *r = *state;
	struct record seen;

	start(r, false, false);
	take(r, 0, 5);
	shut_down(r);
	assert_int_equal(unlinkat(r->root, "fourth", 0) < 0 && errno != ENOENT, 0);
	assert_int_equal(mkdirat(r->root, "fourth", 0755), 0);
	start(r, true, false);
	assert_int_equal(r->errors, 1);
	assert_int_equal(r->error.act, DISK_ACT_FOREIGN);
	rig_shutdown(r);
	rig_stop(r);
	open_alone(&seen, r->record);
	assert_true(record_load(&seen));
	assert_false(record_header(&seen)->flags & RECORD_CLEAN);
	record_release(&seen);
	assert_int_equal(unlinkat(r->root, "fourth", AT_REMOVEDIR), 0);
	start(r, true, false);
	assert_int_equal(r->have_end, 5);
}

static void test_a_record_that_cannot_be_written_costs_one_warning(void **state)
{
	struct rig *r = *state;

	close(r->record);
	r->record = open("/dev/full", O_RDWR | O_CLOEXEC);
	start(r, false, false);
	take(r, 0, 4);
	assert_true(r->d.record_due);
	r->d.sync_at_ms = 0;
	assert_true(rig_turn(r));
	take(r, 4, 5);
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
	assert_int_equal(r->errors, 0);
	assert_int_equal(r->warnings, 1);
	assert_true(rig_files_good(r));
	shut_down(r);
}

static void test_one_file_is_recorded_as_well(void **state)
{
	static const struct fixture_file one[] = { { "name", 3 * PIECE + 5, 0 } };
	struct rig *r = *state;

	rig_free(r);
	rig_make(r, one, 1, PIECE, true);
	rig_record(r);
	r->single = openat(r->root, "part", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
	start(r, false, false);
	take(r, 0, 2);
	shut_down(r);
	start(r, true, false);
	assert_int_equal(r->have_end, 2);
	assert_read(r, 0, r->m.h->total_length);
	poke(r, "part", 70000);
	shut_down(r);
	poke(r, "part", 70001);
	start(r, true, false);
	assert_int_equal(r->have_end, 1);
	assert_true(bitfield_get(r->have, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_newest_that_was_stored_is_loaded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_changed_byte_leaves_the_copy_before, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_length_that_is_too_short_leaves_what_is_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_write_that_failed_goes_to_the_same_slot_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_of_another_torrent_counts_as_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_bit_beyond_the_last_piece_makes_it_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_after_an_orderly_end_nothing_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_finished_download_is_given_without_being_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_was_not_recorded_before_a_death_is_looked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clean_is_off_the_disk_before_a_block_is_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file_that_changed_is_read_and_no_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file_that_is_gone_or_shorter_is_found_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_check_that_was_asked_for_reads_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_a_seed_has_verified_is_known_the_next_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_given_and_not_all_there_is_not_recorded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_check_that_failed_leaves_nothing_clean, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_record_that_cannot_be_written_costs_one_warning, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_file_is_recorded_as_well, set_up, tear_down),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
