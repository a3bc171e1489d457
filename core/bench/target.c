/*
 * target - which queues a run sends to and reads from
 */
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "bench/run.h"
#include "client/client.h"
#include "proto/code.h"
#include "proto/flags.h"
#include "proto/hdr_topic.h"
#include "proto/names.h"

enum { ROUTE_WAIT_MS = 40000, ROUTE_POLL_MS = 50 }; /* a broker registers again after 30 s at the latest */

void targets_release(struct targets *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->items[i].addr);
        free(t->items[i].topic);
    }
    free(t->items);
    *t = (struct targets){0};
}

/* The masters: brokers of the route of TBW102, which every broker that creates topics has. */
static int create(struct client *c, const struct bench_options *o, const char *topic)
{
    struct create_topic_request ext = {
        .topic = tl_str_of(topic),
        .default_topic = TL_STR(NAME_TBW102),
        .topic_filter_type = TL_STR("SINGLE_TAG"),
        .read_queue_nums = o->queues,
        .write_queue_nums = o->queues,
        .perm = PERM_READ | PERM_WRITE,
    };
    struct topic_route masters;
    int rc = client_route(c, TL_STR(NAME_TBW102), &masters);

    if (rc)
        return tl_wrap(rc, "topic %s does not exist, and no broker creates topics", topic);
    for (size_t i = 0; !rc && i < masters.nbrokers; i++) {
        const struct route_broker *b = &masters.brokers[i];
        struct client_reply r;
        if (!b->naddrs || b->addrs[0].id != 0)
            continue;
        rc = client_call(c, b->addrs[0].addr,
                         &(struct channel_call){.code = RQ_UPDATE_AND_CREATE_TOPIC,
                                                .header = &create_topic_request_header,
                                                .ext = &ext},
                         NULL, &r);
        client_reply_release(&r);
    }
    topic_route_release(&masters);
    return rc ? tl_wrap(rc, "creating topic %s", topic) : 0;
}

/* A new topic's route: brokers tell the name server after they answered. */
static int wait_for_route(struct client *c, const char *topic, struct topic_route *out)
{
    struct timespec pause = {0, ROUTE_POLL_MS * 1000000L};

    for (int waited = 0;; waited += ROUTE_POLL_MS) {
        int rc = client_route(c, tl_str_of(topic), out);
        if (rc != TL_ENOTOPIC || waited >= ROUTE_WAIT_MS)
            return rc;
        nanosleep(&pause, NULL);
    }
}

static int add_queues(struct client *c, const struct bench_options *o, const char *topic,
                      const struct topic_route *route, struct targets *out)
{
    for (size_t i = 0; i < route->nqueues; i++) {
        const struct route_queues *q = &route->queues[i];
        bool sends = o->mode & BENCH_PRODUCE;
        const char *addr = topic_route_master(route, q->broker_name);
        if (!addr || !(q->perm & (sends ? PERM_WRITE : PERM_READ)))
            continue;
        for (int32_t n = 0; n < (sends ? q->write_queue_nums : q->read_queue_nums); n++) {
            struct target t = {.queue_id = n};
            int rc = 0;
            if (o->mode & BENCH_CONSUME) {
                rc = client_queue_offset(c, addr, RQ_GET_MIN_OFFSET, tl_str_of(topic), n, 0,
                                         &t.min_offset);
                if (!rc)
                    rc = client_queue_offset(c, addr, RQ_GET_MAX_OFFSET, tl_str_of(topic), n, 0,
                                             &t.max_offset);
            }
            if (rc)
                return rc;
            t.addr = xstrdup(addr);
            t.topic = xstrdup(topic);
            out->items = xrealloc(out->items, (out->n + 1) * sizeof(*out->items));
            out->items[out->n++] = t;
        }
    }
    return 0;
}

static int prepare_one(struct client *c, const struct bench_options *o, const char *topic,
                       struct targets *out)
{
    struct topic_route route;
    int rc = client_route(c, tl_str_of(topic), &route);

    if (rc == TL_ENOTOPIC && (o->mode & BENCH_PRODUCE)) {
        rc = create(c, o, topic);
        if (!rc)
            rc = wait_for_route(c, topic, &route);
    }
    if (rc == TL_ENOTOPIC)
        return tl_fail(rc, "topic %s does not exist: send to it first (mqbench produce)", topic);
    if (rc)
        return rc;
    rc = add_queues(c, o, topic, &route, out);
    topic_route_release(&route);
    return rc;
}

int targets_prepare(const struct bench_options *o, struct targets *out)
{
    struct client *c;
    int rc = client_open(&c, o->namesrv, NULL);

    *out = (struct targets){0};
    for (int i = 0; !rc && i < o->topics; i++) {
        char *topic = o->topics == 1 ? xstrdup(o->topic) : xasprintf("%s-%d", o->topic, i);
        rc = prepare_one(c, o, topic, out);
        free(topic);
    }
    if (!rc && out->n == 0)
        rc = tl_fail(TL_ENOTOPIC, "topic %s has no queue this may use", o->topic);
    if (c)
        client_close(c);
    if (rc)
        targets_release(out);
    return rc;
}
