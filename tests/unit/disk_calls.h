/*
 * disk_calls.h - every call by which diskproc makes, changes or syncs what is on disk, handed to the test that includes this.
 *
 * The test defines the hooked_* functions.  The rig's own calls go through them, too.
 */
#ifndef TESTS_DISK_CALLS_H
#define TESTS_DISK_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int hooked_openat(int dir, const char *name, int flags, ...);
static int hooked_mkdirat(int dir, const char *name, mode_t mode);
static int hooked_ftruncate(int fd, off_t length);
static ssize_t hooked_pwrite(int fd, const void *bytes, size_t length, off_t offset);
static ssize_t hooked_pwritev(int fd, const struct iovec *v, int count, off_t offset);
static int hooked_fdatasync(int fd);
static int hooked_fsync(int fd);
static int hooked_syncfs(int fd);

#define openat hooked_openat
#define mkdirat hooked_mkdirat
#define ftruncate hooked_ftruncate
#define pwrite hooked_pwrite
#define pwritev hooked_pwritev
#define fdatasync hooked_fdatasync
#define fsync hooked_fsync
#define syncfs hooked_syncfs
#include "disk_rig.h"
#undef openat
#undef mkdirat
#undef ftruncate
#undef pwrite
#undef pwritev
#undef fdatasync
#undef fsync
#undef syncfs

#endif
