#include "proto/hdr_topic.h"

static const struct field topic_request_fields[] = {
    FIELD(struct topic_request, topic, "topic", NULL, 0),
    FIELD(struct topic_request, cluster_name, "clusterName", NULL, 0),
    FIELD(struct topic_request, accept_standard_json_only, "acceptStandardJsonOnly", NULL,
          OMIT_ZERO),
    FIELD(struct topic_request, lo, "lo", NULL, OMIT_ZERO),
};
const struct header topic_request_header = HEADER(struct topic_request, topic_request_fields);

#define F(member, wire, flags) FIELD(struct create_topic_request, member, wire, NULL, flags)
static const struct field create_topic_request_fields[] = {
    F(topic, "topic", REQUIRED),
    F(default_topic, "defaultTopic", 0),
    F(read_queue_nums, "readQueueNums", REQUIRED),
    F(write_queue_nums, "writeQueueNums", REQUIRED),
    F(perm, "perm", REQUIRED),
    F(topic_filter_type, "topicFilterType", REQUIRED),
    F(topic_sys_flag, "topicSysFlag", 0),
    F(order, "order", 0),
    F(attributes, "attributes", 0),
    F(force, "force", 0),
};
#undef F
const struct header create_topic_request_header =
    HEADER(struct create_topic_request, create_topic_request_fields);

static const struct field all_topic_config_request_fields[] = {
    FIELD(struct all_topic_config_request, topic_seq, "topicSeq", NULL, 0),
    FIELD(struct all_topic_config_request, data_version, "dataVersion", NULL, 0),
    FIELD(struct all_topic_config_request, max_topic_num, "maxTopicNum", NULL, 0),
};
const struct header all_topic_config_request_header =
    HEADER(struct all_topic_config_request, all_topic_config_request_fields);
