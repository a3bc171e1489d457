/*
 * Readers use a snapshot (nametable.h); unknown members of the file's root object are kept
 * in `rest` and written back.
 */
#include "broker/topics.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/config.h"
#include "broker/nametable.h"
#include "broker/savefile.h"
#include "proto/flags.h"
#include "proto/names.h"

#undef LOG_MODULE
#define LOG_MODULE "topics"

enum { QUEUES_CLUSTER = 16, QUEUES_BENCHMARK = 1024, QUEUES_SCHEDULE = 18, QUEUES_REVIVE = 8 };
enum { SYSTEM_MAX = 16 };

/* One topic, shared by the snapshots it stands in. */
struct entry {
    struct nametable_entry named;
    struct topic_config config;
};

struct topics {
    struct snapshot_slot slot;
    struct lock lock;      /* changes: version, rest, publishing */
    struct lock save_lock; /* one saver at a time; taken before lock */
    struct data_version version;
    json_t *rest; /* the file's other members */
    char *path;
    uint64_t changes; /* made; under lock */
    uint64_t saved;   /* how many of them the file has; under save_lock */
    bool auto_create;
    int32_t default_queues;
    struct tl_str system[SYSTEM_MAX]; /* run-time system topics; owned */
    int nsystem;
    struct lock tell_lock; /* the listener */
    void (*on_change)(void *arg, const char *topic);
    void *on_change_arg;
};

/* ---- snapshots -------------------------------------------------------------------------- */

static void entry_free(struct nametable_entry *e)
{
    struct entry *entry = (struct entry *)e;

    topic_config_release(&entry->config);
    free(entry);
}

static struct nametable_entry *entry_new(const struct topic_config *config)
{
    struct entry *e = xzalloc(sizeof(*e));

    topic_config_copy(&e->config, config);
    nametable_entry_init(&e->named, tl_str_of(e->config.name), entry_free);
    return &e->named;
}

static const struct topic_config *find(const struct nametable *t, struct tl_str name)
{
    const struct entry *e = (const struct entry *)nametable_find(t, name);
    return e ? &e->config : NULL;
}

static const struct topic_config *config_at(const struct nametable *t, size_t i)
{
    return &((const struct entry *)t->at[i])->config;
}

/* With t->lock held, nobody else publishes. */
static const struct nametable *newest(struct topics *t)
{
    return (const struct nametable *)t->slot.now;
}

/* With t->lock held; takes @next. */
static void publish(struct topics *t, struct nametable *next)
{
    data_version_bump(&t->version, clock_now_ms());
    t->changes++;
    snapshot_publish(&t->slot, &next->snapshot);
}

/* Put @config in, with t->lock held.  False when it is there already just so. */
static bool put_locked(struct topics *t, const struct topic_config *config)
{
    const struct topic_config *now = find(newest(t), tl_str_of(config->name));

    if (now && topic_config_eq(now, config))
        return false;
    publish(t, nametable_with(newest(t), entry_new(config)));
    return true;
}

/*
 * Under its own lock, so that after topics_on_change() the former listener is not called
 * any more.
 */
static void tell(struct topics *t, const char *topic)
{
    lock_take(&t->tell_lock);
    if (t->on_change)
        t->on_change(t->on_change_arg, topic);
    lock_drop(&t->tell_lock);
}

/* ---- file ------------------------------------------------------------------------------- */

static struct nametable *table_load(struct topics *t, const json_t *topics)
{
    struct nametable_entry **entries =
        xcalloc(json_object_size(topics) + 1, sizeof(entries[0]));
    const char *name;
    json_t *o;
    size_t n = 0;

    json_object_foreach((json_t *)(uintptr_t)topics, name, o)
    {
        struct topic_config config;
        if (topic_config_from_json(&config, o)) {
            log_error("topic in the file is left out file=%s topic=%s reason=\"%s\"", t->path,
                      name, tl_error_text());
            continue;
        }
        entries[n++] = entry_new(&config);
        topic_config_release(&config);
    }
    struct nametable *table = nametable_new(entries, n);
    free(entries);
    return table;
}

/* Read the file or its .bak; absence is an empty table. */
static int load(struct topics *t, struct nametable **table)
{
    json_t *root;
    int rc = savefile_load(t->path, &root);

    if (rc)
        return rc;
    data_version_from_json(&t->version, json_get_object(root, "dataVersion"));
    *table = table_load(t, json_get_object(root, "topicConfigTable"));
    json_object_del(root, "dataVersion");
    json_object_del(root, "topicConfigTable");
    t->rest = root;
    return 0;
}

/* What the file holds; owned.  With t->lock held. */
static json_t *to_json(struct topics *t)
{
    const struct nametable *now = newest(t);
    json_t *root = json_copy(t->rest), *topics = json_object();

    for (size_t i = 0; i < now->n; i++)
        json_object_set_new(topics, config_at(now, i)->name,
                            topic_config_to_json(config_at(now, i)));
    json_object_set_new(root, "dataVersion", data_version_to_json(&t->version));
    json_object_set_new(root, "topicConfigTable", topics);
    return root;
}

/* Save if something changed since the last time. */
static int save(struct topics *t)
{
    json_t *root = NULL;
    int rc = 0;

    lock_take(&t->save_lock);
    lock_take(&t->lock);
    uint64_t changes = t->changes;
    if (changes != t->saved)
        root = to_json(t);
    lock_drop(&t->lock);
    if (root) {
        rc = savefile_store(t->path, root);
        if (rc == 0)
            t->saved = changes;
        json_decref(root);
    }
    lock_drop(&t->save_lock);
    return rc;
}

void topics_persist(struct topics *t)
{
    if (save(t))
        log_error("topics are not saved, trying again reason=\"%s\"", tl_error_text());
}

/* ---- built-in topics -------------------------------------------------------------------- */

static void add_system(struct topics *t, char *name)
{
    t->system[t->nsystem++] = tl_str_of(name);
}

/* As TopicConfigManager.init; one that stands in the file keeps its settings. */
static void built_in(struct topics *t, const char *name, int32_t queues, int32_t perm)
{
    struct topic_config config;

    if (find(newest(t), tl_str_of(name)))
        return;
    topic_config_init(&config, tl_str_of(name), queues, perm);
    put_locked(t, &config);
    topic_config_release(&config);
}

static void built_in_named(struct topics *t, char *name, int32_t queues, int32_t perm)
{
    add_system(t, name);
    built_in(t, name, queues, perm);
}

static void built_ins(struct topics *t, const struct broker_conf *conf)
{
    const int32_t rw = PERM_READ | PERM_WRITE;
    struct tl_str cluster = conf->broker_cluster_name, broker = conf->broker_name;

    built_in(t, "SELF_TEST_TOPIC", 1, rw);
    if (conf->auto_create_topic_enable)
        built_in(t, NAME_TBW102, conf->default_topic_queue_nums, rw | PERM_INHERIT);
    built_in(t, "BenchmarkTest", QUEUES_BENCHMARK, rw);
    built_in_named(t, xstrndup(cluster.data, cluster.len), QUEUES_CLUSTER,
                   conf->cluster_topic_enable ? rw | PERM_INHERIT : PERM_INHERIT);
    built_in_named(t, xstrndup(broker.data, broker.len), 1,
                   conf->broker_topic_enable ? rw | PERM_INHERIT : PERM_INHERIT);
    built_in(t, "OFFSET_MOVED_EVENT", 1, rw);
    built_in(t, NAME_SCHEDULE_TOPIC, QUEUES_SCHEDULE, rw);
    if (conf->trace_topic_enable)
        built_in_named(
            t, xstrndup(conf->msg_trace_topic_name.data, conf->msg_trace_topic_name.len), 1,
            rw);
    built_in_named(t, xasprintf("%.*s_REPLY_TOPIC", TL_STR_ARG(cluster)), 1, rw);
    built_in_named(t, xasprintf("rmq_sys_REVIVE_LOG_%.*s", TL_STR_ARG(cluster)), QUEUES_REVIVE,
                   rw);
    built_in_named(t, xasprintf("rmq_sys_SYNC_BROKER_MEMBER_%.*s", TL_STR_ARG(broker)), 1,
                   PERM_INHERIT);
    built_in(t, NAME_HALF_TOPIC, 1, rw);
    built_in(t, NAME_OP_HALF_TOPIC, 1, rw);
    if (conf->timer_wheel_enable)
        built_in_named(t, xstrdup("rmq_sys_wheel_timer"), 1, rw);
}

/* ---- life ------------------------------------------------------------------------------- */

int topics_open(struct topics **out, const struct broker_conf *conf, const char *config_dir)
{
    struct topics *t = xzalloc(sizeof(*t));
    struct nametable *table;

    t->path = xasprintf("%s/topics.json", config_dir);
    t->auto_create = conf->auto_create_topic_enable;
    t->default_queues = conf->default_topic_queue_nums;
    int rc = load(t, &table);
    if (rc) {
        free(t->path);
        free(t);
        return rc;
    }
    snapshot_slot_init(&t->slot, &table->snapshot, nametable_free);
    lock_init(&t->save_lock, RANK_CONFIG);
    lock_init(&t->lock, RANK_TOPICS);
    lock_init(&t->tell_lock, RANK_TOPICS);
    built_ins(t, conf);
    *out = t;
    return 0;
}

void topics_close(struct topics *t)
{
    topics_persist(t);
    snapshot_slot_release(&t->slot);
    lock_release(&t->tell_lock);
    lock_release(&t->lock);
    lock_release(&t->save_lock);
    json_decref(t->rest);
    for (int i = 0; i < t->nsystem; i++)
        free((char *)(uintptr_t)t->system[i].data);
    free(t->path);
    free(t);
}

void topics_on_change(struct topics *t, void (*cb)(void *arg, const char *topic), void *arg)
{
    lock_take(&t->tell_lock);
    t->on_change = cb;
    t->on_change_arg = arg;
    lock_drop(&t->tell_lock);
}

/* ---- reading ---------------------------------------------------------------------------- */

const struct topic_config *topics_find(struct topics *t, struct snapshot_cache *cache,
                                       struct tl_str name)
{
    return find((const struct nametable *)snapshot_get(&t->slot, cache), name);
}

bool topics_copy(struct topics *t, struct tl_str name, struct topic_config *out)
{
    struct snapshot *now = snapshot_ref(&t->slot);
    const struct topic_config *config = find((const struct nametable *)now, name);

    if (config)
        topic_config_copy(out, config);
    snapshot_unref(now);
    return config != NULL;
}

bool topics_is_system(struct topics *t, struct tl_str name)
{
    if (names_is_system_topic(name))
        return true;
    for (int i = 0; i < t->nsystem; i++) {
        if (tl_str_eq(t->system[i], name))
            return true;
    }
    return false;
}

void topics_each_system(struct topics *t, void (*cb)(void *arg, struct tl_str name), void *arg)
{
    static const char *const fixed[] = {NAME_TBW102,
                                        NAME_SCHEDULE_TOPIC,
                                        "BenchmarkTest",
                                        NAME_HALF_TOPIC,
                                        "RMQ_SYS_TRACE_TOPIC",
                                        NAME_OP_HALF_TOPIC,
                                        "TRANS_CHECK_MAX_TIME_TOPIC",
                                        "SELF_TEST_TOPIC",
                                        "OFFSET_MOVED_EVENT",
                                        "CHECKPOINT_TOPIC"};
    const int n = (int)(sizeof(fixed) / sizeof(fixed[0]));

    for (int i = 0; i < n; i++)
        cb(arg, tl_str_of(fixed[i]));
    for (int i = 0; i < t->nsystem; i++) {
        bool again = false;
        for (int k = 0; k < n; k++)
            again |= tl_str_is(t->system[i], fixed[k]);
        for (int k = 0; k < i; k++)
            again |= tl_str_eq(t->system[i], t->system[k]);
        if (!again)
            cb(arg, t->system[i]);
    }
}

void topics_version(struct topics *t, struct data_version *out)
{
    lock_take(&t->lock);
    *out = t->version;
    lock_drop(&t->lock);
}

void topics_each(struct topics *t, void (*cb)(void *arg, const struct topic_config *c),
                 void *arg)
{
    struct nametable *now = (struct nametable *)snapshot_ref(&t->slot);

    for (size_t i = 0; i < now->n; i++)
        cb(arg, config_at(now, i));
    snapshot_unref(&now->snapshot);
}

/* ---- changes ---------------------------------------------------------------------------- */

/* Add it unless it is there.  Saving follows. */
static void add(struct topics *t, const struct topic_config *config)
{
    lock_take(&t->lock);
    bool added = !find(newest(t), tl_str_of(config->name)) && put_locked(t, config);
    lock_drop(&t->lock);
    if (added) {
        log_info("topic created topic=%s queues=%d perm=%d", config->name,
                 config->write_queue_nums, config->perm);
        tell(t, config->name);
    }
}

/* The settings a topic made from @template gets. */
static int inherited(struct topics *t, struct tl_str name, struct tl_str template_name,
                     int32_t queues, int32_t sys_flag, struct topic_config *out)
{
    struct topic_config template;

    if (!topics_copy(t, template_name, &template))
        return tl_fail(TL_ENOTOPIC, "topic %.*s: the default topic %.*s does not exist",
                       TL_STR_ARG(name), TL_STR_ARG(template_name));
    int32_t perm = template.perm, most = template.write_queue_nums;
    enum topic_filter_type filter = template.filter_type;
    topic_config_release(&template);
    /* TBW102 from a file of a time when it was allowed must not go on creating. */
    if (tl_str_is(template_name, NAME_TBW102) && !t->auto_create)
        perm = PERM_READ | PERM_WRITE;
    if (!(perm & PERM_INHERIT))
        return tl_fail(TL_ENOTOPIC, "topic %.*s: the default topic %.*s may not be inherited",
                       TL_STR_ARG(name), TL_STR_ARG(template_name));
    if (queues > most)
        queues = most;
    topic_config_init(out, name, queues < 0 ? 0 : queues, perm & ~PERM_INHERIT);
    out->filter_type = filter;
    out->sys_flag = sys_flag;
    return 0;
}

int topics_auto_create(struct topics *t, struct tl_str name, struct tl_str default_topic,
                       int32_t queues, int32_t sys_flag)
{
    struct topic_config config;
    int rc = names_check_topic(name);

    if (rc)
        return rc;
    rc = inherited(t, name, default_topic, queues, sys_flag, &config);
    if (rc) {
        if (!names_is_retry(name))
            return rc;
        topic_config_init(&config, name, 1, PERM_READ | PERM_WRITE);
        config.sys_flag = sys_flag;
    }
    add(t, &config);
    topic_config_release(&config);
    return 0;
}

void topics_ensure(struct topics *t, struct tl_str name, int32_t queues, int32_t perm,
                   bool order, int32_t sys_flag)
{
    struct topic_config config;

    /* Mostly it is there: look without the lock. */
    struct snapshot *now = snapshot_ref(&t->slot);
    bool found = find((const struct nametable *)now, name) != NULL;
    snapshot_unref(now);
    if (found || names_check_topic(name))
        return;
    topic_config_init(&config, name, queues, perm);
    config.order = order;
    config.sys_flag = sys_flag;
    add(t, &config);
    topic_config_release(&config);
}

int topics_update(struct topics *t, const struct topic_config *config, bool *was_changed)
{
    lock_take(&t->lock);
    bool is_new = put_locked(t, config);
    lock_drop(&t->lock);
    *was_changed = is_new;
    if (!is_new)
        return 0;
    log_info("topic set topic=%s read_queues=%d write_queues=%d perm=%d", config->name,
             config->read_queue_nums, config->write_queue_nums, config->perm);
    int rc = save(t);
    if (rc)
        log_error("topics are not saved, trying again reason=\"%s\"", tl_error_text());
    tell(t, config->name);
    return rc;
}

int topics_delete(struct topics *t, struct tl_str name)
{
    lock_take(&t->lock);
    bool found = find(newest(t), name) != NULL;
    if (found)
        publish(t, nametable_without(newest(t), name));
    lock_drop(&t->lock);
    if (!found)
        return 0;
    log_info("topic deleted topic=%.*s", TL_STR_ARG(name));
    int rc = save(t);
    if (rc)
        log_error("topics are not saved, trying again reason=\"%s\"", tl_error_text());
    tell(t, NULL);
    return rc;
}
