/*
 * Each stripe maps the file's own key, "topic@group", to the queues' offsets, sorted by
 * queue id. A commit counts in the stripe's change number; saving compares the sum with the
 * last save.
 */
#include "broker/offsets.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/map.h"
#include "broker/savefile.h"

#undef LOG_MODULE
#define LOG_MODULE "offsets"

enum {
    STRIPES = 64,
    KEY_MAX = 640,        /* a topic of 255, '@', a group of 255 and "@broadcast" */
    QUEUES_MAX = 1 << 16, /* queues of one topic and group that are remembered */
};

static const int64_t NONE = INT64_MIN; /* no commit yet, only a pull offset */

struct queue_offset {
    int32_t queue_id;
    int64_t offset, pulled;
};

struct item {
    UT_hash_handle hh;
    char *key; /* topic@group; owned */
    size_t key_len, topic_len;
    struct queue_offset *queues; /* by queue_id */
    uint32_t n, cap;
};

struct stripe {
    struct lock lock;
    struct item *items;
    uint64_t changes;
};

struct offsets {
    struct stripe stripe[STRIPES];
    struct lock save_lock; /* version, rest, saved; taken before a stripe's */
    struct data_version version;
    json_t *rest; /* the file's other members */
    uint64_t saved;
    char *path;
};

/* ---- items ------------------------------------------------------------------------------ */

/* "topic@group" into @buf; 0 when it is too long to be anybody's. */
static size_t key_of(struct tl_str topic, struct tl_str group, char buf[KEY_MAX])
{
    size_t len = topic.len + 1 + group.len;

    if (len > KEY_MAX)
        return 0;
    if (topic.len)
        memcpy(buf, topic.data, topic.len);
    buf[topic.len] = '@';
    if (group.len)
        memcpy(buf + topic.len + 1, group.data, group.len);
    return len;
}

static struct stripe *stripe_of(struct offsets *o, const char *key, size_t len)
{
    return &o->stripe[hash_bytes(key, len) % STRIPES];
}

static struct item *item_find(struct stripe *s, const char *key, size_t len)
{
    struct item *it;

    HASH_FIND(hh, s->items, key, len, it);
    return it;
}

static struct item *item_get(struct stripe *s, const char *key, size_t len, size_t topic_len)
{
    struct item *it = item_find(s, key, len);

    if (it)
        return it;
    it = xzalloc(sizeof(*it));
    it->key = xstrndup(key, len);
    it->key_len = len;
    it->topic_len = topic_len;
    HASH_ADD_KEYPTR(hh, s->items, it->key, it->key_len, it);
    return it;
}

static void item_drop(struct stripe *s, struct item *it)
{
    HASH_DEL(s->items, it);
    free(it->queues);
    free(it->key);
    free(it);
}

/* The queue's slot, or where it would be; *found says which. */
static uint32_t queue_index(const struct item *it, int32_t queue_id, bool *found)
{
    uint32_t lo = 0, hi = it->n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (it->queues[mid].queue_id == queue_id) {
            *found = true;
            return mid;
        }
        if (it->queues[mid].queue_id < queue_id)
            lo = mid + 1;
        else
            hi = mid;
    }
    *found = false;
    return lo;
}

/* NULL when the item has QUEUES_MAX queues already. */
static struct queue_offset *queue_get(struct item *it, int32_t queue_id)
{
    bool found;
    uint32_t i = queue_index(it, queue_id, &found);

    if (found)
        return &it->queues[i];
    if (it->n == QUEUES_MAX) {
        log_warn_every(10000, "offset not taken, too many queues key=%s queues=%d", it->key,
                       QUEUES_MAX);
        return NULL;
    }
    if (it->n == it->cap) {
        it->cap = it->cap ? it->cap * 2 : 4;
        it->queues = xrealloc(it->queues, it->cap * sizeof(it->queues[0]));
    }
    memmove(&it->queues[i + 1], &it->queues[i], (it->n - i) * sizeof(it->queues[0]));
    it->n++;
    it->queues[i] = (struct queue_offset){.queue_id = queue_id, .offset = NONE, .pulled = -1};
    return &it->queues[i];
}

/* ---- file ------------------------------------------------------------------------------- */

static void load_item(struct offsets *o, const char *key, const json_t *queues)
{
    const char *id, *at = strchr(key, '@');
    size_t len = strlen(key);
    json_t *v;

    if (!at || len > KEY_MAX || !json_is_object(queues)) {
        log_warn("entry in the file is left out file=%s key=%s", o->path, key);
        return;
    }
    struct item *it = item_get(stripe_of(o, key, len), key, len, (size_t)(at - key));
    json_object_foreach((json_t *)(uintptr_t)queues, id, v)
    {
        int32_t queue_id;
        struct queue_offset *q =
            tl_str_i32(tl_str_of(id), &queue_id) ? queue_get(it, queue_id) : NULL;
        if (q)
            q->offset = json_as_i64(v, -1);
        else
            log_warn("entry in the file is left out file=%s key=%s queue=%s", o->path, key, id);
    }
}

int offsets_open(struct offsets **out, const char *config_dir)
{
    struct offsets *o = xzalloc(sizeof(*o));
    const char *key;
    json_t *root, *queues;

    o->path = xasprintf("%s/consumerOffset.json", config_dir);
    int rc = savefile_load(o->path, &root);
    if (rc) {
        free(o->path);
        free(o);
        return rc;
    }
    lock_init(&o->save_lock, RANK_CONFIG);
    for (int i = 0; i < STRIPES; i++)
        lock_init(&o->stripe[i].lock, RANK_OFFSETS);
    data_version_from_json(&o->version, json_get_object(root, "dataVersion"));
    json_t *table = json_object_get(root, "offsetTable");
    json_object_foreach(table, key, queues) load_item(o, key, queues);
    json_object_del(root, "dataVersion");
    json_object_del(root, "offsetTable");
    json_object_del(root, "groupTopicMap"); /* Java derives it from the table and ignores it */
    o->rest = root;
    *out = o;
    return 0;
}

void offsets_close(struct offsets *o)
{
    offsets_persist(o);
    for (int i = 0; i < STRIPES; i++) {
        struct item *it, *next;
        HASH_ITER (hh, o->stripe[i].items, it, next)
            item_drop(&o->stripe[i], it);
        lock_release(&o->stripe[i].lock);
    }
    lock_release(&o->save_lock);
    json_decref(o->rest);
    free(o->path);
    free(o);
}

static json_t *item_json(const struct item *it)
{
    json_t *queues = NULL;

    for (uint32_t i = 0; i < it->n; i++) {
        char id[16];
        if (it->queues[i].offset == NONE)
            continue;
        if (!queues)
            queues = json_object();
        snprintf(id, sizeof(id), "%d", it->queues[i].queue_id);
        json_object_set_new(queues, id, json_integer(it->queues[i].offset));
    }
    return queues;
}

json_t *offsets_table(struct offsets *o, uint64_t *changes)
{
    json_t *table = json_object();
    uint64_t sum = 0;

    for (int i = 0; i < STRIPES; i++) {
        struct stripe *s = &o->stripe[i];
        lock_take(&s->lock);
        sum += s->changes;
        for (struct item *it = s->items; it; it = it->hh.next) {
            json_t *queues = item_json(it);
            if (queues)
                json_object_set_new(table, it->key, queues);
        }
        lock_drop(&s->lock);
    }
    if (changes)
        *changes = sum;
    return table;
}

static uint64_t changes_now(struct offsets *o)
{
    uint64_t sum = 0;

    for (int i = 0; i < STRIPES; i++) {
        lock_take(&o->stripe[i].lock);
        sum += o->stripe[i].changes;
        lock_drop(&o->stripe[i].lock);
    }
    return sum;
}

void offsets_persist(struct offsets *o)
{
    uint64_t changes;

    lock_take(&o->save_lock);
    if (changes_now(o) != o->saved) {
        struct data_version next = o->version;
        json_t *root = json_copy(o->rest);
        data_version_bump(&next, clock_now_ms());
        json_object_set_new(root, "offsetTable", offsets_table(o, &changes));
        json_object_set_new(root, "dataVersion", data_version_to_json(&next));
        if (savefile_store(o->path, root)) {
            log_error("consumer offsets are not saved, trying again reason=\"%s\"",
                      tl_error_text());
        } else {
            o->saved = changes;
            o->version = next;
        }
        json_decref(root);
    }
    lock_drop(&o->save_lock);
}

void offsets_version(struct offsets *o, struct data_version *out)
{
    lock_take(&o->save_lock);
    *out = o->version;
    lock_drop(&o->save_lock);
}

/* ---- use -------------------------------------------------------------------------------- */

static bool lookup(struct offsets *o, struct tl_str group, struct tl_str topic,
                   int32_t queue_id, struct queue_offset *out)
{
    char key[KEY_MAX];
    size_t len = key_of(topic, group, key);
    bool found = false;

    if (!len)
        return false;
    struct stripe *s = stripe_of(o, key, len);
    lock_take(&s->lock);
    struct item *it = item_find(s, key, len);
    if (it) {
        uint32_t i = queue_index(it, queue_id, &found);
        if (found)
            *out = it->queues[i];
    }
    lock_drop(&s->lock);
    return found;
}

int64_t offsets_query(struct offsets *o, struct tl_str group, struct tl_str topic,
                      int32_t queue_id)
{
    struct queue_offset q;

    if (!lookup(o, group, topic, queue_id, &q) || q.offset == NONE)
        return -1;
    return q.offset;
}

int64_t offsets_query_pulled(struct offsets *o, struct tl_str group, struct tl_str topic,
                             int32_t queue_id)
{
    struct queue_offset q;

    return lookup(o, group, topic, queue_id, &q) ? q.pulled : -1;
}

void offsets_commit(struct offsets *o, struct tl_str group, struct tl_str topic,
                    int32_t queue_id, int64_t offset)
{
    char key[KEY_MAX];
    size_t len = key_of(topic, group, key);
    int64_t former = NONE;

    if (!len)
        return;
    struct stripe *s = stripe_of(o, key, len);
    lock_take(&s->lock);
    struct queue_offset *q = queue_get(item_get(s, key, len, topic.len), queue_id);
    if (q) {
        former = q->offset;
        q->offset = offset;
        if (former != offset)
            s->changes++;
    }
    lock_drop(&s->lock);
    if (former != NONE && offset < former)
        log_warn_every(1000,
                       "offset goes back group=%.*s topic=%.*s queue=%d from=%lld to=%lld",
                       TL_STR_ARG(group), TL_STR_ARG(topic), queue_id, (long long)former,
                       (long long)offset);
}

void offsets_pulled(struct offsets *o, struct tl_str group, struct tl_str topic,
                    int32_t queue_id, int64_t offset)
{
    char key[KEY_MAX];
    size_t len = key_of(topic, group, key);

    if (!len)
        return;
    struct stripe *s = stripe_of(o, key, len);
    lock_take(&s->lock);
    struct queue_offset *q = queue_get(item_get(s, key, len, topic.len), queue_id);
    if (q)
        q->pulled = offset;
    lock_drop(&s->lock);
}

static void drop(struct offsets *o, struct tl_str name, bool is_topic)
{
    for (int i = 0; i < STRIPES; i++) {
        struct stripe *s = &o->stripe[i];
        struct item *it, *next;
        lock_take(&s->lock);
        HASH_ITER (hh, s->items, it, next) {
            struct tl_str part = is_topic ? tl_str_n(it->key, it->topic_len)
                                          : tl_str_n(it->key + it->topic_len + 1,
                                                     it->key_len - it->topic_len - 1);
            if (tl_str_eq(part, name)) {
                item_drop(s, it);
                s->changes++;
            }
        }
        lock_drop(&s->lock);
    }
}

void offsets_drop_topic(struct offsets *o, struct tl_str topic)
{
    drop(o, topic, true);
}

void offsets_drop_group(struct offsets *o, struct tl_str group)
{
    drop(o, group, false);
}

void offsets_each(struct offsets *o,
                  void (*cb)(void *arg, struct tl_str topic, struct tl_str group,
                             int32_t queue_id, int64_t offset),
                  void *arg)
{
    for (int i = 0; i < STRIPES; i++) {
        struct stripe *s = &o->stripe[i];
        lock_take(&s->lock);
        for (struct item *it = s->items; it; it = it->hh.next) {
            struct tl_str topic = tl_str_n(it->key, it->topic_len);
            struct tl_str group =
                tl_str_n(it->key + it->topic_len + 1, it->key_len - it->topic_len - 1);
            for (uint32_t k = 0; k < it->n; k++) {
                if (it->queues[k].offset != NONE)
                    cb(arg, topic, group, it->queues[k].queue_id, it->queues[k].offset);
            }
        }
        lock_drop(&s->lock);
    }
}
