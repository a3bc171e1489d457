#include "store/consumequeue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/errinj.h"
#include "base/fs.h"
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
    _Atomic int64_t synced; /* end at the last cq_sync(); -1 unknown */
    _Atomic bool new_names; /* files were made since */
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

/*
 * Positions grow along a queue.  One that does not is what a power cut left of an entry that lies across two sectors: part
 * of its position is missing.
 */
static bool follows(const struct consumequeue *cq, const struct cq_entry *e)
{
    return e->size > 0 && e->log_pos >= 0 && (is_padding(e) || e->log_pos >= cq->log_end);
}

static void find_end(struct consumequeue *cq, bool clean)
{
    int64_t per_file = cq->files.size / CQ_ENTRY_SIZE;
    int64_t begin = segq_begin(&cq->files) / CQ_ENTRY_SIZE,
            limit = segq_end(&cq->files) / CQ_ENTRY_SIZE;
    int64_t at =
        limit - begin > DISTRUST_FILES * per_file ? limit - DISTRUST_FILES * per_file : begin;
    struct cq_entry e;

    for (; at < limit && slots_read(cq, at, &e, 1) && follows(cq, &e); at++) {
        if (is_padding(&e) &&
            begin == at) /* only in front of all others does it move the begin */
            begin = at + 1;
        else if (!is_padding(&e))
            cq->log_end = e.log_pos + e.size;
    }
    cq->next = at;
    atomic_store_explicit(&cq->begin, begin, memory_order_relaxed);
    atomic_store_explicit(&cq->end, at, memory_order_release);
    atomic_store_explicit(&cq->synced, clean ? at : -1, memory_order_relaxed);
    atomic_store(&cq->new_names, !clean);
}

static int open_files(struct consumequeue *cq)
{
    int64_t size = cq->file_bytes;

    if (cq->loaded)
        return 0;
    int rc = segq_open(&cq->files, cq->dir, &size, SEGMENT_WRITE, INT64_MAX);
    if (rc)
        return rc;
    cq->loaded = true;
    if (size % CQ_ENTRY_SIZE)
        return tl_fail(TL_ECORRUPT, "%s: files of %lld bytes are no consume queue", cq->dir,
                       (long long)size);
    return 0;
}

int cq_load(struct consumequeue *cq, bool clean)
{
    int rc = open_files(cq);

    if (!rc && cq->files.n)
        find_end(cq, clean);
    return rc;
}

static void set_bounds(struct consumequeue *cq, int64_t begin, int64_t end)
{
    cq->next = end;
    atomic_store_explicit(&cq->begin, begin, memory_order_relaxed);
    atomic_store_explicit(&cq->end, end, memory_order_release);
}

int cq_reset(struct consumequeue *cq)
{
    if (cq->loaded)
        segq_close(&cq->files);
    cq->loaded = false;
    cq->tail = NULL;
    cq->log_end = -1;
    cq->reserved = 0;
    set_bounds(cq, 0, 0);
    atomic_store_explicit(&cq->synced, 0, memory_order_relaxed);
    return fs_exists(cq->dir) ? fs_remove_tree(cq->dir) : 0;
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
        atomic_store(&cq->new_names, true);
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
    /* What is there when the queue is new is left of one whose removal failed. */
    int rc = !cq->loaded && fs_exists(cq->dir) ? fs_remove_tree(cq->dir) : 0;

    if (rc || (rc = open_files(cq)) != 0)
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

bool cq_peek(struct consumequeue *cq, int64_t offset, struct cq_entry *out)
{
    return offset >= 0 && offset < cq->next && slots_read(cq, offset, out, 1) == 1;
}

static bool entry_eq(const struct cq_entry *a, const struct cq_entry *b)
{
    return a->log_pos == b->log_pos && a->size == b->size && a->tag_hash == b->tag_hash;
}

enum cq_place cq_place(struct consumequeue *cq, const struct cq_entry *e, int64_t offset,
                       bool may_restart)
{
    struct cq_entry there, before;

    if (offset >= cq->next) {
        if (e->log_pos < cq->log_end)
            return CQ_KNOWN; /* of the queue's former life */
        return offset == cq->next ? CQ_NEXT : CQ_GAP;
    }
    if (!cq_peek(cq, offset, &there))
        return e->log_pos >= cq->log_end && offset == 0 && may_restart ? CQ_ANEW : CQ_LOST;
    if (entry_eq(&there, e))
        return CQ_KNOWN;
    if (is_padding(&there) || cq->log_end < 0)
        return CQ_ANEW; /* a record before it had claimed too high an offset, or nothing is known here */
    if (e->log_pos >= cq->log_end)
        return offset == 0 && may_restart ? CQ_ANEW : CQ_ASTRAY;
    /* Right behind the entry before: then it is this one that belongs here. */
    if (!cq_peek(cq, offset - 1, &before) || is_padding(&before) ||
        before.log_pos + before.size <= e->log_pos) {
        slot_encode(slot(cq, offset), e);
        atomic_store(&cq->synced, -1);
        if (offset == cq->next - 1)
            cq->log_end = e->log_pos + e->size;
    }
    return CQ_KNOWN;
}

/* Leftovers beyond the end would look valid once new entries reach them. */
static int erase_from(struct consumequeue *cq, int64_t end)
{
    /* A file without an entry must not stay: Apache's broker would find a phantom in it. */
    int rc = segq_drop_from(&cq->files, end > 0 ? (end - 1) * CQ_ENTRY_SIZE + 1 : 0);
    struct segment *s = segq_find(&cq->files, end * CQ_ENTRY_SIZE);

    if (!rc && s)
        segment_erase(s, end * CQ_ENTRY_SIZE - s->start);
    return rc;
}

int cq_cut(struct consumequeue *cq, int64_t end)
{
    struct cq_entry e;

    if (!cq->loaded || !cq->files.n)
        return 0;
    int rc = erase_from(cq, end);
    if (rc)
        return rc;
    int64_t begin = cq_begin(cq);
    cq->tail = NULL;
    if (!cq->files.n)
        begin = end = 0;
    set_bounds(cq, begin < end ? begin : end, end);
    cq->reserved = end * CQ_ENTRY_SIZE;
    if (atomic_load(&cq->synced) > end)
        atomic_store(&cq->synced, end);
    cq->log_end = -1;
    for (int64_t at = end - 1; at >= cq_begin(cq) && slots_read(cq, at, &e, 1); at--) {
        if (is_padding(&e))
            continue;
        cq->log_end = e.log_pos + e.size;
        break;
    }
    return 0;
}

int cq_pad(struct consumequeue *cq, int64_t end)
{
    static const struct cq_entry padding = {.log_pos = 0, .size = CQ_PADDING_SIZE};
    int rc = cq_reserve(cq, end - cq->next, cq->next);

    while (!rc && cq->next < end)
        slot_encode(slot(cq, cq->next++), &padding);
    return rc;
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

int cq_drop_unused(struct consumequeue *cq)
{
    if (!cq->loaded || !cq->files.n)
        return 0;
    return segq_drop_from(&cq->files, cq->log_end >= 0 ? (cq->next - 1) * CQ_ENTRY_SIZE + 1
                                                       : segq_begin(&cq->files));
}

bool cq_has_old_file(struct consumequeue *cq, int64_t flushed)
{
    struct segment *first = cq_end(cq) > 0 ? segq_ref_first(&cq->files) : NULL;
    struct cq_entry e;
    bool old = false;

    if (first) {
        int64_t limit = first->start + first->size;
        old = limit <= cq_begin(cq) * CQ_ENTRY_SIZE && limit / CQ_ENTRY_SIZE < cq_end(cq) &&
              slots_read(cq, limit / CQ_ENTRY_SIZE, &e, 1) == 1 && e.log_pos < flushed;
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

int cq_sync_dir(struct consumequeue *cq)
{
    return fs_exists(cq->dir) ? fs_sync_dir(cq->dir) : 0;
}

/* Those of the files, of the queue's folder, of the topic's.  The topic may be deleted meanwhile. */
static int sync_names(const struct consumequeue *cq)
{
    char *dir = xstrdup(cq->dir);
    int rc = 0;

    for (int i = 0; i < 3 && !rc; i++) {
        if (fs_exists(dir))
            rc = fs_sync_dir(dir);
        if (rc && !fs_exists(dir))
            rc = 0;
        char *slash = strrchr(dir, '/');
        if (slash)
            *slash = '\0';
    }
    free(dir);
    return rc;
}

int cq_sync(struct consumequeue *cq)
{
    int64_t end = cq_end(cq), from = atomic_load_explicit(&cq->synced, memory_order_relaxed);
    struct seg_view view;

    if (end == from && !atomic_load(&cq->new_names))
        return 0;
    bool names = atomic_exchange(&cq->new_names, false);
    if (from < cq_begin(cq))
        from = cq_begin(cq); /* files before may be gone */
    for (int64_t pos = from * CQ_ENTRY_SIZE;
         pos < end * CQ_ENTRY_SIZE && segq_pin(&cq->files, pos, &view); pos += view.len) {
        int rc = ERRINJ(QUEUE_SYNC)
                     ? tl_fail_errno(TL_EIO, EIO, "syncing %s", view.segment->path)
                     : segment_sync(view.segment);
        segq_unpin(&view);
        if (rc)
            return rc;
    }
    int rc = names ? sync_names(cq) : 0;
    if (!rc)
        atomic_store_explicit(&cq->synced, end, memory_order_relaxed);
    return rc;
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

int64_t cq_entries(struct consumequeue *cq)
{
    int64_t end = cq_end(cq);
    return end > 0 ? end - segq_first(&cq->files) / CQ_ENTRY_SIZE : 0;
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
