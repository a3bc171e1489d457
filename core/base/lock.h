/*
 * lock - mutexes and read-write locks with a rank
 *
 * A thread may only take a lock of a higher rank than those it holds; debug builds abort on a
 * reversal, so a deadlock shows in the first test that takes the two, not in the thousandth run.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>

enum lock_rank {
    RANK_CONFIG = 10,
    RANK_TOPICS = 20,
    RANK_GROUPS = 30,
    RANK_CLIENTS = 40,
    RANK_OFFSETS = 50,
    RANK_QLOCK = 60,
    RANK_BINDINGS = 63, /* broker/scripts */
    RANK_SCRIPTS = 65,  /* script engine */
    RANK_CQSET = 70,
    RANK_SEGQ = 80,
    RANK_SHDICT = 90,
    RANK_STATS = 95,
    RANK_LOG = 100,
};

struct lock {
    pthread_mutex_t m;
    int rank;
};

struct rwlock {
    pthread_rwlock_t l;
    int rank;
};

void lock_init(struct lock *l, enum lock_rank rank);
void lock_release(struct lock *l);
void lock_take(struct lock *l);
void lock_drop(struct lock *l);

void rwlock_init(struct rwlock *l, enum lock_rank rank);
void rwlock_release(struct rwlock *l);
void rwlock_read(struct rwlock *l);
void rwlock_write(struct rwlock *l);
void rwlock_drop(struct rwlock *l);

#endif
