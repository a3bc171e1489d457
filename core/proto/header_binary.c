/*
 * The ROCKETMQ header (RocketMQSerializable):
 *
 *   code 2 | language 1 | version 2 | opaque 4 | flag 4 | remark length 4 + remark |
 *   ext length 4 + entries: key length 2 + key | value length 4 + value
 */
#include "base/bytes.h"
#include "base/err.h"
#include "proto/code.h"
#include "proto/header_json.h"

static int decode_ext(struct tl_str bytes, struct arena *a, struct command *out)
{
    struct reader r = reader_of(bytes.data, bytes.len);

    while (reader_left(&r)) {
        struct tl_str key = reader_str(&r, reader_u16(&r));
        struct tl_str value = reader_str(&r, reader_u32(&r));
        if (r.failed)
            return tl_fail(TL_EFORMAT, "binary header: an ext field is longer than the header");
        if (!key.len || !value.len)
            continue;
        int rc = command_add_ext(out, a, key, value);
        if (rc)
            return rc;
    }
    return 0;
}

int header_binary_decode(struct tl_str bytes, struct arena *a, struct command *out)
{
    struct reader r = reader_of(bytes.data, bytes.len);

    if (!bytes.len) {
        out->nothing = true;
        return 0;
    }
    out->code = (int16_t)reader_u16(&r);
    out->language = reader_u8(&r);
    out->version = (int16_t)reader_u16(&r);
    out->opaque = (int32_t)reader_u32(&r);
    out->flag = (int32_t)reader_u32(&r);
    out->remark = reader_str(&r, reader_u32(&r));
    uint32_t len = reader_u32(&r);
    struct tl_str ext = (int32_t)len < 0 ? TL_STR_NONE : reader_str(&r, len);
    if (r.failed)
        return tl_fail(TL_EFORMAT, "binary header: cut short after %zu bytes", bytes.len);
    if (!out->remark.len)
        out->remark = TL_STR_NONE;
    if (!language_name(out->language))
        out->language = -1;
    out->has_ext = ext.len > 0;
    return ext.len ? decode_ext(ext, a, out) : 0;
}

static void put16(struct strbuf *out, unsigned v)
{
    put_be16(strbuf_reserve(out, 2), (uint16_t)v);
    strbuf_commit(out, 2);
}

static void put32(struct strbuf *out, uint32_t v)
{
    put_be32(strbuf_reserve(out, 4), v);
    strbuf_commit(out, 4);
}

static void put_pair(void *arg, struct tl_str key, struct tl_str value)
{
    struct strbuf *out = arg;

    put16(out, (unsigned)key.len);
    strbuf_addstr(out, key);
    put32(out, (uint32_t)value.len);
    strbuf_addstr(out, value);
}

void header_binary_encode(const struct command_out *c, struct strbuf *out)
{
    put16(out, (unsigned)c->code);
    strbuf_addc(out, (char)c->language);
    put16(out, (unsigned)c->version);
    put32(out, (uint32_t)c->opaque);
    put32(out, (uint32_t)c->flag);
    put32(out, (uint32_t)c->remark.len);
    strbuf_addstr(out, c->remark);
    size_t at = out->len;
    put32(out, 0);
    if (c->ext_header)
        header_walk(c->ext_header, c->ext_struct, put_pair, out);
    for (uint32_t i = 0; i < c->extra_count; i++)
        put_pair(out, c->extra[i].key, c->extra[i].value);
    put_be32(out->data + at, (uint32_t)(out->len - at - 4));
}
