#include "broker/config.h"

#include <stdlib.h>

#include "base/fs.h"
#include "store/store.h"
#include "t.h"

static void defaults(struct broker_conf *conf)
{
    conf_defaults(&broker_conf_table, conf);
}

static void set(struct broker_conf *conf, const char *key, const char *value)
{
    CHECK_OK(conf_set(&broker_conf_table, conf, tl_str_of(key), tl_str_of(value)));
}

/* broker_conf_finish() with one key set must fail and say @part. */
static void refused(const char *key, const char *value, const char *part)
{
    struct broker_conf conf;

    defaults(&conf);
    set(&conf, key, value);
    CHECK_INT(broker_conf_finish(&conf), TL_EINVAL);
    CHECK_HAS(t_error(), key);
    CHECK_HAS(t_error(), part);
    conf_release(&broker_conf_table, &conf);
}

TEST(the_table_is_sorted_and_every_key_is_documented)
{
    for (size_t i = 0; i < broker_conf_table.n; i++) {
        const struct conf_key *k = &broker_conf_table.keys[i];
        CHECK(i == 0 || strcmp(broker_conf_table.keys[i - 1].key, k->key) < 0);
        CHECK(strlen(k->doc) > 10);
        CHECK(k->doc[strlen(k->doc) - 1] == '.');
        CHECK(conf_find(&broker_conf_table, tl_str_of(k->key)) == k);
    }
}

TEST(every_default_is_a_value_its_own_key_takes)
{
    struct broker_conf conf;
    struct strbuf text = {0};

    defaults(&conf);
    for (size_t i = 0; i < broker_conf_table.n; i++) {
        const struct conf_key *k = &broker_conf_table.keys[i];
        CHECK_OK(conf_set(&broker_conf_table, &conf, tl_str_of(k->key), tl_str_of(k->def)));
        strbuf_clear(&text);
        conf_text(k, &conf, &text);
        CHECK_STR(strbuf_str(&text), k->def);
    }
    strbuf_release(&text);
    conf_release(&broker_conf_table, &conf);
}

/* Where ours differs from what the real server prints. */
static bool differs_on_purpose(struct tl_str key)
{
    static const char *const keys[] = {
        "brokerIP1",             /* of the host */
        "brokerIP2",             /* of the host */
        "rocketmqHome",          /* there is no installation folder */
        "serverSelectorThreads", /* 0 = by the number of processors */
        "storePathRootDir",      /* of the host: filled in from HOME */
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (tl_str_is(key, keys[i]))
            return true;
    }
    return false;
}

static int compare_with_apache(void *arg, struct tl_str key, struct tl_str value, int line)
{
    struct broker_conf *conf = arg;
    struct strbuf text = {0};
    const struct conf_key *k = conf_find(&broker_conf_table, key);

    (void)line;
    CHECK(k != NULL);
    CHECK(!(k->flags & CONF_OURS));
    conf_text(k, conf, &text);
    if (tl_str_is(key,
                  "listenPort")) /* printed twice: of the object and of the start-up class */
        CHECK(tl_str_is(value, "6888") || tl_str_is(value, "10911"));
    else if (!differs_on_purpose(key) && !tl_str_eq(strbuf_str(&text), value))
        t_check_str(__FILE__, __LINE__, k->key, strbuf_str(&text),
                    strndup(value.data, value.len));
    strbuf_release(&text);
    return 0;
}

TEST(all_keys_of_the_real_server_are_there_with_its_defaults)
{
    struct broker_conf conf;
    struct strbuf text = {0};

    defaults(&conf);
    CHECK_OK(fs_read(TL_SOURCE_DIR "/tests/compat/broker-defaults-5.3.3.properties", 1 << 20,
                     &text));
    CHECK_OK(conf_properties(strbuf_str(&text), compare_with_apache, &conf));
    strbuf_release(&text);
    conf_release(&broker_conf_table, &conf);
}

TEST(finishing_fills_in_what_depends_on_the_host)
{
    struct broker_conf conf;

    defaults(&conf);
    setenv("HOME", "/home/somebody", 1);
    CHECK_OK(broker_conf_finish(&conf));
    CHECK_STR(conf.store_path_root_dir, "/home/somebody/store");
    CHECK_STR(conf.script_dir, "/home/somebody/store/scripts");
    CHECK(conf.broker_name.len > 0);
    CHECK(conf.broker_ip1.len > 0);
    CHECK(tl_str_eq(conf.broker_ip1, conf.broker_ip2));
    CHECK_INT(conf.ha_listen_port, 10912);
    conf_release(&broker_conf_table, &conf);
}

TEST(the_replication_port_follows_the_listening_port)
{
    struct broker_conf conf;

    defaults(&conf);
    set(&conf, "listenPort", "20911");
    set(&conf, "storePathRootDir", "/tmp/x");
    CHECK_OK(broker_conf_finish(&conf));
    CHECK_INT(conf.ha_listen_port, 20912);
    conf_release(&broker_conf_table, &conf);
}

TEST(the_largest_frame_grows_with_the_largest_message)
{
    struct broker_conf conf;

    defaults(&conf);
    set(&conf, "storePathRootDir", "/tmp/x");
    set(&conf, "maxMessageSize", "67108864");
    CHECK_OK(broker_conf_finish(&conf));
    CHECK(conf.frame_max_bytes > 67108864);
    conf_release(&broker_conf_table, &conf);
}

TEST(a_synchronous_master_is_taken_as_long_as_it_waits_for_nobody)
{
    struct broker_conf conf;

    defaults(&conf);
    set(&conf, "storePathRootDir", "/tmp/x");
    set(&conf, "brokerRole", "SYNC_MASTER");
    set(&conf, "brokerId", "3");
    CHECK_OK(broker_conf_finish(&conf));
    CHECK_INT(conf.broker_id, 0);
    conf_release(&broker_conf_table, &conf);
    refused("inSyncReplicas", "2", "no replica");
}

TEST(what_is_not_served_is_refused_with_a_way_out)
{
    refused("brokerRole", "SLAVE", "replication is not served");
    refused("brokerRole", "BOSS", "ASYNC_MASTER or SYNC_MASTER");
    refused("enableControllerMode", "true", "brokerRole");
    refused("enableDLegerCommitLog", "true", "DLedger");
    refused("storeType", "defaultRocksDB", "default");
    refused("configManagerVersion", "v2", "v1");
    refused("messageStorePlugIn", "org.x.Y", "Java");
    refused("readOnlyCommitLogStorePaths", "/a", "one folder");
    refused("storePathCommitLog", "/a,/b", "one folder");
    refused("flushDiskType", "NEVER", "SYNC_FLUSH");
    refused("authenticationEnabled", "true", "access control");
    refused("authorizationEnabled", "true", "access control");
    refused("useTLS", "true", "TLS");
    refused("fetchNamesrvAddrByAddressServer", "true", "namesrvAddr");
}

TEST(values_that_make_no_sense_are_refused)
{
    refused("namesrvAddr", "10.0.0.1", "host:port");
    refused("namesrvAddr", "10.0.0.1:9876;10.0.0.2:99999", "10.0.0.2:99999");
    refused("bindAddress", "nowhere.example", "IP address");
    refused("brokerName", "a/b", "not allowed");
    refused("brokerName", "..", "not usable");
    refused("brokerClusterName", "", "1 to 127");
    refused("logLevel", "loud", "debug, info, warn or error");
    refused("messageDelayLevel", "1s 5x", "5x");
    refused("msgTraceTopicName", "", "topic");
}

TEST(several_name_servers_are_taken)
{
    struct broker_conf conf;

    defaults(&conf);
    set(&conf, "storePathRootDir", "/tmp/x");
    set(&conf, "namesrvAddr", "10.0.0.1:9876; some-host:9876;[::1]:9876;");
    CHECK_OK(broker_conf_finish(&conf));
    conf_release(&broker_conf_table, &conf);
}

TEST(delay_levels_are_read_as_milliseconds)
{
    struct broker_conf conf;
    int64_t ms[STORE_DELAY_LEVELS_MAX];

    defaults(&conf);
    CHECK_INT(broker_conf_delay_levels(&conf, ms, STORE_DELAY_LEVELS_MAX), 18);
    CHECK_INT(ms[0], 1000);
    CHECK_INT(ms[4], 60000);
    CHECK_INT(ms[17], 7200000);
    set(&conf, "messageDelayLevel", "2d");
    CHECK_INT(broker_conf_delay_levels(&conf, ms, STORE_DELAY_LEVELS_MAX), 1);
    CHECK_INT(ms[0], 172800000);
    CHECK_INT(broker_conf_delay_levels(&conf, ms, 0), -TL_EINVAL);
    conf_release(&broker_conf_table, &conf);
}
