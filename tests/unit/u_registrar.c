#include "broker/registrar.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/topics.h"
#include "proto/bodies.h"
#include "proto/code.h"
#include "proto/flags.h"
#include "proto/hdr_cluster.h"
#include "remoting/server.h"
#include "t.h"

enum { WAIT_S = 15 };

/* A name server that only takes notes. */
struct notes {
    int registered, unregistered, refuse; /* refuse: how many more to turn down */
    size_t ntopics;
    bool has_orders, has_default, crc_good;
    int32_t default_perm;
    char broker_name[64], broker_addr[64], cluster[64], ha_addr[64];
    int64_t broker_id;
};

static struct fixture {
    struct reactor *io;
    struct route_table *routes;
    struct server *server;
    struct notes notes;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct broker_conf conf;
    struct broker broker;
} f;

static void note_text(char out[64], struct tl_str s)
{
    snprintf(out, 64, "%.*s", TL_STR_ARG(s));
}

static void on_register(void *ctx, struct request *rq)
{
    const struct register_broker_request *h = request_header(rq);
    struct notes *n = &f.notes;
    struct registration r;

    (void)ctx;
    CHECK_OK(registration_parse(rq->cmd.body, h->compressed, &r));
    pthread_mutex_lock(&f.lock);
    bool refuse = n->refuse > 0;
    if (refuse)
        n->refuse--;
    n->registered++;
    note_text(n->broker_name, h->broker_name);
    note_text(n->broker_addr, h->broker_addr);
    note_text(n->cluster, h->cluster_name);
    note_text(n->ha_addr, h->ha_server_addr);
    n->broker_id = h->broker_id;
    n->crc_good = h->body_crc32 == (int32_t)hash_crc31(rq->cmd.body.data, rq->cmd.body.len);
    n->ntopics = r.ntopics;
    n->has_orders = n->has_default = false;
    for (size_t i = 0; i < r.ntopics; i++) {
        n->has_orders |= strcmp(r.topics[i].name, "orders") == 0;
        if (strcmp(r.topics[i].name, "TBW102") == 0) {
            n->has_default = true;
            n->default_perm = r.topics[i].perm;
        }
    }
    pthread_cond_broadcast(&f.moved);
    pthread_mutex_unlock(&f.lock);
    registration_release(&r);
    if (refuse)
        request_fail(rq, RS_SYSTEM_ERROR, "register broker failed");
    else
        request_ok(rq);
}

static void on_unregister(void *ctx, struct request *rq)
{
    (void)ctx;
    pthread_mutex_lock(&f.lock);
    f.notes.unregistered++;
    pthread_cond_broadcast(&f.moved);
    pthread_mutex_unlock(&f.lock);
    request_ok(rq);
}

static const struct route rows[] = {
    {RQ_REGISTER_BROKER, &register_broker_request_header, on_register, LANE_IO, 0},
    {RQ_UNREGISTER_BROKER, &broker_request_header, on_unregister, LANE_IO, 0},
};

static void set(const char *key, const char *value)
{
    CHECK_OK(conf_set(&broker_conf_table, &f.conf, tl_str_of(key), tl_str_of(value)));
}

static int wait_registered(int want)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_S;
    pthread_mutex_lock(&f.lock);
    while (f.notes.registered < want &&
           pthread_cond_timedwait(&f.moved, &f.lock, &deadline) == 0)
        ;
    int got = f.notes.registered;
    pthread_mutex_unlock(&f.lock);
    return got;
}

static void touched(void *arg, const char *topic)
{
    (void)topic;
    registrar_touch(arg);
}

/* @namesrv: what stands before the test's own name server in the list, or "". */
static void start(const char *before)
{
    struct server_opts opts = {.name = "ns",
                               .limits = conn_limits_default,
                               .frame_max = 1 << 24,
                               .version = VERSION_OURS,
                               .pending_max = 100,
                               .nreactors = 1};
    char list[128];

    memset(&f, 0, sizeof(f));
    pthread_mutex_init(&f.lock, NULL);
    pthread_cond_init(&f.moved, NULL);
    CHECK_OK(reactor_start(&f.io, "ns", ROLE_ANY));
    CHECK_OK(route_table_new(&f.routes, rows, 2));
    CHECK_OK(addr_parse(TL_STR("127.0.0.1:0"), &opts.bind));
    opts.reactors = &f.io;
    opts.routes = f.routes;
    CHECK_OK(server_start(&f.server, &opts));

    conf_defaults(&broker_conf_table, &f.conf);
    snprintf(list, sizeof(list), "%s127.0.0.1:%d", before, server_port(f.server));
    set("namesrvAddr", list);
    set("brokerName", "broker-a");
    set("brokerIP1", "127.0.0.1");
    set("storePathRootDir", t_tmpdir());
    CHECK_OK(broker_conf_finish(&f.conf));
    f.broker.conf = &f.conf;
    snprintf(f.broker.addr, sizeof(f.broker.addr), "127.0.0.1:10911");
    CHECK_OK(topics_open(&f.broker.topics, &f.conf, f.conf.store_path_root_dir.data));
    CHECK_OK(reactor_start(&f.broker.svc, "svc", ROLE_SVC));
}

static void begin(void)
{
    CHECK_OK(registrar_start(&f.broker.registrar, &f.broker));
    topics_on_change(f.broker.topics, touched, f.broker.registrar);
}

static void stop(void)
{
    topics_on_change(f.broker.topics, NULL, NULL);
    registrar_stop(f.broker.registrar);
    topics_close(f.broker.topics);
    reactor_stop(f.broker.svc);
    reactor_join(f.broker.svc);
    reactor_free(f.broker.svc);
    server_stop(f.server);
    reactor_stop(f.io);
    reactor_join(f.io);
    reactor_free(f.io);
    route_table_free(f.routes);
    conf_release(&broker_conf_table, &f.conf);
    pthread_cond_destroy(&f.moved);
    pthread_mutex_destroy(&f.lock);
}

static void create(const char *name)
{
    struct topic_config c;
    bool changed;

    topic_config_init(&c, tl_str_of(name), 2, PERM_READ | PERM_WRITE);
    CHECK_OK(topics_update(f.broker.topics, &c, &changed));
    topic_config_release(&c);
}

TEST(the_start_registers_all_topics_and_who_we_are)
{
    start("");
    begin();
    registrar_sync(f.broker.registrar, 5000);
    CHECK_INT(f.notes.registered, 1);
    CHECK_INT(f.notes.ntopics, 13);
    CHECK(f.notes.has_default);
    CHECK_INT(f.notes.default_perm, PERM_READ | PERM_WRITE | PERM_INHERIT);
    CHECK(f.notes.crc_good);
    CHECK_STR(f.notes.broker_name, "broker-a");
    CHECK_STR(f.notes.broker_addr, "127.0.0.1:10911");
    CHECK_STR(f.notes.cluster, "DefaultCluster");
    CHECK_STR(f.notes.ha_addr, "127.0.0.1:10912");
    CHECK_INT(f.notes.broker_id, 0);
    stop();
}

TEST(a_new_topic_is_known_once_sync_returns)
{
    start("");
    begin();
    registrar_sync(f.broker.registrar, 5000);
    create("orders");
    registrar_sync(f.broker.registrar, 5000);
    CHECK_INT(f.notes.registered, 2);
    CHECK(f.notes.has_orders);
    stop();
}

/* On the service reactor, so that nothing can be sent in between. */
static void create_many(void *arg)
{
    char name[32];

    (void)arg;
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        CHECK_OK(topics_auto_create(f.broker.topics, tl_str_of(name), TL_STR("TBW102"), 1, 0));
    }
}

TEST(changes_within_one_turn_are_registered_together)
{
    start("");
    begin();
    registrar_sync(f.broker.registrar, 5000);
    reactor_call(f.broker.svc, create_many, NULL);
    registrar_sync(f.broker.registrar, 5000);
    CHECK_INT(f.notes.ntopics, 63);
    CHECK_INT(f.notes.registered, 2);
    stop();
}

TEST(sync_without_a_change_sends_nothing)
{
    start("");
    begin();
    registrar_sync(f.broker.registrar, 5000);
    registrar_sync(f.broker.registrar, 5000);
    registrar_sync(f.broker.registrar, 5000);
    CHECK_INT(f.notes.registered, 1);
    stop();
}

TEST(a_name_server_that_is_down_does_not_keep_the_others_from_knowing)
{
    start("127.0.0.1:1;no-such-host.invalid:9876;");
    begin();
    registrar_sync(f.broker.registrar, 5000);
    CHECK_INT(f.notes.registered, 1);
    create("orders");
    registrar_sync(f.broker.registrar, 5000);
    CHECK(f.notes.has_orders);
    stop();
}

TEST(a_refused_registration_is_tried_again)
{
    start("");
    f.notes.refuse = 1;
    begin();
    registrar_sync(f.broker.registrar, 5000);
    CHECK_INT(f.notes.registered, 1);
    CHECK_INT(wait_registered(2), 2);
    stop();
}

TEST(a_broker_that_may_not_be_written_to_says_so_for_every_topic)
{
    start("");
    set("brokerPermission", "4");
    begin();
    registrar_sync(f.broker.registrar, 5000);
    CHECK_INT(f.notes.default_perm, PERM_READ);
    stop();
}

TEST(leaving_unregisters_and_ends_registering)
{
    start("");
    begin();
    registrar_sync(f.broker.registrar, 5000);
    registrar_unregister(f.broker.registrar);
    CHECK_INT(f.notes.unregistered, 1);
    create("orders");
    registrar_sync(f.broker.registrar, 5000);
    CHECK_INT(f.notes.registered, 1);
    stop();
    CHECK_INT(f.notes.unregistered, 1);
}
