#include "proto/names.h"

#include "base/err.h"

static const char *const system_topics[] = {
    NAME_TBW102,
    NAME_SCHEDULE_TOPIC,
    "BenchmarkTest",
    NAME_HALF_TOPIC,
    "RMQ_SYS_TRACE_TOPIC",
    NAME_OP_HALF_TOPIC,
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
    "CHECKPOINT_TOPIC",
};

static const char *const forbidden_topics[] = {
    NAME_SCHEDULE_TOPIC,          NAME_HALF_TOPIC,   NAME_OP_HALF_TOPIC,
    "TRANS_CHECK_MAX_TIME_TOPIC", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT",
};

static bool in_list(struct tl_str name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (tl_str_is(name, list[i]))
            return true;
    }
    return false;
}

/* Letters, digits, '%', '|', '-', '_'. */
static bool legal(struct tl_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z', digit = c >= '0' && c <= '9';
        if (!letter && !digit && c != '%' && c != '|' && c != '-' && c != '_')
            return false;
    }
    return true;
}

static int check(struct tl_str name, const char *what)
{
    if (!legal(name))
        return tl_fail(
            TL_EINVAL,
            "The specified %s contains illegal characters, allowing only ^[%%|a-zA-Z0-9_-]+$",
            what);
    return 0;
}

int names_check_topic(struct tl_str topic)
{
    if (!tl_str_trim(topic).len)
        return tl_fail(TL_EINVAL, "The specified topic is blank.");
    int rc = check(topic, "topic");
    if (rc)
        return rc;
    size_t max =
        names_is_retry(topic) || names_is_dlq(topic) ? NAME_RETRY_TOPIC_MAX : NAME_TOPIC_MAX;
    if (topic.len > max)
        return tl_fail(TL_EINVAL, "The specified topic is longer than topic max length.");
    return 0;
}

int names_check_group(struct tl_str group)
{
    int rc = check(group, "group");
    if (!rc && group.len > NAME_GROUP_MAX)
        rc = tl_fail(TL_EINVAL, "The specified group is longer than group max length.");
    return rc;
}

bool names_is_system_topic(struct tl_str topic)
{
    return in_list(topic, system_topics, sizeof(system_topics) / sizeof(system_topics[0])) ||
           tl_str_starts(topic, TL_STR("rmq_sys_"));
}

bool names_is_send_forbidden(struct tl_str topic)
{
    return in_list(topic, forbidden_topics,
                   sizeof(forbidden_topics) / sizeof(forbidden_topics[0]));
}

bool names_is_retry(struct tl_str topic)
{
    return tl_str_starts(topic, TL_STR(NAME_RETRY_PREFIX));
}

bool names_is_dlq(struct tl_str topic)
{
    return tl_str_starts(topic, TL_STR(NAME_DLQ_PREFIX));
}
