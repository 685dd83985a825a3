/*
 * digest.h - SHA-1 and SHA-256 by libcrypto, made ready before the lock.
 *
 * libcrypto loads providers and fetches algorithms lazily; digest_warm() does
 * all of it while files may still be opened.
 */
#ifndef INSPECT_DIGEST_H
#define INSPECT_DIGEST_H

#include "common.h"

/* Once, before the lock; exits when libcrypto has no SHA-1. */
void digest_warm(void);

void digest_sha1(uint8_t out[20], const void *bytes, size_t length);
void digest_sha256(uint8_t out[32], const void *bytes, size_t length);

#endif
