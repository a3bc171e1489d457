/*
 * cmd_topic (cmd_) - updateTopic, deleteTopic, topicList, topicRoute, topicStatus, topicClusterList
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/commands.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "proto/code.h"
#include "proto/hdr_consume.h"
#include "proto/hdr_topic.h"
#include "proto/names.h"

/* ---- updateTopic, deleteTopic ------------------------------------------------------------- */

static int create_one(struct admin *a, const char *addr, void *arg)
{
    struct client_reply r;
    int rc = client_call(a->client, addr,
                         &(struct channel_call){.code = RQ_UPDATE_AND_CREATE_TOPIC,
                                                .header = &create_topic_request_header,
                                                .ext = arg},
                         NULL, &r);

    if (!rc)
        printf("create topic to %s success.\n", addr);
    client_reply_release(&r);
    return rc;
}

int cmd_update_topic(struct admin *a, const struct admin_values *v)
{
    struct create_topic_request ext = {
        .topic = tl_str_of(admin_value(v, "topic", "")),
        .default_topic = TL_STR(NAME_TBW102),
        .topic_filter_type = TL_STR("SINGLE_TAG"),
        .attributes = tl_str_of(admin_value(v, "attributes", NULL)),
        .order = tl_str_is(tl_str_of(admin_value(v, "order", "false")), "true"),
    };

    if (!tl_str_i32(tl_str_of(admin_value(v, "readQueueNums", "8")), &ext.read_queue_nums) ||
        !tl_str_i32(tl_str_of(admin_value(v, "writeQueueNums", "8")), &ext.write_queue_nums) ||
        !tl_str_i32(tl_str_of(admin_value(v, "perm", "6")), &ext.perm))
        return tl_fail(TL_EINVAL, "-r, -w and -p: a number expected");
    return admin_each_broker(a, create_one, &ext);
}

static int delete_one(struct admin *a, const char *addr, void *arg)
{
    struct client_reply r;
    int rc = client_call(a->client, addr,
                         &(struct channel_call){.code = RQ_DELETE_TOPIC_IN_BROKER,
                                                .header = &topic_request_header,
                                                .ext = arg},
                         NULL, &r);

    if (!rc)
        printf("delete topic from %s success.\n", addr);
    client_reply_release(&r);
    return rc;
}

int cmd_delete_topic(struct admin *a, const struct admin_values *v)
{
    struct topic_request ext = {.topic = tl_str_of(admin_value(v, "topic", "")),
                                .cluster_name = tl_str_of(a->cluster)};
    struct client_reply r;
    int rc = admin_each_broker(a, delete_one, &ext);

    if (rc || !a->cluster) /* of one broker: the others' routes stay */
        return rc;
    rc = client_call_namesrv(a->client,
                             &(struct channel_call){.code = RQ_DELETE_TOPIC_IN_NAMESRV,
                                                    .header = &topic_request_header,
                                                    .ext = &ext},
                             NULL, &r);
    if (!rc)
        printf("delete topic from NameServer success.\n");
    client_reply_release(&r);
    return rc;
}

/* ---- topicList, topicRoute ---------------------------------------------------------------- */

static int compare_names(const void *x, const void *y)
{
    json_t *const *a = x, *const *b = y;
    return tl_str_cmp(tl_str_of(json_string_value(*a)), tl_str_of(json_string_value(*b)));
}

int cmd_topic_list(struct admin *a, const struct admin_values *v)
{
    struct client_reply r;
    int rc = client_call_namesrv(
        a->client, &(struct channel_call){.code = RQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER}, NULL,
        &r);
    json_t *root = rc ? NULL : json_parse(r.cmd.body);
    const json_t *list = json_get_array(root, "topicList");
    size_t n = json_array_size(list);
    json_t **names = calloc(n + 1, sizeof(*names));

    (void)v;
    for (size_t i = 0; names && i < n; i++)
        names[i] = json_array_get(list, i);
    if (names && n)
        qsort(names, n, sizeof(*names), compare_names);
    for (size_t i = 0; names && i < n; i++)
        printf("%s\n", json_string_value(names[i]));
    free(names);
    json_decref(root);
    client_reply_release(&r);
    return rc;
}

int cmd_topic_route(struct admin *a, const struct admin_values *v)
{
    struct topic_route route;
    struct strbuf text;
    int rc = client_route(a->client, tl_str_of(admin_value(v, "topic", "")), &route);

    if (rc)
        return rc;
    strbuf_init(&text);
    topic_route_write(&route, true, &text);
    json_t *o = json_parse(strbuf_str(&text));
    char *pretty = json_dumps(o, JSON_INDENT(2));
    printf("%s\n", a->json ? text.data : pretty);
    free(pretty);
    json_decref(o);
    strbuf_release(&text);
    topic_route_release(&route);
    return 0;
}

/* ---- topicStatus -------------------------------------------------------------------------- */

static const char *const status_headings[] = {"Broker Name", "QID", "Min Offset", "Max Offset",
                                              "Last Updated"};

/* One broker's rows; the body's keys are MessageQueue objects. */
static int add_status(struct admin *a, const char *addr, struct tl_str topic, struct table *t,
                      double *put_tps)
{
    struct topic_request ext = {.topic = topic};
    struct client_reply r;
    int rc = client_call(a->client, addr,
                         &(struct channel_call){.code = RQ_GET_TOPIC_STATS_INFO,
                                                .header = &topic_request_header,
                                                .ext = &ext},
                         NULL, &r);
    json_t *root = rc ? NULL : json_parse(r.cmd.body), *value;
    const char *key;

    client_reply_release(&r);
    *put_tps += json_get_f64(root, "topicPutTps", 0);
    json_object_foreach(json_object_get(root, "offsetTable"), key, value)
    {
        json_t *queue = json_parse(tl_str_of(key));
        struct tl_str broker = json_get_str(queue, "brokerName");
        char cells[3][32], time[24] = "";
        int64_t updated = json_get_i64(value, "lastUpdateTimestamp", 0);
        snprintf(cells[0], 32, "%d", json_get_i32(queue, "queueId", 0));
        snprintf(cells[1], 32, "%lld", (long long)json_get_i64(value, "minOffset", 0));
        snprintf(cells[2], 32, "%lld", (long long)json_get_i64(value, "maxOffset", 0));
        if (updated > 0) {
            clock_text(updated, time);
            time[19] = ','; /* as Java's tool writes it */
        }
        table_add(t, (const char *const[]){broker.data, cells[0], cells[1], cells[2], time});
        json_decref(queue);
    }
    json_decref(root);
    return rc;
}

int cmd_topic_status(struct admin *a, const struct admin_values *v)
{
    struct tl_str topic = tl_str_of(admin_value(v, "topic", ""));
    struct topic_route route;
    double put_tps = 0;
    int rc = client_route(a->client, topic, &route);

    if (rc)
        return rc;
    struct table *t = table_new(status_headings, 5);
    for (size_t i = 0; i < route.nbrokers && !rc; i++) {
        const char *addr = route_broker_addr(&route.brokers[i]);
        rc = addr ? add_status(a, addr, topic, t, &put_tps) : 0;
    }
    if (!rc)
        table_print(t, a->json);
    if (!rc && !a->json)
        printf("\nTopic Put TPS: %.2f\n", put_tps);
    table_free(t);
    topic_route_release(&route);
    return rc;
}

/* ---- topicClusterList --------------------------------------------------------------------- */

int cmd_topic_cluster_list(struct admin *a, const struct admin_values *v)
{
    struct topic_route route;
    int rc = client_route(a->client, tl_str_of(admin_value(v, "topic", "")), &route);

    if (rc)
        return rc;
    for (size_t i = 0; i < route.nbrokers; i++) {
        bool told = false;
        for (size_t j = 0; j < i; j++)
            told |= strcmp(route.brokers[j].cluster, route.brokers[i].cluster) == 0;
        if (!told)
            printf("%s\n", route.brokers[i].cluster);
    }
    topic_route_release(&route);
    return 0;
}
