#include "proto/topic.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "proto/flags.h"

/* ---- DataVersion -------------------------------------------------------------------------- */

json_t *data_version_to_json(const struct data_version *v)
{
    json_t *o = json_object();

    json_set_i64(o, "counter", v->counter);
    json_set_i64(o, "stateVersion", v->state_version);
    json_set_i64(o, "timestamp", v->timestamp);
    return o;
}

void data_version_from_json(struct data_version *v, const json_t *o)
{
    v->counter = json_get_i64(o, "counter", 0);
    v->state_version = json_get_i64(o, "stateVersion", 0);
    v->timestamp = json_get_i64(o, "timestamp", 0);
}

void data_version_bump(struct data_version *v, int64_t now_ms)
{
    v->counter++;
    v->timestamp = now_ms;
}

bool data_version_eq(const struct data_version *a, const struct data_version *b)
{
    return a->counter == b->counter && a->state_version == b->state_version &&
           a->timestamp == b->timestamp;
}

/* ---- TopicConfig -------------------------------------------------------------------------- */

static const char *const filter_names[] = {"SINGLE_TAG", "MULTI_TAG"};

enum { QUEUES_MAX = 65536 };

void topic_config_init(struct topic_config *t, struct tl_str name, int32_t queues, int32_t perm)
{
    *t = (struct topic_config){
        .name = xstrndup(name.data, name.len),
        .read_queue_nums = queues,
        .write_queue_nums = queues,
        .perm = perm,
        .attributes = json_object(),
    };
}

void topic_config_release(struct topic_config *t)
{
    free(t->name);
    json_decref(t->attributes);
    *t = (struct topic_config){0};
}

void topic_config_copy(struct topic_config *dst, const struct topic_config *src)
{
    *dst = *src;
    dst->name = xstrdup(src->name);
    dst->attributes = json_deep_copy(src->attributes);
}

bool topic_config_eq(const struct topic_config *a, const struct topic_config *b)
{
    return tl_str_is(tl_str_of(a->name), b->name) && a->read_queue_nums == b->read_queue_nums &&
           a->write_queue_nums == b->write_queue_nums && a->perm == b->perm &&
           a->sys_flag == b->sys_flag && a->filter_type == b->filter_type &&
           a->order == b->order && json_equal(a->attributes, b->attributes);
}

json_t *topic_config_to_json(const struct topic_config *t)
{
    json_t *o = json_object();

    json_object_set_new(o, "attributes", json_deep_copy(t->attributes));
    json_set_bool(o, "order", t->order);
    json_set_i64(o, "perm", t->perm);
    json_set_i64(o, "readQueueNums", t->read_queue_nums);
    json_set_str(o, "topicFilterType", tl_str_of(filter_names[t->filter_type]));
    json_set_str(o, "topicName", tl_str_of(t->name));
    json_set_i64(o, "topicSysFlag", t->sys_flag);
    json_set_i64(o, "writeQueueNums", t->write_queue_nums);
    return o;
}

int topic_config_from_json(struct topic_config *t, const json_t *o)
{
    struct tl_str name = json_get_str(o, "topicName");

    if (!name.len)
        return tl_fail(TL_EFORMAT, "topic settings without topicName");
    int32_t reads = json_get_i32(o, "readQueueNums", 16),
            writes = json_get_i32(o, "writeQueueNums", 16);
    if (reads < 0 || reads > QUEUES_MAX || writes < 0 || writes > QUEUES_MAX)
        return tl_fail(TL_EFORMAT, "topic %.*s: %d read and %d write queues, at most %d",
                       TL_STR_ARG(name), reads, writes, QUEUES_MAX);
    topic_config_init(t, name, reads, json_get_i32(o, "perm", PERM_READ | PERM_WRITE));
    t->write_queue_nums = writes;
    t->sys_flag = json_get_i32(o, "topicSysFlag", 0);
    t->filter_type = (enum topic_filter_type)json_get_enum(o, "topicFilterType", filter_names,
                                                           2, TOPIC_SINGLE_TAG);
    t->order = json_get_bool(o, "order", false);
    const json_t *attributes = json_get_object(o, "attributes");
    if (attributes) {
        json_decref(t->attributes);
        t->attributes = json_deep_copy(attributes);
    }
    return 0;
}

static void perm_text(int32_t perm, struct strbuf *out)
{
    strbuf_addc(out, perm & PERM_READ ? 'R' : '-');
    strbuf_addc(out, perm & PERM_WRITE ? 'W' : '-');
    strbuf_addc(out, perm & PERM_INHERIT ? 'X' : '-');
}

void topic_config_text(const struct topic_config *t, struct strbuf *out)
{
    const char *key;
    json_t *value;
    bool first = true;

    strbuf_printf(out, "TopicConfig [topicName=%s, readQueueNums=%d, writeQueueNums=%d, perm=",
                  t->name, t->read_queue_nums, t->write_queue_nums);
    perm_text(t->perm, out);
    strbuf_printf(out, ", topicFilterType=%s, topicSysFlag=%d, order=%s, attributes={",
                  filter_names[t->filter_type], t->sys_flag, t->order ? "true" : "false");
    json_object_foreach(t->attributes, key, value)
    {
        strbuf_printf(out, "%s%s=%s", first ? "" : ", ", key,
                      json_is_string(value) ? json_string_value(value) : "");
        first = false;
    }
    strbuf_addz(out, "}]");
}

/* ---- attributes --------------------------------------------------------------------------- */

/* TopicAttributes: what a topic may carry; values separated by '|', NULL = a whole number >= -1. */
static const struct attribute {
    const char *key, *values;
    bool changeable;
} attributes_known[] = {
    {"cleanup.policy", "DELETE|COMPACTION", false},
    {"message.type", "UNSPECIFIED|NORMAL|FIFO|DELAY|TRANSACTION|MIXED", true},
    {"queue.type", "BatchCQ|SimpleCQ|RocksDBCQ", false},
    {"reserve.time", NULL, true},
};

static const struct attribute *attribute_find(struct tl_str key)
{
    for (size_t i = 0; i < sizeof(attributes_known) / sizeof(attributes_known[0]); i++) {
        if (tl_str_is(key, attributes_known[i].key))
            return &attributes_known[i];
    }
    return NULL;
}

static bool attribute_takes(const struct attribute *a, struct tl_str value)
{
    int64_t n;

    if (!a->values)
        return tl_str_i64(value, &n) && n >= -1;
    for (struct tl_str rest = tl_str_of(a->values); rest.data;) {
        if (tl_str_eq(tl_str_cut(&rest, '|'), value))
            return true;
    }
    return false;
}

static int attribute_set(json_t *to, const struct attribute *a, struct tl_str value,
                         bool create)
{
    if (!attribute_takes(a, value))
        return tl_fail(TL_EFORMAT, "value is not in set: %.*s is no value of %s",
                       TL_STR_ARG(value), a->key);
    if (!create && !a->changeable && !tl_str_eq(json_get_str(to, a->key), value))
        return tl_fail(TL_EFORMAT, "attempt to update an unchangeable attribute. key: %s",
                       a->key);
    json_set_str(to, a->key, value);
    return 0;
}

static int attribute_change(json_t *to, struct tl_str piece, bool create)
{
    char sign = piece.len ? piece.data[0] : ' ';
    struct tl_str value = piece.len ? tl_str_n(piece.data + 1, piece.len - 1) : TL_STR_NONE;
    struct tl_str key = tl_str_trim(tl_str_cut(&value, '='));

    if (sign != '+' && sign != '-')
        return tl_fail(TL_EFORMAT, "attributes: %.*s begins with neither + nor -",
                       TL_STR_ARG(piece));
    const struct attribute *a = attribute_find(key);
    if (!a)
        return tl_fail(TL_EFORMAT, "unsupported key: %.*s", TL_STR_ARG(key));
    if (sign == '+')
        return attribute_set(to, a, tl_str_trim(value), create);
    if (create)
        return tl_fail(TL_EFORMAT,
                       "only add attribute is supported while creating topic. key: %s", a->key);
    if (!a->changeable)
        return tl_fail(TL_EFORMAT, "attempt to update an unchangeable attribute. key: %s",
                       a->key);
    json_object_del(to, a->key);
    return 0;
}

int topic_attributes_apply(json_t *attributes, struct tl_str change, bool create)
{
    for (struct tl_str rest = change; rest.data && rest.len;) {
        struct tl_str piece = tl_str_trim(tl_str_cut(&rest, ','));
        if (!piece.len)
            continue;
        int rc = attribute_change(attributes, piece, create);
        if (rc)
            return rc;
    }
    return 0;
}

/* ---- SubscriptionGroupConfig -------------------------------------------------------------- */

void group_config_init(struct group_config *g, struct tl_str name)
{
    *g = (struct group_config){
        .name = xstrndup(name.data, name.len),
        .consume_enable = true,
        .consume_from_min_enable = true,
        .consume_broadcast_enable = true,
        .notify_consumer_ids_changed_enable = true,
        .retry_queue_nums = 1,
        .retry_max_times = 16,
        .consume_timeout_minute = 15,
        .which_broker_when_consume_slowly = 1,
        .attributes = json_object(),
        .retry_policy = json_pack("{s:s}", "type", "CUSTOMIZED"),
    };
}

void group_config_release(struct group_config *g)
{
    free(g->name);
    json_decref(g->attributes);
    json_decref(g->retry_policy);
    json_decref(g->subscriptions);
    *g = (struct group_config){0};
}

void group_config_copy(struct group_config *dst, const struct group_config *src)
{
    *dst = *src;
    dst->name = xstrdup(src->name);
    dst->attributes = json_deep_copy(src->attributes);
    dst->retry_policy = json_deep_copy(src->retry_policy);
    dst->subscriptions = src->subscriptions ? json_deep_copy(src->subscriptions) : NULL;
}

json_t *group_config_to_json(const struct group_config *g)
{
    json_t *o = json_object();

    json_object_set_new(o, "attributes", json_deep_copy(g->attributes));
    json_set_i64(o, "brokerId", g->broker_id);
    json_set_bool(o, "consumeBroadcastEnable", g->consume_broadcast_enable);
    json_set_bool(o, "consumeEnable", g->consume_enable);
    json_set_bool(o, "consumeFromMinEnable", g->consume_from_min_enable);
    json_set_bool(o, "consumeMessageOrderly", g->consume_message_orderly);
    json_set_i64(o, "consumeTimeoutMinute", g->consume_timeout_minute);
    json_set_str(o, "groupName", tl_str_of(g->name));
    json_object_set_new(o, "groupRetryPolicy", json_deep_copy(g->retry_policy));
    json_set_i64(o, "groupSysFlag", g->group_sys_flag);
    json_set_bool(o, "notifyConsumerIdsChangedEnable", g->notify_consumer_ids_changed_enable);
    json_set_i64(o, "retryMaxTimes", g->retry_max_times);
    json_set_i64(o, "retryQueueNums", g->retry_queue_nums);
    if (g->subscriptions)
        json_object_set_new(o, "subscriptionDataSet", json_deep_copy(g->subscriptions));
    json_set_i64(o, "whichBrokerWhenConsumeSlowly", g->which_broker_when_consume_slowly);
    return o;
}

static void take_object(json_t **to, const json_t *o, const char *key)
{
    const json_t *v = json_get_object(o, key);

    if (v) {
        json_decref(*to);
        *to = json_deep_copy(v);
    }
}

int group_config_from_json(struct group_config *g, const json_t *o)
{
    struct tl_str name = json_get_str(o, "groupName");

    if (!name.len)
        return tl_fail(TL_EFORMAT, "group settings without groupName");
    group_config_init(g, name);
    g->consume_enable = json_get_bool(o, "consumeEnable", g->consume_enable);
    g->consume_from_min_enable =
        json_get_bool(o, "consumeFromMinEnable", g->consume_from_min_enable);
    g->consume_broadcast_enable =
        json_get_bool(o, "consumeBroadcastEnable", g->consume_broadcast_enable);
    g->consume_message_orderly =
        json_get_bool(o, "consumeMessageOrderly", g->consume_message_orderly);
    g->notify_consumer_ids_changed_enable = json_get_bool(
        o, "notifyConsumerIdsChangedEnable", g->notify_consumer_ids_changed_enable);
    g->retry_queue_nums = json_get_i32(o, "retryQueueNums", g->retry_queue_nums);
    g->retry_max_times = json_get_i32(o, "retryMaxTimes", g->retry_max_times);
    g->group_sys_flag = json_get_i32(o, "groupSysFlag", g->group_sys_flag);
    g->consume_timeout_minute =
        json_get_i32(o, "consumeTimeoutMinute", g->consume_timeout_minute);
    g->broker_id = json_get_i64(o, "brokerId", g->broker_id);
    g->which_broker_when_consume_slowly =
        json_get_i64(o, "whichBrokerWhenConsumeSlowly", g->which_broker_when_consume_slowly);
    take_object(&g->attributes, o, "attributes");
    take_object(&g->retry_policy, o, "groupRetryPolicy");
    const json_t *subscriptions = json_get_array(o, "subscriptionDataSet");
    if (subscriptions)
        g->subscriptions = json_deep_copy(subscriptions);
    return 0;
}
