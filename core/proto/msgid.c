#include "proto/msgid.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

static const char hex_digits[] = "0123456789ABCDEF";

static size_t hex_text(const uint8_t *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = hex_digits[bytes[i] >> 4];
        out[2 * i + 1] = hex_digits[bytes[i] & 15];
    }
    return 2 * n;
}

size_t msgid_offset_text(const struct record_host *host, int64_t log_pos, char out[MSGID_MAX])
{
    uint8_t bytes[28];
    size_t n = host->v6 ? 16 : 4;

    memcpy(bytes, host->ip, n);
    put_be32(bytes + n, (uint32_t)host->port);
    put_be64(bytes + n + 4, (uint64_t)log_pos);
    return hex_text(bytes, n + 12, out);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool msgid_offset_parse(struct tl_str text, struct record_host *host, int64_t *log_pos)
{
    uint8_t bytes[28];

    if (text.len != 32 && text.len != 56)
        return false;
    for (size_t i = 0; i < text.len / 2; i++) {
        int high = hex_value(text.data[2 * i]), low = hex_value(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    size_t n = text.len / 2 - 12;
    memset(host, 0, sizeof(*host));
    memcpy(host->ip, bytes, n);
    host->v6 = n == 16;
    host->port = (int32_t)get_be32(bytes + n);
    *log_pos = (int64_t)get_be64(bytes + n + 4);
    return true;
}

void msgid_maker_init(struct msgid_maker *m, const uint8_t ip[4], uint32_t instance)
{
    memset(m, 0, sizeof(*m));
    memcpy(m->prefix, ip, 4);
    put_be16(m->prefix + 4, (uint16_t)getpid());
    put_be32(m->prefix + 6, instance);
}

/* First millisecond of the local month @months after that of @now_ms. */
static int64_t month_start(int64_t now_ms, int months)
{
    time_t now = (time_t)(now_ms / 1000);
    struct tm tm;

    localtime_r(&now, &tm);
    tm.tm_mon += months;
    tm.tm_mday = 1;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    tm.tm_isdst = -1;
    return (int64_t)mktime(&tm) * 1000;
}

void msgid_make(struct msgid_maker *m, int64_t now_ms, char out[32])
{
    uint8_t bytes[16];

    if (now_ms >= m->month_end_ms || now_ms < m->month_start_ms) {
        m->month_start_ms = month_start(now_ms, 0);
        m->month_end_ms = month_start(now_ms, 1);
    }
    memcpy(bytes, m->prefix, 10);
    put_be32(bytes + 10, (uint32_t)(now_ms - m->month_start_ms));
    put_be16(bytes + 14, m->counter++);
    hex_text(bytes, 16, out);
}
