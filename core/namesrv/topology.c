#include "namesrv/topology.h"

#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/flags.h"

#undef LOG_MODULE
#define LOG_MODULE "namesrv"

/* One address of a broker group, with what keeps it alive. */
struct member {
    struct member *next;
    int64_t id;
    char *addr, *ha_addr;
    int64_t seen_ms, timeout_ms;
    uint64_t conn; /* conn_id() of the connection it registered by */
    struct data_version version;
};

struct group {  /* of brokers with one name */
    char *name; /* key */
    char *cluster;
    bool enable_acting_master;
    struct member *members;
    UT_hash_handle hh;
};

struct topic {
    char *name; /* key */
    struct route_queues *queues;
    size_t nqueues;
    UT_hash_handle hh;
};

struct topology {
    struct rwlock lock;
    struct group *groups;
    struct topic *topics;
};

struct topology *topology_new(void)
{
    struct topology *t = xzalloc(sizeof(*t));

    rwlock_init(&t->lock, RANK_TOPICS);
    return t;
}

/* ---- members and groups; write lock held -------------------------------------------------- */

static struct group *find_group(const struct topology *t, struct tl_str name)
{
    struct group *g;

    HASH_FIND(hh, t->groups, name.data ? name.data : "", name.len, g);
    return g;
}

static void free_member(struct member *m)
{
    free(m->addr);
    free(m->ha_addr);
    free(m);
}

static void free_topic(struct topology *t, struct topic *topic)
{
    HASH_DEL(t->topics, topic);
    for (size_t i = 0; i < topic->nqueues; i++)
        free(topic->queues[i].broker_name);
    free(topic->queues);
    free(topic->name);
    free(topic);
}

/* Take @broker's queues of @topic away; a topic without queues is no more. */
static void drop_queues(struct topology *t, struct topic *topic, const char *broker)
{
    for (size_t i = 0; i < topic->nqueues; i++) {
        if (strcmp(topic->queues[i].broker_name, broker) != 0)
            continue;
        free(topic->queues[i].broker_name);
        topic->queues[i] = topic->queues[--topic->nqueues];
        break;
    }
    if (topic->nqueues == 0)
        free_topic(t, topic);
}

static void free_group(struct topology *t, struct group *g)
{
    struct topic *topic, *tmp;

    HASH_ITER (hh, t->topics, topic, tmp) {
        drop_queues(t, topic, g->name);
    }
    HASH_DEL(t->groups, g);
    free(g->name);
    free(g->cluster);
    free(g);
}

static void drop_member(struct topology *t, struct group *g, struct member *m, const char *why)
{
    log_info("broker removed name=%s id=%lld addr=%s reason=%s", g->name, (long long)m->id,
             m->addr, why);
    LL_DELETE(g->members, m);
    free_member(m);
    if (!g->members)
        free_group(t, g);
}

void topology_free(struct topology *t)
{
    struct group *g, *gtmp;
    struct topic *topic, *ttmp;

    HASH_ITER (hh, t->topics, topic, ttmp) {
        free_topic(t, topic);
    }
    HASH_ITER (hh, t->groups, g, gtmp) {
        struct member *m, *mtmp;
        LL_FOREACH_SAFE (g->members, m, mtmp) {
            free_member(m);
        }
        free_group(t, g);
    }
    rwlock_release(&t->lock);
    free(t);
}

static struct member *by_id(const struct group *g, int64_t id)
{
    struct member *m;

    LL_FOREACH (g->members, m) {
        if (m->id == id)
            return m;
    }
    return NULL;
}

static struct member *by_addr(const struct group *g, struct tl_str addr)
{
    struct member *m;

    LL_FOREACH (g->members, m) {
        if (tl_str_is(addr, m->addr))
            return m;
    }
    return NULL;
}

static int64_t smallest_id(const struct group *g)
{
    struct member *m;
    int64_t id = INT64_MAX;

    LL_FOREACH (g->members, m) {
        if (m->id < id)
            id = m->id;
    }
    return id;
}

/* ---- registration ------------------------------------------------------------------------- */

static struct topic *find_topic(const struct topology *t, struct tl_str name)
{
    struct topic *topic;

    HASH_FIND(hh, t->topics, name.data, name.len, topic);
    return topic;
}

static struct route_queues *find_queues(const struct topic *topic, struct tl_str broker)
{
    for (size_t i = 0; topic && i < topic->nqueues; i++) {
        if (tl_str_is(broker, topic->queues[i].broker_name))
            return &topic->queues[i];
    }
    return NULL;
}

static void set_queues(struct topology *t, struct tl_str name, struct tl_str broker,
                       int32_t reads, int32_t writes, int32_t perm, int32_t sys_flag)
{
    struct topic *topic = find_topic(t, name);

    if (!topic) {
        topic = xzalloc(sizeof(*topic));
        topic->name = xstrndup(name.data, name.len);
        HASH_ADD_KEYPTR(hh, t->topics, topic->name, name.len, topic);
    }
    struct route_queues *q = find_queues(topic, broker);
    if (!q) {
        topic->queues = xrealloc(topic->queues, (topic->nqueues + 1) * sizeof(*topic->queues));
        q = &topic->queues[topic->nqueues++];
        q->broker_name = xstrndup(broker.data, broker.len);
    }
    q->read_queue_nums = reads;
    q->write_queue_nums = writes;
    q->perm = perm;
    q->sys_flag = sys_flag;
}

static bool in_registration(const struct registration *r, const char *name)
{
    for (size_t i = 0; i < r->ntopics; i++) {
        if (strcmp(r->topics[i].name, name) == 0)
            return true;
    }
    return false;
}

static void drop_missing_topics(struct topology *t, const struct registration *r,
                                const struct group *g)
{
    struct topic *topic, *tmp;

    HASH_ITER (hh, t->topics, topic, tmp) {
        if (find_queues(topic, tl_str_of(g->name)) && !in_registration(r, topic->name))
            drop_queues(t, topic, g->name);
    }
}

static void take_topics(struct topology *t, const struct topology_broker *b,
                        const struct registration *r, const struct group *g, bool news,
                        bool drop_missing)
{
    if (b->id != 0 && !(g->enable_acting_master && smallest_id(g) == b->id))
        return; /* topics are the master's, or those of who stands in for it */
    if (drop_missing && r->ntopics > 1)
        drop_missing_topics(t, r, g);
    for (size_t i = 0; i < r->ntopics; i++) {
        const struct topic_config *c = &r->topics[i];
        struct tl_str name = tl_str_of(c->name);
        if (!news && find_queues(find_topic(t, name), b->name))
            continue;
        int32_t perm = b->id != 0 ? c->perm & ~PERM_WRITE : c->perm;
        set_queues(t, name, b->name, c->read_queue_nums, c->write_queue_nums, perm,
                   c->sys_flag);
    }
}

static struct group *ensure_group(struct topology *t, const struct topology_broker *b)
{
    struct group *g = find_group(t, b->name);

    if (!g) {
        g = xzalloc(sizeof(*g));
        g->name = xstrndup(b->name.data, b->name.len);
        HASH_ADD_KEYPTR(hh, t->groups, g->name, b->name.len, g);
    }
    free(g->cluster);
    g->cluster = xstrndup(b->cluster.data, b->cluster.len);
    g->enable_acting_master = b->enable_acting_master;
    return g;
}

/* The member for @b; NULL when a newer holder of the id keeps it. */
static struct member *claim(struct group *g, const struct topology_broker *b,
                            const struct registration *r)
{
    struct member *m = by_addr(g, b->addr), *holder = by_id(g, b->id);

    if (holder && holder != m && holder->version.state_version > r->version.state_version)
        return NULL;
    if (holder && holder != m) {
        LL_DELETE(g->members, holder);
        free_member(holder);
    }
    if (!m) {
        m = xzalloc(sizeof(*m));
        m->addr = xstrndup(b->addr.data, b->addr.len);
        m->version = (struct data_version){-1, -1, -1}; /* equals no real one */
        LL_APPEND(g->members, m);
    } else if (m->id != b->id) {
        m->version = (struct data_version){-1, -1, -1};
    }
    m->id = b->id;
    return m;
}

static void tell_master(const struct group *g, int64_t id, char **master_addr, char **ha_addr)
{
    const struct member *master = id != 0 ? by_id(g, 0) : NULL;

    *master_addr = master ? xstrdup(master->addr) : NULL;
    *ha_addr = master && master->ha_addr ? xstrdup(master->ha_addr) : NULL;
}

int topology_register(struct topology *t, const struct topology_broker *b,
                      const struct registration *r, bool drop_missing, uint64_t conn,
                      char **master_addr, char **ha_addr)
{
    *master_addr = *ha_addr = NULL;
    rwlock_write(&t->lock);
    struct group *g = find_group(t, b->name);
    if ((!g || !by_id(g, b->id)) && r->ntopics == 1) {
        rwlock_drop(&t->lock);
        return tl_fail(TL_EIO, "register broker failed");
    }
    g = ensure_group(t, b);
    struct member *m = claim(g, b, r);
    if (!m) {
        rwlock_drop(&t->lock);
        return 0;
    }
    bool first = m->seen_ms == 0, news = first || !data_version_eq(&m->version, &r->version);
    free(m->ha_addr);
    m->ha_addr = xstrndup(b->ha_addr.data ? b->ha_addr.data : "", b->ha_addr.len);
    m->seen_ms = clock_now_ms();
    m->timeout_ms = b->heartbeat_timeout_ms > 0 ? b->heartbeat_timeout_ms : TOPOLOGY_EXPIRY_MS;
    m->conn = conn;
    m->version = r->version;
    take_topics(t, b, r, g, news, drop_missing);
    tell_master(g, b->id, master_addr, ha_addr);
    if (first)
        log_info("new broker registered name=%s id=%lld addr=%s topics=%zu", g->name,
                 (long long)m->id, m->addr, r->ntopics);
    rwlock_drop(&t->lock);
    return 0;
}

void topology_unregister(struct topology *t, struct tl_str cluster, struct tl_str name,
                         struct tl_str addr)
{
    rwlock_write(&t->lock);
    struct group *g = find_group(t, name);
    struct member *m = g && tl_str_is(cluster, g->cluster) ? by_addr(g, addr) : NULL;
    if (m)
        drop_member(t, g, m, "unregistered");
    rwlock_drop(&t->lock);
}

/* Remove each member for which @gone says so; how many. */
static int sweep(struct topology *t, bool (*gone)(const struct member *m, int64_t arg),
                 int64_t arg, const char *why)
{
    struct group *g, *gtmp;
    int n = 0;

    HASH_ITER (hh, t->groups, g, gtmp) {
        struct member *m, *mtmp;
        bool last = false;
        LL_FOREACH_SAFE (g->members, m, mtmp) {
            if (last || !gone(m, arg))
                continue;
            n++;
            last = g->members == m && !m->next; /* the group goes with it */
            drop_member(t, g, m, why);
        }
    }
    return n;
}

static bool is_silent(const struct member *m, int64_t now_ms)
{
    return now_ms - m->seen_ms > m->timeout_ms;
}

static bool is_conn(const struct member *m, int64_t id)
{
    return m->conn == (uint64_t)id;
}

void topology_disconnect(struct topology *t, uint64_t conn)
{
    rwlock_write(&t->lock);
    sweep(t, is_conn, (int64_t)conn, "connection closed");
    rwlock_drop(&t->lock);
}

int topology_expire(struct topology *t, int64_t now_ms)
{
    rwlock_write(&t->lock);
    int n = sweep(t, is_silent, now_ms, "silent");
    rwlock_drop(&t->lock);
    return n;
}

/* The live member of a cluster's address; some lock held. */
static struct member *find_member(const struct topology *t, struct tl_str cluster,
                                  struct tl_str addr)
{
    struct group *g, *tmp;

    HASH_ITER (hh, t->groups, g, tmp) {
        struct member *m = tl_str_is(cluster, g->cluster) ? by_addr(g, addr) : NULL;
        if (m)
            return m;
    }
    return NULL;
}

bool topology_touch(struct topology *t, struct tl_str cluster, struct tl_str addr)
{
    rwlock_write(&t->lock);
    struct member *m = find_member(t, cluster, addr);
    if (m)
        m->seen_ms = clock_now_ms();
    rwlock_drop(&t->lock);
    return m != NULL;
}

bool topology_version(struct topology *t, struct tl_str cluster, struct tl_str addr,
                      struct data_version *out)
{
    rwlock_read(&t->lock);
    const struct member *m = find_member(t, cluster, addr);
    if (m)
        *out = m->version;
    rwlock_drop(&t->lock);
    return m != NULL;
}

/* ---- routes ------------------------------------------------------------------------------- */

static int compare_addr(const void *x, const void *y)
{
    const struct route_broker_addr *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

static void copy_broker(struct route_broker *out, const struct group *g)
{
    const struct member *m;
    int n;

    LL_COUNT(g->members, m, n);
    *out = (struct route_broker){
        .cluster = xstrdup(g->cluster),
        .name = xstrdup(g->name),
        .addrs = xcalloc((size_t)n + 1, sizeof(*out->addrs)),
        .enable_acting_master = g->enable_acting_master,
    };
    LL_FOREACH (g->members, m) {
        out->addrs[out->naddrs++] = (struct route_broker_addr){m->id, xstrdup(m->addr)};
    }
    qsort(out->addrs, out->naddrs, sizeof(*out->addrs), compare_addr);
}

bool topology_route(struct topology *t, struct tl_str name, struct topic_route *out)
{
    *out = (struct topic_route){0};
    rwlock_read(&t->lock);
    const struct topic *topic = find_topic(t, name);
    if (topic) {
        out->brokers = xcalloc(topic->nqueues + 1, sizeof(*out->brokers));
        out->queues = xcalloc(topic->nqueues + 1, sizeof(*out->queues));
    }
    for (size_t i = 0; topic && i < topic->nqueues; i++) {
        const struct group *g = find_group(t, tl_str_of(topic->queues[i].broker_name));
        if (!g)
            continue;
        out->queues[out->nqueues] = topic->queues[i];
        out->queues[out->nqueues++].broker_name = xstrdup(topic->queues[i].broker_name);
        copy_broker(&out->brokers[out->nbrokers++], g);
    }
    rwlock_drop(&t->lock);
    if (out->nqueues)
        return true;
    topic_route_release(out);
    return false;
}

static json_t *group_json(const struct group *g)
{
    json_t *addrs = json_object();
    const struct member *m;
    char id[24];

    LL_FOREACH (g->members, m) {
        snprintf(id, sizeof(id), "%lld", (long long)m->id);
        json_object_set_new(addrs, id, json_string(m->addr));
    }
    return json_pack("{s:o, s:s, s:s, s:b}", "brokerAddrs", addrs, "brokerName", g->name,
                     "cluster", g->cluster, "enableActingMaster", g->enable_acting_master);
}

json_t *topology_clusters(struct topology *t)
{
    json_t *brokers = json_object(), *clusters = json_object();
    struct group *g, *tmp;

    rwlock_read(&t->lock);
    HASH_ITER (hh, t->groups, g, tmp) {
        json_t *names = json_object_get(clusters, g->cluster);
        if (!names) {
            names = json_array();
            json_object_set_new(clusters, g->cluster, names);
        }
        json_array_append_new(names, json_string(g->name));
        json_object_set_new(brokers, g->name, group_json(g));
    }
    rwlock_drop(&t->lock);
    return json_pack("{s:o, s:o}", "brokerAddrTable", brokers, "clusterAddrTable", clusters);
}

json_t *topology_members(struct topology *t, struct tl_str cluster, struct tl_str name)
{
    json_t *o;

    rwlock_read(&t->lock);
    const struct group *g = find_group(t, name);
    if (g && tl_str_is(cluster, g->cluster)) {
        o = group_json(g);
        json_object_del(o, "enableActingMaster");
    } else {
        o = json_pack("{s:{}}", "brokerAddrs");
        if (name.data)
            json_set_str(o, "brokerName", name);
        if (cluster.data)
            json_set_str(o, "cluster", cluster);
    }
    rwlock_drop(&t->lock);
    return json_pack("{s:o}", "brokerMemberGroup", o);
}

/* ---- topic lists -------------------------------------------------------------------------- */

json_t *topology_topics(struct topology *t)
{
    json_t *list = json_array();
    struct topic *topic, *tmp;

    rwlock_read(&t->lock);
    HASH_ITER (hh, t->topics, topic, tmp) {
        json_array_append_new(list, json_string(topic->name));
    }
    rwlock_drop(&t->lock);
    return list;
}

static bool in_cluster(const struct topology *t, const struct topic *topic,
                       struct tl_str cluster)
{
    for (size_t i = 0; i < topic->nqueues; i++) {
        const struct group *g = find_group(t, tl_str_of(topic->queues[i].broker_name));
        if (g && tl_str_is(cluster, g->cluster))
            return true;
    }
    return false;
}

json_t *topology_topics_of(struct topology *t, struct tl_str cluster)
{
    json_t *list = json_array();
    struct topic *topic, *tmp;

    rwlock_read(&t->lock);
    HASH_ITER (hh, t->topics, topic, tmp) {
        if (in_cluster(t, topic, cluster))
            json_array_append_new(list, json_string(topic->name));
    }
    rwlock_drop(&t->lock);
    return list;
}

json_t *topology_topics_by_flag(struct topology *t, int32_t set, int32_t clear)
{
    json_t *list = json_array();
    struct topic *topic, *tmp;

    rwlock_read(&t->lock);
    HASH_ITER (hh, t->topics, topic, tmp) {
        int32_t flag = topic->queues[0].sys_flag;
        if ((flag & set) == set && !(flag & clear))
            json_array_append_new(list, json_string(topic->name));
    }
    rwlock_drop(&t->lock);
    return list;
}

static void append_once(json_t *list, const char *name)
{
    const json_t *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        if (strcmp(json_string_value(v), name) == 0)
            return;
    }
    json_array_append_new(list, json_string(name));
}

json_t *topology_system_topics(struct topology *t, char **addr)
{
    json_t *list = json_array();
    struct group *g, *tmp;

    *addr = NULL;
    rwlock_read(&t->lock);
    HASH_ITER (hh, t->groups, g, tmp) {
        append_once(list, g->cluster);
        append_once(list, g->name);
        if (!*addr && g->members)
            *addr = xstrdup(g->members->addr);
    }
    rwlock_drop(&t->lock);
    return list;
}

/* ---- changes by administrators ------------------------------------------------------------ */

void topology_delete_topic(struct topology *t, struct tl_str name, struct tl_str cluster)
{
    rwlock_write(&t->lock);
    struct topic *topic = find_topic(t, name);
    if (topic && !cluster.len) {
        free_topic(t, topic);
    } else if (topic) {
        struct group *g, *tmp;
        HASH_ITER (hh, t->groups, g, tmp) {
            topic = find_topic(t, name); /* goes with its last queues */
            if (topic && tl_str_is(cluster, g->cluster))
                drop_queues(t, topic, g->name);
        }
    }
    rwlock_drop(&t->lock);
}

void topology_add_topic(struct topology *t, struct tl_str topic, const struct topic_route *r)
{
    rwlock_write(&t->lock);
    for (size_t i = 0; i < r->nqueues; i++) {
        const struct route_queues *q = &r->queues[i];
        if (find_group(t, tl_str_of(q->broker_name)))
            set_queues(t, topic, tl_str_of(q->broker_name), q->read_queue_nums,
                       q->write_queue_nums, q->perm, q->sys_flag);
    }
    rwlock_drop(&t->lock);
}

int topology_write_perm(struct topology *t, struct tl_str broker, bool wipe)
{
    struct topic *topic, *tmp;
    int n = 0;

    rwlock_write(&t->lock);
    HASH_ITER (hh, t->topics, topic, tmp) {
        struct route_queues *q = find_queues(topic, broker);
        if (!q)
            continue;
        q->perm = wipe ? q->perm & ~PERM_WRITE : PERM_READ | PERM_WRITE;
        n++;
    }
    rwlock_drop(&t->lock);
    return n;
}
