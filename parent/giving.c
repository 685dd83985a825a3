/*
 * giving.c - see giving.h.  When it is enough, seeding.c says.
 */
#include "giving.h"

#include "text.h"

#define SECOND_MS 1000u

struct seeding giving_so_far(const struct download *d)
{
	return (struct seeding){
		.began_ms = d->seeding_ms,
		.gave_ms = d->gave_ms,
		.uploaded = totals_sum(d->earlier, download_totals(d)).uploaded,
		.bytes = d->selection.sum.bytes,
	};
}

static void json_given(const struct seeding *s)
{
	json_number("uploaded_bytes", s->uploaded);
	json_number("ratio_milli", seeding_ratio_milli(s->uploaded, s->bytes));
}

void giving_begin(struct download *d)
{
	const struct seeding_rule *r = &d->x->o->seed;
	struct seeding s;
	char line[160];
	struct text t;

	d->state = DOWNLOAD_SEEDING;
	d->seeding_ms = d->gave_ms = d->x->now_ms;
	s = giving_so_far(d);
	text_init(&t, line, sizeof line);
	if (r->ratio_milli) {
		text_addf(&t, " until the ratio is ");
		text_add_ratio(&t, r->ratio_milli);
	}
	if (r->time_s) {
		text_addf(&t, "%s for ", t.length ? "," : "");
		text_add_duration(&t, r->time_s);
	}
	if (r->idle_s) {
		text_addf(&t, "%s until nothing was given for ", t.length ? "," : "");
		text_add_duration(&t, r->idle_s);
	}
	screen_note("%s: seeding%s", d->name, t.length ? line : " until it is interrupted");
	json_begin("seeding", d->index);
	json_text("name", d->out.name, strlen(d->out.name));
	json_number("seed_ratio_milli", r->ratio_milli);
	json_number("seed_time", r->time_s);
	json_number("idle_time", r->idle_s);
	json_given(&s);
	json_end();
}

void giving_end(struct download *d, enum seeding_end why)
{
	d->seeded = why;
	d->seeded_ms = d->x->now_ms;
	download_finish(d, STATUS_COMPLETE, why == SEEDING_INTERRUPTED ? INTERRUPT_MS : GOODBYE_MS);
}

void giving_tell(const struct download *d)
{
	static const char *const words[SEEDING_ENDS] = {
		[SEEDING_RATIO] = "the ratio is reached",
		[SEEDING_TIME] = "the time is over",
		[SEEDING_IDLE] = "nobody wanted more",
		[SEEDING_INTERRUPTED] = "interrupted",
	};
	const struct seeding s = giving_so_far(d);
	char given[32], ratio[32], took[32];
	struct text t;

	text_init(&t, given, sizeof given);
	text_add_size(&t, s.uploaded);
	text_init(&t, ratio, sizeof ratio);
	text_add_ratio(&t, seeding_ratio_milli(s.uploaded, s.bytes));
	text_init(&t, took, sizeof took);
	text_add_duration(&t, (d->seeded_ms - d->seeding_ms) / SECOND_MS);
	screen_note("%s: seeded for %s, %s uploaded, ratio %s: %s", d->name, took, given, ratio, words[d->seeded]);
	json_begin("seeded", d->index);
	json_word("reason", seeding_end_name(d->seeded));
	json_number("milliseconds", d->seeded_ms - d->seeding_ms);
	json_given(&s);
	json_end();
}

uint64_t giving_check(struct download *d)
{
	const struct seeding s = giving_so_far(d);
	uint64_t until;
	enum seeding_end why = seeding_check(&d->x->o->seed, &s, d->x->now_ms, &until);

	if (why == SEEDING_GOES_ON)
		return until;
	giving_end(d, why);
	return UINT64_MAX;
}
