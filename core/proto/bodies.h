/*
 * bodies (subscription_, message_queue_, consume_from_where_) - heartbeat, lock, registration bodies
 *
 * HeartbeatData in all dialects (Java, Go, C++, Node): enums by name or ordinal, numbers quoted or
 * not, absent arrays.  RegisterBrokerBody plain, compressed, or the
 * bare TopicConfigSerializeWrapper of old brokers.
 */
#ifndef PROTO_BODIES_H
#define PROTO_BODIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "proto/subscription.h"
#include "proto/topic.h"

/* -1: a name that is none, or none given; tools do not show it */
enum consume_type { CONSUME_UNKNOWN = -1, CONSUME_ACTIVELY, CONSUME_PASSIVELY, CONSUME_POP };
enum message_model { MODEL_UNKNOWN = -1, MODEL_BROADCASTING, MODEL_CLUSTERING };
/* names by ordinal, for bodies we write */
extern const char *const consume_type_names[3];
extern const char *const message_model_names[2];
extern const char *const consume_from_where_names[6];

enum { HEARTBEAT_GROUPS_MAX = 4096, HEARTBEAT_SUBSCRIPTIONS_MAX = 4096 };

struct heartbeat_consumer {
    char *group; /* owned */
    enum consume_type type;
    enum message_model model;
    int from_where; /* index of consume_from_where_names, or -1 */
    bool unit_mode;
    struct subscription *subs; /* owned */
    size_t nsubs;
};

struct heartbeat {
    char *client_id; /* owned */
    struct heartbeat_consumer *consumers;
    size_t nconsumers;
    char **producers; /* group names; owned */
    size_t nproducers;
    int32_t fingerprint;
    bool without_sub;
};

/* Owned result.  TL_EFORMAT names what is wrong; a subscription that does not parse is skipped. */
int heartbeat_parse(struct tl_str body, struct heartbeat *out);
void heartbeat_release(struct heartbeat *h);
/* For our own client: the body Java would write; appended to @out. */
void heartbeat_write(const struct heartbeat *h, struct strbuf *out);

struct registration { /* RegisterBrokerBody */
    struct data_version version;
    struct topic_config *topics; /* owned */
    size_t ntopics;
    char **filter_servers;
    size_t nfilter_servers;
};

enum { REGISTRATION_PLAIN_MAX = 64 << 20 }; /* limit of an unpacked body, bytes */

/* @compressed: the ext field; a zlib stream is recognised either way. */
int registration_parse(struct tl_str body, bool compressed, struct registration *out);
void registration_release(struct registration *r);
/* The plain JSON body; appended. */
void registration_write(const struct registration *r, struct strbuf *out);

/* LockBatchRequestBody / UnlockBatchRequestBody and the answer's body. */
struct lock_queue {
    char *topic, *broker_name; /* broker_name may be NULL: none was given */
    int32_t queue_id;
};
struct lock_body {
    char *group, *client_id;
    struct lock_queue *queues;
    size_t nqueues;
};
/* Without queues group and client may be empty. */
int lock_body_parse(struct tl_str body, struct lock_body *out);
void lock_body_release(struct lock_body *b);

/*
 * {"brokerName":"b","queueId":0,"topic":"T"}: the key object of offset tables; appended.  An absent
 * broker name is left out.
 */
void message_queue_write(struct strbuf *out, struct tl_str topic, struct tl_str broker_name,
                         int32_t queue_id);

#endif
