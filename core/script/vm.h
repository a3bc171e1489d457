/*
 * vm (vm_) - one lua_State: allocator with a cap, sandbox, budget; private to script/
 *
 * The JIT is off: a count hook never fires in compiled code.  The collector is stopped during calls and
 * stepped between them, so what a call may allocate, and with it what C functions may cost, is bounded by the
 * state's cap.
 */
#ifndef SCRIPT_VM_H
#define SCRIPT_VM_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdatomic.h>

#include "base/str.h"
#include "proto/record.h"
#include "script/script.h"

enum {
    VM_HOOK_STEP = 250,       /* instructions between two looks at the budget */
    VM_LOAD_FACTOR = 50,      /* loading a chunk may take so many times a call's budget */
    VM_GC_STEP_BYTES = 65536, /* heap growth after which a collection step is made */
    VM_BYTES_PER_STEP =
        64, /* a C function that looks at so many bytes counts as one instruction */
};

struct prepared; /* a bundle on one state */
struct vm_binding;

struct script_vm {
    struct script_engine *engine;
    struct reactor *reactor;
    lua_State *L;
    struct script_limits limits;
    /* allocator */
    int64_t heap, heap_at_gc;
    bool capped; /* only a script's own allocations may fail, the host's never do */
    /* budget of the call under way */
    int64_t instructions_left, instructions_given;
    int64_t deadline_ns;
    enum script_result stopped; /* SCRIPT_OK while it may go on */
    /* message of the call under way */
    const struct script_message *message; /* NULL outside a call */
    struct record record;
    bool decoded;
    struct strbuf body; /* expanded */
    bool expanded;
    json_t *json;
    int message_ref;
    /* scripts */
    struct prepared *prepared;   /* hash by name */
    struct vm_binding *bindings; /* hash by id */
    uint64_t epoch;              /* rises with every change of prepared */
    struct script_vm *next;      /* of the engine's list */
};

/* vm.c */
int vm_open(struct script_vm *vm);  /* make the state */
void vm_shut(struct script_vm *vm); /* close the state */
struct script_vm *vm_of(lua_State *L);
/* Call what is on the stack (function, @nargs) for @nresults under the budget times @factor. */
enum script_result vm_call(struct script_vm *vm, int nargs, int nresults, int factor);
/* Count @n instructions for work done in C; raises the stop when the budget is over. */
void vm_charge(lua_State *L, size_t n);
/* An environment for one chunk on the stack. */
void vm_push_env(lua_State *L);
void vm_collect(struct script_vm *vm);

/* Push field @name of the table at the top, without its metatable having a say. */
void vm_rawfield(lua_State *L, const char *name);

/* lib.c: fill the base environment (on the stack) with the allowed library */
void lib_open(lua_State *L);
/* message.c: make the message userdata; vm->message_ref */
void message_open(struct script_vm *vm);
void message_begin(struct script_vm *vm, const struct script_message *m);
void message_end(struct script_vm *vm);
/* Push a JSON value as Lua data. */
void lib_push_json(lua_State *L, const json_t *v);

#endif
