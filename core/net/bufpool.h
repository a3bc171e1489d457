/*
 * bufpool - buffers of connections, kept for the next one that needs one
 *
 * A connection has a buffer only while something is in it: an incomplete frame, output that has not
 * left.  So an idle one costs nothing, and busy ones do not go to the heap.  Sizes are powers of
 * two; larger ones than BUFPOOL_MAX come from the heap and go back there.  One per reactor.
 */
#ifndef NET_BUFPOOL_H
#define NET_BUFPOOL_H

#include <stddef.h>
#include <stdint.h>

enum {
    BUFPOOL_MIN = 4096,
    BUFPOOL_MAX = 1 << 20,
    BUFPOOL_CLASSES = 9,
    BUFPOOL_KEEP = 8 << 20, /* bytes; what comes back beyond is freed */
};

struct bufpool {
    struct spare_buf *spare[BUFPOOL_CLASSES];
    size_t kept;
};

/* At least @want bytes, *cap of them; NULL when memory is short. */
uint8_t *bufpool_take(struct bufpool *p, size_t want, size_t *cap);
/* @buf may be NULL. */
void bufpool_give(struct bufpool *p, uint8_t *buf, size_t cap);
void bufpool_release(struct bufpool *p);

#endif
