/* fuzz_magnet.c - any bytes as the parameters of a magnet link that has a hash, through all of inspect. */
#include "../unit/inspect_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char front[] = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&";
	static struct out out;
	struct bytes b = { NULL, 0 };
	struct one o;

	add(&b, front, size && data[0] == '?' ? 7 : sizeof front - 1);
	add(&b, data, size);
	if (one_run(&o, b.p, b.n, 10, 10)) {
		out_init(&out, -1);
		show_text(&o.in, &o.t, &out);
		show_json(&o.in, &o.t, &out);
		if (!out_flush(&out))
			abort();
	} else if (o.in.refusal.status == INSPECT_OK || o.in.refusal.status == INSPECT_INTERNAL || o.in.refusal.where > b.n) {
		abort();
	}
	one_free(&o);
	free(b.p);
	return 0;
}
