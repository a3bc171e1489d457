#include "broker/pull.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "broker/broker.h"
#include "broker/clients.h"
#include "broker/groups.h"
#include "broker/handlers.h"
#include "broker/hold.h"
#include "broker/offsets.h"
#include "broker/scripts.h"
#include "broker/topics.h"
#include "broker/traffic.h"
#include "proto/code.h"
#include "proto/flags.h"
#include "proto/hdr_consume.h"
#include "proto/names.h"
#include "store/read.h"
#include "store/store.h"

#undef LOG_MODULE
#define LOG_MODULE "pull"

enum {
    FORBIDDEN_BROKER = 1,
    FORBIDDEN_GROUP = 2,
    FORBIDDEN_TOPIC = 3,
    FORBIDDEN_BROADCAST = 4
};

/* A checked pull: one evaluation of it. */
struct pulling {
    struct broker *b;
    struct broker_io *io;
    struct request *rq;
    const struct pull_request *h;
    int64_t offset; /* where this evaluation starts */
    int32_t topic_sys_flag, group_sys_flag;
    struct subscription own; /* from the request */
    struct client_sub *live; /* from the group's heartbeat */
    const struct subscription *sub;
    bool own_used;
    struct script_use *use; /* the group's filter, or NULL */
    /* while reading */
    int64_t deadline_ns;
    enum script_result failed; /* the last failure of the filter */
    int32_t failures;
};

/* Kept from one evaluation to the next; behind the held_pull in the request's arena. */
struct parked_pull {
    struct held_pull held; /* first */
    int64_t offset;        /* everything before it was examined and did not match */
    int64_t deadline_ms;
    const char *expression; /* what the group subscribed to then; in the arena */
};

/* Old data on its way into memory; in the request's arena. */
struct warming {
    struct mail mail;
    struct request *rq;
    struct parked_pull *parked;
    struct broker_io *io;
    int64_t offset;
    bool time_left;
    int rounds;
    struct read_cold cold;
};
enum { WARM_ROUNDS = 16 }; /* then it is read all the same: memory must be short */

static struct pull_response offsets_response(const struct pulling *p,
                                             const struct read_result *r)
{
    return (struct pull_response){
        .next_begin_offset = r->next_offset,
        .min_offset = r->min_offset,
        .max_offset = r->max_offset,
        .topic_sys_flag = p->topic_sys_flag,
        .group_sys_flag = p->group_sys_flag,
    };
}

static void pulling_release(struct pulling *p)
{
    if (p->own_used)
        subscription_release(&p->own);
    if (p->live)
        client_sub_unref(p->live);
    if (p->use)
        script_use_unref(p->use);
}

/* ---- checks ------------------------------------------------------------------------------- */

static void forbid(struct request *rq, int type, struct tl_str remark)
{
    struct forbidden_response ext = {.forbidden_type = type};
    request_reply(rq, &(struct reply){.code = RS_NO_PERMISSION,
                                      .remark = remark,
                                      .header = &forbidden_response_header,
                                      .ext = &ext});
}

/* False: answered. */
static bool check_access(struct pulling *p)
{
    struct broker *b = p->b;
    struct request *rq = p->rq;
    const struct pull_request *h = p->h;
    struct arena *a = &rq->arena;

    if (!(b->conf->broker_permission & PERM_READ)) {
        forbid(rq, FORBIDDEN_BROKER,
               arena_printf(a, "the broker[%s] pulling message is forbidden", broker_ip(b)));
        return false;
    }
    if (rq->cmd.code == RQ_LITE_PULL_MESSAGE && !b->conf->lite_pull_message_enable) {
        forbid(rq, FORBIDDEN_BROKER,
               arena_printf(a, "the broker[%s] for lite pull consumer is forbidden",
                            broker_ip(b)));
        return false;
    }
    const struct group_config *group =
        groups_find(b->groups, &p->io->groups, h->consumer_group);
    if (!group) {
        request_fail(rq, RS_SUBSCRIPTION_GROUP_NOT_EXIST,
                     "subscription group [%.*s] does not exist, " FAQ_SUFFIX,
                     TL_STR_ARG(h->consumer_group));
        return false;
    }
    if (!group->consume_enable) {
        forbid(rq, FORBIDDEN_GROUP,
               arena_printf(a, "subscription group no permission, %.*s",
                            TL_STR_ARG(h->consumer_group)));
        return false;
    }
    p->group_sys_flag = group->group_sys_flag;
    bool broadcast_ok = group->consume_broadcast_enable;

    const struct topic_config *topic = topics_find(b->topics, &p->io->topics, h->topic);
    if (!topic) {
        request_fail(rq, RS_TOPIC_NOT_EXIST,
                     "topic[%.*s] not exist, apply first please! " FAQ_SUFFIX,
                     TL_STR_ARG(h->topic));
        return false;
    }
    if (!(topic->perm & PERM_READ)) {
        forbid(rq, FORBIDDEN_TOPIC,
               arena_printf(a, "the topic[%.*s] pulling message is forbidden",
                            TL_STR_ARG(h->topic)));
        return false;
    }
    p->topic_sys_flag = topic->sys_flag;
    if (h->queue_id < 0 || h->queue_id >= topic->read_queue_nums) {
        request_fail(
            rq, RS_INVALID_PARAMETER,
            "queueId[%d] is illegal, topic:[%.*s] topicConfig.readQueueNums:[%d] consumer:[/%s]",
            h->queue_id, TL_STR_ARG(h->topic), topic->read_queue_nums,
            conn_peer_text(rq->conn));
        return false;
    }
    if (!(h->sys_flag & PULL_SUBSCRIPTION) && !broadcast_ok) {
        struct client_sub *sub = NULL;
        bool broadcasting = false;
        if (clients_subscription(b->clients, h->consumer_group, h->topic, &sub,
                                 &broadcasting) == CLIENT_SUB_OK)
            client_sub_unref(sub);
        if (broadcasting) {
            forbid(rq, FORBIDDEN_BROADCAST,
                   arena_printf(a, "the consumer group[%.*s] can not consume by broadcast way",
                                TL_STR_ARG(h->consumer_group)));
            return false;
        }
    }
    return true;
}

/* What most subscriptions are; p->sub does not own it. */
static const struct subscription all_tags = {
    .expression = (char[]){"*"}, .type = (char[]){"TAG"}, .all = true};

static bool type_is_tag(struct tl_str type)
{
    return !type.len || tl_str_is(type, "TAG");
}

/* Whose expression decides: the request's, or the group's heartbeat.  False: answered. */
static bool check_subscription(struct pulling *p)
{
    const struct pull_request *h = p->h;
    struct request *rq = p->rq;
    bool broadcasting;

    if ((h->sys_flag & PULL_SUBSCRIPTION) && type_is_tag(h->expression_type) &&
        (!h->subscription.len || tl_str_is(h->subscription, "*"))) {
        p->sub = &all_tags;
    } else if (h->sys_flag & PULL_SUBSCRIPTION) {
        if (subscription_init(&p->own, h->topic, h->subscription, h->expression_type,
                              h->sub_version)) {
            request_fail(rq, RS_SUBSCRIPTION_PARSE_FAILED,
                         "parse the consumer's subscription failed");
            return false;
        }
        p->own_used = true;
        p->sub = &p->own;
    } else {
        switch (clients_subscription(p->b->clients, h->consumer_group, h->topic, &p->live,
                                     &broadcasting)) {
        case CLIENT_SUB_NO_GROUP:
            request_fail(rq, RS_SUBSCRIPTION_NOT_EXIST,
                         "the consumer's group info not exist" FAQ_SUFFIX);
            return false;
        case CLIENT_SUB_NO_TOPIC:
            request_fail(rq, RS_SUBSCRIPTION_NOT_EXIST,
                         "the consumer's subscription not exist" FAQ_SUFFIX);
            return false;
        case CLIENT_SUB_OK: break;
        }
        p->sub = &p->live->sub;
        if (p->sub->version < h->sub_version) {
            request_fail(rq, RS_SUBSCRIPTION_NOT_LATEST,
                         "the consumer's subscription not latest");
            return false;
        }
    }
    if (!type_is_tag(tl_str_of(p->sub->type))) {
        request_fail(rq, RS_SYSTEM_ERROR,
                     "The broker does not support consumer to filter message by %s",
                     p->sub->type);
        return false;
    }
    return true;
}

/* ---- one evaluation ----------------------------------------------------------------------- */

static bool take_entry(void *arg, int64_t tag_hash)
{
    const struct pulling *p = arg;
    return subscription_takes(p->sub, tag_hash);
}

static enum read_verdict take_record(void *arg, const void *record, size_t len,
                                     int64_t queue_offset)
{
    struct pulling *p = arg;
    struct script_message m = {record, len, queue_offset};
    bool accept = false;

    if (clock_mono_ns() > p->deadline_ns)
        return READ_STOP;
    enum script_result rc = script_filter(p->io->vm, &p->use->binding, &m, &accept);
    if (rc == SCRIPT_OK)
        return accept ? READ_TAKE : READ_SKIP;
    p->failed = rc;
    p->failures++;
    return p->use->policy == SCRIPT_OPEN ? READ_TAKE : READ_SKIP;
}

static struct read_query query_of(struct pulling *p)
{
    const struct broker_conf *conf = p->b->conf;
    const struct pull_request *h = p->h;
    int32_t nums = h->max_msg_nums > 0 ? h->max_msg_nums : 1;
    struct read_query q = {
        .topic = h->topic,
        .queue_id = h->queue_id,
        .offset = p->offset,
        .max_nums = nums,
        .max_bytes = conf->max_transfer_bytes_on_message_in_memory,
        .entry = p->sub->all ? NULL : take_entry,
        .arg = p,
        .scan_entries = conf->max_filter_message_size / 20,
        .scan_bytes = INT64_MAX,
    };

    if (q.max_nums > conf->max_transfer_count_on_message_in_memory)
        q.max_nums = conf->max_transfer_count_on_message_in_memory;
    if (q.scan_entries < nums)
        q.scan_entries = nums;
    if (p->use) {
        q.record = take_record;
        q.scan_entries = conf->script_scan_messages;
        q.scan_bytes = conf->script_scan_bytes;
    }
    return q;
}

static int pull_read(struct pulling *p, struct read_result *r)
{
    struct read_query q = query_of(p);

    p->deadline_ns = clock_mono_ns() + (int64_t)p->b->conf->script_scan_millis * 1000000;
    return read_messages(p->b->store, &q, r);
}

static int response_code(const struct pulling *p, enum read_status status)
{
    switch (status) {
    case READ_FOUND: return RS_SUCCESS;
    case READ_NO_MATCHED_MESSAGE:
    case READ_MESSAGE_WAS_REMOVING: return RS_PULL_RETRY_IMMEDIATELY;
    case READ_OFFSET_FOUND_NULL:
    case READ_OFFSET_OVERFLOW_ONE: return RS_PULL_NOT_FOUND;
    case READ_OFFSET_OVERFLOW_BADLY:
    case READ_OFFSET_TOO_SMALL: return RS_PULL_OFFSET_MOVED;
    case READ_NO_MATCHED_LOGIC_QUEUE:
    case READ_NO_MESSAGE_IN_QUEUE:
        return p->h->queue_offset ? RS_PULL_OFFSET_MOVED : RS_PULL_NOT_FOUND;
    }
    return RS_SYSTEM_ERROR;
}

/* The remark: the status's name, and what the filter did wrong if it did. */
static struct tl_str remark_text(struct pulling *p, enum read_status status)
{
    if (!p->failures)
        return tl_str_of(read_status_name(status));
    return arena_printf(&p->rq->arena, "%s; filter %s failed %d times, last: %s; policy: %s",
                        read_status_name(status), p->use->binding.script, p->failures,
                        script_result_name(p->failed),
                        p->use->policy == SCRIPT_OPEN ? "open" : "closed");
}

static void answer_found(struct pulling *p, struct read_result *r)
{
    struct pull_response ext = offsets_response(p, r);
    struct body_slice *slices =
        arena_alloc(&p->rq->arena, sizeof(*slices) * (size_t)r->nslices);

    for (int32_t i = 0; i < r->nslices; i++) {
        slices[i] = (struct body_slice){r->slices[i].data, r->slices[i].len, read_release_slice,
                                        r->slices[i].pin};
        r->slices[i].pin = NULL; /* travels with the reply */
    }
    traffic_get(p->b->traffic, p->h->topic, p->h->consumer_group, (uint64_t)r->messages,
                (uint64_t)r->bytes);
    request_reply(p->rq, &(struct reply){
                             .code = RS_SUCCESS,
                             .remark = remark_text(p, r->status),
                             .header = &pull_response_header,
                             .ext = &ext,
                             .slices = slices,
                             .nslices = (size_t)r->nslices,
                         });
}

static void answer_nothing(struct pulling *p, int code, const struct read_result *r)
{
    struct pull_response ext = offsets_response(p, r);

    traffic_pull_miss(p->b->traffic);
    request_reply(p->rq, &(struct reply){
                             .code = code,
                             .remark = remark_text(p, r->status),
                             .header = &pull_response_header,
                             .ext = &ext,
                         });
}

static void park(struct pulling *p, struct parked_pull *parked, const struct read_result *r)
{
    struct consumequeue *q = store_queue(p->b->store, p->h->topic, p->h->queue_id, true);
    int64_t now = reactor_now_ms(p->io->reactor);

    if (!parked) {
        int64_t wait = p->b->conf->long_polling_enable ? p->h->suspend_timeout_ms
                                                       : p->b->conf->short_polling_time_mills;
        request_keep(p->rq);
        parked = arena_zalloc(&p->rq->arena, sizeof(*parked));
        parked->held.rq = p->rq;
        parked->deadline_ms = now + (wait > 0 ? wait : 0);
        parked->expression = arena_cstr(&p->rq->arena, tl_str_of(p->sub->expression));
    }
    parked->offset = p->offset;
    hold_park(p->io->hold, &parked->held, q, r->max_offset, parked->deadline_ms - now);
}

/* May this outcome wait for more messages? */
static bool may_wait(const struct pulling *p, const struct parked_pull *parked, int code,
                     bool time_left)
{
    if (!time_left || !(p->h->sys_flag & PULL_SUSPEND))
        return false;
    return code == RS_PULL_NOT_FOUND || (parked && code == RS_PULL_RETRY_IMMEDIATELY);
}

/*
 * The group's subscription is another one than when this pull began to wait.  Its client tests what
 * it gets against the expression it pulled with and drops the rest: let it pull anew.
 */
static bool subscription_changed(const struct pulling *p, const struct parked_pull *parked)
{
    return parked && p->live && strcmp(parked->expression, p->live->sub.expression) != 0;
}

static void answer_changed(struct pulling *p)
{
    bool moved = p->offset > p->h->queue_offset;
    struct read_result r = {
        .status = moved ? READ_NO_MATCHED_MESSAGE : READ_OFFSET_OVERFLOW_ONE,
        .next_offset = p->offset,
    };

    store_queue_bounds(p->b->store, p->h->topic, p->h->queue_id, &r.min_offset, &r.max_offset);
    answer_nothing(p, response_code(p, r.status), &r);
}

/*
 * Read and answer, or park.  A pull that was woken and found only messages that are not for it
 * goes on waiting from behind them; at the end of its time it tells how far it got.
 */
static void evaluate(struct pulling *p, struct parked_pull *parked, bool time_left)
{
    struct read_result r;

    if (pull_read(p, &r)) {
        request_fail_error(p->rq, TL_ECORRUPT);
        return;
    }
    offsets_pulled(p->b->offsets, p->h->consumer_group, p->h->topic, p->h->queue_id,
                   r.next_offset);
    int code = response_code(p, r.status);
    if (code == RS_SUCCESS) {
        answer_found(p, &r);
        read_release(&r);
        return;
    }
    if (may_wait(p, parked, code, time_left)) {
        if (code == RS_PULL_RETRY_IMMEDIATELY)
            p->offset = r.next_offset;
        /* What was examined may end before the queue does: look at the rest at once. */
        if (code == RS_PULL_RETRY_IMMEDIATELY && r.next_offset < r.max_offset)
            r.max_offset = r.next_offset;
        park(p, parked, &r);
        read_release(&r);
        return;
    }
    if (code == RS_PULL_NOT_FOUND && p->offset > p->h->queue_offset) {
        code = RS_PULL_RETRY_IMMEDIATELY;
        r.status = READ_NO_MATCHED_MESSAGE;
    }
    answer_nothing(p, code, &r);
    read_release(&r);
}

static void run(struct broker *b, struct request *rq, struct parked_pull *parked,
                bool time_left, struct warming *warmed);

/* ---- old data ----------------------------------------------------------------------------- */

/* Home again. */
static void warm_done(struct mail *m)
{
    struct warming *w = (struct warming *)m;

    if (!conn_is_open(w->rq->conn)) {
        request_ok(w->rq); /* goes nowhere; frees the request */
        return;
    }
    run(w->io->broker, w->rq, w->parked, w->time_left, w);
}

/* On a worker: waits for the disk, so that the reactor need not. */
static void warm_run(struct mail *m)
{
    struct warming *w = (struct warming *)m;
    const struct pull_request *h = request_header(w->rq);

    read_warm(w->io->broker->store, h->topic, h->queue_id, w->offset, &w->cold);
    w->mail.run = warm_done;
    reactor_post(w->io->reactor, &w->mail);
}

/* True: the pull goes on when what it needs is in memory. */
static bool warm_first(struct pulling *p, struct parked_pull *parked, bool time_left,
                       struct warming *w)
{
    struct read_query q = query_of(p);
    struct read_cold cold;

    if ((w && w->rounds == WARM_ROUNDS) || !read_is_cold(p->b->store, &q, &cold))
        return false;
    if (!w) {
        request_keep(p->rq);
        w = arena_zalloc(&p->rq->arena, sizeof(*w));
    }
    w->mail.run = warm_run;
    w->rq = p->rq;
    w->parked = parked;
    w->io = p->io;
    w->offset = p->offset;
    w->time_left = time_left;
    w->rounds++;
    w->cold = cold;
    workers_run(p->b->workers, &w->mail);
    return true;
}

/* ---- from check to answer ----------------------------------------------------------------- */

/* @warmed: it goes on after its data came into memory; what a pull does once is done. */
static void run(struct broker *b, struct request *rq, struct parked_pull *parked,
                bool time_left, struct warming *warmed)
{
    struct pulling p = {
        .b = b,
        .io = broker_io(b),
        .rq = rq,
        .h = request_header(rq),
    };
    bool first = !parked && !warmed;

    p.offset = parked ? parked->offset : p.h->queue_offset;
    if (check_access(&p) && check_subscription(&p)) {
        if (first && (p.h->sys_flag & PULL_COMMIT))
            offsets_commit(b->offsets, p.h->consumer_group, p.h->topic, p.h->queue_id,
                           p.h->commit_offset);
        p.use = scripts_find(b->scripts, &p.io->bindings, p.h->consumer_group, p.h->topic);
        if (subscription_changed(&p, parked))
            answer_changed(&p);
        else if (!warm_first(&p, parked, time_left, warmed))
            evaluate(&p, parked, time_left);
    }
    pulling_release(&p);
}

void pull_handle(void *ctx, struct request *rq)
{
    run(ctx, rq, NULL, true, NULL);
}

void pull_resume(struct held_pull *held, enum hold_reason reason)
{
    struct parked_pull *parked = (struct parked_pull *)held;
    struct broker_io *io = reactor_local(reactor_current());

    run(io->broker, held->rq, parked, reason == HOLD_ARRIVED, NULL);
}
