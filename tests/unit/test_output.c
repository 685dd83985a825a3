/*
 * test_output.c - where a download lands: what is made, what is continued, what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

/* Another user of the directory, who is quicker than our rename. */
static void (*before_rename)(void);
static int late_renameat2(int from, const char *old, int to, const char *new, unsigned flags);
static void (*after_mkdir)(const char *name);
static int early_mkdirat(int at, const char *name, mode_t mode);
#define renameat2 late_renameat2
#define mkdirat early_mkdirat
#include "../../parent/output.c"
#undef renameat2
#undef mkdirat
#include "../../parent/screen.c"
#include "../../parent/stream.c"
#include "../../parent/state.c"
#include "../../parent/seeding.c"
#include "../../parent/text.c"

#define TOTAL 1000u

static int late_renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	if (before_rename)
		before_rename();
	return renameat2(from, old, to, new, flags);
}

static char folder[64], state_folder[64];
static int dir;
static struct output_options options;
static struct output o;
static char error[1000];
static char made[OUTPUT_TEMPORARY_NAME];

static int early_mkdirat(int at, const char *name, mode_t mode)
{
	int r = mkdirat(at, name, mode);

	if (r == 0 && after_mkdir)
		after_mkdir(name);
	return r;
}

/* A form with a name and a length: all that output.c looks at. */
static struct {
	struct metainfo_header h;
	char name[300];
} form;
static struct metainfo m;

static void make_form(const char *name, bool single)
{
	memset(&form, 0, sizeof form);
	form.h.flags = single ? METAINFO_SINGLE : 0;
	form.h.total_length = TOTAL;
	memset(form.h.info_hash, 0xab, sizeof form.h.info_hash);
	form.h.name = (struct metainfo_text){ .offset = offsetof(__typeof__(form), name), .length = (uint32_t)strlen(name) };
	snprintf(form.name, sizeof form.name, "%s", name);
	m = (struct metainfo){ .h = &form.h, .base = (const uint8_t *)&form, .bytes = sizeof form };
}

static int open_it(void)
{
	error[0] = 0;
	return output_open(&o, &options, &m, error, sizeof error);
}

static void refuses(const char *words)
{
	if (open_it() == 0)
		fail_msg("it was taken");
	if (!strstr(error, words))
		fail_msg("'%s' lacks '%s'", error, words);
	assert_int_equal(o.root, -1);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/test_output.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(state_folder, sizeof state_folder, "/tmp/test_output_state.XXXXXX");
	if (!mkdtemp(state_folder))
		return -1;
	options = (struct output_options){ .dir = dir, .dir_name = folder, .states = open(state_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	make_form("name", true);
	output_init(&o);
	return dir < 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "name", "name.part", "other", "foreign" };
	char command[128];
	size_t i;

	(void)state;
	output_close(&o);
	for (i = 0; i < ARRAY_LEN(names); i++)
		if (unlinkat(dir, names[i], 0) < 0)
			(void)unlinkat(dir, names[i], AT_REMOVEDIR);
	close(dir);
	close(options.states);
	snprintf(command, sizeof command, "rm -rf '%s'", state_folder);
	if (system(command))
		return -1;
	/* Fails when something was left behind that nobody named. */
	return rmdir(folder);
}

static void write_file(const char *name, size_t bytes)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
}

static bool exists(const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_a_new_download_is_a_plain_part_file(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(open_it(), 0);
	assert_false(o.existed || o.finished);
	assert_true(o.spill >= 0);
	assert_string_equal(o.part, "name.part");
	assert_int_equal(fstat(o.root, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 07133, 0);
	assert_false(exists("name"));
}

static void test_finishing_renames_and_replaces_nothing(void **state)
{
	(void)state;
	assert_int_equal(open_it(), 0);
	write_file("name", 5);
	assert_int_equal(output_finish(&o, error, sizeof error), -1);
	assert_non_null(strstr(error, "has appeared meanwhile"));
	assert_true(exists("name.part"));
	assert_int_equal(unlinkat(dir, "name", 0), 0);
	assert_int_equal(output_finish(&o, error, sizeof error), 0);
	assert_true(exists("name"));
	assert_false(exists("name.part"));
}

/* NAME.part, which is ours, goes; a symbolic link stands there instead. */
static void replace_part(void)
{
	if (renameat(dir, "name.part", dir, "other") < 0 || symlinkat("/etc/passwd", dir, "name.part") < 0)
		abort();
}

static void test_a_part_that_was_replaced_is_not_the_download(void **state)
{
	(void)state;
	assert_int_equal(open_it(), 0);
	replace_part();
	assert_int_equal(output_finish(&o, error, sizeof error), -1);
	assert_non_null(strstr(error, "renamed or replaced"));
	assert_false(exists("name"));
}

static void test_a_part_that_is_replaced_during_the_rename_is_told(void **state)
{
	int r;

	(void)state;
	assert_int_equal(open_it(), 0);
	before_rename = replace_part;
	r = output_finish(&o, error, sizeof error);
	before_rename = NULL;
	assert_int_equal(r, -1);
	assert_non_null(strstr(error, "is not what was downloaded"));
}

/* A folder with something in it takes the place of the one that was made. */
static void replace_made(const char *name)
{
	if (renameat(dir, name, dir, "other") < 0 || renameat(dir, "foreign", dir, name) < 0)
		abort();
	snprintf(made, sizeof made, "%s", name);
}

static void test_a_folder_in_place_of_the_one_that_was_made_is_left_alone(void **state)
{
	struct stat st;
	int r;

	(void)state;
	make_form("name", false);
	assert_int_equal(mkdirat(dir, "foreign", 0700), 0);
	assert_int_equal(mkdirat(dir, "foreign/precious", 0700), 0);
	after_mkdir = replace_made;
	options.give = true;
	r = output_open(&o, &options, &m, error, sizeof error);
	after_mkdir = NULL;
	assert_int_equal(renameat(dir, made, dir, "foreign"), 0);
	assert_int_equal(r, -1);
	assert_non_null(strstr(error, "changed while it was made"));
	assert_int_equal(fstatat(dir, "foreign", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(unlinkat(dir, "foreign/precious", AT_REMOVEDIR), 0);
}

static void test_a_directory_for_many_files(void **state)
{
	struct stat st;

	(void)state;
	make_form("name", false);
	assert_int_equal(open_it(), 0);
	assert_int_equal(fstat(o.root, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(output_finish(&o, error, sizeof error), 0);
	output_close(&o);
	assert_int_equal(open_it(), 0);
	assert_true(o.finished);
	assert_int_equal(o.spill, -1);
}

static void test_our_part_file_is_continued(void **state)
{
	(void)state;
	assert_int_equal(open_it(), 0);
	output_close(&o);
	assert_int_equal(open_it(), 0);
	assert_true(o.existed);
	assert_int_equal(ftruncate(o.root, TOTAL), 0);
	output_close(&o);
	assert_int_equal(open_it(), 0);
	assert_true(o.existed);
}

static void test_a_second_bulkhead_is_kept_away(void **state)
{
	struct output first;

	(void)state;
	assert_int_equal(open_it(), 0);
	first = o;
	refuses("is being downloaded already");
	/* Though NAME.part were gone: the record is held. */
	assert_int_equal(unlinkat(dir, "name.part", 0), 0);
	refuses("is being downloaded already");
	assert_false(exists("name.part"));
	output_close(&first);
}

static void make_foreign(bool single)
{
	make_form("name", single);
	if (single)
		write_file("name.part", TOTAL);
	else
		assert_int_equal(mkdirat(dir, "name.part", 0700), 0);
}

static void test_a_part_without_a_record_is_refused_unless_it_is_adopted(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		make_foreign(i);
		options.adopt = false;
		refuses("--adopt");
		/* A record was not made by that. */
		refuses("no record that bulkhead made it for this torrent");
		options.adopt = true;
		assert_int_equal(open_it(), 0);
		assert_true(o.existed);
		output_close(&o);
		options.adopt = false;
		assert_int_equal(open_it(), 0);
		assert_true(o.existed);
		output_close(&o);
		assert_int_equal(unlinkat(dir, "name.part", i ? 0 : AT_REMOVEDIR), 0);
	}
}

static void test_a_part_in_place_of_the_recorded_one_is_refused(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		make_form("name", i);
		assert_int_equal(open_it(), 0);
		output_close(&o);
		assert_int_equal(renameat(dir, "name.part", dir, "other"), 0);
		make_foreign(i);
		refuses("no record that bulkhead made it for this torrent");
		/* The one that was made is continued under its name again. */
		assert_int_equal(unlinkat(dir, "name.part", i ? 0 : AT_REMOVEDIR), 0);
		assert_int_equal(renameat(dir, "other", dir, "name.part"), 0);
		assert_int_equal(open_it(), 0);
		assert_true(o.existed);
		output_close(&o);
		assert_int_equal(unlinkat(dir, "name.part", i ? 0 : AT_REMOVEDIR), 0);
	}
}

static void test_another_torrents_part_of_the_same_name_is_refused(void **state)
{
	(void)state;
	assert_int_equal(open_it(), 0);
	output_close(&o);
	form.h.info_hash[19] ^= 1;
	refuses("no record that bulkhead made it for this torrent");
	/* It would be two torrents' then, and each write over the other's. */
	options.adopt = true;
	refuses("begun of another torrent, abababababababababababababababababababab: move it away");
	form.h.info_hash[19] ^= 1;
	assert_int_equal(open_it(), 0);
	assert_true(o.existed);
}

static void test_adoption_takes_nothing_that_is_not_plain(void **state)
{
	(void)state;
	options.adopt = true;
	write_file("foreign", TOTAL);
	assert_int_equal(linkat(dir, "foreign", dir, "name.part", 0), 0);
	refuses("second name");
	assert_int_equal(unlinkat(dir, "name.part", 0), 0);
	assert_int_equal(symlinkat("foreign", dir, "name.part"), 0);
	refuses("is not a plain file");
}

static void test_a_foreign_part_is_refused_and_left_alone(void **state)
{
	(void)state;
	write_file("foreign", 7);
	assert_int_equal(symlinkat("foreign", dir, "name.part"), 0);
	refuses("is not a plain file");
	assert_int_equal(unlinkat(dir, "name.part", 0), 0);
	assert_int_equal(linkat(dir, "foreign", dir, "name.part", 0), 0);
	refuses("second name");
	assert_int_equal(unlinkat(dir, "name.part", 0), 0);
	assert_int_equal(mkfifoat(dir, "name.part", 0600), 0);
	refuses("is not a plain file");
	assert_int_equal(unlinkat(dir, "name.part", 0), 0);
	assert_int_equal(mkdirat(dir, "name.part", 0700), 0);
	refuses("is not a plain file");
	assert_int_equal(unlinkat(dir, "name.part", AT_REMOVEDIR), 0);
	write_file("name.part", TOTAL + 1);
	refuses("longer than this download");
	assert_int_equal(unlinkat(dir, "name.part", 0), 0);
	write_file("name.part", TOTAL - 1);
	refuses("no record");
	make_form("name", false);
	refuses("is not a directory");
	assert_int_equal(unlinkat(dir, "name.part", 0), 0);
	assert_int_equal(symlinkat(".", dir, "name.part"), 0);
	refuses("is not a directory");
}

static void test_a_set_id_part_is_refused(void **state)
{
	(void)state;
	write_file("name.part", TOTAL);
	assert_int_equal(fchmodat(dir, "name.part", 04700, 0), 0);
	refuses("set-id");
}

static void test_the_final_name_is_only_read(void **state)
{
	(void)state;
	write_file("name", TOTAL);
	assert_int_equal(open_it(), 0);
	assert_true(o.finished);
	assert_int_equal(fcntl(o.root, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_false(exists("name.part"));
	output_close(&o);
	assert_int_equal(unlinkat(dir, "name", 0), 0);
	write_file("name", TOTAL - 1);
	refuses("is not this download");
	assert_int_equal(unlinkat(dir, "name", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", dir, "name"), 0);
	refuses("is there already");
	assert_false(exists("name.part"));
}

static void test_what_is_to_be_given_is_only_read(void **state)
{
	struct stat st;

	(void)state;
	make_form("gift", true);
	assert_int_equal(output_open_to_seed(&o, &options, &m, error, sizeof error), -1);
	assert_non_null(strstr(error, "'gift' is not in '"));
	assert_non_null(strstr(error, "'bulkhead get' downloads it"));
	assert_int_equal(fstatat(dir, "gift.part", &st, 0), -1);
	write_file("gift.part", TOTAL / 2);
	assert_int_equal(output_open_to_seed(&o, &options, &m, error, sizeof error), 0);
	assert_true(o.finished && o.incomplete);
	assert_string_equal(output_name(&o), "gift.part");
	assert_int_equal(fcntl(o.root, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(o.spill, -1);
	output_close(&o);
	write_file("gift", TOTAL);
	assert_int_equal(output_open_to_seed(&o, &options, &m, error, sizeof error), 0);
	assert_true(o.finished && !o.incomplete);
	assert_string_equal(output_name(&o), "gift");
	assert_int_equal(fcntl(o.root, F_GETFL) & O_ACCMODE, O_RDONLY);
	output_close(&o);
	assert_int_equal(unlinkat(dir, "gift", 0), 0);
	write_file("gift", TOTAL + 1);
	assert_int_equal(output_open_to_seed(&o, &options, &m, error, sizeof error), -1);
	assert_non_null(strstr(error, "'gift' is longer than this download"));
	assert_int_equal(o.root, -1);
	assert_int_equal(unlinkat(dir, "gift", 0), 0);
	assert_int_equal(symlinkat("gift.part", dir, "gift"), 0);
	assert_int_equal(output_open_to_seed(&o, &options, &m, error, sizeof error), -1);
	assert_non_null(strstr(error, "'gift' cannot be read as this download"));
	assert_int_equal(unlinkat(dir, "gift", 0), 0);
	assert_int_equal(mkdirat(dir, "gift", 0755), 0);
	assert_int_equal(output_open_to_seed(&o, &options, &m, error, sizeof error), -1);
	assert_non_null(strstr(error, "'gift' is no plain file"));
	assert_int_equal(unlinkat(dir, "gift", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(dir, "gift.part", 0), 0);
}

static void test_an_unsafe_name_in_the_form_is_refused(void **state)
{
	(void)state;
	make_form("../name", true);
	refuses("not safe");
	make_form("..", true);
	refuses("not safe");
	make_form("a\x1b", true);
	refuses("not safe");
}

static void test_long_names_are_cut_at_a_character_with_the_info_hash(void **state)
{
	char name[256], part[METAINFO_MAX_NAME + 1];
	uint8_t hash[20] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };
	size_t i;

	(void)state;
	memset(name, 'x', sizeof name);
	output_part_name(part, name, 250, hash);
	assert_int_equal(strlen(part), 255);
	assert_int_equal(memcmp(part, name, 250), 0);
	output_part_name(part, name, 251, hash);
	assert_int_equal(strlen(part), 255);
	assert_string_equal(part + 233, "~0123456789abcdef.part");
	for (i = 0; i + 3 <= 255; i += 3)
		memcpy(name + i, "\xe4\xb8\xad", 3);
	output_part_name(part, name, 255, hash);
	assert_true(metainfo_name_is_safe(part, strlen(part)));
	assert_string_equal(part + 231, "~0123456789abcdef.part");
}

/* A run that wanted these files ends: NAME is there. */
static void finish_it(bool partial)
{
	options.partial = options.shares = partial;
	assert_int_equal(open_it(), 0);
	assert_int_equal(output_finish(&o, error, sizeof error), 0);
	assert_int_equal(state_end(&o.state, 0, 5, true), 0);
	output_close(&o);
	assert_true(exists("name") && !exists("name.part"));
}

static void test_what_was_finished_in_part_is_taken_back_and_continued(void **state)
{
	struct stat st;
	char byte = 0;

	(void)state;
	make_form("name", false);
	options.partial = options.shares = true;
	assert_int_equal(open_it(), 0);
	assert_true(o.parts >= 0);
	assert_int_equal(fstat(o.parts, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(pwrite(o.parts, "x", 1, 7), 1);
	output_close(&o);
	finish_it(true);
	/* With another selection, and with none: its parts are still there. */
	finish_it(true);
	options.partial = options.shares = false;
	assert_int_equal(open_it(), 0);
	assert_true(o.existed && !o.finished && o.parts >= 0);
	assert_true(exists("name.part") && !exists("name"));
	assert_int_equal(pread(o.parts, &byte, 1, 7), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(o.state.record.downloaded, 10);
	output_close(&o);
	/* Once it is all there, it stays. */
	finish_it(false);
	assert_int_equal(open_it(), 0);
	assert_true(o.finished);
	assert_int_equal(o.parts, -1);
}

static void test_a_part_beside_what_was_finished_in_part_is_not_replaced(void **state)
{
	(void)state;
	make_form("name", false);
	finish_it(true);
	assert_int_equal(mkdirat(dir, "name.part", 0755), 0);
	refuses("'name' is to be continued, but 'name.part' is there too");
	assert_true(exists("name") && exists("name.part"));
	/* And is tried again. */
	assert_int_equal(unlinkat(dir, "name.part", AT_REMOVEDIR), 0);
	assert_int_equal(open_it(), 0);
	assert_true(o.existed);
}

static void test_a_foreign_name_is_not_taken_back(void **state)
{
	(void)state;
	make_form("name", false);
	finish_it(true);
	assert_int_equal(renameat(dir, "name", dir, "other"), 0);
	assert_int_equal(mkdirat(dir, "name", 0755), 0);
	assert_int_equal(open_it(), 0);
	assert_true(o.finished);
	assert_true(exists("name") && !exists("name.part"));
}

static void test_parts_of_an_earlier_part_are_not_this_ones(void **state)
{
	(void)state;
	make_form("name", false);
	options.partial = options.shares = true;
	assert_int_equal(open_it(), 0);
	assert_int_equal(pwrite(o.parts, "x", 1, 7), 1);
	output_close(&o);
	assert_int_equal(unlinkat(dir, "name.part", AT_REMOVEDIR), 0);
	assert_int_equal(open_it(), 0);
	assert_false(o.existed);
	assert_int_equal(lseek(o.parts, 0, SEEK_END), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_was_finished_in_part_is_taken_back_and_continued, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_part_beside_what_was_finished_in_part_is_not_replaced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_foreign_name_is_not_taken_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_parts_of_an_earlier_part_are_not_this_ones, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_new_download_is_a_plain_part_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_finishing_renames_and_replaces_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_part_that_was_replaced_is_not_the_download, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_part_that_is_replaced_during_the_rename_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_folder_in_place_of_the_one_that_was_made_is_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_directory_for_many_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_our_part_file_is_continued, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_second_bulkhead_is_kept_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_part_without_a_record_is_refused_unless_it_is_adopted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_part_in_place_of_the_recorded_one_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_torrents_part_of_the_same_name_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_adoption_takes_nothing_that_is_not_plain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_foreign_part_is_refused_and_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_set_id_part_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_final_name_is_only_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_to_be_given_is_only_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_unsafe_name_in_the_form_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_names_are_cut_at_a_character_with_the_info_hash, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
