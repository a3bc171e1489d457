#include "store/read.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store_private.h"

#undef LOG_MODULE
#define LOG_MODULE "store"

enum {
    ENTRIES_AT_ONCE = 64,
    PAYLOAD_MAX = 12 << 20,  /* one answer stays below a frame, whatever the limits say */
    BY_KEY_WAIT_MS = 500,    /* for the index to catch up with what is in the log now */
    RECENT_ENTRIES = 100000, /* of a queue: their entries are taken to be in memory */
    READ_AHEAD = 1 << 20,
    LOOK_BYTES = 1 << 20, /* of the log, for the record of a damaged entry */
    RECENT_BYTES =
        256 << 20, /* "young": so close to the log's end that it surely is in memory */
};

static const char *const status_names[] = {
    [READ_FOUND] = "FOUND",
    [READ_NO_MATCHED_MESSAGE] = "NO_MATCHED_MESSAGE",
    [READ_MESSAGE_WAS_REMOVING] = "MESSAGE_WAS_REMOVING",
    [READ_OFFSET_FOUND_NULL] = "OFFSET_FOUND_NULL",
    [READ_OFFSET_OVERFLOW_BADLY] = "OFFSET_OVERFLOW_BADLY",
    [READ_OFFSET_OVERFLOW_ONE] = "OFFSET_OVERFLOW_ONE",
    [READ_OFFSET_TOO_SMALL] = "OFFSET_TOO_SMALL",
    [READ_NO_MATCHED_LOGIC_QUEUE] = "NO_MATCHED_LOGIC_QUEUE",
    [READ_NO_MESSAGE_IN_QUEUE] = "NO_MESSAGE_IN_QUEUE",
};

const char *read_status_name(enum read_status status)
{
    return status_names[status];
}

void read_release_slice(void *pin)
{
    segment_unref(pin);
}

void read_release(struct read_result *r)
{
    for (int32_t i = 0; i < r->nslices; i++) {
        if (r->slices[i].pin)
            read_release_slice(r->slices[i].pin);
    }
    if (r->slices != r->inline_slices)
        free(r->slices);
    r->slices = r->inline_slices;
    r->nslices = 0;
}

/* ---- one query ---------------------------------------------------------------------------- */

struct reading {
    struct store *s;
    const struct read_query *q;
    struct read_result *out;
    struct consumequeue *cq;
    int32_t slices_cap;
    int64_t record_bytes; /* shown to the record filter */
    bool removed;         /* an entry's record is gone already */
};

static enum read_status check_bounds(const struct read_query *q, struct read_result *out)
{
    int64_t min = out->min_offset, max = out->max_offset;

    out->next_offset = q->offset;
    if (max == 0) {
        out->next_offset = 0;
        return READ_NO_MESSAGE_IN_QUEUE;
    }
    if (q->offset < min) {
        out->next_offset = min;
        return READ_OFFSET_TOO_SMALL;
    }
    if (q->offset == max)
        return READ_OFFSET_OVERFLOW_ONE;
    if (q->offset > max) {
        out->next_offset = max;
        return READ_OFFSET_OVERFLOW_BADLY;
    }
    return READ_FOUND;
}

static struct read_slice *new_slice(struct reading *r)
{
    struct read_result *out = r->out;

    if (out->nslices == r->slices_cap) {
        int32_t cap = r->slices_cap * 2;
        if (out->slices == out->inline_slices) {
            out->slices = xmalloc((size_t)cap * sizeof(*out->slices));
            memcpy(out->slices, out->inline_slices, sizeof(out->inline_slices));
        } else {
            out->slices = xrealloc(out->slices, (size_t)cap * sizeof(*out->slices));
        }
        r->slices_cap = cap;
    }
    return &out->slices[out->nslices++];
}

/* Neighbours in the same segment become one slice. */
static void take(struct reading *r, struct seg_view *view, const struct cq_entry *e)
{
    struct read_result *out = r->out;
    struct read_slice *last = out->nslices ? &out->slices[out->nslices - 1] : NULL;

    if (last && last->pin == view->segment && last->data + last->len == view->data) {
        last->len += (size_t)e->size;
        segq_unpin(view);
    } else {
        *new_slice(r) = (struct read_slice){view->data, (size_t)e->size, view->segment};
    }
    out->messages++;
    out->bytes += e->size;
}

static enum read_verdict ask_filter(struct reading *r, const struct seg_view *view,
                                    const struct cq_entry *e, int64_t offset)
{
    if (!r->q->record)
        return READ_TAKE;
    if (r->out->scanned > 1 && r->record_bytes + e->size > r->q->scan_bytes)
        return READ_STOP;
    r->record_bytes += e->size;
    return r->q->record(r->q->arg, view->data, (size_t)e->size, offset);
}

/* By the fields that a damaged entry, or record, is bound to miss. */
static bool is_record_of(const uint8_t *p, const struct cq_entry *e, int64_t offset)
{
    return (int32_t)get_be32(p) == e->size &&
           (int64_t)get_be64(p + RECORD_AT_QUEUE_OFFSET) == offset &&
           (int64_t)get_be64(p + RECORD_AT_LOG_POS) == e->log_pos;
}

/* Where to look for the record of @offset: behind the one before, or, for a queue's first, from its file's beginning; up to the next. */
static bool look_where(struct reading *r, const struct cq_entry *e, int64_t offset,
                       int64_t *from, int64_t *to)
{
    struct cq_entry before, after;
    struct seg_view view;
    bool first = cq_read(r->cq, offset - 1, &before, 1) != 1 || before.size == CQ_PADDING_SIZE;

    *to = cq_read(r->cq, offset + 1, &after, 1) == 1 ? after.log_pos : store_visible_end(r->s);
    if (!first) {
        *from = before.log_pos + before.size;
    } else if (segq_pin(&r->s->log, e->log_pos < *to ? e->log_pos : *to, &view)) {
        *from = view.segment->start;
        segq_unpin(&view);
    } else {
        return false;
    }
    return *to >= *from && *to - *from <= LOOK_BYTES;
}

/*
 * The record of @offset, looked for between those of its neighbours, record by record.  1 and the entry as it should be;
 * 0: it is damaged; -1: that is not to be known here.
 */
static int look_for_record(struct reading *r, int64_t offset, struct cq_entry *out)
{
    int64_t pos, to;
    struct seg_view view;

    if (!look_where(r, out, offset, &pos, &to))
        return -1;
    while (pos < to && segq_pin(&r->s->log, pos, &view)) {
        struct record rec;
        int kind = record_decode(view.data, (size_t)view.len, RECORD_CHECK_CRC, &rec);
        bool match = kind == RECORD_MESSAGE && rec.log_pos == pos &&
                     rec.queue_offset == offset && rec.queue_id == r->q->queue_id &&
                     tl_str_eq(rec.topic, r->q->topic);
        int64_t step = kind == RECORD_BLANK ? view.len : (int64_t)rec.size;
        segq_unpin(&view);
        if (match) {
            out->log_pos = pos;
            out->size = (int32_t)rec.size;
            return 1;
        }
        if (kind < 0)
            return 0;
        pos += step;
    }
    return offset > cq_begin(r->cq) ? 0 : -1;
}

/* The entry leads to no record of its own: 1 = there it is, 0 = skip it, negative = error code */
static int astray(struct reading *r, struct cq_entry *e, int64_t offset)
{
    const struct read_query *q = r->q;
    int found = look_for_record(r, offset, e);

    if (found == 0) {
        log_warn_every(
            1000, "message is damaged and skipped topic=%.*s queue=%d offset=%lld pos=%lld",
            TL_STR_ARG(q->topic), q->queue_id, (long long)offset, (long long)e->log_pos);
        return 0;
    }
    atomic_store_explicit(&r->s->queues_suspect, true, memory_order_relaxed);
    if (found > 0)
        return 1;
    return -tl_fail(
        TL_ECORRUPT,
        "queue %.*s-%d offset %lld points at %lld+%d, which is not its record; the next "
        "start makes the queue again",
        TL_STR_ARG(q->topic), q->queue_id, (long long)offset, (long long)e->log_pos, e->size);
}

/* The entry's record, pinned; when the entry is damaged, as it should be in @e.  1, 0 = there is none, negative = error code */
static int pin_record(struct reading *r, struct cq_entry *e, int64_t offset,
                      struct seg_view *view)
{
    bool pinned = segq_pin(&r->s->log, e->log_pos, view);

    if (pinned && e->size >= RECORD_AT_LOG_POS + 8 && e->size <= view->len &&
        is_record_of(view->data, e, offset))
        return 1;
    if (pinned)
        segq_unpin(view);
    if (e->log_pos >= 0 && e->log_pos < segq_first(&r->s->log)) {
        r->removed = true;
        return 0;
    }
    int rc = astray(r, e, offset);
    if (rc > 0 && !segq_pin(&r->s->log, e->log_pos, view))
        rc = 0;
    return rc;
}

/* 1 = go on, 0 = stop before this entry, negative = error code */
static int one_entry(struct reading *r, const struct cq_entry *entry, int64_t offset)
{
    const struct read_query *q = r->q;
    struct read_result *out = r->out;
    struct seg_view view;
    struct cq_entry e = *entry;

    if (out->messages > 0 &&
        (out->messages >= q->max_nums || out->bytes + e.size > q->max_bytes ||
         out->bytes + e.size > PAYLOAD_MAX))
        return 0;
    if (out->scanned >= q->scan_entries)
        return 0;
    out->scanned++;
    if (e.size == CQ_PADDING_SIZE || (q->entry && !q->entry(q->arg, e.tag_hash)))
        return 1;
    int rc = pin_record(r, &e, offset, &view);
    if (rc <= 0)
        return rc ? rc : 1;
    enum read_verdict verdict = ask_filter(r, &view, &e, offset);
    if (verdict == READ_TAKE) {
        take(r, &view, &e);
    } else {
        segq_unpin(&view);
        if (verdict == READ_STOP)
            return 0;
    }
    return 1;
}

static int read_entries(struct reading *r, struct consumequeue *cq)
{
    struct cq_entry entries[ENTRIES_AT_ONCE];
    struct read_result *out = r->out;
    int64_t at = r->q->offset;
    size_t n;

    while ((n = cq_read(cq, at, entries, ENTRIES_AT_ONCE)) > 0) {
        for (size_t i = 0; i < n; i++, at++) {
            int rc = one_entry(r, &entries[i], at);
            if (rc <= 0) {
                out->next_offset = at;
                return -rc;
            }
        }
    }
    out->next_offset = at;
    return 0;
}

/* ---- old data ----------------------------------------------------------------------------- */

/* The records a query is going to look at, as far as they are of interest. */
struct looked {
    struct cq_entry list[READ_COLD_MAX];
    int32_t n;
    int64_t low, high; /* of the log: they all lie in between */
};

/* Those it returns (by tag) without a filter on records, with one all up to the scan's limits; up to the first recent one. */
static void collect_records(struct store *s, struct consumequeue *cq,
                            const struct read_query *q, struct looked *out)
{
    int64_t at = q->offset, bytes = 0, bytes_max = q->record ? q->scan_bytes : q->max_bytes;
    int32_t n_max = q->record ? q->scan_entries : q->max_nums;
    struct cq_entry entries[ENTRIES_AT_ONCE];
    size_t got;

    for (int32_t scanned = 0; scanned < q->scan_entries && out->n < n_max && bytes < bytes_max;
         scanned += (int32_t)got, at += (int64_t)got) {
        got = cq_read(cq, at, entries, ENTRIES_AT_ONCE);
        if (got == 0)
            return;
        for (size_t i = 0; i < got && out->n < n_max && bytes < bytes_max; i++) {
            const struct cq_entry *e = &entries[i];
            if (read_is_recent(s, e->log_pos) || out->n == READ_COLD_MAX)
                return;
            if (e->size == CQ_PADDING_SIZE || (q->entry && !q->entry(q->arg, e->tag_hash)))
                continue;
            if (out->n == 0 || e->log_pos < out->low)
                out->low = e->log_pos;
            if (e->log_pos + e->size > out->high)
                out->high = e->log_pos + e->size;
            out->list[out->n++] = *e;
            bytes += e->size;
        }
    }
}

/* One question for all of them, when they lie close together: it costs a system call. */
static bool all_in_memory(struct store *s, const struct looked *l)
{
    struct seg_view view;
    int64_t span = l->high - l->low;
    bool in = false;

    if (span > LOOK_BYTES || !segq_pin(&s->log, l->low, &view))
        return false;
    if (span <= view.len)
        in = segment_in_memory(view.segment, view.data - view.segment->map, span);
    segq_unpin(&view);
    return in;
}

static void look_at_record(struct store *s, const struct cq_entry *e, struct read_cold *out)
{
    struct seg_view view;

    if (!segq_pin(&s->log, e->log_pos, &view))
        return;
    if (e->size <= view.len &&
        !segment_in_memory(view.segment, view.data - view.segment->map, e->size)) {
        out->records[out->n].log_pos = e->log_pos;
        out->records[out->n++].size = e->size;
    }
    segq_unpin(&view);
}

static void look_at_records(struct store *s, struct consumequeue *cq,
                            const struct read_query *q, struct read_cold *out)
{
    struct looked l = {.n = 0};

    collect_records(s, cq, q, &l);
    if (l.n == 0 || all_in_memory(s, &l))
        return;
    for (int32_t i = 0; i < l.n; i++)
        look_at_record(s, &l.list[i], out);
}

bool read_is_cold(struct store *s, const struct read_query *q, struct read_cold *out)
{
    struct consumequeue *cq = cqset_find(&s->queues, q->topic, q->queue_id, false);

    out->n = 0;
    out->entries = false;
    if (!cq || q->offset < cq_begin(cq) || q->offset >= cq_end(cq))
        return false;
    if (cq_end(cq) - q->offset > RECENT_ENTRIES &&
        !cq_in_memory(cq, q->offset, ENTRIES_AT_ONCE))
        out->entries = true;
    else
        look_at_records(s, cq, q, out);
    return out->entries || out->n > 0;
}

void read_warm(struct store *s, struct tl_str topic, int32_t queue_id, int64_t offset,
               const struct read_cold *cold)
{
    struct consumequeue *cq = cqset_find(&s->queues, topic, queue_id, false);
    struct cq_entry entries[ENTRIES_AT_ONCE];
    struct seg_view view;

    if (cq && cold->entries)
        cq_read(cq, offset, entries, ENTRIES_AT_ONCE);
    for (int32_t i = 0; i < cold->n; i++) {
        if (!segq_pin(&s->log, cold->records[i].log_pos, &view))
            continue;
        segment_warm(view.segment, view.data - view.segment->map, cold->records[i].size,
                     READ_AHEAD);
        segq_unpin(&view);
    }
}

int read_messages(struct store *s, const struct read_query *q, struct read_result *out)
{
    struct reading r = {.s = s,
                        .q = q,
                        .out = out,
                        .slices_cap =
                            sizeof(out->inline_slices) / sizeof(out->inline_slices[0])};
    struct consumequeue *cq = cqset_find(&s->queues, q->topic, q->queue_id, false);

    out->status = READ_NO_MESSAGE_IN_QUEUE; /* Java makes the queue when it is asked for it */
    out->next_offset = out->min_offset = out->max_offset = out->bytes = 0;
    out->messages = out->scanned = out->nslices = 0;
    out->slices = out->inline_slices;
    if (!cq)
        return 0;
    out->max_offset = cq_end(cq);
    out->min_offset = cq_begin(cq);
    out->status = check_bounds(q, out);
    if (out->status != READ_FOUND)
        return 0;
    r.cq = cq;
    int rc = read_entries(&r, cq);
    if (rc) {
        read_release(out);
        return rc;
    }
    if (out->messages == 0 && out->scanned == 0 && out->next_offset == q->offset)
        out->status = READ_OFFSET_FOUND_NULL;
    else if (out->messages == 0)
        out->status = r.removed ? READ_MESSAGE_WAS_REMOVING : READ_NO_MATCHED_MESSAGE;
    return 0;
}

/* ---- single records ----------------------------------------------------------------------- */

int read_at(struct store *s, int64_t log_pos, struct read_slice *out)
{
    struct seg_view view;
    struct record r;

    if (log_pos < 0 || log_pos >= store_visible_end(s) || !segq_pin(&s->log, log_pos, &view))
        return tl_fail(TL_ENOTFOUND, "can not find message by the offset, %lld",
                       (long long)log_pos);
    if (record_decode(view.data, (size_t)view.len, 0, &r) != RECORD_MESSAGE ||
        r.log_pos != log_pos) {
        segq_unpin(&view);
        return tl_fail(TL_ENOTFOUND, "can not find message by the offset, %lld",
                       (long long)log_pos);
    }
    *out = (struct read_slice){view.data, r.size, view.segment};
    return 0;
}

/* ---- by key ------------------------------------------------------------------------------- */

static int by_position(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* What was deleted from the log meanwhile is left out. */
static void load_records(struct store *s, struct read_by_key *q, int64_t *pos, int32_t n)
{
    qsort(pos, (size_t)n, sizeof(*pos), by_position);
    for (int32_t i = 0; i < n; i++) {
        if ((i == 0 || pos[i] != pos[i - 1]) && read_at(s, pos[i], &q->slices[q->n]) == 0)
            q->n++;
    }
}

void read_by_key(struct store *s, struct read_by_key *q)
{
    int64_t pos[READ_BY_KEY_MAX];
    struct index_hits hits = {0};
    int32_t max = q->max < READ_BY_KEY_MAX ? q->max : READ_BY_KEY_MAX;

    q->slices = xcalloc(READ_BY_KEY_MAX, sizeof(*q->slices));
    q->n = 0;
    if (s->opts.index_entries) {
        indexer_wait(s, BY_KEY_WAIT_MS);
        index_find(&s->index, q->topic, q->key, max, q->begin_ms, q->end_ms, pos, &hits);
        load_records(s, q, pos, hits.n);
    }
    q->last_update_ms = hits.last_update_ms;
    q->last_update_pos = hits.last_update_pos;
}

void read_by_key_release(struct read_by_key *q)
{
    for (int32_t i = 0; i < q->n; i++)
        read_release_slice(q->slices[i].pin);
    free(q->slices);
    q->slices = NULL;
    q->n = 0;
}

/* ---- by time ------------------------------------------------------------------------------ */

static int64_t entry_time(struct store *s, struct consumequeue *cq, int64_t offset)
{
    struct cq_entry e;
    struct seg_view view;

    if (cq_read(cq, offset, &e, 1) != 1 || e.size == CQ_PADDING_SIZE ||
        !segq_pin(&s->log, e.log_pos, &view))
        return -1;
    int64_t ms = record_store_timestamp(view.data);
    segq_unpin(&view);
    return ms;
}

int64_t read_store_time(struct store *s, struct tl_str topic, int32_t queue_id, int64_t offset)
{
    struct consumequeue *cq = cqset_find(&s->queues, topic, queue_id, false);
    return cq ? entry_time(s, cq, offset) : -1;
}

size_t read_queue(struct store *s, struct tl_str topic, int32_t queue_id, int64_t from,
                  struct cq_entry *out, size_t max)
{
    struct consumequeue *cq = cqset_find(&s->queues, topic, queue_id, false);
    return cq ? cq_read(cq, from, out, max) : 0;
}

int64_t read_log_pos(struct store *s, struct tl_str topic, int32_t queue_id, int64_t offset)
{
    struct consumequeue *cq = cqset_find(&s->queues, topic, queue_id, false);
    struct cq_entry e;

    return cq && cq_read(cq, offset, &e, 1) == 1 && e.size != CQ_PADDING_SIZE ? e.log_pos : -1;
}

/* Times do not fall within a queue: binary search for the first entry that is later than (or, @or_equal, at) @ms. */
static int64_t first_later(struct store *s, struct consumequeue *cq, int64_t ms, bool or_equal)
{
    int64_t low = cq_begin(cq), high = cq_end(cq);

    while (low < high) {
        int64_t mid = low + (high - low) / 2, t = entry_time(s, cq, mid);
        if (t > ms || (or_equal && t == ms))
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

int64_t read_offset_by_time(struct store *s, struct tl_str topic, int32_t queue_id, int64_t ms,
                            bool upper)
{
    struct consumequeue *cq = cqset_find(&s->queues, topic, queue_id, false);

    if (!cq || cq_end(cq) == cq_begin(cq))
        return cq ? cq_end(cq) : 0;
    if (!upper)
        return first_later(s, cq, ms, true);
    /* Behind the last message its offset is the answer, as in Java; before the first it is 0. */
    int64_t later = first_later(s, cq, ms, false);
    return later > cq_begin(cq) ? later - 1 : 0;
}

bool read_is_recent(struct store *s, int64_t log_pos)
{
    return atomic_load_explicit(&s->log_end, memory_order_relaxed) - log_pos <=
           (s->opts.recent_bytes ? s->opts.recent_bytes : RECENT_BYTES);
}
