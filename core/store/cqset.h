/*
 * cqset - (topic, queue id) -> consume queue (ConsumeQueueStore)
 *
 * Look-ups on any thread under a read lock; the holder of the append token adds.  A dropped queue
 * stays in memory until the store closes: readers may still hold its address.
 */
#ifndef STORE_CQSET_H
#define STORE_CQSET_H

#include <stdbool.h>

#include "base/lock.h"
#include "base/str.h"
#include "store/consumequeue.h"

struct cqset_node;

struct cqset {
    char *dir; /* .../consumequeue */
    int64_t file_bytes;
    struct rwlock lock;
    struct cqset_node *nodes, *dropped;
};

/*
 * Load every consumequeue/<topic>/<number>/.  @clean: they were closed in order.  One whose files are damaged is removed, and
 * *damaged is set: all of it can be made again from the log.  0, TL_EIO.
 */
int cqset_open(struct cqset *s, const char *dir, int64_t file_bytes, bool clean, bool *damaged);
void cqset_close(struct cqset *s);
/* NULL when unknown and not @create.  Any thread. */
struct consumequeue *cqset_find(struct cqset *s, struct tl_str topic, int32_t id, bool create);
void cqset_each(struct cqset *s, void (*cb)(void *arg, struct consumequeue *q), void *arg);
/* All queues of now, *n of them; owned array.  They live as long as the set, so it may be walked without a lock. */
struct consumequeue **cqset_list(struct cqset *s, size_t *n);
int64_t cqset_entries(struct cqset *s); /* cq_entries() of all */
/* Forget a topic's queues and remove its folder.  Token held. */
int cqset_drop_topic(struct cqset *s, struct tl_str topic);

#endif
