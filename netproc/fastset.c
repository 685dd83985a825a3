/*
 * fastset.c - see fastset.h.
 */
#include "fastset.h"

#include <openssl/evp.h>

/* A torrent of 11 pieces has its 10 after six digests; none needs so many. */
#define DIGESTS_MAX 1000u

static EVP_MD *sha1;
static EVP_MD_CTX *context;

static void digest(uint8_t out[20], const uint8_t *bytes, size_t n)
{
	if (EVP_DigestInit_ex(context, sha1, NULL) != 1 || EVP_DigestUpdate(context, bytes, n) != 1 ||
	    EVP_DigestFinal_ex(context, out, NULL) != 1)
		bug("SHA-1 failed");
}

void fastset_warm_up(void)
{
	uint8_t out[20];

	if (sha1)
		return;
	sha1 = EVP_MD_fetch(NULL, "SHA1", NULL); /* reads openssl.cnf, loads the default provider */
	context = EVP_MD_CTX_new();
	if (!sha1 || !context)
		bug("libcrypto has no SHA-1");
	digest(out, (const uint8_t *)"", 0); /* thread-local state of the first use */
}

/* The peer's network: bytes to hash before the info-hash. */
static size_t network(uint8_t out[8], const struct net_addr *addr)
{
	size_t n = addr->family == 4 ? 4 : 8;

	memcpy(out, addr->ip, n);
	if (n == 4)
		out[3] = 0;
	return n;
}

uint32_t fastset_make(uint32_t out[FASTSET_MAX], uint32_t most, const uint8_t info_hash[20], const struct net_addr *addr, uint32_t pieces)
{
	uint8_t x[8 + 20], hash[20];
	uint32_t count = 0, tries, i;
	size_t n;

	most = min_u32(min_u32(most, FASTSET_MAX), pieces);
	if (most == pieces) { /* all that there are */
		for (i = 0; i < pieces; i++)
			out[i] = i;
		return pieces;
	}
	fastset_warm_up();
	n = network(x, addr);
	memcpy(x + n, info_hash, 20);
	digest(hash, x, n + 20);
	for (tries = 0; tries < DIGESTS_MAX; tries++) {
		for (i = 0; i < 5 && count < most; i++) {
			uint32_t piece = get_be32(hash + 4 * i) % pieces;

			if (!fastset_has(out, count, piece))
				out[count++] = piece;
		}
		if (count == most)
			break;
		digest(hash, hash, sizeof hash);
	}
	return count;
}
