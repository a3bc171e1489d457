#include "store/retain.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/store_private.h"

#undef LOG_MODULE
#define LOG_MODULE "store"

enum { MANUAL_ROUNDS = 20 };

int retain_hours(const char *text, uint32_t *out)
{
    uint32_t hours = 0;

    for (struct tl_str rest = tl_str_of(text); rest.data;) {
        struct tl_str piece = tl_str_trim(tl_str_cut(&rest, ';'));
        int32_t hour;
        if (!piece.len)
            continue;
        if (!tl_str_i32(piece, &hour) || hour < 0 || hour > 23)
            return tl_fail(TL_EINVAL, "'%.*s' is no hour from 00 to 23", TL_STR_ARG(piece));
        hours |= 1u << hour;
    }
    *out = hours;
    return 0;
}

double retain_used(const struct fs_usage *u)
{
    int64_t used = u->total_bytes - u->unused_bytes, all = used + u->free_bytes;

    if (all <= 0)
        return 0;
    /* in percents, as RocketMQ compares them */
    return (double)((used * 100 + all - 1) / all) / 100.0;
}

/* ---- how full ----------------------------------------------------------------------------- */

struct state {
    double log, rest;   /* used shares; -1: unknown */
    int64_t free_bytes; /* of the fuller one */
};

static void look_at(struct store *s, const char *path, double *used, int64_t *free_bytes)
{
    const struct retain_opts *o = &s->opts.retain;
    struct fs_usage u;

    *used = -1;
    if (o->usage ? o->usage(o->usage_arg, path, &u) : fs_usage(path, &u)) {
        log_warn_every(60000, "usage of the disk unknown: %s", tl_error_text());
        return;
    }
    *used = retain_used(&u);
    if (u.free_bytes < *free_bytes)
        *free_bytes = u.free_bytes;
}

static struct state look(struct store *s)
{
    struct state d = {.free_bytes = INT64_MAX};

    look_at(s, s->log_dir, &d.log, &d.free_bytes);
    look_at(s, s->root, &d.rest, &d.free_bytes);
    return d;
}

static bool beyond(const struct state *d, int32_t percent)
{
    return percent > 0 && (d->log > percent / 100.0 || d->rest > percent / 100.0);
}

static bool below_reserve(const struct store *s, const struct state *d)
{
    return s->opts.retain.reserved_bytes > 0 && d->free_bytes < s->opts.retain.reserved_bytes;
}

/* Refuse sends above the warning level; take them again at or below the forced one. */
static void judge(struct store *s, const struct state *d)
{
    const struct retain_opts *o = &s->opts.retain;
    bool full = atomic_load(&s->disk_full);

    if (!full && (beyond(d, o->warning_ratio) || below_reserve(s, d))) {
        snprintf(
            s->disk_text, sizeof(s->disk_text),
            "the disk is too full [CL: %.2f CQ: %.2f], limit %.2f (diskSpaceWarningLevelRatio), "
            "free bytes %lld, limit %lld (diskReservedBytes)",
            d->log, d->rest, o->warning_ratio / 100.0, (long long)d->free_bytes,
            (long long)o->reserved_bytes);
        atomic_store_explicit(&s->disk_full, true, memory_order_release);
        log_error("sends are refused until there is room: %s", s->disk_text);
    } else if (full && !beyond(d, o->forced_ratio) && !below_reserve(s, d)) {
        atomic_store_explicit(&s->disk_full, false, memory_order_release);
        log_info("sends are taken again: the disk has room used=%.2f", d->log);
    }
}

/* ---- log files ---------------------------------------------------------------------------- */

/* The first file, if it may go: not the last, on the disk, read by the index.  A reference, or NULL. */
static struct segment *candidate(struct store *s)
{
    int64_t flushed = atomic_load(&s->log_flushed), end = atomic_load(&s->log_end);
    struct segment *first = segq_ref_first(&s->log);

    if (first && (first->start + first->size > flushed || first->start + first->size >= end)) {
        segment_unref(first);
        return NULL;
    }
    return first;
}

static bool expired(const struct store *s, const struct segment *g)
{
    struct stat st;

    if (fstat(g->fd, &st))
        return false;
    int64_t changed_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return changed_ms + s->opts.retain.reserved_ms <= clock_now_ms();
}

/*
 * What is left of the queues must not depend on the file's records: their entries go to the disk first, and the checkpoint
 * tells that the file is gone on purpose.  Then unlink, for good before the next one goes, and forget: after a
 * crash in between the file is simply gone.  0 or the failure.
 */
static int drop_first(struct store *s, struct segment *g)
{
    int rc;

    if ((rc = flush_queues(s)) || (rc = flush_checkpoint(s, g->start + g->size)) ||
        (rc = segment_remove(g)))
        return rc;
    rc = fs_sync_dir(s->log_dir);
    if (rc) {
        store_fatal(s, tl_error_text());
        return rc;
    }
    append_token_take(s);
    segq_forget_first(&s->log, g);
    append_token_drop(s);
    return 0;
}

static void pause_ms(int32_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

static int delete_files(struct store *s, bool whatever_age)
{
    const struct retain_opts *o = &s->opts.retain;
    int n = 0;

    while (n < o->batch_max && !atomic_load(&s->closing)) {
        struct segment *g = candidate(s);
        bool goes = g && (whatever_age || expired(s, g));
        if (goes && n > 0)
            pause_ms(o->pause_ms);
        if (goes && drop_first(s, g)) {
            log_error("old log file stays: %s", tl_error_text());
            goes = false;
        }
        if (goes)
            log_info("log file deleted file=%s why=%s", g->path,
                     whatever_age ? "\"the disk is full\"" : "\"fileReservedTime is over\"");
        if (g)
            segment_unref(g);
        if (!goes)
            break;
        n++;
    }
    return n;
}

static bool hour_has_come(const struct store *s)
{
    time_t now = (time_t)(clock_now_ms() / 1000);
    struct tm tm;

    localtime_r(&now, &tm);
    return s->opts.retain.hours >> tm.tm_hour & 1;
}

/* ---- queues and index --------------------------------------------------------------------- */

/* True when files went. */
static bool trim_queues(struct store *s, int64_t log_begin)
{
    int64_t flushed = atomic_load(&s->log_flushed);
    size_t n;
    struct consumequeue **list = cqset_list(&s->queues, &n);
    bool any = false;

    for (size_t i = 0; i < n && !atomic_load(&s->closing); i++) {
        cq_trim(list[i], log_begin);
        while (cq_has_old_file(list[i], flushed)) {
            append_token_take(s);
            int rc = cq_drop_old_file(list[i]);
            append_token_drop(s);
            if (!rc)
                rc = cq_sync_dir(list[i]);
            any = true;
            if (rc) {
                log_error("old queue file stays: %s", tl_error_text());
                break;
            }
        }
    }
    free(list);
    return any;
}

void store_trim(struct store *s)
{
    int64_t begin = segq_first(&s->log);

    pthread_mutex_lock(&s->retain_lock);
    if (trim_queues(s, begin) &&
        flush_queues(s) == 0) /* they have fewer entries now, as they should */
        flush_checkpoint(s, -1);
    if (s->opts.index_entries)
        indexer_trim(s, begin);
    s->trimmed_to = begin;
    pthread_mutex_unlock(&s->retain_lock);
}

/* ---- a round ------------------------------------------------------------------------------ */

void store_retain(struct store *s)
{
    const struct retain_opts *o = &s->opts.retain;
    struct state d = look(s);
    int manual = atomic_load(&s->manual_rounds);

    judge(s, &d);
    bool tight = o->forcibly && (beyond(&d, o->forced_ratio) || below_reserve(s, &d));
    if (tight || manual > 0 || hour_has_come(s) || beyond(&d, o->max_ratio) ||
        below_reserve(s, &d)) {
        if (delete_files(s, tight) > 0) {
            d = look(s);
            judge(s, &d);
        }
    }
    if (manual > 0)
        atomic_fetch_sub(&s->manual_rounds, 1);
    if (segq_first(&s->log) != s->trimmed_to)
        store_trim(s);
}

void store_retain_soon(struct store *s)
{
    atomic_store(&s->manual_rounds, MANUAL_ROUNDS);
}
