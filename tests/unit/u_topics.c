#include "broker/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "broker/config.h"
#include "proto/flags.h"
#include "t.h"

enum { RW = PERM_READ | PERM_WRITE };

static struct broker_conf conf;

static void conf_set_key(const char *key, const char *value)
{
    CHECK_OK(conf_set(&broker_conf_table, &conf, tl_str_of(key), tl_str_of(value)));
}

/* Settings as the broker has them after start. */
static void fresh_conf(void)
{
    if (conf.broker_name.data)
        conf_release(&broker_conf_table, &conf);
    conf_defaults(&broker_conf_table, &conf);
    conf_set_key("brokerName", "broker-a");
}

static struct topics *open_in(const char *dir)
{
    struct topics *t;

    CHECK_OK(topics_open(&t, &conf, dir));
    return t;
}

static struct topics *opened(void)
{
    fresh_conf();
    return open_in(t_tmpdir());
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f != NULL);
    CHECK(fputs(text, f) >= 0);
    CHECK(fclose(f) == 0);
}

/* The topic must be there with these numbers. */
static void check_topic(struct topics *t, const char *name, int queues, int perm)
{
    struct topic_config c;

    CHECK(topics_copy(t, tl_str_of(name), &c));
    CHECK_STR(c.name, name);
    CHECK_INT(c.read_queue_nums, queues);
    CHECK_INT(c.write_queue_nums, queues);
    CHECK_INT(c.perm, perm);
    topic_config_release(&c);
}

static bool known(struct topics *t, const char *name)
{
    struct snapshot_cache cache = {0};
    bool found = topics_find(t, &cache, tl_str_of(name)) != NULL;

    snapshot_cache_release(&cache);
    return found;
}

static void update(struct topics *t, const char *name, int queues, bool expect_changed)
{
    struct topic_config c;
    bool changed;

    topic_config_init(&c, tl_str_of(name), queues, RW);
    CHECK_OK(topics_update(t, &c, &changed));
    CHECK_INT(changed, expect_changed);
    topic_config_release(&c);
}

TEST(an_empty_folder_gives_the_built_in_topics)
{
    struct topics *t = opened();

    check_topic(t, "TBW102", 8, RW | PERM_INHERIT);
    check_topic(t, "SELF_TEST_TOPIC", 1, RW);
    check_topic(t, "BenchmarkTest", 1024, RW);
    check_topic(t, "DefaultCluster", 16, RW | PERM_INHERIT);
    check_topic(t, "broker-a", 1, RW | PERM_INHERIT);
    check_topic(t, "OFFSET_MOVED_EVENT", 1, RW);
    check_topic(t, "SCHEDULE_TOPIC_XXXX", 18, RW);
    check_topic(t, "DefaultCluster_REPLY_TOPIC", 1, RW);
    check_topic(t, "rmq_sys_REVIVE_LOG_DefaultCluster", 8, RW);
    check_topic(t, "rmq_sys_SYNC_BROKER_MEMBER_broker-a", 1, PERM_INHERIT);
    check_topic(t, "RMQ_SYS_TRANS_HALF_TOPIC", 1, RW);
    check_topic(t, "RMQ_SYS_TRANS_OP_HALF_TOPIC", 1, RW);
    check_topic(t, "rmq_sys_wheel_timer", 1, RW);
    CHECK(!known(t, "RMQ_SYS_TRACE_TOPIC"));
    topics_close(t);
}

TEST(switches_decide_over_built_in_topics)
{
    fresh_conf();
    conf_set_key("autoCreateTopicEnable", "false");
    conf_set_key("traceTopicEnable", "true");
    conf_set_key("msgTraceTopicName", "my_traces");
    conf_set_key("clusterTopicEnable", "false");
    struct topics *t = open_in(t_tmpdir());

    CHECK(!known(t, "TBW102"));
    check_topic(t, "my_traces", 1, RW);
    check_topic(t, "DefaultCluster", 16, PERM_INHERIT);
    CHECK(topics_is_system(t, TL_STR("my_traces")));
    topics_close(t);
}

TEST(system_topics_are_the_fixed_ones_and_those_of_this_broker)
{
    struct topics *t = opened();

    CHECK(topics_is_system(t, TL_STR("TBW102")));
    CHECK(topics_is_system(t, TL_STR("broker-a")));
    CHECK(topics_is_system(t, TL_STR("DefaultCluster")));
    CHECK(topics_is_system(t, TL_STR("rmq_sys_anything")));
    CHECK(!topics_is_system(t, TL_STR("orders")));
    topics_close(t);
}

TEST(sending_to_an_unknown_topic_creates_it_from_the_default_topic)
{
    struct topics *t = opened();

    CHECK_OK(topics_auto_create(t, TL_STR("small"), TL_STR("TBW102"), 4, 0));
    check_topic(t, "small", 4, RW);
    CHECK_OK(topics_auto_create(t, TL_STR("large"), TL_STR("TBW102"), 100, 0));
    check_topic(t, "large", 8, RW);
    topics_close(t);
}

TEST(a_default_topic_that_is_missing_or_not_inheritable_creates_nothing)
{
    struct topics *t = opened();

    CHECK_INT(topics_auto_create(t, TL_STR("a"), TL_STR("nothing_here"), 4, 0), TL_ENOTOPIC);
    CHECK_INT(topics_auto_create(t, TL_STR("a"), TL_STR("SELF_TEST_TOPIC"), 4, 0), TL_ENOTOPIC);
    CHECK(!known(t, "a"));
    CHECK_OK(topics_auto_create(t, TL_STR("%RETRY%g"), TL_STR("nothing_here"), 4, 0));
    check_topic(t, "%RETRY%g", 1, RW);
    topics_close(t);
}

TEST(a_default_topic_left_over_from_before_creates_nothing_when_switched_off)
{
    const char *dir = t_tmpdir();

    fresh_conf();
    topics_close(open_in(dir));
    conf_set_key("autoCreateTopicEnable", "false");
    struct topics *t = open_in(dir);
    CHECK(known(t, "TBW102"));
    CHECK_INT(topics_auto_create(t, TL_STR("a"), TL_STR("TBW102"), 4, 0), TL_ENOTOPIC);
    topics_close(t);
}

TEST(names_that_are_not_allowed_are_never_created)
{
    struct topics *t = opened();

    CHECK_INT(topics_auto_create(t, TL_STR("../x"), TL_STR("TBW102"), 4, 0), TL_EINVAL);
    topics_ensure(t, TL_STR("a/b"), 1, RW, false, 0);
    CHECK(!known(t, "../x"));
    CHECK(!known(t, "a/b"));
    topics_close(t);
}

TEST(ensuring_a_topic_leaves_an_existing_one_alone)
{
    struct topics *t = opened();

    topics_ensure(t, TL_STR("%RETRY%g"), 1, RW, false, 0);
    topics_ensure(t, TL_STR("%RETRY%g"), 5, PERM_READ, true, 0);
    check_topic(t, "%RETRY%g", 1, RW);
    topics_close(t);
}

TEST(an_update_says_whether_it_changed_anything)
{
    struct topics *t = opened();
    struct data_version before, after;

    update(t, "orders", 3, true);
    topics_version(t, &before);
    update(t, "orders", 3, false);
    topics_version(t, &after);
    CHECK(data_version_eq(&before, &after));
    update(t, "orders", 5, true);
    topics_version(t, &after);
    CHECK_INT(after.counter, before.counter + 1);
    check_topic(t, "orders", 5, RW);
    topics_close(t);
}

TEST(topics_are_there_again_after_a_restart)
{
    const char *dir = t_tmpdir();

    fresh_conf();
    struct topics *t = open_in(dir);
    struct data_version before, after;
    update(t, "orders", 3, true);
    CHECK_OK(topics_auto_create(t, TL_STR("auto"), TL_STR("TBW102"), 4, 0));
    topics_version(t, &before);
    topics_close(t);

    t = open_in(dir);
    topics_version(t, &after);
    CHECK(data_version_eq(&before, &after));
    check_topic(t, "orders", 3, RW);
    check_topic(t, "auto", 4, RW);
    topics_close(t);
}

TEST(an_update_is_saved_before_it_returns)
{
    const char *dir = t_tmpdir();
    struct strbuf text = {0};

    fresh_conf();
    struct topics *t = open_in(dir);
    update(t, "orders", 3, true);
    CHECK_OK(fs_read(t_path(dir, "topics.json"), 1 << 20, &text));
    CHECK_HAS(strbuf_str(&text), "\"topicName\":\"orders\"");
    CHECK_HAS(strbuf_str(&text), "\"topicConfigTable\":{");
    strbuf_release(&text);
    topics_close(t);
}

TEST(an_automatic_topic_is_saved_by_the_next_persist)
{
    const char *dir = t_tmpdir();
    struct strbuf text = {0};

    fresh_conf();
    struct topics *t = open_in(dir);
    CHECK_OK(topics_auto_create(t, TL_STR("auto"), TL_STR("TBW102"), 4, 0));
    topics_persist(t);
    CHECK_OK(fs_read(t_path(dir, "topics.json"), 1 << 20, &text));
    CHECK_HAS(strbuf_str(&text), "\"topicName\":\"auto\"");
    strbuf_release(&text);
    topics_close(t);
}

TEST(a_deleted_topic_stays_away)
{
    const char *dir = t_tmpdir();

    fresh_conf();
    struct topics *t = open_in(dir);
    update(t, "orders", 3, true);
    CHECK_OK(topics_delete(t, TL_STR("orders")));
    CHECK_OK(topics_delete(t, TL_STR("orders")));
    CHECK(!known(t, "orders"));
    topics_close(t);
    t = open_in(dir);
    CHECK(!known(t, "orders"));
    topics_close(t);
}

TEST(a_file_of_the_java_broker_is_read_and_its_other_members_stay)
{
    const char *dir = t_tmpdir(), *path = t_path(dir, "topics.json");
    struct strbuf text = {0};

    fresh_conf();
    write_file(
        path,
        "{\n\t\"dataVersion\":{\n\t\t\"counter\":3,\n\t\t\"stateVersion\":0,\n\t\t\"timestamp\":1700000000000\n\t},\n"
        "\t\"later\":{\"x\":1},\n\t\"topicConfigTable\":{\n\t\t\"TopicA\":{\n\t\t\t\"attributes\":{\"message.type\":\"FIFO\"},"
        "\n\t\t\t\"order\":true,\n\t\t\t\"perm\":4,\n\t\t\t\"readQueueNums\":2,\n\t\t\t\"topicFilterType\":\"SINGLE_TAG\","
        "\n\t\t\t\"topicName\":\"TopicA\",\n\t\t\t\"topicSysFlag\":0,\n\t\t\t\"writeQueueNums\":2\n\t\t}\n\t}\n}");
    struct topics *t = open_in(dir);
    struct topic_config c;
    CHECK(topics_copy(t, TL_STR("TopicA"), &c));
    CHECK_INT(c.perm, 4);
    CHECK(c.order);
    CHECK_STR(json_get_str(c.attributes, "message.type"), "FIFO");
    topic_config_release(&c);
    topics_close(t);
    CHECK_OK(fs_read(path, 1 << 20, &text));
    CHECK_HAS(strbuf_str(&text), "\"later\"");
    CHECK_HAS(strbuf_str(&text), "\"message.type\":\"FIFO\"");
    strbuf_release(&text);
}

TEST(a_damaged_file_gives_way_to_its_bak_which_survives_the_next_save)
{
    const char *dir = t_tmpdir(), *path = t_path(dir, "topics.json");
    struct strbuf text = {0};

    fresh_conf();
    struct topics *t = open_in(dir);
    update(t, "orders", 3, true);
    update(t, "orders", 4, true);
    topics_close(t);
    write_file(path, "{\"topicConfigTable\":{\"orde");
    t = open_in(dir);
    check_topic(t, "orders", 3, RW); /* one save behind */
    CHECK(fs_exists(t_path(dir, "topics.json.damaged")));
    update(t, "more", 1, true);
    topics_close(t);
    CHECK_OK(fs_read(t_path(dir, "topics.json.bak"), 1 << 20, &text));
    CHECK_HAS(strbuf_str(&text), "\"topicName\":\"orders\"");
    strbuf_release(&text);
}

TEST(two_damaged_files_are_an_error_that_names_the_file)
{
    const char *dir = t_tmpdir();
    struct topics *t;

    fresh_conf();
    write_file(t_path(dir, "topics.json"), "{\"topicConfigTable\":");
    write_file(t_path(dir, "topics.json.bak"), "garbage");
    CHECK_INT(topics_open(&t, &conf, dir), TL_ECORRUPT);
    CHECK_HAS(t_error(), "topics.json");
}

TEST(an_empty_file_counts_as_none)
{
    const char *dir = t_tmpdir();

    fresh_conf();
    write_file(t_path(dir, "topics.json"), "");
    struct topics *t = open_in(dir);
    CHECK(known(t, "TBW102"));
    topics_close(t);
}

struct walk {
    int n;
    char last[256];
};

static void step(void *arg, const struct topic_config *c)
{
    struct walk *w = arg;

    CHECK(strcmp(w->last, c->name) < 0);
    snprintf(w->last, sizeof(w->last), "%s", c->name);
    w->n++;
}

TEST(walking_goes_in_name_order)
{
    struct topics *t = opened();
    struct walk w = {0};

    update(t, "zzz", 1, true);
    update(t, "aaa", 1, true);
    topics_each(t, step, &w);
    CHECK_INT(w.n, 15);
    topics_close(t);
}

static void note(void *arg, const char *topic)
{
    snprintf(arg, 64, "%s", topic ? topic : "*");
}

TEST(the_listener_hears_of_every_change_and_of_nothing_else)
{
    struct topics *t = opened();
    char heard[64] = "";

    topics_on_change(t, note, heard);
    update(t, "orders", 1, true);
    CHECK_STR(heard, "orders");
    heard[0] = '\0';
    update(t, "orders", 1, false);
    CHECK_STR(heard, "");
    CHECK_OK(topics_auto_create(t, TL_STR("auto"), TL_STR("TBW102"), 1, 0));
    CHECK_STR(heard, "auto");
    CHECK_OK(topics_delete(t, TL_STR("auto")));
    CHECK_STR(heard, "*");
    topics_on_change(t, NULL, NULL);
    heard[0] = '\0';
    update(t, "more", 1, true);
    CHECK_STR(heard, "");
    topics_close(t);
}

TEST(a_cache_sees_changes_at_its_next_use)
{
    struct topics *t = opened();
    struct snapshot_cache cache = {0};

    CHECK(topics_find(t, &cache, TL_STR("orders")) == NULL);
    update(t, "orders", 1, true);
    CHECK(topics_find(t, &cache, TL_STR("orders")) != NULL);
    CHECK_OK(topics_delete(t, TL_STR("orders")));
    CHECK(topics_find(t, &cache, TL_STR("orders")) == NULL);
    snapshot_cache_release(&cache);
    topics_close(t);
}
