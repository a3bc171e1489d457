/*
 * handlers - every request handler of the broker, by file
 *
 * routes.c has the table.  ctx is struct broker.
 */
#ifndef BROKER_HANDLERS_H
#define BROKER_HANDLERS_H

struct request;

/* send.c */
void send_handle(void *ctx, struct request *rq);
/* pull.c */
void pull_handle(void *ctx, struct request *rq);
/* on_client.c: heartbeat, unregister, list, client config check */
void on_heartbeat(void *ctx, struct request *rq);
void on_unregister_client(void *ctx, struct request *rq);
void on_consumer_list(void *ctx, struct request *rq);
void on_check_client_config(void *ctx, struct request *rq);
/* on_offset.c: 14, 15, 29, 30, 31, 32, 33, 43 */
void on_query_offset(void *ctx, struct request *rq);
void on_update_offset(void *ctx, struct request *rq);
void on_search_offset(void *ctx, struct request *rq);
void on_max_offset(void *ctx, struct request *rq);
void on_min_offset(void *ctx, struct request *rq);
void on_earliest_time(void *ctx, struct request *rq);
void on_view_message(void *ctx, struct request *rq);
void on_all_consumer_offset(void *ctx, struct request *rq);
/* txn.c: 37, 323 */
void on_end_transaction(void *ctx, struct request *rq);
void on_resume_half(void *ctx, struct request *rq);
/* retry.c: 36 */
void on_send_back(void *ctx, struct request *rq);
/* on_query.c: 12, 321 */
void on_query_message(void *ctx, struct request *rq);
void on_query_consume_queue(void *ctx, struct request *rq);
/* on_lock.c: 41, 42 (RebalanceLockManager) */
void on_lock_batch(void *ctx, struct request *rq);
void on_unlock_batch(void *ctx, struct request *rq);
/* on_topic.c: 17, 18, 21, 215, 351, 202, 305, 300, 343 */
void on_create_topic(void *ctx, struct request *rq);
void on_create_topic_list(void *ctx, struct request *rq);
void on_all_topic_config(void *ctx, struct request *rq);
void on_delete_topic(void *ctx, struct request *rq);
void on_topic_config(void *ctx, struct request *rq);
void on_topic_stats(void *ctx, struct request *rq);
void on_system_topics(void *ctx, struct request *rq);
void on_topic_consume_by_who(void *ctx, struct request *rq);
void on_topics_by_consumer(void *ctx, struct request *rq);
/* on_group.c: 200, 225, 201, 207, 352, 208, 203, 204, 328 */
void on_update_group(void *ctx, struct request *rq);
void on_update_group_list(void *ctx, struct request *rq);
void on_all_groups(void *ctx, struct request *rq);
void on_delete_group(void *ctx, struct request *rq);
void on_group_config(void *ctx, struct request *rq);
void on_consume_stats(void *ctx, struct request *rq);
void on_consumer_connection(void *ctx, struct request *rq);
void on_producer_connection(void *ctx, struct request *rq);
void on_all_producers(void *ctx, struct request *rq);
/* on_broker.c: 26, 28, 306, 316, 329 */
void on_broker_config(void *ctx, struct request *rq);
void on_runtime_info(void *ctx, struct request *rq);
void on_clean_queues(void *ctx, struct request *rq);
void on_clean_unused_topics(void *ctx, struct request *rq);
void on_clean_log(void *ctx, struct request *rq);
/* scripts.c: 40001.. */
void on_put_script(void *ctx, struct request *rq);
void on_get_script(void *ctx, struct request *rq);
void on_list_scripts(void *ctx, struct request *rq);
void on_delete_script(void *ctx, struct request *rq);
void on_rollback_script(void *ctx, struct request *rq);
void on_bind_script(void *ctx, struct request *rq);
void on_unbind_script(void *ctx, struct request *rq);

#endif
