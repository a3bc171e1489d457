/*
 * recover - after a stop or a crash: find the log's end, cut the torn tail, bring the queues up to it
 *
 *   1. where to begin: after a clean stop in the last file whose first record the queues already
 *      know; after a crash in the last file that began before the checkpoint; else at the log's beginning
 *   2. record by record, checksums included; each one's queue entry is made, or compared and put right
 *   3. the first thing that is no record is the end, unless it is damage: that is reported, never cut
 *   4. later files go, zeros behind the end, both on the disk before anything is written there;
 *      queue entries beyond it go, and those at their queues' ends that lead to no record of theirs
 *
 * Tail or damage?  The checkpoint has a mark of ours (checkpoint.h): so much of the log was on the disk, and in which run of
 * the machine that was.  Let P be where the records end.
 *
 *   P before the mark         Damage, whatever follows: fdatasync had said that it was there.  The same for files that are gone.
 *   behind, the same run      The page cache has lost nothing, so a killed process leaves at most one write cut short, and
 *                             nothing behind it.  Valid newer records behind P: damage.  None: the tail.
 *   behind, another run       A power cut keeps any part of what was not synced, in any order.  Nothing from P on was promised to
 *                             anybody: the tail, though whole records may lie behind a hole.  Files from the mark on may be
 *                             short or missing, too (segq_open).
 *   no mark                   RocketMQ wrote here last.  Its physicMsgTimestamp says that older records were on the disk: one
 *                             of them behind P is damage.  Without a checkpoint any valid newer record is.
 *
 * A record's checksum is its body's.  Behind the mark one counts as torn, too, when its topic or properties have a byte that
 * was never written: NUL, anywhere after a power cut, else at the end of the last one.
 *
 * A store that stopped over a failed write takes its run's name out of the mark: what the disk lost is not known then.
 *
 * The scan starts over from the beginning of the log, once, when a queue turns out to lack older entries; it begins there when
 * a queue's files are damaged, or when all queues together have fewer entries than the mark says.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
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
    int64_t newer;   /* records since the checkpoint */
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

/* Does the queue's entry at @offset lead to its record, in the log up to @end?  What is deleted from the log already is believed. */
static bool leads_to_record(const struct store *s, struct consumequeue *q, int64_t offset,
                            int64_t end)
{
    struct cq_entry e;
    struct record r;

    if (!cq_peek(q, offset, &e))
        return true;
    if (e.size <= 0 || e.size == CQ_PADDING_SIZE || e.log_pos < segq_begin(&s->log))
        return e.size > 0;
    const struct segment *g = e.log_pos < end ? segq_find(&s->log, e.log_pos) : NULL;
    if (!g || e.size > g->start + g->size - e.log_pos)
        return false;
    return record_decode(g->map + (e.log_pos - g->start), (size_t)e.size, 0, &r) ==
               RECORD_MESSAGE &&
           r.queue_offset == offset && r.queue_id == cq_id(q) &&
           tl_str_eq(r.topic, cq_topic(q));
}

struct finishing {
    struct store *s;
    int64_t end;
    int rc;
};

/* Entries at the queue's end that lead astray go: where a queue ends in the log decides on what is missing in it. */
static void cut_astray(void *arg, struct consumequeue *q)
{
    struct finishing *f = arg;
    int64_t end = cq_next(q);

    while (end > cq_begin(q) && !leads_to_record(f->s, q, end - 1, f->end))
        end--;
    if (!f->rc && end < cq_next(q))
        f->rc = cq_cut(q, end);
}

/* Nothing was ever deleted from the log, so no file of a queue either. */
static void check_first_file(void *arg, struct consumequeue *q)
{
    struct store *s = arg;

    if (s->log.n && segq_begin(&s->log) == 0 && cq_entries(q) < cq_next(q))
        s->queues_damaged = true;
}

/* Is something missing in the queues that no record of the last files would tell of? */
static bool queues_lack(struct store *s)
{
    const struct checkpoint *k = &s->checkpoint;
    int64_t sum = cqset_entries(&s->queues),
            expected = s->same_boot || s->clean_start ? k->queue_entries : k->queue_synced;

    cqset_each(&s->queues, check_first_file, s);
    if (!k->marked || sum >= expected)
        return s->queues_damaged;
    log_warn("the queues lack entries, scanning the whole log have=%" PRId64
             " expected=%" PRId64,
             sum, expected);
    return true;
}

static int64_t begin_position(struct store *s)
{
    int64_t known = -1, stable_ms = s->checkpoint.physic_ms;

    if (queues_lack(s))
        return segq_begin(&s->log);
    if (s->checkpoint.logics_ms < stable_ms)
        stable_ms = s->checkpoint.logics_ms;
    stable_ms -= CHECKPOINT_SLACK_MS;
    cqset_each(&s->queues, max_log_end, &known);
    for (size_t i = s->log.n; i-- > 1;) {
        struct record r;
        if (!first_record(s->log.list[i], &r) || r.log_pos > s->rescan_from)
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
    const struct checkpoint *k = &c->s->checkpoint;
    struct record r;

    if (record_decode(g->map + at, (size_t)(g->size - at), RECORD_CHECK_CRC, &r) !=
            RECORD_MESSAGE ||
        r.log_pos != g->start + at || r.store_timestamp < c->last_ms)
        return false;
    return k->marked || k->physic_ms == 0 || c->s->clean_start ||
           r.store_timestamp < k->physic_ms;
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

static int64_t find_newer_anywhere(const struct scan *c, const struct segment *g)
{
    const struct segq *q = &c->s->log;
    int64_t found = g ? find_newer(c, g, c->pos - g->start) : -1;

    for (size_t i = 0; i < q->n && found < 0; i++) {
        if (q->list[i]->start > c->pos)
            found = find_newer(c, q->list[i], 0);
    }
    return found;
}

static int damaged(const struct scan *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Refuse, or, when that is wished, tell and go on. */
static int damaged(const struct scan *c, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!c->s->opts.cut_damage)
        return tl_fail(TL_ECORRUPT,
                       "%s: nothing was changed; restore it from a copy or a replica, or set "
                       "truncateDamagedLog=true to go on without what is behind",
                       text);
    log_error("%s: the log is cut there (truncateDamagedLog) pos=%" PRId64, text, c->pos);
    return 0;
}

/* The records end at the scan's position: 0 when that is the end of the log.  @why: what stands there is no record. */
static int judge_tail(const struct scan *c, const char *why)
{
    const struct store *s = c->s;
    const struct segment *g = segq_find(&s->log, c->pos);
    const char *path = g ? g->path : s->log_dir;

    if (s->checkpoint.marked && c->pos < s->checkpoint.flushed)
        return damaged(c,
                       "%s is damaged or missing at position %" PRId64
                       " (%s), though all up to %" PRId64 " was on the disk",
                       path, c->pos, why, s->checkpoint.flushed);
    if (s->checkpoint.marked && !s->same_boot && !s->clean_start)
        return 0;
    int64_t found = find_newer_anywhere(c, g);
    if (found < 0)
        return 0;
    return damaged(
        c, "%s is damaged at position %" PRId64 " (%s), valid records go on at %" PRId64, path,
        c->pos, why, found);
}

/* ---- scanning ----------------------------------------------------------------------------- */

/* Is a part of the record that no checksum covers not there? */
static bool is_torn(const struct scan *c, const struct segment *g, const struct record *r)
{
    const struct checkpoint *k = &c->s->checkpoint;
    int64_t end = c->pos + r->size;

    if (c->s->clean_start ||
        (k->marked ? end <= k->flushed : r->store_timestamp <= k->physic_ms))
        return false;
    if (!c->s->same_boot)
        return memchr(r->topic.data, '\0', r->topic.len) ||
               (r->properties.len && memchr(r->properties.data, '\0', r->properties.len));
    int64_t at = end - g->start;
    return g->map[at - 1] == '\0' && (at + 4 > g->size || get_be32(g->map + at) == 0) &&
           r->properties.len > 0;
}

/* 1 = go on, 0 = the log ends here, negative = error code */
static int step(struct scan *c)
{
    struct store *s = c->s;
    struct segment *g = segq_find(&s->log, c->pos);
    struct record r;

    if (!g)
        return -judge_tail(c, "there is no such file");
    int64_t at = c->pos - g->start;
    int kind = record_decode(g->map + at, (size_t)(g->size - at),
                             s->opts.check_crc ? RECORD_CHECK_CRC : 0, &r);
    if (kind == RECORD_BLANK && (int64_t)r.size == g->size - at) {
        c->pos = g->start + g->size;
        return 1;
    }
    if (kind == RECORD_MESSAGE && r.log_pos != c->pos)
        kind = -tl_fail(TL_EFORMAT, "record says that it stands at %" PRId64, r.log_pos);
    if (kind == RECORD_MESSAGE && is_torn(c, g, &r))
        kind = -tl_fail(TL_ECORRUPT, "its properties are not there");
    if (kind != RECORD_MESSAGE) {
        struct tl_error why;
        tl_error_save(&why, TL_ECORRUPT);
        return -judge_tail(c, kind < 0 ? why.text : "a blank of a wrong length");
    }
    int rc = dispatch_replay(s, &r);
    if (rc)
        return -rc;
    if (s->opts.on_replay)
        s->opts.on_replay(s->opts.arg, &r);
    c->last_ms = r.store_timestamp;
    c->newer += c->pos >= s->checkpoint.log_end && dispatch_indexed(&r);
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
    c->last_ms = c->newer = 0;
    c->s->full_scan = from == segq_begin(&c->s->log);
    while ((rc = step(c)) > 0)
        ;
    publish_queues(c->s);
    return -rc;
}

static void finish_queue(void *arg, struct consumequeue *q)
{
    struct finishing *f = arg;

    cut_astray(f, q);
    if (!f->rc && !f->s->clean_start)
        f->rc = cq_cut(q, cq_next(q)); /* nothing may lie beyond */
    cq_trim(q, segq_begin(&f->s->log));
}

static void drop_queue(void *arg, struct consumequeue *q)
{
    (void)arg;
    if (cq_reset(q))
        log_error("queue not emptied: %s", tl_error_text());
}

/*
 * Everything behind the end: later files go, the rest of this one becomes zeros.  On the disk: a record that was cut
 * must not come back behind one that is going to be written here.
 */
static int cut_log(struct store *s, int64_t end)
{
    struct segment *g = segq_find(&s->log, end);
    int rc = segq_drop_from(&s->log, g ? end + 1 : end);

    if (rc || !g || segment_is_zero(g, end - g->start))
        return rc;
    log_warn("the log's tail is cut file=%s pos=%" PRId64, g->path, end);
    rc = segment_zero(g, end - g->start);
    return rc ? rc : segment_sync(g);
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

/* What stood here is gone as a whole, and nobody said that it should. */
static int check_begin(struct store *s)
{
    const struct checkpoint *k = &s->checkpoint;
    struct scan c = {.s = s, .pos = k->log_begin};

    if (!k->marked)
        return 0;
    if (s->log.n == 0 && k->flushed > k->log_begin)
        return damaged(&c, "%s has no files, though the log went from %" PRId64 " to %" PRId64,
                       s->log_dir, k->log_begin, k->flushed);
    if (s->log.n && segq_begin(&s->log) > k->log_begin)
        log_error("%s: files are missing from %020" PRId64 " to %020" PRId64
                  ", their messages are lost",
                  s->log_dir, k->log_begin, segq_begin(&s->log));
    return 0;
}

/* While the machine went on, every record since the checkpoint has added one. */
static bool queues_still_lack(const struct scan *c)
{
    struct store *s = c->s;

    if (!s->checkpoint.marked || !(s->same_boot || s->clean_start) ||
        s->checkpoint.queue_entries < 0 || s->full_scan)
        return false;
    return cqset_entries(&s->queues) < s->checkpoint.queue_entries + c->newer;
}

static int scan_all(struct scan *c, int64_t *first)
{
    struct store *s = c->s;

    struct finishing f = {.s = s, .end = INT64_MAX};

    cqset_each(&s->queues, cut_astray, &f);
    if (f.rc)
        return f.rc;
    *first = begin_position(s);
    int rc = scan_from(c, *first);
    if (!rc && queues_still_lack(c))
        rc = tl_fail(TL_EORDER, "the queues lack entries");
    if (rc == TL_EORDER && !s->full_scan) {
        log_warn("scanning the whole log: %s", tl_error_text());
        *first = segq_begin(&s->log);
        rc = scan_from(c, *first);
    }
    return rc;
}

/* Files and tables agree on the end now: bring that to the disk, and tell how far it was there before. */
static int settle(struct store *s, int64_t first)
{
    struct checkpoint *k = &s->checkpoint;
    int rc = s->opts.flush_sync ? sync_scanned(s, first) : 0;

    if (rc)
        return rc;
    if (s->opts.flush_sync || s->clean_start)
        k->flushed = s->tail_pos;
    else if (!k->marked || k->flushed > s->tail_pos)
        k->flushed = first;
    k->log_begin = segq_begin(&s->log);
    k->queue_entries = cqset_entries(&s->queues);
    k->log_end = s->tail_pos;
    if (k->queue_synced > k->queue_entries)
        k->queue_synced = k->queue_entries;
    atomic_store(&s->index_full_ms, k->index_ms);
    if ((rc = checkpoint_write(s->checkpoint_path, k)) != 0)
        return rc;
    s->written = *k;
    s->written.marked = true;
    return fs_sync_dir(s->root);
}

int recover(struct store *s)
{
    int64_t begun = clock_mono_ms(), first;
    struct scan c = {.s = s, .begun_ms = begun, .told_ms = begun};
    int rc = check_begin(s);

    if (rc)
        return rc;
    if (s->log.n == 0) /* queues without a log point nowhere */
        cqset_each(&s->queues, drop_queue, NULL);
    if ((rc = scan_all(&c, &first)) || (rc = store_write_abort(s)))
        return rc;
    struct finishing f = {.s = s, .end = c.pos};
    cqset_each(&s->queues, finish_queue, &f);
    if ((rc = f.rc) || (rc = drops_clamp(s, c.pos)) || (rc = cut_log(s, c.pos)))
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
    if ((rc = fs_mkdirs_synced(s->log_dir)) || (rc = settle(s, first)))
        return rc;
    return ensure_tail(s);
}
