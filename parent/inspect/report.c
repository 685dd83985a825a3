/*
 * report.c - limits, refusals and warnings: see inspect.h.
 */
#include "inspect.h"

#include <stdarg.h>

#include "metainfo.h"

void inspect_limits_set(struct inspect_limits *l, const struct msg_inspect_options *o)
{
	l->max_bytes = min_u64(o->max_bytes ? o->max_bytes : INSPECT_DEFAULT_BYTES, METAINFO_MAX_BYTES);
	l->max_files = min_u32(o->max_files ? o->max_files : INSPECT_DEFAULT_FILES, METAINFO_MAX_FILES);
	l->max_pieces = min_u32(o->max_pieces ? o->max_pieces : INSPECT_DEFAULT_PIECES, METAINFO_MAX_PIECES);
}

bool refuse(struct inspect *in, enum inspect_status status, const uint8_t *at, const char *fmt, ...)
{
	struct refusal *r = &in->refusal;
	va_list ap;

	if (r->status != INSPECT_OK)
		return false;
	r->status = status;
	r->where = at ? (uint64_t)(at - in->input) : 0;
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof r->text, fmt, ap);
	va_end(ap);
	return false;
}

void warn(struct inspect *in, const char *fmt, ...)
{
	struct warnings *w = &in->warnings;
	va_list ap;

	if (w->count < WARNINGS_MAX) {
		va_start(ap, fmt);
		vsnprintf(w->text[w->count], WARNING_TEXT, fmt, ap);
		va_end(ap);
	}
	if (w->count < UINT32_MAX)
		w->count++;
}
