#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/thread.h"
#include "t.h"

enum { THREADS = 4, EACH = 5000 };

static struct lock counter_lock;
static struct rwlock table_lock;
static int counter;

static void *count_up(void *arg)
{
    for (int i = 0; i < EACH; i++) {
        lock_take(&counter_lock);
        counter++;
        lock_drop(&counter_lock);
        rwlock_read(&table_lock);
        rwlock_drop(&table_lock);
    }
    return arg;
}

TEST(a_lock_excludes)
{
    pthread_t t[THREADS];
    lock_init(&counter_lock, RANK_STATS);
    rwlock_init(&table_lock, RANK_TOPICS);
    for (int i = 0; i < THREADS; i++)
        CHECK_OK(thread_start(&t[i], "count", ROLE_ANY, count_up, NULL));
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    CHECK_INT(counter, THREADS * EACH);
    lock_release(&counter_lock);
    rwlock_release(&table_lock);
}

TEST(locks_are_taken_in_order_of_rank_and_dropped_in_any)
{
    struct lock low;
    struct lock high;
    struct rwlock middle;
    lock_init(&low, RANK_CONFIG);
    rwlock_init(&middle, RANK_GROUPS);
    lock_init(&high, RANK_LOG);
    lock_take(&low);
    rwlock_write(&middle);
    lock_take(&high);
    lock_drop(&low);
    rwlock_drop(&middle);
    lock_drop(&high);
    lock_take(&low);
    lock_drop(&low);
    lock_release(&low);
    rwlock_release(&middle);
    lock_release(&high);
}

#ifndef NDEBUG
static void reversal(void)
{
    struct lock low;
    struct lock high;
    lock_init(&low, RANK_CONFIG);
    lock_init(&high, RANK_LOG);
    lock_take(&high);
    lock_take(&low);
}

static void same_rank_twice(void)
{
    struct rwlock l;
    rwlock_init(&l, RANK_TOPICS);
    rwlock_read(&l);
    rwlock_read(&l);
}

static void drop_unheld(void)
{
    struct lock l;
    lock_init(&l, RANK_CONFIG);
    lock_drop(&l);
}

/* Does a child process that runs @fn end by abort()? */
static bool aborts(void (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        fn();
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST(a_reversal_ends_a_debug_build)
{
    CHECK(aborts(reversal));
}

TEST(the_same_rank_twice_ends_a_debug_build)
{
    CHECK(aborts(same_rank_twice));
}

TEST(dropping_a_lock_not_held_ends_a_debug_build)
{
    CHECK(aborts(drop_unheld));
}
#endif
