/*
 * vm - one lua_State of one thread: allocator, budget, sandboxed library, prepared scripts
 *
 * The garbage collector is stopped during calls (a full collection of a large heap takes
 * milliseconds); garbage counts against the memory limit until the step behind a call or in
 * script_vm_idle().  Private to script/.
 *
 * Budget of a call: a count hook fires every `step` instructions, adds them to `used` and looks at
 * the clock.  C functions whose cost depends on their input add what they cost with vm_charge().
 * A call that is over sets `stop` and raises an error, which the sandbox's pcall raises again; so
 * no script can catch it.  The hook's counter runs on over the end of a call: a short call is hit
 * by it now and then and billed `step` instructions at once, so the sum over many calls is right.
 */
#ifndef SCRIPT_VM_H
#define SCRIPT_VM_H

#include <lauxlib.h>
#include <lua.h>
#include <uthash.h>

#include "base/err.h"
#include "base/log.h"
#include "proto/record.h"
#include "script/script.h"

/* The message of the running call, decoded when first asked; a userdata points here. */
struct vm_message {
    struct script_message m;
    bool decoded, expanded;
    struct record record;
    struct strbuf plain; /* the body when it was compressed */
};

/* A script of this state. */
struct vm_script {
    struct script_bundle *bundle;
    int hook[SCRIPT_HOOKS]; /* registry references; LUA_NOREF when not defined */
    struct log_rate failures;
    int64_t log_window_ms; /* of mq.log: the second it counts for */
    int log_lines;
    uint64_t log_held_back;
    UT_hash_handle hh; /* by the bundle's name */
};

/* What is kept for a binding: its arguments as a table, and where its script was found. */
struct vm_use {
    uint64_t id;
    int args;                 /* registry reference */
    struct vm_script *script; /* as of generation */
    uint64_t generation;
    UT_hash_handle hh;
};

struct script_vm {
    struct script_engine *engine;
    struct reactor *reactor;
    struct script_vm *next; /* the engine's list */
    _Atomic int32_t refs;   /* the owner, mails under way */
    _Atomic bool closed;

    lua_State *L;
    int64_t heap, heap_max, heap_after_gc;
    bool unlimited, collecting; /* the allocator's mood */
    int view;                   /* registry reference of the message userdata */

    bool in_call, exact;
    int32_t step;
    int64_t used, limit, deadline_ns;
    enum script_result stop;
    struct vm_script *running;

    struct vm_message message;
    struct strbuf scratch; /* of one library function at a time; never across a call into Lua */

    struct vm_script *scripts; /* by name */
    struct vm_use *uses, *last_use;
    uint64_t generation; /* changes when scripts changes */
};

enum {
    VM_BODY_MAX = 4 << 20,   /* bytes of an expanded body */
    VM_STRING_MAX = 1 << 20, /* bytes string.rep, mq.json.encode make */
    VM_LOAD_FACTOR = 10,     /* a chunk may use so many times a call's budget */
};

static inline struct script_vm *vm_of(lua_State *L)
{
    void *ud;
    lua_getallocf(L, &ud);
    return ud;
}

/* Bill @n instructions; raises when the call is over its limit. */
void vm_charge(lua_State *L, int64_t n);
/* Instructions left in the running call. */
int64_t vm_left(const struct script_vm *vm);

/* Begin and end what runs under a budget of @factor calls. */
void vm_begin(struct script_vm *vm, int factor);
void vm_end(struct script_vm *vm);
/* What became of the protected call that returned @status, with the text of tl_error_text(); pops the message. */
enum script_result vm_outcome(struct script_vm *vm, int status, const char *name);

/* A scratch vm (not on the engine's list) or a real one; NULL with TL_ENOMEM's text. */
struct script_vm *vm_create(struct script_engine *e, struct reactor *r);
void vm_close(struct script_vm *vm);
void vm_unref(struct script_vm *vm);

/* What a script says about itself. */
enum vm_arg_type { ARG_STRING, ARG_NUMBER, ARG_BOOLEAN };
enum { VM_ARGS_MAX = 64, VM_VERSION_MAX = 32, VM_ARG_NAME_MAX = 64 };
struct vm_manifest {
    char version[VM_VERSION_MAX + 1];
    bool hook[SCRIPT_HOOKS];
    int args_count;
    struct {
        char name[VM_ARG_NAME_MAX + 1];
        enum vm_arg_type type;
    } args[VM_ARGS_MAX];
};

/* Compile and run @b's chunk in a fresh environment of @vm.  0 with a script that is not installed
 * yet, or TL_ESCRIPT.  @manifest may be NULL. */
int vm_prepare(struct script_vm *vm, struct script_bundle *b, struct vm_script **out,
               struct vm_manifest *manifest);
void vm_discard(struct script_vm *vm, struct vm_script *s);
/* Put @s in force instead of what has its name. */
void vm_install(struct script_vm *vm, struct vm_script *s);
void vm_remove(struct script_vm *vm, struct tl_str name);

/* After out of memory: a new state with the same scripts. */
void vm_rebuild(struct script_vm *vm);

/* The engine's limits now, any thread. */
struct script_limits engine_limits(struct script_engine *e);

#endif
