#include "proto/properties.h"

/* clang-format off */
#define X(symbol, wire, doc) const struct tl_str PROP_##symbol = {wire, sizeof(wire) - 1};
#include "proto/properties.def"
#undef X
/* clang-format on */

enum { NAME_END = 1, VALUE_END = 2 };

bool properties_next(struct tl_str text, size_t *at, struct tl_str *name, struct tl_str *value)
{
    while (*at < text.len) {
        const char *from = text.data + *at, *end = text.data + text.len;
        const char *stop = memchr(from, VALUE_END, (size_t)(end - from));
        if (!stop)
            stop = end;
        *at = (size_t)(stop - text.data) + 1;
        const char *split = memchr(from, NAME_END, (size_t)(stop - from));
        if (!split || split == from || split + 1 == stop)
            continue;
        *name = tl_str_n(from, (size_t)(split - from));
        *value = tl_str_n(split + 1, (size_t)(stop - split - 1));
        return true;
    }
    return false;
}

struct tl_str properties_get(struct tl_str text, struct tl_str name)
{
    struct tl_str found = TL_STR_NONE, n, v;

    for (size_t at = 0; properties_next(text, &at, &n, &v);) {
        if (tl_str_eq(n, name))
            found = v;
    }
    return found;
}

char *properties_put(char *p, struct tl_str name, struct tl_str value)
{
    memcpy(p, name.data, name.len);
    p += name.len;
    *p++ = 1;
    memcpy(p, value.data, value.len);
    p += value.len;
    *p++ = 2;
    return p;
}

char *properties_put_but(char *p, struct tl_str text, const struct tl_str *const *but, size_t n)
{
    struct tl_str name, value;

    for (size_t at = 0; properties_next(text, &at, &name, &value);) {
        size_t i = 0;
        while (i < n && !tl_str_eq(name, *but[i]))
            i++;
        if (i == n)
            p = properties_put(p, name, value);
    }
    return p;
}

void properties_add(struct strbuf *out, struct tl_str name, struct tl_str value)
{
    strbuf_addstr(out, name);
    strbuf_addc(out, NAME_END);
    strbuf_addstr(out, value);
    strbuf_addc(out, VALUE_END);
}
