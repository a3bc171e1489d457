#include "broker/qlock.h"

#include <stdlib.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/map.h"

#undef LOG_MODULE
#define LOG_MODULE "qlock"

enum { KEY_MAX = 1024, SWEEP_AT = 4096 };

struct held {
    UT_hash_handle hh;
    char *key; /* queue id, then group, topic, broker name with a NUL behind each; owned */
    size_t key_len;
    char *client_id; /* owned */
    int64_t at_ms;   /* last asked for */
};

struct qlock {
    struct lock lock;
    struct held *held;
    unsigned sweep_at; /* look for expired ones when there are so many */
};

struct qlock *qlock_new(void)
{
    struct qlock *l = xzalloc(sizeof(*l));

    lock_init(&l->lock, RANK_QLOCK);
    l->sweep_at = SWEEP_AT;
    return l;
}

static void held_drop(struct qlock *l, struct held *h)
{
    HASH_DEL(l->held, h);
    free(h->key);
    free(h->client_id);
    free(h);
}

void qlock_free(struct qlock *l)
{
    struct held *h, *next;

    HASH_ITER (hh, l->held, h, next)
        held_drop(l, h);
    lock_release(&l->lock);
    free(l);
}

static bool expired(const struct held *h, int64_t now_ms)
{
    return now_ms - h->at_ms > QLOCK_EXPIRE_MS;
}

static void sweep(struct qlock *l, int64_t now_ms)
{
    struct held *h, *next;

    if (HASH_COUNT(l->held) < l->sweep_at)
        return;
    HASH_ITER (hh, l->held, h, next) {
        if (expired(h, now_ms))
            held_drop(l, h);
    }
    l->sweep_at = HASH_COUNT(l->held) * 2 > SWEEP_AT ? HASH_COUNT(l->held) * 2 : SWEEP_AT;
}

static size_t put(char *to, struct tl_str s)
{
    if (s.len)
        memcpy(to, s.data, s.len);
    to[s.len] = '\0';
    return s.len + 1;
}

/* 0 when names are too long to be anybody's. */
static size_t key_of(struct tl_str group, struct tl_str topic, struct tl_str broker_name,
                     int32_t queue_id, char buf[KEY_MAX])
{
    size_t len = sizeof(queue_id);

    if (sizeof(queue_id) + group.len + topic.len + broker_name.len + 3 > KEY_MAX)
        return 0;
    memcpy(buf, &queue_id, sizeof(queue_id));
    len += put(buf + len, group);
    len += put(buf + len, topic);
    len += put(buf + len, broker_name);
    return len;
}

static struct held *find(struct qlock *l, const char *key, size_t len)
{
    struct held *h;

    HASH_FIND(hh, l->held, key, len, h);
    return h;
}

bool qlock_take(struct qlock *l, struct tl_str group, struct tl_str topic,
                struct tl_str broker_name, int32_t queue_id, struct tl_str client_id,
                int64_t now_ms)
{
    char key[KEY_MAX];
    size_t len = key_of(group, topic, broker_name, queue_id, key);

    if (!len)
        return false;
    lock_take(&l->lock);
    struct held *h = find(l, key, len);
    if (!h) {
        sweep(l, now_ms);
        h = xzalloc(sizeof(*h));
        h->key = xmemdup(key, len);
        h->key_len = len;
        HASH_ADD_KEYPTR(hh, l->held, h->key, h->key_len, h);
    }
    bool mine = h->client_id && tl_str_is(client_id, h->client_id);
    bool granted = !h->client_id || mine || expired(h, now_ms);
    if (granted && !mine) {
        if (h->client_id)
            log_info("queue lock expired group=%.*s topic=%.*s queue=%d from=%s to=%.*s",
                     TL_STR_ARG(group), TL_STR_ARG(topic), queue_id, h->client_id,
                     TL_STR_ARG(client_id));
        free(h->client_id);
        h->client_id = xstrndup(client_id.data ? client_id.data : "", client_id.len);
    }
    if (granted)
        h->at_ms = now_ms;
    lock_drop(&l->lock);
    return granted;
}

bool qlock_group_holds(struct qlock *l, struct tl_str group, int64_t now_ms)
{
    struct held *h, *next;
    bool any = false;

    lock_take(&l->lock);
    HASH_ITER (hh, l->held, h, next) {
        const char *name = h->key + sizeof(int32_t);
        any |= h->client_id && tl_str_is(group, name) && !expired(h, now_ms);
    }
    lock_drop(&l->lock);
    return any;
}

void qlock_drop(struct qlock *l, struct tl_str group, struct tl_str topic,
                struct tl_str broker_name, int32_t queue_id, struct tl_str client_id)
{
    char key[KEY_MAX];
    size_t len = key_of(group, topic, broker_name, queue_id, key);

    lock_take(&l->lock);
    struct held *h = len ? find(l, key, len) : NULL;
    if (h && tl_str_is(client_id, h->client_id))
        held_drop(l, h);
    lock_drop(&l->lock);
}
