#include "base/arena.h"

#include <stdio.h>

#include "base/mem.h"

enum { ALIGN = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size, used; /* of data */
    _Alignas(ALIGN) char data[];
};

void arena_init(struct arena *a, size_t chunk_size)
{
    a->head = NULL;
    a->chunk_size = chunk_size ? chunk_size : ARENA_CHUNK_DEFAULT;
}

void arena_release(struct arena *a)
{
    while (a->head) {
        struct arena_chunk *c = a->head;
        a->head = c->next;
        free(c);
    }
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *kept = NULL;
    while (a->head) {
        struct arena_chunk *c = a->head;
        a->head = c->next;
        if (!kept && c->size == a->chunk_size)
            kept = c;
        else
            free(c);
    }
    if (kept) {
        kept->next = NULL;
        kept->used = 0;
    }
    a->head = kept;
}

/*
 * A new chunk for @size bytes.  One of the common size becomes the chunk in use; a larger one is
 * full from the start and goes behind it, so that what is left in the head stays usable.
 */
static struct arena_chunk *add_chunk(struct arena *a, size_t size)
{
    size_t room = size > a->chunk_size ? size : a->chunk_size;
    struct arena_chunk *c = xmalloc(sizeof(*c) + room);
    c->size = room;
    c->used = 0;
    if (size > a->chunk_size && a->head) {
        c->next = a->head->next;
        a->head->next = c;
    } else {
        c->next = a->head;
        a->head = c;
    }
    return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!size)
        size = ALIGN;
    struct arena_chunk *c = a->head;
    if (!c || c->size - c->used < size)
        c = add_chunk(a, size);
    void *p = c->data + c->used;
    c->used += size;
    return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    return memset(arena_alloc(a, size), 0, size);
}

char *arena_cstr(struct arena *a, struct tl_str s)
{
    char *p = arena_alloc(a, s.len + 1);
    if (s.len)
        memcpy(p, s.data, s.len);
    p[s.len] = '\0';
    return p;
}

struct tl_str arena_copy(struct arena *a, struct tl_str s)
{
    return s.data ? tl_str_n(arena_cstr(a, s), s.len) : TL_STR_NONE;
}

struct tl_str arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    size_t len = n > 0 ? (size_t)n : 0;
    char *p = arena_alloc(a, len + 1);
    p[0] = '\0';
    if (len)
        vsnprintf(p, len + 1, fmt, again);
    va_end(again);
    return tl_str_n(p, len);
}

struct tl_str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct tl_str s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}
