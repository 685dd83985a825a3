/*
 * fault.c - see fault.h.  Takes no memory.
 */
#include "fault.h"

#include <stdarg.h>

/* Bytes of a path that are told. */
#define PATH_TOLD 400u

bool fault_set(struct fault *f, enum create_status status, int error, const char *fmt, ...)
{
	va_list ap;

	if (f->status != CREATE_OK)
		return false;
	f->status = status;
	f->error = error;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
	return false;
}

bool fault_path(struct fault *f, enum create_status status, int error, const char *what, const char *path)
{
	size_t length = strlen(path), cut = length > PATH_TOLD ? length - PATH_TOLD : 0;

	while (cut && ((uint8_t)path[cut] & 0xc0) == 0x80) /* not inside a character */
		cut++;
	return fault_set(f, status, error, "%s '%s%s'", what, cut ? "..." : "", path + cut);
}
