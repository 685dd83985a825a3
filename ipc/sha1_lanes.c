/*
 * sha1_lanes.c - see sha1_lanes.h.  Lane i of each vector belongs to message i.
 */
#include "sha1_lanes.h"

#include "common.h"

#define CHUNK SHA1_LANES_CHUNK /* bytes that one round of compression takes */

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw")))

bool sha1_lanes_usable(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

/* Sixteen words of each of sixteen messages, big-endian, to w[word] with a message in each lane: a transposition. */
TARGET static inline void load_words(__m512i w[16], const uint8_t *const p[SHA1_LANES], size_t at)
{
	const __m512i swap = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
	__m512i t[16];
	uint32_t i;

#pragma GCC unroll 4
	for (i = 0; i < 16; i += 4) {
		__m512i r0 = _mm512_loadu_si512(p[i] + at), r1 = _mm512_loadu_si512(p[i + 1] + at);
		__m512i r2 = _mm512_loadu_si512(p[i + 2] + at), r3 = _mm512_loadu_si512(p[i + 3] + at);
		__m512i lo01 = _mm512_unpacklo_epi32(r0, r1), hi01 = _mm512_unpackhi_epi32(r0, r1);
		__m512i lo23 = _mm512_unpacklo_epi32(r2, r3), hi23 = _mm512_unpackhi_epi32(r2, r3);

		/* t[i + k]: words k, 4 + k, 8 + k and 12 + k of messages i to i + 3. */
		t[i] = _mm512_unpacklo_epi64(lo01, lo23);
		t[i + 1] = _mm512_unpackhi_epi64(lo01, lo23);
		t[i + 2] = _mm512_unpacklo_epi64(hi01, hi23);
		t[i + 3] = _mm512_unpackhi_epi64(hi01, hi23);
	}
#pragma GCC unroll 4
	for (i = 0; i < 4; i++) {
		__m512i even07 = _mm512_shuffle_i32x4(t[i], t[4 + i], 0x88), odd07 = _mm512_shuffle_i32x4(t[i], t[4 + i], 0xdd);
		__m512i even8f = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0x88), odd8f = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0xdd);

		w[i] = _mm512_shuffle_epi8(_mm512_shuffle_i32x4(even07, even8f, 0x88), swap);
		w[4 + i] = _mm512_shuffle_epi8(_mm512_shuffle_i32x4(odd07, odd8f, 0x88), swap);
		w[8 + i] = _mm512_shuffle_epi8(_mm512_shuffle_i32x4(even07, even8f, 0xdd), swap);
		w[12 + i] = _mm512_shuffle_epi8(_mm512_shuffle_i32x4(odd07, odd8f, 0xdd), swap);
	}
}

/* The three functions of FIPS 180-4, 4.1.1, as truth tables of (b, c, d). */
#define CHOOSE 0xca
#define PARITY 0x96
#define MAJORITY 0xe8

/* Step i of a round: i and the table are constants after unrolling. */
#define STEP(i, table, constant)                                                                                       \
	do {                                                                                                           \
		__m512i t;                                                                                             \
                                                                                                                       \
		if ((i) >= 16) {                                                                                       \
			t = _mm512_ternarylogic_epi32(w[((i) - 3) & 15], w[((i) - 8) & 15], w[((i) - 14) & 15], PARITY); \
			w[(i) & 15] = _mm512_rol_epi32(_mm512_xor_si512(t, w[(i) & 15]), 1);                           \
		}                                                                                                      \
		t = _mm512_add_epi32(_mm512_add_epi32(e, _mm512_set1_epi32((int)(constant))), w[(i) & 15]);            \
		t = _mm512_add_epi32(t, _mm512_ternarylogic_epi32(b, c, d, table));                                    \
		t = _mm512_add_epi32(t, _mm512_rol_epi32(a, 5));                                                       \
		e = d;                                                                                                 \
		d = c;                                                                                                 \
		c = _mm512_rol_epi32(b, 30);                                                                           \
		b = a;                                                                                                 \
		a = t;                                                                                                 \
	} while (0)

/* bytes: a multiple of CHUNK. */
TARGET static void compress(struct sha1_lanes *s, const uint8_t *const p[SHA1_LANES], size_t bytes)
{
	__m512i a = _mm512_loadu_si512(s->h[0]), b = _mm512_loadu_si512(s->h[1]), c = _mm512_loadu_si512(s->h[2]);
	__m512i d = _mm512_loadu_si512(s->h[3]), e = _mm512_loadu_si512(s->h[4]);
	size_t at;
	int i;

	for (at = 0; at < bytes; at += CHUNK) {
		__m512i w[16], a0 = a, b0 = b, c0 = c, d0 = d, e0 = e;

		load_words(w, p, at);
#pragma GCC unroll 20
		for (i = 0; i < 20; i++)
			STEP(i, CHOOSE, 0x5a827999u);
#pragma GCC unroll 20
		for (i = 20; i < 40; i++)
			STEP(i, PARITY, 0x6ed9eba1u);
#pragma GCC unroll 20
		for (i = 40; i < 60; i++)
			STEP(i, MAJORITY, 0x8f1bbcdcu);
#pragma GCC unroll 20
		for (i = 60; i < 80; i++)
			STEP(i, PARITY, 0xca62c1d6u);
		a = _mm512_add_epi32(a, a0);
		b = _mm512_add_epi32(b, b0);
		c = _mm512_add_epi32(c, c0);
		d = _mm512_add_epi32(d, d0);
		e = _mm512_add_epi32(e, e0);
	}
	_mm512_storeu_si512(s->h[0], a);
	_mm512_storeu_si512(s->h[1], b);
	_mm512_storeu_si512(s->h[2], c);
	_mm512_storeu_si512(s->h[3], d);
	_mm512_storeu_si512(s->h[4], e);
}

#else

bool sha1_lanes_usable(void)
{
	return false;
}

static void compress(struct sha1_lanes *s, const uint8_t *const p[SHA1_LANES], size_t bytes)
{
	(void)s;
	(void)p;
	bug("%zu bytes of lanes that this processor does not have", bytes);
}

#endif

/* Lanes without a message do the first one's work again. */
static void spread(const uint8_t *p[SHA1_LANES], const uint8_t *const data[], uint32_t count)
{
	uint32_t i;

	if (count < 1 || count > SHA1_LANES)
		bug("%u lanes", count);
	for (i = 0; i < SHA1_LANES; i++)
		p[i] = data[i < count ? i : 0];
}

void sha1_lanes_more(struct sha1_lanes *s, const uint8_t *const data[], uint32_t count, size_t bytes)
{
	const uint8_t *p[SHA1_LANES];

	if (bytes % CHUNK)
		bug("a part of %zu bytes", bytes);
	spread(p, data, count);
	compress(s, p, bytes);
	s->bytes += bytes;
}

void sha1_lanes_end(struct sha1_lanes *s, const uint8_t *const data[], uint32_t count, size_t bytes, uint8_t digest[][20])
{
	const uint8_t *p[SHA1_LANES];
	uint8_t tail[SHA1_LANES][2 * CHUNK];
	size_t whole = bytes / CHUNK * CHUNK, rest = bytes - whole, padded = rest < CHUNK - 8 ? CHUNK : 2 * CHUNK;
	uint32_t i, k;

	spread(p, data, count);
	compress(s, p, whole);
	/* The end of each message, a bit, zeros, the length in bits. */
	memset(tail, 0, sizeof tail);
	for (i = 0; i < SHA1_LANES; i++) {
		memcpy(tail[i], p[i] + whole, rest);
		tail[i][rest] = 0x80;
		put_be64(tail[i] + padded - 8, (s->bytes + bytes) * 8);
		p[i] = tail[i];
	}
	compress(s, p, padded);
	for (i = 0; i < count; i++)
		for (k = 0; k < 5; k++)
			put_be32(digest[i] + 4 * k, s->h[k][i]);
}

void sha1_lanes_begin(struct sha1_lanes *s)
{
	static const uint32_t start[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	uint32_t i, k;

	for (k = 0; k < 5; k++)
		for (i = 0; i < SHA1_LANES; i++)
			s->h[k][i] = start[k];
	s->bytes = 0;
}

void sha1_lanes(const uint8_t *const data[], uint32_t count, size_t bytes, uint8_t digest[][20])
{
	struct sha1_lanes s;

	sha1_lanes_begin(&s);
	sha1_lanes_end(&s, data, count, bytes, digest);
}
