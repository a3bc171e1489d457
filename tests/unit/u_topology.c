#include "namesrv/topology.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "proto/flags.h"
#include "t.h"

enum { CONN_A = 101, CONN_B = 102 };

static struct topology *t;
static char *master, *ha;

static void begin(void)
{
    clock_fake(1000000);
    t = topology_new();
}

static void end(void)
{
    topology_free(t);
    free(master);
    free(ha);
    master = ha = NULL;
    clock_real();
}

struct who {
    const char *cluster, *name, *addr;
    int64_t id, counter, state, timeout_ms;
    uint64_t conn;
    bool acting, drop;
};

/* Register @w with @topics, a list "T:4,U:2" of names and queues. */
static int enroll(struct who w, const char *topics)
{
    struct topic_config configs[8];
    struct registration r = {.version = {w.counter, w.state, 1}, .topics = configs};
    struct tl_str list = tl_str_of(topics);

    while (list.data && list.len) {
        struct tl_str queues = tl_str_cut(&list, ','), name = tl_str_cut(&queues, ':');
        int32_t n = 0;
        CHECK(tl_str_i32(queues, &n));
        topic_config_init(&configs[r.ntopics++], name, n, PERM_READ | PERM_WRITE);
    }
    struct topology_broker b = {
        .cluster = tl_str_of(w.cluster ? w.cluster : "C"),
        .name = tl_str_of(w.name ? w.name : "broker-a"),
        .addr = tl_str_of(w.addr ? w.addr : "10.0.0.1:10911"),
        .ha_addr = TL_STR("10.0.0.1:10912"),
        .id = w.id,
        .heartbeat_timeout_ms = w.timeout_ms,
        .enable_acting_master = w.acting,
    };
    free(master);
    free(ha);
    int rc = topology_register(t, &b, &r, w.drop, w.conn ? w.conn : CONN_A, &master, &ha);
    for (size_t i = 0; i < r.ntopics; i++)
        topic_config_release(&configs[i]);
    return rc;
}

/* "broker-a:4:6@10.0.0.1:10911" of each broker of the route; "" when there is none. */
static const char *route(const char *topic)
{
    static char text[512];
    struct topic_route r;
    size_t at = 0;

    text[0] = '\0';
    if (!topology_route(t, tl_str_of(topic), &r))
        return text;
    CHECK_INT(r.nbrokers, r.nqueues);
    for (size_t i = 0; i < r.nqueues; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s:%d:%d", i ? " " : "",
                               r.queues[i].broker_name, r.queues[i].write_queue_nums,
                               r.queues[i].perm);
        CHECK_STR(r.brokers[i].name, r.queues[i].broker_name);
        for (size_t j = 0; j < r.brokers[i].naddrs; j++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "@%s",
                                   r.brokers[i].addrs[j].addr);
    }
    topic_route_release(&r);
    return text;
}

static void topics_are(json_t *list, const char *want)
{
    struct strbuf text;

    strbuf_init(&text);
    json_write(list, &text);
    CHECK_STR(strbuf_str(&text), want);
    strbuf_release(&text);
    json_decref(list);
}

TEST(a_topic_is_where_its_broker_says)
{
    begin();
    CHECK_STR(route("T"), "");
    CHECK_OK(enroll((struct who){0}, "T:4,U:2"));
    CHECK(master == NULL && ha == NULL);
    CHECK_STR(route("T"), "broker-a:4:6@10.0.0.1:10911");
    CHECK_STR(route("U"), "broker-a:2:6@10.0.0.1:10911");
    CHECK_STR(route("V"), "");
    end();
}

TEST(two_brokers_share_a_topic)
{
    begin();
    CHECK_OK(enroll((struct who){0}, "T:4,U:2"));
    CHECK_OK(enroll((struct who){.name = "broker-b", .addr = "10.0.0.2:10911", .conn = CONN_B},
                    "T:8,V:1"));
    CHECK_STR(route("T"), "broker-a:4:6@10.0.0.1:10911 broker-b:8:6@10.0.0.2:10911");
    topology_disconnect(t, CONN_B);
    CHECK_STR(route("T"), "broker-a:4:6@10.0.0.1:10911");
    CHECK_STR(route("V"), "");
    end();
}

TEST(a_first_registration_with_one_topic_only_is_refused)
{
    begin();
    CHECK(enroll((struct who){0}, "T:4") != 0);
    CHECK_STR(t_error(), "register broker failed");
    CHECK_STR(route("T"), "");
    CHECK_OK(enroll((struct who){0}, ""));
    CHECK_OK(enroll((struct who){.counter = 1}, "T:4")); /* incremental */
    CHECK_STR(route("T"), "broker-a:4:6@10.0.0.1:10911");
    end();
}

TEST(the_same_version_changes_nothing_but_brings_unknown_topics)
{
    begin();
    CHECK_OK(enroll((struct who){.counter = 5}, "T:4,U:2"));
    CHECK_OK(enroll((struct who){.counter = 5}, "T:8,V:3"));
    CHECK_STR(route("T"), "broker-a:4:6@10.0.0.1:10911");
    CHECK_STR(route("V"), "broker-a:3:6@10.0.0.1:10911");
    CHECK_OK(enroll((struct who){.counter = 6}, "T:8,V:3"));
    CHECK_STR(route("T"), "broker-a:8:6@10.0.0.1:10911");
    CHECK_STR(route("U"), "broker-a:2:6@10.0.0.1:10911");
    end();
}

TEST(topics_missing_from_a_full_registration_go_only_when_asked_for)
{
    begin();
    CHECK_OK(enroll((struct who){.counter = 1}, "T:4,U:2,V:1"));
    CHECK_OK(enroll((struct who){.counter = 2, .drop = true}, "T:4")); /* one: incremental */
    CHECK_STR(route("U"), "broker-a:2:6@10.0.0.1:10911");
    CHECK_OK(enroll((struct who){.counter = 3, .drop = true}, "T:4,V:1"));
    CHECK_STR(route("U"), "");
    CHECK_STR(route("V"), "broker-a:1:6@10.0.0.1:10911");
    end();
}

TEST(a_silent_broker_is_removed_after_two_minutes)
{
    begin();
    CHECK_OK(enroll((struct who){0}, "T:4,U:2"));
    clock_advance_ms(TOPOLOGY_EXPIRY_MS);
    CHECK_INT(topology_expire(t, clock_now_ms()), 0);
    clock_advance_ms(1);
    CHECK_INT(topology_expire(t, clock_now_ms()), 1);
    CHECK_STR(route("T"), "");
    topics_are(topology_topics(t), "[]");
    end();
}

TEST(a_broker_may_ask_for_another_time_and_heartbeats_keep_it)
{
    begin();
    CHECK_OK(enroll((struct who){.timeout_ms = 3000}, "T:4,U:2"));
    for (int i = 0; i < 5; i++) {
        clock_advance_ms(2500);
        CHECK(topology_touch(t, TL_STR("C"), TL_STR("10.0.0.1:10911")));
        CHECK_INT(topology_expire(t, clock_now_ms()), 0);
    }
    CHECK(!topology_touch(t, TL_STR("C"), TL_STR("10.0.0.9:10911")));
    CHECK(!topology_touch(t, TL_STR("other"), TL_STR("10.0.0.1:10911")));
    clock_advance_ms(3001);
    CHECK_INT(topology_expire(t, clock_now_ms()), 1);
    end();
}

TEST(unregistering_takes_the_address_away_whatever_id_is_told)
{
    begin();
    CHECK_OK(enroll((struct who){0}, "T:4,U:2"));
    CHECK_OK(enroll((struct who){.id = 1, .addr = "10.0.0.2:10911"}, "T:4,U:2"));
    topology_unregister(t, TL_STR("C"), TL_STR("broker-a"), TL_STR("10.0.0.7:10911"));
    topology_unregister(t, TL_STR("other"), TL_STR("broker-a"), TL_STR("10.0.0.1:10911"));
    CHECK_STR(route("T"), "broker-a:4:6@10.0.0.1:10911@10.0.0.2:10911");
    topology_unregister(t, TL_STR("C"), TL_STR("broker-a"), TL_STR("10.0.0.1:10911"));
    CHECK_STR(route("T"), "broker-a:4:6@10.0.0.2:10911");
    topology_unregister(t, TL_STR("C"), TL_STR("broker-a"), TL_STR("10.0.0.2:10911"));
    CHECK_STR(route("T"), "");
    end();
}

TEST(a_replica_is_told_its_master_and_brings_no_topics)
{
    begin();
    CHECK_OK(enroll((struct who){.id = 1, .addr = "10.0.0.2:10911"}, "T:4,U:2"));
    CHECK(master == NULL);
    CHECK_STR(route("T"), "");
    CHECK_OK(enroll((struct who){0}, "T:4,U:2"));
    CHECK(master == NULL);
    CHECK_OK(enroll((struct who){.id = 1, .addr = "10.0.0.2:10911"}, "X:4,Y:2"));
    CHECK_STR(master, "10.0.0.1:10911");
    CHECK_STR(ha, "10.0.0.1:10912");
    CHECK_STR(route("X"), "");
    CHECK_STR(route("T"), "broker-a:4:6@10.0.0.1:10911@10.0.0.2:10911");
    end();
}

TEST(an_acting_master_brings_topics_nobody_can_write_to)
{
    begin();
    CHECK_OK(enroll((struct who){.id = 1, .acting = true}, "T:4,U:2"));
    CHECK_STR(route("T"), "broker-a:4:4@10.0.0.1:10911");
    end();
}

TEST(an_address_that_comes_with_another_id_leaves_the_old_one)
{
    begin();
    CHECK_OK(enroll((struct who){.id = 1, .addr = "10.0.0.2:10911"}, "T:4,U:2"));
    CHECK_OK(enroll((struct who){.id = 0, .addr = "10.0.0.2:10911", .counter = 1}, "T:4,U:2"));
    CHECK_STR(route("T"), "broker-a:4:6@10.0.0.2:10911");
    end();
}

TEST(an_older_state_version_does_not_take_an_id_over)
{
    begin();
    CHECK_OK(enroll((struct who){.state = 5}, "T:4,U:2"));
    CHECK_OK(enroll((struct who){.state = 4, .addr = "10.0.0.2:10911"}, "T:8,U:2"));
    CHECK_STR(route("T"), "broker-a:4:6@10.0.0.1:10911");
    CHECK_OK(enroll((struct who){.state = 6, .addr = "10.0.0.2:10911"}, "T:8,U:2"));
    CHECK_STR(route("T"), "broker-a:8:6@10.0.0.2:10911");
    end();
}

TEST(write_permission_is_taken_and_given_for_all_topics_of_a_broker)
{
    begin();
    CHECK_OK(enroll((struct who){0}, "T:4,U:2"));
    CHECK_INT(topology_write_perm(t, TL_STR("broker-a"), true), 2);
    CHECK_STR(route("T"), "broker-a:4:4@10.0.0.1:10911");
    CHECK_INT(topology_write_perm(t, TL_STR("broker-a"), false), 2);
    CHECK_STR(route("T"), "broker-a:4:6@10.0.0.1:10911");
    CHECK_INT(topology_write_perm(t, TL_STR("nobody"), true), 0);
    end();
}

TEST(a_topic_is_deleted_in_one_cluster_or_everywhere)
{
    begin();
    CHECK_OK(enroll((struct who){0}, "T:4,U:2"));
    CHECK_OK(enroll((struct who){.cluster = "D", .name = "broker-b", .addr = "10.0.0.2:10911"},
                    "T:8,U:1"));
    topology_delete_topic(t, TL_STR("T"), TL_STR("C"));
    CHECK_STR(route("T"), "broker-b:8:6@10.0.0.2:10911");
    topology_delete_topic(t, TL_STR("T"), TL_STR_NONE);
    CHECK_STR(route("T"), "");
    topics_are(topology_topics(t), "[\"U\"]");
    topics_are(topology_topics_of(t, TL_STR("D")), "[\"U\"]");
    topics_are(topology_topics_of(t, TL_STR("E")), "[]");
    end();
}

TEST(the_version_a_broker_registered_last_can_be_asked_for)
{
    struct data_version v;

    begin();
    CHECK(!topology_version(t, TL_STR("C"), TL_STR("10.0.0.1:10911"), &v));
    CHECK_OK(enroll((struct who){.counter = 7, .state = 3}, "T:4,U:2"));
    CHECK(topology_version(t, TL_STR("C"), TL_STR("10.0.0.1:10911"), &v));
    CHECK_INT(v.counter, 7);
    CHECK_INT(v.state_version, 3);
    end();
}

TEST(clusters_are_listed_in_the_form_of_the_java_server)
{
    begin();
    CHECK_OK(enroll((struct who){0}, "T:4,U:2"));
    topics_are(topology_clusters(t),
               "{\"brokerAddrTable\":{\"broker-a\":{\"brokerAddrs\":{\"0\":\"10.0.0.1:10911\"},"
               "\"brokerName\":\"broker-a\",\"cluster\":\"C\",\"enableActingMaster\":false}},"
               "\"clusterAddrTable\":{\"C\":[\"broker-a\"]}}");
    topics_are(topology_members(t, TL_STR("C"), TL_STR("broker-a")),
               "{\"brokerMemberGroup\":{\"brokerAddrs\":{\"0\":\"10.0.0.1:10911\"},"
               "\"brokerName\":\"broker-a\",\"cluster\":\"C\"}}");
    topics_are(topology_members(t, TL_STR("C"), TL_STR("x")),
               "{\"brokerMemberGroup\":{\"brokerAddrs\":{},\"brokerName\":\"x\","
               "\"cluster\":\"C\"}}");
    end();
}
