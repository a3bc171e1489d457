#include "namesrv/namesrv.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "client/client.h"
#include "proto/bodies.h"
#include "proto/code.h"
#include "proto/hdr_cluster.h"
#include "proto/hdr_topic.h"
#include "t.h"

enum { WAIT_MS = 15000, VERSION_GO = 317, VERSION_V4_9_4 = 401 };

static struct fixture {
    struct namesrv_conf conf;
    struct namesrv *ns;
    struct client *broker, *user; /* each has a connection of its own */
    char addr[32];
} f;

static void set(const char *key, const char *value)
{
    CHECK_OK(conf_set(&namesrv_conf_table, &f.conf, tl_str_of(key), tl_str_of(value)));
}

static void prepare(const char *kv_file)
{
    log_set_level(LOG_WARN);
    memset(&f, 0, sizeof(f));
    conf_defaults(&namesrv_conf_table, &f.conf);
    set("listenPort", "0");
    set("bindAddress", "127.0.0.1");
    set("kvConfigPath", t_path(t_tmpdir(), kv_file));
}

static void serve(void)
{
    CHECK_OK(namesrv_start(&f.ns, &f.conf));
    snprintf(f.addr, sizeof(f.addr), "127.0.0.1:%d", namesrv_port(f.ns));
    CHECK_OK(client_open(&f.broker, f.addr, "broker"));
    CHECK_OK(client_open(&f.user, f.addr, "user"));
}

static void begin(const char *kv_file)
{
    prepare(kv_file);
    serve();
}

static void stop(void)
{
    if (f.broker)
        client_close(f.broker);
    client_close(f.user);
    namesrv_stop(f.ns);
    f.broker = f.user = NULL;
}

static void end(void)
{
    stop();
    conf_release(&namesrv_conf_table, &f.conf);
}

/* The answer of one request: code, remark or body. */
static struct {
    int code;
    char text[4096];
} got;

static void ask(struct client *c, const struct channel_call *call)
{
    struct client_reply r;
    int rc = client_call_namesrv(c, call, NULL, &r);

    got.code = r.cmd.code;
    if (rc && got.code < 0) /* no answer at all */
        CHECK_OK(rc);
    struct tl_str text = rc ? r.cmd.remark : r.cmd.body;
    snprintf(got.text, sizeof(got.text), "%.*s", TL_STR_ARG(text));
    client_reply_release(&r);
}

static void ask_route(const char *topic, int version)
{
    struct topic_request ext = {.topic = tl_str_of(topic)};
    ask(f.user, &(struct channel_call){.code = RQ_GET_ROUTEINFO_BY_TOPIC,
                                       .version = version,
                                       .header = &topic_request_header,
                                       .ext = &ext});
}

static void ask_kv(int code, const char *ns, const char *key, const char *value)
{
    struct kv_request ext = {
        .namespace_ = tl_str_of(ns), .key = tl_str_of(key), .value = tl_str_of(value)};
    ask(f.user,
        &(struct channel_call){.code = code, .header = &kv_request_header, .ext = &ext});
}

static void ask_plain(int code, const char *body)
{
    ask(f.user, &(struct channel_call){.code = code, .body = tl_str_of(body)});
}

/* Register broker-a with topics T and U; @crc_off is added to the right check sum. */
static void enroll(int64_t timeout_ms, int32_t crc_off)
{
    struct topic_config topics[2];
    struct registration r = {.version = {1, 0, 1}, .topics = topics, .ntopics = 2};
    struct strbuf body;

    topic_config_init(&topics[0], TL_STR("T"), 4, 6);
    topic_config_init(&topics[1], TL_STR("U"), 2, 6);
    strbuf_init(&body);
    registration_write(&r, &body);
    struct register_broker_request ext = {
        .broker_name = TL_STR("broker-a"),
        .broker_addr = TL_STR("10.0.0.1:10911"),
        .cluster_name = TL_STR("C"),
        .ha_server_addr = TL_STR("10.0.0.1:10912"),
        .heartbeat_timeout_ms = timeout_ms,
        .body_crc32 = (int32_t)hash_crc31(body.data, body.len) + crc_off,
        .present = UINT64_MAX,
    };
    ask(f.broker, &(struct channel_call){.code = RQ_REGISTER_BROKER,
                                         .header = &register_broker_request_header,
                                         .ext = &ext,
                                         .body = strbuf_str(&body)});
    strbuf_release(&body);
    topic_config_release(&topics[0]);
    topic_config_release(&topics[1]);
}

static void wait_until_gone(const char *topic)
{
    int64_t deadline = clock_mono_ms() + WAIT_MS;

    do
        ask_route(topic, 0);
    while (got.code == RS_SUCCESS && clock_mono_ms() < deadline);
    CHECK_INT(got.code, RS_TOPIC_NOT_EXIST);
}

TEST(a_registered_brokers_topic_has_a_route)
{
    begin("route.json");
    ask_route("T", 0);
    CHECK_INT(got.code, RS_TOPIC_NOT_EXIST);
    CHECK_STR(got.text,
              "No topic route info in name server for the topic: T\nSee "
              "https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.");
    enroll(0, 0);
    CHECK_INT(got.code, RS_SUCCESS);
    CHECK_STR(got.text, "");
    ask_route("T", 0);
    CHECK_INT(got.code, RS_SUCCESS);
    CHECK_STR(
        got.text,
        "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"10.0.0.1:10911\"},"
        "\"brokerName\":\"broker-a\",\"cluster\":\"C\",\"enableActingMaster\":false}],"
        "\"filterServerTable\":{},\"queueDatas\":[{\"brokerName\":\"broker-a\",\"perm\":6,"
        "\"readQueueNums\":4,\"topicSysFlag\":0,\"writeQueueNums\":4}]}");
    end();
}

TEST(clients_older_than_4_9_4_get_bare_integer_keys)
{
    begin("dialect.json");
    enroll(0, 0);
    ask_route("T", VERSION_GO);
    CHECK_HAS(got.text, "{0:\"10.0.0.1:10911\"}");
    ask_route("T", VERSION_V4_9_4 - 1);
    CHECK_HAS(got.text, "{0:\"10.0.0.1:10911\"}");
    ask_route("T", VERSION_V4_9_4);
    CHECK_HAS(got.text, "{\"0\":\"10.0.0.1:10911\"}");
    struct topic_request ext = {.topic = TL_STR("T"), .accept_standard_json_only = true};
    ask(f.user, &(struct channel_call){.code = RQ_GET_ROUTEINFO_BY_TOPIC,
                                       .version = VERSION_GO,
                                       .header = &topic_request_header,
                                       .ext = &ext});
    CHECK_HAS(got.text, "{\"0\":\"10.0.0.1:10911\"}");
    end();
}

TEST(a_body_with_a_wrong_check_sum_is_refused)
{
    begin("crc.json");
    enroll(0, 1);
    CHECK_INT(got.code, RS_SYSTEM_ERROR);
    CHECK_STR(got.text, "crc32 not match");
    ask_route("T", 0);
    CHECK_INT(got.code, RS_TOPIC_NOT_EXIST);
    end();
}

TEST(unregistering_removes_the_route)
{
    begin("leave.json");
    enroll(0, 0);
    struct broker_request ext = {.broker_name = TL_STR("broker-a"),
                                 .broker_addr = TL_STR("10.0.0.1:10911"),
                                 .cluster_name = TL_STR("C")};
    ask(f.broker, &(struct channel_call){.code = RQ_UNREGISTER_BROKER,
                                         .header = &broker_request_header,
                                         .ext = &ext});
    CHECK_INT(got.code, RS_SUCCESS);
    ask_route("T", 0);
    CHECK_INT(got.code, RS_TOPIC_NOT_EXIST);
    end();
}

TEST(a_closed_connection_removes_its_broker)
{
    begin("closed.json");
    enroll(0, 0);
    ask_route("T", 0);
    CHECK_INT(got.code, RS_SUCCESS);
    client_close(f.broker);
    f.broker = NULL;
    wait_until_gone("T");
    end();
}

TEST(a_broker_silent_for_its_own_timeout_is_removed)
{
    prepare("silent.json");
    set("scanNotActiveBrokerInterval", "10");
    serve();
    enroll(1, 0);
    CHECK_INT(got.code, RS_SUCCESS);
    wait_until_gone("U");
    end();
}

TEST(the_data_version_tells_whether_to_register_again)
{
    struct broker_request ext = {.broker_name = TL_STR("broker-a"),
                                 .broker_addr = TL_STR("10.0.0.1:10911"),
                                 .cluster_name = TL_STR("C")};
    static const struct {
        const char *body, *changed;
    } cases[] = {
        {"{\"counter\":1,\"stateVersion\":0,\"timestamp\":1}", "false"},
        {"{\"counter\":2,\"stateVersion\":0,\"timestamp\":1}", "true"},
    };

    begin("version.json");
    enroll(0, 0);
    for (int i = 0; i < 2; i++) {
        struct client_reply r;
        CHECK_OK(client_call_namesrv(f.broker,
                                     &(struct channel_call){.code = RQ_QUERY_DATA_VERSION,
                                                            .header = &broker_request_header,
                                                            .ext = &ext,
                                                            .body = tl_str_of(cases[i].body)},
                                     NULL, &r));
        CHECK_STR(command_ext(&r.cmd, "changed"), cases[i].changed);
        CHECK_STR(r.cmd.body, "{\"counter\":1,\"stateVersion\":0,\"timestamp\":1}");
        client_reply_release(&r);
    }
    end();
}

TEST(kv_configuration_outlives_a_restart)
{
    begin("restart.json");
    ask_kv(RQ_PUT_KV_CONFIG, "ns", "k", "v");
    CHECK_INT(got.code, RS_SUCCESS);
    stop();
    serve();
    struct kv_request ext = {.namespace_ = TL_STR("ns"), .key = TL_STR("k")};
    struct client_reply r;
    CHECK_OK(client_call_namesrv(f.user,
                                 &(struct channel_call){.code = RQ_GET_KV_CONFIG,
                                                        .header = &kv_request_header,
                                                        .ext = &ext},
                                 NULL, &r));
    CHECK_STR(command_ext(&r.cmd, "value"), "v");
    client_reply_release(&r);
    ask_kv(RQ_GET_KVLIST_BY_NAMESPACE, "ns", NULL, NULL);
    CHECK_STR(got.text, "{\"table\":{\"k\":\"v\"}}");
    ask_kv(RQ_DELETE_KV_CONFIG, "ns", "k", NULL);
    CHECK_INT(got.code, RS_SUCCESS);
    ask_kv(RQ_GET_KV_CONFIG, "ns", "k", NULL);
    CHECK_INT(got.code, RS_QUERY_NOT_FOUND);
    CHECK_STR(got.text, "No config item, Namespace: ns Key: k");
    ask_kv(RQ_GET_KVLIST_BY_NAMESPACE, "nowhere", NULL, NULL);
    CHECK_INT(got.code, RS_QUERY_NOT_FOUND);
    CHECK_STR(got.text, "No config item, Namespace: nowhere");
    ask_kv(RQ_PUT_KV_CONFIG, "ns", "k", "v");
    ask_kv(RQ_PUT_KV_CONFIG, "ns", "k", NULL); /* no value is no key */
    CHECK_INT(got.code, RS_SUCCESS);
    ask_kv(RQ_GET_KVLIST_BY_NAMESPACE, "ns", NULL, NULL);
    CHECK_STR(got.text, "{\"table\":{}}");
    end();
}

TEST(order_configuration_is_in_the_route_once_it_is_switched_on)
{
    begin("order.json");
    enroll(0, 0);
    ask_kv(RQ_PUT_KV_CONFIG, "ORDER_TOPIC_CONFIG", "T", "broker-a:4");
    ask_route("T", 0);
    CHECK(!strstr(got.text, "orderTopicConf"));
    ask_plain(RQ_UPDATE_NAMESRV_CONFIG, "orderMessageEnable=true");
    CHECK_INT(got.code, RS_SUCCESS);
    ask_route("T", 0);
    CHECK_HAS(got.text, "\"orderTopicConf\":\"broker-a:4\"");
    enroll(0, 0);
    CHECK_STR(got.text, "{\"table\":{\"T\":\"broker-a:4\"}}");
    end();
}

TEST(settings_are_shown_and_a_refused_update_changes_none)
{
    begin("settings.json");
    ask_plain(RQ_UPDATE_NAMESRV_CONFIG, "enableAllTopicList=false\nkvConfigPath=/x");
    CHECK_INT(got.code, RS_NO_PERMISSION);
    CHECK_STR(got.text, "Can not update config in black list.");
    ask_plain(RQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, NULL);
    CHECK_INT(got.code, RS_SUCCESS);
    ask_plain(RQ_UPDATE_NAMESRV_CONFIG, "enableAllTopicList=false");
    CHECK_INT(got.code, RS_SUCCESS);
    ask_plain(RQ_GET_NAMESRV_CONFIG, NULL);
    CHECK_HAS(got.text, "enableAllTopicList=false\n");
    ask_plain(RQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, NULL);
    CHECK_INT(got.code, RS_SYSTEM_ERROR);
    CHECK_STR(got.text, "disable");
    end();
}

TEST(lists_clusters_and_permissions_are_answered)
{
    begin("lists.json");
    enroll(0, 0);
    ask_plain(RQ_GET_BROKER_CLUSTER_INFO, NULL);
    CHECK_HAS(got.text, "\"clusterAddrTable\":{\"C\":[\"broker-a\"]}");
    ask_plain(RQ_GET_SYSTEM_TOPIC_LIST_FROM_NS, NULL);
    CHECK_STR(got.text,
              "{\"brokerAddr\":\"10.0.0.1:10911\",\"topicList\":[\"C\",\"broker-a\"]}");
    ask_plain(RQ_GET_UNIT_TOPIC_LIST, NULL);
    CHECK_STR(got.text, "{\"topicList\":[]}");
    struct cluster_request cluster = {TL_STR("C")};
    ask(f.user, &(struct channel_call){.code = RQ_GET_TOPICS_BY_CLUSTER,
                                       .header = &cluster_request_header,
                                       .ext = &cluster});
    CHECK_HAS(got.text, "\"T\"");
    struct broker_name_request name = {.broker_name = TL_STR("broker-a")};
    ask(f.user, &(struct channel_call){.code = RQ_WIPE_WRITE_PERM_OF_BROKER,
                                       .header = &broker_name_request_header,
                                       .ext = &name});
    CHECK_INT(got.code, RS_SUCCESS);
    ask_route("T", 0);
    CHECK_HAS(got.text, "\"perm\":4");
    struct topic_request topic = {.topic = TL_STR("T")};
    ask(f.user, &(struct channel_call){.code = RQ_DELETE_TOPIC_IN_NAMESRV,
                                       .header = &topic_request_header,
                                       .ext = &topic});
    ask_route("T", 0);
    CHECK_INT(got.code, RS_TOPIC_NOT_EXIST);
    end();
}

TEST(an_unknown_code_is_told_so)
{
    begin("unknown.json");
    ask_plain(9999, NULL);
    CHECK_INT(got.code, RS_REQUEST_CODE_NOT_SUPPORTED);
    CHECK_STR(got.text, " request type 9999 not supported");
    end();
}

TEST(a_port_in_use_is_an_error_that_names_it)
{
    struct namesrv *second = NULL;
    char port[16];

    begin("port.json");
    snprintf(port, sizeof(port), "%d", namesrv_port(f.ns));
    set("listenPort", port);
    CHECK_INT(namesrv_start(&second, &f.conf), TL_EIO);
    CHECK_HAS(t_error(), port);
    CHECK(second == NULL);
    end();
}
