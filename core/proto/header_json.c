/*
 * A pull parser over one buffer: a value is taken as a slice of it; only strings with a backslash
 * are copied, unescaped, into the arena.  Tolerant as fastjson is where clients need it: ext values
 * that are numbers, booleans, objects; quoted numbers; unknown members; any order and case.
 */
#include "proto/header_json.h"

#include <string.h>

#include "base/err.h"
#include "proto/code.h"

struct cursor {
    const char *start, *at, *end;
    struct arena *arena;
};

static int bad(const struct cursor *c, const char *what)
{
    return tl_fail(TL_EFORMAT, "JSON header: %s at byte %zu", what, (size_t)(c->at - c->start));
}

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->end &&
           (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool eat(struct cursor *c, char ch)
{
    skip_blanks(c);
    if (c->at == c->end || *c->at != ch)
        return false;
    c->at++;
    return true;
}

static int hex4(const char *p, const char *end, uint32_t *out)
{
    uint32_t v = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned ch = (unsigned char)p[i], d;
        if (ch - '0' < 10)
            d = ch - '0';
        else if ((ch | 0x20) - 'a' < 6)
            d = (ch | 0x20) - 'a' + 10;
        else
            return -1;
        v = v << 4 | d;
    }
    *out = v;
    return 0;
}

static char *put_utf8(char *p, uint32_t cp)
{
    if (cp < 0x80) {
        *p++ = (char)cp;
    } else if (cp < 0x800) {
        *p++ = (char)(0xc0 | cp >> 6);
        *p++ = (char)(0x80 | (cp & 0x3f));
    } else if (cp < 0x10000) {
        *p++ = (char)(0xe0 | cp >> 12);
        *p++ = (char)(0x80 | (cp >> 6 & 0x3f));
        *p++ = (char)(0x80 | (cp & 0x3f));
    } else {
        *p++ = (char)(0xf0 | cp >> 18);
        *p++ = (char)(0x80 | (cp >> 12 & 0x3f));
        *p++ = (char)(0x80 | (cp >> 6 & 0x3f));
        *p++ = (char)(0x80 | (cp & 0x3f));
    }
    return p;
}

/* Behind "\u": one unit or a surrogate pair; a lone surrogate becomes U+FFFD. */
static int unescape_unit(const char **at, const char *end, char **out)
{
    uint32_t cp, low;

    if (hex4(*at, end, &cp))
        return -1;
    *at += 4;
    if (cp >= 0xd800 && cp < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' &&
        !hex4(*at + 2, end, &low) && low >= 0xdc00 && low < 0xe000) {
        cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
        *at += 6;
    } else if (cp >= 0xd800 && cp < 0xe000) {
        cp = 0xfffd;
    }
    *out = put_utf8(*out, cp);
    return 0;
}

/* [from, end) holds backslashes; the text never grows. */
static int unescape(struct cursor *c, const char *from, const char *end, struct tl_str *out)
{
    char *text = arena_alloc(c->arena, (size_t)(end - from) + 1), *to = text;

    while (from < end) {
        const char *slash = memchr(from, '\\', (size_t)(end - from));
        size_t run = (size_t)((slash ? slash : end) - from);
        memcpy(to, from, run);
        to += run;
        if (!slash)
            break;
        from = slash + 2;
        switch (slash[1]) {
        case 'n': *to++ = '\n'; break;
        case 't': *to++ = '\t'; break;
        case 'r': *to++ = '\r'; break;
        case 'b': *to++ = '\b'; break;
        case 'f': *to++ = '\f'; break;
        case '"':
        case '\'':
        case '\\':
        case '/': *to++ = slash[1]; break;
        case 'u':
            if (unescape_unit(&from, end, &to))
                return bad(c, "bad \\u escape");
            break;
        default: return bad(c, "unknown escape");
        }
    }
    *out = tl_str_n(text, (size_t)(to - text));
    return 0;
}

/* A string; c->at stands on its opening quote. */
static int parse_string(struct cursor *c, struct tl_str *out)
{
    const char *from = ++c->at;
    bool escaped = false;

    for (;; c->at++) {
        if (c->at == c->end)
            return bad(c, "string without its end");
        if (*c->at == '"')
            break;
        if (*c->at == '\\') {
            escaped = true;
            if (++c->at == c->end)
                return bad(c, "string without its end");
        }
    }
    const char *end = c->at++;
    if (escaped)
        return unescape(c, from, end, out);
    *out = tl_str_n(from, (size_t)(end - from));
    return 0;
}

/* A number, true, false or null: its literal text. */
static int parse_word(struct cursor *c, struct tl_str *out)
{
    const char *from = c->at;
    static const char *const words[] = {"true", "false", "null"};

    while (c->at < c->end && strchr("+-.0123456789eEaflnrstu", *c->at) && *c->at)
        c->at++;
    *out = tl_str_n(from, (size_t)(c->at - from));
    for (int i = 0; i < 3; i++) {
        if (tl_str_is(*out, words[i]))
            return 0;
    }
    double number;
    if (!tl_str_f64(*out, &number)) {
        c->at = from;
        return bad(c, "unexpected character");
    }
    return 0;
}

/* Skip an object or array, checking only its nesting and its strings; its text is the answer. */
static int parse_nested(struct cursor *c, struct tl_str *out)
{
    const char *from = c->at;
    char stack[HEADER_JSON_DEPTH_MAX];
    int depth = 0, rc;

    do {
        if (c->at == c->end)
            return bad(c, "value without its end");
        char ch = *c->at;
        if (ch == '"') {
            struct tl_str ignored;
            if ((rc = parse_string(c, &ignored)) != 0)
                return rc;
            continue;
        }
        c->at++;
        if (ch == '{' || ch == '[') {
            if (depth == HEADER_JSON_DEPTH_MAX)
                return bad(c, "nested too deep");
            stack[depth++] = ch == '{' ? '}' : ']';
        } else if ((ch == '}' || ch == ']') && stack[--depth] != ch) {
            return bad(c, "brackets that do not match");
        }
    } while (depth > 0);
    *out = tl_str_n(from, (size_t)(c->at - from));
    return 0;
}

/* Any value as text; absent for null. */
static int parse_value(struct cursor *c, struct tl_str *out)
{
    int rc;

    skip_blanks(c);
    if (c->at == c->end)
        return bad(c, "value missing");
    if (*c->at == '"')
        return parse_string(c, out);
    if (*c->at == '{' || *c->at == '[')
        return parse_nested(c, out);
    if ((rc = parse_word(c, out)) == 0 && tl_str_is(*out, "null"))
        *out = TL_STR_NONE;
    return rc;
}

static int parse_key(struct cursor *c, struct tl_str *out)
{
    skip_blanks(c);
    if (c->at == c->end || *c->at != '"')
        return bad(c, "member name expected");
    int rc = parse_string(c, out);
    if (rc)
        return rc;
    return eat(c, ':') ? 0 : bad(c, "':' expected");
}

/* Behind a member: 1 = another follows, 0 = the object ended, negative = error code. */
static int after_member(struct cursor *c)
{
    if (eat(c, ','))
        return eat(c, '}') ? 0 : 1; /* a comma too many is forgiven */
    return eat(c, '}') ? 0 : -bad(c, "',' or '}' expected");
}

static int parse_ext(struct cursor *c, struct command *out)
{
    struct tl_str key, value;
    int rc;

    skip_blanks(c);
    if (c->at < c->end && *c->at == 'n') { /* null */
        return parse_value(c, &value);
    }
    if (!eat(c, '{'))
        return bad(c, "extFields is not an object");
    out->has_ext = true;
    if (eat(c, '}'))
        return 0;
    do {
        if ((rc = parse_key(c, &key)) || (rc = parse_value(c, &value)))
            return rc;
        if (value.data && (rc = command_add_ext(out, c->arena, key, value)))
            return rc;
        rc = after_member(c);
    } while (rc > 0);
    return -rc;
}

static int set_i32(const struct cursor *c, struct tl_str value, int32_t *out)
{
    if (!value.data)
        return 0;
    return tl_str_i32(tl_str_trim(value), out) ? 0
                                               : bad(c, "a fixed field is not a 32-bit number");
}

static int set_language(const struct cursor *c, struct tl_str value, int32_t *out)
{
    int32_t ordinal;

    if (value.data && tl_str_i32(value, &ordinal)) {
        if (!language_name(ordinal))
            return bad(c, "unknown language number");
        *out = ordinal;
    } else if (value.data) {
        *out = language_ordinal(value.data, value.len);
    }
    return 0;
}

enum member { M_CODE, M_FLAG, M_LANGUAGE, M_OPAQUE, M_REMARK, M_VERSION, M_EXT, M_OTHER };

static enum member member_of(struct tl_str key)
{
    static const char *const names[] = {"code",   "flag",    "language", "opaque",
                                        "remark", "version", "extFields"};

    for (int i = 0; i < M_OTHER; i++) {
        if (tl_str_is(key, names[i]))
            return (enum member)i;
    }
    for (int i = 0; i < M_OTHER; i++) {
        if (tl_str_eq_nocase(key, tl_str_of(names[i])))
            return (enum member)i;
    }
    return M_OTHER;
}

static int parse_member(struct cursor *c, struct command *out)
{
    struct tl_str key, value;
    int rc = parse_key(c, &key);

    if (rc)
        return rc;
    enum member m = member_of(key);
    if (m == M_EXT)
        return parse_ext(c, out);
    if ((rc = parse_value(c, &value)) != 0)
        return rc;
    switch (m) {
    case M_CODE: return set_i32(c, value, &out->code);
    case M_FLAG: return set_i32(c, value, &out->flag);
    case M_OPAQUE: return set_i32(c, value, &out->opaque);
    case M_VERSION: return set_i32(c, value, &out->version);
    case M_LANGUAGE: return set_language(c, value, &out->language);
    case M_REMARK: out->remark = value; return 0;
    default: return 0;
    }
}

int header_json_decode(struct tl_str text, struct arena *a, struct command *out)
{
    struct cursor c = {text.data, text.data, text.data + text.len, a};
    int rc = 0, more = 1;

    if (!text.len || !eat(&c, '{'))
        return bad(&c, "an object expected");
    if (eat(&c, '}'))
        more = 0;
    while (more > 0) {
        if ((rc = parse_member(&c, out)) != 0)
            return rc;
        more = after_member(&c);
    }
    if (more < 0)
        return -more;
    skip_blanks(&c);
    return c.at == c.end ? 0 : bad(&c, "text behind the header");
}

/* ---- encoding ----------------------------------------------------------------------------- */

static const char hex_digits[] = "0123456789abcdef";

/* Quoted; only control characters, quotes and backslashes need an escape. */
static void put_string(struct strbuf *out, struct tl_str s)
{
    char *p = strbuf_reserve(out, s.len * 6 + 2), *to = p;

    *to++ = '"';
    for (size_t i = 0; i < s.len; i++) {
        unsigned char ch = (unsigned char)s.data[i];
        if (ch >= 0x20 && ch != '"' && ch != '\\' && ch != 0x7f) {
            *to++ = (char)ch;
        } else if (ch == '"' || ch == '\\') {
            *to++ = '\\';
            *to++ = (char)ch;
        } else {
            memcpy(to, "\\u00", 4);
            to[4] = hex_digits[ch >> 4];
            to[5] = hex_digits[ch & 15];
            to += 6;
        }
    }
    *to++ = '"';
    strbuf_commit(out, (size_t)(to - p));
}

struct ext_writer {
    struct strbuf *out;
    bool any;
};

static void put_pair(void *arg, struct tl_str key, struct tl_str value)
{
    struct ext_writer *w = arg;

    if (w->any)
        strbuf_addc(w->out, ',');
    w->any = true;
    put_string(w->out, key);
    strbuf_addc(w->out, ':');
    put_string(w->out, value);
}

void header_json_encode(const struct command_out *c, struct strbuf *out)
{
    const char *language = language_name(c->language);

    strbuf_addz(out, "{\"code\":");
    strbuf_addi(out, c->code);
    if (c->has_ext || c->ext_header || c->extra_count) {
        struct ext_writer w = {out, false};
        strbuf_addz(out, ",\"extFields\":{");
        if (c->ext_header)
            header_walk(c->ext_header, c->ext_struct, put_pair, &w);
        for (uint32_t i = 0; i < c->extra_count; i++)
            put_pair(&w, c->extra[i].key, c->extra[i].value);
        strbuf_addc(out, '}');
    }
    strbuf_addz(out, ",\"flag\":");
    strbuf_addi(out, c->flag);
    strbuf_addz(out, ",\"language\":\"");
    strbuf_addz(out, language ? language : "JAVA");
    strbuf_addz(out, "\",\"opaque\":");
    strbuf_addi(out, c->opaque);
    if (c->remark.data) {
        strbuf_addz(out, ",\"remark\":");
        put_string(out, c->remark);
    }
    strbuf_addz(out, ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    strbuf_addi(out, c->version);
    strbuf_addc(out, '}');
}
