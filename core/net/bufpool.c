#include "net/bufpool.h"

#include <stdlib.h>

#include "base/mem.h"

struct spare_buf {
    struct spare_buf *next;
};

/* The class of the smallest size that holds @n <= BUFPOOL_MAX. */
static int class_of(size_t n)
{
    int i = 0;

    while ((size_t)BUFPOOL_MIN << i < n)
        i++;
    return i;
}

uint8_t *bufpool_take(struct bufpool *p, size_t want, size_t *cap)
{
    size_t size = want;

    if (want <= BUFPOOL_MAX) {
        int i = class_of(want);
        struct spare_buf *b = p->spare[i];
        size = (size_t)BUFPOOL_MIN << i;
        if (b) {
            p->spare[i] = b->next;
            p->kept -= size;
            *cap = size;
            return (uint8_t *)b;
        }
    }
    uint8_t *buf = try_malloc(size);
    if (buf)
        *cap = size;
    return buf;
}

void bufpool_give(struct bufpool *p, uint8_t *buf, size_t cap)
{
    if (!buf)
        return;
    if (cap > BUFPOOL_MAX || p->kept + cap > BUFPOOL_KEEP) {
        free(buf);
        return;
    }
    struct spare_buf *b = (struct spare_buf *)buf;
    int i = class_of(cap);
    b->next = p->spare[i];
    p->spare[i] = b;
    p->kept += cap;
}

void bufpool_release(struct bufpool *p)
{
    for (int i = 0; i < BUFPOOL_CLASSES; i++) {
        while (p->spare[i]) {
            struct spare_buf *b = p->spare[i];
            p->spare[i] = b->next;
            free(b);
        }
    }
    p->kept = 0;
}
