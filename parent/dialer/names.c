/*
 * names.c - see names.h.  The hosts come from strangers; the answers from the
 * resolver, which may be compromised: it can name any address, and the policy
 * judges each of them.
 */
#include "names.h"

#include <netdb.h>

#include "egress.h"

bool names_host_is_sound(const char *host)
{
	size_t i, length = strnlen(host, HOST_MAX);

	if (length < 1 || length > 253)
		return false;
	for (i = 0; i < length; i++) {
		char c = host[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_'))
			return false;
	}
	return true;
}

static void lower(char out[HOST_MAX], const char *host)
{
	size_t i;

	memset(out, 0, HOST_MAX);
	for (i = 0; i < HOST_MAX - 1 && host[i]; i++)
		out[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] - 'A' + 'a') : host[i];
}

struct name *names_find(struct names *n, const char *host, uint64_t now_ms, bool *ask)
{
	struct name *oldest = NULL;
	char wanted[HOST_MAX];
	uint32_t i;

	*ask = false;
	lower(wanted, host);
	for (i = 0; i < NAMES_MAX; i++) {
		struct name *row = &n->row[i];

		if (row->state != NAME_FREE && row->state != NAME_ASKED && now_ms >= row->until_ms)
			row->state = NAME_FREE;
		if (row->state != NAME_FREE && memcmp(row->host, wanted, sizeof wanted) == 0)
			return row;
		if (row->state == NAME_ASKED)
			continue;
		if (!oldest || (oldest->state != NAME_FREE && (row->state == NAME_FREE || row->until_ms < oldest->until_ms)))
			oldest = row;
	}
	if (!oldest)
		return NULL;
	memset(oldest, 0, sizeof *oldest);
	memcpy(oldest->host, wanted, sizeof wanted);
	if (++n->last_tag == 0)
		n->last_tag = 1;
	oldest->tag = n->last_tag;
	oldest->state = NAME_ASKED;
	oldest->until_ms = now_ms + NAMES_WAIT_MS;
	*ask = true;
	return oldest;
}

struct name *names_answer(struct names *n, const struct msg_resolved *m, uint64_t now_ms, bool *bad)
{
	struct name *row = NULL;
	uint32_t i;

	*bad = m->count > RESOLVED_MAX || m->status > 1000 || (m->status != 0 && m->count != 0);
	if (*bad)
		return NULL;
	for (i = 0; i < m->count; i++)
		if (!net_addr_is_sound(&m->addr[i])) {
			*bad = true;
			return NULL;
		}
	for (i = 0; i < NAMES_MAX; i++)
		if (n->row[i].state == NAME_ASKED && n->row[i].tag == m->tag)
			row = &n->row[i];
	if (!row)
		return NULL; /* it came too late */
	row->status = m->count || m->status ? m->status : (uint32_t)-EAI_NONAME;
	row->count = m->count;
	memcpy(row->addr, m->addr, m->count * sizeof m->addr[0]);
	row->state = m->count ? NAME_KNOWN : NAME_FAILED;
	row->until_ms = now_ms + (m->count ? NAMES_KEEP_MS : NAMES_KEEP_FAILED_MS);
	return row;
}

struct name *names_expire(struct names *n, uint64_t now_ms)
{
	uint32_t i;

	for (i = 0; i < NAMES_MAX; i++) {
		struct name *row = &n->row[i];

		if (row->state == NAME_ASKED && now_ms >= row->until_ms) {
			row->state = NAME_FAILED;
			row->status = 0;
			row->until_ms = now_ms + NAMES_KEEP_FAILED_MS;
			return row;
		}
	}
	return NULL;
}

uint64_t names_deadline(const struct names *n)
{
	uint64_t at = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < NAMES_MAX; i++)
		if (n->row[i].state == NAME_ASKED)
			at = min_u64(at, n->row[i].until_ms);
	return at;
}

void names_forget(struct name *row)
{
	row->state = NAME_FREE;
}
