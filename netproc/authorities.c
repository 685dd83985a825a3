/*
 * authorities.c - see authorities.h.
 */
#include "authorities.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#define LEAST_PEM_BYTES 27u /* "-----BEGIN CERTIFICATE-----": there are no more certificates than room for these */

/* Nobody is asked for a password of a certificate: it would be looked for on the terminal. */
static int no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

X509_STORE *authorities_parse(const void *pem, size_t bytes, uint32_t *count)
{
	X509_STORE *store = X509_STORE_new();
	BIO *in = bytes <= INT_MAX ? BIO_new_mem_buf(pem, (int)bytes) : NULL;
	size_t most = bytes / LEAST_PEM_BYTES + 1;
	uint32_t n = 0;
	X509 *c;

	if (!store || !in)
		goto out;
	while (most--) {
		/* "TRUSTED CERTIFICATE" is read too, as by libcurl; the end of the text is an error like others. */
		c = PEM_read_bio_X509_AUX(in, NULL, no_password, NULL);
		if (!c && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
			break;
		if (c && X509_STORE_add_cert(store, c) == 1)
			n++;
		X509_free(c);
		ERR_clear_error();
	}
	/* As libcurl: a server's own certificate or an intermediate, given by --ca-file, is enough. */
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
out:
	ERR_clear_error();
	BIO_free(in);
	if (!n) {
		X509_STORE_free(store);
		store = NULL;
	}
	if (count)
		*count = n;
	return store;
}
