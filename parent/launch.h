/*
 * launch.h - the launcher's own process: launcher.c forks it, launch.c is what it does.
 */
#ifndef PARENT_LAUNCH_H
#define PARENT_LAUNCH_H

#include "launcher.h"

/* Serves requests that come over `sock` until the parent closes it.  Takes both. */
NORETURN void launch_serve(int sock, struct launcher_programs *programs);

#endif
