/*
 * library - the string and table functions that Lua leaves unbounded
 *
 * Each bills the running call for what it does before or while it does it.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <math.h>

#include "script/pattern.h"
#include "script/sandbox.h"
#include "script/vm.h"

enum {
    STEPS_PER_INSTRUCTION = 4,    /* of a pattern */
    SCANNED_PER_INSTRUCTION = 64, /* bytes searched or copied */
    CHANGED_PER_INSTRUCTION = 8,  /* bytes mapped one by one */
    MOVED_PER_INSTRUCTION = 8,    /* table slots shifted */
};

static struct tl_str check_str(lua_State *L, int index)
{
    size_t len;
    const char *text = luaL_checklstring(L, index, &len);
    return tl_str_n(text, len);
}

/* ---- patterns ----------------------------------------------------------------------------- */

static void compile(lua_State *L, int index, struct pattern *p)
{
    if (pattern_compile(check_str(L, index), p))
        luaL_error(L, "%s", tl_error_text());
}

/* A search paid by the call: it is stopped when the pattern takes more steps than it has. */
static bool search(lua_State *L, const struct pattern *p, struct tl_str subject, size_t from,
                   struct pattern_match *m)
{
    int64_t had = (vm_left(vm_of(L)) + 1) * STEPS_PER_INSTRUCTION, left = had;
    enum pattern_result r = pattern_find(p, subject, from, &left, m);

    vm_charge(L, r == PATTERN_OVER ? vm_left(vm_of(L)) + 1
                                   : (had - left) / STEPS_PER_INSTRUCTION + 1);
    if (r == PATTERN_OVER)
        luaL_error(L, "pattern: too many steps");
    return r == PATTERN_HIT;
}

static void push_capture(lua_State *L, struct tl_str subject, const struct pattern_match *m,
                         int i)
{
    if (i >= m->captures_count)
        lua_pushlstring(L, subject.data + m->from, m->to - m->from);
    else if (m->captures[i].len < 0)
        lua_pushinteger(L, (lua_Integer)m->captures[i].from + 1);
    else
        lua_pushlstring(L, subject.data + m->captures[i].from, (size_t)m->captures[i].len);
}

/* All captures, or the whole match when there are none and @whole. */
static int push_captures(lua_State *L, struct tl_str subject, const struct pattern_match *m,
                         bool whole)
{
    int n = m->captures_count ? m->captures_count : whole;

    luaL_checkstack(L, n, "captures");
    for (int i = 0; i < n; i++)
        push_capture(L, subject, m, i);
    return n;
}

/* The start argument of find and match as an offset; false when it is behind the end. */
static bool start_of(lua_State *L, int index, size_t len, size_t *out)
{
    lua_Number at = luaL_optnumber(L, index, 1);

    if (at < 0)
        at += (lua_Number)len + 1;
    if (!(at >= 1))
        at = 1;
    if (at > (lua_Number)len + 1)
        return false;
    *out = (size_t)at - 1;
    return true;
}

static bool is_plain(struct tl_str pattern)
{
    for (size_t i = 0; i < pattern.len; i++)
        if (pattern.data[i] && strchr("^$*+?.([%-", pattern.data[i]))
            return false;
    return true;
}

static int find_plain(lua_State *L, struct tl_str subject, struct tl_str what, size_t from)
{
    vm_charge(L, (int64_t)((subject.len - from) / SCANNED_PER_INSTRUCTION));
    const char *at = memmem(subject.data + from, subject.len - from, what.data, what.len);
    if (!at) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, at - subject.data + 1);
    lua_pushinteger(L, at - subject.data + (ptrdiff_t)what.len);
    return 2;
}

static int string_find(lua_State *L)
{
    struct tl_str subject = check_str(L, 1), text = check_str(L, 2);
    struct pattern_match m;
    struct pattern p;
    size_t from;

    if (!start_of(L, 3, subject.len, &from)) {
        lua_pushnil(L);
        return 1;
    }
    if (lua_toboolean(L, 4) || is_plain(text))
        return find_plain(L, subject, text, from);
    compile(L, 2, &p);
    if (!search(L, &p, subject, from, &m)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)m.from + 1);
    lua_pushinteger(L, (lua_Integer)m.to);
    return 2 + push_captures(L, subject, &m, false);
}

static int string_match(lua_State *L)
{
    struct tl_str subject = check_str(L, 1);
    struct pattern_match m;
    struct pattern p;
    size_t from;

    compile(L, 2, &p);
    if (start_of(L, 3, subject.len, &from) && search(L, &p, subject, from, &m))
        return push_captures(L, subject, &m, true);
    lua_pushnil(L);
    return 1;
}

/* Upvalues: subject, pattern, where to go on. */
static int gmatch_next(lua_State *L)
{
    struct tl_str subject = check_str(L, lua_upvalueindex(1));
    size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3));
    struct pattern_match m;
    struct pattern p;

    compile(L, lua_upvalueindex(2), &p);
    p.anchored =
        false; /* as in Lua: ^ matches itself nowhere, and an anchor would repeat for ever */
    if (from > subject.len || !search(L, &p, subject, from, &m)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)(m.to > m.from ? m.to : m.to + 1));
    lua_replace(L, lua_upvalueindex(3));
    return push_captures(L, subject, &m, true);
}

static int string_gmatch(lua_State *L)
{
    struct pattern p;

    check_str(L, 1);
    compile(L, 2, &p); /* its mistakes belong to this line */
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, gmatch_next, 3);
    return 1;
}

/* The replacement text: %0..%9 are captures, %% is %. */
static void add_template(lua_State *L, luaL_Buffer *b, struct tl_str subject,
                         const struct pattern_match *m)
{
    struct tl_str t = check_str(L, 3);

    for (size_t i = 0; i < t.len; i++) {
        if (t.data[i] != '%' || i + 1 == t.len) {
            luaL_addchar(b, t.data[i]);
            continue;
        }
        char c = t.data[++i];
        if (c < '0' || c > '9') {
            luaL_addchar(b, c);
            continue;
        }
        int n = c == '0' ? m->captures_count : c - '1'; /* 0 = the whole match */
        if (c != '0' && n > 0 && n >= m->captures_count)
            luaL_error(L, "string.gsub: the replacement has %%%d, the pattern no such capture",
                       n + 1);
        push_capture(L, subject, m, n);
        luaL_addvalue(b);
    }
}

static void add_replacement(lua_State *L, luaL_Buffer *b, struct tl_str subject,
                            const struct pattern_match *m)
{
    int type = lua_type(L, 3);

    if (type == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(L, subject, m, true), 1);
    } else if (type == LUA_TTABLE) {
        push_capture(L, subject, m, 0);
        lua_gettable(L, 3);
    } else {
        add_template(L, b, subject, m);
        return;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, subject.data + m->from, m->to - m->from);
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "string.gsub: the replacement is a %s", luaL_typename(L, -1));
    }
    luaL_addvalue(b);
}

static int string_gsub(lua_State *L)
{
    struct tl_str subject = check_str(L, 1);
    int type = lua_type(L, 3);
    lua_Number max = luaL_optnumber(L, 4, (lua_Number)subject.len + 1), n = 0;
    struct pattern_match m;
    struct pattern p;
    luaL_Buffer b;
    size_t at = 0;

    luaL_argcheck(L,
                  type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                      type == LUA_TTABLE,
                  3, "string, function or table expected");
    compile(L, 2, &p);
    luaL_buffinit(L, &b);
    while (n < max && at <= subject.len && search(L, &p, subject, at, &m)) {
        n++;
        luaL_addlstring(&b, subject.data + at, m.from - at);
        add_replacement(L, &b, subject, &m);
        at = m.to;
        if (m.to == m.from) {
            if (at < subject.len)
                luaL_addchar(&b, subject.data[at]);
            at++;
        }
        if (p.anchored)
            break;
    }
    vm_charge(L, (int64_t)(subject.len / SCANNED_PER_INSTRUCTION));
    if (at < subject.len)
        luaL_addlstring(&b, subject.data + at, subject.len - at);
    luaL_pushresult(&b);
    lua_pushnumber(L, n);
    return 2;
}

/* ---- other string functions --------------------------------------------------------------- */

static int string_rep(lua_State *L)
{
    struct tl_str s = check_str(L, 1);
    lua_Number n = luaL_checknumber(L, 2);
    struct strbuf *out = &vm_of(L)->scratch;

    if (!(n >= 1) || !s.len) {
        lua_pushliteral(L, "");
        return 1;
    }
    n = floor(n);
    if (n * (lua_Number)s.len > VM_STRING_MAX)
        return luaL_error(L, "string.rep: the result is over the limit of %d bytes",
                          VM_STRING_MAX);
    vm_charge(L, (int64_t)n / CHANGED_PER_INSTRUCTION +
                     (int64_t)n * (int64_t)s.len / SCANNED_PER_INSTRUCTION);
    strbuf_clear(out);
    for (int64_t i = 0; i < (int64_t)n; i++)
        strbuf_addstr(out, s);
    lua_pushlstring(L, out->data, out->len);
    return 1;
}

/* Upvalue 1: Lua's own function, called with what was given once the strings among it are paid. */
static int paid_string(lua_State *L)
{
    int n = lua_gettop(L);
    size_t bytes = 0;

    for (int i = 1; i <= n; i++)
        if (lua_type(L, i) == LUA_TSTRING)
            bytes += lua_objlen(L, i);
    vm_charge(L, (int64_t)(bytes / CHANGED_PER_INSTRUCTION));
    luaL_checkstack(L, 1, "arguments");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, n, LUA_MULTRET);
    return lua_gettop(L);
}

static const luaL_Reg string_functions[] = {
    {"find", string_find}, {"match", string_match}, {"gmatch", string_gmatch},
    {"gsub", string_gsub}, {"rep", string_rep},     {NULL, NULL},
};

static void set_functions(lua_State *L, const luaL_Reg *list)
{
    for (; list->name; list++) {
        lua_pushcfunction(L, list->func);
        lua_setfield(L, -2, list->name);
    }
}

/* Field @name of the table on top: @paid over the function of that name in Lua's library. */
static void set_paid(lua_State *L, const char *library, const char *name, lua_CFunction paid)
{
    lua_getglobal(L, library);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
    lua_pushcclosure(L, paid, 1);
    lua_setfield(L, -2, name);
}

void library_push_string(lua_State *L)
{
    static const char *const paid[] = {"format", "lower", "reverse", "upper"};

    lua_newtable(L);
    set_functions(L, string_functions);
    for (size_t i = 0; i < sizeof(paid) / sizeof(paid[0]); i++)
        set_paid(L, "string", paid[i], paid_string);
}

/* ---- tables ------------------------------------------------------------------------------- */

static int table_insert(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    int n = (int)lua_objlen(L, 1) + 1;

    switch (lua_gettop(L)) {
    case 2: lua_rawseti(L, 1, n); return 0;
    case 3: break;
    default: return luaL_error(L, "wrong number of arguments to table.insert");
    }
    int at = luaL_checkint(L, 2);
    if (at > n || at < 1)
        return luaL_error(L, "table.insert: position %d is outside of the list", at);
    vm_charge(L, (n - at) / MOVED_PER_INSTRUCTION);
    for (int i = n; i > at; i--) {
        lua_rawgeti(L, 1, i - 1);
        lua_rawseti(L, 1, i);
    }
    lua_rawseti(L, 1, at);
    return 0;
}

static int table_remove(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    int n = (int)lua_objlen(L, 1), at = luaL_optint(L, 2, n);

    if (n == 0 || at < 1 || at > n)
        return 0;
    vm_charge(L, (n - at) / MOVED_PER_INSTRUCTION);
    lua_rawgeti(L, 1, at);
    for (int i = at; i < n; i++) {
        lua_rawgeti(L, 1, i + 1);
        lua_rawseti(L, 1, i);
    }
    lua_pushnil(L);
    lua_rawseti(L, 1, n);
    return 1;
}

/* Upvalue 1: Lua's concat. */
static int table_concat(lua_State *L)
{
    size_t sep;

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_optlstring(L, 2, "", &sep);
    int64_t n = (int64_t)lua_objlen(L, 1);
    vm_charge(L, n + n * (int64_t)sep / SCANNED_PER_INSTRUCTION);
    int args = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, args, 1);
    return 1;
}

/* Upvalue 1: Lua's sort. */
static int table_sort(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    int64_t n = (int64_t)lua_objlen(L, 1);

    vm_charge(L, n > 1 ? (int64_t)((double)n * log2((double)n)) * 4 : 1);
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 2, 0);
    return 0;
}

static const luaL_Reg table_functions[] = {
    {"insert", table_insert}, {"remove", table_remove}, {NULL, NULL}};

void library_push_table(lua_State *L)
{
    lua_newtable(L);
    set_functions(L, table_functions);
    set_paid(L, "table", "concat", table_concat);
    set_paid(L, "table", "sort", table_sort);
}
