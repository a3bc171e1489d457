/*
 * Messages by key and raw queue entries (QueryMessageProcessor, AdminBrokerProcessor.queryConsumeQueue)
 */
#include <stdlib.h>

#include "base/mem.h"
#include "broker/broker.h"
#include "broker/clients.h"
#include "broker/handle.h"
#include "broker/handlers.h"
#include "proto/code.h"
#include "proto/hdr_consume.h"
#include "store/read.h"
#include "store/store.h"

/* ---- QUERY_MESSAGE ------------------------------------------------------------------------ */

void on_query_message(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct query_message_request *h = request_header(rq);
    bool unique = tl_str_eq_nocase(h->unique_key_query, TL_STR("true"));
    int32_t max = unique ? b->conf->default_query_max_num : h->max_num;
    struct read_by_key q = {
        .topic = h->topic,
        .key = h->key.data ? h->key : TL_STR("null"), /* Java's text of no text */
        .max = max < b->conf->max_msgs_num_batch ? max : b->conf->max_msgs_num_batch,
        .begin_ms = h->begin_timestamp,
        .end_ms = h->end_timestamp,
    };
    struct body_slice body[READ_BY_KEY_MAX];

    read_by_key(b->store, &q);
    struct query_message_response ext = {.index_last_update_timestamp = q.last_update_ms,
                                         .index_last_update_phyoffset = q.last_update_pos};
    for (int32_t i = 0; i < q.n; i++)
        body[i] = (struct body_slice){.data = q.slices[i].data,
                                      .len = q.slices[i].len,
                                      .release = read_release_slice,
                                      .arg = q.slices[i].pin};
    struct reply reply = {
        .header = &query_message_response_header,
        .ext = &ext,
        .has_ext = true,
        .slices = body,
        .nslices = (size_t)q.n,
    };
    if (q.n == 0) {
        ext = (struct query_message_response){0};
        reply.code = RS_QUERY_NOT_FOUND;
        reply.remark = TL_STR("can not find message, maybe time range not correct");
    }
    request_reply(rq, &reply);
    q.n = 0; /* the pins went with the answer */
    read_by_key_release(&q);
}

/* ---- QUERY_CONSUME_QUEUE ------------------------------------------------------------------ */

enum { QUEUE_ENTRIES_MAX = 1024 };

/* What the group would get of it, when a group is named. */
static struct client_sub *subscription_of(struct broker *b, const struct query_queue_request *h,
                                          json_t *body)
{
    struct client_sub *sub = NULL;
    bool broadcasting;

    if (!h->consumer_group.len)
        return NULL;
    if (clients_subscription(b->clients, h->consumer_group, h->topic, &sub, &broadcasting) !=
        CLIENT_SUB_OK) {
        char *text = xasprintf("%.*s@%.*s is not online!", TL_STR_ARG(h->consumer_group),
                               TL_STR_ARG(h->topic));
        json_set_str(body, "filterData", tl_str_of(text));
        free(text);
        return NULL;
    }
    json_set_str(body, "filterData", TL_STR("null")); /* no expression but tags */
    json_object_set_new(body, "subscriptionData", subscription_to_json(&sub->sub));
    return sub;
}

static json_t *entries_json(struct broker *b, const struct query_queue_request *h,
                            const struct client_sub *sub)
{
    struct cq_entry entries[QUEUE_ENTRIES_MAX];
    int32_t count = h->count < QUEUE_ENTRIES_MAX ? h->count : QUEUE_ENTRIES_MAX;
    json_t *list = json_array();
    int64_t at = h->index;

    while (count > 0) {
        size_t n = read_queue(b->store, h->topic, h->queue_id, at, entries, (size_t)count);
        if (n == 0)
            break;
        for (size_t i = 0; i < n; i++) {
            json_t *o = json_object();
            json_set_bool(o, "eval", sub && subscription_takes(&sub->sub, entries[i].tag_hash));
            json_set_i64(o, "physicOffset", entries[i].log_pos);
            json_set_i64(o, "physicSize", entries[i].size);
            json_set_i64(o, "tagsCode", entries[i].tag_hash);
            json_array_append_new(list, o);
        }
        at += (int64_t)n;
        count -= (int32_t)n;
    }
    return list;
}

void on_query_consume_queue(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct query_queue_request *h = request_header(rq);
    int64_t min, max;

    if (!store_queue(b->store, h->topic, h->queue_id, false)) {
        request_fail(rq, RS_SYSTEM_ERROR, "%d@%.*s is not exist!", h->queue_id,
                     TL_STR_ARG(h->topic));
        return;
    }
    store_queue_bounds(b->store, h->topic, h->queue_id, &min, &max);
    if (h->index < min || h->index >= max) {
        request_fail(rq, RS_SUCCESS, "Index %lld of %d@%.*s is not exist!", (long long)h->index,
                     h->queue_id, TL_STR_ARG(h->topic));
        return;
    }
    json_t *body = json_object();
    struct client_sub *sub = subscription_of(b, h, body);
    json_set_i64(body, "maxQueueIndex", max);
    json_set_i64(body, "minQueueIndex", min);
    json_object_set_new(body, "queueData", entries_json(b, h, sub));
    if (sub)
        client_sub_unref(sub);
    handle_reply_json(rq, body);
}
