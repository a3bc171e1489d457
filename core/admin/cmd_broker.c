/*
 * cmd_broker (cmd_) - clusterList, brokerStatus, getBrokerConfig
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/commands.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/json.h"
#include "proto/code.h"

/* A broker's runtime table, every value a string; owned by *root. */
static int runtime(struct admin *a, const char *addr, json_t **root, const json_t **table)
{
    struct client_reply r;
    int rc = client_call(a->client, addr,
                         &(struct channel_call){.code = RQ_GET_BROKER_RUNTIME_INFO}, NULL, &r);

    *root = rc ? NULL : json_parse(r.cmd.body);
    client_reply_release(&r);
    if (rc)
        return rc;
    *table = json_get_object(*root, "table");
    if (*table)
        return 0;
    json_decref(*root);
    return tl_fail(TL_EFORMAT, "%s answered without a runtime table", addr);
}

/* ---- clusterList -------------------------------------------------------------------------- */

static const char *const cluster_headings[] = {
    "Cluster Name", "Broker Name",     "BID",        "Addr", "Version", "InTPS(LOAD)",
    "OutTPS(LOAD)", "Timer(Progress)", "PCWait(ms)", "Hour", "SPACE",   "ACTIVATED"};
enum { CLUSTER_COLUMNS = sizeof(cluster_headings) / sizeof(cluster_headings[0]) };
enum { MS_PER_HOUR = 3600000 };

/* The first of "1.0 2.0 3.0": the rate of the last ten seconds. */
static double rate(const json_t *info, const char *key)
{
    struct tl_str all = json_get_str(info, key);
    double value = 0;

    tl_str_f64(tl_str_cut(&all, ' '), &value);
    return value;
}

static long long number(const json_t *info, const char *key)
{
    return json_get_i64(info, key, 0);
}

static void add_broker(struct admin *a, const char *cluster, const char *name, const char *id,
                       const char *addr, struct table *t)
{
    json_t *root;
    const json_t *info = NULL;
    char in[64], out[96], timer[64], hour[32], space[32];

    if (runtime(a, addr, &root, &info)) {
        table_add(t, (const char *const[]){cluster, name, id, addr, "", "", "", "", "", "", "",
                                           "unreachable"});
        return;
    }
    int64_t earliest = json_get_i64(info, "earliestMessageTimeStamp", 0);
    double age = earliest > 0 ? (double)(clock_now_ms() - earliest) / MS_PER_HOUR : 0;
    snprintf(in, sizeof(in), "%9.2f(%lld,%lldms)", rate(info, "putTps"),
             number(info, "sendThreadPoolQueueSize"),
             number(info, "sendThreadPoolQueueHeadWaitTimeMills"));
    snprintf(out, sizeof(out), "%9.2f(%lld,%lldms|%lld,%lldms)",
             rate(info, "getTransferredTps"), number(info, "pullThreadPoolQueueSize"),
             number(info, "pullThreadPoolQueueHeadWaitTimeMills"),
             number(info, "ackThreadPoolQueueSize"),
             number(info, "ackThreadPoolQueueHeadWaitTimeMills"));
    snprintf(timer, sizeof(timer), "%lld-%lld(%.1fw, %.1f, %.1f)",
             number(info, "timerReadBehind"), number(info, "timerOffsetBehind"),
             (double)number(info, "timerCongestNum") / 10000, rate(info, "timerEnqueueTps"),
             rate(info, "timerDequeueTps"));
    snprintf(hour, sizeof(hour), "%.2f", age);
    snprintf(space, sizeof(space), "%.4f", rate(info, "commitLogDiskRatio"));
    table_add(t, (const char *const[]){cluster, name, id, addr,
                                       json_get_str(info, "brokerVersionDesc").data, in, out,
                                       timer, json_get_str(info, "pageCacheLockTimeMills").data,
                                       hour, space, json_get_str(info, "brokerActive").data});
    json_decref(root);
}

int cmd_cluster_list(struct admin *a, const struct admin_values *v)
{
    struct client_reply r;
    int rc = client_call_namesrv(
        a->client, &(struct channel_call){.code = RQ_GET_BROKER_CLUSTER_INFO}, NULL, &r);
    json_t *root = rc ? NULL : json_parse(r.cmd.body), *broker, *addr;
    const char *name, *id;

    (void)v;
    client_reply_release(&r);
    if (rc)
        return rc;
    struct table *t = table_new(cluster_headings, CLUSTER_COLUMNS);
    json_object_foreach(json_object_get(root, "brokerAddrTable"), name, broker)
    {
        struct tl_str cluster = json_get_str(broker, "cluster");
        if (a->cluster && !tl_str_is(cluster, a->cluster))
            continue;
        json_object_foreach(json_object_get(broker, "brokerAddrs"), id, addr)
        {
            add_broker(a, cluster.data, name, id, json_string_value(addr), t);
        }
    }
    if (a->cluster && !json_object_get(json_get_object(root, "clusterAddrTable"), a->cluster))
        rc = tl_fail(TL_ENOTFOUND, "the name server knows no cluster %s", a->cluster);
    else
        table_print(t, a->json);
    table_free(t);
    json_decref(root);
    return rc;
}

/* ---- brokerStatus ------------------------------------------------------------------------- */

static int compare_keys(const void *x, const void *y)
{
    const char *const *a = x, *const *b = y;
    return strcmp(*a, *b);
}

static void print_sorted(const json_t *table, const char *addr)
{
    size_t n = 0;
    const char **keys = calloc(json_object_size(table) + 1, sizeof(*keys)), *key;
    json_t *value;

    if (!keys)
        return;
    /* jansson's iterators want a non-const object but do not change it. */
    json_object_foreach((json_t *)(uintptr_t)table, key, value) keys[n++] = key;
    qsort(keys, n, sizeof(*keys), compare_keys);
    for (size_t i = 0; i < n; i++) {
        struct tl_str text = json_get_str(table, keys[i]);
        if (addr)
            printf("%-24s ", addr);
        printf("%-32s: %.*s\n", keys[i], TL_STR_ARG(text));
    }
    free(keys);
}

static int print_status(struct admin *a, const char *addr, void *arg)
{
    json_t *root;
    const json_t *table;
    int rc = runtime(a, addr, &root, &table);

    (void)arg;
    if (rc)
        return rc;
    if (a->json) {
        json_t *line = json_pack("{s:s, s:O}", "addr", addr, "table", table);
        struct strbuf text;
        strbuf_init(&text);
        json_write(line, &text);
        printf("%s\n", text.data);
        strbuf_release(&text);
        json_decref(line);
    } else {
        print_sorted(table, a->broker ? NULL : addr);
    }
    json_decref(root);
    return 0;
}

int cmd_broker_status(struct admin *a, const struct admin_values *v)
{
    (void)v;
    return admin_each_broker(a, print_status, NULL);
}

/* ---- getBrokerConfig ---------------------------------------------------------------------- */

static int print_key(void *arg, struct tl_str key, struct tl_str value, int line)
{
    json_t *o = arg;

    (void)line;
    if (o)
        json_object_setn_new(o, key.data, key.len,
                             json_stringn(value.data ? value.data : "", value.len));
    else
        printf("%-50.*s=  %.*s\n", TL_STR_ARG(key), TL_STR_ARG(value));
    return 0;
}

static int print_config(struct admin *a, const char *addr, void *arg)
{
    struct client_reply r;
    json_t *o = a->json ? json_object() : NULL;
    int rc = client_call(a->client, addr, &(struct channel_call){.code = RQ_GET_BROKER_CONFIG},
                         NULL, &r);

    (void)arg;
    if (!rc && !o)
        printf(a->broker ? "============%s============\n"
                         : "============Master: %s============\n",
               addr);
    if (!rc)
        rc = conf_properties(r.cmd.body, print_key, o);
    if (!rc && o) {
        json_t *line = json_pack("{s:s, s:O}", "addr", addr, "config", o);
        struct strbuf text;
        strbuf_init(&text);
        json_write(line, &text);
        printf("%s\n", text.data);
        strbuf_release(&text);
        json_decref(line);
    }
    json_decref(o);
    client_reply_release(&r);
    return rc;
}

int cmd_get_broker_config(struct admin *a, const struct admin_values *v)
{
    (void)v;
    return admin_each_broker(a, print_config, NULL);
}
