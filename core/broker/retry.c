/*
 * retry - CONSUMER_SEND_MSG_BACK (36): a message a consumer could not work on comes again later, or is laid
 *         aside (AbstractSendMessageProcessor.consumerSendMsgBack)
 *
 *   the record at the given position -> %RETRY%group with a delay level, one more attempt counted
 *                                    -> %DLQ%group when it had all its attempts or the consumer says so
 *
 * Runs on a worker: the record may have to be read from the disk, and the answer comes when the copy is stored.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/groups.h"
#include "broker/handlers.h"
#include "broker/schedule.h"
#include "broker/topics.h"
#include "broker/traffic.h"
#include "proto/code.h"
#include "proto/flags.h"
#include "proto/hdr_produce.h"
#include "proto/msgid.h"
#include "proto/names.h"
#include "proto/properties.h"
#include "store/append.h"
#include "store/read.h"

enum { FIRST_LEVEL = 3, VERSION_3_4_9 = 121, UNIT_SUB = 2 };

/* What becomes of it. */
struct fate {
    struct tl_str topic;
    int32_t queue_id, queues, level; /* level 0: no delay */
};

static struct fate decide(struct request *rq, const struct group_config *group,
                          const struct record *r)
{
    const struct send_back_request *h = request_header(rq);
    int32_t max = group->retry_max_times;

    if (rq->cmd.version >= VERSION_3_4_9 && send_back_request_has_max_reconsume(h))
        max = h->max_reconsume_times;
    if (r->reconsume_times >= max || h->delay_level < 0)
        return (struct fate){
            .topic = arena_printf(&rq->arena, "%s%s", NAME_DLQ_PREFIX, group->name),
            .queues = 1,
        };
    return (struct fate){
        .topic = arena_printf(&rq->arena, "%s%s", NAME_RETRY_PREFIX, group->name),
        .queues = group->retry_queue_nums,
        .queue_id = (int32_t)(clock_mono_ns() / 1000 % group->retry_queue_nums),
        .level = h->delay_level ? h->delay_level : FIRST_LEVEL + r->reconsume_times,
    };
}

/* The first copy's topic and id go with all later ones. */
static struct tl_str properties_of(struct arena *a, const struct record *r)
{
    char id[MSGID_MAX];
    size_t id_len = msgid_offset_text(&r->store_host, r->log_pos, id);
    size_t room = r->properties.len + r->topic.len + MSGID_MAX + 64;
    char *out = arena_alloc(a, room), *p = out;

    if (r->properties.len) {
        memcpy(p, r->properties.data, r->properties.len);
        p += r->properties.len;
        if (p[-1] != 2)
            *p++ = 2;
    }
    if (!properties_get(r->properties, PROP_RETRY_TOPIC).len)
        p = properties_put(p, PROP_RETRY_TOPIC, r->topic);
    if (!properties_get(r->properties, PROP_ORIGIN_MESSAGE_ID).len)
        p = properties_put(p, PROP_ORIGIN_MESSAGE_ID, tl_str_n(id, id_len));
    return tl_str_n(out, (size_t)(p - out));
}

/* The topic is there and may be written to.  False: answered. */
static bool check_topic(struct broker *b, struct request *rq, const struct fate *f)
{
    const struct send_back_request *h = request_header(rq);
    struct topic_config topic;

    topics_ensure(b->topics, f->topic, f->queues, PERM_READ | PERM_WRITE, false,
                  h->unit_mode ? UNIT_SUB : 0);
    if (!topics_copy(b->topics, f->topic, &topic)) {
        request_fail(rq, RS_SYSTEM_ERROR, "topic[%.*s] not exist", TL_STR_ARG(f->topic));
        return false;
    }
    bool writable = topic.perm & PERM_WRITE;
    topic_config_release(&topic);
    if (!writable)
        request_fail(rq, RS_NO_PERMISSION, "the topic[%.*s] sending message is forbidden",
                     TL_STR_ARG(f->topic));
    return writable;
}

static void store_copy(struct broker *b, struct request *rq, const struct record *original,
                       const struct fate *f)
{
    struct record r = *original;
    struct append_entry e = {.wait_flush = false};

    r.topic = f->topic;
    r.queue_id = f->queue_id;
    r.reconsume_times++;
    r.store_host = b->host;
    r.prepared_offset = 0;
    r.properties = properties_of(&rq->arena, original);
    if (f->level > 0)
        schedule_divert(b, &rq->arena, f->level, &r.topic, &r.queue_id, &r.properties);
    else
        schedule_set_level(&rq->arena, 0, &r.properties);
    size_t size = record_size(&r);
    uint8_t *bytes = xmalloc(size);
    int rc = record_encode(&r, bytes);
    if (!rc)
        rc = append_wait(b->store, bytes, size, 1, &e);
    free(bytes);
    if (rc) {
        request_fail(rq,
                     rc == TL_ENOSPC || rc == TL_ESTOPPED ? RS_SERVICE_NOT_AVAILABLE
                                                          : RS_SYSTEM_ERROR,
                     "%s", tl_error_text());
        return;
    }
    traffic_put(b->traffic, r.topic, 1, e.size);
    request_ok(rq);
}

void on_send_back(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct send_back_request *h = request_header(rq);
    struct group_config group;
    struct read_slice slice;
    struct record r;

    if (!groups_copy(b->groups, h->group, true, &group)) {
        request_fail(rq, RS_SUBSCRIPTION_GROUP_NOT_EXIST,
                     "subscription group not exist, %.*s " FAQ_SUFFIX, TL_STR_ARG(h->group));
        return;
    }
    if (!(b->conf->broker_permission & PERM_WRITE)) {
        request_fail(rq, RS_NO_PERMISSION, "the broker[%s] sending message is forbidden",
                     broker_ip(b));
    } else if (group.retry_queue_nums <= 0) {
        request_ok(rq); /* as configured: nothing comes again */
    } else if (store_writable(b->store)) {
        request_fail(rq, RS_SERVICE_NOT_AVAILABLE, "%s", tl_error_text());
    } else if (read_at(b->store, h->offset, &slice)) {
        request_fail(rq, RS_SYSTEM_ERROR, "look message by offset failed, %lld",
                     (long long)h->offset);
    } else {
        record_decode(slice.data, slice.len, 0, &r); /* read_at() has checked it */
        struct fate fate = decide(rq, &group, &r);
        if (check_topic(b, rq, &fate))
            store_copy(b, rq, &r, &fate);
        read_release_slice(slice.pin);
    }
    group_config_release(&group);
}
