/*
 * call - hooks called from C: the binding's arguments, its breaker, its counters
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "script/vm.h"

#undef LOG_MODULE
#define LOG_MODULE "script"

enum { FAILURE_LOG_MS = 1000 };

/* ---- arguments ---------------------------------------------------------------------------- */

static int unknown_arg(lua_State *L)
{
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    return luaL_error(L, "args.%s is not declared in the script's args", name);
}

static int changed_arg(lua_State *L)
{
    return luaL_error(L, "args can't be extended by the script");
}

static void push_json(lua_State *L, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_STRING: lua_pushlstring(L, json_string_value(v), json_string_length(v)); break;
    case JSON_TRUE:
    case JSON_FALSE: lua_pushboolean(L, json_is_true(v)); break;
    case JSON_INTEGER:
    case JSON_REAL: lua_pushnumber(L, json_number_value(v)); break;
    default: lua_pushnil(L);
    }
}

struct making {
    const json_t *args;
    int ref;
};

static int make_args(lua_State *L)
{
    struct making *m = lua_touserdata(L, 1);
    json_t *args = (json_t *)(uintptr_t)m->args; /* iterating takes no const */
    const char *key;
    json_t *value;

    lua_newtable(L);
    json_object_foreach(args, key, value)
    {
        push_json(L, value);
        lua_setfield(L, -2, key);
    }
    lua_newtable(L);
    lua_pushcfunction(L, unknown_arg);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, changed_arg);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    m->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* What this vm keeps for @b; NULL with *failed when its arguments do not fit into memory. */
static struct vm_use *use_of(struct script_vm *vm, const struct script_binding *b,
                             enum script_result *failed)
{
    struct vm_use *use = vm->last_use;

    if (use && use->id == b->id && use->generation == vm->generation)
        return use;
    HASH_FIND(hh, vm->uses, &b->id, sizeof(b->id), use);
    if (!use) {
        struct making m = {b->args, LUA_NOREF};
        *failed = vm_outcome(vm, lua_cpcall(vm->L, make_args, &m), b->script);
        if (*failed)
            return NULL;
        use = xzalloc(sizeof(*use));
        use->id = b->id;
        use->args = m.ref;
        HASH_ADD(hh, vm->uses, id, sizeof(use->id), use);
    } else if (use->generation == vm->generation) {
        vm->last_use = use;
        return use;
    }
    HASH_FIND_STR(vm->scripts, b->script, use->script);
    use->generation = vm->generation;
    vm->last_use = use;
    return use;
}

/* ---- breaker ------------------------------------------------------------------------------ */

/* May the call be made?  With an open breaker one caller per SCRIPT_BREAKER_PROBE_MS gets through. */
static bool breaker_lets_through(struct script_binding *b)
{
    int64_t probe = atomic_load_explicit(&b->probe_at_ms, memory_order_relaxed);

    if (!probe)
        return true;
    int64_t now = clock_mono_ms();
    return now >= probe && atomic_compare_exchange_strong(&b->probe_at_ms, &probe,
                                                          now + SCRIPT_BREAKER_PROBE_MS);
}

static void breaker_note_success(struct script_binding *b)
{
    if (atomic_load_explicit(&b->failures_in_row, memory_order_relaxed)) {
        b->failures_in_row = 0;
        if (atomic_exchange(&b->probe_at_ms, 0))
            log_info("breaker closed script=%s", b->script);
    }
}

static void breaker_note_failure(struct script_binding *b, enum script_result r)
{
    int64_t closed = 0;

    b->last_failure = (int32_t)r;
    if (atomic_fetch_add(&b->failures_in_row, 1) + 1 >= SCRIPT_BREAKER_ERRORS &&
        atomic_compare_exchange_strong(&b->probe_at_ms, &closed,
                                       clock_mono_ms() + SCRIPT_BREAKER_PROBE_MS))
        log_warn("breaker opened script=%s failures=%d", b->script, SCRIPT_BREAKER_ERRORS);
}

/* ---- failures ----------------------------------------------------------------------------- */

/* Count it, log it, and after out of memory begin anew; the text stays that of the failure. */
static enum script_result failed_call(struct script_vm *vm, struct script_binding *b,
                                      struct vm_script *s, enum script_result r)
{
    struct log_rate none = {0};
    struct tl_error why;
    uint64_t held_back;

    tl_error_save(&why, TL_ESCRIPT);
    stats_add(&b->counters.errors[r], 1);
    b->counters.last_error_ms = clock_now_ms();
    if (log_rate_ok(s ? &s->failures : &none, FAILURE_LOG_MS, &held_back))
        log_warn("script failed script=%s kind=%s held_back=%llu error=\"%s\"", b->script,
                 script_result_name(r), (unsigned long long)held_back, why.text);
    breaker_note_failure(b, r);
    if (r == SCRIPT_ERR_MEMORY)
        vm_rebuild(vm);
    tl_error_raise(&why);
    return r;
}

static enum script_result missing(struct script_binding *b)
{
    static struct log_rate rate;
    uint64_t held_back;

    tl_fail(TL_ESCRIPT, "no script named %s with this hook is deployed", b->script);
    stats_add(&b->counters.errors[SCRIPT_ERR_MISSING], 1);
    b->counters.last_error_ms = clock_now_ms();
    if (log_rate_ok(&rate, FAILURE_LOG_MS, &held_back))
        log_warn("script missing script=%s held_back=%llu", b->script,
                 (unsigned long long)held_back);
    return SCRIPT_ERR_MISSING;
}

/* ---- filter ------------------------------------------------------------------------------- */

static void note_time(struct script_counters *c, int64_t ns)
{
    int64_t max = atomic_load_explicit(&c->max_ns, memory_order_relaxed);

    stats_add(&c->time_ns, (uint64_t)ns);
    while (ns > max && !atomic_compare_exchange_weak_explicit(
                           &c->max_ns, &max, ns, memory_order_relaxed, memory_order_relaxed))
        ;
}

/* The value on top as a decision; pops it. */
static enum script_result take_decision(struct script_vm *vm, const struct script_binding *b,
                                        bool *accept)
{
    int type = lua_type(vm->L, -1);
    bool yes = lua_toboolean(vm->L, -1);

    lua_pop(vm->L, 1);
    if (type != LUA_TBOOLEAN && type != LUA_TNIL) {
        tl_fail(TL_ESCRIPT, "%s:1: filter returned a %s: expected true or false", b->script,
                lua_typename(vm->L, type));
        return SCRIPT_ERR_RUNTIME;
    }
    *accept = yes;
    return SCRIPT_OK;
}

static void point_view(struct script_vm *vm, const struct script_message *m)
{
    vm->message.m = *m;
    vm->message.decoded = vm->message.expanded = false;
}

static void blind_view(struct script_vm *vm)
{
    vm->message.m.record = NULL;
    if (vm->message.plain.cap)
        strbuf_release(&vm->message.plain);
}

enum script_result script_filter(struct script_vm *vm, struct script_binding *b,
                                 const struct script_message *m, bool *accept)
{
    enum script_result r = SCRIPT_OK;
    bool yes = false;

    if (!breaker_lets_through(b)) {
        r = (enum script_result)b->last_failure;
        tl_fail(TL_ESCRIPT, "script %s is not called after %d failures in a row, the last: %s",
                b->script, SCRIPT_BREAKER_ERRORS, script_result_name(r));
        return r;
    }
    struct vm_use *use = use_of(vm, b, &r);
    if (!use)
        return failed_call(vm, b, NULL, r);
    struct vm_script *s = use->script;
    if (!s || s->hook[SCRIPT_HOOK_filter] == LUA_NOREF)
        return missing(b);

    int64_t began = clock_mono_ns();
    vm_begin(vm, 1);
    vm->running = s;
    point_view(vm, m);
    lua_rawgeti(vm->L, LUA_REGISTRYINDEX, s->hook[SCRIPT_HOOK_filter]);
    lua_rawgeti(vm->L, LUA_REGISTRYINDEX, vm->view);
    lua_rawgeti(vm->L, LUA_REGISTRYINDEX, use->args);
    r = vm_outcome(vm, lua_pcall(vm->L, 2, 1, 0), b->script);
    if (!r)
        r = take_decision(vm, b, &yes);
    blind_view(vm);
    int64_t used = vm->used;
    vm_end(vm);

    stats_add(&b->counters.calls, 1);
    if (used)
        stats_add(&b->counters.instructions, (uint64_t)used);
    note_time(&b->counters, clock_mono_ns() - began);
    if (r)
        return failed_call(vm, b, s, r);
    breaker_note_success(b);
    stats_add(yes ? &b->counters.accepted : &b->counters.rejected, 1);
    *accept = yes;
    return SCRIPT_OK;
}
