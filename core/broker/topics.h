/*
 * topics - topic table: lookup, automatic creation, persistence in config/topics.json
 * (TopicConfigManager)
 *
 * Readers on reactors use their snapshot cache (no lock); changes build a new snapshot
 * under a lock, bump the data version, persist and tell the listener (registration at the
 * name servers).
 */
#ifndef BROKER_TOPICS_H
#define BROKER_TOPICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/snapshot.h"
#include "base/str.h"
#include "proto/topic.h"

struct topics;
struct broker_conf;

/*
 * Load @config_dir/topics.json (or .bak), add the built-in topics.  TL_ECORRUPT when
 * neither can be read. Blocks.
 */
int topics_open(struct topics **out, const struct broker_conf *conf, const char *config_dir);
void topics_close(struct topics *t); /* persists what is unsaved */
/*
 * Called after each change, any thread; must not block nor call topics: name of the topic,
 * or NULL = several. Once this returns the former @cb runs no more.
 */
void topics_on_change(struct topics *t, void (*cb)(void *arg, const char *topic), void *arg);

/* NULL = unknown.  Valid until the cache is used again.  Cache's thread. */
const struct topic_config *topics_find(struct topics *t, struct snapshot_cache *cache,
                                       struct tl_str name);
/* Any thread: a copy the caller releases; false = unknown. */
bool topics_copy(struct topics *t, struct tl_str name, struct topic_config *out);
/* Built-in or cluster/broker/reply topic: not to be created or deleted by clients. */
bool topics_is_system(struct topics *t, struct tl_str name);
/* Their names (TopicValidator's set), each once; any thread. */
void topics_each_system(struct topics *t, void (*cb)(void *arg, struct tl_str name), void *arg);

/*
 * Automatic creation on send (createTopicInSendMessageMethod): from @default_topic if it
 * exists and may be inherited; min(@queues, its write queues).  A %RETRY% topic is created
 * with one queue otherwise. 0 when it exists now; TL_ENOTOPIC.  Does not block: saving
 * follows on the service thread.  Any thread.
 */
int topics_auto_create(struct topics *t, struct tl_str name, struct tl_str default_topic,
                       int32_t queues, int32_t sys_flag);
/*
 * Make sure it exists with these settings unless it does (retry, DLQ topics).  Does not
 * block.
 */
void topics_ensure(struct topics *t, struct tl_str name, int32_t queues, int32_t perm,
                   bool order, int32_t sys_flag);
/*
 * UPDATE_AND_CREATE_TOPIC: replace or add; *changed false when identical.  Persists before
 * returning: blocks. TL_EIO when it can't be saved (the change is in force anyway).
 */
int topics_update(struct topics *t, const struct topic_config *config, bool *changed);
int topics_delete(struct topics *t, struct tl_str name); /* 0 also when unknown; blocks */

void topics_version(struct topics *t, struct data_version *out);
/* Name order; one consistent snapshot.  Any thread. */
void topics_each(struct topics *t, void (*cb)(void *arg, const struct topic_config *c),
                 void *arg);
/* Save if changed since the last save; the service thread calls it each second. Blocks. */
void topics_persist(struct topics *t);

#endif
