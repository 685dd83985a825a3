/*
 * peer_table.c - see peer_table.h.
 *
 * The words of a peer (its client) were passed on by netproc as they came: they
 * are escaped here, and nothing else in a row is text.
 */
#include "peer_table.h"

#include "screen.h"

/* Of one JSON line: each is below 700 bytes, whatever its client is called. */
#define ROWS_A_LINE 32u

void peer_table_open(struct peer_table *t, uint32_t max_peers)
{
	memset(t, 0, sizeof *t);
	t->rows = must_calloc(max_peers, sizeof *t->rows);
	t->room = max_peers;
}

void peer_table_close(struct peer_table *t)
{
	free(t->rows);
	memset(t, 0, sizeof *t);
}

void peer_table_clear(struct peer_table *t)
{
	t->count = t->snapshot = 0;
}

bool peer_table_add(struct peer_table *t, const struct msg_peer_info *m, uint32_t piece_count, uint64_t now_ms)
{
	if (!t->rows || (m->addr.family != 4 && m->addr.family != 6) || m->flags >= PEER_INFO_EXTENDED * 2 || m->sources >= 1u << PEER_SOURCES ||
	    m->have_pieces > piece_count || m->snapshot < t->snapshot)
		return false;
	if (m->snapshot > t->snapshot)
		t->count = 0;
	if (t->count == t->room)
		return false;
	if (t->count == 0)
		t->came_ms = now_ms;
	t->snapshot = m->snapshot;
	t->rows[t->count++] = *m;
	return true;
}

/* The letters that users of other clients know. */
const char *peer_table_flags(char out[PEER_TABLE_FLAGS], uint32_t flags)
{
	static const struct { uint32_t flag; char letter; } plain[] = {
		{ PEER_INFO_OPTIMISTIC, 'O' },  { PEER_INFO_SNUBS_US, 'S' }, { PEER_INFO_INCOMING, 'I' }, { PEER_INFO_SEED, 'c' },
		{ PEER_INFO_UPLOAD_ONLY, 'p' }, { PEER_INFO_FAST, 'f' },     { PEER_INFO_EXTENDED, 'x' },
	};
	size_t i, n = 0;

	if (flags & PEER_INFO_WE_ARE_INTERESTED)
		out[n++] = flags & PEER_INFO_CHOKES_US ? 'd' : 'D';
	else if (!(flags & PEER_INFO_CHOKES_US))
		out[n++] = 'K';
	if (flags & PEER_INFO_INTERESTED_IN_US)
		out[n++] = flags & PEER_INFO_WE_CHOKE ? 'u' : 'U';
	else if (!(flags & PEER_INFO_WE_CHOKE))
		out[n++] = '?';
	for (i = 0; i < ARRAY_LEN(plain); i++)
		if (flags & plain[i].flag)
			out[n++] = plain[i].letter;
	out[n] = 0;
	return out;
}

static size_t client_length(const struct msg_peer_info *m)
{
	return strnlen((const char *)m->client, sizeof m->client);
}

static void say_peer(const struct msg_peer_info *m, uint32_t piece_count)
{
	char addr[64], flags[PEER_TABLE_FLAGS], down[32], up[32], client[sizeof m->client * 4 + 1];
	struct text t;

	text_init(&t, down, sizeof down);
	text_add_size(&t, m->down_rate);
	text_init(&t, up, sizeof up);
	text_add_size(&t, m->up_rate);
	screen_note("  %-21s %-7s down %9s/s up %9s/s has %3u%% %s", net_addr_text(addr, sizeof addr, &m->addr),
		    peer_table_flags(flags, m->flags), down, up, piece_count ? (unsigned)(m->have_pieces * 100ull / piece_count) : 100,
		    screen_safe(client, sizeof client, m->client, client_length(m)));
}

static void json_peer(const struct msg_peer_info *m, uint32_t piece_count)
{
	char addr[64], flags[PEER_TABLE_FLAGS];

	json_item();
	json_word("address", net_addr_text(addr, sizeof addr, &m->addr));
	json_text("client", m->client, client_length(m));
	json_word("flags", peer_table_flags(flags, m->flags));
	json_number("have_pieces", m->have_pieces);
	json_number("pieces", piece_count);
	json_number("down_rate", m->down_rate);
	json_number("up_rate", m->up_rate);
	json_number("received_bytes", m->received_bytes);
	json_number("sent_bytes", m->sent_bytes);
	json_item_end();
}

static void show_all(const struct peer_table *t, uint32_t source, const char *name, uint32_t piece_count)
{
	uint32_t i, k;

	screen_note("%s: %u peer%s", name, t->count, t->count == 1 ? "" : "s");
	for (i = 0; i < t->count; i++)
		say_peer(&t->rows[i], piece_count);
	for (i = 0; i < t->count; i += ROWS_A_LINE) {
		json_begin("peers", source);
		json_number("snapshot", t->snapshot);
		json_number("count", t->count);
		json_number("first", i);
		json_list("list");
		for (k = i; k < t->count && k < i + ROWS_A_LINE; k++)
			json_peer(&t->rows[k], piece_count);
		json_list_end();
		json_end();
	}
}

uint64_t peer_table_show(struct peer_table *t, uint32_t source, const char *name, uint32_t piece_count, uint64_t now_ms)
{
	uint64_t due = max_u64(t->next_ms, t->came_ms + PEER_TABLE_WHOLE_MS);

	if (!t->count)
		return UINT64_MAX;
	if (now_ms < due)
		return due;
	if (now_ms - t->came_ms <= PEER_TABLE_FRESH_MS) {
		show_all(t, source, name, piece_count);
		t->next_ms = now_ms + PEER_TABLE_MS;
		return t->next_ms;
	}
	t->count = 0;
	return UINT64_MAX;
}
