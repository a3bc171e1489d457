/*
 * client - a RocketMQ client for tools and tests: routes, brokers, blocking calls
 *
 * One reactor thread, a channel per address, a route cache.  All functions block and are called
 * from the tool's own thread.  Failures carry "CODE: n DESC: remark" of the server in the text.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <jansson.h>
#include <stdint.h>

#include "base/str.h"
#include "proto/record.h"
#include "proto/route.h"
#include "remoting/channel.h"

struct client;

/* @namesrv "h:p;h:p" (or ','): tried in turn.  @client_id NULL = ip@pid.  TL_EINVAL. */
int client_open(struct client **out, const char *namesrv, const char *client_id);
void client_close(struct client *c);
const char *client_id(const struct client *c);

struct client_reply {
    struct arena arena;
    struct command cmd; /* slices live in arena */
};
void client_reply_release(struct client_reply *r);

/*
 * One request to @addr, or to a name server that answers (client_call_namesrv).  0 when the answer
 * has code 0 (or one of the @ok_codes, -1 ends the list; NULL = only 0); TL_E... otherwise, with
 * "CODE: n DESC: remark".  @out->cmd.code tells the code either way when an answer came.
 */
int client_call(struct client *c, const char *addr, const struct channel_call *call,
                const int *ok_codes, struct client_reply *out);
int client_call_namesrv(struct client *c, const struct channel_call *call, const int *ok_codes,
                        struct client_reply *out);
void client_set_timeout(struct client *c, int32_t ms); /* default 5000 */

/* Owned route (topic_route_release); TL_ENOTOPIC when the name server has none. */
int client_route(struct client *c, struct tl_str topic, struct topic_route *out);

struct client_send {
    struct tl_str topic, body,
        properties; /* properties encoded; UNIQ_KEY is added when absent */
    struct tl_str producer_group;
    int32_t queue_id;          /* -1 = round robin over the route's queues */
    struct tl_str broker_name; /* absent = any */
    int32_t flag, sys_flag;
};
struct client_sent {
    char msg_id[64], offset_msg_id[64], broker_name[128];
    int32_t queue_id, code; /* code: 0, 10, 11, 12 */
    int64_t queue_offset;
};
/* Sends to an unknown topic go by the route of TBW102, as stock producers do. */
int client_send(struct client *c, const struct client_send *m, struct client_sent *out);

struct client_pull {
    const char *addr;
    struct tl_str group, topic, expression;
    int32_t queue_id, max_nums;
    int64_t offset, suspend_ms; /* suspend_ms 0 = answer at once */
};
struct client_pulled {
    int32_t code; /* 0 found, 19, 20, 21 */
    int64_t next_offset, min_offset, max_offset;
    struct tl_str records; /* concatenated; in reply */
    struct client_reply reply;
};
int client_pull(struct client *c, const struct client_pull *p, struct client_pulled *out);

/* offsets of a queue: GET_MAX_OFFSET etc. */
int client_queue_offset(struct client *c, const char *addr, int32_t code, struct tl_str topic,
                        int32_t queue_id, int64_t timestamp, int64_t *out);

/* Master addresses of a cluster's brokers: {"broker-a": "ip:port"}; owned json. */
int client_cluster_masters(struct client *c, const char *cluster, json_t **out);

#endif
