#include "store/cqset.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

#undef LOG_MODULE
#define LOG_MODULE "store"

enum { TOPIC_MAX = 255 };

/* The key is the topic's bytes with the queue id behind them. */
struct cqset_node {
    struct consumequeue *q;
    struct cqset_node *next; /* of the dropped ones */
    UT_hash_handle hh;
    size_t key_len;
    char key[];
};

static size_t make_key(char *key, struct tl_str topic, int32_t id)
{
    size_t n = topic.len < TOPIC_MAX ? topic.len : TOPIC_MAX;

    memcpy(key, topic.data, n);
    memcpy(key + n, &id, sizeof(id));
    return n + sizeof(id);
}

static struct cqset_node *lookup(struct cqset *s, const char *key, size_t len)
{
    struct cqset_node *node;

    HASH_FIND(hh, s->nodes, key, len, node);
    return node;
}

static struct cqset_node *add(struct cqset *s, struct tl_str topic, int32_t id)
{
    char key[TOPIC_MAX + sizeof(id)];
    size_t len = make_key(key, topic, id);
    struct cqset_node *node = xzalloc(sizeof(*node) + len);
    char *dir = xasprintf("%s/%.*s/%d", s->dir, TL_STR_ARG(topic), id);

    memcpy(node->key, key, len);
    node->key_len = len;
    node->q = cq_new(topic, id, dir, s->file_bytes);
    free(dir);
    HASH_ADD_KEYPTR(hh, s->nodes, node->key, node->key_len, node);
    return node;
}

struct consumequeue *cqset_find(struct cqset *s, struct tl_str topic, int32_t id, bool create)
{
    char key[TOPIC_MAX + sizeof(id)];
    size_t len = make_key(key, topic, id);

    rwlock_read(&s->lock);
    struct cqset_node *node = lookup(s, key, len);
    rwlock_drop(&s->lock);
    if (node || !create)
        return node ? node->q : NULL;
    rwlock_write(&s->lock);
    node = lookup(s, key, len);
    if (!node)
        node = add(s, topic, id);
    rwlock_drop(&s->lock);
    return node->q;
}

void cqset_each(struct cqset *s, void (*cb)(void *arg, struct consumequeue *q), void *arg)
{
    struct cqset_node *node, *tmp;

    rwlock_read(&s->lock);
    HASH_ITER (hh, s->nodes, node, tmp) {
        cb(arg, node->q);
    }
    rwlock_drop(&s->lock);
}

struct consumequeue **cqset_list(struct cqset *s, size_t *n)
{
    struct cqset_node *node, *tmp;

    *n = 0;
    rwlock_read(&s->lock);
    struct consumequeue **list = xcalloc(HASH_COUNT(s->nodes) + 1, sizeof(*list));
    HASH_ITER (hh, s->nodes, node, tmp) {
        list[(*n)++] = node->q;
    }
    rwlock_drop(&s->lock);
    return list;
}

static void add_entries(void *arg, struct consumequeue *q)
{
    *(int64_t *)arg += cq_entries(q);
}

int64_t cqset_entries(struct cqset *s)
{
    int64_t sum = 0;

    cqset_each(s, add_entries, &sum);
    return sum;
}

int cqset_drop_topic(struct cqset *s, struct tl_str topic)
{
    struct cqset_node *node, *tmp;
    char *dir = xasprintf("%s/%.*s", s->dir, TL_STR_ARG(topic));

    rwlock_write(&s->lock);
    HASH_ITER (hh, s->nodes, node, tmp) {
        if (!tl_str_eq(cq_topic(node->q), topic))
            continue;
        HASH_DEL(s->nodes, node);
        LL_PREPEND(s->dropped, node);
    }
    rwlock_drop(&s->lock);
    int rc = fs_exists(dir) ? fs_remove_tree(dir) : 0;
    free(dir);
    return rc;
}

static int load_queue(struct cqset *s, const char *topic, int32_t id, bool clean, bool *damaged)
{
    struct consumequeue *q = add(s, tl_str_of(topic), id)->q;
    int rc = cq_load(q, clean);

    if (rc != TL_ECORRUPT)
        return rc;
    log_error("queue is damaged and made again from the log topic=%s queue=%d: %s", topic, id,
              tl_error_text());
    *damaged = true;
    return cq_reset(q);
}

/* consumequeue/<topic>: a folder per queue; what is no number is left alone. */
static int load_topic(struct cqset *s, const char *topic, bool clean, bool *damaged)
{
    char *path = xasprintf("%s/%s", s->dir, topic);
    DIR *dir = opendir(path);
    int rc = 0;

    free(path);
    if (!dir)
        return errno == ENOTDIR
                   ? 0
                   : tl_fail_errno(TL_EIO, errno, "reading folder %s/%s", s->dir, topic);
    for (struct dirent *e; !rc && (e = readdir(dir));) {
        int32_t id;
        if (e->d_name[0] != '.' && tl_str_i32(tl_str_of(e->d_name), &id) && id >= 0)
            rc = load_queue(s, topic, id, clean, damaged);
    }
    closedir(dir);
    return rc;
}

int cqset_open(struct cqset *s, const char *dir, int64_t file_bytes, bool clean, bool *damaged)
{
    int rc = 0;

    *s = (struct cqset){.dir = xstrdup(dir), .file_bytes = file_bytes};
    rwlock_init(&s->lock, RANK_CQSET);
    DIR *topics = opendir(dir);
    if (!topics && errno != ENOENT)
        rc = tl_fail_errno(TL_EIO, errno, "reading folder %s", dir);
    for (struct dirent *e; topics && !rc && (e = readdir(topics));) {
        if (e->d_name[0] != '.')
            rc = load_topic(s, e->d_name, clean, damaged);
    }
    if (topics)
        closedir(topics);
    if (rc)
        cqset_close(s);
    return rc;
}

static void free_node(struct cqset_node *node)
{
    cq_free(node->q);
    free(node);
}

void cqset_close(struct cqset *s)
{
    struct cqset_node *node, *tmp;

    HASH_ITER (hh, s->nodes, node, tmp) {
        HASH_DEL(s->nodes, node);
        free_node(node);
    }
    LL_FOREACH_SAFE (s->dropped, node, tmp) {
        free_node(node);
    }
    rwlock_release(&s->lock);
    free(s->dir);
}
