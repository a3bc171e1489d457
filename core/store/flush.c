/*
 * flush - the thread that brings the log, then the queues, then the checkpoint to the disk
 *
 * ASYNC_FLUSH: every flushIntervalCommitLog.  SYNC_FLUSH: as soon as a batch waits; one fdatasync serves
 * all that came while the one before ran.  An error is fatal and never retried: after a failed
 * fsync the kernel may have dropped the pages, and a second one would lie.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/errinj.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "store/store_private.h"

#undef LOG_MODULE
#define LOG_MODULE "store"

enum {
    CHECKPOINT_MS = 1000,
    QUEUES_MS = 60000,
    WRITE_BACK_MS =
        20, /* ASYNC_FLUSH: writing begins early, so that fdatasync finds little left */
};

static int sync_log(struct store *s, int64_t to)
{
    int64_t pos = atomic_load(&s->log_flushed);
    struct seg_view view;

    while (pos < to && segq_pin(&s->log, pos, &view)) {
        while (ERRINJ(LOG_SYNC_STALL))
            nanosleep(&(struct timespec){0, 1000000}, NULL);
        int rc = ERRINJ(LOG_SYNC) ? tl_fail_errno(TL_EIO, EIO, "syncing %s", view.segment->path)
                                  : segment_sync(view.segment);
        pos += view.len;
        segq_unpin(&view);
        if (rc)
            return rc;
    }
    return 0;
}

/* Have the kernel begin to write what is new in the log; waits for nothing.  False: there was nothing. */
static bool write_back(struct store *s)
{
    int64_t end = atomic_load_explicit(&s->log_end, memory_order_acquire);
    int64_t *done = &s->flusher.written_back;
    struct seg_view view;
    bool any = false;

    if (*done < atomic_load(&s->log_flushed))
        *done = atomic_load(&s->log_flushed);
    while (*done < end && segq_pin(&s->log, *done, &view)) {
        int64_t len = view.len < end - *done ? view.len : end - *done;
        segment_write_back(view.segment, *done - view.segment->start, len);
        segq_unpin(&view);
        *done += len;
        any = true;
    }
    return any;
}

/* Entries whose records are on the disk now may be seen. */
static void reveal(struct store *s, int64_t flushed)
{
    struct flusher *f = &s->flusher;

    for (;;) {
        struct unseen u = {0};
        pthread_mutex_lock(&f->lock);
        if (f->unseen_from < f->unseen_n && f->unseen[f->unseen_from].log_end <= flushed)
            u = f->unseen[f->unseen_from++];
        if (f->unseen_from == f->unseen_n)
            f->unseen_from = f->unseen_n = 0;
        pthread_mutex_unlock(&f->lock);
        if (!u.queue)
            return;
        cq_publish_to(u.queue, u.end);
        if (s->opts.on_arrival)
            s->opts.on_arrival(s->opts.arg, u.queue, u.end);
    }
}

/* The first batch that waits, out of the list, if it ends at or before @pos or has waited since @ms; NULL else. */
static struct append_batch *take_first(struct flusher *f, int64_t pos, int64_t ms)
{
    pthread_mutex_lock(&f->lock);
    struct append_batch *b = f->first;
    if (b && (b->end_pos <= pos || b->parked_ms <= ms)) {
        f->first = b->next;
        if (!f->first)
            f->last = NULL;
    } else {
        b = NULL;
    }
    pthread_mutex_unlock(&f->lock);
    return b;
}

/* Answer the batches whose records are on the disk now. */
static void complete(struct store *s, int64_t flushed)
{
    struct append_batch *b;

    while ((b = take_first(&s->flusher, flushed, INT64_MIN)) != NULL)
        b->done(b);
}

/* The disk failed: whoever waits is not told that he is safe. */
static void fail_waiting(struct store *s)
{
    struct flusher *f = &s->flusher;

    pthread_mutex_lock(&f->lock);
    struct append_batch *list = f->first;
    f->first = f->last = NULL;
    f->unseen_from = f->unseen_n = 0; /* stay unseen */
    pthread_mutex_unlock(&f->lock);
    while (list) {
        struct append_batch *b = list;
        list = b->next;
        for (struct append_entry *e = b->first; e; e = e->next)
            e->rc = TL_EIO;
        b->done(b);
    }
}

static void flush_log(struct store *s)
{
    /* In this order: the time must not be that of a record behind the end. */
    int64_t store_ms = atomic_load_explicit(&s->end_store_ms, memory_order_acquire);
    int64_t end = atomic_load_explicit(&s->log_end, memory_order_acquire);

    if (!atomic_load(&s->failed) && end > atomic_load(&s->log_flushed)) {
        if (sync_log(s, end)) {
            store_fatal(s, tl_error_text());
        } else {
            pthread_mutex_lock(&s->checkpoint_lock);
            if (store_ms > s->checkpoint.physic_ms)
                s->checkpoint.physic_ms = store_ms;
            s->checkpoint.flushed = end;
            pthread_mutex_unlock(&s->checkpoint_lock);
            atomic_store_explicit(&s->log_flushed, end, memory_order_release);
        }
    }
    if (atomic_load(&s->failed)) {
        fail_waiting(s);
    } else {
        reveal(s, end);
        complete(s, end);
    }
    pthread_mutex_lock(&s->flusher.lock);
    pthread_cond_broadcast(&s->flusher.flushed_cond);
    pthread_mutex_unlock(&s->flusher.lock);
}

static int sync_queues(struct store *s, int64_t *entries)
{
    size_t n;
    struct consumequeue **list = cqset_list(&s->queues, &n);
    int rc = 0;

    *entries = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        *entries += cq_entries(list[i]); /* of before, so that the sum is never too much */
        rc = cq_sync(list[i]);
    }
    free(list);
    return rc;
}

int flush_queues(struct store *s)
{
    int64_t entries;

    pthread_mutex_lock(&s->queue_sync_lock);
    pthread_mutex_lock(&s->checkpoint_lock);
    int64_t store_ms = s->checkpoint.physic_ms;
    s->drops_seen = false;
    pthread_mutex_unlock(&s->checkpoint_lock);
    int rc = sync_queues(s, &entries);
    if (rc) { /* never to be tried again: the next sync would say that all is well */
        store_fatal(s, tl_error_text());
    } else {
        pthread_mutex_lock(&s->checkpoint_lock);
        if (store_ms > s->checkpoint.logics_ms)
            s->checkpoint.logics_ms = store_ms;
        s->checkpoint.queue_synced = s->drops_seen ? -1 : entries;
        pthread_mutex_unlock(&s->checkpoint_lock);
    }
    pthread_mutex_unlock(&s->queue_sync_lock);
    return rc;
}

static bool same(const struct checkpoint *a, const struct checkpoint *b)
{
    return a->physic_ms == b->physic_ms && a->logics_ms == b->logics_ms &&
           a->index_ms == b->index_ms && a->flushed == b->flushed &&
           a->log_begin == b->log_begin && a->queue_entries == b->queue_entries &&
           a->queue_synced == b->queue_synced &&
           memcmp(a->boot_id, b->boot_id, sizeof(a->boot_id)) == 0 && b->marked;
}

int flush_checkpoint(struct store *s, int64_t log_begin)
{
    int64_t entries = cqset_entries(&s->queues);
    int rc = 0;

    int64_t log_end =
        atomic_load(&s->log_end); /* after: what came in between would be missed else */
    pthread_mutex_lock(&s->checkpoint_lock);
    struct checkpoint *c = &s->checkpoint;
    c->index_ms = atomic_load_explicit(&s->index_full_ms, memory_order_relaxed);
    if (log_begin >= 0)
        c->log_begin = log_begin;
    if (entries != c->queue_entries) {
        c->queue_entries = entries;
        c->log_end = log_end;
    }
    if (atomic_load(&s->queues_suspect))
        c->queue_entries = c->queue_synced = INT64_MAX;
    if (!same(c, &s->written)) {
        rc = checkpoint_write(s->checkpoint_path, c);
        if (!rc) {
            s->written = *c;
            s->written.marked = true;
        }
    }
    pthread_mutex_unlock(&s->checkpoint_lock);
    if (rc == TL_ENOSPC)
        log_warn_every(10000, "checkpoint not written: %s", tl_error_text());
    else if (rc)
        store_fatal(s, tl_error_text());
    return rc;
}

/* The disk failed, and what it lost is not known: the next start takes nothing behind the flushed mark for granted. */
static void forget_boot(struct store *s)
{
    pthread_mutex_lock(&s->checkpoint_lock);
    struct checkpoint c = s->written;
    memset(c.boot_id, 0, sizeof(c.boot_id));
    if (checkpoint_write(s->checkpoint_path, &c))
        log_error("checkpoint not written: %s", tl_error_text());
    pthread_mutex_unlock(&s->checkpoint_lock);
}

static bool wanted(const struct flusher *f)
{
    return f->first || f->unseen_n || f->asked;
}

/*
 * Until something waits, the interval is over, or the end (false).  While the log grows, its writing back is begun
 * every WRITE_BACK_MS in between.
 */
static bool wait_for_work(struct store *s)
{
    struct flusher *f = &s->flusher;
    int64_t over = clock_mono_ms() + s->opts.flush_interval_ms, now;
    bool growing = !s->opts.flush_sync;

    pthread_mutex_lock(&f->lock);
    while (!wanted(f) && !f->stopping && (now = clock_mono_ms()) < over) {
        int64_t ms = growing && over - now > WRITE_BACK_MS ? WRITE_BACK_MS : over - now;
        struct timespec until = thread_deadline(ms);
        pthread_cond_timedwait(&f->more, &f->lock, &until);
        if (!growing || wanted(f) || f->stopping)
            continue;
        pthread_mutex_unlock(&f->lock);
        growing = write_back(s);
        pthread_mutex_lock(&f->lock);
    }
    bool stopping = f->stopping && !f->first && !f->unseen_n;
    f->asked = false;
    pthread_mutex_unlock(&f->lock);
    return !stopping;
}

static void *flush_main(void *arg)
{
    struct store *s = arg;
    int64_t checkpoint_at = clock_mono_ms(), queues_at = checkpoint_at;

    while (wait_for_work(s)) {
        flush_log(s);
        int64_t now = clock_mono_ms();
        if (now - queues_at >= QUEUES_MS && !atomic_load(&s->failed)) {
            flush_queues(s);
            queues_at = now;
        }
        if (now - checkpoint_at >= CHECKPOINT_MS && !atomic_load(&s->failed)) {
            flush_checkpoint(s, -1);
            checkpoint_at = now;
        }
    }
    flush_log(s);
    if (!atomic_load(&s->failed) && flush_queues(s) == 0)
        flush_checkpoint(s, -1);
    if (atomic_load(&s->failed))
        forget_boot(s);
    return NULL;
}

int flush_start(struct store *s)
{
    int rc = thread_start(&s->flusher.thread, "flush", ROLE_FLUSH, flush_main, s);

    s->flusher.running = !rc;
    return rc;
}

void flush_stop(struct store *s)
{
    struct flusher *f = &s->flusher;

    if (!f->running)
        return;
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_cond_signal(&f->more);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    f->running = false;
}

void flush_wait(struct store *s, struct append_batch *b)
{
    struct flusher *f = &s->flusher;

    b->parked_ms = clock_mono_ms();
    pthread_mutex_lock(&f->lock);
    b->next = NULL;
    if (f->last)
        f->last->next = b;
    else
        f->first = b;
    f->last = b;
    pthread_cond_signal(&f->more);
    pthread_mutex_unlock(&f->lock);
}

void flush_then_publish(struct store *s, struct consumequeue *q)
{
    struct flusher *f = &s->flusher;

    pthread_mutex_lock(&f->lock);
    if (f->unseen_n == f->unseen_cap) {
        f->unseen_cap = f->unseen_cap ? f->unseen_cap * 2 : 64;
        f->unseen = xrealloc(f->unseen, f->unseen_cap * sizeof(*f->unseen));
    }
    f->unseen[f->unseen_n++] =
        (struct unseen){q, cq_next(q), atomic_load_explicit(&s->log_end, memory_order_relaxed)};
    pthread_mutex_unlock(&f->lock);
}

void flush_kick(struct store *s)
{
    struct flusher *f = &s->flusher;

    pthread_mutex_lock(&f->lock);
    if (f->unseen_n)
        pthread_cond_signal(&f->more);
    pthread_mutex_unlock(&f->lock);
}

void store_flush_overdue(struct store *s, int32_t timeout_ms)
{
    struct append_batch *b;

    while ((b = take_first(&s->flusher, INT64_MIN, clock_mono_ms() - timeout_ms)) != NULL) {
        log_warn_every(1000, "the log was not flushed in time timeout_ms=%d", timeout_ms);
        for (struct append_entry *e = b->first; e; e = e->next) {
            if (!e->rc && e->wait_flush)
                e->rc = TL_ETIMEOUT;
        }
        b->done(b);
    }
}

int store_flush(struct store *s)
{
    struct flusher *f = &s->flusher;
    int64_t want = atomic_load(&s->log_end);

    pthread_mutex_lock(&f->lock);
    while (atomic_load(&s->log_flushed) < want && !atomic_load(&s->failed)) {
        f->asked = true;
        pthread_cond_signal(&f->more);
        pthread_cond_wait(&f->flushed_cond, &f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return atomic_load(&s->failed) ? tl_fail(TL_EIO, "%s", s->fatal_text) : 0;
}
