/*
 * script - Lua programs of operators: compiled once, prepared on every thread, called under a budget
 *
 * engine   one per broker: limits, the deployed bundles (name -> current and previous version)
 * bundle   one version of one script: source, hash, bytecode-free text, declared args; immutable, counted
 * vm       one lua_State per thread that calls hooks, with a capped allocator
 *
 * Deployment (two phases): script_deploy() compiles and self-tests in a scratch state on the
 * calling thread, then asks each vm's thread to prepare the chunk in a fresh environment; only when all
 * say yes is it swapped in on all; one failure drops it everywhere.  See hooks.def for what may be called
 * and where.
 *
 * Limits: instructions per call by a count hook (JIT off for user chunks), wall clock per call,
 * memory per state.  A stopped or failed call is reported with a kind; what then happens to the
 * message is the binding's policy, decided by the caller.
 */
#ifndef SCRIPT_SCRIPT_H
#define SCRIPT_SCRIPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/stats.h"
#include "base/str.h"

struct reactor;
struct script_engine;
struct script_vm;
struct script_bundle;

enum { SCRIPT_NAME_MAX = 64, SCRIPT_SOURCE_MAX = 1 << 20, SCRIPT_VMS_MAX = 64 };

struct script_limits {
    int32_t instructions; /* scriptInstructionLimit */
    int32_t time_us;      /* scriptTimeLimitMicros */
    int64_t memory_bytes; /* scriptMemoryLimit */
};

/* hooks.def: X(name, "thread", may_wait, "arguments", "doc") */
enum script_hook {
#define X(name, thread, may_wait, args, doc) SCRIPT_HOOK_##name,
#include "script/hooks.def"
#undef X
    SCRIPT_HOOKS
};
const char *script_hook_name(enum script_hook hook);

/* ---- engine ------------------------------------------------------------------------------- */

int script_engine_new(struct script_engine **out, const struct script_limits *limits);
void script_engine_free(struct script_engine *e); /* after its vms */
void script_engine_set_limits(struct script_engine *e, const struct script_limits *limits);

/*
 * Compile, check, prepare on all vms, swap.  @name: [A-Za-z0-9_-]{1,64}.  0, or TL_ESCRIPT with
 * "name:line: reason", TL_EINVAL (bad name), TL_ELIMIT (source too long), TL_ETIMEOUT (a thread did not
 * answer in 5 s).  Blocks: not on a reactor.  Same content as deployed: 0, nothing changes.
 */
int script_deploy(struct script_engine *e, struct tl_str name, struct tl_str source);
int script_rollback(struct script_engine *e,
                    struct tl_str name); /* TL_ENOTFOUND without a previous one */
int script_delete(struct script_engine *e, struct tl_str name); /* TL_ENOTFOUND */
/* The current bundle, counted (script_bundle_unref); NULL when there is none. Any thread. */
struct script_bundle *script_find(struct script_engine *e, struct tl_str name);
/* Walk deployed scripts in name order; any thread but a vm's inside a call. */
void script_each(struct script_engine *e, void (*cb)(void *arg, struct script_bundle *b),
                 void *arg);

struct script_bundle *script_bundle_ref(struct script_bundle *b);
void script_bundle_unref(struct script_bundle *b);
struct tl_str script_bundle_name(const struct script_bundle *b);
struct tl_str script_bundle_version(
    const struct script_bundle *b); /* "1.0@a1b2c3d4": declared + content hash */
struct tl_str script_bundle_source(const struct script_bundle *b);
bool script_bundle_has(const struct script_bundle *b, enum script_hook hook);
/*
 * Check "region=eu,min=100" against the declared args and make a JSON object of typed values
 * (string, number, boolean).  TL_EINVAL names the arg that is unknown, missing or of the wrong type.
 * Owned *out.
 */
int script_args_parse(const struct script_bundle *b, struct tl_str text, json_t **out);

/* ---- one thread's state ------------------------------------------------------------------- */

/* Make a vm for the calling thread and add it to the engine: it gets all deployed bundles.  @r: its
 * reactor (mails of deployment go there); NULL for a test or tool that calls from one thread only. */
int script_vm_new(struct script_vm **out, struct script_engine *e, struct reactor *r);
void script_vm_free(struct script_vm *vm); /* own thread */

/* ---- calls -------------------------------------------------------------------------------- */

enum script_result {
    SCRIPT_OK,
    SCRIPT_ERR_RUNTIME,
    SCRIPT_ERR_BUDGET,
    SCRIPT_ERR_TIME,
    SCRIPT_ERR_MEMORY,
    SCRIPT_ERR_MISSING,
    SCRIPT_RESULTS
};
const char *script_result_name(enum script_result r); /* "ok", "runtime", "budget", ... */

/* Per binding and hook; shared by all threads. */
struct script_counters {
    stats_counter calls, accepted, rejected, errors[SCRIPT_RESULTS];
    stats_counter instructions, time_ns;
    _Atomic int64_t max_ns;
    _Atomic int64_t last_error_ms;
};

/*
 * One use of a script: bundle name + args + counters.  Made by the owner of bindings; a vm keeps the args
 * as a Lua table per binding (by id), built at first use on that thread.
 */
struct script_binding {
    uint64_t id;  /* unique in the process: script_binding_id() */
    char *script; /* name; owned by the binding's owner */
    json_t *args; /* object; owned by the binding's owner; immutable once used */
    struct script_counters counters;
    /* breaker: failures in a row open it; while open the policy applies without calling, but one
     * probe call per second goes through */
    _Atomic int32_t failures_in_row;
    _Atomic int64_t probe_at_ms;  /* monotonic; 0 = closed */
    _Atomic int32_t last_failure; /* enum script_result */
};
uint64_t script_binding_id(void);

enum { SCRIPT_BREAKER_ERRORS = 20, SCRIPT_BREAKER_PROBE_MS = 1000 };

/* A message as a script sees it: stored bytes, decoded lazily, valid during the call. */
struct script_message {
    const void *record;
    size_t len;
    int64_t queue_offset;
};

/*
 * Call filter(msg, args).  SCRIPT_OK and *accept, or what failed (the text is tl_error_text(), logged
 * rate-limited with the script's name).  With an open breaker: the kind of the last failure, without a call.
 * Own thread of @vm; never blocks longer than the limits.
 */
enum script_result script_filter(struct script_vm *vm, struct script_binding *b,
                                 const struct script_message *m, bool *accept);

/* Drop what a vm keeps for a binding that is gone; own thread. */
void script_vm_forget(struct script_vm *vm, uint64_t binding_id);
/* Heap of the state now, bytes; own thread. */
int64_t script_vm_heap(const struct script_vm *vm);
/* A GC step between batches, when due; own thread. */
void script_vm_idle(struct script_vm *vm);
/* For tools: count every instruction instead of sampling, at many times the cost; own thread. */
void script_vm_count_exactly(struct script_vm *vm);

#endif
