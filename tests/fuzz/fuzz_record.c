/*
 * fuzz_record.c - any bytes as a slot of diskproc's record, and any files as they are found: what is believed of it.
 *
 * Input: a byte for each file (1: as it was recorded), then the slot.
 */
#include <signal.h>

#include "../unit/disk_rig.h"

static const struct fixture_file files[] = {
	{ "d/a", 70000, 0 }, { "d/e", 0, 0 }, { "b", 200000, 0 }, { "p", 50000, METAINFO_FILE_PAD }, { "c", 9, 0 }
};
#define PIECE (48u * 1024u + 100u)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct metainfo m;
	static EVP_MD *sha1;
	struct record r;
	struct recall c;
	uint8_t *copy;
	uint32_t i;
	bool valid;

	if (!m.base) {
		fixture_form(&m, files, ARRAY_LEN(files), PIECE, false);
		sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	}
	record_init(&r, 0, &m, sha1);
	recall_init(&c, &r, &m, true);
	for (i = 0; i < ARRAY_LEN(files) && i < size; i++)
		if (data[i] & 1)
			bitfield_set(c.as_were, i);
	data += i;
	size -= i;
	copy = calloc(1, r.bytes); /* of the exact length */
	memcpy(copy, data, size < r.bytes ? size : r.bytes);
	valid = record_is_valid(&r, copy);
	/* The digest is right more often than chance would have it. */
	if (size >= r.bytes && EVP_Digest(copy, r.bytes - 20, copy + r.bytes - 20, NULL, sha1, NULL))
		valid = record_is_valid(&r, copy);
	if (valid) {
		struct record_header h;

		memcpy(&h, copy, sizeof h);
		memcpy(r.slot, copy, r.bytes);
		recall_judge(&c, &m);
		for (i = 0; i < m.h->piece_count; i++)
			if (bitfield_get(c.known, i) && (bitfield_get(c.doubtful, i) || !bitfield_get(record_have(&r), i)))
				abort();
		/* What was taken for valid is what we write. */
		record_seal(&r, h.flags, h.sequence);
		if (memcmp(r.slot, copy, r.bytes) != 0)
			abort();
	}
	free(copy);
	recall_release(&c);
	r.fd = -1;
	record_release(&r);
	return 0;
}
