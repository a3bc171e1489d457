/*
 * lib - the library scripts get: strings and tables with bounded cost, and `mq`
 *
 * Functions that look at many bytes count them against the call's budget (vm_charge).  Lua patterns are not offered: their
 * matcher can take exponential time.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "script/vm.h"

#undef LOG_MODULE
#define LOG_MODULE "script"

enum {
    VALUES_MAX = 256,      /* string.byte, unpack: results of one call */
    REP_MAX = 1 << 20,     /* string.rep: bytes of the result */
    SORT_MAX = 10000,      /* table.sort: elements */
    JSON_TEXT_MAX = 65536, /* mq.json.decode, msg:json: bytes of text */
    LOG_TEXT_MAX = 512,
};

static void charge_bytes(lua_State *L, size_t n)
{
    vm_charge(L, n / VM_BYTES_PER_STEP);
}

/* ---- string ------------------------------------------------------------------------------- */

/* Call the original (an upvalue), after counting the bytes of the first argument. */
static int charged(lua_State *L)
{
    size_t len = 0;

    if (lua_isstring(L, 1))
        lua_tolstring(L, 1, &len);
    charge_bytes(L, len);
    int n = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, n, LUA_MULTRET);
    return lua_gettop(L);
}

static int string_rep(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    int64_t n = (int64_t)luaL_checknumber(L, 2);

    if (n <= 0 || len == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (n > REP_MAX || (int64_t)len > REP_MAX / n)
        return luaL_error(L, "string.rep: more than %d bytes", REP_MAX);
    charge_bytes(L, len * (size_t)n);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    while (n-- > 0)
        luaL_addlstring(&b, s, len);
    luaL_pushresult(&b);
    return 1;
}

/* find(s, text [, init [, true]]): plain search. */
static int string_find(lua_State *L)
{
    size_t len, want;
    const char *s = luaL_checklstring(L, 1, &len), *text = luaL_checklstring(L, 2, &want);
    int64_t init = (int64_t)luaL_optnumber(L, 3, 1);

    if (!lua_toboolean(L, 4) && strpbrk(text, "^$*+?.([%-"))
        return luaL_error(
            L,
            "string.find: patterns are not available: pass true as fourth argument, or use mq.match");
    if (init < 0)
        init = init + (int64_t)len + 1;
    if (init < 1)
        init = 1;
    charge_bytes(L, len);
    const char *hit = init > (int64_t)len + 1
                          ? NULL
                          : memmem(s + init - 1, len - (size_t)(init - 1), text, want);
    if (!hit) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, hit - s + 1);
    lua_pushinteger(L, hit - s + (lua_Integer)want);
    return 2;
}

static int string_byte(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    int64_t from = (int64_t)luaL_optnumber(L, 2, 1),
            to = (int64_t)luaL_optnumber(L, 3, (lua_Number)from);

    from = from < 0 ? from + (int64_t)len + 1 : from;
    to = to < 0 ? to + (int64_t)len + 1 : to;
    from = from < 1 ? 1 : from;
    to = to > (int64_t)len ? (int64_t)len : to;
    if (to - from + 1 > VALUES_MAX)
        return luaL_error(L, "string.byte: more than %d values", VALUES_MAX);
    for (int64_t i = from; i <= to; i++)
        lua_pushinteger(L, (unsigned char)s[i - 1]);
    return to < from ? 0 : (int)(to - from + 1);
}

static int no_patterns(lua_State *L)
{
    return luaL_error(
        L, "Lua patterns are not available: use mq.match or string.find(s, text, 1, true)");
}

static void open_string(lua_State *L)
{
    static const char *const kept[] = {"char", "len", "sub"};
    static const char *const counted[] = {"lower", "upper", "reverse", "format"};
    static const luaL_Reg ours[] = {
        {"rep", string_rep},    {"find", string_find},   {"byte", string_byte},
        {"match", no_patterns}, {"gmatch", no_patterns}, {"gsub", no_patterns},
        {NULL, NULL},
    };

    lua_newtable(L);
    lua_getglobal(L, "string");
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        lua_getfield(L, -1, kept[i]);
        lua_setfield(L, -3, kept[i]);
    }
    for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
        lua_getfield(L, -1, counted[i]);
        lua_pushcclosure(L, charged, 1);
        lua_setfield(L, -3, counted[i]);
    }
    lua_pop(L, 1);
    luaL_register(L, NULL, ours);
    /* ("x"):rep() goes by the strings' metatable: give it the same functions, locked. */
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "locked");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

/* ---- table -------------------------------------------------------------------------------- */

static int table_sort(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    size_t n = lua_objlen(L, 1);
    if (n > SORT_MAX)
        return luaL_error(L, "table.sort: more than %d elements", SORT_MAX);
    vm_charge(L, n);
    int args = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, args, 0);
    return 0;
}

static int table_concat(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    vm_charge(L, lua_objlen(L, 1));
    int args = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, args, 1);
    return 1;
}

/* insert and remove move what is behind: count it. */
static int table_shift(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    if (lua_gettop(L) > 1)
        vm_charge(L, lua_objlen(L, 1));
    int args = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, args, LUA_MULTRET);
    return lua_gettop(L);
}

static int safe_unpack(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    int from = luaL_optint(L, 2, 1),
        to = lua_isnoneornil(L, 3) ? (int)lua_objlen(L, 1) : luaL_checkint(L, 3);

    if ((int64_t)to - from + 1 > VALUES_MAX)
        return luaL_error(L, "unpack: more than %d values", VALUES_MAX);
    for (int i = from; i <= to; i++)
        lua_rawgeti(L, 1, i);
    return to < from ? 0 : to - from + 1;
}

static void open_table(lua_State *L)
{
    static const struct {
        const char *name;
        lua_CFunction fn;
    } wrapped[] = {{"sort", table_sort},
                   {"concat", table_concat},
                   {"insert", table_shift},
                   {"remove", table_shift}};

    lua_newtable(L);
    lua_getglobal(L, "table");
    for (size_t i = 0; i < sizeof(wrapped) / sizeof(wrapped[0]); i++) {
        lua_getfield(L, -1, wrapped[i].name);
        lua_pushcclosure(L, wrapped[i].fn, 1);
        lua_setfield(L, -3, wrapped[i].name);
    }
    lua_pop(L, 1);
}

/* ---- mq ----------------------------------------------------------------------------------- */

static int mq_log(lua_State *L)
{
    static const char *const names[] = {"debug", "info", "warn", "error", NULL};
    static struct log_rate rate[4];
    int level = luaL_checkoption(L, 1, NULL, names);
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    uint64_t held;

    if (level >= log_level_now && log_rate_ok(&rate[level], 100, &held))
        log_write((enum log_level)level, LOG_MODULE, "%.*s%s",
                  (int)(len < LOG_TEXT_MAX ? len : LOG_TEXT_MAX), text,
                  held ? " (lines held back before)" : "");
    return 0;
}

static int mq_now(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)clock_now_ms());
    return 1;
}

static int mq_hash(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);

    charge_bytes(L, len);
    lua_pushinteger(L, hash_java_string(tl_str_n(s, len)));
    return 1;
}

/* match(text, glob): '*' any run, '?' any byte; linear in the text for each '*'. */
static int mq_match(lua_State *L)
{
    size_t len, want, s = 0, p = 0, star = SIZE_MAX, mark = 0, steps = 0;
    const char *text = luaL_checklstring(L, 1, &len), *glob = luaL_checklstring(L, 2, &want);

    while (s < len) {
        if (++steps % 4096 == 0)
            vm_charge(L, 4096 / VM_BYTES_PER_STEP);
        if (p < want && glob[p] == '*') {
            star = p++;
            mark = s;
        } else if (p < want && (glob[p] == '?' || glob[p] == text[s])) {
            p++;
            s++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            s = ++mark;
        } else {
            break;
        }
    }
    while (s == len && p < want && glob[p] == '*')
        p++;
    charge_bytes(L, steps);
    lua_pushboolean(L, s == len && p == want);
    return 1;
}

/* cidr(ip, net): is the address inside "10.0.0.0/8" or "2001:db8::/32"?  false for what is no address. */
static int mq_cidr(lua_State *L)
{
    const char *ip = luaL_checkstring(L, 1), *net = luaL_checkstring(L, 2),
               *slash = strchr(net, '/');
    unsigned char a[16], b[16];
    char base[64];
    int family = strchr(ip, ':') ? AF_INET6 : AF_INET, bits = family == AF_INET ? 32 : 128;
    size_t n = slash ? (size_t)(slash - net) : strlen(net);
    int64_t prefix = bits;
    bool ok = n < sizeof(base);

    if (ok) {
        memcpy(base, net, n);
        base[n] = '\0';
        ok = (!slash || tl_str_i64(tl_str_of(slash + 1), &prefix)) && prefix >= 0 &&
             prefix <= bits;
    }
    if (!ok)
        return luaL_error(L, "mq.cidr: '%s' is no network", net);
    ok = inet_pton(family, ip, a) == 1 && inet_pton(family, base, b) == 1;
    for (int i = 0; ok && i < prefix; i++)
        ok = ((a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1) == 0;
    lua_pushboolean(L, ok);
    return 1;
}

void lib_push_json(lua_State *L, const json_t *v)
{
    const char *key;
    json_t *item;
    size_t i;

    luaL_checkstack(L, 4, "JSON nested too deep");
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_STRING: lua_pushlstring(L, json_string_value(v), json_string_length(v)); break;
    case JSON_INTEGER: lua_pushnumber(L, (lua_Number)json_integer_value(v)); break;
    case JSON_REAL: lua_pushnumber(L, json_real_value(v)); break;
    case JSON_TRUE: lua_pushboolean(L, 1); break;
    case JSON_FALSE: lua_pushboolean(L, 0); break;
    case JSON_NULL: lua_pushnil(L); break;
    case JSON_ARRAY:
        lua_newtable(L);
        json_array_foreach(v, i, item)
        {
            lib_push_json(L, item);
            lua_rawseti(L, -2, (int)i + 1);
        }
        break;
    case JSON_OBJECT:
        lua_newtable(L);
        /* jansson's iterators want a non-const object but do not change it. */
        json_object_foreach((json_t *)(uintptr_t)v, key, item)
        {
            lib_push_json(L, item);
            lua_setfield(L, -2, key);
        }
        break;
    }
}

/* A json_t that is freed even when pushing it raises an error. */
static int json_gc(lua_State *L)
{
    json_t **v = lua_touserdata(L, 1);
    json_decref(*v);
    *v = NULL;
    return 0;
}

/* decode(text): the value, or nil and a text. */
static int json_decode(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    if (len > JSON_TEXT_MAX)
        return luaL_error(L, "mq.json.decode: more than %d bytes", JSON_TEXT_MAX);
    vm_charge(L, len / 8);
    json_t **v = lua_newuserdata(L, sizeof(*v));
    *v = NULL;
    lua_newtable(L);
    lua_pushcfunction(L, json_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    *v = json_parse(tl_str_n(text, len));
    if (!*v) {
        lua_pushnil(L);
        lua_pushstring(L, tl_error_text());
        return 2;
    }
    lib_push_json(L, *v);
    return 1;
}

static void encode_string(lua_State *L, const char *s, size_t len, luaL_Buffer *out)
{
    static const char hex[] = "0123456789abcdef";

    charge_bytes(L, len);
    luaL_addchar(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\') {
            luaL_addchar(out, '\\');
            luaL_addchar(out, (char)c);
        } else if (c < 0x20) {
            luaL_addstring(out, "\\u00");
            luaL_addchar(out, hex[c >> 4]);
            luaL_addchar(out, hex[c & 15]);
        } else {
            luaL_addchar(out, (char)c);
        }
    }
    luaL_addchar(out, '"');
}

/* What is no table; an error for what JSON has no word for. */
static void encode(lua_State *L, int index, luaL_Buffer *out)
{
    char number[32];
    size_t len;

    switch (lua_type(L, index)) {
    case LUA_TSTRING: {
        const char *s = lua_tolstring(L, index, &len);
        encode_string(L, s, len, out);
        break;
    }
    case LUA_TNUMBER:
        snprintf(number, sizeof(number), "%.17g", lua_tonumber(L, index));
        luaL_addstring(out, number);
        break;
    case LUA_TBOOLEAN: luaL_addstring(out, lua_toboolean(L, index) ? "true" : "false"); break;
    case LUA_TNIL:
    case LUA_TNONE: luaL_addstring(out, "null"); break;
    default: luaL_error(L, "mq.json.encode: no JSON for a %s", luaL_typename(L, index));
    }
}

/* luaL_Buffer keeps pieces on the stack, so tables are encoded piece by piece by json_encode_value(). */
static int json_encode_value(lua_State *L);

static void encode_table(lua_State *L, int depth)
{
    size_t n = lua_objlen(L, 1);

    lua_newtable(L); /* pieces */
    int pieces = 0;
    if (n > 0) {
        for (size_t i = 1; i <= n; i++) {
            lua_pushcfunction(L, json_encode_value);
            lua_rawgeti(L, 1, (int)i);
            lua_pushinteger(L, depth + 1);
            lua_call(L, 2, 1);
            lua_rawseti(L, 2, ++pieces);
        }
        return;
    }
    for (lua_pushnil(L); lua_next(L, 1);) { /* key value */
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "mq.json.encode: a key that is no string");
        lua_pushcfunction(L, json_encode_value);
        lua_pushvalue(L, -3);
        lua_pushinteger(L, depth + 1);
        lua_call(L, 2, 1);
        lua_pushliteral(L, ":");
        lua_pushcfunction(L, json_encode_value);
        lua_pushvalue(L, -4);
        lua_pushinteger(L, depth + 1);
        lua_call(L, 2, 1);
        lua_concat(L, 3);
        lua_rawseti(L, 2, ++pieces);
        lua_pop(L, 1);
    }
}

static int json_encode_value(lua_State *L)
{
    int depth = luaL_optint(L, 2, 0);

    vm_charge(L, 4);
    if (lua_type(L, 1) != LUA_TTABLE) {
        luaL_Buffer out;
        luaL_buffinit(L, &out);
        encode(L, 1, &out);
        luaL_pushresult(&out);
        return 1;
    }
    if (depth >= JSON_DEPTH_MAX)
        return luaL_error(L, "mq.json.encode: nested too deep");
    lua_settop(L, 1);
    bool array = lua_objlen(L, 1) > 0;
    encode_table(L, depth);
    luaL_Buffer out;
    int n = (int)lua_objlen(L, 2);
    luaL_buffinit(L, &out);
    luaL_addchar(&out, array ? '[' : '{');
    for (int i = 1; i <= n; i++) {
        if (i > 1)
            luaL_addchar(&out, ',');
        lua_rawgeti(L, 2, i);
        luaL_addvalue(&out);
    }
    luaL_addchar(&out, array ? ']' : '}');
    luaL_pushresult(&out);
    return 1;
}

static void lock_table(lua_State *L)
{
    lua_newtable(L);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "locked");
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    lua_insert(L, -2);
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

void lib_open(lua_State *L)
{
    static const luaL_Reg mq[] = {
        {"log", mq_log},     {"now", mq_now},   {"hash", mq_hash},
        {"match", mq_match}, {"cidr", mq_cidr}, {NULL, NULL},
    };
    static const luaL_Reg json[] = {
        {"decode", json_decode}, {"encode", json_encode_value}, {NULL, NULL}};

    open_string(L);
    lock_table(L);
    lua_setfield(L, -2, "string");
    open_table(L);
    lock_table(L);
    lua_setfield(L, -2, "table");
    lua_pushcfunction(L, safe_unpack);
    lua_setfield(L, -2, "unpack");
    lua_newtable(L);
    luaL_register(L, NULL, mq);
    lua_newtable(L);
    luaL_register(L, NULL, json);
    lock_table(L);
    lua_setfield(L, -2, "json");
    lock_table(L);
    lua_setfield(L, -2, "mq");
}
