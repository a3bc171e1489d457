#include "client/client.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/log.h"
#include "proto/code.h"
#include "proto/hdr_consume.h"
#include "proto/hdr_produce.h"
#include "proto/hdr_topic.h"
#include "proto/properties.h"
#include "remoting/server.h"
#include "t.h"

/* A name server and broker that says what the test told it to, and takes notes. */
static struct fixture {
    struct reactor *io;
    struct route_table *routes;
    struct server *server;
    struct client *client;
    char addr[32];
    pthread_mutex_t lock; /* of the notes */
    int sends, queues[8];
    char topic[64], default_topic[64], uniq_key[64], body[64];
    int send_code, pull_code;
    int32_t pull_sys_flag;
} f;

/* Known topics: T (two queues to write to), readonly, TBW102. */
static void on_route(void *ctx, struct request *rq)
{
    const struct topic_request *h = request_header(rq);
    bool readonly = tl_str_is(h->topic, "readonly");
    char body[512];

    (void)ctx;
    if (!readonly && !tl_str_is(h->topic, "T") && !tl_str_is(h->topic, "TBW102")) {
        request_fail(rq, RS_TOPIC_NOT_EXIST, "no route of %.*s", TL_STR_ARG(h->topic));
        return;
    }
    int queues = tl_str_is(h->topic, "TBW102") ? 8 : 2;
    snprintf(
        body, sizeof(body),
        "{\"brokerDatas\":[{\"brokerAddrs\":{0:\"%s\"},\"brokerName\":\"b\",\"cluster\":\"C\"}"
        "],\"filterServerTable\":{},\"queueDatas\":[{\"brokerName\":\"b\",\"perm\":%d,"
        "\"readQueueNums\":%d,\"topicSysFlag\":0,\"writeQueueNums\":%d}]}",
        f.addr, readonly ? 4 : 6, queues, queues);
    request_ok_body(rq, tl_str_of(body));
}

static void on_clusters(void *ctx, struct request *rq)
{
    (void)ctx;
    request_ok_body(rq,
                    TL_STR("{\"brokerAddrTable\":{\"b\":{\"brokerAddrs\":{0:\"1.2.3.4:5\",1:"
                           "\"1.2.3.5:5\"},\"brokerName\":\"b\",\"cluster\":\"C\"}},"
                           "\"clusterAddrTable\":{\"C\":[\"b\"]}}"));
}

static void note(char out[64], struct tl_str s)
{
    snprintf(out, 64, "%.*s", TL_STR_ARG(s));
}

static void on_send(void *ctx, struct request *rq)
{
    const struct send_request *h = request_header(rq);
    char digits[20];
    struct send_response ext = {
        .msg_id = TL_STR("OFFSETID"),
        .queue_id = tl_str_n(digits, tl_i64_text(h->queue_id, digits)),
        .queue_offset = TL_STR("42"),
    };

    (void)ctx;
    pthread_mutex_lock(&f.lock);
    f.queues[f.sends++ % 8] = h->queue_id;
    note(f.topic, h->topic);
    note(f.default_topic, h->default_topic);
    note(f.body, rq->cmd.body);
    note(f.uniq_key, properties_get(h->properties, PROP_UNIQ_KEY));
    int code = f.send_code;
    pthread_mutex_unlock(&f.lock);
    request_reply(rq, &(struct reply){.code = code,
                                      .remark = code ? TL_STR("as told") : TL_STR_NONE,
                                      .header = &send_response_header,
                                      .ext = &ext});
}

static void on_pull(void *ctx, struct request *rq)
{
    const struct pull_request *h = request_header(rq);
    struct pull_response ext = {.next_begin_offset = 7, .min_offset = 1, .max_offset = 9};

    (void)ctx;
    pthread_mutex_lock(&f.lock);
    f.pull_sys_flag = h->sys_flag;
    int code = f.pull_code;
    pthread_mutex_unlock(&f.lock);
    request_reply(rq, &(struct reply){.code = code,
                                      .header = &pull_response_header,
                                      .ext = &ext,
                                      .body = code ? TL_STR_NONE : TL_STR("records")});
}

static void on_silence(void *ctx, struct request *rq)
{
    (void)ctx;
    /* A one-way request's answer does not leave the server. */
    rq->cmd.flag |= COMMAND_ONEWAY;
    request_ok(rq);
}

static const struct route rows[] = {
    {RQ_SEND_MESSAGE, &send_request_header, on_send, LANE_IO, 0},
    {RQ_PULL_MESSAGE, &pull_request_header, on_pull, LANE_IO, 0},
    {RQ_GET_MAX_OFFSET, NULL, on_silence, LANE_IO, 0},
    {RQ_GET_ROUTEINFO_BY_TOPIC, &topic_request_header, on_route, LANE_IO, 0},
    {RQ_GET_BROKER_CLUSTER_INFO, NULL, on_clusters, LANE_IO, 0},
};

/* @before: name servers that stand before the test's own in the list. */
static void begin(const char *before)
{
    struct server_opts opts = {.name = "tiny",
                               .limits = conn_limits_default,
                               .frame_max = 1 << 24,
                               .version = VERSION_OURS,
                               .pending_max = 100,
                               .nreactors = 1};
    char list[128];

    log_set_level(LOG_ERROR);
    memset(&f, 0, sizeof(f));
    pthread_mutex_init(&f.lock, NULL);
    CHECK_OK(reactor_start(&f.io, "tiny", ROLE_ANY));
    CHECK_OK(route_table_new(&f.routes, rows, sizeof(rows) / sizeof(rows[0])));
    CHECK_OK(addr_parse(TL_STR("127.0.0.1:0"), &opts.bind));
    opts.reactors = &f.io;
    opts.routes = f.routes;
    CHECK_OK(server_start(&f.server, &opts));
    snprintf(f.addr, sizeof(f.addr), "127.0.0.1:%d", server_port(f.server));
    snprintf(list, sizeof(list), "%s%s", before, f.addr);
    CHECK_OK(client_open(&f.client, list, NULL));
}

static void end(void)
{
    client_close(f.client);
    server_stop(f.server);
    reactor_stop(f.io);
    reactor_join(f.io);
    reactor_free(f.io);
    route_table_free(f.routes);
    pthread_mutex_destroy(&f.lock);
}

/* What the server should answer. */
static void tell(int *code, int value)
{
    pthread_mutex_lock(&f.lock);
    *code = value;
    pthread_mutex_unlock(&f.lock);
}

/* Behind an answer: the server's notes are complete and may be read. */
static void notes_are_done(void)
{
    pthread_mutex_lock(&f.lock);
    pthread_mutex_unlock(&f.lock);
}

static int send_to(const char *topic, int32_t queue, struct client_sent *out)
{
    int rc = client_send(f.client,
                         &(struct client_send){.topic = tl_str_of(topic),
                                               .body = TL_STR("hello"),
                                               .producer_group = TL_STR("P"),
                                               .queue_id = queue},
                         out);
    notes_are_done();
    return rc;
}

TEST(a_message_goes_to_the_routes_broker_with_a_unique_key)
{
    struct client_sent sent;

    begin("");
    CHECK_OK(send_to("T", -1, &sent));
    CHECK_STR(f.topic, "T");
    CHECK_STR(f.body, "hello");
    CHECK_INT(strlen(f.uniq_key), 32);
    CHECK_STR(sent.msg_id, f.uniq_key);
    CHECK_STR(sent.offset_msg_id, "OFFSETID");
    CHECK_STR(sent.broker_name, "b");
    CHECK_INT(sent.queue_offset, 42);
    end();
}

TEST(messages_take_turns_on_the_queues_unless_one_is_named)
{
    struct client_sent sent;

    begin("");
    for (int i = 0; i < 4; i++)
        CHECK_OK(send_to("T", -1, &sent));
    CHECK(f.queues[0] != f.queues[1]);
    CHECK_INT(f.queues[0], f.queues[2]);
    CHECK_INT(f.queues[1], f.queues[3]);
    CHECK_OK(send_to("T", 1, &sent));
    CHECK_INT(sent.queue_id, 1);
    end();
}

TEST(an_unknown_topic_is_sent_by_the_route_of_the_default_topic)
{
    struct client_sent sent;

    begin("");
    CHECK_OK(send_to("brand_new", -1, &sent));
    CHECK_STR(f.topic, "brand_new");
    CHECK_STR(f.default_topic, "TBW102");
    end();
}

TEST(a_topic_yet_to_be_created_gets_messages_in_its_first_four_queues_only)
{
    struct client_sent sent;

    begin("");
    for (int i = 0; i < 8; i++) {
        CHECK_OK(send_to("brand_new", -1, &sent));
        CHECK(f.queues[i] >= 0 && f.queues[i] < 4);
    }
    CHECK_INT(f.queues[0], f.queues[4]);
    end();
}

TEST(a_topic_without_a_queue_to_write_to_is_an_error)
{
    struct client_sent sent;

    begin("");
    CHECK_INT(send_to("readonly", -1, &sent), TL_ENOTOPIC);
    CHECK_HAS(t_error(), "topic readonly has no writable queue");
    CHECK_INT(f.sends, 0);
    end();
}

TEST(a_refusal_carries_code_and_remark_and_a_slow_disk_is_none)
{
    struct client_sent sent;

    begin("");
    tell(&f.send_code, RS_NO_PERMISSION);
    CHECK(send_to("T", -1, &sent) != 0);
    CHECK_STR(t_error(), "CODE: 16  DESC: as told");
    tell(&f.send_code, RS_FLUSH_DISK_TIMEOUT);
    CHECK_OK(send_to("T", -1, &sent));
    CHECK_INT(sent.code, RS_FLUSH_DISK_TIMEOUT);
    end();
}

TEST(a_pull_tells_offsets_whether_or_not_it_found_messages)
{
    struct client_pull p = {
        .addr = f.addr, .group = TL_STR("G"), .topic = TL_STR("T"), .max_nums = 32};
    struct client_pulled out;

    begin("");
    CHECK_OK(client_pull(f.client, &p, &out));
    notes_are_done();
    CHECK_INT(out.code, RS_SUCCESS);
    CHECK_STR(out.records, "records");
    CHECK_INT(out.next_offset, 7);
    CHECK_INT(out.min_offset, 1);
    CHECK_INT(out.max_offset, 9);
    CHECK_INT(f.pull_sys_flag & 2, 0); /* does not wait */
    client_reply_release(&out.reply);
    tell(&f.pull_code, RS_PULL_NOT_FOUND);
    p.suspend_ms = 1000;
    CHECK_OK(client_pull(f.client, &p, &out));
    notes_are_done();
    CHECK_INT(out.code, RS_PULL_NOT_FOUND);
    CHECK_INT(out.next_offset, 7);
    CHECK_INT(f.pull_sys_flag & 2, 2);
    client_reply_release(&out.reply);
    tell(&f.pull_code, RS_SUBSCRIPTION_NOT_EXIST);
    CHECK(client_pull(f.client, &p, &out) != 0);
    client_reply_release(&out.reply);
    end();
}

TEST(a_name_server_that_is_down_is_passed_over)
{
    struct topic_route route;

    begin("127.0.0.1:1,");
    CHECK_OK(client_route(f.client, TL_STR("T"), &route));
    CHECK_INT(route.nqueues, 1);
    topic_route_release(&route);
    CHECK_INT(client_route(f.client, TL_STR("missing"), &route), TL_ENOTOPIC);
    CHECK_STR(t_error(), "CODE: 17  DESC: no route of missing");
    end();
}

TEST(without_a_name_server_the_error_says_what_to_give)
{
    struct topic_route route;
    struct client *c;

    CHECK_OK(client_open(&c, NULL, "me"));
    CHECK_STR(client_id(c), "me");
    CHECK_INT(client_route(c, TL_STR("T"), &route), TL_EINVAL);
    CHECK_HAS(t_error(), "no name server is given");
    client_close(c);
}

TEST(a_server_that_does_not_answer_costs_the_timeout_only)
{
    int64_t offset = -5;

    begin("");
    client_set_timeout(f.client, 50);
    CHECK_INT(
        client_queue_offset(f.client, f.addr, RQ_GET_MAX_OFFSET, TL_STR("T"), 0, 0, &offset),
        TL_ETIMEOUT);
    CHECK_INT(offset, -5);
    end();
}

TEST(a_cluster_has_its_masters_by_name)
{
    json_t *masters;

    begin("");
    CHECK_OK(client_cluster_masters(f.client, "C", &masters));
    CHECK_INT(json_object_size(masters), 1);
    CHECK_STR(json_get_str(masters, "b"), "1.2.3.4:5");
    json_decref(masters);
    CHECK_INT(client_cluster_masters(f.client, "D", &masters), TL_ENOTFOUND);
    CHECK_HAS(t_error(), "cluster D");
    end();
}
