#include "script/bundle.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"

static const char *const hook_names[] = {
#define X(name, thread, may_wait, args, doc) #name,
#include "script/hooks.def"
#undef X
};
static const char *const arg_types[] = {"string", "number", "boolean"};

const char *script_hook_name(enum script_hook hook)
{
    return hook_names[hook];
}

/* ---- bundles ------------------------------------------------------------------------------ */

struct script_bundle *bundle_new(struct tl_str name, struct tl_str source)
{
    struct script_bundle *b = xzalloc(sizeof(*b));

    atomic_init(&b->refs, 1);
    b->name = xstrndup(name.data, name.len);
    b->source = xstrndup(source.data ? source.data : "", source.len);
    b->source_len = source.len;
    b->hash = hash_bytes(b->source, source.len);
    b->version = xasprintf("@%08x", (unsigned)(b->hash ^ b->hash >> 32));
    return b;
}

struct script_bundle *script_bundle_ref(struct script_bundle *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void script_bundle_unref(struct script_bundle *b)
{
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < b->nargs; i++)
        free(b->args[i].name);
    free(b->args);
    free(b->name);
    free(b->version);
    free(b->source);
    free(b);
}

struct tl_str script_bundle_name(const struct script_bundle *b)
{
    return tl_str_of(b->name);
}

struct tl_str script_bundle_version(const struct script_bundle *b)
{
    return tl_str_of(b->version);
}

struct tl_str script_bundle_source(const struct script_bundle *b)
{
    return tl_str_n(b->source, b->source_len);
}

bool script_bundle_has(const struct script_bundle *b, enum script_hook hook)
{
    return b->hooks[hook];
}

/* ---- arguments ---------------------------------------------------------------------------- */

static const struct script_arg *find_arg(const struct script_bundle *b, struct tl_str name)
{
    for (size_t i = 0; i < b->nargs; i++) {
        if (tl_str_is(name, b->args[i].name))
            return &b->args[i];
    }
    return NULL;
}

static int set_arg(json_t *o, const struct script_arg *a, struct tl_str value)
{
    double d;

    switch (a->type) {
    case SCRIPT_ARG_STRING: json_set_str(o, a->name, value); return 0;
    case SCRIPT_ARG_NUMBER:
        if (!tl_str_f64(value, &d))
            return tl_fail(TL_EINVAL, "argument %s=%.*s: a number expected", a->name,
                           TL_STR_ARG(value));
        json_set_f64(o, a->name, d);
        return 0;
    case SCRIPT_ARG_BOOLEAN:
        if (!tl_str_is(value, "true") && !tl_str_is(value, "false"))
            return tl_fail(TL_EINVAL, "argument %s=%.*s: true or false expected", a->name,
                           TL_STR_ARG(value));
        json_set_bool(o, a->name, tl_str_is(value, "true"));
        return 0;
    }
    return 0;
}

/* "a=1,b=x": a value may be quoted ('...' or "...") to hold commas. */
static struct tl_str cut_pair(struct tl_str *rest)
{
    char quote = 0;

    for (size_t i = 0; i < rest->len; i++) {
        char c = rest->data[i];
        if (quote) {
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == ',') {
            struct tl_str pair = tl_str_n(rest->data, i);
            *rest = tl_str_n(rest->data + i + 1, rest->len - i - 1);
            return pair;
        }
    }
    struct tl_str pair = *rest;
    *rest = TL_STR_NONE;
    return pair;
}

static struct tl_str unquote(struct tl_str s)
{
    if (s.len >= 2 && (s.data[0] == '"' || s.data[0] == '\'') && s.data[s.len - 1] == s.data[0])
        return tl_str_n(s.data + 1, s.len - 2);
    return s;
}

int script_args_parse(const struct script_bundle *b, struct tl_str text, json_t **out)
{
    json_t *o = json_object();
    int rc = 0;

    for (struct tl_str rest = text; rest.len && !rc;) {
        struct tl_str value = tl_str_trim(cut_pair(&rest));
        if (!value.len)
            continue;
        struct tl_str name = tl_str_trim(tl_str_cut(&value, '='));
        const struct script_arg *a = find_arg(b, name);
        if (!value.data)
            rc = tl_fail(TL_EINVAL, "argument %.*s: expected name=value", TL_STR_ARG(name));
        else if (!a)
            rc = tl_fail(TL_EINVAL, "script %s declares no argument %.*s", b->name,
                         TL_STR_ARG(name));
        else
            rc = set_arg(o, a, unquote(tl_str_trim(value)));
    }
    for (size_t i = 0; i < b->nargs && !rc; i++) {
        if (!json_object_get(o, b->args[i].name))
            rc = tl_fail(TL_EINVAL, "script %s needs argument %s (%s)", b->name,
                         b->args[i].name, arg_types[b->args[i].type]);
    }
    if (rc)
        json_decref(o);
    else
        *out = o;
    return rc;
}

/* ---- preparing ---------------------------------------------------------------------------- */

static int add_arg(struct script_bundle *b, const char *name, const char *type)
{
    for (int i = 0; i < 3; i++) {
        if (type && strcmp(type, arg_types[i]) == 0) {
            b->args = xrealloc(b->args, (b->nargs + 1) * sizeof(*b->args));
            b->args[b->nargs++] = (struct script_arg){xstrdup(name), (enum script_arg_type)i};
            return 0;
        }
    }
    return tl_fail(TL_ESCRIPT, "%s: args.%s: \"string\", \"number\" or \"boolean\" expected",
                   b->name, name);
}

static int compare_args(const void *x, const void *y)
{
    const struct script_arg *a = x, *b = y;
    return strcmp(a->name, b->name);
}

static int inspect_args(lua_State *L, struct script_bundle *b)
{
    int rc = 0;

    vm_rawfield(L, "args");
    if (lua_istable(L, -1)) {
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            if (!rc)
                rc =
                    lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING
                        ? add_arg(b, lua_tostring(L, -2), lua_tostring(L, -1))
                        : tl_fail(TL_ESCRIPT, "%s: args: names and types are strings", b->name);
        }
    } else if (!lua_isnil(L, -1)) {
        rc = tl_fail(TL_ESCRIPT, "%s: args: a table expected", b->name);
    }
    lua_pop(L, 1);
    if (b->nargs)
        qsort(b->args, b->nargs, sizeof(*b->args), compare_args);
    return rc;
}

static int hook_of(const char *name)
{
    for (int h = 0; h < SCRIPT_HOOKS; h++) {
        if (strcmp(hook_names[h], name) == 0)
            return h;
    }
    return -1;
}

/* The table the chunk returned (on the stack): version, args, and functions that are all hooks. */
static int inspect_table(lua_State *L, struct script_bundle *b)
{
    bool any = false;

    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_isfunction(L, -1))
            continue;
        int hook = hook_of(lua_tostring(L, -2));
        if (hook < 0) {
            int rc = tl_fail(TL_ESCRIPT, "%s: there is no hook named %s", b->name,
                             lua_tostring(L, -2));
            lua_pop(L, 2);
            return rc;
        }
        b->hooks[hook] = any = true;
    }
    if (!any)
        return tl_fail(TL_ESCRIPT, "%s: the returned table has no hook, e.g. filter", b->name);
    vm_rawfield(L, "version");
    if (lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER) {
        char *hash = b->version;
        b->version = xasprintf("%s%s", lua_tostring(L, -1), hash);
        free(hash);
    }
    lua_pop(L, 1);
    return inspect_args(L, b);
}

/* Compile and run the chunk; its table is left on the stack. */
static int run_chunk(struct script_vm *vm, const struct script_bundle *b)
{
    lua_State *L = vm->L;
    char *chunk = xasprintf("=%s", b->name);
    int rc = luaL_loadbufferx(L, b->source, b->source_len, chunk, "t");

    free(chunk);
    if (rc) {
        rc = tl_fail(TL_ESCRIPT, "%s", lua_tostring(L, -1));
        lua_pop(L, 1);
        return rc;
    }
    vm_push_env(L);
    lua_setfenv(L, -2);
    if (vm_call(vm, 0, 1, VM_LOAD_FACTOR) != SCRIPT_OK)
        return TL_ESCRIPT;
    if (lua_istable(L, -1))
        return 0;
    lua_pop(L, 1);
    return tl_fail(TL_ESCRIPT, "%s: the file must return a table", b->name);
}

int bundle_prepare(struct script_vm *vm, struct script_bundle *b, bool inspect,
                   struct prepared **out)
{
    lua_State *L = vm->L;
    int rc = run_chunk(vm, b);

    if (rc)
        return rc;
    if (inspect && (rc = inspect_table(L, b)) != 0) {
        lua_pop(L, 1);
        return rc;
    }
    struct prepared *p = xzalloc(sizeof(*p));
    p->bundle = script_bundle_ref(b);
    for (int h = 0; h < SCRIPT_HOOKS; h++) {
        vm_rawfield(L, hook_names[h]);
        if (lua_isfunction(L, -1)) {
            p->hook_ref[h] = luaL_ref(L, LUA_REGISTRYINDEX);
        } else {
            p->hook_ref[h] = LUA_NOREF;
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
    vm_collect(vm);
    *out = p;
    return 0;
}

void bundle_unprepare(struct script_vm *vm, struct prepared *p)
{
    for (int h = 0; h < SCRIPT_HOOKS; h++)
        luaL_unref(vm->L, LUA_REGISTRYINDEX, p->hook_ref[h]);
    script_bundle_unref(p->bundle);
    free(p);
}
