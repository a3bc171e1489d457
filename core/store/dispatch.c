/*
 * dispatch - what follows from a record: its entry in a consume queue (ReputMessageService)
 *
 * A live append and a replay after a crash make the same entries; a replay compares them with what is there and puts right
 * what a power cut has torn.
 */
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "proto/flags.h"
#include "proto/names.h"
#include "proto/properties.h"
#include "store/store_private.h"

#undef LOG_MODULE
#define LOG_MODULE "store"

enum { UNKNOWN_LEVEL_MS = 1000 };

bool dispatch_indexed(const struct record *r)
{
    int transaction = r->sys_flag & SYS_TRANSACTION_MASK;

    return transaction != SYS_PREPARED && transaction != SYS_ROLLBACK;
}

/* When a delayed message is due: it stands where the tag hash does. */
static int64_t deliver_time(const struct store *s, const struct record *r, int32_t level)
{
    if (level > s->opts.delay_levels)
        level = s->opts.delay_levels;
    return r->store_timestamp +
           (level > 0 ? s->opts.delay_level_ms[level - 1] : UNKNOWN_LEVEL_MS);
}

static int64_t tag_hash(const struct store *s, const struct record *r)
{
    struct tl_str tags = TL_STR_NONE, name, value;
    int32_t level = 0;

    for (size_t at = 0; properties_next(r->properties, &at, &name, &value);) {
        if (tl_str_eq(name, PROP_TAGS))
            tags = value;
        else if (tl_str_eq(name, PROP_DELAY) && tl_str_is(r->topic, NAME_SCHEDULE_TOPIC))
            tl_str_i32(value, &level);
    }
    if (level > 0)
        return deliver_time(s, r, level);
    return tags.len ? hash_java_string(tags) : 0;
}

static struct cq_entry entry_of(const struct store *s, const struct record *r)
{
    return (struct cq_entry){
        .log_pos = r->log_pos, .size = (int32_t)r->size, .tag_hash = tag_hash(s, r)};
}

void dispatch_put(struct store *s, struct consumequeue *q, const struct record *r)
{
    struct cq_entry e = entry_of(s, r);

    cq_put(q, &e);
    cq_touch(&s->touched, q);
}

/*
 * Entries before the record's are missing.  Only from the log's beginning on may that be: older records were deleted, or
 * lost with a part of the log.
 */
static int fill_gap(struct store *s, struct consumequeue *q, const struct record *r)
{
    int64_t next = cq_next(q);

    if (!s->full_scan)
        return tl_fail(TL_EORDER, "queue %.*s-%d ends at %lld, a record has %lld",
                       TL_STR_ARG(r->topic), r->queue_id, (long long)next,
                       (long long)r->queue_offset);
    if (next == 0)
        return 0; /* cq_reserve() begins there */
    log_error("messages are missing in the log topic=%.*s queue=%d from=%lld to=%lld",
              TL_STR_ARG(r->topic), r->queue_id, (long long)next,
              (long long)r->queue_offset - 1);
    return cq_pad(q, r->queue_offset);
}

int dispatch_replay(struct store *s, const struct record *r)
{
    if (!dispatch_indexed(r) || r->log_pos < drops_find(s, r->topic))
        return 0;
    struct consumequeue *q = cqset_find(&s->queues, r->topic, r->queue_id, true);
    struct cq_entry e = entry_of(s, r);
    int rc = 0;

    switch (cq_place(q, &e, r->queue_offset, !s->checkpoint.marked)) {
    case CQ_KNOWN: return 0;
    case CQ_ANEW: rc = r->queue_offset > 0 ? cq_cut(q, r->queue_offset) : cq_reset(q); break;
    case CQ_ASTRAY:
        log_error(
            "record is out of order and left out topic=%.*s queue=%d offset=%lld pos=%lld",
            TL_STR_ARG(r->topic), r->queue_id, (long long)r->queue_offset,
            (long long)r->log_pos);
        return 0;
    case CQ_LOST:
        rc = cq_reset(q);
        if (!rc && !s->full_scan)
            rc = tl_fail(TL_EORDER, "queue %.*s-%d lacks a file", TL_STR_ARG(r->topic),
                         r->queue_id);
        break;
    case CQ_GAP: rc = fill_gap(s, q, r); break;
    case CQ_NEXT: break;
    }
    if (!rc)
        rc = cq_reserve(q, 1, r->queue_offset);
    if (rc)
        return rc;
    cq_put(q, &e);
    cq_touch(&s->touched, q);
    return 0;
}
