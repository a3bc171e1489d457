#include "script/sandbox.h"

#include <lauxlib.h>
#include <lualib.h>

#include "base/clock.h"
#include "script/vm.h"

enum { DATE_FORMAT_MAX = 128 };

static const char templates_key = 0; /* its address is the registry key */

/* What is taken over from Lua's own libraries as it is. */
static const struct {
    const char *library; /* "" = the globals */
    const char *names[24];
} allowed[] = {
    {"",
     {"assert", "error", "getmetatable", "ipairs", "next", "pairs", "rawequal", "rawget",
      "rawset", "select", "setmetatable", "tonumber", "tostring", "type", "unpack"}},
    {"string", {"byte", "char", "len", "sub"}},
    {"math", {"abs", "acos", "asin",  "atan", "atan2", "ceil",   "cos", "cosh",
              "deg", "exp",  "floor", "fmod", "frexp", "ldexp",  "log", "log10",
              "max", "min",  "modf",  "pow",  "rad",   "random", "sin", "sqrt"}},
    {"os", {"clock", "time"}},
    {"bit",
     {"arshift", "band", "bnot", "bor", "bswap", "bxor", "lshift", "rol", "ror", "rshift",
      "tobit", "tohex"}},
};

/* ---- functions of our own ----------------------------------------------------------------- */

/* As Lua's, but what stopped the call goes on to its top: nested pcalls do not hold it up. */
static int sandbox_pcall(lua_State *L)
{
    struct script_vm *vm = vm_of(L);

    luaL_checkany(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (status == LUA_ERRMEM)
        vm->stop = SCRIPT_ERR_MEMORY;
    if (vm->stop)
        return lua_error(L);
    luaL_checkstack(L, 1, "pcall");
    lua_pushboolean(L, status == 0);
    lua_insert(L, 1);
    return lua_gettop(L);
}

static int sandbox_date(lua_State *L)
{
    size_t len;

    luaL_optlstring(L, 1, "%c", &len);
    if (len > DATE_FORMAT_MAX)
        return luaL_error(L, "os.date: format of %d characters, the limit is %d", (int)len,
                          DATE_FORMAT_MAX);
    int n = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, n, 1);
    return 1;
}

static int sandbox_newglobal(lua_State *L)
{
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    return luaL_error(L, "assignment to the global %s: write `local %s`", name, name);
}

/* ---- templates ---------------------------------------------------------------------------- */

/* Copy the entries of the table at @from into the one on top. */
static void copy_into_top(lua_State *L, int from)
{
    for (lua_pushnil(L); lua_next(L, from);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
}

static void add_allowed(lua_State *L, int templates)
{
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        const char *library = allowed[i].library;
        if (*library)
            lua_getglobal(L, library);
        else
            lua_pushvalue(L, LUA_GLOBALSINDEX);
        lua_newtable(L);
        for (int n = 0; n < 24 && allowed[i].names[n]; n++) {
            lua_getfield(L, -2, allowed[i].names[n]);
            lua_setfield(L, -2, allowed[i].names[n]);
        }
        lua_setfield(L, templates, library);
        lua_pop(L, 1);
    }
}

/* Merge the library table that @push makes into the template @name. */
static void add_library(lua_State *L, int templates, const char *name,
                        void (*push)(lua_State *L))
{
    push(L);
    int made = lua_gettop(L);
    lua_getfield(L, templates, name);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_setfield(L, templates, name);
        return;
    }
    copy_into_top(L, made);
    lua_pop(L, 2);
}

static void add_own(lua_State *L, int templates)
{
    lua_getfield(L, templates, "");
    lua_pushcfunction(L, sandbox_pcall);
    lua_setfield(L, -2, "pcall");
    lua_pop(L, 1);

    lua_getfield(L, templates, "math");
    lua_pushnumber(L, 3.14159265358979323846);
    lua_setfield(L, -2, "pi");
    lua_pushnumber(L, __builtin_huge_val());
    lua_setfield(L, -2, "huge");
    lua_pop(L, 1);

    lua_getfield(L, templates, "os");
    lua_getglobal(L, "os");
    lua_getfield(L, -1, "date");
    lua_pushcclosure(L, sandbox_date, 1);
    lua_setfield(L, -3, "date");
    lua_pop(L, 2);
}

/* ("x"):rep() must be the bounded one: methods of strings come from a table no script can reach. */
static void guard_strings(lua_State *L, int templates)
{
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_newtable(L);
    lua_getfield(L, templates, "string");
    int from = lua_gettop(L);
    lua_pushvalue(L, -2);
    copy_into_top(L, from);
    lua_pop(L, 2);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

/* Each state draws its own random numbers. */
static void seed_random(lua_State *L)
{
    lua_getglobal(L, "math");
    lua_getfield(L, -1, "randomseed");
    lua_pushnumber(L,
                   (lua_Number)((clock_mono_ns() ^ (int64_t)((uintptr_t)L >> 4)) & 0x7fffffff));
    lua_call(L, 1, 0);
    lua_pop(L, 1);
}

static void clear_table(lua_State *L, int index)
{
    for (lua_pushnil(L); lua_next(L, index);) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, index);
    }
}

static void open_library(lua_State *L, const char *name, lua_CFunction open)
{
    lua_pushcfunction(L, open);
    lua_pushstring(L, name);
    lua_call(L, 1, 0);
}

void sandbox_open(lua_State *L)
{
    luaL_checkstack(L, 30, "sandbox");
    open_library(L, "", luaopen_base);
    open_library(L, LUA_TABLIBNAME, luaopen_table);
    open_library(L, LUA_OSLIBNAME, luaopen_os);
    open_library(L, LUA_STRLIBNAME, luaopen_string);
    open_library(L, LUA_MATHLIBNAME, luaopen_math);
    open_library(L, LUA_BITLIBNAME, luaopen_bit);
    seed_random(L);

    lua_newtable(L);
    int templates = lua_gettop(L);
    add_allowed(L, templates);
    add_own(L, templates);
    add_library(L, templates, "string", library_push_string);
    add_library(L, templates, "table", library_push_table);
    add_library(L, templates, "mq", library_mq_push);
    guard_strings(L, templates);
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    clear_table(L, lua_gettop(L));
    lua_pop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    clear_table(L, lua_gettop(L));
    lua_pop(L, 1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)&templates_key);
    lua_insert(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
    luaL_unref(L, LUA_REGISTRYINDEX, (lua_pushboolean(L, 1), luaL_ref(L, LUA_REGISTRYINDEX)));
}

/* Push a copy of the table on top, tables inside copied too. */
static void push_deep_copy(lua_State *L, int from)
{
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, from);) {
        lua_pushvalue(L, -2);
        if (lua_istable(L, -2)) {
            push_deep_copy(L, lua_gettop(L) - 1);
            lua_remove(L, -3);
        } else {
            lua_insert(L, -2);
        }
        lua_rawset(L, -4);
    }
}

void sandbox_push_env(lua_State *L)
{
    luaL_checkstack(L, 30, "environment");
    lua_pushlightuserdata(L, (void *)(uintptr_t)&templates_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    int templates = lua_gettop(L);
    lua_getfield(L, templates, "");
    push_deep_copy(L, lua_gettop(L));
    int env = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, templates); lua_pop(L, 1)) {
        if (lua_objlen(L, -2) == 0) /* "", the globals */
            continue;
        lua_pushvalue(L, -2);
        push_deep_copy(L, lua_gettop(L) - 1);
        lua_rawset(L, env);
    }
    lua_newtable(L);
    lua_pushcfunction(L, sandbox_newglobal);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, env);
    lua_replace(L, templates);
    lua_settop(L, templates);
}
