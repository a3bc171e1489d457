#include "broker/qlock.h"

#include <stdio.h>

#include "t.h"

#define G TL_STR("g")
#define T TL_STR("TopicA")
#define B TL_STR("broker-a")

static bool take(struct qlock *l, int queue, const char *client, int64_t now_ms)
{
    return qlock_take(l, G, T, B, queue, tl_str_of(client), now_ms);
}

TEST(a_lock_keeps_others_out_until_it_is_given_up)
{
    struct qlock *l = qlock_new();

    CHECK(take(l, 0, "a", 0));
    CHECK(!take(l, 0, "b", 0));
    CHECK(take(l, 1, "b", 0));
    qlock_drop(l, G, T, B, 0, TL_STR("b")); /* not its own */
    CHECK(!take(l, 0, "b", 0));
    qlock_drop(l, G, T, B, 0, TL_STR("a"));
    CHECK(take(l, 0, "b", 0));
    qlock_free(l);
}

TEST(a_lock_ends_a_minute_after_it_was_last_asked_for)
{
    struct qlock *l = qlock_new();

    CHECK(take(l, 0, "a", 0));
    CHECK(take(l, 0, "a", 50000)); /* renewed */
    CHECK(!take(l, 0, "b", 50000 + QLOCK_EXPIRE_MS));
    CHECK(take(l, 0, "b", 50001 + QLOCK_EXPIRE_MS));
    CHECK(!take(l, 0, "a", 50002 + QLOCK_EXPIRE_MS));
    qlock_free(l);
}

TEST(group_topic_broker_and_queue_tell_locks_apart)
{
    struct qlock *l = qlock_new();

    CHECK(qlock_take(l, TL_STR("ab"), TL_STR("c"), B, 0, TL_STR("x"), 0));
    CHECK(qlock_take(l, TL_STR("a"), TL_STR("bc"), B, 0, TL_STR("y"), 0));
    CHECK(qlock_take(l, TL_STR("ab"), TL_STR("c"), TL_STR("broker-b"), 0, TL_STR("y"), 0));
    CHECK(qlock_take(l, TL_STR("ab"), TL_STR("c"), B, 1, TL_STR("y"), 0));
    CHECK(!qlock_take(l, TL_STR("ab"), TL_STR("c"), B, 0, TL_STR("y"), 0));
    qlock_free(l);
}

TEST(many_expired_locks_are_forgotten_and_the_living_stay)
{
    struct qlock *l = qlock_new();

    for (int i = 0; i < 5000; i++)
        CHECK(take(l, i, "old", 0));
    CHECK(take(l, 100000, "young", 100000));
    for (int i = 5000; i < 20000; i++)
        CHECK(take(l, i, "new", 100000));
    CHECK(!take(l, 100000, "other", 100000));
    CHECK(take(l, 1, "other", 100000));
    qlock_free(l);
}

TEST(names_longer_than_anybodys_get_no_lock)
{
    struct qlock *l = qlock_new();
    char name[2000];

    memset(name, 'x', sizeof(name));
    CHECK(!qlock_take(l, tl_str_n(name, sizeof(name)), T, B, 0, TL_STR("a"), 0));
    qlock_drop(l, tl_str_n(name, sizeof(name)), T, B, 0, TL_STR("a"));
    qlock_free(l);
}
