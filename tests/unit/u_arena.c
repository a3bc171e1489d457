#include "base/arena.h"
#include "base/mem.h"
#include "t.h"

TEST(blocks_are_aligned_and_apart)
{
    struct arena a;
    arena_init(&a, 256);
    char *before = NULL;
    for (int i = 0; i < 100; i++) {
        char *p = arena_alloc(&a, 5);
        CHECK_INT((uintptr_t)p % 16, 0);
        CHECK(p != before);
        memset(p, i, 5);
        if (before)
            CHECK_INT(before[4], i - 1);
        before = p;
    }
    arena_release(&a);
}

TEST(a_large_block_leaves_the_chunk_in_use_usable)
{
    struct arena a;
    arena_init(&a, 1024);
    char *first = arena_alloc(&a, 16);
    char *large = arena_zalloc(&a, 100000);
    char *next = arena_alloc(&a, 16);
    CHECK_INT(large[99999], 0);
    CHECK(next == first + 16);
    arena_release(&a);
}

TEST(a_warm_arena_does_not_allocate)
{
    struct arena a;
    arena_init(&a, 0);
    arena_alloc(&a, 1000);
    arena_alloc(&a, 9000);
    arena_reset(&a);
    uint64_t before = mem_count();
    arena_alloc(&a, 3000);
    CHECK_INT(mem_count(), before);
    arena_release(&a);
}

TEST(text_is_copied_and_printed)
{
    struct arena a;
    arena_init(&a, 64);
    struct tl_str copy = arena_copy(&a, TL_STR("abc"));
    CHECK_STR(copy, "abc");
    CHECK_INT(copy.data[3], 0);
    CHECK(!arena_copy(&a, TL_STR_NONE).data);
    CHECK(arena_copy(&a, TL_STR("")).data);
    CHECK_STR(arena_printf(&a, "%s=%d", "key", 42), "key=42");
    CHECK_INT(arena_printf(&a, "%0500d", 1).len, 500);
    CHECK_STR(arena_cstr(&a, TL_STR("z")), "z");
    arena_release(&a);
}
