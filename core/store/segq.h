/*
 * segq - a queue of equal-sized segments in one folder: load, find, grow, drop, pin
 *
 * Readers on any thread pin; one writer (the holder of the append token, or recovery) changes it.
 * The list is under a read-write lock that is held for the look-up only.
 */
#ifndef STORE_SEGQ_H
#define STORE_SEGQ_H

#include <stddef.h>
#include <stdint.h>

#include "base/lock.h"
#include "store/segment.h"

struct segq {
    char *dir;
    int64_t size; /* bytes of a segment */
    enum segment_mode mode;
    struct rwlock lock;
    struct segment **list; /* sorted by start, no gaps */
    size_t n, cap;
};

/* Bytes that stay readable until segq_unpin(). */
struct seg_view {
    const uint8_t *data;
    int64_t len;
    struct segment *segment;
};

/*
 * Load what is in @dir (which need not exist).  Last files that are too short and hold nothing are removed: making
 * them was interrupted.  A file of another size, a gap, and with SEGMENT_READ a name that is no number is TL_ECORRUPT; but from
 * @unsafe_from on, where nothing is known to have reached the disk, such a file and all behind it are removed.
 * *size: in: the size for new files; out: the size of those that are there, if any.
 */
int segq_open(struct segq *q, const char *dir, int64_t *size, enum segment_mode mode,
              int64_t unsafe_from);
void segq_close(struct segq *q);

static inline int64_t segq_begin(const struct segq *q)
{
    return q->n ? q->list[0]->start : 0;
}
static inline int64_t segq_end(const struct segq *q) /* end of the last segment */
{
    return q->n ? q->list[q->n - 1]->start + q->size : 0;
}

/* segq_begin() and segq_end() for those who are not the writer; any thread. */
int64_t segq_first(struct segq *q);
int64_t segq_limit(struct segq *q);

/* The segment that holds @pos; NULL when there is none.  Writer only: no reference is taken. */
struct segment *segq_find(const struct segq *q, int64_t pos);
/* Append @s (taken), which must start at segq_end(), or anywhere in an empty queue.  Writer only. */
void segq_add(struct segq *q, struct segment *s);
/* Create the segment that starts at @start and append it.  Makes the folder.  Writer only. */
int segq_grow(struct segq *q, int64_t start, struct segment **out);
/* Remove the segments that start at or behind @pos, the last first, each for good.  Writer only. */
int segq_drop_from(struct segq *q, int64_t pos);

/* The first segment, with a reference; NULL when there is none.  Any thread. */
struct segment *segq_ref_first(struct segq *q);
/* @s, the first segment, is no part of the queue any more; drops the queue's reference.  Writer only. */
void segq_forget_first(struct segq *q, struct segment *s);

/* From @pos to the end of its segment, any thread.  False when no segment holds it. */
bool segq_pin(struct segq *q, int64_t pos, struct seg_view *out);
static inline void segq_unpin(struct seg_view *v)
{
    segment_unref(v->segment);
}

#endif
