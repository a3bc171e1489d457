/*
 * topic - TopicConfig, SubscriptionGroupConfig, DataVersion and their JSON
 *
 * In memory, in config/topics.json and config/subscriptionGroup.json, in REGISTER_BROKER and in
 * admin bodies it is the same object.  Unknown members are ignored.
 */
#ifndef PROTO_TOPIC_H
#define PROTO_TOPIC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct data_version {
    int64_t counter, state_version, timestamp;
};
json_t *data_version_to_json(const struct data_version *v);
void data_version_from_json(struct data_version *v, const json_t *o);
void data_version_bump(struct data_version *v, int64_t now_ms);
bool data_version_eq(const struct data_version *a, const struct data_version *b);

enum topic_filter_type { TOPIC_SINGLE_TAG, TOPIC_MULTI_TAG };

struct topic_config {
    char *name; /* owned */
    int32_t read_queue_nums, write_queue_nums, perm, sys_flag;
    enum topic_filter_type filter_type;
    bool order;
    json_t *attributes; /* object of strings; owned reference, never NULL */
};

void topic_config_init(struct topic_config *t, struct tl_str name, int32_t queues,
                       int32_t perm);
void topic_config_release(struct topic_config *t);
void topic_config_copy(struct topic_config *dst, const struct topic_config *src);
bool topic_config_eq(const struct topic_config *a, const struct topic_config *b);
json_t *topic_config_to_json(const struct topic_config *t);
/* TL_EFORMAT when it has no topicName or more queues than there may be. */
int topic_config_from_json(struct topic_config *t, const json_t *o);
/* "TopicConfig [topicName=T, ...]" as Java's toString: it stands in a remark of SEND. */
void topic_config_text(const struct topic_config *t, struct strbuf *out);
/*
 * Apply "+message.type=FIFO,-x" (TopicAttributes, AttributeUtil).  @create: only '+' is allowed.
 * TL_EFORMAT with the text for an unknown key, an illegal value, a change of an immutable one; what
 * came before it is changed then.
 */
int topic_attributes_apply(json_t *attributes, struct tl_str change, bool create);

struct group_config {
    char *name; /* owned */
    bool consume_enable, consume_from_min_enable, consume_broadcast_enable,
        consume_message_orderly;
    bool notify_consumer_ids_changed_enable;
    int32_t retry_queue_nums, retry_max_times, group_sys_flag, consume_timeout_minute;
    int64_t broker_id, which_broker_when_consume_slowly;
    json_t *attributes;    /* owned, never NULL */
    json_t *retry_policy;  /* groupRetryPolicy object; owned, NULL = none */
    json_t *subscriptions; /* subscriptionDataSet array, or NULL */
};

void group_config_init(struct group_config *g,
                       struct tl_str name); /* defaults of SubscriptionGroupConfig */
void group_config_release(struct group_config *g);
void group_config_copy(struct group_config *dst, const struct group_config *src);
json_t *group_config_to_json(const struct group_config *g);
int group_config_from_json(struct group_config *g, const json_t *o);

#endif
