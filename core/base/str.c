#include "base/str.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"

bool tl_str_eq_nocase(struct tl_str a, struct tl_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        unsigned char x = (unsigned char)a.data[i];
        unsigned char y = (unsigned char)b.data[i];
        if (x >= 'A' && x <= 'Z')
            x |= 0x20;
        if (y >= 'A' && y <= 'Z')
            y |= 0x20;
        if (x != y)
            return false;
    }
    return true;
}

int tl_str_cmp(struct tl_str a, struct tl_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct tl_str tl_str_trim(struct tl_str s)
{
    while (s.len && blank(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len && blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

struct tl_str tl_str_cut(struct tl_str *s, char sep)
{
    struct tl_str head = *s;
    const char *at = s->len ? memchr(s->data, sep, s->len) : NULL;
    if (!at) {
        *s = TL_STR_NONE;
        return head;
    }
    head.len = (size_t)(at - s->data);
    s->data = at + 1;
    s->len -= head.len + 1;
    return head;
}

bool tl_str_i64(struct tl_str s, int64_t *out)
{
    size_t i = 0;
    bool minus = false;
    if (s.len && (s.data[0] == '-' || s.data[0] == '+')) {
        minus = s.data[0] == '-';
        i = 1;
    }
    if (i == s.len)
        return false;
    int64_t n = 0; /* kept negative: that side reaches one further */
    for (; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, s.data[i] - '0', &n))
            return false;
    }
    if (!minus && n == INT64_MIN)
        return false;
    *out = minus ? n : -n;
    return true;
}

bool tl_str_i32(struct tl_str s, int32_t *out)
{
    int64_t n;
    if (!tl_str_i64(s, &n) || n < INT32_MIN || n > INT32_MAX)
        return false;
    *out = (int32_t)n;
    return true;
}

bool tl_str_f64(struct tl_str s, double *out)
{
    char text[64];
    if (!s.len || s.len >= sizeof(text))
        return false;
    for (size_t i = 0; i < s.len; i++) /* no blanks, hex, inf or nan */
        if (!strchr("0123456789+-.eE", s.data[i]) || !s.data[i])
            return false;
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    char *end;
    errno = 0;
    double d = strtod(text, &end);
    if (*end || (errno == ERANGE && (d > 1 || d < -1)))
        return false;
    *out = d;
    return true;
}

void strbuf_init(struct strbuf *b)
{
    *b = (struct strbuf){NULL, 0, 0};
}

void strbuf_release(struct strbuf *b)
{
    free(b->data);
    strbuf_init(b);
}

char *strbuf_reserve(struct strbuf *b, size_t n)
{
    if (b->cap < b->len + n + 1) {
        size_t cap = b->cap < 64 ? 64 : b->cap + b->cap / 2;
        if (cap < b->len + n + 1)
            cap = b->len + n + 1;
        b->data = xrealloc(b->data, cap);
        b->cap = cap;
        b->data[b->len] = '\0';
    }
    return b->data + b->len;
}

void strbuf_commit(struct strbuf *b, size_t n)
{
    b->len += n;
    b->data[b->len] = '\0';
}

void strbuf_add(struct strbuf *b, const void *data, size_t len)
{
    char *to = strbuf_reserve(b, len);
    if (len)
        memcpy(to, data, len);
    strbuf_commit(b, len);
}

void strbuf_addstr(struct strbuf *b, struct tl_str s)
{
    strbuf_add(b, s.data, s.len);
}

void strbuf_addz(struct strbuf *b, const char *cstr)
{
    strbuf_add(b, cstr, strlen(cstr));
}

void strbuf_addc(struct strbuf *b, char c)
{
    strbuf_add(b, &c, 1);
}

void strbuf_addi(struct strbuf *b, int64_t n)
{
    char digits[20];
    strbuf_add(b, digits, tl_i64_text(n, digits));
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *to = strbuf_reserve(b, 80);
    size_t room = b->cap - b->len;
    int n = vsnprintf(to, room, fmt, ap);
    va_end(ap);
    if (n < 0) {
        *to = '\0';
        return;
    }
    if ((size_t)n >= room) {
        to = strbuf_reserve(b, (size_t)n);
        va_start(ap, fmt);
        vsnprintf(to, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    strbuf_commit(b, (size_t)n);
}

char *strbuf_detach(struct strbuf *b, size_t *len)
{
    strbuf_reserve(b, 0);
    char *data = b->data;
    if (len)
        *len = b->len;
    strbuf_init(b);
    return data;
}

size_t tl_utf8_decode(const void *data, size_t left, uint32_t *cp)
{
    const unsigned char *p = data;
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n;
    uint32_t c;
    if (p[0] < 0x80) {
        *cp = p[0];
        return 1;
    }
    if ((p[0] & 0xe0) == 0xc0) {
        n = 2;
        c = p[0] & 0x1f;
    } else if ((p[0] & 0xf0) == 0xe0) {
        n = 3;
        c = p[0] & 0x0f;
    } else if ((p[0] & 0xf8) == 0xf0) {
        n = 4;
        c = p[0] & 0x07;
    } else {
        return 0;
    }
    if (left < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *cp = c;
    return n;
}

void strbuf_add_utf8(struct strbuf *b, uint32_t cp)
{
    char *p = strbuf_reserve(b, 4);
    if (cp < 0x80) {
        p[0] = (char)cp;
        strbuf_commit(b, 1);
    } else if (cp < 0x800) {
        p[0] = (char)(0xc0 | cp >> 6);
        p[1] = (char)(0x80 | (cp & 0x3f));
        strbuf_commit(b, 2);
    } else if (cp < 0x10000) {
        p[0] = (char)(0xe0 | cp >> 12);
        p[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        p[2] = (char)(0x80 | (cp & 0x3f));
        strbuf_commit(b, 3);
    } else {
        p[0] = (char)(0xf0 | cp >> 18);
        p[1] = (char)(0x80 | (cp >> 12 & 0x3f));
        p[2] = (char)(0x80 | (cp >> 6 & 0x3f));
        p[3] = (char)(0x80 | (cp & 0x3f));
        strbuf_commit(b, 4);
    }
}

size_t tl_i64_text(int64_t n, char out[20])
{
    char back[20];
    size_t len = 0;
    size_t i = 0;
    uint64_t u = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    do
        back[len++] = (char)('0' + u % 10);
    while (u /= 10);
    if (n < 0)
        back[len++] = '-';
    while (len)
        out[i++] = back[--len];
    return i;
}
