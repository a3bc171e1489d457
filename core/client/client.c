#include "client/client.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "net/addr.h"
#include "proto/code.h"
#include "proto/flags.h"
#include "proto/hdr_consume.h"
#include "proto/hdr_produce.h"
#include "proto/hdr_topic.h"
#include "proto/msgid.h"
#include "proto/names.h"
#include "proto/properties.h"

enum { CHANNELS_MAX = 256, TIMEOUT_MS = 5000, DEFAULT_QUEUES = 4 };

struct client {
    struct reactor *r;
    struct channel *channels[CHANNELS_MAX];
    int nchannels;
    char **namesrvs;
    size_t nnamesrvs, namesrv; /* the one that answered last */
    char *id;
    int32_t timeout_ms;
    uint32_t round;
    struct msgid_maker ids;
};

/* ---- life --------------------------------------------------------------------------------- */

static void add_namesrvs(struct client *c, const char *list)
{
    for (struct tl_str rest = tl_str_of(list); rest.data;) {
        struct tl_str piece = tl_str_cut(&rest, ';');
        for (struct tl_str part = piece; part.data;) {
            struct tl_str one = tl_str_trim(tl_str_cut(&part, ','));
            if (!one.len)
                continue;
            c->namesrvs = xrealloc(c->namesrvs, (c->nnamesrvs + 1) * sizeof(*c->namesrvs));
            c->namesrvs[c->nnamesrvs++] = xstrndup(one.data, one.len);
        }
    }
}

int client_open(struct client **out, const char *namesrv, const char *client_id)
{
    struct client *c = xzalloc(sizeof(*c));
    struct addr local;
    char ip[ADDR_TEXT_MAX];

    add_namesrvs(c, namesrv ? namesrv : "");
    addr_local(&local);
    addr_ip_text(&local, ip);
    c->id = client_id ? xstrdup(client_id) : xasprintf("%s@%d", ip, (int)getpid());
    c->timeout_ms = TIMEOUT_MS;
    msgid_maker_init(&c->ids, local.ip, (uint32_t)clock_mono_ns());
    int rc = reactor_start(&c->r, "client", ROLE_ANY);
    if (rc) {
        client_close(c);
        return rc;
    }
    *out = c;
    return 0;
}

static void free_channels(void *arg)
{
    struct client *c = arg;

    for (int i = 0; i < c->nchannels; i++)
        channel_free(c->channels[i]);
}

void client_close(struct client *c)
{
    if (c->r) {
        reactor_call(c->r, free_channels, c);
        reactor_stop(c->r);
        reactor_join(c->r);
        reactor_free(c->r);
    }
    for (size_t i = 0; i < c->nnamesrvs; i++)
        free(c->namesrvs[i]);
    free(c->namesrvs);
    free(c->id);
    free(c);
}

const char *client_id(const struct client *c)
{
    return c->id;
}

void client_set_timeout(struct client *c, int32_t ms)
{
    c->timeout_ms = ms;
}

void client_reply_release(struct client_reply *r)
{
    arena_release(&r->arena);
}

/* ---- calls -------------------------------------------------------------------------------- */

static int channel_to(struct client *c, const char *addr, struct channel **out)
{
    for (int i = 0; i < c->nchannels; i++) {
        if (strcmp(channel_addr(c->channels[i]), addr) == 0) {
            *out = c->channels[i];
            return 0;
        }
    }
    if (c->nchannels == CHANNELS_MAX)
        return tl_fail(TL_ELIMIT, "more than %d addresses", CHANNELS_MAX);
    int rc = channel_new(out, c->r, addr, FRAME_MAX_DEFAULT);
    if (!rc)
        c->channels[c->nchannels++] = *out;
    return rc;
}

static bool is_ok(int code, const int *ok_codes)
{
    if (code == RS_SUCCESS)
        return true;
    for (; ok_codes && *ok_codes >= 0; ok_codes++) {
        if (*ok_codes == code)
            return true;
    }
    return false;
}

static int call(struct client *c, const char *addr, const struct channel_call *what,
                struct client_reply *out)
{
    struct channel *ch;
    int rc = channel_to(c, addr, &ch);

    arena_init(&out->arena, 0);
    out->cmd = (struct command){.code = -1};
    return rc ? rc : channel_call_wait(ch, what, c->timeout_ms, &out->arena, &out->cmd);
}

static int judge(const struct client_reply *r, const int *ok_codes)
{
    if (is_ok(r->cmd.code, ok_codes))
        return 0;
    return tl_fail(r->cmd.code == RS_TOPIC_NOT_EXIST ? TL_ENOTOPIC : TL_EINVAL,
                   "CODE: %d  DESC: %.*s", r->cmd.code, TL_STR_ARG(r->cmd.remark));
}

int client_call(struct client *c, const char *addr, const struct channel_call *what,
                const int *ok_codes, struct client_reply *out)
{
    int rc = call(c, addr, what, out);
    return rc ? rc : judge(out, ok_codes);
}

int client_call_namesrv(struct client *c, const struct channel_call *what, const int *ok_codes,
                        struct client_reply *out)
{
    int rc = tl_fail(TL_EINVAL, "no name server is given (-n or NAMESRV_ADDR)");

    arena_init(&out->arena, 0);
    for (size_t i = 0; i < c->nnamesrvs; i++) {
        size_t at = (c->namesrv + i) % c->nnamesrvs;
        client_reply_release(out);
        rc = call(c, c->namesrvs[at], what, out);
        if (!rc) {
            c->namesrv = at;
            return judge(out, ok_codes);
        }
    }
    return rc;
}

int client_route(struct client *c, struct tl_str topic, struct topic_route *out)
{
    struct topic_request ext = {.topic = topic};
    struct client_reply r;
    int rc = client_call_namesrv(c,
                                 &(struct channel_call){.code = RQ_GET_ROUTEINFO_BY_TOPIC,
                                                        .header = &topic_request_header,
                                                        .ext = &ext},
                                 NULL, &r);

    if (!rc)
        rc = topic_route_parse(r.cmd.body, out);
    client_reply_release(&r);
    return rc;
}

/* ---- sending ------------------------------------------------------------------------------ */

/* Queue number @n, counted over all writable queues of the wanted broker. */
static const struct route_queues *pick(const struct topic_route *route, struct tl_str broker,
                                       uint32_t n, int32_t *queue_id)
{
    for (int round = 0; round < 2; round++) {
        uint32_t total = 0;
        for (size_t i = 0; i < route->nqueues; i++) {
            const struct route_queues *q = &route->queues[i];
            if (!(q->perm & PERM_WRITE) || !topic_route_master(route, q->broker_name) ||
                (broker.len && !tl_str_is(broker, q->broker_name)))
                continue;
            uint32_t queues = (uint32_t)q->write_queue_nums;
            if (n < total + queues) {
                *queue_id = (int32_t)(n - total);
                return q;
            }
            total += queues;
        }
        if (!total)
            return NULL;
        n %= total;
    }
    return NULL;
}

static void take_sent(const struct client_reply *r, struct client_sent *out)
{
    struct tl_str id = command_ext(&r->cmd, "msgId");

    snprintf(out->offset_msg_id, sizeof(out->offset_msg_id), "%.*s", TL_STR_ARG(id));
    out->code = r->cmd.code;
    tl_str_i32(command_ext(&r->cmd, "queueId"), &out->queue_id);
    tl_str_i64(command_ext(&r->cmd, "queueOffset"), &out->queue_offset);
}

/* An unknown topic's route is that of TBW102, with no more queues than the topic will be created with. */
static int route_for_send(struct client *c, struct tl_str topic, struct topic_route *out)
{
    int rc = client_route(c, topic, out);

    if (rc != TL_ENOTOPIC)
        return rc;
    rc = client_route(c, TL_STR(NAME_TBW102), out);
    for (size_t i = 0; !rc && i < out->nqueues; i++) {
        struct route_queues *q = &out->queues[i];
        int32_t n = q->read_queue_nums < DEFAULT_QUEUES ? q->read_queue_nums : DEFAULT_QUEUES;
        q->read_queue_nums = q->write_queue_nums = n;
    }
    return rc;
}

int client_send(struct client *c, const struct client_send *m, struct client_sent *out)
{
    static const int ok_codes[] = {RS_FLUSH_DISK_TIMEOUT, RS_SLAVE_NOT_AVAILABLE,
                                   RS_FLUSH_SLAVE_TIMEOUT, -1};
    struct topic_route route;
    struct strbuf props;
    struct client_reply r;
    int32_t queue_id = 0;
    int rc = route_for_send(c, m->topic, &route);

    if (rc)
        return rc;
    const struct route_queues *q = pick(&route, m->broker_name, c->round++, &queue_id);
    if (!q) {
        topic_route_release(&route);
        return tl_fail(TL_ENOTOPIC, "topic %.*s has no writable queue", TL_STR_ARG(m->topic));
    }
    *out = (struct client_sent){.queue_id = -1};
    snprintf(out->broker_name, sizeof(out->broker_name), "%s", q->broker_name);
    strbuf_init(&props);
    strbuf_addstr(&props, m->properties);
    msgid_make(&c->ids, clock_now_ms(), out->msg_id);
    properties_add(&props, PROP_UNIQ_KEY, tl_str_n(out->msg_id, 32));
    struct send_request ext = {
        .producer_group = m->producer_group,
        .topic = m->topic,
        .default_topic = TL_STR(NAME_TBW102),
        .default_topic_queue_nums = DEFAULT_QUEUES,
        .queue_id = m->queue_id >= 0 ? m->queue_id : queue_id,
        .sys_flag = m->sys_flag,
        .born_timestamp = clock_now_ms(),
        .flag = m->flag,
        .properties = strbuf_str(&props),
    };
    rc = client_call(c, topic_route_master(&route, q->broker_name),
                     &(struct channel_call){.code = RQ_SEND_MESSAGE,
                                            .header = &send_request_header,
                                            .ext = &ext,
                                            .body = m->body},
                     ok_codes, &r);
    if (!rc)
        take_sent(&r, out);
    client_reply_release(&r);
    strbuf_release(&props);
    topic_route_release(&route);
    return rc;
}

/* ---- receiving ---------------------------------------------------------------------------- */

int client_pull(struct client *c, const struct client_pull *p, struct client_pulled *out)
{
    static const int ok_codes[] = {RS_PULL_NOT_FOUND, RS_PULL_RETRY_IMMEDIATELY,
                                   RS_PULL_OFFSET_MOVED, -1};
    struct pull_request ext = {
        .consumer_group = p->group,
        .topic = p->topic,
        .queue_id = p->queue_id,
        .queue_offset = p->offset,
        .max_msg_nums = p->max_nums,
        .sys_flag = PULL_SUBSCRIPTION | (p->suspend_ms > 0 ? PULL_SUSPEND : 0),
        .suspend_timeout_ms = p->suspend_ms,
        .subscription = p->expression.len ? p->expression : TL_STR("*"),
        .expression_type = TL_STR("TAG"),
    };
    *out = (struct client_pulled){.code = -1};
    int rc =
        client_call(c, p->addr,
                    &(struct channel_call){
                        .code = RQ_PULL_MESSAGE, .header = &pull_request_header, .ext = &ext},
                    ok_codes, &out->reply);

    out->code = out->reply.cmd.code;
    out->records = out->reply.cmd.body;
    tl_str_i64(command_ext(&out->reply.cmd, "nextBeginOffset"), &out->next_offset);
    tl_str_i64(command_ext(&out->reply.cmd, "minOffset"), &out->min_offset);
    tl_str_i64(command_ext(&out->reply.cmd, "maxOffset"), &out->max_offset);
    return rc;
}

int client_queue_offset(struct client *c, const char *addr, int32_t code, struct tl_str topic,
                        int32_t queue_id, int64_t timestamp, int64_t *out)
{
    struct search_offset_request ext = {
        .topic = topic, .queue_id = queue_id, .timestamp = timestamp};
    struct client_reply r;
    int rc =
        client_call(c, addr,
                    &(struct channel_call){
                        .code = code, .header = &search_offset_request_header, .ext = &ext},
                    NULL, &r);

    if (!rc && !tl_str_i64(command_ext(&r.cmd, "offset"), out))
        rc = tl_fail(TL_EFORMAT, "%s answered without an offset", addr);
    client_reply_release(&r);
    return rc;
}

int client_cluster_masters(struct client *c, const char *cluster, json_t **out)
{
    struct client_reply r;
    int rc = client_call_namesrv(c, &(struct channel_call){.code = RQ_GET_BROKER_CLUSTER_INFO},
                                 NULL, &r);
    json_t *root = rc ? NULL : json_parse(r.cmd.body), *masters = json_object(), *name;
    size_t i;

    client_reply_release(&r);
    const json_t *names = json_object_get(json_get_object(root, "clusterAddrTable"), cluster);
    json_array_foreach(names, i, name)
    {
        const json_t *broker =
            json_object_get(json_get_object(root, "brokerAddrTable"), json_string_value(name));
        struct tl_str addr = json_get_str(json_get_object(broker, "brokerAddrs"), "0");
        json_set_str(masters, json_string_value(name), addr);
    }
    json_decref(root);
    if (!rc && json_object_size(masters) == 0)
        rc = tl_fail(TL_ENOTFOUND, "the name server knows no master of cluster %s", cluster);
    if (rc)
        json_decref(masters);
    else
        *out = masters;
    return rc;
}
