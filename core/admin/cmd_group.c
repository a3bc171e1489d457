/*
 * cmd_group (cmd_) - updateSubGroup, deleteSubGroup, consumerProgress, consumerConnection, producerConnection
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/commands.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "proto/code.h"
#include "proto/hdr_group.h"
#include "proto/hdr_topic.h"
#include "proto/names.h"

/* ---- updateSubGroup, deleteSubGroup ------------------------------------------------------- */

/* Option -> member of SubscriptionGroupConfig. */
static const struct {
    const char *option, *member, *def; /* def NULL: left to the broker */
    enum { GROUP_BOOL, GROUP_NUMBER, GROUP_JSON } kind;
} group_members[] = {
    {"consumeEnable", "consumeEnable", NULL, GROUP_BOOL},
    {"consumeFromMinEnable", "consumeFromMinEnable", "false", GROUP_BOOL},
    {"consumeBroadcastEnable", "consumeBroadcastEnable", "false", GROUP_BOOL},
    {"consumeMessageOrderly", "consumeMessageOrderly", NULL, GROUP_BOOL},
    {"retryQueueNums", "retryQueueNums", NULL, GROUP_NUMBER},
    {"retryMaxTimes", "retryMaxTimes", NULL, GROUP_NUMBER},
    {"groupRetryPolicy", "groupRetryPolicy", NULL, GROUP_JSON},
    {"brokerId", "brokerId", NULL, GROUP_NUMBER},
    {"whichBrokerWhenConsumeSlowly", "whichBrokerWhenConsumeSlowly", NULL, GROUP_NUMBER},
    {"notifyConsumerIdsChanged", "notifyConsumerIdsChangedEnable", NULL, GROUP_BOOL},
};

static int add_member(json_t *o, size_t i, struct tl_str value)
{
    const char *member = group_members[i].member, *option = group_members[i].option;
    int64_t n;

    if (group_members[i].kind == GROUP_BOOL) {
        if (!tl_str_is(value, "true") && !tl_str_is(value, "false"))
            return tl_fail(TL_EINVAL, "--%s %.*s: expected true or false", option,
                           TL_STR_ARG(value));
        json_set_bool(o, member, tl_str_is(value, "true"));
        return 0;
    }
    if (group_members[i].kind == GROUP_NUMBER) {
        if (!tl_str_i64(value, &n))
            return tl_fail(TL_EINVAL, "--%s %.*s: a number expected", option,
                           TL_STR_ARG(value));
        json_set_i64(o, member, n);
        return 0;
    }
    json_t *policy = json_parse(value);
    if (!policy)
        return tl_wrap(TL_EFORMAT, "--%s", option);
    json_object_set_new(o, member, policy);
    return 0;
}

/* "+a=b,-c" -> {"+a":"b","-c":""} */
static int add_attributes(json_t *o, struct tl_str list)
{
    json_t *attributes = json_object();

    while (list.data) {
        struct tl_str value = tl_str_trim(tl_str_cut(&list, ',')),
                      key = tl_str_cut(&value, '=');
        if (key.len < 2 || (key.data[0] != '+' && key.data[0] != '-')) {
            json_decref(attributes);
            return tl_fail(TL_EINVAL, "--attributes %.*s: expected +name=value or -name",
                           TL_STR_ARG(key));
        }
        json_object_setn_new(attributes, key.data, key.len,
                             json_stringn(value.data ? value.data : "", value.len));
    }
    json_object_set_new(o, "attributes", attributes);
    return 0;
}

static int update_one(struct admin *a, const char *addr, void *arg)
{
    struct strbuf text;
    struct client_reply r;

    strbuf_init(&text);
    json_write(arg, &text);
    int rc = client_call(a->client, addr,
                         &(struct channel_call){.code = RQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
                                                .body = strbuf_str(&text)},
                         NULL, &r);
    if (!rc)
        printf("create subscription group to %s success.\n", addr);
    client_reply_release(&r);
    strbuf_release(&text);
    return rc;
}

int cmd_update_sub_group(struct admin *a, const struct admin_values *v)
{
    const char *attributes = admin_value(v, "attributes", NULL);
    json_t *o = json_object();
    int rc = 0;

    json_set_str(o, "groupName", tl_str_of(admin_value(v, "groupName", "")));
    for (size_t i = 0; i < sizeof(group_members) / sizeof(group_members[0]) && !rc; i++) {
        const char *value = admin_value(v, group_members[i].option, group_members[i].def);
        rc = value ? add_member(o, i, tl_str_of(value)) : 0;
    }
    if (!rc && attributes)
        rc = add_attributes(o, tl_str_of(attributes));
    if (!rc)
        rc = admin_each_broker(a, update_one, o);
    json_decref(o);
    return rc;
}

static int delete_one(struct admin *a, const char *addr, void *arg)
{
    const struct delete_group_request *ext = arg;
    struct client_reply r;
    int rc = client_call(a->client, addr,
                         &(struct channel_call){.code = RQ_DELETE_SUBSCRIPTIONGROUP,
                                                .header = &delete_group_request_header,
                                                .ext = ext},
                         NULL, &r);

    if (!rc)
        printf("delete subscription group [%.*s] from broker [%s] success.\n",
               TL_STR_ARG(ext->group_name), addr);
    client_reply_release(&r);
    return rc;
}

int cmd_delete_sub_group(struct admin *a, const struct admin_values *v)
{
    struct delete_group_request ext = {
        .group_name = tl_str_of(admin_value(v, "groupName", "")),
        .clean_offset = tl_str_is(tl_str_of(admin_value(v, "removeOffset", "false")), "true"),
    };
    return admin_each_broker(a, delete_one, &ext);
}

/* ---- asking the brokers of a group -------------------------------------------------------- */

static int ask(struct admin *a, const char *addr, int code, const struct header *header,
               const void *ext, json_t **out)
{
    struct client_reply r;
    int rc = client_call(a->client, addr,
                         &(struct channel_call){.code = code, .header = header, .ext = ext},
                         NULL, &r);

    if (!rc && !(*out = json_parse(r.cmd.body)))
        rc = TL_EFORMAT;
    client_reply_release(&r);
    return rc;
}

/* Brokers of a group: those of its retry topic, which every broker it consumes from creates. */
static int group_route(struct admin *a, const char *group, struct topic_route *out)
{
    char *retry = xasprintf("%s%s", NAME_RETRY_PREFIX, group);
    int rc = client_route(a->client, tl_str_of(retry), out);

    free(retry);
    return rc;
}

/* -b, or the first broker of the route; owned. */
static int first_broker(struct admin *a, int rc_route, struct topic_route *route, char **out)
{
    *out = a->broker ? xstrdup(a->broker) : NULL;
    if (rc_route)
        return *out ? 0 : rc_route;
    for (size_t i = 0; i < route->nbrokers && !*out; i++) {
        const char *addr = route_broker_addr(&route->brokers[i]);
        *out = addr ? xstrdup(addr) : NULL;
    }
    topic_route_release(route);
    return *out ? 0 : tl_fail(TL_ENOTFOUND, "no broker of the route has an address");
}

static void print_json(const json_t *o)
{
    struct strbuf text;

    strbuf_init(&text);
    json_write(o, &text);
    printf("%s\n", text.data);
    strbuf_release(&text);
}

/* ---- consumerProgress --------------------------------------------------------------------- */

static const char *const progress_headings[] = {"Topic",         "Broker Name",     "QID",
                                                "Broker Offset", "Consumer Offset", "Diff",
                                                "Inflight",      "LastTime"};
static const char *const groups_headings[] = {"Group", "Count", "Version",   "Type",
                                              "Model", "TPS",   "Diff Total"};

struct progress {
    struct table *rows; /* NULL: only sums are wanted */
    double tps;
    int64_t diff, inflight;
};

static void add_queue(struct progress *p, const json_t *queue, const json_t *o)
{
    int64_t end = json_get_i64(o, "brokerOffset", 0), at = json_get_i64(o, "consumerOffset", 0),
            pulled = json_get_i64(o, "pullOffset", 0),
            last = json_get_i64(o, "lastTimestamp", 0);
    int64_t inflight = pulled > at ? pulled - at : 0;
    char cells[5][24], time[24] = "N/A";

    p->diff += end - at;
    p->inflight += inflight;
    if (!p->rows)
        return;
    snprintf(cells[0], 24, "%d", json_get_i32(queue, "queueId", 0));
    snprintf(cells[1], 24, "%lld", (long long)end);
    snprintf(cells[2], 24, "%lld", (long long)at);
    snprintf(cells[3], 24, "%lld", (long long)(end - at));
    snprintf(cells[4], 24, "%lld", (long long)inflight);
    if (last > 0)
        clock_text(last, time);
    table_add(p->rows, (const char *const[]){json_get_str(queue, "topic").data,
                                             json_get_str(queue, "brokerName").data, cells[0],
                                             cells[1], cells[2], cells[3], cells[4], time});
}

static int add_broker(struct admin *a, const char *addr, const char *group, const char *topic,
                      struct progress *p)
{
    struct consume_stats_request ext = {.consumer_group = tl_str_of(group),
                                        .topic = tl_str_of(topic)};
    json_t *root, *value;
    const char *key;
    int rc = ask(a, addr, RQ_GET_CONSUME_STATS, &consume_stats_request_header, &ext, &root);

    if (rc)
        return rc;
    p->tps += json_get_f64(root, "consumeTps", 0);
    json_object_foreach(json_object_get(root, "offsetTable"), key, value)
    {
        json_t *queue = json_parse(tl_str_of(key));
        add_queue(p, queue, value);
        json_decref(queue);
    }
    json_decref(root);
    return 0;
}

static int collect(struct admin *a, const char *group, const char *topic, struct progress *p)
{
    struct topic_route route;
    int rc = group_route(a, group, &route);

    if (rc == TL_ENOTOPIC && topic)
        rc = client_route(a->client, tl_str_of(topic), &route);
    if (rc)
        return rc;
    for (size_t i = 0; i < route.nbrokers && !rc; i++) {
        const char *addr = route_broker_addr(&route.brokers[i]);
        rc = addr ? add_broker(a, addr, group, topic, p) : 0;
    }
    topic_route_release(&route);
    return rc;
}

static int one_group(struct admin *a, const char *group, const char *topic)
{
    struct progress p = {.rows = table_new(progress_headings, 8)};
    int rc = collect(a, group, topic, &p);

    if (!rc)
        table_print(p.rows, a->json);
    if (!rc && !a->json)
        printf("\nConsume TPS: %.2f\nConsume Diff Total: %lld\nConsume Inflight Total: %lld\n",
               p.tps, (long long)p.diff, (long long)p.inflight);
    table_free(p.rows);
    return rc;
}

static int smallest_version(const json_t *connections)
{
    const json_t *c;
    size_t i;
    int version = 0;

    json_array_foreach(connections, i, c)
    {
        int one = json_get_i32(c, "version", 0);
        version = i == 0 || one < version ? one : version;
    }
    return version;
}

/* A line of a group; one nobody is connected to is OFFLINE. */
static int group_row(struct admin *a, const char *group, const char *topic, struct table *t)
{
    struct consumer_group_request ext = {tl_str_of(group)};
    struct progress p = {0};
    struct topic_route route = {0};
    json_t *online = NULL;
    char *addr = NULL, cells[3][32], version[32] = "";
    int rc = collect(a, group, topic, &p);

    if (rc || (rc = first_broker(a, group_route(a, group, &route), &route, &addr)) != 0)
        return rc;
    if (ask(a, addr, RQ_GET_CONSUMER_CONNECTION_LIST, &consumer_group_request_header, &ext,
            &online))
        online = NULL; /* the usual case is CONSUMER_NOT_ONLINE */
    const json_t *connections = json_get_array(online, "connectionSet");
    size_t count = json_array_size(connections);
    const char *shown =
        count ? version_name(smallest_version(connections), version) : "OFFLINE";
    struct tl_str type = json_get_str(online, "consumeType"),
                  model = json_get_str(online, "messageModel");
    snprintf(cells[0], 32, "%zu", count);
    snprintf(cells[1], 32, "%.2f", p.tps);
    snprintf(cells[2], 32, "%lld", (long long)p.diff);
    table_add(t, (const char *const[]){group, cells[0], shown, type.data, model.data, cells[1],
                                       cells[2]});
    json_decref(online);
    free(addr);
    return 0;
}

static int all_groups(struct admin *a, const char *topic)
{
    struct client_reply r;
    json_t *name;
    size_t i, prefix = strlen(NAME_RETRY_PREFIX);
    int rc = client_call_namesrv(
        a->client, &(struct channel_call){.code = RQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER}, NULL,
        &r);
    json_t *root = rc ? NULL : json_parse(r.cmd.body);

    client_reply_release(&r);
    if (rc)
        return rc;
    struct table *t = table_new(groups_headings, 7);
    json_array_foreach(json_object_get(root, "topicList"), i, name)
    {
        const char *text = json_string_value(name);
        if (!text || strncmp(text, NAME_RETRY_PREFIX, prefix) != 0)
            continue;
        int one = group_row(a, text + prefix, topic, t);
        if (one) /* the others are shown all the same */
            fprintf(stderr, "group %s: %s\n", text + prefix, tl_error_text());
        rc = rc ? rc : one;
    }
    table_print(t, a->json);
    table_free(t);
    json_decref(root);
    return rc;
}

int cmd_consumer_progress(struct admin *a, const struct admin_values *v)
{
    const char *group = admin_value(v, "groupName", NULL),
               *topic = admin_value(v, "topicName", NULL);
    return group ? one_group(a, group, topic) : all_groups(a, topic);
}

/* ---- consumerConnection, producerConnection ----------------------------------------------- */

static const char *const connection_headings[] = {"ClientId", "ClientAddr", "Language",
                                                  "Version"};
static const char *const subscription_headings[] = {"Topic", "SubExpression"};

static const char *text_of(const json_t *o, const char *key)
{
    struct tl_str text = json_get_str(o, key);
    return text.data ? text.data : "";
}

static void print_connections(const json_t *body)
{
    struct table *t = table_new(connection_headings, 4);
    const json_t *c;
    size_t i;

    json_array_foreach(json_get_array(body, "connectionSet"), i, c)
    {
        char version[32];
        table_add(t, (const char *const[]){
                         json_get_str(c, "clientId").data, json_get_str(c, "clientAddr").data,
                         json_get_str(c, "language").data,
                         version_name(json_get_i32(c, "version", 0), version)});
    }
    table_print(t, false);
    table_free(t);
}

static void print_subscriptions(const json_t *body)
{
    struct table *t = table_new(subscription_headings, 2);
    json_t *sub;
    const char *topic;

    json_object_foreach(json_object_get(body, "subscriptionTable"), topic, sub)
    {
        table_add(t, (const char *const[]){topic, json_get_str(sub, "subString").data});
    }
    table_print(t, false);
    table_free(t);
}

int cmd_consumer_connection(struct admin *a, const struct admin_values *v)
{
    const char *group = admin_value(v, "consumerGroup", "");
    struct consumer_group_request ext = {tl_str_of(group)};
    struct topic_route route = {0};
    json_t *body;
    char *addr;
    int rc =
        first_broker(a, a->broker ? TL_ENOTOPIC : group_route(a, group, &route), &route, &addr);

    if (rc)
        return rc;
    rc = ask(a, addr, RQ_GET_CONSUMER_CONNECTION_LIST, &consumer_group_request_header, &ext,
             &body);
    free(addr);
    if (rc)
        return rc;
    if (a->json) {
        print_json(body);
    } else {
        print_connections(body);
        printf("\nBelow is subscription:\n");
        print_subscriptions(body);
        printf("\nConsumeType: %s\nMessageModel: %s\nConsumeFromWhere: %s\n",
               text_of(body, "consumeType"), text_of(body, "messageModel"),
               text_of(body, "consumeFromWhere"));
    }
    json_decref(body);
    return 0;
}

int cmd_producer_connection(struct admin *a, const struct admin_values *v)
{
    struct producer_group_request ext = {tl_str_of(admin_value(v, "producerGroup", ""))};
    struct topic_route route = {0};
    struct tl_str topic = tl_str_of(admin_value(v, "topic", ""));
    json_t *body;
    const json_t *c;
    char *addr;
    size_t i;
    int rc = first_broker(a, a->broker ? TL_ENOTOPIC : client_route(a->client, topic, &route),
                          &route, &addr);

    if (rc)
        return rc;
    rc = ask(a, addr, RQ_GET_PRODUCER_CONNECTION_LIST, &producer_group_request_header, &ext,
             &body);
    free(addr);
    if (rc)
        return rc;
    if (a->json)
        print_json(body);
    json_array_foreach(json_get_array(body, "connectionSet"), i, c)
    {
        char version[32];
        if (!a->json)
            printf("%04zu  %-32s %-22s %-8s %s\n", i + 1, text_of(c, "clientId"),
                   text_of(c, "clientAddr"), text_of(c, "language"),
                   version_name(json_get_i32(c, "version", 0), version));
    }
    json_decref(body);
    return 0;
}
