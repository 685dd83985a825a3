/*
 * disk_fixture.h - a normal form and a payload, made up: for diskproc's units, fuzzing and bench.
 *
 * The payload is a function of its offset, so that no test keeps a copy of it.
 */
#ifndef TESTS_DISK_FIXTURE_H
#define TESTS_DISK_FIXTURE_H

#include <openssl/evp.h>

#include "metainfo.h"

struct fixture_file {
	const char *path;
	uint64_t length;
	uint32_t flags;
};

#define FIXTURE_PERIOD (1u << 20)

/* A megabyte of noise that repeats; its first 16 bytes carry the number of the megabyte. */
static const uint8_t *fixture_noise(void)
{
	static uint8_t noise[FIXTURE_PERIOD];
	uint64_t x = 88172645463325252ull;
	size_t i;

	if (noise[0])
		return noise;
	for (i = 0; i < sizeof noise; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		noise[i] = (uint8_t)(x >> 32);
	}
	noise[0] |= 1;
	return noise;
}

static void fixture_fill(uint8_t *out, uint64_t offset, size_t bytes)
{
	const uint8_t *noise = fixture_noise();

	while (bytes) {
		size_t in = (size_t)(offset % FIXTURE_PERIOD), n = FIXTURE_PERIOD - in < bytes ? FIXTURE_PERIOD - in : bytes;
		uint64_t number = offset / FIXTURE_PERIOD;

		memcpy(out, noise + in, n);
		for (size_t i = in; i < 16 && i - in < n; i++)
			out[i - in] = (uint8_t)(out[i - in] ^ number >> 8 * (i % 8));
		out += n;
		offset += n;
		bytes -= n;
	}
}

/* The payload as it is with padding: zeros where a padding file is. */
static void fixture_payload(const struct metainfo *m, uint8_t *out, uint64_t offset, size_t bytes)
{
	const struct metainfo_file *f = metainfo_files(m);
	uint32_t i;

	fixture_fill(out, offset, bytes);
	for (i = 0; i < m->h->file_count; i++) {
		uint64_t a = f[i].offset > offset ? f[i].offset : offset;
		uint64_t b = f[i].offset + f[i].length < offset + bytes ? f[i].offset + f[i].length : offset + bytes;

		if (f[i].flags & METAINFO_FILE_PAD && a < b)
			memset(out + (a - offset), 0, (size_t)(b - a));
	}
}

/* Makes the form (malloc, aligned; *bytes long) and opens it without metainfo_open(). */
static void fixture_form(struct metainfo *m, const struct fixture_file *files, uint32_t count, uint32_t piece_length, bool single)
{
	size_t tables = sizeof(struct metainfo_header) + count * sizeof(struct metainfo_file), strings = 16, at, bytes;
	struct metainfo_header *h;
	struct metainfo_file *row;
	uint64_t total = 0;
	uint32_t i, pieces;
	uint8_t *base, *piece = malloc(piece_length);
	const char *name = single ? files[0].path : "name";

	for (i = 0; i < count; i++) {
		strings += strlen(files[i].path) + 1;
		total += files[i].length;
	}
	strings += strlen(name) + 1;
	pieces = (uint32_t)((total + piece_length - 1) / piece_length);
	bytes = tables + strings + 20ull * pieces;
	base = calloc(1, bytes);
	h = (struct metainfo_header *)(void *)base;
	*h = (struct metainfo_header){ .magic = METAINFO_MAGIC, .bytes = bytes, .total_length = total, .piece_length = piece_length,
				       .piece_count = pieces, .file_count = count, .flags = single ? METAINFO_SINGLE : 0 };
	h->files = sizeof *h;
	row = (struct metainfo_file *)(void *)(base + h->files);
	at = tables;
	total = 0;
	for (i = 0; i < count; i++) {
		size_t n = strlen(files[i].path);

		row[i] = (struct metainfo_file){ .offset = total, .length = files[i].length, .flags = files[i].flags,
						 .path = { (uint32_t)at, (uint32_t)n } };
		memcpy(base + at, files[i].path, n + 1);
		at += n + 1;
		total += files[i].length;
	}
	h->name = (struct metainfo_text){ (uint32_t)at, (uint32_t)strlen(name) };
	memcpy(base + at, name, strlen(name) + 1);
	at += strlen(name) + 1;
	h->hashes = (uint32_t)at;
	h->trackers = h->webseeds = sizeof *h;
	*m = (struct metainfo){ .h = h, .base = base, .bytes = bytes };
	for (i = 0; i < pieces; i++) {
		uint32_t n = metainfo_piece_bytes(m, i);

		fixture_payload(m, piece, (uint64_t)i * piece_length, n);
		EVP_Digest(piece, n, base + h->hashes + 20ull * i, NULL, EVP_sha1(), NULL);
	}
	free(piece);
}

static void fixture_form_free(struct metainfo *m)
{
	free((void *)(uintptr_t)m->base);
	m->base = NULL;
}

#endif
