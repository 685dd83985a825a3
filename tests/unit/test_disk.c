/*
 * test_disk.c - diskproc's stages: what is there is checked, a netproc may come anew,
 * what the world refuses is told once, and the end is orderly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/resource.h>

#include "disk_rig.h"

#define PIECE (64u * 1024u)
#define BUDGET (4u * PIECE)

static const struct fixture_file many[] = {
	{ "a/first", 100000, 0 }, { "a/empty", 0, 0 }, { "a/b/second", 300000, 0 }, { ".pad/9", 57536, METAINFO_FILE_PAD },
	{ "third", 1, 0 }, { "fourth", 70000, 0 },
};
#define LAST_PIECE 8u

static struct rig rig;

static int make_many(void **state)
{
	*state = &rig;
	rig_make(&rig, many, ARRAY_LEN(many), PIECE, false);
	return 0;
}

static int stop(void **state)
{
	rig_free(*state);
	return 0;
}

static void start(struct rig *r, bool existing, bool read_only)
{
	rig_start(r, existing, read_only, BUDGET);
	assert_true(rig_until(r, rig_told));
}

static void finish(struct rig *r)
{
	uint32_t i;

	for (i = 0; i < r->m.h->piece_count; i++)
		if (!bitfield_get(r->have, i)) {
			rig_piece(r, i);
			assert_true(rig_until(r, rig_idle));
		}
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
	assert_int_equal(r->errors, 0);
	assert_true(rig_files_good(r));
}

static void poke(struct rig *r, const char *path, off_t at, const char *bytes)
{
	int fd = openat(r->root, path, O_WRONLY);

	assert_int_equal(pwrite(fd, bytes, strlen(bytes), at), strlen(bytes));
	close(fd);
}

static void test_interrupted_download_goes_on_after_a_check(void **state)
{
	struct rig *r = *state;

	start(r, false, false);
	rig_piece(r, 1);
	rig_piece(r, 4);
	assert_true(rig_until(r, rig_idle));
	rig_stop(r);
	start(r, true, false);
	assert_int_equal(r->have_end, 2);
	assert_true(bitfield_get(r->have, 1) && bitfield_get(r->have, 4));
	finish(r);
	assert_int_equal(r->progress.checked_bytes, r->m.h->total_length);
}

static void test_complete_download_completes_again_without_netproc_doing_anything(void **state)
{
	struct rig *r = *state;

	start(r, false, false);
	finish(r);
	rig_stop(r);
	start(r, true, false);
	assert_int_equal(r->have_end, r->m.h->piece_count);
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
}

static void test_check_finds_what_was_damaged(void **state)
{
	struct rig *r = *state;
	int fd;

	start(r, false, false);
	finish(r);
	rig_stop(r);
	poke(r, "a/b/second", 200000, "!"); /* payload 300000: piece 4 */
	fd = openat(r->root, "fourth", O_WRONLY);
	assert_int_equal(ftruncate(fd, 100), 0); /* the end of piece 6, pieces 7 and 8 */
	close(fd);
	assert_int_equal(unlinkat(r->root, "third", 0), 0);
	start(r, true, false);
	assert_false(bitfield_get(r->have, 4));
	assert_false(bitfield_get(r->have, 7));
	assert_false(bitfield_get(r->have, LAST_PIECE));
	assert_int_equal(r->have_end, 5);
	finish(r);
}

static void test_check_finds_the_same_one_by_one(void **state)
{
	struct rig *r = *state;

	r->one_by_one = true;
	test_check_finds_what_was_damaged(state);
	r->one_by_one = false;
}

/* What is behind its end may be somebody's: no piece says otherwise. */
static void test_longer_file_is_left_as_it_is(void **state)
{
	struct rig *r = *state;
	struct stat st;

	start(r, false, false);
	finish(r);
	rig_stop(r);
	poke(r, "fourth", 70000, "more");
	start(r, true, false);
	assert_true(rig_until(r, rig_failed));
	assert_int_equal(r->error.act, DISK_ACT_FOREIGN);
	assert_int_equal(r->error.error, EFBIG);
	assert_int_equal(fstatat(r->root, "fourth", &st, 0), 0);
	assert_int_equal(st.st_size, 70004);
}

static void test_holes_that_should_be_zeros_are_there_and_others_are_not(void **state)
{
	/* The padding makes pieces 1 and 2 all zeros but for one file that is a hole; piece 0 is data. */
	static const struct fixture_file zero[] = { { "data", PIECE, 0 }, { "pad", PIECE, METAINFO_FILE_PAD }, { "data2", 2 * PIECE, 0 } };
	struct rig *r = *state;
	int fd;

	stop(state);
	rig_make(r, zero, 3, PIECE, false);
	fd = openat(r->root, "data", O_CREAT | O_WRONLY, 0644);
	assert_int_equal(ftruncate(fd, PIECE), 0);
	close(fd);
	start(r, true, false);
	assert_int_equal(r->have_end, 1);
	assert_true(bitfield_get(r->have, 1)); /* nothing but padding */
	finish(r);
}

static void test_hole_is_taken_for_zeros_when_the_hash_says_so(void **state)
{
	static const struct fixture_file one[] = { { "zeros", 3 * PIECE, 0 } };
	struct rig *r = *state;
	uint8_t *zero = calloc(1, PIECE);
	int fd, i;

	stop(state);
	rig_make(r, one, 1, PIECE, false);
	for (i = 0; i < 3; i += 2)
		EVP_Digest(zero, PIECE, (uint8_t *)(uintptr_t)metainfo_hash(&r->m, (uint32_t)i), NULL, EVP_sha1(), NULL);
	free(zero);
	fd = openat(r->root, "zeros", O_CREAT | O_WRONLY, 0644);
	assert_int_equal(ftruncate(fd, 3 * PIECE), 0);
	close(fd);
	start(r, true, false);
	assert_int_equal(r->have_end, 2);
	assert_false(bitfield_get(r->have, 1));
}

static void test_finished_file_is_verified_and_nothing_is_touched(void **state)
{
	struct rig *r = *state;
	struct stat before, after;

	start(r, false, false);
	finish(r);
	rig_stop(r);
	assert_int_equal(fstatat(r->root, "a/first", &before, 0), 0);
	start(r, true, true);
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
	assert_int_equal(fstatat(r->root, "a/first", &after, 0), 0);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
	assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim);
}

static void test_finished_file_that_differs_is_foreign_and_stays_as_it_is(void **state)
{
	struct rig *r = *state;
	struct stat st;

	start(r, false, false);
	finish(r);
	rig_stop(r);
	poke(r, "a/first", 7, "!");
	assert_int_equal(unlinkat(r->root, "third", 0), 0);
	rig_start(r, true, true, BUDGET);
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 0);
	assert_int_equal(r->errors, 1);
	assert_int_equal(r->error.act, DISK_ACT_FOREIGN);
	assert_int_equal(fstatat(r->root, "third", &st, 0), -1);
}

static void test_finished_file_with_more_at_its_end_is_foreign(void **state)
{
	struct rig *r = *state;

	start(r, false, false);
	finish(r);
	rig_stop(r);
	poke(r, "fourth", 70000, "more");
	rig_start(r, true, true, BUDGET);
	assert_true(rig_until(r, rig_failed));
	assert_int_equal(r->error.act, DISK_ACT_FOREIGN);
	assert_int_equal(r->error.file, 5);
}

static void test_torrent_of_zero_bytes_completes_at_once(void **state)
{
	static const struct fixture_file none[] = { { "d/empty", 0, 0 }, { "also", 0, 0 } };
	struct rig *r = *state;

	stop(state);
	rig_make(r, none, 2, PIECE, false);
	start(r, false, false);
	assert_int_equal(r->have_end, 0);
	assert_true(rig_until(r, rig_completed));
	assert_int_equal(r->completes, 1);
	assert_true(rig_files_good(r));
}

static void test_single_file_is_written_through_its_descriptor_only(void **state)
{
	static const struct fixture_file one[] = { { "name", 5 * PIECE + 77, 0 } };
	struct rig *r = *state;

	stop(state);
	rig_make(r, one, 1, PIECE, true);
	r->single = openat(r->root, "elsewhere.part", O_CREAT | O_EXCL | O_RDWR, 0644);
	start(r, false, false);
	finish(r);
	assert_int_equal(faccessat(r->root, "name", F_OK, 0), -1);
}

static void test_symlink_in_the_way_is_told_once_and_holds_netproc(void **state)
{
	struct rig *r = *state;

	assert_int_equal(symlinkat("/tmp", r->root, "a"), 0);
	rig_start(r, true, false, BUDGET);
	assert_true(rig_until(r, rig_failed));
	assert_int_equal(r->error.act, DISK_ACT_FOREIGN);
	assert_int_equal(rig_turn(r) + rig_turn(r) + rig_turn(r), 3);
	assert_int_equal(r->errors, 1);
	assert_int_equal(rig_count(r, MSG_HOLD, UINT32_MAX), 1);
	assert_int_equal(r->have_end, UINT32_MAX);
}

static void test_write_that_fails_is_never_verified(void **state)
{
	struct rig *r = *state;
	struct rlimit old, small = { 1000, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	start(r, false, false);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	rig_piece(r, 3);
	assert_true(rig_until(r, rig_failed));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(r->error.error, EFBIG);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(rig_count(r, MSG_VERIFIED, UINT32_MAX), 0);
	assert_int_equal(r->d.store.verified_pieces, 0);
	assert_int_equal(rig_count(r, MSG_HOLD, UINT32_MAX), 1);
	/* Blocks that were under way are dropped, and their slots come back. */
	rig_piece(r, 4);
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(r->turn, DISK_GO_ON);
	assert_int_equal(rig_count(r, MSG_VERIFIED, UINT32_MAX), 0);
}

static void test_no_space_is_told_before_the_first_byte(void **state)
{
	struct rig *r = *state;
	struct statfs s;
	struct metainfo_header *h;
	struct metainfo_file *f;
	struct metainfo form;
	struct stat st;
	uint8_t *base;
	uint32_t pieces = 200000;

	/* A form that is larger than any disk here: its hashes match nothing. */
	if (fstatfs(r->root, &s) < 0 || !s.f_blocks)
		skip();
	base = calloc(1, sizeof *h + sizeof *f + 20ull * pieces + 16);
	h = (struct metainfo_header *)(void *)base;
	f = (struct metainfo_file *)(void *)(base + sizeof *h);
	h->piece_length = METAINFO_MAX_PIECE_LENGTH;
	h->piece_count = pieces;
	h->total_length = f->length = (uint64_t)pieces * h->piece_length;
	h->file_count = 1;
	h->files = sizeof *h;
	f->path.offset = (uint32_t)(sizeof *h + sizeof *f);
	f->path.length = 4;
	memcpy(base + f->path.offset, "huge", 5);
	h->hashes = f->path.offset + 8;
	form = (struct metainfo){ .h = h, .base = base, .bytes = h->hashes + 20ull * pieces };
	fixture_form_free(&r->m);
	r->m = form;
	free(r->have);
	r->have = calloc(1, bitfield_bytes(pieces));
	rig_start(r, false, false, BUDGET);
	assert_true(rig_until(r, rig_failed));
	assert_int_equal(r->error.act, DISK_ACT_SPACE);
	assert_int_equal(r->error.error, ENOSPC);
	assert_int_equal(fstatat(r->root, "huge", &st, 0), -1);
}

static void pass(struct rig *r, uint32_t what, int fd)
{
	struct msg_setup_fd m = { .what = what, .epoch = what == SETUP_DISK ? r->epoch : 0 };

	assert_int_equal(channel_push_fd(&r->control_end, MSG_SETUP_FD, &m, fd, true), 0);
}

static void test_new_netproc_is_told_all_that_is_verified(void **state)
{
	struct rig *r = *state;
	int net, slots;
	uint32_t i;

	start(r, false, false);
	rig_piece(r, 0);
	assert_true(rig_until(r, rig_idle));
	for (i = 0; i < 4; i++) /* all of the budget, and a rejected copy: all to be forgotten */
		rig_block(r, i + 1, 1, 0);
	assert_true(rig_until(r, rig_idle));
	rig_netproc(r, &net, &slots);
	assert_true(rig_turn(r)); /* the old one is gone */
	assert_int_equal(r->d.net.fd, -1);
	pass(r, SETUP_DISK, net);
	pass(r, SETUP_SLOTS, slots);
	assert_true(rig_until(r, rig_told));
	assert_int_equal(r->have_end, 1);
	assert_true(bitfield_get(r->have, 0));
	assert_int_equal(r->d.store.open_count, 0);
	assert_int_equal(r->d.store.memory_bytes, 0);
	finish(r);
}

static void test_new_netproc_while_pieces_are_being_written_finds_them_verified(void **state)
{
	struct rig *r = *state;
	int net, slots;
	uint32_t i;

	start(r, false, false);
	for (i = 0; i < 4; i++)
		rig_piece(r, i);
	(void)channel_flush(&r->net_end);
	assert_int_equal(disk_serve_net(&r->d), CHANNEL_EMPTY); /* all are in the workers, no result was looked at */
	rig_netproc(r, &net, &slots);
	pass(r, SETUP_DISK, net);
	pass(r, SETUP_SLOTS, slots);
	assert_true(rig_until(r, rig_told));
	assert_int_equal(r->have_end, 4);
	assert_int_equal(rig_count(r, MSG_VERIFIED, UINT32_MAX), 0);
	finish(r);
}

static void test_new_netproc_with_unsealed_slots_is_not_served(void **state)
{
	struct rig *r = *state;
	int net, slots;

	start(r, false, false);
	rig_netproc(r, &net, &slots);
	close(slots);
	slots = memfd_create("slots", MFD_CLOEXEC);
	assert_int_equal(ftruncate(slots, SLOT_COUNT * SLOT_BYTES), 0);
	pass(r, SETUP_DISK, net);
	pass(r, SETUP_SLOTS, slots);
	assert_true(rig_turn(r));
	assert_true(rig_turn(r));
	assert_true(rig_until(r, rig_accused));
	assert_int_equal(r->d.net.fd, -1);
	assert_int_equal(r->have_end, UINT32_MAX);
}

static void test_netproc_that_breaks_the_contract_is_accused_and_the_next_one_finds_all_that_is_verified(void **state)
{
	struct rig *r = *state;
	struct msg_block bad = { .piece = UINT32_MAX };
	int net, slots;

	start(r, false, false);
	rig_piece(r, 0);
	assert_true(rig_until(r, rig_idle));
	rig_block(r, 1, 0, 0); /* open, and to be forgotten */
	assert_true(rig_until(r, rig_idle));
	assert_int_equal(channel_push(&r->net_end, MSG_BLOCK, &bad), 0);
	assert_true(rig_until(r, rig_accused));
	assert_int_equal(r->accused.length, strlen("BLOCK: a piece that does not exist"));
	assert_memory_equal(r->accused.text, "BLOCK: a piece that does not exist", r->accused.length);
	rig_netproc(r, &net, &slots);
	pass(r, SETUP_DISK, net);
	pass(r, SETUP_SLOTS, slots);
	assert_true(rig_until(r, rig_told));
	assert_int_equal(r->have_end, 1);
	assert_true(bitfield_get(r->have, 0));
	assert_int_equal(r->accusations, 1);
	finish(r);
}

static void test_slots_of_a_netproc_that_died_unserved_are_not_those_of_the_next(void **state)
{
	struct rig *r = *state;
	int net, slots;

	start(r, false, false);
	rig_piece(r, 0);
	(void)channel_flush(&r->net_end);
	assert_int_equal(disk_serve_net(&r->d), CHANNEL_EMPTY); /* it is busy, so that nobody is served yet */
	rig_netproc(r, &net, &slots);
	pass(r, SETUP_DISK, net);
	pass(r, SETUP_SLOTS, slots);
	rig_netproc(r, &net, &slots);
	pass(r, SETUP_DISK, net);
	(void)channel_flush(&r->control_end);
	assert_int_equal(serve_control(&r->d), 0);
	assert_true(r->d.next_net >= 0);
	assert_int_equal(r->d.next_slots, -1);
	pass(r, SETUP_SLOTS, slots);
	assert_true(rig_until(r, rig_told));
	assert_int_equal(r->have_end, 1);
	finish(r);
}

static void test_slots_without_a_channel_are_the_parents_violation(void **state)
{
	struct rig *r = *state;
	int net, slots;

	start(r, false, false);
	rig_netproc(r, &net, &slots);
	close(net);
	pass(r, SETUP_SLOTS, slots);
	(void)rig_until(r, rig_ended);
	assert_int_equal(r->turn, DISK_VIOLATION);
}

static void shut_down(struct rig *r, uint32_t grace_ms)
{
	struct msg_shutdown m = { .grace_ms = grace_ms };

	assert_int_equal(channel_push(&r->control_end, MSG_SHUTDOWN, &m), 0);
}

static void test_shutdown_finishes_what_is_complete_and_ends(void **state)
{
	struct rig *r = *state;

	start(r, false, false);
	rig_piece(r, 2);
	rig_block(r, 3, 0, 0);
	(void)channel_flush(&r->net_end);
	assert_int_equal(disk_serve_net(&r->d), CHANNEL_EMPTY);
	shut_down(r, 10000);
	assert_true(rig_until(r, rig_ended));
	assert_int_equal(r->turn, DISK_ENDED);
	assert_int_equal(r->status, 0);
	assert_int_equal(rig_count(r, MSG_VERIFIED, 2), 1);
	assert_int_equal(rig_count(r, MSG_HOLD, UINT32_MAX), 1);
	rig_stop(r);
	start(r, true, false);
	assert_int_equal(r->have_end, 1);
}

static void test_shutdown_during_the_check_ends_it(void **state)
{
	struct rig *r = *state;

	start(r, false, false);
	finish(r);
	rig_stop(r);
	rig_start(r, true, false, BUDGET);
	shut_down(r, 10000);
	assert_true(rig_until(r, rig_ended));
	assert_int_equal(r->turn, DISK_ENDED);
	assert_int_equal(r->status, 0);
}

static void test_parent_that_is_gone_ends_all(void **state)
{
	struct rig *r = *state;

	start(r, false, false);
	channel_close(&r->control_end);
	assert_false(rig_turn(r));
	assert_int_equal(r->turn, DISK_ENDED);
}

static void test_message_that_only_netproc_may_send_ends_the_parents_conversation(void **state)
{
	struct rig *r = *state;
	struct msg_block m = { 0, 0, SLOT_BYTES, 0 };

	start(r, false, false);
	assert_int_equal(channel_push(&r->control_end, MSG_BLOCK, &m), 0);
	(void)rig_until(r, rig_ended);
	assert_int_equal(r->turn, DISK_VIOLATION);
}

/* Netproc's end fills up with answers that nobody reads: diskproc must neither lose one nor wait in a call. */
static void test_netproc_that_does_not_read_gets_all_later(void **state)
{
	static const struct fixture_file one[] = { { "x", 40000, 0 } };
	struct rig *r = *state;
	uint32_t sent = 0, turns, verified = 0, freed = 0, unread = 0;

	stop(state);
	rig_make(r, one, 1, 1, false);
	start(r, false, false);
	for (turns = 0; turns < 20000 && freed < 40000; turns++) {
		struct packet p;
		uint32_t status, i;

		/* Without regard to which slots are free: that costs nobody but the sender. */
		for (i = 0; i < 64 && sent < 40000; i++) {
			struct msg_block m = { .piece = sent, .length = 1, .slot = sent % SLOT_COUNT };

			fixture_payload(&r->m, slot_at(&r->slots, m.slot), sent, 1);
			if (channel_push(&r->net_end, MSG_BLOCK, &m) < 0)
				break;
			sent++;
		}
		(void)channel_flush(&r->net_end);
		r->d.progress_due = true;
		r->d.progress_at_ms = 0;
		assert_int_equal(disk_turn(&r->d, &status), DISK_GO_ON);
		assert_in_range(channel_room(&r->d.net), 1, CHANNEL_QUEUE_BYTES);
		if (turns < 230) {
			unread = sent;
			continue;
		}
		while (channel_receive(&r->net_end, &p) == CHANNEL_OK) {
			verified += p.type == MSG_VERIFIED || p.type == MSG_REJECTED ? p.count : 0;
			freed += p.type == MSG_SLOT_FREE ? p.count : 0;
		}
	}
	assert_in_range(unread, 1, 39999); /* it was held back */
	assert_int_equal(freed, 40000);
	for (turns = 0; turns < 2000 && verified < 40000; turns++) {
		struct packet p;

		r->d.progress_due = true;
		assert_int_equal(disk_turn(&r->d, &r->status), DISK_GO_ON);
		while (channel_receive(&r->net_end, &p) == CHANNEL_OK)
			verified += p.type == MSG_VERIFIED || p.type == MSG_REJECTED ? p.count : 0;
	}
	assert_int_equal(verified, 40000);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_many, stop)
	const struct CMUnitTest tests[] = {
		T(test_interrupted_download_goes_on_after_a_check),
		T(test_complete_download_completes_again_without_netproc_doing_anything),
		T(test_check_finds_what_was_damaged),
		T(test_check_finds_the_same_one_by_one),
		T(test_longer_file_is_left_as_it_is),
		T(test_holes_that_should_be_zeros_are_there_and_others_are_not),
		T(test_hole_is_taken_for_zeros_when_the_hash_says_so),
		T(test_finished_file_is_verified_and_nothing_is_touched),
		T(test_finished_file_that_differs_is_foreign_and_stays_as_it_is),
		T(test_finished_file_with_more_at_its_end_is_foreign),
		T(test_torrent_of_zero_bytes_completes_at_once),
		T(test_single_file_is_written_through_its_descriptor_only),
		T(test_symlink_in_the_way_is_told_once_and_holds_netproc),
		T(test_write_that_fails_is_never_verified),
		T(test_no_space_is_told_before_the_first_byte),
		T(test_new_netproc_is_told_all_that_is_verified),
		T(test_new_netproc_while_pieces_are_being_written_finds_them_verified),
		T(test_new_netproc_with_unsealed_slots_is_not_served),
		T(test_slots_without_a_channel_are_the_parents_violation),
		T(test_slots_of_a_netproc_that_died_unserved_are_not_those_of_the_next),
		T(test_netproc_that_breaks_the_contract_is_accused_and_the_next_one_finds_all_that_is_verified),
		T(test_shutdown_finishes_what_is_complete_and_ends),
		T(test_shutdown_during_the_check_ends_it),
		T(test_parent_that_is_gone_ends_all),
		T(test_message_that_only_netproc_may_send_ends_the_parents_conversation),
		T(test_netproc_that_does_not_read_gets_all_later),
	};

	return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
