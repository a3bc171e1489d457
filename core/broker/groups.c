/*
 * The same shape as topics.c.
 */
#include "broker/groups.h"

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
#include "proto/names.h"

#undef LOG_MODULE
#define LOG_MODULE "groups"

struct entry {
    struct nametable_entry named;
    struct group_config config;
};

struct groups {
    struct snapshot_slot slot;
    struct lock lock;      /* changes: version, rest, publishing */
    struct lock save_lock; /* one saver at a time; taken before lock */
    struct data_version version;
    json_t *forbidden; /* group -> topic -> bits */
    json_t *rest;      /* the file's other members */
    char *path;
    uint64_t changes; /* made; under lock */
    uint64_t saved;   /* how many of them the file has; under save_lock */
    bool auto_create;
};

/* ---- snapshots -------------------------------------------------------------------------- */

static void entry_free(struct nametable_entry *e)
{
    struct entry *entry = (struct entry *)e;

    group_config_release(&entry->config);
    free(entry);
}

static struct nametable_entry *entry_new(const struct group_config *config)
{
    struct entry *e = xzalloc(sizeof(*e));

    group_config_copy(&e->config, config);
    nametable_entry_init(&e->named, tl_str_of(e->config.name), entry_free);
    return &e->named;
}

static const struct group_config *find(const struct nametable *t, struct tl_str name)
{
    const struct entry *e = (const struct entry *)nametable_find(t, name);
    return e ? &e->config : NULL;
}

static const struct group_config *config_at(const struct nametable *t, size_t i)
{
    return &((const struct entry *)t->at[i])->config;
}

/* With g->lock held, nobody else publishes. */
static const struct nametable *newest(struct groups *g)
{
    return (const struct nametable *)g->slot.now;
}

static void changed(struct groups *g)
{
    data_version_bump(&g->version, clock_now_ms());
    g->changes++;
}

/*
 * With g->lock held: publish the newest table with @config; @keep leaves one that is there
 * alone.
 */
static bool put_locked(struct groups *g, const struct group_config *config, bool keep)
{
    if (keep && find(newest(g), tl_str_of(config->name)))
        return false;
    struct nametable *next = nametable_with(newest(g), entry_new(config));
    changed(g);
    snapshot_publish(&g->slot, &next->snapshot);
    return true;
}

/* ---- file ------------------------------------------------------------------------------- */

static struct nametable *table_load(struct groups *g, const json_t *groups)
{
    struct nametable_entry **entries =
        xcalloc(json_object_size(groups) + 1, sizeof(entries[0]));
    const char *name;
    json_t *o;
    size_t n = 0;

    json_object_foreach((json_t *)(uintptr_t)groups, name, o)
    {
        struct group_config config;
        if (group_config_from_json(&config, o)) {
            log_error("group in the file is left out file=%s group=%s reason=\"%s\"", g->path,
                      name, tl_error_text());
            continue;
        }
        entries[n++] = entry_new(&config);
        group_config_release(&config);
    }
    struct nametable *table = nametable_new(entries, n);
    free(entries);
    return table;
}

static int load(struct groups *g, struct nametable **table)
{
    json_t *root;
    int rc = savefile_load(g->path, &root);

    if (rc)
        return rc;
    data_version_from_json(&g->version, json_get_object(root, "dataVersion"));
    *table = table_load(g, json_get_object(root, "subscriptionGroupTable"));
    const json_t *forbidden = json_get_object(root, "forbiddenTable");
    g->forbidden = forbidden ? json_deep_copy(forbidden) : json_object();
    json_object_del(root, "dataVersion");
    json_object_del(root, "subscriptionGroupTable");
    json_object_del(root, "forbiddenTable");
    g->rest = root;
    return 0;
}

/* What the file holds; owned.  With g->lock held. */
static json_t *to_json(struct groups *g)
{
    const struct nametable *now = newest(g);
    json_t *root = json_copy(g->rest), *groups = json_object();

    for (size_t i = 0; i < now->n; i++)
        json_object_set_new(groups, config_at(now, i)->name,
                            group_config_to_json(config_at(now, i)));
    json_object_set_new(root, "dataVersion", data_version_to_json(&g->version));
    json_object_set_new(root, "forbiddenTable", json_deep_copy(g->forbidden));
    json_object_set_new(root, "subscriptionGroupTable", groups);
    return root;
}

/* Save if something changed since the last time. */
static int save(struct groups *g)
{
    json_t *root = NULL;
    int rc = 0;

    lock_take(&g->save_lock);
    lock_take(&g->lock);
    uint64_t changes = g->changes;
    if (changes != g->saved)
        root = to_json(g);
    lock_drop(&g->lock);
    if (root) {
        rc = savefile_store(g->path, root);
        if (rc == 0)
            g->saved = changes;
        json_decref(root);
    }
    lock_drop(&g->save_lock);
    if (rc)
        log_error("groups are not saved, trying again reason=\"%s\"", tl_error_text());
    return rc;
}

void groups_persist(struct groups *g)
{
    save(g);
}

/* ---- life ------------------------------------------------------------------------------- */

/* As SubscriptionGroupManager.init; a group that stands in the file keeps its settings. */
static void built_ins(struct groups *g)
{
    static const struct {
        const char *name;
        bool broadcast; /* stated by RocketMQ; the default is true as well */
    } groups[] = {
        {"TOOLS_CONSUMER", true},    {"FILTERSRV_CONSUMER", true},
        {"SELF_TEST_C_GROUP", true}, {"CID_ONS-HTTP-PROXY", true},
        {"CID_ONSAPI_PULL", true},   {"CID_ONSAPI_PERMISSION", true},
        {"CID_ONSAPI_OWNER", true},  {"CID_RMQ_SYS_TRANS", true},
    };

    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        struct group_config config;
        group_config_init(&config, tl_str_of(groups[i].name));
        config.consume_broadcast_enable = groups[i].broadcast;
        put_locked(g, &config, true);
        group_config_release(&config);
    }
}

int groups_open(struct groups **out, const struct broker_conf *conf, const char *config_dir)
{
    struct groups *g = xzalloc(sizeof(*g));
    struct nametable *table;

    g->path = xasprintf("%s/subscriptionGroup.json", config_dir);
    g->auto_create = conf->auto_create_subscription_group;
    int rc = load(g, &table);
    if (rc) {
        free(g->path);
        free(g);
        return rc;
    }
    snapshot_slot_init(&g->slot, &table->snapshot, nametable_free);
    lock_init(&g->save_lock, RANK_CONFIG);
    lock_init(&g->lock, RANK_GROUPS);
    if (conf->enable_create_sys_group)
        built_ins(g);
    *out = g;
    return 0;
}

void groups_close(struct groups *g)
{
    groups_persist(g);
    snapshot_slot_release(&g->slot);
    lock_release(&g->lock);
    lock_release(&g->save_lock);
    json_decref(g->forbidden);
    json_decref(g->rest);
    free(g->path);
    free(g);
}

/* ---- lookup ----------------------------------------------------------------------------- */

/* Create an unknown group if that is allowed; saving follows.  True when it is there now. */
static bool create(struct groups *g, struct tl_str name)
{
    struct group_config config;

    if (!g->auto_create && !tl_str_starts(name, TL_STR(NAME_SYS_GROUP_PREFIX)))
        return false;
    if (names_check_group(name))
        return false;
    group_config_init(&config, name);
    lock_take(&g->lock);
    bool added = put_locked(g, &config, true);
    lock_drop(&g->lock);
    if (added)
        log_info("group created group=%s", config.name);
    group_config_release(&config);
    return true;
}

const struct group_config *groups_find(struct groups *g, struct snapshot_cache *cache,
                                       struct tl_str name)
{
    const struct group_config *config =
        find((const struct nametable *)snapshot_get(&g->slot, cache), name);

    if (config || !create(g, name))
        return config;
    return find((const struct nametable *)snapshot_get(&g->slot, cache), name);
}

bool groups_exists(struct groups *g, struct snapshot_cache *cache, struct tl_str name)
{
    return find((const struct nametable *)snapshot_get(&g->slot, cache), name) != NULL;
}

static bool copy_known(struct groups *g, struct tl_str name, struct group_config *out)
{
    struct snapshot *now = snapshot_ref(&g->slot);
    const struct group_config *config = find((const struct nametable *)now, name);

    if (config)
        group_config_copy(out, config);
    snapshot_unref(now);
    return config != NULL;
}

bool groups_copy(struct groups *g, struct tl_str name, bool may_create,
                 struct group_config *out)
{
    return copy_known(g, name, out) ||
           (may_create && create(g, name) && copy_known(g, name, out));
}

void groups_version(struct groups *g, struct data_version *out)
{
    lock_take(&g->lock);
    *out = g->version;
    lock_drop(&g->lock);
}

void groups_each(struct groups *g, void (*cb)(void *arg, const struct group_config *c),
                 void *arg)
{
    struct nametable *now = (struct nametable *)snapshot_ref(&g->slot);

    for (size_t i = 0; i < now->n; i++)
        cb(arg, config_at(now, i));
    snapshot_unref(&now->snapshot);
}

json_t *groups_forbidden(struct groups *g)
{
    lock_take(&g->lock);
    json_t *copy = json_deep_copy(g->forbidden);
    lock_drop(&g->lock);
    return copy;
}

/* ---- changes ---------------------------------------------------------------------------- */

int groups_update(struct groups *g, const struct group_config *config)
{
    lock_take(&g->lock);
    put_locked(g, config, false);
    lock_drop(&g->lock);
    log_info("group set group=%s consume_enable=%d retry_max_times=%d", config->name,
             config->consume_enable, config->retry_max_times);
    return save(g);
}

int groups_delete(struct groups *g, struct tl_str name)
{
    char *key = xstrndup(name.data ? name.data : "", name.len);

    lock_take(&g->lock);
    bool found = find(newest(g), name) != NULL;
    bool forbidden = json_object_del(g->forbidden, key) == 0;
    if (found || forbidden)
        changed(g);
    if (found) {
        struct nametable *next = nametable_without(newest(g), name);
        snapshot_publish(&g->slot, &next->snapshot);
    }
    lock_drop(&g->lock);
    free(key);
    if (!found && !forbidden)
        return 0;
    log_info("group deleted group=%.*s", TL_STR_ARG(name));
    return save(g);
}
