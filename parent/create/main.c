/*
 * main.c - bulkhead-create: one file or directory in, the info dictionary of its torrent out, then it is gone.
 *
 * Set-up: SETUP_ROOT the directory or SETUP_FILE the one file, to be read;
 * SETUP_FORM an empty memory file for the dictionary.  After the lock it can
 * open what is below the directory, and nothing else; it writes to the memory
 * file only.  Names and bytes of files are a stranger's: names are checked in
 * tree.c, bytes are hashed.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#include "compartment.h"
#include "hash.h"
#include "info.h"

#define PROGRESS_MS 200u

struct create {
	struct compartment *c;
	const struct msg_create_options *o;
	struct tree t;
	struct hash hash;
	struct info info;
	uint8_t (*digests)[20];
	int form;
	uint64_t told_ms; /* when progress was */
	struct fault fault;
};

/* The parent is trusted before GO, and its numbers are its own bug: but none is used as a length unseen. */
static bool options_are_sound(const struct msg_create_options *o)
{
	uint32_t p = o->piece_length;

	return o->name_length && o->name_length < sizeof o->name && o->source_length < sizeof o->source &&
	       (!p || (p >= INFO_LEAST_PIECE && p <= INFO_MOST_PIECE && !(p & (p - 1))));
}

/* Everything that is known before a byte is hashed; nothing is hashed that would be too large in the end. */
static bool prepare(struct create *cr)
{
	const struct msg_create_options *o = cr->o;
	struct bencode_out size;
	uint64_t pieces;

	if (!options_are_sound(o))
		return fault_set(&cr->fault, CREATE_INTERNAL, 0, "options out of range");
	cr->t.max_files = min_u32(o->max_files, METAINFO_MAX_FILES);
	cr->t.max_paths = (size_t)min_u64(o->max_bytes, METAINFO_MAX_BYTES);
	cr->t.skip_device = o->skip_device;
	cr->t.skip_inode = o->skip_inode;
	if (!tree_read(&cr->t, &cr->fault))
		return false;
	cr->info = (struct info){ .t = &cr->t,
				  .name = o->name,
				  .name_length = o->name_length,
				  .source = o->source,
				  .source_length = o->source_length,
				  .is_private = o->is_private,
				  .piece_length = o->piece_length ? o->piece_length : info_piece_length(cr->t.total_bytes) };
	pieces = (cr->t.total_bytes - 1) / cr->info.piece_length + 1;
	if (pieces > min_u32(o->max_pieces, METAINFO_MAX_PIECES))
		return fault_set(&cr->fault, CREATE_REFUSED, 0,
				 "%llu pieces of %u bytes, more than %u (--max-pieces): larger ones are needed (--piece-length)",
				 (unsigned long long)pieces, cr->info.piece_length, o->max_pieces);
	cr->info.pieces = (uint32_t)pieces;
	bencode_out_init(&size, NULL, 0);
	info_put(&size, &cr->info);
	if (size.length > cr->t.max_paths)
		return fault_set(&cr->fault, CREATE_REFUSED, 0, "a torrent of %zu bytes, more than %zu (--max-torrent-size)", size.length,
				 cr->t.max_paths);
	cr->digests = calloc(cr->info.pieces, sizeof *cr->digests);
	if (!cr->digests)
		return fault_set(&cr->fault, CREATE_INTERNAL, ENOMEM, "no memory for %u hashes", cr->info.pieces);
	return true;
}

static void tell_progress(struct create *cr)
{
	struct msg_create_progress m = { .hashed_bytes = cr->hash.done_bytes, .total_bytes = cr->t.total_bytes };
	uint64_t now = now_ms();

	if (now - cr->told_ms < PROGRESS_MS)
		return;
	cr->told_ms = now;
	/* A parent that does not read misses some: the next says it all. */
	(void)!channel_push(&cr->c->control, MSG_CREATE_PROGRESS, &m);
	if (channel_flush(&cr->c->control) < 0)
		_exit(0);
}

/* The parent says nothing after GO but that this is to end. */
static void serve_control(struct create *cr)
{
	struct packet p;

	if (channel_receive(&cr->c->control, &p) != CHANNEL_EMPTY)
		_exit(0);
}

static bool hash_all(struct create *cr)
{
	hash_start(&cr->hash, &cr->t, cr->info.piece_length, cr->info.pieces, cr->digests);
	while (hash_advance(&cr->hash)) {
		struct pollfd pf[2] = { { .fd = cr->c->control.fd, .events = POLLIN },
					{ .fd = pool_event(cr->hash.pool), .events = POLLIN } };

		if (poll(pf, 2, pool_sleep(cr->hash.pool) ? -1 : 0) < 0 && errno != EINTR)
			bug("poll: errno %d", errno);
		if (pf[0].revents)
			serve_control(cr);
		if (pf[1].revents)
			pool_clear_event(cr->hash.pool);
		if (!hash_collect(&cr->hash, &cr->fault))
			return false;
		tell_progress(cr);
	}
	cr->info.digests = (const uint8_t(*)[20])cr->digests;
	return true;
}

static bool write_info(struct create *cr, struct msg_created *answer)
{
	struct bencode_out o;
	uint8_t *bytes;
	size_t done = 0;

	bencode_out_init(&o, NULL, 0);
	info_put(&o, &cr->info);
	bytes = malloc(o.length);
	if (!bytes)
		return fault_set(&cr->fault, CREATE_INTERNAL, ENOMEM, "no memory for a torrent of %zu bytes", o.length);
	bencode_out_init(&o, bytes, o.length);
	info_put(&o, &cr->info);
	if (!bencode_out_fits(&o))
		bug("an info dictionary that grew");
	hash_bytes(&cr->hash, bytes, o.length, answer->info_hash);
	answer->info_bytes = o.length;
	while (done < o.length) {
		ssize_t n = write(cr->form, bytes + done, o.length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(bytes);
			return fault_set(&cr->fault, CREATE_INTERNAL, errno, "cannot write to the memory file");
		}
		done += (size_t)n;
	}
	free(bytes);
	return true;
}

static void create(struct create *cr, struct msg_created *answer)
{
	if (prepare(cr) && hash_all(cr) && tree_unchanged(&cr->t, &cr->fault) && write_info(cr, answer)) {
		answer->piece_length = cr->info.piece_length;
		answer->pieces = cr->info.pieces;
		answer->files = cr->t.count;
		answer->total_bytes = cr->t.total_bytes;
	} else {
		*answer = (struct msg_created){ .status = cr->fault.status,
						.error = cr->fault.error,
						.length = (uint16_t)strlen(cr->fault.text) };
		memcpy(answer->text, cr->fault.text, answer->length);
	}
	answer->skipped = cr->t.skipped;
}

int main(void)
{
	static struct compartment c;
	static struct create cr;
	struct msg_created answer = { .status = CREATE_OK };

	compartment_begin(&c, ROLE_CREATE);
	/* Threads share one heap: memory stays small, and no arena is mapped after the lock. */
	mallopt(M_ARENA_MAX, 1);
	cr.c = &c;
	cr.o = &c.create;
	cr.form = compartment_take(&c, SETUP_FORM);
	cr.t.single = c.fds[SETUP_FILE];
	cr.t.root = cr.t.single >= 0 ? -1 : compartment_take(&c, SETUP_ROOT);
	hash_init(&cr.hash, c.create.threads); /* else: openssl.cnf and providers are opened */
	tree_warm();                           /* else: sysinfo */
	compartment_landlock(&c, cr.t.root);
	hash_make_threads(&cr.hash);
	compartment_lock(&c);

	create(&cr, &answer);
	if (channel_push(&c.control, MSG_CREATED, &answer) < 0)
		compartment_end(&c, 1);
	compartment_end(&c, 0);
}
