/*
 * fault.h - why no torrent was made: the status, errno and words of CREATED.
 */
#ifndef CREATE_FAULT_H
#define CREATE_FAULT_H

#include "messages.h"

struct fault {
	uint32_t status;                                    /* enum create_status; CREATE_OK: there is none */
	int error;                                          /* errno, 0: none */
	char text[sizeof(((struct msg_created *)0)->text)]; /* holds names as they are on disk: the parent escapes it */
};

/* Fills it, unless there is one already.  Returns false, for the caller to return. */
bool fault_set(struct fault *f, enum create_status status, int error, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* The same about a path: "WHAT 'PATH'"; of a long path the end. */
bool fault_path(struct fault *f, enum create_status status, int error, const char *what, const char *path);

#endif
