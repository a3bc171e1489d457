/*
 * hdr_produce - headers of the producer's requests
 *
 * SendMessageRequestHeader(V2), SendMessageResponseHeader, ConsumerSendMsgBackRequestHeader,
 * EndTransactionRequestHeader.
 */
#ifndef PROTO_HDR_PRODUCE_H
#define PROTO_HDR_PRODUCE_H

#include "proto/header.h"

/* Codes 10, 324 by long names; 310, 320, 325 by aliases a..n.  producerGroup is not REQUIRED: the
 * real server takes a send without it. */
struct send_request {
    struct tl_str producer_group, topic, default_topic, properties, broker_name;
    int32_t default_topic_queue_nums, queue_id, sys_flag, flag, reconsume_times,
        max_reconsume_times;
    int64_t born_timestamp;
    bool unit_mode, batch;
    uint64_t present;
};
extern const struct header send_request_header;
/* index of fields in `present` that handlers ask for */
enum { SEND_HAS_MAX_RECONSUME_TIMES = 1 << 0, SEND_HAS_DEFAULT_QUEUES = 1 << 4 };
bool send_request_has_max_reconsume(const struct send_request *h);

struct send_response {
    struct tl_str msg_region, trace_on;   /* always written */
    struct tl_str msg_id;                 /* absent on errors, as queue_id/-offset then are */
    struct tl_str queue_id, queue_offset; /* as text, so that they can be absent */
    struct tl_str transaction_id, batch_uniq_id, recall_handle;
};
extern const struct header send_response_header;

struct send_back_request {
    int64_t offset;
    struct tl_str group, origin_msg_id, origin_topic;
    int32_t delay_level, max_reconsume_times;
    bool unit_mode;
    uint64_t present;
};
extern const struct header send_back_request_header;
bool send_back_request_has_max_reconsume(const struct send_back_request *h);

struct end_transaction_request {
    struct tl_str topic, producer_group, msg_id, transaction_id;
    int64_t tran_state_table_offset, commit_log_offset;
    int32_t commit_or_rollback;
    bool from_transaction_check;
};
extern const struct header end_transaction_request_header;

struct check_transaction_request { /* 39, broker to producer */
    struct tl_str topic, msg_id, transaction_id, offset_msg_id, broker_name;
    int64_t tran_state_table_offset, commit_log_offset;
};
extern const struct header check_transaction_request_header;

#endif
