#include "proto/batch.h"

#include "base/err.h"

enum { ITEM_FIXED = 22 };

int batch_next(struct reader *r, struct batch_item *out)
{
    if (!r->failed && r->at == r->end)
        return 0;
    reader_u32(r); /* size: what follows says it; as in Java nobody compares */
    reader_u32(r); /* magic */
    reader_u32(r); /* CRC */
    out->flag = (int32_t)reader_u32(r);
    out->body = reader_str(r, reader_u32(r));
    out->properties = reader_str(r, reader_u16(r));
    if (r->failed)
        return -tl_fail(TL_EFORMAT, "an inner message is longer than the batch");
    return 1;
}

void batch_add(struct strbuf *out, const struct batch_item *item)
{
    size_t size = ITEM_FIXED + item->body.len + item->properties.len;
    char *p = strbuf_reserve(out, size);

    put_be32(p, (uint32_t)size);
    memset(p + 4, 0, 8);
    put_be32(p + 12, (uint32_t)item->flag);
    put_be32(p + 16, (uint32_t)item->body.len);
    p += 20;
    if (item->body.len)
        memcpy(p, item->body.data, item->body.len);
    p += item->body.len;
    put_be16(p, (uint16_t)item->properties.len);
    if (item->properties.len)
        memcpy(p + 2, item->properties.data, item->properties.len);
    strbuf_commit(out, size);
}
