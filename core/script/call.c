/*
 * call - calling a hook: budget, counters, breaker
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "script/bundle.h"

#undef LOG_MODULE
#define LOG_MODULE "script"

enum { LOG_EVERY_MS = 1000 };

static const char *const result_names[SCRIPT_RESULTS] = {"ok",   "runtime", "budget",
                                                         "time", "memory",  "missing"};

const char *script_result_name(enum script_result r)
{
    return result_names[r];
}

uint64_t script_binding_id(void)
{
    static _Atomic uint64_t next = 1;
    return atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
}

/* ---- the binding on this state ------------------------------------------------------------ */

static void resolve(struct script_vm *vm, struct vm_binding *vb, const struct script_binding *b)
{
    HASH_FIND(hh, vm->prepared, b->script, strlen(b->script), vb->prepared);
    vb->epoch = vm->epoch;
}

static struct vm_binding *binding_of(struct script_vm *vm, const struct script_binding *b)
{
    struct vm_binding *vb;

    HASH_FIND(hh, vm->bindings, &b->id, sizeof(b->id), vb);
    if (!vb) {
        vb = xzalloc(sizeof(*vb));
        vb->id = b->id;
        lib_push_json(vm->L, b->args);
        vb->args_ref = luaL_ref(vm->L, LUA_REGISTRYINDEX);
        resolve(vm, vb, b);
        HASH_ADD(hh, vm->bindings, id, sizeof(vb->id), vb);
    }
    if (vb->epoch != vm->epoch)
        resolve(vm, vb, b);
    return vb;
}

/* ---- breaker ------------------------------------------------------------------------------ */

/* False: the policy applies without a call.  While open, one call a second is let through as a probe. */
static bool breaker_lets(struct script_binding *b, int64_t now_ms)
{
    int64_t at = atomic_load_explicit(&b->probe_at_ms, memory_order_relaxed);

    if (at == 0)
        return true;
    return now_ms >= at && atomic_compare_exchange_strong(&b->probe_at_ms, &at,
                                                          now_ms + SCRIPT_BREAKER_PROBE_MS);
}

static void count_failure(struct script_binding *b, enum script_result rc, int64_t now_ms)
{
    stats_add(&b->counters.errors[rc], 1);
    atomic_store_explicit(&b->counters.last_error_ms, clock_now_ms(), memory_order_relaxed);
    log_warn_every(LOG_EVERY_MS, "script failed name=%s kind=%s: %s", b->script,
                   result_names[rc], tl_error_text());
    if (atomic_fetch_add_explicit(&b->failures_in_row, 1, memory_order_relaxed) + 1 ==
        SCRIPT_BREAKER_ERRORS) {
        atomic_store(&b->probe_at_ms, now_ms + SCRIPT_BREAKER_PROBE_MS);
        log_error("script breaker open name=%s failures_in_row=%d", b->script,
                  SCRIPT_BREAKER_ERRORS);
    }
}

static void count_success(struct script_binding *b)
{
    if (atomic_load_explicit(&b->failures_in_row, memory_order_relaxed) == 0)
        return;
    atomic_store_explicit(&b->failures_in_row, 0, memory_order_relaxed);
    if (atomic_exchange(&b->probe_at_ms, 0))
        log_info("script breaker closed name=%s", b->script);
}

static void count_call(struct script_binding *b, const struct script_vm *vm, int64_t ns)
{
    struct script_counters *c = &b->counters;

    stats_add(&c->calls, 1);
    stats_add(&c->instructions, (uint64_t)(vm->instructions_given - vm->instructions_left));
    stats_add(&c->time_ns, (uint64_t)ns);
    if (ns > atomic_load_explicit(&c->max_ns, memory_order_relaxed))
        atomic_store_explicit(&c->max_ns, ns, memory_order_relaxed);
}

/* ---- calling ------------------------------------------------------------------------------ */

/* A state that ran out of memory is made anew: what a script hid in its upvalues goes with it. */
static void rebuild(struct script_vm *vm)
{
    struct prepared *p, *tmp, *old = vm->prepared;
    struct vm_binding *b, *btmp;

    HASH_ITER (hh, vm->bindings, b, btmp) {
        script_vm_forget(vm, b->id);
    }
    vm_shut(vm);
    vm->prepared = NULL;
    vm->epoch++;
    int rc = vm_open(vm);
    HASH_ITER (hh, old, p, tmp) {
        struct prepared *again = NULL;
        HASH_DEL(old, p);
        if (!rc && bundle_prepare(vm, p->bundle, false, &again))
            log_error("script not prepared again name=%s: %s", p->bundle->name,
                      tl_error_text());
        if (again)
            HASH_ADD_KEYPTR(hh, vm->prepared, again->bundle->name, strlen(again->bundle->name),
                            again);
        script_bundle_unref(p->bundle);
        free(p);
    }
    log_warn("script state rebuilt after running out of memory limit=%lld",
             (long long)vm->limits.memory_bytes);
}

static enum script_result call_filter(struct script_vm *vm, const struct vm_binding *vb,
                                      const struct script_message *m, bool *accept)
{
    lua_State *L = vm->L;

    lua_rawgeti(L, LUA_REGISTRYINDEX, vb->prepared->hook_ref[SCRIPT_HOOK_filter]);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->message_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vb->args_ref);
    message_begin(vm, m);
    enum script_result rc = vm_call(vm, 2, 1, 1);
    message_end(vm);
    if (rc == SCRIPT_OK) {
        *accept = lua_toboolean(L, -1);
        lua_pop(L, 1);
    }
    return rc;
}

enum script_result script_filter(struct script_vm *vm, struct script_binding *b,
                                 const struct script_message *m, bool *accept)
{
    int64_t begun = clock_mono_ns();

    if (!breaker_lets(b, begun / 1000000)) {
        stats_add(&b->counters.errors[SCRIPT_ERR_RUNTIME], 1);
        tl_fail(TL_ESCRIPT, "%s: breaker open", b->script);
        return SCRIPT_ERR_RUNTIME;
    }
    struct vm_binding *vb = vm->L ? binding_of(vm, b) : NULL;
    if (!vb || !vb->prepared || vb->prepared->hook_ref[SCRIPT_HOOK_filter] == LUA_NOREF) {
        tl_fail(TL_ESCRIPT, "%s: not deployed, or it has no filter", b->script);
        count_failure(b, SCRIPT_ERR_MISSING, begun / 1000000);
        return SCRIPT_ERR_MISSING;
    }
    enum script_result rc = call_filter(vm, vb, m, accept);
    count_call(b, vm, clock_mono_ns() - begun);
    if (rc == SCRIPT_OK) {
        count_success(b);
        stats_add(*accept ? &b->counters.accepted : &b->counters.rejected, 1);
    } else {
        count_failure(b, rc, begun / 1000000);
    }
    if (rc == SCRIPT_ERR_MEMORY)
        rebuild(vm);
    else
        vm_collect(vm);
    return rc;
}

int64_t script_vm_heap(const struct script_vm *vm)
{
    return vm->heap;
}

void script_vm_idle(struct script_vm *vm)
{
    if (vm->L)
        vm_collect(vm);
}
