/*
 * The reader is our own (recursive descent, depth-limited) because no strict parser takes what
 * fastjson writes; it builds jansson values, whose accessors the rest of the program uses.
 */
#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

struct parser {
    const char *start, *at, *end;
    int depth;
    struct strbuf text; /* the string or key just read */
};

static json_t *parse_value(struct parser *p);

static json_t *bad(struct parser *p, const char *what)
{
    tl_fail(TL_EFORMAT, "JSON: %s at byte %zu", what, (size_t)(p->at - p->start));
    return NULL;
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->end && strchr(" \t\r\n\f\b", *p->at) && *p->at)
        p->at++;
}

/* The next character that is not blank, not consumed; '\0' at the end. */
static char peek(struct parser *p)
{
    skip_blanks(p);
    return p->at < p->end ? *p->at : '\0';
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || digit(c) || c == '_' ||
           c == '$' || (unsigned char)c >= 0x80;
}

/* @n hexadecimal digits at @at; -1 when they are not there. */
static int32_t hex(struct parser *p, int n)
{
    int32_t v = 0;
    if (p->end - p->at < n)
        return -1;
    for (int i = 0; i < n; i++) {
        char c = p->at[i];
        int d = digit(c)                 ? c - '0'
                : (c >= 'a' && c <= 'f') ? c - 'a' + 10
                : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                         : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    p->at += n;
    return v;
}

/* Behind "\u": one code unit, or two that are a surrogate pair; a lone one becomes U+FFFD. */
static bool parse_u_escape(struct parser *p)
{
    int32_t c = hex(p, 4);
    if (c < 0)
        return false;
    if (c >= 0xd800 && c <= 0xdbff && p->end - p->at >= 6 && p->at[0] == '\\' &&
        p->at[1] == 'u') {
        const char *back = p->at;
        p->at += 2;
        int32_t low = hex(p, 4);
        if (low >= 0xdc00 && low <= 0xdfff)
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        else
            p->at = back;
    }
    if (c >= 0xd800 && c <= 0xdfff)
        c = 0xfffd;
    strbuf_add_utf8(&p->text, (uint32_t)c);
    return true;
}

/* Behind the backslash. */
static bool parse_escape(struct parser *p)
{
    static const char from[] = "\"'\\/bfnrtv0";
    static const char to[] = "\"'\\/\b\f\n\r\t\v\0";
    if (p->at == p->end)
        return false;
    char c = *p->at++;
    if (c == 'u')
        return parse_u_escape(p);
    if (c == 'x') {
        int32_t v = hex(p, 2);
        if (v < 0)
            return false;
        strbuf_add_utf8(&p->text, (uint32_t)v);
        return true;
    }
    const char *known = c ? strchr(from, c) : NULL;
    if (!known)
        return false;
    strbuf_addc(&p->text, to[known - from]);
    return true;
}

/* One raw character; what is not UTF-8 becomes U+FFFD, byte by byte. */
static void copy_character(struct parser *p)
{
    uint32_t cp;
    size_t n = tl_utf8_decode(p->at, (size_t)(p->end - p->at), &cp);
    if (n) {
        strbuf_add(&p->text, p->at, n);
        p->at += n;
    } else {
        strbuf_add_utf8(&p->text, 0xfffd);
        p->at++;
    }
}

/* A quoted string into p->text. */
static bool parse_string(struct parser *p)
{
    char quote = *p->at++;
    strbuf_clear(&p->text);
    for (;;) {
        const char *run = p->at;
        while (p->at < p->end && *p->at != quote && *p->at != '\\' &&
               (unsigned char)*p->at < 0x80)
            p->at++;
        strbuf_add(&p->text, run, (size_t)(p->at - run));
        if (p->at == p->end) {
            bad(p, "string without its end");
            return false;
        }
        if (*p->at == quote) {
            p->at++;
            return true;
        }
        if (*p->at != '\\') {
            copy_character(p);
            continue;
        }
        p->at++;
        if (!parse_escape(p)) {
            bad(p, "bad escape in a string");
            return false;
        }
    }
}

static json_t *parse_number(struct parser *p)
{
    const char *from = p->at;
    bool whole = true;
    if (*p->at == '-')
        p->at++;
    if (p->at == p->end || !digit(*p->at))
        return bad(p, "unexpected character");
    while (p->at < p->end && (digit(*p->at) || strchr(".eE+-", *p->at)) && *p->at) {
        whole = whole && digit(*p->at);
        p->at++;
    }
    struct tl_str text = tl_str_n(from, (size_t)(p->at - from));
    int64_t n;
    double d;
    if (whole && tl_str_i64(text, &n))
        return json_integer(n);
    if (tl_str_f64(text, &d))
        return json_real(d);
    p->at = from;
    return bad(p, "bad number");
}

static json_t *parse_word(struct parser *p)
{
    static const struct {
        struct tl_str word;
        json_type type;
    } words[] = {
        {{"true", 4}, JSON_TRUE}, {{"false", 5}, JSON_FALSE}, {{"null", 4}, JSON_NULL}};
    struct tl_str left = tl_str_n(p->at, (size_t)(p->end - p->at));
    for (int i = 0; i < 3; i++) {
        size_t n = words[i].word.len;
        if (tl_str_starts(left, words[i].word) && (left.len == n || !name_char(left.data[n]))) {
            p->at += n;
            return i == 2 ? json_null() : json_boolean(words[i].type == JSON_TRUE);
        }
    }
    return bad(p, "unexpected character");
}

/* A key into p->text: quoted, a bare name or integer, or a whole object. */
static bool parse_key(struct parser *p)
{
    char c = peek(p);
    if (c == '"' || c == '\'')
        return parse_string(p);
    if (c == '{') {
        json_t *object = parse_value(p);
        if (!object)
            return false;
        strbuf_clear(&p->text);
        json_write(object, &p->text);
        json_decref(object);
        return true;
    }
    strbuf_clear(&p->text);
    if (c == '-') {
        strbuf_addc(&p->text, c);
        p->at++;
    }
    while (p->at < p->end && name_char(*p->at))
        copy_character(p);
    if (p->text.len == 0) {
        bad(p, "expected a member's name");
        return false;
    }
    return true;
}

/* Key, colon, value; false after an error. */
static bool parse_member(struct parser *p, json_t *object)
{
    if (!parse_key(p))
        return false;
    if (peek(p) != ':') {
        bad(p, "expected ':'");
        return false;
    }
    p->at++;
    struct strbuf key = p->text; /* the value reuses p->text */
    strbuf_init(&p->text);
    json_t *value = parse_value(p);
    bool ok =
        value && json_object_setn_new(object, key.data ? key.data : "", key.len, value) == 0;
    if (value && !ok)
        bad(p, "bad member's name");
    strbuf_release(&key);
    return ok;
}

static json_t *parse_object(struct parser *p)
{
    json_t *object = json_object();
    p->at++;
    while (peek(p) != '}') {
        if (!parse_member(p, object))
            goto fail;
        char c = peek(p);
        if (c == ',') {
            p->at++;
        } else if (c != '}') {
            bad(p, "expected ',' or '}'");
            goto fail;
        }
    }
    p->at++;
    return object;
fail:
    json_decref(object);
    return NULL;
}

static json_t *parse_array(struct parser *p)
{
    json_t *array = json_array();
    p->at++;
    while (peek(p) != ']') {
        json_t *value = parse_value(p);
        if (!value)
            goto fail;
        json_array_append_new(array, value);
        char c = peek(p);
        if (c == ',') {
            p->at++;
        } else if (c != ']') {
            bad(p, "expected ',' or ']'");
            goto fail;
        }
    }
    p->at++;
    return array;
fail:
    json_decref(array);
    return NULL;
}

static json_t *parse_value(struct parser *p)
{
    char c = peek(p);
    if (c == '{' || c == '[') {
        if (p->depth == JSON_DEPTH_MAX)
            return bad(p, "nested too deep");
        p->depth++;
        json_t *v = c == '{' ? parse_object(p) : parse_array(p);
        p->depth--;
        return v;
    }
    if (c == '"' || c == '\'')
        return parse_string(p) ? json_stringn(p->text.data, p->text.len) : NULL;
    if (c == '-' || digit(c))
        return parse_number(p);
    if (p->at == p->end)
        return bad(p, "unexpected end");
    return parse_word(p);
}

json_t *json_parse(struct tl_str text)
{
    struct parser p = {.start = text.data, .at = text.data, .end = text.data + text.len};
    if (!text.data || !text.len) {
        tl_fail(TL_EFORMAT, "JSON: no text");
        return NULL;
    }
    json_t *v = parse_value(&p);
    if (v && peek(&p) != '\0') {
        json_decref(v);
        v = bad(&p, "text behind the value");
    } else if (v && p.at != p.end) {
        json_decref(v);
        v = bad(&p, "unexpected character");
    }
    strbuf_release(&p.text);
    return v;
}

/* ---- getters ----------------------------------------------------------------------------- */

static struct tl_str string_of(const json_t *v)
{
    return tl_str_n(json_string_value(v), json_string_length(v));
}

int64_t json_as_i64(const json_t *v, int64_t def)
{
    int64_t n;
    double d;
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_INTEGER: return json_integer_value(v);
    case JSON_TRUE: return 1;
    case JSON_FALSE: return 0;
    case JSON_REAL: d = json_real_value(v); break;
    case JSON_STRING:
        if (tl_str_i64(tl_str_trim(string_of(v)), &n))
            return n;
        if (!tl_str_f64(tl_str_trim(string_of(v)), &d))
            return def;
        break;
    default: return def;
    }
    return d > -9.2e18 && d < 9.2e18 ? (int64_t)d : def;
}

int64_t json_get_i64(const json_t *o, const char *key, int64_t def)
{
    return json_as_i64(json_object_get(o, key), def);
}

int32_t json_get_i32(const json_t *o, const char *key, int32_t def)
{
    int64_t n = json_get_i64(o, key, def);
    return n < INT32_MIN || n > INT32_MAX ? def : (int32_t)n;
}

bool json_get_bool(const json_t *o, const char *key, bool def)
{
    const json_t *v = json_object_get(o, key);
    if (json_is_string(v)) {
        struct tl_str s = tl_str_trim(string_of(v));
        if (tl_str_eq_nocase(s, TL_STR("true")))
            return true;
        if (tl_str_eq_nocase(s, TL_STR("false")))
            return false;
    }
    return json_as_i64(v, def) != 0;
}

double json_get_f64(const json_t *o, const char *key, double def)
{
    const json_t *v = json_object_get(o, key);
    double d;
    if (json_is_number(v))
        return json_number_value(v);
    if (json_is_string(v) && tl_str_f64(tl_str_trim(string_of(v)), &d))
        return d;
    return def;
}

struct tl_str json_get_str(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_string(v) ? string_of(v) : TL_STR_NONE;
}

int json_get_enum(const json_t *o, const char *key, const char *const *names, int n, int def)
{
    const json_t *v = json_object_get(o, key);
    if (json_is_string(v))
        for (int i = 0; i < n; i++)
            if (tl_str_is(string_of(v), names[i]))
                return i;
    if (!json_is_string(v) && !json_is_integer(v))
        return def;
    int64_t ordinal = json_as_i64(v, -1);
    return ordinal >= 0 && ordinal < n ? (int)ordinal : def;
}

const json_t *json_get_object(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_object(v) ? v : NULL;
}

const json_t *json_get_array(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_array(v) ? v : NULL;
}

/* ---- setters ----------------------------------------------------------------------------- */

/* jansson refuses what is not UTF-8; put U+FFFD for it. */
static json_t *new_string(struct tl_str s)
{
    json_t *v = json_stringn(s.data, s.len);
    if (v)
        return v;
    struct parser p = {.start = s.data, .at = s.data, .end = s.data + s.len};
    while (p.at < p.end)
        copy_character(&p);
    v = json_stringn(p.text.data, p.text.len);
    strbuf_release(&p.text);
    return v;
}

void json_set_str(json_t *o, const char *key, struct tl_str s)
{
    if (s.data)
        json_object_set_new(o, key, new_string(s));
}

void json_set_i64(json_t *o, const char *key, int64_t n)
{
    json_object_set_new(o, key, json_integer(n));
}

void json_set_bool(json_t *o, const char *key, bool b)
{
    json_object_set_new(o, key, json_boolean(b));
}

void json_set_f64(json_t *o, const char *key, double d)
{
    json_object_set_new(o, key, json_real(d));
}

/* ---- writing ----------------------------------------------------------------------------- */

enum style { STYLE_COMPACT, STYLE_FASTJSON, STYLE_PRETTY };

/* Is @cp one that fastjson writes as \uXXXX? */
static bool escaped(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f) || cp == 0x2028 || cp == 0x2029;
}

static void write_escape(struct strbuf *out, uint32_t cp)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *known = cp && cp < 0x80 ? strchr(from, (int)cp) : NULL;
    if (known) {
        strbuf_addc(out, '\\');
        strbuf_addc(out, to[known - from]);
    } else {
        strbuf_printf(out, "\\u%04X", (unsigned)cp);
    }
}

void json_write_string(struct strbuf *out, struct tl_str s)
{
    size_t plain = 0; /* start of what needs no escape */
    size_t i = 0;
    strbuf_addc(out, '"');
    while (i < s.len) {
        uint32_t cp;
        size_t n = tl_utf8_decode(s.data + i, s.len - i, &cp);
        if (n && cp != '"' && cp != '\\' && !escaped(cp)) {
            i += n;
            continue;
        }
        strbuf_add(out, s.data + plain, i - plain);
        if (n)
            write_escape(out, cp);
        else
            strbuf_add_utf8(out, 0xfffd);
        i += n ? n : 1;
        plain = i;
    }
    strbuf_add(out, s.data + plain, i - plain);
    strbuf_addc(out, '"');
}

/* The shortest text that reads back as @d, always with a point or an exponent. */
static void write_real(struct strbuf *out, double d)
{
    char text[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, d);
        if (strtod(text, NULL) == d)
            break;
    }
    strbuf_addz(out, text);
    if (!strpbrk(text, ".e"))
        strbuf_addz(out, ".0");
}

struct member {
    struct tl_str key;
    json_t *value;
    int64_t n;
    bool is_integer; /* the key is one, in its shortest form */
};

static bool shortest_integer(struct tl_str key, int64_t *n)
{
    char digits[20];
    return tl_str_i64(key, n) && tl_str_eq(key, tl_str_n(digits, tl_i64_text(*n, digits)));
}

static int member_cmp(const void *x, const void *y)
{
    const struct member *a = x;
    const struct member *b = y;
    if (a->is_integer && b->is_integer)
        return (a->n > b->n) - (a->n < b->n);
    return tl_str_cmp(a->key, b->key);
}

/* The members sorted; *integers says whether every key is one.  Returns owned. */
static struct member *sorted_members(json_t *object, size_t n, bool *integers)
{
    struct member *list = xmalloc(n * sizeof(*list));
    size_t i = 0;
    *integers = n > 0;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        struct member *m = &list[i++];
        m->key = tl_str_n(json_object_iter_key(it), json_object_iter_key_len(it));
        m->value = json_object_iter_value(it);
        m->is_integer = shortest_integer(m->key, &m->n);
        *integers = *integers && m->is_integer;
    }
    qsort(list, n, sizeof(*list), member_cmp);
    return list;
}

/* A key that fastjson writes bare: an integer, or an object's text. */
static bool bare_key(const struct member *m, enum style style)
{
    if (style == STYLE_COMPACT)
        return false;
    if (m->is_integer || style == STYLE_PRETTY)
        return m->is_integer;
    if (!tl_str_starts(m->key, TL_STR("{")))
        return false;
    json_t *v = json_parse(m->key);
    json_decref(v);
    return v != NULL;
}

static void new_line(struct strbuf *out, int depth)
{
    strbuf_addc(out, '\n');
    while (depth-- > 0)
        strbuf_addc(out, '\t');
}

static void write_value(const json_t *v, struct strbuf *out, enum style style, int depth);

static void write_object(const json_t *v, struct strbuf *out, enum style style, int depth)
{
    bool integers;
    size_t n = json_object_size(v);
    /* jansson's iterators want a non-const object but do not change it. */
    struct member *list = sorted_members((json_t *)(uintptr_t)v, n, &integers);
    bool lines = style == STYLE_PRETTY && n > 0;
    strbuf_addc(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i)
            strbuf_addc(out, ',');
        if (lines && !integers)
            new_line(out, depth + 1);
        if (bare_key(&list[i], style))
            strbuf_addstr(out, list[i].key);
        else
            json_write_string(out, list[i].key);
        strbuf_addc(out, ':');
        write_value(list[i].value, out, style, depth + 1);
    }
    if (lines)
        new_line(out, depth);
    strbuf_addc(out, '}');
    free(list);
}

static void write_array(const json_t *v, struct strbuf *out, enum style style, int depth)
{
    size_t n = json_array_size(v);
    bool lines = style == STYLE_PRETTY && n > 0 &&
                 (json_is_object(json_array_get(v, 0)) || json_is_array(json_array_get(v, 0)));
    strbuf_addc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            strbuf_addc(out, ',');
        if (lines)
            new_line(out, depth + 1);
        write_value(json_array_get(v, i), out, style, depth + 1);
    }
    if (lines)
        new_line(out, depth);
    strbuf_addc(out, ']');
}

static void write_value(const json_t *v, struct strbuf *out, enum style style, int depth)
{
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_OBJECT: write_object(v, out, style, depth); break;
    case JSON_ARRAY: write_array(v, out, style, depth); break;
    case JSON_STRING: json_write_string(out, string_of(v)); break;
    case JSON_INTEGER: strbuf_addi(out, json_integer_value(v)); break;
    case JSON_REAL: write_real(out, json_real_value(v)); break;
    case JSON_TRUE: strbuf_addz(out, "true"); break;
    case JSON_FALSE: strbuf_addz(out, "false"); break;
    case JSON_NULL: strbuf_addz(out, "null"); break;
    }
}

void json_write(const json_t *v, struct strbuf *out)
{
    write_value(v, out, STYLE_COMPACT, 0);
}

void json_write_fastjson(const json_t *v, struct strbuf *out)
{
    write_value(v, out, STYLE_FASTJSON, 0);
}

void json_write_pretty(const json_t *v, struct strbuf *out)
{
    write_value(v, out, STYLE_PRETTY, 0);
}
