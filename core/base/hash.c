#include "base/hash.h"

#include <libdeflate.h>

uint32_t hash_crc32(const void *data, size_t len)
{
    return len ? libdeflate_crc32(0, data, len) : 0;
}

uint32_t hash_crc31(const void *data, size_t len)
{
    return hash_crc32(data, len) & 0x7fffffff;
}

int32_t hash_java_string(struct tl_str s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    uint32_t h = 0;
    for (size_t i = 0; i < s.len;) {
        uint32_t c;
        size_t n = tl_utf8_decode(p + i, s.len - i, &c);
        if (!n) {
            c = 0xfffd;
            n = 1;
        }
        if (c >= 0x10000) {
            h = h * 31 + (0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + (c & 0x3ff);
        }
        h = h * 31 + c;
        i += n;
    }
    return (int32_t)h;
}

uint64_t hash_bytes(const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}
