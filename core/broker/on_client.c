/*
 * Heartbeats, leaving, who is in a group (ClientManageProcessor, ConsumerManageProcessor)
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/clients.h"
#include "broker/groups.h"
#include "broker/handle.h"
#include "broker/handlers.h"
#include "broker/topics.h"
#include "proto/code.h"
#include "proto/flags.h"
#include "proto/hdr_group.h"
#include "proto/names.h"

#undef LOG_MODULE
#define LOG_MODULE "on_client"

enum { SYS_FLAG_UNIT_SUB = 2 };

/* May members of @group be told of changes? */
static bool may_notify(void *arg, struct tl_str group)
{
    struct broker_io *io = arg;
    struct broker *b = io->broker;
    const struct group_config *config;

    if (!b->conf->notify_consumer_ids_changed_enable)
        return false;
    config = groups_find(b->groups, &io->groups, group);
    return !config || config->notify_consumer_ids_changed_enable;
}

/* The group's retry topic is ordered when one of its topics is. */
static bool has_ordered_topic(struct broker_io *io, const struct heartbeat_consumer *hc)
{
    for (size_t i = 0; i < hc->nsubs; i++) {
        const struct topic_config *topic =
            topics_find(io->broker->topics, &io->topics, tl_str_of(hc->subs[i].topic));
        if (topic && topic->order)
            return true;
    }
    return false;
}

static void ensure_retry_topic(struct broker_io *io, const struct heartbeat_consumer *hc,
                               const struct group_config *group)
{
    char *name = xasprintf("%s%s", NAME_RETRY_PREFIX, hc->group);

    topics_ensure(io->broker->topics, tl_str_of(name), group->retry_queue_nums,
                  PERM_READ | PERM_WRITE, has_ordered_topic(io, hc),
                  hc->unit_mode ? SYS_FLAG_UNIT_SUB : 0);
    free(name);
}

/*
 * Is this group's part of the heartbeat to be taken?  Unknown groups are passed over
 * silently, as in Java.
 */
static bool take_consumer(struct broker_io *io, const struct heartbeat_consumer *hc)
{
    struct broker *b = io->broker;

    if (b->conf->reject_pull_consumer_enable && hc->type == CONSUME_ACTIVELY)
        return false;
    const struct group_config *group =
        groups_find(b->groups, &io->groups, tl_str_of(hc->group));
    if (!group)
        return false;
    ensure_retry_topic(io, hc, group);
    return true;
}

void on_heartbeat(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    struct broker_io *io = broker_io(b);
    struct heartbeat h;
    bool sub_changed;
    size_t n = 0;
    int rc = heartbeat_parse(rq->cmd.body, &h);

    if (rc) {
        request_fail_error(rq, rc);
        return;
    }
    /* Entries that are not taken move behind the others; all are released together. */
    size_t all_consumers = h.nconsumers, all_producers = h.nproducers;
    for (size_t i = 0; i < all_consumers; i++) {
        if (take_consumer(io, &h.consumers[i])) {
            struct heartbeat_consumer swap = h.consumers[n];
            h.consumers[n++] = h.consumers[i];
            h.consumers[i] = swap;
        }
    }
    h.nconsumers = n;
    if (!b->conf->enable_register_producer)
        h.nproducers = 0;
    clients_heartbeat(b->clients, rq->conn, rq->cmd.language, rq->cmd.version, &h, may_notify,
                      io, &sub_changed);
    h.nconsumers = all_consumers;
    h.nproducers = all_producers;
    heartbeat_release(&h);

    struct heartbeat_response ext = {.is_support_heart_beat_v2 = TL_STR("true"),
                                     .is_sub_change =
                                         sub_changed ? TL_STR("true") : TL_STR("false")};
    handle_reply_ext(rq, &heartbeat_response_header, &ext);
}

void on_unregister_client(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct unregister_client_request *h = request_header(rq);

    clients_unregister(b->clients, rq->conn, h->producer_group, h->consumer_group);
    request_ok(rq);
}

void on_consumer_list(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct consumer_group_request *h = request_header(rq);
    json_t *body = clients_consumer_ids(b->clients, h->consumer_group);

    if (body)
        handle_reply_json(rq, body);
    else
        request_fail(rq, RS_SYSTEM_ERROR, "no consumer for this group, %.*s",
                     TL_STR_ARG(h->consumer_group));
}

/* Sent by Java consumers at start for each subscription that is not by tag. */
void on_check_client_config(void *ctx, struct request *rq)
{
    json_t *body = rq->cmd.body.len ? json_parse(rq->cmd.body) : NULL;

    (void)ctx;
    if (rq->cmd.body.len && !body) {
        request_fail_error(rq, TL_EFORMAT);
        return;
    }
    struct tl_str type =
        json_get_str(json_get_object(body, "subscriptionData"), "expressionType");
    if (!type.len || tl_str_is(type, "TAG"))
        request_ok(rq);
    else
        request_fail(rq, RS_SYSTEM_ERROR,
                     "The broker does not support consumer to filter message by %.*s",
                     TL_STR_ARG(type));
    json_decref(body);
}
