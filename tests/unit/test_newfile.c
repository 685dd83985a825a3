/*
 * test_newfile.c - a new file is there whole or not at all, and nothing that was there is replaced.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../parent/newfile.c"
#include "../../parent/output.c"
#include "../../parent/screen.c"
#include "../../parent/stream.c"
#include "../../parent/state.c"
#include "../../parent/seeding.c"
#include "../../parent/text.c"

static char folder[64], path[128], error[1200];
static struct newfile n;

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/bulkhead-newfile-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/new", folder);
	newfile_init(&n);
	error[0] = 0;
	(void)signal(SIGPIPE, SIG_IGN);
	return 0;
}

/* How many names the folder has. */
static int names(void)
{
	DIR *d = opendir(folder);
	int count = -2;

	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

static int remove_folder(void **state)
{
	char command[100];

	(void)state;
	newfile_close(&n);
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command);
}

static void assert_content(const char *wanted)
{
	char got[64] = "";
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, got, sizeof got - 1), strlen(wanted));
	assert_string_equal(got, wanted);
	close(fd);
}

static void test_it_has_its_name_only_when_it_is_finished(void **state)
{
	mode_t before = umask(027);
	struct stat st;

	(void)state;
	assert_int_equal(newfile_open(&n, path, false, error, sizeof error), 0);
	umask(before);
	assert_int_equal(newfile_write(&n, "one ", 4), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(names(), 1);
	assert_int_equal(newfile_write(&n, "two", 3), 0);
	assert_int_equal(newfile_finish(&n, error, sizeof error), 0);
	newfile_close(&n);
	assert_int_equal(names(), 1);
	assert_content("one two");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void test_what_is_not_finished_goes_away(void **state)
{
	(void)state;
	assert_int_equal(newfile_open(&n, path, false, error, sizeof error), 0);
	assert_int_equal(newfile_write(&n, "half", 4), 0);
	newfile_close(&n);
	assert_int_equal(names(), 0);
}

static void test_it_goes_away_too_when_its_maker_is_killed(void **state)
{
	int told[2], status, i;
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(told), 0);
	pid = fork();
	if (pid == 0) {
		c = newfile_open(&n, path, false, error, sizeof error) == 0 ? 'y' : 'n';
		(void)!write(told[1], &c, 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(told[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	assert_int_equal(names(), 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (i = 0; i < 1000 && names(); i++)
		usleep(10000);
	assert_int_equal(names(), 0);
	close(told[0]);
	close(told[1]);
}

static void test_what_has_the_name_is_left_alone(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(symlink("nowhere", path), 0);
	assert_int_equal(newfile_open(&n, path, false, error, sizeof error), -1);
	assert_non_null(strstr(error, "is there already"));
	newfile_close(&n);
	assert_int_equal(names(), 1);
	assert_int_equal(unlink(path), 0);

	/* It appears while the file is written. */
	assert_int_equal(newfile_open(&n, path, false, error, sizeof error), 0);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	assert_int_equal(write(fd, "other", 5), 5);
	close(fd);
	assert_int_equal(newfile_finish(&n, error, sizeof error), -1);
	assert_non_null(strstr(error, "has appeared meanwhile"));
	newfile_close(&n);
	assert_int_equal(names(), 1);
	assert_content("other");
}

static void test_what_somebody_put_in_its_place_is_neither_taken_nor_removed(void **state)
{
	char temporary[128];
	int fd;

	(void)state;
	assert_int_equal(newfile_open(&n, path, false, error, sizeof error), 0);
	snprintf(temporary, sizeof temporary, "%s/%s", folder, n.temporary);
	assert_int_equal(unlink(temporary), 0);
	fd = open(temporary, O_CREAT | O_EXCL | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(newfile_finish(&n, error, sizeof error), -1);
	assert_non_null(strstr(error, "not what was written"));
	newfile_close(&n);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(temporary, F_OK), 0);
}

static void test_names_that_no_file_can_have_are_refused(void **state)
{
	static const char *const bad[] = { "", "/", "/tmp/", ".", "/tmp/..", "/no/such/directory/x" };
	char name[400];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(newfile_open(&n, bad[i], false, error, sizeof error), -1);
		assert_int_not_equal(error[0], 0);
		newfile_close(&n);
	}
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = 0;
	assert_int_equal(newfile_open(&n, name, false, error, sizeof error), -1);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_it_has_its_name_only_when_it_is_finished),
		IN_FOLDER(test_what_is_not_finished_goes_away),
		IN_FOLDER(test_it_goes_away_too_when_its_maker_is_killed),
		IN_FOLDER(test_what_has_the_name_is_left_alone),
		IN_FOLDER(test_what_somebody_put_in_its_place_is_neither_taken_nor_removed),
		IN_FOLDER(test_names_that_no_file_can_have_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
