/*
 * tree.c - see tree.h.
 *
 * Runs after the lock, behind a filter that opens by descriptor and name, to
 * read, without links.  Memory grows with what is found, up to the limits.
 */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

/* Of one read of a directory; one for each depth. */
#define ENTRIES_BYTES (32u << 10)
/* O_NONBLOCK: what has become a pipe meanwhile does not make us wait. */
#define OPEN_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* linux/dirent.h, which is not for programs. */
struct entry {
	uint64_t inode;
	int64_t next;
	uint16_t bytes; /* of all of it */
	uint8_t type;
	char name[];
};

static bool grow(void **array, size_t need, size_t *room, size_t bytes)
{
	size_t more = *room ? *room : 64;
	void *p;

	if (need <= *room)
		return true;
	while (more < need)
		more *= 2; /* need is far below half of the range: the limits are */
	p = reallocarray(*array, more, bytes);
	if (!p)
		return false;
	*array = p;
	*room = more;
	return true;
}

/* The file that the walk is at. */
static bool add_file(struct tree *t, const struct stat *st, struct fault *fault)
{
	size_t room = t->room, length = t->path_length + 1;
	struct tree_file *f;
	void *files = t->files, *paths = t->paths;

	if ((uint64_t)st->st_dev == t->skip_device && (uint64_t)st->st_ino == t->skip_inode)
		return true;
	if (t->count >= t->max_files)
		return fault_set(fault, CREATE_REFUSED, 0, "more than %u files (--max-files)", t->max_files);
	if (length > t->max_paths - t->paths_used)
		return fault_set(fault, CREATE_REFUSED, 0, "paths of more than %zu bytes in all (--max-torrent-size)", t->max_paths);
	if (st->st_size < 0 || (uint64_t)st->st_size > INT64_MAX - t->total_bytes)
		return fault_set(fault, CREATE_REFUSED, 0, "more bytes than a torrent can have");
	if (!grow(&files, t->count + 1u, &room, sizeof *t->files))
		return fault_set(fault, CREATE_INTERNAL, ENOMEM, "no memory for %u files", t->count + 1);
	t->files = files;
	t->room = (uint32_t)room;
	if (!grow(&paths, t->paths_used + length, &t->paths_room, 1))
		return fault_set(fault, CREATE_INTERNAL, ENOMEM, "no memory for the paths of %u files", t->count + 1);
	t->paths = paths;
	f = &t->files[t->count++];
	*f = (struct tree_file){
		.length = (uint64_t)st->st_size, .device = st->st_dev, .inode = st->st_ino, .changed = st->st_mtim, .path = t->paths_used
	};
	memcpy(t->paths + t->paths_used, t->path, length);
	t->paths_used += length;
	t->total_bytes += f->length;
	return true;
}

static bool leave_out(struct tree *t, const char *what)
{
	char quoted[LOG_TEXT_MAX - 40];

	t->skipped++;
	log_line(LOG_WARN, TOPIC_NONE, "left out, since it is %s: '%s'", what, log_quote(quoted, sizeof quoted, t->path, t->path_length));
	return true;
}

static const char *name_of_type(unsigned type)
{
	switch (type) {
	case DT_LNK:
		return "a symbolic link";
	case DT_FIFO:
		return "a pipe";
	case DT_SOCK:
		return "a socket";
	case DT_CHR:
	case DT_BLK:
		return "a device";
	default:
		return NULL;
	}
}

static bool read_directory(struct tree *t, int dir, unsigned depth, struct fault *fault);

/* What the walk is at, which is `name` in dir. */
static bool take_entry(struct tree *t, int dir, const char *name, unsigned type, unsigned depth, struct fault *fault)
{
	struct stat st;
	bool ok;
	int fd;

	/* Opening some of them would have effects. */
	if (name_of_type(type))
		return leave_out(t, name_of_type(type));
	fd = openat(dir, name, OPEN_FLAGS);
	/* Where directories do not tell types. */
	if (fd < 0 && errno == ELOOP)
		return leave_out(t, name_of_type(DT_LNK));
	if (fd < 0 && errno == ENXIO)
		return leave_out(t, name_of_type(DT_SOCK));
	if (fd < 0)
		return fault_path(fault, CREATE_STORAGE, errno, "cannot open", t->path);
	if (fd_stat(fd, &st) < 0)
		ok = fault_path(fault, CREATE_STORAGE, errno, "cannot look at", t->path);
	else if (S_ISDIR(st.st_mode))
		ok = read_directory(t, fd, depth + 1, fault);
	else if (S_ISREG(st.st_mode))
		ok = add_file(t, &st, fault);
	else
		ok = leave_out(t, "neither a file nor a directory");
	close(fd);
	return ok;
}

/* One entry of a directory: the walk goes there and comes back. */
static bool visit(struct tree *t, int dir, const struct entry *e, unsigned depth, struct fault *fault)
{
	size_t before = t->path_length, length = strlen(e->name), slash = before != 0;
	bool ok;

	if (!strcmp(e->name, ".") || !strcmp(e->name, ".."))
		return true;
	if (before + slash + length > METAINFO_MAX_PATH)
		return fault_path(fault, CREATE_REFUSED, 0, "a path of more than 4096 bytes: within", t->path);
	if (slash)
		t->path[t->path_length++] = '/';
	memcpy(t->path + t->path_length, e->name, length + 1);
	t->path_length += length;
	if (length > METAINFO_MAX_NAME || !metainfo_is_utf8(e->name, length))
		ok = fault_path(fault, CREATE_REFUSED, 0, "a name that is not UTF-8, as a torrent wants it:", t->path);
	else
		ok = take_entry(t, dir, e->name, e->type, depth, fault);
	t->path_length = before;
	t->path[before] = 0;
	return ok;
}

static bool read_entries(struct tree *t, int dir, char *buffer, unsigned depth, struct fault *fault)
{
	for (;;) {
		long n = syscall(SYS_getdents64, dir, buffer, ENTRIES_BYTES), at;

		if (n == 0)
			return true;
		if (n < 0)
			return fault_path(fault, CREATE_STORAGE, errno, "cannot read the directory", t->path);
		for (at = 0; at < n; at += ((struct entry *)(void *)(buffer + at))->bytes)
			if (!visit(t, dir, (struct entry *)(void *)(buffer + at), depth, fault))
				return false;
	}
}

static bool read_directory(struct tree *t, int dir, unsigned depth, struct fault *fault)
{
	char *buffer;
	bool ok;

	if (depth > TREE_MAX_DEPTH)
		return fault_path(fault, CREATE_REFUSED, 0, "more than 100 directories within each other:", t->path);
	if (++t->directories > t->max_files)
		return fault_set(fault, CREATE_REFUSED, 0, "more than %u directories (--max-files)", t->max_files);
	buffer = malloc(ENTRIES_BYTES);
	if (!buffer)
		return fault_set(fault, CREATE_INTERNAL, ENOMEM, "no memory to read directories");
	ok = read_entries(t, dir, buffer, depth, fault);
	free(buffer);
	return ok;
}

static int by_path(const void *a, const void *b, void *paths)
{
	const struct tree_file *f = a, *g = b;

	/* strcmp compares as unsigned bytes. */
	return strcmp((const char *)paths + f->path, (const char *)paths + g->path);
}

void tree_warm(void)
{
	struct tree_file files[64];
	char none[1] = "";

	memset(files, 0, sizeof files);
	qsort_r(files, ARRAY_LEN(files), sizeof files[0], by_path, none);
}

/* The payload's order, and where each begins in it. */
static bool put_in_order(struct tree *t, struct fault *fault)
{
	uint64_t offset = 0;
	uint32_t i;

	if (t->count)
		qsort_r(t->files, t->count, sizeof t->files[0], by_path, t->paths);
	for (i = 0; i < t->count; i++) {
		if (i && !strcmp(tree_path(t, &t->files[i]), tree_path(t, &t->files[i - 1])))
			return fault_path(fault, CREATE_STORAGE, 0, "the directory changed while it was read: twice there is",
					  tree_path(t, &t->files[i]));
		t->files[i].offset = offset;
		offset += t->files[i].length;
	}
	if (!t->count)
		return fault_set(fault, CREATE_REFUSED, 0, "nothing to share: there is no file in it");
	if (!t->total_bytes)
		return fault_set(fault, CREATE_REFUSED, 0, "nothing to share: there is no byte in it");
	return true;
}

bool tree_read(struct tree *t, struct fault *fault)
{
	struct stat st;

	if (t->single < 0)
		return read_directory(t, t->root, 1, fault) && put_in_order(t, fault);
	if (fd_stat(t->single, &st) < 0)
		return fault_set(fault, CREATE_STORAGE, errno, "cannot look at the file");
	return add_file(t, &st, fault) && put_in_order(t, fault);
}

/* Opens one component after the other. */
static int open_path(const struct tree *t, const char *path)
{
	int dir = t->root, fd = -1;

	for (;;) {
		char name[METAINFO_MAX_NAME + 1];
		size_t length = strcspn(path, "/");

		/* Names were found by the walk, which refuses longer ones. */
		if (length > METAINFO_MAX_NAME)
			length = 0;
		memcpy(name, path, length);
		name[length] = 0;
		path += length;
		fd = openat(dir, name, *path ? OPEN_FLAGS | O_DIRECTORY : OPEN_FLAGS);
		if (dir != t->root) {
			int saved = errno;

			close(dir);
			errno = saved;
		}
		if (fd < 0 || !*path)
			return fd;
		dir = fd;
		path++;
	}
}

/* Whether what is open is what the walk found. */
static bool is_same(const struct tree *t, const struct tree_file *f, int fd, struct fault *fault)
{
	struct stat st;

	if (fd_stat(fd, &st) < 0)
		return fault_path(fault, CREATE_STORAGE, errno, "cannot look at", tree_path(t, f));
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_dev == f->device && (uint64_t)st.st_ino == f->inode &&
	    (uint64_t)st.st_size == f->length && st.st_mtim.tv_sec == f->changed.tv_sec && st.st_mtim.tv_nsec == f->changed.tv_nsec)
		return true;
	return t->single >= 0 ? fault_set(fault, CREATE_STORAGE, 0, "the file changed while it was read")
			      : fault_path(fault, CREATE_STORAGE, 0, "changed while it was read:", tree_path(t, f));
}

int tree_open(const struct tree *t, const struct tree_file *f, struct fault *fault)
{
	int fd = t->single >= 0 ? t->single : open_path(t, tree_path(t, f));

	if (fd < 0) {
		(void)fault_path(fault, CREATE_STORAGE, errno, "cannot open", tree_path(t, f));
		return -1;
	}
	if (is_same(t, f, fd, fault))
		return fd;
	tree_close(t, fd);
	return -1;
}

void tree_close(const struct tree *t, int fd)
{
	if (fd != t->single)
		close(fd);
}

bool tree_unchanged(const struct tree *t, struct fault *fault)
{
	uint32_t i;

	for (i = 0; i < t->count; i++) {
		int fd = tree_open(t, &t->files[i], fault);

		if (fd < 0)
			return false;
		tree_close(t, fd);
	}
	return true;
}

const struct tree_file *tree_at(const struct tree *t, uint64_t offset)
{
	uint32_t low = 0, high = t->count - 1;

	/* The first whose end is behind offset: an empty file never is that. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (t->files[middle].offset + t->files[middle].length > offset)
			high = middle;
		else
			low = middle + 1;
	}
	return &t->files[low];
}

void tree_release(struct tree *t)
{
	free(t->files);
	free(t->paths);
	t->files = NULL;
	t->paths = NULL;
	t->count = 0;
}
