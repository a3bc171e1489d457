#include "proto/hdr_cluster.h"

#define F(member, wire, flags) FIELD(struct register_broker_request, member, wire, NULL, flags)
static const struct field register_broker_request_fields[] = {
    F(broker_name, "brokerName", REQUIRED),
    F(broker_addr, "brokerAddr", 0),
    F(cluster_name, "clusterName", REQUIRED),
    F(ha_server_addr, "haServerAddr", 0),
    F(broker_id, "brokerId", REQUIRED),
    F(heartbeat_timeout_ms, "heartbeatTimeoutMillis", OMIT_ZERO),
    F(enable_acting_master, "enableActingMaster", 0),
    F(compressed, "compressed", 0),
    F(body_crc32, "bodyCrc32", 0),
};
#undef F
const struct header register_broker_request_header =
    HEADER_PRESENT(struct register_broker_request, register_broker_request_fields);

static const struct field register_broker_response_fields[] = {
    FIELD(struct register_broker_response, ha_server_addr, "haServerAddr", NULL, 0),
    FIELD(struct register_broker_response, master_addr, "masterAddr", NULL, 0),
};
const struct header register_broker_response_header =
    HEADER(struct register_broker_response, register_broker_response_fields);

#define F(member, wire) FIELD(struct broker_request, member, wire, NULL, 0)
static const struct field broker_request_fields[] = {
    F(broker_name, "brokerName"),
    F(broker_addr, "brokerAddr"),
    F(cluster_name, "clusterName"),
    F(broker_id, "brokerId"),
};
#undef F
const struct header broker_request_header =
    HEADER(struct broker_request, broker_request_fields);

#define F(member, wire, flags) FIELD(struct broker_heartbeat_request, member, wire, NULL, flags)
static const struct field broker_heartbeat_request_fields[] = {
    F(cluster_name, "clusterName", REQUIRED),
    F(broker_addr, "brokerAddr", REQUIRED),
    F(broker_name, "brokerName", 0),
    F(broker_id, "brokerId", 0),
    F(heartbeat_timeout_ms, "heartbeatTimeoutMills", OMIT_ZERO),
};
#undef F
const struct header broker_heartbeat_request_header =
    HEADER(struct broker_heartbeat_request, broker_heartbeat_request_fields);

static const struct field broker_name_request_fields[] = {
    FIELD(struct broker_name_request, broker_name, "brokerName", NULL, 0),
    FIELD(struct broker_name_request, cluster_name, "clusterName", NULL, 0),
};
const struct header broker_name_request_header =
    HEADER(struct broker_name_request, broker_name_request_fields);

static const struct field count_response_fields[] = {
    FIELD(struct count_response, wipe_topic_count, "wipeTopicCount", NULL, 0),
    FIELD(struct count_response, add_topic_count, "addTopicCount", NULL, 0),
};
const struct header count_response_header =
    HEADER(struct count_response, count_response_fields);

static const struct field changed_response_fields[] = {
    FIELD(struct changed_response, changed, "changed", NULL, 0),
};
const struct header changed_response_header =
    HEADER(struct changed_response, changed_response_fields);

static const struct field kv_request_fields[] = {
    FIELD(struct kv_request, namespace_, "namespace", NULL, 0),
    FIELD(struct kv_request, key, "key", NULL, 0),
    FIELD(struct kv_request, value, "value", NULL, 0),
};
const struct header kv_request_header = HEADER(struct kv_request, kv_request_fields);

static const struct field value_response_fields[] = {
    FIELD(struct value_response, value, "value", NULL, 0),
};
const struct header value_response_header =
    HEADER(struct value_response, value_response_fields);

static const struct field cluster_request_fields[] = {
    FIELD(struct cluster_request, cluster, "cluster", NULL, 0),
};
const struct header cluster_request_header =
    HEADER(struct cluster_request, cluster_request_fields);

static const struct field version_response_fields[] = {
    FIELD(struct version_response, version, "version", NULL, 0),
};
const struct header version_response_header =
    HEADER(struct version_response, version_response_fields);
