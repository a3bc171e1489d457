/*
 * clients - producers and consumers by group: heartbeats, expiry, change notices
 *           (ConsumerManager, ConsumerGroupInfo, ProducerManager)
 *
 * One table under one mutex (RANK_CLIENTS); lookups on the pull path take a counted
 * subscription. A member is (connection, client id).  When a connection closes or is silent
 * for 120 s its members leave; the remaining ones get NOTIFY_CONSUMER_IDS_CHANGED.
 */
#ifndef BROKER_CLIENTS_H
#define BROKER_CLIENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "proto/bodies.h"

struct clients;
struct conn;
struct qlock;
struct request;

struct clients *clients_new(void);
void clients_free(struct clients *c);

/* A consumer group's subscription to one topic, compiled; counted. */
struct client_sub {
    _Atomic int32_t refs;
    struct subscription sub;
};
void client_sub_unref(struct client_sub *s);

enum client_sub_status { CLIENT_SUB_OK, CLIENT_SUB_NO_GROUP, CLIENT_SUB_NO_TOPIC };
/* *out is a reference on OK.  *broadcasting: the group's message model.  Any thread. */
enum client_sub_status clients_subscription(struct clients *c, struct tl_str group,
                                            struct tl_str topic, struct client_sub **out,
                                            bool *broadcasting);
/* Is anybody of the group connected? */
bool clients_group_online(struct clients *c, struct tl_str group);
/* A connection of a member of the producer group, the one after the other as @n grows; a reference, or NULL. */
struct conn *clients_producer(struct clients *c, struct tl_str group, uint32_t n);
/* Does a connected member of the group subscribe to anything? */
bool clients_group_has_subs(struct clients *c, struct tl_str group);
/* The locks members of groups hold on queues; lives as long as @c. */
struct qlock *clients_qlock(struct clients *c);

/*
 * HEART_BEAT: take all groups of @h for the connection.  @notify(group): may members be told
 * (group settings)?  Called before the table is locked.  *sub_changed: IS_SUB_CHANGE of the
 * answer: true for a client that does not use heartbeat v2, and when its group's last
 * fingerprint differs.  Any thread.
 */
void clients_heartbeat(struct clients *c, struct conn *conn, int32_t language, int32_t version,
                       const struct heartbeat *h,
                       bool (*notify)(void *arg, struct tl_str group), void *arg,
                       bool *sub_changed);
/* UNREGISTER_CLIENT: by connection, as in Java; empty names mean none. */
void clients_unregister(struct clients *c, struct conn *conn, struct tl_str producer_group,
                        struct tl_str consumer_group);
/* The connection is gone; on its reactor. */
void clients_disconnect(struct clients *c, struct conn *conn);
/* Close connections silent for @max_ms; the service thread calls it every 10 s. */
void clients_expire(struct clients *c, int64_t max_ms);

/* {"consumerIdList":[...]} members in join order; owned; NULL when nobody. */
json_t *clients_consumer_ids(struct clients *c, struct tl_str group);
/* ConsumerConnection / ProducerConnection bodies (203, 204), owned; NULL when nobody. */
json_t *clients_consumer_connection(struct clients *c, struct tl_str group);
json_t *clients_producer_connection(struct clients *c, struct tl_str group);
/* {"data":{group:[...]}} (328); owned. */
json_t *clients_all_producers(struct clients *c);
/* Groups whose live subscription has @topic: append their names to array @groups. */
void clients_groups_of_topic(struct clients *c, struct tl_str topic, json_t *groups);

#endif
