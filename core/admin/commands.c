#include "admin/commands.h"

#include <string.h>

#include "base/err.h"
#include "base/json.h"

/* clang-format off */
static const struct admin_option update_topic[] = {
    {'t', "topic", "T", "topic name", true},
    {'r', "readQueueNums", "N", "read queues (8)", false},
    {'w', "writeQueueNums", "N", "write queues (8)", false},
    {'p', "perm", "N", "2 write, 4 read, 6 both (6)", false},
    {'o', "order", "BOOL", "ordered topic (false)", false},
    {'a', "attributes", "LIST", "+name=value,-name", false},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option topic[] = {
    {'t', "topic", "T", "topic name", true},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option none[] = {{0, NULL, NULL, NULL, false}};
static const struct admin_option send_message[] = {
    {'t', "topic", "T", "topic name", true},
    {'p', "body", "TEXT", "message body", true},
    {'k', "key", "KEYS", "message keys, separated by blanks", false},
    {'c', "tags", "TAG", "message tag", false},
    {'i', "qid", "N", "queue (default: in turn)", false},
    {'b', "broker", "NAME", "only this broker", false},
    {0, "property", "NAME=VALUE", "a property; may be repeated", false},
    {0, "repeat", "N", "send it N times", false},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option consume_message[] = {
    {'t', "topic", "T", "topic name", true},
    {'g', "consumerGroup", "G", "consume as this group: from its offset on, its filter applies, offsets are committed", false},
    {'b', "brokerName", "NAME", "only this broker's queues", false},
    {'i', "queueId", "N", "only this queue", false},
    {'o', "offset", "N", "from this offset of -i on, whatever the group has committed", false},
    {'c', "MessageNumber", "N", "at most N messages (128)", false},
    {0, "timeout", "MS", "end after so long (3000)", false},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option query_msg_by_id[] = {
    {'i', "msgId", "ID", "offset message id; it tells the broker's address, -b another one", true},
    {'t', "topic", "T", "topic name", false},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option update_sub_group[] = {
    {'g', "groupName", "G", "consumer group name", true},
    {'s', "consumeEnable", "BOOL", "may it consume (true)", false},
    {'m', "consumeFromMinEnable", "BOOL", "from the min offset (false)", false},
    {'d', "consumeBroadcastEnable", "BOOL", "may it broadcast (false)", false},
    {'o', "consumeMessageOrderly", "BOOL", "ordered consumption (false)", false},
    {'q', "retryQueueNums", "N", "queues of the retry topic (1)", false},
    {'r', "retryMaxTimes", "N", "retries before the dead-letter queue (16)", false},
    {'p', "groupRetryPolicy", "JSON", "when to retry", false},
    {'i', "brokerId", "N", "broker to consume from (0)", false},
    {'w', "whichBrokerWhenConsumeSlowly", "N", "broker to consume from when slow (1)", false},
    {'a', "notifyConsumerIdsChanged", "BOOL", "tell members of changes (true)", false},
    {0, "attributes", "LIST", "+name=value,-name", false},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option delete_sub_group[] = {
    {'g', "groupName", "G", "consumer group name", true},
    {'r', "removeOffset", "BOOL", "its offsets too (false)", false},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option consumer_progress[] = {
    {'g', "groupName", "G", "this group by queue (default: a line per group)", false},
    {'t', "topicName", "T", "only this topic", false},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option consumer_connection[] = {
    {'g', "consumerGroup", "G", "consumer group name", true},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option producer_connection[] = {
    {'g', "producerGroup", "G", "producer group name", true},
    {'t', "topic", "T", "a topic it sends to", true},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option put_script[] = {
    {'f', "file", "FILE", "Lua source", true},
    {'s', "script", "NAME", "name (default: the file's)", false},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option script[] = {
    {'s', "script", "NAME", "script name", true},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option bind_script[] = {
    {'g', "consumerGroup", "G", "consumer group", true},
    {'t', "topic", "T", "only this topic (default: all the group consumes)", false},
    {'s', "script", "NAME", "script name", true},
    {'a', "args", "LIST", "arguments, 'region=eu,min=100'", false},
    {0, "policy", "NAME", "when a call fails: closed (not delivered, the default) or open", false},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option unbind_script[] = {
    {'g', "consumerGroup", "G", "consumer group", true},
    {'t', "topic", "T", "the binding of this topic (default: the one for all)", false},
    {0, NULL, NULL, NULL, false},
};

/* clang-format on */

const struct admin_command admin_commands[] = {
#define X(name, options, run, help) {name, help, options, run},
#include "admin/commands.def"
#undef X
};
const size_t admin_commands_count = sizeof(admin_commands) / sizeof(admin_commands[0]);

const char *admin_value(const struct admin_values *v, const char *name, const char *def)
{
    for (int i = 0; v->options[i].name; i++) {
        if (strcmp(v->options[i].name, name) == 0)
            return v->values[i] ? v->values[i] : def;
    }
    return def;
}

int admin_each_broker(struct admin *a, int (*fn)(struct admin *a, const char *addr, void *arg),
                      void *arg)
{
    json_t *masters, *addr;
    const char *name;
    int rc;

    if (a->broker)
        return fn(a, a->broker, arg);
    if (!a->cluster)
        return tl_fail(TL_EINVAL, "-b ADDRESS or -c CLUSTER is needed");
    if ((rc = client_cluster_masters(a->client, a->cluster, &masters)) != 0)
        return rc;
    json_object_foreach(masters, name, addr)
    {
        rc = fn(a, json_string_value(addr), arg);
        if (rc) {
            rc = tl_wrap(rc, "broker %s", name);
            break;
        }
    }
    json_decref(masters);
    return rc;
}
