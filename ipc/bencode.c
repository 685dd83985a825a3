/*
 * bencode.c - see bencode.h.
 *
 * bencode_check() makes one pass with a fixed stack; all other functions walk a
 * buffer that passed it and therefore need no bounds of their own beyond the
 * ends of the value that they are given.  Nothing here allocates or recurses.
 *
 * Duplicate keys: BEP 3 wants keys sorted, so comparing neighbours is enough.
 * The keys of a dictionary that is not in order are collected in a fixed array,
 * sorted there and compared; that is why their number is capped.  The work is
 * at most (bytes) x (depth) x log2(BENCODE_MAX_UNSORTED), whatever the input.
 */
#include "bencode.h"

struct level {
	const uint8_t *begin; /* of the container */
	const uint8_t *key;   /* the last key's bytes; NULL before the first */
	size_t key_length;
	bool dict, unsorted;
	bool have_key; /* a key was read, its value comes next */
};

struct key_span {
	const uint8_t *at;
	size_t length;
};

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* "i-12e" at p.  Canonical and within int64, or an error; *next is one past the 'e', or where it went wrong. */
static enum bencode_error read_int(const uint8_t *p, const uint8_t *end, int64_t *value, const uint8_t **next)
{
	uint64_t n = 0, most = INT64_MAX;
	const uint8_t *first;
	bool minus = false;

	*next = p++;
	if (p < end && *p == '-') {
		minus = true;
		most++;
		p++;
	}
	for (first = p; p < end && is_digit(*p); p++) {
		uint64_t d = (uint64_t)(*p - '0');

		if (n > (most - d) / 10)
			return BENCODE_RANGE;
		n = n * 10 + d;
	}
	if (p == end)
		return BENCODE_TRUNCATED;
	if (p == first || *p != 'e')
		return BENCODE_SYNTAX;
	if (*first == '0' && (p - first > 1 || minus))
		return BENCODE_RANGE;
	*value = minus ? (int64_t)(0 - n) : (int64_t)n;
	*next = p + 1;
	return BENCODE_OK;
}

/* "4:spam" at p.  *next is one past the string, or where it went wrong. */
static enum bencode_error read_string(const uint8_t *p, const uint8_t *end, struct key_span *s, const uint8_t **next)
{
	const uint8_t *first = p;
	size_t n = 0;

	*next = p;
	for (; p < end && is_digit(*p); p++) {
		size_t d = (size_t)(*p - '0');

		if (n > (SIZE_MAX - d) / 10)
			return BENCODE_RANGE;
		n = n * 10 + d;
	}
	if (p == end)
		return BENCODE_TRUNCATED;
	if (*p != ':')
		return BENCODE_SYNTAX;
	if (*first == '0' && p - first > 1)
		return BENCODE_RANGE;
	p++;
	if (n > (size_t)(end - p))
		return BENCODE_TRUNCATED;
	s->at = p;
	s->length = n;
	*next = p + n;
	return BENCODE_OK;
}

static int compare_keys(const struct key_span *a, const struct key_span *b)
{
	size_t n = a->length < b->length ? a->length : b->length;
	int r = n ? memcmp(a->at, b->at, n) : 0;

	if (r)
		return r;
	return a->length < b->length ? -1 : a->length > b->length;
}

/* For finding equal ones only: by length first, so that unlike keys cost nothing. */
static int compare_any(const struct key_span *a, const struct key_span *b)
{
	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	return a->length ? memcmp(a->at, b->at, a->length) : 0;
}

static void sift_down(struct key_span *k, size_t root, size_t n)
{
	for (;;) {
		size_t child = 2 * root + 1;
		struct key_span t;

		if (child >= n)
			return;
		if (child + 1 < n && compare_any(&k[child], &k[child + 1]) < 0)
			child++;
		if (compare_any(&k[root], &k[child]) >= 0)
			return;
		t = k[root];
		k[root] = k[child];
		k[child] = t;
		root = child;
	}
}

/* Heap sort: n log n for every input, in place. */
static void sort_keys(struct key_span *k, size_t n)
{
	size_t i;

	for (i = n / 2; i > 0; i--)
		sift_down(k, i - 1, n);
	for (i = n; i > 1; i--) {
		struct key_span t = k[0];

		k[0] = k[i - 1];
		k[i - 1] = t;
		sift_down(k, 0, i - 1);
	}
}

/* One past the checked value at p. */
static const uint8_t *skip_value(const uint8_t *p)
{
	unsigned depth = 0;

	do {
		if (*p == 'l' || *p == 'd') {
			depth++;
			p++;
		} else if (*p == 'e') {
			depth--;
			p++;
		} else if (*p == 'i') {
			while (*p != 'e')
				p++;
			p++;
		} else {
			size_t n = 0;

			for (; *p != ':'; p++)
				n = n * 10 + (size_t)(*p - '0');
			p += n + 1;
		}
	} while (depth);
	return p;
}

/* A dictionary out of order, checked but for duplicates: begin is its 'd', end its 'e'. */
static enum bencode_error check_unsorted(const uint8_t *begin, const uint8_t *end)
{
	/* Not zeroed: there may be millions of small dictionaries, and only what was filled is read. */
	struct key_span keys[BENCODE_MAX_UNSORTED] __attribute__((uninitialized));
	const uint8_t *p = begin + 1;
	size_t i, n = 0;

	while (p < end) {
		if (n == BENCODE_MAX_UNSORTED)
			return BENCODE_UNSORTED;
		if (read_string(p, end, &keys[n++], &p) != BENCODE_OK)
			return BENCODE_KEY;
		p = skip_value(p);
	}
	sort_keys(keys, n);
	for (i = 1; i < n; i++)
		if (compare_any(&keys[i - 1], &keys[i]) == 0)
			return BENCODE_DUPLICATE;
	return BENCODE_OK;
}

/* The string that was read is a key of the innermost dictionary. */
static enum bencode_error take_key(struct level *l, struct key_span key)
{
	struct key_span last = { l->key, l->key_length };

	if (l->key) {
		int r = compare_keys(&last, &key);

		if (r == 0)
			return BENCODE_DUPLICATE;
		if (r > 0)
			l->unsorted = true;
	}
	l->key = key.at;
	l->key_length = key.length;
	l->have_key = true;
	return BENCODE_OK;
}

/* One value from p on; *at is one past it, or where it went wrong. */
static enum bencode_error check_value(const uint8_t *p, const uint8_t *end, size_t max_tokens, const uint8_t **at)
{
	struct level stack[BENCODE_MAX_DEPTH];
	unsigned depth = 0;
	enum bencode_error e;

	do {
		struct level *top = depth ? &stack[depth - 1] : NULL;
		bool want_key = top && top->dict && !top->have_key;

		*at = p;
		if (p == end)
			return BENCODE_TRUNCATED;
		if (*p == 'e') {
			if (!top)
				return BENCODE_SYNTAX;
			if (top->dict && top->have_key)
				return BENCODE_KEY;
			if (top->unsorted) {
				e = check_unsorted(top->begin, p);
				if (e != BENCODE_OK) {
					*at = top->begin;
					return e;
				}
			}
			p++;
			depth--;
			continue;
		}
		if (max_tokens-- == 0)
			return BENCODE_TOKENS;
		if (want_key && !is_digit(*p))
			return *p == 'i' || *p == 'l' || *p == 'd' ? BENCODE_KEY : BENCODE_SYNTAX;
		if (top && top->dict && !want_key)
			top->have_key = false;
		if (*p == 'l' || *p == 'd') {
			if (depth == BENCODE_MAX_DEPTH)
				return BENCODE_DEPTH;
			stack[depth++] = (struct level){ .begin = p, .dict = *p == 'd' };
			p++;
		} else if (*p == 'i') {
			int64_t value;

			e = read_int(p, end, &value, at);
			if (e != BENCODE_OK)
				return e;
			p = *at;
		} else if (is_digit(*p)) {
			const uint8_t *begin = p;
			struct key_span s;

			e = read_string(p, end, &s, at);
			if (e != BENCODE_OK)
				return e;
			p = *at;
			if (want_key) {
				e = take_key(top, s);
				if (e != BENCODE_OK) {
					*at = begin;
					return e;
				}
			}
		} else {
			return BENCODE_SYNTAX;
		}
	} while (depth);
	*at = p;
	return BENCODE_OK;
}

/* Fills v from the checked value at p. */
static const uint8_t *fill(struct bencode *v, const uint8_t *p)
{
	memset(v, 0, sizeof *v);
	v->begin = p;
	v->end = skip_value(p);
	switch (*p) {
	case 'l':
		v->type = BENCODE_LIST;
		break;
	case 'd':
		v->type = BENCODE_DICT;
		break;
	case 'i':
		v->type = BENCODE_INT;
		(void)read_int(p, v->end, &v->integer, &p);
		break;
	default: {
		struct key_span s = { NULL, 0 };

		v->type = BENCODE_STRING;
		(void)read_string(p, v->end, &s, &p);
		v->string = s.at;
		v->length = s.length;
	}
	}
	return v->end;
}

enum bencode_error bencode_check_prefix(const uint8_t *buf, size_t bytes, size_t max_tokens, struct bencode *root, size_t *offset)
{
	const uint8_t *at = buf;
	enum bencode_error e = bytes ? check_value(buf, buf + bytes, max_tokens, &at) : BENCODE_TRUNCATED;

	if (offset)
		*offset = bytes ? (size_t)(at - buf) : 0;
	if (e == BENCODE_OK)
		fill(root, buf);
	return e;
}

enum bencode_error bencode_check(const uint8_t *buf, size_t bytes, size_t max_tokens, struct bencode *root, size_t *offset)
{
	enum bencode_error e = bencode_check_prefix(buf, bytes, max_tokens, root, offset);

	if (e == BENCODE_OK && root->end != buf + bytes)
		return BENCODE_TRAILING;
	return e;
}

void bencode_iter_init(struct bencode_iter *it, const struct bencode *container)
{
	bool holds = container->type == BENCODE_LIST || container->type == BENCODE_DICT;

	it->at = holds ? container->begin + 1 : NULL;
	it->stop = holds ? container->end - 1 : NULL;
}

bool bencode_next(struct bencode_iter *it, struct bencode *key, struct bencode *value)
{
	if (it->at == it->stop)
		return false;
	if (key)
		it->at = fill(key, it->at);
	it->at = fill(value, it->at);
	return true;
}

bool bencode_find(const struct bencode *dict, const char *key, struct bencode *value)
{
	size_t length = strlen(key);
	const uint8_t *p, *stop;

	if (dict->type != BENCODE_DICT)
		return false;
	stop = dict->end - 1;
	for (p = dict->begin + 1; p < stop; p = skip_value(p)) {
		struct key_span s = { NULL, 0 };

		(void)read_string(p, stop, &s, &p);
		if (s.length == length && memcmp(s.at, key, length) == 0) {
			fill(value, p);
			return true;
		}
	}
	return false;
}

bool bencode_find_type(const struct bencode *dict, const char *key, enum bencode_type type, struct bencode *value)
{
	return bencode_find(dict, key, value) && value->type == type;
}

const char *bencode_error_text(enum bencode_error e)
{
	static const char *const text[BENCODE_ERRORS] = {
		[BENCODE_OK] = "well-formed",
		[BENCODE_TRUNCATED] = "cut off inside a value",
		[BENCODE_SYNTAX] = "not bencode",
		[BENCODE_RANGE] = "an integer or a length that is out of range or not canonical",
		[BENCODE_DEPTH] = "nested too deeply",
		[BENCODE_TOKENS] = "too many values",
		[BENCODE_KEY] = "a dictionary key that is no string, or one without a value",
		[BENCODE_TRAILING] = "bytes after the end",
		[BENCODE_DUPLICATE] = "a key twice in one dictionary",
		[BENCODE_UNSORTED] = "too many keys out of order in one dictionary",
	};

	return (unsigned)e < BENCODE_ERRORS ? text[e] : "unknown error";
}
