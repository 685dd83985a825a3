/*
 * common.h - the few things that every file of every compartment uses.
 *
 * Included first by every other header of the house.  Holds no state.
 */
#ifndef IPC_COMMON_H
#define IPC_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))

/*
 * We are wrong: stops this process with file, line and the few values that
 * matter, in release builds too.  Never reached by anything that a stranger
 * or another compartment can send; those have their own treatments.
 */
#define bug(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
NORETURN void bug_at(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Memory or exit: for set-up and for allocations whose size we chose ourselves. */
void *must_alloc(size_t bytes);
void *must_calloc(size_t n, size_t bytes);

/* Milliseconds and microseconds of CLOCK_MONOTONIC. */
uint64_t now_ms(void);
uint64_t now_us(void);

/* fstat by the call of that name: libc's own is a look-up by path (newfstatat), which most filters do not permit. */
struct stat;
int fd_stat(int fd, struct stat *st) MUST_CHECK;

/* Bytes of the system's generator (getrandom); exits when there is none. */
void random_bytes(void *out, size_t bytes);

static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}
static inline void put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static inline void put_be64(uint8_t *p, uint64_t v)
{
	put_be32(p, (uint32_t)(v >> 32));
	put_be32(p + 4, (uint32_t)v);
}

static inline uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }
static inline uint32_t max_u32(uint32_t a, uint32_t b) { return a > b ? a : b; }
static inline uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* String functions that invite an overflow do not compile (after git's banned.h). */
#ifndef BULKHEAD_ALLOW_BANNED
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef gets
#undef strtok
#undef alloca
#define BANNED(f) bulkhead_does_not_use_##f
#define strcpy(x, y) BANNED(strcpy)
#define strcat(x, y) BANNED(strcat)
#define strncpy(x, y, n) BANNED(strncpy)
#define strncat(x, y, n) BANNED(strncat)
#define sprintf(...) BANNED(sprintf)
#define vsprintf(...) BANNED(vsprintf)
#define gets(x) BANNED(gets)
#define strtok(x, y) BANNED(strtok)
#define alloca(x) BANNED(alloca)
#endif

/* Modes of downloads, less the umask: the usual one of files; no bits but these, whatever is wanted; and of their directories. */
#define FILE_MODE 0644u
#define FILE_MODES 0666u
static inline uint32_t dir_mode(uint32_t file_mode) { return file_mode | (file_mode & 0444) >> 2; }

#endif
