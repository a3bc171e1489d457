/*
 * A pull parser over one buffer: a value is taken as a slice of it; only strings with a backslash
 * are copied, unescaped, into the arena.  Tolerant as fastjson is: ext values that are numbers,
 * booleans, objects; quoted numbers; unknown members; any order and case; single quotes, bare
 * names, comments, a mark of byte order.
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

/* Behind a comment that begins at c->at, or false. */
static bool skip_comment(struct cursor *c)
{
    size_t left = (size_t)(c->end - c->at);

    if (left < 2 || c->at[0] != '/' || (c->at[1] != '*' && c->at[1] != '/'))
        return false;
    const char *until = c->at[1] == '*' ? "*/" : "\n";
    size_t n = strlen(until);
    const char *end = memmem(c->at + 2, left - 2, until, n);
    c->at = end ? end + n : c->end;
    return true;
}

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->end) {
        if (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')
            c->at++;
        else if (!skip_comment(c))
            return;
    }
}

static bool eat(struct cursor *c, char ch)
{
    skip_blanks(c);
    if (c->at == c->end || *c->at != ch)
        return false;
    c->at++;
    return true;
}

static int hex(const char *p, const char *end, int digits, uint32_t *out)
{
    uint32_t v = 0;

    if (end - p < digits)
        return -1;
    for (int i = 0; i < digits; i++) {
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

    if (hex(*at, end, 4, &cp))
        return -1;
    *at += 4;
    if (cp >= 0xd800 && cp < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' &&
        !hex(*at + 2, end, 4, &low) && low >= 0xdc00 && low < 0xe000) {
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
    uint32_t unit;
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
        case 'x':
            if (hex(from, end, 2, &unit))
                return bad(c, "bad \\x escape");
            to = put_utf8(to, unit);
            from += 2;
            break;
        default: return bad(c, "unknown escape");
        }
    }
    *out = tl_str_n(text, (size_t)(to - text));
    return 0;
}

/* A string; c->at stands on its opening quote, which closes it, too. */
static int parse_string(struct cursor *c, struct tl_str *out)
{
    const char quote = *c->at, *from = ++c->at;
    bool escaped = false;

    for (;; c->at++) {
        if (c->at == c->end)
            return bad(c, "string without its end");
        if (*c->at == quote)
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
        if (ch == '"' || ch == '\'') {
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
    if (*c->at == '"' || *c->at == '\'')
        return parse_string(c, out);
    if (*c->at == '{' || *c->at == '[')
        return parse_nested(c, out);
    if ((rc = parse_word(c, out)) == 0 && tl_str_is(*out, "null"))
        *out = TL_STR_NONE;
    return rc;
}

static bool in_bare_name(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           ch == '_' || ch == '$';
}

static int parse_key(struct cursor *c, struct tl_str *out)
{
    int rc = 0;

    skip_blanks(c);
    const char *from = c->at;
    if (c->at < c->end && (*c->at == '"' || *c->at == '\'')) {
        rc = parse_string(c, out);
    } else {
        while (c->at < c->end && in_bare_name(*c->at))
            c->at++;
        *out = tl_str_n(from, (size_t)(c->at - from));
        rc = c->at > from ? 0 : bad(c, "member name expected");
    }
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

/* Fractions are cut; true is 1 and false 0. */
static int set_i32(const struct cursor *c, struct tl_str value, int32_t *out)
{
    double number;

    if (!value.data || tl_str_i32(tl_str_trim(value), out))
        return 0;
    if (tl_str_is(value, "true") || tl_str_is(value, "false")) {
        *out = value.len == 4;
        return 0;
    }
    bool fraction = memchr(value.data, '.', value.len) || memchr(value.data, 'e', value.len);
    if (!fraction || !tl_str_f64(value, &number) || number >= 2147483648.0 ||
        number <= -2147483649.0)
        return bad(c, "a fixed field is not a 32-bit number");
    *out = (int32_t)number;
    return 0;
}

static int set_language(const struct cursor *c, struct tl_str value, int32_t *out)
{
    int32_t ordinal;

    if (value.data && tl_str_i32(value, &ordinal)) {
        if (!language_name(ordinal))
            return bad(c, "unknown language number");
        *out = ordinal;
    } else if (value.len && (value.data[0] == '[' || value.data[0] == '{')) {
        return bad(c, "a language that is no name");
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
    default: return tl_str_is(key, "@type") ? bad(c, "a type is named") : 0;
    }
}

static bool is_utf8(struct tl_str s)
{
    uint32_t cp;

    for (size_t i = 0, n; i < s.len; i += n) {
        uint64_t eight;
        n = 8;
        if (s.len - i >= 8) {
            memcpy(&eight, s.data + i, 8);
            if (!(eight & UINT64_C(0x8080808080808080)))
                continue;
        }
        if ((n = tl_utf8_decode(s.data + i, s.len - i, &cp)) == 0)
            return false;
    }
    return true;
}

/* A header that is a number, a text, a list, or empty: Java neither answers nor closes. */
static bool says_nothing(const struct cursor *c)
{
    return c->at == c->end || (*c->at != '{' && *c->at != 'n' && *c->at != 't' &&
                               *c->at != 'f' && strchr("[\"'-+.0123456789", *c->at));
}

int header_json_decode(struct tl_str text, struct arena *a, struct command *out)
{
    struct cursor c = {text.data, text.data, text.data + text.len, a};
    int rc = 0, more = 1;

    if (!is_utf8(text))
        return bad(&c, "not UTF-8");
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
        c.at += 3;
    skip_blanks(&c);
    if (says_nothing(&c)) {
        out->nothing = true;
        return 0;
    }
    out->language = 0; /* JAVA, where none is named */
    if (!eat(&c, '{'))
        return bad(&c, "an object expected");
    if (eat(&c, '}')) {
        more = 0;
        out->nothing = true;
    }
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

/*
 * Quoted; only control characters, quotes and backslashes need an escape.  What came in by a binary
 * header need not be UTF-8: Java has replaced such bytes on the way in.
 */
static void put_string(struct strbuf *out, struct tl_str s)
{
    char *p = strbuf_reserve(out, s.len * 6 + 2), *to = p;
    bool clean = is_utf8(s);
    uint32_t cp;

    *to++ = '"';
    for (size_t i = 0; i < s.len; i++) {
        unsigned char ch = (unsigned char)s.data[i];
        if (!clean && ch >= 0x80) {
            size_t n = tl_utf8_decode(s.data + i, s.len - i, &cp);
            to = put_utf8(to, n ? cp : 0xfffd);
            i += n ? n - 1 : 0;
        } else if (ch >= 0x20 && ch != '"' && ch != '\\' && ch != 0x7f) {
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
