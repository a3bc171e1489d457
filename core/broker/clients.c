/*
 * groups (by kind and name) and peers (connections) each list their members: a member is
 * one client id in one group over one connection.  An empty group goes.  Notices are
 * collected under the lock and pushed after it was dropped.
 */
#include "broker/clients.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/map.h"
#include "broker/qlock.h"
#include "net/conn.h"
#include "proto/code.h"
#include "proto/hdr_group.h"
#include "remoting/server.h"

#undef LOG_MODULE
#define LOG_MODULE "clients"

struct group;
struct peer;

struct member {
    struct member *prev, *next;           /* of the group, in join order */
    struct member *peer_prev, *peer_next; /* of the connection */
    struct group *group;
    struct peer *peer;
    char *client_id; /* owned */
    int32_t language, version;
    int64_t seen_ms; /* last heartbeat */
};

struct topic_sub {
    UT_hash_handle hh;
    struct client_sub *sub; /* a reference; its topic is the key */
};

struct group {
    UT_hash_handle hh;
    char *name; /* owned */
    struct member *members;
    /* consumers only */
    struct topic_sub *subs;
    enum consume_type type;
    enum message_model model;
    int from_where;
    bool notify;         /* members may be told of changes */
    int32_t fingerprint; /* of the last heartbeat; 0 = a client without v2 */
};

struct peer {
    UT_hash_handle hh;
    uint64_t id;       /* conn_id: the key */
    struct conn *conn; /* a reference */
    struct member *members;
};

struct clients {
    struct lock lock;
    struct group *consumers, *producers;
    struct peer *peers;
    struct qlock *qlock;
};

struct clients *clients_new(void)
{
    struct clients *c = xzalloc(sizeof(*c));

    lock_init(&c->lock, RANK_CLIENTS);
    c->qlock = qlock_new();
    return c;
}

struct qlock *clients_qlock(struct clients *c)
{
    return c->qlock;
}

/* ---- subscriptions ---------------------------------------------------------------------- */

void client_sub_unref(struct client_sub *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        subscription_release(&s->sub);
        free(s);
    }
}

static struct client_sub *client_sub_new(const struct subscription *sub)
{
    struct client_sub *s = xzalloc(sizeof(*s));

    atomic_init(&s->refs, 1);
    subscription_copy(&s->sub, sub);
    return s;
}

static struct topic_sub *sub_find(struct group *g, struct tl_str topic)
{
    struct topic_sub *t = NULL;

    if (topic.len)
        HASH_FIND(hh, g->subs, topic.data, topic.len, t);
    return t;
}

static void sub_drop(struct group *g, struct topic_sub *t)
{
    HASH_DEL(g->subs, t);
    client_sub_unref(t->sub);
    free(t);
}

static bool listed(const struct heartbeat_consumer *hc, const char *topic)
{
    for (size_t i = 0; i < hc->nsubs; i++) {
        if (strcmp(hc->subs[i].topic, topic) == 0)
            return true;
    }
    return false;
}

/*
 * Take the heartbeat's subscriptions (ConsumerGroupInfo.updateSubscription): new topics are
 * added, a known one is replaced by a newer version, what is not listed goes.  True when
 * topics came or went; a new expression for a known topic changes no queue and tells
 * nobody.
 */
static bool subs_update(struct group *g, const struct heartbeat_consumer *hc)
{
    struct topic_sub *t, *next;
    bool updated = false;

    for (size_t i = 0; i < hc->nsubs; i++) {
        t = sub_find(g, tl_str_of(hc->subs[i].topic));
        if (t && hc->subs[i].version <= t->sub->sub.version)
            continue;
        if (t)
            sub_drop(g, t);
        else
            updated = true;
        t = xzalloc(sizeof(*t));
        t->sub = client_sub_new(&hc->subs[i]);
        HASH_ADD_KEYPTR(hh, g->subs, t->sub->sub.topic, strlen(t->sub->sub.topic), t);
    }
    HASH_ITER (hh, g->subs, t, next) {
        if (!listed(hc, t->sub->sub.topic)) {
            sub_drop(g, t);
            updated = true;
        }
    }
    return updated;
}

/* ---- groups, peers, members ------------------------------------------------------------- */

static struct group *group_find(struct group *table, struct tl_str name)
{
    struct group *g = NULL;

    if (name.len)
        HASH_FIND(hh, table, name.data, name.len, g);
    return g;
}

static struct group *group_get(struct group **table, struct tl_str name)
{
    struct group *g = group_find(*table, name);

    if (g)
        return g;
    g = xzalloc(sizeof(*g));
    g->name = xstrndup(name.data, name.len);
    HASH_ADD_KEYPTR(hh, *table, g->name, name.len, g);
    return g;
}

static void group_drop(struct group **table, struct group *g)
{
    struct topic_sub *t, *next;

    HASH_DEL(*table, g);
    HASH_ITER (hh, g->subs, t, next)
        sub_drop(g, t);
    free(g->name);
    free(g);
}

static struct peer *peer_find(struct clients *c, const struct conn *conn)
{
    uint64_t id = conn_id(conn);
    struct peer *p;

    HASH_FIND(hh, c->peers, &id, sizeof(id), p);
    return p;
}

static struct peer *peer_get(struct clients *c, struct conn *conn)
{
    struct peer *p = peer_find(c, conn);

    if (p)
        return p;
    p = xzalloc(sizeof(*p));
    p->id = conn_id(conn);
    p->conn = conn_ref(conn);
    HASH_ADD(hh, c->peers, id, sizeof(p->id), p);
    return p;
}

/* Without members it need not be known. */
static void peer_drop_idle(struct clients *c, struct peer *p)
{
    if (p->members)
        return;
    HASH_DEL(c->peers, p);
    conn_unref(p->conn);
    free(p);
}

/*
 * As in the Java broker, a connection is one member of a group, whatever client id it says.  Lists
 * are short per connection (its groups), long per group: look there.
 */
static struct member *member_find(struct peer *p, const struct group *g)
{
    struct member *m;

    DL_FOREACH2(p->members, m, peer_next)
    {
        if (m->group == g)
            return m;
    }
    return NULL;
}

/* True when it was not a member before.  @rename: a consumer's id may change, a producer's not. */
static bool member_seen(struct peer *p, struct group *g, const char *client_id, bool rename,
                        int32_t language, int32_t version)
{
    struct member *m = member_find(p, g);
    bool is_new = !m;

    if (is_new) {
        m = xzalloc(sizeof(*m));
        m->group = g;
        m->peer = p;
        m->client_id = xstrdup(client_id);
        DL_APPEND(g->members, m);
        DL_APPEND2(p->members, m, peer_prev, peer_next);
    } else if (rename && strcmp(m->client_id, client_id) != 0) {
        log_warn("client id changes group=%s from=%s to=%s peer=%s", g->name, m->client_id,
                 client_id, conn_peer_text(p->conn));
        free(m->client_id);
        m->client_id = xstrdup(client_id);
    }
    m->language = language;
    m->version = version;
    m->seen_ms = clock_mono_ms();
    return is_new;
}

static void member_drop(struct member *m)
{
    DL_DELETE(m->group->members, m);
    DL_DELETE2(m->peer->members, m, peer_prev, peer_next);
    free(m->client_id);
    free(m);
}

static bool is_consumer_group(struct clients *c, const struct group *g)
{
    return group_find(c->consumers, tl_str_of(g->name)) == g;
}

void clients_free(struct clients *c)
{
    struct peer *p, *next;
    struct group *g, *next_group;

    HASH_ITER (hh, c->peers, p, next) {
        while (p->members)
            member_drop(p->members);
        peer_drop_idle(c, p);
    }
    HASH_ITER (hh, c->consumers, g, next_group)
        group_drop(&c->consumers, g);
    HASH_ITER (hh, c->producers, g, next_group)
        group_drop(&c->producers, g);
    qlock_free(c->qlock);
    lock_release(&c->lock);
    free(c);
}

/* ---- notices ---------------------------------------------------------------------------- */

/* Who is to be told that a group's members changed. */
struct notice {
    struct notice *next;
    char *group;
    struct conn **conns; /* references */
    size_t n;
};

/* Note all members of @g; under the lock. */
static void notice_add(struct notice **list, struct group *g)
{
    struct member *m;
    size_t count = 0;

    if (!g->notify || g->model == MODEL_BROADCASTING)
        return;
    DL_COUNT(g->members, m, count);
    if (!count)
        return;
    struct notice *n = xzalloc(sizeof(*n));
    n->group = xstrdup(g->name);
    n->conns = xcalloc(count, sizeof(n->conns[0]));
    DL_FOREACH (g->members, m)
        n->conns[n->n++] = conn_ref(m->peer->conn);
    LL_PREPEND(*list, n);
}

/* Push and free; the lock is not held. */
static void notices_push(struct notice *list)
{
    struct notice *n, *next;

    LL_FOREACH_SAFE (list, n, next) {
        struct consumer_group_request ext = {.consumer_group = tl_str_of(n->group)};
        struct server_push push = {.code = RQ_NOTIFY_CONSUMER_IDS_CHANGED,
                                   .header = &consumer_group_request_header,
                                   .ext = &ext};
        for (size_t i = 0; i < n->n; i++) {
            server_push_oneway(n->conns[i], &push);
            conn_unref(n->conns[i]);
        }
        free(n->conns);
        free(n->group);
        free(n);
    }
}

/* ---- heartbeats ------------------------------------------------------------------------- */

static void log_join(const char *kind, const struct group *g, const struct conn *conn,
                     const char *client_id, int32_t language)
{
    const char *name = language_name(language);
    log_info("%s joins group=%s client=%s peer=%s language=%s", kind, g->name, client_id,
             conn_peer_text(conn), name ? name : "?");
}

/* What a heartbeat says about one consumer group; under the lock. */
static void consumer_seen(struct clients *c, struct peer *p, int32_t language, int32_t version,
                          const struct heartbeat *h, const struct heartbeat_consumer *hc,
                          bool notify, struct notice **notices, bool *sub_changed)
{
    bool known = group_find(c->consumers, tl_str_of(hc->group)) != NULL;
    struct group *g = group_get(&c->consumers, tl_str_of(hc->group));
    bool joined = member_seen(p, g, h->client_id, true, language, version);
    bool changed = false;

    g->type = hc->type;
    g->model = hc->model;
    g->from_where = hc->from_where;
    g->notify = notify;
    if (h->without_sub) {
        /* Nothing to go by: the client must send its subscriptions. */
        if (!known || !g->subs)
            *sub_changed = true;
    } else {
        changed = subs_update(g, hc);
    }
    if (known && g->fingerprint != h->fingerprint)
        *sub_changed = true;
    g->fingerprint = h->fingerprint;
    if (joined)
        log_join("consumer", g, p->conn, h->client_id, language);
    if (joined || changed)
        notice_add(notices, g);
}

void clients_heartbeat(struct clients *c, struct conn *conn, int32_t language, int32_t version,
                       const struct heartbeat *h,
                       bool (*notify)(void *arg, struct tl_str group), void *arg,
                       bool *sub_changed)
{
    struct notice *notices = NULL;
    bool *may_notify = h->nconsumers ? xcalloc(h->nconsumers, sizeof(bool)) : NULL;

    for (size_t i = 0; i < h->nconsumers; i++)
        may_notify[i] = notify(arg, tl_str_of(h->consumers[i].group));
    *sub_changed = h->fingerprint == 0; /* a client without v2 always sends everything */

    lock_take(&c->lock);
    struct peer *p = peer_get(c, conn);
    for (size_t i = 0; i < h->nconsumers; i++) {
        if (h->consumers[i].group[0])
            consumer_seen(c, p, language, version, h, &h->consumers[i], may_notify[i], &notices,
                          sub_changed);
    }
    for (size_t i = 0; i < h->nproducers; i++) {
        if (!h->producers[i][0])
            continue;
        struct group *g = group_get(&c->producers, tl_str_of(h->producers[i]));
        if (member_seen(p, g, h->client_id, false, language, version))
            log_join("producer", g, conn, h->client_id, language);
    }
    peer_drop_idle(c, p);
    lock_drop(&c->lock);
    free(may_notify);
    notices_push(notices);
}

/* Take @m out of its group; the others are told, an empty group goes.  Under the lock. */
static void leave(struct clients *c, struct member *m, const char *why, struct notice **notices)
{
    struct group *g = m->group;
    bool consumer = is_consumer_group(c, g);

    log_info("%s leaves group=%s client=%s reason=\"%s\"", consumer ? "consumer" : "producer",
             g->name, m->client_id, why);
    member_drop(m);
    if (!g->members)
        group_drop(consumer ? &c->consumers : &c->producers, g);
    else if (consumer)
        notice_add(notices, g);
}

void clients_unregister(struct clients *c, struct conn *conn, struct tl_str producer_group,
                        struct tl_str consumer_group)
{
    struct notice *notices = NULL;

    lock_take(&c->lock);
    struct peer *p = peer_find(c, conn);
    if (p) {
        struct group *g[2] = {group_find(c->producers, producer_group),
                              group_find(c->consumers, consumer_group)};
        for (int i = 0; i < 2; i++) {
            struct member *m = g[i] ? member_find(p, g[i]) : NULL;
            if (m)
                leave(c, m, "unregistered", &notices);
        }
        peer_drop_idle(c, p);
    }
    lock_drop(&c->lock);
    notices_push(notices);
}

void clients_disconnect(struct clients *c, struct conn *conn)
{
    struct notice *notices = NULL;

    lock_take(&c->lock);
    struct peer *p = peer_find(c, conn);
    if (p) {
        while (p->members)
            leave(c, p->members, "disconnected", &notices);
        peer_drop_idle(c, p);
    }
    lock_drop(&c->lock);
    notices_push(notices);
}

/* Closing is the connection's own reactor's business. */
struct closing {
    struct mail mail;
    struct conn *conn;
};

static void closing_run(struct mail *m)
{
    struct closing *x = (struct closing *)m;

    log_warn("client is silent, closing its connection peer=%s", conn_peer_text(x->conn));
    conn_close(x->conn);
    conn_unref(x->conn);
    free(x);
}

void clients_expire(struct clients *c, int64_t max_ms)
{
    int64_t now = clock_mono_ms();
    struct closing *list = NULL, *next;
    struct member *m;

    lock_take(&c->lock);
    for (struct peer *p = c->peers; p; p = p->hh.next) {
        bool silent = false;
        DL_FOREACH2(p->members, m, peer_next)
        silent |= now - m->seen_ms > max_ms;
        if (silent) {
            struct closing *x = xzalloc(sizeof(*x));
            x->mail.run = closing_run;
            x->conn = conn_ref(p->conn);
            x->mail.next = list ? &list->mail : NULL;
            list = x;
        }
    }
    lock_drop(&c->lock);
    for (; list; list = next) {
        next = (struct closing *)list->mail.next;
        reactor_post(conn_reactor(list->conn), &list->mail);
    }
}

/* ---- questions -------------------------------------------------------------------------- */

enum client_sub_status clients_subscription(struct clients *c, struct tl_str group,
                                            struct tl_str topic, struct client_sub **out,
                                            bool *broadcasting)
{
    enum client_sub_status status = CLIENT_SUB_NO_GROUP;

    lock_take(&c->lock);
    struct group *g = group_find(c->consumers, group);
    if (g) {
        struct topic_sub *t = sub_find(g, topic);
        *broadcasting = g->model == MODEL_BROADCASTING;
        status = CLIENT_SUB_NO_TOPIC;
        if (t) {
            atomic_fetch_add_explicit(&t->sub->refs, 1, memory_order_relaxed);
            *out = t->sub;
            status = CLIENT_SUB_OK;
        }
    }
    lock_drop(&c->lock);
    return status;
}

bool clients_group_online(struct clients *c, struct tl_str group)
{
    lock_take(&c->lock);
    bool online = group_find(c->consumers, group) != NULL;
    lock_drop(&c->lock);
    return online;
}

bool clients_group_has_subs(struct clients *c, struct tl_str group)
{
    lock_take(&c->lock);
    struct group *g = group_find(c->consumers, group);
    bool has = g && g->subs;
    lock_drop(&c->lock);
    return has;
}

json_t *clients_consumer_ids(struct clients *c, struct tl_str group)
{
    json_t *body = NULL;
    struct member *m;

    lock_take(&c->lock);
    struct group *g = group_find(c->consumers, group);
    if (g) {
        json_t *ids = json_array();
        DL_FOREACH (g->members, m)
            json_array_append_new(ids, json_string(m->client_id));
        body = json_object();
        json_object_set_new(body, "consumerIdList", ids);
    }
    lock_drop(&c->lock);
    return body;
}

static json_t *member_json(const struct member *m)
{
    json_t *o = json_object();
    const char *language = language_name(m->language);

    json_set_str(o, "clientId", tl_str_of(m->client_id));
    if (language)
        json_set_str(o, "language", tl_str_of(language));
    json_set_i64(o, "version", m->version);
    return o;
}

/* {"clientAddr","clientId","language","version"} of all members. */
static json_t *connection_set(const struct group *g)
{
    json_t *set = json_array();
    struct member *m;

    DL_FOREACH (g->members, m) {
        json_t *o = member_json(m);
        json_set_str(o, "clientAddr", tl_str_of(conn_peer_text(m->peer->conn)));
        json_array_append_new(set, o);
    }
    return set;
}

json_t *clients_consumer_connection(struct clients *c, struct tl_str group)
{
    json_t *body = NULL;

    lock_take(&c->lock);
    struct group *g = group_find(c->consumers, group);
    if (g) {
        json_t *subs = json_object();
        for (struct topic_sub *t = g->subs; t; t = t->hh.next)
            json_object_set_new(subs, t->sub->sub.topic, subscription_to_json(&t->sub->sub));
        body = json_object();
        json_object_set_new(body, "connectionSet", connection_set(g));
        if (g->from_where >= 0)
            json_set_str(body, "consumeFromWhere",
                         tl_str_of(consume_from_where_names[g->from_where]));
        if (g->type != CONSUME_UNKNOWN)
            json_set_str(body, "consumeType", tl_str_of(consume_type_names[g->type]));
        if (g->model != MODEL_UNKNOWN)
            json_set_str(body, "messageModel", tl_str_of(message_model_names[g->model]));
        json_object_set_new(body, "subscriptionTable", subs);
    }
    lock_drop(&c->lock);
    return body;
}

struct conn *clients_producer(struct clients *c, struct tl_str group, uint32_t n)
{
    struct conn *conn = NULL;
    struct member *m;
    uint32_t count;

    lock_take(&c->lock);
    struct group *g = group_find(c->producers, group);
    if (g) {
        DL_COUNT(g->members, m, count);
        m = g->members;
        for (n = count ? n % count : 0; m && n > 0; n--)
            m = m->next;
        if (m)
            conn = conn_ref(m->peer->conn);
    }
    lock_drop(&c->lock);
    return conn;
}

json_t *clients_producer_connection(struct clients *c, struct tl_str group)
{
    json_t *body = NULL;

    lock_take(&c->lock);
    struct group *g = group_find(c->producers, group);
    if (g) {
        body = json_object();
        json_object_set_new(body, "connectionSet", connection_set(g));
    }
    lock_drop(&c->lock);
    return body;
}

json_t *clients_all_producers(struct clients *c)
{
    json_t *data = json_object(), *body = json_object();
    struct member *m;

    lock_take(&c->lock);
    int64_t behind = clock_now_ms() - clock_mono_ms(); /* members keep monotonic time */
    for (struct group *g = c->producers; g; g = g->hh.next) {
        json_t *list = json_array();
        DL_FOREACH (g->members, m) {
            json_t *o = member_json(m);
            json_set_i64(o, "lastUpdateTimestamp", m->seen_ms + behind);
            char remote[80]; /* as Java prints an address */
            snprintf(remote, sizeof(remote), "/%s", conn_peer_text(m->peer->conn));
            json_set_str(o, "remoteIP", tl_str_of(remote));
            json_array_append_new(list, o);
        }
        json_object_set_new(data, g->name, list);
    }
    lock_drop(&c->lock);
    json_object_set_new(body, "data", data);
    return body;
}

void clients_groups_of_topic(struct clients *c, struct tl_str topic, json_t *groups)
{
    lock_take(&c->lock);
    for (struct group *g = c->consumers; g; g = g->hh.next) {
        if (sub_find(g, topic))
            json_array_append_new(groups, json_string(g->name));
    }
    lock_drop(&c->lock);
}
