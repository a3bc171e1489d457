#include "proto/header.h"

#include <string.h>

#include "base/err.h"

static void set_default(const struct field *f, void *at)
{
    switch (f->type) {
    case FIELD_STR: *(struct tl_str *)at = TL_STR_NONE; break;
    case FIELD_BOOL: *(bool *)at = f->def != 0; break;
    case FIELD_I32: *(int32_t *)at = (int32_t)f->def; break;
    case FIELD_I64: *(int64_t *)at = f->def; break;
    }
}

/* False when a number does not parse: it then counts as absent. */
static bool set_value(const struct field *f, void *at, struct tl_str value)
{
    int32_t n32;
    int64_t n64;

    switch (f->type) {
    case FIELD_STR: *(struct tl_str *)at = value; return true;
    case FIELD_BOOL: *(bool *)at = tl_str_eq_nocase(value, TL_STR("true")); return true;
    case FIELD_I32:
        if (!tl_str_i32(value, &n32))
            return false;
        *(int32_t *)at = n32;
        return true;
    case FIELD_I64:
        if (!tl_str_i64(value, &n64))
            return false;
        *(int64_t *)at = n64;
        return true;
    }
    return false;
}

/* Fields mostly come in no order; starting behind the last hit finds the orderly ones at once. */
static int find_field(const struct header *h, struct tl_str key, bool aliases, size_t hint)
{
    for (size_t i = 0; i < h->nfields; i++) {
        size_t at = hint + i < h->nfields ? hint + i : hint + i - h->nfields;
        const char *name = aliases ? h->fields[at].alias : h->fields[at].name;
        if (name && name[0] == key.data[0] && tl_str_is(key, name))
            return (int)at;
    }
    return -1;
}

int header_decode(const struct header *h, const struct kv *kv, size_t n, bool aliases,
                  void *out)
{
    char *base = out;
    uint64_t present = 0;
    size_t hint = 0;

    for (size_t i = 0; i < h->nfields; i++)
        set_default(&h->fields[i], base + h->fields[i].offset);
    for (size_t i = 0; i < n; i++) {
        if (!kv[i].value.data || !kv[i].key.len)
            continue;
        int at = find_field(h, kv[i].key, aliases, hint);
        if (at < 0)
            continue;
        const struct field *f = &h->fields[at];
        if (set_value(f, base + f->offset, kv[i].value))
            present |= UINT64_C(1) << at;
        else if ((f->flags & NUMBER) && (aliases || !f->alias))
            return tl_fail(TL_EFORMAT, "the custom field <%s> is not a number: \"%.*s\"",
                           f->name, TL_STR_ARG(kv[i].value));
        hint = (size_t)at + 1;
    }
    for (size_t i = 0; i < h->nfields; i++) {
        if ((h->fields[i].flags & REQUIRED) && !(present & (UINT64_C(1) << i)))
            return tl_fail(TL_EFORMAT, "the custom field <%s> is null", h->fields[i].name);
    }
    if (h->present_offset != SIZE_MAX)
        memcpy(base + h->present_offset, &present, sizeof(present));
    return 0;
}

void header_walk(const struct header *h, const void *in,
                 void (*put)(void *arg, struct tl_str key, struct tl_str value), void *arg)
{
    const char *base = in;

    for (size_t i = 0; i < h->nfields; i++) {
        const struct field *f = &h->fields[i];
        const void *at = base + f->offset;
        struct tl_str value = TL_STR_NONE;
        char digits[20];
        int64_t n = 0;

        switch (f->type) {
        case FIELD_STR:
            value = *(const struct tl_str *)at;
            if (!value.data)
                continue;
            break;
        case FIELD_BOOL:
            n = *(const bool *)at;
            value = n ? TL_STR("true") : TL_STR("false");
            break;
        case FIELD_I32: n = *(const int32_t *)at; break;
        case FIELD_I64: n = *(const int64_t *)at; break;
        }
        if ((f->flags & OMIT_ZERO) && f->type != FIELD_STR && !n)
            continue;
        if (!value.data)
            value = tl_str_n(digits, tl_i64_text(n, digits));
        put(arg, tl_str_of(f->name), value);
    }
}

enum { PRINT_VALUE_MAX = 64 };

static void print_one(void *arg, struct tl_str key, struct tl_str value)
{
    struct strbuf *out = arg;

    if (out->len)
        strbuf_addc(out, ' ');
    strbuf_addstr(out, key);
    strbuf_addc(out, '=');
    size_t n = value.len < PRINT_VALUE_MAX ? value.len : PRINT_VALUE_MAX;
    for (size_t i = 0; i < n; i++) {
        char c = value.data[i];
        strbuf_addc(out, c >= ' ' && c != 0x7f ? c : '.');
    }
    if (n < value.len)
        strbuf_addz(out, "...");
}

void header_print(const struct header *h, const void *in, struct strbuf *out)
{
    header_walk(h, in, print_one, out);
}
