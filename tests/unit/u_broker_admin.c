/*
 * What the broker answers to questions and orders about topics, groups, offsets and clients: over a
 * real connection, from a real store.  Codes, fields, remarks and bodies are those recorded from
 * Apache RocketMQ 5.3.3.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/clients.h"
#include "broker/groups.h"
#include "broker/offsets.h"
#include "broker/routes.h"
#include "broker/topics.h"
#include "broker/traffic.h"
#include "proto/code.h"
#include "remoting/channel.h"
#include "store/append.h"
#include "store/store.h"
#include "t.h"

static struct fixture {
    struct broker_conf conf;
    struct broker b;
    struct channel *channel;
    struct reactor *client_io;
    struct arena arena;
    struct command reply; /* of the last ask() */
} f;

static void no_arrival(void *arg, struct consumequeue *q, int64_t end)
{
    (void)arg;
    (void)q;
    (void)end;
}

static void set(const char *key, const char *value)
{
    CHECK_OK(conf_set(&broker_conf_table, &f.conf, tl_str_of(key), tl_str_of(value)));
}

static void io_begin(void *arg)
{
    reactor_set_local(f.b.io[0], arg);
}

static void io_end(void *arg)
{
    struct broker_io *io = arg;

    snapshot_cache_release(&io->topics);
    snapshot_cache_release(&io->groups);
}

static void on_disconnect(void *ctx, struct conn *c)
{
    struct broker *b = ctx;
    clients_disconnect(b->clients, c);
}

static void connect_client(void *arg)
{
    char addr[64];

    (void)arg;
    snprintf(addr, sizeof(addr), "127.0.0.1:%d", server_port(f.b.server));
    CHECK_OK(channel_new(&f.channel, f.client_io, addr, 1 << 24));
}

static void hang_up(void *arg)
{
    (void)arg;
    channel_free(f.channel);
}

static void open_parts(const char *dir)
{
    struct store_opts opts = {.root_dir = dir,
                              .log_file_bytes = 1 << 20,
                              .queue_file_bytes = 20000,
                              .flush_interval_ms = 500,
                              .queue_flush_interval_ms = 1000,
                              .on_arrival = no_arrival};

    CHECK_OK(store_open(&f.b.store, &opts));
    CHECK_OK(topics_open(&f.b.topics, &f.conf, dir));
    CHECK_OK(groups_open(&f.b.groups, &f.conf, dir));
    CHECK_OK(offsets_open(&f.b.offsets, dir));
    f.b.clients = clients_new();
    f.b.traffic = traffic_new();
}

static void start(void)
{
    const char *dir = t_tmpdir();
    struct server_opts opts = {.name = "broker",
                               .limits = conn_limits_default,
                               .frame_max = 1 << 24,
                               .version = VERSION_OURS,
                               .pending_max = 100,
                               .nreactors = 1,
                               .on_disconnect = on_disconnect,
                               .ctx = &f.b};

    memset(&f, 0, sizeof(f));
    arena_init(&f.arena, 4096);
    conf_defaults(&broker_conf_table, &f.conf);
    set("brokerName", "broker-a");
    set("brokerIP1", "127.0.0.1");
    set("storePathRootDir", dir);
    CHECK_OK(broker_conf_finish(&f.conf));
    f.b.conf = &f.conf;
    f.b.boot_ms = clock_now_ms();
    snprintf(f.b.addr, sizeof(f.b.addr), "127.0.0.1:10911");
    open_parts(dir);
    CHECK_OK(workers_start(&f.b.workers, "work", 2));
    CHECK_OK(reactor_start(&f.b.io[0], "io", ROLE_IO));
    f.b.io_count = 1;
    f.b.io_state[0] = (struct broker_io){.broker = &f.b, .reactor = f.b.io[0]};
    reactor_call(f.b.io[0], io_begin, &f.b.io_state[0]);
    CHECK_OK(reactor_start(&f.client_io, "client", ROLE_ANY));
    CHECK_OK(route_table_new(&f.b.routes, broker_routes, broker_routes_count));
    CHECK_OK(addr_parse(TL_STR("127.0.0.1:0"), &opts.bind));
    opts.reactors = f.b.io;
    opts.workers = f.b.workers;
    opts.routes = f.b.routes;
    CHECK_OK(server_start(&f.b.server, &opts));
    reactor_call(f.client_io, connect_client, NULL);
}

static void stop(void)
{
    reactor_call(f.client_io, hang_up, NULL);
    reactor_stop(f.client_io);
    reactor_join(f.client_io);
    reactor_free(f.client_io);
    workers_stop(f.b.workers);
    server_stop(f.b.server);
    reactor_call(f.b.io[0], io_end, &f.b.io_state[0]);
    reactor_stop(f.b.io[0]);
    reactor_join(f.b.io[0]);
    reactor_free(f.b.io[0]);
    route_table_free(f.b.routes);
    store_close(f.b.store);
    clients_free(f.b.clients);
    offsets_close(f.b.offsets);
    groups_close(f.b.groups);
    topics_close(f.b.topics);
    traffic_free(f.b.traffic);
    conf_release(&broker_conf_table, &f.conf);
    arena_release(&f.arena);
}

/* ---- asking --------------------------------------------------------------------------------- */

/* @ext: "key=value key=value"; values without blanks, or the rest of the text behind a last "key==". */
static void ask(int code, const char *ext, const char *body)
{
    struct kv kv[16];
    uint32_t n = 0;
    struct tl_str rest = tl_str_of(ext);

    while (rest.len) {
        struct tl_str one = rest, key;
        key = tl_str_cut(&one, '=');
        if (one.len && one.data[0] == '=') {
            kv[n++] = (struct kv){key, tl_str_n(one.data + 1, one.len - 1)};
            break;
        }
        one = tl_str_cut(&rest, ' ');
        key = tl_str_cut(&one, '=');
        kv[n++] = (struct kv){key, one.data ? one : TL_STR("")};
    }
    struct channel_call call = {
        .code = code, .extra = kv, .extra_count = n, .body = tl_str_of(body)};
    arena_release(&f.arena);
    arena_init(&f.arena, 4096);
    CHECK_OK(channel_call_wait(f.channel, &call, 5000, &f.arena, &f.reply));
}

static void check_code(int code, const char *remark)
{
    CHECK_INT(f.reply.code, code);
    if (remark)
        CHECK_STR(f.reply.remark, remark);
    else
        CHECK(f.reply.remark.data == NULL);
}

static void check_ext(const char *key, const char *value)
{
    CHECK_STR(command_ext(&f.reply, key), value);
}

static void create(const char *name, int queues)
{
    char ext[256];

    snprintf(
        ext, sizeof(ext),
        "topic=%s defaultTopic=TBW102 readQueueNums=%d writeQueueNums=%d perm=6 topicFilterType=SINGLE_TAG topicSysFlag=0 "
        "order=false",
        name, queues, queues);
    ask(RQ_UPDATE_AND_CREATE_TOPIC, ext, NULL);
    check_code(0, "not set any response code");
}

static void put(const char *topic, int queue, int n)
{
    for (int i = 0; i < n; i++) {
        struct record r = {.queue_id = queue,
                           .topic = tl_str_of(topic),
                           .body = TL_STR("hello"),
                           .born_timestamp = clock_now_ms(),
                           .properties = TL_STR("")};
        struct append_entry e = {0};
        uint8_t *bytes = xmalloc(record_size(&r));
        CHECK_OK(record_encode(&r, bytes));
        CHECK_OK(append_wait(f.b.store, bytes, record_size(&r), 1, &e));
        free(bytes);
    }
}

#define HEARTBEAT(id, group, topic)                                                                                      \
    "{\"clientID\":\"" id                                                                                                \
    "\",\"consumerDataSet\":[{\"consumeFromWhere\":\"CONSUME_FROM_FIRST_OFFSET\","                                       \
    "\"consumeType\":\"CONSUME_PASSIVELY\",\"groupName\":\"" group                                                       \
    "\",\"messageModel\":\"CLUSTERING\","                                                                                \
    "\"subscriptionDataSet\":[{\"classFilterMode\":false,\"codeSet\":[],\"expressionType\":\"TAG\",\"subString\":\"*\"," \
    "\"subVersion\":1795620399131,\"tagsSet\":[],\"topic\":\"" topic                                                     \
    "\"}],\"unitMode\":false}],"                                                                                         \
    "\"heartbeatFingerprint\":0,\"producerDataSet\":[],\"withoutSub\":false}"

/* ---- topics --------------------------------------------------------------------------------- */

TEST(a_topic_is_created_changed_and_described)
{
    start();
    create("a_t", 3);
    create("a_t", 5);
    create("a_t", 5);
    ask(RQ_GET_TOPIC_CONFIG, "topic=a_t", NULL);
    check_code(0, NULL);
    CHECK_STR(
        f.reply.body,
        "{\"attributes\":{},\"order\":false,\"perm\":6,\"readQueueNums\":5,\"topicFilterType\":\"SINGLE_TAG\","
        "\"topicName\":\"a_t\",\"topicSysFlag\":0,\"writeQueueNums\":5}");
    ask(RQ_GET_TOPIC_CONFIG, "topic=a_none", NULL);
    check_code(17, "No topic in this broker. topic: a_none");
    ask(RQ_GET_TOPIC_CONFIG, "", NULL);
    check_code(1, "the custom field <topic> is null");
    stop();
}

TEST(what_a_topic_may_not_be_is_refused)
{
    start();
    ask(RQ_UPDATE_AND_CREATE_TOPIC,
        "defaultTopic=TBW102 readQueueNums=1 writeQueueNums=1 perm=6 topicFilterType=SINGLE_TAG topic==a bad name",
        NULL);
    check_code(
        29,
        "The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$");
    ask(RQ_UPDATE_AND_CREATE_TOPIC,
        "topic=TBW102 readQueueNums=1 writeQueueNums=1 perm=6 topicFilterType=SINGLE_TAG",
        NULL);
    check_code(29, "The topic[TBW102] is conflict with system topic.");
    ask(RQ_UPDATE_AND_CREATE_TOPIC,
        "topic=x readQueueNums=1 writeQueueNums=1 perm=6 topicFilterType=NO_TAG", NULL);
    check_code(1, "topicFilterType = [NO_TAG] value invalid");
    ask(RQ_UPDATE_AND_CREATE_TOPIC,
        "topic=x readQueueNums=65537 writeQueueNums=1 perm=6 topicFilterType=SINGLE_TAG", NULL);
    check_code(29, "readQueueNums=65537: at most 65536");
    ask(RQ_UPDATE_AND_CREATE_TOPIC,
        "topic=odd readQueueNums=-1 writeQueueNums=1 perm=-1 topicFilterType=SINGLE_TAG", NULL);
    check_code(0, "not set any response code"); /* as the Java broker */
    ask(RQ_GET_TOPIC_STATS_INFO, "topic=odd", NULL);
    check_code(0, NULL);
    ask(RQ_UPDATE_AND_CREATE_TOPIC,
        "topic=x writeQueueNums=1 perm=6 topicFilterType=SINGLE_TAG", NULL);
    check_code(1, "the custom field <readQueueNums> is null");
    create("a_zero", 0);
    stop();
}

TEST(attributes_of_a_topic_are_changes)
{
    static const char base[] =
        "defaultTopic=TBW102 readQueueNums=2 writeQueueNums=2 perm=6 topicFilterType=SINGLE_TAG ";
    char ext[256];

    start();
    snprintf(ext, sizeof(ext), "%stopic=a_attr attributes==+message.type=FIFO", base);
    ask(RQ_UPDATE_AND_CREATE_TOPIC, ext, NULL);
    check_code(0, "not set any response code");
    snprintf(ext, sizeof(ext), "%stopic=a_attr2 attributes==+no.such=1", base);
    ask(RQ_UPDATE_AND_CREATE_TOPIC, ext, NULL);
    check_code(1, "unsupported key: no.such");
    snprintf(ext, sizeof(ext), "%stopic=a_attr3 attributes==+message.type=MIXED", base);
    ask(RQ_UPDATE_AND_CREATE_TOPIC, ext, NULL);
    check_code(29, "MIXED message type is not supported.");
    static const struct {
        const char *change, *remark;
    } wrong[] = {
        {"+message.type=FIFO,+message.type=NORMAL", "key duplication: +message.type"},
        {"message.type=FIFO", "add/alter attribute format is wrong: message.type"},
        {"message.type", "delete attribute format is wrong: message.type"},
        {"x+y=1", "kv string format wrong."},
        {"-reserve.time", "attempt to delete a nonexistent key: reserve.time"},
        {"+cleanup.policy=DELETE",
         "attempt to update an unchangeable attribute. key: cleanup.policy"},
        {"+message.type=XYZ",
         "value is not in set: [UNSPECIFIED, TRANSACTION, FIFO, MIXED, DELAY, NORMAL]"}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(ext, sizeof(ext), "%stopic=a_attr attributes==%s", base, wrong[i].change);
        ask(RQ_UPDATE_AND_CREATE_TOPIC, ext, NULL);
        check_code(1, wrong[i].remark);
    }
    create("a_attr", 4); /* without attributes the present ones stay */
    ask(RQ_GET_TOPIC_CONFIG, "topic=a_attr", NULL);
    CHECK_HAS(f.reply.body, "\"attributes\":{\"message.type\":\"FIFO\"}");
    CHECK_HAS(f.reply.body, "\"readQueueNums\":4");
    stop();
}

TEST(a_list_of_topics_is_created_or_refused_as_a_whole)
{
    start();
    ask(RQ_UPDATE_AND_CREATE_TOPIC_LIST, "",
        "{\"topicConfigList\":[{\"topicName\":\"l1\",\"readQueueNums\":2,\"writeQueueNums\":2,\"perm\":6,\"attributes\":{"
        "\"+message.type\":\"FIFO\"}},{\"topicName\":\"l2\",\"readQueueNums\":1,\"writeQueueNums\":1,\"perm\":6}]}");
    check_code(0, "not set any response code");
    ask(RQ_GET_TOPIC_CONFIG, "topic=l1", NULL);
    CHECK_HAS(f.reply.body, "\"message.type\":\"FIFO\"");
    ask(RQ_UPDATE_AND_CREATE_TOPIC_LIST, "",
        "{\"topicConfigList\":[{\"topicName\":\"l3\",\"readQueueNums\":1,\"writeQueueNums\":1,\"perm\":6},{\"topicName\":\"TBW102\","
        "\"readQueueNums\":1,\"writeQueueNums\":1,\"perm\":6}]}");
    check_code(29, "The topic[TBW102] is conflict with system topic.");
    ask(RQ_GET_TOPIC_CONFIG, "topic=l3", NULL);
    check_code(17, "No topic in this broker. topic: l3");
    ask(RQ_UPDATE_AND_CREATE_TOPIC_LIST, "", "{\"topicConfigList\":7}");
    check_code(1, "the body has no topicConfigList");
    ask(RQ_UPDATE_AND_CREATE_TOPIC_LIST, "",
        "{\"topicConfigList\":[{\"topicName\":\"l4\"},{\"topicName\":\"l4\",\"readQueueNums\":9}]}");
    check_code(1, "Duplicate key l4");
    ask(RQ_GET_TOPIC_CONFIG, "topic=l4", NULL);
    CHECK_HAS(f.reply.body, "\"readQueueNums\":9");
    stop();
}

TEST(a_deleted_topic_is_gone_with_its_offsets)
{
    start();
    create("a_t", 1);
    put("a_t", 0, 3);
    offsets_commit(f.b.offsets, TL_STR("g"), TL_STR("a_t"), 0, 2);
    ask(RQ_DELETE_TOPIC_IN_BROKER, "topic=a_t", NULL);
    check_code(0, NULL);
    ask(RQ_DELETE_TOPIC_IN_BROKER, "topic=a_t", NULL);
    check_code(0, NULL);
    CHECK_INT(offsets_query(f.b.offsets, TL_STR("g"), TL_STR("a_t"), 0), -1);
    ask(RQ_GET_TOPIC_STATS_INFO, "topic=a_t", NULL);
    check_code(17, "topic[a_t] not exist");
    ask(RQ_GET_MAX_OFFSET, "topic=a_t queueId=0", NULL);
    check_ext("offset", "0");
    ask(RQ_DELETE_TOPIC_IN_BROKER, "topic=TBW102", NULL);
    check_code(29, "The topic[TBW102] is conflict with system topic.");
    ask(RQ_DELETE_TOPIC_IN_BROKER, "topic=", NULL);
    check_code(29, "The specified topic is blank.");
    stop();
}

TEST(topic_stats_come_in_the_order_of_the_java_broker)
{
    start();
    create("a_t", 5);
    ask(RQ_GET_TOPIC_STATS_INFO, "topic=a_t", NULL);
    check_code(0, NULL);
    CHECK_STR(
        f.reply.body,
        "{\"offsetTable\":{{\"brokerName\":\"broker-a\",\"queueId\":3,\"topic\":\"a_t\"}:{\"lastUpdateTimestamp\":0,"
        "\"maxOffset\":0,\"minOffset\":0},{\"brokerName\":\"broker-a\",\"queueId\":4,\"topic\":\"a_t\"}:{"
        "\"lastUpdateTimestamp\":0,\"maxOffset\":0,\"minOffset\":0},{\"brokerName\":\"broker-a\",\"queueId\":0,\"topic\":"
        "\"a_t\"}:{\"lastUpdateTimestamp\":0,\"maxOffset\":0,\"minOffset\":0},{\"brokerName\":\"broker-a\",\"queueId\":1,"
        "\"topic\":\"a_t\"}:{\"lastUpdateTimestamp\":0,\"maxOffset\":0,\"minOffset\":0},{\"brokerName\":\"broker-a\","
        "\"queueId\":2,\"topic\":\"a_t\"}:{\"lastUpdateTimestamp\":0,\"maxOffset\":0,\"minOffset\":0}},\"topicPutTps\":0.0}");
    put("a_t", 1, 2);
    ask(RQ_GET_TOPIC_STATS_INFO, "topic=a_t", NULL);
    CHECK_HAS(f.reply.body, "\"maxOffset\":2,\"minOffset\":0");
    stop();
}

TEST(lists_of_topics_have_everything)
{
    start();
    create("a_t", 1);
    ask(RQ_GET_ALL_TOPIC_CONFIG, "", NULL);
    check_code(0, NULL);
    json_t *body = json_parse(f.reply.body);
    CHECK_INT(json_object_size(json_object_get(body, "topicConfigTable")), 14);
    CHECK(json_get_object(body, "dataVersion") != NULL);
    CHECK(json_get_object(body, "mappingDataVersion") != NULL);
    json_decref(body);
    ask(RQ_GET_SYSTEM_TOPIC_LIST_FROM_BROKER, "", NULL);
    CHECK_HAS(f.reply.body, "{\"topicList\":[");
    CHECK_HAS(f.reply.body, "\"SCHEDULE_TOPIC_XXXX\"");
    CHECK_HAS(f.reply.body, "\"broker-a\"");
    stop();
}

/* ---- groups --------------------------------------------------------------------------------- */

TEST(a_group_is_set_described_and_deleted)
{
    start();
    ask(RQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, "",
        "{\"groupName\":\"AG\",\"consumeEnable\":true,\"retryMaxTimes\":3}");
    check_code(0, NULL);
    ask(RQ_GET_SUBSCRIPTIONGROUP_CONFIG, "group=AG", NULL);
    CHECK_STR(
        f.reply.body,
        "{\"attributes\":{},\"brokerId\":0,\"consumeBroadcastEnable\":true,\"consumeEnable\":true,\"consumeFromMinEnable\":"
        "true,\"consumeMessageOrderly\":false,\"consumeTimeoutMinute\":15,\"groupName\":\"AG\",\"groupRetryPolicy\":{\"type\":"
        "\"CUSTOMIZED\"},\"groupSysFlag\":0,\"notifyConsumerIdsChangedEnable\":true,\"retryMaxTimes\":3,\"retryQueueNums\":1,"
        "\"whichBrokerWhenConsumeSlowly\":1}");
    ask(RQ_GET_CONSUME_STATS, "consumerGroup=AG", NULL);
    CHECK_STR(f.reply.body, "{\"consumeTps\":0.0,\"offsetTable\":{}}");
    ask(RQ_DELETE_SUBSCRIPTIONGROUP, "groupName=AG", NULL);
    check_code(0, NULL);
    ask(RQ_GET_SUBSCRIPTIONGROUP_CONFIG, "group=AG", NULL); /* asking creates it again */
    CHECK_HAS(f.reply.body, "\"retryMaxTimes\":16");
    ask(RQ_GET_SUBSCRIPTIONGROUP_CONFIG, "group==a b", NULL);
    check_code(26, "No group in this broker");
    ask(RQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, "", "{}");
    CHECK_INT(f.reply.code, 1);
    stop();
}

TEST(a_list_of_groups_is_set)
{
    start();
    ask(RQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, "",
        "{\"groupConfigList\":[{\"groupName\":\"g1\"},{\"groupName\":\"g2\"}]}");
    check_code(0, NULL);
    ask(RQ_GET_ALL_SUBSCRIPTIONGROUP_CONFIG, "", NULL);
    json_t *body = json_parse(f.reply.body);
    CHECK_INT(json_object_size(json_object_get(body, "subscriptionGroupTable")), 10);
    CHECK(json_get_object(body, "forbiddenTable") != NULL);
    json_decref(body);
    stop();
}

TEST(a_group_keeps_what_java_reads_of_its_settings)
{
    start();
    ask(RQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, "",
        "{\"groupName\":\"g\",\"groupRetryPolicy\":{},\"subscriptionDataSet\":[{\"topic\":\"t\",\"x\":1}]}");
    check_code(0, NULL);
    ask(RQ_GET_SUBSCRIPTIONGROUP_CONFIG, "group=g", NULL);
    CHECK_HAS(f.reply.body, "\"groupRetryPolicy\":{\"type\":\"CUSTOMIZED\"}");
    CHECK_HAS(f.reply.body, "\"subscriptionDataSet\":[{\"topic\":\"t\",\"version\":0}]");
    ask(RQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, "",
        "{\"groupName\":\"g\",\"groupRetryPolicy\":null}");
    ask(RQ_GET_SUBSCRIPTIONGROUP_CONFIG, "group=g", NULL);
    CHECK(!memmem(f.reply.body.data, f.reply.body.len, "groupRetryPolicy", 16));
    ask(RQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, "",
        "{\"groupName\":\"g\",\"attributes\":{\"+no.such\":\"1\"}}");
    check_code(1, "unsupported key: no.such");
    stop();
}

TEST(deleting_a_group_takes_its_offsets_only_when_asked)
{
    start();
    offsets_commit(f.b.offsets, TL_STR("g"), TL_STR("T"), 0, 2);
    ask(RQ_DELETE_SUBSCRIPTIONGROUP, "groupName=g", NULL);
    CHECK_INT(offsets_query(f.b.offsets, TL_STR("g"), TL_STR("T"), 0), 2);
    ask(RQ_DELETE_SUBSCRIPTIONGROUP, "groupName=g cleanOffset=true", NULL);
    CHECK_INT(offsets_query(f.b.offsets, TL_STR("g"), TL_STR("T"), 0), -1);
    stop();
}

TEST(members_of_a_group_come_and_go)
{
    start();
    create("g_t", 1);
    ask(RQ_GET_CONSUMER_LIST_BY_GROUP, "consumerGroup=GG", NULL);
    check_code(1, "no consumer for this group, GG");
    ask(RQ_GET_CONSUMER_CONNECTION_LIST, "consumerGroup=GG", NULL);
    check_code(206, "the consumer group[GG] not online");
    ask(RQ_HEART_BEAT, "", HEARTBEAT("cid-a", "GG", "g_t"));
    check_code(0, NULL);
    check_ext("IS_SUPPORT_HEART_BEAT_V2", "true");
    check_ext("IS_SUB_CHANGE", "true");
    ask(RQ_GET_CONSUMER_LIST_BY_GROUP, "consumerGroup=GG", NULL);
    check_code(0, NULL);
    CHECK_STR(f.reply.body, "{\"consumerIdList\":[\"cid-a\"]}");
    ask(RQ_GET_CONSUMER_CONNECTION_LIST, "consumerGroup=GG", NULL);
    CHECK_HAS(f.reply.body, "\"consumeFromWhere\":\"CONSUME_FROM_FIRST_OFFSET\"");
    CHECK_HAS(
        f.reply.body,
        "\"subscriptionTable\":{\"g_t\":{\"classFilterMode\":false,\"codeSet\":[],\"expressionType\":\"TAG\","
        "\"subString\":\"*\",\"subVersion\":1795620399131,\"tagsSet\":[],\"topic\":\"g_t\"}}");
    ask(RQ_GET_TOPIC_CONFIG, "topic=%RETRY%GG", NULL);
    CHECK_HAS(f.reply.body, "\"readQueueNums\":1");
    ask(RQ_UNREGISTER_CLIENT, "clientID=cid-a consumerGroup=GG", NULL);
    check_code(0, NULL);
    ask(RQ_GET_CONSUMER_LIST_BY_GROUP, "consumerGroup=GG", NULL);
    check_code(1, "no consumer for this group, GG");
    stop();
}

TEST(producers_are_shown_by_group)
{
    start();
    ask(RQ_GET_PRODUCER_CONNECTION_LIST, "producerGroup=PG", NULL);
    check_code(1, "the producer group[PG] not exist");
    ask(RQ_HEART_BEAT, "",
        "{\"clientID\":\"p-1\",\"producerDataSet\":[{\"groupName\":\"PG\"}]}");
    check_code(0, NULL);
    ask(RQ_GET_PRODUCER_CONNECTION_LIST, "producerGroup=PG", NULL);
    CHECK_HAS(f.reply.body, "\"clientId\":\"p-1\"");
    ask(RQ_GET_ALL_PRODUCER_INFO, "", NULL);
    CHECK_HAS(f.reply.body, "{\"data\":{\"PG\":[{\"clientId\":\"p-1\"");
    stop();
}

TEST(a_heartbeat_that_is_none_is_refused)
{
    start();
    ask(RQ_HEART_BEAT, "", "[");
    CHECK_INT(f.reply.code, 1);
    CHECK(f.reply.remark.len > 0);
    stop();
}

TEST(only_tag_subscriptions_can_be_checked)
{
    start();
    ask(RQ_CHECK_CLIENT_CONFIG, "",
        "{\"clientId\":\"c\",\"group\":\"g\",\"subscriptionData\":{\"expressionType\":\"TAG\"}}");
    check_code(0, NULL);
    ask(RQ_CHECK_CLIENT_CONFIG, "",
        "{\"clientId\":\"c\",\"group\":\"g\",\"subscriptionData\":{\"expressionType\":\"SQL92\"}}");
    check_code(1, "The broker does not support consumer to filter message by SQL92");
    stop();
}

/* ---- locks ---------------------------------------------------------------------------------- */

#define LOCK(client, queues)                                                   \
    "{\"consumerGroup\":\"LG\",\"clientId\":\"" client "\",\"mqSet\":[" queues \
    "],\"onlyThisBroker\":false}"
#define Q0  "{\"topic\":\"l_t\",\"brokerName\":\"broker-a\",\"queueId\":0}"
#define Q1  "{\"topic\":\"l_t\",\"brokerName\":\"broker-a\",\"queueId\":1}"
#define OK0 "{\"brokerName\":\"broker-a\",\"queueId\":0,\"topic\":\"l_t\"}"
#define OK1 "{\"brokerName\":\"broker-a\",\"queueId\":1,\"topic\":\"l_t\"}"

TEST(a_queue_is_locked_by_one_client_at_a_time)
{
    start();
    ask(RQ_LOCK_BATCH_MQ, "", LOCK("c1", Q0 "," Q1));
    check_code(0, NULL);
    CHECK_STR(f.reply.body, "{\"lockOKMQSet\":[" OK0 "," OK1 "]}");
    ask(RQ_LOCK_BATCH_MQ, "", LOCK("c2", Q0 "," Q1));
    CHECK_STR(f.reply.body, "{\"lockOKMQSet\":[]}");
    ask(RQ_LOCK_BATCH_MQ, "", LOCK("c1", Q0));
    CHECK_STR(f.reply.body, "{\"lockOKMQSet\":[" OK0 "]}");
    ask(RQ_UNLOCK_BATCH_MQ, "", LOCK("c2", Q0));
    check_code(0, NULL);
    ask(RQ_LOCK_BATCH_MQ, "", LOCK("c2", Q0));
    CHECK_STR(f.reply.body, "{\"lockOKMQSet\":[]}");
    ask(RQ_UNLOCK_BATCH_MQ, "", LOCK("c1", Q0));
    check_code(0, NULL);
    ask(RQ_LOCK_BATCH_MQ, "", LOCK("c2", Q0 "," Q1));
    CHECK_STR(f.reply.body, "{\"lockOKMQSet\":[" OK0 "]}");
    ask(RQ_LOCK_BATCH_MQ, "", "nonsense");
    CHECK_INT(f.reply.code, 1);
    ask(RQ_LOCK_BATCH_MQ, "", LOCK("c2", Q0 "," Q0)); /* a set */
    CHECK_STR(f.reply.body, "{\"lockOKMQSet\":[" OK0 "]}");
    ask(RQ_LOCK_BATCH_MQ, "", "{}");
    CHECK_STR(f.reply.body, "{\"lockOKMQSet\":[]}");
    ask(RQ_UNLOCK_BATCH_MQ, "", "{}");
    CHECK_INT(f.reply.code, 1);
    stop();
}

/* ---- offsets -------------------------------------------------------------------------------- */

TEST(bounds_and_times_of_a_queue)
{
    char ext[128];

    start();
    create("o_t", 2);
    ask(RQ_GET_MAX_OFFSET, "topic=o_none queueId=0", NULL);
    check_code(0, NULL);
    check_ext("offset", "0");
    ask(RQ_GET_MIN_OFFSET, "topic=o_t queueId=0", NULL);
    check_code(0, "");
    check_ext("offset", "0");
    ask(RQ_GET_EARLIEST_MSG_STORETIME, "topic=o_t queueId=0", NULL);
    check_ext("timestamp", "-1");
    int64_t before = clock_now_ms();
    put("o_t", 0, 3);
    ask(RQ_GET_MAX_OFFSET, "topic=o_t queueId=0", NULL);
    check_ext("offset", "3");
    ask(RQ_GET_EARLIEST_MSG_STORETIME, "topic=o_t queueId=0", NULL);
    int64_t time;
    CHECK(tl_str_i64(command_ext(&f.reply, "timestamp"), &time));
    CHECK(time >= before && time <= clock_now_ms());
    ask(RQ_SEARCH_OFFSET_BY_TIMESTAMP, "topic=o_t queueId=0 timestamp=0", NULL);
    check_ext("offset", "0");
    snprintf(ext, sizeof(ext), "topic=o_t queueId=0 timestamp=%lld",
             (long long)clock_now_ms() + 100000);
    ask(RQ_SEARCH_OFFSET_BY_TIMESTAMP, ext, NULL);
    check_ext("offset", "3");
    strcat(ext, " boundaryType=UPPER"); /* the last message there is */
    ask(RQ_SEARCH_OFFSET_BY_TIMESTAMP, ext, NULL);
    check_ext("offset", "2");
    ask(RQ_GET_MAX_OFFSET, "topic=o_t", NULL);
    check_code(1, "the custom field <queueId> is null");
    stop();
}

TEST(offsets_of_a_group_are_kept_as_committed)
{
    start();
    create("o_t", 2);
    put("o_t", 0, 3);
    ask(RQ_UPDATE_CONSUMER_OFFSET, "consumerGroup=OG_none topic=o_t queueId=0 commitOffset=2",
        NULL);
    check_code(26, "Group OG_none not exist!");
    ask(RQ_HEART_BEAT, "", HEARTBEAT("cid-o", "OG", "o_t"));
    ask(RQ_QUERY_CONSUMER_OFFSET, "consumerGroup=OG topic=o_t queueId=0", NULL);
    check_code(0, NULL); /* a young queue */
    check_ext("offset", "0");
    ask(RQ_QUERY_CONSUMER_OFFSET,
        "consumerGroup=OG topic=o_t queueId=0 setZeroIfNotFound=false", NULL);
    check_code(22, "Not found, do not set to zero, maybe this group boot first");
    ask(RQ_QUERY_CONSUMER_OFFSET, "consumerGroup=OG topic=o_t queueId=1", NULL);
    check_code(22, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first");
    ask(RQ_UPDATE_CONSUMER_OFFSET, "consumerGroup=OG topic=o_t queueId=0 commitOffset=2", NULL);
    check_code(0, NULL);
    ask(RQ_UPDATE_CONSUMER_OFFSET, "consumerGroup=OG topic=o_t queueId=0 commitOffset=1", NULL);
    ask(RQ_QUERY_CONSUMER_OFFSET, "consumerGroup=OG topic=o_t queueId=0", NULL);
    check_ext("offset", "1");
    ask(RQ_UPDATE_CONSUMER_OFFSET, "consumerGroup=OG topic=o_none queueId=0 commitOffset=1",
        NULL);
    check_code(17, "Topic o_none not exist!");
    ask(RQ_UPDATE_CONSUMER_OFFSET, "consumerGroup=OG topic=o_t queueId=0", NULL);
    check_code(29, "Offset is null, topic is o_t");
    ask(RQ_UPDATE_CONSUMER_OFFSET, "consumerGroup=OG topic=o_t commitOffset=1", NULL);
    check_code(29, "QueueId is null, topic is o_t");
    ask(RQ_UPDATE_CONSUMER_OFFSET, "topic=o_t queueId=0 commitOffset=1", NULL);
    check_code(26, "Group null not exist!");
    stop();
}

TEST(progress_of_a_group_shows_both_ends)
{
    start();
    create("o_t", 1);
    put("o_t", 0, 3);
    ask(RQ_HEART_BEAT, "", HEARTBEAT("cid-o", "OG", "o_t"));
    ask(RQ_UPDATE_CONSUMER_OFFSET, "consumerGroup=OG topic=o_t queueId=0 commitOffset=2", NULL);
    offsets_commit(f.b.offsets, TL_STR("OG"), TL_STR("SELF_TEST_TOPIC"), 0,
                   1); /* no longer subscribed: not shown */
    ask(RQ_GET_CONSUME_STATS, "consumerGroup=OG", NULL);
    check_code(0, NULL);
    CHECK_HAS(
        f.reply.body,
        "{\"consumeTps\":0.0,\"offsetTable\":{{\"brokerName\":\"broker-a\",\"queueId\":0,\"topic\":\"o_t\"}:{"
        "\"brokerOffset\":3,\"consumerOffset\":2,\"lastTimestamp\":");
    CHECK_HAS(f.reply.body, ",\"pullOffset\":2}}}");
    ask(RQ_GET_CONSUME_STATS, "consumerGroup=OG topicList=SELF_TEST_TOPIC;o_t", NULL);
    CHECK_HAS(f.reply.body, "SELF_TEST_TOPIC");
    ask(RQ_QUERY_TOPIC_CONSUME_BY_WHO, "topic=o_t", NULL);
    CHECK_STR(f.reply.body, "{\"groupList\":[\"OG\"]}");
    ask(RQ_QUERY_TOPICS_BY_CONSUMER, "group=OG", NULL);
    CHECK_HAS(f.reply.body, "{\"brokerAddr\":\"127.0.0.1:10911\",\"topicList\":[");
    ask(RQ_GET_ALL_CONSUMER_OFFSET, "", NULL);
    CHECK_HAS(f.reply.body, "\"groupTopicMap\":{\"OG\":[");
    CHECK_HAS(f.reply.body, "\"o_t@OG\":{0:2}");
    stop();
}

TEST(without_any_offset_there_is_no_table_of_them)
{
    start();
    ask(RQ_GET_ALL_CONSUMER_OFFSET, "", NULL);
    check_code(1, "No consumer offset in this broker");
    stop();
}

TEST(a_message_is_found_by_its_position)
{
    start();
    create("o_t", 1);
    put("o_t", 0, 1);
    ask(RQ_VIEW_MESSAGE_BY_ID, "offset=0", NULL);
    check_code(0, NULL);
    struct record r;
    CHECK_INT(record_decode(f.reply.body.data, f.reply.body.len, RECORD_CHECK_CRC, &r),
              RECORD_MESSAGE);
    CHECK_STR(r.body, "hello");
    CHECK_STR(r.topic, "o_t");
    ask(RQ_VIEW_MESSAGE_BY_ID, "offset=1000000000000", NULL);
    check_code(1, "can not find message by the offset, 1000000000000");
    stop();
}

/* ---- the broker ----------------------------------------------------------------------------- */

TEST(run_time_figures_have_every_key_tools_read)
{
    static const char *const keys[] = {"brokerActive",
                                       "brokerVersionDesc",
                                       "brokerVersion",
                                       "bootTimestamp",
                                       "runtime",
                                       "msgPutTotalYesterdayMorning",
                                       "msgPutTotalTodayMorning",
                                       "msgPutTotalTodayNow",
                                       "msgGetTotalYesterdayMorning",
                                       "msgGetTotalTodayMorning",
                                       "msgGetTotalTodayNow",
                                       "putTps",
                                       "getFoundTps",
                                       "getMissTps",
                                       "getTotalTps",
                                       "getTransferredTps",
                                       "putLatency99",
                                       "putLatency999",
                                       "putMessageTimesTotal",
                                       "putMessageFailedTimes",
                                       "putMessageSizeTotal",
                                       "putMessageAverageSize",
                                       "putMessageEntireTimeMax",
                                       "getMessageEntireTimeMax",
                                       "putMessageDistributeTime",
                                       "dispatchMaxBuffer",
                                       "dispatchBehindBytes",
                                       "pageCacheLockTimeMills",
                                       "earliestMessageTimeStamp",
                                       "startAcceptSendRequestTimeStamp",
                                       "commitLogDiskRatio",
                                       "consumeQueueDiskRatio",
                                       "commitLogMinOffset",
                                       "commitLogMaxOffset",
                                       "commitLogDirCapacity",
                                       "remainTransientStoreBufferNumbs",
                                       "remainHowManyDataToFlush",
                                       "sendThreadPoolQueueSize",
                                       "sendThreadPoolQueueCapacity",
                                       "sendThreadPoolQueueHeadWaitTimeMills",
                                       "pullThreadPoolQueueSize",
                                       "pullThreadPoolQueueCapacity",
                                       "pullThreadPoolQueueHeadWaitTimeMills",
                                       "queryThreadPoolQueueSize",
                                       "queryThreadPoolQueueCapacity",
                                       "queryThreadPoolQueueHeadWaitTimeMills",
                                       "litePullThreadPoolQueueSize",
                                       "ackThreadPoolQueueSize",
                                       "EndTransactionQueueSize",
                                       "EndTransactionThreadPoolQueueCapacity",
                                       "timerReadBehind",
                                       "timerOffsetBehind",
                                       "timerCongestNum",
                                       "timerEnqueueTps",
                                       "timerDequeueTps"};

    start();
    create("o_t", 1);
    put("o_t", 0, 2);
    ask(RQ_GET_BROKER_RUNTIME_INFO, "", NULL);
    check_code(0, NULL);
    json_t *body = json_parse(f.reply.body);
    const json_t *table = json_get_object(body, "table");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!json_is_string(json_object_get(table, keys[i])))
            t_check_failed(__FILE__, __LINE__, keys[i]);
    }
    CHECK_STR(json_get_str(table, "brokerVersionDesc"), "V5_3_3");
    CHECK_STR(json_get_str(table, "putMessageTimesTotal"), "2");
    CHECK_HAS(json_get_str(table, "commitLogDirCapacity"), "Total : ");
    CHECK_HAS(json_get_str(table, "putMessageDistributeTime"), "[<=0ms]:");
    json_decref(body);
    stop();
}

TEST(the_configuration_is_told_with_a_version)
{
    start();
    ask(RQ_GET_BROKER_CONFIG, "", NULL);
    check_code(0, NULL);
    CHECK_HAS(f.reply.body, "brokerName=broker-a\n");
    CHECK_HAS(f.reply.body, "\nmaxMessageSize=4194304\n");
    CHECK_HAS(command_ext(&f.reply, "version"), "\"counter\":0");
    stop();
}
