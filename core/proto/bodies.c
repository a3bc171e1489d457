#include "proto/bodies.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/compress.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"

const char *const consume_type_names[3] = {"CONSUME_ACTIVELY", "CONSUME_PASSIVELY",
                                           "CONSUME_POP"};
const char *const message_model_names[2] = {"BROADCASTING", "CLUSTERING"};
const char *const consume_from_where_names[6] = {
    "CONSUME_FROM_LAST_OFFSET",  "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
    "CONSUME_FROM_MIN_OFFSET",   "CONSUME_FROM_MAX_OFFSET",
    "CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_TIMESTAMP",
};

static char *dup_str(struct tl_str s)
{
    return xstrndup(s.data ? s.data : "", s.len);
}

/* ---- HeartbeatData ------------------------------------------------------------------------ */

static void parse_subscriptions(struct heartbeat_consumer *c, const json_t *list)
{
    const json_t *o;
    size_t i;

    c->subs = xcalloc(json_array_size(list) + 1, sizeof(*c->subs));
    json_array_foreach(list, i, o)
    {
        if (!subscription_from_json(&c->subs[c->nsubs], o))
            c->nsubs++;
    }
}

static int parse_consumer(struct heartbeat_consumer *c, const json_t *o)
{
    const json_t *subs = json_get_array(o, "subscriptionDataSet");

    if (json_is_null(json_object_get(o, "subscriptionDataSet")))
        return tl_fail(TL_EFORMAT, "heartbeat: subscriptionDataSet is null");
    if (!json_is_string(json_object_get(o, "groupName")))
        return tl_fail(TL_EFORMAT, "heartbeat: a group without a name");
    if (json_array_size(subs) > HEARTBEAT_SUBSCRIPTIONS_MAX)
        return tl_fail(TL_ELIMIT, "heartbeat: %zu subscriptions of a group, at most %d",
                       json_array_size(subs), HEARTBEAT_SUBSCRIPTIONS_MAX);
    *c = (struct heartbeat_consumer){
        .group = dup_str(json_get_str(o, "groupName")),
        .type = (enum consume_type)json_get_enum(o, "consumeType", consume_type_names, 3,
                                                 CONSUME_UNKNOWN),
        .model = (enum message_model)json_get_enum(o, "messageModel", message_model_names, 2,
                                                   MODEL_UNKNOWN),
        .from_where = json_get_enum(o, "consumeFromWhere", consume_from_where_names, 6, -1),
        .unit_mode = json_get_bool(o, "unitMode", false),
    };
    parse_subscriptions(c, subs);
    return 0;
}

static int parse_groups(const json_t *root, struct heartbeat *out)
{
    const json_t *consumers = json_get_array(root, "consumerDataSet"),
                 *producers = json_get_array(root, "producerDataSet");
    size_t n = json_array_size(consumers) + json_array_size(producers), i;
    const json_t *o;
    int rc;

    if (json_is_null(json_object_get(root, "consumerDataSet")) ||
        json_is_null(json_object_get(root, "producerDataSet")))
        return tl_fail(TL_EFORMAT, "heartbeat: a set of groups is null");
    if (n > HEARTBEAT_GROUPS_MAX)
        return tl_fail(TL_ELIMIT, "heartbeat: %zu groups, at most %d", n, HEARTBEAT_GROUPS_MAX);
    out->consumers = xcalloc(json_array_size(consumers) + 1, sizeof(*out->consumers));
    out->producers = xcalloc(json_array_size(producers) + 1, sizeof(*out->producers));
    json_array_foreach(consumers, i, o)
    {
        if ((rc = parse_consumer(&out->consumers[out->nconsumers], o)) != 0)
            return rc;
        out->nconsumers++;
    }
    json_array_foreach(producers, i, o)
    {
        if (!json_is_string(json_object_get(o, "groupName")))
            return tl_fail(TL_EFORMAT, "heartbeat: a producer group without a name");
        out->producers[out->nproducers++] = dup_str(json_get_str(o, "groupName"));
    }
    return 0;
}

int heartbeat_parse(struct tl_str body, struct heartbeat *out)
{
    json_t *root = json_parse(body);
    int rc;

    if (!root)
        return tl_wrap(TL_EFORMAT, "heartbeat");
    *out = (struct heartbeat){
        .client_id = dup_str(json_get_str(root, "clientID")),
        .fingerprint = json_get_i32(root, "heartbeatFingerprint", 0),
        .without_sub = json_get_bool(root, "withoutSub", false),
    };
    if (!json_is_object(root))
        rc = tl_fail(TL_EFORMAT, "heartbeat: an object expected");
    else
        rc = parse_groups(root, out);
    json_decref(root);
    if (rc)
        heartbeat_release(out);
    return rc;
}

void heartbeat_release(struct heartbeat *h)
{
    for (size_t i = 0; i < h->nconsumers; i++) {
        for (size_t j = 0; j < h->consumers[i].nsubs; j++)
            subscription_release(&h->consumers[i].subs[j]);
        free(h->consumers[i].subs);
        free(h->consumers[i].group);
    }
    for (size_t i = 0; i < h->nproducers; i++)
        free(h->producers[i]);
    free(h->consumers);
    free(h->producers);
    free(h->client_id);
    *h = (struct heartbeat){0};
}

static json_t *consumer_to_json(const struct heartbeat_consumer *c)
{
    json_t *o = json_object(), *subs = json_array();

    for (size_t i = 0; i < c->nsubs; i++)
        json_array_append_new(subs, subscription_to_json(&c->subs[i]));
    json_set_str(o, "consumeFromWhere", tl_str_of(consume_from_where_names[c->from_where]));
    json_set_str(o, "consumeType", tl_str_of(consume_type_names[c->type]));
    json_set_str(o, "groupName", tl_str_of(c->group));
    json_set_str(o, "messageModel", tl_str_of(message_model_names[c->model]));
    json_object_set_new(o, "subscriptionDataSet", subs);
    json_set_bool(o, "unitMode", c->unit_mode);
    return o;
}

void heartbeat_write(const struct heartbeat *h, struct strbuf *out)
{
    json_t *root = json_object(), *consumers = json_array(), *producers = json_array();

    for (size_t i = 0; i < h->nconsumers; i++)
        json_array_append_new(consumers, consumer_to_json(&h->consumers[i]));
    for (size_t i = 0; i < h->nproducers; i++)
        json_array_append_new(producers, json_pack("{s:s}", "groupName", h->producers[i]));
    json_set_str(root, "clientID", tl_str_of(h->client_id));
    json_object_set_new(root, "consumerDataSet", consumers);
    json_set_i64(root, "heartbeatFingerprint", h->fingerprint);
    json_object_set_new(root, "producerDataSet", producers);
    json_set_bool(root, "withoutSub", h->without_sub);
    json_write(root, out);
    json_decref(root);
}

/* ---- RegisterBrokerBody ------------------------------------------------------------------- */

void registration_release(struct registration *r)
{
    for (size_t i = 0; i < r->ntopics; i++)
        topic_config_release(&r->topics[i]);
    for (size_t i = 0; i < r->nfilter_servers; i++)
        free(r->filter_servers[i]);
    free(r->topics);
    free(r->filter_servers);
    *r = (struct registration){0};
}

static void take_filter_servers(struct registration *out, const json_t *list)
{
    const json_t *v;
    size_t i;

    out->filter_servers = xcalloc(json_array_size(list) + 1, sizeof(*out->filter_servers));
    json_array_foreach(list, i, v)
    {
        if (json_is_string(v))
            out->filter_servers[out->nfilter_servers++] = xstrdup(json_string_value(v));
    }
}

static int parse_json(struct tl_str body, struct registration *out)
{
    json_t *root = json_parse(body), *o;
    const char *key;
    int rc = 0;

    if (!json_is_object(root)) {
        json_decref(root);
        return tl_fail(TL_EFORMAT, "registration: an object expected");
    }
    const json_t *wrapper = json_get_object(root, "topicConfigSerializeWrapper");
    if (!wrapper)
        wrapper = root; /* brokers before 3.0.11 send it bare */
    data_version_from_json(&out->version, json_get_object(wrapper, "dataVersion"));
    json_t *table = (json_t *)(uintptr_t)json_get_object(wrapper, "topicConfigTable");
    out->topics = xcalloc(json_object_size(table) + 1, sizeof(*out->topics));
    json_object_foreach(table, key, o)
    {
        rc = topic_config_from_json(&out->topics[out->ntopics], o);
        if (rc)
            break;
        out->ntopics++;
    }
    take_filter_servers(out, json_get_array(root, "filterServerList"));
    json_decref(root);
    return rc;
}

/* "name reads writes perm SINGLE_TAG [attributes]" (TopicConfig.decode). */
static int parse_line(struct tl_str line, struct topic_config *out)
{
    struct tl_str name = tl_str_cut(&line, ' ');
    int32_t n[3];

    for (int i = 0; i < 3; i++) {
        if (!tl_str_i32(tl_str_cut(&line, ' '), &n[i]))
            return tl_fail(TL_EFORMAT, "registration: topic %.*s without its three numbers",
                           TL_STR_ARG(name));
    }
    if (!name.len)
        return tl_fail(TL_EFORMAT, "registration: a topic without a name");
    topic_config_init(out, name, n[0], n[2]);
    out->write_queue_nums = n[1];
    if (tl_str_is(tl_str_cut(&line, ' '), "MULTI_TAG"))
        out->filter_type = TOPIC_MULTI_TAG;
    json_t *attributes = line.len ? json_parse(line) : NULL;
    if (json_is_object(attributes)) {
        json_decref(out->attributes);
        out->attributes = attributes;
    } else {
        json_decref(attributes);
    }
    return 0;
}

static int parse_packed(struct tl_str plain, struct registration *out)
{
    struct reader r = reader_of(plain.data, plain.len);
    struct tl_str version = reader_str(&r, reader_u32(&r));
    uint32_t n = reader_u32(&r);
    int rc = 0;

    if (r.failed || n > reader_left(&r) / 4)
        return tl_fail(TL_EFORMAT, "registration: cut short");
    json_t *v = json_parse(version);
    data_version_from_json(&out->version, v);
    json_decref(v);
    out->topics = xcalloc((size_t)n + 1, sizeof(*out->topics));
    for (uint32_t i = 0; i < n && !rc; i++) {
        struct tl_str line = reader_str(&r, reader_u32(&r));
        rc = r.failed ? tl_fail(TL_EFORMAT, "registration: cut short at topic %u", i)
                      : parse_line(line, &out->topics[out->ntopics]);
        if (!rc)
            out->ntopics++;
    }
    struct tl_str servers = reader_str(&r, reader_u32(&r));
    json_t *list = !rc && servers.len ? json_parse(servers) : NULL;
    take_filter_servers(out, json_is_array(list) ? list : NULL);
    json_decref(list);
    return rc;
}

int registration_parse(struct tl_str body, bool compressed, struct registration *out)
{
    struct strbuf plain;
    int rc;

    *out = (struct registration){0};
    if (!body.len)
        return 0;
    if (!compressed && (body.data[0] & 0x0f) != 8) { /* not a zlib stream */
        rc = parse_json(body, out);
    } else {
        strbuf_init(&plain);
        rc =
            compress_expand(COMPRESS_ZLIB, body.data, body.len, REGISTRATION_PLAIN_MAX, &plain);
        if (!rc)
            rc = parse_packed(strbuf_str(&plain), out);
        strbuf_release(&plain);
    }
    if (rc)
        registration_release(out);
    return rc;
}

void registration_write(const struct registration *r, struct strbuf *out)
{
    json_t *root = json_object(), *wrapper = json_object(), *table = json_object(),
           *servers = json_array();

    for (size_t i = 0; i < r->ntopics; i++)
        json_object_set_new(table, r->topics[i].name, topic_config_to_json(&r->topics[i]));
    for (size_t i = 0; i < r->nfilter_servers; i++)
        json_array_append_new(servers, json_string(r->filter_servers[i]));
    json_object_set_new(wrapper, "dataVersion", data_version_to_json(&r->version));
    json_object_set_new(wrapper, "mappingDataVersion", data_version_to_json(&r->version));
    json_object_set_new(wrapper, "topicConfigTable", table);
    json_object_set_new(wrapper, "topicQueueMappingDetailMap", json_object());
    json_object_set_new(wrapper, "topicQueueMappingInfoMap", json_object());
    json_object_set_new(root, "filterServerList", servers);
    json_object_set_new(root, "topicConfigSerializeWrapper", wrapper);
    json_write(root, out);
    json_decref(root);
}

/* ---- LockBatchRequestBody ----------------------------------------------------------------- */

enum { LOCK_QUEUES_MAX = 65536 };

int lock_body_parse(struct tl_str body, struct lock_body *out)
{
    json_t *root = json_parse(body);
    const json_t *o;
    size_t i;

    if (!json_is_object(root)) {
        json_decref(root);
        return tl_fail(TL_EFORMAT, "lock request: an object expected");
    }
    const json_t *queues = json_get_array(root, "mqSet");
    bool null_set = json_is_null(json_object_get(root, "mqSet"));
    *out = (struct lock_body){
        .group = dup_str(json_get_str(root, "consumerGroup")),
        .client_id = dup_str(json_get_str(root, "clientId")),
        .queues = xcalloc(json_array_size(queues) + 1, sizeof(*out->queues)),
    };
    json_array_foreach(queues, i, o)
    {
        out->queues[out->nqueues++] = (struct lock_queue){
            .topic = dup_str(json_get_str(o, "topic")),
            .broker_name = json_object_get(o, "brokerName")
                               ? dup_str(json_get_str(o, "brokerName"))
                               : NULL,
            .queue_id = json_get_i32(o, "queueId", 0),
        };
    }
    json_decref(root);
    int rc = 0;
    if (null_set)
        rc = tl_fail(TL_EFORMAT, "lock request: mqSet is null");
    else if (out->nqueues && (!*out->group || !*out->client_id))
        rc = tl_fail(TL_EFORMAT, "lock request: consumerGroup and clientId are needed");
    else if (out->nqueues > LOCK_QUEUES_MAX)
        rc = tl_fail(TL_ELIMIT, "lock request: %zu queues, at most %d", out->nqueues,
                     LOCK_QUEUES_MAX);
    if (rc)
        lock_body_release(out);
    return rc;
}

void lock_body_release(struct lock_body *b)
{
    for (size_t i = 0; i < b->nqueues; i++) {
        free(b->queues[i].topic);
        free(b->queues[i].broker_name);
    }
    free(b->queues);
    free(b->group);
    free(b->client_id);
    *b = (struct lock_body){0};
}

void message_queue_write(struct strbuf *out, struct tl_str topic, struct tl_str broker_name,
                         int32_t queue_id)
{
    strbuf_addc(out, '{');
    if (broker_name.data) {
        strbuf_addz(out, "\"brokerName\":");
        json_write_string(out, broker_name);
        strbuf_addc(out, ',');
    }
    strbuf_printf(out, "\"queueId\":%d,\"topic\":", queue_id);
    json_write_string(out, topic);
    strbuf_addc(out, '}');
}
