#include "proto/hdr_group.h"

static const struct field heartbeat_response_fields[] = {
    FIELD(struct heartbeat_response, is_support_heart_beat_v2, "IS_SUPPORT_HEART_BEAT_V2", NULL,
          0),
    FIELD(struct heartbeat_response, is_sub_change, "IS_SUB_CHANGE", NULL, 0),
};
const struct header heartbeat_response_header =
    HEADER(struct heartbeat_response, heartbeat_response_fields);

static const struct field unregister_client_request_fields[] = {
    FIELD(struct unregister_client_request, client_id, "clientID", NULL, 0),
    FIELD(struct unregister_client_request, producer_group, "producerGroup", NULL, 0),
    FIELD(struct unregister_client_request, consumer_group, "consumerGroup", NULL, 0),
};
const struct header unregister_client_request_header =
    HEADER(struct unregister_client_request, unregister_client_request_fields);

static const struct field consumer_group_request_fields[] = {
    FIELD(struct consumer_group_request, consumer_group, "consumerGroup", NULL, REQUIRED),
};
const struct header consumer_group_request_header =
    HEADER(struct consumer_group_request, consumer_group_request_fields);

static const struct field producer_group_request_fields[] = {
    FIELD(struct producer_group_request, producer_group, "producerGroup", NULL, REQUIRED),
};
const struct header producer_group_request_header =
    HEADER(struct producer_group_request, producer_group_request_fields);

static const struct field group_request_fields[] = {
    FIELD(struct group_request, group, "group", NULL, REQUIRED),
};
const struct header group_request_header = HEADER(struct group_request, group_request_fields);

static const struct field delete_group_request_fields[] = {
    FIELD(struct delete_group_request, group_name, "groupName", NULL, REQUIRED),
    FIELD(struct delete_group_request, clean_offset, "cleanOffset", NULL, 0),
};
const struct header delete_group_request_header =
    HEADER(struct delete_group_request, delete_group_request_fields);

static const struct field consume_stats_request_fields[] = {
    FIELD(struct consume_stats_request, consumer_group, "consumerGroup", NULL, REQUIRED),
    FIELD(struct consume_stats_request, topic, "topic", NULL, 0),
    FIELD(struct consume_stats_request, topic_list, "topicList", NULL, 0),
};
const struct header consume_stats_request_header =
    HEADER(struct consume_stats_request, consume_stats_request_fields);

static const struct field script_request_fields[] = {
    FIELD(struct script_request, name, "name", NULL, 0),
    FIELD(struct script_request, actor, "actor", NULL, 0),
};
const struct header script_request_header =
    HEADER(struct script_request, script_request_fields);

static const struct field script_bind_request_fields[] = {
    FIELD(struct script_bind_request, group, "group", NULL, REQUIRED),
    FIELD(struct script_bind_request, topic, "topic", NULL, 0),
    FIELD(struct script_bind_request, script, "script", NULL, 0),
    FIELD(struct script_bind_request, args, "args", NULL, 0),
    FIELD(struct script_bind_request, policy, "policy", NULL, 0),
    FIELD(struct script_bind_request, actor, "actor", NULL, 0),
};
const struct header script_bind_request_header =
    HEADER(struct script_bind_request, script_bind_request_fields);
