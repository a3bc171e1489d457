#include "broker/config.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/addr.h"
#include "store/retain.h"
#include "store/store.h"

static const struct conf_key keys[] = {
#define X(...) CONF_KEY(broker_conf, __VA_ARGS__)
#include "broker/config.def"
#undef X
};
const struct conf_table broker_conf_table = {keys, sizeof(keys) / sizeof(keys[0])};

enum { FRAME_OVERHEAD = 64 << 10, PORT_HA_DEFAULT = 10912, PORT_DEFAULT = 10911 };

static int set(struct broker_conf *conf, const char *key, const char *value)
{
    return conf_set(&broker_conf_table, conf, tl_str_of(key), tl_str_of(value));
}

/* ---- what depends on the host or on other keys ------------------------------------------ */

static int default_root(struct broker_conf *conf)
{
    const char *home = getenv("HOME");

    if (conf->store_path_root_dir.len)
        return 0;
    if (!home || !*home)
        return tl_fail(TL_EINVAL,
                       "storePathRootDir is not set and there is no HOME to derive it from");
    char *path = xasprintf("%s/store", home);
    int rc = set(conf, "storePathRootDir", path);
    free(path);
    return rc;
}

static int default_names(struct broker_conf *conf)
{
    char host[256] = "";
    char ip[ADDR_TEXT_MAX];
    struct addr local;
    int rc = 0;

    if (!conf->broker_name.len) {
        if (gethostname(host, sizeof(host) - 1) || !host[0])
            return tl_fail(TL_EINVAL, "brokerName is not set and the host has no name");
        rc = set(conf, "brokerName", host);
    }
    if (!rc && !conf->broker_ip1.len) {
        addr_local(&local);
        addr_ip_text(&local, ip);
        rc = set(conf, "brokerIP1", ip);
    }
    if (!rc && !conf->broker_ip2.len)
        rc = set(conf, "brokerIP2", conf->broker_ip1.data);
    return rc;
}

static int defaults(struct broker_conf *conf)
{
    int rc;

    if ((rc = default_root(conf)) || (rc = default_names(conf)))
        return rc;
    if (!conf->script_dir.len) {
        char *path = xasprintf("%s/scripts", conf->store_path_root_dir.data);
        rc = set(conf, "scriptDir", path);
        free(path);
    }
    if (conf->ha_listen_port == 0 ||
        (conf->ha_listen_port == PORT_HA_DEFAULT && conf->listen_port != PORT_DEFAULT))
        conf->ha_listen_port = conf->listen_port < 65535 ? conf->listen_port + 1 : 0;
    /* A frame holds the largest message and its header. */
    if (conf->frame_max_bytes < (int64_t)conf->max_message_size + FRAME_OVERHEAD)
        conf->frame_max_bytes = (int64_t)conf->max_message_size + FRAME_OVERHEAD;
    conf->broker_id = 0; /* as BrokerStartup does for both master roles */
    return rc;
}

/* ---- what must hold --------------------------------------------------------------------- */

static bool is(struct tl_str value, const char *word)
{
    return tl_str_eq_nocase(value, tl_str_of(word));
}

/* A key that must stay as it is because what it asks for is not served. */
static int refuse(const char *key, struct tl_str value, const char *why)
{
    return tl_fail(TL_EINVAL, "%s=%.*s: %s", key, TL_STR_ARG(value), why);
}

static int check_roles(const struct broker_conf *conf)
{
    if (is(conf->broker_role, "SLAVE"))
        return refuse(
            "brokerRole", conf->broker_role,
            "replication is not served; run this broker as ASYNC_MASTER with a store of its own");
    if (!is(conf->broker_role, "ASYNC_MASTER") && !is(conf->broker_role, "SYNC_MASTER"))
        return refuse("brokerRole", conf->broker_role, "expected ASYNC_MASTER or SYNC_MASTER");
    if (conf->in_sync_replicas > 1)
        return tl_fail(TL_EINVAL,
                       "inSyncReplicas=%" PRId32
                       ": there is no replica to wait for; set it to 1",
                       conf->in_sync_replicas);
    if (conf->enable_controller_mode)
        return refuse(
            "enableControllerMode", TL_STR("true"),
            "failover by a controller is not served; set it to false and give the role by brokerRole");
    return 0;
}

static int check_formats(const struct broker_conf *conf)
{
    if (conf->enable_d_leger_commit_log)
        return refuse(
            "enableDLegerCommitLog", TL_STR("true"),
            "a DLedger log cannot be read; move its messages by a plain RocketMQ broker, or start with an empty store");
    if (!is(conf->store_type, "default"))
        return refuse(
            "storeType", conf->store_type,
            "consume queues in RocksDB cannot be read; set it to default (queues are rebuilt from the log)");
    if (!is(conf->config_manager_version, "v1"))
        return refuse(
            "configManagerVersion", conf->config_manager_version,
            "settings in RocksDB cannot be read; export them to JSON with mqadmin rocksDBConfigToJson and set it to v1");
    if (conf->message_store_plug_in.len)
        return refuse("messageStorePlugIn", conf->message_store_plug_in,
                      "Java plug-ins cannot be loaded; remove the line");
    if (conf->read_only_commit_log_store_paths.len)
        return refuse(
            "readOnlyCommitLogStorePaths", conf->read_only_commit_log_store_paths,
            "the log lives in one folder; move its files to storePathCommitLog and remove the line");
    if (memchr(conf->store_path_commit_log.data ? conf->store_path_commit_log.data : "", ',',
               conf->store_path_commit_log.len))
        return refuse("storePathCommitLog", conf->store_path_commit_log,
                      "the log lives in one folder, not in a list; move its files into one");
    if (!is(conf->flush_disk_type, "ASYNC_FLUSH") && !is(conf->flush_disk_type, "SYNC_FLUSH"))
        return refuse("flushDiskType", conf->flush_disk_type,
                      "expected ASYNC_FLUSH or SYNC_FLUSH");
    return 0;
}

static int check_security(const struct broker_conf *conf)
{
    if (conf->authentication_enabled)
        return refuse("authenticationEnabled", TL_STR("true"),
                      "access control is not served; the broker would be open to everybody");
    if (conf->authorization_enabled)
        return refuse("authorizationEnabled", TL_STR("true"),
                      "access control is not served; the broker would be open to everybody");
    if (conf->use_tls)
        return refuse("useTLS", TL_STR("true"), "TLS is not served");
    if (conf->fetch_namesrv_addr_by_address_server)
        return refuse("fetchNamesrvAddrByAddressServer", TL_STR("true"),
                      "address servers are not asked; list the name servers in namesrvAddr");
    return 0;
}

/*
 * brokerName and the cluster are names of topics too, hence of folders; host names have
 * dots.
 */
static int check_name(const char *key, struct tl_str name)
{
    if (!name.len || name.len > 127)
        return refuse(key, name, "expected 1 to 127 characters");
    if (tl_str_is(name, ".") || tl_str_is(name, ".."))
        return refuse(key, name, "not usable as a name");
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c <= ' ' || c == '/' || c == '\\' || c == 0x7f || c == '@')
            return refuse(key, name,
                          "blanks, control characters, '/', '\\' and '@' are not allowed");
    }
    return 0;
}

static int check_ip(const char *key, struct tl_str ip, bool literal)
{
    struct addr a;
    char *text =
        xasprintf(memchr(ip.data, ':', ip.len) ? "[%.*s]:1" : "%.*s:1", TL_STR_ARG(ip));
    int rc =
        literal ? addr_parse_literal(tl_str_of(text), &a) : addr_parse(tl_str_of(text), &a);

    free(text);
    return rc ? refuse(key, ip,
                       literal ? "expected an IP address"
                               : "expected an IP address or the name of a host")
              : 0;
}

static int check_addresses(const struct broker_conf *conf)
{
    struct tl_str list = conf->namesrv_addr;
    int32_t port;
    int rc;

    if ((rc = check_name("brokerName", conf->broker_name)) ||
        (rc = check_name("brokerClusterName", conf->broker_cluster_name)) ||
        (rc = check_ip("brokerIP1", conf->broker_ip1, false)) ||
        (rc = check_ip("brokerIP2", conf->broker_ip2, false)))
        return rc;
    if (conf->bind_address.len && (rc = check_ip("bindAddress", conf->bind_address, true)))
        return rc;
    while (list.data) {
        struct tl_str one = tl_str_trim(tl_str_cut(&list, ';'));
        size_t colon = one.len;
        if (!one.len)
            continue;
        while (colon && one.data[colon - 1] != ':')
            colon--;
        if (colon < 2 || !tl_str_i32(tl_str_n(one.data + colon, one.len - colon), &port) ||
            port < 1 || port > 65535)
            return refuse("namesrvAddr", one, "expected host:port, several separated by ';'");
    }
    return 0;
}

static int check_rest(const struct broker_conf *conf)
{
    int64_t levels[STORE_DELAY_LEVELS_MAX];
    enum log_level level;
    uint32_t hours;
    int n = broker_conf_delay_levels(conf, levels, STORE_DELAY_LEVELS_MAX);

    if (n < 0)
        return -n;
    if (!log_level_parse(conf->log_level.data ? conf->log_level.data : "", &level))
        return refuse("logLevel", conf->log_level, "expected debug, info, warn or error");
    if (retain_hours(conf->delete_when.data ? conf->delete_when.data : "", &hours))
        return refuse("deleteWhen", conf->delete_when, "expected hours from 00 to 23, with ';' between them");
    if (!conf->msg_trace_topic_name.len)
        return refuse("msgTraceTopicName", conf->msg_trace_topic_name, "expected a topic name");
    return check_name("msgTraceTopicName", conf->msg_trace_topic_name);
}

int broker_conf_finish(struct broker_conf *conf)
{
    int rc;

    if ((rc = check_roles(conf)) || (rc = check_formats(conf)) || (rc = check_security(conf)) ||
        (rc = defaults(conf)) || (rc = check_addresses(conf)))
        return rc;
    return check_rest(conf);
}

/* ---- delay levels ----------------------------------------------------------------------- */

static int64_t unit_ms(char c)
{
    switch (c) {
    case 's': return 1000;
    case 'm': return 60 * 1000;
    case 'h': return 60 * 60 * 1000;
    case 'd': return 24 * 60 * 60 * 1000;
    default: return 0;
    }
}

int broker_conf_delay_levels(const struct broker_conf *conf, int64_t *out_ms, int max)
{
    struct tl_str list = conf->message_delay_level;
    int n = 0;

    while (list.data) {
        struct tl_str one = tl_str_trim(tl_str_cut(&list, ' '));
        int64_t number, unit;
        if (!one.len)
            continue;
        unit = unit_ms(one.data[one.len - 1]);
        if (!unit || !tl_str_i64(tl_str_n(one.data, one.len - 1), &number) || number < 0 ||
            number > INT64_MAX / 2 / unit)
            return -tl_fail(
                TL_EINVAL,
                "messageDelayLevel: \"%.*s\" is no delay; expected a number and s, m, h or d",
                TL_STR_ARG(one));
        if (n == max)
            return -tl_fail(TL_EINVAL, "messageDelayLevel: more than %d levels", max);
        out_ms[n++] = number * unit;
    }
    return n;
}
