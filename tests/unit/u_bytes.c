#include "base/bytes.h"
#include "t.h"

TEST(integers_are_big_endian)
{
    unsigned char b[8];
    put_be16(b, 0x0102);
    CHECK(memcmp(b, "\x01\x02", 2) == 0);
    put_be32(b, 0xdaa320a7u);
    CHECK(memcmp(b, "\xda\xa3\x20\xa7", 4) == 0);
    put_be64(b, 0x0102030405060708u);
    CHECK(memcmp(b, "\x01\x02\x03\x04\x05\x06\x07\x08", 8) == 0);
    CHECK_INT(get_be16(b), 0x0102);
    CHECK_INT(get_be32(b), 0x01020304);
    CHECK(get_be64(b) == 0x0102030405060708u);
}

TEST(a_reader_gives_what_is_there)
{
    struct reader r = reader_of("\x01\x00\x02\x00\x00\x00\x03hey", 10);
    CHECK_INT(reader_u8(&r), 1);
    CHECK_INT(reader_u16(&r), 2);
    CHECK_INT(reader_u32(&r), 3);
    CHECK_INT(reader_left(&r), 3);
    CHECK_STR(reader_str(&r, 3), "hey");
    CHECK(!r.failed);
    CHECK_INT(reader_left(&r), 0);
}

TEST(a_short_read_sticks)
{
    struct reader r = reader_of("\x01\x02\x03", 3);
    CHECK_INT(reader_u32(&r), 0);
    CHECK(r.failed);
    CHECK_INT(reader_u8(&r), 0);
    CHECK(!reader_str(&r, 1).data);
    CHECK_INT(reader_left(&r), 0);
}

TEST(a_huge_length_does_not_wrap)
{
    struct reader r = reader_of("abc", 3);
    CHECK(!reader_take(&r, SIZE_MAX));
    CHECK(r.failed);
}
