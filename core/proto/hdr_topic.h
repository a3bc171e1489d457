/*
 * hdr_topic - headers about topics (CreateTopicRequestHeader and the small ones)
 */
#ifndef PROTO_HDR_TOPIC_H
#define PROTO_HDR_TOPIC_H

#include "proto/header.h"

struct
    topic_request { /* 105 (ns), 202, 215, 216, 300, 351: topic; absence is the handler's business */
    struct tl_str topic, cluster_name;
    bool accept_standard_json_only, lo;
};
extern const struct header topic_request_header;

struct create_topic_request { /* 17 */
    struct tl_str topic, default_topic, topic_filter_type, attributes;
    int32_t read_queue_nums, write_queue_nums, perm, topic_sys_flag;
    bool order, force;
};
extern const struct header create_topic_request_header;

struct all_topic_config_request { /* 21 */
    struct tl_str data_version;
    int32_t topic_seq, max_topic_num;
};
extern const struct header all_topic_config_request_header;

#endif
