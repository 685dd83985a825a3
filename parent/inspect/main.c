/*
 * main.c - bulkhead-inspect: one torrent file or magnet link in, the normal form
 * (and the page of `show`) out, then it is gone.
 *
 * Set-up: SETUP_INPUT the bytes, read to their end; SETUP_FORM an empty memory
 * file for the form; SETUP_TEXT another one for the text, needed to show only.
 * After the lock it can read, write and take memory; it opens nothing.
 */
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "compartment.h"
#include "digest.h"
#include "form.h"
#include "magnet.h"
#include "show.h"

#define FIRST_READ (256u << 10)

/* The whole input in memory that was mapped for it; one byte more than the limit is read, to know that it is too long. */
static bool read_input(struct inspect *in, int fd)
{
	size_t room = FIRST_READ, used = 0, most = (size_t)in->limits.max_bytes + 1;
	uint8_t *p;

	room = room < most ? room : most;
	p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return refuse(in, INSPECT_INTERNAL, NULL, "no memory for %zu bytes", room);
	in->input = p;
	for (;;) {
		ssize_t n;

		if (used == room) {
			size_t more = room > most / 2 ? most : room * 2;
			void *q;

			if (room == most)
				return refuse(in, INSPECT_TOO_LARGE, NULL, "longer than %llu bytes", (unsigned long long)in->limits.max_bytes);
			q = mremap(p, room, more, MREMAP_MAYMOVE);
			if (q == MAP_FAILED)
				return refuse(in, INSPECT_INTERNAL, NULL, "no memory for %zu bytes", more);
			in->input = p = q;
			room = more;
		}
		n = read(fd, p + used, room - used);
		if (n == 0)
			break;
		if (n > 0) {
			used += (size_t)n;
		} else if (errno == EAGAIN) {
			struct pollfd pf = { .fd = fd, .events = POLLIN };

			(void)poll(&pf, 1, 1000);
		} else if (errno != EINTR) {
			return refuse(in, INSPECT_INTERNAL, NULL, "cannot read the input: errno %d", errno);
		}
	}
	in->bytes = used;
	return true;
}

static bool write_all(int fd, const uint8_t *p, size_t length)
{
	while (length) {
		ssize_t n = write(fd, p, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		length -= (size_t)n;
	}
	return true;
}

static bool write_form(struct inspect *in, const struct torrent *t, int fd, uint64_t *form_bytes)
{
	uint8_t *form = NULL;
	size_t bytes = 0;
	bool ok;

	if (!form_build(in, t, &form, &bytes))
		return false;
	ok = write_all(fd, form, bytes);
	free(form);
	*form_bytes = bytes;
	return ok || refuse(in, INSPECT_INTERNAL, NULL, "cannot write the normal form: errno %d", errno);
}

static bool write_text(struct inspect *in, const struct torrent *t, int fd, uint32_t mode, uint64_t *text_bytes)
{
	struct out *o = must_alloc(sizeof *o);
	bool ok, full;

	out_init(o, fd);
	if (mode == INSPECT_SHOW_JSON)
		show_json(in, t, o);
	else if (mode == INSPECT_SHOW_LIST)
		show_list(t, o);
	else
		show_text(in, t, o);
	ok = out_flush(o);
	full = o->full;
	*text_bytes = o->total;
	free(o);
	if (full)
		return refuse(in, INSPECT_TOO_LARGE, NULL, "the text is longer than %llu MiB", OUT_MAX_BYTES >> 20);
	return ok || refuse(in, INSPECT_INTERNAL, NULL, "cannot write the text");
}

static bool inspect_input(struct inspect *in, int input, int form, int text, uint32_t mode, struct msg_inspected *answer)
{
	struct torrent t;
	bool ok;

	if (!read_input(in, input))
		return false;
	torrent_init(&t, &in->limits);
	ok = magnet_is_one(in->input, in->bytes) ? magnet_parse(in, &t) : torrent_parse(in, &t);
	if (ok) {
		torrent_oddities(in, &t);
		ok = write_form(in, &t, form, &answer->form_bytes);
	}
	if (ok && mode != INSPECT_FORM)
		ok = write_text(in, &t, text, mode, &answer->text_bytes);
	torrent_release(&t);
	return ok;
}

/* Everything that would need a file or a random number later. */
static void warm_up(struct inspect *in)
{
	digest_warm();                                                 /* else: openssl.cnf and providers are opened */
	random_bytes(in->limits.hash_key, sizeof in->limits.hash_key); /* else: getrandom */
	in->limits.now = (int64_t)time(NULL);                          /* else: the clock */
}

int main(void)
{
	static struct compartment c;
	static struct inspect in;
	struct msg_inspected answer = { .status = INSPECT_OK };
	int input, form, text = -1;
	uint32_t mode;

	compartment_begin(&c, ROLE_INSPECT);
	input = compartment_take(&c, SETUP_INPUT);
	form = compartment_take(&c, SETUP_FORM);
	mode = c.inspect.mode;
	if (mode == INSPECT_SHOW_TEXT || mode == INSPECT_SHOW_JSON || mode == INSPECT_SHOW_LIST)
		text = compartment_take(&c, SETUP_TEXT);
	else
		mode = INSPECT_FORM;
	inspect_limits_set(&in.limits, &c.inspect);
	warm_up(&in);
	compartment_lock(&c);
	if (!inspect_input(&in, input, form, text, mode, &answer)) {
		size_t length = strlen(in.refusal.text);

		answer = (struct msg_inspected){ .status = in.refusal.status, .where = in.refusal.where, .length = (uint16_t)length };
		memcpy(answer.text, in.refusal.text, length);
	}
	answer.warnings = in.warnings.count;
	if (channel_push(&c.control, MSG_INSPECTED, &answer) < 0)
		compartment_end(&c, 1);
	compartment_end(&c, 0);
}
