#include "proto/route.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"

void topic_route_release(struct topic_route *r)
{
    for (size_t i = 0; i < r->nbrokers; i++) {
        struct route_broker *b = &r->brokers[i];
        for (size_t j = 0; j < b->naddrs; j++)
            free(b->addrs[j].addr);
        free(b->addrs);
        free(b->cluster);
        free(b->name);
    }
    for (size_t i = 0; i < r->nqueues; i++)
        free(r->queues[i].broker_name);
    free(r->brokers);
    free(r->queues);
    free(r->order_topic_conf);
    *r = (struct topic_route){0};
}

static char *dup_str(struct tl_str s)
{
    return xstrndup(s.data ? s.data : "", s.len);
}

static int compare_addr(const void *x, const void *y)
{
    const struct route_broker_addr *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

static int parse_broker(struct route_broker *out, const json_t *o)
{
    /* jansson's iterators want a non-const object but do not change it. */
    json_t *addrs = (json_t *)(uintptr_t)json_get_object(o, "brokerAddrs");
    const char *key;
    json_t *value;

    *out = (struct route_broker){
        .cluster = dup_str(json_get_str(o, "cluster")),
        .name = dup_str(json_get_str(o, "brokerName")),
        .enable_acting_master = json_get_bool(o, "enableActingMaster", false),
    };
    if (!addrs)
        return 0;
    out->addrs = xcalloc(json_object_size(addrs) + 1, sizeof(*out->addrs));
    json_object_foreach(addrs, key, value)
    {
        struct route_broker_addr *a = &out->addrs[out->naddrs];
        if (!json_is_string(value) || !tl_str_i64(tl_str_of(key), &a->id))
            return tl_fail(TL_EFORMAT,
                           "route: brokerAddrs of %s: \"%s\" is no broker id with an address",
                           out->name, key);
        a->addr = xstrdup(json_string_value(value));
        out->naddrs++;
    }
    qsort(out->addrs, out->naddrs, sizeof(*out->addrs), compare_addr);
    return 0;
}

static void parse_queues(struct route_queues *out, const json_t *o)
{
    *out = (struct route_queues){
        .broker_name = dup_str(json_get_str(o, "brokerName")),
        .read_queue_nums = json_get_i32(o, "readQueueNums", 0),
        .write_queue_nums = json_get_i32(o, "writeQueueNums", 0),
        .perm = json_get_i32(o, "perm", 0),
        .sys_flag = json_get_i32(o, "topicSysFlag", 0),
    };
}

int topic_route_parse(struct tl_str body, struct topic_route *out)
{
    json_t *root = json_parse(body);
    const json_t *o;
    size_t i;
    int rc = 0;

    if (!root)
        return tl_wrap(TL_EFORMAT, "route");
    const json_t *brokers = json_get_array(root, "brokerDatas"),
                 *queues = json_get_array(root, "queueDatas");
    struct tl_str order = json_get_str(root, "orderTopicConf");
    *out = (struct topic_route){.order_topic_conf = order.data ? dup_str(order) : NULL};
    out->brokers = xcalloc(json_array_size(brokers) + 1, sizeof(*out->brokers));
    out->queues = xcalloc(json_array_size(queues) + 1, sizeof(*out->queues));
    json_array_foreach(brokers, i, o)
    {
        rc = parse_broker(&out->brokers[out->nbrokers++], o);
        if (rc)
            break;
    }
    json_array_foreach(queues, i, o) parse_queues(&out->queues[out->nqueues++], o);
    json_decref(root);
    if (rc)
        topic_route_release(out);
    return rc;
}

/* ---- writing ------------------------------------------------------------------------------ */

/* The standard form: '/' and all beyond ASCII escaped, upper-case hex (fastjson's BrowserCompatible). */
static void write_standard(struct strbuf *out, struct tl_str s)
{
    json_t *v = json_stringn(s.data, s.len);
    char *text =
        v ? json_dumps(v, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_ESCAPE_SLASH) : NULL;
    if (text)
        strbuf_addz(out, text);
    else
        json_write_string(out, s);
    free(text);
    json_decref(v);
}

static void write_text(struct strbuf *out, const char *s, bool quoted)
{
    if (quoted)
        write_standard(out, tl_str_of(s));
    else
        json_write_string(out, tl_str_of(s));
}

static void write_broker(const struct route_broker *b, bool quoted, struct strbuf *out)
{
    strbuf_addz(out, "{\"brokerAddrs\":{");
    for (size_t i = 0; i < b->naddrs; i++) {
        if (i)
            strbuf_addc(out, ',');
        strbuf_printf(out, quoted ? "\"%lld\":" : "%lld:", (long long)b->addrs[i].id);
        write_text(out, b->addrs[i].addr, quoted);
    }
    strbuf_addz(out, "},\"brokerName\":");
    write_text(out, b->name, quoted);
    strbuf_addz(out, ",\"cluster\":");
    write_text(out, b->cluster, quoted);
    strbuf_printf(out, ",\"enableActingMaster\":%s}",
                  b->enable_acting_master ? "true" : "false");
}

void topic_route_write(const struct topic_route *r, bool quoted, struct strbuf *out)
{
    strbuf_addz(out, "{\"brokerDatas\":[");
    for (size_t i = 0; i < r->nbrokers; i++) {
        if (i)
            strbuf_addc(out, ',');
        write_broker(&r->brokers[i], quoted, out);
    }
    strbuf_addz(out, "],\"filterServerTable\":{},");
    if (r->order_topic_conf) {
        strbuf_addz(out, "\"orderTopicConf\":");
        write_text(out, r->order_topic_conf, quoted);
        strbuf_addc(out, ',');
    }
    strbuf_addz(out, "\"queueDatas\":[");
    for (size_t i = 0; i < r->nqueues; i++) {
        const struct route_queues *q = &r->queues[i];
        strbuf_addz(out, i ? ",{\"brokerName\":" : "{\"brokerName\":");
        write_text(out, q->broker_name, quoted);
        strbuf_printf(
            out, ",\"perm\":%d,\"readQueueNums\":%d,\"topicSysFlag\":%d,\"writeQueueNums\":%d}",
            q->perm, q->read_queue_nums, q->sys_flag, q->write_queue_nums);
    }
    strbuf_addz(out, "]}");
}

const char *topic_route_master(const struct topic_route *r, const char *name)
{
    for (size_t i = 0; i < r->nbrokers; i++) {
        const struct route_broker *b = &r->brokers[i];
        if (strcmp(b->name, name) == 0 && b->naddrs && b->addrs[0].id == 0)
            return b->addrs[0].addr;
    }
    return NULL;
}

const char *route_broker_addr(const struct route_broker *b)
{
    return b->naddrs ? b->addrs[0].addr : NULL;
}
