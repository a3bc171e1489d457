/*
 * on_register - what brokers say: REGISTER_BROKER, UNREGISTER_BROKER, QUERY_DATA_VERSION, BROKER_HEARTBEAT
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "namesrv/kv.h"
#include "namesrv/namesrv.h"
#include "namesrv/topology.h"
#include "proto/code.h"
#include "proto/hdr_cluster.h"

void ns_register_broker(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    const struct register_broker_request *h = request_header(rq);
    struct tl_str body = rq->cmd.body;
    struct registration r;
    char *master = NULL, *ha = NULL;

    if (h->body_crc32 && (uint32_t)h->body_crc32 != hash_crc31(body.data, body.len)) {
        request_fail(rq, RS_SYSTEM_ERROR, "crc32 not match");
        return;
    }
    if (!h->broker_addr.data || !h->ha_server_addr.data) {
        request_fail(rq, RS_SYSTEM_ERROR, "register broker failed");
        return;
    }
    int rc = registration_parse(body, h->compressed, &r);
    if (rc) {
        request_fail_error(rq, rc);
        return;
    }
    struct topology_broker b = {
        .cluster = h->cluster_name,
        .name = h->broker_name,
        .addr = h->broker_addr,
        .ha_addr = h->ha_server_addr,
        .id = h->broker_id,
        .heartbeat_timeout_ms = h->heartbeat_timeout_ms,
        .enable_acting_master = h->enable_acting_master,
    };
    rc = topology_register(n->topology, &b, &r,
                           ns_is(n, &n->conf.delete_topic_with_broker_registration),
                           conn_id(rq->conn), &master, &ha);
    registration_release(&r);
    if (rc) {
        request_fail_error(rq, rc);
        return;
    }
    struct register_broker_response ext = {tl_str_of(ha), tl_str_of(master)};
    json_t *orders = ns_is(n, &n->conf.return_order_topic_config_to_broker)
                         ? kv_list(n->kv, TL_STR(KV_ORDER_TOPIC_CONFIG))
                         : NULL;
    struct strbuf text;
    strbuf_init(&text);
    if (orders)
        json_write(orders, &text);
    request_reply(rq, &(struct reply){.header = &register_broker_response_header,
                                      .ext = &ext,
                                      .body = tl_str_n(text.data, text.len)});
    strbuf_release(&text);
    json_decref(orders);
    free(master);
    free(ha);
}

void ns_unregister_broker(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    const struct broker_request *h = request_header(rq);

    /* Who is not named completely is not there. */
    if (h->cluster_name.data && h->broker_name.data && h->broker_addr.data)
        topology_unregister(n->topology, h->cluster_name, h->broker_name, h->broker_addr);
    request_ok(rq);
}

void ns_query_data_version(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    const struct broker_request *h = request_header(rq);
    struct data_version theirs = {0}, ours;
    struct changed_response ext = {.changed = true};
    struct strbuf text;
    json_t *v = rq->cmd.body.len ? json_parse(rq->cmd.body) : NULL;

    if (!h->cluster_name.data || !h->broker_addr.data) {
        request_fail(rq, RS_SYSTEM_ERROR, "the custom field <%s> is null",
                     h->cluster_name.data ? "brokerAddr" : "clusterName");
        json_decref(v);
        return;
    }
    if (rq->cmd.body.len && !v) {
        request_fail_error(rq, TL_EFORMAT);
        return;
    }
    strbuf_init(&text);
    data_version_from_json(&theirs, v);
    json_decref(v);
    if (topology_version(n->topology, h->cluster_name, h->broker_addr, &ours)) {
        json_t *o = data_version_to_json(&ours);
        ext.changed = !data_version_eq(&theirs, &ours);
        json_write(o, &text);
        json_decref(o);
        if (!ext.changed)
            topology_touch(n->topology, h->cluster_name, h->broker_addr);
    }
    request_reply(rq, &(struct reply){.header = &changed_response_header,
                                      .ext = &ext,
                                      .body = tl_str_n(text.data, text.len)});
    strbuf_release(&text);
}

void ns_broker_heartbeat(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    const struct broker_heartbeat_request *h = request_header(rq);

    topology_touch(n->topology, h->cluster_name, h->broker_addr);
    request_ok(rq);
}
