/*
 * hear.h - what each compartment of a download may say to the parent, and what is made of it.
 */
#ifndef PARENT_HEAR_H
#define PARENT_HEAR_H

#include "download.h"

/* Takes what the child has said by now; then what follows from its new state. */
void hear_child(struct download *d, struct child *c);

#endif
