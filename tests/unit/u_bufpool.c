#include "net/bufpool.h"

#include <stdlib.h>

#include "base/mem.h"
#include "t.h"

static struct bufpool pool;

TEST(sizes_are_powers_of_two_and_hold_what_was_asked_for)
{
    static const size_t wants[] = {1,     4096,    4097,          16384,           65537,
                                   65536, 1 << 20, (1 << 20) + 1, 17 * 1000 * 1000};
    static const size_t caps[] = {4096,  4096,    8192,          16384,           131072,
                                  65536, 1 << 20, (1 << 20) + 1, 17 * 1000 * 1000};

    for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
        size_t cap = 0;
        uint8_t *buf = bufpool_take(&pool, wants[i], &cap);
        CHECK_INT(cap, caps[i]);
        buf[0] = buf[cap - 1] = 1;
        bufpool_give(&pool, buf, cap);
    }
    bufpool_release(&pool);
}

TEST(what_came_back_is_taken_again_without_the_heap)
{
    size_t cap;
    uint8_t *a = bufpool_take(&pool, 10000, &cap);

    bufpool_give(&pool, a, cap);
    uint64_t before = mem_count();
    for (int i = 0; i < 100; i++) {
        uint8_t *b = bufpool_take(&pool, 9000, &cap);
        CHECK(b == a);
        bufpool_give(&pool, b, cap);
    }
    CHECK_INT(mem_count(), before);
    bufpool_give(&pool, NULL, 0);
    bufpool_release(&pool);
}

TEST(no_more_than_the_limit_is_kept)
{
    enum { N = 20 };
    uint8_t *all[N];
    size_t cap;

    for (int i = 0; i < N; i++)
        all[i] = bufpool_take(&pool, BUFPOOL_MAX, &cap);
    for (int i = 0; i < N; i++)
        bufpool_give(&pool, all[i], cap);
    CHECK_INT(pool.kept, BUFPOOL_KEEP);
    uint8_t *huge = bufpool_take(&pool, BUFPOOL_MAX + 1, &cap);
    bufpool_give(&pool, huge, cap);
    CHECK_INT(pool.kept, BUFPOOL_KEEP);
    bufpool_release(&pool);
    CHECK_INT(pool.kept, 0);
}
