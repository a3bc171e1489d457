#include "proto/frame.h"

#include "base/bytes.h"
#include "base/err.h"

int64_t frame_cut(const void *data, size_t len, size_t max, struct frame *out, size_t *need)
{
    const uint8_t *p = data;

    *need = FRAME_PREFIX;
    if (len < FRAME_PREFIX)
        return 0;
    uint32_t total = get_be32(p);
    if (total > max || total > INT32_MAX) {
        tl_fail(TL_ELIMIT, "frame of %u bytes: the limit is %zu", total, max);
        return -1;
    }
    if (total < FRAME_HEAD - FRAME_PREFIX) {
        tl_fail(TL_EFORMAT, "frame of %u bytes: too short for a header length", total);
        return -1;
    }
    size_t whole = (size_t)total + FRAME_PREFIX;
    *need = whole;
    if (len < FRAME_HEAD)
        return 0;
    uint32_t word = get_be32(p + FRAME_PREFIX), type = word >> 24, header = word & 0xffffff;
    if (type > SERIALIZE_BINARY) {
        tl_fail(TL_EFORMAT, "frame: unknown serialize type %u", type);
        return -1;
    }
    if (header > total - (FRAME_HEAD - FRAME_PREFIX)) {
        tl_fail(TL_EFORMAT, "frame: header of %u bytes in a frame of %u", header, total);
        return -1;
    }
    if (len < whole)
        return 0;
    size_t body = whole - FRAME_HEAD - header;
    out->type = (enum serialize_type)type;
    out->header = tl_str_n(p + FRAME_HEAD, header);
    out->body = body ? tl_str_n(p + FRAME_HEAD + header, body) : TL_STR_NONE;
    return (int64_t)whole;
}
