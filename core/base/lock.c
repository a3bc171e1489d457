#include "base/lock.h"

#include <stdio.h>
#include <stdlib.h>

/* A lock call that fails is a bug (destroyed, not held, deadlock); going on would lose data. */
static void must(int err, const char *what)
{
    if (err) {
        fprintf(stderr, "lock: %s failed with errno %d\n", what, err);
        abort();
    }
}

#ifndef NDEBUG

enum { HELD_MAX = 16 };

static _Thread_local int held[HELD_MAX]; /* ranks, ascending */
static _Thread_local int n_held;

static void rank_take(int rank)
{
    if (n_held && held[n_held - 1] >= rank) {
        fprintf(stderr, "lock: rank %d taken while rank %d is held\n", rank, held[n_held - 1]);
        abort();
    }
    if (n_held == HELD_MAX) {
        fprintf(stderr, "lock: more than %d locks held by one thread\n", HELD_MAX);
        abort();
    }
    held[n_held++] = rank;
}

static void rank_drop(int rank)
{
    int i = n_held;
    while (i > 0 && held[i - 1] != rank)
        i--;
    if (!i) {
        fprintf(stderr, "lock: rank %d dropped without being held\n", rank);
        abort();
    }
    for (; i < n_held; i++)
        held[i - 1] = held[i];
    n_held--;
}

#else

static void rank_take(int rank)
{
    (void)rank;
}

static void rank_drop(int rank)
{
    (void)rank;
}

#endif

void lock_init(struct lock *l, enum lock_rank rank)
{
    must(pthread_mutex_init(&l->m, NULL), "lock_init");
    l->rank = (int)rank;
}

void lock_release(struct lock *l)
{
    must(pthread_mutex_destroy(&l->m), "lock_release");
}

void lock_take(struct lock *l)
{
    rank_take(l->rank);
    must(pthread_mutex_lock(&l->m), "lock_take");
}

void lock_drop(struct lock *l)
{
    rank_drop(l->rank);
    must(pthread_mutex_unlock(&l->m), "lock_drop");
}

void rwlock_init(struct rwlock *l, enum lock_rank rank)
{
    must(pthread_rwlock_init(&l->l, NULL), "rwlock_init");
    l->rank = (int)rank;
}

void rwlock_release(struct rwlock *l)
{
    must(pthread_rwlock_destroy(&l->l), "rwlock_release");
}

void rwlock_read(struct rwlock *l)
{
    rank_take(l->rank);
    must(pthread_rwlock_rdlock(&l->l), "rwlock_read");
}

void rwlock_write(struct rwlock *l)
{
    rank_take(l->rank);
    must(pthread_rwlock_wrlock(&l->l), "rwlock_write");
}

void rwlock_drop(struct rwlock *l)
{
    rank_drop(l->rank);
    must(pthread_rwlock_unlock(&l->l), "rwlock_drop");
}
