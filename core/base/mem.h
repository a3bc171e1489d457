/*
 * mem (x*alloc, try_*) - allocation
 *
 * Small allocations cannot fail: out of memory ends the process with a line on stderr.  A size
 * that came from a peer is checked against its limit first and then taken with try_malloc(),
 * which may return NULL.  mem_count() lets a test or a benchmark show that a path does not
 * allocate.  Any thread.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *xzalloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull, alloc_size(2)));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
void *xmemdup(const void *p, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

/* NULL when memory is short (or errinj says so). */
void *try_malloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *try_realloc(void *p, size_t size) __attribute__((alloc_size(2)));

/* How many x- and try-allocations all threads have made so far. */
uint64_t mem_count(void);

#endif
