/*
 * authorities.h - the certificate authorities that TLS trusts, parsed once.
 *
 * libcurl, given the PEM itself, parses all of it again for each connection:
 * 36 ms for Debian's 144 certificates.  The PEM is the system's or the user's
 * (--ca-file), never a stranger's.  Needs no file and no lock.
 */
#ifndef NETPROC_AUTHORITIES_H
#define NETPROC_AUTHORITIES_H

#include <openssl/ssl.h>

#include "common.h"

/* All certificates of the PEM; what cannot be read is left out.  NULL when not one is left.  *count may be NULL. */
X509_STORE *authorities_parse(const void *pem, size_t bytes, uint32_t *count);

#endif
