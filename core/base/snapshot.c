#include "base/snapshot.h"

#include <stddef.h>

void snapshot_slot_init(struct snapshot_slot *slot, struct snapshot *first,
                        void (*free_fn)(struct snapshot *))
{
    pthread_mutex_init(&slot->lock, NULL);
    atomic_init(&slot->generation, 1);
    atomic_init(&first->refs, 1);
    first->free_fn = free_fn;
    slot->now = first;
}

void snapshot_slot_release(struct snapshot_slot *slot)
{
    snapshot_unref(slot->now);
    slot->now = NULL;
    pthread_mutex_destroy(&slot->lock);
}

void snapshot_publish(struct snapshot_slot *slot, struct snapshot *next)
{
    atomic_init(&next->refs, 1);
    pthread_mutex_lock(&slot->lock);
    struct snapshot *former = slot->now;
    next->free_fn = former->free_fn;
    slot->now = next;
    atomic_fetch_add_explicit(&slot->generation, 1, memory_order_release);
    pthread_mutex_unlock(&slot->lock);
    snapshot_unref(former);
}

struct snapshot *snapshot_get(struct snapshot_slot *slot, struct snapshot_cache *cache)
{
    uint64_t generation = atomic_load_explicit(&slot->generation, memory_order_acquire);
    if (cache->table && cache->generation == generation)
        return cache->table;
    pthread_mutex_lock(&slot->lock);
    struct snapshot *now = slot->now;
    atomic_fetch_add_explicit(&now->refs, 1, memory_order_relaxed);
    generation = atomic_load_explicit(&slot->generation, memory_order_relaxed);
    pthread_mutex_unlock(&slot->lock);
    snapshot_unref(cache->table);
    cache->table = now;
    cache->generation = generation;
    return now;
}

void snapshot_cache_release(struct snapshot_cache *cache)
{
    snapshot_unref(cache->table);
    cache->table = NULL;
    cache->generation = 0;
}

struct snapshot *snapshot_ref(struct snapshot_slot *slot)
{
    pthread_mutex_lock(&slot->lock);
    struct snapshot *now = slot->now;
    atomic_fetch_add_explicit(&now->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&slot->lock);
    return now;
}

void snapshot_unref(struct snapshot *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        s->free_fn(s);
}
