/*
 * Offsets of queues and of consumers, messages by position (ConsumerManageProcessor,
 * AdminBrokerProcessor)
 */
#include "base/err.h"
#include "broker/broker.h"
#include "broker/groups.h"
#include "broker/handle.h"
#include "broker/handlers.h"
#include "broker/offsets.h"
#include "broker/topics.h"
#include "proto/code.h"
#include "proto/hdr_consume.h"
#include "store/read.h"
#include "store/store.h"

static void reply_offset(struct request *rq, int64_t offset)
{
    struct offset_response ext = {.offset = offset};
    handle_reply_ext(rq, &offset_response_header, &ext);
}

/*
 * A queue whose first message is still there and recent: a group that comes new starts at
 * 0, so that it gets what was sent shortly before it started.
 */
static bool young(struct broker *b, struct tl_str topic, int32_t queue_id)
{
    int64_t min, max;

    store_queue_bounds(b->store, topic, queue_id, &min, &max);
    if (min > 0 || max <= 0)
        return false;
    int64_t log_pos = read_log_pos(b->store, topic, queue_id, 0);
    return log_pos >= 0 && read_is_recent(b->store, log_pos);
}

void on_query_offset(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct query_offset_request *h = request_header(rq);
    struct tl_str group = h->consumer_group.data ? h->consumer_group : TL_STR("null");
    int64_t offset = offsets_query(b->offsets, group, h->topic, h->queue_id);

    if (offset >= 0)
        reply_offset(rq, offset);
    else if (!h->set_zero_if_not_found)
        request_fail(rq, RS_QUERY_NOT_FOUND,
                     "Not found, do not set to zero, maybe this group boot first");
    else if (young(b, h->topic, h->queue_id))
        reply_offset(rq, 0);
    else
        request_fail(rq, RS_QUERY_NOT_FOUND,
                     "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first");
}

void on_update_offset(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    struct broker_io *io = broker_io(b);
    const struct update_offset_request *h = request_header(rq);

    if (!h->topic.data) {
        handle_missing(rq, "topic");
    } else if (!h->consumer_group.len ||
               !groups_exists(b->groups, &io->groups, h->consumer_group)) {
        request_fail(rq, RS_SUBSCRIPTION_GROUP_NOT_EXIST, "Group %.*s not exist!",
                     TL_STR_ARG(h->consumer_group.data ? h->consumer_group : TL_STR("null")));
    } else if (!topics_find(b->topics, &io->topics, h->topic)) {
        request_fail(rq, RS_TOPIC_NOT_EXIST, "Topic %.*s not exist!", TL_STR_ARG(h->topic));
    } else if (!(h->present & UPDATE_HAS_QUEUE)) {
        request_fail(rq, RS_INVALID_PARAMETER, "QueueId is null, topic is %.*s",
                     TL_STR_ARG(h->topic));
    } else if (!(h->present & UPDATE_HAS_OFFSET)) {
        request_fail(rq, RS_INVALID_PARAMETER, "Offset is null, topic is %.*s",
                     TL_STR_ARG(h->topic));
    } else {
        offsets_commit(b->offsets, h->consumer_group, h->topic, h->queue_id, h->commit_offset);
        request_ok(rq);
    }
}

void on_search_offset(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct search_offset_request *h = request_header(rq);
    bool upper = tl_str_eq_nocase(h->boundary_type, TL_STR("upper"));

    reply_offset(rq, read_offset_by_time(b->store, h->topic, h->queue_id, h->timestamp, upper));
}

void on_max_offset(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct queue_request *h = request_header(rq);
    int64_t min, max;

    store_queue_bounds(b->store, h->topic, h->queue_id, &min, &max);
    reply_offset(rq, max);
}

void on_min_offset(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct queue_request *h = request_header(rq);
    struct offset_response ext;
    int64_t min, max;

    store_queue_bounds(b->store, h->topic, h->queue_id, &min, &max);
    ext.offset = min;
    /* The Java broker gives this answer an empty remark. */
    request_reply(rq, &(struct reply){.remark = TL_STR(""),
                                      .header = &offset_response_header,
                                      .ext = &ext,
                                      .has_ext = true});
}

void on_earliest_time(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct queue_request *h = request_header(rq);
    struct timestamp_response ext = {.timestamp = -1};
    int64_t min, max;

    store_queue_bounds(b->store, h->topic, h->queue_id, &min, &max);
    if (min < max)
        ext.timestamp = read_store_time(b->store, h->topic, h->queue_id, min);
    handle_reply_ext(rq, &timestamp_response_header, &ext);
}

void on_view_message(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct view_message_request *h = request_header(rq);
    struct read_slice record;

    if (read_at(b->store, h->offset, &record)) {
        request_fail(rq, RS_SYSTEM_ERROR, "can not find message by the offset, %lld",
                     (long long)h->offset);
        return;
    }
    struct body_slice body = {.data = record.data,
                              .len = record.len,
                              .release = read_release_slice,
                              .arg = record.pin};
    request_reply(rq, &(struct reply){.slices = &body, .nslices = 1});
}

/* {"group":["topic"]} of the keys "topic@group". */
static json_t *topics_by_group(const json_t *table)
{
    json_t *groups = json_object(), *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)table, key, value)
    {
        const char *at = strchr(key, '@');
        if (!at)
            continue;
        json_t *topics = json_object_get(groups, at + 1);
        if (!topics)
            json_object_set_new(groups, at + 1, topics = json_array());
        json_array_append_new(topics, json_stringn(key, (size_t)(at - key)));
    }
    return groups;
}

void on_all_consumer_offset(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    struct data_version version;
    struct strbuf text = {0};
    json_t *body = json_object(), *table = offsets_table(b->offsets, NULL);

    if (!json_object_size(table)) {
        json_decref(table);
        json_decref(body);
        request_fail(rq, RS_SYSTEM_ERROR, "No consumer offset in this broker");
        return;
    }
    offsets_version(b->offsets, &version);
    json_object_set_new(body, "dataVersion", data_version_to_json(&version));
    json_object_set_new(body, "groupTopicMap", topics_by_group(table));
    json_object_set_new(body, "offsetTable", table);
    json_write_fastjson(body, &text);
    json_decref(body);
    request_ok_body(rq, strbuf_str(&text));
    strbuf_release(&text);
}
