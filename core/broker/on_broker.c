/*
 * The broker about itself: settings and run-time figures (AdminBrokerProcessor,
 * StoreStatsService)
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/handle.h"
#include "broker/handlers.h"
#include "broker/schedule.h"
#include "broker/topics.h"
#include "broker/traffic.h"
#include "proto/code.h"
#include "proto/hdr_cluster.h"
#include "proto/names.h"
#include "proto/topic.h"
#include "store/store.h"

#undef LOG_MODULE
#define LOG_MODULE "broker"

void on_broker_config(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    struct data_version version = {.timestamp = b->boot_ms};
    json_t *o = data_version_to_json(&version);
    struct strbuf text = {0}, body = {0};

    json_write(o, &text);
    json_decref(o);
    conf_print(&broker_conf_table, b->conf, 0, &body);
    struct version_response ext = {.version = strbuf_str(&text)};
    request_reply(rq, &(struct reply){.header = &version_response_header,
                                      .ext = &ext,
                                      .has_ext = true,
                                      .body = strbuf_str(&body)});
    strbuf_release(&text);
    strbuf_release(&body);
}

/* ---- run-time figures ------------------------------------------------------------------- */

static void set(json_t *table, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void set(json_t *table, const char *key, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    json_object_set_new(table, key, json_string(text));
}

/* "512 B", "40.1 GiB" (UtilAll.humanReadableByteCount). */
static const char *bytes_text(int64_t n, char out[32])
{
    static const char units[] = "KMGTPE";
    double x = (double)n;
    int unit = -1;

    if (n < 1024) {
        snprintf(out, 32, "%lld B", (long long)n);
        return out;
    }
    while (x >= 1024 && unit < 5) {
        x /= 1024;
        unit++;
    }
    snprintf(out, 32, "%.1f %ciB", x, units[unit]);
    return out;
}

static void set_identity(struct broker *b, json_t *table)
{
    char name[32];
    int64_t s = (clock_now_ms() - b->boot_ms) / 1000;

    set(table, "brokerActive", "true");
    set(table, "brokerVersionDesc", "%s", version_name(VERSION_OURS, name));
    set(table, "brokerVersion", "%d", VERSION_OURS);
    set(table, "bootTimestamp", "%lld", (long long)b->boot_ms);
    set(table, "runtime", "[ %lld days, %lld hours, %lld minutes, %lld seconds ]",
        (long long)(s / 86400), (long long)(s / 3600 % 24), (long long)(s / 60 % 60),
        (long long)(s % 60));
    set(table, "startAcceptSendRequestTimeStamp", "0");
}

/* There are no such queues: requests run as they are read.  Tools want the keys. */
static void set_queues(struct broker *b, json_t *table)
{
    const struct broker_conf *c = b->conf;
    const struct {
        const char *name;
        int32_t capacity;
    } pools[] = {{"send", c->send_thread_pool_queue_capacity},
                 {"pull", c->pull_thread_pool_queue_capacity},
                 {"litePull", c->lite_pull_thread_pool_queue_capacity},
                 {"query", c->query_thread_pool_queue_capacity},
                 {"ack", c->ack_thread_pool_queue_capacity}};

    for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
        char key[64];
        snprintf(key, sizeof(key), "%sThreadPoolQueueSize", pools[i].name);
        set(table, key, "0");
        snprintf(key, sizeof(key), "%sThreadPoolQueueCapacity", pools[i].name);
        set(table, key, "%d", pools[i].capacity);
        snprintf(key, sizeof(key), "%sThreadPoolQueueHeadWaitTimeMills", pools[i].name);
        set(table, key, "0");
    }
    set(table, "EndTransactionQueueSize", "0");
    set(table, "EndTransactionThreadPoolQueueCapacity", "%d",
        c->end_transaction_pool_queue_capacity);
    set(table, "remainTransientStoreBufferNumbs", "%d",
        INT32_MAX); /* no pool, as Java says it */
    set(table, "dispatchMaxBuffer", "0");
    set(table, "timerReadBehind", "0");
    set(table, "timerOffsetBehind", "0");
    set(table, "timerCongestNum", "0");
    set(table, "timerEnqueueTps", "0.0");
    set(table, "timerDequeueTps", "0.0");
}

static const char *const class_names[STORE_LATENCY_CLASSES] = {
    "<=0ms", "0~10ms", "10~50ms", "50~100ms", "100~200ms", "200~500ms", "500ms~1s",
    "1~2s",  "2~3s",   "3~4s",    "4~5s",     "5~10s",     "10s~"};

/* The time below which @share of the appends were done, ms: the upper end of its class. */
static double latency_ms(const struct store_state *s, double share)
{
    static const double upper_ms[STORE_LATENCY_CLASSES] = {
        1, 10, 50, 100, 200, 500, 1000, 2000, 3000, 4000, 5000, 10000, 0};
    uint64_t total = 0, below = 0;

    for (int i = 0; i < STORE_LATENCY_CLASSES; i++)
        total += s->put_class[i];
    for (int i = 0; i < STORE_LATENCY_CLASSES; i++) {
        below += s->put_class[i];
        if (total && (double)below >= share * (double)total)
            return upper_ms[i] > 0 && upper_ms[i] * 1000 < (double)s->put_max_us
                       ? upper_ms[i]
                       : (double)s->put_max_us / 1000;
    }
    return 0;
}

static void set_puts(const struct store_state *s, json_t *table)
{
    struct strbuf classes = {0};

    for (int i = 0; i < STORE_LATENCY_CLASSES; i++)
        strbuf_printf(&classes, "[%s]:%llu ", class_names[i],
                      (unsigned long long)s->put_class[i]);
    json_set_str(table, "putMessageDistributeTime", strbuf_str(&classes));
    strbuf_release(&classes);
    /* At least 1, so that readers can divide by it. */
    set(table, "putMessageTimesTotal", "%llu",
        (unsigned long long)(s->put_messages ? s->put_messages : 1));
    set(table, "putMessageFailedTimes", "%llu", (unsigned long long)s->put_failures);
    set(table, "putMessageSizeTotal", "%llu", (unsigned long long)s->put_bytes);
    set(table, "putMessageAverageSize", "%.1f",
        s->put_messages ? (double)s->put_bytes / (double)s->put_messages : 0.0);
    set(table, "putMessageEntireTimeMax", "%llu", (unsigned long long)(s->put_max_us / 1000));
    set(table, "getMessageEntireTimeMax", "0");
    set(table, "putLatency99", "%.2f", latency_ms(s, 0.99));
    set(table, "putLatency999", "%.2f", latency_ms(s, 0.999));
}

static void set_disk(struct broker *b, json_t *table)
{
    const char *dir = store_log_dir(b->store);
    struct fs_usage log, root;
    char total[32], free_text[32];

    if (fs_usage(dir, &log) || log.total_bytes <= 0)
        log = (struct fs_usage){.total_bytes = 1};
    if (fs_usage(b->conf->store_path_root_dir.data, &root) || root.total_bytes <= 0)
        root = (struct fs_usage){.total_bytes = 1};
    double ratio = retain_used(&log);
    char *key = xasprintf("commitLogDiskRatio_%s", dir);
    set(table, "commitLogDiskRatio", "%.16g", ratio);
    set(table, key, "%.16g", ratio);
    free(key);
    set(table, "consumeQueueDiskRatio", "%.16g",
        retain_used(&root));
    set(table, "commitLogDirCapacity", "Total : %s, Free : %s.",
        bytes_text(log.total_bytes, total), bytes_text(log.free_bytes, free_text));
}

static void set_log(const struct store_state *s, json_t *table)
{
    char text[32];

    set(table, "commitLogMinOffset", "%lld", (long long)s->log_begin);
    set(table, "commitLogMaxOffset", "%lld", (long long)s->log_end);
    set(table, "dispatchBehindBytes", "%lld", (long long)s->dispatch_behind);
    set(table, "pageCacheLockTimeMills", "%lld", (long long)(s->token_held_us / 1000));
    set(table, "earliestMessageTimeStamp", "%lld", (long long)s->earliest_store_ms);
    set(table, "remainHowManyDataToFlush", "%s", bytes_text(s->log_end - s->log_flushed, text));
}

/* "delivered,stored" of each delay level that has messages. */
static void set_delay_levels(struct broker *b, json_t *table)
{
    int64_t levels[STORE_DELAY_LEVELS_MAX], min, max;
    int n = broker_conf_delay_levels(b->conf, levels, STORE_DELAY_LEVELS_MAX);

    for (int level = 1; level <= n; level++) {
        char key[48];
        store_queue_bounds(b->store, TL_STR(NAME_SCHEDULE_TOPIC), level - 1, &min, &max);
        if (max <= 0)
            continue;
        snprintf(key, sizeof(key), "scheduleMessageOffset_%d", level);
        set(table, key, "%lld,%lld", (long long)schedule_offset(b->schedule, level),
            (long long)max);
    }
}

void on_runtime_info(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    struct store_state state;
    json_t *body = json_object(), *table = json_object();

    store_state(b->store, &state);
    set_identity(b, table);
    traffic_runtime_info(b->traffic, table);
    set_queues(b, table);
    set_puts(&state, table);
    set_disk(b, table);
    set_log(&state, table);
    set_delay_levels(b, table);
    json_object_set_new(body, "table", table);
    handle_reply_json(rq, body);
}

/* ---- cleaning (AdminBrokerProcessor) ------------------------------------------------------- */

/* Queues are trimmed to what the log has.  Unlike in RocketMQ an empty queue keeps its offset. */
void on_clean_queues(void *ctx, struct request *rq)
{
    struct broker *b = ctx;

    store_trim(b->store);
    request_ok(rq);
}

struct unused {
    struct broker *b;
    json_t *names;
};

static void note_unused(void *arg, struct consumequeue *q)
{
    struct unused *u = arg;
    struct topic_config known;
    char *name = xstrndup(store_queue_topic(q).data, store_queue_topic(q).len);

    if (topics_copy(u->b->topics, store_queue_topic(q), &known))
        topic_config_release(&known);
    else
        json_object_set_new(u->names, name, json_true());
    free(name);
}

void on_clean_unused_topics(void *ctx, struct request *rq)
{
    struct unused u = {.b = ctx, .names = json_object()};
    const char *name;
    json_t *value;
    int rc = 0;

    store_each_queue(u.b->store, note_unused, &u);
    json_object_foreach(u.names, name, value)
    {
        log_info("topic without settings dropped topic=%s", name);
        if (!rc)
            rc = store_drop_topic(u.b->store, tl_str_of(name));
    }
    json_decref(u.names);
    if (rc)
        request_fail_error(rq, rc);
    else
        request_ok(rq);
}

void on_clean_log(void *ctx, struct request *rq)
{
    struct broker *b = ctx;

    store_retain_soon(b->store);
    request_ok(rq);
}
