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
    {0, "broker", "NAME", "only this broker", false},
    {0, "property", "NAME=VALUE", "a property; may be repeated", false},
    {0, "repeat", "N", "send it N times", false},
    {0, NULL, NULL, NULL, false},
};
static const struct admin_option consume_message[] = {
    {'t', "topic", "T", "topic name", true},
    {'g', "consumerGroup", "G", "consume as this group: from its offset on, its filter applies, offsets are committed", false},
    {'c', "MessageNumber", "N", "at most N messages (128)", false},
    {0, "timeout", "MS", "end after so long (3000)", false},
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

const struct admin_command admin_commands[] = {
    {"bindScript", "Use a script for a consumer group.", bind_script, cmd_bind_script},
    {"clusterList", "List all clusters and brokers.", none, cmd_cluster_list},
    {"consumeMessage", "Receive messages and print them.", consume_message, cmd_consume_message},
    {"deleteScript", "Remove a script that nothing is bound to.", script, cmd_delete_script},
    {"deleteTopic", "Delete a topic from brokers (-b, -c) and name servers.", topic, cmd_delete_topic},
    {"getScript", "Print a script's source.", script, cmd_get_script},
    {"putScript", "Check a script and deploy it.", put_script, cmd_put_script},
    {"rollbackScript", "Go back to a script's version before.", script, cmd_rollback_script},
    {"scriptStatus", "List scripts, bindings and their counters.", none, cmd_script_status},
    {"sendMessage", "Send a message.", send_message, cmd_send_message},
    {"topicList", "List all topics.", none, cmd_topic_list},
    {"topicRoute", "Print a topic's route.", topic, cmd_topic_route},
    {"topicStatus", "Print the offsets of a topic's queues.", topic, cmd_topic_status},
    {"unbindScript", "Use a script for a consumer group no more.", unbind_script, cmd_unbind_script},
    {"updateTopic", "Create a topic or change it.", update_topic, cmd_update_topic},
};
/* clang-format on */
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
