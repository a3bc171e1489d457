/*
 * hdr_group - headers about clients, groups and scripts
 */
#ifndef PROTO_HDR_GROUP_H
#define PROTO_HDR_GROUP_H

#include "proto/header.h"

struct heartbeat_response { /* 34 */
    struct tl_str is_support_heart_beat_v2, is_sub_change;
};
extern const struct header heartbeat_response_header;

struct unregister_client_request { /* 35 */
    struct tl_str client_id, producer_group, consumer_group;
};
extern const struct header unregister_client_request_header;

struct consumer_group_request { /* 38, 203, 40: consumerGroup! */
    struct tl_str consumer_group;
};
extern const struct header consumer_group_request_header;

struct producer_group_request { /* 204: producerGroup! */
    struct tl_str producer_group;
};
extern const struct header producer_group_request_header;

struct group_request { /* 352, 343: group! */
    struct tl_str group;
};
extern const struct header group_request_header;

struct delete_group_request { /* 207 */
    struct tl_str group_name;
    bool clean_offset;
};
extern const struct header delete_group_request_header;

struct consume_stats_request { /* 208 */
    struct tl_str consumer_group, topic, topic_list;
};
extern const struct header consume_stats_request_header;

/* ---- scripts: codes of Translune's own, 40001..40006 --------------------------------------- */

struct script_request { /* PUT (body = source), GET, DELETE, ROLLBACK, STATUS (name optional) */
    struct tl_str name;
    struct tl_str actor; /* who deploys, for the audit line; may be absent */
};
extern const struct header script_request_header;

struct script_bind_request {    /* BIND, UNBIND */
    struct tl_str group, topic; /* topic absent = all topics of the group */
    struct tl_str script, args; /* args: "region=eu,min=100" */
    struct tl_str policy;       /* open | closed; absent = the hook's default */
    struct tl_str actor;
};
extern const struct header script_bind_request_header;

#endif
