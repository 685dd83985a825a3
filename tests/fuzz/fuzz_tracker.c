/* fuzz_tracker.c - a tracker's reply: whatever it is, what is taken of it stays within the limits. */
#include "../../netproc/tracker.c"

static uint32_t peers, names;

static void on_peer(void *arg, const struct net_addr *a)
{
	(void)arg;
	if ((a->family != 4 && a->family != 6) || a->port == 0)
		abort();
	peers++;
}

static void on_name(void *arg, const char *host, uint16_t port)
{
	(void)arg;
	if (host[0] == 0 || strlen(host) > 253 || strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != strlen(host) || port == 0)
		abort();
	names++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tracker_sink sink = { .on_peer = on_peer, .on_name = on_name };
	struct tracker_reply r;
	const char *why;

	peers = names = 0;
	why = tracker_parse(&r, data, size, &sink);
	if (peers + names > TRACKER_PEERS_MAX || names > TRACKER_NAMES_MAX)
		abort();
	if (why) {
		if (peers + names)
			abort();
		return 0;
	}
	if (r.peers != peers + names || (r.failed && r.peers) || r.text_bytes > sizeof r.text || r.id_bytes > sizeof r.id)
		abort();
	if (r.interval_s < TRACKER_INTERVAL_LEAST_S || r.interval_s > TRACKER_INTERVAL_MOST_S || r.min_interval_s > TRACKER_MIN_INTERVAL_MOST_S)
		abort();
	if (r.retry_s != TRACKER_RETRY_NEVER && r.retry_s > TRACKER_INTERVAL_MOST_S)
		abort();
	return 0;
}
