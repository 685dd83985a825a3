/*
 * fuzz_requests.c - requests, cancels, chokes and reads in random order, against a model.
 */
#include "../../netproc/requests.c"

#include "../unit/requests_model.h"

#define STEPS 300u

struct input {
	const uint8_t *at;
	size_t left;
};

static uint32_t next_byte(void *arg)
{
	struct input *in = arg;

	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct model *m = model_new();
	uint32_t i;

	for (i = 0; i < STEPS && in.left; i++)
		model_step(m, next_byte, &in);
	model_end(m);
	return 0;
}
