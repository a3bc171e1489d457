#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/snapshot.h"
#include "base/thread.h"
#include "t.h"

struct table {
    struct snapshot snapshot;
    int version, again; /* always equal in a table that is whole */
};

static _Atomic int alive;

static void table_free(struct snapshot *s)
{
    struct table *t = (struct table *)s;
    t->version = -1;
    free(t);
    alive--;
}

static struct snapshot *table_new(int version)
{
    struct table *t = xzalloc(sizeof(*t));
    t->version = t->again = version;
    alive++;
    return &t->snapshot;
}

static int version_of(struct snapshot *s)
{
    return ((struct table *)s)->version;
}

TEST(a_cache_sees_the_newest_table_and_holds_the_one_it_has)
{
    struct snapshot_slot slot;
    struct snapshot_cache cache = {0};
    snapshot_slot_init(&slot, table_new(1), table_free);
    struct snapshot *one = snapshot_get(&slot, &cache);
    CHECK_INT(version_of(one), 1);
    snapshot_publish(&slot, table_new(2));
    CHECK_INT(alive, 2); /* one is in use still */
    CHECK_INT(version_of(one), 1);
    CHECK_INT(version_of(snapshot_get(&slot, &cache)), 2);
    CHECK_INT(alive, 1);
    CHECK(snapshot_get(&slot, &cache) == snapshot_get(&slot, &cache));
    snapshot_cache_release(&cache);
    snapshot_slot_release(&slot);
    CHECK_INT(alive, 0);
}

TEST(a_reference_outlives_the_slot)
{
    struct snapshot_slot slot;
    snapshot_slot_init(&slot, table_new(7), table_free);
    struct snapshot *mine = snapshot_ref(&slot);
    snapshot_slot_release(&slot);
    CHECK_INT(version_of(mine), 7);
    snapshot_unref(mine);
    CHECK_INT(alive, 0);
}

static struct snapshot_slot shared;
static _Atomic int stop;

static void *read_on(void *arg)
{
    struct snapshot_cache cache = {0};
    int last = 0;
    while (!stop) {
        struct table *t = (struct table *)snapshot_get(&shared, &cache);
        CHECK_INT(t->version, t->again);
        CHECK(t->version >= last);
        last = t->version;
    }
    snapshot_cache_release(&cache);
    return arg;
}

TEST(readers_on_other_threads_see_whole_tables_that_never_go_back)
{
    pthread_t t[3];
    snapshot_slot_init(&shared, table_new(1), table_free);
    for (int i = 0; i < 3; i++)
        CHECK_OK(thread_start(&t[i], "reader", ROLE_ANY, read_on, NULL));
    for (int v = 2; v < 3000; v++)
        snapshot_publish(&shared, table_new(v));
    stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    snapshot_slot_release(&shared);
    CHECK_INT(alive, 0);
}
