/*
 * Consumer groups and their clients as tools see them (AdminBrokerProcessor)
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
#include "broker/mqtable.h"
#include "broker/offsets.h"
#include "broker/topics.h"
#include "broker/traffic.h"
#include "proto/code.h"
#include "proto/hdr_group.h"
#include "store/read.h"
#include "store/store.h"

#undef LOG_MODULE
#define LOG_MODULE "on_group"

/* ---- settings --------------------------------------------------------------------------- */

/*
 * Attributes of an update are changes, "+k" and "-k" (AttributeUtil); but 5.3.3 knows none that a
 * group could have.  Those the group has stay.
 */
static int check_attributes(struct broker *b, struct group_config *config)
{
    struct group_config now;
    bool known = groups_copy(b->groups, tl_str_of(config->name), false, &now);
    const char *key;
    json_t *value;
    int rc = 0;

    json_object_foreach(config->attributes, key, value)
    {
        if ((key[0] != '+' && key[0] != '-') || !key[1])
            rc = tl_fail(TL_EFORMAT, "kv string format wrong.");
        else if (key[0] == '-' && !known)
            rc = tl_fail(TL_EFORMAT,
                         "only add attribute is supported while creating topic. key: %s",
                         key + 1);
        else if (key[0] == '-' && !json_object_get(now.attributes, key + 1))
            rc = tl_fail(TL_EFORMAT, "attempt to delete a nonexistent key: %s", key + 1);
        else
            rc = tl_fail(TL_EFORMAT, "unsupported key: %s", key + 1);
        break;
    }
    json_decref(config->attributes);
    config->attributes = known ? json_deep_copy(now.attributes) : json_object();
    if (known)
        group_config_release(&now);
    return rc;
}

static int update(struct broker *b, const json_t *o)
{
    struct group_config config;
    int rc = group_config_from_json(&config, o);

    if (rc)
        return rc;
    if ((rc = check_attributes(b, &config)) == 0)
        rc = groups_update(b->groups, &config);
    group_config_release(&config);
    return rc;
}

void on_update_group(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    json_t *body = json_parse(rq->cmd.body);
    int rc = body ? update(b, body) : TL_EFORMAT;

    json_decref(body);
    if (rc)
        request_fail_error(rq, rc);
    else
        request_ok(rq);
}

void on_update_group_list(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    json_t *body = json_parse(rq->cmd.body);
    const json_t *list = json_get_array(body, "groupConfigList");
    int rc = 0;

    if (!list) {
        request_fail(rq, RS_SYSTEM_ERROR, "the body has no groupConfigList");
    } else {
        for (size_t i = 0; i < json_array_size(list) && !rc; i++)
            rc = update(b, json_array_get(list, i));
        if (rc)
            request_fail_error(rq, rc);
        else
            request_ok(rq);
    }
    json_decref(body);
}

void on_delete_group(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct delete_group_request *h = request_header(rq);
    int rc = groups_delete(b->groups, h->group_name);

    if (h->clean_offset) {
        offsets_drop_group(b->offsets, h->group_name);
        offsets_persist(b->offsets); /* or a crash would bring them back */
    }
    if (rc)
        request_fail_error(rq, rc);
    else
        request_ok(rq);
}

static void add_config(void *arg, const struct group_config *c)
{
    json_object_set_new(arg, c->name, group_config_to_json(c));
}

void on_all_groups(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    struct data_version version;
    json_t *body = json_object(), *table = json_object();

    groups_version(b->groups, &version);
    groups_each(b->groups, add_config, table);
    json_object_set_new(body, "dataVersion", data_version_to_json(&version));
    json_object_set_new(body, "forbiddenTable", groups_forbidden(b->groups));
    json_object_set_new(body, "subscriptionGroupTable", table);
    handle_reply_json(rq, body);
}

void on_group_config(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct group_request *h = request_header(rq);
    struct group_config config;

    /* As in Java, asking for a group creates it where that is allowed. */
    if (!groups_copy(b->groups, h->group, true, &config)) {
        request_fail(rq, RS_SUBSCRIPTION_GROUP_NOT_EXIST, "No group in this broker");
        return;
    }
    handle_reply_json(rq, group_config_to_json(&config));
    group_config_release(&config);
}

/* ---- progress --------------------------------------------------------------------------- */

struct stats {
    struct broker *b;
    struct tl_str group;
    struct mqtable table;
    double tps;
    json_t *topics; /* a set: object of true */
};

static void collect_topic(void *arg, struct tl_str topic, struct tl_str group, int32_t queue_id,
                          int64_t offset)
{
    struct stats *s = arg;

    (void)queue_id;
    (void)offset;
    if (!tl_str_eq(group, s->group))
        return;
    char *name = xstrndup(topic.data, topic.len);
    json_object_set_new(s->topics, name, json_true());
    free(name);
}

/* A topic the group's living members do not subscribe to is not shown. */
static bool gone_from_subscription(struct stats *s, struct tl_str topic)
{
    struct client_sub *sub;
    bool broadcasting;

    switch (clients_subscription(s->b->clients, s->group, topic, &sub, &broadcasting)) {
    case CLIENT_SUB_OK: client_sub_unref(sub); return false;
    case CLIENT_SUB_NO_TOPIC: return clients_group_has_subs(s->b->clients, s->group);
    default: return false;
    }
}

static void add_queue(struct stats *s, struct tl_str topic, int32_t id)
{
    struct broker *b = s->b;
    int64_t min, max, time = 0;
    int64_t consumed = offsets_query(b->offsets, s->group, topic, id);
    int64_t pulled = offsets_query_pulled(b->offsets, s->group, topic, id);

    store_queue_bounds(b->store, topic, id, &min, &max);
    if (consumed < 0)
        consumed = 0;
    if (consumed > 0)
        time = read_store_time(b->store, topic, id, consumed - 1);
    mqtable_add(
        &s->table, topic, id,
        "{\"brokerOffset\":%lld,\"consumerOffset\":%lld,\"lastTimestamp\":%lld,\"pullOffset\":%lld}",
        (long long)max, (long long)consumed, (long long)(time < 0 ? 0 : time),
        (long long)(pulled > consumed ? pulled : consumed));
}

static void add_topic(struct stats *s, struct tl_str topic, bool named)
{
    struct topic_config config;

    if (!topics_copy(s->b->topics, topic, &config))
        return;
    if (named || !gone_from_subscription(s, topic)) {
        for (int32_t id = 0; id < config.read_queue_nums; id++)
            add_queue(s, topic, id);
        s->tps += traffic_group_get_tps(s->b->traffic, topic, s->group);
    }
    topic_config_release(&config);
}

static void add_topics(struct stats *s, const struct consume_stats_request *h)
{
    struct tl_str list = h->topic_list;
    const char *name;
    json_t *value;

    if (list.len) {
        while (list.data) {
            struct tl_str one = tl_str_trim(tl_str_cut(&list, ';'));
            if (one.len)
                add_topic(s, one, true);
        }
        return;
    }
    if (h->topic.len) {
        add_topic(s, h->topic, false);
        return;
    }
    s->topics = json_object();
    offsets_each(s->b->offsets, collect_topic, s);
    json_object_foreach(s->topics, name, value) add_topic(s, tl_str_of(name), false);
    json_decref(s->topics);
}

void on_consume_stats(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct consume_stats_request *h = request_header(rq);
    struct stats s = {.b = b, .group = h->consumer_group};
    struct strbuf text = {0};

    mqtable_init(&s.table, b->conf->broker_name);
    add_topics(&s, h);
    strbuf_addz(&text, "{\"consumeTps\":");
    traffic_rate_text(s.tps, &text);
    strbuf_addz(&text, ",\"offsetTable\":");
    mqtable_write(&s.table, &text);
    strbuf_addc(&text, '}');
    mqtable_release(&s.table);
    request_ok_body(rq, strbuf_str(&text));
    strbuf_release(&text);
}

/* ---- connections ------------------------------------------------------------------------ */

void on_consumer_connection(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct consumer_group_request *h = request_header(rq);
    json_t *body = clients_consumer_connection(b->clients, h->consumer_group);

    if (body)
        handle_reply_json(rq, body);
    else
        request_fail(rq, RS_CONSUMER_NOT_ONLINE, "the consumer group[%.*s] not online",
                     TL_STR_ARG(h->consumer_group));
}

void on_producer_connection(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct producer_group_request *h = request_header(rq);
    json_t *body = clients_producer_connection(b->clients, h->producer_group);

    if (body)
        handle_reply_json(rq, body);
    else
        request_fail(rq, RS_SYSTEM_ERROR, "the producer group[%.*s] not exist",
                     TL_STR_ARG(h->producer_group));
}

void on_all_producers(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    handle_reply_json(rq, clients_all_producers(b->clients));
}
