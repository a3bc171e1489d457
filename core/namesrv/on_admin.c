/*
 * on_admin - administration: KV configuration, topic lists, permissions, the name server's own settings
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "namesrv/kv.h"
#include "namesrv/namesrv.h"
#include "namesrv/topology.h"
#include "proto/code.h"
#include "proto/hdr_cluster.h"
#include "proto/hdr_topic.h"

#undef LOG_MODULE
#define LOG_MODULE "namesrv"

static void reply_json(struct request *rq, json_t *body)
{
    struct strbuf text;

    strbuf_init(&text);
    json_write(body, &text);
    json_decref(body);
    request_ok_body(rq, strbuf_str(&text));
    strbuf_release(&text);
}

static void reply_topics(struct request *rq, json_t *list)
{
    reply_json(rq, json_pack("{s:o}", "topicList", list));
}

/* ---- KV ----------------------------------------------------------------------------------- */

void ns_put_kv(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    const struct kv_request *h = request_header(rq);

    if (!h->namespace_.data || !h->key.data) {
        request_fail(rq, RS_SYSTEM_ERROR, "namespace or key is null");
        return;
    }
    /* A key without a value is none. */
    int rc = h->value.data ? kv_put(n->kv, h->namespace_, h->key, h->value)
                           : kv_delete(n->kv, h->namespace_, h->key);
    if (rc)
        request_fail_error(rq, rc);
    else
        request_ok(rq);
}

/* As Java prints a string that may be null. */
static struct tl_str shown(struct tl_str s)
{
    return s.data ? s : TL_STR("null");
}

void ns_get_kv(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    const struct kv_request *h = request_header(rq);
    struct strbuf value;

    strbuf_init(&value);
    if (kv_get(n->kv, h->namespace_, h->key, &value)) {
        struct value_response ext = {strbuf_str(&value)};
        request_reply(rq, &(struct reply){.header = &value_response_header, .ext = &ext});
    } else {
        request_fail(rq, RS_QUERY_NOT_FOUND, "No config item, Namespace: %.*s Key: %.*s",
                     TL_STR_ARG(shown(h->namespace_)), TL_STR_ARG(shown(h->key)));
    }
    strbuf_release(&value);
}

void ns_delete_kv(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    const struct kv_request *h = request_header(rq);
    int rc = kv_delete(n->kv, h->namespace_, h->key);

    if (rc)
        request_fail_error(rq, rc);
    else
        request_ok(rq);
}

void ns_list_kv(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    const struct kv_request *h = request_header(rq);
    json_t *table = kv_list(n->kv, h->namespace_);

    if (table)
        reply_json(rq, table);
    else
        request_fail(rq, RS_QUERY_NOT_FOUND, "No config item, Namespace: %.*s",
                     TL_STR_ARG(shown(h->namespace_)));
}

/* ---- permissions -------------------------------------------------------------------------- */

static void write_perm(struct namesrv *n, struct request *rq, bool wipe)
{
    const struct broker_name_request *h = request_header(rq);
    char digits[20];
    int count = topology_write_perm(n->topology, h->broker_name, wipe);
    struct tl_str text = tl_str_n(digits, tl_i64_text(count, digits));
    struct count_response ext = {
        .wipe_topic_count = wipe ? text : TL_STR_NONE,
        .add_topic_count = wipe ? TL_STR_NONE : text,
    };

    log_info("write permission %s broker=%.*s topics=%d", wipe ? "taken" : "given",
             TL_STR_ARG(h->broker_name), count);
    request_reply(rq, &(struct reply){.header = &count_response_header, .ext = &ext});
}

void ns_wipe_write_perm(void *ctx, struct request *rq)
{
    write_perm(ctx, rq, true);
}

void ns_add_write_perm(void *ctx, struct request *rq)
{
    write_perm(ctx, rq, false);
}

/* ---- topics ------------------------------------------------------------------------------- */

void ns_all_topics(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;

    if (ns_is(n, &n->conf.enable_all_topic_list))
        reply_topics(rq, topology_topics(n->topology));
    else
        request_fail(rq, RS_SYSTEM_ERROR, "disable");
}

void ns_delete_topic(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    const struct topic_request *h = request_header(rq);

    topology_delete_topic(n->topology, h->topic, h->cluster_name);
    request_ok(rq);
}

void ns_register_topic(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    const struct topic_request *h = request_header(rq);
    struct topic_route route = {0};
    int rc = rq->cmd.body.len ? topic_route_parse(rq->cmd.body, &route) : 0;

    if (rc) {
        request_fail_error(rq, rc);
        return;
    }
    if (h->topic.len && rq->cmd.body.len)
        topology_add_topic(n->topology, h->topic, &route);
    topic_route_release(&route);
    request_ok(rq);
}

void ns_topics_by_cluster(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    const struct cluster_request *h = request_header(rq);

    if (ns_is(n, &n->conf.enable_topic_list))
        reply_topics(rq, topology_topics_of(n->topology, h->cluster));
    else
        request_fail(rq, RS_SYSTEM_ERROR, "disable");
}

void ns_system_topics(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    char *addr;
    json_t *o = json_pack("{s:o}", "topicList", topology_system_topics(n->topology, &addr));

    json_set_str(o, "brokerAddr", tl_str_of(addr));
    free(addr);
    reply_json(rq, o);
}

/* topicSysFlag (TopicSysFlag) */
enum { UNIT = 1, UNIT_SUB = 2 };

void ns_unit_topics(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    int code = rq->cmd.code;
    int32_t set = code == RQ_GET_UNIT_TOPIC_LIST ? UNIT : UNIT_SUB;
    int32_t clear = code == RQ_GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST ? UNIT : 0;

    if (ns_is(n, &n->conf.enable_topic_list))
        reply_topics(rq, topology_topics_by_flag(n->topology, set, clear));
    else
        request_fail(rq, RS_SYSTEM_ERROR, "disable");
}

/* ---- settings ----------------------------------------------------------------------------- */

static bool in_black_list(const struct namesrv *n, struct tl_str key)
{
    struct tl_str rest = n->conf.config_black_list;

    if (tl_str_is(key, "configBlackList") || tl_str_is(key, "rocketmqHome"))
        return true;
    while (rest.data) {
        if (tl_str_eq(tl_str_trim(tl_str_cut(&rest, ';')), key))
            return true;
    }
    return false;
}

struct update {
    struct namesrv *n;
    bool apply;
};

static int update_one(void *arg, struct tl_str key, struct tl_str value, int line)
{
    struct update *u = arg;
    const struct conf_key *k = conf_find(&namesrv_conf_table, key);

    if (in_black_list(u->n, key))
        return tl_fail(TL_EPERM, "Can not update config in black list.");
    if (!k)
        return 0;
    if (!(k->flags & CONF_DYNAMIC))
        return tl_fail(TL_EINVAL, "line %d: %s can only be set at start", line, k->key);
    if (u->apply)
        return conf_set(&namesrv_conf_table, &u->n->conf, key, value);
    return 0;
}

void ns_update_config(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    struct update u = {n, false};

    pthread_mutex_lock(&n->conf_lock);
    int rc =
        conf_properties(rq->cmd.body, update_one, &u); /* all are checked before one is set */
    u.apply = true;
    if (!rc)
        rc = conf_properties(rq->cmd.body, update_one, &u);
    pthread_mutex_unlock(&n->conf_lock);
    if (rc)
        request_fail_error(rq, rc);
    else
        request_ok(rq);
}

void ns_get_config(void *ctx, struct request *rq)
{
    struct namesrv *n = ctx;
    struct strbuf text;

    strbuf_init(&text);
    pthread_mutex_lock(&n->conf_lock);
    conf_print(&namesrv_conf_table, &n->conf, 0, &text);
    pthread_mutex_unlock(&n->conf_lock);
    request_ok_body(rq, strbuf_str(&text));
    strbuf_release(&text);
}
