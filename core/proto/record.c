#include "proto/record.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/hash.h"
#include "proto/flags.h"

enum {
    FIXED_SIZE = 91, /* V1, both hosts IPv4, everything else empty */
    V6_EXTRA = 12,
    TOPIC_MAX = 255,
    HOST_V4 = 8,
    HOST_V6 = 20,
};

static bool is_v2(const struct record *r)
{
    return r->topic.len > RECORD_TOPIC_V1_MAX;
}

size_t record_size(const struct record *r)
{
    return FIXED_SIZE + (r->born_host.v6 ? V6_EXTRA : 0) + (r->store_host.v6 ? V6_EXTRA : 0) +
           (is_v2(r) ? 1 : 0) + r->body.len + r->topic.len + r->properties.len;
}

static uint8_t *put32(uint8_t *p, int32_t v)
{
    put_be32(p, (uint32_t)v);
    return p + 4;
}

static uint8_t *put64(uint8_t *p, int64_t v)
{
    put_be64(p, (uint64_t)v);
    return p + 8;
}

static uint8_t *put_host(uint8_t *p, const struct record_host *h)
{
    size_t n = h->v6 ? 16 : 4;
    memcpy(p, h->ip, n);
    return put32(p + n, h->port);
}

static uint8_t *put_bytes(uint8_t *p, struct tl_str s)
{
    if (s.len)
        memcpy(p, s.data, s.len);
    return p + s.len;
}

int record_encode(const struct record *r, uint8_t *out)
{
    size_t size = record_size(r);
    int32_t sys_flag = r->sys_flag & ~(SYS_BORNHOST_V6 | SYS_STOREHOST_V6);

    if (r->topic.len > TOPIC_MAX)
        return tl_fail(TL_EILLEGAL, "topic of %zu bytes: the limit is %d", r->topic.len,
                       TOPIC_MAX);
    if (r->properties.len > RECORD_PROPERTIES_MAX)
        return tl_fail(TL_EILLEGAL, "properties of %zu bytes: the limit is %d",
                       r->properties.len, RECORD_PROPERTIES_MAX);
    if (size > INT32_MAX)
        return tl_fail(TL_EILLEGAL, "record of %zu bytes", size);
    if (r->born_host.v6)
        sys_flag |= SYS_BORNHOST_V6;
    if (r->store_host.v6)
        sys_flag |= SYS_STOREHOST_V6;
    uint8_t *p = put32(out, (int32_t)size);
    p = put32(p, is_v2(r) ? RECORD_MAGIC_V2 : RECORD_MAGIC_V1);
    p = put32(p, (int32_t)hash_crc31(r->body.data, r->body.len));
    p = put32(p, r->queue_id);
    p = put32(p, r->flag);
    p = put64(p, r->queue_offset);
    p = put64(p, r->log_pos);
    p = put32(p, sys_flag);
    p = put64(p, r->born_timestamp);
    p = put_host(p, &r->born_host);
    p = put64(p, r->store_timestamp);
    p = put_host(p, &r->store_host);
    p = put32(p, r->reconsume_times);
    p = put64(p, r->prepared_offset);
    p = put32(p, (int32_t)r->body.len);
    p = put_bytes(p, r->body);
    if (is_v2(r)) {
        put_be16(p, (uint16_t)r->topic.len);
        p += 2;
    } else {
        *p++ = (uint8_t)r->topic.len;
    }
    p = put_bytes(p, r->topic);
    put_be16(p, (uint16_t)r->properties.len);
    put_bytes(p + 2, r->properties);
    return 0;
}

static size_t store_time_at(const uint8_t *rec)
{
    uint32_t sys_flag = get_be32(rec + RECORD_AT_SYS_FLAG);
    return RECORD_AT_BORN_HOST + (sys_flag & SYS_BORNHOST_V6 ? HOST_V6 : HOST_V4);
}

void record_patch(uint8_t *rec, int64_t queue_offset, int64_t log_pos, int64_t store_timestamp)
{
    put_be64(rec + RECORD_AT_QUEUE_OFFSET, (uint64_t)queue_offset);
    put_be64(rec + RECORD_AT_LOG_POS, (uint64_t)log_pos);
    put_be64(rec + store_time_at(rec), (uint64_t)store_timestamp);
}

int64_t record_store_timestamp(const void *rec)
{
    const uint8_t *p = rec;
    return (int64_t)get_be64(p + store_time_at(p));
}

static void read_host(struct reader *r, bool v6, struct record_host *out)
{
    const uint8_t *ip = reader_take(r, v6 ? 16 : 4);

    memset(out, 0, sizeof(*out));
    if (ip)
        memcpy(out->ip, ip, v6 ? 16 : 4);
    out->v6 = v6;
    out->port = (int32_t)reader_u32(r);
}

static int decode_fields(struct reader *r, struct record *out)
{
    out->body_crc = (int32_t)reader_u32(r);
    out->queue_id = (int32_t)reader_u32(r);
    out->flag = (int32_t)reader_u32(r);
    out->queue_offset = (int64_t)reader_u64(r);
    out->log_pos = (int64_t)reader_u64(r);
    out->sys_flag = (int32_t)reader_u32(r);
    out->born_timestamp = (int64_t)reader_u64(r);
    read_host(r, out->sys_flag & SYS_BORNHOST_V6, &out->born_host);
    out->store_timestamp = (int64_t)reader_u64(r);
    read_host(r, out->sys_flag & SYS_STOREHOST_V6, &out->store_host);
    out->reconsume_times = (int32_t)reader_u32(r);
    out->prepared_offset = (int64_t)reader_u64(r);
    out->body = reader_str(r, reader_u32(r));
    if (r->failed)
        return tl_fail(TL_EFORMAT, "record of %u bytes: the body does not fit", out->size);
    out->topic = reader_str(r, out->magic == RECORD_MAGIC_V2 ? reader_u16(r) : reader_u8(r));
    if (r->failed)
        return tl_fail(TL_EFORMAT, "record of %u bytes: the topic does not fit", out->size);
    out->properties = reader_str(r, reader_u16(r));
    if (r->failed)
        return tl_fail(TL_EFORMAT, "record of %u bytes: the properties do not fit", out->size);
    if (reader_left(r))
        return tl_fail(TL_EFORMAT, "record of %u bytes: %zu too many", out->size,
                       reader_left(r));
    return 0;
}

int record_decode(const void *data, size_t len, unsigned checks, struct record *out)
{
    struct reader r = reader_of(data, len);

    out->size = reader_u32(&r);
    out->magic = (int32_t)reader_u32(&r);
    if (r.failed)
        return -tl_fail(TL_EFORMAT, "record: only %zu bytes left", len);
    if (out->magic == RECORD_MAGIC_BLANK) {
        if (out->size < RECORD_BLANK_SIZE || out->size > INT32_MAX)
            return -tl_fail(TL_EFORMAT, "blank of %u bytes", out->size);
        return RECORD_BLANK;
    }
    if (out->magic != RECORD_MAGIC_V1 && out->magic != RECORD_MAGIC_V2)
        return -tl_fail(TL_EFORMAT, "record: unknown magic 0x%08x", (unsigned)out->magic);
    if (out->size < FIXED_SIZE || out->size > len)
        return -tl_fail(TL_EFORMAT, "record of %u bytes, %zu are there", out->size, len);
    r.end = (const uint8_t *)data + out->size;
    int rc = decode_fields(&r, out);
    if (rc)
        return -rc;
    if ((checks & RECORD_CHECK_CRC) &&
        (uint32_t)out->body_crc != hash_crc31(out->body.data, out->body.len))
        return -tl_fail(TL_ECORRUPT, "record: the body's checksum is wrong");
    return RECORD_MESSAGE;
}

void record_host_text(const struct record_host *h, char out[64])
{
    char ip[INET6_ADDRSTRLEN];

    inet_ntop(h->v6 ? AF_INET6 : AF_INET, h->ip, ip, sizeof(ip));
    snprintf(out, 64, h->v6 ? "[%s]:%d" : "%s:%d", ip, h->port);
}
