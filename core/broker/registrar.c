/*
 * Every change raises `wanted`; a name server has it once a registration built at or after
 * that number was answered.  One registration per name server is under way at a time; what
 * changes meanwhile goes with the next.  All but registrar_touch() and registrar_sync()
 * happens on the service reactor.
 */
#include "broker/registrar.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/broker.h"
#include "broker/topics.h"
#include "net/timer.h"
#include "proto/bodies.h"
#include "proto/code.h"
#include "proto/flags.h"
#include "proto/hdr_cluster.h"
#include "remoting/channel.h"

#undef LOG_MODULE
#define LOG_MODULE "registrar"

enum {
    NAMESRV_MAX = 64,
    PERIOD_MIN_MS = 10000,
    PERIOD_MAX_MS = 60000,
    RETRY_MS = 3000,      /* after a failure */
    UNREGISTER_MS = 3000, /* at stop */
};

enum ns_state { NS_NEW, NS_UP, NS_DOWN };

struct ns {
    struct registrar *r;
    char *addr;              /* owned */
    struct channel *channel; /* NULL while its host is unknown */
    int64_t looked_up_ms;    /* the last try to make it, monotonic; 0 = never */
    enum ns_state state;
    bool in_flight, again;
    uint64_t sent; /* the number the registration under way was built at */
    struct timer retry;
};

struct registrar {
    struct broker *b;
    struct ns ns[NAMESRV_MAX];
    int n;
    bool stopping;     /* on the service reactor: no more registrations */
    bool unregistered; /* the owner's thread: registrar_unregister() was called */
    struct timer period;
    int leaving; /* unregistrations under way */
    _Atomic uint64_t wanted;
    _Atomic bool touched; /* the mail is on its way */
    struct mail touch;
    pthread_mutex_t lock; /* for waiters: what follows */
    pthread_cond_t moved;
    uint64_t tried[NAMESRV_MAX]; /* highest number that was answered or failed */
    bool left;                   /* unregistering is over */
};

/* ---- one registration ------------------------------------------------------------------- */

struct gathering {
    struct registration reg;
    size_t cap;
    int32_t permission;
};

static void gather(void *arg, const struct topic_config *c)
{
    struct gathering *g = arg;

    if (g->reg.ntopics == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 64;
        g->reg.topics = xrealloc(g->reg.topics, g->cap * sizeof(g->reg.topics[0]));
    }
    struct topic_config *t = &g->reg.topics[g->reg.ntopics++];
    topic_config_copy(t, c);
    if ((g->permission & (PERM_READ | PERM_WRITE)) != (PERM_READ | PERM_WRITE))
        t->perm &= g->permission;
}

static void body_write(struct broker *b, struct strbuf *out)
{
    struct gathering g = {.permission = b->conf->broker_permission};

    topics_version(b->topics, &g.reg.version);
    topics_each(b->topics, gather, &g);
    registration_write(&g.reg, out);
    registration_release(&g.reg);
}

static void publish(struct ns *ns, uint64_t number)
{
    struct registrar *r = ns->r;

    pthread_mutex_lock(&r->lock);
    r->tried[ns - r->ns] = number;
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->lock);
}

static void ns_send(struct ns *ns);

static void ns_failed(struct ns *ns, const char *why)
{
    if (ns->state != NS_DOWN)
        log_warn(
            "name server does not take the registration, trying again addr=%s every_ms=%d reason=\"%s\"",
            ns->addr, RETRY_MS, why);
    ns->state = NS_DOWN;
    timer_set(ns->r->b->svc, &ns->retry, RETRY_MS);
}

static void on_answer(void *arg, int rc, const struct command *reply)
{
    struct ns *ns = arg;
    char why[256];

    ns->in_flight = false;
    if (ns->r->stopping)
        return;
    if (rc) {
        ns_failed(ns, tl_code_text(rc));
    } else if (reply->code != RS_SUCCESS) {
        snprintf(why, sizeof(why), "code %d %.*s", reply->code, TL_STR_ARG(reply->remark));
        ns_failed(ns, why);
    } else {
        if (ns->state != NS_UP)
            log_info("registered addr=%s broker=%.*s as=%s", ns->addr,
                     TL_STR_ARG(ns->r->b->conf->broker_name), ns->r->b->addr);
        ns->state = NS_UP;
        timer_clear(ns->r->b->svc, &ns->retry);
    }
    publish(ns, ns->sent);
    if (ns->again)
        ns_send(ns);
}

/* A host name that could not be looked up may be known now; asking blocks, so not too often. */
static bool ns_connectable(struct ns *ns)
{
    int64_t now = clock_mono_ms();

    if (ns->channel)
        return true;
    if (ns->looked_up_ms && now - ns->looked_up_ms < RETRY_MS)
        return tl_fail(TL_ECLOSED, "host is not known") == 0;
    ns->looked_up_ms = now;
    return channel_new(&ns->channel, ns->r->b->svc, ns->addr,
                       (size_t)ns->r->b->conf->frame_max_bytes) == 0;
}

static void ns_send(struct ns *ns)
{
    struct broker *b = ns->r->b;
    const struct broker_conf *conf = b->conf;
    struct strbuf body = {0};
    char ha_addr[128];

    if (ns->in_flight) {
        ns->again = true;
        return;
    }
    ns->again = false;
    ns->sent = atomic_load(&ns->r->wanted); /* before the topics are read */
    if (!ns_connectable(ns)) {
        ns_failed(ns, tl_error_text());
        publish(ns, ns->sent);
        return;
    }
    body_write(b, &body);
    snprintf(ha_addr, sizeof(ha_addr),
             memchr(conf->broker_ip2.data, ':', conf->broker_ip2.len) ? "[%.*s]:%d" : "%.*s:%d",
             TL_STR_ARG(conf->broker_ip2), conf->ha_listen_port);
    struct register_broker_request ext = {
        .broker_name = conf->broker_name,
        .broker_addr = tl_str_of(b->addr),
        .cluster_name = conf->broker_cluster_name,
        .ha_server_addr = tl_str_of(ha_addr),
        .broker_id = conf->broker_id,
        .body_crc32 = (int32_t)hash_crc31(body.data, body.len),
    };
    struct channel_call call = {.code = RQ_REGISTER_BROKER,
                                .header = &register_broker_request_header,
                                .ext = &ext,
                                .body = strbuf_str(&body)};
    ns->in_flight = true;
    channel_send(ns->channel, &call, conf->register_broker_timeout_mills, on_answer, ns);
    strbuf_release(&body);
}

static void send_all(struct registrar *r)
{
    for (int i = 0; i < r->n; i++)
        ns_send(&r->ns[i]);
}

/* ---- when ------------------------------------------------------------------------------- */

static void retry_fire(struct timer *t)
{
    struct ns *ns = (struct ns *)((char *)t - offsetof(struct ns, retry));
    ns_send(ns);
}

static void period_fire(struct timer *t)
{
    struct registrar *r = (struct registrar *)((char *)t - offsetof(struct registrar, period));
    int32_t ms = r->b->conf->register_name_server_period;

    ms = ms < PERIOD_MIN_MS ? PERIOD_MIN_MS : ms > PERIOD_MAX_MS ? PERIOD_MAX_MS : ms;
    timer_set(r->b->svc, t, ms);
    send_all(r);
}

static void touch_run(struct mail *m)
{
    struct registrar *r = (struct registrar *)((char *)m - offsetof(struct registrar, touch));

    atomic_store(&r->touched, false); /* from here on a change posts again */
    if (!r->stopping)
        send_all(r);
}

void registrar_touch(struct registrar *r)
{
    atomic_fetch_add(&r->wanted, 1);
    if (!atomic_exchange(&r->touched, true))
        reactor_post(r->b->svc, &r->touch);
}

static bool all_tried(const struct registrar *r, uint64_t number)
{
    for (int i = 0; i < r->n; i++) {
        if (r->tried[i] < number)
            return false;
    }
    return true;
}

void registrar_sync(struct registrar *r, int32_t timeout_ms)
{
    uint64_t number = atomic_load(&r->wanted);
    struct timespec deadline = thread_deadline(timeout_ms);

    pthread_mutex_lock(&r->lock);
    while (!r->left && !all_tried(r, number)) {
        if (pthread_cond_timedwait(&r->moved, &r->lock, &deadline) == ETIMEDOUT)
            break;
    }
    pthread_mutex_unlock(&r->lock);
}

/* ---- life ------------------------------------------------------------------------------- */

static void begin(void *arg)
{
    struct registrar *r = arg;

    for (int i = 0; i < r->n; i++)
        timer_init(&r->ns[i].retry, retry_fire);
    timer_init(&r->period, period_fire);
    period_fire(&r->period);
}

static int split(struct registrar *r, struct tl_str list)
{
    while (list.data) {
        struct tl_str one = tl_str_trim(tl_str_cut(&list, ';'));
        if (!one.len)
            continue;
        if (r->n == NAMESRV_MAX)
            return tl_fail(TL_EINVAL, "namesrvAddr: more than %d name servers", NAMESRV_MAX);
        r->ns[r->n].r = r;
        r->ns[r->n++].addr = xstrndup(one.data, one.len);
    }
    return 0;
}

static void release(struct registrar *r)
{
    for (int i = 0; i < r->n; i++)
        free(r->ns[i].addr);
    pthread_cond_destroy(&r->moved);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

int registrar_start(struct registrar **out, struct broker *b)
{
    struct registrar *r = xzalloc(sizeof(*r));

    r->b = b;
    r->touch.run = touch_run;
    atomic_init(&r->wanted, 1);
    pthread_mutex_init(&r->lock, NULL);
    thread_cond_init(&r->moved);
    int rc = split(r, b->conf->namesrv_addr);
    if (rc) {
        release(r);
        return rc;
    }
    reactor_call(b->svc, begin, r);
    *out = r;
    return 0;
}

static void left(struct registrar *r)
{
    pthread_mutex_lock(&r->lock);
    r->left = true;
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->lock);
}

static void on_unregistered(void *arg, int rc, const struct command *reply)
{
    struct ns *ns = arg;

    if (rc || reply->code != RS_SUCCESS)
        log_warn("name server does not take the farewell addr=%s reason=\"%s\"", ns->addr,
                 rc ? tl_code_text(rc) : "refused");
    else
        log_info("unregistered addr=%s", ns->addr);
    if (--ns->r->leaving == 0)
        left(ns->r);
}

static void leave(void *arg)
{
    struct registrar *r = arg;
    const struct broker_conf *conf = r->b->conf;
    struct broker_request ext = {.broker_name = conf->broker_name,
                                 .broker_addr = tl_str_of(r->b->addr),
                                 .cluster_name = conf->broker_cluster_name,
                                 .broker_id = conf->broker_id};
    struct channel_call call = {
        .code = RQ_UNREGISTER_BROKER, .header = &broker_request_header, .ext = &ext};

    r->stopping = true;
    timer_clear(r->b->svc, &r->period);
    r->leaving = 1; /* this function's own */
    for (int i = 0; i < r->n; i++) {
        struct ns *ns = &r->ns[i];
        timer_clear(r->b->svc, &ns->retry);
        /* Also where a registration is still under way: it may arrive. */
        if (ns->channel && (ns->state == NS_UP || ns->in_flight)) {
            r->leaving++;
            channel_send(ns->channel, &call, UNREGISTER_MS, on_unregistered, ns);
        }
    }
    if (--r->leaving == 0)
        left(r);
}

static void hang_up(void *arg)
{
    struct registrar *r = arg;

    for (int i = 0; i < r->n; i++) {
        if (r->ns[i].channel)
            channel_free(r->ns[i].channel);
        r->ns[i].channel = NULL;
    }
}

static void one_turn(void *arg)
{
    (void)arg;
}

void registrar_unregister(struct registrar *r)
{
    if (r->unregistered)
        return;
    r->unregistered = true;
    reactor_call(r->b->svc, leave, r);
    struct timespec deadline = thread_deadline(UNREGISTER_MS);
    pthread_mutex_lock(&r->lock);
    while (!r->left) {
        if (pthread_cond_timedwait(&r->moved, &r->lock, &deadline) == ETIMEDOUT)
            break;
    }
    r->left = true; /* nobody waits for a registration any more */
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->lock);
}

void registrar_stop(struct registrar *r)
{
    registrar_unregister(r);
    reactor_call(r->b->svc, hang_up, r);
    /* Answers and touches posted before have run after this. */
    reactor_call(r->b->svc, one_turn, NULL);
    release(r);
}
