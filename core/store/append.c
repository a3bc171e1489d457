#include "store/append.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/format.h"
#include "store/store_private.h"

enum {
    BATCH_FIRST = 64 * 1024,
    BATCH_KEEP = 1 << 20,
    RUN_MAX = 256, /* pieces of one pwritev */
};

/* ---- batches ------------------------------------------------------------------------------ */

struct append_batch *append_batch_new(void (*done)(struct append_batch *b), void *owner)
{
    struct append_batch *b = xzalloc(sizeof(*b));

    b->done = done;
    b->owner = owner;
    return b;
}

void append_batch_free(struct append_batch *b)
{
    free(b->buf);
    free(b);
}

void append_batch_reset(struct append_batch *b)
{
    b->first = b->last = NULL;
    b->len = 0;
    b->has_waiter = false;
    if (b->cap > BATCH_KEEP) {
        free(b->buf);
        b->buf = NULL;
        b->cap = 0;
    }
}

uint8_t *append_reserve(struct append_batch *b, struct append_entry *e, size_t size,
                        uint32_t count)
{
    if (b->len + size > b->cap) {
        size_t cap = b->cap ? b->cap : BATCH_FIRST;
        while (cap < b->len + size)
            cap *= 2;
        b->buf = xrealloc(b->buf, cap);
        b->cap = cap;
    }
    e->next = NULL;
    e->at = (uint32_t)b->len;
    e->size = (uint32_t)size;
    e->count = count;
    if (b->last)
        b->last->next = e;
    else
        b->first = e;
    b->last = e;
    b->len += size;
    b->has_waiter |= e->wait_flush;
    return b->buf + e->at;
}

void append_unreserve(struct append_batch *b, struct append_entry *e)
{
    struct append_entry *before = NULL;

    for (struct append_entry *i = b->first; i != e; i = i->next)
        before = i;
    if (before)
        before->next = NULL;
    else
        b->first = NULL;
    b->last = before;
    b->len = e->at;
}

void append_trim(struct append_batch *b, struct append_entry *e, size_t size)
{
    e->size = (uint32_t)size;
    b->len = e->at + size;
}

/* ---- writing, token held ------------------------------------------------------------------ */

/* Records that lie one behind the other in the log and are not written yet. */
struct run {
    struct store *s;
    struct iovec iov[RUN_MAX];
    int n;
    int64_t pos; /* of the first byte */
};

static int run_write(struct run *r)
{
    struct store *s = r->s;

    if (r->n == 0)
        return 0;
    int rc = segment_pwritev(s->tail, r->iov, r->n, r->pos - s->tail->start);
    r->n = 0;
    r->pos = s->tail_pos;
    return rc;
}

static int run_add(struct run *r, uint8_t *data, size_t len)
{
    struct iovec *last = r->n ? &r->iov[r->n - 1] : NULL;

    if (last && (uint8_t *)last->iov_base + last->iov_len == data) {
        last->iov_len += len;
        return 0;
    }
    if (r->n == RUN_MAX) {
        int64_t end = r->s->tail_pos - (int64_t)len; /* tail_pos has moved past @data already */
        int rc = run_write(r);
        if (rc)
            return rc;
        r->pos = end;
    }
    r->iov[r->n++] = (struct iovec){data, len};
    return 0;
}

/* End the file with a blank and go on in the next one. */
static int roll(struct run *r)
{
    struct store *s = r->s;
    struct segment *next;
    uint8_t blank[RECORD_BLANK_SIZE];
    int64_t end = s->tail->start + s->tail->size;
    int rc = prep_take(s, end, &next);

    if (rc)
        return rc;
    if ((rc = run_write(r)) != 0) {
        segment_unref(next);
        return rc;
    }
    put_be32(blank, (uint32_t)(end - s->tail_pos));
    put_be32(blank + 4, (uint32_t)RECORD_MAGIC_BLANK);
    struct iovec iov = {blank, sizeof(blank)};
    rc = segment_pwritev(s->tail, &iov, 1, s->tail_pos - s->tail->start);
    if (rc) {
        segment_unref(next);
        return rc;
    }
    segq_add(&s->log, next);
    s->tail = next;
    s->tail_pos = r->pos = end;
    prep_want(s, end + s->log.size);
    return 0;
}

/* Room in the log and in the queue, so that nothing can fail once offsets are given. */
static int make_room(struct run *r, const struct append_entry *e, struct consumequeue *q)
{
    struct store *s = r->s;

    if ((int64_t)e->size + FORMAT_TAIL_SIZE > s->log.size)
        return tl_fail(TL_EILLEGAL, "%u bytes do not fit into a log file of %lld", e->size,
                       (long long)s->log.size);
    int rc = q ? cq_reserve(q, e->count, cq_next(q)) : 0;
    if (rc)
        return rc;
    if (s->tail_pos + e->size + FORMAT_TAIL_SIZE > s->tail->start + s->tail->size)
        return roll(r);
    return 0;
}

/* The queue all records of an entry go to; NULL for the kinds that are not indexed. */
static int entry_queue(struct store *s, uint8_t *data, size_t len, struct consumequeue **out)
{
    struct record rec;

    if (record_decode(data, len, 0, &rec) != RECORD_MESSAGE)
        return tl_wrap(TL_EILLEGAL, "append");
    *out =
        dispatch_indexed(&rec) ? cqset_find(&s->queues, rec.topic, rec.queue_id, true) : NULL;
    return 0;
}

static int put_entry(struct run *r, struct append_batch *b, struct append_entry *e,
                     int64_t store_ms)
{
    struct store *s = r->s;
    uint8_t *data = b->buf + e->at, *end = data + e->size;
    struct consumequeue *q = NULL;
    int rc = entry_queue(s, data, e->size, &q);

    if (rc || (rc = make_room(r, e, q)) != 0)
        return rc;
    e->log_pos = s->tail_pos;
    e->queue_offset = q ? cq_next(q) : 0;
    e->store_ms = store_ms;
    while (data < end) {
        uint32_t size = get_be32(data);
        struct record rec;
        record_patch(data, q ? cq_next(q) : 0, s->tail_pos, store_ms);
        if (q && record_decode(data, size, 0, &rec) == RECORD_MESSAGE)
            dispatch_put(s, q, &rec);
        data += size;
        s->tail_pos += size;
    }
    return run_add(r, b->buf + e->at, e->size);
}

static void count(struct store *s, const struct append_entry *e)
{
    if (e->rc) {
        atomic_fetch_add_explicit(&s->put_failures, 1, memory_order_relaxed);
        return;
    }
    atomic_fetch_add_explicit(&s->put_messages, e->count, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->put_bytes, e->size, memory_order_relaxed);
}

static void put_batch(struct run *r, struct append_batch *b, int64_t store_ms)
{
    struct store *s = r->s;

    for (struct append_entry *e = b->first; e; e = e->next) {
        e->rc = atomic_load(&s->failed);
        if (!e->rc)
            e->rc = put_entry(r, b, e, store_ms);
        if (e->rc == TL_EIO)
            store_fatal(s, tl_error_text());
    }
    b->end_pos = s->tail_pos;
}

/* Records are written: let readers see them, and tell who waits. */
static void publish(struct store *s, int64_t store_ms)
{
    struct consumequeue *q;

    atomic_store_explicit(&s->log_end, s->tail_pos,
                          memory_order_seq_cst); /* then: who sleeps? */
    atomic_store_explicit(&s->end_store_ms, store_ms, memory_order_release);
    while ((q = cq_touched_pop(&s->touched)) != NULL) {
        if (s->opts.flush_sync) {
            flush_then_publish(s, q);
            continue;
        }
        cq_publish(q);
        if (s->opts.on_arrival)
            s->opts.on_arrival(s->opts.arg, q, cq_end(q));
    }
    if (s->opts.flush_sync)
        flush_kick(s);
    if (s->opts.index_entries)
        indexer_wake(s);
}

/* A write failed: nobody is told that he succeeded. */
static void fail_batches(struct store *s, struct mail *list)
{
    struct consumequeue *q;

    while ((q = cq_touched_pop(&s->touched)) != NULL)
        ; /* entries stay unpublished: the store serves what was there before */
    for (struct mail *m = list; m; m = m->next) {
        struct append_batch *b = (struct append_batch *)m;
        for (struct append_entry *e = b->first; e; e = e->next) {
            if (!e->rc)
                e->rc = TL_EIO;
        }
    }
}

static void complete(struct store *s, struct mail *list)
{
    while (list) {
        struct append_batch *b = (struct append_batch *)list;
        list = list->next;
        for (struct append_entry *e = b->first; e; e = e->next)
            count(s, e);
        if (s->opts.flush_sync && b->has_waiter && !atomic_load(&s->failed))
            flush_wait(s, b);
        else
            b->done(b);
    }
}

static const int64_t class_limits_us[STORE_LATENCY_CLASSES - 1] = {
    1000,    10000,   50000,   100000,  200000,  500000,
    1000000, 2000000, 3000000, 4000000, 5000000, 10000000,
};

static void count_time(struct store *s, uint64_t us, uint64_t n)
{
    int c = 0;

    while (c < STORE_LATENCY_CLASSES - 1 && us >= (uint64_t)class_limits_us[c])
        c++;
    atomic_fetch_add_explicit(&s->put_class[c], n, memory_order_relaxed);
    if (us > atomic_load_explicit(&s->put_max_us, memory_order_relaxed))
        atomic_store_explicit(&s->put_max_us, us, memory_order_relaxed);
}

/* Everything that was submitted, with as few writes as possible.  Token held. */
static void serve(struct store *s)
{
    struct mail *list = mailbox_take(&s->submitted);
    struct run run = {.s = s, .pos = s->tail_pos};
    int64_t begun = clock_mono_ns(), now = clock_now_ms();
    uint64_t before = atomic_load_explicit(&s->put_messages, memory_order_relaxed);

    if (!list)
        return;
    atomic_store_explicit(&s->token_since_ns, begun, memory_order_relaxed);
    if (now < s->last_store_ms)
        now = s->last_store_ms; /* the clock stepped back: store times don't */
    s->last_store_ms = now;
    for (struct mail *m = list; m; m = m->next)
        put_batch(&run, (struct append_batch *)m, now);
    if (!atomic_load(&s->failed) && run_write(&run))
        store_fatal(s, tl_error_text());
    if (atomic_load(&s->failed))
        fail_batches(s, list);
    else
        publish(s, now);
    complete(s, list);
    atomic_store_explicit(&s->token_since_ns, 0, memory_order_relaxed);
    count_time(s, (uint64_t)(clock_mono_ns() - begun) / 1000,
               atomic_load_explicit(&s->put_messages, memory_order_relaxed) - before);
}

/* ---- the token ---------------------------------------------------------------------------- */

/*
 * Whoever gets the token serves until nothing is submitted, gives it back and looks once more: a batch that came
 * between the last look and the giving back found the token taken, so it is ours to see.
 */
static void try_serve(struct store *s)
{
    while (!mailbox_empty(&s->submitted)) {
        if (atomic_exchange(&s->token, 1))
            return;
        while (!mailbox_empty(&s->submitted))
            serve(s);
        atomic_store(&s->token, 0);
        atomic_thread_fence(memory_order_seq_cst);
    }
}

void append_submit(struct store *s, struct append_batch *b)
{
    mailbox_push(&s->submitted, &b->mail);
    atomic_thread_fence(memory_order_seq_cst);
    try_serve(s);
}

void append_token_take(struct store *s)
{
    struct timespec pause = {0, 100000};

    while (atomic_exchange(&s->token, 1))
        nanosleep(&pause, NULL);
}

void append_token_drop(struct store *s)
{
    atomic_store(&s->token, 0);
    atomic_thread_fence(memory_order_seq_cst);
    try_serve(s);
}

/* ---- waiting ------------------------------------------------------------------------------ */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void wait_done(struct append_batch *b)
{
    struct waiter *w = b->owner;

    pthread_mutex_lock(&w->lock);
    w->done = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

int append_wait_batch(struct store *s, struct append_batch *batch)
{
    struct waiter w = {.done = false};
    int rc = 0;

    batch->done = wait_done;
    batch->owner = &w;
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.cond, NULL);
    append_submit(s, batch);
    pthread_mutex_lock(&w.lock);
    while (!w.done)
        pthread_cond_wait(&w.cond, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.lock);
    for (struct append_entry *e = batch->first; e && !rc; e = e->next)
        rc = e->rc == TL_ETIMEOUT ? 0 : e->rc;
    return rc ? tl_fail(rc, "append: %s", tl_code_text(rc)) : 0;
}

int append_wait(struct store *s, const void *records, size_t size, uint32_t count_,
                struct append_entry *result)
{
    struct append_batch *b = append_batch_new(NULL, NULL);

    memcpy(append_reserve(b, result, size, count_), records, size);
    append_wait_batch(s, b);
    append_batch_free(b);
    return result->rc ? tl_fail(result->rc, "append: %s", tl_code_text(result->rc)) : 0;
}
