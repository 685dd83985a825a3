/* fuzz_bencode.c - any bytes through the checker, and what passed through the walkers. */
#include "../../ipc/bencode.h"

static size_t walk(const struct bencode *container, unsigned depth)
{
	struct bencode_iter it;
	struct bencode key, value, found;
	const uint8_t *at = container->begin + 1;
	char name[64];
	size_t n = 0;

	if (depth > BENCODE_MAX_DEPTH)
		abort();
	bencode_iter_init(&it, container);
	while (bencode_next(&it, container->type == BENCODE_DICT ? &key : NULL, &value)) {
		if (container->type == BENCODE_DICT && (key.type != BENCODE_STRING || key.begin != at || value.begin != key.end))
			abort();
		at = value.end;
		if (at <= value.begin || at >= container->end)
			abort();
		/* No key is there twice: the first one found is this one. */
		if (container->type == BENCODE_DICT && key.length < sizeof name && !memchr(key.string, 0, key.length)) {
			memcpy(name, key.string, key.length);
			name[key.length] = 0;
			if (n < 64 && (!bencode_find(container, name, &found) || found.begin != value.begin))
				abort();
		}
		if (value.type == BENCODE_LIST || value.type == BENCODE_DICT)
			n += walk(&value, depth + 1);
		n++;
	}
	if (at != container->end - 1)
		abort();
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bencode root;
	size_t offset = 0;
	enum bencode_error e = bencode_check(data, size, 10000, &root, &offset);

	if (offset > size || !bencode_error_text(e))
		abort();
	if ((e == BENCODE_OK || e == BENCODE_TRAILING) && (root.begin != data || root.end > data + size))
		abort();
	if (e == BENCODE_OK && (root.type == BENCODE_LIST || root.type == BENCODE_DICT) && walk(&root, 1) > 10000)
		abort();
	return 0;
}
