#include "proto/hdr_consume.h"

#define F(member, wire, flags) FIELD(struct pull_request, member, wire, NULL, flags)
static const struct field pull_request_fields[] = {
    F(consumer_group, "consumerGroup", REQUIRED),
    F(topic, "topic", REQUIRED),
    F(queue_id, "queueId", REQUIRED | NUMBER),
    F(queue_offset, "queueOffset", REQUIRED | NUMBER),
    F(max_msg_nums, "maxMsgNums", REQUIRED | NUMBER),
    F(sys_flag, "sysFlag", REQUIRED | NUMBER),
    F(commit_offset, "commitOffset", NUMBER),
    F(suspend_timeout_ms, "suspendTimeoutMillis", NUMBER),
    F(subscription, "subscription", 0),
    F(sub_version, "subVersion", NUMBER),
    F(expression_type, "expressionType", 0),
    F(max_msg_bytes, "maxMsgBytes", NUMBER),
    F(request_source, "requestSource", NUMBER),
};
#undef F
const struct header pull_request_header = HEADER(struct pull_request, pull_request_fields);

#define F(member, wire, flags) FIELD(struct pull_response, member, wire, NULL, flags)
static const struct field pull_response_fields[] = {
    F(suggest_which_broker_id, "suggestWhichBrokerId", 0),
    F(next_begin_offset, "nextBeginOffset", 0),
    F(min_offset, "minOffset", 0),
    F(max_offset, "maxOffset", 0),
    F(topic_sys_flag, "topicSysFlag", 0),
    F(group_sys_flag, "groupSysFlag", 0),
};
#undef F
const struct header pull_response_header = HEADER(struct pull_response, pull_response_fields);

static const struct field forbidden_response_fields[] = {
    FIELD(struct forbidden_response, forbidden_type, "forbiddenType", NULL, 0),
};
const struct header forbidden_response_header =
    HEADER(struct forbidden_response, forbidden_response_fields);

#define F(member, wire, flags) FIELD(struct query_offset_request, member, wire, NULL, flags)
static const struct field query_offset_request_fields[] = {
    F(consumer_group, "consumerGroup", 0),
    F(topic, "topic", REQUIRED),
    F(queue_id, "queueId", REQUIRED),
    FIELD_DEF(struct query_offset_request, set_zero_if_not_found, "setZeroIfNotFound", NULL, 0,
              1),
};
#undef F
const struct header query_offset_request_header =
    HEADER(struct query_offset_request, query_offset_request_fields);

static const struct field offset_response_fields[] = {
    FIELD(struct offset_response, offset, "offset", NULL, 0),
};
const struct header offset_response_header =
    HEADER(struct offset_response, offset_response_fields);

#define F(member, wire) FIELD(struct update_offset_request, member, wire, NULL, 0)
static const struct field update_offset_request_fields[] = {
    F(consumer_group, "consumerGroup"),
    F(topic, "topic"),
    F(queue_id, "queueId"),
    F(commit_offset, "commitOffset"),
};
#undef F
const struct header update_offset_request_header =
    HEADER_PRESENT(struct update_offset_request, update_offset_request_fields);

static const struct field queue_request_fields[] = {
    FIELD(struct queue_request, topic, "topic", NULL, REQUIRED),
    FIELD(struct queue_request, queue_id, "queueId", NULL, REQUIRED),
};
const struct header queue_request_header = HEADER(struct queue_request, queue_request_fields);

static const struct field search_offset_request_fields[] = {
    FIELD(struct search_offset_request, topic, "topic", NULL, REQUIRED),
    FIELD(struct search_offset_request, queue_id, "queueId", NULL, REQUIRED),
    FIELD(struct search_offset_request, timestamp, "timestamp", NULL, REQUIRED),
    FIELD(struct search_offset_request, boundary_type, "boundaryType", NULL, 0),
};
const struct header search_offset_request_header =
    HEADER(struct search_offset_request, search_offset_request_fields);

static const struct field timestamp_response_fields[] = {
    FIELD(struct timestamp_response, timestamp, "timestamp", NULL, 0),
};
const struct header timestamp_response_header =
    HEADER(struct timestamp_response, timestamp_response_fields);

static const struct field view_message_request_fields[] = {
    FIELD(struct view_message_request, topic, "topic", NULL, 0),
    FIELD(struct view_message_request, offset, "offset", NULL, REQUIRED),
};
const struct header view_message_request_header =
    HEADER(struct view_message_request, view_message_request_fields);

#define F(member, wire, flags) FIELD(struct query_message_request, member, wire, NULL, flags)
static const struct field query_message_request_fields[] = {
    F(topic, "topic", REQUIRED),
    F(key, "key", 0),
    F(max_num, "maxNum", REQUIRED),
    F(begin_timestamp, "beginTimestamp", REQUIRED),
    F(end_timestamp, "endTimestamp", REQUIRED),
    F(unique_key_query, "_UNIQUE_KEY_QUERY", 0),
};
#undef F
const struct header query_message_request_header =
    HEADER(struct query_message_request, query_message_request_fields);

static const struct field query_message_response_fields[] = {
    FIELD(struct query_message_response, index_last_update_timestamp,
          "indexLastUpdateTimestamp", NULL, 0),
    FIELD(struct query_message_response, index_last_update_phyoffset,
          "indexLastUpdatePhyoffset", NULL, 0),
};
const struct header query_message_response_header =
    HEADER(struct query_message_response, query_message_response_fields);

#define F(member, wire) FIELD(struct query_queue_request, member, wire, NULL, 0)
static const struct field query_queue_request_fields[] = {
    F(topic, "topic"),
    F(queue_id, "queueId"),
    F(index, "index"),
    F(count, "count"),
    F(consumer_group, "consumerGroup"),
};
#undef F
const struct header query_queue_request_header =
    HEADER(struct query_queue_request, query_queue_request_fields);
