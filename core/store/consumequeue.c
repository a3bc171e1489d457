#include "store/consumequeue.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/segq.h"

enum {
    RESERVE_BYTES = 65536, /* blocks of a file are allocated so much at a time */
    DISTRUST_FILES =
        3, /* after a power loss there may be holes near the tail: RocketMQ looks back as far */
};

struct consumequeue {
    char *topic, *dir;
    int32_t id;
    struct segq files;
    bool loaded;
    int64_t file_bytes;
    _Atomic int64_t begin;
    _Atomic int64_t end;
    _Atomic uint64_t waiters;
    _Atomic int64_t synced; /* end at the last cq_sync() */
    /* the writer's */
    int64_t next;     /* the end with what is not published yet */
    int64_t log_end;  /* just past the last indexed record; -1 */
    int64_t reserved; /* bytes of the stream whose blocks exist */
    struct segment *tail;
    struct consumequeue *touched_next;
    bool touched;
};

struct consumequeue *cq_new(struct tl_str topic, int32_t id, const char *dir,
                            int64_t file_bytes)
{
    struct consumequeue *cq = xzalloc(sizeof(*cq));

    cq->topic = xstrndup(topic.data, topic.len);
    cq->dir = xstrdup(dir);
    cq->id = id;
    cq->file_bytes = file_bytes;
    cq->log_end = -1;
    return cq;
}

void cq_free(struct consumequeue *cq)
{
    if (cq->loaded)
        segq_close(&cq->files);
    free(cq->topic);
    free(cq->dir);
    free(cq);
}

static struct cq_entry slot_decode(const uint8_t *p)
{
    return (struct cq_entry){
        .log_pos = (int64_t)get_be64(p),
        .size = (int32_t)get_be32(p + 8),
        .tag_hash = (int64_t)get_be64(p + 12),
    };
}

/* Like cq_read(), with the bounds checked by the caller. */
static size_t slots_read(struct consumequeue *cq, int64_t from, struct cq_entry *out,
                         size_t max)
{
    struct seg_view view;

    if (!cq->loaded || !segq_pin(&cq->files, from * CQ_ENTRY_SIZE, &view))
        return 0;
    size_t n = (size_t)view.len / CQ_ENTRY_SIZE < max ? (size_t)view.len / CQ_ENTRY_SIZE : max;
    for (size_t i = 0; i < n; i++)
        out[i] = slot_decode(view.data + i * CQ_ENTRY_SIZE);
    segq_unpin(&view);
    return n;
}

static bool is_padding(const struct cq_entry *e)
{
    return e->size == CQ_PADDING_SIZE && e->log_pos == 0;
}

static void find_end(struct consumequeue *cq)
{
    int64_t per_file = cq->files.size / CQ_ENTRY_SIZE;
    int64_t begin = segq_begin(&cq->files) / CQ_ENTRY_SIZE,
            limit = segq_end(&cq->files) / CQ_ENTRY_SIZE;
    int64_t at =
        limit - begin > DISTRUST_FILES * per_file ? limit - DISTRUST_FILES * per_file : begin;
    struct cq_entry e;

    for (; at < limit && slots_read(cq, at, &e, 1) && e.size > 0 && e.log_pos >= 0; at++) {
        if (is_padding(&e))
            begin = at + 1;
        else
            cq->log_end = e.log_pos + e.size;
    }
    cq->next = at;
    atomic_store_explicit(&cq->begin, begin, memory_order_relaxed);
    atomic_store_explicit(&cq->end, at, memory_order_release);
    atomic_store_explicit(&cq->synced, at, memory_order_relaxed);
}

static int open_files(struct consumequeue *cq)
{
    int64_t size = cq->file_bytes;

    if (cq->loaded)
        return 0;
    int rc = segq_open(&cq->files, cq->dir, &size, SEGMENT_WRITE);
    if (rc)
        return rc;
    cq->loaded = true;
    if (size % CQ_ENTRY_SIZE)
        return tl_fail(TL_ECORRUPT, "%s: files of %lld bytes are no consume queue", cq->dir,
                       (long long)size);
    return 0;
}

int cq_load(struct consumequeue *cq)
{
    int rc = open_files(cq);

    if (!rc && cq->files.n)
        find_end(cq);
    return rc;
}

/* ---- writing ------------------------------------------------------------------------------ */

int64_t cq_next(const struct consumequeue *cq)
{
    return cq->next;
}

static uint8_t *slot(struct consumequeue *cq, int64_t at)
{
    int64_t pos = at * CQ_ENTRY_SIZE;

    if (!cq->tail || pos < cq->tail->start || pos >= cq->tail->start + cq->tail->size)
        cq->tail = segq_find(&cq->files, pos);
    assert(cq->tail);
    return cq->tail->map + (pos - cq->tail->start);
}

static void slot_encode(uint8_t *p, const struct cq_entry *e)
{
    put_be64(p, (uint64_t)e->log_pos);
    put_be32(p + 8, (uint32_t)e->size);
    put_be64(p + 12, (uint64_t)e->tag_hash);
}

/* Files and blocks up to the stream position @to. */
static int reserve_to(struct consumequeue *cq, int64_t to)
{
    while (cq->reserved < to) {
        struct segment *s = segq_find(&cq->files, cq->reserved);
        int rc =
            s ? 0 : segq_grow(&cq->files, cq->reserved / cq->files.size * cq->files.size, &s);
        if (rc)
            return rc;
        int64_t at = cq->reserved - s->start;
        if ((rc = segment_reserve(s, at, RESERVE_BYTES)) != 0)
            return rc;
        cq->reserved =
            at + RESERVE_BYTES < s->size ? cq->reserved + RESERVE_BYTES : s->start + s->size;
    }
    return 0;
}

/* An empty queue that starts at @first: padding in front of it to the start of the file. */
static int start_at(struct consumequeue *cq, int64_t first)
{
    static const struct cq_entry padding = {.log_pos = 0, .size = CQ_PADDING_SIZE};
    int64_t per_file = cq->files.size / CQ_ENTRY_SIZE, from = first - first % per_file;

    cq->reserved = from * CQ_ENTRY_SIZE;
    int rc = reserve_to(cq, (first + 1) * CQ_ENTRY_SIZE);
    if (rc)
        return rc;
    for (int64_t i = from; i < first; i++)
        slot_encode(slot(cq, i), &padding);
    cq->next = first;
    atomic_store_explicit(&cq->begin, first, memory_order_relaxed);
    atomic_store_explicit(&cq->end, first, memory_order_release);
    return 0;
}

int cq_reserve(struct consumequeue *cq, int64_t n, int64_t first)
{
    int rc = open_files(cq);

    if (rc)
        return rc;
    if (cq->files.n == 0) {
        cq->reserved = first / (cq->files.size / CQ_ENTRY_SIZE) * cq->files.size;
        if (first > 0)
            rc = start_at(cq, first);
        else
            cq->reserved = 0;
    } else if (cq->reserved == 0) {
        cq->reserved =
            cq->next *
            CQ_ENTRY_SIZE; /* of a loaded queue: what lies behind is not known to exist */
    }
    return rc ? rc : reserve_to(cq, (cq->next + n) * CQ_ENTRY_SIZE);
}

void cq_put(struct consumequeue *cq, const struct cq_entry *e)
{
    assert(e->size > 0 && e->size < CQ_PADDING_SIZE);
    slot_encode(slot(cq, cq->next), e);
    cq->log_end = e->log_pos + e->size;
    cq->next++;
}

void cq_publish(struct consumequeue *cq)
{
    atomic_store_explicit(&cq->end, cq->next, memory_order_seq_cst);
}

void cq_publish_to(struct consumequeue *cq, int64_t end)
{
    atomic_store_explicit(&cq->end, end, memory_order_seq_cst);
}

int64_t cq_log_end(const struct consumequeue *cq)
{
    return cq->log_end;
}

int cq_truncate(struct consumequeue *cq, int64_t log_end)
{
    int64_t begin = cq_begin(cq), end = cq->next;
    struct cq_entry e;
    int rc;

    if (!cq->loaded || !cq->files.n)
        return 0;
    cq->log_end = -1;
    for (; end > begin && slots_read(cq, end - 1, &e, 1); end--) {
        if (e.log_pos < log_end) {
            cq->log_end = e.log_pos + e.size;
            break;
        }
    }
    cq->next = end;
    cq->tail = NULL;
    atomic_store_explicit(&cq->end, end, memory_order_release);
    /* A file without an entry must not stay: Apache's broker would find a phantom in it. */
    int64_t keep = end > begin ? (end - 1) * CQ_ENTRY_SIZE + 1 : segq_begin(&cq->files);
    if ((rc = segq_drop_from(&cq->files, keep)) != 0)
        return rc;
    if (!cq->files.n) {
        cq->next = 0;
        cq->reserved = 0;
        atomic_store_explicit(&cq->begin, 0, memory_order_relaxed);
        atomic_store_explicit(&cq->end, 0, memory_order_release);
        return 0;
    }
    /* Leftovers beyond the end would look valid once new entries reach them. */
    struct segment *s = segq_find(&cq->files, end * CQ_ENTRY_SIZE);
    cq->reserved = end * CQ_ENTRY_SIZE;
    return s && segment_next_data(s, end * CQ_ENTRY_SIZE - s->start) < s->size
               ? segment_zero(s, end * CQ_ENTRY_SIZE - s->start)
               : 0;
}

void cq_trim(struct consumequeue *cq, int64_t log_begin)
{
    int64_t begin = cq_begin(cq), low = begin, high = cq_end(cq);
    struct cq_entry e;

    while (low < high) { /* positions only grow: lower bound */
        int64_t mid = low + (high - low) / 2;
        if (slots_read(cq, mid, &e, 1) && (e.log_pos < log_begin || is_padding(&e)))
            low = mid + 1;
        else
            high = mid;
    }
    if (low > begin) /* unless the queue got its very first entry meanwhile */
        atomic_compare_exchange_strong(&cq->begin, &begin, low);
}

bool cq_has_old_file(struct consumequeue *cq)
{
    struct segment *first = cq_end(cq) > 0 ? segq_ref_first(&cq->files) : NULL;
    bool old = false;

    if (first) {
        int64_t limit = first->start + first->size;
        old = limit <= cq_begin(cq) * CQ_ENTRY_SIZE && limit < segq_limit(&cq->files);
        segment_unref(first);
    }
    return old;
}

int cq_drop_old_file(struct consumequeue *cq)
{
    struct segment *first = segq_ref_first(&cq->files);
    int rc = segment_remove(first);

    if (!rc)
        segq_forget_first(&cq->files, first);
    segment_unref(first);
    return rc;
}

int cq_sync(struct consumequeue *cq)
{
    int64_t end = cq_end(cq), from = atomic_load_explicit(&cq->synced, memory_order_relaxed);
    struct seg_view view;

    if (end == from)
        return 0;
    if (from < cq_begin(cq))
        from = cq_begin(cq); /* files before may be gone */
    for (int64_t pos = from * CQ_ENTRY_SIZE;
         pos < end * CQ_ENTRY_SIZE && segq_pin(&cq->files, pos, &view); pos += view.len) {
        int rc = segment_sync(view.segment);
        segq_unpin(&view);
        if (rc)
            return rc;
    }
    atomic_store_explicit(&cq->synced, end, memory_order_relaxed);
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

size_t cq_read(struct consumequeue *cq, int64_t from, struct cq_entry *out, size_t max)
{
    int64_t end = cq_end(cq);

    if (from < cq_begin(cq) || from >= end)
        return 0;
    return slots_read(cq, from, out, (uint64_t)(end - from) < max ? (size_t)(end - from) : max);
}

bool cq_in_memory(struct consumequeue *cq, int64_t from, int64_t n)
{
    struct seg_view view;

    if (from < cq_begin(cq) || from >= cq_end(cq) ||
        !segq_pin(&cq->files, from * CQ_ENTRY_SIZE, &view))
        return true; /* nothing to wait for */
    int64_t len = n * CQ_ENTRY_SIZE < view.len ? n * CQ_ENTRY_SIZE : view.len;
    bool in = segment_in_memory(view.segment, view.data - view.segment->map, len);
    segq_unpin(&view);
    return in;
}

int64_t cq_begin(const struct consumequeue *cq)
{
    return atomic_load_explicit(&cq->begin, memory_order_acquire);
}

int64_t cq_end(const struct consumequeue *cq)
{
    return atomic_load_explicit(&cq->end, memory_order_seq_cst);
}

struct tl_str cq_topic(const struct consumequeue *cq)
{
    return tl_str_of(cq->topic);
}

int32_t cq_id(const struct consumequeue *cq)
{
    return cq->id;
}

_Atomic uint64_t *cq_waiters(struct consumequeue *cq)
{
    return &cq->waiters;
}

/* ---- touched ------------------------------------------------------------------------------ */

void cq_touch(struct cq_touched *t, struct consumequeue *cq)
{
    if (cq->touched)
        return;
    cq->touched = true;
    cq->touched_next = t->first;
    t->first = cq;
}

struct consumequeue *cq_touched_pop(struct cq_touched *t)
{
    struct consumequeue *cq = t->first;

    if (cq) {
        t->first = cq->touched_next;
        cq->touched = false;
    }
    return cq;
}
