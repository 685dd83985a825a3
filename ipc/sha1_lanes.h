/*
 * sha1_lanes.h - SHA-1 of up to sixteen messages of one length at once.
 *
 * One stream of SHA-1 is a chain of dependent steps, and waits for each; the
 * processor's own SHA instructions do not change that.  Sixteen streams side by
 * side in AVX-512 registers take 0.18 s/GiB where libcrypto's one stream takes
 * 0.60 (Xeon with SHA-NI, 1 MiB messages).  Where the processor has no AVX-512,
 * or fewer messages than SHA1_LANES_LEAST are there, callers take libcrypto.
 *
 * FIPS 180-4.  Pure: no state, no memory, no system call; nothing in it depends
 * on what the bytes are.
 */
#ifndef IPC_SHA1_LANES_H
#define IPC_SHA1_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA1_LANES 16u
/* With fewer messages than this, one after the other is as fast. */
#define SHA1_LANES_LEAST 6u

/* Whether this processor, and the system, can. */
bool sha1_lanes_usable(void);

/* digest[i] = SHA-1(data[i][0..bytes)), for 1 <= count <= SHA1_LANES.  Only where sha1_lanes_usable(). */
void sha1_lanes(const uint8_t *const data[], uint32_t count, size_t bytes, uint8_t digest[][20]);

/*
 * The same in steps: begin, then any number of parts whose length is a multiple
 * of SHA1_LANES_CHUNK, then end with the rest.  count and the order of the
 * messages are the same in each step.
 */
#define SHA1_LANES_CHUNK 64u

struct sha1_lanes {
	uint32_t h[5][SHA1_LANES]; /* word k of message i */
	uint64_t bytes;            /* of each message so far */
};

void sha1_lanes_begin(struct sha1_lanes *s);
void sha1_lanes_more(struct sha1_lanes *s, const uint8_t *const data[], uint32_t count, size_t bytes);
/* bytes: the rest, of any length. */
void sha1_lanes_end(struct sha1_lanes *s, const uint8_t *const data[], uint32_t count, size_t bytes, uint8_t digest[][20]);

#endif
