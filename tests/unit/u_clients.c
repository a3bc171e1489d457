#include "broker/clients.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "net/conn.h"
#include "net/reactor.h"
#include "proto/code.h"
#include "proto/hdr_group.h"
#include "remoting/channel.h"
#include "remoting/server.h"
#include "t.h"

enum { PEERS = 3, WAIT_S = 5 };

/* One client connection: what it heard, and the server's end of it. */
struct side {
    struct channel *channel;
    struct conn *conn; /* the server's end; a reference */
    int notices;
    char group[64]; /* of the last notice */
};

static struct fixture {
    struct clients *clients;
    struct reactor *io, *client_io;
    struct route_table *routes;
    struct server *server;
    struct side side[PEERS];
    struct conn *last; /* who sent the last request */
    int gone;          /* connections the server saw close */
    pthread_mutex_t lock;
    pthread_cond_t moved;
} f;

/* ---- the world around the table ------------------------------------------------------------- */

static void signal_moved(void)
{
    pthread_cond_broadcast(&f.moved);
    pthread_mutex_unlock(&f.lock);
}

static void hello(void *ctx, struct request *rq)
{
    (void)ctx;
    pthread_mutex_lock(&f.lock);
    f.last = conn_ref(rq->conn);
    signal_moved();
    request_ok(rq);
}

static const struct route rows[] = {{RQ_HEART_BEAT, NULL, hello, LANE_IO, 0}};

static void on_disconnect(void *ctx, struct conn *c)
{
    (void)ctx;
    clients_disconnect(f.clients, c);
    pthread_mutex_lock(&f.lock);
    f.gone++;
    signal_moved();
}

static void on_request(void *arg, struct channel *ch, const struct command *rq)
{
    struct side *s = arg;
    struct tl_str group = command_ext(rq, "consumerGroup");

    (void)ch;
    if (rq->code != RQ_NOTIFY_CONSUMER_IDS_CHANGED)
        return;
    pthread_mutex_lock(&f.lock);
    s->notices++;
    snprintf(s->group, sizeof(s->group), "%.*s", TL_STR_ARG(group));
    signal_moved();
}

static void connect_side(void *arg)
{
    struct side *s = arg;
    char addr[64];

    snprintf(addr, sizeof(addr), "127.0.0.1:%d", server_port(f.server));
    CHECK_OK(channel_new(&s->channel, f.client_io, addr, 1 << 20));
    channel_on_request(s->channel, on_request, s);
}

static void hang_up(void *arg)
{
    struct side *s = arg;

    if (s->channel)
        channel_free(s->channel);
    s->channel = NULL;
}

static void start(void)
{
    struct server_opts opts = {.name = "test",
                               .limits = conn_limits_default,
                               .frame_max = 1 << 20,
                               .version = VERSION_OURS,
                               .pending_max = 100,
                               .on_disconnect = on_disconnect};

    memset(&f, 0, sizeof(f));
    pthread_mutex_init(&f.lock, NULL);
    pthread_cond_init(&f.moved, NULL);
    f.clients = clients_new();
    CHECK_OK(reactor_start(&f.io, "io", ROLE_IO));
    CHECK_OK(reactor_start(&f.client_io, "client", ROLE_ANY));
    CHECK_OK(route_table_new(&f.routes, rows, 1));
    CHECK_OK(addr_parse(TL_STR("127.0.0.1:0"), &opts.bind));
    opts.reactors = &f.io;
    opts.nreactors = 1;
    opts.routes = f.routes;
    CHECK_OK(server_start(&f.server, &opts));
    for (int i = 0; i < PEERS; i++) {
        struct channel_call call = {.code = RQ_HEART_BEAT};
        struct arena arena;
        struct command reply;
        arena_init(&arena, 4096);
        reactor_call(f.client_io, connect_side, &f.side[i]);
        CHECK_OK(channel_call_wait(f.side[i].channel, &call, 5000, &arena, &reply));
        f.side[i].conn = f.last;
        arena_release(&arena);
    }
}

static void stop(void)
{
    for (int i = 0; i < PEERS; i++) {
        reactor_call(f.client_io, hang_up, &f.side[i]);
        conn_unref(f.side[i].conn);
    }
    server_stop(f.server);
    reactor_stop(f.io);
    reactor_join(f.io);
    clients_free(f.clients);
    reactor_free(f.io);
    reactor_stop(f.client_io);
    reactor_join(f.client_io);
    reactor_free(f.client_io);
    route_table_free(f.routes);
    pthread_cond_destroy(&f.moved);
    pthread_mutex_destroy(&f.lock);
}

/* Wait until *@n reaches @want; it may not pass it. */
static void wait_for(const int *n, int want)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_S;
    pthread_mutex_lock(&f.lock);
    while (*n < want && pthread_cond_timedwait(&f.moved, &f.lock, &deadline) == 0)
        ;
    int got = *n;
    pthread_mutex_unlock(&f.lock);
    CHECK_INT(got, want);
}

static bool may_notify(void *arg, struct tl_str group)
{
    (void)group;
    return *(bool *)arg;
}

/* A heartbeat of side @i as a consumer; one or two topics. */
struct beat {
    const char *client_id, *group, *topic, *topic2, *producer;
    int64_t sub_version;
    enum message_model model;
    int32_t fingerprint;
    bool without_sub, silent;
};

static bool beat(int i, struct beat b)
{
    struct subscription subs[2];
    struct heartbeat_consumer hc = {
        .type = CONSUME_PASSIVELY, .model = b.model, .from_where = 4, .subs = subs};
    char *producers[1] = {(char *)(uintptr_t)b.producer},
         *id = xstrdup(b.client_id ? b.client_id : "c0");
    struct heartbeat h = {
        .client_id = id, .fingerprint = b.fingerprint, .without_sub = b.without_sub};
    bool changed, notify = !b.silent;

    if (b.group) {
        hc.group = (char *)(uintptr_t)b.group;
        h.consumers = &hc;
        h.nconsumers = 1;
    }
    if (b.topic)
        CHECK_OK(subscription_init(&subs[hc.nsubs++], tl_str_of(b.topic), TL_STR("TagA"),
                                   TL_STR_NONE, b.sub_version));
    if (b.topic2)
        CHECK_OK(subscription_init(&subs[hc.nsubs++], tl_str_of(b.topic2), TL_STR("*"),
                                   TL_STR_NONE, b.sub_version));
    if (b.producer) {
        h.producers = producers;
        h.nproducers = 1;
    }
    clients_heartbeat(f.clients, f.side[i].conn, 0, VERSION_OURS, &h, may_notify, &notify,
                      &changed);
    for (size_t k = 0; k < hc.nsubs; k++)
        subscription_release(&subs[k]);
    free(id);
    return changed;
}

static struct beat consumer(const char *client_id)
{
    return (struct beat){.client_id = client_id,
                         .group = "g",
                         .topic = "T",
                         .sub_version = 1,
                         .model = MODEL_CLUSTERING};
}

/* The client ids of group g as "a,b", or "" when there is nobody; owned by the next call. */
static const char *ids(void)
{
    static char text[256];
    json_t *body = clients_consumer_ids(f.clients, TL_STR("g")), *id;
    size_t i;

    text[0] = '\0';
    if (!body)
        return text;
    json_array_foreach(json_object_get(body, "consumerIdList"), i, id)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? "," : "",
                 json_string_value(id));
    json_decref(body);
    return text;
}

/* ---- tests ---------------------------------------------------------------------------------- */

TEST(a_newcomer_and_all_others_are_told)
{
    start();
    CHECK_STR(ids(), "");
    CHECK(!clients_group_online(f.clients, TL_STR("g")));
    beat(0, consumer("a"));
    wait_for(&f.side[0].notices, 1);
    CHECK_STR(f.side[0].group, "g");
    beat(1, consumer("b"));
    wait_for(&f.side[0].notices, 2);
    wait_for(&f.side[1].notices, 1);
    CHECK_STR(ids(), "a,b");
    CHECK(clients_group_online(f.clients, TL_STR("g")));
    stop();
}

TEST(a_second_heartbeat_tells_nobody)
{
    start();
    beat(0, consumer("a"));
    beat(0, consumer("a"));
    beat(1,
         consumer(
             "b")); /* the next notice: had the second beat pushed one it would come before */
    wait_for(&f.side[0].notices, 2);
    stop();
}

TEST(who_unregisters_is_gone_and_the_others_are_told)
{
    start();
    beat(0, consumer("a"));
    beat(1, consumer("b"));
    wait_for(&f.side[0].notices, 2);
    wait_for(&f.side[1].notices, 1);
    clients_unregister(f.clients, f.side[1].conn, TL_STR(""), TL_STR("g"));
    wait_for(&f.side[0].notices, 3);
    CHECK_STR(ids(), "a");
    clients_unregister(f.clients, f.side[0].conn, TL_STR_NONE, TL_STR("g"));
    CHECK_STR(ids(), "");
    stop();
}

TEST(a_connection_is_one_member_whatever_it_calls_itself)
{
    start();
    beat(0, consumer("a"));
    beat(1, consumer("b"));
    beat(1, consumer("a"));
    CHECK_STR(ids(), "a,a");
    beat(1, consumer("c"));
    CHECK_STR(ids(), "a,c");
    beat(0, (struct beat){.client_id = "a", .producer = "p"});
    beat(0, (struct beat){.client_id = "x", .producer = "p"}); /* a producer keeps its name */
    json_t *body = clients_producer_connection(f.clients, TL_STR("p"));
    const json_t *one = json_array_get(json_object_get(body, "connectionSet"), 0);
    CHECK_STR(json_get_str(one, "clientId"), "a");
    json_decref(body);
    stop();
}

TEST(a_closed_connection_takes_its_members_along)
{
    start();
    beat(0, consumer("a"));
    beat(1, consumer("b"));
    wait_for(&f.side[0].notices, 2);
    reactor_call(f.client_io, hang_up, &f.side[1]);
    wait_for(&f.gone, 1);
    wait_for(&f.side[0].notices, 3);
    CHECK_STR(ids(), "a");
    reactor_call(f.client_io, hang_up, &f.side[0]);
    wait_for(&f.gone, 2);
    CHECK_STR(ids(), "");
    stop();
}

TEST(a_changed_set_of_topics_is_told_a_changed_expression_is_not)
{
    start();
    beat(0, consumer("a"));
    wait_for(&f.side[0].notices, 1);
    struct beat b = consumer("a");
    b.sub_version = 2;
    beat(0, b);
    b.topic2 = "T2";
    beat(0, b);
    wait_for(&f.side[0].notices, 2);
    b.topic2 = NULL;
    beat(0, b);
    wait_for(&f.side[0].notices, 3);
    stop();
}

TEST(broadcasting_and_switched_off_groups_are_not_told)
{
    start();
    struct beat b = consumer("a");
    b.model = MODEL_BROADCASTING;
    beat(0, b);
    b = consumer("b");
    b.group = "quiet";
    b.silent = true;
    beat(1, b);
    b.silent = false;
    b.group = "loud";
    beat(0, b);
    beat(1, b);
    wait_for(&f.side[1].notices, 1);
    CHECK_STR(f.side[1].group, "loud");
    wait_for(&f.side[0].notices, 2);
    stop();
}

TEST(a_subscription_is_found_by_group_and_topic_and_newer_versions_win)
{
    struct client_sub *sub;
    bool broadcasting = true;

    start();
    CHECK_INT(clients_subscription(f.clients, TL_STR("g"), TL_STR("T"), &sub, &broadcasting),
              CLIENT_SUB_NO_GROUP);
    struct beat b = consumer("a");
    b.sub_version = 5;
    beat(0, b);
    CHECK_INT(
        clients_subscription(f.clients, TL_STR("g"), TL_STR("other"), &sub, &broadcasting),
        CLIENT_SUB_NO_TOPIC);
    CHECK_INT(clients_subscription(f.clients, TL_STR("g"), TL_STR("T"), &sub, &broadcasting),
              CLIENT_SUB_OK);
    CHECK(!broadcasting);
    CHECK_INT(sub->sub.version, 5);
    b.sub_version = 4;
    beat(0, b);
    b.sub_version = 6;
    beat(0, b);
    CHECK_INT(sub->sub.version, 5); /* ours stays as it was */
    client_sub_unref(sub);
    CHECK_INT(clients_subscription(f.clients, TL_STR("g"), TL_STR("T"), &sub, &broadcasting),
              CLIENT_SUB_OK);
    CHECK_INT(sub->sub.version, 6);
    client_sub_unref(sub);
    stop();
}

TEST(a_client_without_fingerprint_is_always_told_to_send_everything)
{
    start();
    CHECK(beat(0, consumer("a")));
    CHECK(beat(0, consumer("a")));
    stop();
}

TEST(a_client_with_fingerprint_sends_its_subscriptions_again_only_when_they_differ)
{
    struct client_sub *sub;
    bool broadcasting;

    start();
    struct beat b = consumer("a");
    b.fingerprint = 77;
    CHECK(!beat(0, b));
    b.without_sub = true;
    b.topic = NULL;
    CHECK(!beat(0, b));
    CHECK_INT(clients_subscription(f.clients, TL_STR("g"), TL_STR("T"), &sub, &broadcasting),
              CLIENT_SUB_OK);
    client_sub_unref(sub);
    b.fingerprint = 78;
    CHECK(beat(0, b));
    stop();
}

TEST(a_beat_without_subscriptions_of_an_unknown_group_asks_for_them)
{
    start();
    struct beat b = consumer("a");
    b.fingerprint = 77;
    b.without_sub = true;
    b.topic = NULL;
    CHECK(beat(0, b));
    CHECK(!clients_group_has_subs(f.clients, TL_STR("g")));
    stop();
}

TEST(producers_are_listed_by_group)
{
    start();
    CHECK(clients_producer_connection(f.clients, TL_STR("p")) == NULL);
    beat(0, (struct beat){.client_id = "a", .producer = "p"});
    json_t *body = clients_producer_connection(f.clients, TL_STR("p"));
    CHECK_INT(json_array_size(json_object_get(body, "connectionSet")), 1);
    json_t *one = json_array_get(json_object_get(body, "connectionSet"), 0);
    CHECK_STR(json_get_str(one, "clientId"), "a");
    CHECK_STR(json_get_str(one, "language"), "JAVA");
    CHECK_INT(json_get_i64(one, "version", 0), VERSION_OURS);
    CHECK_HAS(json_get_str(one, "clientAddr"), "127.0.0.1:");
    json_decref(body);

    body = clients_all_producers(f.clients);
    one = json_array_get(json_object_get(json_object_get(body, "data"), "p"), 0);
    CHECK_STR(json_get_str(one, "clientId"), "a");
    CHECK_HAS(json_get_str(one, "remoteIP"), "/127.0.0.1:");
    CHECK(llabs(json_get_i64(one, "lastUpdateTimestamp", 0) - clock_now_ms()) < 60000);
    json_decref(body);

    clients_unregister(f.clients, f.side[0].conn, TL_STR("p"), TL_STR_NONE);
    CHECK(clients_producer_connection(f.clients, TL_STR("p")) == NULL);
    stop();
}

TEST(the_connections_of_a_group_show_how_it_consumes)
{
    start();
    beat(0, consumer("a"));
    beat(1, consumer("b"));
    json_t *body = clients_consumer_connection(f.clients, TL_STR("g"));
    CHECK_INT(json_array_size(json_object_get(body, "connectionSet")), 2);
    CHECK_STR(json_get_str(body, "consumeFromWhere"), "CONSUME_FROM_FIRST_OFFSET");
    CHECK_STR(json_get_str(body, "consumeType"), "CONSUME_PASSIVELY");
    CHECK_STR(json_get_str(body, "messageModel"), "CLUSTERING");
    const json_t *sub = json_get_object(json_get_object(body, "subscriptionTable"), "T");
    CHECK_STR(json_get_str(sub, "subString"), "TagA");
    json_decref(body);
    CHECK(clients_consumer_connection(f.clients, TL_STR("nobody")) == NULL);

    json_t *groups = json_array();
    clients_groups_of_topic(f.clients, TL_STR("T"), groups);
    CHECK_INT(json_array_size(groups), 1);
    CHECK_STR(json_string_value(json_array_get(groups, 0)), "g");
    json_decref(groups);
    stop();
}

TEST(a_silent_client_is_disconnected)
{
    clock_fake(1700000000000);
    start();
    beat(0, consumer("a"));
    beat(1, consumer("b"));
    wait_for(&f.side[0].notices, 2);
    clock_advance_ms(1000);
    clients_expire(f.clients, 1000);
    CHECK_STR(ids(), "a,b");
    beat(0, consumer("a"));
    clock_advance_ms(1);
    clients_expire(f.clients, 1000);
    wait_for(&f.gone, 1);
    CHECK_STR(ids(), "a");
    stop();
    clock_real();
}
