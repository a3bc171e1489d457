/*
 * mqlua - run, test and check scripts as the broker would, without a broker
 *
 *   mqlua check FILE                                  syntax, hooks, declared arguments
 *   mqlua run FILE --message JSON|@FILE [--args A]    one call: decision, instructions, time
 *   mqlua test FILE_test.lua                          plain assertions, TAP output
 */
#include <lauxlib.h>
#include <libgen.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "main/cli.h"
#include "proto/properties.h"
#include "proto/record.h"
#include "script/script.h"

static const struct script_limits limits = {
    .instructions = 20000, .time_us = 2000, .memory_bytes = 16 << 20};

static struct {
    const char *message, *args;
} args;

static const struct cli_option options[] = {
    {'m', "message", "JSON",
     "run: {\"topic\",\"tags\",\"keys\",\"props\":{},\"body\"} or @FILE", CLI_TEXT,
     &args.message},
    {'a', "args", "ARGS", "run: the script's arguments, 'region=eu,min=100'", CLI_TEXT,
     &args.args},
};

static const struct cli_program program = {
    "mqlua", "run, test and check Lua scripts: mqlua check|run|test FILE", options,
    sizeof(options) / sizeof(options[0])};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "mqlua: %s: %s\n", what, tl_error_text());
    exit(1);
}

/* ---- a script and a message --------------------------------------------------------------- */

/* A script on a state of its own. */
struct loaded {
    struct script_engine *engine;
    struct script_vm *vm;
    struct script_bundle *bundle;
    struct script_binding binding;
};

static int load(struct loaded *l, const char *file)
{
    struct strbuf source;
    char *path = xstrdup(file), *base = basename(path), *dot = strrchr(base, '.');
    int rc;

    memset(l, 0, sizeof(*l));
    strbuf_init(&source);
    if (dot)
        *dot = '\0';
    if ((rc = fs_read(file, SCRIPT_SOURCE_MAX, &source)) == 0 &&
        (rc = script_engine_new(&l->engine, &limits)) == 0 &&
        (rc = script_vm_new(&l->vm, l->engine, NULL)) == 0) {
        script_vm_count_exactly(l->vm);
        rc = script_deploy(l->engine, tl_str_of(base), strbuf_str(&source));
    }
    if (!rc)
        l->bundle = script_find(l->engine, tl_str_of(base));
    strbuf_release(&source);
    free(path);
    return rc;
}

static void unload(struct loaded *l)
{
    json_decref(l->binding.args);
    free(l->binding.script);
    if (l->bundle)
        script_bundle_unref(l->bundle);
    if (l->vm)
        script_vm_free(l->vm);
    if (l->engine)
        script_engine_free(l->engine);
}

static int bind(struct loaded *l, const char *text)
{
    int rc = script_args_parse(l->bundle, tl_str_of(text), &l->binding.args);
    struct tl_str name = script_bundle_name(l->bundle);

    l->binding.id = script_binding_id();
    l->binding.script = xstrndup(name.data, name.len);
    return rc;
}

static void add_property(struct strbuf *out, struct tl_str name, const json_t *v)
{
    char number[32];

    if (json_is_string(v)) {
        properties_add(out, name, tl_str_n(json_string_value(v), json_string_length(v)));
    } else if (json_is_number(v)) {
        snprintf(number, sizeof(number), "%.15g", json_number_value(v));
        properties_add(out, name, tl_str_of(number));
    }
}

/* The stored bytes of the message @o describes; owned. */
static int encode(const json_t *o, struct strbuf *out)
{
    struct strbuf props;
    const char *key;
    json_t *v;

    strbuf_init(&props);
    add_property(&props, PROP_TAGS, json_object_get(o, "tags"));
    add_property(&props, PROP_KEYS, json_object_get(o, "keys"));
    /* jansson's iterators want a non-const object but do not change it. */
    json_object_foreach((json_t *)(uintptr_t)json_get_object(o, "props"), key, v)
    {
        add_property(&props, tl_str_of(key), v);
    }
    struct tl_str topic = json_get_str(o, "topic"), body = json_get_str(o, "body");
    struct record r = {
        .topic = topic.len ? topic : TL_STR("Topic"),
        .body = body.len ? body : TL_STR("{}"),
        .properties = strbuf_str(&props),
        .born_timestamp = clock_now_ms(),
        .store_timestamp = clock_now_ms(),
        .reconsume_times = json_get_i32(o, "reconsume_times", 0),
        .flag = json_get_i32(o, "flag", 0),
        .born_host = {.ip = {127, 0, 0, 1}, .port = 1},
        .store_host = {.ip = {127, 0, 0, 1}, .port = 10911},
    };
    size_t size = record_size(&r);
    int rc = record_encode(&r, (uint8_t *)strbuf_reserve(out, size));
    strbuf_commit(out, size);
    strbuf_release(&props);
    return rc;
}

static enum script_result call(struct loaded *l, const json_t *message, bool *accept)
{
    struct strbuf bytes;

    strbuf_init(&bytes);
    if (encode(message, &bytes))
        die("message");
    struct script_message m = {bytes.data, bytes.len, 0};
    enum script_result rc = script_filter(l->vm, &l->binding, &m, accept);
    strbuf_release(&bytes);
    return rc;
}

/* ---- check and run ------------------------------------------------------------------------ */

static int check(const char *file)
{
    struct loaded l;

    if (load(&l, file))
        die(file);
    struct tl_str version = script_bundle_version(l.bundle);
    printf("%s: ok, version %.*s, hooks:", file, TL_STR_ARG(version));
    for (int h = 0; h < SCRIPT_HOOKS; h++) {
        if (script_bundle_has(l.bundle, (enum script_hook)h))
            printf(" %s", script_hook_name((enum script_hook)h));
    }
    printf("\n");
    unload(&l);
    return 0;
}

static json_t *message_of(const char *text)
{
    struct strbuf file;

    strbuf_init(&file);
    if (text && text[0] == '@') {
        if (fs_read(text + 1, 16 << 20, &file))
            die(text);
    } else {
        strbuf_addz(&file, text ? text : "{}");
    }
    json_t *o = json_parse(strbuf_str(&file));
    strbuf_release(&file);
    if (!o)
        die("--message");
    return o;
}

static int run(const char *file)
{
    struct loaded l;
    bool accept = false;
    json_t *message = message_of(args.message);

    if (load(&l, file) || bind(&l, args.args ? args.args : ""))
        die(file);
    enum script_result rc = call(&l, message, &accept);
    json_decref(message);
    if (rc != SCRIPT_OK)
        die(script_result_name(rc));
    printf("filter: %s  instructions: %llu  time: %.1f us\n",
           accept ? "delivered" : "not delivered",
           (unsigned long long)stats_get(&l.binding.counters.instructions),
           (double)stats_get(&l.binding.counters.time_ns) / 1000.0);
    unload(&l);
    return 0;
}

/* ---- test --------------------------------------------------------------------------------- */

enum { SCRIPTS_MAX = 64 };

static struct {
    char *dir;
    int done, failed;
    struct loaded scripts[SCRIPTS_MAX];
    int nscripts;
} tests;

static void tap(bool ok, const char *sentence, const char *why)
{
    tests.done++;
    tests.failed += !ok;
    printf("%s %d - %s\n", ok ? "ok" : "not ok", tests.done, sentence);
    if (!ok && why)
        printf("# %s\n", why);
}

/* A Lua table of strings, numbers and such tables as JSON; owned. */
static json_t *to_json(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TNUMBER)
        return json_real(lua_tonumber(L, index));
    if (lua_type(L, index) == LUA_TSTRING)
        return json_string(lua_tostring(L, index));
    json_t *o = json_object();
    if (lua_istable(L, index)) {
        for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
            json_object_set_new(o, lua_tostring(L, -2), to_json(L, lua_gettop(L)));
    }
    return o;
}

static char *beside(const char *file)
{
    return xasprintf("%s/%s", tests.dir, file);
}

/* t.script(FILE, ARGS): a handle for accepts and rejects. */
static int test_script(lua_State *L)
{
    char *path = beside(luaL_checkstring(L, 1));
    struct loaded *l = &tests.scripts[tests.nscripts];

    if (tests.nscripts == SCRIPTS_MAX)
        return luaL_error(L, "more than %d scripts in one test", SCRIPTS_MAX);
    int rc = load(l, path);
    if (!rc)
        rc = bind(l, luaL_optstring(L, 2, ""));
    free(path);
    if (rc)
        return luaL_error(L, "%s", tl_error_text());
    lua_pushinteger(L, tests.nscripts++);
    return 1;
}

static int expect(lua_State *L, bool want)
{
    int i = luaL_checkint(L, 1);
    bool accept = false;

    luaL_argcheck(L, i >= 0 && i < tests.nscripts, 1, "what t.script() gave is expected");
    json_t *message = to_json(L, 2);
    enum script_result rc = call(&tests.scripts[i], message, &accept);
    json_decref(message);
    tap(rc == SCRIPT_OK && accept == want, luaL_checkstring(L, 3),
        rc == SCRIPT_OK ? (accept ? "it was delivered" : "it was not delivered")
                        : tl_error_text());
    return 0;
}

static int test_accepts(lua_State *L)
{
    return expect(L, true);
}

static int test_rejects(lua_State *L)
{
    return expect(L, false);
}

/* t.refuses(FILE, ARGS, SENTENCE): deployment or binding must fail. */
static int test_refuses(lua_State *L)
{
    char *path = beside(luaL_checkstring(L, 1));
    struct loaded l;

    bool refused = load(&l, path) || bind(&l, luaL_checkstring(L, 2));
    tap(refused, luaL_checkstring(L, 3), "it was taken");
    unload(&l);
    free(path);
    return 0;
}

static int test_ok(lua_State *L)
{
    tap(lua_toboolean(L, 1), luaL_checkstring(L, 2), NULL);
    return 0;
}

static int test(const char *file)
{
    static const luaL_Reg helper[] = {
        {"script", test_script},   {"accepts", test_accepts}, {"rejects", test_rejects},
        {"refuses", test_refuses}, {"ok", test_ok},           {NULL, NULL},
    };
    lua_State *L = luaL_newstate();
    char *path = xstrdup(file);

    tests.dir = xstrdup(dirname(path));
    free(path);
    luaL_openlibs(L);
    if (luaL_loadfile(L, file)) {
        fprintf(stderr, "mqlua: %s\n", lua_tostring(L, -1));
        return 1;
    }
    lua_newtable(L);
    luaL_register(L, NULL, helper);
    if (lua_pcall(L, 1, 0, 0))
        tap(false, file, lua_tostring(L, -1));
    printf("1..%d\n", tests.done);
    for (int i = 0; i < tests.nscripts; i++)
        unload(&tests.scripts[i]);
    free(tests.dir);
    lua_close(L);
    return tests.failed || !tests.done ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const char *file);
    } commands[] = {{"check", check}, {"run", run}, {"test", test}};

    if (argc < 3 || argv[1][0] == '-') {
        cli_usage(&program);
        return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 1;
    }
    cli_parse(&program, argc - 2, argv + 2);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argv[2]);
    }
    fprintf(stderr, "mqlua: unknown command %s (see mqlua --help)\n", argv[1]);
    return 1;
}
