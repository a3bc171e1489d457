/*
 * snapshot - a slow-changing table that many threads read without locks
 *
 * The table is immutable and counted; a change builds a new one and publishes it.  A reader keeps
 * its own cache (pointer + generation) and looks at one atomic number per use; only when that has
 * moved does it take the new table.  Threads without a cache use snapshot_ref()/snapshot_unref().
 */
#ifndef BASE_SNAPSHOT_H
#define BASE_SNAPSHOT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* First member of a table that is published. */
struct snapshot {
    _Atomic int32_t refs;
    void (*free_fn)(struct snapshot *s);
};

struct snapshot_slot {
    pthread_mutex_t lock; /* held only to swap or to take a reference */
    _Atomic uint64_t generation;
    struct snapshot *now;
};

struct snapshot_cache {
    struct snapshot *table;
    uint64_t generation;
};

/* Takes @first (refs set to 1 here). */
void snapshot_slot_init(struct snapshot_slot *slot, struct snapshot *first, void (*free_fn)(struct snapshot *));
void snapshot_slot_release(struct snapshot_slot *slot);
/* Takes @next and drops the slot's reference on the former one.  Any thread; writers serialise
 * among themselves by their own lock, so that each builds on the newest. */
void snapshot_publish(struct snapshot_slot *slot, struct snapshot *next);

/* The newest table, valid until the next call with the same @cache.  Cache's own thread. */
struct snapshot *snapshot_get(struct snapshot_slot *slot, struct snapshot_cache *cache);
void snapshot_cache_release(struct snapshot_cache *cache);

struct snapshot *snapshot_ref(struct snapshot_slot *slot); /* any thread */
void snapshot_unref(struct snapshot *s);

#endif
