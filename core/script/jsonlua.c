#include "script/jsonlua.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "script/vm.h"

enum {
    BYTES_PER_INSTRUCTION = 16, /* skipped bytes that cost as much as an instruction */
    BUILD_COST = 4,             /* instructions to build one value */
};

struct scan {
    lua_State *L;
    const char *start, *at, *end;
    const char *billed; /* up to here */
    const char *wrong;  /* what is malformed */
    int depth;
};

void jsonlua_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
}

static bool wrong(struct scan *s, const char *what)
{
    if (!s->wrong)
        s->wrong = what;
    return false;
}

static void bill(struct scan *s, int64_t extra)
{
    vm_charge(s->L, (s->at - s->billed) / BYTES_PER_INSTRUCTION + extra);
    s->billed = s->at;
}

static void blanks(struct scan *s)
{
    while (s->at < s->end &&
           (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

static char peek(struct scan *s)
{
    blanks(s);
    return s->at < s->end ? *s->at : '\0';
}

static bool expect(struct scan *s, char c)
{
    if (peek(s) != c)
        return wrong(s, c == ':'   ? "expected :"
                        : c == '"' ? "expected a string"
                                   : "unexpected byte");
    s->at++;
    return true;
}

/* ---- scalars ------------------------------------------------------------------------------ */

/* The raw inside of the string at @at; *plain when it has no escapes. */
static bool raw_string(struct scan *s, struct tl_str *out, bool *plain)
{
    if (!expect(s, '"'))
        return false;
    const char *from = s->at;
    *plain = true;
    for (; s->at < s->end && *s->at != '"'; s->at++) {
        if ((unsigned char)*s->at < 0x20)
            return wrong(s, "control character in a string");
        if (*s->at == '\\') {
            *plain = false;
            s->at++;
        }
    }
    if (s->at >= s->end)
        return wrong(s, "string without its end");
    *out = tl_str_n(from, (size_t)(s->at++ - from));
    return true;
}

static int32_t hex4(const char *at, const char *end)
{
    int32_t v = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* Behind "\u": appends the character; returns what comes behind it, or NULL. */
static const char *unicode_escape(const char *at, const char *end, struct strbuf *out)
{
    int32_t c = hex4(at, end);

    if (c < 0)
        return NULL;
    at += 4;
    if (c >= 0xd800 && c < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        int32_t low = hex4(at + 2, end);
        if (low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            at += 6;
        }
    }
    strbuf_add_utf8(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : (uint32_t)c);
    return at;
}

static bool unescape(struct scan *s, struct tl_str raw, struct strbuf *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = raw.data, *end = raw.data + raw.len;

    strbuf_clear(out);
    while (at < end) {
        const char *stop = memchr(at, '\\', (size_t)(end - at));
        strbuf_add(out, at, (size_t)((stop ? stop : end) - at));
        if (!stop)
            break;
        at = stop + 2;
        const char *known = stop[1] ? strchr(from, stop[1]) : NULL;
        if (known)
            strbuf_addc(out, to[known - from]);
        else if (stop[1] != 'u' || !(at = unicode_escape(at, end, out)))
            return wrong(s, "unknown escape in a string");
    }
    return true;
}

/* Read a string; *out points into the text or into the vm's scratch. */
static bool read_string(struct scan *s, struct tl_str *out)
{
    struct strbuf *scratch = &vm_of(s->L)->scratch;
    bool plain;

    if (!raw_string(s, out, &plain))
        return false;
    if (!plain) {
        if (!unescape(s, *out, scratch))
            return false;
        *out = strbuf_str(scratch);
    }
    return true;
}

static bool digits(struct scan *s)
{
    const char *from = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > from;
}

static bool read_number(struct scan *s, double *out)
{
    const char *from = s->at;
    char text[64];

    if (s->at < s->end && *s->at == '-')
        s->at++;
    const char *first = s->at;
    bool ok = digits(s) && (*first != '0' || s->at == first + 1);
    if (ok && s->at < s->end && *s->at == '.') {
        s->at++;
        ok = digits(s);
    }
    if (ok && s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
            s->at++;
        ok = digits(s);
    }
    size_t len = (size_t)(s->at - from);
    if (!ok || len >= sizeof(text))
        return wrong(s, len >= sizeof(text) ? "number of more than 63 characters"
                                            : "malformed number");
    memcpy(text, from, len);
    text[len] = '\0';
    *out = strtod(text, NULL);
    return true;
}

static bool word(struct scan *s, const char *text)
{
    size_t n = strlen(text);

    if ((size_t)(s->end - s->at) < n || memcmp(s->at, text, n) != 0)
        return wrong(s, "unexpected byte");
    s->at += n;
    return true;
}

/* ---- composites --------------------------------------------------------------------------- */

static bool skip_value(struct scan *s);
static bool push_value(struct scan *s);

static bool enter(struct scan *s)
{
    s->at++;
    if (++s->depth > JSONLUA_DEPTH_MAX)
        return wrong(s, "nested deeper than 32");
    return true;
}

/* Behind a member: 1 = there is another, 0 = @close was there, -1 = malformed. */
static int more(struct scan *s, char close)
{
    char c = peek(s);

    if (c != ',' && c != close) {
        wrong(s, close == '}' ? "expected , or }" : "expected , or ]");
        return -1;
    }
    s->at++;
    if (c == ',')
        return 1;
    s->depth--;
    return 0;
}

static bool skip_members(struct scan *s, char close)
{
    struct tl_str key;
    bool plain;
    int go = 1;

    if (!enter(s))
        return false;
    if (peek(s) == close)
        return more(s, close) == 0;
    while (go == 1) {
        if (close == '}' && (peek(s) != '"' || !raw_string(s, &key, &plain) || !expect(s, ':')))
            return wrong(s, "expected a member name");
        if (!skip_value(s))
            return false;
        go = more(s, close);
    }
    return go == 0;
}

static bool skip_value(struct scan *s)
{
    struct tl_str text;
    double number;
    bool plain;

    bill(s, 0);
    switch (peek(s)) {
    case '{': return skip_members(s, '}');
    case '[': return skip_members(s, ']');
    case '"': return raw_string(s, &text, &plain);
    case 't': return word(s, "true");
    case 'f': return word(s, "false");
    case 'n': return word(s, "null");
    default: return read_number(s, &number);
    }
}

static bool push_members(struct scan *s, char close)
{
    struct tl_str key;
    int go = 1;

    luaL_checkstack(s->L, 4, "JSON");
    lua_newtable(s->L);
    if (!enter(s))
        return false;
    if (peek(s) == close)
        return more(s, close) == 0;
    for (int i = 1; go == 1; i++) {
        if (close == '}') {
            if (peek(s) != '"' || !read_string(s, &key) || !expect(s, ':'))
                return wrong(s, "expected a member name");
            lua_pushlstring(s->L, key.data, key.len);
        }
        if (!push_value(s))
            return false;
        if (close == '}')
            lua_rawset(s->L, -3);
        else
            lua_rawseti(s->L, -2, i);
        go = more(s, close);
    }
    return go == 0;
}

static bool push_value(struct scan *s)
{
    struct tl_str text;
    double number;

    bill(s, BUILD_COST);
    switch (peek(s)) {
    case '{': return push_members(s, '}');
    case '[': return push_members(s, ']');
    case '"':
        if (!read_string(s, &text))
            return false;
        lua_pushlstring(s->L, text.data, text.len);
        return true;
    case 't': lua_pushboolean(s->L, 1); return word(s, "true");
    case 'f': lua_pushboolean(s->L, 0); return word(s, "false");
    case 'n': jsonlua_push_null(s->L); return word(s, "null");
    default:
        if (!read_number(s, &number))
            return false;
        lua_pushnumber(s->L, number);
        return true;
    }
}

static struct scan scan_of(lua_State *L, struct tl_str text)
{
    const char *data = text.data ? text.data : "";
    return (struct scan){
        .L = L, .start = data, .at = data, .end = data + text.len, .billed = data};
}

/* What was pushed above @top is replaced by the reason. */
static bool push_reason(struct scan *s, int top)
{
    lua_settop(s->L, top);
    lua_pushfstring(s->L, "JSON: %s at byte %d", s->wrong ? s->wrong : "malformed",
                    (int)(s->at - s->start) + 1);
    return false;
}

bool jsonlua_push(lua_State *L, struct tl_str text)
{
    struct scan s = scan_of(L, text);
    int top = lua_gettop(L);

    if (!push_value(&s))
        return push_reason(&s, top);
    bill(&s, 0);
    if (peek(&s) || s.at < s.end) {
        wrong(&s, "something behind the value");
        return push_reason(&s, top);
    }
    return true;
}

/* ---- paths -------------------------------------------------------------------------------- */

/* One step of a path: a member's name, or an index when name is absent. */
struct step {
    struct tl_str name;
    int32_t index;
};

/* False at the end; raises for a malformed path. */
static bool next_step(lua_State *L, struct tl_str path, size_t *at, struct step *out)
{
    if (*at >= path.len)
        return false;
    if (path.data[*at] == '[') {
        const char *close = memchr(path.data + *at, ']', path.len - *at);
        size_t from = *at + 1, to = close ? (size_t)(close - path.data) : 0;
        if (!close || !tl_str_i32(tl_str_n(path.data + from, to - from), &out->index) ||
            out->index < 0)
            luaL_error(L, "JSON path: expected [number] at character %d", (int)*at + 1);
        out->name = TL_STR_NONE;
        *at = to + 1;
        return true;
    }
    if (path.data[*at] == '.' && *at > 0)
        ++*at;
    size_t from = *at;
    while (*at < path.len && path.data[*at] != '.' && path.data[*at] != '[')
        ++*at;
    if (*at == from)
        luaL_error(L, "JSON path: expected a name at character %d", (int)from + 1);
    out->name = tl_str_n(path.data + from, *at - from);
    return true;
}

/* At an object or array: go to the member of @step.  1 = there, 0 = none, -1 = malformed. */
static int descend(struct scan *s, const struct step *step)
{
    bool object = step->name.data != NULL;
    char open = object ? '{' : '[', close = object ? '}' : ']';
    int go = 1;

    if (peek(s) != open)
        return skip_value(s) ? 0 : -1;
    if (!enter(s))
        return -1;
    if (peek(s) == close)
        return 0;
    for (int32_t i = 0; go == 1; i++) {
        struct tl_str key = TL_STR_NONE;
        if (object && (peek(s) != '"' || !read_string(s, &key) || !expect(s, ':'))) {
            wrong(s, "expected a member name");
            return -1;
        }
        if (object ? tl_str_eq(key, step->name) : i == step->index)
            return 1;
        if (!skip_value(s))
            return -1;
        go = more(s, close);
    }
    return go;
}

bool jsonlua_push_path(lua_State *L, struct tl_str text, struct tl_str path)
{
    struct scan s = scan_of(L, text);
    struct step step;
    int top = lua_gettop(L), found = 1;

    for (size_t at = 0; found == 1 && next_step(L, path, &at, &step);)
        found = descend(&s, &step);
    if (found < 0 || (found && !push_value(&s)))
        return push_reason(&s, top);
    bill(&s, 0);
    if (!found) {
        lua_pushnil(L);
    } else if (lua_islightuserdata(
                   L, -1)) { /* null itself; inside a table it stays mq.json.null */
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    return true;
}

/* ---- writing ------------------------------------------------------------------------------ */

static void write_value(lua_State *L, int index, struct strbuf *out, int depth);

static void check_size(lua_State *L, const struct strbuf *out)
{
    if (out->len > VM_STRING_MAX)
        luaL_error(L, "mq.json.encode: more than %d bytes", VM_STRING_MAX);
}

static void write_number(lua_State *L, double n, struct strbuf *out)
{
    if (!isfinite(n))
        luaL_error(L, "mq.json.encode: a number that is not finite");
    if (n == floor(n) && fabs(n) < 1e15)
        strbuf_addi(out, (int64_t)n);
    else
        strbuf_printf(out, "%.17g", n);
}

static void write_table(lua_State *L, int index, struct strbuf *out, int depth)
{
    int n = (int)lua_objlen(L, index);
    bool first = true;

    if (depth > JSONLUA_DEPTH_MAX)
        luaL_error(L, "mq.json.encode: nested deeper than %d", JSONLUA_DEPTH_MAX);
    luaL_checkstack(L, 6, "JSON");
    if (n > 0) {
        strbuf_addc(out, '[');
        for (int i = 1; i <= n; i++) {
            if (i > 1)
                strbuf_addc(out, ',');
            lua_rawgeti(L, index, i);
            write_value(L, lua_gettop(L), out, depth);
            lua_pop(L, 1);
        }
        strbuf_addc(out, ']');
        return;
    }
    strbuf_addc(out, '{');
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        size_t len;
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "mq.json.encode: an object's key must be a string, not a %s",
                       luaL_typename(L, -2));
        const char *key = lua_tolstring(L, -2, &len);
        if (!first)
            strbuf_addc(out, ',');
        first = false;
        json_write_string(out, tl_str_n(key, len));
        strbuf_addc(out, ':');
        write_value(L, lua_gettop(L), out, depth);
    }
    strbuf_addc(out, '}');
}

static void write_value(lua_State *L, int index, struct strbuf *out, int depth)
{
    size_t len;
    const char *text;

    vm_charge(L, BUILD_COST);
    check_size(L, out);
    switch (lua_type(L, index)) {
    case LUA_TNIL: strbuf_addz(out, "null"); break;
    case LUA_TBOOLEAN: strbuf_addz(out, lua_toboolean(L, index) ? "true" : "false"); break;
    case LUA_TNUMBER: write_number(L, lua_tonumber(L, index), out); break;
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &len);
        vm_charge(L, (int64_t)len / BYTES_PER_INSTRUCTION);
        json_write_string(out, tl_str_n(text, len));
        break;
    case LUA_TTABLE: write_table(L, index, out, depth + 1); break;
    case LUA_TLIGHTUSERDATA: strbuf_addz(out, "null"); break;
    default: luaL_error(L, "mq.json.encode: a %s has no JSON", luaL_typename(L, index));
    }
}

void jsonlua_write(lua_State *L, int index, struct strbuf *out)
{
    write_value(L, index, out, 0);
    check_size(L, out);
}
