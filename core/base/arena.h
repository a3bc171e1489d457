/*
 * arena - bump allocator, freed as a whole
 *
 * One per request: decoded values, reply text.  Chunks are kept over arena_reset(), so a reused
 * arena does not allocate once it is warm.  Own thread.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *head; /* the chunk in use */
    size_t chunk_size;
};

enum { ARENA_CHUNK_DEFAULT = 4096 };

/* @chunk_size 0 means ARENA_CHUNK_DEFAULT.  Allocates nothing yet. */
void arena_init(struct arena *a, size_t chunk_size);
void arena_release(struct arena *a);
/* Forget everything; keeps one chunk of chunk_size, frees larger and further ones. */
void arena_reset(struct arena *a);

/* 16-byte aligned, not zeroed; never NULL. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull));
void *arena_zalloc(struct arena *a, size_t size) __attribute__((returns_nonnull));
struct tl_str arena_copy(struct arena *a, struct tl_str s); /* NUL behind it, not counted */
char *arena_cstr(struct arena *a, struct tl_str s);
struct tl_str arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct tl_str arena_vprintf(struct arena *a, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

#endif
