/*
 * outer.c - see outer.h.  Keys in the order of their bytes.
 */
#include "outer.h"

#include "values.h"

/* BEP 3, and BEP 12 when there is more than one: each option is a tier. */
static void put_trackers(struct bencode_out *o, const struct options *options)
{
	const char *list, *url;
	uint32_t i;
	size_t n;

	if (!options->tier_count)
		return;
	list = options->tiers[0];
	n = value_next_url(&list, &url);
	bencode_put_text(o, "announce");
	bencode_put_string(o, url, n);
	if (options->tier_count == 1 && !*list)
		return;
	bencode_put_text(o, "announce-list");
	bencode_begin_list(o);
	for (i = 0; i < options->tier_count; i++) {
		bencode_begin_list(o);
		for (list = options->tiers[i]; (n = value_next_url(&list, &url));)
			bencode_put_string(o, url, n);
		bencode_end(o);
	}
	bencode_end(o);
}

void outer_put_head(struct bencode_out *o, const struct options *options)
{
	bencode_begin_dict(o);
	put_trackers(o, options);
	if (options->comment) {
		bencode_put_text(o, "comment");
		bencode_put_text(o, options->comment);
	}
	if (!options->anonymous) {
		bencode_put_text(o, "created by");
		bencode_put_text(o, "bulkhead/" BULKHEAD_VERSION);
	}
	if (options->date >= 0) {
		bencode_put_text(o, "creation date");
		bencode_put_int(o, options->date);
	}
	bencode_put_text(o, "info");
}

/* BEP 19: one URL, or a list of them. */
void outer_put_tail(struct bencode_out *o, const struct options *options)
{
	uint32_t i;

	if (options->webseed_count) {
		bencode_put_text(o, "url-list");
		if (options->webseed_count > 1)
			bencode_begin_list(o);
		for (i = 0; i < options->webseed_count; i++)
			bencode_put_text(o, options->webseeds[i]);
		if (options->webseed_count > 1)
			bencode_end(o);
	}
	bencode_end(o);
}
