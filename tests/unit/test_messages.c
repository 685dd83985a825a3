/* test_messages.c - docs/ipc.md says of each message and of the normal form what the headers say. */
#include "../../ipc/channel.c"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "metainfo.h"

/* docs/ipc.md, found from where this file is. */
static char page[256 << 10];

static int read_page(void **state)
{
	const char *slash = strrchr(__FILE__, '/');
	char path[512];
	size_t n;
	FILE *f;

	(void)state;
	snprintf(path, sizeof path, "%.*s/../../docs/ipc.md", slash ? (int)(slash - __FILE__) : 1, slash ? __FILE__ : ".");
	f = fopen(path, "r");
	if (!f) {
		print_error("cannot open %s\n", path);
		return -1;
	}
	n = fread(page, 1, sizeof page - 1, f);
	fclose(f);
	page[n] = 0;
	return n > 0 && n < sizeof page - 1 ? 0 : -1;
}

/* What follows a heading or another line that is there once. */
static const char *after(const char *line)
{
	const char *at = strstr(page, line);

	if (!at || strstr(at + 1, line))
		fail_msg("'%s' is not there exactly once", line);
	return at + strlen(line);
}

/* Cell `n` (from 0) of a table's row, without the spaces around it. */
static const char *cell(char *out, size_t room, const char *row, unsigned n)
{
	size_t length = 0;

	out[0] = 0;
	for (n++; n; n--) {
		row += strcspn(row, "|\n");
		if (*row++ != '|')
			return out;
	}
	while (*row == ' ')
		row++;
	while (length + 1 < room && row[length] && row[length] != '|' && row[length] != '\n')
		length++;
	while (length && row[length - 1] == ' ')
		length--;
	memcpy(out, row, length);
	out[length] = 0;
	return out;
}

static unsigned number(const char *row, unsigned n)
{
	char text[32], *end;
	unsigned long v;

	cell(text, sizeof text, row, n);
	v = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end)
		fail_msg("'%s' is no number", text);
	return (unsigned)v;
}

/* The next row of the table that `at` is before or in, NULL at its end.  Its head and its rule are passed over. */
static const char *next_row(const char *at, bool *inside)
{
	for (;;) {
		at = strchr(at, '\n');
		if (!at || !*++at)
			return NULL;
		if (*at != '|' && *inside)
			return NULL;
		if (*at != '|')
			continue;
		if (!*inside) { /* the head; the rule below it follows */
			*inside = true;
			at = strchr(at, '\n');
			if (!at || strncmp(++at, "|---", 4))
				fail_msg("a table without a rule");
			continue;
		}
		return at;
	}
}

static void test_every_message_is_in_the_table_as_it_is(void **state)
{
	const char *row = after("\n## All messages\n");
	unsigned seen = 0;
	bool inside = false;
	char text[64];

	(void)state;
	while ((row = next_row(row, &inside))) {
		unsigned type = number(row, 0);

		seen++;
		if (type != seen || type >= MSG_TYPES)
			fail_msg("row %u has the number %u", seen, type);
		assert_string_equal(cell(text, sizeof text, row, 1), message_rows[type].name);
		if (number(row, 2) != message_rows[type].size || number(row, 3) != message_rows[type].batch || number(row, 4) != message_rows[type].fd)
			fail_msg("%s is of %u bytes, batch %u, descriptors %u", message_rows[type].name, message_rows[type].size,
				 message_rows[type].batch, message_rows[type].fd);
		assert_true(*cell(text, sizeof text, row, 5) && *cell(text, sizeof text, row, 6) && *cell(text, sizeof text, row, 7));
	}
	assert_int_equal(seen, MSG_TYPES - 1);
}

/* Each message is explained somewhere, not only listed. */
static void test_every_message_is_spoken_of_above_the_table(void **state)
{
	const char *end = after("\n## All messages\n");
	unsigned type;

	(void)state;
	for (type = MSG_NONE + 1; type < MSG_TYPES; type++) {
		const char *name = message_rows[type].name, *at = page;
		size_t length = strlen(name);
		bool found = false;

		while (!found && (at = strstr(at, name)) && at < end) {
			found = !isalpha((unsigned char)at[-1]) && at[-1] != '_' && !isalpha((unsigned char)at[length]) && at[length] != '_';
			at += length;
		}
		if (!found)
			fail_msg("%s is only in the table", name);
	}
}

struct field {
	const char *name;
	size_t offset, bytes;
};
#define FIELD(s, f) { #f, offsetof(struct s, f), sizeof(((struct s *)0)->f) }

/* The table below `line` has these fields, in order, and no other that has a name. */
static void check_layout(const char *line, const struct field *fields, size_t n)
{
	const char *row = after(line);
	bool inside = false;
	char text[64];
	size_t i = 0;

	while ((row = next_row(row, &inside))) {
		cell(text, sizeof text, row, 2);
		if (!text[0])
			continue;
		if (i == n)
			fail_msg("%s is one field too many", text);
		assert_string_equal(text, fields[i].name);
		assert_int_equal(number(row, 0), fields[i].offset);
		assert_int_equal(number(row, 1), fields[i].bytes);
		i++;
	}
	assert_int_equal(i, n);
}

static void test_the_layout_of_the_normal_form_is_the_header_s(void **state)
{
	static const struct field header[] = {
		FIELD(metainfo_header, magic),		FIELD(metainfo_header, bytes),	       FIELD(metainfo_header, info_hash),
		FIELD(metainfo_header, flags),		FIELD(metainfo_header, total_length),  FIELD(metainfo_header, piece_length),
		FIELD(metainfo_header, piece_count),	FIELD(metainfo_header, file_count),    FIELD(metainfo_header, tracker_count),
		FIELD(metainfo_header, webseed_count),	FIELD(metainfo_header, name),	       FIELD(metainfo_header, hashes),
		FIELD(metainfo_header, files),		FIELD(metainfo_header, trackers),      FIELD(metainfo_header, webseeds),
	};
	static const struct field file[] = {
		FIELD(metainfo_file, offset), FIELD(metainfo_file, length), FIELD(metainfo_file, path),
		FIELD(metainfo_file, flags),  FIELD(metainfo_file, spare),
	};
	static const struct field url[] = {
		FIELD(metainfo_url, url),    FIELD(metainfo_url, host),	 FIELD(metainfo_url, port),
		FIELD(metainfo_url, scheme), FIELD(metainfo_url, spare), FIELD(metainfo_url, tier),
	};

	(void)state;
	check_layout("\nHeader, 96 bytes:\n", header, ARRAY_LEN(header));
	check_layout("\nA row of files:\n", file, ARRAY_LEN(file));
	check_layout("\nA row of trackers or web seeds:\n", url, ARRAY_LEN(url));
	assert_int_equal(sizeof(struct metainfo_header), 96);
	assert_int_equal(sizeof(struct metainfo_file), 32);
	assert_int_equal(sizeof(struct metainfo_url), 24);
}

static void test_the_layout_of_a_packet_is_the_header_s(void **state)
{
	static const struct field rows[] = {
		FIELD(packet_header, type),
		FIELD(packet_header, count),
		FIELD(packet_header, epoch),
		{ "messages", sizeof(struct packet_header), 0 },
	};
	const char *row = after("\nOne packet is a header and then `count` messages of one type:\n");
	bool inside = false;
	char text[64];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		row = next_row(row, &inside);
		assert_non_null(row);
		assert_string_equal(cell(text, sizeof text, row, 2), rows[i].name);
		assert_int_equal(number(row, 0), rows[i].offset);
		if (rows[i].bytes)
			assert_int_equal(number(row, 1), rows[i].bytes);
	}
	assert_null(next_row(row, &inside));
}

static void test_the_largest_packet_is_the_one_that_is_named(void **state)
{
	unsigned type, most = 0, largest = 0;
	char line[80];

	(void)state;
	for (type = MSG_NONE + 1; type < MSG_TYPES; type++) {
		unsigned bytes = (unsigned)sizeof(struct packet_header) + message_rows[type].batch * message_rows[type].size;

		if (bytes > most) {
			most = bytes;
			largest = type;
		}
	}
	snprintf(line, sizeof line, "the largest that the table permits is %u (%s)", most, message_rows[largest].name);
	(void)after(line);
	snprintf(line, sizeof line, "at most %u bytes (`PACKET_MAX`)", PACKET_MAX);
	(void)after(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_message_is_in_the_table_as_it_is),
		cmocka_unit_test(test_every_message_is_spoken_of_above_the_table),
		cmocka_unit_test(test_the_layout_of_the_normal_form_is_the_header_s),
		cmocka_unit_test(test_the_layout_of_a_packet_is_the_header_s),
		cmocka_unit_test(test_the_largest_packet_is_the_one_that_is_named),
	};

	return cmocka_run_group_tests(tests, read_page, NULL);
}
