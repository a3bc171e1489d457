/*
 * groups - subscription groups: lookup, automatic creation, config/subscriptionGroup.json
 *          (SubscriptionGroupManager)
 */
#ifndef BROKER_GROUPS_H
#define BROKER_GROUPS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/snapshot.h"
#include "base/str.h"
#include "proto/topic.h"

struct groups;
struct broker_conf;

int groups_open(struct groups **out, const struct broker_conf *conf, const char *config_dir);
void groups_close(struct groups *g);

/*
 * The group's settings; an unknown one with a valid name is created when
 * autoCreateSubscriptionGroup (or it is a system group).  NULL = unknown.  Valid until the
 * cache is used again.  Does not block.
 */
const struct group_config *groups_find(struct groups *g, struct snapshot_cache *cache,
                                       struct tl_str name);
/* Is it known already?  Never creates. */
bool groups_exists(struct groups *g, struct snapshot_cache *cache, struct tl_str name);
/* Any thread: as groups_find but a copy the caller releases; @create false = never create. */
bool groups_copy(struct groups *g, struct tl_str name, bool create, struct group_config *out);
int groups_update(struct groups *g, const struct group_config *config); /* blocks */
int groups_delete(struct groups *g, struct tl_str name); /* blocks; 0 also when unknown */
void groups_version(struct groups *g, struct data_version *out);
void groups_each(struct groups *g, void (*cb)(void *arg, const struct group_config *c),
                 void *arg);
/* forbiddenTable as kept in the file (group -> topic -> bits); owned copy. */
json_t *groups_forbidden(struct groups *g);
void groups_persist(struct groups *g);

#endif
