#include "base/conf.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"

enum { FILE_MAX = 4 * 1024 * 1024, VALUE_SHOWN = 200 };

static void *member_of(const struct conf_key *k, void *conf)
{
    return (char *)conf + k->offset;
}

static const void *member_of_const(const struct conf_key *k, const void *conf)
{
    return (const char *)conf + k->offset;
}

/* Owned text, NUL behind it; the empty string is present, not absent. */
static struct tl_str own_text(struct tl_str s)
{
    char *copy = xmalloc(s.len + 1);
    if (s.len)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return tl_str_n(copy, s.len);
}

static void free_text(struct tl_str *s)
{
    free((void *)(uintptr_t)s->data);
    *s = TL_STR_NONE;
}

/* ---- setting ----------------------------------------------------------------------------- */

static bool unbounded(const struct conf_key *k)
{
    return k->min == 0 && k->max == 0;
}

static bool within(const struct conf_key *k, double n)
{
    return unbounded(k) || (n >= (double)k->min && n <= (double)k->max);
}

static int refuse(const struct conf_key *k, struct tl_str value)
{
    static const char *const wanted[] = {
        [CONF_STR] = "text",
        [CONF_BOOL] = "true or false",
        [CONF_I32] = "a whole number of 32 bits",
        [CONF_I64] = "a whole number of 64 bits",
        [CONF_F64] = "a number",
    };
    if (value.len > VALUE_SHOWN)
        value.len = VALUE_SHOWN;
    if (k->flags & CONF_SECRET)
        value = TL_STR("******");
    if (k->type == CONF_STR || k->type == CONF_BOOL || unbounded(k))
        return tl_fail(TL_EINVAL, "%s=%.*s: expected %s", k->key, TL_STR_ARG(value),
                       wanted[k->type]);
    return tl_fail(TL_EINVAL, "%s=%.*s: expected %" PRId64 "..%" PRId64, k->key,
                   TL_STR_ARG(value), k->min, k->max);
}

static int set_value(const struct conf_key *k, void *conf, struct tl_str value)
{
    void *m = member_of(k, conf);
    int64_t n;
    int32_t n32;
    double d;
    switch (k->type) {
    case CONF_STR:
        free_text(m);
        *(struct tl_str *)m = own_text(value);
        return 0;
    case CONF_BOOL:
        if (tl_str_eq_nocase(value, TL_STR("true")))
            *(bool *)m = true;
        else if (tl_str_eq_nocase(value, TL_STR("false")))
            *(bool *)m = false;
        else
            return refuse(k, value);
        return 0;
    case CONF_I32:
        if (!tl_str_i32(value, &n32) || (!unbounded(k) && (n32 < k->min || n32 > k->max)))
            return refuse(k, value);
        *(int32_t *)m = n32;
        return 0;
    case CONF_I64:
        if (!tl_str_i64(value, &n) || (!unbounded(k) && (n < k->min || n > k->max)))
            return refuse(k, value);
        *(int64_t *)m = n;
        return 0;
    case CONF_F64:
        if (!tl_str_f64(value, &d) || !within(k, d))
            return refuse(k, value);
        *(double *)m = d;
        return 0;
    }
    return refuse(k, value);
}

void conf_defaults(const struct conf_table *t, void *conf)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct conf_key *k = &t->keys[i];
        if (k->type == CONF_STR)
            *(struct tl_str *)member_of(k, conf) = TL_STR_NONE;
        if (set_value(k, conf, tl_str_of(k->def))) {
            /* The table itself is wrong. */
            fprintf(stderr, "default of a configuration key: %s\n", tl_error_text());
            abort();
        }
    }
}

void conf_release(const struct conf_table *t, void *conf)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->keys[i].type == CONF_STR)
            free_text(member_of(&t->keys[i], conf));
}

void conf_copy(const struct conf_table *t, void *dst, const void *src)
{
    static const size_t sizes[] = {
        [CONF_BOOL] = sizeof(bool),
        [CONF_I32] = sizeof(int32_t),
        [CONF_I64] = sizeof(int64_t),
        [CONF_F64] = sizeof(double),
    };
    for (size_t i = 0; i < t->n; i++) {
        const struct conf_key *k = &t->keys[i];
        const void *from = member_of_const(k, src);
        if (k->type == CONF_STR)
            *(struct tl_str *)member_of(k, dst) = own_text(*(const struct tl_str *)from);
        else
            memcpy(member_of(k, dst), from, sizes[k->type]);
    }
}

static const struct conf_key *find_exact(const struct conf_table *t, struct tl_str key)
{
    for (size_t i = 0; i < t->n; i++)
        if (tl_str_is(key, t->keys[i].key))
            return &t->keys[i];
    return NULL;
}

/* RocketMQ wrote "maped" for years and "mapped" since; take each for the other. */
static const struct conf_key *find_other_spelling(const struct conf_table *t, struct tl_str key)
{
    char text[128];
    for (size_t i = 1; i + 4 <= key.len && key.len + 2 < sizeof(text); i++) {
        bool one = memcmp(key.data + i, "aped", 4) == 0;
        bool two = i + 5 <= key.len && memcmp(key.data + i, "apped", 5) == 0;
        if ((!one && !two) || (key.data[i - 1] | 0x20) != 'm')
            continue;
        size_t skip = i + (two ? 5 : 4);
        int n = snprintf(text, sizeof(text), "%.*s%s%.*s", (int)i, key.data,
                         two ? "aped" : "apped", (int)(key.len - skip), key.data + skip);
        return find_exact(t, tl_str_n(text, (size_t)n));
    }
    return NULL;
}

const struct conf_key *conf_find(const struct conf_table *t, struct tl_str key)
{
    const struct conf_key *k = find_exact(t, key);
    return k ? k : find_other_spelling(t, key);
}

int conf_set(const struct conf_table *t, void *conf, struct tl_str key, struct tl_str value)
{
    const struct conf_key *k = conf_find(t, key);
    if (!k) {
        if (key.len > VALUE_SHOWN)
            key.len = VALUE_SHOWN;
        return tl_fail(TL_ENOTFOUND, "unknown key %.*s", TL_STR_ARG(key));
    }
    return set_value(k, conf, tl_str_trim(value));
}

/* ---- java.util.Properties ------------------------------------------------------------------ */

struct lines {
    struct tl_str left;
    int number; /* of the line next_line() gave last */
};

/* Up to the next line end (LF, CR or CRLF), without it. */
static bool next_line(struct lines *l, struct tl_str *line)
{
    if (!l->left.len)
        return false;
    const char *p = l->left.data;
    const char *end = p + l->left.len;
    while (p < end && *p != '\n' && *p != '\r')
        p++;
    *line = tl_str_n(l->left.data, (size_t)(p - l->left.data));
    if (p < end)
        p += *p == '\r' && p + 1 < end && p[1] == '\n' ? 2 : 1;
    l->left = tl_str_n(p, (size_t)(end - p));
    l->number++;
    return true;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static struct tl_str skip_blanks(struct tl_str s)
{
    while (s.len && blank(s.data[0])) {
        s.data++;
        s.len--;
    }
    return s;
}

/* Does an odd number of backslashes stand at its end? */
static bool continues(struct tl_str line)
{
    size_t n = 0;
    while (n < line.len && line.data[line.len - 1 - n] == '\\')
        n++;
    return n % 2 == 1;
}

/* One logical line, continuations joined, into @out; false at the end.  *line = its first. */
static bool logical_line(struct lines *l, struct strbuf *out, int *line_number)
{
    struct tl_str line;
    strbuf_clear(out);
    do {
        if (!next_line(l, &line))
            return false;
        line = skip_blanks(line);
    } while (!line.len || line.data[0] == '#' || line.data[0] == '!');
    *line_number = l->number;
    while (continues(line)) {
        strbuf_add(out, line.data, line.len - 1);
        if (!next_line(l, &line))
            return true;
        line = skip_blanks(line);
    }
    strbuf_addstr(out, line);
    return true;
}

/* Where the key of a logical line ends. */
static size_t key_end(struct tl_str line)
{
    size_t i = 0;
    while (i < line.len && line.data[i] != '=' && line.data[i] != ':' && !blank(line.data[i]))
        i += line.data[i] == '\\' ? 2 : 1;
    return i < line.len ? i : line.len;
}

/* The four digits of \uXXXX at @s as a code unit; false when they are not there. */
static bool unit(struct tl_str s, uint32_t *out)
{
    uint32_t v = 0;
    if (s.len < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = s.data[i];
        if (c >= '0' && c <= '9')
            v = v * 16 + (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v * 16 + (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return false;
    }
    *out = v;
    return true;
}

/* \uXXXX (two of them for a surrogate pair) at @s; returns the bytes used behind the 'u'. */
static size_t unescape_unit(struct tl_str s, struct strbuf *out)
{
    uint32_t hi;
    uint32_t lo;
    if (!unit(s, &hi)) {
        strbuf_addc(out, 'u');
        return 0;
    }
    size_t used = 4;
    if (hi >= 0xd800 && hi <= 0xdbff && s.len >= 10 && s.data[4] == '\\' && s.data[5] == 'u' &&
        unit(tl_str_n(s.data + 6, s.len - 6), &lo) && lo >= 0xdc00 && lo <= 0xdfff) {
        hi = 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00);
        used = 10;
    }
    if (hi >= 0xd800 && hi <= 0xdfff)
        hi = 0xfffd;
    strbuf_add_utf8(out, hi);
    return used;
}

static void unescape(struct tl_str s, struct strbuf *out)
{
    static const char from[] = "tnrf";
    static const char to[] = "\t\n\r\f";
    strbuf_clear(out);
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] != '\\') {
            strbuf_addc(out, s.data[i]);
            continue;
        }
        if (++i == s.len)
            break;
        const char *known = s.data[i] ? strchr(from, s.data[i]) : NULL;
        if (s.data[i] == 'u')
            i += unescape_unit(tl_str_n(s.data + i + 1, s.len - i - 1), out);
        else
            strbuf_addc(out, known ? to[known - from] : s.data[i]);
    }
}

int conf_properties(struct tl_str text, conf_property_cb cb, void *arg)
{
    struct lines l = {text, 0};
    struct strbuf line = {0};
    struct strbuf key = {0};
    struct strbuf value = {0};
    int number = 0;
    int rc = 0;
    while (!rc && logical_line(&l, &line, &number)) {
        struct tl_str all = strbuf_str(&line);
        size_t n = key_end(all);
        struct tl_str rest = skip_blanks(tl_str_n(all.data + n, all.len - n));
        if (rest.len && (rest.data[0] == '=' || rest.data[0] == ':'))
            rest = tl_str_n(rest.data + 1, rest.len - 1);
        unescape(tl_str_n(all.data, n), &key);
        unescape(rest, &value);
        rc = cb(arg, tl_str_trim(strbuf_str(&key)), tl_str_trim(strbuf_str(&value)), number);
    }
    strbuf_release(&line);
    strbuf_release(&key);
    strbuf_release(&value);
    return rc;
}

struct loading {
    const struct conf_table *t;
    void *conf;
    const char *path;
    void (*warn)(void *arg, const char *text);
    void *arg;
};

static int load_one(void *arg, struct tl_str key, struct tl_str value, int line)
{
    struct loading *l = arg;
    int rc = conf_set(l->t, l->conf, key, value);
    if (rc)
        tl_wrap(rc, "%s:%d", l->path, line);
    if (rc != TL_ENOTFOUND)
        return rc;
    if (l->warn)
        l->warn(l->arg, tl_error_text());
    return 0;
}

int conf_load(const struct conf_table *t, void *conf, const char *path,
              void (*warn)(void *arg, const char *text), void *arg)
{
    struct loading l = {t, conf, path, warn, arg};
    struct strbuf text = {0};
    int rc = fs_read(path, FILE_MAX, &text);
    if (rc)
        rc = tl_wrap(TL_EIO, "configuration file");
    else
        rc = conf_properties(strbuf_str(&text), load_one, &l);
    strbuf_release(&text);
    return rc;
}

/* ---- printing ------------------------------------------------------------------------------ */

void conf_text(const struct conf_key *k, const void *conf, struct strbuf *out)
{
    const void *m = member_of_const(k, conf);
    char text[40];
    switch (k->type) {
    case CONF_STR: strbuf_addstr(out, *(const struct tl_str *)m); break;
    case CONF_BOOL: strbuf_addz(out, *(const bool *)m ? "true" : "false"); break;
    case CONF_I32: strbuf_addi(out, *(const int32_t *)m); break;
    case CONF_I64: strbuf_addi(out, *(const int64_t *)m); break;
    case CONF_F64:
        for (int precision = 6; precision <= 17; precision++) {
            snprintf(text, sizeof(text), "%.*g", precision, *(const double *)m);
            if (strtod(text, NULL) == *(const double *)m)
                break;
        }
        strbuf_addz(out, text);
        break;
    }
}

void conf_print(const struct conf_table *t, const void *conf, unsigned only, struct strbuf *out)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct conf_key *k = &t->keys[i];
        if (only && !(k->flags & only))
            continue;
        strbuf_printf(out, "%s=", k->key);
        if (k->flags & CONF_SECRET)
            strbuf_addz(out, "******");
        else
            conf_text(k, conf, out);
        strbuf_addc(out, '\n');
    }
}

/* Text in a cell of a Markdown table. */
static void add_cell(struct strbuf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            strbuf_addc(out, '\\');
        strbuf_addc(out, *text == '\n' ? ' ' : *text);
    }
}

static void add_bounds(struct strbuf *out, const struct conf_key *k)
{
    if (k->type == CONF_BOOL)
        strbuf_addz(out, "true, false");
    else if (k->type != CONF_STR && !unbounded(k))
        strbuf_printf(out, "%" PRId64 "..%" PRId64, k->min, k->max);
}

static void add_flags(struct strbuf *out, const struct conf_key *k)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = {{CONF_DYNAMIC, "dynamic"}, {CONF_INERT, "no effect"}, {CONF_OURS, "ours"}};
    const char *sep = "";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (k->flags & names[i].flag) {
            strbuf_printf(out, "%s%s", sep, names[i].name);
            sep = ", ";
        }
    }
}

void conf_reference(const struct conf_table *t, const char *title, struct strbuf *out)
{
    strbuf_printf(out, "## %s\n\n", title);
    strbuf_addz(out,
                "| Key | Default | Values | Kind | What it does |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < t->n; i++) {
        const struct conf_key *k = &t->keys[i];
        strbuf_printf(out, "| `%s` | ", k->key);
        if (*k->def) {
            strbuf_addc(out, '`');
            add_cell(out, k->def);
            strbuf_addc(out, '`');
        }
        strbuf_addz(out, " | ");
        add_bounds(out, k);
        strbuf_addz(out, " | ");
        add_flags(out, k);
        strbuf_addz(out, " | ");
        add_cell(out, k->doc);
        strbuf_addz(out, " |\n");
    }
    strbuf_addc(out, '\n');
}
