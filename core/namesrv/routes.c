#include "namesrv/routes.h"

#include "namesrv/namesrv.h"
#include "proto/code.h"
#include "proto/hdr_cluster.h"
#include "proto/hdr_topic.h"

/* clang-format off */
const struct route routes_namesrv[] = {
    /* code                                 header                            handler                lane       flags */
    {RQ_PUT_KV_CONFIG,                      &kv_request_header,               ns_put_kv,             LANE_WORK, 0},
    {RQ_GET_KV_CONFIG,                      &kv_request_header,               ns_get_kv,             LANE_WORK, 0},
    {RQ_DELETE_KV_CONFIG,                   &kv_request_header,               ns_delete_kv,          LANE_WORK, 0},
    {RQ_REGISTER_BROKER,                    &register_broker_request_header,  ns_register_broker,    LANE_WORK, 0},
    {RQ_UNREGISTER_BROKER,                  &broker_request_header,           ns_unregister_broker,  LANE_WORK, 0},
    {RQ_GET_ROUTEINFO_BY_TOPIC,             &topic_request_header,            ns_route,              LANE_IO,   0},
    {RQ_GET_BROKER_CLUSTER_INFO,            NULL,                             ns_cluster_info,       LANE_IO,   0},
    {RQ_WIPE_WRITE_PERM_OF_BROKER,          &broker_name_request_header,      ns_wipe_write_perm,    LANE_WORK, 0},
    {RQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, NULL,                             ns_all_topics,         LANE_WORK, 0},
    {RQ_DELETE_TOPIC_IN_NAMESRV,            &topic_request_header,            ns_delete_topic,       LANE_WORK, 0},
    {RQ_REGISTER_TOPIC_IN_NAMESRV,          &topic_request_header,            ns_register_topic,     LANE_WORK, 0},
    {RQ_GET_KVLIST_BY_NAMESPACE,            &kv_request_header,               ns_list_kv,            LANE_WORK, 0},
    {RQ_GET_TOPICS_BY_CLUSTER,              &cluster_request_header,          ns_topics_by_cluster,  LANE_WORK, 0},
    {RQ_GET_SYSTEM_TOPIC_LIST_FROM_NS,      NULL,                             ns_system_topics,      LANE_WORK, 0},
    {RQ_GET_UNIT_TOPIC_LIST,                NULL,                             ns_unit_topics,        LANE_WORK, 0},
    {RQ_GET_HAS_UNIT_SUB_TOPIC_LIST,        NULL,                             ns_unit_topics,        LANE_WORK, 0},
    {RQ_GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST, NULL,                             ns_unit_topics,        LANE_WORK, 0},
    {RQ_UPDATE_NAMESRV_CONFIG,              NULL,                             ns_update_config,      LANE_WORK, 0},
    {RQ_GET_NAMESRV_CONFIG,                 NULL,                             ns_get_config,         LANE_WORK, 0},
    {RQ_QUERY_DATA_VERSION,                 &broker_request_header,           ns_query_data_version, LANE_WORK, 0},
    {RQ_ADD_WRITE_PERM_OF_BROKER,           &broker_name_request_header,      ns_add_write_perm,     LANE_WORK, 0},
    {RQ_GET_BROKER_MEMBER_GROUP,            &broker_name_request_header,      ns_member_group,       LANE_WORK, 0},
    {RQ_BROKER_HEARTBEAT,                   &broker_heartbeat_request_header, ns_broker_heartbeat,   LANE_WORK, 0},
};
/* clang-format on */
const size_t routes_namesrv_count = sizeof(routes_namesrv) / sizeof(routes_namesrv[0]);
