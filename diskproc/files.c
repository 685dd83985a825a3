/*
 * files.c - see files.h.
 *
 * Invariants, under the lock: a handle with refs > 0 is not closed; handles are
 * in the list from the last used to the first; entry.slot - 1 is the file's
 * handle or 0 when it is closed.  No more handles than max_open, but always
 * one for each worker and one for the loop, so that whoever needs one finds one
 * without refs.  refs grow under the lock only, and fall without it: who holds
 * one may rely on the handle and on entry.slot, since neither changes meanwhile.
 * Every file that was opened to be written is in the bucket of its inode, so
 * that a second one with the same inode is found: a file system that takes two
 * names of the torrent for one (in upper and lower case, or composed otherwise)
 * would have one file written over the other.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "parts.h"

enum {
	ENTRY_KNOWN = 1,  /* made or accepted in this run: must be there from now on */
	ENTRY_DIRTY = 2,  /* written, or left by an earlier run, and not synced */
	ENTRY_ABSENT = 4, /* was looked for and is not there */
	ENTRY_DEVICE2 = 8, /* of the inode: it is on the other device */
	ENTRY_SYNCING = 16, /* was dirty, and is being synced */
	ENTRY_UNREADABLE = 32, /* report: reading it failed */
};

/*
 * From so many files on one syncfs does for all.  Each fdatasync of a file that
 * is new is a commit of the journal and a flush of the disk: some ms.  syncfs
 * waits for others' data as well, which is why a few are done one by one.
 */
#define SYNC_ONE_BY_ONE 32u

struct entry {
	uint16_t slot;
	uint8_t state;
	uint32_t next;  /* in its bucket, file + 1; 0 at the end */
	uint64_t inode; /* once it is in a bucket */
	uint64_t mtime_ns; /* as it was closed, if it was to be synced then; 0: it is open, or was not looked at */
};

struct handle {
	int fd;
	uint32_t file;
	atomic_uint refs;
	uint32_t newer, older; /* handle numbers; NONE at the ends */
};
#define NONE UINT32_MAX
#define OTHER_HOLDERS 3u /* the threads of the slow lane and of uploads, and the loop */

/* Where the bytes of a file that is not wanted are. */
enum { APART_UNKNOWN, APART_FILE, APART_PARTS };

struct files {
	const struct metainfo *m;
	const struct wanted *wanted;
	_Atomic uint8_t *apart; /* one for each file, in which it changes once; owned; NULL: all are wanted */
	int parts;              /* owned; -1 */
	struct place place;
	int single;
	bool existing, read_only, report;
	bool cut; /* what is longer than it is to be is cut */
	uint32_t allocate;
	int not_reserved; /* errno of the file system that cannot */
	struct fault broken; /* the single file is not what it must be */
	pthread_mutex_t lock;
	struct entry *entries;  /* one for each file, and one for the parts file */
	uint32_t *buckets;      /* by inode: the first file + 1, or 0; a power of two of them */
	uint32_t bucket_mask;
	struct handle *handles;
	uint32_t handle_count, used;
	uint32_t newest, oldest;
	bool dirs_dirty; /* names were made, or left by an earlier run, and not synced */
};

/* Whether a file that is so large is to be set to its length: with ALLOCATE_NONE it reaches that by being written. */
static bool wants_size(const struct files *f, uint64_t size, uint64_t length)
{
	return size > length || (size < length && f->allocate != ALLOCATE_NONE);
}

/*
 * Whether what is longer than it is to be was found.  It is left alone, unless it
 * is to be repaired: what is behind its end belongs to no piece, so that nothing
 * could say it is not missed.
 */
static bool is_longer(const struct files *f, const struct stat *st, uint64_t length, struct fault *fault)
{
	if ((uint64_t)st->st_size <= length || f->cut)
		return false;
	*fault = (struct fault){ .act = DISK_ACT_FOREIGN, .error = EFBIG };
	return true;
}

/* The one file: taken as it is, with its length set. */
static void accept_single(struct files *f)
{
	uint64_t length = f->m->h->total_length;
	struct stat st;

	if (place_check(&f->place, f->single, !f->read_only, &st, &f->broken) < 0) {
		f->broken.file = 0;
		return;
	}
	if (!f->read_only && is_longer(f, &st, length, &f->broken))
		return;
	if (!f->read_only && wants_size(f, (uint64_t)st.st_size, length) && ftruncate(f->single, (off_t)length) < 0)
		f->broken = (struct fault){ .act = DISK_ACT_SIZE, .error = errno };
	f->entries[0].state = ENTRY_KNOWN | ENTRY_DIRTY;
}

struct files *files_new(const struct metainfo *m, const struct files_options *o)
{
	struct files *f = must_calloc(1, sizeof *f);
	struct stat st;

	f->m = m;
	f->wanted = o->wanted;
	f->parts = o->parts;
	if (o->wanted->level && o->single < 0)
		f->apart = must_calloc(m->h->file_count, sizeof *f->apart);
	f->single = o->single;
	f->existing = o->existing || o->read_only;
	f->read_only = o->read_only;
	f->report = o->report;
	f->cut = o->cut;
	f->allocate = o->allocate;
	f->newest = f->oldest = NONE;
	f->dirs_dirty = o->existing && !o->read_only;
	f->handle_count = min_u32(max_u32(o->max_open, o->threads + OTHER_HOLDERS), FILES_MAX_OPEN);
	pthread_mutex_init(&f->lock, NULL);
	f->entries = must_calloc((size_t)m->h->file_count + 1, sizeof *f->entries);
	while (f->bucket_mask < m->h->file_count)
		f->bucket_mask = 2 * f->bucket_mask + 1;
	f->buckets = must_calloc((size_t)f->bucket_mask + 1, sizeof *f->buckets);
	f->handles = must_calloc(f->handle_count, sizeof *f->handles);
	if (place_init(&f->place, o->single >= 0 ? o->single : o->root, o->file_mode) < 0)
		bug("fstat of the root: errno %d", errno);
	if (o->also_device >= 0 && fd_stat(o->also_device, &st) == 0)
		f->place.device2 = st.st_dev;
	if (f->single >= 0)
		accept_single(f);
	return f;
}

void files_free(struct files *f)
{
	uint32_t i;

	for (i = 0; i < f->used; i++)
		if (f->handles[i].fd >= 0)
			close(f->handles[i].fd);
	if (f->parts >= 0)
		close(f->parts);
	pthread_mutex_destroy(&f->lock);
	free(f->apart);
	free(f->handles);
	free(f->buckets);
	free(f->entries);
	free(f);
}

static const char *path_of(const struct files *f, uint32_t file)
{
	return metainfo_str(f->m, metainfo_files(f->m)[file].path);
}

static void unlink_handle(struct files *f, uint32_t i)
{
	struct handle *h = &f->handles[i];

	if (h->newer != NONE)
		f->handles[h->newer].older = h->older;
	else
		f->newest = h->older;
	if (h->older != NONE)
		f->handles[h->older].newer = h->newer;
	else
		f->oldest = h->newer;
}

static void link_newest(struct files *f, uint32_t i)
{
	struct handle *h = &f->handles[i];

	h->newer = NONE;
	h->older = f->newest;
	if (f->newest != NONE)
		f->handles[f->newest].newer = i;
	else
		f->oldest = i;
	f->newest = i;
}

static struct record_file seen_as(const struct stat *st)
{
	const struct timespec *t = &st->st_mtim;

	return (struct record_file){ .inode = st->st_ino, .mtime_ns = (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec };
}

/* A last look: of many small files each is closed before it is synced, and would be opened again for that. */
static void close_handle(struct files *f, struct handle *h)
{
	struct entry *e = &f->entries[h->file];
	struct stat st;

	if (e->state & (ENTRY_DIRTY | ENTRY_SYNCING) && e->inode && fd_stat(h->fd, &st) == 0 && st.st_ino == e->inode)
		e->mtime_ns = seen_as(&st).mtime_ns;
	e->slot = 0;
	close(h->fd);
}

/* A handle that is free, out of the list: a new one, or the oldest that nobody holds. */
static uint32_t free_handle(struct files *f)
{
	uint32_t i;

	if (f->used < f->handle_count)
		return f->used++;
	for (i = f->oldest; i != NONE && atomic_load(&f->handles[i].refs); i = f->handles[i].newer)
		;
	if (i == NONE)
		bug("all %u handles are held", f->handle_count);
	if (f->handles[i].fd >= 0)
		close_handle(f, &f->handles[i]);
	unlink_handle(f, i);
	return i;
}

/* The file that has this inode, or NONE. */
static uint32_t owner_of(const struct files *f, const struct stat *st)
{
	bool device2 = st->st_dev != f->place.device;
	uint32_t i;

	for (i = f->buckets[st->st_ino & f->bucket_mask]; i; i = f->entries[i - 1].next)
		if (f->entries[i - 1].inode == st->st_ino && !!(f->entries[i - 1].state & ENTRY_DEVICE2) == device2)
			return i - 1;
	return NONE;
}

/* The inode is this file's from now on, unless it is another's. */
static int own_inode(struct files *f, uint32_t file, const struct stat *st, struct fault *fault)
{
	uint32_t owner = owner_of(f, st), *bucket = &f->buckets[st->st_ino & f->bucket_mask];
	struct entry *e = &f->entries[file];

	if (owner != NONE && owner != file) {
		*fault = (struct fault){ DISK_ACT_SAME, EEXIST, file, owner };
		return -1;
	}
	if (owner == NONE && e->inode) {
		/* It was opened before, not accepted, and is another now.  In two buckets it would join their lists. */
		*fault = (struct fault){ .act = DISK_ACT_FOREIGN, .error = ESTALE };
		return -1;
	}
	if (owner == NONE) {
		e->inode = st->st_ino;
		e->state = (uint8_t)(e->state | (st->st_dev != f->place.device ? ENTRY_DEVICE2 : 0));
		e->next = *bucket;
		*bucket = file + 1;
	}
	return 0;
}

/* A file was not to be there, and something is: another one of the torrent? */
static void name_owner(struct files *f, uint32_t file, struct fault *fault)
{
	struct fault ignored;
	struct stat st;
	int fd = place_open(&f->place, path_of(f, file), PLACE_READ, &ignored);

	if (fd < 0)
		return;
	/* Its own: it was made a moment ago, and its length could not be set. */
	if (fd_stat(fd, &st) == 0 && owner_of(f, &st) != NONE && owner_of(f, &st) != file)
		*fault = (struct fault){ DISK_ACT_SAME, EEXIST, file, owner_of(f, &st) };
	close(fd);
}

/* What was opened: is it ours, and has it its length? */
static int accept_file(struct files *f, uint32_t file, int fd, bool made, struct fault *fault)
{
	uint64_t length = metainfo_files(f->m)[file].length, size;
	struct entry *e = &f->entries[file];
	struct stat st;

	if (place_check(&f->place, fd, !f->read_only, &st, fault) < 0)
		return -1;
	/* Whoever made it need not have synced it. */
	if (f->read_only && !(e->state & ENTRY_KNOWN))
		e->state |= ENTRY_DIRTY;
	if (f->read_only)
		return 0;
	if (!(e->state & ENTRY_KNOWN) && own_inode(f, file, &st, fault) < 0)
		return -1;
	size = (uint64_t)st.st_size;
	if (e->state & ENTRY_KNOWN && wants_size(f, size, length)) {
		/* Somebody else changed it while we worked. */
		*fault = (struct fault){ .act = DISK_ACT_FOREIGN, .error = ESTALE };
		return -1;
	}
	if (is_longer(f, &st, length, fault))
		return -1;
	if (wants_size(f, size, length) && ftruncate(fd, (off_t)length) < 0) {
		*fault = (struct fault){ .act = DISK_ACT_SIZE, .error = errno };
		return -1;
	}
	if (made)
		f->dirs_dirty = true;
	if (!(e->state & ENTRY_KNOWN))
		e->state |= ENTRY_DIRTY;
	return 0;
}

/* Opens or makes the file.  The descriptor, or -1; -1 with fault->act 0: it is not there and was only to be read. */
static int open_file(struct files *f, uint32_t file, enum files_want want, struct fault *fault)
{
	struct entry *e = &f->entries[file];
	bool look = f->existing || e->state & ENTRY_KNOWN, made = false;
	int fd = -1;

	*fault = (struct fault){ .act = DISK_ACT_OPEN, .error = ENOENT };
	if (look && !(e->state & ENTRY_ABSENT))
		fd = place_open(&f->place, path_of(f, file), f->read_only ? PLACE_READ : PLACE_WRITE, fault);
	if (fd < 0 && fault->error == ENOENT && fault->act == DISK_ACT_OPEN && !(e->state & ENTRY_KNOWN)) {
		e->state |= ENTRY_ABSENT;
		if (want == FILES_READ) {
			fault->act = 0;
			return -1;
		}
		fd = place_open(&f->place, path_of(f, file), PLACE_CREATE, fault);
		made = true;
		if (fd < 0 && fault->error == EEXIST)
			name_owner(f, file, fault);
	}
	if (fd < 0)
		goto fail;
	if (accept_file(f, file, fd, made, fault) < 0) {
		close(fd);
		goto fail;
	}
	e->state = (uint8_t)((e->state | ENTRY_KNOWN) & ~ENTRY_ABSENT);
	e->mtime_ns = 0;
	*fault = (struct fault){ 0 };
	return fd;
fail:
	fault->file = file;
	return -1;
}

/* One more holds it: it is the newest. */
static int hold(struct files *f, uint32_t i)
{
	unlink_handle(f, i);
	link_newest(f, i);
	atomic_fetch_add(&f->handles[i].refs, 1);
	return f->handles[i].fd;
}

/* ---- the parts file */

static bool is_parts(const struct files *f, uint32_t file)
{
	return file == f->m->h->file_count;
}

struct fault files_fault(const struct files *f, uint32_t act, int error, uint32_t file)
{
	if (is_parts(f, file))
		return (struct fault){ .act = DISK_ACT_PARTS, .error = error, .file = UINT32_MAX };
	return (struct fault){ .act = act, .error = error, .file = file };
}

/* Once known it stays: the file is there, or will not be made. */
static bool is_apart(struct files *f, uint32_t file)
{
	struct fault fault = { 0 };
	uint8_t where;
	int fd = -1;

	if (!f->apart || wanted_level(f->wanted, file) != WANTED_NOT)
		return false;
	where = atomic_load(&f->apart[file]);
	if (where != APART_UNKNOWN)
		return where == APART_PARTS;
	if (f->existing)
		fd = files_get(f, file, FILES_READ, &fault);
	/* One that cannot be looked at: whoever opens it next finds out why. */
	where = fd >= 0 || fault.act ? APART_FILE : APART_PARTS;
	if (fd >= 0)
		files_put(f, file);
	atomic_store(&f->apart[file], where);
	return where == APART_PARTS;
}

bool files_next(struct files *f, struct layout_walk *walk, struct span *s)
{
	if (!layout_next(walk, s))
		return false;
	if (!s->pad && is_apart(f, s->file)) {
		s->offset += metainfo_files(f->m)[s->file].offset;
		s->file = f->m->h->file_count;
	}
	return true;
}

int files_merge_parts(struct files *f, struct fault *fault)
{
	uint32_t i;

	for (i = 0; i < f->m->h->file_count && f->single < 0; i++) {
		const struct metainfo_file *row = &metainfo_files(f->m)[i];
		int fd, r;

		if (!metainfo_on_disk(row) || wanted_level(f->wanted, i) == WANTED_NOT || !parts_has(f->parts, row->offset, row->length))
			continue;
		fd = files_get(f, i, FILES_READ, fault);
		if (fd < 0 && fault->act)
			return -1;
		if (fd >= 0) { /* it was wanted before: what it has is as good */
			files_put(f, i);
			continue;
		}
		fd = files_get(f, i, FILES_WRITE, fault);
		if (fd < 0)
			return -1;
		r = parts_copy(f->parts, row->offset, row->length, fd);
		if (r < 0)
			*fault = files_fault(f, DISK_ACT_WRITE, errno, i);
		files_wrote(f, i);
		files_put(f, i);
		if (r < 0)
			return -1;
	}
	*fault = (struct fault){ 0 };
	return 0;
}

static int sync_parts(struct files *f, struct fault *fault)
{
	bool dirty, needed = f->apart != NULL;

	if (f->parts < 0)
		return 0;
	pthread_mutex_lock(&f->lock);
	dirty = f->entries[f->m->h->file_count].state & ENTRY_DIRTY;
	f->entries[f->m->h->file_count].state = 0;
	pthread_mutex_unlock(&f->lock);
	/* Without a selection each file has its own bytes, and they are synced. */
	if ((dirty && fdatasync(f->parts) < 0) || (!needed && ftruncate(f->parts, 0) < 0)) {
		*fault = files_fault(f, 0, errno, f->m->h->file_count);
		return -1;
	}
	return 0;
}

/* ---- */

int files_get(struct files *f, uint32_t file, enum files_want want, struct fault *fault)
{
	struct entry *e = &f->entries[file];
	int fd;

	if (is_parts(f, file)) {
		*fault = (struct fault){ 0 };
		if (f->parts < 0 && want == FILES_WRITE)
			*fault = files_fault(f, 0, ENOENT, file);
		return f->parts;
	}
	pthread_mutex_lock(&f->lock);
	*fault = f->broken;
	if (f->single >= 0) {
		fd = f->broken.act ? -1 : f->single;
	} else if (e->slot) {
		fd = hold(f, e->slot - 1u);
	} else {
		fd = open_file(f, file, want, fault);
		if (fd >= 0) {
			uint32_t i = free_handle(f);

			f->handles[i].fd = fd;
			f->handles[i].file = file;
			atomic_store(&f->handles[i].refs, 1);
			link_newest(f, i);
			e->slot = (uint16_t)(i + 1);
		}
	}
	/* What is there instead is told by files_states(). */
	if (fd < 0 && f->report)
		fault->act = 0;
	pthread_mutex_unlock(&f->lock);
	return fd;
}

int files_try(struct files *f, uint32_t file)
{
	int fd = -1;

	if (f->single >= 0)
		return f->broken.act ? -1 : f->single;
	if (is_parts(f, file))
		return f->parts;
	if (pthread_mutex_trylock(&f->lock))
		return -1;
	if (f->entries[file].slot)
		fd = hold(f, f->entries[file].slot - 1u);
	pthread_mutex_unlock(&f->lock);
	return fd;
}

void files_wrote(struct files *f, uint32_t file)
{
	pthread_mutex_lock(&f->lock);
	f->entries[file].state |= ENTRY_DIRTY;
	pthread_mutex_unlock(&f->lock);
}

void files_put(struct files *f, uint32_t file)
{
	uint32_t slot = f->entries[file].slot;

	if (f->single >= 0 || is_parts(f, file))
		return;
	if (!slot || !atomic_fetch_sub(&f->handles[slot - 1].refs, 1))
		bug("file %u is not held", file);
}

/* The space of one file.  Mode 0: what is there stays, and nothing is written.  Where the file system cannot, it is as if it had not been asked. */
static int reserve(struct files *f, uint32_t file, int fd, struct fault *fault)
{
	int r;

	do
		r = fallocate(fd, 0, 0, (off_t)metainfo_files(f->m)[file].length);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return 0;
	if (errno == EOPNOTSUPP || errno == ENOSYS) {
		f->not_reserved = errno;
		return 0;
	}
	*fault = (struct fault){ .act = DISK_ACT_SPACE, .error = errno, .file = file };
	return -1;
}

int files_prepare(struct files *f, struct fault *fault)
{
	const struct metainfo_file *row = metainfo_files(f->m);
	uint32_t i;

	*fault = f->broken;
	if (fault->act)
		return -1;
	for (i = 0; i < f->m->h->file_count; i++) {
		bool full = row[i].length && f->allocate == ALLOCATE_FULL && !f->not_reserved;
		int fd, r;

		if (!metainfo_on_disk(&row[i]) || (row[i].length && !full) || wanted_level(f->wanted, i) == WANTED_NOT)
			continue;
		fd = files_get(f, i, FILES_WRITE, fault);
		if (fd < 0)
			return -1;
		r = full ? reserve(f, i, fd, fault) : 0;
		files_put(f, i);
		if (r < 0)
			return -1;
	}
	return 0;
}

int files_not_reserved(const struct files *f)
{
	return f->not_reserved;
}

int files_audit(struct files *f, struct fault *fault)
{
	const struct metainfo_file *row = metainfo_files(f->m);
	struct stat st;
	uint32_t i;

	for (i = 0; i < f->m->h->file_count; i++) {
		int fd;

		if (!metainfo_on_disk(&row[i]) || wanted_level(f->wanted, i) == WANTED_NOT)
			continue;
		fd = files_get(f, i, FILES_READ, fault);
		if (fd < 0 && fault->act)
			return -1;
		/* No name any more: somebody has removed it. */
		if (fd < 0 || fd_stat(fd, &st) < 0 || (uint64_t)st.st_size != row[i].length || (!f->read_only && !st.st_nlink)) {
			*fault = (struct fault){ .act = DISK_ACT_FOREIGN, .error = !f->read_only ? ESTALE : fd < 0 ? ENOENT : EINVAL, .file = i };
			if (fd >= 0)
				files_put(f, i);
			return -1;
		}
		files_put(f, i);
	}
	return 0;
}

bool files_tolerate(struct files *f, uint32_t file)
{
	if (!f->report)
		return false;
	pthread_mutex_lock(&f->lock);
	f->entries[file].state |= ENTRY_UNREADABLE;
	pthread_mutex_unlock(&f->lock);
	return true;
}

/* As it is now, by the descriptor or by why there is none. */
static enum file_state state_of(struct files *f, uint32_t file)
{
	uint64_t length = metainfo_files(f->m)[file].length;
	struct fault fault = f->broken;
	enum file_state state = FILE_THERE;
	struct stat st;
	int fd;

	pthread_mutex_lock(&f->lock);
	if (f->single < 0)
		fd = open_file(f, file, FILES_READ, &fault);
	else
		fd = fault.act ? -1 : f->single;
	if (fd < 0)
		state = !fault.act || fault.error == ENOENT ? FILE_MISSING : fault.act == DISK_ACT_FOREIGN ? FILE_FOREIGN : FILE_UNREADABLE;
	else if (fd_stat(fd, &st) < 0 || f->entries[file].state & ENTRY_UNREADABLE)
		state = FILE_UNREADABLE;
	else if ((uint64_t)st.st_size != length)
		state = (uint64_t)st.st_size < length ? FILE_SHORT : FILE_LONG;
	if (fd >= 0 && f->single < 0)
		close(fd);
	pthread_mutex_unlock(&f->lock);
	return state;
}

void files_states(struct files *f, uint8_t *states)
{
	const struct metainfo_file *row = metainfo_files(f->m);
	uint32_t i;

	for (i = 0; i < f->m->h->file_count; i++)
		states[i] = (uint8_t)(metainfo_on_disk(&row[i]) ? state_of(f, i) : FILE_THERE);
}

static int sync_dirs(struct files *f, struct fault *fault)
{
	const struct metainfo_file *row = metainfo_files(f->m);
	const char *before = "";
	uint32_t i;

	for (i = 0; i < f->m->h->file_count; i++) {
		bool known;

		pthread_mutex_lock(&f->lock);
		known = f->entries[i].state & ENTRY_KNOWN;
		pthread_mutex_unlock(&f->lock);
		if (!known || !metainfo_on_disk(&row[i]))
			continue;
		if (place_sync_dirs(&f->place, path_of(f, i), before, fault) < 0) {
			fault->file = i;
			return -1;
		}
		before = path_of(f, i);
	}
	return 0;
}

/* Marks what is dirty as being synced; returns how many.  Before the sync: a write that ends during it makes a file dirty again. */
static uint32_t take_dirty(struct files *f)
{
	uint32_t i, n = 0;

	pthread_mutex_lock(&f->lock);
	for (i = 0; i < f->m->h->file_count; i++)
		if (f->entries[i].state & ENTRY_DIRTY) {
			f->entries[i].state = (uint8_t)((f->entries[i].state & ~ENTRY_DIRTY) | ENTRY_SYNCING);
			n++;
		}
	pthread_mutex_unlock(&f->lock);
	return n;
}

/* What it was when it was closed: nobody of us has written to it since. */
static bool seen_at_its_end(struct files *f, uint32_t file, struct record_file *seen)
{
	const struct entry *e = &f->entries[file];
	bool known;

	pthread_mutex_lock(&f->lock);
	known = !e->slot && e->mtime_ns;
	if (known)
		*seen = (struct record_file){ e->inode, e->mtime_ns };
	pthread_mutex_unlock(&f->lock);
	return known;
}

/* One that is being synced: by itself, unless `synced` already; and a look at it. */
static int sync_file(struct files *f, uint32_t file, bool synced, struct record_file *seen, struct fault *fault)
{
	struct stat st;
	int fd, r;

	if (synced && seen_at_its_end(f, file, &seen[file]))
		return 0;
	fd = files_get(f, file, FILES_READ, fault);
	if (fd < 0) {
		if (!fault->act)
			*fault = (struct fault){ .act = DISK_ACT_SYNC, .error = ENOENT, .file = file };
		return -1;
	}
	r = synced ? 0 : fdatasync(fd);
	if (r == 0 && seen)
		r = fd_stat(fd, &st);
	if (r < 0)
		*fault = (struct fault){ .act = DISK_ACT_SYNC, .error = errno, .file = file };
	else if (seen)
		seen[file] = seen_as(&st);
	files_put(f, file);
	return r;
}

static bool is_syncing(struct files *f, uint32_t file)
{
	bool syncing;

	pthread_mutex_lock(&f->lock);
	syncing = f->entries[file].state & ENTRY_SYNCING;
	f->entries[file].state = (uint8_t)(f->entries[file].state & ~ENTRY_SYNCING);
	pthread_mutex_unlock(&f->lock);
	return syncing;
}

int files_sync(struct files *f, struct record_file *seen, struct fault *fault)
{
	bool whole, dirs;
	uint32_t i;

	/* Before what is dirty: a file that is made meanwhile makes them dirty again. */
	pthread_mutex_lock(&f->lock);
	dirs = f->dirs_dirty && f->single < 0;
	f->dirs_dirty = false;
	pthread_mutex_unlock(&f->lock);
	whole = take_dirty(f) > SYNC_ONE_BY_ONE && f->single < 0;
	if (whole && syncfs(f->place.root) < 0) {
		*fault = (struct fault){ .act = DISK_ACT_SYNC, .error = errno, .file = UINT32_MAX };
		return -1;
	}
	for (i = 0; i < f->m->h->file_count; i++)
		if (is_syncing(f, i) && (!whole || seen) && sync_file(f, i, whole, seen, fault) < 0)
			return -1;
	if (dirs && !whole && sync_dirs(f, fault) < 0)
		return -1;
	return sync_parts(f, fault);
}

bool files_are_as(struct files *f, uint32_t file, const struct record_file *was, bool synced)
{
	struct fault ignored;
	struct record_file is;
	struct stat st;
	bool same;
	int fd = files_get(f, file, FILES_READ, &ignored);

	if (fd < 0)
		return !ignored.act && !was->inode;
	same = fd_stat(fd, &st) == 0 && (uint64_t)st.st_size == metainfo_files(f->m)[file].length;
	if (same) {
		is = seen_as(&st);
		same = is.inode == was->inode && is.mtime_ns == was->mtime_ns;
	}
	files_put(f, file);
	if (same && synced) {
		pthread_mutex_lock(&f->lock);
		f->entries[file].state = (uint8_t)(f->entries[file].state & ~ENTRY_DIRTY);
		pthread_mutex_unlock(&f->lock);
	}
	return same;
}

uint64_t files_space(const struct files *f)
{
	struct statfs s;

	/* A file system without a size (some network and memory ones) says 0 blocks. */
	if (fstatfs(f->place.root, &s) < 0 || !s.f_blocks)
		return UINT64_MAX;
	return (uint64_t)s.f_bavail * (uint64_t)s.f_frsize;
}

uint64_t files_blocks(struct files *f)
{
	struct fault ignored;
	uint64_t bytes = 0;
	struct stat st;
	uint32_t i;

	for (i = 0; i < f->m->h->file_count; i++) {
		int fd = metainfo_on_disk(&metainfo_files(f->m)[i]) ? files_get(f, i, FILES_READ, &ignored) : -1;

		if (fd < 0)
			continue;
		if (fd_stat(fd, &st) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
		files_put(f, i);
	}
	return bytes;
}
