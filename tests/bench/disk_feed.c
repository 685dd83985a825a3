/*
 * disk_feed.c - how fast is diskproc alone?  Plays its parent and netproc: starts
 * the program, feeds it all blocks of a made-up torrent through the slots as
 * fast as they come back, and prints CPU and wall per GiB.
 *
 *	disk_feed [-p piece KiB] [-n MiB] [-t threads] [-f files] [-1] [-c] [-w] [-r] [-u MiB [-o run]] [-v] PROGRAM DIRECTORY
 *
 * -c: the data is there already (run it before with the same numbers): measures
 * the check.  -1: a single file, by its descriptor.  -w: every eighth piece is
 * spilled after its first block.  -r: netproc is replaced by a new one halfway.
 * -u: then reads so many MiB of it back through the conveyor, as peers ask
 * for it: runs of so many blocks (-o, 16), each anywhere; that is measured
 * alone.  The directory should be on tmpfs.  Not a test: nothing is judged but that all
 * pieces verify and DISK_COMPLETE comes.  To build it:
 *	cc -std=gnu11 -D_GNU_SOURCE -O2 -Iipc tests/bench/disk_feed.c build/libipc.a -lcrypto -lseccomp -o build/disk_feed
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bitfield.h"
#include "channel.h"
#include "compartment.h"
#include "conveyor.h"
#include "slots.h"
#include "../unit/disk_fixture.h"

#define OPEN_PIECES 8u /* fed side by side, round robin */

struct feed {
	struct channel control, net;
	struct slots slots;
	struct metainfo m;
	uint32_t free[SLOT_COUNT], free_count;
	uint32_t next_piece, verified;
	struct { uint32_t piece, block; bool used; } open[OPEN_PIECES];
	uint64_t used_bytes, budget_bytes; /* of pieces without a verdict */
	bool told, complete, failed;
	bool verbose, single, spills, replace;
	uint8_t *have; /* bitfield, of HAVE_BITS */
	uint32_t epoch;
	int conveyor;                          /* the reading end */
	uint64_t ask_left;                     /* blocks still to be read back */
	uint32_t asked, run, run_left, run_at; /* asked for and not given back; blocks in a run, of this one, its next block */
	uint64_t sum;                          /* of what was read: it is looked at, as sending would */
};

static void die(const char *what)
{
	fprintf(stderr, "disk_feed: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pass(struct feed *f, uint32_t what, int fd, uint32_t epoch)
{
	struct msg_setup_fd m = { .what = what, .epoch = epoch };

	if (channel_push_fd(&f->control, MSG_SETUP_FD, &m, fd, true) < 0)
		die("SETUP_FD");
}

static int sealed_form(const struct metainfo *m)
{
	int fd = memfd_create("form", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || write(fd, m->base, m->bytes) != (ssize_t)m->bytes ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		die("form");
	return fd;
}

static pid_t start(const char *program, int control)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (control == CONTROL_FD)
		fcntl(control, F_SETFD, 0);
	else
		dup2(control, CONTROL_FD);
	execl(program, program, (char *)NULL);
	_exit(127);
}

/* What comes from diskproc on the control channel, all but what main waits for. */
static void on_control(struct feed *f, struct packet *p)
{
	if (p->type == MSG_CONVEYOR)
		f->conveyor = dup(p->fd);
	if (p->fd >= 0)
		close(p->fd);
	if (p->type == MSG_LOG) {
		const struct msg_log *m = packet_message(p, 0);

		if (f->verbose || m->level <= LOG_WARN)
			fprintf(stderr, "diskproc: %.*s\n", (int)m->length, (const char *)m->text);
	} else if (p->type == MSG_DISK_COMPLETE) {
		f->complete = true;
	} else if (p->type == MSG_DISK_ERROR) {
		const struct msg_disk_error *m = packet_message(p, 0);

		fprintf(stderr, "diskproc: error act %u errno %d file %u\n", m->act, m->error, m->file);
		f->failed = true;
	} else if (p->type == MSG_VIOLATION) {
		const struct msg_violation *m = packet_message(p, 0);

		fprintf(stderr, "diskproc: unlisted system call %u\n", m->syscall);
		f->failed = true;
	}
}

static void wait_for(struct feed *f, enum message_type type)
{
	for (;;) {
		struct packet p;
		enum channel_result r = channel_wait(&f->control, &p, 10000);

		if (r != CHANNEL_OK) {
			fprintf(stderr, "disk_feed: waiting for %s: %s\n", message_rows[type].name,
				r == CHANNEL_VIOLATION ? channel_violation() : "nothing came");
			exit(1);
		}
		on_control(f, &p);
		if (p.type == type)
			return;
	}
}

/* A netproc's channel and slots, for diskproc to take. */
static void pass_netproc(struct feed *f)
{
	int net[2], slots = slots_create(&f->slots, SLOT_COUNT);
	uint32_t i;

	if (slots < 0 || channel_pair(net) < 0)
		die("slots");
	f->epoch++;
	pass(f, SETUP_DISK, net[1], f->epoch);
	pass(f, SETUP_SLOTS, slots, 0);
	channel_init(&f->net, net[0], f->epoch, false, "diskproc");
	f->free_count = 0;
	for (i = 0; i < SLOT_COUNT; i++)
		f->free[f->free_count++] = i;
	f->told = false;
}

static void set_up(struct feed *f, const char *dir, uint32_t threads, bool check)
{
	struct msg_disk_options o = { .budget_bytes = f->budget_bytes, .threads = threads, .max_open_files = 64, .check_existing = check };
	struct msg_setup_end end = { 0 };
	struct msg_go go = { 0 };
	int root, spill;

	wait_for(f, MSG_HELLO);
	wait_for(f, MSG_CONVEYOR);
	pass(f, SETUP_FORM, sealed_form(&f->m), 0);
	root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	spill = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (root < 0 || spill < 0)
		die(dir);
	if (f->single) {
		int one = openat(root, "single.part", O_CREAT | O_RDWR | O_CLOEXEC, 0644);

		if (one < 0)
			die("single.part");
		close(root);
		pass(f, SETUP_FILE, one, 0);
	} else {
		pass(f, SETUP_ROOT, root, 0);
	}
	pass(f, SETUP_SPILL, spill, 0);
	pass_netproc(f);
	if (channel_push(&f->control, MSG_DISK_OPTIONS, &o) < 0 || channel_push(&f->control, MSG_SETUP_END, &end) < 0 ||
	    channel_flush(&f->control) < 0)
		die("set-up");
	wait_for(f, MSG_READY);
	if (channel_push(&f->control, MSG_GO, &go) < 0 || channel_flush(&f->control) < 0)
		die("GO");
}

/* The old netproc dies, with all that it had open. */
static void replace_netproc(struct feed *f)
{
	channel_close(&f->net);
	slots_detach(&f->slots);
	memset(f->open, 0, sizeof f->open);
	f->next_piece = 0;
	f->used_bytes = 0;
	f->replace = false;
	pass_netproc(f);
	if (channel_flush(&f->control) < 0)
		die("a new netproc");
}

static void on_net(struct feed *f, const struct packet *p)
{
	uint32_t i;

	for (i = 0; i < p->count; i++) {
		if (p->type == MSG_SLOT_FREE) {
			f->free[f->free_count++] = ((const struct msg_slot_free *)packet_message(p, i))->slot;
		} else if (p->type == MSG_VERIFIED) {
			f->verified++;
			f->used_bytes -= metainfo_piece_bytes(&f->m, ((const struct msg_verified *)packet_message(p, i))->piece);
		} else if (p->type == MSG_HAVE_END) {
			f->told = true;
			f->verified = ((const struct msg_have_end *)packet_message(p, i))->verified_pieces;
		} else if (p->type == MSG_HAVE_BITS) {
			const struct msg_have_bits *b = packet_message(p, i);

			memcpy(f->have + b->first_piece / 8, b->bits, bitfield_bytes(b->pieces));
		} else if (p->type != MSG_SPILLED) {
			fprintf(stderr, "disk_feed: %s\n", message_rows[p->type].name);
			f->failed = true;
		}
	}
}

/* One block of open piece `i`; false when there is nothing to send. */
static bool feed_block(struct feed *f, uint32_t i)
{
	uint32_t bytes;
	struct msg_block m;

	while (f->next_piece < f->m.h->piece_count && bitfield_get(f->have, f->next_piece))
		f->next_piece++;
	if (!f->open[i].used) {
		if (f->next_piece == f->m.h->piece_count || f->budget_bytes - f->used_bytes < f->m.h->piece_length)
			return false;
		f->open[i].used = true;
		f->open[i].piece = f->next_piece++;
		f->open[i].block = 0;
		f->used_bytes += metainfo_piece_bytes(&f->m, f->open[i].piece);
	}
	bytes = metainfo_piece_bytes(&f->m, f->open[i].piece);
	m.piece = f->open[i].piece;
	m.begin = f->open[i].block++ * SLOT_BYTES;
	m.length = min_u32(SLOT_BYTES, bytes - m.begin);
	m.slot = f->free[--f->free_count];
	fixture_fill(slot_at(&f->slots, m.slot), (uint64_t)m.piece * f->m.h->piece_length + m.begin, m.length);
	if (channel_push(&f->net, MSG_BLOCK, &m) < 0)
		die("BLOCK");
	if (m.begin + m.length == bytes)
		f->open[i].used = false;
	else if (f->spills && !m.begin && m.piece % 8 == 0) {
		struct msg_spill spill = { .piece = m.piece };

		if (channel_push(&f->net, MSG_SPILL, &spill) < 0)
			die("SPILL");
	}
	return true;
}

static void run(struct feed *f)
{
	while (!f->complete && !f->failed) {
		struct pollfd p[2] = { { .fd = f->control.fd, .events = POLLIN }, { .fd = f->net.fd, .events = POLLIN } };
		struct packet in;
		uint32_t i, sent = 0, idle = 0;

		while (f->told && f->verified < f->m.h->piece_count && f->free_count && sent < 32 && idle < OPEN_PIECES) {
			i = sent % OPEN_PIECES;
			if (feed_block(f, (i + idle) % OPEN_PIECES)) {
				sent++;
				idle = 0;
			} else
				idle++;
		}
		if (f->replace && f->verified > f->m.h->piece_count / 2)
			replace_netproc(f);
		if (channel_flush(&f->net) < 0)
			die("diskproc is gone");
		if (channel_wants_write(&f->net))
			p[1].events |= POLLOUT;
		(void)poll(p, 2, sent ? 0 : 10000);
		while (p[1].revents & POLLIN && channel_receive(&f->net, &in) == CHANNEL_OK)
			on_net(f, &in);
		if (p[0].revents) {
			enum channel_result r;

			while ((r = channel_receive(&f->control, &in)) == CHANNEL_OK)
				on_control(f, &in);
			if (r != CHANNEL_EMPTY)
				die("the control channel ended");
		}
	}
}

/* ---- what is read back */

static uint64_t sum_of(const uint8_t *p)
{
	uint64_t sum = 0, word;
	size_t i;

	for (i = 0; i < SLOT_BYTES; i += sizeof word) {
		memcpy(&word, p + i, sizeof word);
		sum += word;
	}
	return sum;
}

/* The next block of a run, which begins anywhere when the last one is over. */
static void ask(struct feed *f, uint32_t blocks)
{
	struct msg_read m = { .tag = f->asked, .length = SLOT_BYTES };

	if (!f->run_left) {
		static uint64_t x = 88172645463325252ull;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		f->run_left = f->run;
		f->run_at = (uint32_t)(x % (blocks - f->run + 1));
	}
	f->run_left--;
	m.piece = (uint32_t)((uint64_t)f->run_at * SLOT_BYTES / f->m.h->piece_length);
	m.begin = (uint32_t)((uint64_t)f->run_at++ * SLOT_BYTES % f->m.h->piece_length);
	if (channel_push(&f->net, MSG_READ, &m) < 0)
		die("READ");
	f->asked++;
	f->ask_left--;
}

static void on_answers(struct feed *f, const struct packet *p)
{
	static uint8_t block[SLOT_BYTES];
	uint32_t i;

	for (i = 0; i < p->count && p->type == MSG_DATA; i++) {
		if (read(f->conveyor, block, sizeof block) != sizeof block)
			die("the conveyor");
		f->sum += sum_of(block);
	}
	f->asked -= p->count;
	f->failed |= p->type != MSG_DATA;
}

static void read_back(struct feed *f)
{
	uint32_t blocks = (uint32_t)(f->m.h->total_length / SLOT_BYTES);

	while ((f->ask_left || f->asked) && !f->failed) {
		struct pollfd p = { .fd = f->net.fd, .events = POLLIN };
		struct packet in;

		while (f->ask_left && f->asked < conveyor_pages(f->conveyor) / conveyor_cost(SLOT_BYTES))
			ask(f, blocks);
		if (channel_flush(&f->net) < 0)
			die("diskproc is gone");
		(void)poll(&p, 1, 10000);
		while (channel_receive(&f->net, &in) == CHANNEL_OK)
			on_answers(f, &in);
	}
}

/* CPU seconds of another process so far. */
static double cpu_of(pid_t pid)
{
	char path[64], text[1024];
	unsigned long user, sys;
	const char *at;
	size_t n;
	FILE *s;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	s = fopen(path, "r");
	n = s ? fread(text, 1, sizeof text - 1, s) : 0;
	text[n] = 0;
	at = strrchr(text, ')');
	if (!at || sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
		die(path);
	fclose(s);
	return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	static struct feed f;
	struct fixture_file files[1000];
	static char names[1000][32];
	uint32_t piece_kib = 1024, mib = 1024, threads = 1, count = 1, back = 0, i;
	struct msg_shutdown stop = { .grace_ms = 10000 };
	struct rusage ru, ru2;
	uint64_t t0, t1;
	bool check = false;
	double cpu;
	int pair[2], c, status;
	double gib;
	pid_t pid;

	while ((c = getopt(argc, argv, "p:n:t:f:1cwru:o:v")) != -1) {
		switch (c) {
		case 'p': piece_kib = (uint32_t)atoi(optarg); break;
		case 'n': mib = (uint32_t)atoi(optarg); break;
		case 't': threads = (uint32_t)atoi(optarg); break;
		case 'f': count = (uint32_t)atoi(optarg); break;
		case 'c': check = true; break;
		case '1': f.single = true; break;
		case 'w': f.spills = true; break;
		case 'r': f.replace = true; break;
		case 'u': back = (uint32_t)atoi(optarg); break;
		case 'o': f.run = (uint32_t)atoi(optarg); break;
		case 'v': f.verbose = true; break;
		default: return 2;
		}
	}
	if (argc - optind != 2 || count < 1 || count > 1000 || (f.single && count > 1) || !piece_kib || !mib)
		return 2;
	for (i = 0; i < count; i++) {
		if (f.single)
			snprintf(names[i], sizeof names[i], "single");
		else
			snprintf(names[i], sizeof names[i], "dir%u/file%u", i % 10, i);
		files[i] = (struct fixture_file){ names[i], ((uint64_t)mib << 20) / count, 0 };
	}
	fixture_form(&f.m, files, count, piece_kib << 10, f.single);
	f.have = calloc(1, bitfield_bytes(f.m.h->piece_count));
	f.budget_bytes = max_u64(64u << 20, 4ull * f.m.h->piece_length);
	if (channel_pair(pair) < 0)
		die("socketpair");
	pid = start(argv[optind], pair[1]);
	close(pair[1]);
	channel_init(&f.control, pair[0], CONTROL_EPOCH, true, "diskproc");
	set_up(&f, argv[optind + 1], threads, check);
	t0 = now_us();
	run(&f);
	t1 = now_us();
	if (back && !f.failed) {
		f.run = max_u32(1, f.run ? f.run : 16);
		f.ask_left = ((uint64_t)back << 20) / SLOT_BYTES;
		(void)getrusage(RUSAGE_SELF, &ru);
		cpu = cpu_of(pid);
		t0 = now_us();
		read_back(&f);
		t1 = now_us();
		cpu = cpu_of(pid) - cpu;
		(void)getrusage(RUSAGE_SELF, &ru2);
		gib = (double)back / 1024;
		printf("read back %u MiB in runs of %u: cpu of diskproc %.3f of its reader %.3f s/GiB wall %.3f s/GiB (sum %016llx)\n", back, f.run, cpu / gib,
		       (seconds(ru2.ru_utime) + seconds(ru2.ru_stime) - seconds(ru.ru_utime) - seconds(ru.ru_stime)) / gib,
		       (double)(t1 - t0) / 1e6 / gib, (unsigned long long)f.sum);
	}
	if (channel_push(&f.control, MSG_SHUTDOWN, &stop) == 0 && channel_flush(&f.control) == 0 && !f.failed)
		wait_for(&f, MSG_BYE);
	if (wait4(pid, &status, 0, &ru) != pid)
		die("wait4");
	gib = (double)(f.m.h->total_length) / (1 << 30);
	printf("piece %u KiB threads %u: cpu %.3f s/GiB (user %.3f sys %.3f) wall %.3f s/GiB rss %ld MiB switches %ld verified %u status %d%s\n",
	       piece_kib, threads, (seconds(ru.ru_utime) + seconds(ru.ru_stime)) / gib, seconds(ru.ru_utime) / gib,
	       seconds(ru.ru_stime) / gib, (double)(t1 - t0) / 1e6 / gib, ru.ru_maxrss >> 10, ru.ru_nvcsw + ru.ru_nivcsw, f.verified,
	       status, f.complete ? "" : " NOT COMPLETE");
	return f.complete && !f.failed && !status ? 0 : 1;
}
