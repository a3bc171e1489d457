#include "proto/hdr_produce.h"

#define S(member, wire, alias, flags) FIELD(struct send_request, member, wire, alias, flags)
static const struct field send_request_fields[] = {
    FIELD_DEF(struct send_request, max_reconsume_times, "maxReconsumeTimes", "l", NUMBER, -1),
    S(producer_group, "producerGroup", "a", 0),
    S(topic, "topic", "b", REQUIRED),
    S(default_topic, "defaultTopic", "c", 0),
    S(default_topic_queue_nums, "defaultTopicQueueNums", "d", NUMBER),
    S(queue_id, "queueId", "e", REQUIRED | NUMBER),
    S(sys_flag, "sysFlag", "f", REQUIRED | NUMBER),
    S(born_timestamp, "bornTimestamp", "g", REQUIRED | NUMBER),
    S(flag, "flag", "h", REQUIRED | NUMBER),
    S(properties, "properties", "i", 0),
    S(reconsume_times, "reconsumeTimes", "j", NUMBER),
    S(unit_mode, "unitMode", "k", 0),
    S(batch, "batch", "m", 0),
    S(broker_name, "bname", "n", 0),
};
#undef S
const struct header send_request_header =
    HEADER_PRESENT(struct send_request, send_request_fields);

bool send_request_has_max_reconsume(const struct send_request *h)
{
    return h->present & SEND_HAS_MAX_RECONSUME_TIMES;
}

#define S(member, wire) FIELD(struct send_response, member, wire, NULL, 0)
static const struct field send_response_fields[] = {
    S(queue_id, "queueId"),          S(msg_id, "msgId"),
    S(trace_on, "TRACE_ON"),         S(msg_region, "MSG_REGION"),
    S(queue_offset, "queueOffset"),  S(transaction_id, "transactionId"),
    S(batch_uniq_id, "batchUniqId"), S(recall_handle, "recallHandle"),
};
#undef S
const struct header send_response_header = HEADER(struct send_response, send_response_fields);

#define S(member, wire, flags) FIELD(struct send_back_request, member, wire, NULL, flags)
enum { SEND_BACK_HAS_MAX_RECONSUME = 1 << 0 }; /* the first field */
static const struct field send_back_request_fields[] = {
    S(max_reconsume_times, "maxReconsumeTimes", 0),
    S(offset, "offset", REQUIRED),
    S(group, "group", REQUIRED),
    S(delay_level, "delayLevel", REQUIRED),
    S(origin_msg_id, "originMsgId", 0),
    S(origin_topic, "originTopic", 0),
    S(unit_mode, "unitMode", 0),
};
#undef S
const struct header send_back_request_header =
    HEADER_PRESENT(struct send_back_request, send_back_request_fields);

bool send_back_request_has_max_reconsume(const struct send_back_request *h)
{
    return h->present & SEND_BACK_HAS_MAX_RECONSUME;
}

#define S(member, wire, flags) FIELD(struct end_transaction_request, member, wire, NULL, flags)
static const struct field end_transaction_request_fields[] = {
    S(topic, "topic", 0),
    S(producer_group, "producerGroup", REQUIRED),
    S(tran_state_table_offset, "tranStateTableOffset", REQUIRED),
    S(commit_log_offset, "commitLogOffset", REQUIRED),
    S(commit_or_rollback, "commitOrRollback", REQUIRED),
    S(from_transaction_check, "fromTransactionCheck", 0),
    S(msg_id, "msgId", REQUIRED),
    S(transaction_id, "transactionId", 0),
};
#undef S
const struct header end_transaction_request_header =
    HEADER(struct end_transaction_request, end_transaction_request_fields);

#define S(member, wire) FIELD(struct check_transaction_request, member, wire, NULL, 0)
static const struct field check_transaction_request_fields[] = {
    S(topic, "topic"),
    S(tran_state_table_offset, "tranStateTableOffset"),
    S(commit_log_offset, "commitLogOffset"),
    S(msg_id, "msgId"),
    S(transaction_id, "transactionId"),
    S(offset_msg_id, "offsetMsgId"),
    S(broker_name, "bname"),
};
#undef S
const struct header check_transaction_request_header =
    HEADER(struct check_transaction_request, check_transaction_request_fields);
