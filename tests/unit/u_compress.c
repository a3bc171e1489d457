#include <stdlib.h>

#include "base/compress.h"
#include "t.h"

static const enum compress_kind kinds[] = {COMPRESS_LZ4, COMPRESS_ZSTD, COMPRESS_ZLIB};
enum { KINDS = 3 };

/* @n bytes that are neither constant nor random. */
static void fill(struct strbuf *b, size_t n)
{
    uint32_t x = 12345;
    strbuf_clear(b);
    while (b->len < n) {
        x = x * 1664525 + 1013904223;
        strbuf_printf(b, "%u,", x % 1000);
    }
    b->len = n;
}

static void round_trip(enum compress_kind kind, size_t n, bool twice)
{
    struct strbuf plain = {0};
    struct strbuf packed = {0};
    struct strbuf out = {0};
    fill(&plain, n);
    CHECK_OK(compress_pack(kind, plain.data, plain.len, &packed));
    if (n > 1000)
        CHECK(packed.len < n);
    strbuf_addz(&out, twice ? "before" : "");
    size_t before = out.len;
    CHECK_OK(compress_expand(kind, packed.data, packed.len, n, &out));
    CHECK_INT(out.len - before, n);
    CHECK(n == 0 || memcmp(out.data + before, plain.data, n) == 0);
    if (n > 0) {
        CHECK_INT(compress_expand(kind, packed.data, packed.len, n - 1, &out), TL_ELIMIT);
        CHECK_INT(out.len - before, n);
    }
    strbuf_release(&plain);
    strbuf_release(&packed);
    strbuf_release(&out);
}

TEST(bodies_of_all_sizes_come_back_and_keep_to_the_limit)
{
    static const size_t sizes[] = {0, 1, 100, 4095, 4096, 65535, 65536, 65537, 1000000};
    for (int k = 0; k < KINDS; k++)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            round_trip(kinds[k], sizes[i], i % 2 == 1);
}

TEST(a_small_body_cannot_fill_the_memory)
{
    static char zeros[8 << 20];
    for (int k = 0; k < KINDS; k++) {
        struct strbuf packed = {0};
        struct strbuf out = {0};
        CHECK_OK(compress_pack(kinds[k], zeros, sizeof(zeros), &packed));
        CHECK(packed.len < 50000);
        CHECK_INT(compress_expand(kinds[k], packed.data, packed.len, 1 << 20, &out), TL_ELIMIT);
        CHECK_INT(out.len, 0);
        CHECK(out.cap < 4 << 20);
        strbuf_release(&packed);
        strbuf_release(&out);
    }
}

TEST(damage_is_refused)
{
    for (int k = 0; k < KINDS; k++) {
        struct strbuf plain = {0};
        struct strbuf packed = {0};
        struct strbuf out = {0};
        fill(&plain, 5000);
        CHECK_OK(compress_pack(kinds[k], plain.data, plain.len, &packed));
        CHECK_INT(compress_expand(kinds[k], packed.data, packed.len / 2, 9000, &out),
                  TL_EFORMAT);
        CHECK_INT(compress_expand(kinds[k], "rubbish!", 8, 9000, &out), TL_EFORMAT);
        CHECK_INT(compress_expand(kinds[k], "", 0, 9000, &out), TL_EFORMAT);
        CHECK_INT(out.len, 0);
        strbuf_release(&plain);
        strbuf_release(&packed);
        strbuf_release(&out);
    }
}

TEST(zlib_streams_of_java_are_read)
{
    /* java.util.zip.Deflater, level 5, of "hello" */
    static const unsigned char java[] = {0x78, 0x5e, 0xcb, 0x48, 0xcd, 0xc9, 0xc9,
                                         0x07, 0x00, 0x06, 0x2c, 0x02, 0x15};
    struct strbuf out = {0};
    CHECK_OK(compress_expand(COMPRESS_ZLIB, java, sizeof(java), 100, &out));
    CHECK_STR(strbuf_str(&out), "hello");
    strbuf_release(&out);
}

TEST(an_unknown_kind_is_refused)
{
    struct strbuf out = {0};
    CHECK_INT(compress_expand((enum compress_kind)9, "x", 1, 10, &out), TL_ENOTSUP);
    CHECK_INT(compress_pack((enum compress_kind)0, "x", 1, &out), TL_ENOTSUP);
}
