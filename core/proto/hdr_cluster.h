/*
 * hdr_cluster - headers between brokers, tools and the name server
 */
#ifndef PROTO_HDR_CLUSTER_H
#define PROTO_HDR_CLUSTER_H

#include "proto/header.h"

struct register_broker_request { /* 103 */
    struct tl_str broker_name, broker_addr, cluster_name, ha_server_addr;
    int64_t broker_id, heartbeat_timeout_ms;
    int32_t body_crc32;
    bool compressed, enable_acting_master;
    uint64_t present;
};
extern const struct header register_broker_request_header;

struct register_broker_response {
    struct tl_str ha_server_addr, master_addr;
};
extern const struct header register_broker_response_header;

struct broker_request { /* 104, 322 */
    struct tl_str broker_name, broker_addr, cluster_name;
    int64_t broker_id;
};
extern const struct header broker_request_header;

struct broker_heartbeat_request { /* 904 */
    struct tl_str cluster_name, broker_addr, broker_name;
    int64_t broker_id, heartbeat_timeout_ms;
};
extern const struct header broker_heartbeat_request_header;

struct broker_name_request { /* 205, 327, 901 */
    struct tl_str broker_name, cluster_name;
};
extern const struct header broker_name_request_header;

struct count_response { /* 205 wipeTopicCount, 327 addTopicCount: only one is written */
    struct tl_str wipe_topic_count, add_topic_count;
};
extern const struct header count_response_header;

struct changed_response { /* 322 */
    bool changed;
};
extern const struct header changed_response_header;

struct kv_request { /* 100, 101, 102, 219 */
    struct tl_str namespace_, key, value;
};
extern const struct header kv_request_header;

struct value_response { /* 101 */
    struct tl_str value;
};
extern const struct header value_response_header;

struct cluster_request { /* 224 */
    struct tl_str cluster;
};
extern const struct header cluster_request_header;

struct version_response { /* 26: DataVersion as JSON text */
    struct tl_str version;
};
extern const struct header version_response_header;

#endif
