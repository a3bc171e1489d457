/*
 * cmd_message (cmd_) - sendMessage, consumeMessage, queryMsgById
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/commands.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "proto/bodies.h"
#include "proto/code.h"
#include "proto/flags.h"
#include "proto/hdr_consume.h"
#include "proto/msgid.h"
#include "proto/properties.h"

enum { PULL_NUMS = 32, COUNT_DEFAULT = 128, TIMEOUT_DEFAULT = 3000 };

#define TOOLS_GROUP "TOOLS_CONSUMER"

/* ---- sendMessage -------------------------------------------------------------------------- */

static const char *const send_headings[] = {"Broker Name", "QID", "Send Result", "MsgId"};
static const char *const send_results[] = {"SEND_OK", "FLUSH_DISK_TIMEOUT",
                                           "SLAVE_NOT_AVAILABLE", "FLUSH_SLAVE_TIMEOUT"};

static int collect_properties(const struct admin_values *v, struct strbuf *out)
{
    const char *keys = admin_value(v, "key", NULL), *tags = admin_value(v, "tags", NULL);

    if (keys)
        properties_add(out, PROP_KEYS, tl_str_of(keys));
    if (tags)
        properties_add(out, PROP_TAGS, tl_str_of(tags));
    for (int i = 0; i < v->nrepeated; i++) {
        struct tl_str value = tl_str_of(v->repeated[i]), name = tl_str_cut(&value, '=');
        if (!name.len || !value.len)
            return tl_fail(TL_EINVAL, "--property %s: expected name=value", v->repeated[i]);
        properties_add(out, name, value);
    }
    return 0;
}

int cmd_send_message(struct admin *a, const struct admin_values *v)
{
    struct strbuf props;
    struct client_sent sent;
    int32_t queue = -1, repeat = 1;
    const char *broker = admin_value(v, "broker", NULL);

    if (!tl_str_i32(tl_str_of(admin_value(v, "qid", "-1")), &queue) ||
        !tl_str_i32(tl_str_of(admin_value(v, "repeat", "1")), &repeat))
        return tl_fail(TL_EINVAL, "--qid and --repeat: a number expected");
    strbuf_init(&props);
    int rc = collect_properties(v, &props);
    struct table *t = table_new(send_headings, 4);
    for (int i = 0; i < repeat && !rc; i++) {
        char qid[16];
        rc = client_send(a->client,
                         &(struct client_send){
                             .topic = tl_str_of(admin_value(v, "topic", "")),
                             .body = tl_str_of(admin_value(v, "body", "")),
                             .properties = strbuf_str(&props),
                             .producer_group = TL_STR("TOOLS_PRODUCER"),
                             .queue_id = queue,
                             .broker_name = tl_str_of(broker),
                         },
                         &sent);
        if (rc)
            break;
        snprintf(qid, sizeof(qid), "%d", sent.queue_id);
        table_add(t, (const char *const[]){
                         sent.broker_name, qid,
                         send_results[sent.code ? sent.code - RS_FLUSH_DISK_TIMEOUT + 1 : 0],
                         sent.msg_id});
    }
    table_print(t, a->json);
    table_free(t);
    strbuf_release(&props);
    return rc;
}

/* ---- consumeMessage ----------------------------------------------------------------------- */

struct consuming {
    struct admin *a;
    struct tl_str topic, group;
    int64_t left;
    int64_t deadline_ms;
    int64_t from; /* -o; -1 = the group's offset or the queue's begin */
};

static json_t *record_json(const struct record *r)
{
    json_t *o = json_object(), *props = json_object();
    struct tl_str name, value;

    for (size_t at = 0; properties_next(r->properties, &at, &name, &value);)
        json_object_setn_new(props, name.data, name.len, json_stringn(value.data, value.len));
    json_set_str(o, "msgId", properties_get(r->properties, PROP_UNIQ_KEY));
    json_set_i64(o, "queueId", r->queue_id);
    json_set_i64(o, "queueOffset", r->queue_offset);
    json_set_i64(o, "storeTimestamp", r->store_timestamp);
    json_object_set_new(o, "properties", props);
    json_set_str(o, "body", r->body);
    return o;
}

static void print_record(const struct consuming *c, const struct record *r)
{
    json_t *o = record_json(r);

    if (c->a->json) {
        char *text = json_dumps(o, JSON_COMPACT);
        printf("%s\n", text);
        free(text);
    } else {
        struct tl_str id = json_get_str(o, "msgId");
        char *props = json_dumps(json_object_get(o, "properties"), JSON_COMPACT);
        printf("MSGID: %.*s QID: %d OFFSET: %lld PROPERTIES: %s BODY: %.*s\n", TL_STR_ARG(id),
               r->queue_id, (long long)r->queue_offset, props, TL_STR_ARG(r->body));
        free(props);
    }
    json_decref(o);
}

/* Print what was pulled; the offset behind the last message printed. */
static int64_t print_records(struct consuming *c, const struct client_pulled *p)
{
    struct tl_str rest = p->records;
    int64_t next = p->next_offset;
    struct record r;

    while (rest.len && c->left > 0 &&
           record_decode(rest.data, rest.len, 0, &r) == RECORD_MESSAGE) {
        print_record(c, &r);
        c->left--;
        next = r.queue_offset + 1;
        rest = tl_str_n(rest.data + r.size, rest.len - r.size);
    }
    return rest.len ? next : p->next_offset;
}

static int heartbeat(struct consuming *c, const char *addr)
{
    struct subscription sub;
    struct strbuf body;
    char *group = xstrndup(c->group.data, c->group.len), *id = xstrdup(client_id(c->a->client));
    struct client_reply r;

    strbuf_init(&body);
    subscription_init(&sub, c->topic, TL_STR("*"), TL_STR("TAG"), clock_now_ms());
    struct heartbeat_consumer consumer = {.group = group,
                                          .type = CONSUME_ACTIVELY,
                                          .model = MODEL_CLUSTERING,
                                          .subs = &sub,
                                          .nsubs = 1};
    struct heartbeat h = {.client_id = id, .consumers = &consumer, .nconsumers = 1};
    heartbeat_write(&h, &body);
    int rc = client_call(
        c->a->client, addr,
        &(struct channel_call){.code = RQ_HEART_BEAT, .body = strbuf_str(&body)}, NULL, &r);
    client_reply_release(&r);
    subscription_release(&sub);
    strbuf_release(&body);
    free(group);
    free(id);
    return rc;
}

/* Where the group goes on: its offset, or the queue's begin. */
static int start_offset(struct consuming *c, const char *addr, int32_t queue, int64_t *out)
{
    static const int ok_codes[] = {RS_QUERY_NOT_FOUND, -1};
    struct query_offset_request ext = {.consumer_group = c->group,
                                       .topic = c->topic,
                                       .queue_id = queue,
                                       .set_zero_if_not_found = false};
    struct client_reply r;
    int rc = client_call(c->a->client, addr,
                         &(struct channel_call){.code = RQ_QUERY_CONSUMER_OFFSET,
                                                .header = &query_offset_request_header,
                                                .ext = &ext},
                         ok_codes, &r);

    bool found =
        !rc && r.cmd.code == RS_SUCCESS && tl_str_i64(command_ext(&r.cmd, "offset"), out);
    client_reply_release(&r);
    if (rc || found)
        return rc;
    return client_queue_offset(c->a->client, addr, RQ_GET_MIN_OFFSET, c->topic, queue, 0, out);
}

static int commit(struct consuming *c, const char *addr, int32_t queue, int64_t offset)
{
    struct update_offset_request ext = {.consumer_group = c->group,
                                        .topic = c->topic,
                                        .queue_id = queue,
                                        .commit_offset = offset};
    struct client_reply r;
    int rc = client_call(c->a->client, addr,
                         &(struct channel_call){.code = RQ_UPDATE_CONSUMER_OFFSET,
                                                .header = &update_offset_request_header,
                                                .ext = &ext},
                         NULL, &r);

    client_reply_release(&r);
    return rc;
}

/* One queue to its end. */
static int drain(struct consuming *c, const char *addr, int32_t queue)
{
    bool as_group = !tl_str_is(c->group, TOOLS_GROUP);
    int64_t offset = c->from, begun;
    int rc = 0;

    if (c->from < 0)
        rc = as_group ? start_offset(c, addr, queue, &offset)
                      : client_queue_offset(c->a->client, addr, RQ_GET_MIN_OFFSET, c->topic,
                                            queue, 0, &offset);
    begun = offset;
    while (!rc && c->left > 0 && clock_mono_ms() < c->deadline_ms) {
        struct client_pulled p;
        rc = client_pull(c->a->client,
                         &(struct client_pull){.addr = addr,
                                               .group = c->group,
                                               .topic = c->topic,
                                               .queue_id = queue,
                                               .max_nums = PULL_NUMS,
                                               .offset = offset},
                         &p);
        if (!rc && p.code != RS_PULL_NOT_FOUND)
            offset = p.code == RS_SUCCESS ? print_records(c, &p) : p.next_offset;
        bool end = p.code == RS_PULL_NOT_FOUND;
        client_reply_release(&p.reply);
        if (end)
            break;
    }
    if (!rc && as_group && offset != begun)
        rc = commit(c, addr, queue, offset);
    return rc;
}

/* One broker's queues: all of them, or queue @only. */
static int drain_broker(struct consuming *c, const struct topic_route *route,
                        const struct route_queues *q, int32_t only)
{
    const char *addr = NULL;

    for (size_t b = 0; b < route->nbrokers && !addr; b++)
        addr = strcmp(route->brokers[b].name, q->broker_name) == 0
                   ? route_broker_addr(&route->brokers[b])
                   : NULL;
    if (!addr || !(q->perm & PERM_READ))
        return 0;
    int rc = heartbeat(c, addr);
    for (int32_t id = 0; id < q->read_queue_nums && !rc && c->left > 0; id++)
        rc = only < 0 || only == id ? drain(c, addr, id) : 0;
    return rc;
}

int cmd_consume_message(struct admin *a, const struct admin_values *v)
{
    struct topic_route route;
    int64_t timeout = TIMEOUT_DEFAULT;
    int32_t queue = -1;
    const char *broker = admin_value(v, "brokerName", NULL);
    struct consuming c = {
        .a = a,
        .topic = tl_str_of(admin_value(v, "topic", "")),
        .group = tl_str_of(admin_value(v, "consumerGroup", TOOLS_GROUP)),
        .left = COUNT_DEFAULT,
        .from = -1,
    };

    if (!tl_str_i64(tl_str_of(admin_value(v, "MessageNumber", "128")), &c.left) ||
        !tl_str_i64(tl_str_of(admin_value(v, "timeout", "3000")), &timeout) ||
        !tl_str_i32(tl_str_of(admin_value(v, "queueId", "-1")), &queue) ||
        !tl_str_i64(tl_str_of(admin_value(v, "offset", "-1")), &c.from))
        return tl_fail(TL_EINVAL,
                       "--MessageNumber, --timeout, --queueId and --offset: a number expected");
    if (c.from >= 0 && queue < 0)
        return tl_fail(TL_EINVAL, "--offset needs --queueId");
    int rc = client_route(a->client, c.topic, &route);
    if (rc)
        return rc;
    c.deadline_ms = clock_mono_ms() + timeout;
    for (size_t i = 0; i < route.nqueues && !rc; i++) {
        if (!broker || strcmp(broker, route.queues[i].broker_name) == 0)
            rc = drain_broker(&c, &route, &route.queues[i], queue);
    }
    topic_route_release(&route);
    return rc;
}

/* ---- queryMsgById ------------------------------------------------------------------------- */

static void print_text(const char *heading, struct tl_str text)
{
    printf("%-20s %.*s\n", heading, TL_STR_ARG(text));
}

static void print_number(const char *heading, int64_t n)
{
    printf("%-20s %lld\n", heading, (long long)n);
}

static void print_time(const char *heading, int64_t ms)
{
    char text[24];

    clock_text(ms, text);
    print_text(heading, tl_str_of(text));
}

static void print_host(const char *heading, const struct record_host *h)
{
    char text[64];

    record_host_text(h, text);
    print_text(heading, tl_str_of(text));
}

static void print_message(struct tl_str id, const struct record *r)
{
    json_t *o = record_json(r);
    char *props = json_dumps(json_object_get(o, "properties"), JSON_COMPACT);

    print_text("OffsetID:", id);
    print_text("Topic:", r->topic);
    print_text("Tags:", properties_get(r->properties, PROP_TAGS));
    print_text("Keys:", properties_get(r->properties, PROP_KEYS));
    print_number("Queue ID:", r->queue_id);
    print_number("Queue Offset:", r->queue_offset);
    print_number("CommitLog Offset:", r->log_pos);
    print_number("Reconsume Times:", r->reconsume_times);
    print_time("Born Timestamp:", r->born_timestamp);
    print_time("Store Timestamp:", r->store_timestamp);
    print_host("Born Host:", &r->born_host);
    print_host("Store Host:", &r->store_host);
    print_number("System Flag:", r->sys_flag);
    print_text("Properties:", tl_str_of(props));
    print_text("Message Body:", r->body);
    free(props);
    json_decref(o);
}

int cmd_query_msg_by_id(struct admin *a, const struct admin_values *v)
{
    struct tl_str id = tl_str_of(admin_value(v, "msgId", ""));
    struct view_message_request ext = {.topic = tl_str_of(admin_value(v, "topic", NULL))};
    struct record_host host;
    struct client_reply r;
    struct record record;
    char addr[64];

    if (!msgid_offset_parse(id, &host, &ext.offset))
        return tl_fail(TL_EINVAL, "--msgId %.*s: expected 32 or 56 hexadecimal digits",
                       TL_STR_ARG(id));
    record_host_text(&host, addr);
    const char *to = a->broker ? a->broker : addr;
    int rc = client_call(a->client, to,
                         &(struct channel_call){.code = RQ_VIEW_MESSAGE_BY_ID,
                                                .header = &view_message_request_header,
                                                .ext = &ext},
                         NULL, &r);
    if (rc)
        rc = tl_wrap(rc, "message %.*s at %s", TL_STR_ARG(id), to);
    else if (record_decode(r.cmd.body.data, r.cmd.body.len, 0, &record) != RECORD_MESSAGE)
        rc = tl_fail(TL_EFORMAT, "%s answered with something that is no message", to);
    else if (a->json)
        print_record(&(struct consuming){.a = a}, &record);
    else
        print_message(id, &record);
    client_reply_release(&r);
    return rc;
}
