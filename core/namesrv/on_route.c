/*
 * on_route - what clients and tools ask: GET_ROUTEINFO_BY_TOPIC, GET_BROKER_CLUSTER_INFO, GET_BROKER_MEMBER_GROUP
 */
#include <stdlib.h>

#include "base/json.h"
#include "namesrv/kv.h"
#include "namesrv/namesrv.h"
#include "namesrv/topology.h"
#include "proto/code.h"
#include "proto/hdr_cluster.h"
#include "proto/hdr_topic.h"

enum { STANDARD_JSON_VERSION = 401 }; /* V4_9_4: clients that read quoted integer keys */

static void reply_json(struct request *rq, json_t *body)
{
    struct strbuf text;

    strbuf_init(&text);
    json_write(body, &text);
    json_decref(body);
    request_ok_body(rq, strbuf_str(&text));
    strbuf_release(&text);
}

void ns_route(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    const struct topic_request *h = request_header(rq);
    struct topic_route route;
    struct strbuf text;

    if (!topology_route(n->topology, h->topic, &route)) {
        struct tl_str name = h->topic.data ? h->topic : TL_STR("null");
        request_fail(rq, RS_TOPIC_NOT_EXIST,
                     "No topic route info in name server for the topic: %.*s" FAQ_SUFFIX,
                     TL_STR_ARG(name));
        return;
    }
    strbuf_init(&text);
    if (ns_is(n, &n->conf.order_message_enable) &&
        kv_get(n->kv, TL_STR(KV_ORDER_TOPIC_CONFIG), h->topic, &text))
        route.order_topic_conf = strbuf_detach(&text, NULL);
    strbuf_clear(&text);
    topic_route_write(&route,
                      rq->cmd.version >= STANDARD_JSON_VERSION || h->accept_standard_json_only,
                      &text);
    request_ok_body(rq, strbuf_str(&text));
    strbuf_release(&text);
    topic_route_release(&route);
}

void ns_cluster_info(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    reply_json(rq, topology_clusters(n->topology));
}

void ns_member_group(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    const struct broker_name_request *h = request_header(rq);
    struct strbuf text;
    json_t *body = topology_members(n->topology, h->cluster_name, h->broker_name);

    strbuf_init(&text);
    json_write(body, &text);
    json_decref(body);
    /* The Java name server leaves the remark it starts with standing. */
    request_reply(rq, &(struct reply){.remark = TL_STR("not set any response code"),
                                      .body = strbuf_str(&text)});
    strbuf_release(&text);
}
