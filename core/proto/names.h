/*
 * names - topic and group name rules, well-known names (TopicValidator, MixAll)
 */
#ifndef PROTO_NAMES_H
#define PROTO_NAMES_H

#include <stdbool.h>

#include "base/str.h"

#define NAME_TBW102           "TBW102"
#define NAME_SCHEDULE_TOPIC   "SCHEDULE_TOPIC_XXXX"
#define NAME_HALF_TOPIC       "RMQ_SYS_TRANS_HALF_TOPIC"
#define NAME_OP_HALF_TOPIC    "RMQ_SYS_TRANS_OP_HALF_TOPIC"
#define NAME_RETRY_PREFIX     "%RETRY%"
#define NAME_DLQ_PREFIX       "%DLQ%"
#define NAME_SYS_GROUP_PREFIX "CID_RMQ_SYS_"

enum { NAME_TOPIC_MAX = 127, NAME_RETRY_TOPIC_MAX = 255, NAME_GROUP_MAX = 120 };

/* 0, or TL_EINVAL with the validator's text (as 5.3.3 words it). */
int names_check_topic(struct tl_str topic);
int names_check_group(struct tl_str group);
/* One of the fixed system topics, or rmq_sys_...; the run-time ones (cluster, broker) are the
 * broker's to know. */
bool names_is_system_topic(struct tl_str topic);
/* Clients may not send to it. */
bool names_is_send_forbidden(struct tl_str topic);
bool names_is_retry(struct tl_str topic);
bool names_is_dlq(struct tl_str topic);

#endif
