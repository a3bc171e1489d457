#include "base/hash.h"
#include "t.h"

static int32_t h(const char *text)
{
    return hash_java_string(tl_str_of(text));
}

TEST(strings_hash_as_in_java)
{
    CHECK_INT(h(""), 0);
    CHECK_INT(h("TagA"), 2598919);
    CHECK_INT(h("TopicA#k1"), -1903240649);
    CHECK_INT(h("polygenelubricants"), INT32_MIN);
}

TEST(hashes_go_over_utf16_units)
{
    CHECK_INT(h("\xc3\xa9"), 0xe9);                                 /* one unit */
    CHECK_INT(h("\xe4\xb8\xad\xe6\x96\x87"), 0x4e2d * 31 + 0x6587); /* two units */
    CHECK_INT(h("\xf0\x9f\x98\x80"), 0xd83d * 31 + 0xde00);         /* a surrogate pair */
}

TEST(invalid_utf8_hashes_as_the_replacement_character)
{
    CHECK_INT(h("\xff"), 0xfffd);
    CHECK_INT(h("a\xc3"), 'a' * 31 + 0xfffd);
    CHECK_INT(h("\xed\xa0\x80"), (int32_t)((0xfffdu * 31 + 0xfffd) * 31 + 0xfffd));
}

TEST(crc_is_that_of_java)
{
    CHECK_INT(hash_crc31("hello0", 6), 0x7036e992);
    CHECK_INT(hash_crc32("123456789", 9), 0xcbf43926u);
    CHECK_INT(hash_crc31("123456789", 9), 0x4bf43926);
    CHECK_INT(hash_crc32(NULL, 0), 0);
    CHECK_INT(hash_crc31("", 0), 0);
}

TEST(our_own_hash_is_fnv_1a)
{
    CHECK(hash_bytes("", 0) == 0xcbf29ce484222325u);
    CHECK(hash_bytes("a", 1) == 0xaf63dc4c8601ec8cu);
    CHECK(hash_bytes("foobar", 6) == 0x85944171f73967e8u);
}
