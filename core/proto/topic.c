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
    if (reads > QUEUES_MAX || writes > QUEUES_MAX)
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
    {"message.type", "UNSPECIFIED|TRANSACTION|FIFO|MIXED|DELAY|NORMAL", true},
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

/* "+message.type=FIFO" or "-message.type" as name with sign and value (AttributeParser). */
static int attribute_parse(struct tl_str piece, struct tl_str *name, struct tl_str *value)
{
    bool has_value = piece.len && memchr(piece.data, '=', piece.len);

    *name = tl_str_cut(&piece, '=');
    *value = tl_str_cut(&piece, '=');
    if (has_value && !value->len)
        return tl_fail(TL_EFORMAT, "attribute without a value: %.*s", TL_STR_ARG(*name));
    if (has_value && !memchr(name->data ? name->data : "", '+', name->len))
        return tl_fail(TL_EFORMAT, "add/alter attribute format is wrong: %.*s",
                       TL_STR_ARG(*name));
    if (!has_value && !memchr(name->data ? name->data : "", '-', name->len))
        return tl_fail(TL_EFORMAT, "delete attribute format is wrong: %.*s", TL_STR_ARG(*name));
    return 0;
}

/* What of a change can be said before its value is looked at (AttributeUtil). */
static int attribute_check(const json_t *now, const json_t *seen, struct tl_str name,
                           bool create)
{
    struct tl_str key = name.len ? tl_str_n(name.data + 1, name.len - 1) : TL_STR_NONE;

    if (!key.len || (name.data[0] != '+' && name.data[0] != '-'))
        return tl_fail(TL_EFORMAT, "kv string format wrong.");
    if (json_object_getn(seen, key.data, key.len))
        return tl_fail(TL_EFORMAT, "key duplication: %.*s", TL_STR_ARG(name));
    if (name.data[0] == '+')
        return 0;
    if (create)
        return tl_fail(TL_EFORMAT,
                       "only add attribute is supported while creating topic. key: %.*s",
                       TL_STR_ARG(key));
    if (!json_object_getn(now, key.data, key.len))
        return tl_fail(TL_EFORMAT, "attempt to delete a nonexistent key: %.*s",
                       TL_STR_ARG(key));
    return 0;
}

static int refuse_value(const struct attribute *a)
{
    struct strbuf set;

    if (!a->values)
        return tl_fail(TL_EFORMAT, "value is not in range(-1, 9223372036854775807)");
    strbuf_init(&set);
    for (struct tl_str rest = tl_str_of(a->values); rest.data;) {
        if (set.len)
            strbuf_addz(&set, ", ");
        strbuf_addstr(&set, tl_str_cut(&rest, '|'));
    }
    int rc = tl_fail(TL_EFORMAT, "value is not in set: [%s]", set.data);
    strbuf_release(&set);
    return rc;
}

static int attribute_change(json_t *to, struct tl_str name, struct tl_str value, bool create)
{
    struct tl_str key = tl_str_n(name.data + 1, name.len - 1);
    const struct attribute *a = attribute_find(key);

    if (!a)
        return tl_fail(TL_EFORMAT, "unsupported key: %.*s", TL_STR_ARG(key));
    if (!create && !a->changeable)
        return tl_fail(TL_EFORMAT, "attempt to update an unchangeable attribute. key: %s",
                       a->key);
    if (name.data[0] == '-') {
        json_object_del(to, a->key);
        return 0;
    }
    if (!attribute_takes(a, value))
        return refuse_value(a);
    json_set_str(to, a->key, value);
    return 0;
}

int topic_attributes_apply(json_t *attributes, struct tl_str change, bool create)
{
    json_t *now = json_deep_copy(attributes), *seen = json_object();
    struct tl_str rest = change, name, value;
    int rc = 0;

    while (rest.len && rest.data[rest.len - 1] == ',') /* as Java splits */
        rest.len--;
    while (!rc && rest.data && change.len) {
        if (!rest.len && rest.data == change.data)
            break;
        if ((rc = attribute_parse(tl_str_cut(&rest, ','), &name, &value)) ||
            (rc = attribute_check(now, seen, name, create)) ||
            (rc = attribute_change(attributes, name, value, create)))
            break;
        json_object_setn_new(seen, name.data + 1, name.len - 1, json_true());
    }
    json_decref(now);
    json_decref(seen);
    return rc;
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

/* An unknown type is none, no type is CUSTOMIZED, null is no policy. */
static void take_retry_policy(struct group_config *g, const json_t *policy)
{
    static const char *const types[] = {"EXPONENTIAL", "CUSTOMIZED"};

    if (!policy)
        return;
    json_decref(g->retry_policy);
    g->retry_policy = json_is_object(policy) ? json_deep_copy(policy) : NULL;
    if (!g->retry_policy)
        return;
    if (!json_object_get(policy, "type"))
        json_set_str(g->retry_policy, "type", TL_STR("CUSTOMIZED"));
    else if (json_get_enum(policy, "type", types, 2, -1) < 0)
        json_object_del(g->retry_policy, "type");
}

/* SimpleSubscriptionData: what Java reads of each. */
static json_t *simple_subscriptions(const json_t *list)
{
    static const char *const texts[] = {"expression", "expressionType", "topic"};
    json_t *out = json_array(), *one;
    const json_t *o;
    size_t i;

    json_array_foreach(list, i, o)
    {
        json_array_append_new(out, one = json_object());
        for (size_t t = 0; t < 3; t++) {
            const json_t *v = json_object_get(o, texts[t]);
            if (json_is_string(v))
                json_object_set_new(one, texts[t], json_deep_copy(v));
        }
        json_set_i64(one, "version", json_get_i64(o, "version", 0));
    }
    return out;
}

int group_config_from_json(struct group_config *g, const json_t *o)
{
    struct tl_str name = json_get_str(o, "groupName");

    if (!name.data)
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
    take_retry_policy(g, json_object_get(o, "groupRetryPolicy"));
    const json_t *subscriptions = json_get_array(o, "subscriptionDataSet");
    if (subscriptions)
        g->subscriptions = simple_subscriptions(subscriptions);
    return 0;
}
