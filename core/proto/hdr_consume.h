/*
 * hdr_consume - headers of the consumer's requests
 *
 * PullMessageRequestHeader, PullMessageResponseHeader, Query/UpdateConsumerOffset,
 * GetMax/MinOffset, SearchOffset, GetEarliestMsgStoretime, QueryMessage, ViewMessage.
 */
#ifndef PROTO_HDR_CONSUME_H
#define PROTO_HDR_CONSUME_H

#include "proto/header.h"

struct pull_request {
    struct tl_str consumer_group, topic, subscription, expression_type;
    int32_t queue_id, max_msg_nums, sys_flag, max_msg_bytes, request_source;
    int64_t queue_offset, commit_offset, suspend_timeout_ms, sub_version;
};
extern const struct header pull_request_header;

struct pull_response {
    int64_t suggest_which_broker_id, next_begin_offset, min_offset, max_offset;
    int32_t topic_sys_flag, group_sys_flag;
};
extern const struct header pull_response_header;

struct forbidden_response { /* of a pull that is not allowed */
    int32_t forbidden_type;
};
extern const struct header forbidden_response_header;

struct query_offset_request {
    struct tl_str consumer_group, topic;
    int32_t queue_id;
    bool set_zero_if_not_found; /* default true */
};
extern const struct header query_offset_request_header;

struct offset_response { /* 14, 29, 30, 31 */
    int64_t offset;
};
extern const struct header offset_response_header;

struct update_offset_request {
    struct tl_str consumer_group, topic;
    int32_t queue_id;
    int64_t commit_offset;
    uint64_t present; /* bit 0 consumerGroup, 1 topic, 2 queueId, 3 commitOffset */
};
extern const struct header update_offset_request_header;
enum { UPDATE_HAS_QUEUE = 1 << 2, UPDATE_HAS_OFFSET = 1 << 3 };

struct queue_request { /* 30, 31, 32: topic! queueId! */
    struct tl_str topic;
    int32_t queue_id;
};
extern const struct header queue_request_header;

struct search_offset_request { /* 29 */
    struct tl_str topic, boundary_type;
    int32_t queue_id;
    int64_t timestamp;
};
extern const struct header search_offset_request_header;

struct timestamp_response { /* 32 */
    int64_t timestamp;
};
extern const struct header timestamp_response_header;

struct view_message_request { /* 33 */
    struct tl_str topic;
    int64_t offset;
};
extern const struct header view_message_request_header;

struct query_message_request { /* 12 */
    struct tl_str topic, key, unique_key_query;
    int32_t max_num;
    int64_t begin_timestamp, end_timestamp;
};
extern const struct header query_message_request_header;
struct query_queue_request { /* 321 */
    struct tl_str topic, consumer_group;
    int32_t queue_id, count;
    int64_t index;
};
extern const struct header query_queue_request_header;
struct query_message_response {
    int64_t index_last_update_timestamp, index_last_update_phyoffset;
};
extern const struct header query_message_response_header;

#endif
