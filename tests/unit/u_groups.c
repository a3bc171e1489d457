#include "broker/groups.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/json.h"
#include "broker/config.h"
#include "t.h"

static struct broker_conf conf;

static void conf_set_key(const char *key, const char *value)
{
    CHECK_OK(conf_set(&broker_conf_table, &conf, tl_str_of(key), tl_str_of(value)));
}

static void fresh_conf(void)
{
    if (conf.broker_role.data)
        conf_release(&broker_conf_table, &conf);
    conf_defaults(&broker_conf_table, &conf);
}

static struct groups *open_in(const char *dir)
{
    struct groups *g;

    CHECK_OK(groups_open(&g, &conf, dir));
    return g;
}

static struct groups *opened(void)
{
    fresh_conf();
    return open_in(t_tmpdir());
}

/* Would a pull of @name be served? */
static bool found(struct groups *g, const char *name)
{
    struct snapshot_cache cache = {0};
    bool yes = groups_find(g, &cache, tl_str_of(name)) != NULL;

    snapshot_cache_release(&cache);
    return yes;
}

static bool exists(struct groups *g, const char *name)
{
    struct group_config c;
    bool yes = groups_copy(g, tl_str_of(name), false, &c);

    if (yes)
        group_config_release(&c);
    return yes;
}

TEST(the_built_in_groups_are_there_unless_switched_off)
{
    struct groups *g = opened();

    CHECK(exists(g, "TOOLS_CONSUMER"));
    CHECK(exists(g, "CID_ONS-HTTP-PROXY"));
    CHECK(exists(g, "CID_RMQ_SYS_TRANS"));
    groups_close(g);
    fresh_conf();
    conf_set_key("enableCreateSysGroup", "false");
    g = open_in(t_tmpdir());
    CHECK(!exists(g, "TOOLS_CONSUMER"));
    groups_close(g);
}

TEST(looking_for_an_unknown_group_creates_it)
{
    struct groups *g = opened();
    struct group_config c;

    CHECK(!exists(g, "new"));
    CHECK(found(g, "new"));
    CHECK(groups_copy(g, TL_STR("new"), false, &c));
    CHECK_INT(c.retry_max_times, 16);
    CHECK(c.consume_enable);
    group_config_release(&c);
    groups_close(g);
}

TEST(only_system_groups_are_created_when_creating_is_off)
{
    fresh_conf();
    conf_set_key("autoCreateSubscriptionGroup", "false");
    struct groups *g = open_in(t_tmpdir());

    CHECK(!found(g, "new"));
    CHECK(found(g, "CID_RMQ_SYS_X"));
    groups_close(g);
}

TEST(names_that_are_not_allowed_are_not_created)
{
    struct groups *g = opened();

    CHECK(!found(g, "a b"));
    CHECK(!found(g, " "));
    CHECK(!found(g, "../g"));
    groups_close(g);
}

TEST(a_name_without_a_letter_is_allowed_as_in_java)
{
    struct groups *g = opened();

    CHECK(found(g, ""));
    groups_close(g);
}

TEST(asking_whether_a_group_exists_never_creates_it)
{
    struct groups *g = opened();
    struct snapshot_cache cache = {0};

    CHECK(!groups_exists(g, &cache, TL_STR("new")));
    CHECK(!groups_exists(g, &cache, TL_STR("new")));
    CHECK(groups_find(g, &cache, TL_STR("new")) != NULL);
    CHECK(groups_exists(g, &cache, TL_STR("new")));
    snapshot_cache_release(&cache);
    groups_close(g);
}

TEST(settings_are_there_again_after_a_restart)
{
    const char *dir = t_tmpdir();
    struct group_config c;

    fresh_conf();
    struct groups *g = open_in(dir);
    group_config_init(&c, TL_STR("orders"));
    c.retry_max_times = 3;
    c.consume_enable = false;
    CHECK_OK(groups_update(g, &c));
    group_config_release(&c);
    CHECK(found(g, "auto"));
    groups_close(g);

    g = open_in(dir);
    CHECK(groups_copy(g, TL_STR("orders"), false, &c));
    CHECK_INT(c.retry_max_times, 3);
    CHECK(!c.consume_enable);
    group_config_release(&c);
    CHECK(exists(g, "auto"));
    groups_close(g);
}

TEST(a_deleted_group_stays_away_until_it_is_used_again)
{
    const char *dir = t_tmpdir();

    fresh_conf();
    struct groups *g = open_in(dir);
    CHECK(found(g, "orders"));
    CHECK_OK(groups_delete(g, TL_STR("orders")));
    CHECK_OK(groups_delete(g, TL_STR("orders")));
    CHECK(!exists(g, "orders"));
    groups_close(g);
    g = open_in(dir);
    CHECK(!exists(g, "orders"));
    CHECK(found(g, "orders"));
    groups_close(g);
}

TEST(the_forbidden_table_and_unknown_members_of_the_file_stay)
{
    const char *dir = t_tmpdir(), *path = t_path(dir, "subscriptionGroup.json");
    struct strbuf text = {0};
    FILE *f = fopen(path, "w");

    fresh_conf();
    CHECK(f != NULL);
    fputs(
        "{\"dataVersion\":{\"counter\":7,\"stateVersion\":0,\"timestamp\":1},\"forbiddenTable\":{\"g1\":{\"TopicA\":4}},"
        "\"later\":[1],\"subscriptionGroupTable\":{\"g1\":{\"groupName\":\"g1\",\"retryMaxTimes\":2}}}",
        f);
    fclose(f);
    struct groups *g = open_in(dir);
    json_t *forbidden = groups_forbidden(g);
    CHECK_INT(json_get_i64(json_get_object(forbidden, "g1"), "TopicA", 0), 4);
    json_decref(forbidden);
    CHECK(exists(g, "g1"));
    groups_close(g);
    CHECK_OK(fs_read(path, 1 << 20, &text));
    CHECK_HAS(strbuf_str(&text), "\"later\"");
    CHECK_HAS(strbuf_str(&text), "\"TopicA\":4");
    strbuf_release(&text);
}

TEST(every_change_raises_the_version)
{
    struct groups *g = opened();
    struct data_version before, after;

    groups_version(g, &before);
    CHECK(found(g, "a"));
    groups_version(g, &after);
    CHECK_INT(after.counter, before.counter + 1);
    CHECK(found(g, "a"));
    groups_version(g, &after);
    CHECK_INT(after.counter, before.counter + 1);
    groups_close(g);
}

TEST(two_damaged_files_are_an_error_that_names_the_file)
{
    const char *dir = t_tmpdir();
    struct groups *g;
    FILE *f = fopen(t_path(dir, "subscriptionGroup.json"), "w");

    fresh_conf();
    CHECK(f != NULL);
    fputs("{{{", f);
    fclose(f);
    CHECK_INT(groups_open(&g, &conf, dir), TL_ECORRUPT);
    CHECK_HAS(t_error(), "subscriptionGroup.json");
}
