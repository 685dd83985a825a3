/*
 * place.h - names below the one root: every open, mkdir and fsync of a directory.
 *
 * Components are walked one by one by openat() with O_NOFOLLOW, so that neither
 * a symlink nor "..", nor a mount in the way leads elsewhere.  Only these flags
 * and modes are ever used; the filter permits no others.
 */
#ifndef DISKPROC_PLACE_H
#define DISKPROC_PLACE_H

#include <sys/stat.h>

#include "messages.h"

/* What went wrong in the world: the fields of DISK_ERROR. */
struct fault {
	uint32_t act; /* enum disk_act; 0: none */
	int32_t error;
	uint32_t file; /* UINT32_MAX: none */
	uint32_t other; /* DISK_ACT_SAME: the file that it is as well; as in struct msg_disk_error */
};

enum place_how {
	PLACE_READ,   /* open for reading */
	PLACE_WRITE,  /* open what is there for reading and writing */
	PLACE_CREATE, /* make it (and its directories); there must be nothing */
};

/* Where things are. */
struct place {
	int root;      /* owned by the caller */
	dev_t device;  /* that the directories are on */
	dev_t device2; /* another that files may say they are on (overlayfs numbers files anew); or the same */
	mode_t file_mode, dir_mode; /* of what is made, less the umask: without execute and set-id bits for files */
};


/* Fills device from the root.  mode: of files; 0 is FILE_MODE.  Whoever may read a file may search the directories.  0, or -1 with errno. */
int place_init(struct place *p, int root, mode_t mode) MUST_CHECK;

/*
 * Opens the file at `path` (safe components joined by '/').  Returns the
 * descriptor of a regular file, or -1 with *fault filled except .file.
 * fault->error is ENOENT with act DISK_ACT_OPEN when there is nothing.
 */
int place_open(const struct place *p, const char *path, enum place_how how, struct fault *fault) MUST_CHECK;

/*
 * Checks what an open file is: regular, on our device, and with one name when
 * `alone`.  0 and *st, or -1 and DISK_ACT_FOREIGN.
 */
int place_check(const struct place *p, int fd, bool alone, struct stat *st, struct fault *fault) MUST_CHECK;

/* fsync of the directories of `path` that do not also lead to `before` (the path done last; "" at first). */
int place_sync_dirs(const struct place *p, const char *path, const char *before, struct fault *fault) MUST_CHECK;

#endif
