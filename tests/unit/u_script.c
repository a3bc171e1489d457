#include "script/script.h"

#include <stdlib.h>

#include "base/mem.h"
#include "proto/record.h"
#include "t.h"

static const struct script_limits limits = {
    .instructions = 20000, .time_us = 200000, .memory_bytes = 16 << 20};

/* A script of the text, bound with @args, called once on a message. */
struct bench {
    struct script_engine *e;
    struct script_vm *vm;
    struct script_binding b;
};

static int begin(struct bench *t, const char *source, const char *args)
{
    *t = (struct bench){0};
    CHECK_OK(script_engine_new(&t->e, &limits));
    CHECK_OK(script_vm_new(&t->vm, t->e, NULL));
    int rc = script_deploy(t->e, TL_STR("s"), tl_str_of(source));
    if (rc)
        return rc;
    struct script_bundle *bundle = script_find(t->e, TL_STR("s"));
    rc = script_args_parse(bundle, tl_str_of(args), &t->b.args);
    script_bundle_unref(bundle);
    t->b.id = script_binding_id();
    t->b.script = xstrdup("s");
    return rc;
}

static void end(struct bench *t)
{
    json_decref(t->b.args);
    free(t->b.script);
    script_vm_free(t->vm);
    script_engine_free(t->e);
}

static enum script_result call(struct bench *t, bool *accept)
{
    uint8_t bytes[512];
    struct record r = {
        .topic = TL_STR("T"),
        .body = TL_STR("{\"a\":{\"b\":[1,{\"c\":\"deep\"}]}}"),
        .properties = TL_STR("TAGS\001TagA\002n\00142\002"),
    };
    CHECK_OK(record_encode(&r, bytes));
    struct script_message m = {bytes, record_size(&r), 7};
    *accept = false;
    return script_filter(t->vm, &t->b, &m, accept);
}

static bool accepts(const char *expression)
{
    char *source =
        xasprintf("local M = {}\nfunction M.filter(msg) return %s end\nreturn M\n", expression);
    struct bench t;
    bool accept;

    CHECK_OK(begin(&t, source, ""));
    enum script_result rc = call(&t, &accept);
    if (rc != SCRIPT_OK)
        fprintf(stderr, "%s: %s\n", expression, tl_error_text());
    end(&t);
    free(source);
    return rc == SCRIPT_OK && accept;
}

/* What a script that runs @body as its filter ends with. */
static enum script_result outcome(const char *body)
{
    char *source = xasprintf("local M = {}\nfunction M.filter(msg) %s end\nreturn M\n", body);
    struct bench t;
    bool accept;

    CHECK_OK(begin(&t, source, ""));
    enum script_result rc = call(&t, &accept);
    end(&t);
    free(source);
    return rc;
}

TEST(a_filter_sees_fields_properties_and_body)
{
    CHECK(accepts("msg.topic == 'T' and msg.tags == 'TagA' and msg.offset == 7"));
    CHECK(accepts("msg:num('n') == 42 and msg:prop('missing') == nil"));
    CHECK(accepts("msg:json('a.b[1].c') == 'deep'"));
    CHECK(accepts("msg:body(1, 1) == '{'"));
    CHECK(accepts("msg:props().n == '42'"));
    CHECK(accepts("mq.match('night-2', 'night*') and not mq.match('day', 'night*')"));
    CHECK(accepts("mq.hash('TagA') == 2598919"));
}

TEST(a_script_that_does_not_end_is_stopped)
{
    CHECK_INT(outcome("while true do end"), SCRIPT_ERR_BUDGET);
    CHECK_INT(outcome("while true do pcall(function() while true do end end) end"),
              SCRIPT_ERR_BUDGET);
    CHECK_INT(outcome("local function f() return pcall(f) end while true do f() end"),
              SCRIPT_ERR_BUDGET);
}

TEST(a_script_that_takes_all_memory_is_stopped_and_the_next_call_works)
{
    struct bench t;
    bool accept;

    CHECK_OK(begin(&t,
                   "local M, n = {}, 0\nfunction M.filter(msg)\n n = n + 1\n if n > 1 then return true end\n"
                   " local s = ('x'):rep(100000)\n for i = 1, 20 do s = s .. s end\n return true\nend\nreturn M\n",
                   ""));
    CHECK_INT(call(&t, &accept), SCRIPT_ERR_MEMORY);
    enum script_result again = call(&t, &accept);
    CHECK(again == SCRIPT_ERR_MEMORY || (again == SCRIPT_OK && accept));
    end(&t);
}

TEST(there_is_no_way_out_of_the_sandbox)
{
    static const char *const absent[] = {
        "io",        "debug",      "package",        "require",
        "ffi",       "jit",        "load",           "loadstring",
        "dofile",    "loadfile",   "collectgarbage", "newproxy",
        "getfenv",   "setfenv",    "coroutine",      "xpcall",
        "os.execute", "os.exit",        "os.getenv",
        "os.remove", "string.dump"};
    char text[64];

    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        snprintf(text, sizeof(text), "%s == nil", absent[i]);
        if (!accepts(text))
            fprintf(stderr, "reachable: %s\n", absent[i]);
        CHECK(accepts(text));
    }
    CHECK_INT(outcome("msg.topic = 'x'"), SCRIPT_ERR_RUNTIME);
    CHECK(accepts("type(getmetatable('')) ~= 'table'"));
}

TEST(no_script_sees_what_another_did_to_its_library)
{
    struct bench t;
    bool accept;

    CHECK_OK(begin(&t,
                   "local M = {}\nfunction M.filter(msg)\n"
                   " return string.rep ~= nil and ('x'):rep(2) == 'xx' and mq.now ~= nil and leak == nil\nend\nreturn M\n",
                   ""));
    CHECK_OK(script_deploy(t.e, TL_STR("other"),
                           TL_STR("pcall(function() string.rep = nil end)\npcall(function() mq.now = nil end)\n"
                                  "pcall(function() leak = 1 end)\npcall(function() getmetatable('').__index.rep = nil end)\n"
                                  "local M = {}\nfunction M.filter() return true end\nreturn M\n")));
    CHECK_INT(call(&t, &accept), SCRIPT_OK);
    CHECK(accept);
    end(&t);
}

TEST(a_kept_message_gives_an_error_and_no_crash)
{
    struct bench t;
    bool accept;

    CHECK_OK(begin(
        &t,
        "local M, kept = {}\nfunction M.filter(msg)\n local ok = kept == nil or true\n kept = kept or msg\n return ok\nend\nreturn M\n",
        ""));
    CHECK_INT(call(&t, &accept), SCRIPT_OK);
    CHECK_INT(call(&t, &accept), SCRIPT_OK);
    end(&t);
}

TEST(a_bad_script_is_refused_with_its_line)
{
    struct bench t;

    CHECK(begin(&t, "local M = {}\nfunction M.filter(msg) retrun true end\nreturn M\n", "") !=
          0);
    CHECK_HAS(tl_error_text(), "s:2");
    end(&t);
    CHECK(begin(&t, "return 1", "") != 0);
    end(&t);
    CHECK(begin(&t, "local M = {}\nfunction M.fliter(msg) end\nreturn M\n", "") != 0);
    CHECK_HAS(tl_error_text(), "fliter");
    end(&t);
    CHECK(begin(&t, "\033LJ\002", "") != 0);
    end(&t);
}

TEST(arguments_are_checked_against_the_declaration)
{
    static const char source[] =
        "local M = { args = { min = 'number' } }\nfunction M.filter(msg, args) return msg:num('n') >= args.min end\nreturn M\n";
    struct bench t;
    bool accept;

    CHECK_OK(begin(&t, source, "min=42"));
    CHECK_INT(call(&t, &accept), SCRIPT_OK);
    CHECK(accept);
    end(&t);
    CHECK(begin(&t, source, "min=x") == TL_EINVAL);
    end(&t);
    CHECK(begin(&t, source, "") == TL_EINVAL);
    end(&t);
    CHECK(begin(&t, source, "min=1,max=2") == TL_EINVAL);
    end(&t);
}

TEST(a_failing_script_opens_its_breaker)
{
    struct bench t;
    bool accept;

    CHECK_OK(begin(&t, "local M = {}\nfunction M.filter(msg) error('no') end\nreturn M\n", ""));
    for (int i = 0; i < SCRIPT_BREAKER_ERRORS; i++)
        CHECK_INT(call(&t, &accept), SCRIPT_ERR_RUNTIME);
    uint64_t calls = stats_get(&t.b.counters.calls);
    CHECK(call(&t, &accept) != SCRIPT_OK);
    CHECK_INT(stats_get(&t.b.counters.calls), calls);
    end(&t);
}

TEST(a_new_version_takes_over_and_can_be_rolled_back)
{
    struct bench t;
    bool accept;

    CHECK_OK(begin(&t, "local M = {}\nfunction M.filter() return true end\nreturn M\n", ""));
    call(&t, &accept);
    CHECK(accept);
    CHECK_OK(script_deploy(
        t.e, TL_STR("s"),
        TL_STR("local M = {}\nfunction M.filter() return false end\nreturn M\n")));
    call(&t, &accept);
    CHECK(!accept);
    CHECK_OK(script_rollback(t.e, TL_STR("s")));
    call(&t, &accept);
    CHECK(accept);
    CHECK_OK(script_delete(t.e, TL_STR("s")));
    CHECK_INT(call(&t, &accept), SCRIPT_ERR_MISSING);
    end(&t);
}
