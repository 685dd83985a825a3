/*
 * test_create.c - what bulkhead-create finds, in which order, and what it makes of it; on real files, without walls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <poll.h>

#include "../../parent/create/fault.c"
#include "../../parent/create/hash.c"
#include "../../parent/create/info.c"
#include "../../parent/create/tree.c"
#include "bencode.h"

static char folder[64];
static int root;
static struct fault fault;
static struct tree tree;

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/bulkhead-create-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	memset(&fault, 0, sizeof fault);
	tree = (struct tree){ .root = root, .single = -1, .max_files = 1000, .max_paths = 1 << 20 };
	return root < 0 ? -1 : 0;
}

static int remove_folder(void **state)
{
	char command[100];

	(void)state;
	tree_release(&tree);
	close(root);
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command);
}

/* Another walk. */
static void afresh(uint32_t max_files, size_t max_paths)
{
	tree_release(&tree);
	memset(&fault, 0, sizeof fault);
	tree = (struct tree){ .root = root, .single = -1, .max_files = max_files, .max_paths = max_paths };
	assert_int_equal(lseek(root, 0, SEEK_SET), 0);
}

/* A file of so many bytes, different in each, and the directories above it. */
static void make(const char *path, size_t bytes)
{
	static uint8_t salt;
	char above[PATH_MAX];
	uint8_t *data = malloc(bytes + 1);
	size_t i;
	int fd;

	for (i = 1; path[i]; i++)
		if (path[i] == '/') {
			snprintf(above, sizeof above, "%.*s", (int)i, path);
			(void)mkdirat(root, above, 0755);
		}
	salt++;
	for (i = 0; i < bytes; i++)
		data[i] = (uint8_t)(i * 7 + i / 251 + salt);
	fd = openat(root, path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), bytes);
	close(fd);
	free(data);
}

static void assert_refused(uint32_t status, const char *text)
{
	assert_false(tree_read(&tree, &fault));
	assert_int_equal(fault.status, status);
	if (!strstr(fault.text, text))
		fail_msg("'%s' is not in '%s'", text, fault.text);
}

/* ---- the walk */

static void test_files_are_in_the_order_of_their_paths_bytes(void **state)
{
	static const char *const sorted[] = { ".hidden", "A",   "a!", "a-b/x", "a.b",        "a/b/c/deep",
					      "a/b.c",   "a/x", "a0", "empty", "z/\xc3\xbc", "\xe6\x97\xa5" };
	uint64_t offset = 0;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(sorted); i++)
		make(sorted[(i * 5) % ARRAY_LEN(sorted)], strcmp(sorted[(i * 5) % ARRAY_LEN(sorted)], "empty") ? i + 1 : 0);
	assert_int_equal(mkdirat(root, "nothing", 0755), 0);
	assert_true(tree_read(&tree, &fault));
	assert_int_equal(tree.count, ARRAY_LEN(sorted));
	/* "a/b.c" before "a/b/c": the bytes of the whole path count, and '.' is less than '/'. */
	for (i = 0; i < tree.count; i++) {
		if (i)
			assert_true(strcmp(tree_path(&tree, &tree.files[i - 1]), tree_path(&tree, &tree.files[i])) < 0);
		assert_int_equal(tree.files[i].offset, offset);
		offset += tree.files[i].length;
	}
	assert_string_equal(tree_path(&tree, &tree.files[3]), "a-b/x");
	assert_string_equal(tree_path(&tree, &tree.files[5]), "a/b.c");
	assert_string_equal(tree_path(&tree, &tree.files[6]), "a/b/c/deep");
	assert_int_equal(tree.total_bytes, offset);
	assert_true(tree_unchanged(&tree, &fault));
}

static void test_links_and_special_files_are_left_out(void **state)
{
	(void)state;
	make("a/file", 3);
	make("b", 4);
	assert_int_equal(symlinkat("b", root, "link"), 0);
	assert_int_equal(symlinkat("a", root, "link to a directory"), 0);
	assert_int_equal(symlinkat("nowhere", root, "link to nothing"), 0);
	assert_int_equal(mknodat(root, "pipe", S_IFIFO | 0644, 0), 0);
	assert_true(tree_read(&tree, &fault));
	assert_int_equal(tree.count, 2);
	assert_int_equal(tree.skipped, 4);
}

static void test_the_output_is_not_shared(void **state)
{
	struct stat st;

	(void)state;
	make("b", 4);
	make("output", 10);
	assert_int_equal(fstatat(root, "output", &st, 0), 0);
	tree.skip_device = st.st_dev;
	tree.skip_inode = st.st_ino;
	assert_true(tree_read(&tree, &fault));
	assert_int_equal(tree.count, 1);
	assert_int_equal(tree.skipped, 0);
}

static void test_where_there_is_nothing_to_share_it_is_said(void **state)
{
	(void)state;
	assert_refused(CREATE_REFUSED, "no file in it");
	afresh(1000, 1 << 20);
	make("empty", 0);
	make("also/empty", 0);
	assert_refused(CREATE_REFUSED, "no byte in it");
}

static void test_names_are_utf8_and_nothing_else_is_asked_of_them(void **state)
{
	(void)state;
	make("\x01\x1b[2J\xe2\x80\xae trailing. ", 1);
	assert_true(tree_read(&tree, &fault));
	afresh(1000, 1 << 20);
	make("sub/b\xff", 1);
	assert_refused(CREATE_REFUSED, "sub/b\xff");
}

static void test_limits_are_checked_before_memory_is_taken(void **state)
{
	char name[32];
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "d%02d/file%02d", i, i);
		make(name, 1);
	}
	tree.max_files = 20;
	assert_refused(CREATE_REFUSED, "directories"); /* the root is one, too */
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "file%02d", i);
		make(name, 1);
	}
	afresh(30, 1 << 20);
	assert_refused(CREATE_REFUSED, "more than 30 files");
	assert_true(tree.room <= 64);
	afresh(100, 99);
	assert_refused(CREATE_REFUSED, "paths of more than 99 bytes");
	assert_true(tree.paths_used <= 99);
}

static void test_depth_and_path_length_are_capped(void **state)
{
	char name[256];
	int dir = dup(root), i, next;

	(void)state;
	for (i = 0; i < (int)TREE_MAX_DEPTH; i++) {
		assert_int_equal(mkdirat(dir, "d", 0755), 0);
		next = openat(dir, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(dir);
		dir = next;
	}
	close(dir);
	make("x", 1);
	assert_refused(CREATE_REFUSED, "more than 100 directories within each other");
	assert_int_equal(renameat(root, "d/d", root, "e"), 0); /* one less */
	afresh(1000, 1 << 20);
	assert_true(tree_read(&tree, &fault));

	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = 0;
	dir = dup(root);
	for (i = 0; i < 16; i++) {
		assert_int_equal(mkdirat(dir, name, 0755), 0);
		next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(dir);
		dir = next;
	}
	assert_int_equal(mkdirat(dir, "y", 0755), 0); /* 16 * 256 + 1 bytes */
	close(dir);
	afresh(1000, 1 << 20);
	assert_refused(CREATE_REFUSED, "a path of more than 4096 bytes");
}

/* ---- changes */

static void test_what_changes_after_it_was_found_is_noticed(void **state)
{
	static const char *const name = "sub/f";
	struct timespec times[2] = { { 1, 0 }, { 1, 5 } };
	int fd;

	(void)state;
	make(name, 100);
	assert_int_equal(utimensat(root, name, times, 0), 0);
	assert_true(tree_read(&tree, &fault));
	assert_true(tree_unchanged(&tree, &fault));

	times[1].tv_nsec = 6;
	assert_int_equal(utimensat(root, name, times, 0), 0);
	assert_false(tree_unchanged(&tree, &fault));
	assert_string_equal(fault.text, "changed while it was read: 'sub/f'");
	times[1].tv_nsec = 5;
	assert_int_equal(utimensat(root, name, times, 0), 0);
	assert_true(tree_unchanged(&tree, &fault));

	fd = openat(root, name, O_WRONLY);
	assert_int_equal(ftruncate(fd, 99), 0);
	close(fd);
	assert_int_equal(utimensat(root, name, times, 0), 0);
	assert_false(tree_unchanged(&tree, &fault));

	/* Another file of the same size and time. */
	assert_int_equal(renameat(root, name, root, "sub/old"), 0);
	make(name, 100);
	assert_int_equal(utimensat(root, name, times, 0), 0);
	assert_false(tree_unchanged(&tree, &fault));

	assert_int_equal(unlinkat(root, name, 0), 0);
	memset(&fault, 0, sizeof fault);
	assert_false(tree_unchanged(&tree, &fault));
	assert_int_equal(fault.error, ENOENT);
}

static void test_a_link_that_takes_the_place_of_a_directory_or_file_is_not_followed(void **state)
{
	(void)state;
	make("sub/f", 100);
	assert_true(tree_read(&tree, &fault));
	assert_int_equal(renameat(root, "sub", root, "moved"), 0);
	assert_int_equal(symlinkat("moved", root, "sub"), 0);
	assert_false(tree_unchanged(&tree, &fault));
	assert_int_equal(fault.error, ENOTDIR);
	assert_int_equal(unlinkat(root, "sub", 0), 0);
	assert_int_equal(renameat(root, "moved", root, "sub"), 0);
	assert_int_equal(renameat(root, "sub/f", root, "sub/g"), 0);
	assert_int_equal(symlinkat("g", openat(root, "sub", O_DIRECTORY), "f"), 0);
	memset(&fault, 0, sizeof fault);
	assert_false(tree_unchanged(&tree, &fault));
	assert_int_equal(fault.error, ELOOP);
}

static void test_of_a_long_path_the_end_is_told(void **state)
{
	char path[3000];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof path - 1; i += 2)
		memcpy(path + i, "\xc3\xbc", 2);
	memcpy(path + sizeof path - 5, "end", 4);
	path[sizeof path - 6] = '/';
	assert_false(fault_path(&fault, CREATE_STORAGE, 5, "cannot open", path));
	assert_true(strlen(fault.text) < sizeof fault.text);
	assert_non_null(strstr(fault.text, "'...\xc3\xbc"));
	assert_string_equal(fault.text + strlen(fault.text) - 5, "/end'");
	assert_false(fault_set(&fault, CREATE_REFUSED, 0, "another"));
	assert_int_equal(fault.error, 5); /* the first stays */
}

/* ---- hashes */

/* All bytes of the payload. */
static uint8_t *read_all(void)
{
	uint8_t *data = malloc(tree.total_bytes + 1);

	assert_true(read_range(&tree, 0, data, tree.total_bytes, &fault));
	return data;
}

static void assert_hashes_with(uint32_t piece_length, uint32_t threads, bool lanes)
{
	uint32_t pieces = (uint32_t)((tree.total_bytes - 1) / piece_length + 1), i;
	uint8_t(*digests)[20] = calloc(pieces, 20), one[20], *data = read_all();
	struct hash *h = malloc(sizeof *h);

	hash_init(h, threads);
	h->lanes = lanes;
	hash_make_threads(h);
	hash_start(h, &tree, piece_length, pieces, digests);
	while (hash_advance(h)) {
		struct pollfd pf = { .fd = pool_event(h->pool), .events = POLLIN };

		if (pool_sleep(h->pool))
			assert_int_equal(poll(&pf, 1, 20000), 1);
		pool_clear_event(h->pool);
		assert_true(hash_collect(h, &fault));
	}
	assert_int_equal(h->done_bytes, tree.total_bytes);
	for (i = 0; i < pieces; i++) {
		uint64_t begin = (uint64_t)i * piece_length;

		hash_bytes(h, data + begin, min_u64(piece_length, tree.total_bytes - begin), one);
		assert_memory_equal(one, digests[i], 20);
	}
	hash_release(h);
	free(h);
	free(digests);
	free(data);
}

/* One by one, and side by side where this processor can. */
static void assert_hashes(uint32_t piece_length, uint32_t threads)
{
	assert_hashes_with(piece_length, threads, false);
	assert_hashes_with(piece_length, threads, sha1_lanes_usable());
}

static void test_the_hash_of_a_known_text(void **state)
{
	static const uint8_t abc[20] = { 0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e,
					 0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d };
	struct hash *h = malloc(sizeof *h);
	uint8_t out[20];

	(void)state;
	hash_init(h, 1);
	hash_bytes(h, "abc", 3, out);
	assert_memory_equal(out, abc, 20);
	hash_release(h);
	free(h);
}

static void test_each_piece_is_hashed_wherever_files_begin_and_end(void **state)
{
	static const size_t sizes[] = {
		1, (16 << 10) - 1, 16 << 10, (16 << 10) + 1, 32 * (16 << 10), 33 * (16 << 10) - 5, 33 * (16 << 10)
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		make("b", sizes[i]);
		for (k = 0; k < 3; k++) {
			afresh(1000, 1 << 20);
			/* Alone, between empty files, between files of odd sizes. */
			if (k == 1)
				make("a0", 0), make("a1", 0), make("c", 0);
			if (k == 2)
				make("a0", 12345), make("a1", 0), make("c", 1), make("d/e", 70001);
			assert_true(tree_read(&tree, &fault));
			assert_hashes(16 << 10, 3);
			assert_hashes(64 << 10, 1);
		}
		unlinkat(root, "a0", 0), unlinkat(root, "a1", 0), unlinkat(root, "c", 0), unlinkat(root, "d/e", 0);
	}
}

static void test_pieces_larger_than_the_buffer(void **state)
{
	(void)state;
	make("a", 1000);
	make("b", (40 << 20) + 17);
	assert_true(tree_read(&tree, &fault));
	assert_hashes(32 << 20, 2);
	assert_hashes(64 << 20, 2);
	assert_hashes(16 << 20, 2);
}

static void test_a_single_file(void **state)
{
	int fd;

	(void)state;
	make("one", 100000);
	fd = openat(root, "one", O_RDONLY | O_CLOEXEC);
	tree.root = -1;
	tree.single = fd;
	assert_true(tree_read(&tree, &fault));
	assert_int_equal(tree.count, 1);
	assert_hashes(16 << 10, 2);
	assert_true(tree_unchanged(&tree, &fault));
	make("one", 100001); /* the same file, longer */
	assert_false(tree_unchanged(&tree, &fault));
	assert_string_equal(fault.text, "the file changed while it was read");
	close(fd);
}

static void test_a_file_that_cannot_be_read_fails_the_batch(void **state)
{
	struct hash *h = malloc(sizeof *h);
	uint8_t digests[40][20];

	(void)state;
	make("a", 300000);
	make("b", 300000);
	assert_true(tree_read(&tree, &fault));
	assert_int_equal(unlinkat(root, "b", 0), 0);
	hash_init(h, 2);
	hash_make_threads(h);
	hash_start(h, &tree, 16 << 10, 37, digests);
	while (hash_advance(h) && hash_collect(h, &fault))
		;
	assert_int_equal(fault.status, CREATE_STORAGE);
	assert_int_equal(fault.error, ENOENT);
	assert_string_equal(fault.text, "cannot open 'b'");
	/* Those that are under way end first. */
	while (pool_busy(h->pool))
		(void)pool_collect(h->pool);
	hash_release(h);
	free(h);
}

/* ---- the dictionary */

static void test_the_piece_length_is_chosen_for_at_most_2048_pieces(void **state)
{
	static const struct {
		uint64_t total;
		uint32_t length;
	} rule[] = {
		{ 1, 16 << 10 },
		{ 32ull << 20, 16 << 10 },
		{ (32ull << 20) + 1, 32 << 10 },
		{ 1ull << 30, 512 << 10 },
		{ (1ull << 30) + 1, 1 << 20 },
		{ 32ull << 30, 16 << 20 },
		{ (32ull << 30) + 1, 16 << 20 },
		{ INT64_MAX, 16 << 20 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rule); i++)
		assert_int_equal(info_piece_length(rule[i].total), rule[i].length);
}

static void assert_info(const struct info *info, const char *wanted, size_t length)
{
	struct bencode_out o;
	struct bencode value;
	uint8_t out[1000];

	bencode_out_init(&o, out, sizeof out);
	info_put(&o, info);
	assert_true(bencode_out_fits(&o));
	assert_int_equal(o.length, length);
	assert_memory_equal(out, wanted, length);
	assert_int_equal(bencode_check(out, o.length, 1000, &value, NULL), BENCODE_OK);
}

static void test_the_dictionary_of_a_directory_and_of_a_file(void **state)
{
	static const uint8_t digests[2][20] = { "0123456789abcdefghi", "0123456789ABCDEFGHI" };
	struct info info = {
		.t = &tree, .name = (const uint8_t *)"n\xc3\xbc", .name_length = 3, .piece_length = 16384, .pieces = 2, .digests = digests
	};
#define PIECES                                                                                                                             \
	"4:name3:n\xc3\xbc"                                                                                                                \
	"12:piece lengthi16384e6:pieces40:0123456789abcdefghi\0"                                                                           \
	"0123456789ABCDEFGHI\0"
	static const char directory[] = "d5:filesld6:lengthi0e4:pathl1:aeed6:lengthi17000e4:pathl1:b3:c d1:eeee" PIECES "e",
			  one[] = "d6:lengthi17000e" PIECES "7:privatei1e6:source3:SRCe";

	(void)state;
	make("b/c d/e", 17000);
	make("a", 0);
	assert_true(tree_read(&tree, &fault));
	assert_info(&info, directory, sizeof directory - 1);
	tree_release(&tree);
	tree = (struct tree){ .root = -1, .single = openat(root, "b/c d/e", O_RDONLY | O_CLOEXEC), .max_files = 1, .max_paths = 1000 };
	assert_true(tree_read(&tree, &fault));
	info.is_private = true;
	info.source = (const uint8_t *)"SRC";
	info.source_length = 3;
	assert_info(&info, one, sizeof one - 1);
	close(tree.single);
}

#define ON_FILES(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_FILES(test_files_are_in_the_order_of_their_paths_bytes),
		ON_FILES(test_links_and_special_files_are_left_out),
		ON_FILES(test_the_output_is_not_shared),
		ON_FILES(test_where_there_is_nothing_to_share_it_is_said),
		ON_FILES(test_names_are_utf8_and_nothing_else_is_asked_of_them),
		ON_FILES(test_limits_are_checked_before_memory_is_taken),
		ON_FILES(test_depth_and_path_length_are_capped),
		ON_FILES(test_what_changes_after_it_was_found_is_noticed),
		ON_FILES(test_a_link_that_takes_the_place_of_a_directory_or_file_is_not_followed),
		ON_FILES(test_of_a_long_path_the_end_is_told),
		cmocka_unit_test(test_the_hash_of_a_known_text),
		ON_FILES(test_each_piece_is_hashed_wherever_files_begin_and_end),
		ON_FILES(test_pieces_larger_than_the_buffer),
		ON_FILES(test_a_single_file),
		ON_FILES(test_a_file_that_cannot_be_read_fails_the_batch),
		cmocka_unit_test(test_the_piece_length_is_chosen_for_at_most_2048_pieces),
		ON_FILES(test_the_dictionary_of_a_directory_and_of_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
