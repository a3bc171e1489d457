/*
 * offsets - consumer offsets: "topic@group" -> queue -> next offset; config/consumerOffset.json
 *           (ConsumerOffsetManager)
 *
 * 64 stripes, a mutex each.  Saved every flushConsumerOffsetInterval and at stop.
 */
#ifndef BROKER_OFFSETS_H
#define BROKER_OFFSETS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "proto/topic.h"

struct offsets;

int offsets_open(struct offsets **out, const char *config_dir);
void offsets_close(struct offsets *o); /* saves */

/* -1 when unknown.  Any thread. */
int64_t offsets_query(struct offsets *o, struct tl_str group, struct tl_str topic,
                      int32_t queue_id);
/*
 * Stored as given, also when smaller (the client's decision; logged).  Any thread; does not
 * block.
 */
void offsets_commit(struct offsets *o, struct tl_str group, struct tl_str topic,
                    int32_t queue_id, int64_t offset);
/*
 * What the group asked for last (pull offset), in memory only: for consumerProgress'
 * inflight.
 */
void offsets_pulled(struct offsets *o, struct tl_str group, struct tl_str topic,
                    int32_t queue_id, int64_t offset);
int64_t offsets_query_pulled(struct offsets *o, struct tl_str group, struct tl_str topic,
                             int32_t queue_id);

void offsets_drop_topic(struct offsets *o, struct tl_str topic);
void offsets_drop_group(struct offsets *o, struct tl_str group);
/* Walk all; cb must not call offsets. */
void offsets_each(struct offsets *o,
                  void (*cb)(void *arg, struct tl_str topic, struct tl_str group,
                             int32_t queue_id, int64_t offset),
                  void *arg);
void offsets_persist(struct offsets *o); /* if changed; blocks */

/*
 * {"topic@group":{"0":5}}: the offsetTable of the file and of GET_ALL_CONSUMER_OFFSET;
 * owned.  *changes (may be NULL): a number that grows with every change in it.
 */
json_t *offsets_table(struct offsets *o, uint64_t *changes);
void offsets_version(struct offsets *o, struct data_version *out);

#endif
