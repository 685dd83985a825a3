/*
 * seeding.c - see seeding.h.
 */
#include "seeding.h"

#define SECOND_MS 1000u

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a + min_u64(b, UINT64_MAX - a);
}

struct totals totals_sum(struct totals a, struct totals b)
{
	return (struct totals){ sum(a.uploaded, b.uploaded), sum(a.downloaded, b.downloaded) };
}

uint64_t seeding_ratio_milli(uint64_t uploaded, uint64_t bytes)
{
	uint64_t whole, rest;

	if (!bytes)
		return 0;
	whole = uploaded / bytes;
	rest = uploaded % bytes;
	if (whole > UINT64_MAX / 1000 - 1)
		return UINT64_MAX;
	/* Rounded down, so that a ratio which is shown was reached. */
	return whole * 1000 + (rest <= UINT64_MAX / 1000 ? rest * 1000 / bytes : rest / (bytes / 1000 + 1));
}

enum seeding_end seeding_check(const struct seeding_rule *r, const struct seeding *s, uint64_t now_ms, uint64_t *until_ms)
{
	uint64_t time_end = r->time_s ? s->began_ms + (uint64_t)r->time_s * SECOND_MS : UINT64_MAX;
	uint64_t idle_end = r->idle_s ? s->gave_ms + (uint64_t)r->idle_s * SECOND_MS : UINT64_MAX;

	*until_ms = min_u64(time_end, idle_end);
	if (r->ratio_milli && seeding_ratio_milli(s->uploaded, s->bytes) >= r->ratio_milli)
		return SEEDING_RATIO;
	if (now_ms >= time_end)
		return SEEDING_TIME;
	if (now_ms >= idle_end)
		return SEEDING_IDLE;
	return SEEDING_GOES_ON;
}

const char *seeding_end_name(enum seeding_end end)
{
	static const char *const names[SEEDING_ENDS] = {
		[SEEDING_GOES_ON] = "goes on", [SEEDING_RATIO] = "ratio",	      [SEEDING_TIME] = "time",
		[SEEDING_IDLE] = "idle",       [SEEDING_INTERRUPTED] = "interrupted",
	};

	return names[end];
}
