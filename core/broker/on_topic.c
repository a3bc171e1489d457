/*
 * Topic administration (AdminBrokerProcessor)
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/clients.h"
#include "broker/handle.h"
#include "broker/handlers.h"
#include "broker/mqtable.h"
#include "broker/offsets.h"
#include "broker/registrar.h"
#include "broker/topics.h"
#include "broker/traffic.h"
#include "proto/code.h"
#include "proto/hdr_group.h"
#include "proto/hdr_topic.h"
#include "proto/names.h"
#include "store/read.h"
#include "store/store.h"

#undef LOG_MODULE
#define LOG_MODULE "on_topic"

enum { QUEUES_MAX = 65536 };

/* ---- create ----------------------------------------------------------------------------- */

/* 0, or TL_EINVAL with the text: what can be said without looking at the table. */
static int check_settings(struct broker *b, const struct topic_config *config)
{
    int rc = names_check_topic(tl_str_of(config->name));

    if (rc)
        return rc;
    if (b->conf->validate_system_topic_when_update_topic &&
        topics_is_system(b->topics, tl_str_of(config->name)))
        return tl_fail(TL_EINVAL, "The topic[%s] is conflict with system topic.", config->name);
    /* Java has no limit, and takes negative numbers and any permission, too. */
    if (config->read_queue_nums > QUEUES_MAX)
        return tl_fail(TL_EINVAL, "readQueueNums=%d: at most %d", config->read_queue_nums,
                       QUEUES_MAX);
    if (config->write_queue_nums > QUEUES_MAX)
        return tl_fail(TL_EINVAL, "writeQueueNums=%d: at most %d", config->write_queue_nums,
                       QUEUES_MAX);
    return 0;
}

/* "+message.type=MIXED" without the switch for it. */
static int check_mixed(struct broker *b, struct tl_str change)
{
    while (change.data) {
        struct tl_str one = tl_str_trim(tl_str_cut(&change, ','));
        if (tl_str_is(one, "+message.type=MIXED") && !b->conf->enable_mixed_message_type)
            return tl_fail(TL_EINVAL, "MIXED message type is not supported.");
    }
    return 0;
}

/*
 * Put the topic in force: its attributes are those it has now, changed by @change.  Takes what
 * config->attributes was.  A failure to save is reported though the topic is in force.
 */
static int apply(struct broker *b, struct topic_config *config, struct tl_str change)
{
    struct topic_config now;
    bool known = topics_copy(b->topics, tl_str_of(config->name), &now), was_changed;

    json_decref(config->attributes);
    config->attributes = known ? json_incref(now.attributes) : json_object();
    if (known)
        topic_config_release(&now);
    int rc = topic_attributes_apply(config->attributes, change, !known);
    return rc ? rc : topics_update(b->topics, config, &was_changed);
}

/*
 * Answered when the name servers that are there have the topic: who asked may ask for its
 * route next.  The Java broker leaves the remark it starts with standing; so do we.
 */
static void reply_created(struct broker *b, struct request *rq)
{
    if (b->registrar) /* not yet while the broker starts */
        registrar_sync(b->registrar, REGISTRAR_WAIT_MS);
    request_reply(rq, &(struct reply){.remark = TL_STR("not set any response code")});
}

void on_create_topic(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct create_topic_request *h = request_header(rq);
    struct topic_config config;
    int rc;

    if (!tl_str_is(h->topic_filter_type, "SINGLE_TAG") &&
        !tl_str_is(h->topic_filter_type, "MULTI_TAG")) {
        request_fail(rq, RS_SYSTEM_ERROR, "topicFilterType = [%.*s] value invalid",
                     TL_STR_ARG(h->topic_filter_type));
        return;
    }
    topic_config_init(&config, h->topic, h->read_queue_nums, h->perm);
    config.write_queue_nums = h->write_queue_nums;
    config.sys_flag = h->topic_sys_flag;
    config.order = h->order;
    config.filter_type =
        tl_str_is(h->topic_filter_type, "MULTI_TAG") ? TOPIC_MULTI_TAG : TOPIC_SINGLE_TAG;
    if ((rc = check_settings(b, &config)) || (rc = check_mixed(b, h->attributes)) ||
        (rc = apply(b, &config, h->attributes)))
        request_fail_error(rq, rc);
    else
        reply_created(b, rq);
    topic_config_release(&config);
}

/* {"+message.type":"FIFO"} as the text of the other form, appended. */
static void attributes_text(const json_t *attributes, struct strbuf *out)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)attributes, key, value)
    {
        if (out->len)
            strbuf_addc(out, ',');
        strbuf_addz(out, key);
        if (key[0] != '-') {
            strbuf_addc(out, '=');
            strbuf_addz(out, json_is_string(value) ? json_string_value(value) : "");
        }
    }
}

/* One of the list: checked only, or also put in force. */
static int list_item(struct broker *b, const json_t *o, bool in_force)
{
    struct topic_config config;
    struct strbuf change = {0};

    if (!tl_str_trim(json_get_str(o, "topicName")).len)
        return tl_fail(TL_EINVAL, "The specified topic is blank.");
    int rc = topic_config_from_json(&config, o);
    if (rc)
        return rc;
    attributes_text(config.attributes, &change);
    if ((rc = check_settings(b, &config)) == 0 &&
        (rc = check_mixed(b, strbuf_str(&change))) == 0 && in_force)
        rc = apply(b, &config, strbuf_str(&change));
    strbuf_release(&change);
    topic_config_release(&config);
    return rc;
}

/* Said at the end, when the last of the name is in force, as in Java. */
static int check_twice(const json_t *list)
{
    json_t *names = json_object();
    const json_t *o;
    size_t i;
    int rc = 0;

    json_array_foreach(list, i, o)
    {
        struct tl_str name = json_get_str(o, "topicName");
        if (name.len && json_object_getn(names, name.data, name.len))
            rc = tl_fail(TL_EFORMAT, "Duplicate key %.*s", TL_STR_ARG(name));
        if (rc)
            break;
        if (name.len)
            json_object_setn_new(names, name.data, name.len, json_true());
    }
    json_decref(names);
    return rc;
}

void on_create_topic_list(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    json_t *body = json_parse(rq->cmd.body);
    const json_t *list = json_get_array(body, "topicConfigList");
    int rc = 0;

    if (!list) {
        request_fail(rq, RS_SYSTEM_ERROR, "the body has no topicConfigList");
        json_decref(body);
        return;
    }
    for (int in_force = 0; in_force < 2; in_force++) {
        for (size_t i = 0; i < json_array_size(list) && !rc; i++)
            rc = list_item(b, json_array_get(list, i), in_force);
    }
    rc = rc ? rc : check_twice(list);
    json_decref(body);
    if (rc)
        request_fail_error(rq, rc);
    else
        reply_created(b, rq);
}

void on_delete_topic(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct topic_request *h = request_header(rq);
    struct tl_str blank = tl_str_trim(h->topic);
    int rc;

    if (!blank.len) {
        request_fail(rq, RS_INVALID_PARAMETER, "The specified topic is blank.");
        return;
    }
    if (b->conf->validate_system_topic_when_update_topic &&
        topics_is_system(b->topics, h->topic)) {
        request_fail(rq, RS_INVALID_PARAMETER, "The topic[%.*s] is conflict with system topic.",
                     TL_STR_ARG(h->topic));
        return;
    }
    rc = topics_delete(b->topics, h->topic);
    offsets_drop_topic(b->offsets, h->topic);
    offsets_persist(
        b->offsets); /* or a topic made anew after a crash would be read from the old ones on */
    int store_rc = store_drop_topic(b->store, h->topic);
    if (rc || store_rc)
        request_fail_error(rq, rc ? rc : store_rc);
    else
        request_ok(rq);
}

/* ---- questions -------------------------------------------------------------------------- */

static void add_config(void *arg, const struct topic_config *c)
{
    json_object_set_new(arg, c->name, topic_config_to_json(c));
}

void on_all_topic_config(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    struct data_version version, none = {.timestamp = b->boot_ms};
    json_t *body = json_object(), *table = json_object();

    /* Everything at once and no totalTopicNum: readers that page take that for complete. */
    topics_version(b->topics, &version);
    topics_each(b->topics, add_config, table);
    json_object_set_new(body, "dataVersion", data_version_to_json(&version));
    json_object_set_new(body, "mappingDataVersion", data_version_to_json(&none));
    json_object_set_new(body, "topicConfigTable", table);
    json_object_set_new(body, "topicQueueMappingDetailMap", json_object());
    json_object_set_new(body, "topicQueueMappingInfoMap", json_object());
    handle_reply_json(rq, body);
}

void on_topic_config(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct topic_request *h = request_header(rq);
    struct topic_config config;

    if (!h->topic.data) {
        handle_missing(rq, "topic");
    } else if (!topics_copy(b->topics, h->topic, &config)) {
        request_fail(rq, RS_TOPIC_NOT_EXIST, "No topic in this broker. topic: %.*s",
                     TL_STR_ARG(h->topic));
    } else {
        handle_reply_json(rq, topic_config_to_json(&config));
        topic_config_release(&config);
    }
}

/* {"offsetTable":{{mq}:{...}},"topicPutTps":0.0} */
static void write_stats(struct broker *b, const struct topic_config *config, struct strbuf *out)
{
    struct tl_str topic = tl_str_of(config->name);
    struct mqtable table;
    int32_t n = config->read_queue_nums > config->write_queue_nums ? config->read_queue_nums
                                                                   : config->write_queue_nums;

    mqtable_init(&table, b->conf->broker_name);
    for (int32_t id = 0; id < n; id++) {
        int64_t min, max, time = 0;
        store_queue_bounds(b->store, topic, id, &min, &max);
        if (max > 0)
            time = read_store_time(b->store, topic, id, max - 1);
        mqtable_add(&table, topic, id,
                    "{\"lastUpdateTimestamp\":%lld,\"maxOffset\":%lld,\"minOffset\":%lld}",
                    (long long)(time < 0 ? 0 : time), (long long)max, (long long)min);
    }
    strbuf_addz(out, "{\"offsetTable\":");
    mqtable_write(&table, out);
    strbuf_addz(out, ",\"topicPutTps\":");
    traffic_rate_text(traffic_topic_put_tps(b->traffic, topic), out);
    strbuf_addc(out, '}');
    mqtable_release(&table);
}

void on_topic_stats(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct topic_request *h = request_header(rq);
    struct topic_config config;
    struct strbuf text = {0};

    if (!h->topic.data) {
        handle_missing(rq, "topic");
        return;
    }
    if (!topics_copy(b->topics, h->topic, &config)) {
        request_fail(rq, RS_TOPIC_NOT_EXIST, "topic[%.*s] not exist", TL_STR_ARG(h->topic));
        return;
    }
    write_stats(b, &config, &text);
    topic_config_release(&config);
    request_ok_body(rq, strbuf_str(&text));
    strbuf_release(&text);
}

static void add_name(void *arg, struct tl_str name)
{
    json_array_append_new(arg, json_stringn(name.data, name.len));
}

void on_system_topics(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    json_t *body = json_object(), *list = json_array();

    topics_each_system(b->topics, add_name, list);
    json_object_set_new(body, "topicList", list);
    handle_reply_json(rq, body);
}

/* Looks for one side of the stored offsets' keys and collects the other. */
struct collecting {
    struct tl_str topic, group; /* one of them absent */
    json_t *names;              /* a set: object of true */
};

static void collect(void *arg, struct tl_str topic, struct tl_str group, int32_t queue_id,
                    int64_t offset)
{
    struct collecting *c = arg;
    struct tl_str other = c->topic.data ? group : topic;

    (void)queue_id;
    (void)offset;
    if (c->topic.data ? !tl_str_eq(topic, c->topic) : !tl_str_eq(group, c->group))
        return;
    char *name = xstrndup(other.data, other.len);
    json_object_set_new(c->names, name, json_true());
    free(name);
}

static json_t *keys_of(const json_t *set)
{
    json_t *list = json_array(), *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)set, key, value)
        json_array_append_new(list, json_string(key));
    return list;
}

void on_topic_consume_by_who(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct topic_request *h = request_header(rq);
    json_t *live, *name, *body;
    size_t i;

    if (!h->topic.data) {
        handle_missing(rq, "topic");
        return;
    }
    struct collecting c = {.topic = h->topic, .names = json_object()};
    live = json_array();
    clients_groups_of_topic(b->clients, h->topic, live);
    json_array_foreach(live, i, name)
        json_object_set_new(c.names, json_string_value(name), json_true());
    json_decref(live);
    offsets_each(b->offsets, collect, &c);
    body = json_object();
    json_object_set_new(body, "groupList", keys_of(c.names));
    json_decref(c.names);
    handle_reply_json(rq, body);
}

void on_topics_by_consumer(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct group_request *h = request_header(rq);
    struct collecting c = {.group = h->group, .names = json_object()};
    json_t *body = json_object();

    offsets_each(b->offsets, collect, &c);
    json_set_str(body, "brokerAddr", tl_str_of(b->addr));
    json_object_set_new(body, "topicList", keys_of(c.names));
    json_decref(c.names);
    handle_reply_json(rq, body);
}
