#include "script/vm.h"

#include <luajit.h>
#include <lualib.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "script/sandbox.h"

#undef LOG_MODULE
#define LOG_MODULE "script"

enum {
    STEP = 1000,            /* instructions between two looks at the clock */
    STEP_FINE = 10,         /* where one instruction may copy a large string */
    CLOCK_EVERY = 100,      /* instructions between two looks when each one is counted */
    BIG_BLOCK = 32 << 10,   /* a string of this size makes a call go on in fine steps ... */
    BIG_HEAP = 512 << 10,   /* ... and so does a heap that may have one */
    GC_SLACK = 128 << 10,   /* garbage that may lie around between calls */
    GC_SLACK_MAX = 1 << 20, /* ... before a call pays for a step */
    GC_STEP_KB = 64,
};

/* ---- memory ------------------------------------------------------------------------------- */

static void count_hook(lua_State *L, lua_Debug *ar);

static void go_fine(struct script_vm *vm)
{
    if (vm->step <= STEP_FINE || !vm->L)
        return;
    vm->step = STEP_FINE;
    lua_sethook(vm->L, count_hook, LUA_MASKCOUNT, vm->step);
}

static void *allocate(void *ud, void *block, size_t old_size, size_t size)
{
    struct script_vm *vm = ud;

    if (size == 0) {
        free(block);
        vm->heap -= (int64_t)old_size;
        return NULL;
    }
    int64_t more = (int64_t)size - (int64_t)old_size;
    if (more > 0 && !vm->unlimited && vm->heap + more > vm->heap_max)
        return NULL;
    void *p = realloc(block, size);
    if (!p)
        return NULL;
    vm->heap += more;
    if (size >= BIG_BLOCK && vm->in_call)
        go_fine(vm);
    return p;
}

static int collect_step(lua_State *L)
{
    struct script_vm *vm = vm_of(L);

    if (lua_gc(L, LUA_GCSTEP, GC_STEP_KB))
        vm->heap_after_gc = vm->heap;
    lua_gc(L, LUA_GCSTOP, 0); /* a step sets the collector going */
    return 0;
}

/* The collector may need some memory itself, so the cap does not count meanwhile. */
static void collect(struct script_vm *vm)
{
    vm->unlimited = true;
    if (lua_cpcall(vm->L, collect_step, NULL))
        lua_pop(vm->L, 1);
    vm->unlimited = false;
}

static bool garbage_over(const struct script_vm *vm, int64_t slack)
{
    return vm->heap > vm->heap_after_gc + vm->heap_after_gc / 2 + slack;
}

void script_vm_idle(struct script_vm *vm)
{
    if (garbage_over(vm, GC_SLACK))
        collect(vm);
    if (vm->scratch.cap > BIG_BLOCK)
        strbuf_release(&vm->scratch);
}

int64_t script_vm_heap(const struct script_vm *vm)
{
    return vm->heap;
}

/* ---- budget ------------------------------------------------------------------------------- */

/* "name:line: " of the Lua code that runs, as Lua's own messages begin. */
static void push_where(lua_State *L)
{
    lua_Debug ar;

    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

static int stop(lua_State *L, enum script_result why)
{
    struct script_vm *vm = vm_of(L);

    vm->stop = why;
    push_where(L);
    if (why == SCRIPT_ERR_TIME)
        lua_pushliteral(L, "stopped: over the time limit of a call (scriptTimeLimitMicros)");
    else
        lua_pushfstring(L,
                        "stopped: over the limit of %d instructions (scriptInstructionLimit)",
                        (int)vm->limit);
    lua_concat(L, 2);
    return lua_error(L);
}

static void count_hook(lua_State *L, lua_Debug *ar)
{
    struct script_vm *vm = vm_of(L);

    (void)ar;
    if (!vm->in_call)
        return;
    vm->used += vm->step;
    if (vm->stop || vm->used > vm->limit)
        stop(L, vm->stop ? vm->stop : SCRIPT_ERR_BUDGET);
    if ((!vm->exact || vm->used % CLOCK_EVERY == 0) && clock_mono_ns() > vm->deadline_ns)
        stop(L, SCRIPT_ERR_TIME);
}

void vm_charge(lua_State *L, int64_t n)
{
    struct script_vm *vm = vm_of(L);

    vm->used += n;
    if (!vm->in_call)
        return;
    if (vm->used > vm->limit)
        stop(L, SCRIPT_ERR_BUDGET);
    if (n > STEP && clock_mono_ns() > vm->deadline_ns)
        stop(L, SCRIPT_ERR_TIME);
}

int64_t vm_left(const struct script_vm *vm)
{
    return vm->used < vm->limit ? vm->limit - vm->used : 0;
}

void vm_begin(struct script_vm *vm, int factor)
{
    struct script_limits limits = engine_limits(vm->engine);
    int64_t step = limits.instructions / 20;
    int32_t wanted = step > STEP ? STEP : step < 1 ? 1 : (int32_t)step;

    if (vm->exact)
        wanted = 1;
    else if (vm->heap > BIG_HEAP && wanted > STEP_FINE)
        wanted = STEP_FINE;
    if (wanted != vm->step) {
        vm->step = wanted;
        lua_sethook(vm->L, count_hook, LUA_MASKCOUNT, wanted);
    }
    vm->heap_max = limits.memory_bytes;
    vm->used = 0;
    vm->limit = (int64_t)limits.instructions * factor;
    vm->deadline_ns = clock_mono_ns() + (int64_t)limits.time_us * 1000 * factor;
    vm->stop = SCRIPT_OK;
    vm->in_call = true;
}

void vm_end(struct script_vm *vm)
{
    vm->in_call = false;
    vm->running = NULL;
    if (garbage_over(vm, GC_SLACK_MAX))
        collect(vm);
}

enum script_result vm_outcome(struct script_vm *vm, int status, const char *name)
{
    const char *text;

    if (!status)
        return SCRIPT_OK;
    if (status == LUA_ERRMEM || vm->stop == SCRIPT_ERR_MEMORY) {
        tl_fail(TL_ESCRIPT,
                "%s:1: stopped: over the memory limit of %lld bytes (scriptMemoryLimit)", name,
                (long long)vm->heap_max);
        lua_pop(vm->L, 1);
        return SCRIPT_ERR_MEMORY;
    }
    /* lua_tostring() would make a string of a number, which allocates: not outside a protected call */
    text = lua_type(vm->L, -1) == LUA_TSTRING ? lua_tostring(vm->L, -1) : NULL;
    if (text && strncmp(text, name, strnlen(name, 40)) == 0) /* Lua cuts long names */
        tl_fail(TL_ESCRIPT, "%s", text);
    else if (text) /* a library function in a tail call does not know who called it */
        tl_fail(TL_ESCRIPT, "%s:?: %s", name, text);
    else
        tl_fail(TL_ESCRIPT, "%s:1: the script raised a %s instead of a text", name,
                luaL_typename(vm->L, -1));
    lua_pop(vm->L, 1);
    return vm->stop ? vm->stop : SCRIPT_ERR_RUNTIME;
}

void script_vm_count_exactly(struct script_vm *vm)
{
    vm->exact = true;
}

/* ---- the state ---------------------------------------------------------------------------- */

static int open_state(lua_State *L)
{
    struct script_vm *vm = vm_of(L);

    lua_gc(L, LUA_GCSTOP, 0);
    /* A count hook does not fire in compiled code, so nothing is ever compiled in this state. */
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    sandbox_open(L);
    view_push(L);
    vm->view = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static int panic(lua_State *L)
{
    log_error("Lua failed outside a protected call: %s", lua_tostring(L, -1));
    abort();
}

static int make_state(struct script_vm *vm)
{
    vm->heap = 0;
    vm->step = 0;
    vm->unlimited = true;
    vm->L = lua_newstate(allocate, vm);
    if (!vm->L)
        return tl_fail(TL_ENOMEM, "no memory for a Lua state");
    lua_atpanic(vm->L, panic);
    int status = lua_cpcall(vm->L, open_state, NULL);
    vm->unlimited = false;
    if (status) {
        vm_outcome(vm, status, "sandbox");
        lua_close(vm->L);
        vm->L = NULL;
        return TL_ESCRIPT;
    }
    vm->heap_after_gc = vm->heap;
    return 0;
}

struct script_vm *vm_create(struct script_engine *e, struct reactor *r)
{
    struct script_vm *vm = xzalloc(sizeof(*vm));

    vm->engine = e;
    vm->reactor = r;
    atomic_init(&vm->refs, 1);
    vm->heap_max = engine_limits(e).memory_bytes;
    if (make_state(vm)) {
        free(vm);
        return NULL;
    }
    return vm;
}

static void drop_use(struct script_vm *vm, struct vm_use *use, bool unref)
{
    HASH_DEL(vm->uses, use);
    if (unref)
        luaL_unref(vm->L, LUA_REGISTRYINDEX, use->args);
    if (vm->last_use == use)
        vm->last_use = NULL;
    free(use);
}

static void drop_uses(struct script_vm *vm, bool unref)
{
    struct vm_use *use, *tmp;
    HASH_ITER (hh, vm->uses, use, tmp)
        drop_use(vm, use, unref);
}

void script_vm_forget(struct script_vm *vm, uint64_t binding_id)
{
    struct vm_use *use;

    HASH_FIND(hh, vm->uses, &binding_id, sizeof(binding_id), use);
    if (use)
        drop_use(vm, use, true);
}

void vm_close(struct script_vm *vm)
{
    struct vm_script *s, *tmp;

    drop_uses(vm, false);
    HASH_ITER (hh, vm->scripts, s, tmp) {
        HASH_DEL(vm->scripts, s);
        script_bundle_unref(s->bundle);
        free(s);
    }
    lua_close(vm->L);
    vm->L = NULL;
    strbuf_release(&vm->scratch);
    strbuf_release(&vm->message.plain);
}

void vm_unref(struct script_vm *vm)
{
    if (atomic_fetch_sub_explicit(&vm->refs, 1, memory_order_acq_rel) == 1)
        free(vm);
}

/* ---- scripts of the state ----------------------------------------------------------------- */

struct preparing {
    struct vm_script *s;
    struct vm_manifest *manifest;
    const char *name; /* of the script, NUL behind it */
};

static int refuse(lua_State *L, const struct preparing *p, int line, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 4, 5)));

static int refuse(lua_State *L, const struct preparing *p, int line, const char *fmt, ...)
{
    char text[TL_ERROR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    lua_pushfstring(L, "%s:%d: %s", p->name, line, text);
    lua_error(L);
    abort(); /* lua_error() does not return; its declaration does not say so */
}

static void load_chunk(lua_State *L, const struct preparing *p)
{
    struct tl_str source = script_bundle_source(p->s->bundle);
    char chunk[SCRIPT_NAME_MAX + 2];

    snprintf(chunk, sizeof(chunk), "=%s", p->name);
    if (source.len && source.data[0] == LUA_SIGNATURE[0])
        refuse(L, p, 1, "bytecode is refused: a script is Lua source text");
    if (luaL_loadbufferx(L, source.data, source.len, chunk, "t"))
        lua_error(L);
    luaJIT_setmode(L, -1, LUAJIT_MODE_ALLFUNC | LUAJIT_MODE_OFF);
    /* A literal like 1LL pulls in the FFI library behind the script's back. */
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, "ffi");
    if (!lua_isnil(L, -1))
        refuse(L, p, 1, "64-bit and imaginary literals (LL, ULL, i) are not available");
    lua_pop(L, 2);
}

/* The member @key of the table on top, which holds version, args, hooks; -> its value on top. */
static void read_version(lua_State *L, const struct preparing *p)
{
    lua_getfield(L, -1, "version");
    if (!lua_isnil(L, -1)) {
        size_t len;
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
        if (!text || len > VM_VERSION_MAX || len == 0 || strlen(text) != len ||
            strpbrk(text, "@ \t\r\n"))
            refuse(L, p, 1,
                   "version must be a string of 1 to %d characters without blanks and @",
                   VM_VERSION_MAX);
        if (p->manifest)
            snprintf(p->manifest->version, sizeof(p->manifest->version), "%s", text);
    } else if (p->manifest) {
        snprintf(p->manifest->version, sizeof(p->manifest->version), "0");
    }
    lua_pop(L, 1);
}

static bool arg_type(const char *text, enum vm_arg_type *out)
{
    static const char *const names[] = {"string", "number", "boolean"};

    for (int i = 0; text && i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum vm_arg_type)i;
            return true;
        }
    }
    return false;
}

static bool is_name(const char *s)
{
    return *s && strlen(s) <= VM_ARG_NAME_MAX &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
               strlen(s);
}

static void read_args(lua_State *L, const struct preparing *p)
{
    int n = 0;

    lua_getfield(L, -1, "args");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    if (!lua_istable(L, -1))
        refuse(L, p, 1, "args must be a table of name = type, not a %s", luaL_typename(L, -1));
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        const char *type = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        enum vm_arg_type kind;
        if (!name || !is_name(name))
            refuse(L, p, 1, "args: a name must be 1 to %d letters, digits or _",
                   VM_ARG_NAME_MAX);
        if (!arg_type(type, &kind))
            refuse(L, p, 1, "args.%s must be \"string\", \"number\" or \"boolean\"", name);
        if (n == VM_ARGS_MAX)
            refuse(L, p, 1, "args: more than %d", VM_ARGS_MAX);
        if (p->manifest) {
            snprintf(p->manifest->args[n].name, sizeof(p->manifest->args[n].name), "%s", name);
            p->manifest->args[n].type = kind;
        }
        n++;
    }
    if (p->manifest)
        p->manifest->args_count = n;
    lua_pop(L, 1);
}

static int hook_of(const char *name)
{
    for (int h = 0; name && h < SCRIPT_HOOKS; h++)
        if (strcmp(name, script_hook_name((enum script_hook)h)) == 0)
            return h;
    return -1;
}

static _Noreturn void refuse_hook(lua_State *L, const struct preparing *p, const char *name)
{
    char known[256] = "";
    lua_Debug ar;

    for (int h = 0; h < SCRIPT_HOOKS; h++) {
        size_t n = strlen(known);
        snprintf(known + n, sizeof(known) - n, "%s%s", h ? ", " : "",
                 script_hook_name((enum script_hook)h));
    }
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">S", &ar);
    refuse(L, p, ar.linedefined > 0 ? ar.linedefined : 1,
           "%s is not a hook this broker calls; it calls: %s",
           name ? name : "a function without a name", known);
}

/* The functions of the script's table; each must be a hook. */
static void read_hooks(lua_State *L, const struct preparing *p)
{
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        int hook = hook_of(name);
        if (lua_isfunction(L, -1) && hook < 0)
            refuse_hook(L, p, name);
        if (hook < 0)
            continue;
        if (!lua_isfunction(L, -1))
            refuse(L, p, 1, "%s must be a function, not a %s", name, luaL_typename(L, -1));
        lua_pushvalue(L, -1);
        p->s->hook[hook] = luaL_ref(L, LUA_REGISTRYINDEX);
        if (p->manifest)
            p->manifest->hook[hook] = true;
    }
}

static int prepare(lua_State *L)
{
    const struct preparing *p = lua_touserdata(L, 1);

    luaL_checkstack(L, 20, "script");
    load_chunk(L, p);
    sandbox_push_env(L);
    lua_setfenv(L, -2);
    lua_call(L, 0, 1);
    if (!lua_istable(L, -1))
        refuse(L, p, 1, "a script must return a table, this one returned %s%s",
               lua_isnil(L, -1) ? "" : "a ", luaL_typename(L, -1));
    read_version(L, p);
    read_args(L, p);
    read_hooks(L, p);
    return 0;
}

int vm_prepare(struct script_vm *vm, struct script_bundle *b, struct vm_script **out,
               struct vm_manifest *manifest)
{
    struct vm_script *s = xzalloc(sizeof(*s));
    char name[SCRIPT_NAME_MAX + 1];
    struct preparing p = {s, manifest, name};

    snprintf(name, sizeof(name), "%.*s", TL_STR_ARG(script_bundle_name(b)));
    s->bundle = script_bundle_ref(b);
    for (int h = 0; h < SCRIPT_HOOKS; h++)
        s->hook[h] = LUA_NOREF;
    vm_begin(vm, VM_LOAD_FACTOR);
    vm->running = s;
    enum script_result r = vm_outcome(vm, lua_cpcall(vm->L, prepare, &p), name);
    vm_end(vm);
    if (r) {
        vm_discard(vm, s);
        return TL_ESCRIPT;
    }
    *out = s;
    return 0;
}

void vm_discard(struct script_vm *vm, struct vm_script *s)
{
    for (int h = 0; h < SCRIPT_HOOKS; h++)
        luaL_unref(vm->L, LUA_REGISTRYINDEX, s->hook[h]);
    script_bundle_unref(s->bundle);
    free(s);
}

void vm_remove(struct script_vm *vm, struct tl_str name)
{
    struct vm_script *s;

    HASH_FIND(hh, vm->scripts, name.data, name.len, s);
    if (s) {
        HASH_DEL(vm->scripts, s);
        vm_discard(vm, s);
    }
    vm->generation++;
}

void vm_install(struct script_vm *vm, struct vm_script *s)
{
    struct tl_str name = script_bundle_name(s->bundle);

    vm_remove(vm, name);
    HASH_ADD_KEYPTR(hh, vm->scripts, name.data, name.len, s);
}

/* ---- after out of memory ------------------------------------------------------------------ */

/* A new state with the same scripts; what binding tables there were is made again on demand. */
void vm_rebuild(struct script_vm *vm)
{
    struct vm_script *old = vm->scripts, *s, *tmp, *fresh;

    drop_uses(vm, false);
    lua_close(vm->L);
    strbuf_release(&vm->scratch);
    vm->scripts = NULL;
    vm->generation++;
    if (make_state(vm)) {
        log_error("Lua state lost: %s", tl_error_text());
        abort();
    }
    HASH_ITER (hh, old, s, tmp) {
        HASH_DEL(old, s);
        if (vm_prepare(vm, s->bundle, &fresh, NULL) == 0)
            vm_install(vm, fresh);
        else
            log_error("script lost in a new Lua state: %s", tl_error_text());
        script_bundle_unref(s->bundle);
        free(s);
    }
}
