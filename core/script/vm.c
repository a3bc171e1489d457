#include "script/vm.h"

#include <luajit.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

/* Key of the base environment in the registry. */
static const char base_key = 0;

static void *allocate(void *ud, void *p, size_t old, size_t size)
{
    struct script_vm *vm = ud;

    if (size == 0) {
        free(p);
        vm->heap -= (int64_t)(p ? old : 0);
        return NULL;
    }
    int64_t grow = (int64_t)size - (int64_t)(p ? old : 0);
    if (vm->capped && grow > 0 && vm->heap + grow > vm->limits.memory_bytes)
        return NULL;
    void *q = realloc(p, size);
    if (q)
        vm->heap += grow;
    return q;
}

struct script_vm *vm_of(lua_State *L)
{
    void *ud;

    lua_getallocf(L, &ud);
    return ud;
}

/* ---- budget ------------------------------------------------------------------------------- */

static void stop(lua_State *L, enum script_result why)
{
    struct script_vm *vm = vm_of(L);

    vm->stopped = why;
    luaL_error(L,
               why == SCRIPT_ERR_TIME ? "stopped: time limit of %d us"
                                      : "stopped: limit of %d instructions",
               why == SCRIPT_ERR_TIME ? vm->limits.time_us : vm->limits.instructions);
}

static void spend(lua_State *L, int64_t n)
{
    struct script_vm *vm = vm_of(L);

    vm->instructions_left -= n;
    if (vm->instructions_left < 0)
        stop(L, SCRIPT_ERR_BUDGET);
    if (clock_mono_ns() > vm->deadline_ns)
        stop(L, SCRIPT_ERR_TIME);
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    spend(L, VM_HOOK_STEP);
}

void vm_charge(lua_State *L, size_t n)
{
    if (n > 0)
        spend(L, (int64_t)n);
}

/* pcall for scripts: what stopped the call is not theirs to catch. */
static int safe_pcall(lua_State *L)
{
    struct script_vm *vm = vm_of(L);

    luaL_checkany(L, 1);
    vm_charge(L, 1);
    int rc = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (vm->stopped != SCRIPT_OK || rc == LUA_ERRMEM) {
        if (rc == LUA_ERRMEM)
            vm->stopped = SCRIPT_ERR_MEMORY;
        return lua_error(L);
    }
    lua_pushboolean(L, rc == 0);
    lua_insert(L, 1);
    return lua_gettop(L);
}

enum script_result vm_call(struct script_vm *vm, int nargs, int nresults, int factor)
{
    lua_State *L = vm->L;

    vm->stopped = SCRIPT_OK;
    vm->instructions_given = (int64_t)vm->limits.instructions * factor;
    vm->instructions_left = vm->instructions_given;
    vm->deadline_ns = clock_mono_ns() + (int64_t)vm->limits.time_us * 1000 * factor;
    lua_sethook(L, on_count, LUA_MASKCOUNT, VM_HOOK_STEP);
    vm->capped = true;
    int rc = lua_pcall(L, nargs, nresults, 0);
    vm->capped = false;
    lua_sethook(L, NULL, 0, 0);
    if (rc == 0)
        return SCRIPT_OK;
    const char *text = lua_tostring(L, -1);
    if (rc == LUA_ERRMEM || vm->stopped == SCRIPT_ERR_MEMORY) {
        tl_fail(TL_ESCRIPT, "stopped: memory limit of %lld bytes",
                (long long)vm->limits.memory_bytes);
        vm->stopped = SCRIPT_ERR_MEMORY;
    } else {
        tl_fail(TL_ESCRIPT, "%s", text ? text : "error without a text");
    }
    lua_pop(L, 1);
    return vm->stopped != SCRIPT_OK ? vm->stopped : SCRIPT_ERR_RUNTIME;
}

void vm_rawfield(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, -2);
}

void vm_collect(struct script_vm *vm)
{
    if (vm->heap - vm->heap_at_gc < VM_GC_STEP_BYTES)
        return;
    lua_gc(vm->L, LUA_GCSTEP, VM_GC_STEP_BYTES / 1024);
    if (vm->heap > vm->limits.memory_bytes / 2)
        lua_gc(vm->L, LUA_GCCOLLECT, 0);
    lua_gc(vm->L, LUA_GCSTOP, 0);
    vm->heap_at_gc = vm->heap;
}

/* ---- sandbox ------------------------------------------------------------------------------ */

static int refuse_write(lua_State *L)
{
    return luaL_error(L, "'%s' is not to be assigned: declare it local",
                      lua_tostring(L, 2) ? lua_tostring(L, 2) : "?");
}

/* Replace the table on the stack by an empty one that reads through to it and can't be written. */
static void push_locked(lua_State *L)
{
    lua_newtable(L);
    lua_newtable(L);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_write);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "locked");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

void vm_push_env(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&base_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    push_locked(L);
}

static const char *const allowed_globals[] = {"assert",   "error",    "ipairs", "next",
                                              "pairs",    "rawequal", "rawget", "select",
                                              "tonumber", "tostring", "type",   "getmetatable"};

static const char *const allowed_os[] = {"clock", "time", "date"};

static void copy_fields(lua_State *L, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) { /* from the table at -1 to the one at -2 */
        lua_getfield(L, -1, names[i]);
        lua_setfield(L, -3, names[i]);
    }
}

/* setmetatable on plain tables only, and never on a locked one. */
static int safe_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argcheck(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table expected");
    if (luaL_getmetafield(L, 1, "__metatable"))
        return luaL_error(L, "the metatable is locked");
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static void add_locked(lua_State *L, const char *name)
{
    push_locked(L);
    lua_setfield(L, -2, name);
}

/* The allow-list: everything a script can reach.  Runs inside lua_cpcall(). */
static int build_base(lua_State *L)
{
    luaL_openlibs(L);
    lua_newtable(L); /* the base */
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    copy_fields(L, allowed_globals, sizeof(allowed_globals) / sizeof(allowed_globals[0]));
    lua_pop(L, 1);
    lua_pushcfunction(L, safe_pcall);
    lua_setfield(L, -2, "pcall");
    lua_pushcfunction(L, safe_setmetatable);
    lua_setfield(L, -2, "setmetatable");

    lua_newtable(L);
    lua_getglobal(L, "os");
    copy_fields(L, allowed_os, sizeof(allowed_os) / sizeof(allowed_os[0]));
    lua_pop(L, 1);
    add_locked(L, "os");
    lua_getglobal(L, "math");
    lua_pushnil(L);
    lua_setfield(L, -2, "randomseed");
    add_locked(L, "math");
    lua_getglobal(L, "bit");
    add_locked(L, "bit");
    lib_open(L);

    lua_pushlightuserdata(L, (void *)(uintptr_t)&base_key);
    lua_insert(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
    message_open(vm_of(L));
    return 0;
}

int vm_open(struct script_vm *vm)
{
    vm->heap = vm->heap_at_gc = 0;
    vm->capped = false;
    vm->stopped = SCRIPT_OK;
    vm->instructions_left = INT64_MAX;
    vm->deadline_ns = INT64_MAX;
    vm->L = lua_newstate(allocate, vm);
    if (!vm->L)
        return tl_fail(TL_ENOMEM, "no memory for a Lua state within %lld bytes",
                       (long long)vm->limits.memory_bytes);
    luaJIT_setmode(vm->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    if (lua_cpcall(vm->L, build_base, NULL)) {
        int rc = tl_fail(TL_ESCRIPT, "Lua state: %s", lua_tostring(vm->L, -1));
        vm_shut(vm);
        return rc;
    }
    lua_gc(vm->L, LUA_GCCOLLECT, 0);
    lua_gc(vm->L, LUA_GCSTOP, 0);
    vm->heap_at_gc = vm->heap;
    return 0;
}

void vm_shut(struct script_vm *vm)
{
    if (vm->L)
        lua_close(vm->L);
    vm->L = NULL;
    json_decref(vm->json);
    vm->json = NULL;
    strbuf_release(&vm->body);
}
