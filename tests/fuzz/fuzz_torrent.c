/* fuzz_torrent.c - any bytes through all of inspect: parsed, made a form that its receivers take, and shown. */
#include "../unit/inspect_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct out out;
	struct one o;

	if (one_run(&o, data, size, 1000, 100000)) {
		out_init(&out, -1);
		show_text(&o.in, &o.t, &out);
		show_json(&o.in, &o.t, &out);
		if (!out_flush(&out))
			abort();
	} else if (o.in.refusal.status == INSPECT_OK || o.in.refusal.status == INSPECT_INTERNAL || !o.in.refusal.text[0] ||
		   o.in.refusal.where > size) {
		abort();
	}
	one_free(&o);
	return 0;
}
