#include "base/errinj.h"
#include "base/mem.h"
#include "t.h"

TEST(zero_bytes_are_an_allocation_too)
{
    void *p = xmalloc(0);
    CHECK(p);
    free(p);
}

TEST(zalloc_and_calloc_clear)
{
    unsigned char *p = xcalloc(40, 3);
    for (int i = 0; i < 120; i++)
        CHECK_INT(p[i], 0);
    free(p);
}

TEST(copies_end_in_nul)
{
    char *a = xstrdup("hello");
    char *b = xstrndup("hello", 3);
    char *c = xasprintf("%s-%d", "q", 5);
    CHECK_STR(a, "hello");
    CHECK_STR(b, "hel");
    CHECK_STR(c, "q-5");
    free(a);
    free(b);
    free(c);
}

TEST(every_allocation_is_counted)
{
    uint64_t before = mem_count();
    void *p = xmalloc(8);
    p = xrealloc(p, 100);
    free(p);
    CHECK_INT(mem_count() - before, 2);
}

#ifdef TL_ERRINJ
TEST(try_malloc_fails_when_told_to)
{
    errinj_arm(ERRINJ_TRY_MALLOC, 1, 1);
    void *first = try_malloc(8);
    void *second = try_malloc(8);
    void *third = try_malloc(8);
    CHECK(first);
    CHECK(!second);
    CHECK(third);
    free(first);
    free(third);
}
#endif
