/*
 * prep - the next log file is always there before it is needed
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/thread.h"
#include "store/store_private.h"

#undef LOG_MODULE
#define LOG_MODULE "store"

static int make(struct store *s, int64_t start, struct segment **out)
{
    int rc = segment_create(out, s->log.dir, start, s->log.size, SEGMENT_READ);

    if (rc || (rc = fs_sync_dir(s->log.dir)) ==
                  0) /* a file without its name would not survive a power cut */
        return rc;
    segment_remove(*out);
    segment_unref(*out);
    return rc;
}

static void *prep_main(void *arg)
{
    struct store *s = arg;
    struct prep *p = &s->prep;

    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        if (p->want < 0 || p->ready) {
            pthread_cond_wait(&p->wanted, &p->lock);
            continue;
        }
        int64_t start = p->want;
        struct segment *made = NULL;
        p->want = -1;
        p->busy = true;
        pthread_mutex_unlock(&p->lock);
        int rc = make(s, start, &made);
        if (rc == TL_EIO)
            store_fatal(s, tl_error_text());
        else if (rc)
            log_warn_every(10000, "next log file not made ahead: %s", tl_error_text());
        pthread_mutex_lock(&p->lock);
        p->ready = made;
        p->busy = false;
        pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int prep_start(struct store *s)
{
    struct prep *p = &s->prep;

    p->want = -1;
    int rc = thread_start(&p->thread, "prep", ROLE_PREP, prep_main, s);
    p->running = !rc;
    return rc;
}

void prep_stop(struct store *s)
{
    struct prep *p = &s->prep;

    if (!p->running)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_signal(&p->wanted);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    p->running = false;
    if (p->ready) { /* never used: not left behind */
        segment_remove(p->ready);
        segment_unref(p->ready);
        p->ready = NULL;
    }
}

void prep_want(struct store *s, int64_t start)
{
    struct prep *p = &s->prep;

    pthread_mutex_lock(&p->lock);
    p->want = start;
    pthread_cond_signal(&p->wanted);
    pthread_mutex_unlock(&p->lock);
}

int prep_take(struct store *s, int64_t start, struct segment **out)
{
    struct prep *p = &s->prep;

    pthread_mutex_lock(&p->lock);
    while (p->busy)
        pthread_cond_wait(&p->done, &p->lock);
    struct segment *ready = p->ready;
    p->ready = NULL;
    p->want = -1;
    pthread_mutex_unlock(&p->lock);
    if (ready && ready->start == start) {
        *out = ready;
        return 0;
    }
    if (ready) {
        segment_remove(ready);
        segment_unref(ready);
    }
    int rc = fs_mkdirs(s->log.dir);
    return rc ? rc : make(s, start, out);
}
