/*
 * wire.c - see wire.h.  Every message has its legal sizes in one table.
 */
#include "wire.h"

#include <stdarg.h>

#include "bencode.h"
#include "log.h"

static const uint8_t protocol[20] = "\023BitTorrent protocol";

/* Payload bytes after the id for messages of fixed size; -1: variable; -2: unknown. */
static int fixed_payload(uint8_t id)
{
	switch (id) {
	case WIRE_CHOKE:
	case WIRE_UNCHOKE:
	case WIRE_INTERESTED:
	case WIRE_NOT_INTERESTED:
	case WIRE_HAVE_ALL:
	case WIRE_HAVE_NONE:
		return 0;
	case WIRE_HAVE:
	case WIRE_SUGGEST:
	case WIRE_ALLOWED_FAST:
		return 4;
	case WIRE_REQUEST:
	case WIRE_CANCEL:
	case WIRE_REJECT:
		return 12;
	case WIRE_PORT:
		return 2;
	case WIRE_BITFIELD:
	case WIRE_PIECE:
	case WIRE_EXTENDED:
		return -1;
	default:
		return -2;
	}
}

static enum wire_step need(struct wire_head *out, size_t have, uint32_t bytes)
{
	out->bytes = bytes;
	return have < bytes ? WIRE_NEED : WIRE_WHOLE;
}

static enum wire_step bad(struct wire_head *out, const char *why)
{
	out->why = why;
	return WIRE_BAD;
}

static enum wire_step variable_head(const uint8_t *p, size_t have, uint32_t length, uint32_t bitfield_bytes, struct wire_head *out)
{
	switch (out->id) {
	case WIRE_PIECE:
		/* A block never exceeds what we ask for, 16 KiB. */
		if (length < 9 || length - 9 > 16384)
			return bad(out, "a block of an impossible length");
		if (need(out, have, WIRE_PIECE_HEAD) == WIRE_NEED)
			return WIRE_NEED;
		out->piece = get_be32(p + 5);
		out->begin = get_be32(p + 9);
		out->body = length - 9;
		return WIRE_BODY;
	case WIRE_BITFIELD:
		if (length - 1 != bitfield_bytes)
			return bad(out, "a bitfield of the wrong length");
		out->bytes = 5;
		out->body = length - 1;
		return WIRE_BODY;
	case WIRE_EXTENDED:
		if (length < 2)
			return bad(out, "an extended message without an id");
		if (length - 2 > WIRE_MAX_UNKNOWN)
			return bad(out, "an extended message too long");
		if (need(out, have, 6) == WIRE_NEED)
			return WIRE_NEED;
		out->extended = p[5];
		out->body = length - 2;
		return WIRE_BODY;
	default:
		if (length - 1 > WIRE_MAX_UNKNOWN)
			return bad(out, "an unknown message too long");
		out->bytes = 5;
		out->body = length - 1;
		return WIRE_BODY;
	}
}

enum wire_step wire_head(const uint8_t *p, size_t have, uint32_t bitfield_bytes, struct wire_head *out)
{
	uint32_t length;
	int fixed;

	memset(out, 0, sizeof *out);
	if (need(out, have, 4) == WIRE_NEED)
		return WIRE_NEED;
	length = get_be32(p);
	if (length == 0) {
		out->id = WIRE_KEEPALIVE;
		return WIRE_WHOLE;
	}
	if (need(out, have, 5) == WIRE_NEED)
		return WIRE_NEED;
	out->id = p[4];
	fixed = fixed_payload(p[4]);
	if (fixed < 0)
		return variable_head(p, have, length, bitfield_bytes, out);
	if (length != 1u + (uint32_t)fixed)
		return bad(out, "a message of the wrong length");
	if (need(out, have, 5 + (uint32_t)fixed) == WIRE_NEED)
		return WIRE_NEED;
	if (fixed == 2)
		out->port = get_be16(p + 5);
	if (fixed >= 4)
		out->piece = get_be32(p + 5);
	if (fixed == 12) {
		out->begin = get_be32(p + 9);
		out->length = get_be32(p + 13);
	}
	return WIRE_WHOLE;
}

bool wire_parse_handshake(const uint8_t *p, struct wire_handshake *out)
{
	if (memcmp(p, protocol, sizeof protocol))
		return false;
	memcpy(out->reserved, p + 20, 8);
	memcpy(out->info_hash, p + 28, 20);
	memcpy(out->peer_id, p + 48, 20);
	return true;
}

void wire_put_handshake(uint8_t *out, const uint8_t info_hash[20], const uint8_t peer_id[20])
{
	memcpy(out, protocol, sizeof protocol);
	memset(out + 20, 0, 8);
	out[25] = 0x10;
	out[27] = 0x04;
	memcpy(out + 28, info_hash, 20);
	memcpy(out + 48, peer_id, 20);
}

size_t wire_put_plain(uint8_t *out, enum wire_id id)
{
	put_be32(out, 1);
	out[4] = (uint8_t)id;
	return 5;
}

static size_t put_single(uint8_t *out, enum wire_id id, uint32_t piece)
{
	put_be32(out, 5);
	out[4] = (uint8_t)id;
	put_be32(out + 5, piece);
	return 9;
}

size_t wire_put_have(uint8_t *out, uint32_t piece)
{
	return put_single(out, WIRE_HAVE, piece);
}

size_t wire_put_allowed_fast(uint8_t *out, uint32_t piece)
{
	return put_single(out, WIRE_ALLOWED_FAST, piece);
}

size_t wire_put_triple(uint8_t *out, enum wire_id id, uint32_t piece, uint32_t begin, uint32_t length)
{
	put_be32(out, 13);
	out[4] = (uint8_t)id;
	put_be32(out + 5, piece);
	put_be32(out + 9, begin);
	put_be32(out + 13, length);
	return 17;
}

size_t wire_put_keepalive(uint8_t *out)
{
	put_be32(out, 0);
	return 4;
}

size_t wire_put_bitfield_head(uint8_t *out, uint32_t bitfield_bytes)
{
	put_be32(out, 1 + bitfield_bytes);
	out[4] = WIRE_BITFIELD;
	return 5;
}

size_t wire_put_piece_head(uint8_t *out, uint32_t piece, uint32_t begin, uint32_t length)
{
	put_be32(out, 9 + length);
	out[4] = WIRE_PIECE;
	put_be32(out + 5, piece);
	put_be32(out + 9, begin);
	return WIRE_PIECE_HEAD;
}

/* Appends to the dictionary at out + 6. */
static void append(uint8_t *out, size_t *n, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void append(uint8_t *out, size_t *n, const char *fmt, ...)
{
	size_t room = WIRE_HELLO_MAX - 6 - *n;
	va_list ap;
	int wrote;

	va_start(ap, fmt);
	wrote = vsnprintf((char *)out + 6 + *n, room, fmt, ap);
	va_end(ap);
	if (wrote < 0 || (size_t)wrote >= room)
		bug("extended handshake of more than %u bytes", WIRE_HELLO_MAX);
	*n += (size_t)wrote;
}

size_t wire_put_hello(uint8_t *out, const struct wire_hello *hello)
{
	size_t n = 0, ip;

	/* Keys in order (BEP 3). */
	append(out, &n, "d1:mde");
	if (hello->port)
		append(out, &n, "1:pi%ue", hello->port);
	append(out, &n, "4:reqqi%ue11:upload_onlyi%de", hello->reqq, hello->upload_only);
	if (hello->client)
		append(out, &n, "1:v%zu:%s", strlen(hello->client), hello->client);
	if (hello->yourip) {
		ip = hello->yourip->family == 4 ? 4 : 16;
		append(out, &n, "6:yourip%zu:", ip);
		if (n + ip > WIRE_HELLO_MAX - 6 - 2)
			bug("extended handshake of more than %u bytes", WIRE_HELLO_MAX);
		memcpy(out + 6 + n, hello->yourip->ip, ip);
		n += ip;
	}
	append(out, &n, "e");
	put_be32(out, 2 + (uint32_t)n);
	out[4] = WIRE_EXTENDED;
	out[5] = 0;
	return 6 + n;
}

bool wire_parse_extended(const uint8_t *p, size_t bytes, struct wire_extended *out)
{
	struct bencode root, v;

	memset(out, 0, sizeof *out);
	/* Some clients append data after the dictionary: only its front is read. */
	if (bencode_check_prefix(p, bytes, 4096, &root, NULL) != BENCODE_OK || root.type != BENCODE_DICT)
		return false;
	if (bencode_find_type(&root, "reqq", BENCODE_INT, &v) && v.integer > 0)
		out->reqq = v.integer > 65535 ? 65535 : (uint32_t)v.integer;
	if (bencode_find_type(&root, "p", BENCODE_INT, &v) && v.integer > 0 && v.integer <= 65535)
		out->port = (uint16_t)v.integer;
	if (bencode_find_type(&root, "upload_only", BENCODE_INT, &v)) {
		out->says_upload_only = true;
		out->upload_only = v.integer != 0;
	}
	if (bencode_find_type(&root, "yourip", BENCODE_STRING, &v) && (v.length == 4 || v.length == 16)) {
		out->yourip.family = v.length == 4 ? 4 : 6;
		memcpy(out->yourip.ip, v.string, v.length);
	}
	if (bencode_find_type(&root, "v", BENCODE_STRING, &v))
		log_quote(out->client, sizeof out->client, v.string, v.length);
	return true;
}
