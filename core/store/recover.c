/*
 * recover - after a stop or a crash: find the log's end, cut the torn tail, bring the queues up to it
 *
 *   1. where to begin: after a clean stop in the last file whose first record the queues already
 *      know; after a crash in the last file that began before the checkpoint; else at the log's beginning
 *   2. record by record, checksums included, each dispatched as if it were new (what is there is skipped)
 *   3. the first thing that is no record is the end, unless valid newer records follow: that is
 *      damage, and it is reported, never cut
 *   4. zeros behind the end; queue entries beyond it go
 *
 * A queue that turns out to lack older entries (its folder was lost) starts the scan over from the
 * beginning of the log, once.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/format.h"
#include "store/store_private.h"

#undef LOG_MODULE
#define LOG_MODULE "store"

enum {
    CHECKPOINT_SLACK_MS = 3000, /* StoreCheckpoint.getMinTimestamp */
    SEARCH_STEP = 1 << 20,
    PROGRESS_MS = 1000,
};

struct scan {
    struct store *s;
    int64_t pos;
    int64_t last_ms; /* store time of the last good record */
    int64_t begun_ms, told_ms;
};

/* The record that begins a segment; false when there is none that could be one. */
static bool first_record(const struct segment *g, struct record *out)
{
    return record_decode(g->map, (size_t)g->size, 0, out) == RECORD_MESSAGE &&
           out->log_pos == g->start && out->store_timestamp > 0;
}

static void max_log_end(void *arg, struct consumequeue *q)
{
    int64_t *max = arg;

    if (cq_log_end(q) > *max)
        *max = cq_log_end(q);
}

static int64_t begin_position(struct store *s)
{
    int64_t known = -1, stable_ms = s->checkpoint.physic_ms;

    if (s->checkpoint.logics_ms < stable_ms)
        stable_ms = s->checkpoint.logics_ms;
    stable_ms -= CHECKPOINT_SLACK_MS;
    cqset_each(&s->queues, max_log_end, &known);
    for (size_t i = s->log.n; i-- > 1;) {
        struct record r;
        if (!first_record(s->log.list[i], &r))
            continue;
        if (s->clean_start ? r.log_pos <= known : r.store_timestamp <= stable_ms)
            return s->log.list[i]->start;
    }
    return segq_begin(&s->log);
}

static void tell(struct scan *c)
{
    int64_t now = clock_mono_ms();

    if (!c->s->opts.on_progress || now - c->told_ms < PROGRESS_MS)
        return;
    c->told_ms = now;
    c->s->opts.on_progress(c->s->opts.arg, "recovering the log",
                           c->pos - segq_begin(&c->s->log),
                           segq_end(&c->s->log) - segq_begin(&c->s->log));
}

/* ---- damage or tail ----------------------------------------------------------------------- */

/* Is there, at @at of @g, a record that was written after the last good one? */
static bool newer_record(const struct scan *c, const struct segment *g, int64_t at)
{
    struct record r;

    return record_decode(g->map + at, (size_t)(g->size - at), RECORD_CHECK_CRC, &r) ==
               RECORD_MESSAGE &&
           r.log_pos == g->start + at && r.store_timestamp >= c->last_ms;
}

/* The first such record from offset @at on; only blocks that were ever written are read.  -1: none. */
static int64_t find_newer(const struct scan *c, const struct segment *g, int64_t at)
{
    while ((at = segment_next_data(g, at)) < g->size) {
        int64_t end = at + SEARCH_STEP < g->size ? at + SEARCH_STEP : g->size;
        for (const uint8_t *p; (p = memchr(g->map + at, 0xDA, (size_t)(end - at))) != NULL;) {
            int64_t magic = p - g->map;
            at = magic + 1;
            if (magic >= 4 && g->size - magic >= 4 && newer_record(c, g, magic - 4))
                return g->start + magic - 4;
        }
        at = end;
    }
    return -1;
}

/* What stands at the scan's position is no record: 0 when it is the end of the log. */
static int judge_tail(const struct scan *c, const struct segment *g)
{
    const struct segq *q = &c->s->log;
    int64_t found = find_newer(c, g, c->pos - g->start);
    struct tl_error why;

    tl_error_save(&why, TL_ECORRUPT);
    for (size_t i = 0; i < q->n && found < 0; i++) {
        if (q->list[i]->start > g->start)
            found = find_newer(c, q->list[i], 0);
    }
    if (found < 0)
        return 0;
    return tl_fail(TL_ECORRUPT,
                   "%s is damaged at position %" PRId64 " (%s), valid records go on at %" PRId64
                   ": nothing was changed; restore the file from a copy or a replica",
                   g->path, c->pos, why.text, found);
}

/* ---- scanning ----------------------------------------------------------------------------- */

/* 1 = go on, 0 = the log ends here, negative = error code */
static int step(struct scan *c)
{
    struct store *s = c->s;
    struct segment *g = segq_find(&s->log, c->pos);
    struct record r;

    if (!g)
        return 0;
    int64_t at = c->pos - g->start;
    int kind = record_decode(g->map + at, (size_t)(g->size - at),
                             s->opts.check_crc ? RECORD_CHECK_CRC : 0, &r);
    if (kind == RECORD_BLANK && (int64_t)r.size == g->size - at) {
        c->pos = g->start + g->size;
        return 1;
    }
    if (kind == RECORD_MESSAGE && r.log_pos != c->pos)
        kind = -tl_fail(TL_EFORMAT, "record says that it stands at %" PRId64, r.log_pos);
    if (kind != RECORD_MESSAGE)
        return -judge_tail(c, g);
    int rc = dispatch_replay(s, &r);
    if (rc)
        return -rc;
    if (s->opts.on_replay)
        s->opts.on_replay(s->opts.arg, &r);
    c->last_ms = r.store_timestamp;
    c->pos += r.size;
    if (c->pos % SEARCH_STEP < r.size)
        tell(c);
    return 1;
}

static void publish_queues(struct store *s)
{
    struct consumequeue *q;

    while ((q = cq_touched_pop(&s->touched)) != NULL)
        cq_publish(q);
}

static int scan_from(struct scan *c, int64_t from)
{
    int rc;

    c->pos = from;
    c->last_ms = 0;
    c->s->full_scan = from == segq_begin(&c->s->log);
    while ((rc = step(c)) > 0)
        ;
    publish_queues(c->s);
    return -rc;
}

static void cut_queue(void *arg, struct consumequeue *q)
{
    struct scan *c = arg;

    if (cq_log_end(q) > c->pos && cq_truncate(q, c->pos))
        log_error("queue not cut: %s", tl_error_text());
    cq_trim(q, segq_begin(&c->s->log));
}

static void drop_queue(void *arg, struct consumequeue *q)
{
    (void)arg;
    if (cq_truncate(q, 0))
        log_error("queue not emptied: %s", tl_error_text());
}

/* Everything behind the end: later files go, the rest of this one becomes zeros. */
static int cut_log(struct store *s, int64_t end)
{
    struct segment *g = segq_find(&s->log, end);

    if (g && segment_next_data(g, end - g->start) < g->size) {
        int rc = segment_zero(g, end - g->start);
        if (rc)
            return rc;
    }
    return segq_drop_from(&s->log, g ? end + 1 : end);
}

static int ensure_tail(struct store *s)
{
    s->tail = segq_find(&s->log, s->tail_pos);
    if (s->tail)
        return 0;
    int rc = segq_grow(&s->log, s->tail_pos, &s->tail);
    return rc ? rc : fs_sync_dir(s->log_dir);
}

/* What a process that was killed left in memory goes to the disk before anybody may see it. */
static int sync_scanned(struct store *s, int64_t from)
{
    struct seg_view view;
    int rc = 0;

    for (int64_t pos = from; !rc && pos < s->tail_pos && segq_pin(&s->log, pos, &view);
         pos += view.len) {
        rc = segment_sync(view.segment);
        segq_unpin(&view);
    }
    if (!rc)
        atomic_store(&s->log_flushed, s->tail_pos);
    return rc;
}

int recover(struct store *s)
{
    int64_t begun = clock_mono_ms();
    struct scan c = {.s = s, .begun_ms = begun, .told_ms = begun};
    int64_t from = begin_position(s), first = from;
    int rc;

    if (s->log.n == 0) /* queues without a log point nowhere */
        cqset_each(&s->queues, drop_queue, NULL);
    rc = scan_from(&c, from);
    if (rc == TL_EORDER && from > segq_begin(&s->log)) {
        log_warn("scanning the whole log: %s", tl_error_text());
        first = segq_begin(&s->log);
        rc = scan_from(&c, first);
    }
    if (rc)
        return rc;
    cqset_each(&s->queues, cut_queue, &c);
    if ((rc = cut_log(s, c.pos)) != 0)
        return rc;
    s->tail_pos = c.pos;
    s->last_store_ms = c.last_ms;
    atomic_store(&s->end_store_ms, c.last_ms);
    atomic_store(&s->log_end, c.pos);
    atomic_store(&s->log_flushed, first); /* what was scanned may not be on the disk yet */
    s->recovered_bytes = c.pos - first;
    s->recovery_ms = clock_mono_ms() - begun;
    log_info("log recovered clean=%s from=%" PRId64 " end=%" PRId64 " took_ms=%" PRId64,
             s->clean_start ? "yes" : "no", first, c.pos, s->recovery_ms);
    if (s->opts.flush_sync && (rc = sync_scanned(s, first)) != 0)
        return rc;
    return ensure_tail(s);
}
