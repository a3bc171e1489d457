#include "broker/routes.h"

#include "broker/handlers.h"
#include "proto/code.h"
#include "proto/hdr_cluster.h"
#include "proto/hdr_consume.h"
#include "proto/hdr_group.h"
#include "proto/hdr_produce.h"
#include "proto/hdr_topic.h"

/* clang-format off */
const struct route broker_routes[] = {
    /* code                                 header                           handler                  lane       flags */
    {RQ_SEND_MESSAGE,                       &send_request_header,            send_handle,             LANE_IO,   0},
    {RQ_PULL_MESSAGE,                       &pull_request_header,            pull_handle,             LANE_IO,   ROUTE_MAIN_ONLY},
    {RQ_QUERY_MESSAGE,                      &query_message_request_header,   on_query_message,        LANE_WORK, 0},
    {RQ_QUERY_CONSUMER_OFFSET,              &query_offset_request_header,    on_query_offset,         LANE_IO,   0},
    {RQ_UPDATE_CONSUMER_OFFSET,             &update_offset_request_header,   on_update_offset,        LANE_IO,   0},
    {RQ_UPDATE_AND_CREATE_TOPIC,            &create_topic_request_header,    on_create_topic,         LANE_WORK, 0},
    {RQ_UPDATE_AND_CREATE_TOPIC_LIST,       NULL,                            on_create_topic_list,    LANE_WORK, 0},
    {RQ_GET_ALL_TOPIC_CONFIG,               &all_topic_config_request_header, on_all_topic_config,    LANE_WORK, 0},
    {RQ_GET_BROKER_CONFIG,                  NULL,                            on_broker_config,        LANE_WORK, 0},
    {RQ_GET_BROKER_RUNTIME_INFO,            NULL,                            on_runtime_info,         LANE_WORK, 0},
    {RQ_SEARCH_OFFSET_BY_TIMESTAMP,         &search_offset_request_header,   on_search_offset,        LANE_WORK, 0},
    {RQ_GET_MAX_OFFSET,                     &queue_request_header,           on_max_offset,           LANE_IO,   0},
    {RQ_GET_MIN_OFFSET,                     &queue_request_header,           on_min_offset,           LANE_IO,   0},
    {RQ_GET_EARLIEST_MSG_STORETIME,         &queue_request_header,           on_earliest_time,        LANE_WORK, 0},
    {RQ_VIEW_MESSAGE_BY_ID,                 &view_message_request_header,    on_view_message,         LANE_WORK, 0},
    {RQ_HEART_BEAT,                         NULL,                            on_heartbeat,            LANE_IO,   0},
    {RQ_CONSUMER_SEND_MSG_BACK,             &send_back_request_header,       on_send_back,            LANE_WORK, 0},
    {RQ_END_TRANSACTION,                    &end_transaction_request_header, on_end_transaction,      LANE_WORK, 0},
    {RQ_UNREGISTER_CLIENT,                  &unregister_client_request_header, on_unregister_client,  LANE_IO,   0},
    {RQ_GET_CONSUMER_LIST_BY_GROUP,         &consumer_group_request_header,  on_consumer_list,        LANE_IO,   0},
    {RQ_LOCK_BATCH_MQ,                      NULL,                            on_lock_batch,           LANE_IO,   0},
    {RQ_UNLOCK_BATCH_MQ,                    NULL,                            on_unlock_batch,         LANE_IO,   0},
    {RQ_GET_ALL_CONSUMER_OFFSET,            NULL,                            on_all_consumer_offset,  LANE_WORK, 0},
    {RQ_CHECK_CLIENT_CONFIG,                NULL,                            on_check_client_config,  LANE_IO,   0},
    {RQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, NULL,                           on_update_group,         LANE_WORK, 0},
    {RQ_GET_ALL_SUBSCRIPTIONGROUP_CONFIG,   NULL,                            on_all_groups,           LANE_WORK, 0},
    {RQ_GET_TOPIC_STATS_INFO,               &topic_request_header,           on_topic_stats,          LANE_WORK, 0},
    {RQ_GET_CONSUMER_CONNECTION_LIST,       &consumer_group_request_header,  on_consumer_connection,  LANE_WORK, 0},
    {RQ_GET_PRODUCER_CONNECTION_LIST,       &producer_group_request_header,  on_producer_connection,  LANE_WORK, 0},
    {RQ_DELETE_SUBSCRIPTIONGROUP,           &delete_group_request_header,    on_delete_group,         LANE_WORK, 0},
    {RQ_GET_CONSUME_STATS,                  &consume_stats_request_header,   on_consume_stats,        LANE_WORK, 0},
    {RQ_DELETE_TOPIC_IN_BROKER,             &topic_request_header,           on_delete_topic,         LANE_WORK, 0},
    {RQ_CLEAN_EXPIRED_CONSUMEQUEUE,         NULL,                            on_clean_queues,         LANE_WORK, 0},
    {RQ_CLEAN_UNUSED_TOPIC,                 NULL,                            on_clean_unused_topics,  LANE_WORK, 0},
    {RQ_DELETE_EXPIRED_COMMITLOG,           NULL,                            on_clean_log,            LANE_WORK, 0},
    {RQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, NULL,                      on_update_group_list,    LANE_WORK, 0},
    {RQ_QUERY_TOPIC_CONSUME_BY_WHO,         &topic_request_header,           on_topic_consume_by_who, LANE_WORK, 0},
    {RQ_GET_SYSTEM_TOPIC_LIST_FROM_BROKER,  NULL,                            on_system_topics,        LANE_WORK, 0},
    {RQ_SEND_MESSAGE_V2,                    &send_request_header,            send_handle,             LANE_IO,   ROUTE_ALIASES},
    {RQ_SEND_BATCH_MESSAGE,                 &send_request_header,            send_handle,             LANE_IO,   ROUTE_ALIASES},
    {RQ_QUERY_CONSUME_QUEUE,                &query_queue_request_header,     on_query_consume_queue,  LANE_WORK, 0},
    {RQ_RESUME_CHECK_HALF_MESSAGE,          NULL,                            on_resume_half,          LANE_WORK, 0},
    {RQ_GET_ALL_PRODUCER_INFO,              NULL,                            on_all_producers,        LANE_WORK, 0},
    {RQ_QUERY_TOPICS_BY_CONSUMER,           &group_request_header,           on_topics_by_consumer,   LANE_WORK, 0},
    {RQ_GET_TOPIC_CONFIG,                   &topic_request_header,           on_topic_config,         LANE_WORK, 0},
    {RQ_GET_SUBSCRIPTIONGROUP_CONFIG,       &group_request_header,           on_group_config,         LANE_WORK, 0},
    {RQ_LITE_PULL_MESSAGE,                  &pull_request_header,            pull_handle,             LANE_IO,   ROUTE_MAIN_ONLY},
    /* Translune's own */
    {RQ_PUT_SCRIPT,                         &script_request_header,          on_put_script,           LANE_WORK, 0},
    {RQ_GET_SCRIPT,                         &script_request_header,          on_get_script,           LANE_WORK, 0},
    {RQ_LIST_SCRIPTS,                       &script_request_header,          on_list_scripts,         LANE_WORK, 0},
    {RQ_DELETE_SCRIPT,                      &script_request_header,          on_delete_script,        LANE_WORK, 0},
    {RQ_ROLLBACK_SCRIPT,                    &script_request_header,          on_rollback_script,      LANE_WORK, 0},
    {RQ_BIND_SCRIPT,                        &script_bind_request_header,     on_bind_script,          LANE_WORK, 0},
    {RQ_UNBIND_SCRIPT,                      &script_bind_request_header,     on_unbind_script,        LANE_WORK, 0},
};
/* clang-format on */
const size_t broker_routes_count = sizeof(broker_routes) / sizeof(broker_routes[0]);
