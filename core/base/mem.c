#include "base/mem.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/errinj.h"

/* Counting must not make the threads fight over one cache line: each takes a slot. */
enum { SLOTS = 64 };

static struct {
    _Atomic uint64_t n;
    char pad[64 - sizeof(uint64_t)];
} counts[SLOTS];

static _Atomic unsigned next_slot;
static _Thread_local int my_slot = -1;

static void count(void)
{
    if (my_slot < 0)
        my_slot = (int)(atomic_fetch_add_explicit(&next_slot, 1, memory_order_relaxed) % SLOTS);
    atomic_fetch_add_explicit(&counts[my_slot].n, 1, memory_order_relaxed);
}

uint64_t mem_count(void)
{
    uint64_t n = 0;
    for (int i = 0; i < SLOTS; i++)
        n += atomic_load_explicit(&counts[i].n, memory_order_relaxed);
    return n;
}

static void __attribute__((noreturn)) out_of_memory(size_t size)
{
    fprintf(stderr, "out of memory: %zu bytes wanted\n", size);
    abort();
}

static void *checked(void *p, size_t size)
{
    if (!p)
        out_of_memory(size);
    count();
    return p;
}

void *xmalloc(size_t size)
{
    return checked(malloc(size ? size : 1), size);
}

void *xzalloc(size_t size)
{
    return checked(calloc(1, size ? size : 1), size);
}

void *xcalloc(size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total))
        out_of_memory(SIZE_MAX);
    return xzalloc(total);
}

void *xrealloc(void *p, size_t size)
{
    return checked(realloc(p, size ? size : 1), size);
}

void *xmemdup(const void *p, size_t n)
{
    void *copy = xmalloc(n);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

char *xstrdup(const char *s)
{
    return xmemdup(s, strlen(s) + 1);
}

char *xstrndup(const char *s, size_t n)
{
    n = strnlen(s, n);
    char *copy = xmalloc(n + 1);
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *xasprintf(const char *fmt, ...)
{
    char *text;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return checked(n < 0 ? NULL : text, n < 0 ? 0 : (size_t)n);
}

void *try_malloc(size_t size)
{
    if (ERRINJ(TRY_MALLOC))
        return NULL;
    count();
    return malloc(size ? size : 1);
}

void *try_realloc(void *p, size_t size)
{
    if (ERRINJ(TRY_MALLOC))
        return NULL;
    count();
    return realloc(p, size ? size : 1);
}
