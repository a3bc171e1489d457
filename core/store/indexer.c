/*
 * indexer - the thread that indexes the keys of what is in the log
 *
 * It reads behind the log's end, so that no send waits for it: asleep, it is woken once and then takes a nap, so that
 * a busy store costs a wake-up every NAP_MS at most.  It begins where the index ends, so what is missing is made
 * again from the log.  A full disk stops it until there is room; any other error stops it for good and is told.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "proto/flags.h"
#include "store/store_private.h"

#undef LOG_MODULE
#define LOG_MODULE "store"

enum { NAP_MS = 5, FULL_DISK_MS = 1000, CATCH_UP_TOLD_MS = 2000 };

static bool has_work(struct store *s)
{
    return atomic_load_explicit(&s->indexer.pos, memory_order_relaxed) <
           atomic_load_explicit(&s->log_end, memory_order_seq_cst);
}

void indexer_wake(struct store *s)
{
    struct indexer *x = &s->indexer;

    if (!atomic_load_explicit(&x->asleep, memory_order_seq_cst))
        return;
    pthread_mutex_lock(&x->lock);
    atomic_store_explicit(&x->asleep, false, memory_order_relaxed);
    pthread_cond_signal(&x->more);
    pthread_mutex_unlock(&x->lock);
}

void indexer_trim(struct store *s, int64_t log_begin)
{
    struct indexer *x = &s->indexer;

    pthread_mutex_lock(&x->lock);
    x->trim_to = log_begin;
    pthread_cond_signal(&x->more);
    pthread_mutex_unlock(&x->lock);
}

/* Index the record at the position; moves it.  0, or why it can't go on. */
static int index_one(struct store *s, const struct seg_view *view, int64_t pos, int64_t *next)
{
    struct record r;
    bool rolled = false;
    int kind = record_decode(view->data, (size_t)view->len, 0, &r);

    if (kind == RECORD_BLANK) {
        *next = pos + view->len;
        return 0;
    }
    if (kind != RECORD_MESSAGE)
        return tl_fail(TL_ECORRUPT, "no record at %lld of the log: %s", (long long)pos,
                       tl_error_text());
    *next = pos + r.size;
    if (pos <= s->indexer.done_before || (r.sys_flag & SYS_TRANSACTION_MASK) == SYS_ROLLBACK)
        return 0;
    int rc = index_put(&s->index, &r, &rolled);
    if (rolled)
        atomic_store_explicit(&s->index_full_ms, s->index.full_end_ms, memory_order_relaxed);
    return rc;
}

/* From the position to the log's end, or until asked to stop. */
static int catch_up(struct store *s)
{
    struct indexer *x = &s->indexer;
    int64_t pos = atomic_load_explicit(&x->pos, memory_order_relaxed);
    int64_t begin = segq_first(&s->log);

    if (pos < begin) /* retention was faster */
        pos = begin;
    while (pos < atomic_load_explicit(&s->log_end, memory_order_acquire)) {
        struct seg_view view;
        int64_t end = atomic_load_explicit(&s->log_end, memory_order_acquire);
        if (!segq_pin(&s->log, pos, &view))
            return 0;
        int rc = 0;
        int64_t stop = pos + view.len < end ? pos + view.len : end;
        while (!rc && pos < stop && !atomic_load_explicit(&x->halt, memory_order_relaxed)) {
            int64_t next = pos;
            rc = index_one(s, &view, pos, &next);
            if (!rc) {
                view.data += next - pos;
                view.len -= next - pos;
                pos = next;
            }
        }
        segq_unpin(&view);
        atomic_store_explicit(&x->pos, pos, memory_order_release);
        pthread_mutex_lock(&x->lock);
        pthread_cond_broadcast(&x->progress);
        pthread_mutex_unlock(&x->lock);
        if (rc || atomic_load_explicit(&x->halt, memory_order_relaxed))
            return rc;
    }
    return 0;
}

static void wait_ms(struct indexer *x, int64_t ms)
{
    struct timespec until = thread_deadline(ms);

    pthread_cond_timedwait(&x->more, &x->lock, &until);
}

/* Sleep until there is something to index; false when there is nothing and never will be. */
static bool wait_for_work(struct store *s)
{
    struct indexer *x = &s->indexer;

    pthread_mutex_lock(&x->lock);
    bool slept = false;
    while (!has_work(s) && !x->stopping && !x->trim_to) {
        atomic_store_explicit(&x->asleep, true, memory_order_seq_cst);
        if (has_work(s)) /* it came between the two looks */
            break;
        pthread_cond_wait(&x->more, &x->lock);
        slept = true;
    }
    atomic_store_explicit(&x->asleep, false, memory_order_relaxed);
    if (slept && !x->stopping && !x->wanted)
        wait_ms(x, NAP_MS);
    x->wanted = false;
    bool go_on = (has_work(s) || x->trim_to) && !atomic_load(&x->halt);
    pthread_mutex_unlock(&x->lock);
    return go_on;
}

static void trim(struct store *s)
{
    struct indexer *x = &s->indexer;

    pthread_mutex_lock(&x->lock);
    int64_t to = x->trim_to;
    x->trim_to = 0;
    pthread_mutex_unlock(&x->lock);
    if (to)
        index_trim(&s->index, to);
}

static void *indexer_main(void *arg)
{
    struct store *s = arg;
    struct indexer *x = &s->indexer;

    while (wait_for_work(s)) {
        trim(s);
        int64_t behind = atomic_load(&s->log_end) - atomic_load(&x->pos),
                begun = clock_mono_ms();
        int rc = catch_up(s);
        if (clock_mono_ms() - begun > CATCH_UP_TOLD_MS)
            log_info("index caught up bytes=%lld took_ms=%lld", (long long)behind,
                     (long long)(clock_mono_ms() - begun));
        if (rc == TL_ENOSPC) {
            log_warn_every(60000, "keys are not indexed until the disk has room: %s",
                           tl_error_text());
            pthread_mutex_lock(&x->lock);
            if (x->stopping)
                atomic_store(&x->halt, true);
            else
                wait_ms(x, FULL_DISK_MS);
            pthread_mutex_unlock(&x->lock);
        } else if (rc) {
            log_error("keys are not indexed any more, queries by key will miss messages: %s",
                      tl_error_text());
            break;
        }
    }
    pthread_mutex_lock(&x->lock);
    x->ended = true;
    pthread_cond_broadcast(&x->progress);
    pthread_mutex_unlock(&x->lock);
    return NULL;
}

int indexer_start(struct store *s)
{
    struct indexer *x = &s->indexer;
    int64_t last = index_last_pos(&s->index), begin = segq_first(&s->log);

    x->done_before = s->clean_start ? last : last - 1; /* a crash may have left it half done */
    atomic_store(&x->pos, last > begin ? last : begin);
    int rc = thread_start(&x->thread, "index", ROLE_INDEX, indexer_main, s);
    x->running = !rc;
    return rc;
}

void indexer_stop(struct store *s, bool drain)
{
    struct indexer *x = &s->indexer;

    if (!x->running)
        return;
    pthread_mutex_lock(&x->lock);
    x->stopping = true;
    if (!drain)
        atomic_store(&x->halt, true);
    pthread_cond_signal(&x->more);
    pthread_mutex_unlock(&x->lock);
    pthread_join(x->thread, NULL);
    x->running = false;
}

void indexer_wait(struct store *s, int32_t timeout_ms)
{
    struct indexer *x = &s->indexer;
    int64_t want = atomic_load(&s->log_end), until = clock_mono_ms() + timeout_ms;
    struct timespec at = thread_deadline(timeout_ms);

    pthread_mutex_lock(&x->lock);
    while (x->running && !x->ended && atomic_load(&x->pos) < want && clock_mono_ms() < until) {
        x->wanted = true;
        pthread_cond_signal(&x->more);
        if (pthread_cond_timedwait(&x->progress, &x->lock, &at) == ETIMEDOUT)
            break;
    }
    pthread_mutex_unlock(&x->lock);
}
