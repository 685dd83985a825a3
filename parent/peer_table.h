/*
 * peer_table.h - what netproc says of its peers (PEER_INFO), for -v and --json.
 *
 * The rows of one moment share a number, the snapshot; a table holds one
 * snapshot, and shows it at most every PEER_TABLE_MS.  Its memory is taken once:
 * a row for each peer that may be connected.
 */
#ifndef PARENT_PEER_TABLE_H
#define PARENT_PEER_TABLE_H

#include "messages.h"

#define PEER_TABLE_MS 10000u
/* Those of one moment come together; after so long they are all here. */
#define PEER_TABLE_WHOLE_MS 500u
/* Netproc speaks every two seconds: what is older than this are peers that left. */
#define PEER_TABLE_FRESH_MS 5000u

struct peer_table {
	struct msg_peer_info *rows; /* owned; NULL: nobody wants to see it, and PEER_INFO is a breach */
	uint32_t room, count;
	uint32_t snapshot;
	uint64_t came_ms; /* the first row of this snapshot */
	uint64_t next_ms; /* not shown before */
};

void peer_table_open(struct peer_table *t, uint32_t max_peers);
void peer_table_close(struct peer_table *t);

/* A new netproc counts snapshots anew. */
void peer_table_clear(struct peer_table *t);

/* One row, checked.  False: it breaks the contract. */
bool peer_table_add(struct peer_table *t, const struct msg_peer_info *m, uint32_t piece_count, uint64_t now_ms) MUST_CHECK;

/*
 * Shows what is due, on the screen and as events.  name: of the download, as
 * people see it.  Returns when something will be due, UINT64_MAX: not before
 * another row comes.
 */
uint64_t peer_table_show(struct peer_table *t, uint32_t source, const char *name, uint32_t piece_count, uint64_t now_ms);

/* Bits of enum peer_info_flag as letters, see bulkhead(1). */
#define PEER_TABLE_FLAGS 16
const char *peer_table_flags(char out[PEER_TABLE_FLAGS], uint32_t flags);

#endif
