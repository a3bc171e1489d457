/*
 * topology - clusters, brokers, topics: who is where (RouteInfoManager)
 *
 * Everything under one read-write lock: routes are read far more often than brokers register.
 */
#ifndef NAMESRV_TOPOLOGY_H
#define NAMESRV_TOPOLOGY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "proto/bodies.h"
#include "proto/route.h"

struct topology;

enum { TOPOLOGY_EXPIRY_MS = 120000 };

struct topology *topology_new(void);
void topology_free(struct topology *t);

struct topology_broker {
    struct tl_str cluster, name, addr, ha_addr;
    int64_t id, heartbeat_timeout_ms; /* 0 = TOPOLOGY_EXPIRY_MS */
    bool enable_acting_master;
};

/*
 * REGISTER_BROKER.  *master_addr, *ha_addr: owned text of the group's master for a replica, else NULL.
 * @conn: conn_id() of the connection it came by.  @drop_missing: topics not in @r leave the route.  0, or TL_EINVAL "register broker failed" for a first registration
 * with a single topic.
 */
int topology_register(struct topology *t, const struct topology_broker *b,
                      const struct registration *r, bool drop_missing, uint64_t conn,
                      char **master_addr, char **ha_addr);
/* UNREGISTER_BROKER: @addr goes, whatever its id. */
void topology_unregister(struct topology *t, struct tl_str cluster, struct tl_str name,
                         struct tl_str addr);
void topology_disconnect(struct topology *t, uint64_t conn);
/* Remove brokers that were silent for too long; how many. */
int topology_expire(struct topology *t, int64_t now_ms);
/* BROKER_HEARTBEAT: false when the address is not registered. */
bool topology_touch(struct topology *t, struct tl_str cluster, struct tl_str addr);
/* The data version registered last by @addr; false when unknown. */
bool topology_version(struct topology *t, struct tl_str cluster, struct tl_str addr,
                      struct data_version *out);

/* Owned route; false when no live broker has the topic. */
bool topology_route(struct topology *t, struct tl_str topic, struct topic_route *out);
json_t *topology_clusters(struct topology *t); /* 106, owned */
json_t *topology_members(struct topology *t, struct tl_str cluster,
                         struct tl_str name); /* 901, owned */
/* Names of topics: all; of a cluster; with (@set) and without (@clear) bits of topicSysFlag.  Owned arrays. */
json_t *topology_topics(struct topology *t);
json_t *topology_topics_of(struct topology *t, struct tl_str cluster);
json_t *topology_topics_by_flag(struct topology *t, int32_t set, int32_t clear);
/* Cluster and broker names; *addr: owned address of some broker, or NULL. */
json_t *topology_system_topics(struct topology *t, char **addr);
void topology_delete_topic(struct topology *t, struct tl_str topic, struct tl_str cluster);
void topology_add_topic(struct topology *t, struct tl_str topic,
                        const struct topic_route *queues);
/* Take (@wipe) or give the write permission of all topics of a broker; how many topics. */
int topology_write_perm(struct topology *t, struct tl_str broker, bool wipe);

#endif
