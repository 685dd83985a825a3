/*
 * collide.c - rule 4 of names.h: no two files want the same path.
 *
 * The tree of all directories and files is kept as nodes, each named by its
 * parent and its component, in a hash table with a random key; the work is
 * linear in the bytes of the paths.  Runs once, after all paths were mapped.
 */
#include "torrent.h"

#define ROOT_NODE 0u
/* Numbers that are tried, in all: 4 for each file, and some.  Only names that were cut can need more than one or two. */
#define TRIES_BASE 1000u

struct node {
	uint32_t parent;
	uint32_t length;
	size_t name;      /* offset in the strings */
	uint32_t next;    /* in its bucket, 0 at the end */
	uint32_t number;  /* the next one to try for a file that wants this path */
};

struct tree {
	struct strings *strings; /* borrowed: the names */
	struct node *nodes;      /* owned; [0] is the root and never in a bucket */
	uint32_t *buckets;       /* owned; a power of two */
	size_t count, room, max, mask;
	uint64_t k0, k1;
	bool fold; /* ASCII letters are the same in both cases */
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	sip_round(v);
	v[0] ^= m;
}

static uint8_t folded(const struct tree *t, char c)
{
	return (uint8_t)(t->fold && c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* SipHash-2-4 (Aumasson, Bernstein) of the parent and the bytes: strangers cannot aim at one bucket. */
static size_t hash_name(const struct tree *t, uint32_t parent, const char *name, size_t length)
{
	uint64_t v[4] = { t->k0 ^ 0x736f6d6570736575u, t->k1 ^ 0x646f72616e646f6du, t->k0 ^ 0x6c7967656e657261u,
			  t->k1 ^ 0x7465646279746573u };
	uint64_t m = 0;
	size_t i;

	sip_word(v, (uint64_t)parent << 32 | (uint32_t)length);
	for (i = 0; i < length; i++) {
		m |= (uint64_t)folded(t, name[i]) << 8 * (i % 8);
		if (i % 8 == 7) {
			sip_word(v, m);
			m = 0;
		}
	}
	sip_word(v, m);
	v[2] ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(v);
	return (size_t)(v[0] ^ v[1] ^ v[2] ^ v[3]);
}

static bool same_name(const struct tree *t, const char *a, const char *b, size_t length)
{
	size_t i;

	if (!t->fold)
		return memcmp(a, b, length) == 0;
	for (i = 0; i < length; i++)
		if (folded(t, a[i]) != folded(t, b[i]))
			return false;
	return true;
}

static bool tree_init(struct tree *t, struct inspect *in, struct strings *strings, size_t files, bool fold)
{
	size_t buckets = 16384;

	memset(t, 0, sizeof *t);
	t->strings = strings;
	t->fold = fold;
	/* Directories: as many as files are allowed. */
	t->max = 1 + files + in->limits.max_files;
	memcpy(&t->k0, in->limits.hash_key, 8);
	memcpy(&t->k1, in->limits.hash_key + 8, 8);
	while (buckets < files * 2)
		buckets *= 2;
	t->mask = buckets - 1;
	t->buckets = calloc(buckets, sizeof *t->buckets);
	t->room = 64;
	t->nodes = calloc(t->room, sizeof *t->nodes);
	t->count = 1;
	return t->buckets && t->nodes;
}

static void tree_release(struct tree *t)
{
	free(t->buckets);
	free(t->nodes);
}

static uint32_t tree_find(const struct tree *t, uint32_t parent, const char *name, size_t length)
{
	uint32_t i = t->buckets[hash_name(t, parent, name, length) & t->mask];

	for (; i; i = t->nodes[i].next) {
		const struct node *n = &t->nodes[i];

		if (n->parent == parent && n->length == length && same_name(t, t->strings->base + n->name, name, length))
			return i;
	}
	return 0;
}

/* The component at offset `name` of the strings, which is not there yet.  Its node, or 0 above the cap or without memory. */
static uint32_t tree_add(struct tree *t, uint32_t parent, size_t name, size_t length)
{
	size_t bucket = hash_name(t, parent, t->strings->base + name, length) & t->mask;
	void *p = t->nodes;

	if (!array_grow(&p, &t->room, t->count + 1, t->max, sizeof *t->nodes))
		return 0;
	t->nodes = p;
	t->nodes[t->count] = (struct node){ parent, (uint32_t)length, name, t->buckets[bucket], 2 };
	t->buckets[bucket] = (uint32_t)t->count;
	return (uint32_t)t->count++;
}

/* Where the last component of a path begins. */
static size_t last_component(const char *path, size_t length)
{
	while (length && path[length - 1] != '/')
		length--;
	return length;
}

/* Adds the directories of a file and remembers the innermost one. */
static bool add_directories(struct tree *t, struct torrent_file *f)
{
	size_t i, begin = 0, end = last_component(t->strings->base + f->path, f->path_length);
	uint32_t at = ROOT_NODE;

	for (i = 0; i < end; i++) {
		const char *path = t->strings->base + f->path;
		uint32_t next;

		if (path[i] != '/')
			continue;
		next = tree_find(t, at, path + begin, i - begin);
		if (!next)
			next = tree_add(t, at, f->path + begin, i - begin);
		if (!next)
			return false;
		at = next;
		begin = i + 1;
	}
	f->parent = at;
	return true;
}

static bool is_created(const struct torrent_file *f)
{
	return !(f->flags & (METAINFO_FILE_PAD | METAINFO_FILE_SYMLINK));
}

/* The path of f is that of node `taken`: finds it another one. */
static bool give_number(struct inspect *in, struct torrent *t, struct tree *tree, struct torrent_file *f, uint32_t taken, uint64_t *tries)
{
	size_t dir = last_component(torrent_str(t, f->path), f->path_length), path;
	uint32_t index = (uint32_t)(f - t->files);
	struct name name;

	do {
		if (!(*tries)--)
			return refuse(in, INSPECT_UNSAFE, f->original, "too many files want the same path");
		name_number(&name, torrent_str(t, f->path + dir), f->path_length - dir, tree->nodes[taken].number++);
	} while (tree_find(tree, f->parent, name.text, name.length));
	if (dir + name.length > METAINFO_MAX_PATH)
		return refuse(in, INSPECT_UNSAFE, f->original, "file %u has a path above %u bytes", index, METAINFO_MAX_PATH);
	path = t->strings.used;
	if (dir) {
		char copy[METAINFO_MAX_PATH]; /* the strings may move while they grow */

		memcpy(copy, torrent_str(t, f->path), dir);
		if (!strings_add(&t->strings, copy, dir))
			return refuse(in, INSPECT_TOO_LARGE, f->original, "the paths of the files are too long together");
	}
	if (!strings_add(&t->strings, name.text, name.length))
		return refuse(in, INSPECT_TOO_LARGE, f->original, "the paths of the files are too long together");
	f->path = path;
	f->path_length = (uint32_t)(dir + name.length);
	f->mapped = true;
	t->collisions++;
	return true;
}

/* All directories first: a file gives way to a directory, whichever comes first. */
static bool separate(struct inspect *in, struct torrent *t, struct tree *tree)
{
	uint64_t tries = TRIES_BASE + 4ull * t->file_count;
	uint32_t i;

	for (i = 0; i < t->file_count; i++)
		if (is_created(&t->files[i]) && !add_directories(tree, &t->files[i]))
			return refuse(in, INSPECT_TOO_LARGE, t->files[i].original, "more directories than files are allowed");
	for (i = 0; i < t->file_count; i++) {
		struct torrent_file *f = &t->files[i];
		size_t dir;
		uint32_t taken;

		if (!is_created(f))
			continue;
		dir = last_component(torrent_str(t, f->path), f->path_length);
		taken = tree_find(tree, f->parent, torrent_str(t, f->path + dir), f->path_length - dir);
		if (taken) {
			if (!give_number(in, t, tree, f, taken, &tries))
				return false;
			dir = last_component(torrent_str(t, f->path), f->path_length);
		}
		if (!tree_add(tree, f->parent, f->path + dir, f->path_length - dir))
			return refuse(in, INSPECT_TOO_LARGE, f->original, "no memory for %u files", t->file_count);
	}
	return true;
}

/* How many names a file system without case would take for another one.  `nodes`: how many there are with case. */
static bool count_case(struct torrent *t, struct tree *tree, size_t nodes)
{
	uint32_t i;

	for (i = 0; i < t->file_count; i++) {
		struct torrent_file *f = &t->files[i];
		size_t dir;

		if (!is_created(f))
			continue;
		if (!add_directories(tree, f))
			return false;
		dir = last_component(torrent_str(t, f->path), f->path_length);
		if (!tree_find(tree, f->parent, torrent_str(t, f->path + dir), f->path_length - dir) &&
		    !tree_add(tree, f->parent, f->path + dir, f->path_length - dir))
			return false;
	}
	t->case_collisions = (uint32_t)(nodes - tree->count);
	return true;
}

bool torrent_collisions(struct inspect *in, struct torrent *t)
{
	struct tree tree;
	size_t nodes = 0;
	bool ok = tree_init(&tree, in, &t->strings, t->file_count, false);

	if (!ok)
		refuse(in, INSPECT_INTERNAL, NULL, "no memory for %u files", t->file_count);
	else
		ok = separate(in, t, &tree);
	nodes = tree.count;
	tree_release(&tree);
	if (!ok)
		return false;
	ok = tree_init(&tree, in, &t->strings, t->file_count, true) && count_case(t, &tree, nodes);
	tree_release(&tree);
	return ok || refuse(in, INSPECT_INTERNAL, NULL, "no memory for %u files", t->file_count);
}
