/*
 * dispatch - what follows from a record: its entry in a consume queue (ReputMessageService)
 *
 * A live append and a replay after a crash go through the same steps; a replay skips what is there.
 */
#include "base/err.h"
#include "base/hash.h"
#include "proto/flags.h"
#include "proto/names.h"
#include "proto/properties.h"
#include "store/store_private.h"

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

void dispatch_put(struct store *s, struct consumequeue *q, const struct record *r)
{
    struct cq_entry e = {
        .log_pos = r->log_pos, .size = (int32_t)r->size, .tag_hash = tag_hash(s, r)};

    cq_put(q, &e);
    cq_touch(&s->touched, q);
}

int dispatch_replay(struct store *s, const struct record *r)
{
    if (!dispatch_indexed(r))
        return 0;
    struct consumequeue *q = cqset_find(&s->queues, r->topic, r->queue_id, true);
    int64_t next = cq_next(q);

    if (r->queue_offset < next)
        return 0;
    /* Only from the log's beginning on may a queue begin in its middle: older records were deleted. */
    if (r->queue_offset > next && (cq_log_end(q) >= 0 || !s->full_scan))
        return tl_fail(TL_EORDER, "queue %.*s-%d ends at %lld, a record has %lld",
                       TL_STR_ARG(r->topic), r->queue_id, (long long)next,
                       (long long)r->queue_offset);
    int rc = cq_reserve(q, 1, r->queue_offset);
    if (rc)
        return rc;
    dispatch_put(s, q, r);
    return 0;
}
