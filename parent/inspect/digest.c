/*
 * digest.c - see digest.h.
 */
#include "digest.h"

#include <openssl/evp.h>

static EVP_MD *sha1, *sha256;
static EVP_MD_CTX *context;

static void digest_run(EVP_MD *md, uint8_t *out, const void *bytes, size_t length)
{
	if (!context || EVP_DigestInit_ex(context, md, NULL) != 1 || EVP_DigestUpdate(context, bytes, length) != 1 ||
	    EVP_DigestFinal_ex(context, out, NULL) != 1)
		bug("libcrypto cannot hash");
}

void digest_warm(void)
{
	uint8_t out[32];

	if (context)
		return;
	sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);     /* reads openssl.cnf, loads the default provider */
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	context = EVP_MD_CTX_new();
	if (!sha1 || !sha256 || !context)
		bug("libcrypto has no SHA-1 or SHA-256");
	digest_run(sha1, out, "", 0);                 /* thread-local state of the first use */
	digest_run(sha256, out, "", 0);
}

void digest_sha1(uint8_t out[20], const void *bytes, size_t length)
{
	digest_run(sha1, out, bytes, length);
}

void digest_sha256(uint8_t out[32], const void *bytes, size_t length)
{
	digest_run(sha256, out, bytes, length);
}
