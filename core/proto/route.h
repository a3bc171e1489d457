/*
 * route - TopicRouteData, QueueData, BrokerData (answer of GET_ROUTEINFO_BY_TOPIC)
 */
#ifndef PROTO_ROUTE_H
#define PROTO_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct route_broker_addr {
    int64_t id;
    char *addr; /* owned */
};

struct route_broker {
    char *cluster, *name;            /* owned */
    struct route_broker_addr *addrs; /* owned, sorted by id */
    size_t naddrs;
    bool enable_acting_master;
};

struct route_queues {
    char *broker_name; /* owned */
    int32_t read_queue_nums, write_queue_nums, perm, sys_flag;
};

struct topic_route {
    struct route_broker *brokers;
    size_t nbrokers;
    struct route_queues *queues;
    size_t nqueues;
    char *order_topic_conf; /* or NULL */
};

void topic_route_release(struct topic_route *r);
/* Owned result, or TL_EFORMAT.  Takes quoted and bare integer keys. */
int topic_route_parse(struct tl_str body, struct topic_route *out);
/*
 * Append the body.  @quoted: standard JSON (quoted integer keys, non-ASCII as \uXXXX, '/' escaped), what
 * the real server answers to version >= 401 or acceptStandardJsonOnly; else fastjson's form with bare keys.
 */
void topic_route_write(const struct topic_route *r, bool quoted, struct strbuf *out);
/* The address of the master of the broker @name; NULL when there is none. */
const char *topic_route_master(const struct topic_route *r, const char *name);
/* The address of the broker with the smallest id, master first; NULL when it has none. */
const char *route_broker_addr(const struct route_broker *b);

#endif
